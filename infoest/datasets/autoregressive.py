"""Stationary autoregressive series with known mutual information or transfer entropy."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import solve, solve_discrete_lyapunov, toeplitz

from infoest._random import generator
from infoest._validation import check_int, check_number

from ._sample import Sample, cholesky_factor


class TransferSample(NamedTuple):
    """Two coupled series and their true transfer entropies.

    Attributes:
        source: Series of the source, shape (n, 1), in the order of time.
        target: Series of the target, shape (n, 1).
        transfer_entropy: From source to target, in nats.
        backward_transfer_entropy: From target to source, in nats.
    """

    source: np.ndarray
    target: np.ndarray
    transfer_entropy: float
    backward_transfer_entropy: float


def ar1_pair(
    n: int,
    *,
    coefficient_x: float = 0.8,
    coefficient_y: float = 0.8,
    correlation: float = 0.5,
    random_state: int | None = None,
) -> Sample:
    """Draw two first-order autoregressive series with correlated innovations.

    ``X_t = a X_(t-1) + E_t`` and ``Y_t = b Y_(t-1) + F_t``, E and F standard normal with
    correlation r. Simultaneous values are bivariate normal with correlation
    ``rho = r sqrt((1 - a^2)(1 - b^2)) / (1 - a b)``, so ``I(X_t;Y_t) = -1/2 log(1 - rho^2)``.

    Args:
        n: Length of the series, at least 1.
        coefficient_x: a, in (-1, 1).
        coefficient_y: b, in (-1, 1).
        correlation: r, in (-1, 1).
        random_state: Seed, or None for a fresh stream.

    Returns:
        Sample with x and y of shape (n, 1), in the order of time. Its rows are not independent.

    Raises:
        ValueError: If an argument is out of its range.

    Example:
        >>> round(ar1_pair(5, coefficient_x=0.9, coefficient_y=0.9, correlation=0.8).mi, 4)
        0.5108
    """
    a = check_number(
        "coefficient_x", coefficient_x, low=-1.0, high=1.0, open_low=True, open_high=True
    )
    b = check_number(
        "coefficient_y", coefficient_y, low=-1.0, high=1.0, open_low=True, open_high=True
    )
    correlation = check_number(
        "correlation", correlation, low=-1.0, high=1.0, open_low=True, open_high=True
    )
    innovations = np.array([[1.0, correlation], [correlation, 1.0]])
    series, stationary = _series(n, np.diag([a, b]), innovations, random_state)
    rho = stationary[0, 1] / math.sqrt(stationary[0, 0] * stationary[1, 1])
    return Sample(series[:, :1], series[:, 1:], -0.5 * math.log1p(-(rho**2)))


def var_process(
    n: int,
    *,
    coefficients: ArrayLike = ((0.5, 0.0), (0.4, 0.5)),
    innovation_covariance: ArrayLike = ((1.0, 0.0), (0.0, 1.0)),
    history: int = 1,
    random_state: int | None = None,
) -> TransferSample:
    """Draw a source and a target from a first-order vector autoregression, coupled as told.

    ``V_t = A V_(t-1) + E_t`` with V = (source, target) and E normal with covariance S. The transfer
    entropy to series i is ``1/2 log(v / S_ii)``: v is the variance of its next value given its own
    last ``history`` values, S_ii what is left of it given the last value of the other one too.

    Args:
        n: Length of the series, at least 1.
        coefficients: A, shape (2, 2), spectral radius below 1. ``A[1, 0]`` drives the target by the
            source, ``A[0, 1]`` the source by the target.
        innovation_covariance: S, symmetric positive definite, shape (2, 2).
        history: How many own past values of a series are known, in [1, 1000]. The values rarely
            move past 20: that is the transfer entropy of the infinite past.
        random_state: Seed, or None for a fresh stream.

    Returns:
        TransferSample with source and target of shape (n, 1).

    Raises:
        ValueError: If the process is not stationary or an argument is out of its range.

    Note:
        The number of past values of the source does not matter, as the process is of first order.

    References:
        Barnett, Barrett, Seth (2009), Phys. Rev. Lett. 103, 238701: transfer entropy of Gaussian
        variables is half their Granger causality.

    Example:
        >>> sample = var_process(100, random_state=0)
        >>> round(sample.transfer_entropy, 4), round(sample.backward_transfer_entropy, 4)
        (0.0921, 0.0)
    """
    matrix = np.asarray(coefficients, dtype=float)
    if matrix.shape != (2, 2) or not np.isfinite(matrix).all():
        raise ValueError(
            f"coefficients must be finite and have shape (2, 2), got {matrix.tolist()}."
        )
    radius = float(np.abs(np.linalg.eigvals(matrix)).max())
    if radius >= 1.0:
        raise ValueError(
            f"coefficients must have a spectral radius below 1, got {radius:.4g}. "
            "Scale them down: the process would explode."
        )
    history = check_int("history", history, low=1, high=1000)
    innovations = np.asarray(innovation_covariance, dtype=float)
    series, stationary = _series(n, matrix, innovations, random_state)
    covariances = [stationary]  # of V_t with V_(t-lag)
    for _ in range(history):
        covariances.append(matrix @ covariances[-1])
    to_source, to_target = (
        # No residual is below that of both pasts; rounding may say so by its last digit.
        max(0.0, 0.5 * math.log(_own_residual(own) / innovation))
        for own, innovation in zip(
            np.diagonal(covariances, axis1=1, axis2=2).T, np.diag(innovations), strict=True
        )
    )
    return TransferSample(series[:, :1], series[:, 1:], to_target, to_source)


def _own_residual(autocovariance: np.ndarray) -> float:
    """Return the variance of a series given its past values, as many as lags are known."""
    lags = autocovariance[1:]
    weights = solve(toeplitz(autocovariance[:-1]), lags, assume_a="pos")
    return float(autocovariance[0] - lags @ weights)


def _series(
    n: int, coefficients: np.ndarray, innovations: np.ndarray, random_state: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return a stationary series, shape (n, 2), and the covariance of its rows, shape (2, 2)."""
    n = check_int("n", n, low=1)
    factor = cholesky_factor("innovation_covariance", innovations, width=2)
    # In units of the innovations, as series of very different scales would be ill-conditioned.
    scale = np.sqrt(np.diag(innovations))
    units = np.outer(scale, scale)
    scaled = coefficients * scale / scale[:, None]
    stationary = units * solve_discrete_lyapunov(scaled, innovations / units)
    series = generator(random_state).standard_normal((n, 2))
    series[1:] = series[1:] @ factor.T
    # The first row is drawn from the stationary law, so nothing need be burnt in.
    series[0] = np.linalg.cholesky(stationary) @ series[0]
    for t in range(1, n):
        series[t] += coefficients @ series[t - 1]
    return series, stationary
