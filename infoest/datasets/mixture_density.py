"""Mixtures of normals over (X, Y) whose density, and so whose log density ratio, is known."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import logsumexp

from infoest._random import generator
from infoest._validation import check_int

from ._sample import cholesky_factor

_CHUNK = 100_000


class MonteCarlo(NamedTuple):
    """A Monte Carlo mean and its standard error, in nats."""

    value: float
    std_error: float


@dataclass(frozen=True, kw_only=True, eq=False)
class GaussianMixture:
    """Mixture of k normals over the d joint columns of X and Y.

    Args:
        weights: Shares of the components, none negative, sum 1, shape (k,).
        means: Means, shape (k, d).
        covariances: Symmetric positive definite covariances, shape (k, d, d).
        dim_x: How many of the d columns are X, in [1, d - 1]; the rest are Y.

    Raises:
        ValueError: If shapes disagree, weights are not shares or a covariance is not one.

    References:
        Czyz et al. (2023), "On the Properties and Estimation of Pointwise Mutual Information
        Profiles".

    Example:
        >>> law = GaussianMixture(
        ...     weights=np.full(2, 0.5),
        ...     means=np.array([[0.0, 0.0], [9.0, 9.0]]),
        ...     covariances=np.stack([np.eye(2)] * 2),
        ...     dim_x=1,
        ... )
        >>> value, std_error = law.mutual_information(draws=10_000)
        >>> bool(abs(value - np.log(2.0)) < 0.01), std_error < 0.01
        (True, True)
    """

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    dim_x: int

    def __post_init__(self) -> None:
        weights = np.asarray(self.weights, dtype=float)
        means = np.asarray(self.means, dtype=float)
        covariances = np.asarray(self.covariances, dtype=float)
        if weights.ndim != 1 or not (weights >= 0.0).all() or abs(weights.sum() - 1.0) > 1e-9:
            raise ValueError(
                f"weights must be shares of shape (k,) that sum to 1, got {weights.tolist()}."
            )
        if means.ndim != 2 or len(means) != len(weights):
            raise ValueError(f"means must have shape ({len(weights)}, d), got {means.shape}.")
        if not np.isfinite(means).all():
            raise ValueError("means must be finite, got NaN or infinite entries.")
        expected = (*means.shape, means.shape[1])
        if covariances.shape != expected:
            raise ValueError(f"covariances must have shape {expected}, got {covariances.shape}.")
        check_int("dim_x", self.dim_x, low=1, high=means.shape[1] - 1)
        for covariance in covariances:
            cholesky_factor("covariances", covariance)
        # Frozen: the lists that were given become arrays here, and only here.
        object.__setattr__(self, "weights", weights / weights.sum())
        object.__setattr__(self, "means", means)
        object.__setattr__(self, "covariances", covariances)

    def sample(self, n: int, random_state: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Draw x of shape (n, dim_x) and y of shape (n, d - dim_x)."""
        return self._draw(check_int("n", n, low=1), generator(random_state))

    def log_density_ratio(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return ``log p(x, y) / (p(x) p(y))`` of every pair, shape (n,), in nats.

        Args:
            x: Samples of X, shape (n, dim_x).
            y: Samples of Y, shape (n, d - dim_x).

        Raises:
            ValueError: If the shapes are not these.
        """
        split, width = self.dim_x, self.means.shape[1]
        x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
        if x.shape != (len(y), split) or y.shape != (len(x), width - split):
            raise ValueError(
                f"x and y must have shapes (n, {split}) and (n, {width - split}), "
                f"got {x.shape} and {y.shape}."
            )
        return (
            self._log_density(np.hstack([x, y]), slice(None))
            - self._log_density(x, slice(None, split))
            - self._log_density(y, slice(split, None))
        )

    def mutual_information(
        self, *, draws: int = 1_000_000, random_state: int | None = 0
    ) -> MonteCarlo:
        """Return I(X;Y) as the mean log density ratio of ``draws`` pairs, and its standard error.

        Args:
            draws: Number of pairs, at least 2. The error falls with their square root.
            random_state: Seed, or None for a fresh stream.
        """
        draws = check_int("draws", draws, low=2)
        random = generator(random_state)
        ratios = [
            self.log_density_ratio(*self._draw(min(_CHUNK, draws - start), random))
            for start in range(0, draws, _CHUNK)
        ]
        ratio = np.concatenate(ratios)
        return MonteCarlo(float(ratio.mean()), float(ratio.std(ddof=1) / np.sqrt(draws)))

    def _draw(self, n: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        labels = random.choice(len(self.weights), size=n, p=self.weights)
        values = random.standard_normal((n, self.means.shape[1]))
        for label, (mean, covariance) in enumerate(zip(self.means, self.covariances, strict=True)):
            rows = labels == label
            values[rows] = mean + values[rows] @ np.linalg.cholesky(covariance).T
        return values[:, : self.dim_x], values[:, self.dim_x :]

    def _log_density(self, values: np.ndarray, columns: slice) -> np.ndarray:
        """Return the log density of some of the columns at their values, shape (n,)."""
        terms = []
        for mean, covariance in zip(self.means, self.covariances, strict=True):
            factor = np.linalg.cholesky(covariance[columns, columns])
            scaled = solve_triangular(factor, (values - mean[columns]).T, lower=True)
            terms.append(-0.5 * (scaled**2).sum(axis=0) - np.log(np.diag(factor)).sum())
        log_normalizer = 0.5 * values.shape[1] * np.log(2.0 * np.pi)
        return logsumexp(np.array(terms), b=self.weights[:, None], axis=0) - log_normalizer
