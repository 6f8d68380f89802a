"""`BFM_model_front.mat`: the front crop of BFM 2009 as the Deep3D family stores it, ready made."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...errors import FacebenchError
from .basel2009 import FETCH, LICENCE
from .checks import MILLIMETRES, check_outward
from .complete import complete_model
from .interleaved import BRIGHTEST, colours_of_bytes, modes, points
from .mat5 import read_mat
from .model import MorphableModel

_FRONT_VARIABLES = ("meanshape", "idBase", "exBase", "meantex", "texBase", "tri", "keypoints")


def read_basel_front(path: Path, unit: str = "dm") -> MorphableModel:
    """Read the file: its modes carry their deviation already, colours run from 0 to 255.

    Args:
        path: `BFM_model_front.mat`.
        unit: what the lengths are in, a key of `MILLIMETRES`; decimetres as made.

    Raises:
        FacebenchError: it is missing, damaged or of another kind, unit or topology.
    """
    mat = read_mat(path, _FRONT_VARIABLES, FETCH)
    if mat["keypoints"].size != 68:
        raise FacebenchError(f"{path}: {mat['keypoints'].size} keypoints", "expected 68")
    bases = {
        name: modes(mat[name], np.ones(mat[name].shape[-1]), f"{path}: {name}")
        for name in ("idBase", "exBase", "texBase")
    }
    to_mm = np.float32(MILLIMETRES[unit])
    arrays = {
        "mean_shape": points(mat["meanshape"], f"{path}: meanshape") * MILLIMETRES[unit],
        "identity_basis": bases["idBase"] * to_mm,
        "expression_basis": bases["exBase"] * to_mm,
        "mean_albedo": colours_of_bytes(mat["meantex"], f"{path}: meantex"),
        "albedo_basis": bases["texBase"] / BRIGHTEST,
        "triangles": mat["tri"].astype(np.int64) - 1,
        "landmarks": mat["keypoints"].astype(np.int64).ravel() - 1,
        "name": np.array("basel-2009"),
        "licence": np.array(LICENCE),
    }
    model = complete_model(arrays, str(path), unit)
    check_outward(model.mean_shape, model.triangles, int(model.landmarks[30]), str(path))
    return model
