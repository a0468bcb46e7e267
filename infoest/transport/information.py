"""Transport plans that maximize mutual information (InfoOT)."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from infoest._validation import as_samples, check_int, check_number
from infoest.functional.plans import SMALLEST_DENSITY
from infoest.kernels._samples import check_samples

from .entropic import Potentials, annealed, entropic_plan, rounded, scaled
from .smoothing import Smoother

# Share of the decrease that the linear model allows which a step must reach (Armijo's rule).
SUFFICIENT_DECREASE = 1e-4
MOST_HALVINGS = 20
# A plan is good enough for a step when it takes this share of what the best one would; the error of
# its marginals falls until it does.
SHARE_OF_DECREASE = 0.25
FIRST_ERROR = 0.01
# The log-plan is a difference of costs over the regularization: below this it has no digits left.
SMALLEST_REGULARIZATION = 1e-9
MOST_REFINEMENTS = 10
WARM_SWEEPS = 100
MOST_SWEEPS = 500


class InfoOTResult(NamedTuple):
    """A transport plan and how it was reached.

    Attributes:
        plan: Plan P, shape (n, m), float64: row sums 1/n, column sums 1/m.
        information: Mutual information I(P) in nats, as `infoest.functional.infoot_mi` gives it.
        objective: Objective before every step and at the end; never rises.
        gap: Upper bound of the decrease that the objective's linear model still allows.
        converged: Whether ``gap`` is within the tolerance: the plan is stationary.
    """

    plan: Tensor
    information: float
    objective: tuple[float, ...]
    gap: float
    converged: bool


def infoot(
    x: object,
    y: object,
    *,
    bandwidth: float = 0.5,
    regularization: float = 0.05,
    max_iterations: int = 100,
    tolerance: float = 1e-8,
) -> InfoOTResult:
    """Return a transport plan that maximizes the mutual information between two samples.

    Minimizes -I(P) + regularization KL(P || 1/(n m)) over all plans P with row sums 1/n and column
    sums 1/m, I(P) the mutual information in nats of the kernel densities that P joins
    (`infoest.functional.infoot_mi`). Only distances inside each sample matter: x and y may live in
    different spaces.

    Args:
        x: Samples, shape (n, d_x) or (n,): arrays, tensors, tables or lists.
        y: Samples, shape (m, d_y) or (m,).
        bandwidth: Relative bandwidth h > 0 of both kernels, in units of the root of the summed
            variances of the columns.
        regularization: Weight of the entropic term, above 0, in nats; smaller plans are sharper
            and take longer.
        max_iterations: Steps at which to stop.
        tolerance: Decrease of the objective, in nats, that a stationary plan may still allow by
            the linear model of its information.

    Returns:
        Plan, information, history of the objective and whether it converged. Tensors are float64
        on the device of a tensor x and carry no gradient.

    Raises:
        TypeError: If data or parameters are not numeric.
        ValueError: If shapes do not fit, values are not finite, parameters are out of range, or
            the regularization is below 1e-9 of the largest cost.

    Note:
        The objective is not convex: the plan found is a local optimum, and a symmetric sample
        (points evenly on a circle) cannot leave the product plan, where the search starts. The
        objective never rises: a step is halved until it falls. About ten (n, m) matrices are
        held, and the kernel matrix of each sample of up to 5000 rows.

    References:
        Chuang, Jegelka, Alvarez-Melis (2023), InfoOT, ICML (the objective; their steps are whole).
        Rakotomamonjy, Flamary, Courty (2015), arXiv 1510.06567 (generalized conditional gradient).

    Example:
        >>> import torch
        >>> x = torch.tensor([[0.0], [1.0], [1.5], [4.0]])
        >>> turned = torch.cat([x, x], dim=1)  # another space
        >>> infoot(x, turned, regularization=0.01).plan.argmax(dim=1)
        tensor([0, 1, 2, 3])
    """
    left, right = as_sample("x", x), as_sample("y", y)
    right = right.to(left.device)
    check_parameters(bandwidth, regularization, max_iterations, tolerance)
    problem = Problem(
        None, Smoother(left, bandwidth), Smoother(right, bandwidth), 1.0, regularization
    )
    return solved(problem, max_iterations=max_iterations, tolerance=tolerance).result


def as_sample(name: str, data: object) -> Tensor:
    """Return finite samples as a float64 tensor (n, d) without a gradient."""
    if isinstance(data, Tensor) and data.is_floating_point():
        sample = data.detach().double()
        sample = sample[:, None] if sample.ndim == 1 else sample
    else:
        sample = torch.tensor(as_samples(name, data))
    check_samples(**{name: sample})
    return sample


def check_parameters(
    bandwidth: float, regularization: float, max_iterations: int, tolerance: float
) -> None:
    """Raise unless the parameters of a solver are numbers in their ranges."""
    check_number("bandwidth", bandwidth, low=0.0, open_low=True)
    check_number("regularization", regularization, low=0.0, open_low=True)
    check_int("max_iterations", max_iterations, low=1)
    check_number("tolerance", tolerance, low=0.0, open_low=True)


@dataclass(frozen=True)
class Problem:
    """Objective <cost, P> - weight I(P) + regularization KL(P || 1/(n m)) and its gradient.

    Args:
        cost: Cost of every pair, shape (n, m), float64; None for none.
        smooth_x: Kernel of x.
        smooth_y: Kernel of y.
        weight: Weight of the information.
        regularization: Weight of the entropic term.
    """

    cost: Tensor | None
    smooth_x: Smoother
    smooth_y: Smoother
    weight: float
    regularization: float

    def joint_density(self, plan: Tensor) -> Tensor:
        """Return f_xy = K_x P K_y, shape (n, m); linear in the plan."""
        return self.smooth_y.times(self.smooth_x.times(plan).mT).mT

    def log_ratio(self, joint: Tensor) -> Tensor:
        """Return log(f_xy / (f_x f_y)), shape (n, m)."""
        log_joint = joint.clamp_min(SMALLEST_DENSITY).log_()
        return log_joint.sub_(self.smooth_x.density.log()[:, None]).sub_(
            self.smooth_y.density.log()
        )

    def information(self, plan: Tensor, joint: Tensor) -> float:
        """Return I(P) in nats."""
        return float((plan * self.log_ratio(joint)).sum())

    def value(self, plan: Tensor, joint: Tensor) -> float:
        """Return the objective."""
        value = self.regularization * _relative_entropy(plan)
        value -= self.weight * self.information(plan, joint)
        return value if self.cost is None else value + float((plan * self.cost).sum())

    def gradient(self, plan: Tensor, joint: Tensor) -> Tensor:
        """Return the gradient of the objective without its entropic term, shape (n, m)."""
        gain = self.joint_density(plan / joint.clamp_min(SMALLEST_DENSITY))
        gain += self.log_ratio(joint)
        return gain.mul_(-self.weight) if self.cost is None else self.cost - self.weight * gain


class Solution(NamedTuple):
    """What `solved` returns: the public result, the density of its plan, potentials of its step."""

    result: InfoOTResult
    joint: Tensor
    potentials: Potentials


def solved(problem: Problem, *, max_iterations: int, tolerance: float) -> Solution:
    """Minimize an objective over all plans with uniform marginals, from the product plan.

    Every step goes towards the plan that minimizes the linear model of cost and information plus
    the exact entropic term, by half the way as often as the objective needs to fall.
    """
    n, m = len(problem.smooth_x.density), len(problem.smooth_y.density)
    plan = problem.smooth_x.density.new_full((n, m), 1.0 / (n * m))
    joint = problem.joint_density(plan)
    history = [problem.value(plan, joint)]
    scale = max(1.0, problem.weight, abs(history[0]))
    gradient, gap = problem.gradient(plan, joint), scale
    _check_scale(problem.regularization, gradient)
    potentials = annealed(
        gradient, problem.regularization, tolerance=FIRST_ERROR, max_sweeps=MOST_SWEEPS
    )
    while True:
        error = min(FIRST_ERROR, 0.1 * gap / scale)
        towards, potentials, gap, decrease = _best_response(
            problem, plan, gradient, potentials, scale * tolerance, error
        )
        if gap <= scale * tolerance or len(history) > max_iterations:
            break
        step = _line_search(problem, plan, joint, towards, history[-1], decrease)
        if step is None:
            break
        plan, joint, value = step
        history.append(value)
        gradient = problem.gradient(plan, joint)
    result = InfoOTResult(
        plan, problem.information(plan, joint), tuple(history), gap, gap <= scale * tolerance
    )
    return Solution(result, joint, potentials)


def _best_response(
    problem: Problem,
    plan: Tensor,
    gradient: Tensor,
    potentials: Potentials,
    tolerance: float,
    error: float,
) -> tuple[Tensor, Potentials, float, float]:
    """Return the plan that the linear model wants, as well as needed.

    Returns:
        The plan, its potentials, an upper bound of the decrease of the linear model (from the
        dual), and the decrease that the plan returned takes of it.
    """
    epsilon = problem.regularization
    here = float((plan * gradient).sum()) + epsilon * _relative_entropy(plan)
    potentials = scaled(gradient, epsilon, potentials.g, tolerance=error, max_sweeps=WARM_SWEEPS)
    if potentials.error > max(error, FIRST_ERROR):
        # The potentials of the step before are too far away for a small epsilon.
        potentials = annealed(gradient, epsilon, tolerance=error, max_sweeps=MOST_SWEEPS)
    for _ in range(MOST_REFINEMENTS):
        towards = rounded(entropic_plan(gradient, potentials.f, potentials.g, epsilon))
        gap = here - potentials.value
        there = float((towards * gradient).sum()) + epsilon * _relative_entropy(towards)
        decrease = here - there
        if gap <= tolerance or decrease >= SHARE_OF_DECREASE * gap:
            break
        # What the plan misses of the gap grows with the error of its marginals.
        if potentials.error <= error:
            error *= min(0.25, max(1e-3, 0.25 * gap / (gap - decrease)))
        potentials = scaled(
            gradient, epsilon, potentials.g, tolerance=error, max_sweeps=MOST_SWEEPS
        )
    return towards, potentials, gap, decrease


def _line_search(
    problem: Problem, plan: Tensor, joint: Tensor, towards: Tensor, value: float, decrease: float
) -> tuple[Tensor, Tensor, float] | None:
    """Return plan, density and objective after a step that falls, or None if none does."""
    joint_there = problem.joint_density(towards)
    share = 1.0
    for _ in range(MOST_HALVINGS):
        there = towards if share == 1.0 else torch.lerp(plan, towards, share)
        joint_here = joint_there if share == 1.0 else torch.lerp(joint, joint_there, share)
        found = problem.value(there, joint_here)
        if found < value and found <= value - SUFFICIENT_DECREASE * share * decrease:
            return there, joint_here, found
        share *= 0.5
    return None


def _check_scale(regularization: float, gradient: Tensor) -> None:
    least = SMALLEST_REGULARIZATION * float(gradient.max() - gradient.min())
    if regularization < least:
        raise ValueError(
            f"regularization must be at least {least:.2g}, 1e-9 of the range of the cost, got "
            f"{regularization:g}. Smaller ones are lost in rounding."
        )


def _relative_entropy(plan: Tensor) -> float:
    """Return KL(P || 1/(n m)) in nats."""
    return float(torch.xlogy(plan, plan).sum()) + math.log(plan.numel())
