"""Samplers with a closed form: the law of the samples, the value, the limits of the arguments."""

import numpy as np
import pytest
from scipy.stats import gamma, kstest, lomax, multivariate_t, norm, t, uniform

from infoest.datasets import (
    additive_uniform,
    correlated_normal,
    correlated_uniform,
    dense_normal,
    discrete_table,
    gamma_exponential,
    joint_normal,
    multivariate_student,
    sparse_normal,
)

N = 20_000


def correlations(sample):
    return np.corrcoef(np.hstack([sample.x, sample.y]), rowvar=False)


def assert_mean_is_the_information(log_density_ratio, mi):
    """Compare the mean of the log density ratio of samples with the value that goes with them."""
    error = log_density_ratio.std() / np.sqrt(len(log_density_ratio))
    assert log_density_ratio.mean() == pytest.approx(mi, abs=5.0 * error)
    assert error < 0.03


@pytest.mark.parametrize(
    ("sampler", "options", "dim_x", "dim_y"),
    [
        (correlated_normal, {}, 1, 1),
        (correlated_normal, {"mi": 2.0, "dim": 4}, 4, 4),
        (joint_normal, {"covariance": np.eye(3), "dim_x": 1}, 1, 2),
        (dense_normal, {"dim_x": 2, "dim_y": 3}, 2, 3),
        (sparse_normal, {"dim_x": 4, "dim_y": 2}, 4, 2),
        (multivariate_student, {"dim_x": 2, "dim_y": 3}, 2, 3),
        (additive_uniform, {}, 1, 1),
        (correlated_uniform, {"dim": 2}, 2, 2),
        (gamma_exponential, {}, 1, 1),
        (discrete_table, {"table": [[0.2, 0.3], [0.5, 0.0]]}, 1, 1),
    ],
)
def test_samplers_agree_on_shape_type_and_seed(sampler, options, dim_x, dim_y):
    sample = sampler(30, **options, random_state=5)
    x, y, mi = sample
    assert x.shape == (30, dim_x)
    assert y.shape == (30, dim_y)
    assert x.dtype == y.dtype == (np.int64 if sampler is discrete_table else np.float64)
    assert type(mi) is float
    again = sampler(30, **options, random_state=5)
    assert np.array_equal(x, again.x)
    assert np.array_equal(y, again.y)
    other = sampler(30, **options, random_state=6)
    assert not np.array_equal(x, other.x)
    assert mi == other.mi
    with pytest.raises(ValueError, match="n must be an integer of at least 1, got 0"):
        sampler(0, **options)
    with pytest.raises(TypeError, match=r"n must be an integer .* got 2\.5"):
        sampler(2.5, **options)
    with pytest.raises(ValueError, match="random_state must be a non-negative integer"):
        sampler(3, **options, random_state=-1)


# ------------------------------------------------------------------------------------- normals


@pytest.mark.parametrize("rho", [-0.9, 0.0, 0.5, 0.99])
def test_correlated_normal_has_the_correlation_and_its_information(rho):
    sample = correlated_normal(N, rho=rho, dim=2, random_state=0)
    expected = np.eye(4)
    expected[[0, 1, 2, 3], [2, 3, 0, 1]] = rho
    assert np.allclose(correlations(sample), expected, atol=0.03)
    assert sample.mi == pytest.approx(-np.log(1.0 - rho**2), abs=1e-12)
    assert str(sample.mi) != "-0.0"
    assert kstest(sample.y[:, 0], norm.cdf).pvalue > 0.01


