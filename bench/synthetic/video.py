"""Videos of a synthetic person: motion, scene style, frames drawn straight into an encoder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...recon.face.crop import Box, mean_face_pose
from ...recon.morphable.model import MorphableModel
from ...recon.synthetic.appearance import (
    Appearance,
    ambient,
    bounded_expression,
    directional_light,
    random_expression,
    required_landmarks,
)
from ...recon.synthetic.faces import combine_modes, project_landmarks
from ...recon.synthetic.photograph import CameraEffects, FloatImage, outdoors, room
from ...recon.synthetic.scene import SceneRenderer

Track = NDArray[np.float64]
Floats = NDArray[np.float32]

_LONGEST_CYCLE = 120
"""Frames in which a person has gone through the whole range of poses."""

_LID_MM = 8.0
"""How far an upper lid moves to shut the eye."""

FRAME_RATE = 25

_QUALITY = 3 * 118
"""A quantiser of 3, in the encoder's units: no blocks to be seen."""


def random_motion(
    generator: np.random.Generator, model: MorphableModel, style: SceneStyle, n_frames: int
) -> tuple[Track, Track, Track, Track]:
    """A smooth path through a scene's range, of one person in one clip of N frames.

    Returns:
        Angles (N, 3), pitch, yaw, roll in radians; shift (N, 2) of the face's middle from the
        picture's, in widths of the face, y up; factor (N,) on the face's width; expression (N, K).
    """
    angles = _random_tracks(generator, n_frames, 3) * np.radians(style.degrees)
    shift = _random_tracks(generator, n_frames, 2) * style.shift
    size = 1 + _random_tracks(generator, n_frames, 1)[:, 0] * style.size
    leaving = _episode(generator, n_frames, style.away)[:, None]
    if generator.random() < 0.5:
        angles = angles + leaving * [0.0, np.copysign(1.2, generator.normal()), 0.0]
    else:
        shift = shift + leaving * [np.copysign(2.2, generator.normal()), 0.0]
    return angles, shift, size, _expressions(generator, model, style, n_frames)


def _random_tracks(generator: np.random.Generator, n_frames: int, size: int) -> Track:
    """Tracks (N, size) within [-1, 1] that come close to both ends in every cycle."""
    cycle = min(n_frames, _LONGEST_CYCLE)
    time = np.arange(n_frames)[:, None] / cycle * (2 * np.pi)
    speed = generator.uniform(0.8, 1.6, (3, size)) * np.array([[1], [2], [3]])
    phase = generator.uniform(0, 2 * np.pi, (3, size))
    weight = np.array([0.65, 0.25, 0.1])[:, None]
    return np.asarray((weight[:, None] * np.sin(time * speed[:, None] + phase[:, None])).sum(0))


def _episode(generator: np.random.Generator, n_frames: int, share: float) -> Track:
    """A track (N,) that rises from 0 to 1 and falls again within a share of the frames."""
    if share == 0:
        return np.zeros(n_frames)
    start = generator.uniform(0.1, 0.9 - share) * n_frames
    through = np.clip((np.arange(n_frames) - start) / (share * n_frames), 0, 1)
    return np.asarray(np.sin(np.pi * through) ** 2)


def _expressions(
    generator: np.random.Generator, model: MorphableModel, style: SceneStyle, n_frames: int
) -> Track:
    """Neutral most of the time, now and then one of two expressions, with blinks."""
    targets = np.stack([random_expression(generator, model) for _ in range(2)])
    strength = np.clip(_random_tracks(generator, n_frames, 2), 0, 1) ** 2 * style.expression
    shut = _blinks(generator, n_frames)[:, None] * _shut_eyes(model)
    mixed = (strength @ targets).astype(np.float32)
    return np.stack([bounded_expression(model, one) for one in mixed]) + shut


def _shut_eyes(model: MorphableModel) -> Track:
    """Coefficients (K,) of shut eyes; zeros where no mode is named a blink."""
    blinks = [i for i, name in enumerate(model.expression_names) if "blink" in name.lower()]
    shut = np.zeros(model.expression_basis.shape[2])
    reach = np.linalg.norm(model.expression_basis[..., blinks], axis=1).max(axis=0)
    shut[blinks] = _LID_MM / reach
    return shut


