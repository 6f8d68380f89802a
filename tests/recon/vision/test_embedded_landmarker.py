"""The landmarker that comes with the package, on faces it has not seen."""

from __future__ import annotations

import numpy as np
import torch
from skimage.data import astronaut

from facebench.recon.face.crop import Box, box_of_points
from facebench.recon.losses.landmarks import FRAME
from facebench.recon.morphable.load import load_model
from facebench.recon.synthetic.faces import FaceSampler
from facebench.recon.vision.landmarks import make_landmark_detector
from facebench.recon.vision.recognition import five_points

SIZE = 112


def test_synthetic_people_of_another_seed() -> None:
    sampler = FaceSampler(load_model("embedded"), seed=77, image_size=SIZE)
    faces = [sampler.face(subject, 0) for subject in range(12)]
    boxes = [box_of_points(face.landmarks) for face in faces]
    found = make_landmark_detector().landmarks([face.image for face in faces], boxes)
    errors = np.linalg.norm(found - np.stack([face.landmarks for face in faces]), axis=2)
    assert np.median(errors.mean(axis=1)) * FRAME / SIZE < 4.0


def test_a_photograph_of_a_real_face() -> None:
    """Eyes and mouth corners by hand, from a four-fold enlargement of the picture."""
    box = Box(180.8, 93.1, 83.1, 83.1)
    (found,) = make_landmark_detector().landmarks([astronaut()], [box])
    points = five_points(torch.from_numpy(found)[..., None])[0].numpy()
    eyes = np.array([[202.7, 100.7], [246.7, 102.2]])
    mouth = np.array([[204.5, 140.7], [245.7, 141.0]])
    np.testing.assert_allclose(points[:2], eyes, atol=4.0)
    np.testing.assert_allclose(points[3:], mouth, atol=8.0)
