"""A prediction laid on a scan, and the errors of its points under a protocol."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .align import Alignment, align
from .crop import Sphere
from .distance import DIRECTION_WEIGHTS, closest_point_means, kept_errors, statistics, vertex_errors
from .intersection import Matches, match_both
from .protocol import Protocol
from .start import Side, Start
from .triangles import Float64Array


@dataclass(frozen=True, eq=False)
class Laid:
    """What can be measured once the prediction lies on the scan.

    Attributes:
        alignment: how it came to lie there.
        closest: the cropped scan's vertices on the prediction, and the prediction's on the scan.
        errors: of the scan's points and of the prediction's that count, mm.
        weights: of the two.
        vertex_errors: (V,) at the prediction's own vertices, mm, NaN where one does not count.
    """

    alignment: Alignment
    closest: tuple[Matches, Matches]
    errors: tuple[Float64Array, Float64Array]
    weights: tuple[float, float]
    vertex_errors: Float64Array

    def statistics(self, statistic: str) -> dict[str, float]:
        """The columns of a score that tell of distances: see `score.Score`."""
        means = closest_point_means(self.closest)
        counted = [index for index, weight in enumerate(self.weights) if weight > 0]
        shares = [self.weights[index] * means[_POINT_TO_SURFACE[index]] for index in counted]
        return {
            **statistics(self.errors, self.weights, statistic),
            **means,
            "point_to_surface_mm": sum(shares),
            "n_points": sum(len(self.errors[index]) for index in counted),
        }


_POINT_TO_SURFACE = (
    "point_to_surface_scan_to_prediction_mm",
    "point_to_surface_prediction_to_scan_mm",
)


def lay(prediction: Side, scan: Side, start: Start, crop: Sphere, protocol: Protocol) -> Laid:
    """Align densely where the protocol says so, and take its distances.

    Raises:
        FacebenchError: when the surfaces do not overlap.
    """
    surfaces, intersection = (prediction.surface, scan.surface), protocol.intersection
    dense = protocol.alignment.dense
    alignment = (
        align(*surfaces, start.transform, intersection, crop, protocol.alignment) if dense else None
    )
    transform = start.transform if alignment is None else alignment.transform
    closest = match_both(*surfaces, transform, intersection, crop)
    measure = protocol.distance.measure
    errors = kept_errors(closest, measure)
    return Laid(
        alignment or _as_started(start, closest),
        closest,
        errors,
        DIRECTION_WEIGHTS[protocol.distance.direction],
        vertex_errors(closest[1], measure, prediction.surface.vertex_of),
    )


def _as_started(start: Start, closest: tuple[Matches, Matches]) -> Alignment:
    """The alignment of a protocol in which the landmarks alone decide."""
    square = [np.average(side.distances**2, weights=side.weights) for side in closest]
    return Alignment(
        transform=start.transform,
        iterations=0,
        converged=True,
        last_step_mm=0.0,
        overlap=float(closest[0].kept.mean()),
        residual_mm=float(np.sqrt(np.mean(square))),
    )
