"""Skin as a linear model: a mean colour and masks times colours, from very pale to very dark.

Every mode is one mask (where on the face a colour goes) times one colour, so that a mode keeps its
meaning and a file holds a byte a vertex for it. Colours are RGB in [0, 1] as a camera writes them,
chosen by eye, not measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...mesh import Mesh, vertex_normals
from ..landmarks import distance_to_polyline
from ..plausible_albedo import Blur, blur_along

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
Masks = Mapping[str, Array]

_SKIN = (0.66, 0.49, 0.40)
"""Middle of all people, one in three of whom are much darker or much paler."""

_LAYERS = {
    # Painted in this order over skin and over each other: how much of a mask's colour covers.
    "lips": ((0.60, 0.34, 0.32), 0.85),
    "scalp": ((0.30, 0.23, 0.19), 0.25),
    "brows": ((0.20, 0.145, 0.11), 0.85),
    "lashes": ((0.13, 0.10, 0.09), 0.75),
    "lid_rims": ((0.62, 0.40, 0.36), 0.5),
    "mouth": ((0.30, 0.11, 0.10), 1.0),
    "tongue": ((0.60, 0.31, 0.30), 1.0),
    "teeth": ((0.86, 0.82, 0.73), 1.0),
    "sclera": ((0.85, 0.83, 0.81), 1.0),
    "iris": ((0.30, 0.22, 0.16), 1.0),
    "limbus": ((0.12, 0.10, 0.09), 0.75),
    "pupil": ((0.03, 0.03, 0.03), 1.0),
}

_MODES = {
    # Melanin: pale (0.96, 0.77, 0.66) at -2.1, dark (0.33, 0.18, 0.11) at +2.3.
    "skin_tone": ("skin", (-0.145, -0.135, -0.125)),
    # The middle tones are more saturated than either end; see `random_skin`.
    "skin_warmth": ("skin", (0.006, -0.016, -0.034)),
    "skin_redness": ("skin", (0.012, -0.012, -0.008)),
    "flush": ("flushed", (0.010, -0.040, -0.034)),
    "mottling": ("mottled", (0.006, -0.006, -0.005)),
    "freckles": ("freckled", (-0.030, -0.036, -0.032)),
    "stubble": ("beard", (-0.085, -0.072, -0.055)),
    "under_eye": ("under_eyes", (-0.050, -0.045, -0.028)),
    "age_lines": ("lines", (-0.036, -0.038, -0.036)),
    "scalp_hair": ("scalp", (-0.10, -0.10, -0.09)),
    "lip_redness": ("lips", (0.030, -0.025, -0.018)),
    "lip_darkness": ("lips", (-0.075, -0.055, -0.045)),
    "brow_darkness": ("brows", (-0.085, -0.080, -0.070)),
    "brow_redness": ("brows", (0.045, 0.010, -0.015)),
    "brow_density": ("brow_edges", (-0.140, -0.120, -0.100)),
    "iris_blue": ("iris", (0.010, 0.085, 0.140)),
    "iris_light": ("iris", (0.080, 0.065, 0.030)),
}
"""Name of a mode: its mask, and its colour at one standard deviation."""

ONE_SIDED = ("freckles", "stubble", "age_lines", "scalp_hair", "under_eye")
"""Modes that are there or not; their opposite would be skin that is paler than skin."""

_BROW_WIDTHS = (3.0, 4.0, 3.6, 2.6, 1.2)
"""Half heights in mm of the brow at its five landmarks, from the inner end to the tail."""

_IRIS, _PUPIL, _LIMBUS = 5.9, 2.1, 0.8
"""Radii of iris and pupil and width of the iris's dark edge in mm; an iris is 11.8 mm wide in
nearly every adult."""

_FLUSHED = {"cheek": 1.0, "nose": 0.8, "chin": 0.45, "ear": 0.7}
"""Where blood shows, and how much."""


def skin_model(
    vertices: Array,
    triangles: Ints,
    landmarks: Ints,
    parts: Masks,
    seed: int,
) -> dict[str, NDArray[Any]]:
    """Mean (V, 3) and masks (V, K) in bytes, colours (K, 3) and names of the modes.

    Args:
        vertices: (V, 3) mm of the mean face, facing +z.
        triangles: (F, 3).
        landmarks: (68,) vertices in iBUG order.
        parts: share (V,) of every vertex in `skin`, `sockets`, `mouth_bag`, `eyeballs`, `teeth`,
            `tongue`, `lips`, `lid_rings` and `nostrils`.
        seed: of freckles, mottling and the brows' unevenness.
    """
    blur = blur_along(vertices, triangles.astype(np.int32))
    masks = skin_masks(vertices, vertices[landmarks], parts, blur, seed)
    mean = np.tile(np.array(_SKIN), (len(vertices), 1))
    for name, (colour, cover) in _LAYERS.items():
        mean += cover * masks[name][:, None] * (np.array(colour) - mean)
    mean += masks["mottled"][:, None] * (0.006, -0.006, -0.005)
    mean *= _occlusion(vertices, triangles, masks, parts, blur)[:, None]
    chosen = np.stack([masks[mask] for mask, _ in _MODES.values()], axis=1)
    return {
        "skin_mean": _bytes(mean),
        "skin_masks": np.round(chosen.clip(-1.0, 1.0) * 127.0).astype(np.int8),
        "skin_colours": np.array([colour for _, colour in _MODES.values()], np.float32),
        "albedo_names": np.array(list(_MODES)),
    }


def expand_skin(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
    """`mean_albedo` (V, 3) and `albedo_basis` (V, 3, K) of the arrays of `skin_model`."""
    # Signed bytes: mottling is redder here and paler there.
    masks = arrays["skin_masks"].astype(np.float32) / 127.0
    return {
        "mean_albedo": arrays["skin_mean"].astype(np.float32) / 255.0,
        "albedo_basis": masks[:, None, :] * arrays["skin_colours"].T.astype(np.float32),
    }


def is_human_skin(names: tuple[str, ...]) -> bool:
    """Whether a model's albedo modes are those of this skin."""
    return names == tuple(_MODES)


