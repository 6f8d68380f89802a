"""Which points of the surface a photograph shows, told by the renderer."""

from __future__ import annotations

import torch
from torch import Tensor

from ..camera import project, rotate, rotation_matrix
from ..coefficients import Coefficients
from ..render.face import FaceRenderer
from .photographs import look_up
from .shading import ShadedPoints
from .surface_points import SurfacePoints

_DEPTH_MM = 8.0
"""A point lies in sight when nothing is drawn so much nearer: more than a slope over a pixel, less
than a nose before a cheek."""


@torch.no_grad()
def seen_weights(
    face: FaceRenderer, points: SurfacePoints, shaded: ShadedPoints, faces: Coefficients
) -> Tensor:
    """Share (N, B) of the picture that each point stands for, 0 where it is hidden or outside.

    The points lie evenly on the surface, so one seen aslant stands for less.

    Args:
        face: draws the faces.
        points: of the surface.
        shaded: where they are.
        faces: the same faces.
    """
    shape = face.decoder.shape(faces.identity, faces.expression)
    vertices = project(rotate(shape, rotation_matrix(faces.pose[:, :3])), faces.pose)
    depth = vertices[:, 2:].expand(-1, 3, -1)
    drawn = face.renderer(vertices, depth, face.decoder.triangles, face.image_size).image
    place = vertices.index_select(0, points.vertices)
    ahead = look_up(drawn[:, :1], place, mode="nearest")[:, 0] - place[:, 2]
    inside = (place[:, :2].abs() < 1.0).all(1)
    seen = inside & (ahead < _DEPTH_MM * faces.pose[:, 6])
    return shaded.turned_normal[:, 2].clamp_min(0.0) * seen
