"""Are critics fast to train, and is it cheap to read a value from them?

Each line is a measurement beside its reference, in turns in one run: a step of the staircase beside
a bare loop of the literature's separable critic, the joint critic beside one that concatenates all
pairs, an estimate beside `GaussianCopula`. Evaluations stand alone, with the memory that they took,
in a process of their own.

    OMP_NUM_THREADS=1 python benchmarks/critics.py --only step
    python benchmarks/critics.py --only joint evaluate_separable evaluate_joint estimate
"""

import argparse
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from provenance import RESULTS, provenance, update_rows
from torch import Tensor, nn

import infoest
from infoest.critics import JointCritic, SeparableCritic
from infoest.datasets import correlated_normal, suite
from infoest.estimators._evaluation import score_pairs
from infoest.estimators._scorers import Scorer
from infoest.functional import infonce, noise_contrastive
from infoest.training import Training, train

COLUMNS, PAIRS = 20, 10_000
STEPS, WARM_UP = 1000, 50


class Loop:
    """Batches that are drawn once: what is timed is the step, not the drawing."""

    per_epoch: int | None = None

    def __init__(self, batch_size: int):
        x, y = suite("staircase")[1].sample(64 * batch_size, 0)
        tensors = (torch.from_numpy(side).float() for side in (x, y))
        self.batches = list(zip(*(side.split(batch_size) for side in tensors), strict=True))
        self.place = 0

    def next(self) -> tuple[Tensor, Tensor]:
        """Return the next batch."""
        self.place += 1
        return self.batches[self.place % len(self.batches)]

    def state(self) -> dict[str, int]:
        """Return where the loop stands."""
        return {"place": self.place}

    def restore(self, state: dict[str, int]) -> None:
        """Go to a place."""
        self.place = state["place"]

    def fingerprint(self) -> str:
        """Return what tells these batches from others."""
        return "staircase"


class Concatenated(nn.Module):
    """The concatenated critic of the literature: every pair goes through every layer."""

    def __init__(self, columns: int, width: int = 256):
        super().__init__()
        self.network = nn.Sequential(nn.Linear(2 * columns, width), nn.ReLU(), nn.Linear(width, 1))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the scores of all pairs."""
        pairs = [x[:, None].expand(-1, len(y), -1), y[None].expand(len(x), -1, -1)]
        return self.network(torch.cat(pairs, dim=2))[..., 0]


class Plain(nn.Module):
    """The separable critic of the literature: two networks of two hidden layers, one product."""

    def __init__(self, columns: int, width: int = 256, embedding: int = 32):
        super().__init__()
        self.of_x, self.of_y = (
            nn.Sequential(
                nn.Linear(columns, width),
                nn.ReLU(),
                nn.Linear(width, width),
                nn.ReLU(),
                nn.Linear(width, embedding),
            )
            for _ in range(2)
        )

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the scores of all pairs."""
        return self.of_x(x) @ self.of_y(y).T


# ----------------------------------------------------------------------------------- measurements


