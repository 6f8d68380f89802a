"""Initialisation of the registration: from landmarks of both meshes or a global pose search."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ...errors import FacebenchError
from ..landmarks import landmark_pairs
from ..protocol.record import AlignmentSettings
from ..surface.region import OverlapRegion, Sphere
from ..surface.similarity import Similarity, root_mean_square, similarity_between
from ..surface.surface import Surface
from ..surface.triangles import Float64Array, lengths
from .dense import agreement, align_coarsely
from .global_search import pose_hypotheses
from .nose_tip import FACE_MM, SAME_WAY_DEG, own_nose_tip
from .prepared_mesh import PreparedMesh

SMALLEST_SCALE = 2 / 3  # Of a prediction in millimetres: grown-ups' faces differ by a tenth.
# The same before a pose is known: half of a face shrinks in its right place too, until a wrong one
# looks better. None was seen to grow.
SMALLEST_SEARCHED = 0.75
# Between the nose tips of two registered faces: each is found to a centimetre.
TIPS_MM = 40.0
TURN_DEG = 60.0  # The same for the way up, which the mean face tells to some thirty degrees.
# Root mean square between the landmarks of two faces, at the size of the scan, that is no
# difference between persons, which is 1 to 5, nor a poor prediction.
PAIR_MM = 15.0
# Parts of one file that are faces side by side: each side of the box within a quarter of the
# other's, the middles further apart than this share of the longest.
LIKE_SIZE, BESIDE = 0.75, 0.6


@dataclass(frozen=True, eq=False)
class Initialisation:
    """Where the dense alignment begins.

    Attributes:
        transform: from the prediction's space to the scan's.
        source: what it was found by.
        pairs: (L, 3) landmarks of the prediction and of the scan, or None.
    """

    transform: Similarity
    source: Literal["landmarks", "search", "given"]
    pairs: tuple[Float64Array, Float64Array] | None = None

    @property
    def landmark_scale(self) -> float:
        """The factor from the prediction to the scan by the landmarks alone; NaN without."""
        return float("nan") if self.pairs is None else similarity_between(*self.pairs).scale

    def residual_mm(self, transform: Similarity) -> float:
        """Root mean square between the landmarks under a transform; NaN without landmarks."""
        if self.pairs is None:
            return float("nan")
        own, theirs = self.pairs
        return root_mean_square(transform.apply(own), theirs)


# An initialisation, where its face is on the scan, and its transform after a few dense steps.
_Aligned: TypeAlias = tuple[Initialisation, Sphere | None, Similarity]


def initialise(
    prediction: PreparedMesh,
    scan: PreparedMesh,
    settings: AlignmentSettings,
    intersection: OverlapRegion,
    label: Float64Array | None = None,
) -> Initialisation:
    """Where the dense alignment begins.

    `seven_landmarks`: the closed-form similarity of NoW's seven points, and nothing else.
    `landmarks_or_search`: that of all landmarks but the contour's where both sides have them, else
    a search from any pose; then a few dense steps on few points.

    Args:
        prediction, scan: the pair.
        settings, intersection: of the protocol.
        label: (3,) the scan's nose tip; without one it is found where a search needs it.

    Raises:
        FacebenchError: when landmarks are missing, or those of the two sides do not belong
            together.
    """
    if settings.start == "as_given":
        return Initialisation(Similarity.identity(), "given")
    if settings.start == "seven_landmarks":
        own, theirs = seven_of(prediction, "prediction"), seven_of(scan, "scan")
        return _by_landmarks((own, theirs), settings)
    if prediction.landmarks is None or scan.landmarks is None:
        # Landmarks tell which is meant; a search would take the one that fits by chance.
        _refuse_several(prediction.surface, "prediction")
        _refuse_several(scan.surface, "scan")
        found = pose_hypotheses(prediction.surface, scan.surface, prediction.nose_tip)
        starts = [Initialisation(transform, "search") for transform in found]
    else:
        pairs = landmark_pairs(prediction.landmarks, scan.landmarks)
        starts = [_by_landmarks(pairs, settings)]
    return _best_after_coarse_alignment(starts, prediction, scan, settings, intersection, label)


def _best_after_coarse_alignment(
    starts: list[Initialisation],
    prediction: PreparedMesh,
    scan: PreparedMesh,
    settings: AlignmentSettings,
    intersection: OverlapRegion,
    label: Float64Array | None = None,
) -> Initialisation:
    """The initialisation whose surfaces overlap most after a few dense steps, with these taken.

    A face is registered at the size that fits, also where a protocol leaves it its own.
    """
    surfaces = prediction.surface, scan.surface
    aligned, apart = _align_each(starts, prediction, scan, settings, intersection)
    if starts[0].source == "search" and not _agree(aligned):
        expected = _by_mean_face(prediction, scan, label)
        likely = [one for one in aligned if _is_like(one, expected, scan, label)]
        if expected and not likely:
            more = [Initialisation(expected, "search")]
            likely = aligned + _align_each(more, prediction, scan, settings, intersection)[0]
        aligned = likely or aligned
    if not aligned:
        raise apart[0]
    # Judged after the coarse alignment, at the size that fits: before it a wrong size decides.
    shares = [0.0]
    if len(aligned) > 1:
        narrower = min(SAME_WAY_DEG, intersection.max_angle_deg)
        facing = replace(intersection, max_angle_deg=narrower)
        shares = [agreement(*surfaces, sized, facing, around) for _, around, sized in aligned]
    start, around, sized = aligned[int(np.argmax(shares))]
    if settings.scale != "none":
        return replace(start, transform=sized)
    rigid = _without_scale(sized, prediction.surface)
    return replace(
        start, transform=align_coarsely(*surfaces, rigid, intersection, settings, around)
    )


def _align_each(
    starts: list[Initialisation],
    prediction: PreparedMesh,
    scan: PreparedMesh,
    settings: AlignmentSettings,
    intersection: OverlapRegion,
) -> tuple[list[_Aligned], list[FacebenchError]]:
    """Initialisations after a few dense steps, and why others found no overlap."""
    aligned: list[_Aligned] = []
    apart: list[FacebenchError] = []
    for start in starts:
        around = _face_around(prediction, start)
        try:
            sized = _align_at_fitting_size(
                prediction.surface, scan.surface, start, intersection, settings, around
            )
        except FacebenchError as error:
            # A wrong pose of several slid off the scan: the others are still to be judged.
            apart.append(error)
        else:
            aligned.append((start, around, sized))
    return aligned, apart


def _agree(aligned: list[_Aligned]) -> bool:
    """Whether there are poses, and all lay the face on one place of the scan, one way up."""
    if not aligned or any(around is None for _, around, _ in aligned):
        return False
    tips = np.array([around.centre for _, around, _ in aligned if around is not None])
    turns = [_turn_deg(sized, aligned[0][2]) for _, _, sized in aligned]
    return bool((lengths(tips - tips[0]) <= TIPS_MM).all() and max(turns) <= TURN_DEG)


def _by_mean_face(
    prediction: PreparedMesh, scan: PreparedMesh, label: Float64Array | None = None
) -> Similarity | None:
    """The pose by which the mean face lies on both alike, at the prediction's own size.

    None where it lies on neither, or elsewhere on the scan than at the label of its nose.
    """
    try:
        pose, tip = scan.mean_pose.after(prediction.mean_pose.inverse()), prediction.nose_tip
    except FacebenchError:
        return None
    place = pose.apply(tip[None])[0]
    if label is not None and lengths(place - label) > TIPS_MM:
        return None
    # The mean was resized to each of the two, and a search is in millimetres.
    return Similarity(1.0, pose.rotation, place - pose.rotation @ tip)


def _is_like(
    one: _Aligned, expected: Similarity | None, scan: PreparedMesh, label: Float64Array | None
) -> bool:
    """Whether a pose lays the nose on the scan's nose, the right way up as far as that is known.

    A cropped face lies well on the back of a head, and a wrong pose in the hair overlaps more than
    the right one.
    """
    _, around, sized = one
    if around is None or (label is None and expected is None):
        return False
    apart = float(lengths(around.centre - (scan.nose_tip if label is None else label)))
    return apart <= TIPS_MM and (expected is None or _turn_deg(sized, expected) <= TURN_DEG)


def _turn_deg(one: Similarity, other: Similarity) -> float:
    """The angle between two poses."""
    cosine = (np.trace(one.rotation.T @ other.rotation) - 1) / 2
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def _align_at_fitting_size(
    prediction: Surface,
    scan: Surface,
    start: Initialisation,
    intersection: OverlapRegion,
    settings: AlignmentSettings,
    around: Sphere | None,
) -> Similarity:
    """A few dense steps at the size that fits, or at the prediction's own where none does.

    Raises:
        FacebenchError: when the surfaces do not overlap.
    """
    free, rigid = replace(settings, scale="per_mesh"), replace(settings, scale="none")
    found: Similarity | None = None
    try:
        found = align_coarsely(prediction, scan, start.transform, intersection, free, around)
    except FacebenchError:
        if start.source != "search":
            raise
    # A search is in millimetres. Beside a whole head a face that is cut small shrinks into it,
    # until too little of it is left to be matched.
    if found is None or (start.source == "search" and not _may_be_searched(found.scale)):
        return align_coarsely(prediction, scan, start.transform, intersection, rigid, around)
    return found


def is_face_scale(scale: float) -> bool:
    """Whether a face in millimetres may be measured at so many times its size."""
    return SMALLEST_SCALE <= scale <= 1 / SMALLEST_SCALE


def _may_be_searched(scale: float) -> bool:
    return is_face_scale(scale) and scale >= SMALLEST_SEARCHED


def _face_around(prediction: PreparedMesh, start: Initialisation) -> Sphere | None:
    """Where on the scan the face is, so that hair and shoulders take no part."""
    searched = start.source == "search"
    tip = prediction.nose_tip if searched else own_nose_tip(prediction.mesh)
    return None if tip is None else Sphere(start.transform.apply(tip[None])[0], FACE_MM)


def _without_scale(transform: Similarity, prediction: Surface) -> Similarity:
    """A transform without its scale, about the middle of the prediction.

    A face of another size slides along the scan to where more of it is near; registered at a size
    that fits, it is in the right place when its own is given back.
    """
    middle = np.average(prediction.vertices, axis=0, weights=prediction.areas)
    place = transform.apply(middle[None])[0]
    return Similarity(1.0, transform.rotation, place - transform.rotation @ middle)


def seven_of(side: PreparedMesh, name: str) -> Float64Array:
    """NoW's seven points (7, 3) of a side.

    Raises:
        FacebenchError: when it has no landmarks.
    """
    if side.landmarks is None:
        raise FacebenchError(
            f"this protocol needs the seven landmarks of the {name}, which has none",
            f"give --{name}-landmarks, or in a folder NAME.txt beside it, 68 or 7 lines 'x y z'; "
            "or take another protocol, for example micc",
        )
    return side.landmarks.seven


def _by_landmarks(
    pairs: tuple[Float64Array, Float64Array], settings: AlignmentSettings
) -> Initialisation:
    own, theirs = pairs
    free = similarity_between(own, theirs)
    # With a free size, whatever the protocol: a wrong unit is another message than a wrong order.
    apart = root_mean_square(free.apply(own), theirs)
    if apart > PAIR_MM:
        raise FacebenchError(
            f"the landmarks of prediction and scan do not fit each other ({apart:.1f} mm apart)",
            "both must be in iBUG's order of 68, or both in NoW's of 7, and belong to their mesh",
        )
    rigid = settings.scale == "none"
    transform = similarity_between(own, theirs, 1.0) if rigid else free
    return Initialisation(transform, "landmarks", pairs)


def _refuse_several(surface: Surface, name: str) -> None:
    """Refuse a file with a second face beside the first: a part as large, a face's height away."""
    corners = surface.triangles
    links = coo_array(
        (np.ones(2 * len(corners)), (corners[:, [0, 1]].T.ravel(), corners[:, [1, 2]].T.ravel())),
        shape=(len(surface.vertices),) * 2,
    )
    part = connected_components(links, directed=False)[1]
    inside = np.bincount(part, surface.areas)
    # Parts of another size are eyes, teeth, hair or a body.
    large = np.flatnonzero(inside > LIKE_SIZE * inside.max())
    if len(large) < 2:
        return
    boxes = [surface.local[part == one] for one in large]
    extents = np.sort([np.ptp(points, axis=0) for points in boxes], axis=1)
    centres = np.array([(points.min(0) + points.max(0)) / 2 for points in boxes])
    first = inside[large].argmax()
    alike = (np.abs(extents - extents[first]) < (1 - LIKE_SIZE) * extents[first]).all(1)
    # Nearer than that lie the halves of one face, and the inner wall behind the outer.
    beside = lengths(centres - centres[first]) > BESIDE * extents[first].max()
    if (alike & beside).any():
        raise FacebenchError(
            f"the {name} holds {1 + (alike & beside).sum()} faces side by side",
            "keep one of them, or give landmarks of both sides: they tell which is meant",
        )
