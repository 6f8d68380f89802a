"""Landmark tables, and what is transferred where a model names too few."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from facebench.errors import FacebenchError
from facebench.recon.morphable.basel_landmarks import IBUG_OF_NAME, landmarks_2009
from facebench.recon.morphable.landmarks import (
    landmark_points,
    read_landmark_table,
    transfer_missing_landmarks,
)
from facebench.recon.morphable.load import read_npz
from facebench.recon.morphable.procedural import embedded_model


def _known(count: int) -> np.ndarray:
    named = {12: list(IBUG_OF_NAME.values()), 50: [8, *range(17, 60), 61, 62, 63, 65, 66, 67]}
    return np.isin(np.arange(68), named[count])


class TestTable:
    def test_numbers_in_order(self, tmp_path: Path) -> None:
        path = tmp_path / "landmarks.txt"
        path.write_text("\n".join(str(i) for i in range(-1, 67)))
        np.testing.assert_array_equal(read_landmark_table(path, 67), np.arange(-1, 67))

    @pytest.mark.parametrize("heading", ["", "[landmark_mappings] # of eos\n"])
    def test_toml_counts_landmarks_from_one(self, tmp_path: Path, heading: str) -> None:
        path = tmp_path / "landmarks.txt"
        path.write_text(f"{heading}# jaw\n 9 =  33 # chin\n68 = 404\n")
        landmarks = read_landmark_table(path, 500)
        assert landmarks[8] == 33 and landmarks[67] == 404 and (landmarks >= 0).sum() == 2

    @pytest.mark.parametrize(
        ("text", "line"),
        [
            ("1 2 3", "3 landmarks"),
            ("a b", "no landmark table"),
            ("a = [", "no landmark table"),
            ("name = 'x'", "no landmark in it"),
            ("9 = 'x'", "no landmark in it"),
            ("9 = 500", "vertices -1 to 500"),
            ("-2 " * 68, "vertices -2 to -2"),
        ],
    )
    def test_a_fault_has_its_line(self, tmp_path: Path, text: str, line: str) -> None:
        (tmp_path / "landmarks.txt").write_text(text)
        with pytest.raises(FacebenchError, match=line):
            read_landmark_table(tmp_path / "landmarks.txt", 500)

    @pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
    def test_an_unreadable_file_is_told(self, tmp_path: Path, content: bytes | None) -> None:
        path = tmp_path / "landmarks.txt"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(FacebenchError, match=r"unreadable landmarks.*expected 68"):
            read_landmark_table(path, 500)


class TestBasel2009:
    def test_left_and_right_mirror_each_other_in_both_tables(self) -> None:
        """Corners that lie on the vertex grid of both: the crop keeps the whole's order."""
        whole, front = landmarks_2009(53490, ""), landmarks_2009(35709, "")
        assert len(set(whole)) == len(set(front)) == 68
        assert (whole < 53490).all() and (front < 35709).all()
        inner = slice(17, 68)
        np.testing.assert_array_equal(np.argsort(whole[inner]), np.argsort(front[inner]))

    def test_other_counts_are_refused(self) -> None:
        with pytest.raises(FacebenchError, match="53215 vertices, and no landmarks"):
            landmarks_2009(53215, "BFM 2009")


class TestLaid:
    def test_known_landmarks_are_kept(self) -> None:
        model = embedded_model()
        points = landmark_points(model.mean_shape, model.landmarks, "test")
        np.testing.assert_array_equal(points, model.mean_shape[model.landmarks])

    @pytest.mark.parametrize("count", [12, 50])
    def test_a_moved_embedded_face_gets_its_own_back(self, count: int) -> None:
        model = embedded_model()
        moved = 1.1 * model.mean_shape.astype(np.float64) @ _turn(0.2) + [3.0, -8.0, 20.0]
        landmarks = np.where(_known(count), model.landmarks, -1)
        points = landmark_points(moved, landmarks, "test")
        np.testing.assert_allclose(points, moved[model.landmarks], atol=1e-6)

    @pytest.mark.parametrize(("count", "jaw", "inner"), [(12, 14.0, 8.0), (50, 14.0, 5.0)])
    def test_on_another_model_they_are_near(
        self, shared: Path, count: int, jaw: float, inner: float
    ) -> None:
        model = read_npz(shared / "ict-facekit" / "ict_facekit_light.npz")
        known = _known(count)
        points = landmark_points(model.mean_shape, np.where(known, model.landmarks, -1), "ict")
        away = np.linalg.norm(points - model.mean_shape[model.landmarks], axis=1)
        assert away[known].max() == 0.0
        assert away[:17][~known[:17]].mean() < jaw and away[17:][~known[17:]].mean() < inner

    @pytest.mark.parametrize("known", [[], [30], [*range(27, 48)], [8, 27, 30, 51]])
    def test_too_few_are_refused(self, known: list[int]) -> None:
        model = embedded_model()
        landmarks = np.where(np.isin(np.arange(68), known), model.landmarks, -1)
        with pytest.raises(FacebenchError, match=rf"{68 - len(known)} of 68 are missing.*chin"):
            landmark_points(model.mean_shape, landmarks, "test")

    def test_filled_in_they_are_near_the_model_s_own(self) -> None:
        model = embedded_model()
        partial = replace(model, landmarks=np.where(_known(12), model.landmarks, -1))
        np.testing.assert_array_equal(
            transfer_missing_landmarks(partial).landmarks, model.landmarks
        )


def _turn(angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])
