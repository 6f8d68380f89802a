"""The nose tip of a scan: read from a label, or found on the scan."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import FacebenchError
from ...recon.files.text import parsed_json, text_of
from ...recon.mesh.record import Mesh
from ...recon.morphable.procedural import procedural_model
from ..landmarks.picked_points import picked_points
from ..surface.intersection import Intersection
from ..surface.similarity import Similarity
from ..surface.surface import Surface
from ..surface.triangles import Float64Array, double_areas
from .dense import AlignmentSettings, approach
from .global_search import register
from .nose_patch import bend_onto

NOSE_TIP = 30
"""Index of the nose tip among the 68 iBUG landmarks, counted from 0."""
LABEL_SUFFIXES = (".txt", ".json", ".pp")
SPREAD_MM = 5.0
"""Two ways of finding a nose tip seldom differ by more: then one of them went astray, or what is
there is no nose. It does not tell small errors, in which both share."""
_CAP_MM = 12.0
_MOST_BYTES = 2**20
_CLIMBS = 4
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")


@dataclass(frozen=True)
class NoseTip:
    """Where the crop is centred.

    Attributes:
        position: (3,) in the scan's space, mm.
        source: `label` or `found`.
        disagreement_mm: between the label and the point found on the scan, None without a label.
        spread_mm: between the two ways by which it was found, or from the middle of the two to the
            scan where that is more: a nose that the scan lacks. None for a label.
    """

    position: Float64Array
    source: str
    disagreement_mm: float | None = None
    spread_mm: float | None = None


def find_nose_tip(scan: Surface, face: Mesh | None = None) -> NoseTip:
    """The nose tip of a scan in any pose, by laying a face with landmarks on it.

    Args:
        scan: in mm.
        face: with landmarks, or None for the mean of the embedded model.

    Raises:
        FacebenchError: when the face has no landmarks or does not fit the scan.
    """
    face = face or procedural_model().mesh()
    tip = own_nose_tip(face)
    if tip is None:
        raise FacebenchError("the face has no landmarks", "its nose tip is landmark 31")
    source = Surface(face)
    start = register(source, scan, tip)
    transform = approach(source, scan, start, Intersection(), AlignmentSettings())
    return tip_on_scan(scan, source, tip, transform)


def own_nose_tip(face: Mesh) -> Float64Array | None:
    """The nose tip (3,) by a face's own landmarks, None without landmarks."""
    if face.landmarks is None:
        return None
    return np.asarray(face.vertices[face.landmarks[NOSE_TIP]], np.float64)


def crop_centre(
    tip: Float64Array | None,
    face: Surface,
    scan: Surface,
    transform: Similarity,
    label: Float64Array | None,
) -> NoseTip:
    """The labelled nose tip, or the one found on the scan; with both, how far they are apart.

    Args:
        tip: (3,) of the face; without one the embedded model's mean helps.
        face: in its own space.
        scan: in mm.
        transform: from the face's space to the scan's.
        label: (3,) in the scan's space, or None.
    """
    found = find_nose_tip(scan) if tip is None else tip_on_scan(scan, face, tip, transform)
    if label is None:
        return found
    apart = float(np.linalg.norm(found.position - label))
    return NoseTip(np.asarray(label, np.float64), "label", apart)


def tip_on_scan(scan: Surface, face: Surface, tip: Float64Array, transform: Similarity) -> NoseTip:
    """The nose tip of a scan by an aligned face's own tip (3,), found in two ways.

    One is where the face's tip goes when its middle is bent onto the scan. The other is the summit
    of the scan around there: a paraboloid through the scan's points, over the plane that touches
    the bent face at its tip, says where the scan looks the way the tip does. The first is misled
    by a nose of another shape, the second by a round tip, seldom both by the same: the middle of
    the two is nearer to the truth than either, and how far they are apart tells a doubtful one.
    Far apart, the bent face has slid along the bridge, while the summit is there to be seen. How
    far the bent tip lies before or behind the scan says only how prominent the noses are.
    """
    axes = _tip_axes(face, tip, transform.scale)
    first = _climb(scan, transform.apply(tip[None])[0], transform.rotation @ axes)
    bent = bend_onto(scan, face, tip, transform, first)
    turned = bent.rotation @ axes
    summit = _climb(scan, bent.tip, turned)
    across = turned[:, :2] @ (turned[:, :2].T @ (bent.tip - summit))
    apart = float(np.linalg.norm(across))
    likely: Float64Array = summit + across / 2 if apart <= SPREAD_MM else summit
    on_scan = scan.closest(likely[None])
    apart = max(apart, float(on_scan.distance[0]))
    return NoseTip(on_scan.position[0], "found", spread_mm=apart)


