"""Entropy of a soft partition of samples among anchors. Torch, differentiable."""

import math

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from infoest._validation import check_number
from infoest.kernels._samples import check_samples, result_dtype
from infoest.kernels.reductions import LARGEST, nearest

from .divergences import with_two_axes

# Coordinates of pairs held at once: 2 MB of float64 each time they are used.
BLOCK_ENTRIES = 2**18


def soft_range_partition_entropy(
    x: Tensor, anchors: Tensor, *, sharpness: str | float | Tensor = "median"
) -> Tensor:
    """Return the entropy of a soft partition of samples among anchors, in nats.

    H = -sum_j p_j log p_j with p_j = mean_i w_ij and w_ij = softmax_j(-sharpness |x_i - c_j|^2): a
    differentiable stand-in for `partition_entropy` of the numbers of samples nearest to each
    anchor c_j, which it tends to as the sharpness grows; log k for a sharpness near 0. In linear
    memory, also in the backward pass, which computes the weights again.

    Args:
        x: Samples, shape (n, d), or (n,) for one feature; floating point.
        anchors: Anchors c, shape (k, d) or (k,), on the device of ``x``; may be learned.
        sharpness: Positive number in units of 1 / x^2, or a scalar tensor (may be learned), or
            ``"median"``: 1 over the median (the lower of two), over samples, of the squared
            distance to the nearest anchor; where that is 0, of the positive ones. A common scale
            of x and anchors then does not matter. The rule's number is a constant for the
            gradient.

    Returns:
        Scalar tensor in the wider dtype of x and anchors, at least float32; from 0 to log k but
        for rounding. Differentiable, also twice, in x, anchors and a sharpness given as a tensor.

    Raises:
        TypeError: If x or anchors is not a floating-point tensor, or ``sharpness`` is not numeric.
        ValueError: If shapes do not fit, values are not finite, the sharpness is not positive, or
            ``"median"`` is asked for samples that all lie on anchors.

    Note:
        Of the partition that the anchors make, not the least over partitions, and not the entropy
        of x: it depends on anchors and sharpness. Two anchors in one place share their samples and
        add up to log 2.

    References:
        Shihab, Akter, Sharma (2025), Differentiable entropy regularization, arXiv 2509.03733.

    Example:
        >>> import torch
        >>> x = torch.tensor([0.0, 0.1, 0.2, 9.9], dtype=torch.float64)
        >>> anchors = torch.tensor([0.0, 10.0], dtype=torch.float64)
        >>> soft_range_partition_entropy(x, anchors)  # blocks of 3 and 1
        tensor(0.5623, dtype=torch.float64)
    """
    x, anchors = with_two_axes(x), with_two_axes(anchors)
    check_samples(x=x, anchors=anchors)
    dtype = result_dtype(x, anchors)
    x, anchors = x.double(), anchors.double()
    largest = max(float(side.detach().abs().amax()) for side in (x, anchors))
    if largest > LARGEST:
        raise ValueError(f"x and anchors must be at most {LARGEST:g} in size, got {largest:g}.")
    sharp = _resolved(sharpness, x, anchors)
    rows = max(1, BLOCK_ENTRIES // anchors.numel())
    sums = [
        checkpoint(
            _log_weight_sums, some, anchors, sharp, use_reentrant=False, preserve_rng_state=False
        )
        for some in x.split(rows)
    ]
    log_shares = torch.stack(sums).logsumexp(dim=0) - math.log(len(x))
    # Not entr of the shares: its derivative is infinite at an anchor that no sample is near.
    return -(log_shares.exp() * log_shares).sum().to(dtype)


def _log_weight_sums(x: Tensor, anchors: Tensor, sharpness: Tensor) -> Tensor:
    """Return the log of the sum over samples of their weights on every anchor, shape (k,)."""
    # From differences of coordinates: far anchors take no digits from near ones.
    squares = (x[:, None] - anchors).square().sum(dim=2)
    excess = squares - squares.detach().amin(dim=1, keepdim=True)
    # A huge sharpness must not make the logits infinite.
    return (-sharpness * excess).clamp(min=-1e300).log_softmax(dim=1).logsumexp(dim=0)


def _resolved(sharpness: str | float | Tensor, x: Tensor, anchors: Tensor) -> Tensor:
    """Return the sharpness as a float64 scalar tensor on the samples' device."""
    if isinstance(sharpness, str):
        if sharpness != "median":
            raise ValueError(f"sharpness must be a number or 'median', got {sharpness!r}.")
        return _of_median(x.detach(), anchors.detach())
    if not isinstance(sharpness, Tensor):
        number = check_number("sharpness", sharpness, low=0.0, open_low=True)
        return x.new_tensor(number)
    if sharpness.ndim or not sharpness.is_floating_point():
        raise TypeError(
            f"sharpness must be a scalar floating-point tensor, got {sharpness.dtype} of shape "
            f"{tuple(sharpness.shape)}."
        )
    check_number("sharpness", sharpness.item(), low=0.0, open_low=True)
    return sharpness.to(x.device, torch.float64)


def _of_median(x: Tensor, anchors: Tensor) -> Tensor:
    squares = nearest(x, anchors, 1)[0].squeeze(1).square()
    if not bool(squares.median() > 0.0):
        squares = squares[squares > 0.0]
    if not len(squares):
        raise ValueError(
            "sharpness must be a number where all samples lie on anchors, got 'median'."
        )
    return 1.0 / squares.median()
