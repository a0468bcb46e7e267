"""Entropy minimization, adaptation by it, and clustering by information maximization."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from infoest.losses import EntropyMinimizationLoss, InfoMaxClusteringLoss, adapt_by_entropy


def drawn(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def entropy(p: Tensor, dim: int = 1) -> Tensor:
    return -(p * p.log()).sum(dim=dim)


# ------------------------------------------------------------------------------ entropy


def test_entropy_and_its_gradient() -> None:
    logits = drawn(6, 4).requires_grad_()
    result = EntropyMinimizationLoss()(logits)
    p = logits.detach().softmax(dim=1)
    torch.testing.assert_close(result.loss, entropy(p).mean())
    result.loss.backward()
    wanted = -p * (p.log() + entropy(p)[:, None]) / 6
    torch.testing.assert_close(logits.grad, wanted)


def test_limits_of_entropy() -> None:
    loss = EntropyMinimizationLoss(normalize=True)
    assert loss(torch.zeros(2, 5)).loss.item() == pytest.approx(1.0)
    assert loss(torch.zeros(2, 5)).entropy.item() == pytest.approx(math.log(5.0))
    assert loss(1e4 * torch.eye(3)).loss.item() == 0.0
    shifted = loss(drawn(3, 4) + 1e6).loss.item()
    assert shifted == pytest.approx(loss(drawn(3, 4)).loss.item(), rel=1e-8)


def test_reductions() -> None:
    logits = drawn(6, 4)
    rows = EntropyMinimizationLoss(reduction="none")(logits).loss
    torch.testing.assert_close(rows, entropy(logits.softmax(dim=1)))
    for reduction in ("mean", "sum"):
        found = EntropyMinimizationLoss(reduction=reduction)(logits).loss
        torch.testing.assert_close(found, getattr(rows, reduction)())


def test_a_prediction_at_every_place() -> None:
    maps = drawn(2, 3, 4, 5)
    flat = maps.permute(0, 2, 3, 1).reshape(-1, 3)
    loss = EntropyMinimizationLoss()
    torch.testing.assert_close(loss(maps).loss, loss(flat).loss)


@pytest.mark.parametrize(
    ("logits", "error", "sentence"),
    [
        (torch.zeros(3), ValueError, r"logits must have shape \(n, classes\)"),
        (torch.zeros(3, 1), ValueError, "at least 2 classes"),
        (torch.zeros(3, 2).long(), TypeError, "logits must be a floating-point tensor"),
        (torch.full((3, 2), math.nan), ValueError, "logits must be finite, got 6"),
    ],
)
def test_bad_logits(logits: Tensor, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        EntropyMinimizationLoss()(logits)


def test_bad_setting() -> None:
    with pytest.raises(ValueError, match="reduction must be one of"):
        EntropyMinimizationLoss(reduction="max")
    with pytest.raises(TypeError, match="normalize must be True or False"):
        EntropyMinimizationLoss(normalize="yes")  # type: ignore[arg-type]


# ------------------------------------------------------------------------------ adaptation


def network() -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 4))


def snapshot(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


@pytest.mark.parametrize("training", [True, False])
def test_adapts_and_leaves_the_model_alone(training: bool) -> None:
    model, x = network().train(training), drawn(16, 3).float().requires_grad_()
    before, plain = snapshot(model), model.eval()(x)
    model.train(training)
    with torch.no_grad():
        logits = adapt_by_entropy(model, x, steps=20, learning_rate=0.02)
    loss = EntropyMinimizationLoss()
    assert loss(logits).loss.item() < 0.7 * loss(plain).loss.item()
    assert not logits.requires_grad
    assert x.grad is None
    assert model.training is training
    assert all(one.grad is None and one.requires_grad for one in model.parameters())
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_keeps_what_it_learned_if_asked_to() -> None:
    model, x = network().eval(), drawn(16, 3).float()
    logits = adapt_by_entropy(model, x, steps=3, learning_rate=0.02, reset=False)
    torch.testing.assert_close(model(x), logits)


def test_only_the_named_parameters_move() -> None:
    model, x = network().eval(), drawn(16, 3).float()
    before = snapshot(model)
    adapt_by_entropy(model, x, model[1].parameters(), learning_rate=0.02, reset=False)
    moved = {name for name, value in model.state_dict().items() if (value != before[name]).any()}
    assert moved == {"1.weight", "1.bias"}


def test_the_first_step_of_adam() -> None:
    """Its size is the learning rate, against the sign of the gradient."""
    model, x = network()[0].double(), drawn(5, 3)
    (gradient,) = torch.autograd.grad(EntropyMinimizationLoss()(model(x)).loss, [model.weight])
    before = model.weight.detach().clone()
    adapt_by_entropy(model, x, [model.weight], learning_rate=0.1, reset=False)
    torch.testing.assert_close(
        model.weight.detach(), before - 0.1 * gradient.sign(), atol=1e-5, rtol=0
    )


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        ({"model": torch.relu}, TypeError, "model must be a torch.nn.Module"),
        ({"parameters": []}, ValueError, "parameters must hold at least one"),
        ({"parameters": [nn.Parameter(torch.zeros(1))]}, ValueError, "must be the model's, got 1"),
        ({"steps": 0}, ValueError, "steps must be an integer of at least 1"),
        ({"learning_rate": 0.0}, ValueError, "learning_rate must be"),
        ({"reset": 1}, TypeError, "reset must be True or False"),
        ({"x": torch.full((2, 3), math.nan)}, ValueError, "logits must be finite"),
    ],
)
def test_bad_adaptation(change: dict[str, Any], error: type[Exception], sentence: str) -> None:
    given = {"model": network(), "x": drawn(4, 3).float()} | change
    with pytest.raises(error, match=sentence):
        adapt_by_entropy(**given)


# ------------------------------------------------------------------------------ clustering


def test_parts_of_clustering() -> None:
    logits, labels = drawn(6, 3), torch.tensor([-1, 0, 2, -1, 1, -1])
    result = InfoMaxClusteringLoss(conditional_weight=0.3, temperature=2.0)(logits, labels)
    p = (2.0 * logits).softmax(dim=1)
    torch.testing.assert_close(result.conditional_entropy, entropy(p[labels < 0]).mean())
    torch.testing.assert_close(result.marginal_entropy, entropy(p.mean(dim=0), dim=0))
    cross = -p[labels >= 0].log()[torch.arange(3), labels[labels >= 0]].mean()
    torch.testing.assert_close(result.cross_entropy, cross)
    total = 0.3 * result.conditional_entropy - result.marginal_entropy + result.cross_entropy
    torch.testing.assert_close(result.loss, total)


def test_without_labels_it_is_information() -> None:
    logits = drawn(6, 3)
    result = InfoMaxClusteringLoss()(logits)
    p = logits.softmax(dim=1)
    information = (p * (p / p.mean(dim=0)).log()).sum(dim=1).mean()
    torch.testing.assert_close(-result.loss, information)
    assert result.cross_entropy.item() == 0.0


def test_all_labeled_has_no_conditional_entropy() -> None:
    result = InfoMaxClusteringLoss()(drawn(6, 3), torch.arange(6) % 3)
    assert result.conditional_entropy.item() == 0.0


def test_three_groups_are_found() -> None:
    centers = torch.tensor([[4.0, 0.0], [-2.0, 3.5], [-2.0, -3.5]], dtype=torch.float64)
    truth = torch.arange(90) % 3
    x = centers[truth] + 0.3 * drawn(90, 2)
    weight = drawn(2, 3, seed=3).requires_grad_()
    adam, loss = torch.optim.Adam([weight], lr=0.05), InfoMaxClusteringLoss()
    for _ in range(200):
        adam.zero_grad()
        loss(x @ weight).loss.backward()
        adam.step()
    assert loss(x @ weight).loss.item() == pytest.approx(-math.log(3.0), abs=0.02)
    found = (x @ weight).argmax(dim=1)
    assert len(set(zip(found.tolist(), truth.tolist(), strict=True))) == 3


LOGITS = torch.zeros(4, 3)


@pytest.mark.parametrize(
    ("logits", "labels", "error", "sentence"),
    [
        (LOGITS[:1], None, ValueError, "logits must have shape .* at least 2 rows"),
        (LOGITS[:, :1], None, ValueError, "2 clusters"),
        (LOGITS[0], None, ValueError, r"logits must have shape \(n, clusters\)"),
        (LOGITS + math.inf, None, ValueError, "logits must be finite, got 12"),
        (LOGITS, torch.full((4,), -1), ValueError, "labels must hold at least one label"),
        (LOGITS, torch.tensor([0, 1, 2, 3]), ValueError, r"labels must be in \[0, 2\].* got 3"),
        (LOGITS, torch.tensor([0, 1, 2, -2]), ValueError, r"labels must be in .* got -2"),
        (LOGITS, torch.tensor([0, 1, 2]), ValueError, r"labels must have shape \(4,\)"),
        (LOGITS, torch.zeros(4), TypeError, "labels must be a tensor of integers"),
        (LOGITS, [0, 1, 2, 0], TypeError, "labels must be a tensor of integers, got list"),
    ],
)
def test_bad_clustering(logits: Tensor, labels: Any, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        InfoMaxClusteringLoss()(logits, labels)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"conditional_weight": -1.0}, "conditional_weight must be"),
        ({"temperature": 0.0}, "temperature must be"),
    ],
)
def test_bad_settings_of_clustering(settings: dict[str, float], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        InfoMaxClusteringLoss(**settings)
