"""`facebench figure quality`: methods side by side on the same photographs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from . import _shared

if TYPE_CHECKING:
    from ...bench.figures.photographs import Photograph


@click.command(name="quality")
@_shared.photographs
@_shared.out
@_shared.methods("ours", "fitting")
@_shared.model
@_shared.detector
@_shared.landmarks
@_shared.limit(3)
@_shared.seed
@_shared.device
@_shared.width
@_shared.dpi
def command(
    photographs: tuple[Path, ...],
    out: Path,
    methods: tuple[str, ...],
    model: str,
    detector: str,
    landmarks: str,
    limit: int,
    seed: int,
    device: str,
    width: float,
    dpi: int,
) -> None:
    """Reconstruction quality: for each photograph overlay, shape and texture of every method.

    PHOTOGRAPHS are files and folders; without any, people are made from the face model. A method
    that says nothing of pose or light, such as mean-face, is placed over the photograph by its
    landmarks. The texture is the method's albedo, without light.

    \b
    Examples:
      facebench figure quality --out figures/quality
      facebench figure quality MoFA-test --out figures/mofa --limit 4
      facebench figure quality lfw/Ann_Veneman photo.jpg --out figures/mine --method fitting
      facebench figure quality --out figures/mine --model bfm.npz \\
        --method "ours=full/weights.pt as full loss" --method "ours=bare/weights.pt as no identity"
    """
    from ...bench.figures.photographs import reconstruct_faces
    from ...bench.method.registry import build_choices, method_choices
    from ...recon.render.face_in_photograph import FaceArtist
    from ...results.figures.occlusion import quality_sheet

    built = build_choices(method_choices(methods), model, device)
    found = _photographs(photographs, model, limit, seed, detector)
    faces = reconstruct_faces(built, found, _shared.make_landmarks(landmarks, device))
    _shared.write(quality_sheet(found, faces, FaceArtist()), out, width, dpi)


def _photographs(
    places: tuple[Path, ...], model: str, limit: int, seed: int, detector: str
) -> tuple[Photograph, ...]:
    if not places:
        from ...bench.figures.occlusion import embedded_photographs
        from ...recon.morphable.load import load_model

        return embedded_photographs(load_model(model), limit, seed)
    return _shared.read(places, limit, detector)
