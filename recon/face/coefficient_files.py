"""Coefficients of a face as a JSON file: named parts, units, and what they were made with.

`coefficients.schema.json` beside this module is the format's JSON Schema.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError
from ..files.text import read_json
from ..files.writing import atomic_write
from .coefficients import FaceCoefficients
from .crop import Box

FORMAT = "facebench-coefficients-1"

POSE_NAMES = ("pitch_rad", "yaw_rad", "roll_rad", "x", "y", "z", "scale_per_mm")
"""The seven numbers of a pose, in order."""


@dataclass(frozen=True)
class Origin:
    """What coefficients belong to and what found them.

    Attributes:
        model, model_digest: the face model.
        checkpoint, checkpoint_digest: the recipe of the weights, and SHA-256 of their file.
        detector, landmarks: the networks that found the face and its landmarks, as
            `weights.catalogue.choice_identity` tells them; `none` where none was asked.
    """

    model: str
    model_digest: str
    checkpoint: str
    checkpoint_digest: str
    detector: str = "embedded"
    landmarks: str = "none"

    def as_table(self) -> dict[str, Any]:
        """The members `unit`, `model`, `checkpoint` and `networks` of a file."""
        return {
            "unit": "mm",
            "model": {"name": self.model, "digest": self.model_digest},
            "checkpoint": {"name": self.checkpoint, "digest": self.checkpoint_digest},
            "networks": {"detector": self.detector, "landmarks": self.landmarks},
        }


def schema() -> dict[str, Any]:
    """The format's JSON Schema."""
    text = files(__package__).joinpath("coefficients.schema.json").read_text("utf-8")
    table: dict[str, Any] = json.loads(text)
    return table


def frame_table(face: FaceCoefficients, box: Box, landmarks: NDArray[np.float64]) -> dict[str, Any]:
    """One face's frame as the format has it; its pose is in the whole picture's coordinates.

    Args:
        face: one face.
        box: px.
        landmarks: (68, 2) px, NaN where the model has none.
    """
    return {
        "box_px": asdict(box),
        "expression": face.expression.tolist(),
        "pose": dict(zip(POSE_NAMES, face.pose.tolist(), strict=True)),
        "light": face.light.tolist(),
        "landmarks_px": [p.tolist() if np.isfinite(p).all() else None for p in landmarks],
    }


def write_coefficients(path: Path, table: Mapping[str, Any]) -> None:
    """Write a table of the schema's members, all but `format`, by rename."""
    # allow_nan=False: NaN is no JSON, and other programs refuse the file.
    text = json.dumps({"format": FORMAT, **table}, indent=1, allow_nan=False)
    with atomic_write(path) as draft:
        draft.write_text(text + "\n", encoding="utf-8")


def read_coefficients(path: Path) -> FaceCoefficients:
    """The faces of a photograph's coefficients file, (1, ...), in the picture's coordinates.

    Raises:
        FacebenchError: the file is of another format, damaged, or of a video, whose frames are in
            the Parquet file that it names.
    """
    try:
        table = read_json(path)
        if table["format"] != FORMAT:
            raise KeyError("format")
        return _faces(table, path)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise FacebenchError(
            f"{path}: not a coefficients file", f"expected {FORMAT} of 'facebench reconstruct'"
        ) from error


def _faces(table: Mapping[str, Any], path: Path) -> FaceCoefficients:
    frames = table["frames"]
    if not frames:
        raise FacebenchError(f"{path}: of a video", f"its frames are in {table['frames_file']}")
    if len(frames) != 1:
        raise ValueError(f"{len(frames)} frames")
    (frame,) = frames
    parts = {
        "identity": table["identity"],
        "expression": frame["expression"],
        "albedo": table["albedo"],
        "pose": [frame["pose"][name] for name in POSE_NAMES],
        "light": frame["light"],
    }
    face = FaceCoefficients(**{name: np.array([part], float) for name, part in parts.items()})
    vectors = (face.identity, face.expression, face.albedo, face.pose)
    # Ragged or nested lists become arrays of other shapes, not errors.
    if face.light.shape != (1, 9, 3) or any(vector.ndim != 2 for vector in vectors):
        raise ValueError("parts of other shapes")
    return face
