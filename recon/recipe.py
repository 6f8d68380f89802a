"""Training recipes as frozen, typed records whose defaults are the paper's."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from ..errors import FacebenchError

Record = TypeVar("Record")


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

    `pooling` is `average` as in the paper, or `grid`: the cells of the last feature map are kept
    apart, so that the head sees where things are.
    """

    architecture: str = "resnet50"
    width: int = 64
    image_size: int = 224
    pooling: str = "average"
    precision: str = "auto"
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
    `reflectance`, the variance of the albedo over the skin; `light_balance`, the light's colour.
    """

    pixel: float = 3.0
    landmark: float = 2.4e-3
    landmark_shape: float = 0.0
    identity: float = 0.24
    prior: float = 4e-4
    reflectance: float = 0.0
    light_balance: float = 0.0


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
    """Weights of the squared coefficients (METHOD eq. 13)."""

    identity: float = 1.2
    expression: float = 0.8
    albedo: float = 0.001


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
    `contrast` shares of the colour values.
    """

    shift: float = 0.0
    zoom: float = 0.0
    turn: float = 0.0
    gain: float = 0.0
    contrast: float = 0.0


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
class Recipe:
    """Everything that decides a training but its data, face model and seed.

    `flip` is the probability that a training photograph is mirrored; the other fields are explained
    with their types.
    """

    name: str
    title: str = ""
    flip: float = 0.0
    network: NetworkRecipe = field(default_factory=NetworkRecipe)
    renderer: RendererRecipe = field(default_factory=RendererRecipe)
    loss: LossRecipe = field(default_factory=LossRecipe)
    identity: IdentityRecipe = field(default_factory=IdentityRecipe)
    optimiser: OptimiserRecipe = field(default_factory=OptimiserRecipe)
    augmentation: AugmentationRecipe = field(default_factory=AugmentationRecipe)
    training: TrainingRecipe = field(default_factory=TrainingRecipe)

    def __post_init__(self) -> None:
        for where, value, known in (
            ("network.architecture", self.network.architecture, ARCHITECTURES),
            ("network.pooling", self.network.pooling, POOLINGS),
            ("network.precision", self.network.precision, PRECISIONS),
            ("renderer.kind", self.renderer.kind, RENDERERS),
            ("optimiser.schedule", self.optimiser.schedule, SCHEDULES),
        ):
            if value not in known:
                raise FacebenchError(
                    f"recipe {self.name}: {where} is '{value}'", f"known are {', '.join(known)}"
                )
        for where, number in _positive_numbers(self):
            if number <= 0:
                raise FacebenchError(f"recipe {self.name}: {where} is {number}", "give more than 0")
        check_average(self.name, self.optimiser)
        check_flip(self.name, self.flip)
        if self.training.checkpoint_every % self.training.log_every:
            raise FacebenchError(
                f"recipe {self.name}: training.checkpoint_every is no multiple of log_every",
                "the log resumes at a checkpoint",
            )

    def as_table(self) -> dict[str, Any]:
        """The recipe as nested plain values, as `from_table` takes it."""
        return asdict(self)

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> Recipe:
        """The recipe of nested plain values; unknown keys and wrong types are refused."""
        return build_record(cls, table, f"recipe {table.get('name', '')}".strip())


ARCHITECTURES = ("resnet18", "resnet34", "resnet50", "resnet101")
POOLINGS = ("average", "grid")
PRECISIONS = ("auto", "float32", "bfloat16")
RENDERERS = ("softras", "outline")
SCHEDULES = ("constant", "cosine")


def check_average(name: str, recipe: OptimiserRecipe) -> None:
    """Refuse an average that keeps everything or less than nothing."""
    if not 0.0 <= recipe.average < 1.0:
        raise FacebenchError(
            f"recipe {name}: optimiser.average is {recipe.average}", "give 0 up to below 1"
        )


def check_flip(name: str, flip: float) -> None:
    """Refuse what is no probability."""
    if not 0.0 <= flip <= 1.0:
        raise FacebenchError(f"recipe {name}: flip is {flip}", "give 0 to 1")


def build_record(kind: type[Record], table: Mapping[str, Any], where: str) -> Record:
    """A recipe's record of nested plain values; unknown keys and wrong types are refused.

    Args:
        kind: the dataclass.
        table: its values by field name.
        where: what they describe, for the message.
    """
    hints = get_type_hints(kind)
    for key in table:
        if key not in hints:
            near = difflib.get_close_matches(key, hints, n=1)
            raise FacebenchError(
                f"{where}: unknown key '{key}'",
                f"did you mean '{near[0]}'?" if near else f"known are {', '.join(hints)}",
            )
    values = {key: _convert(hints[key], value, f"{where}: {key}") for key, value in table.items()}
    return kind(**values)


def _convert(hint: Any, value: Any, where: str) -> Any:
    if is_dataclass(hint) and isinstance(hint, type) and isinstance(value, Mapping):
        return build_record(hint, value, where)
    if get_origin(hint) is not None and isinstance(value, Mapping):
        inner = get_args(hint)[1]
        return {key: _convert(inner, item, f"{where}.{key}") for key, item in value.items()}
    if hint is float and type(value) in (int, float):
        return float(value)
    if type(value) is hint:
        return value
    expected = getattr(hint, "__name__", "table")
    raise FacebenchError(f"{where} is {value!r}", f"expected a value of type {expected}")


def _positive_numbers(recipe: Recipe) -> Iterable[tuple[str, float]]:
    yield "network.width", recipe.network.width
    yield "network.image_size", recipe.network.image_size
    yield "renderer.sigma", recipe.renderer.sigma
    yield "renderer.gamma", recipe.renderer.gamma
    yield "loss.landmark.width", recipe.loss.landmark.width
    yield "loss.landmark.epsilon", recipe.loss.landmark.epsilon
    yield "optimiser.learning_rate", recipe.optimiser.learning_rate
    for item in fields(recipe.training):
        yield f"training.{item.name}", getattr(recipe.training, item.name)
