"""Reductions over all pairs of samples; the only place where a backend is chosen."""

import torch
from torch import Tensor

from infoest._validation import check_option

from . import _chunked, _dense
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
    _check_samples(x, y, exclude_self)
    if isinstance(bandwidth, str):
        raise TypeError(
            f"bandwidth must be a number or one number per column, got {bandwidth!r}. "
            "Turn a rule into numbers with resolve_bandwidth."
        )
    width = resolve_bandwidth(bandwidth, y)
    # The kernel does not depend on the center, hence no gradient through it.
    center = y.detach().double().mean(dim=0)
    scaled_x, scaled_y = _scaled("x", x, center, width), _scaled("y", y, center, width)
    if weights is not None:
        weights = _checked_weights(weights, y, exclude_self)
    if backend == "auto":
        backend = "dense" if len(x) * len(y) <= DENSE_PAIRS else "chunked"
    sums = BACKENDS[backend].logsumexp(
        scaled_x, scaled_y, formula, weights=weights, exclude_self=exclude_self
    )
    dtype = torch.promote_types(torch.promote_types(x.dtype, y.dtype), torch.float32)
    return sums.to(dtype)


def _check_samples(x: Tensor, y: Tensor, exclude_self: bool) -> None:
    for name, sample in (("x", x), ("y", y)):
        if not isinstance(sample, Tensor) or not sample.is_floating_point():
            shown = sample.dtype if isinstance(sample, Tensor) else type(sample).__name__
            raise TypeError(f"{name} must be a floating-point tensor, got {shown}.")
        if sample.ndim != 2 or not sample.numel():
            raise ValueError(
                f"{name} must have shape (n_samples, n_features), none of them 0, "
                f"got {tuple(sample.shape)}. Give one feature as {name}[:, None]."
            )
    if x.shape[1] != y.shape[1]:
        raise ValueError(
            f"x and y must have the same number of columns, got {x.shape[1]} and {y.shape[1]}."
        )
    if x.device != y.device:
        raise ValueError(f"x and y must be on one device, got {x.device} and {y.device}.")
    if exclude_self and (len(x) != len(y) or len(x) < 2):
        raise ValueError(
            "x and y must have equal lengths of at least 2 with exclude_self=True, "
            f"got {len(x)} and {len(y)}."
        )


def _scaled(name: str, sample: Tensor, center: Tensor, width: Tensor) -> Tensor:
    if not bool(torch.isfinite(sample).all()):
        raise ValueError(f"{name} must be finite, got NaN or infinite entries.")
    scaled = (sample.double() - center) / width
    if not bool((scaled.detach().abs() < LARGEST).all()):
        raise ValueError(
            f"bandwidth must be at least {1 / LARGEST:g} times the range of {name}, "
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
