"""Information-bottleneck losses of kernel sums: Cauchy-Schwarz and Hilbert-Schmidt. Torch."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from torch import Tensor, nn, promote_types

from infoest._validation import check_bool, check_number, check_option
from infoest.functional import cauchy_schwarz_qmi, conditional_cauchy_schwarz
from infoest.functional.dependence import KernelSide, PairMeans, alignment, own_scale, pair_means
from infoest.kernels import Bandwidth, resolve_bandwidth
from infoest.kernels._samples import result_dtype
from infoest.kernels.bandwidth import RULES

from ._tasks import check_values
from .weights import Schedule, TargetRate, Weight

DIMENSION = "dimension"


class CauchySchwarzIBResult(NamedTuple):
    """Result of `CauchySchwarzIBLoss`: loss = divergence + beta information.

    Attributes:
        loss: To be minimized.
        divergence: D_CS(p(y | x); q(prediction | x)) in nats.
        information: I_CS(x; code) in nats, or its share where normalized.
        beta: Weight of the step.
    """

    loss: Tensor
    divergence: Tensor
    information: Tensor
    beta: float | Tensor


class CauchySchwarzIBLoss(nn.Module):
    """Cauchy-Schwarz information bottleneck: D_CS(p(y|x); q(y_pred|x)) + beta I_CS(x; code).

    The first is `infoest.functional.conditional_cauchy_schwarz`, the second
    `infoest.functional.cauchy_schwarz_qmi`, both of the batch and without a variational law.

    Args:
        beta: Weight of the information: a number of at least 0, a schedule (step -> weight), or
            a `TargetRate`.
        bandwidth_x: Standard deviation of the kernel of the input: ``"dimension"``, the root of
            the number of columns, meant for columns of standard deviation 1; a number in the unit
            of x, or one per column; or a rule that reads the batch, ``"median"``, ``"silverman"``
            or ``"knn"``, which raises for a batch of equal rows. A parameter is learned.
        bandwidth_y: The same for target and prediction; a rule reads the target.
        bandwidth_code: The same for the code.
        normalized: Take I(x; code) / sqrt(I(x; x) I(code; code)) as the information, as the
            authors' released code does; the paper's formula is without.

    Raises:
        TypeError: If an argument is of another type.
        ValueError: If an argument is out of its range.

    Note:
        Not Shannon's quantities, and all depends on the bandwidths: where the kernel of x is
        nearly diagonal, the divergence does not see the conditional mean, and the loss predicts
        worse than the squared error. Start with a wide ``bandwidth_x``. The authors' training
        script passes 1-D targets, for which its kernels are constant and its divergence is the
        squared error; here they are one column.

    References:
        Yu, Yu, Lokse, Jenssen, Principe (2024), ICLR, Propositions 1 and 2.

    Example:
        >>> import torch
        >>> x = torch.linspace(-1.7, 1.7, 50)
        >>> result = CauchySchwarzIBLoss(beta=0.1)(x, torch.zeros(50, 2), x**2, x**2)
        >>> abs(round(result.divergence.item(), 4)), abs(round(result.information.item(), 4))
        (0.0, 0.0)
    """

    def __init__(
        self,
        beta: float | Schedule | TargetRate = 1e-2,
        *,
        bandwidth_x: Bandwidth = DIMENSION,
        bandwidth_y: Bandwidth = DIMENSION,
        bandwidth_code: Bandwidth = DIMENSION,
        normalized: bool = False,
    ) -> None:
        super().__init__()
        check_bool("normalized", normalized)
        self.beta = Weight("beta", beta)
        self.bandwidth_x = _checked("bandwidth_x", bandwidth_x)
        self.bandwidth_y = _checked("bandwidth_y", bandwidth_y)
        self.bandwidth_code = _checked("bandwidth_code", bandwidth_code)
        self.normalized = normalized

    def forward(
        self, x: Tensor, code: Tensor, prediction: Tensor, target: Tensor
    ) -> CauchySchwarzIBResult:
        """Return the loss and its parts.

        Args:
            x: Input, shape (n, ...), n at least 2; further axes are flattened.
            code: Of the input, shape (n, ...).
            prediction: Of the target, shape (n, d) or (n,).
            target: Numbers of the same shape; (n,) and (n, 1) are the same. Classes as one-hot
                columns.

        Returns:
            Scalars.

        Raises:
            TypeError: If an argument is no floating-point tensor.
            ValueError: If shapes do not fit, there is one row, or values are not finite.
        """
        given = _paired(x=x, code=code, prediction=prediction, target=target)
        x, code, prediction, target = given.values()
        if prediction.shape != target.shape:
            raise ValueError(
                f"target must have the shape of prediction, {tuple(prediction.shape)}, got "
                f"{tuple(target.shape)}. Give classes as one-hot columns."
            )
        bandwidth_x = _width(self.bandwidth_x, x)
        divergence = conditional_cauchy_schwarz(
            x,
            target,
            prediction,
            bandwidth_x=bandwidth_x,
            bandwidth_y=_width(self.bandwidth_y, target),
        )
        information = cauchy_schwarz_qmi(
            x,
            code,
            bandwidth_x=bandwidth_x,
            bandwidth_y=_width(self.bandwidth_code, code),
            normalized=self.normalized,
        )
        beta = self.beta()
        if self.training:
            self.beta.advance(information)
        return CauchySchwarzIBResult(divergence + beta * information, divergence, information, beta)


class HSICBottleneckResult(NamedTuple):
    """Result of `HSICBottleneckLoss`: loss = input_dependence - beta target_dependence.

    Attributes:
        loss: To be minimized.
        input_dependence: HSIC(z, x), summed over layers, without a unit.
        target_dependence: HSIC(z, y), summed over layers, without a unit.
        beta: Weight of the step.
    """

    loss: Tensor
    input_dependence: Tensor
    target_dependence: Tensor
    beta: float | Tensor


class HSICBottleneckLoss(nn.Module):
    """HSIC bottleneck: the sum over layers z of HSIC(z, x) - beta HSIC(z, y).

    HSIC is `infoest.functional.hsic`, tr(KHQH) / n^2 with Gaussian kernels; the sign is that of
    the paper, and beta weighs the target: large values keep more, as 1 / beta does in `VIBLoss`.

    Args:
        beta: Weight of the dependence on the target: a number of at least 0 or a schedule
            (step -> weight). 50 is that of the authors' configuration, for bandwidths of 5
            sqrt(columns) and another normalization.
        bandwidth_x: Standard deviation of the kernel of the input: ``"dimension"``, the root of
            the number of columns, meant for columns of standard deviation 1; a number, or one per
            column; or a rule that reads the batch, ``"median"``, ``"silverman"`` or ``"knn"``,
            which raises for a batch of equal rows. A parameter is learned.
        bandwidth_y: The same for the target.
        bandwidth_layers: The same for every layer.
        normalized: Divide every HSIC(a, b) by sqrt(HSIC(a, a) HSIC(b, b)), the centered kernel
            alignment. The paper's nHSIC is another one, tr of the product of K(K + eps n I)^-1 of
            centered K, which takes inverses.

    Raises:
        TypeError: If an argument is of another type.
        ValueError: If an argument is out of its range.

    Note:
        Not an information. Gradients of a layer's terms go on to the layers before it; for the
        training without back-propagation of the paper detach the input of every layer. The paper
        divides by (n - 1)^2 instead of n^2, its code does not.

    References:
        Ma, Lewis, Kleijn (2020), AAAI, eqs. 3 and 6.

    Example:
        >>> import torch
        >>> x = torch.tensor([[0.0], [0.0], [50.0], [50.0]])
        >>> y = torch.tensor([0.0, 50.0, 0.0, 50.0])
        >>> result = HSICBottleneckLoss(beta=1.0)([x, y], x, y)
        >>> result.input_dependence.item(), result.target_dependence.item()  # 1/4 + 0, 0 + 1/4
        (0.25, 0.25)
    """

    def __init__(
        self,
        beta: float | Schedule = 50.0,
        *,
        bandwidth_x: Bandwidth = DIMENSION,
        bandwidth_y: Bandwidth = DIMENSION,
        bandwidth_layers: Bandwidth = DIMENSION,
        normalized: bool = False,
    ) -> None:
        super().__init__()
        check_bool("normalized", normalized)
        if isinstance(beta, TargetRate):
            raise TypeError(
                "beta must be a number or a schedule, got a TargetRate. It raises the weight of "
                "what it steers, and here beta is the weight of the other term."
            )
        self.beta = Weight("beta", beta)
        self.bandwidth_x = _checked("bandwidth_x", bandwidth_x)
        self.bandwidth_y = _checked("bandwidth_y", bandwidth_y)
        self.bandwidth_layers = _checked("bandwidth_layers", bandwidth_layers)
        self.normalized = normalized

    def forward(
        self, layers: Tensor | Iterable[Tensor], x: Tensor, y: Tensor
    ) -> HSICBottleneckResult:
        """Return the loss and its parts.

        Args:
            layers: Activations of one or several layers, each of shape (n, ...), n at least 2;
                further axes are flattened. Those of `infoest.nn.tap` are ``tapped.values()``.
            x: Input, shape (n, ...).
            y: Target, numbers of shape (n,) or (n, d). Classes as one-hot columns.

        Returns:
            Scalars.

        Raises:
            TypeError: If an argument is no floating-point tensor.
            ValueError: If shapes do not fit, there is no layer or one row, or values are not
                finite.
        """
        listed = [layers] if isinstance(layers, Tensor) else list(layers)
        if not listed:
            raise ValueError("layers must hold at least one tensor, got none.")
        named = {f"layers[{index}]": one for index, one in enumerate(listed)}
        given = _paired(**named, x=x, y=y)
        side_x = _side(given.pop("x"), self.bandwidth_x, "bandwidth_x")
        side_y = _side(given.pop("y"), self.bandwidth_y, "bandwidth_y")
        # The kernels of x and y are summed once, whatever the number of layers.
        scales = [own_scale(one, _hsic) if self.normalized else None for one in (side_x, side_y)]
        of_x, of_y = side_x.sample.new_zeros(()), side_x.sample.new_zeros(())
        for layer in given.values():
            side = _side(layer, self.bandwidth_layers, "bandwidth_layers")
            own = own_scale(side, _hsic) if self.normalized else None
            of_x = of_x + _dependence(side, side_x, own, scales[0])
            of_y = of_y + _dependence(side, side_y, own, scales[1])
        dtype = result_dtype(x, y)
        for layer in listed:
            dtype = promote_types(dtype, layer.dtype)
        of_x, of_y, beta = of_x.to(dtype), of_y.to(dtype), self.beta()
        if self.training:
            self.beta.advance(of_x)
        return HSICBottleneckResult(of_x - beta * of_y, of_x, of_y, beta)


def _hsic(means: PairMeans) -> Tensor:
    return means.hsic


def _dependence(
    a: KernelSide, b: KernelSide, scale_a: Tensor | None, scale_b: Tensor | None
) -> Tensor:
    value = pair_means(a, b).hsic
    return value if scale_a is None or scale_b is None else alignment(value, scale_a, scale_b)


def _side(columns: Tensor, bandwidth: Bandwidth, name: str) -> KernelSide:
    columns = columns.double()
    width = resolve_bandwidth(_width(bandwidth, columns), columns, name=name)
    return KernelSide.of(columns, width, exclude_self=False)


def _paired(**samples: Tensor) -> dict[str, Tensor]:
    """Return samples of equally many rows with two axes."""
    for name, values in samples.items():
        check_values(name, values)
    (first, reference), *others = samples.items()
    for name, values in others:
        if len(values) != len(reference) or values.device != reference.device:
            raise ValueError(
                f"{name} must have the rows of {first}, {len(reference)} on {reference.device}, "
                f"got {len(values)} on {values.device}."
            )
    if len(reference) < 2:
        raise ValueError(
            f"{first} must have at least 2 rows, got {len(reference)}: the laws are those of the "
            "batch."
        )
    return {
        name: values[:, None] if values.ndim == 1 else values.flatten(1)
        for name, values in samples.items()
    }


def _checked(name: str, bandwidth: Bandwidth) -> Bandwidth:
    """Return a bandwidth of which all is checked that needs no data."""
    if isinstance(bandwidth, str):
        check_option(name, bandwidth, (DIMENSION, *RULES), "Or pass numbers.")
    elif isinstance(bandwidth, (bool, int, float)):
        check_number(name, bandwidth, low=0.0, open_low=True)
    return bandwidth


def _width(bandwidth: Bandwidth, columns: Tensor) -> Bandwidth:
    # Squared distances of standardized columns grow with their number.
    by_dimension = isinstance(bandwidth, str) and bandwidth == DIMENSION
    return math.sqrt(columns.shape[1]) if by_dimension else bandwidth
