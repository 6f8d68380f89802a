"""Errors of several runs on the part of the scans that all of them cover."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from ...bench.scoring.statistics import Interval, bootstrap_interval, deviation, mean
from ...bench.surface.triangles import Float64Array, triangle_areas, vertex_areas
from ...errors import FacebenchError
from ...recon.mesh import Mesh
from ..run.folder import RunFolder
from ..run.items import of_scene, read_errors
from ..tables.scenes import SceneRows
from ..tables.series import ERROR, Series, scene_column, subject_of
from ..tables.table import Cell, Table, interval_text, share_text, spread_text

# Kept scans have about 3 mm between vertices. Two runs that found the nose tip elsewhere keep
# parts that were thinned in other cells: a vertex then takes the error of the nearest one.
NEAR_MM = 3.0
NOTE = (
    "Mean distance over the area, from the scan to the prediction, by the protocol's measure, at "
    "the vertices that the runs keep of the scan. Under it: 95 % interval over subjects; subjects "
    "· of the area that at least one run covers, the share that all do. Each run is registered to "
    "all that it covers, and less of a face fits closer: a lower error of less shows nothing."
)


@dataclass(frozen=True)
class CommonCell:
    """One run in one scene, on the common region.

    Attributes:
        mean_mm, std_mm: over the subjects that have a common region.
        ci95_mm: bootstrap interval of the mean over subjects.
        n_subjects: so many.
        share: of the area that at least one run covers, what all of them do; mean over subjects.
    """

    mean_mm: float
    std_mm: float
    ci95_mm: Interval
    n_subjects: int
    share: float


@dataclass(frozen=True, eq=False)
class CommonRegion:
    """All runs on the region that all of them cover.

    Attributes:
        tables: label to the run's items, their number replaced by the mean error there, from scan
            to prediction by the protocol's measure, NaN where some run has none.
        cells: label to scene to the numbers.
        note: what was left out, or empty.
    """

    tables: dict[str, pd.DataFrame]
    cells: dict[str, dict[str, CommonCell]]
    note: str = ""

    def table(self, content: SceneRows) -> Table:
        """One row a run; the lowest mean of a scene stands out, of those that cover the most."""
        scenes = content.scenes
        lowest = {
            scene: min(
                (
                    self.cells[row.label][scene].mean_mm
                    for row in content.rows
                    if row.measured and not content.less_complete(row, scene)
                ),
                key=lambda value: math.inf if math.isnan(value) else value,
                default=math.nan,
            )
            for scene in scenes
        }
        rows = tuple(
            (Cell(label), *(_text(cells[scene], lowest[scene]) for scene in scenes))
            for label, cells in self.cells.items()
        )
        notes = (NOTE, self.note) if self.note else (NOTE,)
        heading = f"Error in mm on the region that all runs cover, mean ± std, {content.title}"
        return Table(heading, ("run", *scenes), rows, notes)


def common_region(runs: Sequence[Series], scenes: Sequence[str]) -> CommonRegion:
    """Take every run's errors where all of them have one.

    Handing in less face pays nothing here: what one of the runs leaves out counts for none.

    Args:
        runs: two or more, of one protocol on one dataset.
        scenes: in table order.

    Raises:
        FacebenchError: fewer than two runs, or one that kept no errors of its scans.
    """
    if len(runs) < 2:
        raise FacebenchError("one run has no region in common with others", "give two or more")
    named = [run.subjects.set_index("item") for run in runs]
    scored = [set(frame.index[frame[ERROR].notna()]) for frame in named]
    errors: dict[str, Float64Array] = {}
    shares: dict[str, float] = {}
    others = 0
    for item in sorted(set.intersection(*scored)):
        if len({str(frame.loc[item].get("scan", "")) for frame in named}) > 1:
            others += 1  # Of several scans each run took the one that fits it: no common surface.
            continue
        found = _on_common_region([_read_scan_errors(run.run, item) for run in runs])
        errors[item], shares[item] = found
    replaced = {
        run.label: run.subjects.assign(
            **{
                ERROR: [
                    float(errors[i][n]) if i in errors else math.nan for i in run.subjects["item"]
                ]
            }
        )
        for n, run in enumerate(runs)
    }
    cells = {
        label: {scene: _cell(frame, scene, shares) for scene in scenes}
        for label, frame in replaced.items()
    }
    note = f"Left out, as the runs measured them on different scans: {others}." if others else ""
    return CommonRegion(replaced, cells, note)


def _read_scan_errors(run: RunFolder, item: str) -> tuple[Mesh, Float64Array]:
    """The scan that an item was measured on, and the error at its vertices."""
    path: Path = run.scan_path(item)
    if not path.is_file():
        raise FacebenchError(
            f"{run.root} kept no errors of the scan of {item}",
            "measure it again with this version, or compare without --common-region",
        )
    mesh, values = read_errors(path)
    if np.isnan(values).all():
        raise FacebenchError(
            f"{run.root} has no errors on the scan of {item}: its protocol measures the "
            "prediction's points only",
            "compare without --common-region",
        )
    return mesh, values


def _on_common_region(
    kept: Sequence[tuple[Mesh, Float64Array]],
) -> tuple[Float64Array, float]:
    """Mean errors (R,) of runs over the vertices that all have one at, and the share of these.

    The share is NaN, and so are the means, where there is none.
    """
    mesh, first = kept[0]
    vertices = np.asarray(mesh.vertices, np.float64)
    triangles = np.asarray(mesh.triangles, np.int64)
    columns = [first, *(_errors_near(vertices, *other) for other in kept[1:])]
    errors = np.stack(columns)
    known = ~np.isnan(errors)
    areas = vertex_areas(triangles, triangle_areas(vertices, triangles), len(vertices))
    common, any_run = areas * known.all(0), areas * known.any(0)
    if not common.sum() > 0:
        return np.full(len(kept), np.nan), float("nan")
    means = np.where(known.all(0), errors, 0.0) @ common / common.sum()
    return means, float(common.sum() / any_run.sum())


def _errors_near(places: Float64Array, mesh: Mesh, errors: Float64Array) -> Float64Array:
    """The errors (V,) of another run's scan at places (V, 3), NaN where it keeps nothing near."""
    vertices = np.asarray(mesh.vertices, np.float64)
    distance, index = cKDTree(vertices).query(places, distance_upper_bound=NEAR_MM)
    found = np.minimum(index, len(vertices) - 1)
    return np.where(np.isfinite(distance), errors[found], np.nan)


def _cell(items: pd.DataFrame, scene: str, shares: dict[str, float]) -> CommonCell:
    errors, owners = scene_column(items, scene), subject_of(items, scene)
    values = np.array(list(errors.values()))
    rows = of_scene(items, scene)
    known = [shares[item] for item in rows["item"][rows[ERROR].notna()]]
    interval = bootstrap_interval(values, subjects=[owners[name] for name in errors])
    return CommonCell(mean(values), deviation(values), interval, len(values), mean(known))


def _text(cell: CommonCell, lowest: float) -> Cell:
    details = (
        interval_text(cell.ci95_mm.low, cell.ci95_mm.high),
        f"{cell.n_subjects} · {share_text(cell.share)}",
    )
    error = spread_text(cell.mean_mm, cell.std_mm)
    return Cell(error, details, "best" if cell.mean_mm == lowest else "")
