"""Skin as a linear model: a mean colour and masks times colours, from very pale to very dark.

Every mode is one mask times one colour, so that a mode keeps its meaning and a file holds a byte a
vertex for it. Colours are RGB in [0, 1] as a camera writes them, chosen by eye, not measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...mesh import Mesh, vertex_normals
from ..plausible_albedo import Blur, blur_along
from .masks import skin_masks

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


def expand_skin(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
    """`mean_albedo` (V, 3) and `albedo_basis` (V, 3, K) of the arrays of `skin_model`."""
    # Signed bytes: mottling is redder here and paler there.
    masks = arrays["skin_masks"].astype(np.float32) / 127.0
    return {
        "mean_albedo": arrays["skin_mean"].astype(np.float32) / 255.0,
        "albedo_basis": masks[:, None, :] * arrays["skin_colours"].T.astype(np.float32),
    }


def _bytes(values: Array) -> NDArray[np.uint8]:
    return np.round(values.clip(0.0, 1.0) * 255.0).astype(np.uint8)


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
