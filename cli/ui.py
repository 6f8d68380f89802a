"""`facebench ui`: MLflow's web interface on the runs of this project."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ..results.tracking.ui import Page

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, also where a script started it in the background; a plain kill; a closed terminal."""


@click.command(name="ui")
@click.argument("runs", nargs=-1, metavar="[RUN…]")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=5000,
    show_default=True,
    help="Of this machine; 0 takes one that is free.",
)
@click.option("--open", "show", is_flag=True, help="Open the last address in the browser.")
def command(runs: tuple[str, ...], port: int, show: bool) -> None:
    """Serve MLflow's pages of all runs until Ctrl-C, and print their addresses.

    The store is MLFLOW_TRACKING_URI, by default the file mlflow.db of this folder, where 'facebench
    micc' and 'facebench train' log. The pages can be seen from this machine only.

    With RUNs, each a folder or the id of an MLflow run, the page that compares them is printed too.
    Without, that of the newest comparison that 'facebench compare --track' logged. Runs of every
    method have the same metrics: SCENE.mean_mm and its interval, SCENE.share_within as a curve over
    the threshold in tenths of a millimetre.

    \b
    Examples:
      facebench ui
      facebench ui runs/mean-face runs/ours --open
      facebench compare runs/mean-face runs/ours --track && facebench ui --port 5001
    """
    from ..results.tracking.store import public_address, tracking_uri
    from ..results.tracking.ui import compare_page, open_store, pages

    uri = tracking_uri()
    client = open_store(uri)
    found = [compare_page(client, runs, uri)] if runs else []
    # The page asked for last: it is the one that --open shows.
    found = pages(client) + found
    if uri.startswith(("http://", "https://")):
        # Printed, and given to the browser as an argument: without a password.
        _print(public_address(uri), found, show)
        return
    _serve(uri, port, found, show)


def _serve(uri: str, port: int, found: Sequence[Page], show: bool) -> None:
    from ..results.tracking.store import redact
    from ..results.tracking.ui import mlflow_server

    click.echo(f"MLflow starts on {redact(uri)} …", err=True)
    with _ended_by_signals(), mlflow_server(uri, port) as (address, process):
        _print(address, found, show)
        click.echo("Ctrl-C ends it.", err=True)
        try:
            # Until it ends by itself or by a signal, which all come as KeyboardInterrupt.
            process.wait()
        except KeyboardInterrupt:
            click.echo("\nEnded.", err=True)
            return
    raise click.ClickException("MLflow's server ended by itself")


def _print(address: str, found: Sequence[Page], show: bool) -> None:
    # Addresses one below the other, to be told apart and clicked.
    width = max(len(title) for title, _ in found)
    for title, path in found:
        click.echo(f"{title:<{width}}  {address}{path}")
    if show:
        click.launch(f"{address}{found[-1][1]}")


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let these end the server too, as Ctrl-C does."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in _ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
