"""Cauchy-Schwarz information, HSIC, MMD and the conditional divergence against their matrices."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from infoest.functional import cauchy_schwarz_qmi, conditional_cauchy_schwarz, hsic, mmd

MEASURES = [cauchy_schwarz_qmi, hsic]
WIDTHS = {"bandwidth_x": 0.8, "bandwidth_y": 1.3}


def samples(n: int, d: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((n, d)))


def pairs(n: int = 40, seed: int = 0) -> tuple[Tensor, Tensor]:
    x = samples(n, 2, seed)
    return x, x[:, :1] + samples(n, 1, seed + 1)


def kernel(a: Tensor, b: Tensor, bandwidth: float) -> np.ndarray:
    difference = a.numpy()[:, None] - b.numpy()[None]
    return np.exp(-(difference**2).sum(-1) / (2.0 * bandwidth**2))


def centered_trace(first: np.ndarray, second: np.ndarray) -> float:
    n = len(first)
    center = np.eye(n) - 1.0 / n
    return float(np.trace(first @ center @ second @ center) / n**2)


def test_information_equals_its_matrices() -> None:
    x, y = pairs()
    n = len(x)
    first, second = kernel(x, x, 0.8), kernel(y, y, 1.3)

    def plain(first: np.ndarray, second: np.ndarray) -> float:
        together = np.log((first * second).sum() / n**2)
        apart = np.log(first.sum() * second.sum() / n**4)
        return float(together + apart - 2.0 * np.log((first.sum(0) @ second.sum(0)) / n**3))

    value = cauchy_schwarz_qmi(x, y, **WIDTHS).item()
    assert value == pytest.approx(plain(first, second), rel=1e-10)
    normalized = cauchy_schwarz_qmi(x, y, normalized=True, **WIDTHS).item()
    expected = value / math.sqrt(plain(first, first) * plain(second, second))
    assert normalized == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("normalized", [False, True])
def test_hsic_equals_its_matrices(normalized: bool) -> None:
    x, y = pairs()
    first, second = kernel(x, x, 0.8), kernel(y, y, 1.3)
    expected = centered_trace(first, second)
    if normalized:
        expected /= math.sqrt(centered_trace(first, first) * centered_trace(second, second))
    value = hsic(x, y, normalized=normalized, **WIDTHS).item()
    assert value == pytest.approx(expected, rel=1e-10)


def test_unbiased_hsic_equals_its_sums_and_has_no_bias() -> None:
    x, y = pairs()
    n = len(x)
    first, second = kernel(x, x, 0.8) - np.eye(n), kernel(y, y, 1.3) - np.eye(n)
    apart = first.sum() * second.sum() / ((n - 1) * (n - 2))
    crossed = 2.0 / (n - 2) * (first.sum(0) @ second.sum(0))
    expected = ((first * second).sum() + apart - crossed) / (n * (n - 3))
    assert hsic(x, y, unbiased=True, **WIDTHS).item() == pytest.approx(expected, rel=1e-10)
    independent = [
        hsic(samples(20, 2, seed), samples(20, 2, 1000 + seed), unbiased=True, **WIDTHS).item()
        for seed in range(300)
    ]
    assert abs(np.mean(independent)) < 3.5 * np.std(independent) / math.sqrt(300)


def test_alignment_of_wide_kernels_is_the_linear_one() -> None:
    x, y = (side - side.mean(dim=0) for side in pairs())

    def squared(a: Tensor, b: Tensor) -> Tensor:
        return (a.mT @ b).square().sum()

    linear = squared(x, y) / (squared(x, x) * squared(y, y)).sqrt()
    value = hsic(x, y, bandwidth_x=200.0, bandwidth_y=200.0, normalized=True)
    assert value.item() == pytest.approx(linear.item(), rel=1e-3)


@pytest.mark.parametrize(("n", "published"), [(32, 0.198), (64, 0.114), (128, 0.056), (256, 0.029)])
def test_bias_of_an_alignment_of_independent_features(n: int, published: float) -> None:
    """Means over 20 seeds from MONAI's pull request 9129: linear kernels, normal features.

    The number of columns is not given there; 8 of them fit all four values.
    """
    options = {"bandwidth_x": 100.0, "bandwidth_y": 100.0, "normalized": True}
    sides = [(samples(n, 8, seed), samples(n, 8, 500 + seed)) for seed in range(20)]
    biased = [hsic(x, y, **options).item() for x, y in sides]
    error = np.std(biased, ddof=1) / math.sqrt(20)
    assert np.mean(biased) == pytest.approx(published, abs=4.0 * error)
    unbiased = [hsic(x, y, unbiased=True, **options).item() for x, y in sides]
    assert abs(np.mean(unbiased)) < 4.0 * np.std(unbiased, ddof=1) / math.sqrt(20)


@pytest.mark.parametrize("unbiased", [False, True])
def test_mmd_equals_its_means(unbiased: bool) -> None:
    x, y = samples(30, 2), samples(25, 2, seed=1) + 0.5

    def mean(matrix: np.ndarray) -> float:
        n = len(matrix)
        return float((matrix.sum() - n) / (n * (n - 1)) if unbiased else matrix.mean())

    expected = mean(kernel(x, x, 0.8)) + mean(kernel(y, y, 0.8)) - 2.0 * kernel(x, y, 0.8).mean()
    assert mmd(x, y, bandwidth=0.8, unbiased=unbiased).item() == pytest.approx(expected, rel=1e-9)


def test_mmd_of_equal_samples_and_of_equal_laws() -> None:
    x = samples(30, 2)
    assert mmd(x, x.clone()).item() == pytest.approx(0.0, abs=1e-14)
    values = [
        mmd(samples(20, 1, seed), samples(20, 1, 900 + seed), bandwidth=1.0, unbiased=True).item()
        for seed in range(300)
    ]
    assert abs(np.mean(values)) < 3.5 * np.std(values) / math.sqrt(300)


def test_conditional_divergence_equals_proposition_1() -> None:
    x, y = pairs()
    predicted = y + 0.3 * samples(len(y), 1, seed=9)
    weights = 1.0 / kernel(x, x, 0.8).sum(axis=1) ** 2

    def term(rows: Tensor, points: Tensor) -> float:
        product = kernel(x, x, 0.8) * kernel(rows, points, 1.3)
        return float(np.log((product.sum(axis=1) * weights).sum()))

    expected = term(y, y) + term(predicted, predicted) - 2.0 * term(predicted, y)
    value = conditional_cauchy_schwarz(x, y, predicted, **WIDTHS).item()
    assert value == pytest.approx(expected, rel=1e-10)
    assert conditional_cauchy_schwarz(x, y, y.clone(), **WIDTHS).item() == pytest.approx(
        0, abs=1e-13
    )


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("normalized", [False, True])
def test_identities(measure, normalized: bool) -> None:
    x, y = pairs()
    value = measure(x, y, normalized=normalized).item()
    options = {"normalized": normalized}
    assert measure(y, x, **options).item() == pytest.approx(value, rel=1e-9)
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(x)))
    assert measure(x[order], y[order], **options).item() == pytest.approx(value, rel=1e-9)
    assert measure(x.flip(1), y, **options).item() == pytest.approx(value, rel=1e-9)
    # The median follows shift and scale.
    assert measure(1e3 * x + 1e6, 1e-3 * y, **options).item() == pytest.approx(value, rel=1e-6)
    if normalized:
        assert measure(x, x, **options).item() == pytest.approx(1.0, rel=1e-9)


@pytest.mark.parametrize("measure", MEASURES)
def test_one_dimensional_targets_are_one_column(measure) -> None:
    x, y = pairs()
    assert measure(x, y[:, 0]).item() == measure(x, y).item()
    found = conditional_cauchy_schwarz(x, y[:, 0], 1.0 + y[:, 0])
    assert found.item() == conditional_cauchy_schwarz(x, y, 1.0 + y).item()
    assert found.item() > 1e-3


def test_limits() -> None:
    x, y = pairs()
    equal = torch.ones(40, 2, dtype=torch.float64)
    for measure in MEASURES:
        assert measure(equal, y, bandwidth_x=1.0).item() == pytest.approx(0.0, abs=1e-12)
        assert measure(equal, y, bandwidth_x=1.0, normalized=True).item() == 0.0
    far = 1e6 * torch.arange(40.0, dtype=torch.float64)
    value = cauchy_schwarz_qmi(far, far, bandwidth_x=1.0, bandwidth_y=1.0).item()
    assert value == pytest.approx(math.log(40.0), rel=1e-12)
    # Without itself a row sees nothing, and an alignment of nothing is none.
    options = {"bandwidth_x": 1.0, "bandwidth_y": 1.0, "unbiased": True}
    assert hsic(far, far, **options).item() == 0.0
    assert hsic(far, far, normalized=True, **options).item() == 0.0
    # Independent in the sample itself, by design: every x with every y.
    grid = torch.cartesian_prod(x[:6, 0], y[:6, 0])
    for measure in MEASURES:
        options = {"bandwidth_x": 1.0, "bandwidth_y": 1.0}
        assert measure(grid[:, 0], grid[:, 1], **options).item() == pytest.approx(0.0, abs=1e-13)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("normalized", [False, True])
def test_gradients(measure, normalized: bool) -> None:
    x, y = (side[:9].clone().requires_grad_() for side in pairs())
    width = torch.tensor([0.9, 1.4], dtype=torch.float64, requires_grad=True)

    def function(x: Tensor, y: Tensor, width: Tensor) -> Tensor:
        return measure(x, y, bandwidth_x=width, bandwidth_y=1.3, normalized=normalized)

    assert torch.autograd.gradcheck(function, (x, y, width))
    with torch.random.fork_rng():  # it draws gradients of the output
        assert torch.autograd.gradgradcheck(function, (x, y, width))


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("normalized", [False, True])
def test_gradients_are_finite_where_a_side_is_constant(measure, normalized: bool) -> None:
    x = torch.ones(10, 2, dtype=torch.float64, requires_grad=True)
    y = samples(10, 1).requires_grad_()
    measure(x, y, bandwidth_x=1.0, normalized=normalized).backward()
    for side in (x, y):
        torch.testing.assert_close(side.grad, torch.zeros_like(side), rtol=0, atol=1e-13)


@pytest.mark.parametrize(
    "measure",
    [
        *MEASURES,
        lambda x, y: hsic(x, y, unbiased=True, normalized=True),
        lambda x, y: conditional_cauchy_schwarz(x, y, 0.5 * y),
        mmd,
    ],
)
def test_no_matrix_of_pairs_is_kept_for_the_backward_pass(measure) -> None:
    n = 1000
    x, y = (samples(n, 2, seed).requires_grad_() for seed in (0, 1))
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(
        lambda part: (kept.append(part.numel()), part)[1], lambda part: part
    ):
        measure(x, y)
    assert sum(kept) < 100 * n


def test_value_does_not_depend_on_the_backend_that_the_size_chooses() -> None:
    x, y = pairs(1000)
    first, second = kernel(x, x, 0.8), kernel(y, y, 1.3)
    assert hsic(x, y, **WIDTHS).item() == pytest.approx(centered_trace(first, second), rel=1e-9)
    assert hsic(x, y.flip(0), **WIDTHS).item() == pytest.approx(
        centered_trace(first, second[::-1, ::-1]), rel=1e-9
    )


def test_gradients_of_divergences() -> None:
    x, y = (side[:8].clone().requires_grad_() for side in pairs())
    predicted = (y.detach() + 0.3).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, z: mmd(x, z, bandwidth=0.8, unbiased=True), (x, x))
    assert torch.autograd.gradcheck(
        lambda x, y, z: conditional_cauchy_schwarz(x, y, z, **WIDTHS), (x, y, predicted)
    )


@pytest.mark.parametrize("measure", [*MEASURES, lambda x, y: conditional_cauchy_schwarz(x, y, y)])
def test_dtypes_and_bad_input(measure) -> None:
    x, y = pairs()
    short = measure(x.half(), y.half())
    assert short.dtype == torch.float32
    assert short.item() == pytest.approx(measure(x.half().double(), y.half().double()).item(), 1e-6)
    with pytest.raises(ValueError, match="must be paired, got 40 and 39 samples"):
        measure(x, y[:-1])
    with pytest.raises(ValueError, match="must be finite"):
        measure(x / 0.0, y)
    with pytest.raises(TypeError, match="must be a floating-point tensor"):
        measure(x.numpy(), y)
    with pytest.raises(TypeError, match=r"must be a floating-point tensor, got torch\.int64"):
        measure(x, y.long())
    with pytest.raises(ValueError, match=r"must have shape \(n_samples, n_features\)"):
        measure(x[:, :, None], y)


def test_predictions_have_the_shape_of_targets() -> None:
    x, y = pairs()
    with pytest.raises(ValueError, match="same number of columns, got 1 and 2"):
        conditional_cauchy_schwarz(x, y, x)
    with pytest.raises(ValueError, match="y and y_pred must be paired, got 40 and 39 samples"):
        conditional_cauchy_schwarz(x, y, y[:-1])
    with pytest.raises(ValueError, match=r"^bandwidth_x must be a finite number above 0"):
        conditional_cauchy_schwarz(x, y, y, bandwidth_x=-1.0)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan])
def test_bandwidths_are_refused_by_name(measure, bad: float) -> None:
    x, y = pairs()
    with pytest.raises(ValueError, match=r"^bandwidth_y must be"):
        measure(x, y, bandwidth_y=bad)
    with pytest.raises(ValueError, match=r"^bandwidth_x must be one of"):
        measure(x, y, bandwidth_x="scott")
    with pytest.raises(ValueError, match="at least 2 rows, got 1"):
        measure(x[:1], y[:1], **WIDTHS)


def test_unbiased_versions_need_rows() -> None:
    x, y = pairs()
    with pytest.raises(ValueError, match="at least 4 rows with unbiased=True, got 3"):
        hsic(x[:3], y[:3], unbiased=True, **WIDTHS)
    with pytest.raises(ValueError, match="at least 2 rows with unbiased=True, got 1 and 40"):
        mmd(x[:1], x, bandwidth=1.0, unbiased=True)


@pytest.mark.parametrize("bad", ["no", 1, None])
def test_options_must_be_bools(bad: object) -> None:
    x, y = pairs()
    for function, option in (
        (hsic, "unbiased"),
        (hsic, "normalized"),
        (cauchy_schwarz_qmi, "normalized"),
        (mmd, "unbiased"),
    ):
        with pytest.raises(TypeError, match=rf"^{option} must be True or False, got"):
            function(x, x if function is mmd else y, **{option: bad})
