"""Sphinx settings. Build: ``sphinx-build -W --keep-going -b html docs docs/_build/html``."""

import csv
import inspect
import re
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import infoest

HERE = Path(__file__).parent
BENCHMARKS = HERE.parent / "benchmarks"

PACKAGES = ("infoest", "infoest.functional", "infoest.datasets", "infoest.kernels")
PACKAGES += ("infoest.benchmarking",)


def sections(name):
    """Return the public names of a package by the heading they stand under."""
    package = import_module(name)
    found = {}
    for member in package.__all__:
        thing = getattr(package, member)
        if inspect.ismodule(thing):
            continue
        kind = getattr(thing, "kind", None)
        if inspect.isclass(thing):
            title = f"Estimators of {kind.replace('_', ' ')}" if kind else "Classes"
        else:
            title = "Functions" if inspect.isroutine(thing) else "Data"
        found.setdefault(title, []).append(member)
    order = ["Functions", *sorted(set(found) - {"Functions", "Classes", "Data"}, reverse=True)]
    return {title: found[title] for title in [*order, "Classes", "Data"] if title in found}


def rows(name):
    """Return the rows of a committed table, without the comments."""
    path = BENCHMARKS / "results" / name
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(line for line in stream if not line.startswith("#")))


def markdown(header, lines):
    """Return a Markdown table."""
    cells = [header, ["---"] * len(header), *lines]
    return "\n".join("| " + " | ".join(line) + " |" for line in cells) + "\n"


def accuracy():
    """Return picture and table of benchmarks/accuracy.py."""
    parts = []
    if (HERE / "_static" / "accuracy.png").exists():
        parts.append("![Mean error against time for every method](/_static/accuracy.png)\n")
    titles = {"all": "All tasks", "one column a side": "Tasks with one column a side"}
    header = ["method", "n", "mean error", "worst", "on task", "within .1", "covered", "s a call"]
    keys = ["mean_absolute_error", "worst_error", "worst_task", "share_within", "coverage"]
    keys.append("mean_seconds")
    for tasks, title in titles.items():
        chosen = [one for one in rows("accuracy_summary.csv") if one["tasks"] == tasks]
        chosen.sort(key=lambda one: (int(one["n"]), float(one["mean_absolute_error"] or "inf")))
        lines = [
            [f"`{one['method']}`", one["n"], *(short(one[key]) for key in keys)] for one in chosen
        ]
        if lines:
            parts.append(f"**{title}**\n\n{markdown(header, lines)}")
    return "\n".join(parts)


def short(text):
    """Return a number with three digits; other text as it is."""
    try:
        return f"{float(text):.3g}"
    except ValueError:
        return text


def coverage():
    """Return the table of benchmarks/coverage.py."""
    if not rows("coverage.csv"):
        return ""
    command = [sys.executable, str(BENCHMARKS / "coverage.py"), "--table"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def speed():
    """Return the table of benchmarks/speed.py."""
    header = ["work", "ours", "peer", "unit", "ratio", "peer is", "promised", "note"]
    return markdown(header, [list(one.values()) for one in rows("speed.csv")])


def write_fragments():
    """Write what pages include of the committed results, or that there is none yet."""
    folder = HERE / "_build" / "fragments"
    folder.mkdir(parents=True, exist_ok=True)
    for make, name in ((accuracy, "accuracy"), (coverage, "coverage"), (speed, "speed")):
        text = make() if rows(f"{name}.csv") or rows(f"{name}_summary.csv") else ""
        (folder / f"{name}.md").write_text(text or "Not measured yet.\n", encoding="utf-8")


def copy_examples():
    """Copy the examples without the README of their data, which is no page of the gallery."""
    copy = HERE / "_build" / "examples"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(HERE.parent / "examples", copy, ignore=shutil.ignore_patterns("README.md"))


write_fragments()
copy_examples()

project = "infoest"
author = "The infoest developers"
copyright = author
version = release = infoest.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "_templates"]
default_role = "py:obj"

html_theme = "furo"
html_title = f"infoest {version}"
html_static_path = ["_static"]
html_css_files = ["tables.css"]
html_show_sourcelink = False

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

autosummary_generate = True
# The packages load lazily: what is public stands in ``__all__`` and is imported.
autosummary_ignore_module_all = False
autosummary_imported_members = True
autosummary_context = {"sections": {name: sections(name) for name in PACKAGES}}
autodoc_typehints = "none"
autodoc_member_order = "bysource"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
# Fields of named tuples stand in their docstring once, not also as members.
napoleon_use_ivar = True

sphinx_gallery_conf = {
    "examples_dirs": "_build/examples",
    "gallery_dirs": "gallery",
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_signature": False,
    "min_reported_time": 5,
    "remove_config_comments": True,
}


def as_written(app, what, name, thing, options, lines):
    """Keep what docstrings mean to a reader: ``|x|`` is no markup, references have lines."""
    section = ""
    for i, line in enumerate(lines):
        if line and not line.startswith(" "):
            section = line
        if section == "Example:":
            continue
        parts = re.split(r"(``.*?``)", line)
        lines[i] = "".join(p if p.startswith("``") else p.replace("|", r"\|") for p in parts)
        if section == "References:" and line.startswith(" "):
            lines[i] = f"    | {lines[i].strip()}"


def skip_tuple_fields(app, what, name, thing, skip, options):
    """Leave out "Alias for field number 0"."""
    return True if type(thing).__name__ == "_tuplegetter" else None


def setup(app):
    app.connect("autodoc-process-docstring", as_written, priority=100)
    app.connect("autodoc-skip-member", skip_tuple_fields)
