"""Saved critic estimators: the same values after loading, and refusal of anything else."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

import infoest
from infoest import METHODS
from infoest.critics import BilinearCritic, JointCritic, SeparableCritic
from infoest.datasets import correlated_normal
from infoest.estimators import _saving
from infoest.estimators.neighbor_entropy import KozachenkoLeonenko
from infoest.estimators.variational import CriticEstimator
from infoest.training import Training

SHORT = Training(steps=20)
NAMES = [name for name in METHODS if issubclass(METHODS[name], CriticEstimator)]
DENSITIES = ("club", "leave_one_out", "barber_agakov", "difference_of_entropies")
X, Y, _ = correlated_normal(200, rho=0.7, dim=2, random_state=0)
NEW_X, NEW_Y, _ = correlated_normal(120, rho=0.7, dim=2, random_state=1)
LABELS = np.array(["b", "a", "d"])[np.digitize(Y[:, 0], [-0.5, 0.7])]
NEW_LABELS = np.array(["b", "a", "d"])[np.digitize(NEW_Y[:, 0], [-0.5, 0.7])]


class Own(nn.Module):
    """A critic of a user, with a buffer, and one weight under two names."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.of_x, self.of_y = nn.Linear(2, width), nn.Linear(2, width)
        self.again = self.of_x
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))
        # Not contiguous.
        self.spare = nn.Parameter(torch.zeros(3, 2).T)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        self.calls += self.training
        return self.of_x(x) @ self.of_y(y).T + 0.0 * self.spare.sum()


def built(critic: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return critic()


def assert_same_values(one: Any, other: Any, *data: object, **settings: Any) -> None:
    found, again = one.evaluate(*data, **settings), other.evaluate(*data, **settings)
    assert found.to_dict() == again.to_dict()
    assert np.array_equal(one.pointwise(*data, **settings), other.pointwise(*data, **settings))
    assert torch.equal(
        torch.cat([weight.flatten() for weight in one.critic_.parameters()]),
        torch.cat([weight.flatten() for weight in other.critic_.parameters()]),
    )
    pd.testing.assert_frame_equal(one.history_, other.history_, check_exact=True)
    assert one.ended_ == other.ended_


def fitted(**settings: Any) -> infoest.SMILE:
    return infoest.SMILE(**{"training": SHORT, **settings}).fit(X, Y)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "smile"
    fitted().save(folder)
    return folder


@pytest.fixture
def saved(tmp_path: Path, original: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "smile"))


