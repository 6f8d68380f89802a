"""Colours and landmarks of a face as least squares in all unknowns, and its preconditioner.

All in float64: the solver is stopped early and enlarges rounding, which depends on how many faces
are fitted together. In float32 that is up to a hundredth of a deviation of a coefficient.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from .colours import BlurredPictures, ShadedPoints, sum_of_products
from .landmark_objective import LandmarkObjective
from .solver import LIGHT_UNIT, Unknowns, robust_cost, robust_weight, solve
from .surface_points import SurfacePoints


@dataclass(frozen=True)
class PixelObjective:
    """The landmarks' objective and that of colours at surface points, see `FittingSettings`.

    Attributes:
        landmarks: with its settings.
        points: of the surface.
        photographs: what their colours are compared with.
        weights: (N, B), how much of the picture a point stands for; 0 where it is not seen.
        light: (B, 27) unknowns of the light about which the search goes.
        preconditioner: (D, D) about the inverse of the Hessian.
    """

    landmarks: LandmarkObjective
    points: SurfacePoints
    photographs: BlurredPictures
    weights: Tensor
    light: Tensor
    preconditioner: Tensor

    @property
    def unknowns(self) -> Unknowns:
        """Layout of the vector."""
        return self.landmarks.unknowns

    def cost(self, vector: Tensor) -> Tensor:
        """Negative logarithm of the probability, (B,)."""
        shaded = ShadedPoints(self.points, self.unknowns, vector)
        # One robust weight per point, not per channel: an occluder replaces all three.
        squared = self.residuals(shaded).square().sum(0)
        colours = (self.shares * robust_cost(squared, self.tail)).sum(0)
        rest = self.prior * (vector - self.centre).square()
        return self.landmarks.cost(vector) + colours + 0.5 * rest.sum(1)

    def residuals(self, shaded: ShadedPoints) -> Tensor:
        """Colour minus photograph (3, N, B) in deviations."""
        seen = self.photographs.colour_at(shaded.placed)
        return (shaded.colours - seen) / self.landmarks.settings.pixel_deviation

    def step(self, vector: Tensor, damping: Tensor) -> Tensor:
        """See `Objective`."""
        return PixelEquations(self, vector).step(damping)

    def of_faces(self, chosen: Tensor) -> PixelObjective:
        """That of the faces which a mask (B,) chooses."""
        return replace(
            self,
            landmarks=self.landmarks.of_faces(chosen),
            photographs=self.photographs.of_faces(chosen),
            weights=self.weights[:, chosen],
            light=self.light[chosen],
        )

    @property
    def tail(self) -> float:
        """Of the colours, in deviations."""
        settings = self.landmarks.settings
        return settings.pixel_tail / settings.pixel_deviation

    @cached_property
    def shares(self) -> Tensor:
        """How many observations each point is worth (N, B); they sum to the settings' number."""
        total = self.weights.sum(0).clamp_min(1e-9)
        # A fixed number of observations: otherwise a large face in the picture would outvote its
        # landmarks and its prior.
        return self.weights * (self.landmarks.settings.pixel_observations / total)

    @cached_property
    def prior(self) -> Tensor:
        """Diagonal (D,) of the Hessian of what the landmarks' objective has no prior for."""
        prior = torch.zeros_like(self.centre[0])
        # N(0, 1), as the shape's, which the landmarks' objective holds already.
        prior[self.unknowns.albedo] = 1.0
        # About the first estimate, with deviation 1 of a harmonic: light and albedo trade places,
        # and with no prior on either the dark skin under bright light equals the bright one in
        # shade.
        prior[self.unknowns.light] = LIGHT_UNIT**2
        return prior

    @cached_property
    def centre(self) -> Tensor:
        """Where that prior has its middle, (B, D)."""
        centre = self.light.new_zeros(len(self.light), self.unknowns.size)
        centre[:, self.unknowns.light] = self.light
        return centre


