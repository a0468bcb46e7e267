"""The one way of every estimator that trains a critic: splits, training, held-out value."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from infoest._random import generator
from infoest._validation import (
    SIDES,
    Array,
    NotFittedError,
    Pairs,
    check_number,
    check_option,
    is_labels,
)
from infoest.functional.intervals import normal_quantile
from infoest.functional.significance import Indices
from infoest.result import Estimate, Raw
from infoest.training import ArrayBatches, resolve_device
from infoest.training.processes import from_first

from ._critic_training import MOST_ROWS_COMPARED, CriticTraining
from ._evaluation import (
    Reading,
    Scored,
    difference,
    extrapolated,
    joined,
    mean_of,
    quality,
    values_of,
)
from ._folds import (
    LEAST_ROWS_TRAINED,
    Fold,
    Sides,
    common_step,
    fold_rows,
    half_rows,
    mapped,
    mean_joint_score,
    seeded,
    side_by_side,
)
from ._inputs import codes_of, known_labels
from ._loading import load_estimator
from ._saving import save_estimator
from ._streams import (
    FIRST_ROWS,
    check_alone,
    is_stream,
    open_stream,
    read_all,
    read_side,
    to_fit,
    transform_by,
)
from ._training_cautions import few_rows, fit_cautions, training_cautions
from .base import Ask

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(kw_only=True, eq=False)
class CriticEstimator(CriticTraining):
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

    # ------------------------------------------------------------------------------- one call

    def _estimate(self, x: Array, y: Array, z: Array | None, ask: Ask) -> Raw:
        self._check_parameters()
        seed = int(ask.rng.integers(2**31))
        if z is None:
            return self._cross_fitted(x, y, ask, seed)
        # I(X; Y | Z) = I(X; Y, Z) - I(X; Z), on the same splits.
        both = side_by_side(y, z)
        joint = self._cross_fitted(x, both, ask, seed)
        given = self._cross_fitted(x, z, ask, seed, "of z ")
        return difference(joint, given, ask.confidence)

    def _cross_fitted(self, x: Array, y: Array, ask: Ask, seed: int, part: str = "") -> Raw:
        contiguous = ask.autocorrelated
        splits = fold_rows(len(x), self.n_splits, seed, contiguous=contiguous)
        parts = [
            (np.concatenate([split for split in splits if split is not held_out]), held_out)
            for held_out in splits
        ]
        folds, step = self._trained_parts(x, y, parts, seed, f"{part}fold")
        smaller = None
        if self.extrapolates and len(folds) == self.n_splits:
            seed_of_halves = seed + self.n_splits
            parts = half_rows(len(x), self.n_splits, seed_of_halves, contiguous=contiguous)
            halves, _ = self._trained_parts(x, y, parts, seed_of_halves, f"{part}half")
            if len(halves) == 2:
                scored = [self._scored(half.scorer, half.held_out) for half in halves]
                smaller = mean_of([self._reading(one) for one in scored])
        return self._summary(folds, step, smaller, ask, seed)

    def _trained_parts(
        self, x: Array, y: Array, parts: list[tuple[Array, Array]], seed: int, name: str
    ) -> tuple[list[Fold], int | None]:
        """Return a training for each part, at the step that is best for all, and that step."""
        folds: list[Fold] = []
        for number, (trained, held_out) in enumerate(parts):
            own = f"{name} {number + 1}"
            folds.append(self._trained(x, y, trained, held_out, seed + number, own))
            error = folds[-1].error
            if error is not None:
                raise error
            if folds[-1].history.ended == "interrupted":
                # Ctrl-C keeps what is there: the folds before, or the little that this one has.
                folds = folds[:-1] or folds
                break
        step = common_step([fold.history for fold in folds])
        if step is not None:
            for fold in folds:
                fold.scorer.load_state_dict(fold.history.snapshots[step])
                fold.history.snapshots.clear()
        return folds, step

    def _trained(
        self,
        x: Array,
        y: Array,
        trained: Array,
        held_out: Array,
        seed: int,
        name: str,
        *,
        at_start: bool = True,
    ) -> Fold:
        """Return a critic trained on some rows, with other rows to stop early."""
        maps = self._maps(x, y, trained)
        settings = self._settings(len(trained))
        device, dtype = resolve_device(settings.device), getattr(torch, settings.dtype)
        sides = [mapped(maps, x[rows], y[rows], dtype, device) for rows in (trained, held_out)]
        if settings.checkpoint is not None and name:
            suffix = name.replace(" ", "_")
            settings = replace(settings, checkpoint=f"{os.fspath(settings.checkpoint)}.{suffix}")
        batches = ArrayBatches(sides[0].x, sides[0].y, settings.batch_size or 0, seed)
        return self._train(
            batches, sides[1], sides[0], settings, maps, seed, name, at_start=at_start
        )

    # ------------------------------------------------------------------------------ the value

    def _summary(
        self, folds: list[Fold], step: int | None, smaller: Reading | None, ask: Ask, seed: int
    ) -> Raw:
        held_out, trained = [], []
        for fold in folds:
            rows = torch.from_numpy(
                np.random.default_rng(seed).permutation(len(fold.trained))[
                    : min(len(fold.held_out), MOST_ROWS_COMPARED)
                ]
            ).to(fold.trained.x.device)
            held_out.append(self._scored(fold.scorer, fold.held_out))
            trained.append(self._scored(fold.scorer, fold.trained.rows(rows)))
        reading = mean_of([self._reading(scored) for scored in held_out])
        pairs = zip(trained, held_out, strict=True)
        own = mean_of([self._trained_reading(*pair) for pair in pairs])
        value = self._value(reading, own, smaller)
        error = max(math.sqrt(reading.variance), 1.0 / sum(map(len, (f.held_out for f in folds))))
        error *= math.sqrt(ask.autocorrelation)
        values = joined([values_of(scored, self._clip()) for scored in held_out])
        histories = [fold.history for fold in folds]
        cautions = [
            *quality(values, held_out[0].n_columns, error, self.comparable),
            *training_cautions(histories, self.n_splits, step, (reading.value, own.value), error),
            *few_rows(folds[0].trained),
            *self._further_cautions(held_out, value),
        ]
        interval = None
        if ask.confidence is not None:
            reach = normal_quantile(ask.confidence) * error
            read = [reading.value, own.value, value]
            if smaller is not None:
                read.append(extrapolated(reading, smaller))
            interval = (min(read) - reach, max(read) + reach)
        info = {
            **values,
            "held_out": reading.value,
            "training": own.value,
            "n_candidates": held_out[0].n_columns,
            "steps": [step if step is not None else history.best_step for history in histories],
        }
        if smaller is not None:
            info["half_sample"] = smaller.value
        if not math.isfinite(value):
            raise ValueError(
                f"{type(self).__name__} must have a finite value, got {value}: held-out scores "
                "overflow. Lower the learning rate, or use NoiseContrastive."
            )
        measured = self._measured(folds[0].maps)
        return Raw(value, error, interval, tuple(cautions), info, measured)

    def _trained_reading(self, trained: Scored, held_out: Scored) -> Reading:
        """Return the value of rows that the critic was trained on."""
        return self._reading(trained)

    # ---------------------------------------------------------------------------- fit, evaluate

    def fit(self, x: object, y: object = None, *, discrete: str | None = None) -> Self:
        """Train one critic and return self.

        Args:
            x: Samples, shape (n, d_x) or (n,); or, for pairs that do not fit into memory or have
                more axes, a ``torch.utils.data`` Dataset of pairs (x, y), or a DataLoader of
                batches of them. Of a Dataset with a length at most 4096 rows are held out, and
                at most 4096 others give the maps of ``inputs``; fewer, but 256 at least, where so
                many rows are more than 2^26 numbers. Of a DataLoader, or a Dataset that is only
                iterated, these are the first batches, and the held-out ones are left out at the
                start of every pass: where the loader shuffles, their rows are trained on from the
                second pass on. Pass the Dataset to rule that out.
            y: Samples, shape (n, d_y) or (n,); None with a Dataset or DataLoader.
            discrete: Side(s) used as labels; from a Dataset they are integers 0, 1, ...

        Returns:
            The estimator with ``critic_``, the trained critic, ``history_``, a table of the losses
            of every step, and ``ended_``: ``"steps"``, ``"patience"`` or, by Ctrl-C,
            ``"interrupted"``.

        Raises:
            TypeError: For data that are not numeric (or named as labels), or no pairs.
            ValueError: For wrong shapes, missing values, too few rows, constant columns or
                parameters out of range; for a loss that became NaN
                (``infoest.training.TrainingDivergedError``): the best weights of the evaluations
                before, if there were any, are kept, and ``ended_`` is ``"diverged"``.
        """
        self._check_parameters()
        rng = generator(self.random_state)
        seed = int(rng.integers(2**31))
        if is_stream(x):
            check_alone(x, y)
            return self._fit_stream(x, discrete, rng, seed)
        pairs = self._read(x, y, None, discrete, "raise")
        order = rng.permutation(len(pairs.x))
        sides = {"x": (x, pairs.x), "y": (y, pairs.y)}
        labels = {
            name: known_labels(name, given)
            for name, (given, read) in sides.items()
            if is_labels(read)
        }
        return self._fit_rows(pairs.x, pairs.y, order, seed, labels)

    def _fit_stream(
        self, data: object, discrete: str | None, rng: np.random.Generator, seed: int
    ) -> Self:
        check_option("discrete", discrete, (None, *SIDES))
        settings = self._settings(FIRST_ROWS)
        batch_size = settings.batch_size or FIRST_ROWS
        device, raw = resolve_device(settings.device), self.inputs == "raw"
        asked = None if self.training is None else self.training.batch_size
        with seeded(seed, device):
            stream = open_stream(data, self.validation_fraction, asked, batch_size, rng)
            labels = (discrete in ("x", "both"), discrete in ("y", "both"))
            maps = from_first(lambda: self._maps(*to_fit(stream, labels, raw=raw)))
            dtype = getattr(torch, settings.dtype)
            transform = transform_by(maps, raw=raw, dtype=dtype, device=device)
            held_out, sample = Sides(*transform(stream.held_out)), Sides(*transform(stream.sample))
            settings = self._settings(stream.n_trained or batch_size)
            batches = stream.batches(settings.batch_size or 0, seed, transform)
        name = f"inputs={self.inputs!r}"
        fold = self._train(batches, held_out, sample, settings, maps, seed, name)
        known = {
            side: np.arange(fitted.features)[:, None]
            for side, fitted in zip("xy", maps, strict=True)
            if fitted.kind == "labels"
        }
        return self._keep_fold(fold, known)

    def _fit_rows(
        self,
        x: Array,
        y: Array,
        order: Array,
        seed: int,
        labels: dict[str, Array],
        name: str = "",
        *,
        at_start: bool = True,
    ) -> Self:
        n_held_out = max(2, round(self.validation_fraction * len(order)))
        trained, held_out = order[n_held_out:], order[:n_held_out]
        if len(trained) < LEAST_ROWS_TRAINED:
            raise ValueError(
                f"x must have at least {LEAST_ROWS_TRAINED} rows beside those held out, got "
                f"{len(trained)}. Lower validation_fraction or bring more samples."
            )
        fold = self._trained(x, y, trained, held_out, seed, name, at_start=at_start)
        return self._keep_fold(fold, labels)

    def evaluate(
        self,
        x: object,
        y: object = None,
        *,
        discrete: str | None = None,
        confidence: float | None = 0.95,
    ) -> Estimate:
        """Return the value of new pairs by the critic of `fit`.

        Args:
            x: Samples, shape (n, d_x) or (n,), not those of the training; or a Dataset or
                DataLoader of pairs, all of which are read into memory.
            y: Samples, shape (n, d_y) or (n,); None with a Dataset or DataLoader.
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
        values = joined([values_of(scored, self._clip())])
        cautions = [
            *quality(values, scored.n_columns, error, self.comparable),
            *fit_cautions(self.history_, self.ended_),
            *self._further_cautions([scored], reading.value),
        ]
        interval = None
        if confidence is not None:
            reach = normal_quantile(confidence) * error
            interval = (reading.value - reach, reading.value + reach)
        info = {**values, "n_candidates": scored.n_columns}
        measured = self._measured(self.maps_)
        raw = Raw(reading.value, error, interval, tuple(cautions), info, measured)
        return self._wrap(raw, n_samples=n, cautions=(), confidence=confidence)

    def pointwise(self, x: object, y: object = None, *, discrete: str | None = None) -> Array:
        """Return estimated log density ratios of new pairs, in nats, shape (n,).

        Args:
            x: Samples, shape (n, d_x) or (n,); or a Dataset or DataLoader of pairs, in whose order
                the values come.
            y: Samples, shape (n, d_y) or (n,); None with a Dataset or DataLoader.
            discrete: Side(s) used as labels, as in `fit`.

        Raises:
            NotFittedError: Before `fit`.
            ValueError: For data that do not fit those of the training.
        """
        scored, _ = self._scored_new(x, y, discrete)
        return np.asarray(self._pointwise(scored).numpy())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted estimator to a folder, which `load` reads.

        Two files, ``estimator.json`` and ``weights.safetensors``: nothing in them is ever run. A
        folder that an estimator was saved to is replaced.

        Args:
            path: The folder, inside one that is there.

        Raises:
            NotFittedError: Before `fit`.
            TypeError: If a parameter is neither plain nor an estimator of `METHODS`, or the state
                of a critic of your own is not of tensors.
            ValueError: If the folder cannot be written, or holds something else.
        """
        self._check_fitted()
        save_estimator(self, path)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        critic: nn.Module | None = None,
        device: str | None = None,
    ) -> Self:
        """Return a fitted estimator that `save` wrote: `evaluate` gives the same, bit for bit.

        Args:
            path: The folder.
            critic: Untrained module that was fitted, where it was one of your own; it is copied.
                Critics of `infoest.critics` and decoders are built again.
            device: Where to put it, such as ``"cpu"``; None is where it was trained.

        Raises:
            TypeError: If ``critic`` is no module.
            ValueError: If the folder is not there, damaged, changed, of a later version or of
                another class; if ``critic`` is missing, not needed or of another shape; if the
                device is not there.
        """
        return load_estimator(cls, path, critic, device)

    def _scored_new(self, x: object, y: object, discrete: str | None) -> tuple[Scored, int]:
        self._check_fitted()
        new = self._new_rows(x, y, discrete)
        for name, fitted in zip("xy", self.maps_, strict=True):
            fitted.check(name, new[name])
            if name in self.labels_:
                given = {"x": x, "y": y}[name] if not is_stream(x) else new[name]
                new[name] = codes_of(name, given, self.labels_[name])
        weight = next(self.scorer_.parameters())
        sides = mapped(self.maps_, new["x"], new["y"], weight.dtype, weight.device)
        return self._scored(self.scorer_, sides), len(sides)

    def _new_rows(self, x: object, y: object, discrete: str | None) -> dict[str, Any]:
        if not is_stream(x):
            pairs = self._read(x, y, None, discrete, "raise")
            return {"x": pairs.x, "y": pairs.y}
        check_alone(x, y)
        fitted = "both" if len(self.labels_) == 2 else next(iter(self.labels_), None)
        if discrete not in (None, fitted):
            raise ValueError(f"discrete must be {fitted!r} as in fit, got {discrete!r}.")
        with seeded(0, torch.device("cpu")):
            rows = dict(zip("xy", read_all(x), strict=True))
        return {
            name: read_side(
                name, rows[name], labels=fitted.kind == "labels", raw=fitted.kind == "raw"
            )
            for name, fitted in zip("xy", self.maps_, strict=True)
        }

    def _check_fitted(self) -> None:
        if not hasattr(self, "scorer_"):
            raise NotFittedError(
                f"{type(self).__name__} must be fitted first, got no critic. Call fit(x, y)."
            )

    def _read(self, x: object, y: object, z: object, discrete: str | None, missing: str) -> Pairs:
        if is_stream(x):
            raise TypeError(
                f"x must be an array here, got a {type(x).__name__}. fit and evaluate read "
                "Datasets and DataLoaders."
            )
        return super()._read(x, y, z, discrete, missing)

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
        # A critic that learned too much still tells joint pairs from others; an untrained one, not.
        other = self.copy()._fit_rows(x, y, order, seed, {}, "p value", at_start=False)
        weight = next(other.scorer_.parameters())
        sides = mapped(other.maps_, x, y, weight.dtype, weight.device)
        own = sides.x[half:]

        def mean_score(order: Indices) -> float:
            # The order of these rows among themselves: a random order, or a shift, of half.
            partners = torch.from_numpy(order[order >= half])
            return mean_joint_score(other.scorer_, Sides(own, sides.y[partners]))

        return mean_score
