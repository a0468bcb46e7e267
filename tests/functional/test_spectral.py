"""Entropies of spectra: formulas, invariances, limits, gradients at repeated eigenvalues."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from infoest.functional import diffusion_spectral_entropy, gram_entropy, von_neumann_entropy
from infoest.functional import spectral as spectral_module
from infoest.functional.spectral import (
    MOST_ROWS,
    NUMPY_ROWS,
    entropy_of_eigenvalues,
    gaussian_matrix,
    resolve_width,
    spectral_entropy,
)


def samples(n: int, d: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((n, d)))


def naive_kernel(x: torch.Tensor, bandwidth: object) -> np.ndarray:
    x = x.numpy()
    return np.exp(-0.5 * (((x[:, None] - x[None]) / bandwidth) ** 2).sum(-1))


def naive_entropy(eigenvalues: np.ndarray, t: float = 1.0) -> float:
    weights = np.abs(eigenvalues) ** t
    shares = weights / weights.sum()
    shares = shares[shares > 1e-13]
    return float(-shares @ np.log(shares))


def naive_diffusion(x: torch.Tensor, bandwidth: object, t: float, anisotropy: float) -> float:
    kernel = naive_kernel(x, bandwidth)
    sums = kernel.sum(1) ** anisotropy
    kernel = kernel / np.outer(sums, sums)
    return naive_entropy(np.linalg.eigvals(kernel / kernel.sum(1, keepdims=True)), t)


# ------------------------------------------------------------------------------------- known values


@pytest.mark.parametrize("anisotropy", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("t", [1, 2, 2.5, 30])
@pytest.mark.parametrize("bandwidth", [0.2, 1.0, 5.0, np.array([0.3, 1.0, 4.0])])
def test_diffusion_equals_the_formula(bandwidth: object, t: float, anisotropy: float) -> None:
    x = samples(40, 3)
    value = diffusion_spectral_entropy(x, bandwidth=bandwidth, t=t, anisotropy=anisotropy)
    assert value.item() == pytest.approx(naive_diffusion(x, bandwidth, t, anisotropy), abs=1e-9)


# dse-dsmi 1.1 (PyPI), diffusion_spectral_entropy(x, gaussian_kernel_sigma=bandwidth, t=t), in bits.
@pytest.mark.parametrize(
    ("bandwidth", "t", "bits"),
    [
        (10.0, 1, 0.10590362928198124),
        (1.0, 1, 2.4716401836029025),
        (1.0, 2, 1.4343711613559265),
        (0.5, 3, 2.685163538223529),
        (0.1, 1, 3.584962500026157),
    ],
)
def test_diffusion_equals_the_published_package(bandwidth: float, t: int, bits: float) -> None:
    i = np.arange(12.0)
    x = torch.from_numpy(np.stack([np.sin(i), np.cos(1.7 * i), 0.1 * i], axis=1))
    value = diffusion_spectral_entropy(x, bandwidth=bandwidth, t=t).item()
    assert value / math.log(2.0) == pytest.approx(bits, abs=1e-10)


def test_the_default_is_the_published_one() -> None:
    x = 8.0 * samples(30, 2)
    expected = diffusion_spectral_entropy(x, bandwidth=10.0, t=1.0, anisotropy=0.0)
    assert diffusion_spectral_entropy(x) == expected


def test_gram_entropy_equals_the_formula() -> None:
    x = samples(40, 2)
    for bandwidth in (0.2, 1.0, np.array([0.3, 3.0])):
        expected = naive_entropy(np.linalg.eigvalsh(naive_kernel(x, bandwidth)))
        assert gram_entropy(x, bandwidth=bandwidth).item() == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("shape", [(30, 4), (4, 30), (10, 10)])
def test_von_neumann_entropy_equals_the_formula_on_both_sides(shape: tuple[int, int]) -> None:
    z = samples(*shape) * torch.linspace(0.1, 2.0, shape[1], dtype=torch.float64) + 3.0
    expected = naive_entropy(np.linalg.eigvalsh(np.cov(z.numpy().T)))
    assert von_neumann_entropy(z).item() == pytest.approx(expected, abs=1e-11)


def test_von_neumann_entropy_of_a_known_spectrum() -> None:
    # reference/losses.md: S(.7, .2, .1) = .801819.
    z = torch.cat([torch.eye(3), -torch.eye(3)]) * torch.tensor([0.7, 0.2, 0.1]).sqrt()
    assert von_neumann_entropy(z.double()).item() == pytest.approx(0.801819, abs=1e-6)


def test_groups_of_equal_rows_far_apart_count_as_one_each() -> None:
    x = torch.arange(5.0, dtype=torch.float64).repeat_interleave(6)
    for t in (0.3, 1, 7):
        assert diffusion_spectral_entropy(x, bandwidth=0.01, t=t).item() == pytest.approx(
            math.log(5.0), abs=1e-12
        )
    assert gram_entropy(x, bandwidth=0.01).item() == pytest.approx(math.log(5.0), abs=1e-12)


# --------------------------------------------------------------------------------------- identities


FUNCTIONS = [
    lambda x: diffusion_spectral_entropy(x, bandwidth="median", t=2, anisotropy=0.5),
    gram_entropy,
    von_neumann_entropy,
]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_order_origin_and_units_do_not_count(function) -> None:
    x = samples(50, 3)
    value = function(x).item()
    assert function(x.flip(0)).item() == pytest.approx(value, abs=1e-12)
    assert function(x.flip(1)).item() == pytest.approx(value, abs=1e-12)
    assert function(1e6 * x).item() == pytest.approx(value, abs=1e-11)
    assert function(1e-150 * x).item() == pytest.approx(value, abs=1e-11)
    assert function(x + 1e6).item() == pytest.approx(value, abs=1e-7)
    rotation = torch.linalg.qr(samples(3, 3, seed=9))[0]
    assert function(x @ rotation).item() == pytest.approx(value, abs=1e-11)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_one_axis_is_one_feature_and_the_dtype_is_kept(function) -> None:
    x = samples(40, 2)
    assert function(x[:, 0]) == function(x[:, :1])
    assert function(x).dtype == torch.float64
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        short = x.to(dtype)
        assert function(short).dtype == torch.float32
        assert function(short).item() == pytest.approx(function(short.double()).item(), rel=1e-6)


def test_every_row_twice_leaves_the_value() -> None:
    x = samples(30, 2)
    twice = torch.cat([x, x])
    for function in (
        lambda x: diffusion_spectral_entropy(x, bandwidth=0.7),
        lambda x: gram_entropy(x, bandwidth=0.7),
        von_neumann_entropy,
    ):
        assert function(twice).item() == pytest.approx(function(x).item(), abs=1e-10)


def test_entropy_falls_with_bandwidth_and_time() -> None:
    x = samples(60, 2)
    by_bandwidth = [diffusion_spectral_entropy(x, bandwidth=h).item() for h in (0.1, 0.5, 2.0, 9.0)]
    by_time = [diffusion_spectral_entropy(x, bandwidth=0.5, t=t).item() for t in (0.5, 1, 2, 8)]
    for values in (by_bandwidth, by_time):
        assert sorted(values, reverse=True) == values
        assert values[0] <= math.log(60) + 1e-12
        assert values[-1] >= 0.0


def test_bandwidth_rules() -> None:
    x = samples(30, 4)
    assert resolve_width("sqrt_d", x) == 2.0
    expected = diffusion_spectral_entropy(x, bandwidth=2.0)
    assert diffusion_spectral_entropy(x, bandwidth="sqrt_d") == expected
    median = torch.pdist(x).quantile(0.5).item()
    value = diffusion_spectral_entropy(x, bandwidth="median").item()
    assert value == pytest.approx(diffusion_spectral_entropy(x, bandwidth=median).item(), abs=1e-3)


# ------------------------------------------------------------------------------------------- limits


def test_equal_rows_and_single_rows_have_no_entropy() -> None:
    for x in (torch.ones(200, 3), torch.full((1, 2), 7.0)):
        assert diffusion_spectral_entropy(x).item() == 0.0
        assert gram_entropy(x, bandwidth=1.0).item() == 0.0
        assert von_neumann_entropy(x).item() == 0.0


def test_far_apart_rows_have_log_n() -> None:
    x = samples(50, 2)
    for scale in (1e4, 1e9, 1e300):
        assert diffusion_spectral_entropy(scale * x, bandwidth=1.0).item() == pytest.approx(
            math.log(50), abs=1e-12
        )
    assert gram_entropy(x, bandwidth=1e-6).item() == pytest.approx(math.log(50), abs=1e-12)


def test_far_apart_groups_keep_their_inner_distances() -> None:
    # The expansion of squares would lose them: 1e12 against 1.
    x = samples(20, 2)
    apart = torch.cat([x, x + 1e9])
    one = gram_entropy(x, bandwidth=1.0).item()
    assert gram_entropy(apart, bandwidth=1.0).item() == pytest.approx(one + math.log(2.0), abs=1e-6)


def test_both_libraries_of_eigenvalues_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    x = samples(80, 3)
    assert len(x) <= NUMPY_ROWS
    by_numpy = gram_entropy(x)
    monkeypatch.setattr(spectral_module, "NUMPY_ROWS", 10)
    assert gram_entropy(x).item() == pytest.approx(by_numpy.item(), abs=1e-12)


def test_the_kernel_matrix_is_exact_on_both_paths() -> None:
    x = samples(30, 2)
    for scale in (0.1, 1.0, 3000.0):  # the last one by differences
        expected = naive_kernel(x * scale, 1.0)
        np.testing.assert_allclose(gaussian_matrix(x * scale).numpy(), expected, atol=1e-9)
    torch.testing.assert_close(gaussian_matrix(x).diagonal(), torch.ones(30, dtype=torch.float64))


# ---------------------------------------------------------------------------------------- the order


@pytest.mark.parametrize("order", [0.3, 0.95, 1.05, 2.0, 7.0, 400.0])
def test_renyi_entropy_equals_the_formula(order: float) -> None:
    values = torch.tensor([0.5, 0.3, 0.15, 0.05], dtype=torch.float64)
    shares = values.numpy()
    expected = np.log(np.sum(shares**order)) / (1.0 - order)
    found = entropy_of_eigenvalues(3.0 * values, 1.0, order).value.item()
    assert found == pytest.approx(expected, rel=1e-12)


def test_renyi_entropy_is_continuous_at_one() -> None:
    values = torch.rand(50, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    middle, slopes = entropy_of_eigenvalues(values)
    for order in (1.0 - 1e-9, 1.0 + 1e-9, 1.0 + 1e-14):
        value, others = entropy_of_eigenvalues(values, 1.0, order)
        assert value.item() == pytest.approx(middle.item(), abs=1e-8)
        torch.testing.assert_close(others, slopes, atol=1e-7, rtol=1e-5)


@pytest.mark.parametrize("power", [0.6, 1.0, 3.0])
@pytest.mark.parametrize("order", [0.7, 1.0, 1.01, 3.0])
def test_slopes_are_derivatives(power: float, order: float) -> None:
    values = torch.tensor([2.0, 0.7, 0.7, 0.1, -0.2], dtype=torch.float64)
    slopes = entropy_of_eigenvalues(values, power, order).slopes
    for i in range(len(values)):
        step = torch.zeros(5, dtype=torch.float64)
        step[i] = 1e-6
        up, down = (
            entropy_of_eigenvalues(values + sign * step, power, order).value for sign in (1, -1)
        )
        assert slopes[i].item() == pytest.approx(((up - down) / 2e-6).item(), abs=1e-7)


def test_powers_that_underflow_leave_the_largest() -> None:
    values = torch.tensor([1.0, 0.5, 1e-3], dtype=torch.float64)
    value, slopes = entropy_of_eigenvalues(values, 1e4)
    assert 0.0 <= value.item() < 1e-300
    assert slopes.isfinite().all()


# ---------------------------------------------------------------------------------------- gradients


def with_equal_rows() -> torch.Tensor:
    """Rows of which some are equal, and a symmetric square: repeated eigenvalues, 0 among them."""
    x = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], dtype=torch.float64)
    return torch.cat([x, x[:2]]).requires_grad_()


@pytest.mark.parametrize("t", [0.7, 1, 2, 5.5])
@pytest.mark.parametrize("anisotropy", [0.0, 0.5])
def test_gradient_of_diffusion_at_repeated_eigenvalues(t: float, anisotropy: float) -> None:
    def function(x: torch.Tensor) -> torch.Tensor:
        return diffusion_spectral_entropy(x, bandwidth=1.0, t=t, anisotropy=anisotropy)

    assert torch.autograd.gradcheck(function, (with_equal_rows(),))
    assert torch.autograd.gradcheck(function, (samples(7, 2).requires_grad_(),))


def test_gradient_by_the_bandwidth() -> None:
    width = torch.tensor([0.7, 1.5], dtype=torch.float64, requires_grad=True)
    for function in (diffusion_spectral_entropy, gram_entropy):
        assert torch.autograd.gradcheck(
            lambda x, h, function=function: function(x, bandwidth=h), (with_equal_rows(), width)
        )


def test_gradient_of_gram_and_von_neumann_entropy() -> None:
    assert torch.autograd.gradcheck(lambda x: gram_entropy(x, bandwidth=1.0), (with_equal_rows(),))
    z = samples(6, 4).clone()
    z[2], z[:, 3] = z[1], z[:, 0]  # an eigenvalue 0 on both sides
    z.requires_grad_()
    assert torch.autograd.gradcheck(von_neumann_entropy, (z,))
    assert torch.autograd.gradcheck(lambda z: von_neumann_entropy(z.mT), (z,))


def test_gradient_on_the_path_of_differences() -> None:
    x = torch.cat([samples(4, 2), samples(4, 2, seed=1) + 2000.0]).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: gram_entropy(x, bandwidth=1.0), (x,), atol=1e-5)


def test_gradient_where_nothing_varies_is_zero() -> None:
    for function in (
        diffusion_spectral_entropy,
        lambda x: gram_entropy(x, bandwidth=1.0),
        von_neumann_entropy,
    ):
        x = torch.ones(6, 2, dtype=torch.float64, requires_grad=True)
        function(x).backward()
        assert x.grad is not None
        assert x.grad.abs().max() < 1e-12


def test_gradient_of_a_matrix_is_symmetric_and_second_derivatives_are_refused() -> None:
    matrix = (samples(5, 5) @ samples(5, 5).mT).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda m: spectral_entropy(0.5 * (m + m.mT), order=1.01), (matrix,)
    )
    (grad,) = torch.autograd.grad(spectral_entropy(matrix), matrix, create_graph=True)
    torch.testing.assert_close(grad, grad.mT)
    with pytest.raises(RuntimeError, match="must be differentiated once, got a second derivative"):
        grad.sum().backward()


def test_entropy_as_a_loss_spreads_codes() -> None:
    z = (0.1 * samples(40, 5)).clone()
    z[:, 0] += 3.0 * samples(40, 1, seed=1)[:, 0]
    z.requires_grad_()
    optimizer = torch.optim.Adam([z], lr=0.05)
    before = von_neumann_entropy(z).item()
    for _ in range(60):
        optimizer.zero_grad()
        (-von_neumann_entropy(z)).backward()
        optimizer.step()
    assert before < 0.3
    assert von_neumann_entropy(z).item() > 1.3


# ---------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize("function", [diffusion_spectral_entropy, gram_entropy])
@pytest.mark.parametrize("bandwidth", [0.0, -1.0, math.nan, math.inf])
def test_bandwidth_out_of_range(function, bandwidth: float) -> None:
    text = f"^bandwidth must be a finite number above 0, got {bandwidth}"
    with pytest.raises(ValueError, match=text):
        function(samples(9, 2), bandwidth=bandwidth)


def test_bad_input_is_refused_by_name() -> None:
    x = samples(9, 2)
    with pytest.raises(ValueError, match=r"bandwidth must be one of \[.*'sqrt_d'\], got 'scott'"):
        diffusion_spectral_entropy(x, bandwidth="scott")
    with pytest.raises(ValueError, match=r"bandwidth must be .* shape \(2,\), got shape \(3,\)"):
        gram_entropy(x, bandwidth=[1.0, 2.0, 3.0])
    for t in (0, -1.0, math.nan):
        with pytest.raises(ValueError, match=f"t must be a finite number above 0, got {t}"):
            diffusion_spectral_entropy(x, t=t)
    with pytest.raises(TypeError, match="t must be a finite number above 0 and a number, got '2'"):
        diffusion_spectral_entropy(x, t="2")
    for anisotropy in (-0.1, 1.1):
        with pytest.raises(ValueError, match=rf"anisotropy must be in \[0, 1\], got {anisotropy}"):
            diffusion_spectral_entropy(x, anisotropy=anisotropy)
    for function in FUNCTIONS:
        with pytest.raises(ValueError, match="must be finite, got 1 NaN"):
            function(torch.cat([x, x[:1] / torch.tensor([[0.0, 1.0]])]))
        with pytest.raises(TypeError, match="must be a floating-point tensor, got ndarray"):
            function(x.numpy())
        with pytest.raises(ValueError, match=r"must have shape \(n_samples, n_features\)"):
            function(torch.zeros(3, 2, 2))
    with pytest.raises(ValueError, match=r"^bandwidth must be at least .*, got 1e-100"):
        gram_entropy(1e300 * x, bandwidth=1e-100)
    with pytest.raises(ValueError, match="samples must hold two different rows for bandwidth"):
        gram_entropy(torch.ones(4, 2))


def test_too_many_rows_are_refused_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST_ROWS == 16384  # as the docstrings say
    with pytest.raises(ValueError, match=r"^x must have at most 16384 rows .*, got 16385"):
        diffusion_spectral_entropy(torch.zeros(MOST_ROWS + 1, 1))
    monkeypatch.setattr(spectral_module, "MOST_ROWS", 20)
    text = r"must have at most 20 rows for exact eigenvalues, got 21\. Take the estimator"
    for function in FUNCTIONS:
        with pytest.raises(ValueError, match=text):
            function(samples(21, 21))
    assert von_neumann_entropy(samples(50, 3)).item() > 1.0  # the smaller side counts
