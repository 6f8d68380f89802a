"""Evenly spaced items of a stream of unknown length."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from facebench.recon.portraits.track import EvenSample


@given(st.integers(0, 3000), st.integers(1, 9))
def test_the_sample_is_even_and_complete(length: int, size: int) -> None:
    sample: EvenSample[int] = EvenSample(size)
    made = 0
    for item in range(length):
        if sample.wants_next():
            made += 1
            sample.add(item)
        else:
            sample.skip()
    kept = list(sample)
    assert len(kept) == min(size, length)
    assert kept == sorted(set(kept)) and kept[:1] == [0][:length]
    assert made <= 2 * size * (1 + np.log2(max(length, 2)))
    if length > 4 * size > 4:
        gaps = np.diff([*kept, length])
        assert gaps.max() <= 4 * length / size
