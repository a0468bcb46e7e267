"""Matrix-based Renyi entropies and information: formulas, traces, identities, gradients."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from infoest.functional import gram_entropy, matrix_renyi_entropy, matrix_renyi_mi
from infoest.functional import renyi as renyi_module
from infoest.functional.renyi import trace_of_power


def samples(n: int, d: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((n, d)))


def kernel(x: torch.Tensor, bandwidth: float) -> np.ndarray:
    x = x.numpy()
    return np.exp(-0.5 * (((x[:, None] - x[None]) / bandwidth) ** 2).sum(-1))


def entropy(matrix: np.ndarray, alpha: float) -> float:
    shares = np.linalg.eigvalsh(matrix / np.trace(matrix))
    shares = shares[shares > 1e-14]
    if alpha == 1.0:
        return float(-shares @ np.log(shares))
    return float(np.log(np.sum(shares**alpha)) / (1.0 - alpha))


ALPHAS = [0.6, 1.0, 1.01, 1.5, 2, 3, 4, 7, 2.5]


@pytest.fixture
def traces_at_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums by blocks of five columns, as large samples have them."""
    monkeypatch.setattr(renyi_module, "TRACE_ROWS", 1)
    monkeypatch.setattr(renyi_module, "BLOCK_NUMBERS", 5 * 40)


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("bandwidth", [0.3, 1.0, 4.0])
def test_entropy_equals_the_formula(alpha: float, bandwidth: float) -> None:
    x = samples(40, 2)
    value = matrix_renyi_entropy(x, alpha=alpha, bandwidth=bandwidth).item()
    tolerance = 1e-6 if alpha < 1.0 else 1e-10
    assert value == pytest.approx(entropy(kernel(x, bandwidth), alpha), abs=tolerance)


@pytest.mark.parametrize("alpha", ALPHAS)
def test_information_equals_the_formula(alpha: float) -> None:
    x, y, z = samples(40, 3), samples(40, 2, seed=1), samples(40, 1, seed=2)
    a, b, c = kernel(x, 0.8), kernel(y, 0.5), kernel(z, 0.3)
    expected = entropy(a, alpha) + entropy(b, alpha) - entropy(a * b, alpha)
    tolerance = 1e-5 if alpha < 1.0 else 1e-9
    value = matrix_renyi_mi(x, y, alpha=alpha, bandwidth=0.8, bandwidth_y=0.5).item()
    assert value == pytest.approx(expected, abs=tolerance)
    expected = entropy(a * c, alpha) + entropy(b * c, alpha)
    expected -= entropy(c, alpha) + entropy(a * b * c, alpha)
    value = matrix_renyi_mi(
        x, y, z, alpha=alpha, bandwidth=0.8, bandwidth_y=0.5, bandwidth_z=0.3
    ).item()
    assert value == pytest.approx(expected, abs=tolerance)


@pytest.mark.usefixtures("traces_at_any_size")
@pytest.mark.parametrize("alpha", [3, 4, 5, 8])
def test_traces_by_blocks_equal_eigenvalues(alpha: int) -> None:
    x = samples(40, 2)
    matrix = np.linalg.matrix_power(kernel(x, 0.7), alpha)
    assert trace_of_power(x / 0.7, alpha).item() == pytest.approx(np.trace(matrix), rel=1e-12)
    value = matrix_renyi_entropy(x, alpha=alpha, bandwidth=0.7).item()
    assert value == pytest.approx(entropy(kernel(x, 0.7), alpha), abs=1e-12)


def test_order_two_takes_no_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: torch.Tensor) -> torch.Tensor:
        raise AssertionError("a matrix was made")

    monkeypatch.setattr(renyi_module, "gaussian_matrix", refuse)
    x = samples(5000, 1)
    value = matrix_renyi_entropy(x, alpha=2, bandwidth=1.0).item()
    # E exp(-|u|^2) for u normal of variance 2: a closed form of the sum of squares, and diagonals.
    mean = 1.0 / math.sqrt(5.0)
    assert value == pytest.approx(-math.log(mean + (1.0 - mean) / 5000), abs=0.02)


def test_order_one_is_the_gram_entropy_and_the_limit() -> None:
    x = samples(40, 2)
    middle = gram_entropy(x, bandwidth=0.7).item()
    assert matrix_renyi_entropy(x, alpha=1, bandwidth=0.7).item() == pytest.approx(middle)
    for alpha in (1.0 - 1e-7, 1.0 + 1e-7):
        value = matrix_renyi_entropy(x, alpha=alpha, bandwidth=0.7).item()
        assert value == pytest.approx(middle, abs=1e-6)


def test_entropy_falls_with_the_order() -> None:
    x = samples(40, 2)
    values = [matrix_renyi_entropy(x, alpha=alpha).item() for alpha in (0.5, 1, 1.01, 2, 3, 9.5)]
    assert sorted(values, reverse=True) == values


