"""Predicted faces out of a folder: which file is whose, meshes in mm, landmarks."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError, nearest_name
from ...recon.files.text import read_text
from ...recon.mesh.record import Mesh
from ..datasets.micc import STEM_OF_SCENE
from ..landmarks.points import Landmarks, read_landmarks
from ..meshes.clean import UNITS, check_unit, clean_mesh, count_of, to_millimetres
from ..meshes.files import FORMATS, load_mesh
from .interface import MethodCard

TOPOLOGY = "landmarks.txt"
"""The vertices of the landmarks, for all meshes of the folder."""
ALL_SCENES = ""
"""Scene of a file that stands for a subject in every scene."""
LAYOUT = "expected DIR/subject_NN/SCENE.obj (.ply, .npz …) or DIR/subject_NN.obj for all scenes"

_OTHER_NAMES = {stem: scene for scene, stem in STEM_OF_SCENE.items()}
_SHOWN = 4


@dataclass(frozen=True)
class FaceFile:
    """One file of a folder, a mesh or the landmarks beside it.

    Attributes:
        subject: in lower case.
        scene: in lower case, by the name of the benchmark where MICC's own was used;
            `ALL_SCENES` for a file that stands for all of them.
        path: the file.
    """

    subject: str
    scene: str
    path: Path


class MeshFolder:
    """The meshes of a folder by subject and scene; listed once, when it is made.

    `meshes` are the faces, `points` the landmarks beside some of them, `topology` the file of
    landmark vertices for all, or None.

    Args:
        root: the folder.

    Raises:
        FacebenchError: there is no such folder, or no mesh in it.
    """

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise FacebenchError(f"{root}: no such folder", LAYOUT)
        self.root = root
        entries = tuple(_entries(root))
        self.meshes = tuple(e for e in entries if e.path.suffix.lower() in FORMATS)
        whose = {(face.subject, face.scene) for face in self.meshes}
        texts = (e for e in entries if e.path.suffix.lower() == ".txt")
        self.points = tuple(e for e in texts if (e.subject, e.scene) in whose)
        self.topology = next((p for p in _visible(root) if p.name.lower() == TOPOLOGY), None)
        if not self.meshes:
            raise FacebenchError(f"{root}: no mesh of any subject", self._what_it_holds())

    @property
    def subjects(self) -> tuple[str, ...]:
        """Subjects with a mesh, sorted, in lower case."""
        return tuple(sorted({face.subject for face in self.meshes}))

    @property
    def strangers(self) -> tuple[Path, ...]:
        """Files that are neither a mesh nor landmarks of one, sorted."""
        used = {face.path for face in (*self.meshes, *self.points)} | {self.topology}
        inner = [p for path in _visible(self.root) for p in _visible(path) if p not in used]
        outer = [p for p in _visible(self.root) if p.is_file() and p not in used]
        return tuple(sorted([*outer, *inner]))

    def digest(self) -> str:
        """SHA-256 of the contents of all meshes and landmarks under the names they are known by."""
        sha = hashlib.sha256()
        for face in (*self.meshes, *self.points):
            kind = face.path.suffix.lower()
            content = hashlib.sha256(face.path.read_bytes()).hexdigest()
            sha.update(f"{face.subject}/{face.scene}{kind} {content}\n".encode())
        if self.topology is not None:
            sha.update(self.topology.read_bytes())
        return sha.hexdigest()

    def mesh(self, subject: str, scene: str) -> FaceFile:
        """The mesh of a subject in a scene: its own, else the subject's for all scenes.

        Raises:
            FacebenchError: there is none, with the nearest name, or there are several.
        """
        own = [face for face in self.meshes if face.subject == subject.lower()]
        found = _of_scene(own, scene)
        if not own:
            raise FacebenchError(f"{self.root}: no mesh of {subject}", self._near(subject))
        if not found:
            near = _did_you_mean(scene, [face.path for face in own])
            raise FacebenchError(f"{self.root}: no mesh of {subject} for scene {scene}", near)
        if len(found) > 1:
            names = ", ".join(str(face.path.relative_to(self.root)) for face in found)
            raise FacebenchError(f"{self.root}: {len(found)} meshes of {subject}: {names}")
        return found[0]

    def landmarks_of(self, mesh: FaceFile) -> Path | None:
        """The file of points beside a mesh, or None."""
        whose = (mesh.subject, mesh.scene)
        found = (face.path for face in self.points if (face.subject, face.scene) == whose)
        return next(found, None)

    def _near(self, subject: str) -> str:
        """Names of the same number: `Subject1` may be meant for `subject_01`."""
        paths = dict.fromkeys(self._subject_path(face) for face in self.meshes)
        same = [path for path in paths if _numbers(path.stem) == _numbers(subject)]
        if same and _numbers(subject):
            return f"'{same[0].name}' may be it: call it {subject}{same[0].suffix}"
        return f"it holds {_listed([path.name for path in paths])}"

    def _subject_path(self, face: FaceFile) -> Path:
        return face.path if face.path.parent == self.root else face.path.parent

    def _what_it_holds(self) -> str:
        inner = [path for path in _visible(self.root) if path.is_dir() and _looks_right(path)]
        if inner:
            return f"did you mean {inner[0]}?"
        names = [path.name for path in _visible(self.root)]
        return f"{LAYOUT}; it holds {_listed(names) if names else 'nothing'}"


def _entries(root: Path) -> Iterator[FaceFile]:
    """Every mesh and text file at its place, whoever it belongs to."""
    for path in _visible(root):
        if path.is_dir():
            inner = [item for item in _visible(path) if item.is_file()]
            yield from (FaceFile(path.name.lower(), _scene(item.stem), item) for item in inner)
        elif path.name.lower() != TOPOLOGY:
            yield FaceFile(path.stem.lower(), ALL_SCENES, path)


def _of_scene(faces: Sequence[FaceFile], scene: str) -> list[FaceFile]:
    own = [face for face in faces if face.scene == scene.lower()]
    return own or [face for face in faces if face.scene == ALL_SCENES]


def _scene(stem: str) -> str:
    """The benchmark's name of a scene, from its own or from MICC's name of the video."""
    name = stem.lower().replace("_", "-").replace(" ", "-")
    return _OTHER_NAMES.get(name, stem.lower())


def _did_you_mean(scene: str, paths: Sequence[Path]) -> str:
    odd = [path for path in paths if _scene(path.stem) not in STEM_OF_SCENE]
    near = nearest_name(scene, [path.stem.lower() for path in odd])
    if near:
        path = next(path for path in odd if path.stem.lower() == near)
        return f"'{path.name}' may be it: call it {scene}{path.suffix}"
    return f"it holds {_listed([path.name for path in paths])}"


def _numbers(name: str) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", name)]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"


def _looks_right(folder: Path) -> bool:
    return any(entry.path.suffix.lower() in FORMATS for entry in _entries(folder))


def _visible(folder: Path) -> list[Path]:
    """Sorted entries of a folder but hidden ones; none of what is no folder."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


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
            invalid = count_of(removed.invalid_vertices, "vertex is", "vertices are")
            raise FacebenchError(f"{path}: {invalid} not finite", "its method failed")
        if not len(mesh.triangles):
            raise FacebenchError(f"{path}: no triangle has an area", "export it again")
        check_unit(mesh, str(path), self.unit, UNIT_OPTION)
        return to_millimetres(mesh, self.unit)

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
        words = read_text(path, _MOST_BYTES).replace(",", " ").split()
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
