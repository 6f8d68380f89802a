"""Pictures of likenesses: over the photograph, as a surface, in their own colours, turned."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from ..face.crop import LANDMARK_SHARE
from ..face.lighting import ambient_light
from ..mesh.record import Mesh
from . import make_renderer
from .pose_and_light import Floats, Likeness, in_picture, shading

Picture = NDArray[np.uint8]
"""(S, S, 3) RGB."""

PAPER = 255
_GREY = 0.85
HEADLIGHT = np.zeros((9, 3))
HEADLIGHT[:3] = np.array([0.5, 0.4, 1.1])[:, None]
"""The constant, upward and forward harmonics under which shapes are shown, (9, 3)."""

EVEN = np.asarray(ambient_light(1)[0].numpy(), np.float64) * 1.25
"""White light from everywhere, (9, 3)."""

_SIGMA = 1e-6
"""Sharper than in training: these are for the eye, not for gradients."""


class LikenessArtist:
    """Draws likenesses as square pictures.

    Args:
        size: side of the pictures in px.
        supersampling: samples of a pixel in each direction.
        paper: grey level behind faces that stand in no photograph, 0 to 255.
    """

    def __init__(self, size: int = 320, supersampling: int = 2, paper: int = PAPER) -> None:
        self.size = size
        self._fine = size * supersampling
        self._paper = np.full((self._fine, self._fine, 3), paper, np.uint8)
        self._render = make_renderer("outline", sigma=_SIGMA)

    def photograph(self, crop: Picture) -> Picture:
        """The crop in the size of the other pictures."""
        return _resized(crop, self.size)

    def overlay(self, likeness: Likeness, crop: Picture) -> Picture:
        """The lit face over its photograph (S, S, 3), any S."""
        assert likeness.light is not None
        behind = _resized(crop, self._fine)
        return self._drawn(likeness, _colours(likeness.mesh), likeness.light, behind)

    def shape(self, likeness: Likeness) -> Picture:
        """The surface in grey under a light at the viewer, in its pose."""
        grey = np.full((len(likeness.mesh.vertices), 3), _GREY)
        return self._drawn(likeness, grey, HEADLIGHT, self._paper)

    def texture(self, likeness: Likeness, colours: Floats | None = None) -> Picture:
        """The face in its own colours, or in those given (V, 3), unlit, in its pose."""
        shown = _colours(likeness.mesh) if colours is None else colours
        return self._drawn(likeness, shown, None, self._paper)

    def turned(
        self,
        likeness: Likeness,
        yaw: float,
        colours: Floats | None = None,
        light: Floats = EVEN,
    ) -> Picture:
        """The face in its own colours, or in those given (V, 3), seen from a side.

        Args:
            likeness: a face; its pose is not looked at.
            yaw: radians; positive turns its nose to the viewer's left.
            colours: (V, 3) in [0, 1].
            light: (9, 3).
        """
        view = replace(likeness, pose=framed(likeness.mesh, yaw))
        shown = _colours(likeness.mesh) if colours is None else colours
        return self._drawn(view, shown, light, self._paper)

    def _drawn(
        self, likeness: Likeness, albedo: Floats, light: Floats | None, behind: Picture
    ) -> Picture:
        places, normals = in_picture(likeness)
        lit = albedo if light is None else albedo * shading(normals, light)
        drawn = self._render(
            torch.from_numpy(places.astype(np.float32))[..., None],
            torch.from_numpy(lit.astype(np.float32))[..., None],
            torch.tensor(likeness.mesh.triangles, dtype=torch.int64),
            (self._fine, self._fine),
        )
        face = drawn.image[0].permute(1, 2, 0).numpy()
        share = drawn.background_weight[0, ..., None].numpy()
        picture = (face * 255.0 + share * behind).clip(0.0, 255.0)
        return _resized((picture + 0.5).astype(np.uint8), self.size)


def framed(mesh: Mesh, yaw: float, zoom: float = 0.8) -> Floats:
    """The pose (7,) under which a face turned by `yaw` radians stands in the middle of a picture.

    Its size is that of the landmarks' box from the front, so that all turns show one size.

    Args:
        mesh: mm, facing +z.
        yaw: radians.
        zoom: 1 frames the landmarks as crops do (`recon.face.crop`).
    """
    points = np.asarray(mesh.vertices, np.float64)
    box = points if mesh.landmarks is None else points[mesh.landmarks]
    scale = zoom * 2.0 * LANDMARK_SHARE / float(np.ptp(box[:, :2], axis=0).max())
    unit = Likeness(mesh, points, np.array([0.0, yaw, 0.0, 0.0, 0.0, 0.0, scale]))
    shown = in_picture(unit)[0]
    low, high = shown[:, :2].min(axis=0), shown[:, :2].max(axis=0)
    assert unit.pose is not None
    pose = unit.pose.copy()
    pose[3:5] = -(low + high) / 2
    pose[6] *= min(1.0, 1.94 / float((high - low).max()))
    pose[3:5] *= pose[6] / scale
    return pose


def _colours(mesh: Mesh) -> Floats:
    if mesh.colours is None:
        return np.full((len(mesh.vertices), 3), _GREY)
    return np.asarray(mesh.colours, np.float64)


def _resized(picture: Picture, size: int) -> Picture:
    if len(picture) == size:
        return picture
    kind = Image.Resampling.BOX if len(picture) % size == 0 else Image.Resampling.BICUBIC
    return np.asarray(Image.fromarray(picture).resize((size, size), kind))
