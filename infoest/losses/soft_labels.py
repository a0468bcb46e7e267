"""Losses of soft labels, softmax of logits: sure of each, spread over all. Torch."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from infoest._validation import check_bool, check_int, check_number, check_option
from infoest.functional._scores import may_read, wide

from ._tasks import check_values, holds_integers
from .bottleneck import REDUCTIONS

UNLABELED = -1


class EntropyMinimizationResult(NamedTuple):
    """Result of `EntropyMinimizationLoss`.

    Attributes:
        loss: The entropy, or its share of log(classes); to be minimized.
        entropy: Entropy of the predictions in nats.
    """

    loss: Tensor
    entropy: Tensor


class EntropyMinimizationLoss(nn.Module):
    """Entropy of predictions, H = -sum_c p_c log p_c with p = softmax(logits), in nats.

    Its gradient in the logits is -p (log p + H), over the number of predictions for their mean.

    Args:
        normalize: Divide by log(classes), so that the loss is in [0, 1].
        reduction: ``"mean"`` and ``"sum"`` over predictions, or ``"none"``, which keeps them.

    Raises:
        TypeError: If normalize is no bool.
        ValueError: If reduction is unknown.

    Note:
        Alone it is least where all inputs get one class. Few steps and a small part of the
        parameters (`adapt_by_entropy`), or the marginal entropy of `InfoMaxClusteringLoss`, keep
        predictions apart.

    References:
        Grandvalet, Bengio (2004), NIPS. Wang, Shelhamer, Olshausen, Darrell (2019), arXiv
        1908.03182 (at test time).

    Example:
        >>> result = EntropyMinimizationLoss(normalize=True)(torch.zeros(3, 4))
        >>> round(result.loss.item(), 4), round(result.entropy.item(), 4)
        (1.0, 1.3863)
    """

    def __init__(self, *, normalize: bool = False, reduction: str = "mean") -> None:
        super().__init__()
        check_bool("normalize", normalize)
        check_option("reduction", reduction, REDUCTIONS)
        self.normalize, self.reduction = normalize, reduction

    def forward(self, logits: Tensor) -> EntropyMinimizationResult:
        """Return the loss and the entropy.

        Args:
            logits: Shape (n, classes), or (n, classes, ...) for a prediction at every place.

        Returns:
            Scalars, or shape (n, ...) with ``reduction="none"``; differentiable in the logits.

        Raises:
            TypeError: If logits is no floating-point tensor.
            ValueError: If there are fewer than 2 classes or (on the CPU) values are not finite.
        """
        entropy = _entropies(_log_softmax(logits))
        if self.reduction != "none":
            entropy = entropy.mean() if self.reduction == "mean" else entropy.sum()
        loss = entropy / math.log(logits.shape[1]) if self.normalize else entropy
        return EntropyMinimizationResult(loss, entropy)


def adapt_by_entropy(
    model: nn.Module,
    x: Tensor,
    parameters: Iterable[Tensor] | None = None,
    *,
    steps: int = 1,
    learning_rate: float = 1e-3,
    reset: bool = True,
) -> Tensor:
    """Return the logits of a model after it has adapted to the input it is asked about.

    Adam takes some steps down the mean entropy of the predictions for ``x``, which needs no
    labels; then ``x`` is predicted. This is done on copies: with ``reset=True`` the model, its
    buffers and gradients are as before.

    Args:
        model: Returns logits, shape (n, classes) or (n, classes, ...).
        x: Input of the model, a batch.
        parameters: Those of the model that adapt, such as scales, or the weights of normalization
            layers; None takes all that require a gradient.
        steps: At least 1.
        learning_rate: Of Adam, positive.
        reset: With False the model keeps what it has adapted, and the buffers it has moved.

    Returns:
        Logits, without a gradient.

    Raises:
        TypeError: If the model is no module, or a setting has the wrong type.
        ValueError: If there is nothing to adapt, a parameter is not the model's, or a setting is
            out of range.

    Note:
        Training mode stays as it is set: batch normalization in training mode takes the
        statistics of ``x``. Many steps drive all predictions to one class.

    References:
        Wang, Shelhamer, Olshausen, Darrell (2019), arXiv 1908.03182. Wang, Shelhamer, Liu,
        Olshausen, Darrell (2021), ICLR (Tent).

    Example:
        >>> _ = torch.manual_seed(0)
        >>> model, x = nn.Linear(1, 2), torch.tensor([[1.0]])
        >>> loss, before = EntropyMinimizationLoss(), model(x)
        >>> after = adapt_by_entropy(model, x, steps=5, learning_rate=0.1)
        >>> bool(loss(after).loss < loss(before).loss), torch.equal(model(x), before)
        (True, True)
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}.")
    check_int("steps", steps, low=1)
    check_number("learning_rate", learning_rate, low=0.0, open_low=True)
    check_bool("reset", reset)
    names = _names(model, parameters)
    kept = dict(model.named_parameters()) | dict(model.named_buffers())
    state = {name: value.detach().clone() for name, value in kept.items()}
    loss = EntropyMinimizationLoss()
    with torch.enable_grad():
        adapted = [state[name].requires_grad_() for name in names]
        optimizer = torch.optim.Adam(adapted, lr=learning_rate)
        for _ in range(steps):
            entropy = loss(torch.func.functional_call(model, state, (x,))).loss
            optimizer.zero_grad()
            entropy.backward(inputs=adapted)
            optimizer.step()
    with torch.no_grad():
        logits: Tensor = torch.func.functional_call(model, state, (x,))
        if not reset:
            for name, value in kept.items():
                value.copy_(state[name])
    return logits


