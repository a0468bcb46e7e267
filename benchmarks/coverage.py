"""How often do the 95 % intervals hold the truth?

Each cell is a method, a family of laws, a number of samples n, of columns a side d, and a strength
rho; each gets a few hundred samples. Strength is the correlation for normal data, Student t and
autoregressive series, and picks the parameter of the other families (`THETA`, `EPSILON`). Gaussian
and GaussianCopula estimate the information of a Gaussian law with the same correlations: on other
families they are also held to that value, `own`. Cells that stand in the table already are skipped,
so that a killed run goes on where it stopped.

    python benchmarks/coverage.py
    python benchmarks/coverage.py --cells method=ksg family=normal d=1,2 --seeds 20 --out /tmp/c.csv
    python benchmarks/coverage.py --table > docs/coverage.md

NoiseContrastive gets fewer samples: its critic contains normal data ("normal") and does not contain
half-cubes of them after a rotation.
"""

import argparse
import math
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from provenance import RESULTS, provenance, read_table, update_rows
from scipy.special import ndtri

import infoest
from infoest.datasets import (
    Sample,
    additive_uniform,
    ar1_pair,
    correlated_normal,
    discrete_table,
    gamma_exponential,
    half_cube,
    multivariate_student,
)

STRENGTHS = (0.0, 0.3, 0.6, 0.9)
DIMENSIONS = (1, 2, 5)
SIZES = (200, 1000)
# Shape of the gamma law and half-width of the uniform noise for each strength, as in the
# measurements that the rules come from; the weakest is near independence, not at it.
THETA = {0.0: 30.0, 0.3: 5.0, 0.6: 1.0, 0.9: 0.3}
EPSILON = {0.0: 2.5, 0.3: 1.0, 0.6: 0.5, 0.9: 0.1}
STUDENT_FREEDOM = 3
SERIES = (0.5, 0.8, 0.9)
TABLES = {"2x2": (1, 1), "3x3": (1, 1, 1), "3x3 skewed": (5, 3, 2), "5x5": (1, 1, 1, 1, 1)}
# Between the seed of the data and that of the estimator.
SEED_DISTANCE = 1_000_003
POPULATION = 2_000_000
PROCESSES = 2
GAUSSIAN = ("gaussian", "gaussian_copula")
LOW, HIGH = 0.90, 0.99
# Samples of a cell at most, where one takes seconds.
FEWER_SEEDS = {"noise_contrastive": 40}


class Cell(NamedTuple):
    """One entry of the table."""

    method: str
    family: str
    n: int
    d: int
    rho: float


# ----------------------------------------------------------------------------------------- families


def normal(n: int, d: int, rho: float, seed: int) -> Sample:
    """Draw d independent pairs with correlation rho."""
    return correlated_normal(n, rho=rho, dim=d, random_state=seed)


def gamma(n: int, d: int, rho: float, seed: int) -> Sample:
    """Draw d independent gamma-exponential pairs."""
    x, y, mi = gamma_exponential(n * d, theta=THETA[rho], random_state=seed)
    return Sample(x.reshape(n, d), y.reshape(n, d), d * mi)


def uniform(n: int, d: int, rho: float, seed: int) -> Sample:
    """Draw d independent pairs of a uniform variable and itself plus uniform noise."""
    x, y, mi = additive_uniform(n * d, epsilon=EPSILON[rho], random_state=seed)
    return Sample(x.reshape(n, d), y.reshape(n, d), d * mi)


def student(n: int, d: int, rho: float, seed: int) -> Sample:
    """Draw from a Student t over all 2 d columns; rho links the i-th of x to the i-th of y."""
    x, y, mi = multivariate_student(
        n, dim_x=d, dim_y=d, degrees_of_freedom=STUDENT_FREEDOM, random_state=seed
    )
    return Sample(x, rho * x + math.sqrt(1.0 - rho**2) * y, mi - 0.5 * d * math.log1p(-(rho**2)))


