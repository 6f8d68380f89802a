"""Numeric arrays out of MATLAB v5 files; objects are refused, nothing in them is executed."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError
from .file_kinds import FileKind, expect_kind

FILE_OF_VARIABLE: Mapping[str, str] = {
    "shapeMU": "BFM 2009's 01_MorphableModel.mat",
    "meanshape": "BFM_model_front.mat",
    "trimIndex": "BFM_exp_idx.mat",
    "idx": "BFM_front_idx.mat",
    "select_id": "select_vertex_id.mat",
    "keypoints": "facemodel_info.mat",
}
"""By which variable a MATLAB file of this family is recognised."""

_HEADER, _TAG = 128, 8
"""Bytes of the file's header, and of an element's type and size."""

_DAMAGED = (OSError, EOFError, ValueError, TypeError, KeyError, IndexError, MemoryError)
"""What SciPy raises on truncated or damaged files, besides zlib's and struct's own errors."""


def variables_of(path: Path, fetch: str) -> tuple[str, ...]:
    """Names of the variables in the file.

    Raises:
        FacebenchError: it is missing, of another kind or damaged.
    """
    from scipy.io import whosmat

    expect_kind(path, FileKind.MAT5, fetch)
    _check_whole(path, fetch)
    try:
        return tuple(name for name, _, _ in whosmat(path))
    except (*_DAMAGED, zlib.error, struct.error) as error:
        raise _damaged(path, error, fetch) from error


def read_mat(path: Path, names: Sequence[str], fetch: str) -> dict[str, NDArray[Any]]:
    """Numeric variables of the given names.

    Args:
        path: a MATLAB v5 file.
        names: the variables to read; all are needed.
        fetch: where the right file comes from, for the error.

    Raises:
        FacebenchError: the file is missing, damaged or another one, or a variable is no numbers.
    """
    from scipy.io import loadmat

    present = variables_of(path, fetch)
    missing = [name for name in names if name not in present]
    if missing:
        raise FacebenchError(f"{path}: no {', '.join(missing)}", _looks_like(present, fetch))
    try:
        loaded = loadmat(path, variable_names=list(names))
        return {name: _numeric(loaded[name], name, path) for name in names}
    except (*_DAMAGED, zlib.error, struct.error) as error:
        raise _damaged(path, error, fetch) from error


def _check_whole(path: Path, fetch: str) -> None:
    """Follow the elements' sizes to the end of the file: SciPy passes over a cut last variable."""
    size, position = path.stat().st_size, _HEADER
    with path.open("rb") as file:
        order = "<" if file.read(_HEADER)[-2:] == b"IM" else ">"
        while position < size:
            file.seek(position)
            tag = file.read(_TAG)
            if len(tag) == _TAG:
                position += struct.unpack(f"{order}II", tag)[1]
            position += _TAG
    if position != size:
        raise FacebenchError(
            f"{path}: truncated, {size} of at least {position} bytes", f"copy it again; {fetch}"
        )


def _looks_like(present: Sequence[str], fetch: str) -> str:
    known = [FILE_OF_VARIABLE[name] for name in present if name in FILE_OF_VARIABLE]
    if known:
        return f"this looks like {known[0]}; {fetch}"
    return f"it holds {', '.join(present[:5]) or 'nothing'}; {fetch}"


def _numeric(array: Any, name: str, path: Path) -> NDArray[Any]:
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
        raise FacebenchError(f"{path}: {name} holds no plain numbers", "take the original file")
    return array


def _damaged(path: Path, error: Exception, fetch: str) -> FacebenchError:
    reason = str(error).partition("\n")[0]
    return FacebenchError(f"{path}: truncated or damaged ({reason})", f"copy it again; {fetch}")
