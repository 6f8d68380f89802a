"""CelebAMask-HQ's folders, made small, byte for byte as they are laid out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facebench.errors import FacebenchError
from facebench.recon.recipes.files import load_any_recipe
from facebench.recon.synthetic.appearance import CLASS
from facebench.recon.training.run import TrainingJob, make_loop, train_worker
from facebench.recon.training.tasks.parser import CelebAMaskFaces
from facebench.recon.training.workers import Worker

SIDE = 16


def rectangle(top: int, bottom: int, left: int, right: int) -> np.ndarray:
    part = np.zeros((SIDE, SIDE, 3), np.uint8)
    part[top:bottom, left:right] = 255
    return part


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Face 3 and face 2001, which lies in the second numbered folder."""
    (tmp_path / "CelebA-HQ-img").mkdir()
    for number, colour in ((3, 40), (2001, 200)):
        Image.fromarray(np.full((2 * SIDE, 2 * SIDE, 3), colour, np.uint8)).save(
            tmp_path / "CelebA-HQ-img" / f"{number}.jpg"
        )
    parts = tmp_path / "CelebAMask-HQ-mask-anno"
    for name, picture in {
        "0/00003_skin": rectangle(2, 14, 2, 14),
        "0/00003_hair": rectangle(0, 4, 0, 16),
        "0/00003_eye_g": rectangle(6, 8, 3, 13),
        "0/00003_l_eye": rectangle(6, 8, 4, 6),
        "0/00003_neck_l": rectangle(15, 16, 0, 16),
        "1/02001_skin": rectangle(0, 16, 0, 16),
        "1/02001_hat": rectangle(0, 8, 0, 16),
    }.items():
        path = parts / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)
    return tmp_path


def test_parts_join_to_one_mask_and_later_ones_lie_on_top(folder: Path) -> None:
    faces = CelebAMaskFaces(folder)
    assert len(faces) == 2
    first = faces.sample(0)
    expected = np.zeros((SIDE, SIDE), np.uint8)
    expected[2:14, 2:14] = CLASS["skin"]
    expected[6:8, 3:13] = CLASS["eye_glasses"]
    expected[15] = CLASS["necklace"]
    expected[:4] = CLASS["hair"]
    np.testing.assert_array_equal(first.mask, expected)
    assert first.image.shape == (SIDE, SIDE, 3)
    assert np.isnan(first.landmarks).all()


def test_numbers_from_2000_on_lie_in_the_next_folder(folder: Path) -> None:
    sample = CelebAMaskFaces(folder).sample(1)
    assert (sample.mask[:8] == CLASS["hat"]).all()
    assert (sample.mask[8:] == CLASS["skin"]).all()
    assert abs(int(sample.image.mean()) - 200) <= 2


def test_a_face_without_parts_or_with_a_broken_one_is_told(folder: Path) -> None:
    (folder / "CelebAMask-HQ-mask-anno/1/02001_hat.png").write_bytes(b"no picture")
    with pytest.raises(FacebenchError, match="cannot be read"):
        CelebAMaskFaces(folder).sample(1)
    for path in (folder / "CelebAMask-HQ-mask-anno/0").iterdir():
        path.unlink()
    with pytest.raises(FacebenchError, match="no parts of face 00003"):
        CelebAMaskFaces(folder).sample(0)


def test_a_part_of_another_shape_is_told(folder: Path) -> None:
    """The photograph would be brought to it, and a part of one pixel's width takes all memory."""
    path = folder / "CelebAMask-HQ-mask-anno" / "0" / "00003_skin.png"
    Image.fromarray(np.zeros((64, 1), np.uint8)).save(path)
    with pytest.raises(FacebenchError, match=r"00003_skin\.png is 1 x 64 pixels, not square"):
        CelebAMaskFaces(folder).sample(0)


def test_a_parser_trains_on_it_and_a_landmarker_cannot(folder: Path, tmp_path: Path) -> None:
    small = ["network.image_size=32", "network.width=4", "training.batch_size=2"]
    steps = ["training.steps=1", "training.log_every=1", "training.checkpoint_every=1"]
    recipe = load_any_recipe("parser", [*small, *steps])
    job = TrainingJob(folder, recipe, "embedded", tmp_path / "out")
    train_worker(job, Worker(), lambda row: None)
    assert job.folder.weights.is_file()
    other = replace(job, recipe=load_any_recipe("landmarker"))
    with pytest.raises(FacebenchError, match="has no landmarks to learn from"):
        make_loop(other, Worker(), lambda row: None)


def test_another_folder_is_refused(tmp_path: Path) -> None:
    assert not CelebAMaskFaces.is_at(tmp_path)
    with pytest.raises(FacebenchError, match="holds no CelebAMask-HQ-mask-anno"):
        CelebAMaskFaces(tmp_path)