def step() -> dict[str, object]:
    """Time a step at batch 64: ours averages and checks; theirs is bare Adam on InfoNCE."""
    critic, plain = SeparableCritic(COLUMNS, COLUMNS), Plain(COLUMNS)
    loop = Loop(64)
    optimizer = torch.optim.Adam(plain.parameters(), lr=5e-4)

    def ours(steps: int) -> None:
        settings = Training(steps=steps, batch_size=64, learning_rate=2e-3, averaging=0.997)
        train(critic, lambda x, y: -noise_contrastive(critic(x, y)), loop, training=settings)

    def theirs(steps: int) -> None:
        target = torch.arange(64)
        for _ in range(steps):
            loss = nn.functional.cross_entropy(plain(*loop.next()), target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return in_turns(partial(ours, STEPS), partial(theirs, STEPS), STEPS, (ours, theirs))


def joint() -> dict[str, object]:
    """Time InfoNCE and its gradient at batch 128, by a joint critic and a concatenated one."""
    x, y = Loop(128).next()

    def repeated(critic: nn.Module, steps: int) -> None:
        for _ in range(steps):
            critic.zero_grad()
            (-infonce(critic(x, y))).backward()

    ours, theirs = (
        partial(repeated, critic)
        for critic in (JointCritic(COLUMNS, COLUMNS, bilinear=False), Concatenated(COLUMNS))
    )
    return in_turns(partial(ours, 20), partial(theirs, 20), 20, (ours, theirs))


def evaluate_separable() -> dict[str, object]:
    """Read all values of 10 000 pairs, all negatives."""
    return evaluation(SeparableCritic(COLUMNS, COLUMNS), None)


def evaluate_joint() -> dict[str, object]:
    """Read all values of 10 000 pairs by a joint critic, 511 negatives a pair."""
    return evaluation(JointCritic(COLUMNS, COLUMNS), 512)


def evaluation(critic: nn.Module, block: int | None) -> dict[str, object]:
    """Return time and additional memory of an evaluation."""
    x, y, _ = correlated_normal(PAIRS, mi=4.0, dim=COLUMNS, random_state=0)
    tensors = [torch.from_numpy(side).float() for side in (x, y)]
    scorer = Scorer(critic)
    score_pairs(scorer, *(side[:1000] for side in tensors), block=block, calibrate=True)
    before, start = peak(), time.perf_counter()
    score_pairs(scorer, *tensors, block=block, calibrate=True)
    seconds = time.perf_counter() - start
    return {"ours": f"{seconds:.3g}", "unit": "s", "megabytes": f"{peak() - before:.0f}"}


def estimate() -> dict[str, object]:
    """Estimate from 5000 rows of 5 + 5 columns at 4 nats, where training is longest."""
    x, y, _ = correlated_normal(5000, mi=4.0, dim=5, random_state=0)
    small = Training(steps=10)
    infoest.NoiseContrastive(training=small).estimate(x[:200], y[:200])

    def timed(estimator: infoest.NoiseContrastive | infoest.GaussianCopula) -> float:
        start = time.perf_counter()
        estimator.estimate(x, y)
        return time.perf_counter() - start

    ours = timed(infoest.NoiseContrastive(random_state=0))
    theirs = timed(infoest.GaussianCopula())
    return {"ours": f"{ours:.3g}", "unit": "s", "reference": f"{theirs:.3g}"}


def peak() -> float:
    """Return the largest memory so far in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


def in_turns(
    ours: Callable[[], None],
    theirs: Callable[[], None],
    steps: int,
    warm: tuple[Callable[[int], None], Callable[[int], None]],
) -> dict[str, object]:
    """Return the median times of a step, five turns each."""
    for one in warm:
        one(WARM_UP)
    times: dict[Callable[[], None], list[float]] = {ours: [], theirs: []}
    for _ in range(5):
        for one, found in times.items():
            start = time.perf_counter()
            one()
            found.append(1e3 * (time.perf_counter() - start) / steps)
    own, other = (statistics.median(found) for found in times.values())
    return {
        "ours": f"{own:.3g}",
        "unit": "ms a step",
        "reference": f"{other:.3g}",
        "ratio": f"{other / own:.3g}",
    }


CASES: dict[str, tuple[Callable[[], dict[str, object]], str]] = {
    "step": (step, "bare loop of a separable critic with two hidden layers, Adam, InfoNCE"),
    "joint": (joint, "concatenated critic of the same width"),
    "evaluate_separable": (evaluate_separable, ""),
    "evaluate_joint": (evaluate_joint, ""),
    "estimate": (estimate, "GaussianCopula"),
}


# ------------------------------------------------------------------------------------------ the run


def main() -> None:
    """Measure each case in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", nargs="+", default=list(CASES), choices=CASES)
    parser.add_argument("--out", type=Path, default=RESULTS / "critics.csv")
    options = parser.parse_args()
    if len(options.only) > 1:
        for case in options.only:
            command = [sys.executable, __file__, "--only", case, "--out", str(options.out)]
            subprocess.run(command, check=True)
        return
    (case,) = options.only
    measure, reference = CASES[case]
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    columns = {"ours": "", "unit": "", "reference": "", "ratio": "", "megabytes": ""}
    row = {"case": case, "threads": threads} | columns | measure() | {"reference is": reference}
    comments = provenance("torch", threads=f"{threads} in torch")
    update_rows(options.out, [row], comments, ["case", "threads"])
    print(", ".join(f"{name} {value}" for name, value in row.items() if value != ""), flush=True)


if __name__ == "__main__":
    main()
