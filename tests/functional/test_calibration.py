"""Calibration of scores by logistic regression."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from infoest.functional import Calibration, ScoreHistogram, noise_contrastive


def normal_scores(n: int, seed: int, rho: float = 0.8) -> tuple[Tensor, float]:
    """Return log density ratios of all pairs of a bivariate normal sample, and I."""
    generator = torch.Generator().manual_seed(seed)
    x, noise = torch.randn(2, n, 1, generator=generator, dtype=torch.float64)
    y = rho * x + math.sqrt(1.0 - rho**2) * noise
    information = -0.5 * math.log1p(-(rho**2))
    squares = x.square() + y.square().T
    return information - (rho**2 * squares - 2.0 * rho * x @ y.T) / (
        2.0 * (1.0 - rho**2)
    ), information


def calibrated(scores: Tensor, negatives: int = 64) -> Calibration:
    histogram = ScoreHistogram()
    histogram.add(scores, torch.arange(len(scores)))
    return histogram.calibrate(scores.diagonal(), negatives)


@pytest.mark.parametrize("negatives", [1, 64, 500])
@pytest.mark.parametrize(("slope", "offset"), [(1.0, 0.0), (0.5, -1.0), (2.0, 3.0)])
def test_undoes_a_line(negatives: int, slope: float, offset: float) -> None:
    scores, information = normal_scores(2000, seed=0)
    line = calibrated(slope * scores + offset, negatives)
    assert abs(line.slope * slope - 1.0) < 0.06
    assert abs(line.slope * offset + line.offset) < 0.06
    found = line(slope * scores.diagonal() + offset).mean()
    assert abs(float(found) - information) < 0.06


def test_maximizes_the_objective_less_the_prior() -> None:
    scores, _ = normal_scores(300, seed=1)
    stretched = 1.7 * scores - 0.5
    best = calibrated(stretched)

    def value(slope: float, offset: float) -> float:
        prior = (4.0 * (slope - 1.0) ** 2 + (offset / 2.0) ** 2) / (2.0 * len(scores))
        return float(noise_contrastive(slope * stretched + offset)) - prior

    top = value(*best)
    for step in (-0.02, 0.02):
        assert value(best.slope + step, best.offset) < top
        assert value(best.slope, best.offset + step) < top


@pytest.mark.parametrize("n", [64, 500])
def test_separated_scores_stay_as_they_are(n: int) -> None:
    """No odds tell how far apart they are: the prior must, or the slope has no end."""
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(n, n, generator=generator, dtype=torch.float64) - 10.0
    scores.diagonal().add_(18.0)
    line = calibrated(scores)
    assert 1.0 < line.slope < 1.5
    assert 8.0 < float(line(scores.diagonal()).mean()) < 14.0


@pytest.mark.parametrize("seed", range(3))
def test_noise_says_nothing(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    scores = 0.3 * torch.randn(1000, 1000, generator=generator, dtype=torch.float64)
    assert abs(float(calibrated(scores)(scores.diagonal()).mean())) < 0.005


def test_wrong_way_round_says_nothing() -> None:
    scores, _ = normal_scores(500, seed=2)
    assert calibrated(-scores) == (0.0, 0.0)


@pytest.mark.parametrize("score", [-3.0, 0.0, 0.004, 2.0])
def test_constant_scores_say_nothing(score: float) -> None:
    line = calibrated(torch.full((50, 50), score, dtype=torch.float64))
    assert abs(line.slope * score + line.offset) < 0.02
    if score == 0.0:
        assert abs(line.offset) < 1e-6


def test_blocks_count_the_same_pairs() -> None:
    scores, _ = normal_scores(200, seed=3)
    blocks = ScoreHistogram()
    for rows in torch.arange(200).split(64):
        blocks.add(scores[rows], rows)
    whole = calibrated(scores)
    parts = blocks.calibrate(scores.diagonal())
    assert whole == pytest.approx(parts, abs=1e-12)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="scores must be added before"):
        ScoreHistogram().calibrate(torch.zeros(5))
    histogram = ScoreHistogram()
    histogram.add(torch.zeros(5, 5), torch.arange(5))
    with pytest.raises(ValueError, match="negatives must be"):
        histogram.calibrate(torch.zeros(5), 0)
    with pytest.raises(TypeError, match="joint must be a floating-point tensor"):
        histogram.calibrate([0.0, 1.0])  # type: ignore[arg-type]
