"""What each choice that papers leave unwritten is worth: one face measured with one choice changed.

The choices are those that `PRESETS` and published evaluations differ in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ...errors import FacebenchError
from ...recon.mesh import Mesh
from ..protocol.record import Protocol
from ..scoring.score import score_prediction
from ..scoring.target import Target
from ..surface.triangles import Float64Array


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
        {"distance.measure": "correspondence", "distance.direction": "prediction_to_scan"},
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
    return [_value(prediction, target, protocol, choice, tip) for choice in choices]


def _nose_tip(prediction: Mesh, target: Target, protocol: Protocol) -> Float64Array | None:
    """Where the protocol finds the nose tip, None where it finds nothing."""
    try:
        pair = score_prediction(prediction, target.scan, protocol, scan_landmarks=target.landmarks)
    except FacebenchError:
        return None
    return pair.nose_tip.position


def _value(
    prediction: Mesh, target: Target, protocol: Protocol, choice: Choice, tip: Float64Array | None
) -> float:
    changed = protocol
    for key, value in choice.settings.items():
        changed = changed.with_setting(key, value)
    face = replace(prediction, vertices=choice.size * np.asarray(prediction.vertices))
    aside = None if tip is None else tip + np.array([choice.tip_off_mm, 0.0, 0.0])
    try:
        pair = score_prediction(
            face, target.scan, changed, nose_tip=aside, scan_landmarks=target.landmarks
        )
    except FacebenchError:
        return float("nan")
    return pair.score.value_mm
