"""Made-up methods of known quality: what an audit measures the protocols with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...recon.mesh.record import Mesh
from ...recon.morphable.model import MorphableModel
from ..surface.triangles import Float64Array


@dataclass(frozen=True)
class Grade:
    """A method that knows a share of the truth and adds what is not true.

    Attributes:
        name: as the page calls it.
        kept: share of the true identity coefficients; below 1 the face is drawn to the mean, as
            a regressor's is that has not learned enough.
        added: standard deviation of what is added to each coefficient, as of a method that
            overfits.
    """

    name: str
    kept: float
    added: float

    def predict(
        self, model: MorphableModel, identity: Float64Array, generator: np.random.Generator
    ) -> Mesh:
        """A person's neutral face by this method, mm, with the model's landmarks."""
        wrong = generator.standard_normal(len(identity))
        return model.mesh(identity=self.kept * identity + self.added * wrong)


GRADES = (
    Grade("the model's best", 1.0, 0.0),
    Grade("three quarters", 0.75, 0.0),
    Grade("half", 0.5, 0.0),
    Grade("a little off", 1.0, 0.35),
    Grade("half and off", 0.5, 0.35),
    Grade("mean face", 0.0, 0.0),
    Grade("another person", 0.0, 1.0),
)
"""From the best that the model can do to a stranger: by too little, by too much, and by both."""
