"""Taps: what is selected, when hooks go, in-place layers, shared layers, wrappers, compilation."""

from __future__ import annotations

import copy
import gc
import weakref
from collections import OrderedDict
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

from infoest.nn import GaussianBottleneck, tap

from .test_contract import replicas


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 4))
        self.head = nn.Linear(4, 2)
        self.unused = nn.Linear(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(x))


class Returning(nn.Module):
    """Layer that returns whatever it was made to return of its input."""

    def __init__(self, returned: Any) -> None:
        super().__init__()
        self.returned = returned

    def forward(self, x: Tensor) -> Any:
        return self.returned(x)


def hooks(model: nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


def input_rows(n: int = 5) -> Tensor:
    return torch.randn(n, 3)


@pytest.mark.parametrize(
    ("layers", "names"),
    [
        ("head", ["head"]),
        (["head", "encoder.0"], ["encoder.0", "head"]),
        ("encoder.*", ["encoder.0", "encoder.1", "encoder.2"]),
        ("*", ["encoder", "encoder.0", "encoder.1", "encoder.2", "head"]),
        ("encoder.[02]", ["encoder.0", "encoder.2"]),
        ("hea?", ["head"]),
        (nn.Tanh, ["encoder.1"]),
        ([nn.Linear, nn.Tanh, "head"], ["encoder.0", "encoder.1", "encoder.2", "head"]),
        (nn.Sequential, ["encoder"]),
        ("", [""]),
        (iter(["head"]), ["head"]),
    ],
    ids=str,
)
def test_layers_are_found(layers: Any, names: list[str]) -> None:
    model = Network()
    with tap(model, layers) as activations:
        output = model(input_rows())
    assert list(activations) == names
    assert len(activations) == len(names)
    for name in {"", "head"} & set(names):
        assert activations[name] is output


def test_layers_by_module() -> None:
    model = Network()
    with tap(model, [model, model.encoder[1]]) as activations:
        output = model(input_rows())
    assert list(activations) == ["", "encoder.1"]
    assert activations[""] is output


@pytest.mark.parametrize("wrong", ["encodr", ["head", "encodr"], "encodr.*"])
def test_unknown_names_list_near_ones(wrong: Any) -> None:
    model = Network()
    with pytest.raises(ValueError, match=r"layers must be in the model, got 'encodr.*encoder'"):
        tap(model, wrong).__enter__()
    assert hooks(model) == 0


@pytest.mark.parametrize(
    ("layers", "error", "message"),
    [
        ("zzz", ValueError, r"in the model, got 'zzz'. It has \['encoder', 'encoder.0', .*'unused"),
        (nn.Conv2d, ValueError, "layers must be in the model, got Conv2d. It has"),
        (nn.Linear(3, 4), ValueError, "layers must be in the model, got Linear"),
        ([], ValueError, "layers must name at least one layer, got none"),
        ([3], TypeError, "layers must be names, globs, modules or classes of modules, got int"),
        (["head", None], TypeError, "layers must be names, .* got NoneType"),
    ],
    ids=str,
)
def test_bad_layers_are_named(layers: Any, error: type[Exception], message: str) -> None:
    model = Network()
    with pytest.raises(error, match=message):
        tap(model, layers).__enter__()
    assert hooks(model) == 0


def test_bad_settings_are_named() -> None:
    with pytest.raises(TypeError, match=r"model must be an nn.Module, got function"):
        tap(lambda x: x, "0").__enter__()  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="detach must be True or False, got 1"):
        tap(Network(), "head", detach=1).__enter__()  # type: ignore[arg-type]


def test_hooks_are_removed() -> None:
    model = Network()
    with tap(model, "*"):
        assert hooks(model) == 7
    assert hooks(model) == 0
    with pytest.raises(ZeroDivisionError), tap(model, "*"):
        raise ZeroDivisionError
    assert hooks(model) == 0
    with pytest.raises(RuntimeError, match="shapes"), tap(model, "*"):
        model(torch.randn(5, 7))
    assert hooks(model) == 0


