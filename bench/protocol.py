"""The measuring protocol as a frozen record: what a number in millimetres stands for."""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from ..errors import FacebenchError
from .align import AlignmentSettings
from .intersection import Intersection


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


@dataclass(frozen=True)
class Distance:
    """What a point's error is.

    Attributes:
        measure: point to plane |(p - q) · n|; point to surface |p - q|; or `correspondence`, |p - q|
            with q the point of the scan that corresponds to the prediction's vertex p by a
            non-rigid registration, not the closest one.
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
    intersection: Intersection = field(default_factory=Intersection)
    distance: Distance = field(default_factory=Distance)
    reduction: Reduction = field(default_factory=Reduction)

    @property
    def digest(self) -> str:
        """SHA-256 of everything but the name, hexadecimal; the first 12 are enough to show."""
        settings = {key: value for key, value in self.to_dict().items() if key != "name"}
        canonical = json.dumps(settings, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Nested plain values, for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Protocol:
        """The protocol `to_dict` describes; what is not given stays as in `micc`.

        Raises:
            FacebenchError: for an unknown setting or value.
        """
        protocol = cls(name=str(values.get("name", "micc")))
        for key, value in _flatten(values):
            if key != "name":
                protocol = _changed(protocol, key, value)
        return protocol

    def with_setting(self, key: str, text: str) -> Protocol:
        """The protocol with one setting changed, as given to `--set crop.radius_mm=80`.

        Raises:
            FacebenchError: for an unknown setting or value, with the nearest known one.
        """
        changed = _changed(self, key, text)
        same = changed.to_dict() == self.to_dict()
        name = self.name if same or self.name.endswith("*") else f"{self.name}*"
        return dataclasses.replace(changed, name=name)


PRESETS: Mapping[str, Mapping[str, Any]] = {
    "micc": {"name": "micc"},
    "metric": {"name": "metric", "alignment": {"scale": "none"}},
}
"""Each preset as its differences from `micc`."""


def preset(name: str) -> Protocol:
    """A protocol by name.

    Raises:
        FacebenchError: for an unknown name, with the nearest known one.
    """
    if name not in PRESETS:
        raise FacebenchError(f"unknown protocol '{name}'", _nearest(name, PRESETS))
    return Protocol.from_dict(PRESETS[name])


def read_protocol(path: Path) -> Protocol:
    """A protocol from a TOML file of the layout of `Protocol.to_dict`.

    Raises:
        FacebenchError: when the file cannot be read or a setting is not known.
    """
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise FacebenchError(f"{path}: cannot be read as a protocol ({error})") from error
    return Protocol.from_dict({"name": path.stem, **values})


def _flatten(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    flat: list[tuple[str, Any]] = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat += _flatten(value, f"{prefix}{key}.")
        else:
            flat.append((f"{prefix}{key}", value))
    return flat


def _changed(protocol: Protocol, key: str, value: Any) -> Protocol:
    known = [name for name, _ in _flatten(protocol.to_dict()) if name != "name"]
    if key not in known:
        raise FacebenchError(f"unknown protocol setting '{key}'", _nearest(key, known))
    section_name, name = key.split(".")
    section = getattr(protocol, section_name)
    parsed = _parse(key, get_type_hints(type(section))[name], value)
    return dataclasses.replace(
        protocol, **{section_name: dataclasses.replace(section, **{name: parsed})}
    )


def _parse(key: str, kind: Any, value: Any) -> Any:
    """A value of the field's type from text or from a TOML or JSON value."""
    if get_origin(kind) is Literal:
        return _parse_choice(key, get_args(kind), value)
    if kind is bool:
        return {"true": True, "false": False}[
            _parse_choice(key, ("true", "false"), str(value).lower())
        ]
    try:
        number = kind(value)
    except (TypeError, ValueError) as error:
        raise FacebenchError(f"protocol setting {key}: '{value}' is not a number") from error
    if not number > 0:
        raise FacebenchError(f"protocol setting {key}: {value} is not above zero")
    return number


def _parse_choice(key: str, choices: tuple[str, ...], value: Any) -> str:
    if value not in choices:
        raise FacebenchError(
            f"protocol setting {key}: unknown value '{value}'", _nearest(str(value), choices)
        )
    return str(value)


def _nearest(name: str, known: Any) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean '{near[0]}'?" if near else f"known: {', '.join(known)}"
