"""`richardson`: random renders and their coefficients, refined on the network's own render."""

from __future__ import annotations

from ..method.interface import MethodCard, MethodOptions
from ..method.model_faces import RegressedFaces, regressed_faces

CARD = MethodCard(
    name="richardson",
    title="Supervised by random renders, refined in several passes on its own render",
    paper="Richardson et al., 3DV 2016",
    licence="MIT; weights under the terms of the face model they were trained with",
    expressions=("neutral", "predicted"),
    own="code, network and weights of the levels; synthetic supervision, refinement on the own "
    "render and the loss on the shape are the publication's. Recipe 'richardson' lists the "
    "differences",
    seen="what its checkpoint was trained on: synthetic faces with their true coefficients, the "
    "only method here that is shown them. On other faces of 'facebench synth' with the same face "
    "model it is at home, on photographs it is not",
    state="to be trained: train --recipe richardson, or richardson-ict on a small machine",
)


def build(options: MethodOptions) -> RegressedFaces:
    """The regressor of a checkpoint."""
    return regressed_faces(CARD, options)
