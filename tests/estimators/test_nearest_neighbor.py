"""KSG, MixedKSG, KozachenkoLeonenko and KNNDivergence: what is special to each."""

from __future__ import annotations

import math

import numpy as np
import pytest

from infoest import KSG, KNNDivergence, KozachenkoLeonenko, MixedKSG
from infoest.datasets import ar1_pair, correlated_normal
from infoest.functional import knn_divergence, kozachenko_leonenko, ksg


def codes(found) -> set[str]:
    return {caution.code for caution in found.warnings}


# ------------------------------------------------------------------------------------------- KSG


@pytest.mark.parametrize("algorithm", [1, 2])
def test_ksg_without_standardizing_is_the_formula(algorithm) -> None:
    x, y, _ = correlated_normal(300, rho=0.6, dim=2, random_state=0)
    estimator = KSG(k=4, algorithm=algorithm, standardize=False)
    found = estimator.estimate(x, 5.0 * y, confidence=None)
    assert found.value == ksg(x, 5.0 * y, k=4, algorithm=algorithm)


@pytest.mark.parametrize("algorithm", [1, 2])
def test_ksg_invariances(algorithm) -> None:
    x, y, _ = correlated_normal(400, rho=0.6, dim=3, random_state=1)
    estimator = KSG(algorithm=algorithm)
    value = estimator.estimate(x, y).value
    order = np.random.default_rng(0).permutation(400)
    for moved in (
        (y, x),
        (x[:, ::-1], y[:, [2, 0, 1]]),
        (1e6 + x, y - 1e6),
        (1e6 * x, y * np.array([1e-6, 1.0, 1e6])),
        (-x, y),
    ):
        assert estimator.estimate(*moved, confidence=None).value == pytest.approx(value, abs=1e-9)
    shuffled = estimator.estimate(x[order], y[order], block=1, confidence=None).value
    assert shuffled == pytest.approx(value, abs=1e-12)


def test_ksg_standardize_makes_units_irrelevant_and_false_does_not() -> None:
    x, y, _ = correlated_normal(500, rho=0.6, dim=2, random_state=2)
    uneven = x * np.array([1.0, 1e6])
    plain = KSG(standardize=False)
    assert KSG().estimate(uneven, y).value == pytest.approx(KSG().estimate(x, y).value, abs=1e-9)
    assert abs(plain.estimate(uneven, y).value - plain.estimate(x, y).value) > 0.1


@pytest.mark.parametrize("bad", [0, 3, "1", None, 1.5])
def test_ksg_algorithm_is_one_or_two(bad) -> None:
    x, y, _ = correlated_normal(50, random_state=0)
    with pytest.raises(ValueError, match=rf"^algorithm must be one of \[1, 2\], got {bad!r}"):
        KSG(algorithm=bad).estimate(x, y)


def test_ksg_rectangles_take_no_condition() -> None:
    x, y, _ = correlated_normal(50, random_state=0)
    with pytest.raises(ValueError, match=r"^algorithm must be one of \[1\], got 2"):
        KSG(algorithm=2).estimate(x, y, z=x**2)


@pytest.mark.parametrize(
    ("theiler", "error"), [(-1, ValueError), (100, ValueError), (1.5, TypeError)]
)
def test_ksg_theiler_window_is_checked(theiler, error) -> None:
    x, y, _ = correlated_normal(100, random_state=0)
    with pytest.raises(error, match=rf"^theiler must be in \[0, 39\].*, got {theiler!r}"):
        KSG(theiler=theiler).estimate(x, y)
    assert math.isfinite(KSG(theiler=39).estimate(x, y).value)


def test_ksg_theiler_window_removes_what_neighbors_in_time_add() -> None:
    """Two independent random-walk-like series: neighbors in time look like dependence."""
    x, y, _ = ar1_pair(
        1500, coefficient_x=0.97, coefficient_y=0.97, correlation=0.0, random_state=3
    )
    near, far = (KSG(theiler=t).estimate(x, y, confidence=None).value for t in (0, 50))
    assert far < near - 0.02


@pytest.mark.parametrize("standardize", [1, "yes", None])
def test_ksg_standardize_is_a_bool(standardize) -> None:
    x, y, _ = correlated_normal(50, random_state=0)
    with pytest.raises(TypeError, match=r"^standardize must be True or False, got"):
        KSG(standardize=standardize).estimate(x, y)


