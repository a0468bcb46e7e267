"""Entropies of spectra: diffusion operators, covariances and kernel matrices. Torch."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from infoest._validation import check_number, check_option
from infoest.kernels._samples import check_samples, result_dtype
from infoest.kernels._tiles import can_expand
from infoest.kernels.bandwidth import RULES, Bandwidth, resolve_bandwidth

from .divergences import with_two_axes

# Rows of the largest matrix whose eigenvalues are computed: 2 GB of float64.
MOST_ROWS = 2**14
# The standard deviation sqrt(d) of normal data with d columns, beside the rules of the kernels.
SQRT_D = "sqrt_d"
# Orders this close to 1 are computed as 1 + (order - 1): log sum p^order cancels there.
NEAR_ONE = 0.1
# Rows up to which NumPy's eigenvalues (OpenBLAS) are faster than torch's (MKL), measured on AMD.
NUMPY_ROWS = 2048


class SpectralEntropy(NamedTuple):
    """An entropy of eigenvalues and its derivatives.

    Attributes:
        value: Nats, scalar.
        slopes: Derivative by each eigenvalue, shape (n,).
    """

    value: Tensor
    slopes: Tensor


def diffusion_spectral_entropy(
    x: Tensor, *, bandwidth: Bandwidth = 10.0, t: float = 1.0, anisotropy: float = 0.0
) -> Tensor:
    """Return the diffusion spectral entropy of a sample, in nats.

    S = -sum_i p_i log p_i with p_i = |lambda_i|^t / sum_j |lambda_j|^t and lambda the eigenvalues
    of the random walk D_K^-1 K, where K_ij = G_ij / (d_i d_j)^anisotropy, d_i = sum_j G_ij, G is
    the Gaussian kernel exp(-|x_i - x_j|^2 / (2 bandwidth^2)) and D_K holds the row sums of K.

    Args:
        x: Samples, shape (n, d), or (n,) for one feature; floating point.
        bandwidth: Standard deviation of the kernel in the units of the samples, a number or one
            per column; or a rule: ``"sqrt_d"`` (root of the number of columns), ``"median"`` of
            the non-self distances or ``"silverman"``. A rule's number is a constant for the
            gradient.
        t: Time of diffusion, a positive number; large t leaves only slow modes.
        anisotropy: From 0, the plain random walk that the published code computes, to 1, which
            takes the density of the samples out; 0.5 is the operator of the paper.

    Returns:
        Scalar tensor in the dtype of x, at least float32, computed in float64; from 0 (equal rows)
        to log n (rows that do not see each other). Differentiable in x and in a bandwidth given
        as a tensor, once; finite at repeated eigenvalues, too.

    Raises:
        TypeError: If x is not a floating-point tensor, or a setting is not a number.
        ValueError: If values are not finite, the bandwidth or t is not positive, the anisotropy
            is outside [0, 1], or there are more than 16384 rows.

    Note:
        Not Shannon's entropy of x: it counts the modes of diffusion at one bandwidth and time, and
        the bandwidth decides the value. Eigenvalues below n times the machine precision are
        rounding and count as 0. Matrices with n x n entries, time O(n^3).

    References:
        Liao, Liu, Christensen, Tong, Huguet, Wolf, Nickel, Adelstein, Krishnaswamy (2024), CISS,
        eq. 6.

    Example:
        >>> import torch
        >>> x = torch.tensor([0.0, 0.0, 99.0, 99.0], dtype=torch.float64)
        >>> diffusion_spectral_entropy(x, bandwidth=1.0)  # log 2: two groups
        tensor(0.6931, dtype=torch.float64)
    """
    t = check_number("t", t, low=0.0, open_low=True)
    anisotropy = check_number("anisotropy", anisotropy, low=0.0, high=1.0)
    kernel = gaussian_matrix(scaled(x, bandwidth))
    operator = diffusion_operator(kernel, diffusion_scales(kernel, anisotropy))
    return spectral_entropy(operator, power=t).to(result_dtype(x, x))


def von_neumann_entropy(z: Tensor) -> Tensor:
    """Return the von Neumann entropy of the covariance of codes, in nats.

    S = -sum_i p_i log p_i with p the eigenvalues of the centered covariance over their sum, from
    the smaller of the sides n x n and d x d; exp S is the effective number of dimensions.

    Args:
        z: Codes, shape (n, d), or (n,) for one feature; floating point.

    Returns:
        Scalar tensor in the dtype of z, at least float32, computed in float64; from 0 (one
        direction, or equal rows) to log min(n - 1, d). Differentiable once, finite at repeated
        eigenvalues, too.

    Raises:
        TypeError: If z is not a floating-point tensor.
        ValueError: If values are not finite, or both n and d are above 16384.

    Note:
        Not Shannon's entropy of z: the scale and the shape of its law do not count, only how
        evenly the variance is spread over directions. As a reward it keeps codes from collapse.

    References:
        Cheng et al. (2026), ICLR (the entropy term of a Koopman representation).

    Example:
        >>> import torch
        >>> z = torch.eye(3, dtype=torch.float64)[:, :2]
        >>> von_neumann_entropy(z) <= torch.tensor(2.0).log()
        tensor(True)
    """
    z = with_two_axes(z)
    check_samples(z=z)
    centered = z.double() - z.double().mean(dim=0)
    # The value has no scale; squares of large numbers overflow, those of small ones vanish.
    size = centered.detach().abs().max()
    centered = centered / size.where(size > 0.0, 1.0)
    short = centered if len(z) < z.shape[1] else centered.mT
    _check_rows("z", len(short))
    return spectral_entropy(short @ short.mT).to(result_dtype(z, z))


def gram_entropy(x: Tensor, *, bandwidth: Bandwidth = "median") -> Tensor:
    """Return the von Neumann entropy of a Gaussian kernel matrix over its trace, in nats.

    S = -sum_i p_i log p_i with p the eigenvalues of K/n, K_ij = exp(-|x_i - x_j|^2 /
    (2 bandwidth^2)): the covariance operator of the kernel's features, whose entropy it is, and
    the limit alpha = 1 of `matrix_renyi_entropy`.

    Args:
        x: Samples, shape (n, d), or (n,) for one feature; floating point.
        bandwidth: Standard deviation of the kernel in the units of the samples, a number or one
            per column; or a rule: ``"median"`` of the non-self distances, ``"silverman"`` or
            ``"sqrt_d"``. A rule's number is a constant for the gradient.

    Returns:
        Scalar tensor in the dtype of x, at least float32, computed in float64; from 0 (equal rows)
        to log n (rows that do not see each other). Differentiable in x and in a bandwidth given
        as a tensor, once; finite at repeated eigenvalues, too.

    Raises:
        TypeError: If x is not a floating-point tensor, or ``bandwidth`` is not numeric.
        ValueError: If values are not finite, the bandwidth is not positive, or there are more
            than 16384 rows.

    Note:
        Not Shannon's entropy of x: it depends on the bandwidth. Time O(n^3).

    References:
        Bach (2023), IEEE Trans. Inf. Theory 69, 752 (entropy of kernel covariance operators).

    Example:
        >>> import torch
        >>> x = torch.tensor([0.0, 0.0, 99.0, 99.0], dtype=torch.float64)
        >>> gram_entropy(x, bandwidth=1.0)  # log 2: two groups
        tensor(0.6931, dtype=torch.float64)
    """
    return spectral_entropy(gaussian_matrix(scaled(x, bandwidth))).to(result_dtype(x, x))


# ------------------------------------------------------------------------------------ the matrices


def scaled(x: Tensor, bandwidth: Bandwidth, name: str = "bandwidth") -> Tensor:
    """Return a sample, checked, centered and divided by its bandwidth, (n, d), in float64."""
    x = with_two_axes(x)
    check_samples(x=x)
    sample = x.double()
    return divided(sample, resolve_width(bandwidth, sample, name), name)


def divided(sample: Tensor, width: Tensor, name: str = "bandwidth") -> Tensor:
    """Return a float64 sample (n, d), centered, over its width () or (d,)."""
    over = (sample - sample.detach().mean(dim=0)) / width
    if not bool(torch.isfinite(over.detach()).all()):
        raise ValueError(
            f"{name} must be at least {torch.finfo(over.dtype).tiny:.2g} times the range of the "
            f"samples, got {width.detach().min().item():g}."
        )
    return over


def resolve_width(bandwidth: Bandwidth, sample: Tensor, name: str = "bandwidth") -> Tensor:
    """Return `resolve_bandwidth`, which knows ``"sqrt_d"``, with errors that name the parameter.

    Args:
        bandwidth: Name of a rule, a positive number, or one per column.
        sample: Samples, shape (n, d), float64.
        name: Of the parameter.
    """
    if isinstance(bandwidth, str):
        rules = (*RULES, SQRT_D)
        check_option(name, bandwidth, rules, "Or pass a number or one number per column.")
    if isinstance(bandwidth, str) and bandwidth == SQRT_D:
        return sample.new_tensor(math.sqrt(sample.shape[1]))
    return resolve_bandwidth(bandwidth, sample, name=name)


def gaussian_matrix(x: Tensor) -> Tensor:
    """Return exp(-|x_i - x_j|^2 / 2) of all pairs, shape (n, n), with ones on the diagonal.

    Args:
        x: Samples over the bandwidth, shape (n, d), centered, float64.

    Raises:
        ValueError: If there are more than 16384 rows.
    """
    _check_rows("x", len(x))
    kernel: Tensor = _GaussianMatrix.apply(x)
    return kernel


class _GaussianMatrix(torch.autograd.Function):
    """The kernel matrix in one piece of memory."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        if can_expand(x, x):
            ones, halves = torch.ones_like(x[:, :1]), -0.5 * x.square().sum(dim=1, keepdim=True)
            kernel = torch.cat([x, halves, ones], dim=1) @ torch.cat([x, ones, halves], dim=1).mT
        else:
            # Far-apart samples cancel in the expansion of the square: differences are exact.
            kernel = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist")
            kernel.square_().mul_(-0.5)
        kernel.clamp_(max=0.0).exp_().fill_diagonal_(1.0)
        ctx.save_for_backward(x, kernel)
        return kernel

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        (grad,) = grads
        x, kernel = ctx.saved_tensors
        weights = kernel * (grad + grad.mT)
        return weights @ x - weights.sum(dim=1, keepdim=True) * x


