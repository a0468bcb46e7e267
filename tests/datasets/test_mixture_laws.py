"""Mixtures: the density written out here by hand against samples and values of the room."""

from typing import Any

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from infoest.datasets import (
    GaussianMixture,
    concentric_gaussians,
    correlated_normal,
    galaxy,
    sparse_normal_with_inliers,
    spiral,
    suite,
    waves,
    x_mixture,
)

TASKS = {task.name: task for task in suite("mixtures")}


def plane(*entries):
    """Return a covariance from (var_x, var_y, correlation)."""
    var_x, var_y, correlation = entries
    shared = correlation * np.sqrt(var_x * var_y)
    return [[var_x, shared], [shared, var_y]]


def mixture(means, covariances, dim_x, weights=None):
    weights = np.full(len(means), 1.0 / len(means)) if weights is None else np.array(weights)
    return GaussianMixture(
        weights=weights, means=np.array(means), covariances=np.array(covariances), dim_x=dim_x
    )


def concentric(dim):
    means = [[0.0] * dim + [float(i)] for i in range(1, 6)]
    return mixture(means, [np.diag([float(i * i)] * dim + [1e-4]) for i in range(1, 6)], dim)


def inliers(dim, fraction):
    covariance = np.eye(2 * dim)
    for i in range(2):
        covariance[i, dim + i] = covariance[dim + i, i] = 0.8
    weights = [1.0 - fraction, fraction]
    return mixture(np.zeros((2, 2 * dim)), [covariance, np.eye(2 * dim)], dim, weights)


LAWS = {
    "1v1-X-0.9": mixture(np.zeros((2, 2)), [plane(1, 1, 0.9), plane(1, 1, -0.9)], 1),
    "1v1-AI": mixture(
        [[1.0, 0.0], [1.0, 1.0], [1.0, -1.0], [-0.8, -0.2], [-1.2, 0.0], [-0.4, 0.0]],
        [
            plane(0.01, 0.2, 0.0),
            plane(0.05, 0.001, 0.0),
            plane(0.05, 0.001, 0.0),
            plane(0.03, 0.001, 0.0),
            plane(0.04, 0.2, 0.95),
            plane(0.04, 0.2, -0.95),
        ],
        1,
    ),
    "2v1-waves-12-5.0-3.0": mixture(
        [[1.5 * i, 0.0, 1.5 * (i % 4)] for i in range(12)], [np.diag([0.1, 1.0, 0.1])] * 12, 2
    ),
    "2v1-galaxy-0.5-3.0": mixture([[1.5] * 3, [-1.5] * 3], [np.eye(3)] * 2, 2),
    "3v1-concentric_gaussians-5": concentric(3),
    "5v1-concentric_gaussians-5": concentric(5),
    "25v1-concentric_gaussians-5": concentric(25),
    "mult-sparse-w-inliers-5-5-2-2.0-0.2": inliers(5, 0.2),
    "mult-sparse-w-inliers-25-25-2-2.0-0.2": inliers(25, 0.2),
    "mult-sparse-w-inliers-5-5-2-2.0-0.5": inliers(5, 0.5),
}


def before_the_maps(name, x):
    """Undo the map of x, which leaves mutual information alone but not the density."""
    if "galaxy" in name:
        return spiral(x, speed=-0.5)
    if "waves" in name:
        second = 2.0 * x[:, 1]
        first = 10.0 * (x[:, 0] + 0.8)
        return np.column_stack([first - 5.0 * np.sin(3.0 * second), second])
    return x


each_law = pytest.mark.parametrize("name", LAWS)


def test_every_task_is_checked():
    assert set(LAWS) == set(TASKS)


@each_law
def test_value_is_the_monte_carlo_mean_over_the_density(name):
    draws = 50_000 if "25" in name else 300_000
    value, std_error = LAWS[name].mutual_information(draws=draws, random_state=0)
    assert value == pytest.approx(TASKS[name].mi, abs=4.0 * std_error)
    assert 0.0 < std_error < 0.006


@each_law
def test_samples_come_from_the_density(name):
    task, law = TASKS[name], LAWS[name]
    x, y = task.sample(20_000, random_state=0)
    x = before_the_maps(name, x)
    ratio = law.log_density_ratio(x, y)
    assert ratio.mean() == pytest.approx(task.mi, abs=5.0 * ratio.std() / np.sqrt(len(ratio)))
    # First and second moments: those of a wrong component would stand out by far more.
    values = np.hstack([x, y])
    mean = law.weights @ law.means
    second = law.covariances + law.means[:, :, None] * law.means[:, None, :]
    covariance = np.tensordot(law.weights, second, axes=1) - np.outer(mean, mean)
    scale = np.sqrt(np.diag(covariance))
    assert np.abs((values.mean(axis=0) - mean) / scale).max() < 5.0 / np.sqrt(len(values))
    gap = (np.cov(values, rowvar=False) - covariance) / np.outer(scale, scale)
    assert np.abs(gap).max() < 0.08
    # The mean log density of samples is that of draws from the density itself.
    own = np.hstack(law.sample(20_000, random_state=1))
    density = sum(
        weight * multivariate_normal(center, cov).pdf(np.vstack([values, own]))
        for weight, center, cov in zip(law.weights, law.means, law.covariances, strict=True)
    )
    ours, theirs = np.log(density).reshape(2, -1)
    error = np.hypot(ours.std(), theirs.std()) / np.sqrt(len(ours))
    assert ours.mean() == pytest.approx(theirs.mean(), abs=5.0 * error)


