"""The folder of a measured set of pairs: rows as they come, what they sum up to, resumption."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ...bench.pairs.measure_pair import MeasuredPair, PairRuler
from ...bench.pairs.sets import Pair
from ...errors import FacebenchError
from ...recon.files.text import read_json
from ..files import atomic_write, read_frame, write_json
from ..run.items import check_columns
from ..run.point_errors import PointErrors
from ..run.record import SCORED, host, now, package_versions, source_state
from ..run.summary import errors_over_points, errors_over_subjects

ALL = "all"
"""Name of the group that every pair belongs to."""


@dataclass(frozen=True)
class GroupSummary:
    """What the pairs of a group sum up to; errors in mm, NaN without a score.

    Attributes:
        mean_mm, std_mm: over the pairs' errors, or over all points of all pairs where the protocol
            pools.
        ci95_mm: 95 % bootstrap interval of the mean over pairs.
        median_mm, rmse_mm, p90_mm: the mean of the pairs' own, or over all points.
        n_scored, n_failed: pairs with and without a number.
    """

    mean_mm: float
    std_mm: float
    ci95_mm: tuple[float, float]
    median_mm: float
    rmse_mm: float
    p90_mm: float
    n_scored: int
    n_failed: int


class PairsFolder:
    """A measured set on disk: `pairs.json`, `pairs.parquet`, `distances/`, `summary.json`.

    Each file is replaced in one step, so that a run killed at any moment can be continued.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.point_errors = PointErrors(root / "distances")

    def begin(self, command: str, dataset: str, ruler: PairRuler) -> None:
        """Keep what decides the numbers, with where it ran.

        Raises:
            FacebenchError: the folder holds a set measured in another way, or another run.
        """
        path = self.root / "pairs.json"
        settings = {"dataset": dataset, **_settings(ruler)}
        self._refuse_other(settings)
        commit, dirty = source_state()
        facts = {"commit": commit, "dirty": dirty, "versions": package_versions(), "host": host()}
        write_json(path, {"command": command, "settings": settings, **facts, "started": now()})

    def rows(self) -> pd.DataFrame:
        """The table of the pairs; empty before the first."""
        path = self.root / "pairs.parquet"
        if not path.is_file():
            return pd.DataFrame()
        table = read_frame(path)
        lacking = {"name", "group", "status", "fingerprint"} - set(table.columns)
        if lacking:
            raise FacebenchError(f"{path} has no {', '.join(sorted(lacking))}", "remove it")
        check_columns(table, path)
        return table

    def done(self, pairs: Sequence[Pair]) -> list[dict[str, Any]]:
        """Rows of those pairs that have a score and whose files are as they were."""
        table = self.rows()
        if table.empty:
            return []
        fingerprints = {pair.name: pair.fingerprint for pair in pairs}
        same = table["name"].map(fingerprints).eq(table["fingerprint"])
        rows = table[same & table["status"].eq(SCORED)].to_dict("records")
        return [{**row, "curve": list(row["curve"])} for row in rows]

    def keep(self, rows: Sequence[dict[str, Any]], new: MeasuredPair) -> None:
        """Keep the rows, and the single distances of the new one among them."""
        name, group = new.row["name"], new.row["group"]
        if new.row["status"] == SCORED:
            self.point_errors.write(name, group, new.distances)
        else:
            self.point_errors.remove(name, group)
        self.write_rows(rows)

    def write_rows(self, rows: Sequence[dict[str, Any]]) -> None:
        """Write `pairs.parquet`, sorted by name."""
        self.root.mkdir(parents=True, exist_ok=True)
        table = pd.DataFrame(list(rows)).sort_values("name", ignore_index=True)
        with atomic_write(self.root / "pairs.parquet") as draft:
            table.to_parquet(draft, index=False)

    def summarise(self, ruler: PairRuler) -> dict[str, GroupSummary]:
        """Write and give the summary of all pairs and of each group, where there are several."""
        table, protocol = self.rows(), ruler.protocol
        names = [name for name in sorted(table["group"].unique()) if name]
        parts = {ALL: table} | {name: table[table["group"] == name] for name in names}
        groups = {name: self._summary(rows, ruler) for name, rows in parts.items()}
        labels = {"protocol": protocol.name, "digest": protocol.digest}
        values = {name: asdict(group) for name, group in groups.items()}
        write_json(self.root / "summary.json", {**labels, "groups": values})
        return groups

    def _summary(self, rows: pd.DataFrame, ruler: PairRuler) -> GroupSummary:
        scored, protocol = rows[rows["status"] == SCORED], ruler.protocol
        if protocol.reduction.subjects == "pooled":
            keys = zip(scored["name"], scored["group"], strict=True)
            points = [self.point_errors.read(*key) for key in keys]
            errors = errors_over_points(points, protocol.distance.direction, 0)
        else:
            errors = errors_over_subjects(scored, protocol.reduction.std == "population", 0)
        return GroupSummary(**errors, n_scored=len(scored), n_failed=len(rows) - len(scored))

    def _refuse_other(self, asked: dict[str, Any]) -> None:
        if (self.root / "run.json").is_file():
            raise FacebenchError(f"{self.root} holds another kind of run", "choose another --out")
        kept = self._kept_settings()
        name = next((key for key in asked if kept.get(key, asked[key]) != asked[key]), None)
        if name is not None:
            raise FacebenchError(
                f"{self.root} holds a set measured with another {name.replace('_', ' ')}",
                f"it has {kept[name]}, this command {asked[name]}; choose another --out",
            )

    def _kept_settings(self) -> dict[str, Any]:
        path = self.root / "pairs.json"
        if not path.is_file():
            return {}
        try:
            kept: dict[str, Any] = read_json(path)["settings"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise FacebenchError(f"{path} cannot be read", "choose another --out") from error
        return kept


def _settings(ruler: PairRuler) -> dict[str, Any]:
    return {
        "protocol": ruler.protocol.name,
        "protocol_digest": ruler.protocol.digest,
        "prediction_unit": ruler.prediction_unit,
        "scan_unit": ruler.scan_unit,
    }