def changed(folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """Change the JSON of a saved estimator."""
    record = json.loads((folder / "estimator.json").read_text())
    change(record)
    (folder / "estimator.json").write_text(json.dumps(record))
    return folder


def with_tensors(folder: Path, change: Callable[[dict[str, Tensor]], object]) -> Path:
    """Change the tensors of a saved estimator, and their hash in the JSON."""
    tensors = safetensors.torch.load_file(folder / "weights.safetensors")
    change(tensors)
    content = safetensors.torch.save(tensors)
    (folder / "weights.safetensors").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    return changed(folder, lambda record: record.update(weights=digest))


# ------------------------------------------------------------------------------- the same values


@pytest.mark.parametrize("name", NAMES)
def test_values_are_the_same_bit_for_bit(tmp_path, name) -> None:
    estimator = METHODS[name](training=SHORT, random_state=5).fit(X, Y)
    estimator.save(tmp_path / "folder")
    loaded = METHODS[name].load(tmp_path / "folder")
    assert type(loaded) is METHODS[name]
    assert loaded.get_params() == estimator.get_params()
    assert_same_values(estimator, loaded, NEW_X, NEW_Y)
    assert loaded.estimate(X, Y).to_dict() == estimator.estimate(X, Y).to_dict()


@pytest.mark.parametrize("side", ["x", "y", "both"])
@pytest.mark.parametrize("name", ["noise_contrastive", "tuba", "flo", *DENSITIES])
def test_labels(tmp_path, name, side) -> None:
    data = {"x": (LABELS, Y), "y": (X, LABELS), "both": (LABELS, LABELS)}[side]
    new = {"x": (NEW_LABELS, NEW_Y), "y": (NEW_X, NEW_LABELS), "both": (NEW_LABELS, NEW_LABELS)}
    estimator = METHODS[name](training=SHORT).fit(*data, discrete=side)
    estimator.save(tmp_path / "folder")
    loaded = METHODS[name].load(tmp_path / "folder")
    assert_same_values(estimator, loaded, *new[side], discrete=side)


@pytest.mark.parametrize("decoder", ["diagonal", "mixture"])
@pytest.mark.parametrize("name", DENSITIES)
def test_decoders(tmp_path, name, decoder) -> None:
    estimator = METHODS[name](training=SHORT, decoder=decoder).fit(X, Y)
    estimator.save(tmp_path / "folder")
    assert_same_values(estimator, METHODS[name].load(tmp_path / "folder"), NEW_X, NEW_Y)


@pytest.mark.parametrize("copula", ["student", "gaussian"])
def test_copulas(tmp_path, copula) -> None:
    estimator = infoest.NoiseContrastive(training=SHORT, copula=copula).fit(X, Y)
    estimator.save(tmp_path / "folder")
    loaded = infoest.NoiseContrastive.load(tmp_path / "folder")
    assert_same_values(estimator, loaded, NEW_X, NEW_Y)


@pytest.mark.parametrize(
    "critic",
    [
        lambda: SeparableCritic(2, 2, width=8, depth=2, dropout=0.1, unary=False),
        lambda: JointCritic(2, 2, width=8, bilinear=False),
        lambda: BilinearCritic(2, 2),
    ],
    ids=["separable", "joint", "bilinear"],
)
@pytest.mark.parametrize("inputs", ["raw", "standardized"])
def test_critics_that_were_given(tmp_path, critic, inputs) -> None:
    """They are parameters: their untrained weights are saved, too."""
    training = Training(steps=20, dtype="float64")
    estimator = fitted(critic=built(critic), inputs=inputs, training=training)
    estimator.save(tmp_path / "folder")
    loaded = infoest.SMILE.load(tmp_path / "folder")
    assert_same_values(estimator, loaded, NEW_X, NEW_Y)
    assert repr(loaded.critic) == repr(estimator.critic)
    for one, other in zip(loaded.critic.parameters(), estimator.critic.parameters(), strict=True):
        assert torch.equal(one, other)
        assert one.requires_grad
    assert loaded.estimate(X, Y).to_dict() == estimator.estimate(X, Y).to_dict()


def test_a_critic_of_the_user(tmp_path) -> None:
    estimator = fitted(critic=built(Own))
    estimator.save(tmp_path / "folder")
    untrained = built(Own)
    before = {name: value.clone() for name, value in untrained.state_dict().items()}
    loaded = infoest.SMILE.load(tmp_path / "folder", critic=untrained)
    assert_same_values(estimator, loaded, NEW_X, NEW_Y)
    assert loaded.critic is untrained
    assert int(loaded.critic_.calls) == 20
    for name, value in untrained.state_dict().items():
        assert torch.equal(value, before[name]), "the caller's module was changed"


def test_a_built_in_critic_that_was_changed_is_one_of_the_user(tmp_path) -> None:
    def changed_critic() -> nn.Module:
        critic = SeparableCritic(2, 2, width=8)
        critic.network_x[1] = nn.Tanh()
        return critic

    estimator = fitted(critic=built(changed_critic))
    estimator.save(tmp_path / "folder")
    with pytest.raises(ValueError, match=r"^critic must be the untrained SeparableCritic that was"):
        infoest.SMILE.load(tmp_path / "folder")
    loaded = infoest.SMILE.load(tmp_path / "folder", critic=built(changed_critic))
    assert_same_values(estimator, loaded, NEW_X, NEW_Y)


@pytest.mark.parametrize(
    "estimator",
    [
        infoest.SMILE(clip=float("inf"), training=SHORT),
        infoest.SMILE(clip=None, training=SHORT, random_state=None),
        infoest.NoiseContrastive(negatives=np.int64(8), training=SHORT, test_block=32),
        infoest.InfoNCEAnchor(weight=np.float64(3.0), training=SHORT),
        infoest.BarberAgakov(entropy=KozachenkoLeonenko(k=7), training=SHORT),
        infoest.MINE(rate=0.1, training=Training(steps=4, checkpoint=None, patience=None)),
    ],
    ids=lambda estimator: repr(estimator)[:40],
)
def test_parameters(tmp_path, estimator) -> None:
    estimator.fit(X, Y).save(tmp_path / "folder")
    loaded = type(estimator).load(tmp_path / "folder")
    assert repr(loaded) == repr(estimator).replace("np.int64(8)", "8").replace(
        "np.float64(3.0)", "3.0"
    )
    assert_same_values(estimator, loaded, NEW_X, NEW_Y)


def test_labels_come_back_as_they_were(tmp_path) -> None:
    rng = np.random.default_rng(0)
    for number, labels in enumerate(
        (
            rng.integers(3, 6, 200),
            rng.random(200) < 0.5,
            np.array(["b", 3, True], dtype=object)[rng.integers(0, 3, 200)],
            pd.DataFrame({"a": rng.integers(0, 2, 200), "b": rng.choice(["u", "v"], 200)}),
        )
    ):
        estimator = infoest.SMILE(training=SHORT).fit(X, labels, discrete="y")
        estimator.save(tmp_path / str(number))
        loaded = infoest.SMILE.load(tmp_path / str(number))
        assert_same_values(estimator, loaded, X[:40], labels[:40], discrete="y")


def test_a_class_of_the_user_loads_itself(tmp_path) -> None:
    class Doubled(infoest.SMILE):
        pass

    estimator = Doubled(training=SHORT).fit(X, Y)
    estimator.save(tmp_path / "folder")
    assert_same_values(estimator, Doubled.load(tmp_path / "folder"), NEW_X, NEW_Y)
    with pytest.raises(ValueError, match=r"^path must hold an estimator that saves .*'Doubled'"):
        infoest.SMILE.load(tmp_path / "folder")


def test_the_base_loads_any(saved) -> None:
    assert type(CriticEstimator.load(saved)) is infoest.SMILE


# --------------------------------------------------------------------------------------- folders


def test_a_folder_holds_two_files_and_is_replaced(tmp_path) -> None:
    estimator = fitted()
    estimator.save(str(tmp_path / "folder"))
    first = (tmp_path / "folder" / "weights.safetensors").read_bytes()
    other = fitted(random_state=1)
    other.save(tmp_path / "folder")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["folder"]
    names = sorted(entry.name for entry in (tmp_path / "folder").iterdir())
    assert names == ["estimator.json", "weights.safetensors"]
    assert (tmp_path / "folder" / "weights.safetensors").read_bytes() != first
    assert_same_values(other, infoest.SMILE.load(tmp_path / "folder"), NEW_X, NEW_Y)
    (tmp_path / "empty").mkdir()
    estimator.save(tmp_path / "empty")
    assert_same_values(estimator, infoest.SMILE.load(tmp_path / "empty"), NEW_X, NEW_Y)


def test_the_same_estimator_is_saved_as_the_same_bytes(tmp_path) -> None:
    estimator = fitted()
    for name in "ab":
        estimator.save(tmp_path / name)
    for name in ("estimator.json", "weights.safetensors"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_only_fitted_estimators(tmp_path) -> None:
    with pytest.raises(infoest._validation.NotFittedError, match=r"^SMILE must be fitted first"):
        infoest.SMILE().save(tmp_path / "folder")
    assert not list(tmp_path.iterdir())


def test_folders_that_cannot_be_written(tmp_path) -> None:
    estimator = fitted()
    (tmp_path / "file").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    for path, message in (
        (tmp_path / "missing" / "folder", r"^path must be a folder that can be written, .* inside"),
        (tmp_path / "file", r"^path must be a folder, got the file"),
        (tmp_path / "file" / "folder", r"^path must be a folder that can be written"),
        (tmp_path / "full", r"^path must be a folder of its own, .* holds 'notes.txt'. Name a"),
    ):
        with pytest.raises(ValueError, match=message):
            estimator.save(path)
    with pytest.raises(TypeError, match=r"^path must be a string or a path, got 3"):
        estimator.save(3)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "full"]
    assert (tmp_path / "full" / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("step", ["write_bytes", "rename"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_never_half_a_folder(tmp_path, monkeypatch, step, error) -> None:
    """What was there stays, whatever goes wrong on the way."""
    first = fitted()
    first.save(tmp_path / "folder")
    other = fitted(random_state=1)
    calls = 0
    target = Path if step == "write_bytes" else os
    right = getattr(target, step)

    def fail_second(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise error
        return right(*arguments)

    monkeypatch.setattr(target, step, fail_second)
    with pytest.raises((ValueError, KeyboardInterrupt), match=r"No space left|^$"):
        other.save(tmp_path / "folder")
    monkeypatch.undo()
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder"]
    assert_same_values(first, infoest.SMILE.load(tmp_path / "folder"), NEW_X, NEW_Y)


class WithExtraState(Own):
    def get_extra_state(self) -> dict[str, int]:
        return {"a": 1}

    def set_extra_state(self, state: dict[str, int]) -> None:
        pass


class OtherEntropy(KozachenkoLeonenko):
    """A class that is no method of the library."""


def test_what_cannot_be_saved_is_said(tmp_path) -> None:
    with pytest.raises(TypeError, match=r"^critic must have a state of tensors to be saved, got d"):
        fitted(critic=built(WithExtraState)).save(tmp_path / "folder")
    estimator = infoest.BarberAgakov(entropy=OtherEntropy(), training=SHORT).fit(X, Y)
    with pytest.raises(TypeError, match=r"^entropy must be a number, a string, a list, or an est"):
        estimator.save(tmp_path / "folder")
    dates = np.array(["2020-01-01", "2020-01-02"], dtype="datetime64[D]")[(Y[:, 0] > 0).astype(int)]
    with pytest.raises(TypeError, match=r"^y must have labels that are numbers or strings"):
        infoest.SMILE(training=SHORT).fit(X, dates, discrete="y").save(tmp_path / "folder")
    assert not list(tmp_path.iterdir())


# --------------------------------------------------------------------------------------- refusal


def test_folders_that_are_not_there_or_not_ours(tmp_path, saved) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("{}")
    for path, why in (
        (tmp_path / "nowhere", "there is no such folder"),
        (tmp_path / "file", "there is no such folder"),
        (tmp_path / "empty", "estimator.json cannot be read"),
    ):
        with pytest.raises(ValueError, match=rf"^path must be a folder that save wrote.*{why}"):
            infoest.SMILE.load(path)
    (saved / "weights.safetensors").unlink()
    with pytest.raises(ValueError, match=r"weights.safetensors cannot be read \(No such file"):
        infoest.SMILE.load(saved)


def test_a_later_format(saved) -> None:
    changed(saved, lambda record: record.update(format=2, infoest="7.1", more={}))
    sentence = r"^path must hold format 1 at most, got 2 in .*written by infoest 7\.1\. Install"
    with pytest.raises(ValueError, match=sentence):
        infoest.SMILE.load(saved)


def test_another_class(saved) -> None:
    with pytest.raises(
        ValueError, match=r"^path must hold a MINE, got a SMILE in .*Use SMILE.load"
    ):
        infoest.MINE.load(saved)
    for name in ("KSG", "SMILEY", "os.system", "Auto", ""):
        changed(saved, lambda record, name=name: record.update(estimator=name))
        with pytest.raises(ValueError, match=r"^path must hold an estimator that saves itself"):
            infoest.SMILE.load(saved)


def test_tampered_tensors(saved) -> None:
    path = saved / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(
        ValueError, match=r"weights.safetensors is not the file that estimator.json"
    ):
        infoest.SMILE.load(saved)
    for content in (b"", b"\x80\x04", b"\xff" * 64):
        path.write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        changed(saved, lambda record, digest=digest: record.update(weights=digest))
        with pytest.raises(ValueError, match=r"weights.safetensors is no safetensors file"):
            infoest.SMILE.load(saved)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "3",
        "null",
        '{"format": NaN}',
        "[" * 100000,
        '{"format": 0}',
        '{"format": true}',
    ],
    ids=lambda text: text[:16],
)
def test_no_json_of_ours(saved, text) -> None:
    (saved / "estimator.json").write_text(text)
    with pytest.raises(ValueError, match=r"^path must be a folder that save wrote"):
        infoest.SMILE.load(saved)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"\x00"])
def test_bytes_that_are_no_text(saved, content) -> None:
    (saved / "estimator.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"estimator.json is no JSON"):
        infoest.SMILE.load(saved)


def _set(*path: str | int, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(record: Any) -> None:
        for key in path[:-1]:
            record = record[key]
        record[path[-1]] = value

    return change


def _drop(*path: str | int) -> Callable[[dict[str, Any]], None]:
    def change(record: Any) -> None:
        for key in path[:-1]:
            record = record[key]
        del record[path[-1]]

    return change


@pytest.mark.parametrize(
    "change",
    [
        *(_drop(name) for name in ("infoest", "parameters", "critic", "maps", "ended", "weights")),
        _set("infoest", value=3),
        _set("maps", value={}),
        _set("maps", value=[]),
        _set("maps", value=[1, 2]),
        _set("maps", 0, value={}),
        _set("critic", value="SeparableCritic"),
        _set("parameters", value=[]),
        _set("weights", value=None),
        _set("ended", value="well"),
        _set("more", value=1),
        _drop("critic", "given"),
        _set("critic", "name", value="Linear"),
        _set("critic", "name", value="torch.nn.Linear"),
        _set("critic", "name", value=["SeparableCritic"]),
        _set("critic", "arguments", value=[]),
        _set("critic", "arguments", value={}),
        _set("critic", "arguments", "width", value=7),
        _set("critic", "arguments", "width", value="7"),
        _set("critic", "arguments", "width", value=10**15),
        _set("critic", "arguments", "depth", value=10**15),
        _set("critic", "arguments", "features_x", value=3),
        _set("critic", "arguments", "bilinear", value=False),
        _set("critic", "arguments", "more", value=1),
        _set("critic", "given", value=True),
        _drop("maps", 0, "kind"),
        _set("maps", 0, "kind", value="labels"),
        _set("maps", 0, "kind", value="raw"),
        _set("maps", 1, "kind", value="standardized"),
        _set("maps", 1, "kind", value="ranks"),
        _set("maps", 1, "shape", value=[3]),
        _set("maps", 1, "shape", value=[-2]),
        _set("maps", 1, "shape", value="2"),
        _set("maps", 1, "shape", value=2),
        _drop("parameters", "clip"),
        _set("parameters", "more", value=1),
        _set("parameters", "clip", value="five"),
        _set("parameters", "clip", value=-1.0),
        _set("parameters", "n_splits", value=1),
        _set("parameters", "n_splits", value=None),
        _set("parameters", "inputs", value="ranks"),
        _set("parameters", "random_state", value="now"),
        _set("parameters", "training", value={"steps": 3}),
        _set("parameters", "training", value=3),
        _set("parameters", "training", "training", "steps", value=0),
        _set("parameters", "training", "training", "dtype", value="float16"),
        _set("parameters", "training", "training", "dtype", value="float64"),
        _set("parameters", "training", "training", "more", value=1),
        _set("parameters", "clip", value={"estimator": "os", "parameters": {}}),
        _set("parameters", "clip", value={"estimator": "ksg", "parameters": {"j": 3}}),
        _set("parameters", "clip", value={"number": "1e3"}),
        _set("parameters", "clip", value={"__class__": "x"}),
    ],
)
def test_changed_json(saved, change) -> None:
    changed(saved, change)
    with pytest.raises(ValueError, match=r"^path must be a folder that save wrote.*Save the"):
        infoest.SMILE.load(saved)


@pytest.mark.parametrize(
    "change",
    [
        lambda tensors: tensors.pop("history"),
        lambda tensors: tensors.update(history=torch.zeros(3)),
        lambda tensors: tensors.update(history=torch.full((2, 4), torch.nan)),
        lambda tensors: tensors.pop("maps.x.knots"),
        lambda tensors: tensors.update({"maps.y.knots": torch.zeros(2, 3)}),
        lambda tensors: tensors.update({"maps.y.levels": torch.zeros(2)}),
        lambda tensors: tensors.pop("scorer.critic.network_x.0.bias"),
        lambda tensors: tensors.update({"scorer.critic.network_x.0.bias": torch.zeros(3)}),
        lambda tensors: tensors.update({"scorer.critic.more": torch.zeros(3)}),
        lambda tensors: tensors.update({"scorer.more": torch.zeros(3)}),
        lambda tensors: tensors.update({"untrained.more": torch.zeros(3)}),
        lambda tensors: tensors.update(more=torch.zeros(3)),
        lambda tensors: tensors.update(
            {"scorer.critic.network_x.0.bias": tensors["scorer.critic.network_x.0.bias"].double()}
        ),
    ],
)
def test_changed_tensors(saved, change) -> None:
    with_tensors(saved, change)
    with pytest.raises(ValueError, match=r"^path must be a folder that save wrote.*Save the"):
        infoest.SMILE.load(saved)


def test_second_networks_are_checked(tmp_path) -> None:
    infoest.FLO(training=SHORT).fit(X, Y).save(tmp_path / "flo")
    with_tensors(tmp_path / "flo", lambda tensors: tensors.pop("scorer.level.0.bias"))
    with pytest.raises(ValueError, match=r"weights.safetensors differs in 'level.0.bias'"):
        infoest.FLO.load(tmp_path / "flo")


@pytest.mark.parametrize(
    "labels",
    [None, {"rows": [["a"]], "objects": False}, {"rows": "abc", "objects": False}, {"rows": []}],
)
def test_changed_labels(tmp_path, labels) -> None:
    infoest.SMILE(training=SHORT).fit(X, LABELS, discrete="y").save(tmp_path / "folder")
    changed(tmp_path / "folder", _set("maps", 1, "labels", value=labels))
    with pytest.raises(ValueError, match=r"^path must be a folder that save wrote.*labels must"):
        infoest.SMILE.load(tmp_path / "folder")


def test_critics_that_do_not_fit(tmp_path, saved) -> None:
    with pytest.raises(ValueError, match=r"^critic must be None for a SeparableCritic, which is"):
        infoest.SMILE.load(saved, critic=built(Own))
    fitted(critic=built(Own)).save(tmp_path / "own")
    with pytest.raises(ValueError, match=r"^critic must be the untrained Own that was fitted, got"):
        infoest.SMILE.load(tmp_path / "own")
    with pytest.raises(ValueError, match=r"^critic must be the untrained module .* differs in"):
        infoest.SMILE.load(tmp_path / "own", critic=built(lambda: Own(width=5)))
    with pytest.raises(ValueError, match=r"^critic must be the untrained module .* differs in"):
        infoest.SMILE.load(tmp_path / "own", critic=built(lambda: BilinearCritic(2, 2)))
    with pytest.raises(TypeError, match=r"^critic must be an nn.Module, got 'own'"):
        infoest.SMILE.load(tmp_path / "own", critic="own")


def test_a_device_that_is_not_here(saved) -> None:
    changed(saved, _set("parameters", "training", "training", "device", value="cuda:7"))
    with pytest.raises(ValueError, match=r"^device must be given .*'cuda:7', which is not here"):
        infoest.SMILE.load(saved)
    loaded = infoest.SMILE.load(saved, device="cpu")
    assert loaded.training.device == "cuda:7"
    assert_same_values(fitted(), loaded, NEW_X, NEW_Y)
    with pytest.raises(ValueError, match=r"^device must be one of"):
        infoest.SMILE.load(saved, device="gpu")


def test_every_critic_of_the_library_is_known() -> None:
    """A new one must be added to the table, else it is taken for the user's."""
    import infoest.critics as critics
    from infoest.estimators import _decoders

    def concrete(module: Any) -> set[str]:
        return {
            name
            for name, value in vars(module).items()
            if isinstance(value, type)
            and issubclass(value, nn.Module)
            and value.__module__ == module.__name__
            and "arguments" in value.__init__.__code__.co_names
            and not getattr(value, "__abstractmethods__", ())
        }

    decoders = {name for name in concrete(_decoders) if name != "Decoder"} | {"CategoricalDecoder"}
    assert set(_saving.CRITICS) == concrete(critics) | decoders
