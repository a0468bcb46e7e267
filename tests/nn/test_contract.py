"""What every layer of `infoest.nn` does: one table, one test for each promise."""

from __future__ import annotations

import copy
import io
import pickle
import weakref
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.nn.parallel import DataParallel

import infoest.nn
from infoest.nn import CategoricalBottleneck, GaussianBottleneck, NoiseLayer

Maker = Callable[[], nn.Module]
BOTTLENECKS: dict[str, Maker] = {
    "gaussian": partial(GaussianBottleneck, 3, 2),
    "gaussian drawn": partial(GaussianBottleneck, 3, 2, always=True),
    "gaussian full": partial(GaussianBottleneck, 3, 4, covariance="full", softplus_shift=0.0),
    "gaussian fixed": partial(GaussianBottleneck, 3, 2, std=0.5),
    "categorical": partial(CategoricalBottleneck, 3, 2, 4),
    "categorical drawn": partial(CategoricalBottleneck, 3, 2, 4, temperature=0.5, always=True),
}
LAYERS: dict[str, Maker] = {
    **BOTTLENECKS,
    "noise ratio": partial(NoiseLayer, signal_to_noise=2.0),
    "noise std": partial(NoiseLayer, std=0.3),
    "noise in training": partial(NoiseLayer, std=0.3, always=False),
}
each_layer = pytest.mark.parametrize("name", LAYERS)
each_bottleneck = pytest.mark.parametrize("name", BOTTLENECKS)


def made(name: str) -> nn.Module:
    """Return a layer whose weights are all different from 0."""
    layer = LAYERS[name]()
    with torch.no_grad():
        for weight in layer.parameters():
            weight += 0.1 * torch.randn_like(weight)
    return layer


def seeded(layer: Callable[[Tensor], Tensor], x: Tensor, seed: int = 1) -> Tensor:
    torch.manual_seed(seed)
    return layer(x)


def value_of(name: str, code: Tensor) -> Tensor:
    """Return a code as a value of the distribution of its layer."""
    return code.argmax(-1) if name.startswith("categorical") else code.detach()


def test_every_public_class_is_here() -> None:
    public = [getattr(infoest.nn, name) for name in infoest.nn.__all__]
    assert {type(make()) for make in LAYERS.values()} == {p for p in public if isinstance(p, type)}


@each_layer
def test_the_same_seed_gives_the_same_output(name: str) -> None:
    layer, x = made(name), torch.randn(6, 3)
    first = seeded(layer, x)
    assert torch.equal(first, seeded(layer, x))
    assert first.dtype == torch.float32
    assert first.isfinite().all()


@each_layer
def test_training_draws_and_evaluation_does_as_stated(name: str) -> None:
    layer, x = made(name), torch.randn(50, 3)
    assert not torch.equal(seeded(layer, x, 1), seeded(layer, x, 2))
    layer.eval()
    assert torch.equal(seeded(layer, x, 1), seeded(layer, x, 2)) == (not layer.always)


@each_layer
def test_input_is_not_changed(name: str) -> None:
    x = torch.randn(6, 3)
    before = x.clone()
    made(name)(x)
    assert torch.equal(x, before)


@each_layer
def test_state_makes_the_round_trip(name: str) -> None:
    layer, other, x = made(name), LAYERS[name](), torch.randn(6, 3)
    layer(x)
    assert set(layer.state_dict()) == set(other.state_dict())
    assert all(isinstance(value, Tensor) for value in layer.state_dict().values())
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(seeded(layer, x), seeded(other, x))


@each_layer
def test_copies_and_pickles_work_after_a_pass_with_gradient(name: str) -> None:
    layer, x = made(name), torch.randn(6, 3)
    output = seeded(layer, x.requires_grad_())
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        if name in BOTTLENECKS:
            with pytest.raises(RuntimeError, match="must run before its distribution"):
                other.rate()
        assert torch.equal(seeded(other, x), output)
    if name in BOTTLENECKS:  # the copies took nothing from it
        layer.rate().backward()


