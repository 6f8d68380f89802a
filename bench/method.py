"""The one door for every reconstruction method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..recon.mesh import Mesh


@dataclass(frozen=True)
class MethodCard:
    """What a table or a run says about a method.

    Attributes:
        name: as given to `--method`.
        title: one line.
        paper: citation, or empty.
        licence: of code and weights.
        leakage: why its numbers may be flattered (trained or validated on the test set), or empty.
        published: scene to (mean, std) in mm from the literature, or empty.
    """

    name: str
    title: str
    paper: str
    licence: str
    leakage: str = ""
    published: tuple[tuple[str, float, float], ...] = ()


@dataclass(frozen=True)
class MethodOptions:
    """What a method is built from; small and picklable, so that every worker builds its own.

    Attributes:
        checkpoint: trained weights, or None for those that come with the method.
        model: the face model as given to `--model`: `embedded` or a path.
        device: where networks run, as PyTorch names it.
    """

    checkpoint: Path | None = None
    model: str = "embedded"
    device: str = "cpu"


class Method(Protocol):
    """Reconstructs faces from crops.

    `describe` gives one vector a face that may be summed and averaged over frames; `mesh` decodes
    the average. For a linear 3DMM the vector is the identity coefficients, and decoding their mean
    equals averaging the meshes.
    """

    @property
    def card(self) -> MethodCard:
        """Name, paper, licence and published numbers."""
        ...

    @property
    def crop_size(self) -> int:
        """Side in pixels of the square crops that `describe` takes."""
        ...

    @property
    def parts(self) -> Mapping[str, NDArray[np.bool_]]:
        """Vertices (V,) of its meshes in each part of the face (`bench.regions`), or nothing."""
        ...

    @property
    def model_digest(self) -> str:
        """Digest of the morphable model behind the meshes, or empty."""
        ...

    @property
    def checkpoint_digest(self) -> str:
        """Digest of the file with the trained weights, or empty."""
        ...

    @property
    def digest(self) -> str:
        """Digest of everything that decides its numbers (weights and model)."""
        ...

    def describe(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """One vector (B, D) for (B, size, size, 3) RGB crops."""
        ...

    def mesh(self, vector: NDArray[np.floating]) -> Mesh:
        """The subject's neutral face in mm from an average vector (D,)."""
        ...


class MethodModule(Protocol):
    """A module in `bench/methods`, or one that an entry point names; light to import."""

    CARD: MethodCard

    def build(self, options: MethodOptions) -> Method:
        """The method, ready to describe crops.

        Raises:
            FacebenchError: the checkpoint or the model cannot be used.
        """
        ...
