"""Films come as a player shows them: upright, in square pixels, and never stretched."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from facebench.recon.face.tracks import find_cuts
from facebench.recon.video import shown as as_shown
from facebench.recon.video.decode import read_chunks
from facebench.recon.video.shown import FrameView


def _film(path: Path, size: tuple[int, int], aspect: Fraction | None = None, n: int = 3) -> Path:
    """Frames that are red on the left, green on the right, blue at the top."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        frame = np.zeros((size[1], size[0], 3), np.uint8)
        frame[:, : size[0] // 2, 0] = 250
        frame[:, size[0] // 2 :, 1] = 250
        frame[: size[1] // 4] = [0, 0, 250]
        for _ in range(n):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize(
    ("matrix", "turned"),
    [
        ((1, 0, 0, 1), lambda image: image),
        ((-1, 0, 0, -1), lambda image: np.rot90(image, 2)),
        ((0, 1, -1, 0), lambda image: np.rot90(image, -1)),
        ((0, -1, 1, 0), lambda image: np.rot90(image, 1)),
        ((-1, 0, 0, 1), lambda image: image[:, ::-1]),
        ((1, 0, 0, -1), lambda image: image[::-1]),
        ((0, 1, 1, 0), lambda image: image.transpose(1, 0, 2)),
    ],
)
def test_a_display_matrix_moves_pixels_as_it_says(matrix: tuple[int, ...], turned: object) -> None:
    image = np.random.default_rng(1).integers(0, 255, (16, 24, 3), dtype=np.uint8)
    frame = av.VideoFrame.from_ndarray(image, format="rgb24")
    shown = FrameView(24, 16, 1.0, matrix).apply(frame)  # type: ignore[arg-type]
    assert np.array_equal(shown, turned(image))  # type: ignore[operator]
    a, b, c, d = matrix
    x, y = a * 5 + c * 3, b * 5 + d * 3  # where pixel (5, 3) comes to; below 0 from the far side
    height, width = shown.shape[:2]
    place = y if y >= 0 else height - 1 + y, x if x >= 0 else width - 1 + x
    assert np.array_equal(shown[place], image[3, 5])


@pytest.mark.parametrize(
    ("aspect", "shape"), [(Fraction(16, 11), (160, 174)), (Fraction(1, 2), (320, 120))]
)
def test_pixels_become_square(tmp_path: Path, aspect: Fraction, shape: tuple[int, int]) -> None:
    path = _film(tmp_path / "a.mp4", (120, 160), aspect)
    (chunk,) = read_chunks(path, "s/a")
    assert chunk.frames.shape[1:3] == shape and not chunk.reason


def test_very_large_frames_are_made_smaller_and_say_by_how_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(as_shown, "LONGEST_SIDE", 80)
    (chunk,) = read_chunks(_film(tmp_path / "a.mp4", (160, 120)), "s/a")
    assert chunk.frames.shape == (3, 60, 80, 3) and chunk.scale == 0.5
    assert chunk.frames[0, 5, 5, 2] > 200 and chunk.frames[0, 50, 10, 0] > 200


@pytest.mark.parametrize(
    ("name", "frames"),
    [
        ("video_cover.mp4", [(8, 400, 440)]),
        ("video_editlist.mp4", [(8, 400, 440)]),
        ("video_rot90.mp4", [(8, 400, 440)]),
        ("video_sar16_11.mp4", [(8, 400, 440)]),
        ("video_size_change.mpg", [(5, 400, 440), (6, 320, 220)]),
    ],
)
def test_films_that_other_readers_get_wrong(
    shared: Path, name: str, frames: list[tuple[int, int, int]]
) -> None:
    chunks = list(read_chunks(shared / "cases" / name, "s/a"))
    assert [chunk.frames.shape[:3] for chunk in chunks] == frames
    assert not any(chunk.reason for chunk in chunks)


def test_a_phone_film_comes_upright(shared: Path) -> None:
    (lying,) = read_chunks(shared / "cases" / "video_rot90.mp4", "s/a")
    (upright,) = read_chunks(shared / "cases" / "video_cover.mp4", "s/a")
    assert np.abs(lying.frames[0].astype(float) - upright.frames[0]).mean() < 5


def test_a_cut_is_told_from_a_pan_and_a_flash() -> None:
    calm, pan = np.full(30, 0.5), np.full(30, 24.0)
    flash = np.full(30, 0.5)
    flash[[10, 11]] = 60.0
    cut = np.full(30, 4.0)
    cut[20] = 30.0
    found = [find_cuts(values).tolist() for values in (calm, pan, flash, cut)]
    assert found == [[], [], [], [20]]


def _written(path: Path, codec: str, times_ms: list[int]) -> Path:
    noise = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for time in times_ms:
            frame = av.VideoFrame.from_ndarray(noise, format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return path


def test_frames_that_last_longer_are_not_missing(tmp_path: Path) -> None:
    path = _written(tmp_path / "telephone.avi", "mpeg4", [0, 40, 80, 400, 440, 1000])
    (chunk,) = read_chunks(path, "s/a")
    assert len(chunk.frames) == 6 and not chunk.reason


def test_a_matroska_file_that_was_cut_off_says_so(tmp_path: Path) -> None:
    path = _written(tmp_path / "a.mkv", "mpeg4", list(range(0, 1200, 40)))
    assert not next(iter(read_chunks(path, "s/a"))).reason
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    *_, last = read_chunks(path, "s/a")
    assert "ends early: it is shorter than its header states" in last.reason


@pytest.mark.parametrize(
    ("content", "words"), [(b"", "the file is empty"), (b"<html>not found</html>", "a web page")]
)
def test_what_is_no_film_at_all_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "a.mp4").write_bytes(content)
    (chunk,) = read_chunks(tmp_path / "a.mp4", "s/a")
    assert words in chunk.reason


@pytest.mark.parametrize(("width", "rgb"), [(640, (156, 110, 85)), (1280, (161, 113, 83))])
def test_high_definition_without_a_name_has_the_colours_of_its_television(
    tmp_path: Path, width: int, rgb: tuple[int, int, int]
) -> None:
    frame = av.VideoFrame(width, 16, "yuv420p")
    for plane, value in zip(frame.planes, (120, 110, 150), strict=True):
        plane.update(bytes([value]) * plane.buffer_size)
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=25, width=width, height=16, pix_fmt="yuv420p")
        container.mux([*stream.encode(frame), *stream.encode()])
    (chunk,) = read_chunks(tmp_path / "a.mkv", "s/a")
    assert np.abs(chunk.frames[0].astype(int) - rgb).max() <= 1


def test_frames_that_a_decoder_calls_damaged_are_told(tmp_path: Path) -> None:
    path = _written(tmp_path / "a.ts", "libx264", list(range(0, 1200, 40)))
    assert not list(read_chunks(path, "s/a"))[-1].reason
    content = bytearray(path.read_bytes())
    del content[188 * 30 : 188 * 40]  # packets lost amid the only picture that is whole
    path.write_bytes(content)
    *_, last = read_chunks(path, "s/a")
    assert "frames are damaged, at least 1 of" in last.reason


@pytest.mark.parametrize(
    ("curve", "code", "expected"),
    [(18, 0.75, 255), (18, 0.5, 137), (16, 0.5807, 255), (16, 0.5081, 187), (1, 0.5, 128)],
    ids=["HLG's white", "HLG's knee", "PQ of 203", "PQ of 100", "standard"],
)
def test_high_dynamic_range_is_shown_in_the_standard_one(
    tmp_path: Path, curve: int, code: float, expected: int
) -> None:
    """Known points: BT.2408 puts white at 75 % of HLG; 100 cd/m² are 100 / 203 of it."""
    frame = av.VideoFrame(64, 16, "yuv420p10le")
    for plane, value in zip(frame.planes, (round(64 + 876 * code), 512, 512), strict=True):
        plane.update(np.full(plane.buffer_size // 2, value, "<u2").tobytes())
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=25, width=64, height=16, pix_fmt="yuv420p10le")
        stream.codec_context.color_trc, stream.codec_context.colorspace = curve, 9
        container.mux([*stream.encode(frame), *stream.encode()])
    (chunk,) = read_chunks(tmp_path / "a.mkv", "s/a")
    assert np.abs(chunk.frames[0].astype(int) - expected).max() <= 2


def test_times_are_those_of_the_file(tmp_path: Path) -> None:
    """A telephone's film, whose frames last unlike long and begin late."""
    shown = [35, 36, 37, 90, 91, 200]
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for at in shown:
            frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
            frame.pts, frame.time_base = at, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    (chunk,) = read_chunks(tmp_path / "a.mp4", "a")
    assert chunk.times == pytest.approx([(at - shown[0]) / 25 for at in shown], abs=1e-3)


@pytest.mark.parametrize(("primaries", "rgb"), [(1, (200, 120, 90)), (12, (213, 115, 83))])
def test_a_film_in_a_telephones_primaries_has_their_colours(
    primaries: int, rgb: tuple[int, int, int]
) -> None:
    """Expected of Display P3: by CSS Color 4's matrix."""
    frame = av.VideoFrame.from_ndarray(
        np.full((16, 32, 3), (200, 120, 90), np.uint8), format="rgb24"
    )
    frame.color_primaries = primaries
    shown = FrameView(32, 16, 1.0, (1, 0, 0, 1)).apply(frame)
    assert np.abs(shown[8, 8].astype(int) - rgb).max() <= 1
