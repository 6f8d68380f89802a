"""Which framed faces are worth training on: good landmarks, size and light; no two alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..face.crop import Box, box_overlap
from .candidates import PreparationSettings
from .patch import HASH_BITS, Framed
from .rows import Reason, RejectedError

LEAST_OVERLAP = 0.2
"""Of the landmarks' box with the detector's, intersection over union: less is another face."""

Points = NDArray[np.floating]

Hashes = NDArray[np.uint64]
Indices = NDArray[np.intp]
Row = Mapping[str, Any]


def check_light_and_detail(face: Framed, limits: PreparationSettings) -> None:
    """Refuse a face that is too small, too dark, over-exposed or blurred, in this order.

    Raises:
        RejectedError: with what was measured.
    """
    if face.face_px < limits.face_px:
        raise RejectedError(Reason.TOO_SMALL, f"{face.face_px:.0f} px, not {limits.face_px:g}")
    if face.grey < limits.darkest:
        raise RejectedError(Reason.TOO_DARK, f"median grey {face.grey:.0f} of 255")
    if face.white > limits.lost:
        raise RejectedError(Reason.OVER_EXPOSED, f"{face.white:.0%} of the face is white")
    if face.sharpness < limits.sharpness:
        raise RejectedError(Reason.BLURRED, f"sharpness {face.sharpness:.1f}")


def check_uncut(points: NDArray[np.floating], size: tuple[int, int], share: float) -> None:
    """Refuse a face whose landmarks reach beyond the photograph.

    Args:
        points: (68, 2) px of the photograph, integers at pixel centres.
        size: height and width of the photograph in px.
        share: of the longer side of the landmarks' box that they may reach beyond.

    Raises:
        RejectedError: with how many lie outside.
    """
    # In shares of the face: a pixel at the ear of a small face is worth more.
    slack = share * float(np.ptp(points, axis=0).max())
    # Centres of pixels: the last of W lies at W - 1.
    last = np.array([size[1] - 1, size[0] - 1])
    beyond = ((points < -slack) | (points > last + slack)).any(axis=1)
    if beyond.any():
        raise RejectedError(Reason.CUT, f"{beyond.sum()} of {len(points)} landmarks are outside")


def fit_affine_camera(points: Points, reference: Points) -> tuple[float, float, float]:
    """Least squares over the eight numbers of an affine camera (Hartley & Zisserman, ch. 6.3).

    Pose of any size is explained; expression and identity remain in the misfit.

    Args:
        points: (68, 2) px, x right and y down.
        reference: (68, 3) mm of a mean face that looks along +z, y up, x to its left.

    Returns:
        Misfit: root mean square distance over the longer side of the landmarks' box. Frontness: z
        of the face's forward direction, 1 towards the viewer, -1 away: negative where left and
        right are exchanged. Uprightness: y of its upward direction, 1 upright, -1 on its head.
    """
    # y up as in the reference, or every face would be found mirrored.
    target = (points - points.mean(axis=0)) * [1.0, -1.0]
    centred = reference - reference.mean(axis=0)
    camera, *_ = np.linalg.lstsq(centred, target, rcond=None)
    residual = centred @ camera - target
    size = max(float(np.ptp(points, axis=0).max()), 1e-9)
    # Rows of the camera: where right and up of the picture lie in the face's space.
    right, up = (axis / max(float(np.linalg.norm(axis)), 1e-12) for axis in camera.T)
    misfit = float(np.sqrt((residual**2).sum(axis=1).mean())) / size
    # Right times up is forward; exchanged sides turn it round.
    return misfit, float(np.cross(right, up)[2]), float(up[1])


def check_landmarks(points: Points, reference: Points, misfit: float) -> None:
    """Refuse points that no face in front of a camera can have.

    Raises:
        RejectedError: not finite, in one place, mirrored, upside down, or far from every view of
            a face.
    """
    if not np.isfinite(points).all():
        raise RejectedError(Reason.IMPLAUSIBLE, "not finite")
    if np.ptp(points, axis=0).max() < 1.0:
        raise RejectedError(Reason.IMPLAUSIBLE, "all in one place")
    off, frontness, uprightness = fit_affine_camera(points, reference)
    # Before the directions, which mean nothing where no camera explains the points.
    if off > misfit:
        raise RejectedError(Reason.IMPLAUSIBLE, f"{off:.0%} of their extent off any view")
    if frontness < 0.0:
        raise RejectedError(Reason.IMPLAUSIBLE, "left and right are exchanged")
    if uprightness < 0.0:
        raise RejectedError(Reason.IMPLAUSIBLE, "upside down")


def check_overlap(found: Box, detected: Box) -> None:
    """Refuse landmarks that lie elsewhere than the face that was detected.

    Raises:
        RejectedError: with the overlap.
    """
    overlap = box_overlap(found, detected)
    if overlap < LEAST_OVERLAP:
        raise RejectedError(Reason.IMPLAUSIBLE, f"{overlap:.0%} overlap with the detected face")


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
    return {face: _final_keeper(face, gone) for face in gone}


def distance(a: int, b: int) -> int:
    """Bits in which two hashes differ."""
    return (a ^ b).bit_count()


def _final_keeper(face: int, gone: dict[int, int]) -> int:
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

    Of photographs with the same bytes the first by name stays that has a good face. Of faces whose
    perceptual hashes differ in at most `radius` bits the one from the larger face stays, then the
    sharper, then the first; see `duplicates_of`.

    Args:
        index: rows in the order of the photographs, `reason` empty for good faces.
        radius: bits; negative keeps faces that look alike.
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
    # A copy whose labels are unusable must not stand for one whose labels are good.
    for row in sorted(index, key=lambda row: bool(row["reason"])):
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
        best[gone]: _near_duplicate_reason(index[best[gone]], index[best[keeper]])
        for gone, keeper in duplicates_of(hashes, radius).items()
    }


def _near_duplicate_reason(gone: Row, keeper: Row) -> dict[str, str]:
    bits = distance(gone["hash"], keeper["hash"])
    detail = f"{bits} of 64 bits from {keeper['source']}#{keeper['face']}"
    return {"reason": str(Reason.NEAR_DUPLICATE), "detail": detail}
