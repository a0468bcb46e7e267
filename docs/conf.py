"""Sphinx settings. Build: ``sphinx-build -W --keep-going -b html docs docs/_build/html``."""

import inspect
import re
from importlib import import_module

import infoest

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
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_signature": False,
    "min_reported_time": 5,
}


def escape_bars(app, what, name, thing, options, lines):
    """Let ``|x|`` in a docstring be an absolute value, not a substitution."""
    code = False
    for i, line in enumerate(lines):
        code = line.strip() == "Example:" or (code and (not line or line.startswith(" ")))
        if not code:
            parts = re.split(r"(``.*?``)", line)
            lines[i] = "".join(p if p.startswith("``") else p.replace("|", r"\|") for p in parts)


def skip_tuple_fields(app, what, name, thing, skip, options):
    """Leave out "Alias for field number 0"."""
    return True if type(thing).__name__ == "_tuplegetter" else None


def setup(app):
    app.connect("autodoc-process-docstring", escape_bars, priority=100)
    app.connect("autodoc-skip-member", skip_tuple_fields)
