"""Dependence of two paired samples, from three kernel sums. Torch, differentiable."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from infoest._validation import check_bool
from infoest.kernels._samples import check_paired, result_dtype
from infoest.kernels.bandwidth import Bandwidth, resolve_bandwidth
from infoest.kernels.formulas import gaussian
from infoest.kernels.reductions import log_kernel_sum

from .divergences import with_two_axes

# Dependence of a side on itself, over its mean squared kernel, below which it is rounding.
RESOLUTION = 1e-12


class PairMeans(NamedTuple):
    """Logs of means of k(x_i, x_j) and q(y_i, y_j) over rows, of which dependences are made.

    Attributes:
        joint: Of k(x_i, x_j) q(y_i, y_j), scalar.
        cross: Of k(x_i, x_j) q(y_i, y_l), scalar.
        x: Of k(x_i, x_j), scalar.
        y: Of q(y_i, y_j), scalar.
        n: Number of rows.
        exclude_self: Whether j = i and l = i are left out.
    """

    joint: Tensor
    cross: Tensor
    x: Tensor
    y: Tensor
    n: int
    exclude_self: bool

    @property
    def cauchy_schwarz_qmi(self) -> Tensor:
        """Cauchy-Schwarz quadratic mutual information in nats, scalar; diagonals included."""
        return self.joint + self.x + self.y - 2.0 * self.cross

    @property
    def hsic(self) -> Tensor:
        """Hilbert-Schmidt independence criterion, scalar: unbiased where self is left out."""
        apart = (self.x + self.y).exp()
        if not self.exclude_self:
            return self.joint.exp() + apart - 2.0 * self.cross.exp()
        # Song et al. (2012), eq. 5, in means instead of sums.
        n = self.n
        unequal = self.joint.exp() + n / (n - 2) * apart
        return (n - 1) / (n - 3) * (unequal - 2 * (n - 1) / (n - 2) * self.cross.exp())


Measure = Callable[[PairMeans], Tensor]


class KernelSide(NamedTuple):
    """One of two paired samples with its kernel.

    Attributes:
        sample: Shape (n, d), float64.
        width: Standard deviation of the Gaussian kernel of each column, shape (d,).
        log_rows: Log of the mean kernel of each row with the others, shape (n,).
        exclude_self: Whether a row is left out of its own mean.
    """

    sample: Tensor
    width: Tensor
    log_rows: Tensor
    exclude_self: bool

    @classmethod
    def of(cls, sample: Tensor, width: Tensor, *, exclude_self: bool) -> KernelSide:
        """Return a side of a float64 sample (n, d) and its bandwidth, () or (d,)."""
        log_sums = log_kernel_sum(sample, sample, bandwidth=width, exclude_self=exclude_self)
        log_rows = log_sums - math.log(len(sample) - exclude_self)
        return cls(sample, width.expand(sample.shape[1]), log_rows, exclude_self)

    def reordered(self, order: Tensor) -> KernelSide:
        """Return the side with its rows in another order, shape (n,)."""
        return self._replace(sample=self.sample[order], log_rows=self.log_rows[order])

    def matrix(self) -> Tensor:
        """Return the kernel of all pairs, shape (n, n), 0 where self is left out."""
        scaled = self.sample / self.width
        distances = torch.cdist(scaled, scaled, compute_mode="donot_use_mm_for_euclid_dist")
        kernel: Tensor = gaussian(distances.square_()).exp_()
        return kernel.fill_diagonal_(0.0) if self.exclude_self else kernel

    def log_mean_of_product(self, other: KernelSide) -> Tensor:
        """Return the log of the mean product of both kernels over pairs, scalar."""
        if other is self:
            sample, width = self.sample, self.width / math.sqrt(2.0)
        else:
            # The product of two Gaussian kernels is one on joined columns.
            sample = torch.cat([self.sample, other.sample], dim=1)
            width = torch.cat([self.width, other.width])
        return KernelSide.of(sample, width, exclude_self=self.exclude_self).log_mean

    @property
    def log_mean(self) -> Tensor:
        """Log of the mean kernel over pairs, scalar."""
        return _log_mean(self.log_rows)


def pair_means(x: KernelSide, y: KernelSide, log_joint: Tensor | None = None) -> PairMeans:
    """Return the means of two paired sides, in one kernel sum.

    Args:
        x: First side.
        y: Second side; ``x`` itself for its dependence on itself.
        log_joint: Log of the mean product of the kernels, where known.
    """
    joint = x.log_mean_of_product(y) if log_joint is None else log_joint
    cross = _log_mean(x.log_rows + y.log_rows)
    return PairMeans(joint, cross, x.log_mean, y.log_mean, len(x.sample), x.exclude_self)


def own_scale(side: KernelSide, measure: Measure) -> Tensor:
    """Return the root of a side's dependence on itself; 0 where its kernel does not vary."""
    means = pair_means(side, side)
    own = measure(means)
    varies = own > RESOLUTION * means.joint.exp()
    # Both branches are differentiated: the one not taken must be finite, too.
    return own.where(varies, 1.0).sqrt().where(varies, 0.0)


