"""The Gaussian kernel matrix of one sample, as something that multiplies."""

import torch
from torch import Tensor

from infoest.functional.plans import relative_bandwidth
from infoest.kernels.reductions import kernel_matvec

# Up to this many rows of a class the kernel matrix is kept: 200 MB.
MOST_ROWS_OF_MATRIX = 5000


class Smoother:
    """Products with the kernel matrix of a sample at a relative bandwidth.

    With labels the kernel of two samples of different classes is 0.

    Args:
        sample: Samples, shape (n, d), float64.
        bandwidth: Relative bandwidth, see `infoest.functional.infoot_mi`.
        labels: Class of every sample, int64, shape (n,); None for one class.
    """

    def __init__(self, sample: Tensor, bandwidth: float, labels: Tensor | None = None) -> None:
        self.width = relative_bandwidth(sample, bandwidth)
        everything = torch.arange(len(sample), device=sample.device)
        self.classes = [everything]
        if labels is not None:
            self.classes = [everything[labels == label] for label in labels.unique()]
        # What to multiply by for every class: the matrix, or the samples of a large one.
        self.parts = [self._matrix_or_samples(sample[rows]) for rows in self.classes]
        uniform = sample.new_full((len(sample), 1), 1.0 / len(sample))
        self.density = self.times(uniform).squeeze(1)

    def times(self, v: Tensor) -> Tensor:
        """Return K v, shape (n, p), for v of shape (n, p)."""
        if len(self.classes) == 1:
            return self._product(self.parts[0], v)
        product = torch.empty_like(v)
        for rows, part in zip(self.classes, self.parts, strict=True):
            product[rows] = self._product(part, v[rows])
        return product

    def _matrix_or_samples(self, sample: Tensor) -> tuple[Tensor | None, Tensor]:
        if len(sample) > MOST_ROWS_OF_MATRIX:
            return None, sample
        identity = torch.eye(len(sample), dtype=sample.dtype, device=sample.device)
        return kernel_matvec(sample, sample, identity, bandwidth=self.width), sample

    def _product(self, part: tuple[Tensor | None, Tensor], v: Tensor) -> Tensor:
        matrix, sample = part
        if matrix is None:
            return kernel_matvec(sample, sample, v.contiguous(), bandwidth=self.width)
        return matrix @ v
