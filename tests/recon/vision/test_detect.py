"""The embedded detector on a photograph and on rendered faces whose landmarks are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from skimage.data import astronaut

from facebench.recon.face.coefficients import Coefficients, CoefficientSizes
from facebench.recon.face.crop import Box, mean_face_pose
from facebench.recon.face.imaging import ambient_light
from facebench.recon.morphable.load import load_model
from facebench.recon.render import make_renderer
from facebench.recon.render.face import FaceDecoder, FaceRenderer
from facebench.recon.vision.detect import CascadeDetector

N_FACES = 24
SIZE = (240, 320)


@pytest.fixture(scope="module")
def detector() -> CascadeDetector:
    return CascadeDetector()


@pytest.fixture(scope="module")
def rendered() -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Pictures (N, H, W, 3) and landmarks (N, 68, 2) of embedded faces turned up to 20 degrees."""
    model = load_model("embedded")
    sizes = CoefficientSizes.of(model)
    renderer = FaceRenderer(FaceDecoder(model), make_renderer("outline"), SIZE)
    random = torch.Generator().manual_seed(1)

    def draw(columns: int, scale: float) -> torch.Tensor:
        return scale * torch.randn(N_FACES, columns, generator=random)

    y, scale = mean_face_pose(model)[[4, 6]].tolist()
    size = 0.5 + 0.4 * torch.rand(N_FACES, generator=random)
    pose = torch.zeros(N_FACES, 7)
    pose[:, :3] = (torch.rand(N_FACES, 3, generator=random) - 0.5) * torch.tensor([0.2, 0.7, 0.2])
    pose[:, 3] = (torch.rand(N_FACES, generator=random) - 0.5) * 0.4
    pose[:, 4], pose[:, 6] = y * size, scale * size
    parts = (draw(sizes.identity, 1.0), draw(sizes.expression, 0.3), draw(sizes.albedo, 0.5))
    faces = renderer(Coefficients(*parts, pose, ambient_light(N_FACES)))
    grey = faces[0].background_weight[:, None] * 0.45
    pictures = (faces[0].image + grey).clamp(0, 1).permute(0, 2, 3, 1).detach().numpy()
    landmarks = faces[1].permute(2, 0, 1).detach().numpy().astype(np.float64)
    return (pictures * 255).round().astype(np.uint8), landmarks


def centre(box: Box) -> NDArray[np.float64]:
    return np.array([box.left + box.width / 2, box.top + box.height / 2])


def test_finds_the_photographed_face(detector: CascadeDetector) -> None:
    box = detector.detect(astronaut())
    assert box is not None
    eyes, chin = (205.0, 108.0), (222.0, 176.0)
    for x, y in (eyes, chin):
        assert box.left < x < box.left + box.width
        assert box.top - 5 < y < box.top + box.height + 5
    assert 65 < box.width < 110


@pytest.mark.parametrize("factor", [0.75, 2.0])
def test_the_box_scales_with_the_picture(detector: CascadeDetector, factor: float) -> None:
    picture = Image.fromarray(astronaut())
    side = round(512 * factor)
    first, other = (
        detector.detect(astronaut()),
        detector.detect(np.asarray(picture.resize((side, side), Image.Resampling.LANCZOS))),
    )
    assert first is not None and other is not None
    np.testing.assert_allclose(centre(other) / factor, centre(first), atol=0.1 * first.width)
    assert other.width / factor == pytest.approx(first.width, rel=0.12)


def test_the_box_moves_with_the_picture(detector: CascadeDetector) -> None:
    first = detector.detect(astronaut())
    moved = np.zeros((512, 512, 3), np.uint8)
    moved[40:, 64:] = astronaut()[:-40, :-64]
    second = detector.detect(moved)
    assert first is not None and second is not None
    np.testing.assert_allclose(centre(second) - centre(first), (64, 40), atol=0.08 * first.width)


@pytest.mark.parametrize("shape", [(240, 320), (20, 20), (1080, 1920), (1, 1)])
def test_a_picture_without_a_face(detector: CascadeDetector, shape: tuple[int, int]) -> None:
    rows, columns = np.indices(shape)
    smooth = np.stack([(rows + columns) % 256, columns % 256, rows % 256], axis=2)
    assert detector.detect(smooth.astype(np.uint8)) is None


def test_two_detectors_agree(detector: CascadeDetector) -> None:
    assert detector.detect(astronaut()) == CascadeDetector().detect(astronaut())


def test_calibration_on_rendered_faces(
    detector: CascadeDetector, rendered: tuple[NDArray[np.uint8], NDArray[np.float64]]
) -> None:
    pictures, landmarks = rendered
    boxes = [detector.detect(picture) for picture in pictures]
    assert sum(box is not None for box in boxes) >= 0.7 * N_FACES
    ratios, shifts = [], []
    for box, points in zip(boxes, landmarks, strict=True):
        if box is not None:
            low, high = points.min(axis=0), points.max(axis=0)
            side = float((high - low).max())
            ratios.append(box.width / side)
            shifts.append((centre(box) - (low + high) / 2) / side)
    assert np.median(ratios) == pytest.approx(1.0, abs=0.08)
    np.testing.assert_allclose(np.median(shifts, axis=0), 0.0, atol=0.06)


@pytest.mark.parametrize("turned", [False, True], ids=["panorama", "long screenshot"])
def test_a_face_in_a_long_picture_is_found(detector: CascadeDetector, turned: bool) -> None:
    face = astronaut()[:340, 60:400]
    size = (3600, 600) if turned else (600, 3600)
    picture = np.full((*size, 3), 110, np.uint8)
    top, left = (2000, 130) if turned else (130, 2000)
    picture[top : top + 340, left : left + 340] = face
    box, own = detector.detect(picture), detector.detect(face)
    assert box is not None and own is not None
    assert np.allclose(np.subtract(box.centre, own.centre), (left, top), atol=0.1 * own.width)
    assert box.width == pytest.approx(own.width, rel=0.2)
    assert detector.detect_all(picture)[0] == box
