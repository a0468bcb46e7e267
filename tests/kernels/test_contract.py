"""What every formula, reduction and backend must do together: values, gradients, second gradients.

A formula or backend that is missing here fails `test_the_tables_are_complete`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

import infoest.kernels as kernels
from infoest.kernels import _chunked, _tiles, kernel_matvec, log_kernel_sum, nearest, reductions

# Log-kernels in plain NumPy, of squared distances.
FORMULAS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "gaussian": lambda s: -0.5 * s,
    "laplace": lambda s: -np.sqrt(s),
    "student": lambda s: -np.log1p(s),
    "epanechnikov": lambda s: np.log(np.maximum(1.0 - s, 0.0)),
}
PRODUCTS = ["linear", "cosine"]
BACKENDS = ["dense", "chunked"]
N, M, D = 9, 7, 2


class Case(NamedTuple):
    """One way to call a reduction.

    Attributes:
        reduction: ``"sum"``, ``"weights"``, ``"log_weights"`` or ``"matvec"``.
        own: Whether y is x.
        exclude_self: Whether the diagonal is left out.
    """

    reduction: str
    own: bool
    exclude_self: bool


CASES = [
    Case(reduction, own, exclude_self)
    for reduction in ("sum", "weights", "log_weights", "matvec")
    for own, exclude_self in ((False, False), (True, False), (True, True))
]

each_formula = pytest.mark.parametrize("formula", FORMULAS)
each_backend = pytest.mark.parametrize("backend", BACKENDS)
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[1:]}")


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several tiles and blocks, the last ones not full."""
    monkeypatch.setattr(_chunked, "BLOCK_PAIRS", 3 * M)
    monkeypatch.setitem(_tiles.TILE, "cpu", (4, 2))


def samples(n: int, d: int = D, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((n, d)))


def inputs(case: Case, scale: float = 1.0) -> dict[str, Tensor]:
    """Differentiable tensors that the call takes."""
    found = {"x": samples(N), "bandwidth": scale * torch.tensor([1.0, 2.0], dtype=torch.float64)}
    m = N if case.own else M
    if not case.own:
        found["y"] = samples(M, seed=1)
    if case.reduction == "weights":
        found["weights"] = torch.linspace(0.5, 2.0, m, dtype=torch.float64)
    if case.reduction == "log_weights":
        found["log_weights"] = torch.linspace(-1.0, 1.0, m, dtype=torch.float64)
    if case.reduction == "matvec":
        found["v"] = samples(m, 3, seed=2)
    return {name: tensor.clone().requires_grad_() for name, tensor in found.items()}


def call(case: Case, formula: str, backend: str, given: dict[str, Tensor]) -> Tensor:
    options = dict(given)
    x = options.pop("x")
    y = options.pop("y", x)
    more = {"formula": getattr(kernels, formula), "backend": backend}
    more |= {"exclude_self": case.exclude_self}
    if case.reduction == "matvec":
        return kernel_matvec(x, y, options.pop("v"), **options, **more)
    return log_kernel_sum(x, y, **options, **more)


def naive(case: Case, formula: str, given: dict[str, Tensor]) -> np.ndarray:
    """The same from its definition, in extended precision."""
    wide = {name: tensor.detach().numpy().astype(np.longdouble) for name, tensor in given.items()}
    x, y = wide["x"] / wide["bandwidth"], wide.get("y", wide["x"]) / wide["bandwidth"]
    with np.errstate(divide="ignore"):
        log_kernel = FORMULAS[formula](((x[:, None] - y[None]) ** 2).sum(axis=-1))
        if case.exclude_self:
            np.fill_diagonal(log_kernel, -np.inf)
        if case.reduction == "matvec":
            return (np.exp(log_kernel) @ wide["v"]).astype(np.float64)
        weights = np.exp(wide["log_weights"]) if "log_weights" in wide else wide.get("weights", 1.0)
        return np.log((np.exp(log_kernel) * weights).sum(axis=1)).astype(np.float64)


def test_the_tables_are_complete() -> None:
    public = set(kernels.__all__) - {"Bandwidth", "Formula", "resolve_bandwidth"}
    assert public == {*FORMULAS, *PRODUCTS, "log_kernel_sum", "kernel_matvec", "nearest"}
    assert set(reductions.BACKENDS) == {*BACKENDS, "auto", "keops"}


@each_formula
@each_backend
@each_case
def test_equals_its_definition(formula: str, backend: str, case: Case) -> None:
    given = inputs(case)
    found = call(case, formula, backend, given).detach()
    np.testing.assert_allclose(found, naive(case, formula, given), rtol=1e-12, atol=1e-13)


