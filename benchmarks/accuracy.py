"""How far off is each method, and how long does it take, on laws whose information is known?

Every quick method on the suites "core" and "mixtures"; scikit-learn's mutual_info_regression, which
reads one column a side, on the tasks that have no more. Writes one row a result, a summary, and a
picture of the mean error against the time of a call. No task has labels, so `Discrete` is left out,
and `MixedKSG`, which is `KSG` then.

    python benchmarks/accuracy.py
    python benchmarks/accuracy.py --methods ksg gaussian --n 500 --seeds 1 --out /tmp/accuracy
    python benchmarks/accuracy.py --redraw
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from provenance import RESULTS, provenance, read_table, update_rows

import infoest
from infoest.benchmarking import Row, run, summarize
from infoest.datasets import suite
from infoest.estimators import MutualInformationEstimator
from infoest.result import Raw

PICTURE = Path(__file__).parents[1] / "docs" / "_static" / "accuracy.png"
SUITES = ("core", "mixtures")
ONE_COLUMN = "one column a side"
PEER = "MutualInfoRegression"
KEY = ("task", "method", "n")
SUMMARY_KEY = ("tasks", "method", "n")


@dataclass(kw_only=True, eq=False)
class MutualInfoRegression(MutualInformationEstimator):
    """The estimator of scikit-learn, value alone: it has no interval."""

    n_neighbors: int = 3

    def _estimate(self, x, y, z, ask):
        from sklearn.feature_selection import mutual_info_regression

        [value] = mutual_info_regression(
            x, y[:, 0], n_neighbors=self.n_neighbors, random_state=self.random_state
        )
        return Raw(float(value))


def main() -> None:
    """Run, sum up, draw."""
    options = parsed()
    rows_path, summary_path = options.out / "accuracy.csv", options.out / "accuracy_summary.csv"
    comments = provenance("scikit-learn", "torch", threads="one process, each method's own")
    tasks = [] if options.redraw else [task for name in options.suite for task in suite(name)]
    for n in options.n:
        for task in tasks:
            methods = [*options.methods, *([MutualInfoRegression()] if is_narrow(task) else [])]
            print(f"n = {n}  {task.name}", flush=True)
            rows = run([task], methods=methods, n=n, seeds=options.seeds, on_row=complain)
            update_rows(rows_path, [rounded(row._asdict(), 6) for row in rows], comments, KEY)
    comments, lines = read_table(rows_path)
    rows = [row_of(line) for line in lines]
    if not rows:
        raise SystemExit(f"--redraw needs {rows_path}. Run without it first.")
    summaries = sums(rows)
    if not options.redraw:
        summary_path.unlink(missing_ok=True)
        update_rows(summary_path, [rounded(one, 4) for one in summaries], comments, SUMMARY_KEY)
        print(table(summaries))
    draw(summaries, options.picture)
    print(f"\nwritten: {rows_path}, {summary_path}, {options.picture}")


def parsed() -> argparse.Namespace:
    """Return what the command line asks for."""
    # On data without ties MixedKSG is KSG; KDE is slow but a classic.
    quick = [*infoest.METHODS.quick_names("mutual_information"), "kde"]
    quick.remove("mixed_ksg")
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--methods", nargs="+", default=quick)
    parser.add_argument("--n", nargs="+", type=int, default=[1000, 5000])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--suite", nargs="+", default=SUITES)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the tables")
    parser.add_argument("--picture", type=Path, help="default: docs/_static, or --out if given")
    parser.add_argument("--redraw", action="store_true", help="only draw the table once more")
    options = parser.parse_args()
    if options.picture is None:
        options.picture = PICTURE if options.out == RESULTS else options.out / PICTURE.name
    return options


def is_narrow(task: infoest.datasets.Task) -> bool:
    """Return whether scikit-learn can read the task."""
    x, y = task.sample(5, 0)
    return x.shape[1] == y.shape[1] == 1


def complain(row: Row) -> None:
    """Print what a method refused."""
    if row.status != "ok":
        print(f"    {row.method}: {row.status}")


def row_of(line: dict[str, str]) -> Row:
    """Return a line of the table as it was before it was written."""
    types = {"n": int, "seed": int, "task": str, "method": str, "status": str}
    types["covered"] = "True".__eq__
    return Row(
        **{
            name: None if text == "" else types.get(name, float)(text)
            for name, text in line.items()
        }
    )


def sums(rows: Sequence[Row]) -> list[dict[str, object]]:
    """Return the summaries of all tasks, of each suite, and of the tasks of the peer."""
    known = {name: suite(name) for name in SUITES}
    names = {row.task for row in rows}
    groups = {"all": names}
    groups |= {name: names & {task.name for task in tasks} for name, tasks in known.items()}
    groups[ONE_COLUMN] = {
        task.name
        for tasks in known.values()
        for task in tasks
        if task.name in names and is_narrow(task)
    }
    return [
        {"tasks": group, "n_tasks": len(members), **summary._asdict()}
        for group, members in groups.items()
        for summary in summarize(row for row in rows if row.task in members)
        if summary.method != PEER or group == ONE_COLUMN
    ]


def rounded(row: dict[str, object], digits: int) -> dict[str, object]:
    """Return the row with so many significant digits."""
    return {
        name: float(f"{value:.{digits}g}") if isinstance(value, float) else value
        for name, value in row.items()
    }


def table(summaries: Sequence[dict]) -> str:
    """Return the summaries in columns."""
    lines = [
        f"{'tasks':<18} {'n':>6} {'method':<22} {'MAE':>7} {'worst':>7} {'seconds':>8} "
        f"{'covered':>7}  {'failed':>6}  worst task"
    ]
    for one in sorted(summaries, key=lambda one: (one["tasks"], one["n"])):
        if not one["results"]:
            lines.append(f"{one['tasks']:<18} {one['n']:>6} {one['method']:<22} failed everywhere")
            continue
        covered = "" if one["coverage"] is None else f"{one['coverage']:.2f}"
        lines.append(
            f"{one['tasks']:<18} {one['n']:>6} {one['method']:<22} "
            f"{one['mean_absolute_error']:>7.3f} {one['worst_error']:>7.3f} "
            f"{one['mean_seconds']:>8.4f} {covered:>7}  {one['failures']:>6}  {one['worst_task']}"
        )
    return "\n".join(lines)


# -------------------------------------------------------------------------------------- the picture

COLOR, PEER_COLOR = "#2a6f97", "#c1440e"
NAMES = {PEER: "scikit-learn (value only)"}
FONT_SIZE = 9


def draw(summaries: Sequence[dict], path: Path) -> None:
    """Draw mean error against time, all tasks beside those that scikit-learn can read."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.5, 4.8), layout="constrained")
    axes = figure.subplots(1, 2, sharex=True, sharey=True)
    drawn = []
    for ax, group in zip(axes, ("all", ONE_COLUMN), strict=True):
        own = [one for one in summaries if one["tasks"] == group]
        drawn.append(draw_group(ax, own))
        suffix = "" if group == "all" else f" with {group}"
        ax.set_title(f"{own[0]['n_tasks']} tasks{suffix}", fontsize=11, loc="left")
        ax.set_xlabel("seconds a call, with the interval where there is one")
    axes[0].set_ylabel("mean absolute error (nats)")
    low, high = axes[0].get_xlim()
    axes[0].set_xlim(low, high * (high / low) ** 0.12)  # room for names on the right
    figure.draw_without_rendering()  # settles the axes, on which the place of the names depends
    for ax, paths in zip(axes, drawn, strict=True):
        put_names(ax, paths)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def draw_group(ax, summaries: Sequence[dict]) -> dict[str, np.ndarray]:
    """Draw a line from the fewest to the most samples for each method and return its points."""
    found: dict[str, list[tuple[float, float]]] = {}
    most: set[str] = set()  # methods that were run with the most samples
    for one in sorted(summaries, key=lambda one: one["n"]):
        if one["mean_absolute_error"]:
            point = (one["mean_seconds"], one["mean_absolute_error"])
            found.setdefault(one["method"], []).append(point)
            if one["n"] == max(other["n"] for other in summaries):
                most.add(one["method"])
    ax.set(xscale="log", yscale="log")
    for method, points in found.items():
        color = PEER_COLOR if method == PEER else COLOR
        seconds, errors = zip(*points, strict=True)
        ax.plot(seconds, errors, color=color, linewidth=1, alpha=0.4, zorder=2)
        ax.plot(seconds, errors, "o", color=color, markersize=4, markerfacecolor="white")
        if method in most:
            ax.plot(seconds[-1], errors[-1], "o", color=color, markersize=7)
    ax.grid(True, which="major", color="0.92")
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(which="minor", length=2)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.margins(x=0.06, y=0.1)
    sizes = sorted({one["n"] for one in summaries})
    marks = [f"{mark} n = {n}" for mark, n in zip("○●"[-len(sizes) :], sizes[-2:], strict=False)]
    ax.text(1, 1.02, "   ".join(marks), transform=ax.transAxes, ha="right", fontsize=9, color="0.3")
    return {method: np.array(points) for method, points in found.items()}


