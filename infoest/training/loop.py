"""The one training loop."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from infoest._progress import progress_bar

from .batches import Batches
from .checkpoints import (
    Record,
    check_writable,
    network_digest,
    parse_checkpoint,
    plain_settings,
    read_bytes,
    unreadable,
    write_checkpoint,
)
from .history import History
from .processes import (
    average_gradients,
    copy_first,
    from_all,
    from_first,
    mean_over_processes,
    process_index,
    process_total,
)
from .settings import Training, TrainingDivergedError

Loss = Callable[[Tensor, Tensor], Tensor]
HeldOut = Callable[[], float]
# Reading a loss waits for a GPU: there only so often.
STEPS_BETWEEN_READS = 50


def train(
    network: nn.Module,
    loss: Loss,
    batches: Batches,
    *,
    training: Training,
    held_out: HeldOut | None = None,
    at_start: bool = False,
    keep_snapshots: bool = False,
    label: str = "training",
) -> History:
    """Train a network in place and leave the averaged weights of the best evaluation in it.

    However the training ends, by an error too, the network has the best weights so far and is in
    evaluation mode. Torch's random state is moved by what the network and the batches draw, and by
    a resume, which continues that of the training that was killed.

    Args:
        network: Its parameters that require gradients are trained, on its device and in its dtype:
            ``device``, ``dtype`` and ``compile`` of the settings are for the caller to apply, since
            only ``loss`` knows how the network is called.
        loss: Batch (x, y) -> scalar to minimize. A module's buffers are part of the checkpoint; a
            state that it keeps elsewhere is not.
        batches: Source of batches.
        training: Settings, complete (`Training.with_defaults`). None where something is still
            missing: no decay, no average, no clipping, and a learning rate of 1e-3.
        held_out: Returns the loss of rows that are not trained on, with the averaged weights in
            place; None keeps the last average.
        at_start: Whether the untrained weights are evaluated, too, and may be kept; the patience
            of the settings looks at trained ones alone.
        keep_snapshots: Whether the weights of every evaluation are kept in the history.
        label: Name of the training, on the progress bar and in the checkpoint, where it should
            tell what else makes the result (objective, fold).

    Returns:
        The history. Ctrl-C ends the training like patience does, and says so in it.

    Raises:
        TrainingDivergedError: If a loss or a weight is NaN or infinite, or every held-out loss; it
            has the history of a training that was cut short.
        TypeError: If the loss is no scalar tensor that depends on the network.
        ValueError: If the checkpoint is of another training, damaged, or cannot be written; for
            epochs of batches that have none; for a network without weights to train.

    Note:
        In several processes (torch.distributed) every process calls this with its share of the
        batches, and the mean of their losses is minimized: see `joint_scores`. The first one's
        weights, held-out losses and checkpoint count, so that all stop at the same step. Ctrl-C can
        reach them one step apart.

    Example:
        >>> from infoest.training import ArrayBatches
        >>> x = torch.linspace(-1.0, 1.0, 64)[:, None]
        >>> line = nn.Linear(1, 1)
        >>> history = train(
        ...     line,
        ...     lambda x, y: (line(x) - y).square().mean(),
        ...     ArrayBatches(x, 3.0 * x, 32, seed=0),
        ...     training=Training(steps=500, learning_rate=0.05),
        ... )
        >>> round(line.weight.item(), 3), history.ended
        (3.0, 'steps')
    """
    n_steps = from_first(lambda: training.n_steps(batches.per_epoch))
    run = _Run(network, loss, batches, training, n_steps, held_out, keep_snapshots)
    with progress_bar(training.progress and process_index() == 0, label, n_steps) as advance:
        try:
            run.begin(at_start, label)
            while run.done < n_steps and run.history.ended != "patience":
                run.step()
                advance(run.done)
        except KeyboardInterrupt:
            run.interrupt()
        except TrainingDivergedError as error:
            run.history.ended = "diverged"
            error.history = run.history
            raise
        finally:
            run.keep_best()
    run.check_evaluations()
    return run.history


class _Run:
    """What changes while a network is trained."""

    def __init__(
        self,
        network: nn.Module,
        loss: Loss,
        batches: Batches,
        training: Training,
        n_steps: int,
        held_out: HeldOut | None,
        keep_snapshots: bool,
    ) -> None:
        copy_first([*network.parameters(), *network.buffers()])
        self.network, self.loss, self.batches, self.training = network, loss, batches, training
        self.held_out, self.keep_snapshots, self.n_steps = held_out, keep_snapshots, n_steps
        self.weights = [weight for weight in network.parameters() if weight.requires_grad]
        if not self.weights:
            raise ValueError(
                "network must have parameters that require gradients, got none. There is nothing "
                "to train."
            )
        self.average = [weight.detach().clone() for weight in self.weights]
        self.best = _copied(network)
        self.least_loss = math.inf
        self.history, self.done = History(), 0
        self.unread: list[Tensor] = []
        self.device = self.weights[0].device
        self.reads_every = 1 if self.device.type == "cpu" else STEPS_BETWEEN_READS
        self.evaluated_at = training.evaluation_steps(n_steps)
        self.optimizer = torch.optim.AdamW(
            self.weights,
            lr=training.rate(1, n_steps),
            weight_decay=float(training.weight_decay or 0.0),
            # A fifth of the time of the plain one on a CPU, a third of a small network's step.
            fused=self.device.type in ("cpu", "cuda")
            and all(weight.is_floating_point() for weight in self.weights),
        )
        self.checkpoint = None if training.checkpoint is None else Path(training.checkpoint)
        self.identity: Record = {}

    # -------------------------------------------------------------------------------- the steps

    def begin(self, at_start: bool, label: str) -> None:
        """Resume from the checkpoint, or start."""
        self.network.train()
        if self.checkpoint is not None:
            path = self.checkpoint
            from_first(lambda: check_writable(path))
            self.identity = from_first(lambda: self._identity(at_start, label))
            content = from_first(lambda: read_bytes(path))
            if content is not None:
                self._restore(path, content)
                return
        if at_start and self.held_out is not None:
            self._evaluate(0)

    def step(self) -> None:
        """Take one step, and evaluate where it is time."""
        step = self.done + 1
        rate = self.training.rate(step, self.n_steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        loss = self._loss()
        self.unread.append(mean_over_processes(loss.detach()))
        if step % self.reads_every == 0 or step in self.evaluated_at:
            self._read_losses()
        for weight in self.weights:
            weight.grad = None
        loss.backward()
        average_gradients(self.weights)
        if self.training.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.weights, self.training.clip_norm)
        self.optimizer.step()
        decay = min(self.training.averaging or 0.0, (1.0 + step) / (10.0 + step))
        get_ema_multi_avg_fn(decay)(self.average, self.weights, step)
        self.history.rates.append(rate)
        self.done = step
        if step in self.evaluated_at:
            self._evaluate(step)

    def interrupt(self) -> None:
        """Keep what is there when the user stops the training."""
        self._read_losses()
        self.history.ended = "interrupted"
        if self.done and self.least_loss == math.inf and self._is_finite():
            self.best, self.history.best_step = self._averaged(), self.done

    def keep_best(self) -> None:
        """Leave the best weights in the network, and whole steps in the history."""
        # Ctrl-C or an error can fall between the loss of a step and its end.
        whole = min(self.done, len(self.history.losses), len(self.history.rates))
        del self.history.losses[whole:], self.history.rates[whole:]
        self.network.load_state_dict(self.best)
        self.network.eval()

    def check_evaluations(self) -> None:
        """Raise if no held-out loss was finite: nothing says which weights are good."""
        found = self.history.evaluated
        if found and self.least_loss == math.inf and self.history.ended != "interrupted":
            listed = ", ".join(f"{loss} at step {step}" for step, loss in found[:3])
            raise TrainingDivergedError(
                "held_out must return a finite loss at one evaluation at least, got "
                f"{listed}{' and so on' if found[3:] else ''} with learning_rate="
                f"{self.training.rate(1, self.n_steps):g}. Lower the learning rate, or look for "
                "extreme values in the held-out rows; the network is untrained."
            )

    def _loss(self) -> Tensor:
        loss = self.loss(*self.batches.next())
        if not isinstance(loss, Tensor) or loss.numel() != 1 or not loss.requires_grad:
            shown = f"shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else repr(loss)
            if isinstance(loss, Tensor) and loss.numel() == 1:
                shown = "one without a gradient"
            raise TypeError(
                f"loss must return a scalar tensor that depends on the network, got {shown}."
            )
        return loss.reshape(())

    def _read_losses(self) -> None:
        """Turn losses that are still tensors into numbers, all at once."""
        if not self.unread:
            return
        values = torch.stack(self.unread).tolist()
        first = len(self.history.losses) + 1
        self.history.losses += values
        self.unread.clear()
        for step, value in enumerate(values, first):
            if not math.isfinite(value):
                raise self._diverged("loss", value, step)

    # -------------------------------------------------------------------------- the evaluations

    def _evaluate(self, step: int) -> None:
        if not self._is_finite():
            raise self._diverged("weights", "NaN or infinity", step)
        # Running means of a layer are those of the batches that its process has seen.
        copy_first(self.network.buffers())
        averaged = self._averaged()
        if self.keep_snapshots:
            self.history.snapshots[step] = averaged
        if self.held_out is None:
            self.best, self.history.best_step = averaged, step
        else:
            self._compare(step, averaged, self.held_out)
        if self.checkpoint is not None:
            self._save(self.checkpoint)

    def _compare(self, step: int, averaged: dict[str, Any], held_out: HeldOut) -> None:
        """Keep the averaged weights if they are the best so far; stop after some that are not."""
        moving = _copied(self.network)
        self.network.load_state_dict(averaged)
        self.network.eval()
        try:
            with torch.no_grad():
                own = float(held_out())
        finally:
            self.network.load_state_dict(moving)
            self.network.train()
        # Rounding may differ between processes, and all must stop at the same step.
        found = from_first(lambda: own)
        self.history.evaluated.append((step, found))
        if math.isfinite(found) and found < self.least_loss:
            self.best, self.history.best_step = averaged, step
            self.least_loss = found
        patience = self.training.patience
        if patience is not None and self.history.n_worse >= patience:
            self.history.ended = "patience"

    def _averaged(self) -> dict[str, Any]:
        """Return the state of the network with the averaged weights, copied."""
        state = _copied(self.network)
        trained = {
            id(weight): mean for weight, mean in zip(self.weights, self.average, strict=True)
        }
        # Shared weights stand in the state under each of their names.
        for name, weight in self.network.named_parameters(remove_duplicate=False):
            if id(weight) in trained:
                state[name] = trained[id(weight)].clone()
        return state

    def _is_finite(self) -> bool:
        return all(bool(torch.isfinite(mean).all()) for mean in self.average)

    def _diverged(self, name: str, value: object, step: int) -> TrainingDivergedError:
        rate = self.training.rate(max(step, 1), self.n_steps)
        return TrainingDivergedError(
            f"{name} must be finite, got {value} at step {step} with learning_rate={rate:g}. Lower "
            "the learning rate, or set clip_norm; the best weights so far are kept."
        )

    # --------------------------------------------------------------------------- the checkpoint

    def _identity(self, at_start: bool, label: str) -> Record:
        """Return what must be the same for a training to resume."""
        return {
            **plain_settings(self.training.get_params()),
            "data": self.batches.fingerprint(),
            "network": network_digest(self.network),
            "label": label,
            "held_out": self.held_out is not None,
            "at_start": at_start,
            "keep_snapshots": self.keep_snapshots,
            "n_steps": self.n_steps,
            "processes": process_total(),
        }

    def _save(self, path: Path) -> None:
        own: Record = {"batches": self.batches.state(), "random": torch.get_rng_state()}
        if self.device.type == "cuda":
            own["random_cuda"] = torch.cuda.get_rng_state(self.device)
        record = {
            "training": self.identity,
            "network": self.network.state_dict(),
            "loss": self.loss.state_dict() if isinstance(self.loss, nn.Module) else {},
            "average": self.average,
            "best": self.best,
            "optimizer": self.optimizer.state_dict(),
            "of_processes": from_all(own),
            "history": self.history.to_dict(),
            "snapshots": self.history.snapshots,
        }
        from_first(lambda: write_checkpoint(path, record))

    def _restore(self, path: Path, content: bytes) -> None:
        record = parse_checkpoint(path, content, self.identity)
        try:
            self._load(record)
            own = record["of_processes"][process_index()]
            state, random = own["batches"], own["random"]
        except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError):
            raise unreadable(path) from None
        self.batches.restore(state)
        # Last, since a loader may have drawn from them.
        torch.set_rng_state(random)
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(own["random_cuda"], self.device)

    def _load(self, record: Record) -> None:
        history = History.from_dict(record["history"])
        history.snapshots = record["snapshots"]
        # The best ones first: should they not fit, nothing of the file is kept.
        self.network.load_state_dict(record["best"])
        self.network.load_state_dict(record["network"])
        if isinstance(self.loss, nn.Module):
            self.loss.load_state_dict(record["loss"])
        with torch.no_grad():
            for mean, saved in zip(self.average, record["average"], strict=True):
                mean.copy_(saved)
        self.optimizer.load_state_dict(record["optimizer"])
        self.best, self.history, self.done = record["best"], history, history.n_steps
        if history.best_loss is not None:
            self.least_loss = history.best_loss


def _copied(network: nn.Module) -> dict[str, Any]:
    """Return a copy of the state: a reference would follow the training."""
    return copy.deepcopy(network.state_dict())
