"""The folder layout of the MICC Florence 2D/3D face set."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from ...errors import FacebenchError, did_you_mean
from ..dataset.interface import SCENES, Clip, Problem, Scan
from ..landmarks.files import LANDMARK_SUFFIXES
from ..registration.nose_tip import LABEL_SUFFIXES

STEM_OF_SCENE = {
    "cooperative": "indoor-cooperative",
    "indoor": "ptz-indoor",
    "outdoor": "ptz-outdoor",
}
FRONTAL_SCANS = ("frontal1", "frontal2")
SIDE_SCANS = ("sidel", "sider")
VIDEO_FOLDERS = ("video", "videos")
VIDEO_SUFFIXES = (".mjpg", ".mjpeg", ".mpg", ".mpeg", ".mov", ".avi", ".mp4")
BOXES_SUFFIX = ".boxes.csv"
_SUBJECT = re.compile(r"subject_\d+")
_LAYOUT = "expected subject_NN/Model/frontal1/obj/*.obj and subject_NN/Video/Indoor-Cooperative.*"


class MiccDataset:
    """Clips and frontal scans of a MICC folder; names are matched without regard to case.

    What is missing or not recognised becomes a problem, and the rest is used. The folder is listed
    once, when the dataset is made.

    Args:
        root: the folder that holds `subject_NN`.
        scenes: which scenes to read.
        subjects: which subjects, or None for all.
        exclude: subjects to leave out, for example those with faulty files.

    Raises:
        FacebenchError: when the folder is not MICC's, or a scene or subject is not known.
    """

    name = "micc"

    def __init__(
        self,
        root: Path,
        scenes: Sequence[str] = SCENES,
        subjects: Sequence[str] | None = None,
        exclude: Sequence[str] = (),
    ) -> None:
        self.root = root
        folders = _subject_folders(root)
        _check_names("scene", scenes, SCENES)
        _check_names("subject", (*(subjects or ()), *exclude), tuple(folders))
        self.scenes = tuple(scene for scene in SCENES if scene in scenes)
        wanted = folders if subjects is None else subjects
        self.subjects = tuple(sorted(set(wanted) - set(exclude)))
        self._listings = [_Listing(name, folders[name], self.scenes) for name in self.subjects]
        unknown = [Problem(entry.name, "not recognised") for entry in _strangers(root)]
        self.problems = (*unknown, *(p for listing in self._listings for p in listing.problems))

    @property
    def clips(self) -> tuple[Clip, ...]:
        """Every usable clip, sorted by id."""
        clips = (clip for listing in self._listings for clip in listing.clips)
        return tuple(sorted(clips, key=lambda clip: clip.id))

    @property
    def scans(self) -> tuple[Scan, ...]:
        """Every usable frontal scan, sorted by subject and name."""
        scans = (scan for listing in self._listings for scan in listing.scans)
        return tuple(sorted(scans, key=lambda scan: (scan.subject, scan.name)))

    @property
    def digest(self) -> str:
        """SHA-256 over the relative paths and sizes of all files that are read."""
        files = [path for clip in self.clips for path in (clip.path, clip.boxes)]
        files += [path for s in self.scans for path in (s.path, s.nose_tip, s.landmarks)]
        sha = hashlib.sha256()
        for path in sorted(path for path in files if path is not None):
            sha.update(f"{path.relative_to(self.root).as_posix()} {path.stat().st_size}\n".encode())
        return sha.hexdigest()


class _Listing:
    """What one subject's folder holds: clips, scans and problems."""

    def __init__(self, subject: str, folder: Path, scenes: Sequence[str]) -> None:
        self.subject = subject
        self.problems: list[Problem] = []
        places = [path for path in _visible(folder) if path.name.lower() in VIDEO_FOLDERS]
        videos = [path for place in places for path in _files(place)]
        self.clips = [clip for scene in scenes if (clip := self._clip(scene, videos))]
        model = _child(folder, "model")
        self.scans = [scan for name in FRONTAL_SCANS if (scan := self._scan(name, model))]
        if not self.scans:
            self._problem("no usable frontal scan")
        for path in _unrecognised(folder, model, videos):
            self._problem(f"not recognised: {path.relative_to(folder).as_posix()}")

    def _problem(self, reason: str, where: str = "") -> None:
        self.problems.append(Problem(f"{self.subject}/{where}" if where else self.subject, reason))

    def _clip(self, scene: str, videos: Sequence[Path]) -> Clip | None:
        named = [path for path in videos if path.stem.lower() == STEM_OF_SCENE[scene]]
        found = [path for path in named if path.suffix.lower() in VIDEO_SUFFIXES]
        path = self._only(found, "video", scene)
        return (
            None if path is None else Clip(self.subject, scene, path, _boxes_beside(path, videos))
        )

    def _scan(self, name: str, model: Path | None) -> Scan | None:
        folder = _child(model, name)
        if folder is None:
            return None
        objs = [p for p in _files(_child(folder, "obj")) if p.suffix.lower() == ".obj"]
        path = self._only(objs, "OBJ file", name)
        if path is None:
            return None
        return Scan(self.subject, name, path, _label_beside(path), _landmarks_beside(path))

    def _only(self, found: Sequence[Path], kind: str, where: str) -> Path | None:
        """The one file that was found; none, several or an empty one is a problem."""
        if not found:
            self._problem(f"no {kind}", where)
        elif len(found) > 1:
            names = ", ".join(path.name for path in found)
            self._problem(f"{len(found)} candidates for the {kind}: {names}", where)
        elif not found[0].stat().st_size:
            self._problem(f"empty {kind}: {found[0].name}", where)
        else:
            return found[0]
        return None