@pytest.mark.parametrize("mi", [0.0, 1e-6, 0.1, 2.0, 10.0])
@pytest.mark.parametrize("dim", [1, 3])
def test_correlated_normal_turns_information_into_correlation(mi, dim):
    sample = correlated_normal(N, mi=mi, dim=dim, random_state=0)
    assert sample.mi == mi
    rho = np.sqrt(1.0 - np.exp(-2.0 * mi / dim))
    for column in range(dim):
        empirical = np.corrcoef(sample.x[:, column], sample.y[:, column])[0, 1]
        assert empirical == pytest.approx(rho, abs=4.0 / np.sqrt(N))
    if mi >= 0.1:
        same = correlated_normal(N, rho=rho, dim=dim, random_state=0)
        assert same.mi == pytest.approx(mi, rel=1e-6)
        assert np.allclose(same.y, sample.y, atol=1e-6)


def test_correlated_normal_keeps_strong_dependence():
    x, y, mi = correlated_normal(1000, mi=25.0, random_state=0)
    assert mi == 25.0
    assert np.std(y - x) == pytest.approx(np.exp(-25.0), rel=0.1)


def test_correlated_normal_without_either_has_correlation_one_half():
    assert correlated_normal(5).mi == pytest.approx(-0.5 * np.log(0.75))


def test_joint_normal_has_the_covariance_and_its_information():
    root = np.array([[1.0, 0.2, 0.0], [-0.5, 2.0, 0.3], [0.7, 0.0, 1.5]])
    covariance = root @ root.T
    sample = joint_normal(N, covariance=covariance, dim_x=2, random_state=0)
    empirical = np.cov(np.hstack([sample.x, sample.y]), rowvar=False)
    assert np.allclose(empirical, covariance, atol=0.15)
    determinants = [np.linalg.det(covariance[:2, :2]), covariance[2, 2], np.linalg.det(covariance)]
    expected = 0.5 * np.log(determinants[0] * determinants[1] / determinants[2])
    assert sample.mi == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("correlation", [0.5, -0.15, 0.0])
def test_dense_normal_correlates_all_columns_alike(correlation):
    sample = dense_normal(N, dim_x=2, dim_y=3, correlation=correlation, random_state=0)
    expected = np.full((5, 5), correlation)
    np.fill_diagonal(expected, 1.0)
    assert np.allclose(correlations(sample), expected, atol=0.03)


def test_sparse_normal_correlates_two_pairs_only():
    sample = sparse_normal(N, dim_x=4, dim_y=3, random_state=0)
    expected = np.eye(7)
    for i in range(2):
        expected[i, 4 + i] = expected[4 + i, i] = 0.8
    assert np.allclose(correlations(sample), expected, atol=0.03)
    assert np.allclose(np.var(sample.x, axis=0), 1.0, atol=0.05)
    assert sample.mi == pytest.approx(-np.log(1.0 - 0.8**2), abs=1e-12)


def test_sparse_normal_of_other_strength():
    sample = sparse_normal(N, dim_x=3, dim_y=3, interacting=1, strength=1.0, random_state=0)
    assert correlations(sample)[0, 3] == pytest.approx(0.5, abs=0.03)
    assert sample.mi == pytest.approx(-0.5 * np.log(0.75), abs=1e-12)


# ------------------------------------------------------------------------- heavy tails, uniforms


@pytest.mark.parametrize(("dim_x", "dim_y", "freedom"), [(1, 1, 1.0), (2, 3, 2.0), (5, 5, 3.0)])
def test_student_samples_have_the_density_whose_information_is_given(dim_x, dim_y, freedom):
    x, y, mi = multivariate_student(
        N, dim_x=dim_x, dim_y=dim_y, degrees_of_freedom=freedom, random_state=0
    )
    width = dim_x + dim_y
    joint = multivariate_t(shape=np.eye(width), df=freedom).logpdf(np.hstack([x, y]))
    margin_x = multivariate_t(shape=np.eye(dim_x), df=freedom).logpdf(x)
    margin_y = multivariate_t(shape=np.eye(dim_y), df=freedom).logpdf(y)
    assert_mean_is_the_information(joint - margin_x - margin_y, mi)
    assert kstest(y[:, 0], t(freedom).cdf).pvalue > 0.01


def test_student_of_many_degrees_of_freedom_is_normal():
    assert multivariate_student(3, dim_x=2, dim_y=2, degrees_of_freedom=1e6).mi < 1e-5


