"""Commands whose data, models and results are in an object store, against the same on disk."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from in_process import facebench
from labelled_photographs import write_photograph
from object_store import KEY, SECRET, ObjectStore, objects, put, upload
from small_micc import clip_path, write_random_weights, write_subject
from training_faces import SETTINGS, small_model

from facebench import run as facebench_run
from facebench.distributed import frames
from facebench.errors import STORE_MIRROR, FacebenchError
from facebench.recon.face.crop import Box, write_boxes
from facebench.recon.files import publishing
from facebench.recon.files.stores import mirror_path
from facebench.recon.morphable.load import load_model, save_npz
from facebench.recon.network.tensor_files import read_content

SCENES = ("cooperative", "indoor")
REFUSED = r"refuses the credentials \(403 Forbidden, \w+\): set AWS_ACCESS_KEY_ID"
COARSE = "points.longest_edge_mm=inf"
"""Faces as their files have them: half the time of a measurement."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A subject in two scenes, weights, and the run on this disk that all others must equal."""
    root = tmp_path_factory.mktemp("home")
    model = load_model("embedded")
    write_random_weights(root / "weights.pt", model)
    write_subject(root / "data", 1, model, SCENES, 2, labelled=True)
    for scene in SCENES:
        boxes = {number: Box(95, 75, 90, 95) for number in range(2)}
        write_boxes(clip_path(root / "data", 1, scene).with_suffix(".boxes.csv"), boxes)
    run(str(root), str(root / "disk"))
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


def run(place: str, out: str) -> None:
    """Measure what lies in a folder or bucket, in this process and without MLflow."""
    weights = f"{place}/weights.pt"
    data, coarse = f"{place}/data", [COARSE]
    facebench_run("micc", data, out, checkpoint=weights, scenes=[*SCENES], settings=coarse)


def test_a_run_in_the_store_is_the_run_on_disk(home: Path, kept: str) -> None:
    out = f"{kept}/runs/ours"
    words = ["--data", f"{kept}/data", "--checkpoint", f"{kept}/weights.pt", "--out", out]
    words += ["--scenes", ",".join(SCENES), "--set", COARSE]
    done = facebench("micc", *words, home=home, path=home)
    assert done.returncode == 0 and f"{out}: 2 scored, 0 not" in done.stdout, done.stderr
    found, disk = objects(out), home / "disk"
    names = {p.relative_to(disk).as_posix() for p in disk.rglob("*") if p.is_file()}
    assert found.keys() == {*names, "mlflow.json"} - {".lock"}
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


@pytest.mark.skipif("FACEBENCH_SLOW" not in os.environ, reason="ten seconds: FACEBENCH_SLOW=1")
def test_a_table_in_the_store_has_the_numbers_of_the_run_on_disk(home: Path, kept: str) -> None:
    out = f"{kept}/table"
    words = ["--data", f"{kept}/data", "--scenes", ",".join(SCENES), "--set", COARSE]
    words += ["--method", f"ours={kept}/weights.pt", "--method", "mean-face", "--out", out]
    # Each holds its own folder in the store while the table holds the one around them.
    words += ["--side-by-side", "2"]
    done = facebench("table1", *words, home=home, path=home)
    assert done.returncode == 0 and STORE_MIRROR not in done.stdout, done.stderr
    found = objects(out)
    assert found["ours/items.parquet"] == (home / "disk" / "items.parquet").read_bytes()
    assert {"table1.csv", "ours/run.json", "mean-face/report.html"} <= found.keys()
    text = b"".join(found.values()) + (done.stdout + done.stderr).encode()
    assert STORE_MIRROR.encode() not in text and SECRET.encode() not in text


class _KilledError(BaseException):
    """Stands for a signal that no code hears."""


