"""The front doors: `estimate`, `entropy`, `divergence` and `METHODS`."""

from __future__ import annotations

import inspect
import re

import numpy as np
import pytest

import infoest
from infoest import KSG, METHODS, Auto, Gaussian, KozachenkoLeonenko, divergence, entropy, estimate
from infoest.datasets import correlated_normal


@pytest.fixture
def pair():
    x, y, _ = correlated_normal(150, rho=0.6, random_state=0)
    return x, y


def test_signatures_are_those_of_the_documentation() -> None:
    expected = {
        "estimate": '(x, y, method="auto", *, z=None, discrete=None, missing="raise", '
        'confidence=0.95, n_permutations=0, block=None, budget="accurate", random_state=None)',
        "entropy": '(x, method="kozachenko_leonenko", *, discrete=None, missing="raise", '
        "confidence=0.95, random_state=None)",
        "divergence": '(x, y, method="cauchy_schwarz", *, n_permutations=0, random_state=None)',
        "matrix": '(data, method="auto", *, target=None, discrete=None, n_permutations=0, '
        "n_jobs=None, random_state=None)",
        "transfer_entropy": "(source, target, *, lag=1, history=1, condition=None, "
        'method="ksg", theiler=0, n_surrogates=0, random_state=None)',
    }
    for name, text in expected.items():
        signature = inspect.signature(getattr(infoest, name))
        bare = signature.replace(
            parameters=[p.replace(annotation=p.empty) for p in signature.parameters.values()],
            return_annotation=signature.empty,
        )
        assert str(bare) == text.replace('"', "'")


@pytest.mark.parametrize("name", METHODS.names("mutual_information"))
def test_names_and_instances_are_one(pair, name) -> None:
    x, y = ((side > 0).astype(int) for side in pair) if name == "discrete" else pair
    by_name, by_instance = estimate(x, y, name), estimate(x, y, METHODS[name]())
    assert by_name.to_dict() == by_instance.to_dict()


def test_unknown_methods_are_listed(pair) -> None:
    listed = re.escape(str(sorted(METHODS.names("mutual_information"))))
    with pytest.raises(ValueError, match=rf"^method must be one of {listed}, got 'kgs'\."):
        estimate(*pair, "kgs")
    with pytest.raises(
        ValueError, match=r"^method must be one of \['diffusion_spectral_entropy', .*, got 'ksg'"
    ):
        entropy(pair[0], "ksg")
    with pytest.raises(
        ValueError, match=r"^method must be one of \['cauchy_schwarz', .*, got 'auto'"
    ):
        divergence(*pair, "auto")
    for bad in (KSG, None, 3, abs):
        with pytest.raises(TypeError, match=r"^method must be a name or an estimator, got "):
            estimate(*pair, bad)
    with pytest.raises(
        ValueError, match=r"^method must estimate mutual_information, got Kozachenko"
    ):
        estimate(*pair, KozachenkoLeonenko())
    with pytest.raises(ValueError, match=r"^method must estimate entropy, got KSG"):
        entropy(pair[0], KSG())


def test_random_state_goes_to_a_copy(pair) -> None:
    x, y = (np.round(side, 0) for side in pair)
    estimator = KSG(random_state=5)
    assert (
        estimate(x, y, estimator, random_state=1).value == KSG(random_state=1).estimate(x, y).value
    )
    assert estimator.random_state == 5
    assert estimate(x, y, estimator).value == KSG(random_state=5).estimate(x, y).value
    nested = infoest.FromEntropies(entropy=KozachenkoLeonenko(random_state=2))
    estimate(*pair, nested, random_state=1)
    assert nested.entropy.random_state == 2
    assert nested.random_state == 0


def test_budget_is_for_auto(pair) -> None:
    assert estimate(*pair, budget="fast").info["reason"]
    own = Auto()
    assert estimate(*pair, own, budget="fast").info["reason"]
    assert own.budget == "accurate"
    assert estimate(*pair, Auto(budget="fast")).info["reason"]
    with pytest.raises(
        ValueError, match=r"^budget must be 'accurate' with method='ksg', got 'fast'\."
    ):
        estimate(*pair, "ksg", budget="fast")
    with pytest.raises(
        ValueError, match=r"^budget must be 'accurate' with method=KSG\(.*, got 'fast'"
    ):
        estimate(*pair, KSG(), budget="fast")
    with pytest.raises(ValueError, match=r"^budget must be one of \['accurate', 'fast'\], got 'x'"):
        estimate(*pair, budget="x")