def diffusion_scales(kernel: Tensor, anisotropy: float) -> Tensor:
    """Return s, shape (n,), of which diag(s) G diag(s) has the spectrum of the random walk.

    D_K^-1 K is similar to D_K^-1/2 K D_K^-1/2, and K = diag(d^-a) G diag(d^-a).

    Args:
        kernel: Kernel matrix G, shape (n, n).
        anisotropy: The exponent a of the row sums d.
    """
    sums = kernel.sum(dim=1)
    if anisotropy == 0.0:
        return sums.rsqrt()
    thinned = sums**-anisotropy
    return thinned * (thinned * (kernel @ thinned)).rsqrt()


def diffusion_operator(kernel: Tensor, scales: Tensor) -> Tensor:
    """Return diag(s) G diag(s), shape (n, n).

    Args:
        kernel: Kernel matrix G, shape (n, n).
        scales: See `diffusion_scales`.
    """
    operator = kernel * scales[:, None]
    operator *= scales
    return operator


def _check_rows(name: str, rows: int) -> None:
    if rows > MOST_ROWS:
        raise ValueError(
            f"{name} must have at most {MOST_ROWS} rows for exact eigenvalues, got {rows}. "
            "Take the estimator, which samples the spectrum of more rows, or fewer rows."
        )


