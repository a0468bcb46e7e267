"""Devices by name, and what is said where there is none."""

from __future__ import annotations

import pytest
import torch

from infoest.training import resolve_device


def test_the_cpu_is_there() -> None:
    assert resolve_device(None) == resolve_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["cuda:99", "gpu", "", "cpu:0:1", "cuda:x", "meta", "CUDA"])
def test_what_is_not_there(name) -> None:
    with pytest.raises(ValueError, match=rf"device must be one of \['cpu'.*\], got '{name}'\."):
        resolve_device(name)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is one")
def test_no_gpu() -> None:
    with pytest.raises(ValueError, match=r"device must be one of .*, got 'cuda'\. These are"):
        resolve_device("cuda")


@pytest.mark.parametrize("value", [0, torch.device("cpu"), b"cpu", True])
def test_what_is_no_name(value) -> None:
    with pytest.raises(TypeError, match="device must be a string such as 'cuda' or None, got"):
        resolve_device(value)


def test_all_that_is_there_is_listed_and_accepted(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    assert resolve_device("cuda:0") == torch.device("cuda", 0)
    assert resolve_device("cuda") == torch.device("cuda", 1)
    with pytest.raises(ValueError, match=r"one of \['cpu', 'cuda:0', 'cuda:1'.*\], got 'cuda:2'"):
        resolve_device("cuda:2")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_gpu() -> None:
    assert resolve_device("cuda") == torch.device("cuda", torch.cuda.current_device())
