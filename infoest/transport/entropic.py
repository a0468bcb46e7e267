"""Entropic optimal transport between two uniform samples, for a cost given as a matrix.

The plan is exp((f_i + g_j - C_ij) / epsilon) / (n m). The potentials f and g live in the log domain
and hold at any scale; between two looks at the cost, Sinkhorn's sweeps and Newton's steps are
products of the current plan with vectors, and their scalings are folded back into the potentials.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

# Scalings beyond exp(100) are folded into the potentials: the products stay far from overflow.
LARGEST_LOG_SCALING = 100.0
# Annealing divides epsilon by this much at every stage. A stage that stops early spoils the next
# ones: with 10 sweeps each, plans at 1e-4 of the range of the cost stay far from their marginals.
COOLING = 4.0
STAGE_ERROR = 0.01
SWEEPS_PER_STAGE = 100
# Sweeps before the first step of Newton's method, and conjugate gradients of one step.
SWEEPS_BEFORE_NEWTON = 20
MOST_GRADIENTS = 50
# Largest change of a log-scaling by one step.
LARGEST_STEP = 10.0


class Potentials(NamedTuple):
    """Dual potentials of an entropic transport problem.

    Attributes:
        f: Of the rows, shape (n,).
        g: Of the columns, shape (m,); the column sums of the plan are exact.
        error: Sum of |row sum - 1/n|, between 0 and 2.
    """

    f: Tensor
    g: Tensor
    error: float

    @property
    def value(self) -> float:
        """The dual objective, a lower bound of the entropic cost: mean f + mean g."""
        return float(self.f.mean() + self.g.mean())


def annealed(cost: Tensor, epsilon: float, *, tolerance: float, max_sweeps: int) -> Potentials:
    """Return the potentials from scratch: epsilon falls from the range of the cost.

    Args:
        cost: Cost of every pair, shape (n, m), float64.
        epsilon: Weight of the entropic term, in the unit of the cost.
        tolerance: Sum of |row sum - 1/n| at which to stop.
        max_sweeps: Sweeps at the final epsilon at which to stop.
    """
    g = cost.new_zeros(cost.shape[1])
    stage = float(cost.max() - cost.min())
    while stage > COOLING * epsilon:
        stage /= COOLING
        g = scaled(cost, stage, g, tolerance=STAGE_ERROR, max_sweeps=SWEEPS_PER_STAGE).g
    return scaled(cost, epsilon, g, tolerance=tolerance, max_sweeps=max_sweeps)


def scaled(
    cost: Tensor, epsilon: float, g: Tensor, *, tolerance: float, max_sweeps: int
) -> Potentials:
    """Return the potentials after Sinkhorn's sweeps, and Newton's steps, from given ones.

    Args:
        cost: Cost of every pair, shape (n, m), float64.
        epsilon: Weight of the entropic term.
        g: Where to start, shape (m,).
        tolerance: Sum of |row sum - 1/n| at which to stop.
        max_sweeps: Number of sweeps at which to stop, at least 1; one of conjugate gradients
            counts as one, being two products as well.

    References:
        Cuturi (2013), NeurIPS, Algorithm 1.
        Schmitzer (2019), SIAM J. Sci. Comput. 41, A1443 (absorption).
    """
    n, m = cost.shape
    done, wait = 0, SWEEPS_BEFORE_NEWTON
    newton = wait
    while True:
        f = soft_minimum(cost, g, epsilon)
        g = soft_minimum(cost.mT, f, epsilon)
        done += 1
        plan = entropic_plan(cost, f, g, epsilon)
        rows, columns = torch.ones_like(f), torch.ones_like(g)
        while True:
            # Row sums times n, before they are scaled to 1.
            sums = n * (plan @ columns)
            error = float((rows * sums - 1.0).abs().mean())
            if error <= tolerance or done >= max_sweeps:
                break
            next_rows, next_columns = 1.0 / sums, columns
            if done >= newton:
                next_rows, next_columns, steps, share = _newton_step(plan, next_rows, columns)
                done += steps
                # Too far away for Newton where its steps are cut: sweep for longer.
                wait = 0 if share == 1.0 else max(SWEEPS_BEFORE_NEWTON, 2 * wait)
                newton = done + wait
            next_columns = 1.0 / (m * (plan.mT @ next_rows))
            done += 1
            if max(_log_range(next_rows), _log_range(next_columns)) > LARGEST_LOG_SCALING:
                break
            rows, columns = next_rows, next_columns
        f, g = f + epsilon * rows.log(), g + epsilon * columns.log()
        if error <= tolerance or done >= max_sweeps:
            return Potentials(f, g, error)


def _newton_step(plan: Tensor, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor, int, float]:
    """Return scalings after a step of Newton's method on the concave dual of the columns.

    Args:
        plan: Kernel K, shape (n, m); the plan is rows K columns.
        rows: Scaling that makes the row sums exact, shape (n,).
        columns: Scaling of the columns, shape (m,).

    Returns:
        Both scalings, the row sums exact again, the number of conjugate gradients, and the share
        of the step that was taken.
    """
    n, m = plan.shape
    sums = columns * (plan.mT @ rows)
    gradient = 1.0 / m - sums
    residual = gradient.clone()
    direction, search = torch.zeros_like(gradient), residual / sums
    decline = start = float(residual @ search)
    steps = 0
    # Inexact Newton: the closer, the more digits.
    target = start * min(0.1, float(gradient.abs().sum())) ** 2
    while steps < MOST_GRADIENTS and decline > target:
        flow = rows * (plan @ (columns * search))
        curved = sums * search - n * columns * (plan.mT @ (rows * flow))
        curvature = float(search @ curved)
        steps += 1
        if not curvature > 0.0:
            break
        direction += decline / curvature * search
        residual -= decline / curvature * curved
        preconditioned = residual / sums
        before, decline = decline, float(residual @ preconditioned)
        search = preconditioned + decline / before * search
    if not math.isfinite(decline):
        return rows, columns, steps, 0.0
    share = min(1.0, LARGEST_STEP / max(float(direction.abs().max()), 1e-300))
    slope = float(gradient @ direction)
    level = float(rows.log().mean() + columns.log().mean())
    while share > 1e-3:
        there = columns * (share * direction).exp()
        next_rows = 1.0 / (n * (plan @ there))
        reached = float(next_rows.log().mean() + there.log().mean())
        if reached >= level + 1e-4 * share * slope:
            return next_rows, there, steps, share
        share *= 0.5
    return rows, columns, steps, 0.0


def soft_minimum(cost: Tensor, g: Tensor, epsilon: float) -> Tensor:
    """Return -epsilon log mean_j exp((g_j - C_ij) / epsilon), shape (n,)."""
    exponents = (g - cost).div_(epsilon)
    largest = exponents.amax(dim=1)
    sums = exponents.sub_(largest[:, None]).exp_().sum(dim=1)
    return -epsilon * (sums.log() + largest - math.log(cost.shape[1]))


def entropic_plan(cost: Tensor, f: Tensor, g: Tensor, epsilon: float) -> Tensor:
    """Return exp((f_i + g_j - C_ij) / epsilon) / (n m), shape (n, m)."""
    plan = (f[:, None] - cost).add_(g).div_(epsilon).exp_()
    return plan.div_(cost.numel())


def rounded(plan: Tensor) -> Tensor:
    """Return a plan nearby whose row sums are 1/n and whose column sums are 1/m.

    References:
        Altschuler, Weed, Rigollet (2017), NeurIPS, Algorithm 2.
    """
    n, m = plan.shape
    plan = plan * (1.0 / (n * plan.sum(dim=1, keepdim=True))).clamp(max=1.0)
    plan *= (1.0 / (m * plan.sum(dim=0))).clamp(max=1.0)
    missing_rows = (1.0 / n - plan.sum(dim=1)).clamp(min=0.0)
    missing_columns = (1.0 / m - plan.sum(dim=0)).clamp(min=0.0)
    missing = missing_columns.sum()
    if missing > 0.0:
        plan.addr_(missing_rows, missing_columns / missing)
    return plan


def _log_range(scaling: Tensor) -> float:
    """Return the largest |log| of positive scalings; infinite where one is 0 or infinite."""
    low, high = (float(end) for end in torch.aminmax(scaling))
    if not (low > 0.0 and math.isfinite(high)):
        return math.inf
    return max(abs(math.log(low)), abs(math.log(high)))
