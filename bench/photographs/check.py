"""What detector, landmark network, recogniser and reconstruction make of real photographs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray

from ...errors import error_line
from ...recon.face.crop import Box, box_of_points
from ...recon.losses.multilevel import IdentityFeatures
from ...recon.morphable.model import MorphableModel
from ...recon.portraits.reconstructor import FaceCrop, Reconstructor
from ...recon.portraits.sources import read_photograph
from ...recon.vision.detect import ManyFacesDetector
from ...recon.vision.landmarks import LandmarkDetector
from ...recon.vision.recognition import area_under_curve
from .reference import (
    MEASURES,
    PARTS,
    POSES,
    Points,
    ReferenceFace,
    ReferencePhotograph,
    eye_distance,
    measure_face,
    pose_of,
)

LARGE_ERROR = 0.10
"""Error, over the outer eye distance, from which a face counts as failed."""

_CENTRE_OFF, _RESIZED = 0.5, 2.0
"""A box is of a face when its centre is off by less than this share of the face's longer side, and
its own longer side is within this factor of it."""

_CHEEK = 0.08
"""Half the side of the patch of a cheek over the outer eye distance."""

_LUMINANCE = (0.2126, 0.7152, 0.0722)

Networks = tuple[ManyFacesDetector, LandmarkDetector, Reconstructor, IdentityFeatures]
"""What is checked: what finds faces, and points in them; what reconstructs a face from its crop;
and a recogniser."""


@dataclass(frozen=True, eq=False)
class CheckedFace:
    """A face of the reference that was found.

    Attributes:
        reference: what is known of it.
        landmarks: (68, 2) px of the landmark network.
        projected: (68, 2) px of the reconstructed face; NaN where its model has no point.
        identity: its identity coefficients.
        albedo: its albedo coefficients.
        feature: of the recogniser.
        skin: luminance of the reconstructed albedo's cheeks, and of the photograph's.
    """

    reference: ReferenceFace
    landmarks: Points
    projected: Points
    identity: NDArray[np.float64]
    albedo: NDArray[np.float64]
    feature: NDArray[np.float64]
    skin: tuple[float, float]


@dataclass
class PhotographCheck:
    """What was found in a folder.

    Attributes:
        photographs: that were read.
        faces: of the reference that count, by pose.
        found: those that the detector found, by pose.
        kept_aside: faces on which the references do not agree.
        false: photograph and box of what was found where no face is.
        checked: the faces that were found.
        problems: photographs that could not be read or measured, a line each.
    """

    photographs: int = 0
    faces: dict[str, int] = field(default_factory=lambda: dict.fromkeys(POSES, 0))
    found: dict[str, int] = field(default_factory=lambda: dict.fromkeys(POSES, 0))
    kept_aside: int = 0
    false: list[tuple[str, Box]] = field(default_factory=list)
    checked: list[CheckedFace] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def check_photographs(
    photographs: Iterable[ReferencePhotograph], networks: Networks
) -> PhotographCheck:
    """What is found in photographs; never raises for what one holds."""
    check = PhotographCheck()
    for photograph in photographs:
        try:
            _check_one(photograph, networks, check)
            check.photographs += 1
        except Exception as error:  # one broken file shall not cost the others
            check.problems.append(f"{photograph.path}: {error_line(error)}")
    return check


def _check_one(photograph: ReferencePhotograph, networks: Networks, check: PhotographCheck) -> None:
    frame = read_photograph(photograph.path)
    height, width = frame.shape[:2]
    # Another size means another picture, or one that was turned: its points would be elsewhere.
    if (width, height) != photograph.size:
        stated = f"{photograph.size[0]} x {photograph.size[1]}"
        raise ValueError(f"it is {width} x {height}, the reference says {stated}")
    detector, _, reconstructor, _ = networks
    boxes = reconstructor.frame_faces(frame, detector.detect_all(frame))
    pairs, rest = match_boxes(boxes, photograph.faces)
    counted = [(face, box) for face, box in pairs if face.agrees]
    # Before anything is counted: a photograph that fails here is a problem, not a missed face.
    checked = _measure(frame, counted, networks) if counted else []
    agreeing = [face for face in photograph.faces if face.agrees]
    check.kept_aside += len(photograph.faces) - len(agreeing)
    for face in agreeing:
        check.faces[pose_of(face.landmarks)] += 1
    for face, _ in counted:
        check.found[pose_of(face.landmarks)] += 1
    check.checked += checked
    check.false += [(photograph.path.name, box) for box in rest]


def match_boxes(
    boxes: Sequence[Box], faces: Sequence[ReferenceFace]
) -> tuple[list[tuple[ReferenceFace, Box]], list[Box]]:
    """Faces with the box that found each, and the boxes that found none; nearest pairs first."""
    references = [box_of_points(face.landmarks) for face in faces]
    near = []
    for (f, reference), (b, box) in (
        (one, other) for one in enumerate(references) for other in enumerate(boxes)
    ):
        side, own = max(reference.width, reference.height), max(box.width, box.height)
        off = np.hypot(*np.subtract(box.centre, reference.centre)) / side
        if off < _CENTRE_OFF and 1 / _RESIZED < own / side < _RESIZED:
            near.append((off, f, b))
    pairs: dict[int, int] = {}
    # Each face once: a second box on it is false, as a face that is told twice would be.
    for _, f, b in sorted(near):
        if f not in pairs and b not in pairs.values():
            pairs[f] = b
    matched = [(faces[f], boxes[b]) for f, b in sorted(pairs.items())]
    return matched, [box for b, box in enumerate(boxes) if b not in pairs.values()]


def _measure(
    frame: NDArray[np.uint8],
    pairs: Sequence[tuple[ReferenceFace, Box]],
    networks: Networks,
) -> list[CheckedFace]:
    boxes = [box for _, box in pairs]
    _, detector, reconstructor, features = networks
    points = detector.landmarks([frame] * len(boxes), boxes).astype(np.float64)
    crops = [FaceCrop(frame, box, reconstructor.crop_size) for box in boxes]
    faces = reconstructor.regress(np.stack([crop.crop for crop in crops]))
    found = []
    for number, ((reference, _), crop) in enumerate(zip(pairs, crops, strict=True)):
        placed = crop.in_picture(faces[number])
        projected = reconstructor.landmarks(placed[None], crop.image_size)[0]
        feature = _feature(features, frame, points[number])
        own = _cheek_luminance(reconstructor.model, placed.albedo)
        skin = (own, _photographed_cheek(frame, reference.landmarks))
        shape, albedo = (np.asarray(k, np.float64) for k in (placed.identity, placed.albedo))
        one = CheckedFace(reference, points[number], projected, shape, albedo, feature, skin)
        found.append(one)
    return found


@torch.no_grad()
def _feature(
    features: IdentityFeatures, frame: NDArray[np.uint8], points: Points
) -> NDArray[np.float64]:
    image = torch.tensor(frame).permute(2, 0, 1)[None].float() / 255.0
    found = features(image, torch.tensor(points)[:, :, None])
    return found[0].double().numpy()


def _cheek_luminance(model: MorphableModel, albedo: NDArray[np.floating]) -> float:
    """Mean luminance of the albedo over the model's cheeks; NaN for a model without them."""
    colours = model.mesh(albedo=albedo).colours
    names = [name for name in ("left_cheek", "right_cheek") if name in model.region_names]
    if colours is None or not names:
        return float("nan")
    cheeks = np.isin(model.region, [model.region_names.index(name) for name in names])
    values = np.asarray(colours, np.float64)[cheeks]
    scale = 255.0 if colours.dtype == np.uint8 else 1.0
    return float((values / scale).mean(0) @ _LUMINANCE)


