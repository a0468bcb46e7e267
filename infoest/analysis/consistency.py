"""Whether the values of an estimator fit each other: three tests that need no true value."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from infoest._progress import progress_bar
from infoest._random import generator
from infoest._validation import (
    MIN_ROWS,
    Array,
    as_array,
    check_bool,
    check_int,
    check_number,
    check_option,
    read_data,
    read_series,
)
from infoest.estimators.catalog import METHODS

from .consistency_result import CALLS_PER_STEP, Monotonicity, RatioTest, SelfConsistency

if TYPE_CHECKING:
    from infoest.estimators.base import MutualInformationEstimator

Transform = Callable[[Array], object]

# Share of all rows that h drops unless a transform is given: 3 of the 28 of Song and Ermon.
DROPPED_SHARE = 3 / 28


def self_consistency(
    estimator: str | MutualInformationEstimator,
    x: object,
    *,
    steps: int | Sequence[float] = 6,
    transform: Transform | None = None,
    noise: float = 0.0,
    random_state: int | None = 0,
    progress: bool = False,
) -> SelfConsistency:
    """Test whether the values of an estimator on data of any shape fit each other.

    Y_t is the first t rows of the image X, plus noise if asked for. Whatever the law of X is,

    - monotonicity: I(X; Y_t) does not fall with t;
    - data processing: I([X, X]; [Y_t, h(Y_t)]) / I(X; Y_t) = 1, since neither the copy of X nor
      h(Y_t) says anything new;
    - additivity: I([X1, X2]; [Y1_t, Y2_t]) / I(X1; Y1_t) = 2 for independent images X1 and X2. They
      are two random halves of the samples, paired, and the denominator comes from the first.

    Every step takes 4 estimator calls, up to 2 d columns a side.

    Args:
        estimator: Name in ``infoest.METHODS`` or an estimator of mutual information. It keeps its
            own settings and seed.
        x: Samples, shape (n, rows, ...), n at least 10: images (n, height, width) or (n, height,
            width, channels), or a table (n, d), where a row is a column of the table. Values are
            used as numbers, also integers. Pixels that do not vary in all samples and in each
            random half are left out of both sides and counted in the result.
        steps: Number of values of t, evenly spaced over the rows that vary, the last one all of
            them (with fewer rows than that, each is a step); or fractions of all rows in (0, 1],
            increasing. At least two.
        transform: h, from the rows seen, shape (n, t, ...), to an array of n rows; the same for
            the same input. None drops the last 3/28 of all rows, at least one, and keeps one.
        noise: Standard deviation of normal noise added to Y, relative to that of each pixel. The
            noise is one image per sample, so that Y_t is a part of Y_t+1.
        random_state: Seed of the noise and of the halves; None draws a new one.
        progress: Show a progress bar by rich.

    Returns:
        The three tests as a `SelfConsistency` with a table and a picture. A ratio whose
        denominator is not positive is infinity: the estimator found no information.

    Raises:
        TypeError: For data that are not numeric, or an estimator that is none.
        ValueError: For wrong shapes, missing values, too few samples or rows, images that do not
            vary, or settings out of range.

    Note:
        Passing says that the values agree with each other, not that they are true: half of every
        true value passes as well, and so, nearly, do those of a Gaussian model of any data. With
        ``noise=0`` and continuous data Y_t is a function of X and every true I(X; Y_t) is
        infinite; a finite value then tells how finely the estimator resolves the data (by its
        critic, its neighbors, log n), the ratios compare such resolutions, and most estimates say
        ``infinite_for_continuous``. With ``noise`` above 0 the truth is finite. The additivity test
        uses n // 2 samples and twice the columns, so that it fails also where bias grows with the
        dimension.

    References:
        Song, Ermon (2020), ICLR, Understanding the limitations of variational mutual information
        estimators, section 6.2.

    Example:
        >>> import numpy as np
        >>> x = np.random.default_rng(0).standard_normal((2000, 4, 2))
        >>> found = self_consistency("gaussian", x, steps=4, noise=1.0)
        >>> found.passed(tolerance=0.1)
        {'monotonicity': True, 'data_processing': True, 'additivity': True}
    """
    chosen = _resolved(estimator)
    check_number("noise", noise, low=0.0)
    check_bool("progress", progress)
    if transform is not None and not callable(transform):
        raise TypeError(
            f"transform must be a function of an array or None, got {transform!r}. "
            "It takes the rows seen, shape (n, t, ...)."
        )
    rng = generator(random_state)
    images = _images(x)
    halves = rng.permutation(len(images))[: len(images) // 2 * 2].reshape(2, -1)
    kept = _varying(images, halves)
    rows = _rows_seen(steps, kept)
    noisy = (
        images + noise * _spread(images) * rng.standard_normal(images.shape) if noise else images
    )
    pairs = _pairs(images, noisy, kept, rows, halves, transform)
    found = [
        chosen.estimate(left, right, confidence=None)
        for left, right in _watched(pairs, CALLS_PER_STEP * len(rows), progress)
    ]
    information, processed, pair, half = (tuple(found[i::CALLS_PER_STEP]) for i in range(4))
    return SelfConsistency(
        monotonicity=Monotonicity(rows, information),
        data_processing=RatioTest(rows, 1.0, processed, information),
        additivity=RatioTest(rows, 2.0, pair, half),
        method=METHODS.name_of(chosen),
        quantity=found[0].quantity,
        unit=found[0].unit,
        n_samples=len(images),
        n_rows=images.shape[1],
        n_columns=int(kept.sum()),
        n_constant=int(kept.size - kept.sum()),
        noise=float(noise),
    )


def _resolved(estimator: object) -> Any:
    names = METHODS.names("mutual_information")
    if isinstance(estimator, str):
        check_option("estimator", estimator, names)
        return METHODS[estimator]()
    kind = getattr(estimator, "kind", None)
    if isinstance(estimator, type) or kind != "mutual_information":
        raise TypeError(
            "estimator must be a name or an estimator of mutual information, "
            f"got {estimator!r}. Names: {', '.join(names)}."
        )
    return estimator


def _images(x: object) -> Array:
    """Return finite samples of shape (n, rows, ...) with enough of both."""
    array = as_array("x", x)
    if array.ndim < 2:
        raise ValueError(
            f"x must have shape (n_samples, rows, ...), got {array.shape}. "
            "Pass images (n, height, width) or a table (n, d)."
        )
    shape = array.shape
    flat = read_data({"x": array.reshape(shape[0], math.prod(shape[1:]))}, constant=True).x
    if shape[0] < 2 * MIN_ROWS:
        raise ValueError(
            f"x must have at least {2 * MIN_ROWS} samples, got {shape[0]}. "
            "Additivity pairs one half of them with the other."
        )
    if shape[1] < 2:
        raise ValueError(
            f"x must have at least two rows in an image (columns in a table), got {shape[1]}. "
            "The tests look at more and more of them: swap axes, or pass several variables."
        )
    return flat.reshape(shape)


def _varying(images: Array, halves: Array) -> Array:
    """Return which pixels vary in every part of the data that is estimated on, shape (rows, ...).

    One choice for all calls: tests on different pixels could not be compared.
    """
    first, second = images[halves[0]], images[halves[1]]
    kept = _vary(first) & _vary(second)
    n_rows = int(kept.reshape(len(kept), -1).any(axis=1).sum())
    if n_rows < 2:
        raise ValueError(
            "x must vary over the samples (in each random half) in at least two rows of the "
            f"image, got {n_rows}. Constant pixels carry no information."
        )
    return kept


def _vary(samples: Array) -> Array:
    return np.asarray(samples.max(axis=0) > samples.min(axis=0))


def _rows_seen(steps: int | Sequence[float], kept: Array) -> tuple[int, ...]:
    """Return the increasing numbers of rows seen, the first of which shows a pixel that varies."""
    telling = np.flatnonzero(kept.reshape(len(kept), -1).any(axis=1))
    if not isinstance(steps, (Sequence, np.ndarray)) or isinstance(steps, str):
        remedy = "Or pass fractions of the rows."
        count = min(check_int("steps", steps, low=2, remedy=remedy), len(telling))
        shares = [(2 * i * len(telling) + count) // (2 * count) for i in range(1, count + 1)]
        return tuple(int(telling[share - 1]) + 1 for share in shares)
    fractions = [check_number("steps", f, low=0.0, high=1.0, open_low=True) for f in steps]
    rows = tuple(max(1, round(f * len(kept))) for f in fractions)
    if len(rows) < 2 or any(later <= t for t, later in pairwise(rows)):
        raise ValueError(
            "steps must be at least two increasing fractions that show different numbers of the "
            f"{len(kept)} rows, got {list(rows)} rows. Take fewer, or their number."
        )
    if rows[0] <= telling[0]:
        raise ValueError(
            f"steps must begin with rows that vary, got {rows[0]} rows without a pixel that does. "
            f"Begin at {(telling[0] + 1) / len(kept):.3g} or above."
        )
    return rows


def _spread(images: Array) -> Array:
    """Return the standard deviation of every pixel, safe at any scale."""
    peak = np.abs(images).max(axis=0)
    peak = np.where(peak > 0.0, peak, 1.0)
    spread: Array = (images / peak).std(axis=0) * peak
    return spread


def _pairs(
    images: Array,
    noisy: Array,
    kept: Array,
    rows: tuple[int, ...],
    halves: Array,
    transform: Transform | None,
) -> Iterator[tuple[Array, Array]]:
    """Yield both sides of the four calls of every step, made when they are needed."""
    x = images[:, kept]
    first, second = halves
    for t in rows:
        y = noisy[:, :t][:, kept[:t]]
        yield x, y
        if transform is None:
            fewer = max(1, t - max(1, round(DROPPED_SHARE * len(kept))))
            processed = noisy[:, :fewer][:, kept[:fewer]]
        else:
            processed = _transformed(transform, noisy[:, :t].copy())
        yield np.hstack([x, x]), np.hstack([y, processed])
        yield np.hstack([x[first], x[second]]), np.hstack([y[first], y[second]])
        yield x[first], y[first]


def _transformed(transform: Transform, seen: Array) -> Array:
    """Return the columns of h(Y) that vary; the others say nothing."""
    array = as_array("transform(y)", transform(seen))
    if array.ndim < 1 or len(array) != len(seen):
        raise ValueError(
            f"transform(y) must have {len(seen)} rows, got shape {array.shape}. "
            "It maps the rows seen of every image to something of that image."
        )
    flat = array.reshape(len(seen), -1)
    found = read_series({"transform(y)": flat}, constant=True)["transform(y)"]
    return found[:, _vary(found)]


def _watched(
    pairs: Iterator[tuple[Array, Array]], total: int, progress: bool
) -> Iterator[tuple[Array, Array]]:
    with progress_bar(progress, "Self-consistency", total) as advance:
        for done, pair in enumerate(pairs, 1):
            yield pair
            advance(done)
