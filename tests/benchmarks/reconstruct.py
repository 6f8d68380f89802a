"""Measures `facebench reconstruct` on photographs: in batches against one at a time, and by stage.

The two are run by turns in one process and compared by CPU time, so that another load on the
machine hits both alike. A photograph's whole way is measured (read, find, cut out, regress,
texture, draw, write), then the network alone.

    python tests/benchmarks/reconstruct.py --photographs 16 --rounds 3
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image
from skimage.data import astronaut

from facebench.recon.face.coefficients import Origin
from facebench.recon.morphable.load import load_model
from facebench.recon.portraits.reconstructor import FaceCrop, Reconstructor
from facebench.recon.portraits.results import FaceFiles, ResultLedger, SheetRenderer
from facebench.recon.portraits.source_reconstructor import SourceReconstructor
from facebench.recon.portraits.sources import find_sources
from facebench.recon.regressors.checkpoint import embedded_weights, load_regressor
from facebench.recon.vision.detect import CascadeDetector

BATCH = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photographs", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    model = load_model("embedded")
    loaded = load_regressor(embedded_weights(), model)
    reconstructor = Reconstructor(model, loaded.regressor)
    origin = Origin(model.name, model.digest, loaded.recipe.name, loaded.digest)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photographs = _photographs(folder / "photographs", arguments.photographs)
        whole = SourceReconstructor(
            reconstructor,
            SheetRenderer(model),
            CascadeDetector(tilted=True),
            FaceFiles(folder / "out", ("obj", "ply", "glb"), origin),
        )
        _stages(whole, photographs)
        _compare_whole(whole, photographs, arguments.rounds)
        _compare_network(reconstructor, arguments.rounds)


def _photographs(folder: Path, count: int) -> Path:
    """The photographed face at places and sizes of its own."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for number in range(count):
        left, top = random.integers(0, 60, 2)
        side = int(random.integers(380, 450))
        crop = Image.fromarray(astronaut()).crop((left, top, left + side, top + side))
        crop.save(folder / f"{number:03d}.png")
    return folder


def _stages(whole: SourceReconstructor, photographs: Path) -> None:
    """CPU seconds of the parts of one face's way, everything that is made once being made."""
    frame = np.asarray(Image.open(min(photographs.iterdir())))
    reconstructor, artist = whole.reconstructor, whole.artist
    box = whole.detector.detect(frame)
    assert box is not None
    shot = FaceCrop(frame, box, reconstructor.crop_size)
    face = reconstructor.regress(shot.crop[None])[0]
    view = reconstructor.view(shot.portrait, face, shot.filled)
    texture = reconstructor.texture(face.albedo, [view])
    rows = [artist.row(shot.portrait, face), artist.sides(face, texture)]
    mesh = reconstructor.mesh(face)
    stages: dict[str, Callable[[], object]] = {
        "find": lambda: whole.detector.detect_all(frame),
        "regress": lambda: reconstructor.regress(shot.crop[None]),
        "texture": lambda: reconstructor.texture(
            face.albedo, [reconstructor.view(shot.portrait, face, shot.filled)]
        ),
        "draw": lambda: [artist.row(shot.portrait, face), artist.sides(face, texture)],
        "write": lambda: whole.files.write_face("stage", mesh, _fresh(texture), rows),
    }
    for name, stage in stages.items():
        print(f"{name:8} {1000 * statistics.median(_cpu(stage) for _ in range(3)):6.0f} ms")


def _fresh(texture: object) -> object:
    """The texture without its kept PNG."""
    return type(texture)(texture.uv, texture.picture)  # type: ignore[attr-defined,call-arg]


def _compare_whole(whole: SourceReconstructor, photographs: Path, rounds: int) -> None:
    sources = find_sources([photographs])
    seconds: dict[int, list[float]] = {1: [], BATCH: []}
    faces = 0
    for number in range(rounds):
        for batch in seconds:
            own = replace(whole, batch=batch)
            ledger = ResultLedger(whole.files.out, {"batch": batch, "round": number})
            start = time.process_time()
            faces = sum(portrait.faces for portrait in own.reconstruct_all(sources, ledger))
            seconds[batch].append(time.process_time() - start)
    _report("whole way", {batch: faces / np.array(all_) for batch, all_ in seconds.items()})


def _compare_network(reconstructor: Reconstructor, rounds: int) -> None:
    side = reconstructor.crop_size
    crops = np.random.default_rng(0).integers(0, 255, (BATCH * 4, side, side, 3), np.uint8)
    rates: dict[int, list[float]] = {1: [], BATCH: []}
    for _ in range(rounds):
        for batch, found in rates.items():
            starts = range(0, len(crops), batch)
            work = lambda: [reconstructor.regress(crops[s : s + batch]) for s in starts]  # noqa: B023, E731
            found.append(len(crops) / _cpu(work))
    _report("network", {batch: np.array(all_) for batch, all_ in rates.items()})


def _report(what: str, rates: dict[int, np.ndarray]) -> None:
    one, many = np.median(rates[1]), np.median(rates[BATCH])
    ratio = np.median(rates[BATCH] / rates[1])
    print(f"{what}: {one:.2f} faces/s one by one, {many:.2f} in batches of {BATCH}, x{ratio:.2f}")


def _cpu(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


if __name__ == "__main__":
    main()
