"""The pictures of a pair show each error where it is and in its colour."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.spatial.transform import Rotation

from facebench.recon.mesh import Mesh
from facebench.recon.morphable.procedural import procedural_model
from facebench.results.figures.errors import coloured, write_curve, write_heat_map
from facebench.results.report.heat_maps import error_colours


@pytest.fixture(scope="module")
def panels(tmp_path_factory: pytest.TempPathFactory) -> list[NDArray[np.uint8]]:
    """Left, middle and right third of a picture of a face that is wrong on its own left side."""
    face = procedural_model(0, 2000).mesh()
    errors = np.where(face.vertices[:, 0] > 0, 5.0, 0.0)
    pose = Rotation.random(rng=np.random.default_rng(1)).as_matrix()
    posed = replace(face, vertices=face.vertices @ pose.T + 300.0)
    path = tmp_path_factory.mktemp("pictures") / "heat.png"
    write_heat_map(path, posed, errors, pose.T, r"$\face$.obj")
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    width = pixels.shape[1] * 10 // 11 // 3
    return [pixels[:, start : start + width] for start in (0, width, 2 * width)]


def dark_red(pixels: NDArray[np.uint8]) -> int:
    red, green, blue = pixels.reshape(-1, 3).astype(int).T
    return int(((red > 50) & (red < 140) & (green < 40) & (blue < 50)).sum())


def test_each_view_shows_its_side(panels: list[NDArray[np.uint8]]) -> None:
    from_left, front, from_right = map(dark_red, panels)
    assert from_left > 1.5 * front > 1.5 * 1.5 * from_right


def test_the_front_has_the_subject_s_left_on_the_right(panels: list[NDArray[np.uint8]]) -> None:
    middle = panels[1].shape[1] // 2
    assert dark_red(panels[1][:, middle:]) > 20 * (dark_red(panels[1][:, :middle]) + 1)


def test_files_carry_the_colours() -> None:
    mesh = Mesh(np.zeros((3, 3)), np.array([[0, 1, 2]]))
    errors = np.array([0.0, 5.0, np.nan])
    np.testing.assert_array_equal(coloured(mesh, errors).colours, error_colours(errors))


@pytest.mark.parametrize(
    "title", ["a title", r"$\face$.obj on a scan", "cost$$.ply", "caf\udce9.obj"]
)
def test_the_curve_is_a_picture_whatever_its_files_are_called(tmp_path: Path, title: str) -> None:
    write_curve(tmp_path / "deep" / "curve.png", np.linspace(0, 1, 101), title)
    with Image.open(tmp_path / "deep" / "curve.png") as picture:
        assert picture.format == "PNG" and min(picture.size) > 400
