"""FromEntropies: closed forms with an exact entropy, identities, labels, conditions, errors."""

from dataclasses import dataclass

import numpy as np
import pytest

from infoest.datasets import correlated_normal
from infoest.estimators.base import EntropyEstimator
from infoest.estimators.counting import Discrete, DiscreteEntropy
from infoest.estimators.entropies import FromEntropies
from infoest.estimators.neighbor_entropy import KozachenkoLeonenko
from infoest.functional.discrete import CORRECTIONS
from infoest.result import Caution, Raw


@dataclass(kw_only=True, eq=False)
class NormalEntropy(EntropyEstimator):
    """Entropy of the normal law with the covariance of the data: a stranger's estimator."""

    def _estimate(self, x, ask):
        assert ask.confidence is None
        covariance = np.atleast_2d(np.cov(x.T, bias=True))
        value = 0.5 * np.linalg.slogdet(2 * np.pi * np.e * covariance)[1]
        return Raw(value, cautions=(Caution("high_variance", "So many columns."),))


NORMAL = FromEntropies(entropy=NormalEntropy())
COUNTS = FromEntropies(entropy=DiscreteEntropy(correction="none"))


@pytest.fixture
def normal():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((400, 2))
    y = x @ [[1.0], [-0.5]] + rng.standard_normal((400, 1))
    z = x[:, :1] + y + rng.standard_normal((400, 1))
    return x, y, z


def log_one_minus_r2(x, y):
    return np.log(1 - np.corrcoef(x[:, 0], y[:, 0])[0, 1] ** 2)


def residuals(x, z):
    design = np.column_stack([np.ones(len(z)), z])
    return x - design @ np.linalg.lstsq(design, x, rcond=None)[0]


def test_normal_data_give_the_normal_information(normal):
    x, y, _ = normal
    value = NORMAL.estimate(x[:, 0], y).value
    assert value == pytest.approx(-0.5 * log_one_minus_r2(x[:, :1], y))


def test_a_condition_gives_the_partial_correlation(normal):
    x, y, z = normal
    expected = -0.5 * log_one_minus_r2(residuals(x[:, :1], z), residuals(y, z))
    assert NORMAL.estimate(x[:, 0], y, z=z).value == pytest.approx(expected)


def test_chain_rule_and_symmetry(normal):
    x, y, z = normal
    whole = NORMAL.estimate(x, np.hstack([y, z])).value
    parts = NORMAL.estimate(x, z).value + NORMAL.estimate(x, y, z=z).value
    assert whole == pytest.approx(parts)
    assert NORMAL.estimate(x, y, z=z).value == pytest.approx(NORMAL.estimate(y, x, z=z).value)


def test_info_holds_the_entropies_and_cautions_are_passed_on(normal):
    x, y, z = normal
    e = NORMAL.estimate(x, y)
    entropy = NormalEntropy()
    expected = {
        "entropy": "NormalEntropy",
        "entropy_x": entropy.estimate(x, confidence=None).value,
        "entropy_y": entropy.estimate(y, confidence=None).value,
        "entropy_xy": entropy.estimate(np.hstack([x, y]), confidence=None).value,
    }
    assert e.info == expected
    assert e.has("high_variance")
    assert len(e.warnings) == 1
    assert list(NORMAL.estimate(x, y, z=z).info)[1:] == [
        "entropy_xz",
        "entropy_yz",
        "entropy_xyz",
        "entropy_z",
    ]


def test_no_interval_and_a_p_value(normal):
    x, y, _ = normal
    e = NORMAL.estimate(x, y, n_permutations=49)
    assert (e.std_error, e.interval, e.confidence, e.p_value) == (None, None, None, 0.02)
    assert e.method == "from_entropies"


def test_classes_by_hand():
    # Entropies within the classes are those of variances 1 and 4 (1/n), all of 2.5.
    x = np.array([-1.0, 1.0] * 5 + [-2.0, 2.0] * 5)
    labels = np.array(["a", "b"]).repeat(10)
    e = NORMAL.estimate(x, labels, discrete="y")
    assert e.value == pytest.approx(0.5 * np.log(2.5) - 0.25 * np.log(4))
    assert list(e.info) == ["entropy", "entropy_x", "entropy_x_given_y"]
    swapped = NORMAL.estimate(labels, x, discrete="x")
    assert swapped.value == pytest.approx(e.value)
    assert list(swapped.info) == ["entropy", "entropy_y", "entropy_y_given_x"]


def test_classes_with_a_condition(normal):
    x, y, z = normal
    labels = (y[:, 0] > 0).astype(int)
    value = NORMAL.estimate(x, labels, z=z, discrete="y").value
    both = NORMAL.estimate(np.hstack([x, z]), labels, discrete="y").value
    assert value == pytest.approx(both - NORMAL.estimate(z, labels, discrete="y").value)


