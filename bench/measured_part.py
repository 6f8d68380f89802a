"""Which part of a scan a protocol measures: the sphere, and what it was centred by."""

from __future__ import annotations

import numpy as np

from .alignment_settings import AlignmentSettings
from .crop import Sphere
from .intersection import Intersection
from .nose_tip import NOSE_TIP, NoseTip, crop_centre, own_nose_tip
from .protocol import Crop
from .similarity import Similarity
from .start import Side, Start, find_start, seven_of
from .triangles import Float64Array

MARGIN_MM = 5.0
"""By which a scan is cut larger than a counted point reaches: triangles are left out whole."""
BRIDGE_SHARE = 0.3
"""How far from the bottom of the nose to its bridge NoW's centre of a face lies."""


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
    if label is None and scan.landmarks is not None and len(scan.landmarks.points) == 68:
        label = scan.landmarks.points[NOSE_TIP]
    own = own_nose_tip(prediction.mesh)
    tip = crop_centre(own, prediction.surface, scan.surface, transform, label)
    return Sphere(tip.position, crop.radius_of(subject)), tip


def cut_to(
    crop: Sphere,
    prediction: Side,
    scan: Side,
    start: Start,
    settings: AlignmentSettings,
    intersection: Intersection,
) -> tuple[Side, Start]:
    """The scan as far as a counted point can see it, and the start by landmarks on that alone.

    Shoulders, a table or stray fragments then have no part in a score, not even in the order in
    which it is added up; where the pose is searched, they had one in where it starts.
    """
    reach = crop.radius_mm + intersection.max_distance_mm + MARGIN_MM
    near = scan.within(Sphere(crop.centre, reach))
    if near is scan or start.source == "search":
        return near, start
    return near, find_start(prediction, near, settings, intersection)


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
