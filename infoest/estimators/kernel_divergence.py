"""Divergences from sums of a kernel over pairs of samples."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from infoest._cautions import Caution
from infoest._validation import Array, check_bool
from infoest.functional.divergences import KernelMeans, log_kernel_means
from infoest.functional.significance import Indices
from infoest.functional.spectral import gaussian_matrix
from infoest.kernels.bandwidth import Bandwidth, resolve_bandwidth
from infoest.result import Raw

from .base import Ask, DivergenceEstimator
from .kernel_dependence import (
    LARGEST_DIAGONAL_SHARE,
    LARGEST_MEAN_KERNEL,
    SMALLEST_NEIGHBORHOOD,
)

# Up to this many rows the kernel matrix is kept for all permutations: 200 MB.
MOST_ROWS_OF_MATRIX = 5000


@dataclass(kw_only=True, eq=False)
class _KernelDivergence(DivergenceEstimator):
    """Base of what is made of the three kernel means of two samples: implement ``_of``."""

    bandwidth: Bandwidth = "median"

    @abstractmethod
    def _of(self, means: KernelMeans) -> Tensor:
        """Return the divergence, scalar."""

    def _excludes_self(self) -> bool:
        """Return whether the means within samples leave out the diagonals."""
        return False

    def _estimate(self, x: Array, y: Array, ask: Ask) -> Raw:
        exclude_self = self._excludes_self()
        center = np.concatenate([x, y]).mean(axis=0)
        samples = [torch.from_numpy(part - center).to(ask.device) for part in (x, y)]
        width = resolve_bandwidth(self.bandwidth, *samples).detach()
        means = log_kernel_means(*samples, bandwidth=width, exclude_self=exclude_self)
        return Raw(
            self._of(means).item(),
            cautions=_cautions(means, len(x), len(y), exclude_self),
            info={"bandwidth": width.tolist()},
        )

    def _statistic(self, pooled: Array, n: int, ask: Ask) -> Callable[[Indices], float]:
        exclude_self = self._excludes_self()
        sample = torch.from_numpy(pooled - pooled.mean(axis=0)).to(ask.device)
        # Once for all orders: a rule may choose rows by their place.
        width = resolve_bandwidth(self.bandwidth, sample[:n], sample[n:]).detach()
        if len(pooled) > MOST_ROWS_OF_MATRIX:

            def without_matrix(order: Indices) -> float:
                moved = sample[torch.from_numpy(order).to(ask.device)]
                means = log_kernel_means(
                    moved[:n], moved[n:], bandwidth=width, exclude_self=exclude_self
                )
                return self._of(means).item()

            return without_matrix
        kernel = gaussian_matrix(sample / width)
        if exclude_self:
            kernel.fill_diagonal_(0.0)
        total = kernel.sum()
        m = len(pooled) - n

        def statistic(order: Indices) -> float:
            first = torch.zeros_like(kernel[0])
            first[torch.from_numpy(order[:n]).to(ask.device)] = 1.0
            near = kernel @ first
            xx = near @ first
            xy = near.sum() - xx
            yy = total - xx - 2.0 * xy
            pairs = ((xx, n * (n - exclude_self)), (xy, n * m), (yy, m * (m - exclude_self)))
            # Kernels between far-apart samples underflow; their order is all that matters here.
            logs = ((part.clamp_min(1e-300) / number).log() for part, number in pairs)
            return self._of(KernelMeans(*logs)).item()

        return statistic


@dataclass(kw_only=True, eq=False)
class CauchySchwarz(_KernelDivergence):
    """Cauchy-Schwarz divergence of two kernel density estimates, in nats (natural logarithm).

    D = -2 log mean k(x_i, y_j) + log mean k(x_i, x_j) + log mean k(y_i, y_j) with the Gaussian
    kernel exp(-|u - v|^2 / (2 bandwidth^2)); means over all pairs, diagonals included.

    Args:
        bandwidth: Standard deviation of the kernel in the units of the data, a number or one per
            column; or a rule that reads the pooled samples: ``"median"`` of their non-self
            distances (of 2000 fixed rows where there are more), ``"silverman"`` or ``"knn"``, one
            number, the mean distance to the 7th other row.
        random_state: Seed of the permutations.

    Note:
        Not a Kullback-Leibler divergence: -2 log of the cosine between the two smoothed
        densities, symmetric, 0 for equal samples, never negative. Columns are used as given:
        ``"median"`` follows those with the largest spread, so standardize columns of different
        units, or give one bandwidth per column. The value depends on the bandwidth (in
        ``info``); compare values at the same bandwidth only. The diagonals bias it up by about
        (1/K_xx - 1)/n + (1/K_yy - 1)/m, K the mean kernels; the p-value is not affected. Each
        permutation costs one more value, or a product with the kernel matrix up to 5000 rows in
        all.

    References:
        Jenssen, Principe, Erdogmus, Eltoft (2006), J. Franklin Inst. 343, 614.

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> x, y = rng.standard_normal(1000), 1.0 + rng.standard_normal(1000)
        >>> e = CauchySchwarz(bandwidth=1.0).estimate(x, y)  # truth: 1 / (2 + 1)
        >>> abs(float(e) - 1 / 3) < 0.1
        True
    """

    quantity: ClassVar[str] = "cauchy_schwarz_divergence"

    def _of(self, means: KernelMeans) -> Tensor:
        return means.cauchy_schwarz


@dataclass(kw_only=True, eq=False)
class MMD(_KernelDivergence):
    """Squared maximum mean discrepancy of two samples; it has no unit.

    MMD^2 = mean k(x_i, x_j) + mean k(y_i, y_j) - 2 mean k(x_i, y_j) with the Gaussian kernel
    exp(-|u - v|^2 / (2 bandwidth^2)): the squared distance between the kernel means.

    Args:
        bandwidth: Standard deviation of the kernel in the units of the data, a number or one per
            column; or a rule that reads the pooled samples: ``"median"`` of their non-self
            distances (of 2000 fixed rows where there are more), ``"silverman"`` or ``"knn"``, one
            number, the mean distance to the 7th other row.
        unbiased: Leave the pairs of a sample with itself out: the value scatters around 0 for
            equal laws, and may be negative.
        random_state: Seed of the permutations.

    Note:
        Not an information and not comparable with one: it grows from 0 to at most 2, where the
        samples are far apart and each is within the reach of the kernel. It depends on the
        bandwidth (in ``info``) and on the units of the columns; compare values at the same
        bandwidth only. With diagonals it is biased up by (1 - K_xx)/n + (1 - K_yy)/m, K the mean
        kernels; the p-value is not affected. Each permutation costs one more value, or a product
        with the kernel matrix up to 5000 rows in all.

    References:
        Gretton, Borgwardt, Rasch, Scholkopf, Smola (2012), JMLR 13, 723.

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> x, y = rng.standard_normal(1000), 1.0 + rng.standard_normal(1000)
        >>> e = MMD(bandwidth=1.0).estimate(x, y, n_permutations=99)
        >>> truth = 2 / 3**0.5 * (1 - np.exp(-1 / 6))
        >>> bool(abs(float(e) - truth) < 0.05), e.p_value
        (True, 0.01)
    """

    quantity: ClassVar[str] = "squared_maximum_mean_discrepancy"
    unit: ClassVar[str] = ""

    unbiased: bool = False

    def _of(self, means: KernelMeans) -> Tensor:
        return means.mmd

    def _excludes_self(self) -> bool:
        check_bool("unbiased", self.unbiased)
        return self.unbiased


def _cautions(means: KernelMeans, n: int, m: int, exclude_self: bool) -> tuple[Caution, ...]:
    others = [
        mean.exp().item() * (number - exclude_self) - (not exclude_self)
        for mean, number in ((means.xx, n), (means.yy, m))
    ]
    share = 1.0 / (1.0 + min(others))
    most = not exclude_self and share > LARGEST_DIAGONAL_SHARE
    if most or max(others) < SMALLEST_NEIGHBORHOOD:
        return (
            Caution(
                "kernel_is_identity",
                f"The bandwidth is so small that {share:.0%} of the mean kernel sum of a row of x "
                "or y is the row itself: the value measures the bandwidth and the number of rows. "
                "Take a larger bandwidth.",
            ),
        )
    if min(mean.exp().item() for mean in means) > LARGEST_MEAN_KERNEL:
        return (
            Caution(
                "kernel_is_constant",
                "The bandwidth is so large that all samples look the same: the value is nearly 0 "
                "and sees little more than the means. Take a smaller bandwidth.",
            ),
        )
    return ()
