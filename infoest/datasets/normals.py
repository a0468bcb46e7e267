"""Jointly normal pairs: mutual information from correlations or log-determinants."""

import math

import numpy as np
from numpy.typing import ArrayLike

from infoest._random import generator
from infoest._validation import check_int, check_number

from ._sample import Sample, cholesky_factor

# Beyond, the noise exp(-30) of a pair nears the last digit of a float64 and Y copies X.
_LARGEST_MI_OF_A_PAIR = 30.0


def correlated_normal(
    n: int,
    *,
    mi: float | None = None,
    rho: float | None = None,
    dim: int = 1,
    random_state: int | None = None,
) -> Sample:
    """Draw pairs of standard normal columns with a given correlation or mutual information.

    Column i of X is correlated with column i of Y alone, so ``I = -dim / 2 log(1 - rho^2)``.

    Args:
        n: Number of samples, at least 1.
        mi: Total I(X;Y) in nats over all ``dim`` pairs, in [0, 30 dim]; the correlation is then
            ``sqrt(1 - exp(-2 mi / dim))``. Give ``mi`` or ``rho``, not both.
        rho: Correlation of every pair, in (-1, 1); 0.5 where neither is given.
        dim: Number of columns on each side, at least 1.
        random_state: Seed, or None for a fresh stream.

    Returns:
        Sample with x and y of shape (n, dim).

    Raises:
        ValueError: If both ``mi`` and ``rho`` are given, or an argument is out of its range.

    Example:
        >>> x, y, mi = correlated_normal(2000, rho=0.8, random_state=0)
        >>> x.shape, round(mi, 4)
        ((2000, 1), 0.5108)
        >>> correlated_normal(10, mi=2.0, dim=3, random_state=0).mi
        2.0
    """
    n, dim = check_int("n", n, low=1), check_int("dim", dim, low=1)
    if mi is not None and rho is not None:
        raise ValueError(f"mi and rho must not both be given, got mi={mi} and rho={rho}. Drop one.")
    if mi is not None:
        mi = check_number("mi", mi, low=0.0, high=_LARGEST_MI_OF_A_PAIR * dim)
        rho, noise = math.sqrt(-math.expm1(-2.0 * mi / dim)), math.exp(-mi / dim)
    else:
        rho = 0.5 if rho is None else rho
        rho = check_number("rho", rho, low=-1.0, high=1.0, open_low=True, open_high=True)
        noise = math.sqrt((1.0 - rho) * (1.0 + rho))
        mi = dim * abs(math.log(noise))
    random = generator(random_state)
    x = random.standard_normal((n, dim))
    return Sample(x, rho * x + noise * random.standard_normal((n, dim)), mi)


def joint_normal(
    n: int, *, covariance: ArrayLike, dim_x: int, random_state: int | None = None
) -> Sample:
    """Draw jointly normal X and Y with mean 0 and a given covariance.

    ``I = (log det S_x + log det S_y - log det S) / 2``, S_x and S_y the diagonal blocks of S.

    Args:
        n: Number of samples, at least 1.
        covariance: Joint covariance S, symmetric positive definite, shape (d, d).
        dim_x: How many of the d columns are X, in [1, d - 1]; the rest are Y.
        random_state: Seed, or None for a fresh stream.

    Returns:
        Sample with x of shape (n, dim_x) and y of shape (n, d - dim_x).

    Raises:
        ValueError: If ``covariance`` is not a covariance or ``dim_x`` leaves a side empty.

    Example:
        >>> sample = joint_normal(5, covariance=[[1.0, 0.6], [0.6, 1.0]], dim_x=1)
        >>> round(sample.mi, 4)
        0.2231
    """
    n = check_int("n", n, low=1)
    factor = cholesky_factor("covariance", covariance)
    dim_x = check_int("dim_x", dim_x, low=1, high=len(factor) - 1)
    # The last rows of the factor are Y given X: the block's determinant is that of Y's residual.
    factor_y = cholesky_factor("covariance", np.asarray(covariance)[dim_x:, dim_x:])
    residual_y = factor[dim_x:, dim_x:]
    mi = float(np.log(np.diag(factor_y)).sum() - np.log(np.diag(residual_y)).sum())
    values = generator(random_state).standard_normal((n, len(factor))) @ factor.T
    return Sample(values[:, :dim_x], values[:, dim_x:], mi)


