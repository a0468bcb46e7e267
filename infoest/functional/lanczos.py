"""Entropy of the spectrum of a kernel operator by random probes, in linear memory. Torch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from infoest.kernels._tiles import LARGEST_NORMS, largest_norms
from infoest.kernels.reductions import kernel_matvec

from .spectral import NEAR_ONE

# Steps of the block recurrence; 3 to 8 are usual, 12 to 16 for spectra that fall steadily.
FEWEST_STEPS = 3
MOST_STEPS = 16
# A step that changes the value by less than this share, or a quarter of the standard error, is the
# last.
SETTLED = 1e-4
# Products, beyond the first, by which leading directions are found.
MOST_REFINEMENTS = 4
# Singular values of the fit to a polynomial that are rounding, relative to the largest.
FIT_PRECISION = 1e-8


class LanczosEntropy(NamedTuple):
    """An entropy of a spectrum and how it was found.

    Attributes:
        value: Nats.
        std_error: Of the probes, and the last change by the recurrence.
        probes: How many there are.
        steps: Length of the recurrence.
        settled: Whether the last step changed the value by no more than the probes would.
    """

    value: float
    std_error: float
    probes: int
    steps: int
    settled: bool


class KernelOperator(NamedTuple):
    """The matrix diag(s) K diag(s) of a Gaussian kernel K, which is never made.

    Attributes:
        sample: Samples over the bandwidth, shape (n, d), float32 where that keeps the kernel's
            digits: products are then several times as fast.
        scales: The factors s, shape (n,), float64.
    """

    sample: Tensor
    scales: Tensor

    @classmethod
    def of(cls, sample: Tensor) -> KernelOperator:
        """Return the kernel matrix of samples over the bandwidth, (n, d), float64: scales 1."""
        scales = torch.ones_like(sample[:, 0])
        near = largest_norms(sample, sample) <= LARGEST_NORMS[torch.float32]
        return cls(sample.float() if near else sample, scales)

    def row_sums(self) -> Tensor:
        """Return the sums of the rows, shape (n,), float64."""
        return self.product(torch.ones_like(self.scales)[:, None]).squeeze(1)

    def diffusion(self, anisotropy: float) -> KernelOperator:
        """Return the operator that `spectral.diffusion_operator` is for a kernel matrix."""
        sums = self.row_sums()
        if anisotropy == 0.0:
            return self._replace(scales=sums.rsqrt())
        thinned = sums**-anisotropy
        return self._replace(scales=thinned * self._replace(scales=thinned).row_sums().rsqrt())

    def product(self, vectors: Tensor) -> Tensor:
        """Return the operator times vectors (n, p), float64."""
        scaled = (self.scales[:, None] * vectors).to(self.sample.dtype)
        return self.scales[:, None] * kernel_matvec(self.sample, self.sample, scaled).double()

    def rounding(self) -> float:
        """Return what the rounding of products adds to an entropy: n small eigenvalues.

        Of a matrix of independent errors eps / n, half of them positive, near eps / sqrt(n).
        """
        n, eps = len(self.scales), torch.finfo(self.sample.dtype).eps
        return 0.5 * math.sqrt(n) * eps * math.log(math.sqrt(n) / eps)

    def traces(self) -> Tensor:
        """Return the traces of the powers 0, 1 and 2, shape (3,): sums of known entries."""
        squares = self.scales.square()
        # The square of a Gaussian kernel is one of a smaller bandwidth.
        narrow = KernelOperator(self.sample * math.sqrt(2.0), torch.ones_like(squares))
        second = squares @ narrow.product(squares[:, None]).squeeze(1)
        return torch.stack([second.new_tensor(float(len(squares))), squares.sum(), second])


class _Spectrum(NamedTuple):
    """Ritz values and what a trace is summed with.

    Attributes:
        nodes: Ritz values, shape (k,).
        leading: Their weights in the leading directions, summed, shape (k,).
        sampled: Their weights in every probe, shape (p, k).
        traces: Of the powers 0, 1, 2 of the operator, shape (3,).
        complete: Whether there is nothing left to find but rounding.
    """

    nodes: Tensor
    leading: Tensor
    sampled: Tensor
    traces: Tensor
    complete: bool

    def trace(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Return the trace of a function of the operator, and every probe's deviation from it.

        The traces of 1, A and A^2 are known: only what a polynomial of degree 2 leaves of the
        function is summed with random weights (control variates).

        Args:
            values: The function at the nodes, shape (k,).
        """
        top = self.nodes.abs().max()
        powers = torch.stack(
            [torch.ones_like(self.nodes), self.nodes / top, (self.nodes / top) ** 2]
        )
        density = self.sampled.mean(dim=0).sqrt()
        fit = (
            torch.linalg.lstsq(
                (powers * density).mT.cpu(),
                (values * density)[:, None].cpu(),
                rcond=FIT_PRECISION,
                driver="gelsd",
            )
            .solution[:, 0]
            .to(values.device)
        )
        rest = values - fit @ powers
        known = fit @ (self.traces / torch.stack([top**0, top, top**2]))
        probes = self.sampled @ rest
        return known + self.leading @ rest + probes.mean(), probes - probes.mean()


