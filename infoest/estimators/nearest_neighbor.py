"""Mutual information from nearest-neighbor distances: KSG and mixed KSG."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from infoest._random import generator
from infoest._validation import (
    Array,
    Pairs,
    check_bool,
    check_int,
    check_option,
    is_labels,
    read_data,
    standardized,
)
from infoest.functional.control_variate import Control, Surrogate, control, noise_floor
from infoest.functional.neighbor_information import (
    ksg_local_values,
    mixed_ksg_local_values,
)
from infoest.functional.surrogates import ClassSurrogate, CopulaSurrogate
from infoest.result import Raw

from ._controlled import controlled, lonely_classes, no_control
from ._neighbors import KNOB, spreading_ties, too_many_columns
from .base import Ask, MutualInformationEstimator

# Circular shifts that measure what dependence between rows adds to the value.
SHIFTS = 8
# Above this factor they are worth their cost.
NOTABLE_AUTOCORRELATION = 1.2


@dataclass(kw_only=True, eq=False)
class KSG(MutualInformationEstimator):
    """Mutual information from k-nearest-neighbor distances (max norm), in nats.

    psi(k) + psi(n) - mean[psi(n_x + 1) + psi(n_y + 1)] with strict counts; given z,
    psi(k) - mean[psi(n_xz + 1) + psi(n_yz + 1) - psi(n_z + 1)].

    Args:
        k: Number of neighbors, in [1, n - 1]. Larger values trade variance for bias.
        algorithm: 1 counts inside a cube, 2 inside a hyper-rectangle (not with z).
        standardize: Give every column mean 0 and variance 1 first, which makes the value
            independent of units.
        theiler: Rows at most this far apart in time are not counted as neighbors of each other.
        correct_bias: Subtract the bias measured on surrogates with a Gaussian copula. It removes
            most of the error in several dimensions and adds some noise in one.
        random_state: Seed of surrogates, of spread ties and of permutations.

    Note:
        Biased low for strong dependence and for more than a few columns; the interval is centered
        on the value less the bias measured on surrogates with a Gaussian copula, and
        ``bias_exceeds_error`` says where that matters. Supports with sharp edges are
        under-estimated and no check of the data shows it. Tied distances are counted without
        noise; only where more than k rows are equal are the ties spread over their cells, and
        ``ties_broken`` says so.

    References:
        Kraskov, Stögbauer, Grassberger (2004), Phys. Rev. E 69, 066138, eqs. 8 and 9.
        Frenzel, Pompe (2007), Phys. Rev. Lett. 99, 204101 (conditional).

    Example:
        >>> from infoest.datasets import correlated_normal
        >>> x, y, mi = correlated_normal(2000, rho=0.8, random_state=0)
        >>> abs(float(KSG(k=5).estimate(x, y)) - mi) < 0.1
        True
    """

    conditional: ClassVar[bool] = True
    window_counts: ClassVar[bool] = True

    k: int = 5
    algorithm: int = 1
    standardize: bool = True
    theiler: int = 0
    correct_bias: bool = False

    def pointwise(self, x: object, y: object) -> Array:
        """Return the local value of every sample in nats, shape (n,): their mean is the value.

        A bias that ``correct_bias`` subtracts is not in them.
        """
        pairs = read_data({"x": x, "y": y})
        parts = self._prepared((pairs.x, pairs.y))
        return spreading_ties(
            lambda parts: self._local(parts, [self.k], None)[0],
            parts,
            generator(self.random_state),
        )[0]

    def _estimate(self, x: Array, y: Array, z: Array | None, ask: Ask) -> Raw:
        parts = self._prepared((x, y) if z is None else (x, y, z))
        local, parts, cautions = spreading_ties(
            lambda parts: self._local(parts, [self.k], None)[0], parts, ask.rng
        )
        value = float(local.mean())
        cautions += too_many_columns(len(x), sum(part.shape[1] for part in parts))
        if ask.confidence is None and not self.correct_bias:
            return Raw(value, cautions=cautions)
        # Random parts and surrogates have no order in time: a Theiler window means nothing there.
        timeless = replace(self, theiler=0)

        def values(parts: tuple[Array, ...], ks: Sequence[int], rows: Array | None) -> Array:
            return spreading_ties(lambda p: timeless._local(p, ks, rows), parts, ask.rng)[0]

        def mean(parts: tuple[Array, ...]) -> float:
            return float(values(parts, [self.k], None).mean())

        std_error = noise_floor(parts, local, self.k, mean, ask.rng)
        surrogate = CopulaSurrogate.of_pair(*parts)
        if surrogate is None:
            return Raw(value, std_error, None, (*cautions, no_control()))
        dimension = sum(part.shape[1] for part in parts)
        found = control(parts, local, self.k, values, surrogate, dimension, std_error, ask.rng)
        if z is None and ask.autocorrelation > NOTABLE_AUTOCORRELATION:
            found = _with_shifts(found, parts, mean, surrogate, ask)
        raw = controlled(value, found, ask.confidence, cautions, knob=KNOB)
        return replace(raw, value=value - found.bias) if self.correct_bias else raw

    def _p_value(self, pairs: Pairs, raw: Raw, n_permutations: int, ask: Ask) -> float:
        # Subtracting a bias measured anew in every permutation would add noise, not power.
        if self.correct_bias:
            return replace(self, correct_bias=False)._p_value(pairs, raw, n_permutations, ask)
        return super()._p_value(pairs, raw, n_permutations, ask)

    def _prepared(self, parts: tuple[Array, ...]) -> tuple[Array, ...]:
        n = len(parts[0])
        check_int("k", self.k, low=1, high=n - 1, remedy=f"There are {n} samples.")
        check_option("algorithm", self.algorithm, (1, 2) if len(parts) == 2 else (1,))
        check_bool("standardize", self.standardize)
        check_bool("correct_bias", self.correct_bias)
        most = (n - 2 - 4 * self.k) // 2
        check_int("theiler", self.theiler, low=0, high=max(most, 0), remedy=f"n is {n}.")
        return tuple(standardized(part) for part in parts) if self.standardize else parts

    def _local(self, parts: tuple[Array, ...], ks: Sequence[int], rows: Array | None) -> Array:
        x, y, *z = parts
        return ksg_local_values(
            x,
            y,
            ks,
            z=z[0] if z else None,
            algorithm=self.algorithm,
            theiler=self.theiler,
            rows=rows,
        )


@dataclass(kw_only=True, eq=False)
class MixedKSG(MutualInformationEstimator):
    """Mutual information between labels and continuous data, or mixtures of both, in nats.

    Nearest neighbors within the own class, counted in the whole sample (``discrete="x"`` or
    ``"y"``); without a named side, samples that coincide count as mass (zero-inflated data, say).

    Args:
        k: Number of neighbors; a class with fewer members uses all it has.
        standardize: Give every continuous column mean 0 and variance 1 first.
        random_state: Seed of surrogates and permutations.

    Note:
        Classes with one member are left out of the mean; where they are many the value says
        little (``too_few_samples_for_dimension``). Never above the entropy of the labels by more
        than noise.

    References:
        Ross (2014), PLoS ONE 9, e87357.
        Gao, Kannan, Oh, Viswanath (2017), NeurIPS.

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> label = rng.integers(0, 2, 2000)
        >>> x = label + 0.1 * rng.standard_normal(2000)
        >>> round(float(MixedKSG().estimate(x, label, discrete="y")), 1)
        0.7
    """

    accepts_labels: ClassVar[str] = "one"

    k: int = 5
    standardize: bool = True

    def _estimate(self, x: Array, y: Array, z: Array | None, ask: Ask) -> Raw:
        check_int("k", self.k, low=1, high=len(x) - 1, remedy=f"There are {len(x)} samples.")
        check_bool("standardize", self.standardize)
        x, y = (
            standardized(side) if self.standardize and not is_labels(side) else side
            for side in (x, y)
        )
        parts = (y, x) if is_labels(x) else (x, y)
        local = mixed_ksg_local_values(*parts, [self.k])[0]
        alone = np.isnan(local)
        if alone.all():
            raise ValueError(
                f"discrete must name labels that repeat, got {len(local)} different ones. "
                "Group rare labels, or treat the side as continuous."
            )
        cautions = lonely_classes(int(alone.sum()), len(local))
        if ask.confidence is None:
            return Raw(float(local[~alone].mean()), cautions=cautions)
        points, labels = parts[0][~alone], parts[1][~alone]
        value, local = float(local[~alone].mean()), local[~alone]
        dimension = points.shape[1]
        surrogate: Surrogate | None
        if is_labels(labels):
            labels = np.unique(labels, return_inverse=True)[1].astype(np.int64)
            surrogate = ClassSurrogate.of_classes(points, labels, ask.rng)
        else:
            dimension += labels.shape[1]
            surrogate = CopulaSurrogate.of_pair(points, labels)
        parts = (points, labels)
        std_error = noise_floor(parts, local, self.k, _mixed_mean(self.k), ask.rng)
        # The spread over random parts does not see dependence between rows.
        std_error *= float(np.sqrt(ask.autocorrelation))
        if surrogate is None:
            return Raw(value, std_error, None, (*cautions, no_control()))
        found = control(
            parts, local, self.k, _mixed_local, surrogate, dimension, std_error, ask.rng
        )
        return controlled(value, found, ask.confidence, cautions, knob=KNOB)


def _mixed_local(parts: tuple[Array, ...], ks: Sequence[int], rows: Array | None) -> Array:
    """Local values of `MixedKSG`, 0 where a sample is alone in its class."""
    local = np.nan_to_num(mixed_ksg_local_values(parts[0], parts[1], ks))
    return local if rows is None else local[:, rows]


def _mixed_mean(k: int) -> Callable[[tuple[Array, ...]], float]:
    return lambda parts: float(_mixed_local(parts, [k], None).mean())


def _with_shifts(
    found: Control,
    parts: tuple[Array, ...],
    value: Callable[[tuple[Array, ...]], float],
    surrogate: CopulaSurrogate,
    ask: Ask,
) -> Control:
    """Add what dependence between rows does to the value, measured on circular shifts.

    Shifted series are independent of each other but keep their own dynamics: the mean of their
    values is bias, their variance belongs into the error.
    """
    x, y = parts
    n, factor = len(x), ask.autocorrelation
    margin = max(1, n // 8)
    shifted = [
        value((x, np.roll(y, int(shift), axis=0)))
        for shift in ask.rng.integers(margin, n - margin + 1, SHIFTS)
    ]
    variance = float(np.var(shifted, ddof=1))
    squared = surrogate.squared_correlations
    degrees = x.shape[1] * y.shape[1]
    known = (factor - 1.0) * squared / n + (factor**2 - 1.0) * degrees / (2.0 * n**2)
    seen = variance + factor * squared / n - found.std_error**2
    extra = max(known, seen, 0.0)
    return found._replace(
        std_error=float(np.sqrt(found.std_error**2 + extra)),
        bias=found.bias + float(np.mean(shifted)),
        spread=float(np.sqrt(found.spread**2 + extra + variance / SHIFTS)),
    )
