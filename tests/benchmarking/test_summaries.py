"""Summaries of rows written by hand, and the files."""

import csv
import math

import pytest

from infoest.benchmarking import Row, run, summarize, write_csv


def row(task, method, error, *, n=100, covered=None, seconds=1.0):
    """A result, or a refusal where there is no error."""
    if error is None:
        return Row(task, method, n, 0, 0.5, *(None,) * 7, "refused")
    return Row(
        task, method, n, 0, 0.5, 0.5 + error, error, None, None, None, covered, seconds, "ok"
    )


def test_errors_time_and_coverage():
    [summary] = summarize(
        [
            row("a", "m", 0.1, covered=True, seconds=1.0),
            row("b", "m", -0.3, covered=False, seconds=2.0),
            row("c", "m", 0.2, covered=True, seconds=3.0),
            row("d", "m", None),
            row("e", "m", 0.0, seconds=6.0),
        ]
    )
    assert (summary.method, summary.n, summary.results, summary.failures) == ("m", 100, 4, 1)
    assert summary.mean_absolute_error == pytest.approx(0.15)
    assert summary.root_mean_square_error == pytest.approx(math.sqrt(0.14 / 4))
    assert (summary.worst_error, summary.worst_task) == (-0.3, "b")
    assert summary.share_within == 0.5
    assert summary.coverage == pytest.approx(2 / 3)
    assert summary.mean_seconds == 3.0


def test_methods_and_sample_sizes_are_apart_and_in_order():
    rows = [
        row("a", "second", 0.3),
        row("a", "first", 0.1),
        row("a", "second", 0.1, n=10),
        row("b", "first", 0.2),
    ]
    assert [(one.method, one.n, one.worst_error) for one in summarize(rows)] == [
        ("second", 100, 0.3),
        ("first", 100, 0.2),
        ("second", 10, 0.1),
    ]


def test_a_method_that_failed_everywhere_has_no_numbers():
    [summary] = summarize([row("a", "m", None), row("b", "m", None)])
    assert summary[:4] == ("m", 100, 0, 2)
    assert summary[4:] == (None,) * 7


def test_without_intervals_there_is_no_coverage():
    [summary] = summarize([row("a", "m", 0.1)])
    assert summary.coverage is None


def test_nothing_sums_up_to_nothing():
    assert summarize([]) == []


def test_files_hold_the_comments_the_names_and_every_cell(tmp_path):
    rows = run("mixtures", methods=["gaussian", "binned"], n=30)
    path = tmp_path / "rows.csv"
    write_csv(path, rows, comments=["command: x", "numpy 2"])
    lines = path.read_text().splitlines()
    assert lines[:2] == ["# command: x", "# numpy 2"]
    read = list(csv.DictReader(lines[2:]))
    assert [one["task"] for one in read] == [one.task for one in rows]
    assert [float(one["value"]) for one in read] == [one.value for one in rows]
    assert read[1]["method"] == "binned"
    assert read[1]["lower"] == read[1]["covered"] == ""


def test_summaries_are_written_alike(tmp_path):
    path = tmp_path / "summary.csv"
    write_csv(path, summarize([row("a, b", "m", 0.25)]))
    [read] = csv.DictReader(path.read_text().splitlines())
    assert (read["method"], read["worst_task"], read["worst_error"]) == ("m", "a, b", "0.25")


def test_an_empty_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"^rows must hold at least one result, got none\."):
        write_csv(tmp_path / "rows.csv", [])
    assert list(tmp_path.iterdir()) == []
