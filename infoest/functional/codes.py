"""Labels as dense integer codes: joint labels, hashed rows, contingency tables."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Integers = NDArray[np.int64]

_TABLE_CELLS = 2**24  # a dense int64 table of 128 MiB
_BLOCK_ENTRIES = 2**16  # rows are hashed and compared in blocks of 512 KiB, which stay in cache


def contingency(x_codes: ArrayLike, y_codes: ArrayLike) -> Integers:
    """Return the table of counts of two labels.

    Args:
        x_codes: Integer labels, shape (n,).
        y_codes: Integer labels, shape (n,).

    Returns:
        Counts, shape (K_x, K_y): a row for each distinct label of x and a column for each one
        of y, both in ascending order.

    Raises:
        ValueError: If the labels are empty, not 1-D or not paired, or if the table would have
            more than 2**24 cells.
        TypeError: If the labels are not integers.

    Example:
        >>> contingency([0, 0, 1, 4], [1, 1, 1, 2])
        array([[2, 0],
               [1, 0],
               [0, 1]])
    """
    x, y = checked_codes(("x_codes", "y_codes"), (x_codes, y_codes))
    shape = n_codes(x), n_codes(y)
    if shape[0] * shape[1] > _TABLE_CELLS:
        raise ValueError(
            f"x_codes and y_codes must span at most {_TABLE_CELLS} cells, got {shape[0]} x "
            f"{shape[1]}. Count the occupied ones: numpy.bincount(joint_codes(x_codes, y_codes))."
        )
    table = np.bincount(pair_keys(x, y), minlength=shape[0] * shape[1])
    return table.reshape(shape).astype(np.int64, copy=False)


def joint_codes(*codes: ArrayLike) -> Integers:
    """Return one label for each distinct tuple of labels.

    Args:
        *codes: Integer labels, each of shape (n,).

    Returns:
        Codes 0 ... K - 1 of the K tuples that occur, in lexicographic order, shape (n,).

    Raises:
        ValueError: If there are no labels, or they are not 1-D or not paired.
        TypeError: If the labels are not integers.

    Example:
        >>> joint_codes([0, 0, 1, 1], [9, 7, 9, 9])
        array([1, 0, 2, 2])
    """
    if not codes:
        raise ValueError("codes must hold at least one array of labels, got none.")
    first, *others = checked_codes([f"codes[{i}]" for i in range(len(codes))], codes)
    for other in others:
        first = numbered(pair_keys(first, other))
    return first


def row_codes(rows: ArrayLike) -> Integers:
    """Return one label for each distinct row.

    Rows are hashed to 64 bits and every row is then compared with one row of its label, so that
    the result is exact; on a collision, rows are sorted instead. O(n d + n log n).

    Args:
        rows: Integers, shape (n, d).

    Returns:
        Codes 0 ... K - 1 of the K distinct rows, shape (n,), in an order without meaning.

    Raises:
        ValueError: If ``rows`` is not 2-D or has no rows.
        TypeError: If ``rows`` are not integers.

    Example:
        >>> codes = row_codes([[1, 2], [3, 4], [1, 2]])
        >>> bool(codes[0] == codes[2] != codes[1])
        True
    """
    array = np.asarray(rows)
    if array.ndim != 2 or len(array) == 0:
        raise ValueError(
            f"rows must have shape (n_samples, n_features) and at least one row, got {array.shape}."
        )
    array = _as_integers("rows", array)
    codes = numbered(_row_hashes(array))
    member = np.zeros(n_codes(codes), dtype=np.int64)
    member[codes] = np.arange(len(array))  # one row of each label
    for block in _row_blocks(array):
        if (array[block] != array[member[codes[block]]]).any():
            return np.unique(array, axis=0, return_inverse=True)[1].reshape(-1)
    return codes


def checked_codes(names: Sequence[str], codes: Sequence[ArrayLike]) -> list[Integers]:
    """Return labels of equal length as dense codes."""
    arrays = [np.asarray(labels) for labels in codes]
    for name, array in zip(names, arrays, strict=True):
        if array.ndim != 1 or array.size == 0:
            raise ValueError(
                f"{name} must have shape (n_samples,) and at least one sample, got {array.shape}. "
                "Turn rows into labels with row_codes."
            )
        if array.size != arrays[0].size:
            raise ValueError(
                f"{names[0]} and {name} must be paired, got {arrays[0].size} and {array.size} "
                "samples."
            )
    return [numbered(_as_integers(name, array)) for name, array in zip(names, arrays, strict=True)]


def _as_integers(name: str, array: NDArray[np.generic]) -> Integers:
    """Return integers as int64; above its range they wrap around, which keeps them distinct."""
    if array.dtype.kind not in "biu":
        raise TypeError(
            f"{name} must be integers, got dtype {array.dtype}. "
            "Number labels first: numpy.unique(labels, return_inverse=True)[1]."
        )
    return array.astype(np.int64, copy=False)


def n_codes(codes: Integers) -> int:
    """Return K of dense codes 0 ... K - 1."""
    return int(codes.max()) + 1


def pair_keys(first: Integers, second: Integers) -> Integers:
    """Return a key for each pair of dense codes, at most n^2 - 1: no overflow below n = 3e9."""
    return first * n_codes(second) + second


def _span(keys: Integers) -> tuple[int, int]:
    """Return the lowest key and the length of the range, or 0 where a table would not pay."""
    low = int(keys.min())
    span = int(keys.max()) - low + 1
    return low, span if span <= 4 * keys.size + 1024 else 0


def numbered(keys: Integers) -> Integers:
    """Return the rank 0 ... K - 1 of every key among the distinct ones, in ascending order."""
    low, span = _span(keys)
    if not span:
        return np.unique(keys, return_inverse=True)[1]
    present = np.zeros(span, dtype=np.int64)
    present[keys - low] = 1
    return (np.cumsum(present) - 1)[keys - low]


def tally(keys: Integers) -> Integers:
    """Return how often each distinct key occurs."""
    low, span = _span(keys)
    if not span:
        return np.unique(keys, return_counts=True)[1]
    counts = np.bincount(keys - low)
    return counts[counts > 0]


def _row_blocks(rows: Integers) -> Iterator[slice]:
    n_samples, n_features = rows.shape
    size = max(1, _BLOCK_ENTRIES // max(1, n_features))
    return (slice(start, start + size) for start in range(0, n_samples, size))


def _row_hashes(rows: Integers) -> Integers:
    """Return a 64-bit hash of every row: a linear form with random odd factors modulo 2^64.

    Entries that differ by a multiple of 2^v would collide with probability 2^(v - 64), so that
    every entry is first mixed, one to one, as in splitmix64 (Steele, Lea, Flood 2014).
    """
    odd = np.random.default_rng(0).integers(2**63, size=rows.shape[1], dtype=np.uint64) * 2 + 1
    hashes = np.empty(len(rows), dtype=np.uint64)
    for block in _row_blocks(rows):
        mixed = rows[block].astype(np.uint64)
        mixed ^= mixed >> 32
        mixed *= 0xBF58476D1CE4E5B9
        mixed ^= mixed >> 29
        hashes[block] = mixed @ odd
    return hashes.view(np.int64)
