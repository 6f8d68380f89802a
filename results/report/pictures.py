"""Pictures of the report: heat maps, parts of the face, kept pictures, worst frames."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from ...bench.dataset.interface import Clip, Item
from ...bench.landmarks import face_parts
from ...errors import FacebenchError
from ...recon.files.pictures import read_picture
from ...recon.morphable import EMBEDDED
from ...recon.morphable.load import load_model
from ...recon.morphable.model import MorphableModel
from ..run.ledger import Ledger
from ..run.record import RunRecord, measured_dataset
from ..tables.series import PartErrors, Series, errors_by_part
from ..tables.writers import Markup, join, tag, void
from .heat_maps import SCALE_MM, HeatMap, draw, legend_gradient, model_of, picture_address

ENDINGS = (".png", ".jpg", ".jpeg", ".webp")
MAX_PICTURES, MAX_SIDE = 24, 960

MAX_RUNS = 4
"""Runs whose parts are drawn; the bars have all."""

FRAMES_IN = 8
"""The frame that is shown: the one so far into the first part of a clip that has a face."""
LONGEST_SIDE = 480

Key = tuple[str, str]
"""Subject and scene."""

RegionErrors = Mapping[tuple[int, str], PartErrors]
"""By number of the run and scene."""

FramePicture = tuple[str, int]
"""A picture as a data address, and the number of the frame."""


def heat_map_gallery(
    maps: Iterable[HeatMap], frames: Mapping[Key, FramePicture], n_scored: int
) -> Markup:
    """Maps by subject in the order given, with the colour scale above them.

    Args:
        maps: a subject's together.
        frames: by subject and scene, pictures of what the faces were made from.
        n_scored: subjects that have a score.
    """
    grouped = groupby(maps, key=itemgetter(0))
    subjects = [_subject(subject, list(items), frames) for subject, items in grouped]
    if not subjects:
        return Markup()
    note = f"The worst subjects first, {len(subjects)} of {n_scored}; a click enlarges."
    note += " Below the maps: a frame of the clip." if frames else ""
    gallery = tag("div", *subjects, class_="subjects")
    return join(error_scale(), tag("p", note, class_="note"), gallery)


def picture_gallery(folder: Path) -> Markup:
    """Pictures that the run keeps, such as sample frames; broken files are left out."""
    # Sorted, for the disk's order would change the page from machine to machine.
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in ENDINGS)
    shown = [_kept_picture(path) for path in paths[:MAX_PICTURES]]
    return tag("div", *shown, class_="gallery") if any(shown) else Markup()


def error_scale() -> Markup:
    """What the colours stand for."""
    bar = tag("div", class_="scale", style=f"background:{legend_gradient()}", aria_hidden="true")
    marks = (tag("span", f"{mm:g}") for mm in range(round(SCALE_MM) + 1))
    ends = tag("div", *marks, class_="ticks")
    words = f"Error in mm, the same scale in every report; {SCALE_MM:g} stands for all above."
    return tag("div", bar, ends, tag("p", words, " Grey was not measured."), class_="legend")


def _subject(subject: str, maps: list[HeatMap], frames: Mapping[Key, FramePicture]) -> Markup:
    figures, rows = [], []
    for _, scene, error_mm, share, picture in maps:
        # Beside the error, or a torn face would look like a good one that is drawn grey.
        part = f"complete {share:.0%}" if math.isfinite(share) else ""
        words = ", ".join(filter(None, (f"{subject}, {scene}: error {error_mm:.2f} mm", part)))
        caption = join(scene, void("br"), tag("strong", f"{error_mm:.2f} mm"))
        caption = join(caption, void("br"), part) if part else caption
        figures.append(zoomable(picture, words, caption))
        if (subject, scene) in frames:
            frame, number = frames[subject, scene]
            words = f"{subject}, {scene}: frame {number}"
            rows.append(zoomable(frame, words, f"frame {number}"))
    below = tag("div", *rows, class_="maps") if rows else Markup()
    return tag("section", tag("h3", subject), tag("div", *figures, class_="maps"), below)


def _kept_picture(path: Path) -> Markup:
    try:
        picture = read_picture(path, "RGB")
        picture.thumbnail((MAX_SIDE, MAX_SIDE))
        address = picture_address(picture)
    except (OSError, ValueError):
        return Markup()
    name = path.stem.replace("_", " ")
    return zoomable(address, name, name)


def zoomable(address: str, words: str, caption: object) -> Markup:
    """A picture that a click shows large."""
    image = void("img", src=address, alt=words, loading="lazy", decoding="async")
    button = tag("button", image, type="button", class_="zoom", aria_label=f"Enlarge: {words}")
    return tag("figure", button, tag("figcaption", caption))


def region_errors(run: Series, scene: str) -> PartErrors:
    """Errors by part of the face of a run in a scene, see `errors_by_part`."""
    return errors_by_part(run.subjects, scene, run.record.seed)


def region_faces(series: Sequence[Series], errors: RegionErrors) -> Markup:
    """One face per run and scene, each part in the colour of its error; nothing without errors."""
    shown = [run for run in series[:MAX_RUNS] if _means_by_scene(run, errors)]
    if not shown:
        return Markup()
    model = _face_with_parts(series[0])
    faces = (_run(run, model, _means_by_scene(run, errors), len(series) > 1) for run in shown)
    return join(error_scale(), tag("div", *faces, class_="subjects faces"))


def part_errors(model: MorphableModel, errors: Mapping[str, float]) -> NDArray[np.float64]:
    """The error (V,) of the part that each vertex of a model is in, mm, NaN in none."""
    values = np.full(len(model.mean_shape), np.nan)
    for part, inside in face_parts(model.region, model.region_names).items():
        values[inside] = errors.get(part, np.nan)
    return values


def _means_by_scene(run: Series, errors: RegionErrors) -> dict[str, dict[str, float]]:
    scenes = {scene: errors[run.number, scene] for scene in run.summary}
    return {s: {part: e for part, (e, *_) in parts.items()} for s, parts in scenes.items() if parts}


def _face_with_parts(run: Series) -> MorphableModel:
    """The run's own model where it is at hand and has parts, else the embedded one."""
    model = model_of(run)
    # Of a model without regions every part is empty; the nose stands for all.
    if model is not None and face_parts(model.region, model.region_names)["nose"].any():
        return model
    return load_model(EMBEDDED)


