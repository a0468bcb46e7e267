"""Activations of named layers of any model, by forward hooks that are always removed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from difflib import get_close_matches
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn
from torch.nn.parallel import DataParallel, DistributedDataParallel
from torch.utils.hooks import RemovableHandle

from infoest._validation import check_bool

# A layer by name or glob, itself, or all of a class.
Layer = str | nn.Module | type[nn.Module]
WILDCARDS = frozenset("*?[")
SHOWN_NAMES = 10


@contextmanager
def tap(
    model: nn.Module, layers: Layer | Iterable[Layer], *, detach: bool = False
) -> Iterator[Mapping[str, Tensor]]:
    """Yield the activations of layers in the last forward pass of a model, by name.

    The mapping is filled by every ``model(x)`` inside the context, and keeps the activations of the
    last one when the hooks are gone. A layer that did not run in it is not in the mapping; of a
    layer that ran several times the last call counts.

    Args:
        model: Any module, also wrapped by ``torch.compile``, `DataParallel` or
            `DistributedDataParallel`: names are those of the model inside.
        layers: One or several of: a name as in ``model.named_modules()``; a glob (``"encoder.*"``,
            where ``*`` also stands for dots), which leaves out the model itself; a module of the
            model; a class, for all its instances. In the mapping they stand under their names in
            the order of the model, the model itself under ``""``.
        detach: Whether activations are copies without gradient. Otherwise they are the tensors of
            the model, and gradients flow through them.

    Yields:
        Mapping from name to activation: the output of the layer, as it is, or the first tensor in
        a tuple, list or mapping (of an LSTM: the output of all steps), in the dtype that autocast
        gave it.

    Raises:
        TypeError: If ``model`` is no module, a layer of another type, or ``detach`` not a bool;
            in a forward pass, if a layer returns no tensor.
        ValueError: If a layer is not in the model; near names are listed.
        RuntimeError: In reading, if a later layer changed the activation in place
            (``ReLU(inplace=True)``): tap that layer, or detach.

    Note:
        Compiled code does not run hooks added later: a compiled ``model`` runs eagerly inside the
        context (and so does everything else that is compiled). To train compiled code with taps,
        give the plain model and call ``torch.compile`` inside the context; activations are then
        copies, with gradient. Replicas of `DataParallel` are put together on the device of the
        first, in the order of its devices, if the `DataParallel` itself is given. Reentrant
        activation checkpointing runs layers without gradient, and so their activations have none.

    Example:
        >>> model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
        >>> with tap(model, ["0", nn.Tanh]) as activations:
        ...     _ = model(torch.zeros(5, 3))
        >>> {name: tuple(activation.shape) for name, activation in activations.items()}
        {'0': (5, 4), '1': (5, 4)}
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be an nn.Module, got {type(model).__name__}.")
    check_bool("detach", detach)
    inner, device_ids = _unwrapped(model)
    found = _selected(inner, layers)
    activations = _Activations(list(found), device_ids, detach)
    with ExitStack() as stack:
        if any(_is_compiled(module) for module in model.modules()):
            stack.enter_context(_eager())
        for handle in activations.attach(model, found):
            stack.callback(handle.remove)
        yield activations


class _Activations(Mapping[str, Tensor]):
    """Activations of the last forward pass.

    Args:
        names: Of all layers that are tapped, in order.
        device_ids: Devices of a `DataParallel` in its order, None without one.
        detach: Whether activations are copies without gradient.
    """

    def __init__(self, names: list[str], device_ids: list[int] | None, detach: bool) -> None:
        self._names, self._device_ids, self._detach = names, device_ids, detach
        # By layer and, in a DataParallel, by replica: the activation, and how often it had been
        # changed in place (None: it is our own).
        self._kept: dict[str, dict[int, tuple[Tensor, int | None]]] = {}

    def attach(
        self, model: nn.Module, layers: Mapping[str, nn.Module]
    ) -> Iterator[RemovableHandle]:
        """Yield the handle of every hook added: one that forgets the last pass, one a layer."""

        def forget(module: nn.Module, _: object) -> None:
            if module is model:
                self._kept.clear()

        yield model.register_forward_pre_hook(forget)
        for name, layer in layers.items():
            yield layer.register_forward_hook(self._hook(name, layer))

    def _hook(self, name: str, layer: nn.Module) -> Callable[[nn.Module, object, object], None]:
        def keep(module: nn.Module, _: object, output: object) -> None:
            replica = 0
            if getattr(module, "_is_replica", False):
                if self._device_ids is None:
                    raise RuntimeError(
                        "model must be the DataParallel that runs, got the module inside. "
                        "Its replicas cannot be put in order."
                    )
                replica = id(module)
            elif module is not layer:
                return  # a copy made inside the context took the hooks along
            activation = _first_tensor(output)
            if activation is None:
                raise TypeError(
                    f"layer {name!r} must return a tensor, or a tuple, list or mapping that holds "
                    f"one, got {type(output).__name__}. Leave it out of layers."
                )
            if replica:
                self._kept.setdefault(name, {})[replica] = self._own(activation)
            else:
                self._kept[name] = {0: self._own(activation)}

        return keep

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._kept:
            reason = (
                "it did not run in the last forward pass of the model inside the context, "
                "or ran in code compiled before"
            )
            if name not in self._names:
                reason = f"tapped are {self._names}"
            raise KeyError(f"no activation of layer {name!r}: {reason}")
        parts = []
        for activation, version in self._kept[name].values():
            if version is not None and activation._version != version:
                raise RuntimeError(
                    f"activation of {name!r} must not be changed in place by a later layer, got "
                    "one that was. Tap that layer, set its inplace=False, or use detach=True."
                )
            parts.append(activation)
        if len(parts) == 1:
            return parts[0]
        order = self._device_ids or []
        parts.sort(key=lambda part: order.index(part.get_device()) if order else 0)
        return torch.cat([part.to(parts[0].device) for part in parts])

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._names if name in self._kept)

    def __len__(self) -> int:
        return len(self._kept)

    def __repr__(self) -> str:
        return f"<activations of {list(self)}>"

    def _own(self, activation: Tensor) -> tuple[Tensor, int | None]:
        if self._detach:
            return activation.detach().clone(), None
        # Neither compiled code nor inference mode counts changes in place.
        if torch.compiler.is_compiling() or activation.is_inference():
            return activation.clone(), None
        return activation, activation._version


