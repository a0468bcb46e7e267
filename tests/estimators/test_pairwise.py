"""All pairs of columns: labels, targets, p-values, parallel backends."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import numpy as np
import pytest

import infoest
from infoest import Gaussian, matrix
from infoest.estimators import MutualInformationEstimator
from infoest.result import Raw


@pytest.fixture
def frame():
    import pandas

    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 300))
    return pandas.DataFrame(
        {
            "a": a,
            "b": 0.8 * a + 0.6 * b,
            "noise": rng.standard_normal(300),
            "class": np.array(["low", "high"])[(a > 0).astype(int)],
        }
    )


@pytest.fixture
def numbers(frame):
    return frame[["a", "b", "noise"]]


def test_values_are_those_of_the_pairs(numbers) -> None:
    found = matrix(numbers, "ksg", n_jobs=1)
    assert found.rows == found.columns == ("a", "b", "noise")
    assert (found.method, found.unit, found.quantity) == ("ksg", "nats", "mutual_information")
    assert found.n_samples == 300
    assert found.p_values is None
    np.testing.assert_array_equal(found.values, found.values.T)
    assert np.isinf(np.diag(found.values)).all()
    for i, j in ((0, 1), (0, 2), (1, 2)):
        one = infoest.KSG().estimate(numbers.iloc[:, i], numbers.iloc[:, j], confidence=None)
        assert found.values[i, j] == one.value


def test_labels_by_name_and_by_position(frame) -> None:
    by_name = matrix(frame, discrete=["class"], n_jobs=1)
    by_position = matrix(frame, discrete=[3], n_jobs=1)
    from_the_end = matrix(frame, discrete=[-1], n_jobs=1)
    np.testing.assert_array_equal(by_name.values, by_position.values)
    np.testing.assert_array_equal(by_name.values, from_the_end.values)
    assert by_name.values[3, 3] == pytest.approx(math.log(2.0), abs=0.01)
    assert np.isinf(by_name.values[0, 0])
    assert by_name.values[0, 3] > 0.4 > 0.1 > abs(by_name.values[2, 3])


def test_strings_must_be_named(frame) -> None:
    with pytest.raises(TypeError, match=r"class.* must be numeric, got"):
        matrix(frame, n_jobs=1)


def test_target(frame) -> None:
    full = matrix(frame, discrete=["class"], n_jobs=1)
    for target in ("b", 1, -3):
        found = matrix(frame, discrete=["class"], target=target, n_jobs=1)
        assert found.columns == ("b",)
        assert found.rows == ("a", "noise", "class")
        assert found.values.shape == (3, 1)
        np.testing.assert_allclose(found.values[:, 0], full.values[[0, 2, 3], 1], atol=1e-12)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"target": "c"}, r"^target must name columns, got 'c'\. There are: a, b, noise\."),
        ({"target": 3}, r"^target must name columns, got 3\."),
        ({"target": True}, r"^target must name columns, got True\."),
        ({"target": 1.5}, r"^target must name columns, got 1\.5\."),
        ({"discrete": ["a", "d"]}, r"^discrete must name columns, got 'd'\."),
        ({"discrete": [-4]}, r"^discrete must name columns, got -4\."),
        ({"n_permutations": -1}, r"^n_permutations must be an integer of at least 0, got -1"),
        ({"method": "kde_entropy"}, r"^method must be one of"),
        ({"random_state": -1}, r"^random_state must be"),
    ],
)
def test_bad_settings(numbers, options, text) -> None:
    with pytest.raises(ValueError, match=text):
        matrix(numbers, n_jobs=1, **options)


def test_discrete_given_as_one_name_is_that_column(frame) -> None:
    """A bare string must not be read letter by letter."""
    renamed = frame.rename(columns={"class": "ab"})
    with pytest.raises((TypeError, ValueError), match=r"^discrete must .*'ab'"):
        matrix(renamed, discrete="ab", n_jobs=1)


def test_bad_data(numbers) -> None:
    with pytest.raises(
        ValueError, match=r"^data must have shape \(n_samples, n_columns\), got \(9,\)"
    ):
        matrix(np.arange(9.0), n_jobs=1)
    with pytest.raises(ValueError, match=r"^data must have at least two columns, got 1"):
        matrix(numbers[["a"]], n_jobs=1)
    twice = numbers.copy()
    twice.columns = ["a", "a", "b"]
    with pytest.raises(ValueError, match=r"^data must have distinct column names, got \['a', 'a'"):
        matrix(twice, n_jobs=1)
    with pytest.raises((TypeError, ValueError), match=r"^data must "):
        matrix(None, n_jobs=1)
    with pytest.raises((TypeError, ValueError), match=r"^data must "):
        matrix([[1.0, 2.0], [3.0]] * 10, n_jobs=1)


def test_constant_and_missing_columns_are_named(numbers) -> None:
    """The error must say which column of the table, not only x or y."""
    broken = numbers.copy()
    broken["flat"] = 1.0
    with pytest.raises(ValueError, match=r"flat.* must vary"):
        matrix(broken, n_jobs=1)
    gap = numbers.copy()
    gap.loc[3, "noise"] = np.nan
    with pytest.raises(ValueError, match=r"noise.* must be finite, got 1 "):
        matrix(gap, n_jobs=1)


def test_containers_give_one_answer(numbers) -> None:
    import polars
    import torch

    expected = matrix(numbers, "gaussian_copula", n_jobs=1)
    array = numbers.to_numpy()
    for data in (
        array, np.asfortranarray(array), array.tolist(), torch.tensor(array),
        polars.DataFrame({name: numbers[name].to_numpy() for name in numbers}),
    ):  # fmt: skip
        found = matrix(data, "gaussian_copula", n_jobs=1)
        np.testing.assert_array_equal(found.values, expected.values)
    assert matrix(array, "gaussian", n_jobs=1).rows == ("0", "1", "2")


def test_data_and_estimator_are_left_alone(numbers) -> None:
    before, estimator = numbers.copy(), infoest.KSG(random_state=3)
    matrix(numbers, estimator, random_state=7, n_jobs=1)
    assert numbers.equals(before)
    assert estimator.random_state == 3


def test_p_values(numbers) -> None:
    found = matrix(numbers, "gaussian", n_permutations=99, n_jobs=1)
    assert found.p_values[0, 1] == 0.01
    assert found.p_values[0, 2] > 0.02
    np.testing.assert_array_equal(found.p_values, found.p_values.T)
    assert (np.diag(found.p_values) == 0.0).all()


def test_warnings_are_gathered_with_the_pairs_concerned(numbers) -> None:
    tied = numbers.copy()
    tied["count"] = np.random.default_rng(1).integers(0, 3, 300)
    found = matrix(tied, "ksg", n_jobs=1)
    by_code = {caution.code: caution.sentence for caution in found.warnings}
    assert set(by_code) >= {"integers_treated_as_continuous"}
    sentence = by_code["integers_treated_as_continuous"]
    assert sentence.startswith("3 of 6 pairs (a-count, b-count, noise-count)")
    assert len(found.warnings) == len(by_code)


def test_duplicated_columns_are_infinite_and_said(numbers) -> None:
    twice = numbers.assign(copy=numbers["a"])
    found = matrix(twice, "gaussian", n_jobs=1)
    (caution,) = found.warnings
    assert caution.code == "infinite_for_continuous"
    assert "a-copy" in caution.sentence


@dataclass(kw_only=True, eq=False)
class Fickle(MutualInformationEstimator):
    """Measures another thing when the first value is negative."""

    def _estimate(self, x, y, z, ask) -> Raw:
        return Raw(0.0, quantity=None if x[0, 0] > 0 else "lower_bound")


def test_mixed_quantities_are_refused() -> None:
    data = np.random.default_rng(0).standard_normal((50, 3))
    data[0] = [1.0, -1.0, 1.0]
    with pytest.raises(
        ValueError, match=r"^method must measure one quantity for all pairs, got \["
    ):
        matrix(data, Fickle(), n_jobs=1)


def test_two_jobs_give_the_numbers_of_one() -> None:
    data = np.random.default_rng(1).standard_normal((120, 8))
    data[:, 1] += data[:, 0]
    one = matrix(data, "ksg", n_permutations=9, n_jobs=1)
    two = matrix(data, "ksg", n_permutations=9, n_jobs=2)
    np.testing.assert_array_equal(one.values, two.values)
    np.testing.assert_array_equal(one.p_values, two.p_values)
    assert one.warnings == two.warnings


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # dask, distributed and tornado warn of their own affairs
def test_dask_workers_give_the_numbers_of_one_process() -> None:
    from dask.distributed import Client, LocalCluster
    from joblib import parallel_config

    state = random.getstate()
    data = np.random.default_rng(2).standard_normal((100, 8))
    expected = matrix(data, "ksg", n_jobs=1)
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None
        ) as cluster,
        Client(cluster),
        parallel_config(backend="dask"),
    ):
        found = matrix(data, "ksg")
    random.setstate(state)  # distributed draws from it, for its own names
    np.testing.assert_array_equal(found.values, expected.values)
    assert found.warnings == expected.warnings


def test_a_hundred_pairs_agree_with_numpy() -> None:
    data = np.random.default_rng(3).standard_normal((500, 15)) @ np.random.default_rng(
        4
    ).standard_normal((15, 15))
    found = matrix(data, Gaussian(), n_jobs=1)
    plug_in = -0.5 * np.log1p(-(np.corrcoef(data.T) ** 2) + np.eye(15) * 0.5)
    off = ~np.eye(15, dtype=bool)
    np.testing.assert_allclose(found.values[off], plug_in[off], atol=0.002)
