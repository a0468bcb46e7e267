import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree
from scipy.spatial.distance import pdist, squareform
from scipy.stats import gaussian_kde

from infoest.kernels import resolve_bandwidth
from infoest.kernels.bandwidth import MEDIAN_ROWS


def samples(n, d, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((n, d)))


@pytest.mark.parametrize(("n", "d"), [(50, 1), (200, 3)])
def test_silverman_is_scipys_factor_times_the_standard_deviation(n, d):
    x = samples(n, d) * torch.arange(1.0, d + 1.0)
    factor = gaussian_kde(x.numpy().T, "silverman").factor
    expected = factor * x.numpy().std(axis=0, ddof=1)
    np.testing.assert_allclose(resolve_bandwidth("silverman", x), expected, rtol=1e-12)


@pytest.mark.parametrize("n", [2, 3, 40, 41])
def test_median_is_that_of_the_distances_between_different_rows(n):
    x = samples(n, 2)
    expected = np.median(pdist(x.numpy()))
    assert resolve_bandwidth("median", x).item() == pytest.approx(expected, rel=1e-12)


def test_median_of_two_samples_is_that_of_the_pooled_one():
    x, y = samples(30, 2), samples(20, 2, seed=1) + 3.0
    expected = np.median(pdist(np.vstack([x, y])))
    assert resolve_bandwidth("median", x, y).item() == pytest.approx(expected, rel=1e-12)


def test_median_of_many_rows_is_close_repeats_and_does_not_depend_on_the_order_of_samples():
    x, y = samples(MEDIAN_ROWS, 2), samples(MEDIAN_ROWS, 2, seed=1) + 1.0
    width = resolve_bandwidth("median", x, y)
    assert width == resolve_bandwidth("median", x, y)
    assert width.item() == pytest.approx(resolve_bandwidth("median", y, x).item(), rel=1e-12)
    assert width.item() == pytest.approx(np.median(pdist(torch.cat([x, y]).numpy())), rel=0.03)


def test_median_of_mostly_equal_rows_is_that_of_the_positive_distances():
    x = torch.tensor([[0.0]] * 9 + [[2.0]])
    assert resolve_bandwidth("median", x).item() == 2.0


@pytest.mark.parametrize("n", [2, 6, 40, 500])
def test_knn_is_the_mean_distance_to_the_seventh_other_row(n):
    x, y = samples(n, 3), 1e6 + samples(n, 3, seed=1)
    for data in ([x], [x, y]):
        every = np.sort(squareform(pdist(torch.cat(data).numpy())), axis=1)
        expected = every[:, min(7, len(every) - 1)].mean()
        assert resolve_bandwidth("knn", *data).item() == pytest.approx(expected, rel=1e-9)


def test_knn_of_many_rows_is_close_and_repeats():
    x = samples(3 * MEDIAN_ROWS, 2)
    every = resolve_bandwidth("knn", x)
    assert every == resolve_bandwidth("knn", x)
    expected = cKDTree(x.numpy()).query(x.numpy(), k=8)[0][:, -1].mean()
    assert every.item() == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize(
    "bandwidth", [0.5, 2, np.float32(0.5), [0.5, 2.0], (0.5, 1), np.array([0.5, 2.0])]
)
def test_numbers_pass_as_they_are(bandwidth):
    width = resolve_bandwidth(bandwidth, samples(5, 2))
    assert width.dtype == torch.float64
    np.testing.assert_array_equal(width, np.asarray(bandwidth, dtype=np.float64))


@pytest.mark.parametrize("bad", [0, 0.0, -1.0, np.nan, np.inf, [0.5, 0.0], torch.tensor(-2.0)])
def test_refuses_numbers_that_are_not_positive(bad):
    with pytest.raises(ValueError, match="bandwidth must be"):
        resolve_bandwidth(bad, samples(5, 2))


def test_refuses_wrong_shapes_types_and_names():
    x = samples(5, 2)
    with pytest.raises(ValueError, match=r"one number per column, shape \(2,\), got shape \(3,\)"):
        resolve_bandwidth([1.0, 2.0, 3.0], x)
    with pytest.raises(ValueError, match=r"one of \['knn', 'median', 'silverman'\], got 'scott'"):
        resolve_bandwidth("scott", x)
    for bad in (None, True, 1j, ["a", "b"], [True, False]):
        with pytest.raises(TypeError, match="bandwidth must"):
            resolve_bandwidth(bad, x)


def test_refuses_samples_that_do_not_vary():
    same = torch.ones(5, 2, dtype=torch.float64)
    with pytest.raises(ValueError, match="two different rows"):
        resolve_bandwidth("median", same)
    for equal in (same, same[:1]):
        with pytest.raises(ValueError, match="not repeated seven times"):
            resolve_bandwidth("knn", equal)
    with pytest.raises(ValueError, match="constant column"):
        resolve_bandwidth("silverman", same)
    with pytest.raises(ValueError, match="constant column"):
        resolve_bandwidth("silverman", same[:1])
    with pytest.raises(ValueError, match="n_samples, n_features"):
        resolve_bandwidth("median", same[:, 0])


@pytest.mark.parametrize("rule", ["median", "silverman", "knn"])
@pytest.mark.parametrize("exponent", [-1000, -540, 510, 1000])
def test_rules_follow_the_unit_at_any_magnitude(rule, exponent):
    x = samples(50, 2)
    expected = resolve_bandwidth(rule, x)
    width = resolve_bandwidth(rule, torch.from_numpy(np.ldexp(x.numpy(), exponent)))
    np.testing.assert_array_equal(np.ldexp(width.numpy(), -exponent), expected)


def test_silverman_of_columns_of_very_different_magnitudes():
    x = samples(50, 2)
    width = resolve_bandwidth("silverman", x * torch.tensor([1e-200, 1e200], dtype=torch.float64))
    expected = resolve_bandwidth("silverman", x).numpy() * [1e-200, 1e200]
    np.testing.assert_allclose(width, expected, rtol=1e-12)


def test_refuses_a_rule_whose_number_float64_does_not_hold():
    x = torch.tensor([[-1.7e308], [1.7e308]], dtype=torch.float64)
    with pytest.raises(ValueError, match=r"^samples must not vary beyond .* width='median', got"):
        resolve_bandwidth("median", x, name="width")


def test_refuses_no_samples_and_tensors_that_hold_no_real_numbers():
    for bandwidth in ("median", 1.0):
        with pytest.raises(ValueError, match=r"^samples must be given for bandwidth, got none\."):
            resolve_bandwidth(bandwidth)
    for bad in (torch.tensor(1.0 + 2.0j), torch.tensor(True)):
        with pytest.raises(TypeError, match=r"^bandwidth must hold numbers only, got dtype"):
            resolve_bandwidth(bad, samples(5, 2))


@pytest.mark.parametrize(
    ("bandwidth", "error"),
    [
        ("scott", ValueError),
        ([1.0, 2.0, 3.0], ValueError),
        (-1.0, ValueError),
        (torch.tensor(-1.0), ValueError),
        (["a"], TypeError),
        (torch.tensor(1j), TypeError),
        (None, TypeError),
    ],
)
def test_errors_name_the_parameter_of_the_caller(bandwidth, error):
    with pytest.raises(error, match=r"^width must"):
        resolve_bandwidth(bandwidth, samples(5, 2), name="width")


@pytest.mark.parametrize("rule", ["median", "silverman", "knn"])
def test_errors_of_rules_name_the_parameter_of_the_caller(rule):
    with pytest.raises(ValueError, match=f"for width='{rule}', got"):
        resolve_bandwidth(rule, torch.ones(9, 2), name="width")
