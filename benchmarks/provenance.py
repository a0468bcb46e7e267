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


def read_rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a table, without the comments above and between them."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(line for line in stream if not line.startswith("#")))


def write_rows(path: Path, rows: Sequence[dict[str, object]], comments: Sequence[str] = ()) -> None:
    """Write rows with the same keys; comments and names come first in a new file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = not path.exists()
    with path.open("a", encoding="utf-8", newline="") as stream:
        stream.writelines(f"# {line}\n" for line in comments)
        writer = csv.DictWriter(stream, list(rows[0]) if rows else [], lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerows(rows)
