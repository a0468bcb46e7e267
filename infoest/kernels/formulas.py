"""Kernels as functions of a squared distance; samples are divided by the bandwidth before."""

from collections.abc import Callable
from typing import TypeAlias

from torch import Tensor

Formula: TypeAlias = Callable[[Tensor], Tensor]
"""Log-kernel, as a function of squared distances of any shape."""


def gaussian(squared_distance: Tensor) -> Tensor:
    """Return log exp(-d^2 / 2): after scaling, the bandwidth is the standard deviation.

    Args:
        squared_distance: Squared distances d^2, any shape.

    Example:
        >>> import torch
        >>> gaussian(torch.tensor([0.0, 4.0]))
        tensor([-0., -2.])
    """
    return squared_distance * -0.5
