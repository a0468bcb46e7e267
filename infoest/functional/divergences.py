"""Divergences between two samples, from means of a kernel over pairs. Torch, differentiable."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from infoest._validation import check_bool
from infoest.kernels._samples import check_paired, check_samples, result_dtype
from infoest.kernels.bandwidth import Bandwidth, resolve_bandwidth
from infoest.kernels.reductions import log_kernel_sum


class KernelMeans(NamedTuple):
    """Log of the mean Gaussian kernel over pairs of two samples.

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

    @property
    def mmd(self) -> Tensor:
        """Squared maximum mean discrepancy, scalar."""
        return self.xx.exp() + self.yy.exp() - 2.0 * self.xy.exp()


def log_kernel_means(
    x: Tensor, y: Tensor, *, bandwidth: Bandwidth, exclude_self: bool = False
) -> KernelMeans:
    """Return the three kernel means that two-sample quantities are made of, in float64.

    Args:
        x: Samples of the first law, shape (n, d) or (n,), floating point.
        y: Samples of the second, shape (m, d) or (m,).
        bandwidth: Standard deviation of the kernel, see `cauchy_schwarz`.
        exclude_self: Leave the pairs of a sample with itself out of the means within samples.
    """
    x, y = with_two_axes(x), with_two_axes(y)
    check_samples(x=x, y=y)
    if exclude_self and min(len(x), len(y)) < 2:
        raise ValueError(
            f"x and y must have at least 2 rows with unbiased=True, got {len(x)} and {len(y)}."
        )
    # Divergences are small differences of these means: they keep all digits.
    x, y = x.double(), y.double()
    width = resolve_bandwidth(bandwidth, x, y)
    return KernelMeans(
        _log_mean(x, x, width, exclude_self),
        _log_mean(x, y, width),
        _log_mean(y, y, width, exclude_self),
    )


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


def mmd(x: Tensor, y: Tensor, *, bandwidth: Bandwidth = "median", unbiased: bool = False) -> Tensor:
    """Return the squared maximum mean discrepancy of two samples, without a unit.

    MMD^2 = mean k(x_i, x_j) + mean k(y_i, y_j) - 2 mean k(x_i, y_j) with the Gaussian kernel
    exp(-|u - v|^2 / (2 bandwidth^2)): the squared distance of the kernel means, from the same
    three means as `cauchy_schwarz`.

    Args:
        x: Samples of the first law, shape (n, d), or (n,) for one feature; floating point.
        y: Samples of the second, shape (m, d) or (m,), on the device of ``x``; m may differ.
        bandwidth: Standard deviation of the kernel in the units of the samples, a number or one
            per column, or a rule that reads the pooled samples: ``"median"`` of their non-self
            distances or ``"silverman"``. A rule's number is a constant for the gradient.
        unbiased: Leave the pairs of a sample with itself out; needs two samples of each law.

    Returns:
        Scalar tensor in the wider dtype of x and y, at least float32; at most 2. Never negative
        but for rounding, and 0 for equal samples, if biased; unbiased it scatters around 0 for
        equal laws. Differentiable in x, y and a bandwidth given as a tensor.

    Raises:
        TypeError: If x or y is not a floating-point tensor, ``bandwidth`` is not numeric, or
            ``unbiased`` is no bool.
        ValueError: If shapes do not fit, values are not finite or the bandwidth is not positive.

    Note:
        Not an information: a squared distance that depends on the bandwidth. The diagonals bias
        it up by (1 - K_xx)/n + (1 - K_yy)/m, K the mean kernels within the laws.

    References:
        Gretton, Borgwardt, Rasch, Scholkopf, Smola (2012), JMLR 13, 723, eqs. 3 and 5.

    Example:
        >>> import torch
        >>> x = torch.tensor([0.0], dtype=torch.float64)
        >>> round(mmd(x, x + 3.0, bandwidth=1.0).item(), 4)  # 2 - 2 exp(-9/2)
        1.9778
    """
    check_bool("unbiased", unbiased)
    means = log_kernel_means(x, y, bandwidth=bandwidth, exclude_self=unbiased)
    return means.mmd.to(result_dtype(x, y))


