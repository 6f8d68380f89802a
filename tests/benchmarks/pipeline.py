"""Measures the frames stage of `facebench micc` against a bare loop, and the driver's memory.

The bare loop runs the same decoding, detection, cropping and network in this process with as many
PyTorch threads as the pipeline has workers; each with faces detected in every frame and with faces
followed (`--tracking`). All rates are of the steady state: from the first
finished chunk to the last. Only runs of 1,000 frames or more on an idle machine count: with few
chunks the ones under way at the start flatter several workers, and another load hits either side.

    python tests/benchmarks/pipeline.py --clips 8 --frames 140 --workers 2
    python tests/benchmarks/pipeline.py --architecture resnet50 --width 64 --image-size 224
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from small_micc import moving_face, write_random_weights, write_video

from facebench.bench.dataset.interface import Clip
from facebench.bench.method.clip_faces import ChunkRow, describe_chunk, face_chunks
from facebench.bench.method.interface import MethodOptions
from facebench.bench.method.registry import build_method
from facebench.distributed.cluster import ray_connection
from facebench.distributed.frames import ClipTask, FrameJob, describe_clips
from facebench.recon.face.crop import Box, write_boxes
from facebench.recon.morphable.load import load_model
from facebench.recon.recipes.regressor import NetworkRecipe


def main() -> None:
    arguments = _parse()
    if arguments.memory_frames:
        _driver_memory(arguments.folder, arguments.memory_frames)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clips = [_clip(folder, number, arguments.frames) for number in range(arguments.clips)]
        _compare_rates(clips, _job(folder, arguments), arguments.rounds)
        _compare_memory(folder, arguments.frames)


def bare_loop(clips: list[Clip], job: FrameJob) -> Iterator[ChunkRow]:
    """The same work in one process, one thing after the other."""
    torch.set_num_threads(job.workers or 1)
    method = build_method(job.method, job.options)
    for clip in clips:
        for chunk in face_chunks(clip, job.crop_size, job.limit, tracking=job.tracking):
            yield describe_chunk(method, *chunk)


def steady_rate(rows: Iterable[ChunkRow]) -> tuple[float, int, np.ndarray]:
    """Frames per second after the first chunk, frames in all, and the sum of all vectors."""
    total, frames, since, first = 0.0, 0, 0.0, 0
    for row in rows:
        now = time.perf_counter()
        if not since:
            since, first = now, row.frames
        frames += row.frames
        total = total + (row.sum if row.faces else 0.0)
    return (frames - first) / (now - since), frames, np.asarray(total)


def _compare_rates(clips: list[Clip], job: FrameJob, rounds: int) -> None:
    tasks, ratios = [ClipTask(clip) for clip in clips], []
    with ray_connection(cluster=False):
        for _ in range(rounds):
            bare, frames, expected = steady_rate(bare_loop(clips, job))
            piped, also, found = steady_rate(describe_clips(tasks, job))
            assert frames == also and np.allclose(expected, found, rtol=1e-3, atol=1e-2)
            ratios.append(piped / bare)
            follow = replace(job, tracking=True)
            followed, _, near = steady_rate(describe_clips(tasks, follow))
            alone, _, same = steady_rate(bare_loop(clips, follow))
            assert np.allclose(near, same, rtol=1e-3, atol=1e-2)
            print(f"{frames} frames, {job.workers} workers or threads: ", end="")
            print(
                f"bare loop {bare:.1f}/s, pipeline {piped:.1f}/s, ratio {piped / bare:.3f}, ",
                end="",
            )
            print(f"with --tracking bare loop {alone:.1f}/s, pipeline {followed:.1f}/s, ", end="")
            print(f"{followed / piped:.2f} times as many, ", end="")
            print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors", flush=True)
    print(f"ratio: median {np.median(ratios):.3f} of {rounds} rounds, ", end="")
    print(f"{min(ratios):.3f} to {max(ratios):.3f} (target 0.95 on 1,000 frames or more)")


def _compare_memory(folder: Path, frames: int) -> None:
    """The driver's peak on 4 clips and on 40, with boxes given, so that decoding is the load."""
    boxes = {number: Box(100, 70, 90, 90) for number in range(frames)}
    write_boxes(folder / "boxes.csv", boxes)
    few, many = (_peak_mib(folder, count) for count in (4, 40))
    print(f"driver's peak memory: {4 * frames} frames {few:.0f} MiB, ", end="")
    print(f"{40 * frames} frames {many:.0f} MiB, ratio {many / few:.3f} (target < 1.2)")


def _peak_mib(folder: Path, clips: int) -> float:
    command = [sys.executable, __file__, "--folder", str(folder), "--memory-frames", str(clips)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def _driver_memory(folder: Path, clips: int) -> None:
    video = next(folder.glob("*.avi"))
    tasks = [ClipTask(Clip(f"c{n}/a", video, folder / "boxes.csv")) for n in range(clips)]
    job = FrameJob("mean-face", MethodOptions(), 224, None, 2)
    with ray_connection(cluster=False):
        frames = sum(row.frames for row in describe_clips(tasks, job))
    assert frames
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def _clip(folder: Path, number: int, frames: int) -> Clip:
    path = folder / f"{number:02d}.avi"
    write_video(path, moving_face(frames, seed=number))
    return Clip(f"subject_{number:02d}/a", path)


def _job(folder: Path, arguments: argparse.Namespace) -> FrameJob:
    network = NetworkRecipe(arguments.architecture, arguments.width, arguments.image_size)
    weights = write_random_weights(folder / "weights.pt", load_model("embedded"), network)
    return FrameJob("ours", MethodOptions(weights), network.image_size, None, arguments.workers)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=8)
    parser.add_argument("--frames", type=int, default=140, help="of each clip")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--architecture", default="resnet18")
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--image-size", type=int, default=96)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--memory-frames", type=int, default=0, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
