"""Stochastic code with Gaussian noise, the encoder's last layer of an information bottleneck."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal
from torch.nn.functional import softplus

from infoest._validation import check_int, check_number, check_option
from infoest.nn._bottleneck import Bottleneck, Parameters


class GaussianBottleneck(Bottleneck):
    """Return a code z ~ N(mean(x), covariance(x)) and keep its distribution.

    One linear layer gives mean and scale, std = softplus(s - softplus_shift) + min_std. In training
    z = mean + noise is drawn (reparametrized) from torch's generator; in evaluation z is the mean.

    Args:
        in_features: Number of columns of the input, at least 1.
        out_features: Number of dimensions of the code, at least 1.
        covariance: ``"diagonal"``, or ``"full"``: the Cholesky factor is diag(std) (I + N), N
            strictly lower triangular, relative to the diagonal so that no dimension starts with
            more noise than another. N is 0 at the start.
        std: ``"learned"``, a function of x; or the standard deviation of fixed noise, the same in
            every dimension, above 0: then ``covariance`` must be ``"diagonal"``, and ``min_std``
            and ``softplus_shift`` have no effect.
        min_std: Added to every learned standard deviation, above 0: the rate stays finite.
        softplus_shift: Taken off before the softplus; 5 starts with a std of about .007, so that
            training starts almost without noise.
        always: Whether codes are drawn in evaluation, too.

    Attributes:
        distribution: Of the last batch of codes, at least float32: `torch.distributions.Normal`
            of shape (n, ..., out_features), or `MultivariateNormal` if the covariance is full.
        mean: Its mean, shape (n, ..., out_features).
        std: Its standard deviation in every dimension, same shape.

    Raises:
        TypeError: If a size is not an integer, a number not one, or ``always`` not a bool.
        ValueError: If a size is below 1, a standard deviation not positive, an option unknown, or
            noise fixed and the covariance full.

    Note:
        What is kept holds the graph of the last batch until the next. It is no part of
        ``state_dict``, of copies and of pickles; reading it before a forward pass is a
        RuntimeError. After a pass through `DataParallel` it holds the rows of all replicas.

    References:
        Alemi, Fischer, Dillon, Murphy (2017), ICLR (std = softplus(s - 5)).

    Example:
        >>> _ = torch.manual_seed(0)
        >>> bottleneck = GaussianBottleneck(8, 2)
        >>> bottleneck(torch.randn(5, 8)).shape
        torch.Size([5, 2])
        >>> bottleneck.distribution
        Normal(loc: torch.Size([5, 2]), scale: torch.Size([5, 2]))
        >>> bottleneck.rate().item() > 0.0
        True
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        covariance: str = "diagonal",
        std: str | float = "learned",
        min_std: float = 1e-6,
        softplus_shift: float = 5.0,
        always: bool = False,
    ) -> None:
        check_int("out_features", out_features, low=1)
        check_option("covariance", covariance, ("diagonal", "full"))
        if isinstance(std, str):
            check_option("std", std, ("learned",), "Give a number for fixed noise.")
        else:
            check_number("std", std, low=0.0, open_low=True)
            if covariance == "full":
                raise ValueError(
                    f"covariance must be 'diagonal' with fixed noise, got 'full' and std={std!r}. "
                    "Fixed noise is the same in every dimension."
                )
        check_number("min_std", min_std, low=0.0, open_low=True)
        check_number("softplus_shift", softplus_shift)
        n_scales = 0 if not isinstance(std, str) else out_features
        n_below = out_features * (out_features - 1) // 2 if covariance == "full" else 0
        super().__init__(in_features, out_features + n_scales + n_below, always=always)
        self.out_features, self.covariance = out_features, covariance
        self.fixed_std = None if isinstance(std, str) else float(std)
        self.min_std, self.softplus_shift = min_std, softplus_shift
        with torch.no_grad():
            for weight in self.linear.parameters():
                weight[out_features + n_scales :] = 0.0

    def forward(self, x: Tensor) -> Tensor:
        """Return the code, shape (n, ..., out_features), in the dtype of the layer's weights.

        Args:
            x: Shape (n, ..., in_features), in the dtype of the layer or under autocast.

        Raises:
            TypeError: If x is not of the layer's dtype.
            ValueError: If x has another shape or device or, on a CPU, values that are not finite.
        """
        mean, scale = self._parameters_of(x)
        self._keep(mean, scale)
        if not self._draws():
            return self._code(mean)
        noise = torch.randn_like(mean)
        if self.covariance == "full":
            return self._code(mean + (scale @ noise.unsqueeze(-1)).squeeze(-1))
        return self._code(mean + scale * noise)

    @property
    def distribution(self) -> Normal | MultivariateNormal:
        """Distribution of the last batch of codes, differentiable in the weights and the input."""
        mean, scale = self._last()
        # Not validated: that would read values on the GPU.
        if self.covariance == "full":
            return MultivariateNormal(mean, scale_tril=scale, validate_args=False)
        return Normal(mean, scale, validate_args=False)

    @property
    def mean(self) -> Tensor:
        """Mean of the last batch of codes, shape (n, ..., out_features)."""
        return self._last()[0]

    @property
    def std(self) -> Tensor:
        """Standard deviation of the last batch of codes, shape (n, ..., out_features)."""
        scale = self._last()[1]
        return scale.square().sum(-1).sqrt() if self.covariance == "full" else scale

    def rate(self) -> Tensor:
        """Return KL(p(z | x) || N(0, I)) of the last batch in nats, a scalar of at least float32.

        1/2 (tr S + |mean|^2 - d - log det S) for the covariance S, summed over the d dimensions
        and averaged over the batch: an upper bound of I(X; Z), too large by
        KL(p(z) || N(0, I)). Differentiable in the weights and the input.
        """
        mean, scale = self._last()
        squares = scale.square()
        if self.covariance == "full":
            squares, scale = squares.sum(-1), scale.diagonal(dim1=-2, dim2=-1)
        # log std, not half the log of a variance, which underflows first.
        terms = 0.5 * (squares + mean.square() - 1.0) - scale.log()
        return terms.sum(-1).mean()

    def sample(self, n_samples: int = 1) -> Tensor:
        """Return more codes of the last batch, shape (n_samples, n, ..., out_features).

        Args:
            n_samples: Number of codes for every row, at least 1; 12 at test time in the paper.
        """
        check_int("n_samples", n_samples, low=1)
        return self._code(self.distribution.rsample(torch.Size((n_samples,))))

    def extra_repr(self) -> str:
        """Return the settings shown in the representation."""
        if self.fixed_std is not None:
            noise = f"std={self.fixed_std}"
        else:
            noise = f"min_std={self.min_std}, softplus_shift={self.softplus_shift}"
        return f"covariance={self.covariance!r}, {noise}, always={self.always}"

    def _parameters_of(self, x: Tensor) -> Parameters:
        raw = self._raw(x)
        mean = raw[..., : self.out_features]
        if self.fixed_std is not None:
            return mean, torch.full_like(mean, self.fixed_std)
        scale = raw[..., self.out_features : 2 * self.out_features]
        std = softplus(scale - self.softplus_shift) + self.min_std
        if self.covariance == "diagonal":
            return mean, std
        size = self.out_features
        factor = torch.eye(size, dtype=raw.dtype, device=raw.device).expand(*std.shape, size)
        rows, columns = torch.tril_indices(size, size, offset=-1, device=raw.device)
        factor = factor.clone()
        factor[..., rows, columns] = raw[..., 2 * size :]
        return mean, std.unsqueeze(-1) * factor
