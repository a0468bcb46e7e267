import math

import numpy as np
import pytest
import torch
from scipy.optimize import brentq, linprog

from infoest.analysis import gaussian_information_bottleneck, information_bottleneck


def rng(seed=0):
    return np.random.default_rng(seed)


def entropy(p):
    p = np.asarray(p, dtype=np.float64)
    return -np.sum(np.where(p > 0.0, p * np.log(np.where(p > 0.0, p, 1.0)), 0.0), axis=-1)


def mutual_information(table):
    return entropy(table.sum(0)) + entropy(table.sum(1)) - entropy(table.ravel())


def symmetric_channel(p):
    return np.array([[1.0 - p, p], [p, 1.0 - p]]) / 2.0


def symmetric_solution(p, beta):
    """The code is a binary symmetric channel again, whose q makes the Lagrangian stationary."""

    def slope(q):
        mixed = q * (1.0 - p) + (1.0 - q) * p
        return math.log(q / (1.0 - q)) - beta * (1.0 - 2.0 * p) * math.log(mixed / (1.0 - mixed))

    q = brentq(slope, 1e-300, 0.5 - 1e-4, xtol=1e-300, rtol=1e-14, maxiter=2000)
    mixed = q * (1.0 - p) + (1.0 - q) * p
    return tuple(math.log(2.0) - entropy([v, 1.0 - v]) for v in (q, mixed))


def lower_envelope(table, beta, grid):
    """The least Lagrangian over all codes with p(x | t) on a grid: a linear program in p(t)."""
    p_x = table.sum(1)
    cost = -entropy(grid) + beta * entropy(grid @ (table / p_x[:, None]))
    found = linprog(cost, A_eq=grid.T, b_eq=p_x, bounds=(0.0, None), method="highs")
    return entropy(p_x) - beta * entropy(table.sum(0)) + found.fun


def consistent(found, table, beta):
    """The three numbers are those of the encoder."""
    encoder = found.encoder
    np.testing.assert_allclose(encoder.sum(axis=1), 1.0, rtol=1e-12)
    assert found.i_xt == pytest.approx(
        mutual_information(table.sum(1)[:, None] * encoder), abs=1e-12
    )
    assert found.i_ty == pytest.approx(mutual_information(encoder.T @ table), abs=1e-12)
    assert found.lagrangian == found.i_xt - beta * found.i_ty


# ------------------------------------------------------------------------ information_bottleneck


def test_binary_symmetric_channel_in_numbers():
    # reference/losses.md, section 16.
    found = information_bottleneck(symmetric_channel(0.11), 2.0)
    assert (found.i_xt, found.i_ty) == pytest.approx((0.416696, 0.234636), abs=1e-6)
    assert found.converged


@pytest.mark.parametrize("p", [0.11, 0.3])
@pytest.mark.parametrize("times", [1.02, 1.2, 2.0, 6.0, 100.0])
def test_binary_symmetric_channel_in_closed_form(p, times):
    beta = times / (1.0 - 2.0 * p) ** 2
    table = symmetric_channel(p)
    found = information_bottleneck(table, beta)
    i_xt, i_ty = symmetric_solution(p, beta)
    assert found.lagrangian == pytest.approx(i_xt - beta * i_ty, abs=1e-9)
    assert (found.i_xt, found.i_ty) == pytest.approx((i_xt, i_ty), abs=1e-4)
    consistent(found, table, beta)


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0, 1.2, 1.6, 1.6436])
def test_below_the_critical_beta_nothing_is_kept(beta):
    found = information_bottleneck(symmetric_channel(0.11), beta)  # critical: 1.643655
    assert (found.i_xt, found.i_ty, found.lagrangian) == pytest.approx((0.0, 0.0, 0.0), abs=1e-15)


@pytest.mark.parametrize("beta", [2.0, 4.0, 12.0])
def test_no_code_on_a_grid_is_better(beta):
    ticks = np.arange(61)
    grid = np.array([(a, b, 60 - a - b) for a in ticks for b in ticks if a + b <= 60]) / 60.0
    table = rng(1).dirichlet(np.full(12, 0.2)).reshape(3, 4)
    found = information_bottleneck(table, beta)
    consistent(found, table, beta)
    bound = lower_envelope(table, beta, grid)
    # The grid's best code is a little worse than the best of all.
    assert bound - 2e-3 * beta < found.lagrangian <= bound + 1e-9
    assert found.lagrangian < -0.01


