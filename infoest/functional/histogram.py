"""How often each count occurs: all that entropies of counts depend on."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Histogram(NamedTuple):
    """Distinct counts, zero among them, and the number of states that have each; both float64."""

    counts: Floats
    multiplicities: Floats

    @property
    def n_samples(self) -> float:
        """Sum of all counts."""
        return float(self.counts @ self.multiplicities)

    @property
    def n_states(self) -> float:
        """Number of states, those never seen included."""
        return float(self.multiplicities.sum())

    @property
    def observed(self) -> "Histogram":
        """Without the states of count zero."""
        seen = self.counts > 0
        return Histogram(self.counts[seen], self.multiplicities[seen])


def histogram_of(counts: NDArray[np.generic], n_states: int | None = None) -> Histogram:
    """Return the counts of ``counts``, with states of count zero added up to ``n_states``."""
    distinct, multiplicities = np.unique(counts, return_counts=True)
    if n_states is not None and n_states > counts.size:
        distinct = np.concatenate([[0], distinct])
        multiplicities = np.concatenate([[float(n_states - counts.size)], multiplicities])
    return Histogram(distinct.astype(np.float64), multiplicities.astype(np.float64))
