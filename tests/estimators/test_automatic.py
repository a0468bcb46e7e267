"""`Auto`: what it chooses, what it says, and what it leaves alone."""

from __future__ import annotations

import json

import numpy as np
import pytest

import infoest
from infoest import KSG, Auto, Discrete, GaussianCopula, MixedKSG
from infoest.datasets import ar1_pair, correlated_normal, discrete_table


def assert_says_why(found, method, *candidates) -> None:
    assert found.method == method
    assert found.info["reason"]
    assert set(found.info["candidates"]) == set(candidates or [method])
    for candidate in found.info["candidates"].values():
        assert set(candidate) == {"value", "std_error", "interval"}
    assert found.info["candidates"][method]["value"] == found.value
    json.dumps(found.to_dict(), allow_nan=False)


def test_normal_data_take_the_copula() -> None:
    x, y, mi = correlated_normal(1000, rho=0.7, random_state=0)
    found = Auto().estimate(np.exp(x), y)
    assert_says_why(found, "gaussian_copula", "gaussian_copula", "ksg")
    assert not found.has("candidates_disagree")
    assert found.value == GaussianCopula().estimate(np.exp(x), y).value
    assert found.interval[0] < mi < found.interval[1]


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
def test_normal_data_seldom_take_anything_else(rho) -> None:
    chosen = [
        Auto().estimate(*correlated_normal(300, rho=rho, random_state=seed)[:2], block=1).method
        for seed in range(30)
    ]
    assert chosen.count("gaussian_copula") >= 26


@pytest.mark.parametrize(
    "law",
    [lambda x: x**2, lambda x: np.sin(3.0 * x), np.abs],
    ids=["square", "sine", "absolute"],
)
def test_other_dependence_takes_neighbors_and_says_that_candidates_disagree(law) -> None:
    x, noise = np.random.default_rng(0).standard_normal((2, 800, 1))
    found = Auto().estimate(x, law(x) + 0.2 * noise)
    assert_says_why(found, "ksg", "gaussian_copula", "ksg")
    assert found.has("candidates_disagree")
    assert found.value > 0.5
    assert found.info["candidates"]["gaussian_copula"]["value"] < 0.1


def test_labels_on_both_sides() -> None:
    x, y, mi = discrete_table(1000, table=[[0.4, 0.1], [0.1, 0.4]], random_state=0)
    for x_, y_, side in (
        (x, y, None),
        (x.astype(bool), y, None),
        (np.array(["a", "b"])[x], y, "both"),
        (x * 1.5, y * 2.5, "both"),
    ):
        found = Auto().estimate(x_, y_, discrete=side)
        assert_says_why(found, "discrete")
        assert found.value == Discrete().estimate(x, y).value
        assert not found.has("integers_treated_as_continuous")
        assert abs(found.value - mi) < 0.05


def test_labels_on_one_side() -> None:
    rng = np.random.default_rng(1)
    label = rng.integers(0, 3, 600)
    x = label + 0.5 * rng.standard_normal(600)
    for x_, y_, side in ((x, label, None), (label, x, None), (x, label, "y"), (label, x, "x")):
        found = Auto().estimate(x_, y_, discrete=side)
        assert_says_why(found, "mixed_ksg")
        assert found.value == pytest.approx(
            MixedKSG().estimate(x, label, discrete="y", confidence=None).value, abs=1e-12
        )
        assert not found.has("integers_treated_as_continuous")


def test_integers_with_many_values_are_not_labels() -> None:
    rng = np.random.default_rng(2)
    x = np.round(1000 * rng.standard_normal(500)).astype(int)
    y = x + np.round(500 * rng.standard_normal(500)).astype(int)
    found = Auto().estimate(x, y)
    assert found.method in ("gaussian_copula", "ksg")
    assert found.has("integers_treated_as_continuous")


def test_floats_are_labels_only_where_named() -> None:
    label = np.random.default_rng(3).integers(0, 3, 400).astype(float)
    noise = 0.3 * np.random.default_rng(4).standard_normal(400)
    assert "labels" not in Auto().estimate(label + noise, noise + 2.0 * label).info["reason"]
    assert Auto().estimate(label, label + noise, discrete="x").method == "mixed_ksg"


def test_repeated_values_take_the_mixed_estimator() -> None:
    rng = np.random.default_rng(5)
    x, y = rng.random((2, 800)) + 1.0
    zero = rng.random(800) < 0.4
    x[zero] = y[zero] = 0.0
    found = Auto().estimate(x, y)
    assert_says_why(found, "mixed_ksg")
    assert found.value == pytest.approx(-0.4 * np.log(0.4) - 0.6 * np.log(0.6), abs=0.08)


@pytest.mark.parametrize("decimals", [1, 2])
@pytest.mark.parametrize("n", [200, 1000, 3000])
def test_rounded_data_are_not_a_mixture(decimals, n) -> None:
    for seed in range(2):
        x, y, _ = correlated_normal(n, rho=0.8, random_state=seed)
        exact = Auto().estimate(x, y).value
        assert Auto().estimate(np.round(x, decimals), np.round(y, decimals)).value == pytest.approx(
            exact, abs=0.1
        )


