"""The measuring protocol as a frozen record: what a number in millimetres stands for.

Every setting states its bounds in its field; `values` binds text, TOML and JSON to them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le

from ...errors import FacebenchError, did_you_mean, visible
from ...recon.files.text import read_toml
from ..surface.region import OverlapRegion
from .presets import PRESETS
from .values import bind, flatten, plain, subject_radii

Positive = Annotated[float, Gt(0)]
Count = Annotated[int, Gt(0), Le(1_000_000)]

SCHEMA = 2
# The defaults of the schema's version, which a digest is over the differences from. A setting that
# is not here was added later, with a default that changes nothing: it counts once it is changed.
# Whoever changes what a default does raises the version and writes the new defaults here.
SCHEMA_DEFAULTS: Mapping[str, Any] = {
    "crop.centre": "nose_tip",
    "crop.radius_mm": 95.0,
    "crop.radius_share": 1.4,
    "crop.exceptions_mm": "",
    "points.weights": "area",
    "points.longest_edge_mm": 2.5,
    "points.prediction": "outside",
    "alignment.start": "landmarks_or_search",
    "alignment.dense": True,
    "alignment.scale": "per_mesh",
    "alignment.direction": "symmetric",
    "alignment.points": 4000.0,
    "alignment.stop": "motion",
    "alignment.tolerance_mm": 1e-2,
    "alignment.max_iterations": 200,
    "intersection.max_distance_mm": 10.0,
    "intersection.max_angle_deg": 90.0,
    "intersection.boundary": "left_out",
    "intersection.fade_mm": 2.0,
    "distance.measure": "point_to_plane",
    "distance.direction": "symmetric",
    "reduction.points": "mean",
    "reduction.average": "parameters",
    "reduction.expression": "neutral",
    "reduction.scan": "first",
    "reduction.subjects": "mean",
    "reduction.std": "sample",
}


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
    radius_mm: Positive = 95.0
    radius_share: Positive = 1.4
    exceptions_mm: str = ""

    def __post_init__(self) -> None:
        """Refuse exceptions that cannot be read."""
        subject_radii(self.exceptions_mm)

    def radius_of(self, subject: str) -> float:
        """Radius around a subject's nose tip, mm."""
        return subject_radii(self.exceptions_mm).get(subject.lower(), self.radius_mm)


@dataclass(frozen=True)
class Points:
    """Which points of the two surfaces count, and with what weight.

    Attributes:
        weights: `area`, each vertex by the surface that it stands for, so that a number does not
            depend on how the surface is cut into triangles; `count`, every vertex alike, as
            evaluators do that count a scan's points.
        longest_edge_mm: longer edges are halved before anything is measured, so that vertices are
            dense enough to stand for the surface between them; infinite to leave them.
        prediction: `outside`, only what of the prediction is seen from outside: no eyeballs behind
            the lids, no sockets, mouth bag or inner walls; `all`, every triangle.
    """

    # Not free numbers: every pair of choices is a protocol that some table was made by.
    weights: Literal["area", "count"] = "area"
    # The middles of edges lie deeper than their ends on a convex face: at 3 mm a mean over vertices
    # is up to 0.015 mm off that over the surface between them, and it falls with the square.
    longest_edge_mm: Annotated[float, Ge(0.2)] = 2.5
    prediction: Literal["outside", "all"] = "outside"


