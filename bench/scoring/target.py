"""A ground-truth scan with its labels, and predictions measured against it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError, error_line
from ...recon.mesh import Mesh
from ..dataset.interface import Scan
from ..landmarks import Landmarks, read_landmark_file, read_nose_tip, transfer_parts
from ..meshes.checks import faces_inwards, read_mesh
from ..meshes.clean import COPY_MM, clean_mesh
from ..meshes.units import rounding_note, unit_in_mm
from ..protocol.record import Protocol
from .score import ScoredPair, score_prediction, with_size_error

Decode = Callable[[NDArray[np.float32]], Mesh]
"""The face in mm of one frame's vector (D,)."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a method made of one item.

    Attributes:
        mesh: the face in mm, or None where there is none.
        reason: why there is none; with a mesh, what is wrong with parts of its clip or file.
        frames, faces: read and encoded; 0 for a mesh that comes as a file.
        landmarks: given beside the mesh, or None for the mesh's own.
        vectors: (N, D) of each face, where the protocol averages errors; else None.
        unit_known: False for a mesh whose numbers are of no unit: the landmarks tell its size.
    """

    mesh: Mesh | None
    reason: str = ""
    frames: int = 0
    faces: int = 0
    landmarks: Landmarks | None = None
    vectors: NDArray[np.float32] | None = None
    unit_known: bool = True

    @property
    def all_landmarks(self) -> Landmarks | None:
        """Those that were given, else those of the mesh, else None."""
        return self.landmarks or (None if self.mesh is None else Landmarks.of_mesh(self.mesh))

    def resize(self, factor: float) -> Prediction:
        """The prediction, so many times as large."""
        assert self.mesh is not None
        mesh = replace(self.mesh, vertices=np.asarray(self.mesh.vertices, np.float64) * factor)
        landmarks = self.landmarks and Landmarks(self.landmarks.points * factor)
        return replace(self, mesh=mesh, landmarks=landmarks)


@dataclass(frozen=True, eq=False)
class Ruler:
    """How predictions are measured, the same for all of a run.

    Attributes:
        protocol: decides every step.
        unit: of the scans' files and of the labels beside them: mm, cm or m.
        mean_face: measured where a prediction failed, as what a failure costs; None for no such.
        parts: vertices (V,) of the predictions in each part of the face; without any, those of
            predictions with landmarks are found by them.
        decode: makes faces of a prediction's vectors, where it has any.
        fixed_scale: the factor given to every prediction, where one is the same for all.
    """

    protocol: Protocol
    unit: str = "mm"
    mean_face: Mesh | None = None
    parts: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    decode: Decode | None = None
    fixed_scale: float | None = None


@dataclass(frozen=True, eq=False)
class Target:
    """A scan that was read, and what was measured against it.

    Attributes:
        scan: in mm.
        subject: whose.
        name: for example `frontal1`.
        nose_tip: (3,) label, or None to find it.
        landmarks: labelled points of the scan, or None.
        note: what is to be said of its file (`notes_of`), or empty.
    """

    scan: Mesh
    subject: str
    name: str
    nose_tip: NDArray[np.float64] | None
    landmarks: Landmarks | None
    note: str
    _known: dict[tuple[bytes, str, float | None, bool], ScoredPair] = field(default_factory=dict)

    @property
    def all_landmarks(self) -> Landmarks | None:
        """Those that were given, else those of the mesh, else None."""
        return self.landmarks or Landmarks.of_mesh(self.scan)

    def score(self, prediction: Prediction, ruler: Ruler) -> ScoredPair:
        """As `measure`, and remembered: a face of several scenes is measured once."""
        key = (
            _fingerprint(prediction),
            ruler.protocol.digest,
            ruler.fixed_scale,
            bool(ruler.parts),
        )
        if key not in self._known:
            self._known[key] = self.measure(prediction, ruler)
        return self._known[key]

    def measure(self, prediction: Prediction, ruler: Ruler) -> ScoredPair:
        """Measure a face; with a rigid protocol also by how much its size is wrong.

        Raises:
            FacebenchError: they cannot be measured against each other.
        """
        # A free scale absorbs the unit; a rigid protocol needs the size before it starts.
        if prediction.unit_known or ruler.protocol.takes_any_unit:
            pair = self._score(prediction, ruler)
        else:
            factor = self.size_of(prediction)
            pair = self._score(prediction.resize(factor), ruler)
            # The scales are of the numbers that were given.
            scales = (pair.score.scale * factor, pair.score.landmark_scale * factor)
            score = replace(pair.score, scale=scales[0], landmark_scale=scales[1])
            pair = replace(pair, score=score)
        # How wrong the size is cannot be said of a face that has none.
        if not prediction.unit_known:
            return pair

        def fitted(protocol: Protocol) -> ScoredPair:
            return self._score(prediction, Ruler(protocol))

        return with_size_error(pair, ruler.protocol, fitted)

    def _score(self, prediction: Prediction, ruler: Ruler) -> ScoredPair:
        assert prediction.mesh is not None
        return score_prediction(
            prediction.mesh,
            self.scan,
            ruler.protocol,
            subject=self.subject,
            nose_tip=self.nose_tip,
            parts=ruler.parts,
            prediction_landmarks=prediction.landmarks,
            scan_landmarks=self.landmarks,
            fixed_scale=ruler.fixed_scale,
        )

    def size_of(self, prediction: Prediction) -> float:
        """The factor by which a prediction of no unit is as large as the scan, by the landmarks.

        Raises:
            FacebenchError: when one of the two has none.
        """
        own, theirs = prediction.all_landmarks, self.all_landmarks
        if own is None or theirs is None:
            raise FacebenchError(
                "a prediction of any unit needs landmarks of both sides",
                "give both, in a folder as NAME.txt beside each, or its unit: mm, cm or m",
            )
        return theirs.eye_distance / own.eye_distance


def parts_of(prediction: Prediction) -> Mapping[str, NDArray[np.bool_]]:
    """Vertices (V,) in each part of a face of any topology, by its landmarks; none without them."""
    mesh = prediction.mesh
    # What is not finite is refused by the ruler, in words that a tree of points has not.
    if mesh is None or not np.isfinite(mesh.vertices).all():
        return {}
    own = prediction.all_landmarks
    return {} if own is None else transfer_parts(mesh, own)


def read_target(scan: Scan, unit: str) -> Target:
    """A scan and its labels from their files, brought to mm.

    Args:
        scan: where they are.
        unit: of all of them: mm, cm or m.

    Raises:
        FacebenchError: a file cannot be used.
    """
    mesh, removed = read_mesh(scan.path, unit, points=True)
    # Labels are in the unit of their scan's file.
    factor = unit_in_mm(unit)
    tip = None if scan.nose_tip is None else read_nose_tip(scan.nose_tip)
    marks = None if scan.landmarks is None else read_landmark_file(scan.landmarks)
    return Target(
        scan=mesh,
        subject=scan.subject,
        name=scan.name,
        nose_tip=None if tip is None else tip * factor,
        landmarks=marks and Landmarks(marks.points * factor),
        note="; ".join(f"{scan.name}: {said}" for said in notes_of(mesh, removed, marks)),
    )


def notes_of(scan: Mesh, removed: str, marks: Landmarks | None) -> Iterator[str]:
    """What is to be said of a scan in mm: what was left out, rounded, may be mirrored."""
    if removed:
        yield f"{removed} left out"
    if rounded := rounding_note(scan):
        yield rounded
    known = marks is not None or scan.landmarks is not None
    # Joined as the ruler joins it: of STL each triangle would be a surface, and a room's walls the
    # larger part of what is asked.
    if not known and len(scan.triangles) and faces_inwards(clean_mesh(scan, COPY_MM)[0]):
        yield (
            "its triangles face inwards and were turned; if it is mirrored, only landmarks tell: "
            "give them"
        )


def read_targets(scans: Sequence[Scan], unit: str, several: bool) -> tuple[list[Target], list[str]]:
    """The scans that can be used, only the first of them unless several, and what is wrong.

    Raises:
        FacebenchError: none can be used.
    """
    targets: list[Target] = []
    faults: list[str] = []
    for scan in scans:
        # The second frontal scan stands in only where the first cannot be read.
        if targets and not several:
            break
        try:
            targets.append(read_target(scan, unit))
        except Exception as error:
            faults.append(f"{scan.name} left out: {error_line(error)}")
    if not targets:
        raise FacebenchError("; ".join(faults))
    return targets, faults


def _fingerprint(prediction: Prediction) -> bytes:
    assert prediction.mesh is not None
    sha = hashlib.sha256(np.ascontiguousarray(prediction.mesh.vertices).tobytes())
    # Two topologies may share their vertices.
    sha.update(np.ascontiguousarray(prediction.mesh.triangles).tobytes())
    if prediction.landmarks is not None:
        sha.update(np.ascontiguousarray(prediction.landmarks.points).tobytes())
    return sha.digest()