class InfoMaxClusteringResult(NamedTuple):
    """Result of `InfoMaxClusteringLoss`.

    loss = conditional_weight conditional_entropy - marginal_entropy + cross_entropy.

    Attributes:
        loss: To be minimized.
        conditional_entropy: Mean entropy of the predictions of unlabeled rows in nats; 0 if none.
        marginal_entropy: Entropy of the mean prediction of all rows in nats.
        cross_entropy: Of labeled rows in nats; 0 if none.
    """

    loss: Tensor
    conditional_entropy: Tensor
    marginal_entropy: Tensor
    cross_entropy: Tensor


class InfoMaxClusteringLoss(nn.Module):
    """Parametric information maximization: weight H(Y | Z) - H(Y) + cross-entropy, in nats.

    H(Y | Z) is the mean entropy of predictions of unlabeled rows, H(Y) the entropy of the mean
    prediction of all; without labels and with weight 1 the loss is -I(Z; Y) of the batch.

    Args:
        conditional_weight: Of the conditional entropy, at least 0. Below 1 clusters may be of
            unlike sizes or unsure; near 0 suits balanced classes, near 1 long-tailed ones.
        temperature: What logits are multiplied by, positive; 25 in the paper, for features of
            length 1.

    Raises:
        TypeError: If an argument is no number.
        ValueError: If one is out of range.

    Note:
        The marginal entropy is of the batch: take batches much larger than the number of clusters.

    References:
        Chiaroni, Dolz, Masud, Mitiche, Ben Ayed (2023), ICCV. Krause, Perona, Gomes (2010), NIPS.

    Example:
        >>> logits = torch.tensor([[50.0, 0.0], [0.0, 50.0]])  # sure, and spread over both
        >>> round(InfoMaxClusteringLoss()(logits).loss.item(), 4)  # -log 2
        -0.6931
    """

    def __init__(self, *, conditional_weight: float = 1.0, temperature: float = 1.0) -> None:
        super().__init__()
        self.conditional_weight = check_number("conditional_weight", conditional_weight, low=0.0)
        self.temperature = check_number("temperature", temperature, low=0.0, open_low=True)

    def forward(self, logits: Tensor, labels: Tensor | None = None) -> InfoMaxClusteringResult:
        """Return the loss and its parts.

        Args:
            logits: Shape (n, clusters), n at least 2.
            labels: Integers of shape (n,) in [0, clusters), -1 for unlabeled rows; None for none.

        Returns:
            Scalars, differentiable in the logits.

        Raises:
            TypeError: If logits are not floating-point or labels no integers.
            ValueError: If shapes do not fit, or (on the CPU) values are not finite or labels are
                out of range or all -1.
        """
        log_p = (self.temperature * _checked_rows(logits)).log_softmax(dim=1)
        entropies = _entropies(log_p)
        log_mean = log_p.logsumexp(dim=0) - math.log(len(log_p))
        marginal = _entropies(log_mean[None])[0]
        if labels is None:
            conditional, cross = entropies.mean(), torch.zeros_like(marginal)
        else:
            _check_labels(labels, *log_p.shape)
            unlabeled = labels == UNLABELED
            conditional = _mean_where(entropies, unlabeled)
            chosen = log_p.gather(1, labels.clamp(min=0).long()[:, None])[:, 0]
            cross = _mean_where(-chosen, ~unlabeled)
        loss = self.conditional_weight * conditional - marginal + cross
        return InfoMaxClusteringResult(loss, conditional, marginal, cross)


