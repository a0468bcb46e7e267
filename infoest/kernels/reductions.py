"""Reductions over all pairs of samples; the only place where a backend is chosen."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

import torch
from torch import Tensor

from infoest._validation import check_bool, check_int, check_option

from ._samples import check_samples, result_dtype
from ._tiles import LARGEST_NORMS, largest_norms
from .bandwidth import Bandwidth, resolve_bandwidth
from .formulas import Formula, InnerProduct, cosine, gaussian, linear

BACKENDS = ("auto", "dense", "chunked", "keops")
METRICS = ("euclidean", "max")
INNER_PRODUCTS: tuple[InnerProduct, ...] = (linear, cosine)
# Pairs up to which "auto" takes "dense" (`benchmarks/kernels.py`). Tiles are faster than the matrix
# by 2 at n = 1000 and 30 at n = 10000; blocks of rows, for other kernels, save memory only.
TILE_PAIRS = 2**16
DENSE_PAIRS = 2**24
# The largest matrix of pairs that "dense" builds: 8 GB of float64.
MOST_DENSE_PAIRS = 2**30
# Squares of larger numbers overflow.
LARGEST = 1e150
# Log-weights beyond this cost digits in float32.
LARGEST_LOG_WEIGHT = 64.0


def log_kernel_sum(
    x: Tensor,
    y: Tensor,
    *,
    formula: Formula = gaussian,
    bandwidth: Bandwidth = 1.0,
    exclude_self: bool = False,
    weights: Tensor | None = None,
    log_weights: Tensor | None = None,
    backend: str = "auto",
) -> Tensor:
    """Return log sum_j w_j k(x_i, y_j): a kernel summed over all y, in the log domain.

    Samples are centered and divided by the bandwidth. ``"dense"`` computes in float64 whatever
    comes in; the others compute float64 samples in float64, and float32 ones in float32 with
    float64 accumulation where that costs less than 1e-5, in float64 elsewhere.

    Args:
        x: Query points, shape (n, d), floating point.
        y: Points summed over, shape (m, d), on the device of ``x``. Where it is ``x`` itself half
            of the work is saved.
        formula: Log-kernel, as a function of the squared distance.
        bandwidth: Scale of the kernel: a positive number or one per column, shape (d,).
        exclude_self: Leave out the pairs (i, i); then x and y have equal lengths.
        weights: Weights w of y, shape (m,), not negative and not all zero; None for ones.
        log_weights: The logs of the weights instead, any numbers, shape (m,); -inf is weight 0,
            and not for all.
        backend: ``"dense"`` holds the (n, m) matrix; ``"chunked"`` a tile or a block of rows at a
            time, in the backward pass, too; ``"keops"`` none of it, but compiles for seconds at
            its first use. ``"auto"`` takes ``"dense"`` up to 2**24 pairs (Gaussian on a CPU:
            2**16), and beyond ``"chunked"`` on a CPU and ``"keops"`` on CUDA.

    Returns:
        Shape (n,), in the wider dtype of x and y but at least float32. Differentiable, also
        twice, in ``x``, ``y``, ``bandwidth`` and the weights.

    Raises:
        TypeError: If x or y is not a floating-point tensor, ``bandwidth`` is not numeric, or
            ``exclude_self`` is no bool.
        ValueError: If ``backend`` is unknown, shapes do not fit, values are not finite, weights
            are negative or all zero, both kinds of weights are given, the bandwidth is so small
            that squares overflow, or there are too many pairs for ``"dense"``.
        ModuleNotFoundError: If ``backend="keops"`` and pykeops or a compiler is missing.

    Example:
        >>> import torch
        >>> x = torch.tensor([[0.0], [2.0]])
        >>> log_kernel_sum(x, x, exclude_self=True)
        tensor([-2., -2.])
    """
    check_option("backend", backend, BACKENDS)
    check_bool("exclude_self", exclude_self)
    _check_formula(formula)
    check_samples(x=x, y=y)
    if exclude_self:
        _check_pairs_off_diagonal(x, y)
    if weights is not None and log_weights is not None:
        raise ValueError("weights must be None with log_weights, got both. Add their logs.")
    if weights is not None:
        weights = _checked_weights(weights, y, exclude_self)
    if log_weights is not None:
        log_weights = _checked_log_weights(log_weights, y, exclude_self)
    backend = _chosen(backend, x, y, tiled=formula is gaussian)
    single = formula is gaussian and (log_weights is None or _small(log_weights))
    left, right = _scaled(x, y, bandwidth, backend, single=single)
    sums: Tensor = _module(backend).logsumexp(
        left,
        right,
        formula,
        weights=None if weights is None else weights.to(left.dtype),
        log_weights=None if log_weights is None else log_weights.to(left.dtype),
        exclude_self=exclude_self,
    )
    return sums.to(result_dtype(x, y))


def kernel_matvec(
    x: Tensor,
    y: Tensor,
    v: Tensor,
    *,
    formula: Formula | InnerProduct = gaussian,
    bandwidth: Bandwidth = 1.0,
    exclude_self: bool = False,
    backend: str = "auto",
) -> Tensor:
    """Return sum_j k(x_i, y_j) v_j: the matrix of a kernel times one or several vectors.

    Precision, memory and backends are those of `log_kernel_sum`.

    Args:
        x: Query points, shape (n, d), floating point.
        y: Points summed over, shape (m, d), on the device of ``x``.
        v: Vectors, shape (m,) or (m, p), floating point.
        formula: Log-kernel as a function of the squared distance; or `linear` or `cosine`, which
            need no pairs at all, do not center samples and know no backend but ``"auto"``.
        bandwidth: Scale of the kernel: a positive number or one per column, shape (d,).
        exclude_self: Leave out the pairs (i, i); then x and y have equal lengths.
        backend: ``"auto"``, ``"dense"``, ``"chunked"`` or ``"keops"``.

    Returns:
        Shape (n,) or (n, p), in the widest dtype of x, y and v but at least float32.
        Differentiable, also twice, in ``x``, ``y``, ``v`` and ``bandwidth``.

    Raises:
        TypeError: If x, y or v is not a floating-point tensor, or ``bandwidth`` is not numeric.
        ValueError: If ``backend`` is unknown, shapes do not fit, values are not finite, the
            bandwidth is so small that squares overflow, or there are too many pairs for
            ``"dense"``.
        ModuleNotFoundError: If ``backend="keops"`` and pykeops or a compiler is missing.

    Example:
        >>> import torch
        >>> x = torch.tensor([[0.0], [2.0]], dtype=torch.float64)
        >>> kernel_matvec(x, x, torch.tensor([0.0, 1.0], dtype=torch.float64)).log()
        tensor([-2.,  0.], dtype=torch.float64)
    """
    check_option("backend", backend, BACKENDS)
    check_bool("exclude_self", exclude_self)
    check_samples(x=x, y=y)
    columns = _checked_vectors(v, y)
    if exclude_self:
        _check_pairs_off_diagonal(x, y)
    dtype = torch.promote_types(result_dtype(x, y), v.dtype)
    if formula not in INNER_PRODUCTS:
        _check_formula(formula)
    if formula in INNER_PRODUCTS:
        check_option("backend", backend, ("auto",), "linear and cosine kernels need no pairs.")
        product = _inner_product(x, y, columns, formula, bandwidth, exclude_self)
    else:
        backend = _chosen(backend, x, y, tiled=formula is gaussian)
        single = formula is gaussian and dtype == torch.float32
        left, right = _scaled(x, y, bandwidth, backend, single=single)
        product = _module(backend).matvec(
            left, right, columns.to(left.dtype), formula, exclude_self=exclude_self
        )
    return (product if v.ndim == 2 else product.squeeze(1)).to(dtype)


def nearest(
    x: Tensor,
    y: Tensor,
    k: int,
    *,
    metric: str = "euclidean",
    exclude_self: bool = False,
    backend: str = "auto",
) -> tuple[Tensor, Tensor]:
    """Return the distances and indices of the k nearest rows of y for every row of x.

    Exact: distances come from differences of coordinates in float64. ``"chunked"`` rules out most
    pairs by float32 products whose rounding is bounded (Euclidean metric).

    Args:
        x: Query points, shape (n, d), floating point.
        y: Points, shape (m, d), on the device of ``x``.
        k: Number of neighbors, from 1 to m (m - 1 with ``exclude_self``).
        metric: ``"euclidean"`` or ``"max"``, the largest difference of a coordinate.
        exclude_self: Row i of x is not a neighbor of row i of y; then lengths are equal.
        backend: ``"auto"``, ``"dense"``, ``"chunked"`` or ``"keops"``.

    Returns:
        Distances, nearest first, in the wider dtype of x and y but at least float32, and indices,
        int64; both of shape (n, k). Which of several equally distant points are taken is left
        open. Distances are differentiable in ``x`` and ``y``.

    Raises:
        TypeError: If x or y is not a floating-point tensor, or k is not an integer.
        ValueError: If ``backend`` or ``metric`` is unknown, k is out of range, shapes do not fit,
            values are not finite, or there are too many pairs for ``"dense"``.
        ModuleNotFoundError: If ``backend="keops"`` and pykeops or a compiler is missing.

    Example:
        >>> import torch
        >>> x = torch.tensor([[0.0], [1.0], [5.0]])
        >>> distances, indices = nearest(x, x, 1, exclude_self=True)
        >>> distances[:, 0], indices[:, 0]
        (tensor([1., 1., 4.]), tensor([1, 0, 1]))
    """
    check_option("backend", backend, BACKENDS)
    check_bool("exclude_self", exclude_self)
    check_option("metric", metric, METRICS)
    check_samples(x=x, y=y)
    if exclude_self:
        _check_pairs_off_diagonal(x, y)
    check_int("k", k, low=1, high=len(y) - exclude_self, remedy=f"There are {len(y)} points.")
    backend = _chosen(backend, x, y, tiled=metric == "euclidean")
    left, right = _scaled(x, y, 1.0, backend, single=False)
    with torch.no_grad():
        indices = _module(backend).nearest(
            left.detach(), right.detach(), k, metric=metric, exclude_self=exclude_self
        )
    order = 2 if metric == "euclidean" else torch.inf
    distances = torch.linalg.vector_norm(left[:, None] - right[indices], ord=order, dim=2)
    return distances.to(result_dtype(x, y)), indices


def _chosen(backend: str, x: Tensor, y: Tensor, *, tiled: bool) -> str:
    """Return the backend that ``"auto"`` stands for, and refuse what does not fit in memory."""
    pairs = len(x) * len(y)
    if backend == "auto":
        on_cpu = x.device.type == "cpu"
        if pairs <= (TILE_PAIRS if tiled and on_cpu else DENSE_PAIRS):
            return "dense"
        return "chunked" if on_cpu else "keops"
    if backend == "dense" and pairs > MOST_DENSE_PAIRS:
        raise ValueError(
            f"backend must not be 'dense' above {MOST_DENSE_PAIRS:.2g} pairs, got {pairs:.2g}. "
            "Take 'chunked' or 'auto'."
        )
    return backend


def _module(backend: str) -> ModuleType:
    try:
        return import_module(f"infoest.kernels._{backend}")
    except ImportError as error:
        raise ModuleNotFoundError(
            f"backend={backend!r} needs pykeops and a C++ compiler: pip install pykeops, and "
            "install g++ or clang."
        ) from error


def _scaled(
    x: Tensor, y: Tensor, bandwidth: Bandwidth, backend: str, *, single: bool
) -> tuple[Tensor, Tensor]:
    """Return centered samples over the bandwidth; the same tensor twice where x is y.

    They are float64, but float32 where both samples are at most that, the backend is not
    ``"dense"``, ``single`` allows it and all norms are small enough.
    """
    if isinstance(bandwidth, str):
        raise TypeError(
            f"bandwidth must be a number or one number per column, got {bandwidth!r}. "
            "Turn a rule into numbers with resolve_bandwidth."
        )
    width = resolve_bandwidth(bandwidth, y)
    # The kernel does not depend on the center, hence no gradient through it.
    center = y.detach().double().mean(dim=0)
    left = _divided(x, center, width)
    right = left if y is x else _divided(y, center, width)
    single = single and backend != "dense" and result_dtype(x, y) == torch.float32
    if single and largest_norms(left, right) <= LARGEST_NORMS[torch.float32]:
        left = left.float()
        right = left if y is x else right.float()
    return left, right


def _divided(sample: Tensor, center: Tensor, width: Tensor) -> Tensor:
    scaled = (sample.double() - center) / width
    if not bool((scaled.detach().abs() < LARGEST).all()):
        raise ValueError(
            f"bandwidth must be at least {1 / LARGEST:g} times the range of the samples, "
            f"got {width.detach().min().item():g}."
        )
    return scaled


def _inner_product(
    x: Tensor,
    y: Tensor,
    columns: Tensor,
    formula: InnerProduct,
    bandwidth: Bandwidth,
    exclude_self: bool,
) -> Tensor:
    """Return the product with the matrix of a linear or cosine kernel, in float64."""
    width = resolve_bandwidth(bandwidth, y)
    left, right, columns = x.double() / width, y.double() / width, columns.double()
    product = formula(left, right, columns)
    if not exclude_self:
        return product
    if formula is cosine:
        left, right = (torch.nn.functional.normalize(side) for side in (left, right))
    return product - (left * right).sum(dim=1, keepdim=True) * columns


def _check_formula(formula: object) -> None:
    if not callable(formula):
        raise TypeError(
            f"formula must be a function of squared distances, got {formula!r}. Take gaussian, "
            "laplace, student or epanechnikov of infoest.kernels."
        )
    name = getattr(formula, "__name__", "")
    if formula in INNER_PRODUCTS:
        raise ValueError(
            f"formula must be a function of squared distances, got {name}. "
            "Linear and cosine kernels have kernel_matvec only: their sums may be negative."
        )


def _check_pairs_off_diagonal(x: Tensor, y: Tensor) -> None:
    if len(x) != len(y) or len(x) < 2:
        raise ValueError(
            "x and y must have equal lengths of at least 2 with exclude_self=True, "
            f"got {len(x)} and {len(y)}."
        )


def _checked_weights(weights: Tensor, y: Tensor, exclude_self: bool) -> Tensor:
    _check_one_per_row("weights", weights, y)
    if not bool((torch.isfinite(weights) & (weights >= 0.0)).all()):
        raise ValueError("weights must be finite and not negative, got one that is.")
    _check_some_weigh("weights", "positive", weights > 0.0, exclude_self)
    return weights.to(y.device, torch.float64)


def _checked_log_weights(log_weights: Tensor, y: Tensor, exclude_self: bool) -> Tensor:
    _check_one_per_row("log_weights", log_weights, y)
    if not bool((log_weights < torch.inf).all()):  # NaN is not, either
        raise ValueError("log_weights must be below infinity, got one that is not.")
    _check_some_weigh("log_weights", "above -inf", log_weights > -torch.inf, exclude_self)
    return log_weights.to(y.device, torch.float64)


def _check_some_weigh(name: str, rule: str, weighs: Tensor, exclude_self: bool) -> None:
    fewest, found = 1 + exclude_self, int(weighs.sum())
    if found < fewest:
        raise ValueError(f"{name} must hold at least {fewest} {rule}, got {found}.")


def _check_one_per_row(name: str, weights: Tensor, y: Tensor) -> None:
    if not isinstance(weights, Tensor) or weights.shape != (len(y),):
        shown = (
            f"shape {tuple(weights.shape)}"
            if isinstance(weights, Tensor)
            else type(weights).__name__
        )
        raise ValueError(f"{name} must be a tensor of shape ({len(y)},), got {shown}.")


def _small(log_weights: Tensor) -> bool:
    return bool((log_weights.detach().abs() <= LARGEST_LOG_WEIGHT).all())


def _checked_vectors(v: Tensor, y: Tensor) -> Tensor:
    if not isinstance(v, Tensor) or not v.is_floating_point():
        shown = v.dtype if isinstance(v, Tensor) else type(v).__name__
        raise TypeError(f"v must be a floating-point tensor, got {shown}.")
    if v.ndim not in (1, 2) or len(v) != len(y) or not v.numel():
        raise ValueError(
            f"v must have shape ({len(y)},) or ({len(y)}, p), got {tuple(v.shape)}. "
            "Give one number, or one row, per row of y."
        )
    if not bool(torch.isfinite(v).all()):
        raise ValueError("v must be finite, got NaN or infinite entries.")
    return (v if v.ndim == 2 else v[:, None]).to(y.device)
