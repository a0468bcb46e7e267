"""Maps of one side: monotone or norm preserving, with the margins that they promise."""

import numpy as np
import pytest
from scipy.stats import kstest, norm

from infoest.datasets import (
    WIGGLY_Y,
    asinh,
    bimodal,
    correlated_normal,
    cube,
    half_cube,
    normal_cdf,
    rotate,
    spiral,
    swissroll,
    wiggly,
)

GRID = np.linspace(-8.0, 8.0, 4002)[:, None]


@pytest.mark.parametrize(
    "transform",
    [
        normal_cdf,
        asinh,
        cube,
        half_cube,
        wiggly,
        lambda values: wiggly(values, waves=WIGGLY_Y),
        bimodal,
        lambda values: bimodal(values, weight=0.5, means=(-1.0, 3.0)),
    ],
)
def test_maps_of_single_entries_increase_and_keep_the_shape(transform):
    values = GRID.reshape(-1, 1)
    kept = values.copy()
    mapped = transform(values)
    assert mapped.shape == values.shape
    assert mapped.dtype == np.float64
    steps = np.diff(mapped[np.abs(values) < 5.0])
    assert (steps > 0.0).all()
    assert np.array_equal(values, kept)
    assert np.allclose(transform(values.reshape(3, -1)), mapped.reshape(3, -1), atol=1e-14)


@pytest.mark.parametrize(
    ("transform", "value", "mapped"),
    [
        (normal_cdf, 1.0, 0.8413447460685429),
        (asinh, 2.0, np.log(2.0 + np.sqrt(5.0))),
        (half_cube, -4.0, -8.0),
        (cube, -2.0, -8.0),
        (wiggly, 0.0, 0.2 * np.sin(1.0) + 0.03 * np.sin(-2.5)),
        (swissroll, 0.0, [0.0, -1.5 * np.pi / 21.0]),
        (swissroll, 0.5, [-3.0 * np.pi / 21.0, 0.0]),
        (swissroll, 1.0, [0.0, 4.5 * np.pi / 21.0]),
    ],
)
def test_maps_have_known_values(transform, value, mapped):
    assert np.allclose(transform(np.array([[value]])), [mapped], atol=1e-14)


@pytest.mark.parametrize(("weight", "means"), [(0.3, (0.0, 5.0)), (0.5, (-1.0, 3.0))])
def test_bimodal_has_the_margin_that_it_promises(weight, means):
    def distribution(values):
        first, second = (norm.cdf(values, loc=mean) for mean in means)
        return weight * first + (1.0 - weight) * second

    x, _, _ = correlated_normal(20_000, rho=0.0, random_state=0)
    mapped = bimodal(x, weight=weight, means=means)
    assert kstest(mapped[:, 0], distribution).pvalue > 0.01
    assert np.allclose(distribution(mapped), norm.cdf(x), rtol=1e-12)


def test_bimodal_is_exact_in_both_tails():
    # Far out one component is all: the quantile is the value less what its share shifts it by.
    for value in (-30.0, 30.0, 9.0):
        mapped = bimodal(np.array([[value]]), weight=0.5, means=(-2.0, 2.0))[0, 0]
        tail = norm.logsf if value > 0.0 else norm.logcdf
        both = np.logaddexp(tail(mapped + 2.0), tail(mapped - 2.0)) + np.log(0.5)
        assert both == pytest.approx(tail(value), abs=1e-10)


def test_bimodal_of_equal_means_is_a_shift():
    assert np.allclose(bimodal(GRID, means=(2.0, 2.0)), GRID + 2.0, atol=1e-12)


def test_swissroll_unrolls():
    uniform = np.linspace(0.0, 1.0, 101)[:, None]
    rolled = swissroll(uniform)
    assert rolled.shape == (101, 2)
    assert np.allclose(21.0 * np.hypot(*rolled.T), 1.5 * np.pi * (1.0 + 2.0 * uniform[:, 0]))