def _log_softmax(logits: Tensor) -> Tensor:
    """Return log probabilities over axis 1, in float32 at least."""
    check_values("logits", logits)
    if logits.ndim < 2 or logits.shape[1] < 2:
        raise ValueError(
            f"logits must have shape (n, classes) with at least 2 classes, got "
            f"{tuple(logits.shape)}."
        )
    return wide(logits).log_softmax(dim=1)


def _checked_rows(logits: Tensor) -> Tensor:
    check_values("logits", logits)
    if logits.ndim != 2 or len(logits) < 2 or logits.shape[1] < 2:
        raise ValueError(
            "logits must have shape (n, clusters) with at least 2 rows and 2 clusters, got "
            f"{tuple(logits.shape)}. The mean prediction is that of the batch."
        )
    return wide(logits)


def _entropies(log_p: Tensor) -> Tensor:
    """Return the entropies over axis 1; logs are finite, so a probability of 0 adds 0."""
    return -(log_p.exp() * log_p).sum(dim=1)


def _mean_where(values: Tensor, chosen: Tensor) -> Tensor:
    """Return the mean of the chosen values, 0 if there are none; no value is waited for."""
    return torch.where(chosen, values, 0.0).sum() / chosen.sum().clamp(min=1)


def _check_labels(labels: Tensor, rows: int, clusters: int) -> None:
    if not holds_integers(labels):
        shown = labels.dtype if isinstance(labels, Tensor) else type(labels).__name__
        raise TypeError(f"labels must be a tensor of integers, got {shown}.")
    if labels.shape != (rows,):
        raise ValueError(f"labels must have shape ({rows},), got {tuple(labels.shape)}.")
    if not may_read(labels):
        return
    low, high = int(labels.min()), int(labels.max())
    if low < UNLABELED or high >= clusters:
        shown_label = low if low < UNLABELED else high
        raise ValueError(
            f"labels must be in [0, {clusters - 1}], or -1 for unlabeled rows, got {shown_label}."
        )
    if high == UNLABELED:
        raise ValueError("labels must hold at least one label, got only -1. Pass None for none.")


def _names(model: nn.Module, parameters: Iterable[Tensor] | None) -> list[str]:
    """Return the names of the parameters that adapt."""
    own = dict(model.named_parameters())
    if parameters is None:
        names = [name for name, value in own.items() if value.requires_grad]
    else:
        wanted = {id(value) for value in parameters}
        names = [name for name, value in own.items() if id(value) in wanted]
        if len(names) < len(wanted):
            raise ValueError(
                f"parameters must be the model's, got {len(wanted) - len(names)} that are not."
            )
    if not names:
        raise ValueError("parameters must hold at least one to adapt, got none.")
    return names
