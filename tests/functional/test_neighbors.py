"""Neighbor searches against brute force in float64: equal to the last count, whatever the path."""

from __future__ import annotations

import numpy as np
import pytest

from infoest.functional import neighbors
from infoest.functional.neighbors import (
    count_in_columns,
    nearest_distances,
    neighborhoods,
    pairs_are_faster,
)


def brute_force(parts, subspaces, ks, rows=None, rectangle=False, theiler=0):
    """Radii and counts by looking at all pairs, nothing clever."""
    n = len(parts[0])
    rows = np.arange(n) if rows is None else rows
    apart = [np.abs(part[rows][:, None, :] - part[None]).max(axis=2) for part in parts]
    joint = np.maximum.reduce(apart)
    excluded = np.abs(rows[:, None] - np.arange(n)) <= theiler
    joint = np.where(excluded, np.inf, joint)
    radius = np.stack([np.sort(joint, axis=1)[:, k - 1] for k in ks])
    counts = np.empty((len(ks), len(subspaces), len(rows)), dtype=int)
    for i, k in enumerate(ks):
        nearest = np.argsort(joint, axis=1, kind="stable")[:, :k]
        for s, subspace in enumerate(subspaces):
            distance = np.maximum.reduce([apart[p] for p in subspace])
            if rectangle:
                reach = np.take_along_axis(distance, nearest, axis=1).max(axis=1)
                inside = distance <= reach[:, None]
            else:
                inside = distance < radius[i][:, None]
            counts[i, s] = (inside & ~excluded).sum(axis=1)
    return radius, counts


def continuous(rng, n, d):
    return rng.standard_normal((n, d))


def rounded(rng, n, d):
    return np.round(rng.standard_normal((n, d)), 1)


def tenths(rng, n, d):
    """Multiples of 0.1, whose sums and differences round in every direction."""
    return 0.1 * rng.integers(-30, 30, (n, d))


def cauchy(rng, n, d):
    return rng.standard_cauchy((n, d)) * 1e3


def far_away(rng, n, d):
    return 1e9 + rng.standard_normal((n, d))


def tiny(rng, n, d):
    return 1e-12 * rng.standard_normal((n, d))


def huge(rng, n, d):
    return 1e200 * rng.standard_normal((n, d))


def uneven_columns(rng, n, d):
    return rng.standard_normal((n, d)) * np.logspace(-6, 6, d)


LAWS = [continuous, rounded, tenths, cauchy, far_away, tiny, huge, uneven_columns]
each_law = pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)


@each_law
@pytest.mark.parametrize(("d_x", "d_y"), [(1, 1), (1, 2), (3, 1), (6, 6)])
@pytest.mark.parametrize("method", ["tree", "pairs"])
def test_both_ways_are_brute_force(law, d_x, d_y, method) -> None:
    rng = np.random.default_rng(d_x * 10 + d_y)
    parts = [law(rng, 150, d_x), law(rng, 150, d_y)]
    ks = [1, 2, 5, 10]
    found = neighborhoods(parts, [(0,), (1,)], ks, method=method)
    radius, counts = brute_force(parts, [(0,), (1,)], ks)
    np.testing.assert_array_equal(found.radius, radius)
    np.testing.assert_array_equal(found.counts, counts)


# Which of equally far neighbors is the k-th, and with it the rectangle, is not defined.
WITHOUT_TIES = [law for law in LAWS if law not in (rounded, tenths)]


