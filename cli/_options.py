"""Options that commands share, options out of a file, and what was asked, as a record has it."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from ..errors import FacebenchError, did_you_mean
from ..recon.files.stores import shown
from ..recon.files.text import read_toml

_LIST = ","


def _apply(context: click.Context, _: click.Parameter, path: Path | None) -> None:
    """Make the file's values the defaults of the options that are parsed after it."""
    # A shell's completion parses unfinished lines, and must not fail on their file.
    if path is not None and not context.resilient_parsing:
        context.default_map = read_options(path, context.command)


options_file = click.option(
    "--options",
    type=click.Path(dir_okay=False, path_type=Path),
    # Before the other options, which take their defaults from it.
    is_eager=True,
    expose_value=False,
    callback=_apply,
    metavar="FILE.toml",
    help="Take options from a file, named as here; the command line and the environment win.",
)
"""Decorator of a command that may take its options from a file."""


def read_options(path: Path, command: click.Command) -> dict[str, Any]:
    """Values of a TOML file by the names of a command's parameters.

    Keys are the options' names without dashes before them: `prediction-unit = "cm"`, `set =
    ["crop.radius_mm=80"]`. Values are parsed like words of the command line.

    Raises:
        FacebenchError: the file cannot be read, or a key or value is not one of the command's.
    """
    known = _by_key(command)
    values: dict[str, Any] = {}
    for key, value in _read(path).items():
        # Keys of TOML are mostly written with underscores.
        name = key.replace("_", "-")
        if name not in known:
            raise FacebenchError(f"{path}: no option '{key}'", did_you_mean(name, sorted(known)))
        if str(known[name].name) in values:
            raise FacebenchError(f"{path}: '{key}' is given twice", "as - and _ are one: drop one")
        values[str(known[name].name)] = _as_words(value, known[name], f"{path}: {key}")
    return values


def _read(path: Path) -> dict[str, Any]:
    try:
        return read_toml(path)
    except FileNotFoundError:
        raise FacebenchError(f"{path}: no such file", "give a TOML file of options") from None
    except (OSError, ValueError) as error:
        raise FacebenchError(f"{path}: cannot be read as TOML: {error}") from error


def _by_key(command: click.Command) -> dict[str, click.Option]:
    """Options by what they are called on the command line, all names of each."""
    options = [item for item in command.params if isinstance(item, click.Option)]
    return {
        name.lstrip("-"): option
        for option in options
        for name in (*option.opts, *option.secondary_opts)
        # A file that named a further one could name itself.
        if option.name != "options"
    }


def _as_words(value: Any, option: click.Option, where: str) -> Any:
    """A value as the command line would have it: text, or a list of texts for what is repeated."""
    if isinstance(value, dict):
        raise FacebenchError(f"{where} is a table", "write one option a line, KEY = VALUE")
    if option.is_flag and not isinstance(value, bool):
        raise FacebenchError(f"{where} is {value!r}", "a flag is true or false")
    if isinstance(value, bool):
        return value if option.is_flag else str(value).lower()
    words = [str(item) for item in value] if isinstance(value, list) else [str(value)]
    # A list for an option that takes names separated by commas is those names.
    return words if option.multiple else _LIST.join(words)


Command = Callable[..., Any]

NOTHING_SCORED = 3
"""Exit code when a run is done and has no score."""

PROTOCOLS = (
    *("micc", "deng2019", "ganfit2019", "now", "fg2018", "metric", "correspondence"),
    *("now-metrical", "nersemble", "facescape", "realy"),
)
"""The presets of `bench.protocol`; kept here so that help imports nothing."""

_NAMES = "separated by commas."

_WEIGHTS_FILE = click.Path(path_type=Path, dir_okay=False)
_WEIGHTS = "Weights of 'facebench train'.  [default: those in the package]"
_OF_WEIGHTS = (
    "The face model of the weights: 'embedded', 'human', an .npz, or ICT-FaceKit's folder."
)

checkpoint = click.option(
    "--checkpoint", type=click.Path(path_type=Path), help="Weights.  [default: embedded]"
)
model = click.option("--model", default="embedded", help="Face model, name or file.")


def measured_part(function: Command) -> Command:
    """Scenes, subjects and frames to measure, what finds faces in them, and the processes."""
    options = (
        click.option("--scenes", default="cooperative,indoor,outdoor"),
        click.option(
            "--subjects",
            default="",
            show_default=False,
            help=f"Only these, {_NAMES}  [default: all]",
        ),
        click.option(
            "--exclude", default="", show_default=False, help=f"Subjects to leave out, {_NAMES}"
        ),
        click.option(
            "--limit", type=click.IntRange(1), help="Read this many frames of each clip at most."
        ),
        detector,
        click.option(
            "--tracking/--no-tracking",
            default=False,
            help="Follow a face from frame to frame; detect it where none can be followed.",
        ),
        click.option(
            "--workers", type=click.IntRange(1), help="Processes.  [default: one per GPU or CPU]"
        ),
        click.option("--cluster", is_flag=True, help="Use a running Ray cluster."),
    )
    return _with(options, function)


def protocol(function: Command) -> Command:
    """The ruler, and changes of it."""
    options = (
        click.option(
            "--protocol",
            default="micc",
            metavar="NAME|FILE.toml",
            help=f"One of {', '.join(PROTOCOLS)}, or a file.",
        ),
        click.option(
            "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change the protocol."
        ),
    )
    return _with(options, function)


def trained_network(function: Command) -> Command:
    """The weights of a regressor, and the face model that they were trained with."""
    options = (
        click.option("--checkpoint", type=_WEIGHTS_FILE, help=_WEIGHTS),
        click.option("--model", default="embedded", help=_OF_WEIGHTS),
    )
    return _with(options, function)


