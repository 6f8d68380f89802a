"""The mirror test: is a face model's prior worth it where the people are of another model?

Run: OMP_NUM_THREADS=1 python tests/benchmarks/mirror.py MODEL PRIOR [--people N] [--seed S]
People of MODEL with detail of their own, scanned, and three predictions of each. Two estimates of
the mean distance between corresponding points beside the true one: that of `correspondence`, a
smooth field; and a Gaussian process: the modes of PRIOR, carried over to MODEL's vertices, a smooth
field, detail along the normal and a free similarity, each as large as the marginal likelihood says.
Its estimate is the posterior mean of the error, with its standard deviation.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.optimize import minimize
from scipy.spatial import cKDTree

from facebench.bench.audit.measure import correlation
from facebench.bench.audit.people import AuditedPerson, PeopleMaker, shown_area, true_errors
from facebench.bench.audit.predictors import PREDICTORS, without_inner_parts
from facebench.bench.landmarks import Landmarks
from facebench.bench.protocol.record import preset
from facebench.bench.registration.deformation import grid_subsample
from facebench.bench.registration.dense import align
from facebench.bench.registration.model_fit import fit_model
from facebench.bench.registration.nonrigid import correspond
from facebench.bench.surface.region import Sphere
from facebench.bench.surface.similarity import similarity_between, step_jacobian
from facebench.bench.surface.surface import ClosestPoints, Surface
from facebench.bench.surface.triangles import unit
from facebench.recon.mesh import Mesh
from facebench.recon.morphable.load import load_model
from facebench.recon.morphable.model import MorphableModel
from facebench.recon.synthetic.photograph import random_stream

MICC = preset("micc")
PREDICTIONS = ("the model's best", "half", "mean face")
FIELD_MM, DETAIL_MM = 120.0, 30.0  # Ranges of the smooth field and of the detail.
DATA_MM, ERRORS_MM, SMOOTH_MM = 7.0, 4.5, 4.0  # Between constraints and errors; of normals.
ROUNDS, TUNED, SAMPLES, FEATURES = 3, 300, 30, 600
# Standard deviations of the free similarity: turn and growth at 80 mm, shift.
FREE = np.r_[np.full(3, 30 / 80), np.full(3, 30.0), 30 / 80]
# Of the modes, the field, the detail and the noise, mm: where the likelihood says little.
SIZES, UNSURE = np.log([0.5, 0.5, 0.5, 0.2]), np.array([1.5, 1.5, 1.0, 0.5])


@dataclass(frozen=True)
class Points:
    """Points (N, 3) of the prediction with normals, modes (N, 3, K), and the face's middle."""

    places: np.ndarray
    normals: np.ndarray
    modes: np.ndarray
    centre: np.ndarray

    def at(self, index: np.ndarray) -> Points:
        """Some of them."""
        return Points(self.places[index], self.normals[index], self.modes[index], self.centre)

    def jacobian(self, along: np.ndarray) -> np.ndarray:
        """Of the free similarity (N, 7) along directions."""
        return step_jacobian(self.places - self.centre, along) * FREE


def matern(distances: np.ndarray, reach_mm: float) -> np.ndarray:
    """Correlation of smoothness 3/2."""
    scaled = np.sqrt(12.0) / reach_mm * distances
    return (1 + scaled) * np.exp(-scaled)


def covariance(
    a: Points, along_a: np.ndarray, b: Points, along_b: np.ndarray, sizes: np.ndarray
) -> np.ndarray:
    """Of displacement components (N, M): a's along directions, b's along directions."""
    squared = (a.places**2).sum(1)[:, None] + (b.places**2).sum(1) - 2 * a.places @ b.places.T
    apart = np.sqrt(squared.clip(0))
    normal = np.outer((along_a * a.normals).sum(1), (along_b * b.normals).sum(1))
    modes = [np.einsum("nd,ndk->nk", n, p.modes) for p, n in ((a, along_a), (b, along_b))]
    return (
        sizes[0] ** 2 * modes[0] @ modes[1].T
        + sizes[1] ** 2 * matern(apart, FIELD_MM) * (along_a @ along_b.T)
        + sizes[2] ** 2 * matern(apart, DETAIL_MM) * normal
        + a.jacobian(along_a) @ b.jacobian(along_b).T
    )


