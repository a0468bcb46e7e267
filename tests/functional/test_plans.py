import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from infoest.functional import infoot_mi
from infoest.functional.kde import kde_log_density
from infoest.functional.plans import relative_bandwidth


def samples(n, d, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((n, d)))


def some_plan(n, m, seed=0):
    """A plan with uniform marginals that is neither a matching nor the product."""
    plan = np.random.default_rng(seed).random((n, m)) ** 4
    for _ in range(3000):
        plan /= n * plan.sum(axis=1, keepdims=True)
        plan /= m * plan.sum(axis=0)
    return torch.from_numpy(plan)


def naive(x, y, plan, bandwidth):
    """Formulas of Chuang et al. (2023) with matrices of distances."""
    kernels = []
    for sample in (x, y):
        distances = cdist(sample, sample)
        width = bandwidth * np.sqrt(np.mean(distances**2) / 2)
        kernels.append(np.exp(-((distances / width) ** 2) / 2))
    joint = kernels[0] @ plan @ kernels[1].T
    return np.sum(plan * np.log(joint / np.outer(*(kernel.mean(axis=1) for kernel in kernels))))


def identity(n):
    return torch.eye(n, dtype=torch.float64) / n


@pytest.mark.parametrize("bandwidth", [0.1, 0.5, 2.0])
def test_equals_the_formula(bandwidth):
    x, y, plan = samples(20, 2), samples(15, 3, seed=1), some_plan(20, 15)
    expected = naive(x.numpy(), y.numpy(), plan.numpy(), bandwidth)
    assert infoot_mi(x, y, plan, bandwidth).item() == pytest.approx(expected, rel=1e-12)


def test_bandwidth_is_half_by_default_and_relative():
    x, y, plan = samples(20, 2), samples(15, 3, seed=1), some_plan(20, 15)
    value = infoot_mi(x, y, plan).item()
    assert value == infoot_mi(x, y, plan, bandwidth=0.5).item()
    moved = infoot_mi(1e-9 * x + 3.0, 1e9 * y - 1e9, plan).item()
    assert moved == pytest.approx(value, rel=1e-5)
    turn = torch.linalg.qr(samples(3, 3, seed=4))[0]
    assert infoot_mi(1e3 * x, y @ turn, plan).item() == pytest.approx(value, rel=1e-12)
    for scale in (1e-160, 1e140):
        assert infoot_mi(scale * x, y, plan).item() == pytest.approx(value, rel=1e-12)
    assert relative_bandwidth(x, 0.3).item() == pytest.approx(
        0.3 * math.sqrt(x.numpy().var(axis=0).sum()), rel=1e-12
    )


def test_pairs_give_the_resubstitution_estimate_of_kernel_densities():
    x = samples(60, 2)
    y = x @ samples(2, 2, seed=3) + 0.3 * samples(60, 2, seed=1)
    width_x, width_y = (relative_bandwidth(side, 0.5) for side in (x, y))
    widths = torch.cat([width_x.expand(2), width_y.expand(2)])
    both = torch.cat([x, y], dim=1)
    expected = kde_log_density(both, both, bandwidth=widths).mean()
    expected -= kde_log_density(x, x, bandwidth=width_x).mean()
    expected -= kde_log_density(y, y, bandwidth=width_y).mean()
    assert infoot_mi(x, y, identity(60)).item() == pytest.approx(expected.item(), rel=1e-12)


def test_product_plan_has_none_and_a_matching_of_narrow_kernels_has_log_n():
    x, y = samples(30, 2), samples(20, 1, seed=1)
    product = torch.full((30, 20), 1 / 600, dtype=torch.float64)
    assert infoot_mi(x, y, product).item() == pytest.approx(0.0, abs=1e-12)
    assert infoot_mi(x, x, identity(30), 1e-3).item() == pytest.approx(math.log(30))


def test_symmetric_and_blind_to_the_order_of_rows_and_columns():
    x, y, plan = samples(20, 2), samples(15, 3, seed=1), some_plan(20, 15)
    value = infoot_mi(x, y, plan).item()
    assert infoot_mi(y, x, plan.mT).item() == pytest.approx(value, rel=1e-12)
    rows, columns = torch.randperm(20, generator=torch.Generator().manual_seed(0)), [2, 0, 1]
    reordered = infoot_mi(x[rows], y[:, columns], plan[rows])
    assert reordered.item() == pytest.approx(value, rel=1e-12)


