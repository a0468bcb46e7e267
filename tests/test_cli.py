"""The command line: what it prints, what it refuses and how, and what it costs."""

import json
import os
import pty
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

import infoest
from infoest import cli
from infoest._display import in_words_of_the_command_line
from infoest.result import Caution, Estimate

ROOT = Path(__file__).parents[1]
IRIS = str(ROOT / "examples" / "data" / "iris.csv")


@pytest.fixture
def run(capsys):
    """Return a function that runs the command line in this process: status, output, errors."""
    state = random.getstate()

    def call(*words: str) -> tuple[int, str, str]:
        status = cli.main(list(words))
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    yield call
    # rich draws the identities of its styles from Python's generator when it formats help.
    random.setstate(state)


@pytest.fixture
def refused(run):
    """Return a function that checks that a call is refused properly and returns its one line."""

    def call(*words: str) -> str:
        status, out, err = run(*words)
        assert status == 2
        assert out == ""
        assert err.startswith("error: ")
        assert err.endswith("\n")
        assert err.count("\n") == 1
        assert "Traceback" not in err
        return err

    return call


def process(*words: str, **options) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **options.pop("env", {})}
    return subprocess.run(
        [sys.executable, *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment,
        **options,
    )


def facts(text: str) -> dict[str, str]:
    """Return the lines of a plain table of facts."""
    pairs = (re.split(r"\s{3,}", line, maxsplit=1) for line in text.splitlines())
    return dict(pairs)


def table_of(folder: Path, **columns) -> str:
    path = folder / "table.csv"
    rows = zip(*columns.values(), strict=True)
    lines = [",".join(columns), *(",".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


@pytest.fixture
def numbers(tmp_path) -> str:
    rng = np.random.default_rng(0)
    x = rng.standard_normal(60)
    return table_of(
        tmp_path,
        x=x,
        y=x + rng.standard_normal(60),
        gap=["" if i % 7 == 0 else value for i, value in enumerate(rng.standard_normal(60))],
        word=rng.choice(["u", "v"], 60),
        same=[1.5] * 60,
    )


# -------------------------------------------------------------------------------------- estimate


def test_estimate_prints_value_interval_p_value_method_and_warnings_in_words(run):
    status, out, err = run(
        "estimate", IRIS, "-x", "sepal*", "-y", "petal*", "--method", "ksg", "--permutations", "20"
    )
    found = facts(out)
    expected = infoest.estimate(*iris(), method="ksg", n_permutations=20)
    assert (status, err) == (0, "")
    assert float(found["mutual information"].removesuffix(" nats")) == pytest.approx(
        expected.value, abs=1e-3
    )
    low, high = found["95 % interval"].split(" to ")
    assert float(low) == pytest.approx(expected.interval[0], abs=1e-3)
    assert float(high) == pytest.approx(expected.interval[1], abs=1e-3)
    assert float(found["p-value"]) == pytest.approx(expected.p_value, rel=0.05)
    assert found["n"] == "150"
    assert found["method"] == "ksg"
    assert found["x"] == "sepal_length, sepal_width"
    assert found["y"] == "petal_length, petal_width"
    for caution in expected.warnings:
        assert f"[{caution.code}]" in out
    assert "\x1b" not in out


def iris() -> tuple[np.ndarray, np.ndarray]:
    values = np.loadtxt(IRIS, delimiter=",", skiprows=1, usecols=range(4))
    return values[:, :2], values[:, 2:]


def test_json_is_one_object_with_the_fields_of_the_estimate(run):
    status, out, err = run(
        "estimate", IRIS, "-x", "sepal*", "-y", "petal*", "--method", "gaussian", "--json"
    )
    assert (status, err) == (0, "")
    assert json.loads(out) == infoest.estimate(*iris(), method="gaussian").to_dict()


def test_json_holds_no_number_that_json_does_not_know(run, monkeypatch):
    estimate = Estimate(
        value=1.0,
        unit="nats",
        quantity="entropy",
        n_samples=9,
        method="m",
        interval=(0.0, float("inf")),
        info={"a": [float("nan"), 1], "b": (2.0,)},
    )
    monkeypatch.setattr(infoest, "entropy", lambda *_, **__: estimate, raising=False)
    status, out, _ = run("entropy", IRIS, "-x", "sepal*", "--json")

    def unknown(name):
        raise AssertionError(name)

    found = json.loads(out, parse_constant=unknown)
    assert status == 0
    assert found["interval"] == [0.0, None]
    assert found["info"] == {"a": [None, 1], "b": [2.0]}


def test_bits(run):
    words = ("estimate", IRIS, "-x", "sepal*", "-y", "petal*", "--method", "gaussian")
    nats = json.loads(run(*words, "--json")[1])
    bits = json.loads(run(*words, "--json", "--bits")[1])
    assert bits["unit"] == "bits"
    assert bits["value"] == pytest.approx(nats["value"] / np.log(2))
    assert facts(run(*words, "--bits")[1])["mutual information"].endswith(" bits")


def test_every_option_reaches_the_library(run, numbers, monkeypatch):
    seen = {}

    def fake(x, y, **options):
        seen.update(x=x, y=y, **options)
        return Estimate(1.0, "nats", "mutual_information", 5, "fake")

    monkeypatch.setattr(infoest, "estimate", fake, raising=False)
    words = "-x x -x gap -y word -z y --discrete y --method ksg --permutations 7 --confidence 0.9"
    words += " --missing drop --seed 3 --block 1"
    status, out, err = run("estimate", numbers, *words.split())
    assert (status, err) == (0, "")
    assert seen.pop("x").shape == (60, 2)
    assert set(seen.pop("y").ravel()) == {"u", "v"}
    assert seen.pop("z").shape == (60, 1)
    assert seen == {
        "method": "ksg",
        "discrete": "y",
        "missing": "drop",
        "confidence": 0.9,
        "n_permutations": 7,
        "block": 1,
        "random_state": 3,
    }
    assert facts(out)["interval"] == "none"
    assert facts(out)["p-value"].startswith("none")


def test_integers_stay_integers(run, tmp_path, monkeypatch):
    path = table_of(tmp_path, a=range(9), b=range(9, 18))
    kinds = []
    monkeypatch.setattr(
        infoest,
        "estimate",
        lambda x, y, **_: (
            kinds.append(x.dtype.kind) or Estimate(1.0, "nats", "mutual_information", 5, "fake")
        ),
        raising=False,
    )
    run("estimate", path, "-x", "a", "-y", "b")
    assert kinds == ["i"]


def test_text_is_used_as_labels_where_the_side_is_named(run):
    words = ("estimate", IRIS, "-x", "species", "-y", "petal_length", "--discrete", "x")
    status, out, _ = run(*words)
    assert status == 0
    assert facts(out)["method"] == "mixed_ksg"
    assert "because" in facts(out)


def test_missing_rows_are_dropped_on_request(run, numbers):
    words = ("estimate", numbers, "-x", "x", "-y", "gap", "--method", "gaussian")
    status, out, _ = run(*words, "--missing", "drop")
    assert status == 0
    assert facts(out)["n"] == "51"
    assert "[rows_dropped]" in out


@pytest.mark.parametrize("kind", ["tsv", "npy", "npz", "parquet"])
def test_every_format_gives_the_same_value(run, tmp_path, kind):
    x, y = iris()
    path = tmp_path / f"t.{kind}"
    names = ("a", "b")
    if kind == "tsv":
        np.savetxt(path, np.c_[x[:, 0], y[:, 0]], delimiter="\t", header="a\tb", comments="")
    elif kind == "npy":
        np.save(path, np.c_[x[:, 0], y[:, 0]])
        names = ("0", "1")
    elif kind == "npz":
        np.savez(path, a=x[:, 0], b=y[:, 0])
    else:
        pyarrow = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        parquet.write_table(pyarrow.table({"a": x[:, 0], "b": y[:, 0]}), path)
    status, out, err = run(
        "estimate", str(path), "-x", names[0], "-y", names[1], "--method", "gaussian", "--json"
    )
    assert (status, err) == (0, "")
    assert json.loads(out)["value"] == infoest.estimate(x[:, 0], y[:, 0], "gaussian").value


# ------------------------------------------------------------------------------ other commands


def test_entropy_of_numbers_and_of_labels(run):
    status, out, _ = run("entropy", IRIS, "-x", "sepal*")
    assert status == 0
    assert facts(out)["method"] == "kozachenko_leonenko"
    assert "p-value" not in facts(out)
    status, out, _ = run("entropy", IRIS, "-x", "species", "--discrete", "x", "--bits", "--json")
    assert status == 0
    assert json.loads(out)["value"] == pytest.approx(np.log2(3), abs=0.02)


def test_methods_lists_every_method_with_kind_and_help(run):
    status, out, _ = run("methods")
    lines = out.splitlines()
    assert status == 0
    assert len(lines) == len(infoest.METHODS) + 1
    for line, name in zip(lines[1:], infoest.METHODS, strict=True):
        entry = infoest.METHODS.entry(name)
        assert line.startswith(f"{name} ")
        assert entry.kind.replace("_", " ") in line
        assert line.endswith(entry.help)


@pytest.mark.parametrize("suffix", ["csv", "html", "png"])
def test_matrix_writes_values_page_and_picture(run, tmp_path, suffix):
    output = tmp_path / f"mi.{suffix}"
    status, out, err = run(
        "matrix", IRIS, "-o", str(output), "--method", "gaussian", "-c", "petal*,sepal_length"
    )
    assert (status, err) == (0, "")
    assert facts(out)["columns"] == "petal_length, petal_width, sepal_length"
    content = output.read_bytes()
    if suffix == "csv":
        assert content.splitlines()[0] == b",petal_length,petal_width,sepal_length"
    elif suffix == "html":
        assert b"petal_length" in content
    else:
        assert content.startswith(b"\x89PNG")


def test_matrix_uses_text_as_labels_and_says_so(run, tmp_path):
    status, out, err = run("matrix", IRIS, "-o", str(tmp_path / "mi.csv"), "--jobs", "1")
    assert (status, err) == (0, "")
    assert facts(out)["used as labels"] == "species"
    assert facts(out)["n"] == "150"


def test_matrix_drops_incomplete_rows_on_request(run, numbers, tmp_path):
    words = ("matrix", numbers, "-o", str(tmp_path / "mi.csv"), "-c", "x,y,gap", "--jobs", "1")
    words += ("--method", "gaussian")
    status, out, _ = run(*words, "--missing", "drop")
    assert status == 0
    assert facts(out)["n"] == "51"


def test_benchmark_sums_up_by_method_and_writes_every_row(run, tmp_path):
    output = tmp_path / "rows.csv"
    words = "benchmark --suite mixtures --method gaussian --method gaussian_copula -n 50 -n 60 -o"
    status, out, err = run(*words.split(), str(output))
    lines = [re.split(r"\s{2,}", line) for line in out.splitlines()]
    assert (status, err) == (0, "")
    assert lines[0][:4] == ["method", "n", "done", "refused"]
    assert [line[:4] for line in lines[1:5]] == [
        ["gaussian", "50", "10", "0"],
        ["gaussian_copula", "50", "10", "0"],
        ["gaussian", "60", "10", "0"],
        ["gaussian_copula", "60", "10", "0"],
    ]
    written = output.read_text().splitlines()
    assert written[0].startswith("task,method,n,seed,mi,value,error,")
    assert len(written) == 41


def test_benchmark_runs_the_quick_methods_by_default(run, monkeypatch):
    asked = {}
    monkeypatch.setattr(
        infoest.benchmarking, "run", lambda tasks, **options: asked.update(options) or []
    )
    status, _, err = run("benchmark", "--seeds", "2", "--jobs", "2")
    assert (status, err) == (0, "")
    assert asked["methods"] == infoest.METHODS.quick_names("mutual_information")
    assert (asked["n"], asked["seeds"], asked["n_jobs"]) == ([1000], 2, 2)


def test_version_and_help(run):
    assert run("--version") == (0, f"infoest {infoest.__version__}\n", "")
    assert run()[1] == run("--help")[1]
    assert run()[0] == 0


def test_help_documents_every_option_and_command(run):
    status, out, _ = run("--help")
    assert status == 0
    for command in ("estimate", "entropy", "matrix", "benchmark", "methods"):
        assert command in out
    expected = {
        "estimate": "-x -y -z --discrete --method --permutations --confidence --block --missing "
        "--bits --json --no-header --seed",
        "entropy": "-x --discrete --method --confidence --missing --bits --json --seed",
        "matrix": "-o -c --discrete --method --permutations --missing --jobs --seed",
        "benchmark": "--suite --method -n --seeds -o",
    }
    root = typer.main.get_command(cli.app)
    for command, options in expected.items():
        status, out, _ = run(command, "--help")
        assert status == 0
        for option in options.split():
            assert option in out
        assert all(
            getattr(parameter, "help", None) for parameter in root.commands[command].params
        ), f"an option of {command} has no help"


def test_typer_own_runner_can_run_the_app():
    result = CliRunner().invoke(cli.app, ["methods"])
    assert result.exit_code == 0
    assert "ksg" in result.stdout


# ------------------------------------------------------------------------------------ bad input


ESTIMATE = ("estimate", IRIS, "-x", "sepal*", "-y", "petal*")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("estimat",), "No such command 'estimat'. Did you mean 'estimate'?"),
        (("estimate",), "Missing argument 'FILE'. Run `infoest estimate --help`."),
        (("estimate", IRIS), "Missing option '-x'"),
        (("estimate", IRIS, "-x", "sepal*"), "Missing option '-y'"),
        (("matrix", IRIS), "Missing option '-o'"),
        ((*ESTIMATE, "--methd", "ksg"), "No such option: --methd"),
        ((*ESTIMATE, "more"), "unexpected extra argument"),
        ((*ESTIMATE, "--permutations", "many"), "Invalid value for '--permutations'"),
        ((*ESTIMATE, "--permutations", "-1"), "--permutations must be an integer of at least 0"),
        ((*ESTIMATE, "--confidence", "95"), "--confidence must be in (0, 1), got 95"),
        ((*ESTIMATE, "--confidence", "nan"), "--confidence must be"),
        ((*ESTIMATE, "--block", "7"), "--block must be in [1, 1], got 7"),
        ((*ESTIMATE, "--missing", "skip"), "Invalid value for '--missing'"),
        ((*ESTIMATE, "--discrete", "z"), "Invalid value for '--discrete'"),
        ((*ESTIMATE, "--method", "kgs"), "--method must be one of ['auto', "),
        ((*ESTIMATE, "--method", "kde_entropy"), "--method must be one of ['auto', "),
        ((*ESTIMATE, "--seed", "-1"), "--seed must"),
        (("entropy", IRIS, "-x", "sepal*", "--method", "ksg"), "--method must be one of ['diff"),
        (("estimate", "no.csv", "-x", "a", "-y", "b"), "FILE must exist, got 'no.csv'"),
        (("estimate", str(ROOT), "-x", "a", "-y", "b"), "must be a file, got the folder"),
        (("estimate", __file__, "-x", "a", "-y", "b"), "FILE must end in one of ['.csv'"),
        (
            ("estimate", IRIS, "-x", "sepal_lenght", "-y", "petal*"),
            "-x must name columns of the file, got 'sepal_lenght'. Columns: sepal_length, ",
        ),
        (
            ("estimate", IRIS, "-x", "*", "-y", "petal*"),
            "-x and -y must name different columns, got 'petal_length' in both",
        ),
        (
            (*ESTIMATE, "-z", "petal_width"),
            "-y and -z must name different columns, got 'petal_width' in both",
        ),
        (
            ("estimate", IRIS, "-x", "species", "-y", "petal*"),
            "-x must be numeric, got 'versicolor' in column 'species'. Pass --discrete x if",
        ),
        (
            ("estimate", IRIS, "-x", "sepal_width", "-y", "species", "--discrete", "x"),
            "Pass --discrete both if",
        ),
        ((*ESTIMATE, "-z", "species"), "-z must be numeric, got 'versicolor'"),
        ((*ESTIMATE, "-z", "species", "--discrete", "both"), "-z must be numeric"),
        (
            (*ESTIMATE, "--method", "mixed_ksg", "--discrete", "both"),
            "--discrete must be left out or one side for mixed_ksg",
        ),
        (("matrix", IRIS, "-o", "mi.pdf"), "-o must end in one of ['.csv', '.html', '.png']"),
        (("matrix", IRIS, "-o", "no/where/mi.png"), "-o must stand in an existing folder"),
        (("matrix", IRIS, "-o", "mi.png", "-c", "q*"), "--columns must name columns of the file"),
        (("matrix", IRIS, "-o", "mi.png", "--discrete", "q"), "--discrete must name columns"),
        (("benchmark", "-o", "rows.json"), "-o must end in one of ['.csv']"),
        (("benchmark", "-n", "few"), "Invalid value for '-n'"),
        (("benchmark", "--suite", "cor"), "--suite must be one of"),
        (("benchmark", "--method", "kgs", "-n", "50"), "--method must be one of ['auto'"),
        (("benchmark", "--method", "ksg", "--method", "ksg"), "--method must be different"),
        (("benchmark", "--method", "ksg", "-n", "2"), "-n must be an integer of at least 5"),
        (("benchmark", "--method", "ksg", "--seeds", "0"), "--seeds must be"),
    ],
)
def test_bad_words_get_one_line(refused, words, message):
    assert message in refused(*words)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            "-x x -y gap",
            "-y must be finite, got 9 NaN or infinite entries. Drop those rows (--missing drop",
        ),
        ("-x x,same -y y", "-x must vary in every column, got the constant 'same'"),
    ],
)
def test_bad_data_gets_one_line_in_the_words_of_the_command_line(
    refused, numbers, columns, message
):
    assert message in refused("estimate", numbers, *columns.split())


