"""Nearest neighbors by screening: float32 products rule out most points, exact distances decide.

Columns are put in groups; the greatest product of a group bounds its smallest distance. The k
nearest points lie in the k groups with the smallest bounds. A few more groups are taken, and a row
is settled where even the next group is farther than its k-th neighbor by more than rounding can
change; other rows are done again with exact distances throughout.
"""

from __future__ import annotations

import torch
from torch import Tensor

from . import _dense

# Points in a group, and groups looked into beyond the k that are needed.
GROUP = 32
MORE_GROUPS = 3
# Rows and columns of a tile: 1 MB of float32 on a CPU.
TILE = {"cpu": (256, 1024), "cuda": (2048, 8192)}


def nearest(x: Tensor, y: Tensor, k: int, exclude_self: bool) -> Tensor:
    """Return the indices of the k nearest rows of y (Euclidean), nearest first, shape (n, k).

    Args:
        x: Query points, shape (n, d), float64.
        y: Points, shape (m, d), float64.
        k: Number of neighbors, at most m (m - 1 with ``exclude_self``).
        exclude_self: Row i of x is not a neighbor of row i of y.
    """
    wanted = k + exclude_self
    n_groups = -(-len(y) // GROUP)
    if n_groups <= wanted + MORE_GROUPS + 1:
        return _dense.nearest(x, y, k, metric="euclidean", exclude_self=exclude_self)
    # Rounding of the products, as a squared distance in the units of the greatest norm.
    size = max(float(side.square().sum(dim=1).max()) for side in (x, y)) ** 0.5 or 1.0
    x, y = x / size, y / size
    rounding = 4.0 * (x.shape[1] + 4) * torch.finfo(torch.float32).eps
    n_rows, n_columns = TILE["cpu" if x.device.type == "cpu" else "cuda"]
    left = torch.cat([x, x.new_ones(len(x), 1)], dim=1).float()
    right = torch.cat([y, -0.5 * y.square().sum(dim=1, keepdim=True)], dim=1).float()
    # Filled up to whole groups with points that are farther than any.
    filling = right.new_zeros(n_groups * GROUP - len(y), right.shape[1])
    filling[:, -1] = -16.0
    right = torch.cat([right, filling]).mT.contiguous()
    indices = torch.empty(len(x), k, dtype=torch.int64, device=x.device)
    memory = left.new_empty(n_rows * n_columns)
    for first in range(0, len(x), n_rows):
        rows = slice(first, min(first + n_rows, len(x)))
        bounds = _group_bounds(left[rows], right, memory, n_columns)
        best = bounds.topk(wanted + MORE_GROUPS + 1, dim=1)
        groups = best.indices[:, :-1]
        candidates = _members(groups, n_columns, right.shape[1])
        squares = (x[rows, None] - y[candidates.clamp(max=len(y) - 1)]).square().sum(dim=2)
        squares.masked_fill_(candidates >= len(y), torch.inf)
        if exclude_self:
            own = torch.arange(rows.start, rows.stop, device=x.device)
            squares.masked_fill_(candidates == own[:, None], torch.inf)
        found = squares.topk(k, dim=1, largest=False)
        indices[rows] = candidates.gather(1, found.indices)
        next_square = x[rows].square().sum(dim=1) - 2.0 * best.values[:, -1]
        unsettled = (next_square - rounding <= found.values[:, -1]).nonzero().squeeze(1)
        if len(unsettled):
            some = unsettled + first
            indices[some] = _exact(x, y, k, some, exclude_self)
    return indices


def _group_bounds(left: Tensor, right: Tensor, memory: Tensor, n_columns: int) -> Tensor:
    """Return the greatest product of every row with every group, shape (n, groups)."""
    bounds = left.new_empty(len(left), right.shape[1] // GROUP)
    for start in range(0, right.shape[1], n_columns):
        stop = min(start + n_columns, right.shape[1])
        tile = memory[: len(left) * (stop - start)].view(len(left), stop - start)
        torch.mm(left, right[:, start:stop], out=tile)
        # Members of a group are a stride apart, so that whole vectors are compared at a time.
        grouped = tile.view(len(left), GROUP, -1)
        torch.amax(grouped, dim=1, out=bounds[:, start // GROUP : stop // GROUP])
    return bounds


def _members(groups: Tensor, n_columns: int, total: int) -> Tensor:
    """Return the columns in some groups of every row, shape (n, groups * GROUP)."""
    start = groups // (n_columns // GROUP) * n_columns
    stride = (total - start).clamp(max=n_columns) // GROUP
    inside = groups - start // GROUP
    steps = torch.arange(GROUP, device=groups.device)
    return (start[..., None] + inside[..., None] + steps * stride[..., None]).flatten(1)


def _exact(x: Tensor, y: Tensor, k: int, some: Tensor, exclude_self: bool) -> Tensor:
    """Return the neighbors of some rows from exact distances, a block of rows at a time."""
    found = []
    for part in some.split(max(1, 2**20 // len(y))):
        distances = _dense.distances_between(x[part], y, "euclidean")
        if exclude_self:
            distances[torch.arange(len(part), device=x.device), part] = torch.inf
        found.append(distances.topk(k, dim=1, largest=False).indices)
    return torch.cat(found)
