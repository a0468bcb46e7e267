"""Datasets and loaders in place of arrays: what is read of them first, and their batches."""

from __future__ import annotations

from collections.abc import Callable, Sized
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset

from infoest._validation import MIN_ROWS
from infoest.training import Batches, DatasetBatches, LoaderBatches
from infoest.training.batches import Pair, Transform, as_pair, joined_pairs, pairs_of

from ._folds import LEAST_ROWS_TRAINED, Maps, mapped

# Rows that are held out, and rows on which maps are fitted, at most: all of them stay in memory.
FIRST_ROWS, FIRST_NUMBERS = 4096, 2**26
# So many in any case, however large a row is.
LEAST_FIRST_ROWS = 256
# Rows of a Dataset without a length that are read at once.
READ_ROWS = 256


@dataclass(frozen=True)
class Stream:
    """What `fit` reads before it trains, and the rest.

    Args:
        held_out: Pairs that stop the training.
        sample: Pairs on which maps are fitted.
        n_trained: Number of rows trained on, None where it is not known.
        batches: Batch size, seed and transform -> batches of the rest.
    """

    held_out: Pair
    sample: Pair
    n_trained: int | None
    batches: Callable[[int, int, Transform], Batches]


def is_stream(data: object) -> bool:
    """Return whether pairs come from a Dataset or a DataLoader."""
    return isinstance(data, (Dataset, DataLoader))


def check_alone(x: object, y: object) -> None:
    """Raise if there is a y beside a Dataset, whose pairs hold it."""
    if y is not None:
        raise TypeError(
            f"y must be None with a {type(x).__name__}, got a {type(y).__name__}. Pairs come "
            "from x."
        )


def open_stream(
    data: Any, fraction: float, asked: int | None, batch_size: int, rng: np.random.Generator
) -> Stream:
    """Read what must be known of pairs before a training.

    Args:
        data: Dataset or DataLoader.
        fraction: Share of rows that are held out, where their number is known.
        asked: Batch size that the user asks for; batches of a DataLoader are as they come.
        batch_size: Of a Dataset that is only iterated, where none is asked.
        rng: Source of the order of a map-style dataset.

    Raises:
        TypeError: If something else than pairs comes.
        ValueError: If there are too few rows, or a batch size is asked of a DataLoader.
    """
    if isinstance(data, DataLoader):
        if asked is not None:
            raise ValueError(
                f"batch_size must be None for a DataLoader, got {asked}. Its own batches are "
                "trained on."
            )
        return _from_loader(data, fraction)
    if isinstance(data, IterableDataset):
        return _from_loader(DataLoader(data, batch_size=asked or batch_size), fraction)
    return _from_dataset(data, fraction, rng)


def read_all(data: Any) -> Pair:
    """Return all pairs, in memory.

    Raises:
        TypeError: If something else than pairs comes.
        ValueError: If there are fewer than 5.
    """
    if isinstance(data, IterableDataset):
        data = DataLoader(data, batch_size=READ_ROWS)
    if isinstance(data, DataLoader):
        pairs = [as_pair(batch) for batch in data]
        n = sum(len(pair[0]) for pair in pairs)
    else:
        n = _length(data)
        pairs = [pairs_of(data, torch.arange(n))] if n else []
    if n < MIN_ROWS:
        raise ValueError(f"x must have at least {MIN_ROWS} complete rows, got {n}.")
    return joined_pairs(pairs)


def read_side(name: str, rows: Tensor, *, labels: bool, raw: bool) -> Tensor:
    """Return rows as a map takes them: numbers (n, ...) or codes (n,).

    Args:
        name: Of the side, for errors.
        rows: Of a batch, shape (n,) or (n, ...).
        labels: Whether they are labels: integers from 0 on.
        raw: Whether they may have any shape, and stay where they are.
    """
    if labels:
        codes = rows.reshape(len(rows), -1)
        if rows.is_floating_point() or rows.is_complex() or codes.shape[1] != 1:
            raise TypeError(
                f"{name} must be one integer a row to be used as labels, got {rows.dtype} of shape "
                f"{tuple(rows.shape)}. Number the labels 0, 1, ... in the Dataset."
            )
        if (codes < 0).any():
            raise ValueError(
                f"{name} must hold labels of at least 0, got {int(codes.min())}. Number them 0, 1, "
                "... in the Dataset."
            )
        return codes[:, 0].long()
    if rows.is_complex():
        raise TypeError(f"{name} must be real numbers, got {rows.dtype}. Pass two columns.")
    if rows.ndim == 1:
        rows = rows[:, None]
    if raw:
        return rows if rows.dtype in (torch.float32, torch.float64) else rows.float()
    if rows.ndim > 2:
        raise ValueError(
            f"{name} must have shape (rows, columns) in every batch, got {tuple(rows.shape)}. "
            "Pass inputs='raw' and a critic for such rows."
        )
    return rows.detach().cpu().double()


