"""How well do variational estimators follow a staircase of information, one network all the way up?

The staircase of Song and Ermon (2020): 20 columns a side, 2, 4, 6, 8 and 10 nats, 4000 steps on
each, 64 fresh pairs at every step; weights are carried from stair to stair, and one setting serves
all. Its three laws, of the same pairs for the same seed, are the suite "staircase". Every estimator
has its own objective, critic and learning rate; no weight decay, weights averaged by .997 and, for
`NoiseContrastive`, no dropout: a stream cannot be overfitted. Gradients are not clipped: the rare
large ones hold the scores of product pairs down, and with a norm of at most 1 DonskerVaradhan, FLO,
TUBA, NWJ and MINE drift off by 13 to 5e10 nats on the last stair. No copula. Inputs are mapped as
the estimator does it (normal scores; `BarberAgakov` standardizes y) by 4096 pairs drawn before.
Two protocols, over the second half of every stair:

- ``batch``: what the estimator reads from the training batch of 64, with current weights, at every
  10th step (as published);
- ``fresh``: what it reads from 2048 fresh pairs, all negatives, averaged weights, at 8 places.

Bias, variance and mean squared error are those of single values. The column ``reading`` is ``own``
or another reading of the same scores (of `NoiseContrastive`). Time of a step is the processor's,
readings apart. A run that stands in the table is skipped, so that a killed one goes on where it
stopped; the first seed's values go to a second table, from which the picture is drawn.

    OMP_NUM_THREADS=1 python benchmarks/staircase.py
    python benchmarks/staircase.py --methods SMILE MINE --laws cubic --seeds 1 --out /tmp/s.csv
    python benchmarks/staircase.py --summary
    python benchmarks/staircase.py --picture docs/_static/staircase.png
"""

import argparse
import math
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from provenance import RESULTS, provenance, read_table, update_rows
from torch import Tensor

import infoest
from infoest.critics import SeparableCritic
from infoest.datasets import Task, suite
from infoest.estimators._evaluation import values_of
from infoest.estimators._folds import Sides, mapped, seeded
from infoest.estimators._objectives import ObjectiveLoss
from infoest.estimators.variational import CriticEstimator
from infoest.training import Training, TrainingDivergedError, train

COLUMNS, STAIRS = 20, (2, 4, 6, 8, 10)
LAWS = ("normal", "cubic", "half_cube_rotated")
N_FIT, BATCH, N_FRESH = 4096, 64, 2048
FRESH_READINGS = 8
# Steps between two readings of the batch: on the second half of a stair, and for the picture.
READ_EVERY, SHOWN_EVERY = 10, 40
CPU = torch.device("cpu")
RUN_KEYS = ["law", "estimator", "seed", "steps"]
KEYS = [*RUN_KEYS, "mi", "protocol", "reading"]
OTHER_READINGS = ("donsker_varadhan", "mean_score", "smile")

ESTIMATORS: dict[str, Callable[[], CriticEstimator]] = {
    "NoiseContrastive": lambda: infoest.NoiseContrastive(copula=None),
    "SMILE": lambda: infoest.SMILE(clip=5.0),
    "JensenShannon": infoest.JensenShannon,
    "InfoNCEAnchor": infoest.InfoNCEAnchor,
    "InfoNCE": infoest.InfoNCE,
    "DonskerVaradhan": infoest.DonskerVaradhan,
    "MINE": infoest.MINE,
    "NWJ": infoest.NWJ,
    "TUBA": infoest.TUBA,
    "FLO": infoest.FLO,
    "InterpolatedBound": lambda: infoest.InterpolatedBound(test_block=N_FRESH),
    "BarberAgakov": infoest.BarberAgakov,
    "DifferenceOfEntropies": infoest.DifferenceOfEntropies,
    "CLUB": infoest.CLUB,
    "LeaveOneOut": infoest.LeaveOneOut,
}
SEEDS = dict.fromkeys(ESTIMATORS, 3) | {"NoiseContrastive": 5}
# Where that of the class is for a short training of a fixed sample, or diverges on small batches.
LEARNING_RATES: dict[str, float] = {"NoiseContrastive": 2e-3}

