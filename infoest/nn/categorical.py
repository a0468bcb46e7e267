"""Stochastic code of symbols, with a straight-through gradient."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import Categorical
from torch.nn.functional import one_hot

from infoest._validation import check_int, check_number
from infoest.nn._bottleneck import Bottleneck


class CategoricalBottleneck(Bottleneck):
    """Return codes of one symbol each, one-hot, and keep their probabilities.

    One linear layer gives logits, p = softmax(logits) for every code. In training a symbol is
    drawn from p (Gumbel-max, torch's generator), in evaluation it is the most probable one. The
    gradient is straight-through: that of softmax((logits + g) / temperature), g the Gumbel noise
    of the draw (0 in evaluation).

    Args:
        in_features: Number of columns of the input, at least 1.
        n_codes: Number of codes, at least 1.
        n_symbols: Number of symbols of a code, at least 2.
        temperature: Of the softmax that the gradient comes from, above 0; neither the draws nor
            the probabilities depend on it. Lower is less biased and has a larger variance.
        always: Whether symbols are drawn in evaluation, too.

    Attributes:
        distribution: Of the last batch, a `torch.distributions.Categorical` of batch shape
            (n, ..., n_codes), whose values are the symbols as integers.
        probabilities: Of the symbols in the last batch, shape (n, ..., n_codes, n_symbols), at
            least float32, differentiable: what `infoest.functional.code_information` takes.

    Raises:
        TypeError: If a size is not an integer, temperature not a number, or ``always`` not a bool.
        ValueError: If a size is too small, or temperature not positive.

    Note:
        The gradient through the symbols is biased; those of ``probabilities`` and ``rate()`` are
        exact. What is kept holds the graph of the last batch until the next; it is no part of
        ``state_dict``, of copies and of pickles, and reading it before a forward pass is a
        RuntimeError.

    References:
        Bengio, Leonard, Courville (2013), arXiv 1308.3432. Jang, Gu, Poole (2017), ICLR.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> bottleneck = CategoricalBottleneck(8, n_codes=3, n_symbols=4)
        >>> codes = bottleneck(torch.randn(5, 8))
        >>> codes.shape, codes.sum(-1).unique().item()
        (torch.Size([5, 3, 4]), 1.0)
        >>> bottleneck.rate().item() < 3 * math.log(4)
        True
    """

    def __init__(
        self,
        in_features: int,
        n_codes: int,
        n_symbols: int,
        *,
        temperature: float = 1.0,
        always: bool = False,
    ) -> None:
        check_int("n_codes", n_codes, low=1)
        check_int("n_symbols", n_symbols, low=2)
        check_number("temperature", temperature, low=0.0, open_low=True)
        super().__init__(in_features, n_codes * n_symbols, always=always)
        self.n_codes, self.n_symbols, self.temperature = n_codes, n_symbols, temperature

    def forward(self, x: Tensor) -> Tensor:
        """Return one-hot codes, shape (n, ..., n_codes, n_symbols), in the dtype of the weights.

        Args:
            x: Shape (n, ..., in_features), in the dtype of the layer or under autocast. Flatten
                the codes (`torch.nn.Flatten`) before a linear layer.

        Raises:
            TypeError: If x is not of the layer's dtype.
            ValueError: If x has another shape or device or, on a CPU, values that are not finite.
        """
        logits = self._raw(x).unflatten(-1, (self.n_codes, self.n_symbols))
        self._keep(logits)
        if self._draws():
            # -log of an exponential is Gumbel; an exponential that rounds to 0 would give infinity.
            waiting = torch.empty_like(logits).exponential_()
            logits = logits - waiting.clamp_min(torch.finfo(logits.dtype).tiny).log()
        soft = (logits / self.temperature).softmax(-1)
        hard = one_hot(logits.argmax(-1), self.n_symbols).to(soft.dtype)
        # In this order the value is the symbol to the last digit.
        return self._code(hard + (soft - soft.detach()))

    @property
    def distribution(self) -> Categorical:
        """Distribution of the last batch of codes, differentiable in the weights and the input."""
        # Not validated, and not the one-hot law, which always is: that reads values on the GPU.
        return Categorical(logits=self._last()[0], validate_args=False)

    @property
    def probabilities(self) -> Tensor:
        """Probabilities of the symbols in the last batch, shape (n, ..., n_codes, n_symbols)."""
        return self._last()[0].softmax(-1)

    def rate(self) -> Tensor:
        """Return KL(p(z | x) || uniform) of the last batch in nats, a scalar of at least float32.

        sum_k p_k log p_k + log n_symbols, summed over codes and averaged over the batch: an upper
        bound of I(X; Z), at most n_codes log n_symbols. Differentiable.
        """
        log_p = self._last()[0].log_softmax(-1)
        negative_entropies = (log_p.exp() * log_p).sum(-1)
        return (negative_entropies + math.log(self.n_symbols)).sum(-1).mean()

    def extra_repr(self) -> str:
        """Return the settings shown in the representation."""
        return (
            f"n_codes={self.n_codes}, n_symbols={self.n_symbols}, "
            f"temperature={self.temperature}, always={self.always}"
        )
