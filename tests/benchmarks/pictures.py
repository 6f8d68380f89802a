"""Takes the pictures of the documentation: the report, and MLflow's pages of the same runs.

    python tests/benchmarks/pictures.py runs/ours runs/mean-face runs/ours-short --out docs/pictures

The runs must stand in the MLflow store. Needs Chromium. With --whole also the whole report, in
light and dark, and on a phone's width, to look it over.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from chromium import Browser, browser

from facebench.results.report import write_report
from facebench.results.tracking.run import open_runs
from facebench.results.tracking.store import tracking_uri
from facebench.results.tracking.ui import mlflow_server, open_store, pages

WIDTH, PHONE = 1200, 390
TALLEST = 4000
"""Pixels of one picture: Chromium begins at the top again where one is higher than its textures."""
STILL_S = 3.0
"""For charts that move into their place."""
TO = "document.getElementById('{}').scrollIntoView({{behavior: 'instant'}})"
ALL = (
    "document.head.insertAdjacentHTML('beforeend', "
    "'<style>section{content-visibility:visible!important}</style>');"
    "for (const image of document.images) image.loading = 'eager'"
)
CLOSE = "document.querySelector('button[aria-label=Close]')?.click()"
# Without a pointer that could hover, Plotly leaves its tools over the bars; the menu takes room.
NO_TOOLS = "document.head.insertAdjacentHTML('beforeend', '<style>.modebar{display:none}</style>')"
NO_MENU = "document.querySelector('button[aria-label*=sidebar i]')?.click()"


def main() -> None:
    """Read the command line and take the pictures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", nargs="+", help="folders; the report is of the first")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--whole", action="store_true")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        page = Path(scratch) / "report.html"
        with open_runs(given.runs) as runs:
            write_report(runs[0], runs[1:], out=page)
            dataset = runs[0].record().dataset
        with browser(Path(scratch)) as window:
            report(window, page, given.out)
            if given.whole:
                whole(window, page, given.out)
            mlflow(window, dataset, given.out)


def report(window: Browser, page: Path, out: Path) -> None:
    """Its head in light, a face to turn in dark, the heat maps on a phone."""
    window.open(page, WIDTH, 900)
    keep(window, out / "report-light.png")
    window.open(page, WIDTH, 900, scheme="dark")
    # What is read or laid out only when it is near would move the section on after the scrolling.
    window.value(ALL)
    time.sleep(STILL_S)
    window.value(TO.format("turn"))
    keep(window, out / "report-dark.png")
    window.open(page, PHONE, 844)
    window.value(TO.format("faces"))
    keep(window, out / "report-phone.png")


def whole(window: Browser, page: Path, out: Path) -> None:
    """Every section, from top to bottom."""
    for name, width, scheme in (
        ("whole-light", WIDTH, "light"),
        ("whole-dark", WIDTH, "dark"),
        ("whole-phone", PHONE, "light"),
        ("whole-phone-dark", PHONE, "dark"),
    ):
        window.open(page, width, TALLEST, scheme)
        height = int(window.value("document.documentElement.scrollHeight"))
        for number, top in enumerate(range(0, height, TALLEST)):
            window.value(f"scrollTo({{top: {top}, behavior: 'instant'}})")
            keep(window, out / f"{name}-{number}.png")


def mlflow(window: Browser, dataset: str, out: Path) -> None:
    """MLflow's own charts of the runs beside each other: the first bars are the errors."""
    client = open_store(tracking_uri())
    charts = next(place for title, place in pages(client) if title.startswith(f"{dataset}:"))
    with mlflow_server(tracking_uri(), 0) as (address, _):
        window.open(f"{address}{charts}", 1300, 1000)
        window.wait_for("document.querySelectorAll('.js-plotly-plot').length > 5")
        for step in (CLOSE, NO_TOOLS, NO_MENU):
            window.value(step)
        keep(window, out / "mlflow-compare.png")


def keep(window: Browser, path: Path) -> None:
    """A picture of the screen in 256 colours, a quarter of the bytes."""
    time.sleep(STILL_S)
    window.picture(path)
    with Image.open(path) as image:
        few = image.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    few.save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
