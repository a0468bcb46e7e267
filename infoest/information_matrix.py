"""The labeled matrix that `infoest.matrix` returns: table, heat map, files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from infoest._cautions import Caution
from infoest._validation import Array

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes

# Beyond this many columns only every so-many-th name fits a picture.
MOST_TICKS = 60
SUFFIXES = (".csv", ".html", ".png")


@dataclass(frozen=True, eq=False, repr=False)
class InformationMatrix:
    """Mutual information of pairs of columns, with their names.

    Args:
        values: Shape (rows, columns), in ``unit``; the diagonal holds entropies of labels and
            infinity for continuous columns.
        rows: Names of the rows.
        columns: Names of the columns; a single one where a target was given.
        p_values: Shape (rows, columns), or None. The diagonal is 0.
        unit: Unit of the values.
        quantity: What was measured.
        method: Name of the estimator.
        n_samples: Number of samples.
        warnings: Tuple of `Caution`; each sentence names the pairs concerned.
    """

    values: Array
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    p_values: Array | None
    unit: str
    quantity: str
    method: str
    n_samples: int
    warnings: tuple[Caution, ...] = ()

    def __repr__(self) -> str:
        text = (
            f"{len(self.rows)} x {len(self.columns)} {self.quantity} in {self.unit}  "
            f"({self.method}, n={self.n_samples})"
        )
        if self.warnings:
            text += f"  warnings: {', '.join(caution.code for caution in self.warnings)}"
        return text

    def to_frame(self) -> pandas.DataFrame:
        """Return the values as a pandas frame with named rows and columns."""
        import pandas

        return pandas.DataFrame(self.values, index=list(self.rows), columns=list(self.columns))

    def order(self) -> list[int]:
        """Return positions of the rows such that similar ones stand together.

        Average linkage on the dissimilarity exp(-I), which is 1 at independence; with a target,
        from the most to the least informative row.
        """
        if len(self.columns) == 1:
            return [int(i) for i in np.argsort(-self.values[:, 0], kind="stable")]
        if len(self.rows) < 3:
            return list(range(len(self.rows)))
        from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering
        from scipy.spatial.distance import squareform

        distance = np.exp(-np.maximum(self.values, 0.0))
        distance = 0.5 * (distance + distance.T)
        np.fill_diagonal(distance, 0.0)
        condensed = squareform(distance, checks=False)
        tree = optimal_leaf_ordering(linkage(condensed, "average"), condensed)
        return [int(i) for i in leaves_list(tree)]

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw a heat map, rows and columns in clustered order, the diagonal grey.

        Args:
            ax: Matplotlib axes to draw on; None makes a figure.

        Returns:
            The axes.
        """
        from matplotlib.figure import Figure

        shown, rows, columns, top = self._picture()
        if ax is None:
            height = min(max(3.0, 1.2 + 0.28 * len(rows)), 14.0)
            width = min(max(3.5, 2.4 + 0.28 * len(columns)), 15.0)
            ax = Figure(figsize=(width, height), layout="constrained").subplots()
        ax.set_facecolor("0.85")
        image = ax.imshow(shown, cmap="viridis", vmin=0.0, vmax=top, aspect="auto")
        for names, set_ticks, rotation in (
            (columns, ax.set_xticks, 90),
            (rows, ax.set_yticks, 0),
        ):
            step = math.ceil(len(names) / MOST_TICKS)
            set_ticks(range(0, len(names), step), names[::step], rotation=rotation)
        if ax.figure is not None:
            label = f"{self.quantity.replace('_', ' ')} ({self.unit})"
            ax.figure.colorbar(image, ax=ax, label=label)
        ax.set_title(f"{self.method}, n = {self.n_samples}", fontsize="medium")
        return ax

    def save(self, path: str | Path) -> None:
        """Write ``.csv`` (values), ``.png`` (heat map) or ``.html`` (interactive, offline).

        Raises:
            ValueError: If the suffix is another one.
        """
        path = Path(path)
        if path.suffix == ".csv":
            self.to_frame().to_csv(path)
        elif path.suffix == ".png":
            from matplotlib.figure import Figure

            figure = self.plot().figure
            if isinstance(figure, Figure):
                figure.savefig(path, dpi=150)
        elif path.suffix == ".html":
            path.write_text(self._page(), encoding="utf-8")
        else:
            raise ValueError(
                f"path must end in one of {list(SUFFIXES)}, got {path.name!r}. "
                "The suffix chooses the format."
            )

    def _picture(self) -> tuple[Array, list[str], list[str], float]:
        """Return ordered values with the diagonal masked, ordered names, and the color limit."""
        order = self.order()
        target = len(self.columns) == 1
        across = [0] if target else order
        shown = np.ma.masked_invalid(self.values[np.ix_(order, across)])
        if not target:
            shown[np.arange(len(order)), np.arange(len(order))] = np.ma.masked
        top = float(shown.max()) if shown.count() else 1.0
        rows = [self.rows[i] for i in order]
        return shown, rows, [self.columns[i] for i in across], max(top, 1e-3)

    def _page(self) -> str:
        import plotly.graph_objects as go

        shown, rows, columns, top = self._picture()
        cells: list[list[float | None]] = [
            [None if np.ma.is_masked(value) else float(value) for value in line] for line in shown
        ]
        hover = "%{y} and %{x}: %{z:.3f} " + self.unit + "<extra></extra>"
        heat = go.Heatmap(
            z=cells,
            x=columns,
            y=rows,
            zmin=0.0,
            zmax=top,
            colorscale="Viridis",
            hovertemplate=hover,
            colorbar={"title": self.unit},
        )
        figure = go.Figure(heat)
        figure.update_layout(
            title=f"{self.quantity.replace('_', ' ')} ({self.method}, n = {self.n_samples})",
            yaxis={"autorange": "reversed"},
            plot_bgcolor="#d9d9d9",
        )
        page: Any = figure.to_html(include_plotlyjs=True, full_html=True)
        return str(page)


def names_of(data: object, n_columns: int) -> tuple[str, ...]:
    """Return the column names of a table, or their positions as text."""
    columns: Sequence[Any] | None = getattr(data, "columns", None)
    if columns is None or callable(columns):
        return tuple(str(i) for i in range(n_columns))
    return tuple(str(name) for name in columns)
