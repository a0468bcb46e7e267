"""The door: what comes in, what comes out, and what the refusals say."""

from __future__ import annotations

import re

import numpy as np
import pytest

from infoest._validation import (
    NotFittedError,
    as_labels,
    as_samples,
    check_bool,
    check_int,
    check_number,
    check_option,
    holds_integers,
    is_labels,
    read_data,
    read_series,
    shares_a_column,
    standardized,
)


def matches(text: str) -> str:
    return "^" + re.escape(text) + "$"


# ---------------------------------------------------------------------------------- parameters


def test_check_int() -> None:
    assert check_int("k", np.int32(3), low=1) == 3
    assert type(check_int("k", np.int32(3), low=1)) is int
    with pytest.raises(ValueError, match=matches("k must be an integer of at least 1, got 0.")):
        check_int("k", 0, low=1)
    with pytest.raises(ValueError, match=matches("k must be in [1, 49], got 60. There are 50.")):
        check_int("k", 60, low=1, high=49, remedy="There are 50.")
    for value in (True, 1.0, "1", None, np.float64(2.0), np.bool_(1), [1]):
        with pytest.raises(TypeError, match=r"^k must be in \[1, 9\] and an integer, got "):
            check_int("k", value, low=1, high=9)


def test_check_number() -> None:
    assert check_number("a", np.float32(0.5), low=0.0) == 0.5
    assert check_number("a", 3) == 3.0
    with pytest.raises(ValueError, match=matches("a must be in (0, 1), got 1.0.")):
        check_number("a", 1.0, low=0.0, high=1.0, open_low=True, open_high=True)
    with pytest.raises(ValueError, match=matches("a must be in [0, 1], got 1.5.")):
        check_number("a", 1.5, low=0.0, high=1.0)
    with pytest.raises(ValueError, match=matches("a must be a finite number above 0, got 0.")):
        check_number("a", 0, low=0.0, open_low=True)
    with pytest.raises(
        ValueError, match=matches("a must be a finite number of at least 0, got -1.")
    ):
        check_number("a", -1, low=0.0)
    for value in (np.nan, np.inf, -np.inf):
        with pytest.raises(ValueError, match=r"^a must be a finite number, got "):
            check_number("a", value)
    for value in (True, "1", None, [1.0], 1j):
        with pytest.raises(TypeError, match=r"^a must be a finite number and a number, got "):
            check_number("a", value)


def test_check_bool_and_option() -> None:
    check_bool("flag", np.bool_(0))
    with pytest.raises(TypeError, match=matches("flag must be True or False, got 1.")):
        check_bool("flag", 1)
    check_option("mode", "a", ("a", None))
    with pytest.raises(
        ValueError, match=matches("mode must be one of ['a', 'b'], got 'c'. Try a.")
    ):
        check_option("mode", "c", ("b", "a"), "Try a.")
    for value in (["a"], {"a": 1}, np.array(["a", "b"]), 1.0):
        with pytest.raises(ValueError, match=r"^mode must be one of \['a', 'b'\], got "):
            check_option("mode", value, ("b", "a"))


def test_a_bool_is_not_an_option_that_happens_to_equal_it() -> None:
    with pytest.raises(ValueError, match=r"^algorithm must be one of \[1, 2\], got True"):
        check_option("algorithm", True, (1, 2))


def test_not_fitted_is_a_value_and_an_attribute_error() -> None:
    assert issubclass(NotFittedError, ValueError)
    assert issubclass(NotFittedError, AttributeError)


# ------------------------------------------------------------------------------------- samples


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "g", "i1", "u8", "?", ">f4", ">i8"])
def test_samples_are_float64_with_two_axes(dtype) -> None:
    data = np.array([0, 1, 1, 0]).astype(dtype)
    found = as_samples("x", data)
    assert found.dtype == np.float64
    assert found.dtype.isnative
    assert found.shape == (4, 1)
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found[:, 0], [0.0, 1.0, 1.0, 0.0])


def test_missing_values_of_all_containers_are_nan() -> None:
    import pandas
    import polars

    expected = [1.0, np.nan, 3.0]
    for data in (
        [1.0, None, 3.0],
        np.array([1.0, None, 3.0], dtype=object),
        np.ma.masked_array([1.0, 2.0, 3.0], [False, True, False]),
        np.ma.masked_array([1, 2, 3], [False, True, False]),
        pandas.Series([1, None, 3], dtype="Int64"),
        pandas.Series([1.0, None, 3.0], dtype="Float32"),
        pandas.Series([1.0, None, 3.0], dtype="float64[pyarrow]"),
        polars.Series([1, None, 3]),
        polars.Series([1.0, None, 3.0]),
        pandas.DataFrame({"a": pandas.Series([1, None, 3], dtype="Int64")}),
        polars.DataFrame({"a": [1.0, None, 3.0]}),
    ):
        np.testing.assert_array_equal(as_samples("x", data)[:, 0], expected, err_msg=repr(data))


