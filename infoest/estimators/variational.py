"""The one way of every estimator that trains a critic: splits, training, held-out value."""

from __future__ import annotations

import copy
import math
import os
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from infoest._cautions import Caution
from infoest._random import generator
from infoest._validation import (
    Array,
    NotFittedError,
    check_int,
    check_number,
    check_option,
    is_labels,
)
from infoest.critics import SeparableCritic
from infoest.functional.intervals import normal_quantile
from infoest.functional.significance import Indices
from infoest.result import Estimate, Raw
from infoest.training import (
    ArrayBatches,
    Batches,
    History,
    Training,
    joint_scores,
    resolve_device,
    train,
)
from infoest.training.processes import process_index

from ._evaluation import (
    BLOCK_ROWS,
    Reading,
    Scored,
    joined,
    quality,
    score_pairs,
    values_of,
)
from ._inputs import INPUTS, InputMap
from ._scorers import Scorer
from .base import Ask, MutualInformationEstimator

if TYPE_CHECKING:
    from typing_extensions import Self

Objective = Callable[[Tensor], Tensor]
Maps = tuple[InputMap, InputMap]

LEAST_ROWS_TRAINED = 8
# Above this many weights the folds keep their own best weights, not those of every evaluation.
MOST_WEIGHTS_KEPT = 2**21
# A training whose last evaluation gained more than this, in nats of the objective, was too short.
STILL_GAINING = 0.01
# Training rows that are scored, to be compared with as many held-out ones.
MOST_ROWS_COMPARED = 1000
# Rows of the blocks of which the diagonal alone is wanted.
PAIRED_ROWS = 64


@dataclass(frozen=True)
class Sides:
    """Mapped rows of both sides, on the device of the training."""

    x: Tensor
    y: Tensor

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.x)

    def rows(self, rows: Tensor) -> Sides:
        """Return some of the pairs."""
        return Sides(self.x[rows], self.y[rows])


@dataclass(frozen=True)
class Fold:
    """One training: what was trained, what it was trained on, and what was held out."""

    maps: Maps
    scorer: Scorer
    history: History
    trained: Sides
    held_out: Sides


