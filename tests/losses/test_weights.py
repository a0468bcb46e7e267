"""Schedules and the controller of a weight."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from infoest.losses import Cosine, TargetRate, VIBLoss, WarmUp
from infoest.losses.weights import Weight


def test_schedules() -> None:
    assert [WarmUp(2.0, steps=4)(step) for step in range(6)] == [0.0, 0.5, 1.0, 1.5, 2.0, 2.0]
    down = Cosine(1.0, 0.2, steps=10)
    assert (down(0), down(10), down(99)) == pytest.approx((1.0, 0.2, 0.2))
    assert down(5) == pytest.approx(0.6)
    assert all(down(step) > down(step + 1) for step in range(10))


def test_a_weight_counts_its_steps() -> None:
    weight = Weight("beta", WarmUp(1.0, steps=4))
    seen = []
    for _ in range(3):
        seen.append(weight())
        weight.advance(torch.tensor(1.0))
    assert seen == [0.0, 0.25, 0.5]
    again = Weight("beta", WarmUp(1.0, steps=4))
    again.load_state_dict(weight.state_dict())
    assert again() == 0.75


def test_a_number_stays() -> None:
    weight = Weight("beta", 0.25)
    weight.advance(torch.tensor(1.0))
    assert weight() == 0.25
    assert not list(weight.parameters())


def test_the_target_is_reached() -> None:
    """The rate of this toy falls with its weight: R = 4 / (1 + 10 beta)."""
    weight = TargetRate(1.0, start=1e-3, step_size=0.05)
    for _ in range(600):
        weight.observe(4.0 / (1.0 + 10.0 * weight()))
    assert weight().item() == pytest.approx(0.3, rel=0.01)


def test_a_code_is_steered_to_its_rate() -> None:
    """A mean that reconstructs x as well as it may: the rate is that of the target at the end."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        x = torch.randn(256, 2)
        mean, raw_std = nn.Linear(2, 2), nn.Parameter(torch.zeros(2))
        loss = VIBLoss(beta=TargetRate(1.5, start=0.5, step_size=0.02))
        adam = torch.optim.Adam([*mean.parameters(), raw_std], lr=0.02)
        for _ in range(1000):
            code = torch.distributions.Normal(mean(x), nn.functional.softplus(raw_std) + 1e-3)
            result = loss(code, 3.0 * code.rsample(), 3.0 * x)
            adam.zero_grad()
            result.loss.backward()
            adam.step()
    assert result.rate.item() == pytest.approx(1.5, abs=0.1)
    kept = loss.state_dict()["beta.controller.log_weight"]
    assert kept.item() == pytest.approx(math.log(float(result.beta)), abs=0.05)


def test_only_training_moves_a_weight() -> None:
    loss = VIBLoss(beta=WarmUp(1.0, steps=2)).eval()
    code = torch.distributions.Normal(torch.zeros(2, 1), torch.ones(2, 1))
    for _ in range(3):
        assert loss(code, torch.zeros(2), torch.zeros(2)).beta == 0.0


@pytest.mark.parametrize(
    ("make", "error", "sentence"),
    [
        (lambda: VIBLoss(beta=-1.0), ValueError, "beta must be a finite number of at least 0"),
        (lambda: VIBLoss(beta="big"), TypeError, "beta must be .* number"),
        (
            lambda: VIBLoss(beta=lambda step: -1.0),
            ValueError,
            r"beta\(0\) must be a finite number of at least 0",
        ),
        (lambda: VIBLoss(beta=nn.Identity()), TypeError, "beta must be .* number"),
        (lambda: WarmUp(1.0, steps=0), ValueError, "steps must be .* at least 1"),
        (lambda: WarmUp(-1.0, steps=1), ValueError, "value must be a finite number of at least 0"),
        (lambda: Cosine(0.0, math.nan, steps=1), ValueError, "end must be"),
        (lambda: TargetRate(0.0), ValueError, "nats must be a finite number above 0"),
        (lambda: TargetRate(1.0, start=0.0), ValueError, "start must be"),
    ],
)
def test_bad_settings(make: Any, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        make()
