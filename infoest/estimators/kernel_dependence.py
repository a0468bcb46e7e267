"""Dependence from sums of kernels over pairs of samples: it is not Shannon's information."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from infoest._cautions import Caution
from infoest._validation import Array, check_bool, check_option, is_labels
from infoest.functional.dependence import (
    KernelSide,
    PairMeans,
    alignment,
    own_scale,
    pair_means,
)
from infoest.functional.significance import Indices
from infoest.kernels.bandwidth import RULES, Bandwidth, resolve_bandwidth
from infoest.result import Estimate, Raw

from .base import Ask, MutualInformationEstimator

# Kernel sum over the other rows below which a row sees only itself.
SMALLEST_NEIGHBORHOOD = 0.01
# Share of the row itself in its kernel sum above which a value that counts it measures little else.
LARGEST_DIAGONAL_SHARE = 0.5
# What independent sides of a factorial design would see at least: (1 - 1/a)(1 - 1/b) for a by b.
SMALLEST_OF_DESIGN = 0.25
# Mean kernel above which all rows look the same.
LARGEST_MEAN_KERNEL = 0.99
# Up to this many rows both kernel matrices are kept for all permutations: 400 MB.
MOST_ROWS_OF_MATRICES = 5000
# Pairs of them that are multiplied at once.
BLOCK_PAIRS = 2**20
# Codes 1 apart are 40 bandwidths apart: their Gaussian kernel is 0, that of equal labels is 1.
LABEL_WIDTH = 1.0 / 40.0


@dataclass(kw_only=True, eq=False)
class _KernelDependence(MutualInformationEstimator):
    """Base of what is made of the kernel means of paired samples: implement ``_of``."""

    accepts_labels: ClassVar[str] = "any"
    accepts_constant: ClassVar[bool] = True
    normalized_quantity: ClassVar[str]

    bandwidth_x: Bandwidth = "median"
    bandwidth_y: Bandwidth = "median"
    normalized: bool = False

    @abstractmethod
    def _of(self, means: PairMeans) -> Tensor:
        """Return the dependence, scalar."""

    def _excludes_self(self) -> bool:
        """Return whether the diagonals are left out of the means."""
        return False

    def _estimate(self, x: Array, y: Array, z: Array | None, ask: Ask) -> Raw:
        check_bool("normalized", self.normalized)
        sides = self._sides(x, y, ask)
        means = pair_means(*sides)
        value = self._of(means)
        if self.normalized:
            value = alignment(value, *(own_scale(side, self._of) for side in sides))
        info = {
            f"bandwidth_{name}": None if is_labels(data) else side.width.tolist()
            for name, data, side in zip("xy", (x, y), sides, strict=True)
        }
        quantity = self.normalized_quantity if self.normalized else None
        return Raw(value.item(), cautions=_cautions(means), info=info, quantity=quantity)

    def _wrap(self, raw: Raw, **call: Any) -> Estimate:
        found = super()._wrap(raw, **call)
        return replace(found, unit="") if self.normalized else found  # a ratio has none

    def _sides(self, x: Array, y: Array, ask: Ask) -> tuple[KernelSide, KernelSide]:
        exclude_self = self._excludes_self()

        def side(name: str, data: Array, bandwidth: Bandwidth) -> KernelSide:
            if is_labels(data):
                sample = torch.from_numpy(data[:, None].astype(float)).to(ask.device)
                return KernelSide.of(
                    sample, sample.new_tensor(LABEL_WIDTH), exclude_self=exclude_self
                )
            sample = torch.from_numpy(data - data.mean(axis=0)).to(ask.device)
            width = _width(name, bandwidth, sample)
            return KernelSide.of(sample, width, exclude_self=exclude_self)

        return side("bandwidth_x", x, self.bandwidth_x), side("bandwidth_y", y, self.bandwidth_y)

    def _statistic(
        self, x: Array, y: Array, z: Array | None, ask: Ask
    ) -> Callable[[Indices], float]:
        first, second = self._sides(x, y, ask)
        # The same for all orders; over it, ties are told from differences at any bandwidth.
        scales = [own_scale(side, self._of) for side in (first, second)]
        matrices = None
        if len(x) <= MOST_ROWS_OF_MATRICES:
            matrices = first.matrix(), second.matrix()

        def statistic(order: Indices) -> float:
            index = torch.from_numpy(order).to(ask.device)
            log_joint = None
            if matrices is not None:
                pairs = len(order) * (len(order) - first.exclude_self)
                log_joint = (_sum_of_product(*matrices, index) / pairs).log()
            means = pair_means(first, second.reordered(index), log_joint)
            return alignment(self._of(means), *scales).item()

        return statistic


@dataclass(kw_only=True, eq=False)
class CauchySchwarzQMI(_KernelDependence):
    """Cauchy-Schwarz quadratic mutual information, in nats (natural logarithm).

    I = log tr(KQ)/n^2 + log 1'K1 1'Q1/n^4 - 2 log 1'KQ1/n^3 with Gaussian kernels K of x and Q of
    y, diagonals included: the Cauchy-Schwarz divergence of the kernel density of the pairs from
    the product of those of the sides. A side named in ``discrete`` has the kernel 1 for equal
    labels and 0 for others.

    Args:
        bandwidth_x: Standard deviation of the kernel of x in its units, a number or one per
            column; or a rule that reads x: ``"median"`` of its non-self distances (of 2000 fixed
            rows where there are more), ``"silverman"`` or ``"knn"``, one number, the mean distance
            to the 7th other row. Not used for labels.
        bandwidth_y: The same for y.
        normalized: Return I(x, y) / sqrt(I(x, x) I(y, y)), without a unit: 1 for equal sides; 0
            where the kernel of a side is constant.
        random_state: Seed of the permutations.

    Note:
        Not Shannon's mutual information and not comparable with it, nor with values at another
        bandwidth (in ``info``). 0 at independence but for the diagonals, which bias it up, to
        log n where a row sees only itself; the p-value is not affected. Columns are used as given:
        ``"median"`` follows those with the largest spread. Equal rows give 0, with
        ``kernel_is_constant``. Each permutation costs a product of two kernel matrices up to 5000
        rows, and one kernel sum above.

    References:
        Yu, Yu, Lokse, Jenssen, Principe (2024), ICLR, Proposition 2.
        Principe (2010), Information Theoretic Learning, Springer, chapter 2.

    Example:
        >>> from infoest.datasets import correlated_normal
        >>> x, y, _ = correlated_normal(300, rho=0.8, random_state=0)
        >>> CauchySchwarzQMI().estimate(x, y, n_permutations=99).p_value
        0.01
    """

    quantity: ClassVar[str] = "cauchy_schwarz_qmi"
    normalized_quantity: ClassVar[str] = "normalized_cauchy_schwarz_qmi"

    def _of(self, means: PairMeans) -> Tensor:
        return means.cauchy_schwarz_qmi


@dataclass(kw_only=True, eq=False)
class HSIC(_KernelDependence):
    """Hilbert-Schmidt independence criterion; it has no unit.

    (tr(KQ) + 1'K1 1'Q1/n^2 - (2/n) 1'KQ1) / n^2 with Gaussian kernels K of x and Q of y; or the
    unbiased version without diagonals. A side named in ``discrete`` has the kernel 1 for equal
    labels and 0 for others.

    Args:
        bandwidth_x: Standard deviation of the kernel of x in its units, a number or one per
            column; or a rule that reads x: ``"median"`` of its non-self distances (of 2000 fixed
            rows where there are more), ``"silverman"`` or ``"knn"``, one number, the mean distance
            to the 7th other row. Not used for labels.
        bandwidth_y: The same for y.
        normalized: Return hsic(x, y) / sqrt(hsic(x, x) hsic(y, y)), the centered kernel alignment
            (CKA), at most 1; 0 where the kernel of a side is constant.
        unbiased: Leave the pairs of a row with itself out: the value scatters around 0 at
            independence, and may be negative.
        random_state: Seed of the permutations.

    Note:
        Not an information and not comparable with one: the squared norm of a covariance of
        features. It depends on the bandwidth (in ``info``); compare values at the same bandwidth
        only. With diagonals it is near (1 - K)(1 - Q)/n at independence, K and Q the mean kernels:
        a biased alignment of a small batch is large whatever the data (.2 for 32 rows of 8
        columns, say). The p-value is not affected. Columns are used as given: ``"median"`` follows
        those with the largest spread. Equal rows give 0, with ``kernel_is_constant``. Each
        permutation costs a product of two kernel matrices up to 5000 rows, and one kernel sum
        above.

    References:
        Gretton, Bousquet, Smola, Scholkopf (2005), ALT, definition 2.
        Song, Smola, Gretton, Bedo, Borgwardt (2012), JMLR 13, 1393, eqs. 4 and 5.
        Cortes, Mohri, Rostamizadeh (2012), JMLR 13, 795 (alignment).

    Example:
        >>> from infoest.datasets import correlated_normal
        >>> x, y, _ = correlated_normal(300, rho=0.8, random_state=0)
        >>> HSIC().estimate(x, y, n_permutations=99).p_value
        0.01
    """

    quantity: ClassVar[str] = "hsic"
    normalized_quantity: ClassVar[str] = "centered_kernel_alignment"
    unit: ClassVar[str] = ""

    unbiased: bool = False

    def _of(self, means: PairMeans) -> Tensor:
        return means.hsic

    def _excludes_self(self) -> bool:
        check_bool("unbiased", self.unbiased)
        return self.unbiased


def _width(name: str, bandwidth: Bandwidth, sample: Tensor) -> Tensor:
    """Return a bandwidth in numbers; 1 for a rule on equal rows: their kernel is constant."""
    if isinstance(bandwidth, str) and bool((sample == sample[0]).all()):
        check_option(name, bandwidth, RULES, "Or pass a number or one number per column.")
        return sample.new_tensor(1.0)
    return resolve_bandwidth(bandwidth, sample, name=name).detach()


def _sum_of_product(kernel_x: Tensor, kernel_y: Tensor, order: Tensor) -> Tensor:
    """Return the sum over pairs of two kernels, the rows of the second in another order."""
    rows = max(1, BLOCK_PAIRS // len(order))
    blocks = zip(kernel_x.split(rows), order.split(rows), strict=True)
    return torch.stack([(block * kernel_y[some][:, order]).sum() for block, some in blocks]).sum()


def _cautions(means: PairMeans) -> tuple[Caution, ...]:
    x, y, joint = (mean.exp().item() for mean in (means.x, means.y, means.joint))
    others = [
        mean * (means.n - means.exclude_self) - (not means.exclude_self) for mean in (x, y, joint)
    ]
    share, expected = 1.0 / (1.0 + others[2]), others[0] * others[1] / means.n
    # Of few pairs of values, each once (a factorial design), no row sees another in both sides.
    designed = others[2] < SMALLEST_NEIGHBORHOOD and expected >= SMALLEST_OF_DESIGN
    most = not means.exclude_self and share > LARGEST_DIAGONAL_SHARE
    if (most and not designed) or max(others[2], expected) < SMALLEST_NEIGHBORHOOD:
        return (
            Caution(
                "kernel_is_identity",
                f"The bandwidths are so small, or labels so many, that {share:.0%} of the mean "
                "kernel sum of a row is the row itself: the value measures the bandwidths and the "
                "number of rows. Take larger bandwidths.",
            ),
        )
    if max(x, y) > LARGEST_MEAN_KERNEL:
        return (
            Caution(
                "kernel_is_constant",
                "All rows of a side look the same to its kernel: the value is nearly 0 and sees "
                "little more than linear dependence. Take a smaller bandwidth, or leave out "
                "columns that do not vary.",
            ),
        )
    return ()
