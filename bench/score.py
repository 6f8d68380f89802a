"""One prediction against one scan under a protocol: the numbers of a subject and scene."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..recon.mesh import Mesh
from .align import Alignment, align, approach
from .crop import Sphere
from .distance import CURVE_MM, MEASURES, nan_mean, pool, statistics, vertex_errors
from .intersection import match_both
from .nose_tip import NoseTip, crop_centre, own_nose_tip
from .protocol import Protocol
from .register import register
from .sanity import check_prediction, check_scan
from .surface import Surface
from .triangles import Float64Array

NAN = float("nan")


@dataclass(frozen=True)
class Score:
    """Every number of one subject and scene; lengths in mm.

    Attributes:
        subject, scene: whose.
        status: `ok`, or `failed` with a reason and NaN for all numbers.
        reason: why it failed, else empty.
        value_mm: the protocol's own statistic, the number that tables show.
        mean_mm, median_mm, rmse_mm, std_mm, p90_mm: of the protocol's distance, both directions
            with half of the weight each when the protocol is symmetric.
        scan_to_prediction_mm, prediction_to_scan_mm: the mean of each direction.
        point_to_surface_mm: mean of |p − q| instead of |(p − q) · n|.
        share_within_1mm, share_within_2mm, share_within_3mm: of the points.
        scale: the factor that the alignment gave the prediction.
        size_error: of a rigid protocol, the factor that would have fitted, less one: `measure`
            finds it by an alignment of its own, here it is NaN.
        iterations, converged: of the alignment.
        overlap: share of the cropped scan's points in the region of intersection.
        n_points: points in the region of intersection, both directions.
        nose_tip_source: `label` or `found`.
        nose_tip_disagreement_mm: between label and found, NaN without a label.
        nose_mm … jaw_mm: mean from the prediction to the scan by part of the face.
        protocol, protocol_digest: what the numbers stand for.
    """

    subject: str
    scene: str
    status: str
    reason: str
    protocol: str
    protocol_digest: str
    value_mm: float = NAN
    mean_mm: float = NAN
    median_mm: float = NAN
    rmse_mm: float = NAN
    std_mm: float = NAN
    p90_mm: float = NAN
    scan_to_prediction_mm: float = NAN
    prediction_to_scan_mm: float = NAN
    point_to_surface_mm: float = NAN
    share_within_1mm: float = NAN
    share_within_2mm: float = NAN
    share_within_3mm: float = NAN
    scale: float = NAN
    size_error: float = NAN
    iterations: int = 0
    converged: bool = False
    overlap: float = NAN
    n_points: int = 0
    nose_tip_source: str = ""
    nose_tip_disagreement_mm: float = NAN
    nose_mm: float = NAN
    mouth_mm: float = NAN
    eyes_mm: float = NAN
    cheeks_mm: float = NAN
    forehead_mm: float = NAN
    jaw_mm: float = NAN

    def to_row(self) -> dict[str, str | float | int | bool]:
        """Flat values for a table."""
        return asdict(self)


@dataclass(frozen=True)
class ScoredPair:
    """A score with what a picture of it needs.

    Attributes:
        score: the numbers.
        aligned: the prediction in the scan's space, mm, its own vertices and triangles.
        vertex_errors: (V,) distance of its vertices to the scan by the protocol's measure, NaN
            outside of the region of intersection.
        distances: errors of the scan's points and of the prediction's, mm, by the protocol's
            measure, in the region of intersection.
        curve: (101,) share of the points within each threshold of `distance.CURVE_MM`.
        nose_tip: where the crop was centred.
        alignment: how the prediction was laid on the scan.
    """

    score: Score
    aligned: Mesh
    vertex_errors: Float64Array
    distances: tuple[Float64Array, Float64Array] = field(repr=False)
    curve: Float64Array = field(repr=False)
    nose_tip: NoseTip
    alignment: Alignment


def score_prediction(
    prediction: Mesh,
    scan: Mesh,
    protocol: Protocol,
    *,
    subject: str = "",
    scene: str = "",
    nose_tip: Float64Array | None = None,
    parts: Mapping[str, NDArray[np.bool_]] | None = None,
) -> ScoredPair:
    """Measure a prediction against a scan.

    The prediction is laid on the whole scan from any pose, the scan is cropped around its nose
    tip, the alignment is taken to convergence on the crop, and distances are taken between all
    vertices of the two in their region of intersection. A vertex of the prediction whose closest
    point on the scan is outside of the crop does not count.

    The statistic is over vertices, as in the literature. It does not depend on the order of
    vertices and triangles, on duplicated vertices, on which triangles cut a flat part, or on the
    unit of the file; a triangulation with *more* vertices samples the same distances more often.

    Args:
        prediction: in mm, with landmarks when the nose tip is to be found by them.
        scan: in mm.
        protocol: decides every step.
        subject, scene: go into the score.
        nose_tip: (3,) label in the scan's space, or None to find it.
        parts: vertices (V,) of the prediction in each part of the face (`regions.face_parts`).

    Raises:
        FacebenchError: when either mesh is not a face in mm, the prediction is mirrored or inside
            out, or the two do not overlap.
    """
    check_prediction(prediction)
    scan = check_scan(scan)
    face, target = Surface(prediction), Surface(scan)
    start = register(face, target, own_nose_tip(prediction))
    rough = approach(face, target, start, protocol.intersection, protocol.alignment)
    tip = crop_centre(prediction, target, rough, nose_tip)
    crop = Sphere(tip.position, protocol.crop.radius_mm)
    alignment = align(face, target, rough, protocol.intersection, crop, protocol.alignment)
    matches = match_both(face, target, alignment.transform, protocol.intersection, crop)
    measure, direction = protocol.distance.measure, protocol.distance.direction
    errors = vertex_errors(matches[1], measure, face.vertex_of)
    columns: dict[str, Any] = {
        **statistics(matches, measure, direction, protocol.reduction.points),
        **_alignment_columns(alignment, tip),
        **{f"{part}_mm": nan_mean(errors[inside]) for part, inside in (parts or {}).items()},
        "n_points": int(sum(side.kept.sum() for side in matches)),
    }
    score = Score(subject, scene, "ok", "", protocol.name, protocol.digest, **columns)
    vertices = alignment.transform.apply(np.asarray(prediction.vertices, np.float64))
    aligned = replace(prediction, vertices=vertices)
    scan_errors, prediction_errors = (MEASURES[measure](side)[side.kept] for side in matches)
    curve = pool(matches, measure, direction).share_within(CURVE_MM)
    return ScoredPair(
        score, aligned, errors, (scan_errors, prediction_errors), curve, tip, alignment
    )


def failed_score(subject: str, scene: str, reason: str, protocol: Protocol) -> Score:
    """The row of a subject and scene that has no number."""
    return Score(subject, scene, "failed", reason, protocol.name, protocol.digest)


def _alignment_columns(alignment: Alignment, tip: NoseTip) -> dict[str, Any]:
    disagreement = tip.disagreement_mm
    return {
        "scale": alignment.transform.scale,
        "iterations": alignment.iterations,
        "converged": alignment.converged,
        "overlap": alignment.overlap,
        "nose_tip_source": tip.source,
        "nose_tip_disagreement_mm": NAN if disagreement is None else disagreement,
    }
