"""One prediction against one scan, from files to numbers: `facebench.bench.evaluate`."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import FacebenchError
from ...recon.mesh.record import Mesh
from ..landmarks.files import read_landmark_file
from ..landmarks.points import Landmarks
from ..landmarks.regions import transfer_parts
from ..meshes.clean import UNITS, check_unit, clean_mesh, count_of, guess_unit
from ..meshes.files import load_mesh
from ..protocol.record import Protocol, read_settings
from ..registration.initialise import rotation_of_landmarks, rotation_of_surface
from ..registration.nose_tip import read_nose_tip
from ..surface.triangles import Float64Array
from .diagnosis import Finding, diagnose
from .score import Score, ScoredPair, failed_score, score_prediction, with_size_error

ANY_UNIT = "any"
"""Stands for a prediction without a unit: the landmarks of both sides tell its size."""


@dataclass(frozen=True, eq=False)
class Given:
    """One side of a pair.

    Attributes:
        mesh: clean, in mm.
        landmarks: in the mesh's space, mm; None for the mesh's own or none.
        name: of the file, or what a mesh is called that came without one.
        note: what was left out of the mesh; empty for nothing.
        resized: the factor it was given because its unit is not known.
    """

    mesh: Mesh
    landmarks: Landmarks | None
    name: str
    note: str = ""
    resized: float = 1.0

    @property
    def all_landmarks(self) -> Landmarks | None:
        """Those that were given, else those of the mesh, else None."""
        return self.landmarks or Landmarks.of_mesh(self.mesh)

    def scaled(self, factor: float) -> Given:
        """The same, so many times as large."""
        mesh = replace(self.mesh, vertices=np.asarray(self.mesh.vertices, np.float64) * factor)
        landmarks = self.landmarks and Landmarks(self.landmarks.points * factor)
        return replace(self, mesh=mesh, landmarks=landmarks)


def read_given(
    mesh: Mesh | Path | str,
    landmarks: Landmarks | Path | str | None,
    unit: str,
    side: str,
) -> Given:
    """Read and check one side of a pair.

    Args:
        mesh: or its file.
        landmarks: or their file; None for the mesh's own.
        unit: of both: `mm`, `cm`, `m`, or `any`, which leaves the numbers as they are.
        side: `prediction` or `scan`, for messages.

    Raises:
        FacebenchError: a file cannot be used or the mesh is not as large as a face in its unit.
    """
    name = f"the {side}" if isinstance(mesh, Mesh) else str(mesh)
    cleaned, removed = clean_mesh(mesh if isinstance(mesh, Mesh) else load_mesh(Path(mesh)))
    if removed.invalid_vertices and side == "prediction":
        invalid = count_of(removed.invalid_vertices, "vertex is", "vertices are")
        raise FacebenchError(
            f"{name}: {invalid} NaN or infinite", "what made it has failed; predict it again"
        )
    if not len(cleaned.triangles):
        raise FacebenchError(f"{name}: no triangles with finite corners", "is this a face?")
    if unit != ANY_UNIT:
        _check_unit(cleaned, name, unit, side)
    known = read_landmark_file(Path(landmarks)) if isinstance(landmarks, Path | str) else landmarks
    given = Given(cleaned, known, name, note=f"{removed} left out" if str(removed) else "")
    return given.scaled(UNITS.get(unit, 1.0))


def _check_unit(mesh: Mesh, name: str, unit: str, side: str) -> None:
    if side == "prediction" and unit in UNITS and guess_unit(mesh) is None:
        raise FacebenchError(
            f"{name}: is not as large as a face in mm, cm or m",
            "pass --prediction-unit any and the landmarks of both sides",
        )
    check_unit(mesh, name, unit, f"--{side}-unit")


def without_unit(prediction: Given, scan: Given) -> Given:
    """A prediction of any unit as large as the scan, by the spread of the landmarks of both.

    Raises:
        FacebenchError: when one side has no landmarks.
    """
    own, theirs = prediction.all_landmarks, scan.all_landmarks
    if own is None or theirs is None:
        raise FacebenchError(
            f"{prediction.name}: a prediction of any unit needs landmarks of both sides",
            "give --prediction-landmarks and --scan-landmarks, or its unit: mm, cm or m",
        )
    factor = theirs.spread / own.spread
    return replace(prediction.scaled(factor), resized=factor)


class EvaluationError(FacebenchError):
    """Both sides could be read, and no number could be taken from them."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What came of a pair.

    Attributes:
        pair: the score, the aligned prediction with its errors, the curve, the alignment.
        protocol: what the numbers stand for.
        prediction, scan: what was measured against what, by name.
        diagnosis: how far the numbers can be trusted.
        landmarks: of the face in the scan's space, mm, or None.
    """

    pair: ScoredPair
    protocol: Protocol
    prediction: str
    scan: str
    diagnosis: tuple[Finding, ...]
    landmarks: Landmarks | None

    @property
    def score(self) -> Score:
        """The numbers."""
        return self.pair.score

    def to_dict(self) -> dict[str, Any]:
        """Everything `--json` prints; numbers that are not known are None."""
        names = {"prediction": self.prediction, "scan": self.scan}
        findings = [asdict(finding) for finding in self.diagnosis]
        return {**_plain(self.score), **names, "hint": "", "diagnosis": findings}

    def frontal_rotation(self) -> Float64Array:
        """Rotation (3, 3) of the aligned prediction to the frontal pose, for pictures."""
        if self.landmarks is not None:
            return rotation_of_landmarks(self.landmarks.seven)
        return rotation_of_surface(self.pair.aligned)


def evaluate(
    prediction: Mesh | Path | str,
    scan: Mesh | Path | str,
    protocol: Protocol | str = "micc",
    *,
    prediction_landmarks: Landmarks | Path | str | None = None,
    scan_landmarks: Landmarks | Path | str | None = None,
    nose_tip: Path | str | None = None,
    prediction_unit: str | None = None,
    scan_unit: str | None = None,
) -> Evaluation:
    """Measure a predicted face against a scan of the same person, whatever their topologies.

    Example:
        >>> import numpy as np
        >>> from facebench.bench import evaluate
        >>> from facebench.recon.morphable.procedural import procedural_model
        >>> model = procedural_model()
        >>> someone = 0.5 * np.ones(model.identity_basis.shape[2])
        >>> result = evaluate(model.mesh(), model.mesh(identity=someone), "micc")
        >>> result.score.status, result.score.converged
        ('ok', True)
        >>> 0.5 < result.score.mean_mm < 3.0
        True

    Args:
        prediction: or its file: OBJ, PLY, STL, OFF, GLB, or NPZ with `vertices`, `triangles` and
            perhaps `landmarks`.
        scan: the same.
        protocol: or the name of a preset, or the path of a `.toml` file.
        prediction_landmarks: or their file; without them the mesh's own, or a search.
        scan_landmarks: the same for the scan.
        nose_tip: file with a label of the scan's nose tip; without it the tip is found.
        prediction_unit: `mm`, `cm` or `m`, or `any`: the landmarks of both sides tell the size.
            None stands for `mm`, or for `any` where the protocol asks for no unit.
        scan_unit: `mm`, `cm` or `m`; None stands for `mm`.

    Raises:
        EvaluationError: when both sides could be read but not measured.
        FacebenchError: when a file, a unit, landmarks or the protocol cannot be used.
    """
    chosen = read_settings(protocol) if isinstance(protocol, str) else protocol
    unit = prediction_unit or (ANY_UNIT if chosen.takes_any_unit else "mm")
    target = read_given(scan, scan_landmarks, scan_unit or "mm", "scan")
    face = read_given(prediction, prediction_landmarks, unit, "prediction")
    if unit == ANY_UNIT and not chosen.takes_any_unit:
        face = without_unit(face, target)
    label = None if nose_tip is None else read_nose_tip(Path(nose_tip))
    pair = _scored(face, target, chosen, label)
    if unit != ANY_UNIT:
        pair = with_size_error(pair, chosen, lambda free: _scored(face, target, free, label))
    findings = diagnose(pair.score, chosen, unit_known=unit != ANY_UNIT)
    notes = (Finding(f"{given.name}: {given.note}.") for given in (face, target) if given.note)
    landmarks = _in_scan_space(face, target, pair)
    return Evaluation(pair, chosen, face.name, target.name, (*findings, *notes), landmarks)


def failure(
    error: FacebenchError, protocol: Protocol, prediction: Path, scan: Path
) -> dict[str, Any]:
    """What `--json` prints of a pair that has no number: the keys of `Evaluation.to_dict`."""
    names = {"prediction": str(prediction), "scan": str(scan)}
    score = failed_score("", "", error.message, protocol)
    return {**_plain(score), **names, "hint": error.hint, "diagnosis": []}


def _scored(
    face: Given, target: Given, protocol: Protocol, nose_tip: Float64Array | None
) -> ScoredPair:
    """The pair's score, its scale from the numbers that were given."""
    own = face.all_landmarks
    parts = None if own is None else transfer_parts(face.mesh, own)
    try:
        pair = score_prediction(
            face.mesh,
            target.mesh,
            protocol,
            nose_tip=nose_tip,
            parts=parts,
            prediction_landmarks=face.landmarks,
            scan_landmarks=target.landmarks,
        )
    except FacebenchError as error:
        raise EvaluationError(error.message, error.hint) from error
    scale = pair.score.scale * face.resized
    return replace(pair, score=replace(pair.score, scale=scale))


def _in_scan_space(face: Given, target: Given, pair: ScoredPair) -> Landmarks | None:
    if target.all_landmarks is not None:
        return target.all_landmarks
    own = face.all_landmarks
    if own is None:
        return None
    return own.moved(pair.alignment.transform)


def _plain(score: Score) -> dict[str, Any]:
    """A score as JSON knows it, under the names of the command."""
    row = score.to_row()
    values = {key: value for key, value in row.items() if key not in ("subject", "scene")}
    values["digest"] = values.pop("protocol_digest")
    return {key: None if _is_nan(value) else value for key, value in values.items()}


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)
