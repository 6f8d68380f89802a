"""Reconstructs the faces in photographs and videos into files; a failure is a row, not an end.

Of a video the person in it: one identity, and a pose, expression and light a frame.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...errors import FacebenchError, count_of, error_line
from ..export.mesh_files import write_ply
from ..export.sheet import to_pictures
from ..face.coefficients import FaceCoefficients, frame_table
from ..face.crop import (
    Box,
    box_of_points,
    check_inside,
    read_all_boxes,
    read_boxes,
    read_image_points,
)
from ..face.tracks import describe_others
from ..files.pictures import count_pictures
from ..fitting.refinement import with_one_skin
from ..render import sharp_renderer
from ..render.face import FaceRenderer, draw_overlay
from ..video.decode import frame_rate, read_chunks, write_video
from ..vision.detect import ELSEWHERE, ManyFacesDetector, are_elsewhere
from .reconstructor import FaceCrop, Reconstructor, to_tensor
from .results import FaceFiles, ResultLedger, SheetRenderer, SourceResult, write_frame_table
from .sources import BOXES_ENDING, Source, read_photograph
from .track import Track, TrackBuilder, smooth

NO_FACE = "no face was found"
_TURNS = {-1: "90° clockwise", 1: "90° anticlockwise", 2: "upside down"}
"""How a picture may have to be turned, by the quarters that `numpy.rot90` turns."""

_DRAWN_TOGETHER = 4
_SELDOM = 0.2
"""Share of the frames below which it is said how few have the face."""


@dataclass(frozen=True, eq=False)
class SourceReconstructor:
    """Everything that reconstructs a source, a video or a photograph, and writes its files.

    Attributes:
        reconstructor: network and face model.
        artist: draws the sheets.
        detector: finds the faces where no file beside a source says where they are.
        files: writes.
        frames: read of a video at most; all when None.
        smoothing: whether pose, expression and light of a video are smoothed over time.
        frame_meshes: whether a PLY is written for every face of a video.
        all_faces: every face of a photograph, not only the most prominent one.
        batch: photographs that go through the network together.
    """

    reconstructor: Reconstructor
    artist: SheetRenderer
    detector: ManyFacesDetector
    files: FaceFiles
    frames: int | None = None
    smoothing: bool = True
    frame_meshes: bool = False
    all_faces: bool = False
    batch: int = 16

    def reconstruct_all(
        self, sources: Sequence[Source], ledger: ResultLedger
    ) -> Iterator[SourceResult]:
        """A result per source, first those that the ledger has; never raises for what one holds."""
        waiting = []
        for source in sources:
            result = ledger.find(source)
            if result is not None:
                yield result
            elif other := ledger.other_source(source, self.all_faces):
                told = f"its results would replace those of {other}: give another --out"
                yield SourceResult(source.name, str(source.path), 0, 0, reason=told)
            else:
                waiting.append(source)
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
        """The faces in a photograph, and what is to be said of it: why there are none."""
        try:
            frame = read_photograph(source.path)
            size, found = self.reconstructor.crop_size, self._locate(source, frame)
            boxes = found if self.all_faces else found[:1]
            crops = [FaceCrop(frame, box, size) for box in boxes]
            labelled = source.landmarks is not None or source.boxes is not None
            doubt = bool(boxes) and labelled and are_elsewhere(boxes, frame, self.detector)
            said = ELSEWHERE if doubt else ""
            others = _others(source, len(found) - len(boxes))
            remarks = (_animation(source), others, said if crops else self._reason(frame))
            return crops, "; ".join(filter(None, remarks))
        except Exception as error:
            return [], error_line(error)

    def _reason(self, frame: np.ndarray[Any, np.dtype[np.uint8]]) -> str:
        """Why no face was found, as far as it can be told: the picture may lie on its side."""
        for quarters, how in _TURNS.items():
            if self.detector.detect(np.ascontiguousarray(np.rot90(frame, quarters))) is not None:
                return f"{NO_FACE}; turned {how} there may be one: save the picture so"
        return NO_FACE

    def _locate(self, source: Source, frame: np.ndarray[Any, np.dtype[np.uint8]]) -> list[Box]:
        """Boxes from the files beside the photograph where there are any, else the detector's; the
        one to take first."""
        # Before boxes: they say more of where the face is.
        if source.landmarks is not None:
            return [check_inside(box_of_points(read_image_points(source.landmarks)), frame)]
        if source.boxes is not None:
            # A photograph is frame 0 of a file that is made for videos.
            given = read_all_boxes(source.boxes)
            if given and 0 not in given:
                raise FacebenchError(f"{source.boxes}: no frame 0", "which a photograph is")
            boxes = [check_inside(box, frame) for box in given.get(0, [])]
            return sorted(boxes, key=lambda box: -max(box.width, box.height))
        # All, also where one is taken: whoever wants another must hear that there are others.
        return self.reconstructor.frame_faces(frame, self.detector.detect_all(frame))

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
        return SourceResult(source.name, str(source.path), 1, len(faces), files, reason)

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

    def video(self, source: Source) -> SourceResult:
        """Reconstruct one video.

        Raises:
            FacebenchError: the box file beside it is none, or the network's numbers are not finite.
        """
        boxes = None if source.boxes is None else read_boxes(source.boxes)
        builder = TrackBuilder(self.reconstructor, self.detector, boxes)
        for chunk in read_chunks(source.path, source.name, self.frames):
            builder.add(chunk)
        track = builder.track()
        if track is None:
            reason = builder.reason or f"no face was found in {count_of(builder.frames, 'frame')}"
            return SourceResult(source.name, str(source.path), builder.frames, 0, reason=reason)
        rate = frame_rate(source.path)
        times = builder.times(track.numbers, float(rate))
        files = self._write_video(source, track, builder.frames, rate, times)
        reason = "; ".join(filter(None, [builder.reason, *_remarks(track, builder.frames)]))
        found = len(track.numbers)
        return SourceResult(source.name, str(source.path), builder.frames, found, files, reason)

    def _write_video(
        self,
        source: Source,
        found: Track,
        frame_count: int,
        rate: Fraction,
        times: NDArray[np.float64],
    ) -> tuple[str, ...]:
        # Before the person's mean, which one NaN would bring into every frame.
        found.faces.check_finite()
        track = self._of_one_person(found, float(rate))
        written = self._write_person(source.name, track)
        table = self.files.out / f"{source.name}_frames.parquet"
        points = self.reconstructor.landmarks(track.faces, track.image_size)
        write_frame_table(table, track.faces, track.numbers, track.boxes, points, times)
        overlay = self.files.out / f"{source.name}_overlay.mp4"
        write_video(overlay, self._overlays(source, track), rate)
        meshes = self._write_meshes(source.name, track) if self.frame_meshes else []
        facts = self._video_table(source, track, frame_count, float(rate))
        facts["frames_file"] = table.relative_to(self.files.out).as_posix()
        return self.files.write_coefficients(
            source.name, facts, [*written, table, overlay, *meshes]
        )

    def _of_one_person(self, track: Track, rate: float) -> Track:
        faces = with_one_skin(self.reconstructor.model, track.faces)
        # After the mean: what is smoothed is what is left to change from frame to frame.
        if self.smoothing:
            faces = smooth(faces, track.numbers, rate)
        return replace(track, faces=faces)

    def _write_person(self, name: str, track: Track) -> list[Path]:
        """The neutral face, textured from several frames, and the sheet."""
        pairs = [(shot, shot.in_crop(track.faces[index])) for index, shot in track.shots]
        views = [self.reconstructor.view(s.portrait, face, s.filled) for s, face in pairs]
        # Any: identity and albedo are the same in all frames by now.
        some = track.faces[0]
        neutral = replace(some, expression=np.zeros_like(some.expression))
        texture = self.reconstructor.texture(neutral.albedo, views)
        rows = [self.artist.row(shot.portrait, face) for shot, face in pairs]
        rows.append(self.artist.sides(neutral, texture))
        return self.files.write_face(name, self.reconstructor.mesh(neutral), texture, rows)

    def _overlays(self, source: Source, track: Track) -> Iterator[NDArray[np.uint8]]:
        """Every frame of the video, the face drawn over it where there is one."""
        face = FaceRenderer(self.reconstructor.decoder, sharp_renderer(), track.image_size)
        face.to(self.reconstructor.device)
        for chunk in read_chunks(source.path, source.name, self.frames):
            # Read a second time, not kept from the first: a minute of frames takes gigabytes.
            for start in range(0, len(chunk.frames), _DRAWN_TOGETHER):
                frames = chunk.frames[start : start + _DRAWN_TOGETHER]
                yield from self._draw(face, frames, chunk.first_frame + start, track)

    def _draw(
        self, face: FaceRenderer, frames: NDArray[np.uint8], first: int, track: Track
    ) -> NDArray[np.uint8]:
        wanted = np.arange(first, first + len(frames))
        index = np.flatnonzero(np.isin(track.numbers, wanted))
        # The renderer is of one size; frames of another were cut off as another take.
        if not len(index) or frames.shape[1:3] != track.image_size:
            return frames
        drawn, device = frames.copy(), self.reconstructor.device
        at = track.numbers[index] - first
        faces = track.faces[index].tensors(device)
        with torch.inference_mode():
            pictures = draw_overlay(face, faces, to_tensor(frames[at], device))
        drawn[at] = np.stack(to_pictures(pictures))
        return drawn

    def _write_meshes(self, name: str, track: Track) -> list[Path]:
        folder = self.files.out / f"{name}_frames"
        paths = [folder / f"{number:06d}.ply" for number in track.numbers]
        for index, path in enumerate(paths):
            write_ply(self.reconstructor.mesh(track.faces[index]), path)
        return paths

    def _video_table(
        self, source: Source, track: Track, frame_count: int, rate: float
    ) -> dict[str, Any]:
        height, width = track.image_size
        return {
            "kind": "video",
            "source": str(source.path),
            "picture": {"width_px": width, "height_px": height, "frames_per_second": rate},
            "identity": track.faces.identity[0].tolist(),
            "albedo": track.faces.albedo[0].tolist(),
            "frame_count": frame_count,
            "smoothed": self.smoothing,
            "frames": [],
        }


def _groups(sources: Sequence[Source], batch: int) -> Iterator[list[Source]]:
    """Neighbouring photographs in batches, videos one by one, in the order given."""
    # Only neighbours go together, so that results come in the order of the sources.
    for is_video, run in groupby(sources, key=lambda source: source.is_video):
        items, size = list(run), 1 if is_video else batch
        yield from (items[start : start + size] for start in range(0, len(items), size))


def _others(source: Source, count: int) -> str:
    """That faces were passed over, and how to have them; empty for none."""
    if not count:
        return ""
    if source.boxes is not None:
        given = count_of(count, "smaller box")
        return f"{given} of {source.boxes.name} left out: --all-faces takes all"
    # The name that `Source.boxes` looks for.
    file = source.path.stem + BOXES_ENDING
    seen = count_of(count, "other face was", "other faces were")
    ways = f"--all-faces takes all, a box in {file} another"
    return f"{seen} seen, this is the most prominent: {ways}"


def _animation(source: Source) -> str:
    """That a picture is the first of several; empty for one alone."""
    count = count_pictures(source.path)
    return f"the first of {count} pictures: save it as a film to have all" if count > 1 else ""


def _failure(source: Source, error: Exception, frames: int) -> SourceResult:
    return SourceResult(source.name, str(source.path), frames, 0, reason=error_line(error))


def _remarks(track: Track, n_frames: int) -> Iterator[str]:
    """What a reader of the result should know of the film."""
    if track.others:
        own = f"frames {track.numbers[0]} to {track.numbers[-1]}"
        yield (
            f"{own} are one take of one face; left out are those in "
            f"{describe_others(track.others)}, behind a cut or a jump"
        )
    if track.left_out:
        left_out = count_of(
            track.left_out, "face that lay elsewhere was", "faces that lay elsewhere were"
        )
        yield f"{left_out} left out"
    if len(track.numbers) < _SELDOM * n_frames:
        yield f"a face in only {len(track.numbers)} of {count_of(n_frames, 'frame')}"
