"""Information from spectra: classes, references, permutations, p-values, limits, bad input."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
import torch

from infoest import DiffusionSpectralMI, MatrixRenyi, estimate
from infoest.functional import diffusion_spectral_entropy, matrix_renyi_mi


def samples(n: int, d: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, d))


def classes(n: int, number: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed + 77).integers(0, number, n)


def entropy(x: np.ndarray, **settings) -> float:
    return diffusion_spectral_entropy(torch.from_numpy(np.ascontiguousarray(x)), **settings).item()


# ----------------------------------------------------------------------------- diffusion: the value


@pytest.mark.parametrize("settings", [{}, {"t": 2}, {"anisotropy": 0.5}])
def test_without_subsamples_it_is_the_difference_of_entropies(settings: dict) -> None:
    x, y = samples(60, 2), classes(60)
    settings = {"bandwidth": 0.8, **settings}
    expected = entropy(x, **settings)
    for label in np.unique(y):
        expected -= np.mean(y == label) * entropy(x[y == label], **settings)
    found = DiffusionSpectralMI(n_subsamples=0, **settings).estimate(x, y)
    assert found.value == pytest.approx(expected, abs=1e-12)
    assert found.std_error is None
    assert found.info["classes"] == 3
    assert found.info["entropy_reference"] == pytest.approx(entropy(x, **settings), abs=1e-12)


def test_the_reference_is_the_mean_over_random_subsets() -> None:
    """Many subsets approach the expectation; the spread of few is the standard error."""
    x, y = samples(40, 2), np.repeat([0, 1], [10, 30])
    few = [
        DiffusionSpectralMI(bandwidth=0.8, n_subsamples=4, random_state=seed).estimate(x, y)
        for seed in range(30)
    ]
    many = DiffusionSpectralMI(bandwidth=0.8, n_subsamples=600, random_state=99).estimate(x, y)
    values = np.array([one.value for one in few])
    error = np.hypot(values.std(ddof=1) / np.sqrt(30), many.std_error)
    assert values.mean() == pytest.approx(many.value, abs=4.0 * error)
    typical = np.sqrt(np.mean([one.std_error**2 for one in few]))
    assert 0.6 < values.std(ddof=1) / typical < 1.7
    assert {one.info["entropy_within"] for one in few} == {few[0].info["entropy_within"]}


def test_the_reference_is_exact_where_there_are_few_subsets() -> None:
    x, y = samples(6, 2), np.array([0, 0, 0, 0, 0, 1])
    settings = {"bandwidth": 0.8}
    reference = np.mean([entropy(x[list(rows)], **settings) for rows in combinations(range(6), 5)])
    expected = 5 / 6 * (reference - entropy(x[:5], **settings))  # the class of one adds nothing
    found = DiffusionSpectralMI(n_subsamples=6, **settings).estimate(x, y)
    assert found.value == pytest.approx(expected, abs=1e-12)
    assert found.std_error is None
    other = DiffusionSpectralMI(n_subsamples=6, random_state=5, **settings).estimate(x, y)
    assert other.value == found.value
    assert DiffusionSpectralMI(n_subsamples=5, **settings).estimate(x, y).std_error > 0.0
    assert DiffusionSpectralMI(n_subsamples=1, **settings).estimate(x, y).std_error is None


def test_one_class_and_classes_of_one_row_have_no_information() -> None:
    x = samples(30, 2)
    for y in (np.zeros(30, dtype=int), np.arange(30)):
        for number in (1, 5):
            assert DiffusionSpectralMI(bandwidth=0.5, n_subsamples=number).estimate(x, y).value == 0


@pytest.mark.parametrize("number", [0, 5])
def test_says_when_most_rows_are_alone_in_their_class(number: int) -> None:
    x, estimator = samples(30, 2), DiffusionSpectralMI(bandwidth=0.5, n_subsamples=number)
    for alone in (30, 16):
        y = np.maximum(np.arange(30), 29 - alone)
        found = estimator.estimate(x, y)
        assert found.has("kernel_is_identity")
        assert found.warnings[0].sentence.startswith(f"{alone} of 30 rows are alone")
    assert not estimator.estimate(x, np.maximum(np.arange(30), 15)).warnings


def test_subsets_of_classes_of_one_size_differ() -> None:
    """The published code draws the same subsets for every class."""
    x, y = samples(40, 2), np.repeat([0, 1], 20)
    found = DiffusionSpectralMI(bandwidth=0.3, n_subsamples=1).estimate(x, y)
    rng = np.random.default_rng(0)
    sizes = [entropy(x[rng.choice(40, 20, replace=False)], bandwidth=0.3) for _ in range(2)]
    assert sizes[0] != sizes[1]
    assert found.info["entropy_reference"] == pytest.approx(np.mean(sizes), abs=1e-12)


def test_it_may_be_negative_and_is_zero_on_average_at_independence() -> None:
    found = [
        DiffusionSpectralMI(bandwidth=0.8, random_state=seed)
        .estimate(samples(60, 2, seed), classes(60, 3, seed))
        .value
        for seed in range(60)
    ]
    assert min(found) < 0.0
    assert abs(np.mean(found)) < 4.0 * np.std(found, ddof=1) / np.sqrt(60)


# --------------------------------------------------------------------------- diffusion: the classes


def test_integers_strings_and_few_values_are_classes() -> None:
    x, y = samples(60, 2), classes(60, 4)
    estimator = DiffusionSpectralMI(bandwidth=0.8)
    expected = estimator.estimate(x, y)
    assert expected.info["classes"] == 4
    assert not expected.has("integers_treated_as_continuous")
    words = np.array(["a", "b", "c", "d"])[y]
    assert estimator.estimate(x, words, discrete="y").value == expected.value
    for same in (y[:, None], 0.1 * y, torch.from_numpy(y), y.astype(np.float32), y.tolist()):
        assert estimator.estimate(x, same).value == expected.value
    assert estimator.estimate(x, y > 1).info["classes"] == 2
    many = np.arange(60) // 2
    assert estimator.estimate(x, many).info["classes"] == 30


def test_one_continuous_column_is_cut_into_equal_bins() -> None:
    x, y = samples(200, 2), samples(200, 1, seed=1)[:, 0]
    estimator = DiffusionSpectralMI(bandwidth=0.8, bins=4)
    edges = np.linspace(y.min(), y.max(), 5)[1:-1]
    expected = estimator.estimate(x, np.digitize(y, edges))
    for column in (y, 1e300 * y, -7.0 + 3.0 * y):
        found = estimator.estimate(x, column)
        assert found.value == pytest.approx(expected.value, abs=1e-12)
        assert found.info["classes"] == 4
    assert DiffusionSpectralMI().estimate(x, y).info["classes"] <= 10


def test_several_columns_are_cut_into_clusters() -> None:
    rng = np.random.default_rng(0)
    group = rng.integers(0, 3, 150)
    y = 10.0 * np.eye(3)[group] + 0.1 * rng.standard_normal((150, 3))
    x = samples(150, 2)
    within = DiffusionSpectralMI(bandwidth=0.8).estimate(x, group).info["entropy_within"]
    for scale in (1.0, 1e200):
        found = DiffusionSpectralMI(bandwidth=0.8, bins=3).estimate(x, scale * y)
        assert found.info["classes"] == 3
        assert found.info["entropy_within"] == pytest.approx(within, abs=1e-12)
    few = np.eye(3)[group]  # three different rows
    assert DiffusionSpectralMI(bandwidth=0.8).estimate(x, few).info["entropy_within"] == (
        pytest.approx(within, abs=1e-12)
    )
    images = rng.integers(0, 255, (150, 4))
    found = DiffusionSpectralMI(bandwidth=0.8).estimate(x, images)
    assert found.has("integers_treated_as_continuous")
    assert found.info["classes"] == 10


def test_labels_of_x_have_a_kernel_of_their_own() -> None:
    x, y = classes(60, 4), classes(60, 2, seed=1)
    settings = {"n_subsamples": 0}
    found = DiffusionSpectralMI(**settings).estimate(x, y, discrete="x")
    onehot = 1e3 * np.eye(4)[x]
    expected = DiffusionSpectralMI(bandwidth=1.0, **settings).estimate(onehot, y)
    assert found.value == pytest.approx(expected.value, abs=1e-12)
    assert found.info["bandwidth"] is None


# ------------------------------------------------------------------------- diffusion: large samples


def test_large_classes_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    from infoest.estimators import spectral_information

    x = samples(1300, 2)
    y = (x[:, 0] > 0.0).astype(int)
    exact = DiffusionSpectralMI(bandwidth=0.5, n_subsamples=2).estimate(x, y)
    for most in (5000, 100):  # with and without the kernel matrix of all rows
        monkeypatch.setattr(spectral_information, "MOST_ROWS_OF_MATRICES", most)
        found = DiffusionSpectralMI(bandwidth=0.5, n_subsamples=2, exact_up_to=500).estimate(x, y)
        assert found.info["method"] == "lanczos"
        assert found.value == pytest.approx(exact.value, abs=0.05)
        assert found.info["entropy_within"] == pytest.approx(exact.info["entropy_within"], rel=0.01)
        again = DiffusionSpectralMI(bandwidth=0.5, n_subsamples=2).estimate(x, y)
        assert again.value == pytest.approx(exact.value, abs=1e-10)
    with pytest.raises(ValueError, match=r"^t must be a finite number of at least 1, got 0\.5"):
        DiffusionSpectralMI(t=0.5, exact_up_to=500).estimate(x, y)


# ------------------------------------------------------------------------------------ matrix Renyi


@pytest.mark.parametrize("alpha", [1, 1.01, 2, 3])
def test_matrix_renyi_is_the_function(alpha: float) -> None:
    x, y = samples(60, 3), samples(60, 1, seed=1)
    found = MatrixRenyi(alpha=alpha, bandwidth_x=0.8, bandwidth_y="median").estimate(x, y)
    expected = matrix_renyi_mi(
        torch.from_numpy(x),
        torch.from_numpy(y),
        alpha=alpha,
        bandwidth=0.8,
        bandwidth_y="median",
    )
    assert found.value == pytest.approx(expected.item(), abs=1e-11)
    info = found.info
    assert found.value == info["entropy_x"] + info["entropy_y"] - info["joint_entropy"]
    assert info["bandwidth_x"] == 0.8
    assert MatrixRenyi(alpha=alpha, bandwidth_y=0.8).estimate(y, x).value == pytest.approx(
        found.value, abs=1e-11
    )


def test_matrix_renyi_of_labels() -> None:
    x, y = classes(60, 4), classes(60, 2, seed=1)
    found = MatrixRenyi(alpha=1).estimate(x, y, discrete="both").value
    # Blocks of ones: the entropies are those of counts.
    joint = np.histogram2d(x, y, bins=(4, 2))[0] / 60

    def shannon(shares: np.ndarray) -> float:
        shares = shares[shares > 0]
        return float(-shares @ np.log(shares))

    expected = shannon(joint.sum(1)) + shannon(joint.sum(0)) - shannon(joint.ravel())
    assert found == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("alpha", [1.01, 3])
def test_matrix_renyi_of_many_rows_is_sampled(alpha: float) -> None:
    x = samples(800, 2)
    y = x[:, :1] + samples(800, 1, seed=1)
    exact = MatrixRenyi(alpha=alpha).estimate(x, y)
    found = MatrixRenyi(alpha=alpha, exact_up_to=500).estimate(x, y)
    assert found.info["method"] == "lanczos"
    assert found.std_error > 0.0
    assert found.value == pytest.approx(exact.value, abs=5.0 * found.std_error)
    assert found.value == pytest.approx(exact.value, rel=0.02)


# ---------------------------------------------------------------------------------- significance


CASES = {
    "diffusion": (DiffusionSpectralMI(bandwidth=0.7), lambda seed: classes(24, 3, seed)),
    "diffusion, continuous": (
        DiffusionSpectralMI(bandwidth=0.7, bins=3, n_subsamples=1),
        lambda seed: samples(24, 1, seed + 900),
    ),
    "renyi": (MatrixRenyi(), lambda seed: samples(24, 1, seed + 900)),
    "renyi of order 2": (MatrixRenyi(alpha=2), lambda seed: samples(24, 1, seed + 900)),
}


@pytest.mark.parametrize("name", CASES)
def test_p_values_are_uniform_at_independence(name: str) -> None:
    estimator, make = CASES[name]
    n_seeds = 150
    p_values = np.array(
        [
            estimator.copy()
            .set_params(random_state=seed)
            .estimate(samples(24, 2, seed), make(seed), n_permutations=19, block=1)
            .p_value
            for seed in range(n_seeds)
        ]
    )
    for level in (0.1, 0.3, 0.5):
        error = np.sqrt(level * (1 - level) / n_seeds)
        assert np.mean(p_values <= level) == pytest.approx(level, abs=3.0 * error)


@pytest.mark.parametrize(
    "estimator",
    [
        DiffusionSpectralMI(bandwidth=0.7),
        DiffusionSpectralMI(bandwidth=0.7, n_subsamples=0, t=2),
        MatrixRenyi(),
        MatrixRenyi(alpha=2),
    ],
)
def test_shared_work_gives_the_order_of_whole_values(estimator) -> None:
    """The p-value's statistic is the value, but for a constant, under any order of y."""
    estimator = estimator.copy().set_params(random_state=0)
    x = samples(40, 2)
    y = (
        (x[:, 0] + samples(40, 1, seed=1)[:, 0])
        if isinstance(estimator, MatrixRenyi)
        else (classes(40))
    )
    data = estimator._read(x, y, None, None, "raise")
    ask = estimator._ask(data, None, 0, 1)
    statistic = estimator._statistic(data.x, data.y, None, ask)
    rng = np.random.default_rng(0)
    differences = []
    for _ in range(4):
        order = rng.permutation(40)
        info = estimator.estimate(x, y[order]).info
        value = -info.get("entropy_within", info.get("joint_entropy"))
        differences.append(statistic(order) - value)
    np.testing.assert_allclose(differences, differences[0], atol=1e-10)
    np.testing.assert_allclose(differences, 0.0, atol=1e-10)


