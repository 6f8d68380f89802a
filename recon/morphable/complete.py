"""From the arrays a reader found to a whole model: checked, with what is absent derived.

Checked are array shapes, unit, index base, winding and the direction of the face; regions and
albedo are derived from the landmarks when a file brings none. The helpers at the end turn columns
of interleaved coordinates (3V), as Basel and Surrey files store them, into (V, 3), (V, 3, K).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError
from .checks import (
    Arrays,
    check_direction,
    check_indices,
    check_modes,
    check_order,
    check_outward,
    check_size,
)
from .landmarks import REGION_NAMES, derive_regions, landmark_points
from .model import Float32Array, MorphableModel
from .plausible_albedo import Albedo, plausible_albedo

GEOMETRY = ("mean_shape", "identity_basis", "expression_basis", "triangles", "landmarks")
"""Arrays without which there is no face model."""

_WHITE = 1.1
"""Colours may overshoot white a little."""

_BLUER = 1.02
"""Of a mean colour over its red: skin has 0.5 to 0.8."""

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
        check_modes(geometry, name, where)
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
        # Grey is as blue as red, but for the last digit.
        if mean.ndim == 2 and mean[:, 2:].sum() > _BLUER * mean[:, :1].sum():
            raise FacebenchError(
                f"{where}: mean_albedo is more blue than red, as no skin is",
                "give RGB: OpenCV's order is BGR",
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
