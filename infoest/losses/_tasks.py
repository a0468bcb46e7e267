"""The distortion of a prediction: what is compared with the target, and how. Torch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from infoest.functional._scores import check_finite, check_floating, may_read, wide

Distortion = Callable[[Tensor, Tensor], Tensor]


def distortion_of(prediction: Tensor, target: Tensor) -> Tensor:
    """Return the distortion of every row, -log likelihood up to a constant, in nats.

    Cross-entropy of logits where targets are integers; (prediction - target)^2 / 2, summed over
    columns, where they are numbers, which is a normal likelihood of variance 1.

    Args:
        prediction: Logits, shape (n, classes), or predictions, shape (n, d) or (n,).
        target: Integers of shape (n,), or numbers of the shape of the prediction; (n,) and (n, 1)
            are the same.

    Returns:
        Shape (n,), float32 at least.

    Raises:
        TypeError: If an argument is no tensor of numbers.
        ValueError: If shapes do not fit, a class is out of range or a prediction is not finite.
    """
    check_values("prediction", prediction)
    if not isinstance(target, Tensor) or target.is_complex() or target.dtype == torch.bool:
        shown = target.dtype if isinstance(target, Tensor) else type(target).__name__
        raise TypeError(f"target must be a tensor of integers or numbers, got {shown}.")
    if not target.is_floating_point():
        return _cross_entropy(prediction, target)
    check_values("target", target)
    predicted, wanted = _columns(prediction), _columns(target)
    if predicted.shape != wanted.shape:
        raise ValueError(
            f"target must have the shape of prediction, {tuple(prediction.shape)}, got "
            f"{tuple(target.shape)}."
        )
    # The difference is in the dtype of the prediction: targets are often float64 by accident.
    predicted = wide(predicted)
    return 0.5 * (predicted - wanted.to(predicted.dtype)).square().sum(dim=1)


def check_values(name: str, values: Tensor) -> None:
    """Raise unless the argument called ``name`` is a finite floating-point tensor with rows.

    Values are looked at on CPU tensors only, and not while compiling.
    """
    check_floating(name, values)
    if values.ndim == 0 or not values.numel():
        raise ValueError(f"{name} must have rows and columns, got shape {tuple(values.shape)}.")
    check_finite(name, values)


def holds_integers(values: object) -> bool:
    """Whether this is a tensor of integers, such as classes."""
    return (
        isinstance(values, Tensor)
        and not values.is_floating_point()
        and not values.is_complex()
        and values.dtype != torch.bool
    )


def _cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    if logits.ndim != 2 or target.shape != logits.shape[:1]:
        raise ValueError(
            "target must hold one class for each row of the logits (n, classes), got "
            f"{tuple(target.shape)} for {tuple(logits.shape)}."
        )
    if may_read(target):
        low, high = int(target.min()), int(target.max())
        if low < 0 or high >= logits.shape[1]:
            raise ValueError(
                f"target must be in [0, {logits.shape[1] - 1}], got {low if low < 0 else high}. "
                "The prediction needs a column for every class."
            )
    return nn.functional.cross_entropy(wide(logits), target.long(), reduction="none")


def _columns(values: Tensor) -> Tensor:
    return values[:, None] if values.ndim == 1 else values.flatten(1)
