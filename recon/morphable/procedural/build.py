"""The procedural morphable model put together."""

from __future__ import annotations

from functools import cache

import numpy as np

from ....errors import FacebenchError
from ..model import MorphableModel
from ..regions import REGION_NAMES
from .basis import orthogonal, quantised, remove, similarity_directions, successive
from .masks import Masks
from .modes import IDENTITY_STRENGTH, expression_fields, identity_fields
from .paint import albedo_fields, mean_albedo
from .parts import regions
from .solid import Array
from .surface import mean_surface

MIN_VERTICES, MAX_VERTICES = 2_000, 40_000
_DETAIL = 0.12
_SHAPE_BITS, _ALBEDO_BITS = 10, 16


@cache
def embedded_model() -> MorphableModel:
    """The model that travels with the package: `procedural_model()` under its own name."""
    return procedural_model()


def procedural_model(seed: int = 0, n_vertices: int = 6000) -> MorphableModel:
    """A morphable face model made by code alone.

    Args:
        seed: varies the fine shape of the identity modes; 0 is the embedded model.
        n_vertices: wanted number of vertices, 2,000 to 40,000.

    Raises:
        FacebenchError: `n_vertices` is out of range.
    """
    if not MIN_VERTICES <= n_vertices <= MAX_VERTICES:
        raise FacebenchError(
            f"procedural model: {n_vertices} vertices asked for",
            f"choose {MIN_VERTICES} to {MAX_VERTICES}",
        )
    surface = mean_surface(n_vertices)
    masks = Masks(surface)
    identity = _with_detail(identity_fields(masks), surface.skin, seed)
    expression, albedo = expression_fields(masks), albedo_fields(masks)
    return MorphableModel(
        mean_shape=quantised(surface.vertices, _SHAPE_BITS),
        identity_basis=quantised(_identity_basis(identity, surface.vertices), _SHAPE_BITS),
        expression_basis=quantised(np.stack(list(expression.values()), axis=2), _SHAPE_BITS),
        mean_albedo=quantised(mean_albedo(masks), _ALBEDO_BITS),
        albedo_basis=quantised(_albedo_basis(albedo), _ALBEDO_BITS),
        triangles=surface.triangles.astype(np.int32),
        landmarks=surface.landmarks.astype(np.int32),
        region=regions(masks),
        region_names=REGION_NAMES,
        name="embedded" if seed == 0 and n_vertices == 6000 else f"procedural-{seed}-{n_vertices}",
        licence="MIT",
        identity_names=tuple(identity),
        expression_names=tuple(expression),
        albedo_names=tuple(albedo),
    )


def _identity_basis(fields: dict[str, Array], vertices: Array) -> Array:
    columns = np.column_stack([field.ravel() for field in fields.values()])
    columns = orthogonal(remove(columns, similarity_directions(vertices)))
    strength = np.array([IDENTITY_STRENGTH[name] for name in fields]) * np.sqrt(len(vertices))
    basis: Array = (columns * strength).reshape(len(vertices), 3, -1)
    return basis


def _albedo_basis(fields: dict[str, Array]) -> Array:
    columns = np.column_stack([field.ravel() for field in fields.values()])
    return successive(columns).reshape(-1, 3, len(fields))


def _with_detail(fields: dict[str, Array], points: Array, seed: int) -> dict[str, Array]:
    """Fields with a little smooth random motion each, the same on both sides of the face."""
    random = np.random.default_rng(seed)
    return {name: field + _detail(field, points, random) for name, field in fields.items()}


def _detail(field: Array, points: Array, random: np.random.Generator) -> Array:
    waves, pushes = random.normal(size=(6, 3)) / 40.0, random.normal(size=(6, 3))
    phases = random.uniform(0.0, 2 * np.pi, size=6)
    folded = np.column_stack([np.abs(points[:, 0]), points[:, 1:]])
    noise: Array = np.cos(folded @ waves.T + phases) @ pushes
    noise[:, 0] *= np.tanh(points[:, 0] / 20.0)
    size = np.sqrt((field**2).sum() / (noise**2).sum())
    return noise * float(_DETAIL * size)
