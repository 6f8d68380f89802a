"""Several methods on the same photographs: what each sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...recon.render.pose_and_light import Likeness
from ...recon.vision.landmarks import LandmarkDetector
from ..method.interface import Method
from ..method.likenesses import likenesses
from .photographs import Photograph, crops_of


@dataclass(frozen=True, eq=False)
class Seen:
    """What one method sees in some photographs.

    Attributes:
        label: what the figure calls the method.
        likenesses: one a photograph.
    """

    label: str
    likenesses: tuple[Likeness, ...]


def seen_by(
    methods: Mapping[str, Method], photographs: Sequence[Photograph], detector: LandmarkDetector
) -> list[Seen]:
    """Each method's faces in the photographs.

    Args:
        methods: by the labels of the figure.
        photographs: each with a face.
        detector: of landmarks, see `likenesses`.
    """
    return [
        Seen(label, tuple(likenesses(method, crops_of(photographs, method.crop_size), detector)))
        for label, method in methods.items()
    ]
