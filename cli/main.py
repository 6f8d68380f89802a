"""The `facebench` command: finds a command's module only when it is called."""

from __future__ import annotations

import errno
import importlib
import io
import os
import shlex
import signal
import sys
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from types import FrameType

import click

from .. import __version__
from ..errors import DEBUG, FacebenchError, debugging, error_line, nearest_name, with_addresses
from ._tables import only_answers

# "Not a valid integer range" is no answer to a word; the bounds stand beside the default anyway.
click.IntRange.name, click.FloatRange.name = "integer", "number"

SECTIONS = {
    "Measure": {
        "evaluate": "a mesh against a scan, or folders of them: numbers, diagnosis, heat map",
        "run": "a method on any dataset: folders of meshes and scans, NoW, MICC, your own",
        "micc": "a method on videos in MICC's layout: the table in millimetres",
        "protocols": "the ways of measuring: presets, their settings and sources",
        "datasets": "the datasets there are, and what is known of each",
        "methods": "the reconstruction methods there are",
        "plan": "what a run will cost: time, cores, memory, disk, the first bottleneck",
        "audit": "how far the numbers are from the truth, where it is known",
    },
    "Decide": {
        "compare": "runs side by side: differences, intervals, significance; LaTeX, CSV",
        "gate": "whether a run keeps to rules: limits, no regression, coverage, speed",
        "report": "the page of a run: curves, heat maps, faces in 3D, failures",
        "ui": "MLflow's pages of all runs: charts, curves, two beside each other",
        "figure": "figures for a paper: curves and heat maps of runs, faces of photographs",
        "table1": "the paper's table: every method trained, measured and compared",
    },
    "Reconstruct and train": {
        "reconstruct": "photographs or videos to meshes and overlays",
        "train": "weakly supervised training on one machine or a Ray cluster",
        "prepare": "photographs to training shards: faces, landmarks, masks",
        "models": "face models: list, show, import, export, fit to a scan",
        "weights": "networks for photographs: list those there are, fetch better ones",
        "synth": "synthetic training faces, or a dataset in MICC's layout",
        "export": "the trained network as an ONNX file, checked",
    },
    "Begin and check": {
        "demo": "the whole path on embedded data: synthesise, train, measure, report",
        "doctor": "what is installed, what is missing and where to get it",
        "check-method": "whether a method fulfils what the benchmark asks of it",
        "check-dataset": "whether a dataset fulfils what the benchmark asks of it",
        "check-photographs": "detection, landmarks and fits against labelled photographs",
    },
}
COMMANDS = {name: line for section in SECTIONS.values() for name, line in section.items()}
"""Every command with its line in `facebench --help`; kept here so that help imports nothing."""

TOGETHER = {
    **dict.fromkeys(("methods", "datasets", "protocols"), "listings"),
    **dict.fromkeys(("check-method", "check-dataset", "check-photographs"), "checks"),
    **dict.fromkeys(("report", "ui"), "pages"),
    **dict.fromkeys(("demo", "table1"), "pipelines"),
    **dict.fromkeys(("micc", "plan"), "run"),
    "export": "train",
}
"""The module of each command that shares one; there it has its own name."""


USAGE, UNEVALUATED, INTERRUPTED = 2, 3, 130
"""Exit codes besides 0 (done) and 1 (the answer is no), which a command returns itself."""


