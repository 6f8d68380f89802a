"""Learning who somebody is, from several photographs of each of many people.

The loss has the additive angular margin of ArcFace (Deng et al. 2019, eq. 3); the measure is how
well features tell whether two photographs are of one person.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, linear, normalize

from ....errors import FacebenchError
from ...export.sheet import to_pictures
from ...losses.prior import AllReduce, single_process
from ...network.resnet import IResNet
from ...recipes.vision import RecogniserRecipe
from ...vision.recognition import align_faces, area_under_curve, five_points
from ..batches import Photographs
from ..optimise import Row
from ..workers import SINGLE_PROCESS, ProcessGroup
from .task import MEASURED, Learner, LossTerms, in_batches

_FOLDS = 5

_SHOWN_PEOPLE, _SHOWN_EACH = 6, 4


class MarginHead(nn.Module):
    """One direction for every person; features must be nearer to their own by an angle.

    Args:
        outputs: length of the features.
        people: how many are told apart.
        angle: the margin in radians.
        scale: of the cosines before the softmax.
        all_reduce: sums up the batch over all workers.
    """

    def __init__(
        self,
        outputs: int,
        people: int,
        angle: float,
        scale: float,
        all_reduce: AllReduce = single_process,
    ) -> None:
        super().__init__()
        self.directions = nn.Parameter(torch.empty(people, outputs))
        # Only directions matter; short ones turn faster at first.
        nn.init.normal_(self.directions, 0.0, 0.01)
        self.angle = angle
        self.scale = scale
        self.all_reduce = all_reduce

    def forward(self, features: Tensor, people: Tensor) -> Tensor:
        """Mean cross entropy of features (B, D) of the people numbered (B,)."""
        cosines = linear(normalize(features), normalize(self.directions))
        scores = self.scale * with_margin(cosines, people, self.angle)
        # The sum over the share by the mean share: together the mean over the batch of all.
        count = self.all_reduce(scores.new_tensor(len(scores)))
        return cross_entropy(scores, people, reduction="sum") / count


def with_margin(cosines: Tensor, people: Tensor, angle: float) -> Tensor:
    """Cosines (B, P) with that of the right person taken at an angle larger by the margin.

    Where the larger angle would pass 180 degrees and its cosine rise again, the cosine falls on in
    a straight line instead, as ArcFace's authors do it.
    """
    # Rounding may pass 1 by a bit, and the sine would be NaN.
    own = cosines.gather(1, people[:, None]).clamp(-1.0, 1.0)
    # The root's gradient at 0 is infinite: at a perfect match it must not be.
    sine = (1.0 - own.square()).clamp_min(1e-12).sqrt()
    # cos(θ + m) by the sum formula: the arc cosine's gradient is infinite at both ends.
    turned = own * math.cos(angle) - sine * math.sin(angle)
    # ArcFace's tail: it still falls with the angle where cos(θ + m) would rise.
    beyond = own - math.sin(math.pi - angle) * angle
    harder = turned.where(own > math.cos(math.pi - angle), beyond)
    return cosines.scatter(1, people[:, None], harder)


def verification_accuracy(features: NDArray[np.floating], people: NDArray[np.int64]) -> float:
    """Share of pairs verified right, same and different people weighing one half each.

    The threshold on the cosine is chosen on other people than it is tried on: five folds of people,
    pairs within a fold only, the mean over the folds that hold pairs of both sorts.

    NaN where a feature is, as of a network that diverged.

    Args:
        features: (N, D).
        people: (N,) number of the person of each.
    """
    cosines, same, fold = _pairs(features, people)
    if not np.isfinite(cosines).all():
        return float("nan")
    accuracies = []
    for number in range(_FOLDS):
        tried = fold == number
        # A fold of one sort of pair has no accuracy, and none to choose a threshold by.
        if _both(same[tried]) and _both(same[~tried]):
            threshold = _best_threshold(cosines[~tried], same[~tried])
            accuracies.append(_balanced_accuracy(cosines[tried] >= threshold, same[tried]))
    return float(np.mean(accuracies)) if accuracies else float("nan")


def separation(features: NDArray[np.floating], people: NDArray[np.int64]) -> float:
    """Probability that a pair of one person has a larger cosine than a pair of two (area under the
    ROC curve), over all pairs."""
    cosines, same, _ = _pairs(features, people, within_folds=False)
    return area_under_curve(cosines, same)


def _pairs(
    features: NDArray[np.floating], people: NDArray[np.int64], within_folds: bool = True
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.int64]]:
    """Cosine, whether it is one person, and fold, of every pair."""
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    first, second = np.triu_indices(len(people), k=1)
    # By person, so that no one is on both sides of a threshold's choice.
    folds = np.unique(people, return_inverse=True)[1] % _FOLDS
    if within_folds:
        kept = folds[first] == folds[second]
        first, second = first[kept], second[kept]
    cosines = (unit @ unit.T)[first, second].astype(np.float64)
    return cosines, people[first] == people[second], folds[first]


def _best_threshold(cosines: NDArray[np.float64], same: NDArray[np.bool_]) -> float:
    """The middle of the gap below the last cosine that is best accepted."""
    order = np.argsort(-cosines)
    accepted = np.cumsum(same[order]) / same.sum()
    refused = 1.0 - np.cumsum(~same[order]) / (~same).sum()
    # Both sorts weigh one half, however many more pairs of two people there are.
    last = int(np.argmax(accepted + refused))
    return float(cosines[order][last : last + 2].mean())


def _balanced_accuracy(found: NDArray[np.bool_], same: NDArray[np.bool_]) -> float:
    return float((found[same].mean() + (~found[~same]).mean()) / 2)


def _both(same: NDArray[np.bool_]) -> bool:
    return bool(same.any() and (~same).any())


class RecogniserLearner(Learner):
    """IResNet on aligned faces and the angular margin between people."""

    def __init__(
        self, recipe: RecogniserRecipe, people: int, group: ProcessGroup = SINGLE_PROCESS
    ) -> None:
        super().__init__()
        size = recipe.network
        self.point_noise = recipe.point_noise
        self.photograph_size = recipe.photograph_size
        self.network = IResNet(size.architecture, size.outputs, size.width, size.image_size)
        margin = recipe.margin
        self.head = MarginHead(size.outputs, people, margin.angle, margin.scale, group.mean)

    def forward(
        self, images: Tensor, landmarks: Tensor, masks: Tensor, people: Tensor, noise: Tensor
    ) -> LossTerms:
        """The margin loss."""
        points = five_points(landmarks)
        # px of the aligned face, brought to the photograph, where a face takes about half of the
        # side.
        deviation = self.point_noise * images.shape[2] / self.network.image_size / 2
        faces = self.align(images, points + deviation * noise)
        return {"margin": self.head(self.network(faces), people)}

    def align(self, images: Tensor, points: Tensor) -> Tensor:
        """Faces on the template, in [-1, 1]."""
        return align_faces(images, points, self.network.image_size) * 2.0 - 1.0

    def measure(self, held_out: Photographs, device: torch.device) -> Row:
        """`verification_accuracy` and `separation` on people who are not trained on.

        `unreadable` counts the photographs that are left out of both.
        """
        rows = range(min(MEASURED, len(held_out)))
        seen, features = [], []
        for kept, truth in in_batches(held_out, rows, self.photograph_size, device):
            seen += kept
            features.append(self._features(truth.images, truth.landmarks))
        vectors = torch.cat(features).cpu().double().numpy()
        people = number_people(subjects_of(held_out))[seen]
        return {
            "verification_accuracy": verification_accuracy(vectors, people),
            "separation": separation(vectors, people),
            "unreadable": float(len(rows) - len(seen)),
        }

    def picture(self, photographs: Photographs, device: torch.device) -> NDArray[np.uint8]:
        """Aligned faces, one person per row: what the network sees."""
        rows = _rows_by_person(subjects_of(photographs))
        lines: list[NDArray[np.uint8]] = []
        for _, truth in in_batches(photographs, rows, self.photograph_size, device):
            faces = align_faces(truth.images, five_points(truth.landmarks), self.network.image_size)
            pictures = to_pictures(faces)
            starts = range(0, len(pictures) - _SHOWN_EACH + 1, _SHOWN_EACH)
            lines += [np.concatenate(pictures[i : i + _SHOWN_EACH], axis=1) for i in starts]
        return np.concatenate(lines)

    @torch.no_grad()
    def _features(self, images: Tensor, landmarks: Tensor) -> Tensor:
        self.eval()
        features: Tensor = self.network(self.align(images, five_points(landmarks)))
        return features


def number_people(names: Sequence[str]) -> NDArray[np.int64]:
    """Each name's number among the distinct names in sorted order."""
    return np.unique(np.asarray(names), return_inverse=True)[1].astype(np.int64)


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


def _rows_by_person(subjects: list[str]) -> list[int]:
    """Rows of the first few people, as many of each; a person with fewer repeats the last."""
    chosen: list[int] = []
    for subject in list(dict.fromkeys(subjects))[:_SHOWN_PEOPLE]:
        own = [row for row, name in enumerate(subjects) if name == subject][:_SHOWN_EACH]
        chosen += own + own[-1:] * (_SHOWN_EACH - len(own))
    return chosen
