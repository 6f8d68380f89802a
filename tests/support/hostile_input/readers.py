"""Every reader of the package: a sound file for it, how it is called, what it is attacked with."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facebench.bench.landmarks import read_landmark_file, read_landmarks, read_nose_tip
from facebench.bench.method.mesh_files import read_vertices as read_landmark_vertices
from facebench.bench.protocol.record import read_protocol
from facebench.recon.face.coefficients import read_coefficients
from facebench.recon.face.crop import read_boxes, read_image_points
from facebench.recon.morphable.basel import read_basel_front, read_basel_hdf5, read_expressions
from facebench.recon.morphable.flame import read_flame
from facebench.recon.morphable.ict import read_index
from facebench.recon.morphable.landmarks import read_landmark_table
from facebench.recon.morphable.load import load_model
from facebench.recon.morphable.surrey import read_surrey
from facebench.recon.portraits.results import NAME as PORTRAITS
from facebench.recon.portraits.sources import read_photograph
from facebench.recon.recipes.files import load_any_recipe
from facebench.recon.vision.landmarks import make_landmark_detector
from facebench.recon.vision.parsing import make_parser
from facebench.results.gate.baseline import Baseline
from facebench.results.gate.rules import read_rules
from facebench.results.run.record import COST_FILE
from facebench.results.tracking.run import is_logged
from facebench.tests.support.hostile_input import calls, folders, samples
from facebench.tests.support.hostile_input.structured import (
    json_values,
    table_columns,
    tensor_values,
    zip_members,
)

Structured = Callable[[bytes, random.Random], bytes]


@dataclass(frozen=True)
class Reader:
    """One way into the package.

    Attributes:
        name: in the table.
        write: puts a sound file and what belongs to it into a folder; gives the file attacked.
        read: reads that file; answers, accepts, or fails.
        attacks: key of `crafted.CRAFTED`.
        structured: damage that keeps the file's form, or None.
    """

    name: str
    write: Callable[[Path], Path]
    read: Callable[[Path], object]
    attacks: str = ""
    structured: Structured | None = None


def now_list(folder: Path) -> Path:
    """A list of images and one prediction."""
    for name in ("scans/s", "scans_lmks_onlypp/s", "predictions/s/c"):
        (folder / name).mkdir(parents=True)
    samples.mesh_file("i.obj")(folder / "predictions/s/c")
    return samples.text("imagepathsvalidation.txt", "s/c/i.jpg\ns/c/j.jpg\n")(folder)


def _tensors(name: str, write: Callable[[Path], Path], read: Callable[[Path], object]) -> Reader:
    return Reader(name, write, read, ".pt", tensor_values)


_COEFFICIENTS = {
    "format": "facebench-coefficients-1",
    "identity": [0.1, 0.2],
    "albedo": [0.1],
    "frames": [
        {
            "expression": [0.1],
            "pose": dict.fromkeys(
                ("pitch_rad", "yaw_rad", "roll_rad", "x", "y", "z", "scale_per_mm"), 0.5
            ),
            "light": np.zeros((9, 3)).tolist(),
        }
    ],
}
_PORTRAIT = {
    "key": "k",
    "portrait": {"name": "a", "source": "a.jpg", "frames": 1, "faces": 1, "files": ["a.obj"]},
}
_RECIPE = 'base = "ours-embedded"\ntitle = "x"\n[network]\nwidth = 8\n[training]\nsteps = 6\n'
_PROTOCOL = 'preset = "now"\n[crop]\nradius_mm = 80.0\n[reduction]\npoints = "median"\n'
_RULES = "[[limit]]\nmax_mm = 1.5\n[[coverage]]\nsubjects = 0.9\n"
_OPTIONS = 'data = "data"\nunit = "cm"\nlimit = 30\nset = ["crop.radius_mm=80"]\n'
_BOXES = "frame,left,top,width,height\n0,1,2,30,40\n1,2,2,30,40\n"
_LOG = "step,loss\n1,0.5\n2,0.25\n"
_COST = '{"seconds_per_face": 0.1, "training_minutes": null, "method_digest": "a"}'
_LABEL = '{"nose_tip": [1.0, 2.0, 3.0]}'
_TABLE = "[landmark_mappings]\n" + "\n".join(f"{i} = {i * 3}" for i in range(1, 69)) + "\n"

_MESHES = ("face.obj", "face.ply", "face.glb", "face.off", "face.stl", "text.stl", "face.npz")
_VIDEOS = (
    ("clip.mp4", "mpeg4"),
    ("clip.avi", "mpeg4"),
    ("clip.mjpg", "mjpeg"),
    ("clip.mpg", "mpeg1video"),
    ("clip.mov", "mjpeg"),
    ("clip.mkv", "mpeg4"),
    ("clip.webm", "libvpx"),
)
_PICTURES = ("p.jpg", "p.png", "p.tif", "p.webp", "p.bmp", "p.ppm")


def _suffix(name: str) -> str:
    return "." + name.rpartition(".")[2]


READERS: tuple[Reader, ...] = (
    *(
        Reader(
            f"mesh {name}",
            samples.mesh_file(name),
            calls.mesh,
            _suffix(name),
            zip_members if name.endswith("npz") else None,
        )
        for name in _MESHES
    ),
    Reader("mesh text.ply", samples.text_ply, calls.mesh, ".ply"),
    Reader("model .obj", samples.mesh_file("mode.obj"), calls.obj_model, ".obj"),
    Reader("model .npz", samples.model_npz, load_model, ".npz", zip_members),
    Reader("Basel front .mat", samples.basel_front, read_basel_front, ".mat"),
    Reader("packed .mat", samples.packed_mat, calls.packed_mat, ".mat"),
    Reader("Basel .h5", samples.basel_hdf5, lambda p: read_basel_hdf5(p, "2017"), ".h5"),
    Reader("eos shape .bin", samples.surrey("sfm_shape_3448.bin"), read_surrey),
    Reader(
        "eos expressions .bin",
        samples.surrey("expression_blendshapes_3448.bin"),
        lambda p: read_surrey(p.parent / "sfm_shape_3448.bin"),
    ),
    Reader("FLAME .pkl", samples.flame("generic_model.pkl"), read_flame),
    Reader(
        "FLAME landmarks .npy",
        samples.flame("landmark_embedding.npy"),
        lambda p: read_flame(p.parent / "generic_model.pkl"),
    ),
    Reader(
        "FaceWarehouse .bin",
        samples.expressions("Exp_Pca.bin"),
        lambda p: read_expressions(p.parent, 50),
    ),
    Reader(
        "FaceWarehouse .txt",
        samples.expressions("std_exp.txt"),
        lambda p: read_expressions(p.parent, 50),
    ),
    Reader("ICT index .json", samples.ict_index, read_index, ".json", json_values),
    Reader(
        "landmark table .toml",
        samples.text("table.txt", _TABLE),
        lambda p: read_landmark_table(p, 2000),
        ".toml",
    ),
    Reader(
        "landmark table .txt",
        samples.text("table.txt", " ".join(map(str, range(68)))),
        lambda p: read_landmark_table(p, 2000),
    ),
    _tensors("weights .pt", samples.checkpoint, calls.regressor),
    _tensors("weights .pt, old layout", samples.old_checkpoint, calls.regressor),
    _tensors("checkpoint .pt", samples.full_checkpoint, calls.regressor),
    _tensors("public weights .pth", samples.state_dict, calls.state_dict),
    _tensors("parser .pt", samples.parser_weights, make_parser),
    _tensors("landmarker .pt", samples.landmarker_weights, make_landmark_detector),
    Reader(
        "recipe .toml",
        samples.text("recipe.toml", _RECIPE),
        lambda p: load_any_recipe(str(p)),
        ".toml",
    ),
    Reader("protocol .toml", samples.text("protocol.toml", _PROTOCOL), read_protocol, ".toml"),
    Reader("gate rules .toml", samples.text("gates.toml", _RULES), read_rules, ".toml"),
    Reader("options .toml", samples.text("options.toml", _OPTIONS), calls.options, ".toml"),
    Reader(
        "coefficients .json",
        samples.text("a.json", json.dumps(_COEFFICIENTS)),
        read_coefficients,
        ".json",
        json_values,
    ),
    Reader(
        "gate baseline .json",
        folders.run_folder("baseline.json"),
        Baseline.read,
        ".json",
        json_values,
    ),
    Reader("run.json", folders.run_folder("run.json"), calls.run, ".json", json_values),
    Reader(
        "run.json in a report", folders.run_folder("run.json"), calls.report, ".json", json_values
    ),
    Reader("summary.json", folders.run_folder("summary.json"), calls.run, ".json", json_values),
    Reader(
        "summary.json in a report",
        folders.run_folder("summary.json"),
        calls.report,
        "",
        json_values,
    ),
    Reader(
        "items.parquet", folders.run_folder("items.parquet"), calls.run, ".parquet", table_columns
    ),
    Reader(
        "items.parquet in a report",
        folders.run_folder("items.parquet"),
        calls.report,
        "",
        table_columns,
    ),
    Reader(
        "items.parquet in compare",
        folders.run_folder("items.parquet"),
        calls.compare,
        "",
        table_columns,
    ),
    Reader("ledger .parquet", folders.ledger, calls.ledger, ".parquet", table_columns),
    Reader(
        "distances .parquet", folders.point_errors, calls.point_errors, ".parquet", table_columns
    ),
    Reader("shards .parquet", folders.shards, calls.shards, ".parquet", table_columns),
    Reader("prepare work .parquet", folders.prepared_work, calls.work, ".parquet", table_columns),
    Reader(
        "prepare plan.json",
        samples.text("plan.json", '{"image_size": 224}'),
        calls.plan,
        ".json",
        json_values,
    ),
    Reader(
        "mlflow.json",
        samples.text("mlflow.json", '{"logged": true, "run_id": "x"}'),
        lambda p: is_logged(p.parent),
        ".json",
        json_values,
    ),
    Reader(
        "portraits.jsonl",
        samples.text(PORTRAITS, json.dumps(_PORTRAIT)),
        calls.portraits,
        ".json",
        json_values,
    ),
    Reader("training log.csv", samples.text("log.csv", _LOG), calls.log),
    Reader("truth .npz", folders.truth, calls.truth, ".npz", zip_members),
    Reader("landmarks .txt", samples.text("points.txt", samples.landmarks_text()), read_landmarks),
    Reader("landmarks .npy", samples.array, read_landmark_file, ".npy"),
    Reader(
        "landmarks .pp",
        samples.text("points.pp", samples.picked_points(False)),
        read_landmark_file,
        ".pp",
    ),
    Reader(
        "landmark vertices .txt",
        samples.text("landmarks.txt", " ".join(map(str, range(68)))),
        read_landmark_vertices,
    ),
    Reader("figure landmarks .pts", samples.text("p.pts", samples.pts()), read_image_points),
    Reader("figure landmarks .npy", samples.plane_array, read_image_points, ".npy"),
    Reader("method cost .json", samples.text(COST_FILE, _COST), calls.cost, ".json", json_values),
    Reader("nose tip .txt", samples.text("nose.txt", "1.0 2.0 3.0\n"), read_nose_tip),
    Reader(
        "nose tip .json", samples.text("nose.json", _LABEL), read_nose_tip, ".json", json_values
    ),
    Reader(
        "nose tip .pp", samples.text("nose.pp", samples.picked_points(True)), read_nose_tip, ".pp"
    ),
    Reader("boxes .csv", samples.text("clip.boxes.csv", _BOXES), read_boxes),
    Reader("NoW list .txt", now_list, calls.now_list),
    Reader("prepare .pts", samples.text("p.pts", samples.pts()), calls.pts),
    Reader("prepare mask .png", samples.picture("m.png", "L"), calls.mask, ".jpg"),
    Reader("prepare .zip", samples.archive("photographs.zip"), calls.prepared, ".zip", zip_members),
    Reader("prepare .tar", samples.archive("photographs.tar"), calls.prepared, ".tar"),
    Reader("prepare .jpg", samples.picture("p.jpg"), calls.prepared, ".jpg"),
    Reader("CelebAMask .jpg", folders.celebamask("0.jpg"), calls.celebamask, ".jpg"),
    Reader("CelebAMask part .png", folders.celebamask("*_skin.png"), calls.celebamask, ".jpg"),
    *(
        Reader(f"photograph {name[1:]}", samples.picture(name), read_photograph, ".jpg")
        for name in _PICTURES
    ),
    *(
        Reader(f"video {name[4:]}", samples.video(name, codec), calls.frames, ".mp4")
        for name, codec in _VIDEOS
    ),
)
"""All of them, in the order of the table."""
