"""Sound files of every kind that is read: small, quickly made, the same each time."""

from __future__ import annotations

import json
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from model_files import (
    write_basel_front,
    write_basel_hdf5,
    write_expressions,
    write_flame,
    write_surrey,
)
from numpy.typing import NDArray
from PIL import Image
from scipy.io import savemat

from facebench.bench.landmarks import SEVEN
from facebench.recon.export.mesh_files import write_mesh
from facebench.recon.face.coefficients import CoefficientSizes
from facebench.recon.face.crop import mean_face_pose
from facebench.recon.mesh import Mesh
from facebench.recon.morphable.basel_landmarks import IBUG_OF_NAME
from facebench.recon.morphable.load import save_npz
from facebench.recon.morphable.model import MorphableModel
from facebench.recon.morphable.procedural import procedural_model
from facebench.recon.network.dense import BiSeNet
from facebench.recon.recipes.regressor import NetworkRecipe, Recipe
from facebench.recon.regressors.checkpoint import save_weights, write_content
from facebench.recon.regressors.regressor import FaceRegressor

MODES = 2


@cache
def small_model() -> MorphableModel:
    """2,000 vertices, two modes of each kind."""
    whole = procedural_model(seed=4, n_vertices=2000)
    return replace(
        whole,
        identity_basis=whole.identity_basis[..., :MODES],
        expression_basis=whole.expression_basis[..., :MODES],
        albedo_basis=whole.albedo_basis[..., :MODES],
        identity_names=(),
        expression_names=("smile", "frown"),
        albedo_names=(),
    )


@cache
def face() -> Mesh:
    """Its mean, without colours."""
    mesh = small_model().mesh()
    return Mesh(mesh.vertices, mesh.triangles)


def mesh_file(name: str) -> Callable[[Path], Path]:
    """Writes the face as one of the formats."""

    def write(folder: Path) -> Path:
        path = folder / name
        if path.suffix == ".npz":
            np.savez(path, vertices=face().vertices, triangles=face().triangles)
        elif path.suffix in (".stl", ".off"):
            _with_trimesh(path)
        else:
            write_mesh(face(), path)
        return path

    return write


def _with_trimesh(path: Path) -> None:
    import trimesh

    mesh = trimesh.Trimesh(face().vertices, face().triangles, process=False)
    mesh.export(path, file_type="stl_ascii" if path.stem == "text" else None)


def text_ply(folder: Path) -> Path:
    """The face as PLY in words."""
    import trimesh

    mesh = trimesh.Trimesh(face().vertices, face().triangles, process=False)
    path = folder / "face.ply"
    path.write_bytes(mesh.export(file_type="ply", encoding="ascii"))
    return path


def basel_front(folder: Path) -> Path:
    return write_basel_front(folder / "BFM_model_front.mat", small_model())


def packed_mat(folder: Path) -> Path:
    """A compressed file of two variables."""
    path = folder / "packed.mat"
    values = {"meanshape": np.arange(30.0).reshape(1, -1), "idx": np.arange(5, dtype=np.int32)}
    savemat(path, values, do_compression=True)
    return path


def basel_hdf5(folder: Path) -> Path:
    return write_basel_hdf5(folder / "model2017.h5", small_model(), dict(IBUG_OF_NAME))


def model_npz(folder: Path) -> Path:
    save_npz(small_model(), folder / "model.npz")
    return folder / "model.npz"


def surrey(attacked: str) -> Callable[[Path], Path]:
    """eos' three files, one of them attacked."""

    def write(folder: Path) -> Path:
        write_surrey(folder, small_model())
        return folder / attacked

    return write


def flame(attacked: str) -> Callable[[Path], Path]:
    """FLAME's pickle and its landmark embedding, one of them attacked."""

    def write(folder: Path) -> Path:
        write_flame(folder, small_model())
        return folder / attacked

    return write


def expressions(attacked: str) -> Callable[[Path], Path]:
    """FaceWarehouse's two files, one of them attacked."""

    def write(folder: Path) -> Path:
        random = np.random.default_rng(0)
        write_expressions(folder, random.normal(size=(50, 3, 4)), random.normal(size=(50, 3)))
        return folder / attacked

    return write


def ict_index(folder: Path) -> Path:
    """The index of ICT-FaceKit; the meshes are read by another reader."""
    path = folder / "vertex_indices.json"
    index = {"expressions": ["smile"], "idx_to_landmark_verts": list(range(68))}
    path.write_text(json.dumps(index))
    return path


def checkpoint(folder: Path) -> Path:
    """A small regressor of `small_model`."""
    torch.manual_seed(0)
    network = NetworkRecipe("resnet18", width=4, image_size=32)
    regressor = FaceRegressor(
        network, CoefficientSizes.of(small_model()), mean_face_pose(small_model())
    )
    path = folder / "weights.pt"
    recipe = Recipe(name="small", network=network)
    save_weights(path, regressor, recipe, small_model().digest, steps=1, seed=0)
    return path


def old_checkpoint(folder: Path) -> Path:
    """The same in the layout before 2020."""
    path = checkpoint(folder)
    content = torch.load(path, weights_only=True)
    torch.save(content, path, _use_new_zipfile_serialization=False)
    return path


