"""Contrast of codes that are close in time with those that are not. Torch, differentiable."""

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from infoest._validation import check_int, check_number
from infoest.kernels._samples import result_dtype

# Scores held at once: 32 MB of float64 each time they are used.
BLOCK_SCORES = 2**22


def temporal_infonce(z: Tensor, window: int, temperature: float) -> Tensor:
    """Return the multi-positive InfoNCE loss of codes along time, in nats: lower is better.

    Mean of -log(P_t / (P_t + N_t)) over sequences and anchors t in [window, time - window), those
    with all their positives: P_t sums exp(cos(z_t, z_s) / temperature) over the 2 window times s
    = t - window, ..., t + window without t, and N_t over all other times of the same sequence.

    Args:
        z: Codes, shape (batch, time, d), floating point; time is at least 2 window + 2.
        window: Number of positives on either side of an anchor, at least 1.
        temperature: Divides the cosines, positive; published values are .07 and .1.

    Returns:
        Scalar tensor in the dtype of z, at least float32, positive: log((time - 1) / (2 window))
        for codes that do not tell times apart, near 0 where every anchor is close to its
        positives alone. Differentiable, also twice, in z.

    Raises:
        TypeError: If z is not a floating-point tensor, window is not an integer or temperature
            not a number.
        ValueError: If z has not three axes or is not finite, if the sequences are too short for
            the window, or if temperature is not positive.

    Note:
        Not mutual information: log((time - 1) / (2 window)) less the loss is at most that number,
        however much codes say of each other. Cosines ignore the length of a code; a code of zeros
        has cosine 0 with all others and no gradient. Sequences are not contrasted with each other.

    References:
        Cheng et al. (2026), Information shapes Koopman representation, ICLR, arXiv 2510.13025.
        van den Oord, Li, Vinyals (2018), arXiv 1807.03748, eq. 4 (one positive).

    Example:
        >>> import torch
        >>> angle = torch.arange(8, dtype=torch.float64) / 3.0
        >>> z = torch.stack([angle.cos(), angle.sin()], dim=1)[None]
        >>> still = torch.ones_like(z)
        >>> round(temporal_infonce(still, 1, 0.1).item(), 4)  # log 7/2
        1.2528
        >>> temporal_infonce(z, 1, 0.1).item() < 0.5
        True
    """
    _check_codes(z)
    check_int("window", window, low=1)
    n_times = z.shape[1]
    if n_times < 2 * window + 2:
        raise ValueError(
            f"z must have at least 2 window + 2 = {2 * window + 2} times, got {n_times}. "
            "In shorter sequences every time is a positive."
        )
    check_number("temperature", temperature, low=0.0, open_low=True)
    directions = _directions(z.double())
    anchors = torch.arange(window, n_times - window, device=z.device)
    n_anchors = max(1, BLOCK_SCORES // (len(z) * n_times))
    blocks = [
        checkpoint(
            _losses,
            directions,
            some,
            window,
            temperature,
            use_reentrant=False,
            preserve_rng_state=False,
        )
        for some in anchors.split(n_anchors)
    ]
    return torch.cat(blocks, dim=1).mean().to(result_dtype(z, z))


def _losses(directions: Tensor, anchors: Tensor, window: int, temperature: float) -> Tensor:
    """Return the loss of every sequence at some anchors, shape (batch, anchors)."""
    scores = directions[:, anchors] @ directions.mT / temperature
    times = torch.arange(directions.shape[1], device=anchors.device)
    apart = (times - anchors[:, None]).abs()
    near, far = (apart > 0) & (apart <= window), apart > window
    log_near, log_far = (
        scores.masked_fill(~which, -torch.inf).logsumexp(dim=2) for which in (near, far)
    )
    # -log(P / (P + N)) = log(1 + N / P), which keeps its digits where N / P is small.
    log_ratio = log_far - log_near
    return torch.logaddexp(log_ratio, torch.zeros_like(log_ratio))


def _directions(z: Tensor) -> Tensor:
    """Return codes of length 1; codes of zeros stay, with gradient 0."""
    # The largest entry is taken out first: squares of 1e200 overflow, those of 1e-200 are 0.
    largest = z.detach().abs().amax(dim=2, keepdim=True)
    zero = largest == 0.0
    # Both branches are differentiated: the one not taken must be finite, too.
    scaled = (z / largest.masked_fill(zero, 1.0)).masked_fill(zero, 1.0)
    unit = scaled / torch.linalg.vector_norm(scaled, dim=2, keepdim=True)
    return unit.masked_fill(zero, 0.0)


def _check_codes(z: Tensor) -> None:
    if not isinstance(z, Tensor) or not z.is_floating_point():
        shown = z.dtype if isinstance(z, Tensor) else type(z).__name__
        raise TypeError(f"z must be a floating-point tensor, got {shown}.")
    if z.ndim != 3 or not z.numel():
        raise ValueError(
            f"z must have shape (batch, time, d), none of them 0, got {tuple(z.shape)}. "
            "Give one sequence as z[None]."
        )
    bad = int((~torch.isfinite(z)).sum())
    if bad:
        raise ValueError(f"z must be finite, got {bad} NaN or infinite entries.")
