"""What a penalty adds, and which direction it refuses."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from infoest.functional import cauchy_schwarz_qmi, club, hsic, matrix_renyi_mi
from infoest.losses import InformationPenalty, TargetRate, WarmUp


def pair(seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(20, 2, generator=generator, dtype=torch.float64)
    return x, x + torch.randn(20, 2, generator=generator, dtype=torch.float64)


def product(x: Tensor, y: Tensor) -> Tensor:
    return (x * y).mean()


def lower(x: Tensor, y: Tensor, scale: float = 1.0) -> Tensor:
    return scale * (x * y).mean()


def upper(x: Tensor, y: Tensor) -> Tensor:
    return (x * y).mean()


lower.bound = "lower"  # type: ignore[attr-defined]
upper.bound = "upper"  # type: ignore[attr-defined]


class Club(nn.Module):
    """An upper bound with a network of its own."""

    bound = "upper"

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.network = nn.Linear(2, 2).double()

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return club(-(self.network(x)[:, None] - y).square().sum(dim=2))


@pytest.mark.parametrize(
    "measure",
    [
        product,
        partial(hsic, bandwidth_x=1.0, bandwidth_y=1.0),
        partial(cauchy_schwarz_qmi, bandwidth_x=1.0, bandwidth_y=1.0),
        matrix_renyi_mi,
    ],
)
def test_it_is_weight_times_the_measure(measure: Any) -> None:
    x, y = pair()
    x.requires_grad_()
    result = InformationPenalty(measure, -0.3)(x, y)
    assert result._fields == ("loss", "information", "weight")
    torch.testing.assert_close(result.information, measure(x, y))
    torch.testing.assert_close(result.loss, -0.3 * measure(x, y))
    (found,) = torch.autograd.grad(result.loss, x)
    (wanted,) = torch.autograd.grad(measure(x, y), x)
    torch.testing.assert_close(found, -0.3 * wanted)


def test_a_module_is_part_of_it() -> None:
    penalty = InformationPenalty(Club(), 0.5)
    assert [name for name, _ in penalty.named_parameters()] == [
        "measure.network.weight",
        "measure.network.bias",
    ]
    again = InformationPenalty(Club(seed=1), 0.5)
    assert penalty(*pair()).loss.item() != again(*pair()).loss.item()
    again.load_state_dict(penalty.state_dict())
    assert torch.equal(penalty(*pair()).loss, again(*pair()).loss)


@pytest.mark.parametrize("wrap", [lambda one: one, lambda one: partial(one, scale=2.0)])
def test_a_lower_bound_is_not_minimized(wrap: Any) -> None:
    measure = wrap(lower)
    with pytest.raises(ValueError, match=r"weight must not be positive.*Take an upper bound"):
        InformationPenalty(measure, 0.1)
    assert InformationPenalty(measure, -0.1)(*pair()).weight == -0.1
    assert InformationPenalty(measure, 0.1, allow_loose=True)(*pair()).weight == 0.1
    assert InformationPenalty(measure, 0.0)(*pair()).loss.item() == 0.0


def test_an_upper_bound_is_not_maximized() -> None:
    for measure in (upper, partial(upper), partial(partial(upper)), Club()):
        with pytest.raises(ValueError, match=r"weight must not be negative.*Take a lower bound"):
            InformationPenalty(measure, -0.1)
        assert InformationPenalty(measure, 0.1)(*pair()).weight == 0.1
        assert InformationPenalty(measure, -0.1, allow_loose=True)(*pair()).weight == -0.1


def test_a_partial_may_have_a_bound_of_its_own() -> None:
    turned = partial(upper)
    turned.bound = "lower"  # type: ignore[attr-defined]
    assert InformationPenalty(turned, -0.1).bound == "lower"
    assert InformationPenalty(product, -0.1).bound is None


def test_schedules_are_looked_at_in_every_step() -> None:
    penalty = InformationPenalty(product, WarmUp(1.0, steps=2))
    assert [penalty(*pair()).weight for _ in range(3)] == [0.0, 0.5, 1.0]
    assert penalty.eval()(*pair()).weight == 1.0
    falling = InformationPenalty(lower, lambda step: -1.0 + step)
    assert [falling(*pair()).weight for _ in range(2)] == [-1.0, 0.0]
    with pytest.raises(ValueError, match="weight must not be positive"):
        falling(*pair())


def test_a_controller_is_positive() -> None:
    x, y = pair()
    rate = TargetRate(product(x, y).item() / 2.0, start=0.1, step_size=0.1)
    penalty = InformationPenalty(upper, rate)
    assert penalty(x, y).weight.item() < penalty(x, y).weight.item()
    with pytest.raises(ValueError, match="weight must not be positive"):
        InformationPenalty(lower, TargetRate(1.0))


def test_labels_pass_as_they_are() -> None:
    x, _ = pair()
    labels = torch.arange(20) % 2
    result = InformationPenalty(lambda x, y: x[y == 1].mean(), 1.0)(x, labels)
    assert result.loss.item() == pytest.approx(x[1::2].mean().item())


@pytest.mark.parametrize(
    ("measure", "x", "y", "error", "sentence"),
    [
        (product, torch.zeros(4, 2) + math.nan, torch.zeros(4, 2), ValueError, "x must be finite"),
        (product, torch.zeros(4, 2), torch.zeros(3, 2), ValueError, "y must have a row for every"),
        (product, [0.0], torch.zeros(1), TypeError, "x must be a tensor, got list"),
        (product, torch.zeros(()), torch.zeros(()), ValueError, "x must have rows"),
        (
            lambda x, y: x * y,
            torch.zeros(4, 2),
            torch.zeros(4, 2),
            ValueError,
            r"measure must return a scalar tensor, got shape \(4, 2\)",
        ),
        (
            lambda x, y: 0.0,
            torch.zeros(4),
            torch.zeros(4),
            TypeError,
            "measure must return a scalar tensor, got float",
        ),
        (
            lambda x, y: (x / y).mean(),
            torch.zeros(4),
            torch.zeros(4),
            ValueError,
            "the value of measure must be finite",
        ),
    ],
)
def test_bad_input(measure: Any, x: Any, y: Any, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        InformationPenalty(measure, 1.0)(x, y)


def test_bad_settings() -> None:
    def other(x: Tensor, y: Tensor) -> Tensor:
        return product(x, y)

    other.bound = "both"  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match=r"measure\.bound must be one of"):
        InformationPenalty(other, 1.0)
    with pytest.raises(TypeError, match="measure must be a callable"):
        InformationPenalty("hsic", 1.0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="weight must be a finite number"):
        InformationPenalty(product, math.nan)
    with pytest.raises(TypeError, match=r"weight must be .* number"):
        InformationPenalty(product, "1")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="allow_loose must be True or False"):
        InformationPenalty(product, 1.0, allow_loose=1)  # type: ignore[arg-type]
