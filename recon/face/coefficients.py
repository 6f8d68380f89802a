"""The regressed vector (314 numbers for the paper's models), its named parts, and files of them.

`Coefficients` is a batch of tensors, as networks and renderers take it; `FaceCoefficients` the same
as NumPy arrays, as files and tables take it, with poses in a crop or in the whole picture.
`coefficients.schema.json` beside this module is the JSON Schema of their files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import FacebenchError
from ..files.text import read_json
from ..files.writing import atomic_write
from ..morphable.measures import mode_counts
from ..morphable.model import MorphableModel
from .crop import Box, Window

POSE_SIZE = 7
LIGHT_SIZE = 27

Floats = NDArray[np.float64]
Index = int | slice | None | NDArray[np.integer]

FORMAT = "facebench-coefficients-1"

POSE_NAMES = ("pitch_rad", "yaw_rad", "roll_rad", "x", "y", "z", "scale_per_mm")
"""The seven numbers of a pose, in order."""


@dataclass(frozen=True)
class CoefficientSizes:
    """How many coefficients each part has; from the model, never from literals."""

    identity: int
    expression: int
    albedo: int

    @classmethod
    def of(cls, model: MorphableModel) -> CoefficientSizes:
        """Sizes of a model's bases."""
        return cls(**mode_counts(model))

    @property
    def total(self) -> int:
        """Length of the whole vector: 314 for 100 + 80 + 100 model coefficients."""
        return sum(self.parts)

    @property
    def parts(self) -> tuple[int, int, int, int, int]:
        """Sizes in the vector's order: identity, expression, albedo, pose, light."""
        return self.identity, self.expression, self.albedo, POSE_SIZE, LIGHT_SIZE


@dataclass(frozen=True)
class Coefficients:
    """A batch of faces as coefficients (eq. 1 to 6).

    Attributes:
        identity: (B, K) α, standard normal.
        expression: (B, K) β, standard normal.
        albedo: (B, K) δ, standard normal.
        pose: (B, 7) m: pitch, yaw, roll in radians; t_x, t_y, t_z and the scale f in
            normalised image coordinates (f per mm), see `imaging.py`.
        light: (B, 9, 3) γ: spherical-harmonic weights per colour, see `imaging.py`.
    """

    identity: Tensor
    expression: Tensor
    albedo: Tensor
    pose: Tensor
    light: Tensor

    @classmethod
    def mean_faces(cls, sizes: CoefficientSizes, pose: Tensor, light: Tensor) -> Coefficients:
        """Mean faces in poses (B, 7) under light (B, 9, 3)."""
        parts = (sizes.identity, sizes.expression, sizes.albedo)
        identity, expression, albedo = (pose.new_zeros(len(pose), size) for size in parts)
        return cls(identity, expression, albedo, pose, light)

    def where(self, chosen: Tensor, others: Coefficients) -> Coefficients:
        """These faces where `chosen` (B,) says so, others elsewhere; either may be one for all."""
        pairs = zip(vars(self).values(), vars(others).values(), strict=True)
        # A view as long as the part has axes, or a (B,) would be spread over the wrong one.
        parts = (torch.where(chosen.view(-1, *[1] * (a.ndim - 1)), a, b) for a, b in pairs)
        return Coefficients(*parts)

    @classmethod
    def from_vector(cls, vector: Tensor, sizes: CoefficientSizes) -> Coefficients:
        """Split a (B, sizes.total) vector into its parts."""
        identity, expression, albedo, pose, light = torch.split(vector, list(sizes.parts), dim=1)
        return cls(identity, expression, albedo, pose, light.reshape(-1, 9, 3))

    def vector(self) -> Tensor:
        """The parts joined again, (B, total)."""
        parts = (self.identity, self.expression, self.albedo, self.pose, self.light.flatten(1))
        return torch.cat(parts, dim=1)


@dataclass(frozen=True, eq=False)
class FaceCoefficients:
    """One face, or N faces with a leading dimension (N, ...) of every member; see `Coefficients`.

    Attributes:
        identity, expression, albedo: (K,) each, in standard deviations.
        pose: (7,) pitch, yaw, roll (rad), x, y, z, f in the normalised coordinates of a picture:
            the crop's when regressed, see `pose_in_picture`.
        light: (9, 3).
    """

    identity: Floats
    expression: Floats
    albedo: Floats
    pose: Floats
    light: Floats

    @classmethod
    def of(cls, batch: Coefficients) -> FaceCoefficients:
        """N faces of a batch of tensors."""
        # float64 for files and means; the network's own digits are all in it.
        return cls(*(part.double().cpu().numpy() for part in vars(batch).values()))

    @classmethod
    def join(cls, batches: Sequence[FaceCoefficients]) -> FaceCoefficients:
        """The faces of several batches, one after the other."""
        parts = zip(*(vars(batch).values() for batch in batches), strict=True)
        return cls(*(np.concatenate(part) for part in parts))

    def __len__(self) -> int:
        return len(self.identity)

    def __getitem__(self, index: Index) -> FaceCoefficients:
        """One or some of N faces; with None, one face as a batch."""
        return FaceCoefficients(*(part[index] for part in vars(self).values()))

    def check_finite(self) -> None:
        """Refuse what is no number.

        Raises:
            FacebenchError: the network gave NaN or infinity.
        """
        if not all(np.isfinite(part).all() for part in vars(self).values()):
            raise FacebenchError("the network's coefficients are not finite", "train it again")

    def of_one_person(self) -> FaceCoefficients:
        """N faces with everyone's identity and albedo replaced by the mean over all."""
        # What one person has in common; expression, pose and light are the moment's.
        identity = np.broadcast_to(self.identity.mean(axis=0), self.identity.shape)
        albedo = np.broadcast_to(self.albedo.mean(axis=0), self.albedo.shape)
        return replace(self, identity=identity, albedo=albedo)

    def tensors(self, device: str) -> Coefficients:
        """N faces as a batch on a device, float32."""
        parts = (np.array(part, np.float32) for part in vars(self).values())
        return Coefficients(*(torch.from_numpy(part).to(device) for part in parts))


def pose_in_picture(pose: Floats, window: Window, image_size: tuple[int, int]) -> Floats:
    """Pose (7,) in the coordinates of a whole picture (height, width) from that in its crop."""
    factor, shift = _crop_to_picture(window, image_size)
    return np.concatenate([pose[:3], pose[3:6] * factor + shift, pose[6:] * factor])


def pose_in_crop(pose: Floats, window: Window, image_size: tuple[int, int]) -> Floats:
    """Pose (7,) in the coordinates of a crop from that in the picture it was cut from."""
    factor, shift = _crop_to_picture(window, image_size)
    return np.concatenate([pose[:3], (pose[3:6] - shift) / factor, pose[6:] / factor])


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


def _crop_to_picture(window: Window, image_size: tuple[int, int]) -> tuple[float, Floats]:
    """Factor and shift (3,) of normalised coordinates; crops span [-1, 1], see `camera`."""
    height, width = image_size
    short = min(height, width)
    across = (2.0 * window.left + window.side - width) / short
    # y points up, the window's top counts down.
    upwards = (height - 2.0 * window.top - window.side) / short
    # A crop spans [-1, 1] as the picture's shorter side does, so lengths scale by their quotient.
    return window.side / short, np.array([across, upwards, 0.0])


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
