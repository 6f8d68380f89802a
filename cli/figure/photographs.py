"""`facebench figure quality`, `occlusion`, `parsing`, `consistency`: made of photographs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from .._tables import print_json
from . import _shared
from ._shared import Options

if TYPE_CHECKING:
    from ...bench.figures.consistency import Spread
    from ...bench.figures.occlusion import Mask, TexturedFace
    from ...bench.figures.photographs import Photograph, Reconstructions
    from ...bench.method.interface import Method
    from ...recon.losses.multilevel import IdentityFeatures
    from ...recon.vision.landmarks import LandmarkDetector


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
def quality(**options: Any) -> None:
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

    built = build_choices(method_choices(options["methods"]), options["model"], options["device"])
    found = _photographs_or_made(options)
    faces = reconstruct_faces(built, found, _shared.make_landmarks(options))
    _shared.write(quality_sheet(found, faces, FaceArtist()), options)


def _photographs_or_made(options: Options) -> tuple[Photograph, ...]:
    if options["photographs"]:
        return _shared.read(options)
    from ...bench.figures.occlusion import embedded_photographs
    from ...recon.morphable.load import load_model

    return embedded_photographs(load_model(options["model"]), options["limit"], options["seed"])


@click.command(name="occlusion")
@_shared.photographs
@_shared.out
@click.option(
    "--method",
    default="ours",
    metavar="NAME[=WEIGHTS][ as LABEL]",
    help="Whose shape, pose and light are taken, and whose albedo is the reconstruction.",
)
@click.option(
    "--parser",
    default="embedded",
    help="Weights of the face parser; on synthetic people the true mask is shown.",
)
@_shared.model
@_shared.detector
@_shared.landmarks
@_shared.limit(3)
@click.option("--people", type=click.IntRange(1), default=24, help="Made-up people to measure on.")
@_shared.seed
@_shared.device
@_shared.width
@_shared.dpi
def occlusion(**options: Any) -> None:
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

    choice = MethodChoice.parse(options["method"])
    (built,) = build_choices([choice], options["model"], options["device"]).values()
    # For methods that give no pose of their own.
    landmarks = _shared.make_landmarks(options)
    if options["photographs"]:
        # The true albedo of photographs is not known, so there are no numbers.
        notes: tuple[str, ...] = ()
        faces = _of_photographs(built, landmarks, options)
    else:
        measured, notes = _measure(built, landmarks, options)
        # The further a head is turned, the more of it the camera does not see.
        faces = most_turned(measured, options["limit"])
    _shared.write(occlusion_sheet(faces, FaceArtist(), notes), options)


def _of_photographs(
    method: Method, landmarks: LandmarkDetector, options: Options
) -> list[TexturedFace]:
    from ...bench.figures.occlusion import add_textures, parsed_masks
    from ...bench.figures.photographs import photographed_faces

    found = _shared.read(options)
    masks = parsed_masks(found, options["parser"], options["device"])
    faces = photographed_faces(method, found, landmarks)
    # The parser's masks; of synthetic people the true ones are known.
    return [add_textures(*one) for one in zip(found, masks, faces, strict=True)]


def _measure(
    method: Method, landmarks: LandmarkDetector, options: Options
) -> tuple[list[TexturedFace], tuple[str, ...]]:
    """Made-up faces with both textures, and their numbers, which are printed and kept too."""
    from ...bench.figures.occlusion import covered_faces, measure_textures, photograph_of
    from ...bench.figures.photographs import photographed_faces
    from ...recon.morphable.load import load_model
    from ...results.figures.occlusion import albedo_csv, albedo_note

    loaded = load_model(options["model"])
    covered = covered_faces(loaded, options["people"], options["seed"])
    shown = [photograph_of(one.as_photographed()) for one in covered]
    found = photographed_faces(method, shown, landmarks)
    faces = [measure_textures(loaded, *one) for one in zip(covered, found, strict=True)]
    note = albedo_note([face.errors for face in faces if face.errors])
    click.echo(note)
    _shared.write_beside(options, ".csv", albedo_csv(faces))
    return faces, (note,)


@click.command(name="parsing")
@_shared.photographs
@_shared.out
@click.option(
    "--parser",
    default="embedded",
    help="'embedded', a file of 'facebench train --recipe parser', or the public 79999_iter.pth.",
)
@_shared.model
@_shared.detector
@_shared.limit(4)
@_shared.seed
@_shared.device
@_shared.width
@_shared.dpi
def parsing(**options: Any) -> None:
    """Face parsing: each photograph with its mask, and the legend of the 19 classes.

    On PHOTOGRAPHS the mask is the parser's. Without any, people are made from the face model and
    the true mask stands beside the parser's, with their agreement; alone where the package holds no
    parser.

    \b
    Examples:
      facebench figure parsing --out figures/parsing
      facebench figure parsing photographs/ --parser 79999_iter.pth --out figures/mine
    """
    from ...bench.figures.occlusion import parsed_masks
    from ...recon.render.face_in_photograph import FaceArtist
    from ...results.figures.occlusion import parsing_sheet

    notes: list[str] = []
    if options["photographs"]:
        found = _shared.read(options)
        masks = {"parsed": parsed_masks(found, options["parser"], options["device"])}
    else:
        found, masks, notes = _made_with_masks(options)
    _shared.write(parsing_sheet(found, masks, FaceArtist(), notes), options)


def _made_with_masks(
    options: Options,
) -> tuple[tuple[Photograph, ...], dict[str, list[Mask]], list[str]]:
    from ...bench.figures.occlusion import labelled_faces, parsed_masks, photograph_of
    from ...recon.morphable.load import load_model
    from ...recon.network.vision_weights import EMBEDDED, embedded_network
    from ...results.figures.occlusion import agreement_note

    parser, model = options["parser"], load_model(options["model"])
    faces = labelled_faces(model, options["limit"], options["seed"])
    found = tuple(photograph_of(face) for face in faces)
    # The first row of the sheet, what the parser's is judged by.
    masks = {"true mask": [face.mask for face in faces]}
    # True masks are worth a figure without a parser; one that was asked for is not optional.
    if parser == EMBEDDED and not embedded_network("parser").is_file():
        return found, masks, ["The package holds no parser: the true masks are shown."]
    masks["parsed"] = parsed_masks(found, parser, options["device"])
    note = agreement_note(masks["parsed"], masks["true mask"])
    click.echo(note)
    return found, masks, [note]


@click.command(name="consistency")
@_shared.photographs
@_shared.out
@_shared.methods("ours", "fitting", "mean-face")
@_shared.model
@_shared.detector
@_shared.landmarks
@_shared.recogniser
@click.option("--people", type=click.IntRange(1), default=12, help="People to measure.")
@click.option(
    "--each",
    type=click.IntRange(1),
    default=3,
    help="Poses, expressions and lights of each; of a folder three times as many photographs.",
)
@_shared.limit(2, "People to show.")
@_shared.seed
@_shared.device
@_shared.width
@_shared.dpi
@click.option("--json", "as_json", is_flag=True, help="Print the numbers as JSON.")
def consistency(**options: Any) -> None:
    """Consistency: one person's faces from photographs that differ in pose, expression and light.

    Shown are the photographs, and below them each method's face of every one: from the front,
    without expression, in the method's own albedo. Measured is how far these lie apart, in mm, and
    in degrees between a recogniser's features of them, over more people than are shown; the first
    method is compared with each other one, paired over people. OUT.csv has everybody's numbers.

    Without PHOTOGRAPHS people are made from the face model, one thing changing at a time. A folder
    needs several photographs of a person: NAME/NAME_0001.jpg as LFW has them, or a folder each.

    \b
    Examples:
      facebench figure consistency --out figures/consistency
      facebench figure consistency lfw/ --out figures/lfw --people 50 --limit 3
      facebench figure consistency --out figures/second-view \\
        --method "ours=with/weights.pt as second view" \\
        --method "ours=without/weights.pt as no second view"
    """
    from ...bench.figures.consistency import face_of, spread_of
    from ...bench.figures.photographs import reconstruct_faces
    from ...bench.method.registry import build_choices, method_choices
    from ...results.figures import consistency as texts

    built = build_choices(method_choices(options["methods"]), options["model"], options["device"])
    found = _photographs(options)
    faces = reconstruct_faces(built, found, _shared.make_landmarks(options))
    features = _features(options["recogniser"], options["device"])
    spreads = [
        spread_of(label, found, shown, face_of(built[label]), features)
        for label, shown in faces.items()
    ]
    _draw(found, faces, texts.spread_notes(spreads), options)
    # In the order of the photographs, each person once; a set would have none.
    names = list(dict.fromkeys(one.subject for one in found))
    _shared.write_beside(options, ".csv", texts.spread_csv(spreads, names))
    _print_spreads(spreads, options["as_json"])


def _photographs(options: Options) -> tuple[Photograph, ...]:
    if options["photographs"]:
        return _shared.read_people(options)
    from ...bench.figures.occlusion import varied_photographs
    from ...recon.morphable.load import load_model

    model, people = load_model(options["model"]), options["people"]
    return varied_photographs(model, people, options["each"], options["seed"])


def _features(choice: str, device: str) -> IdentityFeatures | None:
    """The recogniser asked for; without a wish the best where there is one."""
    from ...recon.network.vision_weights import embedded_network
    from ...recon.vision.recognition import make_identity_features
    from ...recon.weights.catalogue import BEST, EMBEDDED, resolve_choice

    found = resolve_choice("recogniser", choice)
    # Without a wish a missing recogniser only leaves the angles out; an asked-for one is an error.
    if choice == BEST and found == EMBEDDED and not embedded_network("recogniser").is_file():
        click.echo("No angles: the package holds no recogniser, give --recogniser.", err=True)
        return None
    return make_identity_features(found, device)


def _draw(
    photographs: Sequence[Photograph],
    found: Reconstructions,
    notes: Sequence[str],
    options: Options,
) -> None:
    from ...recon.render.face_in_photograph import FaceArtist
    from ...results.figures.consistency import consistency_sheet

    # All people are measured, the first few are shown.
    names = list(dict.fromkeys(one.subject for one in photographs))[: options["limit"]]
    shown = [one for one in photographs if one.subject in names]
    _shared.write(consistency_sheet(shown, found, FaceArtist(), notes), options)


def _print_spreads(spreads: Sequence[Spread], as_json: bool) -> None:
    from ...results.figures.consistency import spread_table, spread_values

    if as_json:
        print_json(spread_values(spreads))
        return
    from ...results.tables.writers import terminal_text

    click.echo(terminal_text([spread_table(spreads)]), nl=False)