def test_a_killed_run_goes_on_elsewhere_from_what_the_store_has(
    home: Path,
    kept: str,
    object_store: ObjectStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out, publish, calls = f"{kept}/runs/killed", publishing._Publication.publish, []

    def publish_twice(self: publishing._Publication) -> None:
        calls.append(1)
        if len(calls) > 2:
            raise _KilledError
        publish(self)

    with monkeypatch.context() as patch:
        patch.setattr(publishing._Publication, "publish", publish_twice)
        patch.setattr(publishing._Publication, "is_time", lambda self: True)
        # The lock of who is killed stays; that of a process of this number is taken over.
        patch.setattr(publishing._Lease, "release", lambda self: self._over.set())
        with pytest.raises(_KilledError):
            run(kept, out)
    found = objects(out)
    chunks = [name for name in found if name.startswith("chunks.parquet/")]
    assert len(chunks) == 2 and ".lock" in found and "items.parquet" not in found
    # The folder that it worked in is lost with its machine; and the store is away for a second.
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    read: list[object] = []
    monkeypatch.setattr(frames, "face_stream", lambda *task: read.append(task) or iter(()))
    monkeypatch.setattr(publishing._Publication, "publish", in_a_pause(object_store, publish))
    run(kept, out)
    assert not read, "its chunks were there"
    assert objects(out)["items.parquet"] == (home / "disk" / "items.parquet").read_bytes()
    assert "the store does not answer (no connection); trying again" in capsys.readouterr().err


def in_a_pause(store: ObjectStore, publish: Callable[..., None]) -> Callable[..., None]:
    """The same, the first time while the store is away."""
    stopped: list[bool] = []

    def call(self: object) -> None:
        if not stopped:
            stopped.append(True)
            store.stop()
            threading.Timer(1.0, store.start).start()
        publish(self)

    return call


def test_credentials_that_end_in_the_middle_are_a_line_and_what_was_done_is_kept(
    home: Path, kept: str, object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, publish, calls = f"{kept}/runs/expired", publishing._Publication.publish, []

    def publish_twice(self: publishing._Publication) -> None:
        calls.append(1)
        if len(calls) == 2:
            object_store.refuse_after(0)
        publish(self)

    with monkeypatch.context() as patch:
        patch.setattr(publishing._Publication, "publish", publish_twice)
        patch.setattr(publishing._Publication, "is_time", lambda self: True)
        try:
            with pytest.raises(FacebenchError, match=REFUSED):
                run(kept, out)
        finally:
            object_store.refuse_after(None)
    found = objects(out)
    assert sum(name.startswith("chunks.parquet/") for name in found) == 1
    # Its lock stayed, of a process that lives.
    monkeypatch.setattr(publishing, "LEASE_SECONDS", 0.1)
    run(kept, out)
    assert objects(out)["items.parquet"] == (home / "disk" / "items.parquet").read_bytes()


def test_refusals_come_before_any_work_and_are_a_line(home: Path, kept: str) -> None:
    def refused(said: str, **words: str) -> None:
        given = {"data": f"{kept}/data", "out": f"{kept}/runs/no"} | words
        options = [word for name, value in given.items() for word in (f"--{name}", value)]
        done = facebench("micc", "--method", "mean-face", *options, home=home, path=home)
        assert done.returncode == 2 and said in done.stderr and done.stderr.count("\n") == 1
        assert STORE_MIRROR not in done.stderr

    refused(f"{kept}/dato: no such folder", data=f"{kept}/dato")
    refused(
        "s3://no-such-bucket-at-all: there is no such bucket", out="s3://no-such-bucket-at-all/a"
    )
    refused(f"no checkpoint at {kept}/w.pt", checkpoint=f"{kept}/w.pt")
    refused("an address of 'http://' is not known", data="http://host/data")
    put(f"{kept}/theirs/photo.jpg", b"1")
    refused(f"{kept}/theirs holds other files, such as photo.jpg", out=f"{kept}/theirs")


def test_shards_are_made_and_trained_on_in_the_store(
    home: Path, kept: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        write_photograph(tmp_path / "photos" / f"{number}.jpg", number)
    upload(tmp_path / "photos", f"{kept}/photos")
    save_npz(small_model(), tmp_path / "model.npz")
    put(f"{kept}/model.npz", (tmp_path / "model.npz").read_bytes())

    def command(*words: str) -> None:
        done = facebench(*words, home=tmp_path, path=home)
        assert done.returncode == 0 and STORE_MIRROR not in done.stdout, done.stderr

    def train(place: str, steps: int) -> None:
        settings = [f"--set={one}" for one in SETTINGS if "steps=" not in one]
        words = [
            "--data",
            f"{place}/shards",
            "--model",
            f"{place}/model.npz",
            "--steps",
            str(steps),
        ]
        words += ["--recipe", "ours-embedded", "--out", f"{place}/training"]
        words += ["--steps", str(steps)]
        command("train", *words, *settings)

    for place in (".", kept):
        networks = ("--landmarks", "none", "--parser", "none", "--image-size", "64")
        command("prepare", f"{place}/photos", "--out", f"{place}/shards", *networks)
    made = next((tmp_path / "shards").glob("faces-*.parquet"))
    assert objects(f"{kept}/shards")[made.name] == made.read_bytes()
    train(".", 2)
    train(kept, 1)
    # Goes on elsewhere, from the checkpoint that the store has.
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    train(kept, 2)
    found = objects(f"{kept}/training")
    assert "fits.png" in found and not any("ray" in name.split("/")[0] for name in found)
    # Ray's own notes are gone from this machine too.
    training = mirror_path(f"{kept}/training", writing=True)
    assert training.is_dir() and not (training / ".ray").exists()
    (tmp_path / "stored.pt").write_bytes(found["weights.pt"])
    here, stored = (read_content(tmp_path / p) for p in ("training/weights.pt", "stored.pt"))
    assert here["steps"] == stored["steps"] == 2
    for name, values in here["weights"].items():
        assert torch.equal(values, stored["weights"][name]), name
