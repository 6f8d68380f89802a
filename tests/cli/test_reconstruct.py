"""`facebench reconstruct` on real pictures, by a network of the right build, untrained."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import jsonschema
import numpy as np
import pytest
import skimage.data
import trimesh
from click.testing import CliRunner, Result
from PIL import Image
from pyarrow import parquet
from small_regressor import write_small_regressor

from facebench.cli.main import group
from facebench.cli.reconstruct import _print
from facebench.recon.face.coefficients import POSE_NAMES, read_coefficients, schema
from facebench.recon.face.crop import Box, write_boxes
from facebench.recon.face.labels import TEMPLATE
from facebench.recon.fitting import refinement
from facebench.recon.morphable.load import load_model, save_npz
from facebench.recon.morphable.procedural import procedural_model
from facebench.recon.portraits import results as sheet

SHEET_SIDE = 120


@pytest.fixture(scope="module", autouse=True)
def _small_sheets() -> Iterator[None]:
    """Sheets take most of a reconstruction's time, by the area of their pictures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sheet, "PICTURE_SIZE", SHEET_SIDE)
        yield


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_regressor(tmp_path_factory.mktemp("weights") / "weights.pt")


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
    small = ("--texture-size", "128")
    words = ["reconstruct", *map(str, arguments), *small]
    return CliRunner().invoke(group, words, standalone_mode=False)


def _table(path: Path) -> dict[str, Any]:
    """A coefficients file that keeps its schema."""
    table: dict[str, Any] = json.loads(path.read_text())
    jsonschema.validate(table, schema())
    assert all((path.parent / Path(name).name).is_file() for name in table["files"])
    return table


def test_a_model_that_the_weights_do_not_know_is_told_the_way(
    pictures: Path, tmp_path: Path
) -> None:
    """Another one by the name of one that they know."""
    save_npz(procedural_model(0, 2000), tmp_path / "own.npz")
    words = ("--out", tmp_path / "out", "--method", "ours", "--model", tmp_path / "own.npz")
    refused = _run(pictures / "astronaut.png", *words)
    assert "take the method 'fitting'" in str(refused.exception)


def test_a_folder_gives_a_row_each_and_files_for_faces(
    pictures: Path, weights: Path, tmp_path: Path
) -> None:
    result = _run(pictures, "--out", tmp_path, "--checkpoint", weights, "--json")
    assert result.exception is None and result.return_value == 0
    rows = {row["name"]: row for row in json.loads(result.stdout)["portraits"]}
    assert rows["astronaut"]["faces"] == 1 and not rows["astronaut"]["reason"]
    assert rows["coffee"]["reason"] == "no face was found"
    assert rows["damaged"]["reason"].startswith("not a picture")
    written = {path.name for path in tmp_path.iterdir()} - {
        "portraits.jsonl",
        ".lock",
        ".facebench",
    }
    assert written == set(rows["astronaut"]["files"])
    endings = (".obj", ".mtl", "_texture.png", ".ply", ".glb", "_sheet.png", ".json")
    assert written == {"astronaut" + end for end in endings}


def test_the_mesh_is_the_model_at_the_coefficients_in_mm(
    pictures: Path, weights: Path, tmp_path: Path
) -> None:
    photograph = pictures / "astronaut.png"
    _run(photograph, "--out", tmp_path, "--checkpoint", weights, "--formats", "ply,glb")
    table = _table(tmp_path / "astronaut.json")
    model = load_model("embedded")
    assert table["unit"] == "mm" and table["model"]["digest"] == model.digest
    expression = table["frames"][0]["expression"]
    expected = model.mesh(table["identity"], expression, table["albedo"])
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
    frame = _table(tmp_path / "astronaut.json")["frames"][0]
    box, points = frame["box_px"], np.array(frame["landmarks_px"])
    low, high = points.min(axis=0), points.max(axis=0)
    centre = [box["left"] + box["width"] / 2, box["top"] + box["height"] / 2]
    np.testing.assert_allclose((low + high) / 2, centre, atol=0.05 * box["width"])
    assert (high - low).max() == pytest.approx(max(box["width"], box["height"]), rel=0.05)
    with Image.open(tmp_path / "astronaut_sheet.png") as picture:
        assert picture.width == 4 * SHEET_SIDE and picture.height >= 2 * SHEET_SIDE


