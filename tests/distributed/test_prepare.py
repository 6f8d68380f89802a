"""Preparation with real Ray and without: interrupted and continued, extended, trained on."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from labelled_photographs import person, write_pair, write_photograph
from PIL import Image

from facebench.distributed.prepare import PreparationJob, prepare
from facebench.errors import FacebenchError
from facebench.recon.preparation.candidates import PreparationSettings
from facebench.recon.preparation.folder import Part
from facebench.recon.preparation.labelling import NONE, NetworkChoice
from facebench.recon.preparation.listing import list_photographs
from facebench.recon.training.shards import FaceShards, rows_without_mask

pytestmark = pytest.mark.usefixtures("ray_running")
SIZE = 48


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three folders, so three chunks, with every kind of photograph that is left out."""
    root = tmp_path_factory.mktemp("prepare") / "photos"
    for number in range(4):
        write_photograph(root / "a" / f"{number}.jpg", number)
    turned = write_photograph(root / "b" / "turned.jpg", 5)
    exif = Image.Exif()
    exif[0x0112] = 6
    sideways = Image.fromarray(np.rot90(person(5).image).copy())
    sideways.save(turned, quality=92, exif=exif)
    write_photograph(root / "b" / "resaved.jpg", 0, quality=40)
    shutil.copy(root / "a" / "1.jpg", root / "b" / "copy.jpg")
    shutil.copy(root / "a" / "1.pts", root / "b" / "copy.pts")
    (root / "b" / "torn.jpg").write_bytes((root / "a" / "2.jpg").read_bytes()[:3000])
    write_pair(root / "c" / "two.jpg", 6, 7)
    write_photograph(root / "c" / "unmasked.jpg", 8, mask=False)
    night = write_photograph(root / "c" / "night.jpg", 9)
    Image.open(night).point(lambda value: value * 0.1).save(night)
    return root


def job_of(photographs: Path, out: Path) -> PreparationJob:
    settings = PreparationSettings(image_size=SIZE)
    return PreparationJob(
        listing=list_photographs([photographs]),
        out=out,
        settings=settings,
        networks=NetworkChoice(NONE, NONE),
        radius=6,
        workers=1,
    )


def nothing(total: int, done: int) -> None:
    """Does not listen to how many there are."""


class Ear(list[Part]):
    """Hears of every part, and may interrupt after some."""

    def __init__(self, patience: int = 1000) -> None:
        super().__init__()
        self.patience = patience

    def hear(self, part: Part) -> None:
        self.append(part)
        if len(self) >= self.patience:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def prepared(
    photographs: Path, tmp_path_factory: pytest.TempPathFactory, ray_running: None
) -> PreparationJob:
    job = job_of(photographs, tmp_path_factory.mktemp("prepared") / "shards")
    prepare(job, False, nothing, Ear().hear)
    return job


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}


def test_every_photograph_is_a_face_or_a_reason(prepared: PreparationJob) -> None:
    dropped = pd.read_parquet(prepared.out / "dropped.parquet")
    reasons = {f"{Path(row.source).stem}-{row.face}": row.reason for row in dropped.itertuples()}
    assert reasons == {
        "copy-0": "same file as another",
        "night-0": "too dark",
        "resaved-0": "near-duplicate",
        "torn--1": "unreadable photograph",
        "two-0": "not the main face",
    }
    faces = pd.read_parquet(prepared.out / "faces-00000-of-00001.parquet")
    stems = [Path(source).stem for source in faces["source"]]
    assert stems == ["0", "1", "2", "3", "turned", "two", "unmasked"]
    assert faces["id"].is_unique and faces["face_px"].min() > 64
    assert (faces[["left", "top", "width", "height"]].notna()).all(axis=None)


