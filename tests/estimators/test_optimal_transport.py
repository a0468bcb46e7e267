import math
import tracemalloc

import numpy as np
import pytest
import torch
from scipy.optimize import linprog
from scipy.spatial.distance import cdist

import infoest.estimators.optimal_transport as module
import infoest.transport.debiased as debiased_module
from infoest import WassersteinDependency
from infoest.datasets import correlated_normal
from infoest.estimators.base import Ask
from infoest.estimators.optimal_transport import _derangement, _product_rows
from infoest.transport import sinkhorn_divergence

VARIANTS = [
    {},
    {"n_derangements": 1},
    {"n_derangements": "all"},
    {"slices": 20},
    {"slices": 20, "order": 1},
    {"exact": True, "n_derangements": 1},
    {"exact": True, "n_derangements": 1, "order": 1},
]
each_variant = pytest.mark.parametrize(
    "settings", VARIANTS, ids=lambda settings: " ".join(map(str, settings.values())) or "default"
)


def pairs(n, rho=0.6, dim=1, seed=0):
    x, y, _ = correlated_normal(n, rho=rho, dim=dim, random_state=seed)
    return x, y


def ask(seed=0):
    return Ask(None, 1.0, np.random.default_rng(seed))


def joint_and_product(x, y, copies, seed=0):
    """Both samples, drawn as the estimator with ``random_state=seed`` does."""
    rows = _product_rows(len(x), copies, np.random.default_rng(seed))
    return np.hstack([x, y]), np.hstack([x[rows.x], y[rows.y]])


def exact_cost(left, right, metric):
    """Cost of the best plan between two uniform samples, by linear programming."""
    n, m = len(left), len(right)
    sums = np.vstack([np.kron(np.eye(n), np.ones(m)), np.kron(np.ones(n), np.eye(m))])
    marginals = np.r_[np.full(n, 1 / n), np.full(m, 1 / m)]
    found = linprog(cdist(left, right, metric).ravel(), A_eq=sums, b_eq=marginals)
    assert found.success
    return found.fun


# ---------------------------------------------------------------------------------- known values


@pytest.mark.parametrize(("rho", "tolerance"), [(0.5, 0.05), (0.9, 0.05), (-0.9, 0.05)])
def test_normal_pairs_have_a_closed_form(rho, tolerance):
    truth = math.sqrt(4.0 - 2.0 * (math.sqrt(1.0 + rho) + math.sqrt(1.0 - rho)))
    values = [
        WassersteinDependency().estimate(*pairs(600, rho, 1, seed)).value for seed in range(4)
    ]
    assert np.mean(values) == pytest.approx(truth, abs=tolerance)


def test_slices_of_normal_pairs_have_a_closed_form():
    angles = np.linspace(0.0, np.pi, 20_001)
    truth = math.sqrt(np.mean((np.sqrt(1.0 + 0.9 * np.sin(2.0 * angles)) - 1.0) ** 2))
    estimator = WassersteinDependency(slices=100, n_derangements=4)
    values = [estimator.estimate(*pairs(2000, 0.9, 1, seed)).value for seed in range(3)]
    assert np.mean(values) == pytest.approx(truth, abs=0.03)


def test_bias_at_independence_is_the_one_that_the_docstring_tells():
    means = [
        np.mean([WassersteinDependency().estimate(*pairs(n, 0.0, d, s)).value for s in range(4)])
        for n, d in ((200, 1), (800, 1), (200, 3))
    ]
    assert means == pytest.approx([0.18, 0.09, 0.78], abs=0.035)


@pytest.mark.parametrize("copies", [1, 3, None])
@pytest.mark.parametrize(("order", "metric"), [(1, "euclidean"), (2, "sqeuclidean")])
def test_exact_is_the_linear_program(copies, order, metric):
    x, y = pairs(12, dim=2)
    estimator = WassersteinDependency(exact=True, order=order, n_derangements=copies or "all")
    expected = exact_cost(*joint_and_product(x, y, copies), metric)
    assert estimator.estimate(x, y).value == pytest.approx(expected ** (1 / order), rel=1e-9)


