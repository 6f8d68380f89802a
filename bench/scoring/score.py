"""One prediction against one scan under a protocol: the numbers of a subject and scene.

A scan that is a point cloud has a surface through its points, for order, normals and areas, and its
noise as the floor under what can be measured on it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError
from ...recon.mesh import Mesh
from ..landmarks import Landmarks
from ..meshes.checks import check_prediction, check_scan
from ..meshes.clean import COPY_MM
from ..meshes.units import check_unit
from ..protocol.record import AlignmentSettings, Protocol
from ..registration.dense import Alignment
from ..registration.initialise import is_face_scale
from ..registration.nose_tip import NoseTip
from ..registration.prepared_mesh import PreparedMesh
from ..surface.overlap import NoOverlapError
from ..surface.region import Sphere
from ..surface.similarity import Similarity
from ..surface.triangles import Float64Array, triangle_areas, vertex_areas
from ..surface.visibility import is_seen
from .diagnosis import NOTED_INNER
from .distance import CURVE_MM, pool, weighted_mean
from .regions import register_regions
from .register import InitialisedPair, initialise_on_crop, register_pair
from .result import NAN, SCORED, UNSCORED, Score
from .scan_points import noise_floor_mm, noise_mm, surface_of_points

EYES_MM = 90.0  # Between the outer corners.


@dataclass(frozen=True)
class ScoredPair:
    """A score with what a picture of it needs.

    Attributes:
        score: the numbers.
        aligned: the prediction in the scan's space, mm, its own vertices and triangles.
        vertex_errors: (V,) distance of its vertices to the scan by the protocol's measure, NaN
            outside of the region of intersection.
        distances: errors of the scan and of the prediction, mm, by the protocol's measure, in the
            overlap region: one for each mm², or for each point where points are counted; those of
            the scan are none for corresponding points.
        curve: (101,) share of the points within each threshold of `distance.CURVE_MM`.
        nose_tip: where the crop was centred.
        alignment: the registration of the prediction to the scan.
        scan: the part of it that was looked at: the crop and what a counted point can see.
        scan_errors: (Vs,) at that part's vertices as `vertex_errors` at the prediction's; all NaN
            for corresponding points.
    """

    score: Score
    aligned: Mesh
    vertex_errors: Float64Array
    distances: tuple[Float64Array, Float64Array] = field(repr=False)
    curve: Float64Array = field(repr=False)
    nose_tip: NoseTip
    alignment: Alignment
    scan: Mesh = field(repr=False)
    scan_errors: Float64Array = field(repr=False)


def score_prediction(
    prediction: Mesh,
    scan: Mesh,
    protocol: Protocol,
    *,
    subject: str = "",
    nose_tip: Float64Array | None = None,
    parts: Mapping[str, NDArray[np.bool_]] | None = None,
    prediction_landmarks: Landmarks | None = None,
    scan_landmarks: Landmarks | None = None,
    fixed_scale: float | None = None,
) -> ScoredPair:
    """Measure a prediction against a scan.

    What of the prediction is not seen from outside is left out. The rest is registered to the scan,
    initialised by the landmarks of both or from any pose; the scan is cropped; the registration is
    taken to convergence on the crop, and distances are taken between the two in their overlap
    region. A point of the prediction whose closest point on the scan is outside of the crop does
    not count. What the crop holds and the prediction does not show is missing: `completeness`.

    Statistics are over the area (`points.weights`), so that they do not depend on how a surface is
    cut into triangles, on the order of vertices and triangles, on duplicated vertices, or on the
    unit of the file.

    Args:
        prediction: in mm, with landmarks when the nose tip is to be found by them. In any unit
            when the protocol takes the scale from landmarks alone.
        scan: in mm.
        protocol: decides every step.
        subject: goes into the score; may have a crop of its own.
        nose_tip: (3,) label in the scan's space, or None to find it.
        parts: vertices (V,) of the prediction in each part of the face (`face_parts`).
        prediction_landmarks: in the prediction's space; default to the mesh's own.
        scan_landmarks: in the scan's space; default to the mesh's own.
        fixed_scale: the factor for the prediction when `alignment.scale` is `global`; then only a
            rigid motion is solved for. Other protocols take no notice of it.

    Raises:
        FacebenchError: when either mesh is not a face in mm, the prediction is mirrored or inside
            out, landmarks are missing or do not fit, or the two do not overlap.
    """
    pair = initialise_pair(
        prediction,
        scan,
        protocol,
        subject=subject,
        nose_tip=nose_tip,
        prediction_landmarks=prediction_landmarks,
        scan_landmarks=scan_landmarks,
        fixed_scale=fixed_scale,
    )
    return score_pair(prediction, pair, protocol, subject=subject, parts=parts)


def initialise_pair(
    prediction: Mesh,
    scan: Mesh,
    protocol: Protocol,
    *,
    subject: str = "",
    nose_tip: Float64Array | None = None,
    prediction_landmarks: Landmarks | None = None,
    scan_landmarks: Landmarks | None = None,
    fixed_scale: float | None = None,
) -> InitialisedPair:
    """Check a pair, find the crop, and initialise the registration: the first half of
    `score_prediction`, whose arguments these are."""
    is_cloud = not len(scan.triangles)
    _check_measurable(protocol, is_cloud)
    # A factor common to a run is given beforehand: what is left is then rigid for each mesh.
    scaling, settings = _scale_normalisation(protocol, fixed_scale)
    sound = check_prediction(prediction, _copies_within(prediction, prediction_landmarks, protocol))
    if not protocol.takes_any_unit:
        check_unit(sound, "the prediction", option="--prediction-unit")
    own_landmarks = prediction_landmarks and prediction_landmarks.moved(scaling)
    sized, points = _transform_mesh(sound, scaling), protocol.points
    face = PreparedMesh.of(sized, own_landmarks, "prediction", points)
    as_it_is = replace(points, longest_edge_mm=math.inf)
    target = PreparedMesh.of(_surface_of(scan), scan_landmarks, "scan", as_it_is)
    _check_connected(target, protocol)
    own_protocol = replace(protocol, alignment=settings)
    if is_cloud:
        # Measured are its points, and none in the middle of what was laid between them.
        own_protocol = replace(own_protocol, points=as_it_is)
    pair = initialise_on_crop(face, target, own_protocol, subject, nose_tip)
    return replace(pair, scaling=scaling, is_cloud=is_cloud)


def score_pair(
    prediction: Mesh,
    pair: InitialisedPair,
    protocol: Protocol,
    *,
    subject: str = "",
    parts: Mapping[str, NDArray[np.bool_]] | None = None,
) -> ScoredPair:
    """Register an initialised pair and take its distances: the second half of `score_prediction`.

    Args:
        prediction: that the pair was made of.
        pair: by this protocol, or by one that it `registers_as`.
        protocol, subject, parts: as there.

    Raises:
        FacebenchError: when the protocol cannot measure this pair, or the two do not overlap.
    """
    # That of the pair could: a shared pair must not let pass what alone would be refused.
    _check_measurable(protocol, pair.is_cloud)
    scaling, start, crop = pair.scaling, pair.start, pair.crop
    register = register_regions if protocol.distance.measure == "regions" else register_pair
    try:
        registered = register(pair, replace(protocol, alignment=pair.protocol.alignment))
        pooled = pool(registered.errors, registered.weights)
    except NoOverlapError as error:
        raise _hidden(pair.prediction.inner_share) or error from error
    # A subdivision puts the mesh's own vertices first.
    errors = registered.vertex_errors[: len(prediction.vertices)]
    registration = registered.alignment
    _check_shrinking(registration.transform.scale, protocol)
    alignment = replace(registration, transform=registration.transform.after(scaling))
    noise = noise_mm(_own_points(pair.scan, crop))
    columns: dict[str, Any] = {
        **registered.statistics(protocol.reduction.points),
        **_alignment_columns(alignment, pair.tip),
        **_part_means(pair, errors, parts or {}),
        **{f"{part}_mm": mean for part, mean in registered.regions.items()},
        "inner_share": pair.prediction.inner_share,
        "noise_floor_mm": noise_floor_mm(noise, registered.weights, protocol.reduction.points),
        "landmark_scale": start.landmark_scale * scaling.scale,
        "start": start.source,
        "landmark_residual_mm": start.residual_mm(registration.transform),
    }
    score = Score(subject, "", SCORED, "", protocol.name, protocol.digest, **columns)
    aligned = _transform_mesh(prediction, alignment.transform)
    of_scan, of_prediction = registered.errors
    own_unit = 1.0
    if protocol.takes_any_unit and protocol.distance.measure != "correspondence":
        # A face in micrometres would be 10¹⁰ of its own; corresponding points are laid in mm.
        own_unit = registration.transform.scale**2
    curve = pooled.share_within(CURVE_MM)
    shown = pair.scan.mesh, registered.scan_errors
    distances = of_scan.equal_shares(), of_prediction.equal_shares(own_unit)
    return ScoredPair(score, aligned, errors, distances, curve, pair.tip, alignment, *shown)


def with_size_error(
    pair: ScoredPair, protocol: Protocol, measure: Callable[[Protocol], ScoredPair]
) -> ScoredPair:
    """A score of a rigid protocol with the factor that would have fitted, less one.

    Args:
        pair: measured by the protocol.
        protocol: the protocol.
        measure: the same two meshes by another protocol.
    """
    # What is measured where it lies is registered to nothing, and no size was looked for.
    if protocol.alignment.scale != "none" or not protocol.alignment.dense:
        return pair
    free = replace(protocol, alignment=replace(protocol.alignment, scale="per_mesh"))
    try:
        sized = measure(free).score
        size_error = sized.scale - 1 if sized.converged else NAN
    except FacebenchError:
        size_error = NAN
    return replace(pair, score=replace(pair.score, size_error=size_error))


def failed_score(subject: str, scene: str, reason: str, protocol: Protocol) -> Score:
    """The row of a subject and scene that has no number."""
    return Score(subject, scene, UNSCORED, reason, protocol.name, protocol.digest)


def _copies_within(prediction: Mesh, landmarks: Landmarks | None, protocol: Protocol) -> float:
    """Distance in the prediction's unit within which its vertices are one."""
    # Of what is not finite there are no landmarks: the check refuses it in its own words.
    if not protocol.takes_any_unit or not np.isfinite(prediction.vertices).all():
        return COPY_MM
    marks = landmarks or Landmarks.of_mesh(prediction)
    # In metres the length in mm would join lips, in kilometres the whole face.
    return COPY_MM if marks is None else COPY_MM * marks.eye_distance / EYES_MM


