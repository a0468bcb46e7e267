"""What every estimator in `METHODS` must do; `contract_cases` is the one table of them."""

from __future__ import annotations

import dataclasses
import json
import math
import pickle
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import infoest
from infoest._validation import NotFittedError
from infoest.datasets import correlated_normal, discrete_table

from .contract_cases import (
    CASES,
    accurate,
    arguments,
    assert_sound,
    estimate,
    kind_of,
    make,
    names,
    same,
    shannon,
    sound_or_named,
)

MI, ENTROPY, DIVERGENCE = "mutual_information", "entropy", "divergence"
PARAMETERS = ("k", "bandwidth", "bins", "entropy", "parameter")

each = pytest.mark.parametrize("name", names())
each_continuous = pytest.mark.parametrize("name", names(labels=False))
each_mi = pytest.mark.parametrize("name", names(MI))
each_entropy = pytest.mark.parametrize("name", names(ENTROPY))
each_divergence = pytest.mark.parametrize("name", names(DIVERGENCE))


def test_every_method_is_in_the_table() -> None:
    assert sorted(CASES) == sorted(infoest.METHODS), "add the method to tests/contract_cases.py"


# ------------------------------------------------------------------------------- the class itself


@each
def test_class_is_a_keyword_only_dataclass_compared_by_identity(name: str) -> None:
    cls = infoest.METHODS[name]
    assert "__dataclass_fields__" in vars(cls), f"{cls.__name__} lacks its own @dataclass"
    assert cls.__eq__ is object.__eq__
    assert cls.__hash__ is object.__hash__
    with pytest.raises(TypeError, match="positional"):
        cls(1)
    for field in dataclasses.fields(cls):
        assert field.kw_only, field.name
        assert not field.name.endswith("_"), field.name


@each
def test_every_field_is_documented_in_args(name: str) -> None:
    cls = infoest.METHODS[name]
    assert "Args:" in (cls.__doc__ or "")
    args = re.split(r"\n    (?=\w[\w ]*:\n)", cls.__doc__.split("Args:\n", 1)[1])[0]
    documented = set(re.findall(r"^ {8}(\w+):", args, flags=re.MULTILINE))
    assert documented == {field.name for field in dataclasses.fields(cls)}


@each
def test_class_docstring_has_an_example(name: str) -> None:
    assert ">>>" in (infoest.METHODS[name].__doc__ or "")


@each
def test_name_is_the_snake_case_of_the_class(name: str) -> None:
    cls = infoest.METHODS[name]
    assert infoest.METHODS.entry(name).class_name == cls.__name__
    assert name.replace("_", "") == cls.__name__.lower()
    assert getattr(infoest, cls.__name__) is cls
    assert infoest.METHODS.name_of(make(name)) == name
    assert cls.kind == kind_of(name)


@each
def test_parameters_round_trip(name: str) -> None:
    first = make(name)
    params = first.get_params(deep=False)
    assert set(params) == {field.name for field in dataclasses.fields(first)}
    for key, value in params.items():
        assert getattr(first, key) is value, "parameters are stored untouched"
    assert type(first)(**params).get_params(deep=False) == params
    second = type(first)().set_params(**params)
    assert second.get_params(deep=False) == params
    copied = first.set_params(random_state=3).copy()
    assert copied is not first
    assert copied.random_state == 3
    assert copied.set_params(random_state=4) is copied
    assert first.random_state == 3


@each
def test_unknown_parameters_are_named(name: str) -> None:
    estimator = make(name)
    with pytest.raises(ValueError, match=r"parameter must be one of \[.*'random_state'.*'colour'"):
        estimator.set_params(colour=1)
    with pytest.raises(ValueError, match=r"random_state"):
        estimator.set_params(random_state__k=1)


def test_nested_parameters_round_trip() -> None:
    inner = infoest.KozachenkoLeonenko(k=3)
    outer = infoest.FromEntropies(entropy=inner)
    assert outer.get_params()["entropy__k"] == 3
    assert "entropy__k" not in outer.get_params(deep=False)
    copied = outer.copy()
    assert copied.entropy is not inner
    assert outer.set_params(entropy__k=7) is outer
    assert (inner.k, copied.entropy.k) == (7, 3)
    with pytest.raises(ValueError, match=r"parameter must be one of .*'neighbours'"):
        outer.set_params(entropy__neighbours=1)
    with pytest.raises(ValueError, match="entropy"):
        infoest.FromEntropies().set_params(entropy__k=1)


