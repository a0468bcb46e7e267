"""Is it fast, and small, against the best peer in the same run?

One line for each promise: the median time of ours and of the peer, measured in turns, and their
ratio (peer / ours, so that more is better); without a peer, what `unit` says. Nothing is asserted:
the column `target` says what was promised.

    python benchmarks/speed.py
    python benchmarks/speed.py --only ksg_1v1 import --repeats 3 --out /tmp/speed.csv
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from provenance import RESULTS, cores, provenance, update_rows
from scipy.spatial import cKDTree
from scipy.special import digamma

import infoest
from infoest.datasets import correlated_normal

ROOT = Path(__file__).parents[1]
NEIGHBORS = 3
RHO = 0.6


def main() -> None:
    """Measure what was asked for and write one line each."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", nargs="+", choices=MEASURES, default=list(MEASURES))
    parser.add_argument("--repeats", type=int, default=7, help="of each side, at least 1")
    parser.add_argument("--columns", nargs=3, type=int, default=[50, 100, 200], help="of matrix")
    parser.add_argument("--out", type=Path, default=RESULTS / "speed.csv")
    options = parser.parse_args()
    comments = provenance("scikit-learn", "joblib", threads="all cores unless the line says")
    for name in options.only:
        for found in MEASURES[name](options):
            update_rows(options.out, [found], comments, ["work"])
            print("  ".join(str(value) for value in found.values() if value != ""), flush=True)


def line(
    work: str,
    ours: float,
    *,
    peer: float | None = None,
    unit: str = "s",
    peer_name: str = "",
    target: str = "",
    note: str = "",
) -> dict[str, object]:
    """Return one line of the table."""
    return {
        "work": work,
        "ours": f"{ours:.4g}",
        "peer": "" if peer is None else f"{peer:.4g}",
        "unit": unit,
        "ratio": "" if peer is None else f"{peer / ours:.3g}",
        "peer_name": peer_name,
        "target": target,
        "note": note,
    }


def medians(repeats: int, *calls: Callable[[], object]) -> list[float]:
    """Return the median time of each call; they take turns, after one call of each to warm up."""
    times: list[list[float]] = [[] for _ in calls]
    for turn in range(repeats + 1):
        for call, found in zip(calls, times, strict=True):
            start = time.perf_counter()
            call()
            if turn:
                found.append(time.perf_counter() - start)
    return [statistics.median(found) for found in times]


# ----------------------------------------------------------------------------- against scikit-learn


def ksg_1v1(options: argparse.Namespace) -> list[dict]:
    """KSG of one column a side, 10000 rows, without and with its interval."""
    from sklearn.feature_selection import mutual_info_regression

    x, y, _ = correlated_normal(10_000, rho=RHO, random_state=0)
    estimator = infoest.KSG(k=NEIGHBORS)

    def peer(n_jobs: int | None) -> float:
        [value] = mutual_info_regression(
            x, y[:, 0], n_neighbors=NEIGHBORS, random_state=0, n_jobs=n_jobs
        )
        return float(value)

    value, interval, one, two = medians(
        options.repeats,
        lambda: estimator.estimate(x, y, confidence=None),
        lambda: estimator.estimate(x, y),
        lambda: peer(None),
        lambda: peer(2),
    )
    difference = estimator.estimate(x, y, confidence=None).value - peer(None)
    name = f"scikit-learn, n_jobs={'None' if one <= two else 2}"
    fastest = min(one, two)
    return [
        line(
            "KSG k=3 n=10000 1+1, value alone",
            value,
            peer=fastest,
            peer_name=name,
            target="ratio >= 3",
            note=f"values differ by {difference:.1e}; n_jobs=None {one:.4g} s, 2 {two:.4g} s",
        ),
        line(
            "KSG k=3 n=10000 1+1, with interval",
            interval,
            peer=fastest,
            peer_name=name,
            target="ratio >= 0.5",
        ),
    ]


# ------------------------------------------------------------------------------- against a k-d tree


def plain_tree(x: np.ndarray, y: np.ndarray, k: int) -> float:
    """Return KSG by the straight way: k-NN query in the joint space, then ball counts."""
    joint = np.hstack([x, y])
    radius = cKDTree(joint).query(joint, k + 1, p=np.inf, workers=-1)[0][:, k]
    inside = np.nextafter(radius, 0.0)  # strictly inside
    counts = [
        cKDTree(side).query_ball_point(side, inside, p=np.inf, workers=-1, return_length=True)
        for side in (x, y)
    ]
    terms = sum(digamma(count).mean() for count in counts)
    return float(digamma(k) + digamma(len(x)) - terms)


def against_tree(d: int, target: str) -> Callable[[argparse.Namespace], list[dict]]:
    """Return the measure of KSG with d columns a side, 10000 rows."""

    def measure(options: argparse.Namespace) -> list[dict]:
        x, y, _ = correlated_normal(10_000, rho=RHO, dim=d, random_state=0)
        x, y = (side / side.std(axis=0) for side in (x, y))
        estimator = infoest.KSG(k=NEIGHBORS, standardize=False)
        ours, peer = medians(
            options.repeats,
            lambda: estimator.estimate(x, y, confidence=None),
            lambda: plain_tree(x, y, NEIGHBORS),
        )
        value = estimator.estimate(x, y, confidence=None).value
        difference = value - plain_tree(x, y, NEIGHBORS)
        return [
            line(
                f"KSG k=3 n=10000 {d}+{d}, value alone",
                ours,
                peer=peer,
                peer_name="plain cKDTree, workers=-1",
                target=target,
                note=f"values differ by {difference:.1e}",
            )
        ]

    return measure


