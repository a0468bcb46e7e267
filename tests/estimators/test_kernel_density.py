import numpy as np
import pytest
import torch

from infoest import KDE, KDEEntropy
from infoest.estimators import kernel_density
from infoest.kernels import _chunked, reductions

NORMAL_ENTROPY = 0.5 * np.log(2 * np.pi * np.e)


def normal(n, d=1, rho=0.0, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, d))
    return x, rho * x + np.sqrt(1 - rho**2) * rng.standard_normal((n, d))


def naive_log_density(x, widths):
    """Return the leave-one-out log-density of every row."""
    x = x / widths
    kernel = np.exp(-0.5 * ((x[:, None] - x[None]) ** 2).sum(-1))
    np.fill_diagonal(kernel, 0.0)
    volume = np.prod(widths) * (2 * np.pi) ** (x.shape[1] / 2)
    return np.log(kernel.sum(axis=1) / (len(x) - 1) / volume)


# ------------------------------------------------------------------------------------------ entropy


@pytest.mark.parametrize("d", [1, 3])
def test_entropy_is_the_mean_of_leave_one_out_log_densities(d):
    x = normal(200, d)[0] * np.arange(1.0, d + 1.0)
    e = KDEEntropy().estimate(x)
    silverman = (4 / ((d + 2) * 200)) ** (1 / (d + 4)) * x.std(axis=0, ddof=1)
    np.testing.assert_allclose(e.info["bandwidth"], silverman, rtol=1e-12)
    assert e.value == pytest.approx(-naive_log_density(x, silverman).mean(), rel=1e-12)
    number = KDEEntropy(bandwidth=0.8).estimate(x)
    assert number.value == pytest.approx(-naive_log_density(x, np.full(d, 0.8)).mean(), rel=1e-12)


@pytest.mark.parametrize(("d", "tolerance"), [(1, 0.05), (2, 0.08)])
def test_entropy_of_normal_data(d, tolerance):
    values = [KDEEntropy().estimate(normal(500, d, seed=s)[0], confidence=None) for s in range(8)]
    assert np.mean([e.value for e in values]) == pytest.approx(d * NORMAL_ENTROPY, abs=tolerance)


@pytest.mark.parametrize(("scale", "offset"), [(1e-12, 0.0), (1e12, 0.0), (1e300, 0.0), (1.0, 1e6)])
def test_entropy_follows_scale_and_offset(scale, offset):
    x = normal(100, 2)[0]
    value = KDEEntropy().estimate(x, confidence=None).value
    moved = KDEEntropy().estimate(x * scale + offset, confidence=None).value
    assert moved == pytest.approx(value + 2 * np.log(scale), abs=1e-7)


def test_entropy_interval_covers_normal_data_and_knows_sharp_edges():
    covered = [
        e.interval[0] <= NORMAL_ENTROPY <= e.interval[1]
        for e in (KDEEntropy().estimate(normal(100, seed=s)[0], block=1) for s in range(50))
    ]
    assert np.mean(covered) > 0.9
    uniform = KDEEntropy().estimate(np.random.default_rng(0).random(1000))
    assert uniform.value > 0.05
    assert uniform.has("bias_not_explained")
    assert uniform.interval[0] <= 0.0
    assert not KDEEntropy().estimate(normal(1000)[0]).warnings


def test_entropy_interval_allows_for_the_bias_of_correlated_columns():
    x = np.hstack(normal(500, rho=0.9))
    truth = 2 * NORMAL_ENTROPY + 0.5 * np.log(1 - 0.81)
    e = KDEEntropy().estimate(x)
    assert e.value > truth + 0.05
    assert e.has("bias_exceeds_error")
    assert e.interval[0] < truth < e.interval[1]


def test_isolated_samples_give_a_finite_entropy_and_a_caution():
    x = normal(300)[0]
    x[0] = 1e5
    e = KDEEntropy(bandwidth=0.01).estimate(x)
    assert np.isfinite([e.value, *e.interval]).all()
    assert e.has("high_variance")
    tiny = KDEEntropy(bandwidth=1e-9).estimate(normal(300)[0])
    assert np.isfinite(tiny.value)
    assert tiny.has("too_few_samples_for_dimension")


def test_ties_and_time_series():
    x = np.round(normal(300)[0], 1)
    assert KDEEntropy().estimate(x).value == pytest.approx(NORMAL_ENTROPY, abs=0.2)
    steps = np.cumsum(np.random.default_rng(0).standard_normal(400))
    iid, honest = (KDEEntropy().estimate(steps, block=block) for block in (1, None))
    assert honest.has("autocorrelated_samples")
    assert honest.std_error > 2.0 * iid.std_error


