"""Entropy of a partition of a sequence into blocks: how much structure sorting can use. NumPy."""

from typing import Any

import numpy as np
import numpy.typing as npt

from infoest._validation import Array, as_array, as_samples
from infoest.functional.discrete import discrete_entropy


def partition_entropy(block_sizes: npt.ArrayLike) -> float:
    """Return the entropy of a partition from the sizes of its blocks, in nats.

    H = -sum_i |S_i| / n log(|S_i| / n), n = sum_i |S_i|: the range-partition entropy of the points
    S_1, S_2, ... Which partitions are allowed is the problem's business; the entropy of the
    problem is the least over these.

    Args:
        block_sizes: Number of points in every block, shape (k,), whole numbers >= 0.

    Returns:
        Entropy in nats, from 0 (one block) to log n (all points apart).

    Raises:
        TypeError: If ``block_sizes`` are not numbers.
        ValueError: If they are empty, not in one axis, negative, not whole or all 0.

    Note:
        Of a given partition, not an estimate: no bias is corrected.

    References:
        Eppstein, Goodrich, Illickan, To (2025), Entropy-bounded computational geometry made
        easier and sensitive to sortedness, CCCG, arXiv 2508.20489.

    Example:
        >>> round(partition_entropy([2, 1, 1]), 4)  # 1.5 log 2
        1.0397
    """
    sizes = _one_axis("block_sizes", block_sizes)
    bad = sizes[~((sizes >= 0) & (sizes == np.floor(sizes)) & np.isfinite(sizes))]
    if bad.size:
        raise ValueError(
            f"block_sizes must be whole numbers of at least 0, got {bad[0]}. "
            "Give how many points are in every block, not their shares."
        )
    if not sizes.any():
        raise ValueError("block_sizes must hold at least one point, got only zeros.")
    return discrete_entropy(sizes, correction="none")


def run_entropy(sequence: npt.ArrayLike) -> float:
    """Return the entropy of a sequence's partition into greedy monotone runs, in nats.

    The range-partition entropy of sorting: 0 for a sequence that is sorted already, up or down;
    TimSort takes a time of O(n (1 + H)). From the left, a run is as long as its values
    never fall or never rise. Equal neighbors stay in one run; the first two that differ set its
    direction; the first value against it starts the next run, whose direction is open again.

    Args:
        sequence: Values in their order, shape (n,) or (n, 1), finite. Integers are compared as
            integers.

    Returns:
        Entropy in nats, from 0 to log ceil(n / 2), as every run but the last has two or more
        values. The same for the negative of the sequence and after any increasing map, but not
        for the sequence read backwards.

    Raises:
        TypeError: If ``sequence`` is not numeric.
        ValueError: If it is empty, has more than one column or is not finite.

    Note:
        Greedy runs are the fewest possible; another partition into monotone runs may still have
        less entropy. Depends on the order of the values alone: nothing is estimated.

    References:
        Eppstein, Goodrich, Illickan, To (2025), Entropy-bounded computational geometry made
        easier and sensitive to sortedness, CCCG, arXiv 2508.20489.

    Example:
        >>> run_entropy([1, 2, 2, 5])
        0.0
        >>> round(run_entropy([1, 2, 3, 2, 1, 0]), 4)  # 1 2 3 | 2 1 0
        0.6931
    """
    values = _one_axis("sequence", sequence)
    bad = int((~np.isfinite(values)).sum())
    if bad:
        raise ValueError(f"sequence must be finite, got {bad} NaN or infinite entries.")
    return partition_entropy(np.diff(_run_starts(values), append=len(values)))


def _run_starts(values: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
    """Return where the greedy monotone runs start, shape (number of runs,)."""
    up, down = values[1:] > values[:-1], values[1:] < values[:-1]
    steps = np.flatnonzero(up | down)  # from values[i] to values[i + 1]; ties are no steps
    if not len(steps):
        return np.zeros(1, dtype=np.intp)
    turns = np.r_[True, up[steps][1:] != up[steps][:-1]]
    first = np.flatnonzero(turns)  # of every stretch of steps in one direction
    several = np.diff(first, append=len(steps)) > 1
    # A run that ends at the first step of a stretch leaves its other steps to the next run; if
    # there are none, the next run takes the stretch after it whole. Hence a stretch ends a run
    # wherever it lies an odd number of stretches beyond the last one that had several steps.
    several[0] = True
    index = np.arange(len(first))
    latest = np.maximum.accumulate(np.where(several, index, 0))
    ends_run = np.r_[False, (index[1:] - latest[:-1]) % 2 == 1]
    return np.r_[0, steps[first[ends_run]] + 1]


def _one_axis(name: str, data: npt.ArrayLike) -> Array:
    """Return numbers in one axis; integers stay integers, as float64 merges large ones."""
    samples = as_samples(name, data)
    if samples.shape[1] != 1:
        raise ValueError(f"{name} must have one axis, got shape {samples.shape}.")
    array = as_array(name, data)
    return (array if array.dtype.kind in "iu" else samples).reshape(-1)
