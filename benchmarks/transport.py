"""Is transport fast and right against POT, used as its users do?

Four questions:

- ``steps``: InfoOT and fused InfoOT at n = 1000 against the published steps (dense products in
  NumPy, then POT's Sinkhorn, whole steps, 100 and 50 of them). Both plans are rounded to exact
  marginals before their objectives are compared; ``peer_seconds`` is the time of the published
  number of steps, ``ratio_per_step`` compares the time of one step.
- ``robustness``: the same where data are 1000 times larger or the regularization is small: does a
  finite plan come back?
- ``divergence``: the debiased Sinkhorn divergence, value and gradient, over n; memory above it.
- ``dependency``: `WassersteinDependency`, value and p-value of 99 permutations (y independent).

    pip install --target /tmp/peers/pot --no-deps POT==0.9.7.post1
    PYTHONPATH=/tmp/peers/pot python benchmarks/transport.py
    PYTHONPATH=/tmp/peers/pot python benchmarks/transport.py --only steps --n 300 --out /tmp/t.csv
"""

import argparse
import importlib
import importlib.util
import math
import resource
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from provenance import RESULTS, provenance, update_rows

from infoest import WassersteinDependency
from infoest.functional import infoot_mi
from infoest.transport import FusedInfoOT, infoot, sinkhorn_divergence
from infoest.transport.entropic import rounded

PARTS = ("steps", "robustness", "divergence", "dependency")
KEYS = ["part", "work", "n"]
MEASURED = [
    "seconds",
    "peer",
    "peer_seconds",
    "ratio",
    "ratio_per_step",
    "steps",
    "peer_steps",
    "objective",
    "peer_objective",
    "value",
    "megabytes",
    "note",
]
PUBLISHED_STEPS = {"infoot": 100, "fused": 50}
# Steps of the peer's log-domain Sinkhorn that are measured; the others are taken to cost the same.
LOG_STEPS = 2


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", nargs="+", default=PARTS, choices=PARTS)
    parser.add_argument("--n", nargs="+", type=int, default=None, help="instead of the usual sizes")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS / "transport.csv")
    options = parser.parse_args()
    pot = importlib.import_module("ot") if importlib.util.find_spec("ot") else None
    if pot is None:
        print("POT is missing: nothing is compared with it, see --help")
    peer = f"POT {pot.__version__}" if pot else "no POT"
    comments = [
        *provenance("torch", threads=f"{torch.get_num_threads()} in torch"),
        f"peer: {peer}; float64; seconds are the best of {options.repeats} calls, of one for POT",
    ]

    def write(**row: object) -> None:
        update_rows(options.out, [dict.fromkeys([*KEYS, *MEASURED], "") | row], comments, KEYS)
        print(", ".join(f"{key} {value}" for key, value in row.items() if value != ""), flush=True)

    measures = {
        "steps": steps,
        "robustness": robustness,
        "divergence": divergence,
        "dependency": dependency,
    }
    for name in options.only:
        measures[name](options, pot, write)


