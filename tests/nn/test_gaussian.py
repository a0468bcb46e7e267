"""Gaussian bottleneck: moments of the draws, rate in closed form, fixed and full noise."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.distributions import MultivariateNormal, Normal, kl_divergence

from infoest.nn import GaussianBottleneck


def standard(size: int) -> MultivariateNormal:
    return MultivariateNormal(torch.zeros(size), torch.eye(size))


def filled(layer: GaussianBottleneck, bias: list[float]) -> GaussianBottleneck:
    """Return the layer with parameters that do not depend on the input."""
    with torch.no_grad():
        layer.linear.weight.zero_()
        layer.linear.bias.copy_(torch.tensor(bias))
    return layer


def test_standard_deviation_is_the_shifted_softplus() -> None:
    layer = filled(GaussianBottleneck(3, 2, min_std=0.25), [1.0, -2.0, 0.0, 7.0])
    code = layer.eval()(torch.randn(4, 3))
    assert torch.equal(code, torch.tensor([[1.0, -2.0]] * 4))
    expected = [math.log1p(math.exp(-5.0)) + 0.25, math.log1p(math.exp(2.0)) + 0.25]
    assert layer.std[0].tolist() == pytest.approx(expected, rel=1e-6)
    assert isinstance(layer.distribution, Normal)


def test_rate_in_closed_form() -> None:
    layer = filled(GaussianBottleneck(3, 2, std=0.5), [1.0, -2.0])
    layer(torch.randn(4, 3))
    # 1/2 (std^2 + mean^2 - 1) - log std, summed over dimensions, not averaged
    assert layer.rate().item() == pytest.approx(
        0.5 * (2 * 0.25 + 5.0 - 2.0) - 2 * math.log(0.5), rel=1e-6
    )


def test_rate_of_the_prior_is_zero() -> None:
    layer = filled(GaussianBottleneck(3, 4, std=1.0), [0.0] * 4)
    layer(torch.randn(4, 3))
    assert layer.rate().item() == 0.0


@pytest.mark.parametrize("covariance", ["diagonal", "full"])
def test_rate_is_torchs_divergence(covariance: str) -> None:
    layer = GaussianBottleneck(5, 3, covariance=covariance, softplus_shift=0.0)
    nn.init.normal_(layer.linear.weight)
    layer(torch.randn(7, 5))
    if covariance == "full":
        expected = kl_divergence(layer.distribution, standard(3)).mean()
    else:
        expected = kl_divergence(layer.distribution, Normal(0.0, 1.0)).sum(-1).mean()
    assert layer.rate().item() == pytest.approx(expected.item(), rel=1e-5)


def test_rate_of_a_vanishing_deviation_is_finite() -> None:
    layer = filled(GaussianBottleneck(3, 1, min_std=1e-30), [0.0, -500.0])
    layer(torch.randn(4, 3))
    # the variance underflows in float32, the rate does not
    assert layer.rate().item() == pytest.approx(30 * math.log(10) - 0.5, rel=1e-6)
    layer.rate().backward()
    assert layer.linear.bias.grad.isfinite().all()


@pytest.mark.parametrize("covariance", ["diagonal", "full"])
def test_draws_have_the_moments_of_the_distribution(covariance: str) -> None:
    layer = GaussianBottleneck(2, 3, covariance=covariance, softplus_shift=0.0)
    nn.init.normal_(layer.linear.weight)
    row = torch.randn(1, 2)
    codes = layer(row.expand(200_000, 2)).detach()
    mean, std = layer.mean[0], layer.std[0]
    error = std / math.sqrt(len(codes))
    assert ((codes.mean(0) - mean).abs() < 5 * error).all()
    full = layer.distribution
    expected = full.covariance_matrix[0] if covariance == "full" else torch.diag(std**2)
    scale = torch.outer(std, std)
    assert ((torch.cov(codes.T) - expected).abs() < 0.02 * scale).all()
    assert torch.allclose(expected.diagonal().sqrt(), std)


def test_full_covariance_starts_diagonal_and_is_any_lower_factor() -> None:
    layer = GaussianBottleneck(2, 3, covariance="full", softplus_shift=0.0)
    layer(torch.randn(4, 2))
    factor = layer.distribution.scale_tril
    assert torch.equal(factor, torch.diag_embed(factor.diagonal(dim1=-2, dim2=-1)))
    filled(layer, [0.0] * 3 + [0.0, 1.0, 2.0] + [0.5, -1.0, 2.0])
    layer(torch.randn(4, 2))
    d = [math.log1p(math.exp(s)) for s in (0.0, 1.0, 2.0)]
    expected = [[d[0], 0.0, 0.0], [0.5 * d[1], d[1], 0.0], [-d[2], 2.0 * d[2], d[2]]]
    assert torch.allclose(layer.distribution.scale_tril[1], torch.tensor(expected), rtol=1e-5)


def test_more_draws() -> None:
    layer = GaussianBottleneck(3, 2, std=0.5)
    layer(torch.randn(4, 3))
    draws = layer.sample(5000)
    assert draws.shape == (5000, 4, 2)
    assert torch.allclose(draws.mean(0), layer.mean, atol=0.05)
    assert draws.std().item() > 0.4
    with pytest.raises(ValueError, match="n_samples must be an integer of at least 1, got 0"):
        layer.sample(0)


def test_bfloat16_autocast_does_not_round_the_noise_away() -> None:
    layer = filled(GaussianBottleneck(3, 1), [1.0, 0.0])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        codes = layer(torch.randn(10_000, 3))
    # a bfloat16 next to 1 is .0078 away, more than the noise
    assert codes.std().item() == pytest.approx(math.log1p(math.exp(-5.0)), rel=0.05)


def test_linear_bottleneck_learns_the_capacity_of_its_noise() -> None:
    """At the optimum of distortion + rate / 2 a unit Gaussian keeps std^2 = 1/2 or is let go."""
    layer = GaussianBottleneck(1, 1, softplus_shift=0.0)
    decoder = nn.Linear(1, 1)
    weights = [*layer.parameters(), *decoder.parameters()]
    optimizer = torch.optim.Adam(weights, lr=0.02)
    beta, noise = 0.5, 0.1
    for _ in range(400):
        x = torch.randn(512, 1)
        error = (decoder(layer(x)) - x).square().sum(-1).mean()
        loss = error / (2 * noise) + beta * layer.rate()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    # R(D) = 1/2 log(1/D), min D / (2 noise) + beta R: D = beta noise
    assert error.item() == pytest.approx(beta * noise, rel=0.3)
    assert layer.rate().item() == pytest.approx(-0.5 * math.log(beta * noise), abs=0.1)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"std": 0.0}, ValueError, "std must be a finite number above 0, got 0.0"),
        ({"std": -1.0}, ValueError, "std must be a finite number above 0, got -1.0"),
        ({"std": "fixed"}, ValueError, r"std must be one of \['learned'\], got 'fixed'. Give a"),
        ({"std": None}, TypeError, "std must be a finite number above 0 and a number, got None"),
        ({"min_std": 0.0}, ValueError, "min_std must be a finite number above 0, got 0.0"),
        ({"softplus_shift": math.inf}, ValueError, "softplus_shift must be a finite number"),
        ({"covariance": "low rank"}, ValueError, r"covariance must be one of \['diagonal', 'full"),
        ({"covariance": "full", "std": 1.0}, ValueError, "covariance must be 'diagonal' with"),
        ({"out_features": 0}, ValueError, "out_features must be an integer of at least 1, got 0"),
        ({"in_features": 1.5}, TypeError, "in_features must be an integer"),
        ({"always": 1}, TypeError, "always must be True or False, got 1"),
    ],
)
def test_bad_settings_are_named(
    arguments: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        GaussianBottleneck(**{"in_features": 3, "out_features": 2, **arguments})
