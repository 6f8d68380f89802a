"""One person measured by every protocol with every reference predictor, beside what is true."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ...errors import FacebenchError
from ...recon.morphable.model import MorphableModel
from ...recon.synthetic.photograph import random_stream
from ..protocol.record import Protocol
from ..scoring.diagnosis import warnings
from ..scoring.result import NAN
from ..scoring.score import score_prediction
from ..surface.triangles import Float64Array
from .people import AuditedPerson, shown_area, true_errors
from .predictors import Predicted, Predictor, area_mean


@dataclass(frozen=True, eq=False)
class AuditPlan:
    """What is audited, the same for all people of a model.

    Attributes:
        model: that the people and the predictions are of.
        predictors: the reference predictors.
        protocols: what they are measured by.
        seed: of what the predictors add.
    """

    model: MorphableModel
    predictors: tuple[Predictor, ...]
    protocols: tuple[Protocol, ...]
    seed: int


@dataclass(frozen=True)
class AuditRow:
    """One prediction by one protocol.

    Attributes:
        model: name of the face model of the people.
        protocol, digest, method, group, subject: which.
        measured_mm: the protocol's value, NaN with a reason when there is none.
        true_mm: the same statistic of the true errors, over the area of the skin that the scan
            shows and the prediction has.
        vertices: correlation of measured and true errors over that area.
        reason: why there is no value, else empty.
        deviation_mm: the protocol's own standard deviation of its value, NaN where it has none.
        note: what speaks against the value, as a run's row would say; else empty.
    """

    model: str
    protocol: str
    digest: str
    method: str
    group: str
    subject: str
    measured_mm: float
    true_mm: float
    vertices: float
    reason: str = ""
    deviation_mm: float = NAN
    note: str = ""


def audit_person(person: AuditedPerson, plan: AuditPlan) -> list[AuditRow]:
    """Measure every predictor by every protocol on a person's scan.

    The true landmarks of the scan are given to protocols that need them, and to no other: the rest
    are audited as they run on MICC, where nobody labels scans.
    """
    model = plan.model
    area = shown_area(model, person)
    rows: list[AuditRow] = []
    for predictor in plan.predictors:
        # By person and predictor: with one stream for all everybody is given the same stranger.
        key = ("audit", model.digest, person.subject, predictor.name)
        face = predictor.predict(model, person, area, random_stream(plan.seed, *key))
        for protocol in plan.protocols:
            which = (protocol.name, protocol.digest, predictor.name, predictor.group)
            whose = (model.name, *which, person.subject)
            rows.append(AuditRow(*whose, *_measure(person, area, face, protocol)))
    return rows


def _measure(
    person: AuditedPerson, area: Float64Array, face: Predicted, protocol: Protocol
) -> tuple[float, float, float, str, float, str]:
    """Measured and true value, correlation over the face, why there is no value, the value's own
    deviation and what speaks against it."""
    counted = np.where(face.covered, area, 0.0)
    errors = true_errors(face.vertices, person, counted, protocol.alignment.scale != "none")
    true = STATISTICS[protocol.reduction.points](errors, counted)
    given = person.scan_landmarks if needs_landmarks(protocol) else None
    try:
        pair = score_prediction(
            face.mesh, person.scan, protocol, subject=person.subject, scan_landmarks=given
        )
    except FacebenchError as error:
        return NAN, true, NAN, str(error), NAN, ""
    # Over the skin, each handed vertex beside the model's vertex it stands for.
    over_vertices = correlation(pair.vertex_errors, errors[face.origin], counted[face.origin])
    score = pair.score
    return score.value_mm, true, over_vertices, "", score.deviation_mm, warnings(score, protocol)


def needs_landmarks(protocol: Protocol) -> bool:
    """Whether a protocol cannot run without labels on the scan."""
    return "seven_landmarks" in (protocol.crop.centre, protocol.alignment.start)


def correlation(first: ArrayLike, second: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Pearson's, weighted; NaN where fewer than three values are known of both or one is constant.

    Example:
        >>> correlation([1.0, 2.0, 3.0], [2.0, 4.0, 7.0]) > 0.98
        True
    """
    x, y = np.asarray(first, np.float64), np.asarray(second, np.float64)
    w = np.ones_like(x) if weights is None else np.asarray(weights, np.float64)
    both = np.isfinite(x) & np.isfinite(y) & (w > 0)
    if both.sum() < 3 or np.ptp(x[both]) == 0 or np.ptp(y[both]) == 0:
        return float("nan")
    covariance = np.cov(x[both], y[both], aweights=w[both])
    return float(covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1]))


def _median(errors: Float64Array, area: Float64Array) -> float:
    known = np.isfinite(errors) & (area > 0)
    order = np.argsort(errors[known])
    share = np.cumsum(area[known][order])
    # The error that half of the area stays below.
    return float(errors[known][order][np.searchsorted(share, share[-1] / 2)])


STATISTICS: Mapping[str, Callable[[Float64Array, Float64Array], float]] = {
    "mean": area_mean,
    "median": _median,
    "rmse": lambda errors, area: float(np.sqrt(area_mean(errors**2, area))),
}
"""Statistics of errors (V,) over areas (V,), by the names that protocols give them."""
