"""The front doors: one call, one `Estimate`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from infoest._validation import check_option
from infoest.estimators.catalog import BUDGETS, METHODS
from infoest.estimators.pairwise import estimate_pairs
from infoest.information_matrix import InformationMatrix
from infoest.result import Estimate


def estimate(
    x: object,
    y: object,
    method: object = "auto",
    *,
    z: object = None,
    discrete: str | None = None,
    missing: str = "raise",
    confidence: float | None = 0.95,
    n_permutations: int = 0,
    block: int | None = None,
    budget: str = "accurate",
    random_state: int | None = None,
) -> Estimate:
    """Return the mutual information I(X;Y), or I(X;Y|Z), in nats with its uncertainty.

    Args:
        x: Samples, shape (n, d_x) or (n,): NumPy, torch, pandas, polars or lists.
        y: Samples, shape (n, d_y) or (n,); row i belongs to row i of x.
        method: Name in ``infoest.METHODS`` or an estimator. ``"auto"`` chooses by the data and
            says why in ``info["reason"]``.
        z: Condition, shape (n, d_z) or (n,), or None.
        discrete: Side(s) used as labels, ``"x"``, ``"y"`` or ``"both"``: never binned,
            standardized or treated as continuous; strings are allowed there only.
        missing: ``"raise"`` refuses rows with NaN or infinity, ``"drop"`` leaves them out.
        confidence: Nominal coverage of the interval in (0, 1); None skips it and its cost.
        n_permutations: Rearrangements for the p-value of independence; 0 for none.
        block: None widens the interval by the measured autocorrelation of the rows; 1 declares
            the rows independent.
        budget: ``"accurate"`` or ``"fast"``: limits the candidates of ``"auto"``.
        random_state: Seed given to a copy of the estimator; None keeps its own.

    Returns:
        The estimate. ``value`` is never clipped: at independence it scatters around 0.

    Raises:
        TypeError: For data that are not numeric, or a method that is no name or estimator.
        ValueError: For wrong shapes, missing values, too few rows, constant columns, or settings
            out of range.

    Example:
        >>> import infoest
        >>> x, y, mi = infoest.datasets.correlated_normal(2000, rho=0.8, random_state=0)
        >>> e = infoest.estimate(x, y)
        >>> e.interval[0] < mi < e.interval[1]
        True
    """
    estimator = METHODS.resolve(method, "mutual_information", random_state)
    check_option("budget", budget, BUDGETS)
    if budget != "accurate":
        if METHODS.name_of(estimator) != "auto":
            raise ValueError(
                f"budget must be 'accurate' with method={method!r}, got {budget!r}. It limits the "
                "candidates of method='auto' only."
            )
        estimator = estimator.copy().set_params(budget=budget)
    found: Estimate = estimator.estimate(
        x,
        y,
        z=z,
        discrete=discrete,
        missing=missing,
        confidence=confidence,
        n_permutations=n_permutations,
        block=block,
    )
    return found


def entropy(
    x: object,
    method: object = "kozachenko_leonenko",
    *,
    discrete: str | None = None,
    missing: str = "raise",
    confidence: float | None = 0.95,
    random_state: int | None = None,
) -> Estimate:
    """Return the entropy H(X) in nats: differential for continuous data, Shannon's for labels.

    Args:
        x: Samples, shape (n, d) or (n,).
        method: Name in ``infoest.METHODS`` or an entropy estimator. With ``discrete="x"`` the
            default becomes ``"discrete_entropy"``.
        discrete: ``"x"`` for labels, else None.
        missing: ``"raise"`` refuses rows with NaN or infinity, ``"drop"`` leaves them out.
        confidence: Nominal coverage of the interval; None skips it.
        random_state: Seed given to a copy of the estimator; None keeps its own.

    Raises:
        TypeError: For data that are not numeric, or a method that is no name or estimator.
        ValueError: For wrong shapes, missing values, too few rows or constant columns.

    Example:
        >>> import infoest
        >>> e = infoest.entropy(["a", "b"] * 50, discrete="x")
        >>> round(e.to("bits").value, 2), e.method
        (1.01, 'discrete_entropy')
    """
    if discrete == "x" and method == "kozachenko_leonenko":
        method = "discrete_entropy"
    estimator = METHODS.resolve(method, "entropy", random_state)
    found: Estimate = estimator.estimate(
        x, discrete=discrete, missing=missing, confidence=confidence
    )
    return found


def divergence(
    x: object,
    y: object,
    method: object = "cauchy_schwarz",
    *,
    n_permutations: int = 0,
    random_state: int | None = None,
) -> Estimate:
    """Return the divergence D(P_x, P_y) of two laws from a sample of each.

    Args:
        x: Samples of the first law, shape (n, d) or (n,).
        y: Samples of the second, shape (m, d) or (m,); m may differ from n.
        method: Name in ``infoest.METHODS`` or a divergence estimator.
        n_permutations: Random relabelings for the p-value of equal laws; 0 for none.
        random_state: Seed given to a copy of the estimator; None keeps its own.

    Raises:
        TypeError: For data that are not numeric, or a method that is no name or estimator.
        ValueError: For wrong shapes, different widths, missing values or too few rows.

    Example:
        >>> import infoest
        >>> x, y, _ = infoest.datasets.correlated_normal(500, random_state=0)
        >>> float(infoest.divergence(x, y)) < 0.05 < float(infoest.divergence(x, y + 2.0))
        True
    """
    estimator = METHODS.resolve(method, "divergence", random_state)
    found: Estimate = estimator.estimate(x, y, n_permutations=n_permutations)
    return found


def matrix(
    data: object,
    method: object = "auto",
    *,
    target: str | int | None = None,
    discrete: Sequence[str | int] | None = None,
    n_permutations: int = 0,
    n_jobs: int | None = None,
    random_state: int | None = None,
) -> InformationMatrix:
    """Return the mutual information of all pairs of columns of a table, in nats.

    Args:
        data: Table, shape (n, d): a pandas or polars frame (its column names are kept) or any
            array (columns are named ``"0"``, ``"1"``, ...).
        method: Name in ``infoest.METHODS`` or an estimator, used for every pair.
        target: Name or position of one column: only the pairs with it.
        discrete: Names or positions of columns that hold labels.
        n_permutations: Rearrangements for the p-value of every pair; 0 for none.
        n_jobs: Processes, as in joblib. None uses the backend of an active
            ``joblib.parallel_config`` (Dask, say), else all cores.
        random_state: Seed given to a copy of the estimator; None keeps its own.

    Returns:
        The labeled matrix. Its diagonal is the entropy of a column of labels and infinity for
        continuous columns.

    Raises:
        TypeError: For columns that are not numeric and not named in ``discrete``.
        ValueError: For unknown columns, missing values, constant columns, or an estimator whose
            results for the pairs are not one and the same quantity.

    Example:
        >>> import numpy as np, infoest
        >>> rng = np.random.default_rng(0)
        >>> x = rng.standard_normal((500, 3)); x[:, 2] += x[:, 0]
        >>> m = infoest.matrix(x, "gaussian", n_jobs=1)
        >>> bool(m.values[0, 2] > 0.2 > m.values[0, 1])
        True
    """
    estimator: Any = METHODS.resolve(method, "mutual_information", random_state)
    return estimate_pairs(
        data,
        estimator,
        target=target,
        discrete=() if discrete is None else discrete,
        n_permutations=n_permutations,
        n_jobs=n_jobs,
    )
