"""Datasets by name: files of `bench/datasets` and entry points of other packages."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ...errors import FacebenchError, did_you_mean, error_line, some, visible
from ...recon.files.contents import ABSENT, content_hashes
from ...recon.files.text import is_utf8
from ..plugins import Plugins
from .interface import Dataset, DatasetCard, Item, Listing, Problem, id_fault

GROUP = "facebench.datasets"
# By its name, as the modules of other packages: a dataset imports this folder, never the reverse.
_BUILT_IN_PACKAGE = f"{__package__.removesuffix('.dataset')}.datasets"
PLUGINS = Plugins("dataset", _BUILT_IN_PACKAGE, GROUP, ("CARD", "read"))
"""Other packages add a dataset by an entry point `name = "package.module"`, a `DatasetModule`."""

PUBLISHED = "published"
"""Stands, among excluded subjects, for those that publications leave out."""


def dataset_names() -> tuple[str, ...]:
    """All datasets, sorted."""
    return PLUGINS.names()


def dataset_card(name: str) -> DatasetCard:
    """What is known of a dataset.

    Raises:
        FacebenchError: there is no such dataset, its module cannot be used, or has no card.
    """
    card = PLUGINS.module(name).CARD
    if not isinstance(card, DatasetCard):
        origin = PLUGINS.origin(name)
        raise FacebenchError(f"dataset '{name}' of {origin}: its CARD is no DatasetCard")
    return card


def open_dataset(
    name: str,
    root: Path,
    scenes: Sequence[str] = (),
    subjects: Sequence[str] = (),
    exclude: Sequence[str] = (),
    predictions: Sequence[str] | None = None,
    hashed: bool = True,
) -> Dataset:
    """The part of a folder that was asked for, listed and hashed.

    Args:
        name: of the dataset.
        root: its folder.
        scenes: which scenes; none stands for all.
        subjects: which subjects; none stands for all.
        exclude: subjects to leave out, for example those with faulty files; `published` stands for
            those that the card names.
        predictions: names of the faces of a method that comes as files; None for other methods.
        hashed: whether files are read for their digests, which takes seconds to minutes; see
            `with_digests`.

    Raises:
        FacebenchError: the folder is not laid out as the card says, a scene or subject is not
            known, nothing is left, or the dataset's module does not keep to its interface.
    """
    card, listing = dataset_card(name), read_listing(name, root, predictions)
    known = sorted({item.subject for item in listing.items})
    left_out = _exclusions(card, exclude)
    # Published exclusions may name subjects that this copy of the set lacks; typed ones may not.
    for subject in (*subjects, *(one for one in exclude if one != PUBLISHED)):
        _check_known("subject", subject, known)
    order = scene_order(card, (item.scene for item in listing.items))
    for scene in scenes:
        _check_known("scene", scene, order)
    wanted = set(subjects or known) - set(left_out)
    chosen = tuple(scene for scene in order if not scenes or scene in scenes)
    items = [item for item in listing.items if item.subject in wanted and item.scene in chosen]
    if not items:
        raise FacebenchError(f"{root}: no subject or scene is left to measure")
    unwanted = set(known) - wanted
    # Not `in wanted`: a problem may be of something that is no subject, and must be reported.
    problems = (p for p in listing.problems if p.where.partition("/")[0] not in unwanted)
    ids = {f"{p.subject}/{p.scene}" for p in listing.items if p.scene not in chosen}
    # File systems list in any order; results, digests and `first` must not depend on it.
    items.sort(key=lambda item: item.id)
    found = Dataset(
        card=card,
        root=root,
        items=tuple(items),
        scenes=chosen,
        problems=tuple(problem for problem in problems if problem.where not in ids),
        excluded={one: why for one, why in left_out.items() if one in known},
        digests={},
    )
    return with_digests(found) if hashed else found


def with_digests(dataset: Dataset) -> Dataset:
    """A listed dataset with the digests of its items.

    Of the chosen items only: two runs of the same part have the same data, whatever lies beside.
    """
    scans = [(item.subject, scan.path) for item in dataset.items for scan in item.scans]
    hashes = _hashes_of(dataset.items)
    problems = (*dataset.problems, *shared_files(scans, "scan", hashes))
    return replace(dataset, digests=_digests(dataset.items, hashes), problems=problems)


def shared_files(
    files: Sequence[tuple[str, Path]], what: str, hashes: Mapping[Path, str]
) -> tuple[Problem, ...]:
    """That files of several subjects are one by their contents: a copy under a wrong name.

    Args:
        files: subjects and their files.
        what: they are, as `scan`.
        hashes: of all of them, by `content_hashes`.
    """
    subjects: dict[str, dict[str, None]] = {}
    for subject, path in files:
        if hashes[path] != ABSENT:
            subjects.setdefault(hashes[path], {})[subject] = None
    return tuple(
        Problem(f"{what}s", f"one file, by its contents, for {some(list(names), 4)}")
        for names in subjects.values()
        if len(names) > 1
    )


def read_listing(name: str, root: Path, predictions: Sequence[str] | None = None) -> Listing:
    """What a dataset's module finds in a folder, checked.

    Args:
        name: of the dataset.
        root: its folder.
        predictions: see `open_dataset`.

    Raises:
        FacebenchError: the folder is not laid out as it should be, or the module raises something
            else, or gives two items one id.
    """
    module, where = PLUGINS.module(name), f"dataset '{name}' of {PLUGINS.origin(name)}"
    try:
        listing = module.read(root)
        if predictions is not None and hasattr(module, "with_predictions"):
            listing = module.with_predictions(listing, root, predictions)
    except FacebenchError:
        raise
    except Exception as error:  # an outside module raises whatever it likes
        raise FacebenchError(f"{where} cannot read {root}: {error_line(error)}") from error
    if not isinstance(listing, Listing):
        raise FacebenchError(f"{where}: read gives {type(listing).__name__}, not a Listing")
    listing = _with_utf8_names(listing)
    counts = Counter(item.id for item in listing.items)
    # Two items of one id would overwrite each other's row and mesh, and one would vanish unseen.
    if twice := sorted(one for one, count in counts.items() if count > 1):
        raise FacebenchError(f"{where} gives {counts[twice[0]]} items the id '{twice[0]}'")
    for item in listing.items:
        if fault := id_fault(item.id):
            raise FacebenchError(f"{where} gives an item the id '{item.id}'", fault)
    named = (i if i.names else replace(i, names=(i.id, i.subject)) for i in listing.items)
    return replace(listing, items=tuple(named))


def _with_utf8_names(listing: Listing) -> Listing:
    """The items that tables can name; the others are problems, so that they cost no other a number.

    Raises:
        FacebenchError: there is no other.
    """
    other = {i for i in listing.items if not is_utf8(f"{i.id}{i.subject}{i.scene}")}
    if not other:
        return listing
    reason = "its name is no UTF-8, so no table can hold it: rename it"
    problems = tuple(Problem(visible(i.id), reason) for i in listing.items if i in other)
    if len(other) == len(listing.items):
        raise FacebenchError(f"{problems[0].where}: {reason}")
    kept = tuple(item for item in listing.items if item not in other)
    return replace(listing, items=kept, problems=(*listing.problems, *problems))


def scene_order(card: DatasetCard, scenes: Iterable[str]) -> tuple[str, ...]:
    """The scenes that are there: those of the card in its order, then others by name."""
    found = set(scenes)
    others = sorted(found - set(card.scenes))
    return (*(scene for scene in card.scenes if scene in found), *others)


def item_digests(items: Sequence[Item]) -> dict[str, str]:
    """SHA-256 over what is in an item's files and which part each plays, by its id.

    Places and times do not count: a set that was copied is the same set.
    """
    return _digests(items, _hashes_of(items))


def _hashes_of(items: Sequence[Item]) -> dict[Path, str]:
    return content_hashes({path for item in items for _, path in item.files})


def _digests(items: Sequence[Item], hashes: Mapping[Path, str]) -> dict[str, str]:
    # One text at a time: those of a hundred thousand subjects are a hundred megabytes.
    texts = ((i.id, "\n".join(f"{part} {hashes[path]}" for part, path in i.files)) for i in items)
    return {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts}


def _exclusions(card: DatasetCard, exclude: Sequence[str]) -> dict[str, str]:
    """Subjects to leave out, and why where that is published."""
    published = {one.subject: f"{one.reason} ({one.source})" for one in card.exclusions}
    if PUBLISHED in exclude and not published:
        raise FacebenchError(f"no exclusions of dataset '{card.name}' are published")
    chosen = {one: published.get(one, "") for one in exclude if one != PUBLISHED}
    return (published if PUBLISHED in exclude else {}) | chosen


def _check_known(kind: str, name: str, known: Sequence[str]) -> None:
    if name not in known:
        raise FacebenchError(f"unknown {kind} '{name}'", did_you_mean(name, known))
