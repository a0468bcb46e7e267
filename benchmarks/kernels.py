"""How fast are the kernel sums, against a plain implementation, the exponential, and KeOps?

Four questions, each asked in one run so that its ratios mean something on a shared machine:

- ``sum``: the Gaussian `log_kernel_sum` by ``chunked`` against cdist and logsumexp in chunks of
  rows, and against nothing but exp in the cache; forward, and with the gradient; peak memory.
- ``backends``: dense, chunked and KeOps over a grid of n and d: what ``backend="auto"`` follows.
- ``nearest``: five nearest neighbors against scikit-learn's brute force.
- ``dependence``: Cauchy-Schwarz information and HSIC with their gradients, float64 inside.

    python benchmarks/kernels.py
    python benchmarks/kernels.py --device cuda
    python benchmarks/kernels.py --only sum --n 3000 --repeats 1 --out /tmp/k.csv
"""

import argparse
import multiprocessing
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from provenance import RESULTS, provenance, read_table, update_rows
from torch import Tensor

from infoest.functional import cauchy_schwarz_qmi, hsic
from infoest.kernels import log_kernel_sum, nearest
from infoest.kernels.reductions import MOST_DENSE_PAIRS

PICTURE = Path(__file__).parents[1] / "docs" / "_static" / "kernels.png"
PARTS = ("sum", "backends", "nearest", "dependence")
KEYS = ["part", "work", "device", "n", "d", "backend"]
MEASURED = [
    "seconds",
    "pairs_per_second",
    "over_plain",
    "share_of_exp",
    "over_forward",
    "megabytes",
]
# Rows of a chunk of the plain implementation, and how many of them are timed.
PLAIN_ROWS, PLAIN_TIMED = 500, 3000
NEIGHBORS = 5
# Seconds of one call above which it is not made, and above which it is made once and not warmed up.
AFFORDABLE, LONG = 120.0, 10.0


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--only", nargs="+", default=PARTS, choices=PARTS)
    parser.add_argument("--n", nargs="+", type=int, default=None, help="instead of the usual sizes")
    parser.add_argument("--dimensions", nargs="+", type=int, default=[2, 20, 100])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, help="default: benchmarks/results")
    parser.add_argument("--picture", type=Path, help="default: docs/_static, or --out if given")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        print("no CUDA device on this machine: nothing measured")
        return
    name = "kernels.csv" if options.device == "cpu" else "kernels_cuda.csv"
    out = options.out or RESULTS / name
    comments = [
        *provenance(
            "torch", "pykeops", "scikit-learn", threads=f"{torch.get_num_threads()} in torch"
        ),
        f"float32 normal data; median of {options.repeats} calls, in turns; memory above the data",
    ]
    if options.device == "cuda":
        comments.append(f"device: {torch.cuda.get_device_name()}")

    def write(**row: object) -> None:
        update_rows(out, [dict.fromkeys([*KEYS, *MEASURED], "") | row], comments, KEYS)
        print(", ".join(f"{key} {value}" for key, value in row.items() if value != ""), flush=True)

    if "sum" in options.only:
        for n in options.n or [30_000, 100_000]:
            measure_sum(n, 20, options.device, options.repeats, write)
    if "backends" in options.only:
        for d in options.dimensions:
            sizes = options.n or [300, 1000, 3000, 10_000, 30_000, 100_000]
            measure_backends(sizes, d, options.device, options.repeats, write)
    if "nearest" in options.only and options.device == "cpu":
        for n in options.n or [30_000]:
            measure_nearest(n, 20, options.repeats, write)
    if "dependence" in options.only:
        for n in options.n or [20_000]:
            for d in (2, 10):
                measure_dependence(n, d, options.device, options.repeats, write)
    if "backends" in options.only and options.device == "cpu":
        beside = options.out.with_suffix(".png") if options.out else PICTURE
        draw(out, options.picture or beside)


Write = Callable[..., None]


