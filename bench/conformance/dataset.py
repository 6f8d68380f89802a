"""`check_dataset`: a dataset's module and a folder of it, checked as a run uses them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from ...errors import (
    FacebenchError,
    Finding,
    attempt,
    count_of,
    error_line,
    failure,
    some,
    success,
    warning,
)
from ..dataset.interface import Dataset, DatasetCard, Item
from ..dataset.registry import PLUGINS, dataset_card, open_dataset, read_listing
from ..scoring.target import read_target

# In another order, as another file system lists: only what the module sorts itself stays.
_ELSEWHERE = """
import json, os, pathlib, random, sys
real, listed = os.scandir, random.Random(0)
iterdir, rglob, glob = pathlib.Path.iterdir, pathlib.Path.rglob, pathlib.Path.glob
def mixed(items):
    items = list(items); listed.shuffle(items); return iter(items)
pathlib.Path.iterdir = lambda self: mixed(iterdir(self))
pathlib.Path.rglob = lambda self, *a, **k: mixed(rglob(self, *a, **k))
pathlib.Path.glob = lambda self, *a, **k: mixed(glob(self, *a, **k))
from facebench.bench.dataset.registry import open_dataset
found = open_dataset(sys.argv[1], pathlib.Path(sys.argv[2]))
print(json.dumps([found.digest, [item.id for item in found.items]]))
"""
_SECONDS = 600


def check_dataset(name: str, data: Path | None, unit: str = "mm", scans: int = 0) -> list[Finding]:
    """Every finding on a dataset, in the order in which they were found.

    Args:
        name: in the registry.
        data: a folder of it; without one only the module and its card are looked at.
        unit: of the scans: mm, cm or m.
        scans: how many scans are read at most; 0 for all.

    Raises:
        FacebenchError: there is no such dataset.
    """
    loaded = success("loads", PLUGINS.origin(name))
    card = attempt("card", lambda: _check_card(name))
    if data is None or any(one.verdict == "failed" for one in card):
        return [loaded, *card]
    folder = data.absolute()
    listed = attempt("items", lambda: _check_items(name, folder))
    if any(one.verdict == "failed" for one in listed):
        return [loaded, *card, *listed]
    dataset = open_dataset(name, folder)
    return [
        loaded,
        *card,
        *listed,
        *attempt("files", lambda: _check_files(dataset)),
        *attempt("reasons", lambda: _check_reasons(dataset.items)),
        *attempt("scans", lambda: _check_scans(dataset, unit, scans)),
        *attempt("digest", lambda: _check_digest(dataset)),
        *attempt("order", lambda: _check_order(dataset)),
    ]


def _check_card(name: str) -> Iterator[Finding]:
    card = dataset_card(name)
    yield success("card", card.title) if card.title else failure("card", "no title", "write one")
    if card.name != name:
        yield failure("card", f"its name is '{card.name}', not '{name}'", "call both the same")
    if not card.licence:
        yield warning("licence", "not stated", "say under which terms the data may be used")
    if not card.layout:
        yield failure("layout", "not stated", "say how a file tells whose it is")
    if twice := [one for one, n in Counter(card.scenes).items() if n > 1]:
        yield failure("scenes", f"'{twice[0]}' stands twice", "name each scene once")


def _check_items(name: str, data: Path) -> Iterator[Finding]:
    """Ids are unique and safe, which `read_listing` refuses otherwise; subjects and scenes told."""
    listing = read_listing(name, data)
    if not listing.items:
        yield failure("items", "none", f"is this its folder? {dataset_card(name).layout}")
        return
    subjects = {item.subject for item in listing.items}
    scenes = sorted({item.scene for item in listing.items})
    said = f"{len(listing.items)} of {count_of(len(subjects), 'subject')}: {', '.join(scenes)}"
    yield success("items", said)
    card: DatasetCard = dataset_card(name)
    if others := [scene for scene in scenes if card.scenes and scene not in card.scenes]:
        yield warning("scenes", f"not on the card: {some(others)}", "name them in table order")
    if empty := [item.id for item in listing.items if not (item.subject and item.scene)]:
        yield failure("subjects", f"{some(empty)}: no subject or scene", "say whose it is")


def _check_files(dataset: Dataset) -> Iterator[Finding]:
    named = [(item.id, path) for item in dataset.items for _, path in item.files]
    missing = [f"{item}: {path}" for item, path in named if not path.is_file()]
    if missing:
        yield failure("files", f"not there: {some(missing)}", "name only what is there")
    else:
        yield success("files", f"{len({path for _, path in named}):,} named, all there")
    outside = [str(path) for _, path in named if not path.is_relative_to(dataset.root)]
    if outside:
        yield warning("files", f"outside of the folder: {some(outside)}", "a copy will lack them")
    used = {path for _, path in named}
    # Hidden files are the system's and our own: locks, marks of folders, thumbnails.
    visible = (path for path in dataset.root.rglob("*") if not path.name.startswith("."))
    rest = [path for path in visible if path.is_file() and path not in used]
    told = [problem.where for problem in dataset.problems]
    if rest and not told:
        names = [str(path.relative_to(dataset.root)) for path in sorted(rest)]
        advice = "what looks like data and is not understood belongs into the problems"
        yield warning("left out", f"{len(rest):,} files, such as {some(names)}", advice)
    elif told:
        yield warning("problems", f"{len(told)}, such as {some(told)}", "they stand in the record")


def _check_reasons(items: Sequence[Item]) -> Iterator[Finding]:
    """An item that lacks something says why, or its row would say nothing."""
    silent = [item.id for item in items if not item.scans and not item.scan_reason]
    if silent:
        advice = "give scan_reason: it is the row's reason"
        yield failure("reasons", f"no scan and no reason: {some(silent)}", advice)
    else:
        lacking = sum(not item.scans for item in items)
        yield success(
            "reasons", f"{count_of(lacking, 'item')} without a scan, each with its reason"
        )


def _check_scans(dataset: Dataset, unit: str, most: int) -> Iterator[Finding]:
    scans = dataset.scans[: most or None]
    faults = []
    for scan in scans:
        try:
            read_target(scan, unit)
        except Exception as error:  # a file fails in as many ways as it has bytes
            faults.append(f"{scan.subject}/{scan.name}: {error_line(error)}")
    if faults:
        yield failure(
            "scans", f"{len(faults)} of {len(scans)}: {some(faults)}", "repair or leave out"
        )
    elif scans:
        yield success("scans", f"{len(scans)} read, in {unit}")
    else:
        yield failure("scans", "none", "nothing can be measured")


def _check_digest(dataset: Dataset) -> Iterator[Finding]:
    again = open_dataset(dataset.name, dataset.root)
    if again.digest != dataset.digest:
        yield failure("digest", "another one the second time", "list what is there, draw nothing")
    else:
        yield success("digest", dataset.digest[:12])


def _check_order(dataset: Dataset) -> Iterator[Finding]:
    """Listed in another process and in another order, the folder is the same dataset."""
    words = [sys.executable, "-c", _ELSEWHERE, dataset.name, str(dataset.root)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=_SECONDS, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise FacebenchError(f"cannot be read in another process: {last}")
    digest, ids = json.loads(done.stdout)
    if digest != dataset.digest or ids != [item.id for item in dataset.items]:
        advice = "sort what the file system lists, before the first of several is taken"
        yield failure("order", "files in another order give another dataset", advice)
    else:
        yield success("order", "files may be listed in any order")
