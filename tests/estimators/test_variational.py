"""Critic estimators: maps, held-out values against the bounds, cross-fit, fit, errors."""

from __future__ import annotations

import dataclasses
import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import infoest
from infoest.critics import BilinearCritic, JointCritic, SeparableCritic
from infoest.datasets import correlated_normal
from infoest.estimators._evaluation import score_pairs, values_of
from infoest.estimators._inputs import InputMap
from infoest.estimators._scorers import BaselineScorer, DualScorer, Scorer
from infoest.functional import bounds
from infoest.functional.ranks import normal_scores
from infoest.training import ArrayBatches, Training, TrainingDivergedError

SHORT = Training(steps=30, learning_rate=3e-3)


class Exact(nn.Module):
    """The log density ratio of standard normal pairs of correlation rho, and a spare weight."""

    pairs_are_cheap = True

    def __init__(self, rho: float, shift: float = 0.0) -> None:
        super().__init__()
        self.rho, self.shift = rho, nn.Parameter(torch.tensor(shift))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        rho = self.rho
        square = rho**2 * (x**2 + (y**2).T) - 2.0 * rho * x @ y.T
        return -0.5 * np.log(1.0 - rho**2) - square / (2.0 * (1.0 - rho**2)) + self.shift


class WrongShape(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, 1))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return (x @ self.weight)[:, 0]


# ------------------------------------------------------------------------------------------ maps


def test_normal_scores_of_the_training_rows() -> None:
    rows = np.random.default_rng(0).normal(size=(300, 2)) ** 3 * 1e6
    mapped = InputMap.fit(rows, "normal_scores")(torch.from_numpy(rows))
    assert np.allclose(mapped.numpy(), normal_scores(rows), atol=1e-12)
    beyond = InputMap.fit(rows, "normal_scores")(torch.from_numpy(rows[:1] * 0.0 + 1e12))
    assert beyond.numpy().ravel() == pytest.approx(normal_scores(rows).max(axis=0))


def test_normal_scores_of_ties_and_of_a_constant_column() -> None:
    rows = np.array([[0.0, 5.0], [0.0, 5.0], [1.0, 5.0], [2.0, 5.0]])
    mapped = InputMap.fit(rows, "normal_scores")(torch.from_numpy(rows)).numpy()
    assert np.allclose(mapped[:, 0], normal_scores(rows)[:, 0])
    assert not mapped[:, 1].any()


def test_standardized_and_labels() -> None:
    rows = np.random.default_rng(0).normal(3.0, 2.0, size=(50, 2))
    rows[:, 1] = 7.0
    mapped = InputMap.fit(rows, "standardized")(torch.from_numpy(rows)).numpy()
    assert mapped[:, 0].mean() == pytest.approx(0.0, abs=1e-12)
    assert mapped[:, 0].std() == pytest.approx(1.0)
    assert not mapped[:, 1].any()
    codes = np.array([0, 2, 1])
    assert np.array_equal(
        InputMap.fit(codes, "raw", n_labels=3)(torch.from_numpy(codes)).numpy(), np.eye(3)[codes]
    )


# ---------------------------------------------------------------------------------------- values


def test_values_are_those_of_the_bounds() -> None:
    x, y, _ = correlated_normal(200, rho=0.8, random_state=0)
    x, y = torch.from_numpy(x), torch.from_numpy(y)
    critic = Exact(0.8).double()
    found = values_of(score_pairs(Scorer(critic), x, y, block=None), 5.0)
    with torch.no_grad():
        scores = critic(x, y)
    assert found["donsker_varadhan"] == pytest.approx(float(bounds.donsker_varadhan(scores)))
    assert found["nwj"] == pytest.approx(float(bounds.nwj(scores + 1.0)))
    assert found["infonce"] == pytest.approx(float(bounds.infonce(scores)))
    assert found["smile"] == pytest.approx(float(bounds.smile(scores, 5.0)))


