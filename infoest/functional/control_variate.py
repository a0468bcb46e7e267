"""Interval of a biased estimator: a noise floor, and a control with a known answer.

The bias is measured on surrogates whose information is known; the standard error is the larger of
the spread of the local values and of estimates on parts of the data.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from infoest._validation import Array
from infoest.functional.intervals import normal_quantile

SURROGATES = 2
PARTITIONS = 3
PARTS = 4
LARGEST_PART = 500
# Local values are not independent; their spread understates the error by .67 to .86.
LOCAL_SPREAD = 1.2
# Rows on which the drift between k and 4 k neighbors is measured.
DRIFT_ROWS = 2000


class LocalValues(Protocol):
    """Local values (len(ks), rows) of paired parts for several numbers of neighbors, no NaN."""

    def __call__(self, parts: tuple[Array, ...], ks: Sequence[int], rows: Array | None) -> Array:
        """Return local values in nats; ``rows`` asks for those of some samples only."""
        ...


class Surrogate(Protocol):
    """A law like that of the data, whose information ``truth`` is known up to ``variance``."""

    @property
    def truth(self) -> float:
        """Information in nats."""
        ...

    @property
    def variance(self) -> float:
        """Variance of ``truth`` over data sets."""
        ...

    def draw(self, rng: np.random.Generator) -> tuple[Array, ...]:
        """Return one sample, part by part."""
        ...


class Control(NamedTuple):
    """What surrogates tell about an estimate.

    Attributes:
        std_error: Standard error of the value.
        bias: Value minus truth on the surrogates, in nats.
        spread: Standard error of the bias-corrected value.
        drift: Change from k to 4 k neighbors that the surrogates do not explain.
        explained: Whether that change is within three of its standard errors.
    """

    std_error: float
    bias: float
    spread: float
    drift: float
    explained: bool

    def interval(self, value: float, confidence: float) -> tuple[float, float]:
        """Return the limits around the bias-corrected value."""
        reach = normal_quantile(confidence) * self.spread
        return value - self.bias - reach, value - self.bias + reach

    @property
    def exceeds_error(self) -> bool:
        """Whether the bias is larger than two standard errors."""
        return abs(self.bias) > 2.0 * self.std_error


def noise_floor(
    parts: tuple[Array, ...],
    local: Array,
    k: int,
    value: Callable[[tuple[Array, ...]], float],
    rng: np.random.Generator,
) -> float:
    """Return a standard error: the larger of 1.2 sd(local)/sqrt(n) and the spread over parts.

    The spread is sqrt(q / 3), q the mean over three random partitions in four of the variance of
    the four estimates. Parts have at most 500 rows; for smaller parts of m rows q is scaled by
    4 m / n, since the variance falls as one over the number of rows.

    Args:
        parts: The data, each (n, d).
        local: Local values, shape (n,).
        k: Number of neighbors; fewer than k + 2 rows in a part leave the partitions out.
        value: The estimator.
        rng: Source of the partitions.
    """
    n = len(local)
    spread = LOCAL_SPREAD * float(local.std(ddof=1)) / np.sqrt(n)
    if n // PARTS < k + 2:
        return float(spread)
    variances = []
    for _ in range(PARTITIONS):
        rows = np.array_split(rng.permutation(n)[: PARTS * LARGEST_PART], PARTS)
        values = [value(tuple(part[some] for part in parts)) for some in rows]
        variances.append(np.var(values, ddof=1) * min(1.0, PARTS * LARGEST_PART / n))
    return float(max(spread, np.sqrt(np.mean(variances) / (PARTS - 1))))


def control(
    parts: tuple[Array, ...],
    local: Array,
    k: int,
    values: LocalValues,
    surrogate: Surrogate,
    dimension: int,
    std_error: float,
    rng: np.random.Generator,
) -> Control:
    """Measure bias and drift of an estimate on surrogates.

    `control_from` with the drifts D = (v_k - v_4k) - mean(S_k - S_4k), v the value and S the
    surrogates: a bias that grows as k^(1/d) changes by 4^(1/d) - 1 times itself.

    Args:
        parts: The data, each (n, d).
        local: Local values of the data at k, shape (n,).
        k: Number of neighbors.
        values: Local values of any such parts.
        surrogate: Samples of known information that look like the data.
        dimension: Number of continuous columns.
        std_error: Standard error of the value, see `noise_floor`.
        rng: Source of the surrogates.
    """
    n = len(local)
    far = 4 * k if 4 * k < n else None
    rows = None if n <= DRIFT_ROWS else np.sort(rng.choice(n, DRIFT_ROWS, replace=False))
    differences = [] if far is None else [_drift(parts, local, k, far, values, rows)]
    errors = []
    for _ in range(SURROGATES):
        drawn = surrogate.draw(rng)
        if far is not None and rows is None:
            near_and_far = values(drawn, [k, far], None)
            errors.append(float(near_and_far[0].mean()) - surrogate.truth)
            differences.append(near_and_far[0] - near_and_far[1])
        else:
            own = values(drawn, [k], None)[0]
            errors.append(float(own.mean()) - surrogate.truth)
            if far is not None:
                differences.append(_drift(drawn, own, k, far, values, rows))
    return control_from(
        errors,
        differences[0] if differences else None,
        [float(part.mean()) for part in differences[1:]],
        std_error=std_error,
        variance=surrogate.variance,
        extrapolation=1.0 / (4.0 ** (1.0 / dimension) - 1.0),
    )


def control_from(
    errors: Sequence[float],
    data: Array | None,
    controls: Sequence[float],
    *,
    std_error: float,
    variance: float,
    extrapolation: float,
) -> Control:
    """Return what the errors on surrogates and the drifts tell about a value v.

    With b the mean error, the corrected value v - b has the variance max(se^2, Var G) + se^2 / R
    + (b / 4)^2 + E^2. A drift D of the data beyond that of the R surrogates shows bias that they
    do not share; beyond 2.5 of its standard errors it enters as E = extrapolation * |D|.

    Args:
        errors: Value less truth G of each surrogate.
        data: Drifts of the local values of the data, shape (rows,); None where unknown.
        controls: Mean drift of each surrogate.
        std_error: Standard error se of the value.
        variance: Variance of G over data sets.
        extrapolation: Bias that a drift of one stands for.
    """
    bias = float(np.mean(errors))
    drift, explained, unexplained = 0.0, True, 0.0
    if data is not None:
        drift = float(data.mean() - np.mean(controls))
        error = LOCAL_SPREAD * data.std() / np.sqrt(len(data)) * np.sqrt(1.0 + 1.0 / SURROGATES)
        explained = bool(abs(drift) <= 3.0 * error)
        if abs(drift) > 2.5 * error:
            unexplained = extrapolation * abs(drift)
    spread = max(std_error**2, variance) + std_error**2 / SURROGATES
    spread += (0.25 * bias) ** 2 + unexplained**2
    return Control(std_error, bias, float(np.sqrt(spread)), drift, explained)


def _drift(
    parts: tuple[Array, ...],
    local: Array,
    k: int,
    far: int,
    values: LocalValues,
    rows: Array | None,
) -> Array:
    """Return local values at k less those at 4 k, on the given rows."""
    at_far = values(parts, [far], rows)[0]
    return (local if rows is None else local[rows]) - at_far
