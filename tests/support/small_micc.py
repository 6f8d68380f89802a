"""Small folders in MICC's layout around a real photograph, and checkpoints of random weights."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from skimage.data import astronaut

from facebench.recon.export.mesh_files import write_obj
from facebench.recon.face.coefficients import CoefficientSizes
from facebench.recon.face.crop import mean_face_pose
from facebench.recon.mesh import Mesh
from facebench.recon.morphable.model import MorphableModel
from facebench.recon.recipes.regressor import NetworkRecipe, Recipe
from facebench.recon.regressors.checkpoint import save_weights
from facebench.recon.regressors.regressor import FaceRegressor

CODECS = {".avi": "mpeg4", ".mjpg": "mjpeg", ".mpg": "mpeg1video", ".mov": "mpeg4"}
STEMS = {"cooperative": "Indoor-Cooperative", "indoor": "PTZ-Indoor", "outdoor": "PTZ-Outdoor"}


def moving_face(n_frames: int, seed: int = 0) -> NDArray[np.uint8]:
    """Frames (N, 240, 320, 3) of a photographed face that moves about."""
    picture = Image.fromarray(astronaut())
    phase = np.random.default_rng(seed).uniform(0, 6)
    lefts = (40 + 25 * np.sin(phase + np.arange(n_frames) / 5)).astype(int)
    return np.stack([np.asarray(picture.crop((x, 5, x + 320, 245))) for x in lefts])


def write_video(path: Path, frames: NDArray[np.uint8]) -> Path:
    """Encode (N, H, W, 3) frames in the format of the file's ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    codec = CODECS[path.suffix]
    with av.open(str(path), "w", format="mjpeg" if path.suffix == ".mjpg" else None) as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.bit_rate = 2_000_000
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path


def clip_path(root: Path, subject: int, scene: str, suffix: str = ".avi") -> Path:
    """Where MICC keeps a clip."""
    return root / f"subject_{subject:02d}" / "Video" / f"{STEMS[scene]}{suffix}"


def scan_path(root: Path, subject: int) -> Path:
    """Where MICC keeps a scan."""
    return root / f"subject_{subject:02d}" / "Model" / "frontal1" / "obj" / "111213141516.obj"


def write_scan(path: Path, model: MorphableModel, seed: int = 0, labelled: bool = False) -> Path:
    """A person of the model, pitched 45 degrees down and somewhere in space, as an OBJ in mm.

    With its landmarks beside it where it is labelled: no pose is searched for then.
    """
    rng = np.random.default_rng(seed)
    person = model.mesh(identity=rng.normal(size=model.identity_basis.shape[2]))
    c, s = np.cos(np.pi / 4), np.sin(np.pi / 4)
    turn = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    path.parent.mkdir(parents=True, exist_ok=True)
    vertices = person.vertices @ turn.T + rng.uniform(-300, 300, 3)
    write_obj(Mesh(vertices, person.triangles), path)
    if labelled:
        np.savetxt(path.with_suffix(".landmarks.txt"), vertices[model.landmarks])
    return path


def write_subject(
    root: Path,
    subject: int,
    model: MorphableModel,
    scenes: tuple[str, ...],
    n_frames: int,
    labelled: bool = False,
) -> None:
    """A subject with a scan and a clip of each scene."""
    write_scan(scan_path(root, subject), model, seed=subject, labelled=labelled)
    for number, scene in enumerate(scenes):
        frames = moving_face(n_frames, seed=10 * subject + number)
        write_video(clip_path(root, subject, scene), frames)


SMALL_NETWORK = NetworkRecipe(architecture="resnet18", width=8, image_size=32)


def write_random_weights(
    path: Path, model: MorphableModel, network: NetworkRecipe = SMALL_NETWORK
) -> Path:
    """A checkpoint of `ours` whose small network answers something different for every picture."""
    torch.manual_seed(0)
    regressor = FaceRegressor(network, CoefficientSizes.of(model), mean_face_pose(model))
    torch.nn.init.normal_(regressor.backbone.fc.weight, std=0.1)
    save_weights(
        path, regressor, Recipe(name="random", network=network), model.digest, steps=1, seed=0
    )
    return path
