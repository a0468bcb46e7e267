"""Labels drawn from a joint probability table."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import rel_entr

from infoest._random import generator
from infoest._validation import check_int

from ._sample import Sample


def discrete_table(n: int, *, table: ArrayLike, random_state: int | None = None) -> Sample:
    """Draw pairs of integer labels from a table of joint probabilities.

    ``I = sum p_ij log(p_ij / (p_i p_j))``, exactly.

    Args:
        n: Number of samples, at least 1.
        table: Joint probabilities, row i for X = i and column j for Y = j, shape (rows, columns),
            none negative, sum 1 to 1e-9.
        random_state: Seed, or None for a fresh stream.

    Returns:
        Sample with x and y of shape (n, 1), dtype int64.

    Raises:
        ValueError: If ``table`` is not a table of probabilities.

    Example:
        >>> x, y, mi = discrete_table(5, table=[[0.5, 0.0], [0.0, 0.5]], random_state=0)
        >>> bool((x == y).all()), round(mi, 4)
        (True, 0.6931)
    """
    n = check_int("n", n, low=1)
    joint = np.asarray(table, dtype=float)
    if joint.ndim != 2 or joint.size == 0:
        raise ValueError(f"table must have shape (rows, columns), got {joint.shape}.")
    if not np.isfinite(joint).all() or joint.min() < 0.0:
        raise ValueError(
            f"table must hold finite probabilities, none negative, got {joint.min():g}."
        )
    if abs(joint.sum() - 1.0) > 1e-9:
        raise ValueError(
            f"table must sum to 1, got {joint.sum():.10g}. "
            "Turn counts into probabilities: table / table.sum()."
        )
    joint = joint / joint.sum()
    product = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    cells = generator(random_state).choice(joint.size, size=(n, 1), p=joint.ravel())
    x, y = np.divmod(cells, joint.shape[1])
    return Sample(x, y, float(rel_entr(joint, product).sum()))
