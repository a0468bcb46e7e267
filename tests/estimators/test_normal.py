"""Gaussian and GaussianCopula: closed forms, invariances, intervals, shrinkage."""

from __future__ import annotations

import math

import numpy as np
import pytest

from infoest import Gaussian, GaussianCopula
from infoest.datasets import ar1_pair, correlated_normal, joint_normal
from infoest.functional.gaussian import gaussian_bias

both = pytest.mark.parametrize("estimator", [Gaussian(), GaussianCopula()], ids=["plain", "copula"])


def test_value_is_the_corrected_log_determinant() -> None:
    x, y, _ = correlated_normal(100, rho=0.7, dim=2, random_state=0)
    joint = np.corrcoef(np.hstack([x, y]).T)
    plug_in = 0.5 * (
        np.linalg.slogdet(joint[:2, :2])[1]
        + np.linalg.slogdet(joint[2:, 2:])[1]
        - np.linalg.slogdet(joint)[1]
    )
    found = Gaussian().estimate(x, y)
    assert found.value == pytest.approx(plug_in - gaussian_bias(100, 2, 2), abs=1e-10)


@both
def test_symmetry_and_permutations(estimator) -> None:
    x, y, _ = correlated_normal(300, rho=0.6, dim=3, random_state=1)
    value = estimator.estimate(x, y).value
    order = np.random.default_rng(0).permutation(300)
    for moved in ((y, x), (x[:, ::-1], y[:, [1, 2, 0]]), (1e6 * x + 1e6, y), (-x, y)):
        assert estimator.estimate(*moved).value == pytest.approx(value, abs=1e-9)
    shuffled = estimator.estimate(x[order], y[order], block=1).value
    assert shuffled == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize(
    "increasing",
    [
        np.exp,
        np.sinh,
        np.arctan,
        lambda x: x**3,
        lambda x: 1e12 * x - 5.0,
        lambda x: x / (1 + abs(x)),
    ],
)
@pytest.mark.parametrize("column", [0, 1])
def test_copula_is_unchanged_by_increasing_maps(increasing, column) -> None:
    x, y, _ = correlated_normal(500, rho=0.6, dim=2, random_state=2)
    found = GaussianCopula().estimate(x, y)
    moved = x.copy()
    moved[:, column] = increasing(x[:, column])
    again = GaussianCopula().estimate(moved, increasing(y))
    assert again.value == pytest.approx(found.value, abs=1e-9)
    np.testing.assert_allclose(again.interval, found.interval, atol=1e-9)


def test_gaussian_is_unchanged_by_linear_maps() -> None:
    x, y, _ = correlated_normal(300, rho=0.6, dim=3, random_state=3)
    rng = np.random.default_rng(0)
    found = Gaussian().estimate(x, y).value
    again = Gaussian().estimate(x @ rng.standard_normal((3, 3)), y @ rng.standard_normal((3, 3)))
    assert again.value == pytest.approx(found, abs=1e-9)


@both
def test_joint_normal_in_closed_form(estimator) -> None:
    mixing = np.random.default_rng(4).standard_normal((5, 5))
    sample = joint_normal(5000, covariance=mixing @ mixing.T, dim_x=2, random_state=0)
    assert estimator.estimate(sample.x, sample.y).value == pytest.approx(sample.mi, abs=0.05)


@both
def test_conditional_in_closed_form(estimator) -> None:
    rng = np.random.default_rng(5)
    z = rng.standard_normal((3000, 2))
    e, f = rng.standard_normal((2, 3000, 1))
    x = z[:, :1] + e
    y = z @ np.array([[1.0], [-2.0]]) + 0.8 * e + 0.6 * f
    truth = -0.5 * math.log(1.0 - 0.64)
    found = estimator.estimate(x, y, z=z)
    assert found.value == pytest.approx(truth, abs=0.05)
    assert found.interval[0] < truth < found.interval[1]
    nothing = estimator.estimate(z[:, :1] + e, z[:, :1] + f, z=z)
    assert abs(nothing.value) < 0.005


