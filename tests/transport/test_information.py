import math

import numpy as np
import pandas as pd
import pytest
import torch

import infoest.transport.smoothing as smoothing
from infoest.functional import infoot_mi
from infoest.transport import infoot
from infoest.transport.information import Problem, _relative_entropy
from infoest.transport.smoothing import Smoother


def lopsided(n, seed=0):
    """A sample in two columns without a symmetry."""
    rng = np.random.default_rng(seed)
    return torch.from_numpy(
        np.column_stack([np.exp(0.7 * rng.standard_normal(n)), rng.standard_normal(n)])
    )


def two_views(n, seed=0):
    """The same points seen in two spaces, with noise."""
    rng = np.random.default_rng(seed)
    x = lopsided(n, seed)
    y = x @ torch.from_numpy(rng.standard_normal((2, 3)))
    return x, y + 0.05 * torch.from_numpy(rng.standard_normal((n, 3)))


def assert_is_a_plan(plan):
    n, m = plan.shape
    np.testing.assert_allclose(plan.sum(dim=1), np.full(n, 1 / n), rtol=1e-12)
    np.testing.assert_allclose(plan.sum(dim=0), np.full(m, 1 / m), rtol=1e-12)
    assert (plan >= 0.0).all()


def objective(x, y, plan, regularization, bandwidth=0.5):
    entropic = torch.xlogy(plan, plan * plan.numel()).sum()
    return (regularization * entropic - infoot_mi(x, y, plan, bandwidth)).item()


@pytest.mark.parametrize("regularization", [0.5, 0.05, 0.005])
@pytest.mark.parametrize("bandwidth", [0.2, 0.5])
def test_objective_is_the_true_one_and_never_rises(regularization, bandwidth):
    x, y = two_views(60)[0], two_views(50, seed=3)[1]
    found = infoot(x, y, regularization=regularization, bandwidth=bandwidth, max_iterations=300)
    assert_is_a_plan(found.plan)
    history = np.array(found.objective)
    assert (np.diff(history) < 0.0).all()
    assert history[0] == pytest.approx(0.0, abs=1e-12)
    assert history[-1] == pytest.approx(
        objective(x, y, found.plan, regularization, bandwidth), abs=1e-12
    )
    information = infoot_mi(x, y, found.plan, bandwidth).item()
    assert found.information == pytest.approx(information, rel=1e-12)
    assert found.converged
    assert -1e-12 < found.gap <= 1e-8


def test_converged_plan_is_stationary():
    """It is the entropic plan of the gradient of its own information."""
    x, y = two_views(30)
    found = infoot(x, y, regularization=0.3, tolerance=1e-13)
    plan = found.plan.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(-infoot_mi(x, y, plan), plan)
    slack = gradient + 0.3 * found.plan.log()
    slack = slack - slack.mean(dim=0) - slack.mean(dim=1, keepdim=True) + slack.mean()
    assert found.converged
    # The objective is flat there: plans that differ by the root of its rounding are equally good.
    assert (found.plan * slack.abs()).sum().item() < 1e-5
    assert slack.abs().max().item() < 1e-2


def test_unfinished_work_is_said_and_still_a_plan():
    x, y = two_views(40)
    found = infoot(x, y, regularization=0.01, max_iterations=1)
    assert_is_a_plan(found.plan)
    assert not found.converged
    assert found.gap > 1e-8
    assert len(found.objective) == 2


def test_full_steps_alone_would_not_reach_a_better_objective():
    """The published steps (whole ones, 100 of them), with exact plans."""
    from infoest.transport.entropic import annealed, entropic_plan

    x, y = two_views(40, seed=1)
    problem = Problem(None, Smoother(x, 0.5), Smoother(y, 0.5), 1.0, 0.05)
    plan = torch.full((40, 40), 1 / 1600, dtype=torch.float64)
    for _ in range(100):
        gradient = problem.gradient(plan, problem.joint_density(plan))
        best = annealed(gradient, 0.05, tolerance=1e-10, max_sweeps=2000)
        plan = entropic_plan(gradient, best.f, best.g, 0.05)
    published = objective(x, y, plan, 0.05)
    assert infoot(x, y, tolerance=1e-9).objective[-1] <= published + 1e-7


def test_gradient_is_that_of_the_objective():
    x, y = two_views(12)
    cost = torch.cdist(x, y[:, :2])
    problem = Problem(cost, Smoother(x, 0.5), Smoother(y, 0.5), 3.0, 0.1)
    plan = infoot(x, y, regularization=0.5).plan.requires_grad_()
    value = (cost * plan).sum() - 3.0 * infoot_mi(x, y, plan)
    (expected,) = torch.autograd.grad(value, plan)
    plan = plan.detach()
    joint = problem.joint_density(plan)
    np.testing.assert_allclose(problem.gradient(plan, joint), expected, rtol=1e-9)
    assert problem.value(plan, joint) == pytest.approx(
        value.item() + 0.1 * _relative_entropy(plan), rel=1e-12
    )


