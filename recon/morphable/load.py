"""One door to every face model: the embedded one, an `.npz`, or a folder of another project."""

from __future__ import annotations

import difflib
from pathlib import Path

from ...errors import FacebenchError
from .file_kinds import FileKind, kind_of
from .ict import is_ict_folder, read_ict
from .model import MorphableModel
from .npz import read_npz

EMBEDDED = "embedded"
"""The name under which the model made by code is asked for."""

_WHAT_TO_GIVE = f"give '{EMBEDDED}', an .npz file, or ICT-FaceKit's FaceXModel folder"

_IMPORTS = {FileKind.MAT5: "basel-2009", FileKind.HDF5: "basel-2017"}
"""By what import a file of another project becomes an `.npz`."""


def load_model(source: str | Path) -> MorphableModel:
    """The model behind `--model`.

    Args:
        source: `embedded`, the path of an `.npz`, or ICT-FaceKit's folder.

    Raises:
        FacebenchError: nothing is there, or what is there is no face model.
    """
    if source == EMBEDDED:
        from .procedural import embedded_model

        return embedded_model()
    path = Path(source)
    if path.is_file():
        _refuse_unimported(path)
        return read_npz(path)
    if path.is_dir() and is_ict_folder(path):
        return read_ict(path)
    if path.is_dir():
        raise FacebenchError(f"{path}: a folder without a face model in it", _WHAT_TO_GIVE)
    raise FacebenchError(f"{source}: no such face model", _near_name(path) or _WHAT_TO_GIVE)


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
    known = {EMBEDDED: EMBEDDED}
    if path.parent.is_dir():
        known |= {item.name: str(item) for item in path.parent.glob("*.npz")}
    near = difflib.get_close_matches(path.name, known, n=1)
    return f"did you mean '{known[near[0]]}'? Otherwise {_WHAT_TO_GIVE}" if near else ""
