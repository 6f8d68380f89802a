"""`facebench evaluate` of two folders: every pair a row, sums that add up, interruption."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from in_process import facebench
from pair_files import points_of, write_now_prediction, write_now_scan, write_side
from scipy.spatial.transform import Rotation

from facebench.bench import evaluate
from facebench.cli.main import group
from facebench.errors import FacebenchError
from facebench.recon.mesh import Mesh
from facebench.recon.morphable.procedural import procedural_model
from facebench.results.run.folder import RunFolder
from facebench.results.run.items import PointErrors
from facebench.results.run.record import RunRecord

IMAGES = ("FaMoS_1/selfie/IMG_1", "FaMoS_1/multiview_neutral/IMG_2", "FaMoS_2/selfie/IMG_1")


def someone(seed: int) -> Mesh:
    model = procedural_model(0, 2000)
    n_modes = model.identity_basis.shape[2]
    return model.mesh(identity=0.4 * np.random.default_rng(seed).standard_normal(n_modes))


def posed(face: Mesh, seed: int) -> Mesh:
    turn = Rotation.random(rng=np.random.default_rng(seed)).as_matrix()
    return Mesh(face.vertices @ turn.T + 50.0 * seed, face.triangles, face.landmarks)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """NoW's layout: two subjects, three predictions in different units, two faults."""
    root = tmp_path_factory.mktemp("now")
    dataset, predictions = root / "NoW_Dataset", root / "predictions"
    for number in (1, 2):
        scan = posed(someone(number), number)
        write_now_scan(dataset, f"FaMoS_{number}", scan, points_of(scan))
    for number, image in enumerate(IMAGES):
        face = someone(10 + number)
        face = Mesh(face.vertices * 0.01**number, face.triangles, face.landmarks)
        write_now_prediction(predictions, image, face, points_of(face))
    broken = "FaMoS_2/selfie/IMG_5"
    (predictions / f"{broken}.obj").write_text("v 0 0\n")
    lines = [*IMAGES, "FaMoS_1/selfie/IMG_3", broken]
    (dataset / "imagepathsvalidation.txt").write_text("".join(f"{line}.jpg\n" for line in lines))
    return root


def run(home: Path, *words: object) -> Result:
    return CliRunner().invoke(group, ["evaluate", *map(str, words)])


def now_words(home: Path, out: str = "run") -> tuple[object, ...]:
    folders = home / "predictions", home / "NoW_Dataset"
    return (*folders, "--protocol", "now", "--out", home / out)


@pytest.fixture(scope="module")
def result(home: Path) -> Result:
    result = run(home, *now_words(home))
    assert result.exit_code == 0, result.output
    return result


def summary(home: Path, out: str = "run") -> dict[str, dict[str, object]]:
    return json.loads((home / out / "summary.json").read_text())["scenes"]


def test_every_image_is_a_row(home: Path, result: Result) -> None:
    table = pd.read_parquet(home / "run" / "items.parquet").set_index("item")
    assert len(table) == 5 and set(table[table["status"] == "ok"].index) == set(IMAGES)
    assert "no prediction of FaMoS_1/selfie/IMG_3" in table.loc["FaMoS_1/selfie/IMG_3", "reason"]
    assert "IMG_5.obj" in table.loc["FaMoS_2/selfie/IMG_5", "reason"]
    assert table["protocol"].unique().tolist() == ["now"]
    shown = " ".join(result.output.split())
    assert "over all points, protocol now" in shown and "no prediction of" in shown
    assert "3/5" in shown and "3 scored, 2 not" in shown


def test_the_sum_is_over_all_points(home: Path, result: Result) -> None:
    groups = summary(home)
    assert set(groups) == {"all", "selfie", "multiview_neutral"}
    kept = PointErrors(home / "run" / "distances")
    points = [kept.read(image)[0] for image in IMAGES]
    errors = np.concatenate(points).astype(np.float64)
    for name, statistic in (("mean_mm", np.mean), ("median_mm", np.median), ("std_mm", np.std)):
        assert groups["all"][name] == pytest.approx(statistic(errors), abs=1e-4)
    one = groups["multiview_neutral"]
    assert one["mean_mm"] == pytest.approx(points[1].astype(np.float64).mean())
    assert (groups["all"]["n_subjects"], groups["all"]["n_failed"]) == (3, 2)


