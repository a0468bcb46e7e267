"""Debiased entropic transport between two samples with squared distances, in linear memory."""

import math
import warnings

import torch
from torch import Tensor

from infoest._validation import check_int, check_number
from infoest.functional.divergences import with_two_axes
from infoest.kernels._samples import check_samples, result_dtype
from infoest.kernels.reductions import log_kernel_sum

from .entropic import COOLING, annealed

# Up to this many pairs the matrix of squared distances is kept: 64 MB, and three more beside it.
DENSE_PAIRS = 2**23
# exp(-|u - v|^2) is the Gaussian kernel of this bandwidth: samples are in units of sqrt(epsilon).
WIDTH = math.sqrt(0.5)
# Below this share of the largest squared distance, potentials over epsilon have no digits left.
SMALLEST_EPSILON = 1e-9


def sinkhorn_divergence(
    x: Tensor,
    y: Tensor,
    *,
    epsilon: float,
    tolerance: float = 1e-6,
    max_iterations: int = 1000,
) -> Tensor:
    """Return the debiased Sinkhorn divergence of two samples with cost |u - v|^2.

    S = OT(x, y) - OT(x, x) / 2 - OT(y, y) / 2 with the entropic cost
    OT(x, y) = min_P <C, P> + epsilon KL(P || 1/(n m)) over all plans P with uniform marginals.
    S tends to the squared Wasserstein distance W2^2 for epsilon to 0, and to the squared distance
    of the means for epsilon to infinity.

    Args:
        x: Samples of the first law, shape (n, d) or (n,), floating point.
        y: Samples of the second, shape (m, d) or (m,), on the device of ``x``; m may differ.
        epsilon: Weight of the entropic term, above 0, in squared units of the samples: points
            closer than its root are blurred.
        tolerance: Error of the marginals, sum_i |sum_j P_ij - 1/n|, at which to stop.
        max_iterations: Sinkhorn sweeps at which to stop, with a Python warning.

    Returns:
        Scalar tensor in squared units, in the wider dtype of x and y, at least float32; computed in
        float64. Zero for equal samples and positive for others, up to the tolerance.
        Differentiable once in x and y, by the envelope theorem: the potentials are constants, so
        gradients are as exact as the marginals.

    Raises:
        TypeError: If x or y is not a floating-point tensor, or parameters are not numeric.
        ValueError: If shapes do not fit, values are not finite, or parameters are out of range.

    Note:
        Not a divergence of information: no logarithm of densities, and it depends on the units of
        the columns. Up to 2**23 pairs a matrix of them is kept; beyond, sums of kernels in linear
        memory. Samples of one law have a positive value that falls slowly with n in many columns.

    References:
        Feydy, Sejourne, Vialard, Amari, Trouve, Peyre (2019), AISTATS.

    Example:
        >>> import torch
        >>> x = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
        >>> round(sinkhorn_divergence(x, x + 2.0, epsilon=0.1).item(), 6)  # a shift by 2
        4.0
    """
    x, y = with_two_axes(x), with_two_axes(y)
    check_samples(x=x, y=y)
    check_number("epsilon", epsilon, low=0.0, open_low=True)
    check_number("tolerance", tolerance, low=0.0, open_low=True)
    check_int("max_iterations", max_iterations, low=1)
    value, error = debiased(
        x.double(), y.double(), epsilon=epsilon, tolerance=tolerance, max_sweeps=max_iterations
    )
    if error > tolerance:
        warnings.warn(
            f"sinkhorn_divergence stopped after {max_iterations} sweeps with marginals that are "
            f"off by {error:.2g}. Take a larger epsilon, tolerance or max_iterations.",
            stacklevel=2,
        )
    return value.to(result_dtype(x, y))


def debiased(
    x: Tensor, y: Tensor, *, epsilon: float, tolerance: float, max_sweeps: int
) -> tuple[Tensor, float]:
    """Return the divergence, differentiable, and the largest error of the marginals.

    Args:
        x: Samples, shape (n, d), float64.
        y: Samples, shape (m, d), float64.
        epsilon: Weight of the entropic term, in squared units.
        tolerance: Sum of |row sum - 1/n| at which to stop.
        max_sweeps: Sweeps at which to stop.
    """
    largest = _largest_square(x.detach(), y.detach())
    if epsilon < SMALLEST_EPSILON * largest:
        raise ValueError(
            f"epsilon must be at least {SMALLEST_EPSILON * largest:.2g}, 1e-9 of the largest "
            f"squared distance, got {epsilon:g}. Smaller ones are lost in rounding."
        )
    # Moved and in units of the blur: no offset costs digits, and no square overflows.
    center = y.detach().mean(dim=0)
    left, right = (x - center) / math.sqrt(epsilon), (y - center) / math.sqrt(epsilon)
    value, worst = left.new_zeros(()), 0.0
    for u, v, sign in ((left, right, 1.0), (left, left, -0.5), (right, right, -0.5)):
        with torch.no_grad():
            g, error = _potential(u, v, tolerance, max_sweeps)
        worst = max(worst, error)
        log_sums = log_kernel_sum(u, v, bandwidth=WIDTH, log_weights=g - math.log(len(v)))
        value = value + sign * (g.mean() - log_sums.mean())
    return epsilon * value, worst


def _potential(u: Tensor, v: Tensor, tolerance: float, max_sweeps: int) -> tuple[Tensor, float]:
    """Return the potential of the columns at epsilon = 1, and the error of the marginals."""
    if len(u) * len(v) <= DENSE_PAIRS:
        cost = squared_distances(u, v)
        found = annealed(cost, 1.0, tolerance=tolerance, max_sweeps=max_sweeps)
        return found.g, found.error
    g, error, stage = v.new_zeros(len(v)), math.inf, _largest_square(u, v)
    while stage > COOLING:
        stage /= COOLING
        g, _ = _sweep(u, v, g, stage)
    for _ in range(max_sweeps):
        g, error = _sweep(u, v, g, 1.0)
        if error <= tolerance:
            break
    return g, error


def _sweep(u: Tensor, v: Tensor, g: Tensor, epsilon: float) -> tuple[Tensor, float]:
    """Return the potential after one sweep of kernel sums, and the error before it."""
    width = math.sqrt(0.5 * epsilon)

    def soft_minimum(queries: Tensor, points: Tensor, potential: Tensor) -> Tensor:
        log_weights = potential / epsilon - math.log(len(points))
        return -epsilon * log_kernel_sum(queries, points, bandwidth=width, log_weights=log_weights)

    if u is v:
        # One potential for both sides: the mean of old and new converges in a few sweeps.
        after = soft_minimum(u, u, g)
        change, after = g - after, 0.5 * (g + after)
    else:
        after = soft_minimum(v, u, soft_minimum(u, v, g))
        change = g - after
    return after, float((change / epsilon).expm1().abs().mean())


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """Return |x_i - y_j|^2 from differences, shape (n, m)."""
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist").square()


def _largest_square(x: Tensor, y: Tensor) -> float:
    """Return the squared diagonal of the box around both samples."""
    low = torch.minimum(x.amin(dim=0), y.amin(dim=0))
    high = torch.maximum(x.amax(dim=0), y.amax(dim=0))
    return float((high - low).square().sum())
