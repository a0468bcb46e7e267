"""Estimators that train and report a variational lower bound."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from torch import Tensor, nn

from infoest._cautions import Caution
from infoest._validation import check_number
from infoest.functional import bounds

from ._evaluation import BLOCK_ROWS, Reading, Scored, contrastive_reading, mean_reading, saturated
from ._folds import Maps, Sides
from ._objectives import MovingAverageBound, Objective
from ._scorers import BaselineScorer, DualScorer, Scorer
from .variational import CriticEstimator


@dataclass(kw_only=True, eq=False)
class DonskerVaradhan(CriticEstimator):
    """Donsker and Varadhan's lower bound E[s] - log E'[exp(s)], trained and reported, in nats.

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
        A lower bound on average over held-out samples; its variance grows like exp(I), and a few
        product pairs with large scores can make it very low on heavy tails.

    References:
        Donsker, Varadhan (1983), Comm. Pure Appl. Math. 36, 183.

    Example:
        >>> from infoest.datasets import correlated_normal
        >>> from infoest.training import Training
        >>> x, y, mi = correlated_normal(1000, mi=0.5, random_state=1)
        >>> e = DonskerVaradhan(n_splits=2, training=Training(steps=200)).estimate(x, y)
        >>> abs(e.value - mi) < 0.15, e.quantity
        (True, 'lower_bound')
    """

    quantity: ClassVar[str] = "lower_bound"
    # The critic is free in a constant.
    comparable: ClassVar[tuple[str, ...]] = ("donsker_varadhan", "infonce")

    def _objective(self) -> Objective:
        return bounds.donsker_varadhan

    def _reading(self, scored: Scored) -> Reading:
        return mean_reading(scored, scored.statistics.donsker_varadhan())


@dataclass(kw_only=True, eq=False)
class MINE(CriticEstimator):
    """Mutual information neural estimation: Donsker-Varadhan with a steadier gradient, in nats.

    The gradient of log E'[exp(s)] over a batch is biased; MINE divides by a moving average of the
    batch means, here in the log domain. The average is in the gradient only: the value is the
    bound of held-out scores, with all negatives.

    Args:
        rate: Weight of a new batch in the moving average, in (0, 1]; 1 is `DonskerVaradhan`.
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
        Belghazi et al. (2018), ICML, section 3.2.

    Example:
        >>> from infoest.datasets import correlated_normal
        >>> from infoest.training import Training
        >>> x, y, mi = correlated_normal(1000, mi=0.5, random_state=1)
        >>> e = MINE(n_splits=2, training=Training(steps=200)).estimate(x, y)
        >>> abs(e.value - mi) < 0.15, e.quantity
        (True, 'lower_bound')
    """

    quantity: ClassVar[str] = "lower_bound"
    # The critic is free in a constant.
    comparable: ClassVar[tuple[str, ...]] = ("donsker_varadhan", "infonce")

    rate: float = 0.01

    def _objective(self) -> Objective:
        check_number("rate", self.rate, low=0.0, high=1.0, open_low=True)
        return MovingAverageBound(self.rate)

    def _held_out_objective(self) -> Objective:
        return bounds.donsker_varadhan

    def _reading(self, scored: Scored) -> Reading:
        return mean_reading(scored, scored.statistics.donsker_varadhan())


@dataclass(kw_only=True, eq=False)
class _Unnormalized(CriticEstimator):
    """Base of the bounds whose best scores are log r itself, read as 1 + E[s] - E'[exp(s)]."""

    def _reading(self, scored: Scored) -> Reading:
        statistics = scored.statistics
        rows = statistics.log_row_means().exp()
        variance = (float(statistics.joint.var()) + 2.0 * float(rows.var())) / scored.n
        return Reading(statistics.nwj(0.0), variance)

    def _pointwise(self, scored: Scored) -> Tensor:
        return scored.statistics.joint


@dataclass(kw_only=True, eq=False)
class NWJ(_Unnormalized):
    """The lower bound E[s] - E'[exp(s - 1)] of Nguyen, Wainwright and Jordan, in nats.

    The score s is 1 more than the critic's, so that the best critic is log r, as for the others.

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
        Unbiased on held-out samples, with a variance that grows like exp(I): from I of about 4
        nats single values are far off. Tight only where the critic is log r itself.

    References:
        Nguyen, Wainwright, Jordan (2010), IEEE Trans. Inf. Theory 56, 5847.
        Poole et al. (2019), ICML, section 2.2.

    Example:
        >>> from infoest.datasets import correlated_normal
        >>> from infoest.training import Training
        >>> x, y, mi = correlated_normal(1000, mi=0.5, random_state=1)
        >>> e = NWJ(n_splits=2, training=Training(steps=200)).estimate(x, y)
        >>> abs(e.value - mi) < 0.15, e.quantity
        (True, 'lower_bound')
    """

    quantity: ClassVar[str] = "lower_bound"

    def _objective(self) -> Objective:
        return _nwj


@dataclass(kw_only=True, eq=False)
class TUBA(_Unnormalized):
    """The lower bound 1 + E[s - a(x)] - E'[exp(s - a(x))] with a learned baseline a, in nats.

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
        Unbiased on held-out samples, with a variance that grows like exp(I). The baseline takes up
        what the critic leaves open in x; `NWJ` is the baseline 1.

    References:
        Poole et al. (2019), ICML, section 2.2, with the roles of x and y exchanged.

    Example:
        >>> from infoest.datasets import correlated_normal
        >>> from infoest.training import Training
        >>> x, y, mi = correlated_normal(1000, mi=0.5, random_state=1)
        >>> e = TUBA(n_splits=2, training=Training(steps=200)).estimate(x, y)
        >>> abs(e.value - mi) < 0.15, e.quantity
        (True, 'lower_bound')
    """

    quantity: ClassVar[str] = "lower_bound"

    def _objective(self) -> Objective:
        # The baseline is in the scores; without one the bound is that of one critic for both.
        return bounds.flo

    def _scorer(self, critic: nn.Module, maps: Maps, sample: Sides | None) -> Scorer:
        return BaselineScorer(critic, maps[0].features)


