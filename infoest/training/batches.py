"""Where batches come from: arrays in memory, a dataset read row by row, a loader or a stream."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, default_collate

from .processes import process_index, process_total

Pair = tuple[Tensor, Tensor]
Transform = Callable[[Pair], Pair]


class Batches(Protocol):
    """A source of batches that never ends and can say, and go back to, where it stands."""

    per_epoch: int | None

    def next(self) -> Pair:
        """Return the next batch of this process: x (b, ...) and y (b, ...)."""

    def state(self) -> dict[str, Any]:
        """Return where the source stands, as tensors and numbers."""

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a state."""

    def fingerprint(self) -> str:
        """Return what tells these data from others; empty where nothing can."""


class _Order:
    """Positions of rows in random order, a batch at a time; a rest that is too short is left out.

    All processes draw the same order and take their share of every batch.
    """

    def __init__(self, n: int, batch_size: int, seed: int) -> None:
        _check_batch_size(batch_size, n)
        self.n, self.batch_size = n, batch_size
        self.generator = torch.Generator().manual_seed(seed)
        self.order = torch.randperm(n, generator=self.generator)
        self.at = 0

    def next(self) -> Tensor:
        if self.at + self.batch_size > self.n:
            self.order = torch.randperm(self.n, generator=self.generator)
            self.at = 0
        rows = self.order[self.at : self.at + self.batch_size]
        self.at += self.batch_size
        share = self.batch_size // process_total()
        return rows[share * process_index() : share * (process_index() + 1)]

    def state(self) -> dict[str, Any]:
        return {"order": self.order, "at": self.at, "generator": self.generator.get_state()}

    def restore(self, state: dict[str, Any]) -> None:
        self.order, self.at = state["order"], int(state["at"])
        self.generator.set_state(state["generator"])


class ArrayBatches:
    """Batches of rows of two tensors.

    Args:
        x: Shape (n, ...).
        y: Shape (n, ...).
        batch_size: Rows of a batch, over all processes.
        seed: Of the order.
    """

    def __init__(self, x: Tensor, y: Tensor, batch_size: int, seed: int) -> None:
        self.x, self.y = x, y
        self._order = _Order(len(x), batch_size, seed)
        self.per_epoch: int | None = len(x) // batch_size

    def next(self) -> Pair:
        """Return the next batch."""
        rows = self._order.next().to(self.x.device)
        return self.x[rows], self.y[rows]

    def state(self) -> dict[str, Any]:
        """Return where the order stands."""
        return self._order.state()

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a state."""
        self._order.restore(state)

    def fingerprint(self) -> str:
        """Return a hash of the values."""
        return _hash(self.x, self.y)


class DatasetBatches:
    """Batches of some rows of a map-style dataset, read when they are needed.

    Args:
        dataset: Yields (x, y) for a row number.
        rows: Row numbers used.
        batch_size: Rows of a batch, over all processes.
        seed: Of the order.
        transform: Applied to every batch.
    """

    def __init__(
        self,
        dataset: Dataset[Any],
        rows: Tensor,
        batch_size: int,
        seed: int,
        transform: Transform,
    ) -> None:
        self.dataset, self.rows, self.transform = dataset, rows, transform
        self._order = _Order(len(rows), batch_size, seed)
        self.per_epoch: int | None = len(rows) // batch_size

    def next(self) -> Pair:
        """Return the next batch."""
        return self.transform(pairs_of(self.dataset, self.rows[self._order.next()]))

    def state(self) -> dict[str, Any]:
        """Return where the order stands."""
        return self._order.state()

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a state."""
        self._order.restore(state)

    def fingerprint(self) -> str:
        """Return a hash of the first rows: reading all may take hours."""
        return _hash(*pairs_of(self.dataset, self.rows[:64]))


class LoaderBatches:
    """Batches of a DataLoader or an iterable of batches, started again whenever it ends.

    After a resume the batches seen before are read once more and dropped: the result is the same
    if the loader yields the same batches again (a seeded generator).

    Args:
        loader: Yields (x, y) batches; every process has its own.
        transform: Applied to every batch.
    """

    def __init__(self, loader: Any, transform: Transform) -> None:
        self.loader, self.transform = loader, transform
        self.per_epoch: int | None = None
        if isinstance(loader, DataLoader) and not isinstance(loader.dataset, IterableDataset):
            self.per_epoch = len(loader)
        self._iterator: Iterator[Any] = iter(loader)
        self._seen = 0

    def next(self) -> Pair:
        """Return the next batch."""
        return self.transform(as_pair(self._raw()))

    def _raw(self) -> Any:
        self._seen += 1
        for _ in range(2):
            for batch in self._iterator:
                return batch
            self._iterator = iter(self.loader)
        raise ValueError(
            "x must yield batches (x, y), got a loader that is empty or can be read only once. "
            "Pass a Dataset, or a DataLoader over one."
        )

    def state(self) -> dict[str, Any]:
        """Return how many batches were read."""
        return {"seen": self._seen}

    def restore(self, state: dict[str, Any]) -> None:
        """Read, and drop, as many batches as before."""
        while self._seen < int(state["seen"]):
            self._raw()

    def fingerprint(self) -> str:
        """Return nothing: a stream cannot be told from another without reading it."""
        return ""


def pairs_of(dataset: Dataset[Any], rows: Tensor) -> Pair:
    """Return rows of a map-style dataset as a batch."""
    return as_pair(default_collate([dataset[int(row)] for row in rows]))


def as_pair(batch: Any) -> Pair:
    """Return a batch as two tensors with equal numbers of rows.

    Raises:
        TypeError: If it is something else.
        ValueError: If the numbers of rows differ.
    """
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:
        shown = type(batch).__name__
        if isinstance(batch, (tuple, list)):
            shown += f" of {len(batch)}"
        raise TypeError(f"x must yield pairs (x, y), got a {shown}. Write a Dataset of pairs.")
    x, y = batch
    for name, side in (("x", x), ("y", y)):
        if not isinstance(side, Tensor):
            raise TypeError(
                f"{name} must be a tensor in every batch, got {type(side).__name__}. "
                "Encode it in the Dataset."
            )
    if x.ndim == 0 or y.ndim == 0 or len(x) != len(y):
        raise ValueError(
            f"x and y must be paired in every batch, got shapes {tuple(x.shape)} and "
            f"{tuple(y.shape)}."
        )
    return x, y


def _check_batch_size(batch_size: int, n: int) -> None:
    if batch_size > n:
        raise ValueError(
            f"batch_size must be in [2, {n}], got {batch_size}. The training split has {n} rows; "
            "None takes all of them."
        )
    if batch_size % process_total():
        raise ValueError(
            f"batch_size must be a multiple of the {process_total()} processes, got {batch_size}."
        )


def _hash(*tensors: Tensor) -> str:
    found = hashlib.sha256()
    for tensor in tensors:
        plain = tensor.detach().cpu().contiguous()
        found.update(f"{plain.dtype}{tuple(plain.shape)}".encode())
        found.update(plain.numpy().tobytes())
    return found.hexdigest()