# ------------------------------------------------------------------------------- in another process

MEMORY = """
import json, sys
import infoest
from infoest.datasets import correlated_normal

def status(name):
    with open("/proc/self/status") as stream:
        return next(int(line.split()[1]) for line in stream if line.startswith(name)) / 1024

confidence = json.loads(sys.argv[1])
small = correlated_normal(3000, rho=0.6, dim=2, random_state=1)
infoest.KSG(k=3).estimate(small.x, small.y, confidence=confidence)  # imports
x, y, _ = correlated_normal(100_000, rho=0.6, dim=2, random_state=0)
before = status("VmRSS")
try:
    open("/proc/self/clear_refs", "w").write("5")  # start the peak from here
except OSError:
    pass
start = status("VmHWM")
infoest.KSG(k=3).estimate(x, y, confidence=confidence)
print(json.dumps({"before": before, "start": start, "peak": status("VmHWM")}))
"""


def python(*words: str) -> str:
    """Run another interpreter in the repository and return what it prints."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return done.stdout


def memory(options: argparse.Namespace) -> list[dict]:
    """Peak memory of KSG on 100000 rows above what stood before, data included (Linux only)."""
    found = []
    for confidence, what in ((None, "value alone"), (0.95, "with interval")):
        sizes = json.loads(python("-c", MEMORY, json.dumps(confidence)))
        # Where the peak could not be reset, what was above before is not counted as ours.
        above = sizes["peak"] - sizes["before"]
        found.append(
            line(
                f"KSG k=3 n=100000 2+2, {what}: peak above the data",
                above,
                unit="MB",
                target="< 400",
                note=f"resident before {sizes['before']:.0f} MB (peak reset to "
                f"{sizes['start']:.0f} MB), peak {sizes['peak']:.0f} MB",
            )
        )
    return found


def importing(options: argparse.Namespace) -> list[dict]:
    """Time of `import infoest` above a bare interpreter."""
    ours, bare = medians(
        2 * options.repeats + 1,
        lambda: python("-c", "import infoest"),
        lambda: python("-c", "pass"),
    )
    return [
        line("import infoest", ours - bare, target="< 0.1", note=f"bare interpreter {bare:.3g} s")
    ]


def command_line(options: argparse.Namespace) -> list[dict]:
    """Time of the whole command on a small file."""
    words = ["-m", "infoest", "estimate", "examples/data/iris.csv", "-x", "sepal*", "-y", "petal*"]
    [ours] = medians(options.repeats, lambda: python(*words, "--method", "ksg"))
    return [line("infoest estimate FILE --method ksg", ours, target="< 1", note="whole process")]


# ----------------------------------------------------------------------------------- many at a time


def matrix(options: argparse.Namespace) -> list[dict]:
    """KSG of all pairs of columns, 1000 rows: time a pair, and how busy the cores are."""
    rng = np.random.default_rng(0)
    data = rng.standard_normal((1000, max(options.columns)))
    data += rng.standard_normal((1000, 1))
    estimator = infoest.KSG(k=NEIGHBORS)
    infoest.matrix(data[:, :20], estimator)  # starts the workers
    before, start = _processor_seconds(), time.perf_counter()
    found, per_pair = [], []
    for width in options.columns:
        began = time.perf_counter()
        infoest.matrix(data[:, :width], estimator)
        seconds = time.perf_counter() - began
        per_pair.append(1000.0 * seconds / (width * (width - 1) // 2))
        note = f"{per_pair[-1]:.3g} ms a pair"
        found.append(line(f"matrix {width} x {width} of KSG k=3, n=1000", seconds, note=note))
    busy = (_processor_seconds() - before) / (time.perf_counter() - start)
    first, *_, last = options.columns
    found += [
        line(
            f"matrix: a pair of {last} columns over a pair of {first}",
            per_pair[-1] / per_pair[0],
            unit="times",
            target="about 1: linear in pairs",
        ),
        line("matrix: processor time over time", busy, unit="cores", target=f"about {cores()}"),
    ]
    return found


def _processor_seconds() -> float:
    """Return the processor time of this process and of its living children (Linux only)."""
    tick = os.sysconf("SC_CLK_TCK")
    total = sum(os.times()[:4])
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended meanwhile
        if int(fields[1]) == os.getpid():
            total += (int(fields[11]) + int(fields[12])) / tick
    return total


def permutations(options: argparse.Namespace) -> list[dict]:
    """200 permutations of 2000 rows, in values of KSG."""
    x, y, _ = correlated_normal(2000, rho=RHO, random_state=0)
    estimator = infoest.KSG()
    value, tested = medians(
        options.repeats,
        lambda: estimator.estimate(x, y, confidence=None),
        lambda: estimator.estimate(x, y, confidence=None, n_permutations=200),
    )
    return [
        line(
            "p-value of 200 permutations, n=2000 1+1",
            (tested - value) / value,
            unit="values of KSG",
            target="< 20",
            note=f"{tested - value:.3g} s; dependent data, so that none stops early",
        )
    ]


MEASURES: dict[str, Callable[[argparse.Namespace], Sequence[dict]]] = {
    "ksg_1v1": ksg_1v1,
    "ksg_3v3": against_tree(3, "ratio >= 1"),
    "ksg_5v5": against_tree(5, "ratio >= 1.8"),
    "ksg_10v10": against_tree(10, "ratio >= 6"),
    "memory": memory,
    "import": importing,
    "command_line": command_line,
    "matrix": matrix,
    "permutations": permutations,
}


if __name__ == "__main__":
    main()
