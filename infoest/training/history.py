"""What a training leaves behind: a table of losses, and why it ended."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor


@dataclass
class History:
    """The losses of a training, step by step.

    Args:
        losses: Training loss of every step, in the units of the objective; in several processes
            their mean.
        rates: Learning rate of every step.
        evaluated: Step and held-out loss of every evaluation, step 0 before the first step.
        best_step: Step whose weights were kept.
        ended: ``"steps"`` (all done), ``"patience"`` (held-out loss no longer fell),
            ``"interrupted"`` (by Ctrl-C: what was there is kept), or ``"diverged"`` (with an error
            that has this history).
        snapshots: Averaged weights at the evaluations, where they were asked for.
    """

    losses: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    evaluated: list[tuple[int, float]] = field(default_factory=list)
    best_step: int = 0
    ended: str = "steps"
    snapshots: dict[int, dict[str, Tensor]] = field(default_factory=dict, repr=False)

    @property
    def n_steps(self) -> int:
        """Steps that were taken."""
        return len(self.losses)

    @property
    def best_loss(self) -> float | None:
        """Least finite held-out loss, None where there is none."""
        finite = [loss for _, loss in self.evaluated if math.isfinite(loss)]
        return min(finite, default=None)

    @property
    def n_worse(self) -> int:
        """Evaluations of trained weights since the best of them."""
        losses = [
            loss if math.isfinite(loss) else math.inf for step, loss in self.evaluated if step
        ]
        least = min(losses, default=math.inf)
        return len(losses) if least == math.inf else len(losses) - 1 - losses.index(least)

    def to_frame(self) -> pd.DataFrame:
        """Return a table with one row a step: step, loss, held_out (NaN between), learning_rate.

        Where the untrained weights were evaluated, they are a step 0 without a loss and a rate.
        """
        import pandas as pd

        held_out = dict(self.evaluated)
        steps = range(1, self.n_steps + 1)
        frame = pd.DataFrame(
            {
                "step": pd.Series(steps, dtype="int64"),
                "loss": pd.Series(self.losses, dtype="float64"),
                "held_out": pd.Series([held_out.get(step) for step in steps], dtype="float64"),
                "learning_rate": pd.Series(self.rates, dtype="float64"),
            }
        )
        if 0 not in held_out:
            return frame
        start = pd.DataFrame({"step": [0], "held_out": [held_out[0]]})
        return pd.concat([start, frame], ignore_index=True)[list(frame)]

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the snapshots, JSON-plain."""
        return {
            "losses": list(self.losses),
            "rates": list(self.rates),
            "evaluated": [list(pair) for pair in self.evaluated],
            "best_step": self.best_step,
            "ended": self.ended,
        }

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> History:
        """Return the history that `to_dict` made."""
        evaluated = [(int(step), float(loss)) for step, loss in record["evaluated"]]
        return cls(**{**record, "evaluated": evaluated})