def test_decimal_commas_are_recognized(refused, tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("a;b\n1,5;2\n2,5;3\n", encoding="utf-8")
    message = refused("estimate", str(path), "-x", "a", "-y", "b")
    assert "got '1,5' in column 'a'. Write decimal points" in message


def test_too_few_rows(refused, tmp_path):
    path = table_of(tmp_path, a=[1.0, 2.0, 3.0], b=[1.0, 2.0, 4.0])
    assert "at least 5 complete rows, got 3" in refused("estimate", path, "-x", "a", "-y", "b")


def test_column_names_of_several_lines_stay_one_line(refused, tmp_path):
    path = tmp_path / "table.csv"
    path.write_text('"a\nb",c\n1,2\n', encoding="utf-8")
    assert "'c'" not in refused("estimate", str(path), "-x", "q", "-y", "c")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (PermissionError(13, "Permission denied", "t.csv"), "t.csv cannot be used: Permission"),
        (OSError(28, "No space left on device", "mi.png"), "mi.png cannot be used: No space"),
        (OSError(28, "No space left on device"), "the output cannot be used: No space"),
        (MemoryError(), "the data must fit into memory"),
        (ModuleNotFoundError("method 'm' needs p: pip install p."), "pip install p."),
        (ValueError("k must be in [1, 4], got 5.\nTwo lines."), "got 5. Two lines."),
    ],
)
def test_errors_of_the_library_and_the_system_get_one_line(refused, monkeypatch, error, message):
    def failing(*_, **__):
        raise error

    monkeypatch.setattr(infoest, "estimate", failing, raising=False)
    assert message in refused(*ESTIMATE)


