"""Distances between two surfaces in their region of intersection, and their statistics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...errors import FacebenchError
from ..surface.overlap import Correspondences
from ..surface.triangles import Float64Array, IndexArray

CURVE_MM = np.linspace(0.0, 5.0, 101)  # Thresholds of the cumulative error curve.


def point_to_plane(matches: Correspondences) -> Float64Array:
    """|(p − q) · n| (N,) for each point p, its closest point q and the normal n there, mm."""
    return matches.point_to_plane


def point_to_surface(matches: Correspondences) -> Float64Array:
    """|p − q| (N,) for each point p and its closest point q, mm."""
    return matches.distances


# What is taken of a pair of points: closest ones, or for `correspondence` corresponding ones.
MEASURES: Mapping[str, Callable[[Correspondences], Float64Array]] = {
    "point_to_plane": point_to_plane,
    "point_to_surface": point_to_surface,
    "correspondence": point_to_surface,
}
# Weight of the scan's points and of the prediction's, whatever their numbers.
DIRECTION_WEIGHTS: Mapping[str, tuple[float, float]] = {
    "symmetric": (0.5, 0.5),
    "scan_to_prediction": (1.0, 0.0),
    "prediction_to_scan": (0.0, 1.0),
}


@dataclass(frozen=True)
class Distances:
    """Unsigned errors of a set of points with the weights they count with.

    Attributes:
        values: (N,) mm, ascending.
        weights: (N,) with sum 1.
    """

    values: Float64Array
    weights: Float64Array

    @classmethod
    def pooled(cls, parts: Sequence[Float64Array], shares: Sequence[float]) -> Distances:
        """Several sets of errors as one, each with its share of the weight, whatever its size.

        Raises:
            FacebenchError: when a set that counts is empty.
        """
        pairs = [pair for pair in zip(parts, shares, strict=True) if pair[1] > 0]
        if not all(len(part) for part, _ in pairs):
            raise FacebenchError(
                "prediction and scan do not overlap", "check that both are faces in millimetres"
            )
        values = np.concatenate([part for part, _ in pairs])
        weights = np.concatenate([np.full(len(part), share / len(part)) for part, share in pairs])
        order = np.argsort(values, kind="stable")
        return cls(values[order], weights[order])

    @property
    def mean(self) -> float:
        """Weighted mean."""
        return float(self.weights @ self.values)

    @property
    def rmse(self) -> float:
        """Root of the weighted mean square."""
        return float(np.sqrt(self.weights @ self.values**2))

    @property
    def std(self) -> float:
        """Weighted standard deviation about the mean."""
        return float(np.sqrt(self.weights @ (self.values - self.mean) ** 2))

    @property
    def median(self) -> float:
        """Weighted median."""
        return self.quantile(0.5)

    def quantile(self, share: float) -> float:
        """The value below which a share of the weight lies, linear between points."""
        return float(np.interp(share, np.cumsum(self.weights) - self.weights / 2, self.values))

    def share_within(self, thresholds: Float64Array) -> Float64Array:
        """Share (T,) of the weight at or below thresholds (T,) in mm."""
        cumulative = np.r_[0.0, np.cumsum(self.weights)]
        shares = cumulative[np.searchsorted(self.values, thresholds, "right")]
        return np.asarray(np.minimum(shares, 1.0))


def statistics(
    errors: tuple[Float64Array, Float64Array], weights: tuple[float, float], statistic: str
) -> dict[str, float]:
    """The columns of a score, mm: see `score.Score`.

    Args:
        errors: of the scan's points and of the prediction's, mm.
        weights: of the two, see `DIRECTION_WEIGHTS`.
        statistic: `mean`, `median` or `rmse`, which becomes `value_mm`.
    """
    distances = Distances.pooled(errors, weights)
    within = distances.share_within(np.array([1.0, 2.0, 3.0]))
    return {
        "value_mm": float(getattr(distances, statistic)),
        "mean_mm": distances.mean,
        "median_mm": distances.median,
        "rmse_mm": distances.rmse,
        "std_mm": distances.std,
        "p90_mm": distances.quantile(0.9),
        "scan_to_prediction_mm": nan_mean(errors[0]),
        "prediction_to_scan_mm": nan_mean(errors[1]),
        **{
            f"share_within_{mm}mm": float(share)
            for mm, share in zip((1, 2, 3), within, strict=True)
        },
    }


def closest_point_means(matches: tuple[Correspondences, Correspondences]) -> dict[str, float]:
    """Means of both measures in both directions and of the two, mm: see `score.Score`."""
    means: dict[str, float] = {}
    for measure in ("point_to_plane", "point_to_surface"):
        to_prediction, to_scan = (nan_mean(side) for side in inlier_errors(matches, measure))
        means |= {
            f"{measure}_symmetric_mm": (to_prediction + to_scan) / 2,
            f"{measure}_scan_to_prediction_mm": to_prediction,
            f"{measure}_prediction_to_scan_mm": to_scan,
        }
    return means


def inlier_errors(
    matches: tuple[Correspondences, Correspondences], measure: str
) -> tuple[Float64Array, Float64Array]:
    """The errors of both directions over the region of intersection, mm."""
    to_prediction, to_scan = (MEASURES[measure](side)[side.inliers] for side in matches)
    return to_prediction, to_scan


def vertex_errors(matches: Correspondences, measure: str, vertex_of: IndexArray) -> Float64Array:
    """Errors (V,) at a mesh's own vertices, NaN outside of the region of intersection.

    Args:
        matches: of all vertices of the mesh's surface.
        measure: a name in `MEASURES`.
        vertex_of: (V,) the surface's vertex of each of the mesh's, -1 for none.
    """
    errors = np.where(matches.inliers, MEASURES[measure](matches), np.nan)
    return np.where(vertex_of >= 0, errors[vertex_of], np.nan)


def nan_mean(values: Float64Array) -> float:
    """Mean of the values that are not NaN; NaN where there is none."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
