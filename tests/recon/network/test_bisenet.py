"""BiSeNet against what is known of the public weights."""

from __future__ import annotations

import re

import torch

from facebench.recon.network.dense import BiSeNet

# The public file's layout: names, number of tensors, number of elements.
PUBLIC_NAMES = (
    r"cp\.resnet\.(conv1|bn1|layer[1-4]\.[01]\.(conv[12]|bn[12]|downsample\.[01]))",
    r"cp\.arm(16|32)\.(conv\.(conv|bn)|conv_atten|bn_atten)",
    r"cp\.conv_(head32|head16|avg)\.(conv|bn)",
    r"ffm\.(convblk\.(conv|bn)|conv1|conv2)",
    r"conv_out(16|32)?\.(conv\.(conv|bn)|conv_out)",
)
SHAPES = {
    "cp.resnet.layer4.1.conv2.weight": (512, 512, 3, 3),
    "cp.arm16.conv.conv.weight": (128, 256, 3, 3),
    "cp.arm32.conv_atten.weight": (128, 128, 1, 1),
    "cp.conv_avg.conv.weight": (128, 512, 1, 1),
    "ffm.convblk.conv.weight": (256, 256, 1, 1),
    "ffm.conv1.weight": (64, 256, 1, 1),
    "ffm.conv2.weight": (256, 64, 1, 1),
    "conv_out.conv_out.weight": (19, 256, 1, 1),
    "conv_out16.conv_out.weight": (19, 64, 1, 1),
    "conv_out32.conv.conv.weight": (64, 128, 3, 3),
}


def test_names_and_sizes_are_those_of_the_public_weights() -> None:
    state = BiSeNet().state_dict()
    assert len(state) == 191
    assert sum(value.numel() for value in state.values()) == 13_313_119
    assert {name: tuple(state[name].shape) for name in SHAPES} == SHAPES
    pattern = re.compile(rf"({'|'.join(PUBLIC_NAMES)})\.\w+")
    assert [name for name in state if not pattern.fullmatch(name)] == []


def test_three_scores_have_the_pictures_size_even_where_32_does_not_divide_it() -> None:
    network = BiSeNet(width=8).eval()
    images = torch.rand(2, 3, 72, 88)
    outputs = network(images)
    assert [tuple(scores.shape) for scores in outputs] == [(2, 19, 72, 88)] * 3
    torch.testing.assert_close(network.scores(images), outputs[0])


def test_every_weight_takes_part() -> None:
    network = BiSeNet(width=8)
    sum(scores.square().mean() for scores in network(torch.rand(2, 3, 64, 64))).backward()
    assert all(value.grad is not None for value in network.parameters())
