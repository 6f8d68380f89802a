"""The one door to every face model."""

from __future__ import annotations

from pathlib import Path

import pytest

from facebench.errors import FacebenchError
from facebench.recon.morphable.load import load_model, save_npz


def test_the_embedded_model_and_its_file_are_one(tmp_path: Path) -> None:
    embedded = load_model("embedded")
    save_npz(embedded, tmp_path / "face.npz")
    assert load_model(tmp_path / "face.npz").digest == embedded.digest
    assert load_model(str(tmp_path / "face.npz")).digest == embedded.digest


def test_both_forms_of_the_real_model_are_found(shared: Path) -> None:
    folder = load_model(shared / "ict-facekit" / "FaceXModel")
    packed = load_model(shared / "ict-facekit" / "ict_facekit_light.npz")
    assert folder.n_vertices == packed.n_vertices == 17202


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("embeded", "did you mean 'embedded'"),
        ("face_modle.npz", r"did you mean '.*face_model\.npz'"),
        ("something_else", "give 'embedded', 'human', an .npz file"),
    ],
)
def test_a_wrong_name_is_answered_with_the_nearest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, line: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "face_model.npz").touch()
    with pytest.raises(FacebenchError, match=line):
        load_model(source)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FacebenchError, match="without a face model"):
        load_model(tmp_path)


@pytest.mark.parametrize(
    ("name", "start", "line"),
    [
        ("01_MorphableModel.mat", b"MATLAB 5.0 MAT-file", r"models import basel-2009 01_Morph"),
        ("model2017.h5", b"\x89HDF\r\n\x1a\n", r"models import basel-2017 model2017\.h5"),
    ],
)
def test_files_of_other_projects_are_sent_through_import(
    tmp_path: Path, name: str, start: bytes, line: str
) -> None:
    (tmp_path / name).write_bytes(start)
    with pytest.raises(FacebenchError, match=line):
        load_model(tmp_path / name)
