"""`facebench doctor`: what is installed, what is missing and where to get it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from ._findings_table import FAILED, PASSED, WARNING, findings_table
from .checks.finding import Finding, Verdict

SIGNS = {Verdict.OK: PASSED, Verdict.WARNING: WARNING, Verdict.MISSING: FAILED}


@click.command(name="doctor")
@click.option(
    "--assets",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("assets"),
    show_default=True,
    help="Folder in which to look for licensed models, weights and the MICC set.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def command(assets: Path, as_json: bool) -> int:
    """Say what is installed, what is missing and where to get it.

    ✓ is there, ⚠ is optional or advised, ✗ is needed. The exit code is 0 when everything needed
    is there, else 1.

    \b
    Examples:
      facebench doctor
      facebench doctor --assets ~/face-models
      facebench doctor --json | jq '.findings[] | select(.verdict != "ok")'
    """
    findings = examine(assets)
    ready = all(finding.verdict is not Verdict.MISSING for finding in findings)
    if as_json:
        answer = {"ready": ready, "findings": [asdict(finding) for finding in findings]}
        click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
    else:
        _print(findings, ready)
    return 0 if ready else 1


def examine(assets: Path) -> list[Finding]:
    """Every finding, in the order of the table."""
    from .checks.assets import check_assets
    from .checks.machine import check_machine
    from .checks.packages import check_packages
    from .checks.services import check_services

    return [*check_packages(), *check_machine(), *check_services(), *check_assets(assets)]


def _print(findings: Sequence[Finding], ready: bool) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    for group in dict.fromkeys(finding.group for finding in findings):
        inside = (one for one in findings if one.group == group)
        console.print(f"\n[bold]{group}[/bold]")
        console.print(
            findings_table((SIGNS[one.verdict], one.name, one.detail, one.hint) for one in inside)
        )
    lacking = sum(finding.verdict is Verdict.MISSING for finding in findings)
    console.print("\nReady." if ready else f"\nNot ready: {lacking} needed, see ✗.")
