"""From photographs to rows: what is kept, what is not, and why."""

from __future__ import annotations

import io
import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from labelled_photographs import SIZE, person, write_pair, write_photograph
from PIL import Image
from skimage.data import astronaut

from facebench.recon.face.crop import Box
from facebench.recon.face.labels import TEMPLATE
from facebench.recon.network.dense import LandmarkNetwork
from facebench.recon.preparation.candidates import (
    PhotographFaces,
    PreparationSettings,
    find_faces,
)
from facebench.recon.preparation.labelling import CropParser, label_faces
from facebench.recon.preparation.listing import list_photographs
from facebench.recon.preparation.patch import Framed, perceptual_hash
from facebench.recon.preparation.rows import (
    WHOLE_PHOTOGRAPH,
    Reason,
    RejectedError,
    WorkRow,
)
from facebench.recon.vision.detect import CascadeDetector
from facebench.recon.vision.landmarks import LandmarkDetector, NetworkLandmarks

DETECTOR = CascadeDetector()
SETTINGS = PreparationSettings()


def found(folder: Path, settings: PreparationSettings = SETTINGS) -> list[PhotographFaces]:
    listing = list_photographs([folder])
    return [find_faces(item, DETECTOR, settings) for item in listing.photographs]


def rows_of(
    folder: Path,
    finder: LandmarkDetector | None = None,
    parser: CropParser | None = None,
    settings: PreparationSettings = SETTINGS,
) -> list[WorkRow]:
    return label_faces(
        pickle.loads(pickle.dumps(found(folder, settings))), finder, parser, settings
    )


def reason(row: WorkRow) -> Reason | None:
    return row.fate.reason if isinstance(row.fate, RejectedError) else None


def test_a_labelled_photograph_becomes_a_training_face(tmp_path: Path) -> None:
    write_photograph(tmp_path / "a.png", 0)
    (row,) = rows_of(tmp_path)
    assert isinstance(row.fate, Framed) and row.box is not None
    face = person(0)
    assert row.box.left == pytest.approx(face.landmarks[:, 0].min() + 0.5, abs=1e-2)
    columns = row.columns()
    image = np.asarray(Image.open(io.BytesIO(columns["image"])))
    mask = np.asarray(Image.open(io.BytesIO(columns["mask"])))
    assert image.shape == (224, 224, 3) and mask.shape == (224, 224)
    landmarks = np.reshape(columns["landmarks"], (68, 2))
    scale = 224 * 0.62 / max(row.box.width, row.box.height)
    spread = np.ptp(face.landmarks, axis=0) * scale
    np.testing.assert_allclose(np.ptp(landmarks, axis=0), spread, rtol=1e-3)
    shares = [np.mean(m == 1) / np.mean(m > 0) for m in (mask, face.mask)]
    assert shares[0] == pytest.approx(shares[1], abs=0.25)


def test_two_faces_give_the_main_one_or_both(tmp_path: Path) -> None:
    write_pair(tmp_path / "two.jpg", 1, 5)
    main, other = sorted(rows_of(tmp_path), key=lambda row: reason(row) is not None)
    assert (main.face, reason(main)) == (1, None)
    assert (other.face, reason(other)) == (0, Reason.OTHER_FACE)
    both = rows_of(tmp_path, settings=PreparationSettings(all_faces=True))
    assert [row.face for row in both] == [0, 1]
    assert all(row.box and row.box.left > SIZE for row in both[:1])
    assert reason(both[1]) is None
    # The half-sized face is 60 px long or so.
    assert reason(both[0]) in (None, Reason.TOO_SMALL)


@pytest.mark.parametrize("away", [1000.0, -170.0])
def test_a_face_beyond_the_edge_is_its_own_row(tmp_path: Path, away: float) -> None:
    """As of a model that was fitted to a group: the others of the photograph stay."""
    write_photograph(tmp_path / "a.png", 0, mask=False).with_suffix(".pts").unlink()
    inside = person(0).landmarks
    beyond = person(5).landmarks / 2 + [away, 0.0]
    np.savetxt(tmp_path / "a.txt", np.concatenate([inside, beyond]))
    kept, cut = rows_of(tmp_path, settings=PreparationSettings(all_faces=True))
    assert (reason(kept), reason(cut)) == (None, Reason.CUT)
    np.savetxt(tmp_path / "a.txt", np.concatenate([beyond, beyond]))
    (row,) = rows_of(tmp_path)
    assert (row.face, reason(row)) == (WHOLE_PHOTOGRAPH, Reason.SIDECAR)


def test_the_detector_finds_both_faces_of_a_photograph(tmp_path: Path) -> None:
    """A real photograph and its mirror image side by side, without label files."""
    one = astronaut()
    Image.fromarray(np.concatenate([one, one[:, ::-1]], axis=1)).save(tmp_path / "two.png")
    (photograph,) = found(tmp_path, PreparationSettings(all_faces=True))
    centres = sorted(c.box.left + c.box.width / 2 for c in photograph.candidates)
    assert centres == pytest.approx([224, 1024 - 224], abs=12)
    (photograph,) = found(tmp_path)
    assert len(photograph.candidates) == len(photograph.rejected) == 1
    assert {reason(row) for row in rows_of(tmp_path)} == {Reason.NO_LANDMARKS, Reason.OTHER_FACE}