def test_square_blocks_pair_rows_with_their_own() -> None:
    x, y, _ = correlated_normal(70, rho=0.8, random_state=0)
    x, y = torch.from_numpy(x), torch.from_numpy(y)
    scorer = Scorer(Exact(0.8).double())
    blocks = score_pairs(scorer, x, y, block=32, keep_blocks=True)
    whole = score_pairs(scorer, x, y, block=None)
    assert torch.equal(blocks.statistics.joint, whole.statistics.joint)
    assert blocks.n_columns == 32
    assert [tuple(block.shape) for block in blocks.blocks] == [(32, 32), (32, 32)]


def test_scorers_are_their_formulas() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        critic = SeparableCritic(2, 2).double()
        baseline, dual = BaselineScorer(critic, 2).double(), DualScorer(critic, 4).double()
        for weight in (*baseline.parameters(), *dual.parameters()):
            weight.data += 0.1 * torch.randn_like(weight)
        x, y = torch.randn(5, 2).double(), torch.randn(5, 2).double()
    places, scores = torch.arange(5), critic(x, y)
    a = baseline.baseline(x)[:, 0]
    lowered = baseline(x, y, places)
    assert torch.allclose(bounds.nwj(lowered + 1.0), bounds.tuba(scores, a))
    assert torch.allclose(
        bounds.interpolated(lowered, alpha=0.3), bounds.interpolated(scores, a, alpha=0.3)
    )
    level = dual.level(torch.cat([x, y], dim=1))[:, 0]
    assert torch.allclose(bounds.nwj(dual(x, y, places) + 1.0), bounds.flo(scores, -level))


