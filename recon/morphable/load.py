"""Loading any face model: the package's, our `.npz` files, and what a file is by its first bytes.

`load_model` takes a model of the package (`embedded`, `procedural`, `human`), an `.npz`
(`MorphableModel`'s fields by name, no pickle) or the folder of another project; a wrong file is
named instead of misread.
"""

from __future__ import annotations

import zipfile
from dataclasses import fields
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError, nearest_name
from ..files.contents import START_BYTES, not_the_file
from ..files.tables import read_npz_arrays
from ..files.writing import atomic_write
from . import EMBEDDED, HUMAN, PACKAGED_MODELS, PROCEDURAL
from .checks import MILLIMETRES
from .complete import complete_model
from .ict import is_ict_folder, read_ict
from .model import MorphableModel

_WHAT_TO_GIVE = f"give '{EMBEDDED}', '{HUMAN}', an .npz file, or ICT-FaceKit's FaceXModel folder"

_LENGTHS = ("mean_shape", "identity_basis", "expression_basis")


class FileKind(Enum):
    """Kinds of file met where a face model is expected; the value completes "this is …"."""

    EMPTY = "an empty file"
    ZIP = "a zip archive"
    MAT5 = "a MATLAB v5 file"
    MAT73 = "a MATLAB v7.3 file"
    HDF5 = "an HDF5 file"
    PICKLE = "a pickle"
    OTHER = "a file of another kind"


_IMPORTS = {FileKind.MAT5: "basel-2009", FileKind.HDF5: "basel-2017", FileKind.PICKLE: "flame"}
"""By what import a file of another project becomes an `.npz`."""


def load_model(source: str | Path) -> MorphableModel:
    """The model behind `--model`.

    Args:
        source: a name of `PACKAGED_MODELS`, the path of an `.npz`, or ICT-FaceKit's folder.

    Raises:
        FacebenchError: nothing is there, or what is there is no face model.
    """
    # A file of this name in the working folder must not shadow the model of the package.
    if source in (EMBEDDED, PROCEDURAL):
        # Building it takes a second or two, which other models should not cost.
        from .procedural import embedded_model

        return embedded_model()
    if source == HUMAN:
        return _human_model()
    path = Path(source)
    if path.is_file():
        _refuse_unimported(path)
        return read_npz(path)
    if path.is_dir() and is_ict_folder(path):
        return read_ict(path)
    if path.is_dir():
        raise FacebenchError(f"{path}: a folder without a face model in it", _WHAT_TO_GIVE)
    raise FacebenchError(f"{source}: no such face model", _near_name(path) or _WHAT_TO_GIVE)


@cache
def _human_model() -> MorphableModel:
    """The model of people in the package; read once, as the other is built once."""
    from .human.files import PACKAGED

    return read_npz(PACKAGED)


def _refuse_unimported(path: Path) -> None:
    """Send the files of other projects through their import, which needs to know the project."""
    kind = kind_of(path)
    if kind in _IMPORTS:
        raise FacebenchError(
            f"{path}: {kind.value} must be imported first",
            f"facebench models import {_IMPORTS[kind]} {path.name} --out {path.stem}.npz",
        )


def _near_name(path: Path) -> str:
    """A question naming a known model or a file beside the missing one, or nothing."""
    known = {name: name for name in PACKAGED_MODELS}
    if path.parent.is_dir():
        # Only the folder that was named: searching the disk for a typing error takes too long.
        known |= {item.name: str(item) for item in path.parent.glob("*.npz")}
    near = nearest_name(path.name, known)
    return f"did you mean '{known[near]}'? Otherwise {_WHAT_TO_GIVE}" if near else ""


