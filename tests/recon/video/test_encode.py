"""Frames encoded and decoded again."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import Colorspace
from small_micc import moving_face

from facebench.recon.video.decode import read_chunks
from facebench.recon.video.encode import USUAL_RATE, frame_rate, write_video


def test_frames_come_back_at_their_rate_without_an_odd_edge(tmp_path: Path) -> None:
    frames = moving_face(6)[:, :239, :317]
    rate = Fraction(30000, 1001)
    path = write_video(tmp_path / "v.mp4", iter(frames), rate)
    assert frame_rate(path) == rate
    read = np.concatenate([chunk.frames for chunk in read_chunks(path, "v")])
    assert read.shape == (6, 238, 316, 3)
    error = np.abs(read.astype(float) - frames[:, :238, :316])
    assert error.mean() < 6.0
    with av.open(str(path)) as container:  # a matrix is named
        assert next(container.decode(video=0)).colorspace == Colorspace.ITU601
    assert [item.name for item in tmp_path.iterdir()] == ["v.mp4"]


def test_a_file_that_tells_no_rate_has_the_usual_one(tmp_path: Path) -> None:
    (tmp_path / "v.avi").write_bytes(b"nothing")
    assert frame_rate(tmp_path / "v.avi") == USUAL_RATE
