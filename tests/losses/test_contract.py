"""What every loss of `infoest.losses` promises."""

from __future__ import annotations

import io

import pytest
import torch
from torch import Tensor, nn

import infoest.losses

from .loss_cases import CASES, Case

LOSSES = {name for name in infoest.losses.__all__ if name.endswith(("Loss", "Penalty"))}


def tensors(case: Case, dtype: torch.dtype = torch.float64, seed: int = 0) -> tuple[Tensor, ...]:
    drawn = case.inputs(torch.Generator().manual_seed(seed), dtype)
    return tuple(one.requires_grad_() if one.is_floating_point() else one for one in drawn)


def made(case: Case, seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return case.make()


def test_every_loss_has_a_case() -> None:
    assert set(CASES) == LOSSES


each = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


@each
def test_the_result_is_named_and_adds_up(case: Case) -> None:
    result = case.call(made(case), tensors(case))
    assert result._fields[0] == "loss"
    assert result.loss.ndim == 0
    total = case.total(result).item()
    assert result.loss.item() == pytest.approx(total, rel=1e-9)


@each
def test_gradients_are_those_of_the_value(case: Case) -> None:
    loss = made(case).double().eval()
    assert torch.autograd.gradcheck(lambda *given: case.call(loss, given).loss, tensors(case))


@each
def test_gradients_are_finite_at_the_edges(case: Case) -> None:
    for factor in (0.0, 1e3):
        given = tuple(
            (one.detach() * factor).requires_grad_() if one.is_floating_point() else one
            for one in tensors(case)
        )
        loss = case.call(made(case).double(), given).loss
        assert torch.isfinite(loss)
        loss.backward()
        for one in given:
            assert one.grad is None or torch.isfinite(one.grad).all()


@each
def test_the_state_goes_round_without_pickle(case: Case) -> None:
    loss = made(case)
    for seed in range(3):
        case.call(loss, tensors(case, torch.float32, seed))
    file = io.BytesIO()
    torch.save(loss.state_dict(), file)
    file.seek(0)
    again = made(case, seed=1)
    again.load_state_dict(torch.load(file, weights_only=True))
    given = tensors(case, torch.float32)
    assert torch.equal(case.call(loss, given).loss, case.call(again, given).loss)


@each
def test_autocast_computes_in_float32(case: Case) -> None:
    loss, given = made(case).eval(), tensors(case, torch.float32)
    wide = case.call(loss, given).loss
    low = tuple(one.bfloat16() if one.is_floating_point() else one for one in given)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = case.call(loss, low).loss
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(wide.item(), rel=0.05)


@each
def test_no_value_is_not_a_number(case: Case) -> None:
    given = list(tensors(case))
    with torch.no_grad():
        given[0][0] = torch.nan
    with pytest.raises(ValueError, match="finite"):
        case.call(made(case), tuple(given))


@pytest.mark.slow
@each
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
# Of torch about itself.
@pytest.mark.filterwarnings("ignore:`torch._prims_common.check` is deprecated:FutureWarning")
def test_closed_forms_compile_whole(case: Case) -> None:
    if not case.compiles:
        pytest.skip("not a closed form")
    loss, given = made(case).eval(), tensors(case, torch.float32)
    compiled = torch.compile(lambda *one: case.call(loss, one).loss, fullgraph=True)
    plain = case.call(loss, given).loss.item()
    assert compiled(*given).item() == pytest.approx(plain, rel=1e-5)
