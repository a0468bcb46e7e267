"""Laws of codes that are learned with the model: what a rate is measured against. Torch."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributions import (
    Categorical,
    Distribution,
    Independent,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
    kl_divergence,
)

from infoest._validation import check_int
from infoest.functional._scores import wide

# What a learned standard deviation is at least: softplus of a parameter, and this.
LEAST_STD = 1e-4


class DiagonalPrior(nn.Module):
    """Normal law of independent code columns, learned; standard at the start.

    Args:
        features: Number of code columns, at least 1.

    Raises:
        TypeError: If it is no integer.
        ValueError: If it is below 1.

    Example:
        >>> round(DiagonalPrior(2)().log_prob(torch.zeros(1, 2)).item(), 3)
        -1.838
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        check_int("features", features, low=1)
        self.mean = nn.Parameter(torch.zeros(features))
        self.raw_std = nn.Parameter(torch.full((features,), _raw(1.0)))

    def forward(self) -> Distribution:
        """Return the law of a code."""
        return Independent(Normal(self.mean, _std(self.raw_std), validate_args=False), 1)


class FullPrior(nn.Module):
    """Normal law with a covariance matrix, learned; standard at the start.

    Args:
        features: Number of code columns, at least 1.

    Raises:
        TypeError: If it is no integer.
        ValueError: If it is below 1.

    Example:
        >>> FullPrior(2)().covariance_matrix.round(decimals=3).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        check_int("features", features, low=1)
        self.mean = nn.Parameter(torch.zeros(features))
        self.raw_std = nn.Parameter(torch.full((features,), _raw(1.0)))
        self.lower = nn.Parameter(torch.zeros(features, features))

    def forward(self) -> Distribution:
        """Return the law of a code."""
        factor = self.lower.tril(-1) + _std(self.raw_std).diag()
        return MultivariateNormal(self.mean, scale_tril=factor, validate_args=False)


class MixturePrior(nn.Module):
    """Mixture of normal laws of independent code columns, learned.

    A rate against it is estimated from one draw of the code: unbiased, with its gradient.

    Args:
        features: Number of code columns, at least 1.
        components: Number of normal laws, at least 1; their means are drawn from the standard
            normal law by torch's generator.

    Raises:
        TypeError: If an argument is no integer.
        ValueError: If one is below 1.

    References:
        Tomczak, Welling (2018), AISTATS, section 3 (a mixture as prior).

    Example:
        >>> _ = torch.manual_seed(0)
        >>> MixturePrior(2, components=5)().log_prob(torch.zeros(7, 2)).shape
        torch.Size([7])
    """

    def __init__(self, features: int, components: int) -> None:
        super().__init__()
        check_int("features", features, low=1)
        check_int("components", components, low=1)
        self.mean = nn.Parameter(torch.randn(components, features))
        self.raw_std = nn.Parameter(torch.full((components, features), _raw(1.0)))
        self.logits = nn.Parameter(torch.zeros(components))

    def forward(self) -> Distribution:
        """Return the law of a code."""
        parts = Independent(Normal(self.mean, _std(self.raw_std), validate_args=False), 1)
        shares = Categorical(logits=self.logits, validate_args=False)
        return MixtureSameFamily(shares, parts, validate_args=False)


def rate_of(code: Distribution, prior: Distribution | nn.Module | None) -> Tensor:
    """Return the divergence KL(code || prior) of every row, summed over code columns, in nats.

    Closed forms where torch has one; of a mixture, log code - log prior at one draw.

    Args:
        code: Laws of the codes, see `as_code`.
        prior: A law, a module that returns one, or None for the standard normal law.

    Returns:
        Shape (n,).
    """
    law = prior() if isinstance(prior, nn.Module) else prior
    if law is None:
        zeros = torch.zeros_like(code.mean[:1])
        law = Independent(Normal(zeros, torch.ones_like(zeros), validate_args=False), 1)
    if isinstance(law, Normal):
        law = Independent(law, max(1, len(law.batch_shape)))
    if any(isinstance(one, MultivariateNormal) for one in (code, law)):
        code, law = _with_covariance(code), _with_covariance(law)
    try:
        return kl_divergence(code, law)
    except NotImplementedError:
        draw = code.rsample()
        return code.log_prob(draw) - law.log_prob(draw)


def as_code(distribution: object, name: str = "code_distribution") -> Distribution:
    """Return laws of codes, the argument called ``name``, as one law of a row each.

    In float32 at least.

    Raises:
        TypeError: If they are no normal laws of torch.
        ValueError: If they are not one law for every row.
    """
    if isinstance(distribution, Independent) and isinstance(distribution.base_dist, Normal):
        distribution = distribution.base_dist
    if isinstance(distribution, Normal):
        _check_rows(name, distribution.loc)
        mean, std = distribution.loc.flatten(1), distribution.scale.flatten(1)
        return Independent(Normal(wide(mean), wide(std), validate_args=False), 1)
    if isinstance(distribution, MultivariateNormal):
        _check_rows(name, distribution.loc)
        factor = wide(distribution.scale_tril)
        return MultivariateNormal(wide(distribution.loc), scale_tril=factor, validate_args=False)
    raise TypeError(
        f"{name} must be a Normal or MultivariateNormal of torch.distributions, got "
        f"{type(distribution).__name__}. GaussianBottleneck keeps one as its .distribution."
    )


def _check_rows(name: str, mean: Tensor) -> None:
    if mean.ndim < 2 or not mean.numel():
        raise ValueError(
            f"{name} must have shape (rows, columns), none of them 0, got {tuple(mean.shape)}."
        )


def _with_covariance(law: Distribution) -> Distribution:
    if isinstance(law, Independent) and isinstance(law.base_dist, Normal):
        factor = law.base_dist.scale.diag_embed()
        return MultivariateNormal(law.base_dist.loc, scale_tril=factor, validate_args=False)
    return law


def _std(raw: Tensor) -> Tensor:
    return nn.functional.softplus(raw) + LEAST_STD


def _raw(std: float) -> float:
    """Return the parameter of a standard deviation."""
    return float(torch.tensor(std - LEAST_STD, dtype=torch.float64).expm1().log())
