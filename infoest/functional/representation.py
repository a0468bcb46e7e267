"""How much room a batch of representations takes up. Torch, differentiable."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from infoest._validation import check_number
from infoest.kernels._samples import result_dtype

from ._scores import check_finite, check_floating

# Bardes, Ponce, LeCun (2022), eq. 2: the standard deviation asked for, and what keeps the
# derivative of the root finite.
TARGET_STD = 1.0
VARIANCE_FLOOR = 1e-4


def coding_rate(z: Tensor, epsilon: float) -> Tensor:
    """Return the nats per sample to code representations up to a mean squared error epsilon^2.

    R = 1/2 log det(I + d / (n epsilon^2) Z' Z), for Gaussian codes with the second moments of z.

    Args:
        z: Representations, shape (n, d), or (n,) for one feature; floating point. Not centered
            here: mostly of length 1, or of mean 0.
        epsilon: Precision in the unit of z, positive; published value .5 for rows of length 1.

    Returns:
        Scalar tensor in the dtype of z, at least float32; 0 for z = 0. Differentiable in z.

    Raises:
        TypeError: If z is not a floating-point tensor or epsilon not a number.
        ValueError: If z has no shape (n, d) or is not finite (looked for on CPU tensors only), or
            epsilon is not positive.

    Note:
        Not an entropy estimate: for non-Gaussian z an upper bound of the rate, and it grows without
        limit with the scale of z.

    References:
        Ma, Derksen, Hong, Wright (2007), IEEE TPAMI 29, 1546. Yu, Chan, You, Song, Ma (2020),
        NeurIPS, eq. 7 (MCR2).

    Example:
        >>> import torch
        >>> z = torch.eye(2, dtype=torch.float64)
        >>> coding_rate(z, 0.5)  # 1/2 (2 log(1 + 4))
        tensor(1.6094, dtype=torch.float64)
    """
    check_number("epsilon", epsilon, low=0.0, open_low=True)
    z = z[:, None] if isinstance(z, Tensor) and z.ndim == 1 else z
    _check_batch("z", z, rows=1)
    n_rows, n_features = z.shape
    scaled = z.double() * (math.sqrt(n_features / n_rows) / epsilon)
    if n_rows < n_features:
        scaled = scaled.T
    # log det(I + A'A) = 2 sum log |R_ii| for the QR of [A; I]: rounding does not square the
    # condition number as that of A'A does, and the columns are independent whatever A is.
    identity = torch.eye(scaled.shape[1], dtype=scaled.dtype, device=scaled.device)
    triangle = torch.linalg.qr(torch.cat([scaled, identity])).R
    return triangle.diagonal().abs().log().sum().to(result_dtype(z, z))


class VICRegTerms(NamedTuple):
    """The three terms of VICReg, none of them weighted.

    Attributes:
        invariance: Mean squared difference of both views, scalar.
        variance: Missing standard deviation per feature, summed over both views, scalar.
        covariance: Squared covariances between features, over d and summed over views, scalar.
    """

    invariance: Tensor
    variance: Tensor
    covariance: Tensor


def vicreg_terms(z_a: Tensor, z_b: Tensor) -> VICRegTerms:
    """Return invariance, variance and covariance of the representations of two views.

    invariance = mean over rows and features of (z_a - z_b)^2;
    variance = sum over views of mean_j max(0, 1 - sqrt(Var(z_j) + 1e-4));
    covariance = sum over views of 1/d sum_(j != k) Cov(z_j, z_k)^2; both with divisor n - 1.

    Args:
        z_a: Representations of the first view, shape (n, d), floating point, n at least 2.
        z_b: Those of the second, same shape and device; row i of both is the same sample.

    Returns:
        `VICRegTerms`, scalar tensors in the wider dtype of both, at least float32, not negative.
        Differentiable. The published loss is 25 invariance + 25 variance + covariance.

    Raises:
        TypeError: If a view is not a floating-point tensor.
        ValueError: If shapes or devices do not fit, there are fewer than 2 rows or values that are
            not finite (looked for on CPU tensors only).

    Note:
        As in the paper's Algorithm 1. Its eq. 5 sums the invariance over features (d times this),
        its released code halves the variance.

    References:
        Bardes, Ponce, LeCun (2022), VICReg, ICLR, arXiv 2105.04906, eqs. 1-6 and Algorithm 1.

    Example:
        >>> import torch
        >>> z = torch.tensor([[3.0, 0.0], [-3.0, 0.0]])
        >>> invariance, variance, covariance = vicreg_terms(z, z)
        >>> float(invariance), round(float(variance), 6), float(covariance)  # a dead feature, twice
        (0.0, 0.99, 0.0)
    """
    _check_batch("z_a", z_a, rows=2)
    _check_batch("z_b", z_b, rows=2)
    if z_a.shape != z_b.shape or z_a.device != z_b.device:
        raise ValueError(
            "z_a and z_b must have one shape on one device, got "
            f"{tuple(z_a.shape)} on {z_a.device} and {tuple(z_b.shape)} on {z_b.device}."
        )
    dtype = result_dtype(z_a, z_b)
    z_a, z_b = z_a.double(), z_b.double()
    (variance_a, covariance_a), (variance_b, covariance_b) = _spread(z_a), _spread(z_b)
    return VICRegTerms(
        (z_a - z_b).square().mean().to(dtype),
        (variance_a + variance_b).to(dtype),
        (covariance_a + covariance_b).to(dtype),
    )


def _spread(z: Tensor) -> tuple[Tensor, Tensor]:
    """Return the hinge on standard deviations and the squared covariances over d, of one view."""
    centered = z - z.mean(dim=0)
    covariance = centered.T @ centered / (len(z) - 1)
    std = (covariance.diagonal() + VARIANCE_FLOOR).sqrt()
    off_diagonal = covariance - covariance.diagonal().diag()
    return (TARGET_STD - std).relu().mean(), off_diagonal.square().sum() / z.shape[1]


def _check_batch(name: str, z: Tensor, *, rows: int) -> None:
    check_floating(name, z)
    if z.ndim != 2 or not z.numel() or len(z) < rows:
        raise ValueError(
            f"{name} must have shape (n, d) with n at least {rows}, got {tuple(z.shape)}."
        )
    check_finite(name, z)
