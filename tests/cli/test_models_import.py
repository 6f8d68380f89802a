"""`facebench models import`: every kind, from the files to an `.npz` that is used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from model_files import (
    source_model,
    write_basel2009,
    write_basel_front,
    write_basel_hdf5,
    write_flame,
    write_surrey,
)
from same_faces import assert_same_faces

from facebench.cli.main import group
from facebench.errors import FacebenchError
from facebench.recon.morphable.basel_landmarks import IBUG_OF_NAME
from facebench.recon.morphable.load import load_model
from facebench.recon.morphable.model import MorphableModel


def _import(*arguments: object) -> Result:
    words = ["models", "import", *map(str, arguments)]
    return CliRunner().invoke(group, words, standalone_mode=False)


@pytest.fixture(scope="module")
def source() -> MorphableModel:
    return source_model()


def test_basel_2009_as_the_paper_uses_it(source: MorphableModel, tmp_path: Path) -> None:
    files = write_basel2009(tmp_path, source)
    out = tmp_path / "bfm.npz"
    counts = ("--identity-modes", 8, "--expression-modes", 10, "--albedo-modes", 8)
    result = _import("basel-2009", tmp_path, *counts, "--out", out)
    assert result.exception is None and "35709 vertices" in result.stdout
    assert result.stderr.splitlines() == [
        "note: 1 of the expression modes are zeros; the files hold fewer"
    ]
    model = load_model(out)
    sizes = [getattr(model, f"{k}_basis").shape[2] for k in ("identity", "expression", "albedo")]
    assert sizes == [8, 10, 8] and not model.expression_basis[..., 9].any()
    unpadded = _import("basel-2009", tmp_path, "--identity-modes", 8, "--out", out)
    assert unpadded.exception is None and not unpadded.stderr
    assert_same_faces(load_model(out), source, files.origin[files.trimmed[files.front]])


def test_basel_2009_without_side_files_says_what_it_lacks(
    source: MorphableModel, tmp_path: Path
) -> None:
    write_basel2009(tmp_path, source)
    for name in ("BFM_exp_idx.mat", "BFM_front_idx.mat", "facemodel_info.mat", "Exp_Pca.bin"):
        (tmp_path / name).unlink()
    model = tmp_path / "01_MorphableModel.mat"
    refused = _import("basel-2009", model, "--out", tmp_path / "bfm.npz")
    assert isinstance(refused.exception, FacebenchError)
    assert "BFM_exp_idx.mat: no such file" in str(refused.exception)
    whole = _import("basel-2009", model, "--crop", "whole", "--out", tmp_path / "bfm.npz")
    assert whole.exception is None and "without expressions" in whole.stderr


def test_the_ready_made_front_is_recognised(source: MorphableModel, tmp_path: Path) -> None:
    path = write_basel_front(tmp_path / "BFM_model_front.mat", source)
    assert _import("basel-2009", path, "--out", tmp_path / "bfm.npz").exception is None
    assert_same_faces(load_model(tmp_path / "bfm.npz"), source)


@pytest.mark.parametrize("year", ["2017", "2019"])
def test_basel_hdf5_with_and_without_a_table(
    source: MorphableModel, tmp_path: Path, year: str
) -> None:
    path = write_basel_hdf5(tmp_path / "model.h5", source, dict(IBUG_OF_NAME))
    out = tmp_path / "bfm.npz"
    named = _import(f"basel-{year}", path, "--out", out)
    assert "12 of 68 landmarks are known" in named.stderr and named.exception is None
    (tmp_path / "landmarks.txt").write_text(" ".join(map(str, source.landmarks)))
    table = ("--landmarks", tmp_path / "landmarks.txt")
    whole = _import(f"basel-{year}", path, *table, "--out", out)
    assert not whole.stderr and whole.exception is None
    assert load_model(out).name == f"basel-{year}"
    assert_same_faces(load_model(out), source)


def test_surrey_from_its_folder(source: MorphableModel, tmp_path: Path) -> None:
    path = write_surrey(tmp_path, source)
    result = _import("surrey", path, "--expression-modes", 2, "--out", tmp_path / "sfm.npz")
    assert "50 of 68 landmarks are known" in result.stderr
    model = load_model(tmp_path / "sfm.npz")
    assert model.expression_names == source.expression_names[:2]
    np.testing.assert_allclose(model.mean_shape, source.mean_shape, atol=1e-4)
    again = _import("surrey", path, "--transfer-landmarks", "--out", tmp_path / "transferred.npz")
    assert again.stderr == "note: 18 landmarks are transferred from the embedded face, roughly\n"
    landmarks = load_model(tmp_path / "transferred.npz").landmarks
    away = source.mean_shape[landmarks] - source.mean_shape[source.landmarks]
    assert np.linalg.norm(away, axis=1).max() < 5.0


def test_the_wrong_kind_is_named(source: MorphableModel, tmp_path: Path) -> None:
    path = write_basel_hdf5(tmp_path / "model.h5", source, dict(IBUG_OF_NAME))
    for kind in ("basel-2009", "surrey"):
        result = _import(kind, path, "--out", tmp_path / "out.npz")
        assert isinstance(result.exception, FacebenchError)
        assert "this is an HDF5 file" in str(result.exception)
        assert "import basel-2017" in str(result.exception)
    assert not (tmp_path / "out.npz").exists()


def test_flame_from_its_pickle(source: MorphableModel, tmp_path: Path) -> None:
    path = write_flame(tmp_path, source)
    out = tmp_path / "flame.npz"
    result = _import("flame", path, "--shape-modes", 12, "--identity-modes", 5, "--out", out)
    assert result.exception is None and "2000 vertices" in result.stdout and not result.stderr
    model = load_model(out)
    np.testing.assert_allclose(model.mean_shape, source.mean_shape, atol=1e-4)
    assert model.identity_basis.shape[2] == 5 and model.expression_basis.shape[2] == 9
    (tmp_path / "landmark_embedding.npy").unlink()
    refused = _import("flame", path, "--out", out)
    assert isinstance(refused.exception, FacebenchError)
    assert "--landmarks" in str(refused.exception)