@pytest.mark.parametrize("decimals", [0, 1])
def test_ksg_spreads_ties_and_says_so(decimals) -> None:
    x, y, mi = correlated_normal(2000, rho=0.8, random_state=4)
    x, y = np.round(x, decimals), np.round(y, decimals)
    found = KSG().estimate(x, y)
    assert found.has("ties_broken")
    # Rounding to integers loses .12 nats.
    assert found.value == pytest.approx(mi - {0: 0.12, 1: 0.0}[decimals], abs=0.06)
    assert found.value == KSG().estimate(x, y).value
    assert KSG(random_state=1).estimate(x, y).value != found.value


@pytest.mark.parametrize("decimals", [1, 2, 3, 4])
@pytest.mark.parametrize("n", [100, 500, 3000])
def test_ksg_answers_on_rounded_data_with_an_interval(decimals, n) -> None:
    """Ties that only random parts or surrogates show must not escape as an error."""
    for seed in range(3):
        x, y, mi = correlated_normal(n, rho=0.8, random_state=seed)
        found = KSG().estimate(np.round(x, decimals), np.round(y, decimals))
        assert found.interval is not None
        assert found.value == pytest.approx(mi, abs=0.4)


@pytest.mark.parametrize("decimals", [1, 2, 3])
def test_ksg_rounding_is_not_information(decimals) -> None:
    """Distances to the k-th neighbor tie on rounded data; strict counts then say too much."""
    for n in (200, 1000, 3000):
        for seed in range(2):
            x, y, _ = correlated_normal(n, rho=0.8, random_state=seed)
            exact = KSG().estimate(x, y, confidence=None).value
            rounded = KSG().estimate(np.round(x, decimals), np.round(y, decimals), confidence=None)
            assert rounded.value == pytest.approx(exact, abs=0.05 if n > 200 else 0.12)


def test_ksg_conditional_agrees_with_the_closed_form() -> None:
    rng = np.random.default_rng(5)
    z, e, f = rng.standard_normal((3, 3000, 1))
    truth = -0.5 * math.log(1.0 - 0.5)
    found = KSG().estimate(z + e, z + e + f, z=z)
    assert found.value == pytest.approx(truth, abs=0.07)
    low, high = found.interval
    assert low < truth < high


def test_ksg_warns_of_too_many_columns() -> None:
    rng = np.random.default_rng(6)
    assert KSG().estimate(*rng.standard_normal((2, 100, 5))).has("too_few_samples_for_dimension")
    assert (
        not KSG().estimate(*rng.standard_normal((2, 100, 2))).has("too_few_samples_for_dimension")
    )


def test_ksg_bias_is_measured_and_the_interval_moved() -> None:
    x, y, mi = correlated_normal(300, rho=0.9, dim=3, random_state=7)
    found = KSG().estimate(x, y)
    assert found.value < mi - 0.5
    assert found.has("bias_exceeds_error")
    assert found.info["bias_of_surrogates"] < -0.5
    low, high = found.interval
    assert low <= mi <= high


def test_ksg_knows_autocorrelation() -> None:
    x, y, mi = ar1_pair(800, coefficient_x=0.9, coefficient_y=0.9, correlation=0.0, random_state=8)
    found, declared = KSG().estimate(x, y), KSG().estimate(x, y, block=1)
    assert found.has("autocorrelated_samples")
    assert not declared.has("autocorrelated_samples")
    assert found.value == declared.value
    assert np.ptp(found.interval) > np.ptp(declared.interval)
    assert found.std_error > declared.std_error
    assert found.interval[0] <= mi <= found.interval[1]


@pytest.mark.slow
@pytest.mark.parametrize("rho", [0.0, 0.8])
def test_ksg_interval_covers(rho) -> None:
    covered = 0
    for seed in range(60):
        x, y, mi = correlated_normal(200, rho=rho, random_state=seed)
        low, high = KSG(random_state=seed).estimate(x, y, block=1).interval
        covered += low <= mi <= high
    assert covered >= 0.85 * 60


def test_ksg_value_alone_is_the_value_with_interval() -> None:
    x, y, _ = correlated_normal(3000, rho=0.5, random_state=9)
    assert KSG().estimate(x, y, confidence=None).value == KSG().estimate(x, y).value


def test_ksg_pointwise_of_tied_data() -> None:
    x = np.random.default_rng(0).integers(0, 4, 200).astype(float)
    local = KSG().pointwise(x, x + 1.0)
    assert np.isfinite(local).all()


# ------------------------------------------------------------------------------------- MixedKSG


def two_classes(n, distance, seed=0):
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, n)
    return (label * distance)[:, None] + rng.standard_normal((n, 1)), label


def information_of_two_classes(distance) -> float:
    u = 0.5 * distance + np.random.default_rng(0).standard_normal(400_000)
    return float(math.log(2.0) - np.log1p(np.exp(-distance * u)).mean())


