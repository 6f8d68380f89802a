"""Heat maps and kept pictures, each a button that shows it large."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from PIL import Image

from .heat_maps import SCALE_MM, HeatMap, legend_gradient, picture_address
from .markup import Markup, join, tag, void

ENDINGS = (".png", ".jpg", ".jpeg", ".webp")
MAX_PICTURES, MAX_SIDE = 24, 960


def heat_map_gallery(maps: Iterable[HeatMap]) -> Markup:
    """Maps by subject in the order given, with the colour scale above them."""
    grouped = groupby(maps, key=lambda item: item.subject)
    subjects = [_subject(subject, list(items)) for subject, items in grouped]
    if not subjects:
        return tag("p", "The run keeps no meshes.")
    return join(_legend(), tag("div", *subjects, class_="subjects"))


def picture_gallery(folder: Path) -> Markup:
    """Pictures that the run keeps, such as sample frames; broken files are left out."""
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in ENDINGS)
    shown = [_kept(path) for path in paths[:MAX_PICTURES]]
    return tag("div", *shown, class_="gallery") if any(shown) else Markup()


def _legend() -> Markup:
    bar = tag("div", class_="scale", style=f"background:{legend_gradient()}", aria_hidden="true")
    ends = tag("div", *(tag("span", f"{mm:g}") for mm in range(6)), class_="ticks")
    words = f"Error in mm, the same scale in every report; {SCALE_MM:g} stands for all above."
    return tag("div", bar, ends, tag("p", words, " Grey was not measured."), class_="legend")


def _subject(subject: str, maps: list[HeatMap]) -> Markup:
    figures = (_figure(item.picture, _words(item), _caption(item)) for item in maps)
    return tag("section", tag("h3", subject), tag("div", *figures, class_="maps"))


def _words(item: HeatMap) -> str:
    return f"{item.subject}, {item.scene}: mean error {item.error_mm:.2f} mm"


def _caption(item: HeatMap) -> Markup:
    return join(item.scene, void("br"), tag("strong", f"{item.error_mm:.2f} mm"))


def _kept(path: Path) -> Markup:
    try:
        with Image.open(path) as picture:
            picture.thumbnail((MAX_SIDE, MAX_SIDE))
            address = picture_address(picture.convert("RGB"))
    except OSError:
        return Markup()
    name = path.stem.replace("_", " ")
    return _figure(address, name, name)


def _figure(address: str, words: str, caption: object) -> Markup:
    image = void("img", src=address, alt=words, loading="lazy")
    button = tag("button", image, type="button", class_="zoom", aria_label=f"Enlarge: {words}")
    return tag("figure", button, tag("figcaption", caption))