@each
def test_sklearn_clone(name: str) -> None:
    from sklearn.base import clone

    first = make(name, random_state=5)
    second = clone(first)
    assert second is not first
    assert second.get_params(deep=False).keys() == first.get_params(deep=False).keys()
    assert second.random_state == 5
    data = arguments(name)
    assert same(first.estimate(*data), second.estimate(*data))


def test_sklearn_clone_of_nested() -> None:
    from sklearn.base import clone

    outer = infoest.FromEntropies(entropy=infoest.KozachenkoLeonenko(k=3))
    copied = clone(outer)
    assert copied.entropy is not outer.entropy
    assert copied.entropy.k == 3


@each
def test_estimator_survives_pickle(name: str) -> None:
    data = arguments(name)
    estimator = make(name)
    again = pickle.loads(pickle.dumps(estimator))
    assert same(again.estimate(*data), estimator.estimate(*data))


# ------------------------------------------------------------------------------------ known values


@pytest.mark.parametrize("name", shannon(MI, labels=False))
@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
def test_recovers_the_information_of_normal_data(name: str, rho: float) -> None:
    x, y, truth = correlated_normal(2000, rho=rho, random_state=1)
    found = estimate(name, x, y, estimator=accurate(name), confidence=None)
    assert found.value == pytest.approx(truth, abs=CASES[name].tolerance)
    assert found.quantity == (infoest.METHODS.entry(name).quantity or "mutual_information")
    assert found.n_samples == 2000


@pytest.mark.parametrize("name", [*names(MI, labels=True), "auto"])
def test_recovers_the_information_of_a_table(name: str) -> None:
    for table in ([[0.25, 0.25], [0.25, 0.25]], [[0.4, 0.1, 0.0], [0.05, 0.15, 0.3]]):
        x, y, truth = discrete_table(2000, table=table, random_state=1)
        found = estimate(name, x, y, discrete="both", confidence=None)
        assert found.value == pytest.approx(truth, abs=CASES[name].tolerance)


@pytest.mark.parametrize("name", shannon(ENTROPY, labels=False))
@pytest.mark.parametrize("columns", [1, 2])
def test_recovers_the_entropy_of_normal_data(name: str, columns: int) -> None:
    x = np.random.default_rng(1).standard_normal((2000, columns)) * 3.0
    truth = columns * (0.5 * math.log(2.0 * math.pi * math.e) + math.log(3.0))
    assert estimate(name, x).value == pytest.approx(truth, abs=columns * CASES[name].tolerance)


@pytest.mark.parametrize("name", names(ENTROPY, labels=True))
def test_recovers_the_entropy_of_labels(name: str) -> None:
    shares = np.array([0.5, 0.25, 0.125, 0.125])
    x = np.random.default_rng(1).choice(4, 4000, p=shares)
    truth = float(-shares @ np.log(shares))
    assert estimate(name, x).value == pytest.approx(truth, abs=CASES[name].tolerance)


@pytest.mark.parametrize("name", shannon(DIVERGENCE))
@pytest.mark.parametrize("shift", [0.0, 1.0, 2.0])
def test_recovers_the_divergence_of_normal_laws(name: str, shift: float) -> None:
    rng = np.random.default_rng(1)
    x, y = shift + rng.standard_normal(1500), rng.standard_normal(1700)
    truth = CASES[name].truth
    assert truth is not None
    found = estimate(name, x, y)
    # Both the error of the mean and the bias of neighbors in the tail grow with the shift.
    assert found.value == pytest.approx(truth(shift), abs=CASES[name].tolerance * (1.0 + shift))


# ---------------------------------------------------------------------------------- the same again


@each
def test_repeats_itself(name: str) -> None:
    data = arguments(name)
    options: dict[str, Any] = {} if kind_of(name) == ENTROPY else {"n_permutations": 10}
    first, second = (estimate(name, *data, **options) for _ in range(2))
    assert same(first, second)
    estimator = make(name)
    assert same(estimator.estimate(*data, **options), first)
    assert same(estimator.estimate(*data, **options), first), "a call changed the estimator"


@each
def test_parameters_and_data_are_left_alone(name: str) -> None:
    data = arguments(name)
    with_gap = [side.astype(np.float64) for side in data]
    with_gap[0][3] = np.nan
    estimator = make(name)
    before = estimator.get_params(), vars(estimator).copy()
    bytes_before = [side.tobytes() for side in (*data, *with_gap)]
    estimator.estimate(*data)
    estimator.estimate(*with_gap, missing="drop")
    assert (estimator.get_params(), vars(estimator)) == before
    assert [side.tobytes() for side in (*data, *with_gap)] == bytes_before


