"""Ray Data gives the rows that a plain loop gives, whatever is wrong with the clips."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import ray
import ray.data
import torch
from ray.util.placement_group import placement_group, remove_placement_group
from small_micc import moving_face, write_random_weights, write_video

from facebench.bench.dataset.interface import Clip
from facebench.bench.method.clip_faces import (
    BROKEN,
    FAILED,
    OK,
    ChunkRow,
    describe_chunk,
    face_chunks,
)
from facebench.bench.method.interface import MethodOptions
from facebench.bench.method.registry import build_method
from facebench.distributed import cluster, frames
from facebench.distributed.cluster import total
from facebench.distributed.frames import ClipTask, FrameJob, describe_clips, describe_here
from facebench.recon.face.crop import Box, write_boxes
from facebench.recon.morphable.load import load_model

LIMIT = 70


@pytest.fixture(scope="module", autouse=True)
def _one_processor(ray_running: None) -> Iterator[None]:
    """Of the Ray that others have started, all but one processor is taken.

    It waited for ever: the worker took half of it, and the reader asked for a whole one.
    Several workers are `tests/cli/test_micc.py`'s.
    """
    taken = int(total("CPU")) - 1
    limits = ray.data.DataContext.get_current().execution_options
    kept = limits.exclude_resources
    with pytest.MonkeyPatch.context() as patched, ExitStack() as held:
        if taken:
            group = placement_group([{"CPU": taken}])
            held.callback(remove_placement_group, group)
            assert group.wait(60)
            held.callback(setattr, limits, "exclude_resources", kept)
            limits.exclude_resources = ray.data.ExecutionResources(cpu=taken)
        for module in (frames, cluster):
            patched.setattr(module, "total", lambda kind: 1.0 if kind == "CPU" else total(kind))
        yield


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> list[ClipTask]:
    """A whole clip, one of which a part is done, and clips with something wrong."""
    root = tmp_path_factory.mktemp("clips")
    # Of most clips the boxes are given: detection costs most and differs least.
    whole = write_video(root / "whole.avi", moving_face(75))
    half = root / "half.avi"
    half.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    empty = write_video(root / "empty.mpg", np.full((34, 240, 320, 3), 90, np.uint8))
    short = write_video(root / "short.avi", moving_face(6))
    known = root / "known.boxes.csv"
    write_boxes(known, dict.fromkeys(range(75), Box(95, 75, 90, 95)))
    junk = root / "junk.mov"
    junk.write_bytes(b"no video")
    boxes = root / "whole.boxes.csv"
    boxes.write_text("no boxes")
    return [
        ClipTask(Clip("whole/a", whole, known)),
        ClipTask(Clip("begun/a", whole, known), frozenset({0, 2})),
        ClipTask(Clip("half/a", half, known)),
        ClipTask(Clip("short/a", short)),
        ClipTask(Clip("empty/a", empty)),
        ClipTask(Clip("junk/a", junk)),
        ClipTask(Clip("boxed/a", whole, boxes)),
    ]


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> FrameJob:
    path = tmp_path_factory.mktemp("weights") / "weights.pt"
    options = MethodOptions(write_random_weights(path, load_model("embedded")))
    return FrameJob("ours", options, build_method("ours", options).crop_size, LIMIT, workers=None)


@pytest.fixture(scope="module")
def rows(tasks: list[ClipTask], job: FrameJob) -> dict[tuple[str, int], ChunkRow]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(frames, "CLIPS_AT_A_TIME", 5)  # two streams, one after the other
        patched.setattr(frames, "WORKERS_A_CHUNK", 0.5)  # two chunks a block
        found = list(describe_clips(tasks, job))
        assert list(describe_clips([], job)) == []
    assert len({(row.clip, row.chunk) for row in found}) == len(found)
    return {(row.clip, row.chunk): row for row in found}


def test_one_processor_is_enough(rows: dict[tuple[str, int], ChunkRow]) -> None:
    assert frames.one_actor_each() == 1
    assert sum(row.frames for key, row in rows.items() if key[0] == "whole/a") == LIMIT


def test_the_same_rows_as_a_plain_loop(
    rows: dict[tuple[str, int], ChunkRow], tasks: list[ClipTask], job: FrameJob
) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    method = build_method(job.method, job.options)
    clips = tasks[0].clip, tasks[3].clip
    expected = [
        describe_chunk(method, *chunk)
        for clip in clips
        for chunk in face_chunks(clip, job.crop_size, LIMIT)
    ]
    torch.set_num_threads(threads)
    assert [row.frames for row in expected] == [32, 32, 6, 6]
    for row in expected:
        found = rows[row.clip, row.chunk]
        assert (found.frames, found.faces, found.last) == (row.frames, row.faces, row.last)
        assert found.faces > 0.8 * found.frames and found.status == OK
        np.testing.assert_allclose(found.sum, row.sum, rtol=1e-5, atol=1e-5)
        assert np.abs(row.sum).max() > 0.1


def test_this_process_gives_what_workers_give(
    rows: dict[tuple[str, int], ChunkRow], tasks: list[ClipTask], job: FrameJob
) -> None:
    threads = torch.get_num_threads()
    found = {(row.clip, row.chunk): row for row in describe_here(tasks, job)}
    assert torch.get_num_threads() == threads and found.keys() == rows.keys()
    for key, row in found.items():
        theirs = rows[key]
        assert row.sum.tobytes() == theirs.sum.tobytes()
        assert (row.frames, row.faces, row.last, row.reason) == (
            *(theirs.frames, theirs.faces, theirs.last),
            theirs.reason,
        )


def test_done_chunks_are_not_described_again(rows: dict[tuple[str, int], ChunkRow]) -> None:
    assert [key for key in rows if key[0] == "begun/a"] == [("begun/a", 1)]
    assert rows["begun/a", 1].sum.tobytes() == rows["whole/a", 1].sum.tobytes()


def test_a_truncated_video_gives_what_was_read(rows: dict[tuple[str, int], ChunkRow]) -> None:
    first, last = rows["half/a", 0], rows["half/a", 1]
    assert first.sum.tobytes() == rows["whole/a", 0].sum.tobytes()
    assert last.last and last.status == BROKEN and "ends early" in last.reason
    assert 0 < last.frames < 32 and last.faces > 0


def test_a_clip_without_a_face(rows: dict[tuple[str, int], ChunkRow]) -> None:
    found = [rows["empty/a", 0], rows["empty/a", 1]]
    assert [(row.frames, row.faces, row.sum.size) for row in found] == [(32, 0, 0), (2, 0, 0)]


def test_an_unreadable_video_is_one_row(rows: dict[tuple[str, int], ChunkRow]) -> None:
    row = rows["junk/a", 0]
    assert (row.frames, row.last, row.status) == (0, True, BROKEN)
    assert "junk.mov cannot be read" in row.reason


def test_a_wrong_box_file_fails_its_clip_only(rows: dict[tuple[str, int], ChunkRow]) -> None:
    row = rows["boxed/a", 0]
    assert row.status == FAILED and "not a face box file" in row.reason


def test_a_node_without_the_weights_is_told(tasks: list[ClipTask], job: FrameJob) -> None:
    gone = replace(job, options=MethodOptions(Path("gone.pt")))
    said = frames._Describer(gone)({})["fault"]
    assert said.startswith("node ") and "gone.pt" in said


def test_a_node_with_other_code_reads_and_describes_nothing(
    tasks: list[ClipTask], job: FrameJob
) -> None:
    """Its numbers might be others, and nobody would see it."""
    other = replace(job, code="another")
    (read,) = frames._crop({"id": 0}, tuple(tasks), other)
    for row in (read, frames._Describer(job)(read), frames._Describer(other)({})):
        assert "facebench is another" in row["fault"] and "doctor --cluster" in row["hint"]
