"""Two plain folders: predictions and scans of the same names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from ...errors import FacebenchError
from ..landmarks.files import landmarks_beside
from ..meshes.files import FORMATS
from ..pairs.sets import Pair, PairSet, meshes_below

LAYOUT = "expected PREDICTIONS/NAME.obj and SCANS/NAME.ply, with NAME.txt for landmarks"


def find_pairs(predictions: Path, scans: Path) -> PairSet:
    """Pairs by equal relative paths without endings, or else by a file name that is there once.

    Landmarks are read from the file of the same name beside a mesh. What has no counterpart
    becomes a pair with a reason.

    Raises:
        FacebenchError: a folder is missing or holds no mesh.
    """
    ours, theirs = _meshes(predictions), _meshes(scans)
    scan_of = _counterparts(tuple(ours), tuple(theirs))
    pairs = [_pair(name, ours[name], theirs.get(scan_of.get(name, ""), ())) for name in ours]
    lonely = sorted(set(theirs) - set(scan_of.values()))
    pairs += [Pair(name, scan=theirs[name][0], reason="no prediction of it") for name in lonely]
    return PairSet("pairs", tuple(sorted(pairs, key=lambda pair: pair.name)))


def _meshes(folder: Path) -> dict[str, list[Path]]:
    if not folder.is_dir():
        raise FacebenchError(f"{folder}: no such folder", LAYOUT)
    found = meshes_below(folder)
    if not found:
        raise FacebenchError(f"{folder}: no mesh in it", f"known are {', '.join(FORMATS)}")
    return found


def _counterparts(ours: Sequence[str], theirs: Sequence[str]) -> Mapping[str, str]:
    """The scan's name of each prediction's; predictions without one are left out."""
    same = {name: name for name in ours if name in set(theirs)}
    left = [name for name in ours if name not in same]
    free = [name for name in theirs if name not in same]
    stems = {stem: name for name in free if (stem := _stem(name))}
    once = {stem for stem, count in Counter(map(_stem, free)).items() if count == 1}
    once &= {stem for stem, count in Counter(map(_stem, left)).items() if count == 1}
    return same | {name: stems[_stem(name)] for name in left if _stem(name) in once}


def _pair(name: str, ours: Sequence[Path], theirs: Sequence[Path]) -> Pair:
    for files, kind in ((ours, "prediction"), (theirs, "scan")):
        if len(files) > 1:
            names = ", ".join(path.name for path in files)
            return Pair(name, reason=f"{len(files)} candidates for the {kind}: {names}")
    if not theirs:
        return Pair(name, prediction=ours[0], reason="no scan of it")
    prediction, scan = ours[0], theirs[0]
    marks = landmarks_beside(prediction), landmarks_beside(scan)
    return Pair(name, "", prediction, scan, *marks)


def _stem(name: str) -> str:
    return PurePosixPath(name).name
