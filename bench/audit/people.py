"""Synthetic people of an audit: what is true of them, people made for one alone, and the true error
of a prediction over the area of the skin that a scan shows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from ...errors import FacebenchError, error_line
from ...recon.files.tables import read_npz_arrays
from ...recon.files.text import read_json
from ...recon.mesh import Mesh
from ...recon.morphable.model import MorphableModel
from ...recon.synthetic.appearance import required_landmarks, standard_normal
from ...recon.synthetic.photograph import random_stream
from ..dataset.registry import open_dataset
from ..landmarks import Landmarks, face_parts
from ..meshes.checks import read_mesh
from ..registration.nose_tip import NOSE_TIP
from ..surface.similarity import Similarity, similarity_between
from ..surface.triangles import Float64Array, triangle_areas, vertex_areas
from ..synthetic.scan import DETAIL_MM, DetailSampler, random_placement, scan_surface
from ..synthetic.write import truth_folder

MEASURED_MM = 95.0
"""Of the nose tip: vertices nearer than this are the face whose true error is taken."""
SHOWN_MM = 2.0
"""A vertex further than this from every point of the scan is not shown by it: a scanner's spacing
of 1.75 mm and its noise leave skin nearer, and a socket's inside lies deeper behind the lids."""
INNER = ("left_eye", "right_eye", "mouth")
"""Regions that are no skin: eyeballs and the inside of the mouth, in front of which scans show lids
and lips, or a gap."""
LEAST_DETAIL_MM, MOST_DETAIL_MM = 0.4, 1.6
"""Root mean square of what the model lacks, drawn evenly in the logarithm for each person: with the
same detail for everybody, the truth of the best prediction would not vary over people at all."""


@dataclass(frozen=True, eq=False)
class AuditedPerson:
    """A synthetic person: what is true of it, and the scan that it is measured on.

    Attributes:
        subject: for example `subject_07`.
        vertices: (V, 3) mm in the model's frame, the shape detail that the model lacks included.
        identity: (K,) coefficients.
        landmarks: (68, 3) mm in the model's frame.
        placement: from the model's frame to the scan's.
        scan: in mm, in its own space.
    """

    subject: str
    vertices: Float64Array
    identity: Float64Array
    landmarks: Float64Array
    placement: Similarity
    scan: Mesh

    @property
    def scan_landmarks(self) -> Landmarks:
        """Where the 68 landmarks truly are in the scan's space."""
        return Landmarks(self.placement.apply(self.landmarks))


class PeopleMaker:
    """Draws people of one face model, each by a random stream of its own name."""

    def __init__(self, model: MorphableModel, seed: int) -> None:
        self._model, self._seed = model, seed
        self._detail = DetailSampler(model)

    def person(self, number: int) -> AuditedPerson:
        """The person of a number, whoever else was drawn before; about a second of one core.

        Raises:
            FacebenchError: the model lacks landmarks.
        """
        model, subject = self._model, f"person_{number:02d}"
        stream = random_stream(self._seed, "audit", model.digest, subject)
        identity = standard_normal(stream, model.identity_basis.shape[2]).astype(np.float64)
        low, high = np.log([LEAST_DETAIL_MM, MOST_DETAIL_MM])
        size = float(np.exp(stream.uniform(low, high)))
        detail = self._detail.field(stream) * (size / DETAIL_MM)
        vertices = np.asarray(model.mesh(identity=identity).vertices, np.float64) + detail
        landmarks = np.asarray(required_landmarks(model, vertices), np.float64)
        surface = scan_surface(stream, vertices, model.triangles, landmarks)
        placement = random_placement(stream)
        points = placement.apply(np.asarray(surface.vertices, np.float64))
        scan = Mesh(points, surface.triangles)
        return AuditedPerson(subject, vertices, identity, landmarks, placement, scan)