@dataclass(frozen=True)
class AlignmentSettings:
    """How the registration is initialised, what it may change, and how far it is taken.

    Attributes:
        start: `landmarks_or_search` initialises from landmarks where both sides have them and else
            searches for the pose; `seven_landmarks` needs NoW's seven points of both sides;
            `as_given` takes the prediction to lie on the scan already.
        dense: whether the surfaces are registered densely (ICP), or the initialisation is the
            result.
        scale: `per_mesh`, one factor for each prediction (a similarity); `global`, one for all
            predictions of a run; `none`, millimetres as predicted (rigid).
        direction: whose distances are minimised: both with half of the weight each, or those of
            the scan's points to the prediction only.
        points: of each surface whose distances are minimised, evenly spread over its area, about
            so many; `inf` for all. Errors are those of all points.
        stop: `motion`, when no point of the prediction moves further than the tolerance in one
            step; `mean_change`, when the mean distance falls by less than the tolerance;
            `dogleg`, steps and end as those of NoW's evaluator (`registration.dogleg`).
        tolerance_mm: see `stop`.
        max_iterations: steps by these points, until it is said not to have converged.
    """

    start: Literal["landmarks_or_search", "seven_landmarks", "as_given"] = "landmarks_or_search"
    dense: bool = True
    scale: Literal["per_mesh", "global", "none"] = "per_mesh"
    direction: Literal["symmetric", "scan_to_prediction"] = "symmetric"
    points: Annotated[float, Ge(100)] = 4000.0
    stop: Literal["motion", "mean_change", "dogleg"] = "motion"
    tolerance_mm: Positive = 1e-2
    max_iterations: Count = 200


@dataclass(frozen=True)
class Distance:
    """What a point's error is.

    Attributes:
        measure: point to plane |(p - q) · n|; point to surface |p - q|; `correspondence`, the
            |p - q| with q the point of the scan that corresponds to the prediction's vertex p by
            a non-rigid registration, not the closest one; or `regions`, from the points of the
            scan's nose, mouth, forehead and cheeks, each registered by itself, to corresponding
            ones, the mean of the four.
        direction: `symmetric` gives each direction half of the weight.
        along: what tells the motion along the surface where `correspondence` is measured: the
            smooth `field` alone, or also `normals`, which turn where a surface bends, unless
            landmarks of both sides tell it. `smooth` is what runs by vertices had, whose numbers
            moved with the triangles: it can be read and no longer be measured.
    """

    measure: Literal["point_to_plane", "point_to_surface", "correspondence", "regions"] = (
        "point_to_plane"
    )
    direction: Literal["symmetric", "scan_to_prediction", "prediction_to_scan"] = "symmetric"
    along: Literal["smooth", "field", "normals"] = "smooth"


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
        crop, points, alignment, intersection, distance, reduction: the steps in their order.
    """

    name: str = "micc"
    crop: Crop = field(default_factory=Crop)
    points: Points = field(default_factory=Points)
    alignment: AlignmentSettings = field(default_factory=AlignmentSettings)
    intersection: OverlapRegion = field(default_factory=OverlapRegion)
    distance: Distance = field(default_factory=Distance)
    reduction: Reduction = field(default_factory=Reduction)

    @property
    def digest(self) -> str:
        """SHA-256, hexadecimal, of the schema's version and of what differs from its defaults.

        The name has no part in it, and neither has a setting that was added later and not changed.
        """
        # The version's own defaults win over today's: a default changed by mistake shows.
        of_version = {**dict(flatten(plain(_defaults(self)))), **SCHEMA_DEFAULTS}
        different = {
            key: value
            for key, value in flatten(self.to_dict())
            if key != "name" and value != of_version[key]
        }
        content = {"schema": SCHEMA, "settings": different}
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    @property
    def label(self) -> str:
        """As `protocol micc (0123456789ab)`."""
        return f"protocol {self.name} ({self.digest[:12]})"

    def registers_as(self, other: Protocol) -> bool:
        """Whether the crop and the registration of a pair are the same by another protocol."""
        sections = ("crop", "points", "alignment", "intersection")
        return all(getattr(self, each) == getattr(other, each) for each in sections)

    @property
    def takes_any_unit(self) -> bool:
        """Whether landmarks alone give a prediction's size, so that its unit does not matter."""
        start, scale = self.alignment.start, self.alignment.scale
        return start == "seven_landmarks" and scale == "per_mesh"

    def check(self) -> Protocol:
        """The same protocol.

        Raises:
            FacebenchError: for settings that contradict each other.
        """
        distance = self.distance
        # The surface that is deformed is the one whose points have counterparts.
        deformed = {"correspondence": "prediction_to_scan", "regions": "scan_to_prediction"}
        direction = deformed.get(distance.measure, distance.direction)
        if distance.direction != direction:
            raise FacebenchError(
                f"distance.direction {distance.direction} has no corresponding points",
                f"set distance.direction={direction}",
            )
        # The edges of a prediction in metres would all be short, and of one in micrometres long.
        if self.takes_any_unit and math.isfinite(self.points.longest_edge_mm):
            raise FacebenchError(
                "points.longest_edge_mm has no meaning where a prediction may be in any unit",
                "set points.longest_edge_mm=inf",
            )
        return self

    def check_measured(self) -> Protocol:
        """The same protocol, when this version still measures by it.

        Raises:
            FacebenchError: for settings that contradict each other, or that only old runs have.
        """
        measure, along = self.distance.measure, self.distance.along
        if measure in ("correspondence", "regions") and along == "smooth":
            raise FacebenchError(
                f"distance.along smooth is how {measure} was measured at vertices, by versions "
                "whose numbers moved with the triangles",
                "set distance.along=field, or normals, for all runs that are to be compared",
            )
        return self.check()

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
        # `preset` says where to begin, `name` what to call it: neither is a setting.
        given = [(key, value) for key, value in flatten(values) if key not in ("name", "preset")]
        bound = bind(protocol, given)
        return dataclasses.replace(bound, name=str(values.get("name", base))).check()

    def with_setting(self, key: str, text: str) -> Protocol:
        """The protocol with one setting changed, as given to `--set crop.radius_mm=80`.

        Raises:
            FacebenchError: for an unknown setting or value, with the nearest known one and what is
                allowed.
        """
        other = bind(self, [(key, text)])
        # A setting that was set to what it is makes no other protocol: no star.
        same = other.to_dict() == self.to_dict()
        name = self.name if same or self.name.endswith("*") else f"{self.name}*"
        return dataclasses.replace(other, name=name)


