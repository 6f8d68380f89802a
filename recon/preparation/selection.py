"""Which of the good faces become training faces: one of each that look alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .quality import grey_values
from .rows import Reason

SIDE, BITS_A_SIDE = 32, 8
HASH_BITS = BITS_A_SIDE**2

KEEP_ALL = -1
"""A radius that keeps faces that look alike."""

Hashes = NDArray[np.uint64]
Indices = NDArray[np.intp]
Row = Mapping[str, Any]

# Rows 1 to 8 of the discrete cosine transform (DCT-II) of 32 samples.
_WAVE, _PLACE = np.mgrid[1 : BITS_A_SIDE + 1, 0:SIDE]
_COSINES: NDArray[np.float64] = np.cos(np.pi * _WAVE * (2 * _PLACE + 1) / (2 * SIDE))


def perceptual_hash(image: NDArray[np.uint8]) -> int:
    """64 bits of an RGB image (S, S, 3): which of its low cosine frequencies exceed their median.

    The frequencies 1 to 8 along each axis of the 32 px grey image (Zauner 2010, "Implementation
    and benchmarking of perceptual image hash functions", DCT hash). Brightness and contrast do not
    change it.
    """
    waves = _COSINES @ grey_values(image, SIDE) @ _COSINES.T
    bits = (waves > np.median(waves)).ravel()
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def near_pairs(hashes: Hashes, radius: int) -> tuple[Indices, Indices]:
    """All pairs of distinct hashes (N,) that differ in at most `radius` bits, each once.

    Hashes that differ in r bits agree in one of r + 1 bands of bits (Norouzi et al. 2012,
    "Multi-index hashing"), so only those that share a band are compared.
    """
    found = [_pairs_of_band(hashes, shift, bits, radius) for shift, bits in _bands(radius)]
    pairs = np.unique(np.concatenate(found), axis=0)
    return pairs[:, 0], pairs[:, 1]


def duplicates_of(hashes: Hashes, radius: int) -> dict[int, int]:
    """For each face that goes, the face that stays for it; hashes (N,), the best face first.

    From the best on, a face stays unless one that stays is within the radius. Chains therefore
    do not collapse: two faces that stay are never within the radius, and one that goes always is
    of the one named (the best of those near it). Nothing but the order decides.

    Args:
        hashes: (N,), sorted by preference.
        radius: bits; negative keeps all.
    """
    if radius < 0 or len(hashes) == 0:
        return {}
    # Equal hashes first: among ten thousand copies there are fifty million pairs.
    distinct, first, which = np.unique(hashes, return_index=True, return_inverse=True)
    gone = {int(i): int(first[w]) for i, w in enumerate(which) if first[w] != i}
    a, b = near_pairs(distinct, radius)
    better = np.minimum(first[a], first[b])
    worse = np.maximum(first[a], first[b])
    neighbours: defaultdict[int, list[int]] = defaultdict(list)
    for low, high in zip(better.tolist(), worse.tolist(), strict=True):
        neighbours[high].append(low)
    # From the best on: whether a face stays depends on better ones alone.
    for face in sorted(neighbours):
        keepers = [other for other in neighbours[face] if other not in gone]
        if keepers:
            gone[face] = min(keepers)
    return {face: _keeper(face, gone) for face in gone}


def distance(a: int, b: int) -> int:
    """Bits in which two hashes differ."""
    return (a ^ b).bit_count()


def _keeper(face: int, gone: dict[int, int]) -> int:
    """An equal hash may itself have gone for a near one."""
    keeper = gone[face]
    return gone.get(keeper, keeper)


def _bands(radius: int) -> list[tuple[int, int]]:
    """First bit and number of bits of radius + 1 bands of nearly equal width."""
    edges = np.linspace(0, HASH_BITS, min(radius + 1, HASH_BITS) + 1).round().astype(int)
    return [(int(low), int(high - low)) for low, high in pairwise(edges)]


def _pairs_of_band(hashes: Hashes, shift: int, bits: int, radius: int) -> Indices:
    """Near pairs (M, 2), smaller index first, among hashes that agree in a band."""
    every_bit = np.uint64((1 << bits) - 1)
    band = (hashes >> np.uint64(shift)) & every_bit
    order = np.argsort(band, kind="stable")
    band, ordered = band[order], hashes[order]
    found = [np.empty((0, 2), dtype=np.intp)]
    # Sorted, equal bands stand together: each with its neighbour `step` places on, until none is.
    for step in range(1, len(hashes)):
        same = np.flatnonzero(band[step:] == band[:-step])
        if len(same) == 0:
            break
        near = np.bitwise_count(ordered[same] ^ ordered[same + step]) <= radius
        found.append(np.stack([order[same[near]], order[same[near] + step]], axis=1))
    return np.sort(np.concatenate(found), axis=1)


def select(index: Sequence[Row], radius: int) -> tuple[list[Row], list[Row]]:
    """Leave out copies of a file and faces that look alike: rows kept, and rows dropped.

    Both stay in their order; `reason` and `detail` of a dropped one say why.

    Of photographs with the same bytes the first by name stays. Of faces whose perceptual hashes
    differ in at most `radius` bits the one from the larger face stays, then the sharper, then the
    first; see `duplicates_of`.

    Args:
        index: rows in the order of the photographs, `reason` empty for good faces.
        radius: bits, or `KEEP_ALL`.
    """
    reasons = _same_files(index)
    faces = [place for place, row in enumerate(index) if not row["reason"] and place not in reasons]
    reasons |= _near_duplicates(index, faces, radius)
    kept = [row for place, row in enumerate(index) if not row["reason"] and place not in reasons]
    dropped: list[Row] = [
        {**row, **reasons.get(place, {})}
        for place, row in enumerate(index)
        if row["reason"] or place in reasons
    ]
    return kept, dropped


def names(row: Row, folders_are_subjects: bool) -> dict[str, str]:
    """Id and subject of a face.

    Args:
        row: of an index.
        folders_are_subjects: the folder above a photograph names its person; otherwise each
            photograph is of a person of its own.
    """
    source = str(row["source"])
    subject = str(PurePosixPath(source).parent) if folders_are_subjects else source
    return {"id": f"{source}#{row['face']}", "subject": subject}


def _same_files(index: Sequence[Row]) -> dict[int, dict[str, str]]:
    first: dict[str, str] = {}
    for row in index:
        if row["sha256"]:
            first.setdefault(row["sha256"], row["source"])
    return {
        place: {"reason": str(Reason.SAME_FILE), "detail": first[row["sha256"]]}
        for place, row in enumerate(index)
        if row["sha256"] and first[row["sha256"]] != row["source"]
    }


def _near_duplicates(
    index: Sequence[Row], faces: Sequence[int], radius: int
) -> dict[int, dict[str, str]]:
    # The sort is stable: of equal faces the first by name stays.
    best = sorted(faces, key=lambda face: (-index[face]["face_px"], -index[face]["sharpness"]))
    hashes = np.array([index[face]["hash"] for face in best], dtype=np.uint64)
    return {
        best[gone]: _near(index[best[gone]], index[best[keeper]])
        for gone, keeper in duplicates_of(hashes, radius).items()
    }


def _near(gone: Row, keeper: Row) -> dict[str, str]:
    bits = distance(gone["hash"], keeper["hash"])
    detail = f"{bits} of 64 bits from {keeper['source']}#{keeper['face']}"
    return {"reason": str(Reason.NEAR_DUPLICATE), "detail": detail}