def conditional_cauchy_schwarz(
    x: Tensor,
    y: Tensor,
    y_pred: Tensor,
    *,
    bandwidth_x: Bandwidth = "median",
    bandwidth_y: Bandwidth = "median",
) -> Tensor:
    """Return the Cauchy-Schwarz divergence of p(y | x) from p(y_pred | x), in nats.

    D = log sum_j [sum_i K_ji L_ji / (sum_i K_ji)^2] for L_ji = k(y_j, y_i), plus the same for
    k(y_pred_j, y_pred_i), less twice the same for k(y_pred_j, y_i); K and k Gaussian. The rows j
    of the last are predictions: it is not symmetric in y and y_pred.

    Args:
        x: Condition, shape (n, d) or (n,), floating point.
        y: Targets, shape (n, d_y) or (n,), on the device of ``x``.
        y_pred: Predictions of y, same shape as ``y``.
        bandwidth_x: Standard deviation of K in the units of x, a number or one per column, or
            ``"median"`` or ``"silverman"`` of x.
        bandwidth_y: The same for k; a rule reads y only, so that the kernel stays as it is while
            predictions move.

    Returns:
        Scalar tensor in the widest dtype of the samples, at least float32; 0 for equal y and
        y_pred. Differentiable in the samples and in bandwidths given as tensors.

    Raises:
        TypeError: If a sample is not a floating-point tensor, or a bandwidth is not numeric.
        ValueError: If shapes do not fit, values are not finite or a bandwidth is not positive.

    Note:
        Not the Kullback-Leibler divergence, and blind to the conditional mean where K is nearly
        diagonal: a wide ``bandwidth_x`` is needed. The authors' released code divides by
        sum_i K_ji^2 instead of (sum_i K_ji)^2 and takes log to base 2; its training script passes
        y of shape (n,), for which its kernels are constant and the loss is the squared error.
        Here 1-D targets are one column.

    References:
        Yu, Yu, Lokse, Jenssen, Principe (2024), ICLR, Proposition 1.

    Example:
        >>> import torch
        >>> x = torch.linspace(0.0, 1.0, 20, dtype=torch.float64)
        >>> conditional_cauchy_schwarz(x, x**2, x).item() > 0.01
        True
    """
    x, y, y_pred = with_two_axes(x), with_two_axes(y), with_two_axes(y_pred)
    check_paired(x=x, y=y)
    check_samples(y=y, y_pred=y_pred)
    check_paired(y=y, y_pred=y_pred)
    dtype = torch.promote_types(result_dtype(x, y), y_pred.dtype)
    x, y, y_pred = x.double(), y.double(), y_pred.double()
    width_x = resolve_bandwidth(bandwidth_x, x, name="bandwidth_x").expand(x.shape[1])
    width_y = resolve_bandwidth(bandwidth_y, y, name="bandwidth_y").expand(y.shape[1])
    both = torch.cat([width_x, width_y])
    true, predicted = torch.cat([x, y], dim=1), torch.cat([x, y_pred], dim=1)
    log_squares = 2.0 * log_kernel_sum(x, x, bandwidth=width_x)

    def term(rows: Tensor, points: Tensor) -> Tensor:
        # The product of two Gaussian kernels is one on joined columns.
        return (log_kernel_sum(rows, points, bandwidth=both) - log_squares).logsumexp(dim=0)

    divergence = term(true, true) + term(predicted, predicted) - 2.0 * term(predicted, true)
    return divergence.to(dtype)


def with_two_axes(sample: Tensor) -> Tensor:
    """Return a tensor of shape (n,) as one column (n, 1), anything else as it is."""
    # A kernel on 1-D tensors would broadcast and be constant.
    return sample[:, None] if isinstance(sample, Tensor) and sample.ndim == 1 else sample


def _log_mean(x: Tensor, y: Tensor, width: Tensor, exclude_self: bool = False) -> Tensor:
    log_sums = log_kernel_sum(x, y, bandwidth=width, exclude_self=exclude_self)
    return log_sums.logsumexp(dim=0) - math.log(len(x) * (len(y) - exclude_self))
