"""Meshes that can be measured: clean, in mm, their outside outside; what is not is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ...errors import FacebenchError, count_of
from ...recon.mesh import Mesh, check_arrays
from ..surface.triangles import double_areas, lengths, triangle_areas
from .clean import COPY_MM, are_valid, clean_mesh, first_copies, first_of_equals
from .files import MAX_VERTICES, load_mesh
from .units import (
    ANY_UNIT,
    UNIT_OPTION,
    UnitError,
    check_far_vertices,
    check_unit,
    guess_unit,
    to_millimetres,
)

MAIN_SHARE = 0.3
"""Of a mesh's triangles: a surface with fewer is one of many pieces, and not the face."""
CRUMB_SHARE = 0.05
"""Of a mesh's triangles: a surface with fewer says nothing of the others."""
FLAT = 0.05
"""How hollow a surface is: a face cut at 95 mm 0.18 and more, a table bent by a centimetre 0.03."""
_FACE_MM = 80.0
_RIGHT_EYE, _LEFT_EYE, _CHIN, _BRIDGE, _TIP = 36, 45, 8, 27, 30
"""Landmarks, counted from 0: outer eye corners, chin, nose bridge and nose tip."""


def read_mesh(path: Path, unit: str | None = None, points: bool = False) -> tuple[Mesh, str]:
    """A clean mesh in mm from a file of `files.FORMATS`, and in words what was left out of it.

    Vertices keep the file's order. A mesh whose size is not that of a face in the stated unit is
    refused: nothing is converted on a guess.

    Args:
        path: the file.
        unit: `mm`, `cm`, `m`, or the millimetres in one of its units; None stands for mm.
        points: whether a point cloud will do.

    Raises:
        FacebenchError: when the file cannot be read, holds no surface, or is in another unit.
    """
    raw = load_mesh(path, points)
    mesh, removed = clean_mesh(raw)
    if len(raw.triangles) and not len(mesh.triangles):
        raise FacebenchError(f"{path}: no triangles with finite corners", "is this a mesh file?")
    check_unit(mesh, str(path), unit or "mm", "--unit")
    return to_millimetres(mesh, unit or "mm"), removed


def prediction_in_mm(mesh: Mesh, name: str, unit: str) -> Mesh:
    """A predicted face cleaned, checked and in mm; of unit `any` with its own numbers.

    Raises:
        FacebenchError: vertices that are not finite, no surface, or not a face in that unit.
    """
    cleaned, _ = clean_mesh(mesh)
    if wrong := int((~are_valid(np.asarray(mesh.vertices, np.float64))).sum()):
        invalid = count_of(wrong, "vertex is", "vertices are")
        raise FacebenchError(
            f"{name}: {invalid} NaN or infinite", "what made it has failed; predict it again"
        )
    if not len(cleaned.triangles):
        raise FacebenchError(f"{name}: no triangle has an area", "is this a face? export it again")
    if unit == ANY_UNIT:
        return cleaned
    try:
        check_unit(cleaned, name, unit, UNIT_OPTION)
    except UnitError as error:
        if guess_unit(cleaned) is not None or not error.hint.startswith("a face is"):
            raise
        advice = f"{error.hint}, or {UNIT_OPTION} any and the landmarks of both sides"
        raise UnitError(error.message, advice) from error
    return to_millimetres(cleaned, unit)


def check_prediction(prediction: Mesh, copies: float = COPY_MM) -> Mesh:
    """The clean prediction; refused when it is no surface with its outside outside.

    Args:
        prediction: in any unit.
        copies: distance in its unit within which vertices are one.

    Raises:
        FacebenchError: for NaN, no triangles, a mirrored face, an inside-out surface or too many
            vertices.
    """
    check_arrays(prediction)
    if not np.isfinite(prediction.vertices).all():
        raise FacebenchError(
            "the prediction has NaN or infinite vertices", "its method failed; predict it again"
        )
    if not len(prediction.triangles):
        raise FacebenchError(
            "the prediction has no triangles, only points", "save it as a mesh with its triangles"
        )
    _check_size(prediction, "the prediction")
    check_far_vertices(prediction, "the prediction")
    cleaned = _with_sound_triangles(prediction, copies)
    if not len(cleaned.triangles):
        raise FacebenchError("no triangle of the prediction has an area", "its method failed")
    if is_mirrored(cleaned):
        raise FacebenchError(
            "the prediction is mirrored: its landmarks' left and right are exchanged",
            "a reflection is never aligned; negate x and reverse the triangles",
        )
    if faces_inwards(cleaned):
        raise FacebenchError(
            "the prediction is inside out or mirrored: its triangles face inwards",
            "reverse the order of each triangle's corners, or undo the reflection; of a surface "
            "that is turned in part make it consistent, for example by MeshLab's 'Re-Orient All "
            "Faces'",
        )
    return cleaned


def check_scan(scan: Mesh) -> Mesh:
    """The clean scan in mm with its outside outside.

    Raises:
        FacebenchError: when nothing is left of it, it is in another unit, mirrored by its own
            landmarks, has too many vertices or surfaces that face both ways.
    """
    _check_size(scan, "the scan")
    is_cloud = not len(scan.triangles)
    scan, _ = clean_mesh(scan, COPY_MM)
    if is_cloud and len(scan.vertices):
        check_unit(scan, "the scan")
        return scan
    if not len(scan.triangles):
        raise FacebenchError("the scan has no triangles with finite corners", "is it a mesh?")
    check_unit(scan, "the scan")
    if is_mirrored(scan):
        raise FacebenchError(
            "the scan is mirrored: its landmarks' left and right are exchanged",
            "undo the reflection: negate x and reverse the triangles",
        )
    if not faces_inwards(scan):
        return scan
    _refuse_room(scan)
    return flip_triangles(scan)


def _refuse_room(scan: Mesh) -> None:
    """Refuse a scan whose main surface faces inwards and another one outwards.

    So do the walls and the floor around a face: turning them would turn it inside out.
    """
    vertices, triangles = (
        np.asarray(scan.vertices, np.float64),
        np.asarray(scan.triangles, np.int64),
    )
    for surface in _main_surfaces(triangles, len(vertices))[1:]:
        # What is as large as a face: an eyeball says nothing of the face around it.
        large = np.ptp(vertices[surface].reshape(-1, 3), axis=0).max() >= _FACE_MM
        if large and _hollow(vertices, surface) >= FLAT:
            raise FacebenchError(
                "the scan's largest surface faces inwards, another one of "
                f"{len(surface) / len(triangles):.0%} of its triangles outwards",
                "cut walls and floor away, or turn the triangles of the one that is wrong",
            )


def _check_size(mesh: Mesh, name: str) -> None:
    """Refuse what would take tens of gigabytes, by the rule that also holds for files."""
    count = len(mesh.vertices)
    if count > MAX_VERTICES:
        raise FacebenchError(
            f"{name} has {count:,} vertices, more than {MAX_VERTICES:,}",
            "thin it to 0.5 mm between points first, for example by clustering vertices in MeshLab",
        )


def _with_sound_triangles(mesh: Mesh, copies: float) -> Mesh:
    """The mesh without degenerate and duplicate triangles; vertices keep their numbers.

    Triangles use the first of the copies of a vertex: a seam is no boundary.
    """
    vertices = np.asarray(mesh.vertices, np.float64)
    triangles = first_copies(vertices, copies)[np.asarray(mesh.triangles, np.int64)]
    solid = triangles[triangle_areas(vertices, triangles) > 0]
    return replace(mesh, triangles=solid[first_of_equals(solid)])


def is_mirrored(face: Mesh) -> bool:
    """Whether left, up and forward, by the landmarks, form a left-handed frame."""
    if face.landmarks is None:
        return False
    point = np.asarray(face.vertices)[face.landmarks]
    left = point[_LEFT_EYE] - point[_RIGHT_EYE]
    up = point[_BRIDGE] - point[_CHIN]
    forward = point[_TIP] - (point[_LEFT_EYE] + point[_RIGHT_EYE]) / 2
    return bool(np.cross(left, up) @ forward < 0)


def faces_inwards(mesh: Mesh) -> bool:
    """Whether most of the surface is wound so that its normals point to the inside.

    The sign of the volume between the surface and its centre; a face is a bowl, so this tells the
    inside from the outside though the surface is open. Of several surfaces the largest is asked
    that is no plane: what else a scanner saw may be a table that faces down, whose volume is
    nothing but rounding.
    """
    vertices = np.asarray(mesh.vertices, np.float64)
    main, *others = _main_surfaces(np.asarray(mesh.triangles, np.int64), len(vertices))
    hollow = _hollow(vertices, main)
    if abs(hollow) < FLAT:
        bowls = (found for one in others if abs(found := _hollow(vertices, one)) >= FLAT)
        hollow = next(bowls, hollow)
    return hollow < 0


def _hollow(vertices: NDArray[np.float64], triangles: NDArray[np.int64]) -> float:
    """How much a surface turns its outside away from its centre, of a sphere 1, of a plane 0."""
    outward = double_areas(vertices, triangles)
    centres = vertices[triangles].mean(1)
    away = centres - np.average(centres, axis=0, weights=lengths(outward))
    whole = float((lengths(away) * lengths(outward)).sum())
    return float((away * outward).sum()) / whole if whole else 0.0


def _main_surfaces(triangles: NDArray[np.int64], n_vertices: int) -> list[NDArray[np.int64]]:
    """The triangles of the surface that has most of them, then of others that are no crumbs; all
    together, where none has a good part."""
    ends = np.concatenate([triangles[:, :2], triangles[:, 1:]])
    links = coo_array((np.ones(len(ends)), tuple(ends.T)), shape=(n_vertices, n_vertices))
    surface = connected_components(links, directed=False)[1][triangles[:, 0]]
    counts = np.bincount(surface)
    if counts.max() < MAIN_SHARE * len(triangles):
        return [triangles]
    order = np.argsort(-counts, kind="stable")
    large = [one for one in order if counts[one] >= CRUMB_SHARE * len(triangles)]
    return [triangles[surface == one] for one in large]


def flip_triangles(mesh: Mesh) -> Mesh:
    """The mesh with the other side of each triangle outside."""
    return replace(mesh, triangles=np.asarray(mesh.triangles)[:, ::-1])
