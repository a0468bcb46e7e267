"""Backend of KeOps: compiled, never holds the matrix of pairs, runs on CUDA or a CPU."""

from __future__ import annotations

import os
import shutil
from typing import Any

import torch
from pykeops.torch import LazyTensor
from torch import Tensor

from .formulas import NOTHING, Formula

# Without one, KeOps fails much later, looking for a module that it could not compile.
if not any(map(shutil.which, filter(None, (os.environ.get("CXX"), "g++", "clang++")))):
    raise ImportError("no C++ compiler found")


def logsumexp(
    x: Tensor,
    y: Tensor,
    formula: Formula,
    *,
    weights: Tensor | None = None,
    log_weights: Tensor | None = None,
    exclude_self: bool = False,
) -> Tensor:
    """Return log sum_j w_j k(x_i, y_j), shape (n,), as the dense backend does."""
    log_kernel = _log_kernel(x, y, formula, exclude_self)
    if log_weights is not None:
        log_kernel = log_kernel + _columns(log_weights[:, None].clamp(min=NOTHING))
    weight = None if weights is None else _columns(weights[:, None])
    sums: Tensor = log_kernel.logsumexp(dim=1, weight=weight).squeeze(-1)
    return sums.masked_fill(sums < 0.5 * NOTHING, -torch.inf)


def matvec(
    x: Tensor, y: Tensor, v: Tensor, formula: Formula, *, exclude_self: bool = False
) -> Tensor:
    """Return sum_j k(x_i, y_j) v_j, shape (n, p), as the dense backend does."""
    kernel = _log_kernel(x, y, formula, exclude_self).exp()
    product: Tensor = (kernel * _columns(v)).sum(dim=1, dtype_acc="float64")
    return product


def nearest(x: Tensor, y: Tensor, k: int, *, metric: str, exclude_self: bool = False) -> Tensor:
    """Return the indices of the k nearest rows of y, nearest first, shape (n, k)."""
    differences = _rows(x) - _columns(y)
    distances = differences.abs().max() if metric == "max" else (differences**2).sum(-1)
    if exclude_self:
        distances = distances - NOTHING * _same_index(x)
    indices: Tensor = distances.argKmin(k, dim=1)
    return indices


def _log_kernel(x: Tensor, y: Tensor, formula: Formula, exclude_self: bool) -> Any:
    log_kernel = formula(((_rows(x) - _columns(y)) ** 2).sum(-1))
    return log_kernel + NOTHING * _same_index(x) if exclude_self else log_kernel


def _same_index(x: Tensor) -> Any:
    """Return 1 for pairs (i, i) and 0 elsewhere."""
    index = _digits(torch.arange(len(x), device=x.device), x.dtype)
    return (0.5 - (_rows(index) - _columns(index)).abs().sum(-1)).step()


def _digits(index: Tensor, dtype: torch.dtype) -> Tensor:
    """Return integers as two digits, shape (n, 2): float32 holds none above 2**24 by itself."""
    base = 2**20
    return torch.stack([index // base, index % base], dim=1).to(dtype)


def _rows(x: Tensor) -> Any:
    return LazyTensor(x[:, None, :].contiguous())


def _columns(y: Tensor) -> Any:
    return LazyTensor(y[None, :, :].contiguous())
