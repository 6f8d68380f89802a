"""The texture of a face: photographs where they show it, the model's albedo where they do not.

The light that the network found is divided out of the photographs, so that the texture is albedo
and can be lit again; highlights and cast shadows, which nine harmonics cannot express, remain in
it. The model's albedo takes the photographs' tone from nearby, and the border between the two is
feathered: no seam, and no new detail either where nothing was seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter
from scipy.sparse import csr_matrix

from ..files.pictures import encode_picture
from ..morphable.model import MorphableModel
from ..render.visibility import sample, visible_triangles
from .unwrap import unwrap

Values = NDArray[np.floating]
Floats = NDArray[np.float32]

GRAZING, FACING = 0.25, 0.6
"""Cosines between normal and viewing direction: below the first a pixel counts as not seen, above
the second as fully seen."""

BEHIND_MM = 3.0
"""A point this far behind the surface that its pixel of the photograph shows is hidden."""

LEAST_SHADING = 0.3
"""Shading is taken as at least this share of its median: deep shadows are not divided away."""

DARK, LIT = 0.2, 0.6
"""Shares of the median luminance of the shading: below the first a pixel counts as not seen, above
the second as fully seen. Divided by little light, noise and hard shadows are all that is left."""

FEATHER = 0.025
"""Width of the border between photograph and model, of the texture's side."""

TONE_REACH = 0.06
"""Standard deviation over which the photograph's tone is continued, of the texture's side."""

BRIGHTEST = 0.95
"""Where too little light was found, photographs divided by it would be brighter than white: they
are dimmed as a whole until 98 % of what they show of the face stays below this."""

COVERED_REGIONS = ("neck", "head", "left_ear", "right_ear")
"""Of a model: where a photograph shows collars and hair, whose brightness says nothing of skin."""

MOUTH = "mouth"
"""Region of a model behind the lips: it is seen through a gap, and painted up to the gap's edge."""

_CELLS = 64
_LEVEL = 0.02
# Share of a neighbourhood that must be seen for its own tone to count as much as the whole's.
_FAINT = 0.1


@dataclass(frozen=True, eq=False)
class Texture:
    """A picture and where the vertices lie in it.

    Attributes:
        uv: (V, 2) in [0, 1], u to the right and v up, the picture's lower left corner at (0, 0).
        picture: (S, S, 3) uint8 RGB.
    """

    uv: NDArray[np.float64]
    picture: NDArray[np.uint8]

    @cached_property
    def png(self) -> bytes:
        """The picture as a PNG file; kept, because encoding takes longer than most of the rest."""
        return encode_picture(self.picture, "PNG")

    def at_vertices(self) -> NDArray[np.float64]:
        """Colours (V, 3) in [0, 1] of the pixels under the vertices."""
        size = len(self.picture)
        column = np.floor(self.uv[:, 0] * size).astype(int).clip(0, size - 1)
        # v points up, rows run down.
        row = np.floor((1.0 - self.uv[:, 1]) * size).astype(int).clip(0, size - 1)
        return np.asarray(self.picture[row, column] / 255.0)


