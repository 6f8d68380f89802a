"""`facebench datasets`: the datasets there are, and what is known of each."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from ..errors import FacebenchError
from ._tables import facts_table, print_json, print_table


@click.group(name="datasets", invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """List the datasets; `show NAME` tells what is known of one.

    \b
    Examples:
      facebench datasets
      facebench datasets --json
      facebench datasets show micc
    """
    if context.invoked_subcommand is not None:
        return
    from ..bench.dataset.registry import dataset_names

    entries = [_entry(name) for name in dataset_names()]
    if as_json:
        print_json(entries)
        return
    lines = [
        (entry["name"], entry.get("title") or entry.get("error", ""), entry["origin"])
        for entry in entries
    ]
    print_table(facts_table(lines))
    # Printed by the console, which wraps it: a sentence is cut by no terminal.
    print_table("Card of one: 'datasets show NAME'. Measure one: 'run NAME --data DIR'.")


@command.command(name="show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def show(name: str, as_json: bool) -> None:
    """The card of the dataset NAME: paper, licence, layout, scenes, published exclusions.

    \b
    Examples:
      facebench datasets show micc
      facebench datasets show now --json
    """
    entry = _entry(name)
    if "error" in entry:
        raise FacebenchError(entry["error"], "repair or remove that package")
    if as_json:
        print_json(entry)
        return
    left_out = (f"{e['subject']}: {e['reason']}, {e['source']}" for e in entry["exclusions"])
    print_table(
        facts_table(
            [
                ("name", entry["name"]),
                ("what it is", entry["title"]),
                ("from", entry["origin"]),
                ("paper", entry["paper"] or "–"),
                ("licence", entry["licence"]),
                ("layout", entry["layout"]),
                ("scenes", ", ".join(entry["scenes"]) or "–"),
                ("left out by", "\n".join(left_out) or "–"),
            ]
        )
    )
    if entry["exclusions"]:
        click.echo("They are left out with --exclude published, and the record says so.")


def _entry(name: str) -> dict[str, Any]:
    """A dataset of the list; of a broken one, why its package cannot be used."""
    from ..bench.dataset.registry import PLUGINS, dataset_card

    named = {"name": name, "origin": PLUGINS.origin(name)}
    try:
        # The registered name last: it is what every command takes, whatever a card says.
        return {**asdict(dataset_card(name)), **named}
    except FacebenchError as error:
        return {**named, "error": str(error)}
