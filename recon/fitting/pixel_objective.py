"""Colours and landmarks of a face as least squares in everything that is searched for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from .conjugate import solve
from .landmark_objective import LandmarkObjective
from .photographs import Photographs
from .robust import robust_cost, robust_weight
from .shading import ShadedPoints
from .surface_points import ROWS, SurfacePoints
from .unknowns import LIGHT_UNIT, Unknowns


@dataclass(frozen=True)
class PixelObjective:
    """The landmarks' objective and that of colours at surface points, see `FittingSettings`.

    Attributes:
        landmarks: with its settings.
        points: of the surface.
        photographs: what their colours are compared with.
        weights: (N, B), how much of the picture a point stands for; 0 where it is not seen.
        light: (B, 27) unknowns of the light about which the search goes.
        nearly: (D, D) about the inverse of the curvature, see `reference`.
    """

    landmarks: LandmarkObjective
    points: SurfacePoints
    photographs: Photographs
    weights: Tensor
    light: Tensor
    nearly: Tensor

    @property
    def unknowns(self) -> Unknowns:
        """Layout of the vector."""
        return self.landmarks.unknowns

    def cost(self, vector: Tensor) -> Tensor:
        """Negative logarithm of the probability, (B,)."""
        shaded = ShadedPoints.of(self.points, self.unknowns, vector)
        squared = self.residuals(shaded).square().sum(1)
        colours = (self.shares * robust_cost(squared, self.tail)).sum(0)
        rest = self.prior * (vector - self.centre).square()
        return self.landmarks.cost(vector) + colours + 0.5 * rest.sum(1)

    def residuals(self, shaded: ShadedPoints) -> Tensor:
        """Colour minus photograph (N, 3, B) in deviations."""
        seen = self.photographs.colour_at(shaded.placed)
        return (shaded.colours - seen) / self.landmarks.settings.pixel_deviation

    def linearise(self, vector: Tensor) -> PixelEquations:
        """About (B, D)."""
        return PixelEquations.of(self, vector)

    @property
    def tail(self) -> float:
        """Of the colours, in deviations."""
        settings = self.landmarks.settings
        return settings.pixel_tail / settings.pixel_deviation

    @cached_property
    def shares(self) -> Tensor:
        """How many observations each point is worth (N, B); they sum to the settings' number."""
        total = self.weights.sum(0).clamp_min(1e-9)
        return self.weights * (self.landmarks.settings.pixel_observations / total)

    @cached_property
    def prior(self) -> Tensor:
        """Curvature (D,) of what the landmarks' objective has no prior for."""
        prior = torch.zeros_like(self.centre[0])
        prior[self.unknowns.albedo] = 1.0
        prior[self.unknowns.light] = LIGHT_UNIT**2
        return prior

    @cached_property
    def centre(self) -> Tensor:
        """Where that prior has its middle, (B, D)."""
        centre = self.light.new_zeros(len(self.light), self.unknowns.size)
        centre[:, self.unknowns.light] = self.light
        return centre


@dataclass(frozen=True)
class PixelEquations:
    """Known by the products of their matrix alone: with a batch those are products of matrices.

    Attributes:
        objective: about which it is linearised.
        shaded: the points there.
        by_frame, by_pose: derivatives (N, 3, 9, B), (N, 3, 6, B) of the residuals.
        pull: (N, 1, B) weight of each point's residual.
        rows: (B, 136, D) of the landmarks.
        gradient: (B, D).
    """

    objective: PixelObjective
    shaded: ShadedPoints
    by_frame: Tensor
    by_pose: Tensor
    pull: Tensor
    rows: Tensor
    gradient: Tensor

    @classmethod
    def of(cls, objective: PixelObjective, vector: Tensor) -> PixelEquations:
        """About (B, D)."""
        shaded = ShadedPoints.of(objective.points, objective.unknowns, vector)
        residuals = objective.residuals(shaded)
        squared = residuals.square().sum(1, keepdim=True)
        pull = objective.shares.unsqueeze(1) * robust_weight(squared, objective.tail)
        slopes = objective.photographs.slope_at(shaded.placed)
        per_deviation = 1.0 / objective.landmarks.settings.pixel_deviation
        rows, off = objective.landmarks.rows(vector)
        by_frame, by_pose = shaded.by_frame(slopes), shaded.by_pose(slopes)
        bare = cls(objective, shaded, by_frame, by_pose, pull, rows, vector)
        gradient = bare.back(pull * residuals * per_deviation)
        gradient = gradient + (off.unsqueeze(1) @ rows).squeeze(1)
        gradient = gradient + bare.curvature * (vector - objective.centre)
        return cls(objective, shaded, by_frame, by_pose, pull, rows, gradient)

    @property
    def curvature(self) -> Tensor:
        """Of all priors, (D,)."""
        prior = self.objective.prior.clone()
        prior[self.objective.unknowns.shape] = 1.0
        return prior

    def step(self, damping: Tensor) -> Tensor:
        """See `Linearised`."""
        steps = self.objective.landmarks.settings.solver_steps
        nearly = self.objective.nearly
        return solve(
            lambda v: self.product(v) + damping[:, None] * v, -self.gradient, steps, nearly
        )

    @property
    def variance(self) -> float:
        """Of a colour."""
        return self.objective.landmarks.settings.pixel_deviation**2

    def product(self, direction: Tensor) -> Tensor:
        """The Gauss-Newton matrix times (B, D)."""
        pixels = self.back(self.pull * self.ahead(direction) / self.variance)
        moved = self.rows @ direction.unsqueeze(2)
        return pixels + (self.rows.mT @ moved).squeeze(2) + self.curvature * direction

    def ahead(self, direction: Tensor) -> Tensor:
        """Change (N, 3, B) of colour minus photograph along (B, D)."""
        points, unknowns = self.objective.points, self.objective.unknowns
        moved = (points.basis @ direction[:, unknowns.shape].T).view(len(points), ROWS, -1)
        painted = (points.albedo_basis @ direction[:, unknowns.albedo].T).view(len(points), 3, -1)
        light = (direction[:, unknowns.light] * LIGHT_UNIT).view(-1, 9, 3)
        by_shape = (self.by_frame * moved.unsqueeze(1)).sum(2)
        by_pose = (self.by_pose * direction[:, unknowns.pose].T).sum(2)
        lit = self.shaded.albedo * torch.einsum("njb,bjc->ncb", self.shaded.bands, light)
        return by_shape + by_pose + self.shaded.shading * painted + lit

    def back(self, residuals: Tensor) -> Tensor:
        """The transposed of `ahead`: (B, D) of (N, 3, B)."""
        points, unknowns = self.objective.points, self.objective.unknowns
        found = residuals.new_zeros(residuals.shape[2], unknowns.size)
        frame = (self.by_frame * residuals.unsqueeze(2)).sum(1)
        found[:, unknowns.shape] = frame.flatten(0, 1).T @ points.basis
        found[:, unknowns.pose] = (self.by_pose * residuals.unsqueeze(2)).sum((0, 1)).T
        painted = (self.shaded.shading * residuals).flatten(0, 1)
        found[:, unknowns.albedo] = painted.T @ points.albedo_basis
        lit = torch.einsum("njb,ncb->bjc", self.shaded.bands, self.shaded.albedo * residuals)
        found[:, unknowns.light] = lit.flatten(1) * LIGHT_UNIT
        return found
