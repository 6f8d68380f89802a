"""The folder layout of the MICC Florence 2D/3D face set."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from ...errors import FacebenchError
from ...recon.files.contents import visible_in
from ..dataset.interface import Clip, DatasetCard, Exclusion, Item, Listing, Problem, Scan

VIDEO_OF_SCENE = {
    "cooperative": "indoor-cooperative",
    "indoor": "ptz-indoor",
    "outdoor": "ptz-outdoor",
}
"""The scenes in the order of every table, and what their videos are called."""
FRONTAL_SCANS = ("frontal1", "frontal2")
SIDE_SCANS = ("sidel", "sider")
VIDEO_FOLDERS = ("video", "videos")
VIDEO_SUFFIXES = (".mjpg", ".mjpeg", ".mpg", ".mpeg", ".mov", ".avi", ".mp4")
BOXES_SUFFIX = ".boxes.csv"
_SUBJECT = re.compile(r"subject_\d+")
_LAYOUT = "expected subject_NN/Model/frontal1/obj/*.obj and subject_NN/Video/Indoor-Cooperative.*"
_FAULTY = "faulty files"

CARD = DatasetCard(
    name="micc",
    title="MICC Florence: 53 people, three videos and frontal scans of each",
    paper="Bagdanov, Del Bimbo and Masi, J-HGBU workshop, 2011",
    licence="for research, from its authors; nothing of it comes with facebench",
    layout=f"{_LAYOUT.removeprefix('expected ')}; predictions are subject_NN/SCENE.obj, "
    "subject_NN/VIDEO.obj or subject_NN.obj; names without regard to case",
    scenes=tuple(VIDEO_OF_SCENE),
    exclusions=(
        Exclusion("subject_03", _FAULTY, "one publication"),
        Exclusion("subject_27", _FAULTY, "one publication"),
        Exclusion("subject_30", _FAULTY, "several publications"),
    ),
)


def read(root: Path) -> Listing:
    """An item per subject and scene; what is missing or not recognised becomes a problem.

    Raises:
        FacebenchError: the folder is not MICC's.
    """
    folders = _subject_folders(root)
    problems = [
        Problem(path.name, "not recognised") for path in visible_in(root) if not _is_subject(path)
    ]
    items: list[Item] = []
    for name, found in sorted(folders.items()):
        subject = _Subject(name, found)
        items += map(subject.item, VIDEO_OF_SCENE)
        problems += subject.problems
    return Listing(tuple(items), tuple(problems))


class _Subject:
    """What one subject's folder holds: clips, scans and problems."""

    def __init__(self, subject: str, folders: Sequence[Path]) -> None:
        self.subject = subject
        self.problems: list[Problem] = []
        self._clips: dict[str, Clip | None] = dict.fromkeys(VIDEO_OF_SCENE)
        self._scans: tuple[Scan, ...] = ()
        if len(folders) > 1:
            # Taking one of them would measure a face that nobody chose.
            names = ", ".join(sorted(path.name for path in folders))
            for where in ("", *VIDEO_OF_SCENE):
                self._problem(f"{len(folders)} folders of one subject: {names}", where)
        else:
            self._read(folders[0])

    def _read(self, folder: Path) -> None:
        # Either spelling is read, and both where both are there.
        places = [path for path in visible_in(folder) if path.name.lower() in VIDEO_FOLDERS]
        videos = [path for place in places for path in _files(place)]
        self._clips = {scene: self._clip(scene, videos) for scene in VIDEO_OF_SCENE}
        model = _child(folder, "model")
        # frontal1 comes first: protocols that take one scan take that; side scans show half a face.
        self._scans = tuple(s for name in FRONTAL_SCANS if (s := self._scan(name, model)))
        if not self._scans:
            self._problem("no usable frontal scan")
        for path in _unrecognised_folders(folder, model, videos):
            self._problem(f"not recognised: {path.relative_to(folder).as_posix()}")

    def item(self, scene: str) -> Item:
        """The subject in a scene, with what is known against its clip and its scans."""
        item_id = f"{self.subject}/{scene}"
        return Item(
            id=item_id,
            subject=self.subject,
            scene=scene,
            clip=self._clips[scene],
            scans=self._scans,
            reason=self._problems_of(item_id),
            scan_reason="" if self._scans else self._problems_of(self.subject),
            # The scene's own face goes before one that stands for all scenes of the subject.
            names=(item_id, f"{self.subject}/{VIDEO_OF_SCENE[scene]}", self.subject),
        )

    def _problems_of(self, where: str) -> str:
        clips = {f"{self.subject}/{scene}" for scene in VIDEO_OF_SCENE}
        about = (
            problem.reason if problem.where == where else f"{problem.where}: {problem.reason}"
            for problem in self.problems
            # A subject's problems are those of its scans too, of its clips not.
            if problem.where == where
            or (problem.where.startswith(f"{where}/") and problem.where not in clips)
        )
        return "; ".join(about)

    def _problem(self, reason: str, where: str = "") -> None:
        self.problems.append(Problem(f"{self.subject}/{where}" if where else self.subject, reason))

    def _clip(self, scene: str, videos: Sequence[Path]) -> Clip | None:
        named = [path for path in videos if path.stem.lower() == VIDEO_OF_SCENE[scene]]
        found = [path for path in named if path.suffix.lower() in VIDEO_SUFFIXES]
        path = self._single_file(found, "video", scene)
        if path is None:
            return None
        return Clip(f"{self.subject}/{scene}", path, _file_beside(path, [BOXES_SUFFIX], videos))

    def _scan(self, name: str, model: Path | None) -> Scan | None:
        folder = _child(model, name)
        if folder is None:
            return None
        objs = [p for p in _files(_child(folder, "obj")) if p.suffix.lower() == ".obj"]
        path = self._single_file(objs, "OBJ file", name)
        if path is None:
            return None
        # Here: a folder that is no such set is refused before SciPy is imported.
        from ..landmarks import LABEL_SUFFIXES, LANDMARK_SUFFIXES

        files = _files(path.parent)
        label = _file_beside(path, LABEL_SUFFIXES, files)
        # `STEM.landmarks.txt`, `.npy` or `.pp`: protocols that start from landmarks need them.
        landmarks = _file_beside(path, [f".landmarks{end}" for end in LANDMARK_SUFFIXES], files)
        return Scan(self.subject, name, path, label, landmarks)

    def _single_file(self, found: Sequence[Path], kind: str, where: str) -> Path | None:
        """The one file that was found; none, several or an empty one is a problem."""
        if not found:
            self._problem(f"no {kind}", where)
        # Taking one of several would measure against a file that nobody chose.
        elif len(found) > 1:
            names = ", ".join(path.name for path in found)
            self._problem(f"{len(found)} candidates for the {kind}: {names}", where)
        elif not found[0].stat().st_size:
            self._problem(f"empty {kind}: {found[0].name}", where)
        else:
            return found[0]
        return None


