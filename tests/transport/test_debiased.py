import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

import infoest.transport.debiased as debiased_module
from infoest.transport import sinkhorn_divergence

from .test_entropic import naive


def samples(n, d, seed=0, shift=0.0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((n, d)) + shift)


def naive_divergence(x, y, epsilon):
    def entropic_cost(u, v):
        f, g = naive(cdist(u, v, "sqeuclidean"), epsilon)
        return f.mean() + g.mean()

    x, y = x.detach().numpy(), y.detach().numpy()
    return entropic_cost(x, y) - 0.5 * entropic_cost(x, x) - 0.5 * entropic_cost(y, y)


@pytest.fixture(params=["matrix", "kernel sums"])
def memory(request, monkeypatch):
    """Both ways to the potentials: a matrix of pairs, and sums of kernels beyond its size."""
    if request.param == "kernel sums":
        monkeypatch.setattr(debiased_module, "DENSE_PAIRS", 0)
    return request.param


@pytest.mark.parametrize("epsilon", [5.0, 0.5, 0.2])
def test_equals_the_formula(memory, epsilon):
    x, y = samples(15, 2), samples(12, 2, seed=1, shift=0.7)
    value = sinkhorn_divergence(x, y, epsilon=epsilon, tolerance=1e-10, max_iterations=10_000)
    assert value.item() == pytest.approx(naive_divergence(x, y, epsilon), abs=1e-9)


def test_gradient_at_convergence(memory):
    inputs = [samples(6, 2).requires_grad_(), samples(5, 2, seed=1, shift=0.5).requires_grad_()]
    assert torch.autograd.gradcheck(
        lambda x, y: sinkhorn_divergence(x, y, epsilon=0.7, tolerance=1e-12, max_iterations=10_000),
        inputs,
        rtol=1e-5,
        atol=1e-7,
    )


def test_equal_samples_have_none_and_no_pull(memory):
    x = samples(20, 2).requires_grad_()
    value = sinkhorn_divergence(
        x, samples(20, 2).flip(0), epsilon=0.3, tolerance=1e-10, max_iterations=10_000
    )
    assert value.item() == pytest.approx(0.0, abs=1e-9)
    value.backward()
    np.testing.assert_allclose(x.grad, np.zeros((20, 2)), atol=1e-8)


def test_a_shift_adds_its_square_and_the_gradient_points_back(memory):
    x, shift = samples(20, 2).requires_grad_(), torch.tensor([3.0, -1.0], dtype=torch.float64)
    value = sinkhorn_divergence(x, x.detach() + shift, epsilon=0.5, tolerance=1e-9)
    assert value.item() == pytest.approx(10.0, abs=1e-7)
    value.backward()
    np.testing.assert_allclose(x.grad, (-2.0 * shift / 20).expand(20, 2), atol=1e-7)


def test_limits_in_epsilon():
    x, y = samples(30, 2), 0.5 * samples(40, 2, seed=1, shift=1.0)
    means = (x.mean(dim=0) - y.mean(dim=0)).square().sum()
    wide = sinkhorn_divergence(x, y, epsilon=1e7)
    assert wide.item() == pytest.approx(means.item(), rel=1e-5)
    line = samples(30, 1), samples(30, 1, seed=1, shift=0.5)
    sorted_cost = (line[0].sort(dim=0).values - line[1].sort(dim=0).values).square().mean()
    narrow = sinkhorn_divergence(*line, epsilon=1e-4, tolerance=1e-4)
    assert narrow.item() == pytest.approx(sorted_cost.item(), rel=1e-3)


def gaussian_cost(a, b, epsilon):
    """Entropic cost of N(0, a) and N(0, b) on a line, up to what cancels in the divergence.

    Janati, Muzellec, Peyre, Cuturi (2020), NeurIPS, Theorem 1, with epsilon = 2 sigma^2.
    """
    square = epsilon / 2.0
    root = math.sqrt(4.0 * a * b + square**2)
    return a + b - root + square * math.log(square + root)


def test_normal_laws_have_a_closed_form():
    epsilon, a, b = 0.5, 1.0, 0.25
    truth = gaussian_cost(a, b, epsilon)
    truth -= 0.5 * gaussian_cost(a, a, epsilon) + 0.5 * gaussian_cost(b, b, epsilon)
    from scipy.special import ndtri

    # Quantiles instead of random numbers: what is left is the error of 2000 points.
    grid = torch.from_numpy(ndtri((np.arange(2000) + 0.5) / 2000))
    value = sinkhorn_divergence(grid, math.sqrt(b) * grid, epsilon=epsilon)
    assert value.item() == pytest.approx(truth, rel=2e-3)
    assert truth != pytest.approx((1.0 - math.sqrt(b)) ** 2, rel=0.02)  # W2^2 is another number


