"""Training recipes as frozen, typed records whose defaults are the paper's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from ...errors import FacebenchError
from .parts import (
    AugmentationRecipe,
    IdentityRecipe,
    LossRecipe,
    NetworkRecipe,
    OptimiserRecipe,
    RendererRecipe,
    TrainingRecipe,
)
from .record import build_record


@dataclass(frozen=True)
class RegressorRecipe:
    """What the recipes of all networks that give a face's coefficients say.

    Attributes:
        name: of the recipe.
        kind: the method that it trains, as `--method` calls it.
        title: one line on it.
        flip: probability that a training photograph is mirrored.
        renderer: draws the faces of the loss and of the pictures.
        optimiser, augmentation, training: see there.
    """

    name: str
    kind: str = ""
    title: str = ""
    flip: float = 0.0
    renderer: RendererRecipe = field(default_factory=RendererRecipe)
    optimiser: OptimiserRecipe = field(default_factory=OptimiserRecipe)
    augmentation: AugmentationRecipe = field(default_factory=AugmentationRecipe)
    training: TrainingRecipe = field(default_factory=TrainingRecipe)

    def __post_init__(self) -> None:
        for where, value, known in self._choices():
            if value not in known:
                raise FacebenchError(
                    f"recipe {self.name}: {where} is '{value}'", f"known are {', '.join(known)}"
                )
        for where, number in self._positive():
            if number <= 0:
                raise FacebenchError(f"recipe {self.name}: {where} is {number}", "give more than 0")
        check_average(self.name, self.optimiser)
        check_share(self.name, "flip", self.flip)
        check_share(self.name, "augmentation.cover", self.augmentation.cover)
        if self.training.checkpoint_every % self.training.log_every:
            raise FacebenchError(
                f"recipe {self.name}: training.checkpoint_every is no multiple of log_every",
                "the log resumes at a checkpoint",
            )

    @property
    def image_size(self) -> int:
        """Side in px of the network's input."""
        raise NotImplementedError

    def as_table(self) -> dict[str, Any]:
        """The recipe as nested plain values, as `recipe_from_table` takes it."""
        return asdict(self)

    def _choices(self) -> Iterator[tuple[str, str, tuple[str, ...]]]:
        yield "renderer.kind", self.renderer.kind, RENDERERS
        yield "optimiser.schedule", self.optimiser.schedule, SCHEDULES

    def _positive(self) -> Iterator[tuple[str, float]]:
        yield "network.image_size", self.image_size
        yield "renderer.sigma", self.renderer.sigma
        yield "renderer.gamma", self.renderer.gamma
        yield "optimiser.learning_rate", self.optimiser.learning_rate
        for item in fields(self.training):
            yield f"training.{item.name}", getattr(self.training, item.name)


@dataclass(frozen=True)
class ImageRecipe(RegressorRecipe):
    """The recipe of a network that looks at the photograph itself."""

    network: NetworkRecipe = field(default_factory=NetworkRecipe)

    @property
    def image_size(self) -> int:
        """Side in px of the network's input."""
        return self.network.image_size

    def _choices(self) -> Iterator[tuple[str, str, tuple[str, ...]]]:
        yield from super()._choices()
        yield "network.architecture", self.network.architecture, ARCHITECTURES
        yield "network.pooling", self.network.pooling, POOLINGS
        yield "network.precision", self.network.precision, PRECISIONS

    def _positive(self) -> Iterator[tuple[str, float]]:
        yield "network.width", self.network.width
        yield from super()._positive()


@dataclass(frozen=True)
class Recipe(ImageRecipe):
    """Everything that decides a weakly supervised training but its data, face model and seed."""

    kind: str = "ours"
    loss: LossRecipe = field(default_factory=LossRecipe)
    identity: IdentityRecipe = field(default_factory=IdentityRecipe)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.loss.weights.seen and self.network.pooling != "places":
            raise FacebenchError(
                f"recipe {self.name}: loss.weights.seen needs a network that sees landmarks",
                "set network.pooling=places, or leave the weight at 0",
            )

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> Recipe:
        """The recipe of nested plain values; unknown keys and wrong types are refused."""
        return build_record(cls, table, f"recipe {table.get('name', '')}".strip())

    def _positive(self) -> Iterator[tuple[str, float]]:
        yield from super()._positive()
        yield "loss.landmark.width", self.loss.landmark.width
        yield "loss.landmark.epsilon", self.loss.landmark.epsilon


ARCHITECTURES = ("resnet18", "resnet34", "resnet50", "resnet101")
POOLINGS = ("average", "grid", "places")
PRECISIONS = ("auto", "float32", "bfloat16")
RENDERERS = ("softras", "outline")
SCHEDULES = ("constant", "cosine")


def check_average(name: str, recipe: OptimiserRecipe) -> None:
    """Refuse an average that keeps everything or less than nothing."""
    if not 0.0 <= recipe.average < 1.0:
        raise FacebenchError(
            f"recipe {name}: optimiser.average is {recipe.average}", "give 0 up to below 1"
        )


def check_share(name: str, where: str, share: float) -> None:
    """Refuse what is no probability."""
    if not 0.0 <= share <= 1.0:
        raise FacebenchError(f"recipe {name}: {where} is {share}", "give 0 to 1")
