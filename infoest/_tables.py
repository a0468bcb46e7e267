"""Reading tables from files and choosing their columns, for the command line."""

from __future__ import annotations

import csv
import difflib
import fnmatch
import re
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

# One axis: numbers, or objects where it holds text (None where a cell is missing).
Column = npt.NDArray[Any]

# Cells that mean "missing", as in pandas.
MISSING = frozenset(
    {"", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "-nan", "NULL", "null", "None"}
)
# An error names at most so many columns: it has to stay one readable line.
MOST_LISTED = 20
_ROWS_AT_ONCE = 65_536


@dataclass(frozen=True)
class Table:
    """The columns of a file: their names now, their values when asked for.

    Args:
        names: Column names, all different, in the order of the file.
        read: Reads the columns at these positions, all of one length.
    """

    names: tuple[str, ...]
    read: Callable[[Sequence[int]], list[Column]]

    def columns(self, names: Sequence[str]) -> dict[str, Column]:
        """Return the named columns and read no others."""
        positions = [self.names.index(name) for name in names]
        return dict(zip(names, self.read(positions), strict=True))


def open_table(path: Path, *, header: bool | None = None) -> Table:
    """Return the table in a CSV, TSV, Parquet, NPY or NPZ file.

    Text files are UTF-8; a CSV file may separate by semicolons or tabs. Columns of an NPY file,
    and of a text file without a header, are named ``0``, ``1``, ...; two-dimensional arrays of an
    NPZ file give ``name.0``, ``name.1``, ...

    Args:
        path: The file; its suffix tells the format.
        header: Whether the first row of a text file holds the column names. None takes it for
            names but refuses a row of numbers, which may be either.

    Raises:
        ValueError: If there is no such file or it holds no table.
        ModuleNotFoundError: For Parquet without pyarrow.
    """
    readers = {".csv": _text, ".tsv": _text, ".npy": _numpy, ".npz": _numpy, ".parquet": _parquet}
    if not path.exists():
        raise ValueError(f"FILE must exist, got {str(path)!r}. {_closest_file(path)}")
    if path.is_dir():
        raise ValueError(f"FILE must be a file, got the folder {str(path)!r}. Name a file in it.")
    suffix = path.suffix.lower()
    if suffix not in readers:
        raise ValueError(
            f"FILE must end in one of {list(readers)}, got {path.name!r}. Convert or rename it."
        )
    if path.stat().st_size == 0:
        raise ValueError(f"FILE must hold a table, got the empty file {str(path)!r}.")
    if header is not None and readers[suffix] is not _text:
        raise ValueError(
            f"--header and --no-header must be left out for {suffix} files: only text has a "
            "header row."
        )
    table = readers[suffix](path, header)
    repeated = next((name for name in table.names if table.names.count(name) > 1), None)
    if repeated is not None:
        raise ValueError(
            f"FILE must have different column names, got {repeated!r} twice. Rename one."
        )
    return table


def choose(names: Sequence[str], patterns: Sequence[str], option: str) -> list[str]:
    """Return the names that patterns match, each once, in the order asked for.

    Args:
        names: Column names of the table.
        patterns: Each a column name, or names and shell patterns (``petal*``) separated by
            commas; quotes protect a comma as in a CSV file.
        option: What the patterns were given to, for the error.

    Raises:
        ValueError: If one matches nothing; the error lists the columns, closest names first.
    """
    chosen: dict[str, None] = {}
    for pattern in patterns:
        for part in [pattern] if pattern in names else _parts(pattern):
            found = [part] if part in names else fnmatch.filter(names, part)
            if not found:
                raise ValueError(
                    f"{option} must name columns of the file, got {part!r}. "
                    f"Columns: {_listed(names, part)}."
                )
            chosen.update(dict.fromkeys(found))
    if not chosen:
        raise ValueError(
            f"{option} must name at least one column, got {', '.join(patterns)!r}. "
            f"Columns: {_listed(names, '')}."
        )
    return list(chosen)


