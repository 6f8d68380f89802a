"""The procedural morphable model: displacement fields, made into bases, put together.

Each field is what one would call it, in mm per standard deviation: a sum of smooth bumps around
places of the mean face. The identity fields then lose their rigid part and become orthogonal.
"""

from __future__ import annotations

from functools import cache, lru_cache

import numpy as np

from ....errors import FacebenchError
from ..landmarks import REGION_NAMES
from ..model import MorphableModel
from .head import EYEBALL, LID_EDGE, LID_RADII, MOUTH_CORNER, Array, Point, lid_heights, norm
from .masks import Masks, albedo_fields, mean_albedo, regions, soft_step, spot
from .surface import mean_surface

MIN_VERTICES, MAX_VERTICES = 2_000, 40_000
_DETAIL = 0.12
_SHAPE_BITS, _ALBEDO_BITS = 10, 16

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


@cache
def embedded_model() -> MorphableModel:
    """The model that travels with the package: `procedural_model()` under its own name."""
    return procedural_model()


# A second of work each; who asks for one again, as tests do, has the same arrays.
@lru_cache(maxsize=4)
def procedural_model(seed: int = 0, n_vertices: int = 6000) -> MorphableModel:
    """A morphable face model made by code alone.

    Args:
        seed: varies the fine shape of the identity modes; 0 is the embedded model.
        n_vertices: wanted number of vertices, 2,000 to 40,000.

    Raises:
        FacebenchError: `n_vertices` is out of range.
    """
    if not MIN_VERTICES <= n_vertices <= MAX_VERTICES:
        raise FacebenchError(
            f"procedural model: {n_vertices} vertices asked for",
            f"choose {MIN_VERTICES} to {MAX_VERTICES}",
        )
    surface = mean_surface(n_vertices)
    masks = Masks(surface)
    identity = _with_detail(identity_fields(masks), surface.skin, seed)
    expression, albedo = expression_fields(masks), albedo_fields(masks)
    return MorphableModel(
        mean_shape=quantise(surface.vertices, _SHAPE_BITS),
        identity_basis=quantise(_identity_basis(identity, surface.vertices), _SHAPE_BITS),
        expression_basis=quantise(np.stack(list(expression.values()), axis=2), _SHAPE_BITS),
        mean_albedo=quantise(mean_albedo(masks), _ALBEDO_BITS),
        albedo_basis=quantise(_albedo_basis(albedo), _ALBEDO_BITS),
        triangles=surface.triangles.astype(np.int32),
        landmarks=surface.landmarks.astype(np.int32),
        region=regions(masks),
        region_names=REGION_NAMES,
        name="embedded" if seed == 0 and n_vertices == 6000 else f"procedural-{seed}-{n_vertices}",
        licence="MIT",
        identity_names=tuple(identity),
        expression_names=tuple(expression),
        albedo_names=tuple(albedo),
    )


def _identity_basis(fields: dict[str, Array], vertices: Array) -> Array:
    columns = np.column_stack([field.ravel() for field in fields.values()])
    # A mode that moves or scales the whole head would be ambiguous with pose and scale.
    columns = orthogonal(remove(columns, similarity_directions(vertices)))
    # RMS per vertex to length of the column: times the root of the vertex count.
    strength = np.array([IDENTITY_STRENGTH[name] for name in fields]) * np.sqrt(len(vertices))
    basis: Array = (columns * strength).reshape(len(vertices), 3, -1)
    return basis


def _albedo_basis(fields: dict[str, Array]) -> Array:
    columns = np.column_stack([field.ravel() for field in fields.values()])
    # Skin tone must stay what it is called, so later and smaller modes give way to it.
    return successive(columns).reshape(-1, 3, len(fields))


def _with_detail(fields: dict[str, Array], points: Array, seed: int) -> dict[str, Array]:
    """Fields with a little smooth random motion each, the same on both sides of the face."""
    random = np.random.default_rng(seed)
    return {name: field + _detail(field, points, random) for name, field in fields.items()}