def _first_tensor(output: object) -> Tensor | None:
    if isinstance(output, Tensor):
        return output
    parts: Iterable[object] = ()
    if isinstance(output, Mapping):
        parts = output.values()
    elif isinstance(output, (tuple, list)):
        parts = output
    return next((found for part in parts if (found := _first_tensor(part)) is not None), None)


def _unwrapped(model: nn.Module) -> tuple[nn.Module, list[int] | None]:
    """Return the model inside its wrappers, and the devices of a `DataParallel` among them."""
    device_ids = None
    while True:
        if isinstance(model, DataParallel):
            device_ids = list(model.device_ids)
            model = model.module
        elif isinstance(model, DistributedDataParallel):
            model = model.module
        elif "_orig_mod" in model._modules:
            model = model.get_submodule("_orig_mod")
        else:
            return model, device_ids


def _is_compiled(module: nn.Module) -> bool:
    return "_orig_mod" in module._modules or module._compiled_call_impl is not None


def _eager() -> AbstractContextManager[None]:
    if not hasattr(torch.compiler, "set_stance"):
        raise RuntimeError(
            "model must not be compiled before tap with torch below 2.6, got a compiled one. "
            "Give the plain model and call torch.compile inside the context."
        )
    return torch.compiler.set_stance("force_eager")


def _selected(model: nn.Module, layers: Layer | Iterable[Layer]) -> dict[str, nn.Module]:
    """Return the layers asked for by name, in the order of the model."""
    asked = [layers] if isinstance(layers, (str, nn.Module, type)) else list(layers)
    if not asked:
        raise ValueError("layers must name at least one layer, got none.")
    # A shared layer has several names; a layer in the wrapper of torch.compile has that of both.
    modules: dict[str, nn.Module] = {}
    for name, module in model.named_modules(remove_duplicate=False):
        modules.setdefault(name.replace("._orig_mod", ""), module)
    first_names: dict[nn.Module, str] = {}
    for name, module in modules.items():
        first_names.setdefault(module, name)
    chosen = {name for layer in asked for name in _names_of(layer, modules, first_names)}
    return {name: module for name, module in modules.items() if name in chosen}


def _names_of(
    layer: Layer, modules: Mapping[str, nn.Module], first_names: Mapping[nn.Module, str]
) -> list[str]:
    if isinstance(layer, nn.Module):
        names = [first_names[layer]] if layer in first_names else []
        shown = type(layer).__name__
    elif isinstance(layer, type):
        names = [name for module, name in first_names.items() if isinstance(module, layer)]
        shown = layer.__name__
    elif isinstance(layer, str):
        names, shown = [layer] if layer in modules else [], repr(layer)
        if not names and WILDCARDS & set(layer):
            names = [name for name in first_names.values() if name and fnmatchcase(name, layer)]
    else:
        raise TypeError(
            "layers must be names, globs, modules or classes of modules, "
            f"got {type(layer).__name__}."
        )
    if not names:
        raise ValueError(f"layers must be in the model, got {shown}. {_hint(shown, modules)}")
    return names


def _hint(shown: str, modules: Mapping[str, nn.Module]) -> str:
    names = [name for name in modules if name]
    near = get_close_matches(shown.strip("'"), names, n=SHOWN_NAMES)
    if near:
        return f"Near names are {near}."
    more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    return f"It has {names[:SHOWN_NAMES]}{more}."
