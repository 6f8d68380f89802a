"""From the arrays a reader found to a whole model: checked, with what is absent derived.

Checked are array shapes, unit, index base, winding and the direction of the face; regions and
albedo are derived from the landmarks when a file brings none. The helpers at the end turn columns
of interleaved coordinates (3V), as Basel and Surrey files store them, into (V, 3), (V, 3, K).
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError
from .landmarks import REGION_NAMES, derive_regions, landmark_points
from .model import Float32Array, MorphableModel
from .plausible_albedo import Albedo, plausible_albedo

Arrays = Mapping[str, NDArray[Any]]

GEOMETRY = ("mean_shape", "identity_basis", "expression_basis", "triangles", "landmarks")
"""Arrays without which there is no face model."""

MILLIMETRES = {"m": 1000.0, "dm": 100.0, "cm": 10.0, "mm": 1.0, "um": 0.001}
"""Length of each unit in mm."""

_FACE_EXTENT = (90.0, 250.0)
"""Longer side in mm of the box around a face's landmarks, from child to giant."""

_WHITE = 1.1
"""Colours may overshoot white a little."""

_NOSE_RADIUS = 15.0
"""Around its tip, in mm, where the skin faces the viewer."""

_MOVED = (0.3, 60.0)
"""Root mean square, mm, by which all modes of a kind move a vertex at one standard deviation each.

Those of the models at hand: 4.6 to 6.6 of identities, 3 to 17 of expressions. Columns of length one
come to 0.02 to 0.25, variances in place of deviations to hundreds.
"""

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

_TURNED_DEG = 15.0
"""Between the line of the eyes and x: regions and framing take a model to look along z."""

BRIGHTEST = np.float32(255.0)
"""The largest value of a colour where the file stores bytes' range."""


def complete_model(
    arrays: Arrays, where: str, unit: str = "mm", outward: bool = False
) -> MorphableModel:
    """Check the arrays and make the model of them.

    Args:
        arrays: `MorphableModel`'s fields by name. Those of `GEOMETRY` are needed; an absent
            `region` is derived from the landmarks and from `part` (V,) with `part_names`, an
            absent albedo from the regions; absent texts get defaults.
        where: what errors call the source, for example the path.
        unit: what the lengths were in before they were made mm, for the error.
        outward: also check the triangles' winding, where the nose tip is known.

    Raises:
        FacebenchError: an array is missing, misshapen, not a number, in another unit than mm,
            counted from 1, or the face points the wrong way.
    """
    # All at once, so that a file is mended in one go.
    missing = [name for name in GEOMETRY if name not in arrays]
    if missing:
        raise FacebenchError(f"{where}: no {', '.join(missing)}", "see 'facebench models --help'")
    geometry = {name: _geometry(arrays, name, where) for name in GEOMETRY}
    _check_geometry(geometry, where, unit)
    for name in ("identity_basis", "expression_basis"):
        check_modes(geometry[name], len(geometry["mean_shape"]), f"{where}: {name}")
    nose_tip = int(geometry["landmarks"][30])
    if outward and nose_tip >= 0:
        check_outward(geometry["mean_shape"], geometry["triangles"], nose_tip, where)
    region, region_names = _regions(arrays, geometry, where)
    mean_albedo, albedo_basis, albedo_names = _albedo(arrays, geometry, region, region_names, where)
    return MorphableModel(
        mean_shape=geometry["mean_shape"],
        identity_basis=geometry["identity_basis"],
        expression_basis=geometry["expression_basis"],
        mean_albedo=mean_albedo,
        albedo_basis=albedo_basis,
        triangles=geometry["triangles"],
        landmarks=geometry["landmarks"],
        region=region,
        region_names=region_names,
        name=_text(arrays, "name", where),
        licence=_text(arrays, "licence", "unknown"),
        identity_names=_mode_names(arrays, "identity", where),
        expression_names=_mode_names(arrays, "expression", where),
        albedo_names=albedo_names,
    )


def _geometry(arrays: Arrays, name: str, where: str) -> NDArray[Any]:
    kind = np.int32 if name in ("triangles", "landmarks") else np.float32
    return _numbers(arrays, name, kind, where)


