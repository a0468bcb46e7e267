"""The mixtures of normals of the suite "mixtures"; their information is an exact integral.

Every sampler integrates its law once per set of parameters, in about a tenth of a second, and
remembers the value; `_quadrature` says how.
"""

import functools
import math

import numpy as np

from infoest._random import generator
from infoest._validation import check_int, check_number

from ._quadrature import (
    concentric_mutual_information,
    inlier_mutual_information,
    planar_mutual_information,
)
from ._sample import Sample
from .maps import spiral
from .mixture_density import GaussianMixture
from .normals import sparse_covariance

_MOST_COMPONENTS = 100  # keeps the grid of the integral within a few megabytes


def x_mixture(n: int, *, rho: float = 0.9, random_state: int | None = None) -> Sample:
    """Draw from half N(0, corr rho) and half N(0, corr -rho): the letter X in the plane.

    X and Y are uncorrelated standard normals, yet dependent.

    Args:
        n: Number of samples, at least 1.
        rho: Correlation of the two components, in [0, 0.999].
        random_state: Seed, or None for a fresh stream.

    Returns:
        Sample with x and y of shape (n, 1).

    Raises:
        ValueError: If an argument is out of its range.

    Example:
        >>> round(x_mixture(5, rho=0.9, random_state=0).mi, 3)
        0.408
    """
    law = _x_law(check_number("rho", rho, low=0.0, high=0.999))
    return Sample(*law.sample(n, random_state), _planar(law))


@functools.cache
def _x_law(rho: float) -> GaussianMixture:
    covariances = np.array([[[1.0, r], [r, 1.0]] for r in (rho, -rho)])
    return _equal_mixture(np.zeros((2, 2)), covariances)


def ai_mixture(n: int, *, random_state: int | None = None) -> Sample:
    """Draw from six normals that write the letters AI in the plane.

    Args:
        n: Number of samples, at least 1.
        random_state: Seed, or None for a fresh stream.

    Returns:
        Sample with x and y of shape (n, 1).

    Raises:
        ValueError: If ``n`` is below 1.

    References:
        Czyz et al. (2023), "On the Properties and Estimation of Pointwise Mutual Information
        Profiles".

    Example:
        >>> round(ai_mixture(5, random_state=0).mi, 3)
        0.776
    """
    law = _ai_law()
    return Sample(*law.sample(n, random_state), _planar(law))


@functools.cache
def _ai_law() -> GaussianMixture:
    slant = 0.95 * math.sqrt(0.04 * 0.2)
    strokes = (
        # mean_x, mean_y, var_x, var_y, covariance
        (1.0, 0.0, 0.01, 0.2, 0.0),  # I: stem and two serifs
        (1.0, 1.0, 0.05, 0.001, 0.0),
        (1.0, -1.0, 0.05, 0.001, 0.0),
        (-0.8, -0.2, 0.03, 0.001, 0.0),  # A: bar and two legs
        (-1.2, 0.0, 0.04, 0.2, slant),
        (-0.4, 0.0, 0.04, 0.2, -slant),
    )
    means = np.array([stroke[:2] for stroke in strokes])
    covariances = np.array([[[vx, c], [c, vy]] for _, _, vx, vy, c in strokes])
    return _equal_mixture(means, covariances)


def waves(
    n: int,
    *,
    components: int = 12,
    amplitude: float = 5.0,
    frequency: float = 3.0,
    random_state: int | None = None,
) -> Sample:
    """Draw waves in the plane of X, numbered in fours by Y.

    Component i has mean ``1.5 (i, 0, i mod 4)`` and covariance diag(0.1, 1, 0.1); X, its first two
    columns, goes through ``x_1 += amplitude sin(frequency x_2)`` and then to
    ``(0.1 x_1 - 0.8, 0.5 x_2)``. Before these maps x_2 is independent of all else, so I(X;Y) is
    that of x_1 and y.

    Args:
        n: Number of samples, at least 1.
        components: Number of equal components, in [1, 100].
        amplitude: Height of the waves, finite. It does not change the mutual information.
        frequency: Frequency of the waves, finite. Nor does it.
        random_state: Seed, or None for a fresh stream.

    Returns:
        Sample with x of shape (n, 2) and y of shape (n, 1).

    Raises:
        ValueError: If an argument is out of its range.

    Example:
        >>> round(waves(5, random_state=0).mi, 3)
        1.307
    """
    law = _waves_law(check_int("components", components, low=1, high=_MOST_COMPONENTS))
    amplitude = check_number("amplitude", amplitude)
    frequency = check_number("frequency", frequency)
    x, y = law.sample(n, random_state)
    first = x[:, 0] + amplitude * np.sin(frequency * x[:, 1])
    x = np.column_stack([0.1 * first - 0.8, 0.5 * x[:, 1]])
    return Sample(x, y, _planar(law, (1.0, 0.0)))


@functools.cache
def _waves_law(components: int) -> GaussianMixture:
    index = np.arange(components)
    means = 1.5 * np.column_stack([index, np.zeros(components), index % 4])
    covariances = np.broadcast_to(np.diag([0.1, 1.0, 0.1]), (components, 3, 3))
    return _equal_mixture(means, covariances)


