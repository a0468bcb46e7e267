"""Files become tables, patterns become columns, and what cannot be read is said in one line."""

import builtins
import sys
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from infoest._tables import choose, holds_text, open_table, stacked

NAMES = ["sepal_length", "sepal_width", "petal_length", "petal_width", "a,b", "width [cm]"]


def written(folder: Path, text: str, name: str = "table.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def columns(path: Path, header: bool | None = None) -> dict[str, list]:
    table = open_table(path, header=header)
    return {name: column.tolist() for name, column in table.columns(table.names).items()}


# -------------------------------------------------------------------------------------- text


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a,b\n1,2.5\n3,4\n", "t.csv"),
        ("a;b\n1;2.5\n3;4\n", "t.csv"),
        ("a\tb\n1\t2.5\n3\t4\n", "t.csv"),
        ("a\tb\n1\t2.5\n3\t4\n", "t.tsv"),
        ("a\tb\n1\t2.5\n3\t4\n", "T.TSV"),
        ("\ufeffa,b\r\n1,2.5\r\n3,4", "t.csv"),
        (' a , "b"\n\n 1 , 2.5\n"3", "4" \n\n\n', "t.csv"),
    ],
)
def test_separators_quotes_blank_lines_and_byte_order_marks(tmp_path, text, name):
    assert columns(written(tmp_path, text, name)) == {"a": [1, 3], "b": [2.5, 4.0]}


def test_integers_floats_and_text_keep_their_kind(tmp_path):
    text = "i,f,gap,big,label,under\n1,1.0,1,99999999999999999999,u,1_0\n2,2e0,,1,v,2\n"
    table = open_table(written(tmp_path, text))
    found = table.columns(table.names)
    assert [column.dtype.kind for column in found.values()] == ["i", "f", "f", "f", "O", "O"]
    assert found["big"][0] == 1e20
    assert found["under"].tolist() == ["1_0", "2"]
    assert [holds_text(column) for column in found.values()] == [False] * 4 + [True] * 2


@pytest.mark.parametrize("cell", ["", "NA", "N/A", "nan", "NaN", "null", "NULL", "None", "<NA>"])
def test_missing_cells_of_numbers_and_text(tmp_path, cell):
    found = columns(written(tmp_path, f"a,b\n1,u\n{cell},{cell}\n"))
    assert np.isnan(found["a"][1])
    assert found["b"] == ["u", None]


def test_a_blank_line_in_a_single_column_is_a_missing_cell_but_not_at_the_end(tmp_path):
    found = columns(written(tmp_path, "a\n1\n\n3\n\n\n"))["a"]
    assert found[0] == 1.0
    assert np.isnan(found[1])
    assert found[2:] == [3.0]


def test_values_are_those_of_pandas(tmp_path):
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    values = rng.standard_normal((500, 3)) * 10.0 ** rng.integers(-300, 300, (500, 3))
    frame = pandas.DataFrame(values, columns=list("abc")).mask(rng.random((500, 3)) < 0.1)
    frame["label"] = rng.choice(["u, v", 'say "w"', "ü"], 500)
    path = tmp_path / "table.csv"
    frame.to_csv(path, index=False)
    table = open_table(path)
    found = table.columns(table.names)
    assert list(found) == list(frame.columns)
    np.testing.assert_array_equal(stacked([found[name] for name in "abc"]), frame[list("abc")])
    assert found["label"].tolist() == frame["label"].tolist()


def test_a_first_row_of_numbers_must_be_declared(tmp_path):
    path = written(tmp_path, "1.5,2\n3,4\n")
    with pytest.raises(ValueError, match=r"got the numbers 1\.5, 2\. Pass --no-header"):
        open_table(path)
    assert columns(path, header=False) == {"0": [1.5, 3.0], "1": [2, 4]}
    assert columns(path, header=True) == {"1.5": [3], "2": [4]}