# ---------------------------------------------------------------------------------------- spectra


def spectral_entropy(matrix: Tensor, *, power: float = 1.0, order: float = 1.0) -> Tensor:
    """Return the entropy of the eigenvalues of a positive semidefinite matrix, in nats.

    Renyi's entropy log(sum_i p_i^order) / (1 - order) of p_i = |lambda_i|^power over their sum;
    Shannon's at order 1. Its gradient is V f'(lambda) V^T, without differences of eigenvalues.

    Args:
        matrix: Symmetric matrix, shape (n, n), float64, of any scale; its lower half is read.
        power: Exponent of the eigenvalues, positive.
        order: Order of the entropy, positive.

    Returns:
        Scalar; 0 for a matrix of zeros. Differentiable once.
    """
    value: Tensor = _SpectralEntropy.apply(matrix, power, order)
    return value


class _SpectralEntropy(torch.autograd.Function):
    """`spectral_entropy`; eigenvectors only where a gradient is wanted."""

    @staticmethod
    def forward(ctx: Any, matrix: Tensor, power: float, order: float) -> Tensor:
        if not ctx.needs_input_grad[0]:
            return entropy_of_eigenvalues(_eigenvalues(matrix), power, order).value
        eigenvalues, vectors = _eigenvectors(matrix)
        value, slopes = entropy_of_eigenvalues(eigenvalues, power, order)
        ctx.save_for_backward(matrix, slopes, vectors)
        return value

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        (grad,) = grads
        matrix, slopes, vectors = ctx.saved_tensors
        gradient = (vectors * (grad * slopes)) @ vectors.mT
        if torch.is_grad_enabled():
            gradient = _DifferentiatedOnce.apply(gradient, matrix)
        return gradient, None, None


