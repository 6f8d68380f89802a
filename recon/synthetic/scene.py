"""A dressed person before a camera: colour, coverage and mask class of every pixel.

Visibility is a scan-line z-buffer: pictures need no gradients here, and this costs a tenth of the
differentiable rasteriser.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from ..face.camera import project, rotate, rotation_matrix
from ..face.lighting import illuminate
from .appearance import CLASS_NAMES, Appearance, Points
from .clothing import ClothedModel, Clothing
from .photograph import FloatImage, look_up, tile

_BODY_SHARE = torch.tensor([0.15, 0.35, 0.2])
"""How much of the head's pitch, yaw and roll the shoulders follow."""

_WOVEN = {
    kind: np.isin(CLASS_NAMES, names)
    for kind, names in {
        "skin": ("skin", "nose", "neck", "l_ear", "r_ear"),
        "hair": ("hair", "l_brow", "r_brow"),
        "cloth": ("cloth", "hat"),
    }.items()
}
"""Which mask classes (19,) carry which texture."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_SMALLEST = 1e-9
"""Twice the area in px² under which a triangle is not drawn."""


@dataclass(frozen=True)
class Layer:
    """A person cut out of the picture.

    Attributes:
        colour: (H, W, 3) premultiplied by coverage.
        coverage: (H, W) in [0, 1].
        classes: (H, W) uint8, 0 where nothing covers the pixel.
    """

    colour: FloatImage
    coverage: FloatImage
    classes: NDArray[np.uint8]

    def over(self, background: FloatImage) -> FloatImage:
        """The person in front of a picture (H, W, 3)."""
        return self.colour + background * (1 - self.coverage[..., None])


@dataclass(frozen=True, eq=False)
class PosedSubject:
    """One face to draw: posed, expressive and dressed.

    Attributes:
        vertices: (V, 3) mm of the face model, with expression, in the model's coordinates.
        albedo: (V, 3).
        clothing: fitted to the neutral face.
        appearance: what the clothes were made from.
    """

    vertices: Points
    albedo: NDArray[np.floating]
    clothing: Clothing
    appearance: Appearance


class SceneRenderer:
    """Draws sitters of one model."""

    def __init__(self, clothed_model: ClothedModel) -> None:
        self.clothed_model = clothed_model

    @cached_property
    def _incidence(self) -> csr_matrix:
        """(V, F) matrix that sums triangles around vertices."""
        triangles = self.clothed_model.triangles
        columns = np.repeat(np.arange(len(triangles)), 3)
        ones = np.ones(triangles.size, np.float32)
        shape = (len(self.clothed_model.texture), len(triangles))
        return csr_matrix((ones, (triangles.ravel(), columns)), shape=shape)

    @cached_property
    def _corners(self) -> NDArray[np.int64]:
        """Triangles as (3, F)."""
        return np.ascontiguousarray(self.clothed_model.triangles.T)

    def draw(
        self,
        posed: PosedSubject,
        pose: torch.Tensor,
        light: torch.Tensor,
        image_size: tuple[int, int],
        supersampling: int = 2,
    ) -> Layer:
        """Draw one sitter.

        Args:
            posed: the person.
            pose: (7,) as in `Coefficients`.
            light: (9, 3) as in `Coefficients`.
            image_size: (height, width) of the picture.
            supersampling: samples a pixel in each direction.
        """
        fine = (image_size[0] * supersampling, image_size[1] * supersampling)
        rotated = self.turn(posed, pose)
        albedo, classes = self.clothed_model.paint(posed.albedo, posed.clothing)
        lit = illuminate(
            torch.from_numpy(albedo)[..., None],
            torch.from_numpy(self.normals(rotated))[..., None],
            light[None],
        )[..., 0].numpy()
        placed = project(torch.from_numpy(rotated)[..., None], pose[None])[..., 0]
        visible = visible_triangles(placed.numpy(), self.clothed_model.triangles, fine)
        return self._shade(posed.appearance, lit, classes, visible, image_size, supersampling)

    def turn(self, posed: PosedSubject, pose: torch.Tensor) -> NDArray[np.float32]:
        """Vertices (V + A, 3) in mm: the head turned by the pose, the shoulders by a part of it."""
        clothing = posed.clothing
        head, body = (rotation_matrix(a[None]) for a in (pose[:3], pose[:3] * _BODY_SHARE))
        everything = np.concatenate([posed.vertices, clothing.vertices])
        turned = _rotate(everything, head)
        pivot = _rotate(clothing.pivot[None], head)
        still = _rotate(clothing.vertices - clothing.pivot, body) + pivot
        worn = slice(len(posed.vertices), None)
        follow = self.clothed_model.follow[:, None].astype(np.float32)
        turned[worn] = follow * turned[worn] + (1 - follow) * still
        return turned

    def normals(self, vertices: NDArray[np.float32]) -> NDArray[np.float32]:
        """Unit vertex normals (V, 3), triangles weighted by area; zero at unused vertices."""
        a, b, c = vertices[self.clothed_model.triangles].swapaxes(0, 1)
        summed = self._incidence @ np.cross(b - a, c - a)
        length = np.linalg.norm(summed, axis=1, keepdims=True)
        return np.asarray(summed / np.maximum(length, 1e-12), np.float32)

    def _shade(
        self,
        appearance: Appearance,
        lit: NDArray[np.float32],
        vertex_classes: NDArray[np.uint8],
        visible: Visible,
        image_size: tuple[int, int],
        supersampling: int,
    ) -> Layer:
        corners = self._corners[:, visible.triangles]
        classes = vertex_classes[_heaviest(corners, visible.weights)]
        attributes = np.concatenate([lit.T, self.clothed_model.texture.T], dtype=np.float32)
        pixels = _interpolate(attributes, corners, visible.weights)
        colour = pixels[:3] * _grain(classes, pixels[3:], appearance)
        return _gather(visible.pixels, colour, classes, image_size, supersampling)


def _interpolate(
    values: NDArray[np.float32], corners: NDArray[np.int64], weights: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Values (C, N) of (C, V) at points with weights (3, N) in triangles of corners (3, N)."""
    a, b, c = corners
    return np.stack([v[a] * weights[0] + v[b] * weights[1] + v[c] * weights[2] for v in values])