def rotated_half_cube(n: int, d: int, rho: float, seed: int) -> Sample:
    """Draw half-cubes of normal pairs with correlation rho, then rotate y."""
    x, y, mi = correlated_normal(n, rho=rho, dim=d, random_state=seed)
    rotation, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((d, d)))
    return Sample(half_cube(x), half_cube(y) @ rotation, mi)


def series(n: int, d: int, rho: float, seed: int, *, coefficient: float) -> Sample:
    """Draw d independent pairs of autoregressive series, correlated rho at the same time."""
    pairs = [
        ar1_pair(
            n,
            coefficient_x=coefficient,
            coefficient_y=coefficient,
            correlation=rho,
            random_state=seed + 100_000 * column,
        )
        for column in range(d)
    ]
    x, y, mi = zip(*pairs, strict=True)
    return Sample(np.hstack(x), np.hstack(y), sum(mi))


def classes(n: int, d: int, rho: float, seed: int, *, skewed: bool = False) -> Sample:
    """Draw d columns and two equally likely classes, whose first column has correlation rho.

    Normal within the classes, or the exponential of that.
    """
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, n)
    distance = 2.0 * rho / math.sqrt(1.0 - rho**2)
    x = rng.standard_normal((n, d))
    x[:, 0] += distance * label
    # log 2 - E log(1 + exp(distance z - distance^2 / 2)), z standard normal
    nodes, weights = np.polynomial.hermite_e.hermegauss(150)
    loss = weights @ np.logaddexp(0.0, distance * nodes - 0.5 * distance**2) / weights.sum()
    return Sample(np.exp(x) if skewed else x, label, math.log(2.0) - float(loss))


def contingency(n: int, d: int, rho: float, seed: int, *, margin: Sequence[float]) -> Sample:
    """Draw two labels with the same margins that are equal with weight rho, else independent."""
    p = np.array(margin) / np.sum(margin)
    table = (1.0 - rho) * np.outer(p, p) + rho * np.diag(p)
    return discrete_table(n, table=table, random_state=seed)


def columns(n: int, d: int, rho: float, seed: int) -> Sample:
    """Draw one column, or two with correlation rho, as x; ``mi`` is their entropy."""
    x, y, mi = correlated_normal(n, rho=rho, random_state=seed)
    entropy = 0.5 * d * math.log(2.0 * math.pi * math.e) - mi
    return Sample(np.hstack([x, y])[:, :d], y, entropy)


CONTINUOUS: dict[str, Callable[..., Sample]] = {
    "normal": normal,
    "gamma-exponential": gamma,
    "additive uniform": uniform,
    "Student t": student,
    **{f"AR(1) {phi}": partial(series, coefficient=phi) for phi in SERIES},
}
FAMILIES: dict[str, Callable[..., Sample]] = {
    **CONTINUOUS,
    "classes": classes,
    "classes skewed": partial(classes, skewed=True),
    **{name: partial(contingency, margin=margin) for name, margin in TABLES.items()},
    "normal columns": columns,
    "rotated half-cube": rotated_half_cube,
}


def cells() -> list[Cell]:
    """Return all cells: few columns first, so that a part of the table says most."""
    found = [
        Cell(method, family, n, d, rho)
        for method in (*GAUSSIAN, "ksg")
        for family in CONTINUOUS
        for n in SIZES
        for d in DIMENSIONS
        for rho in STRENGTHS
    ]
    found += [
        Cell("mixed_ksg", family, n, d, rho)
        for family in ("classes", "classes skewed")
        for n in SIZES
        for d in DIMENSIONS
        for rho in STRENGTHS
    ]
    for family, margin in TABLES.items():
        # Eight rows a cell are promised; five show what happens below.
        sizes = {rows * len(margin) ** 2 for rows in (5, 8)} | set(SIZES)
        found += [Cell("discrete", family, n, 1, rho) for n in sizes for rho in STRENGTHS]
    found += [
        Cell("kozachenko_leonenko", "normal columns", n, d, rho)
        for n in SIZES
        for d, rhos in ((1, (0.0,)), (2, STRENGTHS))
        for rho in rhos
    ]
    found += [
        Cell("noise_contrastive", family, 1000, 3, rho)
        for family in ("normal", "rotated half-cube")
        for rho in (0.0, 0.6, 0.9)
    ]
    return sorted(found, key=lambda cell: (cell.d, cell.n > 200, cell.n))


