"""What the figures' commands share: options, reading photographs, writing the sheet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .. import _options

if TYPE_CHECKING:
    from ...bench.figures.photographs import Photograph, Readable
    from ...recon.vision.detect import ManyFacesDetector
    from ...recon.vision.landmarks import LandmarkDetector
    from ...results.figures.drawing import Sheet

Function = TypeVar("Function", bound=Callable[..., Any])
Options = Mapping[str, Any]
"""A command's options by the names of the decorators below."""

SEED = 20
"""Of `bench.figures.occlusion`; kept here so that help imports nothing."""

photographs = click.argument("photographs", nargs=-1, type=click.Path(exists=True, path_type=Path))
out = click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="Writes OUT.png and OUT.pdf.",
)
model = _options.model
seed = click.option(
    "--seed",
    type=click.IntRange(0),
    default=SEED,
    help="Of the people who are made where no photographs are given.",
)
device = click.option("--device", default="cpu", help="As PyTorch names it.")
detector, recogniser = _options.detector, _options.recogniser
landmarks = click.option(
    "--landmarks",
    default="best",
    metavar="NAME|FILE",
    help="Places methods that give no pose: 'embedded', 'face-api-68', 'fan' or a file.",
)
width = click.option(
    "--width",
    type=click.FloatRange(2.0, 40.0),
    default=7.0,
    help="Of the print in inches; letters keep 7 points.",
)
dpi = click.option("--dpi", type=click.IntRange(50, 1200), default=300, help="Of the PNG.")


def methods(*names: str) -> Callable[[Function], Function]:
    """`--method`, once per method."""
    return click.option(
        "--method",
        "methods",
        multiple=True,
        default=names,
        metavar="NAME[=WEIGHTS][ as LABEL]",
        help="Once per method; weights and label are optional.",
    )


def limit(default: int, what: str = "Photographs to show.") -> Callable[[Function], Function]:
    """`--limit`."""
    return click.option("--limit", type=click.IntRange(1), default=default, help=what)


def _make_finder(options: Options) -> ManyFacesDetector:
    from ...recon.vision.detect import make_detector
    from ...recon.weights.catalogue import resolve_choice

    return make_detector(resolve_choice("detector", options["detector"]))


def make_landmarks(options: Options) -> LandmarkDetector:
    """The landmark network of --landmarks.

    Raises:
        FacebenchError: its weights are not there.
    """
    from ...recon.vision.landmarks import make_landmark_detector
    from ...recon.weights.catalogue import resolve_choice

    choice = resolve_choice("landmarks", options["landmarks"])
    return make_landmark_detector(choice, options["device"])


def read(options: Options) -> tuple[Photograph, ...]:
    """The first --limit photographs with a face; what cannot be used is printed.

    Raises:
        FacebenchError: none has a face.
    """
    from ...bench.figures.photographs import photograph_sources, read_faces

    places = options["photographs"]
    found = read_faces(photograph_sources(places), _make_finder(options), options["limit"])
    return _collect([found], places)


def read_people(options: Options) -> tuple[Photograph, ...]:
    """Photographs of --people subjects, three times --each; what cannot be used is printed.

    Raises:
        FacebenchError: nobody has two photographs with a face.
    """
    from ...bench.figures.photographs import photograph_sources, several_of_each

    places = options["photographs"]
    # As many as a synthetic person has: three kinds of change, and `each` of every kind.
    people, each = options["people"], 3 * options["each"]
    sources = photograph_sources(places)
    return _collect(several_of_each(sources, _make_finder(options), people, each), places)


def _collect(found: Iterable[Readable], places: Iterable[Path]) -> tuple[Photograph, ...]:
    """All photographs together; their problems are printed."""
    from ...errors import FacebenchError

    photographs: list[Photograph] = []
    for usable, problems in found:
        photographs += usable
        # To standard error: the paths of the figures alone go to standard output.
        for problem in problems:
            click.echo(problem, err=True)
    # Some that fail leave a smaller figure; none at all is an error.
    if not photographs:
        where = ", ".join(map(str, places))
        raise FacebenchError(f"{where}: no photograph with a face", "see the reasons above")
    return tuple(photographs)


def write(sheet: Sheet, options: Options) -> None:
    """Write PNG and PDF and say where they are."""
    from ...results.figures.drawing import write_sheet

    stem = plain_stem(options["out"])
    for path in write_sheet(sheet, stem, options["width"], options["dpi"]):
        click.echo(path)


def plain_stem(path: Path) -> Path:
    """`figure` of `figure`, `figure.png` and `figure.pdf`."""
    # Only these two endings: a stem such as `v1.2` has a suffix that belongs to its name.
    return path.with_suffix("") if path.suffix in (".png", ".pdf") else path


def write_beside(options: Options, ending: str, text: str) -> None:
    """Write a file of numbers beside the figure and say where it is."""
    from ...recon.files.text import write_text

    stem = plain_stem(options["out"])
    path = stem.with_name(stem.name + ending)
    write_text(path, text)
    click.echo(path)
