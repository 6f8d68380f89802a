"""Predicted faces out of a folder: which file is whose, meshes in mm, landmarks."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import chain
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError, nearest_name, some
from ...recon.files.contents import content_hashes, files_below, visible_in
from ...recon.files.mirror import fetch
from ...recon.files.text import read_text
from ...recon.mesh import Mesh
from ..dataset.interface import Item
from ..landmarks import (
    LANDMARK_INFIXES,
    LANDMARK_SUFFIXES,
    Landmarks,
    only_landmarks,
    read_landmark_file,
)
from ..meshes.checks import prediction_in_mm
from ..meshes.files import FORMATS, UNREAD_FORMATS, load_mesh, meshes_below, one_of_equals
from ..meshes.units import ANY_UNIT, unit_in_mm
from .interface import MethodCard

TOPOLOGY = "landmarks.txt"
"""The vertices of the landmarks, for all meshes of the folder."""
LAYOUT = "expected DIR/SUBJECT/SCENE.obj (.ply, .npz …) or DIR/SUBJECT.obj for all scenes"
_COUNTS = (68, 7)
_MOST_BYTES = 2**20
_SHOWN = 4


class MeshFolder:
    """The meshes of a folder by name, a relative path without ending; listed once, when it is made.

    Args:
        root: the folder.

    Raises:
        FacebenchError: there is no such folder, or no mesh in it.
    """

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise FacebenchError(f"{root}: no such folder", LAYOUT)
        self.root = root
        self.meshes = meshes_below(root)
        self.topology = next((p for p in visible_in(root) if p.name.lower() == TOPOLOGY), None)
        self._lower = _by(self.meshes, str.lower)
        self._loose = _by(self.meshes, loose_name)
        self._labels: dict[Path, dict[str, list[Path]]] = {}
        self._chosen: dict[tuple[Path, ...], Path | None] = {}
        if not self.meshes:
            inside = [path.name for path in visible_in(root)]
            held = some(inside, _SHOWN) if inside else "nothing"
            raise FacebenchError(f"{root}: no mesh in it", f"{LAYOUT}; it holds {held}")

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all meshes, sorted."""
        return tuple(sorted(self.meshes))

    @property
    def strangers(self) -> tuple[Path, ...]:
        """Files that are neither a mesh nor landmarks of one, sorted."""
        meshes = [path for paths in self.meshes.values() for path in paths]
        used = {*meshes, *chain.from_iterable(map(self.beside, meshes)), self.topology}
        return tuple(p for p in files_below(self.root) if p.is_file() and p not in used)

    def find(self, item: Item) -> Path:
        """The mesh of an item: under one of its names, those of the deepest folders first.

        Names are matched without regard to case, and then to kinds of lines between words.

        Raises:
            FacebenchError: there is none, with the nearest name, or there are several.
        """
        # A name of the scene, however it is written, goes before the subject's of all scenes.
        for depth in sorted({name.count("/") for name in item.names}, reverse=True):
            names = [name for name in item.names if name.count("/") == depth]
            for known, key in ((self._lower, str.lower), (self._loose, loose_name)):
                found = list(dict.fromkeys(p for name in names for p in known.get(key(name), ())))
                if len(found) > 1 and (chosen := self._one_of(tuple(found))):
                    return chosen
                if len(found) > 1:
                    files = ", ".join(path.relative_to(self.root).as_posix() for path in found)
                    raise FacebenchError(f"{len(found)} candidates for the prediction: {files}")
                if found:
                    return found[0]
        raise FacebenchError(f"{self.root}: no prediction of {item.id}", self._near(item))

    def _one_of(self, found: tuple[Path, ...]) -> Path | None:
        if found not in self._chosen:
            self._chosen[found] = one_of_equals(found)
        return self._chosen[found]

    def landmarks_of(self, mesh: Path) -> Path | None:
        """The file of landmarks beside a mesh and called like it, or None.

        Raises:
            FacebenchError: there are several, and not all hold the same points.
        """
        return only_landmarks(self.beside(mesh))

    def beside(self, mesh: Path) -> list[Path]:
        """All files that may hold the landmarks of a mesh by their names, sorted."""
        # Each folder is listed once: ten thousand faces of one would be listed for each of them.
        if mesh.parent not in self._labels:
            self._labels[mesh.parent] = _labels_in(mesh.parent)
        named = self._labels[mesh.parent]
        words = (f"{mesh.stem}{infix}".lower() for infix in LANDMARK_INFIXES)
        return sorted(path for word in words for path in named.get(word, ()))

    def digest(self) -> str:
        """SHA-256 of the contents of all meshes and landmarks under the names they are known by."""
        meshes = [path for paths in self.meshes.values() for path in paths]
        files = [*meshes, *chain.from_iterable(map(self.beside, meshes))]
        # landmarks.txt starts the alignment, so another one gives other numbers.
        files += [] if self.topology is None else [self.topology]
        hashes = content_hashes(files)
        lines = sorted(
            f"{path.relative_to(self.root).as_posix().lower()} {sha}"
            for path, sha in hashes.items()
        )
        return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()

    def _near(self, item: Item) -> str:
        """A name of the same numbers: `Subject1` may be meant for `subject_01`, `subject_2` not."""
        unread = (f"{name}{suffix}" for name in item.names for suffix in (*UNREAD_FORMATS, ".npy"))
        if there := next((name for name in unread if (self.root / name).is_file()), None):
            return f"'{there}' is of a format that is not read: known are {', '.join(FORMATS)}"
        # subject_1 and subject_2 are near as text and are two people: numbers have to agree.
        numbers, last = _numbers(item.id), PurePosixPath(item.id).name
        same = [name for name in self.meshes if _numbers(name) == numbers]
        if not numbers:
            same = [near] if (near := nearest_name(item.id, same, 0.6)) else []
        for name in same:
            # Another scene of the same subject is another face, not a slip of the pen.
            if "/" not in name or nearest_name(last, [PurePosixPath(name).name], 0.8):
                file = self.meshes[name][0].relative_to(self.root)
                return f"'{file}' may be it: call it {item.names[0]}{file.suffix}"
        return f"it holds {some(self.names, _SHOWN)}"


