"""Coefficients written, checked against the schema, and read again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from facebench.errors import FacebenchError
from facebench.recon.face.coefficients import (
    FaceCoefficients,
    Origin,
    frame_table,
    read_coefficients,
    schema,
    write_coefficients,
)
from facebench.recon.face.crop import Box


def a_face() -> FaceCoefficients:
    random = np.random.default_rng(0)
    pose = np.array([0.1, -0.2, 0.3, 0.4, 0.5, 0.0, 0.01])
    return FaceCoefficients(
        *(random.normal(size=n) for n in (4, 3, 2)), pose, random.normal(size=(9, 3))
    )


def a_table(face: FaceCoefficients) -> dict[str, Any]:
    points = np.random.default_rng(1).normal(200, 50, (68, 2))
    points[3] = np.nan
    return {
        **Origin("m", "a" * 64, "ours", "b" * 64).as_table(),
        "kind": "photograph",
        "source": "p.jpg",
        "picture": {"width_px": 640, "height_px": 480},
        "identity": face.identity.tolist(),
        "albedo": face.albedo.tolist(),
        "frame_count": 1,
        "frames": [frame_table(face, Box(1.0, 2.0, 30.0, 40.0), points)],
        "frames_file": None,
        "files": ["p.obj"],
    }


def test_a_written_file_keeps_the_schema_and_is_read_as_the_same_face(tmp_path: Path) -> None:
    face = a_face()
    write_coefficients(tmp_path / "p.json", a_table(face))
    jsonschema.Draft202012Validator.check_schema(schema())
    table = json.loads((tmp_path / "p.json").read_text())
    jsonschema.validate(table, schema())
    assert table["frames"][0]["landmarks_px"][3] is None
    read = read_coefficients(tmp_path / "p.json")
    for name, values in vars(face).items():
        np.testing.assert_array_equal(vars(read)[name], values[None], err_msg=name)


@pytest.mark.parametrize(
    ("member", "value"),
    [("unit", "cm"), ("frame_count", 0), ("kind", "painting"), ("model", {"name": "m"})],
)
def test_the_schema_refuses_what_is_wrong(tmp_path: Path, member: str, value: Any) -> None:
    write_coefficients(tmp_path / "p.json", a_table(a_face()) | {member: value})
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(json.loads((tmp_path / "p.json").read_text()), schema())


@pytest.mark.parametrize("text", ["", "{}", '{"format": "other"}', "[1]"])
def test_another_file_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "p.json").write_text(text)
    with pytest.raises(FacebenchError, match="not a coefficients file"):
        read_coefficients(tmp_path / "p.json")


def test_a_videos_file_names_its_table(tmp_path: Path) -> None:
    table = a_table(a_face()) | {"kind": "video", "frames": [], "frames_file": "v_frames.parquet"}
    write_coefficients(tmp_path / "v.json", table)
    jsonschema.validate(json.loads((tmp_path / "v.json").read_text()), schema())
    with pytest.raises(FacebenchError, match=r"v_frames\.parquet"):
        read_coefficients(tmp_path / "v.json")
