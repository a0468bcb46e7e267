"""Training in several processes: negatives from all of them, gradients of the joined batch.

The convention is that of torch's data-parallel training: what is minimized is the mean of the
losses of all processes. Where every process computes the same loss from joined rows, that is the
loss of the joined batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn

Value = TypeVar("Value")


def process_total() -> int:
    """Return the number of processes that train together, 1 unless torch.distributed runs."""
    running = distributed.is_available() and distributed.is_initialized()
    return distributed.get_world_size() if running else 1


def process_index() -> int:
    """Return the position of this process among them."""
    return distributed.get_rank() if process_total() > 1 else 0


def from_first(make: Callable[[], Value]) -> Value:
    """Return on every process what the first one makes; an error there is raised everywhere."""
    if process_total() == 1:
        return make()
    found: list[Any] = [None, None]
    if process_index() == 0:
        try:
            found[0] = make()
        except Exception as error:  # the others wait for an answer, whatever went wrong
            found[1] = error
    distributed.broadcast_object_list(found, 0)
    if found[1] is not None:
        raise found[1]
    return found[0]


def from_all(value: Value) -> list[Value]:
    """Return the values of all processes, in their order."""
    if process_total() == 1:
        return [value]
    values: list[Any] = [None] * process_total()
    distributed.all_gather_object(values, value)
    return values


class _GatherRows(torch.autograd.Function):
    """All processes' rows, one below the other.

    Every process uses all rows, so that the gradient of the own ones is the sum of what all
    processes found for them.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        ctx.n_rows = len(rows)
        parts = [torch.empty_like(rows) for _ in range(process_total())]
        distributed.all_gather(parts, rows)
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        total = grads[0].clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        start = ctx.n_rows * process_index()
        return total[start : start + ctx.n_rows]


def gather_rows(rows: Tensor) -> Tensor:
    """Return the rows of all processes, differentiable.

    A gradient is that of the sum of the losses of all processes; `train` divides by their number.

    Args:
        rows: Shape (b, ...), the same on every process.

    Returns:
        Shape (b * processes, ...); ``rows`` itself in a single process.

    Raises:
        ValueError: If the shapes differ between processes (looked for on the CPU only: on a GPU
            it would stall every step).
    """
    if process_total() == 1:
        return rows
    if rows.device.type == "cpu":
        _check_same_shape(rows)
    gathered: Tensor = _GatherRows.apply(rows.contiguous())
    return gathered


def joint_scores(critic: Callable[[Tensor, Tensor], Tensor], x: Tensor, y: Tensor) -> Tensor:
    """Return the scores of the joined batch: own x against the y of all, the rows of all.

    Args:
        critic: Module or function (x, y) -> (rows of x, rows of y).
        x: Own batch, shape (b, ...).
        y: Its partners, shape (b, ...).

    Returns:
        Shape (b * processes, b * processes).

    Raises:
        ValueError: If the shapes differ between processes.
    """
    return gather_rows(critic(x, gather_rows(y)))


def mean_over_processes(value: Tensor) -> Tensor:
    """Return the mean of a detached scalar over processes."""
    if process_total() == 1:
        return value
    total = value.clone()
    distributed.all_reduce(total)
    return total / process_total()


def average_gradients(weights: list[nn.Parameter]) -> None:
    """Replace every gradient by its mean over processes; one that is None on all stays so."""
    if process_total() == 1:
        return
    flat = [
        (torch.zeros_like(weight) if weight.grad is None else weight.grad).flatten()
        for weight in weights
    ]
    used = torch.tensor([weight.grad is not None for weight in weights]).to(flat[0])
    total = torch.cat([*flat, used])
    distributed.all_reduce(total)
    *means, used = (total / process_total()).split([*map(len, flat), len(weights)])
    for weight, mean, is_used in zip(weights, means, used.tolist(), strict=True):
        weight.grad = mean.view(weight.shape).to(weight) if is_used else None


def copy_first(tensors: Iterable[Tensor]) -> None:
    """Give all processes the values of the first."""
    if process_total() == 1:
        return
    with torch.no_grad():
        for tensor in tensors:
            first = tensor.contiguous()
            distributed.broadcast(first, 0)
            tensor.copy_(first)


def _check_same_shape(rows: Tensor) -> None:
    own = torch.tensor(rows.shape)
    shapes = [torch.empty_like(own) for _ in range(process_total())]
    distributed.all_gather(shapes, own)
    if any(not torch.equal(own, shape) for shape in shapes):
        raise ValueError(
            "rows must have the same shape on every process, got "
            f"{[tuple(shape.tolist()) for shape in shapes]}. Drop the last short batch "
            "(drop_last=True)."
        )
