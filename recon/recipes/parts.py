"""What recipes are made of, as frozen, typed records whose defaults are the paper's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


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