def test_p_values_find_dependence_of_any_kind() -> None:
    x = samples(120, 2)
    radius = np.hypot(*x.T)
    for estimator in (MatrixRenyi(), MatrixRenyi(alpha=2), DiffusionSpectralMI(bandwidth=0.7)):
        assert estimator.estimate(x, radius, n_permutations=99, block=1).p_value == 0.01
    sampled = MatrixRenyi(exact_up_to=500).estimate(
        samples(600, 1), samples(600, 1) ** 2, n_permutations=19, block=1
    )
    assert sampled.p_value == 0.05


# ------------------------------------------------------------------------------- limits, bad input


def test_says_when_the_kernel_sees_nothing_or_everything() -> None:
    x, y = samples(80, 2), samples(80, 1, seed=1)
    narrow = MatrixRenyi(bandwidth_x=1e-5).estimate(x, y)
    assert narrow.has("kernel_is_identity")
    assert narrow.value == pytest.approx(narrow.info["entropy_y"], abs=1e-9)
    assert MatrixRenyi(bandwidth_y=1e3).estimate(x, y).has("kernel_is_constant")
    assert not MatrixRenyi().estimate(x, y).warnings
    label = classes(80)
    assert DiffusionSpectralMI(bandwidth=1e-5).estimate(x, label).has("kernel_is_identity")
    assert DiffusionSpectralMI(bandwidth=1e3).estimate(x, label).has("kernel_is_constant")
    assert not DiffusionSpectralMI(bandwidth=0.7).estimate(x, label).warnings


