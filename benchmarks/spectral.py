"""How fast is diffusion spectral entropy against the published package, and how good is sampling?

Three questions:

- ``peer``: exact values against dse-dsmi 1.1, called as its users do, in its own environment:

      python -m venv /tmp/peers/dse && /tmp/peers/dse/bin/pip install dse-dsmi==1.1

- ``lanczos``: the sampled value against the exact one at n = 4000, over laws and bandwidths; then
  seconds and memory above the data at n = 30000.
- ``gradient``: an entropy as a loss, float64: value alone and with its gradient.

    python benchmarks/spectral.py
    python benchmarks/spectral.py --only lanczos --n 1000 --repeats 1 --out /tmp/s.csv
"""

import argparse
import math
import multiprocessing
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from provenance import RESULTS, provenance, update_rows

from infoest import DiffusionSpectralEntropy, MatrixRenyiEntropy
from infoest.functional import diffusion_spectral_entropy, gram_entropy, von_neumann_entropy

PARTS = ("peer", "lanczos", "gradient")
KEYS = ["part", "work", "n", "d", "bandwidth"]
MEASURED = [
    "seconds",
    "peer_seconds",
    "peer_over_ours",
    "over_value_alone",
    "value",
    "error",
    "relative_error",
    "std_error",
    "steps",
    "megabytes",
]
PEER = """
import sys, time, numpy
from dse_dsmi import diffusion_spectral_entropy
for line in sys.stdin:
    path, bandwidth, t = line.split()
    x = numpy.load(path)
    start = time.perf_counter()
    value = diffusion_spectral_entropy(x, gaussian_kernel_sigma=float(bandwidth), t=int(t))
    print(time.perf_counter() - start, repr(float(value)), flush=True)
"""
# Seconds after which threads of the call before no longer wait for work by spinning.
REST = 0.2
# Rows that are not sampled yet.
FEWEST = 500
# Bandwidths as shares of the median distance, where there is one.
SHARES = (0.03, 0.1, 0.3, 1.0, 3.0)


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", nargs="+", default=PARTS, choices=PARTS)
    parser.add_argument("--n", nargs="+", type=int, default=None, help="instead of the usual sizes")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--peer", type=Path, default=Path("/tmp/peers/dse/bin/python"))
    parser.add_argument("--out", type=Path, default=RESULTS / "spectral.csv")
    options = parser.parse_args()
    if min(options.n or [4000]) <= FEWEST:
        parser.error(f"--n must be above {FEWEST}: fewer rows are never sampled")
    comments = [
        *provenance("torch", threads=f"{torch.get_num_threads()} in torch"),
        f"float64 data; seconds are the median of {options.repeats} calls, in turns; value, error "
        "and std_error in nats, error against the exact value (peer: against dse-dsmi, in bits)",
    ]

    def write(**row: object) -> None:
        update_rows(options.out, [dict.fromkeys([*KEYS, *MEASURED], "") | row], comments, KEYS)
        print(", ".join(f"{key} {value}" for key, value in row.items() if value != ""), flush=True)

    if "peer" in options.only and not options.peer.exists():
        print(f"{options.peer} is missing: not compared with dse-dsmi, see --help")
    elif "peer" in options.only:
        for n in options.n or [2000, 4000]:
            compare(n, options.peer, options.repeats, write)
    if "lanczos" in options.only:
        for n in options.n or [4000]:
            measure_sampling(n, write)
        for n in [10 * n for n in options.n or [3000]]:
            measure_large(n, write)
    if "gradient" in options.only:
        for n in options.n or [1000, 2000]:
            measure_gradient(n, options.repeats, write)


Write = Callable[..., None]