@pytest.mark.parametrize("distance", [0.0, 1.0, 2.0, 8.0])
def test_mixed_on_two_normal_classes(distance) -> None:
    x, label = two_classes(2000, distance)
    truth = information_of_two_classes(distance)
    for x_, y_, side in ((x, label, "y"), (label, x, "x")):
        found = MixedKSG().estimate(x_, y_, discrete=side)
        assert found.value == pytest.approx(truth, abs=0.04)
        assert found.interval[0] - 0.01 <= truth <= found.interval[1] + 0.01


def test_mixed_does_not_care_how_labels_are_written() -> None:
    x, label = two_classes(300, 1.5)
    words = np.array(["no", "yes"])[label]
    values = {
        MixedKSG().estimate(x, y, discrete="y").value
        for y in (label, words, words.tolist(), label * 1e9, label.astype(bool), label[:, None])
    }
    assert len(values) == 1


def test_mixed_class_within_a_class_of_other_scale() -> None:
    """The same means, other spreads: I is seen although the means agree."""
    rng = np.random.default_rng(1)
    label = rng.integers(0, 2, 3000)
    x = np.where(label, 5.0, 0.5) * rng.standard_normal(3000)
    assert 0.25 < MixedKSG().estimate(x, label, discrete="y").value < math.log(2.0)


def test_mixed_zero_inflated_data() -> None:
    """X = Y = 0 with probability p, else independent uniforms: I = H(p) of the indicator."""
    rng = np.random.default_rng(2)
    x, y = rng.random((2, 3000)) + 1.0
    zero = rng.random(3000) < 0.3
    x[zero] = y[zero] = 0.0
    truth = -0.3 * math.log(0.3) - 0.7 * math.log(0.7)
    assert MixedKSG().estimate(x, y).value == pytest.approx(truth, abs=0.05)


def test_mixed_lonely_classes() -> None:
    x, label = two_classes(200, 2.0)
    label[:30] = np.arange(100, 130)
    found = MixedKSG().estimate(x, label, discrete="y")
    assert found.has("too_few_samples_for_dimension")
    with pytest.raises(
        ValueError, match=r"^discrete must name labels that repeat, got 200 different"
    ):
        MixedKSG().estimate(x, np.arange(200), discrete="y")


def test_mixed_one_class_alone_has_nothing_to_tell() -> None:
    x, _ = two_classes(200, 2.0)
    found = None
    try:
        found = MixedKSG().estimate(x, np.zeros(200, dtype=int), discrete="y")
    except ValueError as error:
        assert str(error).startswith("y must ")  # noqa: PT017 - either answer is right
    assert found is None or abs(found.value) < 0.02


def test_mixed_autocorrelated_rows_widen_the_error() -> None:
    rng = np.random.default_rng(3)
    x, _, _ = ar1_pair(1000, coefficient_x=0.95, random_state=3)
    label = (np.convolve(rng.standard_normal(1099), np.ones(100), "valid") > 0).astype(int)
    found = MixedKSG().estimate(x, label, discrete="y")
    assert found.has("autocorrelated_samples")
    declared = MixedKSG().estimate(x, label, discrete="y", block=1)
    assert found.std_error > declared.std_error


# ---------------------------------------------------------------------------- KozachenkoLeonenko


@pytest.mark.parametrize("d", [1, 2, 6])
@pytest.mark.parametrize(("k", "weighted"), [(5, False), (1, True), (40, True)])
def test_entropy_estimator_is_the_formula_on_standardized_columns(d, k, weighted) -> None:
    rng = np.random.default_rng(d)
    x = rng.standard_normal((300, d))
    white = (x - x.mean(axis=0)) / x.std(axis=0)
    found = KozachenkoLeonenko(k=k, weighted=weighted).estimate(x)
    expected = kozachenko_leonenko(white, k=k, weighted=weighted and k > 1)
    assert found.value == pytest.approx(expected + np.log(x.std(axis=0)).sum(), abs=1e-9)


def test_entropy_of_uneven_columns_adds_their_scales() -> None:
    x = np.random.default_rng(1).standard_normal((400, 3))
    value = KozachenkoLeonenko().estimate(x).value
    scales = np.array([1e-9, 1.0, 1e6])
    moved = KozachenkoLeonenko().estimate(1e3 + x * scales)
    assert moved.value == pytest.approx(value + np.log(scales).sum(), abs=1e-3)
    assert moved.value < 0.0
    assert moved.to("bits").value == pytest.approx(moved.value / math.log(2.0))


