"""Faces coloured by their error, turned to the front, drawn from the meshes that a run keeps."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from ...errors import FacebenchError
from ...recon.mesh import Mesh, vertex_normals
from ...recon.morphable import EMBEDDED
from ...recon.morphable.load import load_model
from ...recon.morphable.model import MorphableModel
from ..run.items import item_names, read_errors
from ..tables.series import ERROR, Series

Array = NDArray[np.float64]

SCALE_MM = 5.0
"""The colour at the end of the scale stands for this error and all above, in every report."""

SIZE, QUALITY = 400, 75
"""Pixels of a map's side and WebP quality: 159 maps take about 3 MB."""
MAX_MAPS = 159
"""Of one page: 53 subjects in 3 scenes; the best of a larger set are left out."""

_STOPS = np.linspace(0, 1, 5)
_SCALE = np.array(
    [(255, 252, 214), (254, 217, 118), (253, 141, 60), (227, 26, 28), (128, 0, 38)], np.float64
)
_UNKNOWN = (0.62, 0.64, 0.68)
_LIGHT = (0.45, 0.55)
"""Ambient and frontal share of the light, so that the shape shows and colours stay readable."""

HeatMap = tuple[str, str, float, float, str]
"""Subject, scene, error in mm, completeness or NaN, and the picture as a data address."""


def frontal(mesh: Mesh, reference: Array | None) -> Mesh:
    """The mesh turned to face +z, y up, at the origin.

    Args:
        mesh: in mm, anywhere.
        reference: (V, 3) a frontal face of the same topology; without one the front is where most
            of the surface looks and up is along its longer side.
    """
    centred = mesh.vertices - mesh.vertices.mean(axis=0)
    return replace(mesh, vertices=centred @ frontal_rotation(mesh, reference).T)


def frontal_rotation(mesh: Mesh, reference: Array | None) -> Array:
    """Rotation (3, 3) of a mesh to the frontal pose, see `frontal`."""
    centred = mesh.vertices - mesh.vertices.mean(axis=0)
    # Another number of vertices is another topology: nothing corresponds point by point.
    if reference is not None and reference.shape == centred.shape:
        return rotation_onto(centred, reference)
    return _by_shape(mesh, centred)


def rotation_onto(points: Array, reference: Array) -> Array:
    """Rotation (3, 3) that lays centred points (V, 3) best on others of the same order."""
    covariance = (reference - reference.mean(axis=0)).T @ points
    left, _, right = np.linalg.svd(covariance)
    # Kabsch: without it the best fit may be a reflection, which no pose undoes.
    sign = np.sign(np.linalg.det(left @ right))
    return np.asarray(left @ np.diag([1.0, 1.0, sign]) @ right)


def _by_shape(mesh: Mesh, centred: Array) -> Array:
    front = vertex_normals(mesh).mean(axis=0)
    # The normals of a closed surface cancel; such a mesh has no front that could be found.
    front /= np.linalg.norm(front) or 1.0
    # Up is sought at right angles to the front, else it leans into the nose.
    flat = centred - np.outer(centred @ front, front)
    up = np.linalg.svd(flat, full_matrices=False)[2][0]
    # Scans are upright within a right angle: of the two ends of the longer side, up has +y.
    up = up if up[1] >= 0 else -up
    return np.stack([np.cross(up, front), up, front])