def _scale_normalisation(
    protocol: Protocol, fixed_scale: float | None
) -> tuple[Similarity, AlignmentSettings]:
    """The size to give the prediction beforehand, and how it is aligned then."""
    if protocol.alignment.scale != "global" or fixed_scale is None:
        return Similarity.identity(), protocol.alignment
    scaling = replace(Similarity.identity(), scale=fixed_scale)
    return scaling, replace(protocol.alignment, scale="none")


def _surface_of(scan: Mesh) -> Mesh:
    """The clean scan; of a point cloud a surface through its points."""
    sound = check_scan(scan)
    if len(sound.triangles):
        return sound
    return surface_of_points(np.asarray(sound.vertices, np.float64))


def _check_measurable(protocol: Protocol, is_cloud: bool) -> None:
    """Refuse settings that contradict each other, and to measure to a cloud of points."""
    protocol.check_measured()
    dense = protocol.alignment.dense
    directions = {protocol.distance.direction, *([protocol.alignment.direction] if dense else [])}
    if is_cloud and directions != {"scan_to_prediction"}:
        raise FacebenchError(
            f"the scan is a cloud of points, and protocol {protocol.name} measures from the "
            "prediction to a surface",
            # That protocol refuses what has no landmarks, and names this one in turn.
            "take --protocol nersemble with landmarks of both, or without them give --set "
            "alignment.direction=scan_to_prediction --set distance.direction=scan_to_prediction",
        )


