"""Recipes of face regressors as frozen, typed records whose defaults are the paper's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from ...errors import FacebenchError
from .record import build_record


@dataclass(frozen=True)
class OutputScale:
    """What one unit of a head output means, by group of coefficients.

    A group learns as much faster as its scale is larger; angles are in radians, the translation in
    normalised image units, `log_scale` multiplies the framing scale by its exponential.
    """

    identity: float = 1.0
    expression: float = 1.0
    albedo: float = 1.0
    angles: float = 1.0
    translation: float = 1.0
    log_scale: float = 1.0
    light: float = 1.0


@dataclass(frozen=True)
class NetworkRecipe:
    """The regressor: backbone, its width, the side of its input in px and how features are pooled.

    `pooling` is `average` as in the paper; `grid`: the cells of the last feature map are kept
    apart, so that the head sees where things are; or `places`: besides, the exact places of 68
    landmarks, which `loss.weights.seen` teaches the network to see.

    `start_expression` is the value of every expression coefficient before training: the mean of
    blendshape weights, which are never negative, is not 0.
    """

    architecture: str = "resnet50"
    width: int = 64
    image_size: int = 224
    pooling: str = "average"
    precision: str = "auto"
    start_expression: float = 0.0
    output_scale: OutputScale = field(default_factory=OutputScale)


@dataclass(frozen=True)
class RendererRecipe:
    """Which renderer draws the face, with its softness; `gamma` is for `softras` only."""

    kind: str = "softras"
    sigma: float = 3e-5
    gamma: float = 1e-4


@dataclass(frozen=True)
class LossWeights:
    """Weights of the levels of the loss (METHOD eq. 7).

    Those that the paper does not have are 0 by default, which leaves them out: `landmark_shape`,
    the landmarks under the pose that fits them best, whatever pose the network found;
    `reflectance`, the variance of the albedo over the skin; `light_balance`, the light's colour;
    `seen`, the landmarks as the network sees them, before any face is made of them.
    """

    pixel: float = 3.0
    landmark: float = 2.4e-3
    landmark_shape: float = 0.0
    identity: float = 0.24
    prior: float = 4e-4
    reflectance: float = 0.0
    light_balance: float = 0.0
    seen: float = 0.0


@dataclass(frozen=True)
class LandmarkRecipe:
    """The Wing loss, and how the jaw line loses weight between two angles of yaw in degrees.

    With `visible_contour` jaw-line points move to where the turned face ends, instead of staying on
    their vertices; their weight need then not fall: `contour_weight = 1`.
    """

    width: float = 10.0
    epsilon: float = 2.0
    contour_weight: float = 0.2
    contour_from: float = 20.0
    contour_to: float = 50.0
    visible_contour: bool = False


@dataclass(frozen=True)
class PriorRecipe:
    """Weights of the squared coefficients (METHOD eq. 13).

    Expression coefficients count from `expression_mean`, for blendshapes whose mean is not 0.
    """

    identity: float = 1.2
    expression: float = 0.8
    albedo: float = 0.001
    expression_mean: float = 0.0


@dataclass(frozen=True)
class LossRecipe:
    """All of the loss.

    `mask` gives the weight of each face-parsing class in the pixel term, `pixel_from` the share of
    the steps after which that term counts: until then nothing is drawn, which takes half the time.
    """

    weights: LossWeights = field(default_factory=LossWeights)
    landmark: LandmarkRecipe = field(default_factory=LandmarkRecipe)
    prior: PriorRecipe = field(default_factory=PriorRecipe)
    mask: Mapping[str, float] = field(default_factory=dict)
    pixel_from: float = 0.0


@dataclass(frozen=True)
class IdentityRecipe:
    """The recogniser of the identity level and the second view it is shown.

    `weights` is `embedded`, a weights file, or empty for none. `yaw`, `pitch` and `roll` are the
    largest turns from the photograph's pose in degrees, `expression` the standard deviation of what
    is added to each expression coefficient.
    """

    weights: str = "embedded"
    yaw: float = 45.0
    pitch: float = 15.0
    roll: float = 10.0
    expression: float = 0.5


@dataclass(frozen=True)
class OptimiserRecipe:
    """Adam, its learning rate over time, and the limit on the gradient's norm (0: none).

    `average` is the share that a step keeps of the moving average of the weights, which validation
    and the weights for use are then taken from; 0 keeps no average.
    """

    learning_rate: float = 1e-4
    schedule: str = "constant"
    warmup_steps: int = 0
    gradient_limit: float = 0.0
    average: float = 0.0


@dataclass(frozen=True)
class AugmentationRecipe:
    """Largest random change of a training photograph; 0 everywhere leaves it as it is.

    `shift` is a share of the side, `zoom` a share of the size, `turn` in degrees, `gain` and
    `contrast` shares of the colour values. `cover` is the share of photographs that get something
    with straight edges in front, which the mask then calls background.
    """

    shift: float = 0.0
    zoom: float = 0.0
    turn: float = 0.0
    gain: float = 0.0
    contrast: float = 0.0
    cover: float = 0.0


@dataclass(frozen=True)
class TrainingRecipe:
    """Length of the training and when it saves, logs and validates, in steps.

    `skipped_in_a_row` is how many steps in a row may be left out, their loss not being finite,
    before the training stops.
    """

    steps: int = 101_340
    batch_size: int = 16
    checkpoint_every: int = 1000
    log_every: int = 50
    validate_every: int = 1000
    skipped_in_a_row: int = 20


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