class PixelEquations:
    """Known by the products of their matrix alone: with a batch those are products of matrices.

    Args:
        objective: what is linearised.
        vector: (B, D) about which.

    Attributes:
        shaded: the points there.
        by_frame, by_pose: derivatives (3, 9, N, B), (3, 6, N, B) of colour minus photograph.
        robust_weights: (N, B) weight of each point's residual.
        prior_hessian: (B, D) diagonal of the Hessian of all priors.
        rows: (B, 136, G) of the landmarks.
        gradient: (B, D).
    """

    def __init__(self, objective: PixelObjective, vector: Tensor) -> None:
        self.objective = objective
        self.shaded = ShadedPoints(objective.points, objective.unknowns, vector)
        residuals = objective.residuals(self.shaded)
        # The weight at the old place, kept through the step: reweighted least squares.
        robust = robust_weight(residuals.square().sum(0), objective.tail)
        self.robust_weights = objective.shares * robust
        image_gradient = objective.photographs.gradient_at(self.shaded.placed)
        self.by_frame = self.shaded.by_frame(image_gradient)
        self.by_pose = self.shaded.by_pose(image_gradient)
        self.rows, off = objective.landmarks.rows(vector)
        hessian = objective.prior.expand_as(vector).clone()
        gradient = hessian * (vector - objective.centre)
        shape = objective.unknowns.shape
        gradient[:, shape], hessian[:, shape] = objective.landmarks.prior_derivatives(vector)
        gradient += self.transposed_product(
            self.robust_weights * residuals / objective.landmarks.settings.pixel_deviation
        )
        gradient[:, objective.unknowns.geometry] += (off.unsqueeze(1) @ self.rows).squeeze(1)
        self.prior_hessian, self.gradient = hessian, gradient

    def step(self, damping: Tensor) -> Tensor:
        """To the minimum (B, D), with damping (B,) on the Hessian's diagonal."""
        return solve(
            # By products alone: D = 280 unknowns of 50 faces would make matrices of 30 MB, and
            # their assembly costs more than eight products.
            lambda v: self.product(v) + damping[:, None] * v,
            -self.gradient,
            self.objective.landmarks.settings.solver_steps,
            self.objective.preconditioner,
        )

    @property
    def variance(self) -> float:
        """Of a colour."""
        return self.objective.landmarks.settings.pixel_deviation**2

    def product(self, direction: Tensor) -> Tensor:
        """The Gauss-Newton matrix times (B, D)."""
        product = self.prior_hessian * direction
        product += self.transposed_product(
            self.robust_weights * self.jacobian_product(direction) / self.variance
        )
        geometry = self.objective.unknowns.geometry
        landmark_change = self.rows @ direction[:, geometry, None]
        product[:, geometry] += (self.rows.mT @ landmark_change).squeeze(2)
        return product

    def jacobian_product(self, direction: Tensor) -> Tensor:
        """Change (3, N, B) of colour minus photograph along (B, D)."""
        points, unknowns = self.objective.points, self.objective.unknowns
        shape_change = points.shape_change(direction[:, unknowns.shape])
        # The chain from coefficients to colours goes by the nine numbers of a point's frame: 9
        # products with the basis instead of a Jacobian of K columns per point and face.
        change = sum_of_products(self.by_frame.transpose(0, 1), shape_change.unsqueeze(1))
        posed = direction[:, unknowns.pose].T.view(-1, 1, 1, len(direction))
        change += sum_of_products(self.by_pose.transpose(0, 1), posed)
        light = (direction[:, unknowns.light] * LIGHT_UNIT).view(-1, 9, 3)
        # Lit colour is albedo times shading: the product rule's two terms in turn.
        change.addcmul_(self.shaded.albedo, self.shaded.shading_under(light))
        albedo_change = points.albedo_change(direction[:, unknowns.albedo])
        return change.addcmul_(self.shaded.shading, albedo_change)

    def transposed_product(self, residuals: Tensor) -> Tensor:
        """The transposed of `jacobian_product`: (B, D) of (3, N, B)."""
        points, unknowns, shaded = self.objective.points, self.objective.unknowns, self.shaded
        found = residuals.new_empty(residuals.shape[2], unknowns.size)
        each = residuals.unsqueeze(1)
        # The same chain, backwards.
        frame = sum_of_products(self.by_frame, each)
        found[:, unknowns.shape] = frame.flatten(0, 1).T @ points.basis
        found[:, unknowns.pose] = sum_of_products(self.by_pose, each).sum(1).T
        by_albedo = (shaded.shading * residuals).flatten(0, 1)
        found[:, unknowns.albedo] = by_albedo.T @ points.albedo_basis
        # Per channel: the nine weights of a colour see that colour only.
        lit = [(shaded.bands * one).sum(1).T for one in shaded.albedo * residuals]
        found[:, unknowns.light] = torch.stack(lit, dim=2).flatten(1) * LIGHT_UNIT
        return found

    def dense_hessian(self) -> Tensor:
        """The Gauss-Newton matrix (D, D) of one face."""
        everything = torch.eye(self.gradient.shape[1]).to(self.gradient)
        pixels = self.jacobian_product(everything) * self.robust_weights.sqrt()
        pixels = pixels.flatten(0, 1)
        matrix = pixels.T @ pixels / self.variance + self.prior_hessian[0].diag()
        rows, geometry = self.rows[0], self.objective.unknowns.geometry
        # Landmarks add to shape and pose only.
        matrix[geometry, geometry] += rows.T @ rows
        return matrix
