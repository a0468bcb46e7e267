"""Divergence and distance of two Gaussian laws in closed form. Torch, differentiable."""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from infoest.kernels._samples import result_dtype

from ._scores import check_finite, check_floating, may_read

# How far a covariance may be from symmetric, as a share of its largest entry and in roots of the
# epsilon of its dtype: products of float32 matrices leave this much.
ASYMMETRY = 0.1
# A distance below this share of the root of the trace is 0.
ROUNDING = 1e-14


class _Normal(NamedTuple):
    """A checked Gaussian law in float64: a root of the covariance is a vector or a triangle."""

    mean: Tensor
    root: Tensor
    is_diagonal: bool

    def triangle(self) -> Tensor:
        return self.root.diag_embed() if self.is_diagonal else self.root


def gaussian_kl(mean_a: Tensor, cov_a: Tensor, mean_b: Tensor, cov_b: Tensor) -> Tensor:
    """Return the Kullback-Leibler divergence KL(N(mean_a, cov_a) || N(mean_b, cov_b)), in nats.

    1/2 [tr(B^-1 A) + (b - a)' B^-1 (b - a) - d + log det B - log det A].

    Args:
        mean_a: Mean of the first law, shape (d,), or (..., d) for many laws at once.
        cov_a: Its covariance, shape (..., d, d), or only the variances of a diagonal one,
            shape (..., d) like the mean: variances, not standard deviations.
        mean_b: Mean of the second law, shape (d,), or with the leading axes of the first.
        cov_b: Its covariance, full or diagonal whatever the first is. One of the two laws may be
            without leading axes; scalars are laws on a line.

    Returns:
        One value per pair of laws: a scalar tensor without leading axes; in the widest dtype of
        the arguments, at least float32; not negative but for rounding. Differentiable in all four.

    Raises:
        TypeError: If an argument is not a floating-point tensor.
        ValueError: If shapes or devices do not fit, values are not finite, or a covariance is not
            symmetric or not positive definite (diagonals and symmetry are looked at on CPU tensors
            only).

    References:
        Kullback (1959), Information Theory and Statistics, ch. 9, eq. 1.4.

    Example:
        >>> import torch
        >>> zero, one = torch.zeros(2), torch.ones(2)
        >>> gaussian_kl(one, one, zero, one)  # |mean|^2 / 2
        tensor(1.)
    """
    a, b, dtype = _checked_pair(mean_a, cov_a, mean_b, cov_b)
    shift = b.mean - a.mean
    if a.is_diagonal and b.is_diagonal:
        ratio = (a.root / b.root).square()
        terms = ratio - 1.0 - ratio.log() + (shift / b.root).square()
        return (0.5 * terms.sum(dim=-1)).to(dtype)
    root_a, root_b = a.triangle(), b.triangle()
    # Ratio of the roots: its squares sum to the trace, its diagonal holds both determinants.
    ratio = torch.linalg.solve_triangular(root_b, root_a, upper=False)
    scaled = torch.linalg.solve_triangular(root_b, shift.unsqueeze(-1), upper=False)
    diagonal = ratio.diagonal(dim1=-2, dim2=-1).square()
    below = ratio.tril(diagonal=-1).square().sum(dim=(-2, -1)) + scaled.square().sum(dim=(-2, -1))
    return (0.5 * (below + (diagonal - 1.0 - diagonal.log()).sum(dim=-1))).to(dtype)


def gaussian_wasserstein(mean_a: Tensor, cov_a: Tensor, mean_b: Tensor, cov_b: Tensor) -> Tensor:
    """Return the 2-Wasserstein distance of two Gaussian laws, in the unit of the data.

    W2 = sqrt(|a - b|^2 + tr A + tr B - 2 tr (A^(1/2) B A^(1/2))^(1/2)): the root, not the square.

    Args:
        mean_a: Mean of the first law, shape (d,), or (..., d) for many laws at once.
        cov_a: Its covariance, shape (..., d, d), or only the variances of a diagonal one,
            shape (..., d) like the mean: variances, not standard deviations.
        mean_b: Mean of the second law, shape (d,), or with the leading axes of the first.
        cov_b: Its covariance, full or diagonal whatever the first is. One of the two laws may be
            without leading axes; scalars are laws on a line.

    Returns:
        One value per pair of laws: a scalar tensor without leading axes; in the widest dtype of
        the arguments, at least float32. Differentiable in all four, with gradient 0 at distance 0;
        twice only where both covariances are diagonal (else a second derivative raises).

    Raises:
        TypeError: If an argument is not a floating-point tensor.
        ValueError: If shapes or devices do not fit, values are not finite, or a covariance is not
            symmetric or not positive definite (diagonals and symmetry are looked at on CPU tensors
            only).

    References:
        Olkin, Pukelsheim (1982), Linear Algebra Appl. 48, 257. Gelbrich (1990), Math. Nachr. 147.

    Example:
        >>> import torch
        >>> zero, one = torch.zeros(2), torch.ones(2)
        >>> gaussian_wasserstein(zero, 9.0 * one, zero, one)  # sqrt(2 (3 - 1)^2)
        tensor(2.8284)
    """
    a, b, dtype = _checked_pair(mean_a, cov_a, mean_b, cov_b)
    square = (a.mean - b.mean).square().sum(dim=-1)
    if a.is_diagonal and b.is_diagonal:
        square = square + (a.root - b.root).square().sum(dim=-1)
        zero = square <= 0.0
    else:
        root_a, root_b = a.triangle(), b.triangle()
        # The least |R_a - R_b U|^2 over rotations U: a sum of squares, where differences of traces
        # would lose half of the digits of a small distance.
        rotation = _Rotation.apply(root_b.mT @ root_a)
        square = square + (root_a - root_b @ rotation).square().sum(dim=(-2, -1))
        # What rounding leaves of equal laws has a gradient of size 1 in no direction that means
        # anything.
        zero = square <= ROUNDING**2 * root_a.detach().square().sum(dim=(-2, -1))
    return square.masked_fill(zero, 1.0).sqrt().masked_fill(zero, 0.0).to(dtype)


