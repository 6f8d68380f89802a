"""Networks whose weights are fetched with other packages: face-api's two, and MTCNN's three.

Face-api has 68 landmarks by separable convolutions, and a recogniser. Both take RGB pictures whose
mean is taken off, `MEAN_RGB` of 255; written after the package's published layers, and
`converted_face_api` brings its tensors to the names here. MTCNN (Zhang et al. 2016) proposes,
refines and places a face; its tensors are named as in the public weights, so that those load.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, max_pool2d, pad, relu

MEAN_RGB = (122.782, 117.001, 104.298)
LANDMARK_SIDE, RECOGNISER_SIDE = 112, 150
FEATURES = 128

_BLOCKS = (
    *(("conv32_1", 32, False), ("conv32_2", 32, False), ("conv32_3", 32, False)),
    *(("conv64_down", 64, True), ("conv64_1", 64, False), ("conv64_2", 64, False)),
    *(("conv64_3", 64, False), ("conv128_down", 128, True), ("conv128_1", 128, False)),
    *(("conv128_2", 128, False), ("conv256_down", 256, True), ("conv256_1", 256, False)),
    *(("conv256_2", 256, False), ("conv256_down_out", 256, True)),
)
"""Name, channels and whether the size is halved, in order."""


def centre_colours(pictures: Tensor) -> Tensor:
    """RGB (B, 3, H, W) in [0, 1] without the mean of the pictures that were trained on."""
    return pictures - pictures.new_tensor(MEAN_RGB).view(1, 3, 1, 1) / 255.0


class SeparableConvolution(nn.Module):
    """A 3 x 3 convolution of each channel, then one of 1 x 1 across them (Chollet 2017)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.depthwise = nn.Conv2d(inputs, inputs, 3, stride, groups=inputs, bias=False)
        self.pointwise = nn.Conv2d(inputs, outputs, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (B, C, H, W), of a stride-th of the size, rounded up."""
        found: Tensor = self.pointwise(self.depthwise(_pad_as_tensorflow(maps, 3, self.stride)))
        return found


class DenseBlock(nn.Module):
    """Four convolutions, each of which reads the sum of those before it; half the size.

    Args:
        inputs, outputs: channels.
        first: whether the first convolution is a plain one, as over colours.
    """

    def __init__(self, inputs: int, outputs: int, first: bool = False) -> None:
        super().__init__()
        plain = nn.Conv2d(inputs, outputs, 3, 2)
        self.conv0 = plain if first else SeparableConvolution(inputs, outputs, 2)
        self.first = first
        self.conv1 = SeparableConvolution(outputs, outputs, 1)
        self.conv2 = SeparableConvolution(outputs, outputs, 1)
        self.conv3 = SeparableConvolution(outputs, outputs, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (B, outputs, H / 2, W / 2)."""
        total = relu(self.conv0(_pad_as_tensorflow(maps, 3, 2) if self.first else maps))
        for convolution in (self.conv1, self.conv2, self.conv3):
            # The sum itself goes on without its lower half being cut off; only what reads it is.
            total = total + convolution(relu(total))
        return relu(total)


class SeparableLandmarks(nn.Module):
    """68 landmarks of a tight face crop, straight from the last features; 357 kB in 8 bits."""

    image_size = LANDMARK_SIDE

    def __init__(self) -> None:
        super().__init__()
        self.dense0 = DenseBlock(3, 32, first=True)
        self.dense1 = DenseBlock(32, 64)
        self.dense2 = DenseBlock(64, 128)
        self.dense3 = DenseBlock(128, 256)
        self.fc = nn.Linear(256, 136)

    def forward(self, crops: Tensor) -> Tensor:
        """Landmarks (B, 68, 2) px of crops (B, 3, 112, 112) of RGB in [0, 1]."""
        maps = self.dense1(self.dense0(centre_colours(crops)))
        maps = self.dense3(self.dense2(maps))
        shares = self.fc(maps.mean((2, 3))).view(-1, 68, 2)
        # Half a pixel back: the network counts from the crop's edge, we from pixel centres.
        found: Tensor = shares * crops.shape[3] - 0.5
        return found


class ScaledConvolution(nn.Module):
    """A convolution, its result scaled and shifted by channel (a folded batch normalisation)."""

    def __init__(self, inputs: int, outputs: int, size: int = 3, stride: int = 1) -> None:
        super().__init__()
        # With a stride nothing is padded: dlib's rule, in which the weights were trained.
        self.conv = nn.Conv2d(inputs, outputs, size, stride, size // 2 if stride == 1 else 0)
        self.scale = nn.Parameter(torch.ones(outputs))
        self.shift = nn.Parameter(torch.zeros(outputs))

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (B, outputs, h, w)."""
        shape = (1, -1, 1, 1)
        found: Tensor = self.conv(maps) * self.scale.view(shape) + self.shift.view(shape)
        return found


class ScaledResidual(nn.Module):
    """Two convolutions beside a short cut, which a step down averages and fills with zeros."""

    def __init__(self, inputs: int, outputs: int, down: bool) -> None:
        super().__init__()
        self.down = down
        self.conv1 = ScaledConvolution(inputs, outputs, stride=2 if down else 1)
        self.conv2 = ScaledConvolution(outputs, outputs)

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (B, outputs, h, w)."""
        found = self.conv2(relu(self.conv1(maps)))
        short = avg_pool2d(maps, 2) if self.down else maps
        # An even map has one cell more under the average than under the convolution.
        height, width = short.shape[2] - found.shape[2], short.shape[3] - found.shape[3]
        found = pad(found, (0, width, 0, height))
        missing = found.shape[1] - short.shape[1]
        return relu(found + pad(short, (0, 0, 0, 0, 0, missing)))


class ScaledResNet(nn.Module):
    """dlib's recogniser of 29 convolutions (King 2017): 128 numbers of a face.

    Faces are one person's where the distance of their numbers is below 0.6.
    """

    image_size = RECOGNISER_SIDE

    def __init__(self) -> None:
        super().__init__()
        self.conv32_down = ScaledConvolution(3, 32, size=7, stride=2)
        inputs = 32
        for name, outputs, down in _BLOCKS:
            self.add_module(name, ScaledResidual(inputs, outputs, down))
            inputs = outputs
        self.fc = nn.Linear(inputs, FEATURES, bias=False)

    def forward(self, faces: Tensor) -> Tensor:
        """Features (B, 128), not normalised, of faces (B, 3, 150, 150) of RGB in [0, 1]."""
        maps = max_pool2d(relu(self.conv32_down(centre_colours(faces))), 3, 2)
        for name, _, _ in _BLOCKS:
            maps = self.get_submodule(name)(maps)
        found: Tensor = self.fc(maps.mean((2, 3)))
        return found


def converted_face_api(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors under the names here, in PyTorch's order of axes.

    Args:
        stored: by the package's names, with the axes of TensorFlow (rows, columns, in, out).
    """
    found: dict[str, Tensor] = {}
    for name, value in stored.items():
        path, _, kind = name.replace("/", ".").rpartition(".")
        if kind == "depthwise_filter":
            found[f"{path}.depthwise.weight"] = value.permute(2, 3, 0, 1)
        elif kind == "pointwise_filter":
            found[f"{path}.pointwise.weight"] = value.permute(3, 2, 0, 1)
        elif kind == "filters":
            found[f"{path}.weight"] = value.permute(3, 2, 0, 1)
        elif path.endswith(".scale"):
            part = path.removesuffix(".scale")
            found[f"{part}.{'scale' if kind == 'weights' else 'shift'}"] = value
        elif kind in ("weights", "fc"):
            found["fc.weight"] = value.T
        else:
            separable = f"{path.replace('.', '/')}/pointwise_filter" in stored
            found[f"{path}.pointwise.bias" if separable else f"{path}.bias"] = value
    return {name: value.contiguous() for name, value in found.items()}


class ProposalNetwork(nn.Module):
    """Says of every window of 12 px, two px apart, whether it holds a face. Any size of picture."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 10, 3)
        self.prelu1 = nn.PReLU(10)
        self.pool1 = _pool(2)
        self.conv2 = nn.Conv2d(10, 16, 3)
        self.prelu2 = nn.PReLU(16)
        self.conv3 = nn.Conv2d(16, 32, 3)
        self.prelu3 = nn.PReLU(32)
        self.conv4_1 = nn.Conv2d(32, 2, 1)
        self.conv4_2 = nn.Conv2d(32, 4, 1)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Probabilities (B, h, w) and shifts (B, 4, h, w) of pictures (B, 3, H, W) in [-1, 1].

        A shift moves left, top, right and bottom of the window, in sides of it.
        """
        x = self.pool1(self.prelu1(self.conv1(pictures)))
        x = self.prelu3(self.conv3(self.prelu2(self.conv2(x))))
        return self.conv4_1(x).softmax(1)[:, 1], self.conv4_2(x)


class RefinementNetwork(nn.Module):
    """Says of windows resampled to 24 px whether they hold a face."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 28, 3)
        self.prelu1 = nn.PReLU(28)
        self.pool1 = _pool(3)
        self.conv2 = nn.Conv2d(28, 48, 3)
        self.prelu2 = nn.PReLU(48)
        self.pool2 = _pool(3)
        self.conv3 = nn.Conv2d(48, 64, 2)
        self.prelu3 = nn.PReLU(64)
        self.dense4 = nn.Linear(576, 128)
        self.prelu4 = nn.PReLU(128)
        self.dense5_1 = nn.Linear(128, 2)
        self.dense5_2 = nn.Linear(128, 4)

    def forward(self, windows: Tensor) -> tuple[Tensor, Tensor]:
        """Probabilities (B,) and shifts (B, 4) of windows (B, 3, 24, 24) in [-1, 1]."""
        x = self.pool1(self.prelu1(self.conv1(windows)))
        x = self.pool2(self.prelu2(self.conv2(x)))
        x = self.prelu4(self.dense4(_by_columns(self.prelu3(self.conv3(x)))))
        return self.dense5_1(x).softmax(1)[:, 1], self.dense5_2(x)


class OutputNetwork(nn.Module):
    """Says of windows resampled to 48 px whether they hold a face, and where its points are."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, 3)
        self.prelu1 = nn.PReLU(32)
        self.pool1 = _pool(3)
        self.conv2 = nn.Conv2d(32, 64, 3)
        self.prelu2 = nn.PReLU(64)
        self.pool2 = _pool(3)
        self.conv3 = nn.Conv2d(64, 64, 3)
        self.prelu3 = nn.PReLU(64)
        self.pool3 = _pool(2)
        self.conv4 = nn.Conv2d(64, 128, 2)
        self.prelu4 = nn.PReLU(128)
        self.dense5 = nn.Linear(1152, 256)
        self.prelu5 = nn.PReLU(256)
        self.dense6_1 = nn.Linear(256, 2)
        self.dense6_2 = nn.Linear(256, 4)
        self.dense6_3 = nn.Linear(256, 10)

    def forward(self, windows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Probabilities (B,), shifts (B, 4) and points (B, 2, 5) of windows (B, 3, 48, 48).

        Points are x then y from 0 to 1 across the window: eyes, nose tip, mouth corners, left to
        right as seen.
        """
        x = self.pool1(self.prelu1(self.conv1(windows)))
        x = self.pool2(self.prelu2(self.conv2(x)))
        x = self.pool3(self.prelu3(self.conv3(x)))
        x = self.prelu5(self.dense5(_by_columns(self.prelu4(self.conv4(x)))))
        points = self.dense6_3(x).view(-1, 2, 5)
        return self.dense6_1(x).softmax(1)[:, 1], self.dense6_2(x), points


class Mtcnn(nn.Module):
    """The three networks together, as one table of tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.proposal = ProposalNetwork()
        self.refinement = RefinementNetwork()
        self.output = OutputNetwork()


def _pool(size: int) -> nn.MaxPool2d:
    # The last window may reach beyond the map: Caffe's rule, in which the weights were trained.
    return nn.MaxPool2d(size, 2, ceil_mode=True)


def _by_columns(maps: Tensor) -> Tensor:
    """Maps (B, C, H, W) as rows, column by column: MATLAB's order, which the weights expect."""
    return maps.permute(0, 3, 2, 1).flatten(1)


def _pad_as_tensorflow(maps: Tensor, size: int, stride: int) -> Tensor:
    """TensorFlow's padding, which puts the odd row below and right where PyTorch has none."""
    before_after = []
    for length in (maps.shape[3], maps.shape[2]):
        missing = max((-(-length // stride) - 1) * stride + size - length, 0)
        before_after += [missing // 2, missing - missing // 2]
    return pad(maps, before_after)
