"""The faces of a video as a Parquet table, one row a frame with a face."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..face.coefficient_files import POSE_NAMES
from ..face.face_coefficients import FaceCoefficients
from ..files.replace import replacing
from ..vision.crop import Box


def write_frame_table(
    path: Path,
    faces: FaceCoefficients,
    frames: NDArray[np.integer],
    boxes: list[Box],
    landmarks: NDArray[np.float64],
    rate: Fraction,
) -> Path:
    """Write N faces of a video, poses in the frame's coordinates.

    Columns: `frame`, `time_s`; `left`, `top`, `width`, `height` (px); the seven of `POSE_NAMES`;
    the lists `expression` (K), `light` (27: nine harmonics of red, green, blue) and `landmarks_px`
    (136: x and y of 68 points, NaN where the model has none).
    """
    import pyarrow
    from pyarrow import parquet

    sides = np.array([[box.left, box.top, box.width, box.height] for box in boxes])
    columns: dict[str, NDArray[np.generic] | list[NDArray[np.float64]]] = {
        "frame": np.asarray(frames),
        "time_s": np.asarray(frames) / float(rate),
        **dict(zip(("left", "top", "width", "height"), sides.T, strict=True)),
        **dict(zip(POSE_NAMES, faces.pose.T, strict=True)),
        "expression": list(faces.expression),
        "light": list(faces.light.reshape(len(faces), -1)),
        "landmarks_px": list(landmarks.reshape(len(faces), -1)),
    }
    with replacing(path) as draft:
        parquet.write_table(pyarrow.table(columns), draft)
    return path