class MeshPredictions:
    """The faces of a folder; nobody knows their parts, nor what weights and model made them.

    Args:
        folder: which file is whose.
        unit: of the files: mm, cm or m, or `any`: the landmarks of both sides tell the size.
        card: named after the folder.
    """

    model_digest = checkpoint_digest = ""

    def __init__(self, folder: MeshFolder, unit: str, card: MethodCard) -> None:
        self.folder, self.unit, self.card = folder, unit, card
        self.parts: Mapping[str, NDArray[np.bool_]] = {}
        # The file that was read last: mesh and landmarks are asked for one after the other.
        self._last: tuple[Path, Mesh] | None = None

    @cached_property
    def digest(self) -> str:
        """The contents of the files and their unit."""
        return hashlib.sha256(f"{self.folder.digest()} {self.unit}".encode()).hexdigest()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all faces, sorted."""
        return self.folder.names

    def files_for(self, item: Item) -> tuple[Path, ...]:
        """The mesh of an item and what lies beside it; none where there is no such mesh."""
        try:
            mesh = self.folder.find(item)
        except FacebenchError:
            return ()
        topology = [] if self.folder.topology is None else [self.folder.topology]
        return (mesh, *self.folder.beside(mesh), *topology)

    def mesh_for(self, item: Item) -> Mesh:
        """The face in mm, without loose vertices and triangles of no area (`clean.clean_mesh`).

        Of unit `any` it has the numbers of its file.

        Raises:
            FacebenchError: there is no such file, it cannot be read, it has vertices that are not
                finite, or it is in another unit.
        """
        path = self.folder.find(item)
        return prediction_in_mm(self.mesh_in_file(item), str(path), self.unit)

    def mesh_in_file(self, item: Item) -> Mesh:
        """The face as its file has it, in the file's unit, with its landmark vertices.

        Raises:
            FacebenchError: there is no such file, or it cannot be read.
        """
        path = self.folder.find(item)
        if self._last is None or self._last[0] != path:
            self._last = path, _with_landmarks(load_mesh(fetch(path)), self._topology, path)
        return self._last[1]

    def landmarks_for(self, item: Item) -> Landmarks | None:
        """The points beside the mesh, else its landmark vertices, mm, else None.

        Raises:
            FacebenchError: there is no such mesh, or the landmarks cannot be used.
        """
        points = self.folder.landmarks_of(self.folder.find(item))
        if points is not None:
            return _in_mm(read_landmark_file(points).points, self.unit)
        raw = self.mesh_in_file(item)
        vertices = raw.landmarks if self._topology is None else self._topology
        if vertices is None:
            return None
        own = _in_mm(raw.vertices[vertices], self.unit)
        # Those of our own files are right; a user's list of vertices may not be.
        return own if self._topology is None else own.in_order()

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
        # Python takes 1_000 for a number; files never mean it.
        if wrong := next((word for word in words if not re.fullmatch(r"[+-]?\d+", word)), ""):
            raise ValueError(f"'{wrong[:40]}' is none")
        vertices = np.array(list(map(int, words)), np.int64)
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
    outside = vertices[(vertices < 0) | (vertices >= len(mesh.vertices))]
    if len(outside):
        raise FacebenchError(
            f"{path}: landmarks.txt names vertex {outside[0]}, the mesh has {len(mesh.vertices):,}",
            "vertices are counted from 0, and all meshes must be of its topology",
        )
    # A mesh's own landmarks are the 68 of iBUG; NoW's seven go on as points.
    return replace(mesh, landmarks=vertices) if len(vertices) == 68 else mesh


def _in_mm(points: NDArray[np.floating], unit: str) -> Landmarks:
    return Landmarks(
        np.asarray(points, np.float64) * (1.0 if unit == ANY_UNIT else unit_in_mm(unit))
    )


def _labels_in(folder: Path) -> dict[str, list[Path]]:
    """Files of a folder that may hold landmarks of a mesh, by their stem in small letters."""
    found: dict[str, list[Path]] = {}
    for path in visible_in(folder):
        # A mesh called `landmarks` has no landmarks beside it: that file is of the whole folder.
        if path.suffix.lower() in LANDMARK_SUFFIXES and path.name.lower() != TOPOLOGY:
            found.setdefault(path.stem.lower(), []).append(path)
    return found


def _by(meshes: Mapping[str, Sequence[Path]], key: Callable[[str], str]) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for name, paths in meshes.items():
        found.setdefault(key(name), []).extend(paths)
    return found


def loose_name(name: str) -> str:
    """A name without what people write in several ways: case, underscores and blanks."""
    return name.lower().replace("_", "-").replace(" ", "-")


def _numbers(name: str) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", name)]
