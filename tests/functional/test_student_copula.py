"""Student-t copula: closed forms, the log ratio, and fits that recover what was drawn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import gammaln, ndtr, ndtri, stdtr, stdtrit

from infoest._validation import standardized
from infoest.functional import StudentCopula, fit_student_copula, student_copula_mi
from infoest.functional._student_fit import correlation_of, shrinkage
from infoest.functional.gaussian import canonical, gaussian_mutual_information
from infoest.functional.ranks import normal_scores

NUS = (1.5, 3.0, 10.0, math.inf)


def correlation(d: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mixing = rng.standard_normal((d, d)) + 1.5 * np.eye(d)
    return correlation_of(mixing)


def draw(copula: StudentCopula, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw pairs whose columns are t (or normal) with the copula's degrees of freedom."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n, len(copula.correlation))) @ np.linalg.cholesky(copula.correlation).T
    if not copula.is_gaussian:
        nu = copula.degrees_of_freedom
        z *= np.sqrt(nu / rng.chisquare(nu, (n, 1)))
    return z[:, : copula.d_x], z[:, copula.d_x :]


def paired(d: int, mi: float, nu: float) -> StudentCopula:
    """d columns a side, column i of x correlated with column i of y only."""
    rho = math.sqrt(-math.expm1(-2.0 * mi / d))
    return StudentCopula(nu, np.kron([[1.0, rho], [rho, 1.0]], np.eye(d)), d)


def log_density(t: np.ndarray, matrix: np.ndarray, nu: float) -> np.ndarray:
    """Multivariate normal or t, written out."""
    d = len(matrix)
    q = np.einsum("ij,ij->i", t, np.linalg.solve(matrix, t.T).T)
    half_log = 0.5 * np.linalg.slogdet(matrix)[1]
    if nu == math.inf:
        return -0.5 * q - half_log - 0.5 * d * math.log(2.0 * math.pi)
    norm = gammaln((nu + d) / 2) - gammaln(nu / 2) - 0.5 * d * math.log(nu * math.pi)
    return norm - half_log - (nu + d) / 2 * np.log1p(q / nu)


# ------------------------------------------------------------------------------ closed forms


@pytest.mark.parametrize("nu", NUS)
def test_log_ratio_is_the_ratio_of_densities(nu: float) -> None:
    copula = StudentCopula(nu, correlation(5), 2)
    x, y = draw(copula, 200, 1)
    expected = (
        log_density(np.hstack([x, y]), copula.correlation, nu)
        - log_density(x, copula.correlation[:2, :2], nu)
        - log_density(y, copula.correlation[2:, 2:], nu)
    )
    np.testing.assert_allclose(copula.log_ratio(x, y), expected, atol=1e-10)


@pytest.mark.parametrize("nu", NUS)
def test_matrix_holds_every_pair(nu: float) -> None:
    copula = StudentCopula(nu, correlation(5), 2)
    x, y = draw(copula, 60, 2)
    matrix = copula.log_ratio_matrix(x, y[:40])
    assert matrix.shape == (60, 40)
    np.testing.assert_allclose(np.diag(matrix), copula.log_ratio(x[:40], y[:40]), atol=1e-10)
    np.testing.assert_allclose(
        matrix[3], copula.log_ratio(np.repeat(x[3:4], 40, axis=0), y[:40]), atol=1e-10
    )


@pytest.mark.parametrize("nu", NUS)
@pytest.mark.parametrize("d_x", [1, 2, 4])
def test_mutual_information_is_the_mean_log_ratio(nu: float, d_x: int) -> None:
    copula = StudentCopula(nu, correlation(6, seed=3), d_x)
    ratio = copula.log_ratio(*draw(copula, 200_000, 4))
    error = ratio.std() / math.sqrt(len(ratio))
    assert abs(copula.mutual_information() - ratio.mean()) < 4.0 * error
    assert error < 0.01


@pytest.mark.parametrize("nu", [1.5, 3.0, 10.0])
def test_ratio_is_normalized_over_the_product(nu: float) -> None:
    """The mean of exp(log ratio) over independent x and y is 1."""
    copula = StudentCopula(nu, np.array([[1.0, 0.3], [0.3, 1.0]]), 1)
    levels = (np.arange(1000) + 0.5) / 1000
    t = copula.to_scores(ndtri(levels))[:, None]
    assert np.exp(copula.log_ratio_matrix(t, t)).mean() == pytest.approx(1.0, abs=0.02)


def test_cauchy_by_quadrature() -> None:
    copula = StudentCopula(1.0, np.array([[1.0, 0.5], [0.5, 1.0]]), 1)
    # x and y = rho x + sqrt((1 - rho^2) (1 + x^2) / 2) t_2, on a grid of levels.
    levels = (np.arange(1500) + 0.5) / 1500
    x = np.tan(np.pi * (levels - 0.5))[:, None]
    noise = stdtrit(2.0, levels)
    y = 0.5 * x + np.sqrt(0.75 * (1.0 + x**2) / 2.0) * noise
    ratio = copula.log_ratio(np.repeat(x, 1500, axis=0), y.reshape(-1, 1))
    assert copula.mutual_information() == pytest.approx(ratio.mean(), abs=4e-3)


def test_gaussian_copula_is_the_log_determinant_twin() -> None:
    rng = np.random.default_rng(5)
    x = rng.standard_normal((400, 3))
    y = x @ rng.standard_normal((3, 2)) + rng.standard_normal((400, 2))
    scores_x, scores_y = normal_scores(x), normal_scores(y)
    copula = StudentCopula(math.inf, correlation_of(np.hstack([scores_x, scores_y])), 3)
    twin = canonical(standardized(scores_x), standardized(scores_y))
    expected = gaussian_mutual_information(twin.correlations)
    assert copula.mutual_information() == pytest.approx(expected, abs=1e-10)
    nearly = StudentCopula(9e7, copula.correlation, 3)
    assert nearly.mutual_information() == pytest.approx(expected, abs=1e-6)
    pair = copula.log_ratio(scores_x, scores_y)
    np.testing.assert_allclose(nearly.log_ratio(scores_x, scores_y), pair, atol=2e-5)


def test_uncorrelated_t_is_dependent_and_uncorrelated_gaussian_is_not() -> None:
    values = [StudentCopula(nu, np.eye(4), 2).mutual_information() for nu in NUS]
    assert values == sorted(values, reverse=True)
    assert values[0] > 0.2
    assert values[-1] == 0.0


@pytest.mark.parametrize("nu", [0.5, 1.5, 3.0, 30.0])
def test_t_scores_have_the_same_level(nu: float) -> None:
    copula = StudentCopula(nu, np.eye(2), 1)
    z = np.linspace(-6.0, 6.0, 121).reshape(-1, 11)
    t = copula.to_scores(z)
    assert t.shape == z.shape
    np.testing.assert_allclose(stdtr(nu, t[z <= 0]), ndtr(z[z <= 0]), rtol=1e-9)
    np.testing.assert_array_equal(copula.to_scores(-z), -t)
    assert (np.diff(t.ravel()) > 0.0).all()


@pytest.mark.parametrize("nu", [0.5, 1.5, 3.0, math.inf])
def test_extreme_scores_give_finite_ratios(nu: float) -> None:
    copula = StudentCopula(nu, correlation(4), 2)
    z = np.array([[-50.0, 40.0], [15.0, 0.0], [1e-300, -1e-9]])
    t = copula.to_scores(z)
    assert np.isfinite(t).all()
    np.testing.assert_array_equal(t[0], copula.to_scores([-15.0, 15.0]))
    assert np.isfinite(copula.log_ratio_matrix(t, t)).all()


def test_forms_say_the_same_as_the_log_ratio() -> None:
    copula = StudentCopula(4.0, correlation(5), 3)
    x, y = draw(copula, 50, 6)
    forms, nu = copula.forms, 4.0
    q_x = ((x @ forms.marginal_x) * x).sum(axis=1)[:, None]
    q_y = ((y @ forms.marginal_y) * y).sum(axis=1)
    q = ((x @ forms.joint_x) * x).sum(axis=1)[:, None] + ((y @ forms.joint_y) * y).sum(axis=1)
    q -= 2.0 * x @ forms.cross @ y.T
    ratio = forms.constant - (nu + 5) / 2 * np.log1p(q / nu)
    ratio += (nu + 3) / 2 * np.log1p(q_x / nu) + (nu + 2) / 2 * np.log1p(q_y / nu)
    np.testing.assert_allclose(copula.log_ratio_matrix(x, y), ratio, atol=1e-10)


# ----------------------------------------------------------------------------------- the fit


@pytest.mark.parametrize(("d", "mi"), [(1, 0.5), (5, 1.0), (5, 4.0)])
@pytest.mark.parametrize("nu", [3.0, math.inf])
def test_recovers_what_was_drawn(d: int, mi: float, nu: float) -> None:
    truth = paired(d, mi, nu)
    errors, inverses = [], []
    for seed in range(6):
        x, y = draw(truth, 5000, seed)
        errors.append(student_copula_mi(x, y) - truth.mutual_information())
        inverses.append(1.0 / fit_student_copula(x, y).degrees_of_freedom)
    assert abs(np.mean(errors)) < 0.015 + 3.0 * np.std(errors, ddof=1) / math.sqrt(6)
    assert np.mean(inverses) == pytest.approx(1.0 / nu, abs=0.03)
    assert np.std(errors) < 0.08


def test_bias_with_many_columns_is_taken_off() -> None:
    """The plug-in value of 10 + 10 columns and 300 rows is 0.19 nats too high."""
    truth = paired(10, 1.0, math.inf)
    errors = [
        student_copula_mi(*draw(truth, 300, seed), gaussian=True) - truth.mutual_information()
        for seed in range(40)
    ]
    assert abs(np.mean(errors)) < 3.0 * np.std(errors) / math.sqrt(40)
    assert np.std(errors) / math.sqrt(40) < 0.02


def test_independent_data_have_no_information() -> None:
    rng = np.random.default_rng(7)
    x, y = rng.standard_normal((2, 3000, 4))
    assert abs(student_copula_mi(x, y)) < 0.01
    assert abs(fit_student_copula(x, y).mutual_information()) < 0.002


def test_profile_is_highest_at_the_fit() -> None:
    """Written out with the true correlation matrix: no other nu explains the sample better."""
    x, y = draw(paired(2, 0.8, 4.0), 3000, 8)
    fitted = fit_student_copula(x, y)
    z = np.hstack([normal_scores(x), normal_scores(y)])

    def likelihood(nu: float) -> float:
        copula = StudentCopula(nu, fitted.correlation, 2)
        t = copula.to_scores(z)
        marginal = sum(log_density(column[:, None], np.eye(1), nu) for column in t.T)
        return float((log_density(t, fitted.correlation, nu) - marginal).sum())

    best = likelihood(fitted.degrees_of_freedom)
    others = [likelihood(fitted.degrees_of_freedom * factor) for factor in (0.7, 0.9, 1.1, 1.4)]
    assert max(others) < best
    assert others[0] < others[1]
    assert others[3] < others[2]


def test_invariant_to_increasing_maps() -> None:
    x, y = draw(paired(3, 1.0, 3.0), 500, 9)
    copula = fit_student_copula(x, y)
    mapped = fit_student_copula(np.arctan(x) * [1.0, 2.0, 1e6] - 5.0, np.sinh(y / 50.0))
    assert mapped.degrees_of_freedom == copula.degrees_of_freedom
    np.testing.assert_array_equal(mapped.correlation, copula.correlation)
    assert student_copula_mi(x**3, 7.0 * y + 1e3) == student_copula_mi(x, y)


@pytest.mark.parametrize("nu", [3.0, math.inf])
def test_sides_rows_and_columns_may_be_reordered(nu: float) -> None:
    x, y = draw(StudentCopula(nu, correlation(5), 2), 500, 10)
    value = student_copula_mi(x, y)
    assert student_copula_mi(y, x) == pytest.approx(value, abs=1e-7)
    assert student_copula_mi(x[:, ::-1], y[:, [2, 0, 1]]) == pytest.approx(value, abs=1e-7)
    order = np.random.default_rng(0).permutation(500)
    assert student_copula_mi(x[order], y[order]) == pytest.approx(value, abs=1e-7)
    assert student_copula_mi(-x, y) == pytest.approx(value, abs=1e-7)


def test_gaussian_fit_ignores_tails() -> None:
    x, y = draw(StudentCopula(3.0, np.eye(4), 2), 2000, 11)
    copula = fit_student_copula(x, y, gaussian=True)
    assert copula.is_gaussian
    assert abs(student_copula_mi(x, y, gaussian=True)) < 0.02
    assert student_copula_mi(x, y) > 0.1


@pytest.mark.parametrize(("n", "d"), [(5, 1), (5, 20), (19, 30), (20, 10), (60, 14), (60, 100)])
@pytest.mark.parametrize("nu", [3.0, math.inf])
def test_few_rows_and_many_columns(n: int, d: int, nu: float) -> None:
    truth = paired(d, 0.0, nu)
    for seed in range(4):
        x, y = draw(truth, n, seed)
        copula = fit_student_copula(x, y)
        scores = copula.to_scores(normal_scores(x)), copula.to_scores(normal_scores(y))
        assert np.isfinite(copula.log_ratio_matrix(*scores)).all()
        # Nothing beyond what tails could carry.
        assert copula.mutual_information() < truth.mutual_information() + 1.0
        assert abs(student_copula_mi(x, y)) < truth.mutual_information() + 1.0


def test_repeated_columns_add_nothing() -> None:
    x, y = draw(paired(2, 1.0, math.inf), 1000, 12)
    value = student_copula_mi(x, y, gaussian=True)
    twice = student_copula_mi(np.hstack([x, x]), y, gaussian=True)
    assert twice == pytest.approx(value, abs=0.01)
    copula = fit_student_copula(np.hstack([x, x[:, :1]]), y)
    t = copula.to_scores(normal_scores(np.hstack([x, x[:, :1]])))
    assert np.isfinite(copula.log_ratio(t, copula.to_scores(normal_scores(y)))).all()


def test_equal_sides_are_as_near_as_rows_can_tell() -> None:
    x = np.random.default_rng(13).standard_normal((1000, 1))
    assert math.log(1000) - 1.0 < student_copula_mi(x, np.exp(x)) < math.log(1000) + 1.0


@pytest.mark.parametrize("levels", [2, 3, 10])
def test_ties(levels: int) -> None:
    rng = np.random.default_rng(14)
    x = rng.standard_normal((2000, 2))
    y = x + rng.standard_normal((2000, 2))
    coarse = np.floor(levels * ndtr(x))
    value = student_copula_mi(coarse, y)
    assert 0.2 < value < student_copula_mi(x, y) + 0.05
    assert student_copula_mi(y, coarse) == pytest.approx(value, abs=1e-7)


@pytest.mark.parametrize("level", [-1.0, 0.0, 2.0])
def test_masses_do_not_pass_for_tails(level: float) -> None:
    x, y = np.random.default_rng(18).standard_normal((2, 2000, 3))
    assert abs(student_copula_mi(x > level, y > level)) < 0.01
    assert fit_student_copula(x > level, y).is_gaussian
    assert abs(student_copula_mi(np.maximum(x, level), y)) < 0.01


def test_shrinkage_is_the_best_leave_one_out_likelihood() -> None:
    """Against the likelihood of every row under the matrix of the others, written out."""
    rng = np.random.default_rng(15)
    z = rng.standard_normal((60, 8)) @ (np.eye(8) + 0.3)
    z = standardized(z)
    scatter = correlation_of(z)

    def loss(weight: float) -> float:
        total = 0.0
        for i in range(60):
            others = np.delete(z, i, axis=0)
            matrix = (1.0 - weight) * (others.T @ others) / 58.0 + weight * np.eye(8)
            total -= float(log_density(z[i : i + 1], matrix, math.inf)[0])
        return total

    grid = np.r_[np.logspace(-4, -1, 31), np.linspace(0.12, 0.9, 20)]
    best = min(loss(weight) for weight in grid)
    assert loss(shrinkage(scatter, 60)) < best + 0.5
    assert loss(1e-4) > best + 1.0


def test_copula_is_frozen_and_data_are_left_alone() -> None:
    x, y = draw(paired(2, 1.0, 3.0), 100, 16)
    before = x.copy(), y.copy()
    copula = fit_student_copula(x, y)
    copula.to_scores(x)
    np.testing.assert_array_equal(x, before[0])
    np.testing.assert_array_equal(y, before[1])
    with pytest.raises(AttributeError):
        copula.d_x = 1  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        copula.correlation[0, 1] = 0.0
    matrix = np.eye(2)
    StudentCopula(3.0, matrix, 1)
    matrix[0, 1] = 0.5


# --------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize("function", [fit_student_copula, student_copula_mi])
def test_bad_samples(function) -> None:
    rng = np.random.default_rng(17)
    x, y = rng.standard_normal((2, 50, 2))
    with pytest.raises(ValueError, match=r"x must vary in every column, got constant column 1\."):
        function(np.column_stack([x[:, 0], np.ones(50)]), y)
    with pytest.raises(ValueError, match="finite"):
        function(np.where(x > 2.0, np.nan, x), y * np.nan)
    with pytest.raises(ValueError, match="50"):
        function(x, y[:40])
    with pytest.raises(ValueError, match="at least 5"):
        function(x[:4], y[:4])
    with pytest.raises(TypeError, match="y must be numeric"):
        function(x, ["a"] * 50)
    with pytest.raises(TypeError, match="gaussian must be True or False, got 1"):
        function(x, y, gaussian=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.2, np.eye(3), 1), "degrees_of_freedom must be a finite number of at least 0.5"),
        ((math.nan, np.eye(3), 1), "degrees_of_freedom must be"),
        ((3.0, np.eye(3)[:2], 1), "correlation must be square"),
        ((3.0, np.eye(1), 1), "correlation must be square"),
        ((3.0, 2.0 * np.eye(3), 1), "ones on its diagonal"),
        ((3.0, np.eye(3) + np.eye(3, k=1) * 0.5, 1), "correlation must be symmetric"),
        ((3.0, np.full((3, 3), np.nan), 1), "correlation must be"),
        ((3.0, np.ones((3, 3)), 1), "correlation must be positive definite"),
        ((3.0, np.eye(3), 0), r"d_x must be in \[1, 2\]"),
        ((3.0, np.eye(3), 3), r"d_x must be in \[1, 2\]"),
    ],
)
def test_bad_copulas(arguments, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        StudentCopula(*arguments)


def test_bad_scores() -> None:
    copula = StudentCopula(3.0, np.eye(3), 1)
    x, y = np.zeros((4, 1)), np.zeros((4, 2))
    for method in (copula.log_ratio, copula.log_ratio_matrix):
        with pytest.raises(ValueError, match="x_scores must have 1 columns, got 2"):
            method(y, y)
        with pytest.raises(ValueError, match="y_scores must be finite"):
            method(x, y + np.inf)
    with pytest.raises(ValueError, match="y_scores must have as many rows as x_scores, 4, got 3"):
        copula.log_ratio(x, y[:3])
    with pytest.raises(ValueError, match="normal_scores must not be NaN"):
        copula.to_scores([0.0, math.nan])
