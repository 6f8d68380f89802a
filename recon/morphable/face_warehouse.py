"""FaceWarehouse's expressions for the Basel topology: `Exp_Pca.bin` and `std_exp.txt`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError
from ..files.text import text_of
from .file_kinds import FileKind, expect_kind
from .model import Float32Array

BASIS, DEVIATIONS = "Exp_Pca.bin", "std_exp.txt"

FETCH_EXPRESSIONS = (
    f"{BASIS} is in the CoarseData of Guo et al.'s 3DFace (github.com/Juyong/3DFace), "
    f"{DEVIATIONS} in Deep3DFaceRecon_pytorch's BFM folder"
)


@dataclass(frozen=True)
class Expressions:
    """Mean (V, 3) and modes (V, 3, K), in the file's unit; modes carry their deviation."""

    mean: Float32Array
    basis: Float32Array


def read_expressions(folder: Path, n_vertices: int) -> Expressions:
    """Read both files: little-endian `int32 K`, float32 mean (3V), then K components (3V).

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
    return Expressions(mean, np.ascontiguousarray(scaled.transpose(1, 2, 0)))


def _read_values(path: Path, n_vertices: int) -> Float32Array:
    """Mean and components, (1 + K, V, 3)."""
    expect_kind(path, FileKind.OTHER, FETCH_EXPRESSIONS)
    size = path.stat().st_size
    count = int(np.fromfile(path, "<i4", 1)[0]) if size >= 4 else 0
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
        return np.array(text_of(path, 2**20).split(), np.float64)
    except (OSError, ValueError) as error:
        raise FacebenchError(f"{path}: expected numbers, one a mode", FETCH_EXPRESSIONS) from error