class _Rotation(torch.autograd.Function):
    """The orthogonal U with the largest tr(U' M).

    Its gradient is 0: at the minimum over U a distance does not change to first order (envelope
    theorem). To second order it does, so that a second derivative is refused.
    """

    @staticmethod
    def forward(ctx: Any, product: Tensor) -> Tensor:
        left, _, right = torch.linalg.svd(product)
        return left @ right

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return torch.zeros_like(gradient)


def _checked_pair(
    mean_a: Tensor, cov_a: Tensor, mean_b: Tensor, cov_b: Tensor
) -> tuple[_Normal, _Normal, torch.dtype]:
    """Return both laws in float64, and the dtype of results."""
    a, b = _checked("mean_a", mean_a, "cov_a", cov_a), _checked("mean_b", mean_b, "cov_b", cov_b)
    shape_a, shape_b = a.mean.shape, b.mean.shape
    if shape_a[-1] != shape_b[-1] or (len(shape_a) > 1 < len(shape_b) and shape_a != shape_b):
        raise ValueError(
            "mean_a and mean_b must have one shape, or one of them shape (d,), "
            f"got {tuple(mean_a.shape)} and {tuple(mean_b.shape)}."
        )
    if len({side.device for side in (mean_a, cov_a, mean_b, cov_b)}) > 1:
        raise ValueError(
            "mean_a, cov_a, mean_b and cov_b must be on one device, got "
            f"{mean_a.device}, {cov_a.device}, {mean_b.device} and {cov_b.device}."
        )
    dtype = torch.promote_types(result_dtype(mean_a, cov_a), result_dtype(mean_b, cov_b))
    return a, b, dtype


def _checked(mean_name: str, mean: Tensor, cov_name: str, cov: Tensor) -> _Normal:
    check_floating(mean_name, mean)
    check_floating(cov_name, cov)
    if not mean.numel():
        raise ValueError(f"{mean_name} must have at least one entry, got {tuple(mean.shape)}.")
    allowed = tuple(mean.shape), (*mean.shape, *mean.shape[-1:])
    if tuple(cov.shape) not in allowed:
        raise ValueError(
            f"{cov_name} must have shape {allowed[0]} (variances) or {allowed[1]} for this mean, "
            f"got {tuple(cov.shape)}."
        )
    check_finite(mean_name, mean)
    check_finite(cov_name, cov)
    is_diagonal = cov.shape == mean.shape
    root = _deviations(cov_name, cov) if is_diagonal else _triangle(cov_name, cov)
    if not mean.ndim:  # a law on a line
        return _Normal(mean.double()[None], root[None], is_diagonal=True)
    return _Normal(mean.double(), root, is_diagonal)


def _deviations(name: str, variances: Tensor) -> Tensor:
    if may_read(variances):
        lowest = float(variances.detach().amin())
        if lowest <= 0.0:
            raise ValueError(f"{name} must hold variances above 0, got {lowest:g}.")
    return variances.double().sqrt()


def _triangle(name: str, cov: Tensor) -> Tensor:
    """Return the lower Cholesky root of a covariance."""
    values = cov.detach()
    if may_read(cov):
        apart = float((values - values.mT).abs().amax())
        if apart > ASYMMETRY * torch.finfo(cov.dtype).eps ** 0.5 * float(values.abs().amax()):
            raise ValueError(f"{name} must be symmetric, got entries that differ by {apart:g}.")
    cov = cov.double()
    try:
        return torch.linalg.cholesky((cov + cov.mT) / 2.0)
    except RuntimeError:  # torch's LinAlgError, which its stubs do not export
        lowest = float(torch.linalg.eigvalsh(values.double()).amin())
        raise ValueError(
            f"{name} must be positive definite, got the eigenvalue {lowest:g}. "
            "Add a small multiple of the identity."
        ) from None
