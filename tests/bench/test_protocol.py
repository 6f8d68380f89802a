import json

import pytest

from facebench.bench.protocol import PRESETS, Protocol, preset, read_protocol
from facebench.errors import FacebenchError


def test_the_default_is_the_published_protocol() -> None:
    micc = preset("micc")
    assert (micc.crop.radius_mm, micc.crop.centre) == (95.0, "nose_tip")
    assert micc.alignment.scale
    assert (micc.distance.measure, micc.distance.direction) == ("point_to_plane", "symmetric")
    assert micc.reduction.points == "mean"
    assert micc == Protocol()


@pytest.mark.parametrize("name", PRESETS)
def test_a_protocol_survives_json(name: str) -> None:
    protocol = preset(name)
    again = Protocol.from_dict(json.loads(json.dumps(protocol.to_dict())))
    assert again == protocol
    assert again.digest == protocol.digest


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


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("crop.radius", "80", "did you mean 'crop.radius_mm'"),
        ("crop.radius_mm", "wide", "not a number"),
        ("crop.radius_mm", "-3", "not above zero"),
        ("crop.radius_mm", "nan", "not above zero"),
        ("distance.measure", "point_to_plan", "did you mean 'point_to_plane'"),
        ("alignment.scale", "maybe", "unknown value"),
        ("name", "x", "unknown protocol setting"),
    ],
)
def test_a_wrong_setting_is_named(key: str, value: str, message: str) -> None:
    with pytest.raises(FacebenchError, match=message):
        preset("micc").with_setting(key, value)


def test_an_unknown_preset_is_answered_with_the_nearest() -> None:
    with pytest.raises(FacebenchError, match="did you mean 'micc'"):
        preset("mic")


def test_a_protocol_from_a_file(tmp_path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[crop]\nradius_mm = 80\n[alignment]\nscale = false\n")
    protocol = read_protocol(path)
    assert (protocol.name, protocol.crop.radius_mm, protocol.alignment.scale) == ("mine", 80, False)
    path.write_text("[crop\n")
    with pytest.raises(FacebenchError, match="cannot be read"):
        read_protocol(path)
    path.write_text("[crop]\nradius = 80\n")
    with pytest.raises(FacebenchError, match="radius_mm"):
        read_protocol(path)