@pytest.mark.parametrize("axes", [(0, 1), (1, 2), (3, 0)])
@pytest.mark.parametrize("speed", [None, 0.5, -2.0])
def test_spiral_keeps_the_norm_and_unwinds_at_the_opposite_speed(axes, speed):
    values, _, _ = correlated_normal(500, rho=0.0, dim=4, random_state=0)
    turned = spiral(values, axes=axes, speed=speed)
    assert np.allclose((turned**2).sum(axis=1), (values**2).sum(axis=1), rtol=1e-13)
    assert not np.allclose(turned, values, atol=0.1)
    back = spiral(turned, axes=axes, speed=-0.25 if speed is None else -speed)
    assert np.allclose(back, values, atol=1e-12)


def test_spiral_turns_the_first_axis_toward_the_second():
    quarter = np.sqrt(np.pi)  # 1/d |v|^2 = pi / 2 for d = 2
    assert np.allclose(spiral(np.array([[quarter, 0.0]])), [[0.0, quarter]])
    turned = spiral(np.array([[0.0, 1.0, 0.0]]), axes=(1, 2), speed=np.pi / 2.0)
    assert np.allclose(turned, [[0.0, 0.0, 1.0]])


@pytest.mark.parametrize("width", [1, 2, 5, 20])
def test_rotate_is_one_rotation_of_all_rows(width):
    turned = rotate(np.eye(width))
    assert np.allclose(turned @ turned.T, np.eye(width), atol=1e-14)
    assert np.linalg.det(turned) == pytest.approx(1.0)
    values, _, _ = correlated_normal(50, rho=0.0, dim=width, random_state=0)
    assert np.allclose(rotate(values), values @ turned, atol=1e-14)
    assert np.allclose(rotate(values[:3]), rotate(values)[:3], atol=1e-14)


def test_rotate_does_not_depend_on_the_linear_algebra_library():
    # Gram and Schmidt leave no sign open.
    matrix = np.random.default_rng(0).standard_normal((3, 3))
    basis = []
    for column in matrix.T:
        rest = column - sum(((column @ other) * other for other in basis), np.zeros(3))
        basis.append(rest / np.linalg.norm(rest))
    basis = np.column_stack(basis)
    if np.linalg.det(basis) < 0.0:
        basis[:, 0] *= -1.0
    assert np.allclose(rotate(np.eye(3)), basis, atol=1e-13)


def test_rotations_are_uniform():
    # Of the first entry: mean 0, mean square 1 / d, over 2000 seeds.
    entries = np.array([rotate(np.eye(4)[:1], seed=seed)[0] for seed in range(2000)])
    assert np.abs(entries.mean(axis=0)).max() < 4.0 * 0.5 / np.sqrt(2000)
    assert np.allclose((entries**2).mean(axis=0), 0.25, atol=4.0 * 0.2 / np.sqrt(2000))


def test_maps_compose():
    x, _, _ = correlated_normal(100, rho=0.0, dim=3, random_state=0)
    turned = spiral(normal_cdf(x))
    assert np.allclose((turned**2).sum(axis=1), (normal_cdf(x) ** 2).sum(axis=1))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: swissroll(np.full((3, 2), 0.5)), r"values must have shape \(n, 1\), got \(3, 2\)"),
        (lambda: swissroll(np.full((3, 1), 1.5)), r"values must be in \[0, 1\], got \[1.5, 1.5\]"),
        (lambda: swissroll(np.full((3, 1), np.nan)), r"values must be in \[0, 1\], got \[nan"),
        (lambda: rotate(np.ones(3)), r"values must have shape \(n, d\), got \(3,\)"),
        (lambda: rotate(np.ones((3, 2)), seed=-1), "seed must be an integer of at least 0, got -1"),
        (lambda: spiral(np.ones(3)), r"values must have shape \(n, d\), got \(3,\)"),
        (lambda: spiral(np.ones((3, 2)), axes=(1, 2)), r"axes must be in \[0, 1\], got 2"),
        (lambda: spiral(np.ones((3, 2)), axes=(1, 1)), r"different columns, got \(1, 1\)"),
        (lambda: spiral(np.ones((3, 2)), speed=np.inf), "speed must be a finite number, got inf"),
        (lambda: bimodal(GRID, weight=1.0), r"weight must be in \(0, 1\), got 1.0"),
        (lambda: bimodal(GRID, means=(0.0, np.nan)), "means must be a finite number, got nan"),
        (lambda: wiggly(GRID, waves=((1.0, 1.0, 0.0),)), r"waves must satisfy .*, got 1\. Lower"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
