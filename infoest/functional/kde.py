"""Gaussian kernel density estimates, in the log domain. Torch, differentiable."""

import math

from torch import Tensor

from infoest.kernels._samples import check_samples
from infoest.kernels.bandwidth import Bandwidth, resolve_bandwidth
from infoest.kernels.reductions import log_kernel_sum


def kde_log_density(
    points: Tensor, queries: Tensor, *, bandwidth: Bandwidth, exclude_self: bool = False
) -> Tensor:
    """Return the log of a normalized Gaussian kernel density at the queries.

    log p(q) = log mean_j prod_k N(q_k; points_jk, bandwidth_k^2).

    Args:
        points: Samples that the density is made of, shape (n, d).
        queries: Where it is evaluated, shape (m, d).
        bandwidth: Standard deviation of the kernel, one number or one per column, or a rule that
            reads ``points`` (see `infoest.kernels.resolve_bandwidth`).
        exclude_self: Leave-one-out: row i of ``points`` is left out at row i of ``queries``, and
            the mean is over the other n - 1.

    Returns:
        Log-density in nats per unit volume, shape (m,). Finite however far a query is from all
        points. Differentiable in points, queries and bandwidth.

    Raises:
        TypeError: If the samples are not floating-point tensors.
        ValueError: If shapes do not fit, values are not finite or the bandwidth is not positive.

    Example:
        >>> import torch
        >>> points = torch.tensor([[0.0]], dtype=torch.float64)
        >>> round(kde_log_density(points, points, bandwidth=1.0).exp().item(), 4)
        0.3989
    """
    check_samples(points=points, queries=queries)
    width = resolve_bandwidth(bandwidth, points)
    log_sum = log_kernel_sum(queries, points, bandwidth=width, exclude_self=exclude_self)
    n_summed = len(points) - exclude_self
    log_widths = width.log().expand(points.shape[1]).sum()
    log_norm = math.log(n_summed) + 0.5 * points.shape[1] * math.log(2.0 * math.pi) + log_widths
    return log_sum - log_norm.to(log_sum.dtype)
