"""How far off are variational estimators on a fixed sample, and are ours nearer than the peers'?

Samples of 5000 rows whose information is known: normal; normal with the cubes of y; Student t with
3 degrees of freedom; and one that ranks do not make normal (signed powers 1.5 on both sides, y then
rotated); 5 and 20 columns a side, 1 and 4 nats in the normal part (the t law has more), and
independent normal data. `KSG` and `GaussianCopula` stand beside, for where they are better at a
hundredth of the time. Peers are called as their users do, with their defaults, in environments of
their own:

    python -m venv /tmp/peers/mist
    /tmp/peers/mist/bin/pip install torch-mist==0.2.17 'torch==2.13.0' 'numpy<2' 'pandas<3'
    python -m venv /tmp/peers/bmi
    /tmp/peers/bmi/bin/pip install benchmark-mi==0.1.3
    /tmp/peers/bmi/bin/pip install jax==0.4.26 jaxlib==0.4.26  # the newest that its equinox takes

- torch-mist's `estimate_mi`: joint critic of 128 units (InfoNCE: bilinear), Adam 5e-4, batches of
  128, at most 5000 steps, stopped early by a tenth of the rows (MINE never is) with a patience of
  10 epochs: its default of 3 stops after 350 to 1000 steps, SMILE's value then .02 to 1.1 nats
  lower. It reports on training data unless told otherwise, so a fifth of the rows is held out, once
  or twice (column ``folds``), as time allows. It does no scaling: it gets z-scores. Its values are
  means over batches of 128: with one batch of 1000, the same MINE critic of normal data with 20
  columns and 4 nats gives 3.58 in place of 3.95.
- benchmark-mi: critic of 16 and 8 units, Adam 0.1, batches of 256, half of the rows for training;
  it scales by itself and reports its best value on the other half, which flatters it a little.

Rows that stand in a table already are skipped, so that a killed run goes on where it stopped.

    python benchmarks/variational.py
    nice -n 19 python benchmarks/variational.py --only peers
    python benchmarks/variational.py --methods ksg smile --laws normal --seeds 1 --out /tmp/v.csv
    python benchmarks/variational.py --summary
"""

import argparse
import contextlib
import json
import math
import os
import statistics
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from provenance import RESULTS, provenance, read_table, update_rows
from scipy.special import digamma, gammaln

import infoest

KEYS = ["law", "d", "mi", "seed", "library", "method"]
N = 5000
DEGREES_OF_FREEDOM = 3
# Our methods by the name in the table: the name in METHODS and its parameters.
OURS: dict[str, tuple[str, dict[str, Any]]] = {
    "ksg": ("ksg", {}),
    "gaussian_copula": ("gaussian_copula", {}),
    "noise_contrastive": ("noise_contrastive", {"copula": None}),
    "noise_contrastive, student": ("noise_contrastive", {"copula": "student"}),
    **{
        name: (name, {})
        for name in (
            "mine",
            "donsker_varadhan",
            "nwj",
            "tuba",
            "jensen_shannon",
            "smile",
            "infonce",
            "infonce_anchor",
            "flo",
            "interpolated_bound",
            "barber_agakov",
            "difference_of_entropies",
            "club",
            "leave_one_out",
        )
    },
}


class Peer(NamedTuple):
    """A method of another library: what is affordable of it."""

    library: str
    method: str
    seeds: int
    folds: int | str