def galaxy(
    n: int, *, speed: float = 0.5, distance: float = 3.0, random_state: int | None = None
) -> Sample:
    """Draw two round clouds in the plane of X, told apart by Y, wound into spiral arms.

    Two components of equal weight, unit covariance and means ``+-distance / 2 (1, 1, 1)``; X, the
    first two columns, goes through `spiral` at ``speed``.

    Args:
        n: Number of samples, at least 1.
        speed: Angle in radians per unit of squared norm, finite. It does not change I(X;Y).
        distance: Distance of the means along every axis, in [0, 100].
        random_state: Seed, or None for a fresh stream.

    Returns:
        Sample with x of shape (n, 2) and y of shape (n, 1).

    Raises:
        ValueError: If an argument is out of its range.

    Example:
        >>> round(galaxy(5, random_state=0).mi, 3)
        0.494
    """
    law = _galaxy_law(check_number("distance", distance, low=0.0, high=100.0))
    x, y = law.sample(n, random_state)
    # Across the line of the means X is noise: what it tells of Y lies along that line.
    along = (math.sqrt(0.5), math.sqrt(0.5))
    return Sample(spiral(x, speed=speed), y, _planar(law, along))


@functools.cache
def _galaxy_law(distance: float) -> GaussianMixture:
    means = 0.5 * distance * np.array([[1.0, 1.0, 1.0], [-1.0, -1.0, -1.0]])
    return _equal_mixture(means, np.stack([np.eye(3)] * 2))


def concentric_gaussians(
    n: int, *, dim_x: int = 3, components: int = 5, random_state: int | None = None
) -> Sample:
    """Draw from concentric normals whose radius is told by Y.

    Component i = 1, 2, ... has x ~ N(0, i^2 I) and y ~ N(i, 0.0001). The values of y of two
    components lie 100 standard deviations apart, so I(X;Y) is that of X and the component.

    Args:
        n: Number of samples, at least 1.
        dim_x: Columns of X, in [1, 10000].
        components: Number of equal components, in [1, 100].
        random_state: Seed, or None for a fresh stream.

    Returns:
        Sample with x of shape (n, dim_x) and y of shape (n, 1).

    Raises:
        ValueError: If an argument is out of its range.

    Example:
        >>> round(concentric_gaussians(5, dim_x=3, random_state=0).mi, 3)
        0.455
    """
    n = check_int("n", n, low=1)
    dim_x = check_int("dim_x", dim_x, low=1, high=10_000)
    components = check_int("components", components, low=1, high=_MOST_COMPONENTS)
    random = generator(random_state)
    label = random.integers(1, components + 1, size=(n, 1))
    x = label * random.standard_normal((n, dim_x))
    y = label + 0.01 * random.standard_normal((n, 1))
    return Sample(x, y, _concentric(dim_x, components))


def sparse_normal_with_inliers(
    n: int,
    *,
    dim_x: int = 5,
    dim_y: int = 5,
    interacting: int = 2,
    strength: float = 2.0,
    inlier_fraction: float = 0.2,
    random_state: int | None = None,
) -> Sample:
    """Draw from `sparse_normal`, with a fraction of the pairs replaced by independent ones.

    The independent pairs have the same margins, so no single column tells of them. The mutual
    information depends on neither ``dim_x`` nor ``dim_y``.

    Args:
        n: Number of samples, at least 1.
        dim_x: Columns of X, at least 1.
        dim_y: Columns of Y, at least 1.
        interacting: Number of interacting pairs of columns, in [1, min(dim_x, dim_y)].
        strength: Weight of the signal of `sparse_normal`, in [0, 1000].
        inlier_fraction: Share of independent pairs, in (0, 1).
        random_state: Seed, or None for a fresh stream.

    Returns:
        Sample with x of shape (n, dim_x) and y of shape (n, dim_y).

    Raises:
        ValueError: If an argument is out of its range.

    Example:
        >>> round(sparse_normal_with_inliers(5, random_state=0).mi, 3)
        0.636
    """
    fraction = check_number(
        "inlier_fraction", inlier_fraction, low=0.0, high=1.0, open_low=True, open_high=True
    )
    n = check_int("n", n, low=1)
    covariance = sparse_covariance(dim_x, dim_y, interacting, strength)
    random = generator(random_state)
    values = random.standard_normal((n, dim_x + dim_y))
    signal = random.random(n) >= fraction
    values[signal] = values[signal] @ np.linalg.cholesky(covariance).T
    mi = _inliers(interacting, float(covariance[0, dim_x]), fraction)
    return Sample(values[:, :dim_x], values[:, dim_x:], mi)


_concentric = functools.cache(concentric_mutual_information)
_inliers = functools.cache(inlier_mutual_information)


@functools.cache
def _planar(law: GaussianMixture, direction: tuple[float, ...] = (1.0,)) -> float:
    """Return I(X;Y) of a law whose X tells of the one column Y only along a unit direction."""
    projection = np.zeros((2, len(direction) + 1))
    projection[0, :-1], projection[1, -1] = direction, 1.0
    plane = _equal_mixture(law.means @ projection.T, projection @ law.covariances @ projection.T)
    return planar_mutual_information(plane)


def _equal_mixture(means: np.ndarray, covariances: np.ndarray) -> GaussianMixture:
    """Return a mixture of equal shares whose last column is Y."""
    weights = np.full(len(means), 1.0 / len(means))
    return GaussianMixture(
        weights=weights, means=means, covariances=covariances, dim_x=means.shape[1] - 1
    )