def two_views(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return the same lopsided cloud seen through two linear maps with noise, 3 columns each."""
    rng = np.random.default_rng(seed)
    hidden = rng.standard_normal((n, 2))
    hidden[:, 0] = np.exp(hidden[:, 0] / 3.0)
    views = (
        hidden @ rng.standard_normal((2, 3)) + 0.1 * rng.standard_normal((n, 3)) for _ in range(2)
    )
    return tuple(views)  # type: ignore[return-value]


def moved(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a cloud and the same cloud stretched, moved and with noise."""
    x, _ = two_views(n)
    return x, 1.2 * x + 0.5 + 0.3 * np.random.default_rng(1).standard_normal(x.shape)


def seconds_of(call: Any, repeats: int) -> tuple[float, Any]:
    """Return the best time of some calls and the last result."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        found = call()
        times.append(time.perf_counter() - start)
    return min(times), found


# ------------------------------------------------------------------------------ information plans


def published(
    pot: Any, x: np.ndarray, y: np.ndarray, settings: dict[str, float], number: int, method: str
) -> tuple[np.ndarray, float]:
    """Return the plan after whole steps with POT's Sinkhorn, and the seconds they took.

    Formulas of Chuang et al. (2023): dense matrices, POT's own number of sweeps.
    """
    start = time.perf_counter()
    kernels = []
    for sample in (x, y):
        distances = pot.dist(sample, sample, metric="euclidean")
        width = 0.5 * np.sqrt(np.mean(distances**2) / 2.0)
        kernels.append(np.exp(-((distances / width) ** 2) / 2.0))
    kernel_x, kernel_y = kernels
    densities = np.outer(kernel_x.mean(axis=1), kernel_y.mean(axis=1))
    p, q = np.full(len(x), 1.0 / len(x)), np.full(len(y), 1.0 / len(y))
    weight = settings["information_weight"]
    cost = pot.dist(x, y, metric="euclidean") if settings["fused"] else 0.0
    plan = np.outer(p, q)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for _ in range(number):
            joint = kernel_x @ plan @ kernel_y
            gain = np.log(joint / densities) + kernel_x @ (plan / joint) @ kernel_y
            plan = pot.sinkhorn(p, q, cost - weight * gain, settings["regularization"], method)
    return plan, time.perf_counter() - start


def objective(x: np.ndarray, y: np.ndarray, plan: np.ndarray, settings: dict[str, float]) -> float:
    """Return the objective of a plan after rounding it to its marginals; NaN for none."""
    if not np.isfinite(plan).all():
        return math.nan
    exact = rounded(torch.from_numpy(plan))
    left, right = torch.from_numpy(x), torch.from_numpy(y)
    value = settings["regularization"] * torch.xlogy(exact, exact * exact.numel()).sum()
    value -= settings["information_weight"] * infoot_mi(left, right, exact)
    if settings["fused"]:
        value += (torch.cdist(left, right) * exact).sum()
    return value.item()


def our_plan(x: np.ndarray, y: np.ndarray, settings: dict[str, float]) -> Any:
    """Return the library's result for the same problem."""
    if not settings["fused"]:
        return infoot(x, y, regularization=settings["regularization"])
    names = ("information_weight", "regularization")
    return FusedInfoOT(**{name: settings[name] for name in names}).fit(x, y).result_


def steps(options: argparse.Namespace, pot: Any, write: Any) -> None:
    """Compare time and objective with the published steps."""
    problems = {
        "infoot": {"fused": False, "information_weight": 1.0, "regularization": 0.05},
        "fused": {"fused": True, "information_weight": 100.0, "regularization": 1.0},
    }
    for n in options.n or [1000]:
        for name, settings in problems.items():
            x, y = moved(n) if settings["fused"] else two_views(n)
            ours, found = seconds_of(
                lambda x=x, y=y, settings=settings: our_plan(x, y, settings), options.repeats
            )
            number = len(found.objective) - 1
            row = {
                "seconds": f"{ours:.4g}",
                "steps": number,
                "objective": f"{found.objective[-1]:.8g}",
                "note": f"converged {found.converged}; never rises "
                f"{bool((np.diff(found.objective) < 0.0).all())}",
            }
            if pot is None:
                write(part="steps", work=name, n=n, **row)
                continue
            for method in ("sinkhorn", "sinkhorn_log"):
                plain = method == "sinkhorn"
                taken = PUBLISHED_STEPS[name] if plain else LOG_STEPS
                plan, theirs = published(pot, x, y, settings, taken, method)
                whole = theirs * PUBLISHED_STEPS[name] / taken
                write(
                    part="steps",
                    work=f"{name}, against {method}",
                    n=n,
                    **row,
                    peer=f"published steps, ot.{method}",
                    peer_seconds=f"{whole:.4g}",
                    ratio=f"{whole / ours:.3g}",
                    ratio_per_step=f"{theirs / taken / (ours / (number + 1)):.3g}",
                    peer_steps=PUBLISHED_STEPS[name],
                    peer_objective=f"{objective(x, y, plan, settings):.8g}" if plain else "",
                )


def robustness(options: argparse.Namespace, pot: Any, write: Any) -> None:
    """Show what comes back at a large scale and at a small regularization."""
    hard = {
        "data x 1000": (1e3, 100.0, 1.0),
        "regularization 0.01": (1.0, 100.0, 0.01),
        "no difficulty": (1.0, 1.0, 0.1),
    }
    for n in options.n or [200]:
        for name, (scale, weight, regularization) in hard.items():
            settings = {
                "fused": True,
                "information_weight": weight,
                "regularization": regularization,
            }
            x, y = (scale * side for side in moved(n))
            ours, found = seconds_of(
                lambda x=x, y=y, settings=settings: our_plan(x, y, settings), 1
            )
            row = {
                "seconds": f"{ours:.4g}",
                "steps": len(found.objective) - 1,
                "objective": f"{found.objective[-1]:.8g}",
                "note": f"converged {found.converged}",
            }
            if pot is not None:
                plan, theirs = published(pot, x, y, settings, 50, "sinkhorn")
                row |= {
                    "peer": "published steps, ot.sinkhorn",
                    "peer_seconds": f"{theirs:.4g}",
                    "peer_steps": 50,
                    "peer_objective": f"{objective(x, y, plan, settings):.8g}",
                }
            write(part="robustness", work=name, n=n, **row)


# --------------------------------------------------------------------------- distances of samples


def peak_megabytes() -> float:
    """Return the largest memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


def divergence(options: argparse.Namespace, pot: Any, write: Any) -> None:
    """Measure value and gradient; memory is the rise of the peak, so sizes ascend."""
    for n in sorted(options.n or [1000, 2500, 10_000, 30_000]):
        generator = torch.Generator().manual_seed(0)
        x, y = (torch.randn(n, 2, dtype=torch.float64, generator=generator) for _ in range(2))
        x.requires_grad_()
        before = peak_megabytes()

        def with_gradient(x: torch.Tensor = x, y: torch.Tensor = y) -> torch.Tensor:
            x.grad = None
            value = sinkhorn_divergence(x, y, epsilon=0.4, tolerance=1e-3)
            value.backward()
            return value.detach()

        ours, value = seconds_of(with_gradient, 1 if n > 5000 else options.repeats)
        write(
            part="divergence",
            work="value and gradient, d=2, epsilon .4",
            n=n,
            seconds=f"{ours:.4g}",
            value=f"{value.item():.5g}",
            megabytes=f"{peak_megabytes() - before:.0f}",
        )


def dependency(options: argparse.Namespace, pot: Any, write: Any) -> None:
    """Measure value and p-value; under independence the permutations stop early."""
    for n in options.n or [100, 500, 2000]:
        rng = np.random.default_rng(0)
        x, y = rng.standard_normal((2, n, 1))
        for name, settings in (("default", {}), ("slices=100", {"slices": 100})):
            estimator = WassersteinDependency(**settings)
            alone, found = seconds_of(
                lambda e=estimator, x=x, y=y: e.estimate(x, y), options.repeats
            )
            write(
                part="dependency",
                work=f"value, {name}",
                n=n,
                seconds=f"{alone:.4g}",
                value=f"{found.value:.4g}",
            )
            if n > 500 and not settings:
                continue
            tested, found = seconds_of(
                lambda e=estimator, x=x, y=y: e.estimate(x, y, n_permutations=99), 1
            )
            write(
                part="dependency",
                work=f"p-value, {name}",
                n=n,
                seconds=f"{tested:.4g}",
                value=f"{found.p_value:.3g}",
            )


if __name__ == "__main__":
    main()