PEERS = (
    Peer("torch-mist", "smile", 3, 2),
    Peer("torch-mist", "nwj", 3, 1),
    Peer("torch-mist", "infonce", 2, 1),
    Peer("torch-mist", "mine", 3, 1),
    Peer("benchmark-mi", "MINEEstimator", 1, ""),
    Peer("benchmark-mi", "InfoNCEEstimator", 1, ""),
    Peer("benchmark-mi", "DonskerVaradhanEstimator", 1, ""),
)
PEER_PYTHON = {
    "torch-mist": "/tmp/peers/mist/bin/python",
    "benchmark-mi": "/tmp/peers/bmi/bin/python",
}
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
}
WORKER = """
import contextlib, json, os, sys, time
import numpy
{setup}
nowhere = open(os.devnull, "w")
for line in sys.stdin:
    job = json.loads(line)
    sample = numpy.load(job["path"])
    x, y = sample["x"], sample["y"]
    start = time.perf_counter()
    with contextlib.redirect_stdout(nowhere):
        value = estimate(x, y, job)
    print(json.dumps([float(value), time.perf_counter() - start]), flush=True)
"""
SETUP = {
    "torch-mist": """
import random, torch
from torch_mist.utils.estimation import estimate_mi

def estimate(x, y, job):
    for seed in (random.seed, numpy.random.seed, torch.manual_seed):
        seed(job["seed"])
    x, y = (((u - u.mean(0)) / u.std(0)).astype("float32") for u in (x, y))
    parts = numpy.array_split(numpy.random.permutation(len(x)), 5)
    values = []
    for held in parts[: job["folds"]]:
        rest = numpy.setdiff1d(numpy.arange(len(x)), held)
        value, log = estimate_mi(
            data=(x[rest], y[rest]),
            test_data=(x[held], y[held]),
            estimator=job["method"],
            patience=10,
            verbose=False,
        )
        values.append(value)
    return numpy.mean(values)
""",
    "benchmark-mi": """
import bmi.estimators

def estimate(x, y, job):
    return getattr(bmi.estimators, job["method"])(verbose=False, seed=job["seed"]).estimate(x, y)
""",
}


# ------------------------------------------------------------------------------------------ samples


class Cell(NamedTuple):
    """A law: ``strength`` is the information of its normal part."""

    law: str
    d: int
    strength: float


LAWS = ("normal", "cubic", "student", "half-cube", "independent")
CELLS = [
    Cell(law, d, strength)
    for law in LAWS
    for d in (5, 20)
    for strength in ((0.0,) if law == "independent" else (1.0, 4.0))
]


def information(cell: Cell) -> float:
    """Return the true information."""
    if cell.law != "student":
        return cell.strength

    def excess(degrees: float) -> float:
        return float(gammaln(degrees / 2.0) - degrees / 2.0 * digamma(degrees / 2.0))

    one, both = DEGREES_OF_FREEDOM + cell.d, DEGREES_OF_FREEDOM + 2 * cell.d
    return cell.strength + excess(DEGREES_OF_FREEDOM) + excess(both) - 2.0 * excess(one)


