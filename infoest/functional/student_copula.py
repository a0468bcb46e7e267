"""The Student-t copula: fitted to ranks, its log density ratio, and its mutual information.

The law of (x, y) is described by a correlation matrix and one number of degrees of freedom nu,
whatever the marginals of the columns. Infinite nu is the Gaussian copula; a smaller nu adds
dependence of the extremes of all columns, so that even uncorrelated sides are dependent.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import digamma, gammaln, ndtr, stdtrit

from infoest._validation import Array, as_samples, check_bool, check_int, check_number, read_data
from infoest.functional._student_fit import (
    LARGEST_DEGREES_OF_FREEDOM,
    LEAST_SHRINKAGE,
    energy,
    fit_columns,
    is_regular,
    least_shrinkage,
    shrinkage,
    shrunk,
)
from infoest.functional.gaussian import gaussian_bias, rank_bias

SMALLEST_DEGREES_OF_FREEDOM = 0.5
# Squares of the t scores of larger normal scores would overflow; ranks of a sample reach 10 only
# with 1e23 rows.
LARGEST_NORMAL_SCORE = 15.0
LARGEST_RANK_CORRELATION = 0.95


class LogRatioForms(NamedTuple):
    """What the log density ratio is made of, for t scores x and y.

    With q_x = x' marginal_x x, q_y = y' marginal_y y and
    q = x' joint_x x + y' joint_y y - 2 x' cross y, the log ratio is
    constant - (nu + d) / 2 log(1 + q / nu) + (nu + d_x) / 2 log(1 + q_x / nu)
    + (nu + d_y) / 2 log(1 + q_y / nu), d = d_x + d_y; for infinite nu it is
    constant + (q_x + q_y - q) / 2. Rounding aside, q is at least q_x and at least q_y.

    Attributes:
        cross: Shape (d_x, d_y).
        joint_x: Shape (d_x, d_x).
        joint_y: Shape (d_y, d_y).
        marginal_x: Inverse correlation matrix of x, shape (d_x, d_x).
        marginal_y: The same of y, shape (d_y, d_y).
        constant: In nats.
    """

    cross: Array
    joint_x: Array
    joint_y: Array
    marginal_x: Array
    marginal_y: Array
    constant: float


@dataclass(frozen=True, eq=False)
class StudentCopula:
    """Student-t copula of x and y; `fit_student_copula` fits one.

    Args:
        degrees_of_freedom: nu, at least 0.5. Infinity is the Gaussian copula; above 1e8 it is
            stored as infinity.
        correlation: Correlation matrix of x and y side by side, positive definite,
            shape (d_x + d_y, d_x + d_y).
        d_x: Number of columns of x, in [1, d - 1].

    Raises:
        TypeError: If an argument is no number or array of numbers.
        ValueError: If ``correlation`` is no regular correlation matrix or a number is out of
            range.

    References:
        Demarta, McNeil (2005), Int. Stat. Rev. 73, 111 (the copula).

    Example:
        >>> copula = StudentCopula(3.0, np.eye(2), 1)
        >>> round(copula.mutual_information(), 4)  # uncorrelated, and yet dependent
        0.0424
    """

    degrees_of_freedom: float
    correlation: Array
    d_x: int

    def __post_init__(self) -> None:
        if self.degrees_of_freedom != math.inf:
            check_number(
                "degrees_of_freedom",
                self.degrees_of_freedom,
                low=SMALLEST_DEGREES_OF_FREEDOM,
                remedy="Infinity is the Gaussian copula.",
            )
        if self.degrees_of_freedom > LARGEST_DEGREES_OF_FREEDOM:
            object.__setattr__(self, "degrees_of_freedom", math.inf)
        correlation = as_samples("correlation", self.correlation).copy()
        d = len(correlation)
        if d < 2 or correlation.shape != (d, d):
            raise ValueError(
                "correlation must be square, with a row for every column of x and y, "
                f"got shape {correlation.shape}."
            )
        check_int("d_x", self.d_x, low=1, high=d - 1)
        unit = np.allclose(np.diag(correlation), 1.0, rtol=0.0, atol=1e-9)
        if not unit or not np.allclose(correlation, correlation.T, rtol=0.0, atol=1e-9):
            raise ValueError(
                "correlation must be symmetric with ones on its diagonal, "
                f"got diagonal {np.diag(correlation)[:5].tolist()}."
            )
        smallest = float(np.linalg.eigvalsh(correlation)[0])
        if smallest < 1e-3 * LEAST_SHRINKAGE:
            raise ValueError(
                f"correlation must be positive definite, got smallest eigenvalue {smallest:.3g}. "
                "Mix in a little of the identity."
            )
        correlation.flags.writeable = False
        object.__setattr__(self, "correlation", correlation)

    @property
    def d_y(self) -> int:
        """Number of columns of y."""
        return len(self.correlation) - self.d_x

    @property
    def is_gaussian(self) -> bool:
        """Whether this is the Gaussian copula."""
        return self.degrees_of_freedom == math.inf

    @cached_property
    def forms(self) -> LogRatioForms:
        """The constants of the log density ratio, float64."""
        d_x, nu = self.d_x, self.degrees_of_freedom
        precision = _inverse(self.correlation)
        constant = _gaussian_information(self.correlation, d_x)
        if not self.is_gaussian:
            d = len(precision)
            constant += float(_mixed_difference(lambda v: gammaln(0.5 * v), nu, d_x, d - d_x))
        return LogRatioForms(
            cross=-precision[:d_x, d_x:],
            joint_x=precision[:d_x, :d_x],
            joint_y=precision[d_x:, d_x:],
            marginal_x=_inverse(self.correlation[:d_x, :d_x]),
            marginal_y=_inverse(self.correlation[d_x:, d_x:]),
            constant=constant,
        )

    def mutual_information(self) -> float:
        """Return I(X;Y) of the copula in nats, in closed form.

        -1/2 log(det C / (det C_x det C_y)) + f(nu) + f(nu + d) - f(nu + d_x) - f(nu + d_y) with
        f(v) = log Gamma(v / 2) - v / 2 psi(v / 2); the Gaussian copula has the first term only.
        """
        information = _gaussian_information(self.correlation, self.d_x)
        if self.is_gaussian:
            return information

        def term(v: Array) -> Array:
            return np.asarray(gammaln(0.5 * v) - 0.5 * v * digamma(0.5 * v))

        return information + _mixed_difference(term, self.degrees_of_freedom, self.d_x, self.d_y)

    def to_scores(self, normal_scores: npt.ArrayLike) -> Array:
        """Return t scores, the quantiles of Student's t at the levels of the normal scores.

        Args:
            normal_scores: Any shape, for instance from `ranks.normal_scores`; beyond 15 they
                count as 15.

        Returns:
            T_nu^-1(Phi(z)), float64, the same shape; z itself for the Gaussian copula.

        Raises:
            ValueError: If scores are NaN.
        """
        z = np.array(normal_scores, dtype=np.float64)
        if np.isnan(z).any():
            raise ValueError(
                f"normal_scores must not be NaN, got {int(np.isnan(z).sum())} of them."
            )
        z = z.clip(-LARGEST_NORMAL_SCORE, LARGEST_NORMAL_SCORE)
        if self.is_gaussian:
            return z
        # Columns of ranks hold the same few values, and below 1/2 a level keeps its digits.
        levels, inverse = np.unique(np.abs(z), return_inverse=True)
        sizes = -stdtrit(self.degrees_of_freedom, ndtr(-levels))
        return np.copysign(sizes[inverse.reshape(z.shape)], z)

    def log_ratio(self, x_scores: npt.ArrayLike, y_scores: npt.ArrayLike) -> Array:
        """Return log c(x_i, y_i) - log c(x_i) - log c(y_i) of paired t scores in nats.

        Args:
            x_scores: t scores from `to_scores`, shape (n, d_x).
            y_scores: The same of y, shape (n, d_y).

        Returns:
            Shape (n,). The mean over the copula is `mutual_information`.

        Raises:
            ValueError: If shapes do not fit or scores are not finite.
        """
        x, y = self._checked(x_scores, y_scores)
        if len(x) != len(y):
            raise ValueError(
                f"y_scores must have as many rows as x_scores, {len(x)}, got {len(y)}."
            )
        crossed = np.einsum("ij,ij->i", x @ self.forms.cross, y)
        return self._ratio(crossed, _quadratics(x, y, self.forms))

    def log_ratio_matrix(self, x_scores: npt.ArrayLike, y_scores: npt.ArrayLike) -> Array:
        """Return log c(x_i, y_j) - log c(x_i) - log c(y_j) of all pairs in nats.

        Args:
            x_scores: t scores from `to_scores`, shape (n, d_x).
            y_scores: The same of y, shape (m, d_y).

        Returns:
            Shape (n, m).

        Raises:
            ValueError: If shapes do not fit or scores are not finite.
        """
        x, y = self._checked(x_scores, y_scores)
        joint_x, q_x, joint_y, q_y = _quadratics(x, y, self.forms)
        rows = (joint_x[:, None], q_x[:, None], joint_y, q_y)
        return self._ratio(x @ self.forms.cross @ y.T, rows)

    def _ratio(self, crossed: Array, quadratics: tuple[Array, Array, Array, Array]) -> Array:
        joint_x, q_x, joint_y, q_y = quadratics
        nu, d_x, d_y = self.degrees_of_freedom, self.d_x, self.d_y
        # Rounding must not push the joint form below those of its parts, least of all below 0.
        q = np.maximum(joint_x + joint_y - 2.0 * crossed, np.maximum(q_x, q_y))
        parts = energy(q_x, nu, d_x) + energy(q_y, nu, d_y)
        return np.asarray(self.forms.constant + parts - energy(q, nu, d_x + d_y))

    def _checked(self, x_scores: npt.ArrayLike, y_scores: npt.ArrayLike) -> tuple[Array, Array]:
        x, y = as_samples("x_scores", x_scores), as_samples("y_scores", y_scores)
        for name, scores, d in (("x_scores", x, self.d_x), ("y_scores", y, self.d_y)):
            if scores.shape[1] != d:
                raise ValueError(f"{name} must have {d} columns, got {scores.shape[1]}.")
            if not np.isfinite(scores).all():
                raise ValueError(f"{name} must be finite, got NaN or infinity.")
        return x, y


def fit_student_copula(
    x: npt.ArrayLike, y: npt.ArrayLike, *, gaussian: bool = False
) -> StudentCopula:
    """Return the Student-t copula that the ranks of x and y ask for.

    Ranks become levels (rank - 1/2) / n, ties sharing their mean rank. The degrees of freedom
    maximize the profile likelihood, from 2/3 to infinity; the correlation matrix is the fixed point
    of maximum likelihood with weights (nu + d) / (nu + q_i). It is then mixed with the identity by
    the weight that maximizes the leave-one-out likelihood, so that the log ratio is good for new
    pairs and regular for any n and d. Where no tails can be seen, with fewer than 20 rows or one
    value in more than 10 % of the rows of a column, the copula is Gaussian.

    Args:
        x: Samples, shape (n, d_x) or (n,), n at least 5.
        y: Samples, shape (n, d_y) or (n,).
        gaussian: Whether to fit the Gaussian copula (infinite degrees of freedom).

    Raises:
        TypeError: If x or y is not numeric.
        ValueError: For different lengths, missing values, fewer than 5 rows or constant columns.

    Note:
        The identity draws `StudentCopula.mutual_information` towards 0, by 0.1 nats with 20
        columns a side and 5000 rows; `student_copula_mi` gives the value without it.

    References:
        Demarta, McNeil (2005), Int. Stat. Rev. 73, 111 (the copula).
        Kent, Tyler, Vardi (1994), Commun. Stat. Simul. 23, 441 (the fixed point).
        Theiler (2012), Proc. SPIE 8391, 83910P (the leave-one-out likelihood).

    Example:
        >>> rng = np.random.default_rng(0)
        >>> scale = np.sqrt(3.0 / rng.chisquare(3.0, (2000, 1)))
        >>> x = scale * rng.standard_normal((2000, 2))
        >>> y = scale * rng.standard_normal((2000, 2))
        >>> copula = fit_student_copula(np.exp(x), y)
        >>> 2.5 < copula.degrees_of_freedom < 3.5
        True
    """
    pairs = read_data({"x": x, "y": y})
    check_bool("gaussian", gaussian)
    fit = fit_columns(np.hstack([pairs.x, pairs.y]), gaussian=bool(gaussian))
    weight = shrinkage(fit.scatter, fit.n_effective)
    return StudentCopula(fit.nu, shrunk(fit.scatter, weight), pairs.x.shape[1])


def student_copula_mi(x: npt.ArrayLike, y: npt.ArrayLike, *, gaussian: bool = False) -> float:
    """Return I(X;Y) in nats of the Student-t copula fitted to the ranks of x and y.

    The closed form of `StudentCopula.mutual_information`. With more than 2 (d_x + d_y) rows
    nothing is mixed into the correlation matrix, and the bias of its log-determinants is taken
    off: exactly that of normal data, with n (nu + d) / (nu + d + 2) in the place of n, which is
    the information that t-distributed rows hold on a correlation matrix. What ranks hide is put
    back by a formula fitted to simulations. With fewer rows the value is that of
    `fit_student_copula`, which is biased towards 0.

    Args:
        x: Samples, shape (n, d_x) or (n,), n at least 5.
        y: Samples, shape (n, d_y) or (n,).
        gaussian: Whether to fit the Gaussian copula (infinite degrees of freedom).

    Returns:
        The estimate in nats; may be negative.

    Raises:
        TypeError: If x or y is not numeric.
        ValueError: For different lengths, missing values, fewer than 5 rows or constant columns.

    Note:
        Equal ranks are told as about log n nats per column, for n rows know no more. Dependence
        that a Student-t copula does not have is missed, as y = x^2 is.

    References:
        Misra, Singh, Demchuk (2005), J. Multivariate Anal. 92, 324 (bias).

    Example:
        >>> from infoest.datasets import correlated_normal
        >>> x, y, mi = correlated_normal(2000, rho=0.8, random_state=0)
        >>> abs(student_copula_mi(np.exp(x), y**3) - mi) < 0.05
        True
    """
    pairs = read_data({"x": x, "y": y})
    check_bool("gaussian", gaussian)
    columns, d_x = np.hstack([pairs.x, pairs.y]), pairs.x.shape[1]
    fit = fit_columns(columns, gaussian=bool(gaussian))
    if not is_regular(columns):
        weight = shrinkage(fit.scatter, fit.n_effective)
        return StudentCopula(fit.nu, shrunk(fit.scatter, weight), d_x).mutual_information()
    copula = StudentCopula(fit.nu, shrunk(fit.scatter, least_shrinkage(len(columns))), d_x)
    bias = gaussian_bias(round(fit.n_effective), copula.d_x, copula.d_y)
    return copula.mutual_information() - bias - _rank_bias(len(columns), copula)


# -------------------------------------------------------------------------------- closed forms


def _inverse(matrix: Array) -> Array:
    root = np.linalg.inv(np.linalg.cholesky(matrix))
    return np.asarray(root.T @ root)


def _gaussian_information(correlation: Array, d_x: int) -> float:
    """Return -1/2 log(det C / (det C_x det C_y)) in nats."""

    def half_log_determinant(matrix: Array) -> float:
        return float(np.log(np.diag(np.linalg.cholesky(matrix))).sum())

    return (
        half_log_determinant(correlation[:d_x, :d_x])
        + half_log_determinant(correlation[d_x:, d_x:])
        - half_log_determinant(correlation)
    )


def _rank_bias(n: int, copula: StudentCopula) -> float:
    """Return what ranks add to the value in nats: `rank_bias` times 1 + 4 / nu^1.5.

    The factor was fitted to simulations (nu from 1 to 12, n 300 and 3000, up to 5 columns a side):
    of heavy tails, ranks know less.
    """
    d_x = copula.d_x
    roots = [
        np.linalg.inv(np.linalg.cholesky(part))
        for part in (copula.correlation[:d_x, :d_x], copula.correlation[d_x:, d_x:])
    ]
    whitened = roots[0] @ copula.correlation[:d_x, d_x:] @ roots[1].T
    correlations = np.linalg.svd(whitened, compute_uv=False)
    # Towards 1 the formula of `rank_bias` has no limit, and no simulation behind it.
    bounded = np.minimum(correlations, LARGEST_RANK_CORRELATION)
    return (1.0 + 4.0 * copula.degrees_of_freedom**-1.5) * rank_bias(n, bounded)


def _mixed_difference(term: Callable[[Array], Array], nu: float, d_x: int, d_y: int) -> float:
    """Return term(nu) + term(nu + d_x + d_y) - term(nu + d_x) - term(nu + d_y)."""
    values = term(nu + np.array([0.0, d_x + d_y, d_x, d_y]))
    return float(values @ np.array([1.0, 1.0, -1.0, -1.0]))


def _quadratics(x: Array, y: Array, forms: LogRatioForms) -> tuple[Array, Array, Array, Array]:
    """Return the joint and the marginal form of every x, then of every y."""
    of_x = [np.einsum("ij,ij->i", x @ form, x) for form in (forms.joint_x, forms.marginal_x)]
    of_y = [np.einsum("ij,ij->i", y @ form, y) for form in (forms.joint_y, forms.marginal_y)]
    return of_x[0], of_x[1], of_y[0], of_y[1]