class TextureSpace:
    """The N pixels of a square texture that lie in a chart, and what each shows of the surface.

    Args:
        model: its mean is unwrapped (`unwrap`).
        size: side of the texture in pixels.

    Attributes:
        uv: (V, 2), see `Texture`.
        pixels: (N,) row-major, ascending.
        corners: (N, 3) vertices of the triangle there.
        weights: (N, 3) barycentric coordinates in it.
        face, mouth: (N,) bool, none of the `COVERED_REGIONS`, and all corners in the `MOUTH`.
        nearest: (size * size,) for every pixel the index in `pixels` of the nearest one, so that
            what lies between the charts repeats their borders and nothing bleeds in.
    """

    def __init__(self, model: MorphableModel, size: int) -> None:
        self.size = size
        self.uv, owned = unwrap(model.mean_shape, model.triangles)
        charted = model.triangles[owned]
        # The rasteriser of surfaces serves charts as well: uv as a flat surface that fills the
        # picture.
        flat = np.pad(2.0 * self.uv - 1.0, ((0, 0), (0, 1)))
        self.pixels, triangles, weights = visible_triangles(flat, charted, (size, size))
        self.corners, self.weights = charted[triangles].astype(np.int64), weights.T
        self.face = ~np.isin(self.corners[:, 0], model.vertices_of(*COVERED_REGIONS))
        self.mouth = np.isin(self.corners, model.vertices_of(MOUTH)).all(axis=1)
        self.nearest = _nearest(self.pixels, size)

    def at(self, values: Values) -> NDArray[np.float32]:
        """Values (N, K) at the pixels from values (V, K) at the vertices."""
        return np.asarray(self._interpolation @ values.astype(np.float32), np.float32)

    @cached_property
    def _interpolation(self) -> csr_matrix:
        """The barycentric coordinates as an (N, V) matrix: a third of the time of gathering."""
        n = len(self.pixels)
        ends = np.arange(0, 3 * n + 1, 3)
        entries = (self.weights.astype(np.float32).ravel(), self.corners.ravel(), ends)
        return csr_matrix(entries, shape=(n, len(self.uv)))

    def spread(self, levels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A picture (size, size, 3) of levels (N, 3), continued beyond the charts' borders."""
        return levels[self.nearest].reshape(self.size, self.size, 3)

    def mask(self, marked: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """A picture (size, size) that is true at the marked of the N pixels, false elsewhere."""
        picture = np.zeros(self.size * self.size, bool)
        picture[self.pixels[marked]] = True
        return picture.reshape(self.size, self.size)

    def texture(self, colours: Values) -> Texture:
        """The texture of colours (N, 3) in [0, 1]."""
        levels = (colours.clip(0.0, 1.0) * 255.0).round().astype(np.uint8)
        return Texture(self.uv, self.spread(levels))


def _nearest(pixels: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    index = np.full(size * size, -1)
    index[pixels] = np.arange(len(pixels))
    empty = (index < 0).reshape(size, size)
    # Mipmaps average over the charts' borders; repeated colours keep the background out.
    row, column = distance_transform_edt(empty, return_distances=False, return_indices=True)
    nearest: NDArray[np.int64] = index[(row * size + column).ravel()]
    return nearest


@dataclass(frozen=True, eq=False)
class View:
    """A face in a photograph.

    Attributes:
        photograph: (S, S, 3) uint8 RGB.
        filled: left, top, right and bottom px of the part that the camera saw; beyond it the
            photograph is padding.
        placed: (V, 3) normalised image coordinates (`recon.face.imaging`).
        normals: (V, 3) unit, in the camera's frame.
        shading: (V, 3) light that falls on each vertex, as a factor of its albedo.
        scale: f, normalised image units per mm.
    """

    photograph: NDArray[np.uint8]
    filled: tuple[float, float, float, float]
    placed: NDArray[np.floating]
    normals: NDArray[np.floating]
    shading: NDArray[np.floating]
    scale: float


def sample_view(
    space: TextureSpace, triangles: NDArray[np.integer], view: View
) -> tuple[Floats, Floats]:
    """What a view shows at the pixels of a texture; triangles (F, 3) of the whole surface.

    Returns:
        albedo (N, 3), the photograph's colour with the light divided out, and weight (N,) in
        [0, 1]: 0 where the photograph does not show the point.
    """
    x, y, depth, facing = space.at(np.column_stack([view.placed, view.normals[:, 2]])).T
    size = len(view.photograph)
    column, row = (x * size + size - 1) / 2, (size - 1 - y * size) / 2
    # Whichever way a tongue or gums lie, what is between the lips belongs to them.
    weight = np.maximum(_ramp(facing, GRAZING, FACING), (facing > 0.0) & space.mouth)
    weight *= _inside(column, row, view.filled)
    front = sample(_depth_map(view, triangles)[..., None], column, row)[:, 0]
    # Compared with a map of depths rather than by triangle: hidden is what something else covers.
    weight *= depth >= front - BEHIND_MM * view.scale
    colour = sample(view.photograph.astype(np.float32) / 255.0, column, row)
    shading = space.at(view.shading)
    seen = shading[weight > 0.0]
    # Relative to the median: exposure and light have no common unit.
    usual = np.maximum(np.median(seen, axis=0) if len(seen) else 1.0, 1e-3)
    relative = shading / usual
    albedo = colour / (usual * np.maximum(relative, LEAST_SHADING))
    return np.asarray(albedo, np.float32), weight * _ramp(relative.mean(1), DARK, LIT)


def _ramp(value: Values, low: float, high: float) -> Floats:
    """0 below `low`, 1 above `high`, smooth in between."""
    share = ((value - low) / (high - low)).clip(0.0, 1.0)
    return np.asarray(share * share * (3.0 - 2.0 * share), np.float32)


def _inside(
    column: Floats, row: Floats, filled: tuple[float, float, float, float]
) -> NDArray[np.bool_]:
    left, top, right, bottom = filled
    across = (column >= left) & (column <= right - 1.0)
    return np.asarray(across & (row >= top) & (row <= bottom - 1.0))


def _depth_map(view: View, triangles: NDArray[np.integer]) -> Floats:
    """Depth (S, S) of the surface at the photograph's pixels, far away where there is none."""
    size = len(view.photograph)
    pixels, shown, weights = visible_triangles(view.placed, triangles, (size, size))
    corners = view.placed[triangles[shown], 2]
    depth = np.full(size * size, view.placed[:, 2].min(), np.float32)
    depth[pixels] = (corners * weights.T).sum(axis=1)
    return depth.reshape(size, size)


def blend(
    space: TextureSpace, albedo: NDArray[np.floating], seen: Sequence[tuple[Floats, Floats]]
) -> Texture:
    """The texture of a face.

    Args:
        space: the model's.
        albedo: (V, 3) the model's, in [0, 1].
        seen: what each of its photographs shows, of `sample_view`; where several do, the better
            seen counts more. Without any, the texture is the model's albedo.
    """
    own = space.at(albedo).clip(0.0, 1.0)
    if not seen:
        return space.texture(own)
    shown, weight = _merge_views(seen)
    shown = _dim(shown, weight * space.face)
    # Both: a point seen aslant and one near the border of what is seen fade alike.
    feather = np.maximum(_feather(space, weight > 0.0), space.mouth)
    share = (weight * feather)[:, None]
    if not share.any():
        return space.texture(own)
    # In logarithms tones are factors, as light and skin colour are.
    filled = (own + _LEVEL) * np.exp(_tone(space, own, shown, weight * ~space.mouth)) - _LEVEL
    return space.texture(share * shown + (1.0 - share) * filled)


def _merge_views(seen: Sequence[tuple[Floats, Floats]]) -> tuple[Floats, Floats]:
    """Colour (N, 3), by the squares of the weights, and greatest weight (N,) of several views."""
    weights = np.stack([weight for _, weight in seen])
    # Squares favour the view that shows a point best; a plain mean would blur pores and lashes.
    squares = weights**2
    total = np.maximum(squares.sum(axis=0), 1e-12)[:, None]
    colours = np.stack([albedo for albedo, _ in seen])
    return (squares[..., None] * colours).sum(axis=0) / total, weights.max(axis=0)


def _dim(shown: Floats, weight: Floats) -> Floats:
    brightest = shown[weight > 0.0].max(axis=1, initial=0.0)
    if not len(brightest):
        return shown.clip(0.0, 1.0)
    # A quantile: a highlight alone should not darken the face.
    level = float(np.quantile(brightest, 0.98))
    return (shown * min(1.0, BRIGHTEST / max(level, 1e-6))).clip(0.0, 1.0)


def _feather(space: TextureSpace, visible: NDArray[np.bool_]) -> Floats:
    """0 to 1 (N,) from the border of what is visible inwards."""
    # From within the visible part only, so the border itself has share 0 and no seam.
    distance = distance_transform_edt(space.mask(visible)).ravel()[space.pixels]
    return _ramp(distance, 0.0, FEATHER * space.size)


def _tone(space: TextureSpace, own: Floats, shown: Floats, weight: Floats) -> Floats:
    """Logarithm (N, 3) of photograph over model, smoothed, continued to where nothing was seen."""
    ratio = np.log((shown + _LEVEL) / (own + _LEVEL))
    # Far from all that was seen the whole face's tone holds.
    everywhere = (weight[:, None] * ratio).sum(axis=0) / max(weight.sum(), 1e-9)
    counted = _in_cells(space, weight)
    kept = _smooth(counted)
    tones = [
        (_smooth(_in_cells(space, weight * ratio[:, c])) + _FAINT * everywhere[c]) / (kept + _FAINT)
        for c in range(3)
    ]
    return sample(np.stack(tones, axis=-1).astype(np.float32), *_cell_positions(space))


def _smooth(cells: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(gaussian_filter(cells, TONE_REACH * _CELLS, mode="constant"))


def _in_cells(space: TextureSpace, values: Floats) -> NDArray[np.float64]:
    """Means (cells, cells) over the texture's pixels, those outside the charts counting as 0."""
    row, column = np.divmod(space.pixels, space.size)
    cell = (row * _CELLS // space.size) * _CELLS + column * _CELLS // space.size
    total = np.bincount(cell, values, minlength=_CELLS * _CELLS)
    return np.asarray(total.reshape(_CELLS, _CELLS) * (_CELLS / space.size) ** 2)


def _cell_positions(space: TextureSpace) -> tuple[Floats, Floats]:
    """Column and row (N,) each of the texture's pixels among the cells."""
    row, column = np.divmod(space.pixels, space.size)
    scale = _CELLS / space.size
    across, down = (column + 0.5) * scale - 0.5, (row + 0.5) * scale - 0.5
    return across.astype(np.float32), down.astype(np.float32)
