"""Mutual information as a sum of entropies, by any entropy estimator."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from infoest._cautions import Caution
from infoest._validation import MIN_ROWS, Array, Codes, Pairs, is_labels
from infoest.functional.codes import joint_codes
from infoest.result import Raw

from .base import Ask, EntropyEstimator, MutualInformationEstimator
from .catalog import METHODS
from .counting import Discrete, DiscreteEntropy
from .neighbor_entropy import KozachenkoLeonenko


@dataclass(kw_only=True, eq=False)
class FromEntropies(MutualInformationEstimator):
    """Mutual information from entropies, in nats: H(X) + H(Y) - H(X,Y) by any entropy estimator.

    With one side named in ``discrete``, H(X) - sum_c p_c H(X | Y = c); with a condition z, the
    same sums given z.

    Args:
        entropy: An entropy estimator, given the data unscaled; None takes
            ``KozachenkoLeonenko()``, or ``DiscreteEntropy()`` where both sides are labels. One
            that reads labels (``DiscreteEntropy``) turns every side into labels.
        random_state: Seed of everything random; that of ``entropy`` is not used.

    Note:
        The errors of the entropies do not cancel: the joint entropy has the larger bias. Prefer
        `KSG` and `MixedKSG`, which were built so that they cancel. There is no standard error and
        no interval. ``info`` holds the entropies.

    References:
        Cover, Thomas (2006), Elements of Information Theory, eqs. 2.41 and 2.60.

    Example:
        >>> from infoest.datasets import correlated_normal
        >>> x, y, mi = correlated_normal(2000, rho=0.8, random_state=0)
        >>> e = FromEntropies().estimate(x, y)
        >>> abs(e.value - mi) < 0.1
        True
        >>> sorted(e.info)
        ['entropy', 'entropy_x', 'entropy_xy', 'entropy_y']
    """

    accepts_labels: ClassVar[str] = "any"
    conditional: ClassVar[bool] = True

    entropy: EntropyEstimator | None = None

    def _read(self, x: object, y: object, z: object, discrete: str | None, missing: str) -> Pairs:
        entropy = chosen_entropy(self.entropy, labels=discrete == "both")
        if entropy.reads_labels:
            return Discrete()._read(x, y, z, discrete, missing)
        if discrete == "both":
            raise ValueError(
                "entropy must read labels where both sides are labels, got "
                f"{type(entropy).__name__}. Pass entropy=DiscreteEntropy()."
            )
        return super()._read(x, y, z, discrete, missing)

    def _estimate(self, x: Array, y: Array, z: Array | None, ask: Ask) -> Raw:
        entropy = chosen_entropy(self.entropy, labels=is_labels(x) and is_labels(y))
        value = 0.0
        cautions: tuple[Caution, ...] = ()
        info: dict[str, object] = {"entropy": METHODS.name_of(entropy)}
        for term in _terms(x, y, z):
            raws, shares = _entropies(entropy, term, ask.value_only())
            one = sum(share * float(raw.value) for share, raw in zip(shares, raws, strict=True))
            value += term.sign * one
            cautions += tuple(caution for raw in raws for caution in raw.cautions)
            info[f"entropy_{term.name}"] = one
        return Raw(value, cautions=cautions, info=info)


def chosen_entropy(entropy: object, *, labels: bool) -> EntropyEstimator:
    """Return an entropy estimator as it is, or the one that None stands for.

    Args:
        entropy: An instance, or None.
        labels: Whether None stands for `DiscreteEntropy` rather than `KozachenkoLeonenko`.

    Raises:
        TypeError: If ``entropy`` is neither.
    """
    if entropy is None:
        return DiscreteEntropy() if labels else KozachenkoLeonenko()
    if not isinstance(entropy, EntropyEstimator):
        raise TypeError(
            f"entropy must be an entropy estimator or None, got {entropy!r}. "
            "Pass an instance, for example entropy=KozachenkoLeonenko(k=3)."
        )
    return entropy


class _Term(NamedTuple):
    """One entropy of the sum: of samples, or of samples within classes, averaged over them."""

    name: str
    sign: int
    samples: Array
    classes: Codes | None = None


def _terms(x: Array, y: Array, z: Array | None) -> list[_Term]:
    if is_labels(x) == is_labels(y):
        if z is None:
            return [_Term("x", 1, x), _Term("y", 1, y), _Term("xy", -1, _joint(x, y))]
        return [
            _Term("xz", 1, _joint(x, z)),
            _Term("yz", 1, _joint(y, z)),
            _Term("xyz", -1, _joint(x, y, z)),
            _Term("z", -1, z),
        ]
    side, other, samples, classes = ("x", "y", x, y) if is_labels(y) else ("y", "x", y, x)
    if z is None:
        return [_Term(side, 1, samples), _Term(f"{side}_given_{other}", -1, samples, classes)]
    joint = _joint(samples, z)
    return [
        _Term("z", -1, z),
        _Term(f"z_given_{other}", 1, z, classes),
        _Term(f"{side}z", 1, joint),
        _Term(f"{side}z_given_{other}", -1, joint, classes),
    ]


def _joint(*parts: Array) -> Array:
    return joint_codes(*parts) if is_labels(parts[0]) else np.hstack(parts)


def _entropies(entropy: EntropyEstimator, term: _Term, ask: Ask) -> tuple[list[Raw], list[float]]:
    """Return the entropy of each class of a term and the shares of the classes."""
    if term.classes is None:
        return [entropy._estimate(term.samples, ask)], [1.0]
    raws, shares = [], []
    for label in np.unique(term.classes):
        members = term.samples[term.classes == label]
        _check_class(term.name, members, constant=entropy.accepts_constant)
        raws.append(entropy._estimate(members, ask))
        shares.append(len(members) / len(term.samples))
    return raws, shares


def _check_class(name: str, members: Array, *, constant: bool) -> None:
    side, _, other = name.partition("_given_")
    if len(members) < MIN_ROWS:
        raise ValueError(
            f"{other} must hold at least {MIN_ROWS} rows of every label, got {len(members)}. "
            "Merge rare labels, or use MixedKSG."
        )
    if not constant and (members.max(axis=0) == members.min(axis=0)).any():
        raise ValueError(
            f"{side[0]} must vary in every column within each label of {other}, got a constant "
            f"one among {len(members)} rows. Its differential entropy is minus infinity; if its "
            "values are labels, name both sides: discrete='both'."
        )