# ----------------------------------------------------------------------------------------- the work


class Outcome(NamedTuple):
    """What one call gave; the limits are NaN where there was no interval."""

    value: float
    lower: float
    upper: float
    std_error: float
    cautions: tuple[str, ...]
    seconds: float
    truth: float


def outcome(cell: Cell, number: int) -> Outcome:
    """Return the result of one sample of a cell."""
    name = f"{cell.family} {cell.n} {cell.d} {cell.rho}"  # all methods see the same samples
    seed = zlib.crc32(name.encode()) + number
    x, y, truth = FAMILIES[cell.family](cell.n, cell.d, cell.rho, seed)
    estimator = infoest.METHODS[cell.method](random_state=seed + SEED_DISTANCE)
    start = time.perf_counter()
    if infoest.METHODS.entry(cell.method).kind == "entropy":
        found = estimator.estimate(x)
    else:
        sides = {"mixed_ksg": "y", "discrete": "both"}
        found = estimator.estimate(x, y, discrete=sides.get(cell.method))
    seconds = time.perf_counter() - start
    lower, upper = found.interval or (math.nan, math.nan)
    error = math.nan if found.std_error is None else found.std_error
    codes = tuple(caution.code for caution in found.warnings)
    return Outcome(found.value, lower, upper, error, codes, seconds, truth)


def outcomes(cell: Cell, numbers: Iterable[int]) -> list[Outcome]:
    """Return the results of some samples."""
    return [outcome(cell, number) for number in numbers]


def row(cell: Cell, found: Sequence[Outcome]) -> dict[str, object]:
    """Return the line of a cell."""
    value, lower, upper, error = np.array([one[:4] for one in found]).T
    truth = found[0].truth
    own = own_value(cell, truth)
    interval = ~np.isnan(lower)

    def coverage(target: float | None) -> float | str:
        if target is None or not interval.any():
            return ""
        # A truth of 0 may be computed as -1e-17; an interval that starts at 0 holds it.
        inside = (lower - 1e-12 <= target) & (target <= upper + 1e-12)
        return round(float(inside[interval].mean()), 4)

    def short(number: float) -> float:
        return float(f"{number:.4g}")

    codes = Counter(code for one in found for code in one.cautions)
    shares = [f"{code} {count / len(found):.2f}" for code, count in sorted(codes.items())]
    return {
        **cell._asdict(),
        "seeds": len(found),
        "intervals": int(interval.sum()),
        "truth": round(truth, 6),
        "own": "" if own is None else round(own, 6),
        "coverage": coverage(truth),
        "coverage_own": coverage(own),
        "width": short((upper - lower)[interval].mean()) if interval.any() else "",
        "bias": short(value.mean() - truth),
        "mean_absolute_error": short(np.abs(value - truth).mean()),
        "spread": short(value.std(ddof=1)) if len(found) > 1 else "",
        "std_error": short(error.mean()),
        "cautions": "; ".join(shares),
        "seconds": short(np.median([one.seconds for one in found])),
    }


def own_value(cell: Cell, truth: float) -> float | None:
    """Return what Gaussian or copula estimate in the family; None for other methods.

    Correlations link the i-th columns only, so it is d times the value of one pair.
    """
    if cell.method not in GAUSSIAN:
        return None
    if cell.family == "normal" or cell.family.startswith("AR"):
        return truth
    correlation = own_correlation(cell.method, cell.family, cell.rho)
    return None if correlation is None else -0.5 * cell.d * math.log1p(-(correlation**2))