def _photographed_cheek(frame: NDArray[np.uint8], points: Points) -> float:
    """Median luminance of both cheeks: half way from the lower lid to the mouth's corner."""
    half = max(1, round(_CHEEK * eye_distance(points)))
    patches = []
    for lid, corner in ((41, 48), (46, 54)):
        x, y = (round(float(value)) for value in (points[lid] + points[corner]) / 2)
        patch = frame[max(y - half, 0) : y + half + 1, max(x - half, 0) : x + half + 1]
        patches.append(patch.reshape(-1, 3))
    pixels = np.concatenate(patches)
    return float(np.median(pixels / 255.0 @ _LUMINANCE)) if len(pixels) else float("nan")


def landmark_errors(
    found: Sequence[Points], references: Sequence[Points]
) -> dict[str, tuple[float, float]]:
    """Median over faces of each part's mean distance over the outer eye distance, and the share of
    faces above `LARGE_ERROR`; points that are NaN do not count. NaN without faces."""
    errors: dict[str, list[float]] = {part: [] for part in PARTS}
    for points, reference in zip(found, references, strict=True):
        off = np.linalg.norm(points - reference, axis=1) / eye_distance(reference)
        for part, rows in PARTS.items():
            known = off[rows][np.isfinite(off[rows])]
            if len(known):
                errors[part].append(float(known.mean()))
    return {part: _median_and_share(values) for part, values in errors.items()}


def _median_and_share(values: Sequence[float]) -> tuple[float, float]:
    if not values:
        return float("nan"), float("nan")
    return float(np.median(values)), float(np.mean(np.array(values) > LARGE_ERROR))


def slopes(found: Sequence[Points], references: Sequence[Points]) -> dict[str, tuple[float, float]]:
    """For each of `MEASURES` the slope of what was found on the reference, and their correlation.

    A slope of 1 follows the truth, 0 says the same of everybody; NaN of fewer than three faces or
    of a reference that never changes.
    """
    own = np.array([measure_face(points) for points in found]).reshape(-1, len(MEASURES))
    true = np.array([measure_face(points) for points in references]).reshape(-1, len(MEASURES))
    return {
        name: slope_and_correlation(true[:, number], own[:, number])
        for number, name in enumerate(MEASURES)
    }


def slope_and_correlation(
    true: NDArray[np.float64], found: NDArray[np.float64]
) -> tuple[float, float]:
    """Least-squares slope of values on true ones (N,), and Pearson's r; NaN where undefined."""
    known = np.isfinite(true) & np.isfinite(found)
    x, y = true[known], found[known]
    if len(x) < 3 or np.ptp(x) == 0:
        return float("nan"), float("nan")
    x, y = x - x.mean(), y - y.mean()
    slope = float(x @ y / (x @ x))
    spread = float(np.sqrt((x @ x) * (y @ y)))
    return slope, float(x @ y / spread) if spread else float("nan")


def identity_auc(
    vectors: Sequence[NDArray[np.float64]], people: Sequence[str]
) -> tuple[float, int]:
    """How often two photographs of one person are nearer, by the cosine, than two of two people.

    With the number of pairs of one person. 0.5 is chance; NaN without pairs of both kinds.

    Args:
        vectors: of the faces.
        people: whose each is; faces of nobody (empty) do not count.
    """
    named = [
        (v / max(float(np.linalg.norm(v)), 1e-12), p) for v, p in zip(vectors, people, strict=True)
    ]
    pairs = [(float(a @ b), p == q) for (a, p), (b, q) in combinations(named, 2) if p and q]
    same = np.array([one for _, one in pairs], bool)
    return area_under_curve(np.array([score for score, _ in pairs]), same), int(same.sum())
