"""Labels of `tran`: fitted in pieces, pooled per person, and better for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from training_faces import small_model

from facebench.errors import FacebenchError
from facebench.recon.face.coefficients import CoefficientSizes
from facebench.recon.training.methods import labels
from facebench.recon.training.methods.labels import (
    Labelling,
    fit_piece,
    pool_by_subject,
    read_fits,
    read_labels,
)
from facebench.recon.training.shards import FaceShards

SIZES = CoefficientSizes.of(small_model())


@pytest.fixture(scope="module")
def labelling(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Labelling:
    """All twelve faces of six people, fitted."""
    folder = tmp_path_factory.mktemp("labels") / "labels"
    made = Labelling.claim(faces, str(faces.parent / "model.npz"), folder, None)
    for first in made.missing():
        fit_piece(made, first)
    return made


def test_pooled_labels_are_nearer_to_the_truth_than_single_ones(
    faces: Path, labelling: Labelling
) -> None:
    true = FaceShards(faces).all_coefficients()
    assert true is not None
    person = slice(0, SIZES.identity)
    together = read_labels(labelling, SIZES)[:, person] - true[:, person]
    alone = read_fits(labelling)[0][:, person] - true[:, person]
    nothing = true[:, person]
    off = [float(np.square(part).mean()) for part in (together, alone, nothing)]
    assert off[0] < 0.95 * off[1] < off[1] < off[2]


def test_everybody_has_one_face_and_every_photograph_its_own_pose(labelling: Labelling) -> None:
    found = read_labels(labelling, SIZES)
    first, second = found[0], found[1]  # two photographs of one person
    start = SIZES.identity + SIZES.expression
    for part in (slice(0, SIZES.identity), slice(start, start + SIZES.albedo)):
        assert np.array_equal(first[part], second[part])
        assert not np.array_equal(first[part], found[2][part])
    assert not np.array_equal(first[-34:], second[-34:])


def test_pieces_are_kept_and_only_missing_ones_are_fitted(
    labelling: Labelling, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert labelling.missing() == []
    monkeypatch.setattr(labels, "PIECE", 8)
    assert labelling.missing() == [0, 8]
    with pytest.raises(FacebenchError, match="2 pieces of the labels"):
        read_labels(labelling, SIZES)


def test_the_pool_is_the_weighted_mean_of_a_persons_fits() -> None:
    fits = np.array([[1.0, 0.0], [3.0, 4.0], [7.0, 8.0], [5.0, 5.0]], np.float32)
    found = pool_by_subject(fits, np.array([1.0, 3.0, 0.0, 0.0]), ["a", "a", "a", "b"])
    assert found.tolist() == [[2.5, 3.0]] * 3 + [[0.0, 0.0]]


def test_other_photographs_are_not_taken_for_these(faces: Path, labelling: Labelling) -> None:
    model = str(faces.parent / "model.npz")
    again = Labelling.claim(faces, model, labelling.folder, None)
    assert again == labelling
    with pytest.raises(FacebenchError, match="was begun with photographs"):
        Labelling.claim(faces, model, labelling.folder, 4)
