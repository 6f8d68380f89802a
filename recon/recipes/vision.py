"""Recipes of the networks that prepare photographs: parser, recogniser and landmarker."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ..files.records import Amount, Count, Positive, Share
from .regressor import NamedRecipe

IRESNET_DEPTHS: dict[str, tuple[int, int, int, int]] = {
    "iresnet18": (2, 2, 2, 2),
    "iresnet34": (3, 4, 6, 3),
    "iresnet50": (3, 4, 14, 3),
    "iresnet100": (3, 13, 30, 3),
}
"""Number of blocks in each of the four stages, of the recogniser's architectures."""


@dataclass(frozen=True)
class TrunkNetwork:
    """BiSeNet and the landmark network: channels of the trunk's first stage, input's side in px."""

    width: Count = 64
    image_size: Annotated[int, Field(gt=0, multiple_of=32)] = 512


@dataclass(frozen=True)
class RecogniserNetwork:
    """IResNet: depth, width of the first stage, side of its input in px, length of the vector."""

    architecture: Literal["iresnet18", "iresnet34", "iresnet50", "iresnet100"] = "iresnet50"
    width: Count = 64
    # Four stages halve it; the last map is flattened, so its size is part of the weights.
    image_size: Annotated[int, Field(gt=0, multiple_of=16)] = 112
    outputs: Count = 512


@dataclass(frozen=True)
class HardPixels:
    """Which pixels the parser learns from: those it is least sure of.

    Attributes:
        probability: pixels whose own class got less than this always count; 1 takes all pixels.
        share: this share of all pixels counts at least.
    """

    # 0.7 and a sixteenth: what the public BiSeNet training takes.
    probability: Share = 0.7
    share: Annotated[float, Field(gt=0, le=1)] = 0.0625


@dataclass(frozen=True)
class Margin:
    """The additive angular margin of ArcFace, in radians, and the scale of the cosines."""

    # ArcFace's own margin and scale (Deng et al. 2019).
    angle: Amount = 0.5
    scale: Positive = 64.0


@dataclass(frozen=True)
class VisionRecipe(NamedRecipe):
    """What all of these recipes say, beside what those of face regressors say too.

    Attributes:
        needs: labels that it learns from, of `landmarks`, `masks` and `people`.
    """

    needs: ClassVar[frozenset[str]] = frozenset()

    # Mirrored faces are as many more; the sides of landmarks and parts are exchanged with them.
    flip: Share = 0.5

    @property
    def photograph_size(self) -> int:
        """Side in px of the photographs in a batch."""
        raise NotImplementedError


@dataclass(frozen=True)
class ParserRecipe(VisionRecipe):
    """A face parser, by cross entropy over the pixels."""

    needs = frozenset({"masks"})

    kind: str = "parser"
    network: TrunkNetwork = field(default_factory=TrunkNetwork)
    hard_pixels: HardPixels = field(default_factory=HardPixels)

    @property
    def photograph_size(self) -> int:
        """Side in px of the photographs in a batch: the network's."""
        return self.network.image_size


@dataclass(frozen=True)
class RecogniserRecipe(VisionRecipe):
    """A recogniser, by the angular margin between the people of the training set.

    Attributes:
        photograph_side: side in px of the photographs that faces are aligned from.
        point_noise: standard deviation of the five points' error in px of the aligned face, so
            that features do not hang on exact landmarks.
    """

    needs = frozenset({"people"})

    kind: str = "recogniser"
    network: RecogniserNetwork = field(default_factory=RecogniserNetwork)
    margin: Margin = field(default_factory=Margin)
    photograph_side: Count = 224
    point_noise: Amount = 0.0

    @property
    def photograph_size(self) -> int:
        """Side in px of the photographs in a batch."""
        return self.photograph_side


@dataclass(frozen=True)
class LandmarkerRecipe(VisionRecipe):
    """A landmark detector, by the Wing loss; `width` and `epsilon` are in px of the 224 frame."""

    needs = frozenset({"landmarks"})

    kind: str = "landmarker"
    network: TrunkNetwork = field(default_factory=lambda: TrunkNetwork(width=16, image_size=96))
    width: Positive = 10.0
    epsilon: Positive = 2.0

    @property
    def photograph_size(self) -> int:
        """Side in px of the photographs in a batch: the network's."""
        return self.network.image_size
