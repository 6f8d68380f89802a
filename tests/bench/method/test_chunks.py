"""What a chunk keeps for each way of averaging over frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from small_micc import moving_face, write_random_weights

from facebench.bench.method.clip_faces import (
    FAILED,
    NOT_FINITE,
    OK,
    ChunkRow,
    Crops,
    describe_chunk,
)
from facebench.bench.method.interface import Method, MethodCard, MethodOptions
from facebench.bench.method.registry import build_method
from facebench.errors import FacebenchError
from facebench.recon.mesh import Mesh
from facebench.recon.morphable.load import load_model

N_FACES = 5
CARD = MethodCard("growing", "t", "", "MIT")


@dataclass(frozen=True)
class Growing:
    """A method whose meshes do not depend linearly on its vectors: size grows exponentially."""

    card: MethodCard = CARD
    crop_size: int = 32
    parts: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    model_digest: str = ""
    checkpoint_digest: str = ""
    digest: str = ""

    def describe(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        return crops.mean((1, 2, 3), dtype=np.float32)[:, None] / 128

    def mesh(self, vector: NDArray[np.floating]) -> Mesh:
        corners = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]])
        return Mesh(np.exp(vector[0]) * corners, np.array([[0, 1, 2]], np.int32))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "weights.pt"
    return write_random_weights(path, load_model("embedded"))


def faces(size: int) -> tuple[ChunkRow, Crops]:
    crops = moving_face(N_FACES)[:, 20 : 20 + size, 100 : 100 + size]
    return ChunkRow("a/b", 0, True, N_FACES, 0, 0, OK, "", 0.0, np.empty(0)), crops


def chunk_of(method: Method) -> tuple[ChunkRow, Crops]:
    return faces(method.crop_size)


def test_the_mean_mesh_of_a_linear_model_is_the_mesh_of_the_mean(weights: Path) -> None:
    """What makes averaging parameters the same as averaging meshes, and a thousandth of the sum."""
    for expression in ("neutral", "predicted"):
        method = build_method("ours", MethodOptions(weights, expression=expression))
        row = describe_chunk(method, *chunk_of(method), "meshes")
        assert row.faces == N_FACES and row.vertices is not None and row.vectors is None
        of_mean = method.mesh(row.sum / row.faces).vertices
        np.testing.assert_allclose(row.vertices.reshape(-1, 3) / row.faces, of_mean, atol=1e-4)
        assert np.abs(of_mean - load_model("embedded").mesh().vertices).max() > 0.1


def test_the_mean_mesh_of_another_method_is_not() -> None:
    method = Growing()
    row = describe_chunk(method, *chunk_of(method), "meshes")
    assert row.vertices is not None
    own = [method.mesh(v).vertices for v in method.describe(chunk_of(method)[1])]
    np.testing.assert_allclose(row.vertices.reshape(-1, 3), np.sum(own, axis=0), rtol=1e-6)
    assert row.vertices[3] / N_FACES > method.mesh(row.sum / N_FACES).vertices[1, 0] * (1 + 1e-6)


def test_vectors_are_kept_for_errors_only(weights: Path) -> None:
    method = build_method("ours", MethodOptions(weights))
    chunk = chunk_of(method)
    row = describe_chunk(method, *chunk, "errors")
    assert row.vectors is not None and row.vertices is None
    np.testing.assert_array_equal(row.vectors, method.describe(chunk[1]))
    plain = describe_chunk(method, *chunk)
    assert plain.vectors is None and plain.vertices is None
    np.testing.assert_array_equal(plain.sum, row.sum)
    np.testing.assert_allclose(row.sum, row.vectors.sum(0, dtype=np.float64), rtol=1e-12)


def test_faces_that_are_not_finite_are_counted_out(monkeypatch: pytest.MonkeyPatch) -> None:
    method = Growing()
    vectors = np.array([[0.1], [np.nan], [0.3], [2000.0], [0.5]], np.float32)
    monkeypatch.setattr(Growing, "describe", lambda self, crops: vectors)
    plain = describe_chunk(method, *chunk_of(method))
    assert (plain.faces, plain.failed, plain.reason) == (4, 1, NOT_FINITE)
    with np.errstate(over="ignore", invalid="ignore"):
        meshes = describe_chunk(method, *chunk_of(method), "meshes")
    assert (meshes.faces, meshes.failed) == (3, 2) and meshes.sum == pytest.approx(0.9)


def test_a_mesh_that_cannot_be_decoded_fails_its_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Growing, vector: NDArray[np.floating]) -> Mesh:
        raise FacebenchError("no such face")

    monkeypatch.setattr(Growing, "mesh", refuse)
    method = Growing()
    assert describe_chunk(method, *chunk_of(method)).status == OK
    row = describe_chunk(method, *chunk_of(method), "meshes")
    assert (row.status, row.faces, row.vertices) == (FAILED, 0, None)
    assert "no such face" in row.reason


def test_a_predicted_expression_is_in_the_vector_and_in_the_mesh(weights: Path) -> None:
    neutral = build_method("ours", MethodOptions(weights))
    whole = build_method("ours", MethodOptions(weights, expression="predicted"))
    crops, model = chunk_of(neutral)[1], load_model("embedded")
    identity, both = neutral.describe(crops), whole.describe(crops)
    n = model.identity_basis.shape[2]
    np.testing.assert_array_equal(both[:, :n], identity)
    assert both.shape[1] == n + model.expression_basis.shape[2]
    expected = model.mesh(identity=both[0, :n], expression=both[0, n:]).vertices
    np.testing.assert_array_equal(whole.mesh(both[0]).vertices, expected)
    assert np.abs(expected - neutral.mesh(identity[0]).vertices).max() > 0.1


def test_a_method_without_expressions_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from facebench.bench.methods import mean_face

    monkeypatch.setattr(mean_face, "CARD", CARD)
    build_method("mean-face", MethodOptions())
    with pytest.raises(FacebenchError, match="gives no faces with predicted expression"):
        build_method("mean-face", MethodOptions(expression="predicted"))