def test_mixed_numeric_tables_are_read() -> None:
    import pandas
    import polars

    columns = {"a": [1.5, 2.5], "b": [1, 2], "c": [True, False]}
    expected = [[1.5, 1.0, 1.0], [2.5, 2.0, 0.0]]
    nullable = pandas.DataFrame(columns).convert_dtypes()
    for data in (pandas.DataFrame(columns), nullable, polars.DataFrame(columns)):
        np.testing.assert_array_equal(as_samples("x", data), expected)


def test_text_in_tables_is_refused() -> None:
    import pandas
    import polars

    words = ["a", "b"]
    for data in (
        pandas.Series(words),
        pandas.Series(words, dtype="category"),
        pandas.Series(words, dtype="string"),
        pandas.DataFrame({"a": [1.0, 2.0], "b": words}),
        polars.Series(words),
        polars.DataFrame({"a": [1.0, 2.0], "b": words}),
    ):
        with pytest.raises(TypeError, match=r"^x must be numeric, got .*Name the side"):
            as_samples("x", data)
    with pytest.raises(TypeError, match=r"^x must be real numbers, got dtype datetime64"):
        as_samples("x", pandas.Series(pandas.date_range("2024-01-01", periods=3)))


def test_integers_too_large_for_a_float_are_still_numbers() -> None:
    found = as_samples("x", [10**30, 1, 2])
    assert found[0, 0] == 1e30
    with pytest.raises((ValueError, TypeError), match=r"^x must "):
        read_data({"x": [10**400, 1, 2, 3, 4]})


def test_callers_array_is_not_handed_through_to_be_written() -> None:
    data = np.random.default_rng(0).standard_normal((6, 2))
    before = data.tobytes()
    standardized(as_samples("x", data))
    assert data.tobytes() == before


# -------------------------------------------------------------------------------------- labels


def test_equal_labels_have_equal_codes_whatever_they_are() -> None:
    import pandas
    import polars
    import torch

    pattern = np.array([0, 1, 0, 2, 1])
    words = np.array(["b", "a", "c"])[pattern]
    for data in (
        pattern,
        pattern * 1e-9,
        words,
        words.tolist(),
        words.astype(object),
        pandas.Series(words, dtype="category"),
        pandas.Series(words, dtype="string"),
        polars.Series(words.tolist()),
        torch.tensor(pattern),
        np.array(["2024-01-01", "2024-01-02", "2024-01-03"], dtype="datetime64[D]")[pattern],
        [("b", 1), ("a", 2), ("c", 3)] and [[i, -i] for i in pattern.tolist()],
    ):
        codes, missing = as_labels("y", data)
        assert codes.dtype == np.int64
        assert codes.shape == (5,)
        assert not missing.any()
        assert sorted(set(codes)) == [0, 1, 2]
        np.testing.assert_array_equal(codes[:, None] == codes, pattern[:, None] == pattern)


def test_a_row_of_many_columns_is_one_label() -> None:
    rng = np.random.default_rng(0)
    data = rng.integers(0, 50, (300, 40))
    data[200:] = data[:100]
    codes, _ = as_labels("y", data)
    np.testing.assert_array_equal(codes[200:], codes[:100])
    assert len(set(codes)) == 200


def test_missing_labels_are_marked() -> None:
    import pandas

    for data in (
        [0.0, np.nan, 1.0],
        np.array(["a", None, "b"], dtype=object),
        pandas.Series(["a", None, "b"], dtype="string"),
        pandas.Series(["a", None, "b"], dtype="category"),
        pandas.Series([1, None, 2], dtype="Int64"),
        np.array(["2024-01-01", "NaT", "2024-01-02"], dtype="datetime64[D]"),
        np.ma.masked_array([1, 5, 2], [False, True, False]),
    ):
        assert as_labels("y", data)[1].tolist() == [False, True, False], repr(data)


def test_unhashable_labels_are_refused() -> None:
    data = np.empty(3, dtype=object)
    data[:] = [[1], [2], [3]]
    with pytest.raises(TypeError, match=matches("y must hold hashable labels, got list objects.")):
        as_labels("y", data)


def test_is_labels() -> None:
    found = read_data({"x": np.arange(6.0), "y": list("ababab")}, labels=("y",))
    assert is_labels(found.y)
    assert not is_labels(found.x)


