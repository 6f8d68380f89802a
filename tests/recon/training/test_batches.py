from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from hypothesis import given
from hypothesis import strategies as st

from facebench.recon.recipes.regressor import AugmentationRecipe
from facebench.recon.training.augmentation import augmentation
from facebench.recon.training.batches import BatchSource, resize_sample, rows_of_step
from facebench.recon.training.shards import FaceShards, Sample
from facebench.recon.training.workers import ProcessGroup

CHANGE = augmentation(
    AugmentationRecipe(shift=0.1, zoom=0.1, turn=10, gain=0.1, contrast=0.2, cover=0.5)
)


def source(faces: Path, rank: int = 0, workers: int = 1, seed: int = 3) -> BatchSource:
    return BatchSource(FaceShards(faces), 4, 48, seed, CHANGE, ProcessGroup(rank, workers))


@given(st.integers(1, 40), st.integers(1, 16), st.integers(0, 5))
def test_every_row_comes_once_an_epoch(rows: int, batch: int, seed: int) -> None:
    steps = -(-2 * rows // batch)
    order = np.concatenate([rows_of_step([rows], batch, step, seed) for step in range(steps)])
    for epoch in range(2):
        assert sorted(order[epoch * rows : (epoch + 1) * rows]) == list(range(rows))


def test_a_step_is_the_same_whatever_came_before(faces: Path) -> None:
    one, two = source(faces), source(faces)
    for step in (0, 1, 2):
        one.batch(step)
    torch.testing.assert_close(one.batch(7).images, two.batch(7).images, rtol=0, atol=0)
    assert not torch.equal(one.batch(7).images, source(faces, seed=4).batch(7).images)


def test_workers_share_the_batch_of_one(faces: Path) -> None:
    alone = source(faces).batch(5)
    shares = [source(faces, rank, 2).batch(5) for rank in range(2)]
    together = torch.stack([share.images for share in shares], dim=1).flatten(0, 1)
    torch.testing.assert_close(together, alone.images, rtol=0, atol=0)


def test_an_unreadable_row_is_left_out(faces: Path, tmp_path: Path) -> None:
    table = pq.read_table(faces / "faces.parquet")
    images = table["image"].to_pylist()
    images[2] = images[2][:40]
    broken = table.set_column(table.column_names.index("image"), "image", pa.array(images))
    pq.write_table(broken, tmp_path / "a.parquet")
    sizes = [len(source(tmp_path).batch(step).images) for step in range(3)]
    assert sorted(sizes) == [3, 4, 4]


def test_landmarks_follow_a_resized_picture() -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    image[20:24, 40:44] = 255
    landmarks = np.tile(np.float32([41.5, 21.5]), (68, 1))
    small = resize_sample(Sample(image, landmarks, image[..., 0]), 32)
    bright = np.argwhere(small.image[..., 0] > 128).mean(axis=0)[::-1]
    np.testing.assert_allclose(small.landmarks[0], bright, atol=0.3)
