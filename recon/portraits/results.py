"""The files and pictures of a reconstructed face, and the ledger of what a folder already has."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..export.mesh_files import write_mesh, write_picture
from ..export.sheet import SUPERSAMPLING, Picture, grid, shrink, with_caption
from ..face.coefficients import POSE_NAMES, FaceCoefficients, Origin, write_coefficients
from ..face.crop import Box, mean_face_pose
from ..face.imaging import ambient_light
from ..files.tables import write_table
from ..files.text import check_fields, parse_json
from ..files.writing import atomic_write, explain_write_errors
from ..mesh import Mesh
from ..morphable.model import MorphableModel
from ..render import sharp_renderer
from ..render.face import FaceDecoder, FaceRenderer, draw_panels, draw_shape, shade
from ..texture.texture import Texture
from .reconstructor import to_tensor
from .sources import Source

SHEET_ENDING = "_sheet.png"
COEFFICIENTS_ENDING = ".json"

NAME = "portraits.jsonl"

PICTURE_SIZE = 360
"""Side in pixels of every picture."""

SIDE_YAWS = (-0.9, 0.9)
"""Radians by which the side views are turned."""

_CAPTIONS = ("photograph", "overlay", "shape", "albedo")
_SIDE_CAPTIONS = ("texture, right side", "texture", "texture, left side", "shape, left side")
_FURTHER_FACE = re.compile(rf"_face\d+{re.escape(COEFFICIENTS_ENDING)}$")
_ZOOM = 0.7
_PAPER = 0.96


@dataclass(frozen=True)
class FaceFiles:
    """Where faces are written, and as what.

    Attributes:
        out: folder of the results.
        formats: mesh file name endings, see `recon.export.mesh_files.WRITERS`.
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
        meshes = [
            write_mesh(mesh, _with_ending(stem, f".{kind}"), texture) for kind in self.formats
        ]
        sheet = write_picture(grid(rows), _with_ending(stem, SHEET_ENDING))
        return [*(path for paths in meshes for path in paths), sheet]

    def write_coefficients(
        self, name: str, table: Mapping[str, Any], written: Sequence[Path]
    ) -> tuple[str, ...]:
        """The coefficients, last of all; returns the names of all files, relative to the folder."""
        path = _with_ending(self.out / name, COEFFICIENTS_ENDING)
        names = tuple(item.relative_to(self.out).as_posix() for item in (*written, path))
        write_coefficients(path, {**self.origin.as_table(), **table, "files": list(names)})
        return names


def write_frame_table(
    path: Path,
    faces: FaceCoefficients,
    frames: NDArray[np.integer],
    boxes: list[Box],
    landmarks: NDArray[np.float64],
    times: NDArray[np.float64],
) -> Path:
    """Write N faces of a video, poses in the frame's coordinates.

    Columns: `frame`, `time_s` (from the first frame on); `left`, `top`, `width`, `height` (px); the
    seven of `POSE_NAMES`; the lists `expression` (K), `light` (27: nine harmonics of red, green,
    blue) and `landmarks_px` (136: x and y of 68 points, NaN where the model has none).
    """
    import pyarrow

    sides = np.array([[box.left, box.top, box.width, box.height] for box in boxes])
    columns: dict[str, NDArray[np.generic] | list[NDArray[np.float64]]] = {
        "frame": np.asarray(frames),
        "time_s": times,
        **dict(zip(("left", "top", "width", "height"), sides.T, strict=True)),
        **dict(zip(POSE_NAMES, faces.pose.T, strict=True)),
        "expression": list(faces.expression),
        "light": list(faces.light.reshape(len(faces), -1)),
        "landmarks_px": list(landmarks.reshape(len(faces), -1)),
    }
    with atomic_write(path) as draft:
        write_table(pyarrow.table(columns), draft)
    return path


@dataclass(frozen=True)
class SourceResult:
    """What became of one photograph or video.

    Attributes:
        name: of the source.
        source: its path.
        frames: read; 1 for a photograph.
        faces: reconstructed in them.
        files: written, relative to the output folder; or empty.
        reason: why nothing was written, or what was missing; else empty.
        kept: whether it was there already.
    """

    name: str
    source: str
    frames: int
    faces: int
    files: tuple[str, ...] = ()
    reason: str = ""
    kept: bool = False


