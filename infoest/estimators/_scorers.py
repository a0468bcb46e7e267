"""What is trained: a critic, alone or with the second network that its bound needs."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from infoest.functional.student_copula import LARGEST_NORMAL_SCORE, StudentCopula

HEAD_WIDTH = 256
# Knots of the t scores of a `CopulaScorer`: linear between them, they are right to 1e-6 of their
# size for three degrees of freedom.
N_T_SCORES = 2**13 + 1


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


class CopulaScorer(Scorer):
    """Log density ratio of a fitted Student-t copula, times a trained weight, plus a critic.

    The inputs are normal scores. Its buffers are float64: the quadratic forms of nearly singular
    correlations cancel in float32.

    Args:
        critic: Module (x, y) -> scores, 0 at the start.
        copula: The copula.
    """

    cross: Tensor
    joint_x: Tensor
    joint_y: Tensor
    marginal_x: Tensor
    marginal_y: Tensor
    constant: Tensor
    degrees_of_freedom: Tensor
    t_scores: Tensor

    def __init__(self, critic: nn.Module, copula: StudentCopula) -> None:
        super().__init__(critic)
        forms = copula.forms._asdict() | {
            "degrees_of_freedom": copula.degrees_of_freedom,
            "t_scores": copula.to_scores(np.linspace(0.0, LARGEST_NORMAL_SCORE, N_T_SCORES)),
        }
        for name, value in forms.items():
            self.register_buffer(name, torch.as_tensor(value, dtype=torch.float64))
        # 1 at the start; where the copula is wrong it is in the way, and the weight falls.
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor, y: Tensor, positions: Tensor) -> Tensor:
        """Return weight log r_ij of the copula + s_ij."""
        return super().forward(x, y, positions) + self.weight * self.log_ratio(x, y)

    @torch.no_grad()
    def log_ratio(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the log ratio of the copula for all pairs, shape (b, m), in the dtype of x."""
        dtype, nu = x.dtype, float(self.degrees_of_freedom)
        x, y = self._to_t_scores(x), self._to_t_scores(y)
        q_x, q_y = _quadratic(x, self.marginal_x), _quadratic(y, self.marginal_y)
        # q = x' joint_x x + y' joint_y y - 2 x' cross y of all pairs, as one product.
        left = [
            -2.0 * (x @ self.cross),
            _quadratic(x, self.joint_x)[:, None],
            torch.ones_like(x[:, :1]),
        ]
        right = [y, torch.ones_like(y[:, :1]), _quadratic(y, self.joint_y)[:, None]]
        q = (torch.cat(left, dim=1) @ torch.cat(right, dim=1).T).to(dtype)
        q = torch.maximum(q, torch.maximum(q_x.to(dtype)[:, None], q_y.to(dtype)))
        d_x, d_y = len(self.marginal_x), len(self.marginal_y)
        if nu == math.inf:
            of_x, of_y, of_both = 0.5 * q_x, 0.5 * q_y, q.mul_(0.5)
        else:
            of_x = 0.5 * (nu + d_x) * (q_x / nu).log1p()
            of_y = 0.5 * (nu + d_y) * (q_y / nu).log1p()
            of_both = q.div_(nu).log1p_().mul_(0.5 * (nu + d_x + d_y))
        return (self.constant + of_x).to(dtype)[:, None] + of_y.to(dtype) - of_both

    def _to_t_scores(self, normal_scores: Tensor) -> Tensor:
        """Return t scores, linear between knots."""
        sizes = normal_scores.double().abs().clamp(max=LARGEST_NORMAL_SCORE)
        place = sizes * ((N_T_SCORES - 1) / LARGEST_NORMAL_SCORE)
        below = place.long().clamp(max=N_T_SCORES - 2)
        low, high = self.t_scores[below], self.t_scores[below + 1]
        return (low + (place - below) * (high - low)).copysign(normal_scores.double())


def _quadratic(rows: Tensor, form: Tensor) -> Tensor:
    """Return x_i' F x_i, shape (n,)."""
    return ((rows @ form) * rows).sum(dim=1)


def _head(features: int) -> nn.Sequential:
    """Return a small network to one number, 0 at the start."""
    last = nn.Linear(HEAD_WIDTH, 1)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(features, HEAD_WIDTH), nn.ReLU(), last)
