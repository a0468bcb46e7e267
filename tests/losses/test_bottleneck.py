"""Rates, distortions and gradients of the bottleneck losses, in closed form."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Independent, MultivariateNormal, Normal, kl_divergence

from infoest.functional import mixture_information_bounds
from infoest.losses import DiagonalPrior, FullPrior, MixturePrior, NonlinearIBLoss, VIBLoss


def code(n: int = 5, d: int = 3, seed: int = 0) -> Normal:
    generator = torch.Generator().manual_seed(seed)
    mean = torch.randn(n, d, generator=generator, dtype=torch.float64)
    std = 0.2 + torch.rand(n, d, generator=generator, dtype=torch.float64)
    return Normal(mean.requires_grad_(), std.requires_grad_())


def classes(n: int = 5, k: int = 4) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(n, k, generator=generator, dtype=torch.float64)
    return logits, torch.arange(n) % k


def test_rate_and_distortion() -> None:
    law, (logits, target) = code(), classes()
    result = VIBLoss(beta=0.3)(law, logits, target)
    rate = 0.5 * (law.scale**2 + law.loc**2 - 1.0 - 2.0 * law.scale.log()).sum(dim=1).mean()
    distortion = (logits.logsumexp(dim=1) - logits[torch.arange(5), target]).mean()
    torch.testing.assert_close(result.rate, rate)
    torch.testing.assert_close(result.distortion, distortion)
    torch.testing.assert_close(result.loss, distortion + 0.3 * rate)
    result.loss.backward()
    torch.testing.assert_close(law.loc.grad, 0.3 * law.loc.detach() / 5)
    torch.testing.assert_close(law.scale.grad, 0.3 * (law.scale - 1.0 / law.scale).detach() / 5)


def test_beta_0_is_maximum_likelihood() -> None:
    law, (logits, target) = code(), classes()
    result = VIBLoss(beta=0.0)(law, logits, target)
    assert torch.equal(result.loss, nn.functional.cross_entropy(logits, target))


def test_numbers_are_a_normal_likelihood() -> None:
    law, target = code(), torch.arange(10.0, dtype=torch.float64).reshape(5, 2)
    result = VIBLoss(beta=0.0)(law, torch.zeros_like(target), target)
    likelihood = Normal(torch.zeros_like(target), 1.0).log_prob(target).sum(dim=1).mean()
    assert result.distortion.item() == pytest.approx(-likelihood.item() - math.log(2.0 * math.pi))
    column = VIBLoss(beta=0.0)(law, torch.zeros(5, 1), target[:, 0])
    assert column.distortion.item() == pytest.approx(0.5 * target[:, 0].square().mean().item())


@pytest.mark.parametrize(
    ("lagrangian", "function"),
    [("linear", lambda r: r), ("squared", lambda r: r**2), ("exponential", torch.expm1)],
)
def test_lagrangians(lagrangian: str, function: Any) -> None:
    law, (logits, target) = code(), classes()
    result = VIBLoss(beta=0.3, lagrangian=lagrangian)(law, logits, target)
    torch.testing.assert_close(result.loss, result.distortion + 0.3 * function(result.rate))


def test_reductions() -> None:
    law, (logits, target) = code(), classes()
    rows = VIBLoss(beta=0.3, reduction="none")(law, logits, target)
    total = VIBLoss(beta=0.3, reduction="sum")(law, logits, target)
    mean = VIBLoss(beta=0.3)(law, logits, target)
    assert rows.loss.shape == rows.rate.shape == rows.distortion.shape == (5,)
    for part in ("loss", "rate", "distortion"):
        torch.testing.assert_close(getattr(rows, part).sum(), getattr(total, part))
        torch.testing.assert_close(getattr(rows, part).mean(), getattr(mean, part))


def test_a_distortion_of_ones_own() -> None:
    law, (logits, target) = code(), classes()
    loss = VIBLoss(beta=0.0, distortion=lambda prediction, wanted: prediction.sum(dim=1) + wanted)
    assert torch.equal(loss(law, logits, target).loss, (logits.sum(dim=1) + target).mean())


def test_laws_of_codes_and_priors_agree() -> None:
    law, (logits, target) = code(), classes()
    full = MultivariateNormal(law.loc, scale_tril=law.scale.diag_embed())
    wide = Independent(Normal(torch.full((3,), 0.5), torch.full((3,), 2.0)), 1)
    expected = kl_divergence(law, Normal(torch.tensor(0.5), torch.tensor(2.0))).sum(dim=1).mean()
    covariance = MultivariateNormal(torch.full((3,), 0.5), 4.0 * torch.eye(3))
    for own in (law, Independent(law, 1), full):
        for prior in (wide, wide.base_dist, covariance):
            rate = VIBLoss(prior=prior)(own, logits, target).rate
            torch.testing.assert_close(rate, expected, check_dtype=False)
    standard = VIBLoss()(law, logits, target).rate
    for prior in (DiagonalPrior(3), FullPrior(3)):
        rate = VIBLoss(prior=prior)(full, logits, target).rate
        torch.testing.assert_close(rate, standard, check_dtype=False, rtol=1e-5, atol=1e-5)


def test_learned_priors_come_to_the_law_of_the_codes() -> None:
    """The best diagonal prior has the moments of all codes together, the best full one all."""
    law, (logits, target) = code(n=400), classes(n=400)
    second = law.loc.T @ law.loc / 400 + law.scale.square().mean(dim=0).diag()
    mean = law.loc.mean(dim=0)
    covariance = (second - mean[:, None] * mean).detach()
    entropy = law.entropy().sum(dim=1).mean().item()
    for prior, log_determinant in (
        (DiagonalPrior(3), covariance.diag().log().sum()),
        (FullPrior(3), covariance.logdet()),
    ):
        loss = VIBLoss(beta=1.0, prior=prior)
        adam = torch.optim.Adam(loss.parameters(), lr=0.02)
        for _ in range(600):
            rate = loss(law, logits, target).rate
            adam.zero_grad()
            rate.backward()
            adam.step()
        best = 0.5 * (3 * math.log(2.0 * math.pi * math.e) + log_determinant.item()) - entropy
        assert rate.item() == pytest.approx(best, abs=2e-3)


def test_the_rate_to_a_mixture_is_right_on_average() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        prior = MixturePrior(2, components=3)
        law = Normal(torch.tensor([[0.3, -0.2]]), torch.tensor([[0.5, 0.4]]))
        one = Independent(Normal(law.loc.expand(40_000, -1), law.scale.expand(40_000, -1)), 1)
        rate = VIBLoss(prior=prior)(one, torch.zeros(40_000), torch.zeros(40_000)).rate.item()
        draws = law.sample((100_000,))[:, 0]
        wanted = (law.log_prob(draws).sum(dim=1) - prior().log_prob(draws)).mean().item()
    assert rate == pytest.approx(wanted, abs=0.02)


def test_the_nonlinear_rate_is_the_mixture_bound() -> None:
    law, (logits, target) = code(), classes()
    result = NonlinearIBLoss(beta=0.2)(law, logits, target)
    lower, upper = mixture_information_bounds(law.loc, law.scale)
    assert torch.equal(result.rate, upper)
    assert torch.equal(result.lower, lower)
    torch.testing.assert_close(result.loss, result.distortion + 0.2 * upper**2)


def test_bounds_hold_the_information() -> None:
    law = code(n=4, d=1)
    result = NonlinearIBLoss()(law, torch.zeros(4), torch.zeros(4))
    grid = torch.linspace(-12.0, 12.0, 40_001, dtype=torch.float64)[:, None]
    parts = law.expand((4, 1)).loc[:, 0], law.scale[:, 0]
    densities = Normal(*parts).log_prob(grid).detach()
    mixture = densities.logsumexp(dim=1) - math.log(4)
    step = (grid[1] - grid[0]).item()
    exact = ((densities.exp() * (densities - mixture[:, None])).sum(dim=0) * step).mean().item()
    assert result.lower.item() <= exact <= result.rate.item()


STANDARD = Normal(torch.zeros(4, 2), torch.ones(4, 2))
LOGITS, TARGET = torch.zeros(4, 3), torch.tensor([0, 1, 2, 0])


@pytest.mark.parametrize(
    ("law", "prediction", "target", "error", "sentence"),
    [
        (torch.zeros(4, 2), LOGITS, TARGET, TypeError, "code_distribution must be a Normal or"),
        (
            Normal(torch.zeros(4), torch.ones(4)),
            LOGITS,
            TARGET,
            ValueError,
            r"code_distribution must have shape \(rows, columns\)",
        ),
        (
            Normal(torch.zeros(4, 2), torch.zeros(4, 2), validate_args=False),
            LOGITS,
            TARGET,
            ValueError,
            "code_distribution must have positive standard deviations, got 0",
        ),
        (
            Normal(torch.full((4, 2), math.nan), torch.ones(4, 2), validate_args=False),
            LOGITS,
            TARGET,
            ValueError,
            "code_distribution.mean must be finite, got 8 NaN",
        ),
        (STANDARD, LOGITS, TARGET + 1, ValueError, r"target must be in \[0, 2\], got 3"),
        (STANDARD, LOGITS, TARGET - 1, ValueError, r"target must be in \[0, 2\], got -1"),
        (STANDARD, LOGITS, TARGET[:3], ValueError, "target must hold one class for each row"),
        (STANDARD, LOGITS, TARGET > 0, TypeError, "target must be a tensor of integers"),
        (STANDARD, LOGITS, LOGITS[:, :2], ValueError, "target must have the shape of prediction"),
        (STANDARD, LOGITS.long(), TARGET, TypeError, "prediction must be a floating-point tensor"),
        (STANDARD, LOGITS + math.inf, TARGET, ValueError, "prediction must be finite, got 12"),
        (STANDARD, LOGITS[:3], TARGET[:3], ValueError, "prediction must have a row for every"),
    ],
)
@pytest.mark.parametrize("loss", [VIBLoss(), NonlinearIBLoss()])
def test_bad_input(
    loss: nn.Module,
    law: Any,
    prediction: Tensor,
    target: Tensor,
    error: type[Exception],
    sentence: str,
) -> None:
    with pytest.raises(error, match=sentence):
        loss(law, prediction, target)


@pytest.mark.parametrize(
    ("settings", "error", "sentence"),
    [
        ({"lagrangian": "cubic"}, ValueError, "lagrangian must be one of"),
        ({"reduction": "max"}, ValueError, "reduction must be one of"),
        ({"prior": "normal"}, TypeError, "prior must be a law"),
        ({"lagrangian": "squared", "reduction": "none"}, ValueError, "reduction must be 'mean'"),
    ],
)
def test_bad_settings(settings: dict[str, Any], error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        VIBLoss(**settings)


def test_one_row_has_no_mixture() -> None:
    law = Normal(torch.zeros(1, 2), torch.ones(1, 2))
    with pytest.raises(ValueError, match="must have at least 2 rows, got 1"):
        NonlinearIBLoss()(law, torch.zeros(1, 3), torch.tensor([0]))