@each_layer
def test_gradient_is_that_of_the_value(name: str) -> None:
    if name.startswith("categorical"):
        pytest.skip("straight-through: the value is a step, see test_categorical")
    layer, x = made(name).double(), torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(partial(seeded, layer), x)


@each_layer
def test_double_in_double_out(name: str) -> None:
    layer, x = made(name).double(), torch.randn(5, 3, dtype=torch.float64)
    assert layer(x).dtype == torch.float64
    if name in BOTTLENECKS:
        assert layer.rate().dtype == torch.float64


@each_layer
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast(name: str, dtype: torch.dtype) -> None:
    layer, x = made(name), torch.randn(64, 3)
    exact = seeded(layer, x)
    with torch.autocast("cpu", dtype=dtype):
        output = seeded(layer, x)
        seeded(layer, x.to(dtype))
    assert output.dtype == torch.float32
    if not name.startswith("categorical"):
        assert torch.allclose(output, exact, atol=0.05)
    if name in BOTTLENECKS:
        rate = layer.rate()
        assert rate.dtype == torch.float32
        layer(x)
        assert rate.item() == pytest.approx(layer.rate().item(), rel=0.02, abs=0.02)


@each_layer
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_low_precision_weights(name: str, dtype: torch.dtype) -> None:
    layer, x = made(name).to(dtype), torch.randn(6, 3).to(dtype)
    assert layer(x).dtype == dtype
    if name in BOTTLENECKS:
        assert layer.rate().dtype == torch.float32


@each_bottleneck
def test_more_axes_are_more_rows(name: str) -> None:
    layer, x = made(name).eval(), torch.randn(2, 5, 3)
    output = seeded(layer, x)
    rate = layer.rate()
    assert torch.allclose(output.flatten(0, 1), seeded(layer, x.flatten(0, 1)), atol=1e-6)
    assert rate.item() == pytest.approx(layer.rate().item(), rel=1e-5)


@each_bottleneck
def test_rows_do_not_depend_on_each_other(name: str) -> None:
    layer, x = made(name), torch.randn(6, 3)
    layer(x)
    alone = []
    rate = layer.rate()
    for row in x:
        layer(row[None])
        alone.append(layer.rate())
    assert torch.stack(alone).mean().item() == pytest.approx(rate.item(), rel=1e-5)


@each_bottleneck
def test_nothing_is_kept_of_older_passes(name: str) -> None:
    layer = made(name)
    layer(torch.randn(6, 3))
    kept = weakref.ref(layer._last()[0])
    layer(torch.randn(6, 3))
    assert kept() is None


@each_bottleneck
def test_reading_before_a_pass_says_so(name: str) -> None:
    layer = made(name)
    with pytest.raises(RuntimeError, match=f"{type(layer).__name__} must run before its"):
        layer.rate()
    with pytest.raises(RuntimeError, match="got no forward pass yet"):
        _ = layer.distribution


@each_bottleneck
def test_rate_is_the_divergence_and_has_its_gradient(name: str) -> None:
    layer, x = made(name).double(), torch.randn(5, 3, dtype=torch.float64, requires_grad=True)

    def rate(x: Tensor) -> Tensor:
        layer(x)
        return layer.rate()

    assert rate(x).item() > 0.0
    assert torch.autograd.gradcheck(rate, x)


def replicas(layer: nn.Module, n: int) -> list[nn.Module]:
    """Return what `torch.nn.parallel.replicate` makes on n GPUs, here all on the CPU."""
    modules = list(layer.modules())
    made = [[module._replicate_for_data_parallel() for _ in range(n)] for module in modules]
    for module, copies in zip(modules, made, strict=True):
        for i, replica in enumerate(copies):
            for key, child in module._modules.items():
                replica._modules[key] = made[modules.index(child)][i]
            for key, weight in module._parameters.items():
                setattr(replica, key, weight.view_as(weight))
    return made[0]


