"""`facebench models`: list, show, import, export."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from facebench.cli.main import group
from facebench.errors import FacebenchError
from facebench.recon.morphable.load import load_model, read_npz, save_npz


def _run(*arguments: object) -> Result:
    return CliRunner().invoke(group, ["models", *map(str, arguments)], standalone_mode=False)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.npz"
    assert (
        _run("export", "embedded", "--vertices", 2500, "--seed", 3, "--out", path).exception is None
    )
    return path


def test_the_list_counts_the_embedded_model() -> None:
    listed = json.loads(_run("--json").stdout)
    embedded = load_model("embedded")
    assert listed["embedded"]["vertices"] == embedded.n_vertices
    assert listed["embedded"]["identity_modes"] == embedded.identity_basis.shape[2]
    assert str(embedded.n_vertices) in _run().stdout


def test_no_file_that_a_model_needs_is_cut() -> None:
    shown = CliRunner().invoke(group, ["models"], env={"COLUMNS": "60"}).stdout
    assert "…" not in shown and "import surrey" in shown


def test_an_exported_model_is_read_again(small: Path) -> None:
    model = load_model(small)
    assert 2000 <= model.n_vertices <= 3000
    np.testing.assert_allclose(
        np.linalg.norm(model.mesh().vertices[0]), np.linalg.norm(model.mean_shape[0])
    )


def test_the_embedded_model_is_exported_unchanged(tmp_path: Path) -> None:
    _run("export", "embedded", "--out", tmp_path / "face.npz")
    assert load_model(tmp_path / "face.npz").digest == load_model("embedded").digest


def test_show_tells_lengths_and_draws_a_face(small: Path, tmp_path: Path) -> None:
    picture = tmp_path / "sheet.png"
    facts = json.loads(_run("show", small, "--json", "--picture", picture).stdout)
    model = load_model(small)
    ends = model.mean_shape[model.landmarks[[36, 45]]].astype(float)
    assert facts["lengths_mm"]["outer eye corners"] == pytest.approx(
        np.linalg.norm(ends[0] - ends[1])
    )
    assert facts["digest"] == model.digest and facts["landmarks"] == 68
    assert sum(facts["region_vertices"].values()) == model.n_vertices
    with Image.open(picture) as sheet:
        assert sheet.width == 6 * 200 and np.asarray(sheet).std() > 20
    shown = _run("show", small).stdout
    assert "outer eye corners" in shown and "all modes together" in shown
    assert small.with_suffix(".png").is_file()
    # Its own picture is drawn anew, somebody's own stays.
    assert "picture: " in _run("show", small).stderr
    Image.new("RGB", (7, 7)).save(small.with_suffix(".png"))
    assert "is another picture and stays" in _run("show", small).stderr
    with Image.open(small.with_suffix(".png")) as theirs:
        assert theirs.size == (7, 7)


def test_show_draws_only_where_it_may(small: Path, tmp_path: Path) -> None:
    assert _run("show", small, "--no-picture").exception is None
    assert [file.name for file in tmp_path.iterdir()] == ["small.npz"]
    (tmp_path / "file").touch()
    blocked = _run("show", small, "--picture", tmp_path / "file" / "sheet.png")
    assert isinstance(blocked.exception, FacebenchError)
    assert "cannot be written" in str(blocked.exception)


def test_what_the_modes_move_is_told_in_mm(small: Path) -> None:
    facts = json.loads(_run("show", small, "--json", "--no-picture").stdout)
    model = load_model(small)
    moved = np.linalg.norm(model.identity_basis[..., 0].astype(float), axis=1)
    identity = facts["modes_mm"]["identity"]
    assert identity["rms"][0] == pytest.approx(np.sqrt((moved**2).mean()), abs=1e-4)
    assert identity["largest"][0] == pytest.approx(moved.max(), abs=1e-4)
    assert len(facts["modes_mm"]["expression"]["rms"]) == facts["counts"]["expression_modes"]


def test_another_unit_is_converted_on_request(small: Path, tmp_path: Path) -> None:
    arrays = dict(np.load(small))
    for name in ("mean_shape", "identity_basis", "expression_basis"):
        arrays[name] = arrays[name] / 1000.0
    np.savez(tmp_path / "metres.npz", **arrays)
    shown = _run("show", tmp_path / "metres.npz")
    assert isinstance(shown.exception, FacebenchError) and "--unit m" in str(shown.exception)
    out = tmp_path / "mm.npz"
    _run("import", "npz", tmp_path / "metres.npz", "--unit", "m", "--out", out)
    np.testing.assert_allclose(read_npz(out).mean_shape, read_npz(small).mean_shape, rtol=1e-5)


def test_the_real_folder_is_imported(shared: Path, tmp_path: Path) -> None:
    out = tmp_path / "ict.npz"
    result = _run("import", "ict", shared / "ict-facekit", "--out", out)
    assert result.exception is None and "17202 vertices" in result.stdout
    assert load_model(out).digest == load_model(shared / "ict-facekit").digest
    face = tmp_path / "face.npz"
    _run("import", "ict", shared / "ict-facekit", "--part", "face", "--out", face)
    assert load_model(face).n_vertices == 9409


def test_a_name_without_its_ending_is_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        group, ["models", "export", "embedded", "--out", str(tmp_path / "face")]
    )
    assert result.exit_code == 2 and ".npz" in result.output
    assert not list(tmp_path.iterdir())


def test_an_unreadable_model_is_one_line(tmp_path: Path) -> None:
    save_npz(load_model("embedded"), tmp_path / "embedded_copy.npz")
    result = _run("show", tmp_path / "embeded_copy.npz")
    assert isinstance(result.exception, FacebenchError)
    assert "did you mean" in str(result.exception)
