"""`facebench reconstruct` on real pictures, by a network of the right build, untrained."""

from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pytest
import skimage.data
import torch
import trimesh
from click.testing import CliRunner, Result
from PIL import Image

from facebench.cli.main import group
from facebench.recon.coefficients import CoefficientSizes
from facebench.recon.framing import frame_mean_face
from facebench.recon.morphable.load import load_model
from facebench.recon.network.checkpoint import save_weights
from facebench.recon.network.regressor import FaceRegressor
from facebench.recon.recipe import NetworkRecipe, Recipe


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small regressor whose last layer is drawn at random, so that faces differ."""
    torch.manual_seed(0)
    model = load_model("embedded")
    recipe = Recipe(name="test", network=NetworkRecipe("resnet18", width=8, image_size=64))
    sizes = CoefficientSizes.of(model)
    regressor = FaceRegressor(recipe.network, sizes, frame_mean_face(model))
    torch.nn.init.normal_(regressor.backbone.fc.weight[: sizes.identity], std=0.1)
    path = tmp_path_factory.mktemp("weights") / "weights.pt"
    save_weights(path, regressor, recipe, model.digest, steps=0, seed=0)
    return path


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photograph with a face, one without, and a file that is no picture."""
    folder = tmp_path_factory.mktemp("pictures")
    Image.fromarray(skimage.data.astronaut()).save(folder / "astronaut.png")
    Image.fromarray(skimage.data.coffee()[:200, :200]).save(folder / "coffee.png")
    (folder / "damaged.jpg").write_bytes(b"nothing")
    return folder


def _write_video(path: Path, frames: list[np.ndarray]) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt, stream.bit_rate = "yuv420p", 4_000_000
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def _run(*arguments: object) -> Result:
    return CliRunner().invoke(group, ["reconstruct", *map(str, arguments)], standalone_mode=False)


def test_a_folder_gives_a_row_each_and_files_for_faces(
    pictures: Path, weights: Path, tmp_path: Path
) -> None:
    result = _run(pictures, "--out", tmp_path, "--checkpoint", weights, "--json")
    assert result.exception is None and result.return_value == 0
    rows = {row["name"]: row for row in json.loads(result.stdout)["portraits"]}
    assert rows["astronaut"]["faces"] == 1 and not rows["astronaut"]["reason"]
    assert rows["coffee"]["reason"] == "no face was found"
    assert rows["damaged"]["reason"].startswith("not a picture")
    written = {path.name for path in tmp_path.iterdir()}
    assert written == set(rows["astronaut"]["files"])
    assert written == {
        "astronaut" + end for end in (".obj", ".ply", ".glb", "_overlay.png", ".json")
    }


def test_the_mesh_is_the_model_at_the_coefficients_in_mm(
    pictures: Path, weights: Path, tmp_path: Path
) -> None:
    photograph = pictures / "astronaut.png"
    _run(photograph, "--out", tmp_path, "--checkpoint", weights, "--formats", "ply,glb")
    table = json.loads((tmp_path / "astronaut.json").read_text())
    model = load_model("embedded")
    assert table["unit"] == "mm" and table["model_digest"] == model.digest
    expected = model.mesh(table["identity"], table["expression"], table["albedo"])
    assert np.abs(expected.vertices - model.mean_shape).max() > 1e-3
    ply = trimesh.load(tmp_path / "astronaut.ply", process=False)
    np.testing.assert_allclose(ply.vertices, expected.vertices, atol=1e-3)
    glb = trimesh.load(tmp_path / "astronaut.glb", process=False, force="mesh")
    np.testing.assert_allclose(glb.vertices * 1000.0, expected.vertices, atol=1e-3)
    assert not (tmp_path / "astronaut.obj").exists()


