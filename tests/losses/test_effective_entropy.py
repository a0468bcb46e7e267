"""Effective entropy: columns in closed form, covariance by a plain formula."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from infoest.losses import EffectiveEntropyLoss

GRID = torch.arange(1, 200, dtype=torch.float64)[:, None] / 200.0


def drawn(n: int = 30, d: int = 4) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(n, d, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(
    ("squash", "inverse"),
    [("normal_cdf", torch.special.ndtri), ("sigmoid", torch.logit)],
)
def test_a_uniform_grid_has_entropy_0(squash: str, inverse: Any) -> None:
    result = EffectiveEntropyLoss(squash=squash)(inverse(GRID))
    assert result.entropy.item() == pytest.approx(0.0, abs=1e-10)
    half = EffectiveEntropyLoss(squash=squash)(inverse(0.25 + 0.5 * GRID))
    assert half.entropy.item() == pytest.approx(-math.log(2.0), abs=1e-10)


def test_plain_formulas() -> None:
    z = drawn()
    result = EffectiveEntropyLoss(entropy_weight=3.0, covariance_weight=0.5)(z)
    u = torch.special.ndtr(z).numpy()
    covariance = np.cov(u.T)
    off = (covariance**2).sum() - (np.diag(covariance) ** 2).sum()
    assert result.covariance.item() == pytest.approx(off / 4, rel=1e-10)
    n, m = 30, 5
    ordered = np.sort(u, axis=0)
    entropy = np.log((n + 1) / m * (ordered[m:] - ordered[:-m])).mean()
    assert result.entropy.item() == pytest.approx(entropy, rel=1e-10)
    total = 0.5 * result.covariance - 3.0 * result.entropy
    assert result.loss.item() == pytest.approx(total.item(), rel=1e-12)


def test_order_of_rows_and_columns() -> None:
    z, loss = drawn(), EffectiveEntropyLoss()
    rows = torch.randperm(30, generator=torch.Generator().manual_seed(1))
    for other in (z[rows], z.flip(1)):
        torch.testing.assert_close(loss(other).loss, loss(z).loss)
    copied = loss(torch.cat([z[:, :1], z[:, :1]], dim=1))
    assert copied.covariance.item() == pytest.approx(torch.special.ndtr(z[:, 0]).var().item() ** 2)


@pytest.mark.parametrize("value", [0.0, 50.0, -50.0])
def test_ties_are_finite(value: float) -> None:
    z = torch.full((20, 3), value, requires_grad=True)
    result = EffectiveEntropyLoss()(z)
    result.loss.backward()
    assert torch.isfinite(result.loss)
    assert z.grad is not None
    assert torch.isfinite(z.grad).all()


def test_descent_makes_columns_uniform() -> None:
    z = (0.3 * drawn(100, 2) + 1.0).requires_grad_()
    adam, loss = torch.optim.Adam([z], lr=0.05), EffectiveEntropyLoss()
    start = loss(z).entropy.item()
    for _ in range(100):
        adam.zero_grad()
        loss(z).loss.backward()
        adam.step()
    assert loss(z).entropy.item() > -0.1 > start


@pytest.mark.parametrize(
    ("z", "error", "sentence"),
    [
        (torch.zeros(3), ValueError, r"z must have shape \(n, d\)"),
        (torch.zeros(1, 3), ValueError, "at least 2 rows"),
        (torch.zeros(3, 3).long(), TypeError, "z must be a floating-point tensor"),
        (torch.full((3, 3), math.nan), ValueError, "z must be finite, got 9"),
    ],
)
def test_bad_input(z: Tensor, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        EffectiveEntropyLoss()(z)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"squash": "tanh"}, "squash must be one of"),
        ({"entropy_weight": -1.0}, "entropy_weight must be"),
        ({"covariance_weight": math.inf}, "covariance_weight must be"),
    ],
)
def test_bad_settings(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        EffectiveEntropyLoss(**settings)
