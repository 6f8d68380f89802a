from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from training_faces import SIZE, random_faces, small_model

from facebench.errors import FacebenchError
from facebench.recon.training.shards import FaceShards


def test_a_row_is_what_was_written(faces: Path) -> None:
    shards = FaceShards(faces)
    sample = shards.sample(3)
    assert (len(shards), shards.subjects[3]) == (12, "s1")
    assert sample.image.shape == (SIZE, SIZE, 3)
    assert set(np.unique(sample.mask)) == {0, 1}
    assert sample.landmarks.shape == (68, 2)
    # x runs right to left over the jaw line from the subject's right ear to the left.
    assert sample.landmarks[0, 0] < sample.landmarks[16, 0]


def test_coefficients_are_apart_from_samples(faces: Path) -> None:
    shards = FaceShards(faces)
    assert not hasattr(shards.sample(0), "coefficients")
    true = random_faces(small_model(), 6, 2).vector().numpy()
    np.testing.assert_allclose(shards.coefficients([0, 5]), true[[0, 5]])


def test_limit_takes_the_first_rows(faces: Path) -> None:
    assert len(FaceShards(faces, limit=5)) == 5


def test_faces_of_another_model_are_refused(faces: Path) -> None:
    from facebench.recon.morphable.procedural import procedural_model

    other = procedural_model(seed=1, n_vertices=2000)
    with pytest.raises(FacebenchError, match=small_model().digest[:12]):
        FaceShards(faces).check_model(other)
    FaceShards(faces).check_model(small_model())


def test_people_of_two_face_models_are_told_apart(faces: Path, tmp_path: Path) -> None:
    table = pq.read_table(faces / "faces.parquet")
    for digest in ("1" * 64, "2" * 64):
        told = table.replace_schema_metadata({"facebench.model_digest": digest})
        pq.write_table(told, tmp_path / f"{digest[:2]}.parquet", row_group_size=5)
    assert len(set(FaceShards(faces).subjects)) * 2 == len(set(FaceShards(tmp_path).subjects))
    assert FaceShards(tmp_path, limit=13).subjects[12] == "2" * 64 + "/s0"


def test_what_is_wrong_with_a_folder_is_told(faces: Path, tmp_path: Path) -> None:
    with pytest.raises(FacebenchError, match="no training shards"):
        FaceShards(tmp_path / "missing")
    (tmp_path / "torn.parquet").write_bytes((faces / "faces.parquet").read_bytes()[:500])
    with pytest.raises(FacebenchError, match=r"torn\.parquet cannot be read"):
        FaceShards(tmp_path)


def test_a_missing_column_is_named(faces: Path, tmp_path: Path) -> None:
    table = pq.read_table(faces / "faces.parquet").drop_columns(["mask"])
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(FacebenchError, match="no column mask"):
        FaceShards(tmp_path)


def test_another_mask_order_is_refused(faces: Path, tmp_path: Path) -> None:
    table = pq.read_table(faces / "faces.parquet")
    order = {"facebench.mask_order": "celebamask-hq"}
    pq.write_table(table.replace_schema_metadata(order), tmp_path / "a.parquet")
    with pytest.raises(FacebenchError, match="celebamask-hq"):
        FaceShards(tmp_path)
