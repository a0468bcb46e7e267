"""What the neighbor estimators share: ties, and too many columns."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from infoest._cautions import Caution
from infoest._validation import Array
from infoest.functional.neighbor_information import TiedNeighborsError
from infoest.functional.ranks import spread_ties

# What is changed to see bias that surrogates do not share.
KNOB = "number of neighbors"


def spreading_ties(
    compute: Callable[[tuple[Array, ...]], Array],
    parts: tuple[Array, ...],
    rng: np.random.Generator,
) -> tuple[Array, tuple[Array, ...], tuple[Caution, ...]]:
    """Return the result, the parts it came from, and a caution where ties had to be spread."""
    try:
        return compute(parts), parts, ()
    except TiedNeighborsError:
        spread = tuple(spread_ties(part, rng) for part in parts)
        return compute(spread), spread, (_ties(),)


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
        "Rows repeat more often than the number of neighbors (rounded or discrete data): equal "
        "values were spread at random over their cells, half the gap to the next values. For "
        "labels name the side with discrete=, for mixtures use MixedKSG.",
    )
