"""The labeled matrix: order, picture and files."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from infoest import Caution, InformationMatrix, matrix


@pytest.fixture
def found():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 200, 1))
    data = np.hstack(
        [a, b, a + 0.3 * rng.standard_normal((200, 1)), b + 0.3 * rng.standard_normal((200, 1))]
    )
    return matrix(data, "gaussian", n_jobs=1)


@pytest.fixture
def against_target():
    rng = np.random.default_rng(1)
    target = rng.standard_normal((200, 1))
    noise = rng.standard_normal((200, 3))
    data = np.hstack([noise + target * np.array([0.2, 3.0, 1.0]), target])
    return matrix(data, "gaussian", target=3, n_jobs=1)


def test_repr(found) -> None:
    assert repr(found) == "4 x 4 mutual_information in nats  (gaussian, n=200)"
    doubted = InformationMatrix(**{**vars(found), "warnings": (Caution("ties_broken", "Ties."),)})
    assert repr(doubted).endswith("warnings: ties_broken")


def test_to_frame(found, against_target) -> None:
    frame = found.to_frame()
    assert list(frame.index) == list(frame.columns) == ["0", "1", "2", "3"]
    np.testing.assert_array_equal(frame.to_numpy(), found.values)
    frame = against_target.to_frame()
    assert list(frame.index) == ["0", "1", "2"]
    assert list(frame.columns) == ["3"]


def test_order_puts_similar_columns_together(found, against_target) -> None:
    order = found.order()
    assert sorted(order) == [0, 1, 2, 3]
    assert abs(order.index(0) - order.index(2)) == 1
    assert abs(order.index(1) - order.index(3)) == 1
    assert against_target.order() == [1, 2, 0]


def test_two_columns_have_an_order() -> None:
    data = np.random.default_rng(2).standard_normal((50, 2))
    assert matrix(data, "gaussian", n_jobs=1).order() == [0, 1]


def test_plot(found, against_target) -> None:
    from matplotlib.figure import Figure

    axes = found.plot()
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == [str(i) for i in found.order()]
    image = axes.images[0].get_array()
    assert np.ma.getmaskarray(image).sum() == 4
    assert float(image.max()) <= axes.images[0].get_clim()[1]
    given = Figure().subplots()
    assert against_target.plot(given) is given
    assert against_target.plot().images[0].get_array().shape == (3, 1)


def test_plot_of_many_columns_names_only_some() -> None:
    values = np.random.default_rng(0).random((100, 100))
    values = values + values.T
    names = tuple(f"c{i}" for i in range(100))
    wide = InformationMatrix(values, names, names, None, "nats", "mutual_information", "ksg", 50)
    assert len(wide.plot().get_yticks()) <= 60


@pytest.mark.parametrize("kind", ["png", "html", "csv"])
@pytest.mark.parametrize("as_text", [False, True])
def test_save(found, against_target, kind, as_text, tmp_path) -> None:
    for one in (found, against_target):
        path = tmp_path / f"mi.{kind}"
        one.save(str(path) if as_text else path)
        content = path.read_bytes()
        if kind == "png":
            assert content.startswith(b"\x89PNG")
        elif kind == "html":
            text = content.decode()
            assert "plotly" in text
            assert 'src="http' not in text, "the page must work offline"
        else:
            rows = list(csv.reader(content.decode().splitlines()))
            assert rows[0] == ["", *one.columns]
            assert [row[0] for row in rows[1:]] == list(one.rows)
            saved = np.array([[float(cell) for cell in row[1:]] for row in rows[1:]])
            np.testing.assert_array_equal(saved, one.values)


@pytest.mark.parametrize("name", ["mi.pdf", "mi", "mi.csv.gz"])
def test_unknown_suffixes(found, name, tmp_path) -> None:
    with pytest.raises(
        ValueError, match=r"^path must end in one of \['\.csv', '\.html', '\.png'\], got"
    ):
        found.save(tmp_path / name)
    assert not (tmp_path / name).exists()


def test_negative_values_have_a_picture() -> None:
    values = np.array([[np.inf, -0.01, -0.02], [-0.01, np.inf, -0.005], [-0.02, -0.005, np.inf]])
    names = ("a", "b", "c")
    low = InformationMatrix(values, names, names, None, "nats", "mutual_information", "ksg", 50)
    assert sorted(low.order()) == [0, 1, 2]
    assert low.plot().images[0].get_clim()[1] > 0.0