@each
@pytest.mark.parametrize("columns", [1, 2])
def test_containers_give_one_answer(name: str, columns: int) -> None:
    import pandas
    import polars
    import torch

    data = arguments(name, columns=columns)
    expected = estimate(name, *data)
    frames = ["a", "b"][:columns]
    containers: dict[str, Callable[[np.ndarray], Any]] = {
        "list": lambda side: side.tolist(),
        "tuple": lambda side: tuple(map(tuple, side.tolist())),
        "torch": torch.tensor,
        "torch with gradient": lambda side: (
            torch.tensor(side).requires_grad_() if side.dtype.kind == "f" else torch.tensor(side)
        ),
        "pandas": lambda side: pandas.DataFrame(side, columns=frames),
        "pandas, other index": lambda side: pandas.DataFrame(
            side, columns=frames, index=range(len(side), 0, -1)
        ),
        "polars": lambda side: polars.DataFrame(side, schema=frames),
        "masked": np.ma.asarray,
        "memoryview": memoryview,
    }
    if columns == 1:
        containers |= {
            "one axis": lambda side: side[:, 0],
            "flat list": lambda side: side[:, 0].tolist(),
            "pandas series": lambda side: pandas.Series(side[:, 0]),
            "polars series": lambda side: polars.Series(side[:, 0]),
        }
    for container, convert in containers.items():
        assert same(estimate(name, *map(convert, data)), expected), container


@each
def test_layouts_and_precisions_give_the_answer_of_the_same_numbers(name: str) -> None:
    data = arguments(name, columns=2)
    expected = estimate(name, *data)
    layouts: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "not contiguous": lambda side: np.repeat(np.repeat(side, 2, axis=0), 3, axis=1)[::2, ::3],
        "negative strides": lambda side: side[::-1, ::-1].copy()[::-1, ::-1],
        "Fortran": np.asfortranarray,
        "read-only": _read_only,
        "big-endian": lambda side: side.astype(side.dtype.newbyteorder(">")),
    }
    for layout, convert in layouts.items():
        assert same(estimate(name, *map(convert, data)), expected), layout
    narrow_types = ["int8", "int32"] if CASES[name].labels else ["float32", "float16"]
    for narrow in narrow_types:
        short = [side.astype(narrow) for side in data]
        wide = [side.astype(np.int64 if CASES[name].labels else np.float64) for side in short]
        assert same(estimate(name, *short), estimate(name, *wide)), narrow


def _read_only(side: np.ndarray) -> np.ndarray:
    side = side.copy()
    side.flags.writeable = False
    return side


@each_continuous
def test_bfloat16_tensors_give_the_answer_of_the_same_numbers(name: str) -> None:
    import torch

    short = [torch.tensor(side).to(torch.bfloat16) for side in arguments(name)]
    assert same(estimate(name, *short), estimate(name, *(side.double() for side in short)))


# ------------------------------------------------------------------------------ what a result says


@each
def test_result_is_sound_and_plain(name: str) -> None:
    data = arguments(name)
    options: dict[str, Any] = {} if kind_of(name) == ENTROPY else {"n_permutations": 20}
    found = estimate(name, *data, **options)
    assert_sound(found)
    assert found.unit == CASES[name].unit
    assert found.quantity == (infoest.METHODS.entry(name).quantity or make(name).quantity)
    assert float(found) == found.value
    assert found.n_samples == sum(map(len, data)) if kind_of(name) == DIVERGENCE else len(data[0])
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert plain == found.to_dict()
    assert re.match(rf"-?\d+\.\d+ {found.unit}", repr(found))
    assert f"({found.method}, n={found.n_samples})" in str(found)
    if found.unit:
        assert found.to("bits").value == pytest.approx(found.value / math.log(2.0), rel=1e-14)
    else:
        with pytest.raises(ValueError, match="unit must be that of an information"):
            found.to("bits")
    again = pickle.loads(pickle.dumps(found))
    assert again == found
    axes = found.plot()
    assert found.quantity.replace("_", " ") in axes.get_xlabel()
    if name != "auto":
        assert found.method == name