def test_a_row_is_what_the_function_says(home: Path, result: Result) -> None:
    table = pd.read_parquet(home / "run" / "items.parquet").set_index("item")
    path = home / "predictions" / f"{IMAGES[2]}.obj"
    (scan,) = (home / "NoW_Dataset" / "scans" / "FaMoS_2").iterdir()
    (marks,) = (home / "NoW_Dataset" / "scans_lmks_onlypp" / "FaMoS_2").iterdir()
    score = evaluate(
        path, scan, "now", prediction_landmarks=path.with_suffix(".npy"), scan_landmarks=marks
    ).score
    assert table.loc[IMAGES[2], "mean_mm"] == pytest.approx(score.mean_mm, rel=1e-6)


def test_what_is_done_is_not_done_again(home: Path, result: Result) -> None:
    distances = home / "run" / "distances"
    before = {path: path.stat().st_mtime_ns for path in distances.rglob("*.parquet")}
    assert len(before) == 3
    again = run(home, *now_words(home), "--json")
    assert json.loads(again.stdout)["scenes"] == summary(home)
    assert before == {path: path.stat().st_mtime_ns for path in distances.rglob("*.parquet")}


@pytest.mark.parametrize("part", ["distances", "meshes", "scans"])
def test_what_was_removed_of_a_run_is_measured_again(
    home: Path, result: Result, tmp_path: Path, part: str
) -> None:
    """Points are pooled from `distances`, and compared on common ground by `scans`."""
    copy = shutil.copytree(home / "run", tmp_path / "copy")
    shutil.rmtree(copy / part)
    again = run(home, *now_words(home, str(copy)), "--json")
    assert json.loads(again.stdout)["scenes"] == summary(home)
    names = [sorted(path.name for path in (top / part).rglob("*")) for top in (copy, home / "run")]
    assert names[0] == names[1]


def test_another_protocol_needs_another_folder(home: Path, result: Result) -> None:
    folders = home / "predictions", home / "NoW_Dataset"
    other = run(home, *folders, "--protocol", "fg2018", "--out", home / "run")
    assert isinstance(other.exception, FacebenchError)
    assert "another protocol" in str(other.exception) and "another --out" in str(other.exception)


def test_a_folder_of_something_else_is_left_alone(home: Path, tmp_path: Path) -> None:
    folders = home / "predictions", home / "NoW_Dataset"
    for number, content in enumerate(("{}", "not JSON", '{"version": 2}', '{"version": 9}')):
        out = tmp_path / str(number)
        out.mkdir()
        (out / "run.json").write_text(content)
        done = run(home, *folders, "--protocol", "now", "--out", out)
        assert isinstance(done.exception, FacebenchError), content
        assert (out / "run.json").read_text() == content


def test_a_plain_folder_is_averaged_over_pairs(home: Path, tmp_path: Path) -> None:
    for name, seed in (("anna", 1), ("ben", 2)):
        face, scan = someone(20 + seed), posed(someone(seed), seed)
        write_side(face, tmp_path / "ours" / f"{name}.obj", points_of(face))
        write_side(scan, tmp_path / "theirs" / f"{name}.ply", points_of(scan))
    write_side(someone(3), tmp_path / "theirs" / "carla.ply")
    words = tmp_path / "ours", tmp_path / "theirs", "--out", tmp_path / "run"
    # Meshes as their files have them: half the time of a measurement.
    done = run(home, *words, "--set", "points.longest_edge_mm=inf", "--json")
    assert done.exit_code == 0, done.output
    (groups,) = (json.loads(done.stdout)["scenes"],)
    table = pd.read_parquet(tmp_path / "run" / "items.parquet").set_index("item")
    values = table.loc[["anna", "ben"], "value_mm"]
    assert groups["all"]["mean_mm"] == pytest.approx(values.mean())
    assert groups["all"]["std_mm"] == pytest.approx(values.std())
    assert set(groups) == {"all"} and "no prediction of carla" in table.loc["carla", "reason"]