def dense_normal(
    n: int,
    *,
    dim_x: int = 2,
    dim_y: int = 2,
    correlation: float = 0.5,
    random_state: int | None = None,
) -> Sample:
    """Draw normal X and Y whose columns all have the same correlation with each other.

    Args:
        n: Number of samples, at least 1.
        dim_x: Columns of X, at least 1.
        dim_y: Columns of Y, at least 1.
        correlation: Correlation of any two of the d = dim_x + dim_y columns, in (-1/(d - 1), 1).
        random_state: Seed, or None for a fresh stream.

    Returns:
        Sample with x of shape (n, dim_x) and y of shape (n, dim_y).

    Raises:
        ValueError: If an argument is out of its range.

    References:
        Czyz et al. (2023), "Beyond Normal: On the Evaluation of Mutual Information Estimators".

    Example:
        >>> round(dense_normal(5, dim_x=3, dim_y=3, random_state=0).mi, 6)
        0.413339
    """
    dim_x, dim_y = check_int("dim_x", dim_x, low=1), check_int("dim_y", dim_y, low=1)
    width = dim_x + dim_y
    lowest = -1.0 / (width - 1)
    correlation = check_number(
        "correlation", correlation, low=lowest, high=1.0, open_low=True, open_high=True
    )
    covariance = np.full((width, width), correlation)
    np.fill_diagonal(covariance, 1.0)
    return joint_normal(n, covariance=covariance, dim_x=dim_x, random_state=random_state)


def sparse_normal(
    n: int,
    *,
    dim_x: int = 2,
    dim_y: int = 2,
    interacting: int = 2,
    strength: float = 2.0,
    random_state: int | None = None,
) -> Sample:
    """Draw standard normal X and Y of which only the first few columns interact.

    A shared standard normal signal times ``strength`` plus standard normal noise, scaled to unit
    variance, makes each interacting pair; its correlation is ``strength^2 / (1 + strength^2)``.
    All other columns are independent.

    Args:
        n: Number of samples, at least 1.
        dim_x: Columns of X, at least 1.
        dim_y: Columns of Y, at least 1.
        interacting: Number of interacting pairs, in [1, min(dim_x, dim_y)].
        strength: Weight of the signal, in [0, 1000].
        random_state: Seed, or None for a fresh stream.

    Returns:
        Sample with x of shape (n, dim_x) and y of shape (n, dim_y).

    Raises:
        ValueError: If an argument is out of its range.

    References:
        Czyz et al. (2023), "Beyond Normal: On the Evaluation of Mutual Information Estimators".

    Example:
        >>> round(sparse_normal(5, dim_x=5, dim_y=5, random_state=0).mi, 6)
        1.021651
    """
    covariance = sparse_covariance(dim_x, dim_y, interacting, strength)
    return joint_normal(n, covariance=covariance, dim_x=dim_x, random_state=random_state)


def sparse_covariance(dim_x: int, dim_y: int, interacting: int, strength: float) -> np.ndarray:
    """Return the covariance of `sparse_normal`, shape (dim_x + dim_y, dim_x + dim_y)."""
    dim_x, dim_y = check_int("dim_x", dim_x, low=1), check_int("dim_y", dim_y, low=1)
    interacting = check_int("interacting", interacting, low=1, high=min(dim_x, dim_y))
    strength = check_number("strength", strength, low=0.0, high=1000.0)
    covariance = np.eye(dim_x + dim_y)
    pairs = np.arange(interacting)
    rho = strength**2 / (1.0 + strength**2)
    covariance[pairs, dim_x + pairs] = covariance[dim_x + pairs, pairs] = rho
    return covariance
