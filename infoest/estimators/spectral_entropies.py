"""Entropies of the spectra of kernels and covariances: they are not Shannon's entropy."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch

from infoest._cautions import Caution
from infoest._validation import Array, check_number
from infoest.functional.spectral import von_neumann_entropy
from infoest.kernels.bandwidth import Bandwidth
from infoest.result import Raw

from ._spectra import Spectra, cautions, how, sampling_error, side
from .base import Ask, EntropyEstimator


@dataclass(kw_only=True, eq=False)
class DiffusionSpectralEntropy(EntropyEstimator):
    """Diffusion spectral entropy of samples, in nats (natural logarithm).

    S = -sum_i p_i log p_i with p_i = |lambda_i|^t / sum_j |lambda_j|^t and lambda the eigenvalues
    of the random walk D_K^-1 K, where K_ij = G_ij / (d_i d_j)^anisotropy, d_i = sum_j G_ij, G is
    the Gaussian kernel exp(-|x_i - x_j|^2 / (2 bandwidth^2)) and D_K holds the row sums of K.

    Args:
        bandwidth: Standard deviation of the kernel in the units of the data, a number or one per
            column; or a rule: ``"sqrt_d"`` (root of the number of columns), ``"median"`` of the
            non-self distances (of 2000 fixed rows where there are more), ``"silverman"`` or
            ``"knn"``, one number, the mean distance to the 7th other row.
        t: Time of diffusion, a positive number; large t leaves only slow modes. At least 1 above
            ``exact_up_to`` rows.
        anisotropy: From 0, the plain random walk that the published code computes, to 1, which
            takes the density of the samples out; 0.5 is the operator of the paper.
        exact_up_to: Rows, at least 500, up to which all eigenvalues are computed: O(n^3), 4 s for
            5000 rows on two cores. Above, the spectrum is sampled by block Lanczos in linear
            memory, and ``std_error`` holds the error of that.
        probes: Random probes of that, 2 to 100.
        random_state: Seed of the probes.

    Note:
        Not Shannon's entropy and not comparable with it, nor with values at another bandwidth,
        time or number of rows: it counts the modes of diffusion, from 0 (equal rows, or a wide
        bandwidth) to log n (rows that do not see each other). Columns are used as given, and the
        default bandwidth is the published one: it suits the units of few data. ``info`` holds the
        bandwidth in numbers and the value over log n as ``normalized``. The published code gives
        bits: ``to("bits")``.

    References:
        Liao, Liu, Christensen, Tong, Huguet, Wolf, Nickel, Adelstein, Krishnaswamy (2024), CISS,
        eq. 6.

    Example:
        >>> import math
        >>> import numpy as np
        >>> x = np.repeat(np.arange(4.0), 25)  # four groups of equal rows
        >>> e = DiffusionSpectralEntropy(bandwidth=0.1).estimate(x)
        >>> round(math.exp(e.value), 6), round(e.info["normalized"], 3)
        (4.0, 0.301)
    """

    quantity: ClassVar[str] = "diffusion_spectral_entropy"
    accepts_constant: ClassVar[bool] = True

    bandwidth: Bandwidth = 10.0
    t: float = 1.0
    anisotropy: float = 0.0
    exact_up_to: int = 5000
    probes: int = 16

    def _estimate(self, x: Array, ask: Ask) -> Raw:
        t = check_number("t", self.t, low=0.0, open_low=True)
        anisotropy = check_number("anisotropy", self.anisotropy, low=0.0, high=1.0)
        spectra = Spectra(self.exact_up_to, self.probes, ask.rng)
        sample, bandwidth = side("bandwidth", x, self.bandwidth, ask.device)
        found = spectra.diffusion(sample, t, anisotropy)
        return Raw(
            found.value,
            std_error=sampling_error(found),
            cautions=cautions(found, n=len(x), joint=found.mean_kernel),
            info={
                "bandwidth": bandwidth,
                "normalized": found.value / math.log(len(x)),
                **how(found),
            },
        )


@dataclass(kw_only=True, eq=False)
class MatrixRenyiEntropy(EntropyEstimator):
    """Matrix-based Renyi entropy of samples, in nats (natural logarithm).

    S = log(sum_i p_i^alpha) / (1 - alpha) with p the eigenvalues of K/n and the Gaussian kernel
    K_ij = exp(-|x_i - x_j|^2 / (2 bandwidth^2)).

    Args:
        alpha: Order, positive; near 1, as by default, it is the von Neumann entropy of K/n, and at
            2 one kernel sum, fast and exact for any number of rows. At least 1 above
            ``exact_up_to`` rows.
        bandwidth: Standard deviation of the kernel in the units of the data, a number or one per
            column; or a rule: ``"median"`` of the non-self distances (of 2000 fixed rows where
            there are more), ``"silverman"``, ``"sqrt_d"``, the root of the number of columns, or
            ``"knn"``, one number, the mean distance to the 7th other row.
        exact_up_to: Rows, at least 500, up to which all eigenvalues are computed: O(n^3), 4 s for
            5000 rows on two cores. Above, the spectrum is sampled by block Lanczos in linear
            memory, and ``std_error`` holds the error of that.
        probes: Random probes of that, 2 to 100.
        random_state: Seed of the probes.

    Note:
        Not Renyi's nor Shannon's entropy of the law and not comparable with them, nor with values
        at another bandwidth or number of rows; from 0 (equal rows) to log n (rows that do not see
        each other). Columns are used as given: ``"median"`` follows those with the largest
        spread. ``info`` holds the bandwidth in numbers and the value over log n as
        ``normalized``.

    References:
        Sanchez Giraldo, Rao, Principe (2015), IEEE Trans. Inf. Theory 61, 535.

    Example:
        >>> import math
        >>> import numpy as np
        >>> x = np.repeat(np.arange(4.0), 25)  # four groups of equal rows
        >>> e = MatrixRenyiEntropy(bandwidth=0.1).estimate(x)
        >>> round(math.exp(e.value), 6)
        4.0
    """

    quantity: ClassVar[str] = "matrix_renyi_entropy"
    accepts_constant: ClassVar[bool] = True

    alpha: float = 1.01
    bandwidth: Bandwidth = "median"
    exact_up_to: int = 5000
    probes: int = 16

    def _estimate(self, x: Array, ask: Ask) -> Raw:
        alpha = check_number("alpha", self.alpha, low=0.0, open_low=True)
        spectra = Spectra(self.exact_up_to, self.probes, ask.rng)
        sample, bandwidth = side("bandwidth", x, self.bandwidth, ask.device)
        found = spectra.renyi(sample, alpha)
        return Raw(
            found.value,
            std_error=sampling_error(found),
            cautions=cautions(found, n=len(x), joint=found.mean_kernel),
            info={
                "bandwidth": bandwidth,
                "normalized": found.value / math.log(len(x)),
                **how(found),
            },
        )


@dataclass(kw_only=True, eq=False)
class VonNeumannEntropy(EntropyEstimator):
    """Von Neumann entropy of the covariance of samples, in nats (natural logarithm).

    S = -sum_i p_i log p_i with p the eigenvalues of the centered covariance over their sum, from
    the smaller of its sides n x n and d x d.

    Args:
        random_state: Not used: nothing is random.

    Note:
        Not Shannon's entropy: neither the scale nor the shape of the law counts, only how evenly
        the variance is spread over directions, from 0 (one direction, or equal rows) to
        log min(n - 1, d). Columns are used as given: one with a large spread hides the others.
        ``info`` holds exp S as ``effective_rank`` and the value over its largest as
        ``normalized``. Biased down where the rows are not many more than the columns. The kernel
        version is `MatrixRenyiEntropy` at ``alpha=1``.

    References:
        Roy, Vetterli (2007), EUSIPCO, 606 (effective rank, there of singular values).

    Example:
        >>> import numpy as np
        >>> x = np.random.default_rng(0).standard_normal((5000, 4))
        >>> round(VonNeumannEntropy().estimate(x).info["effective_rank"], 1)
        4.0
    """

    quantity: ClassVar[str] = "von_neumann_entropy"
    accepts_constant: ClassVar[bool] = True

    def _estimate(self, x: Array, ask: Ask) -> Raw:
        n, d = x.shape
        value = von_neumann_entropy(torch.from_numpy(x - x.mean(axis=0)).to(ask.device)).item()
        largest = math.log(min(n - 1, d))
        noted: tuple[Caution, ...] = ()
        if d >= n:
            noted = (
                Caution(
                    "too_few_samples_for_dimension",
                    f"{n} rows span at most {n - 1} of {d} directions: the value reflects the "
                    "number of rows. Take more rows, or leave out columns.",
                ),
            )
        return Raw(
            value,
            cautions=noted,
            info={
                "effective_rank": math.exp(value),
                "normalized": value / largest if largest else 0.0,
            },
        )
