import json
import math
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facebench.bench.protocol.presets import PRESETS
from facebench.bench.protocol.record import SCHEMA_DEFAULTS, Crop, Protocol, preset, read_protocol
from facebench.bench.protocol.values import flatten
from facebench.errors import FacebenchError


def test_the_default_is_the_published_protocol() -> None:
    micc = preset("micc")
    assert (micc.crop.radius_mm, micc.crop.centre) == (95.0, "nose_tip")
    assert micc.alignment.scale == "per_mesh"
    assert (micc.distance.measure, micc.distance.direction) == ("point_to_plane", "symmetric")
    assert micc.reduction.points == "mean"
    assert micc == Protocol()


def test_presets_are_what_their_sources_say() -> None:
    assert preset("deng2019").reduction.points == "rmse"
    ganfit = preset("ganfit2019")
    assert ganfit.crop.radius_of("Subject_28") == 60.0
    assert ganfit.crop.radius_of("subject_02") == 95.0
    assert (ganfit.reduction.scan, ganfit.reduction.std) == ("best_of_two", "population")
    assert (ganfit.alignment.stop, ganfit.alignment.tolerance_mm) == ("mean_change", 1e-3)
    now, fg2018 = preset("now"), preset("fg2018")
    assert (now.crop.radius_share, fg2018.crop.radius_share) == (1.4, 1.2)
    assert (now.alignment.dense, fg2018.alignment.dense) == (True, False)
    for protocol in (now, fg2018):
        assert protocol.crop.centre == protocol.alignment.start == "seven_landmarks"
        assert protocol.distance.direction == "scan_to_prediction"
        assert protocol.intersection.max_distance_mm == math.inf
        assert protocol.intersection.boundary == "counted"
        assert protocol.takes_any_unit
    assert now.reduction.subjects == "pooled"
    assert preset("metric").alignment.scale == "none"
    assert not preset("metric").takes_any_unit


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_says_what_it_does_and_how_that_is_known(name: str) -> None:
    known = PRESETS[name]
    assert preset(name).name == name
    assert known.title and known.description.endswith(".") and known.source.endswith(".")


@pytest.mark.parametrize("name", PRESETS)
def test_a_protocol_survives_json(name: str) -> None:
    protocol = preset(name)
    again = Protocol.from_dict(json.loads(json.dumps(protocol.to_dict())))
    assert again == protocol
    assert again.digest == protocol.digest


def test_a_run_by_vertices_keeps_its_digest_and_is_measured_no_longer() -> None:
    now = preset("correspondence")
    distance = replace(now.distance, along="smooth")
    old = replace(now, distance=distance)
    assert old.digest == "d211ebcd1d4e0c9f87ba262afdec58e2b726a5a116b74202b5d8db3bd3a3611a"
    assert Protocol.from_dict(old.to_dict()) == old
    with pytest.raises(FacebenchError, match=r"set distance\.along=field"):
        old.check_measured()


def test_the_digest_tells_settings_apart_and_not_names() -> None:
    micc = preset("micc")
    wider = micc.with_setting("crop.radius_mm", "110")
    assert wider.crop.radius_mm == 110.0
    assert wider.name == "micc*"
    assert wider.digest != micc.digest
    assert wider.with_setting("crop.radius_mm", "95").digest == micc.digest
    assert micc.with_setting("crop.radius_mm", "95.0") == micc
    digests = {preset(name).digest for name in PRESETS}
    assert len(digests) == len(PRESETS)


@dataclass(frozen=True)
class WiderCrop(Crop):
    """With a setting that somebody added later, its default changing nothing."""

    shape: str = "sphere"


@pytest.mark.parametrize("name", PRESETS)
def test_a_new_setting_changes_no_digest(name: str) -> None:
    protocol = preset(name)
    widened = replace(protocol, crop=WiderCrop(**vars(protocol.crop)))
    assert widened.to_dict() != protocol.to_dict()
    assert widened.digest == protocol.digest
    other = replace(protocol, crop=WiderCrop(**vars(protocol.crop), shape="box"))
    assert other.digest != protocol.digest


def test_the_defaults_of_the_schema_are_those_of_the_fields() -> None:
    """Who changes a default changes numbers: the version goes up, and its defaults with it."""
    fields = {key: value for key, value in flatten(Protocol().to_dict()) if key != "name"}
    assert {key: fields[key] for key in SCHEMA_DEFAULTS} == SCHEMA_DEFAULTS


