"""`facebench micc` end to end: faults become rows, a kill loses nothing, refusals are one line."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from small_micc import (
    clip_path,
    moving_face,
    scan_path,
    write_random_weights,
    write_scan,
    write_subject,
    write_video,
)

from facebench.cli.main import group
from facebench.distributed.benchmark import unfinished_tasks
from facebench.distributed.plan import RunRequest, prepare
from facebench.errors import FacebenchError
from facebench.recon.face.crop import Box, write_boxes
from facebench.recon.morphable.load import load_model
from facebench.results.run.folder import RunFolder

SCENES = ("cooperative", "indoor")
N_FRAMES = 34
"""Two chunks; all clips together are few enough to be read without Ray."""
NOT_OURS = re.compile(r"\b(DEBUG|INFO|WARNING|ERROR)\b|\.cc:\d+|alembic|raylet|github\.com")
"""Lines of Ray, MLflow and their parts, which are none of a user's."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a data set full of faults and a checkpoint."""
    root = tmp_path_factory.mktemp("micc")
    data, model = root / "data", load_model("embedded")
    write_random_weights(root / "weights.pt", model)
    write_subject(data, 1, model, SCENES, N_FRAMES, labelled=True)
    # Detection costs most and is what the other clips have.
    boxes = dict.fromkeys(range(N_FRAMES), Box(95, 75, 90, 95))
    write_boxes(clip_path(data, 1, "cooperative").with_suffix(".boxes.csv"), boxes)
    whole = clip_path(data, 1, "indoor")
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])

    write_subject(data, 2, model, ("cooperative",), 12)
    boxes = {number: Box(95, 75, 90, 95) for number in range(3, 12)}
    write_boxes(clip_path(data, 2, "cooperative").with_suffix(".boxes.csv"), boxes)
    faceless = np.full((4, 240, 320, 3), 90, np.uint8)
    write_video(clip_path(data, 2, "indoor", ".mpg"), faceless)
    scan = scan_path(data, 2)
    lines = scan.read_text().splitlines()
    lines[100] = "v nan 1 2"
    scan.write_text("\n".join([*lines, "v 1 2 3", ""]))

    write_subject(data, 3, model, ("cooperative",), 3)
    scan_path(data, 3).unlink()

    write_scan(scan_path(data, 4), model, labelled=True)
    write_video(clip_path(data, 4, "cooperative"), moving_face(3))
    write_video(clip_path(data, 4, "cooperative", ".mov"), moving_face(3))
    clip_path(data, 4, "indoor").write_bytes(b"not a video")
    return root


def arguments(home: Path, out: str, *more: str) -> list[str]:
    weights = str(home / "weights.pt")
    scenes = ",".join(SCENES)
    fixed = ["--data", str(home / "data"), "--checkpoint", weights, "--scenes", scenes]
    # Faces as their files have them: half the time, and no test here is about millimetres.
    fixed += ["--set", "points.longest_edge_mm=inf"]
    return ["micc", *fixed, "--out", str(home / out), *more]


