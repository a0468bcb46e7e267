"""What an estimator says of its critic, and one training of it."""

from __future__ import annotations

import copy
from abc import abstractmethod
from dataclasses import dataclass, fields
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from infoest._cautions import Caution
from infoest._validation import Array, check_int, check_number, check_option
from infoest.critics import SeparableCritic
from infoest.training import (
    Batches,
    Training,
    TrainingDivergedError,
    resolve_device,
    train,
)

from ._evaluation import BLOCK_ROWS, Reading, Scored, score_pairs
from ._folds import Fold, Maps, Sides, input_map, seeded
from ._inputs import INPUTS
from ._objectives import Objective, ObjectiveLoss, negative
from ._scorers import Scorer
from .base import MutualInformationEstimator

if TYPE_CHECKING:
    from typing_extensions import Self

# Above this many weights the folds keep their own best weights, not those of every evaluation.
MOST_WEIGHTS_KEPT = 2**21
# Training rows that are scored, to be compared with as many held-out ones.
MOST_ROWS_COMPARED = 1000


@dataclass(kw_only=True, eq=False)
class CriticTraining(MutualInformationEstimator):
    """What an estimator says of its critic, and one training of it.

    The parameters are documented in `CriticEstimator`, the only class made of this one.
    """

    accepts_labels: ClassVar[str] = "any"
    conditional: ClassVar[bool] = True
    # Values that the best critic makes equal: those of a log density ratio.
    comparable: ClassVar[tuple[str, ...]] = ("donsker_varadhan", "nwj", "smile", "infonce")
    # Whether values are read from calibrated scores.
    calibrates: ClassVar[bool] = False
    # Whether values need square blocks of scores whole.
    keeps_blocks: ClassVar[bool] = False
    # Whether the value is extrapolated from critics that are trained on half as many rows.
    extrapolates: ClassVar[bool] = False

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

    def _scorer(self, critic: nn.Module, maps: Maps, sample: Sides | None) -> Scorer:
        """Return what is trained.

        Args:
            critic: The critic in it.
            maps: Maps of both sides.
            sample: Mapped rows that the maps were fitted on; None where the scorer is built again
                for a state that follows, with buffers of the same shapes.
        """
        return Scorer(critic)

    def _default_critic(self, maps: Maps) -> nn.Module:
        return SeparableCritic(maps[0].features, maps[1].features)

    def _settings(self, n: int) -> Training:
        """Return complete settings for n training rows."""
        given = Training() if self.training is None else self.training
        if not isinstance(given, Training):
            raise TypeError(f"training must be a Training or None, got {type(given).__name__}.")
        default = self._defaults()
        return given.with_defaults(
            steps=default.steps,
            batch_size=min(default.batch_size or n, n),
            learning_rate=default.learning_rate,
            weight_decay=default.weight_decay,
            averaging=default.averaging,
            clip_norm=default.clip_norm,
            schedule=default.schedule,
        )

    def _defaults(self) -> Training:
        """Return what None in ``training`` stands for."""
        return Training(
            steps=1600,
            batch_size=256,
            learning_rate=1e-3,
            weight_decay=0.5,
            averaging=0.99,
            clip_norm=1.0,
        )

    def _measured(self, maps: Maps) -> str | None:
        """Return what the value is, where that is not ``quantity``."""
        return None

    def _value(self, held_out: Reading, trained: Reading, smaller: Reading | None) -> float:
        """Return the reported value.

        Args:
            held_out: From rows that the critics were not trained on.
            trained: From rows that they were trained on.
            smaller: Like the first, by critics trained on half as many rows; None without.
        """
        return held_out.value

    def _further_cautions(self, scored: list[Scored], value: float) -> list[Caution]:
        """Return what this estimator says beside the others."""
        return []

    # ------------------------------------------------------------------------ one training

    def _train(
        self,
        batches: Batches,
        held_out: Sides,
        sample: Sides,
        settings: Training,
        maps: Maps,
        seed: int,
        name: str,
        *,
        at_start: bool = True,
    ) -> Fold:
        """Return one training; an error after an evaluation is in it, any other is raised."""
        device = resolve_device(settings.device)
        with seeded(seed, device):
            scorer = self._new_scorer(maps, sample, settings, device)
            score = torch.compile(scorer) if settings.compile else scorer
            try:
                history = train(
                    scorer,
                    ObjectiveLoss(score, self._objective()).to(device),
                    batches,
                    training=settings,
                    held_out=partial(self._held_out_loss, scorer, held_out),
                    # Critics of ours say independence at the start, which no training beats there.
                    at_start=at_start,
                    keep_snapshots=_n_weights(scorer) <= MOST_WEIGHTS_KEPT,
                    label=", ".join(filter(None, (self._title(), name))),
                )
            except TrainingDivergedError as error:
                if error.history is None or not error.history.best_step:
                    raise
                return Fold(maps, scorer, error.history, sample, held_out, error)
        return Fold(maps, scorer, history, sample, held_out)

    def _title(self) -> str:
        """Return the name with the settings that the objective may depend on."""
        common = {field.name for field in fields(CriticTraining)}
        own = [field.name for field in fields(self) if field.name not in common]
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in own)
        return f"{type(self).__name__}({shown})" if own else type(self).__name__

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
                losses.append(float(negative(objective, scores)) * len(rows))
        return sum(losses) / len(held_out)

    def _new_scorer(
        self, maps: Maps, sample: Sides | None, settings: Training, device: torch.device
    ) -> Scorer:
        # The user's critic is a parameter: a copy is trained.
        own = self.critic
        critic = self._default_critic(maps) if own is None else copy.deepcopy(own)
        return self._placed(self._scorer(critic, maps, sample), settings, device)

    def _placed(self, scorer: Scorer, settings: Training, device: torch.device) -> Scorer:
        # Only what is trained: a scorer's own buffers are in the dtype that they need.
        dtype = getattr(torch, settings.dtype)
        for part in scorer.children():
            part.to(dtype)
        for weight in scorer.parameters(recurse=False):
            weight.data = weight.data.to(dtype)
        return scorer.to(device)

    def _keep_fold(self, fold: Fold, labels: dict[str, Array]) -> Self:
        """Return self as what a training left; raise what went wrong in it."""
        history = fold.history
        self._keep(fold.maps, labels, fold.scorer, history.to_frame(), history.ended)
        if fold.error is not None:
            raise fold.error
        return self

    def _keep(
        self, maps: Maps, labels: dict[str, Array], scorer: Scorer, history: Any, ended: str
    ) -> None:
        """Become a fitted estimator.

        Args:
            maps: Maps of both sides.
            labels: Of the sides that are labels, the caller's for every code.
            scorer: Trained.
            history: Table of the losses.
            ended: Why the training ended.
        """
        self.maps_, self.labels_ = maps, labels
        self.scorer_, self.critic_ = scorer, scorer.critic
        self.history_, self.ended_ = history, ended

    # -------------------------------------------------------------------------------- scores

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
        return input_map(x, trained, self.inputs), input_map(y, trained, self.inputs)


def _n_weights(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())
