"""Shards: the same bytes however the work was cut, kept when finished, refused when different."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from facebench.errors import FacebenchError
from facebench.recon.face.coefficients import CoefficientSizes
from facebench.recon.morphable.model import MorphableModel
from facebench.recon.synthetic import shards
from facebench.recon.synthetic.shards import FacesPlan, write_faces


@pytest.fixture
def plan(model: MorphableModel) -> FacesPlan:
    return FacesPlan("embedded", model.digest, subjects=3, frames=2, image_size=48, seed=1)


def _ignore(_: int) -> None:
    return None


def test_columns_and_metadata(plan: FacesPlan, model: MorphableModel, tmp_path: Path) -> None:
    (path,) = write_faces(plan, tmp_path, 1, _ignore)
    table = pq.read_table(path)
    rows = table.to_pylist()
    assert [row["id"] for row in rows] == [f"s{s:06d}-f{f:03d}" for s in range(3) for f in range(2)]
    assert {len(row["landmarks"]) for row in rows} == {136}
    assert {len(row["coefficients"]) for row in rows} == {CoefficientSizes.of(model).total}
    assert {row["crop_size"] for row in rows} == {48}
    assert table.schema.metadata[b"facebench.model_digest"].decode() == model.digest
    assert table.schema.metadata[b"facebench.mask_order"] == b"bisenet"
    assert table.schema.metadata[b"facebench.image_size"] == b"48"


def test_shard_boundaries_do_not_change_faces(
    plan: FacesPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (whole,) = write_faces(plan, tmp_path / "whole", 1, _ignore)
    monkeypatch.setattr(shards, "FACES_PER_SHARD", 4)
    parts = write_faces(plan, tmp_path / "parts", 1, _ignore)
    assert len(parts) == 2
    rows = [row for path in parts for row in pq.read_table(path).to_pylist()]
    assert rows == pq.read_table(whole).to_pylist()


def test_processes_write_the_same_bytes(plan: FacesPlan, tmp_path: Path) -> None:
    (alone,) = write_faces(plan, tmp_path / "alone", 1, _ignore)
    (shared,) = write_faces(plan, tmp_path / "shared", 2, _ignore)
    assert alone.read_bytes() == shared.read_bytes()


def test_finished_shards_are_kept(
    plan: FacesPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "FACES_PER_SHARD", 4)
    first, second = write_faces(plan, tmp_path, 1, _ignore)
    before = second.read_bytes()
    kept = first.stat().st_mtime_ns
    second.unlink()
    counted: list[int] = []
    write_faces(plan, tmp_path, 1, counted.append)
    assert first.stat().st_mtime_ns == kept
    assert second.read_bytes() == before
    assert sum(counted) == plan.n_faces
    assert not list(tmp_path.glob("*.part"))


def test_another_plan_is_refused(plan: FacesPlan, tmp_path: Path) -> None:
    write_faces(replace(plan, subjects=1), tmp_path, 1, _ignore)
    with pytest.raises(FacebenchError, match="was begun with subjects"):
        write_faces(plan, tmp_path, 1, _ignore)


def test_a_picture_can_be_read_back(plan: FacesPlan, tmp_path: Path) -> None:
    import io

    from PIL import Image

    (path,) = write_faces(replace(plan, subjects=1), tmp_path, 1, _ignore)
    row = pq.read_table(path).to_pylist()[0]
    assert Image.open(io.BytesIO(row["image"])).size == (48, 48)
    assert np.asarray(Image.open(io.BytesIO(row["mask"]))).max() < 19