def test_as_many_columns_as_rows_leave_the_shrunk_copula() -> None:
    x, y = np.random.default_rng(6).standard_normal((2, 20, 30))
    found = Auto().estimate(x, y)
    assert_says_why(found, "gaussian_copula")
    assert found.has("shrunk_covariance")
    assert found.interval is None
    without = Auto().estimate(x, y, confidence=None)
    assert (without.method, without.value) == (found.method, found.value)


def test_a_condition() -> None:
    rng = np.random.default_rng(7)
    z = rng.standard_normal((600, 1))
    x, y = z + rng.standard_normal((600, 1)), z + rng.standard_normal((600, 1))
    found = Auto().estimate(x, y, z=z)
    assert_says_why(found, "gaussian_copula", "gaussian_copula", "ksg")
    assert abs(found.value) < 0.05
    nonlinear = Auto().estimate(x, (x - z) ** 2 + 0.2 * y, z=z)
    assert nonlinear.method == "ksg"


def test_a_condition_with_labels() -> None:
    rng = np.random.default_rng(8)
    z = rng.integers(0, 2, 800)
    x = np.where(rng.random(800) < 0.1, 1 - z, z)
    y = np.where(rng.random(800) < 0.1, 1 - z, z)
    found = Auto().estimate(x, y, z=z)
    assert_says_why(found, "discrete")
    assert abs(found.value) < 0.02
    with pytest.raises(
        ValueError, match=r"^z must be None where one side holds labels, got a cond"
    ):
        Auto().estimate(x, rng.standard_normal(800), z=z)


def test_labels_given_a_continuous_condition_are_not_explained_away() -> None:
    """Every value of z is one of a kind: strata of one row would always say 0."""
    rng = np.random.default_rng(12)
    x, z = rng.integers(0, 2, 400), rng.standard_normal(400)
    try:
        found = Auto().estimate(x, x, z=z)
    except ValueError as error:
        assert str(error).startswith("z must ")  # noqa: PT017 - either answer is right
    else:
        assert found.value == pytest.approx(np.log(2.0), abs=0.1)


def test_value_and_choice_do_not_depend_on_the_interval() -> None:
    for seed in range(4):
        x = np.random.default_rng(seed).standard_normal((200, 1))
        y = 0.5 * x**2 + np.random.default_rng(99 + seed).standard_normal((200, 1))
        full, bare = Auto().estimate(x, y), Auto().estimate(x, y, confidence=None)
        assert (full.method, full.value) == (bare.method, bare.value)
        assert bare.interval is None
        assert bare.std_error is None


def test_budget_limits_the_rows_shown_to_neighbors() -> None:
    x, y, _ = correlated_normal(5000, rho=0.6, random_state=9)
    found = Auto(budget="fast").estimate(x, x**2 + 0.1 * y)
    assert found.method == "ksg"
    assert found.has("subsampled")
    assert not Auto().estimate(x, x**2 + 0.1 * y).has("subsampled")
    with pytest.raises(
        ValueError, match=r"^budget must be one of \['accurate', 'fast'\], got 'huge'"
    ):
        Auto(budget="huge").estimate(x, y)


def test_p_value_is_that_of_the_chosen_one() -> None:
    x, y, _ = correlated_normal(300, rho=0.5, random_state=10)
    assert Auto().estimate(x, y, n_permutations=99).p_value == 0.01
    x, y, _ = discrete_table(300, table=np.full((2, 2), 0.25), random_state=1)
    assert Auto().estimate(x, y, n_permutations=99).p_value > 0.05
    label = (x[:, 0] > 0).astype(int)
    noise = np.random.default_rng(0).standard_normal(300)
    assert Auto().estimate(noise + 3 * label, label, n_permutations=39).p_value < 0.05


def test_autocorrelated_series() -> None:
    x, y, mi = ar1_pair(
        1000, coefficient_x=0.9, coefficient_y=0.9, correlation=0.5, random_state=11
    )
    found = Auto().estimate(x, y, n_permutations=99)
    assert found.has("autocorrelated_samples")
    assert found.interval[0] < mi < found.interval[1]


def test_plot_shows_the_candidates() -> None:
    x, y, _ = correlated_normal(200, random_state=0)
    labels = [label.get_text() for label in Auto().estimate(x, y).plot().get_yticklabels()]
    assert labels == ["gaussian_copula", "ksg"]


def test_random_state_reaches_the_candidates() -> None:
    x, y, _ = correlated_normal(300, random_state=0)
    values = {
        Auto(random_state=s).estimate(x, y).info["candidates"]["ksg"]["interval"][0] for s in (0, 1)
    }
    assert len(values) == 2
    assert isinstance(infoest.METHODS["auto"](), Auto)
    assert KSG().k == 5


def test_p_value_of_several_columns_repeats_the_chosen_candidate_uncorrected() -> None:
    rng = np.random.default_rng(21)
    x = rng.standard_normal((300, 2))
    y = x**2 + 0.5 * rng.standard_normal((300, 2))
    found = Auto().estimate(x, y, n_permutations=39)
    assert (found.method, found.p_value) == ("ksg", 1 / 40)
    unrelated = [
        Auto(random_state=s).estimate(x, rng.standard_normal((300, 2)), n_permutations=19).p_value
        for s in range(12)
    ]
    assert np.mean(unrelated) > 0.25
