"""A face model dressed as a person: head, hair, glasses, neck and clothing in one topology."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..morphable.model import MorphableModel
from .appearance import (
    CLASS,
    Appearance,
    Glasses,
    Hair,
    HeadFrame,
    Points,
    required_landmarks,
    vertex_classes,
)
from .hair import HairSheet, fan, sheet

_SKIN_REGIONS = ("forehead", "left_cheek", "right_cheek", "jaw")

COLUMNS = 40
ROWS = 20

_PROFILE = np.array(
    # depth below the chin in mm, half width, half depth over the head's width, shift backwards
    [
        [-35, 0.30, 0.22, 0.10],
        [0, 0.35, 0.34, 0.02],
        [30, 0.36, 0.36, 0.00],
        [48, 0.43, 0.40, 0.00],
        [62, 0.70, 0.47, 0.00],
        [78, 1.00, 0.52, 0.00],
        [105, 1.24, 0.58, 0.00],
        [150, 1.36, 0.64, 0.00],
        [240, 1.42, 0.70, 0.00],
        [420, 1.40, 0.74, 0.00],
    ]
)

_THROAT = 0.36
_BEHIND_MM = 3.0

_AROUND = 5
_RIM = 28
_BAR = 6
_LENS = _RIM + 1

GLASSES_FRAME_VERTICES = 2 * (_RIM + 1) * _AROUND + 3 * _BAR * _AROUND
GLASSES_VERTICES = GLASSES_FRAME_VERTICES + 2 * _LENS


@dataclass(frozen=True, eq=False)
class Clothing:
    """What one person wears, for a neutral face; joined behind the face model's own vertices.

    Attributes:
        vertices: (A, 3) mm, in the model's coordinates.
        colours: (A, 3) albedo.
        classes: (A,) uint8 mask classes.
        covered: (V,) bool, the model's own vertices that lie under the clothes.
        pivot: (3,) mm, the base of the neck.
        appearance: what they were made from.
    """

    vertices: Points
    colours: NDArray[np.float32]
    classes: NDArray[np.uint8]
    covered: NDArray[np.bool_]
    pivot: Points
    appearance: Appearance


class ClothedModel:
    """The parts that dress one model.

    Args:
        model: the face.

    Attributes:
        hair, torso: sheets fitted to the model.
        triangles: (F, 3) of the person; vertices are the model's, then hair, torso and glasses.
        face_classes: (V,) uint8 mask classes of the model's vertices.
        texture: (V + A, 2) texture coordinates.
        follow: (A,) share of the head's rotation that worn vertices take part in.
        skin: (V,) bool, where the model's skin colour is taken from.
        neck: (V,) bool, the model's neck and shoulders.

    Raises:
        FacebenchError: the model lacks landmarks.
    """

    def __init__(self, model: MorphableModel) -> None:
        self.model = model
        self.hair, self.torso = hair, torso = HairSheet(model), TorsoSheet(model)
        sizes = [model.n_vertices, len(hair.support), len(torso.below)]
        pieces = [model.triangles, hair.triangles, torso.triangles, glasses_triangles()]
        # One topology for everybody: what a person does not wear collapses instead of vanishing.
        starts = np.cumsum([0, *sizes])
        self.triangles: NDArray[np.int64] = np.concatenate(
            [piece + start for piece, start in zip(pieces, starts, strict=True)]
        )
        self.face_classes = vertex_classes(model)
        # Grain fixed to the mean face, so that it moves with the skin and not with the picture.
        face_texture = model.mean_shape[:, :2].astype(np.float64) / 60
        spectacles = np.zeros((GLASSES_VERTICES, 2))
        self.texture = np.concatenate([face_texture, hair.texture, torso.texture, spectacles])
        self.follow = np.concatenate([np.ones(sizes[1]), torso.follow, np.ones(GLASSES_VERTICES)])
        skin = _region_mask(model, *_SKIN_REGIONS)
        self.skin = skin if skin.any() else np.ones(model.n_vertices, bool)
        self.neck = _region_mask(model, "neck")

    def fit_clothing(
        self, neutral: Points, albedo: NDArray[np.floating], appearance: Appearance
    ) -> Clothing:
        """Fit the clothes to a neutral face (V, 3) in mm with an albedo (V, 3)."""
        landmarks = required_landmarks(self.model, neutral)
        frame = HeadFrame(landmarks)
        # Rims stand a little before brows and eyes; further in they would cut deep-set ones.
        front = float(max(landmarks[17:28, 2].max(), landmarks[36:48, 2].max())) + 7.0
        skin = np.median(albedo[self.skin], axis=0)
        parts = [
            (self.hair.vertices(frame, appearance.hair), *self._hair_paint(appearance.hair, skin)),
            (self.torso.vertices(frame), *self._torso_paint(appearance, skin)),
            (glasses_vertices(frame, appearance.glasses, front), *_glasses_paint(appearance)),
        ]
        vertices, colours, classes = (np.concatenate(part) for part in zip(*parts, strict=True))
        # The model's own neck is painted as cloth below the collar, where the sheet encloses it.
        covered = self.neck & (frame.chin[1] - neutral[:, 1] > appearance.collar)
        depth = frame.centre[2] + self.torso.axis * frame.width
        pivot = np.array([frame.centre[0], frame.chin[1] - 60, depth])
        return Clothing(vertices, colours.astype(np.float32), classes, covered, pivot, appearance)

    def paint(
        self, albedo: NDArray[np.floating], clothing: Clothing
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Albedo (V + A, 3) and mask classes (V + A,) of a whole person, from the face's (V, 3)."""
        covered = clothing.covered
        skin = np.where(covered[:, None], clothing.appearance.cloth, albedo)
        classes = np.where(covered, CLASS["cloth"], self.face_classes).astype(np.uint8)
        colours = np.concatenate([skin, clothing.colours], dtype=np.float32)
        return colours, np.concatenate([classes, clothing.classes])

    def bare_vertices(self, neutral: Points, appearance: Appearance) -> Points:
        """Vertices (A, 3) without hair or glasses: a scalp just behind the model's own skin."""
        bare = replace(
            appearance, hair=replace(appearance.hair, thickness=-0.03, length=0.0), glasses=None
        )
        return self.fit_clothing(neutral, self.model.mean_albedo, bare).vertices

    def _hair_paint(
        self, hair: Hair, skin: NDArray[np.floating]
    ) -> tuple[NDArray[np.floating], NDArray[np.uint8]]:
        # Hair this thin is a shaved head and takes the colour of the skin.
        scalp = hair.thickness < 0.02
        hat = self.hair.elevation > (
            np.inf if hair.hat is None else hair.hat * np.cos(self.hair.azimuth / 2) ** 2
        )
        # A little bluer than the face, as a shaved scalp looks.
        base = skin * [0.95, 0.97, 1.0] if scalp else hair.colour
        colours = np.where(hat[:, None], hair.hat_colour, base)
        below = CLASS["skin"] if scalp else CLASS["hair"]
        return colours, np.where(hat, CLASS["hat"], below).astype(np.uint8)

    def _torso_paint(
        self, appearance: Appearance, skin: NDArray[np.floating]
    ) -> tuple[NDArray[np.floating], NDArray[np.uint8]]:
        front = self.torso.outline[:, 2] / 0.37
        # A neckline hangs lower in front than at the nape.
        bare = self.torso.below < appearance.collar + 14 * np.clip(front, -1, 1)
        # The chin shades the neck; the light has no shadows of its own.
        shade = np.interp(self.torso.below, [-10, 60], [0.7, 1.0])[:, None]
        colours = np.where(bare[:, None], skin * shade, appearance.cloth)
        return colours, np.where(bare, CLASS["neck"], CLASS["cloth"]).astype(np.uint8)


