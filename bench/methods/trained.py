"""The methods of trained regressors: one card each, and one way to build them from a checkpoint."""

from __future__ import annotations

from ..method.interface import MethodCard, MethodOptions
from ..method.model_faces import RegressedFaces


class TrainedMethod:
    """What a module of its own would hold: `CARD` and `build`.

    Args:
        card: its name is the `kind` of the recipes that train it.
        embedded: whether the package holds weights of it, for its own face models.
    """

    def __init__(self, card: MethodCard, embedded: bool = False) -> None:
        self.CARD, self._embedded = card, embedded

    def build(self, options: MethodOptions) -> RegressedFaces:
        """The regressor of a checkpoint, by default the embedded one where there is one."""
        return RegressedFaces(self.CARD, options, self._embedded)


_GENOVA = MethodCard(
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
genova = TrainedMethod(_GENOVA)

_MOFA = MethodCard(
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
mofa = TrainedMethod(_MOFA)

_OURS = MethodCard(
    name="ours",
    title="Weakly supervised regression of a morphable model with a multi-level loss",
    paper="Computer Systems & Applications 29(11), 2020",
    licence="MIT; weights under the terms of the face model they were trained with",
    expressions=("neutral", "predicted"),
    own="code and embedded weights, written and trained here; method and loss are the "
    "publication's, whose results were reached with other weights, data and face model",
    seen="embedded weights: photographs of 16,000 synthetic people of the embedded face model, or "
    "of 10,000 of the human one, with landmarks and masks. 'facebench synth' draws other people of "
    "the same models, with the same renderer. No photograph of MICC. Other weights: what they were "
    "trained on",
    state="trained for the embedded and the human face model; for others: train --recipe ours",
)
ours = TrainedMethod(_OURS, embedded=True)

_RICHARDSON = MethodCard(
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
richardson = TrainedMethod(_RICHARDSON)

_TRAN = MethodCard(
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
tran = TrainedMethod(_TRAN)
