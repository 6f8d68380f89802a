"""`tran`: a regressor of faces that were fitted to photographs and pooled per person."""

from __future__ import annotations

from ..method.interface import MethodCard, MethodOptions
from ..method.model_faces import RegressedFaces, regressed_faces

CARD = MethodCard(
    name="tran",
    title="Regression of faces fitted to several photographs of a person and pooled",
    paper="Tran et al., CVPR 2017",
    licence="MIT; weights under the terms of the face model they were trained with",
    expressions=("neutral", "predicted"),
    own="code, the fits that make the labels, their weights in the pool; pooled labels, network "
    "and asymmetric loss are the publication's. Recipe 'tran' lists the differences",
    seen="what its checkpoint was trained on: photographs with landmarks, masks and the names of "
    "the people. On faces of 'facebench synth' with the same face model its labels are flattered: "
    "that model, light and renderer are the ones that are fitted",
    state="to be trained: train --recipe tran, or tran-ict on a small machine",
)


def build(options: MethodOptions) -> RegressedFaces:
    """The regressor of a checkpoint."""
    return regressed_faces(CARD, options)
