"""Errors of the regions of a face, each registered by itself, as REALY measures them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ...errors import FacebenchError
from ..landmarks import transfer_parts
from ..meshes.clean import keep_vertices
from ..protocol.record import Protocol
from ..registration.deformation import grid_subsample
from ..registration.dense import Alignment
from ..registration.initialise import Initialisation
from ..registration.nonrigid import PLANES_ALONE, correspond
from ..registration.prepared_mesh import PreparedMesh
from ..surface.overlap import Correspondences, NoOverlapError, match_symmetric
from ..surface.region import OverlapRegion, Sphere
from ..surface.similarity import Similarity, similarity_between
from ..surface.surface import Surface
from ..surface.triangles import Float64Array
from .distance import DIRECTION_WEIGHTS, inlier_errors, vertex_errors
from .register import InitialisedPair, Registered

REGIONS = ("nose", "mouth", "forehead", "cheeks")
# A nose is three nodes of a whole face wide. The noise that stands for N dependent points grows
# with the root of their number: by the factor by which the constraints stand closer.
SETTINGS = replace(
    PLANES_ALONE, node_mm=8.0, data_mm=6.0, search_mm=3.0, constraint_mm2=9.0, dependence=9.0
)
RIGID_MM = 4.0  # Between the points by which a region is moved rigidly.
MOUTH_MM = 12.0  # Around the lips: they alone are too narrow to be deformed.
LEAST_TRIANGLES = 100  # Fewer do not tell how a region is deformed.
# Of a landmark from a region that has it, and of a vertex of the prediction from counterparts.
LANDMARK_MM, VERTEX_MM = 4.0, 3.0
# Of the rigid step, as in the original evaluator.
MOST_STEPS, TOLERANCE_MM2, CHEEKS_SHARE = 100, 1e-6, 0.25
MARGIN_MM = 25.0  # Of the prediction around a region: its registration moves it by far less.
# Of the prediction where a region is deformed onto it. Its points are spread 3 mm apart, and longer
# edges would say where: before the rigid step its size in mm was not known.
EDGE_MM = 2.5
# Whatever the region's size, so that the mean over all points is the mean of the regions.
EQUAL_AREA_MM2 = 10_000.0


def register_regions(pair: InitialisedPair, protocol: Protocol) -> Registered:
    """Register the prediction to each region of the scan, then the region to the prediction.

    The initialisation gives the size and a rigid motion follows for each region. Deformed is the
    scan's region, never the prediction: how a method cuts its mesh has no part in it. The alignment
    is the initialisation with the steps of all regions; measured are the regions' points beside
    their counterparts on the prediction, each region with the same area.

    Args:
        pair: with its initialisation.
        protocol: with `distance.measure` `regions`.

    Raises:
        FacebenchError: no landmarks tell the regions, or one of the two lacks a region.
    """
    prediction, scan, crop, start = pair.prediction, pair.scan, pair.crop, pair.start
    own = np.asarray(prediction.mesh.vertices, np.float64)
    at_prediction = np.full(len(own), np.nan)
    at_scan = np.full(len(scan.mesh.vertices), np.nan)
    sides, means, steps, converged = [], {}, 0, True
    for name, inside in _vertices_of_regions(prediction, scan, start, crop).items():
        part = _region(scan, inside, name)
        try:
            transform, taken, ended, found = _register(
                part.surface, prediction, start, name, protocol.intersection
            )
        except NoOverlapError as error:
            raise FacebenchError(
                f"the prediction and the scan's {name} do not overlap",
                "this protocol needs nose, mouth, forehead and cheeks of both",
            ) from error
        errors = inlier_errors(found, "point_to_surface")
        means[name] = errors.mean
        sides.append(replace(found, areas=found.areas * (EQUAL_AREA_MM2 / errors.areas.sum())))
        steps, converged = steps + taken, converged and ended
        kept = found.inliers
        # At the scan's vertices of the region; at the prediction's by the nearest counterpart.
        of_part = vertex_errors(found, "point_to_surface", part.surface.vertex_of)
        at_scan[_used_vertices(scan, inside)] = of_part
        there = transform.inverse().apply(found.on_prediction[kept])
        reach = VERTEX_MM / transform.scale
        away, nearest = cKDTree(there).query(own, distance_upper_bound=reach)
        near = np.isfinite(away)
        at_prediction[near] = found.distances[kept][np.asarray(nearest, np.int64)[near]]
    matches = match_symmetric(
        prediction.surface, scan.surface, start.transform, protocol.intersection, crop
    )
    return Registered(
        Alignment.at(start.transform, matches, steps, converged),
        (_join(sides), matches[1]),
        protocol.distance.measure,
        DIRECTION_WEIGHTS[protocol.distance.direction],
        at_prediction,
        at_scan,
        means,
    )


def _vertices_of_regions(
    prediction: PreparedMesh, scan: PreparedMesh, start: Initialisation, crop: Sphere
) -> dict[str, NDArray[np.bool_]]:
    """The scan's vertices (V,) in each region, by its own landmarks or else the prediction's."""
    landmarks = scan.landmarks
    if landmarks is None and prediction.landmarks is not None:
        landmarks = prediction.landmarks.moved(start.transform)
    if landmarks is None:
        raise FacebenchError(
            "no landmarks tell the regions of the face", "give those of the scan or the prediction"
        )
    vertices = np.asarray(scan.mesh.vertices, np.float64)
    parts, inside = transfer_parts(scan.mesh, landmarks), crop.holds(vertices)
    if parts["mouth"].any():
        apart = cKDTree(vertices[parts["mouth"]]).query(vertices)[0]
        parts["mouth"] = (apart < MOUTH_MM) & ~parts["nose"]
    return {name: parts[name] & inside for name in REGIONS}


def _used_vertices(scan: PreparedMesh, inside: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The scan's vertices (N,) that triangles inside of a region use, in their order."""
    triangles = np.asarray(scan.mesh.triangles, np.int64)
    return np.unique(triangles[inside[triangles].all(1)])