def other_numbers(function: Command) -> Command:
    """Rows of a table that were not measured here: the literature's, and those of files."""
    options = (
        click.option(
            "--published", is_flag=True, help="Add the literature's rows, marked as published."
        ),
        click.option(
            "--import",
            "imports",
            multiple=True,
            metavar="FILE",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            help="Add rows of a CSV file: a paper's means, or every subject's errors.",
        ),
    )
    return _with(options, function)


def photograph_method(function: Command) -> Command:
    """What reconstructs the faces in photographs; `portraits.reconstructor.choose_method`."""
    options = (
        click.option(
            "--method",
            type=click.Choice(["fitting", "ours"]),
            help="fitting: a model fitted to landmarks and pixels; ours: a network of 'facebench "
            "train'.  [default: ours with --checkpoint, else fitting]",
        ),
        click.option(
            "--checkpoint",
            type=_WEIGHTS_FILE,
            help=f"{_WEIGHTS} With --method fitting those of a landmarker.",
        ),
        click.option(
            "--model",
            help=f"{_OF_WEIGHTS} A fit takes any.  "
            "[default: human, for given weights of ours embedded]",
        ),
    )
    return _with(options, function)


def measured_run(function: Command) -> Command:
    """The options of a run: its method, its folder, the part of the dataset, and the protocol."""
    options = (
        checkpoint,
        model,
        click.option("--out", type=click.Path(path_type=Path), required=True, help="Run folder."),
        click.option("--name", help="What tables call the run.  [default: the method's name]"),
        measured_part,
        protocol,
        click.option("--unit", type=UnitType(), default="mm", help="Of the scans' files."),
    )
    return _with(options, function)


_BEST = "'best' is the best that is here, see 'facebench weights'."


def detector(function: Command) -> Command:
    """The network that finds faces."""
    return click.option(
        "--detector",
        default="best",
        metavar="NAME|FILE",
        help=f"Finds faces: 'embedded', 'mtcnn', 'sfd' (face-alignment) or a file; {_BEST}",
    )(function)


def landmarks(function: Command) -> Command:
    """The network that finds landmarks, for commands that can do without."""
    return click.option(
        "--landmarks",
        default="best",
        metavar="NAME|FILE",
        help="Finds the 68 landmarks that a fit starts from and a face of 'ours' is brought to: "
        "'face-api-68', 'embedded', 'fan', a file, or 'none' (only 'ours', whose own face then "
        "stays); 'best' is a fetched one where there is one, else 'embedded'.",
    )(function)


def recogniser(function: Command) -> Command:
    """The network that recognises people."""
    return click.option(
        "--recogniser",
        default="best",
        metavar="NAME|FILE",
        help=f"Tells people apart: 'embedded', 'face-api-128' or a file; {_BEST}",
    )(function)


def _with(options: tuple[Callable[[Command], Command], ...], function: Command) -> Command:
    # Decorators apply from the bottom up; reversed, help lists them in the order above.
    for option in reversed(options):
        function = option(function)
    return function


def command_line(context: click.Context) -> str:
    """The shell line that gives the same command again, wherever its options came from."""
    words = ["facebench", context.info_name or ""]
    given = {name for name in context.params if _is_given(context, name)}
    for parameter in context.command.params:
        if isinstance(parameter, click.Option) and parameter.name in given:
            words += _words(parameter, context.params[parameter.name])
        elif isinstance(parameter, click.Argument):
            words += _several(context.params[parameter.name or ""])
    return shlex.join(words)


def given_options(context: click.Context) -> dict[str, Any]:
    """Options that were given: on the command line, in the environment or in a file."""
    return {n: v for n, v in plain_options(context).items() if _is_given(context, n)}


def plain_options(context: click.Context) -> dict[str, Any]:
    """Every option as resolved, as values that JSON knows."""
    return {name: _plain(value) for name, value in context.params.items()}


def _is_given(context: click.Context, name: str) -> bool:
    # By where it came from: what was given counts even where it is the default's own value.
    return context.get_parameter_source(name) is not ParameterSource.DEFAULT


def _words(option: click.Option, value: Any) -> list[str]:
    if isinstance(value, bool):
        # `--no-tracking` may be there to overrule the environment.
        return (option.opts if value else option.secondary_opts)[:1]
    return [word for item in _several(value) for word in (option.opts[0], item)]


def _several(value: Any) -> list[str]:
    values = value if isinstance(value, tuple) else (value,)
    return [shown(item) for item in values]


def _plain(value: Any) -> Any:
    # A record is JSON, which knows neither paths nor tuples.
    if isinstance(value, Path | str):
        return shown(value)
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


class UnitType(click.ParamType):  # type: ignore[type-arg]
    """A unit of length: `mm`, `cm`, `m`, or the millimetres in one of its units.

    Args:
        takes_any: whether `any` is one, too.
    """

    name = "unit"

    def __init__(self, takes_any: bool = False) -> None:
        self._names = ("mm", "cm", "m", *(("any",) if takes_any else ()))

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """What the help shows."""
        return f"[{'|'.join(self._names)}|NUMBER]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The word itself, where it is a unit."""
        word = str(value).strip()
        if word in self._names:
            return word
        try:
            # NaN fails both: a scan in such a unit has no size.
            fits = 0 < float(word) < float("inf")
        except ValueError:
            fits = False
        if not fits:
            known = ", ".join(self._names)
            self.fail(f"'{word}' is none of {known}, nor its millimetres per unit", param, ctx)
        return word
