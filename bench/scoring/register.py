"""Crop and registration of one pair under a protocol, and the errors of its points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from ...errors import FacebenchError
from ...recon.mesh import Mesh
from ..protocol.record import Crop, Protocol
from ..registration.dense import Alignment, align
from ..registration.dogleg import align_by_dogleg
from ..registration.initialise import Initialisation, initialise, seven_of
from ..registration.nose_tip import (
    NOSE_TIP,
    NoseTip,
    crop_centre,
    find_nose_tip,
    own_nose_tip,
    tip_on_scan,
)
from ..registration.prepared_mesh import PreparedMesh
from ..surface.overlap import Correspondences, match_symmetric
from ..surface.region import Sphere
from ..surface.similarity import Similarity, similarity_between
from ..surface.surface import Surface
from ..surface.triangles import Float64Array, unit
from ..surface.visibility import axes_around
from .distance import (
    DIRECTION_WEIGHTS,
    WeightedErrors,
    closest_point_means,
    covered_share,
    f_score,
    inlier_errors,
    normal_error_deg,
    statistics,
    vertex_errors,
)

# By which a scan is cut larger than a counted point reaches: triangles are left out whole.
MARGIN_MM = 5.0
DIVERGED_MM = 100.0  # Root mean square: as large as a head, no error of a face.
SMALLEST = 1.3  # Predictions may be smaller than the scan by this factor and still reach the crop.
BRIDGE_SHARE = 0.3  # How far from the bottom of the nose to its bridge NoW's centre of a face lies.

_POINT_TO_SURFACE = (
    "point_to_surface_scan_to_prediction_mm",
    "point_to_surface_prediction_to_scan_mm",
)


@dataclass(frozen=True, eq=False)
class InitialisedPair:
    """Both meshes as far as they count, and how the one comes to lie on the other.

    The same for all protocols that crop and register alike (`Protocol.registers_as`), whatever
    distances and statistics they take.

    Attributes:
        prediction, scan: what of them is near the crop and, of the prediction, seen from outside.
        crop: the part of the scan that counts.
        tip: where it is centred.
        start: from the prediction's space to the scan's.
        protocol: with the alignment as it is to be done.
        whole: the prediction before anything was left out.
        scaling: what the prediction was given before everything else.
        is_cloud: whether the scan's surface was laid through points, and nothing is measured to it.
    """

    prediction: PreparedMesh
    scan: PreparedMesh
    crop: Sphere
    tip: NoseTip
    start: Initialisation
    protocol: Protocol
    whole: Mesh
    scaling: Similarity = field(default_factory=Similarity.identity)
    is_cloud: bool = False

    @cached_property
    def alignment(self) -> Alignment:
        """The initialisation, taken to convergence where the protocol says so.

        Raises:
            FacebenchError: when the surfaces do not overlap.
        """
        surfaces, rules = (self.prediction.surface, self.scan.surface), self.protocol.intersection
        start, settings = self.start.transform, self.protocol.alignment
        if not settings.dense:
            # The landmarks alone decide.
            return Alignment.at(start, match_symmetric(*surfaces, start, rules, self.crop))
        register = align_by_dogleg if settings.stop == "dogleg" else align
        return register(*surfaces, start, rules, self.crop, settings)


def initialise_on_crop(
    prediction: PreparedMesh,
    scan: PreparedMesh,
    protocol: Protocol,
    subject: str,
    label: Float64Array | None,
) -> InitialisedPair:
    """Find the part of the scan that counts and where the prediction lies on it.

    Where landmarks give the initialisation and the centre is labelled, nothing needs to be
    registered to the whole scan first.

    Args:
        prediction, scan: the pair.
        protocol: with the alignment as it is to be done.
        subject: may have a crop of its own.
        label: (3,) the scan's nose tip, or None.
    """
    # A given label first, then landmark 31 of the scan, which may be a detector's.
    label, crop = _label(scan, label), protocol.crop
    settings, rules = protocol.alignment, protocol.intersection
    reach, whole = _reach_mm(protocol, subject), prediction.mesh
    axes, outside = prediction.axes, protocol.points.prediction == "outside"
    if outside and axes is not None:
        # Before anything is registered: eyeballs behind the lids must not draw the lids in.
        prediction = prediction.outside(axes, reach)
    if crop.centre == "nose_tip" and label is not None and prediction.landmarks and scan.landmarks:
        near = _within_reach(scan, Sphere(label, crop.radius_of(subject)), protocol)
        start = initialise(prediction, near, settings, rules)
        sphere, tip = crop_sphere(prediction, near, start.transform, crop, subject, label)
    else:
        # The whole scan first: the crop's centre is found with the face registered to it.
        start = initialise(prediction, scan, settings, rules, label)
        sphere, tip = crop_sphere(prediction, scan, start.transform, crop, subject, label)
        near = _within_reach(scan, sphere, protocol)
        # A search is not repeated: it costs most of a measurement, and its place is the same.
        if start.source != "search":
            start = initialise(prediction, near, settings, rules)
    if outside and axes is None:
        # Without landmarks the scan tells where the face looks to: it shows one side only.
        front = start.transform.inverse().turn(_mean_normal(near.surface, sphere)[None])[0]
        own_axes = axes_around(front, prediction.surface.frame.rotation)
        prediction = prediction.outside(own_axes, reach)
    return InitialisedPair(prediction, near, sphere, tip, start, protocol, whole)


def _mean_normal(scan: Surface, sphere: Sphere) -> Float64Array:
    """The mean unit normal (3,) of the scan in a sphere, by area."""
    inside = sphere.vertices_of(scan)
    # Of the crop alone: over a whole closed head the normals cancel.
    return unit(scan.areas[inside] @ scan.normals[inside])


def _reach_mm(protocol: Protocol, subject: str) -> float:
    """Distance from the prediction's nose tip, in its size, beyond which nothing can count."""
    if protocol.takes_any_unit:
        return float("inf")
    radius = protocol.crop.radius_of(subject) + protocol.intersection.max_distance_mm
    return SMALLEST * (radius + MARGIN_MM)


