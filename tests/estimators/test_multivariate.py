"""Total correlation and its relatives: identities of labels and of normal data, input, errors."""

from dataclasses import dataclass

import numpy as np
import pandas
import polars
import pytest
import torch

from infoest.estimators.base import EntropyEstimator
from infoest.estimators.counting import Discrete, DiscreteEntropy
from infoest.estimators.multivariate import (
    dual_total_correlation,
    interaction_information,
    o_information,
    total_correlation,
)
from infoest.estimators.neighbor_entropy import KozachenkoLeonenko
from infoest.result import Raw

ALL = [total_correlation, dual_total_correlation, o_information, interaction_information]
each = pytest.mark.parametrize("function", ALL)
LOG2 = np.log(2)
COUNTS = DiscreteEntropy(correction="none")


@dataclass(kw_only=True, eq=False)
class NormalEntropy(EntropyEstimator):
    """Entropy of the normal law with the covariance of the data."""

    def _estimate(self, x, ask):
        covariance = np.atleast_2d(np.cov(x.T, bias=True))
        return Raw(0.5 * np.linalg.slogdet(2 * np.pi * np.e * covariance)[1])


def bits(n):
    """All rows of n bits, twice."""
    return np.tile((np.arange(2**n)[:, None] >> np.arange(n)) & 1, (2, 1))


def values(data, entropy):
    return [float(function(data, entropy=entropy)) for function in ALL[:3]]


def log_det(correlation):
    return np.linalg.slogdet(correlation)[1]


# Exact values ------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [3, 4, 5])
def test_independent_bits(n):
    assert values(bits(n), COUNTS) == pytest.approx([0, 0, 0], abs=1e-12)


@pytest.mark.parametrize("n", [3, 4, 5])
def test_copies(n):
    # TC = (n - 1) log 2, DTC = log 2.
    data = np.repeat(bits(3)[:, :1], n, axis=1)
    expected = [(n - 1) * LOG2, LOG2, (n - 2) * LOG2]
    assert values(data, COUNTS) == pytest.approx(expected)


@pytest.mark.parametrize("n", [3, 4, 5])
def test_parity(n):
    # TC = log 2, DTC = (n - 1) log 2.
    free = bits(n - 1)
    data = np.column_stack([free, free.sum(axis=1) % 2])
    expected = [LOG2, (n - 1) * LOG2, (2 - n) * LOG2]
    assert values(data, COUNTS) == pytest.approx(expected)


def test_interaction_of_parity_and_of_copies():
    free = bits(2)
    parity = np.column_stack([free, free.sum(axis=1) % 2])
    assert interaction_information(parity, entropy=COUNTS).value == pytest.approx(-LOG2)
    copies = np.repeat(free[:, :1], 3, axis=1)
    assert interaction_information(copies, entropy=COUNTS).value == pytest.approx(LOG2)


@pytest.mark.parametrize("entropy", [COUNTS, DiscreteEntropy()])
def test_interaction_is_the_difference_of_informations(entropy):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 3, 300)
    y, z = (x + rng.integers(0, 2, 300)) % 3, x // 2 + rng.integers(0, 2, 300)
    discrete = Discrete(correction=entropy.correction)
    expected = discrete.estimate(x, y).value - discrete.estimate(x, y, z=z).value
    for order in ([x, y, z], [z, x, y], [y, x, z]):
        value = interaction_information(order, entropy=entropy).value
        assert value == pytest.approx(expected)
        assert o_information(order, entropy=entropy).value == pytest.approx(value)


def test_normal_data_give_determinants():
    rng = np.random.default_rng(0)
    data = rng.standard_normal((300, 4)) @ rng.standard_normal((4, 4))
    correlation = np.corrcoef(data.T)
    total = -0.5 * log_det(correlation)
    minors = [log_det(np.delete(np.delete(correlation, i, axis=0), i, axis=1)) for i in range(4)]
    dual = 0.5 * (sum(minors) - 3 * log_det(correlation))
    assert values(data, NormalEntropy()) == pytest.approx([total, dual, total - dual])


def test_normal_interaction():
    rng = np.random.default_rng(0)
    data = rng.standard_normal((300, 3)) @ rng.standard_normal((3, 3))
    x, y, z = data.T
    r = np.corrcoef(data.T)
    partial = (r[0, 1] - r[0, 2] * r[1, 2]) / np.sqrt((1 - r[0, 2] ** 2) * (1 - r[1, 2] ** 2))
    expected = 0.5 * (np.log(1 - partial**2) - np.log(1 - r[0, 1] ** 2))
    e = interaction_information([x, y, z], entropy=NormalEntropy())
    assert e.value == pytest.approx(expected)


def test_two_variables_give_their_information():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 3, (200, 2))
    y = (x[:, 0] + rng.integers(0, 2, 200)) % 3
    expected = Discrete().estimate(x, y).value
    assert values([x, y], DiscreteEntropy()) == pytest.approx([expected, expected, 0], abs=1e-12)


def test_o_information_is_total_less_dual():
    rng = np.random.default_rng(0)
    data = rng.standard_normal((200, 4))
    data[:, 3] += data[:, 0] + data[:, 1]
    total, dual, difference = values(data, KozachenkoLeonenko())
    assert difference == pytest.approx(total - dual)


def test_nearest_neighbors_find_the_normal_value():
    rng = np.random.default_rng(0)
    x = rng.standard_normal(3000)
    data = np.column_stack([x + rng.standard_normal(3000) for _ in range(3)])
    truth = -0.5 * np.log(np.linalg.det(np.full((3, 3), 0.5) + 0.5 * np.eye(3)))
    assert total_correlation(data).value == pytest.approx(truth, abs=0.06)


