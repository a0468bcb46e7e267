"""What a training maximizes, as the loss that is minimized."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from infoest.functional._scores import log_mean_exp
from infoest.training import joint_scores
from infoest.training.processes import process_index

Objective = Callable[[Tensor], Tensor]
Score = Callable[..., Tensor]


class ObjectiveLoss(nn.Module):
    """Batch (x, y) -> minus the objective of its scores.

    A module for the sake of the objective's state, if it has one: a training saves it.

    Args:
        score: Scorer; what it learns is not part of this module.
        objective: Scores -> scalar to maximize.
    """

    def __init__(self, score: Score, objective: Objective) -> None:
        super().__init__()
        # Within a function a module is no submodule.
        self.score = partial(score)
        self.objective = objective

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the loss of the batches of all processes, a scalar."""
        start = len(x) * process_index()
        positions = torch.arange(start, start + len(x), device=x.device)
        scores = joint_scores(partial(self.score, positions=positions), x, y)
        return negative(self.objective, scores)


class MovingAverageBound(nn.Module):
    """MINE's objective: the value of Donsker-Varadhan, the gradient over an average partition.

    The average is a buffer.
    """

    log_average: Tensor

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.register_buffer("log_average", torch.tensor(math.nan, dtype=torch.float64))

    def forward(self, scores: Tensor) -> Tensor:
        """Return the value for scores (n, n), and move the average."""
        now = log_mean_exp(scores.double())
        seen = now.detach()
        if self.rate < 1.0 and not bool(torch.isnan(self.log_average)):
            before = self.log_average + math.log1p(-self.rate)
            seen = torch.logaddexp(before, seen + math.log(self.rate))
        self.log_average.copy_(seen)
        share = (now - seen).exp()
        # The value is that of the bound; the gradient divides by the average.
        value = scores.diagonal().double().mean() - share
        return value + (share - now).detach()


def negative(objective: Objective, scores: Tensor) -> Tensor:
    """Return the loss; NaN scores make it NaN and are left to the training to report."""
    if scores.device.type == "cpu" and not math.isfinite(float(scores.detach().sum())):
        return scores.sum() * math.nan
    return -objective(scores)
