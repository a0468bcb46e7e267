"""Files of a training: written whole or not at all, read without running anything in them."""

from __future__ import annotations

import hashlib
import io
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

Record = dict[str, Any]


def digest(*values: object) -> str:
    """Return a hash of tensors, of their dtypes and shapes, and of anything else by its repr."""
    found = hashlib.sha256()
    for value in values:
        if not isinstance(value, Tensor):
            found.update(repr(value).encode())
            continue
        plain = value.detach().cpu().contiguous()
        found.update(f"{plain.dtype}{tuple(plain.shape)}".encode())
        found.update(plain.view(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def network_digest(network: nn.Module) -> str:
    """Return a hash of the layers and of the weights as they are."""
    # An address in a module's repr is another one in every process.
    layers = re.sub(r"0x[0-9a-f]+", "", repr(network))
    parts = [part for item in network.state_dict().items() for part in item]
    return digest(layers, *parts)


def plain_settings(settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings as plain numbers and strings, without those that change no result."""
    return {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in settings.items()
        if name not in ("progress", "checkpoint")
    }


def check_writable(path: Path) -> None:
    """Raise, before hours of training, if the file cannot be written."""
    if os.path.isdir(path):
        raise ValueError(f"checkpoint must be a file, got the folder {str(path)!r}. Name a file.")
    try:
        _part(path).touch()
        _part(path).unlink()
    except OSError as error:
        raise _not_written(path, error) from None


def write_checkpoint(path: Path, record: Record) -> None:
    """Write a file that replaces the last one when it is complete."""
    try:
        torch.save(record, _part(path))
        os.replace(_part(path), path)
    except (OSError, RuntimeError) as error:
        raise _not_written(path, error) from error
    finally:
        _part(path).unlink(missing_ok=True)


def read_bytes(path: Path) -> bytes | None:
    """Return what stands in the file, None without one."""
    try:
        return path.read_bytes() if path.exists() else None
    except OSError:
        raise unreadable(path) from None


def parse_checkpoint(path: Path, content: bytes, training: Record) -> Record:
    """Return a record that was written by the same training.

    Raises:
        ValueError: If it is damaged, something else, or of another training.
    """
    try:
        # weights_only: nothing but tensors and plain containers is ever read.
        record = torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
        written: Record = dict(record["training"])
    except Exception:  # torch.load has no error of its own, and some advise weights_only=False
        raise unreadable(path) from None
    if written != training:
        differs = [
            name
            for name in {**training, **written}
            if name not in training or name not in written or written[name] != training[name]
        ]
        raise ValueError(
            "checkpoint must be of the same data, untrained network and settings, got "
            f"{str(path)!r} of another training: {', '.join(differs)} differ. Delete it, or name "
            "another file."
        )
    return record


def unreadable(path: Path) -> ValueError:
    """Return the error for a file that is damaged or something else."""
    return ValueError(
        f"checkpoint must be a file that a training wrote, got {str(path)!r}, which is damaged or "
        "something else. Delete it, or name another file."
    )


def _not_written(path: Path, error: Exception) -> ValueError:
    why = getattr(error, "strerror", None) or error
    return ValueError(
        f"checkpoint must be a file that can be written, got {str(path)!r} ({why}). Name a file "
        "in a folder that is there, with room in it."
    )


def _part(path: Path) -> Path:
    return path.with_name(path.name + ".part")
