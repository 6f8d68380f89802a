"""FLAME's own files, written from a model of ours: pickle, archive, embeddings."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from model_files import flame_embedding, source_model, write_flame

from facebench.errors import FacebenchError
from facebench.recon.morphable.flame import read_flame
from facebench.recon.morphable.load import load_model
from facebench.recon.morphable.model import MorphableModel

SHAPES = 12
"""Identity modes of the source."""


@pytest.fixture(scope="module")
def source() -> MorphableModel:
    return source_model()


def _same_shapes(model: MorphableModel, source: MorphableModel) -> None:
    for name in ("mean_shape", "identity_basis", "expression_basis"):
        np.testing.assert_allclose(getattr(model, name), getattr(source, name), atol=1e-4)
    np.testing.assert_array_equal(model.triangles, source.triangles)


@pytest.mark.parametrize("protocol", [1, 2, 4])
def test_the_pickle_as_distributed(source: MorphableModel, tmp_path: Path, protocol: int) -> None:
    model = read_flame(write_flame(tmp_path, source, protocol), shape_modes=SHAPES)
    _same_shapes(model, source)
    np.testing.assert_array_equal(model.landmarks, source.landmarks)
    assert model.name == "flame" and "Max Planck" in model.licence


def test_an_archive_of_its_arrays(source: MorphableModel, tmp_path: Path) -> None:
    modes = np.concatenate([source.identity_basis, source.expression_basis], axis=2)
    arrays = {"v_template": source.mean_shape / 1000, "shapedirs": modes / 1000}
    np.savez(tmp_path / "flame.npz", f=source.triangles.astype(np.uint32), **arrays)
    table = tmp_path / "landmarks.txt"
    table.write_text(" ".join(map(str, source.landmarks)))
    model = read_flame(tmp_path / "flame.npz", table, SHAPES)
    _same_shapes(model, source)
    with pytest.raises(FacebenchError, match="names no landmarks"):
        read_flame(tmp_path / "flame.npz", shape_modes=SHAPES)


def test_the_first_three_hundred_modes_are_identity(source: MorphableModel, tmp_path: Path) -> None:
    model = read_flame(write_flame(tmp_path, source))
    assert model.identity_basis.shape[2] == 21 and model.expression_basis.shape[2] == 0


def test_static_and_dynamic_embeddings(source: MorphableModel, tmp_path: Path) -> None:
    path = write_flame(tmp_path, source)
    (tmp_path / "landmark_embedding.npy").unlink()
    faces, weights = flame_embedding(source)
    static = {"lmk_face_idx": faces[17:].astype(np.uint32), "lmk_b_coords": weights[17:]}
    (tmp_path / "flame_static_embedding.pkl").write_bytes(pickle.dumps(static, 2))
    inner = read_flame(path, shape_modes=SHAPES)
    np.testing.assert_array_equal(inner.landmarks[17:], source.landmarks[17:])
    assert (inner.landmarks[:17] == -1).all()
    turned = {
        "lmk_face_idx": np.stack([faces[:17], faces[:17][::-1]]),
        "lmk_b_coords": np.stack([weights[:17], weights[:17][::-1]]),
    }
    np.save(tmp_path / "flame_dynamic_embedding.npy", turned, allow_pickle=True)  # type: ignore[arg-type]
    whole = read_flame(path, shape_modes=SHAPES)
    np.testing.assert_array_equal(whole.landmarks, source.landmarks)


def test_eyeballs_are_found_as_surfaces_of_their_own(
    source: MorphableModel, tmp_path: Path
) -> None:
    """Two spheres behind the lids become eyes, as in FLAME, where the skin has openings."""
    import trimesh

    ball = trimesh.creation.icosphere(subdivisions=2, radius=12.0)
    eyes = [source.mean_shape[source.landmarks[k : k + 6]].mean(0) for k in (36, 42)]
    centres = [eye - [0.0, 0.0, 14.0] for eye in eyes]
    n, m = source.n_vertices, len(ball.vertices)
    vertices = np.concatenate([source.mean_shape, *(ball.vertices + c for c in centres)])
    triangles = np.concatenate([source.triangles, ball.faces + n, ball.faces + n + m])
    arrays = {"v_template": vertices / 1000, "shapedirs": np.zeros((*vertices.shape, 2))}
    np.savez(tmp_path / "flame.npz", f=triangles, **arrays)
    table = tmp_path / "landmarks.txt"
    table.write_text(" ".join(map(str, source.landmarks)))
    model = read_flame(tmp_path / "flame.npz", table)
    right, left = model.vertices_of("right_eye"), model.vertices_of("left_eye")
    assert set(right) == set(range(n, n + m)) and set(left) == set(range(n + m, n + 2 * m))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"v_template": np.zeros((5, 3))}, "no shapedirs, f"),
        ({"v_template": np.zeros((5, 3)), "shapedirs": np.zeros((4, 3, 2)), "f": np.zeros(3)}, "K"),
        ([1, 2], "no table"),
    ],
)
def test_another_pickle_is_told(tmp_path: Path, content: object, words: str) -> None:
    path = tmp_path / "other.pkl"
    path.write_bytes(pickle.dumps(content, 2))
    with pytest.raises(FacebenchError, match=words):
        read_flame(path)


def test_another_models_embedding_is_told(source: MorphableModel, tmp_path: Path) -> None:
    path = write_flame(tmp_path, source)
    faces, weights = flame_embedding(source)
    content = {"full_lmk_faces_idx": faces + 10**6, "full_lmk_bary_coords": weights}
    np.save(tmp_path / "landmark_embedding.npy", content, allow_pickle=True)  # type: ignore[arg-type]
    with pytest.raises(FacebenchError, match="the model has"):
        read_flame(path, shape_modes=SHAPES)


def test_the_pickle_sends_to_its_import(source: MorphableModel, tmp_path: Path) -> None:
    with pytest.raises(FacebenchError, match="models import flame"):
        load_model(write_flame(tmp_path, source))
