"""A frame of the clips that went worst, read again from the dataset where it is at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from PIL import Image

from ...bench.datasets.interface import Clip
from ...bench.datasets.micc import MiccDataset
from ...errors import FacebenchError
from ..run.ledger import Ledger
from ..run.record import RunRecord
from .heat_maps import picture_address

FRAMES_IN = 8
"""The frame that is shown: the one so far into the first part of a clip that has a face."""
LONGEST_SIDE = 480

Key = tuple[str, str]
"""Subject and scene."""


def worst_frames(record: RunRecord, ledger: Ledger, subjects: Sequence[str]) -> dict[Key, str]:
    """Pictures as data addresses, by subject and scene; without those that cannot be had.

    Args:
        record: tells the dataset; nothing is shown when that has changed or is gone.
        ledger: tells where in a clip there are faces.
        subjects: whose clips.
    """
    wanted = [clip for clip in _clips(record) if clip.subject in subjects]
    starts = _first_chunks(ledger.table())
    pictures = {(c.subject, c.scene): _frame(c, starts[c.id]) for c in wanted if c.id in starts}
    return {key: picture for key, picture in pictures.items() if picture}


def _clips(record: RunRecord) -> tuple[Clip, ...]:
    """Of the run's dataset; none when it is not there as it was measured."""
    data = record.arguments.get("data")
    if record.dataset != MiccDataset.name or not data:
        return ()
    try:
        dataset = MiccDataset(Path(str(data)).absolute(), record.scenes, record.subjects)
        return dataset.clips if dataset.digest == record.dataset_digest else ()
    except (FacebenchError, OSError):
        return ()


def _first_chunks(chunks: pd.DataFrame) -> Mapping[str, tuple[int, int]]:
    """For each clip with a face, its first chunk that has one, and the frames before that."""
    before = chunks.groupby("clip")["frames"].cumsum() - chunks["frames"]
    seen = chunks.assign(before=before)[chunks["faces"] > 0].groupby("clip").first()
    rows = zip(seen["chunk"].astype(int), seen["before"].astype(int), strict=True)
    return dict(zip(seen.index.astype(str), rows, strict=True))


def _frame(clip: Clip, start: tuple[int, int]) -> str:
    from ...recon.video.decode import read_chunks  # loads the decoder, which few pages need

    number, before = start
    found = read_chunks(clip.path, clip.id, before + FRAMES_IN, range(number))
    frames = next((chunk.frames for chunk in found if len(chunk.frames)), None)
    if frames is None:
        return ""
    picture = Image.fromarray(frames[-1])
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    return picture_address(picture)