@cache
def own_correlation(method: str, family: str, rho: float) -> float | None:
    """Return the correlation of a pair, or of its normal scores; None without a variance."""
    if method == "gaussian_copula":
        x, y, _ = FAMILIES[family](POPULATION, 1, rho, 0)
        ranks = (np.argsort(np.argsort(side[:, 0])) for side in (x, y))
        return float(np.corrcoef([ndtri((rank + 0.5) / POPULATION) for rank in ranks])[0, 1])
    if family == "Student t":
        return rho
    if family == "additive uniform":
        return 1.0 / math.sqrt(1.0 + 4.0 * EPSILON[rho] ** 2)
    theta = THETA[rho]
    if theta <= 2.0:
        return None
    variance = 2.0 / ((theta - 1.0) * (theta - 2.0)) - 1.0 / (theta - 1.0) ** 2
    return -1.0 / ((theta - 1.0) * math.sqrt(theta * variance))


# ------------------------------------------------------------------------------------------ the run


def main() -> None:
    """Measure the cells that are missing, or print what was measured."""
    options = parsed()
    if options.table:
        print(markdown(read_table(options.out)[1]))
        return
    asked = [cell for cell in cells() if matches(cell, options.cells)]
    if not asked:
        raise SystemExit(f"--cells must leave some of {len(cells())} cells, got {options.cells}.")
    lines = read_table(options.out)[1]
    seeds = {key(line): int(line["seeds"]) for line in lines}
    left = [
        cell for cell in asked if seeds.get(key(cell._asdict()), 0) < seeds_of(cell, options.seeds)
    ]
    total = expected_seconds(left, options.seeds) / options.processes
    print(f"{len(asked)} cells, {len(left)} to measure, about {total / 60:.1f} minutes", flush=True)
    if left:
        measure(left, options)


def parsed() -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=300, help="samples a cell")
    parser.add_argument(
        "--cells",
        nargs="+",
        default=[],
        metavar="FIELD=VALUES",
        help="for instance: method=ksg,discrete n=200 'family=Student t'",
    )
    parser.add_argument("--processes", type=int, default=PROCESSES)
    parser.add_argument("--out", type=Path, default=RESULTS / "coverage.csv")
    parser.add_argument("--table", action="store_true", help="print the table in Markdown")
    options = parser.parse_args()
    if options.seeds < 1:
        parser.error(f"--seeds must be at least 1, got {options.seeds}.")
    for text in options.cells:
        try:
            matches(cells()[0], [text])
        except (AttributeError, ValueError):
            parser.error(f"--cells must be FIELD=VALUES, FIELD of {Cell._fields}, got {text!r}.")
    return options


def matches(cell: Cell, filters: Sequence[str]) -> bool:
    """Return whether every filter names the cell's value."""
    for text in filters:
        field, _, values = text.partition("=")
        value = getattr(cell, field)
        if value not in [type(value)(named) for named in values.split(",")]:
            return False
    return True


def key(line: dict) -> tuple:
    """Return what tells cells apart, for a cell or for a line of the file."""
    return (
        line["method"],
        line["family"],
        int(line["n"]),
        int(line["d"]),
        float(line["rho"]),
    )


def seeds_of(cell: Cell, asked: int) -> int:
    """Return the number of samples of a cell."""
    return min(asked, FEWER_SEEDS.get(cell.method, asked))


def expected_seconds(left: Sequence[Cell], seeds: int) -> float:
    """Return the time of all samples of every cell, each kind timed once."""
    timed: dict[tuple, float] = {}
    total = 0.0
    for cell in left:
        kind = cell[:4]
        if kind not in timed:
            outcome(cell, 0)  # the first call pays for imports
            start = time.perf_counter()
            outcome(cell, 1)
            timed[kind] = time.perf_counter() - start
        total += timed[kind] * seeds_of(cell, seeds)
    return total


