"""A dressed person before a camera: colour, coverage and mask class of every pixel.

Pictures need no gradients here, so visibility comes from a scan-line z-buffer.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from ..face.imaging import illuminate, project, rotate, rotation_matrix
from ..render.visibility import visible_triangles
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

_SUPERSAMPLING = 2
"""Samples per pixel in each direction."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


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


class SceneRenderer:
    """Draws subjects of one model."""

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
        vertices: Points,
        albedo: NDArray[np.floating],
        clothing: Clothing,
        pose: torch.Tensor,
        light: torch.Tensor,
        image_size: tuple[int, int],
    ) -> Layer:
        """Draw one subject.

        Args:
            vertices: (V, 3) mm of the face, with expression, in the model's coordinates.
            albedo: (V, 3) of the face.
            clothing: fitted to the neutral face.
            pose: (7,) as in `Coefficients`.
            light: (9, 3) as in `Coefficients`.
            image_size: (height, width) of the picture.
        """
        fine = (image_size[0] * _SUPERSAMPLING, image_size[1] * _SUPERSAMPLING)
        rotated = self.turn(vertices, clothing, pose)
        painted, classes = self.clothed_model.paint(albedo, clothing)
        # Light per vertex and not per pixel: harmonics of order two vary slowly over a face.
        lit = illuminate(
            torch.from_numpy(painted)[..., None],
            torch.from_numpy(self.normals(rotated))[..., None],
            light[None],
        )[..., 0].numpy()
        placed = project(torch.from_numpy(rotated)[..., None], pose[None])[..., 0]
        # Supersampled visibility is the anti-aliasing; its sample count also is the coverage.
        visible = visible_triangles(placed.numpy(), self.clothed_model.triangles, fine)
        return self._shade(clothing.appearance, lit, classes, visible, image_size)

    def turn(self, vertices: Points, clothing: Clothing, pose: torch.Tensor) -> NDArray[np.float32]:
        """Vertices (V + A, 3) in mm: the head turned by the pose, the shoulders by a part of it."""
        head, body = (rotation_matrix(a[None]) for a in (pose[:3], pose[:3] * _BODY_SHARE))
        everything = np.concatenate([vertices, clothing.vertices])
        turned = _rotate(everything, head)
        # Shoulders turn about the base of the neck where the head's turn has carried it.
        pivot = _rotate(clothing.pivot[None], head)
        still = _rotate(clothing.vertices - clothing.pivot, body) + pivot
        worn = slice(len(vertices), None)
        follow = self.clothed_model.follow[:, None].astype(np.float32)
        # Blending two rotated places instead of angles: cheap, and the neck stays closed.
        turned[worn] = follow * turned[worn] + (1 - follow) * still
        return turned

    def normals(self, vertices: NDArray[np.float32]) -> NDArray[np.float32]:
        """Unit vertex normals (V, 3), triangles weighted by area; zero at unused vertices."""
        a, b, c = vertices[self.clothed_model.triangles].swapaxes(0, 1)
        summed = self._incidence @ np.cross(b - a, c - a)
        # Lenses of absent glasses are points without area, and have no normal.
        length = np.linalg.norm(summed, axis=1, keepdims=True)
        return np.asarray(summed / np.maximum(length, 1e-12), np.float32)

    def _shade(
        self,
        appearance: Appearance,
        lit: NDArray[np.float32],
        vertex_classes: NDArray[np.uint8],
        visible: tuple[Ints, Ints, NDArray[np.float32]],
        image_size: tuple[int, int],
    ) -> Layer:
        pixels, triangles, weights = visible
        corners = self._corners[:, triangles]
        # A class cannot be interpolated; the nearest corner decides.
        classes = vertex_classes[_heaviest(corners, weights)]
        attributes = np.concatenate([lit.T, self.clothed_model.texture.T], dtype=np.float32)
        shown = _interpolate(attributes, corners, weights)
        colour = shown[:3] * _grain(classes, shown[3:], appearance)
        return _gather(pixels, colour, classes, image_size)


def _interpolate(
    values: NDArray[np.float32], corners: NDArray[np.int64], weights: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Values (C, N) of (C, V) at points with weights (3, N) in triangles of corners (3, N)."""
    a, b, c = corners
    return np.stack([v[a] * weights[0] + v[b] * weights[1] + v[c] * weights[2] for v in values])


def _heaviest(corners: NDArray[np.int64], weights: NDArray[np.float32]) -> NDArray[np.int64]:
    """The corner (N,) of the largest weight, both (3, N)."""
    a, b, c = weights
    # Ties go to the first corner, so that a rounding of the weights changes no class.
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
        # Float32 throughout: a double factor would change the bytes of every picture.
        factor[chosen] += np.float32(strength[kind]) * value
    return factor


def _gather(
    pixels: NDArray[np.int64],
    colour: NDArray[np.float32],
    classes: NDArray[np.uint8],
    image_size: tuple[int, int],
) -> Layer:
    """Average the samples of each pixel; its class is the one in the middle of its samples.

    Args:
        pixels: (N,) samples, row by row.
        colour: (3, N).
        classes: (N,).
        image_size: (height, width) of the picture.
    """
    n, (height, width) = _SUPERSAMPLING, image_size
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
    # Most pixels have one class in all samples: only the others are sorted.
    mixed = (samples != result).any(axis=0)
    result[mixed] = np.sort(samples[:, mixed], axis=0)[(len(samples) - 1) // 2]
    return result
