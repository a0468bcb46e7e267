"""How wide a kernel is: a number, one number per column, or a rule that reads the data."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from infoest._validation import check_number, check_option

from ._samples import check_samples
from ._screening import nearest

Bandwidth: TypeAlias = str | float | Sequence[float] | npt.NDArray[Any] | Tensor
"""Name of a rule, the standard deviation of the Gaussian kernel, or one per column."""

# Rows from which the median distance is read: two million pairs, 2 % of sampling error at most.
MEDIAN_ROWS = 2000
# Neighbor whose distance is the local scale (Zelnik-Manor, Perona).
SCALE_NEIGHBOR = 7


def resolve_bandwidth(bandwidth: Bandwidth, *samples: Tensor, name: str = "bandwidth") -> Tensor:
    """Return a bandwidth in numbers; rules are read from the pooled samples.

    - ``"silverman"``: (4 / ((d + 2) n))^(1 / (d + 4)) times the standard deviation of each column.
    - ``"median"``: the median of the non-self distances, one number. Of more than 2000 rows a
      fixed random choice is used, from each sample in proportion to its length. Where the median
      is 0 (over half of the pairs are equal rows), the median of the positive distances.
    - ``"knn"``: the mean distance to the 7th nearest other row, one number: follows the density
      where ``"median"`` follows the extent. Of more than 2000 rows a fixed random choice asks,
      among all.

    Args:
        bandwidth: Name of a rule, a positive number in the units of the samples, or one positive
            number per column, shape (d,).
        samples: One or several samples, each of shape (n, d).
        name: Of the caller's parameter, for errors.

    Returns:
        Float64 tensor of shape () or (d,) on the samples' device. Differentiable in a given
        tensor; a rule's number is a constant.

    Raises:
        TypeError: If ``bandwidth`` holds anything but numbers.
        ValueError: If there is no sample, the rule is unknown, the shape is wrong, a number is not
            positive and finite, or the samples do not vary enough for the rule.

    References:
        Silverman (1986), Density Estimation for Statistics and Data Analysis, eq. 4.14.
        Zelnik-Manor, Perona (2004), Self-tuning spectral clustering (the 7th neighbor).

    Example:
        >>> import torch
        >>> x = torch.tensor([[0.0], [1.0], [3.0], [7.0]])
        >>> resolve_bandwidth("median", x).item()  # of 1, 2, 3, 4, 6, 7
        3.5
        >>> resolve_bandwidth(0.5, x).item()
        0.5
    """
    if not samples:
        raise ValueError(f"samples must be given for {name}, got none. Pass those of the kernel.")
    for sample in samples:
        check_samples(samples=sample)
    if isinstance(bandwidth, str):
        check_option(name, bandwidth, RULES, "Or pass a number or one number per column.")
        with torch.no_grad():
            return _by_rule(name, bandwidth, [sample.double() for sample in samples])
    width = _as_tensor(name, bandwidth).to(samples[0].device, torch.float64)
    n_columns = samples[0].shape[1]
    if width.shape not in ((), (n_columns,)):
        raise ValueError(
            f"{name} must be a number or one number per column, shape ({n_columns},), "
            f"got shape {tuple(width.shape)}."
        )
    bad = width.detach()[~((width > 0.0) & torch.isfinite(width))]
    if len(bad):
        raise ValueError(f"{name} must be positive and finite, got {bad[0].item()}.")
    return width


def _by_rule(name: str, rule: str, samples: list[Tensor]) -> Tensor:
    """Return the bandwidth of a rule at any magnitude of float64 samples."""
    largest = torch.stack([sample.abs().amax(dim=0) for sample in samples]).amax(dim=0)
    if rule != "silverman":  # distances need one unit for all columns
        largest = largest.amax()
    # Squares of 1e200 overflow. A power of two changes no digit; this one has an inverse, too.
    exponent = torch.frexp(largest).exponent.clamp(-1021, 1022)
    unit = torch.ldexp(torch.ones_like(largest), exponent.double())
    width = RULES[rule](name, *(sample / unit for sample in samples)) * unit
    if not bool(((width > 0.0) & torch.isfinite(width)).all()):
        raise ValueError(
            f"samples must not vary beyond float64's range for {name}={rule!r}, got values up to "
            f"{largest.max().item():.2g}. Rescale them."
        )
    return width


def silverman(name: str, *samples: Tensor) -> Tensor:
    """Return Silverman's bandwidth of every column of the pooled samples, shape (d,)."""
    pooled = torch.cat(samples)
    n, d = pooled.shape
    deviation = pooled.std(dim=0) if n > 1 else pooled.new_zeros(d)
    if not bool((deviation > 0.0).all()):
        raise ValueError(
            f"samples must vary in every column for {name}='silverman', got a constant column. "
            "Pass a number."
        )
    return deviation * (4.0 / ((d + 2.0) * n)) ** (1.0 / (d + 4.0))


