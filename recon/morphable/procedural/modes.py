"""Displacement fields of the identity and expression modes, in mm per standard deviation.

Each field is what one would call it, before `basis.py` takes out the rigid part and makes the
modes orthogonal. Fields are sums of smooth bumps around places of the mean face; `spread` moves
both sides apart from the middle.
"""

from __future__ import annotations

import numpy as np

from .eyes import LID_EDGE, lid_heights
from .mouth import MOUTH_CORNER
from .head import EYEBALL, LID_RADII
from .masks import Masks, soft_step, spot
from .solid import Array, Point, norm


def _bump(masks: Masks, centre: Point, radii: Point, spread: float, up: float, out: float) -> Array:
    """A push (V, 3) around a place and its mirror image: mm to the side, up and forward."""
    weight = spot(masks.folded, centre, radii)
    x = masks.surface.skin[:, 0]
    lateral = spread * np.tanh(x / 15.0)
    return np.column_stack([weight * lateral, weight * up, weight * out])


def identity_fields(masks: Masks) -> dict[str, Array]:
    """Identity modes by name, each (V, 3)."""
    skin = masks.surface.skin
    x, y, _ = skin.T
    zero = np.zeros_like(x)
    return {
        "face_width": np.column_stack([0.05 * x, zero, zero]),
        "face_height": np.column_stack([zero, 0.05 * y, zero]),
        "jaw_width": _bump(masks, (52, -50, 5), (34, 34, 55), 4.0, 0, 0),
        "chin": _bump(masks, (0, -84, 48), (40, 28, 50), 0, -4.0, 3.0),
        "nose_length": _bump(masks, (0, -16, 76), (20, 20, 32), 0, -3.4, 0)
        + _bump(masks, (0, -40, 62), (34, 16, 40), 0, -1.6, 0)
        + _bump(masks, (0, 24, 62), (40, 22, 40), 0, 1.2, 0),
        "nose_width": _bump(masks, (17, -9, 70), (15, 18, 26), 3.0, 0, 0)
        + _bump(masks, (0, 16, 75), (18, 24, 26), 0, 0, -1.6)
        + _bump(masks, (20, -41, 62), (20, 14, 30), 1.4, 0, 1.0),
        "nose_protrusion": _bump(masks, (0, -2, 88), (16, 24, 26), 0, 0.6, 3.2)
        + _bump(masks, (0, -6, 60), (44, 38, 40), 0, 0, 1.2),
        "cheeks": _bump(masks, (48, -16, 34), (28, 30, 40), 2.8, 0, 2.8),
        "forehead_slope": _bump(masks, (0, 44, 66), (62, 18, 45), 0, 0, 3.0)
        - _bump(masks, (0, 104, 48), (70, 34, 60), 0, 0, 2.6),
        "eye_distance": _bump(masks, (33, 34, 52), (21, 17, 28), 3.0, 0, -0.8),
        "mouth": _bump(masks, (24, -41, 58), (17, 15, 28), 3.2, 0, -1.0)
        + _bump(masks, (0, -42, 70), (20, 17, 24), 0, 0, 2.2),
        "eye_height": _bump(masks, (0, 35, 55), (70, 21, 50), 0, 3.0, 0)
        - _bump(masks, (0, -22, 70), (44, 20, 44), 0, 2.0, 0),
    }


IDENTITY_STRENGTH = {
    "face_width": 1.8,
    "face_height": 1.8,
    "jaw_width": 1.3,
    "chin": 1.3,
    "nose_length": 1.2,
    "nose_width": 0.9,
    "nose_protrusion": 1.2,
    "cheeks": 1.4,
    "forehead_slope": 1.3,
    "eye_distance": 1.2,
    "mouth": 1.0,
    "eye_height": 1.3,
}
"""Root mean square displacement in mm of a vertex per standard deviation of each mode."""


def expression_fields(masks: Masks) -> dict[str, Array]:
    """Expression modes by name, each (V, 3); positive values are the named motion."""
    lips = spot(masks.folded, (0, -41, 66), (22, 10, 22))
    x = masks.surface.skin[:, 0]
    side = spot(masks.surface.skin, (0, -44, 62), (34, 22, 32))
    zero = np.zeros_like(x)
    return {
        "jaw_open": jaw_rotation(masks, 0.05),
        "smile": _bump(masks, (30, -38, 55), (16, 13, 24), 3.2, 3.6, -2.2)
        + _bump(masks, (40, -12, 42), (15, 13, 22), 0.8, 1.8, 1.8),
        "brow_raise": _bump(masks, (29, 50, 55), (26, 10, 30), 0, 3.2, -0.3),
        "brow_frown": _bump(masks, (13, 45, 65), (11, 8, 20), -2.2, -2.4, 0.9),
        "blink": blink(masks, 0.3),
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
    """How far a vertex follows the lower jaw, 0 to 1; jumps between the two lips.

    The jump has the height of the mouth's lens, and beyond the corners fades into the cheek.
    """
    x, y = masks.view.T
    lens, across = masks.surface.lens, masks.surface.across
    beyond = np.maximum(np.abs(across) - 1.0, 0.0) / 6.0
    above = np.sign(across) * (np.minimum(np.abs(across), 1.0) * lens + beyond)
    width = np.maximum(lens, 3.6 * soft_step((x / MOUTH_CORNER - 0.55) / 0.9))
    follows = soft_step(0.5 - above / (2.0 * np.maximum(width, 1e-6)))
    below_chin = soft_step((y + 128.0) / 36.0)
    front = soft_step((masks.folded[:, 2] + 18.0) / 36.0)
    return follows * below_chin * front


def blink(masks: Masks, share: float) -> Array:
    """Move (V, 3) of the upper lid down by a share of the opening's height, over the eyeball."""
    x, y = masks.view.T
    upper, lower = lid_heights(x)
    above = np.maximum(y - upper, 0.0)
    weight = soft_step(1.0 - above / 9.0) * (
        1.0 - soft_step(masks.lid_depth / (1.6 * LID_EDGE))
    )
    weight = weight * (y > (upper + lower) / 2) * masks.facing
    drop = weight * (upper - lower) * share
    inwards = _lid_depth(np.column_stack([x, y - drop])) - _lid_depth(masks.view)
    return np.column_stack([np.zeros_like(x), -drop, inwards * weight])


def _lid_depth(view: Array) -> Array:
    scaled = (view - np.array(EYEBALL[:2])) / np.array(LID_RADII[:2])
    return LID_RADII[2] * np.sqrt(np.maximum(1.0 - norm(scaled) ** 2, 0.05))
