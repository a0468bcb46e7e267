"""What sorted samples say, column by column: entropy and distances. Torch, differentiable."""

import math

import torch
from torch import Tensor

from infoest._validation import check_bool, check_int, check_number
from infoest.kernels._samples import result_dtype

from ._scores import check_finite, check_floating
from .divergences import with_two_axes


def spacing_entropy(u: Tensor, m: int | None = None, correct_bias: bool = False) -> Tensor:
    """Return the m-spacing entropy of every column, in nats.

    h = mean over i = 1 ... n - m of log[(n + 1) / m (u_(i+m) - u_(i))] with the sorted values u_(i)
    of the column.

    Args:
        u: Samples, shape (n, d), or (n,) for one column; floating point, n at least 2.
        m: Width of a spacing in ranks, in [1, n - 1]; None takes round(sqrt(n)).
        correct_bias: Add log m - digamma(m), about 1/(2m), by which the published value is low.

    Returns:
        One value per column, shape (d,), in the dtype of u, at least float32; 0 for the even
        grid k / (n + 1), for any m. Differentiable in
        u: only the ends of a spacing feel a force.

    Raises:
        TypeError: If u is not a floating-point tensor, m no integer or correct_bias no bool.
        ValueError: If u has no shape (n, d), fewer than 2 rows or values that are not finite
            (looked for on CPU tensors only), or m is out of range.

    Note:
        Spacings below the resolution of u (the largest value of the column times the epsilon of
        its dtype) count as that resolution and have gradient 0, so that ties and saturated units
        give a finite value, where the truth is -inf. Edges are not corrected: for unbounded laws
        the value is biased as m / n grows. Of each column alone, not a joint entropy.

    References:
        Vasicek (1976), J. Roy. Stat. Soc. B 38, 54. Beirlant, Dudewicz, Gyorfi, van der Meulen
        (1997), sec. 2.4 (the bias). Chakraborty, LeCun, Rudner, Learned-Miller (2025), AISTATS,
        arXiv 2411.15931 (as a training objective).

    Example:
        >>> import torch
        >>> u = torch.arange(1, 100, dtype=torch.float64) / 100.0
        >>> bool(spacing_entropy(u).abs() < 1e-12), spacing_entropy(8.0 * u)  # log 8
        (True, tensor([2.0794], dtype=torch.float64))
    """
    u = with_two_axes(u)
    check_bool("correct_bias", correct_bias)
    _check_columns("u", u)
    n_rows = len(u)
    if n_rows < 2:
        raise ValueError("u must have at least 2 rows, got 1. One value has no spacing.")
    if m is None:
        m = round(math.sqrt(n_rows))
    m = check_int("m", m, low=1, high=n_rows - 1)
    largest = u.detach().double().abs().amax(dim=0)
    resolution = (torch.finfo(u.dtype).eps * largest).clamp(min=torch.finfo(torch.float64).tiny)
    ordered = u.double().sort(dim=0).values
    gaps = (ordered[m:] - ordered[:-m]).clamp(min=resolution)
    entropy = gaps.log().mean(dim=0) + math.log((n_rows + 1) / m)
    if correct_bias:
        entropy = entropy + (math.log(m) - float(torch.digamma(torch.tensor(m).double())))
    return entropy.to(result_dtype(u, u))


def wasserstein_1d(x: Tensor, y: Tensor, *, order: float = 1.0) -> Tensor:
    """Return the Wasserstein distance of two samples on a line, exactly, in the unit of the data.

    W = (integral over (0, 1) of |F^-1(t) - G^-1(t)|^order dt)^(1 / order) with the quantile
    functions of both samples; sorting, O((n + m) log(n + m)).

    Args:
        x: Samples of the first law, shape (n,), or (n, d) for d laws at once (projections).
        y: Samples of the second, shape (m,) or (m, d), on the device of ``x``; m may differ.
        order: Power of the cost, at least 1.

    Returns:
        Scalar tensor for 1-D samples, else one distance per column, shape (d,); in the wider dtype
        of x and y, at least float32; at least 0. Differentiable in x and y; at distance 0 the
        gradient is 0.

    Raises:
        TypeError: If x or y is not a floating-point tensor or order is not a number.
        ValueError: If shapes or devices do not fit, values are not finite (looked for on CPU
            tensors only) or order is below 1.

    Note:
        Of the samples: between two samples of one law it is positive, about n^(-1/2).

    References:
        Villani (2003), Topics in Optimal Transportation, Theorem 2.18.

    Example:
        >>> import torch
        >>> wasserstein_1d(torch.tensor([0.0, 1.0, 3.0]), torch.tensor([5.0, 6.0, 8.0]))
        tensor(5.)
    """
    check_number("order", order, low=1.0)
    columns_x, columns_y = with_two_axes(x), with_two_axes(y)
    _check_columns("x", columns_x)
    _check_columns("y", columns_y)
    if columns_x.shape[1] != columns_y.shape[1] or x.device != y.device:
        raise ValueError(
            "x and y must have the same number of columns on one device, got "
            f"{columns_x.shape[1]} on {x.device} and {columns_y.shape[1]} on {y.device}."
        )
    n_x, n_y = len(columns_x), len(columns_y)
    # Both quantile functions are constant between levels i / n and j / m: in units of 1 / (n m)
    # these are integers, and exact.
    first = torch.arange(1, n_x + 1, device=x.device) * n_y
    second = torch.arange(1, n_y + 1, device=x.device) * n_x
    ends = torch.cat([first, second]).sort().values
    starts = torch.cat([ends.new_zeros(1), ends[:-1]])
    widths = (ends - starts).double() / (n_x * n_y)
    last = n_x * n_y - 1  # a level counted twice has width 0 and may begin at the end
    rows_x, rows_y = (starts.clamp(max=last) // n for n in (n_y, n_x))
    sorted_x, sorted_y = (side.double().sort(dim=0).values for side in (columns_x, columns_y))
    apart = (sorted_x[rows_x] - sorted_y[rows_y]).abs()
    distance = _power_mean(apart, widths, float(order)).to(result_dtype(x, y))
    return distance[0] if x.ndim == 1 and y.ndim == 1 else distance


def _power_mean(values: Tensor, weights: Tensor, order: float) -> Tensor:
    """Return (sum_i weights_i values_i^order)^(1 / order) of every column."""
    if order == 1.0:
        return weights @ values
    # The largest is taken out first: powers of it overflow or vanish.
    largest = values.detach().amax(dim=0)
    zero = largest == 0.0
    largest = largest.masked_fill(zero, 1.0)
    powers = (weights @ (values / largest).pow(order)).masked_fill(zero, 1.0)
    # Both branches are differentiated: a root of 0 has an infinite derivative.
    return (largest * powers.pow(1.0 / order)).masked_fill(zero, 0.0)


def _check_columns(name: str, sample: Tensor) -> None:
    check_floating(name, sample)
    if sample.ndim != 2 or not sample.numel():
        raise ValueError(
            f"{name} must have shape (n,) or (n, d), none of them 0, got {tuple(sample.shape)}."
        )
    check_finite(name, sample)
