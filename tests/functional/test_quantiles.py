"""The pinball loss: its minimum is a quantile."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from infoest.functional import pinball


def sample(n: int = 101) -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).standard_normal(n))


@pytest.mark.parametrize("tau", [0.05, 0.5, 0.9])
def test_least_at_the_quantile(tau: float) -> None:
    target = sample()
    losses = [pinball(candidate.expand(101), target, tau).item() for candidate in target]
    best = target[int(np.argmin(losses))].item()
    assert best == np.quantile(target.numpy(), tau, method="inverted_cdf")


def test_formula_and_levels() -> None:
    target, prediction = sample(), sample()[:, None] * torch.tensor([0.5, 0.0, -2.0])
    levels = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)
    excess = target[:, None] - prediction
    expected = torch.where(excess > 0.0, levels * excess, (levels - 1.0) * excess).mean()
    assert pinball(prediction, target, levels).item() == pytest.approx(expected.item(), rel=1e-14)
    apart = [pinball(prediction[:, k], target, levels[k]).item() for k in range(3)]
    assert np.mean(apart) == pytest.approx(expected.item(), rel=1e-14)
    half = pinball(prediction[:, 1], target, 0.5)
    assert half.item() == pytest.approx(0.5 * target.abs().mean().item(), rel=1e-14)


def test_gradients_and_dtypes() -> None:
    target, prediction = sample(9).requires_grad_(), (sample(9) + 0.3).requires_grad_()
    assert torch.autograd.gradcheck(lambda p, t: pinball(p, t, 0.3), (prediction, target))
    half = sample().half()
    low = pinball(half, half.flip(0), 0.3)
    assert low.dtype == torch.float32
    exact = pinball(half.double(), half.flip(0).double(), 0.3)
    assert low.item() == pytest.approx(exact.item(), rel=1e-6)
    assert pinball(sample().float(), sample(), 0.3).dtype == torch.float64


def test_bad_input() -> None:
    target, levels = sample(4), torch.tensor([0.1, 0.9])
    for prediction, tau, error, message in (
        (target[:, None], 0.5, ValueError, r"prediction must have shape \(4,\) .* got \(4, 1\)"),
        (target[:3], 0.5, ValueError, r"prediction must have shape \(4,\)"),
        (target, levels, ValueError, r"prediction must have shape \(4, 2\)"),
        (target, 0.0, ValueError, r"tau must be in \(0, 1\), got 0"),
        (target, 1.0, ValueError, r"tau must be in \(0, 1\), got 1"),
        (target, levels + 0.2, ValueError, r"tau must be in \(0, 1\), got"),
        (target, "median", TypeError, "tau must be"),
        (target, torch.tensor([1]), TypeError, "tau must be a number or a floating-point tensor"),
        (target, levels[None], ValueError, "tau must be a number or have shape"),
        (target.int(), 0.5, TypeError, "prediction must be a floating-point tensor"),
        (target * torch.inf, 0.5, ValueError, "prediction must be finite, got 4"),
    ):
        with pytest.raises(error, match=message):
            pinball(prediction, target, tau)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"target must have shape \(n,\)"):
        pinball(target, target[:, None], 0.5)
    with pytest.raises(ValueError, match="target must be finite"):
        pinball(target, target * torch.nan, 0.5)
