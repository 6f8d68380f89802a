"""What a dataset gives: clips of subjects, and scans to measure against."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

SCENES = ("cooperative", "indoor", "outdoor")
"""MICC's three, in the order of every table."""


@dataclass(frozen=True)
class Clip:
    """One video of one subject.

    Attributes:
        subject: for example `subject_07`.
        scene: one of the dataset's scenes.
        path: the video file.
        boxes: face boxes of the clip's frames given beside it, or None to detect them.
    """

    subject: str
    scene: str
    path: Path
    boxes: Path | None = None

    @property
    def id(self) -> str:
        """`subject/scene`, unique in a dataset."""
        return f"{self.subject}/{self.scene}"


@dataclass(frozen=True)
class Scan:
    """One 3D scan of one subject.

    Attributes:
        subject: for example `subject_07`.
        name: for example `frontal1`.
        path: the mesh file, mm.
        nose_tip: a label of the nose tip beside the scan, or None to find it.
        landmarks: a file of its 68 or 7 landmarks (`landmark_files.read_landmark_file`), or None.
    """

    subject: str
    name: str
    path: Path
    nose_tip: Path | None = None
    landmarks: Path | None = None


@dataclass(frozen=True)
class Problem:
    """A subject, clip or file that could not be used, and why; it becomes a row, never an abort."""

    where: str
    reason: str


class Dataset(Protocol):
    """A set of subjects with videos and scans."""

    @property
    def name(self) -> str:
        """What tables call it."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256 over the relative paths and sizes of all files that are read."""
        ...

    @property
    def subjects(self) -> tuple[str, ...]:
        """Every subject, sorted, also those with problems."""
        ...

    @property
    def scenes(self) -> tuple[str, ...]:
        """The scenes, in table order."""
        ...

    @property
    def clips(self) -> tuple[Clip, ...]:
        """Every usable clip, sorted by id."""
        ...

    @property
    def scans(self) -> tuple[Scan, ...]:
        """Every usable scan, sorted by subject and name."""
        ...

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What was not recognised or is missing, one reason each."""
        ...
