"""`facebench methods`: every method listed and shown without importing torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from in_process import facebench

from facebench.bench.method.registry import method_card, method_names
from facebench.cli.main import group
from facebench.errors import FacebenchError
from facebench.recon.export.mesh_files import write_mesh
from facebench.recon.mesh import Mesh
from facebench.recon.morphable.procedural import procedural_model


def test_the_list_names_every_method() -> None:
    output = CliRunner().invoke(group, ["methods"]).output
    assert {"ours", "mean-face"} <= set(method_names())
    assert all(name in output for name in method_names())


def test_json_holds_the_cards() -> None:
    cards = json.loads(CliRunner().invoke(group, ["methods", "--json"]).output)
    assert [card["name"] for card in cards] == list(method_names())
    assert all(card["licence"] and card["title"] for card in cards)


def test_what_a_method_prints_is_no_answer(tmp_path: Path) -> None:
    (tmp_path / "noisy.py").write_text(
        "from facebench.bench.method.interface import MethodCard\n"
        "print('loading weights ...')\n"
        "CARD = MethodCard('noisy', 'A noisy method', '', 'MIT')\n"
        "def build(options): ...\n"
    )
    info = tmp_path / "noisy-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: noisy\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[facebench.methods]\nnoisy = noisy\n")
    done = facebench("methods", "--json", home=tmp_path, path=tmp_path)
    assert "noisy" in [card["name"] for card in json.loads(done.stdout)]
    assert (done.returncode, done.stderr) == (0, "loading weights ...\n")


def test_show_tells_paper_licence_and_published_results() -> None:
    output = CliRunner().invoke(group, ["methods", "show", "ours"]).output
    assert "2020" in output and "MIT" in output and "cooperative 1.36 ± 0.12" in output
    shown = json.loads(CliRunner().invoke(group, ["methods", "show", "ours", "--json"]).output)
    assert shown["paper"] == method_card("ours").paper


@pytest.mark.parametrize("name", method_names())
def test_every_built_in_card_is_filled_in(name: str) -> None:
    card = method_card(name)
    assert card.own and card.seen and card.state
    output = CliRunner(env={"COLUMNS": "80"}).invoke(group, ["methods", "show", name]).output
    rows = ("state", "paper", "licence", "what is ours", "published, mm", "has seen", "leakage")
    assert all(f"\n{row} " in output for row in rows)
    assert card.state.split()[-1] in output


def test_the_list_fits_into_80_columns() -> None:
    output = CliRunner(env={"COLUMNS": "80"}).invoke(group, ["methods"]).output
    assert max(len(line) for line in output.splitlines()) <= 80
    assert "nothing to train" in output


def test_an_unknown_method_is_answered_with_the_nearest() -> None:
    result = CliRunner().invoke(group, ["methods", "show", "mean-fase"])
    assert isinstance(result.exception, FacebenchError)
    assert "did you mean 'mean-face'?" in str(result.exception)


@pytest.mark.parametrize("command", ["methods", "methods show ours", "check-method meshes:DIR"])
def test_no_network_library_is_imported_in_vain(command: str, tmp_path: Path) -> None:
    mesh = procedural_model(n_vertices=2000).mesh()
    write_mesh(Mesh(mesh.vertices, mesh.triangles), tmp_path / "subject_01.ply")
    arguments = command.replace("DIR", str(tmp_path)).split()
    code = (
        "import sys; from facebench.cli.main import group; "
        f"group({arguments!r}, standalone_mode=False); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
