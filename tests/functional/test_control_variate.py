"""Noise floor and control: a made-up estimator with a known bias shows what they measure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from infoest.functional.control_variate import (
    LOCAL_SPREAD,
    SURROGATES,
    Control,
    control,
    control_from,
    noise_floor,
)


def mean_of(parts):
    return float(parts[0].mean())


def test_noise_floor_is_the_error_of_a_mean() -> None:
    rng = np.random.default_rng(0)
    local = rng.standard_normal(1000)
    found = noise_floor((local[:, None],), local, 1, mean_of, rng)
    assert found == pytest.approx(LOCAL_SPREAD / np.sqrt(1000), rel=0.6)
    assert found >= LOCAL_SPREAD * local.std(ddof=1) / np.sqrt(1000)


def test_noise_floor_sees_an_estimator_noisier_than_its_local_values() -> None:
    local = np.zeros(400)
    loud = np.random.default_rng(1)
    found = noise_floor((local[:, None],), local, 1, lambda parts: float(loud.normal()), loud)
    assert found == pytest.approx(1.0 / np.sqrt(3.0), rel=0.5)


def test_noise_floor_of_few_rows_leaves_the_parts_out() -> None:
    local = np.random.default_rng(2).standard_normal(20)

    def never(parts):
        raise AssertionError("a part of five rows cannot hold k + 2 of them")

    found = noise_floor((local[:, None],), local, 5, never, np.random.default_rng(0))
    assert found == pytest.approx(LOCAL_SPREAD * local.std(ddof=1) / np.sqrt(20))


@dataclass
class MadeUp:
    """Samples of mean ``truth``; draws are fresh ones."""

    truth: float
    n: int
    variance: float = 0.0

    def draw(self, rng):
        return (self.truth + 0.1 * rng.standard_normal((self.n, 1)),)


def biased_by(bias, drift=0.0):
    def values(parts, ks, rows):
        column = parts[0][:, 0] if rows is None else parts[0][rows, 0]
        return np.stack([column + bias + drift * (k > 5) for k in ks])

    return values


@pytest.mark.parametrize("n", [500, 5000])
def test_control_measures_the_bias(n) -> None:
    rng = np.random.default_rng(3)
    surrogate = MadeUp(1.0, n)
    parts = surrogate.draw(rng)
    local = parts[0][:, 0] + 0.3
    found = control(parts, local, 5, biased_by(0.3, 0.02), surrogate, 2, 0.1 / np.sqrt(n), rng)
    assert found.bias == pytest.approx(0.3, abs=0.02)
    assert found.drift == pytest.approx(0.0, abs=0.01)
    assert found.explained
    assert found.exceeds_error
    low, high = found.interval(local.mean(), 0.95)
    assert low < 1.0 < high


@pytest.mark.parametrize("n", [500, 5000])
def test_a_drift_that_surrogates_do_not_share_is_not_explained(n) -> None:
    rng = np.random.default_rng(4)
    surrogate = MadeUp(0.0, n)
    parts = (np.full((n, 1), 9.0) + 0.1 * rng.standard_normal((n, 1)),)

    def values(some, ks, rows):
        shift = 0.5 if some[0].mean() > 5.0 else 0.0
        return biased_by(0.0, shift)(some, ks, rows)

    plain = control(parts, parts[0][:, 0], 5, biased_by(0.0), surrogate, 2, 0.01, rng)
    found = control(parts, parts[0][:, 0], 5, values, surrogate, 2, 0.01, rng)
    assert found.drift == pytest.approx(-0.5, abs=0.05)
    assert not found.explained
    # E = |D| / (4^(1/2) - 1) enters the spread.
    assert found.spread == pytest.approx(np.hypot(plain.spread, abs(found.drift)), rel=0.05)


def test_spread_from_errors_and_drifts() -> None:
    """Each part of the variance by itself: the errors, and a drift beyond that of surrogates."""
    data = 0.3 + np.random.default_rng(6).permutation(np.repeat([-0.1, 0.1], 200))
    options = {"std_error": 0.1, "variance": 0.04}
    known = control_from([0.2, 0.4], None, [], extrapolation=9.0, **options)
    assert (known.bias, known.drift, known.explained) == (pytest.approx(0.3), 0.0, True)
    variance = 0.04 + 0.01 / SURROGATES + (0.25 * 0.3) ** 2
    assert known.spread == pytest.approx(np.sqrt(variance), rel=1e-12)
    shared = control_from([0.2, 0.4], data, [0.3, 0.3], extrapolation=2.0, **options)
    assert shared.explained
    assert shared.spread == pytest.approx(known.spread, rel=1e-12)
    alone = control_from([0.2, 0.4], data, [0.0, 0.1], extrapolation=2.0, **options)
    assert not alone.explained
    assert alone.drift == pytest.approx(0.25)
    assert alone.spread == pytest.approx(np.sqrt(variance + 0.5**2), rel=1e-12)


def test_too_few_rows_for_four_times_k_have_no_drift() -> None:
    rng = np.random.default_rng(5)
    surrogate = MadeUp(0.0, 15)
    parts = surrogate.draw(rng)
    found = control(parts, parts[0][:, 0], 5, biased_by(0.0, 1.0), surrogate, 2, 0.1, rng)
    assert found.drift == 0.0
    assert found.explained


def test_interval_is_centered_on_the_corrected_value() -> None:
    low, high = Control(0.1, 0.25, 0.2, 0.0, True).interval(1.0, 0.95)
    assert 0.5 * (low + high) == pytest.approx(0.75)
    assert high - low == pytest.approx(2 * 1.959964 * 0.2, rel=1e-6)
    assert Control(0.1, 0.25, 0.2, 0.0, True).exceeds_error
    assert not Control(0.1, -0.15, 0.2, 0.0, True).exceeds_error
