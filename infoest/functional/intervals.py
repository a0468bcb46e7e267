"""Interval rules: the noncentral chi-square interval and the effective number of samples."""

import numpy as np
from scipy.special import chdtr, chndtr, ndtri

from infoest._validation import Array, standardized

# A lag adds to the autocorrelation factor while both autocorrelations exceed this, and what chance
# gives the largest of so many columns of independent rows.
SMALLEST_AUTOCORRELATION = 0.05


def normal_quantile(confidence: float) -> float:
    """Return z with P(|N(0, 1)| < z) = confidence."""
    return float(ndtri(0.5 * (1.0 + confidence)))


def noncentral_interval(
    center: float, degrees: float, n_effective: float, share: float, confidence: float
) -> tuple[float, float]:
    """Return the limits of an information whose plug-in estimate is a scaled chi-square.

    The likelihood-ratio statistic T = 2 n I_hat is noncentral chi-square with ``degrees`` degrees
    of freedom and noncentrality ``share`` 2 n I, where ``share`` < 1 corrects the variance away
    from the null; the rest of the mean shifts it. All I >= 0 that are not rejected form the
    interval: {I : a/2 < F(T - (1 - share) 2 n I; degrees, share 2 n I) < 1 - a/2}.

    Args:
        center: Bias-corrected estimate in nats; T = 2 n center + degrees.
        degrees: Degrees of freedom, positive.
        n_effective: Effective number of samples n.
        share: Noncentrality per 2 n I, positive.
        confidence: Nominal coverage, in (0, 1).

    Returns:
        Lower and upper limit in nats, both at least 0.
    """
    from scipy.optimize import brentq  # a tenth of a second that few estimators need

    statistic = 2.0 * n_effective * center + degrees

    def distribution(information: float) -> float:
        """P(T <= observed | information); falls from its value at 0 towards 0."""
        shifted = statistic - (1.0 - share) * 2.0 * n_effective * information
        if shifted <= 0.0:
            return 0.0
        noncentrality = 2.0 * share * n_effective * information
        if noncentrality <= 0.0:
            return float(chdtr(degrees, shifted))
        return float(chndtr(shifted, degrees, noncentrality))

    largest = max(center, 0.0)
    spread = np.sqrt((degrees / (2.0 * n_effective) + largest) / n_effective)
    top = largest + 12.0 * spread + 12.0 / n_effective
    while distribution(top) > 0.25 * (1.0 - confidence):
        top *= 2.0

    def solve(probability: float) -> float:
        if distribution(0.0) <= probability:
            return 0.0
        root = brentq(lambda information: distribution(information) - probability, 0.0, top)
        return float(root)

    tail = 0.5 * (1.0 - confidence)
    return solve(1.0 - tail), solve(tail)


def autocorrelation_factor(x: Array, y: Array) -> float:
    """Return by how much dependence between rows multiplies the variance of a cross-moment.

    For a pair of columns tau = 1 + 2 sum_l r_x(l) r_y(l), where r is the autocorrelation; the sum
    stops at the first lag whose product is not positive or where either is below 0.05 or
    sqrt(2 log(2 d) / n), d columns in all. Of several pairs the middle between the largest tau
    and their mean, weighted by the squared correlation of each pair: the largest of many noisy
    ones is too large, and their mean too small in short series, whose sums stop early.
    Independent rows give 1. No block length is needed.

    Args:
        x: Samples in order of time, shape (n, d_x), no constant column.
        y: The same for the other side, shape (n, d_y).

    References:
        Bartlett (1946), J. R. Stat. Soc. Suppl. 8, 27 (variance of a cross-correlation).
    """
    n = len(x)
    columns = [standardized(x), standardized(y)]
    d = x.shape[1] + y.shape[1]
    smallest = max(SMALLEST_AUTOCORRELATION, float(np.sqrt(2.0 * np.log(2.0 * d) / n)))
    if min(np.abs(_correlation_at(column, 1)).max() for column in columns) < smallest:
        return 1.0
    r_x, r_y = (_autocorrelation(column, n // 4) for column in columns)
    n_pairs = (r_x.shape[1], r_y.shape[1])
    total, active = np.zeros(n_pairs), np.ones(n_pairs, dtype=bool)
    for at_x, at_y in zip(r_x, r_y, strict=True):
        small_x = np.abs(at_x) < smallest
        small_y = np.abs(at_y) < smallest
        product = np.outer(at_x, at_y)
        active &= (product > 0.0) & ~small_x[:, None] & ~small_y[None, :]
        if not active.any():
            break
        total[active] += product[active]
    shares = (columns[0].T @ columns[1] / n) ** 2
    mean = np.average(total, weights=shares) if shares.any() else total.mean()
    return float(1.0 + total.max() + mean)


def mean_factor(values: Array) -> float:
    """Return by how much dependence between rows multiplies the variance of a mean.

    1 + 2 sum_l r(l), r the autocorrelation; the sum stops at the first lag below 0.05 or
    sqrt(2 log(2) / n). Where x and y change together, the local values of their information stay
    alike for longer than `autocorrelation_factor` of x and y tells.

    Args:
        values: In order of time, shape (n,).
    """
    if values.max() == values.min():
        return 1.0
    n = len(values)
    smallest = max(SMALLEST_AUTOCORRELATION, float(np.sqrt(2.0 * np.log(2.0) / n)))
    r = _autocorrelation(standardized(values[:, None]), n // 4)[:, 0]
    small = np.flatnonzero(r < smallest)
    return float(1.0 + 2.0 * r[: small[0] if len(small) else len(r)].sum())


def _correlation_at(x: Array, lag: int) -> Array:
    return np.mean(x[lag:] * x[:-lag], axis=0)


def _autocorrelation(x: Array, max_lag: int) -> Array:
    """Return autocorrelations at lags 1 to max_lag, shape (max_lag, d), by Fourier transform.

    Each lag is the mean over the n - lag products that exist.
    """
    n = len(x)
    size = 1 << int(2 * n - 1).bit_length()
    spectrum = np.abs(np.fft.rfft(x, size, axis=0)) ** 2
    products = np.fft.irfft(spectrum, size, axis=0)[1 : max_lag + 1]
    return products / (n - np.arange(1, max_lag + 1))[:, None]
