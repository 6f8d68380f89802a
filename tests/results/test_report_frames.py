"""Frames of the worst come from the run's own dataset, parts of the face from its table."""

from __future__ import annotations

import base64
import io
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_runs import PARTS, SCENES, example_record, example_run
from micc_sets import micc_dataset
from PIL import Image
from small_micc import clip_path, moving_face, write_video

from facebench.bench.landmarks import face_parts
from facebench.bench.method.clip_faces import ChunkRow
from facebench.recon.morphable.procedural import embedded_model
from facebench.results.report import write_report
from facebench.results.report.pictures import (
    FRAMES_IN,
    frames_of,
    part_errors,
    region_errors,
    worst_frames,
)
from facebench.results.report.tables import find_losses, shared_reason
from facebench.results.run.folder import RunFolder
from facebench.results.run.ledger import Ledger
from facebench.results.tables.series import read_series

SUBJECT = "subject_01"
SLIDING = np.stack([np.roll(moving_face(1)[0], 6 * number, axis=1) for number in range(40)])
"""No two frames are alike."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    for scene in ("cooperative", "indoor"):
        write_video(clip_path(root, 1, scene), SLIDING)
    return root


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    digest = micc_dataset(data, SCENES, (SUBJECT,)).digest
    arguments = {**example_record().arguments, "data": str(data)}
    changes: dict[str, Any] = {"arguments": arguments, "dataset_digest": digest}
    changes |= {"subjects": (SUBJECT,), "data": str(data)}
    run = example_run(tmp_path_factory.mktemp("run") / "ours", **changes)
    for scene, faces in (("cooperative", (0, 8)), ("indoor", (0, 0))):
        for chunk, (frames, found) in enumerate(zip((32, 8), faces, strict=True)):
            clip = f"{SUBJECT}/{scene}"
            row = ChunkRow(clip, chunk, chunk == 1, frames, found, 0, "ok", "", 1.0, np.ones(3))
            run.ledger.write(row)
    return run


def test_the_frame_is_of_the_first_part_with_a_face(run: RunFolder) -> None:
    (key, (picture, number)), *others = worst_frames(run.record(), run.ledger, [SUBJECT]).items()
    assert key == (SUBJECT, "cooperative") and not others
    with Image.open(io.BytesIO(base64.b64decode(picture.split(",")[1]))) as image:
        shown = np.asarray(image.convert("RGB"), float)
    differences = [np.abs(shown - frame).mean() for frame in SLIDING]
    assert int(np.argmin(differences)) == 32 + FRAMES_IN - 1 == number - 1


def test_frames_without_a_face_are_named_and_one_is_shown(run: RunFolder, tmp_path: Path) -> None:
    def lost(*segments: tuple[float, float, int], frames: int = 40) -> str:
        places = [[a, b, n, n, 50, 50, 4.6, 50, 50, 4.6] for a, b, n in segments]
        faces, clip = sum(n for *_, n in segments), f"{SUBJECT}/cooperative"
        shutil.rmtree(tmp_path / "ledger", ignore_errors=True)
        ledger = Ledger(tmp_path / "ledger")
        row = ChunkRow(clip, 0, True, frames, faces, 0, "ok", "", 1.0, np.ones(3))
        ledger.write(replace(row, segments=np.array(places).reshape(-1, 10)))
        ((found,),) = [list(find_losses(ledger))]
        assert found.count == frames - faces
        return found.where

    assert lost((0, 2, 3), (8, 39, 32)) == "4–8"
    assert lost((1, 36, 36)) == "1, 38–40"
    assert lost((0, 38, 35)) == "40 and 4 between"
    assert lost((0, 39, 35)) == "5 of 1–40"
    assert lost(frames=12) == "1–12"
    pictures = frames_of(run.record(), {f"{SUBJECT}/cooperative": (1, 35), "other/clip": (0, 3)})
    (picture, number), *others = pictures.values()
    assert number == 36 and not others
    with Image.open(io.BytesIO(base64.b64decode(picture.split(",")[1]))) as image:
        shown = np.asarray(image.convert("RGB"), float)
    assert int(np.argmin([np.abs(shown - frame).mean() for frame in SLIDING])) == 35


def test_only_the_subjects_asked_for(run: RunFolder) -> None:
    assert worst_frames(run.record(), run.ledger, ["subject_02"]) == {}


def test_what_is_true_of_one_item_alone_makes_no_reason_of_its_own() -> None:
    assert shared_reason("others are left out: frames 8 to 9 (2 faces)", "a/indoor") == (
        "others are left out",
        "a/indoor (frames 8 to 9 (2 faces))",
    )
    assert shared_reason("uncertain by 5 mm: give the scan's 68 landmarks", "a/indoor") == (
        "uncertain by …: give the scan's 68 landmarks",
        "a/indoor (5 mm)",
    )
    for whole in (
        "the file is damaged",
        "scan: no mesh",
        "faces/ben.obj: cut in line 63",
    ):
        assert shared_reason(whole, "a/indoor") == (whole, "a/indoor")


def test_a_dataset_that_changed_or_went_shows_nothing(run: RunFolder, tmp_path: Path) -> None:
    others: tuple[dict[str, Any], ...] = (
        {"dataset_digest": "0" * 64},
        {"data": str(tmp_path / "gone")},
        {"data": ""},
    )
    for changes in others:
        record = replace(run.record(), **changes)
        assert worst_frames(record, run.ledger, [SUBJECT]) == {}


def test_each_part_of_a_face_has_its_mean_error(run: RunFolder) -> None:
    (series,) = read_series([run])
    errors = region_errors(series, "indoor")
    rows = run.items().query("scene == 'indoor'")
    for part in PARTS:
        mean, low, high = errors[part]
        assert mean == pytest.approx(rows[f"{part}_mm"].mean()) and low < mean < high
    model = embedded_model()
    means = {part: mean for part, (mean, *_) in errors.items()}
    values = part_errors(model, means)
    parts = face_parts(model.region, model.region_names)
    assert all((values[inside] == means[part]).all() for part, inside in parts.items())
    assert np.isnan(values[~np.any(list(parts.values()), axis=0)]).all()


def test_runs_are_paired_as_compare_pairs_them(tmp_path: Path) -> None:
    ours, theirs = example_run(tmp_path / "a"), example_run(tmp_path / "b", "mean-face", 1.9, 1)
    source = write_report(ours, [theirs]).read_text(encoding="utf-8")
    assert "mean-face − ours" in source and "0/0/8" in source and "won/tied/lost" in source
    assert "ours is better than mean-face in every scene. Its error is lower by" in source
    assert "<summary>mean-face</summary>" in source  # its provenance