def test_landmarks_lie_in_the_face_box_of_the_photograph(
    pictures: Path, weights: Path, tmp_path: Path
) -> None:
    """The untrained network puts nearly the mean face into the box: this checks the geometry."""
    _run(pictures / "astronaut.png", "--out", tmp_path, "--checkpoint", weights)
    table = json.loads((tmp_path / "astronaut.json").read_text())
    box, points = table["box_px"], np.array(table["landmarks_px"])
    low, high = points.min(axis=0), points.max(axis=0)
    centre = [box["left"] + box["width"] / 2, box["top"] + box["height"] / 2]
    np.testing.assert_allclose((low + high) / 2, centre, atol=0.05 * box["width"])
    assert (high - low).max() == pytest.approx(max(box["width"], box["height"]), rel=0.05)
    with Image.open(tmp_path / "astronaut_overlay.png") as picture:
        assert picture.width == 4 * 360 and picture.height >= 360


def test_a_video_gives_the_neutral_mean_over_its_frames(weights: Path, tmp_path: Path) -> None:
    frame = skimage.data.astronaut()[:320, :400]
    blank = np.zeros_like(frame)
    _write_video(tmp_path / "talk.mp4", [frame, np.roll(frame, 6, axis=1), blank, frame])
    result = _run(tmp_path / "talk.mp4", "--out", tmp_path, "--checkpoint", weights, "--json")
    row = json.loads(result.stdout)["portraits"][0]
    assert (row["frames"], row["faces"]) == (4, 3)
    table = json.loads((tmp_path / "talk.json").read_text())
    expected = load_model("embedded").mesh(table["identity"], albedo=table["albedo"])
    mesh = trimesh.load(tmp_path / "talk.ply", process=False)
    np.testing.assert_allclose(mesh.vertices, expected.vertices, atol=1e-3)
    with Image.open(tmp_path / "talk_overlay.png") as sheet:
        assert sheet.height > 3 * 360


def test_a_truncated_video_keeps_what_was_read(weights: Path, tmp_path: Path) -> None:
    frame = skimage.data.astronaut()[:320, :400]
    _write_video(tmp_path / "whole.avi", [frame] * 6)
    data = (tmp_path / "whole.avi").read_bytes()
    (tmp_path / "cut.avi").write_bytes(data[: len(data) * 2 // 3])
    (tmp_path / "none.avi").write_bytes(b"nothing")
    paths = (tmp_path / "cut.avi", tmp_path / "none.avi")
    result = _run(*paths, "--out", tmp_path / "out", "--checkpoint", weights, "--json")
    cut, none = json.loads(result.stdout)["portraits"]
    assert 0 < cut["frames"] < 6 and cut["files"] and cut["reason"]
    assert not none["files"] and "none.avi cannot be read" in none["reason"]


def test_nothing_reconstructed_is_exit_code_1(
    pictures: Path, weights: Path, tmp_path: Path
) -> None:
    result = _run(pictures / "coffee.png", "--out", tmp_path, "--checkpoint", weights)
    assert result.return_value == 1
    assert "no face was found" in result.stdout and "0 of 1" in result.stdout


def test_limit_counts_sources(pictures: Path, weights: Path, tmp_path: Path) -> None:
    result = _run(pictures, "--out", tmp_path, "--checkpoint", weights, "--limit", 1, "--json")
    assert len(json.loads(result.stdout)["portraits"]) == 1


def test_an_unknown_format_names_the_known(pictures: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(
        group, ["reconstruct", str(pictures), "--out", str(tmp_path), "--formats", "stl"]
    )
    assert result.exit_code == 2 and "obj, ply, glb" in result.output


def test_the_embedded_weights_find_the_astronauts_face(pictures: Path, tmp_path: Path) -> None:
    """Eyes and mouth of the photograph, read off by eye, in its 512 x 512 pixels."""
    assert _run(pictures / "astronaut.png", "--out", tmp_path).return_value == 0
    table = json.loads((tmp_path / "astronaut.json").read_text())
    points = np.array(table["landmarks_px"])
    found = [points[36:42].mean(axis=0), points[42:48].mean(axis=0), points[48:60].mean(axis=0)]
    seen = np.array([[201.0, 109.0], [244.0, 108.0], [223.0, 149.0]])
    assert np.linalg.norm(np.array(found) - seen, axis=1).max() < 9.0
