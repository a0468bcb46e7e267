"""What each of two processes does; run by test_processes.py, one call a process."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, nn

from infoest.critics import SeparableCritic
from infoest.functional import donsker_varadhan, noise_contrastive
from infoest.training import (
    ArrayBatches,
    LoaderBatches,
    Training,
    gather_rows,
    joint_scores,
    resolve_device,
    train,
)
from infoest.training import loop as loop_module
from infoest.training.processes import process_index

from .regression import KilledError, arrays, data, fit, killed_at, seeded, unchanged

OBJECTIVES = {"noise_contrastive": noise_contrastive, "donsker_varadhan": donsker_varadhan}


def pairs() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(200, 3, generator=generator, dtype=torch.float64)
    noise = torch.randn(200, 2, generator=generator, dtype=torch.float64)
    return x, x[:, :2] + 0.5 * noise


def train_critic(objective: str, seed: int) -> dict[str, Any]:
    """Train a critic on joined batches, with early stopping; the same code in one process."""
    x, y = pairs()
    with seeded(seed):
        critic = SeparableCritic(3, 2, width=16, embedding=4).double()
    history = train(
        critic,
        lambda x, y: -OBJECTIVES[objective](joint_scores(critic, x, y)),
        ArrayBatches(x[:160], y[:160], 32, seed=0),
        training=Training(
            steps=40,
            learning_rate=0.01,
            averaging=0.9,
            clip_norm=1.0,
            weight_decay=0.1,
            evaluate_every=5,
            patience=2,
        ),
        held_out=lambda: float(-OBJECTIVES[objective](critic(x[160:], y[160:]))),
    )
    return {"weights": critic.state_dict(), "history": history.to_dict()}


class Encoders(nn.Module):
    """Both sides pass a network before they are joined; one weight takes no part."""

    def __init__(self) -> None:
        super().__init__()
        self.of_x, self.of_y = nn.Linear(3, 4), nn.Linear(2, 4)
        self.unused = nn.Linear(2, 2)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return gather_rows(self.of_x(x)) @ gather_rows(self.of_y(y)).T


def train_encoders() -> dict[str, Any]:
    with seeded(0):
        model = Encoders().double()
    train(
        model,
        lambda x, y: -noise_contrastive(model(x, y), 4),
        ArrayBatches(*pairs(), 40, seed=0),
        training=Training(steps=25, learning_rate=0.01, weight_decay=0.2),
    )
    return {"weights": model.state_dict()}


def train_regression() -> dict[str, Any]:
    """Losses that differ between processes: their mean is that of the joined batch."""
    model, history = fit(evaluate=False)
    return {"weights": model.state_dict(), "history": history.to_dict()}


def stop_together() -> dict[str, Any]:
    """Held-out losses that would stop only one of the processes."""
    with seeded(0):
        model = nn.Linear(3, 1).double()
    own = iter([[3.0, 4.0, 5.0, 6.0], [3.0, 2.0, 1.0, 0.5]][process_index()])
    history = train(
        model,
        lambda x, y: (model(x) - y).square().mean(),
        arrays(),
        training=Training(steps=8, evaluate_every=2, patience=2),
        held_out=lambda: next(own),
    )
    return {"weights": model.state_dict(), "history": history.to_dict()}


def resume(folder: Path) -> dict[str, Any]:
    """Be killed and go on, with dropout, which draws differently in each process."""
    written = 0
    write = loop_module.write_checkpoint

    def counted(*arguments: Any) -> None:
        nonlocal written
        written += 1
        write(*arguments)

    loop_module.write_checkpoint = counted
    path = folder / "run.pt"
    seed = process_index()
    try:
        fit(noisy=True, seed=seed, checkpoint=path, before=killed_at(37))
        raise AssertionError("not killed")
    except KilledError:
        pass
    distributed.barrier()
    calls: list[int] = []
    model, history = fit(noisy=True, seed=seed, checkpoint=path, before=calls.append)
    loop_module.write_checkpoint = write
    whole, whole_history = fit(noisy=True, seed=seed)
    return {
        "weights": model.state_dict(),
        "history": history.to_dict(),
        "whole": whole.state_dict(),
        "whole_history": whole_history.to_dict(),
        "written": written,
        "calls": len(calls),
    }


def errors(folder: Path) -> dict[str, str]:
    """Return what is raised here when something is wrong in one of the processes."""
    x, y = data()
    other = process_index() == 1

    def nan_in_one() -> None:
        with seeded(0):
            model = nn.Linear(3, 1).double()
        spoil = float("nan") if other else 1.0
        train(
            model,
            lambda x, y: (model(x) - y).square().mean() * spoil,
            arrays(),
            training=Training(steps=5),
        )

    def no_folder() -> None:
        fit(checkpoint=(folder if other else folder / "missing") / "other.pt")

    def other_checkpoint() -> None:
        fit(checkpoint=folder / "run.pt", seed=5)

    def odd_batch() -> None:
        ArrayBatches(x, y, 31, seed=0)

    def unequal_batches() -> None:
        size = 15 if other else 16
        source = LoaderBatches([(x[:size], y[:size])], unchanged)
        fit_scores(source)

    cases = (nan_in_one, no_folder, other_checkpoint, odd_batch, unequal_batches)
    found = {}
    for case in cases:
        try:
            case()
            found[case.__name__] = "nothing"
        except Exception as error:
            found[case.__name__] = f"{type(error).__name__}: {error}"
    return found


def fit_scores(source: LoaderBatches) -> None:
    with seeded(0):
        critic = SeparableCritic(3, 1, width=4, embedding=2).double()
    train(
        critic,
        lambda x, y: -donsker_varadhan(joint_scores(critic, x, y)),
        source,
        training=Training(steps=2),
    )


def main() -> None:
    rank, folder = int(sys.argv[1]), Path(sys.argv[2])
    distributed.init_process_group(
        "gloo",
        # A file, not a port: nobody else can have taken it.
        init_method=f"file://{folder / 'meeting'}",
        rank=rank,
        world_size=2,
        timeout=timedelta(seconds=40),
    )
    torch.set_num_threads(1)
    found = {
        # The first weights of both differ: those of the first process count.
        **{name: train_critic(name, seed=rank) for name in OBJECTIVES},
        "encoders": train_encoders(),
        "regression": train_regression(),
        "stop": stop_together(),
        "resume": resume(folder),
        "errors": errors(folder),
        "device": str(resolve_device(None)),
    }
    torch.save(found, folder / f"{rank}.pt")
    distributed.barrier()
    distributed.destroy_process_group()


if __name__ == "__main__":
    main()