def test_many_columns_are_said_to_be_too_many():
    assert KDEEntropy().estimate(normal(200, 8)[0]).has("too_few_samples_for_dimension")
    wide = KDEEntropy().estimate(normal(10, 12)[0])
    assert wide.has("too_few_samples_for_dimension")
    assert wide.interval is None


# ------------------------------------------------------------------------------- mutual information


def test_information_is_the_mean_of_log_ratios_with_one_bandwidth_per_column():
    x, y = normal(150, 2, rho=0.5)
    y = 10.0 * y
    e = KDE().estimate(x, y)
    both = np.hstack([x, y])
    widths = (4 / (6 * 150)) ** (1 / 8) * both.std(axis=0, ddof=1)
    np.testing.assert_allclose(e.info["bandwidth"], widths, rtol=1e-12)
    local = naive_log_density(both, widths)
    local -= naive_log_density(x, widths[:2]) + naive_log_density(y, widths[2:])
    assert e.value == pytest.approx(local.mean(), rel=1e-11)
    given = KDE(bandwidth=list(widths)).estimate(x, y)
    assert given.value == pytest.approx(e.value, rel=1e-12)
    one = KDE(bandwidth=0.7).estimate(x, y)
    assert one.info["bandwidth"] == pytest.approx([0.7] * 4)


@pytest.mark.parametrize(("rho", "low", "high"), [(0.0, -0.03, 0.0), (0.6, -0.05, 0.0)])
def test_information_of_normal_data_is_slightly_low(rho, low, high):
    truth = -0.5 * np.log(1 - rho**2)
    errors = [
        KDE().estimate(*normal(500, rho=rho, seed=s), confidence=None).value - truth
        for s in range(10)
    ]
    assert low < np.mean(errors) < high


@pytest.mark.parametrize("rho", [0.0, 0.6, 0.9])
def test_information_interval_covers_normal_data(rho):
    truth = -0.5 * np.log(1 - rho**2)
    estimates = [KDE().estimate(*normal(100, rho=rho, seed=s), block=1) for s in range(40)]
    assert np.mean([e.interval[0] <= truth <= e.interval[1] for e in estimates]) > 0.88
    assert all(e.interval[0] <= e.value <= e.interval[1] for e in estimates)
    # The standard error is that of repeated experiments, 1.2 times too large at most.
    spread = np.std([e.value for e in estimates])
    assert 0.7 < spread / np.mean([e.std_error for e in estimates]) < 1.3
    assert np.mean([e.has("bias_exceeds_error") for e in estimates]) > 0.8 or rho < 0.9


def test_dependence_unlike_a_gaussian_copula_is_not_explained():
    rng = np.random.default_rng(0)
    x = rng.random(400)
    y = np.sin(4 * np.pi * x) + 0.3 * rng.standard_normal(400)
    e = KDE().estimate(x, y)
    assert e.has("bias_not_explained")
    assert not e.has("bias_exceeds_error")


def test_information_does_not_depend_on_units_order_or_sides():
    x, y = normal(100, 2, rho=0.5)
    value = KDE().estimate(x, y).value
    moved = KDE().estimate(x * 1e6 + 1e6, y[:, ::-1] * [-1e-12, 1e12])
    assert moved.value == pytest.approx(value, abs=1e-9)
    assert KDE().estimate(y, x).value == pytest.approx(value, abs=1e-12)
    order = np.random.default_rng(0).permutation(100)
    assert KDE().estimate(x[order], y[order]).value == pytest.approx(value, abs=1e-12)


def test_too_many_columns_a_side_are_said():
    assert KDE().estimate(*normal(200, 4, rho=0.5)).has("too_few_samples_for_dimension")
    assert not KDE().estimate(*normal(200, 1, rho=0.5)).has("too_few_samples_for_dimension")


def test_permutations_see_dependence():
    assert KDE().estimate(*normal(80, rho=0.7), n_permutations=49).p_value == 0.02
    assert KDE().estimate(*normal(80, rho=0.0), n_permutations=49).p_value > 0.05


# ------------------------------------------------------------------------------------------- labels


