"""Scores of pairs that were not trained on, and what the bounds read from them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from infoest._cautions import Caution
from infoest.functional import ScoreStatistics
from infoest.functional.calibration import ScoreHistogram
from infoest.result import Raw

from ._scorers import Scorer

# Scores held at once, 32 MB in float32.
BLOCK_ENTRIES = 2**23
# Side of the square blocks of critics whose pairs are not cheap: 511 negatives for each pair.
BLOCK_ROWS = 512
# Fewer effective negatives than this leave the partition term to a handful of pairs.
FEWEST_EFFECTIVE_NEGATIVES = 100.0
# Values of one score matrix fit together up to this, in nats and as a share of the largest.
FITTING_DIFFERENCE, FITTING_SHARE = 0.3, 0.15
# Nats below log m from which a contrastive value says little.
NEAR_LOG_M = 1.0
# Share of scores cut by SMILE, weighted by what they contribute, that is worth a caution.
MOST_CLIPPED = 0.01


class Reading(NamedTuple):
    """A value, and the variance of the mean that it is."""

    value: float
    variance: float


@dataclass(frozen=True)
class Scored:
    """Scores of pairs by a scorer that has not seen them (or has: training rows).

    Args:
        statistics: Values of all bounds.
        n_columns: Candidates per row, the joint pair among them.
        histogram: Scores of the product pairs, empty where they are not calibrated.
        blocks: Score matrices of square blocks, where a value needs them whole.
    """

    statistics: ScoreStatistics
    n_columns: int
    histogram: ScoreHistogram = field(default_factory=ScoreHistogram)
    blocks: tuple[Tensor, ...] = ()

    @property
    def n(self) -> int:
        """Number of joint pairs."""
        return len(self.statistics.joint)

    def partition_variance(self) -> float:
        """Return the variance of the log of the mean of exp(score) over the product.

        From the spread of the rows' means; columns are taken to spread alike.
        """
        logs = self.statistics.log_row_means()
        weights = (logs - logs.max()).exp()
        return 2.0 * float((weights / weights.mean()).var()) / self.n


@torch.no_grad()
def score_pairs(
    scorer: Scorer,
    x: Tensor,
    y: Tensor,
    *,
    block: int | None,
    clips: Sequence[float] = (5.0,),
    calibrate: bool = False,
    keep_blocks: bool = False,
) -> Scored:
    """Return the scores of pairs against all others, or against those of their block.

    Args:
        scorer: Trained.
        x: Mapped rows, shape (n, ...).
        y: Mapped rows, shape (n, ...).
        block: Pairs of a square block; None scores all n^2 pairs.
        clips: For `ScoreStatistics`.
        calibrate: Whether the scores are counted in a histogram.
        keep_blocks: Whether square blocks are kept (``block`` pairs each).
    """
    scorer.eval()
    statistics, histogram = ScoreStatistics(clips), ScoreHistogram()
    n = len(x)
    kept = []
    width = n if block is None else min(block, n)
    height = max(1, BLOCK_ENTRIES // n) if block is None else width
    for start in range(0, n, height):
        rows = torch.arange(start, min(start + height, n), device=x.device)
        # The last square block may be short of columns: it borrows those before.
        first = 0 if block is None else min(start, n - width)
        positions = rows - first
        scores = scorer(x[rows], y[first : first + width], positions)
        check_scores(scores)
        statistics.add(scores, positions)
        if calibrate:
            histogram.add(scores, positions)
        if keep_blocks and len(rows) == width:
            kept.append(scores)
    return Scored(statistics, width, histogram, tuple(kept))


def check_scores(scores: Tensor) -> None:
    """Raise if a trained critic yields scores that are no numbers."""
    if not bool(torch.isfinite(scores).all()):
        raise ValueError(
            "critic must return finite scores for new pairs, got NaN or infinity. Lower the "
            "learning rate of training, or look for extreme values in the data."
        )


def mean_reading(scored: Scored, value: float) -> Reading:
    """Return a value with the variance of the mean joint score and of the partition term."""
    joint = scored.statistics.joint
    return Reading(value, float(joint.var()) / scored.n + scored.partition_variance())


def mean_score_reading(scored: Scored) -> Reading:
    """Return the mean joint score, of scores that are log r."""
    joint = scored.statistics.joint
    return Reading(float(joint.mean()), float(joint.var()) / scored.n)


def contrastive_reading(scored: Scored) -> Reading:
    """Return the contrastive value, a mean over rows."""
    terms = scored.statistics.joint - scored.statistics.log_row_sums()
    return Reading(scored.statistics.infonce(), float(terms.var()) / scored.n)


def values_of(scored: Scored, clip: float) -> dict[str, float]:
    """Return what the bounds read from the scores, by name, in nats.

    Args:
        scored: The scores.
        clip: Of `functional.smile`.
    """
    statistics = scored.statistics
    return {
        "mean_score": float(statistics.joint.mean()),
        "donsker_varadhan": statistics.donsker_varadhan(),
        "nwj": statistics.nwj(0.0),
        "infonce": statistics.infonce(),
        "smile": statistics.smile(clip),
        "effective_negatives": statistics.effective_negatives(),
    }


def joined(parts: list[dict[str, float]]) -> dict[str, Any]:
    """Return the means over folds, JSON-plain: a value that is infinite becomes None."""
    means = {name: sum(part[name] for part in parts) / len(parts) for name in parts[0]}
    return {name: mean if math.isfinite(mean) else None for name, mean in means.items()}


def quality(
    values: dict[str, Any], n_columns: int, std_error: float, comparable: tuple[str, ...]
) -> list[Caution]:
    """Return what is to be said of held-out scores.

    Args:
        values: Of `joined`.
        n_columns: Candidates per row.
        std_error: Of the reported value.
        comparable: Values that are equal at the best critic of the objective; none for a critic
            whose partition term means nothing.
    """
    if not comparable:
        return []
    cautions = []
    effective = values["effective_negatives"]
    if effective is not None and effective < FEWEST_EFFECTIVE_NEGATIVES:
        cautions.append(
            Caution(
                "high_variance",
                f"The partition term rests on {effective:.0f} effective negatives per fold: "
                "values that contain it scatter. More pairs help; so does a smaller quantity.",
            )
        )
    log_m = math.log(n_columns)
    near_log_m = values["infonce"] is None or values["infonce"] > log_m - NEAR_LOG_M
    names = [name for name in comparable if name != "infonce" or not near_log_m]
    fitting = [values[name] for name in names]
    finite = [value for value in fitting if value is not None]
    spread = max(finite, default=0.0) - min(finite, default=0.0)
    allowed = FITTING_DIFFERENCE + FITTING_SHARE * abs(max(finite, default=0.0)) + 4.0 * std_error
    if len(finite) < len(fitting) or spread > allowed:
        shown = ", ".join(
            f"{name} {'-inf' if values[name] is None else format(values[name], '.2f')}"
            for name in names
        )
        cautions.append(
            Caution(
                "bounds_disagree",
                f"The same held-out scores read as {shown}: they are no log density ratio, and "
                "only values that allow for that can be used.",
            )
        )
    return cautions


def saturated(value: float, n_columns: int) -> list[Caution]:
    """Return a caution where a contrastive value is near its largest."""
    log_m = math.log(n_columns)
    if value < log_m - NEAR_LOG_M:
        return []
    return [
        Caution(
            "saturated_at_log_n",
            f"The value is within a nat of log {n_columns} = {log_m:.2f}, which this bound cannot "
            "exceed: the information may be far larger. Use NoiseContrastive, or more pairs.",
        )
    ]


def mean_of(readings: list[Reading]) -> Reading:
    """Return the mean over folds of nearly equal size, and its variance."""
    n = len(readings)
    value = sum(reading.value for reading in readings) / n
    return Reading(value, sum(reading.variance for reading in readings) / n**2)


def extrapolated(held_out: Reading, smaller: Reading) -> float:
    """Return what held-out rows would give to critics of endless samples, if 1 / n is the law.

    Args:
        held_out: By critics trained on n rows.
        smaller: By critics trained on n / 2 rows, which miss twice as much.
    """
    return 2.0 * held_out.value - smaller.value


def difference(joint: Raw, given: Raw, confidence: float | None) -> Raw:
    """Return I(X; Y, Z) - I(X; Z), two values on the same splits."""
    value = joint.value - given.value
    error = math.hypot(joint.std_error or 0.0, given.std_error or 0.0)
    interval = None
    if confidence is not None and joint.interval is not None and given.interval is not None:
        # What both miss is unknown: each side's bracket counts in full.
        low = math.hypot(joint.value - joint.interval[0], given.interval[1] - given.value)
        high = math.hypot(joint.interval[1] - joint.value, given.value - given.interval[0])
        interval = (value - low, value + high)
    info = {"with_condition": joint.info, "condition_alone": given.info}
    cautions = (*joint.cautions, *given.cautions)
    return Raw(value, error, interval, cautions, info, quantity="mutual_information")