def test_a_defect_is_not_passed_off_as_bad_input(monkeypatch):
    def failing(*_, **__):
        raise KeyError("defect")

    monkeypatch.setattr(infoest, "estimate", failing, raising=False)
    with pytest.raises(KeyError, match="defect"):
        cli.main(list(ESTIMATE))


def test_nothing_is_computed_for_a_file_that_cannot_be_written(refused, monkeypatch):
    monkeypatch.setattr(infoest, "matrix", lambda *_, **__: pytest.fail("computed"), raising=False)
    refused("matrix", IRIS, "-o", "no/where/mi.png")


@pytest.mark.parametrize(
    ("sentence", "shown"),
    [
        ("z must be None for KDE, got 1.", "-z must be left out for kde, got 1."),
        ("Name the side: discrete='x'.", "Name the side: --discrete x."),
        ("Use discrete=, or MixedKSG.", "Use --discrete, or mixed_ksg."),
        ("shuffle them or pass block=1.", "shuffle them or pass --block 1."),
        ("n_permutations must be 0 with z.", "--permutations must be 0 with z."),
        ("A Gaussian copula, n=5 rows, x=y.", "A Gaussian copula, n=5 rows, x=y."),
    ],
)
def test_sentences_of_the_library_speak_of_options(sentence, shown):
    assert in_words_of_the_command_line(sentence) == shown