def test_symmetric_blind_to_order_and_offset_and_quadratic_in_the_unit(memory):
    x, y = samples(15, 2), samples(12, 2, seed=1, shift=0.7)
    options = {"tolerance": 1e-9, "max_iterations": 10_000}
    value = sinkhorn_divergence(x, y, epsilon=0.5, **options).item()
    swapped = sinkhorn_divergence(y, x.flip(0), epsilon=0.5, **options)
    assert swapped.item() == pytest.approx(value, abs=1e-9)
    for scale, offset in ((1e-9, 0.0), (1e9, 0.0), (1e140, 0.0), (1.0, 1e6)):
        moved = sinkhorn_divergence(
            scale * x + offset, scale * y + offset, epsilon=0.5 * scale * scale, **options
        )
        assert moved.item() / scale**2 == pytest.approx(value, rel=1e-8)


def test_large_samples_take_kernel_sums_and_little_memory():
    x, y = samples(3000, 2), samples(3001, 2, seed=1)
    assert len(x) * len(y) > debiased_module.DENSE_PAIRS
    value = sinkhorn_divergence(x, y, epsilon=10.0, tolerance=1e-3)
    part = sinkhorn_divergence(x[:1500], y[:1500], epsilon=10.0, tolerance=1e-3)
    assert 0.0 < value.item() < 0.01
    assert value.item() == pytest.approx(part.item(), abs=0.01)


def test_one_axis_is_one_feature_and_dtypes_follow():
    x, y = samples(10, 1), samples(9, 1, seed=1)
    value = sinkhorn_divergence(x, y, epsilon=0.5)
    assert sinkhorn_divergence(x[:, 0], y[:, 0], epsilon=0.5) == value
    single = sinkhorn_divergence(x.float().requires_grad_(), y.half(), epsilon=0.5)
    assert single.dtype == torch.float32
    assert single.item() == pytest.approx(value.item(), rel=1e-2)


def test_one_point_and_equal_points():
    one = torch.tensor([[1.0, 2.0]], dtype=torch.float64)
    assert sinkhorn_divergence(one, one + 1.0, epsilon=0.1).item() == pytest.approx(2.0)
    same = one.expand(7, 2).clone().requires_grad_()
    value = sinkhorn_divergence(same, one.expand(4, 2), epsilon=0.1)
    value.backward()
    assert value.item() == pytest.approx(0.0, abs=1e-12)
    assert torch.isfinite(same.grad).all()


def test_says_when_it_stops_early(memory):
    x, y = samples(30, 2), samples(30, 2, seed=1)
    text = r"^sinkhorn_divergence stopped after 2 sweeps with marginals that are off by .*epsilon"
    with pytest.warns(UserWarning, match=text):
        early = sinkhorn_divergence(x, y, epsilon=0.01, max_iterations=2)
    assert math.isfinite(early.item())


def test_refuses():
    x, y = samples(10, 2), samples(9, 2)
    for bad in (0.0, -1.0, math.nan, math.inf):
        for name in ("epsilon", "tolerance"):
            text = rf"^{name} must be a finite number above 0, got {bad}"
            with pytest.raises(ValueError, match=text):
                sinkhorn_divergence(x, y, **{"epsilon": 1.0, name: bad})
    with pytest.raises(TypeError, match=r"^epsilon must be .* a number, got '1'"):
        sinkhorn_divergence(x, y, epsilon="1")
    with pytest.raises(ValueError, match=r"^max_iterations must be an integer of at least 1"):
        sinkhorn_divergence(x, y, epsilon=1.0, max_iterations=0)
    with pytest.raises(ValueError, match=r"^epsilon must be at least .*, got 1e-12\. Smaller"):
        sinkhorn_divergence(x, y, epsilon=1e-12)
    with pytest.raises(ValueError, match=r"^x and y must have the same number of columns"):
        sinkhorn_divergence(x, y[:, :1], epsilon=1.0)
    with pytest.raises(ValueError, match=r"^y must be finite, got 1 NaN"):
        sinkhorn_divergence(x, y.clone().index_fill_(1, torch.tensor([0]), math.nan)[:1], epsilon=1)
    with pytest.raises(TypeError, match=r"^x must be a floating-point tensor, got"):
        sinkhorn_divergence(x.numpy(), y, epsilon=1.0)
