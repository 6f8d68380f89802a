"""From the arrays a reader found to a whole model: regions and albedo are derived when absent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError
from .checks import check_direction, check_indices, check_size
from .laid_landmarks import landmark_points
from .landmark_regions import derive_regions
from .model import MorphableModel
from .plausible_albedo import Albedo, plausible_albedo
from .regions import REGION_NAMES

Arrays = Mapping[str, NDArray[Any]]

GEOMETRY = ("mean_shape", "identity_basis", "expression_basis", "triangles", "landmarks")
"""Arrays without which there is no face model."""


def complete_model(arrays: Arrays, where: str, unit: str = "mm") -> MorphableModel:
    """Check the arrays and make the model of them.

    Args:
        arrays: `MorphableModel`'s fields by name. Those of `GEOMETRY` are needed; an absent
            `region` is derived from the landmarks and from `part` (V,) with `part_names`, an
            absent albedo from the regions; absent texts get defaults.
        where: what errors call the source, for example the path.
        unit: what the lengths were in before they were made mm, for the error.

    Raises:
        FacebenchError: an array is missing, misshapen, not a number, in another unit than mm,
            counted from 1, or the face points the wrong way.
    """
    missing = [name for name in GEOMETRY if name not in arrays]
    if missing:
        raise FacebenchError(f"{where}: no {', '.join(missing)}", "see 'facebench models --help'")
    geometry = {name: _geometry(arrays, name, where) for name in GEOMETRY}
    _check_geometry(geometry, where, unit)
    region, region_names = _regions(arrays, geometry, where)
    albedo = _albedo(arrays, geometry, region, region_names, where)
    return MorphableModel(
        mean_shape=geometry["mean_shape"],
        identity_basis=geometry["identity_basis"],
        expression_basis=geometry["expression_basis"],
        mean_albedo=albedo.mean,
        albedo_basis=albedo.basis,
        triangles=geometry["triangles"],
        landmarks=geometry["landmarks"],
        region=region,
        region_names=region_names,
        name=_text(arrays, "name", where),
        licence=_text(arrays, "licence", "unknown"),
        identity_names=_names(arrays, "identity_names"),
        expression_names=_names(arrays, "expression_names"),
        albedo_names=albedo.names,
    )


def _geometry(arrays: Arrays, name: str, where: str) -> NDArray[Any]:
    kind = np.int32 if name in ("triangles", "landmarks") else np.float32
    return _numbers(arrays, name, kind, where)


def _numbers(arrays: Arrays, name: str, kind: type[np.generic], where: str) -> NDArray[Any]:
    array = arrays[name]
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
        fits = len(shape) == array.ndim and array.shape[1:] == shape[1:]
        if not fits or (name == "landmarks" and array.shape != shape):
            wanted = str(shape).replace("'", "")
            raise FacebenchError(f"{where}: {name} has shape {array.shape}", f"expected {wanted}")
    if not np.isfinite(mean).all():
        raise FacebenchError(f"{where}: mean_shape has NaN or infinite entries")
    check_indices("triangles", triangles, len(mean), where)
    check_indices("landmarks", landmarks, len(mean), where)
    if (triangles < 0).any() or (landmarks < 0).all():
        raise FacebenchError(f"{where}: negative vertex numbers", "vertices are counted from 0")
    check_size(mean[landmarks[landmarks >= 0]], where, unit)
    check_direction(mean, landmarks, where)


def _regions(
    arrays: Arrays, geometry: Arrays, where: str
) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    if "region" not in arrays:
        parts = _parts(arrays, len(geometry["mean_shape"]), where)
        mean, landmarks = geometry["mean_shape"], geometry["landmarks"]
        return derive_regions(mean, landmark_points(mean, landmarks, where), parts), REGION_NAMES
    region = _numbers(arrays, "region", np.uint8, where)
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
    if "mean_albedo" in arrays and "albedo_basis" in arrays:
        return Albedo(
            mean=_numbers(arrays, "mean_albedo", np.float32, where),
            basis=_numbers(arrays, "albedo_basis", np.float32, where),
            names=_names(arrays, "albedo_names"),
        )
    return plausible_albedo(geometry["mean_shape"], geometry["triangles"], region, region_names)


def _text(arrays: Arrays, name: str, default: str) -> str:
    return str(arrays[name]) if name in arrays else default


def _names(arrays: Arrays, name: str) -> tuple[str, ...]:
    return tuple(str(item) for item in np.atleast_1d(arrays[name])) if name in arrays else ()
