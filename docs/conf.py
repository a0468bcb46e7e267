"""Sphinx settings. Build: ``sphinx-build -W --keep-going -b html docs docs/_build/html``."""

import csv
import inspect
import math
import re
import shutil
import statistics
import subprocess
import sys
from collections import Counter, defaultdict
from importlib import import_module
from pathlib import Path

import infoest

HERE = Path(__file__).parent
BENCHMARKS = HERE.parent / "benchmarks"
TASKS = {"all": "All tasks", "one column a side": "Tasks with one column a side"}


def modules():
    """Return the modules that api.rst names, the public ones of the package at least."""
    named = re.findall(r"^ +(infoest[.\w]*)$", (HERE / "api.rst").read_text("utf-8"), re.MULTILINE)
    public = {
        f"infoest.{name}" for name in infoest.__all__ if inspect.ismodule(getattr(infoest, name))
    }
    if missing := public - set(named):
        raise ValueError(f"docs/api.rst must name {', '.join(sorted(missing))}.")
    return named


def public_names(module):
    """Return what a module lists as public, or what it defines."""
    if hasattr(module, "__all__"):
        return module.__all__
    own = (name for name, thing in vars(module).items() if inspect.getmodule(thing) is module)
    return sorted(name for name in own if not name.startswith("_"))


def sections(name):
    """Return the public names of a module by the heading they stand under."""
    module = import_module(name)
    found = {}
    for member in public_names(module):
        thing = getattr(module, member)
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
    header = ["method", "n", "mean error", "worst", "on task", "within .1", "covered", "s a call"]
    keys = ["mean_absolute_error", "worst_error", "worst_task", "share_within", "coverage"]
    keys.append("mean_seconds")
    for tasks, title in TASKS.items():
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


def variational():
    """Return the table of benchmarks/variational.py: methods without training beside critics."""
    groups = {
        "gaussian_copula": ["gaussian_copula"],
        "ksg": ["ksg"],
        "noise_contrastive": ["noise_contrastive"],
        "from a copula": ["noise_contrastive, student"],
    }
    ours, peers = rows("variational.csv"), rows("variational_peers.csv")
    for one in peers:
        one["method"] = f"{one['library']} {one['method']}"
    single = {name for names in groups.values() for name in names}
    groups["best of our others"] = sorted({one["method"] for one in ours} - single)
    groups["best of peers"] = sorted({one["method"] for one in peers})
    errors, seconds = defaultdict(lambda: defaultdict(list)), defaultdict(list)
    for one in [*ours, *peers]:
        law = (one["law"], one["d"], one["mi"])
        errors[law][one["method"]].append(abs(float(one["error"])))
        seconds[one["method"]].append(float(one["seconds"]))
    groups = {
        title: found
        for title, names in groups.items()
        if (found := [name for name in names if name in seconds])
    }
    lines, nearest = [], Counter()
    for (law, d, truth), of_law in errors.items():
        means = {name: statistics.fmean(values) for name, values in of_law.items()}
        best = [min(means.get(name, math.inf) for name in names) for names in groups.values()]
        cells = ["" if error == math.inf else f"{error:.3f}" for error in best]
        cells[best.index(min(best))] = f"**{min(best):.3f}**"
        lines.append([f"{law}, {d} + {d}", f"{float(truth):.2f}", *cells])
        nearest[min(means, key=means.get)] += float(truth) > 0.0
    times = [[one for name in names for one in seconds[name]] for names in groups.values()]
    medians = [f"{statistics.median(found):.3g}" for found in times]
    lines.append(["seconds, median", "", *medians])
    total = sum(float(truth) > 0.0 for _, _, truth in errors)
    said = ", ".join(f"`{name}` in {count}" for name, count in nearest.most_common() if count)
    table = markdown(["law, columns", "true", *groups], lines)
    return f"{table}\nNearest of all in the {total} laws with dependence: {said}.\n"


def untrained():
    """Return what benchmarks/accuracy.py says of methods without training, and of a critic."""
    methods = ("auto", "gaussian_copula", "ksg", "noise_contrastive")
    chosen = [
        one
        for one in rows("accuracy_summary.csv")
        if one["method"] in methods and one["n"] == "5000" and one["tasks"] in TASKS
    ]
    chosen.sort(key=lambda one: (one["tasks"] == "all", float(one["mean_absolute_error"])))
    keys = ["mean_absolute_error", "worst_error", "worst_task", "mean_seconds"]
    lines = [
        [f"{TASKS[one['tasks']]} ({one['n_tasks']})", f"`{one['method']}`"]
        + [short(one[key]) for key in keys]
        for one in chosen
    ]
    return markdown(["laws", "method", "mean error", "worst", "on task", "s a call"], lines)


def write_fragments():
    """Write what pages include of the committed results, or that there is none yet."""
    folder = HERE / "_build" / "fragments"
    folder.mkdir(parents=True, exist_ok=True)
    sources = {
        accuracy: "accuracy_summary",
        untrained: "accuracy_summary",
        variational: "variational",
        coverage: "coverage",
        speed: "speed",
    }
    for make, source in sources.items():
        name, text = make.__name__, make() if rows(f"{source}.csv") else ""
        (folder / f"{name}.md").write_text(text or "Not measured yet.\n", encoding="utf-8")


def copy_examples():
    """Copy the examples without the README of their data, which is no page of the gallery."""
    copy = HERE / "_build" / "examples"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(HERE.parent / "examples", copy, ignore=shutil.ignore_patterns("README.md"))
    for script in copy.glob("plot_[0-9]_*.py"):
        # The gallery sorts by name: 9 before 10.
        script.rename(script.with_name(script.name.replace("plot_", "plot_0", 1)))


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
autosummary_context = {"sections": {name: sections(name) for name in modules()}}
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