# ------------------------------------------------------------------------------------ read_data


def test_rows_are_dropped_together() -> None:
    x = np.arange(8.0)
    y = x + 0.5
    x[1], y[2] = np.nan, np.inf
    found = read_data({"x": x, "y": y, "z": np.arange(8.0)}, missing="drop")
    assert found.x[:, 0].tolist() == [0, 3, 4, 5, 6, 7]
    assert found.y[:, 0].tolist() == [0.5, 3.5, 4.5, 5.5, 6.5, 7.5]
    assert found.z[:, 0].tolist() == [0, 3, 4, 5, 6, 7]
    (caution,) = found.cautions
    assert caution.sentence.startswith("2 of 8 rows held NaN or infinite entries")


def test_dropping_may_leave_a_constant() -> None:
    x = np.r_[np.ones(8), 2.0]
    y = np.arange(9.0)
    y[8] = np.nan
    with pytest.raises(ValueError, match=r"^x must vary in every column, got constant column 0\."):
        read_data({"x": x, "y": y}, missing="drop")


def test_constant_columns_are_listed() -> None:
    x = np.random.default_rng(0).standard_normal((9, 12))
    x[:, [2, 3, 5, 7, 8, 11]] = 1.0
    with pytest.raises(
        ValueError, match=r"got constant columns 2, 3, 5, 7, 8, \.\.\.\. Leave it out"
    ):
        read_data({"x": x})


def test_device_is_that_of_the_callers_tensors() -> None:
    import torch

    assert read_data({"x": np.arange(6.0)}).device == "cpu"
    assert read_data({"x": torch.arange(6.0)}).device == "cpu"


def test_holds_integers() -> None:
    import pandas
    import polars
    import torch

    whole = [np.arange(3), [1, 2], [True, False], torch.arange(3), torch.tensor([True]),
             pandas.Series([1, 2]), pandas.Series([1, None], dtype="Int64"),
             pandas.DataFrame({"a": [1], "b": [True]}), polars.Series([1, 2]),
             polars.DataFrame({"a": [1]})]  # fmt: skip
    real = [np.arange(3.0), [1.0, 2], torch.ones(2), pandas.Series([1.0]), polars.Series([1.5]),
            pandas.DataFrame({"a": [1], "b": [0.5]}), polars.DataFrame({"a": [1.0]}), ["a"],
            pandas.Series(["interval"]), np.array(["2024"], dtype="datetime64[D]")]  # fmt: skip
    for data in whole:
        assert holds_integers(data), repr(data)
    for data in real:
        assert not holds_integers(data), repr(data)


def test_read_series_keeps_integers() -> None:
    found = read_series({"source": [0, 1, 0, 1, 1], "target": np.arange(5.0), "condition": None})
    assert set(found) == {"source", "target"}
    assert found["source"].dtype == np.int64
    assert found["target"].dtype == np.float64


# ------------------------------------------------------------------------------- standardizing


@pytest.mark.parametrize("scale", [1e-300, 1e-12, 1.0, 1e12, 1e300])
@pytest.mark.parametrize("offset", [0.0, 1.0, 1e6])
def test_standardized(scale, offset) -> None:
    base = np.random.default_rng(0).standard_normal((500, 2))
    x = scale * (base + offset)
    before = x.copy()
    found = standardized(x)
    np.testing.assert_allclose(found.mean(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(found.std(axis=0), 1.0, atol=1e-12)
    expected = (base - base.mean(axis=0)) / base.std(axis=0)
    np.testing.assert_allclose(found, expected, atol=1e-8)
    np.testing.assert_array_equal(x, before)


def test_standardized_of_values_at_the_end_of_the_range() -> None:
    x = np.array([[1.7e308], [-1.7e308], [0.0], [1e308], [5e-324]])
    found = standardized(x)
    assert np.isfinite(found).all()
    assert found.std() == pytest.approx(1.0)
    tiny = standardized(np.array([[5e-324], [1e-323], [0.0], [0.0], [0.0]]))
    assert np.isfinite(tiny).all()


def test_shared_columns() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((300, 3))
    noise = rng.standard_normal((300, 2))
    assert not shares_a_column(x, noise)
    assert shares_a_column(x, x)
    assert shares_a_column(x, np.column_stack([noise, 1e9 - 1e3 * x[:, 1]]))
    assert not shares_a_column(x, x + 1e-3 * noise[:, :1])
    assert not shares_a_column(x, x**3)
    # Equal on the rows that are looked at first, different elsewhere.
    other = x.copy()
    other[1::7] = 0.0
    assert not shares_a_column(x, other)
