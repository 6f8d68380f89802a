"""A face model dressed as a person: head, hair, glasses, neck and clothes in one topology."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..morphable.model import MorphableModel
from .glasses import GLASSES_FRAME_VERTICES, GLASSES_VERTICES, glasses_triangles, glasses_vertices
from .hair import HairSheet
from .head_frame import HeadFrame, Points, head_frame, landmark_points
from .look import Hair, Look
from .masks import CLASS, vertex_classes
from .torso import TorsoSheet

_SKIN_REGIONS = ("forehead", "left_cheek", "right_cheek", "jaw")


@dataclass(frozen=True, eq=False)
class Clothes:
    """What one person wears, for a neutral face; joined behind the face model's own vertices.

    Attributes:
        vertices: (A, 3) mm, in the model's coordinates.
        colours: (A, 3) albedo.
        classes: (A,) uint8 mask classes.
        covered: (V,) bool, the model's own vertices that lie under the clothes.
        cloth: (3,) albedo of the clothes.
        pivot: (3,) mm, the base of the neck.
    """

    vertices: Points
    colours: NDArray[np.float32]
    classes: NDArray[np.uint8]
    covered: NDArray[np.bool_]
    cloth: NDArray[np.float32]
    pivot: Points


@dataclass(frozen=True, eq=False)
class Wardrobe:
    """The parts that dress one model.

    Attributes:
        model: the face.
        hair, torso: sheets fitted to the model.
        triangles: (F, 3) of the person; vertices are the model's, then hair, torso and glasses.
        face_classes: (V,) uint8 mask classes of the model's vertices.
        texture: (V + A, 2) texture coordinates.
        follow: (A,) share of the head's rotation that worn vertices take part in.
        skin: (V,) bool, where the model's skin colour is taken from.
        neck: (V,) bool, the model's neck and shoulders.
    """

    model: MorphableModel
    hair: HairSheet
    torso: TorsoSheet
    triangles: NDArray[np.int64]
    face_classes: NDArray[np.uint8]
    texture: Points
    follow: Points
    skin: NDArray[np.bool_]
    neck: NDArray[np.bool_]

    @classmethod
    def of(cls, model: MorphableModel) -> Wardrobe:
        """Fit every part to a model.

        Raises:
            FacebenchError: the model lacks landmarks.
        """
        hair, torso = HairSheet.around(model), TorsoSheet.under(model)
        sizes = [model.n_vertices, len(hair.support), len(torso.below)]
        pieces = [model.triangles, hair.triangles, torso.triangles, glasses_triangles()]
        starts = np.cumsum([0, *sizes])
        spectacles = np.zeros((GLASSES_VERTICES, 2))
        face_texture = model.mean_shape[:, :2].astype(np.float64) / 60
        skin = _marked(model, *_SKIN_REGIONS)
        return cls(
            model,
            hair,
            torso,
            np.concatenate([piece + start for piece, start in zip(pieces, starts, strict=True)]),
            vertex_classes(model),
            np.concatenate([face_texture, hair.texture, torso.texture, spectacles]),
            np.concatenate([np.ones(sizes[1]), torso.follow, np.ones(GLASSES_VERTICES)]),
            skin if skin.any() else np.ones(model.n_vertices, bool),
            _marked(model, "neck"),
        )

    def dress(self, neutral: Points, albedo: NDArray[np.floating], look: Look) -> Clothes:
        """Fit the clothes to a neutral face (V, 3) in mm with an albedo (V, 3)."""
        landmarks = landmark_points(self.model, neutral)
        frame = head_frame(landmarks)
        front = float(max(landmarks[17:28, 2].max(), landmarks[36:48, 2].max())) + 7.0
        skin = np.median(albedo[self.skin], axis=0)
        parts = [
            (self.hair.vertices(frame, look.hair), *self._hair_paint(look.hair, skin)),
            (self.torso.vertices(frame), *self._torso_paint(look, skin)),
            (glasses_vertices(frame, look.glasses, front), *_glasses_paint(look)),
        ]
        vertices, colours, classes = (np.concatenate(part) for part in zip(*parts, strict=True))
        covered = self.neck & (frame.chin[1] - neutral[:, 1] > look.collar)
        return Clothes(
            vertices, colours.astype(np.float32), classes, covered, look.cloth, self._pivot(frame)
        )

    def paint(
        self, albedo: NDArray[np.floating], clothes: Clothes
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Albedo (V + A, 3) and mask classes (V + A,) of a whole person, from the face's (V, 3)."""
        covered = clothes.covered
        skin = np.where(covered[:, None], clothes.cloth, albedo)
        classes = np.where(covered, CLASS["cloth"], self.face_classes).astype(np.uint8)
        colours = np.concatenate([skin, clothes.colours], dtype=np.float32)
        return colours, np.concatenate([classes, clothes.classes])

    def dress_for_scan(self, neutral: Points, look: Look) -> Points:
        """Vertices (A, 3) without hair or glasses: a scalp just behind the model's own skin."""
        bare = replace(look, hair=replace(look.hair, thickness=-0.03, length=0.0), glasses=None)
        return self.dress(neutral, self.model.mean_albedo, bare).vertices

    def _hair_paint(
        self, hair: Hair, skin: NDArray[np.floating]
    ) -> tuple[NDArray[np.floating], NDArray[np.uint8]]:
        scalp = hair.thickness < 0.02
        hat = self.hair.elevation > (
            np.inf if hair.hat is None else hair.hat * np.cos(self.hair.azimuth / 2) ** 2
        )
        base = skin * [0.95, 0.97, 1.0] if scalp else hair.colour
        colours = np.where(hat[:, None], hair.hat_colour, base)
        below = CLASS["skin"] if scalp else CLASS["hair"]
        return colours, np.where(hat, CLASS["hat"], below).astype(np.uint8)

    def _torso_paint(
        self, look: Look, skin: NDArray[np.floating]
    ) -> tuple[NDArray[np.floating], NDArray[np.uint8]]:
        front = self.torso.outline[:, 2] / 0.37
        bare = self.torso.below < look.collar + 14 * np.clip(front, -1, 1)
        shade = np.interp(self.torso.below, [-10, 60], [0.7, 1.0])[:, None]
        colours = np.where(bare[:, None], skin * shade, look.cloth)
        return colours, np.where(bare, CLASS["neck"], CLASS["cloth"]).astype(np.uint8)

    def _pivot(self, frame: HeadFrame) -> Points:
        depth = frame.centre[2] + self.torso.axis * frame.width
        return np.array([frame.centre[0], frame.chin[1] - 60, depth])


def _marked(model: MorphableModel, *regions: str) -> NDArray[np.bool_]:
    marked = np.zeros(model.n_vertices, bool)
    marked[model.vertices_of(*regions)] = True
    return marked


def _glasses_paint(look: Look) -> tuple[NDArray[np.floating], NDArray[np.uint8]]:
    colours = np.zeros((GLASSES_VERTICES, 3), np.float32)
    if look.glasses is not None:
        colours[: GLASSES_FRAME_VERTICES] = look.glasses.colour
        colours[GLASSES_FRAME_VERTICES :] = look.glasses.lens_colour
    return colours, np.full(GLASSES_VERTICES, CLASS["eye_glasses"], np.uint8)