def test_inliers_do_not_depend_on_the_columns_that_do_not_interact():
    assert sparse_normal_with_inliers(1).mi == sparse_normal_with_inliers(1, dim_x=9, dim_y=2).mi


@pytest.mark.parametrize(
    ("interacting", "strength", "fraction"), [(1, 1.0, 0.3), (3, 2.0, 0.1), (2, 20.0, 0.5)]
)
def test_inliers_of_other_parameters_agree_with_monte_carlo(interacting, strength, fraction):
    mi = sparse_normal_with_inliers(
        1, interacting=interacting, strength=strength, inlier_fraction=fraction
    ).mi
    rho = strength**2 / (1.0 + strength**2)
    block = np.kron([[0.0, rho], [rho, 0.0]], np.eye(interacting)) + np.eye(2 * interacting)
    law = mixture(
        np.zeros((2, 2 * interacting)),
        [block, np.eye(2 * interacting)],
        interacting,
        [1.0 - fraction, fraction],
    )
    value, std_error = law.mutual_information(draws=300_000)
    assert mi == pytest.approx(value, abs=4.0 * std_error)


def test_limits_of_the_integrals():
    tiny = sparse_normal_with_inliers(1, inlier_fraction=1e-9).mi
    assert tiny == pytest.approx(-np.log(0.36), abs=1e-7)
    assert sparse_normal_with_inliers(1, inlier_fraction=1.0 - 1e-9).mi == pytest.approx(
        0.0, abs=1e-8
    )
    assert sparse_normal_with_inliers(1, strength=0.0).mi == pytest.approx(0.0, abs=1e-12)
    assert x_mixture(1, rho=0.0).mi == pytest.approx(0.0, abs=1e-10)
    assert galaxy(1, distance=0.0).mi == pytest.approx(0.0, abs=1e-10)
    assert galaxy(1, distance=100.0).mi == pytest.approx(np.log(2.0), abs=1e-10)
    assert waves(1, components=1).mi == pytest.approx(0.0, abs=1e-10)
    assert concentric_gaussians(1, components=1).mi == pytest.approx(0.0, abs=1e-12)
    assert concentric_gaussians(1, dim_x=10_000).mi == pytest.approx(np.log(5.0), abs=1e-10)


def test_one_normal_has_the_closed_form():
    law = mixture(np.zeros((1, 2)), [plane(4.0, 0.25, 0.8)], 1)
    value, std_error = law.mutual_information(draws=100_000)
    assert value == pytest.approx(correlated_normal(1, rho=0.8).mi, abs=4.0 * std_error)
    x, y = law.sample(1000, 0)
    expected = (
        multivariate_normal(np.zeros(2), plane(4.0, 0.25, 0.8)).logpdf(np.hstack([x, y]))
        - multivariate_normal(0.0, 4.0).logpdf(x)
        - multivariate_normal(0.0, 0.25).logpdf(y)
    )
    assert np.allclose(law.log_density_ratio(x, y), expected, atol=1e-12)


def test_monte_carlo_in_chunks_repeats_itself():
    law = LAWS["1v1-X-0.9"]
    assert law.mutual_information(draws=150_001) == law.mutual_information(draws=150_001)


PAIR: dict[str, Any] = {
    "weights": np.array([0.5, 0.5]),
    "means": np.zeros((2, 2)),
    "covariances": np.stack([np.eye(2)] * 2),
    "dim_x": 1,
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": np.array([0.5, 0.6])}, r"weights must be .* sum to 1, got \[0.5, 0.6\]"),
        ({"weights": np.array([1.5, -0.5])}, r"weights must be .* got \[1.5, -0.5\]"),
        ({"means": np.zeros((3, 2))}, r"means must have shape \(2, d\), got \(3, 2\)"),
        ({"means": np.full((2, 2), np.nan)}, "means must be finite"),
        ({"covariances": np.eye(2)}, r"covariances must have shape \(2, 2, 2\), got \(2, 2\)"),
        ({"covariances": np.stack([-np.eye(2)] * 2)}, "covariances must be positive definite"),
        ({"dim_x": 2}, r"dim_x must be in \[1, 1\], got 2"),
    ],
)
def test_bad_mixtures_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        GaussianMixture(**(PAIR | change))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: x_mixture(5, rho=1.0), r"rho must be in \[0, 0.999\], got 1.0"),
        (lambda: waves(5, components=0), r"components must be in \[1, 100\], got 0"),
        (lambda: waves(5, amplitude=np.nan), "amplitude must be a finite number, got nan"),
        (lambda: galaxy(5, distance=-1.0), r"distance must be in \[0, 100\], got -1.0"),
        (lambda: galaxy(5, speed=np.inf), "speed must be a finite number, got inf"),
        (lambda: concentric_gaussians(5, dim_x=0), r"dim_x must be in \[1, 10000\], got 0"),
        (
            lambda: sparse_normal_with_inliers(5, inlier_fraction=1.0),
            r"inlier_fraction must be in \(0, 1\), got 1.0",
        ),
        (
            lambda: GaussianMixture(**PAIR).log_density_ratio(np.ones((3, 1)), np.ones((3, 2))),
            r"x and y must have shapes \(n, 1\) and \(n, 1\), got \(3, 1\) and \(3, 2\)",
        ),
        (
            lambda: GaussianMixture(**PAIR).mutual_information(draws=1),
            "draws must be an integer of at least 2, got 1",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
