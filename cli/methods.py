"""`facebench methods`: the reconstruction methods there are, and what is known of each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import click

from ..errors import FacebenchError

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

    entries = [_entry(name) for name in method_names()]
    if as_json:
        _print_json([entry.to_dict() for entry in entries])
    else:
        _print(_list(entries))
        click.echo("Card of one: 'methods show NAME'. Faces that are files already: meshes:DIR.")


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
    entry = _entry(name)
    if entry.card is None:
        raise FacebenchError(entry.error, "repair or remove that package")
    if as_json:
        _print_json(entry.to_dict())
    else:
        _print(_card(entry.card, entry.origin))
        if entry.card.kind == "files":
            click.echo(FILES)


@dataclass(frozen=True)
class _Entry:
    """A method of the list; without a card, why its package cannot be used."""

    name: str
    origin: str
    card: MethodCard | None
    error: str = ""

    def to_dict(self) -> dict[str, object]:
        rest = {"error": self.error} if self.card is None else asdict(self.card)
        return {"name": self.name, "origin": self.origin, **rest}


def _entry(name: str) -> _Entry:
    from ..bench.method.registry import method_card, method_origin
    from ..results.tables.published import with_published

    origin = method_origin(name)
    try:
        return _Entry(name, origin, with_published(method_card(name)))
    except FacebenchError as error:
        return _Entry(name, origin, None, str(error))


def _list(entries: Sequence[_Entry]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("name", no_wrap=True)
    table.add_column("what it is", overflow="fold")
    table.add_column("published, mm", no_wrap=True)
    for entry in entries:
        if entry.card is None:
            table.add_row(Text(entry.name), Text(entry.error, style="red"), Text("–"))
        else:
            published = Text(_published(entry.card) or "–")
            table.add_row(Text(entry.name), _about(entry.card, entry.origin), published)
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


def _card(card: MethodCard, origin: str) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    for name, value in (
        ("name", card.name),
        ("what it is", card.title),
        ("reads", card.kind),
        ("from", origin),
        ("state", card.state or "–"),
        ("paper", card.paper or "–"),
        ("licence", card.licence),
        ("what is ours", card.own or "–"),
        ("published, mm", _published(card) or "–"),
        ("has seen", card.seen or "not stated"),
        ("leakage", card.leakage or "none known"),
    ):
        table.add_row(Text(name, style="bold"), Text(value))
    return table


def _published(card: MethodCard) -> str:
    return "\n".join(f"{scene} {mean:.2f} ± {std:.2f}" for scene, mean, std in card.published)


def _print(table: Table) -> None:
    from rich.console import Console

    Console(highlight=False, markup=False).print(table)


def _print_json(value: object) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))
