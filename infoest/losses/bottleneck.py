"""Information-bottleneck losses of Gaussian codes: the rate by a prior or by a mixture. Torch."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn
from torch.distributions import Distribution, Normal

from infoest._validation import check_option
from infoest.functional import mixture_information_bounds
from infoest.functional._scores import may_read

from ._tasks import Distortion, check_values, distortion_of
from .priors import as_code, rate_of
from .weights import Schedule, TargetRate, Weight

LAGRANGIANS = ("linear", "squared", "exponential")
REDUCTIONS = ("mean", "sum", "none")


class VIBResult(NamedTuple):
    """Result of `VIBLoss`: loss = distortion + beta u(rate).

    Attributes:
        loss: To be minimized.
        rate: KL(code || prior) in nats, summed over code columns: an upper bound on I(X; Z).
        distortion: -log likelihood of the target in nats; H(Y) less it is a lower bound on I(Y; Z).
        beta: Weight of the step.
    """

    loss: Tensor
    rate: Tensor
    distortion: Tensor
    beta: float | Tensor


class VIBLoss(nn.Module):
    """Variational information bottleneck: distortion + beta u(rate), in nats.

    The rate R = E_x KL(e(z | x) || r(z)) is summed over code columns and averaged over rows, the
    distortion D = E[-log d(y | z)] is averaged over rows. beta = 0 is maximum likelihood, and
    beta = 1 the half-Bayesian value: an inverse temperature, not the beta of I(X;Z) - beta I(Z;Y).

    Args:
        beta: Weight of the rate: a number of at least 0, a schedule (step -> weight, counted from
            0, one more at every call in training), such as `WarmUp`, or a `TargetRate`.
        lagrangian: u: ``"linear"``, R; ``"squared"``, R^2; ``"exponential"``, exp(R) - 1. Where y
            is a function of x, as in classification, the linear one reaches only the curve's ends.
        prior: r: None is the standard normal law; else a law of ``torch.distributions``, or a
            module that returns one, such as `DiagonalPrior`, `FullPrior` and `MixturePrior`, whose
            parameters are the loss's: give them to the optimizer.
        distortion: (prediction, target) -> distortion of every row (n,), or its mean; None is the
            cross-entropy of logits for integer targets, half the squared error for others.
        reduction: ``"mean"`` and ``"sum"`` over rows, or ``"none"``, which keeps them (not for the
            convex Lagrangians, functions of the mean rate).

    Raises:
        TypeError: If beta is no number, schedule or controller.
        ValueError: If an argument is out of its range.

    Note:
        I(X; Z) <= rate with equality where the prior is the law of all codes; so a loss that is
        low says little of I(X; Z) while the prior is poor. The rate in published code is often
        averaged over code columns: multiply their beta by their number.

    References:
        Alemi, Fischer, Dillon, Murphy (2017), ICLR, eq. 17. Alemi et al. (2020), arXiv 2011.08711
        (beta = 1). Kolchinsky, Tracey, Van Kuyk (2019), ICLR (squared). Rodriguez Galvez, Thobaben,
        Skoglund (2020), Entropy 22, 98 (convex).

    Example:
        >>> import torch
        >>> code = Normal(torch.zeros(4, 2), torch.ones(4, 2))
        >>> result = VIBLoss(beta=0.1)(code, torch.zeros(4, 10), torch.tensor([0, 1, 2, 3]))
        >>> round(result.loss.item(), 4), result.rate.item()  # log 10 of a blind prediction
        (2.3026, 0.0)
    """

    def __init__(
        self,
        beta: float | Schedule | TargetRate = 1e-3,
        *,
        lagrangian: str = "linear",
        prior: Distribution | nn.Module | None = None,
        distortion: Distortion | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__()
        check_option("lagrangian", lagrangian, LAGRANGIANS)
        check_option("reduction", reduction, REDUCTIONS)
        if lagrangian != "linear" and reduction == "none":
            raise ValueError(
                f"reduction must be 'mean' or 'sum' with lagrangian={lagrangian!r}, got 'none'. It "
                "is a function of the mean rate."
            )
        if prior is not None and not isinstance(prior, (Distribution, nn.Module)):
            raise TypeError(
                "prior must be a law of torch.distributions, a module that returns one, or None, "
                f"got {prior!r}."
            )
        self.beta = Weight("beta", beta)
        self.lagrangian, self.prior, self.reduction = lagrangian, prior, reduction
        self.distortion = distortion_of if distortion is None else distortion

    def forward(
        self, code_distribution: Distribution, prediction: Tensor, target: Tensor
    ) -> VIBResult:
        """Return the loss and its parts.

        Args:
            code_distribution: Law of the code of every row: Normal (n, d), or MultivariateNormal.
            prediction: Of the decoder, from drawn codes: logits (n, classes), or numbers.
            target: Classes (n,), or numbers.

        Returns:
            Scalars, or shape (n,) with ``reduction="none"``.

        Raises:
            TypeError: If the code has another law, or an argument is no tensor.
            ValueError: If shapes do not fit, or (on the CPU) values are NaN, a class is out of
                range or a standard deviation is not positive.
        """
        code = as_code(code_distribution)
        check_code(code)
        rate = rate_of(code, self.prior)
        distortion = self.distortion(prediction, target)
        _check_rows(distortion, len(rate))
        beta = self.beta()
        mean_rate = rate.mean()
        if self.training:
            self.beta.advance(mean_rate)
        if self.reduction == "none":
            return VIBResult(distortion + beta * rate, rate, distortion, beta)
        parts = mean_rate, distortion.mean()
        loss = parts[1] + beta * _lagrangian(mean_rate, self.lagrangian)
        if self.reduction == "sum":
            n = len(rate)
            return VIBResult(n * loss, n * parts[0], n * parts[1], beta)
        return VIBResult(loss, *parts, beta)


class NonlinearIBResult(NamedTuple):
    """Result of `NonlinearIBLoss`: loss = distortion + beta u(rate).

    Attributes:
        loss: To be minimized.
        rate: Upper bound on I(X; Z) of the batch in nats, at most log n.
        lower: Lower bound on the same, in nats.
        distortion: -log likelihood of the target in nats.
        beta: Weight of the step.
    """

    loss: Tensor
    rate: Tensor
    lower: Tensor
    distortion: Tensor
    beta: float | Tensor


class NonlinearIBLoss(nn.Module):
    """Nonlinear information bottleneck: distortion + beta u(rate) without a prior, in nats.

    The law of all codes is the mixture of those of the batch, and the rate the bound on I(X; Z) of
    pairwise Kullback-Leibler divergences, -mean_i log mean_j exp(-KL(i || j)).

    Args:
        beta: Weight of the rate: a number of at least 0, a schedule (step -> weight), or a
            `TargetRate`.
        lagrangian: u: ``"linear"``, ``"squared"`` (as in the paper's later version), or
            ``"exponential"``, see `VIBLoss`.
        distortion: (prediction, target) -> distortion of every row (n,), or its mean; None is the
            cross-entropy of logits for integer targets, half the squared error for others.

    Raises:
        TypeError: If beta is no number, schedule or controller.
        ValueError: If an argument is out of its range.

    Note:
        The information of a batch is at most the log of its rows: where the rate comes near it,
        every row has a code of its own and the gradient is nearly gone. Take larger batches.

    References:
        Kolchinsky, Tracey, Wolpert (2019), Entropy 21, 1181, eqs. 10 and 12.

    Example:
        >>> import torch
        >>> mean = torch.tensor([[0.0], [3.0]])
        >>> code = Normal(mean, torch.ones(2, 1))
        >>> result = NonlinearIBLoss(beta=0.1)(code, mean, mean)
        >>> round(result.lower.item(), 3), round(result.rate.item(), 3)  # truth: 0.527
        (0.412, 0.682)
    """

    def __init__(
        self,
        beta: float | Schedule | TargetRate = 1e-2,
        *,
        lagrangian: str = "squared",
        distortion: Distortion | None = None,
    ) -> None:
        super().__init__()
        check_option("lagrangian", lagrangian, LAGRANGIANS)
        self.beta = Weight("beta", beta)
        self.lagrangian = lagrangian
        self.distortion = distortion_of if distortion is None else distortion

    def forward(
        self, code_distribution: Distribution, prediction: Tensor, target: Tensor
    ) -> NonlinearIBResult:
        """Return the loss and its parts.

        Args:
            code_distribution: Law of the code of every row, Normal (n, d), n at least 2.
            prediction: Of the decoder, from drawn codes: logits (n, classes), or numbers.
            target: Classes (n,), or numbers.

        Raises:
            TypeError: If the code has another law, or an argument is no tensor.
            ValueError: If there is one row, shapes do not fit, or (on the CPU) values are NaN, a
                class is out of range or a standard deviation is not positive.
        """
        code = as_code(code_distribution)
        if not isinstance(code_distribution, Normal):
            raise TypeError(
                "code_distribution must be a Normal with independent columns, got "
                f"{type(code_distribution).__name__}. Take VIBLoss for others."
            )
        check_code(code)
        if len(code.mean) < 2:
            raise ValueError(
                f"code_distribution must have at least 2 rows, got {len(code.mean)}: the law of "
                "all codes is that of the batch."
            )
        lower, rate = mixture_information_bounds(code.mean, code.stddev)
        distortion = self.distortion(prediction, target)
        _check_rows(distortion, len(code.mean))
        distortion, beta = distortion.mean(), self.beta()
        if self.training:
            self.beta.advance(rate)
        loss = distortion + beta * _lagrangian(rate, self.lagrangian)
        return NonlinearIBResult(loss, rate, lower, distortion, beta)


def _lagrangian(rate: Tensor, kind: str) -> Tensor:
    if kind == "squared":
        return rate.square()
    return rate.expm1() if kind == "exponential" else rate


def check_code(code: Distribution, name: str = "code_distribution") -> None:
    """Raise unless a law of codes, the argument called ``name``, is finite and not degenerate."""
    check_values(f"{name}.mean", code.mean)
    std = code.stddev
    if may_read(std) and not bool((std.detach() > 0.0).all()):
        raise ValueError(
            f"{name} must have positive standard deviations, got "
            f"{float(std.detach().min()):.3g}. Take softplus of a parameter, and a least value."
        )


def _check_rows(distortion: Tensor, n: int) -> None:
    if distortion.ndim and len(distortion) != n:
        raise ValueError(f"prediction must have a row for every code, {n}, got {len(distortion)}.")
