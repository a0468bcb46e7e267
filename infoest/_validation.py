"""The door: whatever comes in is checked once and turned into what the estimators ask for.

Nothing else in the library converts data. Samples become float64 arrays of shape (n, d), labels
become int64 codes of shape (n,); the caller's data are never changed.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from infoest._cautions import Caution

# Samples (float64, two axes) or, past the door, labels (int64 codes, one axis): see `is_labels`.
Array = npt.NDArray[Any]
Codes = npt.NDArray[np.int64]

MIN_ROWS = 5
SIDES = ("x", "y", "both")


class NotFittedError(ValueError, AttributeError):
    """Raised when something learned is used before ``fit``."""


# ---------------------------------------------------------------------------------- parameters


def check_int(
    name: str, value: object, *, low: int, high: int | None = None, remedy: str = ""
) -> int:
    """Return ``value`` as an int inside [low, high]; raise an error that names it otherwise."""
    rule = f"be an integer of at least {low}" if high is None else f"be in [{low}, {high}]"
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise TypeError(_sentence(name, f"{rule} and an integer", repr(value), remedy))
    if value < low or (high is not None and value > high):
        raise ValueError(_sentence(name, rule, repr(value), remedy))
    return int(value)


def check_number(
    name: str,
    value: object,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    open_low: bool = False,
    open_high: bool = False,
    remedy: str = "",
) -> float:
    """Return ``value`` as a finite float between the limits; raise an error that names it."""
    left, right = "(" if open_low else "[", ")" if open_high else "]"
    if low == -math.inf and high == math.inf:
        rule = "be a finite number"
    elif high == math.inf:
        rule = f"be a finite number {'above' if open_low else 'of at least'} {low:g}"
    else:
        rule = f"be in {left}{low:g}, {high:g}{right}"
    if isinstance(value, (bool, np.bool_)) or not isinstance(
        value, (int, float, np.integer, np.floating)
    ):
        raise TypeError(_sentence(name, f"{rule} and a number", repr(value), remedy))
    number = float(value)
    below = number <= low if open_low else number < low
    above = number >= high if open_high else number > high
    if not math.isfinite(number) or below or above:
        raise ValueError(_sentence(name, rule, repr(value), remedy))
    return number


def check_bool(name: str, value: object) -> None:
    """Raise unless ``value`` is True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(_sentence(name, "be True or False", repr(value)))


def check_option(name: str, value: object, options: Collection[Any], remedy: str = "") -> None:
    """Raise unless ``value`` is one of ``options``, which the error lists."""
    plain = isinstance(value, (str, int, type(None))) and not isinstance(value, bool)
    if not plain or value not in options:
        listed = sorted(options, key=str)
        raise ValueError(_sentence(name, f"be one of {listed}", repr(value), remedy))


def _sentence(name: str, rule: str, value: str, remedy: str = "") -> str:
    return f"{name} must {rule}, got {value}." + (f" {remedy}" if remedy else "")


# ---------------------------------------------------------------------------------------- data


def as_samples(name: str, data: object) -> Array:
    """Return numeric data as a float64 array of shape (n, d); 1-D data is one feature.

    Missing values (NaN, None in a table's column, masked entries) come back as NaN: whether they
    are allowed is decided by `read_pairs` and its siblings.

    Raises:
        TypeError: If ``data`` is not numeric.
        ValueError: If ``data`` is empty, scalar, ragged or has more than two axes.
    """
    array = as_array(name, data)
    kind = array.dtype.kind
    if kind == "O":
        array = _numeric_objects(name, array)
    elif kind in "US":
        raise TypeError(_sentence(name, "be numeric", "strings", _NAME_LABELS))
    elif kind not in "biuf":
        raise TypeError(_sentence(name, "be real numbers", f"dtype {array.dtype}", _REAL))
    array = _with_two_axes(name, array)
    return np.ascontiguousarray(array, dtype=np.float64)


def as_labels(name: str, data: object) -> tuple[Codes, npt.NDArray[np.bool_]]:
    """Return labels as int64 codes of shape (n,) and a mask of the missing ones.

    A row of several columns is one label. Strings, booleans, numbers and other hashable values are
    labels; equal values have equal codes.
    """
    array = _with_two_axes(name, as_array(name, data))
    codes = np.zeros(len(array), dtype=np.int64)
    missing = np.zeros(len(array), dtype=bool)
    for column in array.T:
        missing |= _missing_labels(column)
        inverse = _column_codes(name, column)
        # Densify after each column: the product of two code counts cannot overflow int64.
        codes = np.unique(codes * (inverse.max() + 1) + inverse, return_inverse=True)[1]
    return codes.astype(np.int64), missing


