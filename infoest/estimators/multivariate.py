"""Information among three or more variables, from the entropies of their subsets. All in nats.

``data`` is one array whose columns are the variables, or a list (or tuple) of arrays, each of them
a variable of one or more columns. ``entropy=None`` means `DiscreteEntropy` where all variables
hold integers or booleans, and `KozachenkoLeonenko` otherwise; ``info["entropy"]`` says which.

The value is a difference of entropies, whose errors do not cancel: with `KozachenkoLeonenko` those
of the joint entropies grow with the number of columns. There is no standard error and no interval.
"""

import numpy as np

from infoest._cautions import Caution
from infoest._validation import Array, is_labels, read_series, shares_a_column
from infoest.result import Estimate, Raw

from .base import EntropyEstimator
from .catalog import METHODS
from .counting import DiscreteEntropy
from .nearest_neighbor import KozachenkoLeonenko


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
        >>> x, y = [0, 0, 1, 1] * 2, [0, 1, 0, 1] * 2
        >>> e = total_correlation([x, y, x], entropy=DiscreteEntropy(correction="none"))
        >>> round(e.to("bits").value, 6)
        1.0
    """
    return _combine("total_correlation", data, entropy, lambda whole, parts, _: sum(parts) - whole)


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
        >>> x, y = np.array([0, 0, 1, 1] * 2), np.array([0, 1, 0, 1] * 2)
        >>> plug_in = DiscreteEntropy(correction="none")
        >>> e = dual_total_correlation([x, y, x ^ y], entropy=plug_in)
        >>> round(e.to("bits").value, 6)
        2.0
    """
    return _combine(
        "dual_total_correlation",
        data,
        entropy,
        lambda whole, _, rests: whole - sum(whole - rest for rest in rests),
    )


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
        >>> x, y = np.array([0, 0, 1, 1] * 2), np.array([0, 1, 0, 1] * 2)
        >>> plug_in = DiscreteEntropy(correction="none")
        >>> round(o_information([x, y, x ^ y], entropy=plug_in).to("bits").value, 6)
        -1.0
        >>> round(o_information([x, x, x], entropy=plug_in).to("bits").value, 6)
        1.0
    """
    return _combine("o_information", data, entropy, _o_information)


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
        >>> x, y = np.array([0, 0, 1, 1] * 2), np.array([0, 1, 0, 1] * 2)
        >>> plug_in = DiscreteEntropy(correction="none")
        >>> round(interaction_information([x, y, x ^ y], entropy=plug_in).to("bits").value, 6)
        -1.0
    """
    return _combine("interaction_information", data, entropy, _o_information, n_variables=3)
