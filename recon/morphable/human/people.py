"""People drawn at random: ancestries, sexes, ages, build and features of MakeHuman's heads.

A person is base + Σ ancestry·sex·age target + Σ sex·age·muscle·weight target + sliders, all linear
in weights. The proportions of the draw are chosen, not measured: no census of faces was at hand.
What was held against other data are the spread of shapes (the deviation of the sliders, against
ICT-FaceKit's people) and the size (`MM_PER_DECIMETRE`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .source import HumanSource

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

SLIDER_DEVIATION = 0.2
"""Of a slider, whose full travel is 1: 0.16 spreads faces as ICT-FaceKit's people do (2.7 mm RMS),
0.24 fitted photographs better; 0.5 gives caricatures."""

_MOST = 2.5
"""Deviations at which a slider is cut: rarer features would decide the principal modes."""

ANCESTRIES = ("african", "asian", "caucasian")
SEXES = ("female", "male")
AGES = ("baby", "child", "young", "old")
_AGE_ANCHORS = (0.0, 0.1875, 0.5, 1.0)
"""MakeHuman's age of each: about 1, 10, 25 and 90 years."""

_BUILDS = ("min", "average", "max")

_FOLDERS = (
    *("head", "forehead", "eyebrows", "eyes", "nose", "cheek", "mouth", "chin", "ears", "neck"),
)

_STRENGTH = {
    # The nose was the largest residual of fits to other people (1.9 mm): let it vary more.
    "nose": 1.3,
    # Jaws came out too broad and too alike in what they did; ears move far and matter little.
    "ears": 0.7,
    "neck": 0.5,
}
"""Of a folder's sliders, over the common deviation."""

_STILL = re.compile(
    # These move or turn the head as a whole, which is pose, or act below the cut.
    r"head-(trans|angle)|neck-trans|measure-|"
    # Fantasy: pointed ears, and pushes of the lids that pierce the eyeballs.
    r"ear-shape-pointed|eye-push"
)

_CLASS_STRENGTH = 0.35
"""Of targets without an opposite (a square head, a round ear): they are whole shapes, and several
at once; at full strength they would outvote all sliders."""

_AXES = (
    ("decr", "incr"),
    ("down", "up"),
    ("in", "out"),
    ("backward", "forward"),
    ("concave", "convex"),
    ("compress", "uncompress"),
)

_SIDE_DEVIATION = 0.25
"""Of a slider's difference between left and right, over its own deviation: faces are a little
uneven everywhere."""

_ASYMMETRY = 0.12
"""Deviation of MakeHuman's targets of asymmetry, which are strong."""


@dataclass(frozen=True, eq=False)
class Slider:
    """A feature with two directions, or one where `low` is empty.

    Attributes:
        low, high: files of the targets towards either end, left and right together.
        strength: deviation over the common one.
    """

    low: tuple[str, ...]
    high: tuple[str, ...]
    strength: float


def sliders(source: HumanSource) -> tuple[Slider, ...]:
    """All sliders of the head, in the order of their names."""
    found: dict[tuple[str, str], dict[str, list[str]]] = {}
    for folder in _FOLDERS:
        for name, file in source.targets(folder).items():
            if _STILL.search(name):
                continue
            # Left and right are one feature; a little asymmetry is drawn apart.
            both = re.sub(r"^[lr]-", "", name)
            root, _, end = both.rpartition("-")
            axis = next((axis for axis in _AXES if end in axis), None)
            # One root may carry several axes (trans-in/out and trans-up/down).
            key = (f"{folder}/{root if axis else both}", axis[0] if axis else "")
            found.setdefault(key, {}).setdefault(end if axis else "", []).append(file)
    return tuple(_slider(*item) for item in sorted(found.items()))


def _slider(key: tuple[str, str], files: dict[str, list[str]]) -> Slider:
    path, low = key
    strength = _STRENGTH.get(path.partition("/")[0], 1.0)
    if not low:
        return Slider((), tuple(sorted(files[""])), strength * _CLASS_STRENGTH)
    high = next(high for first, high in _AXES if first == low)
    return Slider(tuple(sorted(files.get(low, []))), tuple(sorted(files.get(high, []))), strength)


