"""Exact nearest neighbors of a sample in itself, and counts inside the distance to the k-th.

Two ways to the same numbers. A k-d tree is best in few dimensions; beyond, blocks of all pairs in
float32 are faster, where float32 decides only what is certain and every near-tie is settled in
float64, so that both ways agree exactly.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from infoest._validation import Array

Counts = npt.NDArray[np.int64]
Subspace = tuple[int, ...]

# Below this many queries a second thread costs more than it saves.
ROWS_PER_THREAD = 1000
# Points in a leaf of the trees that count: balls hold many points, often whole leaves.
COUNTING_LEAF = 64
# Pairs and rows in one block of the all-pairs path. Smaller ones fit the cache better but leave two
# threads waiting for each other between operations: 2**17 pairs took twice as long.
BLOCK_PAIRS = 1 << 19
LARGEST_HEIGHT = 256
# The smallest of each group of this many columns bounds the k-th smallest of the row.
GROUP = 16


class Neighborhoods(NamedTuple):
    """What `neighborhoods` found around every query row, for every number of neighbors asked.

    Attributes:
        radius: Max-norm distance to the k-th neighbor in the joint space, shape (len(ks), q).
        closer: Neighbors strictly inside that distance, shape (len(ks), q): k - 1, or fewer where
            distances are tied.
        counts: Samples inside that distance in every subspace, without the sample itself, shape
            (len(ks), len(subspaces), q).
    """

    radius: Array
    closer: Counts
    counts: Counts


def neighborhoods(
    parts: Sequence[Array],
    subspaces: Sequence[Subspace],
    ks: Sequence[int],
    *,
    rows: Counts | None = None,
    rectangle: bool = False,
    theiler: int = 0,
    method: str = "auto",
) -> Neighborhoods:
    """Find the k-th neighbor in the joint space and count neighbors in subspaces, in max norm.

    Args:
        parts: Samples of every variable, shapes (n, d_1), (n, d_2), ...
        subspaces: Groups of parts in which to count.
        ks: Numbers of neighbors, each in [1, n - 1].
        rows: Query only these samples, ascending (all n by default), shape (q,).
        rectangle: Count the samples no further than the furthest of the k neighbors in that
            subspace, instead of those strictly inside the joint distance.
        theiler: Samples at most this many rows away are no neighbors and are not counted.
        method: ``"tree"``, ``"pairs"``, or ``"auto"`` for the faster one (`pairs_are_faster`); a
            Theiler window always takes pairs.

    Returns:
        The radii and the counts, exact in float64 whatever the method.
    """
    n = len(parts[0])
    if rows is None:
        rows = np.arange(n)
    if method == "auto":
        dimension = sum(part.shape[1] for part in parts)
        method = "pairs" if theiler > 0 or pairs_are_faster(n, dimension) else "tree"
    if method == "tree":
        return _by_tree(parts, subspaces, np.asarray(ks), rows, rectangle)
    return _by_pairs(parts, subspaces, np.asarray(ks), rows, rectangle, theiler)


def pairs_are_faster(n: int, dimension: int) -> bool:
    """Return whether comparing all pairs beats a k-d tree, by measurement.

    The cost of all pairs is proportional to n^2 d, that of the tree to n times a number of visited
    leaves that grows with both; ``benchmarks/neighbors.py`` measures where they cross.
    """
    return dimension >= 5 and n <= 2000 * 1.75 ** min(dimension - 5, 10)


def nearest_distances(points: Array, queries: Array, k: int) -> Array:
    """Return the Euclidean distances of every query to its k nearest points, shape (q, k).

    Args:
        points: Samples, shape (n, d).
        queries: Shape (q, d). A query that is one of the points finds itself first.
        k: Number of neighbors, at most n.
    """
    if points.shape[1] > 15:
        return _nearest_by_products(points, queries, k)
    tree = cKDTree(points, balanced_tree=False, compact_nodes=False)
    found = tree.query(queries, k=np.arange(1, k + 1), workers=_threads(len(queries)))
    return np.asarray(found[0])


def count_in_columns(sorted_values: Array, centers: Array, radii: Array, closed: bool) -> Counts:
    """Return how many sorted values lie within a radius of each center, exactly.

    |value - center| is compared as computed in float64. The bounds center -+ radius are rounded, so
    that a search for them can be off by the very neighbor that defines the radius; the ends are
    therefore moved until the comparison itself agrees.

    Args:
        sorted_values: Shape (n,), ascending.
        centers: Shape (q,).
        radii: Shape (q,).
        closed: Whether values at exactly the radius count.
    """
    padded = np.concatenate([[-np.inf], sorted_values, [np.inf]])
    low = np.searchsorted(sorted_values, centers - radii, "left" if closed else "right")
    high = np.searchsorted(sorted_values, centers + radii, "right" if closed else "left")

    def inside(values: Array) -> npt.NDArray[np.bool_]:
        distances = np.abs(values - centers)
        return np.asarray(distances <= radii if closed else distances < radii)

    # padded[i] is the value before sorted_values[i]. Outwards while the next value is inside ...
    while (move := inside(padded[low])).any():
        low = low - move
    while (move := inside(padded[high + 1])).any():
        high = high + move
    # ... then inwards past a value that is not inside, and past all that are equal to it.
    move = (low < high) & ~inside(padded[low + 1])
    low = low + move
    while move.any() and len(some := np.flatnonzero((low < high) & ~inside(padded[low + 1]))):
        low[some] = np.searchsorted(sorted_values, padded[low[some] + 1], "right")
    move = (low < high) & ~inside(padded[high])
    high = high - move
    while move.any() and len(some := np.flatnonzero((low < high) & ~inside(padded[high]))):
        high[some] = np.searchsorted(sorted_values, padded[high[some]], "left")
    # Where nothing is inside, the ends have passed each other.
    return np.maximum(high - low, 0).astype(np.int64)


# ------------------------------------------------------------------------------------------- tree


def _by_tree(
    parts: Sequence[Array],
    subspaces: Sequence[Subspace],
    ks: Counts,
    rows: Counts,
    rectangle: bool,
) -> Neighborhoods:
    joint = np.hstack(parts)
    threads = _threads(len(rows))
    compact = joint.shape[1] > 2  # repays its cost only there
    tree = cKDTree(joint, leafsize=10, balanced_tree=compact, compact_nodes=compact)
    # Neighboring queries visit the same leaves: ask in the order of the tree.
    if len(rows) == len(joint):  # all of them
        order = np.asarray(tree.indices)
    else:
        position = np.empty(len(joint), dtype=np.int64)
        position[tree.indices] = np.arange(len(joint))
        order = np.argsort(position[rows], kind="stable")
    asked = rows[order]
    radius, closer, neighbors = _nearest_in_tree(tree, joint[asked], ks, rectangle, threads)
    counts = np.empty((len(ks), len(subspaces), len(rows)), dtype=np.int64)

    def count(s: int) -> None:
        points = np.hstack([parts[p] for p in subspaces[s]])
        counter = _Counter(points, threads)
        for i, k in enumerate(ks):
            reach = _reach(points, asked, neighbors[:, : k + 1]) if rectangle else radius[i]
            counts[i, s] = counter.count(asked, reach, closed=rectangle) - 1

    if threads > 1 and all(len(s) == 1 and parts[s[0]].shape[1] == 1 for s in subspaces):
        # Searches in columns use one thread each; those in trees all of them.
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(count, range(len(subspaces))))
    else:
        for s in range(len(subspaces)):
            count(s)
    # Where the k-th distance is 0 nothing lies strictly inside it, not even the sample itself.
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    return Neighborhoods(radius[:, back], closer[:, back], np.maximum(counts, 0)[:, :, back])


def _nearest_in_tree(
    tree: cKDTree, queries: Array, ks: Counts, every: bool, threads: int
) -> tuple[Array, Counts, Counts]:
    """Return k-th distances and how many are below them, (len(ks), q), and the neighbors.

    The first neighbor of every query is the sample itself, or one that coincides with it. Only
    where the k-th distance equals the one before are all distances needed.
    """
    needed = np.arange(1, ks.max() + 2) if every else np.concatenate([ks, ks + 1])
    orders = np.unique(needed)
    distances, neighbors = tree.query(queries, k=orders, p=np.inf, workers=threads)
    last, before = np.searchsorted(orders, ks + 1), np.searchsorted(orders, ks)
    radius = np.ascontiguousarray(distances[:, last].T)
    closer = np.repeat(ks[:, None] - 1, len(queries), axis=1)
    tied = (radius == distances[:, before].T) & (ks > 1)[:, None]
    if tied.any():
        some = np.flatnonzero(tied.any(axis=0))
        found, _ = tree.query(queries[some], k=int(ks.max()) + 1, p=np.inf, workers=threads)
        for i, k in enumerate(ks):
            closer[i, some] = _strictly_inside(found[:, 1 : k + 1])
    return radius, closer, neighbors


def _strictly_inside(distances: Array) -> Counts:
    """Return how many of the first k distances (q, k), ascending, are below the k-th."""
    return np.asarray((distances[:, :-1] < distances[:, -1:]).sum(axis=1))


def _reach(points: Array, asked: Counts, neighbors: Counts) -> Array:
    """Return the distance to the furthest of the given neighbors in a subspace, shape (q,)."""
    reach = np.zeros(len(asked))
    for column in neighbors.T:
        reach = np.maximum(reach, np.abs(points[column] - points[asked]).max(axis=1))
    return reach


class _Counter:
    """Counts points in max-norm balls around some of them, the center included.

    A sorted column serves in one dimension, else a tree.
    """

    def __init__(self, points: Array, threads: int) -> None:
        self.points = points
        self.threads = threads
        self.one_column = points.shape[1] == 1
        if self.one_column:
            self.order = np.argsort(points[:, 0])
            self.ascending = points[self.order, 0]
        else:
            self.tree = cKDTree(points, leafsize=COUNTING_LEAF)

    def count(self, asked: Counts, radii: Array, *, closed: bool) -> Counts:
        """Return how many points lie inside (or at) a radius of each of the points asked for."""
        if self.one_column:
            return self._count_ascending(asked, radii, closed)
        reach = radii if closed else np.nextafter(radii, 0.0)
        found = self.tree.query_ball_point(
            self.points[asked], reach, p=np.inf, workers=self.threads, return_length=True
        )
        # A search with radius 0 finds the center itself, which is not strictly inside.
        return np.asarray(found if closed else np.where(radii > 0.0, found, 0), dtype=np.int64)

    def _count_ascending(self, asked: Counts, radii: Array, closed: bool) -> Counts:
        """Search in ascending order of the centers: their places lie next to each other."""
        if len(asked) == len(self.order):
            position = np.empty(len(asked), dtype=np.int64)
            position[asked] = np.arange(len(asked))
            order, centers = position[self.order], self.ascending
        else:
            order = np.argsort(self.points[asked, 0])
            centers = self.points[asked[order], 0]
        counts = np.empty(len(asked), dtype=np.int64)
        counts[order] = count_in_columns(self.ascending, centers, radii[order], closed)
        return counts


# ------------------------------------------------------------------------------------------ pairs


def _by_pairs(
    parts: Sequence[Array],
    subspaces: Sequence[Subspace],
    ks: Counts,
    rows: Counts,
    rectangle: bool,
    theiler: int,
) -> Neighborhoods:
    scan = _PairScan(parts, subspaces, ks, rectangle, theiler)
    radius = np.empty((len(ks), len(rows)))
    closer = np.empty((len(ks), len(rows)), dtype=np.int64)
    counts = np.empty((len(ks), len(subspaces), len(rows)), dtype=np.int64)
    height = max(1, min(BLOCK_PAIRS // scan.n, LARGEST_HEIGHT, len(rows)))
    starts = range(0, len(rows), height)

    def work(some: range) -> None:
        buffers = _Buffers(len(parts), height, scan.n)
        for start in some:
            block = slice(start, min(start + height, len(rows)))
            found = scan.block(rows[block], buffers)
            radius[:, block], closer[:, block], counts[:, :, block] = found

    threads = min(_threads(len(rows)), len(starts))
    if threads == 1:
        work(starts)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(work, [starts[t::threads] for t in range(threads)]))
    return Neighborhoods(radius, closer, counts)


class _Buffers:
    """Memory of one thread, used again for every block."""

    def __init__(self, n_parts: int, height: int, n: int) -> None:
        self.parts = np.empty((n_parts, height, n), dtype=np.float32)
        self.joint = np.empty((height, n), dtype=np.float32)
        self.scratch = np.empty((height, n), dtype=np.float32)
        self.sure = np.empty((height, n), dtype=bool)
        self.maybe = np.empty((height, n), dtype=bool)


class _PairScan:
    """Blocks of max-norm distances from some rows to all, in float32 with certain bounds.

    For a pair at distance a from row i, rounding the coordinates and their difference to float32
    moves the distance by at most 2^-23 (|p_i| + a), where |p_i| is the largest coordinate of the
    row. Twice that is the margin within which float64 decides.
    """

    def __init__(
        self,
        parts: Sequence[Array],
        subspaces: Sequence[Subspace],
        ks: Counts,
        rectangle: bool,
        theiler: int,
    ) -> None:
        self.n = len(parts[0])
        self.parts = [part - 0.5 * (part.max(axis=0) + part.min(axis=0)) for part in parts]
        # One scale for all columns keeps the max norm; it only guards float32 against overflow.
        exponent = max(int(np.frexp(np.abs(part).max())[1]) for part in self.parts)
        self.exact = list(parts)
        self.coarse = [
            np.ascontiguousarray(np.ldexp(part, -exponent).T, dtype=np.float32)
            for part in self.parts
        ]
        self.unit = np.ldexp(1.0, -exponent)
        largest = np.max([np.abs(part).max(axis=0) for part in self.coarse], axis=0)
        self.largest = largest.astype(np.float64)
        self.subspaces = subspaces
        self.ks = ks
        self.rectangle = rectangle
        self.offsets = np.arange(-theiler, theiler + 1)

    def excluded(self, rows: Counts) -> tuple[Counts, Counts]:
        """Return (row, column) of the samples that are no neighbors: itself, the Theiler window."""
        columns = rows[:, None] + self.offsets
        row, offset = np.nonzero((columns >= 0) & (columns < self.n))
        return row, columns[row, offset]

    def block(self, rows: Counts, buffers: _Buffers) -> Neighborhoods:
        """Return what was found around m rows."""
        m = len(rows)
        distances = buffers.parts[:, :m]
        joint, scratch = buffers.joint[:m], buffers.scratch[:m]
        for part, out in zip(self.coarse, distances, strict=True):
            _max_norm(part, rows, out, scratch)
        np.maximum.reduce(distances, axis=0, out=joint)
        excluded = self.excluded(rows)
        joint[excluded] = np.inf
        which, candidates = self._candidates(joint, rows, buffers.sure[:m])
        radius, closer, reach = self._nearest(rows, which, candidates)
        counts = np.empty((len(self.ks), len(self.subspaces), m), dtype=np.int64)
        for s, subspace in enumerate(self.subspaces):
            coarse = distances[subspace[0]]
            if len(subspace) > 1:
                coarse = np.maximum.reduce(distances[list(subspace)], axis=0, out=scratch)
            for i in range(len(self.ks)):
                limit = reach[i, s] if self.rectangle else radius[i]
                counts[i, s] = self._count(coarse, subspace, rows, excluded, limit, buffers)
        return Neighborhoods(radius, closer, counts)

    def _margin(self, rows: Counts, distance: Array) -> Array:
        return 2.0**-21 * (self.largest[rows] + distance)

    def _candidates(
        self, joint: npt.NDArray[np.float32], rows: Counts, mask: npt.NDArray[np.bool_]
    ) -> tuple[Counts, Counts]:
        """Return (row, column) of every pair that may be among the k nearest."""
        k = int(self.ks.max())
        n_groups = self.n // GROUP
        if n_groups > 2 * k:
            lowest = joint[:, : n_groups * GROUP].reshape(-1, GROUP, n_groups).min(axis=1)
        else:
            lowest = joint
        bound = np.partition(lowest, k - 1, axis=1)[:, k - 1].astype(np.float64)
        bound += 2.0 * self._margin(rows, bound)
        np.less_equal(joint, bound[:, None].astype(np.float32), out=mask)
        flat = np.flatnonzero(mask)
        return flat // self.n, flat % self.n

    def _nearest(
        self, rows: Counts, which: Counts, candidates: Counts
    ) -> tuple[Array, Counts, Array]:
        """Return the exact k-th distances, how many are below, and the reach for rectangles."""
        exact = np.empty((len(self.exact), len(which)))
        for part, out in zip(self.exact, exact, strict=True):
            np.abs(part[candidates] - part[rows[which]]).max(axis=1, out=out)
        distance = exact.max(axis=0)
        order = np.lexsort((distance, which))
        starts = np.searchsorted(which[order], np.arange(len(rows)))
        nearest = distance[order[starts[:, None] + np.arange(self.ks.max())]]
        radius = nearest[:, self.ks - 1].T
        closer = np.stack([_strictly_inside(nearest[:, :k]) for k in self.ks])
        reach = np.zeros((len(self.ks), len(self.subspaces), len(rows)))
        if self.rectangle:
            for s, subspace in enumerate(self.subspaces):
                ordered = exact[list(subspace)].max(axis=0)[order]
                for i, k in enumerate(self.ks):
                    reach[i, s] = ordered[starts[:, None] + np.arange(k)].max(axis=1)
        return radius, closer, reach

    def _count(
        self,
        coarse: npt.NDArray[np.float32],
        subspace: Subspace,
        rows: Counts,
        excluded: tuple[Counts, Counts],
        limit: Array,
        buffers: _Buffers,
    ) -> Counts:
        """Count pairs inside the limit (at it, too, for rectangles)."""
        m = len(rows)
        scaled = limit * self.unit
        margin = self._margin(rows, scaled)
        sure, maybe = buffers.sure[:m], buffers.maybe[:m]
        np.less(coarse, _rounded_down(scaled - margin)[:, None], out=sure)
        np.less_equal(coarse, _rounded_up(scaled + margin)[:, None], out=maybe)
        sure[excluded] = maybe[excluded] = False
        counts = np.array([np.count_nonzero(row) for row in sure], dtype=np.int64)
        np.not_equal(sure, maybe, out=maybe)
        flat = np.flatnonzero(maybe)
        which, near = flat // self.n, flat % self.n
        distance = np.zeros(len(flat))
        for p in subspace:
            part = self.exact[p]
            difference = np.abs(part[near] - part[rows[which]]).max(axis=1)
            np.maximum(distance, difference, out=distance)
        inside = distance <= limit[which] if self.rectangle else distance < limit[which]
        return counts + np.bincount(which[inside], minlength=m)


def _rounded_down(values: Array) -> npt.NDArray[np.float32]:
    return np.nextafter(values.astype(np.float32), np.float32(-np.inf))


def _rounded_up(values: Array) -> npt.NDArray[np.float32]:
    return np.nextafter(values.astype(np.float32), np.float32(np.inf))


def _max_norm(
    columns: npt.NDArray[np.float32],
    rows: Counts,
    out: npt.NDArray[np.float32],
    scratch: npt.NDArray[np.float32],
) -> None:
    """Write the max-norm distances from some samples to all into ``out``, in place."""
    np.subtract(columns[0, rows, None], columns[0], out=out)
    np.abs(out, out=out)
    for column in columns[1:]:
        np.subtract(column[rows, None], column, out=scratch)
        np.abs(scratch, out=scratch)
        np.maximum(out, scratch, out=out)


# --------------------------------------------------------------------------------------- products


def _nearest_by_products(points: Array, queries: Array, k: int) -> Array:
    """Select by |q - p|^2 = |q|^2 - 2 q p + |p|^2 on centered data, then measure directly."""
    center = points.mean(axis=0)
    centered = points - center
    norms = np.einsum("ij,ij->i", centered, centered)
    height = max(1, BLOCK_PAIRS * 8 // len(points))
    found = np.empty((len(queries), k))
    for start in range(0, len(queries), height):
        block = queries[start : start + height]
        scores = norms - 2.0 * (block - center) @ centered.T
        nearest = np.argpartition(scores, min(k, len(points) - 1), axis=1)[:, :k]
        differences = points[nearest] - block[:, None, :]
        found[start : start + height] = np.sqrt(np.einsum("qkd,qkd->qk", differences, differences))
    return np.sort(found, axis=1)


def _threads(n_queries: int) -> int:
    """Return how many threads pay off, at most the cores this process may use."""
    available = getattr(os, "sched_getaffinity", None)
    cores = len(available(0)) if available else (os.cpu_count() or 1)
    return max(1, min(cores, n_queries // ROWS_PER_THREAD))