@pytest.mark.parametrize("method", METHODS.names("mutual_information"))
def test_fewer_than_five_rows(pair, method) -> None:
    x, y = (side[:4] for side in pair)
    with pytest.raises(ValueError, match=r"^x must have at least 5 complete rows, got 4"):
        estimate(x, y, method)


def test_options_reach_the_estimator(pair) -> None:
    x, y = pair
    found = estimate(x, y, "gaussian", z=x**2, confidence=0.8, block=1)
    assert found.to_dict() == Gaussian().estimate(x, y, z=x**2, confidence=0.8, block=1).to_dict()
    assert estimate(x, y, "gaussian", n_permutations=9).p_value == 0.1
    gap = np.r_[np.nan, x[1:, 0]]
    assert estimate(gap, y, "gaussian", missing="drop").has("rows_dropped")
    with pytest.raises(ValueError, match=r"^block must be in \[1, 1\], got 10"):
        estimate(x, y, block=10)


def test_entropy_of_labels_changes_the_default() -> None:
    labels = ["a", "b", "b", "c"] * 30
    assert entropy(labels, discrete="x").method == "discrete_entropy"
    with pytest.raises(
        ValueError, match=r"^discrete must be one of \['x', None\].*, got 'both'|^discr"
    ):
        entropy(labels, discrete="both")
    with pytest.raises(ValueError, match=r"^discrete must be None for KozachenkoLeonenko, got 'x'"):
        entropy(labels, KozachenkoLeonenko(), discrete="x")
    with pytest.raises(TypeError, match=r"^x must be numeric, got strings"):
        entropy(labels)


def test_entropy_default_and_options(pair) -> None:
    x = pair[0]
    assert entropy(x).to_dict() == KozachenkoLeonenko().estimate(x).to_dict()
    assert entropy(x, confidence=None).interval is None
    assert entropy(np.r_[x[:, 0], np.nan], missing="drop").value == entropy(x).value


def test_divergence_default_is_symmetric_and_zero_for_equal_samples(pair) -> None:
    x, y = pair
    found = divergence(x, y + 2.0)
    assert found.method == "cauchy_schwarz"
    assert found.value == pytest.approx(divergence(y + 2.0, x).value, abs=1e-12)
    assert divergence(x, x.copy()).value == pytest.approx(0.0, abs=1e-12)
    assert divergence(x, y + 2.0, n_permutations=19).p_value == 0.05
    assert divergence(x, y[:90], "knn_divergence").n_samples == 240


def test_missing_arguments(pair) -> None:
    for call in (
        lambda: estimate(pair[0], None),
        lambda: divergence(pair[0], None),
        lambda: estimate(pair[0], None, "gaussian", z=pair[1]),
    ):
        with pytest.raises(
            TypeError, match=r"^y must be an array of samples, got None\. Pass an array"
        ):
            call()
    with pytest.raises(TypeError, match=r"^x must be an array of samples, got None\."):
        entropy(None)


def test_methods_mapping() -> None:
    assert set(METHODS.names("mutual_information")) | set(METHODS.names("entropy")) | set(
        METHODS.names("divergence")
    ) == set(METHODS)
    assert len(METHODS) == len(list(METHODS))
    for name in METHODS:
        entry = METHODS.entry(name)
        assert entry.help
        assert not entry.help.endswith(".")
        assert len(entry.help) < 80
        assert METHODS[name].__name__ == entry.class_name
    assert "ksg" in METHODS
    assert "nonsense" not in METHODS
    with pytest.raises(KeyError):
        METHODS["nonsense"]
    assert METHODS.get("nonsense") is None
    assert METHODS.names("nothing") == []


def test_every_default_answers_on_real_small_data() -> None:
    """Iris-like: 150 rows, one decimal, four columns; nothing may fail or be infinite."""
    rng = np.random.default_rng(0)
    sepal = np.round(5.8 + 0.8 * rng.standard_normal((150, 1)), 1)
    petal = np.round(0.8 * (sepal - 5.8) + 3.7 + 0.6 * rng.standard_normal((150, 1)), 1)
    truth = 0.5 * np.log1p((0.8 * 0.8 / 0.6) ** 2)
    for method in ("auto", "gaussian", "gaussian_copula", "ksg"):
        found = estimate(sepal, petal, method)
        assert found.value == pytest.approx(truth, abs=0.2), method
