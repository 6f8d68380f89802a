"""`facebench methods`: the reconstruction methods there are, and what is known of each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.table import Table

    from ..bench.method import MethodCard


@click.group(name="methods", invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """List the reconstruction methods; `show NAME` tells what is known of one.

    \b
    Examples:
      facebench methods
      facebench methods --json
      facebench methods show ours
    """
    if context.invoked_subcommand is not None:
        return
    from ..bench.registry import method_card, method_names

    cards = [method_card(name) for name in method_names()]
    if as_json:
        _print_json([asdict(card) for card in cards])
    else:
        _print(_list(cards))


@command.command(name="show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def show(name: str, as_json: bool) -> None:
    """Paper, licence, published results and leakage of the method NAME.

    \b
    Examples:
      facebench methods show ours
      facebench methods show mean-face --json
    """
    from ..bench.registry import method_card

    card = method_card(name)
    if as_json:
        _print_json(asdict(card))
    else:
        _print(_card(card))


def _list(cards: Sequence[MethodCard]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD)
    for heading in ("name", "what it is", "licence"):
        table.add_column(heading, overflow="fold")
    table.add_column("published, mm", no_wrap=True)
    for card in cards:
        title = Text(card.title)
        if card.leakage:
            title.append(f"\nleakage: {card.leakage}", style="yellow")
        table.add_row(Text(card.name), title, Text(card.licence), Text(_published(card) or "–"))
    return table


def _card(card: MethodCard) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    for name, value in (
        ("name", card.name),
        ("what it is", card.title),
        ("paper", card.paper or "–"),
        ("licence", card.licence),
        ("published, mm", _published(card) or "–"),
        ("leakage", card.leakage or "none known"),
    ):
        table.add_row(Text(name, style="bold"), Text(value))
    return table


def _published(card: MethodCard) -> str:
    return "\n".join(f"{scene} {mean:.2f} ± {std:.2f}" for scene, mean, std in card.published)


def _print(table: Table) -> None:
    from rich.console import Console

    Console(highlight=False).print(table)


def _print_json(value: object) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))
