"""What estimators with a bias measured on surrogates share: the result, and the words for it."""

from __future__ import annotations

from typing import Any

from infoest._cautions import Caution
from infoest.functional.control_variate import Control
from infoest.result import Raw

LARGEST_SHARE_ALONE = 0.05


def controlled(
    value: float,
    found: Control,
    confidence: float | None,
    cautions: tuple[Caution, ...],
    *,
    knob: str,
    info: dict[str, Any] | None = None,
) -> Raw:
    """Return a value with the interval and the cautions that its control supports.

    Args:
        value: The estimate, in nats.
        found: What the surrogates told.
        confidence: Nominal coverage; None for no interval.
        cautions: What is known already.
        knob: What was changed to see the drift, as in "number of neighbors".
        info: Further numbers.
    """
    if found.exceeds_error:
        cautions = (*cautions, _bias(found))
    if not found.explained:
        cautions = (*cautions, _unexplained(knob))
    info = {**(info or {}), "bias_of_surrogates": found.bias, "drift": found.drift}
    if confidence is None:
        return Raw(value, cautions=cautions, info=info)
    return Raw(value, found.std_error, found.interval(value, confidence), cautions, info)


def no_control() -> Caution:
    """Return the caution where no surrogates can be drawn."""
    return Caution(
        "too_few_samples_for_dimension",
        "There are too many columns or classes for so few rows: no bias can be measured and no "
        "interval given.",
    )


def lonely_classes(alone: int, n: int) -> tuple[Caution, ...]:
    """Return a caution where more than 5 % of the samples have a class of their own."""
    if alone <= LARGEST_SHARE_ALONE * n:
        return ()
    return (
        Caution(
            "too_few_samples_for_dimension",
            f"{alone} of {n} samples are alone in their class and were left out. Group rare "
            "labels.",
        ),
    )


def _bias(found: Control) -> Caution:
    return Caution(
        "bias_exceeds_error",
        f"On data like these whose truth is known the estimator is off by {found.bias:+.3g} nats, "
        "more than its random error. The interval allows for it.",
    )


def _unexplained(knob: str) -> Caution:
    return Caution(
        "bias_not_explained",
        f"The value changes with the {knob} by more than data with a Gaussian copula would show, "
        "or there are too many columns to know: the true value may lie outside the interval. "
        "Compare other estimators.",
    )