@each_formula
@each_case
def test_chunked_gradients_equal_dense_ones(formula: str, case: Case) -> None:
    gradients = []
    for backend in BACKENDS:
        given = inputs(case)
        output = call(case, formula, backend, given)
        factors = torch.linspace(-1.0, 2.0, output.numel(), dtype=torch.float64)
        gradients.append(torch.autograd.grad(output.flatten() @ factors, list(given.values())))
    for dense, chunked in zip(*gradients, strict=True):
        torch.testing.assert_close(chunked, dense, rtol=1e-9, atol=1e-11)


@each_formula
@each_backend
@each_case
def test_gradients_of_both_orders(formula: str, backend: str, case: Case) -> None:
    if formula == "laplace" and case.own and not case.exclude_self:
        return  # the kernel has a kink at each point itself
    given = inputs(case, 4.0 if formula == "epanechnikov" else 1.0)  # no row without a kernel

    def function(*tensors: Tensor) -> Tensor:
        return call(case, formula, backend, dict(zip(given, tensors, strict=True)))

    tensors = tuple(given.values())
    assert torch.autograd.gradcheck(function, tensors)
    with torch.random.fork_rng():  # it draws gradients of the output
        assert torch.autograd.gradgradcheck(function, tensors)


@each_backend
def test_kinks_and_edges_have_finite_gradients(backend: str) -> None:
    x = torch.tensor([[0.0, 0.0], [0.0, 0.0], [9.0, 0.0], [9.5, 0.0]], dtype=torch.float64)
    for formula in FORMULAS:
        leaf = x.clone().requires_grad_()
        sums = log_kernel_sum(leaf, leaf, formula=getattr(kernels, formula), backend=backend)
        sums.sum().backward()
        assert leaf.grad is not None
        assert torch.isfinite(leaf.grad).all(), formula
        torch.testing.assert_close(leaf.grad[0], leaf.grad[1])


@each_backend
def test_a_row_without_a_kernel_is_log_zero_and_has_no_gradient(backend: str) -> None:
    x = torch.tensor([[0.0], [9.0]], dtype=torch.float64, requires_grad=True)
    y = torch.tensor([[0.5], [0.6]], dtype=torch.float64)
    for weights in (None, torch.tensor([1.0, 3.0], dtype=torch.float64)):
        sums = log_kernel_sum(x, y, formula=kernels.epanechnikov, weights=weights, backend=backend)
        assert sums[1] == -torch.inf
        (gradient,) = torch.autograd.grad(sums[0], x)
        assert torch.isfinite(gradient).all()
        assert gradient[1] == 0.0


@pytest.mark.parametrize("formula", PRODUCTS)
@pytest.mark.parametrize("exclude_self", [False, True])
def test_products_that_need_no_pairs(formula: str, exclude_self: bool) -> None:
    x, v = samples(N).requires_grad_(), samples(N, 3, seed=2).requires_grad_()
    function = partial(
        kernel_matvec, formula=getattr(kernels, formula), exclude_self=exclude_self, bandwidth=2.0
    )
    found = function(x, x, v)
    points = x.detach().numpy() / 2.0
    if formula == "cosine":
        points = points / np.linalg.norm(points, axis=1, keepdims=True)
    matrix = points @ points.T
    if exclude_self:
        np.fill_diagonal(matrix, 0.0)
    np.testing.assert_allclose(found.detach(), matrix @ v.detach().numpy(), rtol=1e-12, atol=1e-13)
    assert torch.autograd.gradcheck(lambda x, v: function(x, x, v), (x, v))
    with pytest.raises(ValueError, match=r"formula must be a function of squared distances, got"):
        log_kernel_sum(x, x, formula=getattr(kernels, formula))
    with pytest.raises(ValueError, match=r"backend must be one of \['auto'\], got 'dense'"):
        function(x, x, v, backend="dense")


@each_backend
@pytest.mark.parametrize("metric", ["euclidean", "max"])
@pytest.mark.parametrize("exclude_self", [False, True])
def test_nearest_equals_sorting_all_distances(
    backend: str, metric: str, exclude_self: bool
) -> None:
    x, y = samples(400, 3), samples(400, 3, seed=1)
    differences = (x[:, None] - y[None]).abs()
    every = differences.amax(-1) if metric == "max" else differences.square().sum(-1).sqrt()
    if exclude_self:
        every.fill_diagonal_(torch.inf)
    distances, indices = nearest(x, y, 6, metric=metric, exclude_self=exclude_self, backend=backend)
    expected = every.sort(dim=1)
    torch.testing.assert_close(distances, expected.values[:, :6], rtol=1e-12, atol=0.0)
    assert torch.equal(indices, expected.indices[:, :6])


