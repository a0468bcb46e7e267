"""A training that was killed goes on as if it had not been, or says why it cannot."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from infoest.training import ArrayBatches, LoaderBatches, Training, TrainingDivergedError, train
from infoest.training import loop as loop_module

from .regression import (
    SOURCES,
    KilledError,
    Rows,
    arrays,
    assert_same,
    data,
    fit,
    killed_at,
    loader,
    network,
    seeded,
    stream,
    unchanged,
    unseeded_loader,
    weights,
)

ROOT = Path(__file__).resolve().parents[2]


def resumed(path: Path, step: int, source=arrays, **arguments):
    """Train, be killed at a step, and train again; return also how often the loss was called."""
    with pytest.raises(KilledError):
        fit(source, checkpoint=path, before=killed_at(step), **arguments)
    calls: list[int] = []
    return fit(source, checkpoint=path, before=calls.append, **arguments), len(calls)


@pytest.mark.parametrize("noisy", [False, True])
@pytest.mark.parametrize("source", SOURCES)
def test_resume_is_bit_identical(tmp_path, source, noisy) -> None:
    whole = fit(source, noisy=noisy, keep_snapshots=True)
    again, calls = resumed(tmp_path / "run.pt", 37, source, noisy=noisy, keep_snapshots=True)
    assert calls == 30  # from the evaluation at step 30
    assert_same(whole, again)
    assert sorted(again[1].snapshots) == [10, 20, 30, 40, 50, 60]


@pytest.mark.parametrize(("step", "left"), [(5, 60), (10, 60), (11, 50), (60, 10)])
def test_resume_from_anywhere(tmp_path, step, left) -> None:
    again, calls = resumed(tmp_path / "run.pt", step, noisy=True)
    assert calls == left
    assert_same(fit(noisy=True), again)


@pytest.mark.parametrize(
    ("step", "arguments"),
    [
        (57, {"evaluate": False}),
        (57, {"at_start": True}),
        (15, {"patience": 1, "learning_rate": 0.2, "clip_norm": None}),
        (57, {"averaging": 0.0, "schedule": "constant", "evaluate_every": None}),
        (57, {"steps": None, "epochs": 10}),
        # NumPy's numbers are no plain ones: they must not make the file unreadable.
        (57, {"learning_rate": np.float64(0.02), "steps": np.int64(60)}),
        (57, {"weight_decay": np.float32(0.5), "averaging": np.float32(0.5)}),
    ],
)
def test_resume_with_other_settings(tmp_path, step, arguments) -> None:
    with pytest.raises(KilledError):
        fit(checkpoint=tmp_path / "run.pt", before=killed_at(step), noisy=True, **arguments)
    again = fit(checkpoint=tmp_path / "run.pt", noisy=True, **arguments)
    assert_same(fit(noisy=True, **arguments), again)


def test_resume_twice(tmp_path) -> None:
    path = tmp_path / "run.pt"
    for call in (25, 25, 15):  # of every process: steps 25, 45 and 55
        with pytest.raises(KilledError):
            fit(checkpoint=path, before=killed_at(call), noisy=True)
    calls: list[int] = []
    assert_same(fit(noisy=True), fit(checkpoint=path, before=calls.append, noisy=True))
    assert len(calls) == 10


def test_early_stopping_counts_on(tmp_path) -> None:
    """Evaluations without a gain before the kill count after it."""
    losses = iter([1.0, 2.0])

    def run(found):
        with seeded():
            model = network()
        batches = ArrayBatches(*data(), 16, seed=0)

        def loss(x, y):
            return (model(x) - y).square().mean()

        def held_out():
            value = next(found, None)
            if value is None:
                raise KilledError
            return value

        training = Training(
            steps=40, evaluate_every=4, patience=2, checkpoint=str(tmp_path / "run.pt")
        )
        return train(model, loss, batches, training=training, held_out=held_out)

    with pytest.raises(KilledError):
        run(losses)
    history = run(iter([3.0]))
    assert (history.ended, history.n_steps, history.best_step) == ("patience", 12, 4)


def test_an_interrupted_training_resumes(tmp_path) -> None:
    def interrupt(call: int) -> None:
        if call == 37:
            raise KeyboardInterrupt

    path = tmp_path / "run.pt"
    assert fit(checkpoint=path, before=interrupt, noisy=True)[1].ended == "interrupted"
    again = fit(checkpoint=path, noisy=True)
    assert again[1].ended == "steps"
    assert_same(fit(noisy=True), again)


@pytest.mark.parametrize("settings", [{}, {"patience": 1, "learning_rate": 0.3}])
def test_a_finished_training_is_not_repeated(tmp_path, settings) -> None:
    path = tmp_path / "run.pt"
    first = fit(checkpoint=path, keep_snapshots=True, **settings)
    written = path.read_bytes()
    again = fit(checkpoint=path, keep_snapshots=True, before=killed_at(1), **settings)
    assert_same(first, again)
    assert path.read_bytes() == written
    assert (first[1].ended == "patience") == bool(settings)


def test_a_checkpoint_changes_no_result(tmp_path) -> None:
    assert_same(fit(noisy=True), fit(noisy=True, checkpoint=tmp_path / "run.pt"))
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.pt"]


def test_a_module_as_loss_resumes_with_its_buffers(tmp_path) -> None:
    """Such as the moving average of MINE."""

    class Moving(nn.Module):
        def __init__(self, model: nn.Module, kill: int) -> None:
            super().__init__()
            # Not a part of this module: its weights are not its buffers.
            self.call, self.kill, self.count = [model], kill, 0
            self.register_buffer("mean", torch.ones((), dtype=torch.float64))

        def forward(self, x, y):
            self.count += 1
            if self.count == self.kill:
                raise KilledError
            loss = (self.call[0](x) - y).square().mean()
            self.mean.mul_(0.9).add_(0.1 * loss.detach())
            return loss / self.mean

    def run(checkpoint=None, kill=0):
        with seeded():
            model = network()
        training = Training(steps=20, evaluate_every=5, checkpoint=checkpoint)
        loss = Moving(model, kill)
        return model, train(model, loss, arrays(), training=training)

    with pytest.raises(KilledError):
        run(tmp_path / "run.pt", kill=13)
    assert_same(run(), run(tmp_path / "run.pt"))


def test_unseeded_loader_resumes_where_only_it_draws(tmp_path) -> None:
    again, _ = resumed(tmp_path / "run.pt", 37, unseeded_loader)
    assert_same(fit(unseeded_loader), again)


def test_loader_that_cannot_be_repeated_is_refused(tmp_path) -> None:
    """Dropout and the order draw from one generator: the second epoch is another one."""
    sentence = "checkpoint must be of the same data, got a loader .* Seed it"
    with pytest.raises(ValueError, match=sentence):
        resumed(tmp_path / "run.pt", 37, unseeded_loader, noisy=True)


# ---------------------------------------------------------------------------- real ends

KILL = """
import os, signal, sys
from pathlib import Path
from tests.training.regression import fit, loader
from infoest.training.checkpoints import digest