def _detail(field: Array, points: Array, random: np.random.Generator) -> Array:
    # Wavelengths of about 15 cm: shorter ones would look like bumps on the skin.
    waves, pushes = random.normal(size=(6, 3)) / 40.0, random.normal(size=(6, 3))
    phases = random.uniform(0.0, 2 * np.pi, size=6)
    # Even in x for y and z, odd for x: the noise keeps faces symmetric.
    folded = np.column_stack([np.abs(points[:, 0]), points[:, 1:]])
    noise: Array = np.cos(folded @ waves.T + phases) @ pushes
    # Nothing on the middle line may move sideways.
    noise[:, 0] *= np.tanh(points[:, 0] / 20.0)
    size = np.sqrt((field**2).sum() / (noise**2).sum())
    return noise * float(_DETAIL * size)


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
    # First order of a rotation: modes are linear, so the chin moves on a tangent.
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
    # Between the lips the jaw's motion jumps, at the corners it fades, else cheeks would tear.
    follows = soft_step(0.5 - above / (2.0 * np.maximum(width, 1e-6)))
    below_chin = soft_step((y + 128.0) / 36.0)
    front = soft_step((masks.folded[:, 2] + 18.0) / 36.0)
    return follows * below_chin * front


def blink(masks: Masks, share: float) -> Array:
    """Move (V, 3) of the upper lid down by a share of the opening's height, over the eyeball."""
    x, y = masks.view.T
    upper, lower = lid_heights(x)
    above = np.maximum(y - upper, 0.0)
    weight = soft_step(1.0 - above / 9.0) * (1.0 - soft_step(masks.lid_depth / (1.6 * LID_EDGE)))
    weight = weight * (y > (upper + lower) / 2) * masks.facing
    drop = weight * (upper - lower) * share
    # A lid that only went down would cut through the eyeball, which bulges.
    inwards = _lid_depth(np.column_stack([x, y - drop])) - _lid_depth(masks.view)
    return np.column_stack([np.zeros_like(x), -drop, inwards * weight])


def _lid_depth(view: Array) -> Array:
    scaled = (view - np.array(EYEBALL[:2])) / np.array(LID_RADII[:2])
    return LID_RADII[2] * np.sqrt(np.maximum(1.0 - norm(scaled) ** 2, 0.05))


def similarity_directions(vertices: Array) -> Array:
    """(3V, 7) orthonormal columns: the translations, rotations and the scale of a shape."""
    centred = vertices - vertices.mean(axis=0)
    moves = [np.tile(axis, (len(vertices), 1)) for axis in np.eye(3)]
    moves += [np.cross(axis, centred) for axis in np.eye(3)]
    columns = np.column_stack([move.ravel() for move in [*moves, centred]])
    return np.linalg.qr(columns)[0]


def remove(columns: Array, directions: Array) -> Array:
    """Columns (N, K) without their parts along orthonormal directions (N, D)."""
    return columns - directions @ (directions.T @ columns)


def orthogonal(columns: Array) -> Array:
    """The orthonormal columns (N, K) closest to the given ones (Löwdin), after normalising.

    Every mode moves as little as possible, so each keeps its meaning; Gram-Schmidt would bend the
    later ones most.
    """
    unit = columns / np.sqrt((columns**2).sum(axis=0))
    # Inverse square root of the Gram matrix: the nearest orthonormal set in least squares.
    values, vectors = np.linalg.eigh(unit.T @ unit)
    closest: Array = unit @ (vectors / np.sqrt(values)) @ vectors.T
    return closest


def successive(columns: Array) -> Array:
    """Columns (N, K) each without its part along the earlier ones, lengths kept (Gram-Schmidt).

    For modes in order of reach: the first stay as they are, later and smaller ones give way.
    """
    lengths = np.sqrt((columns**2).sum(axis=0))
    basis, upper = np.linalg.qr(columns)
    scaled: Array = basis * np.sign(np.diag(upper)) * lengths
    return scaled


def quantise(array: Array, bits: int) -> np.typing.NDArray[np.float32]:
    """Rounded to multiples of 2^-bits, so that a CPU's last bits do not reach the digest."""
    # A power of two: the rounded value is exact in binary, and its digest the same everywhere.
    step = 2.0**bits
    # Adding 0 turns -0.0 into 0.0, which differ in their bytes.
    return (np.round(array * step) / step + 0.0).astype(np.float32)
