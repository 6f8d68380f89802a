"""IResNet against what is known of the public ArcFace weights."""

from __future__ import annotations

import re

import pytest
import torch

from facebench.recon.network.resnet import IResNet

# Tensors and learned elements; the first two follow from the blocks, the last two are published.
PUBLIC = {
    "iresnet18": (187, 24_025_600),
    "iresnet34": (331, 34_139_328),
    "iresnet50": (475, 43_590_848),
    "iresnet100": (925, 65_156_160),
}
PUBLIC_NAMES = (
    r"(conv1|bn1|prelu|bn2|fc|features)",
    r"layer[1-4]\.\d+\.(bn1|conv1|bn2|prelu|conv2|bn3|downsample\.[01])",
)


@pytest.mark.parametrize("architecture", PUBLIC)
def test_names_and_sizes_are_those_of_the_public_weights(architecture: str) -> None:
    with torch.device("meta"):
        network = IResNet(architecture)
    state, (keys, elements) = network.state_dict(), PUBLIC[architecture]
    assert len(state) == keys
    assert sum(parameter.numel() for parameter in network.parameters()) == elements
    pattern = re.compile(rf"({'|'.join(PUBLIC_NAMES)})\.\w+")
    assert [name for name in state if not pattern.fullmatch(name)] == []
    assert tuple(state["fc.weight"].shape) == (512, 25_088)


def test_stride_is_in_the_second_convolution() -> None:
    with torch.device("meta"):
        block = IResNet("iresnet18").layer2[0]
    assert (block.conv1.stride, block.conv2.stride) == ((1, 1), (2, 2))


def test_a_block_follows_its_formula() -> None:
    block = IResNet("iresnet18", width=8).layer1[1].double().eval()
    features = torch.randn(2, 8, 6, 6, dtype=torch.float64)
    inner = block.conv1(block.bn1(features))
    inner = torch.where(block.bn2(inner) > 0, block.bn2(inner), 0.25 * block.bn2(inner))
    torch.testing.assert_close(block(features), features + block.bn3(block.conv2(inner)))


def test_a_small_one_gives_one_vector_a_face() -> None:
    network = IResNet("iresnet18", outputs=32, width=8, image_size=48).eval()
    assert network(torch.rand(3, 3, 48, 48)).shape == (3, 32)
