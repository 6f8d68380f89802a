"""The files of one reconstructed face."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..export.sheet import Picture, grid
from ..export.write import write_mesh, write_picture
from ..face.coefficient_files import Origin, write_coefficients
from ..mesh.record import Mesh
from ..texture.space import Texture

SHEET_ENDING = "_sheet.png"
COEFFICIENTS_ENDING = ".json"


@dataclass(frozen=True)
class PortraitFiles:
    """Where faces are written, and as what.

    Attributes:
        out: folder of the results.
        formats: mesh file name endings, see `recon.export.WRITERS`.
        origin: what made the faces.
    """

    out: Path
    formats: tuple[str, ...]
    origin: Origin

    def write_face(
        self, name: str, mesh: Mesh, texture: Texture, rows: Sequence[Sequence[Picture]]
    ) -> list[Path]:
        """Meshes and sheet of a face; returns every file written."""
        stem = self.out / name
        meshes = [write_mesh(mesh, _ending(stem, f".{kind}"), texture) for kind in self.formats]
        sheet = write_picture(grid(rows), _ending(stem, SHEET_ENDING))
        return [*(path for paths in meshes for path in paths), sheet]

    def write_coefficients(
        self, name: str, table: Mapping[str, Any], written: Sequence[Path]
    ) -> tuple[str, ...]:
        """The coefficients, last of all; returns the names of all files, relative to the folder."""
        path = _ending(self.out / name, COEFFICIENTS_ENDING)
        names = tuple(item.relative_to(self.out).as_posix() for item in (*written, path))
        write_coefficients(path, {**self.origin.as_table(), **table, "files": list(names)})
        return names


def _ending(stem: Path, ending: str) -> Path:
    """The stem may hold dots of its own: nothing of it is replaced."""
    return stem.with_name(stem.name + ending)
