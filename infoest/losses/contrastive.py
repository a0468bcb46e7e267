"""Losses of two views of the same samples: contrast, and the multi-view bottleneck. Torch."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from infoest._validation import check_bool, check_number
from infoest.functional import infonce
from infoest.functional._scores import wide
from infoest.training import gather_rows

from ._tasks import check_values
from .bottleneck import check_code
from .penalty import Measure, bound_of, scalar_of
from .priors import as_code, rate_of
from .weights import Schedule, TargetRate, Weight


class InfoNCEResult(NamedTuple):
    """Result of `InfoNCELoss`: loss = log n - information.

    Attributes:
        loss: To be minimized: the cross-entropy of finding the partner among n, in nats.
        information: Lower bound on I(z_a; z_b) in nats, at most log n.
    """

    loss: Tensor
    information: Tensor


class InfoNCELoss(nn.Module):
    """Contrast of two views: -mean_i log softmax_j(s_ij)_i, s_ij = cos(z_a_i, z_b_j) / temperature.

    Every row of one view is to find its partner among the n rows of the other:
    log n - `infoest.functional.infonce` of the scores.

    Args:
        temperature: Divides the cosines, positive; 0.07 to 0.5 in published work.
        symmetric: Mean of both directions, a among all b and b among all a.
        gather: Whether the candidates are the rows of all processes of torch.distributed, with
            gradients (`infoest.training.gather_rows`): the loss and, where gradients are averaged
            over processes, as by DistributedDataParallel, their gradient are those of the joined
            batch. Batches have one size; n is the total.

    Raises:
        TypeError: If an argument is of another type.
        ValueError: If the temperature is not positive.

    Note:
        The information is never above log n, nor above 2 / temperature. Rows of the same view are
        no candidates, unlike in NT-Xent (SimCLR). Cosines ignore the length of a row; a row of
        zeros has cosine 0 with all others and no gradient.

    References:
        van den Oord, Li, Vinyals (2018), arXiv 1807.03748, eq. 4. Radford et al. (2021), ICML
        (symmetric, two encoders).

    Example:
        >>> import torch
        >>> z = torch.eye(4)
        >>> result = InfoNCELoss(temperature=0.1)(z, z)
        >>> round(result.loss.item(), 6), round(result.information.item(), 4)  # log(1 + 3 / e^10)
        (0.000136, 1.3862)
    """

    def __init__(
        self, temperature: float = 0.1, *, symmetric: bool = True, gather: bool = False
    ) -> None:
        super().__init__()
        check_bool("symmetric", symmetric)
        check_bool("gather", gather)
        self.temperature = check_number("temperature", temperature, low=0.0, open_low=True)
        self.symmetric, self.gather = symmetric, gather

    def forward(self, z_a: Tensor, z_b: Tensor) -> InfoNCEResult:
        """Return the loss and the information.

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
        if self.gather:
            # Checked when joined: an error in one process alone would leave the others waiting.
            z_a, z_b = gather_rows(z_a), gather_rows(z_b)
        _check_views(z_a, z_b)
        with torch.autocast(z_a.device.type, enabled=False):
            scores = directions(z_a) @ directions(z_b).T / self.temperature
            information = infonce(scores)
            if self.symmetric:
                information = 0.5 * (information + infonce(scores.T))
        return InfoNCEResult(math.log(len(scores)) - information, information)

    def extra_repr(self) -> str:
        """Return the settings for the repr."""
        return f"{self.temperature}, symmetric={self.symmetric}, gather={self.gather}"


class MultiViewIBResult(NamedTuple):
    """Result of `MultiViewIBLoss`: loss = beta divergence - information.

    Attributes:
        loss: To be minimized.
        information: Of the drawn codes, in nats; a lower bound on I(z_a; z_b) by default.
        divergence: Symmetric KL of both codes in nats, summed over code columns.
        beta: Weight of the step.
    """

    loss: Tensor
    information: Tensor
    divergence: Tensor
    beta: float | Tensor


