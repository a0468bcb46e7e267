"""Settings of a training. No torch import: estimators hold them as a field."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from infoest._validation import check_bool, check_int, check_number, check_option

if TYPE_CHECKING:
    from .history import History

SCHEDULES = ("constant", "cosine")
DTYPES = ("float32", "float64")
# The cosine schedule ends at this share of the learning rate.
LAST_SHARE = 0.02


class TrainingDivergedError(ValueError):
    """Raised when the loss of a training becomes NaN or infinite.

    Attributes:
        history: Of the steps before, as `train` returns it; None outside of a training.
    """

    history: History | None = None


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a network is trained: AdamW on random batches, with an average of the weights.

    None leaves a setting to the estimator, whose documentation states what it takes.

    Args:
        steps: Gradient steps at most, at least 1. Not together with ``epochs``.
        epochs: Passes over the training rows at most, instead of ``steps``.
        batch_size: Rows of a batch, at least 2, all processes together. None is 256, or all
            training rows where there are fewer.
        learning_rate: Of AdamW, positive.
        weight_decay: Of AdamW, at least 0 (decoupled: weights shrink by the factor
            1 - learning_rate * weight_decay a step).
        schedule: ``"constant"``, or ``"cosine"`` down to 2 % of the learning rate at the last
            step. None is constant.
        averaging: Decay a of the exponential average of the weights that is evaluated and kept,
            in [0, 1); 0 keeps the last weights. It warms up as min(a, (1 + t) / (10 + t)).
        clip_norm: Largest norm of the gradient, positive; None does not clip.
        evaluate_every: Steps between two evaluations on held-out rows; None evaluates at 50 steps
            and then at every doubling, and at the last.
        patience: The training stops after so many evaluations in a row that are not the best;
            None never stops early. The weights of the best evaluation are kept either way.
        device: Where to train, such as ``"cuda"`` or ``"cuda:1"``; None is the CPU.
        dtype: ``"float32"`` or ``"float64"``.
        compile: Whether the estimator passes the network through ``torch.compile``; worth its
            minute for large networks only.
        progress: Whether a progress bar is shown.
        checkpoint: File that is written at every evaluation, and from which a training with the
            same settings, seed and data resumes, with the same result bit for bit; None for none.

    Raises:
        TypeError: For a setting of the wrong type.
        ValueError: For a setting out of its range, or both ``steps`` and ``epochs``.

    Example:
        >>> Training(steps=500, batch_size=128).with_defaults(weight_decay=0.5).weight_decay
        0.5
    """

    steps: int | None = None
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    weight_decay: float | None = None
    schedule: str | None = None
    averaging: float | None = None
    clip_norm: float | None = None
    evaluate_every: int | None = None
    patience: int | None = 2
    device: str | None = None
    dtype: str = "float32"
    compile: bool = False
    progress: bool = False
    checkpoint: str | os.PathLike[str] | None = None

    def __post_init__(self) -> None:
        """Check every setting: they are data, and a wrong one should not wait for the training."""
        if self.steps is not None and self.epochs is not None:
            raise ValueError(
                f"steps must be None with epochs, got {self.steps} and epochs={self.epochs}."
            )
        for name, low in (
            ("steps", 1),
            ("epochs", 1),
            ("batch_size", 2),
            ("evaluate_every", 1),
            ("patience", 1),
        ):
            if getattr(self, name) is not None:
                check_int(name, getattr(self, name), low=low)
        for name in ("learning_rate", "clip_norm"):
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name), low=0.0, open_low=True)
        if self.weight_decay is not None:
            check_number("weight_decay", self.weight_decay, low=0.0)
        if self.averaging is not None:
            check_number("averaging", self.averaging, low=0.0, high=1.0, open_high=True)
        if self.schedule is not None:
            check_option("schedule", self.schedule, SCHEDULES)
        check_option("dtype", self.dtype, DTYPES)
        check_bool("compile", self.compile)
        check_bool("progress", self.progress)
        if self.device is not None and not isinstance(self.device, str):
            raise TypeError(f"device must be a string such as 'cuda' or None, got {self.device!r}.")
        if self.checkpoint is not None and not isinstance(self.checkpoint, (str, os.PathLike)):
            raise TypeError(f"checkpoint must be a path or None, got {self.checkpoint!r}.")

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the settings by name, as scikit-learn's protocol asks."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def with_defaults(
        self,
        *,
        steps: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        weight_decay: float | None = None,
        averaging: float | None = None,
        clip_norm: float | None = None,
        schedule: str | None = None,
    ) -> Training:
        """Return the settings with those that are None filled in."""
        if self.epochs is not None:
            steps = None
        defaults: dict[str, Any] = {
            "steps": steps,
            "batch_size": batch_size,
            "learning_rate": learning_rate,
            "weight_decay": weight_decay,
            "averaging": averaging,
            "clip_norm": clip_norm,
            "schedule": schedule,
        }
        missing = {name: value for name, value in defaults.items() if getattr(self, name) is None}
        return replace(self, **missing)

    def n_steps(self, batches_per_epoch: int | None) -> int:
        """Return the number of steps at most.

        Raises:
            ValueError: If epochs are asked of a stream, which has none, or nothing is set.
        """
        if self.epochs is not None:
            if batches_per_epoch is None:
                raise ValueError(
                    f"epochs must be None for data without a length, got {self.epochs}. Give steps."
                )
            return int(self.epochs) * batches_per_epoch
        if self.steps is None:
            raise ValueError("steps must be given, got None. Give steps or epochs.")
        return int(self.steps)

    def rate(self, step: int, n_steps: int) -> float:
        """Return the learning rate of a step, counted from 1."""
        rate = 1e-3 if self.learning_rate is None else float(self.learning_rate)
        if self.schedule == "cosine":
            share = 0.5 * (1.0 + math.cos(math.pi * (step - 1) / max(1, n_steps - 1)))
            rate *= LAST_SHARE + (1.0 - LAST_SHARE) * share
        return rate

    def evaluation_steps(self, n_steps: int) -> frozenset[int]:
        """Return the steps after which held-out rows are evaluated, the last among them."""
        if self.evaluate_every is not None:
            return frozenset(
                {*range(self.evaluate_every, n_steps + 1, self.evaluate_every), n_steps}
            )
        doublings = range(max(1, n_steps).bit_length())
        return frozenset(
            {50 * 2**power for power in doublings if 50 * 2**power < n_steps} | {n_steps}
        )
