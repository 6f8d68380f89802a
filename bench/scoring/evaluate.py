"""One prediction against one scan, from files to numbers: `facebench.bench.evaluate`."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import FacebenchError
from ...recon.mesh import Mesh
from ..landmarks import Landmarks, read_landmark_file, read_nose_tip
from ..meshes.checks import prediction_in_mm
from ..meshes.clean import clean_mesh
from ..meshes.files import load_mesh
from ..meshes.units import ANY_UNIT, check_unit, rounding_note, to_millimetres, unit_in_mm
from ..protocol.record import Protocol, read_settings
from ..registration.prepared_mesh import rotation_of_landmarks, rotation_of_surface
from ..surface.triangles import Float64Array
from .diagnosis import Remark, diagnose
from .result import Score
from .score import ScoredPair, failed_score
from .target import Prediction, Ruler, Target, notes_of, parts_of


class EvaluationError(FacebenchError):
    """Both sides could be read, and no number could be taken from them."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The result of a pair.

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
    diagnosis: tuple[Remark, ...]
    landmarks: Landmarks | None

    @property
    def score(self) -> Score:
        """The numbers."""
        return self.pair.score

    def to_dict(self) -> dict[str, Any]:
        """Everything `--json` prints; numbers that are not known are None."""
        names = {"prediction": self.prediction, "scan": self.scan}
        remarks = [asdict(remark) for remark in self.diagnosis]
        return {**_plain(self.score), **names, "hint": "", "diagnosis": remarks}

    def frontal_rotation(self) -> Float64Array:
        """Rotation (3, 3) of the aligned prediction to the frontal pose, for pictures."""
        if self.landmarks is not None:
            return rotation_of_landmarks(self.landmarks.seven)
        return rotation_of_surface(self.pair.aligned)