# ------------------------------------------------------------------------- as a process of its own


def test_the_estimate_path_imports_nothing_heavy():
    code = (
        "import sys; from infoest.cli import main\n"
        f"status = main({[*ESTIMATE, '--method', 'ksg']!r})\n"
        "heavy = 'torch sklearn pandas matplotlib plotly pykeops joblib rich scipy.stats'.split()\n"
        "print([name for name in heavy if name in sys.modules], file=sys.stderr)\n"
        "sys.exit(status)"
    )
    done = process("-c", code)
    assert done.returncode == 0
    assert done.stderr == "[]\n"


def test_a_module_run_refuses_bad_input_with_one_line_and_status_2():
    done = process("-m", "infoest", "estimate", IRIS, "-x", "nothing", "-y", "petal*")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: -x must name columns")
    assert done.stderr.count("\n") == 1


def test_a_narrow_terminal_does_not_wrap_the_error():
    done = process("-m", "infoest", "estimate", IRIS, "-x", "no", "-y", "no", env={"COLUMNS": "20"})
    assert done.stderr.count("\n") == 1


def test_a_reader_that_goes_away_is_not_complained_about():
    words = [sys.executable, "-m", "infoest", "methods"]
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        words,
        stdout=writer,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    os.close(writer)
    assert done.stderr == b""
    assert done.returncode == 1


