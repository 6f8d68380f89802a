"""MTCNN's three networks (Zhang et al. 2016): a face is proposed, refined and placed.

Tensors are named as in the public weights, so that those load.
"""

from __future__ import annotations

from torch import Tensor, nn


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
