"""Each task learns a handful of faces by heart, resumes bit for bit, and leaves what loads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from training_faces import SIZE, write_training_faces

from facebench.errors import FacebenchError
from facebench.recon.network.tensor_files import read_content
from facebench.recon.recipes.files import load_any_recipe, training_of
from facebench.recon.training.optimise import Row
from facebench.recon.training.run import TrainingJob, make_loop, train_worker
from facebench.recon.training.shards import FaceShards
from facebench.recon.training.workers import ProcessGroup, Worker
from facebench.recon.vision.landmarks import NetworkLandmarks, make_landmark_detector
from facebench.recon.vision.parsing import make_parser
from facebench.recon.vision.recognition import make_recogniser

ALONE = Worker()
PLAIN = (
    *(f"augmentation.{name}=0" for name in ("shift", "zoom", "turn", "gain", "contrast", "cover")),
    *("flip=0.0", "optimiser.warmup_steps=5", "optimiser.learning_rate=5e-3"),
    *("training.batch_size=12", "training.log_every=10", "training.validate_every=1000"),
    "network.width=8",
)
SMALL = {
    "landmarker": (
        *("network.image_size=64", "training.steps=80", "optimiser.learning_rate=1e-2"),
    ),
    "parser-embedded": ("network.image_size=64", "training.steps=60"),
    "recogniser-embedded": (
        *("network.image_size=32", "network.outputs=16", f"photograph_side={SIZE}"),
        *("training.steps=60", "point_noise=0.2", "optimiser.learning_rate=2e-3"),
    ),
}


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_training_faces(tmp_path_factory.mktemp("tasks"))


def job(name: str, faces: Path, out: Path, *settings: str) -> TrainingJob:
    checkpoints = "training.checkpoint_every=20"
    recipe = load_any_recipe(name, [*PLAIN, *SMALL[name], checkpoints, *settings])
    return TrainingJob(faces, recipe, "embedded", out, validation=faces)


def quietly(row: Row) -> None:
    """Nobody listens."""


def trained(name: str, faces: Path, out: Path) -> tuple[TrainingJob, Row]:
    done = job(name, faces, out)
    train_worker(done, ALONE, quietly)
    assert done.folder.fits.is_file()
    return done, done.folder.read(done.folder.validation)[-1]


def test_a_landmarker_learns_the_faces_it_sees(faces: Path, tmp_path: Path) -> None:
    done, measures = trained("landmarker", faces, tmp_path)
    assert measures["landmark_px"] < 10.0
    detector = make_landmark_detector(done.folder.weights)
    assert isinstance(detector, NetworkLandmarks)
    samples = [FaceShards(faces).sample(number) for number in range(8)]
    pixels = torch.from_numpy(np.stack([sample.image for sample in samples])).permute(0, 3, 1, 2)
    larger = torch.nn.functional.interpolate(pixels.float(), (64, 64), mode="bilinear")
    found = detector.of_crops(larger.byte().permute(0, 2, 3, 1).numpy())
    found = (found + 0.5) * SIZE / 64 - 0.5
    away = np.linalg.norm(found - np.stack([sample.landmarks for sample in samples]), axis=2)
    # Over several: which face comes out worst differs between processors.
    assert away.mean() < 12.0 * SIZE / 224


def test_a_parser_learns_the_faces_it_sees(faces: Path, tmp_path: Path) -> None:
    done, measures = trained("parser-embedded", faces, tmp_path)
    assert measures["mean_iou"] > 0.8
    sample = FaceShards(faces).sample(1)
    image = torch.from_numpy(sample.image.copy()).permute(2, 0, 1)[None] / 255.0
    found = make_parser(done.folder.weights)(image)[0].numpy()
    assert (found == sample.mask).mean() > 0.95


def test_a_recogniser_tells_the_people_it_sees(faces: Path, tmp_path: Path) -> None:
    done, measures = trained("recogniser-embedded", faces, tmp_path)
    assert measures["separation"] > 0.98
    shards = FaceShards(faces)
    samples = [shards.sample(row) for row in range(len(shards))]
    images = torch.stack([torch.from_numpy(s.image.copy()).permute(2, 0, 1) for s in samples])
    points = torch.from_numpy(np.stack([s.landmarks for s in samples], axis=2))
    features = make_recogniser(done.folder.weights)(images / 255.0, points)
    unit = torch.nn.functional.normalize(features)
    people = np.array(shards.subjects)
    same = torch.from_numpy(people[:, None] == people) & ~torch.eye(len(people), dtype=torch.bool)
    cosines, other = unit @ unit.T, torch.from_numpy(people[:, None] != people)
    assert cosines[same].mean() > cosines[other].mean() + 0.3


@pytest.mark.parametrize("name", SMALL)
def test_a_resumed_training_equals_an_uninterrupted_one(
    name: str, faces: Path, tmp_path: Path
) -> None:
    class StoppedError(Exception):
        pass

    def stop(row: Row) -> None:
        if row["step"] == 3:
            raise StoppedError

    short = ("training.steps=4", "training.log_every=1", "training.checkpoint_every=2")
    whole = job(name, faces, tmp_path / "whole", *short, "training.batch_size=4", "flip=0.5")
    train_worker(whole, ALONE, quietly)
    stopped = replace(whole, out=tmp_path / "stopped")
    with pytest.raises(StoppedError):
        train_worker(stopped, ALONE, stop)
    assert stopped.steps_done() == 2
    train_worker(stopped, ALONE, quietly)
    ours, theirs = (read_content(one.folder.checkpoint)["weights"] for one in (stopped, whole))
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


def test_a_checkpoint_of_another_network_is_refused(faces: Path, tmp_path: Path) -> None:
    short = ("training.steps=2", "training.log_every=1", "training.checkpoint_every=2")
    train_worker(job("landmarker", faces, tmp_path, *short), ALONE, quietly)
    with pytest.raises(FacebenchError, match="another recipe"):
        make_loop(job("parser-embedded", faces, tmp_path, *short), ALONE, quietly).resume()
    with pytest.raises(FacebenchError, match="checkpoint to resume from"):
        make_landmark_detector(tmp_path / "checkpoint.pt")


def test_one_photograph_a_person_teaches_no_recogniser(tmp_path: Path) -> None:
    alone = write_training_faces(tmp_path, subjects=3, frames=1)
    with pytest.raises(FacebenchError, match="3 people with at most 1 photographs each"):
        make_loop(job("recogniser-embedded", alone, tmp_path / "out"), ALONE, quietly)


def broken(faces: Path, folder: Path, rows: int) -> FaceShards:
    """The same faces, the first so many of them unreadable."""
    table = pq.read_table(faces / "faces.parquet")
    images = [b"no picture"] * rows + table["image"].to_pylist()[rows:]
    place = table.column_names.index("image")
    folder.mkdir()
    pq.write_table(table.set_column(place, "image", pa.array(images)), folder / "faces.parquet")
    return FaceShards(folder)


@pytest.mark.parametrize("name", SMALL)
def test_photographs_that_cannot_be_read_are_counted(
    name: str, faces: Path, tmp_path: Path
) -> None:
    recipe = job(name, faces, tmp_path).recipe
    learner = training_of(recipe)(recipe, 6, ProcessGroup())
    whole = learner.measure(FaceShards(faces), ALONE.device)
    some = learner.measure(broken(faces, tmp_path / "some", 3), ALONE.device)
    assert (whole["unreadable"], some["unreadable"]) == (0.0, 3.0)
    with pytest.raises(FacebenchError, match=r"none of 12 photographs in .* can be read"):
        learner.measure(broken(faces, tmp_path / "none", 12), ALONE.device)


def test_a_job_survives_its_own_table(faces: Path, tmp_path: Path) -> None:
    for name in SMALL:
        asked = job(name, faces, tmp_path)
        assert TrainingJob.from_table(asked.as_table()) == asked
