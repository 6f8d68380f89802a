"""Box files are read as written, and a wrong line is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from facebench.errors import FacebenchError
from facebench.recon.face.crop import HEADER, Box, check_inside, read_boxes, write_boxes


def test_round_trip(tmp_path: Path) -> None:
    boxes = {0: Box(1.5, -2.0, 30.25, 40.0), 7: Box(3, 4, 5, 6)}
    write_boxes(tmp_path / "b.csv", boxes)
    assert read_boxes(tmp_path / "b.csv") == boxes


def test_no_lines_is_no_face(tmp_path: Path) -> None:
    write_boxes(tmp_path / "b.csv", {})
    assert read_boxes(tmp_path / "b.csv") == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not a face box file"),
        ("1,2,3,4,5\n", "not a face box file"),
        (f"{HEADER}\n0,1,2,3\n", "line 2"),
        (f"{HEADER}\n0,1,2,3,4\n1,a,2,3,4\n", "line 3"),
        (f"{HEADER}\n0,1,2,0,4\n", "no area"),
        (f"{HEADER}\n0,nan,2,3,4\n", "no area"),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "b.csv"
    path.write_text(text)
    with pytest.raises(FacebenchError, match=said):
        read_boxes(path)


@pytest.mark.parametrize(
    ("box", "inside"),
    [
        (Box(10, 10, 50, 60), True),
        (Box(-20, 90, 60, 60), True),
        (Box(0, 0, 160, 120), True),
        (Box(-100, -100, 1000, 1000), False),
        (Box(140, 100, 60, 60), False),
        (Box(300, 20, 50, 60), False),
        (Box(-90, 20, 50, 60), False),
    ],
)
def test_a_box_elsewhere_is_no_face(box: Box, inside: bool) -> None:
    picture = np.zeros((120, 160, 3), np.uint8)
    if inside:
        assert check_inside(box, picture) is box
        return
    with pytest.raises(FacebenchError, match="outside of the picture, 160 x 120 px"):
        check_inside(box, picture)