def _run(
    run: Series, model: MorphableModel, errors: Mapping[str, Mapping[str, float]], several: bool
) -> Markup:
    faces = (_face(model, run.label, scene, values) for scene, values in errors.items())
    heading = tag("h3", run.label) if several else Markup()
    return tag("section", heading, tag("div", *faces, class_="maps"))


def _face(model: MorphableModel, label: str, scene: str, errors: Mapping[str, float]) -> Markup:
    picture = draw(model.mesh(), part_errors(model, errors))
    said = ", ".join(f"{part} {error:.2f}" for part, error in errors.items())
    worst = max(errors, key=lambda part: errors[part])
    most = tag("strong", f"{worst} {errors[worst]:.2f}")
    words = f"{label}, {scene}: mean error by part of the face in mm, {said}"
    return zoomable(picture, words, join(scene, void("br"), most))


def worst_frames(
    record: RunRecord, ledger: Ledger, subjects: Sequence[str]
) -> dict[Key, FramePicture]:
    """Frames of clips by subject and scene; without those that cannot be had.

    Args:
        record: tells the dataset; nothing is shown when that has changed or is gone.
        ledger: tells where in a clip there are faces.
        subjects: whose clips.
    """
    shown = [item for item in _items(record) if item.subject in subjects]
    found = _frames(shown, _places(ledger))
    keys = {item.id: (item.subject, item.scene) for item in shown}
    return {keys[name]: (picture_address(one), number) for name, (one, number) in found.items()}


def frames_of(record: RunRecord, places: Mapping[str, tuple[int, int]]) -> dict[str, FramePicture]:
    """Frames of a run's clips, each by its chunk and number from 0; without what cannot be had."""
    found = _frames(_items(record) if places else (), {n: (*p, 1) for n, p in places.items()})
    return {name: (picture_address(one), number) for name, (one, number) in found.items()}


def frame_pictures(
    record: RunRecord, ledger: Ledger, items: Sequence[str]
) -> dict[str, Image.Image]:
    """A frame with a face of each item's clip; without those that cannot be had."""
    shown = [item for item in _items(record) if item.id in items]
    return {name: picture for name, (picture, _) in _frames(shown, _places(ledger)).items()}


def _places(ledger: Ledger) -> dict[str, tuple[int, int, int]]:
    # A clip without any face is in no such list: it has nothing to look at.
    return {clip: (*place, FRAMES_IN) for clip, place in _first_chunks(ledger.table()).items()}


def _frames(
    items: Sequence[Item], places: Mapping[str, tuple[int, int, int]]
) -> dict[str, tuple[Image.Image, int]]:
    """Picture and number of a frame of each item by its id; see `_frame` of the places."""
    clips = {item.id: item.clip for item in items if item.clip and item.id in places}
    found = {name: _frame(clip, *places[name]) for name, clip in clips.items()}
    return {name: frame for name, frame in found.items() if frame is not None}


def _items(record: RunRecord) -> tuple[Item, ...]:
    """The items of the run's dataset; none when it is not there as it was measured."""
    try:
        dataset = measured_dataset(record)
    except (FacebenchError, OSError):
        return ()
    # Frames of other data would show faces that were never measured.
    return dataset.items if dataset.digest == record.dataset_digest else ()


def _first_chunks(chunks: pd.DataFrame) -> Mapping[str, tuple[int, int]]:
    """For each clip with a face, its first chunk that has one, and the frames before that."""
    before = chunks.groupby("clip")["frames"].cumsum() - chunks["frames"]
    seen = chunks.assign(before=before)[chunks["faces"] > 0].groupby("clip").first()
    rows = zip(seen["chunk"].astype(int), seen["before"].astype(int), strict=True)
    return dict(zip(seen.index.astype(str), rows, strict=True))


def _frame(clip: Clip, chunk: int, before: int, frames_in: int) -> tuple[Image.Image, int] | None:
    """Picture and number of a frame, `frames_in` after the first `before`, from a chunk on."""
    from ...recon.video.decode import read_chunks  # loads the decoder, which few pages need

    # Earlier chunks are decoded and dropped: a seek by time is not exact in every file.
    read, frames = before, None
    for found in read_chunks(clip.path, clip.id, before + frames_in, range(chunk)):
        if len(found.frames):
            read, frames = found.first_frame + len(found.frames), found.frames
    if frames is None:
        return None
    picture = Image.fromarray(frames[-1])
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    # Numbered from 1, in the order in which the clip is read; a short clip ends before it.
    return picture, read
