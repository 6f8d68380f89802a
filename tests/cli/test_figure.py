"""`facebench figure`: without a folder, on a user's, and what it says where there is nothing."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import skimage.data
from click.testing import CliRunner, Result
from example_runs import example_run
from PIL import Image
from small_regressor import write_small_regressor

from facebench.cli.figure._shared import SEED
from facebench.cli.main import group
from facebench.errors import FacebenchError

SMALL = ("--dpi", "50", "--width", "3")


def figure(kind: str, *arguments: object) -> Result:
    return CliRunner().invoke(group, ["figure", kind, *map(str, arguments), *SMALL])


def refusal(kind: str, *arguments: object) -> str:
    result = figure(kind, *arguments)
    assert isinstance(result.exception, FacebenchError), result.output
    return str(result.exception)


def written(result: Result, out: Path) -> None:
    """Both files are there and named."""
    assert result.exit_code == 0, result.output
    for ending in (".png", ".pdf"):
        path = out.with_suffix(ending)
        assert path.is_file() and str(path) in result.output


@pytest.fixture(scope="module")
def lfw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two photographs of one person and one of nobody, as LFW lays them out."""
    folder = tmp_path_factory.mktemp("lfw") / "Eileen_Collins"
    folder.mkdir()
    face = Image.fromarray(skimage.data.astronaut())
    face.save(folder / "Eileen_Collins_0001.jpg")
    face.rotate(6).save(folder / "Eileen_Collins_0002.jpg")
    Image.fromarray(skimage.data.coffee()[:200, :200]).save(folder / "Eileen_Collins_0003.jpg")
    return folder.parent


def test_the_seed_of_the_help_is_that_of_the_pictures() -> None:
    from facebench.bench.figures import occlusion as embedded

    assert embedded.SEED == SEED


def test_quality_without_a_folder(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "quality"
    methods = ("--method", "mean-face", "--method", "ours as embedded weights")
    written(figure("quality", "--out", out, "--limit", 1, *methods), out)


def test_quality_on_a_users_folder_tells_what_it_left_out(lfw: Path, tmp_path: Path) -> None:
    out = tmp_path / "figure.png"
    result = figure("quality", lfw, "--out", out, "--method", "mean-face", "--limit", 3)
    written(result, tmp_path / "figure")
    assert "0003.jpg: no face was found" in result.output and "0002.jpg" not in result.output


def test_occlusion_measures_and_keeps_everybodys_numbers(tmp_path: Path) -> None:
    out = tmp_path / "occlusion"
    result = figure("occlusion", "--out", out, "--people", 3, "--limit", 1)
    written(result, out)
    rows = list(csv.DictReader(out.with_suffix(".csv").open()))
    assert len(rows) == 3
    assert all(float(row["mapping"]) > float(row["reconstruction"]) > 0 for row in rows)
    mean = sum(float(row["mapping"]) for row in rows) / 3
    assert f"mapping {mean:.3f}" in result.output


def test_consistency_of_two_trainings(tmp_path: Path) -> None:
    other = write_small_regressor(tmp_path / "other" / "weights.pt")
    out = tmp_path / "figure"
    methods = ("--method", "ours", "--method", f"ours={other} as other")
    numbers = ("--people", 2, "--each", 1, "--limit", 1, "--json")
    result = figure("consistency", "--out", out, *methods, *numbers)
    written(result, out)
    values = json.loads(result.output[result.output.index("{") :])
    first, second = values["methods"]
    assert [first["label"], second["label"]] == ["ours", "other"]
    assert set(first["within_mm"]) == {"all", "pose", "expression", "light"}
    difference = first["within_mm"]["all"]["mean"] - second["within_mm"]["all"]["mean"]
    assert values["differences"][0]["mean_mm"] == pytest.approx(difference)
    assert first["within_degrees"] > 0 and len(first["within_degrees_ci95"]) == 2
    assert len(out.with_suffix(".csv").read_text().splitlines()) == 1 + 2 * 2


def test_consistency_of_a_users_people(lfw: Path, tmp_path: Path) -> None:
    out = tmp_path / "figure"
    result = figure("consistency", lfw, "--out", out, "--method", "ours")
    written(result, out)
    assert "0003.jpg" in result.output


def test_parsing_without_a_folder(tmp_path: Path) -> None:
    out = tmp_path / "parsing"
    written(figure("parsing", "--out", out, "--limit", 1), out)


def test_wrong_input_is_one_line(lfw: Path, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "x")
    (tmp_path / "empty").mkdir()
    assert "neither photographs nor videos" in refusal("quality", tmp_path / "empty", *out)
    assert "no parser weights at" in refusal("parsing", lfw, "--parser", "none.pth", *out)
    assert "did you mean 'fitting'" in refusal("quality", "--method", "fiting", *out)
    assert "nobody has two photographs" in refusal(
        "consistency", lfw / "Eileen_Collins" / "Eileen_Collins_0003.jpg", *out
    )
    assert "no photograph with a face" in refusal(
        "quality", lfw / "Eileen_Collins" / "Eileen_Collins_0003.jpg", *out
    )


def test_runs_are_drawn_by_their_folders(tmp_path: Path) -> None:
    run = example_run(tmp_path / "run").root
    written(figure("curves", run, "--out", tmp_path / "curves.pdf"), tmp_path / "curves")
    assert "keeps no meshes" in refusal("heat-maps", run, "--out", tmp_path / "faces")
