"""Transfer entropy: direction, delay, history, condition, surrogates."""

from __future__ import annotations

import math

import numpy as np
import pytest

from infoest import KSG, Gaussian, transfer_entropy
from infoest.datasets import var_process

methods = pytest.mark.parametrize("method", ["gaussian", "gaussian_copula", "ksg"])


@methods
def test_known_values_of_an_autoregression(method) -> None:
    sample = var_process(3000, random_state=0)
    forward = transfer_entropy(sample.source, sample.target, method=method)
    backward = transfer_entropy(sample.target, sample.source, method=method)
    assert forward.value == pytest.approx(sample.transfer_entropy, abs=0.03)
    assert backward.value == pytest.approx(sample.backward_transfer_entropy, abs=0.03)
    assert sample.backward_transfer_entropy == 0.0
    assert forward.quantity == "transfer_entropy"
    assert forward.method == method
    assert forward.interval[0] < sample.transfer_entropy < forward.interval[1]
    assert forward.p_value is None


@methods
def test_coupling_in_both_directions(method) -> None:
    sample = var_process(
        4000, coefficients=((0.4, 0.2), (0.6, 0.3)), innovation_covariance=((1, 0.3), (0.3, 2)),
        random_state=1,
    )  # fmt: skip
    forward = transfer_entropy(sample.source, sample.target, method=method).value
    backward = transfer_entropy(sample.target, sample.source, method=method).value
    assert forward == pytest.approx(sample.transfer_entropy, abs=0.03)
    assert backward == pytest.approx(sample.backward_transfer_entropy, abs=0.03)


def test_history_is_used() -> None:
    coefficients = ((0.8, 0.3), (0.4, -0.5))
    sample, longer = (
        var_process(6000, coefficients=coefficients, history=history, random_state=2)
        for history in (1, 4)
    )
    assert abs(sample.transfer_entropy - longer.transfer_entropy) > 0.02
    for truth, history in ((sample, 1), (longer, 4)):
        found = transfer_entropy(truth.source, truth.target, history=history, method="gaussian")
        assert found.value == pytest.approx(truth.transfer_entropy, abs=0.025)
        assert found.n_samples == 6000 - history


@pytest.mark.parametrize("delay", [1, 2, 5])
def test_lag_is_the_delay_of_the_source(delay) -> None:
    rng = np.random.default_rng(3)
    source = rng.standard_normal(3000)
    target = 0.5 * rng.standard_normal(3000)
    target[delay:] += source[:-delay]
    truth = 0.5 * math.log(1.0 + 4.0)
    for lag in (1, 2, 3, 5, 6):
        found = transfer_entropy(source, target, lag=lag, method="gaussian")
        assert found.value == pytest.approx(truth if lag == delay else 0.0, abs=0.04)
        assert found.n_samples == 3000 - lag


def test_present_and_future_of_the_source_are_not_used() -> None:
    rng = np.random.default_rng(4)
    source = rng.standard_normal(2000)
    assert (
        abs(transfer_entropy(source, source + rng.standard_normal(2000), method="gaussian").value)
        < 0.01
    )
    ahead = np.r_[source[1:], 0.0] + 0.1 * rng.standard_normal(2000)
    assert abs(transfer_entropy(source, ahead, method="gaussian").value) < 0.01


def test_condition_removes_a_common_driver() -> None:
    rng = np.random.default_rng(5)
    driver, e, f = rng.standard_normal((3, 4000))
    source, target = np.zeros(4000), np.zeros(4000)
    source[1:] = driver[:-1] + 0.3 * e[1:]
    target[2:] = driver[:-2] + 0.3 * f[2:]
    plain = transfer_entropy(source, target, method="gaussian").value
    # The driver acts on the target after two steps: its last value but one is what must be known.
    delayed = np.r_[0.0, driver[:-1]]
    given = transfer_entropy(source, target, condition=delayed, method="gaussian").value
    assert plain > 0.5
    assert abs(given) < 0.02


@methods
def test_surrogates(method) -> None:
    sample = var_process(600, random_state=6)
    found = transfer_entropy(
        sample.source, sample.target, method=method, n_surrogates=39, random_state=0
    )
    assert found.p_value == 1 / 40
    assert found.info["effective"] == pytest.approx(found.value - found.info["surrogate_mean"])
    assert abs(found.info["surrogate_mean"]) < 0.05
    bare = transfer_entropy(sample.source, sample.target, method=method, random_state=0)
    assert bare.value == found.value
    again = transfer_entropy(
        sample.source, sample.target, method=method, n_surrogates=39, random_state=0
    )
    assert again.to_dict() == found.to_dict()


def test_surrogate_p_values_hold_their_level() -> None:
    p_values = []
    for seed in range(100):
        sample = var_process(150, coefficients=((0.9, 0.0), (0.0, 0.9)), random_state=seed)
        p_values.append(
            transfer_entropy(
                sample.source, sample.target, method="gaussian", n_surrogates=39, random_state=seed
            ).p_value
        )
    assert np.mean(np.asarray(p_values) <= 0.05) < 0.15
    assert 0.35 < np.mean(p_values) < 0.65


def test_several_columns() -> None:
    rng = np.random.default_rng(7)
    source = rng.standard_normal((2000, 2))
    target = rng.standard_normal((2000, 2))
    target[1:, 0] += source[:-1, 1]
    found = transfer_entropy(source, target, method="gaussian")
    assert found.value == pytest.approx(0.5 * math.log(2.0), abs=0.03)
    assert abs(transfer_entropy(source[:, :1], target, method="gaussian").value) < 0.01


