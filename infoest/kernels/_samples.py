"""What a kernel sum asks of its samples."""

import torch
from torch import Tensor


def check_samples(**samples: Tensor) -> None:
    """Raise unless the samples, given by name, are finite tensors (n, d) that fit each other.

    Raises:
        TypeError: If one of them is not a floating-point tensor.
        ValueError: For the wrong shape, values that are not finite, or different numbers of
            columns or devices.
    """
    for name, sample in samples.items():
        if not isinstance(sample, Tensor) or not sample.is_floating_point():
            shown = sample.dtype if isinstance(sample, Tensor) else type(sample).__name__
            raise TypeError(f"{name} must be a floating-point tensor, got {shown}.")
        if sample.ndim != 2 or not sample.numel():
            raise ValueError(
                f"{name} must have shape (n_samples, n_features), none of them 0, "
                f"got {tuple(sample.shape)}. Give one feature as {name}[:, None]."
            )
        bad = int((~torch.isfinite(sample)).sum())
        if bad:
            raise ValueError(f"{name} must be finite, got {bad} NaN or infinite entries.")
    (name, first), *others = samples.items()
    for other, sample in others:
        if sample.shape[1] != first.shape[1]:
            raise ValueError(
                f"{name} and {other} must have the same number of columns, "
                f"got {first.shape[1]} and {sample.shape[1]}."
            )
        if sample.device != first.device:
            raise ValueError(
                f"{name} and {other} must be on one device, got {first.device} and {sample.device}."
            )


def check_paired(**samples: Tensor) -> None:
    """Raise unless two samples, given by name, are valid, of one length and on one device."""
    for name, sample in samples.items():
        check_samples(**{name: sample})
    (first, x), (second, y) = samples.items()
    if len(x) != len(y):
        raise ValueError(
            f"{first} and {second} must be paired, got {len(x)} and {len(y)} samples. "
            "Row i of both must belong together."
        )
    if x.device != y.device:
        raise ValueError(
            f"{first} and {second} must be on one device, got {x.device} and {y.device}."
        )


def result_dtype(x: Tensor, y: Tensor) -> torch.dtype:
    """Return the wider dtype of two samples, but at least float32."""
    return torch.promote_types(torch.promote_types(x.dtype, y.dtype), torch.float32)
