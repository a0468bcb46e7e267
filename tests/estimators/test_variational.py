"""Critic estimators: maps, held-out values against the bounds, cross-fit, fit, errors."""

from __future__ import annotations

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
from infoest.training import Training

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
    found = values_of(score_pairs(Scorer(critic), x, y, block=None), 5.0, 0.0)
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
        with pytest.raises(error, match=message):
            infoest.NoiseContrastive(**settings).estimate(x, y)
    with pytest.raises(ValueError, match=r"^x must have at least 16 rows for n_splits=2, got 10"):
        infoest.NoiseContrastive(n_splits=2).estimate(x[:10], y[:10])


def test_a_loss_that_is_no_number_stops_the_training() -> None:
    x, y, _ = correlated_normal(200, rho=0.5, random_state=0)
    estimator = infoest.DonskerVaradhan(
        inputs="raw", training=Training(steps=50, learning_rate=1e30, clip_norm=1e30)
    )
    with pytest.raises(ValueError, match=r"learning_rate=1e\+30.*Lower"):
        estimator.estimate(x, y)