@dataclass(kw_only=True, eq=False)
class CriticEstimator(MutualInformationEstimator):
    """Base of all estimators that train a critic: implement ``_objective`` and ``_reading``.

    `estimate` cross-fits: every pair is scored by a critic that was trained without it. `fit`
    trains one critic, whose early stopping holds rows out, and `evaluate` scores new pairs.

    Args:
        critic: Untrained module (x, y) -> (n, m) scores; it is copied, never trained itself. None
            is a `SeparableCritic` of default size.
        training: Settings of the training; None, and what is None in it, stands for the defaults
            of the estimator.
        inputs: What a critic sees of continuous columns: ``"normal_scores"`` (unchanged by
            increasing maps of columns), ``"standardized"``, or ``"raw"``; fitted on training
            rows. Labels become indicators.
        n_splits: Folds of the cross-fit, at least 2.
        validation_fraction: Share of rows that `fit` holds out for early stopping, in (0, 1).
        test_block: Held-out pairs are scored in square blocks of so many pairs; None scores all
            pairs for critics whose pairs are cheap (separable, bilinear) and blocks of 512, so
            511 negatives for each pair, for others.
    """

    accepts_labels: ClassVar[str] = "any"
    conditional: ClassVar[bool] = True
    # Values that the best critic makes equal: those of a log density ratio.
    comparable: ClassVar[tuple[str, ...]] = ("donsker_varadhan", "nwj", "smile", "infonce")
    # Best score less the log density ratio.
    offset: ClassVar[float] = 0.0
    # Whether values are read from calibrated scores.
    calibrates: ClassVar[bool] = False
    # Whether values need square blocks of scores whole.
    keeps_blocks: ClassVar[bool] = False
    # What None in ``training`` stands for.
    learning_rate: ClassVar[float] = 1e-3
    weight_decay: ClassVar[float] = 0.5
    clip_norm: ClassVar[float | None] = 1.0

    critic: nn.Module | None = None
    training: Training | None = None
    inputs: str = "normal_scores"
    n_splits: int = 5
    validation_fraction: float = 0.2
    test_block: int | None = None

    # ---------------------------------------------------------------- what an estimator says

    @abstractmethod
    def _objective(self) -> Objective:
        """Return a fresh scores -> scalar to maximize."""

    def _held_out_objective(self) -> Objective:
        """Return the objective by which the training is stopped."""
        return self._objective()

    @abstractmethod
    def _reading(self, scored: Scored) -> Reading:
        """Return the value of scores."""

    def _pointwise(self, scored: Scored) -> Tensor:
        """Return estimated log density ratios of the joint pairs, shape (n,)."""
        return scored.statistics.joint - scored.statistics.log_mean_exp()

    def _scorer(self, critic: nn.Module, maps: Maps) -> Scorer:
        """Return what is trained."""
        return Scorer(critic)

    def _default_critic(self, maps: Maps) -> nn.Module:
        return SeparableCritic(maps[0].features, maps[1].features)

    def _settings(self, n: int) -> Training:
        """Return complete settings for n training rows."""
        given = Training() if self.training is None else self.training
        if not isinstance(given, Training):
            raise TypeError(f"training must be a Training or None, got {type(given).__name__}.")
        return given.with_defaults(
            steps=1600,
            batch_size=min(256, n),
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            averaging=0.99,
            clip_norm=self.clip_norm,
        )

    def _value(self, held_out: Reading, trained: Reading) -> float:
        """Return the reported value."""
        return held_out.value

    def _further_cautions(self, scored: list[Scored], value: float) -> list[Caution]:
        """Return what this estimator says beside the others."""
        return []

    # ------------------------------------------------------------------------------- one call

    def _estimate(self, x: Array, y: Array, z: Array | None, ask: Ask) -> Raw:
        self._check_parameters()
        seed = int(ask.rng.integers(2**31))
        if z is None:
            return self._cross_fitted(x, y, ask, seed)
        # I(X; Y | Z) = I(X; Y, Z) - I(X; Z), on the same splits.
        both = _side_by_side(y, z)
        joint = self._cross_fitted(x, both, ask, seed)
        given = self._cross_fitted(x, z, ask, seed)
        return _difference(joint, given, ask.confidence)

    def _cross_fitted(self, x: Array, y: Array, ask: Ask, seed: int) -> Raw:
        splits = _splits(len(x), self.n_splits, seed, contiguous=ask.autocorrelated)
        folds = []
        for number, held_out in enumerate(splits):
            rest = np.concatenate([split for split in splits if split is not held_out])
            folds.append(self._trained(x, y, rest, held_out, seed, number))
        step = _common_step([fold.history for fold in folds])
        if step is not None:
            for fold in folds:
                fold.scorer.load_state_dict(fold.history.snapshots[step])
                fold.history.snapshots.clear()
        return self._summary(folds, step, ask, seed)

    def _trained(
        self, x: Array, y: Array, trained: Array, held_out: Array, seed: int, number: int
    ) -> Fold:
        """Return a critic trained on some rows, with other rows to stop early."""
        maps = self._maps(x, y, trained)
        settings = self._settings(len(trained))
        device, dtype = resolve_device(settings.device), getattr(torch, settings.dtype)
        sides = [_mapped(maps, x[rows], y[rows], dtype, device) for rows in (trained, held_out)]
        if settings.checkpoint is not None and number >= 0:
            settings = replace(settings, checkpoint=f"{os.fspath(settings.checkpoint)}.{number}")
        batches = ArrayBatches(sides[0].x, sides[0].y, settings.batch_size or 0, seed + number)
        scorer, history = self._train(
            batches,
            sides[1],
            settings,
            maps,
            seed + number,
            f"{type(self).__name__}, fold {number + 1}",
        )
        return Fold(maps, scorer, history, *sides)

    def _train(
        self,
        batches: Batches,
        held_out: Sides,
        settings: Training,
        maps: Maps,
        seed: int,
        label: str,
    ) -> tuple[Scorer, History]:
        device = resolve_device(settings.device)
        objective = self._objective()
        with _seeded(seed, device):
            scorer = self._new_scorer(maps, settings, device)
            forward = torch.compile(scorer) if settings.compile else scorer

            def loss(x: Tensor, y: Tensor) -> Tensor:
                start = len(x) * process_index()
                positions = torch.arange(start, start + len(x), device=x.device)
                scores = joint_scores(partial(forward, positions=positions), x, y)
                return _negative(objective, scores)

            history = train(
                scorer,
                loss,
                batches,
                training=settings,
                held_out=partial(self._held_out_loss, scorer, held_out),
                at_start=self._may_stay_untrained(),
                keep_snapshots=_n_weights(scorer) <= MOST_WEIGHTS_KEPT,
                label=label,
            )
        return scorer, history

    def _may_stay_untrained(self) -> bool:
        """Whether the untrained critic is a candidate."""
        return False

    def _held_out_loss(self, scorer: Scorer, held_out: Sides) -> float:
        """Return the loss of held-out pairs by a fresh objective."""
        objective = self._held_out_objective()
        block = self._block(scorer.critic) or MOST_ROWS_COMPARED
        losses = []
        for start in range(0, len(held_out), block):
            rows = torch.arange(start, min(start + block, len(held_out)), device=held_out.x.device)
            if len(rows) > 1:
                part = held_out.rows(rows)
                places = torch.arange(len(rows), device=rows.device)
                scores = scorer(part.x, part.y, places)
                losses.append(float(_negative(objective, scores)) * len(rows))
        return sum(losses) / len(held_out)

    def _new_scorer(self, maps: Maps, settings: Training, device: torch.device) -> Scorer:
        # The user's critic is a parameter: a copy is trained.
        own = self.critic
        critic = self._default_critic(maps) if own is None else copy.deepcopy(own)
        scorer = self._scorer(critic, maps)
        return scorer.to(device=device, dtype=getattr(torch, settings.dtype))

    # ------------------------------------------------------------------------------ the value

    def _summary(self, folds: list[Fold], step: int | None, ask: Ask, seed: int) -> Raw:
        held_out, trained = [], []
        for fold in folds:
            rows = torch.from_numpy(
                np.random.default_rng(seed).permutation(len(fold.trained))[
                    : min(len(fold.held_out), MOST_ROWS_COMPARED)
                ]
            ).to(fold.trained.x.device)
            held_out.append(self._scored(fold.scorer, fold.held_out))
            trained.append(self._scored(fold.scorer, fold.trained.rows(rows)))
        reading = _mean([self._reading(scored) for scored in held_out])
        own = _mean([self._trained_reading(*pair) for pair in zip(trained, held_out, strict=True)])
        value = self._value(reading, own)
        error = max(math.sqrt(reading.variance), 1.0 / sum(map(len, (f.held_out for f in folds))))
        error *= math.sqrt(ask.autocorrelation)
        values = joined([values_of(scored, self._clip(), self.offset) for scored in held_out])
        histories = [fold.history for fold in folds]
        cautions = [
            *quality(values, held_out[0].n_columns, error, self.comparable),
            *_training_cautions(histories, step, reading.value, own.value, error),
            *_few_rows(folds[0].trained),
            *self._further_cautions(held_out, value),
        ]
        interval = None
        if ask.confidence is not None:
            reach = normal_quantile(ask.confidence) * error
            both = (reading.value, own.value, value)
            interval = (min(both) - reach, max(both) + reach)
        info = {
            **values,
            "held_out": reading.value,
            "training": own.value,
            "n_candidates": held_out[0].n_columns,
            "steps": [step if step is not None else history.best_step for history in histories],
        }
        if not math.isfinite(value):
            raise ValueError(
                f"{type(self).__name__} must have a finite value, got {value}: held-out scores "
                "overflow. Lower the learning rate, or use NoiseContrastive."
            )
        return Raw(value, error, interval, tuple(cautions), info)

    def _trained_reading(self, trained: Scored, held_out: Scored) -> Reading:
        """Return the value of rows that the critic was trained on."""
        return self._reading(trained)

    def _clip(self) -> float:
        return 5.0

    def _scored(self, scorer: Scorer, pairs: Sides) -> Scored:
        return score_pairs(
            scorer,
            pairs.x,
            pairs.y,
            block=self._block(scorer.critic),
            clips=(self._clip(),),
            calibrate=self.calibrates,
            keep_blocks=self.keeps_blocks,
        )

    def _block(self, critic: nn.Module) -> int | None:
        if self.test_block is not None:
            return self.test_block
        return None if getattr(critic, "pairs_are_cheap", False) else BLOCK_ROWS

    # ---------------------------------------------------------------------------- fit, evaluate

    def fit(self, x: object, y: object, *, discrete: str | None = None) -> Self:
        """Train one critic and return self.

        Args:
            x: Samples, shape (n, d_x) or (n,).
            y: Samples, shape (n, d_y) or (n,).
            discrete: Side(s) used as labels.

        Returns:
            The estimator with ``critic_``, the trained critic, and ``history_``, a table of the
            losses of every step.

        Raises:
            TypeError: For data that are not numeric (or named as labels).
            ValueError: For wrong shapes, missing values, too few rows, constant columns or
                parameters out of range; for a loss that became NaN.
        """
        self._check_parameters()
        pairs = self._read(x, y, None, discrete, "raise")
        rng = generator(self.random_state)
        seed = int(rng.integers(2**31))
        order = rng.permutation(len(pairs.x))
        return self._fit_rows(pairs.x, pairs.y, order, seed)

    def _fit_rows(self, x: Array, y: Array, order: Array, seed: int) -> Self:
        n_held_out = max(2, round(self.validation_fraction * len(order)))
        trained, held_out = order[n_held_out:], order[:n_held_out]
        if len(trained) < LEAST_ROWS_TRAINED:
            raise ValueError(
                f"x must have at least {LEAST_ROWS_TRAINED} rows beside those held out, got "
                f"{len(trained)}. Lower validation_fraction or bring more samples."
            )
        fold = self._trained(x, y, trained, held_out, seed, -1)
        self.maps_ = fold.maps
        self.scorer_ = fold.scorer
        self.critic_ = fold.scorer.critic
        self.history_ = fold.history.to_frame()
        self.ended_ = fold.history.ended
        return self

    def evaluate(
        self,
        x: object,
        y: object,
        *,
        discrete: str | None = None,
        confidence: float | None = 0.95,
    ) -> Estimate:
        """Return the value of new pairs by the critic of `fit`.

        Args:
            x: Samples, shape (n, d_x) or (n,), not those of the training.
            y: Samples, shape (n, d_y) or (n,).
            discrete: Side(s) used as labels, as in `fit`.
            confidence: Nominal coverage of the interval: of the sampling of the new pairs alone;
                what the critic misses is not in it.

        Raises:
            NotFittedError: Before `fit`.
            ValueError: For data that do not fit those of the training.
        """
        if confidence is not None:
            check_number("confidence", confidence, low=0.0, high=1.0, open_low=True, open_high=True)
        scored, n = self._scored_new(x, y, discrete)
        reading = self._reading(scored)
        error = math.sqrt(reading.variance)
        values = joined([values_of(scored, self._clip(), self.offset)])
        cautions = [
            *quality(values, scored.n_columns, error, self.comparable),
            *self._further_cautions([scored], reading.value),
        ]
        interval = None
        if confidence is not None:
            reach = normal_quantile(confidence) * error
            interval = (reading.value - reach, reading.value + reach)
        info = {**values, "n_candidates": scored.n_columns}
        raw = Raw(reading.value, error, interval, tuple(cautions), info)
        return self._wrap(raw, n_samples=n, cautions=(), confidence=confidence)

    def pointwise(self, x: object, y: object, *, discrete: str | None = None) -> Array:
        """Return estimated log density ratios of new pairs, in nats, shape (n,).

        Args:
            x: Samples, shape (n, d_x) or (n,).
            y: Samples, shape (n, d_y) or (n,).
            discrete: Side(s) used as labels, as in `fit`.

        Raises:
            NotFittedError: Before `fit`.
            ValueError: For data that do not fit those of the training.
        """
        scored, _ = self._scored_new(x, y, discrete)
        return np.asarray(self._pointwise(scored).numpy())

    def _scored_new(self, x: object, y: object, discrete: str | None) -> tuple[Scored, int]:
        if not hasattr(self, "scorer_"):
            raise NotFittedError(
                f"{type(self).__name__} must be fitted first, got no critic. Call fit(x, y)."
            )
        pairs = self._read(x, y, None, discrete, "raise")
        for name, side, fitted in zip("xy", (pairs.x, pairs.y), self.maps_, strict=True):
            width = 0 if is_labels(side) else side.shape[1]
            wanted = 0 if fitted.kind == "labels" else fitted.features
            if width != wanted:
                raise ValueError(
                    f"{name} must have {wanted or 'labels and no'} columns as in fit, got {width}."
                )
        weight = next(self.scorer_.parameters())
        sides = _mapped(self.maps_, pairs.x, pairs.y, weight.dtype, weight.device)
        return self._scored(self.scorer_, sides), len(sides)

    def _statistic(
        self, x: Array, y: Array, z: Array | None, ask: Ask
    ) -> Callable[[Indices], float]:
        """Return the mean score of half of the rows in another order, by a critic of the rest.

        One training serves all orders: the critic has not seen the rows that are rearranged.
        """
        if z is not None:
            raise ValueError(
                f"n_permutations must be 0 with a condition for {type(self).__name__}, whose "
                "critics tell rows that are rearranged within neighborhoods of z from others. Use "
                "KSG or GaussianCopula for a conditional p-value."
            )
        self._check_parameters()
        half = len(x) // 2
        seed = int(ask.rng.integers(2**31))
        order = np.random.default_rng(seed).permutation(half)
        other = self.copy()._fit_rows(x, y, order, seed)
        weight = next(other.scorer_.parameters())
        sides = _mapped(other.maps_, x, y, weight.dtype, weight.device)
        own = sides.x[half:]

        def mean_score(order: Indices) -> float:
            # The order of these rows among themselves: a random order, or a shift, of half.
            partners = torch.from_numpy(order[order >= half])
            return _mean_joint_score(other.scorer_, Sides(own, sides.y[partners]))

        return mean_score

    # ---------------------------------------------------------------------------------- checks

    def _check_parameters(self) -> None:
        check_option("inputs", self.inputs, INPUTS)
        check_int("n_splits", self.n_splits, low=2)
        check_number(
            "validation_fraction",
            self.validation_fraction,
            low=0.0,
            high=1.0,
            open_low=True,
            open_high=True,
        )
        if self.test_block is not None:
            check_int("test_block", self.test_block, low=2)
        if self.critic is not None and not isinstance(self.critic, nn.Module):
            raise TypeError(
                f"critic must be an nn.Module (x, y) -> (n, m) or None, got {self.critic!r}."
            )

    def _maps(self, x: Array, y: Array, trained: Array) -> Maps:
        return _input_map(x, trained, self.inputs), _input_map(y, trained, self.inputs)


