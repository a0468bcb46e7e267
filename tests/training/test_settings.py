"""Settings of a training: what is refused, what is filled in, what the schedules are."""

from __future__ import annotations

import math
import pickle
import subprocess
import sys
from dataclasses import FrozenInstanceError, dataclass, fields, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from infoest.training import Training


def test_frozen() -> None:
    training = Training(steps=10)
    with pytest.raises(FrozenInstanceError):
        training.steps = 20  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        training.something = 20  # type: ignore[attr-defined]
    assert hash(training) == hash(Training(steps=10))
    with pytest.raises(TypeError):
        Training(10)  # type: ignore[misc]


def test_replace_and_get_params() -> None:
    training = Training(steps=10, checkpoint=Path("run.pt"), learning_rate=0.1)
    assert replace(training, steps=20) == Training(
        steps=20, checkpoint=Path("run.pt"), learning_rate=0.1
    )
    with pytest.raises(ValueError, match="steps must be an integer of at least 1, got 0"):
        replace(training, steps=0)
    params = training.get_params()
    assert list(params) == [field.name for field in fields(Training)]
    assert params["checkpoint"] is training.checkpoint
    assert Training(**params) == training == pickle.loads(pickle.dumps(training))


def test_scikit_learn_clones_it() -> None:
    from sklearn.base import BaseEstimator, clone

    @dataclass
    class Holder(BaseEstimator):
        training: Training | None = None

    training = Training(epochs=3, checkpoint=Path("run.pt"), averaging=0.5)
    assert clone(training) == training
    copied = clone(Holder(training=training))
    assert copied.training == training
    assert copied.training is not training


@pytest.mark.parametrize(
    ("settings", "error", "sentence"),
    [
        ({"steps": 0}, ValueError, "steps must be an integer of at least 1, got 0"),
        ({"steps": 1.5}, TypeError, "steps must be .* integer, got 1.5"),
        ({"steps": True}, TypeError, "steps must be .* integer, got True"),
        ({"epochs": 0}, ValueError, "epochs must be an integer of at least 1, got 0"),
        ({"steps": 5, "epochs": 5}, ValueError, "steps must be None with epochs, got 5 and"),
        ({"batch_size": 1}, ValueError, "batch_size must be an integer of at least 2, got 1"),
        ({"batch_size": "all"}, TypeError, "batch_size must be .* integer, got 'all'"),
        ({"learning_rate": 0.0}, ValueError, "learning_rate must be .* above 0, got 0.0"),
        ({"learning_rate": math.nan}, ValueError, "learning_rate must be a finite .* got nan"),
        ({"learning_rate": math.inf}, ValueError, "learning_rate must be a finite .* got inf"),
        ({"learning_rate": "1e-3"}, TypeError, "learning_rate must be .* got '1e-3'"),
        ({"weight_decay": -0.1}, ValueError, "weight_decay must be .* at least 0, got -0.1"),
        ({"schedule": "linear"}, ValueError, r"schedule must be one of \['constant', 'cosine'\]"),
        ({"schedule": 1}, ValueError, "schedule must be one of .* got 1"),
        ({"averaging": 1.0}, ValueError, r"averaging must be in \[0, 1\), got 1.0"),
        ({"averaging": -0.1}, ValueError, r"averaging must be in \[0, 1\), got -0.1"),
        ({"clip_norm": 0.0}, ValueError, "clip_norm must be .* above 0, got 0.0"),
        ({"evaluate_every": 0}, ValueError, "evaluate_every must be .* at least 1, got 0"),
        ({"patience": 0}, ValueError, "patience must be .* at least 1, got 0"),
        ({"device": 0}, TypeError, "device must be a string such as 'cuda' or None, got 0"),
        ({"dtype": "float16"}, ValueError, r"dtype must be one of \['float32', 'float64'\]"),
        ({"dtype": np.float64}, ValueError, "dtype must be one of"),
        ({"compile": 1}, TypeError, "compile must be True or False, got 1"),
        ({"progress": "yes"}, TypeError, "progress must be True or False, got 'yes'"),
        ({"checkpoint": 3}, TypeError, "checkpoint must be a path or None, got 3"),
        ({"checkpoint": b"run.pt"}, TypeError, "checkpoint must be a path or None, got b'run.pt'"),
    ],
)
def test_wrong_settings(settings, error, sentence) -> None:
    with pytest.raises(error, match=sentence):
        Training(**settings)


def test_defaults_fill_in_what_is_none() -> None:
    defaults = {
        "steps": 100,
        "batch_size": 32,
        "learning_rate": 0.01,
        "weight_decay": 0.5,
        "averaging": 0.9,
        "clip_norm": 2.0,
    }
    filled = Training().with_defaults(**defaults)
    assert {name: getattr(filled, name) for name in defaults} == defaults
    given = {name: value / 2 if name != "steps" else 7 for name, value in defaults.items()}
    given["batch_size"] = 16
    kept = Training(patience=None, dtype="float64", **given)
    assert kept.with_defaults(**defaults) == kept
    # Zero is a setting, not a missing one.
    zeros = Training(weight_decay=0.0, averaging=0.0).with_defaults(**defaults)
    assert (zeros.weight_decay, zeros.averaging) == (0.0, 0.0)
    epochs = Training(epochs=3).with_defaults(**defaults)
    assert (epochs.steps, epochs.epochs, epochs.learning_rate) == (None, 3, 0.01)


def test_number_of_steps() -> None:
    assert Training(steps=7).n_steps(None) == 7
    assert Training(steps=7).n_steps(3) == 7
    assert Training(epochs=7).n_steps(3) == 21
    assert type(Training(steps=np.int64(7)).n_steps(None)) is int
    with pytest.raises(ValueError, match="epochs must be None for data without a length, got 7"):
        Training(epochs=7).n_steps(None)
    with pytest.raises(ValueError, match="steps must be given, got None"):
        Training().n_steps(3)


def test_schedules() -> None:
    constant = Training(learning_rate=0.1)
    assert {constant.rate(step, 100) for step in range(1, 101)} == {0.1}
    cosine = Training(learning_rate=0.1, schedule="cosine")
    rates = [cosine.rate(step, 101) for step in range(1, 102)]
    assert rates[0] == pytest.approx(0.1, rel=1e-15)
    assert rates[-1] == pytest.approx(0.002, rel=1e-12)
    assert rates[50] == pytest.approx((0.1 + 0.002) / 2, rel=1e-12)
    assert all(earlier > later for earlier, later in pairwise(rates))
    assert cosine.rate(1, 1) == 0.1


def test_when_rows_are_evaluated() -> None:
    assert sorted(Training().evaluation_steps(1600)) == [50, 100, 200, 400, 800, 1600]
    assert sorted(Training().evaluation_steps(1000)) == [50, 100, 200, 400, 800, 1000]
    assert sorted(Training().evaluation_steps(50)) == [50]
    assert sorted(Training().evaluation_steps(1)) == [1]
    every = Training(evaluate_every=40)
    assert sorted(every.evaluation_steps(100)) == [40, 80, 100]
    assert sorted(every.evaluation_steps(80)) == [40, 80]
    assert sorted(every.evaluation_steps(10)) == [10]


def test_settings_need_no_torch() -> None:
    source = "import sys; from infoest.training import Training; assert 'torch' not in sys.modules"
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, cwd=root, check=False
    )
    assert done.returncode == 0, done.stderr
