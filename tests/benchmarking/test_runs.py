"""One row a result: what it holds, what is refused, what repeats."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest

import infoest
from infoest.benchmarking import Row, run
from infoest.datasets import Task, correlated_normal, suite
from infoest.estimators import MutualInformationEstimator
from infoest.result import Raw


@dataclass(kw_only=True, eq=False)
class FewColumns(MutualInformationEstimator):
    """Twice the number of columns, refused above four; the error has two lines."""

    def _estimate(self, x, y, z, ask):
        columns = x.shape[1] + y.shape[1]
        if columns > 4:
            raise ValueError(f"x must have few columns,\ngot {columns}.")
        return Raw(2.0 * columns)


@pytest.fixture
def tasks():
    return [
        Task(
            name=f"normal-{dim}",
            mi=0.5 * dim,
            law=partial(correlated_normal, mi=0.5 * dim, dim=dim),
        )
        for dim in (1, 3)
    ]


def without_seconds(rows):
    return [row._replace(seconds=None) for row in rows]


def test_a_row_holds_the_estimate_of_the_sample_and_the_truth(tasks):
    [row] = run(tasks[:1], methods=["ksg"], n=300, random_state=4)
    x, y = tasks[0].sample(300, 4)
    expected = infoest.KSG().estimate(x, y)
    assert (row.task, row.method, row.n, row.seed, row.mi) == ("normal-1", "ksg", 300, 4, 0.5)
    assert row.value == expected.value
    assert row.error == row.value - 0.5
    assert row.std_error == pytest.approx(expected.std_error, rel=0.5)
    assert row.lower < row.value < row.upper
    assert row.covered is (row.lower <= 0.5 <= row.upper)
    assert 0.0 < row.seconds < 60.0
    assert row.status == "ok"


def test_a_task_missed_is_not_covered(tasks):
    wrong = Task(name="wrong", mi=3.0, law=tasks[0].law)
    covered = {row.task: row.covered for row in run([tasks[0], wrong], methods=["gaussian"], n=500)}
    assert covered == {"normal-1": True, "wrong": False}


def test_a_method_without_interval_leaves_those_cells_empty(tasks):
    [row] = run(tasks[:1], methods=[FewColumns()], n=100)
    assert (row.std_error, row.lower, row.upper, row.covered) == (None,) * 4
    assert row.status == "ok"


def test_a_refusal_is_recorded_in_one_line_and_the_run_goes_on(tasks):
    rows = run(tasks[::-1], methods=[FewColumns(), "gaussian"], n=50)
    assert [row.status for row in rows] == ["x must have few columns, got 6.", "ok", "ok", "ok"]
    refused = rows[0]
    assert (refused.task, refused.method, refused.mi) == ("normal-3", "FewColumns", 1.5)
    assert refused[5:12] == (None,) * 7


def test_every_sample_size_and_seed_comes_once_tasks_outermost(tasks):
    rows = run(tasks, methods=["gaussian", "binned"], n=[40, 60], seeds=2, random_state=7)
    assert [(row.task, row.n, row.seed, row.method) for row in rows] == [
        (task, n, seed, method)
        for task in ("normal-1", "normal-3")
        for n in (40, 60)
        for seed in (7, 8)
        for method in ("gaussian", "binned")
    ]
    samples = {row.value for row in rows if row.method == "gaussian"}
    assert len(samples) == 8


def test_a_run_repeats_itself_also_in_two_processes(tasks):
    again = partial(run, tasks, methods=["ksg", "gaussian"], n=80, seeds=2)
    assert without_seconds(again()) == without_seconds(again()) == without_seconds(again(n_jobs=2))


def test_estimators_are_left_as_they_are_and_get_another_seed_than_the_data(tasks):
    seen = []

    @dataclass(kw_only=True, eq=False)
    class Spy(FewColumns):
        def _estimate(self, x, y, z, ask):
            seen.append(self.random_state)
            return super()._estimate(x, y, z, ask)

    spy = Spy(random_state=3)
    run(tasks[:1], methods=[spy], n=50, seeds=2, random_state=3)
    assert spy.random_state == 3
    _, *seeds = seen
    assert len(set(seeds)) == 2
    assert not set(seeds) & {3, 4}


def test_names_tell_parameters_apart(tasks):
    methods = ["ksg", infoest.KSG(k=3), infoest.KSG(k=4, standardize=False), infoest.Gaussian()]
    rows = run(tasks[:1], methods=methods, n=50)
    assert [row.method for row in rows] == [
        "ksg",
        "ksg(k=3)",
        "ksg(k=4, standardize=False)",
        "gaussian",
    ]


def test_rows_are_handed_over_as_they_come(tasks):
    seen = []
    assert run(tasks, methods=["gaussian"], n=50, on_row=seen.append) == seen
    assert all(isinstance(row, Row) for row in seen)


def test_the_first_call_is_not_timed(tasks):
    calls = []

    @dataclass(kw_only=True, eq=False)
    class Counting(FewColumns):
        def _estimate(self, x, y, z, ask):
            calls.append(len(x))
            return super()._estimate(x, y, z, ask)

    assert len(run(tasks[:1], methods=[Counting()], n=60)) == 1
    assert calls == [50, 60]


def test_by_default_every_quick_method_runs(tasks, monkeypatch):
    catalog = type(infoest.METHODS)
    monkeypatch.setattr(catalog, "names", lambda self, kind: ["gaussian", "binned", "ksg"])
    entry = catalog.entry
    slow = type("Slow", (), {"quick": False})
    labels = type("Labels", (), {"quick": True, "labels_only": True})
    replaced = {"ksg": slow, "binned": labels}
    monkeypatch.setattr(
        catalog, "entry", lambda self, name: replaced.get(name) or entry(self, name)
    )
    assert [row.method for row in run(tasks[:1], n=50)] == ["gaussian"]


def test_a_suite_is_found_by_name():
    rows = run("mixtures", methods=["gaussian"], n=30)
    assert [(row.task, row.mi) for row in rows] == [
        (task.name, task.mi) for task in suite("mixtures")
    ]
    assert np.isfinite([row.value for row in rows]).all()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"suite": "cores"}, ValueError, r"^suite must be one of \['core', .*\], got 'cores'\."),
        ({"suite": []}, ValueError, "^suite must hold at least one task, got none."),
        ({"methods": ["kgs"]}, ValueError, "^method must be one of .*, got 'kgs'"),
        ({"methods": ["kde_entropy"]}, ValueError, "^method must be one of .*, got 'kde_entropy'"),
        ({"methods": [3]}, TypeError, "^method must be a name or an estimator, got 3"),
        ({"methods": "ksg"}, TypeError, r"^methods must be a list, got 'ksg'. Pass .*\['ksg'\]"),
        ({"methods": []}, ValueError, "^methods must name at least one method, got none"),
        (
            {"methods": ["gaussian", infoest.Gaussian()]},
            ValueError,
            "^methods must be different, got 'gaussian' twice",
        ),
        ({"n": 4}, ValueError, "^n must be an integer of at least 5, got 4"),
        ({"n": [100, 2.5]}, TypeError, "^n must .*, got 2.5"),
        ({"seeds": 0}, ValueError, "^seeds must be an integer of at least 1, got 0"),
        ({"random_state": -1}, ValueError, "^random_state must .*, got -1"),
    ],
)
def test_what_cannot_be_run_is_refused_before_the_work(arguments, error, message):
    seen = []
    with pytest.raises(error, match=message):
        run(**{"methods": ["gaussian"], "on_row": seen.append, **arguments})
    assert seen == []