def lanczos_entropy(
    operator: KernelOperator, *, power: float = 1.0, order: float = 1.0, probes: int = 16, seed: int
) -> LanczosEntropy:
    """Return the entropy of the eigenvalues of an operator, as `spectral.spectral_entropy`.

    Stochastic Lanczos quadrature with three refinements: a trace is summed exactly over as many
    leading directions as there are probes (Hutch++), traces of the first powers are known, and
    all directions share one block Krylov space with full reorthogonalization. One product with
    the operator per step; memory O(n probes steps).

    Args:
        operator: Positive semidefinite operator.
        power: Exponent of the eigenvalues, at least 1: smaller ones hang on rounding.
        order: Order of the entropy, positive.
        probes: Random probes, at least 2.
        seed: Of the probes.

    References:
        Ubaru, Chen, Saad (2017), SIAM J. Matrix Anal. Appl. 38, 1075 (Lanczos quadrature).
        Meyer, Musco, Musco, Woodruff (2021), SOSA, 142 (Hutch++).
    """
    traces = operator.traces()
    # The larger the power, the more the largest eigenvalues count: their directions are refined.
    products = 1 + min(MOST_REFINEMENTS, math.ceil(power))
    rounding = operator.rounding()
    value = math.inf
    for steps, spectrum in enumerate(_spectra(operator, traces, probes, products, seed), start=1):
        last, (value, error) = value, _entropy(spectrum, power, order)
        change = 0.0 if spectrum.complete else abs(value - last)
        settled = change <= max(SETTLED * abs(value), 0.25 * error, rounding)
        if settled and steps >= FEWEST_STEPS:
            break
    # What is left of a series of changes that fall as steps^-5, as those of -p log p at 0 do.
    error = math.hypot(error, 0.25 * steps * change, rounding)
    return LanczosEntropy(value, error, probes, steps, settled)


def _spectra(
    operator: KernelOperator, traces: Tensor, probes: int, products: int, seed: int
) -> Iterator[_Spectrum]:
    """Yield what is known of the spectrum after 1, 2, ... steps of the block recurrence."""
    leading, outside = _start(operator, probes, products, seed)
    block, first = torch.linalg.qr(torch.cat([leading, outside], dim=1))
    blocks, projected = [block], block.new_zeros(0, 0)
    precision = torch.finfo(operator.sample.dtype).eps
    for _ in range(MOST_STEPS):
        image = operator.product(blocks[-1])
        column = torch.cat([part.mT @ image for part in blocks])
        width = image.shape[1]
        projected = torch.nn.functional.pad(projected, (0, width, 0, width))
        projected[:, -width:] = column
        projected[-width:] = column.mT
        nodes, vectors = torch.linalg.eigh(projected)
        weights = (first.mT @ vectors[: block.shape[1]]).square()
        of_leading, of_probes = weights.split([leading.shape[1], probes])
        fresh = _independent(_without(blocks, image), precision * nodes.abs().max())
        fresh = fresh[:, : len(block) - len(nodes)]
        complete = not fresh.shape[1]
        yield _Spectrum(nodes, of_leading.sum(dim=0), of_probes, traces, complete)
        if complete:
            return
        blocks.append(torch.linalg.qr(_without(blocks, fresh))[0])


def _start(
    operator: KernelOperator, probes: int, products: int, seed: int
) -> tuple[Tensor, Tensor]:
    """Return leading directions, at most as many as probes, and probes outside of them."""
    # On the CPU, so that a seed means the same on every device.
    generator = torch.Generator().manual_seed(seed)
    shape, device = (len(operator.scales), probes), operator.scales.device
    leading = torch.randn(shape, generator=generator, dtype=torch.float64).to(device)
    signs = 2.0 * torch.randint(0, 2, shape, generator=generator).double() - 1.0
    precision = torch.finfo(operator.sample.dtype).eps
    for _ in range(products):
        image = operator.product(leading)
        leading = _independent(image, precision * torch.linalg.matrix_norm(image))
    return leading, _without([leading], signs.to(device))


def _independent(vectors: Tensor, least: Tensor) -> Tensor:
    """Return an orthonormal basis, (n, at most p), of vectors (n, p) but for small remainders."""
    basis, sizes, _ = torch.linalg.svd(vectors, full_matrices=False)
    return basis[:, sizes > least]


def _without(blocks: list[Tensor], vectors: Tensor) -> Tensor:
    """Return what is left of vectors outside of orthonormal blocks."""
    for _ in range(2):  # the second time removes the rounding of the first
        for block in blocks:
            vectors = vectors - block @ (block.mT @ vectors)
    return vectors


def _entropy(spectrum: _Spectrum, power: float, order: float) -> tuple[float, float]:
    """Return the entropy of the spectrum and the standard error by its probes."""
    weights = spectrum.nodes.clamp(min=0.0) ** power
    total, total_errors = spectrum.trace(weights)  # without error at powers 1 and 2
    shares, total_errors = weights / total, total_errors / total
    if order == 1.0:
        value, errors = spectrum.trace(-torch.special.xlogy(shares, shares))
        errors = errors + (1.0 - value) * total_errors
    else:
        if abs(order - 1.0) > NEAR_ONE:
            powers, errors = spectrum.trace(shares**order)
            log_powers = powers.log()
        else:
            logs = shares.where(shares > 0.0, 1.0).log()
            excess, errors = spectrum.trace(shares * torch.expm1((order - 1.0) * logs))
            powers, log_powers, errors = 1.0 + excess, torch.log1p(excess), errors + total_errors
        value = log_powers / (1.0 - order)
        errors = (errors / powers - order * total_errors) / (1.0 - order)
    return value.item(), (errors.std() / math.sqrt(len(errors))).item()
