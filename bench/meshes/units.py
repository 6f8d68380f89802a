"""The unit of a mesh: its millimetres, and whether it is as large as a face in it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...errors import FacebenchError
from ...recon.mesh import Mesh

UNITS = {"mm": 1.0, "cm": 10.0, "m": 1000.0}
"""Millimetres in a unit."""
ANY_UNIT = "any"
"""Stands for a side whose unit is not known: the landmarks of both sides tell its size."""
UNIT_OPTION = "--prediction-unit"
_EXTENTS_MM = (80.0, 800.0)
"""Longest side of a face, from the bare mask to head and shoulders; a factor of ten, so that the
ranges of millimetres and centimetres do not meet."""
_HEAD_MM = 250.0
_BODY_MM = 2500.0
_INCH_MM = 25.4
_COARSEST = 1e-3
"""Of a mesh's longest side: steps of 0.2 mm on a face."""
_FAR = 500.0
"""Of a mesh's longest side: a vertex further from its middle belongs to no face and no room."""


class UnitError(FacebenchError):
    """A mesh that is not as large as a face in its unit."""


def unit_in_mm(unit: str) -> float:
    """Millimetres in a unit: `mm`, `cm`, `m`, or that number itself, such as `51.2`.

    Raises:
        FacebenchError: it is none of them.
    """
    try:
        factor = UNITS.get(unit) or float(unit)
    except ValueError:
        factor = 0.0
    if not 0 < factor < np.inf:
        raise FacebenchError(
            f"unknown unit '{unit}'", f"known: {', '.join(UNITS)}, or its millimetres per unit"
        )
    return factor


def to_millimetres(mesh: Mesh, unit: str) -> Mesh:
    """The mesh in mm, from a unit; see `unit_in_mm`."""
    return replace(mesh, vertices=np.asarray(mesh.vertices, np.float64) * unit_in_mm(unit))


def check_unit(mesh: Mesh, name: str, unit: str = "mm", option: str = "") -> None:
    """Refuse a mesh that is not as large as a face when its numbers are read in a unit.

    Args:
        mesh: clean.
        name: of it, for the message.
        unit: see `unit_in_mm`.
        option: what the user gives the unit by; empty where the mesh must be given in mm.

    Raises:
        UnitError: with the unit or the factor that would fit.
        FacebenchError: it has no size, or one vertex is far from the others.
    """
    factor = unit_in_mm(unit)
    check_far_vertices(mesh, name)
    extent = _extent(mesh)
    low, high = _EXTENTS_MM
    if low <= extent * factor < high:
        return
    guess = guess_unit(mesh)
    if guess is not None:
        advice = f"pass {option} {guess}" if option else f"multiply it by {UNITS[guess]:g}"
        if option and low <= extent * _INCH_MM < high:
            # The ranges of centimetres and inches meet, and their numbers do not tell which.
            advice += f", or {option} {_INCH_MM:g} if it is in inches"
        if low / 2 <= extent * factor < low:
            advice += f"; if it is a piece of a face, give one of at least {low:g} mm"
        raise UnitError(
            f"{name}: looks like {guess}, not {unit} (its longest side is {extent:.4g})", advice
        )
    size = f"{extent * factor:.4g} mm" if unit != "mm" else f"{extent:.4g} mm"
    extreme = "small for" if extent * factor < low else "large for"
    message = f"{name}: its longest side is {size}, too {extreme} a face"
    if extent <= 0:
        raise FacebenchError(message, "it has no size in any unit")
    what = f"pass {option} with its millimetres per unit" if option else "multiply it by a factor"
    if high <= extent * factor < _BODY_MM:
        what = f"cut the head out of a whole body; else {what}"
    raise UnitError(
        message,
        f"a face is {low:g} to {high:g} mm with head and shoulders; {what}, between "
        f"{_rounded_up(low / extent)} and {_rounded_down(high / extent)} "
        f"({_HEAD_MM / extent:.3g} for a head of {_HEAD_MM:g} mm)",
    )


def guess_unit(mesh: Mesh) -> str | None:
    """The unit in which the mesh is as large as a face, or None."""
    extent = _extent(mesh)
    low, high = _EXTENTS_MM
    fits = [name for name, factor in UNITS.items() if low <= extent * factor < high]
    return fits[0] if fits else None


def check_far_vertices(mesh: Mesh, name: str) -> None:
    """Refuse a mesh with a vertex that no face can have, or too far from 0 for its digits.

    Raises:
        FacebenchError: with its coordinates, or their steps.
    """
    vertices = np.asarray(mesh.vertices, np.float64)
    # Surveys have coordinates of millions, of which 32 bits keep steps as large as a nose.
    with np.errstate(over="ignore"):
        short = vertices.astype(np.float32)
    steps = np.spacing(np.median(np.abs(short), axis=0))[(short == vertices).all(axis=0)]
    step = float(steps.max(initial=0))
    if step > _COARSEST * _extent(mesh) > 0:
        raise FacebenchError(
            f"{name}: its coordinates are in steps of {step:.3g}, and its longest side is "
            f"{_extent(mesh):.4g}: too far from 0 for numbers of 32 bits",
            "move it to 0 where its numbers have 64 bits, and export it again",
        )
    # The percentiles of the size pass over a few strays; here one is enough.
    away = np.abs(vertices - np.median(vertices, axis=0)).max(axis=1)
    worst = int(away.argmax())
    extent = _extent(mesh)
    if away[worst] > _FAR * max(extent, np.finfo(float).tiny):
        place = ", ".join(f"{value:.4g}" for value in vertices[worst])
        raise FacebenchError(
            f"{name}: a vertex at ({place}), {away[worst] / max(extent, 1e-300):.3g} times as far "
            "as the others reach",
            "delete it in a mesh editor",
        )


def rounding_note(mesh: Mesh) -> str:
    """By how much whoever wrote a mesh rounded all of its coordinates; empty for next to nothing.

    Metres with three decimals are steps of a millimetre, of which a quarter is error. Range images
    and voxels have steps along two axes.
    """
    vertices = np.asarray(mesh.vertices, np.float64)
    steps = [float(np.diff(values).min(initial=np.inf)) for values in map(np.unique, vertices.T)]
    step = min(steps, default=0.0)
    extent = _extent(mesh)
    if not _COARSEST * extent < step < np.inf:
        return ""
    return (
        f"its coordinates are rounded to steps of {step:.3g}, and its longest side is "
        f"{extent:.4g}: write more decimals"
    )


def _extent(mesh: Mesh) -> float:
    """Longest side of the box around all but the outermost vertices: one stray point is no size."""
    low, high = np.percentile(mesh.vertices, [0.5, 99.5], axis=0)
    return float((high - low).max())


def _rounded_up(value: float) -> str:
    """Three digits of which the number is not less: what is advised must be taken."""
    text = f"{value:.3g}"
    return text if float(text) >= value else f"{value * 1.005:.3g}"


def _rounded_down(value: float) -> str:
    text = f"{value:.3g}"
    return text if float(text) < value else f"{value * 0.995:.3g}"
