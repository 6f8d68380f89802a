"""Our own file format: what is written is read, and every fault has its one line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from facebench.errors import FacebenchError
from facebench.recon.morphable.landmarks import REGION_NAMES
from facebench.recon.morphable.load import read_npz, save_npz
from facebench.recon.morphable.model import MorphableModel
from facebench.recon.morphable.procedural import embedded_model


def _frontal_landmarks() -> np.ndarray:
    """68 points of a schematic face, mm: x to the subject's left, y up, z to the viewer."""
    turn = np.linspace(np.pi, 2 * np.pi, 17)
    jaw = np.stack([70 * np.cos(turn), 40 + 110 * np.sin(turn), 40 - 50 * np.sin(turn)], 1)
    brow = np.stack([np.linspace(-55, -12, 5), [55, 60, 62, 61, 59], np.full(5, 95)], 1)
    bridge = np.stack([np.zeros(4), [38, 27, 16, 4], [105, 113, 120, 128]], 1)
    base = np.stack([[-12, -6, 0, 6, 12], np.full(5, -12), np.full(5, 112)], 1)
    eye = np.array([[-45, 34], [-38, 39], [-28, 39], [-18, 33], [-28, 31], [-38, 31]])
    around = np.pi - np.linspace(0, 2 * np.pi, 12, endpoint=False)
    lips = np.stack([25 * np.cos(around), -34 + 9 * np.sin(around), np.full(12, 110)], 1)
    inner_turn = np.pi - np.linspace(0, 2 * np.pi, 8, endpoint=False)
    inner = np.stack([21 * np.cos(inner_turn), -34 + 1 * np.sin(inner_turn), np.full(8, 110)], 1)
    right_eye = np.column_stack([eye, np.full(6, 93)])
    left_eye = (right_eye * [-1, 1, 1])[[3, 2, 1, 0, 5, 4]]
    parts = [jaw, brow, (brow * [-1, 1, 1])[::-1], bridge, base, right_eye, left_eye, lips, inner]
    return np.concatenate(parts)


def _arrays(seed: int = 0) -> dict[str, np.ndarray]:
    """A schematic face: the landmarks, and skin points scattered in front of and behind them."""
    random = np.random.default_rng(seed)
    skin = random.uniform([-75, -90, -60], [75, 130, 110], (400, 3))
    vertices = np.concatenate([_frontal_landmarks(), skin])
    return {
        "mean_shape": vertices.astype(np.float32),
        "identity_basis": random.normal(size=(len(vertices), 3, 4)).astype(np.float32),
        "expression_basis": random.normal(size=(len(vertices), 3, 2)).astype(np.float32),
        "triangles": _outward(vertices, random),
        "landmarks": np.arange(68),
    }


