"""Folders of good and hostile files together, as the commands are given them."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

from example_runs import example_run
from labelled_photographs import write_photograph
from PIL import Image
from skimage.data import astronaut
from small_micc import clip_path, scan_path, write_subject
from training_faces import write_training_faces

from facebench.recon.export.mesh_files import write_obj
from facebench.recon.morphable.procedural import procedural_model
from facebench.tests.support.hostile_input.crafted import CRAFTED
from facebench.tests.support.hostile_input.mutations import DAMAGES
from facebench.tests.support.hostile_input.pickles import PICKLES

NAMES = ("[/bold]", "<script>alert(1)<", "\x1b[2J", "new\nline", "..", "%s%n", "a" * 200)
"""What files may be called on most disks."""


def photographs(folder: Path) -> Path:
    """One face among pictures that are none, and videos that are lists of other files."""
    folder.mkdir(parents=True)
    Image.fromarray(astronaut()).save(folder / "good.jpg")
    for name, content in zip(NAMES, _pictures(), strict=True):
        (folder / f"{name.replace('/', '|')}.jpg").write_bytes(content)
        (folder / f"{len(content)}.png").write_bytes(content)
    for number, make in enumerate(CRAFTED[".mp4"].values()):
        (folder / f"clip{number}.mp4").write_bytes(make())
    return folder


def _pictures() -> tuple[bytes, ...]:
    attacks = ("program in PostScript", "4 billion pixels", "no rows", "large TIFF")
    made = (CRAFTED[".jpg"][name]() for name in attacks)
    return (b"", bytes(range(256)) * 20, PICKLES["plain"](Path("canary")), *made)


def to_prepare(folder: Path) -> Path:
    """A labelled face, hostile pictures, and archives whose names climb."""
    photographs(folder)
    write_photograph(folder / "person.jpg", 0)
    for ending in (".zip", ".tar"):
        attack = CRAFTED[ending]["names that climb"]()
        (folder / f"climbs{ending}").write_bytes(attack)
        (folder / f"cut{ending}").write_bytes(attack[:100])
    return folder


def micc(folder: Path) -> Path:
    """A good subject, one with damaged scans, one with hostile clips."""
    model = procedural_model(0, 2500)
    for subject in (1, 2, 3):
        write_subject(folder, subject, model, ("cooperative", "indoor"), n_frames=6)
    scan_path(folder, 2).write_bytes(CRAFTED[".obj"]["material from a device"]())
    clip_path(folder, 3, "cooperative").write_bytes(CRAFTED[".mp4"]["playlist of a device"]())
    clip_path(folder, 3, "indoor").write_bytes(b"RIFF" + bytes(500))
    return folder


def pairs(folder: Path) -> tuple[Path, Path]:
    """Predictions and scans of the same names: one good, the others not."""
    predictions, scans = folder / "predictions", folder / "scans"
    for place in (predictions, scans):
        place.mkdir(parents=True)
    face = procedural_model(0, 2500).mesh()
    write_obj(face, predictions / "good.obj")
    write_obj(face, scans / "good.obj")
    for ending in (".obj", ".ply", ".stl", ".off", ".glb", ".npz"):
        for number, (name, make) in enumerate(CRAFTED[ending].items()):
            if name in ("bomb", "texture of 160 million pixels", "3 million vertices"):
                continue
            stem = f"{ending[1:]}{number}"
            (predictions / f"{stem}{ending}").write_bytes(make())
            shutil.copy(scans / "good.obj", scans / f"{stem}.obj")
    return predictions, scans


def shards(folder: Path) -> tuple[Path, Path]:
    """Training faces of which some rows are no pictures; the model beside them."""
    import pyarrow.parquet as pq

    faces = write_training_faces(folder)
    table = pq.read_table(faces / "faces.parquet")
    images = table["image"].to_pylist()
    images[:3] = [b"", CRAFTED[".jpg"]["4 billion pixels"](), PICKLES["plain"](Path("canary"))]
    place = table.column_names.index("image")
    pq.write_table(table.set_column(place, "image", [images]), faces / "faces.parquet")
    return faces, folder / "model.npz"


def runs(folder: Path) -> dict[str, Path]:
    """A good run, one of hostile names, and damaged ones, by what is wrong."""
    found = {"good": example_run(folder / "good", "mean-face").root}
    for name in ("run.json", "summary.json", "items.parquet"):
        for damage in ("truncated", "nested", "empty"):
            where = folder / f"{name} {damage}"
            path = example_run(where).root / name
            path.write_bytes(DAMAGES[damage](path.read_bytes(), random.Random(0)))
            found[f"{name} {damage}"] = where
    return found
