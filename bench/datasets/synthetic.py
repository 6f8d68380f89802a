"""People that `facebench synth micc` drew: MICC's layout, with the truth beside it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ...errors import FacebenchError
from ..dataset.interface import DatasetCard, Listing
from . import micc

CARD = DatasetCard(
    name="synthetic",
    title="Synthetic people in MICC's layout, whose true shape is known",
    paper="",
    licence="that of the face model",
    layout=f"{micc.CARD.layout}; the truth in DIR-truth",
    scenes=micc.CARD.scenes,
)


def read(root: Path) -> Listing:
    """The folder read as MICC's; a scene that no subject has was not drawn, so it is left out.

    Raises:
        FacebenchError: the folder is not of this layout, or no truth lies beside it.
    """
    truth = root.with_name(f"{root.name}-truth")
    if root.is_dir() and not truth.is_dir():
        raise FacebenchError(
            f"{root}: no truth beside it in {truth}", "is it a real set? then 'run micc'"
        )
    listing = micc.read(root)
    drawn = {item.scene for item in listing.items if item.clip is not None}
    items = tuple(item for item in listing.items if item.scene in drawn)
    kept = {item.id for item in items}
    # Else the record would miss videos that were never to be drawn.
    gone = {item.id for item in listing.items} - kept
    return replace(
        listing, items=items, problems=tuple(p for p in listing.problems if p.where not in gone)
    )