@each_backend
@pytest.mark.parametrize("metric", ["euclidean", "max"])
def test_nearest_distances_are_differentiable(backend: str, metric: str) -> None:
    x, y = samples(7).requires_grad_(), samples(9, seed=1).requires_grad_()

    def function(x: Tensor, y: Tensor) -> Tensor:
        return nearest(x, y, 3, metric=metric, backend=backend)[0]

    assert torch.autograd.gradcheck(function, (x, y))


@pytest.mark.keops
@pytest.mark.parametrize("formula", ["gaussian", "laplace"])
def test_keops_equals_dense(formula: str) -> None:
    """Few formulas, one dimension: KeOps compiles for seconds for each of them."""
    pytest.importorskip("infoest.kernels._keops", exc_type=ImportError)
    for case in (CASES[0], Case("weights", True, True)):
        found = []
        for backend in ("dense", "keops"):
            given = inputs(case)
            del given["bandwidth"]
            output = call(case, formula, backend, given)
            gradient = torch.autograd.grad(output.square().sum(), given["x"])
            found.append((output.detach(), *gradient))
        for dense, keops in zip(*found, strict=True):
            torch.testing.assert_close(keops, dense, rtol=1e-9, atol=1e-10)


@pytest.mark.keops
def test_keops_has_log_zero_and_no_gradient_beyond_a_compact_kernel() -> None:
    pytest.importorskip("infoest.kernels._keops", exc_type=ImportError)
    x = torch.tensor([[0.0, 0.0], [9.0, 0.0]], dtype=torch.float64, requires_grad=True)
    y = torch.tensor([[0.5, 0.0], [0.0, 0.6]], dtype=torch.float64)
    found = []
    for backend in ("dense", "keops"):
        sums = log_kernel_sum(x, y, formula=kernels.epanechnikov, backend=backend)
        found.append((sums.detach(), torch.autograd.grad(sums[0], x)[0]))
    for dense, keops in zip(*found, strict=True):
        torch.testing.assert_close(keops, dense, rtol=1e-9, atol=1e-12)


@pytest.mark.keops
def test_keops_products_and_neighbors_equal_dense_ones() -> None:
    pytest.importorskip("infoest.kernels._keops", exc_type=ImportError)
    x, v = samples(N), samples(N, 3, seed=2)
    product = kernel_matvec(x, x, v, backend="keops")
    torch.testing.assert_close(product, kernel_matvec(x, x, v, backend="dense"), rtol=1e-9, atol=0)
    keops, dense = (
        nearest(x, x, 3, exclude_self=True, backend=backend) for backend in ("keops", "dense")
    )
    torch.testing.assert_close(keops[0], dense[0], rtol=1e-12, atol=0.0)
    assert torch.equal(keops[1], dense[1])


@pytest.mark.keops
def test_keops_tells_indices_apart_that_float32_merges() -> None:
    keops = pytest.importorskip("infoest.kernels._keops", exc_type=ImportError)
    index = torch.arange(2**24 - 2, 2**24 + 6)
    assert len(index.float().unique()) < len(index)
    assert len(keops._digits(index, torch.float32).unique(dim=0)) == len(index)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("backend", ["dense", "chunked", "keops", "auto"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_cuda_equals_the_cpu(
    monkeypatch: pytest.MonkeyPatch, backend: str, dtype: torch.dtype
) -> None:
    monkeypatch.undo()  # tiles of the usual size
    if backend == "keops":
        pytest.importorskip("infoest.kernels._keops", exc_type=ImportError)
    tolerance = (
        {"rtol": 1e-4, "atol": 1e-5} if dtype == torch.float32 else {"rtol": 1e-9, "atol": 1e-9}
    )
    results = []
    for device, name in (("cpu", "dense"), ("cuda", backend)):
        x = samples(5000, 2).to(device, dtype).requires_grad_()
        sums = log_kernel_sum(x, x, exclude_self=True, backend=name)
        (gradient,) = torch.autograd.grad(sums.sum(), x)
        product = kernel_matvec(x.detach(), x.detach(), x.detach(), backend=name)
        distances, _ = nearest(x.detach(), x.detach(), 5, exclude_self=True, backend=name)
        results.append([part.detach().cpu() for part in (sums, gradient, product, distances)])
    for cpu, cuda in zip(*results, strict=True):
        assert cuda.dtype == dtype
        torch.testing.assert_close(cuda, cpu, **tolerance)
