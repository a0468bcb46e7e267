"""Sampled spectra against exact ones, and the operators that they are sampled from."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from infoest.functional import lanczos as lanczos_module
from infoest.functional.lanczos import KernelOperator, lanczos_entropy
from infoest.functional.spectral import (
    diffusion_operator,
    diffusion_scales,
    divided,
    entropy_of_eigenvalues,
    gaussian_matrix,
)

N = 700


def samples(name: str, n: int = N) -> torch.Tensor:
    rng = np.random.default_rng(0)
    columns = {"line": 1, "plane": 2, "ten": 10, "fifty": 50, "groups": 5}[name]
    x = rng.standard_normal((n, columns))
    if name == "groups":
        x += 30.0 * rng.integers(0, 8, (n, 1))
    return torch.from_numpy(x)


def scaled(name: str, relative: float) -> torch.Tensor:
    """Samples over a share of their median distance."""
    x = samples(name)
    return divided(x, relative * torch.pdist(x[:300]).median())


def operators(sample: torch.Tensor, anisotropy: float) -> tuple[KernelOperator, torch.Tensor]:
    kernel = gaussian_matrix(sample)
    matrix = diffusion_operator(kernel, diffusion_scales(kernel, anisotropy))
    return KernelOperator.of(sample).diffusion(anisotropy), matrix


@pytest.mark.parametrize("anisotropy", [0.0, 0.5, 1.0])
def test_operator_is_the_matrix(anisotropy: float) -> None:
    sample = scaled("plane", 0.5)
    operator, matrix = operators(sample, anisotropy)
    assert operator.sample.dtype == torch.float32
    vectors = torch.from_numpy(np.random.default_rng(1).standard_normal((N, 3)))
    torch.testing.assert_close(operator.product(vectors), matrix @ vectors, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(operator.row_sums(), matrix.sum(dim=1), rtol=1e-5, atol=1e-6)
    traces = torch.stack([torch.tensor(N).double(), matrix.trace(), matrix.square().sum()])
    torch.testing.assert_close(operator.traces(), traces, rtol=1e-5, atol=0.0)


def test_samples_far_from_each_other_are_multiplied_in_float64() -> None:
    operator, matrix = operators(scaled("plane", 1e-3), 0.0)
    assert operator.sample.dtype == torch.float64
    vectors = torch.ones(N, 1, dtype=torch.float64)
    torch.testing.assert_close(operator.product(vectors), matrix @ vectors, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("relative", [1e-3, 0.05, 0.3, 1.0, 5.0])
@pytest.mark.parametrize("name", ["line", "plane", "ten", "fifty", "groups"])
def test_sampled_entropy_is_within_one_percent(name: str, relative: float) -> None:
    sample = scaled(name, relative)
    operator, matrix = operators(sample, 0.0)
    eigenvalues = torch.linalg.eigvalsh(matrix)
    for power in (1.0, 2.0, 3.5):
        exact = entropy_of_eigenvalues(eigenvalues, power).value.item()
        found = lanczos_entropy(operator, power=power, seed=0)
        assert found.value == pytest.approx(exact, rel=0.01, abs=1e-4)
        assert abs(found.value - exact) < 5.0 * found.std_error + 1e-10
        assert found.settled


@pytest.mark.parametrize("name", ["line", "ten", "groups"])
def test_sampled_renyi_entropy_is_within_one_percent(name: str) -> None:
    for relative in (0.05, 0.5, 2.0):
        sample = scaled(name, relative)
        eigenvalues = torch.linalg.eigvalsh(gaussian_matrix(sample))
        for order in (1.0, 1.01, 1.5, 3.0, 12.0):
            exact = entropy_of_eigenvalues(eigenvalues, 1.0, order).value.item()
            found = lanczos_entropy(KernelOperator.of(sample), order=order, seed=1)
            assert found.value == pytest.approx(exact, rel=0.01, abs=1e-4)


def test_standard_error_is_that_of_the_probes() -> None:
    """Over seeds, errors scatter by about their standard error: not three times more or less."""
    operator, matrix = operators(scaled("ten", 0.6), 0.0)
    exact = entropy_of_eigenvalues(torch.linalg.eigvalsh(matrix)).value.item()
    found = [lanczos_entropy(operator, seed=seed) for seed in range(25)]
    errors = np.array([one.value - exact for one in found])
    typical = np.sqrt(np.mean([one.std_error**2 for one in found]))
    assert 0.33 < np.sqrt(np.mean(errors**2)) / typical < 2.0


def test_more_probes_scatter_less_and_a_seed_repeats() -> None:
    operator, _ = operators(scaled("ten", 0.6), 0.0)
    few, many = (
        [lanczos_entropy(operator, probes=probes, seed=seed).value for seed in range(12)]
        for probes in (2, 24)
    )
    assert np.std(many) < 0.6 * np.std(few)
    assert lanczos_entropy(operator, seed=3) == lanczos_entropy(operator, seed=3)
    assert lanczos_entropy(operator, seed=3) != lanczos_entropy(operator, seed=4)


def test_a_spectrum_of_one_value_is_exact() -> None:
    far = KernelOperator.of(1e4 * samples("ten"))
    assert lanczos_entropy(far, seed=0).value == pytest.approx(math.log(N), abs=1e-9)
    same = KernelOperator.of(torch.zeros(N, 2, dtype=torch.float64))
    assert lanczos_entropy(same, seed=0).value == pytest.approx(0.0, abs=1e-4)
    assert lanczos_entropy(same, power=2.0, seed=0).value == pytest.approx(0.0, abs=1e-5)


def test_the_space_may_fill_all_rows() -> None:
    sample = scaled("plane", 0.2)[:120]
    operator, matrix = operators(sample, 0.0)
    exact = entropy_of_eigenvalues(torch.linalg.eigvalsh(matrix)).value.item()
    found = lanczos_entropy(operator, seed=0)
    assert found.steps <= 4  # 32 columns each
    assert found.value == pytest.approx(exact, rel=0.02)


def test_says_when_the_last_step_still_mattered(monkeypatch: pytest.MonkeyPatch) -> None:
    operator, matrix = operators(scaled("plane", 0.05), 0.0)
    exact = entropy_of_eigenvalues(torch.linalg.eigvalsh(matrix)).value.item()
    monkeypatch.setattr(lanczos_module, "MOST_STEPS", 2)
    found = lanczos_entropy(operator, seed=0)
    assert not found.settled
    assert found.steps == 2
    assert abs(found.value - exact) < 5.0 * found.std_error


def test_global_randomness_is_left_alone_by_any_device_generator() -> None:
    operator, _ = operators(scaled("plane", 0.5), 0.0)
    state = torch.get_rng_state()
    lanczos_entropy(operator, seed=0)
    assert torch.equal(torch.get_rng_state(), state)
