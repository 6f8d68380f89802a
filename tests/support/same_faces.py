"""Whether two face models decode the same faces."""

from __future__ import annotations

import numpy as np

from facebench.recon.morphable.model import MorphableModel


def assert_same_faces(
    model: MorphableModel,
    source: MorphableModel,
    origin: np.ndarray | None = None,
    atol: float = 2e-3,
) -> None:
    """Random faces of the model equal the source's, vertex by vertex, in mm and in colour.

    `origin` (V,) is the source's vertex of each of the model's; by default they are in order.
    """
    random = np.random.default_rng(3)
    origin = np.arange(source.n_vertices) if origin is None else origin
    bases = ("identity_basis", "expression_basis", "albedo_basis")
    draws = [random.normal(size=getattr(model, name).shape[2]) for name in bases]
    for strength in (0.0, 1.0):
        mine = model.mesh(*(strength * draw for draw in draws))
        theirs = source.mesh(
            *(
                np.pad(strength * draw, (0, getattr(source, name).shape[2] - len(draw)))
                for name, draw in zip(bases, draws, strict=True)
            )
        )
        np.testing.assert_allclose(mine.vertices, theirs.vertices[origin], atol=atol)
        np.testing.assert_allclose(mine.colours, theirs.colours[origin], atol=1e-5)


def surface(triangles: np.ndarray) -> set[tuple[int, ...]]:
    """Triangles as cycles, whatever corner comes first: equal sets have equal direction too."""
    turns = np.argmin(triangles, axis=1)[:, None] + np.arange(3)
    return {tuple(row) for row in np.take_along_axis(triangles, turns % 3, axis=1).tolist()}
