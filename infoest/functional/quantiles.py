"""Quantile regression. Torch, differentiable."""

import torch
from torch import Tensor

from infoest._validation import check_number
from infoest.kernels._samples import result_dtype

from ._scores import check_finite, check_floating


def pinball(prediction: Tensor, target: Tensor, tau: float | Tensor) -> Tensor:
    """Return the mean pinball loss of predicted quantiles, in the unit of the target.

    Mean of max(tau (t - q), (tau - 1) (t - q)): least where q is the tau-quantile of t.

    Args:
        prediction: Predicted quantiles q, shape (n,), or (n, k) for k levels at once.
        target: Observed values t, shape (n,).
        tau: Level in (0, 1), or a tensor (k,) of levels, one per column of ``prediction``.

    Returns:
        Scalar tensor in the wider dtype of prediction and target, at least float32; not negative.
        Differentiable in both; computed in float64.

    Raises:
        TypeError: If prediction or target is not a floating-point tensor or tau is not numeric.
        ValueError: If shapes do not fit, values are not finite (looked for on CPU tensors only)
            or a level is not inside (0, 1).

    References:
        Koenker, Bassett (1978), Econometrica 46, 33.

    Example:
        >>> import torch
        >>> target = torch.tensor([0.0, 1.0])
        >>> pinball(torch.zeros(2), target, 0.75)  # 0.75 of the distance, for one of two
        tensor(0.3750)
    """
    check_floating("prediction", prediction)
    check_floating("target", target)
    if target.ndim != 1 or not len(target):
        raise ValueError(f"target must have shape (n,), n at least 1, got {tuple(target.shape)}.")
    levels = _checked_levels(tau)
    shape = (len(target), *levels.shape)
    # A prediction (n, 1) beside a target (n,) would broadcast to n * n differences.
    if prediction.shape != shape:
        raise ValueError(
            f"prediction must have shape {shape} for this target and tau, "
            f"got {tuple(prediction.shape)}."
        )
    check_finite("prediction", prediction)
    check_finite("target", target)
    excess = target.double().reshape(-1, *[1] * levels.ndim) - prediction.double()
    levels = levels.to(excess)
    loss = torch.maximum(levels * excess, (levels - 1.0) * excess).mean()
    return loss.to(result_dtype(prediction, target))


def _checked_levels(tau: float | Tensor) -> Tensor:
    """Return the levels in float64, shape () or (k,)."""
    if not isinstance(tau, Tensor):
        number = check_number("tau", tau, low=0.0, high=1.0, open_low=True, open_high=True)
        return torch.tensor(number, dtype=torch.float64)
    if not tau.is_floating_point():
        raise TypeError(f"tau must be a number or a floating-point tensor, got {tau.dtype}.")
    if tau.ndim > 1 or not tau.numel():
        raise ValueError(f"tau must be a number or have shape (k,), got {tuple(tau.shape)}.")
    if not bool(((tau > 0.0) & (tau < 1.0)).all()):
        raise ValueError(f"tau must be in (0, 1), got {tau.tolist()}.")
    return tau.double()
