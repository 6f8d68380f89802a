"""Files of other projects' layouts, written from a face model of ours, value by value."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from scipy.io import savemat

from facebench.recon.morphable.basel_landmarks import landmarks_2009
from facebench.recon.morphable.model import MorphableModel
from facebench.recon.morphable.procedural import procedural_model

N_WHOLE, N_TRIMMED, N_FRONT = 53490, 53215, 35709


def source_model() -> MorphableModel:
    """A small face: about 2,000 vertices."""
    return procedural_model(seed=4, n_vertices=2000)


@dataclass(frozen=True)
class Basel2009Files:
    """A folder of BFM 2009 with all side files.

    Attributes:
        folder: where they are.
        origin: (53490,) the source's vertex that each vertex is a copy of.
        trimmed: (53215,) kept vertices, into the whole.
        front: (35709,) kept vertices, into the trimmed.
        expression_mean: (53215, 3) mm.
    """

    folder: Path
    origin: np.ndarray
    trimmed: np.ndarray
    front: np.ndarray
    expression_mean: np.ndarray


def write_basel2009(folder: Path, source: MorphableModel) -> Basel2009Files:
    """Every file as distributed: micrometres, RGB to 255, counted from 1, wound inward."""
    random = np.random.default_rng(0)
    number = _numbers(source, random)
    origin = random.integers(0, source.n_vertices, N_WHOLE)
    origin[number] = np.arange(source.n_vertices)
    spare = np.setdiff1d(np.arange(N_WHOLE), number)
    trimmed = np.setdiff1d(np.arange(N_WHOLE), random.permutation(spare)[: N_WHOLE - N_TRIMMED])
    front = _front(trimmed, number, source, random)
    mean = 0.1 * random.normal(size=(N_TRIMMED, 3)).astype(np.float32)
    _write_model(folder / "01_MorphableModel.mat", source, origin, number)
    write_expressions(folder, source.expression_basis[origin[trimmed]], mean)
    savemat(folder / "BFM_exp_idx.mat", {"trimIndex": (trimmed + 1).reshape(-1, 1)})
    savemat(folder / "BFM_front_idx.mat", {"idx": (front + 1).reshape(-1, 1)})
    _write_topology(folder / "facemodel_info.mat", source, number, trimmed[front])
    return Basel2009Files(folder, origin, trimmed, front, mean)


def _numbers(source: MorphableModel, random: np.random.Generator) -> np.ndarray:
    """Where each vertex of the source goes in the whole: landmarks to the known places."""
    table = landmarks_2009(N_WHOLE, "test")
    number = random.permutation(np.setdiff1d(np.arange(N_WHOLE), table))[: source.n_vertices]
    number[source.landmarks] = table
    return number


def _front(
    trimmed: np.ndarray, number: np.ndarray, source: MorphableModel, random: np.random.Generator
) -> np.ndarray:
    """The crop holds the whole source, its landmarks at their known places in the crop."""
    places = landmarks_2009(N_FRONT, "test")
    wanted = np.searchsorted(trimmed, number)
    landmarks = wanted[source.landmarks]
    others = np.setdiff1d(wanted, landmarks)
    fill = np.setdiff1d(np.arange(N_TRIMMED), wanted)[: N_FRONT - len(wanted)]
    front = np.empty(N_FRONT, np.int64)
    front[places] = landmarks
    free = np.setdiff1d(np.arange(N_FRONT), places)
    front[free] = random.permutation(np.concatenate([others, fill]))
    return front


def _write_model(
    path: Path, source: MorphableModel, origin: np.ndarray, number: np.ndarray
) -> None:
    shape, shape_deviations = unit_columns(1000.0 * source.identity_basis[origin])
    colour, colour_deviations = unit_columns(255.0 * source.albedo_basis[origin])
    savemat(
        path,
        {
            "shapeMU": column(1000.0 * source.mean_shape[origin]),
            "shapePC": shape,
            "shapeEV": shape_deviations.reshape(-1, 1),
            "texMU": column(255.0 * source.mean_albedo[origin]),
            "texPC": colour,
            "texEV": colour_deviations.reshape(-1, 1),
            "tl": number[source.triangles][:, [1, 0, 2]] + 1.0,
        },
    )


def write_expressions(folder: Path, basis: np.ndarray, mean: np.ndarray) -> None:
    """`Exp_Pca.bin` and `std_exp.txt` of a basis (V, 3, K) and a mean (V, 3) in mm."""
    columns, deviations = unit_columns(1000.0 * basis)
    content = struct.pack("<i", basis.shape[2]) + column(1000.0 * mean).astype("<f4").tobytes()
    for component in columns.T:
        content += component.astype("<f4").tobytes()
    (folder / "Exp_Pca.bin").write_bytes(content)
    (folder / "std_exp.txt").write_text(" ".join(repr(float(d)) for d in deviations) + "\n")


def _write_topology(
    path: Path, source: MorphableModel, number: np.ndarray, vertices: np.ndarray
) -> None:
    place = np.full(N_WHOLE, -1)
    place[vertices] = np.arange(len(vertices))
    savemat(
        path,
        {
            "tri": place[number[source.triangles]] + 1,
            "keypoints": (place[number[source.landmarks]] + 1).reshape(1, -1),
            "skinmask": np.zeros((1, len(vertices))),
        },
    )


def write_basel_front(path: Path, source: MorphableModel) -> Path:
    """`BFM_model_front.mat` in decimetres, modes with their deviation."""
    savemat(
        path,
        {
            "meanshape": column(source.mean_shape / 100.0).reshape(1, -1),
            "meantex": column(255.0 * source.mean_albedo).reshape(1, -1),
            "idBase": flat(source.identity_basis / 100.0),
            "exBase": flat(source.expression_basis / 100.0),
            "texBase": flat(255.0 * source.albedo_basis),
            "tri": source.triangles + 1.0,
            "keypoints": (source.landmarks + 1).reshape(1, -1),
        },
    )
    return path


def write_basel_hdf5(path: Path, source: MorphableModel, named: dict[str, int]) -> Path:
    """Statismo's layout in mm: half of the neutral face's depth is in the expressions' mean."""
    depth = source.mean_shape * np.array([0.0, 0.0, 0.02], np.float32)
    points = [
        {"id": name, "coordinates": source.mean_shape[source.landmarks[i]].astype(float).tolist()}
        for name, i in named.items()
    ]
    with h5py.File(path, "w") as file:
        _write_group(file, "shape", source.mean_shape - depth, source.identity_basis)
        _write_group(file, "expression", depth, source.expression_basis)
        _write_group(file, "color", source.mean_albedo, source.albedo_basis)
        file["shape/representer/cells"] = source.triangles.T.astype(np.int32)
        file["shape/representer/points"] = source.mean_shape.T
        if named:
            file["metadata/landmarks/json"] = json.dumps(points)
    return path


