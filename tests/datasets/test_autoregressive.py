"""Autoregressive series: stationarity, correlation, transfer entropy against regressions."""

import numpy as np
import pytest

from infoest.datasets import ar1_pair, var_process

N = 100_000


def residual_variance(future, *pasts):
    """Return the variance of the future left by a least-squares fit of the pasts."""
    design = np.column_stack(pasts)
    weights, *_ = np.linalg.lstsq(design, future, rcond=None)
    return np.var(future - design @ weights)


def fitted_transfer_entropy(source, target, history):
    """Return the Gaussian transfer entropy of two series by brute regression."""
    source, target = source[:, 0], target[:, 0]
    own = [target[history - lag : len(target) - lag] for lag in range(1, history + 1)]
    other = [source[history - lag : len(source) - lag] for lag in range(1, history + 1)]
    future = target[history:]
    return 0.5 * np.log(residual_variance(future, *own) / residual_variance(future, *own, *other))


PROCESSES = [
    {},
    {"coefficients": [[0.5, 0.0], [0.4, 0.5]], "history": 5},
    {"coefficients": [[0.3, -0.4], [0.6, 0.2]], "innovation_covariance": [[1.0, 0.5], [0.5, 2.0]]},
    {
        "coefficients": [[-0.7, 0.2], [0.5, 0.6]],
        "innovation_covariance": [[0.01, 0.0], [0.0, 4.0]],
        "history": 2,
    },
    {"coefficients": [[0.9, 0.0], [0.0, -0.9]], "innovation_covariance": [[1.0, 0.9], [0.9, 1.0]]},
]


@pytest.mark.parametrize("options", PROCESSES)
def test_transfer_entropy_is_that_of_a_regression(options):
    source, target, forward, backward = var_process(N, **options, random_state=0)
    history = options.get("history", 1)
    # The standard error of a fitted value is about sqrt(2 TE / N), its bias below 1e-4.
    for fitted, truth in (
        (fitted_transfer_entropy(source, target, history), forward),
        (fitted_transfer_entropy(target, source, history), backward),
    ):
        assert fitted == pytest.approx(truth, abs=1e-4 + 4.0 * np.sqrt(2.0 * truth / N))


def test_nothing_is_transferred_against_the_coupling():
    sample = var_process(50, random_state=0)
    assert sample.transfer_entropy > 0.05
    assert sample.backward_transfer_entropy == pytest.approx(0.0, abs=1e-12)
    assert sample.backward_transfer_entropy >= 0.0


def test_longer_history_leaves_less_to_transfer_and_converges():
    values = [var_process(1, history=k).transfer_entropy for k in (1, 2, 5, 20, 200)]
    assert np.all(np.diff(values) <= 1e-15)
    assert values[0] - values[2] > 5e-5
    assert values[3] == pytest.approx(values[4], abs=1e-9)


def test_infinite_history_has_the_value_of_the_moving_average_form():
    # The target alone is an ARMA(2, 1) process: its innovation variance solves a quadratic.
    a, c, b = 0.5, 0.4, 0.5
    gamma_0, gamma_1 = 1.0 + c**2 + a**2, -a
    innovation = 0.5 * (gamma_0 + np.sqrt(gamma_0**2 - 4.0 * gamma_1**2))
    sample = var_process(1, coefficients=[[a, 0.0], [c, b]], history=500)
    assert sample.transfer_entropy == pytest.approx(0.5 * np.log(innovation), abs=1e-10)


def test_transfer_entropy_does_not_depend_on_units():
    scale = np.diag([1e3, 1e-3])
    coefficients = np.array([[0.3, -0.4], [0.6, 0.2]])
    covariance = np.array([[1.0, 0.5], [0.5, 2.0]])
    plain = var_process(1, coefficients=coefficients, innovation_covariance=covariance)
    scaled = var_process(
        1,
        coefficients=scale @ coefficients @ np.linalg.inv(scale),
        innovation_covariance=scale @ covariance @ scale,
    )
    assert scaled[2:] == pytest.approx(plain[2:], abs=1e-9)


def test_series_are_stationary_from_the_first_row_on():
    coefficients = [[0.9, 0.0], [0.5, 0.8]]
    first = np.vstack(
        [
            np.hstack(var_process(1, coefficients=coefficients, random_state=seed)[:2])
            for seed in range(3000)
        ]
    )
    source, target, *_ = var_process(N, coefficients=coefficients, random_state=0)
    long = np.cov(np.hstack([source, target]), rowvar=False)
    assert np.allclose(np.cov(first, rowvar=False), long, rtol=0.12)


@pytest.mark.parametrize(
    ("a", "b", "r"), [(0.8, 0.8, 0.5), (0.9, -0.5, 0.7), (0.0, 0.0, -0.6), (0.5, 0.95, 0.0)]
)
def test_ar1_pair_has_the_correlation_whose_information_is_given(a, b, r):
    x, y, mi = ar1_pair(N, coefficient_x=a, coefficient_y=b, correlation=r, random_state=0)
    rho = r * np.sqrt((1.0 - a**2) * (1.0 - b**2)) / (1.0 - a * b)
    assert mi == pytest.approx(-0.5 * np.log(1.0 - rho**2), abs=1e-12)
    assert np.corrcoef(x[:, 0], y[:, 0])[0, 1] == pytest.approx(rho, abs=0.03)
    for series, coefficient in ((x[:, 0], a), (y[:, 0], b)):
        assert np.corrcoef(series[1:], series[:-1])[0, 1] == pytest.approx(coefficient, abs=0.015)
    innovations = np.corrcoef(x[1:, 0] - a * x[:-1, 0], y[1:, 0] - b * y[:-1, 0])[0, 1]
    assert innovations == pytest.approx(r, abs=0.015)


@pytest.mark.parametrize("sampler", [ar1_pair, var_process])
def test_shapes_seeds_and_lengths(sampler):
    first, second = sampler(40, random_state=1)[:2]
    assert first.shape == second.shape == (40, 1)
    assert first.dtype == second.dtype == np.float64
    assert np.array_equal(first, sampler(40, random_state=1)[0])
    assert not np.array_equal(first, sampler(40, random_state=2)[0])
    assert sampler(1)[0].shape == (1, 1)
    with pytest.raises(ValueError, match="n must be an integer of at least 1, got 0"):
        sampler(0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ar1_pair(5, coefficient_x=1.0), r"coefficient_x must be in \(-1, 1\), got 1.0"),
        (lambda: ar1_pair(5, coefficient_y=-2.0), r"coefficient_y must be in \(-1, 1\), got -2.0"),
        (lambda: ar1_pair(5, correlation=1.0), r"correlation must be in \(-1, 1\), got 1.0"),
        (
            lambda: var_process(5, coefficients=[[1.0, 0.0], [0.0, 0.5]]),
            "coefficients must have a spectral radius below 1, got 1",
        ),
        (
            lambda: var_process(5, coefficients=[[0.5, 0.1]]),
            r"coefficients must be finite and have shape \(2, 2\), got \[\[0.5, 0.1\]\]",
        ),
        (
            lambda: var_process(5, innovation_covariance=[[1.0, 1.0], [1.0, 1.0]]),
            "innovation_covariance must be positive definite, got a smallest eigenvalue of",
        ),
        (
            lambda: var_process(5, innovation_covariance=np.eye(3)),
            r"innovation_covariance must have shape \(2, 2\), got \(3, 3\)",
        ),
        (lambda: var_process(5, history=0), r"history must be in \[1, 1000\], got 0"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
