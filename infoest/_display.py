"""What the command line shows: results, tables, progress, and the library's sentences."""

from __future__ import annotations

import json
import math
import re
import sys
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import typer

from infoest._cautions import Caution
from infoest.estimators.catalog import METHODS
from infoest.result import Estimate

# Work shorter than this shows no sign of progress.
PATIENCE_SECONDS = 1.0


def show_estimate(
    found: Estimate,
    sides: Mapping[str, Collection[str]],
    *,
    bits: bool,
    as_json: bool,
    without_p_value: str | None,
) -> None:
    """Print an estimate as a table of facts, or as one JSON object.

    Args:
        found: The estimate.
        sides: Column names of x, y and z.
        bits: Whether to convert to bits.
        as_json: Whether to print JSON and nothing else.
        without_p_value: What to say where there is none; None says nothing.
    """
    if bits:
        found = found.to("bits")
    if as_json:
        typer.echo(json.dumps(_plain(found.to_dict()), allow_nan=False))
        return
    decimals = found._decimals()
    facts = [(words(found.quantity), f"{found.value:.{decimals}f} {found.unit}".rstrip())]
    if found.interval is None or found.confidence is None:
        facts.append(("interval", "none"))
    else:
        low, high = (f"{limit:.{decimals}f}" for limit in found.interval)
        facts.append((f"{100 * found.confidence:g} % interval", f"{low} to {high}"))
    if found.p_value is not None:
        facts.append(("p-value", f"{found.p_value:.2g}"))
    elif without_p_value is not None:
        facts.append(("p-value", without_p_value))
    facts += [("n", str(found.n_samples)), ("method", found.method)]
    if "reason" in found.info:
        facts.append(("because", str(found.info["reason"])))
    facts += [(side, ", ".join(columns)) for side, columns in sides.items() if columns]
    show_facts(facts, found.warnings)


def _plain(value: Any) -> Any:
    """Return JSON data with null where a number is not finite: JSON knows no other numbers."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def show_facts(facts: list[tuple[str, str]], warnings: Sequence[Caution]) -> None:
    """Print one fact a line, then the warnings in words."""
    cautions = [f"{in_words_of_the_command_line(one.sentence)} [{one.code}]" for one in warnings]
    lines = [*facts, *(("warning", sentence) for sentence in cautions)]
    if not sys.stdout.isatty():
        width = max(len(name) for name, _ in lines)
        typer.echo("\n".join(f"{name:<{width}}   {text}" for name, text in lines))
        return
    from rich.console import Console
    from rich.table import Table as Grid
    from rich.text import Text

    grid = Grid.grid(padding=(0, 3, 0, 0))
    for row, (name, text) in enumerate(lines):
        style = "yellow" if name == "warning" else "bold" if row == 0 else ""
        grid.add_row(Text(name, style=style or "dim"), Text(text, style=style))
    Console().print(grid)


def show_table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows of cells under their names: plain where no terminal reads them."""
    if not sys.stdout.isatty():
        widths = [max(map(len, column)) for column in zip(names, *rows, strict=True)]
        padded = [map(str.ljust, row, widths) for row in (names, *rows)]
        typer.echo("\n".join("  ".join(cells).rstrip() for cells in padded))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table as Grid
    from rich.text import Text

    grid = Grid(*names, box=box.SIMPLE_HEAD)
    for row in rows:
        grid.add_row(*(Text(cell, overflow="fold") for cell in row))
    Console().print(grid)


@contextmanager
def busy(text: str, total: int | None = None) -> Iterator[Callable[[], None]]:
    """Show progress on standard error, if work takes long and somebody is looking.

    Args:
        text: What is going on.
        total: Number of steps; None where it is not known.

    Yields:
        What to call after each step.
    """
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import Progress

    progress = Progress(console=Console(stderr=True), transient=True)
    task = progress.add_task(text, total=total)
    timer = threading.Timer(PATIENCE_SECONDS, progress.start)
    timer.daemon = True
    timer.start()
    try:
        yield lambda: progress.advance(task)
    finally:
        timer.cancel()
        timer.join()
        progress.stop()


# Python names of the library's arguments, as they stand in its sentences.
_OPTIONS = {
    "discrete": "--discrete",
    "missing": "--missing",
    "method": "--method",
    "confidence": "--confidence",
    "n_permutations": "--permutations",
    "block": "--block",
    "n_jobs": "--jobs",
    "random_state": "--seed",
}
# These words stand for arguments at the start of an error only.
_ARGUMENTS = _OPTIONS | {
    "x": "-x",
    "y": "-y",
    "z": "-z",
    "n": "-n",
    "methods": "--method",
    "seeds": "--seeds",
    "name": "--suite",  # what `infoest.datasets.suite` calls it
}


def in_words_of_the_command_line(sentence: str) -> str:
    """Return a sentence of the library with options and method names for its Python names."""
    sentence = re.sub(
        rf"\b({'|'.join(_OPTIONS)})=(['\"]?)(\w*)\2",
        lambda found: f"{_OPTIONS[found[1]]} {found[3]}".rstrip(),
        sentence,
    )
    sentence = re.sub(
        rf"^({'|'.join(_ARGUMENTS)}) must", lambda found: f"{_ARGUMENTS[found[1]]} must", sentence
    )
    # Class names of one capital are words as well ("a Gaussian copula") and stay.
    classes = {METHODS.entry(name).class_name: name for name in METHODS}
    sentence = re.sub(
        r"\b[A-Z][a-z]*[A-Z]\w*\b", lambda found: classes.get(found[0], found[0]), sentence
    )
    return sentence.replace("must be None", "must be left out")


def words(name: str) -> str:
    """Return a name of the library as words."""
    return name.replace("_", " ")