def measure_sum(n: int, d: int, device: str, repeats: int, write: Write) -> None:
    """Compare the chunked sum with a plain one and with exp alone."""
    x, y = samples(n, d, device), samples(n, d, device, seed=1)
    width = d**0.5
    leaf_x, leaf_y = x.clone().requires_grad_(), y.clone().requires_grad_()

    def chunked(x: Tensor, y: Tensor) -> Tensor:
        return log_kernel_sum(x, y, bandwidth=width, backend="chunked")

    timed = min(n, PLAIN_TIMED)
    works: dict[str, Callable[[], object]] = {
        "exp": exp_in_cache(n, device),
        "plain": lambda: plain_log_kernel_sum(x[:timed] / width, y / width),
        "two samples": lambda: chunked(x, y),
        "one sample": lambda: chunked(x, x),
        "two samples, gradient": lambda: chunked(leaf_x, leaf_y).sum().backward(),
        "one sample, gradient": lambda: chunked(leaf_x, leaf_x).sum().backward(),
    }
    seconds = in_turns(works, repeats)
    seconds["plain"] *= n / timed
    for work, taken in seconds.items():
        forward = seconds[work.removesuffix(", gradient")]
        gradient = work.endswith("gradient")
        write(
            part="sum",
            work=work,
            device=device,
            n=n,
            d=d,
            backend="chunked" if "sample" in work else "",
            seconds=f"{taken:.4g}",
            pairs_per_second=f"{n * n / taken:.3g}",
            over_plain=f"{seconds['plain'] / taken:.3g}",
            share_of_exp=f"{seconds['exp'] / taken:.3g}",
            over_forward=f"{taken / forward:.3g}" if gradient else "",
            megabytes=f"{memory(_sum, n, d):.0f}" if gradient and device == "cpu" else "",
        )


def measure_backends(sizes: list[int], d: int, device: str, repeats: int, write: Write) -> None:
    """Time every backend, forward and with gradient, up to what is affordable."""
    seconds_per_pair: dict[tuple[str, str], float] = {}
    for n in sorted(sizes):
        leaf = samples(n, d, device).requires_grad_()
        backends = ["chunked", "keops"] + (["dense"] if n * n <= MOST_DENSE_PAIRS // 4 else [])

        def forward(backend: str, leaf: Tensor = leaf) -> Tensor:
            with torch.no_grad():
                return log_kernel_sum(leaf, leaf, bandwidth=d**0.5, backend=backend)

        def gradient(backend: str, leaf: Tensor = leaf) -> None:
            log_kernel_sum(leaf, leaf, bandwidth=d**0.5, backend=backend).sum().backward()

        for work, function in (("forward", forward), ("forward and gradient", gradient)):
            expected = {one: n * n * seconds_per_pair.get((work, one), 0.0) for one in backends}
            calls = {
                one: lambda one=one, function=function: function(one)
                for one in backends
                if expected[one] <= AFFORDABLE
            }
            long = {one for one in calls if expected[one] > LONG}
            found = in_turns({one: calls[one] for one in calls if one not in long}, repeats)
            found |= in_turns({one: calls[one] for one in long}, 1, warm_up=False)
            for backend, taken in found.items():
                seconds_per_pair[work, backend] = taken / n**2
                write(
                    part="backends",
                    work=work,
                    device=device,
                    n=n,
                    d=d,
                    backend=backend,
                    seconds=f"{taken:.4g}",
                    pairs_per_second=f"{n * n / taken:.3g}",
                )


def measure_nearest(n: int, d: int, repeats: int, write: Write) -> None:
    """Compare with scikit-learn's brute force on the same float32 data."""
    from sklearn.neighbors import NearestNeighbors

    x = samples(n, d, "cpu")
    peer = NearestNeighbors(n_neighbors=NEIGHBORS + 1, algorithm="brute").fit(x.numpy())
    works: dict[str, Callable[[], object]] = {
        "scikit-learn, brute force": lambda: peer.kneighbors(x.numpy()),
        "nearest": lambda: nearest(x, x, NEIGHBORS, exclude_self=True, backend="chunked"),
    }
    seconds = in_turns(works, repeats)
    theirs = torch.from_numpy(peer.kneighbors(x.numpy())[0][:, 1:])
    ours = nearest(x, x, NEIGHBORS, exclude_self=True, backend="chunked")[0]
    print(f"largest difference of a distance: {float((ours - theirs).abs().max()):.2g}")
    for work, taken in seconds.items():
        write(
            part="nearest",
            work=work,
            device="cpu",
            n=n,
            d=d,
            backend="chunked" if work == "nearest" else "",
            seconds=f"{taken:.4g}",
            pairs_per_second=f"{n * n / taken:.3g}",
            over_plain=f"{seconds['scikit-learn, brute force'] / taken:.3g}",
        )


def measure_dependence(n: int, d: int, device: str, repeats: int, write: Write) -> None:
    """Time dependences of d + d columns, value and gradient."""
    x, y = (samples(n, d, device, seed).requires_grad_() for seed in (0, 1))
    functions = {"cauchy_schwarz_qmi": cauchy_schwarz_qmi, "hsic": hsic}
    works = {
        name: lambda function=function: function(
            x, y, bandwidth_x=d**0.5, bandwidth_y=d**0.5
        ).backward()
        for name, function in functions.items()
    }
    for work, taken in in_turns(works, repeats).items():
        write(
            part="dependence",
            work=work,
            device=device,
            n=n,
            d=2 * d,
            backend="auto",
            seconds=f"{taken:.4g}",
            pairs_per_second=f"{n * n / taken:.3g}",
            megabytes=f"{memory(functions[work], n, d):.0f}" if device == "cpu" else "",
        )


def draw(table: Path, path: Path) -> None:
    """Draw pairs a second against n: one panel a dimension, one line a backend."""
    from matplotlib.figure import Figure

    rows = [row for row in read_table(table)[1] if row["part"] == "backends"]
    dimensions = sorted({int(row["d"]) for row in rows})
    figure = Figure(figsize=(3.2 * len(dimensions), 3.4), layout="constrained")
    axes = figure.subplots(1, len(dimensions), sharey=True, squeeze=False)[0]
    for ax, d in zip(axes, dimensions, strict=True):
        for color, backend in (("C0", "chunked"), ("C1", "keops"), ("0.5", "dense")):
            for work, style in (("forward", "-"), ("forward and gradient", "--")):
                points = sorted(
                    (int(row["n"]), float(row["pairs_per_second"]))
                    for row in rows
                    if (row["d"], row["backend"], row["work"]) == (str(d), backend, work)
                )
                ax.plot(*zip(*points, strict=True), style, marker=".", color=color)
        ax.set(xscale="log", yscale="log", title=f"{d} columns", xlabel="rows n")
        ax.grid(alpha=0.3)
    axes[0].set_ylabel("pairs a second")
    handles = [*axes[0].lines[:3:2], axes[0].lines[4], *axes[0].lines[:2]]
    names = ["chunked", "keops", "dense", "forward", "with the gradient"]
    axes[-1].legend(handles, names, loc="upper left", fontsize="small")
    figure.savefig(path, dpi=150)


def samples(n: int, d: int, device: str, seed: int = 0) -> Tensor:
    """Return normal samples in float32."""
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)).to(device)