def is_labels(array: Array) -> bool:
    """Return whether an array that passed the door holds labels rather than samples."""
    return array.dtype.kind == "i"


def standardized(x: Array) -> Array:
    """Return a copy whose columns have mean 0 and variance 1, safe at any scale and offset.

    Args:
        x: Samples, shape (n, d), no constant column.
    """
    # A power of two changes no digit; without it the squares of 1e200 overflow.
    exponent = np.frexp(np.abs(x).max(axis=0))[1]
    scaled = np.ldexp(x, -exponent)
    scaled -= scaled.mean(axis=0)
    # Once more: after a large offset the first mean is exact only to its own last digit.
    scaled -= scaled.mean(axis=0)
    exponent = np.frexp(np.abs(scaled).max(axis=0))[1]
    scaled = np.ldexp(scaled, -exponent)
    return scaled / np.sqrt(np.mean(scaled**2, axis=0))


@dataclass(frozen=True)
class Pairs:
    """What came through the door of an estimator.

    Args:
        x: Samples (n, d), or int64 codes (n,) for a side used as labels.
        y: The same for the other side; x again for an entropy.
        z: The condition, or None.
        cautions: What was noticed on the way.
        device: Where the caller's tensors live; ``"cpu"`` for everything else.
    """

    x: Array
    y: Array
    z: Array | None = None
    cautions: tuple[Caution, ...] = ()
    device: str = "cpu"

    def with_caution(self, caution: Caution) -> Pairs:
        """Return a copy with one more caution."""
        return replace(self, cautions=(*self.cautions, caution))


def read_data(
    data: dict[str, object],
    *,
    labels: Collection[str] = (),
    missing: str = "raise",
    paired: bool = True,
    constant: bool = False,
) -> Pairs:
    """Check and convert the named data arguments of one call.

    Args:
        data: Argument name to data, in the order x, y, z; z may be None.
        labels: Names of the arguments that hold labels.
        missing: ``"raise"`` refuses NaN and infinity, ``"drop"`` leaves those rows out.
        paired: Whether row i of every argument belongs together; if not, they are samples of
            laws on one space and need the same number of columns.
        constant: Whether constant columns are a valid input.

    Raises:
        TypeError: If an argument is not numeric and not named as labels.
        ValueError: For the wrong shape, different lengths, missing values, too few rows or
            constant columns.
    """
    check_option("missing", missing, ("raise", "drop"))
    arrays: dict[str, Array] = {}
    bad: dict[str, npt.NDArray[np.bool_]] = {}
    cautions: list[Caution] = []
    for name, value in data.items():
        if value is None and name == "z":
            continue
        if name in labels:
            arrays[name], bad[name] = as_labels(name, value)
        else:
            arrays[name] = as_samples(name, value)
            bad[name] = _incomplete(arrays[name])
            if holds_integers(value):
                cautions.append(_integers(name))
    if paired:
        _check_paired(arrays)
    else:
        _check_one_space(arrays)
    arrays, dropped = _without_missing(arrays, bad, missing, paired)
    cautions += dropped
    for name, array in arrays.items():
        _check_rows(name, array)
        if not constant and not is_labels(array):
            _check_varies(name, array)
    return Pairs(
        arrays["x"],
        arrays.get("y", arrays["x"]),
        arrays.get("z"),
        tuple(cautions),
        _device(*data.values()),
    )


def read_series(data: dict[str, object], *, constant: bool = False) -> dict[str, Array]:
    """Check columns or series of one length and return them by name, shape (n, d).

    A ``condition`` of None is left out.

    Integers stay integers, so that a method for labels can read them and others say what they did.

    Args:
        data: Argument name to data.
        constant: Whether constant series are a valid input.

    Raises:
        TypeError: If a series is not numeric.
        ValueError: For different lengths, missing values, too few rows or constant columns.
    """
    given = {name: v for name, v in data.items() if v is not None or name != "condition"}
    arrays = {name: as_samples(name, value) for name, value in given.items()}
    _check_paired(arrays)
    _without_missing(arrays, {name: _incomplete(array) for name, array in arrays.items()}, "raise")
    for name, array in arrays.items():
        _check_rows(name, array)
        if not constant:
            _check_varies(name, array)
    return {
        # Taken from the caller once more: float64 merges integers above 2**53.
        name: _with_two_axes(name, as_array(name, given[name])).astype(np.int64)
        if holds_integers(given[name])
        else array
        for name, array in arrays.items()
    }


