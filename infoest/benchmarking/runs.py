"""Run methods on tasks of known mutual information, one row a result."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from infoest._validation import MIN_ROWS, check_int
from infoest.datasets.suites import Task
from infoest.datasets.suites import suite as named_suite
from infoest.estimators.catalog import METHODS

# Between the seed of a sample and that of the estimator: the same seed would let the surrogates of
# an estimator repeat the noise of the data.
SEED_DISTANCE = 1_000_003
WARM_UP_ROWS = 50


class Row(NamedTuple):
    """What one method made of one sample; the numbers are None where it raised an error.

    Attributes:
        task: Name of the task.
        method: Name of the method, with the parameters that are not its defaults.
        n: Number of samples.
        seed: Seed of the sample.
        mi: True mutual information in nats.
        value: The estimate in nats.
        error: ``value - mi``.
        std_error: Standard error, or None where the method has none.
        lower: Lower end of the 95 % interval, or None.
        upper: Upper end, or None.
        covered: Whether the interval holds the truth, or None without an interval.
        seconds: Time of the call, interval included.
        status: ``"ok"``, or what the method complained of, in one line.
    """

    task: str
    method: str
    n: int
    seed: int
    mi: float
    value: float | None
    error: float | None
    std_error: float | None
    lower: float | None
    upper: float | None
    covered: bool | None
    seconds: float | None
    status: str


def run(
    suite: str | Sequence[Task] = "core",
    *,
    methods: Sequence[object] | None = None,
    n: int | Sequence[int] = 1000,
    seeds: int = 1,
    random_state: int = 0,
    n_jobs: int | None = None,
    on_row: Callable[[Row], object] | None = None,
) -> list[Row]:
    """Return what every method makes of every task of a suite.

    All methods see the same samples. A method that refuses a task (``ValueError``) is recorded
    with its complaint and the run goes on.

    Args:
        suite: ``"core"``, ``"mixtures"``, or tasks.
        methods: Names in ``infoest.METHODS`` or estimators; None for every method of mutual
            information that takes under two seconds a call.
        n: Number of samples, or several.
        seeds: Samples of each task and n.
        random_state: Seed of the first sample; the next ones count up. Copies of the estimators
            get seeds that follow from it.
        n_jobs: Processes, as in joblib; None for one, which alone gives honest times.
        on_row: Called with each row as soon as there is one.

    Returns:
        One row for each method, seed, n and task, the tasks outermost.

    Raises:
        TypeError: If a method is neither a name nor an estimator.
        ValueError: If the suite or a method is unknown, or a number is out of range.

    Example:
        >>> rows = run(methods=["gaussian"], n=500)
        >>> len(rows), rows[0].task, abs(rows[0].error) < 0.1
        (40, '1v1-normal-0.75', True)
    """
    from joblib import Parallel, delayed

    tasks = _tasks(suite)
    estimators = _estimators(methods)
    sizes = [check_int("n", size, low=MIN_ROWS) for size in (n if isinstance(n, Sequence) else [n])]
    first = check_int("random_state", random_state, low=0)
    samples = range(first, first + check_int("seeds", seeds, low=1))
    _warm_up(tasks[0], estimators)
    work = (
        delayed(_rows)(task, size, seed, estimators)
        for task in tasks
        for size in sizes
        for seed in samples
    )
    found = []
    for rows in Parallel(n_jobs=n_jobs, return_as="generator")(work):
        for row in rows:
            found.append(row)
            if on_row is not None:
                on_row(row)
    return found


def _tasks(suite: str | Sequence[Task]) -> list[Task]:
    if not isinstance(suite, str):
        tasks = list(suite)
        if not tasks:
            raise ValueError("suite must hold at least one task, got none.")
        return tasks
    try:
        return named_suite(suite)
    except ValueError as error:
        # There, the argument is called "name".
        raise ValueError(str(error).replace("name", "suite", 1)) from None


def _estimators(methods: Sequence[object] | None) -> dict[str, Any]:
    """Return the estimators by the name that their rows bear."""
    kind = "mutual_information"
    if methods is None:
        methods = METHODS.quick_names(kind)
    elif isinstance(methods, str):
        raise TypeError(f"methods must be a list, got {methods!r}. Pass methods=[{methods!r}].")
    found: dict[str, Any] = {}
    for method in methods:
        estimator = METHODS.resolve(method, kind, None)
        label = method if isinstance(method, str) else _label(estimator)
        if label in found:
            raise ValueError(f"methods must be different, got {label!r} twice. Drop one.")
        found[label] = estimator
    if not found:
        raise ValueError("methods must name at least one method, got none. Pass None for all.")
    return found


def _label(estimator: Any) -> str:
    """Return a method's name and the parameters that are not its defaults."""
    defaults = type(estimator)().get_params(deep=False)
    changed = [
        f"{name}={value!r}"
        for name, value in estimator.get_params(deep=False).items()
        if name != "random_state" and value != defaults[name]
    ]
    name = METHODS.name_of(estimator)
    return f"{name}({', '.join(changed)})" if changed else name


def _warm_up(task: Task, estimators: dict[str, Any]) -> None:
    """Load what the estimators import at their first call, so that no row pays for it."""
    x, y = task.sample(WARM_UP_ROWS, 0)
    for estimator in estimators.values():
        with suppress(ValueError):
            estimator.estimate(x, y)


def _rows(task: Task, n: int, seed: int, estimators: dict[str, Any]) -> list[Row]:
    x, y = task.sample(n, seed)
    return [_row(task, n, seed, x, y, label, one) for label, one in estimators.items()]


def _row(task: Task, n: int, seed: int, x: Any, y: Any, label: str, estimator: Any) -> Row:
    estimator = estimator.copy().set_params(random_state=seed + SEED_DISTANCE)
    start = time.perf_counter()
    try:
        found = estimator.estimate(x, y)
    except ValueError as error:
        complaint = " ".join(str(error).split())
        nothing = (None,) * 7
        return Row(task.name, label, n, seed, task.mi, *nothing, complaint)
    seconds = time.perf_counter() - start
    interval = found.interval
    return Row(
        task=task.name,
        method=label,
        n=n,
        seed=seed,
        mi=task.mi,
        value=found.value,
        error=found.value - task.mi,
        std_error=found.std_error,
        lower=None if interval is None else interval[0],
        upper=None if interval is None else interval[1],
        covered=None if interval is None else interval[0] <= task.mi <= interval[1],
        seconds=seconds,
        status="ok",
    )