TARGETS = (0.004, 0.006, 0.010, 0.012, 0.03)
# Mean squared errors, protocol "batch": the published code, separable critic, one seed.
PUBLISHED = {
    ("normal", "SMILE"): (0.18, 0.25, 0.24, 0.34, 0.75),
    ("cubic", "SMILE"): (0.67, 1.28, 1.50, 1.58, 1.61),
    ("normal", "InfoNCE"): (0.17, 1.30, 5.8, 16.6, 35.3),
    ("normal", "NWJ"): (0.28, 2.3, 9.6, 151.0, 37.0),
}


# ------------------------------------------------------------------------------------------ one run


class Stream:
    """Fresh pairs at every step, one stair after the other: a source of batches for `train`."""

    per_epoch: int | None = None

    def __init__(self, tasks: Sequence[Task], estimator: CriticEstimator, steps: int, seed: int):
        self.tasks, self.steps, self.seed, self.step = tasks, steps, seed, 0
        x, y = tasks[0].sample(N_FIT, self._seed(0))
        self.maps = estimator._maps(x, y, np.arange(N_FIT))
        self.sample = mapped(self.maps, x, y, torch.float32, CPU)

    def next(self) -> tuple[Tensor, Tensor]:
        """Return the next batch."""
        self.step += 1
        pairs = self._pairs(BATCH, 1)
        return pairs.x, pairs.y

    def fresh(self) -> Sides:
        """Return pairs of the present stair that no step sees."""
        return self._pairs(N_FRESH, 2)

    @property
    def stair(self) -> int:
        """Place of the present stair."""
        return (self.step - 1) // self.steps

    @property
    def counts(self) -> bool:
        """Whether the step is on the second half of its stair."""
        return self.step - self.stair * self.steps > self.steps // 2

    def state(self) -> dict[str, Any]:
        """Return where the stream stands."""
        return {"step": self.step}

    def restore(self, state: dict[str, Any]) -> None:
        """Go to a step."""
        self.step = state["step"]

    def fingerprint(self) -> str:
        """Return what tells this stream from others."""
        return f"{self.tasks[0].name}, {self.steps} steps, seed {self.seed}"

    def _pairs(self, n: int, purpose: int) -> Sides:
        x, y = self.tasks[self.stair].sample(n, self._seed(purpose))
        return mapped(self.maps, x, y, torch.float32, CPU)

    def _seed(self, purpose: int) -> int:
        return int(np.random.SeedSequence((self.seed, self.step, purpose)).generate_state(1)[0])


