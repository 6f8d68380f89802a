"""Interfaces of reconstruction methods: those that read frames, and those that come as files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ...recon.mesh import Mesh
    from ...recon.render.face_in_photograph import FaceInPhotograph
    from ..dataset.interface import Item
    from ..landmarks import Landmarks

Kind = Literal["frames", "files"]
"""Whether a method reconstructs frames (`Method`) or its faces are files already (`FileMethod`)."""

Expression = Literal["neutral", "predicted"]
"""Which expression the measured faces have (`protocol.Reduction.expression`)."""


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
        kind: what it is built as: `frames`, a `Method`; `files`, a `FileMethod`.
        expressions: of the faces it can give: `neutral`, `predicted` (that of the photographs).
        own: what of it was made here and what is the publication's, or empty.
        seen: the data that its weights and settings come from, or empty.
        state: whether it can be used as it is: trained, to be trained, nothing to train; or empty.
        trains: whether its weights come from a training; False for one that has none.
    """

    name: str
    title: str
    paper: str
    licence: str
    leakage: str = ""
    published: tuple[tuple[str, float, float], ...] = ()
    kind: Kind = "frames"
    expressions: tuple[Expression, ...] = ("neutral",)
    own: str = ""
    seen: str = ""
    state: str = ""
    trains: bool = True


@dataclass(frozen=True)
class MethodOptions:
    """What a method is built from; small and picklable, so that every worker builds its own.

    Attributes:
        checkpoint: trained weights, or None for those that come with the method.
        model: the face model as given to `--model`: `embedded` or a path.
        device: where networks run, as PyTorch names it.
        source: what stands behind the colon of `NAME:SOURCE`; empty for methods that read frames.
        unit: of a file method's meshes: mm, cm or m, or `any`, see `meshes.units.ANY_UNIT`.
        expression: that the faces shall have, as the protocol says.
    """

    checkpoint: Path | None = None
    model: str = "embedded"
    device: str = "cpu"
    source: str = ""
    unit: str = "mm"
    expression: Expression = "neutral"


class Described(Protocol):
    """What tables and records ask of every method."""

    @property
    def card(self) -> MethodCard:
        """Name, paper, licence and published numbers."""
        ...

    @property
    def parts(self) -> Mapping[str, NDArray[np.bool_]]:
        """Vertices (V,) of its meshes in each part of the face (`face_parts`), or nothing."""
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
        """Digest of everything that decides its numbers: weights and model, or the files."""
        ...


class Method(Described, Protocol):
    """Reconstructs faces from crops.

    `describe` gives one vector a face that may be summed and averaged over frames; `mesh` decodes
    the average. For a linear 3DMM the vector is the identity coefficients, and decoding their mean
    equals averaging the meshes.
    """

    @property
    def crop_size(self) -> int:
        """Side in pixels of the square crops that `describe` takes."""
        ...

    def describe(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """One vector (B, D) for (B, size, size, 3) RGB crops."""
        ...

    def mesh(self, vector: NDArray[np.floating]) -> Mesh:
        """The subject's face in mm from an average vector (D,)."""
        ...


@runtime_checkable
class PlacesFaces(Protocol):
    """Says of a photograph more than who is in it; figures draw it.

    A `Method` need not: what it leaves open is found by `faces_in_photographs`.
    """

    def faces_in_photographs(self, crops: NDArray[np.uint8]) -> list[FaceInPhotograph]:
        """The face in each of (B, size, size, 3) RGB crops, in the crop's own coordinates."""
        ...


@runtime_checkable
class TakesLandmarks(Protocol):
    """Starts from landmarks; those that somebody put on a photograph are better than its own."""

    def faces_at_landmarks(
        self, crops: NDArray[np.uint8], landmarks: NDArray[np.floating]
    ) -> list[FaceInPhotograph]:
        """As `faces_in_photographs`, with (B, 68, 2) px of the crops; NaN where none are known."""
        ...


@runtime_checkable
class HoldsMeshes(Protocol):
    """Gives a subject's face without looking at frames."""

    @property
    def names(self) -> tuple[str, ...]:
        """The name of every face it has, as `dataset.interface.Item.names` has them."""
        ...

    def files_for(self, item: Item) -> tuple[Path, ...]:
        """The files that the face of an item is read from; none where it has no face of it."""
        ...

    def mesh_for(self, item: Item) -> Mesh:
        """The face of an item, mm, with `landmarks` where its vertices are known.

        Raises:
            FacebenchError: there is none, or its file cannot be used.
        """
        ...

    def landmarks_for(self, item: Item) -> Landmarks | None:
        """Landmarks given as points in the space of that mesh, mm, or None.

        Raises:
            FacebenchError: their file cannot be used.
        """
        ...


class FileMethod(Described, HoldsMeshes, Protocol):
    """Faces that were reconstructed elsewhere: one mesh per subject and scene, no frame is read."""


AnyMethod = Method | FileMethod


class MethodModule(Protocol):
    """A module in `bench/methods`, or one that an entry point names; light to import."""

    CARD: MethodCard

    def build(self, options: MethodOptions) -> AnyMethod:
        """The method, of the kind that the card states.

        Raises:
            FacebenchError: the checkpoint, the model or the files cannot be used.
        """
        ...
