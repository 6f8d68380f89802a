"""BFM 2009 with its side files: made ones of the same layout, counts included."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from model_files import Basel2009Files, source_model, write_basel2009, write_basel_front
from same_faces import assert_same_faces, surface
from scipy.io import loadmat, savemat

from facebench.errors import FacebenchError
from facebench.recon.morphable.basel import is_front_file, read_basel2009, read_basel_front
from facebench.recon.morphable.basel_landmarks import landmarks_2009
from facebench.recon.morphable.load import read_npz, save_npz
from facebench.recon.morphable.model import MorphableModel

MODEL = "01_MorphableModel.mat"


@pytest.fixture(scope="module")
def source() -> MorphableModel:
    return source_model()


@pytest.fixture(scope="module")
def files(source: MorphableModel, tmp_path_factory: pytest.TempPathFactory) -> Basel2009Files:
    return write_basel2009(tmp_path_factory.mktemp("bfm"), source)


@pytest.fixture(scope="module")
def front(files: Basel2009Files) -> MorphableModel:
    return read_basel2009(files.folder / MODEL)


@pytest.fixture
def spoiled(files: Basel2009Files, tmp_path: Path) -> Path:
    return Path(shutil.copytree(files.folder, tmp_path / "copy"))


class TestFrontCrop:
    def test_decodes_the_source_s_faces(
        self, front: MorphableModel, files: Basel2009Files, source: MorphableModel
    ) -> None:
        assert front.n_vertices == 35709
        assert_same_faces(front, source, files.origin[files.trimmed[files.front]])

    def test_has_the_source_s_surface_and_landmarks(
        self, front: MorphableModel, files: Basel2009Files, source: MorphableModel
    ) -> None:
        origin = files.origin[files.trimmed[files.front]]
        assert surface(origin[front.triangles]) == surface(source.triangles)
        np.testing.assert_array_equal(front.landmarks, landmarks_2009(35709, ""))
        np.testing.assert_array_equal(origin[front.landmarks], source.landmarks)

    def test_needs_no_topology_file(self, front: MorphableModel, spoiled: Path) -> None:
        (spoiled / "facemodel_info.mat").unlink()
        model = read_basel2009(spoiled / MODEL)
        assert surface(model.triangles) == surface(front.triangles)
        np.testing.assert_array_equal(model.landmarks, front.landmarks)

    def test_survives_our_own_format(self, front: MorphableModel, tmp_path: Path) -> None:
        save_npz(front, tmp_path / "bfm.npz")
        again = read_npz(tmp_path / "bfm.npz")
        assert (again.digest, again.name) == (front.digest, "basel-2009")
        assert "Basel" in again.licence

    def test_takes_side_files_from_elsewhere(
        self, front: MorphableModel, files: Basel2009Files, tmp_path: Path
    ) -> None:
        shutil.copy(files.folder / MODEL, tmp_path)
        assert read_basel2009(tmp_path, files.folder).digest == front.digest


class TestOtherCrops:
    def test_trimmed_carries_the_expressions(
        self, files: Basel2009Files, source: MorphableModel
    ) -> None:
        model = read_basel2009(files.folder / MODEL, crop="trimmed")
        assert model.n_vertices == 53215
        assert_same_faces(model, source, files.origin[files.trimmed])
        np.testing.assert_array_equal(
            files.origin[files.trimmed][model.landmarks], source.landmarks
        )
        assert surface(files.origin[files.trimmed][model.triangles]) == surface(source.triangles)

    def test_whole_needs_no_side_files(
        self, files: Basel2009Files, source: MorphableModel, tmp_path: Path
    ) -> None:
        shutil.copy(files.folder / MODEL, tmp_path)
        model = read_basel2009(tmp_path / MODEL, crop="whole")
        assert model.n_vertices == 53490 and model.expression_basis.shape[2] == 0
        assert_same_faces(model, source, files.origin)

    def test_the_expressions_mean_is_added_on_request(
        self, front: MorphableModel, files: Basel2009Files
    ) -> None:
        model = read_basel2009(files.folder / MODEL, expression_mean=True)
        moved = model.mean_shape - front.mean_shape
        np.testing.assert_allclose(moved, files.expression_mean[files.front], atol=1e-4)


class TestFrontFile:
    def test_decodes_the_source_s_faces(self, source: MorphableModel, tmp_path: Path) -> None:
        path = write_basel_front(tmp_path / "BFM_model_front.mat", source)
        assert is_front_file(path)
        model = read_basel_front(path)
        assert_same_faces(model, source)
        np.testing.assert_array_equal(model.landmarks, source.landmarks)
        assert surface(model.triangles) == surface(source.triangles)

    def test_the_distributed_file_is_not_one(self, files: Basel2009Files, tmp_path: Path) -> None:
        assert not is_front_file(files.folder / MODEL)
        assert not is_front_file(tmp_path / "nothing.mat")

    def test_another_unit_is_named(self, source: MorphableModel, tmp_path: Path) -> None:
        path = write_basel_front(tmp_path / "BFM_model_front.mat", source)
        with pytest.raises(FacebenchError, match=r"looks like dm.*--unit dm"):
            read_basel_front(path, unit="mm")


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _pointer(path: Path) -> None:
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")


def _change(name: str, value: Callable[[np.ndarray], object]) -> Callable[[Path], None]:
    """Rewrites one variable of a MATLAB file; None drops it."""

    def change(path: Path) -> None:
        content = {k: v for k, v in loadmat(path).items() if not k.startswith("__")}
        content[name] = value(content[name])
        savemat(path, {k: v for k, v in content.items() if v is not None})

    return change


def _with_nan(array: np.ndarray) -> np.ndarray:
    array[7] = np.nan
    return array


def _as_side_file(path: Path) -> None:
    shutil.copy(path.parent / "BFM_exp_idx.mat", path)


def _mode_count(path: Path) -> None:
    path.write_bytes(struct.pack("<i", 5) + path.read_bytes()[4:])


FAULTS = [
    (MODEL, Path.unlink, "no such file.*BaselFaceModel.tgz"),
    (MODEL, lambda path: path.write_bytes(b""), "an empty file"),
    (MODEL, lambda path: path.write_bytes(b"\x1f\x8b\x08\x00"), "packed by gzip.*unpack it"),
    (
        MODEL,
        lambda path: path.write_bytes(b"\x80\x04\x95."),
        "a pickle; expected a MATLAB v5 file.*export its arrays",
    ),
    (MODEL, lambda path: path.write_bytes(b"\n<!DOCTYPE html><p>"), "a web page.*in a browser"),
    (MODEL, lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n"), "HDF5 file.*basel-2017"),
    (MODEL, lambda path: path.write_bytes(b"MATLAB 7.3 MAT-file, x"), r"v7\.3 file.*'-v7'"),
    (MODEL, _pointer, "pointer of Git LFS.*git lfs pull"),
    (MODEL, _cut, "truncated.* of at least .* bytes"),
    (MODEL, _as_side_file, r"no shapeMU, .*looks like BFM_exp_idx\.mat"),
    (MODEL, _change("texEV", lambda _: None), r"no texEV.*looks like BFM 2009"),
    (MODEL, _change("shapeMU", lambda a: a / 1000), "looks like mm.*--unit mm"),
    (MODEL, _change("shapeMU", lambda a: a * [[-1.0]]), "wrong way along x and y and z"),
    (MODEL, _change("shapeMU", lambda a: a[:-1]), "expected x, y, z of each vertex"),
    (MODEL, _change("shapeMU", _with_nan), "mean_shape has NaN"),
    (MODEL, _change("shapePC", _with_nan), "identity_basis has NaN"),
    (MODEL, _change("shapeEV", lambda a: a[:2]), r"basis of shape \(160470, 12\) for 2 modes"),
    (MODEL, _change("texMU", lambda a: a / 255), "colours up to .*from 0 to 255"),
    (MODEL, _change("shapeMU", lambda a: np.array([[{}]], object)), "holds no plain numbers"),
    ("BFM_exp_idx.mat", Path.unlink, "BFM_exp_idx.mat: no such file.*Deep3DFaceRecon"),
    ("BFM_exp_idx.mat", _change("trimIndex", lambda a: a - 1), "from 1 to 53490"),
    ("BFM_exp_idx.mat", _change("trimIndex", lambda a: a + 0.5), "from 1 to 53490"),
    ("BFM_front_idx.mat", _pointer, "BFM_front_idx.mat: this is a pointer of Git LFS"),
    ("facemodel_info.mat", _change("keypoints", lambda a: a[:, 1:]), "67 keypoints"),
    ("facemodel_info.mat", _change("tri", lambda a: a[:, [1, 0, 2]]), "triangles face inward"),
    ("Exp_Pca.bin", Path.unlink, "Exp_Pca.bin: no such file.*3DFace"),
    ("Exp_Pca.bin", _cut, r"bytes; 9 modes of 53215 vertices take 6385804.*truncated"),
    ("Exp_Pca.bin", _mode_count, "5 modes of 53215 vertices take"),
    ("Exp_Pca.bin", lambda path: path.write_bytes(b"ab"), "2 bytes"),
    ("std_exp.txt", lambda path: path.write_text("1 2 3"), "3 deviations for 9 modes"),
    (
        "std_exp.txt",
        lambda path: path.write_text("one two"),
        r"std_exp\.txt: expected a number per mode",
    ),
]


@pytest.mark.parametrize(("name", "spoil", "line"), FAULTS)
def test_a_fault_has_its_line(
    spoiled: Path, name: str, spoil: Callable[[Path], None], line: str
) -> None:
    spoil(spoiled / name)
    with pytest.raises(FacebenchError, match=line) as caught:
        read_basel2009(spoiled / MODEL)
    assert "\n" not in str(caught.value)


def test_a_folder_with_the_archive_only_is_told_to_unpack(tmp_path: Path) -> None:
    (tmp_path / "BaselFaceModel.tgz").write_bytes(b"\x1f\x8b")
    with pytest.raises(FacebenchError, match=r"tar xzf BaselFaceModel\.tgz"):
        read_basel2009(tmp_path)


def test_another_unit_is_read_on_request(
    front: MorphableModel, spoiled: Path, files: Basel2009Files, source: MorphableModel
) -> None:
    _change("shapeMU", lambda a: a / 1000)(spoiled / MODEL)
    _change("shapeEV", lambda a: a / 1000)(spoiled / MODEL)
    model = read_basel2009(spoiled / MODEL, unit="mm")
    assert_same_faces(model, source, files.origin[files.trimmed[files.front]])


@pytest.mark.parametrize("settings", [{"crop": "half"}, {"unit": "inch"}])
def test_unknown_settings_are_refused(settings: dict[str, str]) -> None:
    with pytest.raises(FacebenchError, match="known: "):
        read_basel2009(Path("nowhere"), **settings)  # type: ignore[arg-type]