class _DifferentiatedOnce(torch.autograd.Function):
    """A gradient that says so where it would be differentiated, instead of being a constant."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, matrix: Tensor) -> Tensor:
        return gradient

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        raise RuntimeError(
            "entropies of spectra must be differentiated once, got a second derivative. "
            "Leave them out of a term that holds gradients."
        )


def _eigenvalues(matrix: Tensor) -> Tensor:
    """Return the eigenvalues, shape (n,), by the faster of two libraries."""
    if _numpy_is_faster(matrix):
        return torch.from_numpy(np.linalg.eigvalsh(matrix.numpy()))
    return torch.linalg.eigvalsh(matrix)


def _eigenvectors(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Return the eigenvalues and the eigenvectors in columns, shape (n, n)."""
    if _numpy_is_faster(matrix):
        values, vectors = np.linalg.eigh(matrix.detach().numpy())
        return torch.from_numpy(values), torch.from_numpy(vectors)
    values, vectors = torch.linalg.eigh(matrix)
    return values, vectors


def _numpy_is_faster(matrix: Tensor) -> bool:
    return matrix.device.type == "cpu" and len(matrix) <= NUMPY_ROWS


def entropy_of_eigenvalues(
    eigenvalues: Tensor, power: float = 1.0, order: float = 1.0
) -> SpectralEntropy:
    """Return the entropy of eigenvalues, as `spectral_entropy`, and its slopes.

    Eigenvalues below n times the machine precision of the largest are rounding: they count as 0,
    and so do their slopes. That is the limit for matrices that stay positive semidefinite: an
    eigenvalue of 0 is at its lowest, its first-order change is 0, and f'(0), though infinite, meets
    nothing (for power * order > 1/2; below, the entropy has no derivative there).

    Args:
        eigenvalues: Shape (n,), float64; signs are rounding and do not count.
        power: Exponent of the eigenvalues, positive.
        order: Order of the entropy, positive.
    """
    size = eigenvalues.abs()
    top = size.max()
    counted = size > len(size) * torch.finfo(size.dtype).eps * top
    if not bool(counted.any()):
        return SpectralEntropy(torch.zeros_like(top), torch.zeros_like(size))
    log_weights = power * (size.where(counted, top) / top).log()
    log_total = log_weights[counted].logsumexp(dim=0)
    # Shares may underflow where the power is large: their logs stay finite.
    log_shares = (log_weights - log_total).clamp(min=math.log(torch.finfo(size.dtype).tiny))
    shares = log_shares.exp().where(counted, 0.0)
    if order == 1.0:
        value = 0.0 - (shares * log_shares).sum()
        inner = -(log_shares + value)
    else:
        if abs(order - 1.0) > NEAR_ONE:
            log_sum = (order * log_shares[counted]).logsumexp(dim=0)
        else:  # as 1 + a small sum: the rounding of the other is divided by 1 - order
            log_sum = torch.log1p((shares * torch.expm1((order - 1.0) * log_shares)).sum())
        value = 0.0 + log_sum / (1.0 - order)
        inner = order / (1.0 - order) * torch.expm1((order - 1.0) * log_shares - log_sum)
    # d lambda^power / sum = power * share / lambda.
    slopes = power * inner * shares / size.where(counted, top) * eigenvalues.sign()
    return SpectralEntropy(value, slopes.where(counted, 0.0))
