"""Discrete, DiscreteEntropy and Binned: closed forms, identities, intervals, cautions, errors."""

import numpy as np
import pytest

from infoest.datasets import discrete_table
from infoest.estimators.counting import Binned, Discrete, DiscreteEntropy
from infoest.functional.discrete import (
    CORRECTIONS,
    discrete_entropy,
    discrete_mutual_information,
    nsb_standard_deviation,
)

each_correction = pytest.mark.parametrize("correction", CORRECTIONS)

COLORS = ["red", "red", "blue", "blue", "green", "green", "green", "red"]
SIZES = ["s", "s", "l", "l", "s", "l", "s", "s"]


def mixed_table(size, dependence):
    """The mixture of independent and equal labels."""
    return (1 - dependence) / size**2 + dependence * np.eye(size) / size


def coverage(estimates, truth):
    return np.mean([e.interval[0] <= truth <= e.interval[1] for e in estimates])


@pytest.fixture
def labels():
    rng = np.random.default_rng(3)
    x = rng.integers(0, 4, 600)
    y = (x + rng.integers(0, 3, 600)) % 5
    z = (y + rng.integers(0, 2, 600)) % 3
    return x, y, z


# Discrete ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("correction", "extra"), [("none", 0.0), ("miller_madow", -1 / 16)])
def test_two_by_two_by_hand(correction, extra):
    # Counts 3, 1 / 1, 3: I = log 2 - h(1/4); Miller-Madow takes (4 - 2 - 2 + 1) / (2 n) away.
    x = [0, 0, 0, 0, 1, 1, 1, 1]
    y = [0, 0, 0, 1, 0, 1, 1, 1]
    expected = np.log(2) + 0.25 * np.log(0.25) + 0.75 * np.log(0.75) + extra
    assert Discrete(correction=correction).estimate(x, y).value == pytest.approx(expected)


@each_correction
def test_value_is_that_of_the_formula(correction, labels):
    x, y, _ = labels
    value = Discrete(correction=correction).estimate(x, y).value
    assert value == discrete_mutual_information(x, y, correction=correction)


@each_correction
def test_symmetry(correction, labels):
    x, y, z = labels
    estimator = Discrete(correction=correction)
    for condition in (None, z):
        one = estimator.estimate(x, y, z=condition)
        other = estimator.estimate(y, x, z=condition)
        assert one.value == pytest.approx(other.value)
        assert one.interval == pytest.approx(other.interval)
        assert one.std_error == pytest.approx(other.std_error)


@pytest.mark.parametrize("correction", ["none", "miller_madow", "grassberger", "chao_shen"])
def test_chain_rule(correction, labels):
    x, y, z = labels
    estimator = Discrete(correction=correction)
    both = estimator.estimate(x, np.stack([y, z], axis=1)).value
    parts = estimator.estimate(x, z).value + estimator.estimate(x, y, z=z).value
    assert both == pytest.approx(parts)


def test_exclusive_or_is_seen_with_the_condition_only():
    x, y = np.array([0, 0, 1, 1] * 40), np.array([0, 1, 0, 1] * 40)
    estimator = Discrete(correction="none")
    assert estimator.estimate(x, y).value == pytest.approx(0.0, abs=1e-15)
    assert estimator.estimate(x, y, z=x ^ y).value == pytest.approx(np.log(2))


def test_a_condition_that_is_constant_changes_nothing(labels):
    x, y, _ = labels
    plain = Discrete().estimate(x, y)
    given = Discrete().estimate(x, y, z=np.ones(len(x)))
    assert given.value == pytest.approx(plain.value)
    assert given.interval == pytest.approx(plain.interval)
    assert given.std_error == pytest.approx(plain.std_error)


