"""Gaussian kernel density estimates, in the log domain. Torch, differentiable."""

import math

import torch
from torch import Tensor

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
    width = resolve_bandwidth(bandwidth, points)
    log_sum = log_kernel_sum(queries, points, bandwidth=width, exclude_self=exclude_self)
    n_summed = len(points) - exclude_self
    log_widths = width.log().expand(points.shape[1]).sum()
    log_norm = math.log(n_summed) + 0.5 * points.shape[1] * math.log(2.0 * math.pi) + log_widths
    return log_sum - log_norm.to(log_sum.dtype)


def smoothing_bias(covariance: Tensor, bandwidth: Tensor) -> Tensor:
    """Return by how much smoothing raises a kernel estimate of a normal law's entropy, in nats.

    A kernel estimate is the cross-entropy of the law and the smoothed law; for N(0, S) the excess
    is KL(N(0, S) || N(0, S + H)) with H the diagonal of squared bandwidths.

    Args:
        covariance: S, shape (d, d), positive semidefinite.
        bandwidth: Standard deviation of the kernel, shape () or (d,).

    Returns:
        Scalar, never negative; infinite for a singular S.

    Example:
        >>> import torch
        >>> round(smoothing_bias(torch.eye(1), torch.tensor(1.0)).item(), 4)  # (log 2 - 1/2) / 2
        0.0966
    """
    smoothed = covariance + torch.diag(bandwidth.square().expand(len(covariance)))
    # S relative to the smoothed S, whose eigenvalues are in [0, 1].
    root = torch.linalg.cholesky(smoothed)
    half = torch.linalg.solve_triangular(root, covariance, upper=False)
    relative = torch.linalg.solve_triangular(root, half.T, upper=False)
    ratios = torch.linalg.eigvalsh(relative).clamp(0.0, 1.0)
    return 0.5 * (ratios - 1.0 - ratios.log()).sum()
