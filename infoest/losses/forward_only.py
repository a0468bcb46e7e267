"""Losses of networks that learn layer by layer, without a backward pass through them. Torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from infoest._validation import check_bool, check_number
from infoest.functional._scores import wide

from ._tasks import check_values


class ForwardForwardResult(NamedTuple):
    """Result of `ForwardForwardLoss`: loss = positive + negative.

    Attributes:
        loss: To be minimized.
        positive: -log probability that real rows are real in nats, mean over rows and layers.
        negative: -log probability that made-up rows are made up in nats, mean over both.
    """

    loss: Tensor
    positive: Tensor
    negative: Tensor


class ForwardForwardLoss(nn.Module):
    """Forward-forward: every layer tells real rows from made-up ones by its own goodness, in nats.

    The goodness g of a layer is the sum of its squared activations, and p = sigmoid(g - threshold)
    its probability that a row is real; the loss is the mean over layers of
    -log p on real rows - log(1 - p) on made-up ones. With ``collaborative=True`` the goodness of
    all other layers, without a gradient, is added to g.

    Args:
        threshold: Goodness at which a layer is undecided, at least 0.
        collaborative: Whether layers see each other's goodness.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If threshold is negative.

    Note:
        That no gradient reaches earlier layers is the model's part: give each layer the detached
        and normalized output of the one before.

    References:
        Hinton (2022), arXiv 2212.13345, eq. 1. Lorberbom, Gat, Adi, Schwing, Hazan (2024), AAAI
        (layer collaboration).

    Example:
        >>> result = ForwardForwardLoss()([torch.full((3, 2), 2.0)], [torch.zeros(3, 2)])
        >>> round(result.positive.item(), 4), round(result.negative.item(), 4)
        (0.0025, 0.1269)
    """

    def __init__(self, *, threshold: float = 2.0, collaborative: bool = False) -> None:
        super().__init__()
        self.threshold = check_number("threshold", threshold, low=0.0)
        check_bool("collaborative", collaborative)
        self.collaborative = collaborative

    def forward(
        self, positive_activations: Sequence[Tensor], negative_activations: Sequence[Tensor]
    ) -> ForwardForwardResult:
        """Return the loss and its parts.

        Args:
            positive_activations: Of real rows, one tensor (n, ...) for each layer.
            negative_activations: Of made-up rows, one tensor (m, ...) for each layer; m may be
                another number.

        Returns:
            Scalars, differentiable in the activations.

        Raises:
            TypeError: If an argument is no list of floating-point tensors.
            ValueError: If there is no layer, lengths do not fit, or (on the CPU) values are not
                finite.
        """
        positive = _goodness("positive_activations", positive_activations)
        negative = _goodness("negative_activations", negative_activations)
        if len(positive) != len(negative):
            raise ValueError(
                "negative_activations must have a tensor for each layer, "
                f"{len(positive)}, got {len(negative)}."
            )
        if self.collaborative:
            positive, negative = _together(positive), _together(negative)
        parts = (
            nn.functional.softplus(self.threshold - positive).mean(),
            nn.functional.softplus(negative - self.threshold).mean(),
        )
        return ForwardForwardResult(parts[0] + parts[1], *parts)


def _goodness(name: str, activations: Sequence[Tensor]) -> Tensor:
    """Return the sums of squares, shape (layers, rows), in float32 at least."""
    if not isinstance(activations, (list, tuple)):
        raise TypeError(
            f"{name} must be a list of tensors, one for each layer, got "
            f"{type(activations).__name__}."
        )
    if not activations:
        raise ValueError(f"{name} must hold at least one layer, got none.")
    sums = []
    for layer, values in enumerate(activations):
        check_values(f"{name}[{layer}]", values)
        if values.ndim < 2 or len(values) != len(activations[0]):
            raise ValueError(
                f"{name}[{layer}] must have shape ({len(activations[0])}, ...) as the first "
                f"layer has, got {tuple(values.shape)}."
            )
        sums.append(wide(values).flatten(1).square().sum(dim=1))
    return torch.stack(sums)


def _together(goodness: Tensor) -> Tensor:
    """Return every layer's goodness plus that of all others, which has no gradient here."""
    others = goodness.sum(dim=0) - goodness
    return goodness + others.detach()
