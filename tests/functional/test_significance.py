"""P-values: what they are, that they are uniform at independence, and early stopping."""

from __future__ import annotations

import numpy as np
import pytest

from infoest.functional.significance import (
    LOCAL_NEIGHBORS,
    MAX_EXCEEDANCES,
    WINDOW_BINS,
    WINDOW_REACH,
    conditional_rearrangements,
    permutation_p_value,
    rearrangements,
    window_codes,
    window_p_value,
    window_statistic,
)


def from_list(values):
    """A statistic that gives these values in turn."""
    remaining = iter(values)
    return lambda order: next(remaining)


def orders(number, n=10):
    return rearrangements(n, number, np.random.default_rng(0), shifts=False)


def test_p_value_counts_exceedances_and_is_never_zero() -> None:
    assert permutation_p_value(10, from_list([1.0] + [0.0] * 19), orders(19)) == 1 / 20
    assert permutation_p_value(10, from_list([1.0] + [0.0] * 17 + [2.0, 3.0]), orders(19)) == 3 / 20
    assert permutation_p_value(10, from_list([1.0] + [1.0] + [0.0] * 18), orders(19)) == 2 / 20


def test_equal_up_to_rounding_counts_as_reached() -> None:
    assert permutation_p_value(10, from_list([1e6] + [1e6 - 1e-9] + [0.0] * 8), orders(9)) == 2 / 10


def test_early_stopping_at_the_tenth_exceedance() -> None:
    assert MAX_EXCEEDANCES == 10
    values = [0.0, 2.0] * 100
    assert permutation_p_value(10, from_list([1.0, *values]), orders(200)) == 10 / 20
    assert permutation_p_value(10, from_list([1.0] + [2.0] * 200), orders(200)) == 1.0
    drawn = []

    def statistic(order):
        drawn.append(order)
        return 2.0

    permutation_p_value(10, statistic, orders(200))
    assert len(drawn) == 1 + 10


@pytest.mark.parametrize("shifts", [False, True])
def test_rearrangements_are_orders(shifts) -> None:
    found = list(rearrangements(40, 30, np.random.default_rng(0), shifts=shifts))
    assert len(found) == 30
    for order in found:
        assert sorted(order) == list(range(40))
        steps = np.diff(order) % 40
        assert (steps == 1).all() == shifts
        if shifts:
            assert 5 <= (-order[0]) % 40 <= 35
    assert len({tuple(order) for order in found}) > 10


def test_window_codes_are_bins_of_equal_count() -> None:
    x = np.random.default_rng(0).standard_normal((640, 1))
    codes = window_codes(x)
    assert (np.bincount(codes, minlength=WINDOW_BINS) == 10).all()
    assert (np.diff(codes[np.argsort(x[:, 0])]) >= 0).all()
    np.testing.assert_array_equal(window_codes(np.exp(x)), codes)


@pytest.mark.parametrize("n", [7, 64, 500])
@pytest.mark.parametrize("ties", [False, True])
def test_window_statistic_is_the_naive_count(n, ties) -> None:
    rng = np.random.default_rng(n)
    x, y = rng.standard_normal((2, n, 1))
    if ties:
        x, y = np.round(x, 1), np.round(y)
    codes_x, codes_y = window_codes(x), window_codes(y)
    near = (np.abs(codes_x[:, None] - codes_x) <= WINDOW_REACH) & (
        np.abs(codes_y[:, None] - codes_y) <= WINDOW_REACH
    )
    expected = float(np.log(near.sum(axis=1)).sum())
    assert window_statistic(codes_x, codes_y) == pytest.approx(expected, abs=1e-9)


def test_window_p_values_are_uniform_at_independence() -> None:
    p_values = []
    for seed in range(400):
        rng = np.random.default_rng(seed)
        x, y = rng.standard_normal((2, 120, 1))
        p_values.append(window_p_value(x, y, rearrangements(120, 60, rng, shifts=False)))
    p_values = np.array(p_values)
    # Four standard errors of a uniform mean; of a share of 3 / 61 (p <= .05 of 60 orders).
    assert abs(p_values.mean() - 0.5) < 4.0 * np.sqrt(1.0 / 12.0 / 400.0) + 1.0 / 61.0
    share = np.mean(p_values <= 0.05)
    assert share < 0.05 + 3.0 * np.sqrt(0.05 * 0.95 / 400.0)
    assert share > 0.05 - 3.5 * np.sqrt(0.05 * 0.95 / 400.0)


@pytest.mark.parametrize(
    "law",
    [
        lambda x, rng: 0.5 * x + rng.standard_normal(x.shape),
        lambda x, rng: x**2 + 0.5 * rng.standard_normal(x.shape),
        lambda x, rng: np.sin(2.0 * x) + 0.3 * rng.standard_normal(x.shape),
        lambda x, rng: x * rng.standard_normal(x.shape),
    ],
)
def test_window_p_values_are_small_under_dependence(law) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((500, 1))
    p_value = window_p_value(x, law(x, rng), rearrangements(500, 99, rng, shifts=False))
    assert p_value == 0.01


def test_shifts_keep_the_level_on_autocorrelated_rows_where_permutations_do_not() -> None:
    shares = {}
    for shifts in (False, True):
        rejected = 0
        for seed in range(120):
            rng = np.random.default_rng(seed)
            noise = rng.standard_normal((400, 2))
            for t in range(1, 400):
                noise[t] += 0.95 * noise[t - 1]
            order = rearrangements(400, 40, rng, shifts=shifts)
            rejected += window_p_value(noise[:, :1], noise[:, 1:], order) <= 0.05
        shares[shifts] = rejected / 120
    assert shares[False] > 0.3
    assert shares[True] < 0.15


def test_conditional_rearrangements_stay_inside_classes() -> None:
    labels = np.random.default_rng(0).integers(0, 4, 200)
    for order in conditional_rearrangements(labels, 20, np.random.default_rng(1)):
        assert sorted(order) == list(range(200))
        np.testing.assert_array_equal(labels[order], labels)
        assert (order != np.arange(200)).mean() > 0.8


def test_conditional_rearrangements_stay_among_neighbors() -> None:
    z = np.random.default_rng(2).standard_normal((200, 2))
    apart = np.abs((z[:, None] - z) / z.std(axis=0)).max(axis=2)
    near = np.argsort(apart, axis=1)[:, :LOCAL_NEIGHBORS]
    for order in conditional_rearrangements(z, 20, np.random.default_rng(3)):
        assert all(order[i] in near[i] for i in range(200))
        assert len(set(order)) > 170, "rows are used once where that is possible"


@pytest.mark.parametrize("kind", ["labels", "samples"])
def test_conditional_p_values_hold_their_level(kind) -> None:
    """A common driver z is the only dependence; the statistic is a plain correlation."""
    p_values = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        z = rng.integers(0, 3, 150) if kind == "labels" else rng.standard_normal((150, 1))
        driver = np.asarray(z, dtype=float).ravel()
        x, y = (driver + rng.standard_normal(150) for _ in range(2))
        p_values.append(
            permutation_p_value(
                150,
                lambda order, x=x, y=y: abs(np.corrcoef(x, y[order])[0, 1]),
                conditional_rearrangements(z, 39, rng),
            )
        )
    p_values = np.array(p_values)
    assert 0.4 < p_values.mean() < 0.62
    assert np.mean(p_values <= 0.05) < 0.05 + 3.0 * np.sqrt(0.05 * 0.95 / 200.0) + 0.01
