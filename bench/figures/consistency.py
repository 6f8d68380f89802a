"""One person in several photographs: how far a method's faces of them lie apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import FacebenchError
from ...recon.losses.multilevel import IdentityFeatures
from ...recon.render.face_in_photograph import (
    FaceArtist,
    FaceInPhotograph,
    framing_pose,
    landmark_pixels,
)
from ..method.interface import Method
from ..scoring.statistics import PairedDifference, holm, paired_difference
from ..surface.similarity import similarity_between
from .photographs import Photograph

Floats = NDArray[np.float64]

ALL = "all"
"""The group of all photographs of a person."""

FRONT = "front"
"""The photograph that each group of changes is compared with, where there is one."""

_RENDER_SIZE = 224


@dataclass(frozen=True, eq=False)
class Spread:
    """One method over the same people.

    Attributes:
        label: what the figure calls the method.
        within_mm: by group, for each person (P,) the mean distance of a vertex from where it is in
            the mean of the person's faces.
        between_mm: (P,) the same between the person's mean face and the mean of all people's: what
            tells people apart. A method that gives everybody one face spreads by 0 both ways.
        within_degrees: (P,) mean angle between the recogniser's features of two of the person's
            faces, drawn from the front; empty without a recogniser.
        between_degrees: the mean angle between faces of different people; NaN without a recogniser.
    """

    label: str
    within_mm: Mapping[str, Floats]
    between_mm: Floats
    within_degrees: Floats
    between_degrees: float

    @property
    def ratio(self) -> float:
        """Spread within over spread between people; NaN where all people have one face."""
        between = float(self.between_mm.mean())
        return float(self.within_mm[ALL].mean()) / between if between > 1e-9 else float("nan")


def spread_of(
    label: str,
    photographs: Sequence[Photograph],
    reconstructions: Sequence[FaceInPhotograph],
    face: NDArray[np.bool_] | None,
    features: IdentityFeatures | None = None,
) -> Spread:
    """Measure a method's faces of some people.

    Args:
        label: of the method.
        photographs: several of each person.
        reconstructions: of the photographs, in their order.
        face: (V,) the vertices that count, or None for all.
        features: a recogniser, or None.
    """
    chosen = slice(None) if face is None else face
    # Neutral shapes: an expression is a true difference of photographs, not an inconsistency.
    shapes = np.stack([one.neutral[chosen] for one in reconstructions])
    names = np.array([one.subject for one in photographs])
    people = [np.flatnonzero(names == name) for name in dict.fromkeys(names.tolist())]
    within_mm = {}
    for group in groups_of(photographs):
        # The front belongs to every group: changes are measured from it, not from each other alone.
        belongs = np.array([group == ALL or one.group in (group, FRONT) for one in photographs])
        spread = [_from_mean(_align(shapes[rows[belongs[rows]]])).mean() for rows in people]
        within_mm[group] = np.array(spread)
    means = [_align(shapes[rows]).mean(axis=0) for rows in people]
    within_degrees, between_degrees = np.empty(0), float("nan")
    if features is not None:
        within_degrees, between_degrees = _angles(reconstructions, people, features)
    between_mm = _from_mean(np.stack(means))
    return Spread(label, within_mm, between_mm, within_degrees, between_degrees)


def face_of(method: Method) -> NDArray[np.bool_] | None:
    """The vertices (V,) of a method's face without ears, neck and scalp, or None: all of them."""
    # Scalp and neck are guessed by most methods and would swamp the face.
    parts = list(method.parts.values())
    return np.any(parts, axis=0) if parts else None


def groups_of(photographs: Sequence[Photograph]) -> tuple[str, ...]:
    """`all`, then what the photographs say that changes in them."""
    named = dict.fromkeys(one.group for one in photographs if one.group not in ("", FRONT))
    return (ALL, *named)


def differences(spreads: Sequence[Spread]) -> list[tuple[Spread, PairedDifference, float]]:
    """The first method against each other one: that one, first − it in mm, paired over people, and
    the p-value corrected for all of them."""
    first, *others = spreads
    paired = [paired_difference(first.within_mm[ALL], other.within_mm[ALL]) for other in others]
    # Several methods against one first: without a correction the best of many looks significant.
    corrected = holm([one.p_value for one in paired]).tolist()
    return list(zip(others, paired, corrected, strict=True))


def _from_mean(shapes: Floats) -> Floats:
    """Mean distance (N,) of the vertices of N shapes (N, V, 3) from those of their mean."""
    aligned = _align(shapes)
    return np.asarray(np.linalg.norm(aligned - aligned.mean(axis=0), axis=2).mean(axis=1))


def _align(shapes: Floats) -> Floats:
    """The shapes moved and turned, not scaled, onto their mean; twice, as the mean moves too."""
    # Scale stays: a face that comes out larger in another photograph is inconsistent.
    for _ in range(2):
        mean = shapes.mean(axis=0)
        shapes = np.stack([similarity_between(one, mean, 1.0).apply(one) for one in shapes])
    return shapes


def _angles(
    reconstructions: Sequence[FaceInPhotograph],
    people: Sequence[NDArray[np.intp]],
    features: IdentityFeatures,
) -> tuple[Floats, float]:
    """Mean angles in degrees between the features of neutral faces, drawn from the front: of two
    photographs of each person (P,), and of two people, NaN for one.

    Even light and the method's own albedo leave only the face itself to tell people apart.
    """
    artist = FaceArtist(_RENDER_SIZE, paper=90)
    found = [_feature(artist, neutral_face(one), features) for one in reconstructions]
    # In double precision: near 1 the arc cosine turns single rounding into tenths of a degree.
    unit = torch.nn.functional.normalize(torch.stack(found), dim=1).double()
    cosines = (unit @ unit.T).clamp(-1.0, 1.0)
    angles: Floats = np.degrees(np.arccos(cosines.numpy()))
    blocks = [angles[np.ix_(rows, rows)] for rows in people]
    # The diagonal is each face with itself: above it every pair stands once.
    within = np.array([float(block[np.triu_indices(len(block), 1)].mean()) for block in blocks])
    between = [angles[np.ix_(a, b)].mean() for a, b in combinations(people, 2)]
    return within, float(np.mean(between)) if between else float("nan")


def neutral_face(reconstruction: FaceInPhotograph) -> FaceInPhotograph:
    """The same person without expression."""
    return replace(
        reconstruction, mesh=replace(reconstruction.mesh, vertices=reconstruction.neutral)
    )


def _feature(artist: FaceArtist, neutral: FaceInPhotograph, features: IdentityFeatures) -> Tensor:
    if neutral.mesh.landmarks is None:
        raise FacebenchError(
            "a face without landmarks cannot be shown to a recogniser", "leave out --recogniser"
        )
    picture = torch.tensor(artist.turn(neutral, 0.0)).permute(2, 0, 1)[None].float() / 255.0
    # Landmarks in the pixels of this picture, which the recogniser aligns by.
    shown = replace(neutral, pose=framing_pose(neutral.mesh, 0.0))
    points = torch.from_numpy(landmark_pixels(shown, _RENDER_SIZE)).float()[..., None]
    with torch.no_grad():
        return features(picture, points)[0]
