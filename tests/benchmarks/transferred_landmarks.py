"""Errors of landmarks transferred from the embedded face: transferred_landmarks.py NPZ."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from facebench.recon.morphable.basel_landmarks import IBUG_OF_NAME
from facebench.recon.morphable.landmarks import landmark_points
from facebench.recon.morphable.load import read_npz

KNOWN = {
    "12, as BFM 2017 and 2019 name": list(IBUG_OF_NAME.values()),
    "50, as eos names for Surrey": [8, *range(17, 60), 61, 62, 63, 65, 66, 67],
}
FACES = 20


def main(path: Path) -> None:
    """Print mean distances in mm over random identities, for the jaw line and for the rest."""
    model = read_npz(path)
    random = np.random.default_rng(0)
    identities = random.normal(size=(FACES, model.identity_basis.shape[2]))
    faces = [model.mesh(identity).vertices for identity in identities]
    for name, numbers in KNOWN.items():
        known = np.isin(np.arange(68), numbers)
        landmarks = np.where(known, model.landmarks, -1)
        away = np.stack(
            [
                np.linalg.norm(landmark_points(face, landmarks, "") - face[model.landmarks], axis=1)
                for face in faces
            ]
        )
        jaw, rest = away[:, :17][:, ~known[:17]], away[:, 17:][:, ~known[17:]]
        print(f"{name}: jaw line {jaw.mean():.1f} mm, others {rest.mean():.1f} mm")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
