"""Transfer entropy: conditional mutual information between a source's past and a target's next."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from infoest._random import generator
from infoest._validation import Array, check_int, read_series
from infoest.functional.significance import rearrangements
from infoest.result import Estimate

from .catalog import METHODS
from .nearest_neighbor import KSG


def transfer_entropy(
    source: object,
    target: object,
    *,
    lag: int = 1,
    history: int = 1,
    condition: object = None,
    method: object = "ksg",
    theiler: int = 0,
    n_surrogates: int = 0,
    random_state: int | None = None,
) -> Estimate:
    """Return the transfer entropy from source to target in nats.

    TE = I(target_t ; source_{t-lag}, ..., source_{t-lag-history+1} | target_{t-1}, ...,
    target_{t-history} [, condition_{t-1}]).

    Args:
        source: Series in order of time, shape (n,) or (n, d_source).
        target: Series, shape (n,) or (n, d_target).
        lag: Delay of the source, at least 1.
        history: Past values of source and of target that are used, at least 1.
        condition: Further series whose last value is conditioned on, shape (n, d), or None.
        method: Name or instance of an estimator that takes a condition: ``"ksg"``,
            ``"gaussian"``, ``"gaussian_copula"``, ``"discrete"`` (series of labels) or ``"auto"``.
        theiler: Rows at most this far apart in time are not neighbors of each other (KSG only).
        n_surrogates: Circular shifts of the source for the p-value; 0 for none.
        random_state: Seed given to a copy of the estimator and to the shifts; None keeps the
            estimator's own.

    Returns:
        The estimate with quantity ``"transfer_entropy"``. With surrogates ``p_value`` is
        (1 + b) / (1 + n_surrogates), ``info["effective"]`` the value less the mean of the
        surrogates, and ``info["surrogate_mean"]`` that mean.

    Raises:
        ValueError: For series of different lengths, too short ones, a method that takes no
            condition, or a Theiler window for a method without neighbors.

    Note:
        The interval is that of the conditional mutual information with rows taken as independent
        given the past; a history that is too short breaks that. Values at independence scatter
        around 0 or a small bias: read ``info["effective"]`` and the p-value.

    References:
        Schreiber (2000), Phys. Rev. Lett. 85, 461, eq. 4.
        Marschinski, Kantz (2002), Eur. Phys. J. B 30, 275 (effective transfer entropy).

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> source = rng.standard_normal(2000)
        >>> target = np.r_[0.0, source[:-1]] + 0.5 * rng.standard_normal(2000)
        >>> forward = transfer_entropy(source, target, method="gaussian")
        >>> backward = transfer_entropy(target, source, method="gaussian")
        >>> forward.value > 0.5 > 0.05 > abs(backward.value)
        True
    """
    check_int("lag", lag, low=1)
    check_int("history", history, low=1)
    check_int("n_surrogates", n_surrogates, low=0)
    estimator: Any = METHODS.resolve(method, "mutual_information", random_state)
    if not estimator.conditional:
        raise ValueError(
            f"method must take a condition, got {method!r}. Use 'ksg', 'gaussian', "
            "'gaussian_copula', 'discrete' or 'auto'."
        )
    if check_int("theiler", theiler, low=0):
        if not isinstance(estimator, KSG):
            raise ValueError(
                f"theiler must be 0 with method={method!r}, got {theiler}. Only KSG looks for "
                "neighbors in time."
            )
        estimator = replace(estimator, theiler=theiler)
    series = read_series(
        {"source": source, "target": target, "condition": condition},
        constant=estimator.accepts_constant,
    )
    n, first = len(series["target"]), lag + history - 1
    check_int(
        "lag + history - 1", first, low=1, high=max(n - 6, 0), remedy=f"The series have {n} values."
    )
    future, past, given = _embedded(series, lag, history)
    found: Estimate = estimator.estimate(past, future, z=given, block=1)
    info = dict(found.info)
    p_value = None
    if n_surrogates:
        shifted = []
        rng = generator(estimator.random_state)
        for order in rearrangements(n, n_surrogates, rng, shifts=True):
            moved = {**series, "source": series["source"][order]}
            future, past, given = _embedded(moved, lag, history)
            one = estimator.estimate(past, future, z=given, block=1, confidence=None)
            shifted.append(one.value)
        mean = float(np.mean(shifted))
        p_value = (1 + int(np.sum(np.asarray(shifted) >= found.value))) / (1 + n_surrogates)
        info |= {"effective": found.value - mean, "surrogate_mean": mean}
    return replace(found, quantity="transfer_entropy", p_value=p_value, info=info)


def _embedded(series: dict[str, Array], lag: int, history: int) -> tuple[Array, Array, Array]:
    """Return the target's next value, the source's past, and what is conditioned on."""
    first = lag + history - 1
    n = len(series["target"])

    def back(name: str, steps: int) -> Array:
        return series[name][first - steps : n - steps]

    past = np.hstack([back("source", lag + i) for i in range(history)])
    given = [back("target", 1 + i) for i in range(history)]
    if "condition" in series:
        given.append(back("condition", 1))
    return series["target"][first:], past, np.hstack(given)
