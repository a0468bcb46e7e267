"""Reading what `_saving` wrote: nothing is imported by name, and nothing in the files is run."""

from __future__ import annotations

import copy
import hashlib
import json
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from infoest._random import generator
from infoest._validation import Array, check_int, check_number, check_option
from infoest.training import Training, resolve_device

from ._critic_training import CriticTraining
from ._folds import Maps, seeded
from ._inputs import INPUTS, InputMap
from ._plain import from_plain, labels_from_plain
from ._saving import (
    COLUMNS,
    CPU,
    CRITICS,
    FORMAT,
    RECORD,
    WEIGHTS,
    FolderName,
    Record,
    Tensors,
    differing,
    folder_of,
    some,
)
from .catalog import METHODS

KEYS: dict[str, type] = {
    "format": int,
    "infoest": str,
    "estimator": str,
    "parameters": dict,
    "critic": dict,
    "maps": list,
    "ended": str,
    "weights": str,
}
CRITIC_KEYS, MAP_KEYS = {"name", "arguments", "given"}, {"kind", "shape", "labels"}
ENDS = ("steps", "patience", "interrupted", "diverged")

Saved = TypeVar("Saved", bound=CriticTraining)


def load_estimator(
    asked: type[Saved], path: FolderName, critic: nn.Module | None, device: str | None
) -> Saved:
    """Return the fitted estimator that `save_estimator` wrote.

    Args:
        asked: Class that it must be of.
        path: The folder.
        critic: Untrained module where the critic was one of the user's.
        device: Where to put it; None is where it was trained.

    Raises:
        TypeError: If ``critic`` is no module.
        ValueError: If the folder is not there, damaged, changed, of a later version or of another
            class; if ``critic`` does not fit; if the device is not there.
    """
    folder = folder_of(path)
    record = _read_record(folder)
    found = _class_of(asked, record["estimator"], folder)
    tensors = _read_tensors(folder, record["weights"])
    own = _own_critic(record["critic"], critic)
    try:
        estimator = _unfitted(found, record["parameters"])
        maps = _maps(record["maps"], tensors)
        trained, untrained = own, critic
        if trained is None:
            trained = _built_in(record["critic"], maps, tensors, "scorer.critic.")
        if untrained is None and record["critic"]["given"]:
            untrained = _built_in(record["critic"], maps, tensors, "untrained.")
        estimator.critic = untrained
        settings = estimator.training or Training()
        with seeded(0, CPU):
            scorer = estimator._placed(estimator._scorer(trained, maps, None), settings, CPU)
        check_option("ended", record["ended"], ENDS)
        labels, history = _labels(record["maps"], maps), _history(tensors)
    except (AttributeError, KeyError, OverflowError, RuntimeError, TypeError, ValueError) as error:
        raise _damaged(folder, str(error)) from None
    _fill(scorer, "scorer.", tensors, folder, own=own is not None)
    if own is None and untrained is not None:
        _fill(untrained, "untrained.", tensors, folder, own=False)
    if tensors:
        raise _damaged(folder, f"{WEIGHTS} holds {some(sorted(tensors))}, which nothing needs")
    scorer.eval().to(_device(device, settings))
    estimator._keep(maps, labels, scorer, history, record["ended"])
    return estimator


