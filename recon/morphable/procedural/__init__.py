"""The embedded morphable model: a face made by code, at any resolution, from a seed."""

from .build import embedded_model, procedural_model

__all__ = ["embedded_model", "procedural_model"]
