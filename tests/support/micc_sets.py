"""The MICC layout as tests read it."""

from functools import partial
from pathlib import Path

import numpy as np

from facebench.bench.dataset.registry import open_dataset
from facebench.bench.surface.similarity import Similarity
from facebench.bench.synthetic.write import truth_folder
from facebench.recon.morphable.load import load_model
from facebench.recon.synthetic.appearance import required_landmarks

micc_dataset = partial(open_dataset, "micc")


def label_scans(folder: Path) -> None:
    """Landmarks beside every scan of a synthetic set, from its truth.

    A pose need not be searched for then, which takes more time than all else of a measurement.
    """
    model = load_model("embedded")
    for path in truth_folder(folder).glob("subject_*.npz"):
        with np.load(path) as truth:
            points = required_landmarks(model, truth["vertices"])
            for scan in (folder / path.stem).glob("Model/*/obj/*.obj"):
                name = scan.parts[-3]
                rotation, shift = truth[f"{name}_rotation"], truth[f"{name}_translation"]
                placed = Similarity(1.0, rotation, shift).apply(points)
                np.savetxt(scan.with_suffix(".landmarks.txt"), placed)