def _blinks(generator: np.random.Generator, n_frames: int) -> Track:
    """How far the eyes are shut (N,): for about five frames in every eighty."""
    times = np.arange(generator.uniform(5, 40), n_frames, 80) + generator.uniform(-8, 8)
    apart = np.arange(n_frames)[:, None] - times
    return np.asarray(np.exp(-0.5 * (apart / 1.3) ** 2).sum(axis=1))


@dataclass(frozen=True)
class SceneStyle:
    """What distinguishes a scene.

    Attributes:
        scene: its name in tables.
        stem: its file name in MICC's layout.
        frame_size: (height, width) in px.
        face_px: least and greatest width of the face in px.
        degrees: by which people turn: pitch, yaw, roll.
        shift: of the face's middle, in widths of the face.
        size: by which the face's width changes, a share of it.
        expression: strength of the expressions.
        away: share of the frames in which the face turns away or leaves the picture.
        light: draws the light, (9, 3).
        background: draws what is behind, (H, W, 3).
        focus: standard deviation of the blur in px.
        motion_blur: longest smear in px.
        noise: standard deviation of the noise.
        gain: brightness.
    """

    scene: str
    stem: str
    frame_size: tuple[int, int]
    face_px: tuple[float, float]
    degrees: tuple[float, float, float]
    shift: tuple[float, float]
    size: float
    expression: float
    away: float
    light: Callable[[np.random.Generator], Tensor]
    background: Callable[[np.random.Generator, tuple[int, int]], FloatImage]
    focus: float
    motion_blur: float
    noise: float
    gain: float

    def camera(self, generator: np.random.Generator) -> CameraEffects:
        """The camera of one frame; a smear comes and goes."""
        return CameraEffects(
            focus=self.focus * float(generator.uniform(0.85, 1.25)),
            motion=self.motion_blur * float(generator.random() ** 2),
            gain=np.full(3, self.gain, np.float32),
            contrast=1.0,
            gamma=1.0,
            noise=self.noise,
        )


def _even_light(generator: np.random.Generator) -> Tensor:
    side = torch.tensor([float(generator.uniform(-0.4, 0.4)), 0.4, 0.82])
    return ambient(torch.full((3,), 0.6)) + directional_light(side, torch.full((3,), 0.35))


def _lamp_light(generator: np.random.Generator) -> Tensor:
    above = torch.tensor([float(generator.uniform(-0.5, 0.5)), 0.75, 0.5])
    warm = torch.tensor([0.48, 0.43, 0.36])
    return ambient(torch.tensor([0.4, 0.38, 0.36])) + directional_light(above / above.norm(), warm)


def _sun_light(generator: np.random.Generator) -> Tensor:
    side = float(np.copysign(generator.uniform(0.3, 0.8), generator.normal()))
    sun = torch.tensor([side, 0.6, 0.55])
    sky = ambient(torch.tensor([0.36, 0.39, 0.45]))
    return sky + directional_light(sun / sun.norm(), torch.tensor([0.75, 0.71, 0.63]))


STYLES = {
    style.scene: style
    for style in (
        SceneStyle(
            "cooperative", "Indoor-Cooperative", (320, 416), (122, 142),
            (12, 24, 7), (0.15, 0.08), 0.05, 0.8, 0.0,
            _even_light, room, 0.5, 0.0, 0.008, 1.0,
        ),
        SceneStyle(
            "indoor", "PTZ-Indoor", (288, 384), (84, 104),
            (15, 38, 8), (0.45, 0.15), 0.08, 1.0, 0.0,
            _lamp_light, room, 0.75, 1.5, 0.03, 0.78,
        ),
        SceneStyle(
            "outdoor", "PTZ-Outdoor", (288, 384), (70, 92),
            (15, 35, 9), (0.6, 0.2), 0.12, 1.0, 0.2,
            _sun_light, outdoors, 0.65, 5.0, 0.015, 1.0,
        ),
    )
}  # fmt: skip
"""Each scene by its name."""


