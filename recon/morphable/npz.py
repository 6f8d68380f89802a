"""Face models as `.npz`: `MorphableModel`'s fields by name, no pickle."""

from __future__ import annotations

import zipfile
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError
from ..files.numpy import read_npz_arrays
from ..files.replace import replacing
from .checks import MILLIMETRES
from .complete import complete_model
from .model import MorphableModel

_LENGTHS = ("mean_shape", "identity_basis", "expression_basis")


def save_npz(model: MorphableModel, path: Path) -> None:
    """Write the model, whole or not at all: an interrupted write leaves no broken file."""
    arrays: dict[str, Any] = {
        item.name: np.asarray(getattr(model, item.name)) for item in fields(model)
    }
    for name in ("identity_names", "expression_names", "albedo_names"):
        arrays[name] = arrays[name].astype(np.str_)
    with replacing(path) as draft, draft.open("wb") as file:
        np.savez(file, **arrays)


def read_npz(path: Path, unit: str = "mm") -> MorphableModel:
    """Read a model; absent regions and albedo are derived (`complete.py`).

    Args:
        path: an `.npz` with `mean_shape`, `identity_basis`, `expression_basis`, `triangles`,
            `landmarks` and, where known, the other fields of `MorphableModel`.
        unit: what the lengths are stored in, a key of `MILLIMETRES`; they become mm.

    Raises:
        FacebenchError: the file is unreadable, holds pickles, or is no model in that unit.
    """
    if unit not in MILLIMETRES:
        raise FacebenchError(f"unknown unit '{unit}'", f"known: {', '.join(MILLIMETRES)}")
    arrays = _read_arrays(path)
    for name in _LENGTHS:
        if unit != "mm" and name in arrays:
            arrays[name] = arrays[name] * MILLIMETRES[unit]
    arrays.setdefault("name", np.array(path.stem))
    return complete_model(arrays, str(path), unit)


def _read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    if not path.is_file():
        raise FacebenchError(f"{path}: no such file", "give the path of an .npz face model")
    if not zipfile.is_zipfile(path):
        raise FacebenchError(f"{path}: not an .npz file", "it is truncated or of another kind")
    return read_npz_arrays(path)