def _subject_folders(root: Path) -> dict[str, list[Path]]:
    """Subject names in lower case to their folders, of which there should be one."""
    if not root.is_dir():
        raise FacebenchError(f"{root}: no such folder", _LAYOUT)
    folders: dict[str, list[Path]] = {}
    for path in filter(_is_subject, visible_in(root)):
        folders.setdefault(path.name.lower(), []).append(path)
    # An empty `subject_01` is no proof: one level too high or too low looks like that.
    found = [path for paths in folders.values() for path in paths]
    if not any(_child(path, name) for path in found for name in ("model", *VIDEO_FOLDERS)):
        inner = [path for path in visible_in(root) if any(map(_is_subject, visible_in(path)))]
        hint = f"did you mean {inner[0]}?" if inner else _LAYOUT
        raise FacebenchError(f"{root}: not a MICC folder", hint)
    return folders


def _unrecognised_folders(
    folder: Path, model: Path | None, videos: Sequence[Path]
) -> Iterator[Path]:
    """Entries of a subject's folder whose names say nothing."""
    known = ("model", *VIDEO_FOLDERS)
    yield from (path for path in visible_in(folder) if path.name.lower() not in known)
    scans = FRONTAL_SCANS + SIDE_SCANS
    yield from (path for path in visible_in(model) if path.name.lower() not in scans)
    suffixes = (*VIDEO_SUFFIXES, BOXES_SUFFIX)
    named = {stem + suffix for stem in VIDEO_OF_SCENE.values() for suffix in suffixes}
    yield from (path for path in videos if path.name.lower() not in named)


def _is_subject(path: Path) -> bool:
    return path.is_dir() and _SUBJECT.fullmatch(path.name.lower()) is not None


def _file_beside(path: Path, suffixes: Sequence[str], files: Sequence[Path]) -> Path | None:
    """The first of some files that is called as a path is, with one of these suffixes."""
    wanted = [path.stem.lower() + suffix for suffix in suffixes]
    return next((other for other in files if other.name.lower() in wanted), None)


def _child(folder: Path | None, name: str) -> Path | None:
    """The folder's entry of that name, whatever its case."""
    return next((path for path in visible_in(folder) if path.name.lower() == name), None)


def _files(folder: Path | None) -> list[Path]:
    return [path for path in visible_in(folder) if path.is_file()]
