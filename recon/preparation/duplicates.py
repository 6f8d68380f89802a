"""Which of many faces look alike, and which of those stays."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from .perceptual_hash import HASH_BITS

Hashes = NDArray[np.uint64]
Indices = NDArray[np.intp]


def near_pairs(hashes: Hashes, radius: int) -> tuple[Indices, Indices]:
    """All pairs of distinct hashes (N,) that differ in at most `radius` bits, each once.

    Hashes that differ in r bits agree in one of r + 1 bands of bits (Norouzi et al. 2012,
    "Multi-index hashing"), so only those that share a band are compared.
    """
    found = [_pairs_of_band(hashes, shift, bits, radius) for shift, bits in _bands(radius)]
    pairs = np.unique(np.concatenate(found), axis=0)
    return pairs[:, 0], pairs[:, 1]


def replaced_by(hashes: Hashes, radius: int) -> dict[int, int]:
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
    distinct, first, which = np.unique(hashes, return_index=True, return_inverse=True)
    gone = {int(i): int(first[w]) for i, w in enumerate(which) if first[w] != i}
    a, b = near_pairs(distinct, radius)
    better = np.minimum(first[a], first[b])
    worse = np.maximum(first[a], first[b])
    neighbours: defaultdict[int, list[int]] = defaultdict(list)
    for low, high in zip(better.tolist(), worse.tolist(), strict=True):
        neighbours[high].append(low)
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
    for step in range(1, len(hashes)):
        same = np.flatnonzero(band[step:] == band[:-step])
        if len(same) == 0:
            break
        near = np.bitwise_count(ordered[same] ^ ordered[same + step]) <= radius
        found.append(np.stack([order[same[near]], order[same[near] + step]], axis=1))
    return np.sort(np.concatenate(found), axis=1)
