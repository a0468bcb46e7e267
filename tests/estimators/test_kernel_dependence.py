"""What is special to `CauchySchwarzQMI` and `HSIC`; the contract tests do the rest."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import infoest
from infoest import HSIC, CauchySchwarzQMI
from infoest.datasets import correlated_normal
from infoest.estimators import kernel_dependence
from infoest.functional import cauchy_schwarz_qmi, hsic
from infoest.kernels.bandwidth import RULES

CLASSES = [CauchySchwarzQMI, HSIC]
each_class = pytest.mark.parametrize("method", CLASSES)


def pairs(n: int = 80, rho: float = 0.6, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    return correlated_normal(n, rho=rho, random_state=seed)[:2]


@pytest.mark.parametrize(
    ("method", "function"), [(CauchySchwarzQMI, cauchy_schwarz_qmi), (HSIC, hsic)]
)
@pytest.mark.parametrize("normalized", [False, True])
def test_equals_the_function(method, function, normalized: bool) -> None:
    x, y = pairs()
    found = method(normalized=normalized).estimate(x, y)
    sides = (torch.from_numpy(x), torch.from_numpy(y))
    assert found.value == pytest.approx(function(*sides, normalized=normalized).item(), rel=1e-10)
    assert found.info["bandwidth_x"] == pytest.approx(
        [infoest.kernels.resolve_bandwidth("median", sides[0]).item()], rel=1e-12
    )


def test_quantities_and_units_say_what_was_measured() -> None:
    x, y = pairs()
    found = [
        (e.quantity, e.unit)
        for method in CLASSES
        for e in (method().estimate(x, y), method(normalized=True).estimate(x, y))
    ]
    assert found == [
        ("cauchy_schwarz_qmi", "nats"),
        ("normalized_cauchy_schwarz_qmi", ""),
        ("hsic", ""),
        ("centered_kernel_alignment", ""),
    ]


@each_class
@pytest.mark.parametrize("options", [{}, {"normalized": True}])
def test_p_values_are_uniform_under_independence(method, options) -> None:
    p_values = []
    for seed in range(150):
        x, y = pairs(25, rho=0.0, seed=seed)
        estimator = method(random_state=10_000 + seed, **options)
        p_values.append(estimator.estimate(x, y, n_permutations=19, block=1).p_value)
    for level in (0.05, 0.25, 0.5):
        share = np.mean(np.array(p_values) <= level + 1e-9)
        assert abs(share - level) < 3.0 * math.sqrt(level * (1.0 - level) / 150.0)


@each_class
def test_p_values_by_matrices_and_by_sums_agree(method, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = pairs(60, rho=0.2)
    by_matrix = method().estimate(x, y, n_permutations=99).p_value
    monkeypatch.setattr(kernel_dependence, "MOST_ROWS_OF_MATRICES", 10)
    assert method().estimate(x, y, n_permutations=99).p_value == by_matrix


@each_class
def test_sees_dependence_without_correlation(method) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((150, 2))
    y = (x[:, :1] ** 2) + 0.3 * rng.standard_normal((150, 1))
    assert method().estimate(x, y, n_permutations=99).p_value == 0.01


@each_class
def test_labels_have_the_kernel_of_equality(method) -> None:
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 3, 90)
    words = np.array(["a", "b", "c"])[labels]
    points = labels[:, None] + 0.5 * rng.standard_normal((90, 1))
    found = method(bandwidth_x=1.0).estimate(points, words, discrete="y")
    same = torch.from_numpy(100.0 * labels[:, None])
    function = cauchy_schwarz_qmi if method is CauchySchwarzQMI else hsic
    expected = function(torch.from_numpy(points), same, bandwidth_x=1.0, bandwidth_y=1.0)
    assert found.value == pytest.approx(expected.item(), rel=1e-9)
    assert found.info["bandwidth_y"] is None
    both = method().estimate(words, words[::-1].copy(), discrete="both", n_permutations=19)
    assert both.p_value > 0.05


def test_two_sides_of_labels_have_a_closed_form() -> None:
    rng = np.random.default_rng(2)
    x = rng.integers(0, 3, 200)
    y = np.where(rng.random(200) < 0.6, x, rng.integers(0, 4, 200))
    table = np.zeros((3, 4))
    np.add.at(table, (x, y), 1 / 200)
    apart = np.outer(table.sum(1), table.sum(0))
    found = HSIC().estimate(x, y, discrete="both").value
    assert found == pytest.approx(((table - apart) ** 2).sum(), rel=1e-10)
    found = CauchySchwarzQMI().estimate(x, y, discrete="both").value
    cosine = (table * apart).sum() / math.sqrt((table**2).sum() * (apart**2).sum())
    assert found == pytest.approx(-2.0 * math.log(cosine), rel=1e-10)
    renamed = HSIC().estimate((x + 1) % 3, 3 - y, discrete="both").value
    assert renamed == pytest.approx(HSIC().estimate(x, y, discrete="both").value, rel=1e-10)


@each_class
def test_distinct_labels_see_only_themselves(method) -> None:
    x, _ = pairs(60)
    found = method(normalized=True).estimate(x, np.arange(60), discrete="y")
    assert found.has("kernel_is_identity")
    lonely = HSIC(unbiased=True, normalized=True).estimate(x, np.arange(60), discrete="y")
    assert lonely.value == 0.0


@each_class
def test_degenerate_kernels_are_said(method) -> None:
    x, y = pairs()
    tiny = method(bandwidth_x=1e-9, bandwidth_y=1e-9).estimate(x, y)
    assert tiny.has("kernel_is_identity")
    wide = method(bandwidth_x=1e6, bandwidth_y=1e6).estimate(x, y)
    assert wide.has("kernel_is_constant")
    assert wide.value == pytest.approx(0.0, abs=1e-9)
    equal = method().estimate(np.ones((80, 2)), y)
    assert equal.has("kernel_is_constant")
    assert equal.value == pytest.approx(0.0, abs=1e-12)
    assert not method().estimate(x, y).warnings


@pytest.mark.parametrize("levels", [(10, 10), (2, 3)])
def test_a_design_with_every_pair_once_is_not_degenerate(levels) -> None:
    x, y = (side.ravel() for side in np.meshgrid(*map(np.arange, levels)))
    e = CauchySchwarzQMI(bandwidth_x=0.1, bandwidth_y=0.1).estimate(1.0 * x, 1.0 * y, block=1)
    assert not e.warnings
    assert e.value == pytest.approx(0.0, abs=1e-12)


def share_of_diagonal(x, y, width: float) -> float:
    squares = sum(np.square(side[:, None] - side).sum(-1) for side in (x, y))
    return len(x) / np.exp(-0.5 * squares / width**2).sum()


@each_class
@pytest.mark.parametrize(("width", "warned"), [(0.03, True), (0.07, True), (0.2, False)])
def test_says_how_much_of_a_kernel_sum_is_the_row_itself(method, width, warned) -> None:
    x, y = pairs(200)
    share = share_of_diagonal(x, y, width)
    assert (share > 0.5) == warned
    found = method(bandwidth_x=width, bandwidth_y=width).estimate(x, y)
    said = [c.sentence for c in found.warnings if c.code == "kernel_is_identity"]
    assert len(said) == warned
    assert all(f" {share:.0%} of the mean kernel sum" in sentence for sentence in said)
    left_out = HSIC(bandwidth_x=width, bandwidth_y=width, unbiased=True).estimate(x, y)
    assert not left_out.warnings  # the diagonal is in no sum


def test_wide_kernels_still_have_a_p_value() -> None:
    x, y = pairs(100, rho=0.5)
    e = HSIC(bandwidth_x=300.0, bandwidth_y=300.0).estimate(x, y, n_permutations=99)
    assert e.has("kernel_is_constant")
    assert e.value < 1e-9
    assert e.p_value == 0.01


def test_independence_of_many_rows_is_not_drowned_in_rounding() -> None:
    x, y = pairs(5000, rho=0.0)
    value = HSIC().estimate(x, y).value
    assert 0.0 < value < 1e-3
    assert abs(HSIC(unbiased=True).estimate(x, y).value) < 2e-4


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"bandwidth_x": 0.0}, ValueError, "bandwidth_x must be"),
        ({"bandwidth_y": "scott"}, ValueError, "bandwidth_y must be one of"),
        ({"bandwidth_y": [1.0, 2.0]}, ValueError, "bandwidth_y must be a number or one"),
        ({"normalized": "yes"}, TypeError, "normalized must be"),
        ({"unbiased": 1}, TypeError, "unbiased must be"),
    ],
)
def test_settings_are_refused_by_name(options, error, message) -> None:
    with pytest.raises(error, match=message):
        HSIC(**options).estimate(*pairs())


@each_class
@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_rules_follow_the_unit_at_any_magnitude(method, scale: float) -> None:
    x, y = pairs()
    expected = method().estimate(x, y).value
    assert method().estimate(scale * x, scale * y).value == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    "method",
    [
        infoest.CauchySchwarz,
        infoest.CauchySchwarzQMI,
        infoest.DiffusionSpectralEntropy,
        infoest.DiffusionSpectralMI,
        infoest.HSIC,
        infoest.KDE,
        infoest.KDEEntropy,
        infoest.MatrixRenyi,
        infoest.MatrixRenyiEntropy,
        infoest.MMD,
    ],
)
def test_docstrings_tell_every_rule(method) -> None:
    for rule in RULES:
        assert f'``"{rule}"``' in method.__doc__
