"""Entropies of spectra as estimators: settings, cautions, sampled spectra, bad input."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from infoest import DiffusionSpectralEntropy, MatrixRenyiEntropy, VonNeumannEntropy, entropy
from infoest.estimators import _spectra
from infoest.functional import (
    diffusion_spectral_entropy,
    matrix_renyi_entropy,
    von_neumann_entropy,
)
from infoest.functional import lanczos as lanczos_module


def samples(n: int, d: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, d))


@pytest.mark.parametrize("bandwidth", [0.5, "sqrt_d", "median", "silverman", [0.5, 2.0]])
def test_values_are_those_of_the_functions(bandwidth: object) -> None:
    x = samples(60, 2)
    tensor = torch.from_numpy(x)
    found = DiffusionSpectralEntropy(bandwidth=bandwidth, t=2, anisotropy=0.5).estimate(x)
    expected = diffusion_spectral_entropy(tensor, bandwidth=bandwidth, t=2, anisotropy=0.5)
    assert found.value == pytest.approx(expected.item(), abs=1e-12)
    for alpha in (1, 1.01, 2, 3):
        found = MatrixRenyiEntropy(bandwidth=bandwidth, alpha=alpha).estimate(x)
        expected = matrix_renyi_entropy(tensor, bandwidth=bandwidth, alpha=alpha)
        assert found.value == pytest.approx(expected.item(), abs=1e-11)
    found = VonNeumannEntropy().estimate(x)
    assert found.value == pytest.approx(von_neumann_entropy(tensor).item(), abs=1e-12)


def test_what_a_result_says() -> None:
    x = samples(60, 4)
    found = entropy(x, "diffusion_spectral_entropy")
    assert found.quantity == "diffusion_spectral_entropy"
    assert "diffusion_spectral_entropy" in repr(found)
    assert found.info["bandwidth"] == 10.0  # the published default
    assert found.info["normalized"] == found.value / math.log(60)
    assert found.info["method"] == "exact"
    assert found.std_error is None
    assert DiffusionSpectralEntropy(bandwidth="sqrt_d").estimate(x).info["bandwidth"] == 2.0
    widths = [1.0, 2.0, 3.0, 4.0]
    assert MatrixRenyiEntropy(bandwidth=widths).estimate(x).info["bandwidth"] == widths
    spread = VonNeumannEntropy().estimate(x)
    assert spread.info["effective_rank"] == math.exp(spread.value)
    assert spread.info["normalized"] == spread.value / math.log(4)
    assert spread.to("bits").value == pytest.approx(math.log2(spread.info["effective_rank"]))


def test_von_neumann_entropy_of_one_column_and_of_few_rows() -> None:
    found = VonNeumannEntropy().estimate(samples(60, 1))
    assert (found.value, found.info["effective_rank"], found.info["normalized"]) == (0.0, 1.0, 0.0)
    few = VonNeumannEntropy().estimate(samples(10, 10))
    assert few.has("too_few_samples_for_dimension")
    assert few.value < math.log(9)
    assert not VonNeumannEntropy().estimate(samples(11, 10)).warnings


@pytest.mark.parametrize("estimator", [DiffusionSpectralEntropy, MatrixRenyiEntropy])
def test_says_when_the_kernel_sees_nothing_or_everything(estimator: type) -> None:
    x = samples(80, 2)
    for settings in ({}, {"exact_up_to": 500}, {"alpha": 2}):
        if estimator is DiffusionSpectralEntropy and "alpha" in settings:
            continue
        narrow = estimator(bandwidth=1e-5, **settings).estimate(x)
        assert narrow.has("kernel_is_identity")
        assert narrow.value == pytest.approx(math.log(80), abs=1e-9)
        wide = estimator(bandwidth=1e3, **settings).estimate(x)
        assert wide.has("kernel_is_constant")
        assert 0.0 <= wide.value < 1e-3
        assert not estimator(bandwidth=0.5, **settings).estimate(x).warnings


@pytest.mark.parametrize("bandwidth", [1.0, "median", "silverman", "sqrt_d"])
def test_equal_rows_have_no_entropy_by_any_rule(bandwidth: object) -> None:
    x = np.full((40, 3), 7.0)
    for estimator in (
        DiffusionSpectralEntropy(bandwidth=bandwidth),
        MatrixRenyiEntropy(bandwidth=bandwidth),
        MatrixRenyiEntropy(bandwidth=bandwidth, alpha=2),
    ):
        found = estimator.estimate(x)
        assert found.value == pytest.approx(0.0, abs=1e-12)
        assert found.has("kernel_is_constant")
    assert VonNeumannEntropy().estimate(x).value == 0.0


# ---------------------------------------------------------------------------------- sampled spectra


@pytest.mark.parametrize("bandwidth", [0.2, "median", 10.0])
@pytest.mark.parametrize(
    ("make", "settings"),
    [
        (DiffusionSpectralEntropy, {}),
        (DiffusionSpectralEntropy, {"t": 3, "anisotropy": 0.5}),
        (MatrixRenyiEntropy, {}),
        (MatrixRenyiEntropy, {"alpha": 4}),
    ],
)
def test_many_rows_are_sampled_and_it_is_said(make: type, settings: dict, bandwidth) -> None:
    x = samples(900, 3)
    exact = make(bandwidth=bandwidth, **settings).estimate(x)
    found = make(bandwidth=bandwidth, exact_up_to=500, **settings).estimate(x)
    assert found.info["method"] == "lanczos"
    assert found.info["probes"] == 16
    assert 1 <= found.info["steps"] <= 16
    assert found.std_error is not None
    assert found.value == pytest.approx(exact.value, rel=0.01, abs=1e-4)
    assert abs(found.value - exact.value) < 5.0 * found.std_error + 1e-9
    assert found.interval is None
    again = make(bandwidth=bandwidth, exact_up_to=500, **settings).estimate(x)
    assert again.to_dict() == found.to_dict()
    assert [c.code for c in found.warnings] == [c.code for c in exact.warnings]


def test_another_seed_gives_other_probes_and_more_probes_less_error() -> None:
    x = samples(900, 5)
    settings = {"bandwidth": 1.0, "exact_up_to": 500}
    found = [DiffusionSpectralEntropy(random_state=seed, **settings).estimate(x) for seed in (0, 1)]
    assert found[0].value != found[1].value
    few, many = (
        DiffusionSpectralEntropy(probes=probes, **settings).estimate(x).std_error
        for probes in (2, 40)
    )
    assert many < few


def test_order_two_is_exact_for_any_number_of_rows() -> None:
    x = samples(900, 2)
    found = MatrixRenyiEntropy(alpha=2, exact_up_to=500).estimate(x)
    assert found.info["method"] == "exact"
    assert found.std_error is None
    assert found.value == pytest.approx(MatrixRenyiEntropy(alpha=2).estimate(x).value, abs=1e-12)


def test_a_spectrum_that_was_not_resolved_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanczos_module, "MOST_STEPS", 2)
    x = samples(900, 1)
    found = DiffusionSpectralEntropy(bandwidth=0.05, exact_up_to=500).estimate(x)
    assert found.has("not_converged")
    assert found.info["steps"] == 2


# ---------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("estimator", "error", "text"),
    [
        (DiffusionSpectralEntropy(t=0), ValueError, "t must be a finite number above 0, got 0"),
        (DiffusionSpectralEntropy(t=math.nan), ValueError, "t must be a finite number above 0"),
        (DiffusionSpectralEntropy(t="1"), TypeError, "t must be a finite number above 0 and a n"),
        (DiffusionSpectralEntropy(anisotropy=2), ValueError, r"anisotropy must be in \[0, 1\], go"),
        (DiffusionSpectralEntropy(bandwidth=0), ValueError, "bandwidth must be a finite number ab"),
        (DiffusionSpectralEntropy(bandwidth="x"), ValueError, "bandwidth must be one of .*'sqrt_d"),
        (
            DiffusionSpectralEntropy(bandwidth=[1.0]),
            ValueError,
            r"bandwidth must be .*shape \(2,\)",
        ),
        (DiffusionSpectralEntropy(exact_up_to=10), ValueError, "exact_up_to must be an integer of"),
        (DiffusionSpectralEntropy(exact_up_to=1e3), TypeError, "exact_up_to must be an integer of"),
        (DiffusionSpectralEntropy(probes=1), ValueError, r"probes must be in \[2, 100\], got 1"),
        (MatrixRenyiEntropy(alpha=0), ValueError, "alpha must be a finite number above 0, got 0"),
        (MatrixRenyiEntropy(alpha=None), TypeError, "alpha must be a finite number above 0 and a"),
        (MatrixRenyiEntropy(bandwidth=-1), ValueError, "bandwidth must be a finite number above 0"),
    ],
)
def test_settings_out_of_range(estimator, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match="^" + text):
        estimator.estimate(samples(30, 2))


def test_small_exponents_of_sampled_spectra_are_refused_with_the_remedy() -> None:
    x = samples(600, 2)
    text = (
        r"^t must be a finite number of at least 1, got 0\.5\. Of 600 rows, more than exact_up_to"
    )
    with pytest.raises(ValueError, match=text):
        DiffusionSpectralEntropy(t=0.5, exact_up_to=500).estimate(x)
    assert DiffusionSpectralEntropy(t=0.5, exact_up_to=600).estimate(x).std_error is None
    with pytest.raises(ValueError, match=r"^alpha must be .* at least 1, got 0\.9\. Of 600 rows"):
        MatrixRenyiEntropy(alpha=0.9, exact_up_to=500).estimate(x)


def test_a_rule_on_equal_rows_must_still_be_a_rule() -> None:
    with pytest.raises(ValueError, match=r"^bandwidth must be one of \[.*\], got 'scott'"):
        MatrixRenyiEntropy(bandwidth="scott").estimate(np.ones((30, 2)))


def test_exact_eigenvalues_of_too_many_rows_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from infoest.functional import spectral

    monkeypatch.setattr(spectral, "MOST_ROWS", 550)
    with pytest.raises(ValueError, match="x must have at most 550 rows for exact eigenvalues"):
        DiffusionSpectralEntropy(exact_up_to=10**6).estimate(samples(600, 2))
    assert DiffusionSpectralEntropy(exact_up_to=500).estimate(samples(600, 2)).value > 0.0
    assert _spectra.FEWEST_ROWS_OF_LANCZOS == 500
