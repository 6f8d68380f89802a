"""Second stage: from faces in photographs to labelled, framed and judged training faces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .candidates import Candidate, PhotographFaces, PreparationSettings
from .networks import LandmarkFinder, Networks
from .patch import Framed, frame_face
from .perceptual_hash import perceptual_hash
from .plausibility import check_landmarks, check_overlap
from .quality import FaceQuality, check_inside, check_light_and_detail, measure_quality
from .reasons import Reason, RejectedError
from .rows import LabelledCrop, WorkRow

Points = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class _Judged:
    """A face that is good enough, or why it is not."""

    photograph: PhotographFaces
    candidate: Candidate
    fate: tuple[Framed, FaceQuality] | RejectedError


def label_faces(
    photographs: Sequence[PhotographFaces], networks: Networks, settings: PreparationSettings
) -> list[WorkRow]:
    """A row for each face and each photograph without one, in the order given."""
    pairs = [(item, candidate) for item in photographs for candidate in item.candidates]
    found = _landmarks([candidate for _, candidate in pairs], networks.landmarks)
    judged = [
        _Judged(item, candidate, _judge(candidate, points, settings))
        for (item, candidate), points in zip(pairs, found, strict=True)
    ]
    rows = [_row(one) for one in _with_masks(judged, networks)]
    rows += [item.row(*rejected) for item in photographs for rejected in item.rejected]
    place = {item.source: number for number, item in enumerate(photographs)}
    return sorted(rows, key=lambda row: (place[row.source], row.face))


def _landmarks(
    candidates: Sequence[Candidate], finder: LandmarkFinder | None
) -> list[Points | None]:
    """Landmarks (68, 2) in px of each patch: those of its file, else the network's."""
    unknown = [item for item in candidates if item.landmarks is None]
    if finder is None or not unknown:
        detected: dict[int, Points] = {}
    else:
        patches = [item.patch.pixels for item in unknown]
        boxes = [item.patch.box_inside(item.box) for item in unknown]
        detected = dict(zip(map(id, unknown), finder.landmarks(patches, boxes), strict=True))
    return [
        item.patch.points_inside(item.landmarks)
        if item.landmarks is not None
        else detected.get(id(item))
        for item in candidates
    ]


def _judge(
    candidate: Candidate, points: Points | None, settings: PreparationSettings
) -> tuple[Framed, FaceQuality] | RejectedError:
    """The framed face, or why it is not good enough."""
    if points is None:
        return RejectedError(Reason.NO_LANDMARKS, "no landmarks file and no landmark network")
    try:
        limits, patch = settings.limits, candidate.patch
        check_landmarks(points, mean_landmarks(), limits.misfit)
        face = frame_face(patch, points, settings.image_size)
        check_overlap(face.box, candidate.box)
        check_inside(patch.points_outside(points), patch.photograph, limits.outside)
        quality = measure_quality(face)
        check_light_and_detail(quality, limits)
    except RejectedError as rejected:
        return rejected
    return face, quality


def _with_masks(judged: Sequence[_Judged], networks: Networks) -> list[_Judged]:
    """The same, faces without a mask parsed where there is a parser."""
    faces = {number: one.fate for number, one in enumerate(judged) if isinstance(one.fate, tuple)}
    bare = {number: fate for number, fate in faces.items() if fate[0].mask is None}
    result = list(judged)
    if networks.parser is None or not bare:
        return result
    masks = networks.parser(np.stack([face.image for face, _ in bare.values()]))
    for (number, (face, quality)), mask in zip(bare.items(), masks, strict=True):
        visible = np.where(face.shown, mask, 0).astype(np.uint8)
        result[number] = replace(judged[number], fate=(replace(face, mask=visible), quality))
    return result


def _row(one: _Judged) -> WorkRow:
    item, candidate = one.photograph, one.candidate
    if isinstance(one.fate, RejectedError):
        return item.row(candidate.face, candidate.box, one.fate)
    face, quality = one.fate
    crop = LabelledCrop(
        face.image,
        face.landmarks,
        face.mask,
        perceptual_hash(face.image),
        quality.face_px,
        quality.sharpness,
    )
    return WorkRow(item.source, item.stamp, item.sha256, candidate.face, crop, face.box)


@lru_cache(maxsize=1)
def mean_landmarks() -> NDArray[np.float64]:
    """Landmarks (68, 3) in mm of the embedded mean face, which any face is compared with."""
    from ..morphable.landmarks import landmark_points
    from ..morphable.load import load_model

    model = load_model("embedded")
    return landmark_points(model.mean_shape, model.landmarks, model.name)