def _input_map(side: Array, trained: Array, kind: str) -> InputMap:
    n_labels = int(side.max()) + 1 if is_labels(side) else 0
    return InputMap.fit(side[trained], kind, n_labels)


def _mapped(maps: Maps, x: Array, y: Array, dtype: torch.dtype, device: torch.device) -> Sides:
    sides = [
        side_map(torch.from_numpy(np.ascontiguousarray(side))).to(device=device, dtype=dtype)
        for side_map, side in zip(maps, (x, y), strict=True)
    ]
    return Sides(*sides)


@torch.no_grad()
def _mean_joint_score(scorer: Scorer, pairs: Sides) -> float:
    """Return the mean score of pairs, the diagonal of small blocks."""
    total = 0.0
    for rows in torch.arange(len(pairs), device=pairs.x.device).split(PAIRED_ROWS):
        places = torch.arange(len(rows), device=rows.device)
        total += float(scorer(pairs.x[rows], pairs.y[rows], places).diagonal().double().sum())
    return total / len(pairs)


def _negative(objective: Objective, scores: Tensor) -> Tensor:
    """Return the loss; NaN scores make it NaN and are left to the training to report."""
    if scores.device.type == "cpu" and not math.isfinite(float(scores.detach().sum())):
        return scores.sum() * math.nan
    return -objective(scores)


@contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch inside, and leave its global state as it was."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


def _splits(n: int, n_splits: int, seed: int, *, contiguous: bool) -> list[Array]:
    """Return the rows of every fold; neighbors in time stay together where rows depend."""
    fewest = n - math.ceil(n / n_splits)
    if n < 2 * n_splits or fewest < LEAST_ROWS_TRAINED:
        raise ValueError(
            f"x must have at least {max(2 * n_splits, 2 * LEAST_ROWS_TRAINED)} rows for "
            f"n_splits={n_splits}, got {n}. Bring more samples, or use KSG or GaussianCopula."
        )
    order = np.arange(n) if contiguous else np.random.default_rng(seed).permutation(n)
    return [np.sort(part) for part in np.array_split(order, n_splits)]


def _common_step(histories: list[History]) -> int | None:
    """Return the evaluated step with the least mean held-out loss, None without snapshots."""
    common = set.intersection(*(set(history.snapshots) for history in histories))
    losses = {
        step: float(np.mean([dict(history.evaluated)[step] for history in histories]))
        for step in sorted(common)
    }
    finite = {step: loss for step, loss in losses.items() if math.isfinite(loss)}
    return min(finite, key=lambda step: finite[step]) if finite else None


def _mean(readings: list[Reading]) -> Reading:
    """Return the mean over folds of nearly equal size, and its variance."""
    n = len(readings)
    value = sum(reading.value for reading in readings) / n
    return Reading(value, sum(reading.variance for reading in readings) / n**2)