def _numbers(arrays: Arrays, name: str, kind: type[np.generic], where: str) -> NDArray[Any]:
    array = arrays[name]
    # Whole numbers stay whole: a float index that was rounded would name another vertex.
    whole = np.issubdtype(kind, np.integer)
    if not np.issubdtype(array.dtype, np.integer if whole else np.number):
        wanted = "whole numbers" if whole else "numbers"
        raise FacebenchError(f"{where}: {name} holds {array.dtype}", f"expected {wanted}")
    return array.astype(kind)


def _check_geometry(geometry: Arrays, where: str, unit: str) -> None:
    mean, triangles, landmarks = (geometry[n] for n in ("mean_shape", "triangles", "landmarks"))
    expected = (
        ("mean_shape", mean, ("V", 3)),
        ("triangles", triangles, ("F", 3)),
        ("landmarks", landmarks, (68,)),
    )
    for name, array, shape in expected:
        # Only the length of the first axis is free; everything else must be as documented.
        fits = len(shape) == array.ndim and array.shape[1:] == shape[1:]
        if not fits or (name == "landmarks" and array.shape != shape):
            wanted = str(shape).replace("'", "")
            raise FacebenchError(f"{where}: {name} has shape {array.shape}", f"expected {wanted}")
    if not np.isfinite(mean).all():
        raise FacebenchError(f"{where}: mean_shape has NaN or infinite entries")
    check_indices("triangles", triangles, len(mean), where)
    check_indices("landmarks", landmarks, len(mean), where)
    # -1 is allowed above for landmarks alone; a triangle with it would take the last vertex.
    if (triangles < 0).any() or (landmarks < 0).all():
        raise FacebenchError(f"{where}: negative vertex numbers", "vertices are counted from 0")
    # Unit before direction: a face in metres would pass every check of signs.
    check_size(mean[landmarks[landmarks >= 0]], where, unit)
    check_direction(mean, landmarks, where)
    check_order(mean, landmarks, where)


def _regions(
    arrays: Arrays, geometry: Arrays, where: str
) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    if "region" not in arrays:
        # Named parts (eyeballs, sockets) know what lies behind the lids; landmarks do not.
        parts = _parts(arrays, len(geometry["mean_shape"]), where)
        mean, landmarks = geometry["mean_shape"], geometry["landmarks"]
        return derive_regions(mean, landmark_points(mean, landmarks, where), parts), REGION_NAMES
    region = _numbers(arrays, "region", np.uint8, where)
    if region.shape != (len(geometry["mean_shape"]),):
        raise FacebenchError(f"{where}: region has shape {region.shape}", "expected one a vertex")
    # Numbers without names are those of our own list.
    names = _names(arrays, "region_names") or REGION_NAMES
    if region.size and region.max() >= len(names):
        raise FacebenchError(
            f"{where}: region names number {region.max()}", f"there are {len(names)} region_names"
        )
    return region, names


def _parts(arrays: Arrays, n_vertices: int, where: str) -> dict[str, NDArray[np.integer]]:
    if "part" not in arrays or "part_names" not in arrays:
        return {}
    part = _numbers(arrays, "part", np.int64, where)
    if part.shape != (n_vertices,):
        raise FacebenchError(f"{where}: part has shape {part.shape}", f"expected ({n_vertices},)")
    names = _names(arrays, "part_names")
    return {name: np.flatnonzero(part == i) for i, name in enumerate(names)}


def _albedo(
    arrays: Arrays,
    geometry: Arrays,
    region: NDArray[np.uint8],
    region_names: tuple[str, ...],
    where: str,
) -> Albedo:
    if "mean_albedo" in arrays:
        mean = _numbers(arrays, "mean_albedo", np.float32, where)
        none = np.empty((*mean.shape, 0), np.float32)
        # A mean without modes is somebody's skin: another's would not be a better one.
        basis = _numbers({"albedo_basis": none, **arrays}, "albedo_basis", np.float32, where)
        largest = max(float(np.abs(part).max(initial=0)) for part in (mean, basis))
        if largest > _WHITE or mean.min(initial=0) < 1 - _WHITE:
            raise FacebenchError(
                f"{where}: colours run from {mean.min():.4g} to {largest:.4g}",
                "expected RGB from 0 to 1: divide mean_albedo and albedo_basis by 255",
            )
        return mean, basis, _mode_names({"albedo_basis": basis, **arrays}, "albedo", where)
    if "albedo_basis" in arrays:
        raise FacebenchError(f"{where}: albedo_basis without mean_albedo", "give both, or neither")
    return plausible_albedo(geometry["mean_shape"], geometry["triangles"], region, region_names)


