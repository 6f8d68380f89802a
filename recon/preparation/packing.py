"""What goes from stage to stage, as text and bytes: a table's cell holds nothing else well."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..vision.crop import Box, Window
from .candidates import Candidate, PhotographFaces
from .listing import Photograph
from .patch import Patch
from .reasons import Reason, RejectedError
from .stored import Stored


def chunk_text(photographs: Sequence[Photograph]) -> str:
    """Where the photographs of a chunk are, as JSON."""
    return json.dumps([asdict(item) for item in photographs])


def chunk_of_text(text: str) -> list[Photograph]:
    """The photographs that `chunk_text` was given."""
    return [
        Photograph(**{name: file and Stored(**file) for name, file in item.items()})
        for item in json.loads(text)
    ]


_Arrays = dict[str, NDArray[Any]]


def packed(photographs: Sequence[PhotographFaces]) -> bytes:
    """Photographs with their faces as one NumPy archive, without pickled objects."""
    arrays: _Arrays = {}
    facts = [_photograph_facts(item, number, arrays) for number, item in enumerate(photographs)]
    buffer = io.BytesIO()
    text = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    np.savez(buffer, facts=text, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def unpacked(content: bytes) -> list[PhotographFaces]:
    """The photographs that `packed` was given."""
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        facts = json.loads(archive["facts"].tobytes())
        return [_photograph(item, number, archive) for number, item in enumerate(facts)]


def _photograph_facts(item: PhotographFaces, number: int, arrays: _Arrays) -> dict[str, Any]:
    for place, candidate in enumerate(item.candidates):
        parts = {
            "pixels": candidate.patch.pixels,
            "mask": candidate.patch.mask,
            "landmarks": candidate.landmarks,
        }
        arrays |= {_key(n, number, place): a for n, a in parts.items() if a is not None}
    return {
        "photograph": [item.source, item.stamp, item.sha256],
        "candidates": [_candidate_facts(candidate) for candidate in item.candidates],
        "rejected": [
            [face, _numbers(box), str(why.reason), why.detail] for face, box, why in item.rejected
        ],
    }


def _candidate_facts(candidate: Candidate) -> dict[str, Any]:
    return {
        "face": candidate.face,
        "box": _numbers(candidate.box),
        "window": list(vars(candidate.patch.window).values()),
        "photograph": candidate.patch.photograph,
    }


def _photograph(facts: dict[str, Any], number: int, arrays: Mapping[str, Any]) -> PhotographFaces:
    candidates = [
        _candidate(one, number, place, arrays) for place, one in enumerate(facts["candidates"])
    ]
    rejected = [
        (face, Box(*box) if box else None, RejectedError(Reason(reason), detail))
        for face, box, reason, detail in facts["rejected"]
    ]
    source, stamp, sha256 = facts["photograph"]
    return PhotographFaces(source, stamp, sha256, tuple(candidates), tuple(rejected))


def _candidate(
    facts: dict[str, Any], number: int, place: int, arrays: Mapping[str, Any]
) -> Candidate:
    height, width = facts["photograph"]
    patch = Patch(
        arrays[_key("pixels", number, place)],
        _optional(arrays, _key("mask", number, place)),
        Window(*facts["window"]),
        (height, width),
    )
    landmarks = _optional(arrays, _key("landmarks", number, place))
    return Candidate(facts["face"], patch, Box(*facts["box"]), landmarks)


def _key(name: str, photograph: int, candidate: int) -> str:
    return f"{name}-{photograph}-{candidate}"


def _optional(arrays: Mapping[str, Any], key: str) -> NDArray[Any] | None:
    return arrays.get(key)


def _numbers(box: Box | None) -> list[float] | None:
    return list(vars(box).values()) if box else None