def test_control_c_ends_with_one_line_and_status_130():
    code = (
        "import sys, time, infoest, infoest.cli\n"
        "def slow(*_, **__):\n"
        "    print('started', flush=True)\n"
        "    time.sleep(30)\n"
        "infoest.estimate = slow\n"
        f"sys.exit(infoest.cli.main({list(ESTIMATE)!r}))"
    )
    running = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert running.stdout.readline() == "started\n"
    time.sleep(0.1)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=30)
    assert running.returncode == 130
    assert err == "interrupted\n"


@pytest.mark.parametrize("seconds", [0.0, 1.5])
def test_a_spinner_turns_on_a_terminal_when_work_is_long(seconds):
    code = (
        "import sys, time, infoest, infoest.cli\n"
        "from infoest.result import Estimate\n"
        "def slow(*_, **__):\n"
        f"    time.sleep({seconds})\n"
        "    return Estimate(1.0, 'nats', 'mutual_information', 5, 'fake')\n"
        "infoest.estimate = slow\n"
        f"sys.exit(infoest.cli.main({list(ESTIMATE)!r}))"
    )
    main_end, terminal = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=terminal,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm"},
    )
    os.close(terminal)
    try:
        shown = os.read(main_end, 65536).decode()
    except OSError:  # nothing was written before the terminal closed
        shown = ""
    os.close(main_end)
    assert done.returncode == 0
    assert b"1.0000 nats" in done.stdout
    assert ("estimating" in shown) == (seconds > 1.0)


