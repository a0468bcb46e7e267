"""Invertible maps of one side, which leave mutual information as it is.

Every map takes samples of shape (n, d) and returns new ones; they compose as functions do:
``spiral(normal_cdf(x))``.
"""

import numpy as np
from scipy.special import ndtr

from infoest._random import generator
from infoest._validation import check_int, check_number

# Amplitude, frequency and phase of the waves of `wiggly`: Czyz et al. (2023), appendix.
WIGGLY_X = ((0.4, 1.0, 0.0), (0.2, 1.7, 1.0), (0.03, 3.3, -2.5))
WIGGLY_Y = ((-0.4, 0.4, 0.0), (0.17, 1.3, 3.5), (0.02, 4.3, -2.5))


def normal_cdf(values: np.ndarray) -> np.ndarray:
    """Return the standard normal distribution function of every entry: normal to uniform.

    Args:
        values: Samples, any shape.

    Returns:
        Numbers in [0, 1], same shape.
    """
    return ndtr(np.asarray(values, dtype=float))


def asinh(values: np.ndarray) -> np.ndarray:
    """Return the inverse hyperbolic sine of every entry, which shortens heavy tails.

    Args:
        values: Samples, any shape.

    Returns:
        Same shape.
    """
    return np.arcsinh(np.asarray(values, dtype=float))


def half_cube(values: np.ndarray) -> np.ndarray:
    """Return ``v sqrt(|v|)`` of every entry, which lengthens tails.

    Args:
        values: Samples, any shape.

    Returns:
        Same shape.
    """
    values = np.asarray(values, dtype=float)
    return values * np.sqrt(np.abs(values))


def cube(values: np.ndarray) -> np.ndarray:
    """Return the third power of every entry.

    Args:
        values: Samples, any shape.

    Returns:
        Same shape.
    """
    values = np.asarray(values, dtype=float)
    return values * values * values


def wiggly(
    values: np.ndarray, *, waves: tuple[tuple[float, float, float], ...] = WIGGLY_X
) -> np.ndarray:
    """Add waves to every entry: ``v + sum a sin(b v + c)``.

    Args:
        values: Samples, any shape.
        waves: Triples (a, b, c) of amplitude, frequency and phase with ``sum |a b| < 1``, so that
            the map increases. ``WIGGLY_X`` and ``WIGGLY_Y`` are the two sides of the suite "core".

    Returns:
        Same shape.

    Raises:
        ValueError: If the waves are so steep that the map could not be inverted.
    """
    steepness = sum(abs(amplitude * frequency) for amplitude, frequency, _ in waves)
    if steepness >= 1.0:
        raise ValueError(
            f"waves must satisfy sum |a b| < 1, got {steepness:g}. Lower an amplitude or frequency."
        )
    values = np.asarray(values, dtype=float)
    return values + sum(a * np.sin(b * values + c) for a, b, c in waves)


def swissroll(values: np.ndarray) -> np.ndarray:
    """Roll the unit interval up in the plane: ``(t cos t, t sin t) / 21, t = 1.5 pi (1 + 2 v)``.

    Args:
        values: Samples in [0, 1], shape (n, 1).

    Returns:
        Points of the plane, shape (n, 2).

    Raises:
        ValueError: If there is more than one column or a value outside [0, 1].
    """
    values = np.asarray(values, dtype=float)
    if values.ndim != 2 or values.shape[1] != 1:
        raise ValueError(f"values must have shape (n, 1), got {values.shape}. Roll one column.")
    if not ((values >= 0.0) & (values <= 1.0)).all():
        raise ValueError(
            f"values must be in [0, 1], got [{values.min():g}, {values.max():g}]. "
            "Pass uniform samples, such as normal_cdf(x)."
        )
    angle = 1.5 * np.pi * (1.0 + 2.0 * values)
    return np.hstack([angle * np.cos(angle), angle * np.sin(angle)]) / 21.0


