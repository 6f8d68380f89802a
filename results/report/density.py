"""Many subjects in one shape, where a dot for each would be a smear and slow to draw."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from .markup import Markup, tag

MOST_DOTS = 400
"""Subjects of a strip up to which each has a dot; above, the strip is as wide as they are many."""

BINS = 60
HALF_WIDTH = 15.0
"""Of the shape where most subjects are, in the picture's units."""


def is_crowd(subjects: Collection[object]) -> bool:
    """Whether so many are drawn as one shape."""
    return len(subjects) > MOST_DOTS


def density(places: Collection[float], y: float) -> Markup:
    """How many subjects are at each place of a strip, around its middle.

    Args:
        places: of the subjects along the strip.
        y: the middle.
    """
    counts, edges = np.histogram(list(places), bins=BINS)
    widths = HALF_WIDTH * counts / counts.max()
    middles = (edges[:-1] + edges[1:]) / 2
    upper = list(zip(middles.tolist(), (y - widths).tolist(), strict=True))
    lower = list(zip(middles.tolist(), (y + widths).tolist(), strict=True))
    path = " ".join(f"{a:.1f},{b:.1f}" for a, b in [*upper, *reversed(lower)])
    return tag("polygon", tag("title", f"{len(places):,} subjects"), points=path, class_="density")
