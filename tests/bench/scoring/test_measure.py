"""A subject's rows: what is doubtful about an alignment is said."""

from __future__ import annotations

from pathlib import Path

from small_micc import write_scan

from facebench.bench.dataset.interface import Item, Scan
from facebench.bench.protocol.record import Protocol, preset
from facebench.bench.scoring.measure import measure
from facebench.bench.scoring.target import Prediction
from facebench.recon.morphable.model import MorphableModel


def _note(path: Path, model: MorphableModel, protocol: Protocol) -> str:
    scan = Scan("a", "frontal1", write_scan(path / "a.obj", model, seed=3))
    item = Item("a/cooperative", "a", "cooperative", scans=(scan,))
    return measure(item, Prediction(model.mesh(), "", 1, 1), protocol).result.note


def test_a_face_that_covers_little_of_the_scan_is_noted(
    model: MorphableModel, tmp_path: Path
) -> None:
    usual = preset("micc").with_setting("points.longest_edge_mm", "inf")
    assert _note(tmp_path, model, usual) == ""
    narrow = usual.with_setting("intersection.max_distance_mm", "1")
    assert "of the cropped scan has a counterpart" in _note(tmp_path, model, narrow)
