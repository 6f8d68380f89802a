"""Labelled faces as Parquet shards: the training set's only form.

Columns: `id`, `subject` string; `image` JPEG; `landmarks` 136 float32 (x0, y0, x1, y1, ... pixels
of the square crop, integers at pixel centres); `mask` PNG of classes; `coefficients` float32;
`crop_size` int32. The schema's metadata names the model's digest, the mask's class order and the
image size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ...processes import worker_processes
from ..files.text import hold_to_plan
from ..files.writing import atomic_write, lock_folder
from ..morphable.load import load_model
from .appearance import MASK_ORDER
from .faces import FaceSampler, LabelledFace

FACES_PER_SHARD = 2000
_CHUNK = 25
_COLUMNS = {
    "id": pa.string(),
    "subject": pa.string(),
    "image": pa.binary(),
    "landmarks": pa.list_(pa.float32()),
    "mask": pa.binary(),
    "coefficients": pa.list_(pa.float32()),
    "crop_size": pa.int32(),
}


@dataclass(frozen=True)
class FacesPlan:
    """What decides every byte of a set of shards.

    Attributes:
        model: as given to `load_model`.
        model_digest: of that model.
        subjects: number of people.
        frames: faces of each.
        image_size: side of the crops in px.
        seed: of all chance.
    """

    model: str
    model_digest: str
    subjects: int
    frames: int
    image_size: int
    seed: int

    @property
    def n_faces(self) -> int:
        """Number of faces in all shards."""
        return self.subjects * self.frames

    @property
    def n_shards(self) -> int:
        """Number of shards, each of at most `FACES_PER_SHARD` faces."""
        return math.ceil(self.n_faces / FACES_PER_SHARD)


def shard_schema(model_digest: str, image_size: int) -> pa.Schema:
    """Columns and metadata of every shard."""
    metadata = {
        "facebench.model_digest": model_digest,
        "facebench.mask_order": MASK_ORDER,
        "facebench.image_size": str(image_size),
    }
    return pa.schema(list(_COLUMNS.items()), metadata=metadata)


def write_faces(
    plan: FacesPlan, folder: Path, workers: int, done: Callable[[int], None]
) -> list[Path]:
    """Write the shards that are missing in a folder.

    Args:
        plan: what to draw; the same plan gives the same bytes with any number of workers.
        folder: where shards go; finished ones of the same plan are kept.
        workers: processes; 1 draws in this one.
        done: called with the number of faces finished since the last call.

    Raises:
        FacebenchError: the folder holds shards of another plan or something else, or another
            command writes to it.
    """
    with lock_folder(folder, "synth faces", ("plan.json",)):
        return _write_missing(plan, folder, workers, done)


def _write_missing(
    plan: FacesPlan, folder: Path, workers: int, done: Callable[[int], None]
) -> list[Path]:
    # The model by digest and not by path: a moved file is the same model.
    settings = {key: value for key, value in asdict(plan).items() if key != "model"}
    hold_to_plan(folder / "plan.json", settings, folder)
    total = plan.n_shards
    paths = [folder / f"faces-{shard:05d}-of-{total:05d}.parquet" for shard in range(total)]
    missing = [shard for shard, path in enumerate(paths) if not path.exists()]
    done(plan.n_faces - sum(len(_faces_of(plan, shard)) for shard in missing))
    with worker_processes(workers, __name__) if missing and workers > 1 else nullcontext() as pool:
        for shard in missing:
            _write(plan, paths[shard], _rows(plan, pool, _faces_of(plan, shard), done))
    return paths


def _faces_of(plan: FacesPlan, shard: int) -> range:
    start = shard * FACES_PER_SHARD
    return range(start, min(start + FACES_PER_SHARD, plan.n_faces))


def _write(plan: FacesPlan, path: Path, rows: Iterator[list[dict[str, object]]]) -> None:
    schema = shard_schema(plan.model_digest, plan.image_size)
    # Renamed when whole: what is there under its own name is finished.
    with (
        atomic_write(path) as draft,
        draft.open("wb") as file,
        pq.ParquetWriter(file, schema) as writer,
    ):
        table = pa.Table.from_pylist([row for chunk in rows for row in chunk], schema=schema)
        # Small groups, so that a reader who wants one face need not decode the whole shard.
        writer.write_table(table, row_group_size=200)


def _rows(
    plan: FacesPlan, pool: Executor | None, faces: range, done: Callable[[int], None]
) -> Iterator[list[dict[str, object]]]:
    """Chunks of rows in the faces' order, drawn here or by worker processes."""
    # Chunks of a fixed size: the bytes do not depend on the number of workers.
    chunks = [faces[i : i + _CHUNK] for i in range(0, len(faces), _CHUNK)]
    run = pool.map if pool else map
    for rows in run(_draw_chunk, [plan] * len(chunks), chunks):
        done(len(rows))
        yield rows


def _draw_chunk(plan: FacesPlan, faces: range) -> list[dict[str, object]]:
    sampler = _sampler(plan)
    return [_row(sampler.face(*divmod(face, plan.frames))) for face in faces]


@lru_cache(maxsize=1)
def _sampler(plan: FacesPlan) -> FaceSampler:
    """One sampler per process: fitting the clothing to a model takes longer than a face."""
    return FaceSampler(load_model(plan.model), plan.seed, plan.image_size)


def _row(face: LabelledFace) -> dict[str, object]:
    return {
        "id": face.id,
        "subject": face.subject,
        "image": face.jpeg(),
        "landmarks": face.landmarks.ravel(),
        "mask": face.png_mask(),
        "coefficients": face.coefficients,
        "crop_size": len(face.image),
    }
