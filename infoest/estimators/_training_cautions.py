"""What is to be said of trainings: learned by heart, cut short, or too few rows to learn from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from infoest._cautions import Caution
from infoest.training import History

from ._folds import Sides

if TYPE_CHECKING:
    import pandas as pd

# A training whose last evaluation gained more than this, in nats of the objective, was too short.
STILL_GAINING = 0.01
# A value of an untrained critic, but for rounding.
NOTHING = 1e-6
STILL_FELL = "ended while the held-out loss still fell"


def training_cautions(
    histories: list[History],
    n_splits: int,
    step: int | None,
    values: tuple[float, float],
    error: float,
) -> list[Caution]:
    """Return what is to be said of the trainings of a cross-fit.

    Args:
        histories: Of the folds that have a value.
        n_splits: Folds that there should be.
        step: Common step of their weights, or None.
        values: Of held-out rows, and of rows that were trained on.
        error: Standard error of the value.
    """
    held_out, trained = values
    cautions = []
    gap = trained - held_out
    if gap > max(0.1, 0.05 * abs(held_out)) and gap > 4.0 * error:
        cautions.append(
            Caution(
                "train_test_gap",
                f"The critics give {trained:.2f} on rows they were trained on and {held_out:.2f} "
                "on others: they have learned the sample, and the truth may lie between. More "
                "samples help.",
            )
        )
    if step == 0 and abs(held_out) < NOTHING:
        cautions.append(
            Caution(
                "nothing_learned",
                "No critic did better on held-out rows than one that says nothing, so the value is "
                "0: there is no dependence, or none that a critic learns from so many rows. More "
                "samples, fewer columns or another critic may tell.",
            )
        )
    interrupted = any(history.ended == "interrupted" for history in histories)
    if interrupted or len(histories) < n_splits:
        cautions.append(
            _not_converged(
                f"was interrupted, and the value is that of {len(histories)} of {n_splits} folds"
            )
        )
    elif all(history.ended == "steps" for history in histories):
        evaluated = [history.evaluated for history in histories]
        if _still_gains(evaluated, step):
            cautions.append(_not_converged(STILL_FELL))
    return cautions


def fit_cautions(history: pd.DataFrame, ended: str) -> list[Caution]:
    """Return what is to be said of the one training of `fit`.

    Args:
        history: Table of the losses.
        ended: Why it ended.
    """
    if ended == "interrupted":
        return [_not_converged("was interrupted")]
    if ended == "diverged":
        return [
            Caution(
                "not_converged",
                "The training diverged, and the critic is that of the best evaluation before. "
                "Lower the learning rate.",
            )
        ]
    evaluated = history[["step", "held_out"]].dropna()
    gains = ended == "steps" and _still_gains([list(evaluated.itertuples(index=False))], None)
    return [_not_converged(STILL_FELL)] if gains else []


def _not_converged(why: str) -> Caution:
    return Caution(
        "not_converged",
        f"The training {why}: more steps would find more. Raise Training(steps=...).",
    )


def few_rows(trained: Sides) -> list[Caution]:
    """Return a caution where there are more columns than rows."""
    features = trained.x[0].numel() + trained.y[0].numel()
    if len(trained) >= features:
        return []
    return [
        Caution(
            "too_few_samples_for_dimension",
            f"A critic sees {len(trained)} rows of {features} columns: it can tell all rows apart "
            "and learns little of others. Reduce the columns, or bring more samples.",
        )
    ]


def _still_gains(evaluated: Sequence[Sequence[tuple[int, float]]], step: int | None) -> bool:
    """Whether the last of the evaluations (step, loss) was the best, by more than a little."""
    gains = []
    for pairs in evaluated:
        losses = [loss for place, loss in pairs if place]
        if len(losses) < 2 or step not in (None, pairs[-1][0]):
            return False
        gains.append(losses[-2] - losses[-1])
    return float(np.mean(gains)) > STILL_GAINING
