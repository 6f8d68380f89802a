"""`facebench train` with the recipes of parser, recogniser and landmarker, as a user calls it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from training_faces import SIZE, write_training_faces

from facebench.cli.train import command
from facebench.errors import FacebenchError

MEASURES = {
    "landmarker": {"landmark_px", "nme_percent"},
    "parser-embedded": {"mean_iou", "pixel_accuracy"},
    "recogniser-embedded": {"verification_accuracy", "separation"},
}


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_training_faces(tmp_path_factory.mktemp("vision-command"))


def run(recipe: str, faces: Path, out: Path, *arguments: str) -> Result:
    settings = ["network.width=4", "network.image_size=32", "training.batch_size=4"]
    settings += ["training.log_every=1", "training.checkpoint_every=2", "training.steps=2"]
    if recipe.startswith("recogniser"):
        settings += [f"photograph_side={SIZE}", "network.outputs=8"]
    fixed = ["--recipe", recipe, "--data", str(faces), "--out", str(out), "--threads", "1"]
    return CliRunner().invoke(command, [*fixed, *(f"--set={one}" for one in settings), *arguments])


@pytest.mark.parametrize("recipe", MEASURES)
def test_trains_measures_and_keeps(recipe: str, faces: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = run(recipe, faces, out, "--validation", str(faces), "--json")
    assert first.exit_code == 0, first.output
    result = json.loads(first.stdout)
    assert result["steps"] == 2
    assert result["validation"].keys() - {"step"} == MEASURES[recipe] | {"unreadable"}
    assert result["validation"]["unreadable"] == 0
    names = {path.name for path in out.iterdir()}
    assert names >= {"checkpoint.pt", "weights.pt", "log.csv", "curves.png", "fits.png"}
    again = run(recipe, faces, out)
    assert "already trained to step 2" in again.output


@pytest.mark.parametrize("recipe", ["landmarker", "parser-embedded", "recogniser-embedded"])
def test_the_package_s_own_weights_are_a_start(recipe: str, faces: Path, tmp_path: Path) -> None:
    # The networks of these tests are narrower: the message says what was looked at.
    kind = recipe.removesuffix("-embedded")
    result = run(recipe, faces, tmp_path / "out", "--start", "embedded")
    assert f"{kind}.pt holds a {kind} of another size" in str(result.exception)


def test_training_goes_on_from_the_package_s_own_landmarker(faces: Path, tmp_path: Path) -> None:
    size = ["--set=network.width=16", "--set=network.image_size=96"]
    result = run("landmarker", faces, tmp_path / "out", *size, "--start", "embedded")
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("recipe", "arguments", "message"),
    [
        ("landmarker", ["--set=network.image_size=50"], "give a multiple of 32"),
        ("landmarker", ["--set=network.depth=50"], "unknown key 'network.depth'"),
        ("landmarker", ["--set=kind=landmark"], "did you mean 'landmarker'"),
        ("recogniser-embedded", ["--set=network.architecture=iresnet20"], "did you mean 'iresnet"),
        ("parser-embedded", ["--set=flip=2"], "give 0 to 1"),
        ("parser", ["--set=training.checkpoint_every=3", "--set=training.log_every=2"], "multiple"),
    ],
)
def test_a_mistake_in_a_recipe_is_told_in_one_line(
    recipe: str, arguments: list[str], message: str, faces: Path, tmp_path: Path
) -> None:
    result = run(recipe, faces, tmp_path / "out", *arguments)
    assert isinstance(result.exception, FacebenchError), result.output
    assert message in str(result.exception)
    assert "\n" not in str(result.exception)
