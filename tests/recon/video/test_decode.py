"""Videos are counted by decoding, in chunks, whatever their headers say; and written."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import Colorspace
from numpy.typing import NDArray
from small_micc import CODECS, moving_face, write_video

from facebench.recon.video import decode as video
from facebench.recon.video.decode import CHUNK_FRAMES, Chunk, read_chunks

N_FRAMES = 70


@pytest.fixture(scope="module")
def frames() -> NDArray[np.uint8]:
    return moving_face(N_FRAMES)


@pytest.fixture(scope="module")
def clip(frames: NDArray[np.uint8], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("video") / "a.avi", frames)


def joined(chunks: list[Chunk]) -> NDArray[np.uint8]:
    return np.concatenate([chunk.frames for chunk in chunks])


@pytest.mark.parametrize("suffix", CODECS)
def test_every_frame_once_and_in_order(
    frames: NDArray[np.uint8], suffix: str, tmp_path: Path
) -> None:
    chunks = list(read_chunks(write_video(tmp_path / f"a{suffix}", frames), "s/a"))
    assert [(c.index, c.first_frame, len(c.frames)) for c in chunks] == [
        (0, 0, 32),
        (1, 32, 32),
        (2, 64, 6),
    ]
    assert [c.last for c in chunks] == [False, False, True]
    assert not any(c.reason for c in chunks)
    difference = np.abs(joined(chunks).astype(int) - frames).mean(axis=(1, 2, 3))
    shuffled = np.abs(joined(chunks).astype(int) - frames[::-1]).mean(axis=(1, 2, 3))
    assert difference.max() < 8 < np.median(shuffled)


@pytest.mark.parametrize("n_frames", [1, 31, 32, 33, 64])
def test_the_last_chunk_is_marked(clip: Path, n_frames: int) -> None:
    chunks = list(read_chunks(clip, "s/a", limit=n_frames))
    assert sum(len(chunk.frames) for chunk in chunks) == n_frames
    assert [chunk.last for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert all(len(chunk.frames) == CHUNK_FRAMES for chunk in chunks[:-1])


@pytest.mark.parametrize("skip", [{0}, {1}, {0, 2}, {0, 1, 2}])
def test_skipped_chunks_change_nothing_else(clip: Path, skip: set[int]) -> None:
    whole = {chunk.index: chunk for chunk in read_chunks(clip, "s/a")}
    some = list(read_chunks(clip, "s/a", skip=skip))
    assert {chunk.index for chunk in some} == set(whole) - skip
    for chunk in some:
        assert (chunk.first_frame, chunk.last) == (
            whole[chunk.index].first_frame,
            whole[chunk.index].last,
        )
        np.testing.assert_array_equal(chunk.frames, whole[chunk.index].frames)


@pytest.mark.parametrize("suffix", [".avi", ".mpg", ".mjpg"])
def test_a_truncated_file_gives_what_it_holds(clip: Path, suffix: str, tmp_path: Path) -> None:
    whole = write_video(tmp_path / f"whole{suffix}", moving_face(N_FRAMES))
    half = tmp_path / f"half{suffix}"
    half.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    chunks, all_frames = list(read_chunks(half, "s/a")), joined(list(read_chunks(whole, "s/a")))
    read = joined(chunks)
    assert 10 < len(read) < N_FRAMES and chunks[-1].last
    np.testing.assert_array_equal(read[:8], all_frames[:8])
    if suffix == ".avi":
        assert f"{N_FRAMES} frames, {len(read)} read" in chunks[-1].reason


@pytest.mark.parametrize("content", [b"", b"not a video at all"])
def test_an_unreadable_file_is_one_empty_chunk(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "broken.mov"
    path.write_bytes(content)
    (chunk,) = read_chunks(path, "s/a")
    assert chunk.last and chunk.frames.shape == (0, 0, 0, 3)
    assert chunk.reason.startswith("broken.mov cannot be read")
    assert list(read_chunks(path, "s/a", skip={0})) == []


def test_a_missing_file_is_a_reason(tmp_path: Path) -> None:
    (chunk,) = read_chunks(tmp_path / "lost.avi", "s/a")
    assert "lost.avi cannot be read: No such file" in chunk.reason


def test_damaged_packets_cost_only_themselves(clip: Path, tmp_path: Path) -> None:
    whole = write_video(tmp_path / "a.mjpg", moving_face(20))
    content = bytearray(whole.read_bytes())
    starts = [i for i in range(len(content) - 1) if content[i : i + 2] == b"\xff\xd8"]
    content[starts[5] + 2 : starts[5] + 400] = bytes(398)
    whole.write_bytes(content)
    chunks = list(read_chunks(whole, "s/a"))
    assert len(joined(chunks)) >= 18


def test_large_frames_come_in_smaller_chunks(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video, "CHUNK_BYTES", 10 * 320 * 240 * 3)
    chunks = list(read_chunks(clip, "s/a"))
    assert [len(chunk.frames) for chunk in chunks] == [10] * 7


def test_frames_come_back_at_their_rate_without_an_odd_edge(tmp_path: Path) -> None:
    frames = moving_face(6)[:, :239, :317]
    rate = Fraction(30000, 1001)
    path = video.write_video(tmp_path / "v.mp4", iter(frames), rate)
    assert video.frame_rate(path) == rate
    read = np.concatenate([chunk.frames for chunk in read_chunks(path, "v")])
    assert read.shape == (6, 238, 316, 3)
    error = np.abs(read.astype(float) - frames[:, :238, :316])
    assert error.mean() < 6.0
    with av.open(str(path)) as container:  # a matrix is named
        assert next(container.decode(video=0)).colorspace == Colorspace.ITU601
    assert [item.name for item in tmp_path.iterdir()] == ["v.mp4"]


def test_a_file_that_tells_no_rate_has_the_usual_one(tmp_path: Path) -> None:
    (tmp_path / "v.avi").write_bytes(b"nothing")
    assert video.frame_rate(tmp_path / "v.avi") == video.USUAL_RATE