def _check_connected(scan: PreparedMesh, protocol: Protocol) -> None:
    """Refuse triangles that lie each by itself: every closest point would be on a boundary."""
    corners = np.asarray(scan.mesh.triangles)
    # First by the file's own numbers: the surface of a whole scan is not needed otherwise.
    shared = np.bincount(corners.ravel()).max() > 1
    if shared or protocol.intersection.boundary == "counted":
        return
    if scan.surface.on_boundary.all():
        raise FacebenchError(
            "the scan's triangles are not connected: each lies by itself",
            "join their corners, for example by MeshLab's 'Merge Close Vertices', or save the scan "
            "with shared vertices",
        )


def _hidden(inner_share: float) -> FacebenchError | None:
    """Why nothing overlaps, where a part of the prediction is behind another one; else None."""
    # Without landmarks all of it is searched for, and only then is it known what faces the viewer.
    if not inner_share > NOTED_INNER:
        return None
    return FacebenchError(
        f"{inner_share:.0%} of the prediction is not seen from outside and was left out, and what "
        "is left does not lie on the scan",
        "remove what hides it, a closed shell around it or a second copy, or set "
        "points.prediction=all; else check that both are faces in millimetres",
    )


def _check_shrinking(scale: float, protocol: Protocol) -> None:
    """Refuse a face in known millimetres that is no face's size: what fitted is another thing."""
    if protocol.takes_any_unit or protocol.alignment.scale == "none":
        return
    if not is_face_scale(scale):
        raise FacebenchError(
            f"the prediction had to become {scale:.2g} times as large to fit, more than faces "
            "differ",
            "check its unit, and that it is one face and the scan another of the same part; a small"
            " piece of a face is measured at its own size by --protocol metric",
        )


