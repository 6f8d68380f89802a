"""Commands whose data, models and results are in an object store, against the same on disk."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from in_process import facebench
from object_store import KEY, SECRET, ObjectStore, objects, put, upload
from small_micc import clip_path, write_random_weights, write_subject

from facebench.errors import STORE_MIRROR
from facebench.recon.face.crop import Box, write_boxes
from facebench.recon.morphable.load import load_model

SCENES = ("cooperative", "indoor")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A subject in two scenes, weights, and the run on this disk that all others must equal."""
    root = tmp_path_factory.mktemp("home")
    model = load_model("embedded")
    write_random_weights(root / "weights.pt", model)
    write_subject(root / "data", 1, model, SCENES, 2)
    for scene in SCENES:
        boxes = {number: Box(95, 75, 90, 95) for number in range(2)}
        write_boxes(clip_path(root / "data", 1, scene).with_suffix(".boxes.csv"), boxes)
    done = measure(root, "data", "weights.pt", "disk")
    assert done.returncode == 0, done.stderr
    return root


@pytest.fixture(scope="module")
def kept(object_store: ObjectStore, home: Path) -> Iterator[str]:
    """The set and the weights in a bucket."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in object_store.environment(home / "cache").items():
            patch.setenv(name, value)
        address = object_store.new_bucket()
        upload(home / "data", f"{address}/data")
        put(f"{address}/weights.pt", (home / "weights.pt").read_bytes())
        yield address


def measure(home: Path, data: str, weights: str, out: str, *more: str):
    words = ["--data", data, "--checkpoint", weights, "--out", out, "--scenes", ",".join(SCENES)]
    return facebench("micc", *words, *more, home=home, path=home)


def same_items(home: Path, address: str) -> bool:
    return objects(address)["items.parquet"] == (home / "disk" / "items.parquet").read_bytes()


def test_a_run_in_the_store_is_the_run_on_disk(home: Path, kept: str) -> None:
    out = f"{kept}/runs/ours"
    done = measure(home, f"{kept}/data", f"{kept}/weights.pt", out)
    assert done.returncode == 0 and f"{out}: 2 scored, 0 not" in done.stdout, done.stderr
    found, disk = objects(out), home / "disk"
    names = {p.relative_to(disk).as_posix() for p in disk.rglob("*") if p.is_file()}
    assert found.keys() == names - {".lock"}
    equal = [name for name in found if name.startswith(("items", "meshes", "scans", "distances"))]
    assert len(equal) == 7 and all((disk / name).read_bytes() == found[name] for name in equal)
    record = json.loads(found["run.json"])
    assert record["data"] == record["arguments"]["data"] == f"{kept}/data"
    assert record["arguments"]["checkpoint"] == f"{kept}/weights.pt" and out in record["command"]
    # Nothing names the copy, and nothing holds a key.
    text = b"".join(found.values()) + (done.stdout + done.stderr).encode()
    assert STORE_MIRROR.encode() not in text and KEY.encode() not in text
    assert SECRET.encode() not in text
    compared = facebench("compare", "disk", out, home=home, path=home)
    assert compared.returncode == 0, compared.stderr
