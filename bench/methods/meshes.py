"""`meshes:DIR`: faces that were reconstructed elsewhere, one mesh file a subject or a scene."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import FacebenchError
from ..method.interface import MethodCard, MethodOptions

if TYPE_CHECKING:
    from ..method.mesh_files import MeshPredictions

CARD = MethodCard(
    name="meshes",
    title="Faces that exist already as files: meshes:DIR",
    paper="",
    licence="that of the files",
    kind="files",
    expressions=("neutral", "predicted"),
    own="the reader and the checks; the faces are of whoever made them",
    seen="not known: ask who made the faces, and for a training on the set it is measured on",
    state="nothing to train",
    trains=False,
)


def build(options: MethodOptions) -> MeshPredictions:
    """The faces of the folder in `options.source`.

    Raises:
        FacebenchError: no folder is named, it holds no mesh, or its landmarks cannot be read.
    """
    from ..method.mesh_files import MeshFolder, MeshPredictions

    if not options.source:
        raise FacebenchError("method 'meshes' needs a folder", "write meshes:DIR")
    root = Path(options.source).expanduser()
    # Resolved: of `.` the table would show no name at all.
    card = replace(CARD, name=f"meshes:{root.resolve().name}")
    return MeshPredictions(MeshFolder(root), options.unit, card)
