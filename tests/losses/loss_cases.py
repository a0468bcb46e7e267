"""One case for each public loss: how to make it, and what it is called with."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Normal

from infoest.functional import hsic
from infoest.losses import (
    CauchySchwarzIBLoss,
    CodingRateLoss,
    EffectiveEntropyLoss,
    EntropyMinimizationLoss,
    ForwardForwardLoss,
    HSICBottleneckLoss,
    IConLoss,
    InfoMaxClusteringLoss,
    InfoNCELoss,
    InformationPenalty,
    MultiViewIBLoss,
    NonlinearIBLoss,
    VIBLoss,
    VICRegLoss,
)
from infoest.losses.neighbors import GaussianNeighbors, LabelNeighbors

ROWS, CODES, CLASSES = 6, 3, 4


@dataclass(frozen=True)
class Case:
    """How a loss is tested.

    Args:
        make: Returns the loss.
        inputs: Generator and dtype -> tensors that gradients are taken of.
        call: Loss and tensors -> named result.
        total: Named result -> what its loss must be.
        compiles: Whether it is a closed form, that ``torch.compile`` takes whole.
    """

    make: Callable[[], nn.Module]
    inputs: Callable[[torch.Generator, torch.dtype], tuple[Tensor, ...]]
    call: Callable[[nn.Module, tuple[Tensor, ...]], Any]
    total: Callable[[Any], Tensor]
    compiles: bool = True


def _code_and_logits(generator: torch.Generator, dtype: torch.dtype) -> tuple[Tensor, ...]:
    mean, raw = (torch.randn(ROWS, CODES, generator=generator).to(dtype) for _ in range(2))
    return mean, raw, torch.randn(ROWS, CLASSES, generator=generator).to(dtype)


def _on_code(loss: nn.Module, tensors: tuple[Tensor, ...]) -> Any:
    mean, raw, logits = tensors
    code = Normal(mean, nn.functional.softplus(raw) + 0.1, validate_args=False)
    return loss(code, logits, torch.arange(ROWS) % CLASSES)


def _normal(*columns: int) -> Callable[[torch.Generator, torch.dtype], tuple[Tensor, ...]]:
    return lambda generator, dtype: tuple(
        torch.randn(ROWS, d, generator=generator).to(dtype) for d in columns
    )


def _on_views(loss: nn.Module, tensors: tuple[Tensor, ...]) -> Any:
    mean_a, raw_a, mean_b, raw_b = tensors
    codes = [
        Normal(mean, nn.functional.softplus(raw) + 0.1, validate_args=False)
        for mean, raw in ((mean_a, raw_a), (mean_b, raw_b))
    ]
    return loss(*codes, mean_a + 0.5 * raw_a, mean_b - 0.5 * raw_b)


CASES: dict[str, Case] = {
    "VIBLoss": Case(
        lambda: VIBLoss(beta=0.1),
        _code_and_logits,
        _on_code,
        lambda result: result.distortion + result.beta * result.rate,
    ),
    "NonlinearIBLoss": Case(
        lambda: NonlinearIBLoss(beta=0.1),
        _code_and_logits,
        _on_code,
        lambda result: result.distortion + result.beta * result.rate**2,
        # Pairs are computed again in the backward pass, by a function of its own.
        compiles=False,
    ),
    # Kernels look at the values of their samples.
    "CauchySchwarzIBLoss": Case(
        lambda: CauchySchwarzIBLoss(beta=0.1),
        _normal(3, 2, 1, 1),
        lambda loss, tensors: loss(*tensors),
        lambda result: result.divergence + result.beta * result.information,
        compiles=False,
    ),
    "HSICBottleneckLoss": Case(
        lambda: HSICBottleneckLoss(beta=2.0),
        _normal(3, 2, 4, 1),
        lambda loss, tensors: loss(tensors[:2], *tensors[2:]),
        lambda result: result.input_dependence - result.beta * result.target_dependence,
        compiles=False,
    ),
    "InformationPenalty": Case(
        lambda: InformationPenalty(partial(hsic, bandwidth_x=1.0, bandwidth_y=1.0), weight=0.5),
        _normal(3, 2),
        lambda loss, tensors: loss(*tensors),
        lambda result: result.weight * result.information,
        compiles=False,
    ),
    "InfoNCELoss": Case(
        lambda: InfoNCELoss(temperature=0.5),
        _normal(3, 3),
        lambda loss, tensors: loss(*tensors),
        lambda result: math.log(ROWS) - result.information,
    ),
    "MultiViewIBLoss": Case(
        lambda: MultiViewIBLoss(beta=0.5, information=InfoNCELoss(temperature=0.5)),
        _normal(3, 3, 3, 3),
        _on_views,
        lambda result: result.beta * result.divergence - result.information,
    ),
    "CodingRateLoss": Case(
        lambda: CodingRateLoss(),
        _normal(3),
        lambda loss, tensors: loss(*tensors, torch.arange(ROWS) % 2),
        lambda result: result.within_rate - result.rate,
        # The classes of a batch are looked up.
        compiles=False,
    ),
    "VICRegLoss": Case(
        lambda: VICRegLoss(),
        _normal(3, 3),
        lambda loss, tensors: loss(*tensors),
        lambda result: 25.0 * result.invariance + 25.0 * result.variance + result.covariance,
    ),
    "IConLoss": Case(
        lambda: IConLoss(LabelNeighbors(), GaussianNeighbors()),
        _normal(3),
        lambda loss, tensors: loss(torch.arange(ROWS) % 2, *tensors),
        lambda result: result.cross_entropy - result.entropy,
    ),
    "EntropyMinimizationLoss": Case(
        lambda: EntropyMinimizationLoss(normalize=True),
        _normal(CLASSES),
        lambda loss, tensors: loss(*tensors),
        lambda result: result.entropy / math.log(CLASSES),
    ),
    "ForwardForwardLoss": Case(
        lambda: ForwardForwardLoss(),
        _normal(3, 2, 3, 2),
        lambda loss, tensors: loss(tensors[:2], tensors[2:]),
        lambda result: result.positive + result.negative,
    ),
    "InfoMaxClusteringLoss": Case(
        lambda: InfoMaxClusteringLoss(conditional_weight=0.5, temperature=2.0),
        _normal(CLASSES),
        lambda loss, tensors: loss(*tensors, torch.tensor([-1, 0, -1, 1, 2, -1])),
        lambda result: (
            0.5 * result.conditional_entropy - result.marginal_entropy + result.cross_entropy
        ),
    ),
    "EffectiveEntropyLoss": Case(
        lambda: EffectiveEntropyLoss(),
        _normal(3),
        lambda loss, tensors: loss(*tensors),
        lambda result: result.covariance - 10.0 * result.entropy,
        # The epsilon of a column depends on its largest value.
        compiles=False,
    ),
}
