"""Gaussian formulas: closed forms, the chain rule, and the exact bias."""

from __future__ import annotations

import numpy as np
import pytest

from infoest._validation import standardized
from infoest.functional.gaussian import (
    canonical,
    gaussian_bias,
    gaussian_local_values,
    gaussian_mutual_information,
    rank_bias,
)


def plug_in(x, y, z=None) -> float:
    parts = [standardized(part) for part in ((x, y) if z is None else (x, y, z))]
    return gaussian_mutual_information(canonical(*parts).correlations)


def log_determinant(*parts) -> float:
    joint = np.hstack([standardized(part) for part in parts])
    return float(np.linalg.slogdet(joint.T @ joint / len(joint))[1])


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((7, 7))
    joint = rng.standard_normal((400, 7)) @ mixing
    return joint[:, :2], joint[:, 2:4], joint[:, 4:]


def test_plug_in_is_the_ratio_of_determinants(data) -> None:
    x, y, z = data
    expected = 0.5 * (log_determinant(x) + log_determinant(y) - log_determinant(x, y))
    assert plug_in(x, y) == pytest.approx(expected, abs=1e-10)
    conditional = 0.5 * (
        log_determinant(x, z)
        + log_determinant(y, z)
        - log_determinant(x, y, z)
        - log_determinant(z)
    )
    assert plug_in(x, y, z) == pytest.approx(conditional, abs=1e-10)


def test_one_column_a_side_is_the_correlation() -> None:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((300, 1))
    y = x + rng.standard_normal((300, 1))
    rho = np.corrcoef(x[:, 0], y[:, 0])[0, 1]
    assert plug_in(x, y) == pytest.approx(-0.5 * np.log(1.0 - rho**2), abs=1e-12)


def test_chain_rule(data) -> None:
    x, y, z = data
    assert plug_in(x, np.hstack([y, z])) == pytest.approx(
        plug_in(x, z) + plug_in(x, y, z), abs=1e-9
    )
    assert plug_in(np.hstack([x, y]), z) == pytest.approx(
        plug_in(y, z) + plug_in(x, z, y), abs=1e-9
    )


def test_symmetry_and_linear_maps(data) -> None:
    x, y, z = data
    rng = np.random.default_rng(2)
    assert plug_in(x, y) == pytest.approx(plug_in(y, x), abs=1e-12)
    mapped = [part @ rng.standard_normal((part.shape[1],) * 2) + 5.0 for part in (x, y, z)]
    assert plug_in(*mapped) == pytest.approx(plug_in(x, y, z), abs=1e-8)


def test_conditional_in_closed_form() -> None:
    """X = Z + E, Y = Z + aE + F: given Z the correlation is a / sqrt(1 + a^2)."""
    rng = np.random.default_rng(3)
    z, e, f = rng.standard_normal((3, 50_000, 1))
    a = 0.75
    truth = -0.5 * np.log(1.0 - a**2 / (1.0 + a**2))
    assert plug_in(z + e, z + a * e + f, z) == pytest.approx(truth, abs=0.01)
    assert abs(plug_in(z + e, z + f, z)) < 1e-3


def test_duplicated_and_collinear_columns_only_lower_the_rank(data) -> None:
    x, y, _ = data
    twice = np.hstack([x, x, x[:, :1] + x[:, 1:]])
    found = canonical(standardized(twice), standardized(y))
    assert (found.rank_x, found.rank_y) == (2, 2)
    assert gaussian_mutual_information(found.correlations) == pytest.approx(plug_in(x, y), abs=1e-9)


def test_a_condition_that_explains_everything_leaves_nothing() -> None:
    rng = np.random.default_rng(4)
    z = rng.standard_normal((200, 2))
    x = z @ np.array([[1.0], [2.0]])
    found = canonical(standardized(x), standardized(rng.standard_normal((200, 1))), standardized(z))
    assert found.rank_x == 0
    assert len(found.correlations) == 0
    assert gaussian_mutual_information(found.correlations) == 0.0


def test_variates_are_white_and_paired(data) -> None:
    x, y, z = data
    found = canonical(standardized(x), standardized(y), standardized(z))
    n = len(x)
    np.testing.assert_allclose(found.x.T @ found.x / n, np.eye(2), atol=1e-10)
    np.testing.assert_allclose(found.y.T @ found.y / n, np.eye(2), atol=1e-10)
    np.testing.assert_allclose(found.x.T @ found.y / n, np.diag(found.correlations), atol=1e-10)
    np.testing.assert_allclose(found.x.T @ standardized(z) / n, 0.0, atol=1e-10)


def test_local_values_average_to_the_plug_in(data) -> None:
    x, y, z = data
    for parts in ((x, y), (x, y, z)):
        found = canonical(*(standardized(part) for part in parts))
        local = gaussian_local_values(found)
        assert local.shape == (len(x),)
        assert local.mean() == pytest.approx(
            gaussian_mutual_information(found.correlations), abs=1e-9
        )


def test_local_values_are_log_density_ratios() -> None:
    from scipy.stats import multivariate_normal, norm

    rng = np.random.default_rng(5)
    x = rng.standard_normal((100, 1))
    y = 0.7 * x + rng.standard_normal((100, 1))
    x, y = standardized(x), standardized(y)
    rho = float(np.mean(x * y))
    joint = multivariate_normal(cov=[[1.0, rho], [rho, 1.0]])
    expected = joint.logpdf(np.hstack([x, y])) - norm.logpdf(x[:, 0]) - norm.logpdf(y[:, 0])
    np.testing.assert_allclose(gaussian_local_values(canonical(x, y)), expected, atol=1e-10)


@pytest.mark.parametrize(("n", "d_x", "d_y", "d_z"), [(10, 1, 1, 0), (20, 2, 3, 0), (20, 2, 2, 4)])
def test_bias_is_exact_at_independence(n, d_x, d_y, d_z) -> None:
    rng = np.random.default_rng(6)
    values = []
    for _ in range(1500):
        parts = [rng.standard_normal((n, d)) for d in (d_x, d_y, d_z) if d]
        values.append(plug_in(*parts))
    error = np.std(values) / np.sqrt(len(values))
    assert np.mean(values) == pytest.approx(gaussian_bias(n, d_x, d_y, d_z), abs=4.0 * error)


def test_bias_is_known_to_first_order() -> None:
    assert gaussian_bias(10_000, 3, 2) == pytest.approx(6 / 20_000, rel=0.01)
    assert gaussian_bias(50, 2, 3) == gaussian_bias(50, 3, 2)
    assert gaussian_bias(50, 2, 3, 10) == pytest.approx(gaussian_bias(40, 2, 3), rel=1e-12)


def test_more_columns_than_rows_are_shrunk_and_regular() -> None:
    rng = np.random.default_rng(7)
    x, y = standardized(rng.standard_normal((20, 30))), standardized(rng.standard_normal((20, 15)))
    found = canonical(x, y)
    assert 0.0 < found.shrinkage <= 1.0
    assert (found.correlations < 1.0 - 1e-3).all()
    assert np.isfinite(gaussian_mutual_information(found.correlations))


def test_rank_bias_pulls_down_and_vanishes() -> None:
    assert rank_bias(100, np.array([0.0])) == 0.0
    assert rank_bias(100, np.array([0.9])) < rank_bias(100, np.array([0.5])) < 0.0
    assert abs(rank_bias(10**6, np.array([0.9]))) < 1e-4
