"""What samplers return, and the one check of theirs that the whole library does not share."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import cholesky


class Sample(NamedTuple):
    """Paired samples and the true mutual information of the law that they come from.

    Attributes:
        x: Samples of X, shape (n, d_x), float64; int64 for labels.
        y: Samples of Y, shape (n, d_y), float64; int64 for labels.
        mi: True I(X;Y) in nats.
    """

    x: np.ndarray
    y: np.ndarray
    mi: float


def cholesky_factor(name: str, covariance: ArrayLike, *, width: int | None = None) -> np.ndarray:
    """Return the lower triangular factor of a covariance; raise an error that names it otherwise.

    Args:
        name: What the matrix is called in the caller's signature.
        covariance: Symmetric positive definite matrix, shape (d, d).
        width: The d asked for, or None for any.

    Returns:
        L with ``L @ L.T`` equal to the covariance, shape (d, d).
    """
    matrix = np.asarray(covariance, dtype=float)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or width not in (None, len(matrix)):
        size = "d" if width is None else width
        raise ValueError(f"{name} must have shape ({size}, {size}), got {matrix.shape}.")
    if not np.isfinite(matrix).all():
        raise ValueError(f"{name} must be finite, got NaN or infinite entries.")
    gap = np.abs(matrix - matrix.T).max()
    if gap > 1e-10 * np.abs(matrix).max():
        raise ValueError(f"{name} must be symmetric, got entries that differ by {gap:g}.")
    try:
        return cholesky(matrix, lower=True)
    except np.linalg.LinAlgError as error:
        lowest = np.linalg.eigvalsh(matrix)[0]
        raise ValueError(
            f"{name} must be positive definite, got a smallest eigenvalue of {lowest:g}."
        ) from error