def test_hooks_are_removed_if_one_cannot_be_added(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Network()

    def refuse(_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(model.head, "register_forward_hook", refuse)
    with pytest.raises(ZeroDivisionError):
        tap(model, "*").__enter__()
    assert hooks(model) == 0


def test_other_hooks_stay_and_what_they_return_is_seen() -> None:
    model = Network()
    model.head.register_forward_hook(lambda *given: given[2] + 1.0)
    x = input_rows()
    with tap(model, "head") as activations:
        output = model(x)
    assert activations["head"] is output
    assert hooks(model) == 1


def test_taps_nest() -> None:
    model = Network()
    with tap(model, "head") as outer:
        with tap(model, ["head", "encoder"]) as inner:
            first = model(input_rows())
        second = model(input_rows())
    assert inner["head"] is first
    assert outer["head"] is second


def test_last_pass_counts() -> None:
    model = Network()
    with tap(model, ["encoder", "head"]) as activations:
        assert list(activations) == []
        with pytest.raises(KeyError, match="no activation of layer 'head': it did not run"):
            _ = activations["head"]
        model(input_rows(5))
        model(input_rows(6))
        assert [len(t) for t in activations.values()] == [6, 6]
        assert "head" in activations
        assert activations.get("unused") is None
        with pytest.raises(KeyError, match=r"layer 'unused': tapped are \['encoder', 'head'\]"):
            _ = activations["unused"]
    assert len(activations["head"]) == 6  # still there
    model(input_rows(7))
    assert len(activations["head"]) == 6
    assert repr(activations) == "<activations of ['encoder', 'head']>"


def test_a_layer_that_did_not_run_in_the_last_pass_is_gone() -> None:
    class Branching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right = nn.Identity(), nn.Identity()

        def forward(self, x: Tensor, left: bool) -> Tensor:
            return self.left(x) if left else self.right(x)

    model = Branching()
    with tap(model, "*") as activations:
        model(input_rows(), True)
        assert list(activations) == ["left"]
        model(input_rows(), False)
        assert list(activations) == ["right"]


def test_of_a_shared_layer_the_last_call_counts_under_its_names() -> None:
    shared = nn.Linear(3, 3)
    model = nn.Sequential(OrderedDict(first=shared, between=nn.Tanh(), second=shared))
    with tap(model, ["first", "second"]) as activations:
        output = model(input_rows())
    assert activations["first"] is output
    assert activations["second"] is output
    with tap(model, [nn.Linear, "*"]) as activations:
        model(input_rows())
    assert list(activations) == ["first", "between"]


def test_gradients_flow() -> None:
    model, x = Network(), input_rows()
    with tap(model, ["encoder.1", "head"]) as activations:
        output = model(x)
        penalty = activations["encoder.1"].square().sum()
        (of_code,) = torch.autograd.grad(output.sum(), activations["encoder.1"], retain_graph=True)
        penalty.backward()
    assert of_code.shape == (5, 4)
    assert model.encoder[0].weight.grad is not None
    assert model.head.weight.grad is None


def test_detached_activations_are_copies() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(inplace=True))
    x = input_rows()
    with tap(model, ["0", "1"], detach=True) as activations:
        output = model(x)
    assert not activations["0"].requires_grad
    assert torch.equal(activations["0"], model[0](x))
    assert torch.equal(activations["1"], output)
    assert activations["1"] is not output


def test_changes_in_place_are_noticed() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(inplace=True))
    with tap(model, ["0", "1"]) as activations:
        output = model(input_rows())
    assert activations["1"] is output
    with pytest.raises(RuntimeError, match="activation of '0' must not be changed in place"):
        _ = activations["0"]


def test_inference_mode_is_right_in_place() -> None:
    model, x = nn.Sequential(nn.Linear(3, 4), nn.ReLU(inplace=True)), input_rows()
    with tap(model, ["0", "1"]) as activations, torch.inference_mode():
        output = model(x)
        assert torch.equal(activations["0"], model[0].forward(x))
        assert torch.equal(activations["1"], output)


@pytest.mark.parametrize(
    "returned",
    [
        lambda x: (x, 2 * x),
        lambda x: [None, x],
        lambda x: {"scores": None, "hidden": x},
        lambda x: (None, (x, 2 * x)),
        lambda x: OrderedDict(a=[], b=(x,)),
    ],
)
def test_first_tensor_of_a_structure(returned: Any) -> None:
    model, x = Returning(returned), input_rows()
    with tap(model, "") as activations:
        model(x)
    assert activations[""] is x


def test_output_of_an_lstm() -> None:
    model = nn.LSTM(3, 4, batch_first=True)
    with tap(model, model) as activations:
        output, _ = model(torch.randn(2, 5, 3))
    assert activations[""] is output


@pytest.mark.parametrize(
    ("returned", "kind"), [(lambda _: None, "NoneType"), (lambda _: ("a", {}), "tuple")]
)
def test_outputs_without_a_tensor_are_named(returned: Any, kind: str) -> None:
    model = nn.Sequential(Returning(returned))
    message = f"layer '0' must return a tensor, .*, got {kind}. Leave it out"
    with pytest.raises(TypeError, match=message), tap(model, "0"):
        model(input_rows())
    assert hooks(model) == 0


def test_autocast_gives_its_dtype() -> None:
    model = Network()
    with tap(model, ["encoder.0", "head"]) as activations, torch.autocast("cpu", torch.bfloat16):
        model(input_rows())
    assert activations["encoder.0"].dtype == torch.bfloat16


def test_copies_made_inside_do_not_write() -> None:
    model = Network()
    with tap(model, "head") as activations:
        output = model(input_rows())
        other = copy.deepcopy(model)
        other(input_rows(9))
        assert activations["head"] is output


