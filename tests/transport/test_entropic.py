import importlib
import importlib.util
import math

import numpy as np
import pytest
import torch
from scipy.special import logsumexp

from infoest.transport.entropic import annealed, entropic_plan, rounded, scaled

# Imported here and not in the test: it moves the global state that tests may not move.
ot = importlib.import_module("ot") if importlib.util.find_spec("ot") else None


def cost(n, m, seed=0, scale=1.0):
    return torch.from_numpy(scale * np.random.default_rng(seed).random((n, m)))


def naive(matrix, epsilon, sweeps=100_000):
    """Potentials by plain Sinkhorn sweeps in the log domain."""
    n, m = matrix.shape
    f, g = np.zeros(n), np.zeros(m)
    for _ in range(sweeps):
        before = g
        f = -epsilon * (logsumexp((g - matrix) / epsilon, axis=1) - math.log(m))
        g = -epsilon * (logsumexp((f[:, None] - matrix) / epsilon, axis=0) - math.log(n))
        if np.abs(g - before).max() < 1e-13 * epsilon:
            break
    return f, g


@pytest.mark.parametrize("epsilon", [1.0, 0.1, 0.02])
@pytest.mark.parametrize("shape", [(12, 12), (9, 14), (1, 5), (5, 1)])
def test_value_and_plan_are_those_of_plain_sweeps(epsilon, shape):
    matrix = cost(*shape)
    found = annealed(matrix, epsilon, tolerance=1e-13, max_sweeps=5000)
    f, g = naive(matrix.numpy(), epsilon)
    assert found.error <= 1e-13
    assert found.value == pytest.approx(f.mean() + g.mean(), abs=1e-10)
    plan = entropic_plan(matrix, found.f, found.g, epsilon)
    expected = np.exp((f[:, None] + g - matrix.numpy()) / epsilon) / matrix.numel()
    np.testing.assert_allclose(plan, expected, atol=1e-11)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_marginals_hold_from_any_start_at_any_scale(scale):
    matrix = cost(40, 30, scale=scale)
    start = torch.linspace(-5.0 * scale, 5.0 * scale, 30, dtype=torch.float64)
    for found in (
        annealed(matrix, 0.5, tolerance=1e-8, max_sweeps=20_000),
        scaled(matrix, 0.01 * scale, start, tolerance=1e-8, max_sweeps=20_000),
    ):
        assert found.error <= 1e-8
        assert torch.isfinite(found.f).all()
        assert torch.isfinite(found.g).all()


def test_column_sums_are_exact_and_the_error_is_that_of_the_rows():
    matrix = cost(40, 30)
    found = annealed(matrix, 0.02, tolerance=1e-12, max_sweeps=3)
    plan = entropic_plan(matrix, found.f, found.g, 0.02)
    np.testing.assert_allclose(plan.sum(dim=0), np.full(30, 1 / 30), rtol=1e-12)
    assert (plan.sum(dim=1) - 1 / 40).abs().sum().item() == pytest.approx(found.error, rel=1e-9)


def test_dual_value_is_the_primal_one_at_the_optimum_and_below_it_before():
    matrix, epsilon = cost(25, 20), 0.05

    def primal(plan):
        return (plan * matrix).sum() + epsilon * (plan * (plan * plan.numel()).log()).sum()

    best = annealed(matrix, epsilon, tolerance=1e-13, max_sweeps=5000)
    plan = entropic_plan(matrix, best.f, best.g, epsilon)
    assert best.value == pytest.approx(primal(plan).item(), abs=1e-12)
    early = scaled(matrix, epsilon, torch.zeros(20).double(), tolerance=1e-13, max_sweeps=2)
    plan = rounded(entropic_plan(matrix, early.f, early.g, epsilon))
    assert early.value < best.value < primal(plan).item()


def test_small_epsilon_reaches_the_assignment():
    from scipy.optimize import linear_sum_assignment

    matrix = cost(30, 30)
    found = annealed(matrix, 1e-4, tolerance=1e-9, max_sweeps=5000)
    plan = entropic_plan(matrix, found.f, found.g, 1e-4)
    rows, columns = linear_sum_assignment(matrix.numpy())
    np.testing.assert_array_equal(plan.argmax(dim=1), columns)
    assert found.value == pytest.approx(matrix.numpy()[rows, columns].mean(), abs=1e-3)


@pytest.mark.parametrize("shape", [(30, 30), (40, 30)])
def test_an_epsilon_of_a_millionth_of_the_cost_converges(shape):
    found = annealed(cost(*shape, scale=1e6), 1.0, tolerance=1e-5, max_sweeps=500)
    assert found.error <= 1e-5
    assert torch.isfinite(found.f).all()
    assert torch.isfinite(found.g).all()


def test_newton_needs_far_fewer_sweeps_than_sinkhorn():
    line = torch.linspace(0.0, 1.0, 60, dtype=torch.float64)
    matrix, epsilon = (line[:, None] - line.square()).square(), 1e-3
    found = annealed(matrix, epsilon, tolerance=1e-10, max_sweeps=1000)
    assert found.error <= 1e-10
    f, g = naive(matrix.numpy(), epsilon, sweeps=1000)
    rows = np.exp((f[:, None] + g - matrix.numpy()) / epsilon).sum(axis=1) / 60
    assert np.abs(rows - 1.0).mean() > 1e-6


@pytest.mark.parametrize("shape", [(6, 6), (5, 8), (1, 3), (4, 1)])
def test_rounding_makes_any_plan_one_and_leaves_one_alone(shape):
    n, m = shape
    plan = rounded(cost(n, m, seed=3) / (n * m))
    np.testing.assert_allclose(plan.sum(dim=1), np.full(n, 1 / n), rtol=1e-13)
    np.testing.assert_allclose(plan.sum(dim=0), np.full(m, 1 / m), rtol=1e-13)
    assert (plan >= 0.0).all()
    np.testing.assert_allclose(rounded(plan), plan, rtol=1e-12)


@pytest.mark.skipif(ot is None, reason="POT is not installed")
def test_plan_is_that_of_pot():
    matrix = cost(20, 15)
    uniform = (np.full(20, 1 / 20), np.full(15, 1 / 15))
    expected = ot.sinkhorn(
        *uniform, matrix.numpy(), 0.05, method="sinkhorn_log", numItermax=10**5, stopThr=1e-14
    )
    found = annealed(matrix, 0.05, tolerance=1e-13, max_sweeps=5000)
    np.testing.assert_allclose(entropic_plan(matrix, found.f, found.g, 0.05), expected, atol=1e-11)
