"""Faces followed from frame to frame against faces detected in every frame, on videos.

    facebench synth micc --out data --subjects 4 --frames 64
    python tests/benchmarks/tracking.py data/*/Video/* --detector embedded

For every video both ways in one run: in how many frames a face is found, how far the boxes differ
(percentiles of the distance of their centres over the box's side, and of their sizes), and the
processor time a frame. The third way is detection again, in the same frames moved by (3, 2) px: by
so much detection differs from itself, and nothing can be nearer to it than that. `docs/scale.md`
shows its figures.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facebench.recon.face.crop import Box
from facebench.recon.face.tracks import CUT_GREY, large_changes
from facebench.recon.video.decode import Chunk, read_chunks
from facebench.recon.vision.detect import FaceDetector, find_next, make_detector
from facebench.recon.weights.catalogue import portable_choice, resolve_choice

Find = Callable[[Chunk], list[Box | None]]
SHIFT = (3, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("videos", nargs="+", type=Path)
    parser.add_argument("--detector", default="best")
    parser.add_argument("--limit", type=int, help="frames of each video")
    parser.add_argument("--enlarge", type=int, default=1, help="frames to so many times the size")
    arguments = parser.parse_args()
    detector = make_detector(portable_choice(resolve_choice("detector", arguments.detector)))
    ways: dict[str, Find] = {
        "detected": lambda chunk: [detector.detect(frame) for frame in chunk.frames],
        "followed": lambda chunk: follow(detector, chunk),
        "moved": lambda chunk: [moved(detector, frame) for frame in chunk.frames],
    }
    found: dict[str, list[Box | None]] = {way: [] for way in ways}
    seconds = dict.fromkeys(ways, 0.0)
    for path in arguments.videos:
        for read in read_chunks(path, path.name, arguments.limit):
            chunk = enlarged(read, arguments.enlarge)
            for way, find in ways.items():
                start = time.process_time()
                found[way] += find(chunk)
                seconds[way] += time.process_time() - start
    print("| way | ms a frame | frames with a face | centre, % of the side: 50, 90, 95 % ", end="")
    print("| size, %: 50, 90, 95 % | size, %, mean |\n| --- | ---: | ---: | --- | --- | ---: |")
    for way, boxes in found.items():
        print(line(way, boxes, found["detected"], seconds[way]))
    print(f"{len(found['detected'])} frames, load {os.getloadavg()[0]:.1f} ", end="")
    print(f"on {os.cpu_count()} processors")


def enlarged(chunk: Chunk, times: int) -> Chunk:
    """A chunk whose frames are so many times as large, interpolated."""
    if times == 1:
        return chunk
    size = (times * chunk.frames.shape[2], times * chunk.frames.shape[1])
    frames = [Image.fromarray(frame).resize(size) for frame in chunk.frames]
    return replace(chunk, frames=np.stack(frames))


def follow(detector: FaceDetector, chunk: Chunk) -> list[Box | None]:
    """As the frames stage does: detected anew at a chunk's start, at a cut, and when lost."""
    changes = large_changes(chunk.frames, chunk.first_frame, chunk.before)
    takes = set(changes[changes[:, 1] > CUT_GREY, 0])
    found: list[Box | None] = []
    for number, frame in enumerate(chunk.frames, chunk.first_frame):
        last = found[-1] if found and number not in takes else None
        found.append(find_next(detector, frame, last))
    return found


def moved(detector: FaceDetector, frame: NDArray[np.uint8]) -> Box | None:
    """Detection in the frame moved by some pixels, told in the frame's own."""
    x, y = SHIFT
    box = detector.detect(np.pad(frame, ((y, 0), (x, 0), (0, 0)), mode="edge"))
    return None if box is None else Box(box.left - x, box.top - y, box.width, box.height)


def line(way: str, boxes: list[Box | None], others: list[Box | None], seconds: float) -> str:
    """A row of the table."""
    pairs = [(a, b) for a, b in zip(boxes, others, strict=True) if a and b]
    apart = [
        np.hypot(
            a.left + a.width / 2 - b.left - b.width / 2, a.top + a.height / 2 - b.top - b.height / 2
        )
        / b.width
        for a, b in pairs
    ]
    sizes = np.array([np.log(a.width / b.width) for a, b in pairs])
    share = 100 * sum(box is not None for box in boxes) / len(boxes)
    cells = [f"{1000 * seconds / len(boxes):.1f}", f"{share:.1f} %"]
    cells += [
        ", ".join(f"{v:.1f}" for v in np.percentile(100 * np.abs(one), (50, 90, 95)))
        for one in (apart, sizes)
    ]
    return f"| {way} | {' | '.join(cells)} | {100 * sizes.mean():+.1f} |"


if __name__ == "__main__":
    main()
