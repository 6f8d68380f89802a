"""Distances between two surfaces in their region of intersection, and their statistics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..surface.triangles import Float64Array, IndexArray

if TYPE_CHECKING:
    from ..surface.overlap import Correspondences

CURVE_MM = np.linspace(0.0, 5.0, 101)  # Thresholds of the cumulative error curve.

# Weight of the scan's points and of the prediction's, whatever their numbers.
DIRECTION_WEIGHTS: Mapping[str, tuple[float, float]] = {
    "symmetric": (0.5, 0.5),
    "scan_to_prediction": (1.0, 0.0),
    "prediction_to_scan": (0.0, 1.0),
}


def point_to_plane(matches: Correspondences) -> Float64Array:
    """|(p − q) · n| (N,) for each point p, its closest point q and the normal n there, mm."""
    return matches.point_to_plane


def point_to_surface(matches: Correspondences) -> Float64Array:
    """|p − q| (N,) for each point p and its closest point q, mm."""
    return matches.distances


# What is taken of a pair of points: closest ones, or for `correspondence` and
# `regions` corresponding ones.
MEASURES: Mapping[str, Callable[[Correspondences], Float64Array]] = {
    "point_to_plane": point_to_plane,
    "point_to_surface": point_to_surface,
    "correspondence": point_to_surface,
    "regions": point_to_surface,
}


class Distances:
    """Unsigned errors of several sets as one, each with its share of the weight, whatever its size.

    Args:
        parts: the errors of each set, mm.
        shares: of the weight.
        areas: that each error stands for; None for all alike.

    Attributes:
        values: (N,) mm, ascending.
        weights: (N,) with sum 1.

    Raises:
        NoOverlapError: when a set that counts is empty.
    """

    def __init__(
        self,
        parts: Sequence[Float64Array],
        shares: Sequence[float],
        areas: Sequence[Float64Array] | None = None,
    ) -> None:
        each = areas or [np.ones(len(part)) for part in parts]
        sets = [one for one in zip(parts, shares, each, strict=True) if one[1] > 0]
        if not all(len(part) for part, _, _ in sets):
            # Here: Open3D comes with it, and tables of measured runs need the thresholds alone.
            from ..surface.overlap import NoOverlapError

            raise NoOverlapError
        values = np.concatenate([part for part, _, _ in sets])
        weights = np.concatenate([share / weigh.sum() * weigh for _, share, weigh in sets])
        # Sorted once: quantiles, shares and the curve are then look-ups.
        order = np.argsort(values, kind="stable")
        self.values, self.weights = values[order], weights[order]

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
        # Each point stands in the middle of its own weight: Hazen's rule.
        return float(np.interp(share, np.cumsum(self.weights) - self.weights / 2, self.values))

    def share_within(self, thresholds: Float64Array) -> Float64Array:
        """Share (T,) of the weight at or below thresholds (T,) in mm."""
        # `right`: a distance equal to the threshold is within it.
        cumulative = np.r_[0.0, np.cumsum(self.weights)]
        shares = cumulative[np.searchsorted(self.values, thresholds, "right")]
        return np.asarray(np.minimum(shares, 1.0))


@dataclass(frozen=True)
class WeightedErrors:
    """Errors of the points of one surface that count.

    Attributes:
        values: (N,) mm.
        areas: (N,) surface that each stands for, mm²; or 1 where points are counted.
    """

    values: Float64Array
    areas: Float64Array

    @property
    def mean(self) -> float:
        """Mean over the area; NaN without any."""
        return weighted_mean(self.values, self.areas)

    def equal_shares(self, in_mm2: float = 1.0) -> Float64Array:
        """Errors that count alike and are spread as these are over the area: one a mm².

        For what is stored, drawn and pooled as plain numbers. Points that are counted are returned
        as they are.

        Args:
            in_mm2: what one of the areas' units is.
        """
        if not len(self.values) or (self.areas == self.areas[0]).all():
            return self.values
        count = max(1, round(in_mm2 * float(self.areas.sum())))
        order = np.argsort(self.values, kind="stable")
        below = np.cumsum(self.areas[order])
        # The middles of equal shares of the area, by the inverse of the distribution.
        middles = (np.arange(count) + 0.5) / count * below[-1]
        return np.asarray(self.values[order[np.searchsorted(below, middles)]])


def statistics(
    errors: tuple[WeightedErrors, WeightedErrors], weights: tuple[float, float], statistic: str
) -> dict[str, float]:
    """The columns of a score, mm: see `result.Score`.

    Args:
        errors: of the scan's points and of the prediction's.
        weights: of the two, see `DIRECTION_WEIGHTS`.
        statistic: `mean`, `median` or `rmse`, which becomes `value_mm`.
    """
    distances = pool(errors, weights)
    within = distances.share_within(np.array([1.0, 2.0, 3.0]))
    return {
        "value_mm": float(getattr(distances, statistic)),
        "mean_mm": distances.mean,
        "median_mm": distances.median,
        "rmse_mm": distances.rmse,
        "std_mm": distances.std,
        "p90_mm": distances.quantile(0.9),
        "scan_to_prediction_mm": errors[0].mean,
        "prediction_to_scan_mm": errors[1].mean,
        **{
            f"share_within_{mm}mm": float(share)
            for mm, share in zip((1, 2, 3), within, strict=True)
        },
    }


def pool(errors: tuple[WeightedErrors, WeightedErrors], weights: tuple[float, float]) -> Distances:
    """Both directions as one set, each with its share of the weight."""
    return Distances([side.values for side in errors], weights, [side.areas for side in errors])


def closest_point_means(matches: tuple[Correspondences, Correspondences]) -> dict[str, float]:
    """Means of both measures in both directions and of the two, mm: see `result.Score`."""
    means: dict[str, float] = {}
    for measure in ("point_to_plane", "point_to_surface"):
        to_prediction, to_scan = (inlier_errors(side, measure).mean for side in matches)
        means |= {
            f"{measure}_symmetric_mm": (to_prediction + to_scan) / 2,
            f"{measure}_scan_to_prediction_mm": to_prediction,
            f"{measure}_prediction_to_scan_mm": to_scan,
        }
    return means


def inlier_errors(matches: Correspondences | None, measure: str) -> WeightedErrors:
    """The errors over the overlap region; none of None."""
    if matches is None:
        return WeightedErrors(np.empty(0), np.empty(0))
    inside = matches.inliers
    return WeightedErrors(MEASURES[measure](matches)[inside], matches.areas[inside])


def covered_share(of_scan: Correspondences) -> float:
    """Completeness: share of the cropped scan's area that the prediction shows, 0 to 1.

    Whatever the protocol counts: a place is covered when its closest point on the prediction is not
    on a boundary, within 10 mm, and faces the same way. The rest is missing.
    """
    return float(of_scan.areas[of_scan.covered].sum() / of_scan.areas.sum())


def normal_error_deg(matches: tuple[Correspondences, Correspondences]) -> float:
    """Mean angle between the normals of points and their closest points, both directions alike."""
    means = []
    for side in matches:
        # Clipped: rounding takes a product of unit vectors past one, where arccos is NaN.
        cosine = np.clip((side.own_normals * side.normals).sum(1), -1.0, 1.0)
        means.append(side.mean(np.degrees(np.arccos(cosine))))
    return float(np.mean(means))


def f_score(matches: tuple[Correspondences, Correspondences], threshold_mm: float) -> float:
    """Harmonic mean of precision and recall at a threshold (Knapitsch et al. 2017), 0 to 1.

    Recall is over the whole cropped scan, so that what is missing counts as not found; precision
    over the prediction's part of the overlap region.
    """
    of_scan, of_prediction = matches
    recall = of_scan.areas[of_scan.inliers & (of_scan.distances <= threshold_mm)].sum()
    recall /= of_scan.areas.sum()
    precision = of_prediction.mean((of_prediction.distances <= threshold_mm).astype(np.float64))
    both = precision + recall
    return float(2 * precision * recall / both) if both > 0 else 0.0


def vertex_errors(matches: Correspondences, measure: str, vertex_of: IndexArray) -> Float64Array:
    """Errors (V,) at a mesh's own vertices, NaN outside of the overlap region.

    Args:
        matches: of all vertices of the mesh's surface.
        measure: a name in `MEASURES`.
        vertex_of: (V,) the surface's vertex of each of the mesh's, -1 for none.
    """
    errors = np.where(matches.inliers, MEASURES[measure](matches), np.nan)
    return np.where(vertex_of >= 0, errors[vertex_of], np.nan)


def weighted_mean(values: Float64Array, weights: Float64Array) -> float:
    """Mean of the values that are not NaN; NaN where there is none."""
    known = ~np.isnan(values)
    total = weights[known].sum()
    return float(values[known] @ weights[known] / total) if total > 0 else float("nan")