def likeliest_sizes(
    points: Points, normals: np.ndarray, offsets: np.ndarray, weights: np.ndarray, start: np.ndarray
) -> np.ndarray:
    """Sizes (4,) of most marginal likelihood, of offsets along normals."""
    each = [covariance(points, normals, points, normals, np.eye(4)[i]) for i in range(4)]
    parts = [one - each[3] for one in each[:3]]  # The last is the similarity alone.

    def loss(theta: np.ndarray) -> float:
        sizes = np.exp(theta)
        matrix = each[3] + sum(size**2 * part for size, part in zip(sizes, parts, strict=False))
        matrix[np.diag_indices(len(offsets))] += sizes[3] ** 2 / weights
        try:
            factor = cho_factor(matrix, lower=True, overwrite_a=True)
        except LinAlgError:
            return 1e9
        fit = 0.5 * offsets @ cho_solve(factor, offsets) + np.log(np.diag(factor[0])).sum()
        return float(fit + 0.5 * (((theta - SIZES) / UNSURE) ** 2).sum())

    options = {"maxfev": 70, "xatol": 0.05, "fatol": 0.1}
    return np.asarray(minimize(loss, start, method="Nelder-Mead", options=options).x)


@dataclass(frozen=True)
class Constraints:
    """Which of the points are drawn along which normals, by how much, with what weight."""

    rows: np.ndarray
    normals: np.ndarray
    offsets: np.ndarray
    weights: np.ndarray


