"""The linear 3D morphable model of a face, as plain arrays (METHOD eq. 3 and 4)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError
from ..mesh import IntArray, Mesh

Float32Array = NDArray[np.float32]

_ARRAYS = (
    *("mean_shape", "identity_basis", "expression_basis", "mean_albedo", "albedo_basis"),
    *("triangles", "landmarks", "region"),
)


@dataclass(frozen=True, eq=False)
class MorphableModel:
    """Mean face and bases whose columns carry their standard deviation, so coefficients are N(0,1).

    Millimetres; subject facing +z, y up, x to the subject's left; triangles outward.

    Attributes:
        mean_shape: (V, 3) float32, mm.
        identity_basis: (V, 3, K_identity) float32, mm.
        expression_basis: (V, 3, K_expression) float32, mm.
        mean_albedo: (V, 3) float32 RGB in [0, 1].
        albedo_basis: (V, 3, K_albedo) float32.
        triangles: (F, 3) int32.
        landmarks: (68,) int32 vertex of each iBUG landmark; -1 where the model has none.
        region: (V,) uint8, index into `region_names`.
        region_names: the regions' names, see `landmarks.py`.
        name: what tables call the model.
        licence: under which terms it may be used.
        identity_names, expression_names, albedo_names: one name a mode, or empty.
    """

    mean_shape: Float32Array
    identity_basis: Float32Array
    expression_basis: Float32Array
    mean_albedo: Float32Array
    albedo_basis: Float32Array
    triangles: NDArray[np.int32]
    landmarks: NDArray[np.int32]
    region: NDArray[np.uint8]
    region_names: tuple[str, ...]
    name: str
    licence: str
    identity_names: tuple[str, ...] = field(default=())
    expression_names: tuple[str, ...] = field(default=())
    albedo_names: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        self._check_shapes()
        self._check_indices()

    @property
    def has_blend_shapes(self) -> bool:
        """Whether expression coefficients are weights from 0 to 1, which have no opposite; told by
        the name that every set of such shapes has."""
        return "jawOpen" in self.expression_names

    @property
    def n_vertices(self) -> int:
        """Number of vertices V."""
        return len(self.mean_shape)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the geometry and the bases: two models with one digest give one number."""
        # Names and licence stay out: a renamed model gives the same numbers.
        sha = hashlib.sha256()
        for name in _ARRAYS:
            # A transposed view would hash in another order than the file it came from.
            array = np.ascontiguousarray(getattr(self, name))
            # Shape and type first, or two arrays could hash as one longer array would.
            sha.update(f"{name}{array.dtype.str}{array.shape}".encode())
            sha.update(array.tobytes())
        return sha.hexdigest()

    def mesh(
        self,
        identity: NDArray[Any] | None = None,
        expression: NDArray[Any] | None = None,
        albedo: NDArray[Any] | None = None,
    ) -> Mesh:
        """Face of the given coefficients (each (K,) or None for the mean), in mm."""
        return Mesh(
            vertices=_combine(self.mean_shape, self.identity_basis, identity)
            + _combine(np.zeros_like(self.mean_shape), self.expression_basis, expression),
            triangles=self.triangles,
            # A mesh has all 68 or none: code that aligns by landmarks must not meet a -1.
            landmarks=self.landmarks if (self.landmarks >= 0).all() else None,
            colours=_combine(self.mean_albedo, self.albedo_basis, albedo).clip(0.0, 1.0),
        )

    def vertices_of(self, *regions: str) -> IntArray:
        """Indices of the vertices in the named regions; names the model lacks give none."""
        # A number means what this model's own list of names says.
        wanted = [i for i, name in enumerate(self.region_names) if name in regions]
        return np.flatnonzero(np.isin(self.region, wanted))

    def _check_shapes(self) -> None:
        n = len(self.mean_shape)
        for name in ("mean_shape", "mean_albedo"):
            if getattr(self, name).shape != (n, 3):
                raise FacebenchError(
                    f"model {self.name}: {name} has shape {getattr(self, name).shape}",
                    f"expected ({n}, 3)",
                )
        for name in ("identity_basis", "expression_basis", "albedo_basis"):
            shape = getattr(self, name).shape
            if len(shape) != 3 or shape[:2] != (n, 3):
                raise FacebenchError(
                    f"model {self.name}: {name} has shape {shape}", f"expected ({n}, 3, K)"
                )
        if self.landmarks.shape != (68,) or self.region.shape != (n,):
            raise FacebenchError(
                f"model {self.name}: landmarks {self.landmarks.shape}, region {self.region.shape}",
                f"expected (68,) and ({n},)",
            )

    def _check_indices(self) -> None:
        n = len(self.mean_shape)
        for name in ("triangles", "landmarks"):
            array = getattr(self, name)
            # A negative landmark means "none"; negative corners are refused when a file is read.
            if array.size and array.max() >= n:
                raise FacebenchError(
                    f"model {self.name}: {name} name vertex {array.max()}",
                    f"the model has {n} vertices, counted from 0",
                )
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, np.ndarray) and not np.isfinite(value).all():
                raise FacebenchError(f"model {self.name}: {item.name} has NaN or infinite entries")


def _combine(
    mean: Float32Array, basis: Float32Array, coefficients: NDArray[Any] | None
) -> NDArray[np.float64]:
    if coefficients is None:
        return mean.astype(np.float64)
    # In double precision: float32 alone rounds at 1e-5 mm, more than the ruler's tests allow.
    return mean.astype(np.float64) + basis.astype(np.float64) @ np.asarray(coefficients, np.float64)
