"""Self-consistency: exact on an oracle, right about liars, honest about bad input."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch

import infoest
from infoest import Caution
from infoest.analysis import Monotonicity, RatioTest, SelfConsistency, self_consistency
from infoest.estimators.base import MutualInformationEstimator
from infoest.result import Estimate, Raw


@dataclass(kw_only=True, eq=False)
class Oracle(MutualInformationEstimator):
    """The truth for X of independent normal pixels and Y = some of them + noise.

    Every distinct pixel of Y gives log(1 + 1 / noise^2) / 2; copies give nothing. ``power`` and
    ``offset`` make it lie.
    """

    noise: float = 0.5
    power: float = 1.0
    offset: float = 0.0

    def _estimate(self, x, y, z, ask):
        seen.append((x.copy(), y.copy()))
        distinct = np.unique(y, axis=1).shape[1]
        value = (distinct**self.power) * 0.5 * math.log1p(self.noise**-2) + self.offset
        return Raw(value, cautions=(Caution("high_variance", f"{x.shape[1]} columns."),))


seen: list[tuple[np.ndarray, np.ndarray]] = []


@pytest.fixture(autouse=True)
def forget():
    seen.clear()


def images(n=40, rows=6, width=2, seed=0):
    return np.random.default_rng(seed).standard_normal((n, rows, width))


def estimates(values):
    return tuple(Estimate(v, "nats", "mutual_information", 50, "made_up") for v in values)


# ------------------------------------------------------------------------------------ the numbers


def test_true_values_pass_exactly() -> None:
    found = self_consistency(Oracle(noise=0.5), images(), noise=0.5)
    assert found.monotonicity.rows == (1, 2, 3, 4, 5, 6)
    per_row = 2 * 0.5 * math.log(5.0)
    np.testing.assert_allclose(found.monotonicity.values, per_row * np.arange(1, 7), rtol=1e-12)
    np.testing.assert_allclose(found.monotonicity.ratios, np.arange(1, 7) / 6, rtol=1e-12)
    np.testing.assert_allclose(found.data_processing.ratios, 1.0, rtol=1e-12)
    np.testing.assert_allclose(found.additivity.ratios, 2.0, rtol=1e-12)
    assert found.monotonicity.violations == ()
    assert found.passed(tolerance=1e-9) == dict.fromkeys(
        ("monotonicity", "data_processing", "additivity"), True
    )


def test_every_lie_is_found_by_its_test() -> None:
    falling = self_consistency(Oracle(power=-1.0), images())
    assert falling.monotonicity.violations == ((1, 2), (2, 3), (3, 4), (4, 5), (5, 6))
    assert falling.monotonicity.largest_fall == pytest.approx(1 - 1 / 6)
    assert falling.passed() == {
        "monotonicity": False,
        "data_processing": True,
        "additivity": False,
    }
    np.testing.assert_allclose(falling.additivity.ratios, 0.5)
    squared = self_consistency(Oracle(power=2.0), images())
    np.testing.assert_allclose(squared.additivity.ratios, 4.0)
    assert squared.passed()["monotonicity"]

    # A transform that adds pixels to the oracle's count: h(Y) is taken for something new.
    doubled = self_consistency(Oracle(), images(), transform=lambda y: 2.0 * y)
    np.testing.assert_allclose(doubled.data_processing.ratios, 2.0)
    assert doubled.data_processing.largest_deviation == pytest.approx(1.0)
    assert not doubled.passed(0.99)["data_processing"]
    assert doubled.passed(1.01)["data_processing"]


def test_violations_are_the_single_falls() -> None:
    curve = Monotonicity((1, 3, 4, 6, 8), estimates([1.0, 0.9, 2.0, 2.0 - 1e-13, 1.5]))
    assert curve.violations == ((1, 3), (6, 8))
    np.testing.assert_allclose(curve.ratios, np.array([1.0, 0.9, 2.0, 2.0, 1.5]) / 1.5)
    assert curve.largest_fall == pytest.approx(0.25)
    assert curve.passed(0.26)
    assert not curve.passed(0.24)


def test_many_small_falls_add_up() -> None:
    slipping = Monotonicity((1, 2, 3, 4), estimates([1.0, 0.95, 0.9, 0.85]))
    assert not slipping.passed(0.1)


def test_no_ratio_to_nothing() -> None:
    test = RatioTest((1, 2, 3), 2.0, estimates([1.0, 1.0, 4.0]), estimates([0.0, -0.1, 2.0]))
    np.testing.assert_array_equal(test.ratios, [np.inf, np.inf, 2.0])
    assert test.largest_deviation == np.inf
    assert not test.passed(100.0)
    nothing = Monotonicity((1, 2), estimates([0.0, 0.0]))
    assert nothing.largest_fall == 0.0
    assert nothing.violations == ()
    np.testing.assert_array_equal(nothing.ratios, [np.inf, np.inf])


def test_gaussian_on_normal_images() -> None:
    found = self_consistency("gaussian", images(3000, 5, 2), noise=1.0)
    np.testing.assert_allclose(found.monotonicity.values, np.arange(1, 6) * math.log(2.0), atol=0.1)
    np.testing.assert_allclose(found.data_processing.ratios, 1.0, atol=1e-6)
    np.testing.assert_allclose(found.additivity.ratios, 2.0, atol=0.1)


def test_copula_sees_through_monotone_pixels() -> None:
    found = self_consistency("gaussian_copula", np.exp(images(1500, 4, 2)), steps=4)
    assert found.passed(0.05) == dict.fromkeys(found.passed(), True)
    assert any(caution.code == "infinite_for_continuous" for caution in found.warnings)


def test_neighbors_do_not_double() -> None:
    # In max norm a copy changes no distance: data processing is exact where h keeps the noise.
    found = self_consistency(infoest.KSG(k=3), images(400, 6, 4), steps=3, noise=0.3)
    np.testing.assert_allclose(found.data_processing.ratios, 1.0, rtol=1e-12)
    assert found.passed() == {"monotonicity": True, "data_processing": True, "additivity": False}
    assert (found.additivity.ratios < 1.6).all()
    assert found.method == "ksg"


# -------------------------------------------------------------------------- what the estimator sees


def test_sides_of_the_four_calls() -> None:
    x = images(41, 28, 1)
    found = self_consistency(Oracle(), x, steps=[0.25, 1.0], random_state=3)
    flat = x.reshape(41, 28)
    assert len(seen) == found.n_calls == 8
    for call, t in ((0, 7), (4, 28)):
        (a, b), (c, d), (e, f), (g, h) = seen[call : call + 4]
        np.testing.assert_array_equal(a, flat)
        np.testing.assert_array_equal(b, flat[:, :t])
        np.testing.assert_array_equal(c, np.hstack([flat, flat]))
        np.testing.assert_array_equal(d, np.hstack([flat[:, :t], flat[:, : t - 3]]))
        assert e.shape == (20, 56)
        np.testing.assert_array_equal(e[:, :28], g)
        np.testing.assert_array_equal(f, np.hstack([e[:, :t], e[:, 28 : 28 + t]]))
        np.testing.assert_array_equal(h, g[:, :t])
        used = np.vstack([e[:, :28], e[:, 28:]])
        assert len(np.unique(used, axis=0)) == 40  # no image stands in both halves, none twice
        assert {tuple(row) for row in used} <= {tuple(row) for row in flat}


def test_noise_is_relative_and_nested() -> None:
    x = images(4000, 3, 1) * np.array([[1.0], [1e3], [1e-3]]) + np.array([[0.0], [1e6], [1.0]])
    self_consistency(Oracle(), x, noise=0.5)
    first, second, third = (seen[4 * step] for step in range(3))
    np.testing.assert_array_equal(first[0], x.reshape(4000, 3))
    np.testing.assert_array_equal(second[1][:, :1], first[1])
    np.testing.assert_array_equal(third[1][:, :2], second[1])
    share = (third[1] - third[0]).std(axis=0) / third[0].std(axis=0)
    np.testing.assert_allclose(share, 0.5, rtol=0.05)


def test_constant_pixels_are_left_out_and_counted() -> None:
    x = images(30, 6, 3)
    x[:, 0] = 0.0  # a blank first row
    x[:, 3, 1] = 7.0
    x[1:, 4, 2] = 0.0  # varies, but in one half only
    found = self_consistency(Oracle(), x, steps=5, noise=0.1)
    assert found.n_constant == 5
    assert found.n_columns == 13
    assert found.monotonicity.rows == (2, 3, 4, 5, 6)
    assert [y.shape[1] for _, y in seen[::4]] == [3, 6, 8, 10, 13]
    assert all(x.shape[1] in (13, 26) for x, _ in seen)


def test_steps() -> None:
    x = images(20, 12, 1)
    assert self_consistency(Oracle(), x, steps=2).monotonicity.rows == (6, 12)
    assert self_consistency(Oracle(), x, steps=5).monotonicity.rows == (2, 5, 7, 10, 12)
    assert self_consistency(Oracle(), x, steps=99).monotonicity.rows == tuple(range(1, 13))
    given = self_consistency(Oracle(), x, steps=np.array([0.01, 0.5, 0.9]))
    assert given.monotonicity.rows == (1, 6, 11)


def test_any_array() -> None:
    x = images(20, 4, 6)
    color = self_consistency(Oracle(), x.reshape(20, 4, 3, 2), noise=0.5)
    flat = self_consistency(Oracle(), torch.from_numpy(x), noise=0.5)
    np.testing.assert_array_equal(color.monotonicity.values, flat.monotonicity.values)
    pandas = pytest.importorskip("pandas")
    table = self_consistency(Oracle(), pandas.DataFrame(x[:, :, 0]))
    assert table.n_rows == table.n_columns == 4
    pixels = (50 * x).astype(np.uint8)
    assert self_consistency("gaussian", pixels, steps=2).n_samples == 20


def test_transform_gets_images_of_its_own() -> None:
    x = images(20, 4, 3)
    before, shapes = x.copy(), []

    def blank(y):
        shapes.append(y.shape)
        y[:] = 0.0
        return y.sum(axis=(1, 2))

    found = self_consistency(Oracle(), x, steps=2, transform=blank)
    assert shapes == [(20, 2, 3), (20, 4, 3)]
    np.testing.assert_array_equal(x, before)
    # What does not vary says nothing: h(Y) is left out.
    np.testing.assert_allclose(found.data_processing.ratios, 1.0)


def test_repeats_itself_by_seed() -> None:
    x = images(60, 4, 2)
    first, again, other = (
        self_consistency("ksg", x, steps=2, noise=0.5, random_state=seed) for seed in (1, 1, 2)
    )
    assert repr(first) == repr(again)
    assert first.to_frame().equals(again.to_frame())
    assert (first.additivity.values != other.additivity.values).all()
    assert (first.monotonicity.values != other.monotonicity.values).all()


def test_estimator_and_data_stay_as_they_are() -> None:
    x, estimator = images(), Oracle(noise=0.7, random_state=5)
    before, params = x.copy(), estimator.get_params()
    self_consistency(estimator, x, noise=0.5)
    np.testing.assert_array_equal(x, before)
    assert estimator.get_params() == params


# -------------------------------------------------------------------------------------- the result


def test_warnings_are_gathered() -> None:
    found = self_consistency(Oracle(), images(40, 6, 2), steps=3)
    # Y is a part of X: the door says so in each of the 12 calls.
    assert [caution.code for caution in found.warnings] == [
        "infinite_for_continuous",
        "high_variance",
    ]
    assert found.warnings[1].sentence == "12 of 12 calls, the first: 12 columns."
    assert found.monotonicity.estimates[0].has("high_variance")


def test_to_frame() -> None:
    frame = self_consistency(Oracle(power=-1.0), images(), steps=3).to_frame()
    assert list(frame["rows"]) == [2, 4, 6]
    np.testing.assert_allclose(frame["fraction"], [1 / 3, 2 / 3, 1.0])
    assert list(frame["falls"]) == [False, True, True]
    np.testing.assert_allclose(
        frame["information_pair"] / frame["information_half"], frame["additivity"]
    )
    np.testing.assert_allclose(
        frame["information_processed"] / frame["information"], frame["data_processing"]
    )
    np.testing.assert_allclose(frame["information"] / frame["information"].iloc[-1], [3, 1.5, 1])


def test_repr() -> None:
    found = self_consistency(Oracle(power=-1.0), images(), steps=2, noise=0.25)
    assert repr(found) == (
        "self-consistency of Oracle (mutual_information in nats, n=40, 12 columns, 0 constant left "
        "out, noise 0.25)\n"
        "  rows  information     to last   processed    additive\n"
        "     3       0.1341       2.000       1.000       0.500\n"
        "     6       0.0671       1.000       1.000       0.500  falls\n"
        " ideal                  no fall           1           2\n"
        "within 10 %                  no         yes          no\n"
        "warnings: high_variance"
    )


def test_plot() -> None:
    from matplotlib.figure import Figure

    falling = self_consistency(Oracle(power=-1.0), images(), steps=3)
    first, second, third = falling.plot()
    ideal, curve, circles = first.lines
    assert list(ideal.get_ydata()) == [1.0, 1.0]
    np.testing.assert_allclose(curve.get_ydata(), [3.0, 1.5, 1.0])
    assert list(circles.get_xdata()) == [4, 6]
    assert list(second.lines[0].get_ydata()) == [1.0, 1.0]
    assert list(third.lines[0].get_ydata()) == [2.0, 2.0]
    np.testing.assert_allclose(third.lines[1].get_ydata(), 0.5)
    assert third.get_ylim() == (0.0, 2.5)

    given = Figure().subplots(1, 3)
    assert falling.plot(given) == list(given)
    self_consistency("gaussian", images(), steps=3, noise=1.0).plot(given)
    names = [text.get_text() for text in given[0].get_legend().get_texts()]
    assert names == ["Oracle", "gaussian"]
    assert len(given[2].lines) == 3  # the ideal is drawn once
    with pytest.raises(ValueError, match="axes must be three, got 2"):
        falling.plot(given[:2])


def test_plot_without_information_is_empty_there() -> None:
    nothing = self_consistency(Oracle(offset=-100.0), images(), steps=2)
    assert isinstance(nothing, SelfConsistency)
    first, *_ = nothing.plot()
    assert np.ma.getmaskarray(first.lines[1].get_ydata()).all()
    assert "inf" in repr(nothing)


def test_progress_is_shown_on_request_only(capsys: pytest.CaptureFixture[str]) -> None:
    plain = self_consistency(Oracle(), images(), steps=2)
    assert capsys.readouterr() == ("", "")
    shown = self_consistency(Oracle(), images(), steps=2, progress=True)
    assert capsys.readouterr().out == ""
    assert repr(plain) == repr(shown)


# --------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("x", "error", "sentence"),
    [
        (np.zeros((20, 3, 3)), ValueError, "x must vary over the samples .* got 0. Constant"),
        (np.ones(50), ValueError, r"x must have shape \(n_samples, rows, ...\), got \(50,\). Pass"),
        (images(20, 1, 8), ValueError, "x must have at least two rows in an image .* got 1. The"),
        (images(1, 6, 2), ValueError, "x must have at least 5 complete rows, got 1"),
        (images(2, 6, 2), ValueError, "x must have at least 5 complete rows, got 2"),
        (images(9, 6, 2), ValueError, "x must have at least 10 samples, got 9. Additivity"),
        (images(0, 6, 2), ValueError, "x must hold at least one row and one column"),
        (np.full((20, 3, 3), np.nan), ValueError, "x must be finite, got 180 NaN"),
        ([["a", "b"]] * 20, TypeError, "x must be numeric, got strings"),
        (images(20, 3, 2) * 1j, TypeError, "x must be real numbers"),
        (None, TypeError, "x must be an array of samples, got None"),
        ([[1.0, 2.0]] * 10 + [[1.0]], ValueError, "x must have rows of equal length"),
    ],
)
def test_bad_data(x, error, sentence) -> None:
    with pytest.raises(error, match=sentence):
        self_consistency("gaussian", x)


def test_one_varying_row_is_not_enough() -> None:
    x = images(20, 4, 2)
    x[:, 1:] = 0.0
    with pytest.raises(ValueError, match="in at least two rows of the image, got 1"):
        self_consistency("gaussian", x)


@pytest.mark.parametrize(
    ("setting", "error", "sentence"),
    [
        ({"steps": 1}, ValueError, "steps must be an integer of at least 2, got 1. Or pass"),
        ({"steps": 2.5}, TypeError, "steps must be an integer"),
        ({"steps": "many"}, TypeError, "steps must be an integer"),
        ({"steps": [0.5]}, ValueError, "steps must be at least two increasing fractions"),
        ({"steps": []}, ValueError, "steps must be at least two increasing fractions"),
        ({"steps": [0.9, 0.5]}, ValueError, r"got \[5, 3\] rows. Take fewer"),
        ({"steps": [0.5, 0.51]}, ValueError, r"got \[3, 3\] rows"),
        ({"steps": [0.0, 0.5]}, ValueError, r"steps must be in \(0, 1\], got 0.0"),
        ({"steps": [0.5, 1.5]}, ValueError, r"steps must be in \(0, 1\], got 1.5"),
        ({"noise": -0.1}, ValueError, "noise must be a finite number of at least 0"),
        ({"noise": math.nan}, ValueError, "noise must be a finite number"),
        ({"transform": "drop"}, TypeError, "transform must be a function of an array or None"),
        (
            {"transform": lambda y: y[:3]},
            ValueError,
            r"transform\(y\) must have 40 rows, got shape",
        ),
        ({"transform": lambda y: y * np.nan}, ValueError, r"transform\(y\) must be finite"),
        ({"transform": lambda y: None}, TypeError, r"transform\(y\) must be an array"),
        ({"random_state": -1}, ValueError, "random_state must be a non-negative integer"),
        ({"random_state": "seed"}, TypeError, "random_state must be a non-negative integer"),
        ({"progress": "yes"}, TypeError, "progress must be True or False, got 'yes'"),
    ],
)
def test_bad_settings(setting, error, sentence) -> None:
    with pytest.raises(error, match=sentence):
        self_consistency(Oracle(), images(), **setting)


def test_first_rows_that_are_blank() -> None:
    x = images(20, 5, 2)
    x[:, :2] = 3.0
    with pytest.raises(ValueError, match=r"got 2 rows without a pixel that does\. Begin at 0\.6"):
        self_consistency("gaussian", x, steps=[0.4, 1.0])
    assert self_consistency(Oracle(), x, steps=[0.6, 1.0]).monotonicity.rows == (3, 5)


@pytest.mark.parametrize(
    ("estimator", "error", "sentence"),
    [
        ("nothing", ValueError, "estimator must be one of .*'ksg'.*, got 'nothing'"),
        ("cauchy_schwarz", ValueError, "estimator must be one of"),
        (infoest.KSG, TypeError, "estimator must be a name or an estimator of mutual information"),
        (infoest.KozachenkoLeonenko(), TypeError, "got KozachenkoLeonenko.*Names: auto, gaussian"),
        (None, TypeError, "estimator must be a name or an estimator"),
    ],
)
def test_bad_estimators(estimator, error, sentence) -> None:
    with pytest.raises(error, match=sentence):
        self_consistency(estimator, images())


@pytest.mark.parametrize("tolerance", [-0.1, math.inf])
def test_bad_tolerance(tolerance) -> None:
    found = self_consistency(Oracle(), images(), steps=2)
    with pytest.raises(ValueError, match="tolerance must be a finite number of at least 0"):
        found.passed(tolerance)
