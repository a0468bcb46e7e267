"""One estimator on all pairs of columns, in parallel."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np

from infoest._cautions import Caution
from infoest._validation import as_array, check_int, read_series
from infoest.information_matrix import InformationMatrix, names_of
from infoest.result import Estimate

from .base import MutualInformationEstimator
from .catalog import METHODS
from .counting import DiscreteEntropy

# Pairs in one task: enough to hide the cost of sending it, few enough to keep all cores busy.
MOST_PAIRS = 128
TASKS_PER_CORE = 8

Columns = list[tuple[Any, bool]]


def estimate_pairs(
    data: object,
    estimator: MutualInformationEstimator,
    *,
    target: str | int | None,
    discrete: Sequence[str | int],
    n_permutations: int,
    n_jobs: int | None,
) -> InformationMatrix:
    """Return the matrix of `infoest.matrix`; see there."""
    check_int("n_permutations", n_permutations, low=0)
    names, columns = _columns(data, discrete, estimator.accepts_constant)
    d = len(columns)
    if target is None:
        pairs = list(combinations(range(d), 2))
    else:
        aim = _position("target", target, names)
        pairs = [(i, aim) for i in range(d) if i != aim]
    estimates = _estimates(columns, pairs, estimator, n_permutations, n_jobs)
    quantities = {(one.quantity, one.unit) for one in estimates}
    if len(quantities) != 1:
        raise ValueError(
            f"method must measure one quantity for all pairs, got {sorted(quantities)}. "
            "Their values cannot be compared; choose another method."
        )
    values = np.zeros((d, d))
    p_values = np.zeros((d, d)) if n_permutations else None
    for (i, j), one in zip(pairs, estimates, strict=True):
        values[i, j] = values[j, i] = one.value
        if p_values is not None:
            p_values[i, j] = p_values[j, i] = one.p_value
    rows, across = list(range(d)), list(range(d))
    if target is None:
        for i, (column, labels) in enumerate(columns):
            values[i, i] = _entropy_of_labels(column) if labels else np.inf
    else:
        rows, across = [i for i, _ in pairs], [aim]
    (quantity, unit) = quantities.pop()
    return InformationMatrix(
        values=values[np.ix_(rows, across)],
        rows=tuple(names[i] for i in rows),
        columns=tuple(names[i] for i in across),
        p_values=None if p_values is None else p_values[np.ix_(rows, across)],
        unit=unit,
        quantity=quantity,
        method=METHODS.name_of(estimator),
        n_samples=estimates[0].n_samples,
        warnings=_gathered(names, pairs, estimates),
    )


def _columns(
    data: object, discrete: Sequence[str | int], constant: bool
) -> tuple[tuple[str, ...], Columns]:
    """Return the names and every column with whether it holds labels, checked by name."""
    if isinstance(discrete, (str, int)):
        raise TypeError(
            f"discrete must be a list of column names or positions, got {discrete!r}. "
            f"Pass discrete=[{discrete!r}]."
        )
    if hasattr(data, "columns") and hasattr(data, "to_numpy"):
        table: Any = data
        found = [table[name] for name in table.columns]
    else:
        array = as_array("data", data)
        if array.ndim != 2:
            raise ValueError(
                f"data must have shape (n_samples, n_columns), got {array.shape}. "
                "Pass one row per sample and one column per variable."
            )
        found = list(array.T)
    names = names_of(data, len(found))
    if len(set(names)) != len(names):
        raise ValueError(f"data must have distinct column names, got {list(names)}. Rename them.")
    if len(found) < 2:
        raise ValueError(f"data must have at least two columns, got {len(found)}.")
    labeled = {_position("discrete", name, names) for name in discrete}
    titles = [f"column {name!r}" for name in names]
    checked = read_series(
        {titles[i]: column for i, column in enumerate(found) if i not in labeled},
        constant=constant,
    )
    return names, [(checked.get(titles[i], column), i in labeled) for i, column in enumerate(found)]


def _position(argument: str, name: str | int, names: tuple[str, ...]) -> int:
    if isinstance(name, (int, np.integer)) and not isinstance(name, bool):
        if -len(names) <= name < len(names):
            return int(name) % len(names)
    elif name in names:
        return names.index(name)
    raise ValueError(
        f"{argument} must name columns, got {name!r}. There are: {', '.join(names[:20])}"
        + (", ..." if len(names) > 20 else ".")
    )


def _estimates(
    columns: Columns,
    pairs: list[tuple[int, int]],
    estimator: MutualInformationEstimator,
    n_permutations: int,
    n_jobs: int | None,
) -> list[Estimate]:
    from joblib import Parallel, delayed, effective_n_jobs
    from joblib.parallel import get_active_backend

    if n_jobs is None:
        backend, chosen = get_active_backend()
        if chosen is None and type(backend).__name__ == "LokyBackend":
            n_jobs = -1  # nobody chose anything: use the machine
    size = max(1, min(MOST_PAIRS, len(pairs) // (TASKS_PER_CORE * effective_n_jobs(n_jobs)) + 1))
    chunks = [pairs[start : start + size] for start in range(0, len(pairs), size)]
    if len(chunks) == 1:
        n_jobs = 1
    results = Parallel(n_jobs=n_jobs)(
        delayed(_chunk)(columns, chunk, estimator, n_permutations) for chunk in chunks
    )
    return [one for chunk in results for one in chunk]


def _chunk(
    columns: Columns,
    pairs: list[tuple[int, int]],
    estimator: MutualInformationEstimator,
    n_permutations: int,
) -> list[Estimate]:
    found = []
    for i, j in pairs:
        (x, x_labels), (y, y_labels) = columns[i], columns[j]
        side = {(True, True): "both", (True, False): "x", (False, True): "y"}
        found.append(
            estimator.estimate(
                x,
                y,
                discrete=side.get((x_labels, y_labels)),
                confidence=None,
                n_permutations=n_permutations,
            )
        )
    return found


def _entropy_of_labels(column: object) -> float:
    return DiscreteEntropy().estimate(column, discrete="x", confidence=None).value


def _gathered(
    names: tuple[str, ...], pairs: list[tuple[int, int]], estimates: list[Estimate]
) -> tuple[Caution, ...]:
    """Return one caution per code, with the pairs it concerns."""
    concerned: dict[str, list[str]] = defaultdict(list)
    sentence: dict[str, str] = {}
    for (i, j), one in zip(pairs, estimates, strict=True):
        for caution in one.warnings:
            concerned[caution.code].append(f"{names[i]}-{names[j]}")
            sentence.setdefault(caution.code, caution.sentence)
    return tuple(
        Caution(
            code,
            f"{len(where)} of {len(pairs)} pairs ({', '.join(where[:3])}"
            f"{', ...' if len(where) > 3 else ''}), the first: {sentence[code]}",
        )
        for code, where in concerned.items()
    )
