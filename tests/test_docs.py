"""The pages say what is so: code prints what they show, and every warning code is explained."""

from __future__ import annotations

import re
from typing import Any

import pytest

from infoest._cautions import CODES

from .markdown_blocks import (
    ROOT,
    assert_prints,
    blocks,
    printed_by_command,
    printed_by_python,
)

PAGES = sorted((ROOT / "docs").glob("*.md"))
SHOWN = [path for path in PAGES if any(block.output is not None for block in blocks(path))]


@pytest.mark.parametrize("name", [path.stem for path in SHOWN])
def test_page_shows_what_its_blocks_print(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    names: dict[str, Any] = {}
    for block in blocks(ROOT / "docs" / f"{name}.md"):
        if block.language == "python":
            assert_prints(printed_by_python(block.code, names), block.output or "")
        elif block.language == "bash":
            assert block.output is not None, block.code
            assert_prints(printed_by_command(block.code), block.output)


def test_pages_with_code_are_found() -> None:
    assert {"index", "quickstart", "what_can_go_wrong", "command_line"} <= {p.stem for p in SHOWN}


def test_every_warning_code_in_use_is_explained() -> None:
    source = "".join(
        path.read_text(encoding="utf-8")
        for path in (ROOT / "infoest").rglob("*.py")
        if path.name != "_cautions.py"
    )
    used = {code for code in CODES if f'"{code}"' in source}
    page = (ROOT / "docs" / "intervals.md").read_text(encoding="utf-8")
    explained = re.findall(r"^\| `(\w+)` \| .+ \| .+ \|$", page, re.MULTILINE)
    assert sorted(code for code in explained if code in CODES) == sorted(used)


def test_links_between_pages_lead_to_files() -> None:
    missing = []
    for path in PAGES:
        links = re.findall(r"\]\(([\w./]+\.md)", path.read_text(encoding="utf-8"))
        missing += [(path.name, link) for link in links if not (path.parent / link).exists()]
    assert missing == []
