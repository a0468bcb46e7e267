"""What the estimators of spectra share: kernels, exact or sampled eigenvalues, cautions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from infoest._cautions import Caution
from infoest._validation import Array, check_int, check_number, check_option, is_labels
from infoest.functional.lanczos import KernelOperator, LanczosEntropy, lanczos_entropy
from infoest.functional.renyi import entropy_of_scaled
from infoest.functional.spectral import (
    SQRT_D,
    diffusion_operator,
    diffusion_scales,
    divided,
    gaussian_matrix,
    resolve_width,
    spectral_entropy,
)
from infoest.kernels.bandwidth import RULES, Bandwidth
from infoest.kernels.reductions import log_kernel_sum

from .kernel_dependence import LABEL_WIDTH, LARGEST_MEAN_KERNEL, SMALLEST_NEIGHBORHOOD

# Fewer rows than this hold no Krylov space worth the name.
FEWEST_ROWS_OF_LANCZOS = 500


class Side(NamedTuple):
    """Samples over the bandwidth of their kernel.

    Attributes:
        sample: Shape (n, d), float64, centered.
        bandwidth: In the units of the data, a number or one per column; None for labels.
    """

    sample: Tensor
    bandwidth: float | list[float] | None


class Found(NamedTuple):
    """An entropy and how it was found.

    Attributes:
        value: Nats.
        mean_kernel: Mean of the kernel over pairs, the diagonal included.
        lanczos: Its sampling; None where it is exact.
    """

    value: float
    mean_kernel: float
    lanczos: LanczosEntropy | None = None

    @property
    def variance(self) -> float:
        """Of the value, by its probes; 0 where it is exact."""
        return 0.0 if self.lanczos is None else self.lanczos.std_error**2


@dataclass(frozen=True)
class Spectra:
    """Entropies of the spectra of Gaussian kernels: exact up to some number of rows.

    Args:
        exact_up_to: Rows up to which eigenvalues are computed.
        probes: Random probes of larger spectra.
        rng: Source of their seeds.
    """

    exact_up_to: int
    probes: int
    rng: np.random.Generator

    def __post_init__(self) -> None:
        check_int("exact_up_to", self.exact_up_to, low=FEWEST_ROWS_OF_LANCZOS)
        check_int("probes", self.probes, low=2, high=100)

    def diffusion(self, sample: Tensor, t: float, anisotropy: float) -> Found:
        """Return the diffusion spectral entropy of samples over the bandwidth, (n, d)."""
        if len(sample) <= self.exact_up_to:
            return of_diffusion(gaussian_matrix(sample), t, anisotropy)
        self._check_exponent("t", t, sample)
        kernel = KernelOperator.of(sample)
        operator = kernel.diffusion(anisotropy)
        found = lanczos_entropy(operator, power=t, probes=self.probes, seed=self._seed())
        return Found(found.value, _mean(kernel.row_sums()), found)

    def renyi(self, sample: Tensor, alpha: float) -> Found:
        """Return the matrix-based Renyi entropy of samples over the bandwidth, (n, d)."""
        if alpha == 2.0:
            sums = log_kernel_sum(sample, sample).exp()
            return Found(entropy_of_scaled(sample, alpha).item(), _mean(sums))
        if len(sample) <= self.exact_up_to:
            kernel = gaussian_matrix(sample)
            return Found(spectral_entropy(kernel, order=alpha).item(), kernel.mean().item())
        self._check_exponent("alpha", alpha, sample)
        operator = KernelOperator.of(sample)
        found = lanczos_entropy(operator, order=alpha, probes=self.probes, seed=self._seed())
        return Found(found.value, _mean(operator.row_sums()), found)

    def _seed(self) -> int:
        return int(self.rng.integers(2**31))

    def _check_exponent(self, name: str, value: float, sample: Tensor) -> None:
        check_number(
            name,
            value,
            low=1.0,
            remedy=f"Of {len(sample)} rows, more than exact_up_to={self.exact_up_to}, the smallest "
            "eigenvalues are not resolved. Take fewer rows or a larger exact_up_to.",
        )


def of_diffusion(kernel: Tensor, t: float, anisotropy: float) -> Found:
    """Return the diffusion spectral entropy of a kernel matrix, (n, n)."""
    operator = diffusion_operator(kernel, diffusion_scales(kernel, anisotropy))
    return Found(spectral_entropy(operator, power=t).item(), kernel.mean().item())


def side(name: str, data: Array, bandwidth: Bandwidth, device: str) -> Side:
    """Return samples (n, d) over their bandwidth; labels (n,) with the kernel 1 for equal ones.

    A rule on equal rows, whose kernel is constant at any bandwidth, is 1.

    Args:
        name: Of the bandwidth's parameter.
        data: Samples or codes.
        bandwidth: As in `resolve_width`; not used for labels.
        device: Where to compute.
    """
    if is_labels(data):
        codes = torch.from_numpy(data[:, None].astype(np.float64)).to(device)
        return Side(codes / LABEL_WIDTH, None)
    sample = torch.from_numpy(data - data.mean(axis=0)).to(device)
    if isinstance(bandwidth, str) and bool((sample == sample[0]).all()):
        check_option(name, bandwidth, (*RULES, SQRT_D), "Or pass a number or one per column.")
        width = sample.new_tensor(1.0)
    else:
        width = resolve_width(bandwidth, sample, name).detach()
    return Side(divided(sample, width, name), width.tolist())


def how(*found: Found) -> dict[str, Any]:
    """Return ``method`` and, of sampled spectra, what they took, for ``info``."""
    sampled = [one.lanczos for one in found if one.lanczos is not None]
    if not sampled:
        return {"method": "exact"}
    steps = max(one.steps for one in sampled)
    return {"method": "lanczos", "probes": sampled[0].probes, "steps": steps}


def sampling_error(*found: Found) -> float | None:
    """Return the standard error of a sum of entropies by their probes; None where exact."""
    return math.sqrt(sum(one.variance for one in found)) or None


def cautions(
    *found: Found, n: int, joint: float, sides: tuple[float, ...] = ()
) -> tuple[Caution, ...]:
    """Return what is wrong with the kernels of n rows and with the sampling of spectra.

    Args:
        found: The entropies.
        n: Number of rows.
        joint: Mean of the kernel of all sides over pairs.
        sides: Those of the sides, where there are several.
    """
    noted = []
    if n * joint - 1.0 < SMALLEST_NEIGHBORHOOD:
        noted.append(
            Caution(
                "kernel_is_identity",
                "The bandwidth is so small, or labels so many, that every row sees only itself: "
                "the value measures the number of rows. Take a larger bandwidth.",
            )
        )
    if max((joint, *sides)) > LARGEST_MEAN_KERNEL:
        noted.append(
            Caution(
                "kernel_is_constant",
                "The bandwidth is so large that all rows look the same: the value is nearly 0 and "
                "sees little more than the spread of the data. Take a smaller bandwidth.",
            )
        )
    if any(one.lanczos is not None and not one.lanczos.settled for one in found):
        noted.append(
            Caution(
                "not_converged",
                "The spectrum was not resolved in the steps that are made: the standard error "
                "allows for the last change. Take a larger exact_up_to, or fewer rows.",
            )
        )
    return tuple(noted)


def _mean(row_sums: Tensor) -> float:
    return row_sums.mean().item() / len(row_sums)
