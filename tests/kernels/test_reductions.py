import sys

import numpy as np
import pytest
import torch

from infoest import kernels
from infoest.kernels import (
    _chunked,
    _dense,
    _tiles,
    gaussian,
    kernel_matvec,
    laplace,
    log_kernel_sum,
    nearest,
    reductions,
)

BACKENDS = ["dense", "chunked", "auto"]


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    monkeypatch.setattr(_chunked, "BLOCK_PAIRS", 64)
    monkeypatch.setitem(_tiles.TILE, "cpu", (8, 4))


def samples(n, d, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((n, d)))


def naive(x, y, *, bandwidth=1.0, exclude_self=False, weights=None, log_kernel=lambda d: -d / 2):
    x, y = np.asarray(x, dtype=np.longdouble), np.asarray(y, dtype=np.longdouble)
    differences = (x[:, None, :] - y[None, :, :]) / np.asarray(bandwidth, dtype=np.longdouble)
    log_terms = log_kernel((differences**2).sum(axis=-1))
    if weights is not None:
        with np.errstate(divide="ignore"):
            log_terms = log_terms + np.log(np.asarray(weights, dtype=np.longdouble))
    if exclude_self:
        np.fill_diagonal(log_terms, -np.inf)
    top = log_terms.max(axis=1)
    return (top + np.log(np.exp(log_terms - top[:, None]).sum(axis=1))).astype(np.float64)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("exclude_self", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("bandwidth", [0.3, [0.2, 1.0, 5.0]])
def test_equals_the_naive_sum(backend, exclude_self, weighted, bandwidth):
    x, y = samples(23, 3), samples(23, 3, seed=1)
    weights = torch.linspace(0.0, 2.0, 23, dtype=torch.float64) if weighted else None
    result = log_kernel_sum(
        x,
        y,
        bandwidth=bandwidth,
        exclude_self=exclude_self,
        weights=weights,
        backend=backend,
    )
    expected = naive(x, y, bandwidth=bandwidth, exclude_self=exclude_self, weights=weights)
    np.testing.assert_allclose(result, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_row_beyond_a_compact_kernel_is_log_zero(backend):
    def box(squared_distance):
        return torch.zeros_like(squared_distance).masked_fill(squared_distance > 1.0, -torch.inf)

    x, y = torch.tensor([[0.0], [9.0]]), torch.tensor([[0.5], [0.6]])
    weights = torch.tensor([1.0, 3.0])
    for weights_or_none, at_first in ((None, np.log(2.0)), (weights, np.log(4.0))):
        result = log_kernel_sum(x, y, formula=box, weights=weights_or_none, backend=backend)
        np.testing.assert_allclose(result, [at_first, -np.inf], rtol=1e-6)


@pytest.mark.parametrize("exclude_self", [False, True])
def test_gradient_of_samples_with_themselves_and_with_duplicates(exclude_self):
    x = samples(8, 2)
    x[1] = x[0]

    def gradient(backend):
        leaf = x.clone().requires_grad_()
        log_kernel_sum(leaf, leaf, exclude_self=exclude_self, backend=backend).sum().backward()
        return leaf.grad

    # Of sum_i log sum_j exp(-|x_i - x_j|^2 / 2), by hand.
    kernel = np.exp(-0.5 * ((x[:, None] - x[None]) ** 2).sum(-1).numpy())
    if exclude_self:
        np.fill_diagonal(kernel, 0.0)
    shares = kernel / kernel.sum(axis=1, keepdims=True)
    both = torch.from_numpy(shares + shares.T)
    expected = both @ x - both.sum(dim=1, keepdim=True) * x
    for backend in ("dense", "chunked"):
        torch.testing.assert_close(gradient(backend), expected, rtol=1e-10, atol=1e-12)


def test_gradient_of_a_zero_weight_is_its_share():
    x, y = samples(3, 1), samples(4, 1, seed=1)
    weights = torch.tensor([0.0, 1.0, 1.0, 1.0], dtype=torch.float64, requires_grad=True)
    log_kernel_sum(x, y, weights=weights)[0].backward()
    kernel = torch.exp(-0.5 * (x[0] - y[:, 0]) ** 2)
    torch.testing.assert_close(weights.grad, kernel / kernel[1:].sum())


def test_a_near_sample_of_weight_zero_does_not_drown_the_others():
    x, y = torch.zeros(1, 1), torch.tensor([[0.0], [100.0]])
    result = log_kernel_sum(x, y, weights=torch.tensor([0.0, 1.0]))
    assert result.item() == pytest.approx(-5000.0)


def test_a_shift_and_a_common_scale_change_nothing():
    x, y = samples(50, 2), samples(50, 2, seed=1)
    expected = log_kernel_sum(x, y, bandwidth=0.1)
    scaled = log_kernel_sum(x * 2.0**60, y * 2.0**60, bandwidth=0.1 * 2.0**60)
    torch.testing.assert_close(scaled, expected, rtol=1e-13, atol=0.0)
    shifted = log_kernel_sum(x + 1e6, y + 1e6, bandwidth=0.1)
    # What is left is the rounding of x + 1e6 itself.
    torch.testing.assert_close(shifted, expected, rtol=0.0, atol=1e-7)


@pytest.mark.parametrize("backend", BACKENDS)
def test_far_apart_points_stay_finite(backend):
    x = torch.tensor([[0.0], [1e6], [2e6]], dtype=torch.float64)
    alone = log_kernel_sum(x, x, bandwidth=1e-3, backend=backend)
    np.testing.assert_array_equal(alone, np.zeros(3))
    others = log_kernel_sum(x, x, bandwidth=1e-3, exclude_self=True, backend=backend)
    expected = [-5e17, -5e17 + np.log(2.0), -5e17]
    np.testing.assert_allclose(others, expected, rtol=1e-15)


def test_low_precision_comes_back_in_float32_but_is_summed_in_float64():
    x, y = samples(300, 2), samples(300, 2, seed=1)
    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        low_x, low_y = x.to(dtype), y.to(dtype)
        result = log_kernel_sum(low_x, low_y, bandwidth=0.01)
        assert result.dtype == torch.float32
        expected = naive(low_x.double(), low_y.double(), bandwidth=0.01)
        np.testing.assert_allclose(result, expected, rtol=1e-6)


def test_auto_changes_backend_above_the_stated_numbers_of_pairs(monkeypatch):
    called = []
    for name, module in (("dense", _dense), ("chunked", _chunked)):
        original = module.logsumexp

        def spy(*args, _name=name, _original=original, **options):
            called.append(_name)
            return _original(*args, **options)

        monkeypatch.setattr(module, "logsumexp", spy)
    x = samples(10, 1)
    monkeypatch.setattr(reductions, "TILE_PAIRS", 99)
    for pairs, formula, expected in (
        (100, gaussian, "chunked"),
        (100, laplace, "dense"),
        (99, laplace, "chunked"),
    ):
        called.clear()
        monkeypatch.setattr(reductions, "DENSE_PAIRS", pairs)
        log_kernel_sum(x, x, formula=formula)
        assert called[0] == expected
    monkeypatch.setattr(reductions, "TILE_PAIRS", 100)
    called.clear()
    log_kernel_sum(x, x)
    assert called == ["dense"]


def test_data_and_global_state_are_left_alone():
    x, weights = samples(20, 2), torch.ones(20, dtype=torch.float64)
    before = x.clone()
    state = torch.get_rng_state()
    settings = (torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled())
    log_kernel_sum(x, x, bandwidth=0.1, weights=weights, exclude_self=True, backend="chunked")
    assert torch.equal(x, before)
    assert torch.equal(torch.get_rng_state(), state)
    after = (torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled())
    assert after == settings


X = torch.zeros(4, 2)


@pytest.mark.parametrize(
    ("args", "options", "error", "message"),
    [
        (
            (X, X),
            {"backend": "keop"},
            ValueError,
            r"\['auto', 'chunked', 'dense', 'keops'\], got 'keop'",
        ),
        ((X, X[:, :1]), {}, ValueError, "same number of columns, got 2 and 1"),
        ((X[:, 0], X), {}, ValueError, r"x must have shape .*, got \(4,\). .* x\[:, None\]"),
        ((X[:0], X), {}, ValueError, r"x must have shape .*, got \(0, 2\)"),
        ((X, X / 0.0), {}, ValueError, "y must be finite, got 8"),
        ((X.int(), X), {}, TypeError, "x must be a floating-point tensor, got torch.int32"),
        ((X.numpy(), X), {}, TypeError, "x must be a floating-point tensor, got ndarray"),
        ((X, X[:3]), {"exclude_self": True}, ValueError, "equal lengths .*, got 4 and 3"),
        ((X[:1], X[:1]), {"exclude_self": True}, ValueError, "at least 2 .*, got 1 and 1"),
        ((X, X), {"weights": torch.ones(3)}, ValueError, r"shape \(4,\), got shape \(3,\)"),
        ((X, X), {"weights": [1.0] * 4}, ValueError, r"shape \(4,\), got list"),
        ((X, X), {"weights": -torch.ones(4)}, ValueError, "weights must be finite and not neg"),
        ((X, X), {"weights": torch.zeros(4)}, ValueError, "at least 1 positive, got 0"),
        (
            (X, X),
            {"weights": torch.eye(4)[0], "exclude_self": True},
            ValueError,
            "at least 2 positive, got 1",
        ),
        ((X, X), {"bandwidth": "median"}, TypeError, "resolve_bandwidth"),
        ((X, X), {"bandwidth": 0.0}, ValueError, "bandwidth must be .* above 0, got 0"),
        ((X, X), {"bandwidth": float("nan")}, ValueError, "bandwidth must .* got nan"),
        ((samples(4, 2), X), {"bandwidth": 1e-160}, ValueError, "bandwidth must be at least"),
    ],
)
def test_refuses(args, options, error, message):
    with pytest.raises(error, match=message):
        log_kernel_sum(*args, **options)


def test_gaussian_is_half_the_squared_distance():
    assert gaussian(torch.tensor(9.0)).item() == -4.5


def test_keops_without_a_compiler_or_the_package_says_what_to_do(monkeypatch):
    for missing in ("infoest.kernels._keops", "pykeops"):
        monkeypatch.delitem(sys.modules, "infoest.kernels._keops", raising=False)
        if missing == "pykeops":
            monkeypatch.setitem(sys.modules, "pykeops.torch", None)
        else:
            pytest.importorskip("pykeops")
            monkeypatch.setenv("PATH", "")
            monkeypatch.delenv("CXX", raising=False)
        with pytest.raises(ModuleNotFoundError, match=r"backend='keops' needs pykeops and a C\+\+"):
            log_kernel_sum(X, X, backend="keops")


def test_too_many_pairs_for_dense_are_refused(monkeypatch):
    monkeypatch.setattr(reductions, "MOST_DENSE_PAIRS", 15)
    with pytest.raises(
        ValueError, match=r"backend must not be 'dense' above 15 pairs, got 16\. Take"
    ):
        log_kernel_sum(X, X, backend="dense")
    assert log_kernel_sum(X, X, backend="chunked").shape == (4,)


# ----------------------------------------------------------------------------- float32 and extremes


@pytest.mark.parametrize("d", [2, 20])
@pytest.mark.parametrize("bandwidth", [3.0, 1.0, 0.5, 0.2, 0.05, 1e-3])
@pytest.mark.parametrize("exclude_self", [False, True])
def test_float32_agrees_with_float64(monkeypatch, d, bandwidth, exclude_self):
    """To 1e-5 relative in the log domain, at scale 1 and for clusters far apart."""
    monkeypatch.undo()  # tiles of the usual size
    x = samples(700, d).float()
    clusters = 0.01 * x + 10.0 * (torch.arange(700) % 2)[:, None]
    for data in (x, clusters):
        exact = log_kernel_sum(
            data.double(),
            data.double(),
            bandwidth=bandwidth,
            exclude_self=exclude_self,
            backend="dense",
        )
        for other in (data, data.clone()):
            found = log_kernel_sum(
                data, other, bandwidth=bandwidth, exclude_self=exclude_self, backend="chunked"
            )
            assert found.dtype == torch.float32
            error = (found.double() - exact).abs() / exact.abs().clamp(min=1.0)
            assert error.max() < 1e-5


def test_float32_gradients_agree_with_float64():
    x, y = samples(40, 3), samples(50, 3, seed=1)
    for own in (False, True):
        gradients = []
        for dtype, backend in ((torch.float64, "dense"), (torch.float32, "chunked")):
            leaf = x.to(dtype).requires_grad_()
            sums = log_kernel_sum(leaf, leaf if own else y.to(dtype), backend=backend)
            gradients.append(torch.autograd.grad(sums.sum(), leaf)[0].double())
        torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("exclude_self", [False, True])
def test_chunked_equals_dense_however_far_apart_the_points_are(exclude_self):
    x = samples(30, 2) * torch.logspace(-8, 4, 30, dtype=torch.float64)[:, None]
    for scale in (1e-6, 1e-3, 1.0, 1e3, 1e6):
        dense, chunked = (
            log_kernel_sum(x, x, bandwidth=scale, exclude_self=exclude_self, backend=backend)
            for backend in ("dense", "chunked")
        )
        torch.testing.assert_close(chunked, dense, rtol=1e-9, atol=1e-9)


def test_log_weights_of_any_size_and_of_zero():
    x, y = samples(6, 2), samples(7, 2, seed=1)
    logs = torch.tensor([-1e4, 3e3, -torch.inf, 2999.0, 0.0, -1.0, 3000.5], dtype=torch.float64)
    squares = ((x[:, None] - y[None]) ** 2).sum(-1)
    expected = torch.logsumexp(-0.5 * squares + logs, dim=1)
    for backend in ("dense", "chunked"):
        for dtype in (torch.float64, torch.float32):
            found = log_kernel_sum(x.to(dtype), y.to(dtype), log_weights=logs, backend=backend)
            torch.testing.assert_close(found.double(), expected, rtol=1e-6, atol=0.0)


@pytest.mark.parametrize("exclude_self", [False, True])
def test_refuses_weights_of_zero_in_both_forms(exclude_self):
    x = samples(6, 2)
    some = torch.zeros(6, dtype=torch.float64)
    some[:exclude_self] = 1.0
    for given in ({"weights": some}, {"log_weights": some.log()}):
        with pytest.raises(ValueError, match=r"weights must hold at least . \w+.*, got \d\."):
            log_kernel_sum(x, x, exclude_self=exclude_self, **given)


def test_refuses_an_exclude_self_that_is_no_bool():
    x = samples(6, 2)
    for call in (
        lambda: log_kernel_sum(x, x, exclude_self="no"),
        lambda: kernel_matvec(x, x, x, exclude_self=2),
        lambda: nearest(x, x, 1, exclude_self=None),
    ):
        with pytest.raises(TypeError, match=r"^exclude_self must be True or False, got"):
            call()


def test_columns_of_very_different_sizes_keep_their_digits():
    x = samples(300, 2).float()
    v = torch.stack([torch.full((300,), 1e-30), torch.full((300,), 1e30)], dim=1)
    found = kernel_matvec(x, x, v, backend="chunked").double()
    expected = kernel_matvec(x.double(), x.double(), v.double(), backend="dense")
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=0.0)


def test_nearest_among_duplicates_and_far_clusters_is_exact():
    x = samples(600, 2).round() + 1e6 * (torch.arange(600) % 3)[:, None]
    for exclude_self in (False, True):
        dense, chunked = (
            nearest(x, x, 5, exclude_self=exclude_self, backend=backend)[0]
            for backend in ("dense", "chunked")
        )
        torch.testing.assert_close(chunked, dense, rtol=1e-12, atol=0.0)


@pytest.mark.parametrize("metric", ["euclidean", "max"])
def test_nearest_points_of_one_value(metric):
    x = torch.full((500, 3), 2.5)
    distances, indices = nearest(x, x, 4, metric=metric, exclude_self=True, backend="chunked")
    assert torch.equal(distances, torch.zeros(500, 4))
    assert (indices != torch.arange(500)[:, None]).all()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: log_kernel_sum(X, X, formula="gaussian"), TypeError, "formula must be a function"),
        (lambda: kernel_matvec(X, X, X, formula=None), TypeError, "formula must be a function"),
        (lambda: kernels.student(X, freedom=0.0), ValueError, "freedom must be"),
        (lambda: nearest(X, X, 5), ValueError, r"k must be in \[1, 4\], got 5\. There are 4"),
        (lambda: nearest(X, X, 4, exclude_self=True), ValueError, r"k must be in \[1, 3\], got 4"),
        (lambda: nearest(X, X, 1.0), TypeError, "k must be .* an integer, got 1.0"),
        (lambda: nearest(X, X, 1, metric="l1"), ValueError, r"\['euclidean', 'max'\], got 'l1'"),
        (lambda: nearest(X, X / 0.0, 1), ValueError, "y must be finite"),
        (lambda: kernel_matvec(X, X, X[:3]), ValueError, r"v must have shape \(4,\) or \(4, p\)"),
        (lambda: kernel_matvec(X, X, [1.0] * 4), TypeError, "v must be .* tensor, got list"),
        (lambda: kernel_matvec(X, X, X / 0.0), ValueError, "v must be finite, got NaN"),
        (lambda: kernel_matvec(X, X, X, bandwidth=-1.0), ValueError, "bandwidth must be"),
        (
            lambda: log_kernel_sum(X, X, weights=torch.ones(4), log_weights=torch.ones(4)),
            ValueError,
            "weights must be None with log_weights, got both",
        ),
        (
            lambda: log_kernel_sum(X, X, log_weights=torch.ones(4) / 0.0),
            ValueError,
            "log_weights must be below infinity",
        ),
        (
            lambda: log_kernel_sum(X, X, log_weights=torch.ones(3)),
            ValueError,
            r"log_weights must be a tensor of shape \(4,\), got shape \(3,\)",
        ),
    ],
)
def test_refuses_what_does_not_fit(call, error, message):
    with pytest.raises(error, match=message):
        call()
