"""The estimator shown in CONTRIBUTING.md works as it stands."""

from __future__ import annotations

import doctest
import re
import sys
from types import ModuleType

import numpy as np
import pytest

import infoest
from infoest.estimators import catalog
from infoest.functional.intervals import normal_quantile

from .contract_cases import Case
from .markdown_blocks import ROOT, blocks

MODULE = "infoest.estimators.spacing"


def shown_file() -> str:
    [block] = [one for one in blocks(ROOT / "CONTRIBUTING.md") if one.language == "python"]
    return block.code


@pytest.fixture
def spacing(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The file as a module of the package, as it would be after adding it."""
    module = ModuleType(MODULE)
    module.__package__ = "infoest.estimators"
    monkeypatch.setitem(sys.modules, MODULE, module)
    exec(compile(shown_file(), MODULE, "exec"), module.__dict__)
    return module


def test_is_under_fifty_lines() -> None:
    assert len(shown_file().splitlines()) < 50


def test_estimates_a_known_entropy(spacing: ModuleType) -> None:
    x = np.random.default_rng(1).standard_normal(2000)
    found = infoest.entropy(x, spacing.SpacingEntropy())
    truth = 0.5 * np.log(2 * np.pi * np.e)
    assert found.value == pytest.approx(truth, abs=0.05)
    assert found.interval is not None
    assert found.interval[0] < truth < found.interval[1]
    assert found.std_error is not None
    reach = normal_quantile(0.95) * found.std_error
    assert found.interval[1] - found.value == pytest.approx(reach)
    assert infoest.entropy(x, spacing.SpacingEntropy(m=5)).interval is None


def test_gets_the_contract_from_its_base(spacing: ModuleType) -> None:
    estimator = spacing.SpacingEntropy(m=2)
    assert repr(estimator) == "SpacingEntropy(random_state=0, m=2)"
    assert estimator.copy().get_params() == {"random_state": 0, "m": 2}
    with pytest.raises(ValueError, match=r"^m must be in \[1, 9\], got 10\. There are 10 "):
        spacing.SpacingEntropy(m=10).estimate(np.arange(10.0))
    with pytest.raises(ValueError, match=r"^x must hold no value more than 1 times, got a gap"):
        spacing.SpacingEntropy().estimate([1.0, 1.0, 2.0, 3.0, 4.0])
    with pytest.raises(ValueError, match=r"^x must have one column, got 3"):
        spacing.SpacingEntropy().estimate(np.random.default_rng(0).standard_normal((10, 3)))


def test_its_docstring_runs(spacing: ModuleType) -> None:
    result = doctest.testmod(spacing)
    assert (result.attempted, result.failed) == (1, 0)


def test_it_would_be_listed_as_the_others_are() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    lines = re.findall(r"`(\"spacing_entropy\": (\w+)\(.*\),)`", text)
    assert [call for _, call in lines] == ["Entry", "Case"]
    entries = [eval(f"{{{line}}}", {**vars(catalog), "Case": Case}) for line, _ in lines]
    assert entries[0]["spacing_entropy"].kind == "entropy"
