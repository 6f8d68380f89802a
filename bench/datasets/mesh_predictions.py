"""Predicted faces out of a folder: meshes in mm, and landmarks in three ways."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError
from ...recon.files.text import text_of
from ...recon.mesh.record import Mesh
from ..landmarks.points import Landmarks, read_landmarks
from ..meshes.clean import UNITS, check_unit, clean_mesh, counted, scaled
from ..meshes.files import load_mesh
from ..method.interface import MethodCard
from .mesh_folder import MeshFolder

UNIT_OPTION = "--prediction-unit"
_COUNTS = (68, 7)
_MOST_BYTES = 2**20


@dataclass(frozen=True, eq=False)
class MeshPredictions:
    """The faces of a folder.

    Attributes:
        folder: which file is whose.
        unit: of the files: mm, cm or m.
        card: named after the folder.
        parts: none, the topology is anybody's.
        model_digest, checkpoint_digest: empty, nobody knows.
        _last: the file that was read last, for whoever asks for it next.
    """

    folder: MeshFolder
    unit: str
    card: MethodCard
    parts: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    model_digest: str = ""
    checkpoint_digest: str = ""
    _last: dict[Path, Mesh] = field(default_factory=dict, repr=False)

    @cached_property
    def digest(self) -> str:
        """The contents of the files and their unit."""
        return hashlib.sha256(f"{self.folder.digest()} {self.unit}".encode()).hexdigest()

    @property
    def faces(self) -> tuple[tuple[str, str], ...]:
        """Subject and scene of every mesh, sorted."""
        return tuple(sorted((face.subject, face.scene) for face in self.folder.meshes))

    def mesh_for(self, subject: str, scene: str) -> Mesh:
        """The face in mm, without loose vertices and triangles of no area (`meshes.clean_mesh`).

        Raises:
            FacebenchError: there is no such file, it cannot be read, it has vertices that are not
                finite, or it is in another unit.
        """
        path = self.folder.mesh(subject, scene).path
        mesh, removed = clean_mesh(self.mesh_in_file(subject, scene))
        if removed.invalid_vertices:
            invalid = counted(removed.invalid_vertices, "vertex is", "vertices are")
            raise FacebenchError(f"{path}: {invalid} not finite", "its method failed")
        if not len(mesh.triangles):
            raise FacebenchError(f"{path}: no triangle has an area", "export it again")
        check_unit(mesh, str(path), self.unit, UNIT_OPTION)
        return scaled(mesh, self.unit)

    def mesh_in_file(self, subject: str, scene: str) -> Mesh:
        """The face as its file has it, in the file's unit, with its landmark vertices.

        Raises:
            FacebenchError: there is no such file, or it cannot be read.
        """
        path = self.folder.mesh(subject, scene).path
        if path not in self._last:
            self._last.clear()
            self._last[path] = _with_landmarks(load_mesh(path), self._topology, path)
        return self._last[path]

    def landmarks_for(self, subject: str, scene: str) -> Landmarks | None:
        """The points beside the mesh, else its landmark vertices, mm, else None.

        Raises:
            FacebenchError: there is no such mesh, or the landmarks cannot be used.
        """
        mesh = self.folder.mesh(subject, scene)
        points = self.folder.landmarks_of(mesh)
        if points is not None:
            return _in_mm(read_landmarks(points).points, self.unit)
        raw = self.mesh_in_file(subject, scene)
        vertices = raw.landmarks if self._topology is None else self._topology
        return None if vertices is None else _in_mm(raw.vertices[vertices], self.unit)

    @cached_property
    def _topology(self) -> NDArray[np.int64] | None:
        return None if self.folder.topology is None else read_vertices(self.folder.topology)


def read_vertices(path: Path) -> NDArray[np.int64]:
    """Landmark vertices (68,) in iBUG order or (7,) in NoW's, counted from 0, out of a text file.

    Raises:
        FacebenchError: it does not hold 68 or 7 whole numbers.
    """
    try:
        words = text_of(path, _MOST_BYTES).replace(",", " ").split()
        vertices = np.array([int(word) for word in words], np.int64)
    except (OSError, ValueError, OverflowError) as error:
        raise FacebenchError(
            f"{path}: not whole numbers ({error})",
            "it names vertices of all meshes; points stand beside each mesh, in NAME.txt",
        ) from error
    if len(vertices) not in _COUNTS:
        raise FacebenchError(
            f"{path}: {len(vertices)} vertices", "expected 68 or 7, one a landmark"
        )
    return vertices


def _with_landmarks(mesh: Mesh, vertices: NDArray[np.int64] | None, path: Path) -> Mesh:
    if vertices is None:
        return mesh
    if vertices.min() < 0 or vertices.max() >= len(mesh.vertices):
        raise FacebenchError(
            f"{path}: landmarks.txt names vertex {vertices.max()}, the mesh has "
            f"{len(mesh.vertices):,}",
            "vertices are counted from 0, and all meshes must be of its topology",
        )
    return replace(mesh, landmarks=vertices) if len(vertices) == 68 else mesh


def _in_mm(points: NDArray[np.floating], unit: str) -> Landmarks:
    return Landmarks(np.asarray(points, np.float64) * UNITS[unit])
