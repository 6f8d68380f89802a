"""Near-duplicates against every pair compared, and what a perceptual hash must ignore."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labelled_photographs import person
from PIL import Image

from facebench.recon.preparation.patch import perceptual_hash
from facebench.recon.preparation.selection import (
    distance,
    duplicates_of,
    near_pairs,
)


@st.composite
def clustered(draw: st.DrawFn) -> list[int]:
    """Hashes of which many are close: a few centres with a few bits flipped."""
    centres = draw(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=4))
    result = []
    for _ in range(draw(st.integers(1, 25))):
        value = draw(st.sampled_from(centres))
        for bit in draw(st.lists(st.integers(0, 63), max_size=6)):
            value ^= 1 << bit
        result.append(value)
    return result


@given(clustered(), st.integers(0, 12))
@settings(max_examples=60, deadline=None)
def test_the_bands_find_every_near_pair(hashes: list[int], radius: int) -> None:
    distinct = sorted(set(hashes))
    first, second = near_pairs(np.array(distinct, np.uint64), radius)
    found = set(zip(first.tolist(), second.tolist(), strict=True))
    expected = {
        (i, j)
        for i in range(len(distinct))
        for j in range(i + 1, len(distinct))
        if distance(distinct[i], distinct[j]) <= radius
    }
    assert found == expected


@given(clustered(), st.integers(-1, 12))
@settings(max_examples=60, deadline=None)
def test_the_best_of_those_alike_stays(hashes: list[int], radius: int) -> None:
    gone = duplicates_of(np.array(hashes, np.uint64), radius)
    # The same rule, said as a loop over the faces from the best on.
    kept: list[int] = []
    for face, value in enumerate(hashes):
        near = [other for other in kept if distance(value, hashes[other]) <= radius]
        assert gone.get(face) == (near[0] if near else None)
        kept += [] if near else [face]


def test_many_faces_take_seconds() -> None:
    random = np.random.default_rng(0)
    hashes = random.integers(0, 2**64, 20000, dtype=np.uint64)
    hashes[5000:5100] = hashes[:100] ^ np.uint64(0b101)
    assert duplicates_of(hashes, 4) == {5000 + i: i for i in range(100)}


def test_copies_hash_alike_and_people_do_not() -> None:
    hashes = [perceptual_hash(person(number).image) for number in range(8)]
    between = [distance(a, b) for i, a in enumerate(hashes) for b in hashes[:i]]
    assert min(between) > 10
    for number in range(4):
        image = person(number).image
        for copy in (_resaved(image), _half(image), (image * 0.6).astype(np.uint8)):
            assert distance(perceptual_hash(copy), hashes[number]) <= 6


def test_the_hash_is_that_of_a_plain_transform() -> None:
    scipy_fft = pytest.importorskip("scipy.fft")
    image = person(0).image
    small = Image.fromarray(image).resize((32, 32), Image.Resampling.BILINEAR)
    grey = np.asarray(small, np.float64) @ [0.299, 0.587, 0.114]
    waves = scipy_fft.dctn(grey, type=2)[1:9, 1:9]
    bits = "".join("01"[int(bit)] for bit in (waves > np.median(waves)).ravel())
    assert perceptual_hash(image) == int(bits, 2)


def _resaved(image: np.ndarray) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=30)
    return np.asarray(Image.open(buffer))


def _half(image: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(image).resize((100, 100), Image.Resampling.BILINEAR))