def _heaviest(corners: NDArray[np.int64], weights: NDArray[np.float32]) -> NDArray[np.int64]:
    """The corner (N,) of the largest weight, both (3, N)."""
    a, b, c = weights
    second = np.where(b >= c, corners[1], corners[2])
    return np.asarray(np.where((a >= b) & (a >= c), corners[0], second))


def _rotate(vertices: Points, rotation: torch.Tensor) -> NDArray[np.float32]:
    points = torch.from_numpy(vertices.astype(np.float32))[..., None]
    return rotate(points, rotation)[..., 0].numpy()


def _grain(
    classes: NDArray[np.uint8], texture: NDArray[np.float32], appearance: Appearance
) -> NDArray[np.float32]:
    """Brightness (N,) around 1 of skin, hair and cloth under a texture (2, N)."""
    strength = {"skin": appearance.freckles, "hair": 0.16, "cloth": 0.05}
    factor = np.ones(len(classes), np.float32)
    for (u, v), kind in zip(appearance.grain.astype(np.float32), strength, strict=True):
        chosen = np.flatnonzero(_WOVEN[kind][classes])
        value = look_up(tile(kind), texture[0, chosen] + u, texture[1, chosen] + v)
        factor[chosen] += np.float32(strength[kind]) * value
    return factor


