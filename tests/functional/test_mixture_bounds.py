"""Bounds on Gaussian mixtures against their formulas and against sampling."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from infoest.functional import kde_entropy_bounds, mixture_bounds, mixture_information_bounds


def samples(n: int, d: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((n, d)))


def encoder(n: int = 25, d: int = 2) -> tuple[Tensor, Tensor]:
    std = np.random.default_rng(1).uniform(0.3, 1.5, (n, d))
    return 2.0 * samples(n, d), torch.from_numpy(std)


def test_entropy_bounds_equal_their_formulas() -> None:
    t, variance = samples(30, 2).numpy(), 0.3
    squares = ((t[:, None] - t[None]) ** 2).sum(-1)
    of_noise = math.log(2.0 * math.pi * math.e * variance)  # d / 2 times, d = 2
    expected = [
        of_noise - np.log(np.exp(-squares / (scale * variance)).mean(axis=1)).mean()
        for scale in (8.0, 2.0)
    ]
    found = [bound.item() for bound in kde_entropy_bounds(torch.from_numpy(t), variance=variance)]
    assert found == pytest.approx(expected, rel=1e-12)


def test_entropy_is_between_its_bounds() -> None:
    t = 2.0 * samples(30, 1)
    low, high = (bound.item() for bound in kde_entropy_bounds(t, variance=0.3))
    rng = np.random.default_rng(2)
    points = t.numpy()[rng.integers(0, 30, 50_000), 0] + math.sqrt(0.3) * rng.standard_normal(
        50_000
    )
    density = np.exp(-((points[:, None] - t.numpy()[:, 0]) ** 2) / 0.6).mean(1)
    log_density = np.log(density / math.sqrt(0.6 * math.pi))
    error = log_density.std() / math.sqrt(len(points))
    assert low < -log_density.mean() - 3.0 * error
    assert -log_density.mean() + 3.0 * error < high


def test_information_is_between_its_bounds() -> None:
    mean, std = encoder()
    low, high = (bound.item() for bound in mixture_information_bounds(mean, std))
    rng = np.random.default_rng(3)
    rows = rng.integers(0, 25, 50_000)
    points = mean.numpy()[rows] + std.numpy()[rows] * rng.standard_normal((50_000, 2))
    scaled = (points[:, None] - mean.numpy()) / std.numpy()
    logs = -0.5 * (scaled**2).sum(-1) - np.log(std.numpy()).sum(1)
    local = logs[np.arange(50_000), rows] - np.log(np.exp(logs).mean(axis=1))
    error = local.std() / math.sqrt(50_000)
    assert low < local.mean() - 3.0 * error
    assert local.mean() + 3.0 * error < high


def test_equal_widths_give_the_entropy_bounds() -> None:
    mean, _ = encoder()
    std = torch.full_like(mean, 0.7)
    information = mixture_information_bounds(mean, std)
    of_noise = math.log(2.0 * math.pi * math.e * 0.49)
    for found, entropy in zip(information, kde_entropy_bounds(mean, variance=0.49), strict=True):
        assert found.item() == pytest.approx(entropy.item() - of_noise, rel=1e-10)


def test_limits() -> None:
    mean, std = encoder()
    same = mixture_information_bounds(torch.zeros_like(mean), torch.ones_like(std))
    assert [bound.item() for bound in same] == pytest.approx([0.0, 0.0], abs=1e-12)
    apart = mixture_information_bounds(1e6 * mean, std)
    assert [bound.item() for bound in apart] == pytest.approx([math.log(25.0)] * 2, rel=1e-12)
    coincide = kde_entropy_bounds(torch.ones(5, 3, dtype=torch.float64), variance=2.0)
    of_noise = 1.5 * math.log(2.0 * math.pi * math.e * 2.0)
    assert [bound.item() for bound in coincide] == pytest.approx([of_noise] * 2, rel=1e-12)


def test_unbounded_activations_are_exact() -> None:
    """In float32 and with expanded squares one code gave an upper bound of -38.8 nats here."""
    t = (1000.0 * samples(200, 3).clamp(min=0.0)).float()
    low, high = (bound.item() for bound in kde_entropy_bounds(t, variance=1e-3))
    of_noise = 1.5 * math.log(2.0 * math.pi * math.e * 1e-3)
    assert of_noise - 1e-6 <= low <= high <= of_noise + math.log(200.0) + 1e-5


def test_blocks_do_not_change_values_or_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    results = []
    for entries in (2**18, 40):
        monkeypatch.setattr(mixture_bounds, "BLOCK_ENTRIES", entries)
        mean, std = (part.clone().requires_grad_() for part in encoder())
        low, high = mixture_information_bounds(mean, std)
        gradients = torch.autograd.grad(low + 2.0 * high, (mean, std))
        results.append((low.detach(), high.detach(), *gradients))
    for first, second in zip(*results, strict=True):
        torch.testing.assert_close(first, second, rtol=1e-12, atol=1e-14)


def test_gradients() -> None:
    mean, std = (part[:6].clone().requires_grad_() for part in encoder())
    assert torch.autograd.gradcheck(mixture_information_bounds, (mean, std))
    with torch.random.fork_rng():  # it draws gradients of the output
        assert torch.autograd.gradgradcheck(mixture_information_bounds, (mean, std))
        assert torch.autograd.gradgradcheck(
            lambda std: mixture_information_bounds(mean.detach(), std), (std,)
        )
    variance = torch.tensor(0.6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda t, variance: kde_entropy_bounds(t, variance=variance), (mean, variance)
    )


@pytest.mark.parametrize(
    "bounds",
    [mixture_information_bounds, lambda mean, std: kde_entropy_bounds(mean, variance=0.3)],
)
def test_no_matrix_of_pairs_is_kept_for_the_backward_pass(bounds) -> None:
    n = 500
    mean, std = (part.requires_grad_() for part in encoder(n))
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(
        lambda part: (kept.append(part.numel()), part)[1], lambda part: part
    ):
        bounds(mean, std)
    assert sum(kept) < 50 * n


def test_two_components_enclose_the_truth() -> None:
    """By quadrature, two unit normal laws three apart tell .527 nats about which it is."""
    mean = torch.tensor([0.0, 3.0], dtype=torch.float64)
    low, high = (b.item() for b in mixture_information_bounds(mean, torch.ones_like(mean)))
    assert (low, high) == pytest.approx(
        (math.log(2.0 / (1.0 + math.exp(-9 / 8))), math.log(2.0 / (1.0 + math.exp(-9 / 2))))
    )
    grid = np.linspace(-12.0, 15.0, 20_001)
    density = np.exp(-0.5 * (grid[:, None] - mean.numpy()) ** 2).mean(1) / math.sqrt(2.0 * math.pi)
    entropy = -np.trapezoid(density * np.log(density), grid)
    truth = entropy - 0.5 * math.log(2.0 * math.pi * math.e)
    assert truth == pytest.approx(0.5268, abs=1e-4)
    assert low < truth < high


def test_columns_have_their_own_variance() -> None:
    t = samples(30, 2)
    widths = torch.tensor([0.5, 2.0], dtype=torch.float64)
    found = kde_entropy_bounds(t, variance=[0.25, 4.0])
    for bound, standard in zip(found, kde_entropy_bounds(t / widths, variance=1.0), strict=True):
        expected = standard + widths.log().sum()
        assert bound.item() == pytest.approx(expected.item(), rel=1e-12)
    one_axis = kde_entropy_bounds(t[:, 0], variance=0.3)
    assert one_axis == kde_entropy_bounds(t[:, :1], variance=0.3)
    assert kde_entropy_bounds(t.float(), variance=0.3)[0].dtype == torch.float32


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_bad_input(bad: float) -> None:
    mean, std = encoder()
    with pytest.raises(ValueError, match=r"^variance must be"):
        kde_entropy_bounds(mean, variance=bad)
    with pytest.raises(ValueError, match=r"^std must be"):
        mixture_information_bounds(mean, torch.full_like(std, bad))
    with pytest.raises(ValueError, match="std"):
        mixture_information_bounds(mean, std[:-1])
    with pytest.raises(TypeError, match="variance must be a number"):
        kde_entropy_bounds(mean, variance="median")
    with pytest.raises(TypeError, match="must be a floating-point tensor"):
        mixture_information_bounds(mean.numpy(), std)


@pytest.mark.parametrize("variance", [1e-300, 1e-320, [1.0, 1e-305]])
def test_a_vanishing_variance_is_refused_by_name(variance: object) -> None:
    with pytest.raises(ValueError, match=r"^variance must be at least 1e-300 times"):
        kde_entropy_bounds(samples(20, 2), variance=variance)
