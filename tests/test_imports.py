"""The house: floors, circles, names, and what a first import costs."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1] / "infoest"
# Floor of every room (first part of a module's name), as in DESIGN.md: imports only go down, and
# never sideways between two rooms of one floor but for those listed in TOGETHER.
FLOORS = {
    "_cautions": 1.0,
    "_validation": 1.1,
    "_random": 1.1,
    "_progress": 1.1,
    "result": 1.2,
    "critics": 1.2,
    "kernels": 2.0,
    "training": 2.0,
    "functional": 3.0,
    "transport": 3.5,
    "nn": 4.0,
    "datasets": 4.0,
    # What `infoest.matrix` returns: made by `estimators.pairwise`, it knows of no estimator.
    "information_matrix": 4.0,
    "estimators": 4.5,
    "losses": 4.5,
    "front": 5.0,
    "benchmarking": 5.0,
    "tracking": 5.0,
    "learning": 5.0,
    "analysis": 5.0,
    # What the command line is made of: reading tables, and writing to the terminal.
    "_tables": 5.5,
    "_display": 5.5,
    "cli": 6.0,
    "__main__": 7.0,
}
# The package itself lists its public names and re-exports them lazily.
PACKAGE = "__init__"
HEAVY = ["torch", "sklearn", "pandas", "pykeops", "matplotlib", "plotly", "scipy.stats", "joblib"]

MODULES = sorted(path for path in ROOT.rglob("*.py"))
STUBS = sorted(ROOT.rglob("__init__.pyi"))


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else PACKAGE


class _Imports(ast.NodeVisitor):
    """All imports of a module, those in functions too, without TYPE_CHECKING blocks."""

    def __init__(self, path: Path) -> None:
        self.module = _name(path)
        self.package = self.module if path.name == "__init__.py" else self.module.rpartition(".")[0]
        self.found: set[str] = set()
        self.at_top: set[str] = set()
        self.depth = 0
        self.visit(ast.parse(path.read_text(encoding="utf-8")))

    def visit_If(self, node: ast.If) -> None:
        if "TYPE_CHECKING" in ast.unparse(node.test):
            for child in node.orelse:
                self.visit(child)
        else:
            self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self.depth += 1
        self.generic_visit(node)
        self.depth -= 1

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._add(alias.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        base = node.module or ""
        if node.level:
            parents = self.package.split(".")[: len(self.package.split(".")) - node.level + 1]
            base = ".".join([*parents, base] if base else parents)
        for alias in node.names:
            # `from package import module` imports the module, else a name of the package.
            inner = f"{base}.{alias.name}"
            self._add(inner if inner in NAMES else base)

    def _add(self, name: str) -> None:
        self.found.add(name)
        if not self.depth:
            self.at_top.add(name)


NAMES = {_name(path) for path in MODULES}
IMPORTS = {_name(path): _Imports(path) for path in MODULES}


def test_every_room_has_a_floor() -> None:
    rooms = {_room(name) for name in NAMES} - {PACKAGE}
    assert rooms <= set(FLOORS), f"no floor for {sorted(rooms - set(FLOORS))}"


@pytest.mark.parametrize("module", sorted(NAMES - {"infoest"}))
def test_imports_go_down(module: str) -> None:
    own = FLOORS[_room(module)]
    for target in IMPORTS[module].found:
        if target != "infoest" and not target.startswith("infoest."):
            continue
        room = _room(target)
        if room == _room(module):
            continue
        if room == PACKAGE:
            assert own >= FLOORS["front"], f"{module} imports the whole package"
            continue
        assert FLOORS[room] < own, f"{module} (floor {own}) imports {target} (floor {FLOORS[room]})"


def test_the_walk_sees_every_import() -> None:
    """The test above must be able to fail: relative, nested and plain imports are all seen."""
    visitor = _Imports.__new__(_Imports)
    visitor.module, visitor.package = "infoest.functional.made_up", "infoest.functional"
    visitor.found, visitor.at_top, visitor.depth = set(), set(), 0
    source = (
        "from ..estimators import KSG\nfrom .ranks import mid_ranks\n"
        "def f():\n    import infoest.front\n"
        "if TYPE_CHECKING:\n    import torch\nelse:\n    import pandas\n"
    )
    visitor.visit(ast.parse(source))
    assert visitor.found == {
        "infoest.estimators",
        "infoest.functional.ranks",
        "infoest.front",
        "pandas",
    }
    assert "infoest.front" not in visitor.at_top


def test_no_circles() -> None:
    graph = {
        name: {target for target in imports.found if target in NAMES and target != name}
        for name, imports in IMPORTS.items()
        if name != "infoest"
    }
    done: set[str] = set()

    def walk(name: str, path: list[str]) -> None:
        assert name not in path, " -> ".join([*path[path.index(name) :], name])
        if name in done or name not in graph:
            return
        for target in sorted(graph[name]):
            walk(target, [*path, name])
        done.add(name)

    for name in sorted(graph):
        walk(name, [])


def test_no_rooms_for_everything() -> None:
    for path in ROOT.rglob("*"):
        assert path.stem not in {"utils", "util", "core", "common", "helpers", "misc"}, path


def _public_names(stub: Path) -> set[str]:
    tree = ast.parse(stub.read_text(encoding="utf-8"))
    names = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    return names


def _listed(stub: Path) -> list[str]:
    tree = ast.parse(stub.read_text(encoding="utf-8"))
    (listed,) = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    ]
    return list(ast.literal_eval(listed))


@pytest.mark.parametrize("stub", STUBS, ids=lambda path: _name(path.with_suffix(".py")))
def test_public_names_resolve(stub: Path) -> None:
    package = importlib.import_module(_name(stub.with_suffix(".py")))
    assert sorted(_listed(stub)) == sorted(_public_names(stub))
    assert sorted(package.__all__) == sorted(_listed(stub))
    for name in _listed(stub):
        assert getattr(package, name) is not None
        assert name in dir(package)
    with pytest.raises(AttributeError):
        _ = package.no_such_name


@pytest.mark.parametrize("stub", STUBS, ids=lambda path: _name(path.with_suffix(".py")))
def test_no_module_bears_the_name_of_a_public_object(stub: Path) -> None:
    package = importlib.import_module(_name(stub.with_suffix(".py")))
    here = {path.stem for path in stub.parent.glob("*.py")} | {
        path.parent.name for path in stub.parent.glob("*/__init__.py")
    }
    objects = {
        name for name in _public_names(stub) if not isinstance(getattr(package, name), ModuleType)
    }
    assert not here & objects


@pytest.mark.parametrize("package", sorted({path.parent for path in MODULES}), ids=lambda p: p.name)
def test_every_package_has_a_stub(package: Path) -> None:
    assert (package / "__init__.pyi").exists()


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_no_loose_signatures_prints_or_asserts(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            public = not node.name.startswith("_") or node.name == "__init__"
            private = path.stem.startswith("_") and path.stem != "__init__"
            if public and not private and node.name != "set_params":
                assert node.args.kwarg is None, f"{path}:{node.lineno} takes **{node.args.kwarg}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id != "print", f"{path}:{node.lineno}"
        assert not isinstance(node, (ast.Assert, ast.Global)), f"{path}:{node.lineno}"


# ------------------------------------------------------------------------------------ import cost

LOADED = f"""
import sys
heavy = {HEAVY!r}
def loaded(allowed=()):
    found = [name for name in heavy if name in sys.modules and name not in allowed]
    assert not found, found
