"""How well the frames of `facebench micc` spread over Ray nodes of one processor each.

The same clips on a cluster of one node and of two, on this machine, one after the other. Two
figures:

- wall: frames per second from the first finished chunk to the last. It holds where every node has
  a processor to itself.
- work: frames over the processor seconds of the busiest node, start of its workers included. It
  holds on a busy machine too; what a node waits for is not in it.

    python tests/benchmarks/nodes.py --clips 8 --frames 96
    python tests/benchmarks/nodes.py --clips 16 --frames 288
    python tests/benchmarks/nodes.py --clips 16 --frames 288 --store

With `--store` videos, boxes and weights are in an object store, whose server is this process.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
import time
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from object_store import ObjectStore, object_store, upload
from ray_nodes import RayNodes
from small_micc import moving_face, write_random_weights, write_video

from facebench.bench.dataset.interface import Clip
from facebench.bench.method.interface import MethodOptions
from facebench.distributed.cluster import ray_connection
from facebench.distributed.frames import ClipTask, FrameJob, describe_clips
from facebench.recon.face.crop import Box, write_boxes
from facebench.recon.files.stores import mirror_path
from facebench.recon.morphable.load import load_model
from facebench.recon.recipes.regressor import NetworkRecipe


@dataclass(frozen=True)
class Speed:
    """Of one cluster.

    Attributes:
        frames: read.
        wall: frames per second by the clock.
        busiest_s: processor seconds of the node that worked most.
        all_s: processor seconds of all nodes.
    """

    frames: int
    wall: float
    busiest_s: float
    all_s: float

    @property
    def work(self) -> float:
        """Frames over the processor seconds of the busiest node."""
        return self.frames / self.busiest_s


def main() -> None:
    arguments = parsed()
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # a line for every request
    with (
        tempfile.TemporaryDirectory() as name,
        object_store() if arguments.store else nullcontext() as store,
    ):
        folder = Path(name)
        clips = [clip(folder, number, arguments.frames) for number in range(arguments.clips)]
        options = weights_of(folder, arguments)
        if store:
            os.environ |= store.environment(folder / "cache")
            clips, options = in_store(store, folder, clips, options)
        speeds = [on_nodes(nodes, clips, options, arguments) for nodes in (1, 2)]
    print("| nodes | frames | wall, frames/s | processor s, busiest | processor s, all | work |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    for nodes, speed in enumerate(speeds, 1):
        cells = f"{speed.frames} | {speed.wall:.1f} | {speed.busiest_s:.1f} | {speed.all_s:.1f}"
        print(f"| {nodes} | {cells} | {speed.work:.2f} |")
    one, two = speeds
    print(f"efficiency on two: wall {two.wall / one.wall / 2:.2f}, ", end="")
    print(f"work {two.work / one.work / 2:.2f}; load {os.getloadavg()[0]:.1f}")


def on_nodes(
    nodes: int, clips: list[Clip], options: MethodOptions, arguments: argparse.Namespace
) -> Speed:
    """All clips on a cluster of its own."""
    cluster = RayNodes(nodes, head_cpus=0)
    cluster.start()
    try:
        os.environ |= cluster.environment
        job = FrameJob("ours", options, arguments.image_size, None, workers=nodes)
        with ray_connection(cluster=True):
            return speed_of([ClipTask(one) for one in clips], job, cluster.pids)
    finally:
        cluster.stop()


def speed_of(tasks: list[ClipTask], job: FrameJob, nodes: list[int]) -> Speed:
    """Read all clips; the processor is looked at with each row, for workers end with the last."""
    before = [processor_seconds(pid) for pid in nodes]
    times, frames, spent = [], [], [0.0] * len(nodes)
    for row in describe_clips(tasks, job):
        times.append(time.perf_counter())
        frames.append(row.frames)
        assert row.faces == row.frames
        now = [processor_seconds(pid) for pid in nodes]
        ran = [end - start for start, end in zip(before, now, strict=True)]
        spent = [max(pair) for pair in zip(spent, ran, strict=True)]
    wall = sum(frames[1:]) / (times[-1] - times[0])
    return Speed(sum(frames), wall, max(spent), sum(spent))


def processor_seconds(raylet: int) -> float:
    """Of a node's processes that live."""
    total = 0.0
    root = psutil.Process(raylet)
    for process in [root, *root.children(recursive=True)]:
        with suppress(psutil.Error):
            spent = process.cpu_times()
            total += spent.user + spent.system + spent.children_user + spent.children_system
    return total


def clip(folder: Path, number: int, frames: int) -> Clip:
    """A video with its boxes, so that decoding and the network are the work."""
    path = write_video(folder / f"{number:02d}.avi", moving_face(frames, seed=number))
    boxes = folder / "boxes.csv"
    write_boxes(boxes, {frame: Box(95, 75, 90, 95) for frame in range(frames)})
    return Clip(f"subject_{number:02d}/a", path, boxes)


def in_store(
    store: ObjectStore, folder: Path, clips: list[Clip], options: MethodOptions
) -> tuple[list[Clip], MethodOptions]:
    """The same in a bucket, and gone from the folder."""
    bucket = store.new_bucket()
    upload(folder, bucket)
    for path in folder.glob("*.*"):
        path.unlink()

    def place(path: Path | None) -> Path:
        assert path is not None
        return mirror_path(f"{bucket}/{path.name}")

    stored = [replace(one, path=place(one.path), boxes=place(one.boxes)) for one in clips]
    return stored, replace(options, checkpoint=place(options.checkpoint))


def weights_of(folder: Path, arguments: argparse.Namespace) -> MethodOptions:
    """A network of random weights."""
    recipe = NetworkRecipe(arguments.architecture, arguments.width, arguments.image_size)
    return MethodOptions(write_random_weights(folder / "w.pt", load_model("embedded"), recipe))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=8)
    parser.add_argument("--frames", type=int, default=96, help="of each clip")
    parser.add_argument("--architecture", default="resnet18")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--image-size", type=int, default=128)
    parser.add_argument("--store", action="store_true", help="all in an object store")
    return parser.parse_args()


if __name__ == "__main__":
    main()
