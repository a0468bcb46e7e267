"""Estimators that train a conditional density q(y | x) by likelihood and read it on other pairs."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from infoest._cautions import Caution
from infoest._validation import Array, check_option
from infoest.functional import ScoreStatistics
from infoest.training import Training

from ._decoders import Decoder, DensityScorer, decoder_of
from ._evaluation import (
    BLOCK_ROWS,
    NEAR_LOG_M,
    Reading,
    Scored,
    check_scores,
    mean_score_reading,
)
from ._folds import Maps, Sides
from ._inputs import InputMap
from ._objectives import Objective
from ._scorers import Scorer
from .base import EntropyEstimator
from .entropies import chosen_entropy
from .variational import CriticEstimator

# Held-out pairs of one square of scores at most: the law of y is a mixture over their x.
MOST_SQUARE = 4000
# Columns that are summed in float64 at once.
COLUMNS = 256
NO_ENTROPY = Reading(0.0, 0.0)
DECODERS = ("gaussian", "diagonal", "mixture")


@dataclass(frozen=True, kw_only=True)
class DensityScored(Scored):
    """Scores log q(y_j | x_i) with their means over the other pairs of a square block, (n,) each.

    Args:
        row_means: Of s_ij over j other than i.
        column_means: Of s_ji over j other than i.
        log_column_means: Log of the mean of exp(s_ji): the log density of y_i as a mixture.
        shares: What x_i adds to the mixtures of the others, of mean 1.
        entropy: Entropy of y and its variance, where it is needed.
        cautions: Of that entropy.
    """

    row_means: Tensor
    column_means: Tensor
    log_column_means: Tensor
    shares: Tensor
    entropy: Reading = NO_ENTROPY
    cautions: tuple[Caution, ...] = ()


@dataclass(kw_only=True, eq=False)
class _ConditionalDensity(CriticEstimator):
    """Base of the estimators here: a decoder trained by the likelihood of joint pairs."""

    # Log densities are no log ratios: bounds read from them need not agree.
    comparable: ClassVar[tuple[str, ...]] = ()
    conditional: ClassVar[bool] = False
    # Whether a density of y alone is trained beside.
    with_marginal: ClassVar[bool] = False

    decoder: str = "gaussian"

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_option("decoder", self.decoder, DECODERS)

    def _objective(self) -> Objective:
        return _log_likelihood

    def _defaults(self) -> Training:
        return replace(super()._defaults(), learning_rate=5e-3, weight_decay=0.05)

    def _default_critic(self, maps: Maps) -> nn.Module:
        return self._decoder(maps[0].features, maps[1])

    def _scorer(self, critic: nn.Module, maps: Maps, sample: Sides | None) -> Scorer:
        marginal = self._decoder(1, maps[1]) if self.with_marginal else None
        return DensityScorer(critic, labels=maps[1].kind == "labels", marginal=marginal)

    def _decoder(self, features_x: int, of_y: InputMap) -> Decoder:
        kind = "categorical" if of_y.kind == "labels" else self.decoder
        return decoder_of(kind, features_x, of_y.features)

    @torch.no_grad()
    def _held_out_loss(self, scorer: Scorer, held_out: Sides) -> float:
        if not isinstance(scorer, DensityScorer):
            return super()._held_out_loss(scorer, held_out)
        total = 0.0
        for rows in torch.arange(len(held_out), device=held_out.x.device).split(BLOCK_ROWS):
            part = held_out.rows(rows)
            places = torch.arange(len(rows), device=rows.device)
            total += float(scorer.log_likelihood(part.x, part.y, places).double().sum())
        return -total / len(held_out)


@dataclass(kw_only=True, eq=False)
class _Contrast(_ConditionalDensity):
    """Base of the estimators that contrast joint pairs with the others of a square block."""

    def _scored(self, scorer: Scorer, pairs: Sides) -> Scored:
        n = len(pairs)
        block = self._block(scorer.critic)
        if block is None:
            # Squares of nearly equal size.
            block = math.ceil(n / math.ceil(n / MOST_SQUARE))
        return _contrasted(scorer, pairs, min(block, n), self._clip())

    def _pointwise(self, scored: Scored) -> Tensor:
        """Return log q(y | x) less the log density of y as a mixture over the other x."""
        return scored.statistics.joint - _of(scored).log_column_means


@dataclass(kw_only=True, eq=False)
class CLUB(_Contrast):
    """Contrastive log-ratio upper bound E[log q(y | x)] - E'[log q(y | x)], in nats.

    E' runs over pairs of the product. q is trained by the likelihood of joint pairs, never by this
    value, which is read on pairs that were not trained on.

    Args:
        decoder: ``"gaussian"`` (mean and full covariance from x), ``"diagonal"`` or ``"mixture"``
            (8 normal laws with diagonal covariances); labels y have a categorical one instead.
        critic: Untrained module (x, y) -> (n, m) log densities log q(y_j | x_i) in place of the
            decoder, normalized over y, of labels as indicator columns.
        training: Settings; None in it stands for at most 1600 steps of 256 rows, learning rate
            5e-3, weight decay .05, averaging .99.
        inputs: ``"normal_scores"``, ``"standardized"`` or ``"raw"``, see `CriticEstimator`.
        n_splits: Folds of the cross-fit, at least 2.
        validation_fraction: Share of rows that `fit` holds out for early stopping, in (0, 1).
        test_block: Held-out pairs scored together; None is up to 4000, or 512 for
            critics of costly pairs.
        random_state: Seed of splits, weights, batches and permutations.

    Note:
        An upper bound of I where q is p(y | x), up to any function of y: it is then
        I + KL(product || joint), tight at independence only (rho^2 / (1 - rho^2) for
        a normal pair, more than 2 I). For a q that is learned it is one as long as q(y | x) p(x)
        is nearer to the joint than to the product in KL divergence; a poor q makes it too low, and
        nothing in the value shows that. Not symmetric in x and y.

    References:
        Cheng, Hao, Dai, Liu, Gan, Carin (2020), ICML, section 3.

    Example:
        >>> from infoest.datasets import correlated_normal
        >>> from infoest.training import Training
        >>> x, y, mi = correlated_normal(1000, rho=0.6, random_state=1)
        >>> e = CLUB(n_splits=2, training=Training(steps=200)).estimate(x, y)
        >>> abs(e.value - 0.36 / 0.64) < 0.15, e.value > mi, e.quantity
        (True, True, 'upper_bound')
    """

    quantity: ClassVar[str] = "upper_bound"

    def _reading(self, scored: Scored) -> Reading:
        found = _of(scored)
        joint = found.statistics.joint
        value = float((joint - found.column_means).mean())
        influence = joint - found.column_means - found.row_means
        return Reading(value, float(influence.var()) / found.n)


@dataclass(kw_only=True, eq=False)
class LeaveOneOut(_Contrast):
    """Leave-one-out upper bound E[log q(y | x) - log of the mean of q(y | x') over others], nats.

    The density of y is a mixture over the x of the other held-out pairs.

    Args:
        decoder: ``"gaussian"`` (mean and full covariance from x), ``"diagonal"`` or ``"mixture"``
            (8 normal laws with diagonal covariances); labels y have a categorical one instead.
        critic: Untrained module (x, y) -> (n, m) log densities log q(y_j | x_i) in place of the
            decoder, normalized over y, of labels as indicator columns.
        training: Settings; None in it stands for at most 1600 steps of 256 rows, learning rate
            5e-3, weight decay .05, averaging .99.
        inputs: ``"normal_scores"``, ``"standardized"`` or ``"raw"``, see `CriticEstimator`.
        n_splits: Folds of the cross-fit, at least 2.
        validation_fraction: Share of rows that `fit` holds out for early stopping, in (0, 1).
        test_block: Held-out pairs scored together; None is up to 4000, or 512 for
            critics of costly pairs.
        random_state: Seed of splits, weights, batches and permutations.

    Note:
        An upper bound on average where q is p(y | x), up to any function of y, and tight as pairs
        grow. A learned q makes it too low or too high, and no bound. Where I comes near the log of
        the number of held-out pairs per fold the others miss y, and the value is far too high
        (``saturated_at_log_n``). Not symmetric in x and y.

    References:
        Poole et al. (2019), ICML, section 2.5.

    Example:
        >>> from infoest.datasets import correlated_normal
        >>> from infoest.training import Training
        >>> x, y, mi = correlated_normal(1000, mi=0.5, random_state=1)
        >>> e = LeaveOneOut(n_splits=2, training=Training(steps=200)).estimate(x, y)
        >>> abs(e.value - mi) < 0.15, e.quantity
        (True, 'upper_bound')
    """

    quantity: ClassVar[str] = "upper_bound"

    def _reading(self, scored: Scored) -> Reading:
        found = _of(scored)
        terms = found.statistics.joint - found.log_column_means
        return Reading(float(terms.mean()), float((terms - found.shares).var()) / found.n)

    def _further_cautions(self, scored: list[Scored], value: float) -> list[Caution]:
        log_m = math.log(scored[0].n_columns)
        if value < log_m - NEAR_LOG_M:
            return []
        return [
            Caution(
                "saturated_at_log_n",
                f"The value is not a nat below log {scored[0].n_columns} = {log_m:.2f}: so few "
                "others do not cover y, and it may be far too high. Use DifferenceOfEntropies, or "
                "more pairs.",
            )
        ]


@dataclass(kw_only=True, eq=False)
class BarberAgakov(_Contrast):
    """Entropy less conditional cross-entropy, H(Y) + E[log q(y | x)], in nats.

    Args:
        entropy: Estimator of H(Y) of the mapped held-out y; None takes ``DiscreteEntropy()`` for
            labels and ``KozachenkoLeonenko()`` for numbers. Of labels it must read labels, of
            numbers it must not.
        decoder: ``"gaussian"`` (mean and full covariance from x), ``"diagonal"`` or ``"mixture"``
            (8 normal laws with diagonal covariances); labels y have a categorical one instead.
        critic: Untrained module (x, y) -> (n, m) log densities log q(y_j | x_i) in place of the
            decoder, normalized over y, of labels as indicator columns.
        training: Settings; None in it stands for at most 1600 steps of 256 rows, learning rate
            5e-3, weight decay .05, averaging .99.
        inputs: ``"normal_scores"``, ``"standardized"`` or ``"raw"``, see `CriticEstimator`.
        n_splits: Folds of the cross-fit, at least 2.
        validation_fraction: Share of rows that `fit` holds out for early stopping, in (0, 1).
        test_block: Held-out pairs scored together; None is up to 4000, or 512 for
            critics of costly pairs.
        random_state: Seed of splits, weights, batches and permutations.

    Note:
        A lower bound on average where H(Y) is exact, and tight at q = p(y | x). Labels have it
        from counts, which is close: ``quantity`` is then ``"lower_bound"``. For numbers the error
        of the entropy estimator, which grows with the columns of y, goes either way, and
        ``quantity`` is ``"mutual_information"``; with ``inputs="normal_scores"`` they are
        standardized, since the steps of an empirical map would spoil H(Y). The standard error
        adds both parts as if they were independent, which is cautious. Not symmetric in x and y.

    References:
        Barber, Agakov (2003), NeurIPS, eq. 3.

    Example:
        >>> from infoest.datasets import correlated_normal
        >>> from infoest.training import Training
        >>> x, y, mi = correlated_normal(1000, mi=0.5, random_state=1)
        >>> e = BarberAgakov(n_splits=2, training=Training(steps=200)).estimate(x, y)
        >>> abs(e.value - mi) < 0.15, e.quantity
        (True, 'mutual_information')
    """

    entropy: EntropyEstimator | None = None

    def _check_parameters(self) -> None:
        super()._check_parameters()
        chosen_entropy(self.entropy, labels=True)

    def _maps(self, x: Array, y: Array, trained: Array) -> Maps:
        of_x, of_y = super()._maps(x, y, trained)
        if of_y.kind == "normal_scores":
            # An empirical map has steps: new rows have up to .42 nats less entropy after it.
            of_y = InputMap.fit(y[trained], "standardized")
        return of_x, of_y

    def _measured(self, maps: Maps) -> str | None:
        return "lower_bound" if maps[1].kind == "labels" else None

    def _scored(self, scorer: Scorer, pairs: Sides) -> Scored:
        found = _of(super()._scored(scorer, pairs))
        labels = isinstance(scorer, DensityScorer) and scorer.labels
        entropy = chosen_entropy(self.entropy, labels=labels)
        if entropy.reads_labels != labels:
            right = "DiscreteEntropy()" if labels else "KozachenkoLeonenko()"
            raise ValueError(
                f"entropy must {'' if labels else 'not '}read labels for this y, "
                f"got {entropy!r}. Pass entropy={right} or None."
            )
        y = pairs.y.double().cpu().numpy()
        estimate = entropy.estimate(y.argmax(axis=1) if labels else y)
        reading = Reading(estimate.value, (estimate.std_error or 0.0) ** 2)
        return replace(found, entropy=reading, cautions=estimate.warnings)

    def _reading(self, scored: Scored) -> Reading:
        found = _of(scored)
        joint = found.statistics.joint
        value = found.entropy.value + float(joint.mean())
        return Reading(value, found.entropy.variance + float(joint.var()) / found.n)

    def _further_cautions(self, scored: list[Scored], value: float) -> list[Caution]:
        return [caution for one in scored for caution in _of(one).cautions]


@dataclass(kw_only=True, eq=False)
class DifferenceOfEntropies(_ConditionalDensity):
    """Mutual information as cross-entropy of q(y) less that of q(y | x), in nats.

    Both densities are of the same family, trained by likelihood and read on the same held-out
    pairs: E[log q(y | x) - log q(y)].

    Args:
        decoder: ``"gaussian"`` (mean and full covariance from x), ``"diagonal"`` or ``"mixture"``
            (8 normal laws with diagonal covariances); labels y have a categorical one instead.
        critic: Untrained module (x, y) -> (n, m) log densities log q(y_j | x_i) in place of the
            decoder, normalized over y, of labels as indicator columns.
        training: Settings; None in it stands for at most 1600 steps of 256 rows, learning rate
            5e-3, weight decay .05, averaging .99.
        inputs: ``"normal_scores"``, ``"standardized"`` or ``"raw"``, see `CriticEstimator`.
        n_splits: Folds of the cross-fit, at least 2.
        validation_fraction: Share of rows that `fit` holds out for early stopping, in (0, 1).
        test_block: Held-out pairs scored together; None is all, 512 for critics of costly pairs.
        random_state: Seed of splits, weights, batches and permutations.

    Note:
        No bound: q(y) too poor makes it too high, q(y | x) too poor makes it too low, and the two
        errors cancel in part. Neither a partition term nor a limit at log n. Not symmetric in x
        and y.

    References:
        McAllester, Stratos (2020), AISTATS, section 4.

    Example:
        >>> from infoest.datasets import correlated_normal
        >>> from infoest.training import Training
        >>> x, y, mi = correlated_normal(1000, mi=0.5, random_state=1)
        >>> e = DifferenceOfEntropies(n_splits=2, training=Training(steps=200)).estimate(x, y)
        >>> abs(e.value - mi) < 0.15, e.quantity
        (True, 'mutual_information')
    """

    with_marginal: ClassVar[bool] = True

    def _reading(self, scored: Scored) -> Reading:
        return mean_score_reading(scored)

    def _pointwise(self, scored: Scored) -> Tensor:
        return scored.statistics.joint


def _log_likelihood(scores: Tensor) -> Tensor:
    """Return the mean of what `DensityScorer` gives while training, (b, 1), or of the diagonal."""
    return scores.diagonal().mean() if scores.shape[1] > 1 else scores.mean()


def _of(scored: Scored) -> DensityScored:
    if not isinstance(scored, DensityScored):
        raise TypeError(f"scored must be a DensityScored, got {type(scored).__name__}.")
    return scored


@torch.no_grad()
def _contrasted(scorer: Scorer, pairs: Sides, width: int, clip: float) -> DensityScored:
    """Return the scores of square blocks and their means; all pairs in one where n = width."""
    scorer.eval()
    statistics = ScoreStatistics((clip,))
    n = len(pairs)
    means = []
    for start in range(0, n, width):
        # The last block may be short: it borrows pairs before, which are not read again.
        first = min(start, n - width)
        block = slice(first, first + width)
        positions = torch.arange(width, device=pairs.x.device)
        scores = scorer(pairs.x[block], pairs.y[block], positions)
        check_scores(scores)
        new = positions[start - first :]
        statistics.add(scores[new], new)
        means.append(_square_means(scores).cpu()[:, start - first :])
    rows, columns, logs, shares = torch.cat(means, dim=1)
    return DensityScored(
        statistics,
        width,
        row_means=rows,
        column_means=columns,
        log_column_means=logs,
        shares=shares,
    )


def _square_means(scores: Tensor) -> Tensor:
    """Return row means, column means, log column means of exp, and shares, shape (4, n)."""
    n = len(scores)
    found = torch.zeros(4, n, dtype=torch.float64, device=scores.device)
    for columns in torch.arange(n, device=scores.device).split(COLUMNS):
        part = scores[:, columns].double()
        places = torch.arange(len(columns), device=scores.device)
        part[columns, places] = 0.0
        found[0] += part.sum(dim=1)
        found[1, columns] = part.sum(dim=0) / (n - 1)
        part[columns, places] = -torch.inf
        logs = part.logsumexp(dim=0) - math.log(n - 1)
        found[2, columns] = logs
        found[3] += (part - logs).exp().sum(dim=1)
    found[0] /= n - 1
    found[3] /= n - 1
    return found