def to_fit(
    stream: Stream, labels: tuple[bool, bool], *, raw: bool
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return x, y and the rows of them on which maps are fitted, as arrays.

    All labels that were seen are among them, those of the held-out rows, too.
    """
    sides = []
    for place, name in enumerate("xy"):
        side = read_side(name, stream.sample[place], labels=labels[place], raw=raw)
        if labels[place]:
            other = read_side(name, stream.held_out[place], labels=True, raw=raw)
            side = torch.cat([side, other])
        elif not raw:
            _check_varies(name, side)
        sides.append(side.cpu().numpy())
    return sides[0], sides[1], np.arange(len(stream.sample[0]))


def transform_by(maps: Maps, *, raw: bool, dtype: torch.dtype, device: torch.device) -> Transform:
    """Return what turns a batch into what a critic sees."""

    def transform(pair: Pair) -> Pair:
        sides = []
        for name, rows, fitted in zip("xy", pair, maps, strict=True):
            side = read_side(name, rows, labels=fitted.kind == "labels", raw=raw)
            fitted.check(name, side)
            if fitted.kind == "labels" and int(side.max()) >= fitted.features:
                raise ValueError(
                    f"{name} must hold labels below {fitted.features}, one more than the largest "
                    f"of the first rows read, got {int(side.max())}. Shuffle the rows."
                )
            sides.append(side)
        found = mapped(maps, sides[0], sides[1], dtype, device)
        return found.x, found.y

    return transform


def _from_dataset(dataset: Any, fraction: float, rng: np.random.Generator) -> Stream:
    n = _length(dataset)
    if n < LEAST_ROWS_TRAINED + 2:
        raise ValueError(
            f"x must have at least {LEAST_ROWS_TRAINED + 2} rows, got {n}. Bring more samples."
        )
    order = torch.from_numpy(rng.permutation(n))
    most = _most_rows(pairs_of(dataset, order[:1]))
    n_held_out = min(max(2, round(fraction * n)), most)
    rows = order[n_held_out:]
    _check_rest(len(rows))

    def batches(batch_size: int, seed: int, transform: Transform) -> Batches:
        return DatasetBatches(dataset, rows, batch_size, seed, transform)

    held_out = pairs_of(dataset, order[:n_held_out])
    return Stream(held_out, pairs_of(dataset, rows[:most]), len(rows), batches)


def _from_loader(loader: DataLoader[Any], fraction: float) -> Stream:
    batches = LoaderBatches(loader)
    most = _most_rows(batches.first(1)[0])
    first = batches.first(2 * most)
    n_batches = batches.per_epoch
    if sum(len(pair[0]) for pair in first) < 2 * most:
        n_batches = len(first)
    n_held_out, n_rows = 0, 0
    wanted = len(first) if n_batches is None else max(1, round(fraction * n_batches))
    while n_held_out < wanted and (not n_held_out or n_rows + len(first[n_held_out][0]) <= most):
        n_rows += len(first[n_held_out][0])
        n_held_out += 1
    sample = first[n_held_out:]
    _check_rest(sum(len(pair[0]) for pair in sample))
    batches.hold_out(n_held_out)

    def rest(batch_size: int, seed: int, transform: Transform) -> Batches:
        batches.transform = transform
        return batches

    return Stream(joined_pairs(first[:n_held_out]), joined_pairs(sample), None, rest)


def _length(dataset: Any) -> int:
    if not isinstance(dataset, Sized):
        raise TypeError(
            f"x must be a Dataset with a length, got {type(dataset).__name__}. Write __len__, or "
            "an IterableDataset."
        )
    return len(dataset)


def _most_rows(pair: Pair) -> int:
    """Return how many rows like these may be kept."""
    numbers = max(side[0].numel() for side in pair)
    return min(FIRST_ROWS, max(LEAST_FIRST_ROWS, FIRST_NUMBERS // max(1, numbers)))


def _check_rest(n: int) -> None:
    if n < LEAST_ROWS_TRAINED:
        raise ValueError(
            f"x must have at least {LEAST_ROWS_TRAINED} rows beside those held out, got {n}. Bring "
            "more samples, smaller batches or a lower validation_fraction."
        )


def _check_varies(name: str, rows: Tensor) -> None:
    constant = (rows == rows[0]).all(dim=0).nonzero()[:, 0].tolist()
    if constant:
        raise ValueError(
            f"{name} must vary in every column, got constant column {constant[0]} in the first "
            f"{len(rows)} rows read. Leave it out: a constant carries no information."
        )