def crop_sphere(
    prediction: PreparedMesh,
    scan: PreparedMesh,
    transform: Similarity,
    crop: Crop,
    subject: str,
    label: Float64Array | None,
) -> tuple[Sphere, NoseTip]:
    """The sphere of the scan that counts, and its centre with where that came from.

    Args:
        prediction, scan: the pair.
        transform: from the prediction's space to the scan's, within a few mm.
        crop: of the protocol.
        subject: may have a radius of its own.
        label: (3,) the scan's nose tip; without it landmark 31 of the scan's 68 stands for it.

    Raises:
        FacebenchError: when the protocol needs landmarks and the scan has none.
    """
    if crop.centre == "seven_landmarks":
        sphere = seven_sphere(seven_of(scan, "scan"), crop.radius_share)
        return sphere, NoseTip(sphere.centre, "seven_landmarks")
    label = _label(scan, label)
    own = own_nose_tip(prediction.mesh)
    if own is None:
        # Its nose is known to a centimetre only: the mean face that told it goes along to the scan.
        found = find_nose_tip(scan.surface, transform.after(prediction.mean_pose))
    else:
        found = tip_on_scan(scan.surface, prediction.surface, own, transform)
    tip = crop_centre(found, label)
    return Sphere(tip.position, crop.radius_of(subject)), tip


def _label(scan: PreparedMesh, label: Float64Array | None) -> Float64Array | None:
    if label is None and scan.landmarks is not None and len(scan.landmarks.points) == 68:
        return np.asarray(scan.landmarks.points[NOSE_TIP], np.float64)
    return label


def _within_reach(scan: PreparedMesh, crop: Sphere, protocol: Protocol) -> PreparedMesh:
    """The scan as far as a counted point can see it.

    Shoulders, a table or stray fragments then have no part in a score, not even in the order in
    which it is added up; where the pose is searched, they had one in where it starts.
    """
    reach = crop.radius_mm + protocol.intersection.max_distance_mm + MARGIN_MM
    part = scan.within(Sphere(crop.centre, reach))
    # Only now: a table below the face would take all the vertices that a subdivision may have.
    return replace(part, points=protocol.points)


def seven_sphere(seven: Float64Array, radius_share: float) -> Sphere:
    """The sphere by which NoW and FG2018 crop a scan.

    Sanyal et al., "Learning to Regress 3D Face Shape and Expression from an Image without 3D
    Supervision" (2019); Feng et al., "Evaluation of Dense 3D Reconstruction from 2D Face Images in
    the Wild" (2018).

    Args:
        seven: (7, 3) landmarks of the scan in NoW's order, mm.
        radius_share: of the mean of the outer-eye distance and the length of the nose.
    """
    # Between the inner eye corners: neither evaluator has a landmark of the bridge.
    bridge, bottom = (seven[1] + seven[2]) / 2, seven[4]
    eyes, nose = np.linalg.norm(seven[0] - seven[3]), np.linalg.norm(bridge - bottom)
    centre = bottom + BRIDGE_SHARE * (bridge - bottom)
    return Sphere(centre, radius_share * float(eyes + nose) / 2)