def measure(left: Sequence[Cell], options: argparse.Namespace) -> None:
    """Measure cells and append each to the file as it is done."""
    from joblib import Parallel, delayed, parallel_config

    threads = f"{options.processes} processes, one thread each"
    comments = [*provenance(threads=threads), f"seeds: {options.seeds} a cell; confidence: 0.95"]
    start = time.perf_counter()
    with (
        parallel_config(backend="loky", n_jobs=options.processes, inner_max_num_threads=1),
        Parallel() as parallel,
    ):
        for count, cell in enumerate(left, 1):
            seeds = seeds_of(cell, options.seeds)
            parts = np.array_split(np.arange(seeds), min(4 * options.processes, seeds))
            numbers = [part.tolist() for part in parts]
            found = parallel(delayed(outcomes)(cell, part) for part in numbers)
            line = row(cell, [one for part in found for one in part])
            update_rows(options.out, [line], comments, Cell._fields)
            elapsed = (time.perf_counter() - start) / 60
            own = f", own {line['coverage_own']}" if line["coverage_own"] != "" else ""
            print(
                f"{count}/{len(left)}  {elapsed:5.1f} min  {cell.method}, {cell.family}, "
                f"n {cell.n}, d {cell.d}, rho {cell.rho}: {line['coverage']}{own}",
                flush=True,
            )


# ---------------------------------------------------------------------------------------- the table


def markdown(lines: Sequence[dict[str, str]]) -> str:
    """Return coverage in percent, the four strengths in one entry, bold outside 90 to 99."""
    text = [
        "Percent of 95 % intervals that hold the value, at strengths 0, .3, .6, .9; d columns a "
        f"side; **bold** outside {LOW:.0%} to {HIGH:.0%}, - where there is no such value. In "
        "parentheses the mean width in nats.",
    ]
    for title, method, column in SECTIONS:
        chosen = [line for line in lines if line["method"] == method]
        if method in GAUSSIAN and column == "coverage":
            chosen = [line for line in chosen if line["own"] != line["truth"]]
        if chosen:
            text += ["", f"**{title}**", "", *section(chosen, column)]
    return "\n".join(text)


SECTIONS = (
    ("Gaussian: its own value", "gaussian", "coverage_own"),
    ("Gaussian: the true information where that is another", "gaussian", "coverage"),
    ("GaussianCopula: its own value", "gaussian_copula", "coverage_own"),
    ("GaussianCopula: the true information where that is another", "gaussian_copula", "coverage"),
    ("KSG", "ksg", "coverage"),
    ("MixedKSG", "mixed_ksg", "coverage"),
    ("Discrete", "discrete", "coverage"),
    ("KozachenkoLeonenko", "kozachenko_leonenko", "coverage"),
    (
        "NoiseContrastive, strengths 0, .6, .9, 40 data sets: a bracket, no confidence interval",
        "noise_contrastive",
        "coverage",
    ),
)


def section(lines: Sequence[dict[str, str]], column: str) -> list[str]:
    """Return one table: a line for each family and n, a column for each d."""
    dimensions = sorted({int(line["d"]) for line in lines})
    names = " | ".join(f"d = {d}" for d in dimensions)
    text = [f"| family | n | {names} |", f"|---|---:|{'---|' * len(dimensions)}"]
    order = list(FAMILIES)
    groups = sorted(
        {(line["family"], int(line["n"])) for line in lines},
        key=lambda group: (order.index(group[0]), group[1]),
    )
    for family, n in groups:
        own = [line for line in lines if line["family"] == family and int(line["n"]) == n]
        entries = (entry([line for line in own if int(line["d"]) == d], column) for d in dimensions)
        text.append(f"| {family} | {n} | {' | '.join(entries)} |")
    return text


def entry(lines: Sequence[dict[str, str]], column: str) -> str:
    """Return the percentages by strength, and the mean width."""
    if not lines:
        return ""
    shown = []
    for line in sorted(lines, key=lambda line: float(line["rho"])):
        if line[column] == "":
            shown.append("-")
            continue
        share = float(line[column])
        percent = f"{100 * share:.0f}"
        shown.append(percent if LOW <= share <= HIGH else f"**{percent}**")
    widths = [float(line["width"]) for line in lines if line["width"]]
    return f"{' '.join(shown)} ({np.mean(widths):.2g})" if widths else " ".join(shown)


if __name__ == "__main__":
    main()
