"""Write rows and summaries to files."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from .runs import Row
from .summaries import Summary


def write_csv(
    path: str | Path, rows: Sequence[Row] | Sequence[Summary], *, comments: Sequence[str] = ()
) -> None:
    """Write rows or summaries as CSV; what is None becomes an empty cell.

    Args:
        path: File, overwritten if there is one.
        rows: What `run` or `summarize` returned, at least one.
        comments: Lines put first, each after ``"# "``: the command, versions.

    Raises:
        ValueError: If there are no rows.
    """
    if not rows:
        raise ValueError("rows must hold at least one result, got none.")
    with Path(path).open("w", encoding="utf-8", newline="") as stream:
        stream.writelines(f"# {line}\n" for line in comments)
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(rows[0]._fields)
        writer.writerows(rows)