def _shaking(count: int) -> list[np.ndarray]:
    """The photograph moved to and fro by a few pixels, each frame on its own."""
    shifts = np.random.default_rng(0).integers(-3, 4, count)
    return [np.roll(skimage.data.astronaut()[:320, :400], shift, axis=1) for shift in shifts]


def test_a_video_gives_the_neutral_mean_over_its_frames(weights: Path, tmp_path: Path) -> None:
    frames = _shaking(6)
    frames[2] = np.zeros_like(frames[0])
    _write_video(tmp_path / "talk.mp4", frames)
    out = tmp_path / "out"
    result = _run(tmp_path / "talk.mp4", "--out", out, "--checkpoint", weights, "--json")
    row = json.loads(result.stdout)["portraits"][0]
    assert (row["frames"], row["faces"]) == (6, 5)
    table = _table(out / "talk.json")
    expected = load_model("embedded").mesh(table["identity"], albedo=table["albedo"])
    mesh = trimesh.load(out / "talk.ply", process=False)
    np.testing.assert_allclose(mesh.vertices, expected.vertices, atol=1e-3)
    with Image.open(out / "talk_sheet.png") as picture:
        assert picture.height > 5 * SHEET_SIDE
    rows = parquet.read_table(out / table["frames_file"])
    assert rows["frame"].to_pylist() == [0, 1, 3, 4, 5]
    assert rows["time_s"].to_pylist() == pytest.approx([0.0, 0.1, 0.3, 0.4, 0.5])
    points = np.array(rows["landmarks_px"].to_pylist()).reshape(-1, 68, 2)
    box = np.array([rows["left"], rows["top"]]).T + np.array([rows["width"]] * 2).T / 2
    middle = (points.min(axis=1) + points.max(axis=1)) / 2
    np.testing.assert_allclose(middle, box, atol=6.0)
    with av.open(str(out / "talk_overlay.mp4")) as video:
        drawn = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    assert len(drawn) == 6 and drawn[0].shape == (320, 400, 3)
    changed = [np.abs(a.astype(int) - b).mean() for a, b in zip(drawn, frames, strict=True)]
    assert min(changed[:2] + changed[3:]) > 3 * changed[2] + 1


def test_smoothing_takes_the_jitter_of_pose_away(weights: Path, tmp_path: Path) -> None:
    _write_video(tmp_path / "talk.avi", _shaking(12))
    jitter = {}
    for name, option in (("smooth", ()), ("raw", ("--no-smoothing",))):
        common = ("--checkpoint", weights, "--formats", "ply", *option)
        assert not _run(tmp_path / "talk.avi", "--out", tmp_path / name, *common).return_value
        rows = parquet.read_table(tmp_path / name / "talk_frames.parquet")
        pose = np.array([rows[part].to_pylist() for part in POSE_NAMES])
        jitter[name] = np.abs(np.diff(pose[3], n=2)).mean()
        assert _table(tmp_path / name / "talk.json")["smoothed"] is (name == "smooth")
    assert jitter["smooth"] < 0.7 * jitter["raw"]


def test_a_mesh_a_frame_and_a_box_file(weights: Path, tmp_path: Path) -> None:
    _write_video(tmp_path / "talk.avi", _shaking(3))
    write_boxes(tmp_path / "talk.boxes.csv", {0: Box(60, 90, 80, 80), 2: Box(150, 90, 80, 85)})
    common = ("--checkpoint", weights, "--formats", "ply", "--frames-meshes", "--no-smoothing")
    _run(tmp_path / "talk.avi", "--out", tmp_path / "out", *common)
    table = _table_of_video(tmp_path / "out" / "talk.json")
    rows = parquet.read_table(tmp_path / "out" / table["frames_file"])
    assert rows["left"].to_pylist() == [60, 150] and rows["height"].to_pylist() == [80, 85]
    meshes = sorted((tmp_path / "out" / "talk_frames").iterdir())
    assert [path.name for path in meshes] == ["000000.ply", "000002.ply"]
    expression = rows["expression"].to_pylist()[1]
    expected = load_model("embedded").mesh(table["identity"], expression)
    found = trimesh.load(meshes[1], process=False)
    np.testing.assert_allclose(found.vertices, expected.vertices, atol=1e-3)


def _table_of_video(path: Path) -> dict[str, Any]:
    table: dict[str, Any] = json.loads(path.read_text())
    jsonschema.validate(table, schema())
    return table


