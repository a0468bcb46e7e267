"""Laws with heavy tails: the multivariate Student t, and an exponential with a gamma rate."""

import math

import numpy as np
from scipy.special import digamma, gammaln

from infoest._random import generator
from infoest._validation import check_int, check_number

from ._sample import Sample


def multivariate_student(
    n: int,
    *,
    dim_x: int = 1,
    dim_y: int = 1,
    degrees_of_freedom: float = 1.0,
    random_state: int | None = None,
) -> Sample:
    """Draw X and Y from one multivariate Student t with identity dispersion.

    All columns are uncorrelated, yet dependent: they share one scale. ``I = h(d_x) + h(d_y) -
    h(d_x + d_y)`` with h(p) the entropy of the p-dimensional t.

    Args:
        n: Number of samples, at least 1.
        dim_x: Columns of X, at least 1.
        dim_y: Columns of Y, at least 1.
        degrees_of_freedom: Tail index, in [0.1, 1e6]; 1 is the Cauchy law.
        random_state: Seed, or None for a fresh stream.

    Returns:
        Sample with x of shape (n, dim_x) and y of shape (n, dim_y).

    Raises:
        ValueError: If an argument is out of its range.

    References:
        Czyz et al. (2023), "Beyond Normal: On the Evaluation of Mutual Information Estimators".

    Example:
        >>> round(multivariate_student(5, degrees_of_freedom=1, random_state=0).mi, 6)
        0.224171
    """
    n = check_int("n", n, low=1)
    dim_x, dim_y = check_int("dim_x", dim_x, low=1), check_int("dim_y", dim_y, low=1)
    # Below 0.1 the common scale underflows to 0.
    freedom = check_number("degrees_of_freedom", degrees_of_freedom, low=0.1, high=1e6)
    width = dim_x + dim_y
    mi = _student_entropy(dim_x, freedom) + _student_entropy(dim_y, freedom)
    mi -= _student_entropy(width, freedom)
    random = generator(random_state)
    values = random.standard_normal((n, width))
    values /= np.sqrt(random.chisquare(freedom, size=(n, 1)) / freedom)
    return Sample(values[:, :dim_x], values[:, dim_x:], mi)


def _student_entropy(width: int, freedom: float) -> float:
    """Return the entropy of the t of a width, less ``width / 2 log(pi freedom)``, which cancels."""
    half, half_sum = freedom / 2.0, (freedom + width) / 2.0
    log_normalizer = gammaln(half) - gammaln(half_sum)
    return float(log_normalizer + half_sum * (digamma(half_sum) - digamma(half)))


def gamma_exponential(n: int, *, theta: float = 1.0, random_state: int | None = None) -> Sample:
    """Draw X from Gamma(theta, 1) and Y given X from the exponential law of rate X.

    ``I = digamma(theta + 1) - log(theta)``.

    Args:
        n: Number of samples, at least 1.
        theta: Shape of the gamma law, in [0.05, 1e6]; the smaller, the more informative.
        random_state: Seed, or None for a fresh stream.

    Returns:
        Sample with x and y of shape (n, 1), both positive.

    Raises:
        ValueError: If an argument is out of its range.

    References:
        Darbellay and Vajda (2000), IEEE Trans. Inf. Theory 46, 709; used as a test by Kraskov,
        Stoegbauer, Grassberger (2004), Phys. Rev. E 69, 066138.

    Example:
        >>> round(gamma_exponential(5, theta=1.0, random_state=0).mi, 6)
        0.422784
    """
    n = check_int("n", n, low=1)
    # Below 0.05 the gamma law underflows to 0 and Y overflows.
    theta = check_number("theta", theta, low=0.05, high=1e6)
    mi = float(digamma(theta + 1.0)) - math.log(theta)
    random = generator(random_state)
    x = random.gamma(theta, size=(n, 1))
    return Sample(x, random.standard_exponential((n, 1)) / x, mi)
