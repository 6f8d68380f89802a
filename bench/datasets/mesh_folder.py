"""A folder of predicted faces: which file is whose, by names without regard to case."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import FacebenchError, nearest_name
from ..meshes.files import FORMATS
from .micc import STEM_OF_SCENE

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
