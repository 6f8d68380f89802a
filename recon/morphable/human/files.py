"""The human model's file, what stands beside it, and the one in the package.

An `.npz` keeps the bases on MakeHuman's mesh in half precision, the sparse matrix that subdivides
them and a byte a vertex for each mask of the skin; read back it is a `MorphableModel` like any
other, from `load_model` and `read_npz`.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from ....errors import FacebenchError
from ...files.tables import read_npz_arrays
from ...files.writing import atomic_write
from .skin import expand_skin

Arrays = Mapping[str, NDArray[Any]]

PACKAGED = Path(__file__).parent / "data" / "human.npz"
"""The model that travels with the package."""

_REFINED = ("mean_shape", "identity_basis", "expression_basis")
_NEEDED = (
    *_REFINED,
    *(f"subdivision_{name}" for name in ("weights", "vertices", "rows")),
    *(f"skin_{name}" for name in ("mean", "masks", "colours")),
)


@dataclass(frozen=True, eq=False)
class HumanDetails:
    """What the file holds beyond a `MorphableModel`.

    Attributes:
        parts: vertices of `skin`, `mouth_bag`, `sockets`, `eyeballs`, `teeth` and `tongue`.
        texture_coordinates: (T, 2) in [0, 1], u to the right and v up; MakeHuman's own layout.
        texture_triangles: (F, 3) coordinates of each triangle's corners: seams part them.
        explained: (K,) share of the face's variance that the first identity modes hold.
        source_digest: SHA-256 over the source's files that were read.
    """

    parts: dict[str, NDArray[np.int64]]
    texture_coordinates: NDArray[np.float32]
    texture_triangles: NDArray[np.int64]
    explained: NDArray[np.float32]
    source_digest: str


def expand(arrays: Arrays, where: str) -> dict[str, NDArray[Any]]:
    """Arrays of a `MorphableModel` from those of a compact file.

    Raises:
        FacebenchError: an array is missing, or they do not fit together.
    """
    missing = [name for name in _NEEDED if name not in arrays]
    if missing:
        raise FacebenchError(f"{where}: no {', '.join(missing)}", "make it again")
    try:
        matrix = _subdivision(arrays)
        fine = {name: _refine(matrix, arrays[name]) for name in _REFINED}
        return dict(arrays) | fine | expand_skin(arrays)
    except (ValueError, IndexError, TypeError) as error:
        raise FacebenchError(f"{where}: its arrays do not fit together", "make it again") from error


def _subdivision(arrays: Arrays) -> csr_matrix:
    rows, vertices = arrays["subdivision_rows"], arrays["subdivision_vertices"].astype(np.int32)
    shape = (len(rows) - 1, len(arrays["mean_shape"]))
    matrix = csr_matrix((arrays["subdivision_weights"], vertices, rows), shape=shape)
    # SciPy trusts the rows' borders; a damaged file would be read beyond its end.
    matrix.check_format(full_check=True)
    return matrix


def _refine(matrix: csr_matrix, coarse: NDArray[Any]) -> NDArray[np.float32]:
    # Bases are in half precision on the disk only: sums of many halves would lose digits.
    flat = coarse.astype(np.float32).reshape(len(coarse), -1)
    fine: NDArray[np.float32] = matrix @ flat
    return fine.reshape(-1, *coarse.shape[1:])


def human_details(path: Path = PACKAGED) -> HumanDetails:
    """Parts and texture of a human model's file, of the package's by default.

    Raises:
        FacebenchError: it is no such file.
    """
    names = ("part", "part_names", "texture_coordinates", "texture_triangles")
    arrays = read_npz_arrays(path, (*names, "explained", "source_digest"))
    if any(name not in arrays for name in names):
        raise FacebenchError(f"{path}: no human model", "make one by 'facebench models make human'")
    part_names = [str(name) for name in arrays["part_names"]]
    return HumanDetails(
        {name: np.flatnonzero(arrays["part"] == i) for i, name in enumerate(part_names)},
        arrays["texture_coordinates"],
        arrays["texture_triangles"].astype(np.int64),
        arrays["explained"],
        str(arrays["source_digest"]),
    )


def write_human(arrays: Arrays, path: Path) -> str:
    """Write a model's `.npz` and give its SHA-256; the same arrays give the same bytes.

    Members of an `.npz` carry no time and no machine.
    """
    buffer = io.BytesIO()
    # Its own keyword argument confuses the types of ours.
    named: dict[str, Any] = dict(arrays)
    np.savez_compressed(buffer, **named)
    content = buffer.getvalue()
    path.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def write_provenance(path: Path, facts: Mapping[str, Any], licence: str) -> None:
    """Write what a model was made of (`.json`) and its licence (`.LICENSE.md`) beside it."""
    told = json.dumps({"file": path.name, **facts}, indent=2) + "\n"
    for ending, text in ((".LICENSE.md", licence), (".json", told)):
        with atomic_write(path.with_suffix(ending)) as draft:
            draft.write_text(text, encoding="utf-8")