def kill(call):
    if call == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)

model, history = fit(loader, noisy=True, checkpoint=Path(sys.argv[1]), before=kill)
print(digest(*model.state_dict().values(), history.to_dict()))
"""


@pytest.mark.slow
def test_resume_after_sigkill(tmp_path) -> None:
    from infoest.training.checkpoints import digest

    def process(kill: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", KILL, str(tmp_path / "run.pt"), str(kill)],
            capture_output=True,
            text=True,
            timeout=120,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )

    assert process(37).returncode == -9
    assert (tmp_path / "run.pt").exists()
    again = process(0)
    model, history = fit(loader, noisy=True)
    expected = digest(*model.state_dict().values(), history.to_dict())
    assert again.stdout.strip() == expected, again.stderr[-2000:]


def test_killed_while_writing(tmp_path, monkeypatch) -> None:
    """The last complete file stands, and the training resumes from it."""
    path = tmp_path / "run.pt"
    save, count = torch.save, 0

    def dies(record, file):
        nonlocal count
        count += 1
        save(record, file)
        if count == 4:
            content = Path(file).read_bytes()
            Path(file).write_bytes(content[: len(content) // 2])
            raise KilledError

    monkeypatch.setattr(torch, "save", dies)
    with pytest.raises(KilledError):
        fit(checkpoint=path, noisy=True)
    monkeypatch.undo()
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.pt"]
    calls: list[int] = []
    assert_same(fit(noisy=True), fit(checkpoint=path, noisy=True, before=calls.append))
    assert len(calls) == 30


# ---------------------------------------------------------------------------- refused files


def test_weights_of_another_training_are_refused(tmp_path) -> None:
    path = tmp_path / "run.pt"
    fit(checkpoint=path)
    written = path.read_bytes()
    others = {
        "data differ": {"source": lambda: arrays(seed=1)},
        "network differ": {"width": 9},
        # Another start of the same layers.
        "network differ.": {"seed": 1},
        "network": {"noisy": True},
        "learning_rate differ": {"learning_rate": 0.03},
        "schedule differ": {"schedule": "constant"},
        "averaging differ": {"averaging": 0.8},
        "weight_decay differ": {"weight_decay": 0.2},
        "clip_norm differ": {"clip_norm": 2.0},
        "patience differ": {"patience": 7},
        "evaluate_every differ": {"evaluate_every": 15},
        "steps, n_steps differ": {"steps": 80},
        "label differ": {"label": "fold 2"},
        "at_start differ": {"at_start": True},
        "held_out differ": {"evaluate": False},
        "keep_snapshots differ": {"keep_snapshots": True},
    }
    start = "checkpoint must be of the same data, untrained network and settings, got .*"
    for sentence, arguments in others.items():
        with pytest.raises(ValueError, match=start + sentence):
            fit(checkpoint=path, before=killed_at(1), **arguments)
        assert path.read_bytes() == written


@pytest.mark.parametrize("source", SOURCES)
def test_data_of_another_training_are_refused(tmp_path, source) -> None:
    fit(source, checkpoint=tmp_path / "run.pt")
    with pytest.raises(ValueError, match="checkpoint must be of the same data"):
        fit(lambda: source(seed=1), checkpoint=tmp_path / "run.pt")


def test_another_order_is_other_data(tmp_path) -> None:
    fit(checkpoint=tmp_path / "run.pt")
    for size, seed in ((16, 4), (12, 3)):
        with pytest.raises(ValueError, match=": data differ"):
            fit(lambda s=size, k=seed: ArrayBatches(*data(), s, k), checkpoint=tmp_path / "run.pt")


def test_progress_and_place_of_the_file_may_differ(tmp_path, capfd) -> None:
    with pytest.raises(KilledError):
        fit(checkpoint=tmp_path / "run.pt", before=killed_at(37))
    (tmp_path / "run.pt").rename(tmp_path / "moved.pt")
    again = fit(checkpoint=tmp_path / "moved.pt", progress=True)
    assert_same(fit(), again)


def test_a_refused_checkpoint_leaves_the_network(tmp_path) -> None:
    path = tmp_path / "run.pt"
    fit(checkpoint=path)
    with seeded():
        model = network()
    before = weights(model)
    with pytest.raises(ValueError, match="network"):
        train(
            model,
            lambda x, y: model(x).mean(),
            arrays(),
            training=Training(steps=5, checkpoint=path),
        )
    assert all(torch.equal(before[name], now) for name, now in weights(model).items())


class Evil:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self):
        return (os.mkdir, (str(self.folder),))


def _damage(path: Path, how: str) -> None:
    content = bytearray(path.read_bytes())
    if how == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "text":
        path.write_text("not a checkpoint")
    elif how == "a list":
        torch.save([1, 2, 3], path)
    elif how == "other keys":
        torch.save({"weights": torch.zeros(3)}, path)
    elif how == "a pickle":
        path.write_bytes(pickle.dumps({"training": {}}))
    elif how == "code":
        torch.save({"training": Evil(path.parent / "evil")}, path)
    else:
        record = torch.load(path, weights_only=True)
        if how == "no history":
            del record["history"]
        elif how == "best of another shape":
            record["best"]["0.weight"] = torch.zeros(5, 5)
        elif how == "few averages":
            record["average"].pop()
        elif how == "no processes":
            record["of_processes"] = []
        torch.save(record, path)


@pytest.mark.parametrize(
    "how",
    [
        "cut",
        "empty",
        "text",
        "a list",
        "other keys",
        "a pickle",
        "code",
        "no history",
        "best of another shape",
        "few averages",
        "no processes",
    ],
)
def test_damaged_files_are_refused(tmp_path, how) -> None:
    path = tmp_path / "run.pt"
    fit(checkpoint=path)
    _damage(path, how)
    sentence = r"checkpoint must be a file that a training wrote, got '.*run.pt', which is damaged"
    with pytest.raises(ValueError, match=sentence) as caught:
        fit(checkpoint=path, before=killed_at(1))
    assert "weights_only" not in str(caught.value)
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.pt"]


# ---------------------------------------------------------------------------- refused places


def test_places_that_cannot_be_written_are_refused_at_once(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    for path, why in [
        (tmp_path / "no such folder" / "run.pt", "No such file or directory"),
        (tmp_path / "file" / "run.pt", "Not a directory"),
        (Path("/proc/run.pt"), ""),
        (tmp_path / ("long" * 100), "File name too long"),
    ]:
        sentence = rf"checkpoint must be a file that can be written, got '.*' \(.*{why}"
        with pytest.raises(ValueError, match=sentence):
            fit(checkpoint=path, before=killed_at(1))
    with pytest.raises(ValueError, match="checkpoint must be a file, got the folder"):
        fit(checkpoint=tmp_path, before=killed_at(1))
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_disk_that_fills_up_keeps_the_weights(tmp_path, monkeypatch) -> None:
    count = 0

    def full(record, file):
        nonlocal count
        count += 1
        if count == 3:
            raise OSError(28, "No space left on device")
        return save(record, file)

    save = torch.save
    monkeypatch.setattr(torch, "save", full)
    with seeded():
        model = network()
    training = Training(steps=40, evaluate_every=5, checkpoint=tmp_path / "run.pt")
    with pytest.raises(ValueError, match=r"checkpoint must be .* \(No space left"):
        train(model, lambda x, y: (model(x) - y).square().mean(), arrays(), training=training)
    with seeded():
        other = network()
    short = Training(steps=15, evaluate_every=5)
    train(other, lambda x, y: (other(x) - y).square().mean(), arrays(), training=short)
    for name, tensor in other.state_dict().items():
        assert torch.equal(tensor, model.state_dict()[name])
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.pt"]


def test_the_data_are_hashed_once(tmp_path, monkeypatch) -> None:
    count = 0
    source = arrays()
    found = source.fingerprint()

    def fingerprint() -> str:
        nonlocal count
        count += 1
        return found

    monkeypatch.setattr(source, "fingerprint", fingerprint)
    fit(lambda: source, checkpoint=tmp_path / "run.pt")
    assert count == 1
    fit(lambda: source)
    assert count == 1


def test_a_diverged_training_diverges_again(tmp_path) -> None:
    """Its checkpoint holds the good weights before; nothing hides that it failed."""

    def run():
        with seeded():
            model = network()
        calls = 0

        def loss(x, y):
            nonlocal calls
            calls += 1
            return (model(x) - y).square().mean() * (float("nan") if x[0, 0] == bad else 1.0)

        training = Training(steps=60, evaluate_every=2, checkpoint=tmp_path / "run.pt")
        train(model, loss, arrays(), training=training)

    source = arrays()
    firsts = [float(source.next()[0][0, 0]) for _ in range(12)]
    bad = next(first for step, first in enumerate(firsts) if step > 4 and firsts.count(first) == 1)
    for _ in range(2):
        with pytest.raises(TrainingDivergedError, match=f"at step {firsts.index(bad) + 1} "):
            run()


def test_streams_resume_through_workers(tmp_path) -> None:
    """Batches that other processes read come in the same order."""

    def source():
        generator = torch.Generator().manual_seed(1)
        rows = DataLoader(Rows(), batch_size=16, shuffle=True, generator=generator, num_workers=1)
        return LoaderBatches(rows, unchanged)

    settings = {"steps": 20, "evaluate_every": 5}
    again, _ = resumed(tmp_path / "run.pt", 13, source, **settings)
    assert_same(fit(source, **settings), again)


def test_the_rest_of_a_stream_is_what_comes_next(tmp_path) -> None:
    with pytest.raises(KilledError):
        fit(stream, checkpoint=tmp_path / "run.pt", before=killed_at(31))
    seen: list[torch.Tensor] = []

    def watched():
        source = stream()
        following = source.next

        def note():
            pair = following()
            seen.append(pair[0])
            return pair

        source.next = note
        return source

    fit(watched, checkpoint=tmp_path / "run.pt")
    with seeded():  # a DataLoader draws a seed for its workers, even without any
        fresh = stream()
    for _ in range(30):
        fresh.next()
    assert torch.equal(seen[0], fresh.next()[0])
    assert len(seen) == 30
    assert loop_module.STEPS_BETWEEN_READS > 1
