"""The points that stand for the surface: evenly spread, with normals that follow the shape."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial import cKDTree

from facebench.recon.fitting.colours import cross
from facebench.recon.fitting.surface_points import HIDDEN_REGIONS, SurfacePoints, spread_vertices
from facebench.recon.mesh import vertex_normals
from facebench.recon.morphable.model import MorphableModel


def test_points_cover_the_face_evenly(model: MorphableModel) -> None:
    chosen = spread_vertices(model, 8.0)
    names = np.array(model.region_names)[model.region]
    face = np.flatnonzero(~np.isin(names, HIDDEN_REGIONS))
    assert not np.isin(names[chosen], HIDDEN_REGIONS).any()
    gaps = cKDTree(model.mean_shape[chosen]).query(model.mean_shape[face])[0]
    assert gaps.max() < 8.0 * np.sqrt(3)
    assert len(spread_vertices(model, 16.0)) < len(chosen) / 3


def test_places_and_normals_follow_the_shape(model: MorphableModel) -> None:
    """Of a face two deviations from the mean, against the mesh's own normals."""
    points = SurfacePoints(model, 8.0)
    identity = np.full(model.identity_basis.shape[2], 2.0, np.float32)
    expression = np.full(model.expression_basis.shape[2], 0.5, np.float32)
    mesh = model.mesh(identity, expression)
    frames = points.frames(torch.from_numpy(np.concatenate([identity, expression])[None]).double())
    chosen = points.vertices.numpy()
    np.testing.assert_allclose(frames[:3, :, 0].T, mesh.vertices[chosen], atol=1e-3)
    outward = cross(frames[3:6], frames[6:])[..., 0].T.numpy()
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    cosine = (outward * vertex_normals(mesh)[chosen]).sum(axis=1)
    degrees = np.degrees(np.arccos(cosine.clip(-1, 1)))
    assert np.median(degrees) < 2.0 and np.quantile(degrees, 0.95) < 15.0
