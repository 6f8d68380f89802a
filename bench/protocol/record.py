"""The measuring protocol as a frozen record: what a number in millimetres stands for."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ...errors import FacebenchError, did_you_mean
from ...recon.files.text import read_toml
from ..surface.overlap import OverlapRegion
from .presets import PRESETS
from .values import changed, flatten, plain, subject_radii


@dataclass(frozen=True)
class AlignmentSettings:
    """Where the alignment starts, what it may change, and how far it is taken.

    Attributes:
        start: `landmarks_or_search` takes landmarks where both sides have them and else searches
            for the pose; `seven_landmarks` needs NoW's seven points of both sides.
        dense: whether the surfaces are aligned after the start, or the start is the result.
        scale: `per_mesh`, one factor for each prediction (a similarity); `global`, one for all
            predictions of a run; `none`, millimetres as predicted (rigid).
        direction: whose distances are minimised: both with half of the weight each, or those of
            the scan's points to the prediction only.
        points: of each surface whose distances are minimised, evenly spread vertices, at least so
            many (fewer than twice as many); `inf` for all. Errors are those of all points.
        stop: `motion`, when no point of the prediction moves further than the tolerance in one
            step; `mean_change`, when the mean distance falls by less than the tolerance.
        tolerance_mm: see `stop`.
        max_iterations: steps by these points, until it is said not to have converged.
    """

    start: Literal["landmarks_or_search", "seven_landmarks"] = "landmarks_or_search"
    dense: bool = True
    scale: Literal["per_mesh", "global", "none"] = "per_mesh"
    direction: Literal["symmetric", "scan_to_prediction"] = "symmetric"
    points: float = 4000.0
    stop: Literal["motion", "mean_change"] = "motion"
    tolerance_mm: float = 1e-2
    max_iterations: int = 200


@dataclass(frozen=True)
class Crop:
    """Which part of the scan is measured: what lies in a sphere.

    Attributes:
        centre: `nose_tip`, with `radius_mm`; or `seven_landmarks` of the scan, as NoW and FG2018
            do: centre = nose bottom + 0.3 (bridge − bottom), with `radius_share`.
        radius_mm: of the sphere around the nose tip.
        radius_share: of (outer-eye distance + nose length) / 2, the sphere around NoW's centre.
        exceptions_mm: `subject_28=60`, separated by commas: radii of single subjects.
    """

    centre: Literal["nose_tip", "seven_landmarks"] = "nose_tip"
    radius_mm: float = 95.0
    radius_share: float = 1.4
    exceptions_mm: str = ""

    def __post_init__(self) -> None:
        """Refuse exceptions that cannot be read."""
        subject_radii(self.exceptions_mm)

    def radius_of(self, subject: str) -> float:
        """Radius around a subject's nose tip, mm."""
        return subject_radii(self.exceptions_mm).get(subject.lower(), self.radius_mm)


@dataclass(frozen=True)
class Distance:
    """What a point's error is.

    Attributes:
        measure: point to plane |(p - q) · n|; point to surface |p - q|; or `correspondence`, the
            |p - q| with q the point of the scan that corresponds to the prediction's vertex p by
            a non-rigid registration, not the closest one.
        direction: `symmetric` gives each direction half of the weight.
    """

    measure: Literal["point_to_plane", "point_to_surface", "correspondence"] = "point_to_plane"
    direction: Literal["symmetric", "scan_to_prediction", "prediction_to_scan"] = "symmetric"


@dataclass(frozen=True)
class Reduction:
    """How many numbers become one.

    Attributes:
        points: the statistic over a subject's points.
        average: over the frames of a clip: of `parameters` before decoding, of `meshes`, or of the
            `errors` of every frame's own mesh.
        expression: of the measured prediction.
        scan: the `first` of a subject's frontal scans; `best_of_two`, the lower error; `each`, the
            mean over all frontal scans.
        subjects: `mean` over subjects, or `pooled`, over the points of all subjects.
        std: over subjects, of the sample (S - 1) or of the population (S).
    """

    points: Literal["mean", "median", "rmse"] = "mean"
    average: Literal["parameters", "meshes", "errors"] = "parameters"
    expression: Literal["neutral", "predicted"] = "neutral"
    scan: Literal["first", "best_of_two", "each"] = "first"
    subjects: Literal["mean", "pooled"] = "mean"
    std: Literal["sample", "population"] = "sample"