class MultiViewIBLoss(nn.Module):
    """Multi-view information bottleneck: -I(z_a; z_b) + beta D_SKL(p(z_a | v_a); p(z_b | v_b)).

    D_SKL is the mean of KL(p_a || p_b) and KL(p_b || p_a), in closed form, summed over code
    columns and averaged over rows. It bounds what the codes hold of one view alone,
    I(z_a; v_a | v_b) and I(z_b; v_b | v_a) in the mean: no label is needed.

    Args:
        beta: Weight of the divergence: a number of at least 0, a schedule (step -> weight), such
            as `WarmUp` (the authors let it grow, to 1), or a `TargetRate`.
        information: (z_a, z_b) -> scalar tensor, to be maximized; None is ``InfoNCELoss()``. An
            `InfoNCELoss` with other settings counts by its information, any other callable by the
            scalar that it returns, and a module's parameters are the loss's.

    Raises:
        TypeError: If beta is no number, schedule or controller, or information not callable.
        ValueError: If beta is below 0 or information is an upper bound.

    Note:
        The authors take the Jensen-Shannon bound with a critic network. The default's information
        is at most log n.

    References:
        Federici, Dutta, Forre, Kushman, Akata (2020), ICLR, section 3.2.

    Example:
        >>> import torch
        >>> law = torch.distributions.Normal(torch.eye(4), torch.ones(4, 4))
        >>> other = torch.distributions.Normal(torch.eye(4) + 1.0, torch.ones(4, 4))
        >>> result = MultiViewIBLoss(beta=0.1)(law, other, law.mean, law.mean)
        >>> round(result.divergence.item(), 4)  # 4 columns of 1/2
        2.0
    """

    def __init__(
        self,
        beta: float | Schedule | TargetRate = 1e-3,
        *,
        information: Measure | InfoNCELoss | None = None,
    ) -> None:
        super().__init__()
        self.beta = Weight("beta", beta)
        self.information = InfoNCELoss() if information is None else information
        if bound_of("information", self.information) == "upper":
            raise ValueError(
                "information must not be an upper bound: maximizing it makes it loose. Take a "
                "lower bound, such as InfoNCELoss()."
            )

    def forward(
        self, code_a: Distribution, code_b: Distribution, z_a: Tensor, z_b: Tensor
    ) -> MultiViewIBResult:
        """Return the loss and its parts.

        Args:
            code_a: Law of the code of every row of the first view: Normal (n, d), or
                MultivariateNormal.
            code_b: The same of the second view.
            z_a: Draws from the first, shape (n, d), with gradient (``rsample``).
            z_b: Draws from the second.

        Returns:
            Scalars.

        Raises:
            TypeError: If a code has another law, or a draw is no floating-point tensor.
            ValueError: If shapes do not fit, there is one row, or (on the CPU) values are not
                finite or a standard deviation not positive.
        """
        law_a, law_b = as_code(code_a, "code_a"), as_code(code_b, "code_b")
        check_code(law_a, "code_a")
        check_code(law_b, "code_b")
        _check_views(z_a, z_b)
        for name, one in (("code_b", law_b.mean), ("z_a", z_a)):
            if one.shape != law_a.mean.shape:
                raise ValueError(
                    f"{name} must have the shape of code_a, {tuple(law_a.mean.shape)}, got "
                    f"{tuple(one.shape)}."
                )
        divergence = 0.5 * (rate_of(law_a, law_b) + rate_of(law_b, law_a)).mean()
        information = self._measured(z_a, z_b)
        beta = self.beta()
        if self.training:
            self.beta.advance(divergence)
        return MultiViewIBResult(beta * divergence - information, information, divergence, beta)

    def _measured(self, z_a: Tensor, z_b: Tensor) -> Tensor:
        value = self.information(z_a, z_b)
        if isinstance(value, InfoNCEResult):
            return value.information
        return scalar_of("information", value)


def _check_views(z_a: Tensor, z_b: Tensor) -> None:
    check_values("z_a", z_a)
    check_values("z_b", z_b)
    if z_a.ndim != 2 or len(z_a) < 2:
        raise ValueError(
            f"z_a must have shape (n, d) with n at least 2, got {tuple(z_a.shape)}: one row has "
            "nothing to be told from."
        )
    if z_b.shape != z_a.shape:
        raise ValueError(
            f"z_b must have the shape of z_a, {tuple(z_a.shape)}, got {tuple(z_b.shape)}."
        )


def directions(z: Tensor) -> Tensor:
    """Return rows of length 1; rows of zeros stay, with gradient 0."""
    z = wide(z)
    # The largest entry is taken out first: squares of large numbers overflow.
    largest = z.detach().abs().amax(dim=1, keepdim=True)
    zero = largest == 0.0
    # Both branches are differentiated: the one not taken must be finite, too.
    scaled = (z / largest.masked_fill(zero, 1.0)).masked_fill(zero, 1.0)
    return nn.functional.normalize(scaled, dim=1).masked_fill(zero, 0.0)
