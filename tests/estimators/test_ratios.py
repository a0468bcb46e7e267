"""The copula start and the value of `NoiseContrastive`."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import infoest
from infoest.critics import SeparableCritic
from infoest.datasets import correlated_normal, multivariate_student
from infoest.estimators._evaluation import Reading, Scored
from infoest.estimators._folds import half_rows
from infoest.estimators._scorers import CopulaScorer
from infoest.functional import ScoreStatistics
from infoest.functional.calibration import ScoreHistogram
from infoest.functional.ranks import normal_scores
from infoest.functional.student_copula import StudentCopula, fit_student_copula
from infoest.training import Training

SHORT = Training(steps=60, evaluate_every=30)
HARDLY = Training(steps=2)


def scorer(copula: StudentCopula) -> CopulaScorer:
    d_x, d_y = copula.d_x, copula.d_y
    with torch.random.fork_rng():
        return CopulaScorer(SeparableCritic(d_x, d_y, width=8), copula)


@pytest.mark.parametrize("nu", [1.0, 3.0, 30.0, math.inf])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_starts_at_the_log_ratio_of_the_copula(nu: float, dtype: torch.dtype) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((300, 3))
    y = 0.95 * x[:, :2] + math.sqrt(1.0 - 0.95**2) * rng.standard_normal((300, 2))
    correlation = fit_student_copula(x, y, gaussian=True).correlation
    copula = StudentCopula(nu, correlation, 3)
    z_x, z_y = normal_scores(x), normal_scores(y)
    wanted = copula.log_ratio_matrix(copula.to_scores(z_x), copula.to_scores(z_y))
    own = scorer(copula)
    own.critic.to(dtype=dtype)
    pairs = torch.from_numpy(z_x).to(dtype), torch.from_numpy(z_y).to(dtype)
    found = own(*pairs, torch.arange(len(x))).detach()
    assert found.dtype == dtype
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-4)


def test_nearly_equal_sides_keep_their_digits_in_float32() -> None:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((400, 2))
    y = x + 1e-4 * rng.standard_normal((400, 2))
    copula = fit_student_copula(x, y, gaussian=True)
    z_x, z_y = normal_scores(x), normal_scores(y)
    wanted = np.diag(copula.log_ratio_matrix(z_x, z_y))
    own = scorer(copula)
    # The scores themselves are rounded to float32, 1e-7 of 3, beside a width of 1e-4.
    with torch.no_grad():
        pairs = torch.from_numpy(z_x).float(), torch.from_numpy(z_y).float()
        found = own.log_ratio(*pairs).diagonal()
    assert np.abs(found.numpy() - wanted).mean() < 0.02 * wanted.mean()


def test_states_go_round() -> None:
    copula = fit_student_copula(*correlated_normal(200, mi=1.0, dim=2, random_state=0)[:2])
    own = scorer(copula)
    empty = scorer(StudentCopula(math.inf, np.eye(4), 2))
    empty.load_state_dict(own.state_dict())
    x = torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
    y = x.flip(0)
    places = torch.arange(5)
    assert torch.equal(own(x, y, places), empty(x, y, places))


@pytest.mark.parametrize("copula", ["student", "gaussian"])
def test_the_critic_stays_out_where_the_copula_is_right(copula: str) -> None:
    x, y, mi = correlated_normal(1000, mi=1.0, dim=3, random_state=1)
    estimator = infoest.NoiseContrastive(copula=copula, n_splits=2, training=SHORT, random_state=0)
    found = estimator.estimate(np.exp(x), y**3)
    assert set(found.info["steps"]) == {0}
    assert abs(found.value - mi) < 0.12


def test_heavy_tails_need_the_student_copula() -> None:
    x, y, mi = multivariate_student(2000, dim_x=2, dim_y=2, degrees_of_freedom=2.0, random_state=3)
    errors = {
        copula: abs(
            infoest.NoiseContrastive(copula=copula, n_splits=2, training=HARDLY, random_state=0)
            .estimate(x, y)
            .value
            - mi
        )
        for copula in ("student", "gaussian")
    }
    assert errors["student"] < 0.05 < 0.15 < errors["gaussian"]


def test_the_critic_is_used_where_the_copula_is_wrong() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1500, 1))
    y = x**2 + 0.3 * rng.standard_normal((1500, 1))
    estimator = infoest.NoiseContrastive(
        copula="gaussian", n_splits=2, training=Training(steps=300), random_state=0
    )
    found = estimator.estimate(x, y)
    assert min(found.info["steps"]) > 0
    assert found.value > 0.7  # GaussianCopula sees nothing


def test_bad_input() -> None:
    x, y, _ = correlated_normal(100, mi=1.0, random_state=0)
    with pytest.raises(ValueError, match="copula must be one of"):
        infoest.NoiseContrastive(copula="clayton").estimate(x, y)
    with pytest.raises(ValueError, match="inputs must be 'normal_scores' with a copula"):
        infoest.NoiseContrastive(copula="student", inputs="raw").estimate(x, y)
    with pytest.raises(ValueError, match="copula must be None where a side is labels"):
        infoest.NoiseContrastive(copula="student", training=SHORT).estimate(
            x, (y[:, 0] > 0).astype(int), discrete="y"
        )


@pytest.mark.parametrize(("n", "n_splits"), [(100, 5), (101, 5), (64, 2), (1000, 7)])
@pytest.mark.parametrize("contiguous", [False, True])
def test_halves_hold_out_every_row_once(n: int, n_splits: int, contiguous: bool) -> None:
    parts = half_rows(n, n_splits, 3, contiguous=contiguous)
    assert sorted(np.concatenate([held_out for _, held_out in parts])) == list(range(n))
    for trained, held_out in parts:
        assert not set(trained) & set(held_out)
        assert len(trained) == (n - math.ceil(n / n_splits)) // 2
        if contiguous:
            assert np.ptp(trained) == len(trained) - 1
            assert np.ptp(held_out) == len(held_out) - 1


def test_the_value_is_the_mean_of_two_corrections() -> None:
    x, y, _ = correlated_normal(400, mi=0.7, dim=2, random_state=0)
    found = infoest.NoiseContrastive(training=SHORT, random_state=0).estimate(x, y)
    held_out, trained, half = (found.info[name] for name in ("held_out", "training", "half_sample"))
    middle, extrapolated = 0.5 * (held_out + trained), 2.0 * held_out - half
    assert found.value == pytest.approx(0.5 * (middle + extrapolated))
    assert len({held_out, trained, half}) == 3
    reach = 1.959964 * found.std_error
    read = (held_out, trained, extrapolated)
    assert found.interval == pytest.approx((min(read) - reach, max(read) + reach), abs=1e-6)


def test_few_rows_are_not_halved() -> None:
    x, y, _ = correlated_normal(18, mi=1.0, random_state=0)
    found = infoest.NoiseContrastive(training=HARDLY, random_state=0).estimate(x, y)
    assert "half_sample" not in found.info
    assert found.value == pytest.approx(0.5 * (found.info["held_out"] + found.info["training"]))


def test_the_value_has_little_bias_at_any_information() -> None:
    """The best critic's scores, stretched: the calibration undoes it, and has no bias itself."""
    for mi in (0.5, 3.0, 7.0):
        errors = []
        for seed in range(6):
            x, y, _ = correlated_normal(1000, mi=mi, dim=10, random_state=seed)
            rho = math.sqrt(1.0 - math.exp(-0.2 * mi))
            square = np.square(x).sum(axis=1)[:, None] + np.square(y).sum(axis=1)
            scores = mi - (rho * square - 2.0 * x @ y.T) * rho / (2.0 * (1.0 - rho**2))
            joint = np.diag(scores)
            errors.append(read(torch.from_numpy(1.2 * scores + 0.3)).value - joint.mean())
        error = np.std(errors, ddof=1) / math.sqrt(len(errors))
        assert abs(np.mean(errors)) < 3.0 * error + 0.01
        assert error < 0.06


def read(scores: torch.Tensor) -> Reading:
    """Return what `NoiseContrastive` reads from a matrix of scores."""
    statistics, histogram = ScoreStatistics((5.0,)), ScoreHistogram()
    places = torch.arange(len(scores))
    statistics.add(scores, places)
    histogram.add(scores, places)
    scored = Scored(statistics, len(scores), histogram)
    return infoest.NoiseContrastive()._reading(scored)
