"""The forward-forward loss in closed form."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from infoest.losses import ForwardForwardLoss


def activations(seed: int, rows: int = 5) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(rows, *shape, generator=generator, dtype=torch.float64).requires_grad_()
        for shape in ((3,), (2, 2), (4,))
    ]


def goodness(layers: list[Tensor]) -> list[Tensor]:
    return [layer.detach().flatten(1).square().sum(dim=1) for layer in layers]


def test_plain_layers() -> None:
    positive, negative = activations(0), activations(1, rows=7)
    result = ForwardForwardLoss(threshold=1.5)(positive, negative)
    good = [-(torch.sigmoid(g - 1.5)).log().mean() for g in goodness(positive)]
    bad = [-(1.0 - torch.sigmoid(g - 1.5)).log().mean() for g in goodness(negative)]
    torch.testing.assert_close(result.positive, sum(good) / torch.tensor(3.0).double())
    torch.testing.assert_close(result.negative, sum(bad) / torch.tensor(3.0).double())
    torch.testing.assert_close(result.loss, result.positive + result.negative)


def test_gradient_of_a_layer_is_its_own() -> None:
    """Of positive rows: -2 a (1 - p), over rows and layers; p of its own goodness, or of all."""
    for collaborative in (False, True):
        positive, negative = activations(0), activations(1)
        ForwardForwardLoss(collaborative=collaborative)(positive, negative).loss.backward()
        own, total = goodness(positive), sum(goodness(positive))
        for layer, values in enumerate(positive):
            p = torch.sigmoid((total if collaborative else own[layer]) - 2.0)
            rows = values.detach().flatten(1)
            wanted = (-2.0 * rows * (1.0 - p)[:, None] / 15.0).reshape(values.shape)
            torch.testing.assert_close(values.grad, wanted)


def test_collaboration_sees_all_layers() -> None:
    positive, negative = activations(0), activations(1)
    together = ForwardForwardLoss(collaborative=True)(positive, negative)
    total = sum(goodness(positive))
    wanted = torch.nn.functional.softplus(2.0 - total).mean()
    torch.testing.assert_close(together.positive, wanted)
    alone = [
        ForwardForwardLoss(collaborative=flag)([positive[0]], [negative[0]])
        for flag in (False, True)
    ]
    assert torch.equal(alone[0].loss, alone[1].loss)


def test_undecided_at_the_threshold() -> None:
    ones = [torch.ones(3, 2)]
    assert ForwardForwardLoss()(ones, ones).loss.item() == pytest.approx(2.0 * math.log(2.0))


ONE = [torch.ones(3, 2)]


@pytest.mark.parametrize(
    ("positive", "negative", "error", "sentence"),
    [
        (ONE[0], ONE, TypeError, "positive_activations must be a list of tensors"),
        (ONE, [], ValueError, "negative_activations must hold at least one layer"),
        (ONE, ONE * 2, ValueError, "negative_activations must have a tensor for each layer, 1"),
        ([torch.ones(3)], ONE, ValueError, r"positive_activations\[0\] must have shape"),
        ([ONE[0], torch.ones(2, 2)], ONE, ValueError, r"positive_activations\[1\] must have shape"),
        (ONE, [ONE[0] * math.nan], ValueError, r"negative_activations\[0\] must be finite, got 6"),
        (ONE, [ONE[0].long()], TypeError, r"negative_activations\[0\] must be a floating-point"),
    ],
)
def test_bad_input(positive: Any, negative: Any, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        ForwardForwardLoss()(positive, negative)


@pytest.mark.parametrize(
    ("settings", "error", "sentence"),
    [
        ({"threshold": -1.0}, ValueError, "threshold must be a finite number of at least 0"),
        ({"collaborative": None}, TypeError, "collaborative must be True or False"),
    ],
)
def test_bad_settings(settings: dict[str, Any], error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        ForwardForwardLoss(**settings)
