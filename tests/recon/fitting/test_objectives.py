"""Costs and their derivatives, against finite differences and dense algebra."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from drawn_faces import Drawn
from torch import Tensor

from facebench.recon.face.coefficients import CoefficientSizes
from facebench.recon.face.imaging import (
    angles_of,
    pose_of_camera,
    rotation_derivatives,
    rotation_matrix,
    solve_light,
    turning_axes,
)
from facebench.recon.fitting.colours import BlurredPictures, ShadedPoints
from facebench.recon.fitting.fitter import Fitter
from facebench.recon.fitting.landmark_objective import LandmarkModel, LandmarkObjective
from facebench.recon.fitting.pixel_objective import PixelEquations, PixelObjective
from facebench.recon.fitting.solver import (
    LIGHT_UNIT,
    POSE_UNITS,
    FittingSettings,
    Unknowns,
    minimise,
    robust_cost,
    robust_weight,
    solve,
)
from facebench.recon.morphable.load import load_model

STEP = 1e-4
ANGLES = torch.tensor([[0.3, -1.2, 0.1], [-0.4, 0.7, 2.0], [0.0, 0.0, 0.0]], dtype=torch.float64)


@pytest.fixture(scope="module")
def vector(fitter: Fitter, drawn: Drawn) -> Tensor:
    """Unknowns (3, D) somewhere near the drawn faces."""
    vector = fitter.unknowns.pack(drawn.faces)
    noise = torch.randn(vector.shape, generator=torch.Generator().manual_seed(2))
    return vector + 0.3 * noise


@pytest.fixture(scope="module")
def landmarks(fitter: Fitter, drawn: Drawn) -> LandmarkObjective:
    target = (2.0 * drawn.landmarks.double() + 1.0 - 96) / 96
    target[:, 1] *= -1.0
    weights = torch.linspace(0, 1, 68).double()[:, None].expand(-1, 3)
    return LandmarkObjective(
        fitter.landmark_model, fitter.unknowns, target, weights, fitter.settings
    )


@pytest.fixture(scope="module")
def pixels(
    fitter: Fitter, drawn: Drawn, landmarks: LandmarkObjective, vector: Tensor
) -> PixelObjective:
    """With a blur so strong that the picture is smooth between two pixels as well."""
    shaded = ShadedPoints(fitter.points, fitter.unknowns, vector)
    return PixelObjective(
        landmarks,
        fitter.points,
        BlurredPictures.of(drawn.images, 14.0),
        shaded.turned_normal[2].clamp_min(0.0),
        vector[:, fitter.unknowns.light] + 1.0,
        fitter.preconditioner,
    )


def test_the_jacobian_of_the_landmarks(landmarks: LandmarkObjective, vector: Tensor) -> None:
    jacobian = landmarks.jacobian(vector)
    for column in range(jacobian.shape[3]):
        change = torch.zeros_like(vector)
        change[:, column] = STEP
        ahead, behind = landmarks.residuals(vector + change), landmarks.residuals(vector - change)
        slope = ((ahead - behind) / (2 * STEP)).permute(2, 0, 1)
        torch.testing.assert_close(jacobian[..., column], slope, atol=1e-6, rtol=1e-5)


def test_the_gradient_of_the_landmarks(landmarks: LandmarkObjective, vector: Tensor) -> None:
    found = landmarks.normal_equations(vector)[1]
    numeric = _numeric_gradient(landmarks, vector)[:, landmarks.unknowns.geometry]
    torch.testing.assert_close(found, numeric, atol=1e-4, rtol=1e-4)


def test_blend_shapes_are_held_between_0_and_1() -> None:
    """The gradient of their prior, and where landmarks ask for a mouth shut beyond shut."""
    model = load_model("human")
    points, unknowns = LandmarkModel(model), Unknowns(CoefficientSizes.of(model))
    vector = 0.7 * torch.randn(
        1, unknowns.size, generator=torch.Generator().manual_seed(4), dtype=torch.float64
    )
    target = torch.randn(68, 2, 1, generator=torch.Generator().manual_seed(5)).double()
    weights = torch.ones(68, 1, dtype=torch.float64)
    objective = LandmarkObjective(points, unknowns, target, weights, FittingSettings())
    numeric = _numeric_gradient(objective, vector)[:, unknowns.geometry]
    found = objective.normal_equations(vector)[1]
    torch.testing.assert_close(found, numeric, atol=1e-3, rtol=1e-4)
    jaw = unknowns.sizes.identity + model.expression_names.index("jawOpen")
    shut = torch.zeros_like(vector)
    # A face as large as in a crop: 0.009 of the half frame a millimetre.
    shut[:, unknowns.pose.stop - 1] = math.log(0.009) / POSE_UNITS[5]
    asked = shut.clone()
    asked[:, jaw] = -0.5
    # The targets that a jaw opened negatively would meet.
    moved = objective.targets + objective.residuals(asked) / objective._per_deviation
    wanted = replace(objective, targets=moved)
    assert wanted.residuals(asked).abs().max() < 1e-9
    weight = minimise(wanted, shut, 30, 1e-10)[0][0, unknowns.shape]
    units = weight[unknowns.sizes.identity :]
    assert -0.12 < units.min() < 0.0 and units.max() < 1.12


def test_the_gradient_of_the_pixels(pixels: PixelObjective, vector: Tensor) -> None:
    """Slopes are differences of pixels, colours linear between them: equal to a part in 100."""
    found = PixelEquations(pixels, vector).gradient
    numeric = _numeric_gradient(pixels, vector, step=1e-2)
    off = (found - numeric).norm(dim=1) / numeric.norm(dim=1)
    assert off.max() < 0.01
    smooth = [pixels.unknowns.albedo, pixels.unknowns.light]
    for part in smooth:
        torch.testing.assert_close(found[:, part], numeric[:, part], atol=1e-3, rtol=1e-3)


def test_back_is_ahead_transposed(pixels: PixelObjective, vector: Tensor) -> None:
    equations = PixelEquations(pixels, vector)
    generator = torch.Generator().manual_seed(5)
    direction = torch.randn(vector.shape, generator=generator, dtype=torch.float64)
    residuals = torch.randn((3, len(pixels.points), 3), generator=generator, dtype=torch.float64)
    left = (equations.jacobian_product(direction) * residuals).sum((0, 1))
    torch.testing.assert_close(left, (direction * equations.transposed_product(residuals)).sum(1))


def test_few_solver_steps_are_enough(pixels: PixelObjective, vector: Tensor) -> None:
    """From the shared start they reach nearly what the solution of the whole system does."""
    equations = PixelEquations(pixels, vector)
    damping = torch.full((3,), 1e-2, dtype=torch.float64)
    short, full = equations.step(damping), _dense_step(equations.product, equations.gradient)
    reached, possible = (_decrease(equations, step) for step in (short, full))
    assert (reached > 0.9 * possible).all()


def test_conjugate_gradients_solve() -> None:
    generator = torch.Generator().manual_seed(1)
    root = torch.randn(4, 9, 9, generator=generator, dtype=torch.float64)
    matrix = root @ root.mT + torch.eye(9)
    right = torch.randn(4, 9, generator=generator, dtype=torch.float64)
    preconditioner = torch.linalg.inv(matrix.mean(0))
    found = solve(lambda v: (matrix @ v.unsqueeze(2)).squeeze(2), right, 9, preconditioner)
    torch.testing.assert_close(found, torch.linalg.solve(matrix, right))


def test_each_face_of_a_search_goes_its_own_way() -> None:
    """Rosenbrock's valley from three starts, one of them no number."""
    start = torch.tensor([[-1.2, 1.0], [torch.nan, 1.0], [2.0, 2.0]], dtype=torch.float64)
    found, _, converged = minimise(_Rosenbrock(), start, 100, tolerance=1e-12)
    assert converged.tolist() == [True, False, True]
    torch.testing.assert_close(found[[0, 2]], torch.ones(2, 2, dtype=torch.float64))
    alone, *_ = minimise(_Rosenbrock(), start[2:], 100, tolerance=1e-12)
    assert torch.equal(alone[0], found[2])


