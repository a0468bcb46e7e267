import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch.autograd import gradcheck, gradgradcheck

from infoest.functional import spacing_entropy, wasserstein_1d


def normal(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def naive_spacings(u, m):
    u = np.sort(u.numpy(), axis=0)
    n = len(u)
    return np.array(
        [
            np.mean([math.log((n + 1) / m * (column[i + m] - column[i])) for i in range(n - m)])
            for column in u.T
        ]
    )


# ------------------------------------------------------------------------------- spacing_entropy


@pytest.mark.parametrize("m", [1, 3, 19, None])
def test_spacings_equal_the_formula(m):
    u = normal(20, 3)
    expected = naive_spacings(u, 4 if m is None else m)  # round(sqrt(20)) = 4
    np.testing.assert_allclose(spacing_entropy(u, m).numpy(), expected, rtol=1e-12)
    assert spacing_entropy(u[:, 0], m).tolist() == pytest.approx(expected[:1])


@pytest.mark.parametrize("n", [2, 3, 10, 99, 512])
def test_grid_has_entropy_zero(n):
    grid = torch.arange(1, n + 1, dtype=torch.float64) / (n + 1)
    for m in (None, 1, n - 1):
        assert spacing_entropy(grid, m).item() == pytest.approx(0.0, abs=1e-12)


def test_bias_is_what_is_added():
    u = normal(50, 2)
    for m, bias in [(1, 0.5772156649015329), (2, math.log(2) + 0.5772156649015329 - 1.0)]:
        added = spacing_entropy(u, m, correct_bias=True) - spacing_entropy(u, m)
        assert added.tolist() == pytest.approx([bias] * 2, rel=1e-12)
    added = spacing_entropy(u, 40, correct_bias=True) - spacing_entropy(u, 40)
    assert added[0].item() == pytest.approx(1.0 / 80.0, rel=0.01)


def test_correction_leaves_no_bias_on_uniform_samples():
    u = torch.from_numpy(np.random.default_rng(3).random((200, 2000)))
    values = spacing_entropy(u, 5, correct_bias=True)
    standard_error = (values.std() / math.sqrt(2000)).item()
    # digamma(n + 1) against log(n + 1), about 1 / (2n), is not part of it.
    assert abs(values.mean().item() - 1.0 / 402.0) < 4.0 * standard_error
    assert abs(spacing_entropy(u, 5).mean().item()) > 20.0 * standard_error


def test_spacings_move_with_scale_and_not_with_shift_or_order():
    u = normal(40, 2)
    value = spacing_entropy(u)
    torch.testing.assert_close(spacing_entropy(-1e6 * u), value + math.log(1e6))
    torch.testing.assert_close(spacing_entropy(u + 100.0), value, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(spacing_entropy(u.flip(0)), value)


def test_ties_give_finite_values_and_gradients():
    u = torch.cat([torch.zeros(10, 3), torch.ones(10, 3)]).double()
    u[:, 1] = 1.0
    u[:, 2] = 0.0
    u.requires_grad_()
    value = spacing_entropy(u, 2)
    assert value.isfinite().all()
    (gradient,) = torch.autograd.grad(value.sum(), u)
    assert gradient.isfinite().all()
    # In a tie of 10 values no spacing of 2 ranks has width: 16 of 18 count as the resolution.
    expected = (16 * math.log(2.0**-52) + 2 * 0.0) / 18 + math.log(21 / 2)
    assert value[0].item() == pytest.approx(expected)
    assert value[1].item() == pytest.approx(math.log(2.0**-52 * 21 / 2))


@torch.random.fork_rng(devices=[])  # gradient checks draw numbers
def test_spacings_have_gradients():
    u = normal(9, 2).requires_grad_()
    assert gradcheck(spacing_entropy, u)
    assert gradgradcheck(spacing_entropy, u)


def test_spacings_keep_the_dtype():
    assert spacing_entropy(normal(20, 2).float()).dtype == torch.float32
    assert spacing_entropy(normal(20, 2).half()).dtype == torch.float32


@pytest.mark.parametrize(
    ("u", "m", "error", "match"),
    [
        (normal(9), 9, ValueError, r"^m must be in \[1, 8\], got 9"),
        (normal(9), 0, ValueError, r"^m must be in \[1, 8\], got 0"),
        (normal(9), 2.0, TypeError, r"^m must be in \[1, 8\] and an integer, got 2\.0"),
        (normal(1), None, ValueError, r"^u must have at least 2 rows, got 1"),
        (normal(2, 3, 4), None, ValueError, r"^u must have shape \(n,\) or \(n, d\)"),
        (normal(9) / 0.0, None, ValueError, r"^u must be finite, got 9"),
        (normal(9).numpy(), None, TypeError, r"^u must be a floating-point tensor, got ndarray"),
    ],
)
def test_refuses_spacings(u, m, error, match):
    with pytest.raises(error, match=match):
        spacing_entropy(u, m)


def test_refuses_a_correction_that_is_no_bool():
    with pytest.raises(TypeError, match=r"^correct_bias must be True or False, got 'yes'"):
        spacing_entropy(normal(9), correct_bias="yes")


# -------------------------------------------------------------------------------- wasserstein_1d


@pytest.mark.parametrize(("n", "m"), [(1, 1), (7, 7), (1, 9), (12, 8), (13, 31)])
def test_distance_equals_scipy(n, m):
    x, y = normal(n), 2.0 * normal(m, seed=1) + 1.0
    expected = stats.wasserstein_distance(x.numpy(), y.numpy())
    assert wasserstein_1d(x, y).item() == pytest.approx(expected, rel=1e-12)
    assert wasserstein_1d(y, x).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("order", [1.0, 1.5, 2, 7.0])
def test_distance_of_unequal_sizes_is_that_of_repeated_samples(order):
    x, y = normal(6), normal(9, seed=1)
    a, b = (np.sort(side.numpy().repeat(k)) for side, k in ((x, 3), (y, 2)))
    expected = np.mean(np.abs(a - b) ** order) ** (1.0 / order)
    assert wasserstein_1d(x, y, order=order).item() == pytest.approx(expected, rel=1e-12)


def test_distance_is_per_column():
    x, y = normal(6, 3), normal(9, 3, seed=1)
    columns = [wasserstein_1d(x[:, i], y[:, i]).item() for i in range(3)]
    assert wasserstein_1d(x, y).tolist() == pytest.approx(columns)
    assert wasserstein_1d(x[:, 0], y[:, :1]).shape == (1,)


def test_distance_of_shifted_and_equal_samples():
    x = normal(20)
    for order in (1.0, 2.0):
        assert wasserstein_1d(x, x + 3.0, order=order).item() == pytest.approx(3.0)
        scaled = wasserstein_1d(1e200 * x, 1e200 * (x + 3.0), order=order)
        assert scaled.item() == pytest.approx(3e200)
        moving = x.clone().requires_grad_()
        value = wasserstein_1d(moving, x, order=order)
        value.backward()
        assert value.item() == 0.0
        assert moving.grad.tolist() == [0.0] * 20


@torch.random.fork_rng(devices=[])  # gradient checks draw numbers
def test_distance_has_gradients():
    x, y = normal(6, 2).requires_grad_(), normal(9, 2, seed=1).requires_grad_()
    for order in (1.0, 2.0, 3.0):
        assert gradcheck(lambda x, y, p=order: wasserstein_1d(x, y, order=p), (x, y))
    assert gradgradcheck(lambda x, y: wasserstein_1d(x, y, order=2.0), (x, y))


def test_refuses_distances():
    x = normal(6, 2)
    with pytest.raises(ValueError, match=r"^x and y must have the same number of columns .* 2 on"):
        wasserstein_1d(x, x[:, 0])
    with pytest.raises(ValueError, match=r"^y must be finite, got 12"):
        wasserstein_1d(x, x / 0.0)
    with pytest.raises(ValueError, match=r"^x must have shape \(n,\) or \(n, d\), none of them 0"):
        wasserstein_1d(x[:0], x)
    with pytest.raises(ValueError, match=r"^order must be a finite number of at least 1, got 0\.5"):
        wasserstein_1d(x, x, order=0.5)
    with pytest.raises(TypeError, match=r"^x must be a floating-point tensor, got list"):
        wasserstein_1d([1.0], x)
