"""Noise layer: the stated ratio per column, dead columns, batches of one."""

from __future__ import annotations

import pytest
import torch

from infoest.nn import NoiseLayer


@pytest.mark.parametrize("ratio", [0.5, 10.0])
def test_every_column_has_the_stated_ratio(ratio: float) -> None:
    x = torch.randn(50_000, 3) * torch.tensor([1e-3, 1.0, 1e3]) + 100.0
    noise = NoiseLayer(signal_to_noise=ratio)(x.double()) - x
    measured = x.double().var(0) / noise.var(0)
    assert torch.allclose(measured, torch.full_like(measured, ratio), rtol=0.05)
    corr = torch.corrcoef(noise.T) - torch.eye(3)
    assert corr.abs().max() < 0.03


def test_positions_of_images_are_columns() -> None:
    x = torch.zeros(20_000, 2, 3, 3, dtype=torch.float64)
    x[:, 0, 0, 0] = torch.randn(20_000)
    noise = NoiseLayer(signal_to_noise=4.0)(x) - x
    assert noise.shape == x.shape
    assert noise[:, 0, 0, 0].std().item() == pytest.approx(0.5, rel=0.05)
    noise[:, 0, 0, 0] = 0.0
    assert not noise.any()  # constant columns stay as they are


def test_constant_columns_have_a_finite_gradient() -> None:
    x = torch.zeros(5, 2)
    x[:, 1] = torch.randn(5)
    x.requires_grad_()
    NoiseLayer(signal_to_noise=1.0)(x).square().sum().backward()
    assert x.grad.isfinite().all()


def test_scaling_the_signal_does_not_win() -> None:
    """The gradient flows through the size of the noise: relative to the signal it is constant."""
    x = torch.randn(100, 2, dtype=torch.float64)
    scale = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
    relative = NoiseLayer(signal_to_noise=1.0)(scale * x) / scale - x
    (slope,) = torch.autograd.grad(relative.square().sum(), scale)
    assert slope.item() == pytest.approx(0.0, abs=1e-9)


def test_fixed_size_works_on_single_rows() -> None:
    layer = NoiseLayer(std=0.5)
    assert layer(torch.zeros(1, 50_000)).std().item() == pytest.approx(0.5, rel=0.05)


def test_no_noise_in_evaluation_gives_the_input_itself() -> None:
    x = torch.randn(1, 3)
    layer = NoiseLayer(signal_to_noise=1.0, always=False).eval()
    assert layer(x) is x


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, ValueError, "signal_to_noise and std must be given one without the other, got None"),
        ({"signal_to_noise": 1.0, "std": 1.0}, ValueError, "signal_to_noise and std must be given"),
        ({"signal_to_noise": 0.0}, ValueError, "signal_to_noise must be a finite number above 0"),
        ({"std": -0.1}, ValueError, "std must be a finite number above 0, got -0.1"),
        ({"std": float("nan")}, ValueError, "std must be a finite number above 0, got nan"),
        ({"std": True}, TypeError, "std must be a finite number above 0 and a number, got True"),
        ({"std": 1.0, "always": None}, TypeError, "always must be True or False, got None"),
    ],
)
def test_bad_settings_are_named(
    arguments: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        NoiseLayer(**arguments)


def test_a_ratio_needs_two_rows() -> None:
    with pytest.raises(ValueError, match="x must have at least 2 rows with signal_to_noise"):
        NoiseLayer(signal_to_noise=1.0)(torch.zeros(1, 3))
