"""`facebench figure occlusion`: texture from the photograph against texture from the model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from . import _shared

if TYPE_CHECKING:
    from ...bench.figures.occlusion import TexturedFace
    from ...bench.figures.photographs import Photograph
    from ...bench.method.interface import Method
    from ...recon.vision.landmarks import LandmarkDetector


@click.command(name="occlusion")
@_shared.photographs
@_shared.out
@click.option(
    "--method",
    default="ours",
    show_default=True,
    metavar="NAME[=WEIGHTS][ as LABEL]",
    help="Whose shape, pose and light are taken, and whose albedo is the reconstruction.",
)
@click.option(
    "--parser",
    default="embedded",
    show_default=True,
    help="Weights of the face parser; on synthetic people the true mask is shown.",
)
@_shared.model
@_shared.detector
@_shared.landmarks
@_shared.limit(3)
@click.option(
    "--people",
    type=click.IntRange(1),
    default=24,
    show_default=True,
    help="Made-up people to measure on.",
)
@_shared.seed
@_shared.device
@_shared.width
@_shared.dpi
def command(
    photographs: tuple[Path, ...],
    out: Path,
    method: str,
    parser: str,
    model: str,
    detector: str,
    landmarks: str,
    limit: int,
    people: int,
    seed: int,
    device: str,
    width: float,
    dpi: int,
) -> None:
    """Occlusion: texture mapping beside texture reconstruction, from the front and from a side.

    Mapping gives every vertex the colour that the photograph shows there, the method's light
    divided out: what hides the face is painted on it, and the side that the camera does not see is
    smeared. Reconstruction is the method's own albedo.

    Without PHOTOGRAPHS a quarter of each synthetic face is hidden, and below each picture stands
    how far the albedo of the hidden skin is from the truth; those shown are the ones turned
    furthest. OUT.csv has the numbers of everybody.

    \b
    Examples:
      facebench figure occlusion --out figures/occlusion
      facebench figure occlusion photographs/ --parser 79999_iter.pth --out figures/mine
      facebench figure occlusion --model bfm.npz --method ours=weights.pt --out figures/bfm
    """
    from ...bench.figures.occlusion import most_turned
    from ...bench.method.registry import MethodChoice, build_choices
    from ...recon.render.face_in_photograph import FaceArtist
    from ...results.figures.occlusion import occlusion_sheet

    (built,) = build_choices([MethodChoice.parse(method)], model, device).values()
    # For methods that give no pose of their own.
    places = _shared.make_landmarks(landmarks, device)
    if photographs:
        # On photographs nobody knows the true albedo, so there are no numbers.
        notes: tuple[str, ...] = ()
        found = _shared.read(photographs, limit, detector)
        faces = _of_photographs(found, built, parser, places, device)
    else:
        stem = _shared.plain_stem(out)
        measured, notes = _measure(built, model, people, seed, stem, places)
        # The further a head is turned, the more of it the camera does not see.
        faces = most_turned(measured, limit)
    sheet = occlusion_sheet(faces, FaceArtist(), notes)
    _shared.write(sheet, out, width, dpi)


def _of_photographs(
    found: Sequence[Photograph],
    method: Method,
    parser: str,
    places: LandmarkDetector,
    device: str,
) -> list[TexturedFace]:
    from ...bench.figures.occlusion import add_textures, parsed_masks
    from ...bench.figures.photographs import photographed_faces

    masks = parsed_masks(found, parser, device)
    faces = photographed_faces(method, found, places)
    # The parser's masks; of synthetic people the true ones are known.
    return [add_textures(*one) for one in zip(found, masks, faces, strict=True)]


def _measure(
    method: Method, model: str, people: int, seed: int, stem: Path, places: LandmarkDetector
) -> tuple[list[TexturedFace], tuple[str, ...]]:
    """Made-up faces with both textures, and their numbers, which are printed and kept too."""
    from ...bench.figures.occlusion import covered_faces, measure_textures, photograph_of
    from ...bench.figures.photographs import photographed_faces
    from ...recon.morphable.load import load_model
    from ...results.figures.occlusion import albedo_csv, albedo_note

    loaded = load_model(model)
    covered = covered_faces(loaded, people, seed)
    shown = [photograph_of(one.as_photographed()) for one in covered]
    found = photographed_faces(method, shown, places)
    faces = [measure_textures(loaded, *one) for one in zip(covered, found, strict=True)]
    note = albedo_note([face.errors for face in faces if face.errors])
    click.echo(note)
    _shared.write_beside(stem, ".csv", albedo_csv(faces))
    return faces, (note,)