@given(st.floats(1e-3, 1e6) | st.just(math.inf), st.booleans(), st.integers(1, 10**6))
def test_changed_settings_survive_json(radius: float, dense: bool, iterations: int) -> None:
    protocol = preset("now").with_setting("crop.radius_mm", repr(radius))
    protocol = protocol.with_setting("alignment.dense", str(dense))
    protocol = protocol.with_setting("alignment.max_iterations", str(iterations))
    again = Protocol.from_dict(json.loads(json.dumps(protocol.to_dict(), allow_nan=False)))
    assert again == protocol
    assert again.alignment.max_iterations == iterations
    assert again.digest == protocol.digest


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("crop.radius", "80", "did you mean 'crop.radius_mm'"),
        ("radius_mm", "80", "did you mean 'crop.radius_mm'"),
        ("cropp.radius_mm", "80", "did you mean 'crop.radius_mm'"),
        ("distance.radius_mm", "80", "did you mean 'crop.radius_mm'"),
        ("crop.radius_mm", "wide", "'wide' is not a number above 0"),
        ("crop.radius_mm", "-3", "'-3' is not a number above 0"),
        ("crop.radius_mm", "nan", "'nan' is not a number above 0"),
        ("alignment.max_iterations", "2.5", "not a whole number above 0 and up to 1,000,000"),
        ("alignment.max_iterations", "inf", "not a whole number"),
        ("alignment.dense", "maybe", "is not one of true, false"),
        ("crop.exceptions_mm", "subject_28", "expected subject_28=60"),
        ("crop.exceptions_mm", "subject_28=-60", "expected subject_28=60"),
        ("distance.measure", "point_to_plan", "did you mean 'point_to_plane'"),
        ("alignment.scale", "maybe", "is not one of per_mesh, global, none"),
        ("name", "x", "unknown protocol setting"),
        ("", "x", "unknown protocol setting"),
    ],
)
def test_a_wrong_setting_is_named(key: str, value: str, message: str) -> None:
    with pytest.raises(FacebenchError, match=message):
        preset("micc").with_setting(key, value)


def test_infinity_turns_a_condition_off() -> None:
    assert preset("micc").with_setting("intersection.max_distance_mm", "inf").intersection == (
        Protocol.from_dict({"intersection": {"max_distance_mm": math.inf}}).intersection
    )


def test_protocols_register_alike_when_only_what_follows_differs() -> None:
    micc = preset("micc")
    assert micc.registers_as(preset("deng2019")) and micc.registers_as(preset("correspondence"))
    settings = (
        ("crop.exceptions_mm", "a=60"),
        ("points.weights", "count"),
        ("alignment.direction", "scan_to_prediction"),
        ("intersection.fade_mm", "1"),
    )
    assert not any(micc.registers_as(micc.with_setting(*setting)) for setting in settings)


def test_contradictions_are_refused() -> None:
    with pytest.raises(FacebenchError, match="has no corresponding points"):
        Protocol.from_dict({"distance": {"measure": "correspondence"}})
    with pytest.raises(FacebenchError, match="'200' is not a number above 0 and up to 180"):
        preset("micc").with_setting("intersection.max_angle_deg", "200")
    with pytest.raises(FacebenchError, match=r"any unit: set points\.longest_edge_mm=inf"):
        preset("now").with_setting("points.longest_edge_mm", "3").check()


def test_an_unknown_preset_is_answered_with_the_nearest() -> None:
    with pytest.raises(FacebenchError, match="did you mean 'micc'"):
        preset("mic")


def test_a_protocol_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        '[crop]\nradius_mm = 80\nexceptions_mm = "subject_28=60"\n'
        '[alignment]\nscale = "none"\ndense = false\n[intersection]\nmax_distance_mm = inf\n'
    )
    protocol = read_protocol(path)
    assert (protocol.name, protocol.crop.radius_mm) == ("mine", 80.0)
    assert (protocol.alignment.scale, protocol.alignment.dense) == ("none", False)
    assert protocol.intersection.max_distance_mm == math.inf
    assert protocol.crop.radius_of("subject_28") == 60.0


def test_a_file_may_start_from_a_preset(tmp_path: Path) -> None:
    path = tmp_path / "wide.toml"
    path.write_text('preset = "now"\n[crop]\nradius_share = 1.6\n')
    protocol, now = read_protocol(path), preset("now")
    assert (protocol.name, protocol.crop.radius_share) == ("wide", 1.6)
    assert (protocol.alignment, protocol.reduction) == (now.alignment, now.reduction)
    path.write_text('preset = "now"\n')
    assert read_protocol(path).digest == now.digest


def test_a_file_with_a_presets_name_and_other_settings_has_a_star(tmp_path: Path) -> None:
    path = tmp_path / "now.toml"
    path.write_text("[crop]\nradius_mm = 80\n")
    assert read_protocol(path).name == "now*"
    path.write_text('preset = "now"\n')
    assert read_protocol(path).name == "now"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[crop\n", "cannot be read"),
        ("[crop]\nradius = 80\n", "did you mean 'crop.radius_mm'"),
        ("[aligment]\nscale = 'none'\n", "did you mean 'alignment.scale'"),
        ("radius_mm = 80\n", "did you mean 'crop.radius_mm'"),
        ("preset = 'nwo'\n", "did you mean 'now'"),
        ("crop = 80\n", "unknown protocol setting 'crop'"),
        ("[crop]\nradius_mm = true\n", "not a number"),
        ("[crop]\nradius_mm = [1]\n", "not a number"),
        ("[crop]\nexceptions_mm = ['a=1']\n", "is not a text"),
        ("[crop]\nexceptions_mm = 'Anna=60, anna=70'\n", "two radii for 'anna'"),
        ("[alignmnt]\n", "did you mean 'alignment'"),
        ("[crop]\nRADIUS_MM = 80\n", "did you mean 'crop.radius_mm'"),
        ("name = 5\n", "name is '5': give a text"),
        ("name = '../now'\n", "name is '../now': give a text"),
    ],
)
def test_a_wrong_file_is_one_line_with_its_name(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(FacebenchError, match=message) as caught:
        read_protocol(path)
    assert str(caught.value).startswith(str(path))