class LazyGroup(click.Group):
    """Lists commands from `COMMANDS` and imports a module when its command runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in alphabetical order."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """`command` of `cli/NAME.py`, or that of `TOGETHER`; None for an unknown name."""
        if cmd_name not in COMMANDS:
            return None
        # Only now, so that help and a wrong name cost no import of PyTorch, Ray or MLflow.
        module = importlib.import_module(f".{TOGETHER.get(cmd_name, cmd_name)}", __package__)
        own = cmd_name.replace("-", "_") if cmd_name in TOGETHER else "command"
        command: click.Command = getattr(module, own)
        # Modules stay imported: a second call in one process would add the option again.
        if not any(parameter.name == "debug" for parameter in command.params):
            from ._early import check_first

            command.params.append(_debug_option())
            check_first(command)
            _list_whole_sentences(command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Answer an unknown name with the nearest known one."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            near = nearest_name(args[0], COMMANDS)
            hint = f" Did you mean '{near}'?" if near else " See 'facebench --help'."
            raise click.UsageError(f"No command '{args[0]}'.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list, by what one wants, without importing the commands."""
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl(list(commands.items()))


def _list_whole_sentences(command: click.Command) -> None:
    """Let a group's help say what each of its commands does: Click cuts it in mid-sentence."""
    for part in command.commands.values() if isinstance(command, click.Group) else ():
        part.short_help = part.get_short_help_str(limit=200)
        _list_whole_sentences(part)


def _debug_option() -> click.Option:
    def remember(_: click.Context, __: click.Parameter, asked: bool) -> None:
        if asked:
            # The environment takes it to the processes that a command starts.
            os.environ[DEBUG] = "1"

    return click.Option(
        ["-v", "--debug"],
        is_flag=True,
        # Before all others, so that their own mistakes have a traceback too.
        is_eager=True,
        expose_value=False,
        callback=remember,
        help="Show the traceback of an error.",
    )


@click.group(
    cls=LazyGroup, context_settings={"auto_envvar_prefix": "FACEBENCH", "show_default": True}
)
@click.version_option(__version__, prog_name="facebench")
def group() -> None:
    """Train, measure and compare 3D face reconstruction from one photograph.

    \b
    Examples:
      facebench evaluate face.obj scan.ply
      facebench run pairs predictions scans --out runs/mine
      facebench compare runs/theirs runs/mine
      facebench demo --out demo
    """


group.params.append(_debug_option())


def run_step(arguments: Sequence[str], allowed: Sequence[int] = (0,)) -> int:
    """Run a command as one step of another, shown as a user would type it; its status.

    Args:
        arguments: without the leading `facebench`.
        allowed: statuses to go on after.

    Raises:
        click.exceptions.Exit: with the status of a step that ended otherwise.
    """
    click.secho(f"\n$ facebench {with_addresses(shlex.join(arguments))}", bold=True, err=True)
    # In this process: a step finds Ray connected and PyTorch imported.
    returned = group.main(list(arguments), standalone_mode=False)
    status = returned if isinstance(returned, int) else 0
    if status not in allowed:
        raise click.exceptions.Exit(status)
    return status


def try_step(arguments: Sequence[str], allowed: Sequence[int] = (0,)) -> bool:
    """`run_step` beside others that go on without it; False, and one line, where it failed."""
    try:
        run_step(arguments, allowed)
    except FacebenchError as error:
        if _signals:
            raise
        _fail(error)
        return False
    return True


def main() -> None:
    """Run a command and exit: 0 done, 1 the answer is no, 2 wrong usage, input or place, 130 ended.

    Every error is one line on the error stream; `--debug` puts its traceback before it.
    """
    # Plug-ins of pydantic are for services that watch their records: looking for some costs 20 ms.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    _open_streams()
    _degrade_streams()
    _end_like_ctrl_c()
    status = _status()
    if unwritten := _unwritten_output():
        status = _fail(unwritten)
    sys.exit(status)


