"""Divergences between two samples, from means of a kernel over pairs. Torch, differentiable."""

import math
from typing import NamedTuple

from torch import Tensor

from infoest.kernels._samples import check_samples, result_dtype
from infoest.kernels.bandwidth import Bandwidth, resolve_bandwidth
from infoest.kernels.reductions import log_kernel_sum


class KernelMeans(NamedTuple):
    """Log of the mean Gaussian kernel over all pairs of two samples, diagonals included.

    Attributes:
        xx: Within the first sample, scalar.
        xy: Between the samples, scalar.
        yy: Within the second sample, scalar.
    """

    xx: Tensor
    xy: Tensor
    yy: Tensor

    @property
    def cauchy_schwarz(self) -> Tensor:
        """Cauchy-Schwarz divergence in nats, scalar."""
        return self.xx + self.yy - 2.0 * self.xy


def log_kernel_means(x: Tensor, y: Tensor, *, bandwidth: Bandwidth) -> KernelMeans:
    """Return the three kernel means that two-sample quantities are made of, in float64.

    Args:
        x: Samples of the first law, shape (n, d) or (n,), floating point.
        y: Samples of the second, shape (m, d) or (m,).
        bandwidth: Standard deviation of the kernel, see `cauchy_schwarz`.
    """
    x, y = _with_two_axes(x), _with_two_axes(y)
    check_samples(x=x, y=y)
    # Divergences are small differences of these means: they keep all digits.
    x, y = x.double(), y.double()
    width = resolve_bandwidth(bandwidth, x, y)
    return KernelMeans(_log_mean(x, x, width), _log_mean(x, y, width), _log_mean(y, y, width))


def cauchy_schwarz(x: Tensor, y: Tensor, *, bandwidth: Bandwidth = "median") -> Tensor:
    """Return the Cauchy-Schwarz divergence of two kernel density estimates, in nats.

    D = -2 log mean k(x_i, y_j) + log mean k(x_i, x_j) + log mean k(y_i, y_j) with the Gaussian
    kernel exp(-|u - v|^2 / (2 bandwidth^2)); means over all pairs, diagonals included.

    Args:
        x: Samples of the first law, shape (n, d), or (n,) for one feature; floating point.
        y: Samples of the second, shape (m, d) or (m,), on the device of ``x``; m may differ.
        bandwidth: Standard deviation of the kernel in the units of the samples, a number or one
            per column, or a rule that reads the pooled samples: ``"median"`` of their non-self
            distances or ``"silverman"``. A rule's number is a constant for the gradient.

    Returns:
        Scalar tensor in the wider dtype of x and y, at least float32. Never negative but for
        rounding; 0 for equal samples. Differentiable in x, y and a bandwidth given as a tensor.

    Raises:
        TypeError: If x or y is not a floating-point tensor, or ``bandwidth`` is not numeric.
        ValueError: If shapes do not fit, values are not finite or the bandwidth is not positive.

    Note:
        Not the Kullback-Leibler divergence: D is -2 log of the cosine between the two densities,
        smoothed by bandwidth / sqrt(2) each. The diagonals bias it up by about
        (1/K_xx - 1)/n + (1/K_yy - 1)/m, K the mean kernels.

    References:
        Jenssen, Principe, Erdogmus, Eltoft (2006), J. Franklin Inst. 343, 614.

    Example:
        >>> import torch
        >>> x = torch.tensor([0.0], dtype=torch.float64)
        >>> cauchy_schwarz(x, x + 3.0, bandwidth=1.0)  # 3^2
        tensor(9., dtype=torch.float64)
    """
    means = log_kernel_means(x, y, bandwidth=bandwidth)
    return means.cauchy_schwarz.to(result_dtype(x, y))


def _log_mean(x: Tensor, y: Tensor, width: Tensor) -> Tensor:
    log_sum = log_kernel_sum(x, y, bandwidth=width).logsumexp(dim=0)
    return log_sum - math.log(len(x) * len(y))


def _with_two_axes(sample: Tensor) -> Tensor:
    # A kernel on 1-D tensors would broadcast and be constant: one feature is a column.
    return sample[:, None] if isinstance(sample, Tensor) and sample.ndim == 1 else sample
