"""Gaussian kernel sums by tiles that stay in the cache: one matrix product, exp in place, one sum.

log k(x_i, y_j) = x_i y_j - |x_i|^2 / 2 - |y_j|^2 / 2 is one product of two augmented matrices, made
a tile at a time and never kept. The backward pass makes the tiles again. Where x is y, only tiles
on and above the diagonal are made.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

# Largest sum of the greatest squared norms of x and y: what the expansion then loses is below 1e-5
# of a log-kernel in float32, and below 1e-9 in float64.
LARGEST_NORMS = {torch.float32: 100.0, torch.float64: 1e6}
# Below this a row's sum may have lost terms to underflow and is made again with a shift.
SAFE_SUM = {torch.float32: 1e-25, torch.float64: 1e-280}
# exp of this is far from overflow, even times a gradient.
SAFE_EXPONENT = {torch.float32: 60.0, torch.float64: 600.0}
# Rows and columns of a tile, the first a multiple of the second: 2 MB of float32, half of them for
# each of two cores, on a CPU; a GPU wants enough pairs for all its cores.
TILE = {"cpu": (1024, 512), "cuda": (4096, 4096)}
# Slices of rows of a tile that are multiplied by themselves.
SLICES = 8

# The same sum as a function of differentiable parts, for second derivatives.
Again = Callable[..., Tensor]


def can_expand(x: Tensor, y: Tensor) -> bool:
    """Return whether the expansion of the squared distance keeps the digits of the dtype."""
    return largest_norms(x, y) <= LARGEST_NORMS[x.dtype]


def largest_norms(x: Tensor, y: Tensor) -> float:
    """Return the sum of the greatest squared norms of x and of y."""
    return sum(float(side.detach().square().sum(dim=1).max()) for side in (x, y))


def logsumexp(
    x: Tensor,
    y: Tensor,
    weights: Tensor | None,
    log_weights: Tensor | None,
    exclude_self: bool,
    *,
    again: Again,
) -> Tensor:
    """Return log sum_j w_j k(x_i, y_j), shape (n,).

    Args:
        x: Scaled and centered query points, shape (n, d).
        y: Points summed over, shape (m, d); ``x`` itself halves the work.
        weights: Weights of y, shape (m,), or None.
        log_weights: Their logs instead, or None.
        exclude_self: Leave out the pairs (i, i).
        again: The same sum of (x, y, weights, log_weights) by differentiable operations.
    """
    other = None if y is x else y
    sums: Tensor = _LogSum.apply(x, other, weights, log_weights, exclude_self, again)
    return sums


def matvec(x: Tensor, y: Tensor, v: Tensor, exclude_self: bool, *, again: Again) -> Tensor:
    """Return sum_j k(x_i, y_j) v_j, shape (n, p), as `logsumexp` does."""
    product: Tensor = _Product.apply(x, None if y is x else y, v, exclude_self, again)
    return product


class _LogSum(torch.autograd.Function):
    """`logsumexp` with a backward pass that keeps no tile."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        y: Tensor | None,
        weights: Tensor | None,
        log_weights: Tensor | None,
        exclude_self: bool,
        again: Again,
    ) -> Tensor:
        points = x if y is None else y
        if log_weights is None:
            sums = _plain_sums(x, y, weights, exclude_self)
            log_sums = sums.log()
            lost = (sums < SAFE_SUM[x.dtype]).nonzero().squeeze(1)
        else:
            log_sums = x.new_empty(len(x), dtype=torch.float64)
            lost = torch.arange(len(x), device=x.device)
        if len(lost):
            logs = weights.log() if weights is not None else log_weights
            log_sums[lost] = _shifted_log_sums(x, points, logs, lost, exclude_self)
        log_sums = log_sums.to(x.dtype)
        ctx.save_for_backward(x, y, weights, log_weights, log_sums)
        ctx.exclude_self, ctx.again = exclude_self, again
        return log_sums

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        (grad,) = grads
        x, y, weights, log_weights, log_sums = ctx.saved_tensors
        if torch.is_grad_enabled():  # someone wants second derivatives
            inputs = (x, y, weights, log_weights)
            points = x if y is None else y
            output = ctx.again(x, points, weights, log_weights)
            return (*_differentiable(output, inputs, grad, ctx.needs_input_grad), None, None)
        found: tuple[Tensor | None, ...]
        safe = SAFE_EXPONENT[x.dtype]
        half = y is None and log_weights is None and not ctx.needs_input_grad[2]
        if half and bool((log_sums.abs() < safe).all()):
            shares = grad * torch.exp(-log_sums)
            found = (_gradient_of_half(x, shares, weights, ctx.exclude_self), None, None, None)
        else:
            found = _gradient_of_sums(ctx, grad)
        return (*found, None, None)