def _subject_folders(root: Path) -> dict[str, Path]:
    """Subject names in lower case to their folders."""
    if not root.is_dir():
        raise FacebenchError(f"{root}: no such folder", _LAYOUT)
    folders = {path.name.lower(): path for path in _visible(root) if _is_subject(path)}
    if not any(_has_content(path) for path in folders.values()):
        inner = [path for path in _visible(root) if any(map(_is_subject, _visible(path)))]
        hint = f"did you mean {inner[0]}?" if inner else _LAYOUT
        raise FacebenchError(f"{root}: not a MICC folder", hint)
    return folders


def _has_content(folder: Path) -> bool:
    return any(_child(folder, name) for name in ("model", *VIDEO_FOLDERS))


def _check_names(kind: str, names: Sequence[str], known: Sequence[str]) -> None:
    for name in names:
        if name not in known:
            raise FacebenchError(f"unknown {kind} '{name}'", did_you_mean(name, known))


def _strangers(root: Path) -> list[Path]:
    return [path for path in _visible(root) if not _is_subject(path)]


def _unrecognised(folder: Path, model: Path | None, videos: Sequence[Path]) -> Iterator[Path]:
    """Entries of a subject's folder whose names say nothing."""
    known = ("model", *VIDEO_FOLDERS)
    yield from (path for path in _visible(folder) if path.name.lower() not in known)
    scans = FRONTAL_SCANS + SIDE_SCANS
    yield from (path for path in _visible(model) if path.name.lower() not in scans)
    yield from (path for path in videos if not _is_video_or_boxes(path))


def _is_video_or_boxes(path: Path) -> bool:
    name = path.name.lower()
    suffixes = (*VIDEO_SUFFIXES, BOXES_SUFFIX)
    return any(name == stem + suffix for stem in STEM_OF_SCENE.values() for suffix in suffixes)


def _is_subject(path: Path) -> bool:
    return path.is_dir() and _SUBJECT.fullmatch(path.name.lower()) is not None


def _boxes_beside(video: Path, files: Sequence[Path]) -> Path | None:
    wanted = video.stem.lower() + BOXES_SUFFIX
    return next((path for path in files if path.name.lower() == wanted), None)


def _label_beside(scan: Path) -> Path | None:
    wanted = [scan.stem.lower() + suffix for suffix in LABEL_SUFFIXES]
    return next((path for path in _files(scan.parent) if path.name.lower() in wanted), None)


def _landmarks_beside(scan: Path) -> Path | None:
    """`STEM.landmarks.txt`, `.npy` or `.pp`: protocols that start from landmarks need them."""
    wanted = [f"{scan.stem.lower()}.landmarks{suffix}" for suffix in LANDMARK_SUFFIXES]
    return next((path for path in _files(scan.parent) if path.name.lower() in wanted), None)


def _child(folder: Path | None, name: str) -> Path | None:
    """The folder's entry of that name, whatever its case."""
    return next((path for path in _visible(folder) if path.name.lower() == name), None)


def _files(folder: Path | None) -> list[Path]:
    return [path for path in _visible(folder) if path.is_file()]


def _visible(folder: Path | None) -> list[Path]:
    """Sorted entries of a folder whose names do not begin with a dot; none of what is no folder."""
    if folder is None or not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