def test_a_terminal_gets_a_colored_table():
    main_end, terminal = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "infoest", "methods"],
        stdout=terminal,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color"},
    )
    os.close(terminal)
    shown = os.read(main_end, 65536).decode()
    os.close(main_end)
    assert (done.returncode, done.stderr) == (0, b"")
    assert "\x1b[" in shown
    assert "ksg" in shown


# ------------------------------------------------------------------------------------ completion


def completed(text: str) -> list[str]:
    environment = {
        "_INFOEST_COMPLETE": "complete_bash",
        "COMP_WORDS": text,
        "COMP_CWORD": str(len(text.split(" ")) - 1),
    }
    code = "import sys; from infoest.cli import main; sys.exit(main())"
    done = process("-c", code, env=environment)
    assert done.returncode == 0
    assert done.stderr == ""
    return done.stdout.split()


def test_the_shell_completes_commands_methods_and_columns():
    assert completed("infoest e") == ["estimate", "entropy"]
    assert completed(f"infoest estimate {IRIS} --method ks") == ["ksg"]
    assert completed(f"infoest entropy {IRIS} --method k") == ["kozachenko_leonenko", "kde_entropy"]
    assert completed(f"infoest estimate {IRIS} -x pet") == ["petal_length", "petal_width"]
    assert completed("infoest estimate no.csv -x pet") == []


def test_the_completion_script_can_be_shown():
    code = "import sys; from infoest.cli import main; sys.exit(main(['--show-completion', 'bash']))"
    done = process("-c", code, env={"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"})
    assert done.returncode == 0
    assert "_INFOEST_COMPLETE=complete_bash" in done.stdout
    assert done.stderr == ""


def test_a_warning_is_shown_as_a_sentence_with_its_code(run, monkeypatch):
    caution = Caution("ties_broken", "Equal values were spread; name the side: discrete='x'.")
    estimate = Estimate(
        1.0, "nats", "mutual_information", 5, "fake", warnings=(caution,), info={"reason": "so"}
    )
    monkeypatch.setattr(infoest, "estimate", lambda *_, **__: estimate, raising=False)
    _, out, _ = run(*ESTIMATE)
    assert facts(out)["because"] == "so"
    assert facts(out)["warning"] == (
        "Equal values were spread; name the side: --discrete x. [ties_broken]"
    )
