"""What laws of neighbors are made from: checked points, their distances and scales. Torch."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from infoest.functional._scores import may_read

from ._neighbor_laws import Block, blocks, without_self
from ._tasks import check_values, holds_integers

Points = Tensor | tuple[Tensor, Tensor]

# Half the width, in log, of the search for the bandwidth of a perplexity, and its steps.
SEARCH_WIDTH, SEARCH_STEPS = 60.0, 44


def two_sets(name: str, points: Points) -> tuple[Tensor, Tensor, bool]:
    """Return rows, points and whether they are one set."""
    if isinstance(points, tuple):
        if len(points) != 2:
            raise ValueError(f"{name} must be a tensor or a pair of them, got {len(points)}.")
        return points[0], points[1], False
    return points, points, True


def vectors(
    name: str, points: Points, exclude_self: bool, metric: str
) -> tuple[Tensor, Tensor, bool]:
    """Return rows and points in float64: centered, of length 1, or as they are."""
    left, right, own = two_sets(name, points)
    for one in (left,) if own else (left, right):
        check_values(name, one)
        if one.ndim != 2:
            raise ValueError(f"{name} must have shape (rows, columns), got {tuple(one.shape)}.")
    if left.shape[1] != right.shape[1]:
        raise ValueError(
            f"{name} must have the same columns in both sets, got {left.shape[1]} and "
            f"{right.shape[1]}."
        )
    if own and exclude_self and len(left) < 2:
        raise ValueError(f"{name} must have at least 2 rows, got 1. It has no neighbor.")
    left, right = left.double(), right.double()
    if metric == "cosine":
        left, right = (torch.nn.functional.normalize(one, dim=1) for one in (left, right))
    if metric == "euclidean":
        # Distances by products lose digits to a common shift.
        center = right.mean(dim=0)
        left, right = left - center, right - center
    return left, right, own


def squared_distances(left: Tensor, right: Tensor) -> Tensor:
    """Return the squared distances of all pairs."""
    squares = left.square().sum(dim=1)[:, None] + right.square().sum(dim=1)
    return (squares - 2.0 * left @ right.T).clamp(min=0.0)


@torch.no_grad()
def scale_of_perplexity(
    log_kernel: Block, perplexity: float, tensors: tuple[Tensor, Tensor], exclude_self: bool
) -> Tensor:
    """Return the factors 1 / b^2 of the log-kernel that give every row this perplexity."""
    n_rows, n_points = (len(one) for one in tensors)
    others = n_points - exclude_self
    if perplexity >= others:
        raise ValueError(
            f"perplexity must be below the number of other points, {others}, got {perplexity!r}."
        )
    scale = tensors[0].new_empty(n_rows)
    for rows in blocks(n_rows, n_points):
        values = log_kernel(rows, tensors)
        spread = values.std(dim=1).clamp(min=torch.finfo(values.dtype).tiny)
        if exclude_self:
            values = without_self(values, rows)
        low, high = -spread.log() - SEARCH_WIDTH, -spread.log() + SEARCH_WIDTH
        for _ in range(SEARCH_STEPS):
            middle = 0.5 * (low + high)
            wide = _entropies(middle.exp()[:, None] * values) > math.log(perplexity)
            low, high = torch.where(wide, middle, low), torch.where(wide, high, middle)
        entropy = _entropies(middle.exp()[:, None] * values)
        if may_read(entropy) and not bool(((entropy - math.log(perplexity)).abs() <= 1e-6).all()):
            raise ValueError(
                f"perplexity must be above the number of points at the least distance, got "
                f"{perplexity!r}. Remove duplicates, or take a bandwidth."
            )
        scale[rows] = middle.exp()
    return scale


def _entropies(logits: Tensor) -> Tensor:
    log_p = logits.log_softmax(dim=1)
    weight = log_p.exp()
    return -(weight * torch.where(weight > 0.0, log_p, 0.0)).sum(dim=1)


def check_integers(name: str, values: Tensor, axes: tuple[int, ...]) -> None:
    """Raise unless the argument called ``name`` is a tensor of integers with so many axes."""
    if not holds_integers(values):
        shown = values.dtype if isinstance(values, Tensor) else type(values).__name__
        raise TypeError(f"{name} must be a tensor of integers, got {shown}.")
    if values.ndim not in axes or not values.numel():
        allowed = " or ".join("(n,)" if count == 1 else "(n, k)" for count in axes)
        raise ValueError(f"{name} must have shape {allowed}, got {tuple(values.shape)}.")


def check_positions(name: str, index: Tensor, columns: int, exclude_self: bool) -> None:
    """Raise unless positions are in range, once in a row, and (if so wanted) others than it."""
    low, high = int(index.min()), int(index.max())
    if low < 0 or high >= columns:
        shown = low if low < 0 else high
        raise ValueError(f"{name} must be positions in [0, {columns - 1}], got {shown}.")
    ordered = index.sort(dim=1).values
    if bool((ordered[:, 1:] == ordered[:, :-1]).any()):
        raise ValueError(f"{name} must name no neighbor twice in a row, got one that is.")
    if exclude_self and bool((index == torch.arange(len(index))[:, None]).any()):
        raise ValueError(
            f"{name} must not name the row itself, got one that does. For two sets take "
            "exclude_self=False."
        )