# Input -------------------------------------------------------------------------------------------


@each
def test_result(function):
    e = function(bits(3), entropy=COUNTS)
    assert (e.quantity, e.unit, e.method, e.n_samples) == (
        function.__name__,
        "nats",
        "discrete_entropy",
        16,
    )
    assert (e.std_error, e.interval, e.confidence, e.p_value) == (None, None, None, None)
    assert e.info["entropy"] == "discrete_entropy"
    assert e.to("bits").value == pytest.approx(e.value / LOG2)
    assert e.to_dict() == function(bits(3), entropy=COUNTS).to_dict()


def test_entropy_is_chosen_by_the_type():
    data = bits(3)
    assert total_correlation(data).info["entropy"] == "discrete_entropy"
    assert total_correlation(data > 0).info["entropy"] == "discrete_entropy"
    assert total_correlation(list(data.T)).info["entropy"] == "discrete_entropy"
    assert total_correlation(data.T.tolist()).info["entropy"] == "discrete_entropy"
    noise = np.random.default_rng(0).standard_normal((50, 3))
    assert total_correlation(noise).info["entropy"] == "kozachenko_leonenko"


def test_integers_among_continuous_data_are_said():
    rng = np.random.default_rng(0)
    x, y, counts = *rng.standard_normal((2, 100)), rng.poisson(50, 100)
    e = total_correlation([x, y, counts])
    assert e.info["entropy"] == "kozachenko_leonenko"
    assert e.has("integers_treated_as_continuous")
    assert e.warnings[0].sentence.startswith("data[2] holds integers")
    assert not total_correlation([x, y, 1.0 * counts]).has("integers_treated_as_continuous")
    labels = total_correlation([x, counts], entropy=COUNTS)
    assert not labels.has("integers_treated_as_continuous")


def test_a_list_holds_variables_of_any_width():
    rng = np.random.default_rng(0)
    data = rng.standard_normal((200, 3))
    entropy = NormalEntropy()
    columns = total_correlation(list(data.T), entropy=entropy).value
    assert total_correlation(data, entropy=entropy).value == pytest.approx(columns)
    grouped = total_correlation([data[:, :2], data[:, 2]], entropy=entropy).value
    inside = total_correlation(data[:, :2], entropy=entropy).value
    assert grouped + inside == pytest.approx(columns)


@each
def test_tables_and_tensors(function):
    data = np.random.default_rng(0).integers(0, 2, (60, 3))
    expected = function(data).value
    names = ["a", "b", "c"]
    same = [
        pandas.DataFrame(data, columns=names),
        polars.DataFrame(data, schema=names),
        torch.tensor(data),
        [torch.tensor(column) for column in data.T],
        [pandas.Series(column) for column in data.T],
    ]
    for container in same:
        assert function(container).value == expected


def test_copies_of_continuous_columns_are_said():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 100))
    assert total_correlation([x, y, 3 * x - 1]).has("infinite_for_continuous")
    assert not total_correlation([x, y, x + 0.1 * y]).has("infinite_for_continuous")
    assert not total_correlation(bits(2)[:, [0, 1, 0]]).has("infinite_for_continuous")


def test_constant_labels_are_allowed():
    data = np.column_stack([bits(2), np.ones(8, dtype=int)])
    assert total_correlation(data, entropy=COUNTS).value == pytest.approx(0, abs=1e-12)


@each
def test_bad_data(function):
    noise = np.random.default_rng(0).standard_normal((20, 3))
    with pytest.raises(ValueError, match=r"data must hold at least two variables, got 1\."):
        function([noise])
    with pytest.raises(ValueError, match=r"data must hold at least two variables, got 1\."):
        function(noise[:, 0])
    with pytest.raises(ValueError, match=r"data must hold at least two variables, got 0\."):
        function([])
    with pytest.raises(ValueError, match=r"data\[0\] and data\[2\] must be paired, got 20 and 19"):
        function([noise[:, 0], noise[:, 1], noise[1:, 2]])
    with pytest.raises(ValueError, match=r"data must be finite, got 1 NaN"):
        function(np.where(np.arange(60).reshape(20, 3) == 7, np.nan, noise))
    with pytest.raises(ValueError, match=r"data must vary in every column, got constant column 1"):
        function(noise * [1, 0, 1])
    with pytest.raises(ValueError, match=r"data\[1\] must vary in every column"):
        function([noise[:, 0], np.ones(20), noise[:, 2]])
    with pytest.raises(ValueError, match=r"data must have at least 5 complete rows, got 4"):
        function(noise[:4])
    with pytest.raises(TypeError, match=r"data must be numeric, got strings"):
        function(np.array([["a", "b", "c"]] * 9))
    with pytest.raises(TypeError, match="data must be an array of samples, got None"):
        function(None)
    with pytest.raises(TypeError, match=r"data\[1\] must be an array of samples, got None"):
        function([noise[:, 0], None, noise[:, 1], noise[:, 2]])


@each
def test_bad_entropy(function):
    for bad in ("discrete_entropy", DiscreteEntropy, Discrete()):
        with pytest.raises(TypeError, match="entropy must be an entropy estimator or None, got"):
            function(bits(3), entropy=bad)


@pytest.mark.parametrize("number", [2, 4])
def test_interaction_needs_three_variables(number):
    message = rf"data must hold exactly three variables, got {number}\."
    with pytest.raises(ValueError, match=message):
        interaction_information(bits(number))