@pytest.mark.parametrize("beta", [3.0, 30.0])
def test_no_code_of_a_binary_input_is_better(beta):
    q = np.linspace(0.0, 1.0, 4001)
    table = rng(2).dirichlet(np.full(10, 0.4)).reshape(2, 5)
    bound = lower_envelope(table, beta, np.stack([q, 1.0 - q], axis=1))
    assert bound - 1e-5 * beta < information_bottleneck(table, beta).lagrangian <= bound + 1e-9


@pytest.mark.parametrize("beta", [1.1, 2.0, 50.0])
def test_where_y_is_a_function_of_x_the_best_code_is_y(beta):
    p_x = rng(3).dirichlet(np.ones(7))
    table = p_x[:, None] * np.eye(3)[[0, 1, 2, 1, 0, 2, 1]]
    found = information_bottleneck(table, beta)
    kept = entropy(table.sum(0))
    # Critically slow as beta approaches 1: the Lagrangian is what is found.
    assert found.lagrangian == pytest.approx((1.0 - beta) * kept, abs=1e-8)
    assert (found.i_xt, found.i_ty) == pytest.approx((kept, kept), abs=1e-4)


def test_keeps_everything_for_a_large_beta_and_merges_equal_rows():
    table = rng(4).dirichlet(np.ones(12)).reshape(4, 3)
    twice = np.concatenate([0.3 * table, 0.7 * table])  # two names for every x
    found = information_bottleneck(twice, 1e4)
    assert found.i_ty == pytest.approx(mutual_information(table), abs=1e-6)
    assert found.i_xt == pytest.approx(entropy(table.sum(1)), abs=1e-3)


def test_lagrangian_falls_and_information_rises_with_beta():
    table = rng(5).dirichlet(np.full(30, 0.4)).reshape(6, 5)
    found = [information_bottleneck(table, beta) for beta in (1.5, 2.0, 3.0, 5.0, 10.0, 40.0)]
    assert np.all(np.diff([one.lagrangian for one in found]) < 1e-9)
    assert np.all(np.diff([one.i_xt for one in found]) > -1e-5)
    assert np.all(np.diff([one.i_ty for one in found]) > -1e-5)
    assert found[-1].i_ty <= mutual_information(table) + 1e-12


def test_names_of_values_do_not_matter():
    table = rng(6).dirichlet(np.full(20, 0.4)).reshape(5, 4)
    found = information_bottleneck(table, 4.0)
    moved = information_bottleneck(table[::-1, [2, 0, 3, 1]], 4.0)
    assert moved.lagrangian == pytest.approx(found.lagrangian, abs=1e-9)


def test_empty_rows_and_columns_change_nothing():
    table = rng(7).dirichlet(np.full(12, 0.4)).reshape(4, 3)
    padded = np.zeros((6, 5))
    padded[np.ix_([0, 2, 3, 5], [0, 1, 4])] = table
    found = information_bottleneck(padded, 4.0, n_clusters=4)
    assert found.lagrangian == pytest.approx(
        information_bottleneck(table, 4.0).lagrangian, abs=1e-9
    )
    consistent(found, padded, 4.0)


def test_fewer_clusters_cost_something():
    table = np.eye(4) / 4.0
    two = information_bottleneck(table, 10.0, n_clusters=2)
    assert two.encoder.shape == (4, 2)
    assert two.lagrangian == pytest.approx(-9.0 * math.log(2.0), abs=1e-9)
    assert information_bottleneck(table, 10.0).lagrangian == pytest.approx(-9.0 * math.log(4.0))
    assert information_bottleneck(table, 10.0, n_clusters=1).lagrangian == 0.0


def test_is_pure_in_its_seed_and_reads_torch():
    table = rng(8).dirichlet(np.full(20, 0.4)).reshape(5, 4)
    first, second = (information_bottleneck(table, 3.0, random_state=5) for _ in range(2))
    np.testing.assert_array_equal(first.encoder, second.encoder)
    tensor = information_bottleneck(torch.from_numpy(table), 3.0, random_state=5)
    np.testing.assert_array_equal(first.encoder, tensor.encoder)
    assert isinstance(first.i_xt, float)


