"""What every estimator returns: a number, its uncertainty, and what it is worth."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from infoest._cautions import Caution as Caution

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NATS_PER_BIT = math.log(2.0)


@dataclass(frozen=True)
class Raw:
    """What an estimator computes, before the base class wraps it into an `Estimate`.

    Args:
        value: The estimate, in the unit of the estimator.
        std_error: Standard error, or None where the method has none.
        interval: Lower and upper limit at the confidence asked for, or None.
        cautions: Reasons to doubt the value.
        info: Further numbers, JSON-plain.
        quantity: What was measured, where it differs from the estimator's own.
        method: Name of the estimator that gave the value, where it is not the one asked.
    """

    value: float
    std_error: float | None = None
    interval: tuple[float, float] | None = None
    cautions: tuple[Caution, ...] = ()
    info: Mapping[str, Any] = field(default_factory=dict)
    quantity: str | None = None
    method: str | None = None


@dataclass(frozen=True, repr=False)
class Estimate:
    """A value with its unit, its uncertainty and its warnings.

    Args:
        value: The estimate. Never clipped: a small negative mutual information is what an
            unbiased estimator gives at independence.
        unit: ``"nats"``, ``"bits"``, or ``""`` for quantities without a unit of information.
        quantity: What was measured: ``"mutual_information"``, ``"entropy"``, ``"divergence"``,
            ``"lower_bound"``, ...
        n_samples: Number of rows used.
        method: Name of the estimator, as in ``infoest.METHODS``.
        std_error: Standard error, or None where the method has none.
        interval: Lower and upper limit, always around ``value``, or None where the method has
            none.
        confidence: Nominal coverage of ``interval``, or None without one.
        p_value: Of the hypothesis of independence (of equal laws, for a divergence), or None.
        warnings: Tuple of `Caution`. No Python warning is raised for the quality of a value.
        info: Further numbers, JSON-plain, always in nats.

    Example:
        >>> e = Estimate(value=0.4131, unit="nats", quantity="mutual_information", n_samples=2000,
        ...              method="ksg", std_error=0.012, interval=(0.389, 0.437), confidence=0.95)
        >>> e
        0.413 nats  [0.389, 0.437] 95 %  (ksg, n=2000)
        >>> round(e.to("bits").value, 4), float(e)
        (0.596, 0.4131)
    """

    value: float
    unit: str
    quantity: str
    n_samples: int
    method: str
    std_error: float | None = None
    interval: tuple[float, float] | None = None
    confidence: float | None = None
    p_value: float | None = None
    warnings: tuple[Caution, ...] = ()
    info: Mapping[str, Any] = field(default_factory=dict)

    def __float__(self) -> float:
        return float(self.value)

    def __repr__(self) -> str:
        decimals = self._decimals()
        text = f"{self.value:.{decimals}f}"
        if self.unit:
            text += f" {self.unit}"
        if self.quantity != "mutual_information":
            text += f" of {self.quantity}"
        if self.interval is not None and self.confidence is not None:
            low, high = self.interval
            text += f"  [{low:.{decimals}f}, {high:.{decimals}f}] {100 * self.confidence:g} %"
        if self.p_value is not None:
            text += f"  p = {self.p_value:.2g}"
        text += f"  ({self.method}, n={self.n_samples})"
        if self.warnings:
            text += f"  warnings: {', '.join(caution.code for caution in self.warnings)}"
        return text

    def has(self, code: str) -> bool:
        """Return whether a warning with this code is attached."""
        return any(caution.code == code for caution in self.warnings)

    def to(self, unit: str) -> Estimate:
        """Return the same estimate in ``"nats"`` or ``"bits"``; ``info`` stays in nats.

        Raises:
            ValueError: If ``unit`` is neither, or if the quantity has no unit of information.
        """
        if unit not in ("nats", "bits"):
            raise ValueError(f"unit must be one of ['bits', 'nats'], got {unit!r}.")
        if self.unit not in ("nats", "bits"):
            raise ValueError(
                f"unit must be that of an information, got a {self.quantity} without one. "
                "It cannot be converted: read .value as it is."
            )
        if unit == self.unit:
            return self
        factor = 1.0 / NATS_PER_BIT if unit == "bits" else NATS_PER_BIT
        return replace(
            self,
            value=self.value * factor,
            unit=unit,
            std_error=None if self.std_error is None else self.std_error * factor,
            interval=None
            if self.interval is None
            else (self.interval[0] * factor, self.interval[1] * factor),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as plain JSON types; warnings as ``{"code", "sentence"}``."""
        return {
            "value": self.value,
            "unit": self.unit,
            "quantity": self.quantity,
            "n_samples": self.n_samples,
            "method": self.method,
            "std_error": self.std_error,
            "interval": None if self.interval is None else list(self.interval),
            "confidence": self.confidence,
            "p_value": self.p_value,
            "warnings": [caution._asdict() for caution in self.warnings],
            "info": dict(self.info),
        }

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the value, its interval and, in grey, the other candidates of ``auto``.

        Args:
            ax: Matplotlib axes to draw on; None makes a figure.

        Returns:
            The axes.
        """
        from matplotlib.figure import Figure

        candidates = self.info.get("candidates", {})
        shown = [(self.method, self.value, self.interval)]
        shown += [
            (name, entry["value"], entry.get("interval"))
            for name, entry in candidates.items()
            if name != self.method
        ]
        if ax is None:
            ax = Figure(figsize=(6, 1.2 + 0.4 * len(shown)), layout="constrained").subplots()
        for row, (_, value, interval) in enumerate(shown):
            color = "C0" if row == 0 else "0.5"
            if interval is not None:
                ax.plot(interval, (row, row), color=color, linewidth=3, alpha=0.5)
            ax.plot(value, row, "o", color=color)
        ax.axvline(0.0, color="0.8", linewidth=1, zorder=0)
        ax.set_yticks(range(len(shown)), [name for name, _, _ in shown])
        ax.set_ylim(len(shown) - 0.5, -0.5)
        ax.set_xlabel(f"{self.quantity.replace('_', ' ')} ({self.unit or 'no unit'})")
        return ax

    def _decimals(self) -> int:
        """Decimals that show two digits of the interval's half-width, at least three."""
        if self.interval is None:
            return 4
        half_width = 0.5 * (self.interval[1] - self.interval[0])
        if not 0.0 < half_width < math.inf:
            return 4
        return min(max(1 - math.floor(math.log10(half_width)), 3), 6)
