"""Where on the face each colour of the skin model goes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ..plausible_albedo import Blur
from ..regions import distance_to_polyline

Array = NDArray[np.float64]
Masks = Mapping[str, Array]

_BROW_WIDTHS = (3.0, 4.0, 3.6, 2.6, 1.2)
"""Half heights in mm of the brow at its five landmarks, from the inner end to the tail."""

_IRIS, _PUPIL, _LIMBUS = 5.9, 2.1, 0.8
"""Radii of iris and pupil and width of the iris's dark edge in mm; an iris is 11.8 mm wide in
nearly every adult."""

_FLUSHED = {"cheek": 1.0, "nose": 0.8, "chin": 0.45, "ear": 0.7}
"""Where blood shows, and how much."""


def skin_masks(vertices: Array, landmarks: Array, parts: Masks, blur: Blur, seed: int) -> Masks:
    """Masks (V,) by name: shares from 0 to 1, `mottled` from -1 to 1.

    Args:
        vertices: (V, 3) mm, facing +z.
        landmarks: (68, 3).
        parts: see `skin_model`.
        blur: along the surface.
        seed: of what is uneven.
    """
    random = np.random.default_rng(seed)
    eyes, inside = parts["eyeballs"], parts["mouth_bag"] + parts["teeth"] + parts["tongue"]
    lips = parts["lips"]
    brows, brow_edges = _brows(vertices, landmarks, random)
    outer = parts["skin"] * (1.0 - 0.9 * brows)
    skin = outer * (1.0 - 0.6 * lips) + 0.8 * parts["sockets"]
    flat_skin = parts["skin"] * (1.0 - lips) * (1.0 - brows)
    spotted = _spots(vertices, landmarks, {"nose": 1.0, "cheek": 1.0, "brow": 0.4}, 24.0)
    return {
        "skin": skin,
        "lips": lips,
        "brows": brows * parts["skin"],
        "brow_edges": brow_edges * parts["skin"],
        "lashes": _lashes(vertices, landmarks, parts["lid_rings"]),
        "lid_rims": 0.5 * parts["lid_rings"],
        "mouth": parts["mouth_bag"],
        "tongue": parts["tongue"],
        "teeth": parts["teeth"],
        "sclera": eyes,
        **_iris(vertices, eyes),
        "flushed": flat_skin * _spots(vertices, landmarks, _FLUSHED, 17.0),
        "mottled": flat_skin * _noise(vertices, random, 9.0),
        "freckled": flat_skin * spotted * (random.random(len(vertices)) < 0.22),
        "beard": flat_skin * blur(_beard(vertices, landmarks), 4.0),
        "under_eyes": flat_skin * _under_eyes(vertices, landmarks),
        "lines": flat_skin * _lines(vertices, landmarks),
        "scalp": parts["skin"] * blur(_scalp(vertices, landmarks), 5.0),
        "inside": inside,
        "front": _front(vertices, landmarks),
    }


def _spots(
    vertices: Array, landmarks: Array, strengths: Mapping[str, float], width: float
) -> Array:
    """Round soft spots (V,) on both sides at places of the face."""
    eye, mouth, jaw = landmarks[45], landmarks[54], landmarks[13]
    places = {
        # Below the outer half of the eye, level with the nostrils.
        "cheek": (0.45 * landmarks[46] + 0.2 * mouth + 0.35 * jaw) + (0.0, 4.0, 0.0),
        "nose": landmarks[30],
        "chin": 0.5 * (landmarks[8] + landmarks[57]),
        "ear": landmarks[16] + (6.0, -12.0, -22.0),
        "brow": 0.5 * (landmarks[24] + eye) + (0.0, 22.0, 0.0),
    }
    total = np.zeros(len(vertices))
    for name, strength in strengths.items():
        for side in (1.0, -1.0):
            away = np.linalg.norm(vertices - places[name] * (side, 1.0, 1.0), axis=1)
            # The greater of overlapping spots: a nose has two places, one for each side, in one.
            total = np.maximum(total, strength * np.exp(-0.5 * (away / width) ** 2))
    return total


def _noise(vertices: Array, random: np.random.Generator, wavelength: float) -> Array:
    """Smooth noise (V,) of about unit deviation, cut at -1 and 1."""
    waves = random.normal(size=(24, 3)) / wavelength
    phases = random.uniform(0.0, 2 * np.pi, 24)
    noise: Array = np.cos(vertices @ waves.T + phases).sum(axis=1) / np.sqrt(24)
    return noise.clip(-1.0, 1.0)


def _brows(vertices: Array, landmarks: Array, random: np.random.Generator) -> tuple[Array, Array]:
    """Brows by their landmarks, and the seam around them where bushy ones are denser.

    Painted by a line of their own: a region around registered landmarks ran from side to side.
    """
    folded = np.column_stack([np.abs(vertices[:, 0]), vertices[:, 1]])
    spine = landmarks[22:27, :2]
    away = distance_to_polyline(folded, spine)
    width = np.interp(folded[:, 0], spine[:, 0], _BROW_WIDTHS)
    # Hairs end unevenly.
    width = width * (1.0 + 0.12 * _noise(vertices, random, 1.5))
    front = vertices[:, 2] > landmarks[16, 2]
    brows = front * ((width + 1.2 - away) / 2.4).clip(0.0, 1.0)
    wide = front * ((width + 3.0 - away) / 3.0).clip(0.0, 1.0)
    return brows, 0.6 * (wide - brows).clip(0.0, 1.0) + 0.3 * brows


def _lashes(vertices: Array, landmarks: Array, rings: Array) -> Array:
    """The lid rings, dark above and faint below: the upper lashes are the longer ones."""
    # Corners of the left eye; the right one's are as high.
    height = landmarks[[42, 45], 1].mean()
    return rings * np.where(vertices[:, 1] > height, 1.0, 0.3)


def _iris(vertices: Array, eyes: Array) -> Masks:
    masks = {name: np.zeros(len(vertices)) for name in ("iris", "limbus", "pupil")}
    for side in (1.0, -1.0):
        eye = eyes * (side * vertices[:, 0] > 0.0)
        centre = eye @ vertices / eye.sum()
        radius = np.linalg.norm(vertices[:, :2] - centre[:2], axis=1)
        front = eye * (vertices[:, 2] > centre[2])
        masks["iris"] += front * ((_IRIS + 0.4 - radius) / 0.8).clip(0.0, 1.0)
        ring = 1.0 - np.abs(radius - _IRIS + 0.3) / _LIMBUS
        masks["limbus"] += front * ring.clip(0.0, 1.0)
        masks["pupil"] += front * ((_PUPIL + 0.4 - radius) / 0.8).clip(0.0, 1.0)
    return masks


def _beard(vertices: Array, landmarks: Array) -> Array:
    """Where beards grow: below a line from sideburn over cheek to nose, and above the throat."""
    x, y, z = vertices.T
    nose, mouth, chin, ear = (landmarks[i] for i in (33, 54, 8, 16))
    line_x = (0.0, 14.0, mouth[0] + 6.0, 0.75 * ear[0], ear[0])
    line_y = (nose[1] - 3.0, nose[1] - 3.0, mouth[1] + 6.0, mouth[1] + 22.0, ear[1] - 6.0)
    below = _step((np.interp(np.abs(x), line_x, line_y) - y) / 4.0)
    # Jaws end before the ears, beards two fingers below the chin.
    front = _step((z - ear[2] + 10.0) / 8.0) * _step((y - chin[1] + 26.0) / 10.0)
    beard: Array = below * front
    return beard


def _under_eyes(vertices: Array, landmarks: Array) -> Array:
    lower = landmarks[[42, 47, 46, 45], :2] + (0.0, -6.0)
    return _draw_line(vertices, landmarks, lower, 3.5)


def _lines(vertices: Array, landmarks: Array) -> Array:
    """Lines of age that are wide enough for the mesh: beside the mouth, and two on the forehead."""
    wing, corner, brow = landmarks[35], landmarks[54], landmarks[23]
    fold = np.stack([wing, corner, corner])[:, :2] + [[5.0, 5.0], [8.0, 4.0], [7.0, -9.0]]
    lines = _draw_line(vertices, landmarks, fold, 2.0)
    for above in (18.0, 30.0):
        level = np.array([[0.0, brow[1] + above], [26.0, brow[1] + above + 2.0]])
        lines = np.maximum(lines, 0.4 * _draw_line(vertices, landmarks, level, 2.0))
    return lines


def _draw_line(vertices: Array, landmarks: Array, line: Array, width: float) -> Array:
    """A soft line (V,) on both sides of the face, before the ears."""
    folded = np.column_stack([np.abs(vertices[:, 0]), vertices[:, 1]])
    front = vertices[:, 2] > landmarks[16, 2]
    drawn: Array = front * np.exp(-0.5 * (distance_to_polyline(folded, line) / width) ** 2)
    return drawn


def _scalp(vertices: Array, landmarks: Array) -> Array:
    """Where hair grows: above a hairline that comes down before the ears, and behind them."""
    x, y, z = vertices.T
    brow, ear = landmarks[24], landmarks[16]
    middle = brow[1] + 0.95 * (brow[1] - landmarks[33, 1])
    hairline = np.interp(np.abs(x), (0.0, 42.0, ear[0]), (middle, middle - 8.0, ear[1] + 4.0))
    above = _step((y - hairline) / 8.0)
    # Behind the ears down to the nape; the ears themselves stand out to the side.
    behind = _step((ear[2] - 34.0 - z) / 8.0) * _step((y - landmarks[13, 1]) / 10.0)
    ears = (np.abs(x) > ear[0] + 4.0) & (y < ear[1] + 22.0)
    hair: Array = np.maximum(above, behind) * ~ears
    return hair


def _front(vertices: Array, landmarks: Array) -> Array:
    """The face with the ears, without neck and skull."""
    ear, chin = landmarks[16], landmarks[8]
    depth = _step((vertices[:, 2] - ear[2] + 40.0) / 10.0)
    front: Array = depth * _step((vertices[:, 1] - chin[1] - 2.0) / 8.0)
    return front


def _step(values: Array) -> Array:
    """0 below -1, 1 above 1, smooth between."""
    share = (0.5 + 0.5 * values).clip(0.0, 1.0)
    smooth: Array = share * share * (3.0 - 2.0 * share)
    return smooth
