"""What a number must not depend on: other triangles of the same surface, and what lies behind it.

Run: python tests/benchmarks/same_surface.py [--model MODEL.npz] [--presets micc,now]
The mean face of a model, drawn in several ways, against one noisy scan of somebody else of that
model, from the same landmarks. Prints the value of each and the completeness.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np
import open3d as o3d

from facebench.bench.landmarks import Landmarks
from facebench.bench.protocol.record import preset
from facebench.bench.scoring.score import score_prediction
from facebench.bench.surface.triangles import Edges, split_at_edges
from facebench.bench.synthetic.scan import scan_surface
from facebench.errors import FacebenchError
from facebench.recon.mesh import Mesh
from facebench.recon.morphable.load import load_model
from facebench.recon.morphable.procedural import procedural_model


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="default: the embedded model, 11,248 vertices")
    parser.add_argument("--presets", default="micc,metric,now-metrical,now,correspondence")
    parser.add_argument("--seed", type=int, default=3)
    arguments = parser.parse_args()
    model = load_model(arguments.model) if arguments.model else procedural_model(0, 11_248)
    rng = np.random.default_rng(arguments.seed)
    person = model.mesh(identity=0.8 * rng.standard_normal(model.identity_basis.shape[2]))
    marks = np.asarray(person.vertices, np.float64)[person.landmarks]
    scanned = scan_surface(rng, person.vertices, person.triangles, marks)
    scan = Mesh(scanned.vertices, scanned.triangles)
    face = model.mesh()
    own = Landmarks(np.asarray(face.vertices, np.float64)[face.landmarks])
    names = arguments.presets.split(",")
    print("| drawn |", " | ".join(names), "| completeness (micc) |")
    print("|---" * (len(names) + 2), "|", sep="")
    for drawn, mesh in drawings(face).items():
        cells, shown = [], ""
        for name in names:
            try:
                score = score_prediction(
                    replace(mesh, landmarks=None),
                    scan,
                    preset(name),
                    nose_tip=marks[30],
                    prediction_landmarks=own,
                    scan_landmarks=Landmarks(marks),
                ).score
                cells.append(f"{score.value_mm:.4f}")
                shown = f"{score.completeness:.3f}" if name == "micc" else shown
            except FacebenchError as error:
                cells.append(error.message)
        print("|", drawn, "|", " | ".join(cells), "|", shown, "|", flush=True)


def drawings(face: Mesh) -> dict[str, Mesh]:
    """The face in several ways."""
    vertices = np.asarray(face.vertices, np.float64)
    marks = vertices[face.landmarks]
    tip, brow = marks[30], marks[27] + [0.0, 45.0, -5.0]
    coarse = decimated(face)
    return {
        "as it is": face,
        "refined four times": finer(face),
        "decimated ten times": coarse,
        "the same, refined": finer(coarse),
        **{
            f"16 times denser, {name}": finer(face, place, times=2)
            for name, place in (("nose", tip), ("forehead", brow), ("cheek", marks[3]))
        },
        "with eyeballs": with_eyeballs(face),
        **{f"cut to {radius} mm": cut(face, tip, radius) for radius in (95, 80, 65)},
        "torn": replace(face, triangles=np.maximum(np.asarray(face.triangles) - 1, 0)),
    }


def finer(
    face: Mesh, place: np.ndarray | None = None, radius: float = 30.0, times: int = 1
) -> Mesh:
    """Each edge halved so many times, or those near a place, without gaps."""
    vertices = np.asarray(face.vertices, np.float64)
    triangles = np.asarray(face.triangles, np.int64)
    for _ in range(times):
        edges = Edges(triangles)
        middles = vertices[edges.vertices].mean(1)
        wanted = np.ones(len(middles), bool)
        if place is not None:
            wanted = np.linalg.norm(middles - place, axis=1) < radius
        numbers = np.full(len(middles), -1)
        numbers[wanted] = len(vertices) + np.arange(wanted.sum())
        vertices = np.concatenate([vertices, middles[wanted]])
        triangles = split_at_edges(triangles, numbers[edges.of_triangle])
    return replace(face, vertices=vertices, triangles=triangles, colours=None)


def decimated(face: Mesh) -> Mesh:
    """A tenth of the triangles by quadric error; another surface, as near as such can be."""
    made = o3d.geometry.TriangleMesh(
        o3d.utility.Vector3dVector(np.asarray(face.vertices, np.float64)),
        o3d.utility.Vector3iVector(np.asarray(face.triangles, np.int32)),
    ).simplify_quadric_decimation(len(face.triangles) // 10)
    return Mesh(np.asarray(made.vertices), np.asarray(made.triangles))


def with_eyeballs(face: Mesh) -> Mesh:
    """Balls of 12 mm behind the lids."""
    vertices = np.asarray(face.vertices, np.float64)
    marks = vertices[face.landmarks]
    ball = o3d.geometry.TriangleMesh.create_sphere(12.0, 24)
    points, corners = np.asarray(ball.vertices), np.asarray(ball.triangles)
    whole, triangles = [vertices], [np.asarray(face.triangles, np.int64)]
    for a, b in ((36, 39), (42, 45)):
        triangles.append(corners + sum(map(len, whole)))
        whole.append(points + (marks[a] + marks[b]) / 2 - [0.0, 0.0, 14.0])
    return replace(
        face, vertices=np.concatenate(whole), triangles=np.concatenate(triangles), colours=None
    )


def cut(face: Mesh, tip: np.ndarray, radius: float) -> Mesh:
    """What lies within so many mm of the nose tip."""
    triangles = np.asarray(face.triangles)
    inside = np.linalg.norm(np.asarray(face.vertices) - tip, axis=1) < radius
    return replace(face, triangles=triangles[inside[triangles].all(1)])


if __name__ == "__main__":
    main()