class Process:
    """The Gaussian process of one prediction and one scan."""

    def __init__(self, face: Surface, scan: Surface, crop: Sphere, modes: np.ndarray) -> None:
        self.scan, self.crop, self.rng = scan, crop, np.random.default_rng(0)
        near = Sphere(crop.centre, crop.radius_mm + 15).holds(face.vertices)
        own = np.flatnonzero(near & np.isfinite(modes[:, 0, 0]))
        data, self.data_areas = grid_subsample(face.vertices[own], face.areas[own], DATA_MM)
        errors, self.areas = grid_subsample(face.vertices[own], face.areas[own], ERRORS_MM)
        self.data, self.index = len(data), own[errors]
        both = own[np.r_[data, errors]]
        self.points = Points(face.vertices[both], face.normals[both], modes[both], crop.centre)
        self.on_boundary = face.on_boundary[both]
        # Smoothed: the noise of a scan turns its normals by degrees.
        apart, beside = cKDTree(scan.vertices).query(scan.vertices, k=24)
        weights = np.exp(-0.5 * (apart / SMOOTH_MM) ** 2) * scan.areas[beside]
        self.scan_normals = unit(np.einsum("nk,nkd->nd", weights, scan.normals[beside]))
        self.tree = cKDTree(scan.vertices)
        inner = crop.vertices_of(scan)
        inner = inner[~scan.on_boundary[inner]]
        taken, self.scan_areas = grid_subsample(scan.vertices[inner], scan.areas[inner], DATA_MM)
        self.taken = inner[taken]

    def constraints(self, moved: np.ndarray) -> Constraints:
        """Both surfaces' points against the other's planes, from displacements (N, 3) of now."""
        places, normals, rules = self.points.places + moved, self.points.normals, MICC.intersection
        closest = self.scan.closest(places[: self.data])
        inside = self.crop.holds(closest.position)
        first = rules.weights(normals[: self.data], closest) * inside
        theirs, planes = self.scan.vertices[self.taken], self.scan_normals[self.taken]
        found = cKDTree(np.c_[places, 5 * normals]).query(np.c_[theirs, 5 * planes])[1]
        apart = np.linalg.norm(places[found] - theirs, axis=1)
        none, edge = np.zeros(len(found), np.int64), self.on_boundary[found]
        second = rules.weights(
            planes, ClosestPoints(places[found], none, normals[found], apart, edge)
        )
        rows = np.r_[np.arange(self.data), found]
        along = np.r_[self.scan_normals[self.tree.query(closest.position)[1]], planes]
        targets = np.r_[closest.position, theirs]
        cells = [np.minimum(a / np.median(a), 2) for a in (self.data_areas, self.scan_areas)]
        weights = np.r_[first * cells[0], second * cells[1]]
        residuals = ((targets - places[rows]) * along).sum(1)
        spread_mm = max(3 * 1.4826 * np.median(np.abs(residuals[weights > 0])), 0.5)
        weights = weights / (1 + (residuals / spread_mm) ** 2) ** 2
        kept = weights > 0.05
        offsets = ((targets - self.points.places[rows]) * along).sum(1)
        return Constraints(rows[kept], along[kept], offsets[kept], weights[kept])

    def run(self) -> tuple[np.ndarray, np.ndarray, float, float]:
        """Which errors count, the errors, their mean over the area and its standard deviation."""
        moved, theta = np.zeros_like(self.points.places), SIZES
        for turn in range(ROUNDS):
            drawn = self.constraints(moved)
            seen = self.points.at(drawn.rows)
            if turn < 2:
                part = self.rng.permutation(len(drawn.rows))[:TUNED]
                given = (drawn.normals[part], drawn.offsets[part], drawn.weights[part])
                theta = likeliest_sizes(seen.at(part), *given, theta)
            sizes = np.exp(theta)
            matrix = covariance(seen, drawn.normals, seen, drawn.normals, sizes)
            matrix[np.diag_indices(len(drawn.rows))] += sizes[3] ** 2 / drawn.weights
            factor = cho_factor(matrix, lower=True, overwrite_a=True)
            solved = cho_solve(factor, drawn.offsets)[:, None]
            moved = self.predicted(self.points, seen, drawn, sizes, solved)[0]
        wanted = self.points.at(np.arange(self.data, len(self.points.places)))
        samples = self.prior(wanted, seen, sizes)
        count = len(wanted.places)
        noise = self.rng.standard_normal((SAMPLES, len(drawn.rows)))
        # Matheron's rule: a draw of the prior, corrected by what the constraints say of its errors.
        missing = drawn.offsets - (samples[:, count:] * drawn.normals).sum(2)
        missing -= noise * sizes[3] / np.sqrt(drawn.weights)
        fields = samples[:, :count]
        fields += self.predicted(wanted, seen, drawn, sizes, cho_solve(factor, missing.T))
        inside = self.counted(wanted, moved[self.data :])
        errors = np.stack([self.errors(wanted.places, field, inside) for field in fields])
        means = np.average(errors[:, inside], axis=1, weights=self.areas[inside])
        return inside, errors.mean(0), float(means.mean()), float(means.std(ddof=1))

    def predicted(
        self, at: Points, seen: Points, drawn: Constraints, sizes: np.ndarray, solved: np.ndarray
    ) -> np.ndarray:
        """Displacements (S, N, 3) that solutions (M, S) of the system make."""
        axes = (np.broadcast_to(axis, at.places.shape) for axis in np.eye(3))
        each = [covariance(at, axis, seen, drawn.normals, sizes) @ solved for axis in axes]
        return np.stack(each, axis=2).swapaxes(0, 1)

    def prior(self, wanted: Points, seen: Points, sizes: np.ndarray) -> np.ndarray:
        """Draws (S, N, 3) of the displacements, the fields by random Fourier features."""
        places = np.r_[wanted.places, seen.places]
        normals = np.r_[wanted.normals, seen.normals]
        modes = np.r_[wanted.modes, seen.modes]
        draw = self.rng.standard_normal
        field = self.features(places, FIELD_MM)
        fields = sizes[1] * np.einsum("pf,sfd->spd", field, draw((SAMPLES, FEATURES, 3)))
        detail = self.features(places, DETAIL_MM) @ draw((FEATURES, SAMPLES))
        fields += sizes[2] * detail.T[:, :, None] * normals
        fields += sizes[0] * np.einsum("pdk,sk->spd", modes, draw((SAMPLES, modes.shape[2])))
        turn, shift, growth = np.split(draw((SAMPLES, 7)) * FREE, [3, 6], axis=1)
        arms = places - wanted.centre
        fields += np.cross(turn[:, None], arms) + shift[:, None] + growth[:, None] * arms
        return fields

    def features(self, places: np.ndarray, reach_mm: float) -> np.ndarray:
        """(N, F) whose products have the Matérn correlation: frequencies are Student's t."""
        normal = self.rng.standard_normal((FEATURES, 3)) / (reach_mm / 2)
        waves = normal / np.sqrt(self.rng.chisquare(3, (FEATURES, 1)) / 3)
        phases = self.rng.uniform(0, 2 * np.pi, FEATURES)
        return np.sqrt(2 / FEATURES) * np.cos(places @ waves.T + phases)

    def counted(self, wanted: Points, moved: np.ndarray) -> np.ndarray:
        """Where the protocol counts: the scan shows the place and was reached within 3 mm."""
        closest = self.scan.closest(wanted.places + moved)
        rules = replace(MICC.intersection, max_distance_mm=3.0)
        held = self.crop.holds(closest.position)
        return np.asarray((rules.weights(wanted.normals, closest) > 0) & held)

    def errors(self, places: np.ndarray, field: np.ndarray, inside: np.ndarray) -> np.ndarray:
        """Distances (N,) once a similarity has brought corresponding points closest."""
        there = places + field
        back = similarity_between(places[inside], there[inside], None, self.areas[inside])
        return np.linalg.norm(back.apply(places) - there, axis=1)


