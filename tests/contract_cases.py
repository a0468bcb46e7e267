"""The table of all estimators that the contract tests read: one line for each method.

A method missing here, or listed but gone, fails `test_contract.test_every_method_is_in_the_table`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import infoest
from infoest.datasets import correlated_normal
from infoest.training import Training

Arrays = tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Case:
    """What the contract must know of a method.

    Args:
        tolerance: Of known values, in nats, at the sizes that the tests use; None for what is not
            Shannon's quantity and has tests of its own.
        settings: Constructor arguments of the tests.
        labels: Whether the method reads its data as labels, named or not.
        sides: How many sides may be named in ``discrete``.
        constant: Whether a constant column is a valid input.
        conditional: Whether it takes ``z``.
        p_given: Whether it has a p-value given ``z``.
        interval: Whether it has an interval.
        neighbors: Whether ``k`` neighbors must exist.
        truth: Closed form: of the divergence of N(shift, 1) from N(0, 1); None elsewhere.
        unit: Of the value.
        scaling: What leaves the value (up to the log of the scale for Shannon's entropy):
            ``"columns"``, a factor for each column; ``"common"``, one for all data; ``"none"``.
        rule: Settings with which ``scaling`` holds, where those of the tests hold numbers in the
            units of the data.
        at_constant: Value where all rows are equal, for a method that takes them.
        accurate: Further settings for known values, where those of the tests are too hasty.
    """

    tolerance: float | None
    settings: Mapping[str, Any] = field(default_factory=dict)
    labels: bool = False
    sides: int = 0
    constant: bool = False
    conditional: bool = False
    p_given: bool = True
    interval: bool = True
    neighbors: bool = False
    truth: Callable[[float], float] | None = None
    unit: str = "nats"
    scaling: str = "columns"
    rule: Mapping[str, Any] | None = None
    at_constant: float = 0.0
    accurate: Mapping[str, Any] = field(default_factory=dict)


# Hardly any training, for what the contract asks beside known values, and enough for those.
TOUCHED = {"n_splits": 2, "training": Training(steps=6, learning_rate=1e-3)}
TRAINED = {"training": Training(steps=150, learning_rate=3e-3)}

CASES = {
    "auto": Case(0.06, sides=2, conditional=True),
    "gaussian": Case(0.04, conditional=True),
    "gaussian_copula": Case(0.04, conditional=True),
    "ksg": Case(0.06, conditional=True, neighbors=True),
    "mixed_ksg": Case(0.06, sides=1, neighbors=True),
    "discrete": Case(0.03, labels=True, sides=2, constant=True, conditional=True),
    # Few bins: the plug-in value of a fine grid is far too high, that of a coarse one too low.
    "binned": Case(0.2, {"bins": 12}, sides=2, constant=True, interval=False),
    "kde": Case(0.12, sides=1),
    "from_entropies": Case(0.1, sides=2, conditional=True, interval=False),
    "cauchy_schwarz_qmi": Case(None, sides=2, constant=True, interval=False, scaling="common"),
    "hsic": Case(None, sides=2, constant=True, interval=False, unit="", scaling="common"),
    "matrix_renyi": Case(None, sides=2, constant=True, interval=False, scaling="common"),
    "diffusion_spectral_mi": Case(
        None,
        sides=2,
        constant=True,
        interval=False,
        scaling="common",
        rule={"bandwidth": "median"},
    ),
    "wasserstein_dependency": Case(
        None, constant=True, interval=False, unit="", scaling="common", rule={"standardize": True}
    ),
    "noise_contrastive": Case(
        0.1, TOUCHED, sides=2, conditional=True, p_given=False, accurate=TRAINED
    ),
    "mine": Case(0.1, TOUCHED, sides=2, conditional=True, p_given=False, accurate=TRAINED),
    "donsker_varadhan": Case(
        0.1, TOUCHED, sides=2, conditional=True, p_given=False, accurate=TRAINED
    ),
    "nwj": Case(0.1, TOUCHED, sides=2, conditional=True, p_given=False, accurate=TRAINED),
    "tuba": Case(0.1, TOUCHED, sides=2, conditional=True, p_given=False, accurate=TRAINED),
    "flo": Case(0.1, TOUCHED, sides=2, conditional=True, p_given=False, accurate=TRAINED),
    "infonce": Case(0.1, TOUCHED, sides=2, conditional=True, p_given=False, accurate=TRAINED),
    "interpolated_bound": Case(
        0.1, TOUCHED, sides=2, conditional=True, p_given=False, accurate=TRAINED
    ),
    "jensen_shannon": Case(
        0.1,
        TOUCHED,
        sides=2,
        conditional=True,
        p_given=False,
        # A fast training overshoots in the tails, which its objective hardly sees.
        accurate={"training": Training(steps=200, learning_rate=1e-3)},
    ),
    "smile": Case(0.1, TOUCHED, sides=2, conditional=True, p_given=False, accurate=TRAINED),
    "infonce_anchor": Case(
        0.1, TOUCHED, sides=2, conditional=True, p_given=False, accurate=TRAINED
    ),
    "club": Case(None, TOUCHED, sides=2, accurate=TRAINED),
    "leave_one_out": Case(0.1, TOUCHED, sides=2, accurate=TRAINED),
    "barber_agakov": Case(0.1, TOUCHED, sides=2, accurate=TRAINED),
    "difference_of_entropies": Case(0.1, TOUCHED, sides=2, accurate=TRAINED),
    "kozachenko_leonenko": Case(0.06, neighbors=True),
    "kde_entropy": Case(0.06),
    "discrete_entropy": Case(0.02, labels=True, sides=1, constant=True),
    "diffusion_spectral_entropy": Case(
        None, constant=True, interval=False, scaling="common", rule={"bandwidth": "median"}
    ),
    "von_neumann_entropy": Case(None, constant=True, interval=False, scaling="common"),
    "matrix_renyi_entropy": Case(None, constant=True, interval=False, scaling="common"),
    # E k = h / sqrt(h^2 + 2) exp(-shift^2 / (2 (h^2 + 2))) for two normal laws shift apart.
    "cauchy_schwarz": Case(
        0.035,
        {"bandwidth": 1.0},
        interval=False,
        truth=lambda shift: shift**2 / 3.0,
        scaling="common",
        rule={"bandwidth": "median"},
    ),
    "mmd": Case(None, interval=False, unit="", scaling="common"),
    "knn_divergence": Case(
        0.1,
        interval=False,
        neighbors=True,
        truth=lambda shift: shift**2 / 2.0,
        scaling="common",
    ),
}


def shannon(kind: str, **wanted: Any) -> list[str]:
    """Names of one kind whose known values the contract checks."""
    return [name for name in names(kind, **wanted) if CASES[name].tolerance is not None]


def kind_of(name: str) -> str:
    return infoest.METHODS.entry(name).kind


def names(kind: str | None = None, **wanted: Any) -> list[str]:
    """Names of the table of one kind whose entries have the values wanted."""
    return [
        name
        for name, case in CASES.items()
        if name in list(infoest.METHODS)  # membership would import the class
        and (kind is None or kind_of(name) == kind)
        and all(getattr(case, key) == value for key, value in wanted.items())
    ]


def make(name: str, **settings: Any) -> Any:
    """An estimator with the settings of the table and further ones."""
    return infoest.METHODS[name](**{**CASES[name].settings, **settings})


def arguments(name: str, n: int = 120, columns: int = 1, seed: int = 0) -> Arrays:
    """Data that suit the method: (x, y), or (x,) for an entropy; labels where it reads those."""
    x, y, _ = correlated_normal(n, rho=0.6, dim=columns, random_state=seed)
    if CASES[name].labels:
        x, y = ((np.clip(np.round(side), -1, 1) + 1).astype(np.int64) for side in (x, y))
    return (x,) if kind_of(name) == "entropy" else (x, y)


def estimate(name: str, *data: Any, estimator: Any = None, **options: Any) -> Any:
    return (make(name) if estimator is None else estimator).estimate(*data, **options)


def accurate(name: str) -> Any:
    """An estimator that reaches the tolerance of the table."""
    return make(name, **CASES[name].accurate)


def same(first: Any, second: Any) -> bool:
    """Whether two estimates agree in everything."""
    return first.to_dict() == second.to_dict()


def assert_sound(found: Any) -> None:
    """Every number is finite and means what its name says."""
    assert math.isfinite(found.value)
    assert found.quantity
    if found.std_error is not None:
        assert math.isfinite(found.std_error)
        assert found.std_error >= 0.0
    if found.interval is not None:
        low, high = found.interval
        assert math.isfinite(low)
        assert math.isfinite(high)
        assert low <= found.value <= high
    assert (found.interval is None) == (found.confidence is None)
    if found.p_value is not None:
        assert 0.0 < found.p_value <= 1.0
    for caution in found.warnings:
        assert caution.sentence.endswith(".")


def sound_or_named(call: Callable[[], Any], *allowed: str) -> Any:
    """A sound estimate, or an error that names one of the arguments and a rule; None then."""
    try:
        found = call()
    except (ValueError, TypeError) as error:
        text = str(error)
        assert " must " in text, text
        assert text.split()[0].strip(",") in allowed, text
        return None
    assert_sound(found)
    return found
