"""`genova`: the features of a frozen recogniser, decoded to a face."""

from __future__ import annotations

from ..method.interface import MethodCard, MethodOptions
from ..method.model_faces import RegressedFaces, regressed_faces

CARD = MethodCard(
    name="genova",
    title="Features of a frozen recogniser decoded to a face, without labels or pixels",
    paper="Genova et al., CVPR 2018",
    licence="MIT; weights under the terms of the face model and of the recogniser inside them",
    own="code, decoder and weights of the levels; features, batch distribution, loop-back and "
    "random views are the publication's. Recipe 'genova' lists the differences",
    seen="what its checkpoint was trained on: photographs without labels, aligned by landmarks; "
    "and what its recogniser was trained on, which may be people that are measured",
    leakage="a public recogniser may have seen the people of a test set; the embedded one has not",
    state="to be trained: train --recipe genova, or genova-ict on a small machine",
)


def build(options: MethodOptions) -> RegressedFaces:
    """The decoder of a checkpoint, with the recogniser and landmark detector inside it."""
    return regressed_faces(CARD, options)
