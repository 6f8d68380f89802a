"""A scan's points: the surface through a cloud of them, and what their noise adds to a score."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, cKDTree

from ...errors import FacebenchError
from ...recon.mesh import Mesh
from ..surface.triangles import Float64Array, IndexArray, double_areas, lengths, unit

FEWEST = 500  # Points that can show a face.
FLAT = 1e-6  # Of the largest spread squared: no face is so flat.
GAP = 5.0  # In median edges: a longer one bridges a hole or the outline.
ALONG = 0.5  # Cosine from its points' own normals below which a triangle joins two layers.
AROUND = 16  # Points that tell a normal.
LEAST = 0.05  # Of that cosine, where it divides.
NEIGHBOURS = 24  # Of a local fit with ten parameters.
N_FITS = 1500  # Places at which the noise is taken; their median is what counts.
# Of the scan's points, and of a prediction's on the scan: inside a triangle the noise of three
# corners is averaged, its variance halved.
ON_POINTS, ON_TRIANGLES = 1.0, np.sqrt(0.5)
# Of normally distributed noise of deviation 1: of its absolute value.
STATISTICS = {"mean": np.sqrt(2 / np.pi), "median": 0.6745, "rmse": 1.0}


def surface_of_points(points: Float64Array) -> Mesh:
    """Triangles between the points of a face, for its order, its normals and its areas.

    The points are seen from the middle of the sphere that fits them best, from where a face, and a
    whole head, is nearly one layer, and joined by the convex hull of the directions to them:
    Delaunay's triangulation on a sphere. Long edges, over holes and beside the outline, go, and
    triangles across the surface that the points around show: an ear and the neck behind it lie in
    one direction. A point that is left without any keeps the one that is least so.
    Distances are taken from the points to the prediction alone: this surface is not measured to.

    Args:
        points: (N, 3), mm.

    Raises:
        FacebenchError: too few points, or points in a line or a plane.
    """
    known = np.unique(points[np.isfinite(points).all(1)], axis=0)
    if len(known) < FEWEST:
        raise FacebenchError(
            f"the scan is a cloud of {len(known)} points, too few to show a face",
            f"at least {FEWEST} are needed",
        )
    centred = known - known.mean(0)
    sizes = np.linalg.eigvalsh(centred.T @ centred)
    if sizes[0] < FLAT * sizes[2]:
        shape = "line" if sizes[1] < FLAT * sizes[2] else "plane"
        raise FacebenchError(f"the points of the scan lie in a {shape}", "is it a scan of a face?")
    directions = unit(centred - _middle(centred))
    triangles = ConvexHull(directions).simplices.astype(np.int64)
    # A hull's triangles come either way round.
    outward = double_areas(directions, triangles)
    inwards = (outward * directions[triangles[:, 0]]).sum(1) < 0
    triangles[inwards] = triangles[inwards][:, ::-1]
    near = np.asarray(cKDTree(known).query(known, k=AROUND)[1])
    # Of two points in one direction the hull has one: the other gets those next to it.
    on_hull = np.zeros(len(known), bool)
    on_hull[triangles] = True
    triangles = np.concatenate([triangles, near[~on_hull, :3]])
    return Mesh(known, triangles[_of_one_layer(known, triangles, near)])


def _middle(points: Float64Array) -> Float64Array:
    """The middle (3,) of the sphere that is nearest to points (N, 3) about 0."""
    # |p|² = 2 p·m + r² − |m|², linear in what is sought.
    terms = np.concatenate([2 * points, np.ones((len(points), 1))], axis=1)
    return np.asarray(np.linalg.lstsq(terms, (points**2).sum(1))[0][:3])


def _of_one_layer(
    points: Float64Array, triangles: IndexArray, near: IndexArray
) -> NDArray[np.bool_]:
    """Which of the triangles (F, 3) lie along the surface of points (N, 3), those near (N, K) to
    each given; of each point one at least."""
    corners = points[triangles]
    longest = lengths(corners - corners[:, [1, 2, 0]]).max(1)
    offsets = points[near] - points[near].mean(1, keepdims=True)
    # Of either sign: eigh sorts ascending, and the normal is the axis of least spread.
    normals = np.linalg.eigh(np.einsum("nki,nkj->nij", offsets, offsets))[1][:, :, 0]
    across = unit(double_areas(points, triangles))
    along = np.abs(np.einsum("fc,fkc->fk", across, normals[triangles])).min(1)
    kept = (longest <= GAP * np.median(longest)) & (along > ALONG)
    # One without a triangle would not be measured, unseen.
    order = np.argsort(longest / along.clip(LEAST), kind="stable")
    best = order[np.unique(triangles[order], return_index=True)[1] // 3]
    is_bare = np.ones(len(points), bool)
    is_bare[triangles[kept]] = False
    kept[best[is_bare]] = True
    return np.asarray(kept)


def noise_mm(points: Float64Array) -> float:
    """Standard deviation of a scan's noise across its surface, mm.

    Of the residuals of cubic fits to the neighbours of some points, with the fits' degrees of
    freedom taken off; their median, so that edges and hair have no part in it. What is smooth over
    a dozen neighbours, a wrong calibration, is not seen; of points 5 mm apart the shape of a face
    counts as 0.1 mm of it.

    Args:
        points: (N, 3) of the measured part, more than a hundred, mm.
    """
    if len(points) <= 4 * NEIGHBOURS:
        return float("nan")
    some = points[:: max(1, len(points) // N_FITS)]
    near = points[cKDTree(points).query(some, k=NEIGHBOURS)[1]]
    offsets = near - near.mean(1, keepdims=True)
    # The normal is the axis of least spread: eigh sorts ascending.
    axes = np.linalg.eigh(np.einsum("nki,nkj->nij", offsets, offsets))[1]
    height, x, y = np.moveaxis(np.einsum("nki,nij->nkj", offsets, axes), -1, 0)
    # With quadratic terms alone noses are noise where points are 3 mm apart.
    terms = np.stack([x**i * y**j for i in range(4) for j in range(4 - i)], axis=-1)
    fitted = np.einsum("nij,nj->ni", np.linalg.pinv(terms), height)
    left = height - np.einsum("nki,ni->nk", terms, fitted)
    variance = (left**2).sum(1) / (NEIGHBOURS - terms.shape[-1])
    return float(np.sqrt(np.median(variance)))


def noise_floor_mm(noise: float, weights: tuple[float, float], statistic: str) -> float:
    """What a perfect prediction would score through a scan's noise.

    Args:
        noise: standard deviation, mm, see `noise_mm`.
        weights: of the scan's points and of the prediction's in the score.
        statistic: over points, a name in `STATISTICS`.
    """
    shares = weights[0] * ON_POINTS + weights[1] * ON_TRIANGLES
    return float(STATISTICS[statistic] * noise * shares)
