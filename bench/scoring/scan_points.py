"""A scan's points: the surface through a cloud of them, and what their noise adds to a score."""

from __future__ import annotations

import numpy as np
from scipy.spatial import Delaunay, cKDTree

from ...errors import FacebenchError
from ...recon.mesh import Mesh
from ..surface.triangles import Float64Array, double_areas, lengths

FEWEST = 500  # Points that can show a face.
GAP = 5.0  # In median edges: a longer one bridges a hole or the outline.
NEIGHBOURS = 24  # Of a local fit with ten parameters.
N_FITS = 1500  # Places at which the noise is taken; their median is what counts.
# Of the scan's points, and of a prediction's on the scan: inside a triangle the noise of three
# corners is averaged, its variance halved.
ON_POINTS, ON_TRIANGLES = 1.0, np.sqrt(0.5)
# Of normally distributed noise of deviation 1: of its absolute value.
STATISTICS = {"mean": np.sqrt(2 / np.pi), "median": 0.6745, "rmse": 1.0}


def surface_of_points(points: Float64Array) -> Mesh:
    """Triangles between the points of a face, for its order, its normals and its areas.

    The points are projected along their shortest principal axis, from where a face seen by a
    scanner is a height field, and joined by Delaunay's triangulation; long edges, over holes and
    beside the outline, go, unless a point has no other. Its outside is where it is convex.
    Distances are taken from the points to the prediction alone: this surface is not measured to.

    Args:
        points: (N, 3), mm.

    Raises:
        FacebenchError: too few points, or points in a line.
    """
    known = np.unique(points[np.isfinite(points).all(1)], axis=0)
    if len(known) < FEWEST:
        raise FacebenchError(
            f"the scan is a cloud of {len(known)} points, too few to show a face",
            f"at least {FEWEST} are needed",
        )
    centred = known - known.mean(0)
    sizes, axes = np.linalg.eigh(centred.T @ centred)
    if sizes[1] < 1e-6 * sizes[2]:
        raise FacebenchError("the points of the scan lie in a line", "is it a scan of a face?")
    triangles = Delaunay(centred @ axes[:, 1:]).simplices.astype(np.int64)
    corners = known[triangles]
    longest = lengths(corners - corners[:, [1, 2, 0]]).max(1)
    kept = longest <= GAP * np.median(longest)
    # And of each point its smallest: one without a triangle would not be measured, unseen.
    order = np.argsort(longest, kind="stable")
    kept[order[np.unique(triangles[order], return_index=True)[1] // 3]] = True
    triangles = triangles[kept]
    outward = double_areas(known, triangles)
    # One side of the projection is the front for all triangles alike.
    outward *= np.sign(outward @ axes[:, 0])[:, None]
    is_convex = float((outward * (known[triangles].mean(1) - known.mean(0))).sum()) > 0
    front = axes[:, 0] if is_convex else -axes[:, 0]
    wrong = double_areas(known, triangles) @ front < 0
    triangles[wrong] = triangles[wrong][:, ::-1]
    return Mesh(known, triangles)


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
