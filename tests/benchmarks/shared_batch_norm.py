"""What a layer of batch normalisation over all workers costs on a CPU.

One layer forwards and backwards, in processor seconds, in a group of one worker (so that nobody is
waited for), of maps as a ResNet-50 has them: the package's layer, PyTorch's own over one worker,
and the same as the package's in plain operations. They take turns; the least of all turns counts.

    OMP_NUM_THREADS=1 python tests/benchmarks/shared_batch_norm.py
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable

import torch
from torch import Tensor, distributed, nn

from facebench.recon.training.workers import SharedBatchNorm2d

SHAPES = ((64, 64, 56, 56), (16, 64, 112, 112), (16, 2048, 7, 7))
LAYOUTS = {"channels last": torch.channels_last, "contiguous": torch.contiguous_format}


class PlainBatchNorm2d(nn.BatchNorm2d):
    """In plain operations, and no exchange."""

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) normalised."""
        count = features.numel() / features.shape[1]
        mean = features.sum((0, 2, 3), keepdim=True) / count
        centred = features - mean
        variance = centred.square().sum((0, 2, 3), keepdim=True) / count
        with torch.no_grad():
            self.running_mean.lerp_(mean.flatten(), self.momentum)
            self.running_var.lerp_(variance.flatten(), self.momentum)
        scale = self.weight.view(1, -1, 1, 1) * (variance + self.eps).rsqrt()
        return centred * scale + self.bias.view(1, -1, 1, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=9)
    turns = parser.parse_args().turns
    with tempfile.NamedTemporaryFile() as file:
        store = distributed.FileStore(file.name, 1)
        distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
        for shape in SHAPES:
            for name, layout in LAYOUTS.items():
                print(f"{'x'.join(map(str, shape))}, {name}: {said(shape, layout, turns)}")
        distributed.destroy_process_group()


def said(shape: tuple[int, ...], layout: torch.memory_format, turns: int) -> str:
    """Milliseconds of each layer, and the ratios."""
    features, gradient = (torch.randn(shape).contiguous(memory_format=layout) for _ in range(2))
    features.requires_grad_()
    layers = [kind(shape[1]) for kind in (SharedBatchNorm2d, nn.BatchNorm2d, PlainBatchNorm2d)]
    shared, local, plain = least(
        [lambda x=x: pass_through(x, features, gradient) for x in layers], turns
    )
    return (
        f"all workers' {shared:.1f} ms, one worker's {local:.1f} ms ({shared / local:.2f} times), "
        f"plain operations {plain:.1f} ms ({plain / shared:.1f} times)"
    )


def pass_through(layer: nn.Module, features: Tensor, gradient: Tensor) -> None:
    """Forwards and backwards."""
    torch.autograd.grad(layer(features), (features, layer.weight, layer.bias), gradient)


def least(works: list[Callable[[], None]], turns: int) -> list[float]:
    """Processor milliseconds of each work in its best turn; the first does not count."""
    taken = [[seconds(work) for work in works] for _ in range(turns + 1)][1:]
    return [1e3 * min(column) for column in zip(*taken, strict=True)]


def seconds(work: Callable[[], None]) -> float:
    """Processor seconds of a call."""
    start = time.process_time()
    work()
    return time.process_time() - start


if __name__ == "__main__":
    main()
