"""Recipes of face regressors as frozen, typed records whose defaults are the paper's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field

from ...errors import FacebenchError
from ..files.records import Amount, Count, Number, Positive, Share


@dataclass(frozen=True)
class OutputScale:
    """What one unit of a head output means, by group of coefficients.

    A group learns as much faster as its scale is larger; angles are in radians, the translation in
    normalised image units, `log_scale` multiplies the framing scale by its exponential.
    """

    identity: Amount = 1.0
    expression: Amount = 1.0
    albedo: Amount = 1.0
    angles: Amount = 1.0
    translation: Amount = 1.0
    log_scale: Amount = 1.0
    light: Amount = 1.0


@dataclass(frozen=True)
class NetworkRecipe:
    """The regressor: backbone, its width, the side of its input in px and how features are pooled.

    `pooling` is `average` as in the paper; `grid`: the cells of the last feature map are kept
    apart, so that the head sees where things are; or `places`: besides, the exact places of 68
    landmarks, which `loss.weights.seen` teaches the network to see.

    `start_expression` is the value of every expression coefficient before training: the mean of
    blendshape weights, which are never negative, is not 0.
    """

    architecture: Literal["resnet18", "resnet34", "resnet50", "resnet101"] = "resnet50"
    width: Count = 64
    image_size: Count = 224
    pooling: Literal["average", "grid", "places"] = "average"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    start_expression: Number = 0.0
    output_scale: OutputScale = field(default_factory=OutputScale)


@dataclass(frozen=True)
class RendererRecipe:
    """Which renderer draws the face, with its softness; `gamma` is for `softras` only."""

    kind: Literal["softras", "outline"] = "softras"
    # At 1e-4 outlines widen by 1.5 px, far below the triangles' size faces leak (METHOD).
    sigma: Positive = 3e-5
    gamma: Positive = 1e-4


@dataclass(frozen=True)
class LossWeights:
    """Weights of the terms of the loss (METHOD eq. 7).

    Those that the paper does not have are 0 by default, which leaves them out: `landmark_shape`,
    the landmarks under the pose that fits them best, whatever pose the network found;
    `reflectance`, the variance of the albedo over the skin; `light_balance`, the light's colour;
    `seen`, the landmarks as the network sees them, before any face is made of them.
    """

    # METHOD eq. 7: terms have their own units, the weights bring them to one size.
    pixel: Amount = 3.0
    landmark: Amount = 2.4e-3
    landmark_shape: Amount = 0.0
    identity: Amount = 0.24
    prior: Amount = 4e-4
    reflectance: Amount = 0.0
    light_balance: Amount = 0.0
    seen: Amount = 0.0


@dataclass(frozen=True)
class LandmarkRecipe:
    """The Wing loss, and how the jaw line loses weight between two angles of yaw in degrees.

    With `visible_contour` jaw-line points move to where the turned face ends, instead of staying on
    their vertices; their weight need then not fall: `contour_weight = 1`.
    """

    width: Positive = 10.0
    epsilon: Positive = 2.0
    contour_weight: Amount = 0.2
    # Up to here the fixed vertices are still where a detector sees the jaw end.
    contour_from: Amount = 20.0
    contour_to: Amount = 50.0
    visible_contour: bool = False


@dataclass(frozen=True)
class PriorRecipe:
    """Weights of the squared coefficients (METHOD eq. 13).

    Expression coefficients count from `expression_mean`, for blendshapes whose mean is not 0.
    """

    identity: Amount = 1.2
    expression: Amount = 0.8
    # Weak, as printed: albedo and light can trade places (METHOD).
    albedo: Amount = 0.001
    expression_mean: Number = 0.0


@dataclass(frozen=True)
class LossRecipe:
    """All of the loss.

    `mask` gives the weight of each face-parsing class in the pixel term, `pixel_from` the share of
    the steps after which that term counts: until then nothing is drawn, which takes half the time.
    """

    weights: LossWeights = field(default_factory=LossWeights)
    landmark: LandmarkRecipe = field(default_factory=LandmarkRecipe)
    prior: PriorRecipe = field(default_factory=PriorRecipe)
    mask: Mapping[str, Amount] = field(default_factory=dict)
    pixel_from: Share = 0.0


@dataclass(frozen=True)
class IdentityRecipe:
    """The recogniser of the identity term and the second view it is shown.

    `weights` is `embedded`, a weights file, or empty for none. `yaw`, `pitch` and `roll` are the
    largest turns from the photograph's pose in degrees, `expression` the standard deviation of what
    is added to each expression coefficient.
    """

    weights: str = "embedded"
    yaw: Amount = 45.0
    pitch: Amount = 15.0
    roll: Amount = 10.0
    # The paper gives no range for the second view: settled in METHOD.
    expression: Amount = 0.5


@dataclass(frozen=True)
class OptimiserRecipe:
    """Adam, its learning rate over time, and the limit on the gradient's norm (0: none).

    `average` is the share that a step keeps of the moving average of the weights, which validation
    and the weights for use are then taken from; 0 keeps no average.
    """

    learning_rate: Positive = 1e-4
    schedule: Literal["constant", "cosine"] = "constant"
    warmup_steps: Annotated[int, Field(ge=0)] = 0
    gradient_limit: Amount = 0.0
    # Below 1: a share of 1 would never follow the learner.
    average: Annotated[float, Field(ge=0, lt=1)] = 0.0


@dataclass(frozen=True)
class AugmentationRecipe:
    """Largest random change of a training photograph; 0 everywhere leaves it as it is.

    `shift` is a share of the side, `zoom` a share of the size, `turn` in degrees, `gain` and
    `contrast` shares of the colour values. `cover` is the share of photographs that get something
    with straight edges in front, which the mask then calls background. `style` is the share that
    looks as another camera, light and place would have it.
    """

    shift: Amount = 0.0
    zoom: Amount = 0.0
    turn: Amount = 0.0
    gain: Amount = 0.0
    contrast: Amount = 0.0
    cover: Share = 0.0
    style: Share = 0.0


@dataclass(frozen=True)
class TrainingRecipe:
    """Length of the training and when it saves, logs and validates, in steps.

    `skipped_in_a_row` is how many steps in a row may be left out, their loss not being finite,
    before the training stops.
    """

    # 10 epochs of 162,144 photographs in batches of 16, the paper's number.
    steps: Count = 101_340
    batch_size: Count = 16
    checkpoint_every: Count = 1000
    log_every: Count = 50
    validate_every: Count = 1000
    skipped_in_a_row: Count = 20

    def __post_init__(self) -> None:
        # Or steps between would be logged once before and once after a resumption.
        if self.checkpoint_every % self.log_every:
            raise FacebenchError(
                f"training.checkpoint_every {self.checkpoint_every} is no multiple of log_every",
                "the log resumes at a checkpoint",
            )


@dataclass(frozen=True)
class NamedRecipe:
    """What the recipes of all networks say.

    Attributes:
        name: of the recipe.
        kind: what it trains; of a regressor the method, as `--method` calls it.
        title: one line on it.
        flip: probability that a training photograph is mirrored.
        optimiser, augmentation, training: see there.
    """

    name: str
    kind: str = ""
    title: str = ""
    flip: Share = 0.0
    optimiser: OptimiserRecipe = field(default_factory=OptimiserRecipe)
    augmentation: AugmentationRecipe = field(default_factory=AugmentationRecipe)
    training: TrainingRecipe = field(default_factory=TrainingRecipe)

    def as_table(self) -> dict[str, Any]:
        """The recipe as nested plain values, as `recipe_from_table` takes it."""
        return asdict(self)


@dataclass(frozen=True)
class RegressorRecipe(NamedRecipe):
    """The recipe of a network that gives a face's coefficients.

    Attributes:
        renderer: draws the faces of the loss and of the pictures.
    """

    renderer: RendererRecipe = field(default_factory=RendererRecipe)

    @property
    def image_size(self) -> int:
        """Side in px of the network's input."""
        raise NotImplementedError


@dataclass(frozen=True)
class ImageRecipe(RegressorRecipe):
    """The recipe of a network that looks at the photograph itself."""

    network: NetworkRecipe = field(default_factory=NetworkRecipe)

    @property
    def image_size(self) -> int:
        """Side in px of the network's input."""
        return self.network.image_size


@dataclass(frozen=True)
class Recipe(ImageRecipe):
    """Everything that decides a weakly supervised training but its data, face model and seed."""

    kind: str = "ours"
    loss: LossRecipe = field(default_factory=LossRecipe)
    identity: IdentityRecipe = field(default_factory=IdentityRecipe)

    def __post_init__(self) -> None:
        # A weight that nothing answers to would be taken for a training that has it.
        if self.loss.weights.seen and self.network.pooling != "places":
            raise FacebenchError(
                f"recipe {self.name}: loss.weights.seen needs a network that sees landmarks",
                "set network.pooling=places, or leave the weight at 0",
            )
