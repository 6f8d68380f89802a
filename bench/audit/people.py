"""People made for an audit alone: a shape that the model does not span, and one scan of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...recon.mesh import Mesh
from ...recon.morphable.model import MorphableModel
from ...recon.synthetic.appearance import required_landmarks, standard_normal
from ...recon.synthetic.photograph import random_stream
from ..synthetic.scan import DETAIL_MM, DetailSampler, random_placement, scan_surface
from .truth import PersonTruth

SCAN = "scan"
"""Name of the one scan that a made person has."""
LEAST_DETAIL_MM, MOST_DETAIL_MM = 0.4, 1.6
"""Root mean square of what the model lacks, drawn evenly in the logarithm for each person: with the
same detail for everybody, the truth of the best prediction would not vary over people at all."""


@dataclass(frozen=True, eq=False)
class AuditedPerson:
    """Who is measured.

    Attributes:
        truth: what is true of the person.
        scan_name: which of the truth's placements the scan has.
        scan: in mm, in its own space.
    """

    truth: PersonTruth
    scan_name: str
    scan: Mesh


class PeopleMaker:
    """Draws people of one face model, each by a random stream of its own name."""

    def __init__(self, model: MorphableModel, seed: int) -> None:
        self._model, self._seed = model, seed
        self._detail = DetailSampler(model)

    def person(self, number: int) -> AuditedPerson:
        """The person of a number, whoever else was drawn before; about a second of one core.

        Raises:
            FacebenchError: the model lacks landmarks.
        """
        model, subject = self._model, f"person_{number:02d}"
        stream = random_stream(self._seed, "audit", model.digest, subject)
        identity = standard_normal(stream, model.identity_basis.shape[2]).astype(np.float64)
        low, high = np.log([LEAST_DETAIL_MM, MOST_DETAIL_MM])
        size = float(np.exp(stream.uniform(low, high)))
        detail = self._detail.field(stream) * (size / DETAIL_MM)
        vertices = np.asarray(model.mesh(identity=identity).vertices, np.float64) + detail
        landmarks = np.asarray(required_landmarks(model, vertices), np.float64)
        surface = scan_surface(stream, vertices, model.triangles, landmarks)
        placement = random_placement(stream)
        truth = PersonTruth(subject, vertices, identity, {SCAN: placement}, landmarks)
        points = placement.apply(np.asarray(surface.vertices, np.float64))
        scan = Mesh(points, surface.triangles)
        return AuditedPerson(truth, SCAN, scan)
