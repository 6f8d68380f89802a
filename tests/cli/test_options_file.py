"""`--options FILE.toml`: what a file gives, what beats it, and how a mistake in it is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest
from click.core import ParameterSource
from click.testing import CliRunner, Result

from facebench.cli._options import PROTOCOLS, UnitType, command_line, given_options, options_file
from facebench.cli.main import group
from facebench.cli.run import names_in
from facebench.errors import FacebenchError

Seen = tuple[dict[str, Any], dict[str, Any], str]
"""Options as resolved, as given, and as a shell line."""


@click.command(context_settings={"auto_envvar_prefix": "FACEBENCH_MICC"})
@click.option("--data", type=click.Path(path_type=Path), required=True)
@click.option("--scenes", default="cooperative")
@click.option("--limit", type=click.IntRange(1))
@click.option("--set", "settings", multiple=True)
@click.option("--prediction-unit", type=click.Choice(["mm", "cm"]), default="mm")
@click.option("--cluster", is_flag=True)
@click.option("--tracking/--no-tracking", default=True)
@options_file
@click.pass_context
def command(context: click.Context, /, **options: Any) -> Seen:
    """Answers with what it was given."""
    return options, given_options(context), command_line(context)


def run(*words: str, **environment: str) -> Result:
    return CliRunner().invoke(command, words, env=environment, standalone_mode=False)


def run_file(file: Path, text: str, *words: str, **environment: str) -> Result:
    file.write_text(text)
    return run("--options", str(file), *words, **environment)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "options.toml"


WHOLE = """
data = "MICC"
scenes = ["indoor", "outdoor"]
limit = 5
set = ["crop.radius_mm=80", "distance.direction=symmetric"]
prediction_unit = "cm"
cluster = true
tracking = false
"""


def test_a_file_gives_what_the_command_line_would(file: Path) -> None:
    words = ["--data=MICC", "--scenes=indoor,outdoor", "--limit=5", "--set=crop.radius_mm=80"]
    words += ["--set=distance.direction=symmetric", "--prediction-unit=cm", "--cluster"]
    words += ["--no-tracking"]
    options, given, line = run_file(file, WHOLE).return_value
    assert (options, given, line) == run(*words).return_value
    assert set(given) == set(options) and "--set distance.direction=symmetric" in line
    assert str(file) not in line and line.endswith(" --cluster --no-tracking")


def test_a_blank_inside_of_a_name_belongs_to_it() -> None:
    assert names_in(" Ann Lee, b ,,c") == ("Ann Lee", "b", "c")


def test_the_command_line_and_the_environment_win(file: Path) -> None:
    result = run_file(file, WHOLE, "--limit", "7", FACEBENCH_MICC_SCENES="cooperative")
    options, given, _ = result.return_value
    assert (options["limit"], options["scenes"]) == (7, "cooperative")
    assert given["limit"] == 7 and options["data"] == Path("MICC")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("limt = 5", "no option 'limt': did you mean 'limit'"),
        ("settings = []", "no option 'settings': known: cluster"),
        ("options = 'x'", "no option 'options'"),
        ("[set]\nradius = 1", "is a table"),
        ("cluster = 1", "a flag is true or false"),
        ("limit =", "cannot be read as TOML"),
        ('prediction-unit = "cm"\nprediction_unit = "mm"', "'prediction_unit' is given twice"),
    ],
)
def test_a_mistake_names_the_file_and_the_key(file: Path, text: str, said: str) -> None:
    error = run_file(file, text).exception
    assert isinstance(error, FacebenchError)
    assert said in str(error) and str(file) in str(error)


@pytest.mark.parametrize("text", ["limit = true", "limit = 0", 'prediction-unit = "inch"'])
def test_values_are_checked_like_words(file: Path, text: str) -> None:
    assert isinstance(run_file(file, f'data = "x"\n{text}').exception, click.BadParameter)


def test_a_missing_file(tmp_path: Path) -> None:
    error = run("--options", str(tmp_path / "none.toml")).exception
    assert isinstance(error, FacebenchError) and "no such file" in str(error)


@pytest.mark.parametrize("words", [["micc"], ["train"], ["synth", "faces"], ["synth", "micc"]])
def test_commands_of_many_options_take_a_file(words: list[str], file: Path) -> None:
    file.write_text("otu = 'x'")
    result = CliRunner().invoke(group, [*words, "--options", str(file)])
    assert "did you mean 'out'" in str(result.exception)


def test_every_option_of_micc_has_an_environment_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    micc = group.get_command(click.Context(group), "micc")
    for option in micc.params:
        number = isinstance(option.type, click.IntRange | click.types.BoolParamType)
        named = isinstance(option.type, click.Choice | UnitType)
        word = "1" if number else "mm" if named else "/nowhere"
        if option.name != "options":
            monkeypatch.setenv(f"FACEBENCH_MICC_{option.name.upper()}", word)
    parent = click.Context(group, auto_envvar_prefix="FACEBENCH")
    context = micc.make_context("micc", [], parent=parent)
    sources = {context.get_parameter_source(name) for name in context.params}
    assert sources == {ParameterSource.ENVIRONMENT} and len(context.params) > 15


def test_the_file_itself_may_be_named_in_the_environment(file: Path) -> None:
    file.write_text("otu = 'x'")
    result = CliRunner().invoke(group, ["micc"], env={"FACEBENCH_MICC_OPTIONS": str(file)})
    assert "did you mean 'out'" in str(result.exception)


def test_the_help_names_every_preset() -> None:
    from facebench.bench.protocol.record import PRESETS

    assert set(PROTOCOLS) == set(PRESETS)
