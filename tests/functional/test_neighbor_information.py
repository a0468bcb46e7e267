"""Nearest-neighbor formulas against naive references: all pairs, nothing clever."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import digamma, gammaln

from infoest.datasets import correlated_normal
from infoest.functional import knn_divergence, kozachenko_leonenko, ksg
from infoest.functional.neighbor_information import (
    TiedNeighborsError,
    ksg_local_values,
    mixed_ksg_local_values,
    neighbor_weights,
)


def max_distances(points):
    return np.abs(points[:, None, :] - points[None]).max(axis=2)


def naive_ksg(x, y, k, algorithm=1, z=None, theiler=0):
    """Kraskov et al. (2004) eqs. 8 and 9; Frenzel, Pompe (2007) eq. 7."""
    n = len(x)
    parts = [x, y] if z is None else [x, y, z]
    apart = [max_distances(part) for part in parts]
    joint = np.maximum.reduce(apart)
    total = 0.0
    for i in range(n):
        others = [j for j in range(n) if abs(i - j) > theiler]
        nearest = sorted(others, key=lambda j: joint[i, j])[:k]
        radius = joint[i, nearest[-1]]

        def inside(*which, i=i, others=others, radius=radius):
            return sum(max(apart[p][i, j] for p in which) < radius for j in others)

        if z is not None:
            total += digamma(k) + digamma(inside(2) + 1)
            total -= digamma(inside(0, 2) + 1) + digamma(inside(1, 2) + 1)
        elif algorithm == 1:
            total += digamma(k) + digamma(len(others) + 1)
            total -= digamma(inside(0) + 1) + digamma(inside(1) + 1)
        else:
            total += digamma(k) - 1.0 / k + digamma(len(others) + 1)
            for p in (0, 1):
                side = max(apart[p][i, j] for j in nearest)
                total -= digamma(sum(apart[p][i, j] <= side for j in others))
    return total / n


@pytest.fixture(params=[(1, 1), (2, 1), (3, 4)])
def pair(request):
    d_x, d_y = request.param
    rng = np.random.default_rng(d_x)
    x = rng.standard_normal((120, d_x))
    return x, x[:, :1] + rng.standard_normal((120, d_y))


@pytest.mark.parametrize("k", [1, 3, 10, 119])
@pytest.mark.parametrize("algorithm", [1, 2])
def test_ksg_is_the_naive_one(pair, k, algorithm) -> None:
    x, y = pair
    expected = naive_ksg(x, y, k, algorithm)
    assert ksg(x, y, k=k, algorithm=algorithm) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("k", [1, 5])
@pytest.mark.parametrize("theiler", [0, 1, 8])
def test_conditional_and_theiler_are_the_naive_ones(pair, k, theiler) -> None:
    x, y = pair
    z = x[:, :1] + np.random.default_rng(5).standard_normal((120, 2))
    for given in (None, z):
        found = ksg_local_values(x, y, [k], z=given, theiler=theiler)[0].mean()
        assert found == pytest.approx(naive_ksg(x, y, k, z=given, theiler=theiler), abs=1e-12)


def test_theiler_with_rectangles_is_the_naive_one(pair) -> None:
    x, y = pair
    found = ksg_local_values(x, y, [4], algorithm=2, theiler=3)[0].mean()
    assert found == pytest.approx(naive_ksg(x, y, 4, 2, theiler=3), abs=1e-12)


def test_several_numbers_of_neighbors_and_chosen_rows(pair) -> None:
    x, y = pair
    ks, rows = [1, 4, 9], np.array([2, 50, 119])
    together = ksg_local_values(x, y, ks)
    for k, local in zip(ks, together, strict=True):
        np.testing.assert_array_equal(ksg_local_values(x, y, [k])[0], local)
    np.testing.assert_array_equal(ksg_local_values(x, y, ks, rows=rows), together[:, rows])


@pytest.mark.parametrize("algorithm", [1, 2])
def test_symmetry_and_permutations(pair, algorithm) -> None:
    x, y = pair
    value = ksg(x, y, k=4, algorithm=algorithm)
    assert ksg(y, x, k=4, algorithm=algorithm) == pytest.approx(value, abs=1e-12)
    assert ksg(x[:, ::-1], y[:, ::-1], k=4, algorithm=algorithm) == pytest.approx(value, abs=1e-12)
    order = np.random.default_rng(0).permutation(len(x))
    assert ksg(x[order], y[order], k=4, algorithm=algorithm) == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize("algorithm", [1, 2])
@pytest.mark.parametrize("rho", [0.0, 0.6, 0.9])
def test_ksg_finds_the_truth(algorithm, rho) -> None:
    x, y, mi = correlated_normal(4000, rho=rho, random_state=0)
    assert ksg(x, y, k=4, algorithm=algorithm) == pytest.approx(mi, abs=0.05)


def test_ties_are_refused_not_miscounted() -> None:
    x = np.repeat(np.arange(10.0), 6)
    with pytest.raises(TiedNeighborsError, match=r"must not repeat a row more than k times"):
        ksg(x, x + 1.0, k=3)
    with pytest.raises(TiedNeighborsError, match="equal rows, got more"):
        kozachenko_leonenko(x, k=5)
    with pytest.raises(TiedNeighborsError, match="must not repeat rows"):
        knn_divergence(x, x + 0.5, k=3)


@pytest.mark.parametrize("n", [300, 2000])
def test_tied_distances_are_no_information(n) -> None:
    """Rounding to two decimals ties many distances; strict counts alone add .06 nats."""
    off = []
    for seed in range(5):
        x, y, _ = correlated_normal(n, rho=0.8, random_state=seed)
        off.append(ksg(np.round(x, 2), np.round(y, 2), k=5) - ksg(x, y, k=5))
    assert abs(np.mean(off)) < 0.01


def test_parameters_are_checked() -> None:
    x = np.random.default_rng(0).standard_normal(20)
    with pytest.raises(ValueError, match=r"^k must be in \[1, 19\], got 20\. There are 20"):
        ksg(x, x**2, k=20)
    with pytest.raises(ValueError, match=r"^algorithm must be one of \[1, 2\], got 3"):
        ksg(x, x**2, algorithm=3)
    with pytest.raises(ValueError, match=r"^k must be in \[1, 19\], got 0"):
        kozachenko_leonenko(x, k=0)
    with pytest.raises(ValueError, match=r"^k must be in \[1, 9\], got 10\. There are 20 and 9"):
        knn_divergence(x, x[:9] + 1.0, k=10)
    with pytest.raises(ValueError, match=r"^x must be finite, got 1 "):
        ksg(np.r_[np.nan, x[1:]], x)
    for bad in (np.r_[np.nan, x[1:]], np.r_[np.inf, x[1:]]):
        with pytest.raises(ValueError, match=r"^x must be finite, got 1 "):
            knn_divergence(bad, x + 1.0)
    with pytest.raises(ValueError, match=r"^x and y must have the same number of columns"):
        knn_divergence(x, np.column_stack([x, x]))


# ------------------------------------------------------------------------------------- mixtures


def naive_mixed(x, y, k):
    """Gao et al. (2017), Algorithm 1 with digammas of strict counts."""
    n = len(x)
    apart_x, apart_y = max_distances(x), max_distances(y)
    joint = np.maximum(apart_x, apart_y)
    total = 0.0
    for i in range(n):
        radius = np.sort(np.delete(joint[i], i))[k - 1]
        if radius == 0.0:
            counts = [(apart[i] == 0.0).sum() for apart in (joint, apart_x, apart_y)]
            total += digamma(counts[0]) + digamma(n) - digamma(counts[1]) - digamma(counts[2])
        else:
            near_x, near_y = ((apart[i] < radius).sum() for apart in (apart_x, apart_y))
            near = (joint[i] < radius).sum()  # the sample itself and k - 1 others, but for ties
            total += digamma(near) + digamma(n) - digamma(near_x) - digamma(near_y)
    return total / n


def naive_ross(x, labels, k):
    """Ross (2014), eq. 6: neighbors of the own class, counted in all."""
    n, apart = len(x), max_distances(x)
    local = []
    for i in range(n):
        members = np.flatnonzero(labels == labels[i])
        own = np.sort(apart[i, members[members != i]])
        if not len(own):
            continue
        used = min(k, len(own))
        radius = own[used - 1]
        if radius == 0.0:
            together = (apart[i, members] == 0.0).sum()
            near = (apart[i] == 0.0).sum()
            local.append(digamma(together) + digamma(n) - digamma(near) - digamma(len(members)))
        else:
            near = (apart[i] < radius).sum()
            used = (own < radius).sum() + 1  # below k where distances are tied
            local.append(digamma(used) + digamma(n) - digamma(near) - digamma(len(members)))
    return np.mean(local)


@pytest.mark.parametrize("k", [1, 3, 8])
@pytest.mark.parametrize("d", [1, 3])
def test_mixed_on_labels_is_the_naive_one(k, d) -> None:
    rng = np.random.default_rng(k)
    labels = rng.choice(4, 150, p=[0.6, 0.3, 0.07, 0.03]).astype(np.int64)
    x = rng.standard_normal((150, d)) + labels[:, None]
    local = mixed_ksg_local_values(x, labels, [k])[0]
    assert np.nanmean(local) == pytest.approx(naive_ross(x, labels, k), abs=1e-12)


@pytest.mark.parametrize("k", [1, 3, 8])
def test_mixed_on_tied_features_is_the_naive_one(k) -> None:
    rng = np.random.default_rng(k)
    labels = rng.integers(0, 3, 150)
    x = np.round(rng.standard_normal((150, 1)) + labels[:, None])
    local = mixed_ksg_local_values(x, labels, [k])[0]
    assert np.nanmean(local) == pytest.approx(naive_ross(x, labels, k), abs=1e-12)


@pytest.mark.parametrize("k", [1, 3, 8])
@pytest.mark.parametrize("d", [1, 2])
def test_mixed_on_mixtures_is_the_naive_one(k, d) -> None:
    rng = np.random.default_rng(k)
    x = rng.standard_normal((150, d))
    y = x[:, :1] + rng.standard_normal((150, 1))
    zero = rng.random(150) < 0.4
    x[zero], y[zero] = 0.0, 0.0
    y[rng.random(150) < 0.2] = 1.0
    local = mixed_ksg_local_values(x, y, [k])[0]
    assert local.mean() == pytest.approx(naive_mixed(x, y, k), abs=1e-12)


def test_mixed_on_continuous_data_is_ksg() -> None:
    x, y, _ = correlated_normal(300, rho=0.7, random_state=0)
    np.testing.assert_allclose(
        mixed_ksg_local_values(x, y, [3]), ksg_local_values(x, y, [3]), atol=1e-12
    )


def test_mixed_on_discrete_data_is_the_plug_in_with_digammas() -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 3, (600, 1)).astype(float)
    y = np.where(rng.random((600, 1)) < 0.5, x, rng.integers(0, 3, (600, 1)))
    joint, of_x, of_y = ((max_distances(a) == 0.0).sum(axis=1) for a in (np.hstack([x, y]), x, y))
    expected = digamma(joint) + digamma(600) - digamma(of_x) - digamma(of_y)
    np.testing.assert_allclose(mixed_ksg_local_values(x, y, [3])[0], expected, atol=1e-12)


def test_lonely_samples_are_nan_in_local_values_only() -> None:
    labels = np.array([0, 0, 0, 1, 2, 2])
    local = mixed_ksg_local_values(np.arange(6.0)[:, None], labels, [2])[0]
    np.testing.assert_array_equal(np.isnan(local), labels == 1)


# -------------------------------------------------------------------------------------- entropy


def naive_entropy(x, k):
    n, d = x.shape
    apart = np.sqrt(((x[:, None] - x[None]) ** 2).sum(axis=2))
    radius = np.sort(apart, axis=1)[:, k]
    ball = 0.5 * d * math.log(math.pi) - gammaln(0.5 * d + 1.0)
    return math.log(n - 1) - digamma(k) + ball + d * np.log(radius).mean()


@pytest.mark.parametrize("d", [1, 2, 5, 20])
@pytest.mark.parametrize("k", [1, 4, 99])
def test_entropy_is_the_naive_one(d, k) -> None:
    x = np.random.default_rng(d).standard_normal((100, d))
    assert kozachenko_leonenko(x, k=k) == pytest.approx(naive_entropy(x, k), abs=1e-10)


@pytest.mark.parametrize(
    ("draw", "truth"),
    [
        (lambda rng: rng.standard_normal((4000, 1)), 0.5 * math.log(2 * math.pi * math.e)),
        (lambda rng: rng.random((4000, 1)), 0.0),
        (lambda rng: rng.exponential(size=(4000, 1)), 1.0),
        (lambda rng: rng.laplace(size=(4000, 1)), 1.0 + math.log(2.0)),
        (lambda rng: 0.1 * rng.random((4000, 2)), 2.0 * math.log(0.1)),
        (lambda rng: rng.standard_normal((4000, 3)), 1.5 * math.log(2 * math.pi * math.e)),
    ],
)
def test_entropy_in_closed_form(draw, truth) -> None:
    x = draw(np.random.default_rng(0))
    assert kozachenko_leonenko(x, k=4) == pytest.approx(truth, abs=0.08)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("scale", [1e-9, 3.0, 1e9])
def test_entropy_of_scaled_data(scale, weighted) -> None:
    x = np.random.default_rng(1).standard_normal((300, 4))
    moved = kozachenko_leonenko(scale * x + 7.0 * scale, k=20, weighted=weighted)
    expected = kozachenko_leonenko(x, k=20, weighted=weighted) + 4 * math.log(scale)
    assert moved == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("d", [1, 2, 4, 7])
def test_one_weighted_neighbor_is_the_plain_one(d) -> None:
    x = np.random.default_rng(2).standard_normal((200, d))
    if d < 4:
        plain = kozachenko_leonenko(x, k=1)
        assert kozachenko_leonenko(x, k=1, weighted=True) == pytest.approx(plain, abs=1e-12)
    else:  # one weight cannot cancel a bias term: the estimator falls back, the formula says so
        with pytest.raises(ValueError, match=rf"^k must be large enough .* in {d} .*, got 1"):
            kozachenko_leonenko(x, k=1, weighted=True)


@pytest.mark.parametrize(("k", "d"), [(5, 1), (5, 3), (10, 4), (20, 5), (40, 8), (60, 12)])
def test_weights_satisfy_their_equations(k, d) -> None:
    weights = neighbor_weights(k, d)
    assert weights.shape == (k,)
    assert weights.sum() == pytest.approx(1.0, abs=1e-9)
    j = np.arange(1, k + 1)
    for order in range(1, d // 4 + 1):
        terms = np.exp(gammaln(j + 2.0 * order / d) - gammaln(j))
        assert weights @ terms == pytest.approx(0.0, abs=1e-7 * np.abs(weights * terms).sum())
    support = {i * k // d for i in range(1, d + 1)} - {0}
    assert set(np.flatnonzero(weights) + 1) <= support


def test_weights_below_four_dimensions_are_even_and_impossible_ones_refused() -> None:
    np.testing.assert_allclose(neighbor_weights(6, 3), [0, 1 / 3, 0, 1 / 3, 0, 1 / 3], atol=1e-12)
    with pytest.raises(ValueError, match=r"^k must be large enough for weights in 8 .*, got 1"):
        neighbor_weights(1, 8)


def test_weights_lower_the_bias_in_four_dimensions() -> None:
    truth = 2.0 * math.log(2 * math.pi * math.e)
    draws = [np.random.default_rng(seed).standard_normal((4000, 4)) for seed in range(3)]
    plain, weighted = (
        np.mean([kozachenko_leonenko(x, k=10, weighted=weighted) for x in draws]) - truth
        for weighted in (False, True)
    )
    assert abs(weighted) < 0.6 * abs(plain)


def test_as_many_equal_rows_as_neighbors_are_no_trouble() -> None:
    """The distance to the fifth neighbor is positive although some rows stand twice."""
    x = np.random.default_rng(3).standard_normal((100, 2))
    x[:5] = x[50]
    assert kozachenko_leonenko(x, k=6) == pytest.approx(naive_entropy(x, 6), abs=1e-10)
    with pytest.raises(TiedNeighborsError, match=r"^x must have at most 5 equal rows, got more"):
        kozachenko_leonenko(x, k=5)


# ----------------------------------------------------------------------------------- divergence


@pytest.mark.parametrize("d", [1, 3])
@pytest.mark.parametrize("k", [1, 5])
def test_divergence_is_the_naive_one(d, k) -> None:
    rng = np.random.default_rng(d)
    x, y = rng.standard_normal((80, d)), 0.5 + 1.5 * rng.standard_normal((110, d))
    own = np.sort(np.linalg.norm(x[:, None] - x[None], axis=2), axis=1)[:, k]
    other = np.sort(np.linalg.norm(x[:, None] - y[None], axis=2), axis=1)[:, k - 1]
    expected = d * np.log(other / own).mean() + math.log(110 / 79)
    assert knn_divergence(x, y, k=k) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize(("shift", "scale"), [(0.0, 1.0), (1.0, 1.0), (0.0, 2.0), (1.0, 2.0)])
def test_divergence_in_closed_form(shift, scale) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal(5000), shift + scale * rng.standard_normal(4000)
    truth = math.log(scale) + (1.0 + shift**2) / (2.0 * scale**2) - 0.5
    assert knn_divergence(x, y, k=5) == pytest.approx(truth, abs=0.08)
