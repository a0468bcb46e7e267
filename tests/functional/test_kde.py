import math

import numpy as np
import pytest
import torch
from scipy.stats import gaussian_kde

from infoest.functional.kde import kde_log_density


def samples(n, d, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((n, d)))


def test_equals_scipys_density():
    points, queries = samples(100, 1), samples(30, 1, seed=1)
    scipys = gaussian_kde(points.numpy().T, "silverman")
    ours = kde_log_density(points, queries, bandwidth="silverman")
    np.testing.assert_allclose(ours, scipys.logpdf(queries.numpy().T), rtol=1e-11)


@pytest.mark.parametrize("bandwidth", [0.4, [0.4, 1.5]])
def test_integrates_to_one(bandwidth):
    points = samples(5, 2)
    axis = torch.linspace(-12.0, 12.0, 401, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    density = kde_log_density(points, grid, bandwidth=bandwidth).exp()
    assert density.sum().item() * (24.0 / 400) ** 2 == pytest.approx(1.0, abs=1e-9)


def test_leave_one_out_is_the_density_of_the_others():
    points = samples(9, 2)
    left_out = kde_log_density(points, points, bandwidth=0.5, exclude_self=True)
    for i in range(9):
        others = torch.cat([points[:i], points[i + 1 :]])
        expected = kde_log_density(others, points[i : i + 1], bandwidth=0.5)
        assert left_out[i].item() == pytest.approx(expected.item(), rel=1e-12)


def test_an_isolated_point_has_a_finite_log_density():
    points = torch.tensor([[0.0], [1.0], [1e5]], dtype=torch.float64)
    density = kde_log_density(points, points, bandwidth=0.1, exclude_self=True)
    expected = -0.5 * ((1e5 - 1.0) / 0.1) ** 2 - math.log(2 * 0.1 * math.sqrt(2 * math.pi))
    assert density[2].item() == pytest.approx(expected, rel=1e-12)


def test_gradients():
    points, queries = samples(6, 2).requires_grad_(), samples(4, 2, seed=1).requires_grad_()
    bandwidth = torch.tensor([0.5, 2.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda p, q, h: kde_log_density(p, q, bandwidth=h), (points, queries, bandwidth)
    )
    assert torch.autograd.gradcheck(
        lambda p, h: kde_log_density(p, p, bandwidth=h[0], exclude_self=True), (points, bandwidth)
    )


def test_names_its_arguments_in_errors():
    points = samples(6, 2)
    with pytest.raises(ValueError, match="queries must be finite, got 2"):
        kde_log_density(points, points[:1] * torch.nan, bandwidth=1.0)
    with pytest.raises(ValueError, match="points and queries must have the same number of col"):
        kde_log_density(points, points[:, :1], bandwidth=1.0)
    with pytest.raises(ValueError, match="bandwidth must be"):
        kde_log_density(points, points, bandwidth=-1.0)
