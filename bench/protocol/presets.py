"""The presets: what published evaluations do, as data for the one engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# What NoW's and FG2018's evaluators have in common: every vertex of the cropped scan counts.
_SEVEN_LANDMARKS: Mapping[str, Any] = {
    # As the originals: each vertex of the scan once, and every triangle of the prediction.
    "points": {"weights": "count", "longest_edge_mm": "inf", "prediction": "all"},
    "alignment": {
        "start": "seven_landmarks",
        "direction": "scan_to_prediction",
        "points": "inf",
        # Where the original stops decides its number on predictions smaller than the crop.
        "stop": "dogleg",
        "max_iterations": 100,
    },
    # No point is left out, however far: the originals have no overlap region.
    "intersection": {"max_distance_mm": "inf", "max_angle_deg": 180, "boundary": "counted"},
    "distance": {"measure": "point_to_surface", "direction": "scan_to_prediction"},
}


@dataclass(frozen=True)
class Preset:
    """One published way of measuring.

    Attributes:
        title: in one line.
        description: what it does and what it is for.
        source: where the knowledge comes from, and what of it is not written there.
        settings: the differences from `micc`.
    """

    title: str
    description: str
    source: str
    settings: Mapping[str, Any]


# Each preset as its differences from `micc`.
PRESETS: Mapping[str, Preset] = {
    "micc": Preset(
        title="symmetric point-to-plane distance after a similarity, 95 mm around the nose tip",
        description=(
            "The scan is cropped to a sphere of 95 mm around its nose tip. The prediction is "
            "registered to it by a similarity, from landmarks or by a search from any pose, and "
            "then densely to convergence. The error is the point-to-plane distance within the "
            "region of intersection, each direction with half of the weight; the mean over a "
            "subject's points, then mean and standard deviation over subjects."
        ),
        source=(
            "The crop is Tran et al. 2017 (Regressing Robust and Discriminative 3D Morphable "
            "Models), the alignment as others describe Genova et al. 2018 (Unsupervised Training "
            "for 3D Morphable Model Regression). Neither states a convergence criterion or the "
            "limits of the region, and whether Genova's scale was one for each mesh or one for all "
            "is disputed: alignment.scale=global is the other reading."
        ),
        settings={},
    ),
    "deng2019": Preset(
        title="root mean square error after a similarity, 95 mm around the nose tip",
        description=(
            "As micc, but the statistic over a subject's points is the root mean square, which is "
            "about a quarter above the mean of the same errors. Do not compare the two."
        ),
        source=(
            "Deng et al. 2019 (Accurate 3D Face Reconstruction with Weakly-Supervised Learning): "
            "crop, ICP with isotropic scale for each mesh, RMSE. Direction and limits of the "
            "region are not written there; they are taken as in micc."
        ),
        settings={"reduction": {"points": "rmse"}},
    ),
    "ganfit2019": Preset(
        title="symmetric point-to-surface distance, the better of a subject's two scans",
        description=(
            "A similarity that stops when the mean distance falls by less than 0.001 mm, "
            "point-to-surface distance in both directions, 60 mm instead of 95 around the nose tip "
            "of subject 28. Of a subject's two frontal scans the one with the lower error counts, "
            "and the standard deviation is that of the population: both make numbers smaller."
        ),
        source=(
            "The evaluation published with Gecer et al. 2019 (GANFIT: Generative Adversarial "
            "Network Fitting for High Fidelity 3D Face Reconstruction). The limits of the region "
            "are taken as in micc."
        ),
        settings={
            "crop": {"exceptions_mm": "subject_28=60"},
            "alignment": {"stop": "mean_change", "tolerance_mm": 1e-3, "max_iterations": 200},
            "distance": {"measure": "point_to_surface"},
            "reduction": {"scan": "best_of_two", "std": "population"},
        },
    ),
    "now": Preset(
        title="scan-to-surface distance after seven landmarks and a dense similarity, pooled",
        description=(
            "The scan is cropped to a sphere whose centre lies 0.3 of the way from the bottom of "
            "the nose to its bridge and whose radius is 1.4 times the mean of outer-eye distance "
            "and nose length. Seven landmarks of both sides give a similarity, which is refined to "
            "the least squared distances from the scan's vertices to the prediction. Every vertex "
            "of the cropped scan counts; median, mean and standard deviation are pooled over the "
            "points of all subjects. A prediction may come in any unit."
        ),
        source=(
            "Sanyal et al. 2019 (Learning to Regress 3D Face Shape and Expression from an Image "
            "without 3D Supervision) and its evaluator; agreement is measured in docs/protocol.md."
        ),
        settings={
            **_SEVEN_LANDMARKS,
            "crop": {"centre": "seven_landmarks", "radius_share": 1.4},
            "reduction": {"points": "median", "subjects": "pooled"},
        },
    ),
    "fg2018": Preset(
        title="scan-to-surface distance after a similarity of seven landmarks alone",
        description=(
            "As now with 1.2 for the radius and without the dense step: the similarity of the "
            "seven landmarks is the result. A millimetre of error in a landmark is in the number: "
            "it stands here to compare with published results, not to rank methods."
        ),
        source=(
            "Feng et al. 2018 (Evaluation of Dense 3D Reconstruction from 2D Face Images in the "
            "Wild) and its evaluator; agreement is measured in docs/protocol.md."
        ),
        settings={
            **_SEVEN_LANDMARKS,
            "alignment": {"start": "seven_landmarks", "dense": False},
            "crop": {"centre": "seven_landmarks", "radius_share": 1.2},
        },
    ),
    "metric": Preset(
        title="as micc, but in the prediction's own millimetres",
        description=(
            "As micc with a rigid motion instead of a similarity, so that the size of a face "
            "counts; the error of the size stands beside it. For methods that claim to know it."
        ),
        source=(
            "The question is that of Zielonka et al. 2022 (Towards Metrical Reconstruction of "
            "Human Faces); the measure is micc's, so that the two differ in the scale alone."
        ),
        settings={"alignment": {"scale": "none"}},
    ),
    "now-metrical": Preset(
        title="as now, but in the prediction's own millimetres",
        description=(
            "The crop, the seven landmarks and the steps of now with a rigid motion instead of a "
            "similarity, over what of the prediction is seen from outside."
        ),
        source=(
            "The metrical table of the NoW challenge (Zielonka et al. 2022, Towards Metrical "
            "Reconstruction of Human Faces). No number of the original evaluator was at hand: the "
            "crop and the distance are those of now, which agree with it; where its rigid steps "
            "end could not be checked."
        ),
        settings={
            **_SEVEN_LANDMARKS,
            "points": {**_SEVEN_LANDMARKS["points"], "prediction": "outside"},
            # With trust regions: plain steps without an overlap can fly off a small mask.
            "alignment": {**_SEVEN_LANDMARKS["alignment"], "scale": "none"},
            "crop": {"centre": "seven_landmarks", "radius_share": 1.4},
            "reduction": {"points": "median", "subjects": "pooled"},
        },
    ),
    "nersemble": Preset(
        title="distance from a point cloud to the prediction after seven landmarks and ICP",
        description=(
            "For scans that are clouds of points: seven landmarks of both give a similarity, which "
            "is refined to the least squared distances from the points to the prediction; the mean "
            "distance from the points to it. Angle of the normals, F-score and completeness stand "
            "beside it. For a posed and a neutral face alike: reduction.expression=predicted keeps "
            "the expression."
        ),
        source=(
            "The single-view reconstruction benchmark of NeRSemble (Kirschstein et al. 2023; "
            "Giebenhain et al. 2025, Pixel3DMM): landmarks, then a fit to the points, distances in "
            "one direction. Neither its evaluator nor a number of it was at hand: the crop is that "
            "of now, and how far its fit goes could not be checked."
        ),
        settings={
            "alignment": {"start": "seven_landmarks", "direction": "scan_to_prediction"},
            "crop": {"centre": "seven_landmarks", "radius_share": 1.4},
            "distance": {"measure": "point_to_surface", "direction": "scan_to_prediction"},
            "intersection": {"boundary": "counted", "max_distance_mm": 20, "max_angle_deg": 180},
            "points": {"weights": "count", "longest_edge_mm": "inf"},
        },
    ),
    "facescape": Preset(
        title="Chamfer distance, normal error and completeness where the prediction lies",
        description=(
            "Nothing is aligned: pose and size of the prediction count, which must be in the "
            "scan's space. The mean of the distances of both directions (Chamfer), with the angle "
            "between the normals and the completeness beside it."
        ),
        source=(
            "The benchmark of FaceScape (Zhu et al. 2023, FaceScape: 3D Facial Dataset and "
            "Benchmark for Single-View 3D Face Reconstruction), whose measures these are. It crops "
            "by a mask of its own in a cylindrical projection, which is not at hand: the crop here "
            "is micc's, and no number of the original could be checked."
        ),
        settings={
            "alignment": {"start": "as_given", "dense": False, "scale": "none"},
            "distance": {"measure": "point_to_surface"},
        },
    ),
    "realy": Preset(
        title="corresponding points of nose, mouth, forehead and cheeks, each aligned anew",
        description=(
            "Seven landmarks of both sides give the size and a first place. For each of four "
            "regions of the scan (nose, mouth, forehead, cheeks) the prediction is then moved "
            "rigidly to the region's points and landmarks, and the region is registered "
            "non-rigidly to the prediction, drawn by the landmarks in it except on the cheeks. A "
            "point's error is the distance from where it was to the point of the prediction that "
            "it came to; the mean of the four regions' means. nose_mm, mouth_mm, forehead_mm and "
            "cheeks_mm are the regions' own."
        ),
        source=(
            "Chai et al. 2022 (REALY: Rethinking the Evaluation of 3D Face Reconstruction) and its "
            "published evaluator (github.com/czh-98/REALY), whose steps these are. Its regions and "
            "85 keypoints are lists for its own scans, which are not at hand: the regions here are "
            "those of a mean face fitted to the landmarks. It counts vertices of evenly cut scans "
            "where area counts here, and deforms by Amberg's non-rigid ICP with weights of its own "
            "where this is our registration. No number of it could be checked: do not hold these "
            "against its tables."
        ),
        settings={
            "crop": {"centre": "seven_landmarks", "radius_share": 1.4},
            "points": {"longest_edge_mm": "inf"},
            "alignment": {"start": "seven_landmarks", "direction": "scan_to_prediction"},
            "distance": {
                "measure": "regions",
                "direction": "scan_to_prediction",
                "along": "field",
            },
        },
    ),
    "correspondence": Preset(
        title="distance to the corresponding point by a non-rigid registration",
        description=(
            "Crop and alignment as micc; then the prediction is registered to the scan non-rigidly "
            "and a vertex's error is the distance from where it was to the point of the scan that "
            "it came to. The closest point is never further than the corresponding one, so other "
            "presets underestimate, most where a face is smooth; this one does less."
        ),
        source=(
            "Chai et al. 2022 (REALY: Rethinking the Evaluation of 3D Face Reconstruction) show "
            "that closest points change the ranking of methods. The registration is our own: "
            "planes, smoothed normals and a smooth field; distance.along=field leaves the normals "
            "out."
        ),
        settings={
            "distance": {
                "measure": "correspondence",
                "direction": "prediction_to_scan",
                "along": "normals",
            },
        },
    ),
}
