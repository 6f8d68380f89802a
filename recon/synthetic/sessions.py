"""One person photographed several times, only the pose, the expression or the light changing."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from ..face.coefficients import Coefficients
from .appearance import (
    ambient,
    directional_light,
    random_albedo,
    random_angles,
    random_appearance,
    random_light,
    standard_normal,
    strong_expression,
    without_headwear,
)
from .faces import LabelledFace, Sampler, project_landmarks
from .photograph import random_stream, room
from .scene import PosedSubject

VARIATIONS = ("pose", "expression", "light")

_DEGREES = ((0.0, -32.0, 4.0), (12.0, 24.0, -5.0), (-10.0, 42.0, 0.0), (-14.0, -18.0, 8.0))
"""Pitch, yaw and roll of the first poses; further ones are drawn."""


@dataclass(frozen=True, eq=False)
class Person:
    """Who sits.

    Attributes:
        name: `sNNNNNN`.
        start: coefficients of a neutral face from the front under even light, a batch of one.
        posed: dressed, without hat and glasses.
    """

    name: str
    start: Coefficients
    posed: PosedSubject


class CaptureSession(Sampler):
    """Draws people of a model; each depends on the seed and its number alone."""

    def person(self, number: int) -> Person:
        """Somebody."""
        # The streams keep their first name: another one would draw other people.
        stream = random_stream(self.seed, "sittings", number)
        model = self.model
        identity = standard_normal(stream, model.identity_basis.shape[2])
        albedo = random_albedo(stream, model)
        # Even light and no expression: each variation is measured from here.
        neutral = np.zeros(model.expression_basis.shape[2], np.float32)
        pose = self._pose(stream, torch.zeros(3))
        light = directional_light(torch.tensor([0.0, 0.3, 0.954]), torch.full((3,), 0.45))
        even = light + ambient(torch.full((3,), 0.5))
        start = Coefficients(
            identity=torch.from_numpy(identity)[None],
            expression=torch.from_numpy(neutral)[None],
            albedo=torch.from_numpy(albedo)[None],
            pose=pose[None],
            light=even[None],
        )
        return Person(f"s{number:06d}", start, self._posed_subject(start, stream))

    def vary(self, person: Person, variation: str, number: int) -> Coefficients:
        """The person's coefficients with one of `VARIATIONS` changed, as a batch of one."""
        stream = random_stream(self.seed, "sittings", person.name, variation, number)
        if variation == "expression":
            changed = strong_expression(stream, self.model)
            return replace(person.start, expression=torch.from_numpy(changed)[None])
        if variation == "light":
            return replace(person.start, light=random_light(stream)[None])
        pose = self._pose(stream, self._angles(stream, number))
        return replace(person.start, pose=pose[None])

    def photograph(self, person: Person, coefficients: Coefficients, frame: str) -> LabelledFace:
        """The person under some coefficients, in front of the same wall as always."""
        # Clothing stays fitted to the neutral face, as it does on a person who smiles.
        posed = replace(person.posed, vertices=self._vertices(coefficients))
        size, pose = (self.image_size, self.image_size), coefficients.pose[0]
        layer = self._renderer.draw(posed, pose, coefficients.light[0], size)
        # The wall has its own stream, so that it stays while everything else varies.
        wall = room(random_stream(self.seed, "sittings", person.name, "wall"), size)
        image = (layer.over(wall).clip(0, 1) * 255 + 0.5).astype(np.uint8)
        landmarks = project_landmarks(self.model, posed.vertices, pose, size)
        vector = coefficients.vector()[0].numpy()
        name = f"{person.name}-{frame}"
        return LabelledFace(name, person.name, image, landmarks, layer.classes, vector)

    def _angles(self, stream: np.random.Generator, number: int) -> torch.Tensor:
        # Fixed poses first: a few photographs of each person should cover both sides.
        if number < len(_DEGREES):
            return torch.from_numpy(np.radians(_DEGREES[number])).float()
        return random_angles(stream)

    def _posed_subject(self, start: Coefficients, stream: np.random.Generator) -> PosedSubject:
        vertices = self._vertices(start)
        albedo = self._albedo(start)
        appearance = without_headwear(random_appearance(stream))
        clothing = self._renderer.clothed_model.fit_clothing(vertices, albedo, appearance)
        return PosedSubject(vertices, albedo, clothing, appearance)
