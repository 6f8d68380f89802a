"""Reconstructs the person in a video: one identity, and a pose, expression and light a frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..export.mesh_files import write_ply
from ..export.sheet import to_pictures
from ..face.crop import read_boxes
from ..face.tracks import describe_others
from ..render import make_renderer
from ..render.face import FaceRenderer, draw_overlay
from ..video.decode import read_chunks
from ..video.encode import frame_rate, write_video
from ..vision.detect import FaceDetector
from .reconstructor import Reconstructor, to_tensor
from .results import FaceFiles, SheetRenderer, SourceResult, write_frame_table
from .sources import Source
from .track import Track, TrackBuilder, smooth

_DRAWN_TOGETHER = 4
_SIGMA = 1e-6
_SELDOM = 0.2
"""Share of the frames below which it is said how few have the face."""


@dataclass(frozen=True)
class VideoReconstructor:
    """Reconstructs a video and writes its files.

    Attributes:
        reconstructor: network and face model.
        artist: draws the sheets.
        detector: finds the faces where no box file lies beside a source.
        files: writes.
        frames: read of a video at most; all when None.
        smoothing: whether pose, expression and light of a video are smoothed over time.
        frame_meshes: whether a PLY is written for every face of a video.
    """

    reconstructor: Reconstructor
    artist: SheetRenderer
    detector: FaceDetector
    files: FaceFiles
    frames: int | None = None
    smoothing: bool = True
    frame_meshes: bool = False

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
            reason = builder.reason or f"no face was found in {builder.frames} frames"
            return SourceResult(source.name, str(source.path), builder.frames, 0, reason=reason)
        files = self._write_video(source, track, builder.frames)
        reason = "; ".join(filter(None, [builder.reason, *_remarks(track, builder.frames)]))
        found = len(track.numbers)
        return SourceResult(source.name, str(source.path), builder.frames, found, files, reason)

    def _write_video(self, source: Source, found: Track, frame_count: int) -> tuple[str, ...]:
        # Before the person's mean, which one NaN would bring into every frame.
        found.faces.check_finite()
        rate = frame_rate(source.path)
        track = self._of_one_person(found, float(rate))
        written = self._write_person(source.name, track)
        table = self.files.out / f"{source.name}_frames.parquet"
        points = self.reconstructor.landmarks(track.faces, track.image_size)
        write_frame_table(table, track.faces, track.numbers, track.boxes, points, rate)
        overlay = self.files.out / f"{source.name}_overlay.mp4"
        write_video(overlay, self._overlays(source, track), rate)
        meshes = self._write_meshes(source.name, track) if self.frame_meshes else []
        facts = self._video_table(source, track, frame_count, float(rate))
        facts["frames_file"] = table.relative_to(self.files.out).as_posix()
        return self.files.write_coefficients(
            source.name, facts, [*written, table, overlay, *meshes]
        )

    def _of_one_person(self, track: Track, rate: float) -> Track:
        faces = track.faces.of_one_person()
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
        renderer = make_renderer("outline", sigma=_SIGMA)
        face = FaceRenderer(self.reconstructor.decoder, renderer, track.image_size)
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


def _remarks(track: Track, n_frames: int) -> Iterator[str]:
    """What a reader of the result should know of the film."""
    if track.others:
        own = f"frames {track.numbers[0]} to {track.numbers[-1]}"
        yield (
            f"{own} are one take of one face; left out are those in frames "
            f"{describe_others(track.others)}, behind a cut or a jump"
        )
    if track.left_out:
        yield f"{track.left_out} faces that lay elsewhere were left out"
    if len(track.numbers) < _SELDOM * n_frames:
        yield f"a face in only {len(track.numbers)} of {n_frames} frames"
