"""The kernel losses beside n x n formulas in NumPy, their limits, and bad input."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from infoest.functional import cauchy_schwarz_qmi, conditional_cauchy_schwarz, hsic
from infoest.losses import CauchySchwarzIBLoss, HSICBottleneckLoss, TargetRate, WarmUp

N = 30


def drawn(*columns: int, seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(N, d, generator=generator, dtype=torch.float64) for d in columns]


def kernel(a: Tensor, b: Tensor, width: float) -> np.ndarray:
    squares = ((a.numpy()[:, None] - b.numpy()[None]) ** 2).sum(axis=2)
    return np.exp(-squares / (2.0 * width**2))


def test_the_cauchy_schwarz_loss_is_propositions_1_and_2() -> None:
    x, code, prediction, target = drawn(3, 2, 1, 1)
    result = CauchySchwarzIBLoss(beta=0.3)(x, code, prediction, target)
    k, q = kernel(x, x, math.sqrt(3.0)), kernel(code, code, math.sqrt(2.0))
    square = k.sum(axis=1) ** 2
    of_true, of_predicted, crossed = (
        ((k * kernel(a, b, 1.0)).sum(axis=1) / square).sum()
        for a, b in ((target, target), (prediction, prediction), (prediction, target))
    )
    divergence = math.log(of_true) + math.log(of_predicted) - 2.0 * math.log(crossed)
    information = (
        math.log((k * q).sum() / N**2)
        + math.log(k.sum() * q.sum() / N**4)
        - 2.0 * math.log((k @ q).sum() / N**3)
    )
    assert result.divergence.item() == pytest.approx(divergence, rel=1e-9)
    assert result.information.item() == pytest.approx(information, rel=1e-9)
    assert result.loss.item() == pytest.approx(divergence + 0.3 * information, rel=1e-9)


def test_each_variable_has_its_bandwidth() -> None:
    x, code, prediction, target = drawn(3, 2, 2, 2)
    loss = CauchySchwarzIBLoss(
        bandwidth_x=[1.0, 2.0, 3.0], bandwidth_y="median", bandwidth_code=0.7, normalized=True
    )
    result = loss(x, code, prediction, target)
    wide = torch.tensor([1.0, 2.0, 3.0])
    torch.testing.assert_close(
        result.divergence,
        conditional_cauchy_schwarz(x, target, prediction, bandwidth_x=wide, bandwidth_y="median"),
    )
    torch.testing.assert_close(
        result.information,
        cauchy_schwarz_qmi(x, code, bandwidth_x=wide, bandwidth_y=0.7, normalized=True),
    )


def test_a_target_of_one_axis_is_one_column() -> None:
    """On 1-D tensors the released kernels are constant, and the loss is the squared error."""
    x, code, prediction, target = drawn(1, 2, 1, 1)
    loss = CauchySchwarzIBLoss()
    columns = loss(x, code, prediction, target)
    for given in (
        (x[:, 0], code, prediction[:, 0], target[:, 0]),
        (x, code, prediction[:, 0], target),
    ):
        assert torch.equal(loss(*given).loss, columns.loss)
    squared_error = (prediction - target).square().sum() / math.log(2.0)
    assert abs(columns.divergence.item() - squared_error.item()) > 0.1


def test_rows_may_change_places_and_axes_are_flattened() -> None:
    x, code, prediction, target = drawn(6, 2, 1, 1)
    loss = CauchySchwarzIBLoss(beta=0.5)
    plain = loss(x, code, prediction, target).loss
    order = torch.randperm(N, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(
        loss(x.reshape(N, 2, 3)[order], code[order], prediction[order], target[order]).loss, plain
    )


def test_a_perfect_prediction_and_a_constant_code_cost_nothing() -> None:
    x, code, prediction, target = drawn(3, 2, 1, 1)
    result = CauchySchwarzIBLoss()(x, torch.zeros_like(code), target, target)
    assert result.divergence.item() == pytest.approx(0.0, abs=1e-12)
    assert result.information.item() == pytest.approx(0.0, abs=1e-12)
    assert CauchySchwarzIBLoss()(x, code, prediction, target).divergence.item() > 1e-3


def test_bandwidths_grow_with_the_dimension() -> None:
    """Where columns are repeated, kernels and the loss stay what they are."""
    x, code, prediction, target = drawn(2, 2, 1, 1)
    loss = CauchySchwarzIBLoss()
    wide = loss(*(one.repeat(1, 4) for one in (x, code, prediction, target)))
    torch.testing.assert_close(wide.loss, loss(x, code, prediction, target).loss)


def test_a_bandwidth_is_learned() -> None:
    x, code, prediction, target = drawn(2, 2, 1, 1)
    loss = CauchySchwarzIBLoss(bandwidth_code=nn.Parameter(torch.tensor(1.0)))
    assert [name for name, _ in loss.named_parameters()] == ["bandwidth_code"]
    loss(x, code, prediction, target).loss.backward()
    assert loss.bandwidth_code.grad.abs().item() > 0.0


def test_beta_is_a_schedule_or_a_controller() -> None:
    given = drawn(2, 2, 1, 1)
    loss = CauchySchwarzIBLoss(beta=WarmUp(1.0, steps=2))
    assert [loss(*given).beta for _ in range(3)] == [0.0, 0.5, 1.0]
    steered = CauchySchwarzIBLoss(beta=TargetRate(1e-3, start=0.1, step_size=0.1))
    assert steered(*given).beta.item() < steered(*given).beta.item()


@pytest.mark.parametrize("normalized", [False, True])
def test_the_hsic_bottleneck_is_the_hsic_function(normalized: bool) -> None:
    first, second, x, y = drawn(5, 3, 4, 1)
    result = HSICBottleneckLoss(beta=3.0, normalized=normalized)([first, second], x, y)

    def dependence(z: Tensor, other: Tensor) -> Tensor:
        widths = [math.sqrt(one.shape[1]) for one in (z, other)]
        return hsic(z, other, bandwidth_x=widths[0], bandwidth_y=widths[1], normalized=normalized)

    of_x = dependence(first, x) + dependence(second, x)
    of_y = dependence(first, y) + dependence(second, y)
    torch.testing.assert_close(result.input_dependence, of_x, rtol=1e-10, atol=0.0)
    torch.testing.assert_close(result.target_dependence, of_y, rtol=1e-10, atol=0.0)
    torch.testing.assert_close(result.loss, of_x - 3.0 * of_y)


def test_hsic_in_numpy() -> None:
    z, x, y = drawn(2, 2, 1)
    result = HSICBottleneckLoss(bandwidth_x=2.0, bandwidth_layers=0.5, bandwidth_y=1.5)(z, x, y)
    center = np.eye(N) - 1.0 / N
    of_layer = center @ kernel(z, z, 0.5) @ center
    for found, other in (
        (result.input_dependence, kernel(x, x, 2.0)),
        (result.target_dependence, kernel(y, y, 1.5)),
    ):
        assert found.item() == pytest.approx(np.trace(of_layer @ other) / N**2, rel=1e-9)


def test_a_layer_that_copies_is_fully_aligned() -> None:
    x, y = drawn(3, 1)
    result = HSICBottleneckLoss(beta=1.0, normalized=True)([x, 0.0 * x], x, y)
    assert result.input_dependence.item() == pytest.approx(1.0)  # the constant layer adds 0
    assert 0.0 < result.target_dependence.item() < 1.0


def test_the_sign_is_that_of_the_paper() -> None:
    """A code of the target alone lowers the loss, one of the rest of the input raises it."""
    useful, useless = drawn(1, 1)
    x = torch.cat([useful, useless], dim=1)
    loss = HSICBottleneckLoss(beta=2.0)
    assert loss(useful, x, useful).loss.item() < 0.0 < loss(useless, x, useful).loss.item()


def test_layers_in_any_iterable_and_low_precision() -> None:
    first, second, x, y = (one.float() for one in drawn(5, 3, 4, 1))
    loss = HSICBottleneckLoss()
    from_list = loss([first, second], x, y)
    from_values = loss({"a": first, "b": second}.values(), x, y[:, 0])
    assert torch.equal(from_list.loss, from_values.loss)
    assert from_list.loss.dtype == torch.float32
    assert loss(first.bfloat16(), x.bfloat16(), y.bfloat16()).loss.dtype == torch.float32
    assert loss(first.double(), x, y).loss.dtype == torch.float64


GOOD = {"x": torch.zeros(4, 3), "code": torch.zeros(4, 2), "prediction": torch.zeros(4)}


@pytest.mark.parametrize(
    ("changed", "error", "sentence"),
    [
        ({"x": torch.zeros(3, 3)}, ValueError, "code must have the rows of x, 3 on cpu, got 4"),
        ({"x": torch.full((4, 3), math.nan)}, ValueError, "x must be finite, got 12 NaN"),
        ({"code": torch.full((4, 2), math.inf)}, ValueError, "code must be finite, got 8 NaN"),
        ({"code": torch.zeros(4, 2).long()}, TypeError, "code must be a floating-point tensor"),
        ({"code": np.zeros((4, 2))}, TypeError, "code must be a floating-point tensor, got ndarr"),
        ({"prediction": torch.zeros(4, 2)}, ValueError, "target must have the shape of prediction"),
        ({"target": torch.arange(4)}, TypeError, "target must be a floating-point tensor"),
        ({"x": torch.zeros(0, 3)}, ValueError, "x must have rows and columns"),
    ],
)
def test_bad_input(changed: dict[str, Any], error: type[Exception], sentence: str) -> None:
    given = {**GOOD, "target": torch.zeros(4), **changed}
    with pytest.raises(error, match=sentence):
        CauchySchwarzIBLoss()(**given)


def test_bad_rows_and_layers() -> None:
    one = torch.zeros(1, 2)
    with pytest.raises(ValueError, match="x must have at least 2 rows, got 1"):
        CauchySchwarzIBLoss()(one, one, one, one)
    with pytest.raises(ValueError, match="must have at least 2 rows, got 1"):
        HSICBottleneckLoss()([one], one, one)
    with pytest.raises(ValueError, match="layers must hold at least one tensor"):
        HSICBottleneckLoss()([], one, one)
    with pytest.raises(TypeError, match=r"layers\[1\] must be a floating-point tensor, got str"):
        HSICBottleneckLoss()([GOOD["x"], "b"], GOOD["x"], GOOD["x"])
    with pytest.raises(ValueError, match=r"layers\[1\] must be finite"):
        HSICBottleneckLoss()([GOOD["x"], GOOD["x"] + math.nan], GOOD["x"], GOOD["x"])


@pytest.mark.parametrize("make", [CauchySchwarzIBLoss, HSICBottleneckLoss])
@pytest.mark.parametrize(
    ("settings", "error", "sentence"),
    [
        ({"beta": -1.0}, ValueError, "beta must be a finite number of at least 0"),
        ({"bandwidth_x": "mean"}, ValueError, "bandwidth_x must be one of"),
        ({"bandwidth_y": -1.0}, ValueError, "bandwidth_y must be a finite number above 0"),
        ({"bandwidth_y": True}, TypeError, "bandwidth_y must be .* number"),
        ({"normalized": 1}, TypeError, "normalized must be True or False"),
    ],
)
def test_bad_settings(
    make: Any, settings: dict[str, Any], error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        make(**settings)


def test_no_controller_of_the_wrong_term() -> None:
    with pytest.raises(TypeError, match="beta must be a number or a schedule, got a TargetRate"):
        HSICBottleneckLoss(beta=TargetRate(1.0))