@both
@pytest.mark.parametrize("n", [10, 30, 200])
def test_unbiased_at_independence(estimator, n) -> None:
    values = [
        estimator.estimate(
            *np.random.default_rng(s).standard_normal((2, n, 2)), confidence=None
        ).value
        for s in range(300)
    ]
    assert np.mean(values) == pytest.approx(0.0, abs=4.0 * np.std(values) / math.sqrt(300))
    assert min(values) < 0.0, "values are not clipped"


@pytest.mark.parametrize(
    ("estimator", "rho", "dim", "n"),
    [
        (Gaussian(), 0.0, 1, 50),
        (Gaussian(), 0.9, 1, 50),
        (Gaussian(), 0.6, 3, 200),
        (GaussianCopula(), 0.0, 1, 100),
        (GaussianCopula(), 0.8, 2, 200),
    ],
)
def test_interval_covers(estimator, rho, dim, n) -> None:
    covered = 0
    for seed in range(100):
        x, y, mi = correlated_normal(n, rho=rho, dim=dim, random_state=seed)
        low, high = estimator.estimate(x, y).interval
        covered += low <= mi <= high
    assert covered >= 88


@both
def test_std_error_is_the_scatter(estimator) -> None:
    found = [
        estimator.estimate(*correlated_normal(300, rho=0.7, random_state=s)[:2]) for s in range(150)
    ]
    scatter = np.std([one.value for one in found])
    assert np.median([one.std_error for one in found]) == pytest.approx(scatter, rel=0.3)


def test_heavy_tails_widen_the_interval() -> None:
    rng = np.random.default_rng(6)
    x, y, _ = correlated_normal(500, rho=0.7, random_state=6)
    tails = np.sqrt(3.0 / rng.chisquare(3, (500, 1)))
    normal, heavy = Gaussian().estimate(x, y), Gaussian().estimate(x * tails, y * tails)
    assert heavy.std_error > 1.3 * normal.std_error


@both
def test_autocorrelation_widens_and_is_said(estimator) -> None:
    x, y, _ = ar1_pair(1000, coefficient_x=0.9, coefficient_y=0.9, random_state=7)
    found, declared = estimator.estimate(x, y), estimator.estimate(x, y, block=1)
    assert found.has("autocorrelated_samples")
    assert found.value == declared.value
    assert found.std_error > 1.5 * declared.std_error
    assert not declared.has("autocorrelated_samples")


@both
@pytest.mark.parametrize(("n", "d"), [(20, 30), (20, 10), (6, 100)])
def test_as_many_columns_as_rows_are_shrunk(estimator, n, d) -> None:
    rng = np.random.default_rng(8)
    x, y = rng.standard_normal((2, n, d))
    found = estimator.estimate(x, y)
    assert found.has("shrunk_covariance")
    assert found.interval is None
    assert 0.0 < found.info["shrinkage"] <= 1.0
    assert math.isfinite(found.value)
    # Independent data: shrinkage must leave far less than the saturated plug-in.
    assert found.value < 0.5 * d


@both
def test_constant_given_the_condition(estimator) -> None:
    rng = np.random.default_rng(9)
    z, y = rng.standard_normal((2, 200, 1))
    found = estimator.estimate(2.0 * z + 1.0, y, z=z)
    assert found.value == pytest.approx(0.0, abs=1e-9)


def test_a_deterministic_linear_map_is_said_to_be_infinite() -> None:
    x = np.random.default_rng(10).standard_normal((200, 2))
    found = Gaussian().estimate(x, x.sum(axis=1))
    assert found.has("infinite_for_continuous")
    assert found.value > 5.0


def test_info_holds_canonical_correlations() -> None:
    x, y, _ = correlated_normal(2000, rho=0.6, dim=2, random_state=11)
    correlations = Gaussian().estimate(x, y).info["canonical_correlations"]
    assert correlations == pytest.approx([0.6, 0.6], abs=0.06)


def test_pointwise_is_high_where_the_pair_is_typical() -> None:
    x, y, _ = correlated_normal(2000, rho=0.9, random_state=12)
    local = Gaussian().pointwise(x, y)
    truth = -0.5 * math.log(1 - 0.81)
    density_ratio = truth + (2 * 0.9 * x * y - 0.81 * (x**2 + y**2))[:, 0] / (2 * (1 - 0.81))
    assert np.corrcoef(local, density_ratio)[0, 1] > 0.999
