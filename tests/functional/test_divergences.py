import numpy as np
import pytest
import torch

from infoest.functional import cauchy_schwarz
from infoest.functional.divergences import log_kernel_means


def samples(n, d, seed=0, shift=0.0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((n, d)) + shift)


def naive(x, y, bandwidth):
    def mean(u, v):
        return np.exp(-0.5 * (((u[:, None] - v[None]) / bandwidth) ** 2).sum(-1)).mean()

    x, y = x.numpy(), y.numpy()
    return -2 * np.log(mean(x, y)) + np.log(mean(x, x)) + np.log(mean(y, y))


@pytest.mark.parametrize("bandwidth", [0.3, 1.0, np.array([0.5, 3.0])])
def test_equals_the_formula(bandwidth):
    x, y = samples(40, 2), samples(30, 2, seed=1, shift=0.5)
    value = cauchy_schwarz(x, y, bandwidth=bandwidth).item()
    assert value == pytest.approx(naive(x, y, bandwidth), rel=1e-12)


@pytest.mark.parametrize(("bandwidth", "shift"), [(0.5, 1.0), (2.0, 1.0), (0.5, 0.0)])
def test_two_normal_laws_have_a_closed_form(bandwidth, shift):
    # Means of the kernel are normal densities of variance 2 + bandwidth^2 at the shift and at 0,
    # up to constants, and the diagonals add (1 - mean) / n.
    n, d = 2000, 2
    variance = 2.0 + bandwidth**2
    between = (bandwidth**2 / variance) ** (d / 2) * np.exp(-0.5 * d * shift**2 / variance)
    within = (bandwidth**2 / variance) ** (d / 2)
    truth = 2 * np.log(within + (1 - within) / n) - 2 * np.log(between)
    values = [
        cauchy_schwarz(
            samples(n, d, seed), samples(n, d, seed + 50, shift), bandwidth=bandwidth
        ).item()
        for seed in range(4)
    ]
    error = np.std(values, ddof=1) / 2
    assert np.mean(values) == pytest.approx(truth, abs=4 * error + 1e-4)
    assert error < 0.03


def test_is_zero_for_equal_samples_symmetric_and_not_negative():
    x, y = samples(50, 2), samples(40, 2, seed=1)
    assert cauchy_schwarz(x, x.clone()).item() == 0.0
    assert abs(cauchy_schwarz(x, x.flip(0)).item()) < 1e-14
    for bandwidth in ("median", "silverman", 0.01, 100.0):
        value = cauchy_schwarz(x, y, bandwidth=bandwidth).item()
        assert value > -1e-14
        swapped = cauchy_schwarz(y, x, bandwidth=bandwidth).item()
        assert value == pytest.approx(swapped, rel=1e-12, abs=1e-14)


def test_does_not_depend_on_origin_or_units():
    x, y = samples(50, 2), samples(40, 2, seed=1, shift=1.0)
    value = cauchy_schwarz(x, y).item()
    assert cauchy_schwarz(x * 1e6, y * 1e6).item() == pytest.approx(value, rel=1e-12)
    assert cauchy_schwarz(x + 1e6, y + 1e6).item() == pytest.approx(value, rel=1e-8)


def test_far_apart_samples_and_small_bandwidths_stay_finite():
    x, y = samples(20, 2), samples(20, 2, seed=1, shift=1e6)
    value = cauchy_schwarz(x, y, bandwidth=1e-3)
    # Within a sample only the diagonal counts, between them the closest pair.
    closest = 0.5 * ((x[:, None] - y[None]) ** 2).sum(-1).min().item() / 1e-6
    assert value.item() == pytest.approx(2 * closest, rel=1e-9)


def test_one_axis_is_one_feature():
    x, y = samples(50, 1), samples(40, 1, seed=1, shift=1.0)
    assert cauchy_schwarz(x[:, 0], y[:, 0]) == cauchy_schwarz(x, y)


def test_gradients():
    x, y = samples(7, 2).requires_grad_(), samples(5, 2, seed=1).requires_grad_()
    bandwidth = torch.tensor([0.7, 1.5], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda x, y, h: cauchy_schwarz(x, y, bandwidth=h), (x, y, bandwidth)
    )
    cauchy_schwarz(x, y).backward()
    assert x.grad.isfinite().all()
    assert y.grad.abs().sum() > 0.0


def test_keeps_the_dtype_but_not_its_errors():
    x, y = samples(500, 2).float(), samples(500, 2, seed=1, shift=0.01).float()
    value = cauchy_schwarz(x, y, bandwidth=5.0)
    assert value.dtype == torch.float32
    exact = cauchy_schwarz(x.double(), y.double(), bandwidth=5.0)
    assert exact.dtype == torch.float64
    assert value.item() == pytest.approx(exact.item(), rel=1e-6)


def test_kernel_means_are_named():
    x, y = samples(10, 1), samples(8, 1, seed=1)
    means = log_kernel_means(x, y, bandwidth=1.0)
    expected = torch.exp(-0.5 * (x - y.T) ** 2).mean().log()
    torch.testing.assert_close(means.xy, expected)
    torch.testing.assert_close(means.cauchy_schwarz, cauchy_schwarz(x, y, bandwidth=1.0))


def test_refuses():
    x = samples(10, 2)
    with pytest.raises(ValueError, match="same number of columns, got 2 and 1"):
        cauchy_schwarz(x, x[:, :1])
    with pytest.raises(ValueError, match="x must be finite"):
        cauchy_schwarz(x / 0.0, x)
    with pytest.raises(TypeError, match="x must be a floating-point tensor, got ndarray"):
        cauchy_schwarz(x.numpy(), x)
    with pytest.raises(TypeError, match=r"y must be a floating-point tensor, got torch\.int64"):
        cauchy_schwarz(x, x.long())
    for bad in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="bandwidth must be"):
            cauchy_schwarz(x, x, bandwidth=bad)
