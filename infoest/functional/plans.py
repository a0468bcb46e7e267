"""How much a transport plan between two samples says about them. Torch, differentiable."""

import math

import torch
from torch import Tensor

from infoest._validation import check_number
from infoest.kernels._samples import check_samples, result_dtype
from infoest.kernels.reductions import kernel_matvec, log_kernel_sum

from .divergences import with_two_axes

# Relative error of the marginals of a plan that is put down to its solver.
MARGINAL_TOLERANCE = 1e-3
# Kernel densities below this are taken for it: their logs stay finite where the plan is 0.
SMALLEST_DENSITY = 1e-300


def infoot_mi(x: Tensor, y: Tensor, plan: Tensor, bandwidth: float = 0.5) -> Tensor:
    """Return the mutual information of a transport plan by kernel densities, in nats.

    I(P) = sum_ij P_ij log(f_xy / (f_x f_y)) with f_xy(i, j) = sum_kl K_x(i, k) P_kl K_y(l, j) and
    f_x(i) = mean_k K_x(i, k), f_y alike; K_x = exp(-(C / h_x)^2 / 2) of the Euclidean distances C
    inside x, h_x = bandwidth sqrt(mean(C^2) / 2), and K_y alike.

    Args:
        x: Samples, shape (n, d_x), or (n,) for one feature; floating point.
        y: Samples, shape (m, d_y) or (m,), on the device of ``x``; both n and d may differ.
        plan: Plan P, shape (n, m): not negative, row sums 1/n, column sums 1/m. ``eye(n) / n`` for
            paired samples.
        bandwidth: Relative bandwidth h > 0: in units of the root of the summed variances of the
            columns.

    Returns:
        Scalar tensor in the wider dtype of x and y, at least float32. Differentiable in x, y and
        plan; d I / d P = log(f_xy / (f_x f_y)) + K_x (P / f_xy) K_y.

    Raises:
        TypeError: If x, y or plan is not a floating-point tensor, or bandwidth is no number.
        ValueError: If shapes do not fit, values are not finite, the bandwidth is not positive, or
            the plan has negative entries or marginals that are off by over 0.1 %.

    Note:
        The diagonals are included (resubstitution), which biases the value up: towards log n for
        a small bandwidth. It is 0 for the product plan, and unchanged by shifts, rotations and a
        common factor of all columns of x (or of y). A sample of equal rows has a value of 0.

    References:
        Chuang, Jegelka, Alvarez-Melis (2023), InfoOT, ICML.

    Example:
        >>> import torch
        >>> x = torch.tensor([0.0, 1.0, 5.0], dtype=torch.float64)
        >>> round(infoot_mi(x, x, torch.eye(3, dtype=torch.float64) / 3, 0.1).item(), 3)  # log 3
        1.099
    """
    x, y = with_two_axes(x), with_two_axes(y)
    check_samples(x=x)
    check_samples(y=y)
    relative = check_number("bandwidth", bandwidth, low=0.0, open_low=True)
    weights = _checked_plan(plan, x, y)
    left, right = x.double(), y.double()
    width_x, width_y = relative_bandwidth(left, relative), relative_bandwidth(right, relative)
    half = kernel_matvec(left, left, weights, bandwidth=width_x)
    joint = kernel_matvec(right, right, half.mT, bandwidth=width_y).mT
    log_ratio = joint.clamp_min(SMALLEST_DENSITY).log()
    log_ratio = (
        log_ratio - (log_kernel_sum(left, left, bandwidth=width_x) - math.log(len(x)))[:, None]
    )
    log_ratio = log_ratio - (log_kernel_sum(right, right, bandwidth=width_y) - math.log(len(y)))
    return (weights * log_ratio).sum().to(result_dtype(x, y))


def relative_bandwidth(sample: Tensor, bandwidth: float) -> Tensor:
    """Return bandwidth sqrt(mean(C^2) / 2) of the distances C inside a sample, scalar.

    The mean is over all pairs, those of a row with itself included, and equals twice the summed
    variances of the columns. Equal rows have the bandwidth itself: any is as good.

    Args:
        sample: Samples, shape (n, d), float64.
        bandwidth: Relative bandwidth.
    """
    # From the first row, not the mean: equal rows are then exactly 0.
    moved = sample - sample[0].detach()
    # Divided by the range: squares of 1e200 overflow.
    largest = moved.detach().abs().amax()
    largest = largest.where(largest > 0.0, 1.0)
    variance = (moved / largest).var(dim=0, correction=0).sum()
    return bandwidth * largest * variance.where(variance > 0.0, 1.0).sqrt()


def _checked_plan(plan: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return a plan of x and y in float64; raise an error that names it where it is none."""
    if not isinstance(plan, Tensor) or not plan.is_floating_point():
        shown = plan.dtype if isinstance(plan, Tensor) else type(plan).__name__
        raise TypeError(f"plan must be a floating-point tensor, got {shown}.")
    n, m = len(x), len(y)
    if plan.shape != (n, m):
        raise ValueError(
            f"plan must have shape ({n}, {m}), a row per row of x and a column per row of y, "
            f"got {tuple(plan.shape)}."
        )
    weights = plan.to(x.device, torch.float64)
    given = weights.detach()
    lowest = given.min().item()
    if not lowest >= 0.0 or not bool(torch.isfinite(given).all()):
        raise ValueError(f"plan must be finite and not negative, got {lowest:.3g} in it.")
    for axis, name, length in ((1, "row", n), (0, "column", m)):
        sums = given.sum(dim=axis) * length
        worst = sums[(sums - 1.0).abs().argmax()].item()
        if abs(worst - 1.0) > MARGINAL_TOLERANCE:
            raise ValueError(
                f"plan must have {name} sums of 1/{length}, got {worst:.4g}/{length}. "
                "Divide a matching by its number of pairs."
            )
    return weights