def heat_maps(series: Series) -> Iterator[HeatMap]:
    """The scored meshes of a run, the worst subject first, a subject's scenes together.

    Meshes that are not there or cannot be read are left out: the table has their numbers.
    """
    scenes = series.record.scenes
    # Whole subjects: a subject with one scene missing would look like a failure.
    shown = worst_first(series.subjects)[: max(1, MAX_MAPS // max(1, len(scenes)))]
    scored = series.subjects[series.subjects[ERROR].notna()]
    scored = scored[item_names(scored).isin(shown)]
    rows = {
        (name, str(row.scene)): (
            str(row.item),
            float(getattr(row, ERROR)),
            float(getattr(row, "completeness", math.nan)),
        )
        for name, row in zip(item_names(scored), scored.itertuples(), strict=True)
    }
    reference = frontal_face(series)
    for key in ((name, scene) for name in shown for scene in scenes):
        item, error_mm, share = rows.get(key, ("", math.nan, math.nan))
        path = series.run.mesh_path(item)
        if item and path.is_file():
            mesh, errors = read_errors(path)
            yield *key, error_mm, share, draw(frontal(mesh, reference), errors)


def worst_first(subjects: pd.DataFrame) -> list[str]:
    """The subjects that have a score, the largest mean over scenes first."""
    if ERROR not in subjects:
        return []
    scored = subjects[subjects[ERROR].notna()]
    means = scored.groupby(item_names(scored))[ERROR].mean()
    return [str(name) for name in means.sort_values(ascending=False).index]


def draw(mesh: Mesh, errors: NDArray[np.float64]) -> str:
    """A frontal mesh coloured by its errors, as a data address, with a clear background."""
    return picture_address(heat_picture(mesh, errors))


def heat_picture(mesh: Mesh, errors: NDArray[np.float64], size: int = SIZE) -> Image.Image:
    """A mesh seen from +z and coloured by its errors (V,), RGBA with a clear background."""
    import torch

    from ...recon.render.outline import OutlineRenderer

    points, colours = _in_view(mesh, errors), _shade(mesh, error_colours(errors))
    rendering = OutlineRenderer()(
        torch.from_numpy(points).float().unsqueeze(2),
        torch.from_numpy(colours).float().unsqueeze(2),
        torch.from_numpy(np.asarray(mesh.triangles, np.int64)),
        (size, size),
    )
    layers = torch.cat([rendering.image[0], rendering.silhouette])
    pixels = layers.clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).numpy()
    return Image.fromarray(pixels)


def error_colours(errors: NDArray[np.float64]) -> NDArray[np.float64]:
    """RGB (V, 3) of errors (V,): pale for none, dark red at the scale's end, grey for unknown."""
    position = np.clip(np.nan_to_num(errors) / SCALE_MM, 0, 1)
    channels = [np.interp(position, _STOPS, values / 255) for values in _SCALE.T]
    colours = np.stack(channels, axis=1)
    # Last: the scale has coloured them like an error of zero.
    colours[np.isnan(errors)] = _UNKNOWN
    return colours


def legend_gradient() -> str:
    """The colour scale as a CSS gradient."""
    colours = zip(_STOPS.tolist(), _SCALE.tolist(), strict=True)
    parts = (f"rgb({r:.0f} {g:.0f} {b:.0f}) {stop:.0%}" for stop, (r, g, b) in colours)
    return f"linear-gradient(to right, {', '.join(parts)})"


def picture_address(picture: Image.Image) -> str:
    """A picture as a data address; WebP keeps soft edges over any background in few bytes."""
    file = io.BytesIO()
    picture.save(file, "WEBP", quality=QUALITY)
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"


def frontal_face(series: Series) -> NDArray[np.float64] | None:
    """The mean face of the run's model, which defines the front; None without the model."""
    model = model_of(series)
    return None if model is None else model.mean_shape.astype(np.float64)


def model_of(series: Series) -> MorphableModel | None:
    """The face model of a run; None where it is not at hand, or is another one by now."""
    try:
        model = load_model(str(series.record.arguments.get("model") or EMBEDDED))
    except (FacebenchError, OSError):
        return None
    return model if model.digest == series.record.model_digest else None


def _in_view(mesh: Mesh, errors: NDArray[np.float64]) -> NDArray[np.float64]:
    """The measured part in the middle, its longer side 1.8 of the picture's 2 units."""
    # What was measured fills the picture; hair and neck would make the face small.
    measured = ~np.isnan(errors)
    seen = mesh.vertices[measured] if measured.any() else mesh.vertices
    low, high = seen.min(axis=0), seen.max(axis=0)
    # By width and height: depth does not show in a view along it.
    return np.asarray((mesh.vertices - (low + high) / 2) * (1.8 / (high - low)[:2].max()))


def _shade(mesh: Mesh, colours: NDArray[np.float64]) -> NDArray[np.float64]:
    ambient, frontal_share = _LIGHT
    facing = vertex_normals(mesh)[:, 2].clip(0, 1)
    return np.asarray(colours * (ambient + frontal_share * facing)[:, None])
