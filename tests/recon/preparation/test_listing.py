"""Photographs in folders and archives, each with its label files."""

from __future__ import annotations

import os
import pickle
import tarfile
import zipfile
from pathlib import Path

import pytest

from facebench.errors import FacebenchError
from facebench.recon.preparation.listing import Listing, _zip_archive, list_photographs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "photos"
    for name, content in {
        "b/two.PNG": b"two",
        "a.jpg": b"one",
        "a.pts": b"points",
        "a_mask.png": b"mask",
        "b/lonely_mask.png": b"a photograph of that name",
        "b/notes.md": b"no photograph",
        ".hidden/x.jpg": b"x",
        "b/._a.jpg": b"x",
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def sources(listing: Listing) -> list[str]:
    return [item.source for item in listing.photographs]


def archived(folder: Path, kind: str) -> Path:
    path = folder.parent / f"photos.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            for item in sorted(folder.rglob("*.*")):
                file.write(item, item.relative_to(folder))
    else:
        with tarfile.open(path, f"w:{kind.partition('.')[2]}") as tar:
            tar.add(folder, ".")
    return path


def test_photographs_of_a_folder_with_their_labels(folder: Path) -> None:
    listing = list_photographs([folder])
    assert sources(listing) == ["photos/a.jpg", "photos/b/lonely_mask.png", "photos/b/two.PNG"]
    first, lonely, second = listing.photographs
    assert first.landmarks and first.mask and not lonely.mask and not second.landmarks
    assert first.file.read() == b"one" and first.mask.read() == b"mask"
    assert pickle.loads(pickle.dumps(listing.photographs)) == listing.photographs


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_archives_hold_the_same_without_being_unpacked(folder: Path, kind: str) -> None:
    path = archived(folder, kind)
    inside = list_photographs([path])
    expected = list_photographs([folder])
    assert sources(inside) == [s.replace("photos/", f"photos.{kind}/") for s in sources(expected)]
    for item, other in zip(inside.photographs, expected.photographs, strict=True):
        assert item.file.read() == other.file.read()
        for labels, others in ((item.landmarks, other.landmarks), (item.mask, other.mask)):
            assert (labels and labels.read()) == (others and others.read())
    assert {item.name for item in path.parent.iterdir()} == {"photos", path.name}


def test_an_archive_is_opened_once_and_anew_when_it_was_replaced(folder: Path) -> None:
    path = archived(folder, "zip")
    first, *others = (item.file for item in list_photographs([path]).photographs)
    assert first.read() == b"one"
    opened = _zip_archive.cache_info().misses
    assert [other.read() for other in others][-1] == b"two"
    assert _zip_archive.cache_info().misses == opened
    (folder / "a.jpg").write_bytes(b"new")
    os.utime(archived(folder, "zip"), ns=(1, 1))
    assert first.read() == b"new"


def test_archives_inside_folders_are_opened_and_bad_ones_told(folder: Path) -> None:
    archived(folder, "tar").rename(folder / "c.tar")
    (folder / "bad.zip").write_bytes(b"no archive")
    (folder / "bad.tar").write_bytes(b"no archive" * 100)
    archived(folder, "tar.gz").rename(folder / "d.tar.gz")
    listing = list_photographs([folder])
    assert "photos/c.tar/a.jpg" in sources(listing)
    assert set(listing.unreadable) == {"photos/bad.zip", "photos/bad.tar", "photos/d.tar.gz"}
    assert "unpack it" in listing.unreadable["photos/d.tar.gz"].detail


def test_a_stamp_changes_with_picture_or_labels(folder: Path) -> None:
    before = list_photographs([folder])
    (folder / "a.pts").write_bytes(b"other points")
    after = list_photographs([folder])
    pairs = zip(before.photographs, after.photographs, strict=True)
    changed = [a.stamp != b.stamp for a, b in pairs]
    assert changed == [True, False, False]
    assert before.digest != after.digest
    assert before.first(1).digest != before.digest


@pytest.mark.parametrize("kind", ["folder", "tar", "zip"])
def test_a_photograph_of_another_with_its_size_and_time_is_another(folder: Path, kind: str) -> None:
    place = folder / "a.jpg"
    given = folder if kind == "folder" else archived(folder, kind)
    before = list_photographs([given])
    time = place.stat().st_mtime_ns
    place.write_bytes(b"two")
    os.utime(place, ns=(time, time))
    if kind != "folder":
        time = given.stat().st_mtime_ns
        os.utime(archived(folder, kind), ns=(time, time))
    assert list_photographs([given]).photographs[0].stamp != before.photographs[0].stamp
    # And the same bytes with another time are the same.
    place.write_bytes(b"one")
    if kind == "folder":
        assert list_photographs([given]).digest == before.digest


def test_a_single_photograph_finds_its_labels(folder: Path) -> None:
    listing = list_photographs([folder / "a.jpg"])
    assert sources(listing) == ["a.jpg"] and listing.photographs[0].landmarks


def test_a_link_keeps_its_name_and_labels(folder: Path, tmp_path: Path) -> None:
    """As stores of data keep files: the name leads to a blob without an ending."""
    (folder / "a.jpg").rename(tmp_path / "blob")
    (folder / "a.jpg").symlink_to(tmp_path / "blob")
    (alone,) = list_photographs([folder / "a.jpg"]).photographs
    assert alone.source == "a.jpg" and alone.landmarks and alone.file.read() == b"one"


def test_a_name_that_is_no_utf8_is_told_in_one_that_is(tmp_path: Path) -> None:
    for ending in ("jpg", "pts"):
        (tmp_path / os.fsdecode(f"caf\xe9.{ending}".encode("latin-1"))).write_bytes(b"one")
    (listed,) = list_photographs([tmp_path]).photographs
    assert listed.source == rf"{tmp_path.name}/caf\udce9.jpg" and listed.landmarks
    listed.source.encode("utf-8")
    assert listed.file.read() == b"one"


def test_a_link_that_leads_nowhere_is_listed(folder: Path) -> None:
    (folder / "gone.jpg").symlink_to("/nowhere.jpg")
    (gone,) = (x for x in list_photographs([folder]).photographs if "gone" in x.source)
    with pytest.raises(OSError, match="No such file"):
        gone.file.read()


def test_labels_are_found_whatever_wrote_their_names(tmp_path: Path) -> None:
    for name in ("Zo\u00eb.jpg", "Zoe\u0308.pts", "b.png", "b.PTS", "b_mask.PNG", "c.jpg"):
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "c.landmarks.csv").write_bytes(b"x,y")
    listing = list_photographs([tmp_path])
    labels = {one.source.rpartition("/")[2]: one for one in listing.photographs}
    assert set(labels) == {"Zo\u00eb.jpg", "b.png", "c.jpg"}
    assert all(one.landmarks for one in labels.values()) and labels["b.png"].mask
    (alone,) = list_photographs([tmp_path / "b.png"]).photographs
    assert alone.landmarks and alone.mask


def test_inputs_without_photographs_are_told(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(FacebenchError, match="no photographs in"):
        list_photographs([tmp_path / "empty"])
    with pytest.raises(FacebenchError, match="no such folder"):
        list_photographs([tmp_path / "nowhere"])
    other = tmp_path / "other" / "photos"
    other.mkdir(parents=True)
    with pytest.raises(FacebenchError, match="two of the inputs are called photos"):
        list_photographs([folder, other])
