"""Where to train: the name of a device, looked up before anything else happens."""

from __future__ import annotations

import torch


def resolve_device(device: str | None) -> torch.device:
    """Return a device that is there.

    Args:
        device: Name such as ``"cuda"``, ``"cuda:1"`` or ``"mps"``; None is the CPU. ``"cuda"`` is
            the current one: under torchrun, call ``torch.cuda.set_device`` first.

    Raises:
        TypeError: If the name is not a string.
        ValueError: If it names nothing that is there; the error lists what is.

    Example:
        >>> resolve_device(None)
        device(type='cpu')
    """
    if device is None:
        return torch.device("cpu")
    if not isinstance(device, str):
        raise TypeError(f"device must be a string such as 'cuda' or None, got {device!r}.")
    found = _found()
    if device == "cuda" and "cuda:0" in found:
        return torch.device("cuda", torch.cuda.current_device())
    if device not in found:
        raise ValueError(
            f"device must be one of {found}, got {device!r}. These are the devices that this build "
            "of torch finds here; None is the CPU."
        )
    return torch.device(device)


def _found() -> list[str]:
    devices = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    return [*devices, "mps"] if torch.backends.mps.is_available() else devices
