"""Ranks and normal scores of columns."""

import numpy as np
from scipy.special import ndtri

from infoest._validation import Array


def mid_ranks(x: Array) -> Array:
    """Return the rank of every entry inside its column, ties sharing their mean rank.

    Args:
        x: Samples, shape (n, d).

    Returns:
        Ranks from 1 to n, shape (n, d).

    Example:
        >>> mid_ranks(np.array([[3.0], [1.0], [3.0]])).ravel().tolist()
        [2.5, 1.0, 2.5]
    """
    ranks = np.empty(x.shape)
    for column, values in enumerate(x.T):
        order = np.argsort(values, kind="stable")
        ordered = values[order]
        starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
        ends = np.r_[starts[1:], len(values)]
        ranks[order, column] = np.repeat(0.5 * (starts + 1 + ends), ends - starts)
    return ranks


def normal_scores(x: Array) -> Array:
    """Return the standard normal quantile of every entry's mid-rank, Phi^-1((rank - 1/2) / n).

    Unchanged by any increasing map of any column.

    Args:
        x: Samples, shape (n, d).

    Returns:
        Scores, shape (n, d).
    """
    return np.asarray(ndtri((mid_ranks(x) - 0.5) / len(x)))


def repeated_share(x: Array) -> float:
    """Return the largest share of values in a column that repeat an earlier one, in [0, 1).

    Args:
        x: Samples, shape (n, d).
    """
    ordered = np.sort(x, axis=0)
    return float((ordered[1:] == ordered[:-1]).mean(axis=0).max()) if len(x) > 1 else 0.0


def spread_ties(x: Array, rng: np.random.Generator) -> Array:
    """Return a copy in which equal values of a column are spread over their own cell.

    The cell of a value reaches half-way to the next smaller and the next larger value of its
    column. The original is a function of the copy, so that no information about any other
    variable is lost; integers become uniform on [v - 1/2, v + 1/2]. Values that stand alone stay.

    Args:
        x: Samples, shape (n, d), no constant column.
        rng: Source of the positions inside the cells.
    """
    spread = x.copy()
    for column, values in enumerate(x.T):
        levels, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
        if len(levels) == len(values):
            continue
        half_gaps = 0.5 * np.diff(levels)
        below = np.r_[half_gaps[0], half_gaps]
        above = np.r_[half_gaps, half_gaps[-1]]
        position = rng.random(len(values))
        offset = (position * above[inverse]) - (1.0 - position) * below[inverse]
        spread[:, column] = np.where(counts[inverse] > 1, values + offset, values)
    return spread
