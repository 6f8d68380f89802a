"""The errors of both textures as a table for machines."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict

import numpy as np

from facebench.bench.figures.occlusion import AlbedoErrors, TexturedFace
from facebench.bench.figures.photographs import Photograph
from facebench.recon.mesh import Mesh
from facebench.recon.render.face_in_photograph import FaceInPhotograph
from facebench.results.figures.occlusion import albedo_csv


def test_faces_of_known_truth_have_a_line_each() -> None:
    errors = AlbedoErrors(0.1, 0.05, 1.0 / 3.0, 0.25, 0.5)
    frame, box = np.zeros((4, 4, 3), np.uint8), np.zeros(4)
    mesh = Mesh(np.eye(3), np.array([[0, 1, 2]]))
    face = FaceInPhotograph(mesh, mesh.vertices)
    faces = [
        TexturedFace(
            Photograph(name, "a person", frame, box),
            np.zeros((4, 4), np.int64),
            face,
            np.zeros((3, 3)),
            known,
        )
        for name, known in (("a, comma", errors), ("unknown", None))
    ]
    (row,) = csv.DictReader(io.StringIO(albedo_csv(faces)))
    assert row.pop("photograph") == "a, comma"
    assert {name: float(value) for name, value in row.items()} == asdict(errors)