@each
def test_interval_is_there_where_the_table_says_so(name: str) -> None:
    data = arguments(name)
    found = estimate(name, *data)
    if kind_of(name) != DIVERGENCE:
        assert (found.interval is not None) == CASES[name].interval
        assert found.confidence == (0.95 if CASES[name].interval else None)
        bare = estimate(name, *data, confidence=None)
        assert bare.interval is None
        assert bare.confidence is None
        assert bare.value == pytest.approx(found.value, abs=1e-12)
    else:
        assert found.interval is None
    if CASES[name].interval:
        assert found.std_error is not None
        wide = estimate(name, *data, confidence=0.99).interval
        narrow = estimate(name, *data, confidence=0.5).interval
        assert (
            wide[0] <= found.interval[0] <= narrow[0] <= narrow[1] <= found.interval[1] <= wide[1]
        )
        assert wide[1] - wide[0] > narrow[1] - narrow[0]


@each_mi
def test_p_value_is_small_under_dependence_only(name: str) -> None:
    x, y = arguments(name, n=100)
    options: dict[str, Any] = {"n_permutations": 30, "confidence": None, "block": 1}
    assert estimate(name, x, y, **options).p_value < 0.05
    shuffled = y[np.random.default_rng(3).permutation(len(y))]
    assert estimate(name, x, shuffled, **options).p_value > 0.05


@each_divergence
def test_p_value_of_a_divergence(name: str) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal(80), rng.standard_normal(90)
    assert estimate(name, x + 1.5, y, n_permutations=40).p_value < 0.05
    assert estimate(name, x, y, n_permutations=40).p_value > 0.05


@each
def test_random_state_none_draws_anew_and_still_answers(name: str) -> None:
    assert_sound(estimate(name, *arguments(name), estimator=make(name, random_state=None)))


# ------------------------------------------------------------------------------- rows left out


@each
@pytest.mark.parametrize("gap", [np.nan, np.inf, -np.inf])
def test_missing_values_raise_or_are_dropped(name: str, gap: float) -> None:
    data = [side.astype(np.float64) for side in arguments(name, n=80)]
    last = "x" if kind_of(name) == ENTROPY else "y"
    data[-1][[4, 9]] = gap
    what = "2 missing labels" if CASES[name].labels else "2 NaN or infinite entries"
    with pytest.raises(ValueError, match=rf"^{last} must be finite, got {what}\. Drop"):
        estimate(name, *data)
    dropped = estimate(name, *data, missing="drop")
    assert dropped.has("rows_dropped")
    kept = np.isfinite(data[-1]).all(axis=1)
    paired = kind_of(name) != DIVERGENCE
    clean = [side[kept] if paired or i == len(data) - 1 else side for i, side in enumerate(data)]
    expected = estimate(name, *clean)
    assert dropped.value == expected.value
    assert dropped.interval == expected.interval
    assert dropped.n_samples == expected.n_samples
    (sentence,) = [c.sentence for c in dropped.warnings if c.code == "rows_dropped"]
    assert sentence.startswith(f"2 of {80 if paired or len(data) == 1 else 160} rows")
    if kind_of(name) == MI:
        broken = data[0].copy()
        broken[0] = gap
        with pytest.raises(ValueError, match=r"^x must be finite, got 1 "):
            estimate(name, broken, data[1])


@each
def test_missing_must_be_a_known_word(name: str) -> None:
    with pytest.raises(
        ValueError, match=r"^missing must be one of \['drop', 'raise'\], got 'skip'"
    ):
        estimate(name, *arguments(name), missing="skip")


@each
def test_dropping_almost_all_rows_says_how_many_are_left(name: str) -> None:
    data = [side.astype(np.float64) for side in arguments(name, n=30)]
    data[0][4:] = np.nan
    with pytest.raises(ValueError, match=r"^x must have at least 5 complete rows, got 4"):
        estimate(name, *data, missing="drop")


# ------------------------------------------------------------------------------------- bad inputs


def _sparse(side: np.ndarray) -> Any:
    from scipy.sparse import csr_array

    return csr_array(side)


