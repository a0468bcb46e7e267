"""The fit of a Student-t copula to ranks: profile likelihood and shrinkage."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.special import gammaln, ndtri, stdtrit

from infoest._validation import Array
from infoest.functional.ranks import mid_ranks

# Beyond this the Gaussian copula takes over: in double precision gammaln(nu / 2) has lost what
# still differs.
LARGEST_DEGREES_OF_FREEDOM = 1e8
# Smallest weight of the identity, besides 1 / n^2: nearer to 1, a correlation shows as equal ranks
# in n rows, and nothing tells how near.
LEAST_SHRINKAGE = 1e-10
# Fewer rows tell nothing of the tails, and columns that repeat one value more often than this pass
# for heavy ones: independent binary columns would have 0.4 nats.
LEAST_ROWS_FOR_TAILS = 20
LARGEST_MASS_FOR_TAILS = 0.1
# 1 / nu of the profile likelihood, from the Gaussian copula to heavier tails than Cauchy's.
INVERSE_GRID = (0.0, 1 / 200, 1 / 50, 1 / 20, 0.1, 1 / 6, 0.25, 1 / 3, 0.5, 2 / 3, 1.0, 1.5)
LARGEST_STEPS = 50
SCALE_STEPS = 10
ROUGH, FINE = 3e-4, 1e-8


class Fit(NamedTuple):
    """Degrees of freedom, correlation matrix (singular if columns are), rows it is worth."""

    nu: float
    scatter: Array
    n_effective: float


class _Profile(NamedTuple):
    """Inverse degrees of freedom, mean log-likelihood, correlation matrix at its maximum."""

    inverse: float
    likelihood: float
    scatter: Array


class _Ranked:
    """Columns as half-integer ranks, so that a quantile is computed once for all columns."""

    def __init__(self, columns: Array) -> None:
        self.n, self.d = columns.shape
        # 0 is rank 1, 2 (n - 1) is rank n; ties stand between.
        self.places = (2.0 * mid_ranks(columns) - 2.0).astype(np.intp)
        self.counts = np.bincount(self.places.ravel(), minlength=2 * self.n - 1)
        masses = [np.bincount(column).max() for column in self.places.T]
        self.shows_tails = (
            self.n >= LEAST_ROWS_FOR_TAILS and max(masses) <= LARGEST_MASS_FOR_TAILS * self.n
        )

    def table(self, nu: float) -> Array:
        """Return the t score of every place, shape (2n - 1,), scaled to what the law asks for.

        The scores of n ranks spread less than the law does, by 7 % in variance with 20 rows;
        over many columns that would pass for heavy tails. The scale is that of maximum likelihood.
        """
        levels = np.arange(1, self.n + 1) / (2.0 * self.n)
        lower = ndtri(levels) if nu == math.inf else stdtrit(nu, levels)
        table = np.r_[lower, -lower[-2::-1]]
        squares, variance = table[::2] ** 2, 1.0
        for _ in range(SCALE_STEPS):
            weights = 1.0 / (1.0 + squares / (variance * nu))
            variance = float(weights @ squares / weights.sum())
        return np.asarray(table / math.sqrt(variance))


def is_regular(columns: Array) -> bool:
    """Return whether there are rows enough for a covariance matrix without the identity."""
    return len(columns) > 2 * columns.shape[1]


def least_shrinkage(n: float) -> float:
    """Return the weight of the identity below which n rows tell nothing."""
    return max(LEAST_SHRINKAGE, n**-2.0)


def fit_columns(columns: Array, *, gaussian: bool) -> Fit:
    """Return the fit to the ranks of columns, without the identity that new pairs need."""
    ranked = _Ranked(columns)
    normal = ranked.table(math.inf)[ranked.places]
    start = correlation_of(normal)
    # With few rows the metric needs the identity, or every row would lie equally far out.
    few = not is_regular(columns)
    weight = shrinkage(start, ranked.n) if few else least_shrinkage(ranked.n)
    if gaussian or not ranked.shows_tails:
        return Fit(math.inf, start, ranked.n)
    best = _maximized(ranked, start, weight)
    if best.inverse * LARGEST_DEGREES_OF_FREEDOM < 1.0:
        return Fit(math.inf, start, ranked.n)
    best = _profile(ranked, best.inverse, best.scatter, weight, FINE)
    nu = 1.0 / best.inverse
    return Fit(nu, best.scatter, ranked.n * (nu + ranked.d) / (nu + ranked.d + 2.0))


def _maximized(ranked: _Ranked, start: Array, weight: float) -> _Profile:
    """Return the profile at its maximum in 1 / nu: along the grid until it falls, then parabolas.

    It is taken to have one maximum only, so that the walk from the Gaussian copula ends early.
    """
    found: list[_Profile] = []
    for inverse in INVERSE_GRID:
        scatter = found[-1].scatter if found else start
        found.append(_profile(ranked, inverse, scatter, weight, ROUGH))
        if len(found) > 1 and found[-1].likelihood < found[-2].likelihood:
            break
    bracket = found[-3:]
    if len(bracket) < 3 or bracket[1].likelihood < bracket[2].likelihood:
        return max(found, key=lambda profile: profile.likelihood)
    for _ in range(4):
        inverse, middle = _vertex(bracket), bracket[1]
        if abs(inverse - middle.inverse) < 1e-3 * middle.inverse:
            break
        new = _profile(ranked, inverse, middle.scatter, weight, ROUGH)
        points = sorted([*bracket, new], key=lambda profile: profile.inverse)
        top = max((1, 2), key=lambda place: points[place].likelihood)
        bracket = points[top - 1 : top + 2]
    return bracket[1]


def _vertex(bracket: list[_Profile]) -> float:
    """Return where the parabola through three points, the middle one highest, is highest."""
    left, middle, right = bracket
    before, after = middle.inverse - left.inverse, right.inverse - middle.inverse
    rise, fall = middle.likelihood - left.likelihood, middle.likelihood - right.likelihood
    slopes = rise * after + fall * before
    if slopes <= 0.0:
        return middle.inverse
    return middle.inverse + 0.5 * (rise * after**2 - fall * before**2) / slopes


def _profile(
    ranked: _Ranked, inverse: float, scatter: Array, weight: float, tolerance: float
) -> _Profile:
    """Return the log-likelihood per row at the correlation matrix that is best for this nu."""
    d, nu = ranked.d, 1.0 / inverse if inverse else math.inf
    table = ranked.table(nu)
    scores = table[ranked.places]
    for _ in range(LARGEST_STEPS):
        root, before = np.linalg.cholesky(shrunk(scatter, weight)), scatter
        whitened = scores @ np.linalg.inv(root).T
        quadratic = np.einsum("ij,ij->i", whitened, whitened)
        weights = (1.0 + d * inverse) / (1.0 + quadratic * inverse)
        scatter = correlation_of(scores * np.sqrt(weights)[:, None])
        if np.abs(scatter - before).max() < tolerance:
            break
    marginal = float(ranked.counts @ energy(table**2, nu, 1)) / ranked.n
    joint = float(energy(quadratic, nu, d).mean()) + float(np.log(np.diag(root)).sum())
    norm = 0.0
    if inverse:
        logs = gammaln(0.5 * (nu + np.array([0.0, 1.0, d])))
        norm = float(logs @ np.array([d - 1.0, -d, 1.0]))
    return _Profile(inverse, norm + marginal - joint, scatter)


def correlation_of(scores: Array) -> Array:
    """Return second moments about 0, the center of the law, scaled to a diagonal of ones."""
    moments = scores.T @ scores
    scale = np.sqrt(np.diag(moments))
    correlation = moments / np.outer(scale, scale)
    np.fill_diagonal(correlation, 1.0)
    return np.asarray(correlation)


def shrunk(scatter: Array, weight: float) -> Array:
    """Return the matrix mixed with the identity."""
    return np.asarray((1.0 - weight) * scatter + weight * np.eye(len(scatter)))


def shrinkage(scatter: Array, n: float) -> float:
    """Return the weight of the identity that maximizes the leave-one-out normal likelihood.

    References:
        Theiler (2012), Proc. SPIE 8391, 83910P (with the mean quadratic form for all rows).
    """
    variances = np.linalg.eigvalsh(scatter).clip(min=0.0)
    grid = np.r_[np.logspace(-10, -4, 13), np.logspace(-4, -1, 61), np.linspace(0.12, 1.0, 45)]
    weights = np.maximum(grid, least_shrinkage(n))
    # The ranks of a column sum to the same number: n rows are worth n - 1.
    n -= 1.0
    factor = (1.0 - weights) / (n - 1.0)
    spectra = n * factor[:, None] * variances + weights[:, None]
    leverage = (variances / spectra).sum(axis=1)
    # Not positive where rows are fewer than columns, and more of the identity is needed.
    left = np.maximum(1.0 - factor * leverage, 1e-12)
    loss = np.log(spectra).sum(axis=1) + np.log(left) + leverage / left
    return float(weights[np.argmin(loss)])


def energy(quadratic: Array, nu: float, d: int) -> Array:
    """Return what is left of -log density at a quadratic form, for d columns."""
    if nu == math.inf:
        return 0.5 * quadratic
    return np.asarray(0.5 * (nu + d) * np.log1p(quadratic / nu))
