"""Bounds of a score matrix never held whole: fed by blocks of rows, linear memory. Torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from ._scores import check_finite, check_floating, checked_clip

# Pairs taken at once, whatever the caller's block: 1 MB of float64 each time they are used.
BLOCK_ENTRIES = 2**17
# exp of more could overflow in float64, or its sums over a row.
LARGEST_EXPONENT = 600.0


class _Rows(NamedTuple):
    """What is kept of every row, each shape (rows,) or, with a last axis, (rows, clips)."""

    joint: Tensor
    log_sum: Tensor
    log_sum_product: Tensor
    log_norm_product: Tensor
    softplus_product: Tensor
    log_sums_clipped: Tensor
    clipped: Tensor


class ScoreStatistics:
    """Values of all bounds from one pass over blocks of rows of a score matrix.

    Row i of the matrix (n, m) scores x_i against m columns, one of which is its joint pair; the
    n (m - 1) other entries are pairs of the product. With m = n it is the matrix of
    `infoest.functional.bounds`, and every value is that function's. What is kept is a few float64
    numbers per row, on the CPU; gradients are not.

    Args:
        clips: Limits for which `smile` can be read, positive; infinity needs no place.

    Example:
        >>> import torch
        >>> scores = torch.tensor([[3.0, 0.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 3.0]])
        >>> statistics = ScoreStatistics()
        >>> statistics.add(scores[:2], torch.tensor([0, 1]))
        >>> statistics.add(scores[2:], torch.tensor([2]))
        >>> statistics.donsker_varadhan()
        3.0
    """

    def __init__(self, clips: Sequence[float] = (1.0, 5.0, 10.0)) -> None:
        self.clips = tuple(clip for clip in map(checked_clip, clips) if clip < math.inf)
        self._n_columns: int | None = None
        self._n_rows = 0
        # One table that grows: small tensors kept between large ones would scatter the memory
        # that the large ones leave, which is then never given back.
        self._table = torch.empty(0, 5 + 2 * len(self.clips), dtype=torch.float64)

    @torch.no_grad()
    def add(self, scores: Tensor, positions: Tensor) -> None:
        """Take in the next rows.

        Args:
            scores: Whole rows of the matrix, shape (b, m), floating point, finite; m is at least 2
                and the same in every block. They are read in parts: no more memory of this size
                is taken.
            positions: Column of the joint pair of every row, integers in [0, m), shape (b,).

        Raises:
            TypeError: If scores are not floating-point or positions not an integer tensor.
            ValueError: If shapes do not fit, scores are not finite or a position is no column.
        """
        self._check(scores, positions)
        self._n_columns = scores.shape[1]
        n_rows = max(1, BLOCK_ENTRIES // scores.shape[1])
        at = positions.to(scores.device, torch.int64)[:, None]
        for block, column in zip(scores.split(n_rows), at.split(n_rows), strict=True):
            self._keep(self._summarized(block.double(), column))

    def _summarized(self, rows: Tensor, at: Tensor) -> _Rows:
        """Return the numbers of some rows, from two exponentials and one logarithm per pair."""
        joint = rows.gather(1, at)
        product = rows.scatter(1, at, -torch.inf)
        largest = product.amax(dim=1, keepdim=True)
        weights = (product - largest).exp_()
        log_sum_product = weights.sum(dim=1).log_() + largest[:, 0]
        log_norm = torch.linalg.vector_norm(weights, dim=1).log_() + largest[:, 0]
        ratios = torch.exp(product, out=weights)
        size, beyond = product.abs(), torch.empty_like(product)
        log_sums_clipped = rows.new_empty(len(rows), len(self.clips))
        clipped = torch.empty_like(log_sums_clipped)
        for place, clip in enumerate(self.clips):
            # The joint pair, -inf here, is beyond every clip.
            clipped[:, place] = torch.gt(size, clip, out=beyond).sum(dim=1) - 1.0
            if clip < LARGEST_EXPONENT:
                # A ratio that overflows or underflows is replaced by a limit.
                low = math.exp(-clip)
                sums = torch.clamp(ratios, low, 1.0 / low, out=beyond).sum(dim=1) - low
                log_sums_clipped[:, place] = sums.log_()
            else:
                limited = product.clamp(-clip, clip).scatter_(1, at, -torch.inf)
                log_sums_clipped[:, place] = limited.logsumexp(dim=1)
        # log(1 + r) is softplus, but for a ratio that overflows; 0 for the joint pair.
        overflows = float(largest.amax()) > LARGEST_EXPONENT
        softplus = -logsigmoid(-product) if overflows else ratios.log1p_()
        return _Rows(
            joint=joint[:, 0],
            log_sum=torch.logaddexp(log_sum_product, joint[:, 0]),
            log_sum_product=log_sum_product,
            log_norm_product=log_norm,
            softplus_product=softplus.sum(dim=1),
            log_sums_clipped=log_sums_clipped,
            clipped=clipped,
        )

    def _keep(self, rows: _Rows) -> None:
        end = self._n_rows + len(rows.joint)
        if end > len(self._table):
            table = self._table.new_empty(max(end, 2 * len(self._table)), self._table.shape[1])
            table[: self._n_rows] = self._table[: self._n_rows]
            self._table = table
        parts = (part.reshape(len(rows.joint), -1) for part in rows)
        self._table[self._n_rows : end] = torch.cat(list(parts), dim=1)
        self._n_rows = end

    @property
    def joint(self) -> Tensor:
        """Scores of the joint pairs in the order added, float64, shape (n,), a copy."""
        return self._rows().joint.clone()

    @property
    def n_negatives(self) -> int:
        """Number n (m - 1) of product pairs seen."""
        return self._n_rows * ((self._n_columns or 1) - 1)

    def donsker_varadhan(self) -> float:
        """Return the value of `bounds.donsker_varadhan`, in nats."""
        return float(self._rows().joint.mean()) - self.log_mean_exp()

    def nwj(self, offset: float = 1.0) -> float:
        """Return the value of `bounds.nwj`, in nats; -inf where exp overflows.

        Args:
            offset: What the scores are to be beyond the log density ratio; `bounds.nwj` asks for
                1, and other scores are brought there.
        """
        mean = torch.tensor(self.log_mean_exp() - offset, dtype=torch.float64).exp()
        return float(self._rows().joint.mean() + (1.0 - offset) - mean)

    def infonce(self) -> float:
        """Return the value of `bounds.infonce`, in nats, with log m: at most that."""
        rows = self._rows()
        columns = self._n_columns or 1
        return math.log(columns) + float((rows.joint - rows.log_sum).clamp(max=0.0).mean())

    def smile(self, clip: float | None = 5.0) -> float:
        """Return the value of `bounds.smile`, in nats, for one of the clips asked for, or None."""
        rows = self._rows()
        if checked_clip(clip) == math.inf:
            return self.donsker_varadhan()
        log_sum = rows.log_sums_clipped[:, self._place(clip)].logsumexp(dim=0)
        return float(rows.joint.mean() - log_sum) + math.log(self.n_negatives)

    def jensen_shannon(self) -> float:
        """Return the value of `bounds.jensen_shannon`, an objective."""
        rows = self._rows()
        return float(logsigmoid(rows.joint).mean() - rows.softplus_product.sum() / self.n_negatives)

    def log_mean_exp(self) -> float:
        """Return the log of the mean of exp(score) over the product: 0 for a normalized ratio."""
        return float(self._rows().log_sum_product.logsumexp(dim=0)) - math.log(self.n_negatives)

    def log_row_means(self) -> Tensor:
        """Return the log of the mean of exp(score) over the product pairs of every row, (n,)."""
        return self._rows().log_sum_product - math.log((self._n_columns or 2) - 1)

    def log_row_sums(self) -> Tensor:
        """Return the log of the sum of exp(score) over every whole row, shape (n,)."""
        return self._rows().log_sum.clone()

    def effective_negatives(self) -> float:
        """Return (sum w)^2 / sum w^2 over the product pairs, w = exp(score); from 1 to all.

        So many pairs carry the partition term: below about 100 `donsker_varadhan` and `nwj` are
        of high variance.
        """
        rows = self._rows()
        log_squares = (2.0 * rows.log_norm_product).logsumexp(dim=0)
        return float((2.0 * rows.log_sum_product.logsumexp(dim=0) - log_squares).exp())

    def clipped_fraction(self, clip: float | None = 5.0) -> float:
        """Return the share of product pairs whose score is beyond one of the clips, from 0 to 1."""
        rows = self._rows()
        if checked_clip(clip) == math.inf:
            return 0.0
        return float(rows.clipped[:, self._place(clip)].sum()) / self.n_negatives

    def _rows(self) -> _Rows:
        if not self._n_rows:
            raise ValueError("scores must be added before a value is read, got none. Call add.")
        table, n_clips = self._table[: self._n_rows], len(self.clips)
        joint, total, product, norm, softplus = table[:, :5].unbind(dim=1)
        of_clips, counts = table[:, 5 : 5 + n_clips], table[:, 5 + n_clips :]
        return _Rows(joint, total, product, norm, softplus, of_clips, counts)

    def _place(self, clip: float | None) -> int:
        if clip not in self.clips:
            raise ValueError(
                f"clip must be one of the clips of these statistics, {list(self.clips)}, or None, "
                f"got {clip!r}. Name it in ScoreStatistics(clips=...)."
            )
        return self.clips.index(float(clip))

    def _check(self, scores: Tensor, positions: Tensor) -> None:
        check_floating("scores", scores)
        if scores.ndim != 2 or not len(scores) or scores.shape[1] < 2:
            raise ValueError(
                "scores must have shape (rows, columns), at least 1 and 2 of them, "
                f"got {tuple(scores.shape)}."
            )
        if self._n_columns not in (None, scores.shape[1]):
            raise ValueError(
                f"scores must have {self._n_columns} columns like the blocks before, "
                f"got {scores.shape[1]}."
            )
        check_finite("scores", scores)
        if not isinstance(positions, Tensor) or positions.dtype not in (torch.int64, torch.int32):
            shown = positions.dtype if isinstance(positions, Tensor) else type(positions).__name__
            raise TypeError(f"positions must be an integer tensor, got {shown}.")
        if positions.shape != scores.shape[:1]:
            raise ValueError(
                f"positions must have shape ({len(scores)},), one column per row of scores, "
                f"got {tuple(positions.shape)}."
            )
        low, high = int(positions.min()), int(positions.max())
        if low < 0 or high >= scores.shape[1]:
            raise ValueError(
                f"positions must be in [0, {scores.shape[1] - 1}], got {low if low < 0 else high}."
            )
