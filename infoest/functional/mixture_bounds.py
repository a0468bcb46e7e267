"""Bounds on the entropy and information of mixtures of Gaussians. Torch, differentiable."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from infoest.kernels._samples import check_samples, result_dtype
from infoest.kernels.bandwidth import Bandwidth, resolve_bandwidth
from infoest.kernels.reductions import LARGEST, log_kernel_sum

from .divergences import with_two_axes

# Coordinates of pairs held at once: 2 MB of float64 each time they are used.
BLOCK_ENTRIES = 2**18


def kde_entropy_bounds(t: Tensor, *, variance: Bandwidth) -> tuple[Tensor, Tensor]:
    """Return a lower and an upper bound on the entropy of T = t_i + N(0, variance), in nats.

    i is uniform over the rows. H = d/2 log(2 pi e variance) - mean_i log mean_j exp(-D_ij) with
    D the Bhattacharyya distance |t_i - t_j|^2 / (8 variance) in the lower bound and the
    Kullback-Leibler divergence |t_i - t_j|^2 / (2 variance) in the upper one. Less the first term
    they bound I(T; i), the information of a noisy layer about its input, up to log n.

    Args:
        t: Centers (activations), shape (n, d), or (n,) for one feature; floating point.
        variance: Variance of the noise, a positive number or one per column, shape (d,).

    Returns:
        Lower and upper bound, scalar tensors in the dtype of t, at least float32; equal where the
        centers coincide or are far apart. Differentiable, also twice, in t and the variance.

    Raises:
        TypeError: If t is not a floating-point tensor or ``variance`` is not numeric.
        ValueError: If the shape is wrong, values are not finite, or the variance is not positive or
            vanishingly small beside the squared range of t.

    Note:
        Exact bounds for this finite mixture, not for the law that the centers come from.

    References:
        Kolchinsky, Tracey (2017), Entropy 19, 361, sections 3 and 4.

    Example:
        >>> import torch
        >>> t = torch.tensor([0.0, 1e3], dtype=torch.float64)  # log 2 above one normal law
        >>> [round(bound.item(), 4) for bound in kde_entropy_bounds(t, variance=1.0)]
        [2.1121, 2.1121]
    """
    t = with_two_axes(t)
    check_samples(t=t)
    if isinstance(variance, str):
        raise TypeError(f"variance must be a number or one per column, got {variance!r}.")
    dtype, t = result_dtype(t, t), t.double()
    variance = resolve_bandwidth(variance, t, name="variance").expand(t.shape[1])
    width = variance.sqrt()
    ranges = (t.amax(dim=0) - t.amin(dim=0)).detach()
    if not bool((width > ranges / LARGEST).all()):
        raise ValueError(
            f"variance must be at least {LARGEST**-2:g} times the squared range of t, "
            f"got {variance.detach().min().item():g}."
        )
    of_noise = 0.5 * (math.log(2.0 * math.pi) + 1.0 + variance.log()).sum()

    def bound(width: Tensor) -> Tensor:
        log_sums = log_kernel_sum(t, t, bandwidth=width)
        return (of_noise + math.log(len(t)) - log_sums.mean()).to(dtype)

    return bound(2.0 * width), bound(width)


def mixture_information_bounds(mean: Tensor, std: Tensor) -> tuple[Tensor, Tensor]:
    """Return a lower and an upper bound on I(X; T) of a Gaussian encoder, in nats.

    X is uniform over the rows and T | X = i is N(mean_i, diag(std_i^2)). The bounds are
    -mean_i log mean_j exp(-D_ij) with D the Bhattacharyya distance of the components i and j in
    the lower one, and KL(i || j) in the upper one; both are between 0 and log n.

    Args:
        mean: Means, shape (n, d), or (n,) for one feature; floating point.
        std: Standard deviations, positive, same shape.

    Returns:
        Lower and upper bound, scalar tensors in the wider dtype of mean and std, at least
        float32. Differentiable, also twice, in both.

    Raises:
        TypeError: If mean or std is not a floating-point tensor.
        ValueError: If shapes differ, values are not finite, or a std is not positive or
            vanishingly small beside the range of the means.

    Note:
        Exact bounds for the n given inputs. Time is n^2 d; memory is linear, in the backward
        pass, too, which computes the pairs again (but not for second derivatives, which keep
        them). With one std for all rows `kde_entropy_bounds` is faster.

    References:
        Kolchinsky, Tracey (2017), Entropy 19, 361, sections 3 and 4.

    Example:
        >>> import torch
        >>> mean = torch.tensor([0.0, 3.0], dtype=torch.float64)
        >>> lower, upper = mixture_information_bounds(mean, torch.ones_like(mean))
        >>> round(lower.item(), 3), round(upper.item(), 3)  # truth: 0.527
        (0.412, 0.682)
    """
    mean, std = with_two_axes(mean), with_two_axes(std)
    for name, part in (("mean", mean), ("std", std)):
        check_samples(**{name: part})
    if mean.shape != std.shape:
        raise ValueError(
            f"std must have the shape of mean, {tuple(mean.shape)}, got {tuple(std.shape)}."
        )
    check_samples(mean=mean, std=std)
    dtype = result_dtype(mean, std)
    # The bounds do not depend on the center, hence no gradient through it.
    mean, std = mean.double() - mean.detach().double().mean(dim=0), std.double()
    largest = torch.maximum(mean.detach().abs().amax(), std.detach().amax())
    if not bool((std > largest / LARGEST).all()):
        raise ValueError(
            f"std must be positive, at least {1 / LARGEST:g} times the range of mean and std, "
            f"got {std.detach().min().item():g}."
        )
    lower, upper = math.log(len(mean)) - _LogSums.apply(mean, std).mean(dim=1)
    return lower.to(dtype), upper.to(dtype)


class _LogSums(torch.autograd.Function):
    """`_log_sums` of all components, shape (2, n), by blocks that the backward pass makes again."""

    @staticmethod
    def forward(ctx: Any, mean: Tensor, std: Tensor) -> Tensor:
        ctx.save_for_backward(mean, std)
        sums = mean.new_empty(2, len(mean))
        for rows in _blocks(mean):
            sums[:, rows] = _log_sums(mean, std, rows)
        return sums

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        (grad,) = grads
        mean, std = parts = ctx.saved_tensors
        if torch.is_grad_enabled():  # someone wants second derivatives
            sums = torch.cat([_log_sums(mean, std, rows) for rows in _blocks(mean)], dim=1)
            wanted = [i for i in range(2) if ctx.needs_input_grad[i]]
            found = torch.autograd.grad(sums, [parts[i] for i in wanted], grad, create_graph=True)
            return tuple(found[wanted.index(i)] if i in wanted else None for i in range(2))
        totals = [torch.zeros_like(part) for part in parts]
        for rows in _blocks(mean):
            with torch.enable_grad():
                leaves = [part.detach().requires_grad_() for part in parts]
                sums = _log_sums(leaves[0], leaves[1], rows)
            gradients = torch.autograd.grad(sums, leaves, grad[:, rows])
            for total, gradient in zip(totals, gradients, strict=True):
                total += gradient
        return tuple(totals)


def _blocks(mean: Tensor) -> Iterator[slice]:
    rows = max(1, BLOCK_ENTRIES // mean.numel())
    for first in range(0, len(mean), rows):
        yield slice(first, first + rows)


def _log_sums(means: Tensor, stds: Tensor, rows: slice) -> Tensor:
    """Return log sum_j exp(-D_ij) of some components i for both distances, shape (2, rows)."""
    mean, std = means[rows, None], stds[rows, None]
    gap = mean - means
    # Ratios, not squares, of standard deviations: they keep their digits where these are close.
    log_ratio = torch.log1p((std - stds).square() / (2.0 * std * stds))
    bhattacharyya = (gap / torch.hypot(std, stds)).square() + 2.0 * log_ratio
    leibler = (gap / stds).square() + (std / stds).square() - 1.0
    log_volumes = stds.log().sum(dim=1) - std.log().sum(dim=2)
    divergences = 0.25 * bhattacharyya.sum(dim=2), log_volumes + 0.5 * leibler.sum(dim=2)
    return torch.stack([(-divergence).logsumexp(dim=1) for divergence in divergences])
