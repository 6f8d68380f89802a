"""Chunks of frames to faces and sums: boxes, failures, resumption."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray
from small_micc import moving_face, write_video

from facebench.bench.dataset.interface import Clip
from facebench.bench.method.clip_faces import (
    FAILED,
    NOT_FINITE,
    OK,
    ChunkRow,
    Crops,
    cut_faces,
    describe_chunk,
    face_chunks,
)
from facebench.bench.method.interface import MethodCard
from facebench.bench.methods.mean_face import CARD
from facebench.recon.face.crop import Box, crop_square, write_boxes
from facebench.recon.face.tracks import FIRST, longest_track
from facebench.recon.mesh import Mesh
from facebench.recon.video import decode
from facebench.recon.video.decode import Chunk, read_chunks
from facebench.recon.vision.detect import CascadeDetector, averaged, find_next
from facebench.results.run.ledger import ClipSum, Ledger


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


def chunk_of(crops: Crops, frames: int) -> tuple[ChunkRow, Crops]:
    return ChunkRow("s/a", 0, True, frames, 0, 0, OK, "", 0.0, np.empty(0)), crops


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    path = write_video(tmp_path_factory.mktemp("clip") / "a.avi", moving_face(40))
    return Clip("s/a", path)


def test_a_box_file_is_honoured(clip: Clip) -> None:
    boxes = {3: Box(100, 60, 80, 90), 9: Box(900, 60, 80, 90), 35: Box(90.5, 70.25, 60, 60)}
    path = clip.path.with_name("boxes.csv")
    write_boxes(path, boxes)
    (first, face), (last, other) = face_chunks(Clip("s/a", clip.path, path), 24)
    frames = np.concatenate([chunk.frames for chunk in read_chunks(clip.path, clip.id)])
    np.testing.assert_array_equal(face, [crop_square(frames[3], boxes[3], 24)])
    np.testing.assert_array_equal(other, [crop_square(frames[35], boxes[35], 24)])
    assert (first.frames, last.frames, last.last) == (32, 8, True)


def test_done_chunks_are_left_out(clip: Clip) -> None:
    whole, rest = list(face_chunks(clip, 24)), list(face_chunks(clip, 24, done=frozenset({0})))
    assert [row.chunk for row, _ in rest] == [1]
    np.testing.assert_array_equal(rest[0][1], whole[1][1])
    assert list(face_chunks(clip, 24, done=frozenset({0, 1}))) == []


def test_a_detector_that_fails_costs_its_chunk(clip: Clip) -> None:
    def locate(number: int, frame: NDArray[np.uint8], last: Box | None) -> Box | None:
        raise ValueError("no cascade\nwith details")

    row, crops = cut_faces(next(read_chunks(clip.path, clip.id)), locate, 24, 0.0)
    assert (row.status, row.reason, len(crops)) == (FAILED, "ValueError: no cascade", 0)


def test_the_sum_is_over_faces_in_float64() -> None:
    crops = np.random.default_rng(0).integers(0, 255, (9, 16, 16, 3)).astype(np.uint8)
    row = describe_chunk(Colour(), *chunk_of(crops, 12))
    expected = crops.mean(axis=(1, 2)).astype(np.float32).astype(np.float64).sum(axis=0)
    np.testing.assert_array_equal(row.sum, expected)
    assert (row.faces, row.failed, row.frames, row.status) == (9, 0, 12, OK)


def test_values_that_are_not_finite_are_counted_and_left_out() -> None:
    crops = np.full((5, 16, 16, 3), 50, np.uint8)
    crops[2] = 250
    row = describe_chunk(Colour(limit=200), *chunk_of(crops, 5))
    assert (row.faces, row.failed, row.reason) == (4, 1, NOT_FINITE)
    np.testing.assert_array_equal(row.sum, [200, 200, 200])


@pytest.mark.parametrize("average", ["parameters", "meshes", "errors"])
def test_a_method_that_fails_is_a_row_to_try_again(
    average: Literal["parameters", "meshes", "errors"],
) -> None:
    row = describe_chunk(
        Colour(limit=-1), *chunk_of(np.zeros((3, 16, 16, 3), np.uint8), 4), average
    )
    assert (row.status, row.faces, row.failed, row.sum.size) == (FAILED, 0, 3, 0)
    assert row.reason == "RuntimeError: the device is lost"
    assert (None if row.vectors is None else len(row.vectors)) == (
        0 if average == "errors" else None
    )


@pytest.mark.parametrize(
    ("vectors", "said"),
    [
        (np.ones((7, 3), np.float32), r"float32 \(7, 3\) for 8 faces"),
        (np.ones((10, 3)), r"\(10, 3\)"),
        (np.ones(8, np.float32), r"\(8,\)"),
        (np.ones((8, 3, 2)), r"\(8, 3, 2\)"),
        (np.ones((8, 3), np.complex64), "complex64"),
        ([None] * 8, "object"),
    ],
)
def test_vectors_are_one_of_each_face(
    vectors: object, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Colour, "describe", lambda _, crops: vectors)
    row = describe_chunk(Colour(), *chunk_of(np.zeros((8, 16, 16, 3), np.uint8), 8))
    assert (row.status, row.faces, row.failed, row.sum.size) == (FAILED, 0, 8, 0)
    assert re.search(f"the method gave .*{said}.*describe", row.reason)


def test_a_number_beyond_all_is_not_finite(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Colour, "describe", lambda _, crops: np.full((len(crops), 3), 1e300))
    row = describe_chunk(Colour(), *chunk_of(np.zeros((2, 16, 16, 3), np.uint8), 2))
    assert (row.faces, row.failed, row.reason) == (0, 2, NOT_FINITE)


def test_a_chunk_without_faces_is_not_given_to_the_method() -> None:
    row = describe_chunk(Colour(limit=-1), *chunk_of(np.zeros((0, 16, 16, 3), np.uint8), 4))
    assert (row.status, row.faces, row.failed) == (OK, 0, 0)


def test_an_unreadable_box_file_fails_the_clip(clip: Clip, tmp_path: Path) -> None:
    ((row, _),) = face_chunks(Clip("s/a", clip.path, tmp_path / "lost.csv"), 24)
    assert row.status == FAILED and row.last and "lost.csv" in row.reason


def summed(path: Path, limit: int | None = None) -> ClipSum:
    """What a run adds up of a clip."""
    ledger = Ledger(path.parent / f"ledger-{decode.CHUNK_FRAMES}")
    for chunk in face_chunks(Clip("s/a", path), 24, limit):
        ledger.write(describe_chunk(Colour(), *chunk, "errors"))
    return ledger.total("s/a")


def test_nothing_is_added_up_across_a_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A film of two takes in which the face stays where it is; wherever its chunks end."""
    first = moving_face(18)
    second = moving_face(9) // 3 + 150
    path = write_video(tmp_path / "a.avi", np.concatenate([first, second]))
    alone = summed(write_video(tmp_path / "alone" / "a.avi", first))
    whole = summed(path)
    assert whole.frames == 27 and whole.faces == alone.faces == 18
    assert [count for *_, count in whole.others] and whole.others[0][0] >= 18
    # Compressed anew beside other frames: no two encodings are the same to the last digit.
    np.testing.assert_allclose(whole.sum / 18, alone.sum / 18, atol=1.0)
    assert whole.vectors is not None and len(whole.vectors) == 18
    monkeypatch.setattr(decode, "CHUNK_FRAMES", 5)
    parts = summed(path)
    assert (parts.faces, parts.others) == (whole.faces, whole.others)
    np.testing.assert_allclose(parts.sum, whole.sum, rtol=1e-12)