def alignment(value: Tensor, scale_x: Tensor, scale_y: Tensor) -> Tensor:
    """Return a dependence over the scales of both sides; 0 where one of them is 0."""
    vary = (scale_x > 0.0) & (scale_y > 0.0)
    ratio = value / scale_x.where(vary, 1.0) / scale_y.where(vary, 1.0)
    return ratio.where(vary, 0.0)


def cauchy_schwarz_qmi(
    x: Tensor,
    y: Tensor,
    *,
    bandwidth_x: Bandwidth = "median",
    bandwidth_y: Bandwidth = "median",
    normalized: bool = False,
) -> Tensor:
    """Return the Cauchy-Schwarz quadratic mutual information of paired samples, in nats.

    I = log tr(KQ)/n^2 + log 1'K1 1'Q1/n^4 - 2 log 1'KQ1/n^3 with the Gaussian kernels K of x and
    Q of y, diagonals included: the Cauchy-Schwarz divergence between the kernel density of the
    pairs and the product of those of the sides. Linear memory: three kernel sums.

    Args:
        x: Samples, shape (n, d_x), or (n,) for one feature; floating point.
        y: Samples, shape (n, d_y) or (n,), on the device of ``x``; row i belongs to row i of x.
        bandwidth_x: Standard deviation of the kernel of x, a number or one per column, or a rule
            that reads x: ``"median"`` of its non-self distances or ``"silverman"``. A rule's
            number is a constant for the gradient.
        bandwidth_y: The same for y.
        normalized: Return I(x, y) / sqrt(I(x, x) I(y, y)), without a unit; 0 where the kernel of
            a side is constant. Two more kernel sums.

    Returns:
        Scalar tensor in the wider dtype of x and y, at least float32. Never negative but for
        rounding. Differentiable in x, y and bandwidths given as tensors.

    Raises:
        TypeError: If x or y is not a floating-point tensor, a bandwidth is not numeric, or an
            option is no bool.
        ValueError: If shapes do not fit, there are less than 2 rows, values are not finite or a
            bandwidth is not positive.

    Note:
        Not Shannon's mutual information, whatever the bandwidth; 0 for independent laws. The
        diagonals bias it up, to log n at bandwidths that let a sample see only itself. The
        normalized value is 1 for equal sides but has no upper limit in general.

    References:
        Yu, Yu, Lokse, Jenssen, Principe (2024), ICLR, Proposition 2.
        Principe (2010), Information Theoretic Learning, Springer, chapter 2.

    Example:
        >>> import torch
        >>> x = torch.tensor([0.0, 0.0, 50.0, 50.0], dtype=torch.float64)
        >>> cauchy_schwarz_qmi(x, x, bandwidth_x=1.0, bandwidth_y=1.0)  # log 2
        tensor(0.6931, dtype=torch.float64)
    """
    check_bool("normalized", normalized)
    sides = _sides(x, y, bandwidth_x, bandwidth_y, exclude_self=False)
    return _measured(sides, lambda means: means.cauchy_schwarz_qmi, normalized).to(
        result_dtype(x, y)
    )