def read_people(data: Path, model: MorphableModel) -> Iterator[AuditedPerson]:
    """The finished people of a set that `facebench synth micc` made, each with its first scan.

    Args:
        data: the set's folder; the truth lies beside it.
        model: the face model it was made from.

    Raises:
        FacebenchError: there is no truth, it is of another model, or it is damaged.
    """
    folder = truth_folder(data)
    try:
        plan: dict[str, Any] = read_json(folder / "plan.json")
        if not isinstance(plan, dict):
            raise ValueError("no plan")
    except (OSError, ValueError) as error:
        raise FacebenchError(
            f"{data} has no truth beside it ({folder / 'plan.json'} cannot be read)",
            "an audit needs a set made by 'facebench synth micc', or --people to make its own",
        ) from error
    if plan.get("model_digest") != model.digest:
        raise FacebenchError(
            f"{data} was made from another face model", "give that one with --model"
        )
    truths = sorted(folder.glob("*.npz"))
    if not truths:
        raise FacebenchError(f"{folder} holds nobody", "run 'facebench synth micc' again")
    scans = open_dataset("micc", data).scans
    for path in truths:
        own = [scan for scan in scans if scan.subject == path.stem]
        if own:  # the first: the set's are sorted by name
            yield read_person(path, model, own[0].name, read_mesh(own[0].path)[0])


def read_person(truth: Path, model: MorphableModel, name: str, scan: Mesh) -> AuditedPerson:
    """A person by the file of the truth and a scan of that name, in mm.

    Raises:
        FacebenchError: the file is damaged, or knows no such scan.
    """
    values = read_npz_arrays(truth)
    try:
        vertices = np.asarray(values["vertices"], np.float64)
        identity = np.asarray(values["identity"], np.float64)
        landmarks = np.asarray(required_landmarks(model, vertices), np.float64)
        rotation, translation = (values[f"{name}_{part}"] for part in ("rotation", "translation"))
        placement = Similarity(1.0, rotation, translation)
        return AuditedPerson(truth.stem, vertices, identity, landmarks, placement, scan)
    except (KeyError, ValueError, IndexError, TypeError) as error:
        message = f"{truth}: not the truth of a person ({error_line(error)})"
        raise FacebenchError(message, "make the set again") from error


def shown_area(model: MorphableModel, person: AuditedPerson) -> Float64Array:
    """Area (V,) in mm² that each vertex stands for of the skin that the scan shows, else 0.

    Skin is what lies in a named part of the face within 95 mm of the nose tip, without eyeballs and
    the inside of the mouth. A mean over vertices would count a densely meshed eyelid ten times, and
    eyeballs that nobody sees: over half of ICT-FaceKit's face vertices are eyes.
    """
    parts = face_parts(model.region, model.region_names)
    skin = np.any(list(parts.values()), axis=0)
    skin[model.vertices_of(*INNER)] = False
    skin &= np.linalg.norm(person.vertices - person.landmarks[NOSE_TIP], axis=1) <= MEASURED_MM
    tree = cKDTree(np.asarray(person.scan.vertices, np.float64))
    placed = person.placement.apply(person.vertices)
    distance, _ = tree.query(placed, distance_upper_bound=SHOWN_MM)
    corners = model.triangles.astype(np.int64)
    areas = vertex_areas(corners, triangle_areas(person.vertices, corners), len(skin))
    return np.where(skin & np.isfinite(distance), areas, 0)


def true_errors(
    predicted: Float64Array, person: AuditedPerson, area: Float64Array, scaled: bool
) -> Float64Array:
    """Distance (V,) in mm of each vertex to where it truly belongs, NaN where no area is.

    The prediction is registered to the truth by the least squared distances between corresponding
    points of the skin, each weighed by its area (Umeyama's closed form, with weights). No other
    alignment brings the same points closer.

    Args:
        predicted: (V, 3) mm, of the truth's topology.
        person: with the truth.
        area: (V,) of `shown_area`.
        scaled: whether the prediction may be scaled.
    """
    skin = area > 0
    ours, theirs = predicted[skin], person.vertices[skin]
    fitted = similarity_between(ours, theirs, None if scaled else 1.0, area[skin])
    errors = np.full(len(area), np.nan)
    errors[skin] = np.linalg.norm(fitted.apply(ours) - theirs, axis=1)
    return errors
