"""A fitted critic estimator as a folder: JSON and safetensors, read without running anything.

The JSON names the class, which is looked up among those that are there, never imported by name, and
holds a hash of the tensors. Built-in critics are built again; the module of a user is the user's
to bring.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from infoest.critics import BilinearCritic, JointCritic, SeparableCritic

from ._critic_training import CriticTraining
from ._decoders import CategoricalDecoder, GaussianDecoder, MixtureDecoder
from ._folds import seeded
from ._plain import labels_to_plain, to_plain

FORMAT = 1
RECORD, WEIGHTS = "estimator.json", "weights.safetensors"
# Those that are built again from their ``arguments``.
CRITICS: dict[str, type[nn.Module]] = {
    critic.__name__: critic
    for critic in (
        SeparableCritic,
        JointCritic,
        BilinearCritic,
        GaussianDecoder,
        MixtureDecoder,
        CategoricalDecoder,
    )
}
COLUMNS = ["step", "loss", "held_out", "learning_rate"]
SHOWN = 3
CPU = torch.device("cpu")

Record = dict[str, Any]
Tensors = dict[str, Tensor]
FolderName = str | os.PathLike[str]


def save_estimator(estimator: CriticTraining, path: FolderName) -> None:
    """Write a fitted estimator to a folder, whole or not at all.

    Raises:
        TypeError: If a parameter, or the state of a critic of the user, cannot be saved.
        ValueError: If the folder cannot be written, or holds something else.
    """
    folder = folder_of(path)
    try:
        _check_free(folder)
    except OSError as error:
        raise _not_written(folder, error) from None
    tensors = _tensors_of(estimator)
    try:
        weights = safetensors.torch.save(tensors)
    except (SafetensorError, ValueError, KeyError) as error:
        raise TypeError(
            f"critic must have a state of plain tensors to be saved, got {error}."
        ) from None
    record = {**_record_of(estimator), "weights": hashlib.sha256(weights).hexdigest()}
    text = json.dumps(record, indent=1, allow_nan=False)
    _write_folder(folder, {RECORD: text.encode(), WEIGHTS: weights})


def _record_of(estimator: CriticTraining) -> Record:
    params = {
        name: to_plain(name, value)
        for name, value in estimator.get_params(deep=False).items()
        if name != "critic"
    }
    maps = [
        {
            "kind": fitted.kind,
            "shape": list(fitted.shape),
            "labels": labels_to_plain(side, estimator.labels_[side])
            if side in estimator.labels_
            else None,
        }
        for side, fitted in zip("xy", estimator.maps_, strict=True)
    ]
    return {
        "format": FORMAT,
        "infoest": import_module("infoest").__version__,
        "estimator": type(estimator).__name__,
        "parameters": params,
        "critic": {
            "name": type(estimator.critic_).__name__,
            "arguments": _arguments_of(estimator.critic_),
            "given": estimator.critic is not None,
        },
        "maps": maps,
        "ended": estimator.ended_,
    }


def _tensors_of(estimator: CriticTraining) -> Tensors:
    history = torch.from_numpy(estimator.history_[COLUMNS].to_numpy(dtype=np.float64))
    tensors: dict[str, Any] = {"history": history}
    parts: dict[str, nn.Module] = {"scorer": estimator.scorer_}
    parts |= {f"maps.{side}": fitted for side, fitted in zip("xy", estimator.maps_, strict=True)}
    if estimator.critic is not None and _arguments_of(estimator.critic) is not None:
        parts["untrained"] = estimator.critic
    for prefix, part in parts.items():
        tensors |= {f"{prefix}.{key}": value for key, value in part.state_dict().items()}
    for name, value in tensors.items():
        if not isinstance(value, Tensor):
            raise TypeError(
                f"critic must have a state of tensors to be saved, got {type(value).__name__} as "
                f"{name!r}. Make it a buffer."
            )
    # A copy each: weights may be shared, or views of others.
    return {
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, value in tensors.items()
    }


def _arguments_of(critic: nn.Module) -> Record | None:
    """Return the arguments that build a critic of ours again, None for any other."""
    known = CRITICS.get(type(critic).__name__)
    if known is not type(critic):
        return None
    arguments: Record = {
        name: to_plain(name, value) for name, value in getattr(critic, "arguments", {}).items()
    }
    with seeded(0, CPU):
        again = known(**arguments)
    # One whose layers were exchanged, or frozen, is one of the user.
    same = repr(again) == repr(critic) and not differing(again.state_dict(), critic.state_dict())
    same = same and all(weight.requires_grad for weight in critic.parameters())
    return arguments if same else None


def _check_free(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"path must be a folder, got the file {str(folder)!r}. Name a folder.")
    found = {entry.name for entry in folder.iterdir()} if folder.exists() else set()
    if found and found != {RECORD, WEIGHTS}:
        raise ValueError(
            f"path must be a folder of its own, got {str(folder)!r}, which holds "
            f"{some(sorted(found - {RECORD, WEIGHTS}) or sorted(found))}. Name a new folder."
        )


def _write_folder(folder: Path, files: dict[str, bytes]) -> None:
    """Write a folder beside, and put it in the place of the last one when it is complete."""
    part = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    last = part.with_name(f"{part.name}.last")
    try:
        part.mkdir()
        for name, content in files.items():
            (part / name).write_bytes(content)
        try:
            if folder.exists():
                os.rename(folder, last)
            os.rename(part, folder)
        except BaseException:
            if last.exists() and not folder.exists():
                os.rename(last, folder)
            raise
    except OSError as error:
        raise _not_written(folder, error) from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
        if folder.exists():
            shutil.rmtree(last, ignore_errors=True)


def _not_written(folder: Path, error: OSError) -> ValueError:
    return ValueError(
        f"path must be a folder that can be written, got {str(folder)!r} "
        f"({error.strerror or error}). Name one inside a folder that is there, with room in it."
    )


def folder_of(path: FolderName) -> Path:
    """Return the folder that is meant, links followed."""
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"path must be a string or a path, got {path!r}.")
    return Path(os.path.realpath(path))


def differing(one: Tensors, other: Tensors) -> list[str]:
    """Return names that are in one only, or whose shapes differ."""
    shapes = [{name: tensor.shape for name, tensor in state.items()} for state in (one, other)]
    return sorted(name for name in {**one, **other} if shapes[0].get(name) != shapes[1].get(name))


def some(names: list[str]) -> str:
    """Return the first names, for an error."""
    return ", ".join(map(repr, names[:SHOWN])) + (", ..." if names[SHOWN:] else "")
