"""The progress bar: only when asked for, on standard error, and without a trace."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from infoest._progress import progress_bar

ROOT = Path(__file__).resolve().parents[1]


def test_nothing_unless_asked_for(capfd: pytest.CaptureFixture[str]) -> None:
    with progress_bar(False, "busy", 3) as advance:
        advance(3)
    assert capfd.readouterr() == ("", "")


def test_standard_output_stays_free(capfd: pytest.CaptureFixture[str]) -> None:
    with progress_bar(True, "busy", 3) as advance:
        for done in range(1, 4):
            advance(done)
    assert capfd.readouterr().out == ""


def test_it_counts(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    with progress_bar(True, "busy", 4) as advance:
        advance(2)
    assert "busy" in (shown := capfd.readouterr().err)
    assert "50%" in shown or "0%" in shown


def test_its_import_moves_no_random_state() -> None:
    """rich draws from Python's global generator when it is imported: in a process without it."""
    source = """
import random, sys
assert "rich" not in sys.modules
state = random.getstate()
from infoest._progress import progress_bar
with progress_bar(False, "busy", 1) as advance:
    advance(1)
assert "rich" not in sys.modules
with progress_bar(True, "busy", 1) as advance:
    advance(1)
assert "rich" in sys.modules
assert random.getstate() == state
"""
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr
