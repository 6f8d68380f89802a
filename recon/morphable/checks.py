"""Checks of a face model's geometry: unit, direction, order of landmarks and modes, winding."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError

Arrays = Mapping[str, NDArray[Any]]

MILLIMETRES = {"m": 1000.0, "dm": 100.0, "cm": 10.0, "mm": 1.0, "um": 0.001}
"""Length of each unit in mm."""

_FACE_EXTENT = (90.0, 250.0)
"""Longer side in mm of the box around a face's landmarks, from child to giant."""

_NOSE_RADIUS = 15.0
"""Around its tip, in mm, where the skin faces the viewer."""

_MOVED = {"identity_basis": (1.0, 30.0), "expression_basis": (0.3, 60.0)}
"""Root mean square, mm, by which all modes of a kind move a vertex at one standard deviation each.

Those of the models at hand: 4.6 to 6.6 of identities, 3 to 17 of expressions. Columns of length one
come to 0.02 to 0.25, variances in place of deviations to hundreds, centimetres to a tenth.
"""

_ROUGH, _SMOOTH = 0.2, 0.1
"""What the ends of an edge differ by, squared, over what any two vertices do: 0.01 of modes at hand
and less, 0.4 to 1 where their numbers stand in another order; and a mean that is a surface."""

_ORDER = (
    ("x", (17, 21, 22, 26), "the brows"),
    ("x", (0, 36, 39, 42, 45, 16), "the eyes"),
    ("x", (31, 33, 35), "the nose"),
    ("x", (48, 51, 54), "the mouth"),
    ("x", (60, 64), "the mouth"),
    ("y", (8, 57, 51, 33, 27, 19), "the face's right half"),
    ("y", (8, 57, 51, 33, 27, 24), "the face's left half"),
)
"""Landmarks, counted from 0, from the subject's right to the left and from below to above: true of
every face at rest, and of hardly any other order of points."""

_EDGES = 5_000

_TURNED_DEG = 15.0
"""Between the line of the eyes and x: regions and framing take a model to look along z."""


def check_modes(geometry: Arrays, name: str, where: str) -> None:
    """Refuse modes (V, 3, K) in mm that move a face by nothing, too much, or neighbours apart.

    Modes carry their standard deviation; without it every face would be the mean, in silence.

    Args:
        geometry: a model's arrays.
        name: of the modes.
        where: what errors call the source.
    """
    basis, mean, triangles = geometry[name], geometry["mean_shape"], geometry["triangles"]
    # Other shapes and NaN have a message of their own.
    if basis.ndim != 3 or len(basis) != len(mean) or not basis.any():
        return
    if _roughness(mean, triangles) < _SMOOTH and _roughness(basis, triangles) > _ROUGH:
        raise FacebenchError(
            f"{where}: {name} moves the ends of edges apart as if they were no neighbours",
            "its numbers stand in another order: (V, 3, K) is vertex, then x, y and z, then mode",
        )
    moved = float(np.linalg.norm(basis)) / len(mean) ** 0.5
    low, high = _MOVED[name]
    if moved < low or moved > high:
        raise FacebenchError(
            f"{where}: {name} moves vertices by {moved:.3g} mm, each mode at one standard "
            f"deviation, and faces differ by {low:g} to {high:g}",
            "give lengths in the mean's unit, and columns times their standard deviation, which is "
            "the root of a variance",
        )