def test_a_nameless_column_gets_the_name_pandas_gives_it(tmp_path):
    assert list(columns(written(tmp_path, ",b\n0,1\n"))) == ["Unnamed: 0", "b"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "got the empty file"),
        ("\n\n", "got only blank lines"),
        ("a,b\n", "got only a header"),
        ("a,b\n1,2\n3\n", r"rows of 2 cells like its first, got 1 in row 3"),
        ("a,b\n1,2,3\n", r"got 3 in row 2"),
        ("a,a\n1,2\n", "must have different column names, got 'a' twice"),
    ],
)
def test_bad_text_is_named(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        columns(written(tmp_path, text))


@pytest.mark.parametrize("content", [b"a,b\n\xff\xfe,1\n", "a,b\n1,2\n".encode("utf-16")])
def test_other_encodings_are_named(tmp_path, content):
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"must be UTF-8 text.*Save it as UTF-8"):
        columns(path)


def test_only_the_columns_asked_for_are_kept(tmp_path):
    table = open_table(written(tmp_path, "a,b,c\n1,x,2\n3,y,4\n"))
    assert list(table.columns(["c", "a"])) == ["c", "a"]
    assert table.columns(["c"])["c"].tolist() == [2, 4]


# ------------------------------------------------------------------------------- other formats


def test_npy_names_columns_by_position(tmp_path):
    np.save(tmp_path / "two.npy", np.arange(6.0).reshape(3, 2))
    np.save(tmp_path / "one.npy", np.arange(3))
    assert columns(tmp_path / "two.npy") == {"0": [0.0, 2.0, 4.0], "1": [1.0, 3.0, 5.0]}
    assert columns(tmp_path / "one.npy") == {"0": [0, 1, 2]}


def test_npz_names_columns_by_array(tmp_path):
    np.savez(tmp_path / "t.npz", x=np.arange(6.0).reshape(3, 2), y=np.array(["u", "v", "u"]))
    found = columns(tmp_path / "t.npz")
    assert found == {"x.0": [0.0, 2.0, 4.0], "x.1": [1.0, 3.0, 5.0], "y": ["u", "v", "u"]}


