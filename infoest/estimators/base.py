"""The one way through every estimator: door, value, uncertainty, `Estimate`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from infoest._cautions import Caution
from infoest._random import generator
from infoest._validation import (
    SIDES,
    Array,
    Pairs,
    as_samples,
    check_int,
    check_number,
    check_option,
    is_labels,
    read_data,
    shares_a_column,
)
from infoest.functional.intervals import autocorrelation_factor
from infoest.functional.significance import (
    Indices,
    conditional_rearrangements,
    permutation_p_value,
    rearrangements,
    window_p_value,
)
from infoest.result import Estimate, Raw

from .catalog import METHODS

if TYPE_CHECKING:
    from typing_extensions import Self

# Above this factor rows are treated, and said, to depend on each other.
AUTOCORRELATED = 1.5


@dataclass(frozen=True)
class Ask:
    """What a call wants beside the value.

    Args:
        confidence: Nominal coverage of the interval, None for no interval (and none of its cost).
        autocorrelation: Factor by which dependence between rows multiplies variances; 1 for
            independent rows.
        rng: Source of randomness, fresh for every call.
        device: Where tensors of the caller live.
    """

    confidence: float | None
    autocorrelation: float
    rng: np.random.Generator
    device: str = "cpu"

    @property
    def autocorrelated(self) -> bool:
        """Whether the dependence between rows is strong enough to matter."""
        return self.autocorrelation > AUTOCORRELATED

    def value_only(self) -> Ask:
        """Return the same question without an interval."""
        return Ask(None, self.autocorrelation, self.rng, self.device)


@dataclass(kw_only=True, eq=False)
class Estimator(ABC):
    """A method with its parameters; scikit-learn's protocol without its import.

    Args:
        random_state: Seed of everything random in a call (tie breaking, surrogates,
            permutations), so that the same call gives the same result; None draws a new seed
            each time.
    """

    kind: ClassVar[str]
    quantity: ClassVar[str]
    unit: ClassVar[str] = "nats"

    random_state: int | None = 0

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters by name; ``deep`` adds those of nested estimators as ``a__b``."""
        params = {field.name: getattr(self, field.name) for field in fields(self)}
        if deep:
            for name, value in list(params.items()):
                if hasattr(value, "get_params") and not isinstance(value, type):
                    nested = value.get_params(deep=True)
                    params.update({f"{name}__{key}": item for key, item in nested.items()})
        return params

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name, nested ones as ``a__b``, and return the estimator.

        Raises:
            ValueError: If a name is not a parameter.
        """
        names = [field.name for field in fields(self)]
        for key, value in params.items():
            name, _, rest = key.partition("__")
            check_option("parameter", name, names)
            if rest:
                nested = getattr(self, name)
                if not hasattr(nested, "set_params"):
                    raise ValueError(
                        f"parameter must name a field of a nested estimator, got {key!r} while "
                        f"{name} is {nested!r}. Set {name} to an estimator first."
                    )
                nested.set_params(**{rest: value})
            else:
                setattr(self, name, value)
        return self

    def copy(self) -> Self:
        """Return an unfitted estimator with the same parameters; nested ones are copied, too."""
        params: dict[str, Any] = {
            name: value.copy() if isinstance(value, Estimator) else value
            for name, value in self.get_params(deep=False).items()
        }
        return type(self)(**params)

    def _wrap(
        self,
        raw: Raw,
        *,
        n_samples: int,
        cautions: tuple[Caution, ...],
        confidence: float | None = None,
        p_value: float | None = None,
    ) -> Estimate:
        interval = raw.interval
        if interval is not None:
            interval = (
                float(min(interval[0], raw.value)),
                float(max(interval[1], raw.value)),
            )
        return Estimate(
            value=float(raw.value),
            unit=self.unit,
            quantity=raw.quantity or self.quantity,
            n_samples=n_samples,
            method=raw.method or METHODS.name_of(self),
            std_error=None if raw.std_error is None else float(raw.std_error),
            interval=interval,
            confidence=None if interval is None else confidence,
            p_value=p_value,
            warnings=_once((*cautions, *raw.cautions)),
            info=raw.info,
        )


@dataclass(kw_only=True, eq=False)
class MutualInformationEstimator(Estimator):
    """Base of all estimators of I(X;Y): implement ``_estimate`` and say what it accepts."""

    kind: ClassVar[str] = "mutual_information"
    quantity: ClassVar[str] = "mutual_information"
    # Sides that may be labels: "none", "one" (x or y), "any".
    accepts_labels: ClassVar[str] = "none"
    # Whether unnamed sides are labels as well.
    reads_labels: ClassVar[bool] = False
    conditional: ClassVar[bool] = False
    # Whether a constant column is a valid input (a dead layer, a single label).
    accepts_constant: ClassVar[bool] = False
    # Whether p-values of one column against one column come from window counts.
    window_counts: ClassVar[bool] = False

    def estimate(
        self,
        x: object,
        y: object,
        *,
        z: object = None,
        discrete: str | None = None,
        missing: str = "raise",
        confidence: float | None = 0.95,
        n_permutations: int = 0,
        block: int | None = None,
    ) -> Estimate:
        """Return I(X;Y), or I(X;Y|Z), in nats with its uncertainty.

        Args:
            x: Samples, shape (n, d_x) or (n,): arrays, tensors, tables or lists.
            y: Samples, shape (n, d_y) or (n,).
            z: Condition, shape (n, d_z) or (n,).
            discrete: Side(s) used as labels: ``"x"``, ``"y"``, ``"both"`` or None.
            missing: ``"raise"`` refuses rows with NaN or infinity, ``"drop"`` leaves them out.
            confidence: Nominal coverage of the interval; None skips it and its cost.
            n_permutations: Rearrangements for the p-value of independence (given z); 0 for none.
            block: None widens the interval by the measured autocorrelation of the rows; 1
                declares the rows independent.

        Returns:
            The estimate; ``value`` may be slightly negative.

        Raises:
            TypeError: For data that are not numeric (or named as labels).
            ValueError: For wrong shapes, missing values, too few rows, constant columns or
                parameters out of range.
        """
        pairs = self._read(x, y, z, discrete, missing)
        ask = self._ask(pairs, confidence, n_permutations, block)
        if any(caution.code == "infinite_for_continuous" for caution in pairs.cautions):
            ask = ask.value_only()  # no interval holds infinity
        raw = self._estimate(pairs.x, pairs.y, pairs.z, ask)
        p_value = self._p_value(pairs, raw, n_permutations, ask) if n_permutations else None
        cautions = pairs.cautions
        if ask.autocorrelated:
            cautions = (*cautions, _autocorrelated(ask.autocorrelation))
        return self._wrap(
            raw,
            n_samples=len(pairs.x),
            cautions=cautions,
            confidence=confidence,
            p_value=p_value,
        )

    @abstractmethod
    def _estimate(self, x: Array, y: Array, z: Array | None, ask: Ask) -> Raw:
        """Return the value and, where ``ask.confidence`` is not None, its uncertainty.

        Args:
            x: Samples (n, d_x), or codes (n,) where the side holds labels.
            y: Samples (n, d_y), or codes (n,).
            z: The same, or None; only where ``conditional`` says so.
            ask: Confidence, autocorrelation and randomness.
        """

    def _read(self, x: object, y: object, z: object, discrete: str | None, missing: str) -> Pairs:
        check_option("discrete", discrete, (None, *SIDES))
        named: tuple[str, ...] = _sides(discrete)
        if len(named) > {"none": 0, "one": 1, "any": 2}[self.accepts_labels]:
            one = " or one side" if self.accepts_labels == "one" else ""
            raise ValueError(
                f"discrete must be None{one} for {type(self).__name__}, got {discrete!r}. "
                "Use Discrete for two discrete sides and MixedKSG for one."
            )
        if z is not None and not self.conditional:
            raise ValueError(
                f"z must be None for {type(self).__name__}, got a condition. Conditional "
                "mutual information: Gaussian, GaussianCopula, KSG or Discrete."
            )
        data = {"x": x, "y": y, "z": z}
        named = self._labels(data, named)
        pairs = read_data(data, labels=named, missing=missing, constant=self.accepts_constant)
        both_continuous = not is_labels(pairs.x) and not is_labels(pairs.y)
        if both_continuous and not self.accepts_constant and shares_a_column(pairs.x, pairs.y):
            pairs = pairs.with_caution(_infinite())
        return pairs

    def _labels(self, data: dict[str, object], named: tuple[str, ...]) -> tuple[str, ...]:
        """Return the arguments used as labels, given those the caller named."""
        return _numeric_or_named(data, named) if self.reads_labels else named

    def _ask(
        self, pairs: Pairs, confidence: float | None, n_permutations: int, block: int | None
    ) -> Ask:
        if confidence is not None:
            check_number("confidence", confidence, low=0.0, high=1.0, open_low=True, open_high=True)
        check_int("n_permutations", n_permutations, low=0)
        rng = generator(self.random_state)
        factor = 1.0
        if _measures_autocorrelation(block) and (confidence is not None or n_permutations):
            factor = _autocorrelation(pairs.x, pairs.y, pairs.z)
        return Ask(confidence, factor, rng, pairs.device)

    def _p_value(self, pairs: Pairs, raw: Raw, n_permutations: int, ask: Ask) -> float:
        x, y, z = pairs.x, pairs.y, pairs.z
        if z is None:
            orders = rearrangements(len(x), n_permutations, ask.rng, shifts=ask.autocorrelated)
        elif not ask.autocorrelated:
            orders = conditional_rearrangements(z, n_permutations, ask.rng)
        else:
            raise ValueError(
                f"n_permutations must be 0 with a condition and dependent rows, got "
                f"{n_permutations}. Use transfer_entropy for time series, or pass block=1 if the "
                "order of the rows means nothing."
            )
        one_column = not is_labels(x) and not is_labels(y) and x.shape[1] == y.shape[1] == 1
        if self.window_counts and one_column and z is None:
            return window_p_value(x, y, orders)

        return permutation_p_value(len(x), self._statistic(x, y, z, ask.value_only()), orders)

    def _statistic(
        self, x: Array, y: Array, z: Array | None, ask: Ask
    ) -> Callable[[Indices], float]:
        """Return the value with y in another row order; override where all orders share work."""
        return lambda order: self._estimate(x, y[order], z, ask).value


@dataclass(kw_only=True, eq=False)
class EntropyEstimator(Estimator):
    """Base of all estimators of H(X): implement ``_estimate``."""

    kind: ClassVar[str] = "entropy"
    quantity: ClassVar[str] = "entropy"
    reads_labels: ClassVar[bool] = False
    accepts_constant: ClassVar[bool] = False

    def estimate(
        self,
        x: object,
        *,
        discrete: str | None = None,
        missing: str = "raise",
        confidence: float | None = 0.95,
        block: int | None = None,
    ) -> Estimate:
        """Return H(X) in nats with its uncertainty.

        Args:
            x: Samples, shape (n, d) or (n,).
            discrete: ``"x"`` for labels, None otherwise.
            missing: ``"raise"`` refuses rows with NaN or infinity, ``"drop"`` leaves them out.
            confidence: Nominal coverage of the interval; None skips it.
            block: None widens the interval by the measured autocorrelation of the rows; 1
                declares the rows independent.

        Raises:
            TypeError: For data that are not numeric (or named as labels).
            ValueError: For wrong shapes, missing values, too few rows or constant columns.
        """
        check_option("discrete", discrete, (None, "x"))
        if discrete is not None and not self.reads_labels:
            raise ValueError(
                f"discrete must be None for {type(self).__name__}, got {discrete!r}. "
                "Use DiscreteEntropy for labels."
            )
        if confidence is not None:
            check_number("confidence", confidence, low=0.0, high=1.0, open_low=True, open_high=True)
        measure = _measures_autocorrelation(block) and confidence is not None
        data, named = {"x": x}, _sides(discrete)
        if self.reads_labels:
            named = _numeric_or_named(data, named)
        found = read_data(data, labels=named, missing=missing, constant=self.accepts_constant)
        factor = _autocorrelation(found.x, found.x) if measure else 1.0
        ask = Ask(confidence, factor, generator(self.random_state), found.device)
        raw = self._estimate(found.x, ask)
        cautions = found.cautions
        if ask.autocorrelated:
            cautions = (*cautions, _autocorrelated(factor))
        return self._wrap(raw, n_samples=len(found.x), cautions=cautions, confidence=confidence)

    @abstractmethod
    def _estimate(self, x: Array, ask: Ask) -> Raw:
        """Return the entropy of samples (n, d), or of codes (n,) where x holds labels."""


@dataclass(kw_only=True, eq=False)
class DivergenceEstimator(Estimator):
    """Base of all estimators of D(P_x, P_y) from two samples: implement ``_estimate``."""

    kind: ClassVar[str] = "divergence"
    quantity: ClassVar[str] = "divergence"

    def estimate(
        self, x: object, y: object, *, missing: str = "raise", n_permutations: int = 0
    ) -> Estimate:
        """Return the divergence of the law of x from the law of y.

        Args:
            x: Samples of the first law, shape (n, d) or (n,).
            y: Samples of the second, shape (m, d) or (m,); m may differ from n.
            missing: ``"raise"`` refuses rows with NaN or infinity, ``"drop"`` leaves them out.
            n_permutations: Random relabelings of the pooled samples for the p-value of equal
                laws; 0 for none.

        Raises:
            TypeError: For data that are not numeric.
            ValueError: For wrong shapes, different widths, missing values or too few rows.
        """
        check_int("n_permutations", n_permutations, low=0)
        found = read_data({"x": x, "y": y}, missing=missing, paired=False, constant=True)
        pooled = np.vstack([found.x, found.y])
        constant = np.flatnonzero(pooled.max(axis=0) == pooled.min(axis=0))
        if len(constant):
            raise ValueError(
                f"x and y must vary in every column, got constant column {constant[0]}. "
                "Leave it out: it is the same in both samples."
            )
        ask = Ask(None, 1.0, generator(self.random_state), found.device)
        raw = self._estimate(found.x, found.y, ask)
        p_value = None
        if n_permutations:
            statistic = self._statistic(pooled, len(found.x), ask)
            orders = rearrangements(len(pooled), n_permutations, ask.rng, shifts=False)
            p_value = permutation_p_value(len(pooled), statistic, orders)
        return self._wrap(raw, n_samples=len(pooled), cautions=found.cautions, p_value=p_value)

    @abstractmethod
    def _estimate(self, x: Array, y: Array, ask: Ask) -> Raw:
        """Return the divergence of samples (n, d) and (m, d)."""

    def _statistic(self, pooled: Array, n: int, ask: Ask) -> Callable[[Indices], float]:
        """Return the divergence of the first n rows of an order from its other rows.

        Override where all orders share work.
        """
        return lambda order: self._estimate(pooled[order[:n]], pooled[order[n:]], ask).value


def _sides(discrete: str | None) -> tuple[str, ...]:
    if discrete is None:
        return ()
    return ("x", "y") if discrete == "both" else (discrete,)


def _numeric_or_named(data: dict[str, object], named: tuple[str | None, ...]) -> tuple[str, ...]:
    """Return every side as one of labels; a side not named as such must still be numeric."""
    given = tuple(name for name, value in data.items() if value is not None)
    for name in given:
        if name not in named:
            as_samples(name, data[name])
    return given


def _measures_autocorrelation(block: int | None) -> bool:
    if block is None:
        return True
    check_int("block", block, low=1, high=1, remedy="None measures the dependence of the rows.")
    return False


def _autocorrelation(x: Array, y: Array, z: Array | None = None) -> float:
    columns_x, columns_y = _as_columns(x), _as_columns(y)
    if z is not None:
        # What the condition explains does not vary: only the residuals count.
        given = np.column_stack([np.ones(len(z)), _as_columns(z)])
        columns_x, columns_y = (
            _as_columns(side - given @ np.linalg.lstsq(given, side, rcond=None)[0])
            for side in (columns_x, columns_y)
        )
    if columns_x.shape[1] == 0 or columns_y.shape[1] == 0:
        return 1.0
    return autocorrelation_factor(columns_x, columns_y)


def _as_columns(array: Array, most: int = 10) -> Array:
    """Return the columns that vary; labels become indicators of their most frequent values."""
    if is_labels(array):
        frequent = np.argsort(-np.bincount(array), kind="stable")[:most]
        array = (array[:, None] == frequent).astype(np.float64)
    return array[:, array.max(axis=0) > array.min(axis=0)]


def _once(cautions: tuple[Caution, ...]) -> tuple[Caution, ...]:
    return tuple({caution.code: caution for caution in reversed(cautions)}.values())[::-1]


def _autocorrelated(factor: float) -> Caution:
    return Caution(
        "autocorrelated_samples",
        f"Successive rows depend on each other: the variance is {factor:.1f} times that of "
        "independent rows, and the interval and p-value allow for it. If the order of the rows "
        "means nothing (a sorted table, say), shuffle them or pass block=1.",
    )


def _infinite() -> Caution:
    return Caution(
        "infinite_for_continuous",
        "A column of x is a column of y up to scale: the mutual information of continuous data "
        "is then infinite, the value only reflects the number of samples, and no interval is "
        "given.",
    )
