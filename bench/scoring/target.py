"""A scan with everything known of it, to measure faces against."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError, error_line
from ...recon.mesh.record import Mesh
from ..dataset.interface import Scan
from ..landmarks.files import read_landmark_file
from ..landmarks.points import Landmarks
from ..meshes.clean import read_mesh
from ..protocol.record import Protocol
from ..registration.nose_tip import read_nose_tip
from .score import ScoredPair, score_prediction, with_size_error


@dataclass(frozen=True, eq=False)
class Ruler:
    """How a face is laid on a scan and measured.

    Attributes:
        protocol: decides every step.
        fixed_scale: the factor given to the face, where one is the same for all; else None.
    """

    protocol: Protocol
    fixed_scale: float | None = None


@dataclass(frozen=True, eq=False)
class Face:
    """A face to measure.

    Attributes:
        mesh: in mm.
        landmarks: given beside it, or None for the mesh's own.
    """

    mesh: Mesh
    landmarks: Landmarks | None = None


@dataclass(frozen=True, eq=False)
class Target:
    """A scan that was read, and what was measured against it.

    Attributes:
        scan: in mm.
        subject: whose.
        name: for example `frontal1`.
        nose_tip: (3,) label, or None to find it.
        landmarks: labelled points of the scan, or None.
        note: what was left out of its file, or empty.
    """

    scan: Mesh
    subject: str
    name: str
    nose_tip: NDArray[np.float64] | None
    landmarks: Landmarks | None
    note: str
    _known: dict[tuple[bytes, float | None, bool], ScoredPair] = field(default_factory=dict)

    def score(self, face: Face, ruler: Ruler, parts: Mapping[str, NDArray[np.bool_]]) -> ScoredPair:
        """As `measure`, and remembered: a face of several scenes is measured once."""
        key = _fingerprint(face), ruler.fixed_scale, bool(parts)
        if key not in self._known:
            self._known[key] = self.measure(face, ruler, parts)
        return self._known[key]

    def measure(
        self, face: Face, ruler: Ruler, parts: Mapping[str, NDArray[np.bool_]]
    ) -> ScoredPair:
        """Measure a face; with a rigid protocol also by how much its size is wrong.

        Raises:
            FacebenchError: they cannot be measured against each other.
        """
        pair = self._score(face, ruler, parts)

        def fitted(protocol: Protocol) -> ScoredPair:
            return self._score(face, Ruler(protocol), {})

        return with_size_error(pair, ruler.protocol, fitted)

    def _score(
        self, face: Face, ruler: Ruler, parts: Mapping[str, NDArray[np.bool_]]
    ) -> ScoredPair:
        return score_prediction(
            face.mesh,
            self.scan,
            ruler.protocol,
            subject=self.subject,
            nose_tip=self.nose_tip,
            parts=parts,
            prediction_landmarks=face.landmarks,
            scan_landmarks=self.landmarks,
            fixed_scale=ruler.fixed_scale,
        )


def read_target(scan: Scan, unit: str) -> Target:
    """A scan and its labels from their files.

    Raises:
        FacebenchError: a file cannot be used.
    """
    mesh, removed = read_mesh(scan.path, unit)
    return Target(
        scan=mesh,
        subject=scan.subject,
        name=scan.name,
        nose_tip=None if scan.nose_tip is None else read_nose_tip(scan.nose_tip),
        landmarks=None if scan.landmarks is None else read_landmark_file(scan.landmarks),
        note=f"{scan.name}: {removed} left out" if str(removed) else "",
    )


def read_targets(scans: Sequence[Scan], unit: str, several: bool) -> tuple[list[Target], list[str]]:
    """The scans that can be used, only the first of them unless several, and what is wrong.

    Raises:
        FacebenchError: none can be used.
    """
    targets: list[Target] = []
    faults: list[str] = []
    for scan in scans:
        if targets and not several:
            break
        try:
            targets.append(read_target(scan, unit))
        except Exception as error:
            faults.append(f"{scan.name} left out: {error_line(error)}")
    if not targets:
        raise FacebenchError("; ".join(faults))
    return targets, faults


def _fingerprint(face: Face) -> bytes:
    sha = hashlib.sha256(np.ascontiguousarray(face.mesh.vertices).tobytes())
    if face.landmarks is not None:
        sha.update(np.ascontiguousarray(face.landmarks.points).tobytes())
    return sha.digest()
