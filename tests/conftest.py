"""The guard of all tests: nothing in the library moves global state."""

from __future__ import annotations

import random
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest


def _numpy_state() -> tuple[Any, ...]:
    name, keys, *rest = np.random.get_state()  # noqa: NPY002 - the state that must not move
    return (name, keys.tobytes(), *rest)


def _torch_state() -> tuple[Any, ...] | None:
    torch = sys.modules.get("torch")
    if torch is None:
        return None
    return (
        torch.get_rng_state().numpy().tobytes(),
        torch.get_default_dtype(),
        torch.get_num_threads(),
    )


def _packages() -> set[str]:
    return {name.partition(".")[0] for name in sys.modules}


@pytest.fixture(autouse=True)
def global_state_is_untouched() -> Iterator[None]:
    numpy_state, python_state, torch_state = _numpy_state(), random.getstate(), _torch_state()
    errors, filters, packages = np.geterr(), list(warnings.filters), _packages()
    yield
    assert _numpy_state() == numpy_state, "NumPy's global random state was moved"
    assert random.getstate() == python_state, "Python's global random state was moved"
    assert np.geterr() == errors, "np.geterr() was changed"
    if torch_state is not None:
        assert _torch_state() == torch_state, "torch's random state, dtype or threads were changed"
    if _packages() == packages:  # some packages set filters of their own at their first import
        assert list(warnings.filters) == filters, "the warning filters were changed"
