"""Recipes of the networks that prepare photographs: parser, recogniser and landmarker."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from ...errors import FacebenchError
from .regressor import SCHEDULES, AugmentationRecipe, OptimiserRecipe, TrainingRecipe, check_share

IRESNET_DEPTHS: dict[str, tuple[int, int, int, int]] = {
    "iresnet18": (2, 2, 2, 2),
    "iresnet34": (3, 4, 6, 3),
    "iresnet50": (3, 4, 14, 3),
    "iresnet100": (3, 13, 30, 3),
}
"""Number of blocks in each of the four stages, of the recogniser's architectures."""


@dataclass(frozen=True)
class ParserNetwork:
    """BiSeNet: channels of the trunk's first stage and the side of its input in px."""

    width: int = 64
    image_size: int = 512


@dataclass(frozen=True)
class RecogniserNetwork:
    """IResNet: depth, width of the first stage, side of its input in px, length of the vector."""

    architecture: str = "iresnet50"
    width: int = 64
    image_size: int = 112
    outputs: int = 512


@dataclass(frozen=True)
class LandmarkerNetwork:
    """The landmark network: channels of the trunk's first stage and the side of its input in px."""

    width: int = 16
    image_size: int = 96


@dataclass(frozen=True)
class HardPixels:
    """Which pixels the parser learns from: those it is least sure of.

    Attributes:
        probability: pixels whose own class got less than this always count; 1 takes all pixels.
        share: this share of all pixels counts at least.
    """

    probability: float = 0.7
    share: float = 0.0625


@dataclass(frozen=True)
class Margin:
    """The additive angular margin of ArcFace, in radians, and the scale of the cosines."""

    angle: float = 0.5
    scale: float = 64.0


@dataclass(frozen=True)
class VisionRecipe:
    """What all of these recipes say.

    Attributes:
        name: of the recipe.
        kind: what it trains.
        title: one line on it.
        flip: probability that a training photograph is mirrored.
        optimiser, augmentation, training: as for the face regressor.
    """

    name: str
    kind: str = ""
    title: str = ""
    flip: float = 0.5
    optimiser: OptimiserRecipe = field(default_factory=OptimiserRecipe)
    augmentation: AugmentationRecipe = field(default_factory=AugmentationRecipe)
    training: TrainingRecipe = field(default_factory=TrainingRecipe)

    def __post_init__(self) -> None:
        for where, number in self._positive():
            if number <= 0:
                raise FacebenchError(f"recipe {self.name}: {where} is {number}", "give more than 0")
        if self.optimiser.schedule not in SCHEDULES:
            raise FacebenchError(
                f"recipe {self.name}: optimiser.schedule is '{self.optimiser.schedule}'",
                f"known are {', '.join(SCHEDULES)}",
            )
        check_share(self.name, "flip", self.flip)
        check_share(self.name, "augmentation.cover", self.augmentation.cover)
        if self.training.checkpoint_every % self.training.log_every:
            raise FacebenchError(
                f"recipe {self.name}: training.checkpoint_every is no multiple of log_every",
                "the log resumes at a checkpoint",
            )

    def as_table(self) -> dict[str, Any]:
        """The recipe as nested plain values, as `recipe_from_table` takes it."""
        return asdict(self)

    @property
    def photograph_size(self) -> int:
        """Side in px of the photographs in a batch."""
        raise NotImplementedError

    def _positive(self) -> Iterator[tuple[str, float]]:
        yield "optimiser.learning_rate", self.optimiser.learning_rate
        for item in fields(self.training):
            yield f"training.{item.name}", getattr(self.training, item.name)


@dataclass(frozen=True)
class ParserRecipe(VisionRecipe):
    """A face parser, by cross entropy over the pixels."""

    kind: str = "parser"
    network: ParserNetwork = field(default_factory=ParserNetwork)
    hard_pixels: HardPixels = field(default_factory=HardPixels)

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_multiple(self.name, self.network.image_size, 32)

    @property
    def photograph_size(self) -> int:
        """Side in px of the photographs in a batch: the network's."""
        return self.network.image_size

    def _positive(self) -> Iterator[tuple[str, float]]:
        yield from super()._positive()
        yield "network.width", self.network.width
        yield "hard_pixels.share", self.hard_pixels.share


@dataclass(frozen=True)
class RecogniserRecipe(VisionRecipe):
    """A recogniser, by the angular margin between the people of the training set.

    Attributes:
        photograph_side: side in px of the photographs that faces are aligned from.
        point_noise: standard deviation of the five points' error in px of the aligned face, so
            that features do not hang on exact landmarks.
    """

    kind: str = "recogniser"
    network: RecogniserNetwork = field(default_factory=RecogniserNetwork)
    margin: Margin = field(default_factory=Margin)
    photograph_side: int = 224
    point_noise: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_multiple(self.name, self.network.image_size, 16)
        if self.network.architecture not in IRESNET_DEPTHS:
            raise FacebenchError(
                f"recipe {self.name}: network.architecture is '{self.network.architecture}'",
                f"known are {', '.join(IRESNET_DEPTHS)}",
            )

    @property
    def photograph_size(self) -> int:
        """Side in px of the photographs in a batch."""
        return self.photograph_side

    def _positive(self) -> Iterator[tuple[str, float]]:
        yield from super()._positive()
        yield "network.width", self.network.width
        yield "network.outputs", self.network.outputs
        yield "margin.scale", self.margin.scale
        yield "photograph_side", self.photograph_side


@dataclass(frozen=True)
class LandmarkerRecipe(VisionRecipe):
    """A landmark detector, by the Wing loss; `width` and `epsilon` are in px of the 224 frame."""

    kind: str = "landmarker"
    network: LandmarkerNetwork = field(default_factory=LandmarkerNetwork)
    width: float = 10.0
    epsilon: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_multiple(self.name, self.network.image_size, 32)

    @property
    def photograph_size(self) -> int:
        """Side in px of the photographs in a batch: the network's."""
        return self.network.image_size

    def _positive(self) -> Iterator[tuple[str, float]]:
        yield from super()._positive()
        yield "network.width", self.network.width
        yield "width", self.width
        yield "epsilon", self.epsilon


def _check_multiple(name: str, image_size: int, step: int) -> None:
    if image_size <= 0 or image_size % step:
        raise FacebenchError(
            f"recipe {name}: network.image_size is {image_size}", f"give a multiple of {step}"
        )