def shares_a_column(x: Array, y: Array) -> bool:
    """Return whether a column of x is a column of y up to scale and offset.

    A sample of rows rules out almost every pair of columns; only the rest is compared in full.
    """
    rows = np.linspace(0, len(x) - 1, min(len(x), 64)).astype(np.int64)
    parts = []
    for array in (x[rows], y[rows]):
        scaled = np.ldexp(array, -np.frexp(np.abs(array).max(axis=0))[1])
        centered = scaled - scaled.mean(axis=0)
        norm = np.sqrt(np.sum(centered**2, axis=0))
        parts.append(centered / np.where(norm > 0.0, norm, 1.0))
    near = np.argwhere(np.abs(parts[0].T @ parts[1]) > 1.0 - 1e-9)
    for i, j in near:
        a, b = standardized(x[:, [i]]), standardized(y[:, [j]])
        if min(np.abs(a - b).max(), np.abs(a + b).max()) < 1e-9:
            return True
    return False


# -------------------------------------------------------------------------------- inside the door

_NAME_LABELS = "Name the side that holds labels: discrete='x', 'y' or 'both'."
_REAL = "Pass real numbers, for instance real and imaginary parts as columns."
_FINITE = "Drop those rows (missing='drop' where there is one) or fill them in."


def as_array(name: str, data: object) -> npt.NDArray[Any]:
    """Return a NumPy array of what the caller passed, missing values of tables as NaN.

    Raises:
        TypeError: If ``data`` is no array, table or sequence.
        ValueError: If its rows differ in length.
    """
    if data is None or isinstance(data, (str, bytes, dict, set, frozenset)):
        shown = "None" if data is None else f"a {type(data).__name__}"
        raise TypeError(
            _sentence(name, "be an array of samples", shown, "Pass an array of shape (n, d).")
        )
    if isinstance(data, np.ma.MaskedArray):
        return np.ma.filled(data.astype(np.float64), np.nan) if data.mask.any() else data.data
    if type(data).__module__.startswith("scipy.sparse"):
        raise TypeError(_sentence(name, "be dense", "a sparse matrix", f"Pass {name}.toarray()."))
    if hasattr(data, "detach") and hasattr(data, "cpu"):
        data = data.detach().cpu()
        if "bfloat16" in str(getattr(data, "dtype", "")):
            data = data.float()  # type: ignore[attr-defined]
    elif hasattr(data, "to_numpy"):
        return _table_to_array(data)
    try:
        array = np.asarray(data)
    except ValueError:
        raise ValueError(
            _sentence(
                name, "have rows of equal length", "a ragged sequence", "Pad or cut the rows."
            )
        ) from None
    except (RuntimeError, TypeError) as error:
        raise TypeError(_sentence(name, "be an array of samples", str(error))) from None
    return array


def _table_to_array(table: Any) -> npt.NDArray[Any]:
    """Return the values of a pandas or polars frame or column; missing entries become NaN."""
    array = np.asarray(table.to_numpy())
    if array.dtype.kind != "O":
        return array
    try:
        return np.asarray(table.to_numpy(dtype=np.float64, na_value=np.nan))
    except (TypeError, ValueError):
        return array


def _numeric_objects(name: str, array: npt.NDArray[Any]) -> Array:
    """Return an object array of numbers and None as floats; refuse anything else."""
    shown = next(
        (type(v).__name__ for v in array.flat if not _is_number_or_none(v)),
        None,
    )
    if shown is not None:
        raise TypeError(_sentence(name, "be numeric", f"objects of type {shown}", _NAME_LABELS))
    try:
        numbers = [np.nan if value is None else float(value) for value in array.flat]
    except OverflowError:
        raise ValueError(
            _sentence(name, "be finite", "an integer beyond the range of float64", "Rescale it.")
        ) from None
    return np.asarray(numbers).reshape(array.shape)


def _is_number_or_none(value: object) -> bool:
    return value is None or isinstance(value, (bool, int, float, np.number, np.bool_))


