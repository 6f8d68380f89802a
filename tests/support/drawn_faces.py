"""Faces of a model, drawn over grey: everything about them is known."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from facebench.recon.face.coefficients import Coefficients, CoefficientSizes
from facebench.recon.face.crop import mean_face_pose
from facebench.recon.face.imaging import ambient_light
from facebench.recon.morphable.model import MorphableModel
from facebench.recon.render.face import FaceRenderer


@dataclass(frozen=True)
class Drawn:
    """Pictures (B, 3, S, S), landmarks (68, 2, B) px, and the faces in them."""

    images: Tensor
    landmarks: Tensor
    faces: Coefficients


@torch.no_grad()
def draw(face: FaceRenderer, faces: Coefficients) -> Drawn:
    """The faces over grey."""
    rendering, landmarks = face(faces)
    images = rendering.image + 0.5 * rendering.background_weight.unsqueeze(1)
    return Drawn(images, landmarks, faces)


def some_faces(model: MorphableModel, batch: int) -> Coefficients:
    """People of the model turned by up to 30 degrees under a light from above."""
    generator = torch.Generator().manual_seed(4)
    sizes = CoefficientSizes.of(model)
    identity, expression, albedo = (
        torch.randn(batch, size, generator=generator)
        for size in (sizes.identity, sizes.expression, sizes.albedo)
    )
    pose = torch.from_numpy(mean_face_pose(model)).float().repeat(batch, 1)
    pose[:, 1] = torch.linspace(-1, 1, batch) * math.radians(30)
    pose[:, 0] = torch.linspace(0.1, -0.1, batch)
    light = ambient_light(batch)
    light[:, 1:3] = torch.tensor([0.4, 0.5]).view(1, 2, 1)
    return Coefficients(identity, 0.4 * expression, albedo, pose, light)