@dataclass(frozen=True)
class Protocol:
    """Everything that decides a number, apart from the prediction and the scan.

    Attributes:
        name: the preset, with `*` when settings were changed.
        crop, alignment, intersection, distance, reduction: the steps in their order.
    """

    name: str = "micc"
    crop: Crop = field(default_factory=Crop)
    alignment: AlignmentSettings = field(default_factory=AlignmentSettings)
    intersection: OverlapRegion = field(default_factory=OverlapRegion)
    distance: Distance = field(default_factory=Distance)
    reduction: Reduction = field(default_factory=Reduction)

    @property
    def digest(self) -> str:
        """SHA-256 of everything but the name, hexadecimal."""
        settings = {key: value for key, value in self.to_dict().items() if key != "name"}
        canonical = json.dumps(settings, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    @property
    def takes_any_unit(self) -> bool:
        """Whether landmarks alone tell a prediction's size, so that its unit does not matter."""
        start, scale = self.alignment.start, self.alignment.scale
        return start == "seven_landmarks" and scale == "per_mesh"

    def check(self) -> Protocol:
        """The same protocol.

        Raises:
            FacebenchError: for settings that contradict each other.
        """
        distance = self.distance
        if distance.measure == "correspondence" and distance.direction != "prediction_to_scan":
            raise FacebenchError(
                f"distance.direction {distance.direction} has no corresponding points",
                "set distance.direction=prediction_to_scan",
            )
        if self.intersection.max_angle_deg > 180:
            raise FacebenchError(
                f"intersection.max_angle_deg {self.intersection.max_angle_deg:g} is above 180",
                "180 turns the condition off",
            )
        return self

    def to_dict(self) -> dict[str, Any]:
        """Nested plain values, for JSON; infinity, which JSON does not know, as `inf`."""
        return plain(dataclasses.asdict(self))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Protocol:
        """The protocol `to_dict` describes.

        What is not given stays as in the preset named under `preset`, by default `micc`.

        Raises:
            FacebenchError: for an unknown setting or value.
        """
        base = str(values.get("preset", "micc"))
        protocol = cls() if base == "micc" else preset(base)
        for key, value in flatten(values):
            if key not in ("name", "preset"):
                protocol = changed(protocol, key, value)
        return dataclasses.replace(protocol, name=str(values.get("name", base))).check()

    def with_setting(self, key: str, text: str) -> Protocol:
        """The protocol with one setting changed, as given to `--set crop.radius_mm=80`.

        Raises:
            FacebenchError: for an unknown setting or value, with the nearest known one.
        """
        other = changed(self, key, text)
        same = other.to_dict() == self.to_dict()
        name = self.name if same or self.name.endswith("*") else f"{self.name}*"
        return dataclasses.replace(other, name=name)


def preset(name: str) -> Protocol:
    """A protocol by name: one of `presets.PRESETS`.

    Raises:
        FacebenchError: for an unknown name, with the nearest known one.
    """
    if name not in PRESETS:
        raise FacebenchError(f"unknown protocol '{name}'", did_you_mean(name, PRESETS))
    return Protocol.from_dict({"name": name, **PRESETS[name].settings})


def read_protocol(path: Path) -> Protocol:
    """A protocol from a TOML file of the layout of `Protocol.to_dict`.

    Its line `preset = "now"` says which preset it starts from, by default `micc`.

    Raises:
        FacebenchError: when the file cannot be read or a setting is not known.
    """
    hint = "'facebench protocols micc' prints one to start from"
    if not path.exists():
        raise FacebenchError(f"{path}: no such file", hint)
    try:
        values = read_toml(path)
    except (OSError, ValueError) as error:
        raise FacebenchError(f"{path}: cannot be read as a protocol ({error})", hint) from error
    try:
        return Protocol.from_dict({"name": path.stem, **values})
    except FacebenchError as error:
        raise FacebenchError(f"{path}: {error.message}", error.hint) from error


def read_settings(name: str, settings: Sequence[str] = ()) -> Protocol:
    """A preset or a TOML file with some settings changed.

    Args:
        name: of a preset, or the path of a `.toml` file.
        settings: `KEY=VALUE` each, as given to `--set`.

    Raises:
        FacebenchError: an unknown preset, setting or value.
    """
    protocol = read_protocol(Path(name)) if name.endswith(".toml") else preset(name)
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise FacebenchError(f"protocol setting '{setting}'", "expected KEY=VALUE")
        protocol = protocol.with_setting(key.strip(), value.strip())
    return protocol