def _climb(scan: Surface, place: Float64Array, axes: Float64Array) -> Float64Array:
    for _ in range(_CLIMBS):
        place = _higher(scan, place, axes)
    return place


def _tip_axes(face: Surface, tip: Float64Array, scale: float) -> Float64Array:
    """A rotation (3, 3) whose third column is the face's mean normal around its nose tip."""
    vertices, triangles = face.vertices, face.triangles
    near = np.linalg.norm(vertices - tip, axis=1) * scale <= _CAP_MM
    outward = double_areas(vertices, triangles[near[triangles].all(1)]).sum(0)
    across = np.linalg.svd(outward[None])[2][1:]
    axes = np.column_stack([across.T, outward / np.linalg.norm(outward)])
    axes[:, 0] *= np.sign(np.linalg.det(axes))
    return axes


def _higher(scan: Surface, place: Float64Array, axes: Float64Array) -> Float64Array:
    """The summit (3,) of the scan around a place; on a slope the highest point of it in reach."""
    offset = (scan.vertices - place) @ axes
    near = np.linalg.norm(offset, axis=1) <= _CAP_MM
    if near.sum() < 20:
        return place
    x, y, height = offset[near].T
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)
    summit = _summit(np.linalg.lstsq(terms, height, rcond=None)[0])
    return place + axes @ (offset[near][height.argmax()] if summit is None else summit)


def _summit(coefficients: Float64Array) -> Float64Array | None:
    """Where (3,) the paraboloid is highest, None when it has no summit near the guess."""
    height, x, y, xx, xy, yy = coefficients
    hessian = np.array([[2 * xx, xy], [xy, 2 * yy]])
    if np.linalg.eigvalsh(hessian).max() >= 0:
        return None
    place = -np.linalg.solve(hessian, [x, y])
    if np.linalg.norm(place) > _CAP_MM:
        return None
    return np.array([*place, height + (x * place[0] + y * place[1]) / 2])


def read_nose_tip(path: Path) -> Float64Array:
    """A labelled nose tip (3,) from a `.txt`, `.json` or MeshLab `.pp` file.

    Text: three numbers. JSON: a list of three, or an object with one under `nose_tip`. Picked
    points: the point whose name speaks of the nose, or the only one.

    Raises:
        FacebenchError: when the file does not hold one point.
    """
    try:
        numbers = _READERS[path.suffix.lower()](text_of(path, _MOST_BYTES))
        position = np.array([float(number) for number in numbers])
    except (OSError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise FacebenchError(f"{path}: no nose tip in it ({error})", "expected x, y, z") from error
    if position.shape != (3,) or not np.isfinite(position).all():
        raise FacebenchError(f"{path}: holds {len(position)} numbers", "expected x, y, z")
    return position


def _from_text(text: str) -> list[str]:
    return _NUMBER.findall(text)


def _from_json(text: str) -> list[float]:
    content = parsed_json(text)
    return list(content["nose_tip"] if isinstance(content, dict) else content)


def _from_picked_points(text: str) -> list[str]:
    points = picked_points(text)
    named = [point for point in points if "nose" in point.get("name", "").lower()] or points
    if len(named) != 1:
        raise ValueError(f"{len(named)} points, none named nose")
    return [named[0][axis] for axis in "xyz"]


_READERS: Mapping[str, Callable[[str], Sequence[str | float]]] = {
    ".txt": _from_text,
    ".json": _from_json,
    ".pp": _from_picked_points,
}
