"""What a choice does to the number of one face."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from facebench.bench.audit.measure import CHOICES, Choice, measure_choices
from facebench.bench.landmarks import Landmarks
from facebench.bench.protocol.record import preset
from facebench.bench.scoring.score import score_prediction
from facebench.bench.scoring.target import Target
from facebench.recon.mesh import Mesh


@pytest.fixture(name="scan", scope="module")
def _scan(person: Mesh, scan_of: Callable[..., Mesh]) -> Mesh:
    return scan_of(person)


def target_of(scan: Mesh, landmarks: Landmarks | None = None) -> Target:
    return Target(scan, "s", "scan", None, landmarks, "")


def test_the_first_choice_is_the_protocol_and_a_changed_one_is_what_set_gives(
    face: Mesh, person: Mesh, scan: Mesh
) -> None:
    # Of these the scan's places are known: no pose is searched for.
    labels = Landmarks.of_mesh(person)
    chosen = (CHOICES[0], CHOICES[1], Choice("off", tip_off_mm=40.0))
    coarse = preset("micc").with_setting("points.longest_edge_mm", "inf")
    plain, rmse, off = measure_choices(face, target_of(scan, labels), coarse, chosen)
    score = score_prediction(face, scan, coarse, scan_landmarks=labels).score
    assert plain == pytest.approx(score.mean_mm, rel=1e-6)
    assert rmse == pytest.approx(score.rmse_mm, rel=1e-6)
    assert off != pytest.approx(plain, rel=1e-3)


def test_every_choice_names_settings_that_exist() -> None:
    for choice in CHOICES:
        protocol = preset("micc")
        for key, value in choice.settings.items():
            protocol = protocol.with_setting(key, value)
        protocol.check()
        assert (protocol.digest != preset("micc").digest) == bool(choice.settings)


def test_what_cannot_be_measured_is_no_number(face: Mesh, scan: Mesh) -> None:
    inside_out = Mesh(face.vertices, np.asarray(face.triangles)[:, ::-1])
    assert np.isnan(measure_choices(inside_out, target_of(scan), preset("micc"), CHOICES[:2])).all()


def test_labels_of_the_scan_are_used_as_in_the_run(face: Mesh, person: Mesh, scan: Mesh) -> None:
    now = preset("now")
    assert np.isnan(measure_choices(face, target_of(scan), now, CHOICES[:1])).all()
    labels = Landmarks.of_mesh(person)
    (value,) = measure_choices(face, target_of(person, labels), now, CHOICES[:1])
    plain = score_prediction(face, person, now, scan_landmarks=labels).score
    assert value == pytest.approx(plain.value_mm)


def test_what_a_changed_protocol_refuses_is_no_number_though_the_pair_is_known(
    face: Mesh, person: Mesh
) -> None:
    """Only the direction differs, by which the same registration could be measured."""
    labels = Landmarks.of_mesh(person)
    sides = [one for one in CHOICES if one.name.endswith("the scan only") or "the pred" in one.name]
    cloud = Mesh(np.asarray(person.vertices), np.empty((0, 3), np.int64))
    for scan, name in ((cloud, "nersemble"), (person, "realy")):
        coarse = preset(name).with_setting("points.longest_edge_mm", "inf")
        values = measure_choices(face, target_of(scan, labels), coarse, sides)
        assert dict(zip((one.name for one in sides), np.isfinite(values), strict=True)) == {
            "corresponding points, from the prediction": scan is person,
            "from the scan only": True,
            "from the prediction only": False,
        }
