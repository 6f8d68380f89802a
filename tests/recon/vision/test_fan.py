"""Nothing is downloaded: what is missing is told with where to put it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from facebench.errors import FacebenchError
from facebench.recon.face.crop import Box
from facebench.recon.vision.landmarks import FAN_FILE, SFD_FILE, SfdDetector, make_landmark_detector
from facebench.recon.weights.catalogue import torch_checkpoints


@pytest.fixture
def checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = torch_checkpoints()
    assert folder == tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def test_missing_weights_are_named_with_their_place(checkpoints: Path) -> None:
    with pytest.raises(FacebenchError, match=FAN_FILE) as caught:
        make_landmark_detector("fan")
    assert str(checkpoints) in caught.value.hint
    with pytest.raises(FacebenchError, match=SFD_FILE):
        SfdDetector()


def test_a_page_in_place_of_the_weights_is_told(checkpoints: Path) -> None:
    (checkpoints / FAN_FILE).write_text("<!doctype html><title>404</title>")
    with pytest.raises(FacebenchError, match="is a web page"):
        make_landmark_detector("fan")


def test_without_the_library_its_install_command_is_told(
    checkpoints: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "face_alignment", None)
    (checkpoints / FAN_FILE).write_bytes(b"PK")
    with pytest.raises(FacebenchError, match=r"pip install 'facebench\[landmarks\]'"):
        make_landmark_detector("fan")


def test_the_library_places_landmarks_in_the_given_box(checkpoints: Path) -> None:
    """With untrained weights of the right names: points fall anywhere in the box's crop."""
    models = pytest.importorskip("face_alignment.models")
    torch.manual_seed(0)
    torch.save(models.FAN(4).state_dict(), checkpoints / FAN_FILE)
    detector = make_landmark_detector("fan")
    frame = np.random.default_rng(0).integers(0, 255, (300, 400, 3), dtype=np.uint8)
    boxes = [Box(200, 60, 80, 100), Box(40, 120, 60, 60)]
    found = detector.landmarks([frame, frame], boxes)
    assert found.shape == (2, 68, 2)
    for points, box in zip(found, boxes, strict=True):
        reach = 1.2 * (box.width + box.height)
        centre = np.array([box.left + box.width / 2, box.top + box.height / 2])
        assert np.abs(points - centre).max() < reach


class TwoFaces:
    """A detector that always finds the same two faces, the smaller first."""

    reference_scale = 195

    def detect_from_image(self, frame: np.ndarray) -> list[np.ndarray]:
        return [np.array([10, 10, 50, 60, 0.9]), np.array([150, 40, 260, 170, 0.8])]


def test_the_librarys_detector_gives_landmark_boxes_largest_first(checkpoints: Path) -> None:
    models = pytest.importorskip("face_alignment.models")
    sfd = pytest.importorskip("face_alignment.detection.sfd.net_s3fd")
    torch.manual_seed(0)
    torch.save(models.FAN(4).state_dict(), checkpoints / FAN_FILE)
    torch.save(sfd.s3fd().state_dict(), checkpoints / SFD_FILE)
    detector = SfdDetector()
    detector._aligner.face_detector = TwoFaces()  # untrained, it would find thousands
    frame = np.random.default_rng(0).integers(0, 255, (240, 320, 3), dtype=np.uint8)
    given = detector._aligner.face_detector.detect_from_image(frame)[::-1]
    points = detector._aligner.get_landmarks_from_image(frame, detected_faces=given)
    first, second = detector.detect_all(frame)
    # Edges lie between pixels and landmarks count from their centres: half a pixel apart.
    edges = [(box.left, box.top) for box in (first, second)]
    np.testing.assert_allclose(edges, [own.min(axis=0) + 0.5 for own in points], rtol=1e-5)
    assert detector.detect(frame) == first
    assert abs(first.left + first.width / 2 - 205) < 110
    assert abs(second.left + second.width / 2 - 30) < 45