def test_equal_rows_and_one_row_have_none():
    x, plan = samples(20, 2), some_plan(20, 15)
    same = torch.full((15, 3), 0.1, dtype=torch.float64)
    assert infoot_mi(x, same, plan).item() == pytest.approx(0.0, abs=1e-12)
    assert infoot_mi(same[:1], same[:1], identity(1)).item() == 0.0
    x.requires_grad_()
    infoot_mi(x, same.requires_grad_(), plan).backward()
    assert torch.isfinite(x.grad).all()
    assert torch.isfinite(same.grad).all()


def test_gradients():
    # Half of it product: finite differences may not go below 0.
    x, y, plan = samples(7, 2), samples(5, 3, seed=1), 0.5 * some_plan(7, 5) + 0.5 / 35
    inputs = [part.requires_grad_() for part in (x, y, plan)]
    assert torch.autograd.gradcheck(infoot_mi, inputs)
    (gradient,) = torch.autograd.grad(infoot_mi(x, y, plan), plan)
    kernels = []
    for sample in (x.detach().numpy(), y.detach().numpy()):
        distances = cdist(sample, sample)
        kernels.append(np.exp(-(distances**2) / (0.25 * np.mean(distances**2))))
    joint = kernels[0] @ plan.detach().numpy() @ kernels[1]
    ratio = joint / np.outer(*(kernel.mean(axis=1) for kernel in kernels))
    expected = np.log(ratio) + kernels[0] @ (plan.detach().numpy() / joint) @ kernels[1]
    np.testing.assert_allclose(gradient, expected, rtol=1e-10)


def test_gradient_of_a_matching_of_points_far_apart_is_finite():
    x = torch.tensor([[0.0], [1.0], [1e6]], dtype=torch.float64)
    plan = identity(3).requires_grad_()
    value = infoot_mi(x, x, plan, 1e-3)
    value.backward()
    assert math.isfinite(value.item())
    assert torch.isfinite(plan.grad).all()


def test_one_axis_is_one_feature_and_dtypes_follow():
    x, y = samples(12, 1), samples(12, 1, seed=1)
    value = infoot_mi(x, y, identity(12))
    assert infoot_mi(x[:, 0], y[:, 0], identity(12)) == value
    assert value.dtype == torch.float64
    single = infoot_mi(x.float(), y.half(), identity(12).float())
    assert single.dtype == torch.float32
    assert single.item() == pytest.approx(value.item(), rel=1e-2)


BAD_PLANS = [
    (identity(4), r"^plan must have shape \(5, 6\), a row per row of x .*, got \(4, 4\)"),
    (some_plan(5, 6) * 2, r"^plan must have row sums of 1/5, got 2/5\. Divide"),
    (torch.eye(6, dtype=torch.float64)[:5] / 5, r"^plan must have column sums of 1/6, got 0/6"),
    (-some_plan(5, 6), r"^plan must be finite and not negative, got -"),
    (some_plan(5, 6) * math.nan, r"^plan must be finite and not negative, got nan"),
    (some_plan(5, 6) * math.inf, r"^plan must be finite and not negative, got inf"),
]


@pytest.mark.parametrize(("plan", "message"), BAD_PLANS)
def test_refuses_what_is_no_plan(plan, message):
    with pytest.raises(ValueError, match=message):
        infoot_mi(samples(5, 2), samples(6, 2), plan)


def test_refuses():
    x, plan = samples(5, 2), identity(5)
    for bad in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match=r"^bandwidth must be a finite number above 0, got"):
            infoot_mi(x, x, plan, bad)
    for bad in ("median", None, True, torch.tensor(0.5)):
        with pytest.raises(TypeError, match=r"^bandwidth must be .* a number, got"):
            infoot_mi(x, x, plan, bad)
    with pytest.raises(ValueError, match=r"^y must be finite, got 1 NaN"):
        infoot_mi(x, torch.tensor([0.0, 1.0, math.nan, 2.0, 3.0]), plan)
    with pytest.raises(ValueError, match=r"^x must have shape"):
        infoot_mi(x[:, :, None], x, plan)
    for bad in (x.numpy(), x.long(), None):
        with pytest.raises(TypeError, match=r"^x must be a floating-point tensor, got"):
            infoot_mi(bad, x, plan)
        with pytest.raises(TypeError, match=r"^plan must be a floating-point tensor, got"):
            infoot_mi(x, x, bad)
