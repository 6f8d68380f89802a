"""Tracks of faces: what is one person's, wherever the chunks of a film end."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from facebench.recon.face.crop import Box
from facebench.recon.face.tracks import (
    FIRST,
    FOUND,
    LAST,
    describe_others,
    find_cuts,
    large_changes,
    longest_track,
    segments_of,
)

Face = tuple[int, float, float, float]
"""Of a face: its frame, and where it lies: left, top, side."""
NOTHING = np.empty((0, 2))


def tracked(
    faces: list[Face], changes: NDArray[np.float64], chunk: int
) -> tuple[set[int], tuple[tuple[int, int, int], ...]]:
    """Frames of the person, and the others, of a film that is read in chunks of so many frames."""
    parts = []
    for start in range(0, max(face[0] for face in faces) + 1, chunk):
        mine = [face for face in faces if start <= face[0] < start + chunk]
        noted = changes[(changes[:, 0] >= start) & (changes[:, 0] < start + chunk)]
        boxes = [Box(left, top, side, side) for _, left, top, side in mine]
        parts.append(segments_of([face[0] for face in mine], boxes, noted))
    segments = np.concatenate(parts)
    own, others = longest_track(segments, changes)
    known = {face[0] for face in faces}
    frames = {
        frame
        for row in segments[own]
        for frame in range(int(row[FIRST]), int(row[LAST]) + 1)
        if frame in known
    }
    assert segments[:, FOUND].sum() == len(faces)
    return frames, others


def at(frames: range, left: float, side: float = 100.0) -> list[Face]:
    return [(frame, left, 50.0, side) for frame in frames]


def test_a_track_ends_at_a_cut() -> None:
    faces = at(range(20), 100) + at(range(20, 50), 110)
    own, others = tracked(faces, np.array([[20.0, 60.0]]), 32)
    assert own == set(range(20, 50)) and others == ((0, 19, 20),)


def test_a_flash_ends_no_track() -> None:
    own, others = tracked(at(range(30), 100), np.array([[10.0, 60.0], [11.0, 60.0]]), 32)
    assert own == set(range(30)) and others == ()


def test_a_change_of_size_ends_a_track() -> None:
    own, others = tracked(at(range(12), 100), np.array([[5.0, np.inf]]), 32)
    assert own == set(range(5, 12)) and others == ((0, 4, 5),)


def test_what_is_found_elsewhere_for_a_moment_parts_nobody_from_himself() -> None:
    faces = at(range(10), 100) + at(range(10, 12), 400) + at(range(12, 30), 105)
    own, others = tracked(faces, NOTHING, 32)
    assert own == set(range(30)) - {10, 11} and others == ((10, 11, 2),)


def test_a_face_that_jumps_for_good_is_another() -> None:
    own, others = tracked(at(range(10), 100) + at(range(10, 15), 400), NOTHING, 32)
    assert own == set(range(10)) and others == ((10, 14, 5),)


def test_a_face_that_grows_at_once_is_another() -> None:
    own, _ = tracked(at(range(10), 100) + at(range(10, 15), 60, 180), NOTHING, 32)
    assert own == set(range(10))


def test_a_face_that_was_hidden_may_have_moved() -> None:
    own, others = tracked(at(range(10), 100) + at(range(14, 20), 220), NOTHING, 32)
    assert len(own) == 16 and others == ()


def test_two_who_take_turns_are_two() -> None:
    faces = [(n, 100.0 if n % 3 else 500.0, 50.0, 80.0) for n in range(30)]
    own, others = tracked(faces, NOTHING, 32)
    assert own == {n for n in range(30) if n % 3} and others == ((0, 27, 10),)


@pytest.mark.parametrize("seed", range(20))
def test_where_chunks_end_makes_no_difference(seed: int) -> None:
    rng = np.random.default_rng(seed)
    frames = np.flatnonzero(rng.random(60) < 0.8)
    lefts = rng.choice([100.0, 130.0, 400.0, 700.0], 60, p=[0.5, 0.3, 0.1, 0.1])
    sides = rng.choice([80.0, 90.0, 200.0], 60, p=[0.6, 0.3, 0.1])
    faces = [(int(n), float(lefts[n]), 50.0, float(sides[n])) for n in frames]
    cuts = np.flatnonzero(rng.random(60) < 0.05)
    changes = np.column_stack([cuts, rng.uniform(10, 80, len(cuts))])
    whole = tracked(faces, changes, 1000)
    assert all(tracked(faces, changes, chunk) == whole for chunk in (1, 2, 7, 32))


def test_of_tracks_of_one_length_the_first_counts() -> None:
    own, _ = tracked(at(range(5), 100) + at(range(5, 10), 400), NOTHING, 4)
    assert own == set(range(5))


def test_only_large_changes_are_kept_and_cuts_are_the_same() -> None:
    rng = np.random.default_rng(0)
    grey = np.cumsum(rng.choice([0, 4, 15, 60], 40, p=[0.5, 0.3, 0.1, 0.1])) % 250
    frames = np.broadcast_to(grey[:, None, None, None], (40, 32, 32, 3)).astype(np.uint8)
    every = np.abs(np.diff(grey.astype(float), prepend=float(grey[0])))
    parts = [
        large_changes(frames[i : i + 9], i, frames[i - 1] if i else None) for i in range(0, 40, 9)
    ]
    noted = np.concatenate(parts)
    dense = np.zeros(41)
    dense[noted[:, 0].astype(int)] = noted[:, 1]
    assert find_cuts(dense).tolist() == find_cuts(every).tolist() and len(noted) < 20


def test_a_frame_of_another_size_differs_beyond_measure() -> None:
    frames = np.zeros((2, 8, 8, 3), np.uint8)
    assert large_changes(frames, 5, np.zeros((8, 9, 3), np.uint8)).tolist() == [[5.0, np.inf]]


def test_others_are_listed_the_largest_first() -> None:
    others = ((9, 20, 11), (3, 5, 3), (30, 30, 1), (40, 40, 1))
    assert describe_others(others) == (
        "frames 9 to 20 (11 faces), frames 3 to 5 (3 faces), frame 30 (1 face) and 1 more"
    )
