"""Entropy, mutual information and divergence from nearest-neighbor distances, in nats."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import digamma, gammaln

from infoest._validation import (
    Array,
    check_int,
    check_option,
    is_labels,
    read_data,
)
from infoest.functional.neighbors import Counts, nearest_distances, neighborhoods

# Weights whose absolute values sum to more than this amplify noise more than they remove bias.
LARGEST_WEIGHT_NORM = 10.0


class TiedNeighborsError(ValueError):
    """Raised when equal values leave too few neighbors inside the k-th distance."""


def ksg(x: npt.ArrayLike, y: npt.ArrayLike, *, k: int = 5, algorithm: int = 1) -> float:
    """Return I(X;Y) in nats by Kraskov, Stögbauer and Grassberger, on the data as given.

    Algorithm 1: psi(k) + psi(n) - mean[psi(n_x + 1) + psi(n_y + 1)], where n_x and n_y count the
    samples strictly inside the max-norm distance to the k-th neighbor. Algorithm 2:
    psi(k) - 1/k + psi(n) - mean[psi(n_x) + psi(n_y)], with the sides of the smallest rectangle
    that holds the k neighbors.

    Args:
        x: Samples, shape (n, d_x) or (n,). Nothing is standardized here.
        y: Samples, shape (n, d_y) or (n,).
        k: Number of neighbors, in [1, n - 1].
        algorithm: 1 or 2.

    Returns:
        The estimate; may be negative.

    Raises:
        ValueError: For parameters out of range, or where equal values leave too few neighbors
            (`infoest.KSG` spreads them and says so).

    Note:
        Biased low where the information is large or the columns are many; about exact at
        independence.

    References:
        Kraskov, Stögbauer, Grassberger (2004), Phys. Rev. E 69, 066138, eqs. 8 and 9.

    Example:
        >>> from infoest.datasets import correlated_normal
        >>> x, y, mi = correlated_normal(2000, rho=0.8, random_state=0)
        >>> abs(ksg(x, y, k=5) - mi) < 0.1
        True
    """
    pairs = read_data({"x": x, "y": y})
    check_int("k", k, low=1, high=len(pairs.x) - 1, remedy=f"There are {len(pairs.x)} samples.")
    check_option("algorithm", algorithm, (1, 2))
    return float(ksg_local_values(pairs.x, pairs.y, [k], algorithm=algorithm)[0].mean())


def ksg_local_values(
    x: Array,
    y: Array,
    ks: Sequence[int],
    *,
    z: Array | None = None,
    algorithm: int = 1,
    theiler: int = 0,
    rows: Counts | None = None,
) -> Array:
    """Return the local values whose mean is the estimate of I(X;Y) or I(X;Y|Z), in nats.

    With z: psi(k) - psi(n_xz + 1) - psi(n_yz + 1) + psi(n_z + 1).

    Args:
        x: Samples, shape (n, d_x).
        y: Samples, shape (n, d_y).
        ks: Numbers of neighbors; one search serves them all.
        z: Condition, shape (n, d_z), or None.
        algorithm: 1 or 2.
        theiler: Samples at most this many rows away are no neighbors of each other.
        rows: Only the local values of these samples.

    Returns:
        Shape (len(ks), n) or (len(ks), len(rows)).

    Raises:
        TiedNeighborsError: If equal values leave fewer than k - 1 samples strictly inside.

    References:
        Frenzel, Pompe (2007), Phys. Rev. Lett. 99, 204101, eq. 7 (conditional).
    """
    n = len(x)
    rectangle = algorithm == 2
    if rectangle and z is not None:
        raise ValueError("algorithm must be 1 with a condition z, got 2.")
    parts = [x, y] if z is None else [x, y, z]
    subspaces = [(0,), (1,)] if z is None else [(0, 2), (1, 2), (2,)]
    found = neighborhoods(parts, subspaces, ks, rows=rows, rectangle=rectangle, theiler=theiler)
    k = np.asarray(ks)[:, None]
    if (found.radius == 0.0).any():
        raise TiedNeighborsError(
            f"x and y must not repeat a row more than k times, got at least {min(ks) + 1} equal "
            "ones. Add a little noise, or use infoest.KSG, which spreads ties and says so."
        )
    if not rectangle:
        # At tied distances the k-th neighbor is also an earlier one: the one after all closer.
        k = found.closer + 1
    # Algorithm 2 counts the k-th neighbor itself, algorithm 1 does not: psi(n) against psi(n + 1).
    terms = digamma(np.maximum(found.counts, 1) if rectangle else found.counts + 1)
    local = digamma(k) - (1.0 / k if rectangle else 0.0) - terms[:, 0] - terms[:, 1]
    if z is None:
        asked = np.arange(n) if rows is None else rows
        near = np.minimum(asked, theiler) + np.minimum(n - 1 - asked, theiler)
        return np.asarray(local + digamma(n - near))
    return np.asarray(local + terms[:, 2])


def mixed_ksg_local_values(x: Array, y: Array, ks: Sequence[int]) -> Array:
    """Return local values of I(X;Y) where y holds labels or samples coincide, in nats.

    psi(k) + psi(n) - psi(n_x + 1) - psi(n_y + 1) with strict counts, where labels are 0 apart if
    equal and infinitely far otherwise. Where the k-th distance is 0 the point carries mass, and
    the numbers of coinciding samples (the sample itself included) take the place of k, n_x + 1
    and n_y + 1: for discrete data this is the plug-in value with digammas for logarithms.

    Args:
        x: Samples, shape (n, d_x).
        y: Samples (n, d_y) or codes (n,).
        ks: Numbers of neighbors; a class with fewer members uses all of them.

    Returns:
        Local values, shape (len(ks), n); NaN for samples that are alone in their class.

    References:
        Ross (2014), PLoS ONE 9, e87357, eq. 6.
        Gao, Kannan, Oh, Viswanath (2017), NeurIPS, Algorithm 1 (digammas in place of logarithms).
    """
    n = len(x)
    labels = y if is_labels(y) else None
    wanted = np.repeat(np.asarray(ks)[:, None], n, axis=1)
    if labels is None:
        used, together, alike_y = wanted, _coincidences(np.hstack([x, y])), _coincidences(y)
        massive = together > used
        k_here, near_x, near_y = _outside_masses(x, y, used, massive)
    else:
        alike_y = np.bincount(labels)[labels]
        used = np.minimum(wanted, alike_y - 1)
        together = _coincidences(np.column_stack([x, labels]))
        massive = (together > used) & (used > 0)
        # Classes lie further apart than any two points, so that neighbors come from the own class.
        separation = 2.0 * float((x.max(axis=0) - x.min(axis=0)).max())
        apart = (labels * separation)[:, None]
        k_here, near_x, _ = _outside_masses(x, apart, used, massive)
        near_y = alike_y
    k_here = np.where(massive, together, k_here)
    inside_x = np.where(massive, _coincidences(x), near_x)
    inside_y = np.where(massive, alike_y, near_y)
    local = digamma(np.maximum(k_here, 1)) + digamma(n) - digamma(inside_x) - digamma(inside_y)
    return np.asarray(np.where(used > 0, local, np.nan))


def _outside_masses(
    x: Array, y: Array, used: Counts, massive: npt.NDArray[np.bool_]
) -> tuple[Counts, Counts, Counts]:
    """Return how many samples are nearer than the k-th joint neighbor: jointly, in x, in y.

    All have shape (len(ks), n) and count the sample itself. Only samples outside masses search:
    thousands of equal points would all be compared with each other.

    Args:
        x: Samples, shape (n, d_x).
        y: Samples, shape (n, d_y).
        used: Number of neighbors of every sample, shape (len(ks), n); 0 for none.
        massive: Where more samples coincide than neighbors are asked, shape (len(ks), n).
    """
    near, near_x, near_y = np.ones_like(used), np.ones_like(used), np.ones_like(used)
    searching = ~massive & (used > 0)
    for k in np.unique(used[searching]):
        asking = searching & (used == k)
        rows = np.flatnonzero(asking.any(axis=0))
        found = neighborhoods([x, y], [(0,), (1,)], [int(k)], rows=rows)
        for i in range(len(used)):
            here = asking[i, rows]
            near[i, rows[here]] = found.closer[0, here] + 1
            near_x[i, rows[here]] = found.counts[0, 0, here] + 1
            near_y[i, rows[here]] = found.counts[0, 1, here] + 1
    return near, near_x, near_y


def kozachenko_leonenko(x: npt.ArrayLike, *, k: int = 5, weighted: bool = False) -> float:
    """Return the differential entropy H(X) in nats from Euclidean nearest-neighbor distances.

    H = log(n - 1) - psi(k) + log V_d + d mean log rho_k, with V_d the volume of the unit ball;
    weighted, the combination sum_j w_j H_j over j <= k that removes the leading bias terms in
    more than three dimensions (`neighbor_weights`).

    Args:
        x: Samples, shape (n, d) or (n,), without repeated rows.
        k: Number of neighbors, in [1, n - 1].
        weighted: Use the weights; they may blow up, see `infoest.KozachenkoLeonenko`.

    Raises:
        ValueError: For parameters out of range, or more than k equal rows.

    References:
        Kozachenko, Leonenko (1987), Probl. Inf. Transm. 23, 95.
        Berrett, Samworth, Yuan (2019), Ann. Stat. 47, 288, eq. 1 and class W(k).

    Example:
        >>> x = np.random.default_rng(0).standard_normal((2000, 1))
        >>> bool(abs(kozachenko_leonenko(x, k=5) - 0.5 * np.log(2 * np.pi * np.e)) < 0.1)
        True
    """
    x = read_data({"x": x}).x
    check_int("k", k, low=1, high=len(x) - 1, remedy=f"There are {len(x)} samples.")
    weights = neighbor_weights(k, x.shape[1]) if weighted else np.eye(k)[k - 1]
    ks = np.flatnonzero(weights) + 1
    return float(weights[ks - 1] @ entropy_local_values(x, ks).mean(axis=1))


def entropy_local_values(x: Array, ks: Sequence[int] | Counts) -> Array:
    """Return log(n - 1) - psi(k) + log V_d + d log rho_k of every sample, in nats.

    Args:
        x: Samples, shape (n, d).
        ks: Numbers of neighbors.

    Returns:
        Shape (len(ks), n).

    Raises:
        TiedNeighborsError: If a sample has k equal ones (log 0).
    """
    n, d = x.shape
    ks = np.asarray(ks)
    distances = nearest_distances(x, x, int(ks.max()) + 1)[:, ks].T
    if (distances == 0.0).any():
        raise TiedNeighborsError(
            f"x must have at most {int(ks.min())} equal rows, got more. Differential entropy is "
            "minus infinity where a point has mass; use DiscreteEntropy for counts and labels."
        )
    constant = np.log(n - 1) + _log_unit_ball(d) - digamma(ks)
    return np.asarray(constant[:, None] + d * np.log(distances))


def neighbor_weights(k: int, d: int) -> Array:
    """Return the weights of the neighbors 1 to k that cancel the leading bias terms, shape (k,).

    The shortest vector with sum w_j = 1, sum_j w_j Gamma(j + 2 l / d) / Gamma(j) = 0 for
    l = 1, ..., floor(d / 4), and w_j = 0 unless j is one of floor(i k / d), i = 1, ..., d.

    Args:
        k: Number of neighbors.
        d: Number of columns.

    Raises:
        ValueError: If no such weights exist (k too small for d).
    """
    support = np.unique(np.arange(1, d + 1) * k // d)
    support = support[support > 0]
    orders = np.arange(d // 4 + 1)
    rows = np.exp(gammaln(support + 2.0 * orders[:, None] / d) - gammaln(support))
    target = (orders == 0).astype(np.float64)
    # Equations differ by orders of magnitude; scaled rows keep the least-squares rank honest.
    scale = np.abs(rows).max(axis=1)
    found = np.linalg.lstsq(rows / scale[:, None], target / scale, rcond=1e-10)[0]
    if np.abs(rows @ found / scale - target / scale).max() > 1e-8:
        raise ValueError(
            f"k must be large enough for weights in {d} dimensions, got {k}. "
            f"Take k of at least {d} or weighted=False."
        )
    weights = np.zeros(k)
    weights[support - 1] = found
    return weights


def knn_divergence(x: npt.ArrayLike, y: npt.ArrayLike, *, k: int = 5) -> float:
    """Return the Kullback-Leibler divergence D(P_x || P_y) in nats from two samples.

    D = (d / n) sum_i log(nu_k(i) / rho_k(i)) + log(m / (n - 1)), with rho_k the distance of x_i
    to its k-th neighbor among the other x, nu_k to its k-th neighbor among the y.

    Args:
        x: Samples of the first law, shape (n, d).
        y: Samples of the second, shape (m, d).
        k: Number of neighbors, at most n - 1 and m.

    References:
        Wang, Kulkarni, Verdu (2009), IEEE Trans. Inf. Theory 55, 2392, eq. 14.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> x, y = rng.standard_normal((2000, 1)), 1.0 + rng.standard_normal((2000, 1))
        >>> abs(knn_divergence(x, y, k=5) - 0.5) < 0.1
        True
    """
    found = read_data({"x": x, "y": y}, paired=False)
    x, y = found.x, found.y
    most = min(len(x) - 1, len(y))
    check_int("k", k, low=1, high=most, remedy=f"There are {len(x)} and {len(y)} samples.")
    return float(divergence_local_values(x, y, k).mean())


def divergence_local_values(x: Array, y: Array, k: int) -> Array:
    """Return d log(nu_k / rho_k) + log(m / (n - 1)) of every x, shape (n,), in nats.

    Raises:
        TiedNeighborsError: If a distance is 0.
    """
    own = nearest_distances(x, x, k + 1)[:, k]
    other = nearest_distances(y, x, k)[:, k - 1]
    if (own == 0.0).any() or (other == 0.0).any():
        raise TiedNeighborsError(
            "x and y must not repeat rows, got ties. The divergence of continuous laws is not "
            "defined where a point has mass."
        )
    return np.asarray(x.shape[1] * np.log(other / own) + np.log(len(y) / (len(x) - 1)))


def _coincidences(points: Array) -> Counts:
    """Return for every sample how many are equal to it, itself included."""
    if points.shape[1] == 1:
        inverse, counts = np.unique(points[:, 0], return_inverse=True, return_counts=True)[1:]
    else:
        inverse, counts = np.unique(points, axis=0, return_inverse=True, return_counts=True)[1:]
    return np.asarray(counts[inverse.ravel()])


def _log_unit_ball(d: int) -> float:
    return float(0.5 * d * np.log(np.pi) - gammaln(0.5 * d + 1.0))
