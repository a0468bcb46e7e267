"""Laws of neighbors, p(j | i) of all points j for every row i, made a block of rows at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

# Pairs in a block of rows: 4 MB of float64 for each intermediate tensor.
BLOCK_PAIRS = 2**19


Tensors = tuple[Tensor, ...]
Block = Callable[[slice, Tensors], Tensor]


@dataclass(frozen=True, eq=False, kw_only=True)
class NeighborLaw:
    """Law of the neighbors of every row, in the log domain.

    Args:
        rows: Number of rows i.
        columns: Number of points j.
        own: Whether points and rows are the same set, so that j = i is the row itself.
        exclude_self: Whether p(i | i) = 0.
        tensors: What the law is made of.
        block: Rows as a slice and the tensors -> log p(j | i), float64, shape (rows of the slice,
            columns). It reads nothing else that has a gradient.
        links: For sparse laws the points with p(j | i) > 0, shape (rows, k), and log p of them.
    """

    rows: int
    columns: int
    own: bool
    exclude_self: bool
    tensors: Tensors
    block: Block
    links: tuple[Tensor, Tensor] | None = None

    def log_rows(self, rows: slice) -> Tensor:
        """Return log p(j | i) of some rows, shape (rows of the slice, columns)."""
        return self.block(rows, self.tensors)


def blocks(rows: int, columns: int) -> Iterator[slice]:
    """Yield the rows in blocks of about `BLOCK_PAIRS` pairs."""
    size = max(1, BLOCK_PAIRS // columns)
    for start in range(0, rows, size):
        yield slice(start, min(start + size, rows))


def without_self(values: Tensor, rows: slice, fill: float = -math.inf) -> Tensor:
    """Return a block of rows with the pairs (i, i) replaced."""
    own = torch.arange(rows.start, rows.stop, device=values.device)[:, None]
    return values.masked_fill(own == torch.arange(values.shape[1], device=values.device), fill)


def from_kernel(
    log_kernel: Block, tensors: Tensors, *, own: bool, exclude_self: bool
) -> NeighborLaw:
    """Return p(j | i) = k(i, j) / sum_l k(i, l); the first tensors are of the rows and points."""

    def block(rows: slice, given: Tensors) -> Tensor:
        values = log_kernel(rows, given)
        return (without_self(values, rows) if exclude_self else values).log_softmax(dim=1)

    return NeighborLaw(
        rows=len(tensors[0]),
        columns=len(tensors[1]),
        own=own,
        exclude_self=exclude_self,
        tensors=tensors,
        block=block,
    )


def from_links(index: Tensor, columns: int, *, own: bool, exclude_self: bool) -> NeighborLaw:
    """Return the law that is uniform on the points (rows, k) listed for every row."""
    log_p = torch.full(
        index.shape, -math.log(index.shape[1]), dtype=torch.float64, device=index.device
    )

    def block(rows: slice, _: Tensors) -> Tensor:
        chosen = index[rows]
        empty = log_p.new_full((len(chosen), columns), -math.inf)
        return empty.scatter(1, chosen, log_p[rows])

    return NeighborLaw(
        rows=len(index),
        columns=columns,
        own=own,
        exclude_self=exclude_self,
        tensors=(),
        block=block,
        links=(index, log_p),
    )


def mixed(law: NeighborLaw, share: float) -> NeighborLaw:
    """Return (1 - share) p + share times the uniform law (of the other points without self)."""
    if share == 0.0:
        return law
    log_uniform = math.log(share) - math.log(law.columns - law.exclude_self)

    def block(rows: slice, given: Tensors) -> Tensor:
        kept = law.block(rows, given) + math.log1p(-share)
        values = torch.logaddexp(kept, kept.new_full((), log_uniform))
        return without_self(values, rows) if law.exclude_self else values

    return replace(law, block=block, links=None)


def walked(law: NeighborLaw, steps: int, *, shorter: bool) -> NeighborLaw:
    """Return the law after ``steps`` steps of the chain, or the mean over 1 ... steps."""
    if steps == 1:
        return law
    matrix: Tensors = ()
    if law.links is None:
        parts = [law.log_rows(rows).exp() for rows in blocks(law.rows, law.rows)]
        matrix = (torch.cat(parts),)

    def block(rows: slice, given: Tensors) -> Tensor:
        reached = given[0][rows] if given else law.block(rows, ()).exp()
        total = reached
        for _ in range(steps - 1):
            reached = reached @ given[0] if given else _along_links(reached, law)
            total = total + reached if shorter else reached
        if law.exclude_self:
            total = without_self(total, rows, 0.0)
        # A row that only returns to itself stays empty, and the loss says so.
        mass = total.sum(dim=1, keepdim=True)
        share = total / torch.where(mass > 0.0, mass, 1.0)
        held = share > 0.0
        return torch.where(held, share, 1.0).log().masked_fill(~held, -math.inf)

    return replace(law, tensors=matrix, block=block, links=None)


def _along_links(rows: Tensor, law: NeighborLaw) -> Tensor:
    """Return rows times the matrix of transitions of a sparse law."""
    reached = torch.zeros_like(rows)
    for index, log_p in zip(*(one.T for one in law.links or ()), strict=True):
        reached.index_add_(1, index, rows * log_p.exp())
    return reached
