import math
import warnings

import numpy as np
import pytest
import torch

from infoest import MMD, CauchySchwarz
from infoest.estimators import kernel_divergence
from infoest.estimators.base import Ask
from infoest.functional import cauchy_schwarz, mmd
from infoest.functional.divergences import log_kernel_means
from infoest.kernels import bandwidth as bandwidths


def samples(n, d, seed=0, shift=0.0):
    return np.random.default_rng(seed).standard_normal((n, d)) + shift


def test_value_is_the_function_with_the_reported_bandwidth():
    x, y = samples(100, 2), samples(80, 2, seed=1, shift=1.0)
    e = CauchySchwarz().estimate(x, y)
    expected = cauchy_schwarz(
        torch.from_numpy(x), torch.from_numpy(y), bandwidth=e.info["bandwidth"]
    )
    assert e.value == pytest.approx(expected.item(), rel=1e-12)
    assert (e.quantity, e.unit, e.method) == (
        "cauchy_schwarz_divergence",
        "nats",
        "cauchy_schwarz",
    )
    assert e.n_samples == 180
    assert e.interval is None
    assert not e.warnings


@pytest.mark.parametrize("bandwidth", ["median", "silverman", 0.7, [0.7, 2.0]])
def test_every_bandwidth_is_reported_and_symmetric(bandwidth):
    x, y = samples(100, 2), samples(80, 2, seed=1, shift=1.0)
    e = CauchySchwarz(bandwidth=bandwidth).estimate(x, y)
    assert np.all(np.asarray(e.info["bandwidth"]) > 0.0)
    swapped = CauchySchwarz(bandwidth=bandwidth).estimate(y, x)
    assert e.value == pytest.approx(swapped.value, rel=1e-12)


def test_equal_samples_have_none_and_units_do_not_matter():
    x, y = samples(100, 2), samples(80, 2, seed=1, shift=1.0)
    assert CauchySchwarz().estimate(x, x.copy()).value == 0.0
    value = CauchySchwarz().estimate(x, y).value
    for scale, offset in ((1e-12, 0.0), (1e12, 0.0), (1.0, 1e6)):
        moved = CauchySchwarz().estimate(x * scale + offset, y * scale + offset)
        assert moved.value == pytest.approx(value, rel=1e-8)


def test_p_value_sees_a_shift_and_nothing_else():
    x, y, same = samples(60, 1), samples(60, 1, seed=1, shift=1.0), samples(60, 1, seed=2)
    estimator = CauchySchwarz(random_state=0)
    assert estimator.estimate(x, y, n_permutations=99).p_value == 0.01
    assert estimator.estimate(x, same, n_permutations=99).p_value > 0.05


def test_p_values_are_uniform_for_equal_laws():
    p_values = np.array(
        [
            CauchySchwarz(random_state=seed)
            .estimate(samples(20, 1, seed), samples(15, 1, seed + 500), n_permutations=19)
            .p_value
            for seed in range(150)
        ]
    )
    for level in (0.1, 0.3, 0.5):
        error = np.sqrt(level * (1 - level) / 150)
        assert np.mean(p_values <= level) == pytest.approx(level, abs=3.5 * error)


def test_says_when_the_kernel_sees_nothing_or_everything():
    x, y = samples(50, 2), samples(50, 2, seed=1)
    assert CauchySchwarz(bandwidth=1e-3).estimate(x, y).has("kernel_is_identity")
    assert CauchySchwarz(bandwidth=1e3).estimate(x, y).has("kernel_is_constant")
    far = CauchySchwarz(bandwidth=1.0).estimate(x, y + 100.0)
    assert not far.warnings
    assert 1e4 < far.value < 1e5


def test_integers_and_mostly_equal_rows_have_a_value():
    rng = np.random.default_rng(0)
    x, y = (rng.random(200) < 0.1).astype(int), (rng.random(200) < 0.3).astype(int)
    e = CauchySchwarz().estimate(x, y)
    assert e.has("integers_treated_as_continuous")
    assert e.info["bandwidth"] == 1.0
    assert e.value > 0.0


