"""Reconstructs the faces in photographs and videos into files; a failure is a row, not an end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np

from ...errors import error_line
from ..face.coefficient_files import frame_table
from ..face.coefficients import FaceCoefficients
from ..face.crop import Box, box_of_points, read_all_boxes, read_image_points
from ..vision.detect import ManyFacesDetector
from .reconstructor import FaceCrop, Reconstructor
from .results import FaceFiles, ResultLedger, SourceResult
from .sheet import SheetRenderer
from .sources import Source, read_photograph
from .video import VideoReconstructor, VideoSettings

NO_FACE = "no face was found"


@dataclass(frozen=True)
class ReconstructionSettings:
    """How sources are reconstructed.

    Attributes:
        all_faces: every face of a photograph, not only the most prominent one.
        batch: photographs that go through the network together.
        video: what is made of videos.
    """

    all_faces: bool = False
    batch: int = 16
    video: VideoSettings = field(default_factory=VideoSettings)


@dataclass(frozen=True, eq=False)
class LocatedFaces:
    """A photograph with the faces found in it, or the reason why there are none."""

    source: Source
    shots: tuple[FaceCrop, ...]
    reason: str = ""


@dataclass(frozen=True)
class SourceReconstructor:
    """Everything that reconstructs a source and writes its files.

    Attributes:
        reconstructor: network and face model.
        artist: draws the sheets.
        detector: finds the faces where no box file lies beside a source.
        files: writes.
        settings: see there.
    """

    reconstructor: Reconstructor
    artist: SheetRenderer
    detector: ManyFacesDetector
    files: FaceFiles
    settings: ReconstructionSettings = field(default_factory=ReconstructionSettings)

    def portray_all(
        self, sources: Sequence[Source], ledger: ResultLedger
    ) -> Iterator[SourceResult]:
        """A portrait a source, first those that the ledger has; never raises for what one holds."""
        waiting = []
        for source in sources:
            portrait = ledger.kept(source)
            if portrait is None:
                waiting.append(source)
            else:
                yield portrait
        for group in _groups(waiting, self.settings.batch):
            for source, portrait in zip(group, self._portray(group), strict=True):
                ledger.add(source, portrait)
                yield portrait

    def _portray(self, group: Sequence[Source]) -> Iterator[SourceResult]:
        """A portrait of each of some photographs, or of one video."""
        if not group[0].is_video:
            yield from self._photographs(group)
            return
        parts = (self.reconstructor, self.artist, self.detector, self.files)
        try:
            yield VideoReconstructor(*parts, self.settings.video).portray(group[0])
        except Exception as error:
            yield _failure(group[0], error, frames=0)

    def _photographs(self, group: Sequence[Source]) -> Iterator[SourceResult]:
        sittings = [self._sit(source) for source in group]
        try:
            faces = iter(self._regress([shot for sitting in sittings for shot in sitting.shots]))
        except Exception as error:
            yield from (_failure(source, error, frames=1) for source in group)
            return
        for sitting in sittings:
            own = [next(faces) for _ in sitting.shots]
            yield self._develop(sitting, own)

    def _sit(self, source: Source) -> LocatedFaces:
        try:
            frame = read_photograph(source.path)
            found = self._locate(source, frame)
            size = self.reconstructor.crop_size
            shots = tuple(FaceCrop.of(frame, box, size) for box in found)
            return LocatedFaces(source, shots, "" if shots else NO_FACE)
        except Exception as error:
            return LocatedFaces(source, (), error_line(error))

    def _locate(self, source: Source, frame: np.ndarray[Any, np.dtype[np.uint8]]) -> list[Box]:
        """Boxes from the files beside the photograph where there are any, else the detector's."""
        if source.landmarks is not None:
            return [box_of_points(read_image_points(source.landmarks))]
        if source.boxes is not None:
            boxes = read_all_boxes(source.boxes).get(0, [])
            largest = sorted(boxes, key=lambda box: -max(box.width, box.height))
            return largest if self.settings.all_faces else largest[:1]
        if self.settings.all_faces:
            return self.detector.detect_all(frame)
        box = self.detector.detect(frame)
        return [] if box is None else [box]

    def _regress(self, shots: Sequence[FaceCrop]) -> list[FaceCoefficients]:
        size = self.settings.batch
        batches = [shots[start : start + size] for start in range(0, len(shots), size)]
        found = [self.reconstructor.regress(np.stack([s.crop for s in part])) for part in batches]
        return [faces[i] for faces in found for i in range(len(faces))]

    def _develop(self, sitting: LocatedFaces, faces: Sequence[FaceCoefficients]) -> SourceResult:
        source = sitting.source
        if not faces:
            return SourceResult(source.name, str(source.path), 1, 0, reason=sitting.reason)
        try:
            pairs = enumerate(zip(sitting.shots, faces, strict=True), start=1)
            names = [self._write(source, n, shot, face) for n, (shot, face) in pairs]
        except Exception as error:
            return _failure(source, error, frames=1)
        files = tuple(name for group in names for name in group)
        return SourceResult(source.name, str(source.path), 1, len(faces), files)

    def _write(
        self, source: Source, number: int, shot: FaceCrop, face: FaceCoefficients
    ) -> tuple[str, ...]:
        face.check_finite()
        name = source.name if number == 1 else f"{source.name}_face{number}"
        view = self.reconstructor.view(shot.portrait, face, shot.filled)
        texture = self.reconstructor.texture(face.albedo, [view])
        rows = [self.artist.row(shot.portrait, face), self.artist.sides(face, texture)]
        mesh = self.reconstructor.mesh(face)
        written = self.files.write_face(name, mesh, texture, rows)
        table = self._table(source, shot, shot.in_picture(face))
        return self.files.write_coefficients(name, table, written)

    def _table(self, source: Source, shot: FaceCrop, face: FaceCoefficients) -> dict[str, Any]:
        points = self.reconstructor.landmarks(face[None], shot.image_size)[0]
        height, width = shot.image_size
        return {
            "kind": "photograph",
            "source": str(source.path),
            "picture": {"width_px": width, "height_px": height},
            "identity": face.identity.tolist(),
            "albedo": face.albedo.tolist(),
            "frame_count": 1,
            "frames": [frame_table(face, shot.box, points)],
            "frames_file": None,
        }


def _groups(sources: Sequence[Source], batch: int) -> Iterator[list[Source]]:
    """Neighbouring photographs in batches, videos one by one, in the order given."""
    for is_video, run in groupby(sources, key=lambda source: source.is_video):
        items, size = list(run), 1 if is_video else batch
        yield from (items[start : start + size] for start in range(0, len(items), size))


def _failure(source: Source, error: Exception, frames: int) -> SourceResult:
    return SourceResult(source.name, str(source.path), frames, 0, reason=error_line(error))
