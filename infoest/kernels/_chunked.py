"""Backend that never holds the matrix of pairs: tiles for Gaussians, blocks of rows otherwise."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from . import _dense, _screening, _tiles
from .formulas import Formula, gaussian

# Pairs in a block of rows: 2 MB of float64 stay in the cache. 2**16 to 2**20 are about as fast,
# 2**22 takes two to four times as long.
BLOCK_PAIRS = 2**18


def logsumexp(
    x: Tensor,
    y: Tensor,
    formula: Formula,
    *,
    weights: Tensor | None = None,
    log_weights: Tensor | None = None,
    exclude_self: bool = False,
) -> Tensor:
    """Return log sum_j w_j k(x_i, y_j), shape (n,), as the dense backend does."""

    def by_rows(x: Tensor, y: Tensor, weights: Tensor | None, log_weights: Tensor | None) -> Tensor:
        return _by_rows(
            x,
            len(y),
            lambda some, first: _dense.logsumexp(
                some,
                y,
                formula,
                weights=weights,
                log_weights=log_weights,
                exclude_self=exclude_self,
                first=first,
            ),
        )

    if formula is gaussian and _tiles.can_expand(x, y):
        return _tiles.logsumexp(x, y, weights, log_weights, exclude_self, again=by_rows)
    return by_rows(x, y, weights, log_weights)


def matvec(
    x: Tensor, y: Tensor, v: Tensor, formula: Formula, *, exclude_self: bool = False
) -> Tensor:
    """Return sum_j k(x_i, y_j) v_j, shape (n, p), as the dense backend does."""

    def by_rows(x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        return _by_rows(
            x,
            len(y),
            lambda some, first: _dense.matvec(
                some, y, v, formula, exclude_self=exclude_self, first=first
            ),
        )

    if formula is gaussian and _tiles.can_expand(x, y):
        return _tiles.matvec(x, y, v, exclude_self, again=by_rows)
    return by_rows(x, y, v)


def nearest(x: Tensor, y: Tensor, k: int, *, metric: str, exclude_self: bool = False) -> Tensor:
    """Return the indices of the k nearest rows of y, nearest first, shape (n, k)."""
    if metric == "euclidean":
        return _screening.nearest(x, y, k, exclude_self)
    rows = _rows_in_block(len(y))
    blocks = [
        _dense.nearest(some, y, k, metric=metric, exclude_self=exclude_self, first=i * rows)
        for i, some in enumerate(x.split(rows))
    ]
    return torch.cat(blocks)


def _by_rows(x: Tensor, m: int, function: Callable[[Tensor, int], Tensor]) -> Tensor:
    """Return a function of every block of rows, joined; the backward pass computes them again."""
    rows = _rows_in_block(m)
    blocks = [
        checkpoint(function, some, i * rows, use_reentrant=False, preserve_rng_state=False)
        for i, some in enumerate(x.split(rows))
    ]
    return torch.cat(blocks)


def _rows_in_block(m: int) -> int:
    return max(1, BLOCK_PAIRS // m)