BAD = {
    "none": (lambda side: None, TypeError, "must be an array of samples, got None. Pass an array"),
    "dict": (lambda side: {"a": 1}, TypeError, "must be an array of samples, got a dict."),
    "set": (lambda side: {1.0, 2.0}, TypeError, "must be an array of samples, got a set."),
    "text": (lambda side: "abc", TypeError, "must be an array of samples, got a str."),
    "iterator": (lambda side: iter(side.tolist()), TypeError, "must"),
    "scalar": (lambda side: 1.5, ValueError, "must have shape (n_samples, n_features), got ()."),
    "three axes": (
        lambda side: side[:, :, None],
        ValueError,
        "must have shape (n_samples, n_features), got (60, 1, 1). Flatten",
    ),
    "empty": (
        lambda side: side[:0],
        ValueError,
        "must hold at least one row and one column, got shape (0, 1).",
    ),
    "empty list": (lambda side: [], ValueError, "must hold at least one row and one column"),
    "no column": (
        lambda side: side[:, :0],
        ValueError,
        "must hold at least one row and one column, got shape (60, 0).",
    ),
    "strings": (
        lambda side: np.array(["a", "b", "c"] * 20),
        TypeError,
        "must be numeric, got strings. Name the side that holds labels",
    ),
    "bytes": (lambda side: np.array([b"a", b"b"] * 30), TypeError, "must be numeric, got strings."),
    "objects": (
        lambda side: np.array([object()] * 60),
        TypeError,
        "must be numeric, got objects of type object. Name the side",
    ),
    "mixed list": (lambda side: [1.0, "a"] * 30, TypeError, "must be numeric, got"),
    "complex": (
        lambda side: side + 1j,
        TypeError,
        "must be real numbers, got dtype complex128. Pass real numbers",
    ),
    "datetime": (
        lambda side: np.arange(60).astype("datetime64[D]"),
        TypeError,
        "must be real numbers, got dtype datetime64[D].",
    ),
    "timedelta": (
        lambda side: np.arange(60).astype("timedelta64[s]"),
        TypeError,
        "must be real numbers, got dtype timedelta64[s].",
    ),
    "sparse": (_sparse, TypeError, "must be dense, got a sparse matrix. Pass {side}.toarray()."),
    "ragged": (
        lambda side: [[1.0, 2.0], [3.0]] * 30,
        ValueError,
        "must have rows of equal length, got a ragged sequence. Pad or cut the rows.",
    ),
}


@each
@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("position", [0, 1])
def test_bad_data_are_refused_by_name(name: str, bad: str, position: int) -> None:
    data: list[Any] = list(arguments(name, n=60))
    if position >= len(data):
        return
    convert, error, text = BAD[bad]
    side = "xy"[position]
    data[position] = convert(data[position].astype(np.float64))
    with pytest.raises(error, match="^" + re.escape(f"{side} {text}".replace("{side}", side))):
        estimate(name, *data)


@each
def test_four_rows_are_too_few(name: str) -> None:
    data = [side[:4] for side in arguments(name, n=60)]
    with pytest.raises(ValueError, match=r"^x must have at least 5 complete rows, got 4"):
        estimate(name, *data)


@each
def test_five_rows_answer_or_say_why_not(name: str) -> None:
    for seed in range(3):
        data = arguments(name, n=5, seed=seed)
        sound_or_named(lambda data=data: estimate(name, *data), "x", "y", *PARAMETERS)


@each_mi
def test_different_lengths(name: str) -> None:
    x, y = arguments(name, n=60)
    text = r"^x and y must be paired, got 60 and 59 samples\. Row i"
    with pytest.raises(ValueError, match=text):
        estimate(name, x, y[:-1])


@each_divergence
def test_divergence_needs_one_space_but_not_one_length(name: str) -> None:
    x, y = arguments(name, n=60, columns=2)
    assert_sound(estimate(name, x, y[:40]))
    with pytest.raises(
        ValueError, match=r"^x and y must have the same number of columns, got 2 and 1"
    ):
        estimate(name, x, y[:, :1])
    fixed = np.ones((60, 1))
    with pytest.raises(
        ValueError, match=r"^x and y must vary in every column, got constant column 2"
    ):
        estimate(name, np.hstack([x, fixed]), np.hstack([y, fixed]))


@pytest.mark.parametrize("name", names(neighbors=True))
@pytest.mark.parametrize("k", [0, -1, 60, 1000])
def test_k_out_of_range(name: str, k: int) -> None:
    data = arguments(name, n=60)
    with pytest.raises(ValueError, match=rf"^k must be in \[1, 59\], got {k}\. There are 60"):
        estimate(name, *data, estimator=make(name, k=k))


@pytest.mark.parametrize("name", names(neighbors=True))
@pytest.mark.parametrize("k", [2.0, "3", None, True])
def test_k_of_a_wrong_type(name: str, k: object) -> None:
    with pytest.raises(TypeError, match=rf"^k must be in \[1, 59\] and an integer, got {k!r}"):
        estimate(name, *arguments(name, n=60), estimator=make(name, k=k))


