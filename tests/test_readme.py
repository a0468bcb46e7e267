"""The README says what is so: its table, its code, its commands."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

import infoest

from .markdown_blocks import (
    ROOT,
    assert_prints,
    blocks,
    printed_by_command,
    printed_by_python,
)

README = ROOT / "README.md"
HEADER = "| name | class | what it is | data | interval | p-value | condition |"


def row(name: str) -> str:
    """Return the line of the estimator table that is true of a method."""
    entry, cls = infoest.METHODS.entry(name), infoest.METHODS[name]
    if cls.kind == "mutual_information":
        continuous = ("continuous", "any pair")[cls.accepts_labels == "any"]
        data = "continuous, one side may be labels" if cls.accepts_labels == "one" else continuous
    else:
        data = "continuous"
    data = "labels" if getattr(cls, "reads_labels", False) else data
    x = np.random.default_rng(0).standard_normal(60)
    sides = (x,) if cls.kind == "entropy" else (x, x + x[::-1])
    if data == "labels":
        sides = tuple((side > 0).astype(int) for side in sides)
    yes = {True: "yes", False: ""}
    cells = (
        f"`{name}`",
        f"`{entry.class_name}`",
        entry.help,
        data,
        yes[cls().estimate(*sides).interval is not None],
        yes[cls.kind != "entropy"],
        yes[getattr(cls, "conditional", False)],
    )
    return "| " + " | ".join(cells) + " |"


def table() -> str:
    """Return the whole estimator table, by what is estimated."""
    titles = {
        "mutual_information": "Mutual information I(X;Y), or I(X;Y|Z) given a condition",
        "entropy": "Entropy H(X)",
        "divergence": "Divergence D(P, Q) of two samples",
    }
    lines = []
    for kind, title in titles.items():
        lines += ["", f"**{title}**", "", HEADER, "|---|---|---|---|---|---|---|"]
        lines += [row(name) for name in infoest.METHODS.names(kind)]
    return "\n".join(lines[1:]) + "\n"


def commands() -> list[str]:
    """Return the set-up commands."""
    return [block.code.strip() for block in blocks(README) if block.language == "bash"]


def test_table_lists_every_method_as_it_is() -> None:
    text = README.read_text(encoding="utf-8")
    shown = re.search(r"<!-- estimators -->\n\n(.*)\n<!-- end", text, re.DOTALL)
    assert shown is not None
    true = table().splitlines()
    assert [line for line in true if line not in shown[1].splitlines()] == []
    assert shown[1].splitlines() == true


def test_number_of_estimators_is_told() -> None:
    words = {38: "thirty-eight"}
    assert f"{words[len(infoest.METHODS)]} estimators" in README.read_text(encoding="utf-8")


def test_python_block_prints_what_is_shown() -> None:
    [block] = [block for block in blocks(README) if block.language == "python"]
    assert block.output is not None
    assert_prints(printed_by_python(block.code, {}), block.output)


def test_first_command_prints_what_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    [first, _] = [block for block in blocks(README) if block.language == "bash"]
    install, command = first.code.strip().split(" && ")
    assert install == "pip install ."
    assert first.output is not None
    assert_prints(printed_by_command(command), first.output)


def test_there_are_two_set_up_commands_of_one_line() -> None:
    assert [command.split(" && ")[0] for command in commands()] == [
        "pip install .",
        'pip install ".[test]"',
    ]
    assert all("\n" not in command for command in commands())


def test_links_lead_to_files() -> None:
    links = re.findall(r"\]\(([^)]+)\)", README.read_text(encoding="utf-8"))
    local = [link for link in links if not link.startswith("https://")]
    assert local
    assert [link for link in local if not (ROOT / Path(link)).exists()] == []


def test_ci_reads_these_commands() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    [program] = re.findall(r"awk '(.*?)' README\.md", script)
    found = subprocess.run(
        ["awk", program, str(README)], check=True, capture_output=True, text=True
    ).stdout
    assert found.splitlines() == commands()
    assert script.index("pip install torch==") < script.index('eval "${commands[0]}"')
