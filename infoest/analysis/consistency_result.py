"""What `self_consistency` returns: three tests over the rows seen, a table and a picture."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from infoest._cautions import Caution
from infoest._validation import Array, check_number
from infoest.result import Estimate

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes

CALLS_PER_STEP = 4
# A fall below this share of the largest value is rounding, not a violation.
ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Monotonicity:
    """I(X; Y_t) over the rows seen: more rows never say less.

    Args:
        rows: Numbers t of rows seen, increasing.
        estimates: Of I(X; Y_t), one for each t.
    """

    rows: tuple[int, ...]
    estimates: tuple[Estimate, ...] = field(repr=False)

    @property
    def values(self) -> Array:
        """The estimates as numbers, shape (steps,)."""
        return np.array([float(one) for one in self.estimates])

    @property
    def ratios(self) -> Array:
        """The values over the last of them, shape (steps,); infinity where that is not positive."""
        return _ratios(self.values, np.full(len(self.rows), self.values[-1]))

    @property
    def violations(self) -> tuple[tuple[int, int], ...]:
        """Pairs (t, next t) between which the value falls by more than rounding."""
        values = self.values
        fallen = np.flatnonzero(np.diff(values) < -ROUNDING * np.abs(values).max())
        return tuple((self.rows[i], self.rows[i + 1]) for i in fallen)

    @property
    def largest_fall(self) -> float:
        """How far a value lies below an earlier one at most, as a share of the largest value."""
        values = self.values
        scale = float(np.abs(values).max())
        fall = float(np.max(np.maximum.accumulate(values) - values))
        return fall / scale if scale > 0.0 else 0.0

    def passed(self, tolerance: float = 0.1) -> bool:
        """Return whether no value lies below an earlier one by more than this share."""
        return self.largest_fall <= _checked_tolerance(tolerance)


@dataclass(frozen=True, eq=False)
class RatioTest:
    """Ratios of two estimates over the rows seen, all of which should be one known number.

    Args:
        rows: Numbers t of rows seen, increasing.
        ideal: What the ratios should be.
        estimates: Numerators, one for each t.
        references: Denominators, one for each t.
    """

    rows: tuple[int, ...]
    ideal: float
    estimates: tuple[Estimate, ...] = field(repr=False)
    references: tuple[Estimate, ...] = field(repr=False)

    @property
    def values(self) -> Array:
        """The numerators, shape (steps,)."""
        return np.array([float(one) for one in self.estimates])

    @property
    def reference_values(self) -> Array:
        """The denominators, shape (steps,)."""
        return np.array([float(one) for one in self.references])

    @property
    def ratios(self) -> Array:
        """Numerators over denominators, shape (steps,); infinity where one is not positive."""
        return _ratios(self.values, self.reference_values)

    @property
    def largest_deviation(self) -> float:
        """How far a ratio lies from the ideal at most, as a share of the ideal."""
        return float(np.max(np.abs(self.ratios / self.ideal - 1.0)))

    def passed(self, tolerance: float = 0.1) -> bool:
        """Return whether every ratio is the ideal up to this share of it."""
        return self.largest_deviation <= _checked_tolerance(tolerance)


@dataclass(frozen=True, eq=False, repr=False)
class SelfConsistency:
    """The three tests of one estimator, with every estimate that they are made of.

    Args:
        monotonicity: I(X; Y_t) over t, which must not fall.
        data_processing: I([X, X]; [Y_t, h(Y_t)]) / I(X; Y_t), ideally 1.
        additivity: I([X1, X2]; [Y1_t, Y2_t]) / I(X1; Y1_t), ideally 2.
        method: Name of the estimator.
        quantity: What it measures.
        unit: Unit of its values.
        n_samples: Number of images (rows of the table).
        n_rows: Number of rows of an image (columns of the table).
        n_columns: Number of pixels used in X.
        n_constant: Number of pixels left out of both sides since they do not vary in all samples
            and in each half.
        noise: Standard deviation of the noise in Y, relative to that of each pixel.
    """

    monotonicity: Monotonicity
    data_processing: RatioTest
    additivity: RatioTest
    method: str
    quantity: str
    unit: str
    n_samples: int
    n_rows: int
    n_columns: int
    n_constant: int
    noise: float

    @property
    def n_calls(self) -> int:
        """Number of estimator calls that were made."""
        return CALLS_PER_STEP * len(self.monotonicity.rows)

    @property
    def warnings(self) -> tuple[Caution, ...]:
        """One `Caution` per code, with the number of calls concerned and the first sentence."""
        found: dict[str, list[str]] = defaultdict(list)
        for one in (
            *self.monotonicity.estimates,
            *self.data_processing.estimates,
            *self.additivity.estimates,
            *self.additivity.references,
        ):
            for caution in one.warnings:
                found[caution.code].append(caution.sentence)
        return tuple(
            Caution(code, f"{len(said)} of {self.n_calls} calls, the first: {said[0]}")
            for code, said in found.items()
        )

    def passed(self, tolerance: float = 0.1) -> dict[str, bool]:
        """Return the verdict of each test by its name.

        Args:
            tolerance: Share by which a value may lie below an earlier one, relative to the
                largest value, and a ratio off its ideal, relative to the ideal; at least 0.
        """
        return {
            "monotonicity": self.monotonicity.passed(tolerance),
            "data_processing": self.data_processing.passed(tolerance),
            "additivity": self.additivity.passed(tolerance),
        }

    def to_frame(self) -> pandas.DataFrame:
        """Return one line per step: rows seen, the four values, and the three ratios."""
        import pandas

        rows = self.monotonicity.rows
        after = {later for _, later in self.monotonicity.violations}
        return pandas.DataFrame(
            {
                "rows": rows,
                "fraction": [t / self.n_rows for t in rows],
                "information": self.monotonicity.values,
                "information_processed": self.data_processing.values,
                "information_half": self.additivity.reference_values,
                "information_pair": self.additivity.values,
                "ratio_to_last": self.monotonicity.ratios,
                "falls": [t in after for t in rows],
                "data_processing": self.data_processing.ratios,
                "additivity": self.additivity.ratios,
            }
        )

    def plot(self, axes: Iterable[Axes] | None = None) -> list[Axes]:
        """Draw the three tests, ideal values dashed, steps at which the value falls circled.

        Args:
            axes: Three Matplotlib axes, for instance those of another result, to compare
                estimators; None makes a figure.

        Returns:
            The three axes.
        """
        panels = _new_panels() if axes is None else list(axes)
        if len(panels) != 3:
            raise ValueError(f"axes must be three, got {len(panels)}. Make them by subplots(1, 3).")
        rows, after = self.monotonicity.rows, {t for _, t in self.monotonicity.violations}
        curves = (
            ("monotonicity: must not fall", "I(X; Y) / last", self.monotonicity.ratios, 1.0),
            ("data processing", "I([X, X]; [Y, h(Y)]) / I(X; Y)", self.data_processing.ratios, 1.0),
            ("additivity", "I([X1, X2]; [Y1, Y2]) / I(X1; Y1)", self.additivity.ratios, 2.0),
        )
        for ax, (title, label, ratios, ideal) in zip(panels, curves, strict=True):
            # With a second result the dashed line is there already.
            if not ax.lines:
                ax.axhline(ideal, color="0.6", linestyle="--", linewidth=1, zorder=0)
            shown = np.ma.masked_invalid(ratios)
            (line,) = ax.plot(rows, shown, ".-", label=self.method)
            if ax is panels[0] and after:
                fallen = [i for i, t in enumerate(rows) if t in after]
                ax.plot(
                    [rows[i] for i in fallen],
                    shown[fallen],
                    "o",
                    color=line.get_color(),
                    markerfacecolor="none",
                    markersize=10,
                )
            ax.set(title=title, xlabel=f"rows seen, of {self.n_rows}")
            ax.set_ylabel(label, fontsize="small")
            # From 0, so that rounding does not fill the panel; a next result scales it again.
            low, high = ax.get_ylim()
            ax.set_ylim(min(low, 0.0), max(high, 1.25 * ideal), auto=None)
        panels[0].legend(fontsize="small")
        return panels

    def __repr__(self) -> str:
        lines = [
            f"self-consistency of {self.method} ({self.quantity}"
            + (f" in {self.unit}" if self.unit else "")
            + f", n={self.n_samples}, {self.n_columns} columns, {self.n_constant} constant left "
            f"out, noise {self.noise:g})",
            f"{'rows':>6}{'information':>13}{'to last':>12}{'processed':>12}{'additive':>12}",
        ]
        after = {t for _, t in self.monotonicity.violations}
        for t, value, *ratios in zip(
            self.monotonicity.rows,
            self.monotonicity.values,
            self.monotonicity.ratios,
            self.data_processing.ratios,
            self.additivity.ratios,
            strict=True,
        ):
            shown = "".join(f"{ratio:>12.3f}" for ratio in ratios)
            lines.append(f"{t:>6}{value:>13.4f}{shown}" + ("  falls" if t in after else ""))
        lines.append(f"{'ideal':>6}{'':>13}{'no fall':>12}{1:>12}{2:>12}")
        verdicts = "".join(f"{'yes' if good else 'no':>12}" for good in self.passed().values())
        lines.append(f"{'within 10 %':<19}{verdicts}")
        if self.warnings:
            lines.append(f"warnings: {', '.join(caution.code for caution in self.warnings)}")
        return "\n".join(lines)


def _ratios(values: Array, references: Array) -> Array:
    """Return quotients, infinity where there is none (never NaN)."""
    good = (references > 0.0) & np.isfinite(references)
    return np.divide(values, references, out=np.full(len(values), np.inf), where=good)


def _checked_tolerance(tolerance: float) -> float:
    return check_number("tolerance", tolerance, low=0.0)


def _new_panels() -> list[Axes]:
    from matplotlib.figure import Figure

    return list(Figure(figsize=(10.5, 3.4), layout="constrained").subplots(1, 3))
