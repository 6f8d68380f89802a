"""What hides a face hides a quarter of it, and the skin behind is known."""

from __future__ import annotations

import numpy as np
import pytest

from facebench.bench.figures.occlusion import face_classes
from facebench.recon.morphable.load import load_model
from facebench.recon.morphable.model import MorphableModel
from facebench.recon.synthetic.faces import (
    HIDDEN,
    CoveredFace,
    FaceSampler,
    cover,
    hidden_vertices,
    seen_vertices,
)


@pytest.fixture(scope="module")
def model() -> MorphableModel:
    return load_model("embedded")


@pytest.fixture(scope="module")
def covered(model: MorphableModel) -> CoveredFace:
    return cover(FaceSampler(model, 4, 96).face(0, 0), face_classes(), 0)


def test_a_quarter_of_the_face_is_hidden(covered: CoveredFace) -> None:
    face = face_classes()[covered.face.mask]
    assert covered.covered[face].mean() == pytest.approx(HIDDEN, abs=0.01)
    assert (covered.mask[covered.covered] == 0).all()
    kept = ~covered.covered
    assert np.array_equal(covered.image[kept], covered.face.image[kept])
    assert np.array_equal(covered.mask[kept], covered.face.mask[kept])


def test_hidden_and_seen_skin_are_apart(model: MorphableModel, covered: CoveredFace) -> None:
    on = face_classes()
    hidden, seen = (find(model, covered, on) for find in (hidden_vertices, seen_vertices))
    assert hidden.any() and seen.any() and not (hidden & seen).any()
    assert 0.1 < hidden.sum() / (hidden.sum() + seen.sum()) < 0.45