@pytest.mark.parametrize(
    ("law", "rectangle"),
    [(law, False) for law in LAWS] + [(law, True) for law in WITHOUT_TIES],
)
@pytest.mark.parametrize("dimension", [2, 3, 5, 8, 12])
def test_tree_and_pairs_agree_exactly(law, dimension, rectangle) -> None:
    rng = np.random.default_rng(dimension)
    parts = [law(rng, 400, dimension // 2), law(rng, 400, dimension - dimension // 2)]
    found = [
        neighborhoods(parts, [(0,), (1,)], [1, 3, 7], rectangle=rectangle, method=method)
        for method in ("tree", "pairs")
    ]
    np.testing.assert_array_equal(found[0].radius, found[1].radius)
    np.testing.assert_array_equal(found[0].counts, found[1].counts)


@pytest.mark.parametrize("method", ["tree", "pairs"])
def test_rectangles_are_brute_force(method) -> None:
    rng = np.random.default_rng(0)
    parts = [rng.standard_normal((200, 2)), rng.standard_normal((200, 1))]
    found = neighborhoods(parts, [(0,), (1,)], [1, 4], rectangle=True, method=method)
    radius, counts = brute_force(parts, [(0,), (1,)], [1, 4], rectangle=True)
    np.testing.assert_array_equal(found.radius, radius)
    np.testing.assert_array_equal(found.counts, counts)


@pytest.mark.parametrize("method", ["tree", "pairs"])
def test_subspaces_of_a_condition_and_chosen_rows(method) -> None:
    rng = np.random.default_rng(1)
    parts = [rng.standard_normal((180, d)) for d in (1, 2, 2)]
    subspaces = [(0, 2), (1, 2), (2,)]
    rows = np.array([3, 0, 179, 77, 78])
    found = neighborhoods(parts, subspaces, [3, 6], rows=rows, method=method)
    radius, counts = brute_force(parts, subspaces, [3, 6], rows=rows)
    np.testing.assert_array_equal(found.radius, radius)
    np.testing.assert_array_equal(found.counts, counts)


@pytest.mark.parametrize("theiler", [1, 5, 40])
def test_theiler_window_is_brute_force(theiler) -> None:
    rng = np.random.default_rng(2)
    parts = [np.cumsum(rng.standard_normal((150, d)), axis=0) for d in (1, 2)]
    found = neighborhoods(parts, [(0,), (1,)], [1, 4], theiler=theiler)
    radius, counts = brute_force(parts, [(0,), (1,)], [1, 4], theiler=theiler)
    np.testing.assert_array_equal(found.radius, radius)
    np.testing.assert_array_equal(found.counts, counts)


@pytest.mark.parametrize("method", ["tree", "pairs"])
@pytest.mark.parametrize("n", [6, 17, 33])
def test_every_number_of_neighbors_up_to_the_last(method, n) -> None:
    rng = np.random.default_rng(n)
    parts = [rng.standard_normal((n, 1)), rng.standard_normal((n, 1))]
    ks = list(range(1, n))
    found = neighborhoods(parts, [(0,), (1,)], ks, method=method)
    radius, counts = brute_force(parts, [(0,), (1,)], ks)
    np.testing.assert_array_equal(found.radius, radius)
    np.testing.assert_array_equal(found.counts, counts)


@pytest.mark.parametrize("method", ["tree", "pairs"])
def test_threads_change_nothing(method, monkeypatch) -> None:
    rng = np.random.default_rng(3)
    parts = [rng.standard_normal((2500, 3)), rng.standard_normal((2500, 3))]
    found = []
    for threads in (1, 2, 5):
        monkeypatch.setattr(neighbors, "_threads", lambda n_queries, threads=threads: threads)
        found.append(neighborhoods(parts, [(0,), (1,)], [3], method=method))
    for other in found[1:]:
        np.testing.assert_array_equal(other.radius, found[0].radius)
        np.testing.assert_array_equal(other.counts, found[0].counts)


@pytest.mark.parametrize("method", ["tree", "pairs"])
def test_equal_rows_have_distance_zero_and_nothing_inside(method) -> None:
    level = np.repeat(np.arange(5.0), 8)[:, None]
    parts = [level, np.hstack([level, level])]
    found = neighborhoods(parts, [(0,), (1,)], [3, 8], method=method)
    assert (found.radius[0] == 0.0).all()
    assert (found.counts[0] == 0).all()
    assert (found.radius[1] == 1.0).all()
    assert (found.counts[1] == 7).all()


def test_data_are_left_alone() -> None:
    rng = np.random.default_rng(4)
    parts = [rng.standard_normal((100, 6)), rng.standard_normal((100, 6))]
    before = [part.tobytes() for part in parts]
    for part in parts:
        part.flags.writeable = False
    for method in ("tree", "pairs"):
        neighborhoods(parts, [(0,), (1,)], [3], method=method)
    assert [part.tobytes() for part in parts] == before


def test_the_faster_way_is_chosen_by_size() -> None:
    assert not pairs_are_faster(10_000, 2)
    assert pairs_are_faster(10_000, 20)
    assert not pairs_are_faster(10**7, 8)


# ------------------------------------------------------------------------------- count in columns


def naive_counts(values, centers, radii, closed):
    distances = np.abs(values[None, :] - centers[:, None])
    inside = distances <= radii[:, None] if closed else distances < radii[:, None]
    return inside.sum(axis=1)


@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("seed", range(4))
def test_counts_are_those_of_the_comparison_itself(law, closed, seed) -> None:
    rng = np.random.default_rng(seed)
    values = np.sort(law(rng, 300, 1)[:, 0])
    centers = rng.permutation(values)
    # Radii that are distances between samples: the neighbor that defines the radius is the trap.
    others = rng.permutation(values)
    radii = np.abs(centers - others)
    found = count_in_columns(values, centers, radii, closed)
    np.testing.assert_array_equal(found, naive_counts(values, centers, radii, closed))


@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize("step", [0.1, 0.3, 1.0 / 3.0, 1e-9, 0.7e10])
@pytest.mark.parametrize("offset", [0.0, 0.1, 1e6, -1e9])
def test_counts_on_grids_that_round_in_every_direction(closed, step, offset) -> None:
    rng = np.random.default_rng(0)
    values = np.sort(offset + step * rng.integers(0, 40, 250))
    centers = values.copy()
    for multiple in (0, 1, 3, 7):
        for radius in (multiple * step, abs((offset + multiple * step) - offset)):
            radii = np.full(len(centers), radius)
            found = count_in_columns(values, centers, radii, closed)
            np.testing.assert_array_equal(found, naive_counts(values, centers, radii, closed))


# ---------------------------------------------------------------------------- Euclidean distances


@pytest.mark.parametrize("d", [1, 2, 5, 15, 16, 40])
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_euclidean_distances(d, offset) -> None:
    rng = np.random.default_rng(d)
    points = offset + rng.standard_normal((220, d))
    queries = offset + rng.standard_normal((90, d))
    for asked, k in ((queries, 6), (points, 6), (queries, 220)):
        found = nearest_distances(points, asked, k)
        apart = np.sqrt(((asked[:, None] - points[None]) ** 2).sum(axis=2))
        expected = np.sort(apart, axis=1)[:, :k]
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12 * max(offset, 1.0))
    assert (nearest_distances(points, points, 2)[:, 0] == 0.0).all()
