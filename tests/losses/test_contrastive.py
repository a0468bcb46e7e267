"""Contrasts of two views in closed form, in one process and in two, and bad input."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal, Normal

from infoest.functional import infonce, jensen_shannon
from infoest.losses import InfoNCELoss, MultiViewIBLoss, TargetRate

from ..two_processes import found_by_two, needs_gloo
from .two_processes import contrasted


def views(n: int = 8, d: int = 3, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    z_a, noise = (torch.randn(n, d, generator=generator, dtype=torch.float64) for _ in range(2))
    return z_a, z_a + noise


def laws(n: int = 8, d: int = 3) -> tuple[Normal, Normal]:
    (mean_a, mean_b), (raw_a, raw_b) = views(n, d), views(n, d, seed=1)
    return Normal(mean_a, raw_a.exp()), Normal(mean_b, raw_b.exp())


def test_the_loss_is_the_bound_with_its_sign_turned() -> None:
    z_a, z_b = views()
    scores = nn.functional.cosine_similarity(z_a[:, None], z_b[None], dim=2) / 0.2
    one = InfoNCELoss(0.2, symmetric=False)(z_a, z_b)
    torch.testing.assert_close(one.loss, math.log(8) - infonce(scores))
    torch.testing.assert_close(one.information, infonce(scores))
    target = torch.arange(8)
    cross_entropy = nn.functional.cross_entropy
    torch.testing.assert_close(one.loss, cross_entropy(scores, target))
    both = InfoNCELoss(0.2)(z_a, z_b)
    directions = cross_entropy(scores, target), cross_entropy(scores.T, target)
    torch.testing.assert_close(both.loss, 0.5 * (directions[0] + directions[1]))
    torch.testing.assert_close(both.loss, InfoNCELoss(0.2)(z_b, z_a).loss)


def test_closed_forms_and_limits() -> None:
    z = torch.eye(5, dtype=torch.float64)
    for temperature in (0.05, 0.3, 2.0):
        loss = InfoNCELoss(temperature)(z, z).loss.item()
        assert loss == pytest.approx(math.log1p(4.0 * math.exp(-1.0 / temperature)))
    assert InfoNCELoss()(torch.ones(5, 3), torch.ones(5, 3)).loss.item() == pytest.approx(
        math.log(5)
    )
    z_a, z_b = views()
    for temperature in (0.05, 5.0):
        information = InfoNCELoss(temperature)(z_a, z_b).information.item()
        assert information <= min(math.log(8), 2.0 / temperature)
    assert InfoNCELoss(1e9)(z_a, z_b).information.item() == pytest.approx(0.0, abs=1e-8)


def test_lengths_do_not_count_at_any_magnitude() -> None:
    z_a, z_b = views()
    plain = InfoNCELoss()(z_a, z_b).loss
    generator = torch.Generator().manual_seed(3)
    lengths = 10.0 ** torch.empty(8, 1, dtype=torch.float64).uniform_(
        -200.0, 200.0, generator=generator
    )
    torch.testing.assert_close(InfoNCELoss()(lengths * z_a, z_b).loss, plain)
    order = torch.randperm(8, generator=generator)
    torch.testing.assert_close(InfoNCELoss()(z_a[order], z_b[order]).loss, plain)


def test_a_row_of_zeros_has_no_gradient() -> None:
    z_a, z_b = views()
    z_a[2] = 0.0
    z_a.requires_grad_()
    InfoNCELoss()(z_a, z_b).loss.backward()
    assert torch.isfinite(z_a.grad).all()
    assert z_a.grad[2].abs().sum().item() == 0.0 < z_a.grad[1].abs().sum().item()


def test_one_process_has_nothing_to_gather() -> None:
    z_a, z_b = views()
    assert torch.equal(InfoNCELoss(gather=True)(z_a, z_b).loss, InfoNCELoss()(z_a, z_b).loss)


@needs_gloo
def test_two_processes_contrast_the_joined_batch(tmp_path: Path) -> None:
    both = found_by_two("tests.losses.two_processes", tmp_path)
    for symmetric in (True, False):
        loss, network = contrasted(slice(None), gather=False, symmetric=symmetric)
        for rank, found in enumerate(both):
            torch.testing.assert_close(found[str(symmetric)]["loss"], loss)
            for gradient, weight in zip(
                found[str(symmetric)]["gradients"], network.parameters(), strict=True
            ):
                torch.testing.assert_close(gradient, weight.grad)
            assert abs(found["apart"].item() - loss.item()) > 1e-3
            # An error in one process is one in both: none waits for the other.
            assert found["nan"] == "z_a must be finite, got 18 NaN or infinite entries.", rank


def test_the_multi_view_loss_in_closed_form() -> None:
    law_a, law_b = laws()
    result = MultiViewIBLoss(beta=0.3)(law_a, law_b, law_a.mean, law_b.mean)
    var_a, var_b = law_a.variance, law_b.variance
    squares = (law_a.mean - law_b.mean).square()
    # The logarithms of both directions cancel.
    skl = 0.25 * (var_a / var_b + var_b / var_a + squares / var_a + squares / var_b - 2.0)
    torch.testing.assert_close(result.divergence, skl.sum(dim=1).mean())
    torch.testing.assert_close(
        result.information, InfoNCELoss()(law_a.mean, law_b.mean).information
    )
    torch.testing.assert_close(result.loss, 0.3 * result.divergence - result.information)
    turned = MultiViewIBLoss(beta=0.3)(law_b, law_a, law_b.mean, law_a.mean)
    torch.testing.assert_close(turned.loss, result.loss)


def test_equal_laws_and_laws_with_covariance() -> None:
    law_a, law_b = laws()
    loss, draws = MultiViewIBLoss(), (law_a.mean, law_b.mean)
    assert loss(law_a, law_a, *draws).divergence.item() == pytest.approx(0.0, abs=1e-12)
    full = MultivariateNormal(law_b.loc, scale_tril=law_b.scale.diag_embed())
    torch.testing.assert_close(
        loss(law_a, full, *draws).divergence, loss(law_a, law_b, *draws).divergence
    )


def test_the_divergence_bounds_what_one_view_has_alone() -> None:
    """z_a = v_a + noise of variance 1 and v_b says nothing: I(z_a; v_a | v_b) = log(2) / 2."""
    generator = torch.Generator().manual_seed(0)
    v_a, v_b = (torch.randn(4000, 1, generator=generator, dtype=torch.float64) for _ in range(2))
    codes = Normal(v_a, 1.0), Normal(v_b, 1.0)
    divergence = MultiViewIBLoss()(*codes, v_a, v_b).divergence.item()
    assert divergence > 0.5 * math.log(2.0)
    assert divergence == pytest.approx(1.0, abs=0.1)  # E (v_a - v_b)^2 / 2


def test_an_information_of_ones_own() -> None:
    law_a, law_b = laws()
    draws = law_a.mean, law_b.mean

    class Scored(nn.Module):
        bound = "lower"

        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.tensor(2.0, dtype=torch.float64))

        def forward(self, z_a: Tensor, z_b: Tensor) -> Tensor:
            return jensen_shannon(self.scale * z_a @ z_b.T)

    loss = MultiViewIBLoss(beta=1.0, information=Scored())
    assert [name for name, _ in loss.named_parameters()] == ["information.scale"]
    result = loss(law_a, law_b, *draws)
    torch.testing.assert_close(result.information, jensen_shannon(2.0 * draws[0] @ draws[1].T))
    cold = MultiViewIBLoss(information=InfoNCELoss(0.5))(law_a, law_b, *draws).information
    torch.testing.assert_close(cold, InfoNCELoss(0.5)(*draws).information)


def test_the_divergence_is_steered() -> None:
    law_a, law_b = laws()
    loss = MultiViewIBLoss(beta=TargetRate(0.1, start=0.1, step_size=0.1))
    betas = [loss(law_a, law_b, law_a.mean, law_b.mean).beta.item() for _ in range(2)]
    assert betas[0] < betas[1]


Z = torch.eye(4)


@pytest.mark.parametrize(
    ("z_a", "z_b", "error", "sentence"),
    [
        (Z[:1], Z[:1], ValueError, r"z_a must have shape \(n, d\) with n at least 2"),
        (Z[0], Z[0], ValueError, r"z_a must have shape \(n, d\)"),
        (Z, Z[:3], ValueError, r"z_b must have the shape of z_a, \(4, 4\), got \(3, 4\)"),
        (Z, Z[:, :3], ValueError, "z_b must have the shape of z_a"),
        (Z.long(), Z, TypeError, "z_a must be a floating-point tensor"),
        (Z, Z / 0.0, ValueError, "z_b must be finite, got 16 NaN"),
    ],
)
def test_bad_input(z_a: Tensor, z_b: Tensor, error: type[Exception], sentence: str) -> None:
    law = Normal(torch.zeros(4, 4), 1.0)
    with pytest.raises(error, match=sentence):
        InfoNCELoss()(z_a, z_b)
    with pytest.raises(error, match=sentence):
        MultiViewIBLoss()(law, law, z_a, z_b)


def test_bad_codes() -> None:
    law, loss = Normal(torch.zeros(4, 4), 1.0), MultiViewIBLoss()
    flat = Normal(torch.zeros(4, 4), torch.zeros(4, 4), validate_args=False)
    spoiled = Normal(torch.full((4, 4), math.nan), 1.0, validate_args=False)
    with pytest.raises(TypeError, match="code_a must be a Normal or MultivariateNormal"):
        loss(Z, law, Z, Z)
    with pytest.raises(ValueError, match="code_b must have positive standard deviations, got 0"):
        loss(law, flat, Z, Z)
    with pytest.raises(ValueError, match=r"code_b\.mean must be finite"):
        loss(law, spoiled, Z, Z)
    with pytest.raises(ValueError, match="code_b must have the shape of code_a"):
        loss(law, Normal(torch.zeros(4, 3), 1.0), Z, Z)
    with pytest.raises(ValueError, match="z_a must have the shape of code_a"):
        loss(law, law, Z[:3], Z[:3])


@pytest.mark.parametrize(
    ("make", "error", "sentence"),
    [
        (lambda: InfoNCELoss(0.0), ValueError, "temperature must be a finite number above 0"),
        (lambda: InfoNCELoss(symmetric=1), TypeError, "symmetric must be True or False"),
        (lambda: InfoNCELoss(gather="yes"), TypeError, "gather must be True or False"),
        (lambda: MultiViewIBLoss(-1.0), ValueError, "beta must be a finite number of at least 0"),
        (lambda: MultiViewIBLoss(information=3), TypeError, "information must be a callable"),
    ],
)
def test_bad_settings(make: Any, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        make()


def test_no_upper_bound_is_maximized() -> None:
    def upper(z_a: Tensor, z_b: Tensor) -> Tensor:
        return (z_a * z_b).mean()

    upper.bound = "upper"  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="information must not be an upper bound"):
        MultiViewIBLoss(information=upper)
