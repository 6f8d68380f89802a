"""The typed record of one measured item: its errors, alignment, status, and the note on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

NAN = float("nan")

SCORED, UNSCORED = "ok", "failed"
"""Status of a score."""


@dataclass(frozen=True)
class Score:
    """Every number of one subject and scene; lengths in mm.

    Attributes:
        subject, scene: whose.
        status: `ok`, or `failed` with a reason and NaN for all numbers.
        reason: why it failed, else empty.
        value_mm: the protocol's own statistic, the number that tables show.
        mean_mm, median_mm, rmse_mm, std_mm, p90_mm: of the protocol's distance, both directions
            with half of the weight each when the protocol is symmetric.
        deviation_mm: of corresponding points, how far `mean_mm` may be from the true mean: the
            posterior root mean square of the difference; NaN for other measures.
        scan_to_prediction_mm, prediction_to_scan_mm: the mean of each direction.
        point_to_surface_mm: mean of |p − q| in the protocol's directions, whatever its measure.
        point_to_plane_…_mm, point_to_surface_…_mm: the mean by either measure, of either direction
            and of both; for closest points, whatever the protocol's measure.
        share_within_1mm, share_within_2mm, share_within_3mm: of the points.
        scale: the factor that the alignment gave the prediction.
        size_error: of a rigid protocol, the factor that would have fitted, less one, see
            `with_size_error`; NaN where nobody asked for it.
        landmark_scale: the factor that the landmarks alone ask for, NaN without; a dense
            registration that leaves it by a tenth has found no face, see `diagnosis`.
        start: of the alignment: `landmarks`, `search`, or `given`.
        landmark_residual_mm: root mean square between the landmarks of both sides when aligned,
            NaN without.
        iterations, converged: of the alignment.
        overlap: share of the cropped scan's area in the overlap region.
        completeness: share of the cropped scan's area that the prediction shows; the rest is
            missing and has no error. Below one, a lower error is no better face.
        inner_share: share of the prediction's area near the face that is not seen from outside and
            was left out; NaN where the protocol takes all.
        noise_floor_mm: what a perfect prediction would score for the noise of the scan.
        normal_error_deg: mean angle between normals of closest points, degrees.
        f_score_1mm: harmonic mean of precision and recall at 1 mm, missing counted as not found.
        n_points: points in the region of intersection, of the directions that count.
        nose_tip_source: of the crop's centre: `label`, `found` or `seven_landmarks`.
        nose_tip_disagreement_mm: between label and found, NaN without a label.
        nose_tip_spread_mm: how uncertain a found one is: see `NoseTip`; NaN for a label.
        nose_mm: mean from the prediction to the scan over the nose; likewise mouth_mm … jaw_mm.
        protocol: its name, and protocol_digest what the numbers stand for.
    """

    subject: str
    scene: str
    status: str
    reason: str
    protocol: str
    protocol_digest: str
    value_mm: float = NAN
    mean_mm: float = NAN
    median_mm: float = NAN
    rmse_mm: float = NAN
    std_mm: float = NAN
    p90_mm: float = NAN
    deviation_mm: float = NAN
    scan_to_prediction_mm: float = NAN
    prediction_to_scan_mm: float = NAN
    point_to_surface_mm: float = NAN
    point_to_plane_symmetric_mm: float = NAN
    point_to_plane_scan_to_prediction_mm: float = NAN
    point_to_plane_prediction_to_scan_mm: float = NAN
    point_to_surface_symmetric_mm: float = NAN
    point_to_surface_scan_to_prediction_mm: float = NAN
    point_to_surface_prediction_to_scan_mm: float = NAN
    share_within_1mm: float = NAN
    share_within_2mm: float = NAN
    share_within_3mm: float = NAN
    scale: float = NAN
    size_error: float = NAN
    landmark_scale: float = NAN
    start: str = ""
    landmark_residual_mm: float = NAN
    iterations: int = 0
    converged: bool = False
    overlap: float = NAN
    completeness: float = NAN
    inner_share: float = NAN
    noise_floor_mm: float = NAN
    normal_error_deg: float = NAN
    f_score_1mm: float = NAN
    n_points: int = 0
    nose_tip_source: str = ""
    nose_tip_disagreement_mm: float = NAN
    nose_tip_spread_mm: float = NAN
    nose_mm: float = NAN
    mouth_mm: float = NAN
    eyes_mm: float = NAN
    cheeks_mm: float = NAN
    forehead_mm: float = NAN
    jaw_mm: float = NAN

    @property
    def scored(self) -> bool:
        """Whether there is a number."""
        return self.status == SCORED


@dataclass(frozen=True)
class Result(Score):
    """What is known of one measured item: the fields of this record are the columns of a run.

    A run's table is typed by this class (`results.run.items`), so that a field added here with a
    default is a column of new runs, and old runs are read with the default.

    Attributes:
        item: unique in the run, for example `subject_07/indoor`; with `subject` and `scene` it says
            what was measured, see `dataset.interface.Item`.
        frames, faces: read and encoded; 0 for a mesh that comes as a file.
        mean_face_mm: the mean face's error on the same scans, where a sibling of the item failed.
        fixed_scale: the factor that all predictions were given; NaN where each has its own.
        note: warnings that do not forbid the number; empty for a sound one.
        scan: name of the scan whose number it is; of several, their names.
        scans, scan_values_mm: every scan that was measured, and its number.
        curve: (101,) share of the points within each threshold of `distance.CURVE_MM`; empty when
            nothing was measured.
        data_digest: SHA-256 over the contents of the files that were measured.
    """

    item: str = ""
    frames: int = 0
    faces: int = 0
    mean_face_mm: float = NAN
    fixed_scale: float = NAN
    note: str = ""
    scan: str = ""
    scans: tuple[str, ...] = ()
    scan_values_mm: tuple[float, ...] = ()
    curve: tuple[float, ...] = ()
    data_digest: str = ""

    @classmethod
    def of(cls, score: Score, **facts: Any) -> Result:
        """A score with the facts of its item."""
        return cls(**{**vars(score), **facts})