def test_any_type_of_label_and_whole_rows():
    codes = np.unique(COLORS, return_inverse=True)[1], np.unique(SIZES, return_inverse=True)[1]
    expected = Discrete().estimate(*codes).value
    assert Discrete().estimate(COLORS, SIZES, discrete="both").value == expected
    assert Discrete().estimate(COLORS, codes[1], discrete="x").value == expected
    assert Discrete().estimate(codes[0] / 7, codes[1] > 0).value == expected
    rows = np.stack([codes[0] // 2, codes[0] % 2], axis=1)
    assert Discrete().estimate(rows, codes[1]).value == expected


def test_strings_must_be_named():
    with pytest.raises(TypeError, match=r"x must be numeric, got strings\. Name the side"):
        Discrete().estimate(COLORS, SIZES, discrete="y")
    with pytest.raises(TypeError, match="y must be numeric, got strings"):
        Discrete().pointwise(COLORS, SIZES, discrete="x")


@pytest.mark.parametrize("correction", ["none", "miller_madow", "shrinkage", "nsb"])
def test_a_constant_label_tells_nothing(correction):
    y = np.arange(60) % 3
    e = Discrete(correction=correction).estimate(np.ones(60), y, block=1)
    assert e.value == pytest.approx(0.0, abs=1e-12)
    assert e.std_error == pytest.approx(0.0, abs=1e-12)
    assert e.interval == pytest.approx((0.0, 0.0), abs=1e-12)


@each_correction
def test_pointwise_values_average_to_the_estimate(correction, labels):
    x, y, _ = labels
    estimator = Discrete(correction=correction)
    local = estimator.pointwise(x, y)
    assert local.shape == (600,)
    assert local.mean() == pytest.approx(estimator.estimate(x, y).value, abs=1e-12)


def test_pointwise_values_are_log_ratios_of_frequencies():
    local = Discrete(correction="none").pointwise(COLORS, SIZES, discrete="both")
    # Of 8, three are red, five small, and three both.
    assert local[0] == pytest.approx(np.log((3 / 8) / (3 / 8 * 5 / 8)))


@pytest.mark.parametrize("dependence", [0.0, 0.03, 0.3, 0.6, 0.9, 0.97])
@pytest.mark.parametrize("size", [2, 4])
def test_interval_covers(size, dependence):
    # 10 rows for each cell. Without the added rows, .97 is covered by half of the intervals.
    table = mixed_table(size, dependence)
    estimates = []
    for seed in range(150):
        x, y, truth = discrete_table(10 * size**2, table=table, random_state=seed)
        estimates.append(Discrete().estimate(x, y, block=1))
    assert 0.88 <= coverage(estimates, truth) <= 1.0


def test_interval_at_independence_is_not_wide():
    table = mixed_table(3, 0.0)
    estimates = [
        Discrete().estimate(*discrete_table(300, table=table, random_state=seed)[:2], block=1)
        for seed in range(150)
    ]
    assert coverage(estimates, 0.0) >= 0.94
    # A normal interval from the scatter there, sqrt(2 df) / (2 n) = .0047, would end at .009.
    assert np.mean([e.interval[1] for e in estimates]) < 0.08


@pytest.mark.parametrize("dependence", [0.0, 0.5])
def test_interval_with_a_condition_covers(dependence):
    rng = np.random.default_rng(0)
    x, y, truth = discrete_table(150 * 200, table=mixed_table(3, dependence), random_state=0)
    z = rng.integers(0, 2, len(x))
    # The condition moves both sides, so that they depend on each other without it.
    x, y = (x[:, 0] + z) % 3, (y[:, 0] + z) % 3
    estimates = [
        Discrete().estimate(x[part], y[part], z=z[part], block=1)
        for part in np.split(np.arange(len(x)), 150)
    ]
    assert 0.9 <= coverage(estimates, truth) <= 0.995


def test_std_error_is_the_scatter():
    table = mixed_table(3, 0.5)
    estimates = [
        Discrete().estimate(*discrete_table(300, table=table, random_state=seed)[:2], block=1)
        for seed in range(200)
    ]
    scatter = np.std([e.value for e in estimates])
    assert np.mean([e.std_error for e in estimates]) == pytest.approx(scatter, rel=0.2)


def test_interval_is_the_same_for_all_corrections(labels):
    # chao_shen's own value as the center covers .48 of independent 8 x 8 tables with 8 per cell.
    x, y, _ = labels
    expected = Discrete().estimate(x, y, block=1)
    for correction in CORRECTIONS:
        e = Discrete(correction=correction).estimate(x, y, block=1)
        assert e.interval[0] == pytest.approx(min(expected.interval[0], e.value))
        assert e.interval[1] == pytest.approx(max(expected.interval[1], e.value))


def test_interval_grows_with_confidence_and_contains_the_value(labels):
    x, y, z = labels
    for condition in (None, z):
        widths = []
        for confidence in (0.5, 0.9, 0.99):
            e = Discrete().estimate(x, y, z=condition, confidence=confidence)
            assert e.interval[0] <= e.value <= e.interval[1]
            widths.append(e.interval[1] - e.interval[0])
        assert widths[0] < widths[1] < widths[2]


def test_no_confidence_no_interval(labels):
    for estimate in (
        Discrete().estimate(labels[0], labels[1], confidence=None),
        DiscreteEntropy().estimate(labels[0], confidence=None),
        Binned().estimate(labels[0] / 7, labels[1] / 7, confidence=None),
    ):
        assert estimate.std_error is None
        assert estimate.interval is None
        assert estimate.confidence is None


def test_labels_that_determine_each_other_have_a_normal_interval():
    # df = K - 2 K + 1 < 1; I = H(X).
    x = np.random.default_rng(0).integers(0, 4, 400)
    e = Discrete().estimate(x, 3 - x, block=1)
    assert e.std_error > 0
    assert e.interval[0] < np.log(4) < e.interval[1]
    assert e.interval[1] - e.interval[0] < 0.2


def test_dependence_between_rows_widens_the_interval():
    rng = np.random.default_rng(0)
    steps = np.cumsum(rng.random((600, 2)) < 0.15, axis=0)  # a new label every seven rows or so
    x, y = rng.integers(0, 3, (2, 600))[[0, 1], steps].T
    e = Discrete().estimate(x, y)
    independent = Discrete().estimate(x, y, block=1)
    assert e.has("autocorrelated_samples")
    assert not independent.has("autocorrelated_samples")
    assert e.value == independent.value
    assert e.std_error > 1.5 * independent.std_error
    assert e.interval[0] == 0.0


def test_few_rows_for_each_cell_are_said():
    rng = np.random.default_rng(0)
    x, y, z = np.r_[np.arange(5), rng.integers(0, 5, 395)], rng.integers(0, 5, 400), np.ones(400)
    assert not Discrete().estimate(x, y).has("too_few_samples_for_dimension")  # 16 each
    assert not Discrete().estimate(x, y, z=z).has("too_few_samples_for_dimension")
    e = Discrete().estimate(x[:199], y[:199])
    assert e.has("too_few_samples_for_dimension")
    assert "199 rows for 25 possible pairs of labels" in e.warnings[-1].sentence
    # With z, cells are counted within each of its values: 5 * 5 + 5 * 5 + 5 * 5.
    e = Discrete().estimate(x, y, z=np.arange(400) % 3)
    assert "400 rows for 75 possible pairs" in e.warnings[-1].sentence
    # x is a function of z: 1 * 5 cells in each of five values.
    assert not Discrete().estimate(x, y, z=x).has("too_few_samples_for_dimension")


def test_p_value(labels):
    x, y, _ = labels
    assert Discrete().estimate(x, y, n_permutations=99).p_value == 0.01
    shuffled = np.random.default_rng(0).permutation(y)
    assert Discrete().estimate(x, shuffled, n_permutations=99).p_value > 0.05


def test_dropped_rows_leave_no_labels_behind():
    # The label 9 and the label 7 occur in rows with a missing partner only.
    x = np.r_[np.arange(40) % 3, 9.0, np.nan]
    y = np.r_[np.arange(40) % 4, np.nan, 7.0]
    for correction in CORRECTIONS:
        estimator = Discrete(correction=correction)
        dropped = estimator.estimate(x, y, missing="drop")
        expected = estimator.estimate(x[:40], y[:40])
        assert dropped.value == expected.value
        assert dropped.interval == expected.interval
    assert dropped.has("rows_dropped")
    entropy = DiscreteEntropy(correction="nsb")
    assert entropy.estimate(x[:-1], missing="drop").value == entropy.estimate(x[:-1]).value


@pytest.mark.parametrize("estimator", [Discrete(correction="x"), DiscreteEntropy(correction="x")])
def test_unknown_correction(estimator):
    data = [COLORS] if isinstance(estimator, DiscreteEntropy) else [COLORS, SIZES]
    side = "x" if len(data) == 1 else "both"
    with pytest.raises(ValueError, match=r"correction must be one of .*'nsb', .* got 'x'\."):
        estimator.estimate(*data, discrete=side)


def test_large_samples_stay_exact():
    x, y, truth = discrete_table(10**6, table=mixed_table(3, 0.5), random_state=0)
    e = Discrete().estimate(x, y, block=1)
    assert e.interval[0] < truth < e.interval[1]
    assert e.interval[1] - e.interval[0] < 0.005


# DiscreteEntropy ---------------------------------------------------------------------------------


@each_correction
def test_entropy_is_that_of_the_counts(correction, labels):
    x, _, _ = labels
    e = DiscreteEntropy(correction=correction).estimate(x, block=1)
    assert e.value == discrete_entropy(np.bincount(x), correction=correction)
    assert e.quantity == "entropy"
    assert e.interval[0] < e.value < e.interval[1]


def test_entropy_of_strings():
    e = DiscreteEntropy(correction="none").estimate(COLORS, discrete="x")
    assert e.value == pytest.approx(np.log(8) - (3 * np.log(3) * 2 + 2 * np.log(2)) / 8)
    with pytest.raises(TypeError, match="x must be numeric, got strings"):
        DiscreteEntropy().estimate(COLORS)


def test_entropy_error_by_hand():
    # p = 1/4, 3/4: Var(-log p) = p q log(3)^2.
    x = np.array([0, 1, 1, 1] * 50)
    e = DiscreteEntropy().estimate(x, block=1)
    variance = 3 / 16 * np.log(3) ** 2 / 200 + 1 / (2 * 200**2)
    assert e.std_error == pytest.approx(np.sqrt(variance))
    assert e.interval[1] - e.interval[0] == pytest.approx(2 * 1.959964 * e.std_error, rel=1e-6)


def test_interval_of_equally_likely_labels_does_not_vanish():
    e = DiscreteEntropy().estimate(np.arange(500) % 5, block=1)
    assert e.std_error == pytest.approx(np.sqrt(4 / (2 * 500**2)))
    assert e.interval[0] < np.log(5) < e.interval[1]


def test_nsb_error_is_that_of_the_posterior(labels):
    x, _, _ = labels
    e = DiscreteEntropy(correction="nsb").estimate(x, block=1)
    assert e.std_error == nsb_standard_deviation(np.bincount(x))


@pytest.mark.parametrize("correction", ["miller_madow", "nsb", "grassberger"])
@pytest.mark.parametrize("shares", [[0.5, 0.25, 0.125, 0.125], [0.2] * 5, [0.9, 0.05, 0.05]])
def test_entropy_interval_covers(correction, shares):
    rng = np.random.default_rng(0)
    truth = -np.dot(shares, np.log(shares))
    estimates = [
        DiscreteEntropy(correction=correction).estimate(
            rng.choice(len(shares), 200, p=shares), block=1
        )
        for _ in range(150)
    ]
    assert coverage(estimates, truth) >= 0.88


def test_entropy_of_dependent_rows_has_a_larger_error():
    x = np.repeat(np.random.default_rng(0).integers(0, 3, 100), 8)
    e = DiscreteEntropy().estimate(x)
    assert e.has("autocorrelated_samples")
    assert e.std_error > 1.5 * DiscreteEntropy().estimate(x, block=1).std_error


def test_entropy_of_a_constant_and_of_distinct_labels():
    e = DiscreteEntropy().estimate(np.ones(20))
    assert (e.value, e.interval) == (0.0, (0.0, 0.0))
    assert not e.has("too_few_samples_for_dimension")
    e = DiscreteEntropy().estimate(np.arange(20.0))
    assert e.warnings[0].sentence.startswith("20 rows hold 20 labels")


# Binned ------------------------------------------------------------------------------------------


def test_a_function_of_x_has_the_entropy_of_its_bins():
    x = np.linspace(-1.0, 1.0, 4001)[:-1]
    e = Binned(bins=4).estimate(x, np.stack([x, -x, 0 * x], axis=1))
    assert e.value == pytest.approx(np.log(4), abs=1e-6)
    # Rows are hashed whole: a layer of a distinct input has the entropy of its rows.
    layer = np.tanh(np.random.default_rng(0).standard_normal((300, 3)) * 3)
    value = Binned(limits=(-1, 1)).estimate(np.arange(300), layer, discrete="x").value
    cells = np.floor((layer + 1) * 15).astype(int)
    counts = np.unique(cells, axis=0, return_counts=True)[1]
    assert value == pytest.approx(discrete_entropy(counts, correction="none"))


def test_bins_by_hand():
    x = np.array([-5.0, 0.0, 0.49, 0.5, 0.99, 7.0, 1.0, 0.1])
    y = np.array([0, 0, 0, 1, 1, 1, 1, 0])
    # Two bins on [0, 1): the outer ones are open, so that -5 and 7 belong to them.
    e = Binned(bins=2, limits=(0.0, 1.0)).estimate(x, y, discrete="y")
    assert e.value == pytest.approx(np.log(2))


def test_each_column_has_its_own_range():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((500, 2))
    e = Binned(bins=8).estimate(x, x[:, 0])
    assert Binned(bins=8).estimate(x * [1.0, 1024.0], x[:, 0]).value == e.value
    assert Binned(bins=8, limits=(-4, 4)).estimate(x * [1.0, 1024.0], x[:, 0]).value != e.value


@pytest.mark.parametrize("limits", [None, (0, 1)])
def test_constant_columns_and_huge_values(limits):
    rng = np.random.default_rng(0)
    x, y = rng.random((2, 200))
    binned = Binned(bins=5, limits=limits)
    assert binned.estimate(np.full(200, 0.3), y).value == pytest.approx(0.0, abs=1e-12)
    dead = np.stack([x, np.zeros(200)], axis=1)
    assert binned.estimate(dead, y).value == pytest.approx(binned.estimate(x, y).value)
    huge = Binned(bins=5).estimate((2 * x - 1) * 1.7e308, y, block=1).value
    assert huge == pytest.approx(Binned(bins=5).estimate(2 * x - 1, y).value)


def test_named_labels_are_never_binned():
    x = np.array(["a", "b"] * 50)
    codes = np.where(np.arange(100) % 2, 1e9, 0.1)
    y = np.linspace(0, 1, 100)
    value = Binned(bins=2).estimate(x, y, discrete="x").value
    assert Binned(bins=2).estimate(codes, y, discrete="x").value == value
    many = np.arange(100)
    assert Binned(bins=2).estimate(many, many, discrete="both").value == pytest.approx(np.log(100))
    assert Binned(bins=2).estimate(many, many).value == pytest.approx(np.log(2))


def test_binned_value_approaches_the_truth_of_a_normal_law():
    rng = np.random.default_rng(0)
    x = rng.standard_normal(200_000)
    y = 0.8 * x + 0.6 * rng.standard_normal(200_000)
    e = Binned(bins=30).estimate(x, y)
    assert e.value == pytest.approx(-0.5 * np.log(1 - 0.64), abs=0.03)
    assert 0.0 < e.std_error < 0.01
    assert e.interval is None


def test_saturation_is_said():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 300, 6))
    e = Binned(bins=30).estimate(x, y)
    assert e.value > 0.95 * np.log(300)
    assert e.has("saturated_at_log_n")
    assert e.has("too_few_samples_for_dimension")
    coarse = Binned(bins=2).estimate(x[:, 0], y[:, 0])
    assert not coarse.warnings


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"bins": 1}, ValueError, r"bins must be in \[2, 1000000\], got 1\."),
        ({"bins": 2.5}, TypeError, r"bins must be in .* and an integer, got 2\.5\."),
        ({"limits": (1.0, 1.0)}, ValueError, r"limits must increase, got \(1\.0, 1\.0\)\."),
        ({"limits": (2, -1)}, ValueError, r"limits must increase, got \(2, -1\)\."),
        ({"limits": (0.0, np.inf)}, ValueError, r"limits\[1\] must be a finite number, got inf\."),
        ({"limits": ("a", 1)}, TypeError, r"limits\[0\] must be a finite number and a number"),
        ({"limits": 3.0}, TypeError, r"limits must be a pair \(low, high\) or None, got 3\.0\."),
        ({"limits": (1, 2, 3)}, TypeError, "limits must be a pair"),
    ],
)
def test_bad_settings_of_binned(settings, error, message):
    with pytest.raises(error, match=message):
        Binned(**settings).estimate(np.arange(9.0), np.arange(9.0))
    with pytest.raises(error, match=message):
        Binned(**settings).estimate(np.arange(9), np.arange(9), discrete="both")


# All ---------------------------------------------------------------------------------------------


def test_same_call_same_answer(labels):
    x, y, _ = labels
    for estimator in (Discrete(), Binned(bins=4)):
        first, second = (estimator.estimate(x, y, n_permutations=20) for _ in range(2))
        assert first.to_dict() == second.to_dict()
    assert DiscreteEntropy().estimate(x).to_dict() == DiscreteEntropy().estimate(x).to_dict()


def test_labels_that_change_together_get_an_interval_that_covers():
    """Runs of equal pairs: the autocorrelation of x and y alone halves the true factor of 9."""
    truth = np.log(2.0) + 0.1 * np.log(0.1) + 0.9 * np.log(0.9)
    covered = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        start = np.where(rng.random(1000) < 0.2, np.arange(1000), 0)
        run = np.maximum.accumulate(start)
        x = rng.integers(0, 2, 1000)
        y = np.where(rng.random(1000) < 0.1, 1 - x, x)
        e = Discrete().estimate(x[run], y[run])
        covered.append(e.interval[0] <= truth <= e.interval[1])
    assert np.mean(covered) > 0.85
