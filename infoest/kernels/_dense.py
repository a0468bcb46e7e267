"""Backend that holds the whole matrix of pairs."""

import torch
from torch import Tensor

from .formulas import Formula


def logsumexp(
    x: Tensor,
    y: Tensor,
    formula: Formula,
    *,
    weights: Tensor | None = None,
    exclude_self: bool = False,
    first: int = 0,
) -> Tensor:
    """Return log sum_j w_j k(x_i, y_j), shape (n,).

    Args:
        x: Scaled query points, shape (n, d).
        y: Scaled points summed over, shape (m, d).
        formula: Log-kernel, as a function of the squared distance.
        weights: Non-negative weights of y, shape (m,); None for ones.
        exclude_self: Leave out the pairs of row i of x with row ``first + i`` of y.
        first: See ``exclude_self``; not zero where x is a block of rows.
    """
    log_kernel = formula(_squared_distances(x, y))
    if exclude_self:
        nothing = log_kernel.new_full((len(x),), -torch.inf)
        log_kernel = log_kernel.diagonal_scatter(nothing, offset=first)
    if weights is None:
        return log_kernel.logsumexp(dim=1)
    return _weighted(log_kernel, weights)


def _squared_distances(x: Tensor, y: Tensor) -> Tensor:
    # Differences, not the expansion |x|^2 + |y|^2 - 2 xy, which cancels for close points.
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist").square()


def _weighted(log_kernel: Tensor, weights: Tensor) -> Tensor:
    """Return the log of the weighted row sums; a weight of zero still has its gradient."""
    counted = log_kernel.detach().where(weights > 0.0, -torch.inf)
    # A row without any kernel (compact support) stays at log 0: -inf, not NaN.
    shift = counted.amax(dim=1, keepdim=True).clamp(min=torch.finfo(counted.dtype).min)
    # Only terms of weight zero can exceed the shift; exp(700) times zero is zero, inf is not.
    terms = (log_kernel - shift).clamp(max=700.0).exp()
    return (terms @ weights).log() + shift.squeeze(1)
