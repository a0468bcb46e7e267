"""The weight of an information term: a number, a schedule of the step, or a controller. Torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from infoest._validation import check_int, check_number

Schedule = Callable[[int], float]
# A controller moves its weight by no more than this share of its step size in one step: a rate far
# from its target at the start says nothing of where the weight should be.
LARGEST_ERROR = 1.0
LOWEST_WEIGHT, HIGHEST_WEIGHT = 1e-8, 1e8


@dataclass(frozen=True)
class WarmUp:
    """Schedule that rises linearly from 0 to a value and stays there.

    Args:
        value: Last weight, at least 0.
        steps: Steps until it is reached, at least 1.

    Raises:
        TypeError: If an argument is no number.
        ValueError: If one is out of range.

    Example:
        >>> [WarmUp(1e-2, steps=4)(step) for step in (0, 1, 4, 100)]
        [0.0, 0.0025, 0.01, 0.01]
    """

    value: float
    steps: int

    def __post_init__(self) -> None:
        """Check the arguments: they are data."""
        check_number("value", self.value, low=0.0)
        check_int("steps", self.steps, low=1)

    def __call__(self, step: int) -> float:
        """Return the weight of a step, counted from 0."""
        return self.value * min(1.0, step / self.steps)


@dataclass(frozen=True)
class Cosine:
    """Schedule that goes from one value to another on half a cosine, and stays there.

    Args:
        start: First weight, at least 0.
        end: Last weight, at least 0.
        steps: Steps until it is reached, at least 1.

    Raises:
        TypeError: If an argument is no number.
        ValueError: If one is out of range.

    Example:
        >>> [round(Cosine(0.0, 1.0, steps=4)(step), 3) for step in (0, 2, 4, 9)]
        [0.0, 0.5, 1.0, 1.0]
    """

    start: float
    end: float
    steps: int

    def __post_init__(self) -> None:
        """Check the arguments: they are data."""
        check_number("start", self.start, low=0.0)
        check_number("end", self.end, low=0.0)
        check_int("steps", self.steps, low=1)

    def __call__(self, step: int) -> float:
        """Return the weight of a step, counted from 0."""
        share = 0.5 * (1.0 - math.cos(math.pi * min(1.0, step / self.steps)))
        return self.start + (self.end - self.start) * share


class TargetRate(nn.Module):
    """Weight that is steered so that a rate comes to a target: dual ascent on log beta.

    After every training step log beta grows by ``step_size`` (rate - target) / target, that is
    where the rate is too large, and by ``step_size`` at most. In a loss with this weight the rate
    is a constraint, R <= target, and beta its multiplier.

    Args:
        nats: Target of the rate in nats, positive.
        start: First weight, positive.
        step_size: Of the ascent, positive.

    Raises:
        TypeError: If an argument is no number.
        ValueError: If one is out of range.

    Note:
        The weight is between 1e-8 and 1e8, and a buffer: checkpoints carry it.

    References:
        Rezende, Viola (2018), arXiv 1810.00597 (constraints on a rate or a distortion).

    Example:
        >>> weight = TargetRate(10.0, start=1e-3, step_size=0.1)
        >>> weight.observe(torch.tensor(20.0))
        >>> round(weight().item(), 6)
        0.001105
    """

    log_weight: Tensor

    def __init__(self, nats: float, *, start: float = 1e-3, step_size: float = 0.01) -> None:
        super().__init__()
        self.nats = check_number("nats", nats, low=0.0, open_low=True)
        check_number("start", start, low=LOWEST_WEIGHT, high=HIGHEST_WEIGHT)
        self.step_size = check_number("step_size", step_size, low=0.0, open_low=True)
        self.register_buffer("log_weight", torch.tensor(math.log(start)))

    def forward(self) -> Tensor:
        """Return the weight, a scalar tensor without a gradient."""
        return self.log_weight.exp()

    @torch.no_grad()
    def observe(self, rate: Tensor) -> None:
        """Move the weight by one step.

        Args:
            rate: Of the step, in nats, a scalar tensor.
        """
        error = ((rate.detach() - self.nats) / self.nats).clamp(max=LARGEST_ERROR)
        moved = self.log_weight + self.step_size * error.to(self.log_weight)
        self.log_weight.copy_(
            moved.clamp(math.log(LOWEST_WEIGHT), math.log(HIGHEST_WEIGHT)),
        )

    def extra_repr(self) -> str:
        """Return the settings for the repr."""
        return f"{self.nats}, step_size={self.step_size}"


class Weight(nn.Module):
    """What a loss makes of ``beta``: a number, a schedule with its step, or a controller.

    Args:
        name: Of the argument, for errors.
        given: The argument.
        low: What a number, or that of a schedule, is at least.

    Raises:
        TypeError: If it is none of these.
        ValueError: If it is a number below ``low``.
    """

    def __init__(
        self, name: str, given: float | Schedule | TargetRate, *, low: float = 0.0
    ) -> None:
        super().__init__()
        self.name, self.step, self.low = name, 0, low
        self.controller = given if isinstance(given, TargetRate) else None
        self.schedule: Schedule | None = None
        self.number = 0.0
        if self.controller is not None:
            return
        if isinstance(given, nn.Module) or not callable(given):
            self.number = check_number(
                name,
                given,
                low=low,
                remedy="A schedule (step -> weight) or a TargetRate will do, too.",
            )
        else:
            self.schedule = given
            self()

    def forward(self) -> float | Tensor:
        """Return the weight of the present step."""
        if self.controller is not None:
            return self.controller()
        if self.schedule is None:
            return self.number
        return check_number(f"{self.name}({self.step})", self.schedule(self.step), low=self.low)

    def advance(self, rate: Tensor) -> None:
        """Go to the next step; a training step calls this with its rate."""
        if self.controller is not None:
            self.controller.observe(rate)
        elif self.schedule is not None:
            self.step += 1

    # The step is an integer of Python's: read from a GPU it would stall every forward.
    def get_extra_state(self) -> Tensor:
        """Return the step, for checkpoints."""
        return torch.tensor(self.step)

    def set_extra_state(self, state: Tensor) -> None:
        """Go back to the step of a checkpoint."""
        self.step = int(state)

    def extra_repr(self) -> str:
        """Return the settings for the repr."""
        return "" if self.controller is not None else repr(self.schedule or self.number)