class Climb:
    """One network on its way up, and what is read from it.

    Args:
        law: One of `LAWS`.
        name: One of `ESTIMATORS`.
        seed: Of weights and pairs.
        steps: On every stair.
    """

    def __init__(self, law: str, name: str, seed: int, steps: int):
        tasks = [task for task in suite("staircase") if task.name.split("-")[1] == law]
        self.estimator = ESTIMATORS[name]()
        self.estimator.training = Training(
            steps=steps * len(tasks),
            batch_size=BATCH,
            learning_rate=LEARNING_RATES.get(name),
            schedule="constant",
            weight_decay=0.0,
            averaging=0.997,
            evaluate_every=steps // (2 * FRESH_READINGS),
            patience=None,
        )
        self.settings = replace(self.estimator._settings(N_FIT), clip_norm=None)
        self.other = OTHER_READINGS if name == "NoiseContrastive" else ()
        self.stream = Stream(tasks, self.estimator, steps, seed)
        # Values by stair, protocol and reading; of the picture by protocol, with those before.
        self.values: dict[tuple[int, str, str], list[float]] = defaultdict(list)
        self.trace: dict[str, list[tuple[int, float]]] = {"batch": [], "fresh": []}
        self.seconds_reading, self.ended = 0.0, ""
        with seeded(seed, CPU):
            if name == "NoiseContrastive":
                self.estimator.critic = SeparableCritic(COLUMNS, COLUMNS)
            self.scorer = self.estimator._new_scorer(
                self.stream.maps, self.stream.sample, self.settings, CPU
            )
            self._train()

    def _train(self) -> None:
        objective = ObjectiveLoss(self.scorer, self.estimator._objective())

        def loss(x: Tensor, y: Tensor) -> Tensor:
            if self.stream.step % (READ_EVERY if self.stream.counts else SHOWN_EVERY) == 0:
                self._read("batch", Sides(x, y))
                self.scorer.train()
            return objective(x, y)

        def held_out() -> float:
            # Where `train` puts the averaged weights in place. What it does with the loss does not
            # matter here: no step is chosen.
            if self.stream.counts:
                self._read("fresh", self.stream.fresh())
            return 0.0

        start = time.process_time()
        try:
            train(self.scorer, loss, self.stream, training=self.settings, held_out=held_out)
        except TrainingDivergedError:
            self.ended = f"diverged at step {self.stream.step}"
        seconds = time.process_time() - start - self.seconds_reading
        self.ms_per_step = 1e3 * seconds / self.stream.step

    def _read(self, protocol: str, pairs: Sides) -> None:
        start = time.process_time()
        scored = self.estimator._scored(self.scorer, pairs)
        found = {"own": self.estimator._reading(scored).value}
        values = values_of(scored, self.estimator._clip())
        found |= {name: values[name] for name in self.other}
        self.trace[protocol].append((self.stream.step, found["own"]))
        if self.stream.counts:
            for reading, value in found.items():
                self.values[self.stream.stair, protocol, reading].append(value)
        self.seconds_reading += time.process_time() - start

    def rows(self) -> Iterator[dict[str, object]]:
        """Return what the table says of the run, without its keys."""
        stream = self.stream
        counts = {"batch": stream.steps // 2 // READ_EVERY, "fresh": FRESH_READINGS}
        for stair, task in enumerate(stream.tasks):
            for protocol, count in counts.items():
                for reading in ("own", *self.other):
                    values = self.values[stair, protocol, reading]
                    complete = len(values) == count
                    yield {
                        "mi": f"{task.mi:g}",
                        "protocol": protocol,
                        "reading": reading,
                        "values": count,
                        **(moments(values, task.mi) if complete else dict.fromkeys(MOMENTS, "")),
                        "learning_rate": f"{self.settings.learning_rate:g}",
                        "ms_per_step": f"{self.ms_per_step:.3g}",
                        "status": "ok" if complete else self.ended,
                    }

    def trace_rows(self) -> Iterator[dict[str, object]]:
        """Return single values in the order of the steps, as text, by protocol."""
        for protocol, trace in self.trace.items():
            chosen = [point for point in trace if protocol == "fresh" or not point[0] % SHOWN_EVERY]
            yield {
                "protocol": protocol,
                "at": " ".join(str(step) for step, _ in chosen),
                "values": " ".join(f"{value:.3g}" for _, value in chosen),
            }


MOMENTS = ("mean", "bias", "variance", "mse")


def moments(values: Sequence[float], truth: float) -> dict[str, str]:
    """Return mean, bias, variance and mean squared error; infinite where a value is."""
    mean = sum(values) / len(values)
    # Products and not powers: one that overflows is infinite.
    variance = sum((value - mean) * (value - mean) for value in values) / len(values)
    error = sum((value - truth) * (value - truth) for value in values) / len(values)
    if not math.isfinite(mean):
        variance = math.inf
    found = (mean, mean - truth, variance, error)
    return {name: f"{value:.4g}" for name, value in zip(MOMENTS, found, strict=True)}


# ------------------------------------------------------------------------------------------ the run


def main() -> None:
    """Measure what is missing, or show what was measured."""
    options = parsed()
    if options.summary:
        print(summary(read_table(options.out)[1]))
    if options.picture:
        traces = traces_of(options.out)
        chosen = {
            (law, name): trace
            for (law, name), trace in traces.items()
            if law in options.laws and name in options.methods
        }
        draw(chosen, options.picture)
    if options.summary or options.picture:
        return
    # Rows of 64 gain nothing from a second core.
    torch.set_num_threads(1)
    comments = provenance("torch", threads="one in torch")
    done = {tuple(row[name] for name in RUN_KEYS) for row in read_table(options.out)[1]}
    for law, name, seed in wanted(options):
        place = dict(zip(RUN_KEYS, map(str, (law, name, seed, options.steps)), strict=True))
        if tuple(place.values()) in done:
            continue
        climb = Climb(law, name, seed, options.steps)
        if seed == 0:
            traces = [place | row for row in climb.trace_rows()]
            update_rows(traces_path(options.out), traces, comments, [*RUN_KEYS, "protocol"])
        rows = [place | row for row in climb.rows()]
        update_rows(options.out, rows, comments, KEYS)
        own = [row for row in rows if (row["protocol"], row["reading"]) == ("fresh", "own")]
        errors = " ".join(f"{row['bias'] or row['status']}/{row['mse']}" for row in own)
        print(*place.values(), f"{climb.ms_per_step:.2f} ms,", errors, flush=True)


def parsed() -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--methods", nargs="+", default=list(ESTIMATORS), choices=ESTIMATORS)
    parser.add_argument("--laws", nargs="+", default=LAWS, choices=LAWS)
    parser.add_argument("--seeds", type=int, help="default: 5 of NoiseContrastive, 3 of others")
    parser.add_argument("--steps", type=int, default=4000, help="on every stair")
    parser.add_argument("--out", type=Path, default=RESULTS / "staircase.csv")
    parser.add_argument("--summary", action="store_true", help="print the tables in Markdown")
    parser.add_argument("--picture", type=Path, help="draw the first seed, of --methods and --laws")
    options = parser.parse_args()
    # Readings fall on both halves of a stair alike.
    least = math.lcm(2 * FRESH_READINGS, 2 * READ_EVERY)
    if options.steps < 1 or options.steps % least:
        parser.error(f"--steps must be a multiple of {least}, got {options.steps}")
    return options


def wanted(options: argparse.Namespace) -> list[tuple[str, str, int]]:
    """Return laws, estimators and seeds: `NoiseContrastive` and SMILE whole, then seed by seed."""
    runs = [
        (law, name, seed)
        for name in options.methods
        for seed in range(options.seeds or SEEDS[name])
        for law in options.laws
    ]
    first = ("NoiseContrastive", "SMILE")
    return sorted(runs, key=lambda run: run[2] if run[1] not in first else first.index(run[1]) - 2)


def traces_path(out: Path) -> Path:
    """Return where the values of the first seed stand."""
    return out.with_name(f"{out.stem}_traces{out.suffix}")


# -------------------------------------------------------------------------------------- the summary


def summary(rows: Sequence[dict[str, str]]) -> str:
    """Return tables of mean squared errors, one for each protocol and law."""
    lines = [
        "Mean squared error in nats^2, mean over seeds (its standard error), of single values.",
    ]
    headings = {
        "fresh": "2048 fresh pairs, all negatives, averaged weights",
        "batch": "the training batch of 64",
    }
    for protocol, heading in headings.items():
        for law in LAWS:
            chosen = [row for row in rows if (row["protocol"], row["law"]) == (protocol, law)]
            if chosen:
                lines += ["", f"**{law.replace('_', '-')}, {heading}**", ""]
                lines += table(chosen, protocol, law)
    return "\n".join(lines)


def table(rows: Sequence[dict[str, str]], protocol: str, law: str) -> list[str]:
    """Return the lines of one table."""
    groups: dict[tuple[str, str], list[dict[str, str]]] = defaultdict(list)
    for row in rows:
        groups[row["estimator"], row["reading"]].append(row)
    stairs = [f"{stair}" for stair in STAIRS]
    lines = [
        f"| estimator | seeds | learning rate | ms a step | {' | '.join(stairs)} |",
        f"|---|---:|---:|---:|{'---:|' * len(stairs)}",
    ]
    order = list(ESTIMATORS)
    for name, reading in sorted(groups, key=lambda pair: order.index(pair[0])):
        found = groups[name, reading]
        label = name if reading == "own" else f"the same scores, {reading.replace('_', ' ')}"
        seeds = len({row["seed"] for row in found})
        pace = statistics.median(float(row["ms_per_step"]) for row in found)
        entries = [entry([row for row in found if row["mi"] == stair]) for stair in stairs]
        rate = found[0]["learning_rate"]
        lines.append(f"| {label} | {seeds} | {rate} | {pace:.2f} | {' | '.join(entries)} |")
        if reading == "own":
            lines += goals(name, protocol, law)
    return lines


def goals(name: str, protocol: str, law: str) -> list[str]:
    """Return the lines that an estimator's own is compared with."""
    lines = []
    if name == "NoiseContrastive" and protocol == "fresh" and law in ("normal", "cubic"):
        lines.append(f"| *target, at most* | | | | {' | '.join(f'{t:g}' for t in TARGETS)} |")
    if protocol == "batch" and (law, name) in PUBLISHED:
        figures = " | ".join(f"{figure:g}" for figure in PUBLISHED[law, name])
        lines.append(f"| *{name}, published code, separable critic* | 1 | 0.0005 | | {figures} |")
    return lines


def entry(rows: Sequence[dict[str, str]]) -> str:
    """Return the mean squared error over seeds with its standard error."""
    failed = [row["status"] for row in rows if row["status"] != "ok"]
    if failed:
        return f"{failed[0]}, {len(failed)} of {len(rows)} seeds"
    errors = [float(row["mse"]) for row in rows]
    if not errors:
        return ""
    mean = statistics.fmean(errors)
    if len(errors) == 1 or not math.isfinite(mean):
        return rounded(mean)
    return f"{rounded(mean)} ({rounded(statistics.stdev(errors) / math.sqrt(len(errors)))})"


def rounded(value: float) -> str:
    """Return a number with two digits, without an exponent where it can."""
    return f"{value:.2g}" if not 10.0 <= value < 1e6 else f"{value:.0f}"


# -------------------------------------------------------------------------------------- the picture

Traces = dict[tuple[str, str], dict[str, np.ndarray]]
BATCH_COLOR, FRESH_COLOR, TRUE_COLOR = "#9ec5dd", "#12415c", "#c1440e"
PANELS_ACROSS, HIGHEST = 5, 13.0


def traces_of(out: Path) -> Traces:
    """Return steps and values, shape (2, n), by law and estimator, then by protocol."""
    traces: Traces = defaultdict(dict)
    for row in read_table(traces_path(out))[1]:
        points = [row[name].split() for name in ("at", "values")]
        traces[row["law"], row["estimator"]][row["protocol"]] = np.array(points, dtype=float)
    return traces


def draw(traces: Traces, path: Path) -> None:
    """Draw values against steps: a panel for each estimator and law, laws below each other."""
    from matplotlib.figure import Figure

    names = [name for name in ESTIMATORS if any(found == name for _, found in traces)]
    laws = [law for law in LAWS if any(found == law for found, _ in traces)]
    blocks = math.ceil(len(names) / PANELS_ACROSS)
    across = min(len(names), PANELS_ACROSS)
    figure = Figure(figsize=(2.5 * across, 1.55 * len(laws) * blocks + 0.5), layout="constrained")
    axes = figure.subplots(blocks * len(laws), across, squeeze=False)
    for ax in axes.flat:
        ax.set_axis_off()
    for place, name in enumerate(names):
        block, column = divmod(place, across)
        for row, law in enumerate(laws):
            ax = axes[block * len(laws) + row, column]
            draw_panel(ax, traces.get((law, name), {}))
            if row == 0:
                ax.set_title(name, fontsize=10)
            if column == 0:
                ax.set_ylabel(law.replace("_", "-\n", 1).replace("_", " "), fontsize=9)
            if row < len(laws) - 1:
                ax.set_xticklabels([])
    figure.supxlabel("step", fontsize=10)
    figure.supylabel("nats", fontsize=10)
    legend = axes[0, 0].get_legend_handles_labels()
    figure.legend(*legend, ncols=min(across, 3), loc="outside upper right")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)


def draw_panel(ax: Any, trace: dict[str, np.ndarray]) -> None:
    """Draw one estimator on one law."""
    ax.set_axis_on()
    last = max((points[0].max() for points in trace.values() if points.size), default=1.0)
    top = HIGHEST
    if "batch" in trace:
        ax.plot(*trace["batch"], color=BATCH_COLOR, linewidth=0.6, label="batch of 64")
    if "fresh" in trace:
        points = trace["fresh"]
        # An upper bound may lie far above.
        top = max(top, 1.2 * float(np.median(points[1][-FRESH_READINGS:])))
        ax.plot(*points, ".", color=FRESH_COLOR, markersize=3, label="2048 fresh pairs", zorder=3)
    edges = np.linspace(0.0, 1.0, len(STAIRS) + 1) * last
    ax.stairs(STAIRS, edges, baseline=None, color=TRUE_COLOR, label="true", zorder=2.5)
    ax.set_xlim(0.0, last)
    ax.set_ylim(-0.08 * top, top)
    ax.tick_params(labelsize=7)
    ax.grid(alpha=0.25)


if __name__ == "__main__":
    main()