def bimodal(
    values: np.ndarray,
    *,
    weight: float = 0.3,
    means: tuple[float, float] = (0.0, 5.0),
) -> np.ndarray:
    """Turn standard normal entries into a mixture of two unit normals.

    The normal distribution function, then the inverse distribution function of
    ``weight N(means[0], 1) + (1 - weight) N(means[1], 1)``.

    Args:
        values: Standard normal samples, any shape.
        weight: Share of the first component, in (0, 1).
        means: Means of the two components.

    Returns:
        Same shape, accurate to about 1e-14 of the distance of the means, also in the tails.

    Raises:
        ValueError: If ``weight`` is not in (0, 1) or a mean is not finite.
    """
    weight = check_number("weight", weight, low=0.0, high=1.0, open_low=True, open_high=True)
    first, second = (check_number("means", mean) for mean in means)
    values = np.asarray(values, dtype=float)
    # Of the smaller tail, as the distribution function of 9.0 is already 1.0 in float64.
    side = np.where(values > 0.0, -1.0, 1.0)
    target = ndtr(side * values)
    low, high = values + min(first, second), values + max(first, second)
    for _ in range(50):  # halves the bracket to 2**-50 of the distance of the means
        middle = 0.5 * (low + high)
        tail = weight * ndtr(side * (middle - first))
        tail += (1.0 - weight) * ndtr(side * (middle - second))
        below = side * (tail - target) < 0.0
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return 0.5 * (low + high)


def spiral(
    values: np.ndarray, *, axes: tuple[int, int] = (0, 1), speed: float | None = None
) -> np.ndarray:
    """Rotate every row in a plane by an angle that grows with its squared norm.

    ``v`` to ``exp(speed |v|^2 G) v`` with G the generator of the rotation of two axes.

    Args:
        values: Samples, shape (n, d), d at least 2.
        axes: The two columns that span the plane; the first turns toward the second.
        speed: Angle in radians per unit of squared norm; None for 1 / d.

    Returns:
        Rows of the same norm, shape (n, d).

    Raises:
        ValueError: If ``axes`` are not two different columns.
    """
    values = np.asarray(values, dtype=float)
    if values.ndim != 2:
        raise ValueError(f"values must have shape (n, d), got {values.shape}.")
    width = values.shape[1]
    first, second = (check_int("axes", axis, low=0, high=width - 1) for axis in axes)
    if first == second:
        raise ValueError(f"axes must be two different columns, got {axes}.")
    speed = 1.0 / width if speed is None else check_number("speed", speed)
    angle = speed * (values**2).sum(axis=1)
    cosine, sine = np.cos(angle), np.sin(angle)
    turned = values.copy()
    turned[:, first] = cosine * values[:, first] - sine * values[:, second]
    turned[:, second] = sine * values[:, first] + cosine * values[:, second]
    return turned


def rotate(values: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """Turn every row by the same rotation of all its columns, ``v`` to ``v R``.

    Args:
        values: Samples, shape (n, d).
        seed: Of R, which is drawn uniformly from the rotations of d dimensions; the same for the
            same seed and d.

    Returns:
        Rows of the same norm, shape (n, d).
    """
    values = np.asarray(values, dtype=float)
    if values.ndim != 2:
        raise ValueError(f"values must have shape (n, d), got {values.shape}.")
    return values @ _rotation(values.shape[1], check_int("seed", seed, low=0))


def _rotation(width: int, seed: int) -> np.ndarray:
    """Return a uniformly random orthogonal matrix of determinant 1, shape (width, width)."""
    basis, triangle = np.linalg.qr(generator(seed).standard_normal((width, width)))
    # Signs that do not depend on the linear-algebra library, and make the law uniform.
    basis *= np.where(np.diag(triangle) < 0.0, -1.0, 1.0)
    if np.linalg.det(basis) < 0.0:
        basis[:, 0] *= -1.0
    return basis