@pytest.mark.parametrize("copies", [1, 4, None])
def test_value_is_the_root_of_the_debiased_divergence(copies):
    x, y = pairs(40, dim=2)
    e = WassersteinDependency(n_derangements=copies or "all").estimate(x, y)
    epsilon = 0.2 * (x.var(axis=0).sum() + y.var(axis=0).sum())
    assert e.info["epsilon"] == pytest.approx(epsilon, rel=1e-12)
    assert e.info["n_product"] == 40 * (copies or 40)
    samples = [torch.from_numpy(part) for part in joint_and_product(x, y, copies)]
    expected = sinkhorn_divergence(*samples, epsilon=epsilon, tolerance=1e-9)
    assert e.value**2 == pytest.approx(expected.item(), rel=1e-3)


def test_sums_of_kernels_give_the_value_of_the_matrix(monkeypatch):
    x, y = pairs(60, dim=2)
    expected = WassersteinDependency().estimate(x, y).value
    monkeypatch.setattr(module, "MOST_PAIRS_OF_MATRIX", 0)
    monkeypatch.setattr(debiased_module, "DENSE_PAIRS", 0)
    assert WassersteinDependency().estimate(x, y).value == pytest.approx(expected, rel=1e-3)


def test_slices_are_sorted_projections():
    x, y = pairs(30, dim=2)
    e = WassersteinDependency(slices=7, n_derangements=2).estimate(x, y)
    rng = np.random.default_rng(0)
    rows = _product_rows(30, 2, rng)
    directions = rng.standard_normal((4, 7))
    directions /= np.linalg.norm(directions, axis=0)
    joint = np.sort(np.repeat(np.hstack([x, y]), 2, axis=0) @ directions, axis=0)
    product = np.sort(np.hstack([x[rows.x], y[rows.y]]) @ directions, axis=0)
    assert e.value == pytest.approx(math.sqrt(np.mean((joint - product) ** 2)), rel=1e-12)


def test_slices_in_blocks_give_the_same_value(monkeypatch):
    x, y = pairs(30)
    expected = WassersteinDependency(slices=50).estimate(x, y).value
    monkeypatch.setattr(module, "BLOCK_VALUES", 300)
    assert WassersteinDependency(slices=50).estimate(x, y).value == pytest.approx(expected)


# ------------------------------------------------------------------------------------ identities


@each_variant
def test_unit_offset_and_sides(settings):
    x, y = pairs(30, dim=2)
    value = WassersteinDependency(**settings).estimate(x, y).value
    for scale, offset in ((1e-6, 0.0), (1e6, 0.0), (1.0, 1e6), (1e-150, 0.0), (1e150, 0.0)):
        moved = WassersteinDependency(**settings).estimate(scale * x + offset, scale * y - offset)
        assert moved.value / scale == pytest.approx(value, rel=1e-6)
    columns = WassersteinDependency(standardize=True, **settings)
    standard = columns.estimate(x, y).value
    assert columns.estimate(x * [1e-3, 1e3], y - 5.0).value == pytest.approx(standard, rel=1e-6)


@pytest.mark.parametrize("settings", [{}, {"exact": True}])
def test_all_pairs_do_not_depend_on_the_order_of_rows_or_sides(settings):
    x, y = pairs(25, dim=2)
    estimator = WassersteinDependency(n_derangements="all", **settings)
    value = estimator.estimate(x, y).value
    order = np.random.default_rng(5).permutation(25)
    assert estimator.estimate(x[order], y[order][:, ::-1]).value == pytest.approx(value, rel=1e-6)
    assert estimator.estimate(y, x).value == pytest.approx(value, rel=1e-6)


@each_variant
def test_grows_with_dependence(settings):
    values = [
        WassersteinDependency(**settings).estimate(*pairs(80, r)).value for r in (0, 0.6, 0.99)
    ]
    assert values[0] < values[1] < values[2]


