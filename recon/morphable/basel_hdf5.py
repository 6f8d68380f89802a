"""Basel Face Model 2017 and 2019: statismo's HDF5 layout with shape, colour and expression."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError, error_line
from ..files.tables import MOST_BYTES
from .basel_landmarks import NAMED_POINTS, nearest_vertices, read_named_points
from .complete import MILLIMETRES, complete_model, deviations_of, modes, points
from .landmarks import read_landmark_table
from .load import FileKind, expect_kind
from .model import Float32Array, MorphableModel

FETCH = "fetch the .h5 that the University of Basel offers under its licence (faces.dmi.unibas.ch)"
LICENCE = "Basel Face Model: non-commercial research, by agreement with the University of Basel"

_YEAR_OF: Mapping[int, str] = {
    53149: "2017",
    28588: "2017",
    47439: "2019",
    27657: "2019",
    58203: "2019",
}
"""By how many vertices the files of the two years are told apart; other counts pass as either."""

_GROUPS = {"identity": "shape", "expression": "expression", "albedo": "color"}


def read_basel_hdf5(
    path: Path, year: str, landmarks: Path | None = None, unit: str = "mm"
) -> MorphableModel:
    """Read the model; the neutral face is the mean shape plus the mean expression.

    Args:
        path: for example `model2017-1_face12_nomouth.h5` or `model2019_fullHead.h5`.
        year: `2017` or `2019`.
        landmarks: a table of iBUG landmarks (`landmark_table.py`); by default the points named
            in the file are used, which are at most 12 of the 68.
        unit: what the lengths are in, a key of `MILLIMETRES`; mm as distributed.

    Raises:
        FacebenchError: the file is missing, damaged, of another kind or year, or names no
            landmarks and no table is given.
    """
    expect_kind(path, FileKind.HDF5, FETCH)
    with _open(path) as file:
        neutral = _mean(file, "shape", path)
        _check_year(len(neutral), year, path)
        to_mm = MILLIMETRES[unit]
        basis = {kind: _modes(file, group, path) for kind, group in _GROUPS.items()}
        arrays = {
            # This model's mean expression is a part of the neutral face, unlike FaceWarehouse's.
            "mean_shape": (neutral + _mean(file, "expression", path)) * to_mm,
            "identity_basis": basis["identity"] * np.float32(to_mm),
            "expression_basis": basis["expression"] * np.float32(to_mm),
            "mean_albedo": _mean(file, "color", path),
            "albedo_basis": basis["albedo"],
            # Stored (3, F) and counted from 0, the other way round than in 2009.
            "triangles": _dataset(file, "shape/representer/cells", path).T.astype(np.int64),
            "landmarks": _landmarks(file, neutral, path, landmarks),
            "name": np.array(f"basel-{year}"),
            "licence": np.array(LICENCE),
        }
    # Unlike in 2009, where they run to 255; read as the other they would be white or black.
    _check_colours(arrays["mean_albedo"], path)
    return complete_model(arrays, str(path), unit, outward=True)


@contextmanager
def _open(path: Path) -> Iterator[Any]:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            yield file
    # Raised inside the block with its own advice; the clause below would call it damage.
    except FacebenchError:
        raise
    except Exception as error:  # whatever the library finds in a damaged file
        raise FacebenchError(
            f"{path}: truncated or damaged ({error_line(error)})", FETCH
        ) from error


def _dataset(file: Any, name: str, path: Path) -> NDArray[Any]:
    if name not in file:
        held = ", ".join(list(file)[:5]) or "nothing"
        raise FacebenchError(
            f"{path}: no {name}, so this is no Basel Face Model", f"it holds {held}; {FETCH}"
        )
    array = _read(file, name, path)
    if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
        raise FacebenchError(f"{path}: {name} has NaN or no numbers", f"damaged: {FETCH}")
    return array


def _read(file: Any, name: str, path: Path) -> NDArray[Any]:
    """A data set of the file itself, no larger than any model's."""
    stored = _inside(file, name, path)
    # The header alone is read here: a damaged shape may ask for more memory than there is.
    if stored.nbytes > MOST_BYTES:
        raise FacebenchError(f"{path}: {name} has {stored.nbytes:,} bytes", f"damaged: {FETCH}")
    return np.asarray(stored)


def _inside(file: Any, name: str, path: Path) -> Any:
    """A data set that neither links nor stores its numbers in another file."""
    import h5py

    parts = name.split("/")
    places = ["/".join(parts[: depth + 1]) for depth in range(len(parts))]
    # Soft and external links can point to any file of the disk.
    hard = all(type(file.get(place, getlink=True)) is h5py.HardLink for place in places)
    stored = file[name] if hard else None
    if not isinstance(stored, h5py.Dataset) or stored.external or stored.is_virtual:
        raise FacebenchError(f"{path}: {name} is not in the file itself", f"damaged: {FETCH}")
    return stored


def _mean(file: Any, group: str, path: Path) -> NDArray[np.float64]:
    name = f"{group}/model/mean"
    return points(_dataset(file, name, path), f"{path}: {name}")


def _modes(file: Any, group: str, path: Path) -> Float32Array:
    variances = _dataset(file, f"{group}/model/pcaVariance", path)
    where = f"{path}: {group}/model/pcaBasis"
    # Unit-norm columns and variances: the deviation is the square root (2009 stores deviations).
    basis = _dataset(file, f"{group}/model/pcaBasis", path)
    return modes(basis, deviations_of(variances, where), where)


def _check_year(n_vertices: int, year: str, path: Path) -> None:
    # The two years share a layout; taken for the other, the model would carry the wrong name.
    known = _YEAR_OF.get(n_vertices, year)
    if known != year:
        raise FacebenchError(
            f"{path}: {n_vertices} vertices; this looks like BFM {known}",
            f"use 'facebench models import basel-{known}'",
        )


def _check_colours(mean: NDArray[np.float64], path: Path) -> None:
    if not -0.1 <= mean.min() <= mean.max() <= 1.1:
        raise FacebenchError(
            f"{path}: colours run from {mean.min():.4g} to {mean.max():.4g}", "expected [0, 1]"
        )


def _landmarks(
    file: Any, neutral: NDArray[np.float64], path: Path, table: Path | None
) -> NDArray[np.int64]:
    if table is not None:
        return read_landmark_table(table, len(neutral))
    if NAMED_POINTS not in file:
        raise FacebenchError(
            f"{path}: names no landmarks",
            "give --landmarks: eos' ibug_to_bfm2017-1_bfm_nomouth.txt, or 68 vertex numbers",
        )
    named = read_named_points(_read(file, NAMED_POINTS, path)[()], str(path))
    # The points may be marked on the mean face or on the reference mesh; the closer one counts.
    reference = _dataset(file, "shape/representer/points", path).T
    return nearest_vertices(named, (neutral, reference.astype(np.float64)), str(path))