def _write_group(file: h5py.File, name: str, mean: np.ndarray, basis: np.ndarray) -> None:
    columns, deviations = unit_columns(basis)
    file[f"{name}/model/mean"] = column(mean).ravel()
    file[f"{name}/model/pcaBasis"] = columns
    file[f"{name}/model/pcaVariance"] = deviations**2
    file[f"{name}/model/noiseVariance"] = np.array([0.0])


def write_surrey(folder: Path, source: MorphableModel) -> Path:
    """eos' three files: the shape model, the blend shapes and 50 landmarks; gives the first."""
    columns, deviations = unit_columns(source.identity_basis)
    content = struct.pack("<I", 1) + _matrix(column(source.mean_shape)) + _matrix(columns)
    content += _matrix((deviations**2).reshape(-1, 1)) + _triangles(source.triangles)
    content += 3 * _matrix(np.zeros((0, 0))) + _triangles(np.zeros((0, 3)))
    content += struct.pack("<Q", 2) + struct.pack("<4d", 0.1, 0.2, 0.3, 0.4)
    (folder / "sfm_shape_3448.bin").write_bytes(content)
    shapes = struct.pack("<Q", source.expression_basis.shape[2])
    for i, name in enumerate(source.expression_names):
        shapes += struct.pack("<Q", len(name)) + name.encode()
        shapes += _matrix(column(source.expression_basis[:, :, i]))
    (folder / "expression_blendshapes_3448.bin").write_bytes(shapes)
    named = [9, *range(18, 61), 62, 63, 64, 66, 67, 68]
    rows = [f"{n:2} = {source.landmarks[n - 1]:5} # a comment" for n in named]
    (folder / "ibug_to_sfm.txt").write_text(
        "\n".join(["# landmarks", "[landmark_mappings]", *rows])
    )
    return folder / "sfm_shape_3448.bin"


