"""Video files of a synthetic person: drawn frame by frame, straight into an encoder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
from numpy.typing import NDArray

from ...recon.synthetic.appearance import Appearance, landmark_points
from ...recon.synthetic.faces import blend, project_landmarks
from ...recon.synthetic.scene import PosedSubject, SceneRenderer
from ...recon.vision.crop import Box
from ...recon.vision.framing import frame_mean_face
from .synthetic_motion import Motion, random_motion
from .synthetic_scenes import SceneStyle

FRAME_RATE = 25


@dataclass(frozen=True)
class FileKind:
    """A kind of video file that the set uses.

    Attributes:
        suffix: of the file name.
        container: PyAV's name of the format.
        codec: PyAV's name of the encoder.
        pixels: pixel format of the encoder.
    """

    suffix: str
    container: str
    codec: str
    pixels: str


FILE_KINDS = (
    FileKind(".mjpg", "mjpeg", "mjpeg", "yuvj420p"),
    FileKind(".avi", "avi", "mpeg4", "yuv420p"),
    FileKind(".mpg", "mpeg", "mpeg1video", "yuv420p"),
    FileKind(".mov", "mov", "mpeg4", "yuv420p"),
    FileKind(".mjpeg", "mjpeg", "mjpeg", "yuvj420p"),
)
"""Kinds by turns, as the set's extension differs by subject."""


@dataclass(frozen=True, eq=False)
class Person:
    """One synthetic subject.

    Attributes:
        neutral: (V, 3) mm, the true face, detail included.
        identity, albedo: coefficients.
        appearance: hair, glasses, clothes.
    """

    neutral: NDArray[np.float64]
    identity: NDArray[np.float32]
    albedo: NDArray[np.float32]
    appearance: Appearance


@dataclass(frozen=True, eq=False)
class ClipTruth:
    """What is true of each of a clip's N frames.

    Attributes:
        pose: (N, 7) as in `Coefficients`, in the frame's normalised coordinates.
        expression: (N, K).
        landmarks: (N, 68, 2) px.
    """

    pose: NDArray[np.float32]
    expression: NDArray[np.float32]
    landmarks: NDArray[np.float32]


class Camera:
    """Films one person in one scene."""

    def __init__(
        self,
        renderer: SceneRenderer,
        person: Person,
        style: SceneStyle,
        generator: np.random.Generator,
    ) -> None:
        self._renderer = renderer
        self._model = renderer.clothed_model.model
        self._person = person
        self._style = style
        self._generator = generator
        albedo = self._model.mean_albedo + blend(self._model.albedo_basis, person.albedo)
        self._albedo = albedo.clip(0, 1)
        self._clothing = renderer.clothed_model.fit_clothing(
            person.neutral, self._albedo, person.appearance
        )
        self._light = style.light(generator)
        self._background = style.background(generator, style.frame_size)

    def plan(self, n_frames: int) -> ClipTruth:
        """Poses, expressions and landmarks of every frame, before any is drawn."""
        motion = random_motion(self._generator, self._model, self._style.motion, n_frames)
        width = float(self._generator.uniform(*self._style.face_px))
        pose = self._poses(motion, width)
        landmarks = [
            project_landmarks(self._model, self._vertices(expression), one, self._style.frame_size)
            for expression, one in zip(motion.expression, pose, strict=True)
        ]
        expression = motion.expression.astype(np.float32)
        return ClipTruth(pose.numpy(), expression, np.stack(landmarks))

    def frames(self, truth: ClipTruth) -> Iterator[NDArray[np.uint8]]:
        """Pictures (H, W, 3) one after the other."""
        for pose, expression in zip(truth.pose, truth.expression, strict=True):
            posed = PosedSubject(
                self._vertices(expression), self._albedo, self._clothing, self._person.appearance
            )
            layer = self._renderer.draw(
                posed, torch.from_numpy(pose), self._light, self._style.frame_size
            )
            camera = self._style.camera(self._generator)
            yield camera.photograph(self._generator, layer.over(self._background))

    def _vertices(self, expression: NDArray[np.floating]) -> NDArray[np.float64]:
        moved = blend(self._model.expression_basis, expression.astype(np.float32))
        return self._person.neutral + moved

    def _poses(self, motion: Motion, width: float) -> torch.Tensor:
        """Poses (N, 7) that put the middle of the mean face where the motion has it."""
        landmarks = landmark_points(self._model, self._model.mean_shape)
        face = float(np.linalg.norm(landmarks[16] - landmarks[0]))
        short = min(self._style.frame_size)
        scale = motion.size * width / face * 2 / short
        centred = frame_mean_face(self._model)
        middle = np.array([centred.offset_x, centred.offset_y]) / centred.scale
        offset = scale[:, None] * (middle + motion.shift * face - [0, 0.05 * face])
        columns = [motion.angles, offset, np.zeros((len(scale), 1)), scale[:, None]]
        return torch.from_numpy(np.concatenate(columns, axis=1)).float()


def encode(path: Path, frames: Iterable[NDArray[np.uint8]], kind: FileKind) -> None:
    """Write a video file, holding one frame at a time; it appears when it is complete."""
    part = path.with_name(path.name + ".part")
    with av.open(str(part), "w", format=kind.container) as container:
        stream = None
        for picture in frames:
            if stream is None:
                stream = _add_stream(container, kind, picture.shape)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        if stream is not None:
            container.mux(stream.encode())
    part.replace(path)


def _add_stream(
    container: av.container.OutputContainer, kind: FileKind, shape: tuple[int, ...]
) -> av.VideoStream:
    stream = container.add_stream(kind.codec, rate=FRAME_RATE)
    stream.height, stream.width = shape[:2]
    stream.pix_fmt = kind.pixels
    stream.codec_context.time_base = Fraction(1, FRAME_RATE)
    stream.codec_context.thread_count = 1
    stream.codec_context.flags |= av.codec.context.Flags.qscale
    stream.codec_context.global_quality = _QUALITY
    return stream


_QUALITY = 3 * 118
"""A quantiser of 3, in the encoder's units: no blocks to be seen."""


def boxes_in_view(truth: ClipTruth, frame_size: tuple[int, int]) -> dict[int, Box]:
    """Box of the landmarks of each frame in which the middle of the face is in the picture."""
    boxes = {}
    for number, landmarks in enumerate(truth.landmarks):
        low, high = landmarks.min(axis=0), landmarks.max(axis=0)
        middle = (low + high) / 2
        if (middle >= 0).all() and (middle < frame_size[::-1]).all():
            boxes[number] = Box(*(float(value) for value in (*low, *(high - low))))
    return boxes
