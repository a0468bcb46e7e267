"""Estimators whose critic is trained to be the log density ratio: logistic objectives."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import numpy as np
from torch import Tensor, nn

from infoest._cautions import Caution
from infoest._validation import check_int, check_number, check_option
from infoest.critics import SeparableCritic
from infoest.functional import bounds
from infoest.functional._scores import checked_clip
from infoest.functional.calibration import Calibration
from infoest.functional.student_copula import StudentCopula, fit_student_copula
from infoest.training import Training

from ._evaluation import (
    MOST_CLIPPED,
    Reading,
    Scored,
    extrapolated,
    mean_reading,
    mean_score_reading,
)
from ._folds import Maps, Sides
from ._objectives import Objective
from ._scorers import CopulaScorer, Scorer
from .variational import CriticEstimator

# Share of hidden units left out while the default critic of `NoiseContrastive` is trained.
DROPOUT = 0.3
COPULAS = ("student", "gaussian")


@dataclass(kw_only=True, eq=False)
class NoiseContrastive(CriticEstimator):
    """Mutual information by noise-contrastive estimation and calibrated scores, in nats.

    A critic learns to tell joint pairs from ``negatives`` times as many product pairs
    (`functional.noise_contrastive`), whose optimum is the log density ratio. Scores of held-out
    pairs are calibrated by the logistic regression a s + b at the same odds, or half-way from
    them to exp(I) on the log scale where that is more, and their mean is an estimate of I. It
    is too low, since a critic learns its sample, too; two corrections of that are averaged. On
    rows it was trained on, a critic reads too high, by as much as too low on others to first
    order: the one is the middle of both. And what is missing falls like 1 / n: the other is
    twice the held-out value less that of critics trained on half as many rows. The interval
    reaches from the least of all these to the greatest, and 1.96 standard errors beyond.

    Args:
        negatives: Odds of product against joint pairs, at least 1, whatever the batch size.
        copula: ``"student"`` or ``"gaussian"`` starts from a copula fitted to the ranks of the
            training rows: the log ratio is that of the copula plus the critic, whose training
            starts at 0 and counts only where it lowers the held-out loss. None for no copula.
        critic: Untrained module (x, y) -> (n, m) scores; None is a `SeparableCritic` with
            dropout. With a copula it should score 0 at the start, as those of `infoest.critics`.
        training: Settings; None in it stands for at most 1000 steps of 128 rows, learning rate
            5e-3 with the cosine schedule; with a copula for at most 3200 steps of 256 rows,
            learning rate 2e-3; weight decay .05 and averaging .99 in both.
        inputs: ``"normal_scores"``, ``"standardized"`` or ``"raw"``, see `CriticEstimator`.
        n_splits: Folds of the cross-fit, at least 2. Two more critics are trained on half as many
            rows as those of the folds, where that is at least 8.
        validation_fraction: Share of rows that `fit` holds out for early stopping, in (0, 1).
        test_block: Held-out pairs scored together; None is all, 512 for critics of costly pairs.
        random_state: Seed of splits, weights, batches and permutations.

    Note:
        Not a bound. The interval is a bracket, not a confidence interval in the strict sense: it
        holds the values before and after correction. Nothing in it sees dependence that the
        critic misses whatever it is trained on. At few rows for many columns (n = 5000 for
        20 + 20) every critic underfits. A value under dependence between the rows has a wider
        interval, from blocks of neighbors. The value of `evaluate`, by one critic, is the
        held-out one and not corrected.

    References:
        Gutmann, Hyvarinen (2012), JMLR 13, 307, section 2 (the objective).
        Platt (1999), Advances in Large Margin Classifiers, 61 (calibration).

    Example:
        >>> from infoest.datasets import correlated_normal
        >>> from infoest.training import Training
        >>> x, y, mi = correlated_normal(1000, mi=0.5, random_state=1)
        >>> e = NoiseContrastive(n_splits=2, training=Training(steps=100)).estimate(x, y)
        >>> abs(e.value - mi) < 0.15
        True
    """

    calibrates: ClassVar[bool] = True
    extrapolates: ClassVar[bool] = True

    negatives: int = 64
    copula: str | None = None

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.copula is None:
            return
        check_option("copula", self.copula, COPULAS)
        if self.inputs != "normal_scores":
            raise ValueError(
                f"inputs must be 'normal_scores' with a copula, got {self.inputs!r}. Leave inputs "
                "as they are by default, or use copula=None."
            )

    def _defaults(self) -> Training:
        own = replace(super()._defaults(), weight_decay=0.05, clip_norm=None)
        if self.copula is None:
            return replace(own, steps=1000, batch_size=128, learning_rate=5e-3, schedule="cosine")
        # What is left beside a copula is small: it takes less noise in the gradient, and longer.
        return replace(own, steps=3200, learning_rate=2e-3)

    def _scorer(self, critic: nn.Module, maps: Maps, sample: Sides | None) -> Scorer:
        if self.copula is None:
            return Scorer(critic)
        if any(side.kind == "labels" for side in maps):
            raise ValueError(
                f"copula must be None where a side is labels, got {self.copula!r}. Labels have no "
                "ranks."
            )
        d_x, d_y = (side.features for side in maps)
        if sample is None:
            return CopulaScorer(critic, StudentCopula(math.inf, np.eye(d_x + d_y), d_x))
        x, y = (side.cpu().double().numpy() for side in (sample.x, sample.y))
        return CopulaScorer(critic, fit_student_copula(x, y, gaussian=self.copula == "gaussian"))

    def _objective(self) -> Objective:
        check_int("negatives", self.negatives, low=1)
        return partial(bounds.noise_contrastive, negatives=self.negatives)

    def _default_critic(self, maps: Maps) -> nn.Module:
        return SeparableCritic(maps[0].features, maps[1].features, dropout=DROPOUT)

    def _reading(self, scored: Scored) -> Reading:
        return self._calibrated(scored, scored)

    def _trained_reading(self, trained: Scored, held_out: Scored) -> Reading:
        # By the line of the held-out pairs: that of its own would be steeper.
        return self._calibrated(trained, held_out)

    def _calibrated(self, scored: Scored, fitted: Scored) -> Reading:
        ratios = self._line(fitted)(scored.statistics.joint)
        return Reading(float(ratios.mean()), float(ratios.var()) / scored.n)

    def _line(self, scored: Scored) -> Calibration:
        """Return the calibration of scores, fitted where most joint pairs are."""
        joint = scored.statistics.joint
        line = scored.histogram.calibrate(joint, self.negatives)
        # A logistic regression is decided by the scores near the log of its odds. Joint pairs are
        # near I: fitted there, the line has the least noise; far below, the least of what it
        # misses where a critic is not linear in the log ratio. Half-way.
        most = max(scored.n_columns - 1, self.negatives)
        mean = min(float(line(joint).mean()), math.log(most))
        odds = round(math.exp(0.5 * (mean + math.log(self.negatives))))
        return line if odds <= self.negatives else scored.histogram.calibrate(joint, odds)

    def _value(self, held_out: Reading, trained: Reading, smaller: Reading | None) -> float:
        middle = 0.5 * (held_out.value + trained.value)
        return middle if smaller is None else 0.5 * (middle + extrapolated(held_out, smaller))

    def _pointwise(self, scored: Scored) -> Tensor:
        return self._line(scored)(scored.statistics.joint)


@dataclass(kw_only=True, eq=False)
class JensenShannon(CriticEstimator):
    """Mutual information from a critic trained by the Jensen-Shannon objective, in nats.

    The objective's optimum is the log density ratio; the value is Donsker and Varadhan's bound of
    held-out scores, E[s] - log E'[exp(s)].

    Args:
        critic: Untrained module (x, y) -> (n, m) scores; None is a `SeparableCritic`.
        training: Settings; None in it stands for at most 1600 steps of 256 rows, learning rate
            1e-3, weight decay .5, averaging .99, gradient norm at most 1.
        inputs: ``"normal_scores"``, ``"standardized"`` or ``"raw"``, see `CriticEstimator`.
        n_splits: Folds of the cross-fit, at least 2.
        validation_fraction: Share of rows that `fit` holds out for early stopping, in (0, 1).
        test_block: Held-out pairs scored together; None is all, 512 for critics of costly pairs.
        random_state: Seed of splits, weights, batches and permutations.

    Note:
        A lower bound on average over held-out samples; its variance grows like exp(I).

    References:
        Nowozin, Cseke, Tomioka (2016), NeurIPS. Hjelm et al. (2019), ICLR, eq. 4.

    Example:
        >>> from infoest.datasets import correlated_normal
        >>> from infoest.training import Training
        >>> x, y, mi = correlated_normal(1000, mi=0.5, random_state=1)
        >>> e = JensenShannon(n_splits=2, training=Training(steps=200)).estimate(x, y)
        >>> abs(e.value - mi) < 0.15, e.quantity
        (True, 'lower_bound')
    """

    quantity: ClassVar[str] = "lower_bound"

    def _objective(self) -> Objective:
        return bounds.jensen_shannon

    def _reading(self, scored: Scored) -> Reading:
        return mean_reading(scored, scored.statistics.donsker_varadhan())


@dataclass(kw_only=True, eq=False)
class SMILE(CriticEstimator):
    """Smoothed mutual information "lower bound" estimator: a clipped partition term, in nats.

    The critic is trained by the Jensen-Shannon objective; the value of held-out scores is
    E[s] - log E'[exp(clamp(s, -clip, clip))].

    Args:
        clip: Limit of the scores of product pairs in the value, positive; None or infinity does
            not clip (the value of `JensenShannon`).
        critic: Untrained module (x, y) -> (n, m) scores; None is a `SeparableCritic`.
        training: Settings; None in it stands for at most 1600 steps of 256 rows, learning rate
            1e-3, weight decay .5, averaging .99, gradient norm at most 1.
        inputs: ``"normal_scores"``, ``"standardized"`` or ``"raw"``, see `CriticEstimator`.
        n_splits: Folds of the cross-fit, at least 2.
        validation_fraction: Share of rows that `fit` holds out for early stopping, in (0, 1).
        test_block: Held-out pairs scored together; None is all, 512 for critics of costly pairs.
        random_state: Seed of splits, weights, batches and permutations.

    Note:
        No bound, despite its name: at the true log ratio it is above I by up to ``clip``, the more
        so the larger I is (2 nats at I = 10 and clip 5). `NoiseContrastive` reads better values
        from the same kind of scores. The code ``clipped_fraction`` says when clipped scores carry
        the partition term.

    References:
        Song, Ermon (2020), ICLR, section 5.

    Example:
        >>> from infoest.datasets import correlated_normal
        >>> from infoest.training import Training
        >>> x, y, mi = correlated_normal(1000, mi=0.5, random_state=1)
        >>> e = SMILE(clip=5.0, n_splits=2, training=Training(steps=200)).estimate(x, y)
        >>> abs(e.value - mi) < 0.15
        True
    """

    clip: float | None = 5.0

    def _objective(self) -> Objective:
        checked_clip(self.clip)
        return bounds.jensen_shannon

    def _clip(self) -> float:
        return checked_clip(self.clip)

    def _reading(self, scored: Scored) -> Reading:
        return mean_reading(scored, scored.statistics.smile(self.clip))

    def _further_cautions(self, scored: list[Scored], value: float) -> list[Caution]:
        cut = max(one.statistics.clipped_fraction(self.clip) for one in scored)
        lost = max(
            one.statistics.smile(self.clip) - one.statistics.donsker_varadhan() for one in scored
        )
        if lost < MOST_CLIPPED * max(1.0, abs(value)) or not math.isfinite(lost):
            return []
        return [
            Caution(
                "clipped_fraction",
                f"{cut:.1%} of the product scores are beyond the clip {self.clip:g}; without it "
                f"the partition term would take {lost:.2f} nats from the value.",
            )
        ]


@dataclass(kw_only=True, eq=False)
class InfoNCEAnchor(CriticEstimator):
    """Mutual information by InfoNCE with an anchor class, without its cap at log n, in nats.

    The critic learns which of the other rows of a batch is the partner, or that none is (the
    anchor, of prior weight ``weight``): its optimum is the log density ratio itself, and the value
    is the mean of held-out joint scores, E[log r].

    Args:
        weight: Prior weight of the anchor, positive; None is the number of candidates.
        critic: Untrained module (x, y) -> (n, m) scores; None is a `SeparableCritic`.
        training: Settings; None in it stands for at most 1600 steps of 256 rows, learning rate
            1e-3, weight decay .5, averaging .99, gradient norm at most 1.
        inputs: ``"normal_scores"``, ``"standardized"`` or ``"raw"``, see `CriticEstimator`.
        n_splits: Folds of the cross-fit, at least 2.
        validation_fraction: Share of rows that `fit` holds out for early stopping, in (0, 1).
        test_block: Held-out pairs scored together; None is all, 512 for critics of costly pairs.
        random_state: Seed of splits, weights, batches and permutations.

    Note:
        No bound. Scores are not calibrated: where the critic is unsure it is too low (at
        independence a little below 0).

    References:
        Ryu et al. (2025), arXiv 2510.25983.

    Example:
        >>> from infoest.datasets import correlated_normal
        >>> from infoest.training import Training
        >>> x, y, mi = correlated_normal(1000, mi=0.5, random_state=1)
        >>> e = InfoNCEAnchor(n_splits=2, training=Training(steps=200)).estimate(x, y)
        >>> abs(e.value - mi) < 0.15
        True
    """

    weight: float | None = None

    def _objective(self) -> Objective:
        if self.weight is not None:
            check_number("weight", self.weight, low=0.0, open_low=True)
        return partial(bounds.infonce_anchor, weight=self.weight)

    def _reading(self, scored: Scored) -> Reading:
        return mean_score_reading(scored)

    def _pointwise(self, scored: Scored) -> Tensor:
        return scored.statistics.joint