def _text(arrays: Arrays, name: str, default: str) -> str:
    return str(arrays[name]) if name in arrays else default


def _names(arrays: Arrays, name: str) -> tuple[str, ...]:
    return tuple(str(item) for item in np.atleast_1d(arrays[name])) if name in arrays else ()


def _mode_names(arrays: Arrays, kind: str, where: str) -> tuple[str, ...]:
    """The names of the modes of a kind, one each or none."""
    names, shape = _names(arrays, f"{kind}_names"), arrays[f"{kind}_basis"].shape
    # Another shape has a message of its own.
    if names and len(shape) == 3 and len(names) != shape[2]:
        raise FacebenchError(f"{where}: {len(names)} {kind}_names", f"there are {shape[2]} modes")
    return names


def check_modes(basis: NDArray[Any], n_vertices: int, name: str) -> None:
    """Refuse modes (V, 3, K) in mm that move a face by nothing, or by more than faces differ.

    Modes carry their standard deviation; without it every face would be the mean, in silence.
    """
    # Other shapes and NaN have a message of their own.
    if basis.ndim != 3 or len(basis) != n_vertices or not basis.any():
        return
    moved = float(np.linalg.norm(basis)) / n_vertices**0.5
    low, high = _MOVED
    if moved < low or moved > high:
        raise FacebenchError(
            f"{name} moves vertices by {moved:.3g} mm, each mode at one standard deviation, and "
            f"faces differ by {low:g} to {high:g}",
            "give lengths in the mean's unit, and columns times their standard deviation, which is "
            "the root of a variance",
        )


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


def points(column: NDArray[Any], where: str) -> NDArray[np.float64]:
    """Vertices or colours (V, 3) of x, y, z, x, y, z … in any shape.

    Raises:
        FacebenchError: the length is no multiple of three.
    """
    if not column.size or column.size % 3:
        raise FacebenchError(f"{where}: {column.size} numbers", "expected x, y, z of each vertex")
    return column.reshape(-1, 3).astype(np.float64)


def colours_of_bytes(column: NDArray[Any], where: str) -> NDArray[np.float64]:
    """Colours (V, 3) in [0, 1] of RGB from 0 to 255.

    Raises:
        FacebenchError: they lie in another range.
    """
    colours = points(column, where)
    # A maximum of at most 1 is a file in [0, 1] already: dividing it again would give a black face.
    if not 1.0 < colours.max() <= 1.1 * BRIGHTEST:
        raise FacebenchError(
            f"{where}: colours up to {colours.max():.4g}", "expected RGB from 0 to 255"
        )
    return colours / BRIGHTEST


def modes(
    basis: NDArray[Any],
    deviations: NDArray[Any],
    where: str,
    rows: NDArray[np.integer] | slice = slice(None),
) -> Float32Array:
    """Modes (V, 3, K) that carry their standard deviation.

    Args:
        basis: (3V, K) unit-norm columns.
        deviations: K standard deviations in any shape.
        where: what errors call the source.
        rows: the vertices to keep; all by default.

    Raises:
        FacebenchError: the shapes do not fit.
    """
    if basis.ndim != 2 or basis.shape[0] % 3 or basis.shape[1] != deviations.size:
        raise FacebenchError(
            f"{where}: a basis of shape {basis.shape} for {deviations.size} modes",
            "expected (3 V, K); the file is damaged or of another model",
        )
    # Cut before scaling: the whole basis of BFM 2009 has 128 MB, its front crop 85.
    kept = basis.reshape(-1, 3, deviations.size)[rows]
    scaled: Float32Array = (kept * deviations.ravel()).astype(np.float32)
    return scaled


def deviations_of(variances: NDArray[Any], where: str) -> NDArray[np.float64]:
    """Square roots of the variances.

    Raises:
        FacebenchError: one is negative or not a number.
    """
    # Written as "not all at least 0", so that NaN is refused too.
    if not (np.asarray(variances) >= 0).all():
        raise FacebenchError(f"{where}: negative or undefined variances", "the file is damaged")
    deviations: NDArray[np.float64] = np.sqrt(variances.astype(np.float64))
    return deviations