@each_variant
def test_equal_rows_on_one_side_give_exactly_none(settings):
    x, _ = pairs(20)
    e = WassersteinDependency(**settings).estimate(np.ones(20), x, n_permutations=5)
    assert (e.value, e.p_value) == (0.0, 1.0)
    beside = WassersteinDependency(**settings).estimate(np.hstack([x, np.ones((20, 1))]), x**2)
    assert beside.value == WassersteinDependency(**settings).estimate(x, x**2).value


def test_orders_and_slices_have_names_of_their_own():
    x, y = pairs(20)

    def quantity(**settings):
        return WassersteinDependency(n_derangements=1, **settings).estimate(x, y).quantity

    assert quantity() == quantity(exact=True) == "wasserstein_dependency"
    assert quantity(exact=True, order=1) == "wasserstein_1_dependency"
    assert quantity(slices=5) == "sliced_wasserstein_dependency"
    assert quantity(slices=5, order=1) == "sliced_wasserstein_1_dependency"
    e = WassersteinDependency().estimate(x, y)
    assert (e.unit, e.interval, e.method) == ("", None, "wasserstein_dependency")


# -------------------------------------------------------------------------------------- p-values


@each_variant
def test_p_value_sees_dependence_without_correlation(settings):
    x = np.random.default_rng(0).standard_normal(60)
    e = WassersteinDependency(**settings).estimate(x, x**2, n_permutations=39)
    assert e.p_value == 1 / 40


@each_variant
def test_p_values_are_uniform_at_independence(settings):
    p_values = []
    for seed in range(100):
        x, y = np.random.default_rng(seed).standard_normal((2, 12))
        e = WassersteinDependency(random_state=seed, **settings).estimate(
            x, y, n_permutations=9, block=1
        )
        p_values.append(e.p_value)
    for level in (0.1, 0.3, 0.5, 0.7):
        error = math.sqrt(level * (1.0 - level) / 100)
        assert np.mean(np.array(p_values) <= level + 1e-9) == pytest.approx(level, abs=3.0 * error)


@each_variant
def test_permutations_share_work_and_agree_with_the_definition(settings):
    x, y = pairs(20, dim=2)
    estimator = WassersteinDependency(**settings)
    shared = estimator._statistic(x, y, None, ask())
    assert max(shared(np.arange(20)), 0.0) ** (1 / estimator.order) == pytest.approx(
        estimator._estimate(x, y, None, ask()).value / _spread(x, y), rel=1e-12
    )
    order = np.random.default_rng(1).permutation(20)
    moved = estimator._estimate(x, y[order], None, ask()).value / _spread(x, y)
    assert max(shared(order), 0.0) ** (1 / estimator.order) == pytest.approx(moved, rel=1e-2)


def _spread(x, y):
    return math.sqrt(x.var(axis=0).sum() + y.var(axis=0).sum())


# -------------------------------------------------------------------------------- product sample


def test_derangements_leave_no_row_in_place_and_are_uniform():
    rng = np.random.default_rng(0)
    drawn = [tuple(_derangement(4, rng)) for _ in range(1800)]
    assert all(row != i for order in drawn for i, row in enumerate(order))
    counts = [drawn.count(order) for order in set(drawn)]
    assert len(counts) == 9
    assert max(abs(count - 200) for count in counts) < 4.5 * math.sqrt(200)


@pytest.mark.parametrize(("n", "copies"), [(5, 4), (1000, 4), (1001, 3), (2500, 1), (9000, 1)])
def test_default_number_of_derangements(n, copies):
    assert WassersteinDependency()._copies(n) == copies


def test_seed_draws_the_product_sample():
    x, y = pairs(20)
    values = {WassersteinDependency(random_state=seed).estimate(x, y).value for seed in range(3)}
    assert len(values) == 3


def test_says_when_the_plan_did_not_converge(monkeypatch):
    x, y = pairs(20)
    assert not WassersteinDependency().estimate(x, y).warnings
    monkeypatch.setattr(module, "MOST_SWEEPS", 1)
    assert WassersteinDependency(regularization=1e-3).estimate(x, y).has("not_converged")


