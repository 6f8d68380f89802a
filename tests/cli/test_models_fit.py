"""`facebench models fit`: from two files to coefficients, a mesh and a picture."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import trimesh
from click.testing import CliRunner, Result
from PIL import Image

from facebench.bench.meshes.files import load_mesh
from facebench.cli.main import group
from facebench.errors import FacebenchError
from facebench.recon.export.mesh_files import write_ply
from facebench.recon.mesh import Mesh
from facebench.recon.morphable.load import load_model, save_npz
from facebench.recon.morphable.procedural import procedural_model


def _fit(*arguments: object) -> Result:
    words = ["models", "fit", *map(str, arguments)]
    return CliRunner().invoke(group, words, standalone_mode=False)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A model and a scan in centimetres of somebody that it knows."""
    folder = tmp_path_factory.mktemp("fit")
    model = procedural_model(n_vertices=2000)
    save_npz(model, folder / "model.npz")
    mesh = model.mesh(np.full(12, 0.5))
    write_ply(Mesh(mesh.vertices / 10.0, mesh.triangles), folder / "scan.ply")
    points = "\n".join(" ".join(map(str, p)) for p in mesh.vertices[model.landmarks] / 10.0)
    (folder / "scan.txt").write_text(points + "\n")
    return folder / "model.npz", folder / "scan.ply"


def test_a_fit_is_written_and_told(files: tuple[Path, Path], tmp_path: Path) -> None:
    model, scan = files
    landmarks = ("--landmarks", scan.with_suffix(".txt"), "--unit", "10")
    result = _fit(model, scan, *landmarks, "--out", tmp_path / "out", "--json")
    assert result.exception is None
    told = json.loads(result.stdout)
    assert told == json.loads((tmp_path / "out" / "fit.json").read_text())
    assert told["started_from"] == "landmarks" and told["residual_mm"]["mean"] < 0.1
    assert told["model"]["digest"] == load_model(model).digest
    assert np.mean(list(told["identity"].values())) == pytest.approx(0.5, abs=0.15)
    fitted = trimesh.load(tmp_path / "out" / "fitted.ply", process=False)
    assert len(fitted.vertices) == load_model(model).n_vertices
    assert Image.open(tmp_path / "out" / "residual.png").width > 800


def test_a_scan_whose_triangles_face_inwards_is_turned(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    model, scan = files
    inwards = tmp_path / "inwards.ply"
    right = load_mesh(scan)
    write_ply(Mesh(right.vertices, right.triangles[:, ::-1]), inwards)
    result = _fit(model, inwards, "--unit", "cm", "--json", "--out", tmp_path / "out")
    assert json.loads(result.stdout)["residual_mm"]["mean"] < 0.1
    assert "face inwards and were turned" in result.stderr


def test_wrong_input_is_one_line(files: tuple[Path, Path], tmp_path: Path) -> None:
    model, scan = files
    for arguments, words in (
        ((model, scan), "pass --unit cm"),
        ((model, tmp_path / "nothing.ply"), "nothing.ply"),
        ((tmp_path / "none.npz", scan, "--unit", "cm"), "no such face model"),
    ):
        result = _fit(*arguments, "--out", tmp_path / "out")
        assert isinstance(result.exception, FacebenchError)
        assert words in str(result.exception) and "\n" not in str(result.exception)