def holds_text(column: Column) -> bool:
    """Return whether a column holds anything but numbers and truth values."""
    return column.dtype.kind not in "biufc"


def stacked(columns: Sequence[Column]) -> Column:
    """Return columns side by side, shape (n, d): numbers, or objects where one holds text."""
    if any(holds_text(column) for column in columns):
        columns = [column.astype(object) for column in columns]
    return np.column_stack(list(columns))


# ------------------------------------------------------------------------------------ text files


# Python's own csv module rather than pandas: importing pandas alone took 0.45 s of the second
# that `infoest estimate` may take, the module reads 150 rows in 2 ms and a million in 2 s.
def _text(path: Path, header: bool | None) -> Table:
    delimiter = "\t" if path.suffix.lower() == ".tsv" else _delimiter(path)
    with _rows(path, delimiter) as rows:
        first = next((row for row in rows if row), None)
    if first is None:
        raise ValueError(f"FILE must hold a table, got only blank lines in {str(path)!r}.")
    if header is None and _all_numbers(first):
        raise ValueError(
            f"FILE must start with a row of column names, got the numbers "
            f"{', '.join(first[:3])}{', ...' if len(first) > 3 else ''}. Pass --no-header if that "
            "row is data, --header if these are names."
        )
    names = tuple(name.strip() or f"Unnamed: {i}" for i, name in enumerate(first))
    if header is False:
        names = tuple(map(str, range(len(first))))

    def read(positions: Sequence[int]) -> list[Column]:
        with _rows(path, delimiter) as rows:
            cells = _cells(rows, positions, len(first), skip=header is not False)
        if not cells or not cells[0]:
            raise ValueError(f"FILE must hold rows of data, got only a header in {str(path)!r}.")
        return [_typed(column) for column in cells]

    return Table(names, read)