def finish(home: Path, out: str) -> tuple[RunFolder, str]:
    """A run to its end, in this process, and what it printed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        result = CliRunner().invoke(group, arguments(home, out, "--json"))
    assert result.exit_code == 0, result.output
    return RunFolder(home / out), result.stdout


@pytest.fixture(scope="module")
def whole_run(home: Path) -> tuple[RunFolder, str]:
    """A run that nothing interrupts."""
    return finish(home, "whole")


@pytest.fixture(scope="module")
def rows(whole_run: tuple[RunFolder, str]) -> dict[tuple[str, str], pd.Series]:
    table = whole_run[0].items()
    return {(row["subject"][-2:], row["scene"]): row for _, row in table.iterrows()}


def test_every_subject_and_scene_has_a_row(rows: dict[tuple[str, str], pd.Series]) -> None:
    assert set(rows) == {(subject, s) for subject in ("01", "02", "03", "04") for s in SCENES}
    scored = {key for key, row in rows.items() if row["status"] == "ok"}
    assert scored == {("01", "cooperative"), ("01", "indoor"), ("02", "cooperative")}
    assert all(rows[key]["reason"] for key in set(rows) - scored)


def test_a_truncated_video_is_scored_with_a_note(rows: dict[tuple[str, str], pd.Series]) -> None:
    row = rows["01", "indoor"]
    assert "ends early" in row["note"] and 0 < row["frames"] < N_FRAMES
    assert rows["01", "cooperative"]["frames"] == N_FRAMES


def test_the_box_file_decides_which_frames_have_a_face(
    rows: dict[tuple[str, str], pd.Series],
) -> None:
    row = rows["02", "cooperative"]
    assert (row["frames"], row["faces"]) == (12, 9)
    assert "1 invalid vertex" in row["note"]


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (("02", "indoor"), "no face was found in any of 4 frames"),
        (("03", "cooperative"), "no usable frontal scan"),
        (("04", "cooperative"), "2 candidates for the video"),
        (("04", "indoor"), "cannot be read"),
    ],
)
def test_reasons(rows: dict[tuple[str, str], pd.Series], key: tuple[str, str], reason: str) -> None:
    assert reason in rows[key]["reason"]


def test_what_failed_counts_with_the_mean_face(
    whole_run: tuple[RunFolder, str], rows: dict[tuple[str, str], pd.Series]
) -> None:
    summary = whole_run[0].summary()["indoor"]
    values = [rows["01", "indoor"]["value_mm"]]
    stand_ins = [rows[s, "indoor"]["mean_face_mm"] for s in ("02", "04")]
    assert summary.mean_mm == pytest.approx(values[0])
    assert summary.mean_with_failures_mm == pytest.approx(np.mean(values + stand_ins))
    assert (summary.n_subjects, summary.n_failed) == (1, 3)


def test_the_summary_is_printed_and_complete(whole_run: tuple[RunFolder, str]) -> None:
    folder, printed = whole_run
    assert json.loads(printed) == json.loads((folder.root / "summary.json").read_text())
    cooperative = folder.summary()["cooperative"]
    assert cooperative.frames == N_FRAMES + 12 + 3
    assert cooperative.coverage == pytest.approx(cooperative.faces / cooperative.frames)
    assert cooperative.frames_per_second > 0 and math.isfinite(cooperative.mean_mm)


def test_the_record_tells_how(whole_run: tuple[RunFolder, str], home: Path) -> None:
    record = whole_run[0].record()
    assert record.finished and (record.n_scored, record.n_unscored) == (3, 5)
    given = {"data", "checkpoint", "scenes", "settings", "out", "as_json"}
    assert set(record.given) == given
    assert record.arguments["seed"] == 0
    assert record.command.startswith("facebench micc --data") and str(home) in record.command
    assert record.checkpoint_digest and record.protocol == "micc*"


def test_meshes_are_kept_for_what_was_scored(whole_run: tuple[RunFolder, str]) -> None:
    meshes = whole_run[0].meshes
    names = sorted(path.relative_to(meshes).as_posix() for path in meshes.rglob("*.ply"))
    assert names == [
        "subject_01/cooperative.ply",
        "subject_01/indoor.ply",
        "subject_02/cooperative.ply",
    ]
    assert whole_run[0].report.stat().st_size > 10_000


def test_a_killed_run_ends_with_the_same_numbers(
    home: Path, whole_run: tuple[RunFolder, str]
) -> None:
    """Two of Ray's workers begin it, this process ends it: they give what it gives."""
    folder = RunFolder(home / "killed")
    process = subprocess.Popen(
        [sys.executable, "-m", "facebench", *arguments(home, "killed", "--workers", "2")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=home,
    )
    while not list(folder.ledger.folder.rglob("*.parquet")):
        assert process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    _, said = process.communicate()
    assert [line for line in said.splitlines() if NOT_OURS.search(line)] == []
    kept = {path: path.stat().st_mtime_ns for path in folder.ledger.folder.rglob("*.parquet")}

    _, printed = finish(home, "killed")
    assert json.loads(printed) == json.loads((folder.root / "summary.json").read_text())
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in kept.items())
    before, after = whole_run[0], folder
    pd.testing.assert_frame_equal(before.items(), after.items(), check_exact=True)
    for row in before.ledger.table().itertuples():
        first, second = before.ledger.total(row.clip), after.ledger.total(row.clip)
        assert first.sum.tobytes() == second.sum.tobytes()
    assert len(after.ledger.table()) == len(before.ledger.table()) > len(kept)


