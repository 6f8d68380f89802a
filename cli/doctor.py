"""`facebench doctor`: what is installed, what is missing and where to get it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import click

from ..errors import Finding, Verdict
from ._tables import findings_table, print_json


@click.command(name="doctor")
@click.option(
    "--assets",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("assets"),
    show_default=True,
    help="Folder in which to look for licensed models, weights and the MICC set.",
)
@click.option(
    "--cluster",
    is_flag=False,
    flag_value="",
    metavar="[ADDRESS]",
    help="Look at every node of a Ray cluster instead.  [default: RAY_ADDRESS]",
)
@click.option(
    "--shared",
    type=click.Path(path_type=Path),
    multiple=True,
    help="With --cluster: a path that all nodes must see alike; several times.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def command(assets: Path, cluster: str | None, shared: tuple[Path, ...], as_json: bool) -> int:
    """Say what is installed, what is missing and where to get it.

    ✓ is there, ⚠ is optional or advised, ✗ is needed. The exit code is 0 when everything needed
    is there, else 1.

    With --cluster a short job runs on every node: versions, shared paths, free memory and clock
    are held to this machine's.

    \b
    Examples:
      facebench doctor
      facebench doctor --assets ~/face-models
      facebench doctor --cluster head:6379 --shared /shared/MICC --shared /shared/runs
      facebench doctor --json | jq '.findings[] | select(.verdict != "passed")'
    """
    groups = examine(assets) if cluster is None else examine_cluster(cluster, shared)
    ready = not _count_failures(groups)
    if as_json:
        rows = [{"group": group, **asdict(one)} for group, found in groups.items() for one in found]
        print_json({"ready": ready, "findings": rows})
    else:
        _print(groups)
    # Warnings do not count: what is optional is missing on most machines.
    return 0 if ready else 1


def examine(assets: Path) -> dict[str, list[Finding]]:
    """The findings under their headings, in the order of the table."""
    from ._doctor_checks import check_assets, check_machine, check_packages, check_services

    return {
        "Python": list(check_packages()),
        "Machine": list(check_machine()),
        "Services": list(check_services()),
        "Assets": list(check_assets(assets)),
    }


def examine_cluster(address: str, shared: Sequence[Path]) -> dict[str, list[Finding]]:
    """The findings on every node of a cluster."""
    from ..distributed.nodes import check_nodes

    return {"Cluster": list(check_nodes(address, shared))}


def _print(groups: Mapping[str, Sequence[Finding]]) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    for group, findings in groups.items():
        console.print(f"\n[bold]{group}[/bold]")
        console.print(findings_table(findings))
    lacking = _count_failures(groups)
    console.print("\nReady." if not lacking else f"\nNot ready: {lacking} needed, see ✗.")


def _count_failures(groups: Mapping[str, Sequence[Finding]]) -> int:
    return sum(one.verdict is Verdict.FAILED for found in groups.values() for one in found)
