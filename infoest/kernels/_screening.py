"""Nearest neighbors by screening: float32 products rule out most points, exact distances decide.

Points are put in groups, and groups in batches; the greatest product of a group or batch tells its
smallest distance. The k nearest points lie in the k nearest groups, and those in the k nearest
batches. One more of each is looked into, and a query is settled where even the next one is farther
than its k-th neighbor by more than rounding can change; other queries are answered again with exact
distances throughout.
"""

from __future__ import annotations

import torch
from torch import Tensor

from . import _dense
from ._tiles import multiply

# Points in a group, groups in a batch.
GROUP, BATCH = 8, 16
# Points and queries of a tile, the first a multiple of a batch: 2 MB of float32 on a CPU.
TILE = {"cpu": (2048, 256), "cuda": (8192, 2048)}


def nearest(x: Tensor, y: Tensor, k: int, exclude_self: bool) -> Tensor:
    """Return the indices of the k nearest rows of y (Euclidean), nearest first, shape (n, k).

    Args:
        x: Query points, shape (n, d), float64.
        y: Points, shape (m, d), float64.
        k: Number of neighbors, at most m (m - 1 with ``exclude_self``).
        exclude_self: Row i of x is not a neighbor of row i of y.
    """
    n_kept = k + exclude_self + 1
    n_batches = -(-len(y) // (GROUP * BATCH))
    if n_batches <= n_kept:
        return _exact(x, y, k, torch.arange(len(x), device=x.device), exclude_self)
    # Rounding of the products, as a squared distance in the units of the greatest norm.
    size = max(float(side.square().sum(dim=1).max()) for side in (x, y)) ** 0.5 or 1.0
    x, y = x / size, y / size
    rounding = 4.0 * (x.shape[1] + 4) * torch.finfo(torch.float32).eps
    # Filled up to whole batches with points that are farther than any.
    n_more = n_batches * GROUP * BATCH - len(y)
    points = torch.cat([y, y.new_zeros(n_more, y.shape[1])])
    half_squares = torch.nn.functional.pad(0.5 * y.square().sum(dim=1), (0, n_more), value=16.0)
    left = torch.cat([points, -half_squares[:, None]], dim=1).float()
    right = torch.cat([x, x.new_ones(len(x), 1)], dim=1).float().mT.contiguous()
    points = points.view(n_batches * BATCH, GROUP, -1)
    members = torch.arange(len(left), device=x.device).view(-1, GROUP)
    n_points, n_queries = TILE["cpu" if x.device.type == "cpu" else "cuda"]
    memory = left.new_empty(n_points * n_queries)
    indices = torch.empty(len(x), k, dtype=torch.int64, device=x.device)
    for first in range(0, len(x), n_queries):
        queries = torch.arange(first, min(first + n_queries, len(x)), device=x.device)
        bounds = _group_bounds(left, right[:, first : first + n_queries], memory, n_points)
        groups, next_product = _nearest_groups(bounds, n_kept)
        squares = (x[queries, None, None] - points[groups]).square_().sum(dim=3).flatten(1)
        candidates = members[groups].flatten(1)
        squares.masked_fill_(candidates >= len(y), torch.inf)
        if exclude_self:
            squares.masked_fill_(candidates == queries[:, None], torch.inf)
        found = squares.topk(k, dim=1, largest=False)
        indices[queries] = candidates.gather(1, found.indices)
        next_square = x[queries].square().sum(dim=1) - 2.0 * next_product
        unsettled = queries[next_square - rounding <= found.values[:, -1]]
        if len(unsettled):
            indices[unsettled] = _exact(x, y, k, unsettled, exclude_self)
    return indices


def _group_bounds(left: Tensor, right: Tensor, memory: Tensor, n_points: int) -> Tensor:
    """Return the greatest product of every group with every query, shape (groups, queries)."""
    n_queries = right.shape[1]
    bounds = left.new_empty(len(left) // GROUP, n_queries)
    for start in range(0, len(left), n_points):
        stop = min(start + n_points, len(left))
        tile = memory[: (stop - start) * n_queries].view(stop - start, n_queries)
        multiply(left[start:stop], right, tile)
        # Along the points, so that whole vectors of queries are compared at a time.
        grouped = tile.view(-1, GROUP, n_queries)
        torch.amax(grouped, dim=1, out=bounds[start // GROUP : stop // GROUP])
    return bounds


def _nearest_groups(bounds: Tensor, n_kept: int) -> tuple[Tensor, Tensor]:
    """Return the nearest groups of every query, (queries, n_kept), and the next product."""
    n_queries = bounds.shape[1]
    batched = bounds.view(-1, BATCH, n_queries)
    batches = batched.amax(dim=1).mT.topk(min(n_kept + 1, len(batched)), dim=1)
    kept = batches.indices[:, :n_kept]
    everyone = torch.arange(n_queries, device=bounds.device)[:, None]
    inside = batched[kept, :, everyone].flatten(1)
    best = inside.topk(n_kept + 1, dim=1)
    groups = kept.gather(1, best.indices[:, :n_kept] // BATCH) * BATCH
    groups += best.indices[:, :n_kept] % BATCH
    return groups, torch.maximum(best.values[:, -1], batches.values[:, -1])


def _exact(x: Tensor, y: Tensor, k: int, some: Tensor, exclude_self: bool) -> Tensor:
    """Return the neighbors of some rows from exact distances, a block of rows at a time."""
    found = []
    for part in some.split(max(1, 2**20 // len(y))):
        distances = _dense.distances_between(x[part], y, "euclidean")
        if exclude_self:
            distances[torch.arange(len(part), device=x.device), part] = torch.inf
        found.append(distances.topk(k, dim=1, largest=False).indices)
    return torch.cat(found)
