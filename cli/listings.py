"""`facebench methods`, `datasets` and `protocols`: the list of each, and the card of one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from ..errors import FacebenchError
from ._early import check_protocol
from ._tables import facts_table, print_json, print_table

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from ..bench.method.interface import MethodCard
    from ..bench.protocol.record import Protocol

FILES = """
DIR/SUBJECT/SCENE.obj (.ply .npz .stl .off .glb) is the face of a subject in a scene, and
DIR/SUBJECT.obj that of all scenes. Names are matched without regard to case; scenes may have
MICC's own names. DIR/landmarks.txt may hold the 68 landmark vertices of the topology, counted
from 0; SCENE.txt beside a mesh its landmarks as 68 or 7 lines of x y z; without either the pose
is searched.

  facebench check-method meshes:DIR
  facebench micc --data MICC --method meshes:DIR --out runs/theirs"""

_OF_A_FILE = {"title": "settings of a file", "description": "", "source": ""}


@click.group(name="methods", invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.pass_context
def methods(context: click.Context, as_json: bool) -> None:
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
        print_json([_method_facts(name, card) for name, card in cards.items()])
    else:
        print_table(_method_list(cards))
        print_table("Card of one: 'methods show NAME'. Faces that are files already: meshes:DIR.")


@methods.command(name="show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def show_method(name: str, as_json: bool) -> None:
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
        print_json(_method_facts(name, card))
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


def _method_facts(name: str, card: MethodCard | str) -> dict[str, object]:
    from ..bench.method.registry import method_origin

    rest = {"error": card} if isinstance(card, str) else asdict(card)
    return {"name": name, "origin": method_origin(name), **rest}


def _method_list(cards: Mapping[str, MethodCard | str]) -> Table:
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


@click.group(name="datasets", invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.pass_context
def datasets(context: click.Context, as_json: bool) -> None:
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

    entries = [_dataset_facts(name) for name in dataset_names()]
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


@datasets.command(name="show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def show_dataset(name: str, as_json: bool) -> None:
    """The card of the dataset NAME: paper, licence, layout, scenes, published exclusions.

    \b
    Examples:
      facebench datasets show micc
      facebench datasets show now --json
    """
    entry = _dataset_facts(name)
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


def _dataset_facts(name: str) -> dict[str, Any]:
    """A dataset of the list; of a broken one, why its package cannot be used."""
    from ..bench.dataset.registry import PLUGINS, dataset_card

    named = {"name": name, "origin": PLUGINS.origin(name)}
    try:
        # The registered name last: it is what every command takes, whatever a card says.
        return {**asdict(dataset_card(name)), **named}
    except FacebenchError as error:
        return {**named, "error": str(error)}


@click.command(name="protocols")
@click.argument("name", required=False)
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change a setting.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def protocols(name: str | None, settings: tuple[str, ...], as_json: bool) -> None:
    """List the protocols, or show all settings of the protocol NAME: a preset or a TOML file.

    What is shown is itself a TOML file: redirect it, change what you like, and give the file to
    --protocol. Settings that are left out stay as in the preset that the file's line
    'preset = "now"' names, by default micc. Numbers under different digests are never comparable.

    \b
    Examples:
      facebench protocols
      facebench protocols now
      facebench protocols now > mine.toml
      facebench protocols micc --set crop.radius_mm=80 --json
    """
    if name is not None:
        check_protocol(name)

    from ..bench.protocol.presets import PRESETS
    from ..bench.protocol.record import preset, read_settings

    if name is None and not settings:
        listed = [_protocol_facts(preset(known)) for known in PRESETS]
        print_json(listed) if as_json else print_table(_protocol_list(listed))
        return
    facts = _protocol_facts(read_settings(name or "micc", settings))
    print_json(facts) if as_json else click.echo(_as_toml(facts))


def _protocol_facts(protocol: Protocol) -> dict[str, Any]:
    """What is known of a protocol: of a changed preset, what is known of the preset."""
    from ..bench.protocol.presets import PRESETS

    # A star marks a preset with a changed setting.
    known = PRESETS.get(protocol.name.removesuffix("*"))
    described = _OF_A_FILE if known is None else asdict(known)
    # The file's name names the protocol when it is read again.
    settings = {key: value for key, value in protocol.to_dict().items() if key != "name"}
    names = {"name": protocol.name, "digest": protocol.digest}
    return {**names, **described, "settings": settings}


def _protocol_list(listed: list[dict[str, Any]]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from ..results.tables.basis import short_digest

    table = Table(box=box.SIMPLE_HEAD)
    for heading in ("name", "digest"):
        table.add_column(heading, no_wrap=True)
    table.add_column("what is measured")
    for facts in listed:
        table.add_row(facts["name"], short_digest(facts["digest"]), Text(facts["title"]))
    return table


def _as_toml(facts: dict[str, Any]) -> str:
    """All settings as a TOML file whose comments say what they stand for."""
    import textwrap

    paragraphs = (f"{facts['name']}: {facts['title']}", facts["description"], facts["source"])
    wrapper = textwrap.TextWrapper(100, initial_indent="# ", subsequent_indent="# ")
    comments = [wrapper.fill(text) for text in paragraphs if text]
    sections = []
    for section, values in facts["settings"].items():
        # Texts, numbers and truth values are written alike in JSON and TOML.
        told = (f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items())
        sections.append("\n".join([f"[{section}]", *told]))
    return "\n\n".join([*comments, f"# digest {facts['digest']}", *sections])