def test_identical_samples_find_themselves():
    x = lopsided(80)
    found = infoot(x, x, bandwidth=0.3, regularization=1e-3)
    np.testing.assert_array_equal(found.plan.argmax(dim=1), np.arange(80))
    assert found.plan.trace().item() > 0.95
    own = infoot_mi(x, x, torch.eye(80, dtype=torch.float64) / 80, 0.3).item()
    assert found.information == pytest.approx(own, abs=1e-3)


def test_other_units_spaces_and_orders_change_nothing():
    x, y = two_views(40)
    expected = infoot(x, y, regularization=0.1, tolerance=1e-11)
    turn = torch.linalg.qr(torch.from_numpy(np.random.default_rng(1).standard_normal((3, 3))))[0]
    moved = infoot(1e3 * x - 5.0, 1e-3 * y @ turn, regularization=0.1, tolerance=1e-11)
    np.testing.assert_allclose(moved.plan, expected.plan, atol=1e-5)
    rng = np.random.default_rng(2)
    rows, columns = rng.permutation(40), rng.permutation(40)
    reordered = infoot(x[rows], y[columns], regularization=0.1, tolerance=1e-11)
    np.testing.assert_allclose(reordered.plan, expected.plan[rows][:, columns], atol=1e-5)
    swapped = infoot(y, x, regularization=0.1, tolerance=1e-11)
    np.testing.assert_allclose(swapped.plan.mT, expected.plan, atol=1e-5)
    assert swapped.information == pytest.approx(expected.information, abs=1e-6)


def test_containers_and_dtypes_give_one_plan():
    x, y = two_views(20)
    expected = infoot(x, y).plan
    assert (expected.dtype, expected.requires_grad) == (torch.float64, False)
    locked = y.numpy().copy()
    locked.flags.writeable = False
    assert torch.equal(infoot(x.numpy(), locked).plan, expected)
    assert torch.equal(infoot(x.clone().requires_grad_(), pd.DataFrame(y)).plan, expected)
    one = x[:, 0]
    assert torch.equal(infoot(one, one).plan, infoot(one[:, None], one[:, None]).plan)


def test_equal_rows_and_one_row_leave_the_product_plan():
    x = lopsided(6)
    for other in (torch.full((4, 3), 0.1), torch.zeros(1, 2)):
        found = infoot(x, other)
        product = np.full((6, len(other)), 1 / (6 * len(other)))
        np.testing.assert_allclose(found.plan, product, rtol=1e-9)
        assert found.information == pytest.approx(0.0, abs=1e-12)
        assert found.converged


@pytest.mark.parametrize("regularization", [1e-5, 1e-7])
def test_small_regularization_stays_finite(regularization):
    x, y = two_views(30)
    found = infoot(1e3 * x, y, regularization=regularization, max_iterations=10)
    assert_is_a_plan(found.plan)
    assert math.isfinite(found.information)
    assert (np.diff(found.objective) < 0.0).all()


def test_kernel_of_a_large_sample_is_not_held_and_multiplies_alike(monkeypatch):
    x = lopsided(40)
    labels = torch.tensor([0, 1, 1, 2] * 10)
    v = torch.from_numpy(np.random.default_rng(0).standard_normal((40, 5)))
    for classes in (None, labels):
        held = Smoother(x, 0.5, classes)
        with monkeypatch.context() as patch:
            patch.setattr(smoothing, "MOST_ROWS_OF_MATRIX", 0)
            summed = Smoother(x, 0.5, classes)
        assert all(matrix is None for matrix, _ in summed.parts)
        np.testing.assert_allclose(summed.times(v), held.times(v), rtol=1e-12)
        np.testing.assert_allclose(summed.density, held.density, rtol=1e-12)
    distances = torch.cdist(x, x)
    kernel = (-0.5 * (distances / held.width).square()).exp() * (labels[:, None] == labels)
    np.testing.assert_allclose(held.times(v), kernel @ v, rtol=1e-9)


def test_refuses():
    x, y = two_views(10)
    for name in ("bandwidth", "regularization", "tolerance"):
        for bad in (0.0, -1.0, math.nan, math.inf):
            with pytest.raises(ValueError, match=rf"^{name} must be a finite number above 0, got"):
                infoot(x, y, **{name: bad})
        with pytest.raises(TypeError, match=rf"^{name} must be .* a number, got 'median'"):
            infoot(x, y, **{name: "median"})
    for bad in (0, -3):
        with pytest.raises(ValueError, match=r"^max_iterations must be an integer of at least 1"):
            infoot(x, y, max_iterations=bad)
    with pytest.raises(ValueError, match=r"^regularization must be at least .* of the range"):
        infoot(x, y, regularization=1e-12)
    with pytest.raises(ValueError, match=r"^x must be finite, got 1 NaN"):
        infoot([[0.0], [1.0], [math.nan]], y)
    with pytest.raises(ValueError, match=r"^y must have shape"):
        infoot(x, y[:, :, None])
    with pytest.raises(ValueError, match=r"^y must have shape"):
        infoot(x, y[:0])
    with pytest.raises(TypeError, match=r"^x must be numeric, got strings"):
        infoot(["a", "b"], y)