class _Product(torch.autograd.Function):
    """`matvec` with a backward pass that keeps no tile."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, y: Tensor | None, v: Tensor, exclude_self: bool, again: Again
    ) -> Tensor:
        ctx.save_for_backward(x, y, v)
        ctx.exclude_self, ctx.again = exclude_self, again
        return _product(x, y, v, exclude_self).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        (grad,) = grads
        x, y, v = ctx.saved_tensors
        points = x if y is None else y
        if torch.is_grad_enabled():
            output = ctx.again(x, points, v)
            return (*_differentiable(output, (x, y, v), grad, ctx.needs_input_grad), None, None)
        grad_v = grad_x = grad_y = None
        if ctx.needs_input_grad[2]:
            others = None if y is None else x
            grad_v = _product(points, others, grad, ctx.exclude_self).to(v.dtype)
        if ctx.needs_input_grad[0] or ctx.needs_input_grad[1]:
            grad_x, grad_y = _gradient_of_product(x, points, v, grad, ctx.exclude_self)
            if y is None:
                grad_x, grad_y = grad_x + grad_y, None
        return grad_x, grad_y, grad_v, None, None


def _differentiable(
    output: Tensor, inputs: tuple[Tensor | None, ...], grad: Tensor, needed: tuple[bool, ...]
) -> list[Tensor | None]:
    """Return the gradients of the inputs that need one, as parts of the graph."""
    wanted = [some for some, need in zip(inputs, needed, strict=False) if need and some is not None]
    found = iter(
        torch.autograd.grad(output, wanted, grad, create_graph=True, materialize_grads=True)
    )
    return [next(found) if need else None for need in needed[: len(inputs)]]


# ----------------------------------------------------------------------------------- forward passes


def _plain_sums(x: Tensor, y: Tensor | None, weights: Tensor | None, exclude_self: bool) -> Tensor:
    """Return sum_j w_j k_ij in float64, without a shift."""
    left, right = _factors(x, x if y is None else y)
    sums = x.new_zeros(len(x), dtype=torch.float64)
    for rows, columns, tile in _kernel_tiles(left, right, exclude_self, half=y is None):
        sums[rows] += tile.sum(dim=1) if weights is None else tile @ weights[columns]
        if y is None and _mirrored(rows, columns):
            sums[columns] += _sums_over_rows(tile, None if weights is None else weights[rows])
    return sums


def _shifted_log_sums(
    x: Tensor, y: Tensor, log_weights: Tensor | None, some: Tensor, exclude_self: bool
) -> Tensor:
    """Return log sum_j w_j k_ij of some rows, shifted by a running maximum, in float64."""
    left, right = _factors(x[some], y, log_weights)
    lowest = torch.finfo(x.dtype).min / 4.0
    right = right.clamp(min=lowest)  # the log of weight 0
    top = x.new_full((len(some),), lowest)
    sums = x.new_zeros(len(some), dtype=torch.float64)
    for rows, columns, tile in _tiles(left, right, half=False):
        if exclude_self:
            own = some[rows] - columns.start
            inside = ((own >= 0) & (own < tile.shape[1])).nonzero().squeeze(1)
            tile[inside, own[inside]] = lowest
        higher = torch.maximum(top[rows], tile.amax(dim=1))
        sums[rows] *= torch.exp((top[rows] - higher).double())
        top[rows] = higher
        sums[rows] += tile.sub_(higher[:, None]).exp_().sum(dim=1)
    log_sums = sums.log() + top
    return log_sums.masked_fill(log_sums < 0.5 * lowest, -torch.inf)


def _product(x: Tensor, y: Tensor | None, v: Tensor, exclude_self: bool) -> Tensor:
    """Return K v in float64."""
    # Columns are brought to unit size, so that float32 neither overflows nor underflows.
    size = v.abs().amax(dim=0).clamp(min=torch.finfo(v.dtype).tiny)
    unit = _padded(v / size)
    left, right = _factors(x, x if y is None else y)
    at_rows, at_columns = _Rows(unit, len(x)), _Columns(unit, len(x))
    for rows, columns, tile in _kernel_tiles(left, right, exclude_self, half=y is None):
        at_rows.add(rows, columns, tile)
        if y is None and _mirrored(rows, columns):
            at_columns.add(rows, columns, tile)
    total = at_rows.total() + at_columns.total() if y is None else at_rows.total()
    return total[:, : v.shape[1]] * size


# ---------------------------------------------------------------------------------- backward passes


def _gradient_of_sums(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    """Return the gradients of x, y, weights and log_weights.

    With p_ij = w_j k_ij / sum_j w_j k_ij: grad_x_i = -g_i (x_i - sum_j p_ij y_j),
    grad_y_j = -sum_i g_i p_ij (y_j - x_i) and grad_w_j = sum_i g_i p_ij / w_j.
    """
    x, y, weights, log_weights, log_sums = ctx.saved_tensors
    points = x if y is None else y
    # A row without a kernel in reach is constant: -inf.
    none = log_sums == -torch.inf
    grad = grad.masked_fill(none, 0.0)
    left, right = _factors(x, points, log_weights)
    left[:, -2] -= log_sums.masked_fill(none, torch.finfo(x.dtype).max / 4.0)
    right = right.clamp(min=torch.finfo(x.dtype).min / 4.0)
    to_x = _with_ones(points) if weights is None else _with_ones(points) * weights[:, None]
    at_x = _Rows(to_x, len(x))
    at_y = _Columns(_with_ones(x) * grad[:, None], len(points))
    one_sided = y is not None and not any(ctx.needs_input_grad[1:4])
    for rows, columns, tile in _tiles(left, right, half=False):
        if weights is not None:  # a near point of weight 0 is beyond the sum
            tile.clamp_(max=SAFE_EXPONENT[x.dtype])
        tile.exp_()
        if ctx.exclude_self:
            _clear_diagonal(tile, rows, columns)
        at_x.add(rows, columns, tile)
        if not one_sided:
            at_y.add(rows, columns, tile)
    grad_x = grad[:, None] * _toward(at_x.total(), x)
    grad_y = _toward(at_y.total(), points)
    if weights is not None:
        grad_y = weights[:, None] * grad_y
    if y is None:
        grad_x = grad_x + grad_y
    of_weights = at_y.total()[:, x.shape[1]].to(x.dtype)
    return (
        grad_x.to(x.dtype),
        None if y is None else grad_y.to(x.dtype),
        None if weights is None else of_weights,
        None if log_weights is None else of_weights,
    )


def _gradient_of_half(
    x: Tensor, shares: Tensor, weights: Tensor | None, exclude_self: bool
) -> Tensor:
    """Return -sum_j (a_i w_j + a_j w_i) k_ij (x_i - x_j), shape (n, d), a_i = g_i / sum_j w_j k_ij.

    The gradient where x is y, from tiles on and above the diagonal.
    """
    left, right = _factors(x, x)
    points = _with_ones(x)
    at_rows, at_columns = _Rows(points, len(x)), _Columns(points, len(x))
    both = x.new_empty(math.prod(_shape(x)))
    for rows, columns, tile in _kernel_tiles(left, right, exclude_self, half=True):
        factor = both[: tile.numel()].view(tile.shape)
        if weights is None:
            torch.add(shares[rows, None], shares[columns], out=factor)
        else:
            torch.outer(shares[rows], weights[columns], out=factor)
            factor.addcmul_(weights[rows, None], shares[columns])
        tile.mul_(factor)
        at_rows.add(rows, columns, tile)
        if _mirrored(rows, columns):
            at_columns.add(rows, columns, tile)
    return _toward(at_rows.total() + at_columns.total(), x).to(x.dtype)


def _gradient_of_product(
    x: Tensor, y: Tensor, v: Tensor, grad: Tensor, exclude_self: bool
) -> tuple[Tensor, Tensor]:
    """Return the gradients of x and y: with M = K o (g v'), grad_x = M y - (M 1) x and so on."""
    left, right = _factors(x, y)
    at_x, at_y = _Rows(_with_ones(y), len(x)), _Columns(_with_ones(x), len(y))
    both = x.new_empty(math.prod(_shape(x)))
    for rows, columns, tile in _kernel_tiles(left, right, exclude_self, half=False):
        factor = both[: tile.numel()].view(tile.shape)
        torch.mm(grad[rows], v[columns].mT, out=factor)
        tile.mul_(factor)
        at_x.add(rows, columns, tile)
        at_y.add(rows, columns, tile)
    return _toward(at_x.total(), x).to(x.dtype), _toward(at_y.total(), y).to(x.dtype)


class _Rows:
    """Sums over columns of tile entries times vectors, in float64."""

    def __init__(self, vectors: Tensor, n: int) -> None:
        self.vectors = vectors
        self.sums = vectors.new_zeros((n, vectors.shape[1]), dtype=torch.float64)

    def add(self, rows: slice, columns: slice, tile: Tensor) -> None:
        vectors = self.vectors[columns]
        products = tile.new_empty(len(tile), vectors.shape[1])
        multiply(tile, vectors, products)
        self.sums[rows] += products

    def total(self) -> Tensor:
        """Return the sums, shape (n, p)."""
        return self.sums


class _Columns:
    """Sums over rows of tile entries times vectors, in float64."""

    def __init__(self, vectors: Tensor, m: int) -> None:
        self.vectors = vectors.mT.contiguous()
        self.sums = vectors.new_zeros((vectors.shape[1], m), dtype=torch.float64)

    def add(self, rows: slice, columns: slice, tile: Tensor) -> None:
        n_slices = _slices(tile)
        vectors = self.vectors[:, rows].unflatten(1, (n_slices, -1)).transpose(0, 1)
        products = torch.bmm(vectors, tile.unflatten(0, (n_slices, -1)))
        self.sums[:, columns] += products.sum(dim=0)

    def total(self) -> Tensor:
        """Return the sums, shape (m, p)."""
        return self.sums.mT


def _toward(sums: Tensor, x: Tensor) -> Tensor:
    """Return sum_j M_ij (y_j - x_i) from the sums of M_ij times `_with_ones` of y, float64."""
    d = x.shape[1]
    return sums[:, :d] - sums[:, d : d + 1] * x


# ---------------------------------------------------------------------------------------- the tiles


def _factors(x: Tensor, y: Tensor, log_weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return matrices (n, d + 2) and (m, d + 2) whose product holds the (weighted) log-kernels."""
    half_x, half_y = (-0.5 * side.square().sum(dim=1, keepdim=True) for side in (x, y))
    if log_weights is not None:
        half_y = half_y + log_weights[:, None]
    left = torch.cat([x, half_x, torch.ones_like(half_x)], dim=1)
    return left, torch.cat([y, torch.ones_like(half_y), half_y], dim=1)


def _with_ones(x: Tensor) -> Tensor:
    return _padded(torch.cat([x, torch.ones_like(x[:, :1])], dim=1))


def _padded(vectors: Tensor) -> Tensor:
    """Return the vectors with columns of zeros up to a multiple of 8: a third faster products."""
    return torch.nn.functional.pad(vectors, (0, -vectors.shape[1] % 8))


def _shape(x: Tensor) -> tuple[int, int]:
    return TILE["cpu" if x.device.type == "cpu" else "cuda"]


def _tiles(left: Tensor, right: Tensor, *, half: bool) -> Iterator[tuple[slice, slice, Tensor]]:
    """Yield rows, columns and log-kernels of every tile; all tiles share one piece of memory.

    With ``half`` tiles on and above the diagonal: of a block of rows those that cross the
    diagonal, which hold each of their pairs both ways, and those beyond it (see `_mirrored`).
    """
    n_rows, n_columns = _shape(left)
    memory = left.new_empty(n_rows * n_columns)
    transposed = right.mT
    for top in range(0, len(left), n_rows):
        rows = slice(top, min(top + n_rows, len(left)))
        for start in range(top if half else 0, len(right), n_columns):
            columns = slice(start, min(start + n_columns, len(right)))
            shape = rows.stop - rows.start, columns.stop - columns.start
            tile = memory[: shape[0] * shape[1]].view(shape)
            multiply(left[rows], transposed[:, columns], tile)
            yield rows, columns, tile


def multiply(left: Tensor, right: Tensor, product: Tensor) -> None:
    """Write left @ right by slices of rows: cores find what they wrote in their own cache.

    A plain product of a tile takes twice as long, since it cuts the tile along other lines than
    the functions that read and write it before and after.
    """
    n_slices = _slices(left)
    torch.bmm(
        left.unflatten(0, (n_slices, -1)),
        right.expand(n_slices, -1, -1),
        out=product.unflatten(0, (n_slices, -1)),
    )


def _sums_over_rows(tile: Tensor, weights: Tensor | None) -> Tensor:
    """Return (weighted) column sums, by slices of rows as `multiply` does."""
    sliced = tile.unflatten(0, (_slices(tile), -1))
    if weights is None:
        return sliced.sum(dim=1).sum(dim=0)
    return torch.bmm(weights.view(len(sliced), 1, -1), sliced).sum(dim=0).squeeze(0)


def _slices(tile: Tensor) -> int:
    return SLICES if len(tile) % SLICES == 0 else 1


def _mirrored(rows: slice, columns: slice) -> bool:
    """Whether a tile above the diagonal stands for the one below, too."""
    return columns.start >= rows.stop


def _kernel_tiles(
    left: Tensor, right: Tensor, exclude_self: bool, *, half: bool
) -> Iterator[tuple[slice, slice, Tensor]]:
    """Yield rows, columns and kernels of every tile."""
    for rows, columns, tile in _tiles(left, right, half=half):
        tile.exp_()
        if exclude_self:
            _clear_diagonal(tile, rows, columns)
        yield rows, columns, tile


def _clear_diagonal(tile: Tensor, rows: slice, columns: slice) -> None:
    if columns.start < rows.stop and rows.start < columns.stop:
        tile.diagonal(offset=rows.start - columns.start).zero_()
