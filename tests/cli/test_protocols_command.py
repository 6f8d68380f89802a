import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from facebench.bench.protocol.presets import PRESETS
from facebench.bench.protocol.record import preset, read_protocol
from facebench.cli.main import group
from facebench.errors import FacebenchError


def run(*words: str) -> str:
    found = CliRunner().invoke(group, ["protocols", *words], catch_exceptions=False)
    assert found.exit_code == 0
    return found.output


def test_the_list_names_every_preset_with_its_digest() -> None:
    text = run()
    for name in PRESETS:
        assert name in text
        assert preset(name).digest[:8] in text


def test_the_list_as_json() -> None:
    listed = json.loads(run("--json"))
    assert [facts["name"] for facts in listed] == list(PRESETS)
    for facts in listed:
        assert facts["digest"] == preset(facts["name"]).digest
        assert facts["source"] == PRESETS[facts["name"]].source


@pytest.mark.parametrize("name", PRESETS)
def test_what_is_shown_is_a_file_of_the_same_protocol(name: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(run(name))
    assert read_protocol(path).digest == preset(name).digest
    assert f"# digest {preset(name).digest}" in path.read_text()


def test_a_changed_preset_and_a_file(tmp_path: Path) -> None:
    facts = json.loads(run("micc", "--set", "crop.radius_mm=80", "--json"))
    assert (facts["name"], facts["settings"]["crop"]["radius_mm"]) == ("micc*", 80.0)
    path = tmp_path / "mine.toml"
    path.write_text("[crop]\nradius_mm = 80\n")
    of_file = json.loads(run(str(path), "--json"))
    assert (of_file["name"], of_file["digest"]) == ("mine", facts["digest"])


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(FacebenchError, match="did you mean 'ganfit2019'"):
        CliRunner().invoke(group, ["protocols", "ganfit"], catch_exceptions=False)