def test_landmarks_of_a_picture_before_it_is_turned_are_refused(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    five = np.add(TEMPLATE, (168, 48))
    lying = np.stack([five[:, 1], 511 - five[:, 0]], axis=1)
    # Of a group somebody labels one, and the detector finds another.
    other = np.add(TEMPLATE, (380, 380))
    for name, points in (("other", other), ("right", five), ("wrong", lying)):
        picture = Image.fromarray(astronaut()).transpose(Image.Transpose.ROTATE_90)
        picture.save(tmp_path / f"{name}.jpg", exif=exif)
        np.savetxt(tmp_path / f"{name}.txt", points)
    other, right, wrong = found(tmp_path)
    assert len(other.candidates) == len(right.candidates) == 1 and not wrong.candidates
    ((_, _, why),) = wrong.rejected
    assert why.reason is Reason.SIDECAR and "before it is turned" in str(why)


def test_files_that_are_no_photographs_are_rows(tmp_path: Path) -> None:
    whole = write_photograph(tmp_path / "a.jpg", 0).read_bytes()
    (tmp_path / "torn.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "junk.png").write_bytes(b"no picture")
    Image.new("RGB", (300, 200), (80, 120, 90)).save(tmp_path / "meadow.jpg")
    write_photograph(tmp_path / "points.jpg", 1)
    (tmp_path / "points.pts").write_text("no points")
    write_photograph(tmp_path / "mask.jpg", 2)
    Image.new("RGB", (200, 200)).save(tmp_path / "mask_mask.png")
    rows = {Path(row.source).stem: row for row in rows_of(tmp_path)}
    assert {name: reason(row) for name, row in rows.items()} == {
        "a": None,
        "torn": Reason.UNREADABLE,
        "junk": Reason.UNREADABLE,
        "meadow": Reason.NO_FACE,
        "points": Reason.SIDECAR,
        "mask": Reason.SIDECAR,
    }
    assert rows["torn"].face == WHOLE_PHOTOGRAPH and len(rows["torn"].sha256) == 64


def test_a_missing_file_is_a_row(tmp_path: Path) -> None:
    write_photograph(tmp_path / "a.jpg", 0)
    listing = list_photographs([tmp_path])
    (tmp_path / "a.jpg").unlink()
    faces = find_faces(listing.photographs[0], DETECTOR, PreparationSettings())
    ((_, _, why),) = faces.rejected
    assert why.reason is Reason.UNREADABLE and "a.jpg" in why.detail


def test_without_landmarks_there_is_no_face(tmp_path: Path) -> None:
    write_photograph(tmp_path / "a.png", 6)
    (tmp_path / "a.pts").unlink()
    (row,) = rows_of(tmp_path)
    assert reason(row) is Reason.NO_LANDMARKS


def test_landmarks_of_an_untrained_network_are_not_believed(tmp_path: Path) -> None:
    write_photograph(tmp_path / "a.png", 6)
    (tmp_path / "a.pts").unlink()
    network = NetworkLandmarks(LandmarkNetwork(width=8, image_size=64))
    (row,) = rows_of(tmp_path, network)
    assert reason(row) is Reason.IMPLAUSIBLE


class Known:
    """Landmarks and masks that are known, wherever a patch or crop was cut."""

    def landmarks(self, frames: Sequence[np.ndarray], boxes: Sequence[Box]) -> np.ndarray:
        assert all(box.width > 20 for box in boxes)
        # Patches of these small photographs are copies, so their corner is found by its content.
        return np.stack([_corner(frame) + person(6).landmarks for frame in frames])

    def __call__(self, crops: np.ndarray) -> np.ndarray:
        return np.full(crops.shape[:3], 17, np.uint8)


def _corner(patch: np.ndarray) -> np.ndarray:
    """Where the photograph's first pixel lies in a patch, which is black beyond it."""
    inside = patch.max(axis=2) > 0
    return np.array([inside.any(axis=0).argmax(), inside.any(axis=1).argmax()], np.float32)


def test_networks_are_asked_where_files_are_missing(tmp_path: Path) -> None:
    write_photograph(tmp_path / "given.png", 6)
    write_photograph(tmp_path / "asked.png", 6, mask=False)
    (tmp_path / "asked.pts").unlink()
    asked, given = rows_of(tmp_path, Known(), Known())
    assert isinstance(asked.fate, Framed) and isinstance(given.fate, Framed)
    np.testing.assert_allclose(asked.fate.landmarks, given.fate.landmarks, atol=0.01)
    assert perceptual_hash(asked.fate.image) == perceptual_hash(given.fate.image)
    assert asked.fate.mask is not None and given.fate.mask is not None
    assert set(np.unique(asked.fate.mask)) == {0, 17}
    assert 17 not in given.fate.mask or (given.fate.mask == 1).any()
    # Beyond the photograph's edge nothing is parsed.
    assert (asked.fate.mask[asked.fate.image.max(axis=2) > 20] == 17).mean() > 0.99


def test_rows_keep_the_order_of_the_photographs(tmp_path: Path) -> None:
    for name, number in (("c", 0), ("a", 1), ("b", 2)):
        write_photograph(tmp_path / f"{name}.jpg", number)
    (tmp_path / "b.jpg").write_bytes(b"junk")
    assert [Path(row.source).stem for row in rows_of(tmp_path)] == ["a", "b", "c"]
