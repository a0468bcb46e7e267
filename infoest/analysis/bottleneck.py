"""Optimal bottlenecks T of X about Y, where the joint law is known: tables and Gaussian laws."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from infoest._random import generator
from infoest._validation import Array, as_array, check_int, check_number

Floats = npt.NDArray[np.float64]

# Reverse annealing begins at this multiple of beta, where codes are nearly hard, and comes down in
# steps of a constant factor.
ANNEALING_FACTOR = 16.0
ANNEALING_STEPS = 12
# A Lagrangian this little below that of no code at all is rounding.
ROUNDING = 1e-14
# Below any probability that matters; its logarithm is finite.
TINY = 1e-300
# A squared canonical correlation above this cannot be told from 1 in double precision.
MAX_SQUARED_CORRELATION = 1.0 - 1e-12


@dataclass(frozen=True, eq=False)
class BottleneckSolution:
    """What `information_bottleneck` found, in nats.

    Args:
        i_xt: I(X; T), the rate.
        i_ty: I(T; Y), what T keeps of Y.
        lagrangian: I(X; T) - beta I(T; Y), at most 0.
        beta: The weight it was found for.
        encoder: p(t | x), shape (n_x, n_clusters); rows sum to 1, unused clusters are columns of
            zeros.
        converged: Whether the Lagrangian of the best start had settled within the tolerance.
        n_iterations: Iterations of the last stage.
    """

    i_xt: float
    i_ty: float
    lagrangian: float
    beta: float
    encoder: Floats = field(repr=False)
    converged: bool
    n_iterations: int


@dataclass(frozen=True, eq=False)
class GaussianBottleneckSolution:
    """What `gaussian_information_bottleneck` returns, in nats.

    Args:
        i_xt: I(X; T), the rate.
        i_ty: I(T; Y), what T keeps of Y.
        lagrangian: I(X; T) - beta I(T; Y), at most 0.
        beta: The weight it was found for.
        projection: A of T = A X + N(0, I), shape (n_active, d_x): a row for every critical beta
            below beta, without rows for beta <= critical_betas[0].
        critical_betas: Where a direction of X begins to be kept, ascending; infinite for
            directions that say nothing of Y. Shape (min(d_x, d_y),).
    """

    i_xt: float
    i_ty: float
    lagrangian: float
    beta: float
    projection: Floats = field(repr=False)
    critical_betas: Floats = field(repr=False)


def information_bottleneck(
    p_xy: object,
    beta: float,
    *,
    n_clusters: int | None = None,
    n_starts: int = 32,
    max_iterations: int = 5000,
    tolerance: float = 1e-10,
    random_state: int | None = 0,
) -> BottleneckSolution:
    """Return the best code T of X about Y for a table of probabilities.

    Minimizes I(X;T) - beta I(T;Y) over p(t | x) by Blahut and Arimoto's iteration p(t | x) ~ p(t)
    exp(-beta KL(p(y | x) || p(y | t))), from hard, random and annealed starts at once: reverse
    annealing follows them from 16 beta down to beta. The lowest Lagrangian wins, T that says
    nothing (0) included.

    Args:
        p_xy: Joint probabilities, shape (n_x, n_y); NumPy, torch or a table; sums to 1.
        beta: Weight of I(T;Y), at least 0. Up to 1 nothing is worth keeping.
        n_clusters: Number of values of T, at least 1; None takes n_x, which is always enough.
        n_starts: Number of random starts beside the hard one, each of them with and without
            annealing.
        max_iterations: Cap on the iterations of the last stage: near a critical beta they slow
            down without limit.
        tolerance: Of the Lagrangian, in nats: stops when what is left to gain, extrapolated
            from the last two gains as a geometric series, is below it.
        random_state: Seed of the random starts; None draws a new one.

    Returns:
        `BottleneckSolution` with ``.i_xt``, ``.i_ty``, ``.lagrangian``, ``.encoder``,
        ``.converged``. Where p(x) = 0 the encoder is p(t).

    Raises:
        TypeError: If p_xy is not numeric, or settings are not numbers.
        ValueError: If p_xy is no table of probabilities or settings are out of range.

    Note:
        The problem is not convex: the value is an upper bound of the least Lagrangian, no
        certificate. With fewer clusters than n_x there are many local optima: raise ``n_starts``
        (64 found the best of 200 in 47 of 48 random 10 x 8 tables). Near a critical beta the
        Lagrangian is flat: it is found to the tolerance long before ``i_xt``, ``i_ty`` or the
        encoder are. Where Y is a function of X, the Lagrangian cannot trace the curve: for
        beta > 1 the best code is T = Y.

    References:
        Tishby, Pereira, Bialek (1999), arXiv physics/0004057, eqs. 28-31. Kolchinsky, Tracey, Van
        Kuyk (2019), ICLR, arXiv 1808.07593 (deterministic Y).

    Example:
        >>> import numpy as np
        >>> p_xy = np.array([[0.89, 0.11], [0.11, 0.89]]) / 2.0
        >>> found = information_bottleneck(p_xy, beta=2.0)
        >>> round(found.i_xt, 4), round(found.i_ty, 4)
        (0.4167, 0.2346)
    """
    table = _checked_table(p_xy)
    beta = check_number("beta", beta, low=0.0)
    if n_clusters is None:
        n_clusters = len(table)
    n_clusters = check_int("n_clusters", n_clusters, low=1)
    n_starts = check_int("n_starts", n_starts, low=0)
    max_iterations = check_int("max_iterations", max_iterations, low=1)
    tolerance = check_number("tolerance", tolerance, low=0.0, open_low=True)
    rng = generator(random_state)
    occurs = table.sum(axis=1) > 0.0
    problem = _problem(table[occurs])
    # With beta <= 1 data processing makes every code worth less than none; one start says so.
    if beta <= 1.0 or n_clusters == 1:
        best, converged, n_iterations = _constant_code(problem, n_clusters), True, 0
    else:
        starts = _starts(problem, beta, n_clusters, n_starts, rng)
        descent = _descend(problem, starts, beta, max_iterations, tolerance)
        values = [_lagrangian(problem, one, beta) for one in descent.encoders]
        winner = int(np.argmin(values))
        best, converged = descent.encoders[winner], bool(descent.left[winner] < tolerance)
        n_iterations = descent.n_iterations
        if values[winner] > -ROUNDING * (1.0 + beta):
            best = _constant_code(problem, n_clusters)
    i_xt, i_ty = _informations(problem, best)
    encoder = np.tile(problem.p_x @ best, (len(table), 1))
    encoder[occurs] = best
    return BottleneckSolution(
        i_xt, i_ty, i_xt - beta * i_ty, beta, encoder, converged, n_iterations
    )


def gaussian_information_bottleneck(
    sigma_x: object, sigma_y: object, sigma_xy: object, beta: float
) -> GaussianBottleneckSolution:
    """Return the best code T of X about Y for jointly Gaussian X and Y, in closed form.

    With lambda_i = 1 - rho_i^2 of the canonical correlations rho_i, the eigenvalues of
    Sigma_x|y Sigma_x^-1, and over those i whose critical beta 1 / (1 - lambda_i) is below beta:
    I(X;T) = 1/2 sum log[(beta - 1)(1 - lambda_i) / lambda_i] and
    I(T;Y) = I(X;T) - 1/2 sum log[beta (1 - lambda_i)].

    Args:
        sigma_x: Covariance of X, shape (d_x, d_x), positive definite; a number where d_x = 1.
        sigma_y: Covariance of Y, shape (d_y, d_y), positive definite; a number where d_y = 1.
        sigma_xy: Covariances of X with Y, shape (d_x, d_y); a number where both are 1.
        beta: Weight of I(T;Y) in I(X;T) - beta I(T;Y), at least 0.

    Returns:
        `GaussianBottleneckSolution` with ``.i_xt``, ``.i_ty``, ``.lagrangian``, ``.projection``,
        ``.critical_betas``.

    Raises:
        TypeError: If a covariance is not numeric or beta not a number.
        ValueError: If shapes do not fit, a covariance is not finite, not symmetric or not positive
            definite, a canonical correlation is 1 (then the best Lagrangian is -inf), or beta is
            negative.

    References:
        Chechik, Globerson, Tishby, Weiss (2005), JMLR 6, 165, Theorem 3.1 and section 5.

    Example:
        >>> found = gaussian_information_bottleneck(1.0, 1.0, 0.8, beta=4.0)
        >>> round(found.i_xt, 4), round(found.i_ty, 4)  # log(16/3) / 2, and log(2.56) / 2 less
        (0.837, 0.367)
        >>> found.critical_betas
        array([1.5625])
    """
    beta = check_number("beta", beta, low=0.0)
    root_x = _root("sigma_x", _checked_matrix("sigma_x", sigma_x))
    root_y = _root("sigma_y", _checked_matrix("sigma_y", sigma_y))
    cross = _checked_matrix("sigma_xy", sigma_xy)
    if cross.shape != (len(root_x), len(root_y)):
        raise ValueError(
            f"sigma_xy must have shape ({len(root_x)}, {len(root_y)}) for sigma_x and sigma_y, "
            f"got {cross.shape}."
        )
    whitened = np.linalg.solve(root_x, np.linalg.solve(root_y, cross.T).T)
    left, correlations, _ = np.linalg.svd(whitened, full_matrices=False)
    kept = np.square(correlations)  # 1 - lambda
    if kept[0] > MAX_SQUARED_CORRELATION:
        raise ValueError(
            "sigma_x, sigma_y and sigma_xy must be a joint covariance with canonical correlations "
            f"below 1, got {correlations[0]:.6g}. Where Y determines a direction of X, add noise."
        )
    critical = np.divide(1.0, kept, out=np.full_like(kept, np.inf), where=kept > 0.0)
    active = critical < beta
    gain = beta * kept[active]
    i_xt = 0.5 * float(np.log((beta - 1.0) * kept[active] / (1.0 - kept[active])).sum())
    i_ty = i_xt - 0.5 * float(np.log(gain).sum())
    # Rows v' = u' L^-1 have v' Sigma_x v = 1: the norm r_i of the paper is 1.
    directions = np.linalg.solve(root_x.T, left[:, active]).T
    projection = np.sqrt((gain - 1.0) / (1.0 - kept[active]))[:, None] * directions
    return GaussianBottleneckSolution(i_xt, i_ty, i_xt - beta * i_ty, beta, projection, critical)


class _Problem(NamedTuple):
    """A table without empty rows: p(x, y), p(x), p(y | x) and sum_y p(y | x) log p(y | x)."""

    p_xy: Floats
    p_x: Floats
    p_y_x: Floats
    negative_entropy: Floats


class _Descent(NamedTuple):
    """Encoders (starts, n_x, n_clusters), what each has left to gain, and the iterations."""

    encoders: Floats
    left: Floats
    n_iterations: int


def _problem(p_xy: Floats) -> _Problem:
    p_x = p_xy.sum(axis=1)
    p_y_x = p_xy / p_x[:, None]
    return _Problem(p_xy, p_x, p_y_x, (p_y_x * np.log(np.maximum(p_y_x, TINY))).sum(axis=1))


def _starts(
    problem: _Problem, beta: float, n_clusters: int, n_starts: int, rng: np.random.Generator
) -> Floats:
    """Return encoders to descend from: hard and random ones, plain and annealed."""
    n_x = len(problem.p_x)
    # A cluster for every x, or for every x modulo their number.
    hard = np.eye(n_clusters)[np.arange(n_x) % n_clusters]
    random = rng.dirichlet(np.full(n_clusters, 0.3), size=(n_starts, n_x))
    plain = np.concatenate([hard[None], random])
    annealed = plain
    for factor in np.geomspace(ANNEALING_FACTOR, 1.0, ANNEALING_STEPS, endpoint=False):
        annealed = _descend(problem, annealed, factor * beta, 50, 1e-6).encoders
    return np.concatenate([plain, annealed])


def _descend(
    problem: _Problem, encoders: Floats, beta: float, max_iterations: int, tolerance: float
) -> _Descent:
    """Iterate all starts until what is left to gain is below the tolerance for each."""
    value, gain = np.full(len(encoders), np.inf), np.full(len(encoders), np.inf)
    left = gain
    for iteration in range(1, max_iterations + 1):
        encoders, new = _step(problem, encoders, beta)
        with np.errstate(invalid="ignore", divide="ignore"):
            new_gain = value - new
            # Gains shrink by a constant factor in the end: a geometric series is left.
            ratio = new_gain / gain
            left = np.where(ratio < 1.0, new_gain * ratio / (1.0 - ratio), np.inf)
        # Gains within rounding say nothing of a ratio.
        left[new_gain <= 1e-15 * (1.0 + np.abs(new))] = 0.0
        value, gain = new, new_gain
        if iteration > 2 and (left < tolerance).all():
            break
    return _Descent(encoders, left, iteration)


def _step(problem: _Problem, encoders: Floats, beta: float) -> tuple[Floats, Floats]:
    """Return the next encoders and their free energy -E log Z, which never rises."""
    joint = encoders.transpose(0, 2, 1) @ problem.p_xy  # p(t, y), (starts, t, y)
    p_t = joint.sum(axis=2)
    log_p_y_t = np.log(np.maximum(joint, TINY)) - np.log(np.maximum(p_t, TINY))[:, :, None]
    crossed = problem.p_y_x @ log_p_y_t.transpose(0, 2, 1)  # sum_y p(y | x) log p(y | t)
    divergence = problem.negative_entropy[:, None] - crossed
    logits = np.log(np.maximum(p_t, TINY))[:, None, :] - beta * divergence
    top = logits.max(axis=2, keepdims=True)
    weights = np.exp(logits - top)
    total = weights.sum(axis=2, keepdims=True)
    log_z = (top + np.log(total))[:, :, 0]
    return weights / total, -log_z @ problem.p_x


def _constant_code(problem: _Problem, n_clusters: int) -> Floats:
    encoder = np.zeros((len(problem.p_x), n_clusters))
    encoder[:, 0] = 1.0
    return encoder


def _informations(problem: _Problem, encoder: Floats) -> tuple[float, float]:
    """Return I(X; T) and I(T; Y)."""
    return (
        _mutual_information(problem.p_x[:, None] * encoder),
        _mutual_information(encoder.T @ problem.p_xy),
    )


def _lagrangian(problem: _Problem, encoder: Floats, beta: float) -> float:
    i_xt, i_ty = _informations(problem, encoder)
    return i_xt - beta * i_ty


def _mutual_information(table: Floats) -> float:
    product = np.outer(table.sum(axis=1), table.sum(axis=0))
    held = table > 0.0
    # Entries so small that the product underflows weigh nothing.
    return float((table[held] * np.log(table[held] / np.maximum(product[held], TINY))).sum())


def _checked_table(p_xy: object) -> Floats:
    """Return a table of probabilities, normalized to the last digit."""
    table = _checked_matrix("p_xy", p_xy)
    if table.min() < 0.0:
        raise ValueError(f"p_xy must not be negative, got {table.min():g}.")
    total = float(table.sum())
    if not math.isclose(total, 1.0, abs_tol=1e-6):
        raise ValueError(f"p_xy must sum to 1, got {total:g}. Divide counts by their sum.")
    return table / total


def _checked_matrix(name: str, values: object) -> Floats:
    """Return a finite float64 matrix; a number is (1, 1)."""
    array: Array = np.asarray([[values]]) if np.isscalar(values) else as_array(name, values)
    if array.ndim == 0:
        array = array[None, None]
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} must be real numbers, got dtype {array.dtype}.")
    if array.ndim != 2 or not array.size:
        raise ValueError(f"{name} must be a matrix, got shape {array.shape}.")
    array = array.astype(np.float64)
    bad = int((~np.isfinite(array)).sum())
    if bad:
        raise ValueError(f"{name} must be finite, got {bad} NaN or infinite entries.")
    return array


def _root(name: str, covariance: Floats) -> Floats:
    """Return the lower Cholesky root of a covariance."""
    if covariance.shape[0] != covariance.shape[1]:
        raise ValueError(f"{name} must be a square matrix, got shape {covariance.shape}.")
    apart = float(np.abs(covariance - covariance.T).max())
    if apart > 1e-6 * np.abs(covariance).max():
        raise ValueError(f"{name} must be symmetric, got entries that differ by {apart:g}.")
    symmetric = (covariance + covariance.T) / 2.0
    try:
        return np.asarray(np.linalg.cholesky(symmetric), dtype=np.float64)
    except np.linalg.LinAlgError:
        lowest = float(np.linalg.eigvalsh(symmetric)[0])
        raise ValueError(
            f"{name} must be positive definite, got the eigenvalue {lowest:g}."
        ) from None