def test_says_that_it_was_cut_short():
    found = information_bottleneck(symmetric_channel(0.11), 1.65, max_iterations=3)
    assert not found.converged
    assert found.n_iterations == 3


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"p_xy": [[3, 1], [1, 3]]}, ValueError, r"^p_xy must sum to 1, got 8\. Divide counts by"),
        ({"p_xy": [[1.5, -0.5]]}, ValueError, r"^p_xy must not be negative, got -0\.5"),
        ({"p_xy": [[math.nan, 1.0]]}, ValueError, r"^p_xy must be finite, got 1 NaN"),
        ({"p_xy": [0.5, 0.5]}, ValueError, r"^p_xy must be a matrix, got shape \(2,\)"),
        ({"p_xy": [["a", "b"]]}, TypeError, r"^p_xy must be real numbers, got dtype <U1"),
        ({"p_xy": np.zeros((0, 3))}, ValueError, r"^p_xy must be a matrix, got shape \(0, 3\)"),
        ({"beta": -1.0}, ValueError, r"^beta must be a finite number of at least 0, got -1\.0"),
        ({"beta": math.inf}, ValueError, r"^beta must be a finite number of at least 0, got inf"),
        ({"beta": "2"}, TypeError, r"^beta must be a finite number of at least 0 and a number"),
        ({"n_clusters": 0}, ValueError, r"^n_clusters must be an integer of at least 1, got 0"),
        ({"n_starts": -1}, ValueError, r"^n_starts must be an integer of at least 0, got -1"),
        ({"max_iterations": 0}, ValueError, r"^max_iterations must be an integer of at least 1"),
        ({"tolerance": 0.0}, ValueError, r"^tolerance must be a finite number above 0, got 0\.0"),
    ],
)
def test_refuses_tables(change, error, match):
    with pytest.raises(error, match=match):
        information_bottleneck(**{"p_xy": symmetric_channel(0.1), "beta": 2.0, **change})


# --------------------------------------------------------------- gaussian_information_bottleneck


def covariances(d_x, d_y, seed=0):
    root = rng(seed).standard_normal((d_x + d_y, d_x + d_y))
    sigma = root @ root.T + 0.3 * np.eye(d_x + d_y)
    return sigma[:d_x, :d_x], sigma[d_x:, d_x:], sigma[:d_x, d_x:]


def informations(projection, sigma_x, sigma_y, sigma_xy):
    """I(X; T) and I(T; Y) of T = A X + N(0, I), by determinants."""
    noise = np.eye(len(projection))
    given_y = sigma_x - sigma_xy @ np.linalg.solve(sigma_y, sigma_xy.T)
    whole, left = (
        np.linalg.slogdet(projection @ s @ projection.T + noise)[1] for s in (sigma_x, given_y)
    )
    return 0.5 * whole, 0.5 * (whole - left)


@pytest.mark.parametrize("beta", [1.2, 2.0, 5.0, 20.0, 1e6])
@pytest.mark.parametrize(("d_x", "d_y"), [(1, 1), (3, 2), (2, 5), (4, 4)])
def test_numbers_are_those_of_the_projection(d_x, d_y, beta):
    sigma = covariances(d_x, d_y)
    found = gaussian_information_bottleneck(*sigma, beta)
    assert (found.i_xt, found.i_ty) == pytest.approx(
        informations(found.projection, *sigma), rel=1e-9, abs=1e-12
    )
    assert found.lagrangian == found.i_xt - beta * found.i_ty
    assert len(found.projection) == np.sum(found.critical_betas < beta)


@pytest.mark.parametrize("beta", [2.0, 5.0, 20.0])
def test_no_other_projection_is_better(beta):
    sigma = covariances(3, 2)
    found = gaussian_information_bottleneck(*sigma, beta)
    best, random = np.zeros((3, 3)), rng(1)
    best[: len(found.projection)] = found.projection
    for scale in np.geomspace(1e-4, 3.0, 200):
        i_xt, i_ty = informations(best + scale * random.standard_normal((3, 3)), *sigma)
        assert i_xt - beta * i_ty > found.lagrangian


@pytest.mark.parametrize("rho", [0.2, -0.8, 0.99])
@pytest.mark.parametrize("times", [0.5, 1.0, 1.5, 40.0])
def test_one_dimension_in_closed_form(rho, times):
    beta = times / rho**2
    found = gaussian_information_bottleneck(4.0, 9.0, 6.0 * rho, beta)
    i_xt = max(0.0, 0.5 * math.log((beta - 1.0) * rho**2 / (1.0 - rho**2))) if times > 1.0 else 0.0
    # I(T; Y) on the curve: 1/2 log 1 / (1 - rho^2 (1 - exp(-2 I(X; T)))).
    i_ty = -0.5 * math.log(1.0 - rho**2 * (1.0 - math.exp(-2.0 * i_xt)))
    assert (found.i_xt, found.i_ty) == pytest.approx((i_xt, i_ty), abs=1e-12)
    assert found.critical_betas.tolist() == pytest.approx([1.0 / rho**2])


