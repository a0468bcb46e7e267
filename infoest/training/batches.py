"""Where batches come from: arrays in memory, a dataset read row by row, a loader or a stream."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, default_collate

from infoest._validation import check_int

from .checkpoints import digest
from .processes import process_index, process_total

Pair = tuple[Tensor, Tensor]
Transform = Callable[[Pair], Pair]
# Of a dataset, to tell it from another.
ROWS_COMPARED = 64


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
        self.n, self.batch_size, self.seed = n, batch_size, seed
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

    Raises:
        ValueError: If the numbers of rows differ, or a batch is larger than they are or cannot be
            shared out to the processes.
    """

    def __init__(self, x: Tensor, y: Tensor, batch_size: int, seed: int) -> None:
        _check_paired(x, y, "")
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
        """Return a hash of the values and of what decides on their order."""
        return digest(self.x, self.y, self._order.batch_size, self._order.seed)


class DatasetBatches:
    """Batches of some rows of a map-style dataset, read when they are needed.

    Args:
        dataset: Yields (x, y) for a row number.
        rows: Row numbers used.
        batch_size: Rows of a batch, over all processes.
        seed: Of the order.
        transform: Applied to every batch.

    Raises:
        ValueError: If a batch is larger than the rows or cannot be shared out to the processes.
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
        """Return a hash of which rows are used, and of the first: reading all may take hours."""
        # Rows may be augmented at random: looking at some must not change those that follow.
        with torch.random.fork_rng(devices=[]):
            first = pairs_of(self.dataset, self.rows[:ROWS_COMPARED])
        return digest(*first, self.rows, self._order.batch_size, self._order.seed)


class LoaderBatches:
    """Batches of a DataLoader or an iterable of batches, started again whenever it ends.

    After a resume the batches seen before are read once more and dropped: the loader must yield
    the same batches again (a seeded generator), and the last of them is compared.

    Args:
        loader: Yields (x, y) batches; every process has its own.
        transform: Applied to every batch; None for nothing.

    Raises:
        TypeError: If the loader is none.
        ValueError: If it is empty.
    """

    def __init__(self, loader: Any, transform: Transform | None = None) -> None:
        if isinstance(loader, Dataset) or not isinstance(loader, Iterable):
            raise TypeError(
                f"x must be an iterable of batches (x, y), got {type(loader).__name__}. Put a "
                "DataLoader around a dataset."
            )
        self.loader, self.transform = loader, transform
        endless = isinstance(loader, DataLoader) and isinstance(loader.dataset, IterableDataset)
        self.per_epoch: int | None = None
        if isinstance(loader, Sized) and not endless:
            self.per_epoch = len(loader)
        if self.per_epoch == 0:
            raise _no_batches()
        self._iterator: Iterator[Any] = iter(loader)
        self._ahead: deque[Any] = deque()
        self._n_held_out = 0
        self._seen = 0
        self._last: Pair | None = None

    def first(self, n_rows: int) -> list[Pair]:
        """Return the first batches, which `next` yields again.

        Args:
            n_rows: Batches are read until they have so many rows, or the first pass ends.
        """
        found = [as_pair(batch) for batch in self._ahead]
        n_found = sum(len(pair[0]) for pair in found)
        for batch in self._iterator if n_found < n_rows else ():
            self._ahead.append(batch)
            found.append(as_pair(batch))
            n_found += len(found[-1][0])
            if n_found >= n_rows:
                break
        if not found:
            raise _no_batches()
        return found

    def hold_out(self, n_batches: int) -> None:
        """Leave the first batches of every pass out, in the first one those that `first` read."""
        self._n_held_out = n_batches
        for _ in range(n_batches):
            self._ahead.popleft()
        if self.per_epoch is not None:
            self.per_epoch -= n_batches

    def next(self) -> Pair:
        """Return the next batch."""
        self._last = as_pair(self._raw())
        if len(self._last[0]) < 2:
            raise ValueError(
                f"x must yield batches of at least 2 rows, got {len(self._last[0])}. A last batch "
                "that is too short is left out by drop_last=True."
            )
        return self._last if self.transform is None else self.transform(self._last)

    def _raw(self) -> Any:
        if self._ahead:
            self._seen += 1
            return self._ahead.popleft()
        for _ in range(2):
            for batch in self._iterator:
                self._seen += 1
                return batch
            self._iterator = iter(self.loader)
            for _ in range(self._n_held_out):
                next(self._iterator, None)
        raise _no_batches()

    def state(self) -> dict[str, Any]:
        """Return how many batches were read, and a hash of the last."""
        return {"seen": self._seen, "last": "" if self._last is None else digest(*self._last)}

    def restore(self, state: dict[str, Any]) -> None:
        """Read, and drop, as many batches as before.

        Raises:
            ValueError: If the last one is not what it was.
        """
        while self._seen < int(state["seen"]):
            raw = self._raw()
            if self._seen == int(state["seen"]):
                self._last = as_pair(raw)
        if self.state() != state:
            raise ValueError(
                "checkpoint must be of the same data, got a loader that yields other batches than "
                "before. Seed it (DataLoader(generator=...)), or delete the checkpoint."
            )

    def fingerprint(self) -> str:
        """Return nothing: `restore` compares what the loader yields."""
        return ""


def pairs_of(dataset: Dataset[Any], rows: Tensor) -> Pair:
    """Return rows of a map-style dataset as a batch.

    Raises:
        TypeError: If the dataset yields something else than pairs of numbers.
        ValueError: If rows differ in shape, or hold NaN or infinity.
    """
    pairs = [dataset[int(row)] for row in rows]
    for pair in pairs:
        _check_pair(pair)
    try:
        batch = default_collate(pairs)
    except RuntimeError as error:
        raise _rows_differ(error) from None
    except TypeError as error:
        raise TypeError(
            f"x must yield pairs of tensors, arrays or numbers, got others ({error}). Encode them "
            "in the Dataset."
        ) from None
    return as_pair(batch)


def as_pair(batch: Any) -> Pair:
    """Return a batch as two tensors with equal numbers of rows.

    Raises:
        TypeError: If it is something else.
        ValueError: If the numbers of rows differ, or values on the CPU are NaN or infinite.
    """
    _check_pair(batch)
    x, y = batch
    for name, side in (("x", x), ("y", y)):
        if not isinstance(side, Tensor):
            raise TypeError(
                f"{name} must be a tensor in every batch, got {type(side).__name__}. "
                "Encode it in the Dataset."
            )
    _check_paired(x, y, " in every batch")
    for name, side in (("x", x), ("y", y)):
        if side.device.type != "cpu" or not side.is_floating_point():
            continue
        # One pass: a sum that is finite has finite terms.
        if math.isfinite(side.sum()):
            continue
        bad = int((~torch.isfinite(side)).sum())
        if bad:
            raise ValueError(
                f"{name} must be finite in every batch, got {bad} NaN or infinite entries. Leave "
                "such rows out of the Dataset, or fill them in."
            )
    return x, y


def joined_pairs(pairs: Sequence[Pair]) -> Pair:
    """Return batches as one.

    Raises:
        ValueError: If their rows differ in shape.
    """
    if len(pairs) == 1:
        return pairs[0]
    try:
        return torch.cat([x for x, _ in pairs]), torch.cat([y for _, y in pairs])
    except RuntimeError as error:
        raise _rows_differ(error) from None


def _check_pair(pair: Any) -> None:
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        shown = type(pair).__name__
        if isinstance(pair, (tuple, list)):
            shown += f" of {len(pair)}"
        raise TypeError(f"x must yield pairs (x, y), got a {shown}. Write a Dataset of pairs.")


def _check_paired(x: Tensor, y: Tensor, where: str) -> None:
    if x.ndim == 0 or y.ndim == 0 or len(x) != len(y):
        raise ValueError(
            f"x and y must have as many rows as each other{where}, got shapes {tuple(x.shape)} and "
            f"{tuple(y.shape)}. Row i of both belongs together."
        )


def _check_batch_size(batch_size: int, n: int) -> None:
    remedy = f"The training split has {n} rows; None never takes more."
    check_int("batch_size", batch_size, low=2, high=n, remedy=remedy)
    if batch_size % process_total():
        raise ValueError(
            f"batch_size must be a multiple of the {process_total()} processes, got {batch_size}. "
            "Each takes its share of every batch."
        )


def _rows_differ(error: Exception) -> ValueError:
    return ValueError(
        f"x must yield pairs of one shape, got rows that differ ({error}). Pad or cut them in "
        "the Dataset."
    )


def _no_batches() -> ValueError:
    return ValueError(
        "x must yield batches (x, y), got a loader that is empty or can be read only once. "
        "Pass a Dataset, or a DataLoader over one."
    )