def evaluate(
    prediction: Mesh | Path | str,
    scan: Mesh | Path | str,
    protocol: Protocol | Path | str = "micc",
    *,
    prediction_landmarks: Landmarks | Float64Array | Path | str | None = None,
    scan_landmarks: Landmarks | Float64Array | Path | str | None = None,
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
        prediction_landmarks: or (68, 3) or (7, 3) points, or their file; without them the mesh's
            own, or a search.
        scan_landmarks: the same for the scan.
        nose_tip: file with a label of the scan's nose tip; without it the tip is found.
        prediction_unit: `mm`, `cm`, `m`, the millimetres in one of its units (`"51.2"`), or `any`:
            the landmarks of both sides tell the size. None stands for `mm`, or for `any` where the
            protocol asks for no unit.
        scan_unit: the same, of one side at most `any`; None stands for `mm`.

    Raises:
        EvaluationError: when both sides could be read but not measured.
        FacebenchError: when a file, a unit, landmarks or the protocol cannot be used.
    """
    chosen = protocol if isinstance(protocol, Protocol) else read_settings(str(protocol))
    own = prediction_unit or ("mm" if scan_unit == ANY_UNIT else None)
    unit = own or (ANY_UNIT if chosen.takes_any_unit else "mm")
    face, left_out = _prediction(prediction, prediction_landmarks, unit)
    if scan_unit == ANY_UNIT:
        if unit == ANY_UNIT or nose_tip is not None:
            what = "a nose tip" if nose_tip is not None else "a prediction of any unit"
            raise FacebenchError(f"a scan of any unit and {what}", "give the scan's unit")
        target = _target_like(scan, scan_landmarks, face)
        face = replace(face, unit_known=False)
    else:
        target = _target(scan, scan_landmarks, nose_tip, scan_unit or "mm")
    if not (face.unit_known or chosen.takes_any_unit):
        # Landmarks that were not given are wrong input, not a face that cannot be measured.
        target.size_of(face)
    names = _name(prediction, "prediction"), _name(scan, "scan")
    ruler = Ruler(chosen, parts=parts_of(face))
    try:
        pair = target.measure(face, ruler)
    except FacebenchError as error:
        raise EvaluationError(error.message, error.hint) from error
    remarks = diagnose(pair.score, chosen, unit_known=face.unit_known)
    notes = (
        Remark(f"{name}: {note}.")
        for name, note in zip(names, (left_out, target.note), strict=True)
        if note
    )
    return Evaluation(pair, chosen, *names, (*remarks, *notes), _landmarks(face, target, pair))


def failed_evaluation(
    error: FacebenchError, protocol: Protocol, prediction: Path, scan: Path
) -> dict[str, Any]:
    """What `--json` prints of a pair that has no number: the keys of `Evaluation.to_dict`."""
    names = {"prediction": str(prediction), "scan": str(scan)}
    score = failed_score("", "", error.message, protocol)
    return {**_plain(score), **names, "hint": error.hint, "diagnosis": []}


def _prediction(
    mesh: Mesh | Path | str, landmarks: Landmarks | Float64Array | Path | str | None, unit: str
) -> tuple[Prediction, str]:
    """The predicted face in mm, or in its own numbers for any unit; what was left out of it."""
    raw = mesh if isinstance(mesh, Mesh) else load_mesh(Path(mesh))
    face = prediction_in_mm(raw, _name(mesh, "prediction"), unit)
    factor = 1.0 if unit == ANY_UNIT else unit_in_mm(unit)
    known = _read_landmarks(landmarks)
    given = known and Landmarks(known.points * factor)
    _, removed = clean_mesh(raw)
    notes = (f"{removed} left out" if removed else "", rounding_note(face))
    note = "; ".join(filter(None, notes))
    return Prediction(face, landmarks=given, unit_known=unit != ANY_UNIT), note


def _target(
    mesh: Mesh | Path | str,
    landmarks: Landmarks | Float64Array | Path | str | None,
    nose_tip: Path | str | None,
    unit: str,
) -> Target:
    """The scan and its labels in mm."""
    name = _name(mesh, "scan")
    raw = mesh if isinstance(mesh, Mesh) else load_mesh(Path(mesh), points=True)
    cleaned, removed = clean_mesh(raw)
    if not len(cleaned.vertices):
        found = "triangles with finite corners" if len(raw.triangles) else "finite vertices"
        raise FacebenchError(f"{name}: no {found}", "is this a face?")
    check_unit(cleaned, name, unit, "--scan-unit")
    known = _read_landmarks(landmarks)
    factor = unit_in_mm(unit)
    sized = to_millimetres(cleaned, unit)
    return Target(
        scan=sized,
        subject="",
        name=name,
        nose_tip=None if nose_tip is None else read_nose_tip(Path(nose_tip)) * factor,
        landmarks=known and Landmarks(known.points * factor),
        note="; ".join(notes_of(sized, removed, known)),
    )


def _target_like(
    mesh: Mesh | Path | str,
    landmarks: Landmarks | Float64Array | Path | str | None,
    face: Prediction,
) -> Target:
    """A scan of any unit, as large as a face in mm by the spread of the landmarks of both."""
    raw, name = mesh if isinstance(mesh, Mesh) else load_mesh(Path(mesh)), _name(mesh, "scan")
    own, theirs = _read_landmarks(landmarks) or Landmarks.of_mesh(raw), face.all_landmarks
    if own is None or theirs is None:
        raise FacebenchError(
            f"{name}: a scan of any unit needs landmarks of both sides",
            "give --prediction-landmarks and --scan-landmarks, or its millimetres per unit",
        )
    factor = theirs.eye_distance / own.eye_distance
    sized = replace(raw, vertices=np.asarray(raw.vertices, np.float64) * factor)
    return replace(_target(sized, Landmarks(own.points * factor), None, "mm"), name=name)


def _read_landmarks(given: Landmarks | Float64Array | Path | str | None) -> Landmarks | None:
    if isinstance(given, Path | str):
        return read_landmark_file(Path(given))
    if given is None or isinstance(given, Landmarks):
        return given
    return Landmarks(np.asarray(given, np.float64)).in_order()


def _name(mesh: Mesh | Path | str, side: str) -> str:
    return f"the {side}" if isinstance(mesh, Mesh) else str(mesh)


def _landmarks(face: Prediction, target: Target, pair: ScoredPair) -> Landmarks | None:
    """The face's landmarks in the scan's space: the scan's, else the prediction's moved there."""
    if target.all_landmarks is not None:
        return target.all_landmarks
    own = face.all_landmarks
    return None if own is None else own.moved(pair.alignment.transform)


def _plain(score: Score) -> dict[str, Any]:
    """A score as JSON knows it, under the names of the command."""
    row = vars(score)
    values = {key: value for key, value in row.items() if key not in ("subject", "scene")}
    values["digest"] = values.pop("protocol_digest")
    # Only NaN is not itself, and JSON has no such number.
    return {key: value if value == value else None for key, value in values.items()}
