"""What the neighbor estimators share: ties, measured bias, and the words for both."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from infoest._cautions import Caution
from infoest._validation import Array
from infoest.functional.control_variate import Control
from infoest.functional.neighbor_information import TiedNeighborsError
from infoest.functional.ranks import repeated_share, spread_ties
from infoest.result import Raw

# Share of repeated values in a column above which ties are spread: rounding a standard normal
# sample of 1000 to three decimals repeats .13 of it and moves KSG by about a standard error.
MOST_REPEATED = 0.05


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


def controlled(
    value: float, found: Control, cautions: tuple[Caution, ...], confidence: float | None
) -> Raw:
    if found.exceeds_error:
        cautions = (*cautions, _bias(found))
    if not found.explained:
        cautions = (*cautions, _unexplained())
    info = {"bias_of_surrogates": found.bias, "drift": found.drift}
    if confidence is None:
        return Raw(value, cautions=cautions, info=info)
    return Raw(value, found.std_error, found.interval(value, confidence), cautions, info)


def too_many_columns(n: int, dimension: int) -> tuple[Caution, ...]:
    if n >= 2**dimension or dimension <= 4:
        return ()
    return (
        Caution(
            "too_few_samples_for_dimension",
            f"{n} rows in {dimension} dimensions: neighbors are far apart and strong dependence "
            "is under-estimated. Reduce the columns (Compressed, PCA) or add rows.",
        ),
    )


def _ties() -> Caution:
    return Caution(
        "ties_broken",
        "Many values are equal (rounded or discrete data), which breaks the search for neighbors: "
        "they were spread at random over their cells, half the gap to the next values. For labels "
        "name the side with discrete=, for mixtures use MixedKSG.",
    )


def no_control() -> Caution:
    return Caution(
        "too_few_samples_for_dimension",
        "There are about as many columns as rows: no bias can be measured and no interval given.",
    )


def _bias(found: Control) -> Caution:
    return Caution(
        "bias_exceeds_error",
        f"On data like these whose truth is known the estimator is off by {found.bias:+.3g} nats, "
        "more than its random error. The interval is shifted to allow for it; the value is not.",
    )


def _unexplained() -> Caution:
    return Caution(
        "bias_not_explained",
        "The value changes with the number of neighbors by more than data with a Gaussian copula "
        "would show, or the columns are too many to know: the true value may lie outside the "
        "interval. Compare other estimators.",
    )