class Population:
    """Targets as rows of one matrix, and people as weights on them.

    Args:
        source: of the targets.
        kept: (V,) vertices of the base mesh that a head keeps.
    """

    def __init__(self, source: HumanSource, kept: Ints) -> None:
        self._rows: dict[str, int] = {}
        self._sliders = sliders(source)
        self._asymmetry = tuple(
            file for name, file in source.targets("asym").items() if "asymm-" not in name
        )
        self._macro = source.targets("macrodetails")
        files = [file for s in self._sliders for file in (*s.low, *s.high)]
        files += [*self._asymmetry, *self._macro.values()]
        number = np.full(int(kept.max()) + 1, -1)
        number[kept] = np.arange(len(kept))
        self.offsets = np.zeros((len(files), len(kept), 3))
        """(T, V, 3) decimetres of every target."""
        for row, file in enumerate(files):
            vertices, moved = source.target_on(file, number)
            self.offsets[row, vertices] = moved
            self._rows[file] = row

    def person(self, random: np.random.Generator) -> Array:
        """Weights (T,) of a person's targets."""
        weights = np.zeros(len(self._rows))
        male, age = _random_sex(random), _random_age(random)
        self._add_macro(weights, random, male, age)
        for slider in self._sliders:
            self._add_slider(weights, slider, random)
        for file in self._asymmetry:
            # One direction each; its opposite is a target of its own.
            weights[self._rows[file]] += _ASYMMETRY * abs(_normal(random))
        return weights

    def shape(self, base: Array, weights: Array) -> Array:
        """Vertices (V, 3) in decimetres of weights (T,) on base vertices (V, 3)."""
        return base + np.tensordot(weights, self.offsets, axes=1)

    def _add_macro(
        self, weights: Array, random: np.random.Generator, male: float, age: float
    ) -> None:
        # A mixture of all three with one in front: most people are mostly of one ancestry.
        ancestry = random.dirichlet((0.6, 0.6, 0.6))
        muscle, weight = random.normal((0.45 + 0.15 * male, 0.5), 0.16).clip(0.0, 1.0)
        stages = _between(age, _AGE_ANCHORS)
        builds = [_between(value, (0.0, 0.5, 1.0)) for value in (muscle, weight)]
        for sex, sex_share in zip(SEXES, (1.0 - male, male), strict=True):
            for stage, stage_share in zip(AGES, stages, strict=True):
                share = sex_share * stage_share
                for name, part in zip(ANCESTRIES, ancestry, strict=True):
                    self._add(weights, f"{name}-{sex}-{stage}", share * part)
                for i, more in enumerate(_BUILDS):
                    for j, heavy in enumerate(_BUILDS):
                        name = f"universal-{sex}-{stage}-{more}muscle-{heavy}weight"
                        self._add(weights, name, share * builds[0][i] * builds[1][j])

    def _add(self, weights: Array, name: str, share: float) -> None:
        weights[self._rows[self._macro[name]]] += share

    def _add_slider(self, weights: Array, slider: Slider, random: np.random.Generator) -> None:
        deviation = SLIDER_DEVIATION * slider.strength
        common = _normal(random)
        for side in "lr":
            value = deviation * (common + _SIDE_DEVIATION * _normal(random))
            files = slider.high if value > 0 or not slider.low else slider.low
            for file in files:
                sided = re.match(r"[lr]-", file.rpartition("/")[2])
                # A feature of the middle has one value; it takes that of the first side.
                if (sided or " ")[0][0] == side or (sided is None and side == "l"):
                    weights[self._rows[file]] += abs(value)


def _normal(random: np.random.Generator) -> float:
    return float(np.clip(random.standard_normal(), -_MOST, _MOST))


def _random_sex(random: np.random.Generator) -> float:
    """Share of the male targets: near 0 or near 1. Drawn evenly, every face would be between."""
    away = abs(float(random.normal(0.0, 0.12)))
    return float(np.clip(away if random.random() < 0.5 else 1.0 - away, 0.0, 1.0))


def _random_age(random: np.random.Generator) -> float:
    """MakeHuman's age: one in fourteen a child of six to fourteen, a quarter beyond fifty.

    Children are few because their size decides the first mode, and with it how far the size of an
    adult may stray.
    """
    kind = random.random()
    if kind < 0.07:
        return float(random.uniform(0.12, 0.28))
    if kind < 0.75:
        return float(random.uniform(0.36, 0.66))
    return float(random.uniform(0.66, 0.97))


def _between(value: float, anchors: tuple[float, ...]) -> Array:
    """Shares of the anchors between which a value lies; they sum to 1."""
    points = np.array(anchors)
    return np.array([float(np.interp(value, points, row)) for row in np.eye(len(points))])