@pytest.mark.parametrize("alpha", [1.01, 2, 3])
def test_identities(alpha: float) -> None:
    x, y = samples(50, 2), samples(50, 1, seed=1)
    order = torch.from_numpy(np.random.default_rng(2).permutation(50))
    value = matrix_renyi_mi(x, y, alpha=alpha).item()
    assert value > 0.0
    assert matrix_renyi_mi(y, x, alpha=alpha).item() == pytest.approx(value, abs=1e-12)
    assert matrix_renyi_mi(x[order], y[order], alpha=alpha).item() == pytest.approx(value, abs=1e-9)
    assert matrix_renyi_mi(1e6 * x + 1e3, 1e-6 * y, alpha=alpha).item() == pytest.approx(
        value, abs=1e-8
    )
    # A constant condition, or a constant side, changes nothing, or leaves nothing.
    one = torch.ones(50, dtype=torch.float64)
    given = matrix_renyi_mi(x, y, one, alpha=alpha, bandwidth_z=1.0).item()
    assert given == pytest.approx(value, abs=1e-12)
    assert matrix_renyi_mi(x, one, alpha=alpha, bandwidth_y=1.0).item() == pytest.approx(
        0.0, abs=1e-12
    )
    assert matrix_renyi_mi(x[:, 0], y[:, 0], alpha=alpha) == matrix_renyi_mi(
        x[:, :1], y, alpha=alpha
    )


@pytest.mark.parametrize("alpha", [1.01, 2, 3])
def test_narrow_kernels_saturate_at_log_n(alpha: float) -> None:
    x, y = samples(30, 2), samples(30, 2, seed=1)
    assert matrix_renyi_entropy(x, alpha=alpha, bandwidth=1e-6).item() == pytest.approx(
        math.log(30), abs=1e-12
    )
    assert matrix_renyi_mi(x, y, alpha=alpha, bandwidth=1e-6).item() == pytest.approx(
        math.log(30), abs=1e-12
    )
    assert matrix_renyi_entropy(torch.ones(30, 2), alpha=alpha, bandwidth=1.0).item() == (
        pytest.approx(0.0, abs=1e-7)
    )


@pytest.mark.parametrize("alpha", [0.7, 1, 1.01, 2, 3])
def test_gradients_at_repeated_eigenvalues(alpha: float) -> None:
    x = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], dtype=torch.float64)
    x = torch.cat([x, x[:2]]).requires_grad_()
    y = samples(6, 1, seed=1).requires_grad_()
    width = torch.tensor(0.9, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda x, h: matrix_renyi_entropy(x, alpha=alpha, bandwidth=h), (x, width)
    )
    assert torch.autograd.gradcheck(
        lambda x, y, h: matrix_renyi_mi(x, y, alpha=alpha, bandwidth=h), (x, y, width)
    )


@pytest.mark.usefixtures("traces_at_any_size")
@pytest.mark.parametrize("alpha", [3, 4, 5])
def test_gradients_of_traces(alpha: int) -> None:
    x = samples(40, 1)[:12].requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x: matrix_renyi_entropy(x, alpha=alpha, bandwidth=0.8), (x,)
    )


def test_keeps_the_dtype() -> None:
    x, y = samples(30, 2).float(), samples(30, 1, seed=1)
    assert matrix_renyi_entropy(x).dtype == torch.float32
    assert matrix_renyi_mi(x, x.half()).dtype == torch.float32
    assert matrix_renyi_mi(x, y).dtype == torch.float64


def test_bad_input_is_refused_by_name() -> None:
    x, y = samples(9, 2), samples(9, 1, seed=1)
    for alpha in (0, -1.0, math.nan, math.inf):
        with pytest.raises(
            ValueError, match=f"^alpha must be a finite number above 0, got {alpha}"
        ):
            matrix_renyi_entropy(x, alpha=alpha)
        with pytest.raises(
            ValueError, match=f"^alpha must be a finite number above 0, got {alpha}"
        ):
            matrix_renyi_mi(x, y, alpha=alpha)
    with pytest.raises(ValueError, match=r"^x and y must be paired, got 9 and 8 samples"):
        matrix_renyi_mi(x, y[:8])
    with pytest.raises(ValueError, match=r"^x and z must be paired, got 9 and 8 samples"):
        matrix_renyi_mi(x, y, y[:8])
    with pytest.raises(ValueError, match=r"^bandwidth_y must be a finite number above 0, got 0"):
        matrix_renyi_mi(x, y, bandwidth_y=0.0)
    with pytest.raises(ValueError, match=r"^bandwidth_z must be one of \[.*\], got 'wide'"):
        matrix_renyi_mi(x, y, y, bandwidth_z="wide")
    with pytest.raises(TypeError, match=r"^y must be a floating-point tensor, got ndarray"):
        matrix_renyi_mi(x, y.numpy())
    with pytest.raises(ValueError, match=r"^x must be finite, got 9 NaN or infinite"):
        matrix_renyi_entropy(x / torch.tensor([0.0, 1.0]), bandwidth=1.0)
    with pytest.raises(ValueError, match=r"^x must have at most 16384 rows .*, got 16385"):
        matrix_renyi_entropy(torch.zeros(16385, 1), bandwidth=1.0)