def plain_log_kernel_sum(x: Tensor, y: Tensor) -> Tensor:
    """Return the same sum as one would write it: cdist and logsumexp in chunks of rows."""
    rows = [
        torch.logsumexp(torch.cdist(some, y).square() * -0.5, dim=1) for some in x.split(PLAIN_ROWS)
    ]
    return torch.cat(rows)


def exp_in_cache(n: int, device: str) -> Callable[[], object]:
    """Return a function that takes n^2 exponentials of a matrix that stays in the cache."""
    side = 512 if device == "cpu" else 4096
    matrix = -samples(side, side, device).abs()
    result = torch.empty_like(matrix)

    def run() -> None:
        for _ in range(n * n // side**2):
            torch.exp(matrix, out=result)

    return run


def in_turns(
    works: dict[str, Callable[[], object]], repeats: int, warm_up: bool = True
) -> dict[str, float]:
    """Return the median seconds of each, called in turns, after one call each to warm up."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(0 if warm_up else 1, repeats + 1):
        for name, work in works.items():
            start = time.perf_counter()
            work()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if turn:
                taken[name].append(time.perf_counter() - start)
    return {name: statistics.median(times) for name, times in taken.items()}


def memory(function: Callable[..., Tensor], n: int, d: int) -> float:
    """Return the megabytes that a function of two samples and its gradient need above the data."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak_above_data, (function, n, d))


def _sum(x: Tensor, y: Tensor) -> Tensor:
    return log_kernel_sum(x, y, bandwidth=x.shape[1] ** 0.5, backend="chunked")


def _peak_above_data(function: Callable[..., Tensor], n: int, d: int) -> float:
    def status(field: str) -> float:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return next(float(line.split()[1]) / 1024 for line in lines if line.startswith(field))

    warm_x = samples(300, d, "cpu").requires_grad_()
    function(warm_x, warm_x + 1.0).sum().backward()
    x, y = (samples(n, d, "cpu", seed).requires_grad_() for seed in (0, 1))
    before = status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # forget the peak of the start
    function(x, y).sum().backward()
    return status("VmHWM") - before


if __name__ == "__main__":
    main()
