"""Where a figure comes from: the lines that stand on top of every table in ``results/``."""

import csv
import os
import platform
import shlex
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import infoest

RESULTS = Path(__file__).parent / "results"


def provenance(*packages: str, threads: str = "all cores") -> list[str]:
    """Return the command, versions, processor and threads.

    Args:
        packages: What was measured beside numpy, scipy and infoest.
        threads: How the work was spread.
    """
    script = Path(sys.argv[0])
    command = ["python", f"{script.parent.name}/{script.name}", *sys.argv[1:]]
    versions = [f"infoest {infoest.__version__}", f"python {platform.python_version()}"]
    versions += [f"{name} {version(name)}" for name in ("numpy", "scipy", *packages)]
    limits = [
        f"{name}={os.environ[name]}"
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        if name in os.environ
    ]
    return [
        f"command: {shlex.join(command)}",
        f"versions: {', '.join(versions)}",
        f"machine: {processor()}, {cores()} cores; threads: {', '.join([threads, *limits])}",
    ]


def cores() -> int:
    """Return how many cores this process may use."""
    available = getattr(os, "sched_getaffinity", None)
    return len(available(0)) if available else (os.cpu_count() or 1)


def processor() -> str:
    """Return the model of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


def read_table(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Return the comments and the rows of a table; none where there is no file."""
    if not path.exists():
        return [], []
    lines = path.read_text(encoding="utf-8").splitlines()
    comments = [line.removeprefix("# ") for line in lines if line.startswith("#")]
    return comments, list(csv.DictReader(line for line in lines if not line.startswith("#")))


def update_rows(
    path: Path, rows: Sequence[dict[str, object]], comments: Sequence[str], key: Sequence[str]
) -> None:
    """Put rows into a table in place of those with the same key; all others stay.

    Args:
        path: Table, made where there is none; a reader never finds half of it.
        rows: New rows, all with the same columns.
        comments: What `provenance` returned, put below the comments of earlier runs.
        key: Columns that tell rows apart.
    """
    old_comments, old_rows = read_table(path)
    new_keys = {tuple(str(row[name]) for name in key) for row in rows}
    kept = [row for row in old_rows if tuple(row[name] for name in key) not in new_keys]
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f"{path.name}.part")
    with half.open("w", encoding="utf-8", newline="") as stream:
        stream.writelines(f"# {line}\n" for line in dict.fromkeys([*old_comments, *comments]))
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows([*kept, *rows])
    half.replace(path)
