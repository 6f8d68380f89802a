"""Photographs of known people with their landmarks, and the faces that any method sees in them.

Landmarks in pixels stand beside the photographs (`recon.face.labels`): 68 points or five. What a
method leaves open, its pose for one, is found beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError
from ...recon.face.crop import (
    Box,
    box_of_points,
    check_inside,
    crop_square,
    crop_window,
    read_boxes,
    read_image_points,
)
from ...recon.fitting.fitter import box_of_crop
from ...recon.portraits.sources import Source, find_sources, read_photograph
from ...recon.render.face_in_photograph import FaceInPhotograph, complete_pose_and_light
from ...recon.vision.detect import ELSEWHERE, ManyFacesDetector, are_elsewhere
from ...recon.vision.landmarks import LandmarkDetector
from ..method.interface import Method, PlacesFaces, TakesLandmarks

_LFW = re.compile(r"(?P<name>.+)_\d{4}")
_NO_PERSON = re.compile(
    r"[\W\d_]*(?:img|image|dsc[nf]?|pxl|photo|foto|picture|pic|portrait|selfie|face|crop|frame|scan|"
    r"sample|test|train|val)[\W\d_]*|[\W_]*\d{8,}[\W\d_]*",
    re.IGNORECASE,
)
"""What cameras and programs put before a number, or a date: `IMG_0001.jpg` is of nobody called IMG,
`s01_0001.jpg` of S01."""

LARGEST = 1024
"""Side in px of a portrait: at print size more dots are not seen, only stored."""

Points = NDArray[np.float64]

Reconstructions = Mapping[str, Sequence[FaceInPhotograph]]
"""A method's face per photograph, by the label that figures give the method."""

SUFFIXES = (".pts", ".txt", ".csv", ".npy")
_FOLDERS = ("", "detections", "landmarks")
"""Beside the photograph, or in these folders beside it, as published sets have them."""


@dataclass(frozen=True, eq=False)
class Photograph:
    """One face in one picture.

    Attributes:
        name: unique among those shown together, with `/` where it lay in a folder's folder.
        subject: whose face it is.
        frame: (H, W, 3) uint8 RGB.
        box: of its landmarks, px.
        group: what tells it from the subject's others, such as `pose`; or empty.
        landmarks: (68, 2) px of the frame out of a file beside it, or None.
    """

    name: str
    subject: str
    frame: NDArray[np.uint8]
    box: Box
    group: str = ""
    landmarks: Points | None = None

    def crop(self, size: int) -> NDArray[np.uint8]:
        """The face as a square (size, size, 3), as methods take it."""
        return crop_square(self.frame, self.box, size)

    @property
    def caption(self) -> str:
        """The last part of its name, as a figure has room for."""
        return PurePosixPath(self.name).name

    @property
    def portrait(self) -> NDArray[np.uint8]:
        """The crop's square as large as the picture gives it."""
        return self.crop(int(np.clip(round(crop_window(self.box).side), 256, LARGEST)))


Readable = tuple[tuple[Photograph, ...], tuple[str, ...]]
"""Photographs with a face, and one line for each that cannot be used."""


def subject_of(source: Source) -> str:
    """The subject of a photograph's file, by the ways in which sets are published.

    `NAME/NAME_0001.jpg` (LFW) and `NAME/anything.jpg` are of NAME; a file that lies directly in the
    folder (MoFA-test) is of somebody of its own, unless it is called as LFW's are, and not as
    cameras and programs call all of theirs.
    """
    name = PurePosixPath(source.name)
    # A folder per person is the clearest statement; file names come second.
    if len(name.parts) > 1:
        return str(name.parent)
    numbered = _LFW.fullmatch(name.name)
    if numbered is None or _NO_PERSON.fullmatch(numbered["name"]):
        return name.name
    return numbered["name"]


def photograph_sources(paths: Sequence[Path]) -> list[Source]:
    """The photographs of files and folders; videos are left out.

    Raises:
        FacebenchError: there is none.
    """
    # Frames of one video would be nearly equal pictures of one person.
    found = [source for source in find_sources(paths) if not source.is_video]
    if not found:
        raise FacebenchError(f"{', '.join(map(str, paths))}: no photographs in it")
    return found


def by_subject(sources: Sequence[Source]) -> dict[str, list[Source]]:
    """The files of each person, in order."""
    people: dict[str, list[Source]] = {}
    for source in sources:
        people.setdefault(subject_of(source), []).append(source)
    return people


def read_faces(sources: Sequence[Source], detector: ManyFacesDetector, limit: int) -> Readable:
    """The first photographs with a face; for one without, a line, and the next is taken.

    One whose labels lie beside the face that is found in it has a line too.

    Args:
        sources: photographs.
        detector: of the face, where neither boxes nor landmarks lie beside one.
        limit: how many are wanted.
    """
    photographs: list[Photograph] = []
    problems: list[str] = []
    for source in sources:
        if len(photographs) == limit:
            break
        try:
            one = _read(source, detector)
        except FacebenchError as error:
            problems.append(f"{source.path}: {error}")
            continue
        photographs.append(one)
        labelled = source.boxes or source.landmarks or landmarks_beside(source.path)
        if labelled and are_elsewhere([one.box], one.frame, detector):
            problems.append(f"{source.path}: {ELSEWHERE}")
    return tuple(photographs), tuple(problems)


