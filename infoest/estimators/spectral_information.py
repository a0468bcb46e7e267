"""Information from the spectra of kernels: it is not Shannon's information."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations, islice
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from infoest._cautions import Caution
from infoest._random import generator
from infoest._validation import Array, as_array, check_int, check_number, is_labels
from infoest.functional.renyi import entropy_of_scaled
from infoest.functional.significance import Indices
from infoest.functional.spectral import gaussian_matrix, spectral_entropy
from infoest.kernels.bandwidth import Bandwidth
from infoest.kernels.reductions import log_kernel_sum
from infoest.result import Raw

from ._spectra import Found, Side, Spectra, cautions, how, of_diffusion, sampling_error, side
from .base import Ask, MutualInformationEstimator
from .kernel_dependence import LARGEST_DIAGONAL_SHARE, MOST_ROWS_OF_MATRICES


class _Mean(NamedTuple):
    """Mean entropy of subsets of rows.

    Attributes:
        value: Nats.
        variance: By the choice of subsets and by probes; None where one is not enough to tell.
        found: The entropies.
    """

    value: float
    variance: float | None
    found: list[Found]


class _Subsets(NamedTuple):
    """Entropies of subsets of rows.

    Attributes:
        sample: All rows over the bandwidth, shape (n, d).
        kernel: Their kernel matrix, shape (n, n); None for too many rows.
        spectra: How entropies are found.
        t: Time of diffusion.
        anisotropy: Exponent of the row sums.
    """

    sample: Tensor
    kernel: Tensor | None
    spectra: Spectra
    t: float
    anisotropy: float

    def entropy(self, rows: Indices) -> Found:
        """Return the diffusion spectral entropy of some rows, shape (m,)."""
        index = torch.from_numpy(rows).to(self.sample.device)
        if self.kernel is None or len(rows) > self.spectra.exact_up_to:
            return self.spectra.diffusion(self.sample[index], self.t, self.anisotropy)
        return of_diffusion(self.kernel[index[:, None], index], self.t, self.anisotropy)

    def within(self, classes: list[Indices]) -> _Mean:
        """Return the entropy within classes, each weighed by its share of the rows."""
        found = [self.entropy(rows) for rows in classes]
        shares = [len(rows) / len(self.sample) for rows in classes]
        return _weighted(shares, [_Mean(one.value, one.variance, [one]) for one in found])

    def of_random_rows(self, n_rows: int, number: int, rng: np.random.Generator) -> _Mean:
        """Return the mean entropy of random rows, drawn without replacement.

        Args:
            n_rows: How many rows are drawn.
            number: How often; not random where there are no more choices than that.
            rng: Source of the choices.
        """
        if n_rows == 1:
            return _Mean(0.0, 0.0, [])
        n = len(self.sample)
        choices = [np.array(rows) for rows in islice(combinations(range(n), n_rows), number + 1)]
        all_of_them = len(choices) <= number
        if not all_of_them:
            choices = [rng.choice(n, n_rows, replace=False) for _ in range(number)]
        found = [self.entropy(rows) for rows in choices]
        values = np.array([one.value for one in found])
        variance = None
        if all_of_them:
            variance = float(np.mean([one.variance for one in found])) / len(found)
        elif number > 1:  # probes add to the scatter of the values
            variance = float(values.var(ddof=1)) / number
        return _Mean(float(values.mean()), variance, found)

    def mean_kernel(self) -> float:
        """Return the mean kernel over all pairs of rows."""
        if self.kernel is not None:
            return self.kernel.mean().item()
        return log_kernel_sum(self.sample, self.sample).exp().mean().item() / len(self.sample)


@dataclass(kw_only=True, eq=False)
class DiffusionSpectralMI(MutualInformationEstimator):
    """Diffusion spectral mutual information of samples and classes, in nats (natural logarithm).

    sum_c p_c [mean S(rows of any class, as many as c has) - S(rows of class c)] with S of
    `DiffusionSpectralEntropy` and p_c the share of class c: how much less x is spread over modes
    of diffusion within a class than in a sample of the same size.

    y holds the classes: a column of integers, or anything named in ``discrete``. Other data are
    cut: one column into equal bins, or its values where they are no more than those; several
    columns into clusters by k-means. An x named in ``discrete`` has the kernel 1 for equal labels
    and 0 for others.

    Args:
        bandwidth: Standard deviation of the kernel of x in its units, a number or one per column;
            or a rule that reads all rows: ``"sqrt_d"`` (root of the number of columns),
            ``"median"`` of the non-self distances, ``"silverman"`` or ``"knn"``, one number, the
            mean distance to the 7th other row. Not used for labels.
        t: Time of diffusion, a positive number. At least 1 for more than ``exact_up_to`` rows.
        anisotropy: From 0, the plain random walk of the published code, to 1; 0.5 is the paper's.
        n_subsamples: Random subsets of all rows, for each class, without replacement; the exact
            mean where there are no more subsets than that. 0 takes S of all rows instead: the
            value is then higher, as classes have fewer rows.
        bins: Number of bins, or of clusters, for a y that holds no classes.
        exact_up_to: Rows, at least 500, up to which all eigenvalues of a class are computed, see
            `DiffusionSpectralEntropy`.
        probes: Random probes of larger spectra, 2 to 100.
        random_state: Seed of clusters, subsets, probes and permutations.

    Note:
        Not Shannon's mutual information: not symmetric, no data processing inequality, and not
        comparable at other bandwidths or times. 0 on average where classes do not depend on x,
        and then as often negative; never clipped. A class of one row adds 0. ``std_error`` covers
        the choice of subsets and probes, not the sampling of the rows. Each permutation costs the
        entropies of all classes. The published code gives bits (``to("bits")``), takes the same
        subsets for all classes of one size, and clusters several columns by another method.

    References:
        Liao, Liu, Christensen, Tong, Huguet, Wolf, Nickel, Adelstein, Krishnaswamy (2024), CISS.

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> y = rng.integers(3, size=120)
        >>> x = 5.0 * y + rng.standard_normal(120)
        >>> e = DiffusionSpectralMI(bandwidth=1.0).estimate(x, y, n_permutations=99)
        >>> e.quantity, e.p_value
        ('diffusion_spectral_mi', 0.01)
    """

    quantity: ClassVar[str] = "diffusion_spectral_mi"
    accepts_labels: ClassVar[str] = "any"
    accepts_constant: ClassVar[bool] = True

    bandwidth: Bandwidth = 10.0
    t: float = 1.0
    anisotropy: float = 0.0
    n_subsamples: int = 5
    bins: int = 10
    exact_up_to: int = 5000
    probes: int = 16

    def _labels(self, data: dict[str, object], named: tuple[str, ...]) -> tuple[str, ...]:
        if "y" in named:
            return named
        y = as_array("y", data["y"])
        one_column = y.ndim == 1 or y.shape[1:] == (1,)
        return (*named, "y") if one_column and y.dtype.kind in "biu" else named

    def _estimate(self, x: Array, y: Array, z: Array | None, ask: Ask) -> Raw:
        number = check_int("n_subsamples", self.n_subsamples, low=0)
        subsets, bandwidth = self._subsets(x, ask)
        classes = self._classes(y)
        within = subsets.within(classes)
        reference = within
        if len(classes) > 1 and number == 0:
            all_rows = subsets.entropy(np.arange(len(x)))
            reference = _Mean(all_rows.value, all_rows.variance, [all_rows])
        elif len(classes) > 1:
            reference = _weighted(
                [len(rows) / len(x) for rows in classes],
                [subsets.of_random_rows(len(rows), number, ask.rng) for rows in classes],
            )
        found = (*within.found, *reference.found)
        variances = [mean.variance for mean in (within, reference) if mean.variance is not None]
        random = len(variances) == 2 and len(classes) > 1
        return Raw(
            reference.value - within.value,
            # None where nothing is random, or one subset does not tell.
            std_error=math.sqrt(sum(variances)) or None if random else None,
            cautions=(
                *_lonely(classes, len(x)),
                *cautions(*found, n=len(x), joint=subsets.mean_kernel()),
            ),
            info={
                "bandwidth": bandwidth,
                "classes": len(classes),
                "entropy_within": within.value,
                "entropy_reference": reference.value,
                **how(*found),
            },
        )

    def _statistic(
        self, x: Array, y: Array, z: Array | None, ask: Ask
    ) -> Callable[[Indices], float]:
        # Random subsets do not know the classes: their mean is the same for all orders.
        subsets, _ = self._subsets(x, ask)
        classes = self._classes(y)

        def statistic(order: Indices) -> float:
            # Row i has the class of row order[i].
            place = np.argsort(order)
            return -subsets.within([place[rows] for rows in classes]).value

        return statistic

    def _subsets(self, x: Array, ask: Ask) -> tuple[_Subsets, float | list[float] | None]:
        t = check_number("t", self.t, low=0.0, open_low=True)
        anisotropy = check_number("anisotropy", self.anisotropy, low=0.0, high=1.0)
        spectra = Spectra(self.exact_up_to, self.probes, ask.rng)
        sample, bandwidth = side("bandwidth", x, self.bandwidth, ask.device)
        kernel = gaussian_matrix(sample) if len(x) <= MOST_ROWS_OF_MATRICES else None
        return _Subsets(sample, kernel, spectra, t, anisotropy), bandwidth

    def _classes(self, y: Array) -> list[Indices]:
        """Return the rows of every class, in order."""
        bins = check_int("bins", self.bins, low=2)
        codes = y
        if not is_labels(y):
            values, codes = np.unique(y, axis=0, return_inverse=True)
            if len(values) > bins:
                codes = _equal_bins(y, bins) if y.shape[1] == 1 else self._clusters(y, bins)
        return [np.flatnonzero(codes.ravel() == code) for code in np.unique(codes)]

    def _clusters(self, y: Array, number: int) -> Array:
        # Of its first import, `rich` draws a number from Python's global generator.
        state = random.getstate()
        from sklearn.cluster import KMeans

        random.setstate(state)
        seed = int(generator(self.random_state).integers(2**31))
        # Squares of large numbers overflow.
        model = KMeans(number, n_init=10, random_state=seed)
        return np.asarray(model.fit_predict(y / np.abs(y).max()))


@dataclass(kw_only=True, eq=False)
class MatrixRenyi(MutualInformationEstimator):
    """Matrix-based Renyi mutual information, in nats (natural logarithm).

    I = S(x) + S(y) - S(x, y) with S of `MatrixRenyiEntropy`; the joint entropy is that of the
    product of the kernel matrices, entry by entry. A side named in ``discrete`` has the kernel 1
    for equal labels and 0 for others.

    Args:
        alpha: Order, positive; near 1, as by default, it is von Neumann's, and at 2 three kernel
            sums, fast and exact for any number of rows. At least 1 above ``exact_up_to`` rows.
        bandwidth_x: Standard deviation of the kernel of x in its units, a number or one per
            column; or a rule that reads x: ``"median"`` of its non-self distances (of 2000 fixed
            rows where there are more), ``"silverman"``, ``"sqrt_d"``, the root of the number of
            columns, or ``"knn"``, one number, the mean distance to the 7th other row. Not used for
            labels.
        bandwidth_y: The same for y.
        exact_up_to: Rows, at least 500, up to which all eigenvalues are computed: O(n^3), 11 s for
            5000 rows on two cores. Above, the spectra are sampled by block Lanczos in linear
            memory, and ``std_error`` holds the error of that.
        probes: Random probes of that, 2 to 100.
        random_state: Seed of probes and permutations.

    Note:
        Not Shannon's mutual information and not comparable with it, nor with values at other
        bandwidths or numbers of rows: above 0 on average for independent samples, sometimes
        negative (alpha other than 1), and near log n where a row sees only itself. The p-value is
        not affected by that. Columns are used as given: ``"median"`` follows those with the
        largest spread. Equal rows give 0. Each permutation costs the joint entropy, those of the
        sides are found once.

    References:
        Sanchez Giraldo, Rao, Principe (2015), IEEE Trans. Inf. Theory 61, 535.
        Yu, Sanchez Giraldo, Jenssen, Principe (2020), IEEE TPAMI 42, 2960.

    Example:
        >>> from infoest.datasets import correlated_normal
        >>> x, y, _ = correlated_normal(200, rho=0.8, random_state=0)
        >>> MatrixRenyi().estimate(x, y, n_permutations=99).p_value
        0.01
    """

    quantity: ClassVar[str] = "matrix_renyi_mi"
    accepts_labels: ClassVar[str] = "any"
    accepts_constant: ClassVar[bool] = True

    alpha: float = 1.01
    bandwidth_x: Bandwidth = "median"
    bandwidth_y: Bandwidth = "median"
    exact_up_to: int = 5000
    probes: int = 16

    def _estimate(self, x: Array, y: Array, z: Array | None, ask: Ask) -> Raw:
        alpha, spectra, first, second = self._sides(x, y, ask)
        # The product of Gaussian kernels is one on joined columns.
        both = torch.cat([first.sample, second.sample], dim=1)
        found = [spectra.renyi(sample, alpha) for sample in (first.sample, second.sample, both)]
        of_x, of_y, joint = (one.value for one in found)
        means = [one.mean_kernel for one in found]
        return Raw(
            of_x + of_y - joint,
            std_error=sampling_error(*found),
            cautions=cautions(*found, n=len(x), joint=means[2], sides=(means[0], means[1])),
            info={
                "bandwidth_x": first.bandwidth,
                "bandwidth_y": second.bandwidth,
                "entropy_x": of_x,
                "entropy_y": of_y,
                "joint_entropy": joint,
                **how(*found),
            },
        )

    def _statistic(
        self, x: Array, y: Array, z: Array | None, ask: Ask
    ) -> Callable[[Indices], float]:
        # The entropies of the sides are the same for all orders.
        alpha, spectra, first, second = self._sides(x, y, ask)
        if alpha == 2.0 or len(x) > self.exact_up_to:

            def without_matrix(order: Indices) -> float:
                rows = torch.from_numpy(order).to(ask.device)
                both = torch.cat([first.sample, second.sample[rows]], dim=1)
                if alpha == 2.0:
                    return -entropy_of_scaled(both, alpha).item()
                return -spectra.renyi(both, alpha).value

            return without_matrix
        kernel_x, kernel_y = (gaussian_matrix(one.sample) for one in (first, second))

        def exact(order: Indices) -> float:
            rows = torch.from_numpy(order).to(ask.device)
            joint = kernel_y[rows[:, None], rows].mul_(kernel_x)
            return -spectral_entropy(joint, order=alpha).item()

        return exact

    def _sides(self, x: Array, y: Array, ask: Ask) -> tuple[float, Spectra, Side, Side]:
        alpha = check_number("alpha", self.alpha, low=0.0, open_low=True)
        spectra = Spectra(self.exact_up_to, self.probes, ask.rng)
        first = side("bandwidth_x", x, self.bandwidth_x, ask.device)
        return alpha, spectra, first, side("bandwidth_y", y, self.bandwidth_y, ask.device)


def _weighted(shares: list[float], means: list[_Mean]) -> _Mean:
    """Return the weighted mean of independent means."""
    value = sum(share * mean.value for share, mean in zip(shares, means, strict=True))
    known = [mean.variance for mean in means if mean.variance is not None]
    variance = None
    if len(known) == len(means):
        variance = sum(share**2 * spread for share, spread in zip(shares, known, strict=True))
    return _Mean(value, variance, [found for mean in means for found in mean.found])


def _lonely(classes: list[Indices], n: int) -> tuple[Caution, ...]:
    """Return a caution where most rows are alone in their class, and see only themselves."""
    alone = sum(len(rows) == 1 for rows in classes)
    if alone <= LARGEST_DIAGONAL_SHARE * n:
        return ()
    return (
        Caution(
            "kernel_is_identity",
            f"{alone} of {n} rows are alone in their class and see only themselves: their entropy "
            "is 0 whatever x is, and the value says nothing about them. Group rare labels.",
        ),
    )


def _equal_bins(y: Array, number: int) -> Array:
    """Return the bin of every row of one column, of equal width over its range."""
    scaled = y[:, 0] / np.abs(y).max()  # the range itself may overflow
    low, high = scaled.min(), scaled.max()
    places = np.floor((scaled - low) / (high - low) * number)
    return np.minimum(places, number - 1).astype(np.int64)
