"""What the neighbor estimators share: ties, and too many columns."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from infoest._cautions import Caution
from infoest._validation import Array
from infoest.functional.neighbor_information import TiedNeighborsError
from infoest.functional.ranks import repeated_share, spread_ties

# Share of repeated values in a column above which ties are spread: rounding a standard normal
# sample of 1000 to three decimals repeats .13 of it and moves KSG by about a standard error.
MOST_REPEATED = 0.05
# What is changed to see bias that surrogates do not share.
KNOB = "number of neighbors"


def spreading_ties(
    compute: Callable[[tuple[Array, ...]], Array],
    parts: tuple[Array, ...],
    rng: np.random.Generator,
) -> tuple[Array, tuple[Array, ...], tuple[Caution, ...]]:
    """Return the result, the parts it came from, and a caution where ties had to be spread.

    They are where the search refuses, and where a column repeats so many values (by rounding, say)
    that distances themselves are tied: strict counts then miss whole shells of neighbors.
    """
    if max(repeated_share(part) for part in parts) <= MOST_REPEATED:
        try:
            return compute(parts), parts, ()
        except TiedNeighborsError:
            pass
    spread = tuple(spread_ties(part, rng) for part in parts)
    return compute(spread), spread, (_ties(),)


def tolerating_ties(
    compute: Callable[[tuple[Array, ...]], Array],
    parts: tuple[Array, ...],
    rng: np.random.Generator,
) -> Array:
    """Return the result of a part or a surrogate of data whose ties are dealt with already."""
    try:
        return compute(parts)
    except TiedNeighborsError:
        return compute(tuple(spread_ties(part, rng) for part in parts))


def too_many_columns(n: int, dimension: int) -> tuple[Caution, ...]:
    """Return a caution where the rows cannot fill the space: fewer than 2^d in five or more."""
    if n >= 2**dimension or dimension <= 4:
        return ()
    return (
        Caution(
            "too_few_samples_for_dimension",
            f"{n} rows in {dimension} dimensions: neighbors are far apart and strong dependence "
            "is under-estimated. Reduce the columns (PCA, say) or add rows.",
        ),
    )


def _ties() -> Caution:
    return Caution(
        "ties_broken",
        "Many values are equal (rounded or discrete data), which breaks the search for neighbors: "
        "they were spread at random over their cells, half the gap to the next values. For labels "
        "name the side with discrete=, for mixtures use MixedKSG.",
    )
