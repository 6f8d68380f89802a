"""The `facebench` command: finds a command's module only when it is called."""

from __future__ import annotations

import importlib
import sys

import click

from .. import __version__
from ..errors import FacebenchError, nearest_name

COMMANDS = {
    "check-method": "whether a method keeps to what the benchmark asks of it",
    "audit": "how far the numbers are from the truth, where it is known",
    "compare": "runs side by side: differences, intervals, significance",
    "demo": "the whole path on embedded data: synthesise, train, measure, report",
    "doctor": "what is installed, what is missing and where to get it",
    "export": "the trained network as an ONNX file, checked",
    "evaluate": "a prediction against a scan: numbers, diagnosis, heat map",
    "figure": "the paper's figures: quality, occlusion, consistency, parsing",
    "gate": "whether a run keeps to rules: limits, no regression, coverage, speed",
    "methods": "the reconstruction methods there are",
    "micc": "the benchmark: videos in, the table in millimetres out",
    "models": "face models: list, show, import, export",
    "prepare": "photographs to training shards: faces, landmarks, masks",
    "protocols": "the ways of measuring: presets, their settings and sources",
    "reconstruct": "photographs or videos to meshes and overlays",
    "report": "the page of a run",
    "synth": "synthetic training faces, or a dataset in MICC's layout",
    "table1": "the paper's table: every method trained, measured and compared",
    "train": "weakly supervised training on one machine or a Ray cluster",
    "ui": "MLflow's pages of all runs: charts, curves, two beside each other",
}
"""Every command with its line in `facebench --help`; kept here so that help imports nothing."""


class LazyGroup(click.Group):
    """Lists commands from `COMMANDS` and imports a module when its command runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in alphabetical order."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command object of `cli/NAME.py`, dashes as underscores; None for an unknown name."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f".{cmd_name.replace('-', '_')}", __package__)
        command: click.Command = module.command
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
        """Write the list without importing the commands."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name]) for name in sorted(COMMANDS)])


@click.group(cls=LazyGroup, context_settings={"auto_envvar_prefix": "FACEBENCH"})
@click.version_option(__version__, prog_name="facebench")
def group() -> None:
    """Train, measure and compare 3D face reconstruction from one photograph.

    \b
    Examples:
      facebench demo --out demo
      facebench synth micc --out data --subjects 8 --seed 1
      facebench micc --data data --method ours --out runs/ours
    """


def main() -> None:
    """Run a command; a user's mistake becomes one line and exit code 2, Ctrl-C exit code 130."""
    try:
        status = group.main(standalone_mode=False)
    except FacebenchError as error:
        click.echo(f"facebench: {error}", err=True)
        sys.exit(2)
    except click.exceptions.Abort:
        sys.exit(130)
    except KeyboardInterrupt:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    sys.exit(status if isinstance(status, int) else 0)
