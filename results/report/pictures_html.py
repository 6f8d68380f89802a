"""Heat maps and kept pictures, each a button that shows it large."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path

from ...recon.files.pictures import read_picture
from .heat_maps import SCALE_MM, HeatMap, legend_gradient, picture_address
from .markup import Markup, join, tag, void

ENDINGS = (".png", ".jpg", ".jpeg", ".webp")
MAX_PICTURES, MAX_SIDE = 24, 960


def heat_map_gallery(
    maps: Iterable[HeatMap], frames: Mapping[tuple[str, str], str], n_scored: int
) -> Markup:
    """Maps by subject in the order given, with the colour scale above them.

    Args:
        maps: a subject's together.
        frames: by subject and scene, pictures of what the faces were made from.
        n_scored: subjects that have a score.
    """
    grouped = groupby(maps, key=lambda item: item.subject)
    subjects = [_subject(subject, list(items), frames) for subject, items in grouped]
    if not subjects:
        return tag("p", "The run keeps no meshes.")
    note = f"The worst subjects first, {len(subjects)} of {n_scored}; a click enlarges."
    note += " Below the maps: a frame of the clip." if frames else ""
    gallery = tag("div", *subjects, class_="subjects")
    return join(error_scale(), tag("p", note, class_="note"), gallery)


def picture_gallery(folder: Path) -> Markup:
    """Pictures that the run keeps, such as sample frames; broken files are left out."""
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in ENDINGS)
    shown = [_kept(path) for path in paths[:MAX_PICTURES]]
    return tag("div", *shown, class_="gallery") if any(shown) else Markup()


def error_scale() -> Markup:
    """What the colours stand for."""
    bar = tag("div", class_="scale", style=f"background:{legend_gradient()}", aria_hidden="true")
    ends = tag("div", *(tag("span", f"{mm:g}") for mm in range(6)), class_="ticks")
    words = f"Error in mm, the same scale in every report; {SCALE_MM:g} stands for all above."
    return tag("div", bar, ends, tag("p", words, " Grey was not measured."), class_="legend")


def _subject(subject: str, maps: list[HeatMap], frames: Mapping[tuple[str, str], str]) -> Markup:
    figures = (zoomable(item.picture, _words(item), _caption(item)) for item in maps)
    seen = ((item, frames[subject, item.scene]) for item in maps if (subject, item.scene) in frames)
    rows = [zoomable(frame, f"{subject}, {item.scene}: a frame", "a frame") for item, frame in seen]
    below = tag("div", *rows, class_="maps") if rows else Markup()
    return tag("section", tag("h3", subject), tag("div", *figures, class_="maps"), below)


def _words(item: HeatMap) -> str:
    return f"{item.subject}, {item.scene}: mean error {item.error_mm:.2f} mm"


def _caption(item: HeatMap) -> Markup:
    return join(item.scene, void("br"), tag("strong", f"{item.error_mm:.2f} mm"))


def _kept(path: Path) -> Markup:
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