def draw(cell: Cell, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a sample of x and y."""
    law, d, strength = cell
    rng = np.random.default_rng(seed)
    correlation = math.sqrt(1.0 - math.exp(-2.0 * strength / d))
    x, noise = rng.standard_normal((2, N, d))
    y = correlation * x + math.sqrt(1.0 - correlation**2) * noise
    if law == "cubic":
        y = y**3
    elif law == "student":
        scale = np.sqrt(DEGREES_OF_FREEDOM / rng.chisquare(DEGREES_OF_FREEDOM, (N, 1)))
        x, y = scale * x, scale * y
    elif law == "half-cube":
        rotation, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((d, d)))
        x, y = (np.sign(side) * np.abs(side) ** 1.5 for side in (x, y))
        y = y @ rotation
    return x, y


# ------------------------------------------------------------------------------------------ the run


def main() -> None:
    """Measure what is missing, or print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", nargs="+", default=["ours", "peers"], choices=["ours", "peers"])
    parser.add_argument("--methods", nargs="+", help="names in the table, ours or the peers'")
    parser.add_argument("--laws", nargs="+", default=LAWS, choices=LAWS)
    parser.add_argument("--dimensions", nargs="+", type=int, default=[5, 20], choices=[5, 20])
    parser.add_argument("--seeds", type=int, default=3, help="peers may have fewer")
    parser.add_argument(
        "--torch-mist", type=Path, default=PEER_PYTHON["torch-mist"], help="its Python"
    )
    parser.add_argument(
        "--benchmark-mi", type=Path, default=PEER_PYTHON["benchmark-mi"], help="its Python"
    )
    parser.add_argument("--out", type=Path, default=RESULTS / "variational.csv")
    parser.add_argument("--out-peers", type=Path, default=RESULTS / "variational_peers.csv")
    parser.add_argument("--summary", action="store_true", help="print the tables in Markdown")
    options = parser.parse_args()
    if options.summary:
        print(summary(read_table(options.out)[1], read_table(options.out_peers)[1]))
        return
    unknown = set(options.methods or []) - set(OURS) - {peer.method for peer in PEERS}
    if unknown:
        parser.error(f"--methods must be of {[*OURS, *(peer.method for peer in PEERS)]}")
    if "ours" in options.only:
        run_ours(options)
    if "peers" in options.only:
        run_peers(options)


def wanted(options: argparse.Namespace) -> Iterator[tuple[int, Cell]]:
    """Return seeds and laws, one seed of all laws after the other."""
    for seed in range(options.seeds):
        for cell in CELLS:
            if cell.law in options.laws and cell.d in options.dimensions:
                yield seed, cell


def key(cell: Cell, seed: int, library: str, method: str) -> dict[str, str]:
    """Return what tells a row from all others."""
    values = (cell.law, cell.d, f"{information(cell):.4f}", seed, library, method)
    return {name: str(value) for name, value in zip(KEYS, values, strict=True)}


def table_of(out: Path, comments: list[str]) -> tuple[set[tuple[str, ...]], Callable[..., None]]:
    """Return the keys of the rows in a table, and how to write one more."""
    done = {tuple(row[name] for name in KEYS) for row in read_table(out)[1]}

    def write(place: dict[str, str], folds: object, value: float, seconds: float) -> None:
        row = place | {
            "folds": folds,
            "value": f"{value:.5g}",
            "error": f"{value - float(place['mi']):.4f}",
            "seconds": f"{seconds:.3g}",
        }
        update_rows(out, [row], comments, KEYS)
        print(", ".join(f"{name} {entry}" for name, entry in row.items()), flush=True)

    return done, write


def run_ours(options: argparse.Namespace) -> None:
    """Run the library's own methods; those that it does not have are named."""
    chosen = {
        label: method
        for label, method in OURS.items()
        if label in (options.methods or OURS) and method[0] in infoest.METHODS
    }
    missing = {name for name, _ in OURS.values()} - set(infoest.METHODS)
    if missing:
        print(f"not in METHODS, so not run: {', '.join(sorted(missing))}")
    comments = provenance("torch", threads=f"{torch.get_num_threads()} in torch")
    done, write = table_of(options.out, comments)
    for seed, cell in wanted(options):
        for label, (name, settings) in chosen.items():
            place = key(cell, seed, "infoest", label)
            if tuple(place.values()) in done:
                continue
            x, y = draw(cell, seed)
            start = time.perf_counter()
            found = infoest.METHODS[name](**settings, random_state=seed).estimate(x, y)
            write(place, "", found.value, time.perf_counter() - start)


def run_peers(options: argparse.Namespace) -> None:
    """Run the peers that are installed, each in one process for all its work."""
    pythons = {"torch-mist": options.torch_mist, "benchmark-mi": options.benchmark_mi}
    for library in [library for library, python in pythons.items() if not python.exists()]:
        print(f"{pythons.pop(library)} is missing: {library} is not run, see --help")
    chosen = [
        peer
        for peer in PEERS
        if peer.library in pythons and peer.method in (options.methods or [peer.method])
    ]
    versions = [f"{library} {version(python, library)}" for library, python in pythons.items()]
    comments = [*provenance(threads="one for each peer"), f"peers: {', '.join(versions)}"]
    done, write = table_of(options.out_peers, comments)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        workers: dict[str, subprocess.Popen[str]] = {}
        for seed, cell in wanted(options):
            for peer in chosen:
                place = key(cell, seed, peer.library, peer.method)
                if tuple(place.values()) in done or seed >= peer.seeds:
                    continue
                if peer.library not in workers:
                    process = start(pythons[peer.library], peer.library, folder)
                    workers[peer.library] = stack.enter_context(process)
                x, y = draw(cell, seed)
                np.savez(folder / "sample.npz", x=x, y=y)
                job = peer._asdict() | {"seed": seed, "path": str(folder / "sample.npz")}
                worker = workers[peer.library]
                worker.stdin.write(json.dumps(job) + "\n")
                worker.stdin.flush()
                answer = worker.stdout.readline()
                if not answer:
                    raise SystemExit(f"{peer.library} ended at {place}; its error stands above.")
                value, seconds = json.loads(answer)
                write(place, peer.folds, value, seconds)
        for worker in workers.values():
            worker.stdin.close()


def start(python: Path, library: str, folder: Path) -> subprocess.Popen[str]:
    """Return a process that answers jobs with value and seconds, on one thread.

    Its temporary folder is its own: torch-mist keeps its best weights there under a name that two
    runs share.
    """
    return subprocess.Popen(
        [str(python), "-c", WORKER.replace("{setup}", SETUP[library])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | ONE_THREAD | {"TMPDIR": str(folder), "PYTHONPATH": ""},
    )


def version(python: Path, library: str) -> str:
    """Return the version of a library in another environment."""
    code = f"import importlib.metadata; print(importlib.metadata.version({library!r}))"
    return subprocess.run(
        [str(python), "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()


# -------------------------------------------------------------------------------------- the summary


Errors = dict[tuple[str, ...], dict[str, list[float]]]


def summary(ours: list[dict[str, str]], peers: list[dict[str, str]]) -> str:
    """Return mean errors by law and method, and where ours is nearer than every peer."""
    errors: Errors = {
        (row["law"], row["d"], row["mi"]): defaultdict(list)
        for row in (key(cell, 0, "", "") for cell in CELLS)
    }
    seconds: dict[str, list[float]] = defaultdict(list)
    for row in [*ours, *peers]:
        errors[row["law"], row["d"], row["mi"]][column_of(row)].append(float(row["error"]))
        seconds[column_of(row)].append(float(row["seconds"]))
    lines = ["Mean error in nats (standard error over seeds, where there are several)."]
    for rows in (ours, peers):
        columns = list(dict.fromkeys(column_of(row) for row in rows))
        if columns:
            lines += ["", *grid(errors, columns, seconds)]
    return "\n".join([*lines, *verdict(errors)])


def column_of(row: dict[str, str]) -> str:
    """Return what stands above a method's column."""
    return row["method"] if row["library"] == "infoest" else f"{row['library']} {row['method']}"


def grid(errors: Errors, columns: list[str], seconds: dict[str, list[float]]) -> list[str]:
    """Return one table: a line for each law, a column for each method."""
    lines = [
        f"| law | d | true | {' | '.join(columns)} |",
        f"|---|---:|---:|{'---:|' * len(columns)}",
    ]
    for (law, d, mi), found in errors.items():
        entries = " | ".join(entry(found.get(column, [])) for column in columns)
        lines.append(f"| {law} | {d} | {float(mi):.2f} | {entries} |")
    medians = (f"{statistics.median(seconds[column]):.3g}" for column in columns)
    return [*lines, f"| median seconds | | | {' | '.join(medians)} |"]


def entry(found: list[float]) -> str:
    """Return the mean with its standard error."""
    if not found:
        return ""
    mean = f"{statistics.fmean(found):+.3f}"
    if len(found) == 1 or not all(map(math.isfinite, found)):
        return mean
    return f"{mean} ({statistics.stdev(found) / math.sqrt(len(found)):.3f})"


def verdict(errors: Errors) -> list[str]:
    """Return mean absolute errors of our methods and of the best peer, best in hindsight."""
    names = list(dict.fromkeys(name for found in errors.values() for name in found if name in OURS))
    lines = [
        "",
        "Mean absolute error; the best peer is another one for each law.",
        "",
        f"| law | d | true | {' | '.join(names)} | best peer | which |",
        f"|---|---:|---:|{'---:|' * len(names)}---:|---|",
    ]
    nearer = dict.fromkeys(names, 0)
    total = 0
    for (law, d, mi), found in errors.items():
        absolute = {name: mean_absolute(values) for name, values in found.items()}
        rivals = {name: value for name, value in absolute.items() if name not in OURS}
        if not rivals:
            continue
        best = min(rivals, key=rivals.__getitem__)
        if law != "independent":
            total += 1
            for name in names:
                nearer[name] += absolute.get(name, math.inf) < rivals[best]
        entries = " | ".join(f"{absolute[name]:.3f}" if name in absolute else "" for name in names)
        lines.append(f"| {law} | {d} | {float(mi):.2f} | {entries} | {rivals[best]:.3f} | {best} |")
    counts = " | ".join(f"{nearer[name]} of {total}" for name in names)
    return [*lines, f"| nearer than the best peer, dependent laws | | | {counts} | | |"]


def mean_absolute(found: list[float]) -> float:
    """Return the mean absolute error, infinite where a method gave no number."""
    finite = all(map(math.isfinite, found))
    return statistics.fmean(map(abs, found)) if finite else math.inf


if __name__ == "__main__":
    main()
