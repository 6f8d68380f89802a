"""The layers that networks share, and the crash of PyTorch that one of them steps around."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from facebench.recon.network.resnet import CRASHING_CHANNELS, PointwiseConvolution

# Every shape of these crashed `torch.nn.Conv2d` on a processor with AVX2 or with AVX-512, or is the
# next of its kind: even sides, channels last, 2 to 7 and 2 to 15 channels; 16 and more never did.
TRAIN_LAYERS = """
import torch
from facebench.recon.network.resnet import PointwiseConvolution
torch.set_num_threads(1)
SHAPES = [(2, 6, 2), (4, 16, 2), (4, 32, 2), (16, 32, 4), (1, 64, 2), (1, 128, 2), (1, 128, 4)]
for channels in (1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 14, 15, 16, 17):
    for batch, side, stride in SHAPES:
        print(channels, batch, side, stride, flush=True)
        layer = PointwiseConvolution(channels, 8, stride)
        images = torch.randn(batch, channels, side, side)
        images = images.contiguous(memory_format=torch.channels_last).requires_grad_()
        for _ in range(3):
            layer(images).square().sum().backward()
"""
TRAIN_NETWORKS = """
import torch
from facebench.recon.network.dense import BiSeNet, LandmarkNetwork
from facebench.recon.network.resnet import IResNet, ResNet
torch.set_num_threads(1)
for width in (2, 4, 6, 8, 12):
    networks = [IResNet("iresnet18", 8, width, 32), LandmarkNetwork(width, 64), BiSeNet(5, width),
                ResNet("resnet18", 3, width), ResNet("resnet50", 3, width)]
    for network in networks:
        print(width, type(network).__name__, flush=True)
        side = 32 if isinstance(network, IResNet) else 64
        images = torch.randn(4, 3, side, side).contiguous(memory_format=torch.channels_last)
        for _ in range(2):
            found = network.to(memory_format=torch.channels_last)(images)
            maps = [found] if torch.is_tensor(found) else found
            sum(one.square().mean() for one in maps).backward()
"""


def test_training_narrow_layers_does_not_end_the_process() -> None:
    # In a process of its own: a crash is then a failed test and not a lost test worker. One that
    # hangs (the faulty kernel does, with two threads) is ended by the time-out.
    root = Path(__file__).resolve().parents[4]
    command = [sys.executable, "-c", TRAIN_LAYERS + TRAIN_NETWORKS]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, timeout=240)
    where = done.stdout.splitlines()[-1:] or ["the imports"]
    assert done.returncode == 0, f"ended by {done.returncode} at {where[0]}: {done.stderr[-500:]}"


@pytest.mark.parametrize("channels", [1, 3, 4, 7, 8, CRASHING_CHANNELS])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("side", [6, 9])
def test_equals_the_strided_convolution(channels: int, stride: int, side: int) -> None:
    torch.manual_seed(0)
    layer = PointwiseConvolution(channels, 5, stride).double()  # the faulty kernel is for float32
    plain = torch.nn.Conv2d(channels, 5, 1, stride, bias=False).double()
    plain.load_state_dict(layer.state_dict())
    images = torch.randn(2, channels, side, side, dtype=torch.float64, requires_grad=True)
    expected, found = plain(images), layer(images)
    torch.testing.assert_close(found, expected, rtol=1e-13, atol=1e-13)
    direction = torch.randn_like(expected)
    for ours, theirs in zip(
        torch.autograd.grad(found, (images, layer.weight), direction),
        torch.autograd.grad(expected, (images, plain.weight), direction),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-13, atol=1e-13)


def test_a_map_in_channels_last_stays_so() -> None:
    images = torch.randn(2, 4, 8, 8).contiguous(memory_format=torch.channels_last)
    found = PointwiseConvolution(4, 8, 2)(images)
    assert found.is_contiguous(memory_format=torch.channels_last)