def test_a_finished_run_has_little_left_to_do(home: Path, whole_run: tuple[RunFolder, str]) -> None:
    request = RunRequest(home / "data", checkpoint=home / "weights.pt", scenes=SCENES)
    benchmark = prepare(request)
    assert unfinished_tasks(benchmark.dataset.clips, whole_run[0].ledger) == []
    digests = benchmark.data_digests(benchmark.dataset.items)
    kept = [one for one in whole_run[0].scores.results() if one.scored]
    scored = ["subject_01/cooperative", "subject_01/indoor", "subject_02/cooperative"]
    assert [one.item for one in kept] == scored
    assert all(one.data_digest == digests[one.item] and len(one.curve) > 50 for one in kept)


def refusal(words: list[str]) -> str:
    """What the command says when it refuses to start."""
    result = CliRunner().invoke(group, words)
    assert isinstance(result.exception, FacebenchError), result.output
    return str(result.exception)


def test_another_setting_is_refused_by_name(
    home: Path, whole_run: tuple[RunFolder, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    more = {
        "protocol": ["--set", "crop.radius_mm=80"],
        "limit": ["--limit", "5"],
        "method": ["--method", "mean-face"],
        "seed": ["--seed", "3"],
    }
    before = (whole_run[0].root / "run.json").read_bytes()
    for name, changed in more.items():
        assert f"another {name}" in refusal(arguments(home, "whole", *changed))
    assert (whole_run[0].root / "run.json").read_bytes() == before


def test_two_commands_on_one_folder(home: Path, whole_run: tuple[RunFolder, str]) -> None:
    with whole_run[0].locked():
        assert "another command" in refusal(arguments(home, "whole"))


def test_a_folder_that_is_not_micc(home: Path, tmp_path: Path) -> None:
    (tmp_path / "holiday").mkdir()
    words = ["micc", "--data", str(tmp_path / "holiday"), "--out", str(tmp_path / "run")]
    assert "not a MICC folder" in refusal([*words, "--method", "mean-face"])


def test_a_checkpoint_of_another_model(home: Path, tmp_path: Path, shared: Path) -> None:
    model = str(shared / "ict-facekit" / "ict_facekit_light.npz")
    said = refusal([*arguments(home, "other"), "--model", model])
    assert "was trained with face model" in said and "embedded" not in said.split("'")[0]


def test_unknown_names_are_answered_with_the_nearest(home: Path) -> None:
    assert "did you mean 'mean-face'" in refusal(arguments(home, "x", "--method", "mean-fac"))
    assert "did you mean" in refusal(arguments(home, "x", "--set", "crop.radius=80"))
    assert "did you mean" in refusal(arguments(home, "x", "--subjects", "subject_1"))
    assert "KEY=VALUE" in refusal(arguments(home, "x", "--set", "crop"))
    assert not (home / "x").exists()


def test_nothing_left_to_measure(home: Path) -> None:
    everyone = ",".join(f"subject_{n:02d}" for n in range(1, 5))
    assert "no subject" in refusal(arguments(home, "x", "--exclude", everyone))
    assert not (home / "x").exists()
