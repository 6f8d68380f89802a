"""Second stage: faces in photographs labelled by networks, framed and judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError
from ..weights.catalogue import choice_identity
from .candidates import PhotographFaces, PreparationSettings
from .patch import Framed, Patch, frame_face
from .rows import Reason, RejectedError, WorkRow
from .selection import (
    check_landmarks,
    check_light_and_detail,
    check_overlap,
    check_uncut,
)

if TYPE_CHECKING:  # it imports PyTorch, which those who only read rows need not
    from ..vision.landmarks import LandmarkDetector

Pixels = NDArray[np.uint8]
Points = NDArray[np.float32]

NONE, EMBEDDED, FAN = "none", "embedded", "fan"

_PARSED_AT_ONCE = 8
"""Crops; the public parser works on 512 px and holds about 0.3 GB for each four of them."""

CropParser = Callable[[Pixels], Pixels]
"""Classes (N, S, S) in BiSeNet order of crops (N, S, S, 3) RGB."""

Fate = Framed | RejectedError
"""A face that is good enough, or why it is not."""


@dataclass(frozen=True)
class NetworkChoice:
    """Which networks: `none`, `embedded`, a file, or what else `facebench weights` lists."""

    landmarks: str = EMBEDDED
    parser: str = EMBEDDED
    detector: str = EMBEDDED

    def build(self, device: str = "cpu") -> tuple[LandmarkDetector | None, CropParser | None]:
        """What finds landmarks and what parses on a device; None where none is to.

        Raises:
            FacebenchError: weights that are missing or of something else.
        """
        finder = None if self.landmarks == NONE else _landmark_finder(self.landmarks, device)
        parser = None if self.parser == NONE else _crop_parser(self.parser, device)
        return finder, parser

    def identity(self) -> dict[str, str]:
        """Each choice with a digest of its weights, wherever they lie, for the record."""
        return {
            "detector": choice_identity("detector", self.detector),
            "landmarks": choice_identity("landmarks", self.landmarks),
            "parser": choice_identity("parser", self.parser),
        }


def _landmark_finder(choice: str, device: str) -> LandmarkDetector:
    from ..vision.landmarks import make_landmark_detector

    try:
        return make_landmark_detector(choice, device)
    except FacebenchError as error:
        raise FacebenchError(
            f"faces without a landmarks file need a landmark network: {error.message}",
            f"{error.hint}; or give --landmarks fan, or lay NAME.pts beside each photograph",
        ) from error


def _crop_parser(choice: str, device: str) -> CropParser:
    import torch

    from ..vision.parsing import make_parser

    parser = make_parser(choice, device)

    def parse(crops: Pixels) -> Pixels:
        images = torch.from_numpy(crops.copy()).permute(0, 3, 1, 2)
        parts = (
            parser(part.to(device).float() / 255.0) for part in torch.split(images, _PARSED_AT_ONCE)
        )
        classes: Pixels = torch.cat([part.to(torch.uint8).cpu() for part in parts]).numpy()
        return classes

    return parse


def default_parser() -> str:
    """The embedded parser where the package holds its weights, else none."""
    from ..network.vision_weights import embedded_network

    return EMBEDDED if embedded_network("parser").is_file() else NONE


def label_faces(
    photographs: Sequence[PhotographFaces],
    finder: LandmarkDetector | None,
    parser: CropParser | None,
    settings: PreparationSettings,
) -> list[WorkRow]:
    """A row for each face and each photograph without one, in the order given.

    Args:
        photographs: with their faces.
        finder: None leaves faces without a landmarks file out.
        parser: None leaves faces without a mask file without one.
        settings: what decides the rows.
    """
    pairs = [(item, candidate) for item in photographs for candidate in item.candidates]
    found = _landmarks([candidate for _, candidate in pairs], finder)
    fates = [
        _frame_or_reject(candidate, points, settings)
        for (_, candidate), points in zip(pairs, found, strict=True)
    ]
    # After the checks: the parser is the dearest step, and most faces that fail never need it.
    masked = _with_masks(fates, parser)
    rows = [
        item.row(candidate.face, fate.box if isinstance(fate, Framed) else candidate.box, fate)
        for (item, candidate), fate in zip(pairs, masked, strict=True)
    ]
    rows += [item.row(*rejected) for item in photographs for rejected in item.rejected]
    # As the photographs came: networks take the faces of all of them in batches.
    place = {item.source: number for number, item in enumerate(photographs)}
    return sorted(rows, key=lambda row: (place[row.source], row.face))


def _landmarks(candidates: Sequence[Patch], finder: LandmarkDetector | None) -> list[Points | None]:
    """Landmarks (68, 2) in px of each patch: those of its file, else the network's."""
    # What lies beside a photograph wins over a network.
    unknown = [item for item in candidates if item.landmarks is None]
    if finder is None or not unknown:
        detected: dict[Patch, Points] = {}
    else:
        patches = [item.pixels for item in unknown]
        boxes = [item.box_inside(item.box) for item in unknown]
        detected = dict(zip(unknown, finder.landmarks(patches, boxes), strict=True))
    return [
        item.points_inside(item.landmarks) if item.landmarks is not None else detected.get(item)
        for item in candidates
    ]


def _frame_or_reject(patch: Patch, points: Points | None, settings: PreparationSettings) -> Fate:
    """The framed face, or why it is not good enough."""
    if points is None:
        return RejectedError(Reason.NO_LANDMARKS, "no landmarks file and no landmark network")
    try:
        # Nonsense first: crop and measures are cut around the points, whatever they are.
        check_landmarks(points, mean_landmarks(), settings.misfit)
        face = frame_face(patch, points, settings.image_size)
        check_overlap(face.box, patch.box)
        # In the photograph's own pixels: beyond its edge the patch goes on, in black.
        check_uncut(patch.points_outside(points), patch.photograph, settings.outside)
        check_light_and_detail(face, settings)
    except RejectedError as rejected:
        return rejected
    return face


def _with_masks(fates: Sequence[Fate], parser: CropParser | None) -> list[Fate]:
    """The same, faces without a mask parsed where there is a parser."""
    faces = {number: fate for number, fate in enumerate(fates) if isinstance(fate, Framed)}
    bare = {number: face for number, face in faces.items() if face.mask is None}
    result = list(fates)
    if parser is None or not bare:
        return result
    masks = parser(np.stack([face.image for face in bare.values()]))
    for (number, face), mask in zip(bare.items(), masks, strict=True):
        # Beyond the photograph's edge the crop is black, which a parser may take for hair or cloth.
        visible = np.where(face.shown, mask, 0).astype(np.uint8)
        result[number] = replace(face, mask=visible)
    return result


@lru_cache(maxsize=1)
def mean_landmarks() -> NDArray[np.float64]:
    """Landmarks (68, 3) in mm of the embedded mean face, which any face is compared with."""
    from ..morphable.landmarks import landmark_points
    from ..morphable.load import load_model

    model = load_model("embedded")
    return landmark_points(model.mean_shape, model.landmarks, model.name)
