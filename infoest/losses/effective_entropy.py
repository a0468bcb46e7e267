"""Entropy of every code column and how far columns go together: a loss for representations."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from infoest._validation import check_number, check_option
from infoest.functional import spacing_entropy
from infoest.functional._scores import wide

from ._tasks import check_values

SQUASHES = {"normal_cdf": torch.special.ndtr, "sigmoid": torch.sigmoid}


class EffectiveEntropyResult(NamedTuple):
    """Result of `EffectiveEntropyLoss`.

    loss = covariance_weight covariance - entropy_weight entropy.

    Attributes:
        loss: To be minimized.
        entropy: Mean over columns of the m-spacing entropy of squashed codes in nats, about 0 at
            most, its value for uniform columns.
        covariance: Sum of the squared covariances of two columns, over the number of columns.
    """

    loss: Tensor
    entropy: Tensor
    covariance: Tensor


class EffectiveEntropyLoss(nn.Module):
    """Effective entropy maximization: columns uniform after squashing, and uncorrelated.

    With u = squash(z), h_j the m-spacing entropy of column j (m = round(sqrt(n))) and C the
    covariance matrix of u, loss = -entropy_weight mean_j h_j
    + covariance_weight sum_{a != b} C_ab^2 / d.

    Args:
        squash: To (0, 1): ``"normal_cdf"``, or ``"sigmoid"``.
        entropy_weight: At least 0.
        covariance_weight: At least 0.

    Raises:
        TypeError: If a weight is no number.
        ValueError: If squash is unknown or a weight negative.

    Note:
        Uniform uncorrelated columns may still depend on each other: no bound on a joint entropy.
        Ties, and columns that saturate, have finite entropy and no gradient of it. Add it to a loss
        of one's own, for each view.

    References:
        Chakraborty, LeCun, Rudner, Learned-Miller (2025), AISTATS, arXiv 2411.15931.

    Example:
        >>> grid = torch.arange(1, 100, dtype=torch.float64)[:, None] / 100.0
        >>> result = EffectiveEntropyLoss()(torch.special.ndtri(grid))
        >>> bool(result.entropy.abs() < 1e-12), result.covariance.item()
        (True, 0.0)
    """

    def __init__(
        self,
        *,
        squash: str = "normal_cdf",
        entropy_weight: float = 10.0,
        covariance_weight: float = 1.0,
    ) -> None:
        super().__init__()
        check_option("squash", squash, SQUASHES)
        self.squash = squash
        self.entropy_weight = check_number("entropy_weight", entropy_weight, low=0.0)
        self.covariance_weight = check_number("covariance_weight", covariance_weight, low=0.0)

    def forward(self, z: Tensor) -> EffectiveEntropyResult:
        """Return the loss and its parts.

        Args:
            z: Codes, shape (n, d), n at least 2.

        Returns:
            Scalars, differentiable in z.

        Raises:
            TypeError: If z is no floating-point tensor.
            ValueError: If it has another shape, one row, or (on the CPU) values are not finite.
        """
        check_values("z", z)
        if z.ndim != 2 or len(z) < 2:
            raise ValueError(
                f"z must have shape (n, d) with at least 2 rows, got {tuple(z.shape)}. Entropy and "
                "covariance are those of the batch."
            )
        u = SQUASHES[self.squash](wide(z))
        entropy = spacing_entropy(u).mean()
        # Of wide columns: half precision inside autocast would lose the covariance.
        centered = (u - u.mean(dim=0)).double()
        products = centered.T @ centered / (len(u) - 1)
        squares = products.square()
        covariance = ((squares.sum() - squares.diagonal().sum()) / z.shape[1]).to(u.dtype)
        loss = self.covariance_weight * covariance - self.entropy_weight * entropy
        return EffectiveEntropyResult(loss, entropy, covariance)
