"""Training in several processes: negatives from all of them, gradients of the joined batch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed, nn


def process_total() -> int:
    """Return the number of processes that train together, 1 unless torch.distributed runs."""
    running = distributed.is_available() and distributed.is_initialized()
    return distributed.get_world_size() if running else 1


def process_index() -> int:
    """Return the position of this process among them."""
    return distributed.get_rank() if process_total() > 1 else 0


class _GatherRows(torch.autograd.Function):
    """All processes' rows, one below the other; the gradient of the own ones comes back.

    Every process computes the same loss from the same rows, so that the gradient of the own rows
    is a slice, and the gradient of the joined batch is the sum over processes.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        ctx.n_rows = len(rows)
        parts = [torch.empty_like(rows) for _ in range(process_total())]
        distributed.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        start = ctx.n_rows * process_index()
        return grads[0][start : start + ctx.n_rows]


def gather_rows(rows: Tensor) -> Tensor:
    """Return the rows of all processes, differentiable in the own ones.

    Args:
        rows: Shape (b, ...), the same on every process.

    Returns:
        Shape (b * processes, ...); ``rows`` itself in a single process.
    """
    if process_total() == 1:
        return rows
    gathered: Tensor = _GatherRows.apply(rows)
    return gathered


def joint_scores(critic: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Return the scores of the joined batch: own x against the y of all, the rows of all.

    Args:
        critic: Module (x, y) -> (rows of x, rows of y).
        x: Own batch, shape (b, ...).
        y: Its partners, shape (b, ...).

    Returns:
        Shape (b * processes, b * processes).
    """
    scores: Tensor = critic(x, gather_rows(y))
    return gather_rows(scores)


def sum_gradients(weights: list[nn.Parameter]) -> None:
    """Replace every gradient by its sum over processes."""
    if process_total() == 1:
        return
    for weight in weights:
        if weight.grad is None:
            weight.grad = torch.zeros_like(weight)
        distributed.all_reduce(weight.grad)


def same_start(module: nn.Module) -> None:
    """Give all processes the weights and buffers of the first."""
    if process_total() == 1:
        return
    with torch.no_grad():
        for tensor in (*module.parameters(), *module.buffers()):
            distributed.broadcast(tensor, 0)
