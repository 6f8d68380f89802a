"""Predictions of a subject: decoded mean vectors or meshes from files, or why there are none."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

from ..bench.datasets.interface import Clip, Dataset, Problem
from ..bench.method.interface import AnyMethod, HoldsMeshes, Method
from ..bench.scoring.measure import Prediction, SubjectJob
from ..errors import error_line
from ..recon.mesh.record import Mesh
from ..results.run.ledger import ClipSum, Ledger

Item = TypeVar("Item")

UNFINISHED = "not all of its frames were read: a worker was lost; run the command again"


class Predictor:
    """Makes each subject's faces; looks a dataset through once for all of them.

    Args:
        dataset: whose subjects.
        method: decodes mean vectors, or holds the faces.
        ledger: the sums of the clips.
    """

    def __init__(self, dataset: Dataset, method: AnyMethod, ledger: Ledger) -> None:
        self._scenes = dataset.scenes
        self._method, self._ledger = method, ledger
        self._clips = {clip.id: clip for clip in dataset.clips}
        self._scans = _by_subject((scan.subject, scan) for scan in dataset.scans)
        self._problems = _by_subject((p.where.partition("/")[0], p) for p in dataset.problems)

    def job(self, subject: str) -> SubjectJob:
        """A subject's face in each scene, and the scans to measure it on."""
        scans = tuple(self._scans[subject])
        reason = "" if scans else self._problems_of(subject, subject)
        made = (self._prediction(subject, scene) for scene in self._scenes)
        return SubjectJob(subject, scans, reason, tuple(made))

    def _prediction(self, subject: str, scene: str) -> Prediction:
        if isinstance(self._method, HoldsMeshes):
            return _from_file(self._method, subject, scene)
        clip = self._clips.get(f"{subject}/{scene}")
        if clip is None:
            reason = self._problems_of(subject, f"{subject}/{scene}")
            return Prediction(scene, None, reason, 0, 0)
        return _from_clip(self._method, self._ledger, clip)

    def _problems_of(self, subject: str, where: str) -> str:
        """What the dataset knows against a subject's scan, or against a clip."""
        clips = {f"{subject}/{scene}" for scene in self._scenes}
        about = [
            problem.reason if problem.where == where else f"{problem.where}: {problem.reason}"
            for problem in self._problems[subject]
            if problem.where == where
            or (problem.where.startswith(f"{where}/") and problem.where not in clips)
        ]
        return "; ".join(about) or "it is not in the dataset"


def relevant_problems(dataset: Dataset, method: AnyMethod) -> tuple[Problem, ...]:
    """The dataset's problems without those of clips where no clip is read."""
    if not isinstance(method, HoldsMeshes):
        return dataset.problems
    clips = _clip_ids(dataset)
    return tuple(problem for problem in dataset.problems if problem.where not in clips)


def _clip_ids(dataset: Dataset) -> set[str]:
    return {f"{subject}/{scene}" for subject in dataset.subjects for scene in dataset.scenes}


def _by_subject(items: Iterable[tuple[str, Item]]) -> defaultdict[str, list[Item]]:
    found: defaultdict[str, list[Item]] = defaultdict(list)
    for subject, item in items:
        found[subject].append(item)
    return found


def _from_clip(method: Method, ledger: Ledger, clip: Clip) -> Prediction:
    total = ledger.total(clip.id)
    note, read, faces = "; ".join(total.reasons), total.frames, total.faces
    if not total.finished:
        return Prediction(clip.scene, None, note or UNFINISHED, read, faces)
    if not faces:
        reason = note or f"no face was found in any of {read} frames"
        return Prediction(clip.scene, None, reason, read, 0)
    try:
        mesh = _mean_mesh(method, total)
    except Exception as error:
        return Prediction(clip.scene, None, error_line(error), read, faces)
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
        said = error_line(error)
        return Prediction(scene, None, said, 0, 0)
    return Prediction(scene, mesh, "", 0, 0, landmarks)
