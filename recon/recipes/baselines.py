"""Recipes of the methods that `ours` is compared with, and that do not learn as it does."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...errors import FacebenchError
from ..files.records import Amount, Count, Positive
from .regressor import ImageRecipe, NetworkRecipe, RegressorRecipe


@dataclass(frozen=True)
class Asymmetry:
    """What a coefficient costs where it came out too large, and where too small, for its label.

    Size is distance from the mean face. Tran et al. take 1 and 3; 1 and 1 is the Euclidean loss.
    """

    over: Positive = 1.0
    under: Positive = 3.0


@dataclass(frozen=True)
class LabelWeights:
    """Weights of the terms of a loss on labels, one for each part of the coefficients."""

    identity: Amount = 1.0
    expression: Amount = 1.0
    albedo: Amount = 1.0
    pose: Amount = 1.0
    light: Amount = 1.0


@dataclass(frozen=True)
class LabelledRecipe(ImageRecipe):
    """The recipe of a network that is shown coefficients.

    They hold for the photograph as it is stored, so no augmentation may move it.
    """

    weights: LabelWeights = field(default_factory=LabelWeights)

    def __post_init__(self) -> None:
        # Pose labels would be wrong after a shift, all of them after a flip: colours may change.
        if moving := _moving(self):
            raise FacebenchError(
                f"recipe {self.name}: {moving} moves the photograph from its label", "give 0"
            )


@dataclass(frozen=True)
class TranRecipe(LabelledRecipe):
    """Labels fitted to photographs and pooled per person (Tran et al. 2017).

    Attributes:
        asymmetry: of the loss on identity and albedo.
    """

    # The name under which `files.py` finds what trains it; files of recipes state it.
    kind: str = "tran"
    asymmetry: Asymmetry = field(default_factory=Asymmetry)


@dataclass(frozen=True)
class RefiningNetwork(NetworkRecipe):
    """A regressor that looks at its own render `passes - 1` times."""

    passes: Count = 3


@dataclass(frozen=True)
class RichardsonRecipe(LabelledRecipe):
    """Random renders and their coefficients, refined in several passes (Richardson et al. 2016)."""

    kind: str = "richardson"
    network: RefiningNetwork = field(default_factory=RefiningNetwork)


@dataclass(frozen=True)
class FeatureNetwork:
    """A frozen recogniser and landmark detector, and the decoder that learns.

    Attributes:
        recogniser: `embedded`, or a weights file.
        landmarker: `embedded`, or a weights file; finds the points that a face is aligned by, and
            its pose.
        image_size: side in px of the photographs.
        width: of the decoder's hidden layers.
        depth: how many of them.
        output_scale: what one unit of an output means, as in `OutputScale`.
    """

    recogniser: str = "embedded"
    landmarker: str = "embedded"
    image_size: Count = 224
    width: Count = 1024
    depth: Count = 2
    output_scale: Positive = 1.0


@dataclass(frozen=True)
class RandomViews:
    """The random views in which a predicted face is drawn.

    Attributes:
        count: views of each face.
        yaw, pitch, roll: largest turns from the front, degrees.
    """

    count: Count = 3
    yaw: Amount = 45.0
    pitch: Amount = 15.0
    roll: Amount = 10.0


@dataclass(frozen=True)
class FeatureWeights:
    """Weights of the terms: features of renders, distribution over the batch, loop-back."""

    identity: Amount = 1.0
    distribution: Amount = 1.0
    loopback: Amount = 1.0


@dataclass(frozen=True)
class GenovaRecipe(RegressorRecipe):
    """Coefficients from the features of a frozen recogniser (Genova et al. 2018)."""

    kind: str = "genova"
    network: FeatureNetwork = field(default_factory=FeatureNetwork)
    views: RandomViews = field(default_factory=RandomViews)
    weights: FeatureWeights = field(default_factory=FeatureWeights)

    @property
    def image_size(self) -> int:
        """Side in px of the photographs."""
        return self.network.image_size


def _moving(recipe: RegressorRecipe) -> str:
    """The first setting that moves a photograph, or nothing."""
    change = recipe.augmentation
    settings = {
        # `cover` is not among them: what is in front of a face moves none of it.
        "flip": recipe.flip,
        "augmentation.shift": change.shift,
        "augmentation.zoom": change.zoom,
        "augmentation.turn": change.turn,
    }
    return next((name for name, value in settings.items() if value), "")