@contextmanager
def _rows(path: Path, delimiter: str) -> Iterator[Iterator[list[str]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            yield csv.reader(stream, delimiter=delimiter, skipinitialspace=delimiter != "\t")
    except UnicodeDecodeError:
        raise ValueError(
            f"FILE must be UTF-8 text, got other bytes in {str(path)!r}. Save it as UTF-8."
        ) from None
    except csv.Error as error:
        raise ValueError(
            f"FILE must be a readable table, got {str(path)!r} ({error}). Check its quotes."
        ) from None


def _delimiter(path: Path) -> str:
    """Return the comma unless the first line has none and another separator instead."""
    with _rows(path, "\0") as rows:
        line = next((row[0] for row in rows if row), "")
    unquoted = re.sub(r'"[^"]*"', "", line)
    return next((mark for mark in ",;\t" if mark in unquoted), ",")


def _cells(
    rows: Iterator[list[str]], positions: Sequence[int], width: int, *, skip: bool
) -> list[list[str]]:
    """Return the cells of the columns at these positions; only they are kept in memory."""
    cells: list[list[str]] = [[] for _ in positions]
    # A blank line ends or pads a table, but in a table of one column it is a missing cell.
    blank = [""] if width == 1 else None
    number, n_blank_at_end = 0, 0
    while block := list(islice(rows, _ROWS_AT_ONCE)):
        for row in block:
            number += 1
            n_blank_at_end = 0 if row else n_blank_at_end + 1
            if row and len(row) != width:
                raise ValueError(
                    f"FILE must have rows of {width} cells like its first, got {len(row)} in row "
                    f"{number}. Check separators and quotes."
                )
        full = [row or blank for row in block]
        kept = [row for row in full if row is not None]
        for column, position in zip(cells, positions, strict=True):
            column.extend([row[position] for row in kept])
    if blank is not None:
        cells = [column[: len(column) - n_blank_at_end] for column in cells]
    return [column[skip:] for column in cells]


def _typed(cells: list[str]) -> Column:
    """Return a column of text cells as integers, else floats, else text."""
    # Python reads 1_000 as a number; a table that holds it means text.
    if "_" not in "".join(cells):
        try:
            return np.array(list(map(int, cells)), dtype=np.int64)
        except (ValueError, OverflowError):
            pass
        try:
            return np.array(list(map(_number, cells)))
        except ValueError:
            pass
    texts = [cell.strip() for cell in cells]
    return np.array([None if text in MISSING else text for text in texts], dtype=object)


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        if cell.strip() in MISSING:
            return np.nan
        raise


def _all_numbers(row: list[str]) -> bool:
    return not holds_text(_typed(row)) and any(cell.strip() for cell in row)


# ---------------------------------------------------------------------------------- other formats


def _numpy(path: Path, header: bool | None) -> Table:
    try:
        loaded = np.load(path, allow_pickle=False)
        arrays = {"": loaded} if isinstance(loaded, np.ndarray) else dict(loaded)
    except (ValueError, EOFError, OSError, zipfile.BadZipFile):
        raise ValueError(
            f"FILE must be a readable {path.suffix} file of numbers or text, got {str(path)!r}. "
            "Write it again with numpy.save or numpy.savez, without objects."
        ) from None
    columns: dict[str, Column] = {}
    for name, array in arrays.items():
        if array.ndim not in (1, 2) or array.size == 0:
            raise ValueError(
                "FILE must hold arrays of one or two axes that are not empty, got shape "
                f"{array.shape}{' in ' + repr(name) if name else ''}. Save one row per sample."
            )
        if array.ndim == 1:
            columns[name or "0"] = array
        else:
            prefix = f"{name}." if name else ""
            columns.update({f"{prefix}{i}": column for i, column in enumerate(array.T)})
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) != 1:
        shown = ", ".join(f"{name}: {length}" for name, length in list(lengths.items())[:5])
        raise ValueError(
            f"FILE must hold arrays of one length, got {shown or 'no array'}. "
            "Row i of all must belong together."
        )
    values = list(columns.values())
    return Table(tuple(columns), lambda positions: [values[i] for i in positions])


def _parquet(path: Path, header: bool | None) -> Table:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise ModuleNotFoundError(
            "Parquet files need pyarrow: pip install infoest[parquet]."
        ) from None
    try:
        names = tuple(parquet.read_schema(path).names)
    except (pyarrow.ArrowException, OSError) as error:
        raise ValueError(
            f"FILE must be a readable Parquet file, got {str(path)!r} ({error}). Write it again."
        ) from None

    def read(positions: Sequence[int]) -> list[Column]:
        found = parquet.read_table(path, columns=[names[i] for i in positions])
        return [_from_arrow(found.column(names[i])) for i in positions]

    return Table(names, read)


def _from_arrow(column: Any) -> Column:
    """Return an Arrow column as numbers (NaN where missing) or objects (None where missing)."""
    import pyarrow.types as kinds

    if kinds.is_decimal(column.type):
        column = column.cast("float64")
    elif kinds.is_boolean(column.type):
        column = column.cast("int8")
    array: Column = column.to_numpy()
    return array.astype(object) if holds_text(array) else array


# ----------------------------------------------------------------------------------------- errors


def _parts(pattern: str) -> list[str]:
    row = next(csv.reader([pattern], skipinitialspace=True), [])
    return [part.strip() for part in row if part.strip()]


def _listed(names: Sequence[str], wanted: str) -> str:
    """Return the column names in one line, those most like the wanted one first."""

    def likeness(name: str) -> float:
        return difflib.SequenceMatcher(None, wanted.lower(), name.lower()).ratio()

    ordered = sorted(names, key=likeness, reverse=True) if wanted else list(names)
    left_out = len(ordered) - MOST_LISTED
    return ", ".join(ordered[:MOST_LISTED]) + (f", ... ({left_out} more)" if left_out > 0 else "")


def _closest_file(path: Path) -> str:
    if not path.parent.is_dir():
        return f"There is no folder {str(path.parent)!r}."
    siblings = [entry.name for entry in path.parent.iterdir() if entry.is_file()]
    close = difflib.get_close_matches(path.name, siblings, n=1)
    return f"Did you mean {str(path.parent / close[0])!r}?" if close else "Check the path."