def test_equal_rows_carry_no_information() -> None:
    same, y = np.full((40, 2), 3.0), samples(40, 1)
    for estimator in (MatrixRenyi(), MatrixRenyi(alpha=2), DiffusionSpectralMI()):
        for pair in ((same, y), (y, same)):
            found = estimator.estimate(*pair)
            assert found.value == pytest.approx(0.0, abs=1e-12)
    assert MatrixRenyi().estimate(same, y).has("kernel_is_constant")


@pytest.mark.parametrize(
    ("estimator", "error", "text"),
    [
        (DiffusionSpectralMI(t=-1), ValueError, "t must be a finite number above 0, got -1"),
        (DiffusionSpectralMI(bins=1), ValueError, "bins must be an integer of at least 2, got 1"),
        (DiffusionSpectralMI(bins=2.5), TypeError, "bins must be an integer of at least 2 and"),
        (DiffusionSpectralMI(n_subsamples=-1), ValueError, "n_subsamples must be an integer of at"),
        (DiffusionSpectralMI(n_subsamples=None), TypeError, "n_subsamples must be an integer of a"),
        (DiffusionSpectralMI(anisotropy=-1), ValueError, r"anisotropy must be in \[0, 1\], got -1"),
        (DiffusionSpectralMI(bandwidth=0.0), ValueError, "bandwidth must be a finite number abov"),
        (DiffusionSpectralMI(exact_up_to=3), ValueError, "exact_up_to must be an integer of at l"),
        (MatrixRenyi(alpha=-1), ValueError, "alpha must be a finite number above 0, got -1"),
        (MatrixRenyi(bandwidth_x=0), ValueError, "bandwidth_x must be a finite number above 0"),
        (MatrixRenyi(bandwidth_y="x"), ValueError, r"bandwidth_y must be one of \[.*'sqrt_d'\], g"),
        (MatrixRenyi(probes=0), ValueError, r"probes must be in \[2, 100\], got 0"),
    ],
)
def test_settings_out_of_range(estimator, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match="^" + text):
        estimator.estimate(samples(30, 2), samples(30, 1, seed=1))


def test_bad_classes_are_refused_by_name() -> None:
    x = samples(30, 2)
    with pytest.raises(TypeError, match=r"^y must be numeric, got strings\. Name the side"):
        DiffusionSpectralMI().estimate(x, np.array(["a", "b"] * 15))
    with pytest.raises(ValueError, match=r"^y must have rows of equal length, got a ragged"):
        DiffusionSpectralMI().estimate(x, [[1], [2, 3]] * 15)
    with pytest.raises(ValueError, match=r"^z must be None for DiffusionSpectralMI"):
        DiffusionSpectralMI().estimate(x, x[:, 0], z=x[:, 1])
    with pytest.raises(ValueError, match=r"^y must be finite, got 1 NaN"):
        DiffusionSpectralMI().estimate(x, np.r_[np.nan, x[1:, 0]])


def test_front_door() -> None:
    x, y = samples(60, 2), classes(60)
    found = estimate(x, y, "diffusion_spectral_mi")
    assert found.quantity == "diffusion_spectral_mi"
    assert found.unit == "nats"
    assert found.interval is None
    assert estimate(x, x[:, 0], "matrix_renyi").quantity == "matrix_renyi_mi"
    assert math.isfinite(found.value)
