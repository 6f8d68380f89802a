"""A believable albedo for a face model that brings shapes only, so that it can be rendered."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix, diags

from .landmarks import REGION_NAMES
from .model import Float32Array

Weights = NDArray[np.float64]

ALBEDO_NAMES = (
    *("skin_tone", "skin_warmth", "blush", "lip_colour", "brow_darkness", "beard_shadow"),
    "eye_colour",
)
"""The modes, one standard deviation each."""

_SKIN = (0.76, 0.57, 0.47)
_LIPS = (0.66, 0.36, 0.34)
_BROWS = (0.30, 0.21, 0.16)
_MOUTH = (0.42, 0.17, 0.16)
_SCLERA = (0.88, 0.86, 0.84)
_IRIS = (0.27, 0.17, 0.10)
_PUPIL = (0.04, 0.04, 0.04)
_IRIS_RADIUS = 5.9
_PUPIL_RADIUS = 2.2
_SOFT_EDGE, _BROAD = 2.0, 12.0
"""Widths in mm by which regions, and the broad modes, fade out."""

_MOST_STEPS = 200
"""Of the blur: a scan-fine mesh would otherwise take thousands for the same width."""

_MODE_COLOURS = {
    "skin_tone": (-0.11, -0.11, -0.11),
    "skin_warmth": (0.015, 0.000, -0.020),
    "blush": (0.020, -0.030, -0.025),
    "lip_colour": (0.030, -0.045, -0.030),
    "brow_darkness": (-0.10, -0.08, -0.06),
    "beard_shadow": (-0.08, -0.07, -0.05),
    "eye_colour": (-0.02, 0.07, 0.13),
}

Albedo = tuple[Float32Array, Float32Array, tuple[str, ...]]
"""Mean (V, 3) in [0, 1], modes (V, 3, K) and their names; float32 RGB."""

Blur = Callable[[Weights, float], Weights]
"""Spreads values (V,) or (V, C) along the surface by about a width in mm."""


def plausible_albedo(
    mean_shape: Float32Array,
    triangles: NDArray[np.int32],
    region: NDArray[np.uint8],
    region_names: tuple[str, ...],
) -> Albedo:
    """Skin, lips, brows and eyes by region, blended over a few edges; no measured colours.

    Args:
        mean_shape: (V, 3) mm.
        triangles: (F, 3).
        region: (V,) index into `region_names`.
        region_names: names among `REGION_NAMES`; vertices of other names count as skin.
    """
    canonical = [REGION_NAMES.index(n) if n in REGION_NAMES else 0 for n in region_names]
    points = mean_shape.astype(np.float64)
    blur = blur_along(points, triangles)
    # Blurred along edges; the shares of all regions at a vertex sum to 1.
    soft = blur(np.eye(len(REGION_NAMES))[np.array(canonical)[region]], _SOFT_EDGE)
    shares = dict(zip(REGION_NAMES, soft.T, strict=True))
    iris, pupil = _iris_and_pupil(points, shares)
    mean = _mean_colours(shares, iris, pupil)
    masks = _mode_masks(shares, iris, blur)
    modes = [masks[name][:, None] * _MODE_COLOURS[name] for name in ALBEDO_NAMES]
    basis = np.stack(modes, axis=2).astype(np.float32)
    return mean.astype(np.float32), basis, ALBEDO_NAMES


def blur_along(vertices: NDArray[np.float64], triangles: NDArray[np.int32]) -> Blur:
    """Repeated means over neighbours, which spread a value by a width in mm."""
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    lengths = np.linalg.norm(vertices[edges[:, 0]] - vertices[edges[:, 1]], axis=1)
    step, edge_length = _neighbour_means(len(vertices), edges), float(np.median(lengths))

    def blur(values: Weights, width: float) -> Weights:
        # A random walk spreads with the square root of its steps, hence the square.
        steps = np.ceil(2.0 * (width / max(edge_length, 1e-3)) ** 2)
        for _ in range(int(min(steps, _MOST_STEPS))):
            values = step @ values
        return values

    return blur


def _neighbour_means(n_vertices: int, edges: NDArray[np.int32]) -> csr_matrix:
    """Row-stochastic mean of every vertex and its neighbours."""
    both = np.concatenate([edges, edges[:, ::-1], np.arange(n_vertices)[:, None].repeat(2, 1)])
    adjacency = coo_matrix((np.ones(len(both)), both.T), shape=(n_vertices, n_vertices)).tocsr()
    # An inner edge comes from two triangles and would otherwise count twice.
    adjacency.data[:] = 1.0
    return csr_matrix(diags(1.0 / np.asarray(adjacency.sum(axis=1)).ravel()) @ adjacency)


def _iris_and_pupil(vertices: NDArray[np.float64], shares: dict[str, Weights]) -> list[Weights]:
    """Soft discs around the middle of each eye's front, as two masks (V,)."""
    discs = [np.zeros(len(vertices)), np.zeros(len(vertices))]
    for name in ("left_eye", "right_eye"):
        eye = shares[name]
        # A crop without eyeballs has an eye region of no weight, and no place for an iris.
        if eye.sum() < 1.0:
            continue
        centre = eye @ vertices / eye.sum()
        radius = np.linalg.norm(vertices[:, :2] - centre[:2], axis=1)
        # Only the half that looks out of the head: an eyeball's back has no iris.
        in_front = eye * (vertices[:, 2] >= centre[2])
        discs[0] += in_front * _soft_disc(radius, _IRIS_RADIUS)
        discs[1] += in_front * _soft_disc(radius, _PUPIL_RADIUS)
    return discs


def _soft_disc(distance: Weights, radius: float) -> Weights:
    return ((radius + 0.5 - distance) / 1.0).clip(0.0, 1.0)


def _mean_colours(shares: dict[str, Weights], iris: Weights, pupil: Weights) -> NDArray[np.float64]:
    layers = {
        _LIPS: shares["upper_lip"] + shares["lower_lip"],
        _BROWS: 0.8 * (shares["left_brow"] + shares["right_brow"]),
        _MOUTH: shares["mouth"],
        _SCLERA: shares["left_eye"] + shares["right_eye"],
        _IRIS: iris,
        _PUPIL: pupil,
    }
    # Painted in this order, each over the ones before: the pupil must come after the iris.
    colours = np.tile(np.array(_SKIN), (len(iris), 1))
    for colour, weight in layers.items():
        colours += weight[:, None] * (np.array(colour) - colours)
    return colours


def _mode_masks(shares: dict[str, Weights], iris: Weights, blur: Blur) -> dict[str, Weights]:
    lips = shares["upper_lip"] + shares["lower_lip"]
    brows = shares["left_brow"] + shares["right_brow"]
    eyes = shares["left_eye"] + shares["right_eye"]
    cheeks = shares["left_cheek"] + shares["right_cheek"]
    skin = 1.0 - eyes - shares["mouth"] - 0.8 * brows - 0.6 * lips
    return {
        "skin_tone": skin,
        "skin_warmth": skin,
        "blush": skin * blur(cheeks + shares["nose"], _BROAD) ** 2,
        "lip_colour": lips,
        "brow_darkness": brows,
        "beard_shadow": skin * blur(shares["jaw"] + lips, _BROAD),
        "eye_colour": iris,
    }