def test_a_photographs_box_file_is_honoured(weights: Path, tmp_path: Path) -> None:
    Image.fromarray(skimage.data.coffee()[:200, :200]).save(tmp_path / "coffee.png")
    write_boxes(tmp_path / "coffee.boxes.csv", {0: Box(50, 60, 70, 70)})
    _run(tmp_path / "coffee.png", "--out", tmp_path, "--checkpoint", weights, "--formats", "ply")
    box = _table(tmp_path / "coffee.json")["frames"][0]["box_px"]
    assert (box["left"], box["top"], box["width"]) == (50, 60, 70)


def test_labels_that_lie_where_no_face_is_are_doubted(weights: Path, tmp_path: Path) -> None:
    """As those of a picture as its file has it, where Exif turns it."""
    upright = Image.fromarray(skimage.data.astronaut())
    exif = Image.Exif()
    exif[0x0112] = 6
    five = np.add(TEMPLATE, (168, 48))
    lying = np.stack([five[:, 1], 511 - five[:, 0]], axis=1)
    for name, points in (("right", five), ("wrong", lying)):
        path = tmp_path / f"{name}.jpg"
        upright.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)
        np.savetxt(path.with_suffix(".landmarks.txt"), points)
    words = ("--out", tmp_path / "out", "--checkpoint", weights, "--formats", "ply", "--json")
    result = _run(tmp_path / "right.jpg", tmp_path / "wrong.jpg", *words)
    rows = {row["name"]: row for row in json.loads(result.stdout)["portraits"]}
    assert rows["right"]["faces"] == 1 and not rows["right"]["reason"]
    assert "labels lie where no face was found" in rows["wrong"]["reason"]


