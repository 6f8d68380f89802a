"""The backbones against what is known of the public weights."""

from __future__ import annotations

import pytest
import torch

from facebench.recon.network.resnet import ResNet

# Elements and state-dict keys of the widely published ImageNet weights.
PUBLIC = {
    "resnet18": (11_689_512, 122),
    "resnet34": (21_797_672, 218),
    "resnet50": (25_557_032, 320),
    "resnet101": (44_549_160, 626),
}


@pytest.mark.parametrize("architecture", PUBLIC)
def test_parameters_and_keys_are_those_of_the_public_weights(architecture: str) -> None:
    network = ResNet(architecture, 1000)
    elements, keys = PUBLIC[architecture]
    assert sum(parameter.numel() for parameter in network.parameters()) == elements
    assert len(network.state_dict()) == keys


def test_shapes_of_resnet50_entries() -> None:
    state = ResNet("resnet50", 1000).state_dict()
    shapes = {
        "conv1.weight": (64, 3, 7, 7),
        "bn1.running_var": (64,),
        "layer1.0.downsample.0.weight": (256, 64, 1, 1),
        "layer1.0.downsample.1.num_batches_tracked": (),
        "layer2.0.conv2.weight": (128, 128, 3, 3),
        "layer3.5.conv3.weight": (1024, 256, 1, 1),
        "layer4.2.bn3.bias": (2048,),
        "fc.weight": (1000, 2048),
    }
    assert {name: tuple(state[name].shape) for name in shapes} == shapes


def test_stride_is_in_the_middle_convolution_of_a_bottleneck() -> None:
    block = ResNet("resnet50", 10).layer2[0]
    assert (block.conv1.stride, block.conv2.stride) == ((1, 1), (2, 2))


def test_half_width_resnet18_has_2_8_million_parameters() -> None:
    network = ResNet("resnet18", 70, width=32)
    backbone = sum(p.numel() for n, p in network.named_parameters() if not n.startswith("fc."))
    assert 2_750_000 < backbone < 2_850_000


def test_features_shrink_32_times_and_forward_pools_them() -> None:
    network = ResNet("resnet18", 7, width=8).eval()
    images = torch.rand(2, 3, 96, 64)
    features = network.features(images)
    assert features.shape == (2, 64, 3, 2)
    expected = features.mean((2, 3)) @ network.fc.weight.T + network.fc.bias
    torch.testing.assert_close(network(images), expected)