def hsic(
    x: Tensor,
    y: Tensor,
    *,
    bandwidth_x: Bandwidth = "median",
    bandwidth_y: Bandwidth = "median",
    unbiased: bool = False,
    normalized: bool = False,
) -> Tensor:
    """Return the Hilbert-Schmidt independence criterion of paired samples, without a unit.

    (tr(KQ) + 1'K1 1'Q1/n^2 - (2/n) 1'KQ1) / n^2 with the Gaussian kernels K of x and Q of y; or,
    with the diagonals of K and Q set to 0, the unbiased (tr(KQ) + 1'K1 1'Q1/((n - 1)(n - 2)) -
    2/(n - 2) 1'KQ1) / (n (n - 3)). Linear memory: three kernel sums.

    Args:
        x: Samples, shape (n, d_x), or (n,) for one feature; floating point.
        y: Samples, shape (n, d_y) or (n,), on the device of ``x``; row i belongs to row i of x.
        bandwidth_x: Standard deviation of the kernel of x, a number or one per column, or a rule
            that reads x: ``"median"`` of its non-self distances or ``"silverman"``. A rule's
            number is a constant for the gradient.
        bandwidth_y: The same for y.
        unbiased: Leave the pairs of a row with itself out; needs 4 rows.
        normalized: Return hsic(x, y) / sqrt(hsic(x, x) hsic(y, y)), the centered kernel
            alignment (CKA); 0 where the kernel of a side is constant. Two more kernel sums.

    Returns:
        Scalar tensor in the wider dtype of x and y, at least float32. Never negative but for
        rounding, if biased; unbiased it scatters around 0 at independence. Differentiable in x, y
        and bandwidths given as tensors.

    Raises:
        TypeError: If x or y is not a floating-point tensor, a bandwidth is not numeric, or an
            option is no bool.
        ValueError: If shapes do not fit, there are less than 2 (unbiased: 4) rows, values are not
            finite or a bandwidth is not positive.

    Note:
        Not an information: the squared norm of a covariance of features, at most 1/4 if biased, 0
        for independent laws. At independence the biased value is near (1 - K)(1 - Q)/n, K and Q the
        mean kernels, which makes a biased alignment of few samples large.

    References:
        Gretton, Bousquet, Smola, Scholkopf (2005), ALT, definition 2.
        Song, Smola, Gretton, Bedo, Borgwardt (2012), JMLR 13, 1393, eqs. 4 and 5.
        Cortes, Mohri, Rostamizadeh (2012), JMLR 13, 795 (alignment).

    Example:
        >>> import torch
        >>> x = torch.tensor([0.0, 0.0, 50.0, 50.0], dtype=torch.float64)
        >>> hsic(x, x, bandwidth_x=1.0, bandwidth_y=1.0)
        tensor(0.2500, dtype=torch.float64)
    """
    check_bool("unbiased", unbiased)
    check_bool("normalized", normalized)
    sides = _sides(x, y, bandwidth_x, bandwidth_y, exclude_self=unbiased)
    return _measured(sides, lambda means: means.hsic, normalized).to(result_dtype(x, y))


def _sides(
    x: Tensor, y: Tensor, bandwidth_x: Bandwidth, bandwidth_y: Bandwidth, *, exclude_self: bool
) -> tuple[KernelSide, KernelSide]:
    x, y = with_two_axes(x), with_two_axes(y)
    check_paired(x=x, y=y)
    fewest = 4 if exclude_self else 2
    if len(x) < fewest:
        with_option = " with unbiased=True" if exclude_self else ""
        raise ValueError(f"x and y must have at least {fewest} rows{with_option}, got {len(x)}.")
    # Dependences are small differences of means: they keep all digits.
    x, y = x.double(), y.double()
    width_x = resolve_bandwidth(bandwidth_x, x, name="bandwidth_x")
    width_y = resolve_bandwidth(bandwidth_y, y, name="bandwidth_y")
    return (
        KernelSide.of(x, width_x, exclude_self=exclude_self),
        KernelSide.of(y, width_y, exclude_self=exclude_self),
    )


def _measured(sides: tuple[KernelSide, KernelSide], measure: Measure, ratio: bool) -> Tensor:
    value = measure(pair_means(*sides))
    if not ratio:
        return value
    return alignment(value, *(own_scale(side, measure) for side in sides))


def _log_mean(log_values: Tensor) -> Tensor:
    return log_values.logsumexp(dim=0) - math.log(len(log_values))
