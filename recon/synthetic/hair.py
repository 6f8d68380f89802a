"""Scalp, hair and hat as one closed sheet around the skull, and the grids that such sheets are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..morphable.model import MorphableModel
from .appearance import Hair, HeadFrame, Points, required_landmarks

ROWS, COLUMNS = 24, 48
_LOWEST = -1.2
_TEMPLES = 1.25
_NEAR = np.cos(0.2)
_BOXINESS = 2.4
"""Exponent of the superellipsoid that the skull fills above the eyes."""

Triangles = NDArray[np.int64]


def _directions() -> tuple[Points, Points]:
    """Elevation and azimuth (ROWS * COLUMNS,) of the sheet's vertices; azimuth 0 is the face."""
    upper = np.linspace(np.pi / 2, 0, ROWS - 8, endpoint=False)
    elevation = np.concatenate([upper, np.linspace(0, _LOWEST, 8)])
    azimuth = np.arange(COLUMNS) * (2 * np.pi / COLUMNS)
    grid = np.meshgrid(elevation, azimuth, indexing="ij")
    return grid[0].ravel(), grid[1].ravel()


def _unit(elevation: Points, azimuth: Points) -> Points:
    flat = np.cos(elevation)
    return np.stack([flat * np.sin(azimuth), np.sin(elevation), flat * np.cos(azimuth)], axis=-1)


class HairSheet:
    """The sheet fitted around one model's mean head, by how far that reaches in every direction.

    Attributes:
        elevation, azimuth: (V,) radians of the vertices seen from the skull's centre.
        support: (V,) reach of the mean head over the skull's ellipsoid in that direction.
        triangles: (F, 3).
    """

    def __init__(self, model: MorphableModel) -> None:
        frame = HeadFrame(required_landmarks(model, model.mean_shape))
        head = model.mean_shape[:, 1] > frame.chin[1]
        # Ears stick out: hair fitted over them would bulge at the sides.
        head[model.vertices_of("left_ear", "right_ear")] = False
        relative = (model.mean_shape[head].astype(np.float64) - frame.centre) / frame.semi_axes
        reach = np.linalg.norm(relative, axis=1)
        self.elevation, self.azimuth = _directions()
        unit = _unit(self.elevation, self.azimuth)
        # The furthest vertex within a cone: the sheet must enclose it even between directions.
        near = unit @ (relative / reach[:, None]).T > _NEAR
        support = np.where(near, reach, 0).max(axis=1)
        skull = (np.abs(unit) ** _BOXINESS).sum(axis=1) ** (-1 / _BOXINESS)
        # Below the eyes the skull narrows; there the face model has vertices of its own anyway.
        skull = np.where(self.elevation > 0, skull, 0.9)
        self.support = np.maximum(support, skull)
        self.triangles = sheet(ROWS, COLUMNS)

    @property
    def texture(self) -> Points:
        """Texture coordinates (V, 2): strands run from the crown down."""
        return np.stack([self.azimuth * (3 / (2 * np.pi)), self.elevation * 0.5], axis=1)

    def vertices(self, frame: HeadFrame, hair: Hair) -> Points:
        """The sheet (V, 3) in mm on a head: hair outside, and behind the face where there is none.

        Long hair falls straight from the height of the eyes.
        """
        falls = (hair.length > 0) & (self.elevation < 0)
        lumps = 1 + 0.35 * _lumps(hair.wave, self.elevation, self.azimuth)
        crown = 0.6 + 0.4 * np.clip(np.sin(self.elevation) + 0.4, 0, 1)
        support = np.where(falls, 1.0, self.support)
        radius = support * (1 + hair.thickness * lumps * crown)
        # Where there is no hair the sheet goes behind the skin instead of being cut open.
        bare = self.bare(hair)
        middle = np.cos(self.azimuth) * np.cos(self.elevation)
        buried = (0.84 - 0.3 * np.clip(middle, 0, 1)) * (1 + np.clip(self.elevation, -0.8, 0))
        radius = bare * np.minimum(buried, radius) + (1 - bare) * radius
        unit = _unit(np.where(falls, 0, self.elevation), self.azimuth)
        points = frame.centre + unit * frame.semi_axes * radius[:, None]
        # Falling hair keeps its radius at eye height and only goes down: it hangs straight.
        points[:, 1] += np.where(falls, self.elevation / -_LOWEST * hair.length, 0)
        return np.asarray(points)

    def bare(self, hair: Hair) -> Points:
        """Share (V,) in [0, 1] of bareness: 1 on the face, 0 under hair."""
        azimuth = np.abs((self.azimuth + np.pi) % (2 * np.pi) - np.pi)
        ragged = 0.08 * _lumps(hair.wave[::-1], 3 * self.elevation, 3 * self.azimuth)
        above = np.hypot(azimuth / _TEMPLES, self.elevation / hair.hairline)
        sides = _TEMPLES if hair.length else _TEMPLES + np.clip(-self.elevation - 0.15, 0, 0.5) * 2
        below = np.maximum(azimuth / sides, 0)
        if not hair.length:
            below = np.where(self.elevation < -0.7, 0, below)
        inside = 1 - np.where(self.elevation > 0, above, below) + ragged
        # A sigmoid and not a step: the hairline crosses triangles smoothly.
        share: Points = 1 / (1 + np.exp(-inside / 0.05))
        return share


def _lumps(wave: Points, elevation: Points, azimuth: Points) -> Points:
    """A smooth function of direction within about [-1, 1], whole in azimuth."""
    flat = np.cos(elevation)
    around = (
        0.35 * np.sin(2 * azimuth + wave[0] + np.sin(2 * elevation + wave[1]))
        + 0.25 * np.sin(5 * azimuth + 4 * elevation + wave[2])
        + 0.2 * np.sin(9 * azimuth - 7 * elevation + wave[3])
    )
    return np.asarray(flat * around + 0.2 * np.sin(6 * elevation + wave[4]))


def sheet(rows: int, columns: int, *, closed: bool = True) -> Triangles:
    """Triangles of a (rows, columns) grid of vertices, row by row.

    With rows running down and columns to the right as seen from outside, they face outward.
    A closed sheet joins its last column to its first.
    """
    across = np.arange(columns if closed else columns - 1)
    here, there = across, (across + 1) % columns
    down = np.arange(rows - 1)[:, None] * columns
    a, b, c, d = down + here, down + columns + here, down + columns + there, down + there
    return np.concatenate(
        [np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)]
    )


def fan(columns: int) -> Triangles:
    """Triangles from the last vertex to a ring of `columns` vertices before it."""
    ring = np.arange(columns)
    return np.stack([ring, (ring + 1) % columns, np.full(columns, columns)], -1)
