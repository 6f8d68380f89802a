"""Chunks of frames to faces and sums: boxes, failures, resumption."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from small_micc import moving_face, write_video

from facebench.bench.dataset.interface import Clip
from facebench.bench.method.clip_faces import (
    FAILED,
    NOT_FINITE,
    OK,
    FaceChunk,
    cut_faces,
    describe_chunk,
    face_chunks,
)
from facebench.bench.method.interface import MethodCard
from facebench.bench.methods.mean_face import CARD
from facebench.recon.face.crop import Box, crop_square, write_boxes
from facebench.recon.mesh.record import Mesh
from facebench.recon.video.decode import read_chunks


@dataclass(frozen=True)
class Colour:
    """Describes a crop by its mean colour; a crop brighter than the limit gives NaN."""

    limit: float = 1000.0
    card: MethodCard = CARD
    crop_size: int = 16
    checkpoint_digest: str = ""
    model_digest: str = ""
    digest: str = ""
    parts: dict[str, NDArray[np.bool_]] = field(default_factory=dict)

    def describe(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        if self.limit < 0:
            raise RuntimeError("the device is lost")
        colours = crops.mean(axis=(1, 2)).astype(np.float32)
        return np.where(colours.mean(axis=1, keepdims=True) > self.limit, np.nan, colours)

    def mesh(self, vector: NDArray[np.floating]) -> Mesh:
        raise NotImplementedError


def chunk_of(crops: NDArray[np.uint8], frames: int) -> FaceChunk:
    return FaceChunk("s/a", 0, True, frames, crops, OK, "", 0.0)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    path = write_video(tmp_path_factory.mktemp("clip") / "a.avi", moving_face(40))
    return Clip("s/a", path)


def test_a_box_file_is_honoured(clip: Clip) -> None:
    boxes = {3: Box(100, 60, 80, 90), 35: Box(90.5, 70.25, 60, 60)}
    path = clip.path.with_name("boxes.csv")
    write_boxes(path, boxes)
    first, last = face_chunks(Clip("s/a", clip.path, path), 24)
    frames = np.concatenate([chunk.frames for chunk in read_chunks(clip.path, clip.id)])
    np.testing.assert_array_equal(first.crops, [crop_square(frames[3], boxes[3], 24)])
    np.testing.assert_array_equal(last.crops, [crop_square(frames[35], boxes[35], 24)])
    assert (first.frames, last.frames, last.last) == (32, 8, True)


def test_done_chunks_are_left_out(clip: Clip) -> None:
    whole, rest = list(face_chunks(clip, 24)), list(face_chunks(clip, 24, done=frozenset({0})))
    assert [chunk.chunk for chunk in rest] == [1]
    np.testing.assert_array_equal(rest[0].crops, whole[1].crops)
    assert list(face_chunks(clip, 24, done=frozenset({0, 1}))) == []


def test_a_detector_that_fails_costs_its_chunk(clip: Clip) -> None:
    def locate(number: int, frame: NDArray[np.uint8]) -> Box | None:
        raise ValueError("no cascade\nwith details")

    chunk = cut_faces(next(read_chunks(clip.path, clip.id)), locate, 24, 0.0)
    assert (chunk.status, chunk.reason, len(chunk.crops)) == (
        FAILED,
        "ValueError: no cascade",
        0,
    )


def test_the_sum_is_over_faces_in_float64() -> None:
    crops = np.random.default_rng(0).integers(0, 255, (9, 16, 16, 3)).astype(np.uint8)
    row = describe_chunk(Colour(), chunk_of(crops, 12))
    expected = crops.mean(axis=(1, 2)).astype(np.float32).astype(np.float64).sum(axis=0)
    np.testing.assert_array_equal(row.sum, expected)
    assert (row.faces, row.failed, row.frames, row.status) == (9, 0, 12, OK)


def test_values_that_are_not_finite_are_counted_and_left_out() -> None:
    crops = np.full((5, 16, 16, 3), 50, np.uint8)
    crops[2] = 250
    row = describe_chunk(Colour(limit=200), chunk_of(crops, 5))
    assert (row.faces, row.failed, row.reason) == (4, 1, NOT_FINITE)
    np.testing.assert_array_equal(row.sum, [200, 200, 200])


def test_a_method_that_fails_is_a_row_to_try_again() -> None:
    row = describe_chunk(Colour(limit=-1), chunk_of(np.zeros((3, 16, 16, 3), np.uint8), 4))
    assert (row.status, row.faces, row.failed, row.sum.size) == (FAILED, 0, 3, 0)
    assert row.reason == "RuntimeError: the device is lost"


def test_a_chunk_without_faces_is_not_given_to_the_method() -> None:
    row = describe_chunk(Colour(limit=-1), chunk_of(np.zeros((0, 16, 16, 3), np.uint8), 4))
    assert (row.status, row.faces, row.failed) == (OK, 0, 0)


def test_an_unreadable_box_file_fails_the_clip(clip: Clip, tmp_path: Path) -> None:
    (chunk,) = face_chunks(Clip("s/a", clip.path, tmp_path / "lost.csv"), 24)
    assert chunk.status == FAILED and chunk.last and "lost.csv" in chunk.reason