@pytest.mark.parametrize("name", names(neighbors=True))
def test_largest_k_is_a_valid_one(name: str) -> None:
    assert_sound(estimate(name, *arguments(name, n=60), estimator=make(name, k=59)))


@each
def test_constant_column(name: str) -> None:
    data = list(arguments(name, n=60, columns=2))
    if kind_of(name) == DIVERGENCE:
        return  # constant in both samples: see above; in one it is a valid law
    data[0] = data[0].copy()
    data[0][:, 1] = 3
    if CASES[name].constant:
        assert_sound(estimate(name, *data))
    else:
        with pytest.raises(
            ValueError, match=r"^x must vary in every column, got constant column 1\. "
        ):
            estimate(name, *data)


@each
def test_all_rows_equal(name: str) -> None:
    data = list(arguments(name, n=60, columns=2))
    data[0] = np.full_like(data[0], 2)
    if kind_of(name) == DIVERGENCE:
        sound_or_named(lambda: estimate(name, *data), "x", "y")
    elif CASES[name].constant:
        found = estimate(name, *data)
        assert_sound(found)
        assert found.value == pytest.approx(CASES[name].at_constant, abs=1e-12)
    else:
        with pytest.raises(
            ValueError, match=r"^x must vary in every column, got constant columns 0, 1"
        ):
            estimate(name, *data)


@each
def test_duplicated_columns_and_a_copied_column_are_valid(name: str) -> None:
    data = [np.hstack([side, side]) for side in arguments(name, n=100)]
    found = estimate(name, *data)
    assert_sound(found)
    assert not found.has("infinite_for_continuous")


@each
def test_every_row_twice_is_valid(name: str) -> None:
    data = [np.vstack([side, side]) for side in arguments(name, n=60)]
    assert_sound(estimate(name, *data, **({} if kind_of(name) == DIVERGENCE else {"block": 1})))


