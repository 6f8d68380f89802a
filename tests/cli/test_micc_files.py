"""`facebench micc --method meshes:DIR`: faces from elsewhere, measured without a video."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner
from small_micc import scan_path, write_scan

from facebench.cli.main import group
from facebench.recon.export.mesh_files import write_mesh
from facebench.recon.mesh import Mesh
from facebench.recon.morphable.load import load_model
from facebench.results.run.folder import RunFolder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFolder, str]:
    """A run on the very faces that were scanned, turned and in cm; one of three is missing."""
    home, model = tmp_path_factory.mktemp("files"), load_model("embedded")
    turn = np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])
    for subject in (1, 2, 3):
        # The first person's pose is searched for.
        write_scan(scan_path(home / "data", subject), model, subject, labelled=subject > 1)
    for subject in (1, 2):
        rng = np.random.default_rng(subject)
        person = model.mesh(identity=rng.normal(size=model.identity_basis.shape[2]))
        turned = Mesh(person.vertices @ turn.T / 10, person.triangles)
        write_mesh(turned, home / "theirs" / f"subject_{subject:02d}" / "Indoor-Cooperative.obj")
    np.savetxt(home / "theirs" / "landmarks.txt", model.landmarks, fmt="%d")
    (home / "options.toml").write_text(
        'data = "data"\nmethod = "meshes:theirs"\nprediction-unit = "cm"\nscenes = ["cooperative"]'
    )
    coarse = "--set", "points.longest_edge_mm=inf"  # half the time of a measurement
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        done = CliRunner().invoke(
            group, ["micc", "--options", "options.toml", "--out", "run", *coarse]
        )
    assert done.exit_code == 0, done.output
    return RunFolder(home / "run"), done.stdout


def test_the_scanned_faces_themselves_have_no_error(run: tuple[RunFolder, str]) -> None:
    rows = run[0].items().set_index("subject")
    scored = rows.loc[["subject_01", "subject_02"]]
    assert (scored["value_mm"] < 0.01).all() and (scored["frames"] == 0).all()
    np.testing.assert_allclose(scored["scale"], 1, atol=1e-3)
    assert "no prediction of subject_03" in rows.loc["subject_03", "reason"]


def test_coverage_is_unknown_and_not_zero(run: tuple[RunFolder, str]) -> None:
    summary = run[0].summary()["cooperative"]
    assert np.isnan(summary.coverage) and (summary.frames, summary.n_failed) == (0, 1)
    assert "2/3" in run[1] and "0%" not in run[1] and "frames/s" not in run[1]


def test_the_record_names_the_folder_and_the_file_of_options(run: tuple[RunFolder, str]) -> None:
    record = run[0].record()
    assert record.method == "meshes:theirs" and record.card.kind == "files"
    assert record.given["prediction_unit"] == "cm" and "options.toml" not in record.command
    assert "--prediction-unit cm" in record.command and record.problems == ()
