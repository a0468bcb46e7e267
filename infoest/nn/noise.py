"""Additive Gaussian noise of a stated size."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from infoest._validation import check_bool, check_number
from infoest.functional._scores import check_finite, check_floating, wide


class NoiseLayer(nn.Module):
    """Add Gaussian noise: a channel of finite information after a deterministic layer.

    The size is either a standard deviation or a ratio of powers. With ``signal_to_noise`` the noise
    of a column (each position but the first axis) has the variance of that column in the batch
    divided by the ratio, in training and in evaluation: the layer has no running average, hence no
    state, and is right in a trained model, too. The gradient flows through that variance, so that
    a larger signal does not look like less noise.

    Args:
        signal_to_noise: Ratio of the variances of signal and noise, above 0; 10 is 10 dB. A
            column that is constant in the batch stays without noise.
        std: Standard deviation of the noise in the units of the input, above 0. Exactly one of
            the two must be given.
        always: Whether noise is added in evaluation, too: an information plane needs it there,
            without it the information is infinite or log n. False adds it in training only.

    Raises:
        TypeError: If a size is not a number or ``always`` not a bool.
        ValueError: If both sizes or none are given, or one is not positive.

    Note:
        The information of d columns through noise of ``signal_to_noise=r`` is at most
        d/2 log(1 + r) nats (with the variance of the law; that of a small batch scatters). Rows
        are noised by what the batch as a whole is: with ``signal_to_noise`` a batch needs two
        rows, and ``std=`` is the choice for single ones.

    References:
        Shannon (1949), Proc. IRE 37, 10 (capacity of the Gaussian channel).

    Example:
        >>> _ = torch.manual_seed(0)
        >>> x = 3.0 * torch.randn(10_000, 1)
        >>> noise = NoiseLayer(signal_to_noise=9.0)(x) - x
        >>> abs(noise.std().item() - 1.0) < 0.05
        True
    """

    def __init__(
        self,
        *,
        signal_to_noise: float | None = None,
        std: float | None = None,
        always: bool = True,
    ) -> None:
        super().__init__()
        if (signal_to_noise is None) == (std is None):
            raise ValueError(
                "signal_to_noise and std must be given one without the other, "
                f"got {signal_to_noise!r} and {std!r}."
            )
        if signal_to_noise is not None:
            check_number("signal_to_noise", signal_to_noise, low=0.0, open_low=True)
        else:
            check_number("std", std, low=0.0, open_low=True)
        check_bool("always", always)
        self.signal_to_noise, self.std, self.always = signal_to_noise, std, always

    def forward(self, x: Tensor) -> Tensor:
        """Return x with noise, in its shape and dtype.

        Args:
            x: Shape (n, ...), floating point; n at least 2 with ``signal_to_noise``.

        Raises:
            TypeError: If x is not a floating-point tensor.
            ValueError: If x has too few rows or, on a CPU, values that are not finite.
        """
        check_floating("x", x)
        if x.ndim < 1 or not x.numel():
            raise ValueError(f"x must have shape (n, ...), none of them 0, got {tuple(x.shape)}.")
        check_finite("x", x)
        if not (self.training or self.always):
            return x
        signal = wide(x)
        noise = torch.randn_like(signal)
        if self.std is not None:
            noise = self.std * noise
        elif self.signal_to_noise is not None:
            noise = _noise_std(signal, self.signal_to_noise) * noise
        return (signal + noise).to(x.dtype)

    def extra_repr(self) -> str:
        """Return the settings shown in the representation."""
        size = (
            f"std={self.std}" if self.std is not None else f"signal_to_noise={self.signal_to_noise}"
        )
        return f"{size}, always={self.always}"


def _noise_std(x: Tensor, signal_to_noise: float) -> Tensor:
    if len(x) < 2:
        raise ValueError(
            "x must have at least 2 rows with signal_to_noise, a ratio of variances in the "
            f"batch, got {len(x)}. Give std= for single rows."
        )
    variance = x.var(dim=0) / signal_to_noise
    # The square root of 0 has no gradient; clamped, that of a constant column is 0.
    tiny = torch.finfo(x.dtype).tiny
    return variance.clamp_min(tiny).sqrt() * (variance > tiny)