def random_skin(random: np.random.Generator, names: tuple[str, ...]) -> NDArray[np.float32]:
    """Coefficients (K,) of the named modes, as they go together in people."""
    normal = dict(zip(_MODES, random.standard_normal(len(_MODES)).clip(-2.7, 2.7), strict=True))
    # Wider than normal in the middle: as many very pale and very dark people as middling ones.
    tone = float(random.uniform(-2.2, 2.4))
    dark = tone > 0.2
    values = normal | {name: abs(normal[name]) for name in ONE_SIDED}
    values["skin_tone"] = tone
    # Saturated in the middle, less so at either end: the curve that a line cannot follow.
    values["skin_warmth"] = 0.6 * normal["skin_warmth"] - 0.45 * (tone**2 - 1.6)
    values["lip_darkness"] = 0.6 * normal["lip_darkness"] + 0.6 * tone
    values["brow_darkness"] = 0.6 * normal["brow_darkness"] + (0.9 if dark else 0.2 * tone)
    # Blood shows, freckles form and eyes are light where there is little melanin.
    for name in ("flush", "freckles", "mottling", "skin_redness"):
        values[name] *= 0.35 if dark else 0.8
    for name in ("iris_blue", "iris_light"):
        values[name] = min(values[name], -0.5) if dark else values[name]
    # Half of all people have no beard to show, and most no lines.
    values["stubble"] *= float(random.random() < 0.4)
    values["age_lines"] *= float(random.random() < 0.4)
    return np.array([values.get(name, 0.0) for name in names], np.float32)


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


def _occlusion(vertices: Array, triangles: Ints, masks: Masks, parts: Masks, blur: Blur) -> Array:
    """Share (V,) of the light from all around that reaches a place; creases and holes are darker.

    Shading by nine harmonics has no shadows, so the shadows that are always there go into the
    colour: without them nostrils, lids and the line between the lips are skin.
    """
    normals = vertex_normals(Mesh(vertices, triangles))
    # Towards the mean of the surroundings, along the normal: positive in a hollow, mm.
    hollow = np.column_stack([blur(vertices[:, i], 4.0) for i in range(3)]) - vertices
    depth = np.maximum((hollow * normals).sum(axis=1), 0.0)
    # The neck and the back are coarse: their hollows are those of the mesh.
    light: Array = 1.0 - np.minimum(0.10 * depth, 0.35) * (1.0 - parts["eyeballs"]) * masks["front"]
    light *= 1.0 - 0.75 * parts["nostrils"]
    # Teeth and tongue: darker towards the throat, by a third for each cm behind the front teeth.
    teeth = parts["teeth"] > 0.5
    behind = vertices[teeth, 2].max(initial=0.0) - vertices[:, 2]
    light *= np.where(masks["inside"] > 0.5, np.exp(-behind.clip(0.0) / 30.0), 1.0)
    # The upper lid shades the eyeball.
    left = parts["eyeballs"] * (vertices[:, 0] > 0.0)
    height = vertices[:, 1] - float(left @ vertices[:, 1] / left.sum())
    light *= 1.0 - 0.35 * parts["eyeballs"] * ((height - 1.0) / 5.0).clip(0.0, 1.0)
    return light


def _bytes(values: Array) -> NDArray[np.uint8]:
    return np.round(values.clip(0.0, 1.0) * 255.0).astype(np.uint8)


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