class ResultLedger:
    """The finished sources of an output folder, in `portraits.jsonl`.

    A source counts as done when it was reconstructed with the same settings, has not changed since,
    and all its files are there. Those that failed are tried again.

    Args:
        out: the output folder.
        settings: everything that decides what is written, as plain values.
        forget: whether earlier lines are passed over, so that everything is done again.
    """

    def __init__(self, out: Path, settings: Mapping[str, Any], forget: bool = False) -> None:
        self.out = out
        text = json.dumps(settings, sort_keys=True, default=str)
        self.digest = hashlib.sha256(text.encode()).hexdigest()
        self._rows: dict[str, SourceResult] = {}
        self._writers: dict[str, str] = {}
        self._places: dict[str, Path] = {}
        # By the name of a photograph's first face those of its further ones, in order.
        self._further: dict[str, dict[str, None]] = {}
        for key, place, row in _rows(out / NAME):
            self._note(key, place, row)
        self._forgets = forget

    def find(self, source: Source) -> SourceResult | None:
        """The source's result when it is done, else None."""
        key = self._key(source)
        row = self._rows.get(key)
        if self._forgets or row is None or not row.files:
            return None
        # What was written over by another source or model is no longer this one's.
        mine = all(self._writers[name] == key for name in row.files)
        return row if mine and all((self.out / name).is_file() for name in row.files) else None

    def other_source(self, source: Source, all_faces: bool = False) -> str:
        """Another photograph or video, still there, whose results a source's would replace, or
        empty; with further faces also those that are named like them."""
        name = source.name + COEFFICIENTS_ENDING
        for taken in (name, *(self._further.get(name, ()) if all_faces else ())):
            other = self._places.get(self._writers.get(taken, ""))
            if other and other.is_file() and other.resolve() != source.path.resolve():
                return str(other)
        return ""

    def add(self, source: Source, result: SourceResult) -> None:
        """Write down what became of a source."""
        self.out.mkdir(parents=True, exist_ok=True)
        # A relative path means another file to a command in another folder.
        key, place = self._key(source), source.path.absolute()
        row = {"key": key, "place": str(place), "portrait": asdict(result)}
        path = self.out / NAME
        # A line that a kill cut off has no end, and would swallow this one.
        with explain_write_errors(path), path.open("a+b") as file:
            torn = file.tell() > 0 and file.seek(-1, os.SEEK_END) >= 0 and file.read(1) != b"\n"
            file.write(b"\n" * torn + json.dumps(row).encode() + b"\n")
        self._note(key, place, result)

    def _note(self, key: str, place: Path, row: SourceResult) -> None:
        """The newest row of a source counts, and of a file the newest that names it."""
        self._rows[key], self._places[key] = row, place
        self._writers.update(dict.fromkeys(row.files, key))
        for name in row.files:
            first = _FURTHER_FACE.sub(COEFFICIENTS_ENDING, name)
            if first != name:
                self._further.setdefault(first, {})[name] = None

    def _key(self, source: Source) -> str:
        files = [source.path, source.boxes]
        if source.landmarks is not None:
            files.append(source.landmarks)
        facts = [self.digest, source.name, *map(_state, files)]
        return hashlib.sha256("\n".join(facts).encode("utf-8", "surrogateescape")).hexdigest()


class SheetRenderer:
    """Draws the sheets of one face model's faces."""

    def __init__(self, model: MorphableModel, device: str = "cpu") -> None:
        size = (PICTURE_SIZE * SUPERSAMPLING,) * 2
        self._face = FaceRenderer(FaceDecoder(model), sharp_renderer(), size).to(device)
        self._pose = mean_face_pose(model)
        self._device = device

    def row(self, crop: NDArray[np.uint8], face: FaceCoefficients) -> list[Picture]:
        """Photograph, overlay, shape and albedo.

        Args:
            crop: (S, S, 3) RGB; any S, the view of the face's pose.
            face: one face.
        """
        photograph = to_tensor(crop[None], self._device)
        large = torch.nn.functional.interpolate(photograph, self._face.image_size, mode="bilinear")
        panels = draw_panels(self._face, face[None].tensors(self._device), large, _PAPER)
        stack = torch.cat([large, *panels])
        return _add_captions(stack, _CAPTIONS)

    @torch.no_grad()
    def sides(self, face: FaceCoefficients, texture: Texture) -> list[Picture]:
        """The textured face from three sides under even light, and its shape from its left."""
        turned = [self._turn(face, yaw) for yaw in (SIDE_YAWS[0], 0.0, SIDE_YAWS[1])]
        faces = FaceCoefficients.join(turned).tensors(self._device)
        shape = self._face.decoder.shape(faces.identity, faces.expression)
        colours = torch.from_numpy(texture.at_vertices().astype(np.float32)).to(self._device)
        albedo = colours.unsqueeze(2).expand_as(shape)
        light = ambient_light(len(turned)).to(self._device) * 1.25
        vertices, lit = shade(shape, albedo, faces.pose, light, self._face.normals)
        drawn = self._face.renderer(
            vertices, lit, self._face.decoder.triangles, self._face.image_size
        )
        pictures = drawn.image + _PAPER * drawn.background_weight[:, None]
        # Once without texture: a picture on it hides what the shape lacks.
        grey = draw_shape(self._face, turned[-1].tensors(self._device), _PAPER)
        return _add_captions(torch.cat([pictures, grey]), _SIDE_CAPTIONS)

    def _turn(self, face: FaceCoefficients, yaw: float) -> FaceCoefficients:
        pose = _ZOOM * self._pose
        pose[1] = yaw
        return replace(face, pose=pose)[None]


def _with_ending(stem: Path, ending: str) -> Path:
    """The stem may hold dots of its own: nothing of it is replaced."""
    return stem.with_name(stem.name + ending)


def _rows(path: Path) -> Iterator[tuple[str, Path, SourceResult]]:
    """Key, absolute path of the source and result of each of the ledger's lines.

    One that was cut off by an interruption is passed over.
    """
    if not path.is_file():
        return
    # A kill may cut a line in the middle of a character.
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                row = parse_json(line)
                result = _result(row["portrait"])
                yield str(row["key"]), Path(row.get("place", result.source)), result
            except (ValueError, KeyError, TypeError, AttributeError):
                continue


def _result(values: dict[str, Any]) -> SourceResult:
    """A result that is there already.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: the values are not one's.
    """
    result = check_fields(SourceResult(**{**values, "files": tuple(values["files"]), "kept": True}))
    if any("\0" in name for name in result.files):
        raise ValueError("no names of files")
    return result


def _state(path: Path | None) -> str:
    """Path, size and times of last change, or that there is no such file.

    Compared for being equal, never for being newer: clocks are set back, and copies keep the time
    of their source. The second time is one that no program can set.
    """
    try:
        state = path.stat() if path is not None else None
    except OSError:
        state = None
    if state is None:
        return f"{path} none"
    return f"{path} {state.st_size} {state.st_mtime_ns} {state.st_ctime_ns}"


def _add_captions(images: Tensor, captions: tuple[str, ...]) -> list[Picture]:
    return [with_caption(p, text) for p, text in zip(shrink(images), captions, strict=True)]