@each_continuous
@pytest.mark.parametrize("copies", [2, 20])
def test_few_distinct_rows_are_valid(name: str, copies: int) -> None:
    data = [np.repeat(side, copies, axis=0) for side in arguments(name, n=120 // copies)]
    order = np.random.default_rng(0).permutation(120)
    assert_sound(estimate(name, *(side[: len(order)][order] for side in data)))


@pytest.mark.parametrize("name", [name for name in names(labels=False) if name != "auto"])
@pytest.mark.parametrize("dtype", [np.int64, np.uint8, bool])
def test_integers_are_computed_and_said(name: str, dtype: type) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2 if dtype is bool else 9, 150)
    data = [(x + i * rng.integers(0, 2, 150)).astype(dtype) for i in range(2)]
    found = estimate(name, *data[: 1 if kind_of(name) == ENTROPY else 2])
    assert_sound(found)
    assert found.has("integers_treated_as_continuous")
    expected = estimate(
        name, *(side.astype(float) for side in data[: 1 if kind_of(name) == ENTROPY else 2])
    )
    assert found.value == expected.value


@pytest.mark.parametrize("name", names(MI, labels=False))
def test_offset_leaves_the_value(name: str) -> None:
    x, y = arguments(name, n=150)
    expected = estimate(name, x, y)
    for shift in (1e6, 1e9, -1e9):
        found = estimate(name, x + shift, y - shift)
        assert_sound(found)
        assert found.value == pytest.approx(expected.value, abs=0.02)
    assert estimate(name, x + 1e6, y).value == pytest.approx(expected.value, abs=1e-3)


@each_continuous
@pytest.mark.parametrize("scale", [1e-12, 1e6, 1e12, 1e150, 1e-150])
def test_scale(name: str, scale: float) -> None:
    data, case = arguments(name, n=150), CASES[name]
    estimator = make(name) if case.rule is None else infoest.METHODS[name](**case.rule)
    expected = estimator.estimate(*data)
    found = estimator.estimate(*(scale * side for side in data))
    assert_sound(found)
    if case.scaling != "none":
        change = math.log(scale) if name in shannon(ENTROPY) else 0.0
        assert found.value - change == pytest.approx(expected.value, abs=1e-6)


@pytest.mark.parametrize("name", names(MI, labels=False, scaling="columns"))
def test_columns_of_very_different_scales(name: str) -> None:
    x, y = arguments(name, n=150, columns=2)
    expected = estimate(name, x, y)
    found = estimate(name, x * np.array([1e-9, 1e9]), y * np.array([1e9, 1e-9]))
    assert_sound(found)
    assert found.value == pytest.approx(expected.value, abs=1e-6)


@pytest.mark.parametrize(
    "name", [name for name in names(MI, labels=False) if not CASES[name].constant]
)
def test_identical_sides_are_said_to_be_infinite(name: str) -> None:
    x, _ = arguments(name, n=150)
    noise = np.random.default_rng(4).standard_normal((150, 1))
    for y in (x, -3.0 * x + 7.0, np.hstack([noise, x])):
        found = estimate(name, x, y, estimator=accurate(name))
        assert_sound(found)
        assert found.has("infinite_for_continuous")
        # A lower bound of infinity may be anything.
        assert found.value > 0.5 or found.quantity == "lower_bound"
    assert not estimate(name, x, noise).has("infinite_for_continuous")


@each
def test_more_columns_than_rows(name: str) -> None:
    rng = np.random.default_rng(0)
    data = [rng.standard_normal((20, 30)) for _ in arguments(name)]
    if CASES[name].labels:
        data = [(side > 0).astype(np.int64) for side in data]
    found = sound_or_named(lambda: estimate(name, *data), "x", "y", *PARAMETERS)
    if found is not None and name in shannon(MI):
        codes = {caution.code for caution in found.warnings}
        assert codes & {"shrunk_covariance", "too_few_samples_for_dimension", "saturated_at_log_n"}


@each
@pytest.mark.parametrize(
    ("confidence", "error"),
    [
        (0, ValueError),
        (1, ValueError),
        (1.5, ValueError),
        (-0.1, ValueError),
        (95, ValueError),
        (math.nan, ValueError),
        ("0.9", TypeError),
        (True, TypeError),
    ],
)
def test_confidence_out_of_range(name: str, confidence: object, error: type[Exception]) -> None:
    if kind_of(name) == DIVERGENCE:
        return
    with pytest.raises(error, match=rf"^confidence must be in \(0, 1\).*, got {confidence!r}"):
        estimate(name, *arguments(name, n=30), confidence=confidence)


@each
@pytest.mark.parametrize(
    ("number", "error"), [(-1, ValueError), (1.5, TypeError), ("9", TypeError), (True, TypeError)]
)
def test_n_permutations_out_of_range(name: str, number: object, error: type[Exception]) -> None:
    if kind_of(name) == ENTROPY:
        return
    text = rf"^n_permutations must be an integer of at least 0.*, got {number!r}"
    with pytest.raises(error, match=text):
        estimate(name, *arguments(name, n=30), n_permutations=number)


@each
@pytest.mark.parametrize(
    ("seed", "error"), [(-1, ValueError), (1.5, TypeError), ("a", TypeError), (True, TypeError)]
)
def test_random_state_out_of_range(name: str, seed: object, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"^random_state must be a non-negative integer or None, got "):
        estimate(name, *arguments(name, n=30), estimator=make(name, random_state=seed))


@each
@pytest.mark.parametrize("block", [0, 2, 100, "auto", 1.0, True])
def test_block_is_none_or_one(name: str, block: object) -> None:
    if kind_of(name) == DIVERGENCE:
        return
    with pytest.raises(
        (ValueError, TypeError), match=rf"^block must be in \[1, 1\].*, got {block!r}"
    ):
        estimate(name, *arguments(name, n=30), block=block)


@each_mi
def test_labels_named_for_a_method_that_takes_none(name: str) -> None:
    x, y = arguments(name, n=60)
    with pytest.raises(ValueError, match=r"^discrete must be one of .*, got 'z'"):
        estimate(name, x, y, discrete="z")
    label = (np.arange(60) % 3)[np.random.default_rng(0).permutation(60)]
    refused = {0: ["x", "y", "both"], 1: ["both"], 2: []}[CASES[name].sides]
    for side in refused:
        with pytest.raises(ValueError, match=rf"^discrete must be None.*, got '{side}'\. Use"):
            estimate(name, label, label, discrete=side)
    for side in ["x", "y", "both"]:
        if side not in refused:
            words = np.array(["low", "middle", "high"])[label]
            sides = [words if side in (one, "both") else x for one in "xy"]
            assert_sound(estimate(name, *sides, discrete=side))


@each_entropy
def test_labels_named_for_an_entropy(name: str) -> None:
    words = np.array(["a", "b", "c"] * 20)
    if CASES[name].sides:
        found = estimate(name, words, discrete="x", block=1)
        assert found.value == pytest.approx(math.log(3.0), abs=0.05)
    else:
        with pytest.raises(
            ValueError, match=r"^discrete must be None for .*, got 'x'\. Use Discrete"
        ):
            estimate(name, words, discrete="x")
    with pytest.raises(ValueError, match=r"^discrete must be one of .*, got 'y'"):
        estimate(name, words, discrete="y")


@each_mi
def test_a_condition_is_used_or_refused(name: str) -> None:
    x, y = arguments(name, n=150)
    z = arguments(name, n=150, seed=9)[0]
    if CASES[name].conditional:
        assert_sound(estimate(name, x, y, z=z))
        with pytest.raises(ValueError, match=r"^x and z must be paired, got 150 and 149 samples"):
            estimate(name, x, y, z=z[:-1])
        with pytest.raises(ValueError, match=r"^z must be finite, got 1 "):
            estimate(name, x, y, z=np.r_[np.nan, z[1:, 0]])
    else:
        with pytest.raises(
            ValueError, match=r"^z must be None for .*, got a condition\. Conditional"
        ):
            estimate(name, x, y, z=z)


@pytest.mark.parametrize("name", names(MI, conditional=True))
def test_condition_explains_the_dependence_away(name: str) -> None:
    rng = np.random.default_rng(2)
    z = rng.standard_normal((1500, 1))
    x, y = z + rng.standard_normal((1500, 1)), z + rng.standard_normal((1500, 1))
    if CASES[name].labels:
        x, y, z = ((side > 0).astype(np.int64) for side in (x, y, z))
        x = np.where(rng.random((1500, 1)) < 0.1, 1 - z, z)
        y = np.where(rng.random((1500, 1)) < 0.1, 1 - z, z)
    estimator = accurate(name)
    plain, given = (
        estimate(name, x, y, estimator=estimator, z=one, confidence=None).value for one in (None, z)
    )
    assert plain > 0.1
    assert abs(given) < max(0.05, CASES[name].tolerance)


@pytest.mark.parametrize("name", names(MI, conditional=True, p_given=True))
def test_p_value_given_a_condition(name: str) -> None:
    """Small where x drives y, not where z drives both."""
    rng = np.random.default_rng(5)
    z, e, f = rng.standard_normal((3, 150, 1))
    driven, together, apart = z + 0.7 * e, z + 0.7 * e + 0.5 * f, z + 0.7 * f
    if CASES[name].labels:
        driven, together, apart, z = (
            (side > 0).astype(np.int64) for side in (driven, together, apart, z)
        )
    options: dict[str, Any] = {"n_permutations": 19, "confidence": None, "block": 1}
    assert estimate(name, driven, together, z=z, **options).p_value == 0.05
    first = estimate(name, driven, apart, z=z, **options)
    assert first.p_value > 0.05
    assert same(first, estimate(name, driven, apart, z=z, **options))


@pytest.mark.parametrize("name", names(MI, conditional=True, p_given=False))
def test_p_value_given_a_condition_is_refused(name: str) -> None:
    x, y = arguments(name)
    with pytest.raises(ValueError, match=r"^n_permutations must be 0 with a condition"):
        estimate(name, x, y, z=x + y, n_permutations=19)


@each_mi
@pytest.mark.parametrize("name_of_local", ["pointwise"])
def test_local_values_average_to_the_estimate(name: str, name_of_local: str) -> None:
    local_values = getattr(make(name), name_of_local, None)
    if local_values is None:
        assert name not in ("gaussian", "gaussian_copula", "ksg", "discrete")
        return
    x, y = arguments(name)
    if hasattr(make(name), "fit"):
        with pytest.raises(NotFittedError, match=r"must be fitted first"):
            local_values(x, y)
        fitted = accurate(name).fit(*arguments(name, n=1000, seed=1))
        local = fitted.pointwise(x, y)
        assert local.shape == (len(x),)
        assert np.array_equal(local, fitted.pointwise(x, y))
        # The mean of log r is I, whatever is read by the bound: .22 nats, of 120 rows.
        assert local.mean() == pytest.approx(0.22, abs=0.15)
        return
    local = local_values(x, y)
    assert local.shape == (len(x),)
    assert local.mean() == pytest.approx(estimate(name, x, y).value, abs=1e-12)
    with pytest.raises(ValueError, match=r"^y must be finite, got 1 "):
        local_values(x, np.r_[np.nan, y[1:, 0]])
    with pytest.raises(TypeError, match=r"^y must be an array of samples, got None"):
        local_values(x, None)
