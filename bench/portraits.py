"""Reconstructs the faces in photographs and videos into files; a failure is a row, not an end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import FacebenchError
from ..recon.export import write_mesh
from ..recon.files import replacing
from ..recon.mesh import Mesh
from ..recon.reconstruct import PICTURE_SIZE, FaceCoefficients, Reconstructor
from ..recon.sheet import Picture, grid
from ..recon.vision.crop import MARGIN, Box, crop_square
from ..recon.vision.detect import FaceDetector
from .photographs import Source, read_photograph
from .sampling import EvenSample
from .video import Chunk, read_chunks

SHEET_ROWS = 6
"""Most frames of a video that its contact sheet shows."""

NO_FACE = "no face was found"


@dataclass(frozen=True)
class Portrait:
    """What became of one photograph or video.

    Attributes:
        name: of the source.
        source: its path.
        frames: read; 1 for a photograph.
        faces: found in them.
        files: written, or empty.
        reason: why nothing was written, or what was missing; else empty.
    """

    name: str
    source: str
    frames: int
    faces: int
    files: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class Studio:
    """Everything that reconstructs a source and writes its files.

    Attributes:
        reconstructor: network and face model.
        detector: finds the face.
        out: folder of the results.
        formats: mesh file name endings, see `recon.export.WRITERS`.
        facts: put into every coefficients file, for example digests.
        frame_limit: frames read of a video at most; all when None.
    """

    reconstructor: Reconstructor
    detector: FaceDetector
    out: Path
    formats: tuple[str, ...]
    facts: dict[str, str] = field(default_factory=dict)
    frame_limit: int | None = None

    def portray(self, source: Source) -> Portrait:
        """Reconstruct one source; never raises for what the source holds."""
        try:
            return self._video(source) if source.is_video else self._photograph(source)
        except FacebenchError as error:
            return Portrait(source.name, str(source.path), 0, 0, reason=str(error))

    def _photograph(self, source: Source) -> Portrait:
        frame = read_photograph(source.path)
        box = self.detector.detect(frame)
        if box is None:
            return Portrait(source.name, str(source.path), 1, 0, reason=NO_FACE)
        crop = crop_square(frame, box, self.reconstructor.crop_size)
        face = self.reconstructor.regress(crop[None])[0]
        picture = self.reconstructor.overlay(crop_square(frame, box, PICTURE_SIZE), face)
        points = _in_frame(self.reconstructor.landmarks(face), box)
        table = _table(face) | {"box_px": asdict(box), "landmarks_px": _plain(points)}
        files = self._write(source.name, self.reconstructor.mesh(face), picture, table)
        return Portrait(source.name, str(source.path), 1, 1, files)

    def _video(self, source: Source) -> Portrait:
        clip = ClipFaces(self.reconstructor.crop_size)
        for chunk in read_chunks(source.path, source.name, self.frame_limit):
            clip.add(chunk, self.detector, self.reconstructor)
        if not clip.faces:
            reason = clip.reason or f"{NO_FACE} in {clip.frames} frames"
            return Portrait(source.name, str(source.path), clip.frames, 0, reason=reason)
        mesh = self.reconstructor.model.mesh(clip.identity, albedo=clip.albedo)
        kept = list(clip.sample)
        sheet = grid([[self.reconstructor.overlay(crop, face)] for crop, face in kept])
        table = {
            "identity": _plain(clip.identity),
            "albedo": _plain(clip.albedo),
            "frames": clip.frames,
            "faces": clip.faces,
        }
        files = self._write(source.name, mesh, sheet, table)
        path = str(source.path)
        return Portrait(source.name, path, clip.frames, clip.faces, files, clip.reason)

    def _write(
        self, name: str, mesh: Mesh, picture: Picture, table: dict[str, Any]
    ) -> tuple[str, ...]:
        paths = [self.out / f"{name}.{ending}" for ending in self.formats]
        for path in paths:
            write_mesh(mesh, path)
        overlay, coefficients = self.out / f"{name}_overlay.png", self.out / f"{name}.json"
        with replacing(overlay) as draft:
            Image.fromarray(picture).save(draft, format="PNG")
        with replacing(coefficients) as draft:
            text = json.dumps(self.facts | table, indent=1, allow_nan=False)
            draft.write_text(text + "\n", encoding="utf-8")
        return tuple(path.name for path in (*paths, overlay, coefficients))


class ClipFaces:
    """The faces of one video, added up chunk by chunk; memory does not grow with its length."""

    def __init__(self, crop_size: int) -> None:
        self.crop_size = crop_size
        self.frames = self.faces = 0
        self.reason = ""
        self.sample: EvenSample[tuple[Picture, FaceCoefficients]] = EvenSample(SHEET_ROWS)
        self._identity: NDArray[np.float64] | float = 0.0
        self._albedo: NDArray[np.float64] | float = 0.0

    @property
    def identity(self) -> NDArray[np.float64]:
        """Mean identity coefficients (K,) over the faces."""
        return np.asarray(self._identity) / self.faces

    @property
    def albedo(self) -> NDArray[np.float64]:
        """Mean albedo coefficients (K,) over the faces."""
        return np.asarray(self._albedo) / self.faces

    def add(self, chunk: Chunk, detector: FaceDetector, reconstructor: Reconstructor) -> None:
        """Find, regress and add the faces of a chunk."""
        self.frames += len(chunk.frames)
        self.reason = self.reason or chunk.reason
        found = list(_boxes(chunk, detector))
        if not found:
            return
        crops = np.stack([crop_square(frame, box, self.crop_size) for frame, box in found])
        for (frame, box), face in zip(found, reconstructor.regress(crops), strict=True):
            self.faces += 1
            self._identity = self._identity + face.identity
            self._albedo = self._albedo + face.albedo
            if self.sample.wants_next():
                self.sample.add((crop_square(frame, box, PICTURE_SIZE), face))
            else:
                self.sample.skip()


def _boxes(chunk: Chunk, detector: FaceDetector) -> Iterator[tuple[Picture, Box]]:
    for frame in chunk.frames:
        box = detector.detect(frame)
        if box is not None:
            yield frame, box


def _in_frame(points: NDArray[np.float64], box: Box) -> NDArray[np.float64]:
    """Pixels (68, 2) of the frame from shares of the crop around a box."""
    side = MARGIN * max(box.width, box.height)
    centre = np.array([box.left + box.width / 2, box.top + box.height / 2])
    return centre + (points - 0.5) * side - 0.5


def _table(face: FaceCoefficients) -> dict[str, Any]:
    return {name: _plain(values) for name, values in vars(face).items()}


def _plain(values: NDArray[np.float64]) -> list[Any]:
    """Nested lists, what is not finite as None."""
    objects = values.astype(object)
    objects[~np.isfinite(values)] = None
    nested: list[Any] = objects.tolist()
    return nested