def _region_mask(model: MorphableModel, *regions: str) -> NDArray[np.bool_]:
    marked = np.zeros(model.n_vertices, bool)
    marked[model.vertices_of(*regions)] = True
    return marked


def _glasses_paint(appearance: Appearance) -> tuple[NDArray[np.floating], NDArray[np.uint8]]:
    colours = np.zeros((GLASSES_VERTICES, 3), np.float32)
    if appearance.glasses is not None:
        colours[:GLASSES_FRAME_VERTICES] = appearance.glasses.colour
        colours[GLASSES_FRAME_VERTICES:] = appearance.glasses.lens_colour
    return colours, np.full(GLASSES_VERTICES, CLASS["eye_glasses"], np.uint8)


class TorsoSheet:
    """The sheet fitted under one model's mean head, its neck where the model has one.

    Attributes:
        below: (V,) depth below the chin in mm.
        outline: (V, 3) x and z from the neck's axis over the head's width, and 0 between.
        axis: z of the neck's axis from the skull's centre over the head's width.
        triangles: (F, 3).
    """

    def __init__(self, model: MorphableModel) -> None:
        frame = HeadFrame(required_landmarks(model, model.mean_shape))
        below = np.interp(np.linspace(0, 9, ROWS), np.arange(10), _PROFILE[:, 0])
        sizes = [np.interp(below, _PROFILE[:, 0], column) for column in _PROFILE.T[1:]]
        half_width, half_depth, back = sizes
        azimuth = np.arange(COLUMNS) * (2 * np.pi / COLUMNS)
        x = half_width[:, None] * np.sin(azimuth)
        z = half_depth[:, None] * np.cos(azimuth) - back[:, None]
        self.below: Points = np.repeat(below, COLUMNS)
        self.outline: Points = np.stack([x, np.zeros_like(x), z], axis=-1).reshape(-1, 3)
        self.axis = _neck_axis(model, frame)
        self.triangles = sheet(ROWS, COLUMNS)

    @property
    def follow(self) -> Points:
        """Share (V,) of the head's rotation that each vertex takes part in."""
        return np.interp(self.below, [-35, 90], [1.0, 0.0])

    @property
    def texture(self) -> Points:
        """Texture coordinates (V, 2)."""
        return np.stack([self.outline[:, 0] * 2, self.below / 80], axis=1)

    def vertices(self, frame: HeadFrame) -> Points:
        """The sheet (V, 3) in mm under a head."""
        points: Points = frame.centre + self.outline * frame.width
        points[:, 2] += self.axis * frame.width
        points[:, 1] = frame.chin[1] - self.below
        return points


