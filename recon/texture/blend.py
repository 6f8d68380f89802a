"""Photographs where they show the face, the model's albedo where they do not.

The light that the network found is divided out of the photographs, so that the texture is albedo
and can be lit again; highlights and cast shadows, which nine harmonics cannot express, remain in
it. The model's albedo takes the photographs' tone from nearby, and the border between the two is
feathered: no seam, and no new detail either where nothing was seen.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter

from .space import Texture, TextureSpace
from .view import Seen, sample

Floats = NDArray[np.float32]

FEATHER = 0.025
"""Width of the border between photograph and model, of the texture's side."""

TONE_REACH = 0.06
"""Standard deviation over which the photograph's tone is continued, of the texture's side."""

BRIGHTEST = 0.95
"""Where too little light was found, photographs divided by it would be brighter than white: they
are dimmed as a whole until 98 % of what they show stays below this."""

_CELLS = 64
_LEVEL = 0.02
_FAINT = 0.1
"""Share of a neighbourhood that must be seen for its own tone to count as much as the whole's."""


def blend(space: TextureSpace, albedo: NDArray[np.floating], seen: Sequence[Seen]) -> Texture:
    """The texture of a face.

    Args:
        space: the model's.
        albedo: (V, 3) the model's, in [0, 1].
        seen: what each of its photographs shows; where several do, the better seen counts more.
            Without any, the texture is the model's albedo.
    """
    own = space.at(albedo).clip(0.0, 1.0)
    if not seen:
        return space.texture(own)
    shown, weight = _merged(seen)
    shown = _dimmed(shown, weight)
    share = (weight * _feather(space, weight > 0.0))[:, None]
    if not share.any():
        return space.texture(own)
    filled = (own + _LEVEL) * np.exp(_tone(space, own, shown, weight)) - _LEVEL
    return space.texture(share * shown + (1.0 - share) * filled)


def _merged(seen: Sequence[Seen]) -> tuple[Floats, Floats]:
    """Colour (N, 3), by the squares of the weights, and greatest weight (N,) of several views."""
    weights = np.stack([view.weight for view in seen])
    squares = weights**2
    total = np.maximum(squares.sum(axis=0), 1e-12)[:, None]
    colours = np.stack([view.albedo for view in seen])
    return (squares[..., None] * colours).sum(axis=0) / total, weights.max(axis=0)


def _dimmed(shown: Floats, weight: Floats) -> Floats:
    brightest = shown[weight > 0.0].max(axis=1, initial=0.0)
    if not len(brightest):
        return shown
    level = float(np.quantile(brightest, 0.98))
    return (shown * min(1.0, BRIGHTEST / max(level, 1e-6))).clip(0.0, 1.0)


def _feather(space: TextureSpace, visible: NDArray[np.bool_]) -> Floats:
    """0 to 1 (N,) from the border of what is visible inwards."""
    distance = distance_transform_edt(space.mask(visible)).ravel()[space.pixels]
    share = (distance / (FEATHER * space.size)).clip(0.0, 1.0)
    return np.asarray(share * share * (3.0 - 2.0 * share), np.float32)


def _tone(space: TextureSpace, own: Floats, shown: Floats, weight: Floats) -> Floats:
    """Logarithm (N, 3) of photograph over model, smoothed, continued to where nothing was seen."""
    ratio = np.log((shown + _LEVEL) / (own + _LEVEL))
    everywhere = (weight[:, None] * ratio).sum(axis=0) / weight.sum()
    counted = _in_cells(space, weight)
    kept = _smooth(counted)
    tones = [
        (_smooth(_in_cells(space, weight * ratio[:, c])) + _FAINT * everywhere[c]) / (kept + _FAINT)
        for c in range(3)
    ]
    return sample(np.stack(tones, axis=-1).astype(np.float32), *_places(space))


def _smooth(cells: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(gaussian_filter(cells, TONE_REACH * _CELLS, mode="constant"))


def _in_cells(space: TextureSpace, values: Floats) -> NDArray[np.float64]:
    """Means (cells, cells) over the texture's pixels, those outside the charts counting as 0."""
    row, column = np.divmod(space.pixels, space.size)
    cell = (row * _CELLS // space.size) * _CELLS + column * _CELLS // space.size
    total = np.bincount(cell, values, minlength=_CELLS * _CELLS)
    return np.asarray(total.reshape(_CELLS, _CELLS) * (_CELLS / space.size) ** 2)


def _places(space: TextureSpace) -> tuple[Floats, Floats]:
    """Column and row (N,) each of the texture's pixels among the cells."""
    row, column = np.divmod(space.pixels, space.size)
    scale = _CELLS / space.size
    across, down = (column + 0.5) * scale - 0.5, (row + 0.5) * scale - 0.5
    return across.astype(np.float32), down.astype(np.float32)