def save_npz(model: MorphableModel, path: Path) -> None:
    """Write the model, whole or not at all: an interrupted write leaves no broken file."""
    arrays: dict[str, Any] = {
        item.name: np.asarray(getattr(model, item.name)) for item in fields(model)
    }
    for name in ("identity_names", "expression_names", "albedo_names"):
        # An empty tuple would become a float array, which reads back as no text.
        arrays[name] = arrays[name].astype(np.str_)
    with atomic_write(path) as draft, draft.open("wb") as file:
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
    arrays = _expand(_read_arrays(path), path)
    for name in _LENGTHS:
        # Not multiplied by 1.0: that would turn float32 into float64 and change the digest.
        if unit != "mm" and name in arrays:
            arrays[name] = arrays[name] * MILLIMETRES[unit]
    # The file's name, which distinguishes the tables of two models.
    arrays.setdefault("name", np.array(path.stem))
    return complete_model(arrays, str(path), unit, outward=True)


def _expand(arrays: dict[str, NDArray[Any]], path: Path) -> dict[str, NDArray[Any]]:
    """The arrays as they are, or of a human model's compact file in full."""
    if "subdivision_weights" not in arrays:
        return arrays
    # Only then: it imports what makes skins.
    from .human.files import expand

    return expand(arrays, str(path))


def _read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    if not path.is_file():
        raise FacebenchError(f"{path}: no such file", "give the path of an .npz face model")
    # Asked first: NumPy would try such a file as a pickle and report that instead.
    if not zipfile.is_zipfile(path):
        raise FacebenchError(f"{path}: not an .npz file", "it is truncated or of another kind")
    return read_npz_arrays(path)


_SIGNATURES = (
    (b"PK\x03\x04", FileKind.ZIP),
    (b"MATLAB 5.0 MAT-file", FileKind.MAT5),
    (b"MATLAB 7.3 MAT-file", FileKind.MAT73),
    (b"\x89HDF\r\n\x1a\n", FileKind.HDF5),
    # Pickles of protocols 0 and 1 have no signature.
    (b"\x80\x02", FileKind.PICKLE),
    (b"\x80\x03", FileKind.PICKLE),
    (b"\x80\x04", FileKind.PICKLE),
    (b"\x80\x05", FileKind.PICKLE),
)

_ADVICE = {
    FileKind.ZIP: "unpack it; an .npz goes through 'facebench models import npz'",
    FileKind.MAT5: "if it is BFM 2009: 'facebench models import basel-2009'",
    FileKind.MAT73: "open it in MATLAB and store it again with save(…, '-v7')",
    FileKind.HDF5: "if it is BFM 2017 or 2019: 'facebench models import basel-2017' or basel-2019",
    FileKind.PICKLE: "if it is FLAME: 'facebench models import flame'; else export its arrays "
    "to an .npz",
}


def kind_of(path: Path) -> FileKind:
    """The kind of an existing file.

    Raises:
        FacebenchError: it cannot be read, or something else stands in its place.
    """
    try:
        with path.open("rb") as file:
            start = file.read(START_BYTES)
    except OSError as error:
        raise FacebenchError(f"{path}: unreadable ({error.strerror})") from error
    if instead := not_the_file(start):
        raise FacebenchError(f"{path}: this is {instead[0]}", instead[1])
    if not start:
        return FileKind.EMPTY
    kinds = (kind for signature, kind in _SIGNATURES if start.startswith(signature))
    return next(kinds, FileKind.OTHER)


def expect_kind(path: Path, wanted: FileKind, fetch: str) -> None:
    """Refuse anything but an existing file of the wanted kind.

    Args:
        path: the file.
        wanted: what it must be.
        fetch: where the right file comes from, for the error.

    Raises:
        FacebenchError: nothing is there, or something else, which is named.
    """
    if not path.is_file():
        raise FacebenchError(f"{path}: no such file", fetch)
    kind = kind_of(path)
    if kind is not wanted:
        advice = _ADVICE.get(kind, fetch)
        raise FacebenchError(f"{path}: this is {kind.value}; expected {_name(wanted)}", advice)


def _name(kind: FileKind) -> str:
    return "a binary archive" if kind is FileKind.OTHER else kind.value
