"""Any differentiable quantity as a term of a loss, with its direction checked. Torch."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor, nn

from infoest._validation import check_bool, check_option

from ._tasks import check_values
from .weights import Schedule, TargetRate, Weight

Measure = Callable[[Tensor, Tensor], Tensor]
BOUNDS = ("lower", "upper", None)


class InformationPenaltyResult(NamedTuple):
    """Result of `InformationPenalty`: loss = weight information.

    Attributes:
        loss: To be added to a loss that is minimized.
        information: What the measure returns, in its units; nats where it is an information.
        weight: Of the step.
    """

    loss: Tensor
    information: Tensor
    weight: float | Tensor


class InformationPenalty(nn.Module):
    """Weight times a measure of two variables, a term to add to a loss that is minimized.

    The variables are any two of input, activation of a layer (`infoest.nn.tap`), output, target.

    Args:
        measure: (x, y) -> scalar tensor: a function of `infoest.functional`, such as ``hsic`` or
            ``cauchy_schwarz_qmi``, with its settings bound by ``functools.partial``, or a module,
            whose parameters are then the penalty's. Its attribute ``bound``, ``"lower"``,
            ``"upper"`` or None, also behind ``partial``, says what it is of the mutual
            information; a measure without one is None.
        weight: Above 0 to lower the measure, below 0 to raise it: a number, a schedule
            (step -> weight), or a `TargetRate`, which is above 0.
        allow_loose: Whether a lower bound may be minimized and an upper one maximized.

    Raises:
        TypeError: If the measure is not callable or an argument is of another type.
        ValueError: If a lower bound is minimized or an upper one maximized, or ``bound`` is
            something else.

    Note:
        A lower bound that falls leaves the information where it is: the bound becomes loose, and
        so does an upper one that rises. Functions of scores, such as ``infonce``, are not of
        (x, y): wrap them with their critic.

    References:
        Poole et al. (2019), ICML, section 2. Cheng et al. (2020), ICML (CLUB, to be minimized).

    Example:
        >>> import torch
        >>> from functools import partial
        >>> from infoest.functional import hsic
        >>> penalty = InformationPenalty(partial(hsic, bandwidth_x=1.0, bandwidth_y=1.0), 2.0)
        >>> x = torch.tensor([0.0, 0.0, 50.0, 50.0])
        >>> result = penalty(x, x)
        >>> result.loss.item(), result.information.item(), result.weight
        (0.5, 0.25, 2.0)
    """

    def __init__(
        self,
        measure: Measure,
        weight: float | Schedule | TargetRate,
        *,
        allow_loose: bool = False,
    ) -> None:
        super().__init__()
        check_bool("allow_loose", allow_loose)
        self.bound = bound_of("measure", measure)
        self.allow_loose = allow_loose
        self.measure = measure
        self.weight = Weight("weight", weight, low=-math.inf)
        self._check_direction(self.weight())

    def forward(self, x: Tensor, y: Tensor) -> InformationPenaltyResult:
        """Return the term and its parts.

        Args:
            x: Rows of the first variable, as the measure takes them.
            y: Rows of the second, as many.

        Returns:
            Scalars.

        Raises:
            TypeError: If an argument or what the measure returns is no tensor.
            ValueError: If numbers of rows differ, the measure returns no scalar, (on the CPU)
                values are not finite, or a schedule has come to the wrong sign.
        """
        for name, values in (("x", x), ("y", y)):
            if not isinstance(values, Tensor):
                raise TypeError(f"{name} must be a tensor, got {type(values).__name__}.")
            if values.is_floating_point():
                check_values(name, values)
        if x.shape[:1] != y.shape[:1]:
            raise ValueError(
                f"y must have a row for every row of x, got {tuple(y.shape)} for {tuple(x.shape)}."
            )
        weight = self.weight()
        self._check_direction(weight)
        information = scalar_of("measure", self.measure(x, y))
        if self.training:
            self.weight.advance(information)
        return InformationPenaltyResult(weight * information, information, weight)

    def _check_direction(self, weight: float | Tensor) -> None:
        if self.allow_loose or self.bound is None:
            return
        # A tensor is of a controller, and positive: nothing is read from a GPU.
        sign = 1.0 if isinstance(weight, Tensor) else weight
        if self.bound == "lower" and sign > 0.0:
            raise ValueError(
                f"weight must not be positive for a lower bound, got {weight}: minimizing it makes "
                "the bound loose. Take an upper bound, such as CLUB (functional.club) or the "
                "second of functional.mixture_information_bounds, or allow_loose=True."
            )
        if self.bound == "upper" and sign < 0.0:
            raise ValueError(
                f"weight must not be negative for an upper bound, got {weight}: maximizing it "
                "makes the bound loose. Take a lower bound, such as functional.infonce or the "
                "first of functional.mixture_information_bounds, or allow_loose=True."
            )


def bound_of(name: str, measure: object) -> str | None:
    """Return which bound a measure is, ``"lower"``, ``"upper"`` or None, also behind partials.

    Raises:
        TypeError: If it is not callable.
        ValueError: If its attribute ``bound`` is something else.
    """
    if not callable(measure):
        raise TypeError(f"{name} must be a callable (x, y) -> scalar tensor, got {measure!r}.")
    own: object = measure
    while isinstance(own, functools.partial) and not hasattr(own, "bound"):
        own = own.func
    bound = getattr(own, "bound", None)
    check_option(f"{name}.bound", bound, BOUNDS)
    return bound


def scalar_of(name: str, value: object) -> Tensor:
    """Return what the argument called ``name`` returned, if it is a finite scalar tensor."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} must return a scalar tensor, got {type(value).__name__}.")
    if value.ndim:
        raise ValueError(f"{name} must return a scalar tensor, got shape {tuple(value.shape)}.")
    check_values(f"the value of {name}", value[None])
    return value
