"""What is true of the people of a synthetic set, and the true error of a prediction."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError, error_line
from ...recon.files.tables import read_npz_arrays
from ...recon.files.text import read_json
from ...recon.mesh.record import Mesh
from ...recon.morphable.model import MorphableModel
from ...recon.synthetic.appearance import landmark_points
from ..landmarks.points import Landmarks
from ..landmarks.regions import face_parts
from ..registration.nose_tip import NOSE_TIP
from ..surface.overlap import Sphere
from ..surface.similarity import Similarity, similarity_between
from ..surface.triangles import Float64Array
from ..synthetic.write import truth_folder

MEASURED_MM = 95.0
"""Of the nose tip: vertices nearer than this are the face whose true error is taken."""


@dataclass(frozen=True, eq=False)
class PersonTruth:
    """One person of a synthetic set.

    Attributes:
        subject: for example `subject_07`.
        vertices: (V, 3) mm in the model's frame, the shape detail that the model lacks included.
        identity: (K,) coefficients.
        placements: by scan name, from the model's frame to the scan's.
        landmarks: (68, 3) mm in the model's frame.
    """

    subject: str
    vertices: Float64Array
    identity: Float64Array
    placements: dict[str, Similarity]
    landmarks: Float64Array

    def landmarks_on(self, scan: str) -> Landmarks:
        """Where the 68 landmarks truly are in a scan's space."""
        return Landmarks(self.placements[scan].apply(self.landmarks))


def read_truth(data: Path, model: MorphableModel) -> tuple[PersonTruth, ...]:
    """The truth of every finished person of a set that `facebench synth micc` made.

    Args:
        data: the set's folder; the truth lies beside it.
        model: the face model it was made from.

    Raises:
        FacebenchError: there is no truth, or it is of another model.
    """
    folder = truth_folder(data)
    try:
        plan: dict[str, Any] = read_json(folder / "plan.json")
        if not isinstance(plan, dict):
            raise ValueError("no plan")
    except (OSError, ValueError) as error:
        raise FacebenchError(
            f"{data} has no truth beside it ({folder / 'plan.json'} cannot be read)",
            "an audit needs a set made by 'facebench synth micc'",
        ) from error
    if plan.get("model_digest") != model.digest:
        raise FacebenchError(
            f"{data} was made from another face model", "give that one with --model"
        )
    people = tuple(_read_person(path, model) for path in sorted(folder.glob("*.npz")))
    if not people:
        raise FacebenchError(f"{folder} holds nobody", "run 'facebench synth micc' again")
    return people


def face_vertices(model: MorphableModel, person: PersonTruth) -> NDArray[np.bool_]:
    """Vertices (V,) of the face whose error is true: in a named part and near the nose tip."""
    parts = face_parts(model.region, model.region_names)
    near = Sphere(person.landmarks[NOSE_TIP], MEASURED_MM).holds(person.vertices)
    return np.asarray(np.any(list(parts.values()), axis=0) & near)


def true_errors(
    prediction: Mesh, person: PersonTruth, face: NDArray[np.bool_], scaled: bool
) -> Float64Array:
    """Distance (N,) of each face vertex to where it truly belongs, mm.

    The prediction is laid on the truth by the least squared distances between corresponding
    vertices: by a similarity, or rigidly. No other alignment brings the same points closer.

    Args:
        prediction: of the truth's topology, mm.
        person: the truth.
        face: (V,) the N vertices that count.
        scaled: whether the prediction may be scaled.
    """
    ours = np.asarray(prediction.vertices, np.float64)[face]
    theirs = person.vertices[face]
    transform = similarity_between(ours, theirs, None if scaled else 1.0)
    return np.asarray(np.linalg.norm(transform.apply(ours) - theirs, axis=1))


def _read_person(path: Path, model: MorphableModel) -> PersonTruth:
    values = read_npz_arrays(path)
    try:
        return _person(path.stem, values, model)
    except (KeyError, ValueError, IndexError, TypeError) as error:
        said = f"{path}: not the truth of a person ({error_line(error)})"
        raise FacebenchError(said, "make the set again") from error


def _person(subject: str, values: dict[str, NDArray[Any]], model: MorphableModel) -> PersonTruth:
    ending = "_rotation"
    names = [name.removesuffix(ending) for name in values if name.endswith(ending)]
    placements = {
        name: Similarity(1.0, values[f"{name}_rotation"], values[f"{name}_translation"])
        for name in names
    }
    vertices = np.asarray(values["vertices"], np.float64)
    identity = np.asarray(values["identity"], np.float64)
    points = np.asarray(landmark_points(model, vertices), np.float64)
    return PersonTruth(subject, vertices, identity, placements, points)
