"""One person measured by every protocol with every reference predictor, beside what is true.

And what each choice that papers leave unwritten is worth: one face measured with one choice
changed. The choices are those that `PRESETS` and published evaluations differ in.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ...errors import FacebenchError
from ...recon.mesh import Mesh
from ...recon.morphable.model import MorphableModel
from ...recon.synthetic.photograph import random_stream
from ..protocol.record import Protocol
from ..scoring.diagnosis import warnings
from ..scoring.register import InitialisedPair
from ..scoring.result import NAN
from ..scoring.score import ScoredPair, initialise_pair, score_pair
from ..scoring.target import Target
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
        pairs: list[InitialisedPair] = []
        for protocol in plan.protocols:
            which = (protocol.name, protocol.digest, predictor.name, predictor.group)
            whose = (model.name, *which, person.subject)
            rows.append(AuditRow(*whose, *_measure(person, area, face, protocol, pairs)))
    return rows


def _measure(
    person: AuditedPerson,
    area: Float64Array,
    face: Predicted,
    protocol: Protocol,
    pairs: list[InitialisedPair],
) -> tuple[float, float, float, str, float, str]:
    """Measured and true value, correlation over the face, why there is no value, the value's own
    deviation and what speaks against it. Other protocols' pairs are taken, and own ones added."""
    counted = np.where(face.covered, area, 0.0)
    errors = true_errors(face.vertices, person, counted, protocol.alignment.scale != "none")
    true = STATISTICS[protocol.reduction.points](errors, counted)
    given = person.scan_landmarks if needs_landmarks(protocol) else None
    try:
        pair = _score(
            face.mesh,
            person.scan,
            protocol,
            pairs,
            subject=person.subject,
            scan_landmarks=given,
        )
    except FacebenchError as error:
        return NAN, true, NAN, str(error), NAN, ""
    # Over the skin, each handed vertex beside the model's vertex it stands for.
    over_vertices = correlation(pair.vertex_errors, errors[face.origin], counted[face.origin])
    score = pair.score
    return score.value_mm, true, over_vertices, "", score.deviation_mm, warnings(score, protocol)


def _score(
    face: Mesh,
    scan: Mesh,
    protocol: Protocol,
    pairs: list[InitialisedPair],
    **labels: Any,
) -> ScoredPair:
    """As `score_prediction`, but registered once for all protocols that register alike: it takes
    most of the time. A pair of this face by another registration is added to the known ones."""
    pair = next((known for known in pairs if protocol.registers_as(known.protocol)), None)
    if pair is None:
        pair = initialise_pair(face, scan, protocol, **labels)
        pairs.append(pair)
    return score_pair(face, pair, protocol)


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


@dataclass(frozen=True)
class Choice:
    """One thing done otherwise.

    Attributes:
        name: as the table calls it.
        settings: of the protocol, as given to `--set`.
        size: factor by which the prediction is made larger beforehand.
        tip_off_mm: how far from the nose tip the crop is centred, towards the scan's own x.
    """

    name: str
    settings: Mapping[str, str] = field(default_factory=dict)
    size: float = 1.0
    tip_off_mm: float = 0.0


CHOICES = (
    Choice("the protocol as it is"),
    Choice("root mean square instead of mean", {"reduction.points": "rmse"}),
    Choice("median instead of mean", {"reduction.points": "median"}),
    Choice("point to surface", {"distance.measure": "point_to_surface"}),
    Choice(
        "corresponding points, from the prediction",
        {
            "distance.measure": "correspondence",
            "distance.direction": "prediction_to_scan",
            "distance.along": "normals",
        },
    ),
    Choice("from the scan only", {"distance.direction": "scan_to_prediction"}),
    Choice("from the prediction only", {"distance.direction": "prediction_to_scan"}),
    Choice("crop of 80 mm", {"crop.radius_mm": "80"}),
    Choice("crop of 110 mm", {"crop.radius_mm": "110"}),
    Choice("crop 5 mm off the nose tip", tip_off_mm=5.0),
    Choice("rigid instead of similarity", {"alignment.scale": "none"}),
    Choice("rigid, face 5 % too large", {"alignment.scale": "none"}, size=1.05),
    Choice("no dense alignment", {"alignment.dense": "false"}),
    Choice("boundaries counted", {"intersection.boundary": "counted"}),
)
"""The first is what the others are compared with."""


def measure_choices(
    prediction: Mesh, target: Target, protocol: Protocol, choices: Sequence[Choice] = CHOICES
) -> list[float]:
    """The protocol's value in mm under each choice, NaN where there is none.

    Args:
        prediction: in mm.
        target: the scan with the labels that the run had.
        protocol: what the choices change.
        choices: in the order of the result.
    """
    tip = (
        target.nose_tip if target.nose_tip is not None else _nose_tip(prediction, target, protocol)
    )
    # Of each size and centre those that were registered.
    pairs: defaultdict[tuple[float, float], list[InitialisedPair]] = defaultdict(list)
    return [
        _value(prediction, target, protocol, choice, tip, pairs[choice.size, choice.tip_off_mm])
        for choice in choices
    ]


def _nose_tip(prediction: Mesh, target: Target, protocol: Protocol) -> Float64Array | None:
    """Where the protocol finds the nose tip, None where it finds nothing."""
    try:
        pair = initialise_pair(prediction, target.scan, protocol, scan_landmarks=target.landmarks)
    except FacebenchError:
        return None
    return pair.tip.position


def _value(
    prediction: Mesh,
    target: Target,
    protocol: Protocol,
    choice: Choice,
    tip: Float64Array | None,
    pairs: list[InitialisedPair],
) -> float:
    changed = protocol
    for key, value in choice.settings.items():
        changed = changed.with_setting(key, value)
    face = replace(prediction, vertices=choice.size * np.asarray(prediction.vertices))
    aside = None if tip is None else tip + np.array([choice.tip_off_mm, 0.0, 0.0])
    try:
        pair = _score(
            face, target.scan, changed, pairs, nose_tip=aside, scan_landmarks=target.landmarks
        )
    except FacebenchError:
        return float("nan")
    return pair.score.value_mm
