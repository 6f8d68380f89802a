"""A picture on a mesh, and the surface point that each of its pixels shows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import distance_transform_edt
from scipy.sparse import csr_matrix

from ..morphable.model import MorphableModel
from ..synthetic.scene import visible_triangles
from .unwrap import unwrap

Values = NDArray[np.floating]


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
        file = BytesIO()
        Image.fromarray(self.picture).save(file, format="PNG")
        return file.getvalue()

    def at_vertices(self) -> NDArray[np.float64]:
        """Colours (V, 3) in [0, 1] of the pixels under the vertices."""
        size = len(self.picture)
        column = np.floor(self.uv[:, 0] * size).astype(int).clip(0, size - 1)
        row = np.floor((1.0 - self.uv[:, 1]) * size).astype(int).clip(0, size - 1)
        return np.asarray(self.picture[row, column] / 255.0)


@dataclass(frozen=True, eq=False)
class TextureSpace:
    """The N pixels of a square texture that lie in a chart, and what each shows of the surface.

    Attributes:
        size: side of the texture in pixels.
        uv: (V, 2), see `Texture`.
        pixels: (N,) row-major, ascending.
        corners: (N, 3) vertices of the triangle there.
        weights: (N, 3) barycentric coordinates in it.
        nearest: (size * size,) for every pixel the index in `pixels` of the nearest one, so that
            what lies between the charts repeats their rims and nothing bleeds in.
    """

    size: int
    uv: NDArray[np.float64]
    pixels: NDArray[np.int64]
    corners: NDArray[np.int64]
    weights: NDArray[np.float32]
    nearest: NDArray[np.int64]

    @classmethod
    def of(cls, model: MorphableModel, size: int) -> TextureSpace:
        """The texture of a model: its mean unwrapped (`recon.unwrap`)."""
        laid = unwrap(model.mean_shape, model.triangles)
        charted = model.triangles[laid.charted]
        flat = np.pad(2.0 * laid.uv - 1.0, ((0, 0), (0, 1)))
        seen = visible_triangles(flat, charted, (size, size))
        corners = charted[seen.triangles].astype(np.int64)
        return cls(size, laid.uv, seen.pixels, corners, seen.weights.T, _nearest(seen.pixels, size))

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
        """A picture (size, size, 3) of levels (N, 3), continued beyond the charts' rims."""
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
    row, column = distance_transform_edt(empty, return_distances=False, return_indices=True)
    nearest: NDArray[np.int64] = index[(row * size + column).ravel()]
    return nearest
