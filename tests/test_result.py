"""`Estimate`: what it shows, converts, saves and draws."""

from __future__ import annotations

import dataclasses
import json
import math
import pickle

import pytest

from infoest import Caution, Estimate
from infoest._cautions import CODES


def made(**changes) -> Estimate:
    settings = {
        "value": 0.4131,
        "unit": "nats",
        "quantity": "mutual_information",
        "n_samples": 2000,
        "method": "ksg",
        "std_error": 0.012,
        "interval": (0.389, 0.437),
        "confidence": 0.95,
    }
    return Estimate(**{**settings, **changes})


def test_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        made().value = 1.0


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "0.413 nats  [0.389, 0.437] 95 %  (ksg, n=2000)"),
        ({"interval": None, "confidence": None}, "0.4131 nats  (ksg, n=2000)"),
        (
            {"quantity": "lower_bound"},
            "0.413 nats of lower_bound  [0.389, 0.437] 95 %  (ksg, n=2000)",
        ),
        ({"unit": "", "quantity": "hsic"}, "0.413 of hsic  [0.389, 0.437] 95 %  (ksg, n=2000)"),
        ({"p_value": 0.00498}, "0.413 nats  [0.389, 0.437] 95 %  p = 0.005  (ksg, n=2000)"),
        ({"confidence": 0.999}, "0.413 nats  [0.389, 0.437] 99.9 %  (ksg, n=2000)"),
        (
            {"interval": (0.41305, 0.41315)},
            "0.413100 nats  [0.413050, 0.413150] 95 %  (ksg, n=2000)",
        ),
        ({"interval": (0.4131, 0.4131)}, "0.4131 nats  [0.4131, 0.4131] 95 %  (ksg, n=2000)"),
        ({"value": -0.002}, "-0.002 nats  [0.389, 0.437] 95 %  (ksg, n=2000)"),
        (
            {"warnings": (Caution("ties_broken", "Ties."), Caution("high_variance", "Loud."))},
            "0.413 nats  [0.389, 0.437] 95 %  (ksg, n=2000)  warnings: ties_broken, high_variance",
        ),
    ],
)
def test_repr_and_str(changes, text) -> None:
    assert repr(made(**changes)) == text
    assert str(made(**changes)) == text


def test_bits_and_back() -> None:
    bits = made().to("bits")
    assert bits.unit == "bits"
    assert bits.value == pytest.approx(0.4131 / math.log(2))
    assert bits.std_error == pytest.approx(0.012 / math.log(2))
    assert bits.interval == pytest.approx((0.389 / math.log(2), 0.437 / math.log(2)))
    assert (bits.confidence, bits.method, bits.n_samples) == (0.95, "ksg", 2000)
    assert bits.interval[0] <= bits.value <= bits.interval[1]
    back = bits.to("nats")
    assert back.value == pytest.approx(0.4131, rel=1e-15)
    assert bits.to("bits") is bits
    bare = made(std_error=None, interval=None, confidence=None).to("bits")
    assert (bare.std_error, bare.interval) == (None, None)


def test_conversion_keeps_the_interval_around_the_value() -> None:
    for value in (0.1, 0.2, 0.3, 1e-9, 7.7):
        bits = made(value=value, interval=(value, value)).to("bits")
        assert bits.interval[0] <= bits.value <= bits.interval[1]


def test_unknown_units() -> None:
    with pytest.raises(ValueError, match=r"^unit must be one of \['bits', 'nats'\], got 'dits'\."):
        made().to("dits")
    with pytest.raises(
        ValueError, match=r"^unit must be that of an information, got a hsic without"
    ):
        made(unit="", quantity="hsic").to("bits")


def test_has_and_float() -> None:
    found = made(warnings=(Caution("ties_broken", "Ties."),))
    assert found.has("ties_broken")
    assert not found.has("high_variance")
    assert float(found) == 0.4131


def test_plain_json() -> None:
    found = made(warnings=(Caution("ties_broken", "Ties."),), info={"a": [1, None]}, p_value=0.5)
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert plain["warnings"] == [{"code": "ties_broken", "sentence": "Ties."}]
    assert plain["interval"] == [0.389, 0.437]
    assert list(plain) == [field.name for field in dataclasses.fields(Estimate)]


def test_pickle_and_equality() -> None:
    found = made(warnings=(Caution("ties_broken", "Ties."),))
    assert pickle.loads(pickle.dumps(found)) == found
    assert found != made()


def test_plot() -> None:
    from matplotlib.figure import Figure

    axes = made().plot()
    assert axes.get_xlabel() == "mutual information (nats)"
    assert [label.get_text() for label in axes.get_yticklabels()] == ["ksg"]
    given = Figure().subplots()
    assert made(interval=None, confidence=None).plot(given) is given
    candidates = {"ksg": {"value": 0.4, "interval": [0.3, 0.5]}, "gaussian": {"value": 0.2}}
    axes = made(info={"candidates": candidates}).plot()
    assert [label.get_text() for label in axes.get_yticklabels()] == ["ksg", "gaussian"]
    assert made(unit="", quantity="hsic").plot().get_xlabel() == "hsic (no unit)"


def test_plot_leaves_pyplot_alone() -> None:
    import subprocess
    import sys

    source = (
        "import sys; from infoest import Estimate; Estimate(value=1.0, unit='nats', "
        "quantity='entropy', n_samples=5, method='ksg').plot(); "
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", source], check=False).returncode == 0


def test_the_codes_of_the_documentation() -> None:
    assert len(CODES) == 22
    assert all(code == code.lower() and " " not in code for code in CODES)


def test_every_code_used_in_the_package_is_listed() -> None:
    import ast
    from pathlib import Path

    import infoest

    for path in Path(infoest.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and getattr(node.func, "id", "") == "Caution"
                and node.args
                and isinstance(node.args[0], ast.Constant)
            ):
                assert node.args[0].value in CODES, f"{path}:{node.lineno}"
