"""Categorical bottleneck: one-hot to the last digit, frequencies, straight-through gradient."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.distributions import Categorical, kl_divergence
from torch.nn.functional import one_hot

from infoest.nn import CategoricalBottleneck


def with_logits(logits: list[float], *, temperature: float = 1.0) -> CategoricalBottleneck:
    """Return one code whose probabilities do not depend on the input."""
    layer = CategoricalBottleneck(2, 1, len(logits), temperature=temperature)
    with torch.no_grad():
        layer.linear.weight.zero_()
        layer.linear.bias.copy_(torch.tensor(logits))
    return layer


@pytest.mark.parametrize("mode", [True, False])
def test_codes_are_exactly_one_hot(mode: bool) -> None:
    layer = CategoricalBottleneck(5, 7, 3, temperature=0.1).train(mode)
    nn.init.normal_(layer.linear.weight, std=3.0)
    codes = layer(torch.randn(100, 5))
    assert codes.shape == (100, 7, 3)
    assert torch.equal(codes, one_hot(codes.argmax(-1), 3).float())


def test_evaluation_gives_the_most_probable_symbol() -> None:
    layer = CategoricalBottleneck(5, 7, 3).eval()
    codes = layer(torch.randn(20, 5))
    assert torch.equal(codes.argmax(-1), layer.probabilities.argmax(-1))


@pytest.mark.parametrize("temperature", [0.2, 1.0, 5.0])
def test_draws_have_the_probabilities_at_any_temperature(temperature: float) -> None:
    logits = [0.0, 1.0, -1.0, 0.5]
    layer = with_logits(logits, temperature=temperature)
    shares = layer(torch.zeros(100_000, 2)).mean(0)[0]
    expected = torch.tensor(logits).softmax(-1)
    assert torch.allclose(layer.probabilities[0, 0], expected)
    assert torch.allclose(shares, expected, atol=5 * 0.5 / math.sqrt(100_000))


def test_gradient_in_evaluation_is_that_of_the_soft_code() -> None:
    layer = CategoricalBottleneck(5, 3, 4, temperature=0.7).double().eval()
    x = torch.randn(6, 5, dtype=torch.float64)
    weights = torch.randn(6, 3, 4, dtype=torch.float64)
    (layer(x) * weights).sum().backward()
    straight = layer.linear.weight.grad.clone()
    layer.zero_grad()
    soft = (layer.linear(x).unflatten(-1, (3, 4)) / 0.7).softmax(-1)
    (soft * weights).sum().backward()
    assert torch.allclose(straight, layer.linear.weight.grad, rtol=1e-12)


def test_gradient_in_training_is_close_to_the_true_one_when_cold() -> None:
    """E over draws of a linear loss: its gradient is known; the estimate's bias falls with T."""
    logits, costs = [0.3, -0.2, 0.1], torch.tensor([1.0, -2.0, 0.5])
    p = torch.tensor(logits).softmax(-1)
    truth = p * (costs - (p * costs).sum())
    errors = []
    for temperature in (0.3, 5.0):
        layer = with_logits(logits, temperature=temperature)
        (layer(torch.zeros(200_000, 2)) * costs).sum(-1).mean().backward()
        errors.append((layer.linear.bias.grad - truth).abs().max().item())
    assert errors[0] < 0.1 * truth.abs().max() < errors[1]


def test_rate_in_closed_form() -> None:
    layer = with_logits([0.0, 0.0, 0.0])
    layer(torch.zeros(4, 2))
    assert layer.rate().item() == pytest.approx(0.0, abs=1e-6)
    layer = with_logits([1000.0, 0.0, -1000.0])
    layer(torch.zeros(4, 2))
    assert layer.rate().item() == pytest.approx(math.log(3), rel=1e-6)
    layer.rate().backward()
    assert layer.linear.bias.grad.isfinite().all()


def test_rate_is_torchs_divergence_summed_over_codes() -> None:
    layer = CategoricalBottleneck(5, 7, 3)
    layer(torch.randn(20, 5))
    uniform = Categorical(torch.ones(3) / 3)
    expected = kl_divergence(layer.distribution, uniform).sum(-1).mean()
    assert layer.rate().item() == pytest.approx(expected.item(), rel=1e-5)


def test_infinite_noise_does_not_happen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.Tensor, "exponential_", torch.Tensor.zero_)
    layer = CategoricalBottleneck(5, 7, 3)
    assert layer(torch.randn(20, 5)).isfinite().all()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n_symbols": 1}, ValueError, "n_symbols must be an integer of at least 2, got 1"),
        ({"n_codes": 0}, ValueError, "n_codes must be an integer of at least 1, got 0"),
        ({"temperature": 0.0}, ValueError, "temperature must be a finite number above 0, got 0.0"),
        ({"temperature": "1"}, TypeError, "temperature must be a finite number above 0 and a"),
        ({"in_features": 0}, ValueError, "in_features must be an integer of at least 1, got 0"),
        ({"always": "no"}, TypeError, "always must be True or False, got 'no'"),
    ],
)
def test_bad_settings_are_named(
    arguments: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        CategoricalBottleneck(**{"in_features": 3, "n_codes": 2, "n_symbols": 4, **arguments})