def carried_modes(people: MorphableModel, prior: MorphableModel) -> np.ndarray:
    """Modes (V, 3, K) of a model at another's vertices, NaN where it has no skin within 8 mm."""
    mean = np.asarray(people.mean_shape, np.float64)
    mesh = Mesh(mean, people.triangles, people.landmarks)
    landmarks = Landmarks(mean[people.landmarks])
    fit = fit_model(prior, mesh, landmarks, expression=False, scale=True)
    apart, beside = cKDTree(np.asarray(fit.mesh.vertices)).query(mean, k=3)
    shares = 1 / (apart + 1e-3)
    shares /= shares.sum(1, keepdims=True)
    modes = np.einsum("vk,vkdm->vdm", shares, np.asarray(prior.identity_basis, np.float64)[beside])
    modes = fit.similarity.scale * np.einsum("ed,vdm->vem", fit.similarity.rotation, modes)
    return np.where(apart[:, :1, None] < 8.0, modes, np.nan)


def measure(
    model: MorphableModel, modes: np.ndarray, person: AuditedPerson, seed: int
) -> Iterator[tuple[str, float, float, float, float, float, float, float]]:
    """Of each prediction: name, true mean, the field's and the process's with its deviation, the
    correlations of both over the skin, and the processor seconds of the process."""
    area = shown_area(model, person)
    scan, place = Surface(person.scan), person.placement
    crop = Sphere(place.apply(person.landmarks[30][None])[0], MICC.crop.radius_mm)
    turned = np.einsum("ed,vdk->vek", place.rotation, modes)
    for predictor in (one for one in PREDICTORS if one.name in PREDICTIONS):
        stream = random_stream(seed, "audit", model.digest, person.subject, predictor.name)
        bare = replace(predictor, topology=without_inner_parts)
        handed = bare.predict(model, person, area, stream)
        errors = true_errors(handed.vertices, person, area, True)
        own = Surface(handed.mesh)
        found = align(own, scan, place, MICC.intersection, crop, MICC.alignment).transform
        moved = found.apply(np.asarray(handed.mesh.vertices, np.float64))
        face = Surface(Mesh(moved, handed.mesh.triangles))
        of = np.full(len(face.vertices), -1)
        of[face.vertex_of[face.vertex_of >= 0]] = handed.origin[face.vertex_of >= 0]
        matches = correspond(face, scan, crop, MICC.intersection)
        kept, weights = matches.inliers, matches.areas
        back = similarity_between(
            matches.on_prediction[kept], matches.on_scan[kept], None, weights[kept]
        )
        plain = np.linalg.norm(back.apply(matches.on_prediction) - matches.on_scan, axis=1)
        start = time.process_time()
        process = Process(face, scan, crop, turned[of])
        inside, guessed, mean, deviation = process.run()
        seconds = time.process_time() - start
        here = of[process.index[inside]]
        yield (
            predictor.name,
            float(np.average(errors[area > 0], weights=area[area > 0])),
            float(np.average(plain[kept], weights=weights[kept])),
            mean,
            deviation,
            correlation(plain[kept], errors[of[kept]], area[of[kept]]),
            correlation(guessed[inside], errors[here], area[here]),
            seconds,
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("prior")
    parser.add_argument("--people", type=int, default=3)
    parser.add_argument("--seed", type=int, default=501)
    given = parser.parse_args()
    model, prior = load_model(given.model), load_model(given.prior)
    modes, maker, rows = carried_modes(model, prior), PeopleMaker(model, given.seed), []
    for number in range(1, given.people + 1):
        for name, *numbers in measure(model, modes, maker.person(number), given.seed):
            print(f"{number} {name:18}" + "".join(f"{value:8.3f}" for value in numbers), flush=True)
            rows.append(numbers)
    true, field, process, deviation, *skin, seconds = np.array(rows).T
    for label, measured, over in (("field", field, skin[0]), ("process", process, skin[1])):
        print(
            f"{label:8} bias {measured.sum() / true.sum() - 1:+.1%}  root mean square "
            f"{np.sqrt(np.mean((measured - true) ** 2)):.3f}  r pooled "
            f"{np.corrcoef(measured, true)[0, 1]:.3f}  r skin {np.mean(over):.2f}"
        )
    print(f"within one deviation {np.mean(np.abs(process - true) < deviation):.0%}", end="  ")
    print(f"processor seconds {np.median(seconds):.1f}")


if __name__ == "__main__":
    main()