"""


def _run(source: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED + source], capture_output=True, text=True, cwd=ROOT.parent
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_importing_the_package_is_light() -> None:
    _run("import infoest; loaded(); assert 'scipy' not in sys.modules; dir(infoest)")


def test_listing_methods_imports_no_method() -> None:
    _run(
        """
import infoest
for name in infoest.METHODS:
    infoest.METHODS.entry(name).help
assert 'ksg' in infoest.METHODS
assert 'no such' not in infoest.METHODS
loaded()
modules = [m for m in sys.modules if m.startswith('infoest.estimators.')]
assert modules == ['infoest.estimators.catalog'], modules
infoest.METHODS['gaussian']
assert 'infoest.estimators.nearest_neighbor' not in sys.modules
"""
    )


@pytest.mark.slow
def test_numpy_estimators_stay_in_the_numpy_world() -> None:
    _run(
        """
import numpy as np
import infoest
x, y, _ = infoest.datasets.correlated_normal(80, random_state=0)
label = (x[:, 0] > 0).astype(int)
for method in ('gaussian', 'gaussian_copula', 'ksg', 'mixed_ksg', 'binned', 'auto',
               'from_entropies'):
    infoest.estimate(x, y, method, n_permutations=3)
    loaded()
infoest.estimate(label, label, 'discrete', n_permutations=3); loaded()
infoest.estimate(label, label); infoest.estimate(x, label, discrete='y'); loaded()
infoest.estimate(x, y, 'ksg', z=x**2); loaded()
infoest.entropy(x); infoest.entropy(label, discrete='x'); loaded()
infoest.divergence(x, y + 1, 'knn_divergence', n_permutations=3); loaded()
infoest.transfer_entropy(x, y, n_surrogates=3); loaded()
infoest.functional.ksg(x, y); infoest.functional.kozachenko_leonenko(x); loaded()
infoest.functional.discrete_entropy([3, 4]); loaded()
repr(infoest.estimate(x, y).to('bits')); loaded()
infoest.matrix(np.hstack([x, y]), 'gaussian', n_jobs=1); loaded(['joblib'])
"""
    )