def _own_points(scan: PreparedMesh, crop: Sphere) -> Float64Array:
    """The scan's points (N, 3) in the crop; those of a subdivision carry the noise of two."""
    surface = scan.surface
    is_own = np.zeros(len(surface.vertices), bool)
    is_own[surface.vertex_of[surface.vertex_of >= 0]] = True
    points = surface.vertices[is_own]
    return points[crop.holds(points)]


def _part_means(
    pair: InitialisedPair, errors: Float64Array, parts: Mapping[str, NDArray[np.bool_]]
) -> dict[str, float]:
    """Mean error in mm over the area of each part; copies of a vertex at a seam share its area.

    Of skin under every protocol: where one counts all of a prediction, eyeballs and teeth are no
    part of a face's eyes and mouth all the same.
    """
    mesh, axes = pair.whole, pair.prediction.axes
    if parts and axes is not None and pair.protocol.points.prediction == "all":
        near = np.logical_or.reduce(list(parts.values()))
        errors = np.where(is_seen(mesh, axes, near), errors, np.nan)
    corners, shape = np.asarray(mesh.triangles, np.int64), np.asarray(mesh.vertices, np.float64)
    areas = vertex_areas(corners, triangle_areas(shape, corners), len(shape))
    return {f"{p}_mm": weighted_mean(errors[on], areas[on]) for p, on in parts.items()}


def _transform_mesh(mesh: Mesh, transform: Similarity) -> Mesh:
    return replace(mesh, vertices=transform.apply(np.asarray(mesh.vertices, np.float64)))


def _alignment_columns(alignment: Alignment, tip: NoseTip) -> dict[str, Any]:
    return {
        "scale": alignment.transform.scale,
        "iterations": alignment.iterations,
        "converged": alignment.converged,
        "overlap": alignment.overlap,
        "nose_tip_source": tip.source,
        "nose_tip_disagreement_mm": _known(tip.disagreement_mm),
        "nose_tip_spread_mm": _known(tip.spread_mm),
    }


def _known(length: float | None) -> float:
    return NAN if length is None else length