def median_distance(name: str, *samples: Tensor) -> Tensor:
    """Return the median of the non-self distances of the pooled samples, shape ()."""
    total = sum(len(sample) for sample in samples)
    share = min(1.0, MEDIAN_ROWS / total)
    distances = torch.pdist(torch.cat([_some_rows(sample, share) for sample in samples]))
    positive = distances[distances > 0.0]
    if not len(positive):
        raise ValueError(
            f"samples must hold two different rows for {name}='median', got equal rows. "
            "Pass a number."
        )
    median = _median(distances)
    return median if bool(median > 0.0) else _median(positive)


def neighbor_distance(name: str, *samples: Tensor) -> Tensor:
    """Return the mean distance to the 7th nearest other row of the pooled samples, shape ()."""
    pooled = torch.cat(samples)
    pooled = pooled - pooled.mean(dim=0)
    share = min(1.0, MEDIAN_ROWS / len(pooled))
    rows = _some_rows(pooled, share)
    k = min(SCALE_NEIGHBOR, len(pooled) - 1)
    own_and_others = nearest(rows, pooled, k + 1, exclude_self=False)
    distance = (rows - pooled[own_and_others[:, -1]]).norm(dim=1).mean()
    if not bool(distance > 0.0):
        raise ValueError(
            f"samples must hold rows that are not repeated seven times for {name}='knn', got "
            "equal rows. Pass a number."
        )
    return distance


RULES = {"silverman": silverman, "median": median_distance, "knn": neighbor_distance}


def _some_rows(sample: Tensor, share: float) -> Tensor:
    """Return a fixed random choice of rows; it does not depend on the other samples' order."""
    if share == 1.0:
        return sample
    order = torch.randperm(len(sample), generator=torch.Generator().manual_seed(0))
    return sample[order[: max(1, round(share * len(sample)))].to(sample.device)]


def _median(values: Tensor) -> Tensor:
    """Return the median; the mean of the two middle values where there are two."""
    low = values.kthvalue((len(values) + 1) // 2).values
    high = values.kthvalue(len(values) // 2 + 1).values
    return 0.5 * (low + high)


def _as_tensor(name: str, bandwidth: float | Sequence[float] | npt.NDArray[Any] | Tensor) -> Tensor:
    if isinstance(bandwidth, Tensor):
        if bandwidth.is_complex() or bandwidth.dtype == torch.bool:
            raise TypeError(f"{name} must hold numbers only, got dtype {bandwidth.dtype}.")
        return bandwidth
    if isinstance(bandwidth, (list, tuple, np.ndarray)):
        numbers = np.array(bandwidth)
        if numbers.dtype.kind not in "iuf":
            raise TypeError(f"{name} must hold numbers only, got {bandwidth!r}.")
        return torch.from_numpy(numbers.astype(np.float64))
    return torch.tensor(check_number(name, bandwidth, low=0.0, open_low=True), dtype=torch.float64)