def _roughness(values: NDArray[Any], triangles: NDArray[np.integer]) -> float:
    """Mean square by which values (V, …) differ along edges, over that of any two vertices."""
    flat = values.reshape(len(values), -1)
    ends = np.concatenate([triangles[:, :2], triangles[:, 1:]])
    # Some thousands of edges tell, and a model has gigabytes of modes.
    ends = ends[:: max(1, len(ends) // _EDGES)]
    along = np.square(flat[ends[:, 0]] - flat[ends[:, 1]]).mean()
    spread = 2 * flat[ends.ravel()].var(axis=0).mean()
    return float(along / max(spread, np.finfo(float).tiny))


def check_size(points: NDArray[Any], where: str, unit: str = "mm") -> None:
    """Refuse landmarks (N, 3) in mm whose extent is no face's, naming the unit it looks like.

    `unit` is what they were taken to be in before they were made mm.
    """
    # Landmarks, not vertices: shoulders or a missing neck change what all vertices span.
    extent = float(np.ptp(points, axis=0).max())
    if _is_face_extent(extent):
        return
    # Back in the file's own numbers, tried in every unit: exactly one makes a face of them.
    stored = extent / MILLIMETRES[unit]
    likely = [name for name, mm in MILLIMETRES.items() if _is_face_extent(stored * mm)]
    if likely:
        hint = f"it looks like {likely[0]}; give 'facebench models import' --unit {likely[0]}"
    else:
        hint = "a face spans 100 to 200 mm; check the unit and the landmarks"
    raise FacebenchError(f"{where}: the landmarks span {extent:.4g} mm, which is no face", hint)


def _is_face_extent(extent: float) -> bool:
    return _FACE_EXTENT[0] <= extent <= _FACE_EXTENT[1]


def check_direction(vertices: NDArray[Any], landmarks: NDArray[np.integer], where: str) -> None:
    """Refuse a face unless x is the subject's left, y up, z to the viewer.

    Args:
        vertices: (V, 3).
        landmarks: (68,) vertices in iBUG order; directions between missing ones (-1) go unseen.
        where: what errors call the source.
    """
    wrong = [
        axis
        # Outer eye corners, eye above chin, nose tip before the eyes: true of every face at rest.
        for axis, ahead, behind in (("x", 45, 36), ("y", 36, 8), ("z", 30, 36))
        if landmarks[ahead] >= 0 and landmarks[behind] >= 0
        if np.subtract(*vertices[landmarks[[ahead, behind]], "xyz".index(axis)]) <= 0
    ]
    if wrong:
        raise FacebenchError(
            f"{where}: the face points the wrong way along {' and '.join(wrong)}",
            "expected x to the subject's left, y up, z towards the viewer, iBUG landmark order",
        )
    outer = landmarks[[36, 45]]
    if (outer >= 0).all():
        x, y, z = vertices[outer[1]] - vertices[outer[0]]
        turned = float(np.degrees(np.arctan2(max(abs(y), abs(z)), x)))
        if turned > _TURNED_DEG:
            raise FacebenchError(
                f"{where}: the face is turned by {turned:.0f} degrees",
                "turn mean_shape and all modes so that it looks along z, y up",
            )


def check_order(vertices: NDArray[Any], landmarks: NDArray[np.integer], where: str) -> None:
    """Refuse landmarks (68,) that lie on the vertices (V, 3) as on no face; missing ones go unseen.

    Raises:
        FacebenchError: names two of them, counted from 1 as iBUG does.
    """
    for axis, numbers, part in _ORDER:
        known = [number for number in numbers if landmarks[number] >= 0]
        for first, second in pairwise(known):
            low, high = vertices[landmarks[[first, second]], "xyz".index(axis)]
            if not low < high:
                side = "to the subject's right of" if axis == "x" else "below"
                raise FacebenchError(
                    f"{where}: landmark {first + 1} is not {side} {second + 1}, of {part}",
                    "give iBUG's 68 in their order, as vertices counted from 0",
                )


def check_outward(
    vertices: NDArray[Any], triangles: NDArray[np.integer], nose_tip: int, where: str
) -> None:
    """Refuse triangles that are clockwise seen from outside, judged around the nose tip.

    Args:
        vertices: (V, 3) mm, facing +z.
        triangles: (F, 3).
        nose_tip: its vertex.
        where: what errors call the source.
    """
    corners = vertices.astype(np.float64)[triangles]
    # Not normalised: large triangles count more, and slivers, whose direction is noise, not at all.
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    away = np.linalg.norm(corners.mean(axis=1) - vertices[nose_tip], axis=1)
    # Around the nose tip the skin faces the viewer; eyeballs and mouth bags may face anywhere.
    if normals[away < _NOSE_RADIUS, 2].sum() < 0:
        raise FacebenchError(
            f"{where}: the triangles face inward",
            "another program swapped their corners; take the original file",
        )


def check_indices(name: str, indices: NDArray[np.integer], n_vertices: int, where: str) -> None:
    """Refuse vertex numbers below -1 (-1 means none), beyond the vertices, or counted from 1."""
    if not indices.size:
        raise FacebenchError(f"{where}: {name} is empty", "the model needs a surface")
    low, high = int(indices.min()), int(indices.max())
    # Counting from 1 shows at both ends at once; one bad index alone is just damage.
    if low >= 1 and high == n_vertices:
        raise FacebenchError(
            f"{where}: {name} count vertices from 1 (they run from {low} to {high})",
            "subtract 1: vertices are counted from 0",
        )
    if low < -1 or high >= n_vertices:
        raise FacebenchError(
            f"{where}: {name} run from {low} to {high}", f"the vertices are 0 to {n_vertices - 1}"
        )
