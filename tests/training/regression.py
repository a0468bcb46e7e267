"""A small regression that the tests of the training share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, IterableDataset

from infoest.training import (
    ArrayBatches,
    Batches,
    DatasetBatches,
    History,
    LoaderBatches,
    Training,
    train,
)

STEPS = 60


class KilledError(Exception):
    """Stands for the end of the process."""


@contextmanager
def seeded(seed: int = 0) -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def data(seed: int = 0, n: int = 96) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 3, generator=generator, dtype=torch.float64)
    noise = torch.randn(n, 1, generator=generator, dtype=torch.float64)
    return x, x.sum(dim=1, keepdim=True).sin() + 0.3 * noise


class Rows(Dataset):
    def __init__(self, seed: int = 0) -> None:
        self.x, self.y = data(seed)

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor]:
        return self.x[row], self.y[row]


class Stream(IterableDataset):
    """Fresh samples without an end, the same in every run of one seed."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        generator = torch.Generator().manual_seed(self.seed)
        while True:
            x = torch.randn(3, generator=generator, dtype=torch.float64)
            yield x, x.sum(dim=0, keepdim=True).sin()


def unchanged(pair: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    return pair


def arrays(seed: int = 0) -> Batches:
    return ArrayBatches(*data(seed), 16, seed=3)


def dataset(seed: int = 0) -> Batches:
    return DatasetBatches(Rows(seed), torch.arange(0, 90), 16, seed=3, transform=unchanged)


def loader(seed: int = 0) -> Batches:
    generator = torch.Generator().manual_seed(9)
    # 96 rows in batches of 20: the last of an epoch is short.
    rows = DataLoader(Rows(seed), batch_size=20, shuffle=True, generator=generator)
    return LoaderBatches(rows, unchanged)


def unseeded_loader(seed: int = 0) -> Batches:
    """Draws its order from torch's own generator, like dropout."""
    return LoaderBatches(DataLoader(Rows(seed), batch_size=20, shuffle=True), unchanged)


def stream(seed: int = 0) -> Batches:
    return LoaderBatches(DataLoader(Stream(seed), batch_size=16), unchanged)


SOURCES = [arrays, dataset, loader, stream]


def network(*, noisy: bool = False, width: int = 8) -> nn.Sequential:
    """With dropout and with buffers that move, if noisy."""
    between = [nn.BatchNorm1d(width), nn.Dropout(0.3)] if noisy else []
    layers = [nn.Linear(3, width), *between, nn.Tanh(), nn.Linear(width, 1)]
    return nn.Sequential(*layers).double()


def fit(
    source: Callable[[], Batches] = arrays,
    *,
    noisy: bool = False,
    seed: int = 0,
    width: int = 8,
    before: Callable[[int], None] = lambda step: None,
    evaluate: bool = True,
    checkpoint: Path | None = None,
    keep_snapshots: bool = False,
    at_start: bool = False,
    label: str = "training",
    **settings: Any,
) -> tuple[nn.Sequential, History]:
    """Train; ``before`` is told the number of every call of the loss, beginning with 1."""
    settings = {
        "steps": STEPS,
        "learning_rate": 0.02,
        "weight_decay": 0.1,
        "schedule": "cosine",
        "averaging": 0.9,
        "clip_norm": 1.0,
        "evaluate_every": 10,
        "patience": None,
        **settings,
    }
    x, y = data(seed=100)
    calls = 0
    with seeded(seed):
        model = network(noisy=noisy, width=width)

        def loss(x: Tensor, y: Tensor) -> Tensor:
            nonlocal calls
            calls += 1
            before(calls)
            return (model(x) - y).square().mean()

        history = train(
            model,
            loss,
            source(),
            training=Training(checkpoint=checkpoint, **settings),
            held_out=(lambda: float((model(x) - y).square().mean())) if evaluate else None,
            at_start=at_start,
            keep_snapshots=keep_snapshots,
            label=label,
        )
    return model, history


def killed_at(step: int) -> Callable[[int], None]:
    def before(call: int) -> None:
        if call == step:
            raise KilledError

    return before


def weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def assert_same(one: tuple[nn.Module, History], other: tuple[nn.Module, History]) -> None:
    """Bit for bit: weights, losses, held-out losses, rates, snapshots."""
    assert_same_weights(one[0].state_dict(), other[0].state_dict())
    assert one[1].to_dict() == other[1].to_dict()
    assert one[1].snapshots.keys() == other[1].snapshots.keys()
    for step, state in one[1].snapshots.items():
        assert_same_weights(state, other[1].snapshots[step])


def assert_same_weights(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert list(one) == list(other)
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name