def test_folders_keep_their_shape_and_a_second_run_keeps_what_is_there(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photographs, out = tmp_path / "photographs", tmp_path / "photographs" / "faces"
    (photographs / "holiday").mkdir(parents=True)
    face = Image.fromarray(skimage.data.astronaut())
    face.save(photographs / "holiday" / "a.png", save_all=True, append_images=[face.rotate(180)])
    (photographs / "bad.jpg").write_bytes(b"nothing")
    command = (photographs, "--out", out, "--checkpoint", weights, "--formats", "ply", "--json")
    first = json.loads(_run(*command).stdout)
    made = (out / "holiday" / "a.ply").stat().st_mtime_ns
    second = json.loads(_run(*command).stdout)
    assert [p["kept"] for p in first["portraits"]] == [False, False]
    rows = {row["name"]: row for row in second["portraits"]}
    assert rows.keys() == {"holiday/a", "bad"} and rows["holiday/a"]["kept"]
    assert rows["holiday/a"]["reason"].startswith("the first of 2 pictures")
    assert rows["bad"]["reason"] and (first["faces"], second["faces"]) == (1, 0)
    assert first["faces_per_second"] == pytest.approx(1 / first["seconds"], rel=0.05)
    assert (out / "holiday" / "a.ply").stat().st_mtime_ns == made
    json.loads(_run(*command, "--redo").stdout)
    assert (out / "holiday" / "a.ply").stat().st_mtime_ns > made
    # A facebench that brings faces to landmarks in another way mixes none of its own with these.
    monkeypatch.setattr(refinement, "REFINING", refinement.REFINING + 1)
    assert json.loads(_run(*command).stdout)["faces"] == 1


def test_all_faces_of_a_photograph(weights: Path, tmp_path: Path) -> None:
    face = skimage.data.astronaut()[20:220, 100:340]
    Image.fromarray(np.concatenate([face, face], axis=1)).save(tmp_path / "two.png")
    common = ("--checkpoint", weights, "--formats", "ply", "--json")
    one = json.loads(_run(tmp_path / "two.png", "--out", tmp_path / "one", *common).stdout)
    both = _run(tmp_path / "two.png", "--out", tmp_path / "both", *common, "--all-faces")
    rows = json.loads(both.stdout)["portraits"]
    assert (one["faces"], rows[0]["faces"]) == (1, 2)
    told = one["portraits"][0]["reason"]
    assert told.startswith("1 other face was seen") and "two.boxes.csv" in told
    assert not rows[0]["reason"]
    boxes = [
        Box(**_table(tmp_path / "both" / f"{name}.json")["frames"][0]["box_px"])
        for name in ("two", "two_face2")
    ]
    assert abs(boxes[0].left - boxes[1].left) == pytest.approx(240, abs=12)
    # What the remark names: a box chooses the other face, and of two the larger is taken.
    write_boxes(tmp_path / "two.boxes.csv", {0: boxes[1]})
    other = json.loads(_run(tmp_path / "two.png", "--out", tmp_path / "one", *common).stdout)
    assert not other["portraits"][0]["reason"] and not other["portraits"][0]["kept"]
    assert _table(tmp_path / "one" / "two.json")["frames"][0]["box_px"]["left"] == boxes[1].left
    with (tmp_path / "two.boxes.csv").open("a") as file:
        file.write(f"0,{boxes[0].left},{boxes[0].top},9,9\n")
    larger = json.loads(_run(tmp_path / "two.png", "--out", tmp_path / "one", *common).stdout)
    assert "1 smaller box of two.boxes.csv left out" in larger["portraits"][0]["reason"]


def test_another_photograph_of_a_name_does_not_replace_the_first(
    pictures: Path, weights: Path, tmp_path: Path
) -> None:
    (tmp_path / "b").mkdir()
    Image.fromarray(skimage.data.astronaut()[:, ::-1]).save(tmp_path / "b" / "astronaut.png")
    common = ("--out", tmp_path / "out", "--checkpoint", weights, "--formats", "ply", "--json")
    _run(pictures / "astronaut.png", *common)
    second = _run(tmp_path / "b" / "astronaut.png", *common, "--redo")
    assert "replace those of" in json.loads(second.stdout)["portraits"][0]["reason"]
    assert second.return_value == 1
    table = _table(tmp_path / "out" / "astronaut.json")
    assert table["source"] == str(pictures / "astronaut.png")


def test_photographs_one_by_one_or_together_give_the_same(
    pictures: Path, weights: Path, tmp_path: Path
) -> None:
    found = []
    for batch in (1, 16):
        out = tmp_path / str(batch)
        _run(pictures, "--out", out, "--checkpoint", weights, "--batch", batch, "--formats", "ply")
        found.append(read_coefficients(out / "astronaut.json"))
    np.testing.assert_allclose(found[0].identity, found[1].identity, atol=1e-5)
    np.testing.assert_allclose(found[0].pose, found[1].pose, atol=1e-5)


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


@pytest.mark.parametrize("method", ["ours", "fitting"])
def test_what_the_package_holds_finds_the_astronauts_face(
    pictures: Path, tmp_path: Path, method: str
) -> None:
    """Eyes and mouth of the photograph, read off by eye, in its 512 x 512 pixels."""
    words = (pictures / "astronaut.png", "--out", tmp_path, "--formats", "ply", "--method", method)
    assert _run(*words, "--landmarks", "none" if method == "ours" else "embedded").return_value == 0
    points = np.array(_table(tmp_path / "astronaut.json")["frames"][0]["landmarks_px"])
    found = [points[36:42].mean(axis=0), points[42:48].mean(axis=0), points[48:60].mean(axis=0)]
    seen = np.array([[201.0, 109.0], [244.0, 108.0], [223.0, 149.0]])
    assert np.linalg.norm(np.array(found) - seen, axis=1).max() < 9.0


def test_a_picture_on_its_side_is_told_how_to_turn(
    shared: Path, weights: Path, tmp_path: Path
) -> None:
    path = shared / "real" / "cases" / "01_astronaut_rolled90.png"
    result = _run(path, "--out", tmp_path / "out", "--checkpoint", weights, "--json")
    (row,) = json.loads(result.stdout)["portraits"]
    turns = {"90° clockwise": -1, "90° anticlockwise": 1}
    quarters = next(number for how, number in turns.items() if how in row["reason"])
    upright = np.rot90(np.asarray(Image.open(path).convert("RGB")), quarters)
    Image.fromarray(upright).save(tmp_path / "upright.png")
    result = _run(tmp_path / "upright.png", "--out", tmp_path / "out", "--checkpoint", weights)
    assert result.return_value == 0


def test_no_path_is_cut_on_a_narrow_terminal_or_read_as_markup(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    path = f"{'photographs/' * 9}one:x:[b].jpg"
    _print([sheet.SourceResult("one", path, 1, 1, ("one.obj",))], Path("out"), 1.0)
    shown = "".join(line[:30].strip() for line in capsys.readouterr().out.splitlines()[1:])
    assert "…" not in shown and path.replace("/", "") in shown.replace("/", "").replace(" ", "")