def test_the_light_is_solved(fitter: Fitter, drawn: Drawn) -> None:
    vector = fitter.unknowns.pack(drawn.faces)
    shaded = ShadedPoints(fitter.points, fitter.unknowns, vector)
    weights = torch.ones_like(shaded.bands[0])
    light = solve_light(shaded.bands, shaded.albedo, shaded.colours, weights)
    again = shaded.albedo * shaded.shading_under(light)
    assert (again - shaded.colours).abs().mean() < 2e-3


def test_the_robust_weight_belongs_to_the_robust_cost() -> None:
    residual = torch.linspace(0.0, 9.0, 50, dtype=torch.float64).requires_grad_()
    robust_cost(residual.square(), 2.0).sum().backward()
    expected = residual.detach() * robust_weight(residual.detach().square(), 2.0)
    torch.testing.assert_close(residual.grad, expected)


def test_angles_make_the_rotation_they_were_read_from() -> None:
    torch.testing.assert_close(angles_of(rotation_matrix(ANGLES)), ANGLES)


def test_slopes_of_rotations_are_their_derivatives() -> None:
    exact = torch.autograd.functional.jacobian(rotation_matrix, ANGLES)
    own = torch.stack([exact[face, :, :, face] for face in range(len(ANGLES))])
    torch.testing.assert_close(rotation_derivatives(ANGLES), own.permute(3, 0, 1, 2))


