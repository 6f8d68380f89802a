"""Batches made ahead: by a thread, and by processes."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from facebench.errors import FacebenchError
from facebench.recon.recipes.regressor import AugmentationRecipe
from facebench.recon.training.augmentation import augmentation
from facebench.recon.training.batches import BatchSource, prefetch
from facebench.recon.training.shards import FaceShards

CHANGE = augmentation(
    AugmentationRecipe(shift=0.1, zoom=0.1, turn=10, gain=0.1, contrast=0.2, cover=0.5)
)

pytestmark = pytest.mark.parametrize("readers", [1, 2])


def source(faces: Path) -> BatchSource:
    return BatchSource(FaceShards(faces), 4, 48, 3, CHANGE)


def test_batches_are_the_same_and_in_order(faces: Path, readers: int) -> None:
    plain = source(faces)
    made = list(prefetch(source(faces), 2, 9, readers))
    assert len(made) == 7
    for step, batch in enumerate(made, start=2):
        expected = plain.batch(step)
        for name in ("images", "landmarks", "masks"):
            assert torch.equal(getattr(batch, name), getattr(expected, name))


def test_an_error_reaches_the_trainer_in_its_own_words(
    faces: Path, tmp_path: Path, readers: int
) -> None:
    table = pq.read_table(faces / "faces.parquet")
    nothing = pa.array([b"no picture"] * len(table))
    index = table.column_names.index("image")
    pq.write_table(table.set_column(index, "image", nothing), tmp_path / "a.parquet")
    with pytest.raises(FacebenchError, match=r"^no row of step 0 .* could be read$"):
        next(prefetch(source(tmp_path), 0, 5, readers))


def test_who_stops_early_leaves_no_process(faces: Path, readers: int) -> None:
    batches = prefetch(source(faces), 0, 1000, readers)
    next(batches)
    batches.close()
    assert not multiprocessing.active_children()
