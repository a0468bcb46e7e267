"""One line for each method: how far off, where, how often covered, how long."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from .runs import Row

# An error up to this many nats counts as small.
SMALL_ERROR = 0.1


class Summary(NamedTuple):
    """A method at one number of samples; the numbers are None where it failed on every task.

    Attributes:
        method: Name of the method.
        n: Number of samples.
        results: Number of results, without the failures.
        failures: Number of samples that the method refused.
        mean_absolute_error: In nats.
        root_mean_square_error: In nats.
        worst_error: The error of largest size, with its sign, in nats.
        worst_task: The task of that error.
        share_within: Share of results with an error of at most 0.1 nats.
        coverage: Share of the 95 % intervals that hold the truth, or None without intervals.
        mean_seconds: Mean time of a call.
    """

    method: str
    n: int
    results: int
    failures: int
    mean_absolute_error: float | None
    root_mean_square_error: float | None
    worst_error: float | None
    worst_task: str | None
    share_within: float | None
    coverage: float | None
    mean_seconds: float | None


def summarize(rows: Iterable[Row]) -> list[Summary]:
    """Return one summary for each method and number of samples, in the order of the rows.

    Args:
        rows: What `run` returned.

    Example:
        >>> from infoest.benchmarking import run
        >>> [summary] = summarize(run(methods=["gaussian"], n=500))
        >>> summary.results, summary.failures, summary.worst_task
        (40, 0, 'spiral-multinormal-sparse-3-3-2-2.0')
    """
    groups: dict[tuple[str, int], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.method, row.n), []).append(row)
    return [_summary(method, n, group) for (method, n), group in groups.items()]


def _summary(method: str, n: int, rows: list[Row]) -> Summary:
    done = [(row, row.error) for row in rows if row.error is not None]
    failures = len(rows) - len(done)
    if not done:
        return Summary(method, n, 0, failures, *(None,) * 7)
    errors = np.array([error for _, error in done])
    worst, worst_error = max(done, key=lambda pair: abs(pair[1]))
    covered = [row.covered for row, _ in done if row.covered is not None]
    return Summary(
        method=method,
        n=n,
        results=len(done),
        failures=failures,
        mean_absolute_error=float(np.abs(errors).mean()),
        root_mean_square_error=float(np.sqrt(np.mean(errors**2))),
        worst_error=worst_error,
        worst_task=worst.task,
        share_within=float(np.mean(np.abs(errors) <= SMALL_ERROR)),
        coverage=float(np.mean(covered)) if covered else None,
        mean_seconds=float(np.mean([row.seconds for row, _ in done])),
    )
