"""The arrows of the design: who may import whom, and what a help text may cost."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BELOW = {
    "recon": set(),
    "bench": {"recon"},
    "results": {"recon", "bench"},
    "distributed": {"recon", "bench", "results"},
    "cli": {"recon", "bench", "results", "distributed"},
}
"""For each layer, the layers it may import besides itself, the errors and worker processes."""

FOLDERS = {
    "recon": (
        *("files", "mesh", "morphable", "recipes", "network", "weights", "face", "render"),
        *("texture", "synthetic", "vision", "losses", "fitting", "regressors", "export", "video"),
        *("portraits", "preparation", "training"),
    ),
    "bench": (
        *("plugins", "surface", "meshes", "landmarks", "protocol", "dataset", "registration"),
        *("scoring", "datasets", "synthetic", "method", "methods", "figures", "photographs"),
        *("audit", "conformance"),
    ),
    "results": (
        *("run", "tables", "compare", "gate", "tracking", "report"),
        *("figures", "audit"),
    ),
}
"""For each layer, its folders from the bottom to the top; each imports only from those below it.

Imports for type checkers and those inside functions count as well: they make a folder as hard to
understand without the other as any.
"""

FORBIDDEN = {
    "recon": {"ray", "mlflow", "open3d", "trimesh", "pandas", "matplotlib", "click", "rich"},
    "bench": {"ray", "mlflow", "pandas", "matplotlib", "click", "rich"},
    "results": {"ray", "open3d", "click"},
    "distributed": {"click"},
    "cli": {"ray"},
}
HEAVY = {
    *("torch", "ray", "mlflow", "open3d", "pandas", "scipy", "skimage", "trimesh", "pyarrow"),
    *("matplotlib", "av", "face_alignment"),
}
SOURCES = sorted(path for layer in BELOW for path in (ROOT / layer).rglob("*.py"))


@cache
def _imports(path: Path) -> frozenset[str]:
    """Absolute dotted names of everything that a file imports, at any depth of its code."""
    return frozenset(_names(path))


def _names(path: Path) -> Iterator[str]:
    package = ("facebench", *path.relative_to(ROOT).parent.parts)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else ()
            base = (*start, *(node.module or "").split(".")) if node.module else start
            yield from (".".join((*base, alias.name)) for alias in node.names)


def _layer(path: Path) -> str:
    return path.relative_to(ROOT).parts[0]


def _wrong(names: dict[Path, set[str]]) -> dict[str, set[str]]:
    """What each file imports that it may not; files without are left out."""
    return {str(path.relative_to(ROOT)): found for path, found in names.items() if found}


def test_layers_import_downwards_only() -> None:
    wrong = {}
    for path in SOURCES:
        allowed = {_layer(path), "errors", "processes", "__version__"} | BELOW[_layer(path)]
        own = {name.split(".")[1] for name in _imports(path) if name.startswith("facebench.")}
        wrong[path] = own - allowed
    assert _wrong(wrong) == {}


def _folder(path: Path) -> str:
    """The folder inside its layer, or the module that lies beside the folders."""
    return path.relative_to(ROOT).with_suffix("").parts[1]


INSIDE = [path for path in SOURCES if _layer(path) in FOLDERS and _folder(path) != "__init__"]
"""All but the layers' own faces, which may show what any folder holds."""


@pytest.mark.parametrize("layer", FOLDERS)
def test_every_folder_has_its_place(layer: str) -> None:
    assert {_folder(path) for path in INSIDE if _layer(path) == layer} == set(FOLDERS[layer])


def test_folders_import_downwards_only() -> None:
    wrong = {}
    for path in INSIDE:
        order, layer = FOLDERS[_layer(path)], f"facebench.{_layer(path)}."
        allowed = set(order[: order.index(_folder(path)) + 1])
        wrong[path] = {n.split(".")[2] for n in _imports(path) if n.startswith(layer)} - allowed
    assert _wrong(wrong) == {}


def test_layers_keep_to_their_libraries() -> None:
    used = {path: {name.split(".")[0] for name in _imports(path)} for path in SOURCES}
    assert _wrong({path: used[path] & FORBIDDEN[_layer(path)] for path in SOURCES}) == {}


def test_the_reader_of_imports_sees_relative_and_nested_ones() -> None:
    names = _imports(ROOT / "cli" / "main.py")
    assert {"facebench.errors.FacebenchError", "facebench.__version__", "click"} <= names


def _loaded_after(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT.parent
    )
    return set(done.stdout.splitlines()[-1].split())


def test_help_imports_nothing_heavy() -> None:
    ask = "from facebench.cli.main import group\ngroup(['--help'], standalone_mode=False)"
    assert not _loaded_after(ask) & (HEAVY | {"numpy"})


def test_no_command_module_imports_anything_heavy() -> None:
    names = [path.stem for path in (ROOT / "cli").glob("*.py") if path.stem[0] != "_"]
    loaded = _loaded_after("\n".join(f"import facebench.cli.{name}" for name in names))
    assert not loaded & HEAVY


def test_a_wrong_use_is_told_before_anything_is_imported() -> None:
    late = []
    for path in sorted((ROOT / "cli").rglob("*.py")):
        nodes = ast.walk(ast.parse(path.read_text()))
        for function in (node for node in nodes if isinstance(node, ast.FunctionDef)):
            inside = list(ast.walk(function))
            imports = [n.lineno for n in inside if isinstance(n, ast.Import | ast.ImportFrom)]
            refusals = [n.lineno for n in inside if getattr(n, "attr", "") == "UsageError"]
            if imports and refusals and max(refusals) > min(imports):
                late.append(f"{path.name}: {function.name}")
    assert late == []
