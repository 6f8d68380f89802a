"""How long the report of the whole set takes to be written, to load, and how smoothly it scrolls.

    python tests/benchmarks/report_page.py
    python tests/benchmarks/report_page.py --subjects 8 --out /tmp/page

53 made-up people in 3 scenes, a face of its own for each: 159 heat maps, and faces to turn.
Chromium without a screen or a GPU, so that everything is drawn by the processor; a browser on a
desk is faster. Scrolled from top to bottom in steps of a tenth of a screen, one a frame; what is
given is the time from one frame to the next.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from chromium import Browser, browser
from example_runs import SCENES, example_record, example_row, example_summary

from facebench.recon.export.mesh_files import write_ply
from facebench.recon.morphable.load import load_model
from facebench.results.report import write_report
from facebench.results.run.folder import RunFolder

SCROLL = """(async () => {
  const root = document.documentElement, end = root.scrollHeight - innerHeight;
  const next = () => new Promise(requestAnimationFrame);
  const times = [await next()];
  for (let at = 0; at < end; at += innerHeight / 10) {
    scrollTo({ top: at, behavior: "instant" });
    times.push(await next());
  }
  return times.slice(1).map((time, i) => time - times[i]);
})()"""
LOADED = "performance.getEntriesByType('navigation')[0].loadEventEnd"
MAPS = "document.querySelectorAll('#faces img').length"


def made_up_run(root: Path, subjects: int) -> RunFolder:
    """Everybody scored; a person's face with errors that grow towards its rim."""
    run, model = RunFolder(root), load_model("embedded")
    names = tuple(f"subject_{number:02d}" for number in range(1, subjects + 1))
    run.begin(replace(example_record(), subjects=names, model_digest=model.digest))
    rng, rows = np.random.default_rng(0), []
    for name in names:
        mesh = model.mesh(identity=rng.normal(size=model.identity_basis.shape[2]))
        level = float(rng.normal(1.5, 0.3))
        sides = np.linalg.norm(mesh.vertices[:, :2], axis=1)
        errors = np.where(sides < 95, level * sides / 50, np.nan).astype(np.float32)
        for scene in SCENES:
            rows.append(example_row(name, scene, level))
            item = f"{name}/{scene}"
            for path in (run.mesh_path(item), run.scan_path(item)):
                path.parent.mkdir(parents=True, exist_ok=True)
                write_ply(mesh, path, {"error": errors})
    run.scores.write(rows)
    run.write_summary({scene: example_summary(rows, scene) for scene in SCENES})
    return run


def looked_at(window: Browser, page: Path, width: int, scheme: str) -> dict[str, Any]:
    """Load and scroll, as a screen of that width."""
    window.open(page, width, 900, scheme)
    loaded, maps = window.value(LOADED), window.value(MAPS)
    frames = np.array(window.value(SCROLL))
    return {
        "maps": maps,
        "loaded_ms": loaded,
        "frames": len(frames),
        "median_ms": np.median(frames),
        "p95_ms": np.quantile(frames, 0.95),
        "longest_ms": frames.max(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--subjects", type=int, default=53)
    parser.add_argument("--out", type=Path, help="the run is kept there; else nowhere")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        run = made_up_run((given.out or Path(scratch)) / "run", given.subjects)
        wall, cpu = time.perf_counter(), time.process_time()
        page = write_report(run)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        print(f"written in {wall:.1f} s ({cpu:.1f} of a processor): ", end="")
        print(f"{page.stat().st_size / 1e6:.1f} MB")
        print("| screen | heat maps | loaded, ms | frames | median, ms | 95 % | longest |")
        print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
        with browser(Path(scratch)) as window:
            for width, scheme in ((1200, "light"), (1200, "dark"), (390, "light"), (390, "dark")):
                found = looked_at(window, page, width, scheme)
                cells = " | ".join(f"{value:.0f}" for value in found.values())
                print(f"| {width} px, {scheme} | {cells} |", flush=True)
            assert not window.complaints, window.complaints
    print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
