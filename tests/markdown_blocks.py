"""Fenced blocks of a Markdown page, run as a reader would run them.

A ``python`` or ``bash`` block that is followed by a ``text`` block must print that text. Words must
be equal; numbers may differ by a little, as the last digits depend on the machine.
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from infoest.cli import main

ROOT = Path(__file__).parents[1]
NUMBER = re.compile(r"[-+]?\d+\.?\d*(?:e[-+]?\d+)?")


class Block(NamedTuple):
    language: str
    code: str
    output: str | None


def blocks(path: Path) -> Iterator[Block]:
    """Return the blocks of a page in order, each with the output that follows it."""
    text = path.read_text(encoding="utf-8")
    found = re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    for i, (language, code) in enumerate(found):
        following, output = found[i + 1] if i + 1 < len(found) else ("", "")
        if language != "text":
            yield Block(language, code, output if following == "text" else None)


def printed_by_python(code: str, names: dict[str, Any]) -> str:
    """Run a block in the names that earlier blocks of the page left; return what it prints."""
    with contextlib.redirect_stdout(io.StringIO()) as stream:
        exec(compile(code, "<page>", "exec"), names)
    return stream.getvalue()


def printed_by_command(line: str) -> str:
    """Run an ``infoest`` command in this process and return what it prints."""
    program, *arguments = shlex.split(line)
    assert program == "infoest", line
    with contextlib.redirect_stdout(io.StringIO()) as stream:
        assert main(arguments) == 0, line
    return stream.getvalue()


def assert_prints(printed: str, shown: str) -> None:
    """Compare what ran with what a page shows."""
    assert NUMBER.sub("#", printed).split() == NUMBER.sub("#", shown).split(), printed
    numbers = [float(number) for number in NUMBER.findall(shown)]
    assert [float(n) for n in NUMBER.findall(printed)] == pytest.approx(numbers, 0.05, 0.01)
