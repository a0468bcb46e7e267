"""Information among three or more variables, from the entropies of their subsets. All in nats.

``data`` is one array whose columns are the variables, or a list (or tuple) of arrays, each of them
a variable of one or more columns. ``entropy=None`` means `DiscreteEntropy` where all variables
hold integers or booleans, and `KozachenkoLeonenko` otherwise; ``info["entropy"]`` says which.

The value is a difference of entropies, whose errors do not cancel: with `KozachenkoLeonenko` those
of the joint entropies grow with the number of columns. There is no standard error and no interval.
"""

from itertools import combinations

import numpy as np

from infoest._cautions import Caution
from infoest._validation import (
    Array,
    as_labels,
    as_samples,
    is_labels,
    read_series,
    shares_a_column,
)
from infoest.functional.codes import joint_codes
from infoest.result import Estimate, Raw

from .base import EntropyEstimator
from .catalog import METHODS
from .entropies import chosen_entropy


def total_correlation(data: object, *, entropy: EntropyEstimator | None = None) -> Estimate:
    """Return the total correlation sum_i H(X_i) - H(X), in nats.

    0 where all variables are independent; the mutual information where there are two.

    Args:
        data: One array (n, variables) or a list of arrays (n,) or (n, d).
        entropy: An entropy estimator; None chooses one by the type of the data.

    Raises:
        TypeError: If ``data`` are not numeric or ``entropy`` is not an entropy estimator.
        ValueError: For fewer than two variables, different lengths, missing values, too few rows
            or, for continuous data, constant columns.

    References:
        Watanabe (1960), IBM J. Res. Dev. 4, 66.

    Example:
        >>> from infoest import DiscreteEntropy
        >>> x, y = [0, 0, 1, 1] * 2, [0, 1, 0, 1] * 2
        >>> e = total_correlation([x, y, x], entropy=DiscreteEntropy(correction="none"))
        >>> round(e.to("bits").value, 6)
        1.0
    """
    system = _System(data, entropy)
    return system.result("total_correlation", sum(system.singles()) - system.whole())


def dual_total_correlation(data: object, *, entropy: EntropyEstimator | None = None) -> Estimate:
    """Return the dual total correlation H(X) - sum_i H(X_i | all others), in nats.

    Args:
        data: One array (n, variables) or a list of arrays (n,) or (n, d).
        entropy: An entropy estimator; None chooses one by the type of the data.

    Raises:
        TypeError: If ``data`` are not numeric or ``entropy`` is not an entropy estimator.
        ValueError: For fewer than two variables, different lengths, missing values, too few rows
            or, for continuous data, constant columns.

    References:
        Han (1978), Inf. Control 36, 133.

    Example:
        >>> import numpy as np
        >>> from infoest import DiscreteEntropy
        >>> x, y = np.array([0, 0, 1, 1] * 2), np.array([0, 1, 0, 1] * 2)
        >>> plug_in = DiscreteEntropy(correction="none")
        >>> e = dual_total_correlation([x, y, x ^ y], entropy=plug_in)
        >>> round(e.to("bits").value, 6)
        2.0
    """
    system = _System(data, entropy)
    whole = system.whole()
    value = whole - sum(whole - others for others in system.others())
    return system.result("dual_total_correlation", value)


def o_information(data: object, *, entropy: EntropyEstimator | None = None) -> Estimate:
    """Return the O-information, total less dual total correlation, in nats.

    Positive where redundancy prevails (copies), negative where synergy does (XOR), 0 for two
    variables.

    Args:
        data: One array (n, variables) or a list of arrays (n,) or (n, d).
        entropy: An entropy estimator; None chooses one by the type of the data.

    Raises:
        TypeError: If ``data`` are not numeric or ``entropy`` is not an entropy estimator.
        ValueError: For fewer than two variables, different lengths, missing values, too few rows
            or, for continuous data, constant columns.

    References:
        Rosas, Mediano, Gastpar, Jensen (2019), Phys. Rev. E 100, 032305, eq. 8.

    Example:
        >>> import numpy as np
        >>> from infoest import DiscreteEntropy
        >>> x, y = np.array([0, 0, 1, 1] * 2), np.array([0, 1, 0, 1] * 2)
        >>> plug_in = DiscreteEntropy(correction="none")
        >>> round(o_information([x, y, x ^ y], entropy=plug_in).to("bits").value, 6)
        -1.0
        >>> round(o_information([x, x, x], entropy=plug_in).to("bits").value, 6)
        1.0
    """
    system = _System(data, entropy)
    return system.result("o_information", system.o_information())