def _neck_axis(model: MorphableModel, frame: HeadFrame) -> float:
    """The axis that keeps the sheet's throat just behind the model's own, where it has one."""
    neck = model.mean_shape[model.vertices_of("neck")].astype(np.float64)
    below, aside = frame.chin[1] - neck[:, 1], np.abs(neck[:, 0] - frame.chin[0])
    throat = neck[(below > 10) & (below < 45) & (aside < 15)]
    # Crops of the face have no neck: the sheet then takes the depth that suits most heads.
    if len(throat) < 3:
        return -0.12
    front = np.median(throat[:, 2]) - _BEHIND_MM - frame.centre[2]
    return float(front / frame.width - _THROAT)


def glasses_triangles() -> NDArray[np.int64]:
    """Triangles (F, 3) of every pair: rims, bridge and temples, then the two lenses."""
    pieces, start = [], 0
    for piece, size in [
        *[(sheet(_RIM + 1, _AROUND), (_RIM + 1) * _AROUND)] * 2,
        *[(sheet(_BAR, _AROUND), _BAR * _AROUND)] * 3,
        *[(fan(_RIM), _LENS)] * 2,
    ]:
        pieces.append(piece + start)
        start += size
    return np.concatenate(pieces)


def glasses_vertices(frame: HeadFrame, glasses: Glasses | None, front: float) -> Points:
    """Vertices (GLASSES_VERTICES, 3) in mm; without glasses, or lenses, they fall into one point.

    Args:
        frame: the head.
        glasses: what is worn, or None.
        front: z in mm of the plane of the rims.
    """
    if glasses is None:
        # Inside of the skull, where no pixel can show them.
        return np.tile(frame.centre, (GLASSES_VERTICES, 1))
    right, left = (_rim(eye, frame, glasses, front) for eye in frame.eyes)
    lines = [right, left, _bridge(frame, glasses, front), *_temples(frame, glasses, front)]
    tubes = [_tube(line, glasses.tube) for line in lines]
    if not glasses.dark:
        return np.concatenate([*tubes, np.tile(frame.centre, (2 * _LENS, 1))])
    # A rim's last point is its first one again; the middle of the fan stands behind the ring.
    lenses = [[rim[:-1], rim[:-1].mean(axis=0, keepdims=True)] for rim in (right, left)]
    return np.concatenate([*tubes, *lenses[0], *lenses[1]])