def test_eigenvalues_are_those_of_the_paper():
    sigma_x, sigma_y, sigma_xy = covariances(3, 4)
    given_y = sigma_x - sigma_xy @ np.linalg.solve(sigma_y, sigma_xy.T)
    eigenvalues = np.sort(np.linalg.eigvals(given_y @ np.linalg.inv(sigma_x)).real)
    found = gaussian_information_bottleneck(sigma_x, sigma_y, sigma_xy, 3.0)
    np.testing.assert_allclose(found.critical_betas, 1.0 / (1.0 - eigenvalues), rtol=1e-9)


def test_slope_of_the_curve_is_one_over_beta_and_its_end_the_information():
    sigma = covariances(3, 3)
    low, high = (gaussian_information_bottleneck(*sigma, beta) for beta in (4.999, 5.001))
    slope = (high.i_ty - low.i_ty) / (high.i_xt - low.i_xt)
    assert slope == pytest.approx(0.2, rel=1e-6)
    end = gaussian_information_bottleneck(*sigma, 1e9)
    whole = -0.5 * np.log(1.0 - 1.0 / end.critical_betas).sum()
    assert end.i_ty == pytest.approx(whole, rel=1e-7)


def test_does_not_see_linear_maps_of_either_side():
    sigma_x, sigma_y, sigma_xy = covariances(3, 2)
    a, b = rng(2).standard_normal((3, 3)), rng(3).standard_normal((2, 2))
    moved = (1e12 * a @ sigma_x @ a.T, b @ sigma_y @ b.T, 1e6 * a @ sigma_xy @ b.T)
    first = gaussian_information_bottleneck(sigma_x, sigma_y, sigma_xy, 5.0)
    second = gaussian_information_bottleneck(*(torch.from_numpy(v) for v in moved), 5.0)
    assert (first.i_xt, first.i_ty) == pytest.approx((second.i_xt, second.i_ty), rel=1e-9)


def test_nothing_is_kept_of_independent_sides():
    found = gaussian_information_bottleneck(np.eye(2), np.eye(3), np.zeros((2, 3)), 100.0)
    assert (found.i_xt, found.i_ty, found.lagrangian) == (0.0, 0.0, 0.0)
    assert found.projection.shape == (0, 2)
    assert found.critical_betas.tolist() == [math.inf, math.inf]


def test_agrees_with_the_iteration_on_a_fine_table():
    x = np.linspace(-4.0, 4.0, 40)
    table = np.exp(-(x[:, None] ** 2 - 1.6 * x[:, None] * x + x**2) / (2.0 * 0.36))
    found = information_bottleneck(table / table.sum(), 3.0, n_starts=1, n_clusters=20)
    expected = gaussian_information_bottleneck(1.0, 1.0, 0.8, 3.0)
    # A finite code of a cut-off law: near, and never below.
    assert expected.lagrangian - 1e-3 < found.lagrangian < expected.lagrangian + 1e-2


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        (
            {"sigma_xy": np.ones((2, 3))},
            ValueError,
            r"^sigma_xy must have shape \(3, 2\) for sigma_x",
        ),
        (
            {"sigma_x": -np.eye(3)},
            ValueError,
            r"^sigma_x must be positive definite, got the eigenv",
        ),
        ({"sigma_y": [[1.0, 0.5], [0.0, 1.0]]}, ValueError, r"^sigma_y must be symmetric"),
        ({"sigma_y": np.ones((2, 3))}, ValueError, r"^sigma_y must be a square matrix"),
        ({"sigma_x": np.full((3, 3), math.inf)}, ValueError, r"^sigma_x must be finite, got 9"),
        ({"sigma_x": ["a"]}, TypeError, r"^sigma_x must be real numbers, got dtype <U1"),
        ({"sigma_xy": np.eye(3)[:, :2]}, ValueError, r"canonical correlations below 1, got 1\."),
        ({"beta": -0.1}, ValueError, r"^beta must be a finite number of at least 0, got -0\.1"),
        ({"beta": None}, TypeError, r"^beta must be a finite number of at least 0 and a number"),
    ],
)
def test_refuses_covariances(change, error, match):
    given = {"sigma_x": np.eye(3), "sigma_y": np.eye(2), "sigma_xy": np.zeros((3, 2)), "beta": 2.0}
    with pytest.raises(error, match=match):
        gaussian_information_bottleneck(**{**given, **change})