def _read_record(folder: Path) -> Record:
    if not folder.is_dir():
        raise _damaged(folder, "there is no such folder")
    content = _content(folder, RECORD)
    try:
        record = json.loads(content, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise _damaged(folder, f"{RECORD} is no JSON") from None
    written = record.get("format") if isinstance(record, dict) else None
    if type(written) is not int or written < 1:
        raise _damaged(folder, f"{RECORD} has no number of its format")
    if written > FORMAT:
        raise ValueError(
            f"path must hold format {FORMAT} at most, got {written} in {str(folder)!r}, written by "
            f"infoest {record.get('infoest')}. Install that version or a later one."
        )
    wrong = [name for name, kind in KEYS.items() if type(record.get(name)) is not kind]
    wrong += sorted(set(record) - set(KEYS))
    if not wrong:
        parts = {"critic": ([record["critic"]], CRITIC_KEYS), "maps": (record["maps"], MAP_KEYS)}
        wrong = [
            name
            for name, (found, keys) in parts.items()
            if any(not isinstance(part, dict) or set(part) != keys for part in found)
        ]
    if wrong:
        raise _damaged(folder, f"{RECORD} has other entries than it should: {some(wrong)}")
    return dict(record)


def _read_tensors(folder: Path, digest: str) -> Tensors:
    content = _content(folder, WEIGHTS)
    if hashlib.sha256(content).hexdigest() != digest:
        raise _damaged(folder, f"{WEIGHTS} is not the file that {RECORD} names by its hash")
    try:
        return dict(safetensors.torch.load(content))
    except (SafetensorError, ValueError, KeyError) as error:
        raise _damaged(folder, f"{WEIGHTS} is no safetensors file ({error})") from None


def _content(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except OSError as error:
        raise _damaged(folder, f"{name} cannot be read ({error.strerror or error})") from None


def _class_of(asked: type[Saved], name: str, folder: Path) -> type[Saved]:
    """Return the class of this name: the one that is asked, or one of METHODS."""
    if asked.__name__ == name:
        return asked
    methods = [method for method in METHODS if METHODS.entry(method).class_name == name]
    found: Any = METHODS[methods[0]] if methods else object
    if not issubclass(found, CriticTraining):
        raise ValueError(
            f"path must hold an estimator that saves itself, got {name!r} in {str(folder)!r}. Load "
            "a class of your own by its own load; else it may be of a later version of infoest."
        )
    if not issubclass(found, asked):
        raise ValueError(
            f"path must hold a {asked.__name__}, got a {name} in {str(folder)!r}. Use {name}.load."
        )
    return found


def _unfitted(found: type[Saved], params: Record) -> Saved:
    names = sorted({field.name for field in fields(found)} - {"critic"})
    if sorted(params) != names:
        raise ValueError(f"parameters must be {names}, got {sorted(params)}")
    estimator = found(**{name: from_plain(value) for name, value in params.items()})
    estimator._check_parameters()
    estimator._settings(2)
    estimator._objective()
    generator(estimator.random_state)
    return estimator


def _maps(entries: list[Record], tensors: Tensors) -> Maps:
    x, y = (
        _map(entry, tensors.pop(f"maps.{side}.knots"), tensors.pop(f"maps.{side}.levels"))
        for side, entry in zip("xy", entries, strict=True)
    )
    return x, y


def _map(entry: Record, knots: Tensor, levels: Tensor) -> InputMap:
    kind, shape = entry["kind"], tuple(entry["shape"])
    check_option("kind", kind, (*INPUTS, "labels"))
    for length in shape:
        check_int("shape", length, low=1)
    columns = {"normal_scores": knots.shape[-1], "standardized": 1}
    wanted = {"raw": (0, 0), "labels": (1, 1)}.get(kind) or (*shape, columns.get(kind, 0))
    if knots.shape != wanted or levels.shape != wanted or (kind == "labels") != (shape == ()):
        raise ValueError(f"maps must fit their shape {shape}, got {tuple(knots.shape)} knots")
    return InputMap(kind, knots, levels, shape)


def _labels(entries: list[Record], maps: Maps) -> dict[str, Array]:
    return {
        side: labels_from_plain(entry["labels"], fitted.features)
        for side, entry, fitted in zip("xy", entries, maps, strict=True)
        if fitted.kind == "labels"
    }


def _history(tensors: Tensors) -> Any:
    import pandas as pd

    frame = pd.DataFrame(tensors.pop("history").numpy(), columns=COLUMNS)
    return frame.astype({"step": "int64"})


def _own_critic(saved: Record, critic: nn.Module | None) -> nn.Module | None:
    """Return a copy of the critic that the caller brings, None where it is one of ours."""
    if saved.get("arguments") is not None:
        if critic is not None:
            raise ValueError(
                f"critic must be None for a {saved.get('name')}, which is built in, got "
                f"{type(critic).__name__}."
            )
        return None
    if critic is None:
        raise ValueError(
            f"critic must be the untrained {saved.get('name')} that was fitted, got None. It is "
            "none of the library's: pass load(path, critic=...)."
        )
    if not isinstance(critic, nn.Module):
        raise TypeError(f"critic must be an nn.Module, got {critic!r}.")
    return copy.deepcopy(critic)


def _built_in(saved: Record, maps: Maps, tensors: Tensors, prefix: str) -> nn.Module:
    """Return a critic of ours, still without values, of the shapes of its tensors."""
    name, arguments = saved["name"], saved["arguments"]
    check_option("critic", name, CRITICS)
    features = tuple(arguments[f"features_{side}"] for side in "xy")
    if features != tuple(fitted.features for fitted in maps):
        raise ValueError(f"critic must fit its maps, got {features} features")
    most = sum(tensor.numel() for tensor in tensors.values())
    for key, value in arguments.items():
        # Before layers are made of it: a changed file must not fill the memory.
        check_number(key, float(value), low=0.0, high=float(most))
    with torch.device("meta"):
        critic = CRITICS[name](**arguments)
    wrong = differing(critic.state_dict(), _under(prefix, tensors))
    if wrong:
        raise ValueError(f"critic must fit its weights, which differ in {some(wrong)}")
    return critic.to_empty(device=CPU)


def _fill(part: nn.Module, prefix: str, tensors: Tensors, folder: Path, *, own: bool) -> None:
    """Move tensors into a module, all that are named so."""
    found = _under(prefix, tensors)
    state = part.state_dict()
    wrong = differing(state, found)
    wrong += [
        name
        for name in state.keys() & found.keys()
        if prefix == "scorer." and state[name].dtype != found[name].dtype
    ]
    if wrong and own:
        raise ValueError(
            "critic must be the untrained module that was fitted, got one whose state differs in "
            f"{some(wrong)}. Build it with the same arguments."
        )
    if wrong:
        raise _damaged(folder, f"{WEIGHTS} differs in {some(wrong)}")
    # The dtype of an untrained critic is that of the file.
    part.load_state_dict(found, assign=prefix != "scorer.")
    for name in found:
        del tensors[f"{prefix}{name}"]


def _under(prefix: str, tensors: Tensors) -> Tensors:
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


def _device(device: str | None, settings: Training) -> torch.device:
    if device is not None:
        return resolve_device(device)
    try:
        return resolve_device(settings.device)
    except ValueError:
        raise ValueError(
            f"device must be given for a critic trained on {settings.device!r}, which is not here, "
            "got None. Pass device='cpu'."
        ) from None


def _no_number(name: str) -> None:
    raise ValueError(name)


def _damaged(folder: Path, why: str) -> ValueError:
    return ValueError(
        f"path must be a folder that save wrote, got {str(folder)!r}: {why.rstrip('.')}. Save the "
        "estimator again."
    )