def _rim(eye: Points, frame: HeadFrame, glasses: Glasses, front: float) -> Points:
    """A closed superellipse (_RIM + 1, 3) around an eye, its outer side bent back."""
    angle = np.linspace(0, 2 * np.pi, _RIM + 1)
    apart = np.linalg.norm(frame.eyes[1] - frame.eyes[0])
    power = 2 / glasses.squareness
    x, y = (
        np.sign(wave) * np.abs(wave) ** power * half * apart
        for wave, half in zip((np.cos(angle), np.sin(angle)), glasses.half_size, strict=True)
    )
    # Frames are bent around the face; a flat one would stand off at the temples.
    outward = np.abs(eye[0] + x - frame.centre[0])
    return np.stack([eye[0] + x, eye[1] - 2 + y, front - outward**2 * 0.0022], axis=1)


def _bridge(frame: HeadFrame, glasses: Glasses, front: float) -> Points:
    apart = np.linalg.norm(frame.eyes[1] - frame.eyes[0])
    half = apart * max(0.5 - glasses.half_size[0], 0.03)
    x = np.linspace(-half, half, _BAR)
    rise = 3 * (1 - (x / half) ** 2)
    middle = frame.eyes.mean(axis=0)
    return np.stack([middle[0] + x, middle[1] + 1 + rise, np.full(_BAR, front)], axis=1)


def _temples(frame: HeadFrame, glasses: Glasses, front: float) -> list[Points]:
    apart = np.linalg.norm(frame.eyes[1] - frame.eyes[0])
    bars = []
    for side, eye in zip((-1, 1), frame.eyes, strict=True):
        reach = eye[0] + side * glasses.half_size[0] * apart
        hinge = [reach, eye[1] + 4, front - (reach - frame.centre[0]) ** 2 * 0.0022]
        ear = [frame.centre[0] + side * 1.02 * frame.semi_axes[0], eye[1] + 2, frame.centre[2] - 8]
        bars.append(np.linspace(hinge, ear, _BAR))
    return bars


def _tube(line: Points, radius: float) -> Points:
    """Rings (len(line) * _AROUND, 3) around a polyline."""
    along = np.gradient(line, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True) + 1e-12
    # Slightly off the z axis: temples run along z, and their cross product with it is zero.
    side = np.cross(along, [0.02, 0.05, 1.0])
    side /= np.linalg.norm(side, axis=1, keepdims=True) + 1e-12
    up = np.cross(side, along)
    angle = np.arange(_AROUND) * (2 * np.pi / _AROUND)
    ring = np.cos(angle)[:, None] * side[:, None] + np.sin(angle)[:, None] * up[:, None]
    rings: Points = (line[:, None] + radius * ring).reshape(-1, 3)
    return rings
