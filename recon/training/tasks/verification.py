"""Are two photographs of one person? How well features tell."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

_FOLDS = 5


def verification_accuracy(features: NDArray[np.floating], people: NDArray[np.int64]) -> float:
    """Share of pairs told right, same and different people weighing one half each.

    The threshold on the cosine is chosen on other people than it is tried on: five folds of people,
    pairs within a fold only, the mean over the folds that hold pairs of both sorts.

    Args:
        features: (N, D).
        people: (N,) number of the person of each.
    """
    cosines, same, fold = _pairs(features, people)
    accuracies = []
    for number in range(_FOLDS):
        tried = fold == number
        if _both(same[tried]) and _both(same[~tried]):
            threshold = _best_threshold(cosines[~tried], same[~tried])
            accuracies.append(_balanced(cosines[tried] >= threshold, same[tried]))
    return float(np.mean(accuracies)) if accuracies else float("nan")


def separation(features: NDArray[np.floating], people: NDArray[np.int64]) -> float:
    """Probability that a pair of one person has a larger cosine than a pair of two (area under the
    ROC curve), over all pairs."""
    cosines, same, _ = _pairs(features, people, within_folds=False)
    n_same, n_other = int(same.sum()), int((~same).sum())
    if not n_same or not n_other:
        return float("nan")
    ranks = rankdata(cosines)[same].sum() - n_same * (n_same + 1) / 2
    return float(ranks / (n_same * n_other))


def _pairs(
    features: NDArray[np.floating], people: NDArray[np.int64], within_folds: bool = True
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.int64]]:
    """Cosine, whether it is one person, and fold, of every pair."""
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    first, second = np.triu_indices(len(people), k=1)
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
    last = int(np.argmax(accepted + refused))
    return float(cosines[order][last : last + 2].mean())


def _balanced(found: NDArray[np.bool_], same: NDArray[np.bool_]) -> float:
    return float((found[same].mean() + (~found[~same]).mean()) / 2)


def _both(same: NDArray[np.bool_]) -> bool:
    return bool(same.any() and (~same).any())
