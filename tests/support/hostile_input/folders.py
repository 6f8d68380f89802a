"""Sound folders that the package itself wrote and reads again: runs, shards, trainings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from example_runs import example_run
from PIL import Image

from facebench.bench.method.clip_faces import OK, ChunkRow
from facebench.recon.face.crop import Box
from facebench.recon.preparation.folder import part_of
from facebench.recon.preparation.patch import Framed
from facebench.recon.preparation.rows import WorkRow
from facebench.results.gate.baseline import Baseline
from facebench.results.run.items import PointErrors
from facebench.results.run.ledger import Ledger
from facebench.tests.support.hostile_input.samples import picture, small_model

CLIP = "subject_01/cooperative"


def run_folder(attacked: str) -> Callable[[Path], Path]:
    """A finished benchmark, one of its files attacked."""

    def write(folder: Path) -> Path:
        run = example_run(folder / "run")
        Baseline.of_run(run).write(folder / "run" / "baseline.json")
        ledger(folder / "run")
        return folder / "run" / attacked

    return write


def ledger(folder: Path) -> Path:
    """Two chunks of a clip; the second is attacked."""
    kept = Ledger(folder / "chunks.parquet")
    for number in range(2):
        total = np.arange(5.0)
        row = ChunkRow(CLIP, number, number == 1, 32, 30, 0, OK, "", 0.1, total)
        kept.write(row, "now", 1.0)
    return folder / "chunks.parquet" / CLIP / "00001.parquet"


def point_errors(folder: Path) -> Path:
    kept = PointErrors(folder)
    kept.write("subject_01/indoor", (np.arange(50, dtype=np.float32), np.arange(9.0)))
    return folder / "subject_01" / "indoor.parquet"


def shards(folder: Path) -> Path:
    """Six photographs with landmarks and masks."""
    encoded = picture("p.jpg")(folder).read_bytes(), picture("m.png", "L")(folder).read_bytes()
    for path in folder.iterdir():
        path.unlink()
    points = np.random.default_rng(0).uniform(0, 60, 136).astype(np.float32)
    table = {
        "id": [f"s{i}" for i in range(6)],
        "subject": [f"s{i // 2}" for i in range(6)],
        "image": [encoded[0]] * 6,
        "landmarks": [points] * 6,
        "mask": [encoded[1]] * 6,
        "coefficients": [np.zeros(5, np.float32)] * 6,
    }
    metadata = {"facebench.model_digest": "", "facebench.mask_order": "bisenet"}
    path = folder / "faces.parquet"
    pq.write_table(pa.table(table).replace_schema_metadata(metadata), path, row_group_size=3)
    return path


def prepared_work(folder: Path) -> Path:
    """A chunk of prepared photographs."""
    pixels = np.zeros((32, 32, 3), np.uint8)
    points = np.zeros((68, 2), np.float32)
    face = Framed(pixels, points, None, np.ones((32, 32), bool), Box(0.0, 0.0, 80.0, 80.0))
    part = part_of([WorkRow("a.jpg", "stamp", "0" * 64, 0, face)])
    (folder / part.name).write_bytes(part.content)
    return folder / part.name


def celebamask(attacked: str) -> Callable[[Path], Path]:
    """A photograph and one part of it, as CelebAMask-HQ lays them out."""

    def write(folder: Path) -> Path:
        parts = folder / "CelebAMask-HQ-mask-anno" / "0"
        photographs = folder / "CelebA-HQ-img"
        parts.mkdir(parents=True)
        photographs.mkdir()
        picture("0.jpg")(photographs)
        Image.fromarray(np.full((64, 64), 255, np.uint8)).save(parts / "00000_skin.png")
        return next(folder.rglob(attacked))

    return write


def truth(folder: Path) -> Path:
    """The truth of one made-up person."""
    np.savez(
        folder / "subject_01.npz",
        vertices=small_model().mean_shape,
        identity=np.zeros(2),
        frontal1_rotation=np.eye(3),
        frontal1_translation=np.zeros(3),
    )
    return folder / "subject_01.npz"
