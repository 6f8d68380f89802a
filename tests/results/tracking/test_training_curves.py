from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from facebench.results.tracking import training
from facebench.results.tracking.training import draw_curves, steps_and_minutes

LOG = [
    {"step": 60.0, "total": 3.0, "images_per_s": 10.0},
    {"step": 90.0, "total": 2.0, "images_per_s": 5.0},
]


def test_minutes_follow_from_steps_batch_and_speed() -> None:
    steps, minutes = steps_and_minutes(LOG, batch_size=10)
    assert steps == [0.0, 60.0, 90.0]
    assert minutes == pytest.approx([0.0, 1.0, 2.0])
    assert steps_and_minutes([], 16) == ([0.0], [0.0])


def test_identity_coefficients_share_one_plot(tmp_path: Path) -> None:
    measured = {"step": 90.0, "shape_mm": 2.0}
    few = [measured | {f"mode_{k:03d}": 0.5 for k in range(1, 3)}]
    many = [measured | {f"mode_{k:03d}": 0.5 for k in range(1, 100)}]
    sizes = [
        Image.open(draw_curves(LOG, rows, 10, tmp_path / "curves.png")).size for rows in (few, many)
    ]
    assert sizes[0] == sizes[1]
    # More colours than ten.
    assert Image.open(tmp_path / "curves.png").convert("RGB").getcolors(10) is None


def test_columns_of_one_meaning_share_a_panel() -> None:
    log = [{"step": 9.0, "total": 3.0, "gradient_pixel": 2.0, "gradient_prior": 1e-4, "waiting": 0}]
    held_out = [{"step": 9.0, "shape_mm": 2.0, "mean_face_mm": 3.0, "landmark_px": 1.0}]
    panels = [*training._panels(log, "Loss"), *training._panels(held_out, "Held-out faces")]
    assert [(panel.group, panel.title, [*panel.lines]) for panel in panels] == [
        ("Loss", "total", ["total"]),
        ("Gradients", "norm of a weighted term's gradient", ["pixel", "prior"]),
        ("Speed", "share of waiting for input", ["waiting"]),
        ("Held-out faces", "shape error, mm", ["a person's mean", "mean face"]),
        ("Held-out faces", "landmarks, px of 224", ["landmark px"]),
    ]


def test_a_training_without_a_line_has_a_picture(tmp_path: Path) -> None:
    assert draw_curves([], [], 10, tmp_path / "curves.png").stat().st_size > 100
