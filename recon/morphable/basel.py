"""Basel Face Models from the files as distributed: 2009, its front crop, 2017 and 2019.

2009 is the original `01_MorphableModel.mat` with FaceWarehouse's expressions (`Exp_Pca.bin` and
`std_exp.txt`), or the Deep3D family's ready-made `BFM_model_front.mat`; 2017 and 2019 are
statismo's HDF5 layout with shape, colour and expression.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError, error_line
from ..files.tables import MOST_BYTES
from ..files.text import read_text
from .basel_landmarks import (
    CROPS,
    NAMED_POINTS,
    Crop,
    nearest_vertices,
    read_crop,
    read_named_points,
)
from .checks import MILLIMETRES
from .complete import (
    BRIGHTEST,
    colours_of_bytes,
    complete_model,
    deviations_of,
    modes,
    points,
)
from .landmarks import read_landmark_table
from .load import FileKind, expect_kind, kind_of
from .mat5 import read_mat, variables_of
from .model import Float32Array, MorphableModel

MODEL = "01_MorphableModel.mat"

FETCH = (
    f"{MODEL} is in the BaselFaceModel.tgz that the University of Basel sends under its licence "
    "(faces.dmi.unibas.ch/bfm)"
)
LICENCE = "Basel Face Model: non-commercial research, by agreement with the University of Basel"

_VARIABLES = ("shapeMU", "shapePC", "shapeEV", "texMU", "texPC", "texEV", "tl")

_FRONT_VARIABLES = ("meanshape", "idBase", "exBase", "meantex", "texBase", "tri", "keypoints")

BASIS, DEVIATIONS = "Exp_Pca.bin", "std_exp.txt"

FETCH_EXPRESSIONS = (
    f"{BASIS} is in the CoarseData of Guo et al.'s 3DFace (github.com/Juyong/3DFace), "
    f"{DEVIATIONS} in Deep3DFaceRecon_pytorch's BFM folder"
)

FETCH_HDF5 = (
    "fetch the .h5 that the University of Basel offers under its licence (faces.dmi.unibas.ch)"
)

_YEAR_OF: Mapping[int, str] = {
    53149: "2017",
    28588: "2017",
    47439: "2019",
    27657: "2019",
    58203: "2019",
}
"""By how many vertices the files of the two years are told apart; other counts pass as either."""

_GROUPS = {"identity": "shape", "expression": "expression", "albedo": "color"}


def read_basel2009(
    path: Path,
    side_files: Path | None = None,
    *,
    crop: str = "front",
    unit: str = "um",
    expression_mean: bool = False,
) -> MorphableModel:
    """Read the model; micrometres become mm, RGB from 0 to 255 becomes [0, 1].

    Args:
        path: `01_MorphableModel.mat`, or the folder that holds it.
        side_files: folder of the expressions and of the crop's index files; by default the
            model's own.
        crop: which vertices are kept, a key of `CROPS`.
        unit: what the model's lengths are in, a key of `MILLIMETRES`; `um` as distributed. The
            expressions are taken to be in micrometres in any case.
        expression_mean: add the mean of FaceWarehouse's expressions to the neutral face; others
            leave it out.

    Raises:
        FacebenchError: a file is missing, damaged, of another kind, unit or topology.
    """
    for name, value, known in (("crop", crop, CROPS), ("unit", unit, MILLIMETRES)):
        if value not in known:
            raise FacebenchError(f"unknown {name} '{value}'", f"known: {', '.join(known)}")
    path = _model_file(path)
    mat = read_mat(path, _VARIABLES, FETCH)
    mean = points(mat["shapeMU"], f"{path}: shapeMU")
    kept = read_crop(crop, side_files or path.parent, len(mean))
    mean_expression, expressions = _expressions(kept, side_files or path.parent)
    to_mm, micrometre = np.float32(MILLIMETRES[unit]), np.float32(MILLIMETRES["um"])
    shift = micrometre * mean_expression if expression_mean else 0.0
    # `EV` is called after eigenvalues and holds their square roots: standard deviations already.
    identity, albedo = (
        modes(mat[f"{kind}PC"], mat[f"{kind}EV"], f"{path}: {kind}PC", kept.vertices)
        for kind in ("shape", "tex")
    )
    arrays = {
        "mean_shape": mean[kept.vertices] * MILLIMETRES[unit] + shift,
        "identity_basis": to_mm * identity,
        "expression_basis": micrometre * expressions,
        "mean_albedo": colours_of_bytes(mat["texMU"], f"{path}: texMU")[kept.vertices],
        "albedo_basis": albedo / BRIGHTEST,
        "triangles": _triangles(mat["tl"], kept, len(mean), path),
        "landmarks": kept.landmarks,
        "name": np.array("basel-2009"),
        "licence": np.array(LICENCE),
    }
    return complete_model(arrays, str(path), unit, outward=True)


def read_basel_front(path: Path, unit: str = "dm") -> MorphableModel:
    """Read the file: its modes carry their deviation already, colours run from 0 to 255.

    Args:
        path: `BFM_model_front.mat`.
        unit: what the lengths are in, a key of `MILLIMETRES`; decimetres as made.

    Raises:
        FacebenchError: it is missing, damaged or of another kind, unit or topology.
    """
    mat = read_mat(path, _FRONT_VARIABLES, FETCH)
    if mat["keypoints"].size != 68:
        raise FacebenchError(f"{path}: {mat['keypoints'].size} keypoints", "expected 68")
    # These modes carry their deviation already: scaled by one, they are only reshaped and checked.
    bases = {
        name: modes(mat[name], np.ones(mat[name].shape[-1]), f"{path}: {name}")
        for name in ("idBase", "exBase", "texBase")
    }
    # Single precision keeps the bases in float32: a double factor would double their memory.
    to_mm = np.float32(MILLIMETRES[unit])
    arrays = {
        "mean_shape": points(mat["meanshape"], f"{path}: meanshape") * MILLIMETRES[unit],
        "identity_basis": bases["idBase"] * to_mm,
        "expression_basis": bases["exBase"] * to_mm,
        "mean_albedo": colours_of_bytes(mat["meantex"], f"{path}: meantex"),
        "albedo_basis": bases["texBase"] / BRIGHTEST,
        "triangles": mat["tri"].astype(np.int64) - 1,
        "landmarks": mat["keypoints"].astype(np.int64).ravel() - 1,
        "name": np.array("basel-2009"),
        "licence": np.array(LICENCE),
    }
    return complete_model(arrays, str(path), unit, outward=True)


def read_expressions(folder: Path, n_vertices: int) -> tuple[Float32Array, Float32Array]:
    """Mean (V, 3) and modes (V, 3, K) in the file's unit; modes carry their deviation.

    `Exp_Pca.bin` is little-endian `int32 K`, float32 mean (3V), then K components (3V).

    Args:
        folder: where the two files are.
        n_vertices: V, how many vertices the components run over.

    Raises:
        FacebenchError: a file is missing, truncated or of another model.
    """
    deviations = _read_deviations(folder / DEVIATIONS)
    values = _read_values(folder / BASIS, n_vertices)
    if len(deviations) != len(values) - 1:
        raise FacebenchError(
            f"{folder / DEVIATIONS}: {len(deviations)} deviations for {len(values) - 1} modes",
            f"the two files belong together: {FETCH_EXPRESSIONS}",
        )
    mean, components = values[0], values[1:]
    scaled = components * deviations[:, None, None].astype(np.float32)
    return mean, np.ascontiguousarray(scaled.transpose(1, 2, 0))


def read_basel_hdf5(
    path: Path, year: str, landmarks: Path | None = None, unit: str = "mm"
) -> MorphableModel:
    """Read the model; the neutral face is the mean shape plus the mean expression.

    Args:
        path: for example `model2017-1_face12_nomouth.h5` or `model2019_fullHead.h5`.
        year: `2017` or `2019`.
        landmarks: a table of iBUG landmarks (`landmarks.py`); by default the points named
            in the file are used, which are at most 12 of the 68.
        unit: what the lengths are in, a key of `MILLIMETRES`; mm as distributed.

    Raises:
        FacebenchError: the file is missing, damaged, of another kind or year, or names no
            landmarks and no table is given.
    """
    expect_kind(path, FileKind.HDF5, FETCH_HDF5)
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


def is_front_file(path: Path) -> bool:
    """Whether the path is a `BFM_model_front.mat`, which `read_basel_front` reads."""
    if not path.is_file() or kind_of(path) is not FileKind.MAT5:
        return False
    return "meanshape" in variables_of(path, FETCH)


def _model_file(path: Path) -> Path:
    if not path.is_dir():
        return path
    archives = sorted(path.glob("*.tgz"))
    if archives and not (path / MODEL).is_file():
        raise FacebenchError(
            f"{path}: {archives[0].name} is there, but no {MODEL}",
            f"unpack it: tar xzf {archives[0].name}, and give the {MODEL} from inside",
        )
    return path / MODEL


def _expressions(crop: Crop, folder: Path) -> tuple[Float32Array, Float32Array]:
    """Mean (V, 3) and modes (V, 3, K) on the kept vertices; none where the crop lacks them."""
    if crop.expression_rows is None:
        n_vertices = len(crop.vertices)
        return np.zeros((n_vertices, 3), np.float32), np.zeros((n_vertices, 3, 0), np.float32)
    mean, basis = read_expressions(folder, crop.n_expression_vertices)
    return mean[crop.expression_rows], basis[crop.expression_rows]


def _triangles(
    stored: NDArray[Any], crop: Crop, n_vertices: int, path: Path
) -> NDArray[np.integer]:
    """Triangles outward and counted from 0; the file counts from 1 and winds them inward."""
    if crop.triangles is not None:
        return crop.triangles
    if stored.ndim != 2 or stored.shape[1] != 3 or stored.min() < 1 or stored.max() > n_vertices:
        raise FacebenchError(
            f"{path}: tl is no list of triangles", f"expected (F, 3), counted from 1; {FETCH}"
        )
    number = np.full(n_vertices, -1, np.int64)
    number[crop.vertices] = np.arange(len(crop.vertices))
    # Swapping two corners turns the inward winding of the file outward.
    triangles = number[stored[:, [1, 0, 2]].astype(np.int64) - 1]
    return triangles[(triangles >= 0).all(axis=1)]


def _read_values(path: Path, n_vertices: int) -> Float32Array:
    """Mean and components, (1 + K, V, 3)."""
    expect_kind(path, FileKind.OTHER, FETCH_EXPRESSIONS)
    size = path.stat().st_size
    count = int(np.fromfile(path, "<i4", 1)[0]) if size >= 4 else 0
    # The size alone tells a truncated file from one over another topology.
    expected = 4 + 12 * n_vertices * (count + 1)
    if count < 1 or size != expected:
        raise FacebenchError(
            f"{path}: {size} bytes; {count} modes of {n_vertices} vertices take {expected}",
            f"truncated, or of another topology: {FETCH_EXPRESSIONS}",
        )
    values: NDArray[Any] = np.fromfile(path, "<f4", offset=4)
    return values.reshape(count + 1, n_vertices, 3)


def _read_deviations(path: Path) -> NDArray[np.float64]:
    expect_kind(path, FileKind.OTHER, FETCH_EXPRESSIONS)
    try:
        return np.array(read_text(path, 2**20).split(), np.float64)
    except (OSError, ValueError) as error:
        raise FacebenchError(f"{path}: expected a number per mode", FETCH_EXPRESSIONS) from error


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
            f"{path}: truncated or damaged ({error_line(error)})", FETCH_HDF5
        ) from error


def _dataset(file: Any, name: str, path: Path) -> NDArray[Any]:
    if name not in file:
        held = ", ".join(list(file)[:5]) or "nothing"
        raise FacebenchError(
            f"{path}: no {name}, so this is no Basel Face Model", f"it holds {held}; {FETCH_HDF5}"
        )
    array = _read(file, name, path)
    if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
        raise FacebenchError(f"{path}: {name} has NaN or no numbers", f"damaged: {FETCH_HDF5}")
    return array


def _read(file: Any, name: str, path: Path) -> NDArray[Any]:
    """A data set of the file itself, no larger than any model's."""
    stored = _inside(file, name, path)
    # The header alone is read here: a damaged shape may ask for more memory than there is.
    if stored.nbytes > MOST_BYTES:
        raise FacebenchError(
            f"{path}: {name} has {stored.nbytes:,} bytes", f"damaged: {FETCH_HDF5}"
        )
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
        raise FacebenchError(f"{path}: {name} is not in the file itself", f"damaged: {FETCH_HDF5}")
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