def test_training_reads_the_shards(prepared: PreparationJob) -> None:
    shards = FaceShards(prepared.out)
    assert len(shards) == 7 and shards.model_digest == ""
    assert rows_without_mask(prepared.out) == 2
    samples = [shards.sample(row) for row in range(7)]
    assert all(sample.image.shape == (SIZE, SIZE, 3) for sample in samples)
    assert all(0 < np.mean(sample.mask > 0) < 1 for sample in samples[:5])
    assert all((sample.mask == 1).all() for sample in samples[5:])
    # The turned photograph is upright: brows above the mouth, in the picture as in the landmarks.
    upright = samples[4]
    assert upright.landmarks[19, 1] < upright.landmarks[57, 1]
    brightness = [sample.image.astype(float).mean() for sample in samples]
    assert min(brightness) > 10


def test_interrupted_and_continued_gives_the_same_bytes(
    prepared: PreparationJob, tmp_path: Path
) -> None:
    """In this process, what Ray's workers gave in one go."""
    job = replace(prepared, out=tmp_path / "shards", workers=None)
    first = Ear(patience=1)
    with pytest.raises(KeyboardInterrupt):
        prepare(job, False, nothing, first.hear)
    assert not (job.out / "summary.json").exists()
    second = Ear()
    prepare(job, False, nothing, second.hear)
    assert len(first) == 1 and len(second) == 2
    assert contents(job.out) == contents(prepared.out)


def test_a_node_with_other_code_prepares_nothing(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("facebench.distributed.prepare.expected_code", lambda: "another")
    with pytest.raises(FacebenchError, match="facebench is another"):
        prepare(job_of(photographs, tmp_path / "out"), False, nothing, Ear().hear)


def test_the_same_again_changes_nothing(prepared: PreparationJob) -> None:
    times = {path: path.stat().st_mtime_ns for path in prepared.out.rglob("*")}
    again = Ear()
    summary = prepare(prepared, False, nothing, again.hear)
    assert (summary["faces"], again) == (7, [])
    assert times == {path: path.stat().st_mtime_ns for path in prepared.out.rglob("*")}


def test_what_is_added_is_all_that_is_done(
    prepared: PreparationJob, photographs: Path, tmp_path: Path
) -> None:
    out, more = tmp_path / "shards", tmp_path / "photos"
    shutil.copytree(prepared.out, out)
    shutil.copytree(photographs, more)  # copies keep their times, and so their stamps
    write_photograph(more / "a" / "new.jpg", 11)
    ear = Ear()
    summary = prepare(replace(job_of(more, out), workers=None), False, nothing, ear.hear)
    assert [part.photographs for part in ear] == [1]
    assert summary["faces"] == 8 and len(FaceShards(out)) == 8


def test_another_radius_only_selects_again(prepared: PreparationJob, tmp_path: Path) -> None:
    out = tmp_path / "shards"
    shutil.copytree(prepared.out, out)
    ear = Ear()
    summary = prepare(replace(prepared, out=out, radius=-1), False, nothing, ear.hear)
    assert (summary["faces"], ear) == (8, [])


def test_the_plan_is_as_folders_keep_it(prepared: PreparationJob) -> None:
    """Or the same command would refuse what an earlier version prepared."""
    plan = json.loads((prepared.out / "work" / "plan.json").read_text())
    assert plan["limits"] == {
        "face_px": 64.0,
        "sharpness": 20.0,
        "darkest": 25.0,
        "lost": 0.35,
        "outside": 0.02,
        "misfit": 0.1,
    }
    assert (plan["image_size"], plan["all_faces"], plan["mask_order"]) == (SIZE, False, "bisenet")


def test_another_plan_or_missing_weights_are_told(prepared: PreparationJob, tmp_path: Path) -> None:
    larger = replace(prepared, settings=replace(prepared.settings, image_size=64))
    with pytest.raises(FacebenchError, match="begun with image_size 48, not 64"):
        prepare(larger, False, nothing, Ear().hear)
    missing = NetworkChoice(str(tmp_path / "none.pt"), NONE)
    bare = replace(prepared, out=tmp_path / "shards", networks=missing)
    with pytest.raises(FacebenchError, match="need a landmark network: no landmarker weights at"):
        prepare(bare, False, nothing, Ear().hear)
    assert not bare.out.exists()
