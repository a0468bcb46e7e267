"""Random samples with a known answer that look like the data: controls for a biased estimator.

Each keeps every column's own values (rank-matched) and replaces the dependence by one whose
information is known, so that the estimator's error on the surrogate can be read off.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from infoest._validation import Array, Codes, standardized
from infoest.functional.gaussian import (
    canonical,
    gaussian_bias,
    gaussian_mutual_information,
)
from infoest.functional.ranks import normal_scores

# Rows of the Monte Carlo sample that gives the information of class-wise normal laws.
CLASS_SAMPLES = 20_000
# With more classes than this their densities would take seconds and hundreds of megabytes.
MOST_CLASSES = 300


@dataclass(frozen=True)
class CopulaSurrogate:
    """Samples with a Gaussian copula, fitted to the data, and the data's own columns.

    Args:
        parts: The data: x, y and, if there is one, z.
        truth: Information of the surrogate's law in nats: I(X;Y), I(X;Y|Z), or the differential
            entropy lost to dependence (total correlation) for a single part.
        variance: Variance of the fitted ``truth`` over data sets.
        squared_correlations: Sum of the squared canonical correlations.
        root: Cholesky factor of the correlation matrix.
    """

    parts: tuple[Array, ...]
    truth: float
    variance: float
    squared_correlations: float
    root: Array

    @classmethod
    def of_pair(cls, x: Array, y: Array, z: Array | None = None) -> CopulaSurrogate | None:
        """Fit to paired samples; None where there are too few rows for a regular fit.

        The dependence of x on y (given z) is scaled so that its information equals the
        bias-corrected estimate, or 0 where that is negative.
        """
        parts = (x, y) if z is None else (x, y, z)
        scores = [standardized(normal_scores(part)) for part in parts]
        variates = canonical(*scores)
        if variates.shrinkage > 0.0:
            return None
        n, d_x, d = len(x), x.shape[1], x.shape[1] + y.shape[1]
        plug_in = gaussian_mutual_information(variates.correlations)
        bias = gaussian_bias(n, variates.rank_x, variates.rank_y, variates.rank_z)
        truth = max(plug_in - bias, 0.0)
        scale = _scale_to(variates.correlations, truth)
        columns = np.hstack(scores)
        covariance = columns.T @ columns / n
        explained = np.zeros((d_x, d - d_x))
        if z is not None:
            weights = np.linalg.pinv(covariance[d:, d:], hermitian=True)
            explained = covariance[:d_x, d:] @ weights @ covariance[d:, d_x:d]
        cross = explained + scale * (covariance[:d_x, d_x:d] - explained)
        covariance[:d_x, d_x:d], covariance[d_x:d, :d_x] = cross, cross.T
        squared = float(np.sum(variates.correlations**2))
        variance = squared / n + variates.rank_x * variates.rank_y / (2.0 * n**2)
        return cls(parts, truth, variance, squared, _cholesky(covariance))

    @classmethod
    def of_columns(cls, x: Array) -> CopulaSurrogate | None:
        """Fit to the columns of one sample; ``truth`` is their total correlation."""
        n, d = x.shape
        if d >= n - 1:
            return None
        scores = standardized(normal_scores(x))
        covariance = scores.T @ scores / n
        root = _cholesky(covariance)
        truth = -float(np.log(np.diag(root)).sum())
        squared = 0.5 * float(np.sum(covariance**2) - d)
        variance = squared / n + d * (d - 1) / (4.0 * n**2)
        return cls((x,), truth, variance, squared, root)

    def draw(self, rng: np.random.Generator) -> tuple[Array, ...]:
        """Return one surrogate of every part, same shapes, same values in every column."""
        data = np.hstack(self.parts)
        normal = rng.standard_normal(data.shape) @ self.root.T
        matched = _rank_matched(normal, data)
        ends = np.cumsum([part.shape[1] for part in self.parts])[:-1]
        return tuple(np.split(matched, ends, axis=1))


@dataclass(frozen=True)
class ClassSurrogate:
    """Samples that are normal inside every class (in normal scores), with the data's own columns.

    Args:
        points: Samples, shape (n, d).
        labels: Codes of the classes, shape (n,).
        truth: Information between point and class in nats.
        variance: Variance of ``truth`` over data sets.
        centers: Mean of every class, shape (classes, d).
        roots: Cholesky factors of the class covariances, shape (classes, d, d).
    """

    points: Array
    labels: Codes
    truth: float
    variance: float
    centers: Array
    roots: Array

    @classmethod
    def of_classes(
        cls, points: Array, labels: Codes, rng: np.random.Generator
    ) -> ClassSurrogate | None:
        """Fit to labeled samples; None where there are too few rows or more than 300 classes.

        A covariance is shrunk towards the pooled one by d / (d + members).
        """
        n, d = points.shape
        sizes = np.bincount(labels)
        if d >= n - 1 or len(sizes) > MOST_CLASSES:
            return None
        scores = standardized(normal_scores(points))
        sums = np.stack([np.bincount(labels, column) for column in scores.T], axis=1)
        centers = sums / sizes[:, None]
        residuals = scores - centers[labels]
        pooled = residuals.T @ residuals / n
        roots = np.empty((len(sizes), d, d))
        for label, size in enumerate(sizes):
            members = residuals[labels == label]
            weight = d / (d + size)
            own = members.T @ members / size
            roots[label] = _cholesky((1.0 - weight) * own + weight * pooled)
        shares = sizes / n
        drawn = np.repeat(np.arange(len(sizes)), np.ceil(CLASS_SAMPLES * shares).astype(int))
        normal = rng.standard_normal((len(drawn), d))
        sample = centers[drawn] + np.einsum("nij,nj->ni", roots[drawn], normal)
        local = _class_log_ratio(sample, drawn, shares, centers, roots)
        # Of this very law: that the fit exaggerates what the data hold does not matter here.
        truth = float(shares @ (np.bincount(drawn, local) / np.bincount(drawn)))
        variance = float(local.var()) / n + (len(sizes) - 1) * d / (2.0 * n**2)
        return cls(points, labels, truth, variance, centers, roots)

    def draw(self, rng: np.random.Generator) -> tuple[Array, Codes]:
        """Return one surrogate of the points, and the labels as they are."""
        normal = rng.standard_normal(self.points.shape)
        sample = self.centers[self.labels] + np.einsum(
            "nij,nj->ni", self.roots[self.labels], normal
        )
        return _rank_matched(sample, self.points), self.labels


def _class_log_ratio(
    sample: Array, labels: Codes, shares: Array, centers: Array, roots: Array
) -> Array:
    """Return log p(point | class) - log p(point) of every row."""
    log_density = np.empty((len(shares), len(sample)))
    for label, (center, root) in enumerate(zip(centers, roots, strict=True)):
        white = np.linalg.solve(root, (sample - center).T)
        log_density[label] = -0.5 * np.sum(white**2, axis=0) - np.log(np.diag(root)).sum()
    mixture = logsumexp(log_density + np.log(shares)[:, None], axis=0)
    return np.asarray(log_density[labels, np.arange(len(sample))] - mixture)


def _scale_to(correlations: Array, truth: float) -> float:
    """Return s in [0, 1] with -1/2 sum log(1 - (s rho_i)^2) = truth."""
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = 0.5 * (low + high)
        if gaussian_mutual_information(middle * correlations) < truth:
            low = middle
        else:
            high = middle
    return low


def _cholesky(covariance: Array) -> Array:
    """Return the Cholesky factor; a ridge of 1e-9 covers duplicated columns."""
    return np.linalg.cholesky(covariance + 1e-9 * np.eye(len(covariance)))


def _rank_matched(pattern: Array, data: Array) -> Array:
    """Return the values of every column of ``data`` in the order of ``pattern``."""
    ranks = np.argsort(np.argsort(pattern, axis=0), axis=0)
    return np.take_along_axis(np.sort(data, axis=0), ranks, axis=0)