def interaction_information(data: object, *, entropy: EntropyEstimator | None = None) -> Estimate:
    """Return I(X;Y) - I(X;Y|Z) of three variables, in nats.

    Positive where redundancy prevails, negative where synergy does. The same for every order of
    the variables, and equal to their O-information. Some authors use the opposite sign.

    Args:
        data: One array (n, 3) or a list of three arrays (n,) or (n, d).
        entropy: An entropy estimator; None chooses one by the type of the data.

    Raises:
        TypeError: If ``data`` are not numeric or ``entropy`` is not an entropy estimator.
        ValueError: Unless there are exactly three variables; for different lengths, missing
            values, too few rows or, for continuous data, constant columns.

    References:
        McGill (1954), Psychometrika 19, 97 (there with the opposite sign).

    Example:
        >>> import numpy as np
        >>> from infoest import DiscreteEntropy
        >>> x, y = np.array([0, 0, 1, 1] * 2), np.array([0, 1, 0, 1] * 2)
        >>> plug_in = DiscreteEntropy(correction="none")
        >>> round(interaction_information([x, y, x ^ y], entropy=plug_in).to("bits").value, 6)
        -1.0
    """
    system = _System(data, entropy)
    if len(system.variables) != 3:
        raise ValueError(
            f"data must hold exactly three variables, got {len(system.variables)}. "
            "Use o_information for more."
        )
    return system.result("interaction_information", system.o_information())


class _System:
    """The variables of one call, their entropies, and what was noticed while measuring them."""

    def __init__(self, data: object, entropy: EntropyEstimator | None) -> None:
        named = _named(data)
        series = read_series(named, constant=True)
        integers = [name for name, array in series.items() if is_labels(array)]
        self.entropy = chosen_entropy(entropy, labels=len(integers) == len(series))
        self.cautions: tuple[Caution, ...] = ()
        self.info: dict[str, object] = {"entropy": METHODS.name_of(self.entropy)}
        if not self.entropy.accepts_constant:
            read_series(named)  # once more: only the first reading told the type
        self.variables = _split(series)
        if self.entropy.reads_labels:
            self.variables = [as_labels("data", variable)[0] for variable in self.variables]
            return
        self.variables = [variable.astype(np.float64) for variable in self.variables]
        if integers:
            self.cautions += (_integers(integers),)
        pairs = combinations(self.variables, 2)
        if any(shares_a_column(first, second) for first, second in pairs):
            self.cautions += (_infinite(),)

    def whole(self) -> float:
        """Return the entropy of all variables together."""
        value = self._measure(self.variables)
        self.info["entropy_of_all"] = value
        return value

    def singles(self) -> list[float]:
        """Return the entropy of each variable."""
        values = [self._measure([variable]) for variable in self.variables]
        self.info["entropy_of_each"] = values
        return values

    def others(self) -> list[float]:
        """Return, for each variable, the entropy of all others."""
        variables = self.variables
        subsets = [variables[:i] + variables[i + 1 :] for i in range(len(variables))]
        values = [self._measure(subset) for subset in subsets]
        self.info["entropy_of_others"] = values
        return values

    def o_information(self) -> float:
        """Return total less dual total correlation."""
        whole = self.whole()
        pairs = zip(self.singles(), self.others(), strict=True)
        return (len(self.variables) - 2) * whole + sum(each - others for each, others in pairs)

    def result(self, quantity: str, value: float) -> Estimate:
        raw = Raw(value, cautions=self.cautions, info=self.info, quantity=quantity)
        return self.entropy._wrap(raw, n_samples=len(self.variables[0]), cautions=())

    def _measure(self, subset: list[Array]) -> float:
        joint = joint_codes(*subset) if self.entropy.reads_labels else np.hstack(subset)
        found = self.entropy.estimate(joint, confidence=None)
        self.cautions += found.warnings
        return found.value


def _named(data: object) -> dict[str, object]:
    named = {"data": data}
    if isinstance(data, (list, tuple)):
        if len(data) < 2:
            raise _too_few(len(data))
        named = {f"data[{i}]": variable for i, variable in enumerate(data)}
    for name, variable in named.items():
        if variable is None:  # which read_series would leave out
            as_samples(name, variable)
    return named


def _split(series: dict[str, Array]) -> list[Array]:
    """Return the variables: the arrays, or the columns of a single one."""
    if "data" not in series:
        return list(series.values())
    (table,) = series.values()
    if table.shape[1] < 2:
        raise _too_few(table.shape[1])
    return [table[:, [i]] for i in range(table.shape[1])]


def _too_few(number: int) -> ValueError:
    return ValueError(
        f"data must hold at least two variables, got {number}. Pass one array whose columns are "
        "the variables, or a list of arrays."
    )


def _integers(names: list[str]) -> Caution:
    return Caution(
        "integers_treated_as_continuous",
        f"{names[0]} holds integers but was used as continuous data. If all variables are labels "
        "or counts, pass entropy=DiscreteEntropy().",
    )


def _infinite() -> Caution:
    return Caution(
        "infinite_for_continuous",
        "A column of one variable is a column of another up to scale: their information is then "
        "infinite for continuous data, and the value only reflects the number of samples.",
    )