def test_theiler_window_goes_to_a_copy() -> None:
    sample = var_process(400, random_state=8)
    estimator = KSG()
    found = transfer_entropy(sample.source, sample.target, method=estimator, theiler=20)
    assert estimator.theiler == 0
    expected = transfer_entropy(sample.source, sample.target, method=KSG(theiler=20))
    assert found.value == expected.value
    plain = transfer_entropy(sample.source, sample.target)
    assert found.value != plain.value
    for method in ("gaussian", "auto", "discrete", Gaussian()):
        with pytest.raises(
            ValueError, match=r"^theiler must be 0 with method=.*, got 3\. Only KSG"
        ):
            transfer_entropy(sample.source, sample.target, method=method, theiler=3)


def test_labels() -> None:
    """The target copies the source's last label with probability .9."""
    rng = np.random.default_rng(9)
    source = rng.integers(0, 2, 4000)
    target = np.r_[0, np.where(rng.random(3999) < 0.1, 1 - source[:-1], source[:-1])]
    truth = math.log(2.0) + 0.1 * math.log(0.1) + 0.9 * math.log(0.9)
    for method in ("discrete", "auto"):
        forward = transfer_entropy(source, target, method=method)
        assert forward.value == pytest.approx(truth, abs=0.03)
        assert not forward.has("integers_treated_as_continuous")
        assert abs(transfer_entropy(target, source, method=method).value) < 0.01
    tested = transfer_entropy(source, target, method="discrete", n_surrogates=19)
    assert tested.p_value == 1 / 20


def test_integers_given_to_neighbors_are_said() -> None:
    rng = np.random.default_rng(10)
    found = transfer_entropy(rng.integers(0, 50, 300), rng.integers(0, 50, 300))
    assert found.has("integers_treated_as_continuous")


def test_a_method_instance_is_left_alone() -> None:
    estimator = Gaussian(random_state=4)
    sample = var_process(100, random_state=0)
    transfer_entropy(sample.source, sample.target, method=estimator, random_state=1)
    assert estimator.random_state == 4


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"lag": 0}, ValueError, "lag must be an integer of at least 1, got 0."),
        ({"lag": -2}, ValueError, "lag must be an integer of at least 1, got -2."),
        ({"lag": 1.0}, TypeError, "lag must be an integer of at least 1 and an integer, got 1.0."),
        ({"history": 0}, ValueError, "history must be an integer of at least 1, got 0."),
        (
            {"n_surrogates": -1},
            ValueError,
            "n_surrogates must be an integer of at least 0, got -1.",
        ),
        ({"theiler": -1}, ValueError, "theiler must be an integer of at least 0, got -1."),
        ({"lag": 98}, ValueError, "lag + history - 1 must be in [1, 94], got 98."),
        ({"method": "mixed_ksg"}, ValueError, "method must take a condition, got 'mixed_ksg'. Use"),
        ({"method": "binned"}, ValueError, "method must take a condition, got 'binned'."),
        ({"method": "nonsense"}, ValueError, "method must be one of"),
        ({"method": "kozachenko_leonenko"}, ValueError, "method must be one of"),
        ({"random_state": -1}, ValueError, "random_state must be a non-negative integer"),
    ],
)
def test_bad_settings(options, error, text) -> None:
    import re

    sample = var_process(100, random_state=0)
    with pytest.raises(error, match="^" + re.escape(text)):
        transfer_entropy(sample.source, sample.target, **options)


def test_bad_series() -> None:
    sample = var_process(100, random_state=0)
    source, target = sample.source, sample.target
    with pytest.raises(
        ValueError, match=r"^source and target must be paired, got 100 and 99 samples"
    ):
        transfer_entropy(source, target[:-1])
    with pytest.raises(ValueError, match=r"^source and condition must be paired, got 100 and 90"):
        transfer_entropy(source, target, condition=target[:90])
    with pytest.raises(ValueError, match=r"^target must be finite, got 1 "):
        transfer_entropy(source, np.r_[np.nan, target[1:, 0]])
    with pytest.raises(
        ValueError, match=r"^source must vary in every column, got constant column 0"
    ):
        transfer_entropy(np.ones(100), target)
    with pytest.raises(TypeError, match=r"^source must be numeric, got strings"):
        transfer_entropy(np.array(["a"] * 100), target)
    for missing in ((None, target), (source, None)):
        with pytest.raises(
            TypeError, match=r"^(source|target) must be an array of samples, got None"
        ):
            transfer_entropy(*missing)
    with pytest.raises(ValueError, match=r"^source must have at least 5 complete rows, got 4"):
        transfer_entropy(source[:4], target[:4])
    with pytest.raises(ValueError, match=r" must "):
        transfer_entropy(source[:9], target[:9], history=4)


def test_short_series_answer_or_say_why_not() -> None:
    from ..contract_cases import sound_or_named

    for n in range(7, 16):
        sample = var_process(n, random_state=n)
        for method in ("gaussian", "gaussian_copula", "ksg", "auto"):
            sound_or_named(
                lambda s=sample, m=method: transfer_entropy(s.source, s.target, method=m),
                "source", "target", "lag", "x", "y", "z", "k",
            )  # fmt: skip


def test_containers_give_one_answer() -> None:
    import pandas
    import torch

    sample = var_process(200, random_state=0)
    expected = transfer_entropy(sample.source, sample.target).to_dict()
    for convert in (torch.tensor, pandas.DataFrame, lambda s: s[:, 0].tolist()):
        found = transfer_entropy(convert(sample.source), convert(sample.target))
        assert found.to_dict() == expected