def test_a_clip_that_is_continued_has_the_same_sum(clip: Clip, tmp_path: Path) -> None:
    """The frame before a chunk is known though the chunk before is not read again."""
    _, (whole, _) = face_chunks(clip, 24)
    ((rest, _),) = face_chunks(clip, 24, done=frozenset({0}))
    assert whole.segments is not None and rest.segments is not None
    np.testing.assert_array_equal(whole.segments, rest.segments)
    np.testing.assert_array_equal(whole.changes, rest.changes)


def test_a_real_cut_ends_a_track(shared: Path) -> None:
    """A film of a museum with its first cut after frame 19; the face is told to stay in place."""
    parts = []
    for chunk in read_chunks(shared / "real" / "cases" / "07_cut_after_frame_19.mp4", "s/a", 44):
        cut, _ = cut_faces(chunk, lambda *_: Box(140, 80, 50, 50), 24, 0.0, tracked=True)
        assert cut.segments is not None and cut.changes is not None
        parts.append((cut.segments, cut.changes))
    segments, changes = (np.concatenate(part) for part in zip(*parts, strict=True))
    own, others = longest_track(segments, changes)
    assert segments[own, FIRST].min() == 20 and others == ((0, 19, 20),)


def test_boxes_of_a_file_are_one_person_s(tmp_path: Path) -> None:
    frames = np.concatenate([moving_face(6), moving_face(6) // 3 + 150])
    path = write_video(tmp_path / "a.avi", frames)
    write_boxes(tmp_path / "a.csv", {n: Box(60, 20, 90, 110) for n in range(12)})
    ((row, crops),) = face_chunks(Clip("s/a", path, tmp_path / "a.csv"), 24)
    assert row.segments is None and row.changes is None and len(crops) == 12


class OneFace:
    """Finds a face in the left half by detection, and follows it while the frame is bright."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def detect(self, frame: NDArray[np.uint8]) -> Box | None:
        self.calls.append("detect")
        return Box(10, 10, 20, 20)

    def follow(self, frame: NDArray[np.uint8], last: Box) -> Box | None:
        self.calls.append("follow")
        return Box(last.left + 1, 10, 20, 20) if frame.mean() > 100 else None


def test_a_face_is_detected_where_none_can_be_followed() -> None:
    """At the start of a chunk, at a cut and when it is lost; wherever its chunks are read."""
    frames = np.full((9, 48, 64, 3), 110, np.uint8)
    frames[3] = 95  # darker, too little for a cut: the face is lost
    frames[6:] = 250  # another take
    finder = OneFace()
    chunk = Chunk("s/a", 1, True, frames, 40, "")
    cut, _ = cut_faces(chunk, lambda _, *seen: find_next(finder, *seen), 24, 0.0, tracked=True)
    d, f = "detect", "follow"
    assert finder.calls == [d, f, f, f, d, f, f, d, f, f]
    assert cut.segments is not None and cut.segments[0, FIRST] == 40


@pytest.mark.parametrize("times", [1, 8])
def test_a_followed_face_is_the_detected_one(times: int) -> None:
    """In large frames too, whose pixels are averaged before the look."""
    large = np.ones((1, times, times, 1), np.uint8)
    detector, (first, second) = CascadeDetector(), np.kron(moving_face(2), large)
    last, found = detector.detect(first), detector.detect(second)
    assert last is not None and found is not None
    followed = detector.follow(second, last)
    assert followed is not None
    side = found.width
    assert abs(followed.left - found.left) < 0.08 * side
    assert abs(followed.top - found.top) < 0.08 * side
    assert followed.width == pytest.approx(side, rel=0.1)
    assert detector.follow(np.zeros_like(second), last) is None
    # Beside the frame nothing is followed, and nothing goes wrong.
    assert detector.follow(second, Box(-400, 900, 30, 30)) is None


def test_pixels_of_a_large_square_are_averaged() -> None:
    """As a plain mean gives it, and black where the square leaves the frame."""
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 256, (50, 70, 3), np.uint8)
    wide = np.zeros((150, 200, 3), np.uint8)
    wide[50:100, 50:120] = frame
    for left, top in ((5, 6), (-9, 30), (50, -11), (-50, -50), (90, 20)):
        square = wide[50 + top :, 50 + left :][:40, :40].astype(float)
        plain = square.reshape(10, 4, 10, 4, 3).mean((1, 3))
        assert np.abs(np.asarray(averaged(frame, (left, top), 40, 4)) - plain).max() <= 1.0


def test_following_finds_a_face_where_detection_does(shared: Path) -> None:
    """Small in a film of a museum, for which a few windows speak in most frames."""
    detector, last, found = CascadeDetector(), None, []
    path = shared / "real" / "cases" / "07_cut_after_frame_19.mp4"
    frames = np.concatenate([chunk.frames for chunk in read_chunks(path, "s/a", 14)])[5:]
    for frame in frames:
        last = find_next(detector, frame, last)
        found.append((last is not None, detector.detect(frame) is not None))
    assert all(a == b for a, b in found) and {a for a, _ in found} == {True, False}
