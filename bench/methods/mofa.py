"""`mofa`: an encoder with the face model as its decoder, learning from pixels and landmarks."""

from __future__ import annotations

from ..method.interface import MethodCard, MethodOptions
from ..method.model_faces import RegressedFaces, regressed_faces

CARD = MethodCard(
    name="mofa",
    title="MoFA: a regressor whose decoder is the face model, from robust pixels and landmarks",
    paper="Tewari et al., ICCV 2017",
    licence="MIT; weights under the terms of the face model they were trained with",
    expressions=("neutral", "predicted"),
    own="code, network and weights of the levels; the idea, the robust colour norm, landmarks and "
    "prior are the publication's. Recipe 'mofa' lists the differences",
    seen="what its checkpoint was trained on: photographs and landmarks, no mask and no 3D label. "
    "On faces of 'facebench synth' with the same face model and renderer its numbers are flattered",
    state="to be trained: train --recipe mofa, or mofa-embedded or mofa-ict on a small machine",
)


def build(options: MethodOptions) -> RegressedFaces:
    """The regressor of a checkpoint."""
    return regressed_faces(CARD, options)
