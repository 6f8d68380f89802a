"""The landmarks of a face as least squares in its shape and pose."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from ..face.imaging import project, rotate, rotation_derivatives, rotation_matrix
from ..losses.landmarks import FRAME, contour_weights
from ..morphable.model import MorphableModel
from .solver import POSE_UNITS, FittingSettings, Unknowns, robust_cost, robust_weight

# Pixels of the 224 frame in one normalised unit.
_HALF_FRAME = FRAME / 2

_BOUND_DEVIATION = 0.1
"""By which a blend shape's weight may leave 0 to 1. Soft, so that the systems stay linear; a tenth
is less than landmarks tell, and a jaw that opens negatively would go through the face."""


class LandmarkModel(nn.Module):
    """A face model's 68 points: (N, 3, B) mm from shape coefficients.

    Args:
        model: the face model.

    Attributes:
        bounded: (K,) bool, which shape coefficients are weights from 0 to 1.
    """

    mean: Tensor
    basis: Tensor
    present: Tensor
    bounded: Tensor

    def __init__(self, model: MorphableModel) -> None:
        super().__init__()
        # -1 marks a landmark that the model lacks; any vertex stands in, with no weight.
        rows = model.landmarks.clip(min=0)
        bases = (model.identity_basis[rows], model.expression_basis[rows])
        basis = torch.cat([torch.from_numpy(part).double() for part in bases], dim=2)
        mean = torch.from_numpy(model.mean_shape[rows]).double()
        present = torch.from_numpy(model.landmarks >= 0)
        bounded = torch.zeros(basis.shape[2], dtype=torch.bool)
        bounded[model.identity_basis.shape[2] :] = model.has_blend_shapes
        buffers = {"mean": mean, "basis": basis, "present": present, "bounded": bounded}
        for name, value in buffers.items():
            self.register_buffer(name, value, persistent=False)

    def points(self, shape: Tensor) -> Tensor:
        """(68, 3, B) mm of shape coefficients (B, K), identity and expression."""
        # One product of matrices for the batch: the basis is read once, not once per face.
        flat = torch.addmm(self.mean.view(-1, 1), self.basis.flatten(0, 1), shape.T)
        return flat.view(-1, 3, len(shape))


@dataclass(frozen=True)
class LandmarkObjective:
    """Squared distances to detected landmarks and squared coefficients, see `FittingSettings`.

    Attributes:
        model: the face's points.
        unknowns: layout of the vector.
        targets: (68, 2, B) normalised image coordinates, y up; anything where unknown.
        weights: (68, B), 0 where unknown.
        settings: deviations.
        start: (B, K) identity and expression of faces that are known already: a vector then holds
            the steps from there, which the prior is on; bounds are on the whole.
    """

    model: LandmarkModel
    unknowns: Unknowns
    targets: Tensor
    weights: Tensor
    settings: FittingSettings
    start: Tensor | None = None

    def cost(self, vector: Tensor) -> Tensor:
        """Negative logarithm of the probability, (B,)."""
        tail = self.settings.landmark_tail / self.settings.landmark_deviation
        each = robust_cost(self.residuals(vector).square().sum(1), tail)
        # Coefficients are N(0, 1) by the basis's own scale, so their prior has no factor.
        shape = vector[:, self.unknowns.shape]
        prior = shape.square() + self.beyond_bounds(vector).square() / _BOUND_DEVIATION**2
        return (self.weights * each).sum(0) + 0.5 * prior.sum(1)

    def beyond_bounds(self, vector: Tensor) -> Tensor:
        """By how much blend shapes (B, K) leave 0 to 1, with the sign; 0 for other modes."""
        shape = self._whole(vector)
        return (shape - shape.clamp(0.0, 1.0)) * self.model.bounded

    def prior_derivatives(self, vector: Tensor) -> tuple[Tensor, Tensor]:
        """Gradient and diagonal of the Hessian (B, K) of the shape's prior."""
        shape = vector[:, self.unknowns.shape]
        beyond = self.beyond_bounds(vector) / _BOUND_DEVIATION**2
        return shape + beyond, 1.0 + (beyond != 0.0) / _BOUND_DEVIATION**2

    def residuals(self, vector: Tensor) -> Tensor:
        """(68, 2, B) in deviations."""
        return (self.placed(vector) - self.targets) * self._per_deviation

    def placed(self, vector: Tensor) -> Tensor:
        """The landmarks (68, 2, B) in normalised image coordinates."""
        pose, points = self.unknowns.pose_of(vector), self._points(vector)
        return project(rotate(points, rotation_matrix(pose[:, :3])), pose)[:, :2]

    def of_faces(self, chosen: Tensor) -> LandmarkObjective:
        """That of the faces which a mask (B,) chooses."""
        targets, weights = self.targets[..., chosen], self.weights[:, chosen]
        start = None if self.start is None else self.start[chosen]
        return replace(self, targets=targets, weights=weights, start=start)

    def normal_equations(self, vector: Tensor) -> tuple[Tensor, Tensor]:
        """Hessian (B, G, G) and gradient (B, G) in shape and pose about (B, D), prior included."""
        jacobian, residuals = self.rows(vector)
        prior_gradient, prior_hessian = (torch.zeros_like(jacobian[:, 0]) for _ in range(2))
        shape = self.unknowns.shape
        prior_gradient[:, shape], prior_hessian[:, shape] = self.prior_derivatives(vector)
        # Gauss-Newton: the residuals' own second derivatives are left out; near the solution
        # residuals are small.
        hessian = jacobian.mT @ jacobian + torch.diag_embed(prior_hessian)
        gradient = (jacobian.mT @ residuals.unsqueeze(2)).squeeze(2)
        return hessian, gradient + prior_gradient

    def step(self, vector: Tensor, damping: Tensor) -> Tensor:
        """See `Objective`."""
        hessian, gradient = self.normal_equations(vector)
        # Levenberg's damping by the identity: unknowns have units of equal weight, so Marquardt's
        # scaling by the diagonal has nothing to add.
        damped = hessian + torch.diag_embed(damping[:, None].expand_as(gradient))
        # `_ex` tells the faces that failed; `cholesky` would raise for the whole batch.
        factor, failed = torch.linalg.cholesky_ex(damped)
        step = -torch.cholesky_solve(gradient.unsqueeze(2), factor).squeeze(2)
        step = step.masked_fill((failed > 0)[:, None], torch.nan)
        # Landmarks say nothing of albedo and light: these stay.
        return torch.nn.functional.pad(step, (0, vector.shape[1] - step.shape[1]))

    def _points(self, vector: Tensor) -> Tensor:
        """(68, 3, B) mm in the model's frame."""
        return self.model.points(self._whole(vector))

    def _whole(self, vector: Tensor) -> Tensor:
        """Identity and expression (B, K), not their steps."""
        shape = vector[:, self.unknowns.shape]
        return shape if self.start is None else shape + self.start

    def jacobian(self, vector: Tensor) -> Tensor:
        """Derivative (B, 68, 2, G) of the residuals with respect to shape and pose."""
        pose, points = self.unknowns.pose_of(vector), self._points(vector).permute(2, 0, 1)
        rotation, scale = rotation_matrix(pose[:, :3]), pose[:, 6].view(-1, 1, 1)
        # Weak perspective (eq. 5): two rows of the rotation, times f, are the whole camera.
        shown = rotation[:, :2] * scale
        shaped = torch.einsum("bij,njk->bnik", shown, self.model.basis)
        derivatives = rotation_derivatives(pose[:, :3])[:, :, :2] * scale
        # Along pitch, yaw and roll by the exact derivative of the rotation.
        turned = torch.einsum("abij,bnj->bnia", derivatives, points)
        # t_x and t_y move all points alike; t_z moves none and is no unknown.
        shifts = torch.eye(2, dtype=vector.dtype, device=vector.device).expand(*turned.shape[:3], 2)
        # Along ln f, which is f times the derivative along f: the scale stays positive and one unit
        # is a share of it.
        grown = torch.einsum("bij,bnj->bni", shown, points).unsqueeze(3)
        posed = torch.cat([turned, shifts, grown], dim=3) * vector.new_tensor(POSE_UNITS)
        return torch.cat([shaped, posed], dim=3) * self._per_deviation

    def rows(self, vector: Tensor) -> tuple[Tensor, Tensor]:
        """Jacobian (B, 136, G) and residuals (B, 136), times the root of each point's weight."""
        residuals = self.residuals(vector)
        tail = self.settings.landmark_tail / self.settings.landmark_deviation
        robust_weights = self.weights * robust_weight(residuals.square().sum(1), tail)
        # Rows times the root, so that their products carry the weight itself.
        root = robust_weights.sqrt().T[:, :, None]
        jacobian = self.jacobian(vector) * root.unsqueeze(3)
        return jacobian.flatten(1, 2), (residuals.permute(2, 0, 1) * root).flatten(1)

    @property
    def _per_deviation(self) -> float:
        return _HALF_FRAME / self.settings.landmark_deviation


def landmark_weights(known: Tensor, yaw: Tensor, settings: FittingSettings) -> Tensor:
    """Weight (68, B) of each point under a yaw (B,) in radians, 0 where it is not known (68, B)."""
    # On a turned head the visible jaw line is not that of the model's vertices: they lie on the
    # cheek behind it.
    start, end = (torch.pi / 180 * v for v in (settings.contour_from, settings.contour_to))
    return contour_weights(yaw, settings.contour_weight, start, end) * known