def test_a_turned_vector_changes_by_the_cross_product_with_its_axis() -> None:
    slopes, axes = rotation_derivatives(ANGLES), turning_axes(ANGLES)
    vector = torch.tensor([0.3, -2.0, 1.1], dtype=torch.float64)
    turned = (rotation_matrix(ANGLES) @ vector).unsqueeze(2).expand(-1, -1, 3)
    changes = torch.linalg.cross(axes, turned, dim=1)
    torch.testing.assert_close(changes, (slopes @ vector).permute(1, 2, 0))


def test_the_pose_of_a_camera_is_the_one_it_was_made_from() -> None:
    shift = torch.tensor([[0.1, -0.2, 0.0, 0.01]], dtype=torch.float64).expand(3, 4)
    pose = torch.cat([ANGLES, shift], dim=1)
    rows = rotation_matrix(ANGLES)[:, :2] * 0.01
    torch.testing.assert_close(pose_of_camera(torch.cat([rows, pose[:, 3:5, None]], 2)), pose)


class _Rosenbrock:
    def of_faces(self, chosen: Tensor) -> _Rosenbrock:
        return self

    def cost(self, vector: Tensor) -> Tensor:
        return self._residuals(vector).square().sum(1)

    def step(self, vector: Tensor, damping: Tensor) -> Tensor:
        x = vector[:, 0]
        zero, one = torch.zeros_like(x), torch.ones_like(x)
        jacobian = torch.stack([-one, zero, -20 * x, 10 * one], dim=1).view(-1, 2, 2)
        gradient = (jacobian.mT @ self._residuals(vector).unsqueeze(2)).squeeze(2)
        damped = jacobian.mT @ jacobian + torch.diag_embed(damping[:, None].expand(-1, 2))
        return -torch.linalg.solve(damped, gradient)

    def _residuals(self, vector: Tensor) -> Tensor:
        x, y = vector.T
        return torch.stack([1 - x, 10 * (y - x * x)], dim=1)


def _numeric_gradient(
    objective: LandmarkObjective | PixelObjective, vector: Tensor, step: float = STEP
) -> Tensor:
    found = torch.zeros_like(vector)
    for column in range(vector.shape[1]):
        change = torch.zeros_like(vector)
        change[:, column] = step
        difference = objective.cost(vector + change) - objective.cost(vector - change)
        found[:, column] = difference / (2 * step)
    return found


def _dense_step(product: object, gradient: Tensor) -> Tensor:
    everything = torch.eye(gradient.shape[1]).to(gradient)
    columns = [product(one.expand_as(gradient)) for one in everything]  # type: ignore[operator]
    matrix = torch.stack(columns, dim=2) + 1e-2 * everything
    return -torch.linalg.solve(matrix, gradient)


def _decrease(equations: object, step: Tensor) -> Tensor:
    curved = equations.product(step)  # type: ignore[attr-defined]
    slope = equations.gradient  # type: ignore[attr-defined]
    return -(slope * step).sum(1) - 0.5 * (step * curved).sum(1)


def test_the_size_of_the_face_in_the_picture_does_not_matter(
    pixels: PixelObjective, vector: Tensor
) -> None:
    """A face's colours are worth so many observations, however many pixels it covers."""
    larger = replace(pixels, weights=4.0 * pixels.weights)
    torch.testing.assert_close(larger.cost(vector), pixels.cost(vector))
    total = pixels.landmarks.settings.pixel_observations
    torch.testing.assert_close(pixels.shares.sum(0), torch.full((3,), total).double())


def test_light_and_albedo_are_held_where_nothing_is_seen(
    pixels: PixelObjective, vector: Tensor
) -> None:
    """Each harmonic by one deviation from the first estimate, each mode by one from the mean."""
    blind = replace(pixels, weights=torch.zeros_like(pixels.weights))
    middle = vector.clone()
    middle[:, pixels.unknowns.light] = pixels.light
    middle[:, pixels.unknowns.albedo] = 0.0
    for part, deviation in ((pixels.unknowns.light, 1.0 / LIGHT_UNIT), (pixels.unknowns.albedo, 1)):
        moved = middle.clone()
        moved[:, part.start] += deviation
        cost = blind.cost(moved) - blind.cost(middle)
        torch.testing.assert_close(cost, torch.full((3,), 0.5).double())