def test_one_class_tells_nothing(normal):
    x, _, _ = normal
    assert NORMAL.estimate(x, np.ones(400), discrete="y").value == 0.0


@pytest.mark.parametrize("correction", [c for c in CORRECTIONS if c not in ("nsb", "shrinkage")])
def test_label_entropies_give_the_discrete_information(correction):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 3, 200)
    y, z = (x + rng.integers(0, 2, 200)) % 3, rng.integers(0, 2, 200) * x
    estimator = FromEntropies(entropy=DiscreteEntropy(correction=correction))
    discrete = Discrete(correction=correction)
    assert estimator.estimate(x, y).value == pytest.approx(discrete.estimate(x, y).value)
    expected = discrete.estimate(x, y, z=z).value
    assert estimator.estimate(x, y, z=z).value == pytest.approx(expected)


def test_label_entropies_read_every_side_as_labels():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 3, (2, 100))
    e = COUNTS.estimate(x, y)
    assert not e.warnings  # integers are at home here
    assert COUNTS.estimate(x / 7, y, discrete="y").value == pytest.approx(e.value)
    words = np.array(["red", "green", "blue"])
    assert COUNTS.estimate(words[x], y, discrete="x").value == pytest.approx(e.value)
    assert COUNTS.estimate(np.ones(100), y).value == pytest.approx(0.0, abs=1e-12)
    with pytest.raises(TypeError, match="x must be numeric, got strings"):
        COUNTS.estimate(words[x], y)


def test_none_is_nearest_neighbors_or_counts():
    x, y, truth = correlated_normal(1000, rho=0.8, random_state=0)
    e = FromEntropies().estimate(x, y)
    assert e.value == pytest.approx(truth, abs=0.1)
    assert e.value == FromEntropies(entropy=KozachenkoLeonenko()).estimate(x, y).value
    assert e.info["entropy"] == "kozachenko_leonenko"
    codes = x[:, 0] > 0, y[:, 0] > 0
    e = FromEntropies().estimate(*codes, discrete="both")
    assert e.value == pytest.approx(Discrete().estimate(*codes).value)
    assert e.info["entropy"] == "discrete_entropy"


def test_nearest_neighbors_with_classes():
    # A mixture of N(0, 1) and N(3, 1): I = 0.523 (quadrature).
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 3000)
    x = rng.standard_normal(3000) + 3 * labels
    assert FromEntropies().estimate(x, labels, discrete="y").value == pytest.approx(0.523, abs=0.04)


def test_same_call_same_answer(normal):
    x, y, _ = normal
    rounded = np.round(x, 1)  # ties are spread at random
    first, second = (FromEntropies().estimate(rounded, y, n_permutations=9) for _ in range(2))
    assert first.to_dict() == second.to_dict()


def test_parameters_are_nested():
    estimator = FromEntropies(entropy=KozachenkoLeonenko(k=3))
    assert estimator.get_params()["entropy__k"] == 3
    copy = estimator.copy().set_params(entropy__k=4)
    assert (copy.entropy.k, estimator.entropy.k) == (4, 3)


def test_bad_entropy(normal):
    x, y, _ = normal
    for bad in ("kozachenko_leonenko", KozachenkoLeonenko, Discrete(), 3):
        with pytest.raises(TypeError, match="entropy must be an entropy estimator or None, got"):
            FromEntropies(entropy=bad).estimate(x, y)


def test_two_sides_of_labels_need_an_entropy_of_labels(normal):
    x, y, _ = normal
    message = r"entropy must read labels .*, got NormalEntropy\. Pass entropy=DiscreteEntropy\(\)"
    with pytest.raises(ValueError, match=message):
        NORMAL.estimate(x > 0, y > 0, discrete="both")


def test_classes_that_are_too_small_or_constant(normal):
    x, _, z = normal
    labels = np.arange(400) % 2
    labels[:4] = 7
    message = r"y must hold at least 5 rows of every label, got 4\. Merge rare labels"
    with pytest.raises(ValueError, match=message):
        NORMAL.estimate(x, labels, discrete="y")
    labels = np.arange(400) % 2
    fixed = np.where(labels == 1, 3.0, x[:, 0])
    with pytest.raises(ValueError, match="y must vary in every column within each label of x"):
        NORMAL.estimate(labels, fixed, discrete="x")
    with pytest.raises(ValueError, match="z must vary in every column within each label of y"):
        NORMAL.estimate(x, labels, z=fixed, discrete="y")
    with pytest.raises(ValueError, match="z must vary in every column, got constant column 0"):
        NORMAL.estimate(x, labels, z=0 * z, discrete="y")
