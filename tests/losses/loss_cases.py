"""One case for each public loss: how to make it, and what it is called with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Normal

from infoest.losses import NonlinearIBLoss, VIBLoss

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
}
