"""Parameters of estimators as plain JSON, and back: no name is imported, no code is run."""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np
from torch import Tensor

from infoest._validation import Array
from infoest.training import Training

from .base import Estimator
from .catalog import METHODS


def to_plain(name: str, value: Any) -> Any:
    """Return a parameter as numbers, strings, lists and objects.

    Raises:
        TypeError: If it is something else.
    """
    if isinstance(value, (np.generic, np.ndarray, Tensor)):
        value = value.tolist()
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"number": str(value)}
    if isinstance(value, (list, tuple)):
        return [to_plain(name, item) for item in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Training):
        return {"training": _all_plain(value.get_params())}
    method = METHODS.name_of(value)
    if isinstance(value, Estimator) and method in METHODS and type(value) is METHODS[method]:
        params = _all_plain(value.get_params(deep=False))
        return {"estimator": method, "parameters": params}
    raise TypeError(
        f"{name} must be a number, a string, a list, or an estimator of METHODS to be saved, got "
        f"{value!r}."
    )


def from_plain(value: Any) -> Any:
    """Return what `to_plain` turned into plain JSON.

    Raises:
        TypeError: If its settings are not those of the class.
        ValueError: If it is something else.
    """
    if isinstance(value, list):
        return [from_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    match value:
        case {"number": "inf" | "-inf" | "nan" as text, **rest} if not rest:
            return float(text)
        case {"training": dict(params), **rest} if not rest:
            return Training(**{name: from_plain(item) for name, item in params.items()})
        case {"estimator": str(method), "parameters": dict(params), **rest} if not rest:
            if method in METHODS:
                return METHODS[method](**{key: from_plain(item) for key, item in params.items()})
    raise ValueError(f"parameters must be numbers, strings and lists, got {value!r}.")


def labels_to_plain(name: str, labels: Array) -> dict[str, Any]:
    """Return labels, shape (k, columns), as plain JSON.

    Raises:
        TypeError: If they are neither numbers nor strings.
    """
    rows = labels.tolist()
    if any(not isinstance(label, (bool, int, float, str)) for row in rows for label in row):
        raise TypeError(
            f"{name} must have labels that are numbers or strings to be saved, got {rows[0][0]!r} "
            "among others. Name them by strings."
        )
    return {"rows": to_plain(name, rows), "objects": labels.dtype.kind == "O"}


def labels_from_plain(record: Any, count: int) -> Array:
    """Return labels that `labels_to_plain` turned into plain JSON.

    Raises:
        ValueError: If it is something else, or not so many.
    """
    match record:
        case {"rows": list(rows), "objects": bool(objects), **rest} if not rest:
            found = np.array(from_plain(rows), dtype=object if objects else None)
            if found.ndim == 2 and len(found) == count and found.dtype.kind in "biufUO":
                return found
    raise ValueError(f"labels must be {count} rows, got {record!r}.")


def _all_plain(params: dict[str, Any]) -> dict[str, Any]:
    return {name: to_plain(name, value) for name, value in params.items()}
