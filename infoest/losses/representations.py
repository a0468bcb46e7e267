"""Losses of how much room representations take up: coding rates, and VICReg. Torch."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from infoest._validation import check_bool, check_number
from infoest.functional import coding_rate, vicreg_terms
from infoest.functional._scores import may_read

from ._tasks import check_values, holds_integers
from .contrastive import directions


class CodingRateResult(NamedTuple):
    """Result of `CodingRateLoss`: loss = within_rate - rate.

    Attributes:
        loss: To be minimized.
        rate: Of all representations, in nats per sample.
        within_rate: Mean over samples of the rate of their class in nats, 0 without labels.
    """

    loss: Tensor
    rate: Tensor
    within_rate: Tensor


class CodingRateLoss(nn.Module):
    """Maximal coding rate reduction: sum_c n_c/n R(Z_c) - R(Z), in nats per sample.

    R(Z) = 1/2 log det(I + d / (n epsilon^2) Z' Z), `infoest.functional.coding_rate`, Z_c the n_c
    rows of class c. Without labels the loss is -R(Z): representations fill all directions.

    Args:
        epsilon: Precision in the unit of z, positive; 0.5 is the published value for rows of
            length 1.
        normalize: Whether rows are brought to length 1, without which the rate has no limit.

    Raises:
        TypeError: If an argument is of another type.
        ValueError: If epsilon is not positive.

    Note:
        Not an estimate of an information. The reduction is never negative. Classes are looked up
        in every call, which on a GPU waits for it; without labels nothing does.

    References:
        Yu, Chan, You, Song, Ma (2020), NeurIPS, eqs. 7 and 8 (MCR2).

    Example:
        >>> import torch
        >>> z = torch.eye(2).repeat_interleave(2, dim=0)
        >>> result = CodingRateLoss(epsilon=0.5)(z, torch.tensor([0, 0, 1, 1]))
        >>> round(result.rate.item(), 4), round(result.within_rate.item(), 4)  # log 5, log(9) / 2
        (1.6094, 1.0986)
    """

    def __init__(self, epsilon: float = 0.5, *, normalize: bool = True) -> None:
        super().__init__()
        check_bool("normalize", normalize)
        self.epsilon = check_number("epsilon", epsilon, low=0.0, open_low=True)
        self.normalize = normalize

    def forward(self, z: Tensor, labels: Tensor | None = None) -> CodingRateResult:
        """Return the loss and its parts.

        Args:
            z: Representations, shape (n, d).
            labels: Classes, integers of at least 0, shape (n,); or None.

        Returns:
            Scalars.

        Raises:
            TypeError: If z is no floating-point tensor or the labels are no integers.
            ValueError: If shapes do not fit, or (on the CPU) values are not finite or a label is
                negative.
        """
        check_values("z", z)
        if z.ndim != 2:
            raise ValueError(f"z must have shape (n, d), got {tuple(z.shape)}.")
        rows = directions(z) if self.normalize else z
        rate = coding_rate(rows, self.epsilon)
        within = torch.zeros_like(rate)
        if labels is not None:
            _check_labels(labels, z)
            for label in labels.unique():
                own = rows[labels == label]
                within = within + len(own) / len(z) * coding_rate(own, self.epsilon)
        return CodingRateResult(within - rate, rate, within)

    def extra_repr(self) -> str:
        """Return the settings for the repr."""
        return f"{self.epsilon}, normalize={self.normalize}"


class VICRegResult(NamedTuple):
    """Result of `VICRegLoss`: the loss is the weighted sum of the terms, which are unweighted.

    Attributes:
        loss: To be minimized.
        invariance: Mean squared difference of both views.
        variance: Missing standard deviation per feature, summed over both views.
        covariance: Squared covariances between features, over d and summed over views.
    """

    loss: Tensor
    invariance: Tensor
    variance: Tensor
    covariance: Tensor


class VICRegLoss(nn.Module):
    """Variance-invariance-covariance regularization of two views, a weighted sum of three terms.

    The terms are those of `infoest.functional.vicreg_terms`, without a unit.

    Args:
        invariance_weight: At least 0.
        variance_weight: At least 0.
        covariance_weight: At least 0.

    Raises:
        TypeError: If a weight is no number.
        ValueError: If one is below 0.

    Note:
        No information: variance and covariance are in place of an entropy of z, as if it were
        Gaussian. The weights are those of the paper; its released code halves the variance term.

    References:
        Bardes, Ponce, LeCun (2022), ICLR, eq. 6.

    Example:
        >>> import torch
        >>> z = torch.tensor([[3.0, 0.0], [-3.0, 0.0]])
        >>> result = VICRegLoss()(z, z)
        >>> round(result.loss.item(), 4)  # 25 times 0.99: the second feature is dead
        24.75
    """

    def __init__(
        self,
        *,
        invariance_weight: float = 25.0,
        variance_weight: float = 25.0,
        covariance_weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.invariance_weight = check_number("invariance_weight", invariance_weight, low=0.0)
        self.variance_weight = check_number("variance_weight", variance_weight, low=0.0)
        self.covariance_weight = check_number("covariance_weight", covariance_weight, low=0.0)

    def forward(self, z_a: Tensor, z_b: Tensor) -> VICRegResult:
        """Return the loss and its terms.

        Args:
            z_a: Representations of the first view, shape (n, d), n at least 2.
            z_b: Those of the second, same shape; row i of both is the same sample.

        Returns:
            Scalars.

        Raises:
            TypeError: If a view is no floating-point tensor.
            ValueError: If shapes do not fit, there is one row, or (on the CPU) values are not
                finite.
        """
        invariance, variance, covariance = vicreg_terms(z_a, z_b)
        loss = (
            self.invariance_weight * invariance
            + self.variance_weight * variance
            + self.covariance_weight * covariance
        )
        return VICRegResult(loss, invariance, variance, covariance)


def _check_labels(labels: Tensor, z: Tensor) -> None:
    if not holds_integers(labels):
        shown = labels.dtype if isinstance(labels, Tensor) else type(labels).__name__
        raise TypeError(f"labels must be a tensor of integers or None, got {shown}.")
    if labels.shape != z.shape[:1]:
        raise ValueError(
            f"labels must hold one class for each of the {len(z)} rows of z, got shape "
            f"{tuple(labels.shape)}."
        )
    if may_read(labels) and int(labels.min()) < 0:
        raise ValueError(
            f"labels must be at least 0, got {int(labels.min())}. Leave out unlabeled rows."
        )
