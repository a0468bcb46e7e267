"""The history of a training as numbers, table and record."""

from __future__ import annotations

import json
import math

import numpy as np

from infoest.training import History

from .regression import fit


def test_losses_are_numbers() -> None:
    _, history = fit()
    assert {type(loss) for loss in history.losses} == {float}
    assert len(history.losses) == len(history.rates) == history.n_steps == 60
    assert [step for step, _ in history.evaluated] == [10, 20, 30, 40, 50, 60]
    assert {type(loss) for _, loss in history.evaluated} == {float}


def test_frame() -> None:
    _, history = fit()
    frame = history.to_frame()
    assert list(frame) == ["step", "loss", "held_out", "learning_rate"]
    assert frame["step"].tolist() == list(range(1, 61))
    assert frame["step"].dtype == np.int64
    assert frame["loss"].tolist() == history.losses
    assert frame["learning_rate"].tolist() == history.rates
    found = frame.dropna(subset="held_out")
    assert list(zip(found["step"], found["held_out"], strict=True)) == history.evaluated


def test_frame_with_the_start() -> None:
    _, history = fit(at_start=True)
    frame = history.to_frame()
    assert frame["step"].tolist() == list(range(61))
    assert frame["held_out"][0] == history.evaluated[0][1]
    assert frame["loss"].isna().tolist() == [True] + [False] * 60
    assert frame["learning_rate"][1] == history.rates[0]


def test_frame_of_nothing() -> None:
    frame = History().to_frame()
    assert list(frame) == ["step", "loss", "held_out", "learning_rate"]
    assert len(frame) == 0


def test_record_and_back() -> None:
    _, history = fit(at_start=True)
    record = json.loads(json.dumps(history.to_dict()))
    assert History.from_dict(record) == history
    assert all(type(pair) is tuple for pair in History.from_dict(record).evaluated)


def test_best_loss_is_finite() -> None:
    history = History(evaluated=[(1, math.nan), (2, 3.0), (3, -math.inf), (4, 2.0)])
    assert history.best_loss == 2.0
    assert History(evaluated=[(1, math.nan)]).best_loss is None
    assert History().best_loss is None
