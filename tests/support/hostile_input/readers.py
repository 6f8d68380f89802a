"""Every reader of the package: a sound file for it, how it is called, what it is attacked with."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from facebench.bench.audit.people import read_person
from facebench.bench.dataset.registry import read_listing
from facebench.bench.landmarks import read_landmark_file, read_landmarks, read_nose_tip
from facebench.bench.meshes.clean import clean_mesh
from facebench.bench.meshes.files import load_mesh
from facebench.bench.method.mesh_files import read_vertices as read_landmark_vertices
from facebench.bench.protocol.record import read_protocol
from facebench.cli._options import read_options
from facebench.recon.face.coefficients import read_coefficients
from facebench.recon.face.crop import Box, read_boxes, read_image_points
from facebench.recon.mesh import Mesh
from facebench.recon.morphable import ict as obj
from facebench.recon.morphable.basel import read_basel_front, read_basel_hdf5, read_expressions
from facebench.recon.morphable.flame import read_flame
from facebench.recon.morphable.ict import read_index
from facebench.recon.morphable.landmarks import read_landmark_table
from facebench.recon.morphable.load import load_model
from facebench.recon.morphable.mat5 import read_mat
from facebench.recon.morphable.surrey import read_surrey
from facebench.recon.network.tensor_files import architecture_of, read_state_dict
from facebench.recon.portraits.results import NAME as PORTRAITS
from facebench.recon.portraits.results import ResultLedger
from facebench.recon.portraits.sources import Source, read_photograph
from facebench.recon.preparation.candidates import (
    PreparationSettings,
    decode_landmarks,
    decode_mask,
    find_faces,
)
from facebench.recon.preparation.folder import WorkFolder
from facebench.recon.preparation.listing import list_photographs
from facebench.recon.recipes.files import load_any_recipe
from facebench.recon.regressors.checkpoint import load_regressor
from facebench.recon.training.loop import TrainingFolder
from facebench.recon.training.shards import FaceShards
from facebench.recon.training.tasks.parser import CelebAMaskFaces
from facebench.recon.video.decode import read_chunks
from facebench.recon.video.encode import frame_rate
from facebench.recon.vision.landmarks import make_landmark_detector
from facebench.recon.vision.parsing import make_parser
from facebench.results.gate.baseline import Baseline
from facebench.results.gate.rules import read_rules
from facebench.results.run.items import PointErrors
from facebench.results.run.ledger import Ledger
from facebench.results.run.record import COST_FILE, read_cost
from facebench.results.tables.basis import refuse_unfinished
from facebench.results.tracking.run import is_logged, open_runs
from facebench.tests.support.hostile_input import folders, samples
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


def _mesh(path: Path) -> None:
    clean_mesh(load_mesh(path))


def _obj_model(path: Path) -> None:
    obj.read_vertices(path)
    obj.read_faces(path)


def _packed_mat(path: Path) -> None:
    read_mat(path, ("meanshape", "idx"), "")


def _regressor(path: Path) -> None:
    load_regressor(path, samples.small_model())


def _state_dict(path: Path) -> None:
    architecture_of(read_state_dict(path, "the web"))


def _frames(path: Path) -> None:
    frame_rate(path)
    for chunk in read_chunks(path, "subject_01/indoor", limit=200):
        _one_line(chunk.reason)


class _OneFace:
    """Finds a face in the middle of whatever it is shown."""

    def detect(self, frame: Any) -> Box | None:
        return Box(1.0, 1.0, float(frame.shape[1]), float(frame.shape[0]))

    def detect_all(self, frame: Any) -> list[Box]:
        return [Box(1.0, 1.0, float(frame.shape[1]), float(frame.shape[0]))]


def _prepared(path: Path) -> None:
    listing = list_photographs([path])
    for rejected in listing.unreadable.values():
        _one_line(str(rejected))
    for photograph in listing.photographs[:20]:
        faces = find_faces(photograph, _OneFace(), PreparationSettings(image_size=32))
        for *_, rejected in faces.rejected:
            _one_line(str(rejected))


def _one_line(reason: str) -> None:
    if "\n" in reason:
        raise AssertionError(f"several lines: {reason!r}")


def _mask(path: Path) -> None:
    decode_mask(path.read_bytes(), (64, 64))


def _pts(path: Path) -> None:
    decode_landmarks(path.read_bytes(), path.name)


def _options(path: Path) -> None:
    from facebench.cli.run import micc as command

    read_options(path, command)


def _shards(path: Path) -> None:
    faces = FaceShards(path.parent)
    for row in range(min(len(faces), 8)):
        try:
            faces.sample(row)
        except Exception as error:
            if type(error).__name__ != "FacebenchError":
                raise
            _one_line(str(error))
    len(faces.subjects)
    faces.coefficients(range(min(len(faces), 2)))


def _celebamask(path: Path) -> None:
    root = next(p for p in path.parents if (p / "CelebA-HQ-img").is_dir())
    CelebAMaskFaces(root).sample(0)


def _ledger(path: Path) -> None:
    kept = Ledger(path.parents[2])
    kept.table()
    kept.progress()
    kept.total(folders.CLIP)
    kept.frames_per_second()


def _run(path: Path) -> None:
    with open_runs([str(path.parent)]) as (run,):
        refuse_unfinished(run)


def _report(path: Path) -> None:
    from facebench.results.report import write_report

    with open_runs([str(path.parent)]) as (run,):
        refuse_unfinished(run)
        page = write_report(run).read_text("utf-8")
    if "<script>alert" in page or "</script><script>" in page:
        raise AssertionError("a name became a script")


def _compare(path: Path) -> None:
    from facebench.results.compare import FORMS, compare, comparison_text

    with open_runs([str(path.parent)]) as runs:
        for run in runs:
            refuse_unfinished(run)
        comparison = compare(runs)
        for form in FORMS:
            comparison_text(comparison, form)


def _point_errors(path: Path) -> None:
    PointErrors(path.parent.parent).read("subject_01/indoor")


def _portraits(path: Path) -> None:
    ledger = ResultLedger(path.parent, {})
    ledger._rows = {ledger._key(_SOURCE): row for row in ledger._rows.values()}
    ledger.find(_SOURCE)


_SOURCE = Source("a", Path("a.jpg"))


def _work(path: Path) -> None:
    WorkFolder(path.parent).index([])


def _plan(path: Path) -> None:
    WorkFolder(path.parent).claim({"image_size": 224})


def _now_list(path: Path) -> None:
    read_listing("now", path.parent)


def now_list(folder: Path) -> Path:
    """A list of images and one prediction."""
    for name in ("scans/s", "scans_lmks_onlypp/s", "predictions/s/c"):
        (folder / name).mkdir(parents=True)
    samples.mesh_file("i.obj")(folder / "predictions/s/c")
    return samples.text("imagepathsvalidation.txt", "s/c/i.jpg\ns/c/j.jpg\n")(folder)


def _cost(path: Path) -> None:
    read_cost(path.parent)


def _log(path: Path) -> None:
    TrainingFolder(path.parent).read(path)
    TrainingFolder(path.parent).rewind(3)


def _truth(path: Path) -> None:
    read_person(path, samples.small_model(), "frontal1", Mesh(np.zeros((0, 3)), np.zeros((0, 3))))


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
            _mesh,
            _suffix(name),
            zip_members if name.endswith("npz") else None,
        )
        for name in _MESHES
    ),
    Reader("mesh text.ply", samples.text_ply, _mesh, ".ply"),
    Reader("model .obj", samples.mesh_file("mode.obj"), _obj_model, ".obj"),
    Reader("model .npz", samples.model_npz, load_model, ".npz", zip_members),
    Reader("Basel front .mat", samples.basel_front, read_basel_front, ".mat"),
    Reader("packed .mat", samples.packed_mat, _packed_mat, ".mat"),
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
    _tensors("weights .pt", samples.checkpoint, _regressor),
    _tensors("weights .pt, old layout", samples.old_checkpoint, _regressor),
    _tensors("checkpoint .pt", samples.full_checkpoint, _regressor),
    _tensors("public weights .pth", samples.state_dict, _state_dict),
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
    Reader("options .toml", samples.text("options.toml", _OPTIONS), _options, ".toml"),
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
    Reader("run.json", folders.run_folder("run.json"), _run, ".json", json_values),
    Reader("run.json in a report", folders.run_folder("run.json"), _report, ".json", json_values),
    Reader("summary.json", folders.run_folder("summary.json"), _run, ".json", json_values),
    Reader(
        "summary.json in a report", folders.run_folder("summary.json"), _report, "", json_values
    ),
    Reader("items.parquet", folders.run_folder("items.parquet"), _run, ".parquet", table_columns),
    Reader(
        "items.parquet in a report",
        folders.run_folder("items.parquet"),
        _report,
        "",
        table_columns,
    ),
    Reader(
        "items.parquet in compare",
        folders.run_folder("items.parquet"),
        _compare,
        "",
        table_columns,
    ),
    Reader("ledger .parquet", folders.ledger, _ledger, ".parquet", table_columns),
    Reader("distances .parquet", folders.point_errors, _point_errors, ".parquet", table_columns),
    Reader("shards .parquet", folders.shards, _shards, ".parquet", table_columns),
    Reader("prepare work .parquet", folders.prepared_work, _work, ".parquet", table_columns),
    Reader(
        "prepare plan.json",
        samples.text("plan.json", '{"image_size": 224}'),
        _plan,
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
        _portraits,
        ".json",
        json_values,
    ),
    Reader("training log.csv", samples.text("log.csv", _LOG), _log),
    Reader("truth .npz", folders.truth, _truth, ".npz", zip_members),
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
    Reader("method cost .json", samples.text(COST_FILE, _COST), _cost, ".json", json_values),
    Reader("nose tip .txt", samples.text("nose.txt", "1.0 2.0 3.0\n"), read_nose_tip),
    Reader(
        "nose tip .json", samples.text("nose.json", _LABEL), read_nose_tip, ".json", json_values
    ),
    Reader(
        "nose tip .pp", samples.text("nose.pp", samples.picked_points(True)), read_nose_tip, ".pp"
    ),
    Reader("boxes .csv", samples.text("clip.boxes.csv", _BOXES), read_boxes),
    Reader("NoW list .txt", now_list, _now_list),
    Reader("prepare .pts", samples.text("p.pts", samples.pts()), _pts),
    Reader("prepare mask .png", samples.picture("m.png", "L"), _mask, ".jpg"),
    Reader("prepare .zip", samples.archive("photographs.zip"), _prepared, ".zip", zip_members),
    Reader("prepare .tar", samples.archive("photographs.tar"), _prepared, ".tar"),
    Reader("prepare .jpg", samples.picture("p.jpg"), _prepared, ".jpg"),
    Reader("CelebAMask .jpg", folders.celebamask("0.jpg"), _celebamask, ".jpg"),
    Reader("CelebAMask part .png", folders.celebamask("*_skin.png"), _celebamask, ".jpg"),
    *(
        Reader(f"photograph {name[1:]}", samples.picture(name), read_photograph, ".jpg")
        for name in _PICTURES
    ),
    *(
        Reader(f"video {name[4:]}", samples.video(name, codec), _frames, ".mp4")
        for name, codec in _VIDEOS
    ),
)
"""All of them, in the order of the table."""
