"""The 52 face units under ARKit's names: their strengths, and mixtures that a face can make.

A unit is a weight from 0 to 1 without an opposite. As modes of a normal distribution they would go
negative and each side would move alone; `random_units` draws what faces do: both sides nearly
alike, one of each pair of opposites, few at a time.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .source import HumanSource

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

STRENGTH = {
    # Opens the lips by 42 mm at 1; 36 mm is what most adults reach.
    "jawOpen": 0.85,
    # The pair widens the mouth from 52 to 68 mm and bulges at 1; broad smiles widen by a quarter.
    "mouthSmileLeft": 0.8,
    "mouthSmileRight": 0.8,
    "mouthFunnel": 0.8,
    "mouthPucker": 0.85,
    # Belongs to an open jaw, whose lips it closes; alone it would drive the lower lip through the
    # upper one. Lips can follow a jaw that is open by a third.
    "mouthClose": 0.3,
    # Creases the cheeks when one side moves alone.
    "cheekSquintLeft": 0.8,
    "cheekSquintRight": 0.8,
}
"""Of a unit at weight 1, over its target's; 1 where none is given."""

_FACES: tuple[tuple[float, dict[str, float]], ...] = (
    # How often, and the mean weight of what moves; both sides of a pair are named by its stem.
    (0.24, {}),
    (0.16, {"mouthSmile": 0.55, "cheekSquint": 0.4, "eyeSquint": 0.3, "mouthUpperUp": 0.25}),
    # Teeth show: on photographs a smile is mostly open, by a tenth of the eye distance.
    (0.22, {"mouthSmile": 0.8, "cheekSquint": 0.6, "jawOpen": 0.16, "mouthUpperUp": 0.5}),
    (0.14, {"jawOpen": 0.25, "mouthFunnel": 0.2, "mouthLowerDown": 0.2}),
    (0.06, {"jawOpen": 0.6, "browInnerUp": 0.5, "browOuterUp": 0.5, "eyeWide": 0.5}),
    (0.04, {"mouthPucker": 0.55, "mouthFunnel": 0.25}),
    (0.05, {"browDown": 0.6, "eyeSquint": 0.4, "mouthPress": 0.4, "noseSneer": 0.2}),
    (0.03, {"mouthFrown": 0.6, "browInnerUp": 0.5, "mouthShrugLower": 0.3}),
    (0.03, {"noseSneer": 0.7, "mouthUpperUp": 0.5, "browDown": 0.4}),
    (0.03, {"mouthStretch": 0.5, "jawOpen": 0.15, "mouthLowerDown": 0.5}),
)
"""Kinds of faces people make before a camera; chosen, not counted."""

_SIDES, _OPPOSITES = ("Left", "Right"), (("mouthLeft", "mouthRight"), ("jawLeft", "jawRight"))
_BLINK, _LOOK_AWAY = 0.1, 0.3
_JITTER = 0.05
"""Scale of the small weights that every unit has; resting faces are never all at zero."""


def unit_offsets(source: HumanSource, kept: Ints) -> tuple[Array, tuple[str, ...]]:
    """Displacements (V, 3, 52) in decimetres of the kept vertices at weight 1, and their names."""
    files = source.face_units()
    number = np.full(int(kept.max()) + 1, -1)
    number[kept] = np.arange(len(kept))
    offsets = np.zeros((len(kept), 3, len(files)))
    for column, (name, file) in enumerate(files.items()):
        vertices, moved = source.target_on(file, number)
        offsets[vertices, :, column] = moved * STRENGTH.get(name, 1.0)
    return offsets, tuple(files)


def are_face_units(names: tuple[str, ...]) -> bool:
    """Whether a model's expressions are units under ARKit's own names (ICT-FaceKit's end in _L)."""
    return "jawOpen" in names and "mouthSmileLeft" in names


def random_units(
    random: np.random.Generator, names: tuple[str, ...], neutral: bool = True
) -> NDArray[np.float32]:
    """Weights (K,) in [0, 1] of the named units, as a face makes them.

    Args:
        random: where chance comes from.
        names: ARKit's names in the model's order; others stay 0.
        neutral: whether resting faces are among them, three in ten.
    """
    shares = np.array([share if means or neutral else 0.0 for share, means in _FACES])
    _, means = _FACES[int(random.choice(len(_FACES), p=shares / shares.sum()))]
    weights: dict[str, float] = {}
    # Every stem in the order of the names, so that a model's order decides nothing else.
    for stem in sorted({_stem(name) for name in names if _is_free(name)}):
        # Gamma: never negative, and now and then twice the usual.
        value = means.get(stem, 0.0) * random.gamma(4.0, 0.25) + random.gamma(0.5, _JITTER)
        for side in _SIDES:
            uneven = float(np.exp(0.18 * random.standard_normal()))
            weights[stem + side] = weights[stem] = min(value * uneven, 1.0)
    _add_eyes(weights, random)
    for pair in _OPPOSITES:
        weights[pair[int(random.integers(2))]] = min(float(random.gamma(0.5, 0.1)), 1.0)
    # Lips that close over an open jaw, never more than it is open.
    weights["mouthClose"] = weights.get("jawOpen", 0.0) * float(random.random() < 0.1)
    return np.array([weights.get(name, 0.0) for name in names], np.float32)


def _stem(name: str) -> str:
    return name.removesuffix("Left").removesuffix("Right")


def _is_free(name: str) -> bool:
    """Whether a unit is drawn by itself; eyes, opposites and what belongs to another are not."""
    opposites = {one for pair in _OPPOSITES for one in pair}
    bound = name in opposites or name in ("mouthClose", "tongueOut")
    return not bound and not name.startswith(("eyeLook", "eyeBlink"))


def _add_eyes(weights: dict[str, float], random: np.random.Generator) -> None:
    """Gaze of both eyes together, lids that go with it, and now and then a blink."""
    across, up = random.normal(0.0, _LOOK_AWAY, 2).clip(-1.0, 1.0)
    # The subject's left eye looks out where the right one looks in.
    for side, outward in (("Left", across), ("Right", -across)):
        weights[f"eyeLook{'Out' if outward > 0 else 'In'}{side}"] = abs(float(outward))
        weights[f"eyeLook{'Up' if up > 0 else 'Down'}{side}"] = abs(float(up))
    kind = random.random()
    # A whole blink, a wink for one in ten of them, or lids a little lower than the template's.
    for side in _SIDES:
        lids = 0.15 * float(random.random())
        winks = kind < 0.1 * _BLINK and side == "Right"
        weights[f"eyeBlink{side}"] = (
            lids if kind > _BLINK or winks else float(random.uniform(0.6, 1))
        )
