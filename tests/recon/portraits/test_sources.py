"""What a user points at for reconstruction."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facebench.errors import FacebenchError
from facebench.recon.portraits.sources import find_sources, read_photograph


def _touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_folders_give_their_pictures_and_videos_sorted(tmp_path: Path) -> None:
    _touch(*(tmp_path / name for name in ("b.JPG", "a.png", "notes.txt", "c.mp4")))
    sources = find_sources([tmp_path])
    assert [source.name for source in sources] == ["a", "b", "c"]
    assert [source.is_video for source in sources] == [False, False, True]


def test_names_are_unique(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [tmp_path / "x" / "me.jpg", tmp_path / "y" / "me.jpg", tmp_path / "y" / "me.png"]
    _touch(*files)
    monkeypatch.chdir(tmp_path)
    sources = find_sources([tmp_path / "x", tmp_path / "y", files[0], Path("x/me.jpg")])
    assert [source.path for source in sources] == files
    assert [source.name for source in sources] == ["me_jpg", "me_jpg_2", "me_png"]
    # The second face of a photograph `a` is called `a_face2`.
    _touch(*(tmp_path / "z" / name for name in ("a.jpg", "a_face2.jpg", "b_face2.jpg")))
    names = [source.name for source in find_sources([tmp_path / "z"])]
    assert names == ["a", "a_face2_jpg", "b_face2"]


def test_a_folder_of_other_things_is_refused(tmp_path: Path) -> None:
    _touch(tmp_path / "notes.txt")
    with pytest.raises(FacebenchError, match="neither photographs nor videos"):
        find_sources([tmp_path])


def test_a_picture_held_sideways_is_turned_upright(tmp_path: Path) -> None:
    pixels = np.zeros((20, 30, 3), np.uint8)
    pixels[:, :10] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    upright = read_photograph(tmp_path / "turned.png")
    np.testing.assert_array_equal(upright, np.rot90(pixels, -1))


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK", "1"])
def test_every_kind_of_picture_becomes_rgb(tmp_path: Path, mode: str) -> None:
    Image.new("RGB", (8, 6), "white").convert(mode).save(tmp_path / "p.tif")
    read = read_photograph(tmp_path / "p.tif")
    assert read.shape == (6, 8, 3) and read.min() >= 254


@pytest.mark.parametrize(("keep", "line"), [(0, "the file is empty"), (400, "cannot be read")])
def test_a_damaged_picture_has_its_line(tmp_path: Path, keep: int, line: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "whole.jpg")
    (tmp_path / "part.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:keep])
    with pytest.raises(FacebenchError, match=line) as caught:
        read_photograph(tmp_path / "part.jpg")
    assert "\n" not in str(caught.value)


def test_folders_below_are_searched_but_not_the_results(tmp_path: Path) -> None:
    names = ("b/deep/x.png", "b/x.jpg", "b/.thumbnails/x.jpg", "out/x_sheet.png", "a.b.png")
    _touch(*(tmp_path / name for name in names))
    sources = find_sources([tmp_path], leave_out=tmp_path / "out")
    assert [source.name for source in sources] == ["a.b", "b/deep/x", "b/x"]


def test_a_box_file_lies_beside(tmp_path: Path) -> None:
    _touch(tmp_path / "a.mp4", tmp_path / "a.boxes.csv", tmp_path / "b.mp4")
    first, second = find_sources([tmp_path])
    assert first.boxes == tmp_path / "a.boxes.csv" and second.boxes is None


def test_labels_of_systems_that_write_large(tmp_path: Path) -> None:
    _touch(tmp_path / "a.jpg", tmp_path / "a.PTS", tmp_path / "b.jpg", tmp_path / "b.boxes.CSV")
    _touch(tmp_path / "c.jpg", tmp_path / "c.landmarks.TXT")
    first, second, third = find_sources([tmp_path])
    assert first.landmarks == tmp_path / "a.PTS"
    assert second.boxes == tmp_path / "b.boxes.CSV"
    assert third.landmarks == tmp_path / "c.landmarks.TXT"
