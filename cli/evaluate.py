"""`facebench evaluate`: a prediction against a scan, or a folder of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import FacebenchError
from ._options import UnitType, options_file
from ._tables import pair_report, print_json, print_table

if TYPE_CHECKING:
    from ..bench.protocol.record import Protocol
    from ..bench.scoring.evaluate import Evaluation

WRONG_INPUT, NOT_EVALUATED = 2, 3
_OF_ONE_PAIR = ("prediction_landmarks", "scan_landmarks", "nose_tip")
_UNITS, _UNITS_OR_ANY = UnitType(), UnitType(takes_any=True)


@click.command("evaluate")
@click.argument("prediction", type=click.Path(path_type=Path))
@click.argument("scan", type=click.Path(path_type=Path))
@click.option("--protocol", default="micc", help="A preset or a TOML file.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change the protocol.")
@click.option(
    "--prediction-landmarks",
    type=click.Path(path_type=Path),
    help="68 lines 'x y z' in iBUG's order, or the 7 of NoW.",
)
@click.option("--scan-landmarks", type=click.Path(path_type=Path), help="The same for the scan.")
@click.option(
    "--nose-tip", type=click.Path(path_type=Path), help="A file with the scan's nose tip."
)
@click.option(
    "--unit", type=_UNITS, help="Of both files; NUMBER is millimetres per unit.  [default: mm]"
)
@click.option(
    "--prediction-unit",
    type=_UNITS_OR_ANY,
    help="The prediction's, if another; 'any': its landmarks tell the size.",
)
@click.option("--scan-unit", type=_UNITS_OR_ANY, help="The scan's, if another.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder to write to.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--limit", type=click.IntRange(1), help="Of a folder: at most this many pairs.")
@click.option("--cluster", is_flag=True, help="Of a folder: use a running Ray cluster.")
@options_file
@click.pass_context
def command(context: click.Context, /, **options: Any) -> None:
    """Measure PREDICTION against SCAN: two meshes, or two folders of meshes.

    Meshes are OBJ, PLY, STL, OFF, GLB or NPZ files of any topology. The prediction is registered to
    the scan by the landmarks of both sides where there are any, else by a search over all poses.
    With --out, the folder gets score.json, aligned.ply (the error at each vertex), heat.png and
    curve.png.

    Of two folders, files of one name are pairs, with landmarks in NAME.txt beside each; a SCAN
    folder in NoW's layout (scans/, scans_lmks_onlypp/) is taken as that. --out is then needed; it
    keeps a run as 'facebench run' does, and the same command continues an interrupted run.

    Exit code 2: the input cannot be used. 3: nothing could be evaluated, and the reason is told.

    \b
    Examples:
      facebench evaluate face.obj scan.ply
      facebench evaluate face.obj scan.ply --protocol metric --prediction-unit m --out pair
      facebench evaluate face.obj scan.ply --protocol now \\
        --prediction-landmarks face.txt --scan-landmarks scan.txt --json
      facebench evaluate predictions NoW_Dataset --protocol now --out runs/now
    """
    # One folder and one file is a mistake of a set, and reported there.
    if options["prediction"].is_dir() or options["scan"].is_dir():
        _evaluate_set(context)
    else:
        _evaluate_pair(**options)


def _evaluate_set(context: click.Context) -> None:
    """The pairs of two folders, as `facebench run pairs` or `run now` measures them."""
    from ..bench.datasets.now import is_now_folder
    from ..distributed.plan import RunRequest
    from .run import measure_set

    options = context.params
    predictions, scans = options["prediction"], options["scan"]
    _check_set(options)
    measure_set(
        context,
        RunRequest(
            dataset="now" if is_now_folder(scans) else "pairs",
            data=scans,
            method=f"meshes:{predictions}",
            first=options["limit"],
            protocol=options["protocol"],
            settings=options["settings"],
            unit=options["scan_unit"] or options["unit"] or "mm",
            prediction_unit=options["prediction_unit"] or options["unit"],
        ),
    )


def _check_set(options: Mapping[str, Any]) -> None:
    if not (options["prediction"].is_dir() and options["scan"].is_dir()):
        one = options["scan"] if options["prediction"].is_dir() else options["prediction"]
        raise FacebenchError(f"{one} is no folder", "give two mesh files, or two folders")
    if options["out"] is None:
        raise FacebenchError("two folders need --out", "it keeps what is done")
    for name in _OF_ONE_PAIR:
        if options[name] is not None:
            raise FacebenchError(
                f"--{name.replace('_', '-')} is for one pair", "put NAME.txt beside each mesh"
            )


def _evaluate_pair(
    prediction: Path,
    scan: Path,
    protocol: str,
    settings: tuple[str, ...],
    out: Path | None,
    as_json: bool,
    **given: Any,
) -> None:
    from ..bench.protocol.record import read_settings
    from ..bench.scoring.evaluate import EvaluationError, evaluate
    from ..recon.files.writing import lock_folder

    chosen = read_settings(protocol, settings)
    written: tuple[Path, ...] = ()
    own, files = ("score.json",), (prediction, scan)
    with lock_folder(out, "evaluate", own, files) if out else nullcontext():
        try:
            result = evaluate(prediction, scan, chosen, **_arguments(**given))
        except FacebenchError as error:
            # With --json every answer is an object, a refusal as well; else `main` prints the line.
            if not (as_json or isinstance(error, EvaluationError)):
                raise
            _print_failure(error, chosen, prediction, scan, as_json)
            wrong_input = not isinstance(error, EvaluationError)
            raise click.exceptions.Exit(WRONG_INPUT if wrong_input else NOT_EVALUATED) from error
        if out:
            # Only here: the pictures need Matplotlib, and most pairs are measured without --out.
            from ..results.figures.errors import write_pair

            written = write_pair(out, result)
    _show(result, written, as_json)


def _arguments(
    unit: str | None,
    prediction_unit: str | None,
    scan_unit: str | None,
    limit: int | None,
    cluster: bool,
    **landmarks: Path | None,
) -> dict[str, Any]:
    """What the command was given, as `facebench.bench.evaluate` takes it."""
    if limit is not None or cluster:
        raise FacebenchError("--limit and --cluster are for folders", "leave them out")
    # The unit of one side wins over that of both.
    units = {"prediction_unit": prediction_unit or unit, "scan_unit": scan_unit or unit}
    return {**units, **landmarks}


def _print_failure(
    error: FacebenchError, protocol: Protocol, prediction: Path, scan: Path, as_json: bool
) -> None:
    from ..bench.scoring.evaluate import failed_evaluation

    if as_json:
        print_json(failed_evaluation(error, protocol, prediction, scan))
    else:
        click.echo(f"facebench: {error}", err=True)


def _show(result: Evaluation, written: Sequence[Path], as_json: bool) -> None:
    if as_json:
        print_json(result.to_dict())
        return
    print_table(*pair_report(result))
    for path in written:
        click.echo(path)
