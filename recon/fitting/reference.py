"""How curved the cost of any face is, about: what the solver of every face starts from.

The same few drawn faces stand for all, so that a fit does not depend on the others of its batch.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..face.camera import project, rotate, rotation_matrix
from ..face.coefficients import Coefficients
from ..face.crop import Framing
from ..face.lighting import ambient_light
from ..render.face import FaceRenderer
from .landmark_objective import LandmarkModel, LandmarkObjective
from .photographs import Photographs
from .pixel_objective import PixelEquations, PixelObjective
from .settings import FittingSettings
from .shading import ShadedPoints
from .surface_points import SurfacePoints
from .unknowns import Unknowns
from .visibility import Visibility

_YAWS = (-0.8, -0.4, 0.0, 0.4, 0.8)
_LIGHT = (0.3, 0.8)
"""Upward and forward harmonics beside the ambient one: some shading, from no side."""


class ReferenceFaces:
    """The mean face, drawn from several sides.

    Args:
        face: draws it.
        points: of its surface.
        landmarks: its landmarks.
        visibility: which of them are seen.
        unknowns: layout of the vector.
        settings: of the fits.
    """

    def __init__(
        self,
        face: FaceRenderer,
        points: SurfacePoints,
        landmarks: LandmarkModel,
        visibility: Visibility,
        unknowns: Unknowns,
        settings: FittingSettings,
    ) -> None:
        self._face = face
        self._points = points
        self._landmarks = landmarks
        self._visibility = visibility
        self._unknowns = unknowns
        self._settings = settings

    @torch.no_grad()
    def inverse_curvature(self, framing: Framing) -> Tensor:
        """(D, D) inverse of the mean curvature of their costs, at the faces themselves.

        Args:
            framing: of the frontal mean face.
        """
        curvatures = [self._curvature(yaw, framing) for yaw in _YAWS]
        inverse: Tensor = torch.linalg.inv(torch.stack(curvatures).mean(0))
        return inverse

    def _curvature(self, yaw: float, framing: Framing) -> Tensor:
        faces = self._mean_face(yaw, framing)
        vector = self._unknowns.pack(faces)
        drawn = self._face(faces).rendering.image
        shaded = ShadedPoints.of(self._points, self._unknowns, vector)
        seen = self._visibility.seen(shaded, vector[:, self._unknowns.shape])
        photographs = Photographs.of(drawn, self._settings.pixel_blurs[-1])
        light = vector[:, self._unknowns.light]
        objective = PixelObjective(
            self._placed(vector), self._points, photographs, seen, light, torch.eye(0)
        )
        return _dense(objective.linearise(vector))

    def _placed(self, vector: Tensor) -> LandmarkObjective:
        """The landmarks' cost where it is least."""
        pose = self._unknowns.pose_of(vector)
        points = self._landmarks.points(vector[:, self._unknowns.shape])
        placed = project(rotate(points, rotation_matrix(pose[:, :3])), pose)[:, :2]
        weights = self._landmarks.present.to(vector)[:, None]
        return LandmarkObjective(self._landmarks, self._unknowns, placed, weights, self._settings)

    def _mean_face(self, yaw: float, framing: Framing) -> Coefficients:
        sizes, like = self._unknowns.sizes, self._face.decoder.mean_shape
        none = like.new_zeros(1, max(sizes.identity, sizes.expression, sizes.albedo))
        parts = (sizes.identity, sizes.expression, sizes.albedo)
        identity, expression, albedo = (none[:, :size] for size in parts)
        light = ambient_light(1).to(like)
        light[:, 1:3] = like.new_tensor(_LIGHT).view(1, 2, 1)
        pose = [0.0, yaw, 0.0, framing.offset_x, framing.offset_y, 0.0, framing.scale]
        return Coefficients(identity, expression, albedo, like.new_tensor([pose]), light)


def _dense(equations: PixelEquations) -> Tensor:
    """The Gauss-Newton matrix (D, D) of one face."""
    everything = torch.eye(equations.gradient.shape[1]).to(equations.gradient)
    pixels = (equations.ahead(everything) * equations.pull.sqrt()).flatten(0, 1)
    matrix = pixels.T @ pixels / equations.variance + equations.curvature.diag()
    rows, geometry = equations.rows[0], equations.objective.unknowns.geometry
    matrix[geometry, geometry] += rows.T @ rows
    return matrix
