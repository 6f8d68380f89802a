"""Interface of a dataset: items to measure, with a method's input and the ground-truth scans."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Protocol

OVERALL = "all"
"""Scene of all items together, and of every item of a set that knows no scenes."""


@dataclass(frozen=True, slots=True)
class Clip:
    """One video.

    Attributes:
        id: of the item that it belongs to.
        path: the video file.
        boxes: face boxes of the clip's frames given beside it, or None to detect them.
    """

    id: str
    path: Path
    boxes: Path | None = None


@dataclass(frozen=True, slots=True)
class Scan:
    """One 3D scan of one subject.

    Attributes:
        subject: for example `subject_07`.
        name: for example `frontal1`.
        path: the mesh file, mm.
        nose_tip: a label of the nose tip beside the scan, or None to find it.
        landmarks: a file of its 68 or 7 landmarks (`landmarks.read_landmark_file`), or None.
    """

    subject: str
    name: str
    path: Path
    nose_tip: Path | None = None
    landmarks: Path | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to be measured: what a method reads or has predicted, and scans to hold it to.

    An item without a clip, or without scans, is measured all the same: its row says why there is
    no number.

    Attributes:
        id: unique in the dataset, for example `subject_07/indoor`; a relative path that results are
            kept under.
        subject: whose face; intervals and tests are over subjects.
        scene: the condition it was taken in, a column of tables: MICC's scene, NoW's challenge.
        clip: the video that methods read, or None.
        scans: to measure against, the one to be preferred first.
        reason: why there is no clip where there should be one; else empty.
        scan_reason: why there is no scan; else empty.
        names: what a file with the item's prediction may be called, without its ending, the best
            first; without regard to case.
    """

    id: str
    subject: str
    scene: str = OVERALL
    clip: Clip | None = None
    scans: tuple[Scan, ...] = ()
    reason: str = ""
    scan_reason: str = ""
    names: tuple[str, ...] = ()

    @property
    def files(self) -> Iterator[tuple[str, Path]]:
        """Every file that is read of it, by the part it plays."""
        named: list[tuple[str, Path | None]] = []
        if self.clip is not None:
            # Boxes decide which faces are read, so a change of them is a change of the data.
            named += [("clip", self.clip.path), ("boxes", self.clip.boxes)]
        found = ((part, path) for part, path in named if path is not None)
        return chain(found, self.scan_files)

    @property
    def scan_files(self) -> Iterator[tuple[str, Path]]:
        """Every file that is read of its scans, by the part it plays."""
        named: list[tuple[str, Path | None]] = []
        for scan in self.scans:
            named += [
                (f"{scan.name} scan", scan.path),
                (f"{scan.name} nose tip", scan.nose_tip),
                (f"{scan.name} landmarks", scan.landmarks),
            ]
        return ((part, path) for part, path in named if path is not None)


@dataclass(frozen=True)
class Problem:
    """A subject, clip or file that could not be used, and why; it becomes a row, never an abort."""

    where: str
    reason: str


@dataclass(frozen=True)
class Exclusion:
    """A subject that publications leave out.

    Attributes:
        subject: as the dataset names it.
        reason: why.
        source: who says so.
    """

    subject: str
    reason: str
    source: str


@dataclass(frozen=True)
class DatasetCard:
    """What a table or a run says about a dataset.

    Attributes:
        name: as given to `facebench run`.
        title: one line.
        paper: citation, or empty.
        licence: of the data.
        layout: how its folder is laid out, and how a file says whose it is.
        scenes: in the order of every table; others that are found follow them.
        exclusions: left out when asked for by `--exclude published`.
        overall: whether tables show all scenes together as well, as NoW reports its numbers.
    """

    name: str
    title: str
    paper: str
    licence: str
    layout: str
    scenes: tuple[str, ...] = ()
    exclusions: tuple[Exclusion, ...] = ()
    overall: bool = False


@dataclass(frozen=True)
class Listing:
    """What a dataset's module finds in a folder.

    Attributes:
        items: in any order; also those that lack a file, with the reason.
        problems: what was not recognised or is missing, one reason each, for the record.
    """

    items: tuple[Item, ...]
    problems: tuple[Problem, ...] = ()


class DatasetModule(Protocol):
    """A module in `bench/datasets`, or one that an entry point names; light to import.

    Where predictions that come as files decide too what is measured, it also has
    `with_predictions(listing, root, names)`, which gives the listing that fits those names.
    """

    CARD: DatasetCard

    def read(self, root: Path) -> Listing:
        """List a folder; reads no scan and no video.

        Raises:
            FacebenchError: it is not laid out as the card says.
        """
        ...


@dataclass(frozen=True)
class Dataset:
    """The items of a folder that are to be measured.

    Attributes:
        card: what is known of the set.
        root: its folder.
        items: sorted by id.
        scenes: of the items, in table order, without `OVERALL`.
        problems: see `Listing`; of the subjects that are measured.
        excluded: subjects left out on request, with the reason where one is published.
        digests: by item's id, SHA-256 over the contents of its files.
    """

    card: DatasetCard
    root: Path
    items: tuple[Item, ...]
    scenes: tuple[str, ...]
    problems: tuple[Problem, ...] = ()
    excluded: Mapping[str, str] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What tables call it."""
        return self.card.name

    @property
    def subjects(self) -> tuple[str, ...]:
        """Every subject, sorted, also those with problems."""
        return tuple(sorted({item.subject for item in self.items}))

    @property
    def digest(self) -> str:
        """SHA-256 over ids and digests of the items, in whatever order they were listed."""
        # Ids stand beside the contents: the same files under other names are another measurement.
        lines = sorted(f"{item.id} {self.digests[item.id]}" for item in self.items)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    @property
    def table_scenes(self) -> tuple[str, ...]:
        """The scenes that tables show."""
        return (
            # Of one scene the sum over all would be the same column twice.
            (OVERALL, *self.scenes) if self.card.overall and len(self.scenes) > 1 else self.scenes
        )

    @property
    def clips(self) -> tuple[Clip, ...]:
        """Every usable clip, sorted by id."""
        return tuple(item.clip for item in self.items if item.clip is not None)

    @property
    def scans(self) -> tuple[Scan, ...]:
        """Every usable scan once, sorted by subject and name."""
        # Items of one subject share its scans: without this MICC's would stand here three times.
        scans = dict.fromkeys(scan for item in self.items for scan in item.scans)
        return tuple(sorted(scans, key=lambda scan: (scan.subject, scan.name)))


def id_fault(item_id: str) -> str:
    """Why an id cannot be a place below the results; empty for a good one."""
    path = PurePosixPath(item_id)
    # What is called like this is written below the run folder: no id may lead out of there.
    if not item_id or path.is_absolute() or {"..", "."} & set(item_id.split("/")):
        return "an id is a relative path, such as SUBJECT/SCENE"
    if "\0" in item_id or "\\" in item_id or item_id != path.as_posix():
        return "an id has parts parted by single slashes"
    return ""