def labeled(n, classes=2, gap=3.0, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    return labels * gap + rng.standard_normal(n), labels


def test_labels_use_densities_within_classes():
    x, labels = labeled(200)
    e = KDE().estimate(x, labels, discrete="y")
    width = np.array(e.info["bandwidth"])
    local = -naive_log_density(x[:, None], width)
    for label in (0, 1):
        rows = labels == label
        local[rows] += naive_log_density(x[rows, None], width)
    assert e.value == pytest.approx(local.mean(), rel=1e-11)
    names = np.array(["a", "b"])[labels]
    assert KDE().estimate(names, x, discrete="x").value == pytest.approx(e.value, rel=1e-12)
    assert e.interval[0] < 0.527 < e.interval[1]  # by quadrature
    assert not e.has("high_variance")


def test_independent_and_separate_labels():
    x, labels = labeled(400, gap=0.0)
    e = KDE().estimate(x, labels, discrete="y")
    assert abs(e.value) < 0.03
    assert e.interval[0] <= 0.0 <= e.interval[1]
    x, labels = labeled(400, classes=3, gap=50.0)
    assert KDE().estimate(x, labels, discrete="y").value == pytest.approx(np.log(3), abs=0.02)


def test_samples_alone_in_their_class_are_left_out():
    x, labels = labeled(200)
    labels[:20] = np.arange(100, 120)
    e = KDE().estimate(x, labels, discrete="y")
    assert np.isfinite([e.value, *e.interval]).all()
    assert "20 of 200" in next(
        c.sentence for c in e.warnings if c.code == "too_few_samples_for_dimension"
    )
    with pytest.raises(ValueError, match="labels that repeat, got 200 different ones"):
        KDE().estimate(x, np.arange(200), discrete="y")


# ---------------------------------------------------------------------------------------- the house


@pytest.mark.parametrize("estimator", [KDE(), KDEEntropy()])
def test_repeats_itself_and_does_not_mind_the_container(estimator):
    x, y = normal(60, rho=0.5)
    data = (x, y) if isinstance(estimator, KDE) else (x,)
    e = estimator.estimate(*data)
    assert e == estimator.copy().estimate(*data)
    assert e == estimator.estimate(*(torch.from_numpy(part) for part in data))
    copies = [part.copy() for part in data]
    for part in data:
        part.setflags(write=False)
    assert e == estimator.estimate(*data)
    for part, copy in zip(data, copies, strict=True):
        np.testing.assert_array_equal(part, copy)
    plain = estimator.estimate(*data, confidence=None)
    assert (plain.value, plain.interval, plain.std_error) == (e.value, None, None)


def test_blocks_and_the_whole_matrix_agree_and_drift_rows_are_limited(monkeypatch):
    x, y = normal(250, rho=0.5)
    e = KDE().estimate(x, y)
    monkeypatch.setattr(reductions, "TILE_PAIRS", 1000)
    monkeypatch.setattr(_chunked, "BLOCK_PAIRS", 5000)
    chunked = KDE().estimate(x, y)
    assert chunked.value == pytest.approx(e.value, rel=1e-12)
    assert chunked.interval == pytest.approx(e.interval, rel=1e-9)
    monkeypatch.setattr(kernel_density, "DRIFT_ROWS", 100)
    fewer = KDE().estimate(x, y)
    assert fewer.value == chunked.value
    assert np.isfinite(fewer.interval).all()
    entropy = KDEEntropy().estimate(np.hstack([x, y]))
    assert np.isfinite(entropy.interval).all()


@pytest.mark.parametrize("estimator", [KDE, KDEEntropy])
def test_refuses_bad_bandwidths(estimator):
    x, y = normal(20)
    data = (x, y) if estimator is KDE else (x,)
    for bad in (0.0, -1.0, np.nan, np.inf, "scott", [1.0, 2.0, 3.0], 1e-200):
        with pytest.raises(ValueError, match="bandwidth must be"):
            estimator(bandwidth=bad).estimate(*data)
    for bad in (None, True, ["a"]):
        with pytest.raises(TypeError, match="bandwidth must"):
            estimator(bandwidth=bad).estimate(*data)
    median = estimator(bandwidth="median").estimate(*data)
    assert np.isfinite(median.value)


@pytest.mark.parametrize(("width", "warned"), [(0.001, True), (0.003, True), (0.3, False)])
def test_says_when_a_typical_row_would_see_mostly_itself(width, warned):
    x, y = normal(200, 1, rho=0.5)
    e = KDEEntropy(bandwidth=width).estimate(x, confidence=None)
    share = 1.0 / (1.0 + e.info["effective_neighbors"])
    said = [c.sentence for c in e.warnings if c.code == "kernel_is_identity"]
    assert len(said) == warned == (share > 0.5)
    assert all(f" {share:.0%} of its own kernel sum" in sentence for sentence in said)
    assert KDE(bandwidth=width).estimate(x, y, confidence=None).has("kernel_is_identity") == warned