def _matrix(array: np.ndarray) -> bytes:
    return struct.pack("<ii", *array.shape) + array.astype("<f4").tobytes(order="F")


def _triangles(array: np.ndarray) -> bytes:
    return struct.pack("<Q", len(array)) + array.astype("<i4").tobytes()


def column(points: np.ndarray) -> np.ndarray:
    """Interleaved coordinates (3V, 1) of points (V, 3)."""
    return np.asarray(points, np.float32).reshape(-1, 1)


def flat(basis: np.ndarray) -> np.ndarray:
    """A basis (V, 3, K) as (3V, K)."""
    return np.asarray(basis, np.float32).reshape(-1, basis.shape[2])


def unit_columns(basis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Columns (3V, K) of length 1, and their lengths."""
    columns = flat(basis).astype(np.float64)
    lengths = np.linalg.norm(columns, axis=0)
    return (columns / lengths).astype(np.float32), lengths


def write_flame(folder: Path, source: MorphableModel, protocol: int = 2) -> Path:
    """FLAME's `generic_model.pkl` in metres with chumpy holders, and its landmark embedding.

    The holders are pickled under chumpy's name, which need not be installed, as Python 2 did.
    """
    import pickle
    import sys
    from types import ModuleType

    import scipy.sparse as sparse

    class Ch:
        def __init__(self, x: np.ndarray) -> None:
            self.__dict__.update(x=x, _dirty_vars=set(), _itr=None, _cache={"r": None})

    Ch.__module__, Ch.__qualname__ = "chumpy.ch", "Ch"
    modes = np.concatenate([source.identity_basis, source.expression_basis], axis=2)
    content = {
        "v_template": Ch(0.001 * source.mean_shape.astype(np.float64)),
        "shapedirs": Ch(0.001 * modes.astype(np.float64)),
        "posedirs": np.zeros((4, 3, 2)),
        "f": source.triangles.astype(np.uint32),
        "J_regressor": sparse.csc_matrix(np.eye(5, source.n_vertices)),
        "bs_style": "lbs",
    }
    packages = {name: ModuleType(name) for name in ("chumpy", "chumpy.ch")}
    packages["chumpy.ch"].__dict__["Ch"] = Ch
    sys.modules.update(packages)
    try:
        path = folder / "generic_model.pkl"
        path.write_bytes(pickle.dumps(content, protocol))
    finally:
        for name in packages:
            del sys.modules[name]
    write_flame_embedding(folder / "landmark_embedding.npy", source)
    return path


def write_flame_embedding(path: Path, source: MorphableModel) -> None:
    """All 68 landmarks as triangles and barycentric weights, with tensors beside them."""
    import torch

    faces, weights = flame_embedding(source)
    content = {
        "full_lmk_faces_idx": faces[None],
        "full_lmk_bary_coords": weights[None],
        "dynamic_lmk_faces_idx": torch.from_numpy(faces[None, :17].repeat(3, 0)),
    }
    np.save(path, content, allow_pickle=True)  # type: ignore[arg-type]


def flame_embedding(source: MorphableModel) -> tuple[np.ndarray, np.ndarray]:
    """A triangle (68,) at each landmark, and weights (68, 3) that are largest there."""
    at = [np.argwhere(source.triangles == vertex)[0] for vertex in source.landmarks]
    weights = np.full((68, 3), 0.1)
    weights[np.arange(68), [corner for _, corner in at]] = 0.8
    return np.array([face for face, _ in at]), weights
