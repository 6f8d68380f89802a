from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from training_faces import random_faces, small_model

from facebench.recon.face.imaging import project, rotate, rotation_matrix, to_pixels
from facebench.recon.losses.landmarks import ShapeDistance, batch_mean, landmark_distance
from facebench.recon.render.face import FaceDecoder


def test_the_shape_distance_is_that_of_the_vertices() -> None:
    decoder, faces = FaceDecoder(small_model()), random_faces(small_model(), 4, 1)
    others = replace(faces, identity=faces.identity.flip(0), expression=-faces.expression)
    first, second = (decoder.shape(one.identity, one.expression) for one in (faces, others))
    expected = (first - second).square().sum(1).mean(0)
    torch.testing.assert_close(
        ShapeDistance(decoder)(faces, others), expected, rtol=1e-4, atol=1e-4
    )


def test_the_pose_counts_by_the_pixels_it_moves_landmarks() -> None:
    decoder, faces = FaceDecoder(small_model()), random_faces(small_model(), 3, 1)
    turned = replace(faces, pose=faces.pose + 0.05)
    shape = decoder.landmark_shape(faces.identity, faces.expression)
    points = [
        to_pixels(project(rotate(shape, rotation_matrix(one.pose[:, :3])), one.pose), (224, 224))
        for one in (turned, faces)
    ]
    expected = (points[0] - points[1]).square().sum(1).mean(0)
    torch.testing.assert_close(
        landmark_distance(turned, faces, decoder), expected, rtol=1e-4, atol=1e-4
    )


def test_a_shift_by_a_pixel_costs_one() -> None:
    decoder, faces = FaceDecoder(small_model()), random_faces(small_model(), 2, 1)
    pose = faces.pose.clone()
    pose[:, 3] += 2.0 / 224.0
    found = landmark_distance(replace(faces, pose=pose), faces, decoder)
    assert found.tolist() == pytest.approx([1.0, 1.0], rel=1e-3)


def test_the_batch_mean_sums_over_coefficients() -> None:
    assert float(batch_mean(torch.ones(3, 5))) == 5.0
    assert float(batch_mean(torch.tensor([1.0, 2.0]), lambda count: count / 2)) == 3.0
