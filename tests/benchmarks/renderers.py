"""What the renderers cost: `python tests/benchmarks/renderers.py`.

A face-like surface of 35,721 vertices and 70,688 triangles at 224 x 224. Time is the least of many
repetitions; `cpu` counts this process only, which is the figure to trust on a busy machine. Memory
is the growth of the peak of a process of its own. The project's targets stand beside.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from facebench.recon.render import Renderer, make_renderer
from facebench.recon.render.face import VertexNormals

SIZE = (224, 224)
SIGMA = 1e-5
TARGETS = {
    ("outline", 1): (20, 30),
    ("softras", 1): (80, 170),
    ("outline", 16): (None, 300),
    ("softras", 16): (None, 1800),
}


def face(n: int = 189) -> tuple[Tensor, Tensor]:
    """Vertices (V, 3, 1) of a turned half ellipsoid with a nose, and triangles (F, 3)."""
    line = torch.linspace(-1, 1, n)
    v, u = torch.meshgrid(-line, line, indexing="ij")
    x, y = u * (1 - v * v / 2).sqrt(), v * (1 - u * u / 2).sqrt()
    nose = 0.18 * torch.exp(-((x / 0.13) ** 2) - ((y + 0.05) / 0.25) ** 2)
    z = 0.55 * (1 - 0.97 * (x * x + y * y)).clamp(min=0).sqrt() + nose
    cos, sin = 0.978, 0.208
    points = torch.stack([0.64 * cos * x + sin * z, 0.82 * y, cos * z - 0.64 * sin * x], -1)
    index = torch.arange(n * n).view(n, n)
    a, b, c, d = (
        part.flatten() for part in (index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:])
    )
    triangles = torch.cat([torch.stack([a, b, c], 1), torch.stack([a, c, d], 1)])
    return points.view(-1, 3, 1), triangles


def renderer(name: str) -> Renderer:
    """The renderer of a name at the benchmark's σ."""
    return make_renderer(name, sigma=SIGMA)


def least(task: Callable[[], object], repetitions: int) -> tuple[float, float]:
    """Least wall and CPU time in ms."""
    task()
    walls, cpus = [], []
    for _ in range(repetitions):
        wall, cpu = time.perf_counter(), time.process_time()
        task()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return 1e3 * min(walls), 1e3 * min(cpus)


class Task:
    """One renderer on one batch, forward or with gradients."""

    def __init__(self, name: str, batch: int) -> None:
        vertices, self.triangles = face()
        self.vertices = vertices.repeat(1, 1, batch).requires_grad_()
        self.colours = torch.rand(vertices.shape[0], 3, batch).requires_grad_()
        self.weights = torch.rand(batch, 3, *SIZE)
        self.renderer = renderer(name)

    def forward(self) -> None:
        """Draw only."""
        with torch.no_grad():
            self.renderer(self.vertices, self.colours, self.triangles, SIZE)

    def gradients(self) -> None:
        """Draw and differentiate image and silhouette."""
        drawn = self.renderer(self.vertices, self.colours, self.triangles, SIZE)
        ((drawn.image * self.weights).sum() + drawn.silhouette.sum()).backward()
        self.vertices.grad = self.colours.grad = None


def peak_growth(name: str, batch: int, threads: int, gradients: bool) -> float:
    """Growth of the peak memory in MB, in a fresh process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak_growth, (name, batch, threads, gradients))


def _peak_growth(name: str, batch: int, threads: int, gradients: bool) -> float:
    torch.set_num_threads(threads)
    task = Task(name, batch)
    before = _peak_megabytes()
    (task.gradients if gradients else task.forward)()
    return _peak_megabytes() - before


def _peak_megabytes() -> float:
    """This process's peak since it began its program; `getrusage` would count its parent's too."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def report(name: str, batch: int, threads: int, repetitions: int) -> None:
    """Print the rows of one renderer and batch."""
    torch.set_num_threads(threads)
    task = Task(name, batch)
    rows = ((task.forward, False, "forward"), (task.gradients, True, "gradients"))
    for (call, gradients, label), target in zip(rows, TARGETS[name, batch], strict=True):
        wall, cpu = least(call, repetitions)
        memory = peak_growth(name, batch, threads, gradients)
        print(
            f"{name:8} batch {batch:2} threads {threads}  {label:9}  wall {wall:7.1f} ms  "
            f"cpu {cpu:7.1f} ms  target {target or '-':>5}  peak +{memory:5.0f} MB"
        )


def report_normals(batch: int, repetitions: int) -> None:
    """Print what vertex normals cost with gradients."""
    vertices, triangles = face()
    normals = VertexNormals(triangles)
    points = vertices.repeat(1, 1, batch).requires_grad_()
    wall, cpu = least(lambda: normals(points).sum().backward(), repetitions)
    print(f"normals  batch {batch:2} gradients  wall {wall:7.1f} ms  cpu {cpu:7.1f} ms")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=30)
    parser.add_argument("--threads", type=int, default=2, help="for the batch of 16")
    options = parser.parse_args()
    count = options.repetitions
    print(f"σ = {SIGMA}, {SIZE[0]} x {SIZE[1]}, torch {torch.__version__}")
    for name in ("outline", "softras"):
        report(name, 1, 1, count)
    for name in ("outline", "softras"):
        report(name, 16, options.threads, max(count // 10, 2))
    report_normals(16, max(count // 5, 2))


if __name__ == "__main__":
    main()
