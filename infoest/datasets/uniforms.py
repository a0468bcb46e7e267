"""Pairs with uniform margins or uniform noise."""

import math

from infoest._random import generator
from infoest._validation import check_int, check_number

from ._sample import Sample
from .maps import normal_cdf
from .normals import correlated_normal


def additive_uniform(n: int, *, epsilon: float = 0.1, random_state: int | None = None) -> Sample:
    """Draw X uniform on (0, 1) and Y = X + N with noise N uniform on (-epsilon, epsilon).

    ``I = 1 / (4 epsilon)`` for epsilon > 1/2 and ``epsilon - log(2 epsilon)`` otherwise.

    Args:
        n: Number of samples, at least 1.
        epsilon: Half the width of the noise, in [1e-12, 1e12].
        random_state: Seed, or None for a fresh stream.

    Returns:
        Sample with x and y of shape (n, 1).

    Raises:
        ValueError: If an argument is out of its range.

    References:
        Czyz et al. (2023), "Beyond Normal: On the Evaluation of Mutual Information Estimators".

    Example:
        >>> round(additive_uniform(5, epsilon=0.1, random_state=0).mi, 6)
        1.709438
    """
    n = check_int("n", n, low=1)
    # Narrower noise is lost in the last digits of x, wider noise loses x in its own.
    epsilon = check_number("epsilon", epsilon, low=1e-12, high=1e12)
    mi = 0.25 / epsilon if epsilon > 0.5 else epsilon - math.log(2.0 * epsilon)
    random = generator(random_state)
    x = random.uniform(size=(n, 1))
    return Sample(x, x + random.uniform(-epsilon, epsilon, size=(n, 1)), mi)


def correlated_uniform(
    n: int,
    *,
    mi: float | None = None,
    rho: float | None = None,
    dim: int = 1,
    random_state: int | None = None,
) -> Sample:
    """Draw columns uniform on (0, 1), paired by a Gaussian copula.

    They are `correlated_normal` columns through the normal distribution function, which leaves
    their mutual information as it is: ``I = -dim / 2 log(1 - rho^2)``.

    Args:
        n: Number of samples, at least 1.
        mi: Total I(X;Y) in nats over all ``dim`` pairs. Give ``mi`` or ``rho``, not both.
        rho: Correlation of the normal columns behind every pair, in (-1, 1); 0.5 where neither is
            given. The uniform columns have correlation ``6 / pi asin(rho / 2)``.
        dim: Number of columns on each side, at least 1.
        random_state: Seed, or None for a fresh stream.

    Returns:
        Sample with x and y of shape (n, dim).

    Raises:
        ValueError: If both ``mi`` and ``rho`` are given, or an argument is out of its range.

    Example:
        >>> x, y, mi = correlated_uniform(100, rho=0.75, random_state=0)
        >>> bool((0 < x).all() and (x < 1).all()), round(mi, 6)
        (True, 0.413339)
    """
    x, y, mi = correlated_normal(n, mi=mi, rho=rho, dim=dim, random_state=random_state)
    return Sample(normal_cdf(x), normal_cdf(y), mi)
