"""Mutual information and entropy of labels and of binned data, from counts."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from infoest._cautions import Caution
from infoest._validation import Array, Codes, check_int, check_number, is_labels
from infoest.functional.codes import joint_codes, row_codes
from infoest.functional.discrete import (
    discrete_conditional_mutual_information,
    discrete_entropy,
    discrete_mutual_information,
    local_information,
    nsb_standard_deviation,
)
from infoest.functional.intervals import mean_factor, noncentral_interval, normal_quantile
from infoest.result import Raw

from .base import Ask, EntropyEstimator, MutualInformationEstimator

# Rows per cell of the table of labels below which intervals were measured to cover too rarely.
ROWS_PER_CELL = 8
# Rows of independence added before an interval is taken: .87-.99 of 84 tables with 8 rows for each
# cell were then covered, .60-.98 without.
CHANCE_ROWS = 2.0
# Share of log n above which a binned value says more of n than of the data.
SATURATED = 0.95
# Finer bins tell every row apart: use the rows as labels instead.
MOST_BINS = 10**6


@dataclass(kw_only=True, eq=False)
class Discrete(MutualInformationEstimator):
    """Mutual information of labels, in nats, from counts with a bias correction.

    I = H(X) + H(Y) - H(X,Y), or H(X,Z) + H(Y,Z) - H(X,Y,Z) - H(Z) with a condition, each entropy
    corrected. Every distinct row of a side is one label, whatever its type; strings are allowed
    where the side is named in ``discrete``.

    Args:
        correction: Bias correction of the entropies: ``"none"`` (plug-in), ``"miller_madow"``,
            ``"grassberger"``, ``"chao_shen"``, ``"shrinkage"`` or ``"nsb"``; see
            `infoest.functional.discrete_entropy`.
        random_state: Seed of the permutations.

    Note:
        The interval is the same whatever the correction, extended to contain the value. It
        inverts a noncentral chi-square law with K_xy - K_x - K_y + 1 degrees of freedom (added up
        over the values of z) around the plug-in value less degrees / (2 n), after two rows of
        independence were added to the n counted ones: rare pairs that were not seen would else
        make it too narrow. Where the labels leave no degree of freedom (one is a function of the
        other) it is a normal interval. It covers too rarely with fewer than 8 rows for each
        possible pair of labels (``too_few_samples_for_dimension``).

    References:
        Miller (1955), Note on the bias of information estimates.
        Agresti, Coull (1998), Am. Stat. 52, 119 (rows added before an interval is taken).

    Example:
        >>> from infoest.datasets import discrete_table
        >>> x, y, mi = discrete_table(1000, table=[[0.4, 0.1], [0.1, 0.4]], random_state=0)
        >>> e = Discrete().estimate(x, y)
        >>> e.interval[0] < mi < e.interval[1]
        True
        >>> colors = ["red", "red", "blue", "blue", "blue", "red"]
        >>> e = Discrete(correction="none").estimate(colors, colors, discrete="both")
        >>> round(e.to("bits").value, 4)
        1.0
    """

    accepts_labels: ClassVar[str] = "any"
    reads_labels: ClassVar[bool] = True
    conditional: ClassVar[bool] = True
    accepts_constant: ClassVar[bool] = True

    correction: str = "miller_madow"

    def pointwise(self, x: object, y: object, *, discrete: str | None = None) -> Array:
        """Return log p(x, y) / (p(x) p(y)) of every sample in nats, shape (n,).

        Probabilities are frequencies; the bias correction is spread evenly, so that the mean is
        the estimate.

        Args:
            x: Labels, shape (n, d_x) or (n,).
            y: Labels, shape (n, d_y) or (n,).
            discrete: Side(s) that may hold strings: ``"x"``, ``"y"``, ``"both"`` or None.
        """
        pairs = self._read(x, y, None, discrete, "raise")
        local = local_information(pairs.x, pairs.y)
        return local - local.mean() + self._value(pairs.x, pairs.y, None)

    def _estimate(self, x: Array, y: Array, z: Array | None, ask: Ask) -> Raw:
        value = self._value(x, y, z)
        cautions = _too_few_rows(x, y, z)
        if ask.confidence is None:
            return Raw(value, cautions=cautions)
        factor = ask.autocorrelation
        if ask.autocorrelated:
            factor = max(factor, mean_factor(_local_values(x, y, z)))
        std_error, interval = _uncertainty(x, y, z, len(x) / factor, ask.confidence)
        return Raw(value, std_error, interval, cautions)

    def _value(self, x: Codes, y: Codes, z: Codes | None) -> float:
        if z is None:
            return discrete_mutual_information(x, y, correction=self.correction)
        return discrete_conditional_mutual_information(x, y, z, correction=self.correction)


@dataclass(kw_only=True, eq=False)
class DiscreteEntropy(EntropyEstimator):
    """Entropy of labels, in nats, from counts with a bias correction.

    Every distinct row is one label, whatever its type; strings are allowed with
    ``discrete="x"``.

    Args:
        correction: ``"none"`` (plug-in), ``"miller_madow"``, ``"grassberger"``, ``"chao_shen"``,
            ``"shrinkage"`` or ``"nsb"``; see `infoest.functional.discrete_entropy`. The number of
            states that the last two need is that of the labels seen.
        random_state: Not used: counting draws nothing.

    Note:
        The standard error is that of the mean of -log p, plus (K - 1) / (2 n^2) in its square,
        which is what remains where all K labels are equally likely; for ``"nsb"`` it is the
        posterior standard deviation. The interval is normal. Labels that were never seen are not
        in it: with fewer than 8 rows for each label the value is likely low
        (``too_few_samples_for_dimension``).

    References:
        Basharin (1959), Theory Probab. Appl. 4, 333 (variance).

    Example:
        >>> e = DiscreteEntropy(correction="none").estimate([0, 1, 0, 1, 1, 0, 0, 1])
        >>> round(e.to("bits").value, 4)
        1.0
    """

    reads_labels: ClassVar[bool] = True
    accepts_constant: ClassVar[bool] = True

    correction: str = "miller_madow"

    def _estimate(self, x: Array, ask: Ask) -> Raw:
        # Not bincount: a label of rows left out must not become a state that was never seen.
        counts = np.unique(x, return_counts=True)[1]
        value = discrete_entropy(counts, correction=self.correction)
        cautions = _too_few_rows_for_labels(len(x), len(counts))
        if ask.confidence is None:
            return Raw(value, cautions=cautions)
        if self.correction == "nsb":
            std_error = nsb_standard_deviation(counts) * float(np.sqrt(ask.autocorrelation))
        else:
            # log p(x, x) / (p(x) p(x)) = -log p(x)
            n_effective = len(x) / ask.autocorrelation
            variance = float(local_information(x, x).var())
            std_error = _standard_error(variance, len(counts) - 1, n_effective)
        interval = _normal_interval(value, std_error, ask.confidence)
        return Raw(value, std_error, interval, cautions)


@dataclass(kw_only=True, eq=False)
class Binned(MutualInformationEstimator):
    """Mutual information of data cut into equal bins, in nats: the plug-in value of the cells.

    Every column is cut into ``bins`` equal bins, and a row of bin numbers is one label: I(X;T) of
    a deterministic layer T of X is H(T), the entropy of its binned rows. A side named in
    ``discrete`` is used as labels and not binned.

    Args:
        bins: Number of bins of each column, 2 to 1000000.
        limits: ``(low, high)`` cuts that range into equal bins, the two outer ones open, and
            keeps arrays comparable; None takes each column's own range.
        random_state: Seed of the permutations.

    Note:
        The value is that of the binned data and depends on ``bins``. It has no interval, because
        it is biased twice: binning lowers it, and few rows for each pair of cells raise it by
        about (K_xy - K_x - K_y + 1) / (2 n) (``too_few_samples_for_dimension``), at most to
        log n, when almost every row is alone in its cell (``saturated_at_log_n``: value above
        0.95 log n). ``std_error`` is the scatter of the binned value alone.

    References:
        Shwartz-Ziv, Tishby (2017), arXiv 1703.00810.

    Example:
        >>> import numpy as np
        >>> x = np.linspace(-1.0, 1.0, 400)
        >>> e = Binned(bins=4, limits=(-1, 1)).estimate(x, x**3)
        >>> round(e.value, 4), round(float(np.log(4)), 4)
        (0.867, 1.3863)
    """

    accepts_labels: ClassVar[str] = "any"
    accepts_constant: ClassVar[bool] = True

    bins: int = 30
    limits: tuple[float, float] | None = None

    def _estimate(self, x: Array, y: Array, z: Array | None, ask: Ask) -> Raw:
        x, y = self._codes(x), self._codes(y)
        value = discrete_mutual_information(x, y, correction="none")
        cautions = _too_few_rows(x, y, None)
        if value > SATURATED * np.log(len(x)):
            cautions += (_saturated(len(x), value),)
        if ask.confidence is None:
            return Raw(value, cautions=cautions)
        n_effective = len(x) / ask.autocorrelation
        std_error, _ = _uncertainty(x, y, None, n_effective, ask.confidence)
        return Raw(value, std_error, None, cautions)

    def _codes(self, x: Array) -> Codes:
        """Return one label for each distinct row of bins; labels as they are."""
        bins = check_int("bins", self.bins, low=2, high=MOST_BINS)
        limits = None if self.limits is None else _checked_limits(self.limits)
        if is_labels(x):
            return x
        low, high = (x.min(axis=0), x.max(axis=0)) if limits is None else limits
        # Halves: the difference of two doubles can overflow.
        width = np.asarray(0.5 * high - 0.5 * low)
        position = (0.5 * x - 0.5 * low) / np.where(width > 0.0, width, 1.0)
        return row_codes(np.floor(np.clip(position * bins, 0, bins - 1)).astype(np.int64))


def _checked_limits(limits: object) -> tuple[float, float]:
    if not isinstance(limits, (tuple, list)) or len(limits) != 2:
        raise TypeError(
            f"limits must be a pair (low, high) or None, got {limits!r}. "
            "None takes each column's own range."
        )
    low = check_number("limits[0]", limits[0])
    high = check_number("limits[1]", limits[1])
    if low >= high:
        raise ValueError(f"limits must increase, got {limits!r}. Pass (low, high).")
    return low, high


def _n_labels(*codes: Codes) -> int:
    """Return how many tuples of labels occur."""
    return int(joint_codes(*codes).max()) + 1


def _labels_per_stratum(x: Codes, z: Codes) -> Codes:
    """Return, for each distinct z in ascending order, how many labels x occur with it."""
    pairs, strata = joint_codes(x, z), joint_codes(z)
    stratum = np.empty(int(pairs.max()) + 1, dtype=np.int64)
    stratum[pairs] = strata
    return np.bincount(stratum)


def _degrees(x: Codes, y: Codes, z: Codes | None) -> int:
    """Return K_xy - K_x - K_y + 1, counted within each z and added up."""
    if z is None:
        return _n_labels(x, y) - _n_labels(x) - _n_labels(y) + 1
    return _n_labels(x, y, z) - _n_labels(x, z) - _n_labels(y, z) + _n_labels(z)


def _local_values(x: Codes, y: Codes, z: Codes | None) -> Array:
    """Return log p(x, y | z) / (p(x | z) p(y | z)) of every sample, plug-in."""
    if z is None:
        return local_information(x, y)
    return local_information(joint_codes(x, z), y) - local_information(z, y)


def _uncertainty(
    x: Codes, y: Codes, z: Codes | None, n_effective: float, confidence: float
) -> tuple[float, tuple[float, float]]:
    """Return standard error and interval of the information of labels."""
    degrees = _degrees(x, y, z)
    mean, variance = _moments(_local_values(x, y, z), CHANCE_ROWS / (n_effective + CHANCE_ROWS))
    center = mean - degrees / (2.0 * n_effective)
    std_error = _standard_error(variance, degrees, n_effective)
    if degrees < 1:
        return std_error, _normal_interval(center, std_error, confidence)
    share = float(np.clip(0.5 * variance / max(center, 1e-12), 0.02, 3.0))
    return std_error, noncentral_interval(center, degrees, n_effective, share, confidence)


def _moments(local: Array, chance: float) -> tuple[float, float]:
    """Return mean and variance of local values after mixing the law with that of independence.

    The mixture (1 - chance) p(x, y) + chance p(x) p(y) has the same marginals; its local value is
    log((1 - chance) e^L + chance), L the local value of p. A pair that was seen weighs
    (1 - chance) p + chance p e^-L, and all others have the value log(chance).
    """
    weights = (1.0 - chance + chance * np.exp(-local)) / len(local)
    mixed = np.log((1.0 - chance) * np.exp(local) + chance)
    unseen = max(1.0 - float(weights.sum()), 0.0)
    mean = float(weights @ mixed) + unseen * np.log(chance)
    variance = float(weights @ (mixed - mean) ** 2) + unseen * (np.log(chance) - mean) ** 2
    return float(mean), float(variance)


def _standard_error(variance: float, degrees: int, n_effective: float) -> float:
    """Return the error of a mean of local values, and what the chi-square law adds to it.

    The second part is all there is where local values are constant: at independence, and for the
    entropy of equally likely labels.
    """
    return float(np.sqrt(variance / n_effective + abs(degrees) / (2.0 * n_effective**2)))


def _normal_interval(center: float, std_error: float, confidence: float) -> tuple[float, float]:
    """Return the limits of a quantity that is never negative."""
    half_width = normal_quantile(confidence) * std_error
    return max(center - half_width, 0.0), max(center + half_width, 0.0)


def _too_few_rows(x: Codes, y: Codes, z: Codes | None) -> tuple[Caution, ...]:
    if z is None:
        cells = _n_labels(x) * _n_labels(y)
    else:
        cells = int(_labels_per_stratum(x, z) @ _labels_per_stratum(y, z))
    if len(x) >= ROWS_PER_CELL * cells:
        return ()
    sentence = (
        f"{len(x)} rows for {cells} possible pairs of labels: with fewer than {ROWS_PER_CELL} for "
        "each, chance alone looks like information, its correction is not reliable, and an "
        "interval may miss. Merge rare labels, use fewer bins, or add rows."
    )
    return (Caution("too_few_samples_for_dimension", sentence),)


def _too_few_rows_for_labels(n: int, n_labels: int) -> tuple[Caution, ...]:
    if n >= ROWS_PER_CELL * n_labels:
        return ()
    sentence = (
        f"{n} rows hold {n_labels} labels: with fewer than {ROWS_PER_CELL} for each, labels that "
        "were not seen may make the entropy larger than the interval says. Merge rare labels or "
        "add rows."
    )
    return (Caution("too_few_samples_for_dimension", sentence),)


def _saturated(n: int, value: float) -> Caution:
    return Caution(
        "saturated_at_log_n",
        f"The value {value:.3g} is close to log n = {np.log(n):.3g}, the most that {n} rows can "
        "give: almost every row is alone in its cell. Use fewer bins or columns, or more rows.",
    )
