"""From how many rows on does a k-d tree beat comparing all pairs?

Times both ways of `infoest.functional.neighbors.neighborhoods` on normal data with correlation .6,
for every total number of columns, and prints the number of rows where they cross: what the rule
`pairs_are_faster` is chosen from.

    python benchmarks/neighbors.py
    python benchmarks/neighbors.py --dimensions 2 6 --n 300 1000 --repeats 1 --out /tmp/n.csv
"""

import argparse
import math
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from provenance import RESULTS, provenance, update_rows

from infoest.datasets import correlated_normal
from infoest.functional.neighbors import neighborhoods, pairs_are_faster

WAYS = ("tree", "pairs")
# Seconds that one call may take before more rows are tried: it takes up to ten times as long then.
AFFORDABLE = 5.0


def main() -> None:
    """Measure and print where the two ways cross."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--dimensions", nargs="+", type=int, default=list(range(2, 21)))
    parser.add_argument("--n", nargs="+", type=int, default=[300, 1000, 3000, 10_000, 30_000])
    parser.add_argument("--k", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS / "neighbors.csv")
    options = parser.parse_args()
    comments = [*provenance(), f"k: {options.k}; median of {options.repeats} calls, in turns"]
    for dimension in options.dimensions:
        measured: list[tuple[int, float]] = []
        for n in sorted(options.n):
            times = seconds(n, dimension, options.k, options.repeats)
            measured.append((n, times["tree"] / times["pairs"]))
            row: dict[str, object] = {"dimension": dimension, "n": n}
            row |= {way: f"{times[way]:.4g}" for way in WAYS}
            row["tree_over_pairs"] = f"{measured[-1][1]:.3g}"
            row["rule"] = "pairs" if pairs_are_faster(n, dimension) else "tree"
            update_rows(options.out, [row], comments, ["dimension", "n"])
            if max(times.values()) > AFFORDABLE:
                break
        ratios = "  ".join(f"{n}: {ratio:.2f}" for n, ratio in measured)
        print(
            f"{dimension:>2} columns: {crossing(measured):<28} tree / pairs  {ratios}", flush=True
        )


def seconds(n: int, dimension: int, k: int, repeats: int) -> dict[str, float]:
    """Return the median time of each way, called in turns after one call each to warm up."""
    x, y, _ = correlated_normal(n, rho=0.6, dim=math.ceil(dimension / 2), random_state=0)
    parts = [x, y[:, : dimension - x.shape[1]]]
    times: dict[str, list[float]] = {way: [] for way in WAYS}
    for turn in range(repeats + 1):
        for way in WAYS:
            start = time.perf_counter()
            neighborhoods(parts, [(0,), (1,)], [k], method=way)
            if turn:
                times[way].append(time.perf_counter() - start)
    return {way: statistics.median(found) for way, found in times.items()}


def crossing(measured: Sequence[tuple[int, float]]) -> str:
    """Return where tree / pairs passes 1, on a line through the logarithms."""
    log_n, log_ratio = np.log(np.array(measured, dtype=float)).T
    crossings = []
    for i in range(len(log_n) - 1):
        before, after = log_ratio[i], log_ratio[i + 1]
        if (before > 0.0) != (after > 0.0):
            at = log_n[i] + (log_n[i + 1] - log_n[i]) * before / (before - after)
            better = "tree" if after < 0.0 else "pairs"
            crossings.append(f"{better} from n = {float(f'{math.exp(at):.2g}'):g}")
    if crossings:
        return ", ".join(crossings)
    return f"{'pairs' if log_ratio[0] > 0.0 else 'tree'} for all n measured"


if __name__ == "__main__":
    main()
