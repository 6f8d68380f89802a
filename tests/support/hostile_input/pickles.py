"""Pickles that leave a mark when something runs them, in every file that may hold one."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np


class _Mark:
    """Unpickled, it writes the canary file."""

    def __init__(self, canary: Path) -> None:
        self._canary = canary

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return open, (str(self._canary), "w")


def malicious(canary: Path, protocol: int = 2) -> bytes:
    """A pickle that makes the file `canary` when it is loaded."""
    return pickle.dumps(_Mark(canary), protocol)


def in_npy(canary: Path) -> bytes:
    """The same as an array of objects."""
    buffer = io.BytesIO()
    np.save(buffer, np.array([_Mark(canary)], dtype=object), allow_pickle=True)
    return buffer.getvalue()


def in_npz(canary: Path, names: tuple[str, ...]) -> bytes:
    """The same under each of the names that a reader asks for."""
    arrays = {name: np.array([_Mark(canary)], dtype=object) for name in names}
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def in_checkpoint(canary: Path) -> bytes:
    """The same as `torch.save` lays it out."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", malicious(canary))
        archive.writestr("archive/version", "3\n")
        archive.writestr("archive/byteorder", "little")
    return buffer.getvalue()


def in_table_of_tensors(canary: Path) -> bytes:
    """A checkpoint of this package with the pickle among its values."""
    import torch

    buffer = io.BytesIO()
    torch.save({"format": 1, "weights": {}, "recipe": _Mark(canary), "steps": 1}, buffer)
    return buffer.getvalue()


def in_old_checkpoint(canary: Path) -> bytes:
    """The layout before 2020: pickles one after another, of which any may run."""
    import torch

    buffer = io.BytesIO()
    content = {"weights": _Mark(canary)}
    torch.save(content, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


def in_mat(canary: Path) -> bytes:
    """A MATLAB file whose variable is a text of such a pickle."""
    from scipy.io import savemat

    buffer = io.BytesIO()
    text = malicious(canary, 0).decode("latin-1")
    savemat(buffer, {"meanshape": text, "shapeMU": np.array([text], dtype=object)})
    return buffer.getvalue()


NAMES = (
    "vertices",
    "triangles",
    "mean_shape",
    "identity_basis",
    "expression_basis",
    "landmarks",
    "name",
)

PICKLES: Mapping[str, Callable[[Path], bytes]] = {
    "plain": malicious,
    "plain, protocol 4": lambda canary: malicious(canary, 4),
    "npy": in_npy,
    "npz": lambda canary: in_npz(canary, NAMES),
    "checkpoint": in_checkpoint,
    "table of tensors": in_table_of_tensors,
    "old checkpoint": in_old_checkpoint,
    "mat": in_mat,
}
"""Every kind, made for a canary file."""
