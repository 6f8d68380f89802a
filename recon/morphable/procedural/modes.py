"""Displacement fields of the identity and expression modes, in mm per standard deviation.

Each field is what one would call it, before `basis.py` takes out the rigid part and makes the
modes orthogonal. Fields are sums of smooth bumps around places of the mean face; `spread` moves
both sides apart from the middle.
"""

from __future__ import annotations

import numpy as np

from . import eyes, mouth
from .head import EYEBALL, LID_RADII
from .paint import Masks, soft_step, spot
from .solid import Array, Point, norm


def _bump(masks: Masks, centre: Point, radii: Point, spread: float, up: float, out: float) -> Array:
    """A push (V, 3) around a place and its mirror image: mm to the side, up and forward."""
    weight = spot(masks.folded, centre, radii)
    x = masks.surface.skin[:, 0]
    lateral = spread * np.tanh(x / 6.0)
    return np.column_stack([weight * lateral, weight * up, weight * out])


def identity_fields(masks: Masks) -> dict[str, Array]:
    """Identity modes by name, each (V, 3)."""
    skin = masks.surface.skin
    x, y, z = skin.T
    zero = np.zeros_like(x)
    return {
        "face_width": np.column_stack([0.05 * x, zero, zero]),
        "face_height": np.column_stack([zero, 0.05 * y, zero]),
        "jaw_width": _bump(masks, (52, -52, 0), (30, 28, 45), 4.5, 0, 0),
        "chin": _bump(masks, (0, -82, 50), (34, 24, 45), 0, -4.0, 3.0),
        "nose_length": _bump(masks, (0, -14, 80), (18, 17, 28), 0, -4.0, 0)
        + _bump(masks, (0, 4, 85), (12, 12, 20), 0, 0, 1.0),
        "nose_width": _bump(masks, (14, -10, 72), (12, 17, 22), 3.2, 0, 0),
        "nose_protrusion": _bump(masks, (0, -4, 90), (15, 22, 20), 0, 0.8, 4.0),
        "cheeks": _bump(masks, (44, -16, 36), (22, 24, 30), 2.6, 0, 3.4),
        "forehead_slope": _bump(masks, (0, 44, 66), (55, 12, 45), 0, 0, 3.0)
        - _bump(masks, (0, 98, 50), (60, 26, 50), 0, 0, 4.0),
        "eye_distance": _bump(masks, (31, 33, 52), (20, 15, 25), 3.0, 0, -0.6),
        "mouth": _bump(masks, (22, -41, 60), (14, 12, 25), 3.6, 0, -0.8)
        + _bump(masks, (0, -41, 70), (14, 14, 20), 0, 0, 1.6),
        "midface_height": _bump(masks, (0, 36, 55), (60, 14, 50), 0, 3.2, 0)
        - _bump(masks, (0, -44, 60), (40, 16, 40), 0, 3.0, 0),
    }


def expression_fields(masks: Masks) -> dict[str, Array]:
    """Expression modes by name, each (V, 3); positive values are the named motion."""
    lips = spot(masks.folded, (0, -41, 66), (22, 10, 22))
    x = masks.surface.skin[:, 0]
    side = spot(masks.surface.skin, (0, -44, 62), (34, 22, 32))
    zero = np.zeros_like(x)
    return {
        "jaw_open": jaw_rotation(masks, 0.05),
        "smile": _bump(masks, (26, -40, 57), (12, 10, 22), 3.0, 3.2, -2.2)
        + _bump(masks, (40, -12, 42), (15, 13, 22), 0.8, 1.8, 1.8),
        "brow_raise": _bump(masks, (29, 50, 55), (26, 10, 30), 0, 3.2, -0.3),
        "brow_frown": _bump(masks, (13, 45, 65), (11, 8, 20), -2.2, -2.4, 0.9),
        "blink": blink(masks, 0.35),
        "pucker": np.column_stack([-0.16 * x * lips, zero, 3.2 * lips]),
        "mouth_left": np.column_stack([3.6 * side, zero, zero]),
        "cheek_puff": _bump(masks, (42, -34, 38), (17, 16, 26), 2.6, 0, 3.0),
        "corners_down": _bump(masks, (25, -42, 57), (11, 10, 22), 0.3, -3.0, -0.5),
    }


def jaw_rotation(masks: Masks, angle: float) -> Array:
    """Turn (V, 3) of the lower jaw by a small angle in radians around the axis of its joints."""
    _, y, z = masks.surface.skin.T
    arm_y, arm_z = y - 8.0, z + 18.0
    turn = np.column_stack([np.zeros_like(y), -arm_z, arm_y]) * angle
    return turn * _lower_jaw(masks)[:, None]


def _lower_jaw(masks: Masks) -> Array:
    """How far a vertex follows the lower jaw, 0 to 1; jumps between the two lips."""
    x, y = masks.view.T
    lateral = x / mouth.CORNER
    lens = masks.surface.lens
    above = np.where(
        np.abs(masks.surface.across) <= 1.0,
        masks.surface.across * lens,
        np.sign(masks.surface.across) * (np.abs(masks.surface.across) - 1.0) / 6.0
        + np.sign(masks.surface.across) * lens,
    )
    width = np.maximum(lens, 3.6 * soft_step((lateral - 0.55) / 0.9))
    follows = soft_step(0.5 - above / (2.0 * np.maximum(width, 1e-6)))
    below_chin = soft_step((y + 128.0) / 36.0)
    front = soft_step((masks.folded[:, 2] + 18.0) / 36.0)
    return follows * below_chin * front


def blink(masks: Masks, share: float) -> Array:
    """Move (V, 3) of the upper lid down by a share of the opening's height, over the eyeball."""
    x, y = masks.view.T
    upper, lower = eyes.opening(x)
    above = np.maximum(y - upper, 0.0)
    weight = soft_step(1.0 - above / 9.0) * (1.0 - soft_step(masks.lid_depth / (1.6 * eyes.LID_EDGE)))
    weight = weight * (y > (upper + lower) / 2) * masks.facing
    drop = weight * (upper - lower) * share
    inwards = _lid_depth(np.column_stack([x, y - drop])) - _lid_depth(masks.view)
    return np.column_stack([np.zeros_like(x), -drop, inwards * weight])


def _lid_depth(view: Array) -> Array:
    scaled = (view - np.array(EYEBALL[:2])) / np.array(LID_RADII[:2])
    return LID_RADII[2] * np.sqrt(np.maximum(1.0 - norm(scaled) ** 2, 0.05))
