"""BFM 2017 and 2019: a made file of statismo's layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from model_files import source_model, write_basel_hdf5
from same_faces import assert_same_faces, surface
from scipy.io import savemat

from facebench.errors import FacebenchError
from facebench.recon.morphable.basel import read_basel_hdf5
from facebench.recon.morphable.basel_landmarks import IBUG_OF_NAME
from facebench.recon.morphable.load import read_npz, save_npz
from facebench.recon.morphable.model import MorphableModel


@pytest.fixture(scope="module")
def source() -> MorphableModel:
    return source_model()


@pytest.fixture
def path(source: MorphableModel, tmp_path: Path) -> Path:
    return write_basel_hdf5(tmp_path / "model2017.h5", source, dict(IBUG_OF_NAME))


@pytest.fixture
def table(source: MorphableModel, tmp_path: Path) -> Path:
    out = tmp_path / "landmarks.txt"
    out.write_text("\n".join(map(str, source.landmarks)))
    return out


def test_decodes_the_source_s_faces(path: Path, source: MorphableModel) -> None:
    model = read_basel_hdf5(path, "2017")
    assert_same_faces(model, source, atol=2e-4)
    assert surface(model.triangles) == surface(source.triangles)
    assert model.name == "basel-2017" and "Basel" in model.licence


def test_named_points_become_landmarks_and_the_rest_stay_unknown(
    path: Path, source: MorphableModel
) -> None:
    model = read_basel_hdf5(path, "2017")
    named = list(IBUG_OF_NAME.values())
    np.testing.assert_array_equal(model.landmarks[named], source.landmarks[named])
    assert (np.delete(model.landmarks, named) == -1).all()
    nose = model.mean_shape[model.vertices_of("nose")].mean(axis=0)
    assert np.linalg.norm(nose - source.mean_shape[source.landmarks[30]]) < 25.0


def test_points_may_be_marked_on_the_mean_instead_of_the_reference(
    path: Path, source: MorphableModel
) -> None:
    with h5py.File(path, "a") as file:
        file["shape/representer/points"][...] += 40.0
    model = read_basel_hdf5(path, "2017")
    named = [30, 36, 45]
    np.testing.assert_allclose(
        model.mean_shape[model.landmarks[named]],
        source.mean_shape[source.landmarks[named]],
        atol=6.0,
    )


def test_a_table_gives_all_landmarks_and_the_source_s_regions(
    path: Path, table: Path, source: MorphableModel, tmp_path: Path
) -> None:
    model = read_basel_hdf5(path, "2019", table)
    np.testing.assert_array_equal(model.landmarks, source.landmarks)
    save_npz(model, tmp_path / "bfm.npz")
    assert read_npz(tmp_path / "bfm.npz").digest == model.digest


def test_another_unit_is_named_and_read_on_request(path: Path, source: MorphableModel) -> None:
    with h5py.File(path, "a") as file:
        for name in ("shape/model/mean", "expression/model/mean", "shape/representer/points"):
            file[name][...] /= 1000.0
        for name in ("shape", "expression"):
            file[f"{name}/model/pcaVariance"][...] /= 1e6
        del file["metadata/landmarks/json"]
        scaled = [
            {"id": name, "coordinates": (source.mean_shape[source.landmarks[i]] / 1e3).tolist()}
            for name, i in IBUG_OF_NAME.items()
        ]
        file["metadata/landmarks/json"] = str(scaled).replace("'", '"')
    with pytest.raises(FacebenchError, match=r"looks like m;.*--unit m"):
        read_basel_hdf5(path, "2017")
    assert_same_faces(read_basel_hdf5(path, "2017", unit="m"), source, atol=2e-3)


def _drop(name: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with h5py.File(path, "a") as file:
            del file[name]

    return change


def _set(name: str, value: object) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with h5py.File(path, "a") as file:
            if name in file:
                del file[name]
            file[name] = value

    return change


def _scale(name: str, factor: float) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with h5py.File(path, "a") as file:
            file[name][...] = file[name][...] * factor

    return change


def _other_hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["weights"] = np.zeros(3)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


FAULTS = [
    (Path.unlink, "no such file.*University of Basel"),
    (_cut, "truncated or damaged"),
    (_other_hdf5, "no shape/model/mean, so this is no Basel Face Model.*it holds weights"),
    (lambda path: savemat(path, {"shapeMU": np.zeros(3)}), "MATLAB v5 file.*basel-2009"),
    (lambda path: path.write_bytes(b"\x1f\x8b"), "packed by gzip"),
    (_drop("expression/model/pcaBasis"), "no expression/model/pcaBasis"),
    (_drop("shape/representer/cells"), "no shape/representer/cells"),
    (_set("shape/model/mean", np.full(30, np.nan)), "shape/model/mean has NaN"),
    (_set("shape/model/mean", np.zeros(31)), "31 numbers"),
    (_set("shape/model/pcaVariance", np.ones(3)), r"for 3 modes.*\(3 V, K\)"),
    (_scale("shape/model/pcaVariance", -1.0), "negative or undefined variances"),
    (_scale("shape/representer/cells", -1.0), "triangles run from"),
    (_scale("color/model/mean", 255.0), r"colours run from .*expected \[0, 1\]"),
    (_drop("metadata/landmarks/json"), "names no landmarks.*--landmarks"),
    (_set("metadata/landmarks/json", "{"), "json is damaged.*--landmarks"),
    (_set("metadata/landmarks/json", "[]"), "names no iBUG landmark"),
    (
        _set("metadata/landmarks/json", '[{"id": "center.nose.tip", "coordinates": [0, 0]}]'),
        "json is damaged",
    ),
]


@pytest.mark.parametrize(("spoil", "line"), FAULTS)
def test_a_fault_has_its_line(path: Path, spoil: Callable[[Path], None], line: str) -> None:
    spoil(path)
    with pytest.raises(FacebenchError, match=line) as caught:
        read_basel_hdf5(path, "2017")
    assert "\n" not in str(caught.value)


def test_points_off_the_surface_are_refused(source: MorphableModel, tmp_path: Path) -> None:
    path = write_basel_hdf5(tmp_path / "m.h5", source, dict(IBUG_OF_NAME))
    far = [{"id": "center.nose.tip", "coordinates": [0, 0, 900]}]
    far += [{"id": "center.chin.tip", "coordinates": [0, -70, 90]}]
    _set("metadata/landmarks/json", str(far).replace("'", '"'))(path)
    with pytest.raises(FacebenchError, match="off the surface"):
        read_basel_hdf5(path, "2017")


def test_the_other_year_is_recognised_by_its_vertices(tmp_path: Path) -> None:
    path = tmp_path / "model2019_face12.h5"
    with h5py.File(path, "w") as file:
        file["shape/model/mean"] = np.zeros(3 * 27657, np.float32)
    with pytest.raises(FacebenchError, match=r"looks like BFM 2019.*import basel-2019"):
        read_basel_hdf5(path, "2017")