@pytest.mark.parametrize(
    "estimator",
    [
        infoest.NoiseContrastive(),
        infoest.DonskerVaradhan(),
        infoest.MINE(),
        infoest.JensenShannon(),
        infoest.SMILE(),
        infoest.InfoNCE(),
        infoest.InfoNCEAnchor(),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
@pytest.mark.parametrize("rho", [0.3, 0.6, 0.8])
def test_tight_at_the_optimal_critic(estimator: infoest.SMILE, rho: float) -> None:
    """An untrained step or two from the true log ratio, on the true scale."""
    x, y, truth = correlated_normal(4000, rho=rho, random_state=0)
    estimator.set_params(
        critic=Exact(rho), inputs="raw", n_splits=2, training=Training(steps=1, learning_rate=1e-9)
    )
    found = estimator.estimate(x, y)
    assert found.std_error is not None
    assert abs(found.value - truth) < 4.0 * found.std_error


def test_a_constant_in_the_scores_is_calibrated_away() -> None:
    x, y, truth = correlated_normal(4000, rho=0.7, random_state=0)
    found = infoest.NoiseContrastive(
        critic=Exact(0.7, shift=3.0),
        inputs="raw",
        n_splits=2,
        training=Training(steps=1, learning_rate=1e-9),
    ).estimate(x, y)
    assert found.value == pytest.approx(truth, abs=0.06)
    assert found.info["mean_score"] == pytest.approx(truth + 3.0, abs=0.06)


def test_unchanged_by_increasing_maps() -> None:
    x, y, _ = correlated_normal(300, rho=0.7, random_state=0)
    estimator = infoest.NoiseContrastive(n_splits=2, training=SHORT)
    plain, mapped = estimator.estimate(x, y), estimator.estimate(np.exp(x), y**3)
    assert mapped.value == pytest.approx(plain.value, abs=1e-3)


def test_infonce_never_exceeds_log_n_and_says_so() -> None:
    x, y, _ = correlated_normal(100, rho=0.9999, random_state=0)
    found = infoest.InfoNCE(critic=Exact(0.9999), inputs="raw", n_splits=2, training=SHORT)
    estimate = found.estimate(x, y)
    assert estimate.value <= np.log(50) + 1e-9
    assert estimate.has("saturated_at_log_n")


# --------------------------------------------------------------------------------- fit, evaluate


def test_fit_and_evaluate() -> None:
    x, y, truth = correlated_normal(1500, rho=0.7, random_state=0)
    new_x, new_y, _ = correlated_normal(800, rho=0.7, random_state=1)
    critic = BilinearCritic(1, 1)
    estimator = infoest.NoiseContrastive(
        critic=critic, training=Training(steps=200, learning_rate=2e-2)
    )
    with pytest.raises(infoest._validation.NotFittedError, match=r"must be fitted first"):
        estimator.evaluate(x, y)
    assert estimator.fit(x, y) is estimator
    found = estimator.evaluate(new_x, new_y)
    assert found.value == pytest.approx(truth, abs=0.08)
    assert found.n_samples == 800
    assert not any(weight.any() for weight in critic.parameters()), "the parameter was trained"
    assert list(estimator.history_.columns) == ["step", "loss", "held_out", "learning_rate"]
    with pytest.raises(ValueError, match=r"^x must have 1 columns as in fit, got 2"):
        estimator.evaluate(np.hstack([new_x, new_x**2]), new_y)


def test_joint_critics_are_read_in_blocks() -> None:
    x, y, _ = correlated_normal(1300, rho=0.7, random_state=0)
    with torch.random.fork_rng():
        critic = JointCritic(1, 1, width=16)
    found = infoest.NoiseContrastive(critic=critic, n_splits=2, training=SHORT).estimate(x, y)
    assert found.info["n_candidates"] == 512


@pytest.mark.parametrize(
    ("name", "quantity"),
    [
        ("noise_contrastive", "mutual_information"),
        ("smile", "mutual_information"),
        ("nwj", "lower_bound"),
        ("club", "upper_bound"),
        ("barber_agakov", "lower_bound"),
        ("difference_of_entropies", "mutual_information"),
    ],
)
def test_evaluate_names_the_quantity_of_estimate(name: str, quantity: str) -> None:
    x, y, _ = correlated_normal(200, rho=0.7, random_state=0)
    labels = (y[:, 0] > 0.0).astype(int)
    estimator = infoest.METHODS[name](training=SHORT, n_splits=2)
    assert estimator.estimate(x, labels, discrete="y").quantity == quantity
    assert estimator.fit(x, labels, discrete="y").evaluate(x, labels, discrete="y").quantity == (
        quantity
    )
    numbers = "mutual_information" if name == "barber_agakov" else quantity
    assert estimator.estimate(x, y).quantity == numbers
    assert estimator.fit(x, y).evaluate(x, y).quantity == numbers


@pytest.mark.parametrize("labels", [np.array([3, 5, 9]), np.array(["c", "a", "b"])])
def test_labels_keep_their_codes_where_some_are_absent(labels: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 3, 300)
    x = codes + 0.5 * rng.standard_normal(300)
    estimator = infoest.SMILE(training=Training(steps=100, learning_rate=1e-2))
    estimator.fit(x, labels[codes], discrete="y")
    kept = codes > 0
    # Rows alone against all: the joint scores are those of the same pairs.
    whole, part = (
        estimator._scored_new(x[rows], labels[codes[rows]], "y")[0].statistics.joint.numpy()
        for rows in (np.arange(300), kept)
    )
    assert np.allclose(whole[kept], part)
    with pytest.raises(ValueError, match=r"^y must hold labels that were in fit, got .* among"):
        estimator.evaluate(x, np.array(["z", "zz"])[codes % 2], discrete="y")
    with pytest.raises(ValueError, match=r"^y must have labels of 1 columns as in fit, got 2"):
        estimator.evaluate(x, np.c_[codes, codes], discrete="y")
    with pytest.raises(ValueError, match=r"^y must have labels .*as in fit, got 1. Name the sides"):
        estimator.evaluate(x, 1.0 * codes)


def test_arrays_may_be_read_only_and_of_any_layout() -> None:
    x, y, _ = correlated_normal(200, rho=0.7, dim=2, random_state=0)
    estimator = infoest.NoiseContrastive(training=SHORT).fit(x, y)
    found = estimator.evaluate(x, y)
    x.flags.writeable = False
    assert estimator.evaluate(x, np.asfortranarray(y)).to_dict() == found.to_dict()


# ------------------------------------------------------------------------- training: kill, Ctrl-C


class Killed(Exception):  # noqa: N818 - the end of a process is no error
    """Stands for the end of the process."""


@pytest.fixture
def end_at(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return what makes a training end at a step, counted over all trainings."""

    def end(step: int, error: type[BaseException]) -> None:
        right, calls = ArrayBatches.next, itertools.count(1)

        def following(self: ArrayBatches) -> tuple[Tensor, Tensor]:
            if next(calls) == step:
                raise error
            return right(self)

        monkeypatch.setattr(ArrayBatches, "next", following)

    return end


def killed(name: str, path: Path, step: int, end_at: Callable[..., None], call: str) -> None:
    training = Training(steps=30, evaluate_every=5, patience=None, checkpoint=path)
    x, y, _ = correlated_normal(200, rho=0.7, random_state=0)
    end_at(step, Killed)
    with pytest.raises(Killed):
        getattr(infoest.METHODS[name](training=training, n_splits=2), call)(x, y)


@pytest.mark.parametrize("name", ["mine", "noise_contrastive", "flo", "club"])
def test_a_killed_fit_resumes_bit_for_bit(name, tmp_path, end_at, monkeypatch) -> None:
    """The moving average of MINE, too."""
    x, y, _ = correlated_normal(200, rho=0.7, random_state=0)
    training = Training(steps=30, evaluate_every=5, patience=None)
    whole = infoest.METHODS[name](training=training).fit(x, y)
    killed(name, tmp_path / "run.pt", 18, end_at, "fit")
    calls = itertools.count(1)
    monkeypatch.setattr(ArrayBatches, "next", _counted(ArrayBatches.next, calls))
    training = dataclasses.replace(training, checkpoint=tmp_path / "run.pt")
    again = infoest.METHODS[name](training=training).fit(x, y)
    assert next(calls) == 16  # 15 steps since the evaluation at step 15
    for key, value in whole.scorer_.state_dict().items():
        assert torch.equal(value, again.scorer_.state_dict()[key]), key
    assert whole.history_.equals(again.history_)


def _counted(right: Callable[..., Any], calls: Iterator[int]) -> Callable[..., Any]:
    def following(self: ArrayBatches) -> tuple[Tensor, Tensor]:
        next(calls)
        return right(self)

    return following


def test_the_moving_average_matters_to_a_resume(tmp_path, end_at, monkeypatch) -> None:
    """The test above must be able to fail: without its state the weights are others."""
    x, y, _ = correlated_normal(200, rho=0.7, random_state=0)
    killed("mine", tmp_path / "run.pt", 18, end_at, "fit")
    whole = torch.load(tmp_path / "run.pt", weights_only=True)
    assert list(whole["loss"]) == ["objective.log_average"]
    assert float(whole["loss"]["objective.log_average"]) != 0.0
    torch.save({**whole, "loss": {"objective.log_average": torch.tensor(5.0)}}, tmp_path / "run.pt")
    training = Training(steps=30, evaluate_every=5, patience=None)
    other = dataclasses.replace(training, checkpoint=tmp_path / "run.pt")
    monkeypatch.undo()
    found = [infoest.MINE(training=one).fit(x, y).history_ for one in (training, other)]
    assert not found[0].equals(found[1])


@pytest.mark.parametrize("z", [None, "given"])
def test_a_killed_estimate_resumes(z, tmp_path, end_at, monkeypatch) -> None:
    """Every training has a file of its own, those of a condition, too."""
    x, y, _ = correlated_normal(200, rho=0.7, random_state=0)
    condition = None if z is None else x + np.random.default_rng(0).standard_normal(x.shape)
    step = 45 if z is None else 100
    training = Training(steps=30, evaluate_every=5, patience=None)
    whole = infoest.MINE(training=training, n_splits=2).estimate(x, y, z=condition)
    training = dataclasses.replace(training, checkpoint=tmp_path / "run.pt")
    end_at(step, Killed)
    estimator = infoest.MINE(training=training, n_splits=2)
    with pytest.raises(Killed):
        estimator.estimate(x, y, z=condition)
    monkeypatch.undo()
    assert estimator.estimate(x, y, z=condition).to_dict() == whole.to_dict()
    names = {"run.pt.fold_1", "run.pt.fold_2"}
    if z is not None:
        names |= {"run.pt.of_z_fold_1", "run.pt.of_z_fold_2"}
    assert {path.name for path in tmp_path.iterdir()} == names
    # The same file serves no other objective.
    estimator.set_params(rate=0.5)
    with pytest.raises(ValueError, match=r"^checkpoint must be of the same .* label differ"):
        estimator.estimate(x, y, z=condition)


@pytest.mark.parametrize("step", [1, 33])
def test_a_loss_that_became_nan_keeps_the_best_weights(step, monkeypatch, tmp_path) -> None:
    x, y, _ = correlated_normal(200, rho=0.7, random_state=0)
    right, calls = ArrayBatches.next, itertools.count(1)

    def following(self: ArrayBatches) -> tuple[Tensor, Tensor]:
        u, v = right(self)
        return (u * torch.nan if next(calls) == step else u), v

    monkeypatch.setattr(ArrayBatches, "next", following)
    training = Training(steps=60, evaluate_every=10, patience=None)
    estimator = infoest.SMILE(training=training)
    sentence = rf"^loss must be finite, got nan at step {step} with learning_rate=0.001. Lower"
    with pytest.raises(TrainingDivergedError, match=sentence):
        estimator.fit(x, y)
    monkeypatch.undo()
    if step == 1:
        assert not hasattr(estimator, "critic_")
        return
    shorter = infoest.SMILE(training=dataclasses.replace(training, steps=30)).fit(x, y)
    found = estimator.evaluate(x, y)
    assert found.value == shorter.evaluate(x, y).value
    assert "diverged" in found.warnings[0].sentence
    assert (estimator.ended_, estimator.history_["step"].max()) == ("diverged", 32)
    estimator.save(tmp_path / "folder")
    assert infoest.SMILE.load(tmp_path / "folder").ended_ == "diverged"


def test_ctrl_c_keeps_what_fit_has(end_at, tmp_path) -> None:
    x, y, _ = correlated_normal(400, rho=0.7, random_state=0)
    training = Training(steps=200, evaluate_every=20, learning_rate=1e-2)
    end_at(90, KeyboardInterrupt)
    estimator = infoest.NoiseContrastive(training=training).fit(x, y)
    assert estimator.ended_ == "interrupted"
    assert estimator.history_["step"].max() == 89
    found = estimator.evaluate(x, y)
    assert found.value > 0.1
    assert "not_converged" in [caution.code for caution in found.warnings]
    estimator.save(tmp_path / "folder")
    loaded = infoest.NoiseContrastive.load(tmp_path / "folder")
    assert (loaded.ended_, loaded.evaluate(x, y)) == ("interrupted", found)


@pytest.mark.parametrize("step", [50, 250])
def test_ctrl_c_keeps_what_estimate_has(step: int, end_at: Callable[..., None]) -> None:
    """In the first fold that fold, later the whole ones; no other training is begun."""
    x, y, _ = correlated_normal(400, rho=0.7, random_state=0)
    training = Training(steps=100, evaluate_every=20, patience=None, learning_rate=1e-2)
    estimator = infoest.NoiseContrastive(training=training, n_splits=4)
    end_at(step, KeyboardInterrupt)
    found = estimator.estimate(x, y)
    assert found.has("not_converged")
    n_folds = 1 if step < 100 else 2
    sentence = next(one.sentence for one in found.warnings if one.code == "not_converged")
    assert f"was interrupted, and the value is that of {n_folds} of 4 folds" in sentence
    assert len(found.info["steps"]) == n_folds
    assert found.value > 0.05
    assert found.std_error > infoest.NoiseContrastive(training=training).estimate(x, y).std_error


def test_ctrl_c_before_the_first_step(end_at: Callable[..., None]) -> None:
    x, y, _ = correlated_normal(100, rho=0.7, random_state=0)
    end_at(1, KeyboardInterrupt)
    found = infoest.NoiseContrastive(training=SHORT, n_splits=2).estimate(x, y)
    assert found.has("not_converged")
    assert found.value == pytest.approx(0.0, abs=0.1)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.torch.jit.script_method. is deprecated:DeprecationWarning")
@pytest.mark.skipif(shutil.which("c++") is None, reason="needs a C++ compiler")
@pytest.mark.parametrize("name", ["smile", "club"])
def test_compiled_and_plain_trainings_agree(name: str) -> None:
    """In double precision, where the optimizer does not blow rounding up."""
    x, y, _ = correlated_normal(200, rho=0.7, dim=2, random_state=0)
    plain, compiled = (
        infoest.METHODS[name](training=Training(steps=40, dtype="float64", compile=compile)).fit(
            x, y
        )
        for compile in (False, True)
    )
    for one, other in zip(plain.scorer_.parameters(), compiled.scorer_.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-8)
    assert compiled.evaluate(x, y).value == pytest.approx(plain.evaluate(x, y).value, abs=1e-7)


# ------------------------------------------------------------------------------------- bad input


def test_errors_say_the_remedy() -> None:
    x, y, _ = correlated_normal(60, rho=0.5, random_state=0)
    for settings, error, message in (
        ({"critic": WrongShape()}, ValueError, r"^critic must return scores of shape"),
        ({"critic": "joint"}, TypeError, r"^critic must be an nn.Module"),
        ({"training": {"steps": 3}}, TypeError, r"^training must be a Training or None"),
        ({"training": Training(batch_size=100)}, ValueError, r"^batch_size must be in \[2, 48\]"),
        ({"training": Training(device="cuda:7")}, ValueError, r"^device must be one of"),
        ({"inputs": "ranks"}, ValueError, r"^inputs must be one of"),
        ({"n_splits": 1}, ValueError, r"^n_splits must be an integer of at least 2, got 1"),
        ({"test_block": 1}, ValueError, r"^test_block must be"),
        ({"negatives": 0}, ValueError, r"^negatives must be"),
        ({"validation_fraction": 1.0}, ValueError, r"^validation_fraction must be in"),
    ):
        for call in ("estimate", "fit"):
            # fit has one split: 48 rows of 60 are trained on there, too.
            if call == "fit" and "n_splits" not in settings:
                message = message.replace("n_splits", "validation_fraction")
            with pytest.raises(error, match=message):
                getattr(infoest.NoiseContrastive(**settings), call)(x, y)
    with pytest.raises(ValueError, match=r"^x must have at least 16 rows for n_splits=2, got 10"):
        infoest.NoiseContrastive(n_splits=2).estimate(x[:10], y[:10])
    with pytest.raises(
        ValueError, match=r"^x must have at least 8 rows beside those held out, got"
    ):
        infoest.NoiseContrastive().fit(x[:9], y[:9])
    for call in ("estimate", "fit"):
        with pytest.raises(
            ValueError, match=r"^y must vary in every column, got constant column 0"
        ):
            getattr(infoest.NoiseContrastive(), call)(x, np.ones(60))


def test_a_loss_that_is_no_number_stops_the_training() -> None:
    x, y, _ = correlated_normal(200, rho=0.5, random_state=0)
    estimator = infoest.DonskerVaradhan(
        inputs="raw", training=Training(steps=50, learning_rate=1e30, clip_norm=1e30)
    )
    for call in (estimator.estimate, estimator.fit):
        with pytest.raises(
            TrainingDivergedError, match=r"at step \d+ .*learning_rate=1e\+30.*Lower"
        ):
            call(x, y)
    assert not hasattr(estimator, "critic_")


@pytest.mark.parametrize(
    "estimator", [infoest.InfoNCE, infoest.NWJ, infoest.NoiseContrastive, infoest.JensenShannon]
)
def test_few_independent_rows_read_as_nothing(estimator: type[infoest.SMILE]) -> None:
    """No critic that learns so few rows beats the one that says nothing, and 0 is its value."""
    x, y = np.random.default_rng(0).standard_normal((2, 200, 5))
    found = estimator(n_splits=2, training=Training(steps=100), random_state=0).estimate(x, y)
    assert abs(found.value) < 1e-6
    assert [caution.code for caution in found.warnings] == ["nothing_learned"]
