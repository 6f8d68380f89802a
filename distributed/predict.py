"""Predictions of a subject: decoded mean vectors or meshes from files, or why there are none."""

from __future__ import annotations

from dataclasses import replace

from ..bench.chunks import plain_reason
from ..bench.dataset import Clip, Dataset, Problem
from ..bench.measure import Prediction, SubjectJob
from ..bench.method import AnyMethod, HoldsMeshes, Method
from ..errors import FacebenchError
from ..recon.mesh import Mesh
from ..results.ledger import ClipSum, Ledger

UNFINISHED = "not all of its frames were read: a worker was lost; run the command again"


def predict(dataset: Dataset, method: AnyMethod, ledger: Ledger, subject: str) -> SubjectJob:
    """A subject's face in each scene, and the scans to measure it on."""
    scans = tuple(scan for scan in dataset.scans if scan.subject == subject)
    reason = "" if scans else problems_of(dataset, subject)
    made = (
        [_from_file(method, subject, scene) for scene in dataset.scenes]
        if isinstance(method, HoldsMeshes)
        else _from_clips(dataset, method, ledger, subject)
    )
    return SubjectJob(subject, scans, reason, tuple(made))


def relevant_problems(dataset: Dataset, method: AnyMethod) -> tuple[Problem, ...]:
    """The dataset's problems without those of clips where no clip is read."""
    if not isinstance(method, HoldsMeshes):
        return dataset.problems
    clips = _clip_ids(dataset)
    return tuple(problem for problem in dataset.problems if problem.where not in clips)


def problems_of(dataset: Dataset, where: str) -> str:
    """What the dataset knows against a subject's scan, or against a clip."""
    clips = _clip_ids(dataset)
    about = [
        problem.reason if problem.where == where else f"{problem.where}: {problem.reason}"
        for problem in dataset.problems
        if problem.where == where
        or (problem.where.startswith(f"{where}/") and problem.where not in clips)
    ]
    return "; ".join(about) or "it is not in the dataset"


def _clip_ids(dataset: Dataset) -> set[str]:
    return {f"{subject}/{scene}" for subject in dataset.subjects for scene in dataset.scenes}


def _from_clips(dataset: Dataset, method: Method, ledger: Ledger, subject: str) -> list[Prediction]:
    clips = {clip.scene: clip for clip in dataset.clips if clip.subject == subject}
    return [
        _from_clip(method, ledger, clips[scene])
        if scene in clips
        else Prediction(scene, None, problems_of(dataset, f"{subject}/{scene}"), 0, 0)
        for scene in dataset.scenes
    ]


def _from_clip(method: Method, ledger: Ledger, clip: Clip) -> Prediction:
    total = ledger.total(clip.id)
    note, read, faces = "; ".join(total.reasons), total.frames, total.faces
    if not ledger.finished(clip.id):
        return Prediction(clip.scene, None, note or UNFINISHED, read, faces)
    if not faces:
        reason = note or f"no face was found in any of {read} frames"
        return Prediction(clip.scene, None, reason, read, 0)
    try:
        mesh = _mean_mesh(method, total)
    except Exception as error:
        return Prediction(clip.scene, None, plain_reason(error), read, faces)
    return Prediction(clip.scene, mesh, note, read, faces, vectors=total.vectors)


def _mean_mesh(method: Method, total: ClipSum) -> Mesh:
    """The mean vector decoded, or the mean of the decoded vectors where those were added up."""
    mesh = method.mesh(total.sum / total.faces)
    if total.vertices is None:
        return mesh
    return replace(mesh, vertices=(total.vertices / total.faces).reshape(-1, 3))


def _from_file(method: HoldsMeshes, subject: str, scene: str) -> Prediction:
    try:
        mesh = method.mesh_for(subject, scene)
        landmarks = method.landmarks_for(subject, scene)
    except Exception as error:
        said = str(error) if isinstance(error, FacebenchError) else plain_reason(error)
        return Prediction(scene, None, said, 0, 0)
    return Prediction(scene, mesh, "", 0, 0, landmarks)
