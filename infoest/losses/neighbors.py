"""Who is whose neighbor: laws p(j | i) of all points j for every row i, for `IConLoss`. Torch.

Settings are given when such an object is made, data when it is called: ``neighbors(points)``. The
points are a tensor, whose rows are each other's neighbors, or a pair (rows, points) of two sets.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from infoest._validation import check_bool, check_int, check_number, check_option
from infoest.functional._scores import may_read
from infoest.kernels import gaussian, nearest, student

from ._neighbor_laws import (
    NeighborLaw,
    Tensors,
    from_kernel,
    from_links,
    mixed,
    walked,
    without_self,
)
from ._neighbor_points import (
    Points,
    check_integers,
    check_positions,
    scale_of_perplexity,
    squared_distances,
    two_sets,
    vectors,
)

# Probabilities of sharing a cluster below this count as this: their logs and gradients stay finite.
LEAST_SHARED = 1e-280


class Neighbors(ABC):
    """Settings of a law of neighbors; called with data they give the law."""

    @abstractmethod
    def __call__(
        self, points: Points, *, name: str = "points", columns: int | None = None
    ) -> NeighborLaw:
        """Return the law of the neighbors of every row.

        Args:
            points: Data of the points, or a pair (rows, points) of two sets.
            name: What errors call them.
            columns: Number of points, where the data does not say it.

        Raises:
            TypeError: If a tensor has the wrong dtype.
            ValueError: If shapes do not fit, or (on the CPU) values are out of range.
        """

    def mixed(self, share: float) -> MixedNeighbors:
        """Return (1 - share) times this law plus ``share`` times the uniform one (debiasing)."""
        return MixedNeighbors(neighbors=self, share=share)

    def walk(self, steps: int, *, shorter: bool = False) -> WalkNeighbors:
        """Return the law after ``steps`` steps; with ``shorter`` the mean over 1 ... steps."""
        return WalkNeighbors(neighbors=self, steps=steps, shorter=shorter)


@dataclass(frozen=True, kw_only=True)
class GaussianNeighbors(Neighbors):
    """Neighbors by a Gaussian kernel: p(j | i) proportional to exp(-|u_i - u_j|^2 / (2 b^2)).

    Points have shape (n, d), floating point.

    Args:
        bandwidth: b, positive. With ``metric="cosine"`` it is the root of the usual temperature.
        perplexity: Choose b for every row so that the entropy is log of this number of neighbors,
            above 1 (without a gradient, by a search: make such a law once); None takes
            ``bandwidth``.
        metric: ``"euclidean"``; ``"cosine"``, of points scaled to length 1; or ``"dot"``,
            p proportional to exp(u_i . u_j / b^2).
        exclude_self: Set p(i | i) = 0. Between two sets no point is the row itself.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If one is out of range.

    Example:
        >>> law = GaussianNeighbors(bandwidth=1.0)(torch.tensor([[0.0], [1.0], [2.0]]))
        >>> law.log_rows(slice(1, 2)).exp()
        tensor([[0.5000, 0.0000, 0.5000]], dtype=torch.float64)
    """

    bandwidth: float = 1.0
    perplexity: float | None = None
    metric: str = "euclidean"
    exclude_self: bool = True

    def __post_init__(self) -> None:
        """Check the settings."""
        check_number("bandwidth", self.bandwidth, low=0.0, open_low=True)
        if self.perplexity is not None:
            check_number("perplexity", self.perplexity, low=1.0, open_low=True)
        check_option("metric", self.metric, ("euclidean", "cosine", "dot"))
        check_bool("exclude_self", self.exclude_self)

    def __call__(
        self, points: Points, *, name: str = "points", columns: int | None = None
    ) -> NeighborLaw:
        """Return the law of the neighbors, see `Neighbors`."""
        left, right, own = vectors(name, points, self.exclude_self, self.metric)
        exclude_self = own and self.exclude_self

        def log_kernel(rows: slice, given: Tensors) -> Tensor:
            if self.metric == "dot":
                return given[0][rows] @ given[1].T
            return gaussian(squared_distances(given[0][rows], given[1]))

        scale = left.new_full((len(left),), self.bandwidth**-2)
        if self.perplexity is not None:
            scale = scale_of_perplexity(log_kernel, self.perplexity, (left, right), exclude_self)
        return from_kernel(
            lambda rows, given: scale[rows, None] * log_kernel(rows, given),
            (left, right),
            own=own,
            exclude_self=exclude_self,
        )


@dataclass(frozen=True, kw_only=True)
class StudentTNeighbors(Neighbors):
    """Neighbors by a Student-t kernel: (1 + |u_i - u_j|^2 / (b^2 freedom))^(-(freedom + 1) / 2).

    Points have shape (n, d), floating point.

    Args:
        freedom: Degrees of freedom, positive; 1 is t-SNE's.
        bandwidth: b, positive.
        metric: ``"euclidean"``, or ``"cosine"``, of points scaled to length 1.
        exclude_self: Set p(i | i) = 0. Between two sets no point is the row itself.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If one is out of range.

    Example:
        >>> law = StudentTNeighbors()(torch.tensor([[0.0], [1.0], [3.0]]))
        >>> law.log_rows(slice(0, 1)).exp()  # 1/2 and 1/10
        tensor([[0.0000, 0.8333, 0.1667]], dtype=torch.float64)
    """

    freedom: float = 1.0
    bandwidth: float = 1.0
    metric: str = "euclidean"
    exclude_self: bool = True

    def __post_init__(self) -> None:
        """Check the settings."""
        check_number("freedom", self.freedom, low=0.0, open_low=True)
        check_number("bandwidth", self.bandwidth, low=0.0, open_low=True)
        check_option("metric", self.metric, ("euclidean", "cosine"))
        check_bool("exclude_self", self.exclude_self)

    def __call__(
        self, points: Points, *, name: str = "points", columns: int | None = None
    ) -> NeighborLaw:
        """Return the law of the neighbors, see `Neighbors`."""
        left, right, own = vectors(name, points, self.exclude_self, self.metric)

        def log_kernel(rows: slice, given: Tensors) -> Tensor:
            squares = squared_distances(given[0][rows], given[1]) / self.bandwidth**2
            return student(squares, self.freedom)

        return from_kernel(
            log_kernel, (left, right), own=own, exclude_self=own and self.exclude_self
        )


@dataclass(frozen=True, kw_only=True)
class NearestNeighbors(Neighbors):
    """Neighbors are the k nearest points (Euclidean), all equally likely: a sparse law.

    Points have shape (n, d), floating point; no gradient comes back to them. A row is not its own
    neighbor, but for two sets.

    Args:
        k: Number of neighbors, at least 1.

    Raises:
        TypeError: If k is no integer.
        ValueError: If it is below 1, or, when called, there are too few points.

    Note:
        The search reads values: on a GPU it waits. Make the law once where the data stays.

    Example:
        >>> NearestNeighbors(k=1)(torch.tensor([[0.0], [1.0], [3.0]])).links[0].tolist()
        [[1], [0], [1]]
    """

    k: int

    def __post_init__(self) -> None:
        """Check the setting."""
        check_int("k", self.k, low=1)

    def __call__(
        self, points: Points, *, name: str = "points", columns: int | None = None
    ) -> NeighborLaw:
        """Return the law of the neighbors, see `Neighbors`."""
        left, right, own = vectors(name, points, True, "euclidean")
        with torch.no_grad():
            _, index = nearest(left, right, self.k, exclude_self=own)
        return from_links(index, len(right), own=own, exclude_self=own)


@dataclass(frozen=True, kw_only=True)
class LabelNeighbors(Neighbors):
    """Neighbors are the points of the same label, all equally likely.

    Points are labels, integers of shape (n,). For cross-entropy the two sets are the labels of the
    rows and ``torch.arange(classes)``, those of the prototypes.

    Args:
        exclude_self: Set p(i | i) = 0. Between two sets no point is the row itself.

    Raises:
        TypeError: If exclude_self is no bool.

    Example:
        >>> LabelNeighbors()(torch.tensor([3, 5, 3, 3])).log_rows(slice(0, 1)).exp()
        tensor([[0.0000, 0.0000, 0.5000, 0.5000]], dtype=torch.float64)
    """

    exclude_self: bool = True

    def __post_init__(self) -> None:
        """Check the setting."""
        check_bool("exclude_self", self.exclude_self)

    def __call__(
        self, points: Points, *, name: str = "points", columns: int | None = None
    ) -> NeighborLaw:
        """Return the law of the neighbors, see `Neighbors`."""
        left, right, own = two_sets(name, points)
        for one in (left, right):
            check_integers(name, one, axes=(1,))
        exclude_self = own and self.exclude_self

        def block(rows: slice, _: Tensors) -> Tensor:
            same = left[rows, None] == right
            if exclude_self:
                same = without_self(same, rows, False)
            count = same.sum(dim=1, keepdim=True, dtype=torch.float64)
            return torch.where(same, -count.clamp(min=1.0).log(), -math.inf)

        return NeighborLaw(
            rows=len(left),
            columns=len(right),
            own=own,
            exclude_self=exclude_self,
            tensors=(),
            block=block,
        )


@dataclass(frozen=True, kw_only=True)
class PairNeighbors(Neighbors):
    """Neighbors are listed, all equally likely: views of one image, a caption. A sparse law.

    Points are the positions of the neighbors of every row, integers of shape (n,) or (n, k), no one
    twice in a row. In a batch of n first and n second views: ``(arange(2n) + n) % (2n)``.

    Args:
        exclude_self: Positions are in the set of the rows, and none is the row itself. With False
            they may be, or count points of another set: ``arange(n)`` for images and captions.

    Raises:
        TypeError: If exclude_self is no bool.

    Example:
        >>> PairNeighbors()(torch.tensor([1, 0, 3, 2])).log_rows(slice(0, 1)).exp()
        tensor([[0., 1., 0., 0.]], dtype=torch.float64)
    """

    exclude_self: bool = True

    def __post_init__(self) -> None:
        """Check the setting."""
        check_bool("exclude_self", self.exclude_self)

    def __call__(
        self, points: Points, *, name: str = "points", columns: int | None = None
    ) -> NeighborLaw:
        """Return the law of the neighbors, see `Neighbors`."""
        if isinstance(points, tuple):
            raise TypeError(f"{name} must be one tensor of positions, got a pair.")
        check_integers(name, points, axes=(1, 2))
        index = (points[:, None] if points.ndim == 1 else points).long()
        columns = len(index) if columns is None else columns
        if may_read(index):
            check_positions(name, index, columns, self.exclude_self)
        own = columns == len(index)
        return from_links(index, columns, own=own, exclude_self=self.exclude_self)


@dataclass(frozen=True, kw_only=True)
class ClusterNeighbors(Neighbors):
    """Neighbors share a soft cluster: q(j | i) = sum_c s_ic s_jc / sum_l s_lc.

    From row i to a cluster, and from there to one of its points. Points are logits of clusters,
    shape (n, clusters), whose softmax is s.

    Args:
        exclude_self: Set q(i | i) = 0 and normalize again. Between two sets no point is the row
            itself.

    Raises:
        TypeError: If exclude_self is no bool.

    Note:
        Probabilities below 1e-280 count as that, and have no gradient.

    References:
        Alshammari et al. (2025), ICLR, arXiv 2504.16929 (section on clustering).

    Example:
        >>> law = ClusterNeighbors()(torch.tensor([[9.0, -9.0], [9.0, -9.0], [-9.0, 9.0]]))
        >>> law.log_rows(slice(0, 1)).exp()
        tensor([[5.0000e-01, 5.0000e-01, ...e-08]], dtype=torch.float64)
    """

    exclude_self: bool = False

    def __post_init__(self) -> None:
        """Check the setting."""
        check_bool("exclude_self", self.exclude_self)

    def __call__(
        self, points: Points, *, name: str = "points", columns: int | None = None
    ) -> NeighborLaw:
        """Return the law of the neighbors, see `Neighbors`."""
        left, right, own = vectors(name, points, self.exclude_self, "dot")
        to_cluster = left.log_softmax(dim=1)
        to_point = right.log_softmax(dim=1).log_softmax(dim=0)
        # Scaled by the largest of every row and point, so that products stay in range; the result
        # does not depend on the scales.
        row_scale = to_cluster.detach().amax(dim=1, keepdim=True)
        point_scale = to_point.detach().amax(dim=1, keepdim=True)
        tensors = (to_cluster - row_scale).exp(), (to_point - point_scale).exp()

        def log_kernel(rows: slice, given: Tensors) -> Tensor:
            shared = (given[0][rows] @ given[1].T).clamp(min=LEAST_SHARED)
            return shared.log() + row_scale[rows] + point_scale.T

        return from_kernel(log_kernel, tensors, own=own, exclude_self=own and self.exclude_self)


@dataclass(frozen=True, kw_only=True)
class MixedNeighbors(Neighbors):
    """(1 - share) of a law and ``share`` of the uniform one: debiasing, or label smoothing.

    Where the law leaves out the row itself, the uniform one does, too.

    Args:
        neighbors: The law.
        share: Of the uniform law, in [0, 1).

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If share is out of range.

    Example:
        >>> PairNeighbors().mixed(0.3)(torch.tensor([1, 0, 0, 0])).log_rows(slice(0, 1)).exp()
        tensor([[0.0000, 0.8000, 0.1000, 0.1000]], dtype=torch.float64)
    """

    neighbors: Neighbors
    share: float

    def __post_init__(self) -> None:
        """Check the settings."""
        _check_neighbors(self.neighbors)
        check_number("share", self.share, low=0.0, high=1.0, open_high=True)

    def __call__(
        self, points: Points, *, name: str = "points", columns: int | None = None
    ) -> NeighborLaw:
        """Return the law of the neighbors, see `Neighbors`."""
        return mixed(self.neighbors(points, name=name, columns=columns), self.share)


@dataclass(frozen=True, kw_only=True)
class WalkNeighbors(Neighbors):
    """Where a walk from neighbor to neighbor comes to: a power of the matrix of transitions.

    Where the law leaves out the row itself, so does this one, and is normalized again.

    Args:
        neighbors: The law of a step, within one set.
        steps: At least 1.
        shorter: Take the mean over walks of 1 ... steps.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If steps is below 1, or, when called, there are two sets.

    Note:
        Of sparse laws (nearest, pairs) only their links are kept, of others the whole n x n matrix.

    Example:
        >>> PairNeighbors().walk(2)(torch.tensor([1, 2, 3, 0])).log_rows(slice(0, 1)).exp()
        tensor([[0., 0., 1., 0.]], dtype=torch.float64)
    """

    neighbors: Neighbors
    steps: int
    shorter: bool = False

    def __post_init__(self) -> None:
        """Check the settings."""
        _check_neighbors(self.neighbors)
        check_int("steps", self.steps, low=1)
        check_bool("shorter", self.shorter)

    def __call__(
        self, points: Points, *, name: str = "points", columns: int | None = None
    ) -> NeighborLaw:
        """Return the law of the neighbors, see `Neighbors`."""
        law = self.neighbors(points, name=name, columns=columns)
        if not law.own:
            raise ValueError(f"{name} must be one set of points for a walk, got two.")
        return walked(law, self.steps, shorter=self.shorter)


def _check_neighbors(neighbors: object) -> None:
    if not isinstance(neighbors, Neighbors):
        raise TypeError(f"neighbors must be a Neighbors object, got {neighbors!r}.")
