"""The notebook's commands parse and its code names what is there; run whole by FACEBENCH_SLOW."""

from __future__ import annotations

import ast
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from doc_pages import DOCS, parse_command

import facebench

NOTEBOOK: dict[str, Any] = json.loads((DOCS / "examples" / "tutorial.ipynb").read_text("utf-8"))
CODE = ["".join(c["source"]) for c in NOTEBOOK["cells"] if c["cell_type"] == "code"]


def test_it_holds_no_outputs_of_somebodys_machine() -> None:
    cells = [cell for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]
    assert len(cells) >= 5 and not any(cell["outputs"] for cell in cells)
    assert len({cell["id"] for cell in NOTEBOOK["cells"]}) == len(NOTEBOOK["cells"])


@pytest.mark.parametrize("line", [cell[1:] for cell in CODE if cell.startswith("!")])
def test_a_command_parses(line: str) -> None:
    parse_command(tuple(shlex.split(line)))


def test_every_name_of_the_library_is_there() -> None:
    trees = [ast.parse(cell) for cell in CODE if not cell.startswith("!")]
    used = {
        node.attr
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "facebench"
    }
    assert used >= {"run", "compare", "evaluate"}
    assert all(hasattr(facebench, name) for name in used)


@pytest.mark.skipif("FACEBENCH_SLOW" not in os.environ, reason="three minutes: FACEBENCH_SLOW=1")
def test_it_runs_from_top_to_bottom(tmp_path: Path) -> None:
    run = "import subprocess, sys\n" + "\n".join(
        f"subprocess.run([sys.executable, '-m', *{shlex.split(cell[1:])!r}], check=True)"
        if cell.startswith("!")
        else cell
        for cell in CODE
    )
    store = {"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path / 'mlflow.db'}"}
    done = subprocess.run([sys.executable, "-c", run], cwd=tmp_path, env=os.environ | store)
    assert done.returncode == 0 and (tmp_path / "runs/ours/report.html").is_file()
