"""Predictions of a subject: the mean vectors of its clips decoded, or why there are none."""

from __future__ import annotations

from ..bench.chunks import plain_reason
from ..bench.dataset import Clip, Dataset
from ..bench.measure import Prediction, SubjectJob
from ..bench.method import Method
from ..results.ledger import Ledger

UNFINISHED = "not all of its frames were read: a worker was lost; run the command again"


def predict(dataset: Dataset, method: Method, ledger: Ledger, subject: str) -> SubjectJob:
    """The mean vector of each scene of a subject decoded, and the scan to measure it on."""
    clips = {clip.scene: clip for clip in dataset.clips if clip.subject == subject}
    scans = [scan for scan in dataset.scans if scan.subject == subject]
    made = (
        _predict(method, ledger, clips[scene])
        if scene in clips
        else Prediction(scene, None, problems(dataset, f"{subject}/{scene}"), 0, 0)
        for scene in dataset.scenes
    )
    reason = "" if scans else problems(dataset, subject)
    return SubjectJob(subject, scans[0] if scans else None, reason, tuple(made))


def problems(dataset: Dataset, where: str) -> str:
    """What the dataset knows against a subject's scan, or against a clip."""
    clips = {f"{subject}/{scene}" for subject in dataset.subjects for scene in dataset.scenes}
    about = [
        problem.reason if problem.where == where else f"{problem.where}: {problem.reason}"
        for problem in dataset.problems
        if problem.where == where
        or (problem.where.startswith(f"{where}/") and problem.where not in clips)
    ]
    return "; ".join(about) or "it is not in the dataset"


def _predict(method: Method, ledger: Ledger, clip: Clip) -> Prediction:
    total = ledger.total(clip.id)
    note, read, faces = "; ".join(total.reasons), total.frames, total.faces
    if not ledger.finished(clip.id):
        return Prediction(clip.scene, None, note or UNFINISHED, read, faces)
    if not faces:
        reason = note or f"no face was found in any of {read} frames"
        return Prediction(clip.scene, None, reason, read, 0)
    try:
        mesh = method.mesh(total.sum / faces)
    except Exception as error:
        return Prediction(clip.scene, None, plain_reason(error), read, faces)
    return Prediction(clip.scene, mesh, note, read, faces)
