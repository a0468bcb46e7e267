import math

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from torch.autograd import gradcheck, gradgradcheck
from torch.distributions import MultivariateNormal, kl_divergence

from infoest.functional import gaussian_kl, gaussian_wasserstein

BOTH = pytest.mark.parametrize("function", [gaussian_kl, gaussian_wasserstein])


def normal(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def law(d, seed, *batch):
    root = normal(*batch, d, d, seed=seed)
    return normal(*batch, d, seed=seed + 50), root @ root.mT + 0.1 * torch.eye(d)


def naive_wasserstein(mean_a, cov_a, mean_b, cov_b):
    mean_a, cov_a, mean_b, cov_b = (v.numpy() for v in (mean_a, cov_a, mean_b, cov_b))
    root = sqrtm(cov_a).real
    cross = sqrtm(root @ cov_b @ root).real
    return math.sqrt(((mean_a - mean_b) ** 2).sum() + np.trace(cov_a + cov_b - 2.0 * cross))


@pytest.mark.parametrize("d", [1, 2, 5])
def test_full_covariances_equal_the_formulas(d):
    a, b = law(d, 0), law(d, 1)
    expected = kl_divergence(MultivariateNormal(*a), MultivariateNormal(*b))
    torch.testing.assert_close(gaussian_kl(*a, *b), expected)
    found = gaussian_wasserstein(*a, *b)
    assert found.item() == pytest.approx(naive_wasserstein(*a, *b), rel=1e-9)
    torch.testing.assert_close(gaussian_wasserstein(*b, *a), found)


@BOTH
def test_variances_are_a_diagonal_covariance(function):
    mean_a, mean_b = normal(4), normal(4, seed=1)
    var_a, var_b = normal(4, seed=2).exp(), normal(4, seed=3).exp()
    full = function(mean_a, var_a.diag(), mean_b, var_b.diag())
    for a, b in [(var_a, var_b), (var_a.diag(), var_b), (var_a, var_b.diag())]:
        torch.testing.assert_close(function(mean_a, a, mean_b, b), full)


def test_laws_on_a_line():
    two, three, one, five = (torch.tensor(v, dtype=torch.float64) for v in (2.0, 3.0, 1.0, 5.0))
    expected = 0.5 * (3.0 / 5.0 + 1.0 / 5.0 - 1.0 + math.log(5.0 / 3.0))
    assert gaussian_kl(two, three, one, five).item() == pytest.approx(expected)
    expected = math.sqrt(1.0 + (math.sqrt(3.0) - math.sqrt(5.0)) ** 2)
    assert gaussian_wasserstein(two, three, one, five).item() == pytest.approx(expected)
    assert gaussian_kl(two[None], three[None], one[None], five[None]).shape == ()


@pytest.mark.parametrize("rho", [0.0, 0.3, -0.8, 0.999])
def test_distance_of_a_correlated_pair_from_the_product_of_its_sides(rho):
    zero, identity = torch.zeros(2).double(), torch.eye(2).double()
    cov = torch.tensor([[1.0, rho], [rho, 1.0]], dtype=torch.float64)
    expected = math.sqrt(4.0 - 2.0 * (math.sqrt(1.0 + rho) + math.sqrt(1.0 - rho)))
    assert gaussian_wasserstein(zero, cov, zero, identity).item() == pytest.approx(
        expected, abs=1e-12
    )
    # And the divergence of the joint law from the product is the mutual information.
    mutual_information = -0.5 * math.log(1.0 - rho**2)
    assert gaussian_kl(zero, cov, zero, identity).item() == pytest.approx(
        mutual_information, abs=1e-12
    )


@BOTH
def test_many_laws_at_once(function):
    means, covs = law(3, 0, 4, 2)
    mean, cov = law(3, 1)
    found = function(means, covs, mean, cov)
    assert found.shape == (4, 2)
    each = function(means[2, 1], covs[2, 1], mean, cov)
    torch.testing.assert_close(found[2, 1], each)
    variances = covs.diagonal(dim1=-2, dim2=-1)
    torch.testing.assert_close(
        function(mean, cov, means, variances)[0, 1],
        function(mean, cov, means[0, 1], variances[0, 1]),
    )


@BOTH
def test_equal_laws_are_not_apart(function):
    for mean, cov in [law(4, 0), (normal(4), normal(4, seed=1).exp())]:
        mean, cov = mean.requires_grad_(), cov.requires_grad_()
        value = function(mean, cov, mean.detach(), cov.detach())
        value.backward()
        assert value.item() == pytest.approx(0.0, abs=1e-13)
        assert mean.grad.isfinite().all()
        torch.testing.assert_close(cov.grad, torch.zeros_like(cov), rtol=0.0, atol=1e-12)


def test_small_distances_keep_their_digits():
    mean, cov = law(3, 0)
    values, vectors = torch.linalg.eigh(cov)
    near = (vectors * (values.sqrt() + 1e-9).square()) @ vectors.T  # W2 = 1e-9 sqrt(3)
    found = gaussian_wasserstein(mean, cov, mean, near).item()
    assert found == pytest.approx(1e-9 * math.sqrt(3.0), rel=1e-4)


def test_divergence_does_not_see_the_coordinates_and_distance_sees_no_rotation():
    a, b = law(3, 0), law(3, 1)
    linear = normal(3, 3, seed=9)
    moved = [v for mean, cov in (a, b) for v in (linear @ mean, linear @ cov @ linear.T)]
    torch.testing.assert_close(gaussian_kl(*moved), gaussian_kl(*a, *b))
    linear = torch.linalg.qr(linear).Q
    moved = [v for mean, cov in (a, b) for v in (linear @ mean, linear @ cov @ linear.T)]
    torch.testing.assert_close(gaussian_wasserstein(*moved), gaussian_wasserstein(*a, *b))


@BOTH
@torch.random.fork_rng(devices=[])  # gradient checks draw numbers
def test_has_gradients(function):
    (mean_a, root_a), (mean_b, root_b) = law(3, 0), law(3, 1)
    full = [v.requires_grad_() for v in (mean_a, root_a, mean_b, root_b)]

    def of_roots(mean_a, root_a, mean_b, root_b):
        return function(mean_a, root_a @ root_a.T, mean_b, root_b @ root_b.T)

    assert gradcheck(of_roots, full)
    diagonal = [v.detach().abs().requires_grad_() for v in law(3, 4, 2)[0:1] * 4]
    diagonal[2] = (diagonal[2].detach() + 1.0).requires_grad_()
    diagonal[3] = (diagonal[3].detach() * 2.0).requires_grad_()
    assert gradcheck(function, diagonal)
    assert gradgradcheck(function, diagonal)


def test_second_derivatives_of_a_full_distance_are_refused():
    (mean_a, cov_a), (mean_b, cov_b) = law(3, 0), law(3, 1)
    cov_a.requires_grad_()
    (gradient,) = torch.autograd.grad(
        gaussian_wasserstein(mean_a, cov_a, mean_b, cov_b), cov_a, create_graph=True
    )
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


@BOTH
def test_keeps_the_dtype(function):
    mean, variances = normal(3), normal(3, seed=1).exp()
    assert (
        function(mean.half(), variances.half(), mean.half(), variances.half()).dtype
        == torch.float32
    )
    assert function(mean.float(), variances.float(), mean, variances).dtype == torch.float64


@BOTH
@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        (lambda m, c: (m, -c, m, c), ValueError, r"^cov_a must be positive definite, got the eig"),
        (lambda m, c: (m, c, m, c * 0.0), ValueError, r"^cov_b must be positive definite"),
        (
            lambda m, c: (m, -c[0].abs(), m, c),
            ValueError,
            r"^cov_a must hold variances above 0, got",
        ),
        (lambda m, c: (m, c, m, c.triu()), ValueError, r"^cov_b must be symmetric, got entries"),
        (
            lambda m, c: (m, c[:2, :2], m, c),
            ValueError,
            r"^cov_a must have shape \(3,\) \(variances",
        ),
        (
            lambda m, c: (m, c, m[:2], c[:2, :2]),
            ValueError,
            r"^mean_a and mean_b must have one shape",
        ),
        (lambda m, c: (m / 0.0, c, m, c), ValueError, r"^mean_a must be finite, got 3"),
        (lambda m, c: (m, c, m, c * math.nan), ValueError, r"^cov_b must be finite, got 9"),
        (
            lambda m, c: (m[:0], c[:0, :0], m, c),
            ValueError,
            r"^mean_a must have at least one entry",
        ),
        (lambda m, c: (m.long(), c, m, c), TypeError, r"^mean_a must be a floating-point tensor"),
        (
            lambda m, c: (m, 1.0, m, c),
            TypeError,
            r"^cov_a must be a floating-point tensor, got float",
        ),
        (
            lambda m, c: (m.expand(2, 3), c.expand(2, 3, 3), m.expand(4, 3), c.expand(4, 3, 3)),
            ValueError,
            r"^mean_a and mean_b must have one shape, or one of them shape \(d,\), got \(2, 3\)",
        ),
    ],
)
def test_refuses(function, change, error, match):
    with pytest.raises(error, match=match):
        function(*change(*law(3, 0)))
