"""Kernels as functions of a squared distance; samples are divided by the bandwidth before.

Each formula takes a tensor or a KeOps LazyTensor and gives the log of the kernel. A formula of
one's own is any such function; extra arguments are fixed by ``functools.partial``.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import Tensor

from infoest._validation import check_number

Formula: TypeAlias = Callable[[Any], Any]
"""Log-kernel, as a function of squared distances of any shape."""

InnerProduct: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Product of vectors with the matrix of a kernel that is an inner product: `linear`, `cosine`."""

# Log of a kernel that is 0, where infinity would become NaN; and what keeps a log above it.
NOTHING, TINY = -1e30, 1e-30


def gaussian(squared_distance: Any) -> Any:
    """Return log exp(-d^2 / 2): after scaling, the bandwidth is the standard deviation.

    Args:
        squared_distance: Squared distances d^2, any shape.

    Example:
        >>> import torch
        >>> gaussian(torch.tensor([0.0, 4.0]))
        tensor([-0., -2.])
    """
    return squared_distance * -0.5


def laplace(squared_distance: Any) -> Any:
    """Return log exp(-d): the bandwidth is the decay length. Points that coincide have gradient 0.

    Args:
        squared_distance: Squared distances d^2, any shape.

    Example:
        >>> import torch
        >>> laplace(torch.tensor([0.0, 4.0]))
        tensor([-0., -2.])
    """
    if isinstance(squared_distance, Tensor):
        apart = squared_distance > 0.0
        # Both branches are differentiated: the one not taken must be finite, too.
        return -squared_distance.where(apart, 1.0).sqrt().where(apart, 0.0)
    return -squared_distance.sqrt()


def student(squared_distance: Any, freedom: float = 1.0) -> Any:
    """Return log (1 + d^2 / freedom)^(-(freedom + 1) / 2), Student's t; 1 gives Cauchy's kernel.

    The rational quadratic kernel (1 + r^2 / (2 a l^2))^-a is this one with freedom = 2 a - 1 and
    the bandwidth l sqrt(2 a / (2 a - 1)), for a > 1/2.

    Args:
        squared_distance: Squared distances d^2, any shape.
        freedom: Degrees of freedom, positive.

    Raises:
        ValueError: If ``freedom`` is not positive and finite.

    Example:
        >>> import torch
        >>> student(torch.tensor([0.0, 1.0])).exp()
        tensor([1.0000, 0.5000])
    """
    freedom = check_number("freedom", freedom, low=0.0, open_low=True)
    return (squared_distance * (1.0 / freedom) + 1.0).log() * (-0.5 * (freedom + 1.0))


def epanechnikov(squared_distance: Any) -> Any:
    """Return log max(0, 1 - d^2): -inf beyond one bandwidth, with gradient 0 there.

    Args:
        squared_distance: Squared distances d^2, any shape.

    Example:
        >>> import torch
        >>> epanechnikov(torch.tensor([0.0, 0.75, 4.0])).exp()
        tensor([1.0000, 0.2500, 0.0000])
    """
    if isinstance(squared_distance, Tensor):
        inside = squared_distance < 1.0
        # Both branches are differentiated: the one not taken must be finite, too.
        return torch.log1p(-squared_distance.where(inside, 0.0)).where(inside, -torch.inf)
    inside = 1.0 - squared_distance
    return inside.ifelse((inside.relu() + TINY).log(), inside * 0.0 + NOTHING)


def linear(x: Tensor, y: Tensor, v: Tensor) -> Tensor:
    """Return sum_j <x_i, y_j> v_j for `kernel_matvec`: products in d columns, no matrix of pairs.

    Args:
        x: Samples, shape (n, d).
        y: Samples, shape (m, d).
        v: Vectors, shape (m, p).
    """
    return x @ (y.mT @ v)


def cosine(x: Tensor, y: Tensor, v: Tensor) -> Tensor:
    """Return sum_j <x_i, y_j> / (|x_i| |y_j|) v_j for `kernel_matvec`; a zero row gives 0.

    Args:
        x: Samples, shape (n, d).
        y: Samples, shape (m, d).
        v: Vectors, shape (m, p).
    """
    normalize = torch.nn.functional.normalize
    return linear(normalize(x), normalize(y), v)