def crops_of(photographs: Sequence[Photograph], size: int) -> NDArray[np.uint8]:
    """The faces as one batch (B, size, size, 3)."""
    return np.stack([photograph.crop(size) for photograph in photographs])


def landmarks_of(photographs: Sequence[Photograph], size: int) -> Points:
    """The landmarks given for faces, (B, 68, 2) px of their crops; NaN where none were."""
    found = np.full((len(photographs), 68, 2), np.nan)
    for row, one in zip(found, photographs, strict=True):
        if one.landmarks is not None:
            row[:] = crop_window(one.box).to_crop(one.landmarks, size)
    return found


def several_of_each(
    sources: Sequence[Source], detector: ManyFacesDetector, people: int, each: int
) -> Iterator[Readable]:
    """For the first people of whom enough photographs show a face, that many photographs of each.

    Raises:
        FacebenchError: nobody has two photographs.
    """
    groups = {name: files for name, files in by_subject(sources).items() if len(files) > 1}
    if not groups:
        raise FacebenchError(
            "nobody has two photographs here",
            "put each person's into a folder of their own, or call them NAME_0001.jpg as LFW does",
        )
    taken = 0
    for files in groups.values():
        if taken == people:
            return
        photographs, problems = read_faces(files, detector, each)
        # One photograph alone shows no spread, so the person does not count towards `people`.
        enough = len(photographs) > 1
        taken += enough
        yield photographs if enough else (), problems


def landmarks_beside(photograph: Path) -> Path | None:
    """The landmarks file that is called like a photograph, or None."""
    places = (photograph.parent / folder / photograph.stem for folder in _FOLDERS)
    files = (place.with_name(place.name + suffix) for place in places for suffix in SUFFIXES)
    return next((file for file in files if file.is_file()), None)


def reconstruct_faces(
    methods: Mapping[str, Method], photographs: Sequence[Photograph], detector: LandmarkDetector
) -> Reconstructions:
    """Every method's faces in the photographs.

    Args:
        methods: by the labels of the figure.
        photographs: each with a face.
        detector: of landmarks, see `faces_in_photographs`.
    """
    return {
        label: photographed_faces(method, photographs, detector)
        for label, method in methods.items()
    }


def photographed_faces(
    method: Method, photographs: Sequence[Photograph], detector: LandmarkDetector
) -> list[FaceInPhotograph]:
    """A method's face in each photograph, with the landmarks that lie beside some of them."""
    size = method.crop_size
    given = landmarks_of(photographs, size)
    return faces_in_photographs(method, crops_of(photographs, size), detector, given)


def faces_in_photographs(
    method: Method,
    crops: NDArray[np.uint8],
    detector: LandmarkDetector,
    given: NDArray[np.floating] | None = None,
) -> list[FaceInPhotograph]:
    """The face in each crop as the method sees it, with pose and light.

    A method that gives identity alone is shown with the face that its mesh of that one photograph
    has; pose and light are then found from the photograph's landmarks and colours, not by it.

    Args:
        method: reads photographs.
        crops: (B, S, S, 3) uint8 RGB of the method's size.
        detector: of the landmarks that place what has no pose.
        given: (B, 68, 2) px of the crops, landmarks that are known; NaN where they are not.

    Raises:
        FacebenchError: a face without pose has no landmarks either.
    """
    if isinstance(method, TakesLandmarks) and given is not None and np.isfinite(given).any():
        found = method.faces_at_landmarks(crops, given)
    elif isinstance(method, PlacesFaces):
        found = method.faces_in_photographs(crops)
    else:
        meshes = [method.mesh(vector) for vector in method.describe(crops)]
        found = [FaceInPhotograph(one, np.asarray(one.vertices, np.float64)) for one in meshes]
    if all(one.pose is not None and one.light is not None for one in found):
        return found
    if any(one.pose is None and one.mesh.landmarks is None for one in found):
        raise FacebenchError(
            f"method '{method.card.name}' says neither where a face is nor where its landmarks are",
            "name the 68 landmark vertices of its meshes",
        )
    points = detector.landmarks(list(crops), [box_of_crop(crops.shape[1])] * len(crops))
    if given is not None:
        points = np.where(np.isfinite(given), given, points)
    return [complete_pose_and_light(*item) for item in zip(found, crops, points, strict=True)]


def _read(source: Source, detector: ManyFacesDetector) -> Photograph:
    frame = read_photograph(source.path)
    # What a person gave wins over the detector: published sets come with their own boxes.
    box = read_boxes(source.boxes).get(0) if source.boxes else None
    path = source.landmarks or landmarks_beside(source.path)
    points = None if path is None else read_image_points(path)
    if box is None and points is not None:
        box = box_of_points(points)
    box = detector.detect(frame) if box is None else check_inside(box, frame)
    if box is None:
        raise FacebenchError(
            "no face was found", "give its box in NAME.boxes.csv or its landmarks in NAME.pts"
        )
    # Five tell where the face is; only the 68 are what a method would find itself.
    known = points if points is not None and len(points) == 68 else None
    return Photograph(source.name, subject_of(source), frame, box, landmarks=known)