@dataclass(frozen=True, eq=False)
class Registered:
    """What can be measured once the prediction is registered to the scan.

    Attributes:
        alignment: the registration, and the closest points of each on the other.
        measured: points of the scan and of the prediction with their counterparts, whose distances
            are the errors; of corresponding points only those of the prediction.
        weights: of the two directions.
        vertex_errors: (V,) at the prediction's own vertices, mm, NaN where one does not count.
        scan_errors: the same at the scan's own, all NaN for corresponding points.
        regions: means of regions that were registered each by itself, mm.
        deviation_mm: of the mean of corresponding points, see `deviation_of_mean`; else NaN.
    """

    alignment: Alignment
    measured: tuple[Correspondences | None, Correspondences]
    measure: str
    weights: tuple[float, float]
    vertex_errors: Float64Array
    scan_errors: Float64Array
    regions: Mapping[str, float] = field(default_factory=dict)
    deviation_mm: float = float("nan")

    @property
    def errors(self) -> tuple[WeightedErrors, WeightedErrors]:
        """Errors of the scan's points and of the prediction's that count."""
        of_scan, of_prediction = (inlier_errors(side, self.measure) for side in self.measured)
        return of_scan, of_prediction

    def statistics(self, statistic: str) -> dict[str, float]:
        """The columns of a score that are statistics of distances, see `result.Score`."""
        matches, errors = self.alignment.matches, self.errors
        means = closest_point_means(matches)
        counted = [index for index, weight in enumerate(self.weights) if weight > 0]
        shares = [self.weights[index] * means[_POINT_TO_SURFACE[index]] for index in counted]
        return {
            **statistics(errors, self.weights, statistic),
            **means,
            "point_to_surface_mm": sum(shares),
            "deviation_mm": self.deviation_mm,
            "n_points": sum(len(errors[index].values) for index in counted),
            "completeness": covered_share(matches[0]),
            "normal_error_deg": normal_error_deg(matches),
            "f_score_1mm": f_score(matches, 1.0),
        }


def register_pair(pair: InitialisedPair, protocol: Protocol) -> Registered:
    """Register a pair densely where the protocol says so, and take its distances.

    Raises:
        FacebenchError: when the surfaces do not overlap.
    """
    prediction, scan, crop, alignment = pair.prediction, pair.scan, pair.crop, pair.alignment
    if not alignment.residual_mm < DIVERGED_MM:
        far = f"{alignment.residual_mm:.2g} mm remain between the two"
        if np.isinf(alignment.residual_mm):
            far = "no point of the one has a counterpart on the other"
        if protocol.alignment.start == "as_given":
            raise FacebenchError(
                f"the prediction does not lie on the scan: {far}",
                f"protocol {protocol.name} measures where it lies: write it in the scan's space",
            )
        raise FacebenchError(
            f"the registration went astray: {far}",
            "the prediction covers too little of the crop for this protocol; micc leaves out what "
            "has no counterpart",
        )
    measure = protocol.distance.measure
    weights = DIRECTION_WEIGHTS[protocol.distance.direction]
    if measure == "correspondence":
        moved = prediction.transform(alignment.transform)
        found, alignment, deviation = _corresponding(moved, pair, protocol)
        # Longer edges are halved at the scan's size: not the vertices of before.
        at_vertices = vertex_errors(found, measure, moved.surface.vertex_of)
        nowhere = np.full(len(scan.mesh.vertices), np.nan)
        return Registered(
            alignment,
            (None, found),
            measure,
            weights,
            at_vertices,
            nowhere,
            deviation_mm=deviation,
        )
    at_vertices = vertex_errors(alignment.matches[1], measure, prediction.surface.vertex_of)
    cropped = alignment.matches[0].scatter(scan.surface.areas, crop.vertices_of(scan.surface))
    at_scan = vertex_errors(cropped, measure, scan.surface.vertex_of)
    return Registered(alignment, alignment.matches, measure, weights, at_vertices, at_scan)


def _corresponding(
    prediction: PreparedMesh, pair: InitialisedPair, protocol: Protocol
) -> tuple[Correspondences, Alignment, float]:
    """The prediction's points with their corresponding ones, where these put it, and how far the
    mean of their distances may be off, mm.

    The transform of the closest points is the best for closest points only: it slides and shrinks
    a wrong face until they are near. Distances between corresponding points are taken where those
    are nearest to each other.
    """
    from ..registration.nonrigid import (
        PLANES_ALONE,
        counterparts,
        deviation_of_mean,
        register_nonrigidly,
    )

    transform, marks = pair.alignment.transform, pair.start.pairs
    pairs = marks and (transform.apply(marks[0]), marks[1])
    crop, rules = pair.crop, protocol.intersection
    # Skin that slid within itself has the normals of before: they would overrule landmarks, which
    # alone see it. Runs from before normals were looked at keep their protocol and their numbers.
    by_normals = protocol.distance.along == "normals" and pairs is None
    settings = None if by_normals else PLANES_ALONE
    surfaces = prediction.surface, pair.scan.surface
    registered = register_nonrigidly(*surfaces, crop, rules, pairs, settings)
    found = counterparts(registered, crop, rules)
    # A rigid protocol stays rigid here too, or its size error would go unseen.
    factor = 1.0 if protocol.alignment.scale == "none" else None
    kept = found.inliers
    back = similarity_between(
        found.on_prediction[kept], found.on_scan[kept], factor, found.areas[kept]
    )
    points = back.apply(found.on_prediction)
    distances = np.linalg.norm(points - found.on_scan, axis=1)
    found = replace(found, on_prediction=points, distances=distances)
    deviation = deviation_of_mean(registered, found, scaled=factor is None)
    return found, replace(pair.alignment, transform=back.after(transform)), deviation
