"""A picture of the embedded face shows a face."""

from __future__ import annotations

import numpy as np
import torch
from skimage.data import lbp_frontal_face_cascade_filename
from skimage.feature import Cascade

from facebench.recon.face.coefficients import Coefficients
from facebench.recon.face.crop import mean_face_pose
from facebench.recon.face.imaging import ambient_light
from facebench.recon.morphable.model import MorphableModel
from facebench.recon.render.face import FaceDecoder, FaceRenderer
from facebench.recon.render.outline import OutlineRenderer


def test_cascade_finds_the_mean_and_random_faces(model: MorphableModel) -> None:
    """Frames are searched by a cascade trained on photographs: the judge of what is a face."""
    cascade = Cascade(lbp_frontal_face_cascade_filename())
    coefficients = _random_faces(model, 21)
    outline = OutlineRenderer(background=(0.5, 0.5, 0.5))
    renderer = FaceRenderer(FaceDecoder(model), outline, (240, 240))
    with torch.no_grad():
        images = renderer(coefficients)[0].image.clamp(0, 1)
    pictures = (images.permute(0, 2, 3, 1) * 255).round().to(torch.uint8).numpy()
    found = [_finds_face(cascade, picture) for picture in pictures]
    assert found[0] and sum(found) >= 19


def _finds_face(cascade: Cascade, picture: np.ndarray) -> bool:
    return bool(
        cascade.detect_multi_scale(
            picture, scale_factor=1.1, step_ratio=1, min_size=(60, 60), max_size=(200, 200)
        )
    )


def _random_faces(model: MorphableModel, count: int) -> Coefficients:
    """The mean face and random ones within 20 degrees of yaw and 10 of pitch, lit from a side."""
    random = np.random.default_rng(1)
    names = (model.identity_names, model.expression_names, model.albedo_names)
    parts = [random.normal(size=(count, len(part))) for part in names]
    parts[1] *= 0.6
    pose = np.zeros((count, 7))
    pose[:, :2] = random.uniform(-1.0, 1.0, (count, 2)) * np.radians([10.0, 20.0])
    pose[:, 6] = 0.7 * mean_face_pose(model)[6]
    for part in (*parts, pose[:, :2]):
        part[0] = 0.0
    light = ambient_light(count)
    light[:, 1:3] += torch.as_tensor(random.uniform(0.1, 0.3, (count, 2, 1)))
    light[:, 3] += torch.as_tensor(random.uniform(-0.25, 0.25, (count, 1)))
    tensors = [torch.as_tensor(part, dtype=torch.float32) for part in (*parts, pose)]
    return Coefficients(*tensors, light)
