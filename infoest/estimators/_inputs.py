"""Maps of columns that are fitted on training rows and applied to all: what a critic sees."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from infoest._validation import Array, Codes, as_array, as_labels, is_labels
from infoest.functional.ranks import normal_scores

INPUTS = ("normal_scores", "standardized", "raw")
# Knots of the map to normal scores at most: between them it is linear.
MOST_KNOTS = 4096


class InputMap(nn.Module):
    """One side's map: normal scores, standardized columns, or nothing. Buffers, no parameters.

    Args:
        kind: One of `INPUTS`, or ``"labels"``: indicator columns.
        knots: Values of the training rows, rising, shape (d, q); equal rows of infinity at the
            end of shorter columns.
        levels: What they are mapped to, shape (d, q); number of labels (1, 1) for labels.
        shape: Of a row as it comes in: (d,), () for labels; more axes where nothing is mapped.
    """

    knots: Tensor
    levels: Tensor

    def __init__(self, kind: str, knots: Tensor, levels: Tensor, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.kind, self.shape = kind, shape
        self.register_buffer("knots", knots)
        self.register_buffer("levels", levels)

    @classmethod
    def fit(cls, rows: Array, kind: str, n_labels: int = 0) -> InputMap:
        """Return the map of training rows, shape (n, d), or of codes (n,)."""
        shape = rows.shape[1:]
        if is_labels(rows):
            return cls("labels", torch.zeros(1, 1), torch.tensor([[float(n_labels)]]), shape)
        if kind == "raw":
            return cls(kind, torch.zeros(0, 0), torch.zeros(0, 0), shape)
        if kind == "standardized":
            spread = rows.std(axis=0)
            # A column that is constant in the training rows says nothing there: it becomes 0.
            spread[spread == 0.0] = np.inf
            center = torch.from_numpy(rows.mean(axis=0)[:, None])
            return cls(kind, center, torch.from_numpy(spread[:, None]), shape)
        columns = [_normal_knots(column) for column in rows.T]
        length = max(len(values) for values, _ in columns)
        knots, levels = np.full((2, len(columns), length), np.inf)
        for place, (values, scores) in enumerate(columns):
            knots[place, : len(values)] = values
            levels[place, : len(values)] = scores
            levels[place, len(values) :] = scores[-1]
        return cls(kind, torch.from_numpy(knots), torch.from_numpy(levels), shape)

    @property
    def features(self) -> int:
        """Number of columns of the output, of numbers of a row where it has more axes."""
        return int(self.levels[0, 0]) if self.kind == "labels" else math.prod(self.shape)

    def check(self, name: str, rows: Array | Tensor) -> None:
        """Raise unless rows are of the shape that was fitted.

        Args:
            name: Of the side, for the error.
            rows: Shape (n, ...), or codes (n,).
        """
        shape = tuple(rows.shape[1:])
        if shape == self.shape:
            return
        if len(self.shape) > 1 or len(shape) > 1:
            raise ValueError(
                f"{name} must have rows of shape {self.shape} as in fit, got {shape}. Pass a "
                "Dataset of such rows."
            )
        wanted = f"{self.shape[0]}" if self.shape else "labels and no"
        remedy = "" if self.shape and shape else f" Name the sides of fit: discrete={name!r}."
        raise ValueError(
            f"{name} must have {wanted} columns as in fit, got {shape[0] if shape else 'labels'}."
            f"{remedy}"
        )

    def forward(self, rows: Tensor) -> Tensor:
        """Return mapped rows, shape (n, features), in the dtype of ``rows``."""
        knots, levels = self.knots, self.levels
        if self.kind == "labels":
            return nn.functional.one_hot(rows.long(), self.features).to(torch.get_default_dtype())
        if self.kind == "raw":
            return rows
        if self.kind == "standardized":
            return ((rows - knots[:, 0]) / levels[:, 0]).to(rows.dtype)
        if knots.shape[1] == 1:
            return torch.zeros_like(rows)
        values = rows.T.to(knots.dtype).contiguous()
        right = torch.searchsorted(knots, values).clamp_(1, knots.shape[1] - 1)
        low, high = knots.gather(1, right - 1), knots.gather(1, right)
        share = ((values - low) / (high - low)).nan_to_num_(0.0).clamp_(0.0, 1.0)
        start = levels.gather(1, right - 1)
        mapped = start + share * (levels.gather(1, right) - start)
        return mapped.T.to(rows.dtype).contiguous()


def known_labels(name: str, data: object) -> Array:
    """Return one row of the caller's labels for every code, shape (labels, columns)."""
    codes, _ = as_labels(name, data)
    return _rows(name, data)[np.unique(codes, return_index=True)[1]]


def codes_of(name: str, data: object, known: Array) -> Codes:
    """Return the codes that labels had when they were known first.

    Raises:
        ValueError: For labels that were not there, or of another number of columns.
    """
    rows = _rows(name, data)
    if rows.shape[1] != known.shape[1]:
        raise ValueError(
            f"{name} must have labels of {known.shape[1]} columns as in fit, got {rows.shape[1]}."
        )
    codes, _ = as_labels(name, np.concatenate([known, rows]))
    places = np.full(int(codes.max()) + 1, -1)
    places[codes[: len(known)]] = np.arange(len(known))
    found = places[codes[len(known) :]]
    if (found < 0).any():
        new = rows[found < 0][0]
        raise ValueError(
            f"{name} must hold labels that were in fit, got {new[0] if len(new) == 1 else new} "
            "among others. Fit on rows with all labels."
        )
    return found


def _rows(name: str, data: object) -> Array:
    array = as_array(name, data)
    return array.reshape(len(array), -1)


def _normal_knots(column: Array) -> tuple[Array, Array]:
    """Return distinct values of a column and their normal scores, thinned."""
    values, first = np.unique(column, return_index=True)
    scores = normal_scores(column[:, None])[first, 0]
    if len(values) > MOST_KNOTS:
        kept = np.unique(np.linspace(0, len(values) - 1, MOST_KNOTS).round().astype(np.int64))
        values, scores = values[kept], scores[kept]
    return values, scores
