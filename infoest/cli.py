"""The command line: ``infoest estimate``, ``entropy``, ``matrix``, ``benchmark``, ``methods``."""

from __future__ import annotations

import math
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import infoest
from infoest._display import (
    busy,
    in_words_of_the_command_line,
    show_estimate,
    show_facts,
    show_table,
    words,
)
from infoest._tables import Column, Table, choose, holds_text, open_table, stacked
from infoest.estimators.catalog import METHODS

if TYPE_CHECKING:
    from infoest.benchmarking import Summary

BAD_INPUT = 2
INTERRUPTED = 130
_MI = "mutual_information"

# The base class of all complaints about usage, wherever this version of typer keeps it.
_UsageError: type[Exception] = typer.BadParameter.__bases__[0]

app = typer.Typer(
    name="infoest",
    help="Mutual information and entropy of the columns of a table, with honest uncertainty.",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Args:
        arguments: Words after the program's name; None takes those of the process.

    Returns:
        0 when done; 2 for bad input, after one line on standard error; 130 when interrupted;
        1 when the reader of the output went away.
    """
    command = typer.main.get_command(app)
    try:
        status = command.main(arguments, prog_name="infoest", standalone_mode=False) or 0
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes once more at exit, which must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    except _UsageError as error:
        return _complain(_usage(error))
    except OSError as error:
        where = "the output" if error.filename is None else str(error.filename)
        reason = error.strerror or str(error)
        return _complain(f"{where} cannot be used: {reason}. Check path, permissions and space.")
    except MemoryError:
        return _complain("the data must fit into memory. Use fewer rows or columns.")
    except (ValueError, TypeError, ModuleNotFoundError) as error:
        return _complain(in_words_of_the_command_line(str(error)))
    if status == INTERRUPTED:
        typer.echo("interrupted", err=True)
    return int(status)


# ---------------------------------------------------------------------------------------- options


class Side(str, Enum):
    """Sides that `estimate` may use as labels."""

    X = "x"
    Y = "y"
    BOTH = "both"


class EntropySide(str, Enum):
    """The only side of an entropy."""

    X = "x"


class Missing(str, Enum):
    """What happens to rows with a missing cell."""

    RAISE = "raise"
    DROP = "drop"


def _complete_columns(context: typer.Context, incomplete: str) -> list[str]:
    # While an option is incomplete, FILE may stand among the arguments not read yet.
    words = [context.params.get("file"), *context.args]
    path = next((Path(word) for word in words if word and Path(word).is_file()), None)
    try:
        names = open_table(path).names if path is not None else ()
    except (ValueError, OSError, ModuleNotFoundError):
        return []
    return [name for name in names if name.startswith(incomplete)]


def _complete_information(incomplete: str) -> list[tuple[str, str]]:
    return _method_names(_MI, incomplete)


def _complete_entropy(incomplete: str) -> list[tuple[str, str]]:
    return _method_names("entropy", incomplete)


def _method_names(kind: str, incomplete: str) -> list[tuple[str, str]]:
    found = [name for name in METHODS.names(kind) if name.startswith(incomplete)]
    return [(name, METHODS.entry(name).help) for name in found]


_COLUMNS = 'Names or patterns ("petal*"), separated by commas or by repeating the option.'

FileArgument = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        help="CSV, TSV, Parquet, NPY or NPZ. Empty cells are missing values.",
        show_default=False,
    ),
]
XOption = Annotated[
    list[str],
    typer.Option(
        "-x",
        metavar="COLS",
        help=f"Columns of x. {_COLUMNS}",
        show_default=False,
        autocompletion=_complete_columns,
    ),
]
YOption = Annotated[
    list[str],
    typer.Option(
        "-y",
        metavar="COLS",
        help="Columns of y.",
        show_default=False,
        autocompletion=_complete_columns,
    ),
]
ZOption = Annotated[
    list[str] | None,
    typer.Option(
        "-z",
        metavar="COLS",
        help="Columns of a condition z: I(X;Y|Z).",
        show_default=False,
        autocompletion=_complete_columns,
    ),
]
MethodOption = Annotated[
    str,
    typer.Option(
        "--method",
        metavar="NAME",
        help="See `infoest methods`.",
        autocompletion=_complete_information,
    ),
]
PermutationsOption = Annotated[
    int,
    typer.Option("--permutations", metavar="N", help="Rearrangements for the p-value; 0 for none."),
]
ConfidenceOption = Annotated[
    float, typer.Option("--confidence", metavar="C", help="Nominal coverage of the interval.")
]
BlockOption = Annotated[
    int | None,
    typer.Option(
        "--block",
        metavar="1",
        help="1 declares the rows independent; by default their dependence is measured.",
        show_default=False,
    ),
]
BitsOption = Annotated[bool, typer.Option("--bits", help="Show bits instead of nats.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object and no table.")]
MissingOption = Annotated[
    Missing, typer.Option("--missing", help="Refuse missing values, or leave out their rows.")
]
SeedOption = Annotated[
    int | None,
    typer.Option(
        "--seed", metavar="N", help="Seed of everything random.", show_default="the method's own"
    ),
]
HeaderOption = Annotated[
    bool | None,
    typer.Option(
        "--header/--no-header",
        help="Whether the first row of a text file holds the column names.",
        show_default="yes, unless it holds numbers only, which is refused",
    ),
]


# --------------------------------------------------------------------------------------- commands


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"infoest {infoest.__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _start(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
def estimate(
    file: FileArgument,
    x: XOption,
    y: YOption,
    z: ZOption = None,
    discrete: Annotated[
        Side | None,
        typer.Option("--discrete", help="Side(s) used as labels.", show_default=False),
    ] = None,
    method: MethodOption = "auto",
    permutations: PermutationsOption = 0,
    confidence: ConfidenceOption = 0.95,
    block: BlockOption = None,
    missing: MissingOption = Missing.RAISE,
    bits: BitsOption = False,
    as_json: JsonOption = False,
    header: HeaderOption = None,
    seed: SeedOption = None,
) -> None:
    """Estimate the mutual information of some columns with others."""
    labels = {None: "", Side.X: "x", Side.Y: "y", Side.BOTH: "xy"}[discrete]
    sides = _read_sides(open_table(file, header=header), {"x": x, "y": y, "z": z or []}, labels)
    with busy("estimating"), _naming_columns(sides):
        found = infoest.estimate(
            _values(sides["x"]),
            _values(sides["y"]),
            method=method,
            z=_values(sides["z"]) if z else None,
            discrete=None if discrete is None else discrete.value,
            missing=missing.value,
            confidence=confidence,
            n_permutations=permutations,
            block=block,
            random_state=seed,
        )
    p_value = "none with -z" if z else "none (--permutations 200 computes one)"
    show_estimate(found, sides, bits=bits, as_json=as_json, without_p_value=p_value)


@app.command()
def entropy(
    file: FileArgument,
    x: XOption,
    discrete: Annotated[
        EntropySide | None,
        typer.Option("--discrete", help="x for columns used as labels.", show_default=False),
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            "--method",
            metavar="NAME",
            help="See `infoest methods`.",
            autocompletion=_complete_entropy,
            show_default="kozachenko_leonenko, of labels discrete_entropy",
        ),
    ] = "kozachenko_leonenko",
    confidence: ConfidenceOption = 0.95,
    missing: MissingOption = Missing.RAISE,
    bits: BitsOption = False,
    as_json: JsonOption = False,
    header: HeaderOption = None,
    seed: SeedOption = None,
) -> None:
    """Estimate the entropy of some columns."""
    sides = _read_sides(open_table(file, header=header), {"x": x}, "x" if discrete else "")
    with busy("estimating"), _naming_columns(sides):
        found = infoest.entropy(
            _values(sides["x"]),
            method=method,
            discrete=None if discrete is None else discrete.value,
            missing=missing.value,
            confidence=confidence,
            random_state=seed,
        )
    show_estimate(found, sides, bits=bits, as_json=as_json, without_p_value=None)


@app.command()
def matrix(
    file: FileArgument,
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            metavar="OUT",
            help="Picture (.png), interactive page (.html) or values (.csv).",
            show_default=False,
        ),
    ],
    columns: Annotated[
        list[str] | None,
        typer.Option(
            "-c",
            "--columns",
            metavar="COLS",
            help=_COLUMNS,
            show_default="all",
            autocompletion=_complete_columns,
        ),
    ] = None,
    discrete: Annotated[
        list[str] | None,
        typer.Option(
            "--discrete",
            metavar="COLS",
            help="Columns used as labels, beside those that hold text.",
            show_default=False,
            autocompletion=_complete_columns,
        ),
    ] = None,
    method: MethodOption = "auto",
    permutations: PermutationsOption = 0,
    missing: MissingOption = Missing.RAISE,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", metavar="N", help="Processes.", show_default="all cores"),
    ] = None,
    header: HeaderOption = None,
    seed: SeedOption = None,
) -> None:
    """Estimate the mutual information of all pairs of columns and draw it."""
    from infoest.information_matrix import SUFFIXES

    _check_output(output, SUFFIXES)
    table = open_table(file, header=header)
    names = choose(table.names, columns, "--columns") if columns else list(table.names)
    labels = choose(names, discrete, "--discrete") if discrete else []
    values = table.columns(names)
    # Text can be nothing but labels; the table printed below says so.
    labels = [name for name in names if name in labels or holds_text(values[name])]
    with busy("estimating all pairs"):
        found = infoest.matrix(
            _frame(values, missing),
            method,
            discrete=labels,
            n_permutations=permutations,
            n_jobs=jobs,
            random_state=seed,
        )
        found.save(output)
    facts = [("written", str(output)), ("quantity", f"{words(found.quantity)}, {found.unit}")]
    facts += [("columns", ", ".join(names)), ("n", str(found.n_samples)), ("method", found.method)]
    if labels:
        facts.append(("used as labels", ", ".join(labels)))
    show_facts(facts, found.warnings)


@app.command()
def benchmark(
    suite: Annotated[
        str, typer.Option("--suite", metavar="NAME", help="Laws with known mutual information.")
    ] = "core",
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            metavar="NAME",
            help="Method to run; may be repeated.",
            show_default="all that take under 2 s a call",
            autocompletion=_complete_information,
        ),
    ] = None,
    n: Annotated[
        list[int] | None,
        typer.Option(
            "-n", metavar="N", help="Samples of a task; may be repeated.", show_default="1000"
        ),
    ] = None,
    seeds: Annotated[
        int, typer.Option("--seeds", metavar="N", help="Draws of each task and n.")
    ] = 1,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", metavar="N", help="Processes.", show_default="1, for honest times"),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="OUT", help="Every result, as .csv.", show_default=False
        ),
    ] = None,
) -> None:
    """Run methods on distributions whose mutual information is known."""
    if output is not None:
        _check_output(output, (".csv",))
    sizes = n or [1000]
    names = method or METHODS.quick_names(_MI)
    tasks = infoest.datasets.suite(suite)
    with busy("benchmark", len(tasks) * len(sizes) * seeds * len(names)) as advance:
        rows = infoest.benchmarking.run(
            tasks,
            methods=names,
            n=sizes,
            seeds=seeds,
            n_jobs=jobs,
            on_row=lambda _: advance(),
        )
    if output is not None:
        infoest.benchmarking.write_csv(output, rows)
    show_table(
        ("method", "n", "done", "refused", "mean |error|", "worst", "at", "covered", "s / call"),
        [_cells(summary) for summary in infoest.benchmarking.summarize(rows)],
    )
    typer.echo("errors in nats; covered: share of the 95 % intervals that hold the truth")


@app.command()
def methods() -> None:
    """List the methods."""
    entries = [(name, METHODS.entry(name)) for name in METHODS]
    show_table(
        ("name", "estimates", "what it is"),
        [(name, words(entry.kind), entry.help) for name, entry in entries],
    )


# ------------------------------------------------------------------------------------- what goes in


def _read_sides(
    table: Table, patterns: dict[str, list[str]], labels: str
) -> dict[str, dict[str, Column]]:
    """Return the columns of every side by name; text stands on the sides used as labels only."""
    chosen = {
        side: choose(table.names, given, f"-{side}") if given else []
        for side, given in patterns.items()
    }
    owner: dict[str, str] = {}
    for side, names in chosen.items():
        for name in names:
            if name in owner:
                raise ValueError(
                    f"-{owner[name]} and -{side} must name different columns, got {name!r} in "
                    "both. Name it on one side only."
                )
            owner[name] = side
    values = table.columns(list(owner))
    for name, side in owner.items():
        if side not in labels and holds_text(values[name]):
            raise TypeError(_text_found(name, side, values[name], labels))
    return {side: {name: values[name] for name in names} for side, names in chosen.items()}


def _text_found(name: str, side: str, column: Column, labels: str) -> str:
    texts = (str(value)[:30] for value in column if value is not None)
    shown = next((text for text in texts if not _is_number(text)), "")
    named = "both" if labels else side
    if re.fullmatch(r"[+-]?\d+,\d+", shown):
        remedy = "Write decimal points in the file"
    elif side == "z":
        remedy = "Encode the values as numbers"
    else:
        remedy = f"Pass --discrete {named} if these are labels, or empty cells that are missing"
    return f"-{side} must be numeric, got {shown!r} in column {name!r}. {remedy}."


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _values(side: dict[str, Column]) -> Column:
    return stacked(list(side.values()))


def _frame(values: dict[str, Column], missing: Missing) -> Any:
    import pandas

    frame = pandas.DataFrame(values)
    if missing is Missing.DROP:
        frame = frame.replace([math.inf, -math.inf], math.nan).dropna()
    return frame


def _check_output(path: Path, suffixes: Sequence[str]) -> None:
    """Refuse a file that could not be written, before the work starts."""
    if path.suffix not in suffixes:
        raise ValueError(f"-o must end in one of {list(suffixes)}, got {path.name!r}. Rename it.")
    if not path.parent.is_dir():
        raise ValueError(
            f"-o must stand in an existing folder, got {str(path.parent)!r}. Create it first."
        )
    if path.is_dir():
        raise ValueError(f"-o must be a file, got the folder {str(path)!r}. Name a file in it.")


@contextmanager
def _naming_columns(sides: dict[str, dict[str, Column]]) -> Iterator[None]:
    """Let errors about constant columns name them, where the library knows positions only."""
    try:
        yield
    except ValueError as error:
        rule = r"([xyz]) must vary in every column, got constant columns? ([\d, ]+)"
        found = re.match(rule, str(error))
        if found is None:
            raise
        names = list(sides[found[1]])
        shown = ", ".join(repr(names[int(i)]) for i in re.findall(r"\d+", found[2]))
        raise ValueError(
            f"{found[1]} must vary in every column, got the constant {shown}. Leave it out: a "
            "constant carries no information."
        ) from None


# ----------------------------------------------------------------------------------- what comes out


def _cells(summary: Summary) -> tuple[str, ...]:
    """Return a method's line in the table of the benchmark."""

    def shown(value: float | None, form: str) -> str:
        return "" if value is None else format(value, form)

    return (
        summary.method,
        str(summary.n),
        str(summary.results),
        str(summary.failures),
        shown(summary.mean_absolute_error, ".3f"),
        shown(summary.worst_error, "+.3f"),
        summary.worst_task or "",
        shown(summary.coverage, ".2f"),
        shown(summary.mean_seconds, ".3f"),
    )


def _usage(error: Any) -> str:
    """Return what is wrong with the words typed and where their help stands."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "infoest"
    message = error.format_message().rstrip(".?") + ("?" if "Did you mean" in str(error) else ".")
    return f"{message} Run `{path} --help`."


def _complain(message: str) -> int:
    """Write one physical line on standard error and return the exit status of bad input."""
    typer.echo(f"error: {' '.join(message.split())}", err=True)
    return BAD_INPUT