def compare(n: int, peer: Path, repeats: int, write: Write) -> None:
    """Time both in turns on the same data, and take the difference of their values in bits."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.npy"
        for d, bandwidth, t in ((20, 10.0, 1), (20, 1.0, 2), (200, 10.0, 1)):
            x = np.random.default_rng(0).standard_normal((n, d))
            np.save(path, x)
            tensor = torch.from_numpy(x)
            ours, theirs = [], []
            with subprocess.Popen(
                [str(peer), "-c", PEER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            ) as process:
                for turn in range(repeats + 1):
                    process.stdin.write(f"{path} {bandwidth} {t}\n")
                    process.stdin.flush()
                    taken, expected = map(float, process.stdout.readline().split())
                    time.sleep(REST)
                    start = time.perf_counter()
                    value = diffusion_spectral_entropy(tensor, bandwidth=bandwidth, t=t).item()
                    if turn:  # the first is for warming up
                        ours.append(time.perf_counter() - start)
                        theirs.append(taken)
                    time.sleep(REST)
                process.stdin.close()
            seconds, peer_seconds = statistics.median(ours), statistics.median(theirs)
            write(
                part="peer",
                work=f"exact, t = {t}",
                n=n,
                d=d,
                bandwidth=bandwidth,
                seconds=f"{seconds:.4g}",
                peer_seconds=f"{peer_seconds:.4g}",
                peer_over_ours=f"{peer_seconds / seconds:.3g}",
                value=f"{value:.6g}",
                error=f"{abs(value / math.log(2.0) - expected):.1g}",
            )


def laws(n: int) -> dict[str, np.ndarray]:
    """Return samples whose spectra fall fast, slowly, or in groups."""
    rng = np.random.default_rng(0)
    found = {f"normal, {d} columns": rng.standard_normal((n, d)) for d in (1, 2, 10, 50)}
    found["30 groups"] = rng.standard_normal((n, 5)) + 30.0 * rng.integers(0, 30, (n, 1))
    angle = rng.uniform(0.0, 2.0 * np.pi, n)
    found["circle"] = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return found


def measure_sampling(n: int, write: Write) -> None:
    """Compare the sampled with the exact value, for two quantities."""
    estimators = {"diffusion": DiffusionSpectralEntropy, "Renyi 1.01": MatrixRenyiEntropy}
    for law, x in laws(n).items():
        distances = torch.pdist(torch.from_numpy(x[:500]))
        for share in SHARES:
            bandwidth = share * distances.median().item()
            for name, estimator in estimators.items():
                exact = estimator(bandwidth=bandwidth, exact_up_to=n).estimate(x, block=1)
                start = time.perf_counter()
                found = estimator(bandwidth=bandwidth, exact_up_to=FEWEST).estimate(x, block=1)
                write(
                    part="lanczos",
                    work=f"{name}, {law}",
                    n=n,
                    d=x.shape[1],
                    bandwidth=f"{share} median",
                    seconds=f"{time.perf_counter() - start:.3g}",
                    value=f"{exact.value:.6g}",
                    error=f"{abs(found.value - exact.value):.2g}",
                    relative_error=f"{abs(found.value / exact.value - 1.0):.2g}",
                    std_error=f"{found.std_error:.2g}",
                    steps=found.info["steps"],
                )


def measure_large(n: int, write: Write) -> None:
    """Take the time and the memory of sampling, each in a fresh process."""
    for d, bandwidth in ((20, 10.0), (20, 3.0), (20, 1.0), (2, 0.3)):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            row = pool.apply(_large, (n, d, bandwidth))
        write(part="lanczos", work="diffusion, normal", n=n, d=d, bandwidth=bandwidth, **row)


def measure_gradient(n: int, repeats: int, write: Write) -> None:
    """Time entropies as losses."""
    functions = {
        "diffusion_spectral_entropy": diffusion_spectral_entropy,
        "gram_entropy": lambda x: gram_entropy(x, bandwidth=10.0),
        "von_neumann_entropy": von_neumann_entropy,
    }
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((n, 50)))
    leaf = x.clone().requires_grad_()
    for name, function in functions.items():
        times: dict[str, list[float]] = {"value": [], "value and gradient": []}
        for turn in range(repeats + 1):
            for work, taken in times.items():
                start = time.perf_counter()
                if work == "value":
                    function(x)
                else:
                    function(leaf).backward()
                if turn:
                    taken.append(time.perf_counter() - start)
        value, both = (statistics.median(taken) for taken in times.values())
        write(
            part="gradient",
            work=name,
            n=n,
            d=50,
            bandwidth=10.0,
            seconds=f"{both:.4g}",
            over_value_alone=f"{both / value:.3g}",
        )


def _large(n: int, d: int, bandwidth: float) -> dict[str, str]:
    def status(field: str) -> float:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return next(float(line.split()[1]) / 1024 for line in lines if line.startswith(field))

    estimator = DiffusionSpectralEntropy(bandwidth=bandwidth, exact_up_to=FEWEST)
    rng = np.random.default_rng(0)
    estimator.estimate(rng.standard_normal((600, d)), block=1)
    x = rng.standard_normal((n, d))
    before = status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # forget the peak of the start
    start = time.perf_counter()
    found = estimator.estimate(x, block=1)
    return {
        "seconds": f"{time.perf_counter() - start:.4g}",
        "value": f"{found.value:.6g}",
        "std_error": f"{found.std_error:.2g}",
        "steps": str(found.info["steps"]),
        "megabytes": f"{status('VmHWM') - before:.0f}",
    }


if __name__ == "__main__":
    main()