@pytest.mark.parametrize("theta", [0.05, 1.0, 3.0, 1000.0])
def test_gamma_exponential_has_the_density_whose_information_is_given(theta):
    x, y, mi = gamma_exponential(N, theta=theta, random_state=0)
    assert np.isfinite(y).all()
    # log of the exponential density of y given x, less that of its margin, a Lomax law
    ratio = np.log(x) - x * y - lomax(theta).logpdf(y)
    assert_mean_is_the_information(ratio[:, 0], mi)
    assert kstest(x[:, 0], gamma(theta).cdf).pvalue > 0.01
    assert kstest(y[:, 0], lomax(theta).cdf).pvalue > 0.01


def test_gamma_exponential_of_one_is_one_minus_eulers_constant():
    assert gamma_exponential(3, theta=1.0).mi == pytest.approx(1.0 - np.euler_gamma, abs=1e-12)


@pytest.mark.parametrize("epsilon", [0.05, 0.1, 0.5, 0.75, 10.0])
def test_additive_uniform_has_the_density_whose_information_is_given(epsilon):
    x, y, mi = additive_uniform(N, epsilon=epsilon, random_state=0)
    assert kstest(x[:, 0], uniform.cdf).pvalue > 0.01
    assert kstest((y - x)[:, 0], uniform(-epsilon, 2.0 * epsilon).cdf).pvalue > 0.01
    # The density of y is the length of the x that can lead to it, over the width of the noise.
    length = np.minimum(y + epsilon, 1.0) - np.maximum(y - epsilon, 0.0)
    assert_mean_is_the_information(-np.log(length[:, 0]), mi)


def test_additive_uniform_is_continuous_where_its_two_formulas_meet():
    below, above = (additive_uniform(1, epsilon=0.5 + step).mi for step in (-1e-9, 1e-9))
    assert below == pytest.approx(0.5, abs=1e-8)
    assert above == pytest.approx(0.5, abs=1e-8)


def test_correlated_uniform_has_uniform_margins_and_the_copula_of_the_normal():
    sample = correlated_uniform(N, rho=0.75, dim=2, random_state=0)
    for column in np.hstack([sample.x, sample.y]).T:
        assert kstest(column, uniform.cdf).pvalue > 0.01
    assert correlations(sample)[0, 2] == pytest.approx(6.0 / np.pi * np.arcsin(0.375), abs=0.02)
    assert sample.mi == pytest.approx(-np.log(1.0 - 0.75**2), abs=1e-12)
    assert correlated_uniform(3, mi=0.7).mi == 0.7


# ------------------------------------------------------------------------------------- discrete


def test_discrete_table_has_the_frequencies_and_their_information():
    table = np.array([[0.1, 0.2, 0.0], [0.3, 0.05, 0.35]])
    x, y, mi = discrete_table(N, table=table, random_state=0)
    counts = np.zeros((2, 3))
    np.add.at(counts, (x[:, 0], y[:, 0]), 1.0)
    assert np.allclose(counts / N, table, atol=0.015)
    assert counts[0, 2] == 0
    entropies = [-(p[p > 0] * np.log(p[p > 0])).sum() for p in (table.sum(0), table.sum(1), table)]
    assert mi == pytest.approx(entropies[0] + entropies[1] - entropies[2], abs=1e-12)


@pytest.mark.parametrize(
    ("table", "mi"),
    [
        (np.eye(4) / 4.0, np.log(4.0)),
        (np.outer([0.3, 0.7], [0.2, 0.5, 0.3]), 0.0),
        ([[1.0]], 0.0),
        ([[0.5, 0.5], [0.0, 0.0]], 0.0),
    ],
)
def test_discrete_table_has_known_values(table, mi):
    assert discrete_table(3, table=table).mi == pytest.approx(mi, abs=1e-12)


