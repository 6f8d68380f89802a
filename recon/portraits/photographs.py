"""Reconstructs the faces in photographs and videos into files; a failure is a row, not an end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from ...errors import FacebenchError, error_line
from ..face.coefficients import FaceCoefficients, frame_table
from ..face.crop import Box, box_of_points, check_inside, read_all_boxes, read_image_points
from ..vision.detect import ManyFacesDetector
from .reconstructor import FaceCrop
from .results import ResultLedger, SourceResult
from .sources import Source, read_photograph
from .video import VideoReconstructor

NO_FACE = "no face was found"
_TURNS = {-1: "90° clockwise", 1: "90° anticlockwise", 2: "upside down"}
"""How a picture may have to be turned, by the quarters that `numpy.rot90` turns."""


@dataclass(frozen=True)
class SourceReconstructor(VideoReconstructor):
    """Everything that reconstructs a source, a video or a photograph, and writes its files.

    Attributes:
        all_faces: every face of a photograph, not only the most prominent one.
        batch: photographs that go through the network together.
    """

    detector: ManyFacesDetector
    all_faces: bool = False
    batch: int = 16

    def reconstruct_all(
        self, sources: Sequence[Source], ledger: ResultLedger
    ) -> Iterator[SourceResult]:
        """A result per source, first those that the ledger has; never raises for what one holds."""
        waiting = []
        for source in sources:
            result = ledger.find(source)
            if result is None:
                waiting.append(source)
            else:
                yield result
        for group in _groups(waiting, self.batch):
            for source, result in zip(group, self._reconstruct(group), strict=True):
                # Before it is counted: whoever saw it done finds it done after a kill.
                ledger.add(source, result)
                yield result

    def _reconstruct(self, group: Sequence[Source]) -> Iterator[SourceResult]:
        """A result of each of some photographs, or of one video."""
        if not group[0].is_video:
            yield from self._photographs(group)
            return
        try:
            yield self.video(group[0])
        except Exception as error:
            yield _failure(group[0], error, frames=0)

    def _photographs(self, group: Sequence[Source]) -> Iterator[SourceResult]:
        crops = [self._crop(source) for source in group]
        try:
            # One batch over all photographs of the group: a network costs by the call.
            faces = iter(self._regress([crop for found, _ in crops for crop in found]))
        except Exception as error:
            yield from (_failure(source, error, frames=1) for source in group)
            return
        for source, (found, reason) in zip(group, crops, strict=True):
            own = [next(faces) for _ in found]
            yield self._finish(source, found, own, reason)

    def _crop(self, source: Source) -> tuple[list[FaceCrop], str]:
        """The faces in a photograph, or none and the reason."""
        try:
            frame = read_photograph(source.path)
            size = self.reconstructor.crop_size
            crops = [FaceCrop.of(frame, box, size) for box in self._locate(source, frame)]
            return crops, "" if crops else self._reason(frame)
        except Exception as error:
            return [], error_line(error)

    def _reason(self, frame: np.ndarray[Any, np.dtype[np.uint8]]) -> str:
        """Why no face was found, as far as it can be told: the picture may lie on its side."""
        for quarters, how in _TURNS.items():
            if self.detector.detect(np.ascontiguousarray(np.rot90(frame, quarters))) is not None:
                return f"{NO_FACE}; turned {how} there may be one: save the picture so"
        return NO_FACE

    def _locate(self, source: Source, frame: np.ndarray[Any, np.dtype[np.uint8]]) -> list[Box]:
        """Boxes from the files beside the photograph where there are any, else the detector's."""
        # Before boxes: they say more of where the face is.
        if source.landmarks is not None:
            return [check_inside(box_of_points(read_image_points(source.landmarks)), frame)]
        if source.boxes is not None:
            # A photograph is frame 0 of a file that is made for videos.
            given = read_all_boxes(source.boxes)
            if given and 0 not in given:
                raise FacebenchError(f"{source.boxes}: no frame 0", "which a photograph is")
            boxes = [check_inside(box, frame) for box in given.get(0, [])]
            largest = sorted(boxes, key=lambda box: -max(box.width, box.height))
            return largest if self.all_faces else largest[:1]
        box = None if self.all_faces else self.detector.detect(frame)
        framed = self.reconstructor.frame_faces(frame, [] if box is None else [box])
        if framed:
            return framed
        # The longer look, which finds tilted faces, also where the short one found none.
        boxes = self.reconstructor.frame_faces(frame, self.detector.detect_all(frame))
        return boxes if self.all_faces else boxes[:1]

    def _regress(self, crops: Sequence[FaceCrop]) -> list[FaceCoefficients]:
        size = self.batch
        batches = [crops[start : start + size] for start in range(0, len(crops), size)]
        found = [self.reconstructor.regress(np.stack([c.crop for c in part])) for part in batches]
        return [faces[i] for faces in found for i in range(len(faces))]

    def _finish(
        self,
        source: Source,
        crops: Sequence[FaceCrop],
        faces: Sequence[FaceCoefficients],
        reason: str,
    ) -> SourceResult:
        if not faces:
            return SourceResult(source.name, str(source.path), 1, 0, reason=reason)
        try:
            pairs = enumerate(zip(crops, faces, strict=True), start=1)
            names = [self._write(source, n, crop, face) for n, (crop, face) in pairs]
        except Exception as error:
            return _failure(source, error, frames=1)
        files = tuple(name for group in names for name in group)
        return SourceResult(source.name, str(source.path), 1, len(faces), files)

    def _write(
        self, source: Source, number: int, crop: FaceCrop, face: FaceCoefficients
    ) -> tuple[str, ...]:
        # Before any file: of NaN the mesh would be written, and look like a result.
        face.check_finite()
        # The first has the source's own name, as without --all-faces.
        name = source.name if number == 1 else f"{source.name}_face{number}"
        view = self.reconstructor.view(crop.portrait, face, crop.filled)
        texture = self.reconstructor.texture(face.albedo, [view])
        rows = [self.artist.row(crop.portrait, face), self.artist.sides(face, texture)]
        mesh = self.reconstructor.mesh(face)
        written = self.files.write_face(name, mesh, texture, rows)
        table = self._table(source, crop, crop.in_picture(face))
        # Last: where this file is, those that it names are whole.
        return self.files.write_coefficients(name, table, written)

    def _table(self, source: Source, crop: FaceCrop, face: FaceCoefficients) -> dict[str, Any]:
        points = self.reconstructor.landmarks(face[None], crop.image_size)[0]
        height, width = crop.image_size
        return {
            "kind": "photograph",
            "source": str(source.path),
            "picture": {"width_px": width, "height_px": height},
            "identity": face.identity.tolist(),
            "albedo": face.albedo.tolist(),
            "frame_count": 1,
            "frames": [frame_table(face, crop.box, points)],
            "frames_file": None,
        }


def _groups(sources: Sequence[Source], batch: int) -> Iterator[list[Source]]:
    """Neighbouring photographs in batches, videos one by one, in the order given."""
    # Only neighbours go together, so that results come in the order of the sources.
    for is_video, run in groupby(sources, key=lambda source: source.is_video):
        items, size = list(run), 1 if is_video else batch
        yield from (items[start : start + size] for start in range(0, len(items), size))


def _failure(source: Source, error: Exception, frames: int) -> SourceResult:
    return SourceResult(source.name, str(source.path), frames, 0, reason=error_line(error))