ENCODERS = {
    ".mjpg": ("mjpeg", "mjpeg"),
    ".avi": ("avi", "mpeg4"),
    ".mpg": ("mpeg", "mpeg1video"),
    ".mov": ("mov", "mpeg4"),
    ".mjpeg": ("mjpeg", "mjpeg"),
}
"""PyAV's container and codec by a file's extension: by turns, as the set's differs by subject."""


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
        albedo = self._model.mean_albedo + combine_modes(self._model.albedo_basis, person.albedo)
        self._albedo = albedo.clip(0, 1)
        self._clothing = renderer.clothed_model.fit_clothing(
            person.neutral, self._albedo, person.appearance
        )
        self._light = style.light(generator)
        self._background = style.background(generator, style.frame_size)

    def plan(self, n_frames: int) -> tuple[Floats, Floats, Floats]:
        """What is true of every frame, before any is drawn.

        Returns:
            Poses (N, 7) as in `Coefficients`, in the frame's normalised coordinates; expressions
            (N, K); landmarks (N, 68, 2) px.
        """
        angles, shift, size, expressions = random_motion(
            self._generator, self._model, self._style, n_frames
        )
        width = float(self._generator.uniform(*self._style.face_px))
        pose = self._poses(angles, shift, size * width)
        landmarks = [
            project_landmarks(self._model, self._vertices(expression), one, self._style.frame_size)
            for expression, one in zip(expressions, pose, strict=True)
        ]
        return pose.numpy(), expressions.astype(np.float32), np.stack(landmarks)

    def frames(self, poses: Floats, expressions: Floats) -> Iterator[NDArray[np.uint8]]:
        """Pictures (H, W, 3) of a plan, one after the other."""
        for pose, expression in zip(poses, expressions, strict=True):
            layer = self._renderer.draw(
                self._vertices(expression),
                self._albedo,
                self._clothing,
                torch.from_numpy(pose),
                self._light,
                self._style.frame_size,
            )
            camera = self._style.camera(self._generator)
            yield camera.photograph(self._generator, layer.over(self._background))

    def _vertices(self, expression: NDArray[np.floating]) -> NDArray[np.float64]:
        moved = combine_modes(self._model.expression_basis, expression.astype(np.float32))
        return self._person.neutral + moved

    def _poses(self, angles: Track, shift: Track, width: Track) -> torch.Tensor:
        """Poses (N, 7) that put the middle of the mean face where the motion has it."""
        landmarks = required_landmarks(self._model, self._model.mean_shape)
        face = float(np.linalg.norm(landmarks[16] - landmarks[0]))
        short = min(self._style.frame_size)
        scale = width / face * 2 / short
        centred = mean_face_pose(self._model)
        middle = centred[3:5] / centred[6]
        offset = scale[:, None] * (middle + shift * face - [0, 0.05 * face])
        columns = [angles, offset, np.zeros((len(scale), 1)), scale[:, None]]
        return torch.from_numpy(np.concatenate(columns, axis=1)).float()


def encode(path: Path, frames: Iterable[NDArray[np.uint8]]) -> None:
    """Write a video file, holding one frame at a time; it appears when it is complete."""
    part = path.with_name(path.name + ".part")
    kind, codec = ENCODERS[path.suffix]
    with av.open(str(part), "w", format=kind) as container:
        stream = None
        for picture in frames:
            if stream is None:
                stream = _add_stream(container, codec, picture.shape)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        if stream is not None:
            container.mux(stream.encode())
    part.replace(path)


def _add_stream(
    container: av.container.OutputContainer, codec: str, shape: tuple[int, ...]
) -> av.VideoStream:
    stream = container.add_stream(codec, rate=FRAME_RATE)
    stream.height, stream.width = shape[:2]
    stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    stream.codec_context.time_base = Fraction(1, FRAME_RATE)
    stream.codec_context.thread_count = 1
    stream.codec_context.flags |= av.codec.context.Flags.qscale
    stream.codec_context.global_quality = _QUALITY
    return stream


def boxes_in_view(landmarks: Floats, frame_size: tuple[int, int]) -> dict[int, Box]:
    """Box of each frame's landmarks (N, 68, 2), where the middle of the face is in the picture."""
    boxes = {}
    for number, points in enumerate(landmarks):
        low, high = points.min(axis=0), points.max(axis=0)
        middle = (low + high) / 2
        if (middle >= 0).all() and (middle < frame_size[::-1]).all():
            boxes[number] = Box(*(float(value) for value in (*low, *(high - low))))
    return boxes
