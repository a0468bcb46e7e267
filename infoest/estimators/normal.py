"""Gaussian mutual information, of the data as they are and of their normal scores."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from infoest._cautions import Caution
from infoest._random import generator
from infoest._validation import Array, Pairs, read_data, standardized
from infoest.functional.gaussian import (
    Canonical,
    canonical,
    gaussian_bias,
    gaussian_local_values,
    gaussian_mutual_information,
    rank_bias,
)
from infoest.functional.intervals import noncentral_interval
from infoest.functional.ranks import normal_scores
from infoest.functional.significance import permutation_p_value, rearrangements
from infoest.result import Raw

from .base import Ask, MutualInformationEstimator

# Limits of the kurtosis factor of the interval. With the highest at 5 the interval of Student t3
# data covers .62 to .89, with 100 it covers .87 to .99.
LOWEST_KURTOSIS, HIGHEST_KURTOSIS = 0.6, 100.0
# Permutations whose mean stands for the bias where the correlation matrix had to be shrunk.
SHRUNK_PERMUTATIONS = 20


@dataclass(kw_only=True, eq=False)
class Gaussian(MutualInformationEstimator):
    """Mutual information of normal data, in nats: exact bias correction, linear dependence only.

    I = -1/2 sum log(1 - rho_i^2) over the canonical correlations, less the exact bias under
    normality. With a condition z, of the residuals given z.

    Args:
        random_state: Seed of the permutations.

    Note:
        For data that are not normal this is the information of the normal law with the same
        covariance, neither a lower nor an upper bound, and the interval covers that number. With
        as many columns as rows the correlations are shrunk (``shrunk_covariance``); then the mean
        over permutations is subtracted in place of the exact bias, and there is no interval.

    References:
        Cover, Thomas (2006), Elements of Information Theory, eq. 9.94.

    Example:
        >>> from infoest.datasets import correlated_normal
        >>> x, y, mi = correlated_normal(2000, rho=0.8, random_state=0)
        >>> e = Gaussian().estimate(x, y)
        >>> e.interval[0] < mi < e.interval[1]
        True
    """

    conditional: ClassVar[bool] = True
    window_counts: ClassVar[bool] = True
    # Whether columns are replaced by their normal scores.
    by_ranks: ClassVar[bool] = False

    def pointwise(self, x: object, y: object) -> Array:
        """Return the local value log p(x, y) / (p(x) p(y)) of every sample in nats, shape (n,).

        Their mean is the estimate.
        """
        pairs = read_data({"x": x, "y": y})
        variates = self._canonical(pairs.x, pairs.y, None)
        local = gaussian_local_values(variates)
        if variates.shrinkage > 0.0:
            value = self._value_of_shrunk(pairs.x, pairs.y, None, variates)
        else:
            value = self._value(len(local), variates)
        return local - local.mean() + value

    def _estimate(self, x: Array, y: Array, z: Array | None, ask: Ask) -> Raw:
        variates = self._canonical(x, y, z)
        n = len(x) - variates.rank_z
        info: dict[str, object] = {"canonical_correlations": variates.correlations[:20].tolist()}
        if variates.shrinkage > 0.0:
            value = self._value_of_shrunk(x, y, z, variates)
            info["shrinkage"] = variates.shrinkage
            return Raw(value, cautions=(_shrunk(len(x), x, y, z),), info=info)
        value = self._value(len(x), variates)
        if (variates.correlations**2 > 1.0 - 1e-12).any():
            return Raw(value, cautions=(_deterministic(),), info=info)
        if ask.confidence is None or not len(variates.correlations):
            return Raw(value, info=info)
        std_error, interval = self._interval(n, value, variates, ask)
        return Raw(value, std_error, interval, info=info)

    def _p_value(self, pairs: Pairs, raw: Raw, n_permutations: int, ask: Ask) -> float:
        if pairs.z is None:
            return super()._p_value(pairs, raw, n_permutations, ask)
        # Given z only residuals count, and those of y may be exchanged (Freedman, Lane 1983).
        variates = self._canonical(pairs.x, pairs.y, pairs.z)
        orders = rearrangements(len(pairs.x), n_permutations, ask.rng, shifts=ask.autocorrelated)
        return permutation_p_value(
            len(pairs.x),
            lambda order: gaussian_mutual_information(
                canonical(variates.x, variates.y[order]).correlations
            ),
            orders,
        )

    def _canonical(self, x: Array, y: Array, z: Array | None) -> Canonical:
        prepare = _standard_scores if self.by_ranks else standardized
        return canonical(prepare(x), prepare(y), None if z is None else prepare(z))

    def _value(self, n: int, variates: Canonical) -> float:
        plug_in = gaussian_mutual_information(variates.correlations)
        return plug_in - gaussian_bias(n, variates.rank_x, variates.rank_y, variates.rank_z)

    def _value_of_shrunk(self, x: Array, y: Array, z: Array | None, variates: Canonical) -> float:
        """The plug-in value less its mean under permutations of y: there is no exact bias here."""
        rng = generator(self.random_state)
        null = [
            gaussian_mutual_information(
                self._canonical(x, y[rng.permutation(len(y))], z).correlations
            )
            for _ in range(SHRUNK_PERMUTATIONS)
        ]
        return gaussian_mutual_information(variates.correlations) - float(np.mean(null))

    def _interval(
        self, n: int, value: float, variates: Canonical, ask: Ask
    ) -> tuple[float, tuple[float, float]]:
        """Scaled noncentral chi-square, robust to tails (kurtosis factor) and autocorrelation."""
        squared = variates.correlations**2
        degrees = variates.rank_x * variates.rank_y
        bias = gaussian_bias(n, variates.rank_x, variates.rank_y)
        n_effective = degrees / (2.0 * bias)
        # Var(local values) is sum rho^2 for normal data; heavy tails raise it, bounded data lower
        # it. Normal scores have neither; what is left of it there is chance, but in a series,
        # where few effective rows overfit the correlations and flatten the local values.
        kurtosis = gaussian_local_values(variates).var(ddof=1) / max(squared.sum(), 1e-12)
        lowest = 1.0 if self.by_ranks and not ask.autocorrelated else LOWEST_KURTOSIS
        factor = float(np.clip(kurtosis, lowest, HIGHEST_KURTOSIS)) * ask.autocorrelation
        information = max(float(-np.log1p(-squared).sum()), 1e-12)
        share = float(np.clip(squared.sum() / information, 1e-6, 1.0))
        from_ranks = rank_bias(n, np.sqrt(squared)) if self.by_ranks else 0.0
        center = value + bias - from_ranks - degrees * factor / (2.0 * n_effective)
        low, high = noncentral_interval(
            center, degrees, n_effective / factor, share, float(ask.confidence or 0.95)
        )
        # The bias of ranks was fitted on normal data; other copulas have up to half more or less.
        interval = max(low - 0.5 * abs(from_ranks), 0.0), high + 0.5 * abs(from_ranks)
        variance = factor * squared.sum() / n + factor**2 * degrees / (2.0 * n**2)
        return float(np.sqrt(variance)), interval


@dataclass(kw_only=True, eq=False)
class GaussianCopula(Gaussian):
    """Mutual information of normal scores, in nats: any marginals, monotone dependence.

    Every column is replaced by the normal scores of its mid-ranks; then as `Gaussian`. The value
    is unchanged by any increasing map of any column.

    Args:
        random_state: Seed of the permutations.

    Note:
        Exact where the copula is Gaussian. Dependence that is not monotone (a circle, a parabola)
        is not seen; the interval covers the Gaussian-copula number.

    References:
        Ince et al. (2017), Hum. Brain Mapp. 38, 1541.

    Example:
        >>> import numpy as np
        >>> from infoest.datasets import correlated_normal
        >>> x, y, mi = correlated_normal(2000, rho=0.8, random_state=0)
        >>> e = GaussianCopula().estimate(np.exp(3 * x), y**3)
        >>> abs(float(e) - mi) < 0.05
        True
    """

    by_ranks: ClassVar[bool] = True


def _standard_scores(x: Array) -> Array:
    return standardized(normal_scores(x))


def _shrunk(n: int, x: Array, y: Array, z: Array | None) -> Caution:
    columns = x.shape[1] + y.shape[1] + (0 if z is None else z.shape[1])
    return Caution(
        "shrunk_covariance",
        f"{columns} columns and {n} rows: the correlation matrix is singular and was shrunk "
        "towards independence. The value depends on that; reduce the columns or add rows.",
    )


def _deterministic() -> Caution:
    return Caution(
        "infinite_for_continuous",
        "A combination of x equals a combination of y up to rounding: the mutual information of "
        "continuous data is then infinite, the value only reflects the arithmetic, and no interval "
        "is given.",
    )
