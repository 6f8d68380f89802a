"""Work that is kept, and the selection made from it."""

from __future__ import annotations

from pathlib import Path

import pytest
from damaged_parquet import damage
from labelled_photographs import write_photograph

from facebench.errors import FacebenchError
from facebench.recon.preparation.candidates import PreparationSettings, find_faces
from facebench.recon.preparation.folder import (
    CHUNK,
    Part,
    WorkFolder,
    chunks,
    part_of,
    remaining_photographs,
)
from facebench.recon.preparation.labelling import label_faces
from facebench.recon.preparation.listing import Photograph, list_photographs
from facebench.recon.preparation.selection import names, select
from facebench.recon.vision.detect import CascadeDetector

SETTINGS = PreparationSettings(image_size=48)


def prepared(photographs: list[Photograph]) -> Part:
    faces = [find_faces(item, CascadeDetector(), SETTINGS) for item in photographs]
    return part_of(label_faces(faces, None, None, SETTINGS))


@pytest.fixture
def photographs(tmp_path: Path) -> list[Photograph]:
    for name, number in (("a", 0), ("b", 1), ("c", 0), ("d", 2)):
        write_photograph(tmp_path / "photos" / f"{name}.jpg", number)
    write_photograph(tmp_path / "photos" / "e.jpg", 2, quality=50)
    return list(list_photographs([tmp_path / "photos"]).photographs)


def test_the_order_of_arrival_does_not_matter(
    photographs: list[Photograph], tmp_path: Path
) -> None:
    parts = [prepared(photographs[:2]), prepared(photographs[2:4]), prepared(photographs[4:])]
    kept = []
    for number, order in enumerate(((0, 1, 2), (2, 1, 0))):
        work = WorkFolder(tmp_path / f"work{number}")
        for place in order:
            work.write(parts[place])
        chosen, dropped = select(work.index(photographs), radius=6)
        kept.append(list(work.read(chosen)))
        assert [row["reason"] for row in dropped] == ["same file as another", "near-duplicate"]
        assert dropped[0]["detail"] == "photos/a.jpg"
        assert dropped[1]["source"] in ("photos/d.jpg", "photos/e.jpg")
    assert kept[0] == kept[1] and len(kept[0]) == 3
    assert len(select(work.index(photographs), -1)[0]) == 4


def test_photographs_of_a_damaged_file_are_done_again(
    photographs: list[Photograph], tmp_path: Path
) -> None:
    """Only the pictures are damaged, which the index does not read."""
    work, part = WorkFolder(tmp_path / "work"), prepared(photographs)
    work.write(part)
    damage(work.folder / part.name, "image", 30)
    rows, _ = select(work.index(photographs), -1)
    with pytest.raises(FacebenchError, match="is damaged"):
        list(work.read(rows))
    assert remaining_photographs(photographs, work.index(photographs)) == photographs
    work.write(part)
    assert len(list(work.read(rows))) == len(rows)


def test_what_changed_is_done_again_and_counts_once(
    photographs: list[Photograph], tmp_path: Path
) -> None:
    work = WorkFolder(tmp_path / "work")
    work.write(prepared(photographs))
    assert remaining_photographs(photographs, work.index(photographs)) == []
    write_photograph(tmp_path / "photos" / "b.jpg", 4)
    now = list(list_photographs([tmp_path / "photos"]).photographs)
    again = remaining_photographs(now, work.index(now))
    assert [item.source for item in again] == ["photos/b.jpg"]
    work.write(prepared(again))
    index = work.index(now)
    assert [row["source"] for row in index] == [item.source for item in now]
    assert len(work.index(now[:2])) == 2


def test_another_plan_is_refused(tmp_path: Path) -> None:
    work = WorkFolder(tmp_path / "work")
    work.claim({"image_size": 224, "parser": "none"})
    work.claim({"image_size": 224, "parser": "none"})
    with pytest.raises(FacebenchError, match="begun with image_size 224, not 112"):
        work.claim({"image_size": 112, "parser": "none"})


def test_chunks_keep_to_folders_and_divide_the_rest_as_before() -> None:
    folders = {"x": 2 * CHUNK + 3, "y": 5}
    photographs = [
        Photograph(_stored(f"{folder}/{number:04d}.jpg"))
        for folder, count in folders.items()
        for number in range(count)
    ]
    whole = chunks(photographs)
    assert [len(chunk) for chunk in whole] == [CHUNK, CHUNK, 3, 5]
    for done in range(len(whole)):
        rest = [item for chunk in whole[:done] + whole[done + 1 :] for item in chunk]
        assert chunks(rest) == whole[:done] + whole[done + 1 :]


def test_folders_may_name_people() -> None:
    row = {"source": "lfw/Ada/Ada_1.jpg", "face": 0}
    assert names(row, folders_are_subjects=True) == {
        "id": "lfw/Ada/Ada_1.jpg#0",
        "subject": "lfw/Ada",
    }
    assert names(row, folders_are_subjects=False)["subject"] == "lfw/Ada/Ada_1.jpg"


def _stored(name: str) -> object:
    from facebench.recon.preparation.listing import Stored

    return Stored(name, name, 0, "")


def test_of_equal_photographs_the_one_with_good_labels_stays() -> None:
    sizes = {"face": 0, "face_px": 90.0, "sharpness": 50.0, "hash": 1}
    rows = [
        {"source": name, "sha256": "f00d", "reason": reason, "detail": "", **sizes}
        for name, reason in (("a.png", "unusable landmarks or mask file"), ("b.png", ""))
    ]
    kept, dropped = select(rows, -1)
    assert [row["source"] for row in kept] == ["b.png"]
    assert [row["source"] for row in dropped] == ["a.png"]