def put_names(ax, paths: dict[str, np.ndarray]) -> None:
    """Write each name beside its last point, where it hides the least."""
    from matplotlib.patheffects import withStroke

    in_points = 72.0 / ax.figure.dpi
    lines = {name: ax.transData.transform(path) * in_points for name, path in paths.items()}
    # Along every line, so that names avoid them, too.
    hidden = [
        line[:1] + (line[-1:] - line[:1]) * np.linspace(0, 1, 40)[:, None]
        for line in lines.values()
    ]
    around = np.exp(2j * np.pi * np.arange(12) / 12)
    discs = [
        line[-1] + 4.0 * np.column_stack([around.real, around.imag]) for line in lines.values()
    ]
    obstacles = np.vstack([*hidden, *discs, *discs])
    frame = ax.get_window_extent().extents * in_points
    boxes: list[np.ndarray] = []
    for method in sorted(lines, key=lambda name: lines[name][-1, 1]):
        name = NAMES.get(method, method.replace("_", " "))
        size = np.array([0.56 * FONT_SIZE * len(name), 1.2 * FONT_SIZE])
        corners = [
            (lines[method][-1] + np.array([dx, dy]) - size * np.array(anchor), (dx, dy), align)
            for dx, dy, anchor, align in PLACES
        ]
        costs = [
            cost(np.hstack([corner, corner + size]), obstacles, boxes, frame) + 0.1 * rank
            for rank, (corner, _, _) in enumerate(corners)
        ]
        corner, offset, (across, along) = corners[int(np.argmin(costs))]
        boxes.append(np.hstack([corner, corner + size]))
        ax.annotate(
            name,
            paths[method][-1],
            xytext=offset,
            textcoords="offset points",
            ha=across,
            va=along,
            fontsize=FONT_SIZE,
            color=PEER_COLOR if method == PEER else "0.15",
            path_effects=[withStroke(linewidth=2.5, foreground="white")],
        )


# Offset in points, the corner that is held there (share of width and height), and its alignment.
PLACES = [
    (7, 0, (0, 0.5), ("left", "center")),
    (-7, 0, (1, 0.5), ("right", "center")),
    (0, -7, (0.5, 1), ("center", "top")),
    (0, 7, (0.5, 0), ("center", "bottom")),
    (5, -6, (0, 1), ("left", "top")),
    (5, 6, (0, 0), ("left", "bottom")),
    (-5, -6, (1, 1), ("right", "top")),
    (-5, 6, (1, 0), ("right", "bottom")),
]


def cost(
    box: np.ndarray, obstacles: np.ndarray, boxes: list[np.ndarray], frame: np.ndarray
) -> float:
    """Return how much of points, lines and other names a box would hide."""
    inside = (obstacles > box[:2]) & (obstacles < box[2:])
    total = float(inside.all(axis=1).sum())
    for other in boxes:
        overlap = np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2])
        total += 2.0 * float(np.prod(np.maximum(overlap, 0.0)))
    outside = np.maximum(frame[:2] - box[:2], 0.0) + np.maximum(box[2:] - frame[2:], 0.0)
    return total + 50.0 * float(outside.sum())


if __name__ == "__main__":
    main()
