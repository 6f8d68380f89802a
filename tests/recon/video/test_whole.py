"""Films that lack something and whose headers count no frames; films of half pictures."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from facebench.recon.video.decode import read_chunks
from facebench.recon.video.whole import count_skipped, has_gap

_TS_PACKET = 188


def _transport_stream(path: Path, n: int = 30) -> list[bytes]:
    """Pictures of noise in a transport stream; its packets of 188 bytes."""
    noise = np.random.default_rng(0)
    with av.open(str(path), "w", format="mpegts") as file:
        stream = file.add_stream("mpeg2video", rate=25, options={"g": "1"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for _ in range(n):
            image = noise.integers(0, 256, (64, 96, 3), np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        file.mux(stream.encode())
    content = path.read_bytes()
    return [content[at : at + _TS_PACKET] for at in range(0, len(content), _TS_PACKET)]


def _starts(packets: list[bytes]) -> list[int]:
    """Numbers of the packets with which a picture begins."""
    film = [n for n, p in enumerate(packets) if p[1] & 0x1F == 1 and p[2] == 0]
    return [n for n in film if packets[n][1] & 0x40]


def test_pictures_that_a_transport_stream_lost_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.ts"
    packets = _transport_stream(path)
    (whole,) = read_chunks(path, "s/a")
    assert len(whole.frames) == 30 and not whole.reason
    starts = _starts(packets)
    path.write_bytes(b"".join(packets[: starts[10]] + packets[starts[13] :]))
    (chunk,) = read_chunks(path, "s/a")
    assert len(chunk.frames) == 27 and "3 frames are lost" in chunk.reason


@pytest.mark.parametrize(
    ("times", "skipped"),
    [
        (np.arange(40) / 25, 0),
        (np.delete(np.arange(40) / 25, [5, 6, 20]), 3),
        (np.cumsum([0.033, 0.05] * 20), 0),  # cinema film on television
        (np.cumsum(np.random.default_rng(0).uniform(0.02, 0.2, 40)), 0),  # a rate that changes
        (np.r_[np.arange(20) / 25, np.arange(20) / 25], 0),  # two films put together
        ([], 0),
        ([1.0], 0),
    ],
)
def test_frames_are_missed_where_their_steps_are_alike(times: list[float], skipped: int) -> None:
    assert count_skipped(list(times)) == skipped


def _live_webm(n: int = 30) -> bytes:
    """As a browser writes it while it films, its lengths unknown."""
    noise = np.random.default_rng(0)
    file = io.BytesIO()
    options = {"live": "1"}
    with av.open(file, "w", format="webm", options=options) as container:
        stream = container.add_stream("libvpx", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for _ in range(n):
            image = noise.integers(0, 256, (64, 96, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return file.getvalue()


def test_a_live_recording_that_was_cut_off_within_a_frame_says_so(tmp_path: Path) -> None:
    content = _live_webm()
    assert b"\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff" in content
    path = tmp_path / "a.webm"
    path.write_bytes(content)
    *_, last = read_chunks(path, "s/a")
    assert not last.reason
    for share in (0.3, 0.5, 0.7, 0.9):
        path.write_bytes(content[: int(len(content) * share)])
        *_, last = read_chunks(path, "s/a")
        assert "ends early" in last.reason


def _half_pictures(path: Path, codec: str, options: dict[str, str]) -> Path:
    """A bar that moves by 4 px from the upper lines' moment to the lower lines'."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        for time in range(12):
            image = np.full((96, 160, 3), 40, np.uint8)
            for line in (0, 1):
                image[line::2, 10 + 8 * time + 4 * line :][:, :20] = 220
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 25)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return path


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mpg", "mpeg2video", {"flags": "+ildct+ilme"}),
        ("a.mp4", "libx264", {"x264-params": "tff=1"}),
        ("a.ts", "libx264", {"x264-params": "tff=1:bframes=2"}),
    ],
)
def test_half_pictures_are_made_whole_ones(
    tmp_path: Path, name: str, codec: str, options: dict[str, str]
) -> None:
    (chunk,) = read_chunks(_half_pictures(tmp_path / name, codec, options), "s/a")
    assert len(chunk.frames) == 12 and not chunk.reason
    assert np.allclose(chunk.times, np.arange(12) / 25)
    grey = chunk.frames[..., 0].astype(float)
    assert np.abs(2 * grey[:, 1:-1] - grey[:, :-2] - grey[:, 2:]).mean() < 0.1  # 18 as they are
    # Each frame is of a moment of its own, in its order.
    assert (np.diff((grey[:, 48] > 128).argmax(axis=1)) == 8).all()


