"""The distortion of a prediction: what is compared with the target, and how. Torch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

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
    wide = torch.promote_types(prediction.dtype, torch.float32)
    return 0.5 * (predicted.to(wide) - wanted.to(wide)).square().sum(dim=1)


def check_values(name: str, values: object) -> None:
    """Raise unless the argument called ``name`` is a finite floating-point tensor with rows.

    Values are looked at on CPU tensors only, and not while compiling.
    """
    if not isinstance(values, Tensor) or not values.is_floating_point():
        shown = values.dtype if isinstance(values, Tensor) else type(values).__name__
        raise TypeError(f"{name} must be a floating-point tensor, got {shown}.")
    if values.ndim == 0 or not values.numel():
        raise ValueError(f"{name} must have rows and columns, got shape {tuple(values.shape)}.")
    if looks_at(values) and not torch.isfinite(values.detach()).all():
        bad = int((~torch.isfinite(values.detach())).sum())
        raise ValueError(f"{name} must be finite, got {bad} NaN or infinite entries.")


def looks_at(values: Tensor) -> bool:
    """Whether values may be read: a GPU would have to be waited for."""
    return values.device.type == "cpu" and not torch.compiler.is_compiling()


def _cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    if logits.ndim != 2 or target.shape != logits.shape[:1]:
        raise ValueError(
            "target must hold one class for each row of the logits (n, classes), got "
            f"{tuple(target.shape)} for {tuple(logits.shape)}."
        )
    if looks_at(target):
        low, high = int(target.min()), int(target.max())
        if low < 0 or high >= logits.shape[1]:
            raise ValueError(
                f"target must be in [0, {logits.shape[1] - 1}], got {low if low < 0 else high}. "
                "The prediction needs a column for every class."
            )
    wide = torch.promote_types(logits.dtype, torch.float32)
    return nn.functional.cross_entropy(logits.to(wide), target.long(), reduction="none")


def _columns(values: Tensor) -> Tensor:
    return values[:, None] if values.ndim == 1 else values.flatten(1)
