"""Processor seconds of one core for each step of a frame, and for a subject's measurement.

    python tests/benchmarks/frame_cost.py --frames 64
    python tests/benchmarks/frame_cost.py --sizes 1280x960 --architecture resnet50 --crop 224

One thread does a step after the other, on a face that moves about: decode a video (Motion JPEG, as
most cameras of that time wrote, and MPEG-4), find the face, cut it out, run the network in batches
of 32. `docs/scale.md` works with these figures. Processor seconds, not the clock's: other work on
the machine changes them by the share of the caches that it takes, some tens of percent.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from small_micc import moving_face, write_random_weights, write_video

from facebench.bench.dataset.interface import Item, Scan
from facebench.bench.method.interface import MethodOptions
from facebench.bench.method.registry import build_method
from facebench.bench.protocol.record import preset
from facebench.bench.scoring.measure import measure
from facebench.bench.scoring.target import Prediction
from facebench.recon.export.mesh_files import write_obj
from facebench.recon.face.crop import Box, crop_square
from facebench.recon.morphable.load import load_model
from facebench.recon.recipes.regressor import NetworkRecipe
from facebench.recon.video.decode import read_chunks
from facebench.recon.vision.detect import CascadeDetector, find_next

KINDS = {".mjpg": "Motion JPEG", ".avi": "MPEG-4"}


def main() -> None:
    arguments = parsed()
    torch.set_num_threads(1)
    print("| step | processor ms a frame | frames/s of a core |\n| --- | ---: | ---: |")
    with tempfile.TemporaryDirectory() as name:
        for size in arguments.sizes:
            frames = enlarged(moving_face(arguments.frames), size)
            for suffix, kind in KINDS.items():
                path = write_video(Path(name) / f"{size}{suffix}", frames)
                tell(f"decode {kind}, {size}", decoding(path), len(frames))
            detector = CascadeDetector()
            tell(f"find the face, {size}", finding(detector, frames[:16]), 16)
            box = next(filter(None, map(detector.detect, frames)))
            tell(f"follow it, {size}", following(detector, frames[:32]), 32)
            tell("cut it out", cutting(frames, box, arguments.crop), len(frames))
        tell(*network(Path(name), arguments), 32)
        seconds = cost(measuring(Path(name)))
    print(f"a subject in one scene, protocol micc: {seconds:.1f} processor seconds")
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")


def tell(step: str, work: Callable[[], object], frames: int) -> None:
    """One line of the table."""
    seconds = cost(work) / frames
    print(f"| {step} | {1000 * seconds:.2f} | {1 / seconds:.0f} |", flush=True)


def cost(work: Callable[[], object]) -> float:
    """Processor seconds, the second time that it is done."""
    work()
    start = time.process_time()
    work()
    return time.process_time() - start


def enlarged(frames: NDArray[np.uint8], size: str) -> NDArray[np.uint8]:
    """Frames (N, H, W, 3) in another size, `WIDTHxHEIGHT`."""
    width, height = map(int, size.split("x"))
    return np.stack([np.asarray(Image.fromarray(f).resize((width, height))) for f in frames])


def decoding(path: Path) -> Callable[[], object]:
    """Read a video to its end."""
    return lambda: [len(chunk.frames) for chunk in read_chunks(path, "a")]


def finding(detector: CascadeDetector, frames: NDArray[np.uint8]) -> Callable[[], object]:
    """Look for the face in frames."""
    return lambda: [detector.detect(frame) for frame in frames]


def following(detector: CascadeDetector, frames: NDArray[np.uint8]) -> Callable[[], object]:
    """Follow the face through a chunk, in whose first frame it is detected."""

    def follow() -> None:
        last: Box | None = None
        for frame in frames:
            last = find_next(detector, frame, last)

    return follow


def cutting(frames: NDArray[np.uint8], box: Box, side: int) -> Callable[[], object]:
    """Cut the same place out of frames."""
    return lambda: [crop_square(frame, box, side) for frame in frames]


def network(folder: Path, arguments: argparse.Namespace) -> tuple[str, Callable[[], object]]:
    """A network of random weights on 32 crops."""
    recipe = NetworkRecipe(arguments.architecture, arguments.width, arguments.crop)
    weights = write_random_weights(folder / "weights.pt", load_model("embedded"), recipe)
    method: Any = build_method("ours", MethodOptions(weights))
    crops = np.random.default_rng(0).integers(0, 255, (32, arguments.crop, arguments.crop, 3))
    batch = crops.astype(np.uint8)
    return f"{arguments.architecture}, {arguments.crop} px", lambda: method.describe(batch)


def measuring(folder: Path) -> Callable[[], object]:
    """The mean face on another face of the embedded model."""
    model = load_model("embedded")
    identity = np.random.default_rng(0).normal(size=model.identity_basis.shape[2])
    write_obj(model.mesh(identity=identity), folder / "scan.obj")
    scans = (Scan("s", "frontal1", folder / "scan.obj"),)
    item = Item("s/cooperative", "s", "cooperative", scans=scans)
    prediction, protocol = Prediction(model.mesh(), frames=1, faces=1), preset("micc")
    assert measure(item, prediction, protocol).result.scored
    return lambda: measure(item, prediction, protocol)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=64, help="32 or more")
    parser.add_argument("--sizes", nargs="+", default=["640x480", "1280x960"])
    parser.add_argument("--architecture", default="resnet50")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--crop", type=int, default=224)
    return parser.parse_args()


if __name__ == "__main__":
    main()
