"""A plain folder of scans; predictions of the same names are held to them."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from ...errors import FacebenchError
from ..dataset.interface import DatasetCard, Item, Listing, Scan
from ..landmarks import landmarks_beside
from ..meshes.files import FORMATS, meshes_below

LAYOUT = "expected PREDICTIONS/NAME.obj and SCANS/NAME.ply, with NAME.txt for landmarks"

CARD = DatasetCard(
    name="pairs",
    title="Any folder of scans, and a folder of predictions with the same names",
    paper="",
    licence="that of the files",
    layout=LAYOUT.removeprefix("expected "),
)


def read(root: Path) -> Listing:
    """An item per mesh below a folder, called by its relative path without the ending.

    Raises:
        FacebenchError: the folder is missing or holds no mesh.
    """
    if not root.is_dir():
        raise FacebenchError(f"{root}: no such folder", LAYOUT)
    meshes = meshes_below(root)
    if not meshes:
        raise FacebenchError(f"{root}: no mesh in it", f"known are {', '.join(FORMATS)}")
    return Listing(tuple(_item(name, files) for name, files in meshes.items()))


def with_predictions(listing: Listing, root: Path, names: Sequence[str]) -> Listing:
    """Items called like their predictions; what has no scan becomes an item with a reason.

    Equal relative paths belong together, then those that differ in case or in how an accent is
    written (macOS parts it from its letter), and else a file name that is there once on both sides.
    """
    items = {item.id: item for item in listing.items}
    scan_of = _counterparts(names, tuple(items))
    found = [
        replace(items[scan], id=name, subject=name, names=(name,)) for name, scan in scan_of.items()
    ]
    # A prediction without a scan is a row that says so; dropped, it would look as if never made.
    lonely = (name for name in names if name not in scan_of)
    found += [Item(name, name, scan_reason="no scan of it", names=(name,)) for name in lonely]
    met = set(scan_of.values())
    return replace(
        listing, items=(*found, *(one for name, one in items.items() if name not in met))
    )


def _item(name: str, files: Sequence[Path]) -> Item:
    if len(files) > 1:
        names = ", ".join(path.name for path in files)
        return Item(name, name, scan_reason=f"{len(files)} candidates for the scan: {names}")
    scan = Scan(name, files[0].stem, files[0], landmarks=landmarks_beside(files[0]))
    return Item(name, name, scans=(scan,), names=(name,))


def _counterparts(ours: Sequence[str], theirs: Sequence[str]) -> Mapping[str, str]:
    """The scan's name of each prediction's; predictions without one are left out."""
    same = {name: name for name in ours if name in set(theirs)}
    for key in (_loose, _stem):
        left = [name for name in ours if name not in same]
        free = [name for name in theirs if name not in set(same.values())]
        scan_of = {key(name): name for name in free}
        once = {word for word, count in Counter(map(key, free)).items() if count == 1}
        once &= {word for word, count in Counter(map(key, left)).items() if count == 1}
        same |= {name: scan_of[key(name)] for name in left if key(name) in once}
    return same


def _loose(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _stem(name: str) -> str:
    return PurePosixPath(_loose(name)).name
