"""`ours`: the weakly supervised regressor with the multi-level loss (METHOD)."""

from __future__ import annotations

from ..method.interface import MethodCard, MethodOptions
from ..method.model_faces import RegressedFaces, regressed_faces

CARD = MethodCard(
    name="ours",
    title="Weakly supervised regression of a morphable model with a multi-level loss",
    paper="Computer Systems & Applications 29(11), 2020",
    licence="MIT; weights under the terms of the face model they were trained with",
    expressions=("neutral", "predicted"),
    own="code and embedded weights, written and trained here; method and loss are the "
    "publication's, whose results were reached with other weights, data and face model",
    seen="embedded weights: photographs of 16,000 synthetic people of the embedded face model, "
    "with landmarks and masks. 'facebench synth' draws other people of the same model, with the "
    "same renderer. No photograph of MICC. Other weights: what they were trained on",
    state="trained for the embedded face model; for others: train --recipe ours",
)


def build(options: MethodOptions) -> RegressedFaces:
    """The regressor of a checkpoint, by default the embedded one of the embedded model."""
    from ...recon.regressors.checkpoint import embedded_weights

    return regressed_faces(CARD, options, embedded_weights())
