"""Interval rules: the noncentral chi-square inversion and the autocorrelation factor."""

from __future__ import annotations

import numpy as np
import pytest

from infoest.functional.intervals import (
    autocorrelation_factor,
    mean_factor,
    noncentral_interval,
    normal_quantile,
)


def test_normal_quantile() -> None:
    assert normal_quantile(0.95) == pytest.approx(1.959963984540054, abs=1e-12)
    assert normal_quantile(0.5) == pytest.approx(0.6744897501960817, abs=1e-12)


@pytest.mark.parametrize("center", [0.001, 0.02, 0.3, 2.0])
@pytest.mark.parametrize("degrees", [1, 4, 25])
@pytest.mark.parametrize("n", [50.0, 1000.0])
@pytest.mark.parametrize("share", [1.0, 0.6])
@pytest.mark.parametrize("confidence", [0.5, 0.95])
def test_limits_solve_their_equation(center, degrees, n, share, confidence) -> None:
    from scipy.stats import ncx2

    low, high = noncentral_interval(center, degrees, n, share, confidence)
    statistic = 2.0 * n * center + degrees

    def below(information):
        shifted = statistic - (1.0 - share) * 2.0 * n * information
        return ncx2.cdf(shifted, degrees, share * 2.0 * n * information)

    tail = 0.5 * (1.0 - confidence)
    assert 0.0 <= low < high
    assert below(high) == pytest.approx(tail, abs=1e-6)
    if low > 0.0:
        assert below(low) == pytest.approx(1.0 - tail, abs=1e-6)
    else:
        assert below(1e-12) <= 1.0 - tail + 1e-6


def test_an_estimate_far_below_zero_leaves_only_zero() -> None:
    assert noncentral_interval(-0.05, 1, 1000.0, 1.0, 0.95) == (0.0, 0.0)
    low, high = noncentral_interval(-0.0004, 1, 1000.0, 1.0, 0.95)
    assert low == 0.0 < high < 0.01


def test_higher_confidence_is_wider() -> None:
    limits = [noncentral_interval(0.1, 2, 200.0, 0.9, c) for c in (0.5, 0.9, 0.99)]
    assert limits[2][0] < limits[1][0] < limits[0][0]
    assert limits[0][1] < limits[1][1] < limits[2][1]


def ar1(n, phi, rng, d=1):
    noise = rng.standard_normal((n + 500, d))
    series = noise.copy()
    for t in range(1, len(series)):
        series[t] += phi * series[t - 1]
    return series[500:]


@pytest.mark.parametrize("phi", [0.3, 0.5, 0.8, 0.9])
def test_autocorrelation_factor_is_that_of_theory(phi) -> None:
    rng = np.random.default_rng(0)
    found = [autocorrelation_factor(ar1(5000, phi, rng), ar1(5000, phi, rng)) for _ in range(8)]
    assert np.mean(found) == pytest.approx((1.0 + phi**2) / (1.0 - phi**2), rel=0.15)


@pytest.mark.parametrize("n", [30, 200, 2000])
@pytest.mark.parametrize("columns", [1, 5, 40])
def test_independent_rows_have_factor_one(n, columns) -> None:
    rng = np.random.default_rng(1)
    found = [
        autocorrelation_factor(rng.standard_normal((n, columns)), rng.standard_normal((n, columns)))
        for _ in range(20)
    ]
    assert np.mean([factor > 1.5 for factor in found]) <= 0.05
    assert np.mean(np.asarray(found) == 1.0) >= 0.8


def test_one_independent_side_needs_no_allowance() -> None:
    rng = np.random.default_rng(2)
    assert autocorrelation_factor(ar1(2000, 0.9, rng), rng.standard_normal((2000, 1))) < 1.2


def test_of_several_pairs_the_worst_and_the_correlated_count_and_order_matters() -> None:
    rng = np.random.default_rng(3)
    x = np.hstack([rng.standard_normal((3000, 1)), ar1(3000, 0.8, rng)])
    y = ar1(3000, 0.8, rng)
    worst = autocorrelation_factor(x[:, 1:], y)
    factor = autocorrelation_factor(x, y)
    assert 0.5 * (1.0 + worst) <= factor <= worst
    assert factor > 2.5
    together = y + x[:, 1:]
    correlated = autocorrelation_factor(x, together)
    assert correlated == pytest.approx(autocorrelation_factor(x[:, 1:], together), rel=0.02)
    order = rng.permutation(3000)
    assert autocorrelation_factor(x[order], y[order]) < 1.2


def test_scale_and_offset_leave_the_factor() -> None:
    rng = np.random.default_rng(4)
    x, y = ar1(500, 0.7, rng), ar1(500, 0.7, rng)
    factor = autocorrelation_factor(x, y)
    assert autocorrelation_factor(1e6 + 1e-3 * x, -1e5 * y) == pytest.approx(factor, rel=1e-5)


def test_mean_factor_of_an_autoregressive_series() -> None:
    """(1 + phi) / (1 - phi), and 1 for independent rows and for a constant."""
    noise = np.random.default_rng(0).standard_normal(20_000)
    series = noise.copy()
    for i in range(1, len(series)):
        series[i] += 0.6 * series[i - 1]
    assert mean_factor(series) == pytest.approx(4.0, rel=0.1)
    assert mean_factor(noise) == pytest.approx(1.0, abs=0.05)
    assert mean_factor(np.ones(10)) == 1.0