# ------------------------------------------------------------------------------------- bad inputs


@pytest.mark.parametrize(
    ("settings", "error", "text"),
    [
        ({"regularization": 0.0}, ValueError, "regularization must be .* at least 0.001, got 0.0"),
        ({"regularization": -1}, ValueError, "regularization must be .* at least 0.001, got -1"),
        ({"regularization": math.nan}, ValueError, "regularization must be .*, got nan"),
        ({"regularization": None}, TypeError, "regularization must be .* a number, got None"),
        ({"n_derangements": 0}, ValueError, "n_derangements must be an integer of at least 1"),
        ({"n_derangements": 1.5}, TypeError, "n_derangements must be an integer of at least 1"),
        ({"n_derangements": "few"}, ValueError, r"n_derangements must be one of \['all'\], got"),
        ({"slices": 0}, ValueError, "slices must be an integer of at least 1, got 0"),
        ({"slices": True}, TypeError, "slices must be an integer"),
        ({"order": 3}, ValueError, r"order must be one of \[1, 2\], got 3"),
        ({"order": 1}, ValueError, "order must be 2 for the Sinkhorn divergence, got 1. Pass"),
        ({"exact": 1}, TypeError, "exact must be True or False, got 1"),
        ({"standardize": "yes"}, TypeError, "standardize must be True or False"),
        ({"exact": True, "slices": 5}, ValueError, "slices must be None with exact=True"),
    ],
)
def test_refuses(settings, error, text):
    with pytest.raises(error, match=f"^{text}"):
        WassersteinDependency(**settings).estimate(*pairs(20))


def test_refuses_what_is_too_large():
    x, y = pairs(300)
    with pytest.raises(ValueError, match=r"^n_derangements must be a number above 256 rows, got"):
        WassersteinDependency(n_derangements="all").estimate(x, y)
    text = r"^exact must be False above 2000 rows of the product sample, got 2100\. Leave"
    with pytest.raises(ValueError, match=text):
        WassersteinDependency(exact=True, n_derangements=7).estimate(x, y)
    with pytest.raises(ValueError, match=r"^discrete must be None for WassersteinDependency"):
        WassersteinDependency().estimate(x, y, discrete="y")


# ------------------------------------------------------------------------------- found in a review


@each_variant
@pytest.mark.parametrize("scale", [1e-300, 1e200, 1e300])
def test_any_magnitude_has_its_value(settings, scale):
    x, y = pairs(30)
    value = WassersteinDependency(**settings).estimate(x, y).value
    e = WassersteinDependency(**settings).estimate(scale * x, scale * y)
    assert e.value / scale == pytest.approx(value, rel=1e-9)
    assert e.info.get("epsilon") is None  # squares of the unit are beyond float64


def test_the_largest_numbers_have_a_value_or_are_refused():
    x, y = pairs(30)
    largest = 1.7e308 / max(np.abs(x).max(), np.abs(y).max())
    value = WassersteinDependency().estimate(x, y).value
    e = WassersteinDependency().estimate(largest * x, largest * y)
    assert e.value / largest == pytest.approx(value, rel=1e-9)
    extremes = np.where(x > 0.0, 1.7e308, -1.7e308)
    with pytest.raises(ValueError, match=r"^x and y must have a standard deviation within"):
        WassersteinDependency().estimate(extremes, np.hstack([extremes, y]))


@pytest.mark.parametrize("settings", [{}, {"exact": True}, {"slices": 10}])
def test_a_full_design_is_its_own_product(settings):
    x, y = (side.ravel() for side in np.meshgrid(np.arange(5.0), np.arange(5.0)))
    e = WassersteinDependency(n_derangements="all", **settings).estimate(x, y, block=1)
    assert e.value == pytest.approx(0.0, abs=2e-3)


def test_exact_holds_no_differences_of_all_columns():
    x, y = pairs(300, dim=100)
    tracemalloc.start()
    WassersteinDependency(exact=True).estimate(x, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30 * 1200**2  # three matrices of the product sample; differences are 72 MB a side
