"""Learning who somebody is, from several photographs of each of many people."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ....errors import FacebenchError
from ...export.sheet import to_pictures
from ...network.iresnet import IResNet
from ...recipes.vision import RecogniserRecipe
from ...vision.recognition import align_faces, five_points
from ..data.trainee import Photographs
from ..folder import Row
from ..workers.peers import ALONE, Peers
from .margin import MarginHead
from .reading import MEASURED, in_batches
from .source import numbered
from .task import Learner, Levels
from .verification import separation, verification_accuracy

_SHOWN_PEOPLE, _SHOWN_EACH = 6, 4


class RecogniserLearner(Learner):
    """IResNet on aligned faces and the angular margin between people."""

    def __init__(self, recipe: RecogniserRecipe, people: int, peers: Peers = ALONE) -> None:
        super().__init__()
        size = recipe.network
        self.point_noise = recipe.point_noise
        self.network = IResNet(size.architecture, size.outputs, size.width, size.image_size)
        margin = recipe.margin
        self.head = MarginHead(size.outputs, people, margin.angle, margin.scale, peers.mean)

    def forward(
        self, images: Tensor, landmarks: Tensor, masks: Tensor, people: Tensor, noise: Tensor
    ) -> Levels:
        """The margin loss."""
        points = five_points(landmarks)
        deviation = self.point_noise * images.shape[2] / self.network.image_size / 2
        faces = self.aligned(images, points + deviation * noise)
        return {"margin": self.head(self.network(faces), people)}

    def aligned(self, images: Tensor, points: Tensor) -> Tensor:
        """Faces on the template, in [-1, 1]."""
        return align_faces(images, points, self.network.image_size) * 2.0 - 1.0

    def weights(self) -> dict[str, Tensor]:
        """State of the network, without the people it was trained on."""
        return self.network.state_dict()


@dataclass(frozen=True)
class RecogniserTask:
    """The recogniser's task.

    Attributes:
        recipe: how.
        people: how many people are told apart in training.
    """

    recipe: RecogniserRecipe
    people: int

    def learner(self, peers: Peers) -> RecogniserLearner:
        """A learner with fresh weights."""
        return RecogniserLearner(self.recipe, self.people, peers)

    def measure(self, learner: Learner, held_out: Photographs, device: torch.device) -> Row:
        """`verification_accuracy` and `separation` on people who are not trained on."""
        rows = range(min(MEASURED, len(held_out)))
        seen, features = [], []
        for kept, truth in in_batches(held_out, rows, self.recipe.photograph_size, device):
            seen += kept
            features.append(_features(learner, truth.images, truth.landmarks))
        vectors = torch.cat(features).cpu().double().numpy()
        people = numbered(subjects_of(held_out))[seen]
        return {
            "verification_accuracy": verification_accuracy(vectors, people),
            "separation": separation(vectors, people),
        }

    def picture(
        self, learner: Learner, photographs: Photographs, device: torch.device
    ) -> NDArray[np.uint8]:
        """Aligned faces, one person a row: what the network sees."""
        rows = _rows_by_person(subjects_of(photographs))
        lines: list[NDArray[np.uint8]] = []
        for _, truth in in_batches(photographs, rows, self.recipe.photograph_size, device):
            faces = align_faces(
                truth.images, five_points(truth.landmarks), self.recipe.network.image_size
            )
            pictures = to_pictures(faces)
            starts = range(0, len(pictures) - _SHOWN_EACH + 1, _SHOWN_EACH)
            lines += [np.concatenate(pictures[i : i + _SHOWN_EACH], axis=1) for i in starts]
        return np.concatenate(lines)


def subjects_of(photographs: Photographs) -> list[str]:
    """Who is in each photograph.

    Raises:
        FacebenchError: the photographs do not say.
    """
    subjects: list[str] | None = getattr(photographs, "subjects", None)
    if subjects is None:
        raise FacebenchError(
            f"the photographs in {photographs.folder} do not say who is in them",
            "train a recogniser on shards with a column 'subject'",
        )
    return subjects


@torch.no_grad()
def _features(learner: Learner, images: Tensor, landmarks: Tensor) -> Tensor:
    assert isinstance(learner, RecogniserLearner)
    learner.eval()
    features: Tensor = learner.network(learner.aligned(images, five_points(landmarks)))
    return features


def _rows_by_person(subjects: list[str]) -> list[int]:
    """Rows of the first few people, as many of each; a person with fewer repeats the last."""
    chosen: list[int] = []
    for subject in list(dict.fromkeys(subjects))[:_SHOWN_PEOPLE]:
        own = [row for row, name in enumerate(subjects) if name == subject][:_SHOWN_EACH]
        chosen += own + own[-1:] * (_SHOWN_EACH - len(own))
    return chosen