def state_dict(folder: Path) -> Path:
    """Public weights: tensors by name."""
    path = folder / "backbone.pth"
    network = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.BatchNorm1d(4))
    torch.save({"state_dict": network.state_dict()}, path)
    return path


def parser_weights(folder: Path) -> Path:
    """A small parser of this package."""
    from facebench.recon.network.vision_weights import save_network
    from facebench.recon.recipes.files import load_any_recipe

    torch.manual_seed(0)
    recipe = load_any_recipe("parser-embedded", ["network.width=4"])
    network = BiSeNet(width=4)
    save_network(folder / "parser.pt", network.state_dict(), recipe, steps=1, seed=0)  # type: ignore[arg-type]
    return folder / "parser.pt"


def landmarker_weights(folder: Path) -> Path:
    """A small landmark network of this package."""
    from facebench.recon.network.dense import LandmarkNetwork
    from facebench.recon.network.vision_weights import save_network
    from facebench.recon.recipes.files import load_any_recipe

    torch.manual_seed(0)
    recipe = load_any_recipe("landmarker", ["network.width=4", "network.image_size=32"])
    network = LandmarkNetwork(4, 32)
    save_network(folder / "landmarker.pt", network.state_dict(), recipe, steps=1, seed=0)  # type: ignore[arg-type]
    return folder / "landmarker.pt"


def text(name: str, content: str) -> Callable[[Path], Path]:
    """Writes a text file."""

    def write(folder: Path) -> Path:
        (folder / name).write_text(content, encoding="utf-8")
        return folder / name

    return write


def landmarks() -> np.ndarray:
    """Points (68, 3) of the small model's face."""
    return small_model().mean_shape[small_model().landmarks].astype(np.float64)


def landmarks_text() -> str:
    """The same, a point a line."""
    return "\n".join(" ".join(f"{x:.3f}" for x in row) for row in landmarks()) + "\n"


def array(folder: Path) -> Path:
    np.save(folder / "points.npy", landmarks())
    return folder / "points.npy"


def plane_array(folder: Path) -> Path:
    """Landmarks (68, 2) of a picture."""
    np.save(folder / "points.npy", _plane_points())
    return folder / "points.npy"


def picture(name: str, mode: str = "RGB") -> Callable[[Path], Path]:
    """A picture of 64 pixels a side."""

    def write(folder: Path) -> Path:
        pixels = np.random.default_rng(0).integers(0, 18, (64, 64, 3), np.uint8)
        image = Image.fromarray(pixels).convert(mode)
        image.save(folder / name)
        return folder / name

    return write


def video(name: str, codec: str) -> Callable[[Path], Path]:
    """Twelve frames."""

    def write(folder: Path) -> Path:
        import av

        path = folder / name
        kind = "mjpeg" if path.suffix == ".mjpg" else None
        with av.open(str(path), "w", format=kind) as container:
            stream = container.add_stream(codec, rate=25)
            stream.width, stream.height = 64, 48
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            for number in range(12):
                frame = np.full((48, 64, 3), 20 * number, np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            container.mux(stream.encode())
        return path

    return write


def archive(name: str) -> Callable[[Path], Path]:
    """Two photographs with labels in an archive."""

    def write(folder: Path) -> Path:
        inside = folder / "inside"
        inside.mkdir()
        files = [picture(f"{n}.jpg")(inside) for n in "ab"] + [picture("a_mask.png", "L")(inside)]
        files.append(text("b.txt", points_text())(inside))
        if name.endswith(".zip"):
            with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED) as packed:
                for file in files:
                    packed.write(file, file.name)
        else:
            with tarfile.open(folder / name, "w") as packed_tar:
                for file in files:
                    packed_tar.add(file, file.name)
        for file in files:
            file.unlink()
        inside.rmdir()
        return folder / name

    return write


def _plane_points() -> NDArray[np.float64]:
    """The landmarks (68, 2) of a face in a small picture, px."""
    return landmarks()[:, :2] * [0.2, -0.2] + 32


def points_text() -> str:
    """They as text, a point a line."""
    return "\n".join(" ".join(f"{x:.3f}" for x in row) for row in _plane_points()) + "\n"


def picked_points(names: bool) -> str:
    """MeshLab's file of seven points, or of one called nose."""
    points = landmarks()[SEVEN]
    rows = [
        f'<point x="{x:.3f}" y="{y:.3f}" z="{z:.3f}" active="1" name="{"nose" if names else i}"/>'
        for i, (x, y, z) in enumerate(points[: 1 if names else 7])
    ]
    return "<!DOCTYPE PickedPoints>\n<PickedPoints>\n" + "\n".join(rows) + "\n</PickedPoints>\n"


def pts() -> str:
    """iBUG's file."""
    return f"version: 1\nn_points: 68\n{{\n{points_text()}}}\n"


def full_checkpoint(folder: Path) -> Path:
    """A state to resume from, without its optimiser's tensors."""
    path = checkpoint(folder)
    content = torch.load(path, weights_only=True)
    write_content(path, content | {"optimiser": {}, "random": torch.get_rng_state(), "rows": 4})
    return path
