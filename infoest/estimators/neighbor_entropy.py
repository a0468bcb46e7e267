"""Entropy and divergence from nearest-neighbor distances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from infoest._cautions import Caution
from infoest._validation import Array, check_bool, check_int, standardized
from infoest.functional.control_variate import Control, noise_floor
from infoest.functional.neighbor_information import (
    LARGEST_WEIGHT_NORM,
    divergence_local_values,
    entropy_local_values,
    neighbor_weights,
)
from infoest.functional.surrogates import CopulaSurrogate
from infoest.result import Raw

from ._controlled import controlled, no_control
from ._neighbors import KNOB, spreading_ties, too_many_columns
from .base import Ask, DivergenceEstimator, EntropyEstimator


@dataclass(kw_only=True, eq=False)
class KozachenkoLeonenko(EntropyEstimator):
    """Differential entropy from Euclidean k-nearest-neighbor distances, in nats.

    H = log(n - 1) - psi(k) + log V_d + d mean log rho_k; weighted, a combination over neighbors
    that cancels the leading bias in four and more dimensions.

    Args:
        k: Number of neighbors, in [1, n - 1].
        weighted: Use the weights of Berrett, Samworth and Yuan. They need k of at least d and
            blow up when k is small for d; then the plain estimator is used and
            ``plain_neighbors_used`` says so.
        random_state: Seed of surrogates and spread ties.

    Note:
        Columns are used as given: H(a X) = H(X) + d log a. Negative values are normal for
        concentrated data. In five and more dimensions the bias is not known for laws far from a
        Gaussian copula (``bias_not_explained``). Repeated rows have entropy minus infinity; with
        more than k of them, ties are spread over their cells and ``ties_broken`` says so.

    References:
        Kozachenko, Leonenko (1987), Probl. Inf. Transm. 23, 95.
        Berrett, Samworth, Yuan (2019), Ann. Stat. 47, 288.

    Example:
        >>> import numpy as np
        >>> x = np.random.default_rng(0).standard_normal(2000)
        >>> round(float(KozachenkoLeonenko().estimate(x)), 1)
        1.4
    """

    k: int = 5
    weighted: bool = False

    def _estimate(self, x: Array, ask: Ask) -> Raw:
        n, d = x.shape
        check_int("k", self.k, low=1, high=n - 1, remedy=f"There are {n} samples.")
        check_bool("weighted", self.weighted)
        weights, cautions = self._weights(d)
        ks = np.flatnonzero(weights) + 1

        def strict(parts: tuple[Array, ...]) -> Array:
            return weights[ks - 1] @ entropy_local_values(parts[0], ks)

        def local_of(parts: tuple[Array, ...]) -> Array:
            return spreading_ties(strict, parts, ask.rng)[0]

        # Unit variance, added back at the end: distances neither overflow nor drown in an offset.
        white = standardized(x)
        log_scale = float(np.log(_scales(x, white)).sum())
        local, parts, tied = spreading_ties(strict, (white,), ask.rng)
        value, cautions = float(local.mean()), cautions + tied + too_many_columns(n, d)
        if ask.confidence is None:
            return Raw(value + log_scale, cautions=cautions)
        std_error = noise_floor(parts, local, self.k, lambda p: float(local_of(p).mean()), ask.rng)
        std_error *= float(np.sqrt(ask.autocorrelation))
        bias, spread = 0.0, std_error
        if d > 1:
            surrogate = CopulaSurrogate.of_columns(parts[0])
            if surrogate is None:
                return Raw(value + log_scale, std_error, None, (*cautions, no_control()))
            ranges = [local_of((column[:, None],)).mean() for column in parts[0].T]
            truth = float(np.sum(ranges)) - surrogate.truth
            errors = [float(local_of(surrogate.draw(ask.rng)).mean()) - truth for _ in range(2)]
            bias = float(np.mean(errors))
            variance = max(std_error**2, surrogate.variance) + 0.5 * std_error**2
            spread = float(np.sqrt(variance + (0.25 * bias) ** 2))
        found = Control(std_error, bias, spread, 0.0, d < 5)
        raw = controlled(value, found, ask.confidence, cautions, knob=KNOB)
        low, high = raw.interval or (value, value)
        return Raw(
            value + log_scale,
            std_error,
            (low + log_scale, high + log_scale),
            raw.cautions,
            raw.info,
        )

    def _weights(self, d: int) -> tuple[Array, tuple[Caution, ...]]:
        plain = np.eye(self.k)[self.k - 1]
        if not self.weighted or self.k == 1:
            return plain, ()
        try:
            weights = neighbor_weights(self.k, d)
        except ValueError:
            weights = np.full(self.k, np.inf)
        norm = float(np.abs(weights).sum())
        if norm <= LARGEST_WEIGHT_NORM:
            return weights, ()
        return plain, (
            Caution(
                "plain_neighbors_used",
                f"The bias-cancelling weights for k = {self.k} in {d} dimensions have absolute sum "
                f"{norm:.3g} and would amplify noise; the plain estimator was used. Take a "
                "larger k.",
            ),
        )


@dataclass(kw_only=True, eq=False)
class KNNDivergence(DivergenceEstimator):
    """Kullback-Leibler divergence D(P_x || P_y) from nearest-neighbor distances, in nats.

    (d / n) sum log(nu_k / rho_k) + log(m / (n - 1)), rho_k the distance to the k-th other x, nu_k
    to the k-th y.

    Args:
        k: Number of neighbors, at most n - 1 and m.
        random_state: Seed of spread ties and permutations.

    Note:
        May be negative. Biased low where y hardly covers x: the true divergence may be infinite.

    References:
        Wang, Kulkarni, Verdu (2009), IEEE Trans. Inf. Theory 55, 2392, eq. 14.

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> x, y = rng.standard_normal(2000), 1.0 + rng.standard_normal(2000)
        >>> abs(float(KNNDivergence().estimate(x, y)) - 0.5) < 0.1
        True
    """

    quantity: ClassVar[str] = "kullback_leibler_divergence"

    k: int = 5

    def _estimate(self, x: Array, y: Array, ask: Ask) -> Raw:
        most = min(len(x) - 1, len(y))
        check_int("k", self.k, low=1, high=most, remedy=f"There are {len(x)} and {len(y)} samples.")
        n = len(x)
        pooled = standardized(np.vstack([x, y]))
        local, _, cautions = spreading_ties(
            lambda parts: divergence_local_values(parts[0][:n], parts[0][n:], self.k),
            (pooled,),
            ask.rng,
        )
        std_error = float(local.std(ddof=1) / np.sqrt(n))
        return Raw(float(local.mean()), std_error, cautions=cautions)


def _scales(x: Array, white: Array) -> Array:
    """Return the factor between a column and its standardized copy, without overflow."""
    low, high = np.argmin(x, axis=0), np.argmax(x, axis=0)
    column = np.arange(x.shape[1])
    span = 0.5 * x[high, column] - 0.5 * x[low, column]
    return np.asarray(2.0 * (span / (white[high, column] - white[low, column])))