def _with_two_axes(name: str, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2:
        remedy = (
            "Pass one row per sample."
            if array.ndim == 0
            else f"Flatten images or sequences first: {name}.reshape(len({name}), -1)."
        )
        raise ValueError(
            _sentence(name, "have shape (n_samples, n_features)", str(array.shape), remedy)
        )
    if array.size == 0:
        raise ValueError(
            _sentence(name, "hold at least one row and one column", f"shape {array.shape}")
        )
    return array


def _column_codes(name: str, column: npt.NDArray[Any]) -> Codes:
    if column.dtype.kind != "O":
        return np.unique(column, return_inverse=True)[1].astype(np.int64)
    codes: dict[object, int] = {}
    try:
        found = [
            codes.setdefault("missing" if _is_missing(value) else (value,), len(codes))
            for value in column
        ]
    except TypeError:
        raise TypeError(
            _sentence(name, "hold hashable labels", f"{type(column[0]).__name__} objects")
        ) from None
    return np.asarray(found, dtype=np.int64)


def _missing_labels(column: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    if column.dtype.kind == "f":
        return ~np.isfinite(column)
    if column.dtype.kind in "mM":
        return np.isnat(column)
    if column.dtype.kind == "O":
        return np.asarray([_is_missing(value) for value in column])
    return np.zeros(len(column), dtype=bool)


def _is_missing(value: object) -> bool:
    # pandas.NA refuses to be compared even with itself.
    return value is None or type(value).__name__ == "NAType" or bool(value != value)


def holds_integers(data: object) -> bool:
    """Return whether the caller's data are integers or booleans, in any of its containers."""
    dtype = getattr(data, "dtype", None)
    if dtype is None and hasattr(data, "dtypes"):  # a table: every column counts
        return all(_integer_dtype(one) for one in data.dtypes)
    if dtype is None:
        return bool(np.asarray(data).dtype.kind in "biu")
    return _integer_dtype(dtype)


def _integer_dtype(dtype: object) -> bool:
    text = str(dtype).lower()
    return any(word in text for word in ("int", "bool"))


def _integers(name: str) -> Caution:
    return Caution(
        "integers_treated_as_continuous",
        f"{name} holds integers but was used as continuous data. If they are labels or counts, "
        f"name the side: discrete={name!r}.",
    )


def _check_paired(arrays: dict[str, Array]) -> None:
    first, *others = arrays
    for other in others:
        if len(arrays[first]) != len(arrays[other]):
            raise ValueError(
                f"{first} and {other} must be paired, got {len(arrays[first])} and "
                f"{len(arrays[other])} samples. Row i of both must belong together."
            )


def _check_one_space(arrays: dict[str, Array]) -> None:
    widths = [array.shape[1] for array in arrays.values()]
    if len(set(widths)) > 1:
        raise ValueError(
            f"{' and '.join(arrays)} must have the same number of columns, got "
            f"{' and '.join(map(str, widths))}. Both samples must live in one space."
        )


def _incomplete(array: Array) -> npt.NDArray[np.bool_]:
    """Return which rows hold NaN or infinity, shape (n,)."""
    return np.asarray(~np.isfinite(array).all(axis=1))


def _without_missing(
    arrays: dict[str, Array],
    bad: dict[str, npt.NDArray[np.bool_]],
    missing: str,
    paired: bool = True,
) -> tuple[dict[str, Array], list[Caution]]:
    """Refuse or drop rows with missing values, together where the rows are paired."""
    if not any(mask.any() for mask in bad.values()):
        return arrays, []
    if missing == "raise":
        name = next(name for name, mask in bad.items() if mask.any())
        array = arrays[name]
        count = int(bad[name].sum() if is_labels(array) else (~np.isfinite(array)).sum())
        what = "missing labels" if is_labels(array) else "NaN or infinite entries"
        raise ValueError(_sentence(name, "be finite", f"{count} {what}", _FINITE))
    if paired:
        together = np.asarray(np.stack(list(bad.values())).any(axis=0))
        bad = dict.fromkeys(bad, together)
    kept = {name: array[~bad[name]] for name, array in arrays.items()}
    masks = [together] if paired else list(bad.values())
    n_dropped, n_rows = int(sum(mask.sum() for mask in masks)), sum(map(len, masks))
    sentence = (
        f"{n_dropped} of {n_rows} rows held NaN or infinite entries and were left out. "
        "If values are not missing at random, the estimate describes the complete rows only."
    )
    return kept, [Caution("rows_dropped", sentence)]


def _check_rows(name: str, array: Array) -> None:
    if len(array) < MIN_ROWS:
        raise ValueError(
            _sentence(name, f"have at least {MIN_ROWS} complete rows", str(len(array)))
        )


def _check_varies(name: str, array: Array) -> None:
    constant = np.flatnonzero(array.max(axis=0) == array.min(axis=0))
    if len(constant):
        which = "column" if len(constant) == 1 else "columns"
        shown = ", ".join(map(str, constant[:5])) + (", ..." if len(constant) > 5 else "")
        raise ValueError(
            _sentence(
                name,
                "vary in every column",
                f"constant {which} {shown}",
                "Leave it out: a constant carries no information.",
            )
        )


def _device(*data: object) -> str:
    for value in data:
        if hasattr(value, "detach") and hasattr(value, "device"):
            return str(value.device)
    return "cpu"
