"""Reductions over all pairs of samples; the only place where a backend is chosen."""

import torch
from torch import Tensor

from infoest._validation import check_option

from . import _chunked, _dense
from ._samples import check_samples, result_dtype
from .bandwidth import Bandwidth, resolve_bandwidth
from .formulas import Formula, gaussian

BACKENDS = {"dense": _dense, "chunked": _chunked}
# Above this number of pairs "auto" takes "chunked": a matrix of 128 MiB.
DENSE_PAIRS = 2**24
# Squares of larger numbers overflow.
LARGEST = 1e150


def log_kernel_sum(
    x: Tensor,
    y: Tensor,
    *,
    formula: Formula = gaussian,
    bandwidth: Bandwidth = 1.0,
    exclude_self: bool = False,
    weights: Tensor | None = None,
    backend: str = "auto",
) -> Tensor:
    """Return log sum_j w_j k(x_i, y_j): a kernel summed over all y, in the log domain.

    Samples are centered and divided by the bandwidth; distances, kernel and sum are float64
    whatever comes in, so that neither offsets nor small bandwidths cost digits.

    Args:
        x: Query points, shape (n, d), floating point.
        y: Points summed over, shape (m, d), on the device of ``x``.
        formula: Log-kernel, as a function of the squared distance.
        bandwidth: Scale of the kernel: a positive number or one per column, shape (d,).
        exclude_self: Leave out the pairs (i, i); then x and y have equal lengths.
        weights: Weights w of y, shape (m,), not negative and not all zero; None for ones.
        backend: ``"dense"`` holds the (n, m) matrix, ``"chunked"`` a block of rows at a time;
            ``"auto"`` takes ``"dense"`` up to 2**24 pairs and ``"chunked"`` beyond.

    Returns:
        Shape (n,), in the wider dtype of x and y but at least float32. Differentiable in ``x``,
        ``y``, ``bandwidth`` and ``weights``.

    Raises:
        TypeError: If x or y is not a floating-point tensor, or ``bandwidth`` is not numeric.
        ValueError: If ``backend`` is unknown, shapes do not fit, values are not finite, weights
            are negative or all zero, or the bandwidth is so small that squares overflow.

    Example:
        >>> import torch
        >>> x = torch.tensor([[0.0], [2.0]])
        >>> log_kernel_sum(x, x, exclude_self=True)
        tensor([-2., -2.])
    """
    check_option("backend", backend, ("auto", *BACKENDS))
    check_samples(x=x, y=y)
    if exclude_self:
        _check_pairs_off_diagonal(x, y)
    if isinstance(bandwidth, str):
        raise TypeError(
            f"bandwidth must be a number or one number per column, got {bandwidth!r}. "
            "Turn a rule into numbers with resolve_bandwidth."
        )
    width = resolve_bandwidth(bandwidth, y)
    # The kernel does not depend on the center, hence no gradient through it.
    center = y.detach().double().mean(dim=0)
    if weights is not None:
        weights = _checked_weights(weights, y, exclude_self)
    if backend == "auto":
        backend = "dense" if len(x) * len(y) <= DENSE_PAIRS else "chunked"
    sums = BACKENDS[backend].logsumexp(
        _scaled(x, center, width),
        _scaled(y, center, width),
        formula,
        weights=weights,
        exclude_self=exclude_self,
    )
    return sums.to(result_dtype(x, y))


def _check_pairs_off_diagonal(x: Tensor, y: Tensor) -> None:
    if len(x) != len(y) or len(x) < 2:
        raise ValueError(
            "x and y must have equal lengths of at least 2 with exclude_self=True, "
            f"got {len(x)} and {len(y)}."
        )


def _scaled(sample: Tensor, center: Tensor, width: Tensor) -> Tensor:
    scaled = (sample.double() - center) / width
    if not bool((scaled.detach().abs() < LARGEST).all()):
        raise ValueError(
            f"bandwidth must be at least {1 / LARGEST:g} times the range of the samples, "
            f"got {width.detach().min().item():g}."
        )
    return scaled


def _checked_weights(weights: Tensor, y: Tensor, exclude_self: bool) -> Tensor:
    if not isinstance(weights, Tensor) or weights.shape != (len(y),):
        shown = (
            f"shape {tuple(weights.shape)}"
            if isinstance(weights, Tensor)
            else type(weights).__name__
        )
        raise ValueError(f"weights must be a tensor of shape ({len(y)},), got {shown}.")
    if not bool((torch.isfinite(weights) & (weights >= 0.0)).all()):
        raise ValueError("weights must be finite and not negative, got one that is.")
    fewest = 2 if exclude_self else 1
    positive = int((weights > 0.0).sum())
    if positive < fewest:
        raise ValueError(f"weights must hold at least {fewest} positive, got {positive}.")
    return weights.to(y.device, torch.float64)
