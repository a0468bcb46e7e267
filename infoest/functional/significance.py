"""P-values of independence: permutations, circular shifts and window counts."""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from infoest._validation import Array, is_labels, standardized
from infoest.functional.ranks import mid_ranks

Indices = npt.NDArray[np.int64]

# Sequential stopping: after so many exceedances the p-value is known well enough.
MAX_EXCEEDANCES = 10

# Neighbors in z among which a row is exchanged.
LOCAL_NEIGHBORS = 5

WINDOW_BINS = 64
WINDOW_REACH = 4


def rearrangements(
    n: int, number: int, rng: np.random.Generator, *, shifts: bool
) -> Iterator[Indices]:
    """Yield row orders that break the pairing of two samples.

    Args:
        n: Number of rows.
        number: How many orders.
        rng: Source of randomness.
        shifts: Circular shifts by n/8 to 7n/8 rows, which keep the dependence between
            neighboring rows, instead of permutations, which assume there is none.
    """
    for _ in range(number):
        if shifts:
            margin = max(1, n // 8)
            yield np.roll(np.arange(n), int(rng.integers(margin, n - margin + 1)))
        else:
            yield rng.permutation(n)


def conditional_rearrangements(
    z: Array, number: int, rng: np.random.Generator
) -> Iterator[Indices]:
    """Yield row orders that break the pairing of two samples but keep what both owe to z.

    Labels: permutations inside every class. Samples: every row takes the place of one of its five
    nearest neighbors in z (max norm of standardized columns, itself included), each row used at
    most once where that is possible.

    Args:
        z: Condition, samples (n, d_z) or codes (n,).
        number: How many orders.
        rng: Source of randomness.

    References:
        Runge (2018), AISTATS, Algorithm 1 (k_perm = 5).
    """
    n = len(z)
    if is_labels(z):
        by_class = np.argsort(z, kind="stable")
        for _ in range(number):
            order = np.empty(n, dtype=np.int64)
            order[by_class] = by_class[np.lexsort((rng.random(n), z[by_class]))]
            yield order
        return
    points = standardized(z)
    k = min(LOCAL_NEIGHBORS, n)
    near = cKDTree(points).query(points, k=k, p=np.inf)[1].reshape(n, k)
    for _ in range(number):
        choices = rng.permuted(near, axis=1).tolist()
        used = [False] * n
        order = np.empty(n, dtype=np.int64)
        for row in rng.permutation(n).tolist():
            free = next((j for j in choices[row] if not used[j]), choices[row][-1])
            used[free] = True
            order[row] = free
        yield order


def permutation_p_value(
    n: int, statistic: Callable[[Indices], float], orders: Iterator[Indices]
) -> float:
    """Return the share of rearrangements whose statistic reaches that of the data as they are.

    p = (1 + b) / (1 + m) after all m orders, b of them at least as large; or h / l when the h-th
    exceedance (h = 10) comes at order l: under independence this saves most of the work, and both
    are valid p-values.

    Args:
        n: Number of rows.
        statistic: Statistic under a row order; that of the data is the one of ``arange(n)``.
        orders: The row orders, see `rearrangements`.

    References:
        Besag, Clifford (1991), Biometrika 78, 301.
        Phipson, Smyth (2010), Stat. Appl. Genet. Mol. Biol. 9, 39 (never zero).
    """
    exceedances = drawn = 0
    observed = statistic(np.arange(n))
    # Equal up to rounding counts as reached: sums change in their last digit with the order.
    threshold = observed - 1e-12 * max(1.0, abs(observed))
    for order in orders:
        drawn += 1
        exceedances += statistic(order) >= threshold
        if exceedances == MAX_EXCEEDANCES:
            return exceedances / drawn
    return (1 + exceedances) / (1 + drawn)


def window_statistic(codes_x: Indices, codes_y: Indices) -> float:
    """Return the sum over samples of the log number of samples in a window around them.

    Ranks are cut into 64 bins of equal count on both sides (`window_codes`); the window reaches 4
    bins in each direction. Large when samples crowd together: a resubstitution kernel estimate of
    mutual information up to constants that permutations leave unchanged.

    Args:
        codes_x: Bin of x, shape (n,).
        codes_y: Bin of y, shape (n,).
    """
    bins, reach = WINDOW_BINS, WINDOW_REACH
    counts = np.bincount(codes_x * bins + codes_y, minlength=bins * bins).reshape(bins, bins)
    padded = np.zeros((bins + 2 * reach + 1, bins + 2 * reach + 1))
    padded[reach + 1 : reach + 1 + bins, reach + 1 : reach + 1 + bins] = counts
    sums = padded.cumsum(axis=0).cumsum(axis=1)
    width = 2 * reach + 1
    windows = sums[width:, width:] - sums[:-width, width:] - sums[width:, :-width]
    windows += sums[:-width, :-width]
    occupied = counts > 0
    return float(counts[occupied] @ np.log(windows[occupied]))


def window_codes(x: Array) -> Indices:
    """Return the bin, 0 to 63, of every sample's rank in one column.

    Args:
        x: Samples, shape (n, 1).
    """
    ranks = mid_ranks(x)[:, 0]
    return np.asarray((ranks - 0.5) * WINDOW_BINS / len(x), dtype=np.int64)


def window_p_value(x: Array, y: Array, orders: Iterator[Indices]) -> float:
    """Return the p-value of independence of two columns by window counts.

    200 permutations of 2000 rows cost about as much as ten nearest-neighbor estimates, and the
    test is more powerful than permuting those, but for fast oscillations.

    Args:
        x: Samples, shape (n, 1).
        y: Samples, shape (n, 1).
        orders: Row orders applied to y.
    """
    codes_x, codes_y = window_codes(x), window_codes(y)
    return permutation_p_value(
        len(x), lambda order: window_statistic(codes_x, codes_y[order]), orders
    )
