"""What the limits of `facebench prepare` were set by: `python tests/benchmarks/preparation.py`.

Landmark misfit, sharpness and distances of perceptual hashes on 120 embedded faces of 60 people, as
they are and spoilt. Percentiles; times are processor time.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter
from scipy.spatial.transform import Rotation

from facebench.recon.face.crop import landmark_box
from facebench.recon.morphable.load import load_model
from facebench.recon.preparation.labelling import mean_landmarks
from facebench.recon.preparation.patch import Framed, cut_patch, frame_face, perceptual_hash
from facebench.recon.preparation.selection import (
    distance,
    fit_affine_camera,
)
from facebench.recon.synthetic.faces import FaceSampler, LabelledFace

PEOPLE, SIDE = 60, 224
Change = Callable[[Image.Image], Image.Image]


def main() -> None:
    """Draw, spoil, measure, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--ict", type=Path, help="packed ICT-FaceKit model")
    options = parser.parse_args()
    sampler = FaceSampler(load_model("embedded"), seed=7, image_size=400)
    faces = [sampler.face(person, frame) for person in range(PEOPLE) for frame in range(2)]
    start = time.process_time()
    framed = [frame(face) for face in faces]
    print(f"framing: {(time.process_time() - start) / len(faces) * 1000:.1f} ms a face")
    print_misfits(faces)
    if options.ict:
        print_ict(options.ict)
    print_sharpness(framed)
    print_hashes(framed)


def frame(face: LabelledFace) -> Framed:
    """The training crop of a face."""
    patch = cut_patch(face.image, None, landmark_box(face.landmarks), SIDE)
    return frame_face(patch, patch.points_inside(face.landmarks), SIDE)


def print_misfits(faces: list[LabelledFace]) -> None:
    """How far landmarks are from those of any view of the mean face."""
    random = np.random.default_rng(0)
    for name, spoil in {
        "true": lambda p: p,
        "noise of 10 %": lambda p: p + random.normal(0, 0.1, p.shape) * np.ptp(p, axis=0).max(),
        "shuffled": lambda p: p[random.permutation(68)],
    }.items():
        misfits = [fit_affine_camera(spoil(f.landmarks), mean_landmarks())[0] for f in faces]
        tell(f"misfit, {name}", misfits, [0, 50, 99, 100], ".3f")


def print_ict(path: Path) -> None:
    """Misfit of ICT-FaceKit's faces, with three expressions each and yaw up to 70 degrees."""
    model, random = np.load(path), np.random.default_rng(1)
    corners = model["landmarks"]
    mean, people, expressions = (
        model[name][corners] for name in ("mean_shape", "identity_basis", "expression_basis")
    )
    misfits = []
    for _ in range(500):
        expression = np.zeros(expressions.shape[2])
        expression[random.integers(0, len(expression), 3)] = random.uniform(0, 1, 3)
        points = mean + people @ random.standard_normal(100) + expressions @ expression
        angles = random.uniform(-1, 1, 3) * [70, 25, 30]
        turn = Rotation.from_euler("yxz", angles, degrees=True).as_matrix()
        seen = (points @ turn.T)[:, :2] * [1, -1]
        misfits.append(fit_affine_camera(seen, mean_landmarks())[0])
    tell("misfit, ICT-FaceKit", misfits, [0, 50, 99, 100], ".3f")


def print_sharpness(framed: list[Framed]) -> None:
    """Sharpness of faces as they are and blurred by Gaussians of some px of 224."""
    for radius in (0, 1, 2, 4, 8):
        pictures = [changed(f.image, lambda i, r=radius: blurred(i, r)) for f in framed]
        measured = [
            replace(f, image=picture).sharpness for f, picture in zip(framed, pictures, strict=True)
        ]
        tell(f"sharpness, blur {radius} px", measured, [0, 5, 50, 95], ".1f")


def print_hashes(framed: list[Framed]) -> None:
    """Bits between different pictures, and between a picture and its copies."""
    hashes = [perceptual_hash(face.image) for face in framed]
    between = [distance(a, b) for place, a in enumerate(hashes) for b in hashes[:place]]
    tell("bits between faces", between, [0, 0.1, 1, 50], ".0f")
    for name, change in COPIES.items():
        copies = [perceptual_hash(changed(face.image, change)) for face in framed]
        apart = [distance(a, b) for a, b in zip(hashes, copies, strict=True)]
        tell(f"bits to a copy, {name}", apart, [50, 95, 100], ".0f")


def resaved(picture: Image.Image) -> Image.Image:
    """As JPEG of quality 20."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=20)
    return Image.open(buffer)


def blurred(picture: Image.Image, radius: float) -> Image.Image:
    """By a Gaussian; not at all for 0."""
    return picture.filter(ImageFilter.GaussianBlur(radius)) if radius else picture


def changed(image: np.ndarray, change: Change) -> np.ndarray:
    """An array after a change of its picture."""
    return np.asarray(change(Image.fromarray(image)))


COPIES: dict[str, Change] = {
    "quality 20": resaved,
    "half size": lambda i: i.resize((SIDE // 2, SIDE // 2), Image.Resampling.BILINEAR),
    "brighter": lambda i: i.point(lambda value: min(255, value * 1.25)),
    "shifted 2 px": lambda i: i.transform(i.size, Image.Transform.AFFINE, (1, 0, 2, 0, 1, 2)),
}


def tell(name: str, values: list[float], percentiles: list[float], kind: str) -> None:
    """A line of percentiles."""
    found = np.percentile(values, percentiles)
    shown = "  ".join(f"{p:g}%: {v:{kind}}" for p, v in zip(percentiles, found, strict=True))
    print(f"{name:28s} {shown}")


if __name__ == "__main__":
    main()
