"""`facebench figure consistency`: one person in several photographs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .._tables import print_json
from . import _shared

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...bench.figures.consistency import Spread
    from ...bench.figures.photographs import Photograph, Reconstructions
    from ...bench.method.interface import Method
    from ...recon.losses.multilevel import IdentityFeatures


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
def command(
    photographs: tuple[Path, ...],
    out: Path,
    methods: tuple[str, ...],
    model: str,
    detector: str,
    landmarks: str,
    recogniser: str,
    people: int,
    each: int,
    limit: int,
    seed: int,
    device: str,
    width: float,
    dpi: int,
    as_json: bool,
) -> None:
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
    from ...bench.figures.photographs import reconstruct_faces
    from ...bench.method.registry import build_choices, method_choices
    from ...results.figures import consistency as texts

    built = build_choices(method_choices(methods), model, device)
    found = _photographs(photographs, model, people, each, seed, detector)
    faces = reconstruct_faces(built, found, _shared.make_landmarks(landmarks, device))
    spreads = _measure(built, found, faces, _features(recogniser, device))
    _draw(found, faces, texts.spread_notes(spreads), limit, out, width, dpi)
    # In the order of the photographs, each person once; a set would have none.
    names = list(dict.fromkeys(one.subject for one in found))
    _shared.write_beside(_shared.plain_stem(out), ".csv", texts.spread_csv(spreads, names))
    _say(spreads, as_json)


def _photographs(
    places: tuple[Path, ...], model: str, people: int, each: int, seed: int, detector: str
) -> tuple[Photograph, ...]:
    if places:
        # As many as a synthetic person has: three kinds of change, and `each` of every kind.
        return _shared.read_people(places, people, 3 * each, detector)
    from ...bench.figures.occlusion import varied_photographs
    from ...recon.morphable.load import load_model

    return varied_photographs(load_model(model), people, each, seed)


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


def _measure(
    methods: dict[str, Method],
    photographs: Sequence[Photograph],
    found: Reconstructions,
    features: IdentityFeatures | None,
) -> list[Spread]:
    from ...bench.figures.consistency import face_of, spread_of

    return [
        spread_of(label, photographs, reconstructions, face_of(methods[label]), features)
        for label, reconstructions in found.items()
    ]


def _draw(
    photographs: Sequence[Photograph],
    found: Reconstructions,
    notes: Sequence[str],
    limit: int,
    out: Path,
    width: float,
    dpi: int,
) -> None:
    from ...recon.render.face_in_photograph import FaceArtist
    from ...results.figures.consistency import consistency_sheet

    # All people are measured, the first few are shown.
    names = list(dict.fromkeys(one.subject for one in photographs))[:limit]
    shown = [one for one in photographs if one.subject in names]
    sheet = consistency_sheet(shown, found, FaceArtist(), notes)
    _shared.write(sheet, out, width, dpi)


def _say(spreads: Sequence[Spread], as_json: bool) -> None:
    from ...results.figures.consistency import spread_table, spread_values

    if as_json:
        print_json(spread_values(spreads))
        return
    from ...results.tables.writers import terminal_text

    click.echo(terminal_text([spread_table(spreads)]), nl=False)
