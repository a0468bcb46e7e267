"""Nearest neighbors by screening: float32 products rule out most points, exact distances decide.

Points are put in groups; the greatest product of a group tells its smallest distance. The k nearest
points lie in the k nearest groups. A few more groups are looked into, and a query is settled where
even the next group is farther than its k-th neighbor by more than rounding can change; other
queries are answered again with exact distances throughout.
"""

from __future__ import annotations

import torch
from torch import Tensor

from . import _dense

# Points in a group, and groups looked into beyond the k that are needed.
GROUP = 16
MORE_GROUPS = 2
# Points and queries of a tile: 2 MB of float32 on a CPU.
TILE = {"cpu": (2048, 256), "cuda": (8192, 2048)}
# Queries whose candidates are compared at a time: more leave the cache.
QUERIES = {"cpu": 32, "cuda": 2048}


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
    # Filled up to whole groups with points that are farther than any.
    n_more = n_groups * GROUP - len(y)
    points = torch.cat([y, y.new_zeros(n_more, y.shape[1])])
    half_squares = torch.nn.functional.pad(0.5 * y.square().sum(dim=1), (0, n_more), value=16.0)
    left = torch.cat([points, -half_squares[:, None]], dim=1).float()
    right = torch.cat([x, x.new_ones(len(x), 1)], dim=1).float().mT.contiguous()
    points = points.view(n_groups, GROUP, -1)
    device = "cpu" if x.device.type == "cpu" else "cuda"
    n_queries = TILE[device][1]
    memory = left.new_empty(TILE[device][0] * n_queries)
    indices = torch.empty(len(x), k, dtype=torch.int64, device=x.device)
    for first in range(0, len(x), n_queries):
        queries = slice(first, min(first + n_queries, len(x)))
        bounds = _group_bounds(left, right[:, queries], memory, TILE[device][0])
        best = bounds.topk(wanted + MORE_GROUPS + 1, dim=1)
        farthest = x.new_empty(queries.stop - first)
        for some in torch.arange(first, queries.stop, device=x.device).split(QUERIES[device]):
            groups = best.indices[some - first, :-1]
            squares = (x[some, None, None] - points[groups]).square_().sum(dim=3).flatten(1)
            candidates = (groups[..., None] * GROUP + _steps(groups)).flatten(1)
            squares.masked_fill_(candidates >= len(y), torch.inf)
            if exclude_self:
                squares.masked_fill_(candidates == some[:, None], torch.inf)
            found = squares.topk(k, dim=1, largest=False)
            indices[some] = candidates.gather(1, found.indices)
            farthest[some - first] = found.values[:, -1]
        next_square = x[queries].square().sum(dim=1) - 2.0 * best.values[:, -1]
        unsettled = (next_square - rounding <= farthest).nonzero().squeeze(1)
        if len(unsettled):
            indices[unsettled + first] = _exact(x, y, k, unsettled + first, exclude_self)
    return indices


def _group_bounds(left: Tensor, right: Tensor, memory: Tensor, n_points: int) -> Tensor:
    """Return the greatest product of every query with every group, shape (queries, groups)."""
    n_queries = right.shape[1]
    bounds = left.new_empty(len(left) // GROUP, n_queries)
    for start in range(0, len(left), n_points):
        stop = min(start + n_points, len(left))
        tile = memory[: (stop - start) * n_queries].view(stop - start, n_queries)
        torch.mm(left[start:stop], right, out=tile)
        # Along the points, so that whole vectors of queries are compared at a time.
        grouped = tile.view(-1, GROUP, n_queries)
        torch.amax(grouped, dim=1, out=bounds[start // GROUP : stop // GROUP])
    return bounds.mT.contiguous()


def _steps(groups: Tensor) -> Tensor:
    return torch.arange(GROUP, device=groups.device)


def _exact(x: Tensor, y: Tensor, k: int, some: Tensor, exclude_self: bool) -> Tensor:
    """Return the neighbors of some rows from exact distances, a block of rows at a time."""
    found = []
    for part in some.split(max(1, 2**20 // len(y))):
        distances = _dense.distances_between(x[part], y, "euclidean")
        if exclude_self:
            distances[torch.arange(len(part), device=x.device), part] = torch.inf
        found.append(distances.topk(k, dim=1, largest=False).indices)
    return torch.cat(found)
