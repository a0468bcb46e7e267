"""Calibration of scores: the logistic regression that makes them log density ratios. Torch."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from infoest._validation import check_int

from ._scores import check_floating

# Scores outside are counted in the outermost bins: below, no logistic function of them is above
# 1e-13; above, all are 1 - 1e-13 or more. Every hundredth is the center of a bin: 0, which says
# nothing, stays 0.
LOWEST, HIGHEST = -30.005, 60.005
BINS_PER_NAT = 100
N_BINS = round((HIGHEST - LOWEST) * BINS_PER_NAT)
# Newton's steps are cut to this: far from the optimum the curvature vanishes.
LONGEST_STEPS = (0.2, 2.0)
MOST_ITERATIONS = 100
TOLERANCE = 1e-9
# Normal prior of slope and offset about 1 and 0, in the weight of one joint pair. Without it,
# scores that separate joint from product pairs would have an endless slope.
WIDTH_OF_SLOPE, WIDTH_OF_OFFSET = 0.5, 2.0


class Calibration(NamedTuple):
    """The line ``slope * score + offset`` that turns scores into log density ratios."""

    slope: float
    offset: float

    def __call__(self, scores: Tensor) -> Tensor:
        """Return calibrated scores."""
        return self.slope * scores + self.offset


class ScoreHistogram:
    """Counts of the scores of product pairs, fed by blocks of rows, from which to calibrate.

    The bins are 0.01 nats wide on [-30, 60]; a score is known to half of that.

    Example:
        >>> import torch
        >>> histogram = ScoreHistogram()
        >>> histogram.add(torch.zeros(3, 3), torch.arange(3))
        >>> histogram.n_negatives
        6
    """

    def __init__(self) -> None:
        self._counts = torch.zeros(N_BINS, dtype=torch.int64)
        self.n_negatives = 0

    @torch.no_grad()
    def add(self, scores: Tensor, positions: Tensor) -> None:
        """Take in the next rows.

        Args:
            scores: Rows of a score matrix, shape (b, m), finite.
            positions: Column of the joint pair of every row, shape (b,): not counted.
        """
        counts = torch.bincount(_bins(scores).flatten(), minlength=N_BINS)
        joint = scores.gather(1, positions.to(scores.device, torch.int64)[:, None])
        counts -= torch.bincount(_bins(joint).flatten(), minlength=N_BINS)
        self._counts += counts.cpu()
        self.n_negatives += scores.numel() - len(scores)

    def calibrate(self, joint: Tensor, negatives: int = 64) -> Calibration:
        """Return the logistic regression of joint against product pairs at odds 1 : negatives.

        It maximizes the objective `noise_contrastive` of ``slope * score + offset``, less what a
        weak prior for slope 1 and offset 0 takes: (4 (slope - 1)^2 + (offset / 2)^2) / (2 n).

        Args:
            joint: Scores of joint pairs, shape (n,), floating point, finite.
            negatives: The odds, at least 1.

        Returns:
            Slope and offset; the slope is never negative: scores that tell nothing, or the wrong
            way round, have slope 0 and offset 0.

        Raises:
            TypeError: If ``joint`` is not a floating-point tensor.
            ValueError: If no product pair was counted.

        Note:
            Fitted on the pairs whose mean it corrects: two parameters, a bias of order 1 / n.

        References:
            Platt (1999), Advances in Large Margin Classifiers, 61.
        """
        check_floating("joint", joint)
        check_int("negatives", negatives, low=1)
        if not self.n_negatives:
            raise ValueError("scores must be added before they are calibrated, got none. Call add.")
        used = self._counts > 0
        centers = _centers(torch.nonzero(used)[:, 0])
        weights = self._counts[used].double() * (negatives / self.n_negatives)
        # Rounded like the others: scores that are all equal must not be told apart.
        scores = torch.cat([_centers(_bins(joint.detach().cpu().double())), centers])
        target = torch.zeros_like(scores)
        target[: len(joint)] = 1.0
        weights = torch.cat([torch.full((len(joint),), 1.0 / len(joint)).double(), weights])
        found = _regression(scores, target, weights, -math.log(negatives), 1.0 / len(joint))
        return found if found.slope > 0.0 else Calibration(0.0, 0.0)


def _bins(scores: Tensor) -> Tensor:
    return ((scores - LOWEST) * BINS_PER_NAT).clamp_(0, N_BINS - 1).long()


def _centers(bins: Tensor) -> Tensor:
    return LOWEST + (bins.double() + 0.5) / BINS_PER_NAT


def _regression(
    scores: Tensor, target: Tensor, weights: Tensor, shift: float, prior: float
) -> Calibration:
    """Return slope and offset of a weighted logistic regression by damped Newton steps.

    Args:
        scores: Of joint and product pairs.
        target: 1 for joint pairs, 0 for product pairs.
        weights: Of the pairs.
        shift: Added to all logits.
        prior: Weight of the prior, for which scores are right as they are.
    """
    slope, offset = 1.0, 0.0
    of_slope, of_offset = prior / WIDTH_OF_SLOPE**2, prior / WIDTH_OF_OFFSET**2
    for _ in range(MOST_ITERATIONS):
        share = torch.sigmoid(slope * scores + offset + shift)
        residuals = weights * (share - target)
        curvature = weights * share * (1.0 - share)
        gradient = torch.stack(
            [
                (residuals * scores).sum() + of_slope * (slope - 1.0),
                residuals.sum() + of_offset * offset,
            ]
        )
        across = (curvature * scores).sum()
        hessian = torch.stack(
            [
                torch.stack([(curvature * scores.square()).sum() + of_slope, across]),
                torch.stack([across, curvature.sum() + of_offset]),
            ]
        )
        step = torch.linalg.solve(hessian, gradient)
        longest = torch.tensor(LONGEST_STEPS, dtype=torch.float64)
        step = step / torch.clamp((step.abs() / longest).max(), min=1.0)
        slope, offset = slope - float(step[0]), offset - float(step[1])
        if float(step.abs().max()) < TOLERANCE:
            break
    return Calibration(slope, offset)
