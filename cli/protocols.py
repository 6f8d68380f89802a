"""`facebench protocols`: the presets of the measurement, and what each stands for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from ._early import check_protocol
from ._tables import print_json, print_table

if TYPE_CHECKING:
    from rich.table import Table

    from ..bench.protocol.record import Protocol

_OF_A_FILE = {"title": "settings of a file", "description": "", "source": ""}


@click.command(name="protocols")
@click.argument("name", required=False)
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change a setting.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def command(name: str | None, settings: tuple[str, ...], as_json: bool) -> None:
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
        listed = [_facts(preset(known)) for known in PRESETS]
        print_json(listed) if as_json else print_table(_list(listed))
        return
    facts = _facts(read_settings(name or "micc", settings))
    print_json(facts) if as_json else click.echo(_as_toml(facts))


def _facts(protocol: Protocol) -> dict[str, Any]:
    """What is known of a protocol: of a changed preset, what is known of the preset."""
    from dataclasses import asdict

    from ..bench.protocol.presets import PRESETS

    # A star marks a preset with a changed setting.
    known = PRESETS.get(protocol.name.removesuffix("*"))
    described = _OF_A_FILE if known is None else asdict(known)
    # The file's name names the protocol when it is read again.
    settings = {key: value for key, value in protocol.to_dict().items() if key != "name"}
    names = {"name": protocol.name, "digest": protocol.digest}
    return {**names, **described, "settings": settings}


def _list(protocols: list[dict[str, Any]]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from ..results.tables.basis import short_digest

    table = Table(box=box.SIMPLE_HEAD)
    for heading in ("name", "digest"):
        table.add_column(heading, no_wrap=True)
    table.add_column("what is measured")
    for facts in protocols:
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
