"""A plain folder of scans; predictions of the same names are held to them."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from ...errors import FacebenchError, some
from ...recon.files.contents import files_below
from ..dataset.interface import DatasetCard, Item, Listing, Problem, Scan
from ..landmarks import landmarks_beside
from ..meshes.files import FORMATS, UNREAD_FORMATS, meshes_below, one_of_equals

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
    items = tuple(_item(name, files) for name, files in meshes.items())
    unread = [p.name for p in files_below(root) if p.suffix.lower() in UNREAD_FORMATS]
    said = f"of formats that are not read: {some(unread)}"
    return Listing(items, (Problem("scans", said),) if unread else ())


def with_predictions(listing: Listing, root: Path, names: Sequence[str]) -> Listing:
    """Items called like their predictions; what has no scan becomes an item with a reason.

    Equal relative paths belong together, then those that differ in case, in how an accent is
    written (macOS parts it from its letter) or in the lines between words, then `NAME/face.obj` and
    `NAME.ply`, and else a file name that is there once on both sides.
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
    rest = (one for name, one in items.items() if name not in met)
    problems = (*listing.problems, *_folder_problems(scan_of))
    return replace(listing, items=(*found, *rest), problems=problems)


def _folder_problems(scan_of: Mapping[str, str]) -> Iterator[Problem]:
    """That the folders of some pairs differ: they may be two people's."""
    apart = [
        f"{name} on {scan}"
        for name, scan in scan_of.items()
        if "/" in name and "/" in scan and _folder(name) != _folder(scan)
    ]
    if apart:
        yield Problem("pairs", f"of other folders, paired by the file's name: {some(apart, 3)}")


def _item(name: str, files: Sequence[Path]) -> Item:
    file = files[0] if len(files) == 1 else one_of_equals(files)
    if file is None:
        names = ", ".join(path.name for path in files)
        return Item(name, name, scan_reason=f"{len(files)} candidates for the scan: {names}")
    try:
        landmarks = landmarks_beside(file)
    except FacebenchError as error:
        return Item(name, name, scan_reason=error.message, names=(name,))
    scan = Scan(name, file.stem, file, landmarks=landmarks)
    return Item(name, name, scans=(scan,), names=(name,))


def _counterparts(ours: Sequence[str], theirs: Sequence[str]) -> Mapping[str, str]:
    """The scan's name of each prediction's; predictions without one are left out."""
    same = {name: name for name in ours if name in set(theirs)}
    for key in (_loose, _without_gaps):
        left = [name for name in ours if name not in same]
        free = [name for name in theirs if name not in set(same.values())]
        same |= _paired_by({n: key(n) for n in left}, {n: key(n) for n in free})
    for own, other in ((_folders, _paths), (_paths, _folders), (_stems, _stems)):
        # Of all names, not of those that are left: beside `anna/mesh` of both sides `ben/mesh` and
        # `carl/mesh` are two people, though each is the only `mesh` that is left of its side.
        found, taken = _paired_by(own(ours), other(theirs)), set(same.values())
        same |= {a: b for a, b in found.items() if a not in same and b not in taken}
    return same


def _paired_by(ours: Mapping[str, str], theirs: Mapping[str, str]) -> dict[str, str]:
    """Names of two sides whose keys are equal, and there once on both."""
    counts = Counter(ours.values()), Counter(theirs.values())
    name_of = {key: name for name, key in theirs.items()}
    return {a: name_of[key] for a, key in ours.items() if counts[0][key] == counts[1][key] == 1}


def _folders(names: Sequence[str]) -> dict[str, str]:
    """`NAME` of each `NAME/face` that has its folder to itself."""
    folder_of = {name: PurePosixPath(name).parent for name in names if "/" in name}
    held = Counter(folder_of.values())
    return {name: _without_gaps(str(at)) for name, at in folder_of.items() if held[at] == 1}


def _paths(names: Sequence[str]) -> dict[str, str]:
    return {name: _without_gaps(name) for name in names}


def _stems(names: Sequence[str]) -> dict[str, str]:
    return {name: PurePosixPath(_loose(name)).name for name in names}


def _loose(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold().strip()


def _folder(name: str) -> str:
    return _without_gaps(str(PurePosixPath(name).parent))


def _without_gaps(name: str) -> str:
    """Also without the lines and blanks between words."""
    return _loose(name).replace("_", "-").replace(" ", "-")
