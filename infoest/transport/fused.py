"""Transport plans between samples of one space that also maximize mutual information."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from infoest._validation import NotFittedError, as_labels, check_number, check_option
from infoest.functional.plans import SMALLEST_DENSITY
from infoest.kernels._samples import check_samples

from .information import Problem, as_sample, check_parameters, solved
from .smoothing import Smoother

if TYPE_CHECKING:
    from typing_extensions import Self

KINDS = ("conditional", "barycentric")
# Pairs of new rows with old ones that are held at a time.
BLOCK_PAIRS = 2**22


@dataclass(kw_only=True, eq=False)
class FusedInfoOT:
    """Transport plan of low cost and high mutual information, and the map that follows from it.

    Minimizes <C, P> - information_weight I(P) + regularization KL(P || 1/(n m)) over all plans P
    with uniform marginals; C are the Euclidean distances between x and y, I(P) is
    `infoest.functional.infoot_mi`.

    Args:
        bandwidth: Relative bandwidth h > 0 of both kernels.
        information_weight: Weight of the information, in units of distance per nat; 0 for plain
            entropic transport.
        regularization: Weight of the entropic term, above 0, in units of distance per nat.
        max_iterations: Steps at which to stop.
        tolerance: Decrease of the objective that a stationary plan may still allow, in units of the
            mean distance or of the information weight, whichever is larger, and at least 1.

    Attributes:
        plan_: Plan P, shape (n, m), float64.
        result_: `InfoOTResult`: plan, information in nats, history of the objective, convergence.

    Note:
        Distances count in the units given: scale the columns, and with them the cost, against the
        weights. A local optimum is found, from the product plan, by steps that never raise the
        objective.

    References:
        Chuang, Jegelka, Alvarez-Melis (2023), InfoOT, ICML. The bandwidth of labeled samples is
        that of their features here; the authors' code adds 5000 to the distances between classes
        before it takes the bandwidth, so that rows of one class look alike to it.

    Example:
        >>> import torch
        >>> x = torch.tensor([[0.0], [1.0], [1.5], [4.0]])
        >>> solver = FusedInfoOT(information_weight=1.0, regularization=0.01).fit(x, x + 0.2)
        >>> solver.plan_.argmax(dim=1)
        tensor([0, 1, 2, 3])
        >>> round(solver.project(torch.tensor([[3.9]]), kind="barycentric").item(), 1)
        4.2
    """

    bandwidth: float = 0.5
    information_weight: float = 100.0
    regularization: float = 1.0
    max_iterations: int = 100
    tolerance: float = 1e-8

    def fit(self, x: object, y: object, *, labels: object = None) -> Self:
        """Find the plan between two samples of one space.

        Args:
            x: Samples, shape (n, d) or (n,): arrays, tensors, tables or lists.
            y: Samples, shape (m, d) or (m,).
            labels: Class of every row of x, shape (n,), anything hashable: rows of different
                classes then do not smooth each other. None for one class.

        Returns:
            The solver itself.

        Raises:
            TypeError: If data or parameters are not numeric.
            ValueError: If shapes do not fit, values are not finite, labels are missing, or
                parameters are out of range.
        """
        left, right = as_sample("x", x), as_sample("y", y)
        right = right.to(left.device)
        check_samples(x=left, y=right)
        check_parameters(self.bandwidth, self.regularization, self.max_iterations, self.tolerance)
        check_number("information_weight", self.information_weight, low=0.0)
        problem = Problem(
            _distances(left, right),
            Smoother(left, self.bandwidth, _codes(labels, left)),
            Smoother(right, self.bandwidth),
            self.information_weight,
            self.regularization,
        )
        solution = solved(problem, max_iterations=self.max_iterations, tolerance=self.tolerance)
        self.result_ = solution.result
        self.plan_ = solution.result.plan
        self._x, self._y, self._problem = left, right, problem
        self._joint, self._g = solution.joint, solution.potentials.g
        return self

    def density_ratio(self, x: object) -> Tensor:
        """Return f_xy / (f_x f_y) of new rows and every row of y: how well they go together.

        Args:
            x: Samples, shape (k, d) or (k,), new or those of ``fit``; smoothed by the kernel of
                ``fit``, without labels.

        Returns:
            Shape (k, m), float64; 1 for independence. Far from all rows of ``fit`` it is that of
            the nearest one.

        Raises:
            NotFittedError: Before ``fit``.
            TypeError: If x is not numeric.
            ValueError: If x has the wrong number of columns or is not finite.
        """
        return torch.cat([ratio for _, _, ratio in self._ratios(x)])

    def project(self, x: object, *, kind: str = "conditional") -> Tensor:
        """Return the images of rows in the space of y, new rows or those of ``fit``.

        ``"conditional"``: the mean of y weighed by `density_ratio`, the conditional mean under the
        kernel densities. ``"barycentric"``: the mean of y weighed by the row of the plan, which for
        any x is softmax_j((g_j - G(x, y_j)) / regularization) with G the gradient of cost and
        information at the plan: at a row of ``fit`` the row of the plan, as far as it converged
        (and for samples without labels).

        Args:
            x: Samples, shape (k, d) or (k,).
            kind: ``"conditional"`` or ``"barycentric"``.

        Returns:
            Shape (k, d), float64, inside the convex hull of y.

        Raises:
            NotFittedError: Before ``fit``.
            TypeError: If x is not numeric.
            ValueError: If ``kind`` is unknown, or x has the wrong number of columns or is not
                finite.

        References:
            Chuang, Jegelka, Alvarez-Melis (2023), InfoOT, ICML (conditional).
            Pooladian, Niles-Weed (2021), arXiv 2109.12004 (rows of a plan from its potentials).
        """
        check_option("kind", kind, KINDS)
        images = []
        back = self._information_gradient() if kind == "barycentric" else None
        for rows, log_kernel, ratio in self._ratios(x):
            if back is None:
                weights = ratio / ratio.sum(dim=1, keepdim=True)
            else:
                gain = ratio.clamp_min(SMALLEST_DENSITY).log() + log_kernel.exp() @ back
                cost = _distances(rows, self._y) - self.information_weight * gain
                weights = ((self._g - cost) / self.regularization).softmax(dim=1)
            images.append(weights @ self._y)
        return torch.cat(images)

    def _ratios(self, x: object) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield blocks of rows, their log-kernels with the rows of ``fit``, and their ratios."""
        if not hasattr(self, "plan_"):
            raise NotFittedError("fit must be called first, got a solver without a plan.")
        sample = as_sample("x", x).to(self._x.device)
        if sample.shape[1] != self._x.shape[1]:
            raise ValueError(
                f"x must have {self._x.shape[1]} columns as in fit, got {sample.shape[1]}."
            )
        smoothed = self._problem.smooth_y.times(self.plan_.mT).mT
        smoothed = smoothed * (len(self._x) / self._problem.smooth_y.density)
        block = max(1, BLOCK_PAIRS // max(self.plan_.shape))
        for first in range(0, len(sample), block):
            rows = sample[first : first + block]
            scaled = _distances(rows, self._x) / self._problem.smooth_x.width
            log_kernel = -0.5 * scaled.square()
            # A softmax: far from all rows every kernel underflows, but not their shares.
            yield rows, log_kernel, log_kernel.softmax(dim=1) @ smoothed

    def _information_gradient(self) -> Tensor:
        """Return (P / f_xy) K_y, what kernels of x multiply in the gradient, shape (n, m)."""
        weights = self.plan_ / self._joint.clamp_min(SMALLEST_DENSITY)
        return self._problem.smooth_y.times(weights.mT).mT


def _distances(x: Tensor, y: Tensor) -> Tensor:
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")


def _codes(labels: object, x: Tensor) -> Tensor | None:
    """Return labels as int64 codes, shape (n,)."""
    if labels is None:
        return None
    codes, missing = as_labels("labels", labels)
    if len(codes) != len(x):
        raise ValueError(f"labels must be one per row of x, got {len(codes)} for {len(x)} rows.")
    if missing.any():
        raise ValueError(f"labels must not be missing, got {int(missing.sum())} that are.")
    return torch.from_numpy(codes).to(x.device)
