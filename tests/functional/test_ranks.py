"""Ranks, normal scores and the spreading of ties."""

from __future__ import annotations

import numpy as np
import pytest

from infoest.functional.ranks import mid_ranks, normal_scores, repeated_share, spread_ties


@pytest.mark.parametrize("seed", range(3))
def test_mid_ranks_are_scipys(seed) -> None:
    from scipy.stats import rankdata

    rng = np.random.default_rng(seed)
    x = np.column_stack(
        [
            rng.standard_normal(200),
            rng.integers(0, 7, 200),
            np.full(200, 3.0),
            rng.random(200) > 0.9,
        ]
    )
    np.testing.assert_array_equal(mid_ranks(x), rankdata(x, axis=0, method="average"))


def test_mid_ranks_of_signed_zeros_and_extremes() -> None:
    x = np.array([[0.0], [-0.0], [1e308], [-1e308], [5e-324]])
    assert mid_ranks(x).ravel().tolist() == [2.5, 2.5, 5.0, 1.0, 4.0]


def test_normal_scores_are_quantiles_of_ranks() -> None:
    from scipy.stats import norm

    x = np.random.default_rng(0).standard_normal((101, 2))
    scores = normal_scores(x)
    order = np.argsort(x[:, 0])
    np.testing.assert_allclose(scores[order, 0], norm.ppf((np.arange(101) + 0.5) / 101), atol=1e-12)
    assert scores[order[50], 0] == 0.0
    np.testing.assert_array_equal(np.argsort(scores, axis=0), np.argsort(x, axis=0))


@pytest.mark.parametrize("increasing", [np.exp, np.arctan, lambda x: x**3, lambda x: 1e9 + 5 * x])
def test_normal_scores_do_not_see_increasing_maps(increasing) -> None:
    x = np.random.default_rng(1).standard_normal((300, 2))
    np.testing.assert_array_equal(normal_scores(increasing(x)), normal_scores(x))


def test_normal_scores_share_those_of_ties() -> None:
    scores = normal_scores(np.array([[1.0], [2.0], [2.0], [5.0]]))
    assert scores[1] == scores[2] == 0.0
    assert scores[0] == -scores[3]


@pytest.mark.parametrize("scale", [1.0, 1e-12, 1e12])
def test_spread_ties_keeps_the_order_and_the_original_can_be_read_off(scale) -> None:
    rng = np.random.default_rng(2)
    x = scale * np.column_stack([rng.integers(0, 9, 400), np.round(rng.standard_normal(400), 1)])
    before = x.copy()
    spread = spread_ties(x, np.random.default_rng(0))
    np.testing.assert_array_equal(x, before)
    for column, original in zip(spread.T, x.T, strict=True):
        order = np.argsort(column, kind="stable")
        assert (np.diff(original[order]) >= 0).all(), "a spread value passed another level"
        levels = np.unique(original)
        nearest = levels[np.abs(column[:, None] - levels).argmin(axis=1)]
        np.testing.assert_array_equal(nearest, original)
        assert len(np.unique(column)) == len(column)


def test_spread_ties_leaves_single_values_and_other_columns() -> None:
    rng = np.random.default_rng(3)
    x = np.column_stack([rng.standard_normal(50), np.r_[np.zeros(20), 1.0 + np.arange(30.0)]])
    spread = spread_ties(x, np.random.default_rng(0))
    np.testing.assert_array_equal(spread[:, 0], x[:, 0])
    np.testing.assert_array_equal(spread[20:, 1], x[20:, 1])
    assert len(np.unique(spread[:20, 1])) == 20
    assert (np.abs(spread[:20, 1]) <= 0.5).all()


def test_spread_integers_are_uniform_on_their_cells() -> None:
    x = np.random.default_rng(4).integers(0, 5, (20_000, 1)).astype(float)
    inside = spread_ties(x, np.random.default_rng(0)) - x
    assert inside.min() < -0.49
    assert inside.max() > 0.49
    assert abs(inside.mean()) < 0.01
    assert inside.var() == pytest.approx(1.0 / 12.0, rel=0.03)


def test_spread_ties_is_a_function_of_the_generator() -> None:
    x = np.repeat(np.arange(4.0), 5)[:, None]
    first, second = (spread_ties(x, np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_repeated_share_is_that_of_the_worst_column() -> None:
    x = np.column_stack([np.arange(10.0), np.r_[np.zeros(4), np.arange(1.0, 7.0)]])
    assert repeated_share(x) == pytest.approx(3.0 / 9.0, abs=0.05)
    assert repeated_share(x[:, :1]) == 0.0
    assert repeated_share(x[:1]) == 0.0
    assert repeated_share(np.zeros((5, 1))) >= 0.8
