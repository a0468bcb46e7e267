import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from infoest.functional import coding_rate, vicreg_terms


def normal(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


# ----------------------------------------------------------------------------------- coding_rate


@pytest.mark.parametrize("epsilon", [0.1, 0.5, 3.0])
@pytest.mark.parametrize(("n", "d"), [(20, 4), (4, 20), (5, 5), (1, 3), (7, 1)])
def test_rate_equals_the_formula(n, d, epsilon):
    z = normal(n, d)
    matrix = np.eye(d) + d / (n * epsilon**2) * z.numpy().T @ z.numpy()
    expected = 0.5 * np.linalg.slogdet(matrix)[1]
    assert coding_rate(z, epsilon).item() == pytest.approx(expected, rel=1e-12)


def test_rate_of_orthogonal_rows_and_of_zeros():
    z = math.sqrt(3.0) * torch.eye(5, dtype=torch.float64)
    assert coding_rate(z, 0.5).item() == pytest.approx(2.5 * math.log(13.0), rel=1e-14)
    zeros = torch.zeros(4, 3, dtype=torch.float64, requires_grad=True)
    value = coding_rate(zeros, 0.5)
    value.backward()
    assert value.item() == 0.0
    assert zeros.grad.tolist() == np.zeros((4, 3)).tolist()


def test_rate_does_not_see_rotations_or_the_order_of_rows():
    z = normal(12, 5)
    rotation = torch.linalg.qr(normal(5, 5, seed=1)).Q
    value = coding_rate(z, 0.5).item()
    assert coding_rate(z @ rotation, 0.5).item() == pytest.approx(value, rel=1e-13)
    assert coding_rate(z.flip(0), 0.5).item() == pytest.approx(value, rel=1e-13)
    assert coding_rate(torch.cat([z, z]), 0.5).item() == pytest.approx(value, rel=1e-13)
    assert coding_rate(z[:, 0], 0.5).item() == coding_rate(z[:, :1], 0.5).item()


def test_rate_keeps_its_digits_where_the_features_depend_on_each_other():
    z = normal(30, 1) @ torch.ones(1, 3, dtype=torch.float64)
    expected = 0.5 * math.log1p(1e24 * 3.0 / 30.0 * z.square().sum().item())
    assert coding_rate(z, 1e-12).item() == pytest.approx(expected, abs=1e-3)


@torch.random.fork_rng(devices=[])  # gradient checks draw numbers
def test_rate_has_gradients():
    for shape in [(6, 3), (3, 6)]:
        z = normal(*shape).requires_grad_()
        assert gradcheck(lambda z: coding_rate(z, 0.5), z)
        assert gradgradcheck(lambda z: coding_rate(z, 0.5), z)


def test_refuses_rates():
    z = normal(6, 3)
    with pytest.raises(ValueError, match=r"^epsilon must be a finite number above 0, got 0\.0"):
        coding_rate(z, 0.0)
    with pytest.raises(TypeError, match=r"^epsilon must be a finite number above 0 and a number"):
        coding_rate(z, None)
    with pytest.raises(ValueError, match=r"^z must have shape \(n, d\) with n at least 1, got \(1"):
        coding_rate(z[None], 0.5)
    with pytest.raises(ValueError, match=r"^z must be finite, got 18"):
        coding_rate(z / 0.0, 0.5)
    with pytest.raises(TypeError, match=r"^z must be a floating-point tensor, got torch.int64"):
        coding_rate(z.long(), 0.5)


# ---------------------------------------------------------------------------------- vicreg_terms


def naive_vicreg(a, b):
    variance = covariance = 0.0
    for z in (a.numpy(), b.numpy()):
        cov = np.cov(z.T)
        variance += np.maximum(0.0, 1.0 - np.sqrt(np.diag(cov) + 1e-4)).mean()
        covariance += sum(
            cov[i, j] ** 2 for i in range(len(cov)) for j in range(len(cov)) if i != j
        ) / len(cov)
    return np.square(a.numpy() - b.numpy()).mean(), variance, covariance


@pytest.mark.parametrize(("n", "d"), [(2, 2), (20, 5), (4, 9)])
def test_terms_equal_the_formulas(n, d):
    a, b = 0.8 * normal(n, d), 0.8 * normal(n, d, seed=1) + 5.0
    found = [v.item() for v in vicreg_terms(a, b)]
    assert found == pytest.approx(naive_vicreg(a, b), rel=1e-12)


def test_terms_of_whitened_and_collapsed_views():
    z = normal(50, 4)
    z = 1.5 * math.sqrt(50) * torch.linalg.qr(z - z.mean(dim=0)).Q
    assert [v.item() for v in vicreg_terms(z, z)] == pytest.approx([0.0, 0.0, 0.0], abs=1e-25)
    still = torch.ones(8, 4, dtype=torch.float64, requires_grad=True)
    terms = vicreg_terms(still, still + 2.0)
    assert [v.item() for v in terms] == pytest.approx([4.0, 2.0 * 0.99, 0.0])
    sum(terms).backward()
    assert still.grad.isfinite().all()


def test_terms_are_symmetric_and_named():
    a, b = normal(9, 3), normal(9, 3, seed=1)
    terms = vicreg_terms(a, b)
    torch.testing.assert_close(tuple(terms), tuple(vicreg_terms(b, a)))
    assert terms == (terms.invariance, terms.variance, terms.covariance)
    assert {v.dtype for v in vicreg_terms(a.half(), b.float())} == {torch.float32}


@torch.random.fork_rng(devices=[])  # gradient checks draw numbers
def test_terms_have_gradients():
    a, b = (0.5 * normal(5, 3)).requires_grad_(), (0.5 * normal(5, 3, seed=1)).requires_grad_()
    assert gradcheck(lambda a, b: tuple(vicreg_terms(a, b)), (a, b))
    assert gradgradcheck(lambda a, b: tuple(vicreg_terms(a, b)), (a, b))


def test_refuses_views():
    z = normal(6, 3)
    with pytest.raises(
        ValueError, match=r"^z_a must have shape \(n, d\) with n at least 2, got \(1"
    ):
        vicreg_terms(z[:1], z[:1])
    with pytest.raises(
        ValueError, match=r"^z_a and z_b must have one shape .* \(6, 3\) .* \(5, 3\)"
    ):
        vicreg_terms(z, z[1:])
    with pytest.raises(ValueError, match=r"^z_b must be finite, got 18"):
        vicreg_terms(z, z * math.nan)
    with pytest.raises(ValueError, match=r"^z_b must have shape \(n, d\)"):
        vicreg_terms(z, z[:, 0])
    with pytest.raises(TypeError, match=r"^z_a must be a floating-point tensor, got ndarray"):
        vicreg_terms(z.numpy(), z)
