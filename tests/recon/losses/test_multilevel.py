"""What each level of the sum may and may not see."""

from __future__ import annotations

import torch
from torch import Tensor

from facebench.recon.face.coefficients import Coefficients
from facebench.recon.face.imaging import project, rotate, rotation_matrix, to_pixels
from facebench.recon.losses.landmarks import wing
from facebench.recon.losses.multilevel import MultiLevelLoss, Supervision
from facebench.recon.recipes.regressor import LossRecipe, LossWeights
from facebench.recon.render import Rendering

SIDE = 224


def nobody() -> Coefficients:
    zero = torch.zeros(1, 3)
    return Coefficients(zero, zero, zero, torch.zeros(1, 7), torch.zeros(1, 9, 3))


def truth(landmarks: Tensor, side: int = SIDE) -> Supervision:
    masks = torch.ones(1, side, side, dtype=torch.int64)
    return Supervision(torch.zeros(1, 3, side, side), landmarks, masks)


def places() -> Tensor:
    return 200.0 * torch.rand(68, 2, 1, generator=torch.Generator().manual_seed(0))


def test_a_face_cannot_lower_the_pixel_level_by_becoming_smaller() -> None:
    image = torch.full((1, 3, 8, 8), 0.5, requires_grad=True)
    silhouette = torch.linspace(0, 1, 64).view(1, 8, 8).requires_grad_()
    loss = MultiLevelLoss(LossRecipe(mask={"skin": 1.0}))
    drawn = Rendering(image, silhouette, 1.0 - silhouette)
    level = loss(nobody(), torch.zeros(68, 3, 1), places(), drawn, truth(places(), 8))["pixel"]
    of_image, of_silhouette = torch.autograd.grad(level, (image, silhouette), allow_unused=True)
    assert of_image.abs().max() > 0
    assert of_silhouette is None or not of_silhouette.any()


def test_the_landmark_shape_costs_nothing_whatever_the_pose() -> None:
    shape = 50.0 * torch.randn(68, 3, 1, generator=torch.Generator().manual_seed(1))
    pose = torch.tensor([[0.3, -0.6, 0.2, 0.1, -0.05, 0.0, 0.006]])
    seen = to_pixels(project(rotate(shape, rotation_matrix(pose[:, :3])), pose), (SIDE, SIDE))
    loss = MultiLevelLoss(LossRecipe(weights=LossWeights(landmark_shape=1.0)))
    assert loss(nobody(), shape, places(), None, truth(seen))["landmark_shape"] < 1e-2
    stretched = shape * torch.tensor([1.0, 1.3, 1.0]).view(1, 3, 1)
    assert loss(nobody(), stretched, places(), None, truth(seen))["landmark_shape"] > 1.0


def test_landmarks_that_are_seen_count_where_they_are_known() -> None:
    loss = MultiLevelLoss(LossRecipe())
    known = places()
    known[3, 1], known[40] = torch.nan, torch.nan
    off = torch.zeros(1, 68, 2)
    off[0, 10, 0] = 4.0
    found = (known.nan_to_num(1000.0).permute(2, 0, 1) + off).requires_grad_()
    level = loss.seen(found, truth(known))
    # One coordinate of 66 points is off by 4 px.
    torch.testing.assert_close(level, wing(torch.tensor(4.0)) / (66 * 2))
    (gradient,) = torch.autograd.grad(level, found)
    assert gradient[0, 10, 0] > 0 and not gradient[0, [3, 40]].any()