def _region(scan: PreparedMesh, inside: NDArray[np.bool_], name: str) -> PreparedMesh:
    part = keep_vertices(scan.mesh, inside)
    if len(part.triangles) < LEAST_TRIANGLES:
        raise FacebenchError(
            f"the scan shows no {name}", "this protocol needs nose, mouth, forehead and cheeks"
        )
    return replace(scan, mesh=part, landmarks=None)


def _register(
    region: Surface,
    prediction: PreparedMesh,
    start: Initialisation,
    name: str,
    rules: OverlapRegion,
) -> tuple[Similarity, int, bool, Correspondences]:
    """Rigidly the prediction to the region, then non-rigidly the region to the prediction."""
    own, theirs = start.pairs or (np.empty((0, 3)), np.empty((0, 3)))
    # No landmark lies on the cheeks, and two smooth patches slide: there all of them hold on.
    inside = (region.closest(theirs).distance < LANDMARK_MM) | (name == "cheeks")
    own, theirs = own[inside], theirs[inside]
    transform, steps, converged = _register_rigidly(
        region, prediction.surface, start.transform, (own, theirs), name
    )
    centre = region.vertices.mean(0)
    size = float(np.linalg.norm(region.vertices - centre, axis=1).max())
    moved = prediction.transform(transform).within(Sphere(centre, size + MARGIN_MM))
    moved = replace(moved, points=replace(moved.points, longest_edge_mm=EDGE_MM))
    keyed = name != "cheeks" and inside.any()
    pairs = (theirs, transform.apply(own)) if keyed else None
    found = correspond(
        region, moved.surface, Sphere.everywhere(), rules, pairs, SETTINGS, reference=region
    )
    # The region took the prediction's place there.
    found = replace(found, on_prediction=found.on_scan, on_scan=found.on_prediction)
    return transform, steps, converged, found


def _register_rigidly(
    region: Surface,
    prediction: Surface,
    transform: Similarity,
    pairs: tuple[Float64Array, Float64Array],
    name: str,
) -> tuple[Similarity, int, bool]:
    """Iterated closest points of a region on the prediction, and its landmarks.

    As the original: a region's landmarks together weigh as much as its points, those beside the
    cheeks a quarter; it ends once the mean squared distance changes by less than 1e-6 mm², or
    after 100 steps.
    """
    (own, theirs), before = pairs, np.inf
    index, areas = grid_subsample(region.vertices, region.areas, RIGID_MM)
    points = region.vertices[index]
    share = (CHEEKS_SHARE if name == "cheeks" else 1.0) / max(len(own), 1)
    weights = np.r_[areas / areas.sum(), np.full(len(own), share)]
    target = np.concatenate([points, theirs])
    for step in range(1, MOST_STEPS + 1):
        # The region goes to the prediction: moving the prediction would rebuild its tree.
        closest = prediction.closest(transform.inverse().apply(points)).position
        source = np.concatenate([closest, own])
        motion = similarity_between(transform.apply(source), target, 1.0, weights)
        transform = motion.after(transform)
        square = ((transform.apply(source) - target) ** 2).sum(1)
        error = float(np.average(square, weights=weights))
        if abs(before - error) < TOLERANCE_MM2:
            return transform, step, True
        before = error
    return transform, MOST_STEPS, False


def _join(sides: list[Correspondences]) -> Correspondences:
    names = Correspondences.__dataclass_fields__
    return Correspondences(
        **{name: np.concatenate([getattr(side, name) for side in sides]) for name in names}
    )