def _status() -> int:
    try:
        # Standalone, click prints usage in several lines and exits by itself, past our codes.
        with only_answers() if "--json" in sys.argv else nullcontext():
            returned = group.main(prog_name="facebench", standalone_mode=False)
    except (click.exceptions.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return USAGE
    except click.ClickException as error:
        return _fail(error, _usage_line(error))
    except OSError as error:
        if unwritten := _unwritten_output():
            return _fail(unwritten)
        # Of a file the system names its name; a stream has none.
        nameless = error.filename is None and error.errno in (errno.ENOSPC, errno.EIO, errno.EBADF)
        where = f"standard output cannot be written: {error_line(error)}" if nameless else ""
        return _fail(error, where)
    except FacebenchError as error:
        return INTERRUPTED if _signals else _fail(error)
    except SystemExit as error:
        # Nothing here exits by itself, but click and rich do where the reader of the output went
        # away; theirs is 1, the code of a "no".
        if error.code != 1:
            raise
        return _fail(_unwritten_output() or FacebenchError(_CLOSED))
    except Exception as error:  # a fault of facebench itself, or of a library
        if _signals:  # a library's own words for having been interrupted
            return INTERRUPTED
        if _lacks_memory(error):
            return _fail(error, "there is not enough memory: ask for less at once")
        if isinstance(error, ImportError):  # of a library without one of its own
            _fail(error, f"{error_line(error)}: 'facebench doctor' says what is missing")
            return UNEVALUATED
        hint = "" if debugging() else "; the same command with --debug shows where"
        _fail(error, f"{error_line(error)} (a fault inside facebench{hint})")
        return UNEVALUATED
    return returned if isinstance(returned, int) else 0


def _lacks_memory(error: Exception) -> bool:
    """Whether memory ran out; PyTorch and FFmpeg raise an error of their own for it."""
    said = str(error).lower()
    words = ("allocate memory", "out of memory", "bad_alloc", "bad alloc")
    return isinstance(error, MemoryError) or any(word in said for word in words)


def _fail(error: Exception, line: str = "") -> int:
    if debugging():
        import traceback

        traceback.print_exception(error)
    # An error stream that takes nothing leaves the exit code to tell.
    with suppress(OSError):
        click.echo(f"facebench: {line or error_line(error)}", err=True)
    return USAGE


def _usage_line(error: click.ClickException) -> str:
    """What click says in several lines, in one, with the command whose help explains it."""
    said = " ".join(error.format_message().split())
    context = getattr(error, "ctx", None)
    unknown = getattr(error, "command_name", None)
    group_of_it = context.command if context else None
    if unknown and isinstance(group_of_it, click.Group) and not getattr(error, "possibilities", ()):
        known = ", ".join(sorted(group_of_it.commands))
        said = f"No command '{unknown}', only {known}."
    path = context.command_path if context else ""
    name = path.removeprefix("facebench").strip()
    end = "" if said.endswith((".", "?", "!")) else "."
    see = "" if "--help" in said or not name else f"{end} See 'facebench {name} --help'."
    return f"{name}: {said}{see}" if name else said


_CLOSED = "standard output was closed before everything was written"


def _unwritten_output() -> FacebenchError | None:
    """Why what a command printed is not all written; None where it is."""
    try:
        sys.stdout.flush()
    except OSError as error:
        # Python flushes what is left at its end; that would be a second error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if isinstance(error, BrokenPipeError):
            return FacebenchError(_CLOSED)
        return FacebenchError(f"standard output cannot be written: {error_line(error)}")
    return None


def _open_streams() -> None:
    """Streams that whoever started the command has closed lead nowhere.

    The next file that is opened would else have their number, and get what is printed.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free: this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))  # noqa: SIM115


def _degrade_streams() -> None:
    """A terminal that lacks a sign gets another in its place, where Python would raise."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            utf8 = stream.encoding.lower().startswith("utf")
            stream.reconfigure(errors="backslashreplace" if utf8 else "replace")


_signals: list[int] = []
"""Those that asked this process to end: what is raised after one is its consequence."""


def _end_like_ctrl_c() -> None:
    """Let a terminal that is closed and a scheduler's request to end keep what is done, too."""

    def interrupt(number: int, _: FrameType | None) -> None:
        _signals.append(number)
        raise KeyboardInterrupt

    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        # `nohup` has the last ignored on purpose.
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, interrupt)
