"""What functions of a score matrix are made of: checks, masks and sums in the log domain. Torch."""

import math

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from infoest._validation import check_number
from infoest.kernels._samples import result_dtype


def checked_clip(clip: float | None) -> float:
    """Return the limit of clipped scores as a float; infinity for none."""
    if clip is None or clip == math.inf:
        return math.inf
    return check_number("clip", clip, low=0.0, open_low=True, remedy="None clips nothing.")


def checked_scores(scores: Tensor) -> tuple[Tensor, torch.dtype]:
    """Return valid scores in float64, and the dtype of results."""
    scores, dtype = checked_matrix(scores)
    return scores.double(), dtype


def checked_matrix(scores: Tensor) -> tuple[Tensor, torch.dtype]:
    """Return valid scores in the dtype of results, at least float32, and that dtype."""
    check_floating("scores", scores)
    if scores.ndim != 2 or scores.shape[0] != scores.shape[1] or len(scores) < 2:
        raise ValueError(
            "scores must be a square matrix of at least 2 rows, one per joint pair, "
            f"got shape {tuple(scores.shape)}."
        )
    check_finite("scores", scores)
    dtype = result_dtype(scores, scores)
    return scores.to(dtype), dtype


def checked_rows(name: str, values: Tensor, scores: Tensor) -> Tensor:
    """Return one valid number for every row of the scores, in float64."""
    check_floating(name, values)
    if values.shape != scores.shape[:1]:
        raise ValueError(
            f"{name} must have shape ({len(scores)},), one number per row of scores, "
            f"got {tuple(values.shape)}."
        )
    check_finite(name, values)
    return values.double()


def check_floating(name: str, values: Tensor) -> None:
    """Raise unless the argument called ``name`` is a floating-point tensor."""
    if not isinstance(values, Tensor) or not values.is_floating_point():
        shown = values.dtype if isinstance(values, Tensor) else type(values).__name__
        raise TypeError(f"{name} must be a floating-point tensor, got {shown}.")


def may_read(values: Tensor) -> bool:
    """Whether values may be looked at: a GPU would have to be waited for."""
    return values.device.type == "cpu" and not torch.compiler.is_compiling()


def wide(values: Tensor) -> Tensor:
    """Return values in their dtype, or in float32 where that is narrower."""
    return values.to(result_dtype(values, values))


def check_finite(name: str, values: Tensor) -> None:
    """Raise if a CPU tensor holds NaN or infinity; nothing is read from other devices."""
    if not may_read(values):
        return
    values = values.detach()
    # One pass: a sum that is finite has finite terms.
    if not math.isfinite(values.sum()):
        bad = int((~torch.isfinite(values)).sum())
        if bad:
            raise ValueError(f"{name} must be finite, got {bad} NaN or infinite entries.")


def off_diagonal(scores: Tensor, fill: float) -> Tensor:
    """Return the scores with ``fill`` on the diagonal."""
    diagonal = torch.eye(len(scores), dtype=torch.bool, device=scores.device)
    return scores.masked_fill(diagonal, fill)


def mean_off_diagonal(values: Tensor) -> Tensor:
    """Return the mean of the n(n - 1) entries off the diagonal."""
    # Not the sum less the trace: a large diagonal would take the digits of the rest.
    return off_diagonal(values, 0.0).sum() / (len(values) * (len(values) - 1))


def log_mean_exp(scores: Tensor) -> Tensor:
    """Return log mean_off exp(scores)."""
    n_pairs = len(scores) * (len(scores) - 1)
    return off_diagonal(scores, -torch.inf).flatten().logsumexp(dim=0) - math.log(n_pairs)


def mean_exp(scores: Tensor) -> Tensor:
    """Return mean_off exp(scores)."""
    # Entry by entry: exp of a log-sum that overflows has the gradient inf * 0 = NaN.
    n_pairs = len(scores) * (len(scores) - 1)
    return (off_diagonal(scores, -torch.inf) - math.log(n_pairs)).exp().sum()


def unnormalized(scores: Tensor) -> Tensor:
    """Return 1 + mean of the diagonal - mean_off exp(scores)."""
    return 1.0 + scores.diagonal().mean() - mean_exp(scores)


def logistic(scores: Tensor, negatives: int) -> Tensor:
    """Return the log likelihood of a logistic regression with odds 1 : negatives, in float64.

    Every term is computed in the dtype of the scores, half of the time of a training step in
    float32; their sum is not.
    """
    # softplus(u) = -logsigmoid(-u): torch's softplus is u alone above 20.
    shifted = scores - math.log(negatives)
    product = logsigmoid(-shifted).fill_diagonal_(0.0)
    n_pairs = len(scores) * (len(scores) - 1)
    joint = logsigmoid(shifted.diagonal().double()).mean()
    return joint + negatives * product.sum(dtype=torch.float64) / n_pairs


def log_sums_without_each(scores: Tensor) -> Tensor:
    """Return log of the sum of exp(s_ik) over the columns k other than j, shape (n, n)."""
    total = scores.logsumexp(dim=1, keepdim=True)
    # Less the largest entry of a row there may be nothing left but rounding: summed apart.
    largest = torch.zeros_like(scores, dtype=torch.bool)
    largest = largest.scatter(1, scores.detach().argmax(dim=1, keepdim=True), True)
    rest = scores.masked_fill(largest, -torch.inf).logsumexp(dim=1, keepdim=True)
    shares = (scores - total).masked_fill(largest, -torch.inf).exp()
    return torch.where(largest, rest, total + torch.log1p(-shares))
