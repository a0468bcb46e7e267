"""Maps of columns that are fitted on training rows and applied to all: what a critic sees."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from infoest._validation import Array, is_labels
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
    """

    knots: Tensor
    levels: Tensor

    def __init__(self, kind: str, knots: Tensor, levels: Tensor) -> None:
        super().__init__()
        self.kind = kind
        self.register_buffer("knots", knots)
        self.register_buffer("levels", levels)

    @classmethod
    def fit(cls, rows: Array, kind: str, n_labels: int = 0) -> InputMap:
        """Return the map of training rows, shape (n, d), or of codes (n,)."""
        if is_labels(rows):
            return cls("labels", torch.zeros(1, 1), torch.tensor([[float(n_labels)]]))
        if kind == "raw":
            return cls(kind, torch.zeros(rows.shape[1], 0), torch.zeros(rows.shape[1], 0))
        if kind == "standardized":
            spread = rows.std(axis=0)
            # A column that is constant in the training rows says nothing there: it becomes 0.
            spread[spread == 0.0] = np.inf
            center = torch.from_numpy(rows.mean(axis=0)[:, None])
            return cls(kind, center, torch.from_numpy(spread[:, None]))
        columns = [_normal_knots(column) for column in rows.T]
        length = max(len(values) for values, _ in columns)
        knots, levels = np.full((2, len(columns), length), np.inf)
        for place, (values, scores) in enumerate(columns):
            knots[place, : len(values)] = values
            levels[place, : len(values)] = scores
            levels[place, len(values) :] = scores[-1]
        return cls(kind, torch.from_numpy(knots), torch.from_numpy(levels))

    @property
    def features(self) -> int:
        """Number of columns of the output."""
        if self.kind == "labels":
            return int(self.levels[0, 0])
        return len(self.knots)

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


def _normal_knots(column: Array) -> tuple[Array, Array]:
    """Return distinct values of a column and their normal scores, thinned."""
    values, first = np.unique(column, return_index=True)
    scores = normal_scores(column[:, None])[first, 0]
    if len(values) > MOST_KNOTS:
        kept = np.unique(np.linspace(0, len(values) - 1, MOST_KNOTS).round().astype(np.int64))
        values, scores = values[kept], scores[kept]
    return values, scores