@each_bottleneck
def test_replicas_report_to_the_layer(name: str) -> None:
    layer, x = made(name), torch.randn(7, 3)
    layer(x)
    rate = layer.rate()
    for _ in range(2):
        layer(torch.randn(9, 3))  # what an earlier pass kept is gone
        pairs = list(zip(replicas(layer, 3), x.split([3, 3, 1]), strict=True))
        for replica, rows in reversed(pairs):  # threads end in any order
            replica(rows)
        assert layer.rate().item() == pytest.approx(rate.item(), rel=1e-6)
    parallel = layer._last()[0]
    layer(x)
    assert torch.allclose(layer._last()[0], parallel, atol=1e-6)
    layer.zero_grad()
    layer.rate().backward()
    assert layer.linear.weight.grad is not None


@each_layer
def test_data_parallel_wraps(name: str) -> None:
    layer, x = made(name), torch.randn(6, 3)
    assert torch.equal(seeded(DataParallel(layer), x), seeded(layer, x))


@each_layer
@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (torch.tensor([[0.0, float("nan"), 1.0]] * 2), ValueError, "x must be finite, got 2 NaN"),
        (torch.tensor([[0.0, float("inf"), 1.0]] * 2), ValueError, "x must be finite, got 2 NaN"),
        (torch.ones(2, 3, dtype=torch.int64), TypeError, "x must be a floating-point tensor, got"),
        ([[1.0, 2.0, 3.0]], TypeError, "x must be a floating-point tensor, got list"),
        (torch.ones(0, 3), ValueError, r"x must have shape .*got \(0, 3\)"),
    ],
    ids=["nan", "infinite", "integers", "list", "empty"],
)
def test_bad_input_is_named(name: str, x: Tensor, error: type[Exception], message: str) -> None:
    for layer in (made(name), made(name).eval()):
        with pytest.raises(error, match=message):
            layer(x)


@each_bottleneck
def test_input_must_fit(name: str) -> None:
    layer = made(name)
    for wrong in (torch.ones(5, 4), torch.ones(3)):
        with pytest.raises(ValueError, match=r"x must have shape \(n, \.\.\., 3\)"):
            layer(wrong)
    with pytest.raises(TypeError, match="x must have the dtype of the layer, torch"):
        layer(torch.ones(5, 3).double())
    with pytest.raises(ValueError, match="x must be on the device of the layer, cpu, got meta"):
        layer(torch.ones(5, 3, device="meta"))


@each_layer
def test_nothing_is_read_from_other_devices(name: str) -> None:
    """A tensor on the meta device has no values: whatever reads one raises."""
    layer = made(name).to("meta")
    output = layer(torch.ones(6, 3, device="meta"))
    assert output.device.type == "meta"
    if name in BOTTLENECKS:
        assert layer.rate().device.type == "meta"
        layer.distribution.log_prob(value_of(name, output))


@pytest.mark.slow
@each_layer
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compiles_whole(name: str, backend: str) -> None:
    torch.compiler.reset()
    layer, x = made(name), torch.randn(6, 3)
    compiled = torch.compile(layer, fullgraph=True, backend=backend)
    for mode in (True, False):
        layer.train(mode)
        expected = seeded(layer, x)
        rate = layer.rate() if name in BOTTLENECKS else None
        assert torch.equal(seeded(compiled, x), expected)
        if rate is not None:
            assert torch.equal(compiled.rate(), rate)
    compiled(x.requires_grad_()).sum().backward()
    assert x.grad is not None
    torch.compiler.reset()


@pytest.mark.slow
@each_bottleneck
def test_a_whole_training_step_compiles(name: str) -> None:
    torch.compiler.reset()
    layer = made(name)

    def step(x: Tensor) -> Tensor:
        code = layer(x)
        return code.sum() + layer.rate() + layer.distribution.log_prob(value_of(name, code)).sum()

    compiled = torch.compile(step, fullgraph=True, backend="aot_eager")
    for n in (6, 6, 9):
        x = torch.randn(n, 3)
        assert torch.allclose(seeded(compiled, x), seeded(step, x), rtol=1e-5)
    torch.compiler.reset()


@each_layer
def test_settings_are_shown(name: str) -> None:
    shown = repr(LAYERS[name]())
    assert f"always={LAYERS[name]().always}" in shown
