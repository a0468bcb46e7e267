"""Conditional densities q(y | x) as critics: (x, y) -> (n, m), log q(y_j | x_i) in nats."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from ._scorers import Scorer

WIDTH, COMPONENTS = 256, 8
# The linear part learns faster than the network, which else fits noise first: normal pairs of
# n = 2000, d = 5 and I = 1 then read .06 below the exact density's value, .08 to .14 without.
NETWORK_SHARE = 1.0 / 16.0
# Numbers held at once for densities of pairs without gradients: 16 MB in float32.
BLOCK_ENTRIES = 2**22
# Standard deviations lie between exp(-8) and exp(8): repeated values of y have no density.
LARGEST_LOG_SCALE = 8.0
# Root mean square of the components' first means: apart, and with the rest still nearly normal.
FIRST_SPREAD = 0.5
# Variance 1 in all.
FIRST_LOG_SCALE = 0.5 * math.log(1.0 - FIRST_SPREAD**2)
HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)


class Decoder(nn.Module):
    """A law of y for every x, given by a network with a linear part that is 0 at the start.

    The network runs on the rows of x, the density on all pairs, by blocks of rows.

    Args:
        features_x: Number of columns of x, at least 1.
        features_y: Number of columns of y, at least 1.
        outputs: Numbers that give a law.
        width: Hidden units.
    """

    pairs_are_cheap: ClassVar[bool] = True

    def __init__(self, features_x: int, features_y: int, outputs: int, width: int) -> None:
        super().__init__()
        self.arguments = {"features_x": features_x, "features_y": features_y, "width": width}
        self.features_y = features_y
        self.linear = nn.Linear(features_x, outputs)
        last = nn.Linear(width, outputs, bias=False)
        for weight in (*self.linear.parameters(), last.weight):
            nn.init.zeros_(weight)
        self.network = nn.Sequential(nn.Linear(features_x, width), nn.ReLU(), last)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return log q(y_j | x_i), shape (n, m).

        Args:
            x: Shape (n, features_x).
            y: Shape (m, features_y).
        """
        laws = self.laws(x)
        rows = max(1, BLOCK_ENTRIES // max(1, len(y) * laws.shape[1]))
        return torch.cat([self.log_density(law[:, None], y) for law in laws.split(rows)])

    def paired(self, x: Tensor, y: Tensor) -> Tensor:
        """Return log q(y_i | x_i), shape (n,)."""
        return self.log_density(self.laws(x), y)

    def laws(self, x: Tensor) -> Tensor:
        """Return the numbers that give the law of y for every row, shape (n, outputs)."""
        laws: Tensor = self.linear(x) + NETWORK_SHARE * self.network(x)
        return laws

    @abstractmethod
    def log_density(self, laws: Tensor, y: Tensor) -> Tensor:
        """Return log densities in nats, in the shape that both without last axes broadcast to."""


class GaussianDecoder(Decoder):
    """Normal law; the standard normal one at the start.

    Args:
        features_x: Number of columns of x, at least 1.
        features_y: Number of columns of y, at least 1.
        full: Whether columns of y may depend on each other given x.
        width: Hidden units.
    """

    def __init__(
        self, features_x: int, features_y: int, *, full: bool = True, width: int = WIDTH
    ) -> None:
        n_below = features_y * (features_y - 1) // 2 if full else 0
        super().__init__(features_x, features_y, 2 * features_y + n_below, width)
        self.arguments["full"] = full
        self.n_below = n_below

    def log_density(self, laws: Tensor, y: Tensor) -> Tensor:
        """Return log densities."""
        d = self.features_y
        mean, log_scale, below = laws.split([d, d, self.n_below], dim=-1)
        log_scale = _bounded(log_scale)
        white = (y - mean) * (-log_scale).exp()
        if self.n_below:
            # White noise is L (y - mean), L lower triangular with 1 / scale on its diagonal.
            rows, columns = torch.tril_indices(d, d, -1, device=laws.device)
            lower = laws.new_zeros(*laws.shape[:-1], d, d)
            lower[..., rows, columns] = below
            white = white + torch.einsum("...k,...jk->...j", y - mean, lower)
        return -(0.5 * white.square() + log_scale + HALF_LOG_2PI).sum(dim=-1)


class MixtureDecoder(Decoder):
    """Mixture of normal laws with diagonal covariances; nearly the standard normal at the start.

    Args:
        features_x: Number of columns of x, at least 1.
        features_y: Number of columns of y, at least 1.
        components: Number of normal laws, at least 2.
        width: Hidden units.
    """

    centers: Tensor

    def __init__(
        self, features_x: int, features_y: int, *, components: int = COMPONENTS, width: int = WIDTH
    ) -> None:
        super().__init__(features_x, features_y, components * (2 * features_y + 1), width)
        self.arguments["components"] = components
        self.components = components
        # Equal components would have equal gradients and stay equal.
        centers = torch.randn(components, features_y)
        centers = centers - centers.mean(dim=0)
        rms = centers.square().mean(dim=0).sqrt()
        self.register_buffer("centers", FIRST_SPREAD * centers / rms)

    def log_density(self, laws: Tensor, y: Tensor) -> Tensor:
        """Return log densities."""
        k, d = self.components, self.features_y
        logits, mean, log_scale = laws.split([k, k * d, k * d], dim=-1)
        mean = mean.unflatten(-1, (k, d)) + self.centers
        log_scale = _bounded(log_scale).unflatten(-1, (k, d)) + FIRST_LOG_SCALE
        white = (y[..., None, :] - mean) * (-log_scale).exp()
        parts = -(0.5 * white.square() + log_scale + HALF_LOG_2PI).sum(dim=-1)
        return (parts + logits.log_softmax(dim=-1)).logsumexp(dim=-1)


class CategoricalDecoder(Decoder):
    """Probabilities of labels, given as indicator columns; uniform at the start.

    Args:
        features_x: Number of columns of x, at least 1.
        features_y: Number of labels, at least 1.
        width: Hidden units.
    """

    def __init__(self, features_x: int, features_y: int, *, width: int = WIDTH) -> None:
        super().__init__(features_x, features_y, features_y, width)

    def log_density(self, laws: Tensor, y: Tensor) -> Tensor:
        """Return log probabilities."""
        return (laws.log_softmax(dim=-1) * y).sum(dim=-1)


class DensityScorer(Scorer):
    """A conditional density, alone or relative to a density of y: log q(y_j | x_i) - log q(y_j).

    Args:
        critic: Module (x, y) -> log q(y_j | x_i); one with a method ``paired`` is asked for joint
            pairs alone where these are enough.
        labels: Whether y holds indicators of labels.
        marginal: The same kind of module, given a constant for x, or None.
    """

    def __init__(self, critic: nn.Module, *, labels: bool, marginal: Decoder | None = None) -> None:
        super().__init__(critic)
        self.labels, self.marginal = labels, marginal

    def forward(self, x: Tensor, y: Tensor, positions: Tensor) -> Tensor:
        """Return scores, shape (b, m); in training mode log likelihoods of joint pairs, (b, 1).

        Args:
            x: Shape (b, ...).
            y: Shape (m, ...).
            positions: Row of y that is the partner of every row of x, shape (b,).
        """
        if self.training:
            return self.log_likelihood(x, y, positions)[:, None]
        scores = super().forward(x, y, positions)
        return scores if self.marginal is None else scores - self._log_marginal(y)

    def log_likelihood(self, x: Tensor, y: Tensor, positions: Tensor) -> Tensor:
        """Return what is trained, log q(y | x) of joint pairs plus log q(y), shape (b,)."""
        partners = y[positions]
        if isinstance(self.critic, Decoder):
            found = self.critic.paired(x, partners)
        else:
            found = super().forward(x, partners, positions).diagonal()
        return found if self.marginal is None else found + self._log_marginal(partners)

    def _log_marginal(self, y: Tensor) -> Tensor:
        if self.marginal is None:
            return y.new_zeros(len(y))
        # One law for all rows.
        return self.marginal.log_density(self.marginal.laws(y.new_zeros(1, 1)), y)


def decoder_of(kind: str, features_x: int, features_y: int) -> Decoder:
    """Return a decoder by its name: ``"categorical"`` or one of the estimators' ``decoder``."""
    if kind == "categorical":
        return CategoricalDecoder(features_x, features_y)
    if kind == "mixture":
        return MixtureDecoder(features_x, features_y)
    return GaussianDecoder(features_x, features_y, full=kind == "gaussian")


def _bounded(log_scale: Tensor) -> Tensor:
    """Return log scales within their limits; the identity near 0, smooth everywhere."""
    return LARGEST_LOG_SCALE * (log_scale / LARGEST_LOG_SCALE).tanh()