def test_nothing_is_kept_of_older_passes() -> None:
    model = Network()
    with tap(model, "encoder") as activations:
        model(input_rows())
        older = weakref.ref(activations["encoder"])
        model(input_rows())
        assert older() is None
        last = weakref.ref(activations["encoder"])
    del activations
    gc.collect()
    assert last() is None


def test_bottlenecks_inside() -> None:
    model = nn.Sequential(nn.Linear(3, 4), GaussianBottleneck(4, 2), nn.Linear(2, 1))
    with tap(model, GaussianBottleneck) as activations:
        model(input_rows())
    assert activations["1"].shape == model[1].mean.shape


# ------------------------------------------------------------------------------------- wrappers


def test_data_parallel_on_a_cpu() -> None:
    model = Network()
    with tap(DataParallel(model), "head") as activations:
        output = DataParallel(model)(input_rows())
    assert activations["head"] is output


def test_replicas_are_put_together_in_order() -> None:
    """The hooks as `DataParallel` runs them on three GPUs: on replicas made from the model."""
    model, x = Network(), input_rows(7)
    wrapper = DataParallel(model)
    wrapper.module = Returning(
        lambda x: [
            replica(rows)
            for replica, rows in zip(replicas(model, 3), x.split([3, 3, 1]), strict=True)
        ]
    )
    # Names are those of the model inside: hand it over while the hooks are added.
    running, wrapper.module = wrapper.module, model
    expected = model(x)
    with tap(wrapper, ["encoder.0", "head"]) as activations:
        wrapper.module = running
        for _ in range(2):  # replicas of an earlier pass are forgotten
            wrapper(x)
            assert torch.allclose(activations["head"], expected)
            assert len(activations["encoder.0"]) == 7
        activations["head"].sum().backward()
    assert model.encoder[0].weight.grad is not None


def test_replicas_need_their_wrapper() -> None:
    model = Network()
    with (
        tap(model, "head"),
        pytest.raises(RuntimeError, match="model must be the DataParallel that runs"),
    ):
        replicas(model, 2)[0](input_rows())


def test_distributed_data_parallel() -> None:
    store = torch.distributed.HashStore()
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        model = Network()
        wrapped = DistributedDataParallel(model, find_unused_parameters=True)
        with tap(wrapped, ["encoder.*", "head"]) as activations:
            output = wrapped(input_rows())
            (output.sum() + activations["encoder.1"].sum()).backward()
        assert list(activations) == ["encoder.0", "encoder.1", "encoder.2", "head"]
        assert torch.equal(activations["head"], output)
        assert hooks(wrapped) == 0
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize("ran", [False, True])
def test_compiled_models_run_eagerly_inside(backend: str, ran: bool) -> None:
    torch.compiler.reset()
    model = Network()
    compiled = torch.compile(model, backend=backend)
    if ran:  # code without hooks is there already
        compiled(input_rows())
    x = input_rows()
    with tap(compiled, ["encoder.1", "head"]) as activations:
        output = compiled(x)
        activations["encoder.1"].sum().backward()
    assert list(activations) == ["encoder.1", "head"]
    assert torch.equal(activations["head"], output)
    assert model.encoder[0].weight.grad is not None
    assert hooks(compiled) == 0
    compiled(input_rows(9))
    assert torch.equal(activations["head"], output)
    torch.compiler.reset()


@pytest.mark.slow
def test_compiled_in_place_and_compiled_parts() -> None:
    torch.compiler.reset()
    model, x = Network(), input_rows()
    model.compile(backend="eager")
    model(x)
    with tap(model, "head") as activations:
        assert torch.equal(model(x), activations["head"])
    model = Network()
    model.encoder = torch.compile(model.encoder, backend="eager")
    model(x)
    with tap(model, ["encoder", "encoder.1"]) as activations:
        model(x)
    assert list(activations) == ["encoder", "encoder.1"]
    torch.compiler.reset()


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compiling_inside_takes_the_hooks_along(backend: str) -> None:
    torch.compiler.reset()
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(inplace=True), nn.Linear(4, 2))
    with tap(model, ["0", "2"]) as activations:
        compiled = torch.compile(model, backend=backend, fullgraph=True)
        for n in (5, 5, 8):
            x = input_rows(n)
            output = compiled(x)
            assert torch.equal(activations["0"], model[0].forward(x))  # not what ReLU made of it
            assert torch.equal(activations["2"], output)
            model.zero_grad()
            activations["0"].sum().backward()
            assert model[0].weight.grad is not None
    last = activations["0"]
    compiled(input_rows(5))
    assert activations["0"] is last
    torch.compiler.reset()


@pytest.mark.slow
def test_code_compiled_before_is_not_mistaken() -> None:
    torch.compiler.reset()
    model = Network()
    compiled = torch.compile(model, backend="eager")
    compiled(input_rows())
    with tap(model, "head") as activations:  # not told that it is compiled
        compiled(input_rows())
        with pytest.raises(KeyError, match="or ran in code compiled before"):
            _ = activations["head"]
    torch.compiler.reset()
