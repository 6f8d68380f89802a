"""What a training step costs on a GPU, beside what it must cost: `python tests/benchmarks/gpu.py`.

Ceilings of the card are measured first: a copy in memory and a product of large bfloat16 matrices.
Then the soft rasteriser of one batch, plain and in kernels, and whole steps of the paper's recipe,
as the loop takes them, with pictures decoded beside them. The floor of a step is the larger of two
times: its convolutions and products at the rate of the matrix product, and its traffic at the rate
of the copy. Traffic counts every layer's output five times (written, read by the next layer, read
again for the gradient, its own gradient written and read) and the weights eight times.

    python tests/benchmarks/gpu.py --batch 16 --batch 64 --vertices 35000
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from renderers import SIZE, face
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from training import clock_of, make_trainer, print_parts, print_waiting, write_photographs
from training import parts as parts_of

from facebench.recon.losses.multilevel import Supervision
from facebench.recon.morphable.procedural import procedural_model
from facebench.recon.recipes.files import load_recipe
from facebench.recon.render.blend import SoftRasConfig
from facebench.recon.render.geometry import Grid
from facebench.recon.render.softras import _SoftRas
from facebench.recon.render.softras_fused import FusedSoftRas
from facebench.recon.training.augmentation import augmentation
from facebench.recon.training.batches import BatchSource
from facebench.recon.training.methods.ours import Trainer
from facebench.recon.training.shards import FaceShards

DEVICE = torch.device("cuda")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, action="append", default=[])
    parser.add_argument("--vertices", type=int, default=35000)
    parser.add_argument("--recogniser", default="iresnet50")
    parser.add_argument("--readers", type=int, default=8)
    parser.add_argument("--repeat", type=int, default=20)
    parser.add_argument("--recipe", default="ours")
    parser.add_argument("--set", action="append", default=[])
    given = parser.parse_args()
    print(torch.cuda.get_device_name(), "PyTorch", torch.__version__)
    bandwidth, rate = ceilings()
    print(f"copy {bandwidth / 1e12:.2f} TB/s, bfloat16 product {rate / 1e12:.0f} TFLOP/s")
    print_rasteriser(16)
    for batch in given.batch or [16, 64]:
        with tempfile.TemporaryDirectory() as folder:
            print_step(given, batch, Path(folder), bandwidth, rate)


def milliseconds(task: Callable[[], object], repeat: int) -> float:
    """Median time of a task on the GPU."""
    times = []
    for _ in range(repeat + 3):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        task()
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end))
    return sorted(times[3:])[repeat // 2]


def ceilings() -> tuple[float, float]:
    """Bytes a second of a copy, read and written; operations a second of a matrix product."""
    source = torch.rand(1 << 30, device=DEVICE)
    target = torch.empty_like(source)
    bandwidth = 2 * source.nbytes / (1e-3 * milliseconds(lambda: target.copy_(source), 10))
    left, right = (torch.randn(8192, 8192, device=DEVICE, dtype=torch.bfloat16) for _ in range(2))
    rate = 2 * 8192**3 / (1e-3 * milliseconds(lambda: left @ right, 10))
    return bandwidth, rate


def print_rasteriser(batch: int) -> None:
    """The soft rasteriser with gradients, plain and in kernels."""
    points, triangles = face()
    grid, corners = Grid(*SIZE), triangles.T.contiguous().to(DEVICE)
    x, y, depth = points.permute(1, 2, 0)
    colours = torch.rand(3, 1, len(points))
    rows = torch.cat([torch.stack([grid.columns(x), grid.ups(y), depth]), colours]).permute(1, 0, 2)
    rows = rows.repeat(batch, 1, 1).to(DEVICE).requires_grad_()
    config = SoftRasConfig(sigma=3e-5)

    def drawn(apply: Callable[..., tuple[Tensor, ...]]) -> Callable[[], None]:
        return lambda: sum(part.sum() for part in apply(rows, corners, grid, config)).backward()

    plain = milliseconds(drawn(_SoftRas.apply), 1)
    fused = milliseconds(drawn(FusedSoftRas.apply), 20)
    print(
        f"softras, batch {batch}, {len(points)} vertices, with gradients: plain {plain:.1f} ms, "
        f"kernels {fused:.2f} ms ({plain / fused:.0f} times)"
    )


def print_step(
    given: argparse.Namespace, batch: int, folder: Path, bandwidth: float, rate: float
) -> None:
    """Parts of a step, the whole, its floor, and images a second in training."""
    recipe = load_recipe(given.recipe, [f"training.batch_size={batch}", *given.set])
    trainer = make_trainer(recipe, procedural_model(0, given.vertices), DEVICE, given.recogniser)
    write_photographs(folder, recipe.network.image_size, 256)
    change = augmentation(recipe.augmentation)
    source = BatchSource(FaceShards(folder), batch, recipe.network.image_size, 0, change)
    truth = source.batch(0).to(DEVICE)
    times = parts_of(trainer, truth, clock_of(DEVICE), given.repeat)
    whole = milliseconds(lambda: trainer.training_step(truth), given.repeat) / 1e3
    print(f"{recipe.name}, batch {batch}, {given.recogniser}: {batch / whole:.0f} images/s alone")
    print_parts(times, whole, 0.0)
    arithmetic, traffic = work(trainer, truth)
    floor = max(arithmetic / rate, traffic / bandwidth)
    print(
        f"  floor: {arithmetic / 1e12:.2f} TFLOP {1e3 * arithmetic / rate:.2f} ms, "
        f"{traffic / 1e9:.1f} GB {1e3 * traffic / bandwidth:.2f} ms; "
        f"the step takes {whole / floor:.1f} times the larger"
    )
    print(f"  peak memory {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB")
    print_waiting(trainer, source, 8 * given.repeat, given.readers)


def work(trainer: Trainer, truth: Supervision) -> tuple[float, float]:
    """Floating-point operations of a step, and bytes that it cannot avoid to move."""
    with FlopCounterMode(display=False) as counter:
        trainer.training_step(truth)
    seen: list[int] = []

    def count(module: nn.Module, inputs: object, output: object) -> None:
        if isinstance(output, Tensor):
            seen.append(output.numel() * output.element_size())

    roots = [trainer.network, *([trainer.features] if trainer.features else [])]
    leaves = [part for root in roots for part in root.modules() if not list(part.children())]
    hooks = [leaf.register_forward_hook(count) for leaf in leaves]
    trainer.training_step(truth)
    for hook in hooks:
        hook.remove()
    weights = sum(value.nbytes for value in trainer.learner.parameters())
    return float(counter.get_total_flops()), float(5 * sum(seen) + 8 * weights)


if __name__ == "__main__":
    main()