def test_parquet_keeps_numbers_text_and_missing_values(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    data = {
        "i": [1, 2, 3],
        "gap": [1, None, 3],
        "a.b": ["u", None, "v"],
        "flag": [True, None, False],
        "kind": pyarrow.array(["p", "q", "p"]).dictionary_encode(),
        "price": [Decimal("1.5"), None, Decimal(3)],
    }
    parquet.write_table(pyarrow.table(data), tmp_path / "t.parquet")
    table = open_table(tmp_path / "t.parquet")
    found = table.columns(table.names)
    assert {name: column.dtype.kind for name, column in found.items()} == {
        "i": "i",
        "gap": "f",
        "a.b": "O",
        "flag": "f",
        "kind": "O",
        "price": "f",
    }
    assert found["a.b"].tolist() == ["u", None, "v"]
    assert np.isnan(found["flag"][1])


def test_parquet_without_pyarrow_says_what_to_install(tmp_path, monkeypatch):
    real_import = builtins.__import__

    def without_pyarrow(name, *rest):
        if name.split(".")[0] == "pyarrow":
            raise ImportError(name)
        return real_import(name, *rest)

    for name in [name for name in sys.modules if name.split(".")[0] == "pyarrow"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without_pyarrow)
    path = written(tmp_path, "PAR1", "t.parquet")
    with pytest.raises(ModuleNotFoundError, match=r"pip install infoest\[parquet\]"):
        open_table(path)


@pytest.mark.parametrize("name", ["t.npy", "t.npz", "t.parquet"])
def test_garbage_in_a_binary_format_is_named(tmp_path, name):
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    with pytest.raises(ValueError, match="FILE must be a readable"):
        open_table(written(tmp_path, "no such thing", name))


def test_arrays_that_are_no_table_are_named(tmp_path):
    np.save(tmp_path / "deep.npy", np.zeros((2, 2, 2)))
    np.save(tmp_path / "empty.npy", np.zeros((0, 2)))
    np.save(tmp_path / "point.npy", np.float64(1.0))
    np.save(tmp_path / "object.npy", np.array([{}, {}]), allow_pickle=True)
    np.savez(tmp_path / "uneven.npz", a=np.zeros(3), b=np.zeros(4))
    for name, message in [
        ("deep.npy", r"got shape \(2, 2, 2\)"),
        ("point.npy", r"got shape \(\)"),
        ("object.npy", "must be a readable .npy file of numbers or text"),
        ("empty.npy", r"got shape \(0, 2\)"),
        ("uneven.npz", "got a: 3, b: 4"),
    ]:
        with pytest.raises(ValueError, match=message):
            open_table(tmp_path / name)


# --------------------------------------------------------------------------------------- paths


def test_a_missing_file_suggests_the_closest(tmp_path):
    written(tmp_path, "a\n1\n", "data.csv")
    with pytest.raises(ValueError, match=r"FILE must exist, .* Did you mean '.*data\.csv'\?"):
        open_table(tmp_path / "dta.csv")
    with pytest.raises(ValueError, match="Check the path"):
        open_table(tmp_path / "nothing_like_it.tsv")
    with pytest.raises(ValueError, match="There is no folder"):
        open_table(tmp_path / "nowhere" / "data.csv")


def test_folders_and_unknown_suffixes_are_named(tmp_path):
    with pytest.raises(ValueError, match="must be a file, got the folder"):
        open_table(tmp_path)
    with pytest.raises(ValueError, match=r"must end in one of \['\.csv', .*got 'table\.xlsx'"):
        open_table(written(tmp_path, "a\n1\n", "table.xlsx"))


def test_header_options_belong_to_text(tmp_path):
    np.save(tmp_path / "t.npy", np.zeros(3))
    with pytest.raises(ValueError, match=r"must be left out for \.npy files"):
        open_table(tmp_path / "t.npy", header=False)


# ------------------------------------------------------------------------------------ patterns


@pytest.mark.parametrize(
    ("patterns", "chosen"),
    [
        (["petal*"], ["petal_length", "petal_width"]),
        (["petal_width,petal_length"], ["petal_width", "petal_length"]),
        (["petal_width", "petal*"], ["petal_width", "petal_length"]),
        (["*_width, sepal*"], ["sepal_width", "petal_width", "sepal_length"]),
        (["a,b"], ["a,b"]),
        (['"a,b",petal_width'], ["a,b", "petal_width"]),
        (["width [cm]"], ["width [cm]"]),
        (["?epal_length"], ["sepal_length"]),
    ],
)
def test_names_and_patterns_choose_columns(patterns, chosen):
    assert choose(NAMES, patterns, "-x") == chosen


def test_an_exact_name_is_not_a_pattern():
    assert choose(["a*", "ab"], ["a*"], "-x") == ["a*"]


def test_a_pattern_without_match_lists_the_closest_columns_first():
    with pytest.raises(ValueError, match=r"-y must name columns of the file, got 'petal_lenght'"):
        choose(NAMES, ["petal_lenght"], "-y")
    with pytest.raises(ValueError, match=r"Columns: petal_length, sepal_length, "):
        choose(NAMES, ["petal_lenght"], "-y")
    with pytest.raises(ValueError, match="-x must name at least one column"):
        choose(NAMES, [" , "], "-x")


def test_a_long_list_of_columns_is_cut():
    names = [f"column{i}" for i in range(1000)]
    with pytest.raises(ValueError, match=r"\.\.\. \(980 more\)") as caught:
        choose(names, ["nothing"], "-x")
    assert len(str(caught.value)) < 500


def test_numbers_stay_numbers_unless_text_stands_beside_them():
    numbers, text = np.array([1, 2]), np.array(["u", None], dtype=object)
    assert stacked([numbers, numbers]).dtype.kind == "i"
    assert stacked([numbers, text]).tolist() == [[1, "u"], [2, None]]