def test_nothing_scored_is_exit_code_3(home: Path, tmp_path: Path) -> None:
    for side in ("ours", "theirs"):
        (tmp_path / side).mkdir()
        (tmp_path / side / "a.obj").write_text("v 0 0 0\n")
    done = run(home, tmp_path / "ours", tmp_path / "theirs", "--out", tmp_path / "run")
    assert done.exit_code == 3 and "a:" in done.stderr and "0 scored, 1 not" in done.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--scan-landmarks", "a.txt"), "is for one pair"),
        (("--protocol", "no"), "did you mean"),
    ],
)
def test_options_that_make_no_sense(home: Path, words: tuple[str, ...], said: str) -> None:
    done = run(home, home / "predictions", home / "NoW_Dataset", "--out", home / "x", *words)
    assert isinstance(done.exception, FacebenchError) and said in str(done.exception)
    assert not (home / "x").exists()


def test_an_interrupted_run_says_how_to_continue(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C as soon as the run is there; a process of its own: `test_usage_errors.py`."""
    begin = RunFolder.begin

    def begin_and_stop(folder: RunFolder, record: RunRecord) -> RunRecord:
        begin(folder, record)
        raise KeyboardInterrupt  # No signal: a shell lets its background jobs ignore that one.

    monkeypatch.setattr(RunFolder, "begin", begin_and_stop)
    words = [str(word) for word in now_words(home, "stopped")]
    done = facebench("evaluate", *words, home=home, path=home)
    assert done.returncode == 130 and (home / "stopped" / "run.json").is_file()
    folders = f"{home / 'predictions'} {home / 'NoW_Dataset'}"
    assert f"facebench evaluate {folders} --protocol now --out" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_set_goes_the_whole_way(home: Path, result: Result, tmp_path: Path) -> None:
    """NoW's layout measured twice, compared, gated, reported and logged, as a MICC run is."""
    earlier = set(runs_of_mlflow())
    worse = tmp_path / "worse"
    for number, image in enumerate(IMAGES):
        # Of the same size as the scan's, but of somebody else altogether.
        face = someone(40 + number)
        write_now_prediction(worse, image, face, points_of(face))
    second = run(home, worse, home / "NoW_Dataset", "--protocol", "now", "--out", tmp_path / "b")
    assert second.exit_code == 0, second.output

    def words(*line: object) -> Result:
        return CliRunner().invoke(group, list(map(str, line)))

    compared = words("compare", home / "run", tmp_path / "b").stdout
    # Three photographs of two people are two to be won or lost, and far too few to judge by.
    tallies = [sum(map(int, found)) for found in re.findall(r"(\d)/(\d)/(\d)", compared)]
    assert sorted(tallies) == [1, 2, 2] and "No p-value" in compared
    rules = tmp_path / "gate.toml"
    rules.write_text("[[limit]]\nmax_mm = 50.0\n[[coverage]]\nsubjects = 0.5\n")
    assert words("gate", tmp_path / "b", "--rules", rules).exit_code == 0
    rules.write_text("[[limit]]\nmax_mm = 0.001\n[[coverage]]\nsubjects = 0.5\n")
    assert words("gate", tmp_path / "b", "--rules", rules).exit_code == 1
    page = tmp_path / "page.html"
    told = words("report", home / "run", tmp_path / "b", "--out", page)
    assert told.exit_code == 0 and "multiview_neutral" in page.read_text(), told.output
    logged = {name: mean for name, mean in runs_of_mlflow().items() if name not in earlier}
    assert [mean for mean in logged.values() if not np.isnan(mean)] == [
        pytest.approx(summary(tmp_path / "b", ".")["all"]["mean_mm"])
    ]


def runs_of_mlflow() -> dict[str, float]:
    """Every run's number of all points by the run's name for itself; NaN where it has none."""
    runs = mlflow.search_runs(search_all_experiments=True)
    means = runs.get("metrics.all.mean_mm", pd.Series(np.nan, runs.index))
    return dict(zip(runs.get("run_id", ()), means, strict=True))