# ------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: correlated_normal(5, mi=1.0, rho=0.5), "must not both be given, got mi=1.0 and"),
        (lambda: correlated_normal(5, rho=1.0), r"rho must be in \(-1, 1\), got 1.0"),
        (lambda: correlated_normal(5, rho=-1.5), r"rho must be in \(-1, 1\), got -1.5"),
        (lambda: correlated_normal(5, rho=np.nan), r"rho must be in \(-1, 1\), got nan"),
        (lambda: correlated_normal(5, mi=-0.1), r"mi must be in \[0, 30\], got -0.1"),
        (lambda: correlated_normal(5, mi=np.inf), r"mi must be in \[0, 30\], got inf"),
        (lambda: correlated_normal(5, mi=61.0, dim=2), r"mi must be in \[0, 60\], got 61.0"),
        (lambda: correlated_normal(5, dim=0), "dim must be an integer of at least 1, got 0"),
        (lambda: correlated_uniform(5, rho=2.0), r"rho must be in \(-1, 1\), got 2.0"),
        (lambda: dense_normal(5, dim_x=0), "dim_x must be an integer of at least 1, got 0"),
        (lambda: dense_normal(5, correlation=1.0), r"correlation must be in .*, got 1.0"),
        (lambda: dense_normal(5, correlation=-0.4), r"correlation must be in .*, got -0.4"),
        (lambda: sparse_normal(5, dim_y=-1), "dim_y must be an integer of at least 1, got -1"),
        (lambda: sparse_normal(5, dim_x=1), r"interacting must be in \[1, 1\], got 2"),
        (lambda: sparse_normal(5, strength=-1.0), "strength must be in .*, got -1.0"),
        (lambda: multivariate_student(5, dim_y=0), "dim_y must be an integer of at least 1, got 0"),
        (
            lambda: multivariate_student(5, degrees_of_freedom=0.0),
            "degrees_of_freedom must be in .*, got 0.0",
        ),
        (lambda: gamma_exponential(5, theta=0.0), "theta must be in .*, got 0.0"),
        (lambda: additive_uniform(5, epsilon=0.0), "epsilon must be in .*, got 0.0"),
        (
            lambda: joint_normal(5, covariance=np.eye(2), dim_x=2),
            r"dim_x must be in \[1, 1\], got 2",
        ),
        (
            lambda: joint_normal(5, covariance=np.ones((2, 3)), dim_x=1),
            r"covariance must have shape \(d, d\), got \(2, 3\)",
        ),
        (
            lambda: joint_normal(5, covariance=[[1.0, 0.5], [0.4, 1.0]], dim_x=1),
            "covariance must be symmetric, got entries that differ by 0.1",
        ),
        (
            lambda: joint_normal(5, covariance=[[1.0, 2.0], [2.0, 1.0]], dim_x=1),
            "covariance must be positive definite, got a smallest eigenvalue of -1",
        ),
        (
            lambda: joint_normal(5, covariance=[[1.0, np.nan], [np.nan, 1.0]], dim_x=1),
            "covariance must be finite, got NaN",
        ),
        (lambda: discrete_table(5, table=[0.5, 0.5]), r"table must have shape .*, got \(2,\)"),
        (lambda: discrete_table(5, table=[[]]), r"table must have shape .*, got \(1, 0\)"),
        (
            lambda: discrete_table(5, table=[[1.5, -0.5]]),
            "table must hold finite probabilities, none negative, got -0.5",
        ),
        (lambda: discrete_table(5, table=[[np.nan, 1.0]]), "table must hold finite prob.* got nan"),
        (lambda: discrete_table(5, table=[[3.0, 7.0]]), r"table must sum to 1, got 10\. Turn"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_wrong_types_are_named():
    with pytest.raises(TypeError, match=r"rho must be .* a number, got '0.5'"):
        correlated_normal(5, rho="0.5")
    with pytest.raises(TypeError, match="random_state must be a non-negative integer or None"):
        correlated_normal(5, random_state="seed")
