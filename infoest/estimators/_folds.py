"""Rows of both sides for critics: splits into folds, mapped rows, and one training's outcome."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from infoest._validation import Array, is_labels
from infoest.training import History, TrainingDivergedError

from ._inputs import InputMap
from ._scorers import Scorer

Maps = tuple[InputMap, InputMap]

LEAST_ROWS_TRAINED = 8
# Rows of the blocks of which the diagonal alone is wanted.
PAIRED_ROWS = 64


@dataclass(frozen=True)
class Sides:
    """Mapped rows of both sides, on the device of the training."""

    x: Tensor
    y: Tensor

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.x)

    def rows(self, rows: Tensor) -> Sides:
        """Return some of the pairs."""
        return Sides(self.x[rows], self.y[rows])


@dataclass(frozen=True)
class Fold:
    """One training: what was trained, what it was trained on, what was held out, what went wrong.

    After an error the scorer has the best weights of the evaluations before.
    """

    maps: Maps
    scorer: Scorer
    history: History
    trained: Sides
    held_out: Sides
    error: TrainingDivergedError | None = None


def input_map(side: Array, trained: Array, kind: str) -> InputMap:
    """Return the map of one side, fitted on some rows; all labels of the side have a column."""
    if is_labels(side):
        return InputMap.fit(side[trained], kind, int(side.max()) + 1)
    return InputMap.fit(side[trained] if kind != "raw" else side, kind)


def mapped(
    maps: Maps, x: Array | Tensor, y: Array | Tensor, dtype: torch.dtype, device: torch.device
) -> Sides:
    """Return what a critic sees of rows."""
    sides = [
        side_map(_tensor(side)).to(device=device, dtype=dtype)
        for side_map, side in zip(maps, (x, y), strict=True)
    ]
    return Sides(*sides)


def _tensor(side: Array | Tensor) -> Tensor:
    # A caller's array may be read-only, of which torch warns.
    return (
        side if isinstance(side, Tensor) else torch.from_numpy(np.require(side, None, ["C", "W"]))
    )


@torch.no_grad()
def mean_joint_score(scorer: Scorer, pairs: Sides) -> float:
    """Return the mean score of pairs, the diagonal of small blocks."""
    total = 0.0
    for rows in torch.arange(len(pairs), device=pairs.x.device).split(PAIRED_ROWS):
        places = torch.arange(len(rows), device=rows.device)
        total += float(scorer(pairs.x[rows], pairs.y[rows], places).diagonal().double().sum())
    return total / len(pairs)


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch inside, and leave its global state as it was."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


def fold_rows(n: int, n_splits: int, seed: int, *, contiguous: bool) -> list[Array]:
    """Return the rows of every fold; neighbors in time stay together where rows depend."""
    fewest = n - math.ceil(n / n_splits)
    if n < 2 * n_splits or fewest < LEAST_ROWS_TRAINED:
        raise ValueError(
            f"x must have at least {max(2 * n_splits, 2 * LEAST_ROWS_TRAINED)} rows for "
            f"n_splits={n_splits}, got {n}. Bring more samples, or use KSG or GaussianCopula."
        )
    order = np.arange(n) if contiguous else np.random.default_rng(seed).permutation(n)
    return [np.sort(part) for part in np.array_split(order, n_splits)]


def half_rows(n: int, n_splits: int, seed: int, *, contiguous: bool) -> list[tuple[Array, Array]]:
    """Return two parts (trained, held out), each trained on half as many rows as a fold.

    Together they hold out every row once. Where the folds have too few rows to be halved there
    are none.
    """
    n_trained = (n - math.ceil(n / n_splits)) // 2
    if n_trained < LEAST_ROWS_TRAINED:
        return []
    order = np.arange(n) if contiguous else np.random.default_rng(seed).permutation(n)
    middle = n // 2
    parts = [
        (order[:n_trained], order[middle:]),
        (order[n - n_trained :], order[:middle]),
    ]
    return [(np.sort(trained), np.sort(held_out)) for trained, held_out in parts]


def common_step(histories: list[History]) -> int | None:
    """Return the evaluated step with the least mean held-out loss, None without snapshots."""
    if not histories:
        return None
    common = set.intersection(*(set(history.snapshots) for history in histories))
    losses = {
        step: float(np.mean([dict(history.evaluated)[step] for history in histories]))
        for step in sorted(common)
    }
    finite = {step: loss for step, loss in losses.items() if math.isfinite(loss)}
    return min(finite, key=lambda step: finite[step]) if finite else None


def side_by_side(y: Array, z: Array) -> Array:
    """Return both as columns."""
    return np.hstack([_columns(y), _columns(z)])


def _columns(side: Array) -> Array:
    """Return numbers as columns; labels become indicators."""
    if is_labels(side):
        return (side[:, None] == np.arange(int(side.max()) + 1)).astype(np.float64)
    return side
