"""Numeric arrays out of MATLAB v5 files; objects are refused, nothing in them is executed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ...errors import FacebenchError
from .file_kinds import FileKind, expect_kind
from .mat5_elements import DamagedMatError, Variable, read_values, variables

FILE_OF_VARIABLE: Mapping[str, str] = {
    "shapeMU": "BFM 2009's 01_MorphableModel.mat",
    "meanshape": "BFM_model_front.mat",
    "trimIndex": "BFM_exp_idx.mat",
    "idx": "BFM_front_idx.mat",
    "select_id": "select_vertex_id.mat",
    "keypoints": "facemodel_info.mat",
}
"""By which variable a MATLAB file of this family is recognised."""


def variables_of(path: Path, fetch: str) -> tuple[str, ...]:
    """Names of the variables in the file.

    Raises:
        FacebenchError: it is missing, of another kind or damaged.
    """
    return tuple(_found(path, fetch))


def read_mat(path: Path, names: Sequence[str], fetch: str) -> dict[str, NDArray[Any]]:
    """Numeric variables of the given names.

    Args:
        path: a MATLAB v5 file.
        names: the variables to read; all are needed.
        fetch: where the right file comes from, for the error.

    Raises:
        FacebenchError: the file is missing, damaged or another one, or a variable is no numbers.
    """
    present = _found(path, fetch)
    missing = [name for name in names if name not in present]
    if missing:
        raise FacebenchError(f"{path}: no {', '.join(missing)}", _looks_like(tuple(present), fetch))
    for name in names:
        if not present[name].is_numeric:
            raise FacebenchError(f"{path}: {name} holds no plain numbers", "take the original file")
    try:
        return {name: read_values(path, present[name]) for name in names}
    except (OSError, DamagedMatError) as error:
        raise _damaged(path, error, fetch) from error


def _found(path: Path, fetch: str) -> dict[str, Variable]:
    expect_kind(path, FileKind.MAT5, fetch)
    try:
        return {item.name: item for item in variables(path)}
    except (OSError, DamagedMatError) as error:
        raise _damaged(path, error, fetch) from error


def _looks_like(present: Sequence[str], fetch: str) -> str:
    known = [FILE_OF_VARIABLE[name] for name in present if name in FILE_OF_VARIABLE]
    if known:
        return f"this looks like {known[0]}; {fetch}"
    return f"it holds {', '.join(present[:5]) or 'nothing'}; {fetch}"


def _damaged(path: Path, error: Exception, fetch: str) -> FacebenchError:
    return FacebenchError(f"{path}: truncated or damaged ({error})", f"copy it again; {fetch}")
