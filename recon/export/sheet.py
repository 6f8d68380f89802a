"""Sheets of pictures with captions, and the sheet of a face model: its mean and its first modes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ..face.coefficients import Coefficients, CoefficientSizes
from ..face.crop import mean_face_pose
from ..face.imaging import ambient_light
from ..morphable.model import MorphableModel
from ..render import sharp_renderer
from ..render.face import FaceDecoder, FaceRenderer, draw_overlay, draw_shape

Picture = NDArray[np.uint8]
"""(H, W, 3) RGB."""

SUPERSAMPLING = 2
"""How much larger is drawn than shown: within the outline visibility is hard, and edges would show
steps."""

_CAPTION_HEIGHT = 22
_FONT_SIZE = 15
_INK, _PAPER = (30, 30, 30), (245, 245, 245)

MODES_SHOWN = 6
"""Modes in a row of the picture, and of each kind unless more are asked for."""

STRENGTHS = (3.0, -3.0)
"""Standard deviations by which a mode is shown."""

BLEND_STRENGTHS = (1.0, 0.5)
"""Weights of which a blend shape is shown."""

_SIDE = 200
_YAWS = (-45.0, 0.0, 45.0)
_ZOOM = 0.62
"""Small enough for whole heads at three standard deviations."""
_BACKGROUND = _PAPER[0] / 255
# Weights added to the ambient light's first harmonics, so that shapes show.
_FRONTAL_LIGHT = (0.0, 0.25, 0.6, 0.15)


def to_pictures(images: Tensor) -> list[Picture]:
    """Pictures of a batch (B, 3, H, W) of RGB values, clipped to [0, 1]."""
    # Half a level more before the cut: rounding.
    pixels = (images.detach().clamp(0.0, 1.0) * 255.0 + 0.5).byte()
    return list(pixels.permute(0, 2, 3, 1).cpu().numpy())


def shrink(images: Tensor) -> list[Picture]:
    """Pictures of a batch that was drawn `SUPERSAMPLING` times as large."""
    return to_pictures(torch.nn.functional.avg_pool2d(images.clamp(0.0, 1.0), SUPERSAMPLING))


def with_caption(picture: Picture, caption: str) -> Picture:
    """The picture with a line of text above it, in letters small enough for its width."""
    height, width = picture.shape[:2]
    sheet = Image.new("RGB", (width, height + _CAPTION_HEIGHT), _PAPER)
    sheet.paste(Image.fromarray(picture), (0, _CAPTION_HEIGHT))
    drawing = ImageDraw.Draw(sheet)
    # A longer text would run into the next picture's.
    size = min(_FONT_SIZE, _FONT_SIZE * (width - 8) / max(drawing.textlength(caption, _font()), 1))
    drawing.text((4, 2), caption, fill=_INK, font=_font(size))
    return np.asarray(sheet)


def _font(size: float = _FONT_SIZE) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def grid(rows: Sequence[Sequence[Picture]]) -> Picture:
    """Rows of pictures of one height each, side by side and below each other, white-filled."""
    lines = [np.concatenate(list(row), axis=1) for row in rows]
    width = max(line.shape[1] for line in lines)
    missing = [((0, 0), (0, width - line.shape[1]), (0, 0)) for line in lines]
    wide = [np.pad(x, m, constant_values=_PAPER[0]) for x, m in zip(lines, missing, strict=True)]
    return np.concatenate(wide, axis=0)


def model_sheet(model: MorphableModel, modes: int = MODES_SHOWN) -> Picture:
    """Mean face, then the first modes of each kind at ±3 standard deviations; blend shapes whole
    and half."""
    size = (_SIDE * SUPERSAMPLING,) * 2
    face, mean = FaceRenderer(FaceDecoder(model), sharp_renderer(), size), _mean(model)
    rows = [_mean_row(face, mean)]
    for kind in ("identity", "expression", "albedo"):
        count = min(modes, getattr(mean, kind).shape[1])
        for first in range(0, count, MODES_SHOWN):
            shown = range(first, min(first + MODES_SHOWN, count))
            rows += _mode_rows(face, mean, model, kind, shown)
    return grid(rows)


def _shaded_pictures(face: FaceRenderer, faces: Coefficients) -> list[Picture]:
    paper = torch.full((len(faces.pose), 3, *face.image_size), _BACKGROUND)
    return shrink(draw_overlay(face, faces, paper))


def _mean(model: MorphableModel) -> Coefficients:
    light = ambient_light(1)
    # Light from ahead and a little above, as portraits are lit; ambient light alone shows no shape.
    light[:, :4] += torch.tensor(_FRONTAL_LIGHT).view(1, 4, 1)
    pose = torch.from_numpy(_ZOOM * mean_face_pose(model)[None]).float()
    return Coefficients.mean_faces(CoefficientSizes.of(model), pose, light)


def _mean_row(face: FaceRenderer, mean: Coefficients) -> list[Picture]:
    turned = mean.pose.repeat(len(_YAWS), 1)
    turned[:, 1] = torch.tensor([math.radians(yaw) for yaw in _YAWS])
    faces = replace(_repeat(mean, len(_YAWS)), pose=turned)
    captions = [f"mean, yaw {yaw:+.0f}°" for yaw in _YAWS]
    pictures = [*_shaded_pictures(face, faces), *shrink(draw_shape(face, faces, _BACKGROUND))]
    return [with_caption(p, c) for p, c in zip(pictures, captions * 2, strict=True)]


def _mode_rows(
    face: FaceRenderer, mean: Coefficients, model: MorphableModel, kind: str, modes: range
) -> list[list[Picture]]:
    """One row for each strength."""
    blended = kind == "expression" and model.has_blend_shapes
    caption = "{1}: {0:g}" if blended else "{1}, {0:+.0f} std"
    names = getattr(model, f"{kind}_names")
    rows = []
    for strength in BLEND_STRENGTHS if blended else STRENGTHS:
        faces = _repeat(mean, len(modes))
        # Each face shows one mode alone.
        getattr(faces, kind)[range(len(modes)), list(modes)] = strength
        rows.append(
            [
                with_caption(
                    picture, caption.format(strength, names[i] if names else f"{kind} {i}")
                )
                for i, picture in zip(modes, _shaded_pictures(face, faces), strict=True)
            ]
        )
    return rows


def _repeat(one: Coefficients, count: int) -> Coefficients:
    parts = vars(one).values()
    return Coefficients(*(part.repeat(count, *[1] * (part.ndim - 1)) for part in parts))
