"""Addresses of object stores, copies of what lies there, and folders published to one writer."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from object_store import KEY, SECRET, ObjectStore, objects, put
from small_micc import moving_face, write_video

from facebench.errors import FacebenchError
from facebench.recon.files import publishing, stores
from facebench.recon.files.contents import ABSENT, content_hashes, not_the_file
from facebench.recon.files.mirror import fetch, local_path
from facebench.recon.files.publishing import publish, watching
from facebench.recon.files.stores import (
    address_of,
    is_address,
    list_objects,
    mark_of,
    mirror_path,
    object_facts,
)
from facebench.recon.files.writing import MARK, lock_folder
from facebench.recon.video.decode import estimate_frames, read_chunks


@pytest.mark.parametrize("writing", [False, True])
@pytest.mark.parametrize("address", ["s3://bucket", "gs://b-1/a/c d.obj", "az://box/ä/é.parquet"])
def test_an_address_and_its_path_tell_each_other(address: str, writing: bool) -> None:
    assert address_of(mirror_path(address, writing)) == address
    assert address_of(mirror_path(f"{address}/", writing)) == address


@pytest.mark.parametrize("path", ["/tmp/a", "facebench-stores", "facebench-stores/in/s3", "s3:/b"])
def test_other_paths_have_no_address(path: str) -> None:
    assert address_of(Path(path)) == ""


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("http://host/a", "an address of 'http://' is not known"),
        ("s3://", "no address of an object store"),
        ("s3://b", "no address of an object store"),
        ("s3://bucket/a//b", "no address of an object store"),
        ("s3://bucket/../other", "no address of an object store"),
        ("s3://bucket/a\\b", "no address of an object store"),
        ("s3:/bucket/a", "has two slashes"),
        (f"S3:/{KEY}:{SECRET}@bucket/a", "has two slashes"),
        (f"s3://{KEY}:{SECRET}@bucket/a", "holds a user, a key or a query"),
        (f"s3://{KEY}:a/{SECRET}@bucket/a", "holds a user, a key or a query"),
        (f"s3://bucket/a?X-Amz-Signature={SECRET}", "holds a user, a key or a query"),
    ],
)
def test_a_wrong_form_is_a_line_without_the_key(address: str, said: str) -> None:
    assert is_address(address)
    with pytest.raises(FacebenchError, match=said.replace("?", r"\?")) as error:
        mirror_path(address)
    assert SECRET not in str(error.value) and error.value.hint


def test_messages_name_the_address_and_not_the_copy() -> None:
    path = mirror_path("s3://bucket/runs/ours", writing=True)
    assert str(FacebenchError(f"{path / 'run.json'} is damaged", f"see {path}")) == (
        "s3://bucket/runs/ours/run.json is damaged: see s3://bucket/runs/ours"
    )


def test_a_folder_becomes_what_the_store_has(bucket: str) -> None:
    for name, content in {"a.txt": b"1", "in/b.txt": b"2", "in/big": bytes(2**20 + 1)}.items():
        put(f"{bucket}/set/{name}", content)
    put(f"{bucket}/settled", b"of another name")
    folder = local_path(f"{bucket}/set")
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert names == {"a.txt", "in/b.txt", "in/big"}
    assert (folder / "in/b.txt").read_bytes() == b"2"
    # In its place is a line that no reader of any format takes for the content.
    assert not_the_file((folder / "in/big").read_bytes()) is not None
    assert (folder / "in/big").stat().st_size < 100 and fetch(
        folder / "in/big"
    ).stat().st_size > 1e6
    before = (folder / "a.txt").stat()
    put(f"{bucket}/set/in/b.txt", b"3")
    stores.ask(folder, lambda: publishing.delete_object(folder / "in/big"))
    fetch(folder)
    assert (folder / "in/b.txt").read_bytes() == b"3" and not (folder / "in/big").exists()
    assert (folder / "a.txt").stat() == before, "what is current is not fetched again"


def test_a_listing_without_quotes_tells_the_same_e_tag(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(f"{bucket}/a/b", b"1")
    asked = object_facts(mirror_path(f"{bucket}/a/b"))
    assert asked is not None

    def listing(*_: object, **__: object) -> list[list[dict[str, object]]]:
        # As Azure's are.
        return [[{**asked, "e_tag": asked["e_tag"].strip('"')}]]

    monkeypatch.setattr("obstore.list", listing)
    assert mark_of(list_objects(mirror_path(f"{bucket}/a"))["b"]) == mark_of(asked)


def test_what_is_not_there_has_no_path(bucket: str) -> None:
    assert not local_path(f"{bucket}/nothing").exists()
    with pytest.raises(FacebenchError, match="s3://no-such-bucket: there is no such bucket: make"):
        local_path("s3://no-such-bucket/data")


def test_missing_credentials_are_a_line(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(FacebenchError, match="credentials are not complete: set AWS_ACCESS_KEY_ID"):
        local_path(f"{bucket}/data")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("ExpiredToken", r"refuses the credentials \(403 Forbidden, Expired"),
        ("RequestTimeTooSkewed", "refuses the time of this machine: start NTP"),
    ],
)
def test_refusals_that_no_waiting_mends_are_a_line(bucket: str, code: str, said: str) -> None:
    told = f"Generic S3 error: status code: 403 Forbidden: <Error><Code>{code}</Code>"

    def refuse() -> None:
        raise OSError(told)

    with pytest.raises(FacebenchError, match=said):
        stores.ask(mirror_path(bucket), refuse)


def test_hashes_are_of_the_content_and_follow_it(bucket: str, tmp_path: Path) -> None:
    content = np.random.default_rng(0).bytes(3 * 2**20)
    put(f"{bucket}/set/film.avi", content)
    (tmp_path / "film.avi").write_bytes(content)
    path, here = local_path(f"{bucket}/set") / "film.avi", tmp_path / "film.avi"
    hashes = content_hashes([path, here, path.with_name("no")])
    assert hashes[path] == hashes[here] and hashes[path.with_name("no")] == ABSENT
    put(f"{bucket}/set/film.avi", content[:-1])
    assert content_hashes([path])[path] != hashes[here], "the store tells, not the copy"


def test_many_objects_are_asked_about_by_a_listing(bucket: str) -> None:
    for number in range(stores._FEW + 1):
        put(f"{bucket}/set/{number}", bytes(number))
    paths = [mirror_path(f"{bucket}/set/{number}") for number in range(stores._FEW + 2)]
    states = stores.object_states(paths)
    assert [state and state[0] for state in states.values()] == [*range(stores._FEW + 1), None]
    assert states[paths[3]] == stores.object_states(paths[3:4])[paths[3]]


@pytest.mark.parametrize("suffix", [".avi", ".mov", ".mpg", ".mjpg"])
def test_videos_are_read_by_ranges_with_the_same_frames(
    suffix: str, bucket: str, tmp_path: Path
) -> None:
    here = write_video(tmp_path / f"film{suffix}", moving_face(40))
    put(f"{bucket}/film{suffix}", here.read_bytes())
    path = mirror_path(f"{bucket}/film{suffix}")
    assert estimate_frames(path) == estimate_frames(here)
    for mine, theirs in zip(read_chunks(path, "a"), read_chunks(here, "a"), strict=True):
        assert np.array_equal(mine.frames, theirs.frames) and mine.reason == theirs.reason == ""
    assert not path.exists(), "nothing of it is kept"


@pytest.mark.parametrize("suffix", [".avi", ".mpg"])
def test_a_video_that_changes_while_it_is_read_is_an_error_and_no_short_film(
    suffix: str, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "_BLOCK_BYTES", 2**15)
    # Longer than what is read ahead of the first chunk.
    film = write_video(tmp_path / f"film{suffix}", moving_face(120)).read_bytes()
    put(f"{bucket}/film", film)
    chunks = read_chunks(mirror_path(f"{bucket}/film"), "a")
    next(chunks)
    put(f"{bucket}/film", film[: len(film) // 2])
    with pytest.raises(FacebenchError, match="/film changed or went while it was read"):
        list(chunks)


def test_a_store_that_is_away_for_a_while_is_asked_again(
    bucket: str, object_store: ObjectStore, capsys: pytest.CaptureFixture[str]
) -> None:
    put(f"{bucket}/a", b"1")
    object_store.stop()
    threading.Timer(0.5, object_store.start).start()
    assert local_path(f"{bucket}/a").read_bytes() == b"1"
    said = capsys.readouterr().err
    assert said.count("the store does not answer (no connection); trying again") == 1


def test_a_store_that_stays_away_ends_in_a_line(
    bucket: str, object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "PATIENCE_SECONDS", 0.2)
    object_store.stop()
    try:
        with pytest.raises(FacebenchError, match=r"did not answer for .*same command continues"):
            local_path(f"{bucket}/a")
    finally:
        object_store.start()


def test_a_folder_is_published_and_goes_on_where_it_was(bucket: str) -> None:
    root = mirror_path(f"{bucket}/run", writing=True)
    with lock_folder(root, "run"):
        (root / "chunks").mkdir()
        (root / "chunks" / "0").write_text("first")
        (root / "run.json").write_text("begun")
        (root / ".trial").mkdir()
        (root / ".trial" / "log.csv").write_text("of this machine, for a moment")
        publish(root)
        assert objects(f"{bucket}/run")["run.json"] == b"begun"
        (root / "run.json").write_text("ended")
        (root / "chunks" / "0").unlink()
        (root / "chunks" / "1").write_text("second")
    kept = {MARK: b"run\n", "chunks/1": b"second", "run.json": b"ended"}
    assert objects(f"{bucket}/run") == kept
    # What the store has counts: of another machine's command, or of none any more.
    put(f"{bucket}/run/chunks/2", b"third")
    (root / "left over").write_text("of a killed command")
    with lock_folder(root, "run"):
        assert {p.name for p in root.rglob("*") if p.is_file()} >= {"1", "2", "run.json"}
        assert not (root / "left over").exists()
    assert objects(f"{bucket}/run") == kept | {"chunks/2": b"third"}


def test_a_folder_of_somebody_else_is_refused_before_it_is_fetched(bucket: str) -> None:
    put(f"{bucket}/photos/1.jpg", b"")
    root = mirror_path(f"{bucket}/photos", writing=True)
    with pytest.raises(FacebenchError, match=r"s3://.*/photos holds other files, such as 1.jpg"):
        lock_folder(root, "run").__enter__()
    assert objects(f"{bucket}/photos") == {"1.jpg": b""} and not (root / "1.jpg").exists()
    with lock_folder(mirror_path(f"{bucket}/mine", writing=True), "train"):
        pass
    assert objects(f"{bucket}/mine") == {MARK: b"train\n"}
    with pytest.raises(FacebenchError, match="holds what 'facebench train' wrote"):
        lock_folder(mirror_path(f"{bucket}/mine", writing=True), "run").__enter__()


def test_an_inner_folder_is_published_by_the_outer_one(bucket: str) -> None:
    root = mirror_path(f"{bucket}/table", writing=True)
    with lock_folder(root, "table1"), lock_folder(root / "ours", "run"):
        (root / "ours" / "run.json").write_text("1")
        publish(root / "ours", at_once=True)
        assert objects(f"{bucket}/table")["ours/run.json"] == b"1"


def test_a_folder_that_others_write_is_published_as_it_grows(bucket: str) -> None:
    root = mirror_path(f"{bucket}/training", writing=True)
    with lock_folder(root, "train"), watching(root, 0.05):
        (root / "checkpoint.pt").write_text("1")
        _until(lambda: "checkpoint.pt" in objects(f"{bucket}/training"))


def _until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_second_writer_is_refused_while_the_first_renews_its_lock(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "RENEW_SECONDS", 0.05)
    root = mirror_path(f"{bucket}/run", writing=True)
    lease = publishing._Lease(root / ".lock")
    with monkeypatch.context() as there:
        there.setattr(socket, "gethostname", lambda: "elsewhere")
        lease.acquire()
        _until(lambda: lease._count > 2)
    monkeypatch.setattr(socket, "gethostname", lambda: "here")
    with pytest.raises(FacebenchError, match=r"another command is writing to s3://.*/run: wait"):
        lock_folder(root, "run").__enter__()
    lease._over.set()
    monkeypatch.setattr(publishing, "LEASE_SECONDS", 0.1)
    with lock_folder(root, "run"):
        assert (root / MARK).is_file()
    lease._lost = False
    lease._renew_once()
    with pytest.raises(FacebenchError, match="another command is writing"):
        lease.check()


def test_the_lock_of_a_killed_process_of_this_machine_is_nobodys(bucket: str) -> None:
    killed = subprocess.Popen(["sleep", "60"])
    killed.kill()
    killed.wait()
    who = {"host": socket.gethostname(), "process": killed.pid, "token": "theirs"}
    put(f"{bucket}/run/.lock", json.dumps(who).encode())
    began = time.monotonic()
    with lock_folder(mirror_path(f"{bucket}/run", writing=True), "run"):
        assert time.monotonic() - began < publishing.LEASE_SECONDS / 2


def test_a_lock_that_nobody_renews_is_taken_over_after_the_lease(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "LEASE_SECONDS", 0.5)
    put(f"{bucket}/run/.lock", b'{"host": "elsewhere", "process": 1, "token": "theirs"}')
    began = time.monotonic()
    with lock_folder(mirror_path(f"{bucket}/run", writing=True), "run"):
        assert time.monotonic() - began >= 0.5


def test_who_lost_the_folder_writes_nothing_more(bucket: str) -> None:
    root = mirror_path(f"{bucket}/run", writing=True)
    with pytest.raises(FacebenchError, match="another command is writing to s3://"):  # noqa: SIM117
        with lock_folder(root, "run"):
            (root / "run.json").write_text("mine")
            publish(root)
            put(f"{bucket}/run/run.json", b"theirs")
            (root / "run.json").write_text("mine again")
    assert objects(f"{bucket}/run")["run.json"] == b"theirs"


def test_a_store_without_conditions_is_refused_before_any_work(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import obstore

    plain = obstore.put
    monkeypatch.setattr(obstore, "put", lambda *given, mode, **other: plain(*given, **other))
    root = mirror_path(f"{bucket}/run", writing=True)
    with pytest.raises(FacebenchError, match="does not write under a condition"):
        lock_folder(root, "run").__enter__()
    assert objects(f"{bucket}/run") == {}
