"""Matrix-based Renyi entropies and information of kernel matrices. Torch, differentiable."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from infoest._validation import check_number
from infoest.kernels._samples import check_paired, result_dtype
from infoest.kernels.bandwidth import Bandwidth
from infoest.kernels.reductions import kernel_matvec, log_kernel_sum

from .divergences import with_two_axes
from .spectral import gaussian_matrix, scaled, spectral_entropy

# Rows from which traces of powers, which take as long, spare the gigabytes of eigenvalues.
TRACE_ROWS = 2**13
# Numbers in a block of columns of the kernel matrix: 32 MB of float64.
BLOCK_NUMBERS = 2**22


def matrix_renyi_entropy(
    x: Tensor, *, alpha: float = 1.01, bandwidth: Bandwidth = "median"
) -> Tensor:
    """Return the matrix-based Renyi entropy of a sample, in nats.

    S = log(sum_i p_i^alpha) / (1 - alpha) with p the eigenvalues of K/n, K_ij =
    exp(-|x_i - x_j|^2 / (2 bandwidth^2)). alpha = 2 is one kernel sum of bandwidth / sqrt(2), in
    linear memory; other integers from 8192 rows on are traces of powers, in linear memory, too.

    Args:
        x: Samples, shape (n, d), or (n,) for one feature; floating point.
        alpha: Order, positive; 1 gives `gram_entropy`, the limit.
        bandwidth: Standard deviation of the kernel in the units of the samples, a number or one
            per column; or a rule: ``"median"`` of the non-self distances, ``"silverman"`` or
            ``"sqrt_d"``. A rule's number is a constant for the gradient.

    Returns:
        Scalar tensor in the dtype of x, at least float32, computed in float64; from 0 (equal rows)
        to log n (rows that do not see each other), falling in alpha. Differentiable in x and in a
        bandwidth given as a tensor, finite at repeated eigenvalues, too.

    Raises:
        TypeError: If x is not a floating-point tensor, or a setting is not a number.
        ValueError: If values are not finite, alpha or the bandwidth is not positive, or alpha is
            no integer and there are more than 16384 rows.

    Note:
        Not Renyi's entropy of the law of x: it depends on the bandwidth, and for alpha below 1/2
        hangs on eigenvalues at the limit of rounding.

    References:
        Sanchez Giraldo, Rao, Principe (2015), IEEE Trans. Inf. Theory 61, 535.

    Example:
        >>> import torch
        >>> x = torch.tensor([0.0, 0.0, 99.0, 99.0], dtype=torch.float64)
        >>> matrix_renyi_entropy(x, alpha=2, bandwidth=1.0)  # log 2: two groups
        tensor(0.6931, dtype=torch.float64)
    """
    alpha = check_number("alpha", alpha, low=0.0, open_low=True)
    return entropy_of_scaled(scaled(x, bandwidth), alpha).to(result_dtype(x, x))


def matrix_renyi_mi(
    x: Tensor,
    y: Tensor,
    z: Tensor | None = None,
    *,
    alpha: float = 1.01,
    bandwidth: Bandwidth = "median",
    bandwidth_y: Bandwidth | None = None,
    bandwidth_z: Bandwidth | None = None,
) -> Tensor:
    """Return the matrix-based Renyi information of paired samples, in nats.

    I(x; y) = S(x) + S(y) - S(x, y) with S of `matrix_renyi_entropy`, the joint one of the product
    of the kernel matrices, entry by entry; given z, S(x, z) + S(y, z) - S(z) - S(x, y, z).

    Args:
        x: Samples, shape (n, d_x), or (n,) for one feature; floating point.
        y: Samples, shape (n, d_y) or (n,), on the device of ``x``; row i belongs to row i of x.
        z: Condition, shape (n, d_z) or (n,), or None.
        alpha: Order, positive.
        bandwidth: Standard deviation of the kernel of x in its units, a number or one per column,
            or a rule that reads x alone: ``"median"`` of its non-self distances, ``"silverman"``
            or ``"sqrt_d"``. A rule's number is a constant for the gradient.
        bandwidth_y: The same for y; None takes ``bandwidth``, a rule reading y.
        bandwidth_z: The same for z.

    Returns:
        Scalar tensor in the widest dtype of the samples, at least float32. Differentiable in the
        samples and in bandwidths given as tensors.

    Raises:
        TypeError: If a sample is not a floating-point tensor, or a setting is not a number.
        ValueError: If shapes do not fit, values are not finite, alpha or a bandwidth is not
            positive, or alpha is no integer and there are more than 16384 rows.

    Note:
        Not Shannon's mutual information: it depends on the bandwidths and on the number of rows,
        is far from 0 for independent samples, and tends to log n where the kernels are narrow.
        It may be negative for alpha other than 1.

    References:
        Sanchez Giraldo, Rao, Principe (2015), IEEE Trans. Inf. Theory 61, 535.
        Yu, Sanchez Giraldo, Jenssen, Principe (2020), IEEE TPAMI 42, 2960 (several variables).

    Example:
        >>> import torch
        >>> x = torch.tensor([0.0, 0.0, 99.0, 99.0], dtype=torch.float64)
        >>> matrix_renyi_mi(x, x, alpha=2, bandwidth=1.0)
        tensor(0.6931, dtype=torch.float64)
    """
    alpha = check_number("alpha", alpha, low=0.0, open_low=True)
    x, y = with_two_axes(x), with_two_axes(y)
    check_paired(x=x, y=y)
    dtype = result_dtype(x, y)
    first = scaled(x, bandwidth)
    second = scaled(y, bandwidth if bandwidth_y is None else bandwidth_y, "bandwidth_y")
    if z is None:
        parts = [first, second, torch.cat([first, second], dim=1)]
        signs = [1.0, 1.0, -1.0]
    else:
        z = with_two_axes(z)
        check_paired(x=x, z=z)
        dtype = torch.promote_types(dtype, z.dtype)
        third = scaled(z, bandwidth if bandwidth_z is None else bandwidth_z, "bandwidth_z")
        # The product of Gaussian kernels is one on joined columns.
        parts = [torch.cat([side, third], dim=1) for side in (first, second)]
        parts += [third, torch.cat([first, second, third], dim=1)]
        signs = [1.0, 1.0, -1.0, -1.0]
    entropies = [entropy_of_scaled(part, alpha) for part in parts]
    terms = [sign * entropy for sign, entropy in zip(signs, entropies, strict=True)]
    return torch.stack(terms).sum().to(dtype)


def entropy_of_scaled(sample: Tensor, alpha: float) -> Tensor:
    """Return the matrix-based Renyi entropy, scalar, of samples over their bandwidth.

    Args:
        sample: Shape (n, d), float64.
        alpha: Order, positive.
    """
    log_n = math.log(len(sample))
    if alpha == 2.0:
        # tr K^2 is a sum of squared kernels, which are kernels of a smaller bandwidth.
        log_sums = log_kernel_sum(sample, sample, bandwidth=math.sqrt(0.5))
        return 2.0 * log_n - log_sums.logsumexp(dim=0)
    if alpha == int(alpha) and alpha > 1.0 and len(sample) >= TRACE_ROWS:
        return (trace_of_power(sample, int(alpha)).log() - alpha * log_n) / (1.0 - alpha)
    return spectral_entropy(gaussian_matrix(sample), order=alpha)


def trace_of_power(sample: Tensor, power: int) -> Tensor:
    """Return tr K^power of a Gaussian kernel matrix, scalar, in linear memory.

    A block E of unit vectors at a time: tr E' K^power E = <K^a E, K^(power - a) E>. Blocks are
    computed again in the backward pass. Time O(n^3 power / 2).

    Args:
        sample: Samples over the bandwidth, shape (n, d), float64.
        power: At least 2.
    """
    n, half = len(sample), power // 2

    def block(sample: Tensor, first: int, last: int) -> Tensor:
        units = torch.eye(last - first, dtype=sample.dtype, device=sample.device)
        columns = kernel_matvec(sample, sample[first:last], units)
        for _ in range(half - 1):
            columns = kernel_matvec(sample, sample, columns)
        others = kernel_matvec(sample, sample, columns) if power % 2 else columns
        return (columns * others).sum()

    width = max(1, BLOCK_NUMBERS // n)
    traces = [
        checkpoint(
            block,
            sample,
            first,
            min(first + width, n),
            use_reentrant=False,
            preserve_rng_state=False,
        )
        for first in range(0, n, width)
    ]
    return torch.stack(traces).sum()
