"""`Auto`: an estimator chosen by the data, with the reason and the candidates."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from infoest._cautions import Caution
from infoest._validation import (
    Array,
    Pairs,
    as_samples,
    check_option,
    holds_integers,
    is_labels,
    standardized,
)
from infoest.functional.ranks import normal_scores, repeated_share
from infoest.result import Raw

from .base import Ask, MutualInformationEstimator
from .catalog import BUDGETS, METHODS
from .counting import Discrete
from .nearest_neighbor import KSG, MixedKSG
from .normal import GaussianCopula

# Standard errors by which KSG must leave what a Gaussian copula predicts for it.
REJECTION = 2.5
# With fewer rows a column the fitted copula itself is too noisy to draw comparable surrogates from.
ROWS_PER_COLUMN = 40
# Columns with more than this are used by their normal scores: neighbors resolve no outliers.
HEAVY_KURTOSIS = 20.0
# Share of rows in one point that makes it a mass.
MASS = 0.05
# Integers with at most this many values (or sqrt(n)) are labels.
MOST_LABELS = 20
# Rows the neighbor candidates see, by budget: few columns are cheap, many are not.
FAST_ROWS, MANY_COLUMNS_ROWS, FEW_COLUMNS_ROWS = 2_000, 10_000, 200_000
FEW_COLUMNS = 4


@dataclass(kw_only=True, eq=False)
class Auto(MutualInformationEstimator):
    """Mutual information by the estimator that suits the data, in nats.

    - Labels on both sides (named, or integers with few values): `Discrete`.
    - Labels on one side: `MixedKSG`.
    - Continuous data with more than 5 % of the rows in one point (zero-inflated, say): `MixedKSG`.
    - Other continuous data: `GaussianCopula` where nearest neighbors find what a Gaussian copula
      would show them, or where there are fewer than 40 rows a column, else `KSG` less its measured
      bias (``correct_bias=True``). The test is the difference between KSG on the data and KSG on
      surrogates with the fitted Gaussian copula and the data's own columns. Columns with heavy
      tails (kurtosis above 20) are replaced by their normal scores first, which leaves mutual
      information as it is.

    ``info["reason"]`` says which and why, ``info["candidates"]`` holds every candidate's value,
    standard error and interval. ``method`` of the result is the chosen one's name.

    Args:
        budget: ``"accurate"`` shows the neighbors 200000 rows (10000 for more than four columns);
            ``"fast"`` 2000.
        random_state: Seed of surrogates, subsamples and permutations.

    Note:
        ``candidates_disagree`` marks data whose dependence is not that of a Gaussian copula. The
        interval is that of the chosen candidate and does not include the choice.

    Example:
        >>> from infoest.datasets import correlated_normal
        >>> x, y, mi = correlated_normal(2000, rho=0.8, random_state=0)
        >>> Auto().estimate(x, y).method
        'gaussian_copula'
        >>> Auto().estimate(x, x**2 + 0.1 * y).method
        'ksg'
    """

    accepts_labels: ClassVar[str] = "any"
    conditional: ClassVar[bool] = True
    window_counts: ClassVar[bool] = True

    budget: str = "accurate"

    def _labels(self, data: dict[str, object], named: tuple[str, ...]) -> tuple[str, ...]:
        check_option("budget", self.budget, BUDGETS)
        sides = named or tuple(name for name in ("x", "y") if _few_integers(name, data[name]))
        if len(sides) == 2 and data["z"] is not None and _few_integers("z", data["z"]):
            return (*sides, "z")
        return sides

    def _estimate(self, x: Array, y: Array, z: Array | None, ask: Ask) -> Raw:
        if is_labels(x) or is_labels(y):
            return self._with_labels(x, y, z, ask)
        if z is None and _repeats(x, y):
            raw = MixedKSG()._estimate(x, y, None, ask)
            reason = "a single point holds more than 5 % of the rows"
            return _chosen(raw, "mixed_ksg", reason, {"mixed_ksg": raw})
        copula = GaussianCopula()._estimate(x, y, z, ask)
        dimension = x.shape[1] + y.shape[1] + (0 if z is None else z.shape[1])
        if len(x) < ROWS_PER_COLUMN * dimension:
            reason = f"{len(x)} rows are too few for nearest neighbors in {dimension} columns"
            return _chosen(copula, "gaussian_copula", reason, {"gaussian_copula": copula})
        return self._against_neighbors(x, y, z, ask, copula)

    def _with_labels(self, x: Array, y: Array, z: Array | None, ask: Ask) -> Raw:
        if is_labels(x) and is_labels(y):
            if z is not None and not is_labels(z):
                raise ValueError(
                    "z must hold few integers where x and y hold labels, got continuous values. "
                    "Cut z into classes, or treat all sides as numbers (KSG)."
                )
            raw = Discrete()._estimate(x, y, z, ask)
            return _chosen(raw, "discrete", "both sides hold labels", {"discrete": raw})
        if z is not None:
            raise ValueError(
                "z must be None where one side holds labels, got a condition. Use labels on all "
                "sides (Discrete) or treat the labels as numbers (KSG)."
            )
        raw = MixedKSG()._estimate(x, y, None, ask)
        side = "x" if is_labels(x) else "y"
        return _chosen(raw, "mixed_ksg", f"{side} holds labels", {"mixed_ksg": raw})

    def _against_neighbors(self, x: Array, y: Array, z: Array | None, ask: Ask, copula: Raw) -> Raw:
        parts = (x, y, np.zeros((len(x), 0)) if z is None else z)
        rows = self._rows(len(x), sum(part.shape[1] for part in parts), ask.rng)
        shown = [part if rows is None else part[rows] for part in parts]
        # The comparison needs the standard error even where no interval is wanted.
        asked = replace(ask, confidence=ask.confidence or 0.95)
        light_x, light_y, light_z = map(_light_tailed, shown)
        neighbors = KSG(correct_bias=True)._estimate(
            light_x, light_y, None if z is None else light_z, asked
        )
        # Two surrogates with the error of the data each stand behind the difference.
        error = float(neighbors.std_error or 0.0) * np.sqrt(1.5)
        gap = neighbors.value - copula.value
        candidates = {"gaussian_copula": copula, "ksg": neighbors}
        if abs(gap) <= REJECTION * error:
            reason = (
                f"nearest neighbors find what a Gaussian copula would show them (difference "
                f"{gap:+.3f}, standard error {error:.3f})"
            )
            return _chosen(copula, "gaussian_copula", reason, candidates)
        reason = (
            f"nearest neighbors leave what a Gaussian copula would show them by {gap:+.3f} nats "
            f"(standard error {error:.3f})"
        )
        sentence = f"{reason[0].upper()}{reason[1:]}: KSG was chosen."
        cautions = [Caution("candidates_disagree", sentence)]
        if rows is not None:
            cautions.append(_subsampled(len(rows), len(x)))
        raw = replace(neighbors, cautions=(*neighbors.cautions, *cautions))
        if ask.confidence is None:
            raw = replace(raw, std_error=None, interval=None)
        return _chosen(raw, "ksg", reason, candidates)

    def _rows(self, n: int, dimension: int, rng: np.random.Generator) -> Array | None:
        """Return the rows shown to the neighbors, in order, or None for all."""
        most = FEW_COLUMNS_ROWS if dimension <= FEW_COLUMNS else MANY_COLUMNS_ROWS
        if self.budget == "fast":
            most = FAST_ROWS
        return None if n <= most else np.sort(rng.choice(n, most, replace=False))

    def _p_value(self, pairs: Pairs, raw: Raw, n_permutations: int, ask: Ask) -> float:
        # One look at the data chooses; the permutations repeat only the chosen candidate.
        chosen = METHODS[str(raw.method)]()
        found: float = chosen._p_value(pairs, raw, n_permutations, ask)
        return found


def _light_tailed(x: Array) -> Array:
    """Return x with its heavy-tailed columns replaced by their normal scores."""
    if x.shape[1] == 0:
        return x
    heavy = np.mean(standardized(x) ** 4, axis=0) > HEAVY_KURTOSIS
    light = x.copy()
    if heavy.any():
        light[:, heavy] = normal_scores(x[:, heavy])
    return light


def _chosen(raw: Raw, method: str, reason: str, candidates: dict[str, Raw]) -> Raw:
    shown: dict[str, Any] = {
        name: {
            "value": float(one.value),
            "std_error": None if one.std_error is None else float(one.std_error),
            "interval": None if one.interval is None else [float(end) for end in one.interval],
        }
        for name, one in candidates.items()
    }
    info = {**raw.info, "reason": reason, "candidates": shown}
    return replace(raw, method=method, info=info)


def _few_integers(name: str, data: object) -> bool:
    """Return whether the caller's data are integers (or booleans) that look like labels."""
    samples = as_samples(name, data)
    if not holds_integers(data):
        return False
    return len(np.unique(samples, axis=0)) <= max(MOST_LABELS, int(np.sqrt(len(samples))))


def _repeats(x: Array, y: Array) -> bool:
    """Return whether a single point carries mass; rounding spreads repeats over many."""
    if repeated_share(x) == 0.0 or repeated_share(y) == 0.0:
        return False
    counts = np.unique(np.hstack([x, y]), axis=0, return_counts=True)[1]
    return bool(counts.max() > max(KSG.k, MASS * len(x)))


def _subsampled(used: int, n: int) -> Caution:
    return Caution(
        "subsampled",
        f"The neighbors saw {used} of {n} rows to save time: the error is that of {used} rows. "
        "Call KSG itself for all rows.",
    )
