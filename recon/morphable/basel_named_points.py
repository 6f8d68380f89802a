"""Landmarks that the 2017 and 2019 Basel files name, as points in space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError
from ..files.text import parsed_json
from .basel_landmarks import IBUG_OF_NAME

Points = NDArray[np.float64]

NAMED_POINTS = "metadata/landmarks/json"
"""The data set that holds them: a JSON list of `id` and `coordinates`."""

_FARTHEST_SHARE = 0.05
_ADVICE = "give a table of landmarks with --landmarks"


def read_named_points(stored: Any, where: str) -> dict[int, Points]:
    """Position (3,) of every iBUG landmark, counted from 0, that is among the named points.

    Args:
        stored: the data set's content: text, bytes, or an array of bytes.
        where: what errors call the source.

    Raises:
        FacebenchError: it is no such list, or names none of `IBUG_OF_NAME`.
    """
    try:
        named = {
            IBUG_OF_NAME[item["id"]]: np.array(item["coordinates"], np.float64).reshape(3)
            for item in parsed_json(_text(stored))
            if item["id"] in IBUG_OF_NAME
        }
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise FacebenchError(f"{where}: {NAMED_POINTS} is damaged", _ADVICE) from error
    if not named:
        raise FacebenchError(f"{where}: {NAMED_POINTS} names no iBUG landmark", _ADVICE)
    return named


def _text(stored: Any) -> str:
    if isinstance(stored, str):
        return stored
    content: bytes = stored if isinstance(stored, bytes) else stored.tobytes()
    return content.decode()


def nearest_vertices(
    named: Mapping[int, Points], surfaces: Sequence[Points], where: str
) -> NDArray[np.int64]:
    """Vertex (68,) of each landmark, -1 where it is not named.

    Args:
        named: position (3,) by landmark.
        surfaces: vertices (V, 3) of the meshes that the points may have been marked on; the one
            they lie closest to counts.
        where: what errors call the source.

    Raises:
        FacebenchError: a point lies off every surface.
    """
    from scipy.spatial import cKDTree

    marked = np.stack(list(named.values()))
    found = [cKDTree(surface).query(marked) for surface in surfaces]
    away, vertices = min(found, key=lambda pair: float(pair[0].mean()))
    if away.max() > _FARTHEST_SHARE * np.ptp(marked, axis=0).max():
        raise FacebenchError(f"{where}: a named landmark lies off the surface", _ADVICE)
    landmarks = np.full(68, -1, np.int64)
    landmarks[list(named)] = vertices
    return landmarks
