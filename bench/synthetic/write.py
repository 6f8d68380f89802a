"""A dataset in MICC's own layout, made from a face model: scans, videos and, elsewhere, the truth.

`DIR/subject_NN/Model/{frontal1,frontal2}/obj/<timestamp>.obj` and
`DIR/subject_NN/Video/{Indoor-Cooperative,PTZ-Indoor,PTZ-Outdoor}.<suffix>`; what is true of each
subject lies in `DIR-truth`, which no benchmark reads.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import as_completed
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...processes import worker_processes
from ...recon.face.crop import write_boxes
from ...recon.files.text import hold_to_plan
from ...recon.files.writing import atomic_write, lock_folder
from ...recon.mesh import Mesh
from ...recon.morphable.load import load_model
from ...recon.synthetic.appearance import (
    random_albedo,
    random_appearance,
    required_landmarks,
    standard_normal,
    without_headwear,
)
from ...recon.synthetic.clothing import ClothedModel
from ...recon.synthetic.faces import combine_modes
from ...recon.synthetic.photograph import random_stream
from ...recon.synthetic.scene import SceneRenderer
from ..datasets.micc import BOXES_SUFFIX
from .scan import DetailSampler, random_placement, scan_surface, write_obj
from .video import ENCODERS, STYLES, Camera, Person, boxes_in_view, encode

SCAN_NAMES = ("frontal1", "frontal2")


@dataclass(frozen=True)
class MiccPlan:
    """What decides every byte of a synthetic set.

    Attributes:
        model: as given to `load_model`.
        model_digest: of that model.
        subjects: number of people.
        frames: frames of each video.
        scenes: which videos there are.
        boxes: whether a box file lies beside each video.
        seed: of all chance.
    """

    model: str
    model_digest: str
    subjects: int
    frames: int
    scenes: tuple[str, ...]
    boxes: bool
    seed: int


def truth_folder(folder: Path) -> Path:
    """Where the truth of a synthetic set lies: beside it, never inside."""
    return folder.with_name(folder.name + "-truth")


def write_micc(plan: MiccPlan, folder: Path, workers: int, done: Callable[[int], None]) -> None:
    """Write the subjects that are missing in a folder.

    Args:
        plan: what to make; the same plan gives the same files with any number of workers.
        folder: the set; finished subjects of the same plan are kept.
        workers: processes; 1 works in this one.
        done: called with the number of subjects finished since the last call.

    Raises:
        FacebenchError: the folder holds another set or something else, or another command writes
            to it.
    """
    truth = truth_folder(folder)
    with (
        # Sets of version 0.1 are known by the truth beside them.
        lock_folder(truth, "synth micc", ("plan.json",)),
        lock_folder(folder, "synth micc", ("*",) if (truth / "plan.json").is_file() else ()),
    ):
        _write_missing(plan, folder, workers, done)


def _write_missing(plan: MiccPlan, folder: Path, workers: int, done: Callable[[int], None]) -> None:
    truth = truth_folder(folder)
    # The model by digest and not by path; as JSON has it, which knows no tuples.
    settings = json.loads(json.dumps(asdict(plan)))
    del settings["model"]
    hold_to_plan(truth / "plan.json", settings, folder, truth)
    numbers = range(1, plan.subjects + 1)
    missing = [number for number in numbers if not _truth_path(folder, number).exists()]
    done(plan.subjects - len(missing))
    for _ in _each(plan, folder, missing, workers):
        done(1)


def _each(plan: MiccPlan, folder: Path, numbers: list[int], workers: int) -> Iterator[None]:
    """Write the subjects here or in worker processes; yields once for each as it is done."""
    if workers == 1 or len(numbers) < 2:
        for number in numbers:
            _write_subject(plan, folder, number)
            yield
        return
    with worker_processes(workers, __name__) as pool:
        jobs = [pool.submit(_write_subject, plan, folder, number) for number in numbers]
        for job in as_completed(jobs):
            job.result()
            yield


def subject_name(number: int) -> str:
    """MICC's name of a subject, counted from 1."""
    return f"subject_{number:02d}"


def _truth_path(folder: Path, number: int) -> Path:
    return truth_folder(folder) / f"{subject_name(number)}.npz"


