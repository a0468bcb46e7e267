"""The one training loop."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .batches import Batches
from .history import History
from .processes import process_index, same_start, sum_gradients
from .settings import Training, TrainingDivergedError

Loss = Callable[[Tensor, Tensor], Tensor]
# Reading a loss waits for a GPU: there only so often.
STEPS_BETWEEN_READS = 50


def train(
    network: nn.Module,
    loss: Loss,
    batches: Batches,
    *,
    training: Training,
    held_out: Callable[[], float] | None = None,
    at_start: bool = False,
    keep_snapshots: bool = False,
    label: str = "training",
) -> History:
    """Train a network in place and leave the averaged weights of the best evaluation in it.

    Args:
        network: Its parameters that require gradients are trained; on its device and in its dtype.
        loss: Batch (x, y) -> scalar to minimize.
        batches: Source of batches.
        training: Settings, complete (`Training.with_defaults`).
        held_out: Returns the loss of rows that are not trained on, with the averaged weights in
            place; None keeps the last average.
        at_start: Whether the untrained weights are evaluated, too, and may be kept.
        keep_snapshots: Whether the weights of every evaluation are kept in the history.
        label: Name of the progress bar.

    Returns:
        The history. Ctrl-C ends the training like patience does, and says so in it.

    Raises:
        TrainingDivergedError: If a loss is NaN or infinite; the network has the best weights so far.
        ValueError: If the checkpoint is of another training.
    """
    n_steps = training.n_steps(batches.per_epoch)
    run = _Run(network, loss, batches, training, held_out, keep_snapshots)
    with _bar(training.progress, label, n_steps) as advance:
        try:
            run.begin(at_start)
            while run.history.n_steps < n_steps and run.history.ended != "patience":
                run.step(n_steps)
                advance(run.history.n_steps)
        except KeyboardInterrupt:
            run.interrupt()
    run.keep_best()
    return run.history


class _Run:
    """What changes while a network is trained."""

    def __init__(
        self,
        network: nn.Module,
        loss: Loss,
        batches: Batches,
        training: Training,
        held_out: Callable[[], float] | None,
        keep_snapshots: bool,
    ) -> None:
        self.network, self.loss, self.batches, self.training = network, loss, batches, training
        self.held_out, self.keep_snapshots = held_out, keep_snapshots
        self.weights = [weight for weight in network.parameters() if weight.requires_grad]
        self.average = [weight.detach().clone() for weight in self.weights]
        self.history = History()
        self.best = _copied(network)
        device = self.weights[0].device if self.weights else torch.device("cpu")
        self.reads_every = 1 if device.type == "cpu" else STEPS_BETWEEN_READS
        self.optimizer = torch.optim.AdamW(
            self.weights,
            lr=training.rate(1, 1),
            weight_decay=training.weight_decay or 0.0,
            fused=device.type in ("cpu", "cuda"),
        )
        self.checkpoint = None if training.checkpoint is None else Path(training.checkpoint)

    def begin(self, at_start: bool) -> None:
        """Resume from the checkpoint, or start."""
        same_start(self.network)
        if self.checkpoint is not None and self.checkpoint.exists():
            self._restore(self.checkpoint)
        elif at_start and self.held_out is not None:
            self._evaluate(0)

    def step(self, n_steps: int) -> None:
        """Take one step, and evaluate where it is time."""
        step = self.history.n_steps + 1
        rate = self.training.rate(step, n_steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.network.train()
        loss = self.loss(*self.batches.next())
        evaluating = step in self.training.evaluation_steps(n_steps)
        if step % self.reads_every == 0 or evaluating:
            self._check_finite(loss, step, rate)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        sum_gradients(self.weights)
        if self.training.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.weights, self.training.clip_norm)
        self.optimizer.step()
        self._follow(step)
        self.history.losses.append(loss.detach())  # type: ignore[arg-type]
        self.history.rates.append(rate)
        if evaluating:
            self._evaluate(step)

    def interrupt(self) -> None:
        """Keep what is there when the user stops the training."""
        self.history.ended = "interrupted"
        if self.history.n_steps and self.held_out is None:
            self.best = self._averaged()

    def keep_best(self) -> None:
        """Leave the best weights in the network."""
        self._read_losses()
        self.network.load_state_dict(self.best)
        self.network.eval()

    def _follow(self, step: int) -> None:
        """Move the average towards the new weights."""
        wanted = self.training.averaging or 0.0
        decay = min(wanted, (1.0 + step) / (10.0 + step))
        with torch.no_grad():
            torch._foreach_lerp_(self.average, [*self.weights], 1.0 - decay)

    def _evaluate(self, step: int) -> None:
        averaged = self._averaged()
        if self.keep_snapshots:
            self.history.snapshots[step] = averaged
        if self.held_out is None:
            self.best, self.history.best_step = averaged, step
        else:
            self._compare(step, averaged, self.held_out)
        self._read_losses()
        if self.checkpoint is not None and process_index() == 0:
            self._save(self.checkpoint)

    def _compare(
        self, step: int, averaged: dict[str, Tensor], held_out: Callable[[], float]
    ) -> None:
        """Keep the averaged weights if they are the best so far; stop after some that are not."""
        moving = _copied(self.network)
        self.network.load_state_dict(averaged)
        self.network.eval()
        try:
            with torch.no_grad():
                found = held_out()
        finally:
            self.network.load_state_dict(moving)
        before = self.history.best_loss
        self.history.evaluated.append((step, found))
        if math.isfinite(found) and (before is None or found < before):
            self.best, self.history.best_step = averaged, step
        since = len([1 for at, _ in self.history.evaluated if at > self.history.best_step])
        if self.training.patience is not None and since >= self.training.patience:
            self.history.ended = "patience"

    def _averaged(self) -> dict[str, Tensor]:
        """Return the state of the network with the averaged weights, copied."""
        state = _copied(self.network)
        trained = {
            id(weight): mean for weight, mean in zip(self.weights, self.average, strict=True)
        }
        for name, weight in self.network.named_parameters():
            if id(weight) in trained:
                state[name] = trained[id(weight)].clone()
        return state

    def _check_finite(self, loss: Tensor, step: int, rate: float) -> None:
        value = float(loss.detach())
        if math.isfinite(value):
            return
        self.keep_best()
        raise TrainingDivergedError(
            f"loss must be finite, got {value} at step {step} with learning_rate={rate:g}. Lower "
            "the learning rate, or set clip_norm; the best weights so far are kept."
        )

    def _read_losses(self) -> None:
        """Turn losses that are still tensors into numbers, all at once."""
        self.history.losses[:] = [float(loss) for loss in self.history.losses]

    def _save(self, path: Path) -> None:
        record = {
            "fingerprint": self._fingerprint(),
            "network": self.network.state_dict(),
            "average": self.average,
            "best": self.best,
            "optimizer": self.optimizer.state_dict(),
            "batches": self.batches.state(),
            "random": torch.get_rng_state(),
            "history": self.history.to_dict(),
            "snapshots": self.history.snapshots,
        }
        temporary = path.with_name(path.name + ".part")
        torch.save(record, temporary)
        os.replace(temporary, path)

    def _restore(self, path: Path) -> None:
        # weights_only: nothing but tensors and plain containers is ever read.
        record = torch.load(path, weights_only=True, map_location="cpu")
        if record.get("fingerprint") != self._fingerprint():
            raise ValueError(
                f"checkpoint must be of the same data, network and settings, got {str(path)!r} of "
                "another training. Delete it or name another file."
            )
        self.network.load_state_dict(record["network"])
        with torch.no_grad():
            for mean, saved in zip(self.average, record["average"], strict=True):
                mean.copy_(saved)
        self.best = record["best"]
        self.optimizer.load_state_dict(record["optimizer"])
        self.batches.restore(record["batches"])
        torch.set_rng_state(record["random"])
        self.history = History.from_dict(record["history"])
        self.history.snapshots = record["snapshots"]

    def _fingerprint(self) -> dict[str, Any]:
        shapes = {name: list(weight.shape) for name, weight in self.network.named_parameters()}
        ignored = ("progress", "checkpoint", "compile")
        settings = {
            name: value for name, value in self.training.get_params().items() if name not in ignored
        }
        return {"data": self.batches.fingerprint(), "shapes": shapes, "settings": settings}


def _copied(network: nn.Module) -> dict[str, Tensor]:
    """Return a copy of the state: a reference would follow the training."""
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


@contextmanager
def _bar(shown: bool, label: str, n_steps: int) -> Iterator[Callable[[int], None]]:
    """Yield a function that is told how many steps are done."""
    if not shown or process_index() > 0:
        yield lambda done: None
        return
    from rich.progress import Progress

    with Progress(transient=True) as progress:
        task = progress.add_task(label, total=n_steps)
        yield lambda done: progress.update(task, completed=done)