def _n_weights(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


def _training_cautions(
    histories: list[History], step: int | None, held_out: float, trained: float, error: float
) -> list[Caution]:
    cautions = []
    gap = trained - held_out
    if gap > max(0.1, 0.05 * abs(held_out)) and gap > 4.0 * error:
        cautions.append(
            Caution(
                "train_test_gap",
                f"The critics give {trained:.2f} on rows they were trained on and {held_out:.2f} "
                "on others: they have learned the sample, and the truth may lie between. More "
                "samples help.",
            )
        )
    interrupted = any(history.ended == "interrupted" for history in histories)
    if interrupted or _still_gains(histories, step):
        why = "was interrupted" if interrupted else "ended while the held-out loss still fell"
        cautions.append(
            Caution(
                "not_converged",
                f"The training {why}: more steps would find more. Raise Training(steps=...).",
            )
        )
    return cautions


def _few_rows(trained: Sides) -> list[Caution]:
    features = trained.x[0].numel() + trained.y[0].numel()
    if len(trained) >= features:
        return []
    return [
        Caution(
            "too_few_samples_for_dimension",
            f"A critic sees {len(trained)} rows of {features} columns: it can tell all rows apart "
            "and learns little of others. Reduce the columns, or bring more samples.",
        )
    ]


def _still_gains(histories: list[History], step: int | None) -> bool:
    """Whether the last evaluation was the best, by more than a little."""
    gains = []
    for history in histories:
        losses = [loss for _, loss in history.evaluated]
        last = step is None or step == history.evaluated[-1][0]
        if history.ended != "steps" or len(losses) < 2 or not last:
            return False
        gains.append(losses[-2] - losses[-1])
    return float(np.mean(gains)) > STILL_GAINING


def _difference(joint: Raw, given: Raw, confidence: float | None) -> Raw:
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


def _side_by_side(y: Array, z: Array) -> Array:
    return np.hstack([_columns(y), _columns(z)])


def _columns(side: Array) -> Array:
    """Return numbers as columns; labels become indicators."""
    if is_labels(side):
        return (side[:, None] == np.arange(int(side.max()) + 1)).astype(np.float64)
    return side