def test_tensors_and_read_only_arrays_are_the_same_and_left_alone():
    x, y = samples(50, 2), samples(40, 2, seed=1)
    value = CauchySchwarz().estimate(x, y).value
    before = x.copy()
    assert CauchySchwarz().estimate(torch.from_numpy(x), torch.from_numpy(y)).value == value
    x.setflags(write=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert CauchySchwarz().estimate(x, y).value == value
    np.testing.assert_array_equal(x, before)


def test_refuses():
    x = samples(20, 2)
    with pytest.raises(ValueError, match="same number of columns"):
        CauchySchwarz().estimate(x, x[:, :1])
    for bad in (0.0, -1.0, np.nan, "scott"):
        with pytest.raises(ValueError, match="bandwidth must be"):
            CauchySchwarz(bandwidth=bad).estimate(x, x + 1.0)
    with pytest.raises(TypeError, match="bandwidth must be"):
        CauchySchwarz(bandwidth=None).estimate(x, x + 1.0)


def test_permutations_share_one_kernel_matrix_and_agree_with_the_definition():
    rng = np.random.default_rng(3)
    pooled = rng.standard_normal((70, 2))
    ask = Ask(None, 1.0, rng)
    shared = CauchySchwarz()._statistic(pooled, 40, ask)
    for _ in range(3):
        order = rng.permutation(70)
        value = CauchySchwarz()._estimate(pooled[order[:40]], pooled[order[40:]], ask).value
        assert shared(order) == pytest.approx(value, abs=1e-12)


def test_p_value_of_samples_too_far_apart_for_the_kernel():
    x = np.random.default_rng(0).standard_normal(30)
    e = CauchySchwarz(bandwidth=0.1).estimate(x, x + 1e4, n_permutations=99)
    assert e.p_value == 1 / 100
    assert math.isfinite(e.value)


@pytest.mark.parametrize("unbiased", [False, True])
def test_mmd_is_the_function_with_the_reported_bandwidth(unbiased):
    x, y = samples(100, 2), samples(80, 2, seed=1, shift=1.0)
    e = MMD(unbiased=unbiased).estimate(x, y)
    expected = mmd(
        torch.from_numpy(x),
        torch.from_numpy(y),
        bandwidth=e.info["bandwidth"],
        unbiased=unbiased,
    )
    assert e.value == pytest.approx(expected.item(), rel=1e-10)
    assert (e.quantity, e.unit) == ("squared_maximum_mean_discrepancy", "")


@pytest.mark.parametrize("unbiased", [False, True])
def test_mmd_p_values_are_uniform_and_do_not_depend_on_how_they_are_computed(monkeypatch, unbiased):
    def p_value(seed, shift=0.0):
        x, y = samples(20, 1, seed), samples(25, 1, 500 + seed, shift)
        # Another seed than that of the data, whose stream the permutations would repeat.
        estimator = MMD(unbiased=unbiased, random_state=10_000 + seed)
        return estimator.estimate(x, y, n_permutations=19).p_value

    p_values = np.array([p_value(seed) for seed in range(150)])
    for level in (0.05, 0.25, 0.5):
        error = math.sqrt(level * (1.0 - level) / 150.0)
        assert abs(np.mean(p_values <= level + 1e-9) - level) < 3.0 * error
    by_matrix = [p_value(seed, 0.4) for seed in range(5)]
    monkeypatch.setattr(kernel_divergence, "MOST_ROWS_OF_MATRIX", 10)
    assert [p_value(seed, 0.4) for seed in range(5)] == by_matrix


def test_mmd_says_degenerate_kernels():
    x, y = samples(50, 2), samples(50, 2, seed=1)
    for unbiased in (False, True):
        assert MMD(bandwidth=1e-9, unbiased=unbiased).estimate(x, y).has("kernel_is_identity")
        assert MMD(bandwidth=1e9, unbiased=unbiased).estimate(x, y).has("kernel_is_constant")
    with pytest.raises(TypeError, match="unbiased must be"):
        MMD(unbiased=1).estimate(x, y)


@pytest.mark.parametrize("method", [CauchySchwarz, MMD])
@pytest.mark.parametrize(("width", "warned"), [(0.003, True), (0.006, True), (0.03, False)])
def test_says_how_much_of_a_kernel_sum_is_the_row_itself(method, width, warned):
    x, y = samples(100, 1), samples(80, 1, seed=1)
    share = max(len(part) / np.exp(-0.5 * ((part - part.T) / width) ** 2).sum() for part in (x, y))
    assert (share > 0.5) == warned
    e = method(bandwidth=width).estimate(x, y)
    said = [c.sentence for c in e.warnings if c.code == "kernel_is_identity"]
    assert len(said) == warned
    assert all(f" {share:.0%} of the mean kernel sum" in sentence for sentence in said)
    assert not MMD(bandwidth=width, unbiased=True).estimate(x, y).warnings  # it is in no sum


@pytest.mark.parametrize("most_rows", [10, 5000])
def test_permutations_have_the_bandwidth_of_the_value(monkeypatch, most_rows):
    monkeypatch.setattr(kernel_divergence, "MOST_ROWS_OF_MATRIX", most_rows)
    monkeypatch.setattr(bandwidths, "MEDIAN_ROWS", 12)  # the rule reads some rows, by their place
    rng = np.random.default_rng(3)
    pooled = rng.standard_normal((60, 2))
    ask = Ask(None, 1.0, rng)
    width = CauchySchwarz()._estimate(pooled[:35], pooled[35:], ask).info["bandwidth"]
    statistic = CauchySchwarz()._statistic(pooled, 35, ask)
    moved = torch.from_numpy(pooled)
    for _ in range(3):
        order = rng.permutation(60)
        means = log_kernel_means(moved[order[:35]], moved[order[35:]], bandwidth=width)
        assert statistic(order) == pytest.approx(means.cauchy_schwarz.item(), rel=1e-9)


def test_permutations_keep_the_digits_of_clusters_far_apart():
    rng = np.random.default_rng(4)
    pooled = rng.standard_normal((60, 2)) + 1e7 * (np.arange(60) % 2)[:, None]
    order = rng.permutation(60)
    ask = Ask(None, 1.0, rng)
    estimator = CauchySchwarz(bandwidth=1.0)
    value = estimator._estimate(pooled[order[:30]], pooled[order[30:]], ask).value
    assert estimator._statistic(pooled, 30, ask)(order) == pytest.approx(value, rel=1e-9)