def _gather(
    pixels: NDArray[np.int64],
    colour: NDArray[np.float32],
    classes: NDArray[np.uint8],
    image_size: tuple[int, int],
    supersampling: int,
) -> Layer:
    """Average the samples of each pixel; its class is the one in the middle of its samples.

    Args:
        pixels: (N,) samples, row by row.
        colour: (3, N).
        classes: (N,).
        image_size: (height, width) of the picture.
        supersampling: samples a pixel in each direction.
    """
    n, (height, width) = supersampling, image_size
    row, column = np.divmod(pixels, width * n)
    pixel = row // n * width + column // n
    cells = height * width
    sums = [np.bincount(pixel, channel, cells) for channel in (*colour, np.ones(len(pixel)))]
    labels = np.zeros((n * n, cells), np.uint8)
    labels[row % n * n + column % n, pixel] = classes
    middle = _middle(labels).reshape(height, width)
    mean = np.stack(sums, axis=-1).reshape(height, width, 4).astype(np.float32) / np.float32(n * n)
    return Layer(mean[..., :3], mean[..., 3], middle)


def _middle(samples: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The lower median (P,) of samples (N, P): what most of them say, if most agree."""
    result: NDArray[np.uint8] = samples[0].copy()
    mixed = (samples != result).any(axis=0)
    result[mixed] = np.sort(samples[:, mixed], axis=0)[(len(samples) - 1) // 2]
    return result


@dataclass(frozen=True, eq=False)
class Visible:
    """The covered pixels of a picture and what covers them.

    Attributes:
        pixels: (N,) int64, row * width + column, ascending, each once.
        triangles: (N,) int64, the nearest triangle there.
        weights: (3, N) float32, barycentric coordinates in it.
    """

    pixels: Ints
    triangles: Ints
    weights: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class _Spans:
    """Runs of pixels of one triangle in one row.

    Attributes:
        triangle, row, column, length: (S,) int64; `column` is the first.
        depth: (S,) at the first pixel.
        slope: (S,) change of depth from a pixel to the next.
    """

    triangle: Ints
    row: Ints
    column: Ints
    length: Ints
    depth: Floats
    slope: Floats


def visible_triangles(
    vertices: NDArray[np.floating], triangles: NDArray[np.integer], image_size: tuple[int, int]
) -> Visible:
    """The nearest triangle that faces the viewer, at every pixel centre that one covers.

    Two triangles never both cover, nor both miss, a pixel centre on the side they share.

    Args:
        vertices: (V, 3) normalised image coordinates (`recon.camera`).
        triangles: (F, 3) counter-clockwise seen from outside.
        image_size: (height, width).
    """
    corners = _pixel_corners(vertices, image_size)[:, triangles.T]
    drawn = np.flatnonzero((_doubled_area(corners) > _SMALLEST) & _in_view(corners, image_size))
    corners = corners[:, :, drawn]
    spans = _spans(corners, image_size)
    pixels, chosen = _nearest(spans, image_size)
    triangle = spans.triangle[chosen]
    row, column = np.divmod(pixels, image_size[1])
    weights = _barycentric(corners[:2, :, triangle], column, row)
    return Visible(pixels, drawn[triangle], weights)


def _pixel_corners(vertices: NDArray[np.floating], image_size: tuple[int, int]) -> Floats:
    """Column, row and depth (3, V); integers are pixel centres, rows run down."""
    height, width = image_size
    x, y, z = vertices.astype(np.float64).T
    short = min(height, width)
    return np.stack([(x * short + width - 1) / 2, (height - 1 - y * short) / 2, z])


def _doubled_area(corners: Floats) -> Floats:
    """Twice the area (F,) of triangles (3, 3, F), positive where they face the viewer."""
    (x, y, _), (u, v, _) = _sides(corners)
    return np.asarray(y * u - x * v)


def _in_view(corners: Floats, image_size: tuple[int, int]) -> NDArray[np.bool_]:
    """Which triangles (F,) reach into the picture and across the middle of a row of pixels."""
    (x, y), limits = corners[:2], np.array(image_size)[::-1]
    crossed = np.ceil(y.min(axis=0)) < np.ceil(y.max(axis=0))
    inside = (y.max(axis=0) >= 0) & (y.min(axis=0) < limits[1])
    return np.asarray(crossed & inside & (x.max(axis=0) >= 0) & (x.min(axis=0) < limits[0]))


def _sides(corners: Floats) -> tuple[Floats, Floats]:
    """Vectors (3, F) from the first corner to the others."""
    return corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]


def _spans(corners: Floats, image_size: tuple[int, int]) -> _Spans:
    """The runs of the triangles (3, 3, F), coordinates by corners."""
    height, width = image_size
    first = np.ceil(corners[1].min(axis=0)).clip(0, height).astype(np.int64)
    last = np.ceil(corners[1].max(axis=0)).clip(0, height).astype(np.int64)
    triangle, offset = _runs(last - first)
    row = first[triangle] + offset
    left, right = _crossings(corners, triangle, row)
    column = np.ceil(left).clip(0, width).astype(np.int64)
    length = np.ceil(right).clip(0, width).astype(np.int64) - column
    full = np.flatnonzero(length > 0)
    triangle, row, column, length = (a[full] for a in (triangle, row, column, length))
    (x, y, z), (by_column, by_row) = corners[:, 0], _depth_slopes(corners)
    level = z - by_column * x - by_row * y
    slope = by_column[triangle]
    depth = level[triangle] + slope * column + by_row[triangle] * row
    return _Spans(triangle, row, column, length, depth, slope)


def _depth_slopes(corners: Floats) -> tuple[Floats, Floats]:
    """Change of depth per column and per row, (F,) each."""
    (x, y, z), (u, v, w) = _sides(corners)
    area = y * u - x * v
    return (y * w - v * z) / area, (u * z - x * w) / area


def _runs(counts: Ints) -> tuple[Ints, Ints]:
    """Owner and place within the owner (sum of counts,) of every item."""
    owner = np.repeat(np.arange(len(counts)), counts)
    return owner, np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)


def _crossings(corners: Floats, triangle: Ints, row: Ints) -> tuple[Floats, Floats]:
    """Where rows enter and leave their triangles (S,), each side taken from its upper end down."""
    left, right = np.zeros(len(row)), np.zeros(len(row))
    for start, end in ((0, 1), (1, 2), (2, 0)):
        descends = corners[1, start] < corners[1, end]
        upper = np.where(descends, corners[:2, start], corners[:2, end])
        lower = np.where(descends, corners[:2, end], corners[:2, start])
        slant = (lower[0] - upper[0]) / np.maximum(lower[1] - upper[1], 1e-12)
        met = np.flatnonzero((upper[1][triangle] <= row) & (row < lower[1][triangle]))
        at = triangle[met]
        x = upper[0][at] + (row[met] - upper[1][at]) * slant[at]
        enters = descends[at]
        left[met[enters]] = x[enters]
        right[met[~enters]] = x[~enters]
    return left, right


def _nearest(spans: _Spans, image_size: tuple[int, int]) -> tuple[Ints, Ints]:
    """Covered pixels (N,), ascending, and the span that is nearest to the viewer in each."""
    owner, offset = _runs(spans.length)
    start = spans.row * image_size[1] + spans.column
    pixel = start[owner] + offset
    depth = spans.depth[owner] + spans.slope[owner] * offset
    front = np.full(image_size[0] * image_size[1], -np.inf)
    np.maximum.at(front, pixel, depth)
    won = np.flatnonzero(depth == front[pixel])
    chosen = np.full(len(front), -1)
    chosen[pixel[won]] = owner[won]
    covered = np.flatnonzero(chosen >= 0)
    return covered, chosen[covered]


def _barycentric(corners: Floats, column: Ints, row: Ints) -> NDArray[np.float32]:
    """Weights (3, N) of points in triangles of corners (2, 3, N)."""
    x = (corners[0] - column).astype(np.float32)
    y = (corners[1] - row).astype(np.float32)
    areas = [x[j] * y[k] - x[k] * y[j] for j, k in ((1, 2), (2, 0), (0, 1))]
    whole = 1 / (areas[0] + areas[1] + areas[2])
    return np.array([np.clip(area * whole, 0, 1) for area in areas], np.float32)
