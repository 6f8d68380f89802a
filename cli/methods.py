"""`facebench methods`: the reconstruction methods there are, and what is known of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from ..errors import FacebenchError
from ._tables import facts_table, print_json, print_table

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from ..bench.method.interface import MethodCard

FILES = """
DIR/SUBJECT/SCENE.obj (.ply .npz .stl .off .glb) is the face of a subject in a scene, and
DIR/SUBJECT.obj that of all scenes. Names are matched without regard to case; scenes may have
MICC's own names. DIR/landmarks.txt may hold the 68 landmark vertices of the topology, counted
from 0; SCENE.txt beside a mesh its landmarks as 68 or 7 lines of x y z; without either the pose
is searched.

  facebench check-method meshes:DIR
  facebench micc --data MICC --method meshes:DIR --out runs/theirs"""


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
    from ..bench.method.registry import method_names

    cards = {name: _card(name) for name in method_names()}
    if as_json:
        print_json([_facts(name, card) for name, card in cards.items()])
    else:
        print_table(_list(cards))
        print_table("Card of one: 'methods show NAME'. Faces that are files already: meshes:DIR.")


@command.command(name="show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def show(name: str, as_json: bool) -> None:
    """The card of the method NAME: paper, licence, state, published results, leakage.

    What of it was made here, what data it has seen, and why its numbers may be flattered where it
    is measured on similar data, stand there too.

    \b
    Examples:
      facebench methods show ours
      facebench methods show mean-face --json
      facebench methods show meshes
    """
    from ..bench.method.registry import method_origin

    card = _card(name)
    if isinstance(card, str):
        raise FacebenchError(card, "repair or remove that package")
    if as_json:
        print_json(_facts(name, card))
    else:
        print_table(_card_table(card, method_origin(name)))
        if card.kind == "files":
            click.echo(FILES)


def _card(name: str) -> MethodCard | str:
    """The card of a method; of a broken one, why its package cannot be used."""
    from ..bench.method.registry import method_card, method_origin
    from ..results.tables.published import with_published

    # Outside: a name that nobody has is an error, not a broken method.
    method_origin(name)
    try:
        return with_published(method_card(name))
    except FacebenchError as error:
        return str(error)


def _facts(name: str, card: MethodCard | str) -> dict[str, object]:
    from ..bench.method.registry import method_origin

    rest = {"error": card} if isinstance(card, str) else asdict(card)
    return {"name": name, "origin": method_origin(name), **rest}


def _list(cards: Mapping[str, MethodCard | str]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from ..bench.method.registry import method_origin

    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("name", no_wrap=True)
    table.add_column("what it is", overflow="fold")
    table.add_column("published, mm", no_wrap=True)
    for name, card in cards.items():
        if isinstance(card, str):
            table.add_row(Text(name), Text(card, style="red"), Text("–"))
        else:
            table.add_row(
                Text(name), _about(card, method_origin(name)), Text(_published_text(card) or "–")
            )
    return table


def _about(card: MethodCard, origin: str) -> Text:
    from rich.text import Text

    about = Text(card.title)
    about.append(f"\nreads {card.kind}; {origin}\nlicence: {card.licence}", style="dim")
    if card.state:
        about.append(f"\nstate: {card.state}", style="dim")
    if card.leakage:
        about.append(f"\nleakage: {card.leakage}", style="yellow")
    return about


def _card_table(card: MethodCard, origin: str) -> Table:
    return facts_table(
        [
            ("name", card.name),
            ("what it is", card.title),
            ("reads", card.kind),
            ("from", origin),
            ("state", card.state or "–"),
            ("paper", card.paper or "–"),
            ("licence", card.licence),
            ("what is ours", card.own or "–"),
            ("published, mm", _published_text(card) or "–"),
            ("has seen", card.seen or "not stated"),
            ("leakage", card.leakage or "none known"),
        ]
    )


def _published_text(card: MethodCard) -> str:
    return "\n".join(f"{scene} {mean:.2f} ± {std:.2f}" for scene, mean, std in card.published)
