"""Surrogates: the data's own columns, a known answer, and nothing else of the data."""

from __future__ import annotations

import numpy as np
import pytest

from infoest.datasets import correlated_normal
from infoest.functional.surrogates import ClassSurrogate, CopulaSurrogate


def normal_parts(n=3000, rho=0.7, seed=0):
    x, y, mi = correlated_normal(n, rho=rho, dim=2, random_state=seed)
    return np.exp(x), y**3, mi


def test_copula_surrogate_keeps_every_column_and_knows_its_information() -> None:
    x, y, mi = normal_parts()
    surrogate = CopulaSurrogate.of_pair(x, y)
    assert surrogate is not None
    assert surrogate.truth == pytest.approx(mi, abs=0.06)
    drawn = surrogate.draw(np.random.default_rng(0))
    for original, copy in zip((x, y), drawn, strict=True):
        assert copy.shape == original.shape
        np.testing.assert_array_equal(np.sort(copy, axis=0), np.sort(original, axis=0))
        assert not np.array_equal(copy, original)
    # Its law has that information: the copula of a fresh draw says so.
    again = CopulaSurrogate.of_pair(*drawn)
    assert again is not None
    assert again.truth == pytest.approx(surrogate.truth, abs=0.06)


def test_variance_is_that_of_the_truth_over_data_sets() -> None:
    fitted = [CopulaSurrogate.of_pair(*normal_parts(300, 0.6, seed)[:2]) for seed in range(150)]
    truths = [one.truth for one in fitted]
    assert np.var(truths) == pytest.approx(np.mean([one.variance for one in fitted]), rel=0.5)


def test_independent_data_have_truth_near_zero_and_never_below() -> None:
    rng = np.random.default_rng(1)
    truths = [CopulaSurrogate.of_pair(*rng.standard_normal((2, 200, 2))).truth for _ in range(50)]
    assert min(truths) >= 0.0
    assert np.mean(truths) < 0.01


def test_dependence_that_is_no_copula_dependence_is_not_kept() -> None:
    rng = np.random.default_rng(2)
    x = rng.standard_normal((2000, 1))
    surrogate = CopulaSurrogate.of_pair(x, x**2)
    assert surrogate.truth < 0.02
    copy_x, copy_y = surrogate.draw(rng)
    assert abs(np.corrcoef(copy_x[:, 0] ** 2, copy_y[:, 0])[0, 1]) < 0.1


def test_condition_keeps_what_it_explains() -> None:
    rng = np.random.default_rng(3)
    z = rng.standard_normal((4000, 1))
    x, y = z + rng.standard_normal((4000, 1)), z + rng.standard_normal((4000, 1))
    surrogate = CopulaSurrogate.of_pair(x, y, z)
    assert surrogate.truth < 0.005
    drawn = surrogate.draw(rng)
    assert len(drawn) == 3
    assert np.corrcoef(drawn[0][:, 0], drawn[1][:, 0])[0, 1] == pytest.approx(0.5, abs=0.06)
    assert np.corrcoef(drawn[0][:, 0], drawn[2][:, 0])[0, 1] == pytest.approx(0.707, abs=0.05)


def test_columns_surrogate_knows_its_total_correlation() -> None:
    rng = np.random.default_rng(4)
    x = rng.standard_normal((4000, 3))
    x[:, 1] += x[:, 0]
    surrogate = CopulaSurrogate.of_columns(x)
    truth = -0.5 * np.linalg.slogdet(np.corrcoef(x.T))[1]
    assert surrogate.truth == pytest.approx(truth, abs=0.03)
    (copy,) = surrogate.draw(rng)
    np.testing.assert_array_equal(np.sort(copy, axis=0), np.sort(x, axis=0))


def test_too_few_rows_have_no_surrogate() -> None:
    rng = np.random.default_rng(5)
    assert CopulaSurrogate.of_pair(*rng.standard_normal((2, 10, 6))) is None
    assert CopulaSurrogate.of_columns(rng.standard_normal((10, 10))) is None
    assert ClassSurrogate.of_classes(rng.standard_normal((10, 10)), np.arange(10) % 2, rng) is None


def test_duplicated_columns_have_a_surrogate() -> None:
    x, y, mi = normal_parts(1000)
    surrogate = CopulaSurrogate.of_pair(np.hstack([x, x]), y)
    assert surrogate is not None
    assert surrogate.truth == pytest.approx(mi, abs=0.15)
    assert all(np.isfinite(part).all() for part in surrogate.draw(np.random.default_rng(0)))


def test_class_surrogate_knows_its_information() -> None:
    """Two unit normals at -m and m: log 2 - E log(1 + exp(-2 m u)), u ~ N(m, 1)."""
    rng = np.random.default_rng(6)
    labels = rng.integers(0, 2, 4000)
    x = (2.0 * labels - 1.0)[:, None] * 0.5 + rng.standard_normal((4000, 1))
    u = 0.5 + np.random.default_rng(0).standard_normal(200_000)
    truth = np.log(2.0) - np.log1p(np.exp(-1.0 * u)).mean()
    surrogate = ClassSurrogate.of_classes(x, labels, rng)
    assert surrogate.truth == pytest.approx(truth, abs=0.01)
    copy, same_labels = surrogate.draw(rng)
    np.testing.assert_array_equal(same_labels, labels)
    np.testing.assert_array_equal(np.sort(copy, axis=0), np.sort(x, axis=0))
    assert copy[labels == 1].mean() == pytest.approx(x[labels == 1].mean(), abs=0.1)


def test_class_surrogate_of_unrelated_labels_is_near_zero() -> None:
    rng = np.random.default_rng(7)
    truths = [
        ClassSurrogate.of_classes(rng.standard_normal((500, 2)), rng.integers(0, 3, 500), rng).truth
        for _ in range(20)
    ]
    assert min(truths) >= 0.0
    assert np.mean(truths) < 0.01