def _outward(vertices: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Triangles of any three vertices, each wound so that it faces the viewer."""
    triangles = random.permuted(np.tile(np.arange(len(vertices)), (600, 1)), axis=1)[:, :3]
    a, b, c = vertices[triangles].transpose(1, 0, 2)
    back = np.cross(b - a, c - a)[:, 2] < 0
    triangles[back] = triangles[back][:, ::-1]
    return triangles


def _save(path: Path, **arrays: object) -> Path:
    np.savez(path, **arrays)
    return path


@pytest.fixture
def model(tmp_path: Path) -> MorphableModel:
    return read_npz(_save(tmp_path / "given.npz", **_arrays()))


def test_a_saved_model_is_read_back_whole(model: MorphableModel, tmp_path: Path) -> None:
    named = replace(model, name="mine", licence="CC0", identity_names=("a", "b", "c", "d"))
    save_npz(named, tmp_path / "new" / "model.npz")
    again = read_npz(tmp_path / "new" / "model.npz")
    assert again.digest == named.digest
    for item in fields(MorphableModel):
        np.testing.assert_array_equal(getattr(again, item.name), getattr(named, item.name))
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["model.npz"]


def test_an_interrupted_write_keeps_the_old_file(
    model: MorphableModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_npz(model, tmp_path / "model.npz")

    def fail(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", fail)
    with pytest.raises(KeyboardInterrupt):
        save_npz(replace(model, name="other"), tmp_path / "model.npz")
    assert read_npz(tmp_path / "model.npz").name == "given"
    assert {file.name for file in tmp_path.iterdir()} == {"given.npz", "model.npz"}


def test_what_is_absent_is_derived(model: MorphableModel) -> None:
    assert model.region_names == REGION_NAMES
    assert model.name == "given" and model.licence == "unknown"
    assert model.mean_albedo.min() >= 0 and model.mean_albedo.max() <= 1
    assert model.albedo_basis.shape == (model.n_vertices, 3, len(model.albedo_names))
    assert np.linalg.norm(model.albedo_basis[:, :, 0], axis=1).max() > 0.05


@pytest.mark.parametrize(
    ("landmark", "region"),
    [
        (19, "right_brow"),
        (24, "left_brow"),
        (28, "nose"),
        (8, "jaw"),
        (36, "right_eye"),
        (2, "right_cheek"),
        (14, "left_cheek"),
        (57, "lower_lip"),
    ],
)
def test_landmarks_lie_in_their_regions(model: MorphableModel, landmark: int, region: str) -> None:
    near = model.mean_shape[model.vertices_of(region)] - model.mean_shape[landmark]
    assert np.linalg.norm(near[:, :2], axis=1).min() < 6.0


def test_named_parts_decide_eyes_and_mouth(tmp_path: Path) -> None:
    part = np.zeros(468, np.uint8)
    part[100:120], part[120:140] = 1, 2
    names = np.array(["face", "eyeballs", "mouth_socket"])
    path = _save(tmp_path / "m.npz", **_arrays(), part=part, part_names=names)
    model = read_npz(path)
    eyes = model.vertices_of("left_eye", "right_eye")
    np.testing.assert_array_equal(eyes, np.arange(100, 120))
    assert set(range(120, 140)) <= set(model.vertices_of("mouth").tolist())
    left = model.vertices_of("left_eye")
    assert (model.mean_shape[left, 0] > 0).all()


@pytest.mark.parametrize(("unit", "factor"), [("m", 1e-3), ("cm", 0.1), ("um", 1e3)])
def test_another_unit_is_named_and_converted_only_on_request(
    tmp_path: Path, unit: str, factor: float
) -> None:
    arrays = _arrays()
    for name in ("mean_shape", "identity_basis", "expression_basis"):
        arrays[name] = arrays[name] * factor
    path = _save(tmp_path / "m.npz", **arrays)
    with pytest.raises(FacebenchError, match=f"looks like {unit};"):
        read_npz(path)
    model = read_npz(path, unit=unit)
    np.testing.assert_allclose(model.mean_shape, _arrays()["mean_shape"], rtol=1e-5)
    np.testing.assert_allclose(model.identity_basis, _arrays()["identity_basis"], rtol=1e-5)


_BROWS = np.isin(np.arange(68), np.arange(17, 27))


def _spoiled(name: str, value: object) -> dict[str, object]:
    arrays: dict[str, object] = dict(_arrays())
    if value is None:
        del arrays[name]
    else:
        arrays[name] = value
    return arrays


def _with_nan() -> np.ndarray:
    basis = _arrays()["identity_basis"]
    basis[3, 1, 2] = np.nan
    return basis


def _exchanged(first: Sequence[int], second: Sequence[int]) -> np.ndarray:
    landmarks = np.arange(68)
    landmarks[first], landmarks[second] = list(second), list(first)
    return landmarks


def _turned(degrees: float) -> np.ndarray:
    turn = Rotation.from_euler("y", degrees, degrees=True).as_matrix()
    return _arrays()["mean_shape"] @ turn.T


def _unit_columns(name: str) -> np.ndarray:
    basis = _arrays()[name]
    return basis / np.sqrt((basis**2).sum(axis=(0, 1)))


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("triangles", None, "no triangles"),
        ("expression_basis", None, "no expression_basis"),
        ("mean_shape", np.zeros((468, 2)), r"mean_shape has shape \(468, 2\).*\(V, 3\)"),
        ("mean_shape", _arrays()["mean_shape"][:, [2, 1, 0]], "points the wrong way along"),
        ("mean_shape", _arrays()["mean_shape"] * [1, -1, 1], "wrong way along y"),
        ("mean_shape", _arrays()["mean_shape"] * 3e-7, "which is no face.*check the unit"),
        ("mean_shape", np.full((468, 3), np.inf), "NaN or infinite"),
        ("mean_shape", np.array(["a"]), "expected numbers"),
        ("identity_basis", np.zeros((468, 12)), "identity_basis has shape"),
        ("identity_basis", _with_nan(), "identity_basis has NaN"),
        ("landmarks", np.arange(51), r"landmarks has shape \(51,\)"),
        ("landmarks", np.linspace(0, 67, 68), "landmarks holds float64.*whole numbers"),
        ("triangles", np.array([[0, 1, 468]]), "triangles run from 0 to 468.*0 to 467"),
        ("triangles", np.array([[0, 1, -1]]), "negative vertex numbers"),
        ("triangles", np.zeros((0, 3), int), "triangles is empty"),
        ("triangles", _arrays()["triangles"] % 468 + 1, "count vertices from 1"),
        ("region", np.full(468, 40, np.uint8), "region names number 40"),
        ("part", np.zeros(3, int), "part has shape"),
        ("mean_albedo", np.zeros((4, 3)), "mean_albedo has shape"),
        ("landmarks", np.where(_BROWS, np.arange(68), -1), "58 of 68 are missing"),
        ("landmarks", _exchanged([48], [54]), "49 is not to the subject's right of 52"),
        ("landmarks", _exchanged(range(17, 27), range(48, 58)), "is not (below|to)"),
        ("landmarks", _exchanged([36], [39]), "37 is not to the subject's right of 40"),
        ("mean_shape", _turned(25.0), "turned by 25 degrees"),
        ("triangles", np.array([[29, 30, 31]]), "face inward"),
        ("identity_basis", _unit_columns("identity_basis"), "standard deviation"),
        ("identity_basis", _arrays()["identity_basis"] * 1e-3, "moves vertices by 0.00"),
        ("identity_basis", _arrays()["identity_basis"] ** 2 * 30, "the root of a variance"),
        ("expression_basis", _arrays()["expression_basis"] * 1e3, "expression_basis moves"),
        ("region", np.zeros(400, np.uint8), r"region has shape \(400,\)"),
        ("identity_names", np.array(["a"]), "1 identity_names.*4 modes"),
        ("identity_basis", np.float32(1.0), r"identity_basis has shape \(\)"),
        ("mean_albedo", np.full((468, 3), 200, np.uint8), "divide mean_albedo"),
        ("albedo_basis", np.zeros((468, 3, 2)), "without mean_albedo"),
    ],
)
def test_a_fault_has_its_line(tmp_path: Path, name: str, value: object, line: str) -> None:
    arrays = _spoiled(name, value)
    if name == "part":
        arrays["part_names"] = np.array(["face"])
    if name == "mean_albedo" and np.ndim(value) and len(value) == 4:
        arrays["albedo_basis"] = np.zeros((468, 3, 1))
    with pytest.raises(FacebenchError, match=line) as caught:
        read_npz(_save(tmp_path / "m.npz", **arrays))
    assert "\n" not in str(caught.value)


def test_a_mean_albedo_alone_is_the_skin(tmp_path: Path) -> None:
    mean = np.random.default_rng(0).uniform(0.2, 0.8, (468, 3)).astype(np.float32)
    model = read_npz(_save(tmp_path / "m.npz", **_arrays(), mean_albedo=mean))
    np.testing.assert_array_equal(model.mean_albedo, mean)
    assert model.albedo_basis.shape == (468, 3, 0) and not model.albedo_names


def test_missing_landmarks_are_fine_where_regions_are_given(tmp_path: Path) -> None:
    arrays = _spoiled("landmarks", np.array([-1, *range(1, 68)]))
    path = _save(tmp_path / "m.npz", **arrays, region=np.zeros(468, np.uint8))
    assert read_npz(path).mesh().landmarks is None


def test_pickles_are_refused(tmp_path: Path) -> None:
    path = _save(tmp_path / "m.npz", **_spoiled("licence", np.array({"a": 1}, dtype=object)))
    with pytest.raises(FacebenchError, match="'licence' holds pickled objects"):
        read_npz(path)


@pytest.mark.parametrize("content", [b"", b"not a model", b"PK\x03\x04 and then nothing"])
def test_another_kind_of_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.npz").write_bytes(content)
    with pytest.raises(FacebenchError, match=r"not an \.npz file"):
        read_npz(tmp_path / "m.npz")


def test_a_truncated_or_damaged_file_is_refused(tmp_path: Path) -> None:
    data = bytearray(_save(tmp_path / "m.npz", **_arrays()).read_bytes())
    (tmp_path / "short.npz").write_bytes(data[: len(data) // 2])
    with pytest.raises(FacebenchError, match=r"short\.npz: not an .npz"):
        read_npz(tmp_path / "short.npz")
    data[2000:2100] = bytes(100)
    (tmp_path / "bad.npz").write_bytes(data)
    with pytest.raises(FacebenchError, match=r"bad\.npz"):
        read_npz(tmp_path / "bad.npz")


def test_the_shared_model_is_whole(shared: Path) -> None:
    model = read_npz(shared / "ict-facekit" / "ict_facekit_light.npz")
    assert model.identity_basis.shape[2] == 100 and len(model.expression_names) == 53
    for name in REGION_NAMES:
        assert len(model.vertices_of(name)) > 50, name
    twins = {"left_eye", "left_ear", "left_brow", "left_eye_socket"}
    for name in twins:
        mirrored = name.replace("left", "right")
        assert len(model.vertices_of(name)) == len(model.vertices_of(mirrored))


@pytest.fixture(scope="module")
def embedded_arrays() -> dict[str, np.ndarray]:
    model = embedded_model()
    names = ("mean_shape", "identity_basis", "expression_basis", "triangles", "landmarks")
    return {name: getattr(model, name) for name in (*names, "mean_albedo")}


@pytest.mark.parametrize("kind", ["identity_basis", "expression_basis"])
@pytest.mark.parametrize("axes", [(1, 0, 2), (2, 0, 1), (2, 1, 0)])
def test_modes_whose_numbers_stand_in_another_order_are_refused(
    tmp_path: Path, embedded_arrays: dict[str, np.ndarray], kind: str, axes: tuple[int, ...]
) -> None:
    """(3, V, K), (K, V, 3) and (K, 3, V) given the right shape without being turned."""
    basis = embedded_arrays[kind]
    mixed = embedded_arrays | {kind: basis.transpose(axes).reshape(basis.shape)}
    with pytest.raises(FacebenchError, match="as if they were no neighbours") as caught:
        read_npz(_save(tmp_path / "model.npz", **mixed))
    assert "vertex, then x, y and z, then mode" in caught.value.hint
    assert kind in caught.value.message


def test_modes_in_centimetres_on_a_mean_in_millimetres_are_refused(
    tmp_path: Path, embedded_arrays: dict[str, np.ndarray]
) -> None:
    for factor in (0.1, 10.0, 1000.0):
        mixed = embedded_arrays | {"identity_basis": embedded_arrays["identity_basis"] * factor}
        with pytest.raises(FacebenchError, match="moves vertices by"):
            read_npz(_save(tmp_path / "model.npz", **mixed))


def test_skin_in_opencvs_order_of_colours_is_refused(
    tmp_path: Path, embedded_arrays: dict[str, np.ndarray]
) -> None:
    read_npz(_save(tmp_path / "model.npz", **embedded_arrays))
    swapped = embedded_arrays | {"mean_albedo": embedded_arrays["mean_albedo"][:, ::-1]}
    with pytest.raises(FacebenchError, match="more blue than red"):
        read_npz(_save(tmp_path / "model.npz", **swapped))
    grey = embedded_arrays | {"mean_albedo": np.full_like(embedded_arrays["mean_albedo"], 0.5)}
    grey["mean_albedo"][:, 2] += np.float32(1e-4)  # as it is rounded
    read_npz(_save(tmp_path / "model.npz", **grey))