def test_pictures_that_are_whole_are_left_alone(tmp_path: Path) -> None:
    path = _half_pictures(tmp_path / "a.mp4", "libx264", {})
    (chunk,) = read_chunks(path, "s/a")
    with av.open(str(path)) as file:
        plain = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
    assert np.array_equal(chunk.frames, plain)


def _pictures(path: Path, codec: str, container: str) -> bytes:
    noise = np.random.default_rng(0)
    with av.open(str(path), "w", format=container) as file:
        options = {"qmin": "2", "qmax": "4", "g": "1"}
        # With one thread FFmpeg makes tables of its own.
        options |= {"huffman": "default"} if codec == "mjpeg" else {}
        stream = file.add_stream(codec, rate=25, options=options)
        stream.width, stream.height = 160, 96
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for _ in range(12):
            image = noise.integers(0, 256, (96, 160, 3), np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        file.mux(stream.encode())
    return path.read_bytes()


@pytest.mark.parametrize(
    ("name", "codec", "container"),
    [
        ("a.mjpg", "mjpeg", "mjpeg"),
        ("a.avi", "mjpeg", "avi"),
        ("a.mpg", "mpeg2video", "mpeg"),
        ("a.avi", "mpeg4", "avi"),
    ],
)
def test_a_film_with_a_part_that_was_never_copied_says_so(
    tmp_path: Path, name: str, codec: str, container: str
) -> None:
    path = tmp_path / name
    content = _pictures(path, codec, container)
    *_, last = read_chunks(path, "s/a")
    assert not last.reason
    start = len(content) // 2
    path.write_bytes(content[:start] + bytes(2048) + content[start + 2048 :])
    chunks = list(read_chunks(path, "s/a"))
    assert "damaged" in chunks[-1].reason
    if codec == "mjpeg":
        assert 10 <= sum(len(chunk.frames) for chunk in chunks) < 12


def test_zeros_that_stuff_a_stream_are_no_gap() -> None:
    assert not has_gap(b"\0\0\1\xb3abc" + bytes(4000) + b"\1\0" + bytes(700), "mpeg2video")
    assert has_gap(b"\0\0\1\xb3abc" + bytes(4000) + b"\1\0a" + bytes(700) + b"b", "mpeg2video")
    assert not has_gap(b"\xff\xd8" + bytes(900) + b"a\xff\xdaabc\xff\xd9" + bytes(900), "mjpeg")


def test_black_margins_of_optimised_pictures_are_no_gaps(tmp_path: Path) -> None:
    image = np.zeros((480, 640, 3), np.uint8)
    image[200:280, 100:540] = np.linspace(0, 255, 440, dtype=np.uint8)[:, None]
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", optimize=True)
    assert bytes(512) in file.getvalue()
    path = tmp_path / "a.mjpg"
    path.write_bytes(3 * file.getvalue())
    (chunk,) = read_chunks(path, "s/a")
    assert len(chunk.frames) == 3 and not chunk.reason


def test_a_network_cameras_film_in_parts_is_read(tmp_path: Path) -> None:
    content = _pictures(tmp_path / "a.mjpg", "mjpeg", "mjpeg")
    pictures = [b"\xff\xd8" + part for part in content.split(b"\xff\xd8")[1:]]
    head = b"--cut\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"
    path = tmp_path / "b.mjpg"
    path.write_bytes(b"".join(head % len(p) + p + b"\r\n" for p in pictures))
    chunks = list(read_chunks(path, "s/a"))
    assert sum(len(chunk.frames) for chunk in chunks) == 12 and not chunks[-1].reason
