"""Which part of a scan a protocol measures: the sphere, and what it was centred by."""

from __future__ import annotations

import numpy as np

from ..protocol.alignment_settings import AlignmentSettings
from ..protocol.record import Crop
from ..registration.initialise import Side, Start, find_start, seven_of
from ..registration.nose_tip import NOSE_TIP, NoseTip, crop_centre, own_nose_tip
from ..surface.crop import Sphere
from ..surface.intersection import Intersection
from ..surface.similarity import Similarity
from ..surface.triangles import Float64Array

MARGIN_MM = 5.0
"""By which a scan is cut larger than a counted point reaches: triangles are left out whole."""
BRIDGE_SHARE = 0.3
"""How far from the bottom of the nose to its bridge NoW's centre of a face lies."""


def start_on_part(
    prediction: Side,
    scan: Side,
    crop: Crop,
    subject: str,
    label: Float64Array | None,
    settings: AlignmentSettings,
    intersection: Intersection,
) -> tuple[Sphere, NoseTip, Side, Start]:
    """The sphere that counts, its centre, the scan as far as it matters, and the start on that.

    Where landmarks give the start and the centre is labelled, nothing needs to be laid on the
    whole scan first.

    Args:
        prediction, scan, crop, subject, label: see `measured_part`.
        settings, intersection: of the protocol, see `find_start`.
    """
    label = _label(scan, label)
    if crop.centre == "nose_tip" and label is not None and prediction.landmarks and scan.landmarks:
        near = _seen(scan, Sphere(label, crop.radius_of(subject)), intersection)
        start = find_start(prediction, near, settings, intersection)
        return *measured_part(prediction, near, start.transform, crop, subject, label), near, start
    start = find_start(prediction, scan, settings, intersection)
    sphere, tip = measured_part(prediction, scan, start.transform, crop, subject, label)
    near = _seen(scan, sphere, intersection)
    if near is not scan and start.source != "search":
        start = find_start(prediction, near, settings, intersection)
    return sphere, tip, near, start


def measured_part(
    prediction: Side,
    scan: Side,
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
    tip = crop_centre(own, prediction.surface, scan.surface, transform, label)
    return Sphere(tip.position, crop.radius_of(subject)), tip


def _label(scan: Side, label: Float64Array | None) -> Float64Array | None:
    if label is None and scan.landmarks is not None and len(scan.landmarks.points) == 68:
        return np.asarray(scan.landmarks.points[NOSE_TIP], np.float64)
    return label


def _seen(scan: Side, crop: Sphere, intersection: Intersection) -> Side:
    """The scan as far as a counted point can see it.

    Shoulders, a table or stray fragments then have no part in a score, not even in the order in
    which it is added up; where the pose is searched, they had one in where it starts.
    """
    reach = crop.radius_mm + intersection.max_distance_mm + MARGIN_MM
    return scan.within(Sphere(crop.centre, reach))


def seven_sphere(seven: Float64Array, radius_share: float) -> Sphere:
    """The sphere by which NoW and FG2018 crop a scan.

    Sanyal et al., "Learning to Regress 3D Face Shape and Expression from an Image without 3D
    Supervision" (2019); Feng et al., "Evaluation of Dense 3D Reconstruction from 2D Face Images in
    the Wild" (2018).

    Args:
        seven: (7, 3) landmarks of the scan in NoW's order, mm.
        radius_share: of the mean of the outer-eye distance and the length of the nose.
    """
    bridge, bottom = (seven[1] + seven[2]) / 2, seven[4]
    eyes, nose = np.linalg.norm(seven[0] - seven[3]), np.linalg.norm(bridge - bottom)
    centre = bottom + BRIDGE_SHARE * (bridge - bottom)
    return Sphere(centre, radius_share * float(eyes + nose) / 2)
