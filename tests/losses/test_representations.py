"""Coding rates and VICReg beside their formulas, and bad input."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from infoest.functional import coding_rate, vicreg_terms
from infoest.losses import CodingRateLoss, VICRegLoss

LABELS = torch.tensor([0, 3, 3, 0, 7, 7, 7, 0, 3, 0])


def drawn(seed: int = 0, n: int = 10, d: int = 4) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=generator, dtype=torch.float64)


def rate(z: np.ndarray, epsilon: float) -> float:
    n, d = z.shape
    return 0.5 * np.linalg.slogdet(np.eye(d) + d / (n * epsilon**2) * z.T @ z)[1]


@pytest.mark.parametrize("normalize", [True, False])
def test_the_reduction_of_the_coding_rate(normalize: bool) -> None:
    z = drawn()
    result = CodingRateLoss(0.3, normalize=normalize)(z, LABELS)
    rows = z.numpy()
    if normalize:
        rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    within = sum(
        (label == LABELS).sum().item() / 10 * rate(rows[LABELS.numpy() == label], 0.3)
        for label in (0, 3, 7)
    )
    assert result.rate.item() == pytest.approx(rate(rows, 0.3), rel=1e-9)
    assert result.within_rate.item() == pytest.approx(within, rel=1e-9)
    assert result.loss.item() == pytest.approx(within - rate(rows, 0.3), rel=1e-9)
    assert result.loss.item() < 0.0


def test_one_class_reduces_nothing_and_no_labels_fill_space() -> None:
    z, loss = drawn(), CodingRateLoss()
    same = loss(z, torch.zeros(10, dtype=torch.int64))
    assert same.loss.item() == pytest.approx(0.0, abs=1e-12)
    alone = loss(z)
    assert alone.within_rate.item() == 0.0
    assert alone.loss.item() == -alone.rate.item()
    torch.testing.assert_close(
        alone.rate, coding_rate(torch.nn.functional.normalize(z, dim=1), 0.5)
    )


def test_the_best_codes_are_orthogonal() -> None:
    """Classes on axes of their own reach the most that unit rows in two columns can."""
    z = torch.eye(2, dtype=torch.float64).repeat_interleave(3, dim=0)
    labels = torch.tensor([0, 0, 0, 1, 1, 1])
    best = CodingRateLoss(0.5)(z, labels).loss.item()
    assert best == pytest.approx(0.5 * math.log(9.0) - math.log(5.0))
    for seed in range(5):
        assert CodingRateLoss(0.5)(drawn(seed, 6, 2), labels).loss.item() >= best


def test_lengths_count_only_where_they_are_kept() -> None:
    z = drawn()
    torch.testing.assert_close(
        CodingRateLoss()(100.0 * z, LABELS).loss, CodingRateLoss()(z, LABELS).loss
    )
    kept = CodingRateLoss(normalize=False)
    assert kept(100.0 * z).rate.item() > kept(z).rate.item() + 1.0
    torch.testing.assert_close(
        CodingRateLoss()(z, LABELS + 5).loss, CodingRateLoss()(z, LABELS).loss
    )


def test_vicreg_is_the_weighted_sum() -> None:
    z_a, z_b = 0.5 * drawn(), drawn(1)
    terms = vicreg_terms(z_a, z_b)
    result = VICRegLoss(invariance_weight=2.0, variance_weight=3.0, covariance_weight=0.5)(z_a, z_b)
    for found, wanted in zip(result[1:], terms, strict=True):
        assert torch.equal(found, wanted)
    torch.testing.assert_close(result.loss, 2.0 * terms[0] + 3.0 * terms[1] + 0.5 * terms[2])
    published = VICRegLoss()(z_a, z_b).loss
    torch.testing.assert_close(published, 25.0 * terms[0] + 25.0 * terms[1] + terms[2])


@pytest.mark.parametrize(
    ("z", "labels", "error", "sentence"),
    [
        (drawn() * math.nan, None, ValueError, "z must be finite, got 40 NaN"),
        (drawn()[:, 0], None, ValueError, r"z must have shape \(n, d\)"),
        (drawn().long(), None, TypeError, "z must be a floating-point tensor"),
        (drawn(), LABELS[:9], ValueError, "labels must hold one class for each of the 10 rows"),
        (drawn(), LABELS.double(), TypeError, "labels must be a tensor of integers"),
        (drawn(), LABELS > 0, TypeError, r"labels must be a tensor of integers.*got torch\.bool"),
        (drawn(), torch.full((10,), -1), ValueError, "labels must be at least 0, got -1"),
    ],
)
def test_bad_input(z: Tensor, labels: Tensor | None, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        CodingRateLoss()(z, labels)


def test_bad_views() -> None:
    z = drawn()
    with pytest.raises(ValueError, match="z_b must be finite"):
        VICRegLoss()(z, z / 0.0)
    with pytest.raises(ValueError, match="z_a and z_b must have one shape"):
        VICRegLoss()(z, z[:, :3])
    with pytest.raises(ValueError, match="n at least 2"):
        VICRegLoss()(z[:1], z[:1])


@pytest.mark.parametrize(
    ("make", "error", "sentence"),
    [
        (lambda: CodingRateLoss(0.0), ValueError, "epsilon must be a finite number above 0"),
        (lambda: CodingRateLoss(normalize=1), TypeError, "normalize must be True or False"),
        (lambda: VICRegLoss(variance_weight=-1.0), ValueError, "variance_weight must be a finite"),
        (lambda: VICRegLoss(invariance_weight="1"), TypeError, "invariance_weight must be"),
    ],
)
def test_bad_settings(make: Any, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        make()
