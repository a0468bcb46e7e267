"""Backend that holds the whole matrix of pairs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .formulas import Formula


def logsumexp(
    x: Tensor,
    y: Tensor,
    formula: Formula,
    *,
    weights: Tensor | None = None,
    log_weights: Tensor | None = None,
    exclude_self: bool = False,
    first: int = 0,
) -> Tensor:
    """Return log sum_j w_j k(x_i, y_j), shape (n,).

    Args:
        x: Scaled query points, shape (n, d).
        y: Scaled points summed over, shape (m, d).
        formula: Log-kernel, as a function of the squared distance.
        weights: Non-negative weights of y, shape (m,); None for ones.
        log_weights: Their logs instead, shape (m,).
        exclude_self: Leave out the pairs of row i of x with row ``first + i`` of y.
        first: See ``exclude_self``; not zero where x is a block of rows.
    """
    log_kernel = _log_kernel(x, y, formula, exclude_self, first)
    if log_weights is not None:
        log_kernel = log_kernel + log_weights
    # A row without any kernel (compact support) is log 0: -inf, not NaN, with gradient 0.
    empty = (log_kernel.detach() == -torch.inf).all(dim=1)
    log_kernel = log_kernel.masked_fill(empty[:, None], 0.0)
    sums = log_kernel.logsumexp(dim=1) if weights is None else _weighted(log_kernel, weights)
    return sums.masked_fill(empty, -torch.inf)


def matvec(
    x: Tensor,
    y: Tensor,
    v: Tensor,
    formula: Formula,
    *,
    exclude_self: bool = False,
    first: int = 0,
) -> Tensor:
    """Return sum_j k(x_i, y_j) v_j, shape (n, p), of v with shape (m, p)."""
    return _log_kernel(x, y, formula, exclude_self, first).exp() @ v


def nearest(
    x: Tensor, y: Tensor, k: int, *, metric: str, exclude_self: bool = False, first: int = 0
) -> Tensor:
    """Return the indices of the k nearest rows of y, nearest first, shape (n, k)."""
    distances = distances_between(x, y, metric)
    if exclude_self:
        distances.diagonal(offset=first).fill_(torch.inf)
    return distances.topk(k, dim=1, largest=False).indices


def distances_between(x: Tensor, y: Tensor, metric: str) -> Tensor:
    """Return all distances, shape (n, m), from differences of coordinates."""
    if metric == "max":
        return torch.cdist(x, y, p=torch.inf)
    # Not the expansion |x|^2 + |y|^2 - 2 xy, which cancels for close points.
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")


class _SquaredDistances(torch.autograd.Function):
    """Squared distances with derivatives of any order, which `torch.cdist` lacks."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor) -> Tensor:
        ctx.save_for_backward(x, y)
        return distances_between(x, y, "euclidean").square_()

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        (grad,) = grads
        x, y = ctx.saved_tensors
        grad_x = grad_y = None
        if ctx.needs_input_grad[0]:
            grad_x = 2.0 * (grad.sum(dim=1, keepdim=True) * x - grad @ y)
        if ctx.needs_input_grad[1]:
            grad_y = 2.0 * (grad.sum(dim=0).unsqueeze(1) * y - grad.mT @ x)
        return grad_x, grad_y


def _log_kernel(x: Tensor, y: Tensor, formula: Formula, exclude_self: bool, first: int) -> Tensor:
    log_kernel: Tensor = formula(_SquaredDistances.apply(x, y))
    if exclude_self:
        nothing = log_kernel.new_full((len(x),), -torch.inf)
        log_kernel = log_kernel.diagonal_scatter(nothing, offset=first)
    return log_kernel


def _weighted(log_kernel: Tensor, weights: Tensor) -> Tensor:
    """Return the log of the weighted row sums; a weight of zero still has its gradient."""
    counted = log_kernel.detach().where(weights > 0.0, -torch.inf)
    # A row whose weighted kernels are all zero stays at log 0: -inf, not NaN.
    shift = counted.amax(dim=1, keepdim=True).clamp(min=torch.finfo(counted.dtype).min)
    # Only terms of weight zero can exceed the shift; exp(700) times zero is zero, inf is not.
    terms = (log_kernel - shift).clamp(max=700.0).exp()
    return (terms @ weights).log() + shift.squeeze(1)
