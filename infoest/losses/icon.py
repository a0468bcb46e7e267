"""One loss for many methods: neighbors in the data against neighbors in a representation. Torch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from infoest._validation import check_option
from infoest.functional._scores import may_read

from ._neighbor_laws import NeighborLaw, blocks
from ._neighbor_points import Points
from .bottleneck import REDUCTIONS
from .neighbors import Neighbors


class IConResult(NamedTuple):
    """Result of `IConLoss`: loss = cross_entropy - entropy.

    Attributes:
        loss: KL(p || q) in nats, to be minimized.
        cross_entropy: -sum_j p(j | i) log q(j | i) in nats: what SupCon and others report.
        entropy: Of p(. | i) in nats, a constant where p has nothing to learn.
    """

    loss: Tensor
    cross_entropy: Tensor
    entropy: Tensor


class IConLoss(nn.Module):
    r"""I-Con: divergence of neighbors in a representation from neighbors in the data, in nats.

    mean_i KL(p(. | i) || q(. | i)) = mean_i sum_j p(j | i) log[p(j | i) / q(j | i)].

    | method | p | q |
    |---|---|---|
    | SNE | Gaussian, perplexity | Gaussian |
    | conditional t-SNE | Gaussian, perplexity | Student-t, freedom 1 |
    | NT-Xent (SimCLR) | pairs | Gaussian, cosine, bandwidth sqrt(tau) |
    | CLIP, one direction | pairs, two sets | Gaussian, cosine, two sets |
    | SupCon | labels | Gaussian, cosine |
    | cross-entropy | labels of rows and of prototypes | Gaussian, dot |
    | label smoothing | the same, ``.mixed(share)`` | the same |
    | clustering | nearest, ``.walk(steps)``, ``.mixed(share)`` | clusters |

    Args:
        p: Neighbors in the data, of `infoest.losses.neighbors`.
        q: Neighbors in the representation.
        reduction: ``"mean"`` and ``"sum"`` over rows, or ``"none"``, which keeps them.

    Raises:
        TypeError: If p or q are no neighbors.
        ValueError: If reduction is unknown.

    Note:
        Rows are handled in blocks, whose pairs are computed again in the backward pass: memory
        grows linearly with rows, time with all pairs. The usual t-SNE normalizes over all pairs at
        once and is not among these. The loss bounds no mutual information by itself.

    References:
        Alshammari, Hershey, Feldmann, Freeman, Hamilton (2025), ICLR, arXiv 2504.16929, eq. 1 and
        table 1. Hinton, Roweis (2002), NIPS (SNE). Khosla et al. (2020), NeurIPS, eq. 2 (SupCon).

    Example:
        >>> from infoest.losses.neighbors import GaussianNeighbors, LabelNeighbors
        >>> loss = IConLoss(LabelNeighbors(), GaussianNeighbors(metric="cosine", bandwidth=0.3))
        >>> z = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]])
        >>> together = loss(torch.tensor([0, 0, 1, 1]), z).loss
        >>> bool(together < loss(torch.tensor([0, 1, 0, 1]), z).loss)
        True
    """

    def __init__(self, p: Neighbors, q: Neighbors, *, reduction: str = "mean") -> None:
        super().__init__()
        for name, law in (("p", p), ("q", q)):
            if not isinstance(law, Neighbors):
                raise TypeError(
                    f"{name} must be neighbors of infoest.losses.neighbors, such as "
                    f"GaussianNeighbors(), got {law!r}."
                )
        check_option("reduction", reduction, REDUCTIONS)
        self.p, self.q, self.reduction = p, q, reduction

    def forward(self, x: Points | NeighborLaw, z: Points | NeighborLaw) -> IConResult:
        """Return the loss and its parts.

        Args:
            x: What p is made from (features, labels, partners: see its class), for two sets a pair
                (rows, points); or a law that was made before, ``p(x)``, which saves the work of
                doing so at every step.
            z: What q is made from, in the same order of rows and points.

        Returns:
            Scalars, or shape (rows,) with ``reduction="none"``; differentiable in x and z (of many
            rows once), in the wider dtype of both, float32 at least.

        Raises:
            TypeError: If a tensor has the wrong dtype.
            ValueError: If shapes do not fit, or (on the CPU) values are not finite, a row has no
                neighbor, or q is 0 where p is not.
        """
        q = z if isinstance(z, NeighborLaw) else self.q(z, name="z")
        p = x if isinstance(x, NeighborLaw) else self.p(x, name="x", columns=q.columns)
        _check_match(p, q)
        whole = next(blocks(q.rows, q.columns))
        if whole.stop == q.rows:
            cross, entropy = _parts(p, q, whole)
        else:
            cross, entropy = _InBlocks.apply(p, q, *p.tensors, *q.tensors)
        if may_read(cross) and not bool(torch.isfinite(cross.detach()).all()):
            raise ValueError(
                "q must be positive wherever p is, got q = 0 for a neighbor. Mix it: q.mixed(0.01)."
            )
        dtype = _dtype(x, z)
        result = IConResult(cross - entropy, cross, entropy)
        if self.reduction != "none":
            over_rows = torch.mean if self.reduction == "mean" else torch.sum
            result = IConResult(*(over_rows(part) for part in result))
        return IConResult(*(part.to(dtype) for part in result))


class _InBlocks(torch.autograd.Function):
    """Parts of all rows, by blocks of them whose pairs are computed again in the backward pass.

    Nothing of a block may be kept: between small tensors that stay, the allocator of a CPU cannot
    use freed memory again. With `torch.utils.checkpoint` that came to 10 GB at n = 2e4.
    """

    @staticmethod
    def forward(ctx: Any, p: NeighborLaw, q: NeighborLaw, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.laws = p, q
        ctx.save_for_backward(*tensors)
        one_row = q.log_rows(slice(0, 1))
        cross, entropy = one_row.new_empty(q.rows), one_row.new_empty(q.rows)
        for rows in blocks(q.rows, q.columns):
            cross[rows], entropy[rows] = _parts(p, q, rows)
        return cross, entropy

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        p, q = ctx.laws
        wanted = ctx.needs_input_grad[2:]
        given = [
            one.detach().requires_grad_(wants)
            for one, wants in zip(ctx.saved_tensors, wanted, strict=True)
        ]
        p = replace(p, tensors=tuple(given[: len(p.tensors)]))
        q = replace(q, tensors=tuple(given[len(p.tensors) :]))
        leaves = [one for one in given if one.requires_grad]
        sums = [torch.zeros_like(one) for one in leaves]
        for rows in blocks(q.rows, q.columns):
            with torch.enable_grad():
                cross, entropy = _parts(p, q, rows)
                felt = cross @ upstream[0][rows] + entropy @ upstream[1][rows]
            gradients = torch.autograd.grad(felt, leaves)
            for total, gradient in zip(sums, gradients, strict=True):
                total += gradient
        each = iter(sums)
        return None, None, *(next(each) if wants else None for wants in wanted)


def _parts(p: NeighborLaw, q: NeighborLaw, rows: slice) -> tuple[Tensor, Tensor]:
    """Return cross-entropy and entropy of a block of rows, shape (rows,) each."""
    log_q = q.log_rows(rows)
    if p.links is None:
        log_p = p.log_rows(rows)
    else:
        index, log_p = (one[rows] for one in p.links)
        log_q = log_q.gather(1, index)
    held, weight = log_p > -torch.inf, log_p.exp()
    if may_read(held) and not bool(held.any(dim=1).all()):
        alone = int((~held.any(dim=1)).sum())
        raise ValueError(
            f"x must give every row a neighbor, got {alone} rows without. Drop them, or take "
            "exclude_self=False."
        )
    cross = -(weight * torch.where(held, log_q, 0.0)).sum(dim=1)
    entropy = -(weight * torch.where(held, log_p, 0.0)).sum(dim=1)
    return cross, entropy


def _check_match(p: NeighborLaw, q: NeighborLaw) -> None:
    if (p.rows, p.columns) != (q.rows, q.columns):
        raise ValueError(
            f"x and z must have the same rows and points, got {p.rows} rows with {p.columns} "
            f"points and {q.rows} with {q.columns}."
        )
    if q.exclude_self and not p.exclude_self:
        raise ValueError(
            "p must leave out the row itself where q does, got exclude_self=False for p. Give both "
            "the same, else the divergence is infinite."
        )


def _dtype(x: Points | NeighborLaw, z: Points | NeighborLaw) -> torch.dtype:
    """Return the widest dtype of floating-point data, float32 at least; float64 of a law for z."""
    if isinstance(z, NeighborLaw):
        return torch.float64
    dtype = torch.float32
    for given in (x, z):
        for one in given if isinstance(given, tuple) else (given,):
            if isinstance(one, Tensor) and one.is_floating_point():
                dtype = torch.promote_types(dtype, one.dtype)
    return dtype
