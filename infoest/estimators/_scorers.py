"""What is trained: a critic, alone or with the second network that its bound needs."""

from __future__ import annotations

import torch
from torch import Tensor, nn

HEAD_WIDTH = 256


class Scorer(nn.Module):
    """A critic, whose scores are checked for their shape.

    Args:
        critic: Module (x, y) -> (rows of x, rows of y).
    """

    def __init__(self, critic: nn.Module) -> None:
        super().__init__()
        self.critic = critic

    def forward(self, x: Tensor, y: Tensor, positions: Tensor) -> Tensor:
        """Return the scores of all pairs, shape (b, m).

        Args:
            x: Shape (b, ...).
            y: Shape (m, ...).
            positions: Row of y that is the partner of every row of x, shape (b,).
        """
        scores: Tensor = self.critic(x, y)
        if not isinstance(scores, Tensor) or scores.shape != (len(x), len(y)):
            shown = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
            raise ValueError(
                f"critic must return scores of shape ({len(x)}, {len(y)}) for {len(x)} rows of x "
                f"and {len(y)} of y, got {shown}. scores[i, j] belongs to x[i] and y[j]."
            )
        return scores


class BaselineScorer(Scorer):
    """Scores less the log of a learned baseline, a function of x alone.

    Args:
        critic: Module (x, y) -> scores.
        features_x: Number of columns of x.
    """

    def __init__(self, critic: nn.Module, features_x: int) -> None:
        super().__init__(critic)
        self.baseline = _head(features_x)

    def forward(self, x: Tensor, y: Tensor, positions: Tensor) -> Tensor:
        """Return s_ij - a(x_i)."""
        return super().forward(x, y, positions) - self.baseline(x.flatten(1))


class DualScorer(Scorer):
    """Scores relative to the joint pair's, at the level that a second network gives that pair.

    Args:
        critic: Module (x, y) -> scores.
        features: Number of columns of x and y together.
    """

    def __init__(self, critic: nn.Module, features: int) -> None:
        super().__init__(critic)
        self.level = _head(features)

    def forward(self, x: Tensor, y: Tensor, positions: Tensor) -> Tensor:
        """Return s_ij - s_ii + w(x_i, y_i)."""
        scores = super().forward(x, y, positions)
        joint = torch.cat([x.flatten(1), y[positions].flatten(1)], dim=1)
        return scores - scores.gather(1, positions[:, None]) + self.level(joint)


def _head(features: int) -> nn.Sequential:
    """Return a small network to one number, 0 at the start."""
    last = nn.Linear(HEAD_WIDTH, 1)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(features, HEAD_WIDTH), nn.ReLU(), last)