@dataclass(kw_only=True, eq=False)
class FLO(_Unnormalized):
    """The Fenchel-Legendre lower bound 1 - E[u + exp(-u) E'[exp(s' - s)]], in nats.

    A second network gives u(x, y), the best of which is minus the log density ratio; the critic
    is needed up to a function of x only.

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
        Unbiased on held-out samples, with a variance that grows like exp(I).

    References:
        Guo, Chen, Wang, Yang, Deng, Carin, Li, Tao (2022), NeurIPS, arXiv 2107.01131.

    Example:
        >>> from infoest.datasets import correlated_normal
        >>> from infoest.training import Training
        >>> x, y, mi = correlated_normal(1000, mi=0.5, random_state=1)
        >>> e = FLO(n_splits=2, training=Training(steps=200)).estimate(x, y)
        >>> abs(e.value - mi) < 0.15, e.quantity
        (True, 'lower_bound')
    """

    quantity: ClassVar[str] = "lower_bound"

    def _objective(self) -> Objective:
        # The scorer gives s_ij - s_ii - u_i, whose diagonal is -u_i.
        return bounds.flo

    def _scorer(self, critic: nn.Module, maps: Maps, sample: Sides | None) -> Scorer:
        return DualScorer(critic, maps[0].features + maps[1].features)


@dataclass(kw_only=True, eq=False)
class InfoNCE(CriticEstimator):
    """The contrastive lower bound log n + E[log softmax], never above log n, in nats.

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
        Never above the log of the number of held-out pairs per fold (of ``test_block``): within a
        nat of it the code ``saturated_at_log_n`` is given. Of low variance.

    References:
        van den Oord, Li, Vinyals (2018), arXiv 1807.03748, eq. 4.
        Poole et al. (2019), ICML, section 2.3.

    Example:
        >>> from infoest.datasets import correlated_normal
        >>> from infoest.training import Training
        >>> x, y, mi = correlated_normal(1000, mi=0.5, random_state=1)
        >>> e = InfoNCE(n_splits=2, training=Training(steps=200)).estimate(x, y)
        >>> abs(e.value - mi) < 0.15, e.quantity
        (True, 'lower_bound')
    """

    quantity: ClassVar[str] = "lower_bound"
    # The critic is free in a function of x.
    comparable: ClassVar[tuple[str, ...]] = ()

    def _objective(self) -> Objective:
        return bounds.infonce

    def _reading(self, scored: Scored) -> Reading:
        return contrastive_reading(scored)

    def _pointwise(self, scored: Scored) -> Tensor:
        statistics = scored.statistics
        return statistics.joint - statistics.log_row_sums() + math.log(scored.n_columns)

    def _further_cautions(self, scored: list[Scored], value: float) -> list[Caution]:
        return saturated(value, scored[0].n_columns)


@dataclass(kw_only=True, eq=False)
class InterpolatedBound(CriticEstimator):
    """The lower bound between InfoNCE (alpha = 1) and TUBA (alpha = 0), in nats.

    The baseline of a row is alpha times the mean of exp(s) over other rows plus 1 - alpha times a
    learned function of x.

    Args:
        alpha: Share of the contrastive baseline, in [0, 1]: more of it trades variance for bias.
        critic: Untrained module (x, y) -> (n, m) scores; None is a `SeparableCritic`.
        training: Settings; None in it stands for at most 1600 steps of 256 rows, learning rate
            1e-3, weight decay .5, averaging .99, gradient norm at most 1.
        inputs: ``"normal_scores"``, ``"standardized"`` or ``"raw"``, see `CriticEstimator`.
        n_splits: Folds of the cross-fit, at least 2.
        validation_fraction: Share of rows that `fit` holds out for early stopping, in (0, 1).
        test_block: Held-out pairs scored together; None is all, 512 for critics of costly pairs.
        random_state: Seed of splits, weights, batches and permutations.

    Note:
        Never above 1 + log(m / alpha) for m negatives. Read from square blocks of ``test_block``
        held-out pairs (None: 512) and averaged over them.

    References:
        Poole et al. (2019), ICML, section 2.4.

    Example:
        >>> from infoest.datasets import correlated_normal
        >>> from infoest.training import Training
        >>> x, y, mi = correlated_normal(1000, mi=0.5, random_state=1)
        >>> e = InterpolatedBound(n_splits=2, training=Training(steps=200)).estimate(x, y)
        >>> abs(e.value - mi) < 0.15, e.quantity
        (True, 'lower_bound')
    """

    quantity: ClassVar[str] = "lower_bound"

    alpha: float = 0.5
    keeps_blocks: ClassVar[bool] = True

    def _objective(self) -> Objective:
        check_number("alpha", self.alpha, low=0.0, high=1.0)
        return partial(bounds.interpolated, alpha=self.alpha)

    def _scorer(self, critic: nn.Module, maps: Maps, sample: Sides | None) -> Scorer:
        return BaselineScorer(critic, maps[0].features)

    def _block(self, critic: nn.Module) -> int | None:
        return self.test_block or BLOCK_ROWS

    def _reading(self, scored: Scored) -> Reading:
        values = [float(bounds.interpolated(block, alpha=self.alpha)) for block in scored.blocks]
        joint = scored.statistics.joint
        return Reading(sum(values) / len(values), float(joint.var()) / scored.n)


def _nwj(scores: Tensor) -> Tensor:
    return bounds.nwj(scores + 1.0)