class _Workshop:
    """Everything that is fitted to a model once and serves all subjects."""

    def __init__(self, source: str) -> None:
        self.model = load_model(source)
        self.renderer = SceneRenderer(ClothedModel(self.model))
        self.detail = DetailSampler(self.model)

    def person(self, seed: int, number: int) -> tuple[Person, NDArray[np.float64]]:
        """A subject and the part of its shape that the model lacks (V, 3)."""
        generator = random_stream(seed, "micc", number)
        identity = standard_normal(generator, self.model.identity_basis.shape[2])
        albedo = random_albedo(generator, self.model)
        detail = self.detail.field(random_stream(seed, "micc", number, "detail"))
        neutral = (
            self.model.mean_shape + combine_modes(self.model.identity_basis, identity) + detail
        )
        return Person(
            neutral, identity, albedo, without_headwear(random_appearance(generator))
        ), detail


# One workshop per process.
_workshop = lru_cache(maxsize=1)(_Workshop)


def _write_subject(plan: MiccPlan, folder: Path, number: int) -> None:
    """Write scans, videos and last the truth, which says that the subject is finished."""
    workshop = _workshop(plan.model)
    person, detail = workshop.person(plan.seed, number)
    home = folder / subject_name(number)
    truth: dict[str, Any] = {
        "model_digest": plan.model_digest,
        "identity": person.identity,
        "albedo": person.albedo,
        "detail": detail,
        "vertices": person.neutral,
        "triangles": workshop.model.triangles,
    }
    for name in SCAN_NAMES:
        truth |= _write_scan(workshop, person, plan, home, (number, name))
    for scene in plan.scenes:
        truth |= _write_clip(workshop, person, plan, home, (number, scene))
    path = _truth_path(folder, number)
    # An open file: NumPy would add its own ending to a draft's name.
    with atomic_write(path) as draft, draft.open("wb") as file:
        np.savez_compressed(file, **truth)


def _write_scan(
    workshop: _Workshop, person: Person, plan: MiccPlan, home: Path, key: tuple[int, str]
) -> dict[str, Any]:
    generator = random_stream(plan.seed, "micc", *key, "scan")
    landmarks = required_landmarks(workshop.model, person.neutral)
    scalp = workshop.renderer.clothed_model.bare_vertices(person.neutral, person.appearance)
    whole = np.concatenate([person.neutral, scalp])
    surface = scan_surface(generator, whole, workshop.renderer.clothed_model.triangles, landmarks)
    placement = random_placement(generator)
    path = home / "Model" / key[1] / "obj" / f"{_timestamp(generator)}.obj"
    path.parent.mkdir(parents=True, exist_ok=True)
    for old in path.parent.glob("*.obj"):
        old.unlink()
    points = placement.apply(np.asarray(surface.vertices, np.float64))
    write_obj(path, Mesh(points, surface.triangles))
    return {
        f"{key[1]}_rotation": placement.rotation,
        f"{key[1]}_translation": placement.translation,
        f"{key[1]}_nose_tip": placement.apply(landmarks[30:31])[0],
    }


def _write_clip(
    workshop: _Workshop, person: Person, plan: MiccPlan, home: Path, key: tuple[int, str]
) -> dict[str, Any]:
    style = STYLES[key[1]]
    generator = random_stream(plan.seed, "micc", *key, "video")
    camera = Camera(workshop.renderer, person, style, generator)
    poses, expressions, landmarks = camera.plan(plan.frames)
    suffix = [*ENCODERS][(key[0] - 1 + list(STYLES).index(key[1])) % len(ENCODERS)]
    path = home / "Video" / f"{style.stem}{suffix}"
    path.parent.mkdir(parents=True, exist_ok=True)
    encode(path, camera.frames(poses, expressions))
    if plan.boxes:
        boxes = boxes_in_view(landmarks, style.frame_size)
        write_boxes(path.with_name(path.stem + BOXES_SUFFIX), boxes)
    return {
        f"{key[1]}_pose": poses,
        f"{key[1]}_expression": expressions,
        f"{key[1]}_landmarks": landmarks,
    }


def _timestamp(generator: np.random.Generator) -> str:
    """A recording time as MICC names its scans, year to second."""
    low, high = (11, 1, 1, 9, 0, 0), (13, 13, 29, 19, 60, 60)
    return "".join(f"{value:02d}" for value in generator.integers(low, high))