def _defaults(protocol: Protocol) -> dict[str, Any]:
    """The defaults of every section of a protocol, nested."""
    sections = {each.name: getattr(protocol, each.name) for each in dataclasses.fields(protocol)}
    return {
        name: dataclasses.asdict(type(section)())
        for name, section in sections.items()
        if name != "name"
    }


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
    # Before anything is parsed: a missing file is the commonest mistake, and has its own line.
    if not path.exists():
        raise FacebenchError(f"{path}: no such file", hint)
    try:
        values = read_toml(path)
    except (OSError, ValueError) as error:
        raise FacebenchError(f"{path}: cannot be read as a protocol ({error})", hint) from error
    try:
        return _own_name(Protocol.from_dict({"name": path.stem, **values}), values)
    except FacebenchError as error:
        raise FacebenchError(f"{path}: {error.message}", error.hint) from error


def _own_name(protocol: Protocol, values: Mapping[str, Any]) -> Protocol:
    """A protocol of a file; with `*` where it has a preset's name and other settings.

    Raises:
        FacebenchError: its name is no text to stand in a table, or a section is none of its.
    """
    name, fields = values.get("name", protocol.name), [f.name for f in dataclasses.fields(protocol)]
    plain_text = isinstance(name, str) and name and visible(name.strip()) == name
    if not plain_text or "/" in name:
        raise FacebenchError(f"name is '{name}'", "give a text without slashes and line ends")
    # One without a setting in it is nowhere else looked at.
    for key in (key for key in values if key not in (*fields, "preset")):
        raise FacebenchError(f"unknown protocol setting '{key}'", did_you_mean(key, fields))
    if name in PRESETS and protocol.digest != preset(name).digest:
        return dataclasses.replace(protocol, name=f"{name}*")
    return protocol


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
    return protocol.check_measured()