def test_entropy_falls_back_where_weights_blow_up() -> None:
    x = np.random.default_rng(2).standard_normal((300, 8))
    found = KozachenkoLeonenko(k=5, weighted=True).estimate(x)
    assert found.has("plain_neighbors_used")
    assert found.value == KozachenkoLeonenko(k=5).estimate(x).value
    few = x[:, :2]
    assert not KozachenkoLeonenko(k=5, weighted=True).estimate(few).has("plain_neighbors_used")


def test_entropy_ties() -> None:
    rng = np.random.default_rng(3)
    x = rng.standard_normal((300, 2))
    x[0] = x[1]  # the fifth neighbor of both is still at a distance
    assert not KozachenkoLeonenko(k=5).estimate(x).has("ties_broken")
    counts = rng.integers(0, 6, 600)
    found = KozachenkoLeonenko().estimate(counts)
    assert found.has("ties_broken")
    # Spread over [v - 1/2, v + 1/2]: a uniform law on six.
    assert found.value == pytest.approx(math.log(6.0), abs=0.1)


@pytest.mark.parametrize("decimals", [1, 2, 3])
def test_entropy_answers_on_rounded_data(decimals) -> None:
    x = np.round(np.random.default_rng(4).standard_normal((800, 2)), decimals)
    found = KozachenkoLeonenko().estimate(x)
    assert found.interval is not None
    assert found.value == pytest.approx(math.log(2 * math.pi * math.e), abs=0.25)


@pytest.mark.slow
@pytest.mark.parametrize("d", [1, 3])
def test_entropy_interval_covers(d) -> None:
    truth = 0.5 * d * math.log(2 * math.pi * math.e)
    covered = 0
    for seed in range(60):
        x = np.random.default_rng(seed).standard_normal((200, d))
        low, high = KozachenkoLeonenko().estimate(x).interval
        covered += low <= truth <= high
    assert covered >= 0.85 * 60


def test_entropy_always_doubts_five_columns() -> None:
    x = np.random.default_rng(5).standard_normal((300, 5))
    assert KozachenkoLeonenko().estimate(x).has("bias_not_explained")
    assert not KozachenkoLeonenko().estimate(x[:, :3]).has("bias_not_explained")


@pytest.mark.parametrize("weighted", [1, None])
def test_entropy_weighted_is_a_bool(weighted) -> None:
    with pytest.raises(TypeError, match=r"^weighted must be True or False, got"):
        KozachenkoLeonenko(weighted=weighted).estimate(np.arange(50.0) ** 2)


# ---------------------------------------------------------------------------------- divergence


def test_divergence_estimator_is_the_formula() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((200, 2)), 1.0 + rng.standard_normal((150, 2))
    pooled = np.vstack([x, y])
    white = (pooled - pooled.mean(axis=0)) / pooled.std(axis=0)
    expected = knn_divergence(white[:200], white[200:], k=3)
    found = KNNDivergence(k=3).estimate(x, y)
    assert found.value == pytest.approx(expected, abs=1e-9)
    assert found.quantity == "kullback_leibler_divergence"


def test_divergence_is_not_symmetric_but_scale_free() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal(1500), 3.0 * rng.standard_normal(1500)
    forward, backward = KNNDivergence().estimate(x, y).value, KNNDivergence().estimate(y, x).value
    assert forward == pytest.approx(math.log(3.0) + 1.0 / 18.0 - 0.5, abs=0.1)
    assert backward > forward + 0.5
    moved = KNNDivergence().estimate(1e9 * x + 1e6, 1e9 * y + 1e6).value
    assert moved == pytest.approx(forward, abs=1e-6)


def test_divergence_of_shared_rows_spreads_ties() -> None:
    x = np.random.default_rng(2).integers(0, 9, (300, 1)).astype(float)
    found = KNNDivergence().estimate(x, x.copy())
    assert math.isfinite(found.value)
    assert found.has("ties_broken")


def test_correct_bias_subtracts_what_the_surrogates_show() -> None:
    x, y, mi = correlated_normal(400, rho=0.9, dim=3, random_state=0)
    plain, corrected = KSG().estimate(x, y), KSG(correct_bias=True).estimate(x, y)
    bias = plain.info["bias_of_surrogates"]
    assert corrected.value == pytest.approx(plain.value - bias, abs=1e-12)
    assert abs(corrected.value - mi) < 0.3 < abs(plain.value - mi)
    assert KSG(correct_bias=True).estimate(x, y, confidence=None).value == corrected.value
    both = [KSG(correct_bias=c).estimate(x, y, n_permutations=19).p_value for c in (False, True)]
    assert both == [1 / 20, 1 / 20]
