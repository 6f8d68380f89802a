"""One mesh of a method: a face in millimetres, its outside outside, its landmarks in place."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from ...errors import FacebenchError
from ...recon.export.write import write_ply
from ...recon.mesh.record import Mesh
from ...recon.morphable.load import EMBEDDED, load_model
from ..landmarks.points import Landmarks
from ..meshes.clean import check_unit, clean_mesh, counted, faces_inwards
from ..meshes.files import load_mesh
from ..registration.frontal import rotation_of_surface
from ..surface.triangles import Float64Array
from ..surface.umeyama import root_mean_square, similarity_between
from .finding import Finding, failed, passed, warning

FRONTAL_DEGREES = 30.0
"""Faces of the models at hand are at most 10 degrees off each other."""
MISFIT = 0.2
"""Root mean square of 68 landmarks from the mean face over the distance of the outer eye corners:
0.11 at most for faces of the two models at hand, 0.32 for an order that is off by one."""
OFF_SURFACE_MM = 20.0
SAVED_MM = 1e-3


def check_arrays(mesh: Mesh) -> Iterator[Finding]:
    """Shapes, types and finite numbers; what follows needs them."""
    vertices, triangles = np.asarray(mesh.vertices), np.asarray(mesh.triangles)
    if vertices.ndim != 2 or vertices.shape[1:] != (3,) or vertices.dtype.kind != "f":
        found = f"vertices are {vertices.shape} {vertices.dtype}"
        yield failed("arrays", found, "give (V, 3) of float64")
    elif triangles.ndim != 2 or triangles.shape[1:] != (3,) or triangles.dtype.kind not in "iu":
        found = f"triangles are {triangles.shape} {triangles.dtype}"
        yield failed("arrays", found, "give (F, 3) of int32")
    elif not len(triangles) or triangles.min() < 0 or triangles.max() >= len(vertices):
        yield failed("arrays", "triangles name no vertices", "count vertices from 0")
    elif not np.isfinite(vertices).all():
        bad = int((~np.isfinite(vertices).all(1)).sum())
        invalid = counted(bad, "vertex is", "vertices are")
        yield failed("arrays", f"{invalid} not finite", "look for a division by zero")
    else:
        yield passed("arrays", f"{len(vertices):,} vertices, {len(triangles):,} triangles")


def check_face(mesh: Mesh, points: Landmarks | None = None) -> Iterator[Finding]:
    """Unit, outside, landmarks, mirror image and pose of a mesh whose arrays are sound.

    Args:
        mesh: as the method gives it.
        points: landmarks given beside it.
    """
    yield from _check_unit(mesh)
    if faces_inwards(mesh):
        advice = "reverse the corners of each triangle, or undo a reflection"
        yield failed("outside", "triangles face inwards", advice)
    else:
        yield passed("outside", "triangles face outwards")
    yield from _check_landmarks(mesh, points)


def check_saved(mesh: Mesh) -> Iterator[Finding]:
    """Written as a file and read again, it is the same mesh."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "face.ply"
        write_ply(mesh, path)
        again, removed = clean_mesh(load_mesh(path))
    same = len(again.vertices) == len(mesh.vertices)
    moved = float(np.abs(again.vertices - mesh.vertices).max()) if same else float("inf")
    if moved <= SAVED_MM:
        yield passed("saved", f"a PLY of it holds the same to {SAVED_MM:g} mm")
    else:
        advice = "every vertex must be in a triangle with an area"
        yield warning("saved", f"a file of it loses {removed}", advice)


def degrees_of(rotation: Float64Array) -> float:
    """The angle of a rotation (3, 3)."""
    return float(np.degrees(np.arccos(np.clip((np.trace(rotation) - 1) / 2, -1, 1))))


def _check_unit(mesh: Mesh) -> Iterator[Finding]:
    try:
        check_unit(mesh, "the mesh")
    except FacebenchError as error:
        yield failed("unit", error.message, "give millimetres")
    else:
        height = float(np.ptp(np.asarray(mesh.vertices), axis=0).max())
        yield passed("unit", f"mm: the longest side is {height:.0f}")


def check_surface(mesh: Mesh) -> Iterator[Finding]:
    """Nothing of it would be left out of a measurement."""
    _, removed = clean_mesh(mesh)
    if str(removed):
        yield warning("surface", f"{removed}", "they are left out of every measurement")
    else:
        yield passed("surface", "every vertex is in a triangle with an area")


def _check_landmarks(mesh: Mesh, points: Landmarks | None) -> Iterator[Finding]:
    if points is None and mesh.landmarks is None:
        advice = "name the 68 iBUG vertices: a sure start, a nose tip and a check of left and right"
        yield warning("landmarks", "none: the pose is searched", advice)
        yield from _check_pose(rotation_of_surface(mesh))
        return
    own = points.points if points is not None else _points_of(mesh)
    yield from _check_points(own, mesh)


def _check_points(own: Float64Array, mesh: Mesh) -> Iterator[Finding]:
    mean_face = Landmarks(_points_of(load_model(EMBEDDED).mesh()))
    target = mean_face.points if len(own) == 68 else mean_face.seven
    misfit = _misfit(own, target) / mean_face.spread
    mirrored = _misfit(own * [-1.0, 1.0, 1.0], target) / mean_face.spread
    off = float(cKDTree(np.asarray(mesh.vertices)).query(own)[0].max())
    if misfit > MISFIT and mirrored <= MISFIT:
        advice = "negate x and reverse the triangles, or exchange left and right of the landmarks"
        yield failed("landmarks", "left and right are exchanged: a mirrored face", advice)
    elif misfit > MISFIT:
        advice = "give the 68 in iBUG's order, or NoW's seven, as vertices counted from 0"
        yield failed("landmarks", f"they miss a face by {misfit:.2f} eye distances", advice)
    elif off > OFF_SURFACE_MM:
        advice = "give points in the space and unit of their mesh"
        yield failed("landmarks", f"a point is {off:.0f} mm off the mesh", advice)
    else:
        yield passed("landmarks", f"{len(own)}, within {misfit:.2f} eye distances of a mean face")
        yield from _check_pose(similarity_between(own, target).rotation)


def _misfit(own: Float64Array, target: Float64Array) -> float:
    return root_mean_square(similarity_between(own, target).apply(own), target)


def _check_pose(rotation: Float64Array) -> Iterator[Finding]:
    """A rotation (3, 3) that would bring the face to the front should be a small one."""
    degrees = degrees_of(rotation)
    if degrees > FRONTAL_DEGREES:
        advice = "turn it to face +z with y up and x to the subject's left; scores search the pose"
        yield warning("pose", f"turned by {degrees:.0f} degrees", advice)
    else:
        yield passed("pose", "faces +z, y up, x to the subject's left")


def _points_of(mesh: Mesh) -> Float64Array:
    points: Float64Array = np.asarray(mesh.vertices, np.float64)[np.asarray(mesh.landmarks)]
    return points
