"""Texture mapping and its error, on a photograph that is a plain render of a known face."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from facebench.bench.figures.occlusion import (
    AlbedoErrors,
    albedo_errors,
    face_classes,
    intersection_over_union,
    mapped_albedo,
)
from facebench.recon.face.coefficients import FaceCoefficients
from facebench.recon.morphable.load import load_model
from facebench.recon.morphable.model import MorphableModel
from facebench.recon.render.face_in_photograph import FaceArtist, FaceInPhotograph, decode_face
from facebench.recon.synthetic.faces import CoveredFace, FaceSampler, cover, true_coefficients
from facebench.results.figures.occlusion import albedo_note


@pytest.fixture(scope="module")
def model() -> MorphableModel:
    return load_model("embedded")


@pytest.fixture(scope="module")
def case(model: MorphableModel) -> tuple[CoveredFace, FaceInPhotograph]:
    """A covered render without hair, grain and noise, and the true face."""
    face = FaceSampler(model, 6, 256).face(1, 0)
    truth = decode_face(model, FaceCoefficients.of(true_coefficients(model, face))[0])
    image = FaceArtist(256).overlay(truth, np.zeros((256, 256, 3), np.uint8))
    return cover(replace(face, image=image), face_classes(), 1), truth


def test_mapping_gives_the_albedo_where_the_face_is_seen(
    model: MorphableModel, case: tuple[CoveredFace, FaceInPhotograph]
) -> None:
    covered, truth = case
    mapped = mapped_albedo(truth, covered.image)
    errors = albedo_errors(model, covered, mapped, truth.mesh.colours)
    assert errors.reconstruction == errors.reconstruction_seen == 0.0
    assert errors.mapping_seen < 0.06 and errors.mapping > 3 * errors.mapping_seen
    assert errors.mean_albedo > 0.0


def test_without_anything_hidden_there_is_no_number(
    model: MorphableModel, case: tuple[CoveredFace, FaceInPhotograph]
) -> None:
    covered, truth = case
    bare = replace(covered, covered=np.zeros_like(covered.covered))
    colours = truth.mesh.colours
    assert np.isnan(albedo_errors(model, bare, colours, colours).mapping)


def test_the_note_pairs_people() -> None:
    draw = np.random.default_rng(0).uniform(0.1, 0.2, 9)
    rows = [AlbedoErrors(v + 0.3, v, 0.1, 0.2, 0.3) for v in draw]
    hidden_nowhere = AlbedoErrors(np.nan, np.nan, 0.1, 0.2, np.nan)
    note = albedo_note([*rows, hidden_nowhere])
    assert "Over 9 people" in note and "reconstruction − mapping −0.300" in note
    assert f"reconstruction {draw.mean():.3f} [" in note


def test_agreement_of_masks_is_intersection_over_union() -> None:
    true = np.array([[0, 0, 1, 1]], np.uint8)
    found = np.array([[0, 1, 1, 1]], np.uint8)
    overlap = intersection_over_union([found], [true], 3)
    assert overlap[:2] == pytest.approx([1 / 2, 2 / 3]) and np.isnan(overlap[2])
